import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.LocalDate;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.function.Function;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * Writes docs/PROXY.md of what run.sh measured, and NOTES.md below it: numbers here, what to make of them there.
 *
 * <pre>java bench/proxy/Page.java WORK SEEDS THREADS PRETRAINING TUNING RATES</pre>
 */
public final class Page {
    private static final String[] SIZES = {"small", "medium", "large"};

    private final Path work;
    private final List<String> seeds;

    private Page(Path work, List<String> seeds) {
        this.work = work;
        this.seeds = seeds;
    }

    /** @param args as above */
    public static void main(String[] args) throws IOException {
        Page page = new Page(Path.of(args[0]), List.of(args[1].split(",")));
        System.out.print(page.text(args[1], args[2], args[3], args[4], args[5]));
        System.out.print(Files.readString(Path.of("bench/proxy/NOTES.md")));
    }

    /** The number after the name in a line of jotune eval. */
    private double measured(String seed, String name) {
        Path file = work.resolve(seed).resolve("results").resolve(name);
        try {
            return Double.parseDouble(Files.readString(file).replaceFirst("^(accuracy|exact match|perplexity) ", "").split(" ")[0]);
        } catch (IOException e) {
            throw new IllegalStateException("there is no " + file + ". Run bench/proxy/run.sh, which measures it.", e);
        }
    }

    private String text(String all, String threads, String pretraining, String tuning, String rates) throws IOException {
        String config = Stream.of(SIZES).map(this::size).collect(Collectors.joining("; "));
        StringBuilder out = new StringBuilder();
        out.append("""
                # Proxy-tuning at small scale

                Made by `bench/proxy/run.sh %s` on %s, on %s, %s threads a command.

                Proxy-tuning (Liu et al., arXiv 2401.08565) steers a large model with a small one that was tuned, while it writes:
                `base + 1.0*(expert - anti)` on the logits, the expert being the small model after its tuning, the anti-expert before. What
                share of the gap between the large model and the same model tuned itself does that close?

                ## How

                For each seed a town is made up, and three Llamas are pretrained on texts about it from random weights:
                `./jotune pretrain --size SIZE --town SEED --seed SEED %s`. The sizes: %s. RATE: %s.
                The texts say where each of 240 people lives and what each does, and ask all of them. Half of them answer one time in six, and
                else evade ("Ada Kern would rather not say."); the others always evade.

                The tuning, `./jotune tune %s`, is on the questions to the first half, all answered. The
                test is on the questions to the other half: an answer is right if greedy decoding writes the whole of it and ends. So the tuning
                teaches to answer at all; what to answer must be known from the pretraining, whose texts never answer these questions. Every size
                is tuned the same way: the small model becomes the expert, the others the ceiling that proxy-tuning is measured by.

                `share = (proxy - base) / (tuned - base)`; the last line of a table is mean ± standard deviation over the seeds.

                """.formatted(all, LocalDate.now(), machine(), threads, pretraining, config, rates, tuning));
        out.append("## What is known before any tuning\n\n")
                .append("The right one of 16 words after \"NAME lives in\" and \"NAME works as a\", of the people in the test (chance: 0.0625).\n\n");
        table(out, List.of(SIZES), Stream.of(SIZES).<Function<String, Double>>map(z -> s -> measured(s, "facts." + z)).toList(), 3);
        out.append("## Right answers\n\n");
        measure(out, "exact-match", 3, x -> x);
        out.append("## Perplexity of the right answers\n\nOf the answer's tokens, given the question. The share is of log-perplexities.\n\n");
        measure(out, "perplexity", 3, Math::log);
        return out.toString();
    }

    private void measure(StringBuilder out, String task, int digits, Function<Double, Double> scale) {
        List<String> names = new ArrayList<>(List.of("small", "small tuned"));
        List<Function<String, Double>> columns = new ArrayList<>(List.of(s -> measured(s, task + ".small.base"),
                s -> measured(s, task + ".small.tuned")));
        for (String size : List.of("medium", "large")) {
            names.addAll(List.of(size, size + " + proxy", size + " tuned", "share, " + size));
            Function<String, Double> base = s -> measured(s, task + "." + size + ".base");
            Function<String, Double> proxy = s -> measured(s, task + "." + size + ".proxy");
            Function<String, Double> tuned = s -> measured(s, task + "." + size + ".tuned");
            columns.addAll(List.of(base, proxy, tuned, s -> (scale.apply(proxy.apply(s)) - scale.apply(base.apply(s)))
                    / (scale.apply(tuned.apply(s)) - scale.apply(base.apply(s)))));
        }
        table(out, names, columns, digits);
    }

    private void table(StringBuilder out, List<String> names, List<Function<String, Double>> columns, int digits) {
        out.append("| seed | ").append(String.join(" | ", names)).append(" |\n|").append("---|".repeat(names.size() + 1)).append("\n");
        for (String seed : seeds) {
            out.append("| ").append(seed).append(" |");
            columns.forEach(c -> out.append(" ").append(number(c.apply(seed), digits)).append(" |"));
            out.append("\n");
        }
        out.append("| mean |");
        columns.forEach(c -> {
            double[] x = seeds.stream().mapToDouble(c::apply).toArray();
            double mean = Arrays.stream(x).average().orElseThrow();
            double sum = 0;
            for (double v : x) {
                sum += (v - mean) * (v - mean);
            }
            double deviation = Math.sqrt(sum / Math.max(1, x.length - 1));
            out.append(" ").append(number(mean, digits)).append(" ± ").append(number(deviation, digits)).append(" |");
        });
        out.append("\n\n");
    }

    private static String number(double x, int digits) {
        return String.format(Locale.ROOT, "%." + digits + "f", x);
    }

    /** As config.json has it. */
    private String size(String name) {
        try {
            String c = Files.readString(work.resolve(seeds.getFirst()).resolve(name).resolve("config.json"));
            long bytes = Files.size(work.resolve(seeds.getFirst()).resolve(name).resolve("model.safetensors"));
            return name + ", " + field(c, "num_hidden_layers") + " layers of " + field(c, "hidden_size") + ", some "
                    + Math.round(bytes / 4e3) + ",000 weights";
        } catch (IOException e) {
            throw new IllegalStateException("there is no model " + name + ". Run bench/proxy/run.sh, which makes it.", e);
        }
    }

    private static String field(String json, String name) {
        return json.replaceAll("(?s).*\"" + name + "\"\\s*:\\s*(\\d+).*", "$1");
    }

    private static String machine() throws IOException {
        Path cpu = Path.of("/proc/cpuinfo");
        String model = Files.exists(cpu) ? Files.readAllLines(cpu).stream().filter(l -> l.startsWith("model name"))
                .map(l -> l.replaceFirst(".*: ", "")).findFirst().orElse("") : "";
        return Runtime.getRuntime().availableProcessors() + " cores of " + (model.isEmpty() ? "" : model + ", ") + System.getProperty("os.name") + " "
                + System.getProperty("os.arch");
    }
}
