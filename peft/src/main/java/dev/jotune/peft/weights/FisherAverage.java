package dev.jotune.peft.weights;

import java.util.ArrayList;
import java.util.List;

/**
 * Merging Models with Fisher-Weighted Averaging (Matena and Raffel, arXiv 2111.09832):
 * {@code W = sum of (F_i + eps) W_i / sum of (F_i + eps)}, element by element, with the diagonals F_i of the Fisher information.
 *
 * @param epsilon what every weight counts where no model's gradient sees it
 */
public record FisherAverage(double epsilon) {
    /** The average of models under their Fisher diagonals. */
    public Values of(List<Values> models, List<Values> fisher) {
        List<Values> operands = new ArrayList<>(models);
        operands.addAll(fisher);
        int k = models.size();
        return Values.map(operands, (from, n, in, out) -> {
            for (int i = 0; i < n; i++) {
                double sum = 0;
                double share = 0;
                for (int m = 0; m < k; m++) {
                    sum += (in[k + m][i] + epsilon) * in[m][i];
                    share += in[k + m][i] + epsilon;
                }
                out[i] = sum / share;
            }
        });
    }
}
