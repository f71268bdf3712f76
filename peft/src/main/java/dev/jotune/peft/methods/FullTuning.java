package dev.jotune.peft.methods;

import dev.jotune.models.seam.Parameter;
import dev.jotune.peft.AdapterException;
import dev.jotune.peft.Attachment;
import dev.jotune.peft.Targets;
import dev.jotune.peft.TuningMethod;
import java.util.List;
import java.util.Optional;

/**
 * Full fine-tuning as an adapter (Devlin et al., arXiv 1810.04805, section 3.2): {@code W' = theta}, a trainable copy of each
 * weight that starts as the weight. The model keeps its own, so that detaching gives it back, a reference costs no second model,
 * and what trains of it can change from step to step, as LISA wants. Trainable: every number of the weights.
 *
 * @param targetModules modules whose weights train, by default all
 * @param excludeModules which of them not
 */
public record FullTuning(Targets targetModules, Optional<Targets> excludeModules) implements TuningMethod {
    /** Every weight. */
    public static final FullTuning DEFAULTS = new FullTuning(Targets.DEFAULT, Optional.empty());

    @Override
    public String peftType() {
        return "FULL";
    }

    @Override
    public void attachTo(Attachment a) {
        List<Parameter> targets = a.model().seams().parameters().values().stream()
                .filter(p -> targetModules.isDefault() || targetModules.matches(module(p))).toList();
        if (targets.isEmpty()) {
            throw new AdapterException("target_modules " + text(targetModules) + " matches no weight of the model. Leave it out to "
                    + "train all, or name modules as the checkpoint does, such as embed_tokens.");
        }
        List<Parameter> chosen = targets.stream().filter(p -> excludeModules.isEmpty() || !excludeModules.get().matches(module(p))).toList();
        if (chosen.isEmpty()) {
            throw new AdapterException("exclude_modules " + text(excludeModules.get()) + " leaves no weight to train. Exclude fewer modules.");
        }
        chosen.forEach(p -> a.override(p, Attachment.key(p.path())));
    }

    private static String text(Targets t) {
        return t.pattern().orElseGet(() -> t.names().toString());
    }

    private static String module(Parameter p) {
        return p.path().contains(".") ? p.path().substring(0, p.path().lastIndexOf('.')) : p.path();
    }
}
