package dev.jotune.cli;

import dev.jotune.peft.weights.Breadcrumbs;
import dev.jotune.peft.weights.Combination;
import dev.jotune.peft.weights.Dare;
import dev.jotune.peft.weights.MagnitudePrune;
import dev.jotune.peft.weights.TaskArithmetic;
import dev.jotune.peft.weights.Ties;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.OptionalDouble;
import java.util.Set;
import picocli.CommandLine.Option;

/** How several sets of weights become one. */
final class MergeMethod {
    private static final Set<String> AVERAGES = Set.of("soup", "greedy-soup", "linear", "slerp");
    private static final Set<String> VECTORS = Set.of("task-arithmetic", "ties", "dare-linear", "dare-ties", "magnitude-prune", "breadcrumbs");
    private static final Set<String> OF_ADAPTERS = Set.of("cat", "svd", "ties-svd", "dare-linear-svd", "dare-ties-svd", "magnitude-prune-svd");

    @Option(names = "--method", required = true, paramLabel = "METHOD", description = "One of those above.")
    private String method;

    @Option(names = "--weight", paramLabel = "X", description = "How much each model or adapter counts, in their order. Default: 1 each, "
            + "for linear of N adapters 1 / N; negative takes away.")
    private List<Double> weight = new ArrayList<>();

    @Option(names = "--scale", paramLabel = "X", defaultValue = "1", description = "Factor of the merged task vector. Default: ${DEFAULT-VALUE}.")
    private double scale;

    @Option(names = "--density", paramLabel = "X", defaultValue = "0.2",
            description = "Share of the numbers that ties, dare-*, magnitude-prune and breadcrumbs keep. Default: ${DEFAULT-VALUE}.")
    private double density;

    @Option(names = "--gamma", paramLabel = "X", defaultValue = "0.01",
            description = "breadcrumbs: share of the largest numbers that go. Default: ${DEFAULT-VALUE}.")
    private double gamma;

    @Option(names = "--majority-sign-method", paramLabel = "NAME", defaultValue = "total",
            description = "ties: total or frequency elects the sign. Default: ${DEFAULT-VALUE}.")
    private String election;

    @Option(names = "--whole-model", description = "Trims over all tensors together, as the paper of TIES does, instead of each alone.")
    private boolean whole;

    @Option(names = "--t", paramLabel = "X", defaultValue = "0.5", description = "slerp: 0 is the first, 1 the second. Default: ${DEFAULT-VALUE}.")
    private double t;

    @Option(names = "--svd-rank", paramLabel = "N", description = "*svd: rank of the new adapter. Default: the largest.")
    private Integer svdRank;

    @Option(names = "--svd-clamp", paramLabel = "X", description = "*svd: quantile that the new factors' numbers are cut to.")
    private Double svdClamp;

    @Option(names = "--seed", paramLabel = "N", defaultValue = "0", description = "dare-*: fixes what is dropped. Default: ${DEFAULT-VALUE}.")
    private long seed;

    String name() {
        return method;
    }

    double scale() {
        return scale;
    }

    double t() {
        return t;
    }

    boolean wholeModel() {
        return whole;
    }

    int svdRank() {
        return svdRank == null ? 0 : svdRank;
    }

    OptionalDouble svdClamp() {
        return svdClamp == null ? OptionalDouble.empty() : OptionalDouble.of(svdClamp);
    }

    boolean needsBase() {
        return VECTORS.contains(method);
    }

    /** Refuses what does not fit together. */
    void check(int count, boolean ofAdapters) {
        boolean known = AVERAGES.contains(method) || VECTORS.contains(method) || OF_ADAPTERS.contains(method);
        if (!known) {
            throw new UsageException("--method: there is no '" + method + "'. 'jotune weights --help' lists them");
        }
        if (OF_ADAPTERS.contains(method) && !ofAdapters) {
            throw new UsageException("--method: " + method + " merges LoRA adapters, not models. Use --adapter");
        }
        checkSvd();
        if (count < 2) {
            throw new UsageException("there is " + count + " to merge. Give at least two");
        }
        if (method.equals("slerp") && count != 2) {
            throw new UsageException("slerp goes between two, and " + count + " are given. Use linear for more");
        }
        if (!weight.isEmpty() && weight.size() != count) {
            throw new UsageException("--weight is given " + weight.size() + " times for " + count + " models or adapters. Give one for each");
        }
        if (!weight.isEmpty() && AVERAGES.contains(method) && !method.equals("linear")) {
            throw new UsageException("--weight: " + method + " has no weights. Use linear or task-arithmetic");
        }
        if (!election.equals("total") && !election.equals("frequency")) {
            throw new UsageException("--majority-sign-method is '" + election + "'. It is total or frequency");
        }
    }

    /** Options that only some methods read. */
    private void checkSvd() {
        if ((svdRank != null || svdClamp != null) && !method.endsWith("svd")) {
            throw new UsageException((svdRank != null ? "--svd-rank" : "--svd-clamp") + " is for the methods of adapters that end in svd, and "
                    + "the method is " + method + ". Leave it out");
        }
        if (svdRank != null && svdRank < 1) {
            throw new UsageException("--svd-rank is " + svdRank + ". Give at least 1, or leave it out for the largest rank of the adapters");
        }
    }

    double[] weights(int count, boolean ofAdapters) {
        double[] equal = new double[count];
        // Averages of models divide by the sum of the weights themselves; factors are only added up.
        Arrays.fill(equal, ofAdapters && method.equals("linear") ? 1.0 / count : 1);
        return weight.isEmpty() ? equal : weight.stream().mapToDouble(x -> x).toArray();
    }

    /** @param asPeft whether weights count as in PEFT's merges of adapters */
    Combination combination(boolean asPeft) {
        Ties.Election by = Ties.Election.valueOf(election.toUpperCase(Locale.ROOT));
        Ties.Form form = asPeft ? Ties.Form.COUNTED : Ties.Form.WEIGHTED;
        return switch (method.replace("-svd", "")) {
            case "ties" -> new Ties(density, by, form);
            case "dare-linear" -> Dare.random(density, new TaskArithmetic(), seed);
            case "dare-ties" -> Dare.random(density, new Ties(1, by, form), seed);
            case "magnitude-prune" -> new MagnitudePrune(density);
            case "breadcrumbs" -> new Breadcrumbs(density, gamma);
            default -> new TaskArithmetic();
        };
    }
}
