package dev.jotune.jmh;

import dev.jotune.autograd.Gradients;
import dev.jotune.autograd.Recording;
import dev.jotune.autograd.Var;
import dev.jotune.autograd.optim.AdamW;
import dev.jotune.autograd.optim.Optimizer;
import dev.jotune.models.Architectures;
import dev.jotune.models.CausalLm;
import dev.jotune.models.Config;
import dev.jotune.models.DecoderCache;
import dev.jotune.models.DecoderInput;
import dev.jotune.models.Weights;
import dev.jotune.models.seam.Pass;
import dev.jotune.peft.Adapter;
import dev.jotune.peft.Adapters;
import dev.jotune.peft.Targets;
import dev.jotune.peft.TuningMethod;
import dev.jotune.peft.methods.Lora;
import dev.jotune.peft.methods.PrefixTuning;
import dev.jotune.tensor.Backend;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Scope;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.random.Philox;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * One case on random weights of the 135M-parameter Llama shape (hidden 576, 30 layers, 9 query and 3 key/value heads,
 * feed-forward 1536, vocabulary 49152, tied head): the shapes alone decide the time.
 */
public final class Workload {
    private static final String CONFIG = """
            {"model_type": "llama", "vocab_size": 49152, "hidden_size": 576, "intermediate_size": 1536,
             "num_hidden_layers": %d, "num_attention_heads": 9, "num_key_value_heads": 3,
             "max_position_embeddings": 2048, "tie_word_embeddings": true}""";

    private final String name;
    private final CausalLm model;
    private final int batch;
    private final int time;
    private final Tensor ids;
    private Adapter adapter;
    private Optimizer optimizer;

    /**
     * @param name {@code lora_step}, {@code prefix_step}, {@code prefill} or {@code decode}
     * @param weights F32 or BF16, the type the weights are stored in; arithmetic is F32
     */
    public Workload(String name, int layers, int batch, int time, DType weights) {
        this(name, layers, batch, time, weights, Backends.cpu());
    }

    /** As above, on a backend of the caller's. */
    public Workload(String name, int layers, int batch, int time, DType weights, Backend cpu) {
        this.name = name;
        this.batch = batch;
        this.time = time;
        this.model = Architectures.build(Config.parse(CONFIG.formatted(layers), "benchmark"), new RandomWeights(cpu, weights, layers), cpu,
                DType.F32).as(CausalLm.class);
        long[] tokens = new long[batch * time];
        for (int i = 0; i < tokens.length; i++) {
            tokens[i] = Philox.nextInt(1, 0, i, 49152);
        }
        this.ids = Tensor.of(cpu, tokens, batch, time);
        switch (name) {
            case "lora_step" -> train(Lora.DEFAULTS.withRank(8, 16).withTargets(Targets.matching(Targets.ALL_LINEAR)));
            case "prefix_step" -> train(PrefixTuning.DEFAULTS.withTokens(32));
            case "prefill", "decode" -> { }
            default -> throw new IllegalArgumentException("unknown case '" + name + "': lora_step, prefix_step, prefill or decode");
        }
    }

    private void train(TuningMethod method) {
        adapter = Adapters.create(model, "bench", method, 0);
        optimizer = new AdamW(0.9, 0.999, 1e-8, 0.01, false).with(step -> 1e-4);
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
            Pass pass = model.seams().training(0, optimizer.steps());
            Var loss = pass.once(() -> model.loss(DecoderInput.of(ids), ids, pass));
            List<Tensor> grads = Gradients.consume(loss, new ArrayList<>(adapter.trainables().values()));
            optimizer.step(adapter.trainables(), grads);
            return loss.item();
        }
    }

    private double prefill() {
        try (Scope scope = Scope.open()) {
            return Recording.off(() -> {
                Pass pass = model.seams().inference();
                Var logits = model.logits(model.forward(DecoderInput.of(ids), pass, Optional.empty()).text(), pass);
                return logits.slice(1, time - 1, time).sum().item();
            });
        }
    }

    private double decode() {
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

    /** Normal weights of deviation 0.02, norms 1, as the peer starts. */
    private record RandomWeights(Backend backend, DType type, int layers) implements Weights.Source {
        @Override
        public boolean contains(String path) {
            return !path.equals("lm_head.weight");
        }

        @Override
        public Tensor get(String path) {
            long[] shape = shape(path);
            if (shape.length == 1) {
                return Tensor.full(backend, type, 1, shape);
            }
            try (Scope scope = Scope.open()) {
                Tensor noise = Tensor.empty(backend, DType.F32, shape);
                backend.uniform(noise, path.hashCode(), 0);
                Var centred = Recording.off(() -> Var.constant(noise).add(-0.5).mul(0.07));
                return Scope.detach(centred.tensor().to(type));
            }
        }

        private static long[] shape(String path) {
            String last = path.substring(path.lastIndexOf('.', path.length() - 8) + 1);
            return switch (last) {
                case "embed_tokens.weight" -> new long[] {49152, 576};
                case "q_proj.weight", "o_proj.weight" -> new long[] {576, 576};
                case "k_proj.weight", "v_proj.weight" -> new long[] {192, 576};
                case "gate_proj.weight", "up_proj.weight" -> new long[] {1536, 576};
                case "down_proj.weight" -> new long[] {576, 1536};
                default -> new long[] {576};
            };
        }

        @Override
        public String origin() {
            return "random weights";
        }
    }
}
