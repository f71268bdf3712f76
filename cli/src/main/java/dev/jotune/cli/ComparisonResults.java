package dev.jotune.cli;

import com.fasterxml.jackson.annotation.JsonSubTypes;
import com.fasterxml.jackson.annotation.JsonTypeInfo;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;

/**
 * What a comparison has found so far, one JSON object a line. A line is added as soon as it is known, so that a comparison that was
 * stopped goes on where it was.
 */
final class ComparisonResults {
    private static final ObjectMapper JSON = new ObjectMapper();

    /** One line. */
    @JsonTypeInfo(use = JsonTypeInfo.Id.NAME, property = "kind")
    @JsonSubTypes({@JsonSubTypes.Type(value = Setting.class, name = "setting"), @JsonSubTypes.Type(value = Rate.class, name = "rate"),
        @JsonSubTypes.Type(value = Cost.class, name = "cost"), @JsonSubTypes.Type(value = Run.class, name = "run"),
        @JsonSubTypes.Type(value = Refused.class, name = "refused")})
    sealed interface Line {}

    /**
     * The budget, the same for every row.
     *
     * @param model the name of its folder
     * @param steps updates of a run
     * @param searchSteps updates for each learning rate that is tried
     * @param timedSteps updates of each side when steps are timed
     * @param reference the row that steps are timed against
     * @param device what computed
     */
    record Setting(String model, List<Task> tasks, int steps, int searchSteps, List<Double> rates, int timedSteps,
            String reference, String device) implements Line {}

    /**
     * @param examples to learn from
     * @param evaluated examples that accuracy is measured on
     * @param batchSize rows of an update
     * @param maxLength tokens of a text; what is longer loses its end
     */
    record Task(String name, int classes, int examples, int evaluated, int batchSize, int maxLength) {}

    /** How a learning rate did: the mean loss of the last half of a short run, NaN if it diverged. */
    record Rate(String task, String method, double rate, double loss) implements Line {}

    /**
     * What a step costs.
     *
     * @param own numbers that the method trains beside the head
     * @param trained all numbers that train
     * @param memory the most bytes of tensors in a step, beyond the model that is ready to be used
     * @param ratio median of how long a step takes as a multiple of the reference's step beside it
     * @param low its lower quartile
     * @param high its upper quartile
     * @param seconds median of a step
     */
    record Cost(String task, String method, long own, long trained, long memory, double ratio, double low, double high, double seconds)
            implements Line {}

    /**
     * A run.
     *
     * @param loss mean of the last tenth of the updates
     * @param seconds that it trained
     * @param file bytes of {@code adapter_model.safetensors}
     */
    record Run(String task, String method, long seed, double rate, int right, int total, double loss, double seconds, long file)
            implements Line {
        double accuracy() {
            return (double) right / total;
        }
    }

    /** A row that this model and task cannot have, and why. */
    record Refused(String task, String method, long seed, String reason) implements Line {}

    private final Optional<Path> file;
    private final List<Line> lines = new ArrayList<>();

    private ComparisonResults(Optional<Path> file) {
        this.file = file;
    }

    /** What was found is in {@code file}, and what is added goes there; the end of a line that was not written whole is cut off. */
    static ComparisonResults open(Path file) throws IOException {
        ComparisonResults r = new ComparisonResults(Optional.of(file));
        if (Files.exists(file)) {
            String text = Files.readString(file);
            int whole = text.lastIndexOf('\n') + 1;
            if (whole < text.length()) {
                Files.writeString(file, text.substring(0, whole));
            }
            r.read(text.substring(0, whole), file.toString());
        }
        return r;
    }

    /** Of a text, to look at. */
    static ComparisonResults of(String text, String origin) {
        ComparisonResults r = new ComparisonResults(Optional.empty());
        r.read(text, origin);
        return r;
    }

    private void read(String text, String origin) {
        int number = 0;
        for (String line : text.split("\n")) {
            number++;
            if (line.isBlank()) {
                continue;
            }
            try {
                lines.add(JSON.readValue(line, Line.class));
            } catch (JsonProcessingException e) {
                throw new FailureException(origin + ", line " + number + ", is no line of a comparison (" + e.getOriginalMessage()
                        + "). Remove it, or compare into another folder", e);
            }
        }
    }

    void add(Line line) {
        lines.add(line);
        try {
            if (file.isPresent()) {
                Files.writeString(file.get(), JSON.writeValueAsString(line) + "\n", StandardCharsets.UTF_8, StandardOpenOption.CREATE,
                        StandardOpenOption.APPEND);
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    Optional<Setting> setting() {
        return of(Setting.class).findFirst();
    }

    List<Rate> rates(String task, String method) {
        return of(Rate.class).filter(r -> r.task.equals(task) && r.method.equals(method)).toList();
    }

    Optional<Cost> cost(String task, String method) {
        return of(Cost.class).filter(c -> c.task.equals(task) && c.method.equals(method)).findFirst();
    }

    List<Run> runs(String task, String method) {
        return of(Run.class).filter(r -> r.task.equals(task) && r.method.equals(method)).toList();
    }

    List<Refused> refusals(String task, String method) {
        return of(Refused.class).filter(r -> r.task.equals(task) && r.method.equals(method)).toList();
    }

    /** Whether nothing is left to do for a seed. */
    boolean isDone(String task, String method, long seed) {
        return runs(task, method).stream().anyMatch(r -> r.seed == seed) || refusals(task, method).stream().anyMatch(r -> r.seed == seed);
    }

    /** Names of the rows, in the order of their first line. */
    List<String> methods() {
        return lines.stream().flatMap(l -> switch (l) {
            case Setting _ -> Stream.<String>empty();
            case Rate r -> Stream.of(r.method);
            case Cost c -> Stream.of(c.method);
            case Run r -> Stream.of(r.method);
            case Refused r -> Stream.of(r.method);
        }).distinct().toList();
    }

    private <T extends Line> Stream<T> of(Class<T> kind) {
        return lines.stream().filter(kind::isInstance).map(kind::cast);
    }
}
