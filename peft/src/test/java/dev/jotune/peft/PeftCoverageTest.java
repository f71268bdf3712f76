package dev.jotune.peft;

import static java.util.Map.entry;
import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import dev.jotune.testing.Golden;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import org.junit.jupiter.api.Test;

/** Every case of PEFT's golden set has a test that reads it, or stands here with the reason why it has none. */
class PeftCoverageTest {
    private static final Path SUITE = Golden.folder("peft");

    /** By how a case's path begins; adapters are read by {@link PeftGoldenTest} where their type is registered. */
    private static final Map<String, String> READERS = Map.ofEntries(
            entry("base/", "PeftGoldenTest"),
            entry("multi/parts/", "MultiGoldenTest, AdapterMergeGoldenTest, TwoAdaptersGoldenTest"),
            entry("multi/mixed_batch_lora", "MultiGoldenTest"),
            entry("multi/mixed_batch_heads", "MultiGoldenTest"),
            entry("multi/mixed_batch_embedding", "TwoAdaptersGoldenTest"),
            entry("multi/set_adapter", "MultiGoldenTest"),
            entry("multi/hotswap", "MultiGoldenTest"),
            entry("multi/weighted_", "AdapterMergeGoldenTest, ClampTest"),
            entry("multi/two_", "TwoAdaptersGoldenTest"),
            entry("multi/to_lora_", "ToLoraGoldenTest"),
            entry("formulas/full_merge", "MergeGoldenTest"),
            entry("decoding", "DecodingGoldenTest"),
            entry("preference", "PreferenceGoldenTest"));

    /** Methods that are still to come, by how their cases' names begin. */
    private static final List<String> LATER = List.of("loha", "lokr", "pvera", "vblora", "unilora", "tinylora", "randlora", "hira", "delora",
            "gralora", "miss", "deft", "glora", "lily", "peanut", "poly", "adamss", "frod", "osf", "psoft", "xlora", "boft", "hra", "road",
            "c3a", "fourierft", "waveft", "supertuning", "beft", "ln_tuning", "trainable_tokens", "shadow", "cartridge", "multitask", "cpt");

    /** Others, with what they are. */
    private static final Map<String, String> ABSENT = Map.ofEntries(
            entry("multi/parts/alora", "activated LoRA, a method of its own"),
            entry("multi/parts/unit", "for activated LoRA"),
            entry("multi/mixed_batch_alora", "activated LoRA"),
            entry("multi/mixed_types", "needs LoHa"),
            entry("multi/intruders", "a repair of LoRA's spectra, no method of tuning"),
            entry("multi/arrow", "a router between adapters, a method of its own"),
            entry("multi/cartridges", "needs cartridges"),
            entry("formulas/loftq", "LoftQ, a method of its own"),
            entry("multi/optimizer_", "optimisers that know LoRA's factors, each a method of its own"));

    @Test
    void everyCaseIsReadOrHasItsReason() {
        Set<String> types = new HashSet<>(Methods.all().stream().map(MethodInfo::peftType).toList());
        Set<String> open = new TreeSet<>();
        Set<String> used = new HashSet<>();
        List<String> cases = Golden.children(Golden.manifest("peft").get("cases")).stream().map(c -> c.get("case").asText()).toList();
        assertThat(cases).hasSizeGreaterThan(200);
        for (String c : cases) {
            boolean here = Files.isDirectory(SUITE.resolve(c));
            boolean read = here && (c.startsWith("adapters/") ? types.contains(type(c)) : READERS.keySet().stream().anyMatch(c::startsWith));
            List<String> reasons = reasons(c);
            used.addAll(reasons);
            if (read == !reasons.isEmpty()) {
                open.add(c + (read ? " is read, and stands here as absent" : " is read by nothing, and stands here for no reason"));
            }
        }
        assertThat(open).isEmpty();
        Set<String> stale = new TreeSet<>(LATER);
        stale.addAll(ABSENT.keySet());
        stale.removeAll(used);
        assertThat(stale).as("reasons for cases that there are not").isEmpty();
    }

    private static String type(String c) {
        JsonNode config = Golden.json(SUITE.resolve(c).resolve("adapter_config.json"));
        return config.get("peft_type").asText();
    }

    private static List<String> reasons(String c) {
        String name = c.replaceFirst("^(adapters/|multi/(two_|to_lora_|mixed_batch_)?)", "");
        if (ABSENT.keySet().stream().anyMatch(c::startsWith)) {
            return ABSENT.keySet().stream().filter(c::startsWith).toList();
        }
        return LATER.stream().filter(m -> name.equals(m) || name.startsWith(m + "_")).toList();
    }
}
