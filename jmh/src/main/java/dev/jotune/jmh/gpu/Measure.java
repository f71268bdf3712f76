package dev.jotune.jmh.gpu;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Scope;
import java.io.PrintStream;
import java.nio.file.Path;
import java.time.Instant;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.concurrent.atomic.AtomicReference;

/**
 * Measures rows until the time is up: {@code Measure DEVICE FOLDER tiny|full|asked END ROWS [PYTHON SCRIPT ARGS...]}.
 *
 * <p>END is a second of the Unix clock, ROWS names with commas or {@code all}; rows that the folder has already are left out. A row that
 * fails is noted and ends the process with code 3, since an error on a device may have spoilt its context: start it again for the rest.
 * A row that hangs is noted and ends it with code 4. Code 0: nothing is left to do. With {@code asked} a device at rest is asked for all that
 * rows of full size need, and nothing is compared or measured: which kernels these are, and whether they could be launched, needs no device.
 */
public final class Measure {
    static final int FAILED = 3;
    static final int HUNG = 4;
    /** The most that a row may take, building its inputs and compiling included; an emulator on a busy machine takes longer. */
    private static final long MOST_SECONDS = Long.getLong("jotune.row.seconds", 90);
    private static final double SECONDS = 0.8;

    private final Setting setting;
    private final Results results;
    private final Peer peer;
    private final PrintStream log;
    private final Runnable hung;

    /** @param hung ends the process when a row does not end */
    Measure(Setting setting, Results results, Peer peer, PrintStream log, Runnable hung) {
        this.setting = setting;
        this.results = results;
        this.peer = peer;
        this.log = log;
        this.hung = hung;
    }

    public static void main(String[] args) {
        if (args.length < 5) {
            System.err.println("Measure: needs DEVICE FOLDER tiny|full|asked END ROWS. bench/gpu/run.sh calls it so.");
            System.exit(2);
        }
        long end = Long.parseLong(args[3]);
        Results results = new Results(Path.of(args[1]));
        List<String> rows = args[4].equals("all") ? Goal.BY_WEIGHT : Arrays.stream(args[4].split(",")).map(id -> Goal.of(id).id()).toList();
        ObjectNode machine = Results.object();
        machine.putObject("machine").put("backend", args[0] + ", " + Backends.get(args[0]).description()).put("tiny", args[2].equals("tiny"));
        results.add(machine);
        try (Peer peer = new Peer(Arrays.asList(args).subList(5, args.length))) {
            Setting setting = new Setting(Backends.get(args[0]), Setting.Size.of(args[2]));
            System.exit(new Measure(setting, results, peer, System.err, () -> Runtime.getRuntime().halt(HUNG)).all(rows, end));
        }
    }

    /** Measures what the folder lacks; 0 or {@link #FAILED}. */
    int all(List<String> rows, long end) {
        AtomicReference<String> current = new AtomicReference<>();
        for (String id : rows) {
            if (results.row(id).isPresent()) {
                continue;
            }
            if (Instant.now().getEpochSecond() >= end) {
                log.println("Measure: the time is up; not measured: " + rows.stream().filter(r -> results.row(r).isEmpty()).toList());
                return 0;
            }
            current.set(id);
            Thread watch = Thread.ofPlatform().daemon().start(() -> watch(id, current));
            ObjectNode line = Results.object().put("row", id);
            boolean ok = row(Goal.of(id), line);
            current.set(null);
            watch.interrupt();
            results.add(line);
            log.println(line);
            if (!ok) {
                return FAILED;
            }
        }
        return 0;
    }

    /** A kernel that waits for ever cannot be called back: the process goes, and with it its context. */
    private void watch(String id, AtomicReference<String> current) {
        try {
            Thread.sleep(MOST_SECONDS * 1000);
        } catch (InterruptedException e) {
            return;
        }
        if (id.equals(current.get())) {
            results.add(Results.object().put("row", id).put("failed", "not done after " + MOST_SECONDS + " s"));
            hung.run();
        }
    }

