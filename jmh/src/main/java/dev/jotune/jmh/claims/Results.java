package dev.jotune.jmh.claims;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.jotune.tensor.Backends;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.LocalDate;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;

/** What was measured, one JSON object a line; of the claim at work new lines are added as they come. */
public final class Results {
    /** A line that says under what circumstances a claim was run. */
    static final String CIRCUMSTANCES = "circumstances";
    private static final ObjectMapper JSON = new ObjectMapper();

    private final Optional<Path> file;
    private final List<Row> rows = new ArrayList<>();
    private Map<String, Object> claim = Map.of();

    private Results(Optional<Path> file) {
        this.file = file;
    }

    /** Those in memory alone. */
    static Results inMemory() {
        return new Results(Optional.empty());
    }

    /** Those of a file, if it is there. */
    static Results open(Path file) {
        Results r = new Results(Optional.of(file));
        try {
            if (Files.exists(file)) {
                for (String line : Files.readAllLines(file)) {
                    r.rows.add(JSON.readValue(line, Row.class));
                }
            }
        } catch (IOException e) {
            throw new UncheckedIOException(file + " cannot be read as results: " + e.getMessage() + ". Remove what is no line of them.", e);
        }
        return r;
    }

    /** Says whose lines follow; what an earlier run of it found goes, unless this is a further launch. */
    void begin(Claim of, int launch) {
        claim = Map.of("claim", of.id());
        if (launch == 1) {
            rows.removeIf(r -> r.has("claim", of.id()));
            write();
        }
        add(Row.of("kind", CIRCUMSTANCES, "launch", launch, "date", LocalDate.now(ZoneOffset.UTC).toString(), "device",
                Backends.cpu().description(), "load", rounded(ManagementFactory.getOperatingSystemMXBean().getSystemLoadAverage())));
    }

    /** Adds a line, and gives it back. */
    Row add(Object... namesAndValues) {
        for (int i = 1; i < namesAndValues.length; i += 2) {
            if (namesAndValues[i] instanceof Double d) {
                namesAndValues[i] = rounded(d);
            }
        }
        return add(Row.of(namesAndValues));
    }

    private Row add(Row row) {
        Row whole = row.and(claim);
        rows.add(whole);
        file.ifPresent(f -> append(f, line(whole)));
        return whole;
    }

    private static double rounded(double x) {
        return Double.isFinite(x) ? Double.parseDouble(String.format(Locale.ROOT, "%.5g", x)) : x;
    }

    static String line(Row row) {
        try {
            return JSON.writeValueAsString(row) + "\n";
        } catch (JsonProcessingException e) {
            throw new IllegalStateException("a line of results cannot be written: " + row + ". Its values must be numbers or texts.", e);
        }
    }

    private static void append(Path file, String line) {
        try {
            Files.writeString(file, line, StandardOpenOption.CREATE, StandardOpenOption.APPEND);
        } catch (IOException e) {
            throw new UncheckedIOException("cannot write " + file + ". Give a folder that can be written to.", e);
        }
    }

    private void write() {
        file.ifPresent(f -> {
            try {
                Files.createDirectories(f.toAbsolutePath().getParent());
                Files.writeString(f, String.join("", rows.stream().map(Results::line).toList()));
            } catch (IOException e) {
                throw new UncheckedIOException("cannot write " + f + ". Give a folder that can be written to.", e);
            }
        });
    }

    /** What a claim has found. */
    List<Row> of(Claim c) {
        return rows.stream().filter(r -> r.has("claim", c.id()) && !r.has("kind", CIRCUMSTANCES)).toList();
    }

    /** Under what circumstances. */
    List<Row> circumstances(Claim c) {
        return rows.stream().filter(r -> r.has("claim", c.id()) && r.has("kind", CIRCUMSTANCES)).toList();
    }
}
