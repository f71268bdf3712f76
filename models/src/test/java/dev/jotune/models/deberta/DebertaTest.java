package dev.jotune.models.deberta;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.jotune.autograd.Var;
import dev.jotune.models.Architectures;
import dev.jotune.models.Config;
import dev.jotune.models.Encoder;
import dev.jotune.models.EncoderInput;
import dev.jotune.models.Weights;
import dev.jotune.models.seam.Hooks;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.random.Philox;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Relative positions and disentangled scores, against the paper's equation written with loops. */
class DebertaTest {
    private static final int HIDDEN = 8;
    private static final int HEADS = 2;
    private static final int TIME = 7;

    @Test
    void distancesShareBucketsLogarithmically() {
        RelativePositions tiny = new RelativePositions(6, 6, 32);
        int[] want = {0, 1, 2, 3, 4, 4, 4, 4, 4, 4, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5};
        for (int d = 0; d < want.length; d++) {
            assertThat(tiny.row(d)).as("distance %d", d).isEqualTo(6 + want[d]);
            assertThat(tiny.row(-d)).as("distance -%d", d).isEqualTo(6 - want[d]);
        }
        // The published models: torch's numbers at a few distances, and its sums over all.
        RelativePositions large = new RelativePositions(256, 256, 512);
        int[] at = {127, 128, 129, 130, 131, 140, 150, 170, 200, 250, 300, 400, 450, 500, 510, 511};
        int[] row = {127, 128, 129, 130, 131, 137, 143, 155, 169, 190, 207, 233, 244, 254, 255, 255};
        for (int i = 0; i < at.length; i++) {
            assertThat(large.row(at[i])).as("distance %d", at[i]).isEqualTo(256 + row[i]);
        }
        long sum = 0;
        long weighted = 0;
        for (int d = 0; d < 512; d++) {
            sum += large.row(d) - 256;
            weighted += (long) d * (large.row(d) - 256);
        }
        assertThat(sum).isEqualTo(87297);
        assertThat(weighted).isEqualTo(27457213);
        // Without buckets every distance has a row, up to the ends of the table.
        RelativePositions plain = new RelativePositions(4, 0, 4);
        assertThat(List.of(plain.row(-9), plain.row(-4), plain.row(0), plain.row(3), plain.row(9))).containsExactly(0, 0, 4, 7, 7);
    }

    @Test
    void diagonalsAreTakenWithoutAnIndex() {
        for (int time : new int[] {1, 2, 5}) {
            double[] x = new double[2 * time * 2 * time];
            Arrays.setAll(x, i -> i);
            double[] got = DisentangledAttention.diagonals(Var.constant(Tensor.of(Backends.reference(), DType.F64, x, 1, 2, time, 2 * time)))
                    .tensor().toDoubleArray();
            for (int h = 0; h < 2; h++) {
                for (int t = 0; t < time; t++) {
                    for (int s = 0; s < time; s++) {
                        assertThat(got[(h * time + t) * time + s]).isEqualTo(x[(h * time + t) * 2 * time + time - 1 - t + s]);
                    }
                }
            }
        }
    }

    /** Weights made up on demand: whatever is asked for is there. */
    private static final class Dream implements Weights.Source {
        private final boolean own;

        Dream(boolean own) {
            this.own = own;
        }

        double[] values(String name, int n) {
            double[] out = new double[n];
            Arrays.setAll(out, i -> 0.5 * Philox.normal(3, name.hashCode(), i));
            return out;
        }

        @Override
        public boolean contains(String name) {
            return !name.startsWith("cls") && !name.startsWith("lm_predictions") && !name.startsWith("classifier");
        }

        @Override
        public Tensor get(String name) {
            long[] shape = name.contains("word_embeddings") ? new long[] {20, HIDDEN}
                    : name.contains("rel_embeddings") ? new long[] {own ? 8 : 12, HIDDEN}
                    : name.contains("position_embeddings") ? new long[] {16, HIDDEN}
                    : name.contains("intermediate.dense.weight") ? new long[] {6, HIDDEN}
                    : name.contains("intermediate.dense.bias") ? new long[] {6}
                    : name.contains("layer.0.output.dense.weight") ? new long[] {HIDDEN, 6}
                    : name.endsWith("weight") && !name.contains("LayerNorm") ? new long[] {HIDDEN, HIDDEN} : new long[] {HIDDEN};
            int n = (int) Arrays.stream(shape).reduce(1, (a, b) -> a * b);
            return Tensor.of(Backends.reference(), DType.F64, values(name, n), shape);
        }

