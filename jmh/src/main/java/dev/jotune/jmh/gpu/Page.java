package dev.jotune.jmh.gpu;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.util.OptionalDouble;

/** {@code RESULTS.md}: the table of all rows, those never measured too, and the answers of the probe. */
final class Page {
    private static final String HEAD = """
            # CUDA devices beside the vendor's library

            Written by `bench/gpu/run.sh`; [docs/CUDA.md](../../docs/CUDA.md) says how it measures. Floors are computed from 798 TFLOP/s and
            3.0 TB/s, what a vendor library's BF16 product and a copy reached on an H100 SXM; TF32 counts as half of BF16, six products for one
            as a sixth. A ratio above 1 means that ours is better. A row counts only if its numbers were first compared with the CPU's; "error" is
            that difference.

            """;
    private static final String NEVER = """
            Not measured yet: no run on a device with CUDA was possible so far. One `bench/gpu/run.sh` on one fills every row.

            """;
    private static final ObjectMapper JSON = new ObjectMapper();

    private Page() {}

    /** The page of a {@code results.json}. */
    static String of(JsonNode results) {
        StringBuilder out = new StringBuilder(HEAD);
        JsonNode machine = results.path("machine");
        out.append(results.path("rows").isEmpty() ? NEVER
                : "Device: " + text(machine, "device") + ". Driver: " + text(machine, "driver") + ". Date: " + text(machine, "date") + ". Backend: "
                + text(machine, "backend") + ". Peer: " + text(machine, "python") + ".\n\n");
        if (machine.path("tiny").asBoolean()) {
            out.append("Sizes were tiny: this run shows that everything works and how exact it is; its times say nothing.\n\n");
        }
        if (machine.has("conformance")) {
            out.append("Conformance suite on the device: ").append(text(machine, "conformance")).append("; other tests: ")
                    .append(text(machine, "tests")).append(".\n\n");
        }
        out.append("| row | shape | floor | bronze / silver / gold | ours | vendor's | ratio | level | error | what limits it |\n")
                .append("|---|---|---|---|---|---|---|---|---|---|\n");
        JsonNode notes = notes();
        for (Goal goal : Goal.ALL) {
            JsonNode row = find(results.path("rows"), goal.id());
            out.append("| ").append(goal.what()).append(" | ").append(row.has("shape") ? text(row, "shape") : goal.shape()).append(" | ")
                    .append(goal.floor()).append(" | ").append(goal.goals()).append(" | ").append(measured(goal, row))
                    .append(" | ").append(cell(notes.path(goal.id()).asText("-"))).append(" |\n");
        }
        questions(results.path("questions"), out);
        return out.toString();
    }

    private static JsonNode find(JsonNode rows, String id) {
        for (JsonNode row : rows) {
            if (row.path("row").asText().equals(id)) {
                return row;
            }
        }
        return JSON.createObjectNode();
    }

    /** ours, vendor's, ratio, level, error. */
    private static String measured(Goal goal, JsonNode row) {
        if (row.isEmpty()) {
            return "not measured | not measured | - | - | -";
        }
        OptionalDouble vendor = row.has("vendor") ? OptionalDouble.of(row.path("vendor").asDouble()) : OptionalDouble.empty();
        String theirs = vendor.isPresent() ? number(goal, vendor.getAsDouble()) + vendorNote(row)
                : cell("not measured: " + text(row, "vendor_error"));
        if (!row.has("ours")) {
            return cell("failed: " + text(row, "failed")) + " | " + theirs + " | - | - | " + text(row, "error");
        }
        double ours = row.path("ours").asDouble();
        String ratio = vendor.isPresent() ? Goal.plain(goal.unit().ratio(ours, vendor.getAsDouble())) : "-";
        String memory = goal.unit() == Goal.Unit.TOKENS && row.has("peak_bytes") ? ", " + (row.path("peak_bytes").asLong() >> 20) + " MiB" : "";
        return number(goal, ours) + " (" + Goal.plain(row.path("micros").asDouble()) + " us" + memory + ") | " + theirs + " | " + ratio + " | "
                + text(row, "level") + " | " + text(row, "error");
    }

    private static String vendorNote(JsonNode row) {
        String memory = row.has("vendor_peak_bytes") ? ", " + (row.path("vendor_peak_bytes").asLong() >> 20) + " MiB" : "";
        return " (" + cell(row.path("vendor_what").asText()) + memory + ")";
    }

    private static String number(Goal goal, double x) {
        return Goal.plain(x) + " " + goal.unit();
    }

    private static void questions(JsonNode questions, StringBuilder out) {
        if (questions.isEmpty()) {
            return;
        }
        out.append("\n## What the probe found\n\n| question | answer |\n|---|---|\n");
        for (JsonNode q : questions) {
            out.append("| ").append(cell(text(q, "question"))).append(" | ").append(cell(text(q, "answer"))).append(" |\n");
        }
    }

    private static String text(JsonNode node, String field) {
        return node.path(field).asText("-");
    }

    /** One line that does not end its cell. */
    private static String cell(String s) {
        return s.strip().replaceAll("\\s*\\R\\s*", "; ").replace("|", "\\|");
    }

    /** What limits a row, by its name: written by people, from counters and the disassembly. */
    private static JsonNode notes() {
        try (InputStream in = Page.class.getResourceAsStream("notes.json")) {
            return JSON.readTree(in);
        } catch (IOException e) {
            throw new UncheckedIOException("notes.json cannot be read. The jar is incomplete.", e);
        }
    }
}