    /** Fills the line of a row; false if ours failed. */
    private boolean row(Goal goal, ObjectNode line) {
        long start = System.nanoTime();
        line.put("unit", goal.unit().toString());
        boolean ok = true;
        Optional<Measured> ours = Optional.empty();
        // What a row made is gone before the vendor's turn.
        try (Scope _ = Scope.open()) {
            ours = Optional.of(ours(goal, line));
        } catch (RuntimeException | Error e) {
            ok = e instanceof UnsupportedOperationException;
            line.put("failed", String.valueOf(e.getMessage() == null ? e : e.getMessage()));
            e.printStackTrace(log);
        }
        System.gc();
        JsonNode theirs = peer.ask(goal.id(), MOST_SECONDS / 2.0);
        vendor(theirs, line);
        ours.ifPresent(m -> number(goal, m, line));
        line.put("seconds", round((System.nanoTime() - start) / 1e9));
        return ok;
    }

    private record Measured(Work work, Clock.Taken taken, OptionalDouble baseline) {}

    private Measured ours(Goal goal, ObjectNode line) {
        Clock clock = new Clock(setting);
        Work work = work(goal.id());
        if (setting.size() == Setting.Size.ASKED) {
            return asked(work, clock);
        }
        Work.Check check = work.check();
        line.put("error", String.format(Locale.ROOT, "%.1e", check.error())).put("tolerance", check.tolerance());
        if (!check.passes()) {
            throw new IllegalStateException("wrong by " + line.path("error").asText() + ", allowed is " + check.tolerance() + "; not timed");
        }
        System.gc();
        setting.backend().resetPeak();
        Clock.Taken taken = clock.take(work.mode(), work::run, work.sets(), SECONDS);
        line.put("peak_bytes", setting.backend().peakBytes());
        OptionalDouble baseline = work.baseline().map(b -> OptionalDouble.of(clock.take(work.mode(), b, 1, SECONDS).median()))
                .orElse(OptionalDouble.empty());
        work.facts().forEach(line::putPOJO);
        line.put("micros", round(taken.median())).put("least_micros", round(taken.least())).put("wall_micros", round(taken.wall()))
                .put("runs", taken.runs());
        baseline.ifPresent(b -> line.put("baseline_micros", round(b)));
        ObjectNode kernels = line.putObject("kernels");
        taken.kernels().forEach((name, micros) -> kernels.put(name, round(micros)));
        return new Measured(work, taken, baseline);
    }

    private static Measured asked(Work work, Clock clock) {
        work.check();
        work.baseline().ifPresent(b -> clock.take(work.mode(), b, 1, 0));
        return new Measured(work, clock.take(work.mode(), work::run, 1, 0), OptionalDouble.of(1));
    }

    private static void vendor(JsonNode theirs, ObjectNode line) {
        if (theirs.has("error")) {
            line.put("vendor_error", theirs.path("error").asText());
            return;
        }
        line.put("vendor", theirs.path("value").asDouble()).put("vendor_what", theirs.path("what").asText());
        line.set("vendor_all", theirs);
        if (theirs.has("peak_bytes")) {
            line.put("vendor_peak_bytes", theirs.path("peak_bytes").asLong());
        }
    }

    private void number(Goal goal, Measured m, ObjectNode line) {
        JsonNode all = line.path("vendor_all");
        OptionalDouble theirBaseline = all.has("baseline_micros") ? OptionalDouble.of(all.path("baseline_micros").asDouble())
                : OptionalDouble.empty();
        double value = m.work.value(m.taken.median(), m.baseline, theirBaseline);
        if (Double.isNaN(value)) {
            line.put("failed", "there is nothing to compare it with: what it is measured against was not measured");
            return;
        }
        line.put("ours", round(value));
        if (setting.size() != Setting.Size.FULL) {
            // A goal is one for the full size, and measured.
            line.put("shape", setting.size().toString()).put("level", "-");
            return;
        }
        line.put("level", goal.level(value, line.has("vendor") ? OptionalDouble.of(line.path("vendor").asDouble()) : OptionalDouble.empty()));
    }

