package dev.jotune.models.tokenizer;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import org.junit.jupiter.api.Test;

class DecodeStreamTest {

    private static final Tokenizer STORIES = TestTokenizers.stories();

    private static List<String> pushed(String text) {
        DecodeStream stream = STORIES.stream(true);
        List<String> pieces = new ArrayList<>();
        for (int id : STORIES.encode(text, true).ids()) {
            pieces.add(stream.push(id));
        }
        pieces.add(stream.finish());
        return pieces;
    }

    @Test
    void anEmojiComesOutWholeWithItsLastByte() {
        List<String> pieces = pushed("ok \uD83D\uDE00 yes");
        assertThat(String.join("", pieces)).isEqualTo("ok \uD83D\uDE00 yes");
        assertThat(pieces).contains("\uD83D\uDE00").noneMatch(piece -> piece.contains("\uFFFD"));
    }

    @Test
    void neighbouringEmojisComeOutOneAtATime() {
        assertThat(pushed("\uD83D\uDE00\uD83D\uDE80").stream().filter(piece -> !piece.isEmpty()))
                .containsExactly("\uD83D\uDE00", "\uD83D\uDE80");
    }

    @Test
    void theSpaceBeforeTheFirstWordIsLeftOutAndLaterOnesAreKept() {
        assertThat(pushed(" two  spaces ")).startsWith("");
        assertThat(String.join("", pushed(" two  spaces "))).isEqualTo(" two  spaces ");
    }

    @Test
    void finishGivesTheBytesOfABrokenCharacter() {
        DecodeStream stream = STORIES.stream(true);
        assertThat(stream.push(STORIES.tokenToId("<0xF0>").getAsInt())).isEmpty();
        assertThat(stream.push(STORIES.tokenToId("<0x9F>").getAsInt())).isEmpty();
        assertThat(stream.finish()).isEqualTo("\uFFFD\uFFFD");
        assertThat(stream.finish()).isEmpty();
    }

    @Test
    void aBrokenCharacterComesOutWithTheTextAfterIt() {
        DecodeStream stream = STORIES.stream(true);
        assertThat(stream.push(STORIES.tokenToId("<0xF0>").getAsInt())).isEmpty();
        assertThat(stream.push(STORIES.tokenToId("a").getAsInt())).isEqualTo("\uFFFDa");
    }

    @Test
    void wholeCharactersAreKeptWhenBrokenBytesFollowThem() {
        DecodeStream stream = STORIES.stream(true);
        assertThat(stream.push(STORIES.tokenToId("<0xC3>").getAsInt())).isEmpty();
        assertThat(stream.push(STORIES.tokenToId("<0xA9>").getAsInt())).isEqualTo("\u00E9");
        assertThat(stream.push(STORIES.tokenToId("<0xFF>").getAsInt())).isEmpty();
        assertThat(stream.push(STORIES.tokenToId("a").getAsInt())).isEqualTo("\uFFFDa");
    }

    @Test
    void aDecoderThatStripsTwoSpacesStripsThemOnlyAtTheStart() {
        Tokenizer twice = Tokenizer.parse(TestTokenizers.storiesJson().replaceFirst("\"start\":\\s*1", "\"start\": 2"),
                "twice.json");
        int[] ids = twice.encode(" a   b", false).ids();
        DecodeStream stream = twice.stream(true);
        StringBuilder text = new StringBuilder();
        for (int id : ids) {
            text.append(stream.push(id));
        }
        assertThat(text.append(stream.finish()).toString()).isEqualTo("a   b").isEqualTo(twice.decode(ids, true));
    }

    @Test
    void specialAndUnknownIdsGiveNoText() {
        DecodeStream stream = STORIES.stream(true);
        assertThat(stream.push(1)).isEmpty();
        assertThat(stream.push(99_999)).isEmpty();
        assertThat(stream.push(-1)).isEmpty();
        assertThat(stream.finish()).isEmpty();
    }

    @Test
    void endlessBrokenBytesDoNotWaitForever() {
        DecodeStream stream = STORIES.stream(true);
        int given = 0;
        for (int i = 0; i < 1000; i++) {
            given += stream.push(STORIES.tokenToId("<0xFF>").getAsInt()).length();
        }
        assertThat(given).isGreaterThan(800);
        assertThat(given + stream.finish().length()).isEqualTo(1000);
    }

    @Provide
    Arbitrary<String> texts() {
        return Arbitraries.strings().withChars("ab .,!<>\u2581\u00e9\u0301\u4e2d\uFFFD\t\n").ofMaxLength(20)
                .flatMap(start -> Arbitraries.of("", "\uD83D\uDE00", "\uD83D\uDE00\uD83D\uDE80\uFFFD", " ")
                        .map(end -> start + end + start));
    }

    @Property(tries = 500)
    void thePiecesTogetherAreWhatDecodingAllAtOnceGives(@ForAll("texts") String text) {
        assertThat(String.join("", pushed(text))).isEqualTo(STORIES.decode(STORIES.encode(text, true).ids(), true));
    }
}
