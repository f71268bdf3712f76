package dev.jotune.models.decoder;

import dev.jotune.autograd.Var;
import dev.jotune.models.seam.Pass;
import java.util.List;
import java.util.Optional;

/** The second half of a block. */
sealed interface FeedForward permits GatedMlp, MixtureOfExperts {
    /**
     * {@code x [B, T, C] -> [B, T, C]}.
     *
     * @param residual what is added to the result, in the last projection where that is possible
     * @param routed where a router puts its logits {@code [B, T, E]}
     */
    Var forward(Var x, Optional<Var> residual, Pass pass, List<Var> routed);
}
