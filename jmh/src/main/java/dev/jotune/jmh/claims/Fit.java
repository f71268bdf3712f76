package dev.jotune.jmh.claims;

import dev.jotune.autograd.Gradients;
import dev.jotune.autograd.Var;
import dev.jotune.autograd.optim.AdamW;
import dev.jotune.autograd.optim.GradientTransforms;
import dev.jotune.autograd.optim.Optimizer;
import dev.jotune.autograd.optim.Schedules;
import dev.jotune.autograd.optim.Trainable;
import dev.jotune.models.Backbone;
import dev.jotune.models.seam.Pass;
import dev.jotune.peft.Adapter;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Scope;
import dev.jotune.tensor.Tensor;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;
import java.util.function.LongFunction;
import java.util.function.ToDoubleFunction;
import java.util.stream.Collectors;

/** Training where the texts are made as it goes, and for encoder-decoders: AdamW, gradients of norm 1 at most, rates
 * that fall linearly. */
final class Fit {
    private Fit() {}

    /** A loss of one step. */
    interface Loss {
        Var of(long step, Pass pass);
    }

    /** Trains all weights of a model, and leaves them frozen. */
    static void weights(Backbone model, int steps, double rate, long seed, Loss loss) {
        SequencedMap<String, Var> all = new LinkedHashMap<>();
        model.seams().parameters().forEach((path, p) -> {
            Var own = Var.parameter(Scope.detach(Tensor.empty(p.backend(), DType.F32, p.shape()).copyFrom(p.base().tensor())));
            p.replace(own);
            all.put(path, own);
        });
        train(all, steps, _ -> rate, step -> step(model, seed, step, loss));
        all.forEach((path, v) -> model.seams().parameters().get(path).replace(Var.constant(v.tensor())));
    }

    /** Trains an adapter. */
    static void adapter(Adapter a, int steps, double rate, long seed, Loss loss) {
        adapter(a, steps, rate, _ -> 1, seed, loss);
    }

    /** Trains an adapter whose tensors have rates of their own: {@code factor} times {@code rate}, by the name of the tensor. */
    static void adapter(Adapter a, int steps, double rate, ToDoubleFunction<String> factor, long seed, Loss loss) {
        train(a.trainables(), steps, name -> rate * factor.applyAsDouble(name), step -> step(a.model(), seed, step, loss));
    }

    private static Var step(Backbone model, long seed, long step, Loss loss) {
        Pass pass = model.seams().training(seed, step);
        return pass.once(() -> loss.of(step, pass));
    }

    private static void train(SequencedMap<String, Var> trained, int steps, ToDoubleFunction<String> rate, LongFunction<Var> loss) {
        Map<Double, Optimizer> optimizers = new LinkedHashMap<>();
        List<Var> wrt = List.copyOf(trained.values());
        for (int s = 0; s < steps; s++) {
            try (Scope _ = Scope.open()) {
                Map<Double, List<Trainable>> byRate = Trainable.of(trained, Gradients.consume(loss.apply(s), wrt)).stream()
                        .collect(Collectors.groupingBy(t -> rate.applyAsDouble(t.name()), LinkedHashMap::new, Collectors.toList()));
                byRate.forEach((own, some) -> optimizers.computeIfAbsent(own, r -> optimizer(r, steps)).step(some));
            }
        }
    }

    private static Optimizer optimizer(double rate, int steps) {
        return new AdamW(0).with(Schedules.byName("linear", Map.of("base_lr", rate, "warmup", steps / 20, "total", steps)))
                .after(GradientTransforms.clipByNorm(1));
    }
}
