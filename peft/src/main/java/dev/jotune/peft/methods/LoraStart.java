package dev.jotune.peft.methods;

import com.fasterxml.jackson.databind.JsonNode;
import dev.jotune.autograd.Var;
import dev.jotune.models.seam.LinearLayer;
import dev.jotune.peft.AdapterException;
import dev.jotune.peft.Attachment;
import dev.jotune.peft.Init;
import dev.jotune.peft.Require;
import java.util.Optional;
import java.util.Set;

/**
 * LoRA's factors as they begin, which {@code init_lora_weights} says.
 *
 * @param said true, false or a name
 */
record LoraStart(JsonNode said) {
    /** Starts of other making that leave the base model as it is: what was saved is plain LoRA. */
    private static final Set<String> LOADED = Set.of("orthogonal", "eva", "mica");
    /** Starts that take their directions away from W: see {@link Removed}. */
    private static final Set<String> REMOVING = Set.of("pissa", "olora");

    private String name() {
        return said.asText();
    }

    private boolean removes() {
        return REMOVING.contains(name());
    }

    /** MiCA trains A alone. */
    private boolean keepsB() {
        return name().equals("mica");
    }

    /** Both factors begin at random, so that the model is another from the start. */
    private boolean isRandom() {
        return said.isBoolean() && !said.booleanValue();
    }

    /** What trains at one layer, and what A and B began with the model's weight now lacks. */
    record Factors(Var a, Var b, Optional<Removed> removed) {}

    Factors factors(Attachment a, LinearLayer layer, int rank, double scale) {
        if (a.isTable(layer)) {
            return onTable(a, layer, rank);
        }
        String key = Attachment.key(layer.path());
        Optional<Removed> removed = removes() ? Optional.of(Removed.of(name(), layer, rank, scale, a.model().computeType())) : Optional.empty();
        Init down = removed.map(p -> Init.copyOf(p.a().tensor())).orElse(said.isTextual() ? Init.normal(1.0 / rank) : Init.KAIMING);
        Init up = removed.map(p -> Init.copyOf(p.b().tensor())).orElse(isRandom() ? Init.KAIMING : Init.ZEROS);
        return new Factors(a.trainable(key + ".lora_A.weight", down, rank, layer.in()), b(a, key + ".lora_B.weight", up, layer.out(), rank),
                removed);
    }

    /** On a table of embeddings A starts at 0 and B at random, whatever the start. */
    private Factors onTable(Attachment a, LinearLayer table, int rank) {
        String key = Attachment.key(table.path());
        return new Factors(a.trainable(key + ".lora_embedding_A", isRandom() ? Init.normal(1) : Init.ZEROS, rank, table.in()),
                b(a, key + ".lora_embedding_B", Init.normal(1), table.out(), rank), Optional.empty());
    }

    /** Of A and B at a weight that is named alone. */
    Init[] ofParameters(int rank) {
        Require.that(!removes() && !keepsB(), "init_lora_weights " + said + " is not supported with target_parameters. Set it to true.");
        return new Init[] {said.isTextual() ? Init.normal(1.0 / rank) : Init.KAIMING, isRandom() ? Init.KAIMING : Init.ZEROS};
    }

    private Var b(Attachment a, String key, Init init, long... shape) {
        return keepsB() ? a.fixed(key, shape) : a.trainable(key, init, shape);
    }

    /** Why a model under a new adapter is not the model itself, or an empty text. */
    String changes() {
        if (isRandom()) {
            return "init_lora_weights false starts A and B at random";
        }
        return removes() ? "what the start takes out of a weight and the product of A and B give it again up to rounding" : "";
    }

    /** @throws AdapterException if there is no such start, or none for what is asked */
    void check(boolean dora, boolean loading) {
        boolean known = said.isBoolean() || said.isTextual() && (name().equals("gaussian") || removes());
        if (!known && !(said.isTextual() && LOADED.contains(name()))) {
            throw new AdapterException("init_lora_weights " + said + " is not supported: such adapters change the base "
                    + "model's weights by what their files do not hold. Supported: true, false, \"gaussian\", \"pissa\", \"olora\". Convert "
                    + "the adapter to plain LoRA first.");
        }
        if (dora && removes()) {
            throw new AdapterException("init_lora_weights " + said + " is not supported with use_dora. Set one of the two otherwise.");
        }
        if (!known && !loading) {
            throw new AdapterException("init_lora_weights " + said + " is known for adapters that were saved, not for "
                    + "new ones. Start with true, false, \"gaussian\", \"pissa\" or \"olora\".");
        }
    }
}
