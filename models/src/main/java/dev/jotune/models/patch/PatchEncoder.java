package dev.jotune.models.patch;

import dev.jotune.autograd.Var;
import dev.jotune.models.Hidden;
import dev.jotune.models.Network;
import dev.jotune.models.TokenLayout;
import dev.jotune.models.Weights;
import dev.jotune.models.head.Noise;
import dev.jotune.models.head.Norm;
import dev.jotune.models.seam.Pass;
import dev.jotune.models.seam.Seams;
import dev.jotune.tensor.Backend;
import dev.jotune.tensor.DType;
import java.util.Optional;

/**
 * Patches, blocks, norm: what ViT, CLIP's tower of pictures and the Audio Spectrogram Transformer have in common. Taps
 * are {@code embed} (what the first block reads), those of the blocks, and {@code final} (what {@link #encode} gives).
 */
public abstract class PatchEncoder extends Network {
    private final String modelType;
    private final PatchEmbedding embedding;
    private final Optional<Norm> before;
    private final PreNormStack stack;
    private final Optional<Norm> after;
    private final String embed;
    private final String last;

    /**
     * Where families differ.
     *
     * @param modelType of the configuration
     * @param normBefore path of a norm between the embedding and the blocks
     * @param normAfter path of a norm behind the blocks
     */
    public record Options(String modelType, PatchEmbedding.Shape shape, PatchEmbedding.Names names, Optional<String> normBefore,
            StackOptions stack, Optional<String> normAfter) {}

    /**
     * @param seams that the model's parts are registered with: its own, or those of the model that it is a tower of
     * @param computeType F32, or F64 on the reference backend
     */
    protected PatchEncoder(Options o, Weights w, Seams seams, Backend backend, DType computeType) {
        super(seams, backend, computeType);
        this.modelType = o.modelType();
        StackOptions s = o.stack();
        embed = s.tap() + "embed";
        embedding = new PatchEmbedding(o.shape(), o.names(), embed, w, seams, computeType);
        before = o.normBefore().map(path -> Norm.of(path, s.hidden(), s.eps(), w));
        stack = new PreNormStack(s, w, seams);
        after = o.normAfter().map(path -> Norm.of(path, s.hidden(), s.eps(), w));
        last = seams.addTap(s.tap() + "final", s.hidden());
    }

    /**
     * {@code [B, channels, height, width] -> [B, n + tokens + N, C]}, n virtual tokens first.
     *
     * @param interpolate whether planes may have another size than the positions were trained for
     */
    protected final Hidden encode(Var planes, boolean interpolate, Pass given) {
        Var own = Noise.dropout(embedding.forward(planes, interpolate, given), stack.options().dropout().embedding(), given, embed);
        TokenLayout layout = embedding.layout(own, given);
        Pass pass = given.reading(Optional.empty(), layout.virtualTokens(), seams().precision());
        Var h = layout.withVirtualTokens(own, pass);
        h = pass.tap(embed, before.isEmpty() ? h : before.get().forward(h, pass));
        h = stack.forward(h, layout.visible(), checkpointing(), pass);
        return new Hidden(pass.tap(last, after.isEmpty() ? h : after.get().forward(h, pass)), layout.virtualTokens());
    }

    @Override
    public final String modelType() {
        return modelType;
    }

    @Override
    public final int hiddenSize() {
        return stack.options().hidden();
    }

    @Override
    public final int layers() {
        return stack.options().layers();
    }

    /** Without a bound: positions are trained for patches, and virtual tokens take none. */
    @Override
    public final int contextLength() {
        return Integer.MAX_VALUE;
    }
}
