package dev.jotune.models.tokenizer;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.List;

/** The single components that the golden folder names, as a tokenizer file would write them. */
final class Components {

    private static final String LLAMA3 = "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}"
            + "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
    private static final String CLIP =
            "'s|'t|'re|'ve|'m|'ll|'d|[\\p{L}]+|[\\p{N}]|[^\\s\\p{L}\\p{N}]+";

    private Components() {}

    static Normalizer normalizer(String name) {
        return switch (name) {
            case "NFD+StripAccents" -> new NormalizerSequence(List.of(normalizer("NFD"),
                    normalizer("StripAccents")));
            case "BertUncased" -> new BertNormalizer(true, true, true, true);
            case "BertCased" -> new BertNormalizer(true, true, false, false);
            case "T5" -> Normalizer.read(t5());
            default -> Normalizer.read(typed(name));
        };
    }

    static PreTokenizer preTokenizer(String name) {
        return switch (name) {
            case "ByteLevel" -> new ByteLevel(false, true, true);
            case "ByteLevelPrefix" -> new ByteLevel(true, true, true);
            case "MetaspaceAlways" -> new Metaspace(0x2581, Metaspace.Scheme.ALWAYS, true);
            case "MetaspaceNever" -> new Metaspace(0x2581, Metaspace.Scheme.NEVER, true);
            case "Llama3Split" -> new Split(TextPattern.regex(LLAMA3), Split.Behavior.ISOLATED, false);
            case "Qwen2Split" -> new Split(TextPattern.regex(LLAMA3.replace("{1,3}", "")), Split.Behavior.ISOLATED,
                    false);
            case "ClipSplit" -> new Split(TextPattern.regex(CLIP), Split.Behavior.REMOVED, true);
            case "Digits" -> new CharacterSplit(List.of(
                    new CharacterSplit.Cut(Characters::isNumber, Split.Behavior.ISOLATED)));
            default -> PreTokenizer.read(typed(name));
        };
    }

    private static JsonView typed(String name) {
        try {
            return view(new ObjectMapper().readTree("{\"type\": \"" + name + "\"}"));
        } catch (JsonProcessingException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static JsonView t5() {
        try {
            return view(new ObjectMapper().readTree(Path.of(System.getProperty("jotune.golden"), "tokenizers", "t5",
                    "tokenizer.json").toFile()).get("normalizer"));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static JsonView view(JsonNode node) {
        return new JsonView(node, "component", "");
    }
}
