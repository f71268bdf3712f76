package dev.jotune.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.jotune.peft.MethodInfo;
import dev.jotune.peft.Methods;
import dev.jotune.peft.UnattachedMethod;
import dev.jotune.tensor.Backend;
import dev.jotune.tensor.Backends;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class HelpTest {
    @Test
    void theHelpNamesEveryCommand() {
        Jotune j = Jotune.run("--help");
        assertThat(j.code()).isZero();
        assertThat(j.out()).contains("demo", "pretrain", "tune", "compare", "generate", "eval", "classify", "merge", "weights", "pull", "methods",
                "devices", "Exit codes");
        assertThat(j.err()).isEmpty();
    }

    @ParameterizedTest
    @ValueSource(strings = {"demo", "pretrain", "tune", "compare", "generate", "eval", "classify", "merge", "weights", "pull", "methods", "devices"})
    void everyCommandHasAHelpWithoutUnfilledPlaces(String command) {
        Jotune j = Jotune.run(command, "--help");
        assertThat(j.code()).isZero();
        assertThat(j.out()).startsWith("Usage: jotune " + command).doesNotContain("${", "null");
        assertThat(j.out().lines()).allMatch(line -> line.length() <= 100);
    }

    @Test
    void everyFieldOfEveryMethodIsAnOptionWithADescription() {
        String help = Jotune.run("tune", "--help").out();
        assertThat(help).contains("--num-virtual-tokens", "--prefix-projection", "--encoder-hidden-size", "--prompt-tuning-init",
                "--prompt-tuning-init-text", "--r=", "--lora-alpha", "--lora-dropout", "--use-rslora", "--target-modules",
                "--rank-pattern", "--alpha-pattern", "--layers-to-transform", "--bias", "--modules-to-save");
        assertThat(MethodOptions.withoutDescription()).isEmpty();
    }

    @Test
    void methodsListsTheRegistry() {
        Jotune j = Jotune.run("methods");
        assertThat(j.code()).isZero();
        for (MethodInfo m : Methods.all()) {
            assertThat(j.out()).contains(m.name(), m.paper(), m.seam(), m.equation(), m.trainable(), m.peftType());
        }
        for (UnattachedMethod m : Methods.unattached()) {
            assertThat(j.out()).contains(m.name(), m.paper(), m.seam(), m.equation(), m.use());
        }
        assertThat(j.out()).contains("contrast(expert, amateur, alpha = 0.1, temperature = 1)", "mask(m, by, alpha)");
    }

    @Test
    void devicesListsEveryBackend() {
        Jotune j = Jotune.run("devices");
        assertThat(j.code()).isZero();
        assertThat(j.out()).contains(Backends.all().stream().map(Backend::description).toList());
    }

    @Test
    void theVersionIsThatOfTheBuild() {
        assertThat(Jotune.run("--version").out()).matches("(?s)jotune \\d+\\.\\d+.*Java 25.*");
    }
}
