package dev.jotune.models.tokenizer;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;

import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.CharRange;
import net.jqwik.api.constraints.StringLength;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class TokenizerTest {

    private static final Tokenizer STORIES = TestTokenizers.stories();

    @Test
    void aStoryBecomesTheTokensOfItsWords() {
        Encoding encoding = STORIES.encode("Once upon a time", true);
        assertThat(encoding.ids()[0]).isEqualTo(STORIES.tokenToId("<s>").getAsInt());
        assertThat(String.join("", encoding.tokens())).isEqualTo("<s>\u2581Once\u2581upon\u2581a\u2581time");
        assertThat(encoding.specialTokensMask()[0]).isEqualTo(1);
        assertThat(STORIES.decode(encoding.ids(), true)).isEqualTo("Once upon a time");
        assertThat(STORIES.decode(encoding.ids(), false)).isEqualTo("<s> Once upon a time");
    }

    @Test
    void idsAndTokensAreFoundBothWays() {
        assertThat(STORIES.vocabularySize()).isEqualTo(512);
        assertThat(STORIES.tokenToId("</s>")).isEqualTo(OptionalInt.of(2));
        assertThat(STORIES.idToToken(2)).isEqualTo(Optional.of("</s>"));
        assertThat(STORIES.tokenToId("no such token")).isEmpty();
        assertThat(STORIES.idToToken(512)).isEmpty();
        assertThat(STORIES.idToToken(-1)).isEmpty();
        assertThat(STORIES.addedTokens()).extracting(AddedToken::content).containsExactly("<unk>", "<s>", "</s>");
    }

    @Test
    void idsOutsideTheVocabularyDecodeToNothing() {
        assertThat(STORIES.decode(new int[] {-5, 100_000, Integer.MAX_VALUE}, false)).isEmpty();
    }

    @Test
    void emptyMatchesLieBetweenCharactersNotWithinThem() {
        NormalizedText text = NormalizedText.of("a\uD83D\uDE00b");
        assertThat(TextPattern.regex("").matches(text)).extracting(TextPattern.Match::start).containsExactly(0, 1, 2, 3);
        assertThat(new Replace(TextPattern.regex(""), "-").normalize(text).toString()).isEqualTo("-a-\uD83D\uDE00-b-");
    }

    @Test
    void offsetsCountCodePointsNotUtf16Units() {
        Encoding encoding = STORIES.encode("\uD83D\uDE00a", false);
        int last = encoding.length() - 1;
        assertThat(encoding.tokens().get(last)).isEqualTo("a");
        assertThat(encoding.offsets()[2 * last]).isEqualTo(1);
        assertThat(encoding.offsets()[2 * last + 1]).isEqualTo(2);
    }

    @Test
    void halfASurrogatePairCountsAsTheReplacementCharacter() {
        assertThat(STORIES.encode("a\uD83D", false).ids()).isEqualTo(STORIES.encode("a\uFFFD", false).ids());
    }

    @Test
    void aLongTextWithoutSpacesIsEncodedInNearLinearTime() {
        String text = "the".repeat(400_000);
        Encoding encoding = assertTimeoutPreemptively(Duration.ofSeconds(20), () -> STORIES.encode(text, false));
        assertThat(STORIES.decode(encoding.ids(), true)).isEqualTo(text);
    }

    @Test
    void aWordOfOneRepeatedCharacterThatMergesWithItselfIsEncodedInNearLinearTime() {
        Tokenizer doubling = Tokenizer.parse("""
                {"model": {"type": "BPE", "vocab": {"a": 0, "aa": 1, "aaaa": 2, "aaaaaaaa": 3},
                           "merges": [["a", "a"], ["aa", "aa"], ["aaaa", "aaaa"]]}}""", "doubling.json");
        Encoding encoding = assertTimeoutPreemptively(Duration.ofSeconds(20),
                () -> doubling.encode("a".repeat(1_000_003), false));
        assertThat(encoding.length()).isEqualTo(125_002);
        assertThat(encoding.ids()[0]).isEqualTo(3);
        assertThat(encoding.tokens().subList(125_000, 125_002)).containsExactly("aa", "a");
    }

    @Test
    void mergingAgreesWithTheDefinitionOfBytePairEncoding() {
        String json = TestTokenizers.storiesJson();
        Bpe model = Bpe.read(JsonView.parse(json, "stories260k.json").field("model"));
        String text = "\u2581Tom\u2581and\u2581the\u2581\u2581\u00fcber-dog\uD83D\uDE00\u2581said:\u2581\"No!\"";
        NormalizedText word = NormalizedText.of(text);
        StringBuilder cut = new StringBuilder();
        model.tokenize(word, (id, start, end) -> cut.append(id).append('@').append(start).append('-').append(end)
                .append(' '));
        assertThat(cut.toString()).isEqualTo(slowly(model, word, json));
    }

    /** Byte-pair encoding as its definition says: look for the earliest merge in the whole word, again and again. */
    private static String slowly(Bpe model, NormalizedText word, String json) {
        Vocabulary vocabulary = model.vocabulary();
        BpeMerges merges = BpeMerges.read(JsonView.parse(json, "x").field("model").field("merges"), vocabulary, "");
        List<int[]> symbols = new ArrayList<>();
        for (int i = 0; i < word.length(); i++) {
            String character = Character.toString(word.codePoint(i));
            if (vocabulary.contains(character)) {
                symbols.add(new int[] {vocabulary.id(character), i, i + 1});
            } else {
                for (byte b : character.getBytes(StandardCharsets.UTF_8)) {
                    symbols.add(new int[] {vocabulary.id(ByteFallback.token(b & 0xFF)), i, i + 1});
                }
            }
        }
        while (true) {
            int best = -1;
            int bestRank = Integer.MAX_VALUE;
            for (int i = 0; i + 1 < symbols.size(); i++) {
                int rank = merges.rank(symbols.get(i)[0], symbols.get(i + 1)[0]);
                if (rank >= 0 && rank < bestRank) {
                    best = i;
                    bestRank = rank;
                }
            }
            if (best < 0) {
                break;
            }
            int[] right = symbols.remove(best + 1);
            symbols.set(best, new int[] {merges.result(bestRank), symbols.get(best)[1], right[2]});
        }
        StringBuilder text = new StringBuilder();
        symbols.forEach(s -> text.append(s[0]).append('@').append(s[1]).append('-').append(s[2]).append(' '));
        return text.toString();
    }

    @Test
    void truncationLeavesRoomForAddedTokensAndKeepsTheRestAsWindows() {
        Tokenizer short5 = STORIES.withTruncation(
                Optional.of(new Truncation(5, 1, Truncation.Strategy.LONGEST_FIRST, Direction.RIGHT)));
        String text = "Once upon a time there was a little dog";
        Encoding whole = STORIES.encode(text, false);
        Encoding cut = short5.encode(text, true);
        assertThat(cut.length()).isEqualTo(5);
        assertThat(cut.ids()[4]).isEqualTo(whole.ids()[3]);
        assertThat(cut.overflowing()).isNotEmpty();
        assertThat(cut.overflowing().getFirst().ids()[1]).isEqualTo(whole.ids()[3]);
    }

    @Test
    void aLengthWithoutRoomForAddedTokensIsRefused() {
        Tokenizer none = STORIES.withTruncation(
                Optional.of(new Truncation(0, 0, Truncation.Strategy.LONGEST_FIRST, Direction.RIGHT)));
        assertThatThrownBy(() -> none.encode("a", true)).isInstanceOf(TokenizerException.class)
                .hasMessageContaining("no room for the 1 tokens");
    }

    @Test
    void aStrideAsLongAsTheWindowIsRefused() {
        Tokenizer stuck = STORIES.withTruncation(
                Optional.of(new Truncation(4, 3, Truncation.Strategy.LONGEST_FIRST, Direction.RIGHT)));
        assertThatThrownBy(() -> stuck.encode("Once upon a time", true)).isInstanceOf(TokenizerException.class)
                .hasMessageContaining("stride 3");
    }

    @Test
    void wordsOutsideAWordLevelVocabularyBecomeTheUnknownToken() {
        String model = "{\"type\": \"WordLevel\", \"vocab\": {\"[UNK]\": 3, \"the\": 24}, \"unk_token\": \"[UNK]\"}";
        Tokenizer words = Tokenizer.parse(
                "{\"pre_tokenizer\": {\"type\": \"Whitespace\"}, \"model\": " + model + "}", "words.json");
        Encoding encoding = words.encode("the cat, the", false);
        assertThat(encoding.ids()).containsExactly(24, 3, 3, 24);
        assertThat(encoding.offsets()).containsExactly(0, 3, 4, 7, 7, 8, 9, 12);
        assertThat(encoding.wordIds()).containsExactly(0, 1, 2, 3);
        assertThat(words.decode(encoding.ids(), true)).isEqualTo("the [UNK] [UNK] the");
    }

    @Test
    void theSpaceBeforeTheFirstWordIsPutOnlyWhereTheTextBegins() {
        Tokenizer first = Tokenizer.parse("""
                {"normalizer": {"type": "Strip", "strip_left": true, "strip_right": true},
                 "pre_tokenizer": {"type": "Metaspace", "prepend_scheme": "first"},
                 "model": {"type": "WordLevel", "vocab": {"_": 0, "x": 1, "\u2581x": 2}, "unk_token": "_"}}""",
                "f.json");
        assertThat(first.encode("x", false).tokens()).containsExactly("\u2581x");
        assertThat(first.encode(" x", false).tokens()).containsExactly("x");
    }

    @Test
    void aPairGoesBetweenTheTokensOfRoberta() {
        Tokenizer roberta = Tokenizer.parse("""
                {"pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": true},
                 "post_processor": {"type": "RobertaProcessing", "sep": ["S", 1], "cls": ["C", 0]},
                 "model": {"type": "WordLevel", "vocab": {"C": 0, "S": 1, "\u0120a": 2}, "unk_token": "C"}}""",
                "r.json");
        Encoding encoding = roberta.encode("a", "a", true);
        assertThat(encoding.ids()).containsExactly(0, 2, 1, 1, 2, 1);
        assertThat(encoding.sequenceIds()).containsExactly(-1, 0, -1, -1, 1, -1);
        assertThat(encoding.typeIds()).containsOnly(0);
    }

    @Test
    void neighbouringUnknownCharactersBecomeOneTokenOfAUnigramModel() {
        Tokenizer unigram = Tokenizer.parse("""
                {"model": {"type": "Unigram", "unk_id": 0,
                           "vocab": [["<unk>", 0], ["a", -1], ["b", -2], ["ab", -2.5]]}}""", "u.json");
        Encoding encoding = unigram.encode("abzzb", false);
        assertThat(encoding.ids()).containsExactly(3, 0, 2);
        assertThat(encoding.tokens()).containsExactly("ab", "zz", "b");
        assertThat(encoding.offsets()).containsExactly(0, 2, 2, 4, 4, 5);
    }

    @Test
    void byteLevelDecodingGivesOneReplacementForEachBrokenSequence() {
        byte[] bytes = {'a', (byte) 0xF0, (byte) 0x9F, 'b', (byte) 0xED, (byte) 0xA0, (byte) 0x80};
        assertThat(Utf8.decodeLossy(bytes, bytes.length)).isEqualTo("a\uFFFDb\uFFFD\uFFFD\uFFFD");
    }

    @Test
    void aFileThatIsMissingOrNotUtf8IsNamed(@TempDir Path folder) throws Exception {
        Path file = folder.resolve("tokenizer.json");
        assertThatThrownBy(() -> Tokenizer.load(file)).isInstanceOf(TokenizerException.class)
                .hasMessageContaining(file.toString());
        Files.write(file, new byte[] {'{', (byte) 0xFF, '}'});
        assertThatThrownBy(() -> Tokenizer.load(file)).isInstanceOf(TokenizerException.class)
                .hasMessageContaining(file.toString()).hasMessageContaining("UTF-8");
    }

    @Property(tries = 300)
    void textSurvivesEncodingAndDecoding(
            @ForAll @CharRange(from = '!', to = '~') @CharRange(from = '\u00A1', to = '\u04FF')
            @CharRange(from = '\u4E00', to = '\u4E20') @StringLength(max = 40) String first,
            @ForAll @CharRange(from = 'a', to = 'e') @CharRange(from = ' ', to = ' ') @StringLength(max = 40)
            String second) {
        // Angle brackets could spell an added token, which decoding leaves out.
        String text = first.replace('<', '(') + second;
        Encoding encoding = STORIES.encode(text, true);
        assertThat(STORIES.decode(encoding.ids(), true)).isEqualTo(text);
        for (int i = 1; i < encoding.length(); i++) {
            assertThat(encoding.offsets()[2 * i + 1]).isLessThanOrEqualTo(text.codePointCount(0, text.length()));
            assertThat(encoding.offsets()[2 * i]).isLessThan(encoding.offsets()[2 * i + 1]);
        }
    }
}
