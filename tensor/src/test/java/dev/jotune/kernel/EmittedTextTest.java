package dev.jotune.kernel;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;

/**
 * What is emitted for each target, against stored copies: whoever changes the emitter sees in them what becomes of kernels. The preludes
 * are left out of the copies. {@code -Djotune.update=true} writes them anew.
 */
class EmittedTextTest {
    private static final Path STORED = Path.of(System.getProperty("jotune.root", ".."), "tensor/src/test/resources/dev/jotune/kernel/emitted");
    private static final List<String> KERNELS = List.of("gelu", "derivative of gelu", "softmax of F32", "copy", "gather", "rotary", "adamw");

    @TestFactory
    Stream<DynamicTest> textsAreAsStored() {
        return KERNELS.stream().flatMap(k -> Stream.of(Target.values()).map(t -> DynamicTest.dynamicTest(k + " for " + t, () -> check(k, t))));
    }

    private static void check(String kernel, Target target) throws IOException {
        Path stored = STORED.resolve(kernel.replace(' ', '-') + "." + target.name().toLowerCase(Locale.ROOT));
        String text = Emitter.emit(KernelTexts.all().get(kernel), target);
        for (String prelude : List.of(target.prelude(), "prelude-common.h")) {
            assertThat(text).contains(KernelSource.resource(Emitter.class, prelude));
            text = text.replace(KernelSource.resource(Emitter.class, prelude), "/* " + prelude + " */\n");
        }
        if (Boolean.getBoolean("jotune.update")) {
            Files.createDirectories(STORED);
            Files.writeString(stored, text);
        }
        assertThat(text).isEqualTo(Files.readString(stored));
    }
}
