package dev.jotune.peft;

import dev.jotune.autograd.Var;
import dev.jotune.models.Architectures;
import dev.jotune.models.Backbone;
import dev.jotune.models.CausalLm;
import dev.jotune.models.Encoder;
import dev.jotune.models.Forecaster;
import dev.jotune.models.Models;
import dev.jotune.models.Seq2SeqLm;
import dev.jotune.models.ast.AstClassifier;
import dev.jotune.models.clip.Clip;
import dev.jotune.models.seam.Pass;
import dev.jotune.models.vit.ViTClassifier;
import dev.jotune.tensor.Backend;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.testing.Golden;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;

/**
 * A tiny checkpoint of some architecture as a subject of the contract: rows of input of its own kind,
 * what the model makes of them, and what it may be trained on.
 *
 * @param wide F64 on the reference backend; else F32 on the CPU
 */
record Specimen(Golden.Case golden, boolean wide) {
    /** The rows of the batch that every specimen has. */
    static final List<Integer> BATCH = List.of(0, 1, 2);

    /** How one kind of model is run. */
    interface Probe {
        /** The outputs {@code [rows, ..]} for some rows of the batch. */
        Var outputs(List<Integer> rows, Pass pass);

        /** A scalar to train on, over the whole batch. */
        Var loss(Pass pass);

        /** The outputs once more, token by token through a cache; absent where nothing is decoded. */
        default Optional<Var> decoded(List<Integer> rows, Pass pass) {
            return Optional.empty();
        }
    }

    static List<Specimen> all() {
        List<Specimen> out = new ArrayList<>();
        // What holds no model (image preprocessing, logits processors) has no configuration of one.
        Stream.concat(Golden.cases("models"), Stream.of(ForecastProbe.golden())).filter(c -> c.json().hasNonNull("model_type"))
                .filter(c -> Architectures.modelTypes().contains(c.json().get("model_type").asText())).forEach(c -> {
            out.add(new Specimen(c, true));
            out.add(new Specimen(c, false));
        });
        return out;
    }

    Backbone model() {
        Backend backend = wide ? Backends.reference() : Backends.cpu();
        return Models.load(golden.folder(), backend, wide ? DType.F64 : DType.F32).backbone();
    }

    /** How {@code model} is run on this specimen's batch. */
    Probe probe(Backbone model) {
        return switch (model) {
            case CausalLm m -> new CausalProbe(m);
            case Seq2SeqLm m -> new Seq2SeqProbe(m, golden.file("config.json"));
            case Encoder m -> new EncoderProbe(m);
            case ViTClassifier m -> new ImageProbe(m);
            case AstClassifier m -> new AudioProbe(m);
            case Clip m -> new PairProbe(m);
            case Forecaster m -> new ForecastProbe(m);
            default -> throw new AssertionError("no test of the contract knows how to run a " + model.getClass().getSimpleName()
                    + ". Add a Probe.");
        };
    }

    /**
     * How far results may differ that are the same but for rounding, in units of the largest. The untrained T5 1.1, whose scores are not scaled,
     * is up to 3e-5 from its F64 numbers in F32.
     */
    double epsilon() {
        return wide ? 1e-10 : 1e-4;
    }

    @Override
    public String toString() {
        return golden.id() + (wide ? " F64" : " F32");
    }
}
