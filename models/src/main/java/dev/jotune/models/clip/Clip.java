package dev.jotune.models.clip;

import dev.jotune.autograd.Var;
import dev.jotune.autograd.ops.CrossEntropy;
import dev.jotune.models.DualEncoder;
import dev.jotune.models.EncoderInput;
import dev.jotune.models.ImageInput;
import dev.jotune.models.Weights;
import dev.jotune.models.seam.LinearLayer;
import dev.jotune.models.seam.Parameter;
import dev.jotune.models.seam.Pass;
import dev.jotune.models.seam.Seams;
import dev.jotune.tensor.Backend;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import java.util.stream.LongStream;

/**
 * CLIP (arXiv 2103.00020): texts and pictures in one space. The seams hold both towers, that of texts first; its size is
 * the model's where a backbone is asked for one number.
 */
public final class Clip implements DualEncoder {
    private final ClipConfig config;
    private final Seams seams = new Seams();
    private final ClipText text;
    private final ClipVision vision;
    private final LinearLayer textProjection;
    private final LinearLayer visualProjection;
    private final Parameter logitScale;

    /**
     * @param source the weights under their checkpoint names
     * @param computeType F32, or F64 on the reference backend
     */
    public Clip(ClipConfig config, Weights.Source source, Backend backend, DType computeType) {
        this.config = config;
        Weights w = new Weights(source, seams);
        text = new ClipText(config.text(), w, seams, backend, computeType);
        vision = new ClipVision(config.vision(), w, seams, backend, computeType);
        textProjection = w.linear("text_projection", config.projectionDim(), text.hiddenSize(), false);
        visualProjection = w.linear("visual_projection", config.projectionDim(), vision.hiddenSize(), false);
        logitScale = w.parameter("logit_scale");
    }

    public ClipConfig config() {
        return config;
    }

    @Override
    public ClipText text() {
        return text;
    }

    @Override
    public ClipVision vision() {
        return vision;
    }

    @Override
    public Var textFeatures(EncoderInput input, Pass pass) {
        return textProjection.forward(text.pooled(text.forward(input, pass), input), pass);
    }

    @Override
    public Var imageFeatures(ImageInput input, Pass pass) {
        return visualProjection.forward(vision.features(vision.forward(input, pass), pass), pass);
    }

    /** {@code exp(logit_scale) cos(image, text)}. */
    @Override
    public Var logitsPerImage(Var imageFeatures, Var textFeatures, Pass pass) {
        Var cosines = DualEncoder.normalised(imageFeatures).matmul(DualEncoder.normalised(textFeatures).transpose(0, 1));
        return pass.perGroup(cosines, (rows, g) -> rows.mul(logitScale.value(g).to(computeType()).exp()));
    }

    @Override
    public Var loss(EncoderInput texts, ImageInput pictures, Pass pass) {
        long n = texts.batch();
        if (pictures.pixels().size(0) != n) {
            throw new IllegalArgumentException(n + " texts and " + pictures.pixels().size(0)
                    + " pictures do not make pairs. Give text i for picture i.");
        }
        Var logits = logitsPerImage(imageFeatures(pictures, pass), textFeatures(texts, pass), pass);
        Tensor own = Tensor.of(backend(), LongStream.range(0, n).toArray(), n);
        return CrossEntropy.apply(logits, own).add(CrossEntropy.apply(logits.transpose(0, 1), own)).mul(0.5);
    }

    @Override
    public Seams seams() {
        return seams;
    }

    @Override
    public String modelType() {
        return "clip";
    }

    @Override
    public int hiddenSize() {
        return text.hiddenSize();
    }

    @Override
    public int layers() {
        return text.layers();
    }

    @Override
    public int contextLength() {
        return text.contextLength();
    }

    @Override
    public Backend backend() {
        return text.backend();
    }

    @Override
    public DType computeType() {
        return text.computeType();
    }

    @Override
    public void setCheckpointing(boolean on) {
        text.setCheckpointing(on);
        vision.setCheckpointing(on);
    }
}
