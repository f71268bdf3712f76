package dev.jotune.peft.methods;

import dev.jotune.autograd.Var;
import dev.jotune.models.seam.LinearLayer;
import dev.jotune.models.seam.Pass;
import dev.jotune.models.seam.RowProjection;
import dev.jotune.peft.Attachment;
import dev.jotune.peft.Require;
import java.util.List;
import java.util.Optional;
import java.util.function.UnaryOperator;

/**
 * {@link Lora} on a weight that is stored the other way round than the layer sees it, {@code W' = W + s A^T B^T}: one of GPT-2's or a table
 * named alone, or a head under the factors of the table that it is tied to.
 *
 * @param a {@code [r, out]}
 * @param b {@code [in, r]}
 */
record TurnedFactors(Var a, Var b, double scale) implements RowProjection {
    /** The heads that share a table's factors, if tying is asked for: of an adapter from a file, those that it names. */
    static List<LinearLayer> heads(Attachment a, Lora lora, LinearLayer table) {
        if (!lora.ensureWeightTying() || !a.isTable(table)) {
            return List.of();
        }
        List<LinearLayer> heads = a.model().seams().readers(table.weight()).stream()
                .filter(l -> !a.isTable(l) && (!a.isLoading() || a.holds(Attachment.key(l.path()) + ".lora_A.weight"))).toList();
        Require.that(!lora.useDora() || heads.isEmpty(), "ensure_weight_tying is true for " + table.path() + ", which use_dora does not take. "
                + "Set one of the two to false.");
        return heads;
    }

    /** Puts a head under the factors {@code A [r, N]} and {@code B [C, r]} of its table; its own, in the file, are their transposes. */
    static void follow(Attachment a, LinearLayer head, LoraStart.Factors table, double scale) {
        Var rows = table.a();
        Var up = table.b();
        a.project(head, new TurnedFactors(rows, up, scale));
        a.derived(Attachment.key(head.path()) + ".lora_A.weight", () -> up.tensor().transpose(0, 1).contiguous(), up.size(1), up.size(0));
        a.derived(Attachment.key(head.path()) + ".lora_B.weight", () -> rows.tensor().transpose(0, 1).contiguous(), rows.size(1), rows.size(0));
    }

    @Override
    public Var forward(Var x, UnaryOperator<Var> inner, LinearLayer layer, Pass pass) {
        return new LoraFactors(b.transpose(0, 1), a.transpose(0, 1), Optional.empty(), scale, 0).forward(x, inner, layer, pass);
    }

    @Override
    public Var rows(Var below, UnaryOperator<Var> lookup, LinearLayer table, Pass pass) {
        return new RowFactors(b.transpose(0, 1), a.transpose(0, 1), scale).rows(below, lookup, table, pass);
    }

    /** In the order of the factors, so that a table and its head agree to the bit. */
    @Override
    public Var weight(Var w) {
        return w.transpose(0, 1).addScaled(b.matmul(a), scale).transpose(0, 1);
    }
}
