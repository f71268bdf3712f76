package dev.jotune.models.image;

import dev.jotune.models.Config;
import dev.jotune.models.ModelException;
import dev.jotune.tensor.Backend;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/**
 * From a picture to {@code pixel_values}: resize, crop the middle, scale, normalise, each of them optional; as
 * {@code CLIPImageProcessor} and {@code ViTImageProcessor} of transformers do it with Pillow.
 *
 * @param size what the picture is resized to
 * @param crop the middle part that is kept
 * @param rescaleFactor of the bytes; 1 for none
 * @param mean of red, green and blue after scaling, subtracted; 0 for none
 * @param std of red, green and blue after scaling, divided by; 1 for none
 */
public record ImagePreprocessor(Optional<Size> size, Resample resample, Optional<Size.Exact> crop, double rescaleFactor,
        List<Double> mean, List<Double> std) {

    /** What a picture is resized to. */
    public sealed interface Size {
        /** This size, whatever the proportions. */
        record Exact(int height, int width) implements Size {}

        /** The shorter edge; the longer one keeps the proportions, rounded down. */
        record ShortestEdge(int length) implements Size {}

        /** The size of an {@code image} after resizing. */
        default Exact of(RgbImage image) {
            return switch (this) {
                case Exact e -> e;
                case ShortestEdge s -> image.height() <= image.width()
                        ? new Exact(s.length, longer(s.length, image.width(), image.height()))
                        : new Exact(longer(s.length, image.height(), image.width()), s.length);
            };
        }

        private static int longer(int length, int longEdge, int shortEdge) {
            double longer = (double) length * longEdge / shortEdge;
            if (longer * length > RgbImage.MOST_PIXELS) {
                throw new IllegalArgumentException("a picture of " + longEdge + " by " + shortEdge + " with its shorter edge at "
                        + length + " would have more than " + RgbImage.MOST_PIXELS + " pixels. Crop it first.");
            }
            return (int) longer;
        }
    }

    /** Pictures are always turned to red, green and blue here, and lie in memory as this library has them. */
    private static final Set<String> HARMLESS = Set.of("data_format", "device", "disable_grouping", "do_convert_rgb",
            "input_data_format", "processor_class", "return_tensors");

    /** The processors that differ in nothing but their defaults, and what an old {@code "size": 224} means. */
    private enum Kind {
        CLIP(false, Resample.BICUBIC, List.of(0.48145466, 0.4578275, 0.40821073), List.of(0.26862954, 0.26130258, 0.27577711)),
        VIT(true, Resample.BILINEAR, List.of(0.5, 0.5, 0.5), List.of(0.5, 0.5, 0.5));

        private final boolean square;
        private final Resample resample;
        private final List<Double> mean;
        private final List<Double> std;

        Kind(boolean square, Resample resample, List<Double> mean, List<Double> std) {
            this.square = square;
            this.resample = resample;
            this.mean = mean;
            this.std = std;
        }
    }

    /**
     * The preprocessing of a model folder, from its {@code preprocessor_config.json}; where that does not say what kind
     * it is, the model type of {@code config.json} does.
     *
     * @throws ModelException naming the field that is malformed or not supported
     */
    public static ImagePreprocessor read(Path folder) {
        Config c = Config.read(folder.resolve("preprocessor_config.json"));
        return type(c).isEmpty() ? read(c, switch (Config.read(folder.resolve("config.json")).text("model_type", "")) {
            case "clip", "clip_vision_model" -> Kind.CLIP;
            case "vit" -> Kind.VIT;
            default -> kind(c);
        }) : read(c);
    }

    /** The preprocessing of a configuration in today's form ({@code "size": {"shortest_edge": 224}}) or the old one (a number). */
    public static ImagePreprocessor read(Config c) {
        return read(c, kind(c));
    }

    private static String type(Config c) {
        return c.text("image_processor_type", c.text("feature_extractor_type", ""));
    }

    private static Kind kind(Config c) {
        return switch (type(c)) {
            case "CLIPImageProcessor", "CLIPImageProcessorFast", "CLIPImageProcessorPil", "CLIPFeatureExtractor" -> Kind.CLIP;
            case "ViTImageProcessor", "ViTImageProcessorFast", "ViTImageProcessorPil", "ViTFeatureExtractor" -> Kind.VIT;
            default -> throw new ModelException(c.origin() + ": image_processor_type '" + type(c)
                    + "' is not supported. Supported: CLIPImageProcessor, ViTImageProcessor.");
        };
    }

    private static ImagePreprocessor read(Config c, Kind kind) {
        Size resized = size(c, c.flag("default_to_square", kind.square));
        Size.Exact middle = crop(c);
        Optional<Size> size = c.flag("do_resize", true) ? Optional.of(resized) : Optional.empty();
        Optional<Size.Exact> crop = c.flag("do_center_crop", kind == Kind.CLIP) ? Optional.of(middle) : Optional.empty();
        int method = (int) c.number("resample", kind.resample.ordinal());
        if (method < 0 || method >= Resample.values().length) {
            throw new ModelException(c.origin() + ": 'resample' is " + method + ", expected one of Pillow's filters, 0 to 5.");
        }
        double factor = c.number("rescale_factor", 1.0 / 255);
        List<Double> mean = channels(c, "image_mean", kind.mean);
        List<Double> std = channels(c, "image_std", kind.std);
        boolean normalises = c.flag("do_normalize", true);
        ImagePreprocessor out = new ImagePreprocessor(size, Resample.values()[method], crop, c.flag("do_rescale", true) ? factor : 1,
                normalises ? mean : List.of(0.0, 0.0, 0.0), normalises ? std : List.of(1.0, 1.0, 1.0));
        c.finish(HARMLESS);
        return out;
    }

    private static Size size(Config c, boolean square) {
        if (!c.isObject("size")) {
            int n = c.size("size", 224);
            return square ? exact(c, n, n) : new Size.ShortestEdge(n);
        }
        Config s = c.child("size");
        for (String other : List.of("longest_edge", "max_height", "max_width")) {
            if (s.has(other)) {
                throw new ModelException(s.origin() + ": '" + other + "' is not supported. Give height and width, or shortest_edge.");
            }
        }
        return s.has("shortest_edge") ? new Size.ShortestEdge(s.size("shortest_edge")) : exact(s, s.size("height"), s.size("width"));
    }

    private static Size.Exact crop(Config c) {
        if (!c.isObject("crop_size")) {
            int n = c.size("crop_size", 224);
            return exact(c, n, n);
        }
        Config s = c.child("crop_size");
        return exact(s, s.size("height"), s.size("width"));
    }

    private static Size.Exact exact(Config c, int height, int width) {
        if ((long) height * width > RgbImage.MOST_PIXELS) {
            throw new ModelException(c.origin() + " asks for pictures of " + height + " by " + width + ". At most "
                    + RgbImage.MOST_PIXELS + " pixels are made.");
        }
        return new Size.Exact(height, width);
    }

    private static List<Double> channels(Config c, String field, List<Double> otherwise) {
        if (!c.has(field)) {
            return otherwise;
        }
        double[] v = c.numbers(field);
        if (v.length != 3) {
            throw new ModelException(c.origin() + ": '" + field + "' has " + v.length + " numbers, expected one each for red, green and blue.");
        }
        return List.of(v[0], v[1], v[2]);
    }

    /**
     * The picture resized, before it is cropped.
     *
     * @throws IllegalArgumentException if the longer edge would become too long
     */
    public RgbImage resized(RgbImage image) {
        return size.map(s -> s.of(image)).map(s -> Resizer.resize(image, s.height(), s.width(), resample)).orElse(image);
    }

    /**
     * {@code pixel_values [B, 3, height, width]} of B pictures.
     *
     * @throws IllegalArgumentException if the pictures differ in size after resizing and cropping
     */
    public Tensor pixelValues(Backend backend, DType type, List<RgbImage> images) {
        double[] values = null;
        RgbImage first = null;
        for (int b = 0; b < images.size(); b++) {
            RgbImage resized = resized(images.get(b));
            RgbImage image = crop.map(k -> resized.centreCrop(k.height(), k.width())).orElse(resized);
            if (first == null) {
                first = image;
                values = new double[Math.multiplyExact(images.size(), image.pixels().length)];
            } else if (image.height() != first.height() || image.width() != first.width()) {
                throw new IllegalArgumentException("picture " + b + " is " + image.height() + " by " + image.width()
                        + " after preprocessing, the ones before are " + first.height() + " by " + first.width()
                        + ". Put pictures of one size into a batch.");
            }
            normalise(image, values, b * image.pixels().length);
        }
        if (first == null) {
            throw new IllegalArgumentException("there are no pictures. Pass at least one.");
        }
        return Tensor.of(backend, type, values, images.size(), 3, first.height(), first.width());
    }

    private void normalise(RgbImage image, double[] out, int from) {
        byte[] planes = image.planes();
        int plane = planes.length / 3;
        for (int i = 0; i < planes.length; i++) {
            out[from + i] = ((planes[i] & 0xff) * rescaleFactor - mean.get(i / plane)) / std.get(i / plane);
        }
    }
}
