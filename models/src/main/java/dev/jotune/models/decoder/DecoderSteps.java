package dev.jotune.models.decoder;

import dev.jotune.autograd.Recording;
import dev.jotune.autograd.ops.Attention;
import dev.jotune.models.KvCache;
import dev.jotune.models.TokenSteps;
import dev.jotune.models.seam.Group;
import dev.jotune.models.seam.Hooks;
import dev.jotune.models.seam.Pass;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.kernels.DecodeKernel;
import java.util.List;
import java.util.Optional;

/**
 * Steps of a {@link Decoder} through the backend's decode kernel: Llama, Mistral, Qwen 2 and 3, on stored weights of any
 * type, under no adapter, virtual tokens (which the cache holds), own copies of weights, and, as far as the kernel has them, low-rank
 * terms and tuned prefixes. Why there are none is said once, to {@link #LOG}.
 */
final class DecoderSteps implements TokenSteps {
    /** Whether what decoding goes through is said to everybody instead of at level DEBUG. */
    private static final String SAY = "jotune.steps.say";
    private static final System.Logger LOG = System.getLogger("dev.jotune.steps");

    private final KvCache cache;
    private final int rows;
    /** Positions before the cache: of prefixes. */
    private final long before;
    private final boolean readsPadding;
    private final DecodeParts parts;
    private final DecodeKernel.Steps steps;
    private final Rope rope;
    private final int[] padding;
    private final float[] cos;
    private final float[] sin;
    private final float[] cosOfRow;
    private final float[] sinOfRow;
    private final Tensor[] keys;
    private final Tensor[] values;

    private DecoderSteps(KvCache cache, long before, boolean readsPadding, DecodeParts parts, DecodeKernel.Steps steps, Rope rope, int layers) {
        this.cache = cache;
        this.rows = Math.toIntExact(cache.batch());
        this.before = before;
        this.readsPadding = readsPadding;
        this.parts = parts;
        this.steps = steps;
        this.rope = rope;
        padding = new int[2 * rows];
        cosOfRow = new float[rope.inverseFrequencies().size()];
        sinOfRow = new float[cosOfRow.length];
        cos = new float[rows * cosOfRow.length];
        sin = new float[cos.length];
        keys = new Tensor[layers];
        values = new Tensor[layers];
    }

    static Optional<TokenSteps> of(Decoder model, Pass pass, KvCache cache) {
        Optional<DecodeKernel> kernel = model.backend().kernel(DecodeKernel.class);
        int rows = Math.toIntExact(cache.batch());
        if (kernel.isEmpty()) {
            return refuse("backend " + model.backend().name() + " has no steps", rows);
        }
        DecodeKernel.Use use = use(pass, rows, cache.visible() != null);
        Rope rope = model.config().ropes().getFirst();
        Optional<String> obstacle = kernel.get().obstacle(use).or(() -> obstacle(pass))
                .or(() -> rope.dependsOnLength() ? Optional.of("angles depend on the text's length") : Optional.empty())
                .or(() -> cache.isWhole() ? Optional.empty() : Optional.of("keys and values lie in blocks"));
        if (obstacle.isPresent()) {
            return refuse(obstacle.get(), rows);
        }
        List<List<Attention.Segment>> segments = Recording.off(() -> pass.segments(model.seams().attentions(), rows));
        DecodeParts parts = new DecodeParts(pass, segments);
        Optional<DecodeKernel.Model> prepared = model.prepared(parts);
        if (prepared.isEmpty()) {
            return refuse("a " + model.modelType() + " model has parts that steps have not", rows);
        }
        obstacle = parts.obstacle().or(() -> kernel.get().obstacle(prepared.get()));
        if (obstacle.isPresent()) {
            return refuse(obstacle.get(), rows);
        }
        LOG.log(level(), () -> "Texts go through prepared steps of " + model.backend().name() + ", " + rows + " at once.");
        long before = pass.groups().getFirst().segmentPositions(model.input().name());
        return Optional.of(new DecoderSteps(cache, before, kernel.get().obstacle(use(pass, rows, true)).isEmpty(), parts,
                kernel.get().prepare(prepared.get(), rows), rope, model.layers()));
    }

    private static DecodeKernel.Use use(Pass pass, int rows, boolean padded) {
        List<Hooks> hooks = pass.groups().stream().flatMap(g -> g.hooks().stream()).toList();
        return new DecodeKernel.Use(rows, padded, hooks.stream().anyMatch(h -> !h.projections().isEmpty()),
                hooks.stream().anyMatch(h -> h.segments().isPresent()));
    }

    private static Optional<TokenSteps> refuse(String why, int rows) {
        LOG.log(level(), () -> "Texts go through the whole model at every step, " + rows + " at once: " + why + ".");
        return Optional.empty();
    }

    private static System.Logger.Level level() {
        return Boolean.getBoolean(SAY) ? System.Logger.Level.INFO : System.Logger.Level.DEBUG;
    }

    private static Optional<String> obstacle(Pass pass) {
        if (!pass.isUniform() || pass.training()) {
            return Optional.of(pass.training() ? "dropout is on" : "rows run under different adapters");
        }
        Group group = pass.groups().getFirst();
        return group.hooks().stream().filter(h -> !h.taps().isEmpty() || h.segments().stream().anyMatch(s -> !s.isFixed())).findFirst()
                .map(h -> "adapter '" + h.name() + "' " + (h.taps().isEmpty() ? "adds to attention" : "taps") + " what steps do not show");
    }

    @Override
    public boolean read(int[] tokens, float[][] logits) {
        long length = cache.length();
        if (length == 0 || cache.batch() != rows || !parts.isCurrent() || !cache.isWhole() || cache.visible() != null && !readsPadding
                || !cache.padding(padding)) {
            return false;
        }
        cache.grow(null, 1);
        cache.whole(keys, values);
        for (int b = 0; b < rows; b++) {
            rope.angles(before + length - (padding[2 * b + 1] - padding[2 * b]), cosOfRow, sinOfRow);
            System.arraycopy(cosOfRow, 0, cos, b * cosOfRow.length, cosOfRow.length);
            System.arraycopy(sinOfRow, 0, sin, b * cosOfRow.length, cosOfRow.length);
        }
        steps.step(tokens, Math.toIntExact(length), padding, cos, sin, keys, values, logits);
        return true;
    }

    @Override
    public void close() {
        steps.close();
    }
}
