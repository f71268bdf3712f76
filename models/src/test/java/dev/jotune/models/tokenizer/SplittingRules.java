package dev.jotune.models.tokenizer;

import java.util.LinkedHashMap;
import java.util.Map;

/** Normalizers and pre-tokenizers of well-known published tokenizers, to be put into a small one. */
final class SplittingRules {

    private SplittingRules() {}

    private static String split(String regex) {
        return "{\"type\": \"Split\", \"pattern\": {\"Regex\": \"" + regex.replace("\\", "\\\\").replace("\"", "\\\"")
                + "\"}, \"behavior\": \"Isolated\", \"invert\": false}";
    }

    private static String sequence(String... parts) {
        return "{\"pre_tokenizer\": {\"type\": \"Sequence\", \"pretokenizers\": [" + String.join(", ", parts) + "]}}";
    }

    /** The stages by the model that has them. */
    static Map<String, String> all() {
        String bytes = "{\"type\": \"ByteLevel\", \"add_prefix_space\": false, \"trim_offsets\": true, "
                + "\"use_regex\": false}";
        String words = "{\"type\": \"ByteLevel\", \"add_prefix_space\": false, \"trim_offsets\": true, "
                + "\"use_regex\": true}";
        String digits = "{\"type\": \"Digits\", \"individual_digits\": %s}";
        String nfc = "\"normalizer\": {\"type\": \"NFC\"}, ";
        Map<String, String> rules = new LinkedHashMap<>();
        rules.put("rule of llama3", sequence(split("(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+"
                + "|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"), bytes));
        rules.put("rule of qwen2", "{" + nfc + sequence(split("(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+"
                + "|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"), bytes).substring(1));
        rules.put("rule of qwen3.5", sequence(split("(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+"
                + "|\\p{N}| ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"), bytes));
        rules.put("rule of gpt-4o", sequence(split("[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*"
                + "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\\r\\n\\p{L}\\p{N}]?"
                + "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
                + "|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"), bytes));
        rules.put("rule of deepseek v3", sequence(split("\\p{N}{1,3}"), split("[\u4e00-\u9fa5\u0800-\u4e00\uac00-\ud7ff]+"),
                split("[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+"
                        + "| ?[\\p{P}\\p{S}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"), bytes));
        rules.put("rule of starcoder", sequence(digits.formatted("true"), words));
        rules.put("rule of falcon", sequence("{\"type\": \"Punctuation\", \"behavior\": \"Contiguous\"}", words,
                digits.formatted("false"), split("[0-9][0-9][0-9]")));
        rules.put("rule of bloom", sequence(split(" ?[^(\\s|[.,!?\u2026\u3002\uff0c\u3001\u0964\u06d4\u060c])]+"), bytes));
        rules.put("rule of gemma", "{\"normalizer\": {\"type\": \"Replace\", \"pattern\": {\"String\": \" \"}, "
                + "\"content\": \"\u2581\"}, \"pre_tokenizer\": {\"type\": \"Split\", \"pattern\": {\"String\": \" \"}, "
                + "\"behavior\": \"MergedWithPrevious\", \"invert\": false}}");
        return rules;
    }
}