        @Override
        public String origin() {
            return "dream";
        }
    }

    /** Which terms there are, whether positions share the content's projections, whether there are buckets. */
    @ParameterizedTest
    @CsvSource({"c2p|p2c, true, true", "c2p|p2c, false, false", "c2p, true, false", "p2c, false, true"})
    void scoresAreThePapersSum(String kinds, boolean share, boolean buckets) {
        Dream weights = new Dream(!buckets);
        String config = """
                {"model_type": "deberta-v2", "hidden_size": 8, "intermediate_size": 6, "num_attention_heads": 2, "num_hidden_layers": 1,
                 "vocab_size": 20, "max_position_embeddings": 16, "type_vocab_size": 0, "layer_norm_eps": 1e-5, "relative_attention": true,
                 "position_biased_input": true, "pos_att_type": "%s", "share_att_key": %s, "norm_rel_ebd": "none", %s}
                """.formatted(kinds, share, buckets ? "\"position_buckets\": 6" : "\"max_relative_positions\": 4");
        Encoder m = Architectures.build(Config.parse(config, "config"), weights, Backends.reference(), DType.F64).as(Encoder.class);
        double[][] seen = new double[2][];
        m.seams().attach(Hooks.ofTaps("watch", Map.of("embed", (n, x, p) -> {
            seen[0] = x.tensor().toDoubleArray();
            return x;
        }, "layers.0.attn.weights", (n, x, p) -> {
            seen[1] = x.tensor().toDoubleArray();
            return x;
        })));
        m.forward(EncoderInput.of(Tensor.of(Backends.reference(), new long[] {4, 9, 3, 17, 5, 8, 1}, 1, TIME)), m.seams().inference());

        String at = "deberta.encoder.layer.0.attention.self.";
        double[] rel = weights.values("deberta.encoder.rel_embeddings.weight", (buckets ? 12 : 8) * HIDDEN);
        double[] q = layer(weights, at + "query_proj", seen[0]);
        double[] k = layer(weights, at + "key_proj", seen[0]);
        double[] posKey = layer(weights, at + (share ? "key_proj" : "pos_key_proj"), rel);
        double[] posQuery = layer(weights, at + (share ? "query_proj" : "pos_query_proj"), rel);
        RelativePositions positions = new RelativePositions(buckets ? 6 : 4, buckets ? 6 : 0, buckets ? 16 : 4);
        int terms = 1 + kinds.split("\\|").length;
        int d = HIDDEN / HEADS;
        for (int h = 0; h < HEADS; h++) {
            for (int i = 0; i < TIME; i++) {
                double[] score = new double[TIME];
                double total = 0;
                for (int j = 0; j < TIME; j++) {
                    int row = positions.row(i - j);
                    double s = dot(q, i, k, j, h, d);
                    s += kinds.contains("c2p") ? dot(q, i, posKey, row, h, d) : 0;
                    s += kinds.contains("p2c") ? dot(k, j, posQuery, row, h, d) : 0;
                    score[j] = Math.exp(s / Math.sqrt(terms * d));
                    total += score[j];
                }
                for (int j = 0; j < TIME; j++) {
                    assertThat(seen[1][(h * TIME + i) * TIME + j]).as("head %d query %d key %d", h, i, j)
                            .isCloseTo(score[j] / total, within(1e-10));
                }
            }
        }
    }

    private static double dot(double[] a, int i, double[] b, int j, int h, int d) {
        double sum = 0;
        for (int c = h * d; c < (h + 1) * d; c++) {
            sum += a[i * HIDDEN + c] * b[j * HIDDEN + c];
        }
        return sum;
    }

    private static double[] layer(Dream weights, String path, double[] x) {
        double[] w = weights.values(path + ".weight", HIDDEN * HIDDEN);
        double[] b = weights.values(path + ".bias", HIDDEN);
        double[] out = new double[x.length];
        for (int i = 0; i < out.length; i++) {
            out[i] = b[i % HIDDEN];
            for (int c = 0; c < HIDDEN; c++) {
                out[i] += w[i % HIDDEN * HIDDEN + c] * x[i / HIDDEN * HIDDEN + c];
            }
        }
        return out;
    }
}
