package dev.jotune.peft.train;

import dev.jotune.autograd.Gradients;
import dev.jotune.autograd.Var;
import dev.jotune.autograd.optim.AdamW;
import dev.jotune.autograd.optim.Optimizer;
import dev.jotune.autograd.optim.Trainable;
import dev.jotune.models.Architectures;
import dev.jotune.models.Backbone;
import dev.jotune.models.CausalLm;
import dev.jotune.models.Config;
import dev.jotune.models.DecoderInput;
import dev.jotune.models.EncoderInput;
import dev.jotune.models.RandomWeights;
import dev.jotune.models.SequenceClassifier;
import dev.jotune.models.seam.Parameter;
import dev.jotune.models.seam.Pass;
import dev.jotune.peft.Adapter;
import dev.jotune.peft.Adapters;
import dev.jotune.peft.Targets;
import dev.jotune.peft.TuningMethod;
import dev.jotune.peft.methods.Lora;
import dev.jotune.peft.methods.PrefixTuning;
import dev.jotune.tensor.Backend;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Scope;
import dev.jotune.tensor.Tensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.Supplier;

/**
 * Lets the JVM compile what a training step runs before the first step of a large model: Java code of vector kernels is
 * hundreds of times slower until it is compiled, so a model's first step would take as long as ten. Small steps of a
 * small model of the same kind go through the same code in a fraction of that time.
 */
public final class Warmup {
    /** Weights from which on it pays. */
    private static final long LARGE = 16_000_000;
    /** The most that it takes. */
    private static final long NANOS = 1_900_000_000L;
    private static final int ROWS = 2;
    private static final int TIME = 64;
    private static final int VOCABULARY = 512;
    private static final int HIDDEN = 192;
    private static final int INNER = 384;
    private static final String LLAMA = """
            {"model_type": "llama", "vocab_size": 512, "hidden_size": 192, "intermediate_size": 384, "num_hidden_layers": 1,
             "num_attention_heads": 3, "num_key_value_heads": 1, "max_position_embeddings": 128, "tie_word_embeddings": true}""";
    private static final String BERT = """
            {"model_type": "bert", "vocab_size": 512, "hidden_size": 192, "intermediate_size": 384, "num_hidden_layers": 1,
             "num_attention_heads": 3, "max_position_embeddings": 128, "hidden_dropout_prob": 0, "attention_probs_dropout_prob": 0}""";

    private Warmup() {}

    /** Warms up for {@code model} if it is large; at most two seconds. */
    public static void forTraining(Backbone model) {
        long weights = model.seams().parameters().values().stream().mapToLong(Parameter::numel).sum();
        if (weights >= LARGE && model.computeType() == DType.F32) {
            run(model, NANOS);
        }
    }

    /** Small steps under LoRA and prefix tuning in turn until the time is up; returns how many. */
    static int run(Backbone like, long nanos) {
        Backend backend = like.backend();
        DType type = like.seams().parameters().values().stream().map(p -> p.stored().type()).filter(DType::isFloating)
                .findFirst().orElse(DType.F32);
        RandomWeights weights = new RandomWeights(backend, type, VOCABULARY, HIDDEN, INNER, HIDDEN / 3, 128);
        try (Scope memory = Scope.open()) {
            List<Supplier<Var>> losses = new ArrayList<>();
            List<Adapter> adapters = new ArrayList<>();
            boolean causal = like instanceof CausalLm;
            List<TuningMethod> methods = causal ? List.of(Lora.DEFAULTS.withTargets(Targets.matching(Targets.ALL_LINEAR)),
                    PrefixTuning.DEFAULTS.withTokens(8)) : List.of(Lora.DEFAULTS);
            for (TuningMethod method : methods) {
                Backbone small = causal ? Architectures.build(Config.parse(LLAMA, "warm-up"), weights, backend, DType.F32)
                        : Architectures.classifier(Config.parse(BERT, "warm-up"), weights, backend, DType.F32, List.of("0", "1"), 1);
                small.seams().setPrecision(like.seams().precision());
                adapters.add(Adapters.create(small, "warm-up", method, 1));
                losses.add(loss(small));
            }
            return steps(adapters, losses, nanos);
        }
    }

    private static Supplier<Var> loss(Backbone model) {
        Pass pass = model.seams().training(1, 1);
        long[] tokens = new long[ROWS * TIME];
        Arrays.setAll(tokens, i -> i % VOCABULARY);
        Tensor ids = Tensor.of(model.backend(), tokens, ROWS, TIME);
        if (model instanceof CausalLm lm) {
            return () -> pass.once(() -> lm.loss(DecoderInput.of(ids), ids, pass));
        }
        SequenceClassifier classifier = model.as(SequenceClassifier.class);
        Tensor labels = Tensor.of(model.backend(), new long[] {0, 1}, ROWS);
        return () -> pass.once(() -> classifier.loss(EncoderInput.of(ids), labels, pass));
    }

    private static int steps(List<Adapter> adapters, List<Supplier<Var>> losses, long nanos) {
        List<Optimizer> optimizers = adapters.stream().map(a -> (Optimizer) new AdamW(0.9, 0.999, 1e-8, 0.01, false).with(s -> 1e-6)).toList();
        long start = System.nanoTime();
        int steps = 0;
        while (System.nanoTime() - start < nanos) {
            int i = steps++ % adapters.size();
            try (Scope step = Scope.open()) {
                Adapter a = adapters.get(i);
                List<Tensor> grads = Gradients.consume(losses.get(i).get(), List.copyOf(a.trainables().values()));
                optimizers.get(i).step(Trainable.of(a.trainables(), grads));
            }
        }
        return steps;
    }
}
