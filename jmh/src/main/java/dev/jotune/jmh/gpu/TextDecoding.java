package dev.jotune.jmh.gpu;

import dev.jotune.jmh.Workload;
import dev.jotune.models.generate.LanguageModel;
import dev.jotune.tensor.Backend;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.kernels.Precision;
import java.util.Map;
import java.util.OptionalDouble;

/** A step of writing one text: a token goes in, the logits of the next come to the host. */
final class TextDecoding implements Work {
    private static final int PROMPT = 16;
    /** Tokens after the prompt that are compared. */
    private static final int COMPARED = 6;
    /** Tokens at which the text is begun anew. */
    private static final int MOST = 500;

    private final Setting setting;
    private final Workload.Shape shape;
    private final LanguageModel.Session session;
    private final float[] logits;

    TextDecoding(Setting setting) {
        this.setting = setting;
        shape = setting.tiny() ? TrainingStep.TINY : Workload.Shape.B1;
        session = open(setting.backend(), shape);
        session.feed(prompt(shape));
        logits = new float[shape.vocabulary()];
    }

    private static LanguageModel.Session open(Backend b, Workload.Shape shape) {
        return new Workload("decode", shape, 1, PROMPT, DType.BF16, Precision.BF16, b).languageModel().open();
    }

    private static int[] prompt(Workload.Shape shape) {
        int[] ids = new int[PROMPT];
        for (int i = 0; i < PROMPT; i++) {
            ids[i] = token(shape, i);
        }
        return ids;
    }

    private static int token(Workload.Shape shape, int i) {
        return (int) (i * 7919L % shape.vocabulary());
    }

    @Override
    public Mode mode() {
        return Mode.WALL;
    }

    @Override
    public void run(int set) {
        if (session.length() >= MOST) {
            session.rewind(PROMPT);
        }
        session.feed(token(shape, session.length()));
        session.logits(logits);
    }

    /** The logits after the prompt and after each of some tokens, of a smaller model, beside the CPU's. */
    @Override
    public Check check() {
        Workload.Shape small = setting.tiny() ? shape : TrainingStep.COMPARED;
        Tensor there = logits(setting.backend(), small);
        Tensor here = logits(Backends.cpu(), small);
        // Activations are rounded before every product, and two layers of them lie on the way.
        return new Check(Setting.error(there, here), 2 * Setting.tolerance(DType.BF16));
    }

    private static Tensor logits(Backend b, Workload.Shape shape) {
        float[] all = new float[(COMPARED + 1) * shape.vocabulary()];
        float[] some = new float[shape.vocabulary()];
        try (LanguageModel.Session s = open(b, shape)) {
            s.feed(prompt(shape));
            for (int i = 0; i <= COMPARED; i++) {
                s.logits(some);
                System.arraycopy(some, 0, all, i * some.length, some.length);
                s.feed(token(shape, s.length()));
            }
        }
        return Tensor.of(Backends.cpu(), all, all.length);
    }

    @Override
    public double value(double micros, OptionalDouble baseline, OptionalDouble vendorBaseline) {
        return 1e6 / micros;
    }

    @Override
    public Map<String, Object> facts() {
        return Map.of("type", "BF16 weights");
    }
}
