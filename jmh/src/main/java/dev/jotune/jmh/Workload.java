package dev.jotune.jmh;

import dev.jotune.autograd.Gradients;
import dev.jotune.autograd.Recording;
import dev.jotune.autograd.Var;
import dev.jotune.autograd.optim.AdamW;
import dev.jotune.autograd.optim.Optimizer;
import dev.jotune.models.Architectures;
import dev.jotune.models.Backbone;
import dev.jotune.models.CausalLm;
import dev.jotune.models.Config;
import dev.jotune.models.DecoderCache;
import dev.jotune.models.DecoderInput;
import dev.jotune.models.EncoderInput;
import dev.jotune.models.RandomWeights;
import dev.jotune.models.SequenceClassifier;
import dev.jotune.models.generate.CausalLanguageModel;
import dev.jotune.models.generate.LanguageModel;
import dev.jotune.models.seam.Parameter;
import dev.jotune.models.seam.Pass;
import dev.jotune.peft.Adapters;
import dev.jotune.peft.Targets;
import dev.jotune.peft.TuningMethod;
import dev.jotune.peft.methods.Lora;
import dev.jotune.peft.methods.PrefixTuning;
import dev.jotune.peft.train.Warmup;
import dev.jotune.tensor.Backend;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.HostMemory;
import dev.jotune.tensor.Scope;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.kernels.Precision;
import dev.jotune.tensor.random.Philox;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Optional;
import java.util.SequencedMap;
import java.util.function.Supplier;
import java.util.stream.LongStream;
import java.util.stream.Stream;

/**
 * One case on random weights of a Llama's {@link Shape}, or of MiniLM's (BERT, hidden 384, 6 layers, 12 heads): the shapes alone
 * decide the time.
 */
public final class Workload {
    /**
     * Of a Llama with a tied head.
     *
     * @param vocabulary V
     * @param hidden C
     * @param inner F
     * @param layers L
     * @param heads H
     * @param groups G
     */
    public record Shape(int vocabulary, int hidden, int inner, int layers, int heads, int groups) {
        /** 135 million weights. */
        public static final Shape M135 = new Shape(49152, 576, 1536, 30, 9, 3);
        /** 1.24 billion, those of Llama 3.2 1B. */
        public static final Shape B1 = new Shape(128256, 2048, 8192, 16, 32, 8);

        public Shape withLayers(int count) {
            return new Shape(vocabulary, hidden, inner, count, heads, groups);
        }
    }

    private static final String CONFIG = """
            {"model_type": "llama", "vocab_size": %d, "hidden_size": %d, "intermediate_size": %d,
             "num_hidden_layers": %d, "num_attention_heads": %d, "num_key_value_heads": %d,
             "max_position_embeddings": 2048, "tie_word_embeddings": true}""";
    private static final String BERT = """
            {"model_type": "bert", "vocab_size": 30522, "hidden_size": 384, "intermediate_size": 1536, "num_hidden_layers": 6,
             "num_attention_heads": 12, "max_position_embeddings": 512, "hidden_dropout_prob": 0.1,
             "attention_probs_dropout_prob": 0.0}""";
    private static final int BERT_ROWS = 16;
    private static final int BERT_TIME = 64;

    private final String name;
    private final Backbone network;
    private final int batch;
    private final int time;
    private final Tensor ids;
    private SequencedMap<String, Var> trained;
    private Optimizer optimizer;

    /**
     * @param name {@code lora_step}, {@code prefix_step}, {@code full_step}, {@code prefill}, {@code decode} or
     *     {@code bert_lora_step}, which is always 16 x 64 tokens
     * @param weights F32 or BF16, the type the weights are stored in
     * @param precision of the products with them
     */
    public Workload(String name, int layers, int batch, int time, DType weights, Precision precision) {
        this(name, layers, batch, time, weights, precision, Backends.cpu());
    }

    /** As above, on a backend of the caller's. */
    public Workload(String name, int layers, int batch, int time, DType weights, Precision precision, Backend backend) {
        this(name, Shape.M135.withLayers(layers), batch, time, weights, precision, backend);
    }

