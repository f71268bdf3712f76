package dev.jotune.models.image;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.jotune.models.Config;
import dev.jotune.models.ModelException;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ImagePreprocessorTest {
    private static ImagePreprocessor read(String json) {
        return ImagePreprocessor.read(Config.parse(json, "preprocessor_config.json"));
    }

    @Test
    void theOldFormSaysTheSameAsTodays() {
        assertThat(read("""
                {"feature_extractor_type": "CLIPFeatureExtractor", "do_center_crop": true, "do_normalize": true, "do_resize": true,
                 "crop_size": 224, "size": 224, "resample": 3, "image_mean": [0.48145466, 0.4578275, 0.40821073],
                 "image_std": [0.26862954, 0.26130258, 0.27577711]}""")).isEqualTo(read("""
                {"image_processor_type": "CLIPImageProcessor", "crop_size": {"height": 224, "width": 224},
                 "size": {"shortest_edge": 224}, "rescale_factor": 0.00392156862745098}"""));
        assertThat(read("""
                {"feature_extractor_type": "ViTFeatureExtractor", "size": 384, "image_mean": [0.5, 0.5, 0.5],
                 "image_std": [0.5, 0.5, 0.5], "resample": 2}""")).isEqualTo(read("""
                {"image_processor_type": "ViTImageProcessor", "size": {"height": 384, "width": 384}}"""));
    }

    @Test
    void withoutANameTheModelSaysWhichKindItIs(@TempDir Path folder) throws IOException {
        Files.writeString(folder.resolve("preprocessor_config.json"), "{\"size\": 32, \"do_resize\": true}");
        Files.writeString(folder.resolve("config.json"), "{\"model_type\": \"vit\"}");
        assertThat(ImagePreprocessor.read(folder)).isEqualTo(read("{\"image_processor_type\": \"ViTImageProcessor\", \"size\": 32}"));
        Files.writeString(folder.resolve("config.json"), "{\"model_type\": \"clip\"}");
        assertThat(ImagePreprocessor.read(folder)).isEqualTo(read("{\"image_processor_type\": \"CLIPImageProcessor\", \"size\": 32}"));
        Files.writeString(folder.resolve("config.json"), "{\"model_type\": \"bert\"}");
        assertThatThrownBy(() -> ImagePreprocessor.read(folder)).isInstanceOf(ModelException.class).hasMessageContaining("''");
    }

    @Test
    void whatIsNotSupportedIsRefusedByName() {
        refused("{\"image_processor_type\": \"BitImageProcessor\"}", "BitImageProcessor");
        refused("{\"image_processor_type\": \"ViTImageProcessor\", \"size\": {\"longest_edge\": 9}}", "longest_edge");
        refused("{\"image_processor_type\": \"ViTImageProcessor\", \"resample\": 6}", "'resample' is 6");
        refused("{\"image_processor_type\": \"ViTImageProcessor\", \"image_mean\": [1]}", "image_mean");
        refused("{\"image_processor_type\": \"ViTImageProcessor\", \"size\": -1}", "'size' is -1");
        refused("{\"image_processor_type\": \"ViTImageProcessor\", \"size\": 100000}", "100000 by 100000");
        refused("{\"image_processor_type\": \"ViTImageProcessor\", \"do_pad\": true}", "do_pad");
    }

    private static void refused(String json, String words) {
        assertThatThrownBy(() -> read(json)).isInstanceOf(ModelException.class).hasMessageContaining(words);
    }

    @Test
    void withEverythingOffThePixelsAreTheBytes() {
        ImagePreprocessor p = read("""
                {"image_processor_type": "ViTImageProcessor", "do_resize": false, "do_rescale": false, "do_normalize": false}""");
        Tensor t = p.pixelValues(Backends.reference(), DType.F64, List.of(new RgbImage(1, 2, new byte[] {1, 2, 3, -1, 5, 6})));
        assertThat(t.shape()).containsExactly(1, 3, 1, 2);
        assertThat(t.toDoubleArray()).containsExactly(1, 255, 2, 5, 3, 6);
    }

    @Test
    void picturesOfDifferentSizesDoNotMakeABatch() {
        ImagePreprocessor p = read("{\"image_processor_type\": \"ViTImageProcessor\", \"do_resize\": false}");
        RgbImage a = new RgbImage(1, 2, new byte[6]);
        RgbImage b = new RgbImage(2, 1, new byte[6]);
        assertThatThrownBy(() -> p.pixelValues(Backends.cpu(), DType.F32, List.of(a, b)))
                .isInstanceOf(IllegalArgumentException.class).hasMessageContaining("picture 1 is 2 by 1");
        assertThatThrownBy(() -> p.pixelValues(Backends.cpu(), DType.F32, List.of()))
                .isInstanceOf(IllegalArgumentException.class).hasMessageContaining("no pictures");
    }
}
