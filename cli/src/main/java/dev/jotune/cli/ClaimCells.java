package dev.jotune.cli;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;

/**
 * What experiments found of methods (docs/CLAIMS.md), for cells of the registry's page.
 *
 * @param cells by the method's name
 */
record ClaimCells(Map<String, String> cells) {
    static ClaimCells bundled() {
        try (InputStream in = ClaimCells.class.getResourceAsStream("claims.jsonl")) {
            ObjectMapper json = new ObjectMapper();
            Map<String, String> cells = new LinkedHashMap<>();
            for (String line : new String(in.readAllBytes(), StandardCharsets.UTF_8).lines().toList()) {
                JsonNode c = json.readTree(line);
                cells.put(c.get("method").textValue(), "[%s](CLAIMS.md#%s): %s".formatted(c.get("claim").textValue(), c.get("section").textValue(),
                        c.get("found").textValue()));
            }
            return new ClaimCells(cells);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    Optional<String> of(String method) {
        return Optional.ofNullable(cells.get(method));
    }
}
