package dev.jotune.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** {@code generate --lm} on the embedded model and adapters of it. */
class CombinationTest {
    @TempDir
    private static Path dir;
    private static Path expert;
    private static Path prefix;

    @BeforeAll
    static void tune() throws IOException {
        expert = tuned("lora", "--target-modules", "all-linear");
        prefix = tuned("prefix", "--num-virtual-tokens", 4);
    }

    private static Path tuned(Object method, Object... more) throws IOException {
        Path data = Files.writeString(dir.resolve("train.jsonl"), "{\"text\": \"Lily had a ball! She loved it! She was so happy!\"}\n");
        Path out = dir.resolve(method.toString());
        Jotune j = run(Stream.of("tune", "--model", "stories260k", "--method", method, "--data", data, "--out", out, "--learning-rate",
                "0.01", "--max-steps", 4), more);
        assertThat(j.code()).as(j.err()).isZero();
        return out;
    }

    private static Jotune run(Stream<Object> first, Object... more) {
        return Jotune.run(Stream.concat(first, Arrays.stream(more)).toArray());
    }

    private static Jotune generate(Object... more) {
        return run(Stream.of("generate", "--model", "stories260k", "--prompt", "Tom said", "--max-new-tokens", 24), more);
    }

    private static String write(Object... more) {
        Jotune j = generate(more);
        assertThat(j.code()).as(j.err()).isZero();
        assertThat(j.out()).startsWith("Tom said");
        return j.out();
    }

    @Test
    void aTunedPairOverItsOwnBaseIsTheTunedModelAndAnUntunedOneTheBase() {
        String plain = write();
        String tuned = write("--adapter", expert);
        String prefixed = write("--adapter", prefix);
        assertThat(tuned).isNotEqualTo(plain).isNotEqualTo(prefixed);
        Object[] members = {"--member", "expert=" + expert, "--member", "pre=" + prefix, "--member", "anti=stories260k"};
        assertThat(lm("base + 1.0*(expert - base)", members)).isEqualTo(tuned);
        assertThat(lm("base + 1.0*(expert - anti)", members)).isEqualTo(tuned);
        assertThat(lm("base + 1.0*(pre - anti)", members)).isEqualTo(prefixed);
        assertThat(lm("base + 1.0*(expert - expert)", members)).isEqualTo(plain);
        assertThat(lm("base + 1.0*(base - anti)", members)).isEqualTo(plain);
        assertThat(lm("base + 0*(expert - anti)", members)).isEqualTo(plain);
        assertThat(lm("base + 3*(expert - anti)", members)).isNotEqualTo(tuned);
        assertThat(lm("contrast(expert, pre)", members)).isNotEqualTo(tuned);
        assertThat(lm("base + 60*posterior(expert, base)", members)).isNotEqualTo(plain);
        assertThat(lm("eft(base, expert, base)", members, "--draft", "pre")).isEqualTo(tuned);
        assertThat(lm("expert", members, "--num-beams", 2)).isEqualTo(write("--adapter", expert, "--num-beams", 2));
    }

    private static String lm(String formula, Object[] members, Object... more) {
        return write(Stream.of(new Object[] {"--lm", formula}, members, more).flatMap(Arrays::stream).toArray());
    }

    @Test
    void baseIsTheModelUnderItsAdaptersAndAnAdapterMayBeOfAMember() {
        Object[] members = {"--member", "small=stories260k", "--member", "expert=" + expert + "@small", "--member", "own=" + prefix};
        assertThat(lm("base", members, "--adapter", expert)).isEqualTo(write("--adapter", expert));
        assertThat(lm("base + expert - small", members)).isEqualTo(write("--adapter", expert));
        assertThat(lm("own", members, "--adapter", expert)).as("under its own adapter alone").isEqualTo(write("--adapter", prefix));
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', textBlock = """
            base + (expert - base   | expert=stories260k | column 22  | parenthesis of column 8
            base + exprt            | expert=stories260k | column 8   | no member 'exprt'. Members: base, expert
            base - base             | expert=stories260k | --lm       | leaves no model
            cut(base, 5)            | expert=stories260k | --lm       | 5 tokens, the model 512
            base                    | expert             | --member   | 'expert' is not NAME=WHERE
            base                    | 2x=stories260k     | --member   | not NAME=WHERE
            base                    | base=stories260k   | 'base'     | taken by the --model
            """)
    void mistakesInFormulasAndMembersAreOfUsage(String formula, String member, String place, String message) {
        Jotune j = generate("--lm", formula, "--member", member);
        assertThat(j.code()).as(j.err()).isEqualTo(2);
        assertThat(j.err()).contains(place, message).hasLineCount(1);
        assertThat(j.out()).isEmpty();
    }

    @Test
    void membersThatAreNotThereOrDoNotFitAreRefused() {
        Jotune missing = generate("--lm", "base", "--member", "expert=" + dir.resolve("nowhere"));
        assertThat(missing.code()).isEqualTo(1);
        assertThat(missing.err()).contains("nowhere");
        assertThat(generate("--lm", "base", "--member", "e=" + expert + "@big").err()).contains("no model 'big'", "Models so far: base");
        Jotune alone = generate("--member", "expert=" + expert);
        assertThat(alone.code()).isEqualTo(2);
        assertThat(alone.err()).contains("Add --lm");
        Jotune twice = generate("--lm", "e", "--member", "e=" + expert, "--member", "e=" + prefix);
        assertThat(twice.err()).contains("'e' is taken");
        Jotune states = generate("--lm", "2*base", "--penalty-alpha", 0.6);
        assertThat(states.code()).as(states.err()).isEqualTo(2);
    }
}
