package dev.jotune.models.decoder;

import dev.jotune.models.KvCache;
import dev.jotune.models.TokenSteps;
import dev.jotune.models.seam.Hooks;
import dev.jotune.models.seam.Pass;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.kernels.DecodeKernel;
import java.util.Optional;

/**
 * Steps of a {@link Decoder} through the backend's decode kernel: Llama, Mistral, Qwen 2 and 3, on stored weights of any
 * type, with no adapter but virtual tokens, which the cache holds.
 */
final class DecoderSteps implements TokenSteps {
    private final KvCache cache;
    private final DecodeParts parts;
    private final DecodeKernel.Steps steps;
    private final Rope rope;
    private final float[] cos;
    private final float[] sin;
    private final Tensor[] keys;
    private final Tensor[] values;

    private DecoderSteps(KvCache cache, DecodeParts parts, DecodeKernel.Steps steps, Rope rope, int layers) {
        this.cache = cache;
        this.parts = parts;
        this.steps = steps;
        this.rope = rope;
        cos = new float[rope.inverseFrequencies().size()];
        sin = new float[cos.length];
        keys = new Tensor[layers];
        values = new Tensor[layers];
    }

    static Optional<TokenSteps> of(Decoder model, Pass pass, KvCache cache) {
        Optional<DecodeKernel> kernel = model.backend().kernel(DecodeKernel.class);
        Rope rope = model.config().ropes().getFirst();
        boolean bare = pass.isUniform() && !pass.training() && pass.groups().getFirst().hooks().stream().allMatch(DecoderSteps::isBare);
        if (kernel.isEmpty() || !bare || cache.batch() != 1 || rope.dependsOnLength()) {
            return Optional.empty();
        }
        DecodeParts parts = new DecodeParts();
        Optional<DecodeKernel.Model> prepared = model.prepared(parts);
        if (prepared.isEmpty() || !parts.isReadable() || !kernel.get().supports(prepared.get())) {
            return Optional.empty();
        }
        return Optional.of(new DecoderSteps(cache, parts, kernel.get().prepare(prepared.get()), rope, model.layers()));
    }

    private static boolean isBare(Hooks h) {
        return h.projections().isEmpty() && h.overrides().isEmpty() && h.segments().isEmpty() && h.taps().isEmpty();
    }

    @Override
    public boolean read(int token, float[] logits) {
        long length = cache.length();
        if (length == 0 || cache.batch() != 1 || !parts.isCurrent() || !cache.isWhole()) {
            return false;
        }
        cache.grow(null, 1);
        cache.whole(keys, values);
        rope.angles(length, cos, sin);
        steps.step(token, Math.toIntExact(length), cos, sin, keys, values, logits);
        return true;
    }

    @Override
    public void close() {
        steps.close();
    }
}
