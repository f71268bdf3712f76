package dev.jotune.models.image;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.jotune.models.ModelException;
import java.awt.Color;
import java.awt.image.BufferedImage;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.zip.CRC32;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class RgbImageTest {
    private static RgbImage read(byte[] bytes) {
        return RgbImage.read(new ByteArrayInputStream(bytes), "test.png");
    }

    private static byte[] png(BufferedImage image) throws IOException {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        assertThat(ImageIO.write(image, "png", out)).isTrue();
        return out.toByteArray();
    }

    @ParameterizedTest
    @ValueSource(ints = {BufferedImage.TYPE_INT_RGB, BufferedImage.TYPE_3BYTE_BGR, BufferedImage.TYPE_4BYTE_ABGR, BufferedImage.TYPE_INT_ARGB})
    void coloursAreReadInOrderAndTransparencyIsDropped(int type) throws IOException {
        BufferedImage image = new BufferedImage(3, 2, type);
        byte[] want = new byte[18];
        for (int i = 0; i < 6; i++) {
            image.setRGB(i % 3, i / 3, new Color(10 * i, 10 * i + 1, 200 - i, 255 - 40 * i).getRGB());
            want[3 * i] = (byte) (10 * i);
            want[3 * i + 1] = (byte) (10 * i + 1);
            want[3 * i + 2] = (byte) (200 - i);
        }
        RgbImage got = read(png(image));
        assertThat(got.height()).isEqualTo(2);
        assertThat(got.width()).isEqualTo(3);
        assertThat(got.pixels()).isEqualTo(want);
    }

    @Test
    void greyIsTakenAsItIsStored() throws IOException {
        BufferedImage grey = new BufferedImage(256, 1, BufferedImage.TYPE_BYTE_GRAY);
        BufferedImage fine = new BufferedImage(256, 1, BufferedImage.TYPE_USHORT_GRAY);
        for (int i = 0; i < 256; i++) {
            grey.getRaster().setSample(i, 0, 0, i);
            fine.getRaster().setSample(i, 0, 0, i << 8 | 0x7f);
        }
        for (BufferedImage image : new BufferedImage[] {grey, fine}) {
            byte[] got = read(png(image)).pixels();
            for (int i = 0; i < got.length; i++) {
                assertThat(got[i] & 0xff).isEqualTo(i / 3);
            }
        }
    }

    @Test
    void palettesAreLookedUp() throws IOException {
        BufferedImage image = new BufferedImage(2, 1, BufferedImage.TYPE_BYTE_INDEXED);
        image.setRGB(0, 0, Color.RED.getRGB());
        image.setRGB(1, 0, Color.BLUE.getRGB());
        assertThat(read(png(image)).pixels()).containsExactly(255, 0, 0, 0, 0, 255);
    }

    @Test
    void whatIsNoPictureIsRefused() throws IOException {
        byte[] whole = png(new BufferedImage(40, 40, BufferedImage.TYPE_INT_RGB));
        assertThatThrownBy(() -> read("hello".getBytes(StandardCharsets.UTF_8))).isInstanceOf(ModelException.class)
                .hasMessageContaining("no picture");
        assertThatThrownBy(() -> read(Arrays.copyOf(whole, 40))).isInstanceOf(ModelException.class).hasMessageContaining("test.png");
    }

    @Test
    void aHeaderThatPromisesTooMuchIsRefusedBeforeAnythingIsDecoded() throws IOException {
        byte[] bytes = png(new BufferedImage(4, 4, BufferedImage.TYPE_INT_RGB));
        // The header chunk: length at 8, IHDR at 12, width at 16, height at 20, its checksum at 29.
        ByteBuffer b = ByteBuffer.wrap(bytes).putInt(16, 100_000).putInt(20, 100_000);
        CRC32 crc = new CRC32();
        crc.update(bytes, 12, 17);
        b.putInt(29, (int) crc.getValue());
        assertThatThrownBy(() -> read(bytes)).isInstanceOf(ModelException.class).hasMessageContaining("10000000000 pixels");
    }

    @Test
    void damagedFilesAreRefusedOrReadButNeverCrash() throws IOException {
        byte[] whole = png(new BufferedImage(9, 9, BufferedImage.TYPE_INT_RGB));
        for (int i = 0; i < whole.length; i++) {
            byte[] bytes = whole.clone();
            bytes[i] ^= 0x15;
            try {
                assertThat(read(bytes).pixels()).isNotEmpty();
            } catch (ModelException e) {
                assertThat(e).hasMessageContaining("test.png");
            }
        }
    }

    @Test
    void theMiddleIsCroppedAndBlackIsAddedWhereItIsMissing() {
        RgbImage image = new RgbImage(3, 4, new byte[36]);
        for (int i = 0; i < 36; i++) {
            image.pixels()[i] = (byte) (1 + i / 3);
        }
        assertThat(reds(image.centreCrop(1, 2))).containsExactly(6, 7);
        assertThat(reds(image.centreCrop(3, 4))).isEqualTo(reds(image));
        // Two rows are missing, one above and one below; of the columns the first and the last are cut.
        assertThat(reds(image.centreCrop(5, 2))).containsExactly(0, 0, 2, 3, 6, 7, 10, 11, 0, 0);
        assertThat(reds(image.centreCrop(1, 7))).containsExactly(0, 5, 6, 7, 8, 0, 0);
    }

    private static int[] reds(RgbImage image) {
        int[] out = new int[image.height() * image.width()];
        Arrays.setAll(out, i -> image.pixels()[3 * i]);
        return out;
    }

    @Test
    void theBytesMustFillThePicture() {
        assertThatThrownBy(() -> new RgbImage(2, 2, new byte[11])).isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("12 bytes, got 11");
    }
}
