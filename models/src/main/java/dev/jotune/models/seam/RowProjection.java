package dev.jotune.models.seam;

import dev.jotune.autograd.Var;
import java.util.function.UnaryOperator;

/**
 * What a method makes of a table of embeddings (seam 1): {@code y = W' e_i} of one-hot rows, with W {@code [C, N]} the table
 * transposed. {@link #weight} is the definition here too.
 */
public interface RowProjection extends Projection {
    /**
     * The rows that were asked for.
     *
     * @param below {@code [.., C]}: the table's own rows, or what a method attached before made of them
     * @param lookup the rows of another table {@code [N, M]} at the same places: {@code [.., M]}
     * @param pass of these rows alone: its first group is theirs
     */
    Var rows(Var below, UnaryOperator<Var> lookup, LinearLayer table, Pass pass);

    /** Of one-hot rows x, a lookup being a product with them; of heads that share the table's weight, otherwise. */
    @Override
    default Var forward(Var x, UnaryOperator<Var> inner, LinearLayer layer, Pass pass) {
        return rows(inner.apply(x), table -> x.matmul(table), layer, pass);
    }
}