    private Work work(String id) {
        Setting s = setting;
        return switch (id) {
            case "gemm_bf16" -> new Product(s, DType.BF16, s.size(8192, 130), s.size(8192, 96), s.size(8192, 72));
            case "gemm_bf16_4096" -> new Product(s, DType.BF16, s.size(4096, 64), s.size(4096, 128), s.size(4096, 64));
            case "gemm_f32" -> new Product(s, DType.F32, s.size(4096, 40), s.size(4096, 50), s.size(4096, 40));
            case "gemm_tf32" -> new Product(s, DType.F32, "tf32", s.size(8192, 130), s.size(8192, 96), s.size(8192, 72));
            case "gemm_bf16x6" -> new Product(s, DType.F32, "bf16x6", s.size(4096, 40), s.size(4096, 50), s.size(4096, 40));
            case "attention_d128" ->
                new PrefixAttention(s, false, s.size(8, 2), s.size(16, 2), s.size(2048, 136), s.size(64, 12), s.size(128, 64));
            case "attention_d64" -> new PrefixAttention(s, false, s.size(8, 2), s.size(32, 2), s.size(2048, 36), s.size(64, 10), s.size(64, 32));
            case "attention_d256" ->
                new PrefixAttention(s, false, s.size(8, 1), s.size(8, 2), s.size(2048, 130), s.size(64, 12), s.size(256, 160));
            case "attention_back_d128" ->
                new PrefixAttention(s, true, s.size(8, 2), s.size(16, 2), s.size(2048, 136), s.size(64, 12), s.size(128, 64));
            case "attention_back_d64" ->
                new PrefixAttention(s, true, s.size(8, 2), s.size(32, 2), s.size(2048, 130), s.size(64, 10), s.size(64, 32));
            case "decode_shared" -> new DecodeAttention(s, true, s.size(256, 3), s.size(32, 4), s.size(8, 2), s.size(128, 64), s.size(4096, 40),
                    s.size(128, 20));
            case "decode_shared_32k" -> new DecodeAttention(s, true, s.size(256, 3), s.size(32, 4), s.size(8, 2), s.size(128, 64), s.size(32768, 260),
                    s.size(128, 20));
            case "decode_learned" -> new DecodeAttention(s, false, s.size(64, 3), s.size(32, 4), s.size(8, 2), s.size(128, 64), s.size(64, 16),
                    s.size(512, 30));
            case "linear_lora" -> new LowRank(s, s.size(8192, 70), s.size(4096, 64), s.size(4096, 96), 16);
            case "linear_lora_narrow" -> new LowRank(s, s.size(8192, 70), s.size(4096, 64), s.size(1024, 32), 16);
            case "linear_lora_back" -> new LowRankBack(s, s.size(8192, 70), s.size(4096, 64), s.size(4096, 96), 16);
            case "linear_xent", "linear_xent_both" ->
                new VocabularyLoss(s, id.endsWith("both"), s.size(8192, 40), s.size(4096, 48), s.size(131072, 300));
            case "multi_lora" -> new ManyAdapters(s, s.size(64, 8), 1, s.size(4096, 128), 16);
            case "multi_lora_runs" -> new ManyAdapters(s, s.size(8, 2), s.size(256, 20), s.size(4096, 128), 16);
            case "launch" -> new Launches(s);
            case "lora_step", "prefix_step" -> new TrainingStep(s, id);
            case "decode_text" -> new TextDecoding(s);
            default -> new RowOperation(s, id, results.row("copy").map(r -> r.path("ours").asDouble(Double.NaN)).orElse(Double.NaN));
        };
    }

    /** Four significant digits. */
    private static double round(double x) {
        return Double.isFinite(x) && x != 0 ? new java.math.BigDecimal(x).round(new java.math.MathContext(4)).doubleValue() : x;
    }
}
