package dev.jotune.models.tokenizer;

import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

class TokenizerRefusalTest {

    private static final String MODEL = """
            "model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": [["a", "b"]]}""";

    private static String with(String field) {
        return "{" + MODEL + ", " + field + "}";
    }

    private static String template(String single, String specials) {
        return with("\"post_processor\": {\"type\": \"TemplateProcessing\", \"single\": [" + single + "], \"pair\": ["
                + "{\"Sequence\": {\"id\": \"A\", \"type_id\": 0}}, {\"Sequence\": {\"id\": \"B\", \"type_id\": 1}}],"
                + "\"special_tokens\": {" + specials + "}}");
    }

    static Stream<Arguments> badFiles() {
        String a = "{\"Sequence\": {\"id\": \"A\", \"type_id\": 0}}";
        return Stream.of(
                Arguments.of("", "does not hold a JSON object"),
                Arguments.of("[]", "does not hold a JSON object"),
                Arguments.of("null", "does not hold a JSON object"),
                Arguments.of("{", "not valid JSON"),
                Arguments.of("{} {}", "not valid JSON"),
                Arguments.of("{\"model\": 1, \"model\": 2}", "not valid JSON"),
                Arguments.of("[".repeat(200_000), "not valid JSON"),
                Arguments.of("{}", "has no 'model'"),
                Arguments.of("{\"model\": []}", "model is an array, not an object"),
                Arguments.of("{\"model\": {\"type\": 7}}", "model.type is 7, not a string"),
                Arguments.of("{\"model\": {\"type\": \"Magic\"}}",
                        "model type 'Magic' is not supported; supported are"),
                Arguments.of("{\"model\": {\"type\": \"BPE\", \"merges\": []}}", "model has no 'vocab'"),
                Arguments.of("{\"model\": {\"type\": \"BPE\", \"vocab\": {}}}", "model has no 'merges'"),
                Arguments.of("{\"model\": {\"type\": \"BPE\", \"vocab\": [], \"merges\": []}}",
                        "model.vocab is an array, not an object"),
                Arguments.of("{\"model\": {\"type\": \"BPE\", \"vocab\": {\"a\": -1}, \"merges\": []}}",
                        "model.vocab['a'] is -1, not a whole number"),
                Arguments.of("{\"model\": {\"type\": \"BPE\", \"vocab\": {\"a\": 0.5}, \"merges\": []}}",
                        "model.vocab['a'] is 0.5"),
                Arguments.of("{\"model\": {\"type\": \"BPE\", \"vocab\": {\"a\": 99999999999}, \"merges\": []}}",
                        "model.vocab['a'] is 99999999999"),
                Arguments.of("{\"model\": {\"type\": \"BPE\", \"vocab\": {\"a\": 3, \"b\": 3}, \"merges\": []}}",
                        "model.vocab gives the id 3 to both 'a' and 'b'"),
                Arguments.of("{\"model\": {\"type\": \"BPE\", \"vocab\": {\"a\": 0}, \"merges\": [\"a c\"]}}",
                        "model.merges[0] names the token 'c'"),
                Arguments.of("{\"model\": {\"type\": \"BPE\", \"vocab\": {\"a\": 0}, \"merges\": [[\"a\", \"a\"]]}}",
                        "model.merges[0] names the token 'aa'"),
                Arguments.of("{\"model\": {\"type\": \"BPE\", \"vocab\": {\"a\": 0}, \"merges\": [\"a\"]}}",
                        "model.merges[0] does not name two tokens"),
                Arguments.of("{\"model\": {\"type\": \"BPE\", \"vocab\": {\"a\": 0}, \"merges\": [[\"a\"]]}}",
                        "model.merges[0] does not name two tokens"),
                Arguments.of("{\"model\": {\"type\": \"BPE\", \"dropout\": 0.1, \"vocab\": {}, \"merges\": []}}",
                        "model.dropout is 0.1"),
                Arguments.of(with("\"normalizer\": {\"type\": \"Magic\"}"), "normalizer type 'Magic' is not supported"),
                Arguments.of(with("\"normalizer\": \"NFC\""), "normalizer is \"NFC\", not an object"),
                Arguments.of(with("\"normalizer\": {\"type\": \"Sequence\", \"normalizers\": [{\"type\": \"Magic\"}]}"),
                        "normalizer.normalizers[0] type 'Magic' is not supported"),
                Arguments.of(with("\"normalizer\": {\"type\": \"Replace\", \"pattern\": {\"String\": \"\"}, "
                        + "\"content\": \"x\"}"), "normalizer.pattern.String is empty"),
                Arguments.of(with("\"normalizer\": {\"type\": \"Replace\", \"pattern\": {\"Regex\": \"(\"}, "
                        + "\"content\": \"x\"}"), "normalizer.pattern.Regex is not a regular expression"),
                Arguments.of(with("\"normalizer\": {\"type\": \"Replace\", \"pattern\": {}, \"content\": \"x\"}"),
                        "normalizer.pattern is neither"),
                Arguments.of(with("\"pre_tokenizer\": {\"type\": \"X\"}"), "pre_tokenizer type 'X' is not supported"),
                Arguments.of(with("\"pre_tokenizer\": {\"type\": \"Metaspace\", \"replacement\": \"__\"}"),
                        "pre_tokenizer.replacement is '__', not a single character"),
                Arguments.of(with("\"pre_tokenizer\": {\"type\": \"Metaspace\", \"prepend_scheme\": \"last\"}"),
                        "pre_tokenizer.prepend_scheme is 'last'"),
                Arguments.of(with("\"decoder\": {\"type\": \"X\"}"), "decoder type 'X' is not supported"),
                Arguments.of(with("\"post_processor\": {\"type\": \"X\"}"), "post_processor type 'X' is not supported"),
                Arguments.of(template(a + ", {\"SpecialToken\": {\"id\": \"<s>\", \"type_id\": 0}}", ""),
                        "post_processor.single[1].SpecialToken names the token '<s>', which is not among"),
                Arguments.of(template(a, "\"<s>\": {\"id\": \"<s>\", \"ids\": [9], \"tokens\": [\"<s>\"]}"),
                        "names the token '<s>' with the id 9, which is unknown"),
                Arguments.of(template(a, "\"<s>\": {\"id\": \"<s>\", \"ids\": [0], \"tokens\": [\"<s>\"]}"),
                        "with the id 0, which is the id of 'a'"),
                Arguments.of(template("{\"Sequence\": {\"id\": \"B\", \"type_id\": 0}}", ""), "uses the text B"),
                Arguments.of(template("", ""), "does not use the text A"),
                Arguments.of(with("\"added_tokens\": [{\"id\": 1, \"content\": \"a\"}]"),
                        "added_tokens[0] gives 'a' the id 1, but model.vocab gives it 0"),
                Arguments.of(with("\"added_tokens\": [{\"id\": 1, \"content\": \"x\"}]"),
                        "which model.vocab gives to 'b'"),
                Arguments.of(with("\"added_tokens\": [{\"id\": 7, \"content\": \"x\"}, "
                        + "{\"id\": 7, \"content\": \"y\"}]"),
                        "added_tokens[1] repeats the id 7"),
                Arguments.of(with("\"added_tokens\": [{\"id\": 7, \"content\": \"\"}]"),
                        "added_tokens[0] has 0 characters"),
                Arguments.of(with("\"added_tokens\": {}"), "added_tokens is an object, not an array"),
                Arguments.of(with("\"post_processor\": {\"type\": \"RobertaProcessing\", \"sep\": [\"b\", 0], "
                        + "\"cls\": [\"a\", 0]}"), "post_processor.sep names the token 'b' with the id 0"),
                Arguments.of(with("\"normalizer\": {\"type\": \"Precompiled\", "
                        + "\"precompiled_charsmap\": \"/////w==\"}"), "says its trie has -1 bytes"),
                Arguments.of(with("\"normalizer\": {\"type\": \"Precompiled\", "
                        + "\"precompiled_charsmap\": \"?\"}"), "normalizer.precompiled_charsmap is not base64"),
                Arguments.of("{\"model\": {\"type\": \"Unigram\", \"unk_id\": 3, \"vocab\": [[\"a\", 0]]}}",
                        "model.unk_id is 3, but model.vocab has 1 entries"),
                Arguments.of("{\"model\": {\"type\": \"Unigram\", \"vocab\": [[\"a\", 1e999]]}}",
                        "model.vocab[0] is not a piece with a finite score"),
                Arguments.of("{\"model\": {\"type\": \"WordPiece\", \"vocab\": {\"" + "a".repeat(2000) + "\": 0}}}",
                        "model.vocab has a token of 2000 characters"),
                Arguments.of(with("\"truncation\": {\"max_length\": -1}"), "truncation.max_length is -1"),
                Arguments.of(with("\"truncation\": {\"max_length\": 9, \"strategy\": \"X\"}"),
                        "truncation.strategy is 'X'"),
                Arguments.of(with("\"padding\": {\"strategy\": {\"Fixed\": 2147483647}}"),
                        "padding asks for more than"),
                Arguments.of(with("\"padding\": {\"strategy\": \"X\"}"), "padding.strategy is 'X'"));
    }

