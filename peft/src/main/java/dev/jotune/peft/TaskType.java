package dev.jotune.peft;

import dev.jotune.models.Backbone;
import dev.jotune.models.CausalLm;
import dev.jotune.models.Encoder;
import dev.jotune.models.MaskedLm;
import dev.jotune.models.Seq2SeqLm;
import dev.jotune.models.SequenceClassifier;
import dev.jotune.models.TokenClassifier;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;

/** PEFT's task types: what a model is for. A classifier's head is always trained whole, whatever the method. */
public enum TaskType {
    CAUSAL_LM,
    SEQ_2_SEQ_LM,
    SEQ_CLS,
    TOKEN_CLS,
    FEATURE_EXTRACTION;

    /** What PEFT takes for a classifier's head; a model has one of them. */
    private static final List<String> HEADS = List.of("classifier", "score");

    /** That of a model; empty where PEFT has none for it. */
    public static Optional<TaskType> of(Backbone model) {
        return Optional.ofNullable(switch (model) {
            case CausalLm _ -> CAUSAL_LM;
            // PEFT's class for these reads texts alone.
            case Seq2SeqLm m -> m.seams().input().table().isPresent() ? SEQ_2_SEQ_LM : null;
            case SequenceClassifier _ -> SEQ_CLS;
            case TokenClassifier _ -> TOKEN_CLS;
            case MaskedLm _ -> null;
            case Encoder _ -> FEATURE_EXTRACTION;
            default -> null;
        });
    }

    private static boolean classifies(Backbone model) {
        return of(model).filter(t -> t == SEQ_CLS || t == TOKEN_CLS).isPresent();
    }

    /** The method with a classifier's head among what it trains whole, and with what of the model began at random. */
    static TuningMethod complete(TuningMethod method, Backbone model) {
        if (!classifies(model)) {
            return method;
        }
        List<String> modules = new ArrayList<>(method.modulesToSave());
        List<String> fresh = model instanceof SequenceClassifier c ? c.freshModules() : List.of();
        for (String m : fresh) {
            boolean asked = Stream.concat(modules.stream(), HEADS.stream()).anyMatch(name -> Copies.isWithin(name, m + "."));
            if (!asked) {
                modules.add(m);
            }
        }
        HEADS.stream().filter(h -> !modules.contains(h)).forEach(modules::add);
        return method.withModulesToSave(modules);
    }

    /** Whether a file with these keys holds a classifier's head. */
    static boolean trainsHead(Collection<String> keys) {
        return HEADS.stream().anyMatch(h -> keys.stream().anyMatch(k -> Copies.isWithin(h, k)));
    }

    /** That of a model under a method; none for a classifier whose head stays as it is. */
    static Optional<TaskType> of(Backbone model, TuningMethod method) {
        return of(model).filter(_ -> !classifies(model) || method.modulesToSave().stream().anyMatch(HEADS::contains));
    }

    /** Whether PEFT asks for this module on every model of the kind, there or not. */
    static boolean isOptional(String module, Backbone model) {
        return classifies(model) && HEADS.contains(module);
    }
}
