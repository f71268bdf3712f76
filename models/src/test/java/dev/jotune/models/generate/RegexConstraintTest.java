package dev.jotune.models.generate;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.jotune.models.Models;
import dev.jotune.models.tokenizer.Tokenizer;
import dev.jotune.testing.Golden;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.regex.Pattern;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** Texts within a regular expression: Java's own engine says what matches. */
class RegexConstraintTest {

    private static Models.Loaded stories;

    @BeforeAll
    static void load() {
        stories = Models.embedded();
    }

    @Test
    void everythingGeneratedMatches() {
        String[] expressions = {"( [a-z]{2,8}){3}\\.", " (yes|no|maybe)", "\\d{4}-\\d{2}-\\d{2}",
            "\\{\"name\": \"[A-Z][a-z]{1,9}\", \"age\": [1-9]\\d?\\}", "[^a-zA-Z]{3,9}!", "(?:é|ü|猫|😀){2,4}",
            "[\\w\\s,]{5,20}\\.", "a+?b??c{2}", ".{1,12}", "x[^\\u0041-\\uFFFF]y"};
        for (String regex : expressions) {
            RegexConstraint constraint = RegexConstraint.of(regex, stories.requireTokenizer(), stories.model().vocabularySize());
            for (int seed = 0; seed < 4; seed++) {
                SamplingOptions options = SamplingOptions.builder().doSample(seed > 0).temperature(seed > 1 ? 2 : 1)
                        .seed(seed).maxNewTokens(60).eosTokenIds(stories.generation().eosTokenIds()).build();
                Generation text = new TextGenerator(stories, options).within(constraint).generate("Once upon a time");
                assertThat(text.text()).as(regex + " seed " + seed).matches(Pattern.compile(regex));
                assertThat(text.newTokens()).isLessThanOrEqualTo(60);
            }
            Generation best = new TextGenerator(stories, SamplingOptions.builder().maxNewTokens(60)
                    .eosTokenIds(stories.generation().eosTokenIds()).build()).with(BeamSearch.of(3)).within(constraint).generate("She said");
            assertThat(best.text()).as(regex + " by beams").matches(Pattern.compile(regex));
        }
    }

    /** Whatever tokens write a matching text are allowed one after the other, and the end just where it matches. */
    @Test
    @Tag("golden")
    void aTextIsAllowedInAnyTokensIfAndOnlyIfItMatches() {
        String[] expressions = {"[a-z ]*", "(Hello|Hallo),? w?.*", ".*[é-ÿ].*", "\\S+( \\S+)*", "[^\\x00-\\x7F]+"};
        String[] texts = {"hello world", "Hello, world", "café", "naïve cœur", "日本語", "a😀b", "two  spaces", "", "é", "ß x"};
        Golden.cases("tokenizers").forEach(c -> {
            if (!List.of("gpt2", "llama3", "qwen2", "llama2", "roberta").contains(c.id())) {
                return;
            }
            Tokenizer tokenizer = Tokenizer.load(c.file("tokenizer.json"));
            int size = tokenizer.vocabularySize();
            byte[][] bytes = tokenizer.tokenBytes(size);
            for (String regex : expressions) {
                RegexConstraint constraint = RegexConstraint.of(regex, tokenizer, size);
                for (String text : texts) {
                    for (List<Integer> tokens : List.of(longestFirst(bytes, text), shortestFirst(bytes, text))) {
                        if (tokens == null) {
                            continue;
                        }
                        int state = constraint.start();
                        for (int token : tokens) {
                            boolean listed = state >= 0 && constraint.allowed(state).get(token);
                            state = state < 0 ? state : constraint.next(state, token);
                            assertThat(listed).isEqualTo(state >= 0);
                        }
                        boolean accepted = state >= 0 && constraint.accepts(state);
                        assertThat(accepted).as(c.id() + " " + regex + " of " + text).isEqualTo(text.matches(regex));
                    }
                }
            }
        });
    }

    private static List<Integer> longestFirst(byte[][] bytes, String text) {
        return cut(bytes, text, true);
    }

    private static List<Integer> shortestFirst(byte[][] bytes, String text) {
        return cut(bytes, text, false);
    }

    /** Some tokens that write the text, or null if this way finds none. */
    private static List<Integer> cut(byte[][] bytes, String text, boolean longest) {
        byte[] all = text.getBytes(StandardCharsets.UTF_8);
        List<Integer> tokens = new ArrayList<>();
        int at = 0;
        while (at < all.length) {
            int best = -1;
            for (int token = 0; token < bytes.length; token++) {
                byte[] own = bytes[token];
                boolean fits = own.length > 0 && at + own.length <= all.length
                        && Arrays.equals(all, at, at + own.length, own, 0, own.length);
                if (fits && (best < 0 || (own.length > bytes[best].length) == longest && own.length != bytes[best].length)) {
                    best = token;
                }
            }
            if (best < 0) {
                return null;
            }
            tokens.add(best);
            at += bytes[best].length;
        }
        return tokens;
    }

