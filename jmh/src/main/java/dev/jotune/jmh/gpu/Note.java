package dev.jotune.jmh.gpu;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * What {@code run.sh} itself has to say to the results of a folder: {@code Note FOLDER machine KEY=VALUE...}, {@code question TEXT ANSWER},
 * {@code crashed ROWS WHY} (the first row without a line was at work), {@code row QUESTION RESULTS ROW} (a row of another run),
 * {@code compare RESULTS EMULATOR} or {@code write}, which makes both files anew.
 */
public final class Note {
    private static final String SAME = "Do the kernels err on the device as they do under the emulator?";

    private Note() {}

    public static void main(String[] args) throws IOException {
        Results results = new Results(Path.of(args[0]));
        switch (args[1]) {
            case "machine" -> {
                ObjectNode line = Results.object();
                ObjectNode machine = line.putObject("machine");
                Arrays.stream(args).skip(2).map(a -> a.split("=", 2)).forEach(a -> {
                    if (a[1].equals("true") || a[1].equals("false")) {
                        machine.put(a[0], Boolean.parseBoolean(a[1]));
                    } else if (!a[1].isBlank()) {
                        machine.put(a[0], a[1].strip());
                    }
                });
                results.add(line);
            }
            case "question" -> results.add(Results.object().put("question", args[2]).put("answer", args[3]));
            case "crashed" -> {
                List<String> rows = args[2].equals("all") ? Goal.BY_WEIGHT : List.of(args[2].split(","));
                String row = rows.stream().filter(r -> results.row(r).isEmpty()).findFirst().orElse("");
                if (row.isEmpty()) {
                    System.exit(1);
                }
                results.add(Results.object().put("row", row).put("failed", args[3]));
            }
            case "row" -> results.add(Results.object().put("question", args[2]).put("answer", row(Path.of(args[3]), args[4])));
            case "compare" -> results.add(Results.object().put("question", SAME).put("answer", compare(Path.of(args[2]), Path.of(args[3]))));
            case "write" -> results.write();
            default -> throw new IllegalArgumentException("There is nothing to note about '" + args[1] + "'.");
        }
    }

    private static String row(Path file, String id) throws IOException {
        if (Files.exists(file)) {
            for (JsonNode row : new ObjectMapper().readTree(file.toFile()).path("rows")) {
                if (row.path("row").asText().equals(id)) {
                    return row.has("ours") ? row.path("ours").asText() + " " + row.path("unit").asText() + ", " + row.path("micros").asText()
                            + " us, error " + row.path("error").asText() + ", " + row.path("kernels") : "failed: " + row.path("failed").asText();
                }
            }
        }
        return "not measured";
    }

    /** Row by row: the error here, the error there, and what failed here. */
    private static String compare(Path here, Path there) throws IOException {
        Map<String, String> emulated = errors(there);
        List<String> all = new ArrayList<>();
        errors(here).forEach((row, error) -> all.add(row + " " + error + " (" + emulated.getOrDefault(row, "not emulated") + ")"));
        return all.isEmpty() ? "no row was computed on the device" : "device (emulator): " + String.join("; ", all);
    }

    private static Map<String, String> errors(Path results) throws IOException {
        Map<String, String> all = new LinkedHashMap<>();
        if (Files.exists(results)) {
            for (JsonNode row : new ObjectMapper().readTree(results.toFile()).path("rows")) {
                all.put(row.path("row").asText(), row.has("ours") ? row.path("error").asText() : "failed: " + row.path("failed").asText());
            }
        }
        return all;
    }
}
