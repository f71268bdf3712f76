package dev.jotune.cli;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.jotune.peft.MethodInfo;
import dev.jotune.peft.Methods;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;

/** Which rows a comparison has: those of a file, by default Jotune's own, and every method of the registry that it leaves out. */
final class ComparisonPlan {
    private static final ObjectMapper JSON = new ObjectMapper();

    private ComparisonPlan() {}

    /**
     * @param file a JSON list of rows; absent: that of Jotune
     * @throws UsageException naming what is not as it should be
     */
    static List<ComparedMethod> read(Optional<Path> file) throws IOException {
        return file.isEmpty() ? bundled() : complete(rows(Files.readString(file.get()), file.get().toString()));
    }

    static List<ComparedMethod> bundled() {
        try (InputStream in = ComparisonPlan.class.getResourceAsStream("comparison/plan.json")) {
            return complete(rows(new String(in.readAllBytes(), StandardCharsets.UTF_8), "plan.json"));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** With a row for every method that has none. */
    private static List<ComparedMethod> complete(List<ComparedMethod> given) {
        List<ComparedMethod> all = new ArrayList<>(given);
        Set<String> there = given.stream().map(ComparedMethod::name).collect(Collectors.toSet());
        Methods.all().stream().map(MethodInfo::name).filter(n -> !there.contains(n)).map(ComparedMethod::of).forEach(all::add);
        return all;
    }

    private static List<ComparedMethod> rows(String text, String origin) {
        JsonNode list;
        try {
            list = JSON.readTree(text);
        } catch (JsonProcessingException e) {
            throw new UsageException(origin + " is not valid JSON (" + e.getOriginalMessage() + "). Give a list of {\"name\": .., \"options\": ..}",
                    e);
        }
        List<ComparedMethod> rows = new ArrayList<>();
        Set<String> names = new HashSet<>();
        for (JsonNode row : list) {
            String name = row.path("name").asText();
            if (!list.isArray() || name.isBlank() || !row.path("options").isTextual()) {
                throw new UsageException(origin + ": there is an entry " + row + ". Each must have a \"name\" and \"options\"");
            }
            if (!names.add(name)) {
                throw new UsageException(origin + ": two rows are called '" + name + "'. Give each a name of its own");
            }
            rows.add(new ComparedMethod(name, row.get("options").textValue(), row.path("rates").valueStream().map(JsonNode::asDouble).toList(),
                    row.path("remark").asText("")));
        }
        return rows;
    }

    /**
     * @param names of rows; {@code all} is all of them
     * @throws UsageException naming one that there is not
     */
    static List<ComparedMethod> select(List<ComparedMethod> plan, List<String> names) {
        return names.contains("all") ? plan : names.stream().map(n -> named(plan, n)).toList();
    }

    static ComparedMethod named(List<ComparedMethod> plan, String name) {
        return plan.stream().filter(m -> m.name().equals(name)).findFirst().orElseThrow(() ->
                new UsageException("there is no row '" + name + "'. Rows: "
                        + plan.stream().map(ComparedMethod::name).collect(Collectors.joining(", "))));
    }
}