    @ParameterizedTest
    @MethodSource("badFiles")
    void aBadFileIsRefusedNamingItAndThePlace(String json, String message) {
        assertThatThrownBy(() -> Tokenizer.parse(json, "some/tokenizer.json"))
                .isInstanceOf(TokenizerException.class)
                .hasMessageStartingWith("some/tokenizer.json: ")
                .hasMessageContaining(message);
    }

    @Test
    void aPatternThatNeverFinishesIsStopped() {
        Tokenizer tokenizer = Tokenizer.parse(with("\"normalizer\": {\"type\": \"Replace\", \"pattern\": "
                + "{\"Regex\": \"(.*a){25}c\"}, \"content\": \"x\"}"), "slow.json");
        assertThatThrownBy(() -> tokenizer.encode("a".repeat(200), false)).isInstanceOf(TokenizerException.class)
                .hasMessageContaining("does not finish");
    }

    @Test
    void aPatternThatRecursesTooDeeplyIsStopped() {
        Tokenizer tokenizer = Tokenizer.parse(with("\"normalizer\": {\"type\": \"Replace\", \"pattern\": "
                + "{\"Regex\": \"(a|b)*\"}, \"content\": \"x\"}"), "deep.json");
        assertThatThrownBy(() -> tokenizer.encode("ab".repeat(500_000), false)).isInstanceOf(TokenizerException.class)
                .hasMessageContaining("too deep a recursion");
    }

    @Test
    void aCharacterWithoutATokenIsNamedWhenTheUnknownTokenIsMissing() {
        Tokenizer tokenizer = Tokenizer.parse("{\"model\": {\"type\": \"BPE\", \"unk_token\": \"<unk>\", "
                + "\"vocab\": {\"a\": 0}, \"merges\": []}}", "unknown.json");
        assertThatThrownBy(() -> tokenizer.encode("z", false)).isInstanceOf(TokenizerException.class)
                .hasMessageContaining("'z'").hasMessageContaining("'<unk>'");
    }
}
