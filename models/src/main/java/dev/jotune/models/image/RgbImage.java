package dev.jotune.models.image;

import dev.jotune.models.ModelException;
import java.awt.color.ColorSpace;
import java.awt.image.BufferedImage;
import java.awt.image.ColorModel;
import java.awt.image.ComponentColorModel;
import java.awt.image.Raster;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Iterator;
import javax.imageio.ImageIO;
import javax.imageio.ImageReader;
import javax.imageio.stream.ImageInputStream;
import javax.imageio.stream.MemoryCacheImageInputStream;

/**
 * A picture of 8-bit red, green and blue.
 *
 * @param pixels {@code [height, width, 3]} row by row, unsigned; not copied
 */
public record RgbImage(int height, int width, byte[] pixels) {
    /** The largest picture that is decoded, in pixels: Pillow refuses more, too, as an attack by decompression. */
    static final long MOST_PIXELS = 178_956_970;

    /** @throws IllegalArgumentException if the bytes do not fill the picture */
    public RgbImage {
        if (height < 1 || width < 1 || pixels.length != 3L * height * width) {
            throw new IllegalArgumentException("a picture of " + height + " by " + width + " has " + 3L * height * width
                    + " bytes, got " + pixels.length + ". Pass [height, width, 3] bytes.");
        }
    }

    /**
     * Reads a PNG or JPEG file (also GIF and BMP: the first picture).
     *
     * @throws ModelException saying what is wrong with the file
     */
    public static RgbImage read(Path file) {
        try (InputStream in = Files.newInputStream(file)) {
            return read(in, file.toString());
        } catch (IOException e) {
            throw new ModelException("cannot read the picture " + file + ": " + e.getMessage(), e);
        }
    }

    /**
     * Reads a picture as Pillow's {@code convert("RGB")} gives it: transparency is dropped, grey becomes three equal
     * channels, and neither colour profiles nor the orientation of a camera are applied. 16 bits lose the lower 8 (where
     * Pillow makes a 16-bit grey picture nearly white). JPEG decoders may differ from each other by a few levels of 255.
     *
     * @param origin for messages
     * @throws ModelException saying what is wrong with the picture
     */
    public static RgbImage read(InputStream in, String origin) {
        try (ImageInputStream bytes = new MemoryCacheImageInputStream(in)) {
            Iterator<ImageReader> readers = ImageIO.getImageReaders(bytes);
            if (!readers.hasNext()) {
                throw new ModelException(origin + " is no picture that can be read. Convert it to PNG or JPEG.");
            }
            ImageReader reader = readers.next();
            try {
                reader.setInput(bytes, true, true);
                long size = (long) reader.getWidth(0) * reader.getHeight(0);
                if (size > MOST_PIXELS) {
                    throw new ModelException(origin + " has " + size + " pixels; at most " + MOST_PIXELS + " are read. Shrink it first.");
                }
                return of(reader.read(0), origin);
            } finally {
                reader.dispose();
            }
        } catch (IOException | IllegalArgumentException | IndexOutOfBoundsException | NegativeArraySizeException e) {
            throw new ModelException(origin + " cannot be decoded: " + e.getMessage() + ". The file is damaged or of a kind that "
                    + "Java does not read, such as CMYK. Save it as a plain PNG.", e);
        }
    }

    private static RgbImage of(BufferedImage image, String origin) {
        int width = image.getWidth();
        int height = image.getHeight();
        ColorModel colours = image.getColorModel();
        Raster raster = image.getRaster();
        byte[] out = new byte[3 * height * width];
        // Samples are taken as they are stored: getRGB would convert grey and profiled colours to another colour space.
        boolean stored = colours instanceof ComponentColorModel;
        int space = colours.getColorSpace().getType();
        if (space != ColorSpace.TYPE_RGB && space != ColorSpace.TYPE_GRAY) {
            throw new ModelException(origin + " is neither in colours of red, green and blue nor grey. Save it as a plain PNG.");
        }
        int bands = raster.getNumBands();
        int shift = stored ? colours.getComponentSize(0) - 8 : 0;
        if (stored && shift < 0) {
            throw new ModelException(origin + " has " + colours.getComponentSize(0) + " bits a channel. Save it with 8 bits.");
        }
        for (int y = 0, at = 0; y < height; y++) {
            for (int x = 0; x < width; x++, at += 3) {
                int rgb = stored ? 0 : image.getRGB(x, y);
                for (int c = 0; c < 3; c++) {
                    out[at + c] = (byte) (stored ? raster.getSample(x, y, bands < 3 ? 0 : c) >> shift : rgb >> 16 - 8 * c);
                }
            }
        }
        return new RgbImage(height, width, out);
    }

    /** The bytes as {@code [3, height, width]}. */
    public byte[] planes() {
        byte[] out = new byte[pixels.length];
        int plane = height * width;
        for (int i = 0; i < pixels.length; i++) {
            out[i % 3 * plane + i / 3] = pixels[i];
        }
        return out;
    }

    /**
     * The middle {@code h x w}; where the picture is smaller, black is added around it, the odd row or column below
     * and to the right.
     */
    public RgbImage centreCrop(int h, int w) {
        byte[] out = new byte[3 * h * w];
        int top = height >= h ? (height - h) / 2 : -((h - height) / 2);
        int left = width >= w ? (width - w) / 2 : -((w - width) / 2);
        for (int y = Math.max(0, -top); y < h && y + top < height; y++) {
            int x = Math.max(0, -left);
            int n = Math.min(w, width - left) - x;
            System.arraycopy(pixels, 3 * ((y + top) * width + x + left), out, 3 * (y * w + x), 3 * n);
        }
        return new RgbImage(h, w, out);
    }
}
