package dev.jotune.models.decoder;

import java.util.List;

/**
 * A mixture of experts.
 *
 * @param count E, experts of a layer
 * @param perToken K, experts that each token goes to
 * @param intermediateSize F of an expert
 * @param sharedIntermediateSize F of the expert that every token goes to; 0: none
 * @param normalised whether the weights of the chosen experts are made to sum to 1
 * @param module the module's name within its layer
 * @param names of an expert's gate, up and down projections
 * @param sparse which layers have experts
 * @param lossCoefficient factor of the load-balancing loss
 * @param addLoss whether training adds that loss ({@code output_router_logits})
 */
public record ExpertConfig(int count, int perToken, int intermediateSize, int sharedIntermediateSize, boolean normalised, String module,
        List<String> names, List<Boolean> sparse, double lossCoefficient, boolean addLoss) {}
