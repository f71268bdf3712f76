package dev.jotune.models.seam;

import dev.jotune.autograd.Var;
import dev.jotune.autograd.ops.Attention;
import dev.jotune.autograd.ops.AttentionDefinition;
import java.util.List;
import java.util.Optional;

/**
 * One attention of a model.
 *
 * @param path the module's checkpoint path, {@code model.layers.0.self_attn}
 * @param layer its number among the layers of its stack, from 0
 * @param heads query heads (H)
 * @param groups key/value heads (G)
 * @param headDim features of a head (D)
 * @param kind what its queries see
 * @param tap how the names of its taps begin: {@code layers.0.attn}, {@code decoder.layers.0.cross}
 * @param dropout of the probabilities, while training
 */
public record AttentionSite(String path, int layer, int heads, int groups, int headDim, Kind kind, String tap, double dropout) {
    /** What the queries of an attention see of its own keys. */
    public enum Kind {
        /** A text: each token sees itself and those before it. */
        CAUSAL,
        /** A text: each token sees all. */
        BIDIRECTIONAL,
        /** The states of an encoder. */
        CROSS
    }

    /**
     * The tap that shows the probabilities {@code [B, H, T, S]} over all segments, before dropout; what it returns is not used. Where
     * a row holds branches it is called once for each part, with the queries of that part and the keys that they see.
     */
    public String weightsTap() {
        return tap + ".weights";
    }

    /**
     * What an attention asks with.
     *
     * @param states {@code [B, H, T, D]}, as they meet the keys
     * @param scale factor of the scores
     * @param softcap see {@link Attention#attend}; 0: none
     */
    public record Queries(Var states, double scale, double softcap) {
        private Queries of(Var rows) {
            return new Queries(rows, scale, softcap);
        }
    }

    /**
     * Attends to all segments together, and lets adapters take their {@link AttentionStep}s; every backbone attends
     * through here.
     *
     * @param query {@code [B, H, T, D]}
     * @param segments what adapters added first, then the own keys
     * @param scale factor of the scores
     * @param softcap see {@link Attention#attend}; 0: none
     * @return {@code [B, H, T, D]}
     */
    public Var attend(Var query, List<Attention.Segment> segments, double scale, double softcap, Pass pass) {
        return attend(query, segments, scale, softcap, pass, "");
    }

    /**
     * As {@link #attend(Var, List, double, double, Pass)}, for some of the queries of a text.
     *
     * @param part tells their noise from that of the others
     */
    public Var attend(Var query, List<Attention.Segment> segments, double scale, double softcap, Pass pass, String part) {
        Attention.Noise noise = pass.training() && dropout > 0
                ? new Attention.Noise(dropout, pass.seed(), pass.stream("dropout." + weightsTap() + part)) : Attention.Noise.NONE;
        Attention.Result result = Attention.attend(query, segments, scale, softcap, noise, pass.precision());
        if (pass.hasStep(this)) {
            Queries all = new Queries(query, scale, softcap);
            Var[] stepped = pass.perGroup(new Var[] {query, result.out(), result.lse()}, (rows, group) -> {
                Attention.Result r = new Attention.Result(rows[1], rows[2]);
                for (AttentionStep step : group.steps(this)) {
                    r = step.apply(all.of(rows[0]), r, pass.within(group));
                }
                return new Var[] {r.out(), r.lse()};
            });
            result = new Attention.Result(stepped[0], stepped[1]);
        }
        // Probabilities are formed for whoever asks to see them, never otherwise.
        if (pass.isTapped(weightsTap())) {
            pass.tap(weightsTap(), AttentionDefinition.probabilities(query, segments, result.lse(), scale, softcap));
        }
        return result.out();
    }

    /** Whether adapters of the pass may put anything behind the output projection; where they do not, {@link #behind} gives what it got. */
    public boolean isFollowed(Pass pass) {
        return pass.hasStep(this);
    }

    /**
     * Adds what the steps of adapters put behind the output projection. The output of every attention that says how it makes
     * its keys and values ({@link Seams#keysAndValues}) passes through here.
     *
     * @param output of the projection, {@code [B, T, C]}
     * @param query {@code [B, H, T, D]}, as {@link #attend} had it
     */
    public Var behind(Var output, Var query, double scale, double softcap, Pass pass) {
        if (!isFollowed(pass)) {
            return output;
        }
        Queries all = new Queries(query, scale, softcap);
        return pass.perGroup(new Var[] {output, query}, (rows, group) -> {
            Var y = rows[0];
            for (AttentionStep step : group.steps(this)) {
                Optional<Var> more = step.behind(all.of(rows[1]), pass.within(group));
                y = more.isPresent() ? y.add(more.get()) : y;
            }
            return new Var[] {y};
        })[0];
    }
}