    /** Tokens put together by chance: their bytes are what the tokenizer decodes, so text and constraint agree. */
    @Test
    void theBytesOfTokensAreTheirText() {
        Tokenizer tokenizer = stories.requireTokenizer();
        byte[][] bytes = tokenizer.tokenBytes(stories.model().vocabularySize());
        Random random = new Random(1);
        int begin = tokenizer.encode("A", false).ids()[0];
        String before = tokenizer.decode(new int[] {begin}, true);
        for (int i = 0; i < 500; i++) {
            int[] ids = random.ints(6, 259, bytes.length).toArray();
            StringBuilder text = new StringBuilder(before);
            int[] all = new int[7];
            all[0] = begin;
            for (int j = 0; j < 6; j++) {
                all[j + 1] = ids[j];
                text.append(new String(bytes[ids[j]], StandardCharsets.UTF_8));
            }
            assertThat(tokenizer.decode(all, true)).isEqualTo(text.toString());
        }
        assertThat(bytes[0x41 + 3]).containsExactly(0x41);
    }

    /** Without a token for each byte, a token is refused that only unknown characters could complete. */
    @Test
    void aDeadEndOfTheVocabularyIsNotEntered() {
        ByteTrie trie = new ByteTrie(new byte[][] {{'a'}, {'b'}, {'a', 'c'}, {}});
        int[] table = new int[2 * 256];
        Arrays.fill(table, -1);
        table['a'] = 1;
        List<Integer> seen = new ArrayList<>();
        trie.walk(table, 0, (token, state) -> seen.add(token));
        assertThat(seen).containsExactly(0);
        String json = """
                {"model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "c": 2, "ab": 3}, "merges": [["a", "b"]]},
                 "decoder": {"type": "Fuse"}}""";
        Tokenizer letters = Tokenizer.parse(json, "letters");
        RegexConstraint constraint = RegexConstraint.of("(a|b)(x|abc?)", letters, 4);
        // After a, x is no token; after b too. ab would have to be followed by what is left of (a|b)(...).
        assertThat(constraint.allowed(constraint.start()).stream()).containsExactly(0, 1);
        int after = constraint.next(constraint.start(), 0);
        assertThat(constraint.allowed(after).stream()).containsExactly(0, 3);
        assertThatThrownBy(() -> RegexConstraint.of("ax", letters, 4)).hasMessageContaining("no text that the tokenizer's");
        RegexConstraint trap = RegexConstraint.of("ax|b", letters, 4);
        assertThat(trap.allowed(trap.start()).stream()).containsExactly(1);
        assertThat(trap.next(trap.start(), 0)).isEqualTo(TokenAutomaton.REFUSED);
    }

    @Test
    void whatNoAutomatonCanDoIsRefusedByName() {
        Tokenizer tokenizer = stories.requireTokenizer();
        String[][] cases = {{"a(?=b)", "look-around"}, {"(a)\\1", "\\1"}, {"\\bword", "\\b"}, {"a$b", "anchor"}, {"a++", "possessive"},
            {"a**", "quantifier after"}, {"[a[b]]", "class within"}, {"[]", "class"}, {"a{x}", "'{'"}, {"a)", "')' too many"},
            {"*a", "nothing to repeat"},
            {"\\p{L}", "\\p"}, {"[a", "too soon"}, {"(a", ""}, {"\\u12", "digits"}, {"(a{1,9}){9}{9}", "quantifier after"},
            {"(([ab]{0,99}a[ab]{0,99}){0,99}b){99}", "too many states"}, {"[b-a]", "range"},
            {"[^\\x00-\\uFFFF\uD800\uDC00-\uDBFF\uDFFF]", "matches nothing"}};
        for (String[] one : cases) {
            assertThatThrownBy(() -> RegexConstraint.of(one[0], tokenizer, 512)).as(one[0])
                    .isInstanceOf(IllegalArgumentException.class).hasMessageContaining(one[1]);
        }
    }

    @Test
    void oneOfSeveralTokenSequencesIsWritten() {
        TokenChoices choices = new TokenChoices(List.of(new int[] {1, 2, 3}, new int[] {1, 2}, new int[] {4, 4, 4}));
        boolean shorter = false;
        boolean longer = false;
        for (int salt = 0; salt < 40; salt++) {
            TableModel model = TableModel.hashing(7, salt);
            SamplingOptions options = SamplingOptions.builder().doSample(true).seed(salt).eosTokenIds(6).build();
            for (Strategy strategy : List.of(Strategy.STEPWISE, new SpeculativeDecoding(TableModel.hashing(7, salt + 1), 2))) {
                Generation text = new Generator(model, options).with(strategy).within(choices).generate(new int[] {0});
                List<Integer> got = Arrays.stream(text.tokens()).boxed().toList();
                assertThat(got).isIn(List.of(1, 2, 3), List.of(1, 2, 6), List.of(4, 4, 4));
                shorter |= got.contains(6);
                longer |= got.contains(3);
            }
        }
        assertThat(shorter && longer).isTrue();
        assertThatThrownBy(() -> new TokenChoices(List.of())).hasMessageContaining("number of choices is 0");
        assertThatThrownBy(() -> new TokenChoices(List.of(new int[0]))).hasMessageContaining("tokens of a choice is 0");
    }
}
