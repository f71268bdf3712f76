package dev.jotune.models.gpt2;

import dev.jotune.autograd.Var;
import dev.jotune.models.CausalHead;
import dev.jotune.models.CausalTransformer;
import dev.jotune.models.KvCache;
import dev.jotune.models.Table;
import dev.jotune.models.TokenEmbedding;
import dev.jotune.models.TokenLayout;
import dev.jotune.models.Weights;
import dev.jotune.models.head.Noise;
import dev.jotune.models.head.Norm;
import dev.jotune.models.seam.LinearLayer;
import dev.jotune.models.seam.Parameter;
import dev.jotune.models.seam.Pass;
import dev.jotune.tensor.Backend;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/** GPT-2: token and position embeddings, L pre-norm blocks, norm, head. Parameters have the paths of transformers. */
public final class Gpt2 extends CausalTransformer {
    private static final String PREFIX = "transformer.";

    private final Gpt2Config config;
    private final TokenEmbedding embedding;
    private final Table positions;
    private final List<Gpt2Block> blocks = new ArrayList<>();
    private final Norm norm;
    private final CausalHead head;

    /**
     * @param given the weights, named with or without {@code transformer.}: the published file has no such prefix
     * @param computeType F32, or F64 on the reference backend
     */
    public Gpt2(Gpt2Config config, Weights.Source given, Backend backend, DType computeType) {
        super(backend, computeType);
        this.config = config;
        boolean bare = !given.contains(PREFIX + "wte.weight") && given.contains("wte.weight");
        Weights w = new Weights(bare ? given.renamed(n -> n.startsWith(PREFIX) ? n.substring(PREFIX.length()) : n) : given, seams);
        Parameter tokens = w.parameter(PREFIX + "wte.weight", config.vocabSize(), config.hiddenSize());
        embedding = TokenEmbedding.of("embed", tokens, 1, computeType, seams);
        positions = new Table(w.parameter(PREFIX + "wpe.weight", config.context(), config.hiddenSize()), 1, computeType).in(seams);
        seams.addTap("embed", config.hiddenSize());
        for (int i = 0; i < config.layers(); i++) {
            blocks.add(new Gpt2Block(config, i, w, seams));
        }
        norm = Norm.of(PREFIX + "ln_f", config.hiddenSize(), config.epsilon(), w);
        seams.addTap("final", config.hiddenSize());
        head = new CausalHead(config.tieWordEmbeddings() ? seams.add(new LinearLayer("lm_head", tokens, Optional.empty()))
                : w.linear("lm_head", config.vocabSize(), config.hiddenSize(), false), 0);
    }

    public Gpt2Config config() {
        return config;
    }

    @Override
    public String modelType() {
        return "gpt2";
    }

    @Override
    public int vocabularySize() {
        return config.vocabSize();
    }

    @Override
    public int hiddenSize() {
        return config.hiddenSize();
    }

    @Override
    public int layers() {
        return config.layers();
    }

    @Override
    public int contextLength() {
        return config.context();
    }

    @Override
    protected TokenEmbedding embedding() {
        return embedding;
    }

    @Override
    protected Var entering(Var embeddings, TokenLayout layout, Pass pass) {
        long[][] p = layout.positions();
        Tensor ids = Tensor.of(backend(), Arrays.stream(p).flatMapToLong(Arrays::stream).toArray(), p.length, layout.time());
        return Noise.dropout(embeddings.add(positions.rows(ids, pass)), config.dropout().embedding(), pass, "embed");
    }

    @Override
    protected Blocks blocks(TokenLayout layout, Pass pass, Optional<KvCache> cache) {
        return (i, h, added) -> new Var[] {blocks.get(i).forward(h, added, layout, pass, cache)};
    }

    @Override
    protected Var leaving(Var h, Pass pass) {
        return norm.forward(h, pass);
    }

    @Override
    protected CausalHead head() {
        return head;
    }
}