    /** A Llama of another shape. */
    public Workload(String name, Shape shape, int batch, int time, DType weights, Precision precision, Backend backend) {
        boolean bert = name.equals("bert_lora_step");
        this.name = name;
        this.batch = bert ? BERT_ROWS : batch;
        this.time = bert ? BERT_TIME : time;
        int vocabulary = bert ? 30522 : shape.vocabulary;
        this.network = bert ? Architectures.classifier(Config.parse(BERT, "benchmark"),
                new RandomWeights(backend, weights, vocabulary, 384, 1536, 384, 512), backend, DType.F32, List.of("0", "1"), 0)
                : Architectures.build(Config.parse(CONFIG.formatted(vocabulary, shape.hidden, shape.inner, shape.layers, shape.heads, shape.groups),
                        "benchmark"), new RandomWeights(backend, weights, vocabulary, shape.hidden, shape.inner,
                        (long) shape.hidden / shape.heads * shape.groups, 0), backend, DType.F32);
        network.seams().setPrecision(precision);
        long[] tokens = new long[this.batch * this.time];
        for (int i = 0; i < tokens.length; i++) {
            tokens[i] = Philox.nextInt(1, 0, i, vocabulary);
        }
        this.ids = Tensor.of(backend, tokens, this.batch, this.time);
        switch (name) {
            case "lora_step" -> train(Lora.DEFAULTS.withRank(8, 16).withTargets(Targets.matching(Targets.ALL_LINEAR)));
            case "prefix_step" -> train(PrefixTuning.DEFAULTS.withTokens(32));
            case "bert_lora_step" -> train(Lora.DEFAULTS.withRank(8, 16).withTargets(Targets.of("query", "value")));
            case "full_step" -> {
                trained = new LinkedHashMap<>();
                for (Parameter p : network.seams().parameters().values()) {
                    p.replace(Var.parameter(p.base().tensor().to(DType.F32)));
                    trained.put(p.path(), p.base());
                }
                optimizer = adamW();
            }
            case "prefill", "decode" -> { }
            default -> throw new IllegalArgumentException("unknown case '" + name
                    + "': lora_step, prefix_step, full_step, bert_lora_step, prefill or decode");
        }
        // A file's weights would be mapped; what making these took is no part of the step.
        System.gc();
        HostMemory.trim();
    }

    private static Optimizer adamW() {
        return new AdamW(0.9, 0.999, 1e-8, 0.01, false).with(step -> 1e-4);
    }

    private CausalLm model() {
        return network.as(CausalLm.class);
    }

    /** The model as texts are written with it. */
    public LanguageModel languageModel() {
        return new CausalLanguageModel(model(), model().seams()::inference);
    }

    /** Warms up as tuning does it. */
    public void warmUp() {
        Pass pass = network.seams().training(0, 0);
        Tensor row = ids.slice(0, 0, 1);
        List<Supplier<Var>> losses = Stream.of(row.slice(1, 0, Warmup.SHORT).contiguous(), row, ids)
                .<Supplier<Var>>map(text -> () -> pass.once(() -> loss(text, pass))).toList();
        Warmup.run(losses, List.copyOf(trained.values()), adamW());
    }

    private void train(TuningMethod method) {
        trained = Adapters.create(network, "bench", method, 0).trainables();
        optimizer = adamW();
    }

    /** Rows. */
    public int batch() {
        return batch;
    }

    /** Tokens of a row. */
    public int time() {
        return time;
    }

    /** Tokens that one run handles. */
    public long tokens() {
        return name.equals("decode") ? 32 : (long) batch * time;
    }

    /** One step, prefill or generation of 32 tokens; returns a number that depends on all of it. */
    public double run() {
        return switch (name) {
            case "prefill" -> prefill();
            case "decode" -> decode();
            default -> step();
        };
    }

    private double step() {
        try (Scope scope = Scope.open()) {
            Pass pass = network.seams().training(0, optimizer.steps());
            Var loss = pass.once(() -> loss(ids, pass));
            List<Tensor> grads = Gradients.consume(loss, new ArrayList<>(trained.values()));
            optimizer.step(trained, grads);
            return loss.item();
        }
    }

    private Var loss(Tensor ids, Pass pass) {
        if (network instanceof SequenceClassifier classifier) {
            Tensor labels = Tensor.of(ids.backend(), LongStream.range(0, ids.size(0)).map(i -> i % 2).toArray(), ids.size(0));
            return classifier.loss(EncoderInput.of(ids), labels, pass);
        }
        return model().loss(DecoderInput.of(ids), ids, pass);
    }

    private double prefill() {
        try (Scope scope = Scope.open()) {
            return Recording.off(() -> {
                CausalLm model = model();
                Pass pass = model.seams().inference();
                Var logits = model.logits(model.forward(DecoderInput.of(ids), pass, Optional.empty()).text(), pass);
                return logits.slice(1, time - 1, time).sum().item();
            });
        }
    }

    private double decode() {
        CausalLm model = model();
        DecoderCache cache = model.newCache(1, 64);
        Pass pass = model.seams().inference();
        Tensor next = ids.slice(0, 0, 1).slice(1, 0, 16).contiguous();
        double sum = 0;
        for (int i = 0; i < 32; i++) {
            Tensor input = next;
            try (Scope scope = Scope.open()) {
                long token = Recording.off(() -> {
                    Var h = model.forward(DecoderInput.of(input), pass, Optional.of(cache)).text();
                    Tensor logits = model.logits(h.slice(1, h.size(1) - 1, h.size(1)), pass).tensor();
                    Tensor best = Tensor.empty(logits.backend(), DType.I64, 1, 1);
                    logits.backend().argmax(logits, best);
                    return best.toLongArray()[0];
                });
                sum += token;
                next = Scope.detach(Tensor.of(Backends.cpu(), new long[] {token}, 1, 1));
            }
        }
        cache.free();
        return sum;
    }
}
