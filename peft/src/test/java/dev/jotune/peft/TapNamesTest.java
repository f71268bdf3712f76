package dev.jotune.peft;

import static org.assertj.core.api.Assertions.assertThat;

import dev.jotune.autograd.Recording;
import dev.jotune.models.Backbone;
import dev.jotune.models.seam.Hooks;
import dev.jotune.models.seam.Tap;
import dev.jotune.models.seam.TapSite;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;

/** Taps of every architecture: one rule for their names, the shapes that they say, and the page that lists them. */
@Tag("golden")
class TapNamesTest {
    private static final String RULE = "((encoder|decoder|text|vision)\\.)?(embed|final"
            + "|layers\\.\\d+(\\.(mid|(attn|cross|mlp|mixer|ssm|patch|feature)\\.[a-z_]+))?)";

    private static List<Specimen> specimens() {
        return Specimen.all().stream().filter(s -> !s.wide()).toList();
    }

    @TestFactory
    Stream<DynamicTest> everyNameFollowsTheRuleAndIsReachedWithTheShapeItSays() {
        return specimens().stream().map(s -> DynamicTest.dynamicTest(s.toString(), () -> {
            Backbone model = s.model();
            Map<String, long[]> seen = new LinkedHashMap<>();
            Map<String, Tap> taps = new LinkedHashMap<>();
            model.seams().taps().forEach((name, site) -> {
                assertThat(name).matches(RULE);
                taps.put(name, (n, x, at) -> {
                    seen.put(n, x.shape());
                    assertThat(at.read().isPresent()).as("whether %s shows what was read", n).isEqualTo(n.endsWith(".out"));
                    at.read().ifPresent(r -> assertThat(Arrays.copyOf(r.shape(), 2)).isEqualTo(Arrays.copyOf(x.shape(), 2)));
                    return x;
                });
            });
            model.seams().attach(Hooks.ofTaps("watch", taps));
            Recording.off(() -> s.probe(model).outputs(Specimen.BATCH, model.seams().inference()));
            assertThat(seen.keySet()).containsExactlyInAnyOrderElementsOf(model.seams().taps().keySet());
            model.seams().taps().values().forEach(t -> shaped(t, seen.get(t.name())));
        }));
    }

    private static void shaped(TapSite t, long[] shape) {
        assertThat(shape[0]).as(t.name()).isEqualTo(Specimen.BATCH.size());
        int leading = shape.length - t.features().size();
        assertThat(leading).as("%s %s", t, Arrays.toString(shape)).matches(n -> switch (t.kind()) {
            case TOKENS -> n >= 2;
            case ROWS -> n == 1;
            case SHOWN -> n == 4;
        });
        assertThat(Arrays.stream(shape).skip(leading).boxed().toList()).as(t.name()).isEqualTo(t.features());
        t.reader().ifPresent(l -> assertThat(l.in()).as(t.name()).isEqualTo(t.features().stream().reduce(1L, (a, b) -> a * b)));
    }

    @Test
    void thePageListsThem() throws IOException {
        Path page = Path.of(System.getProperty("jotune.root"), "docs", "TAPS.md");
        assertThat(Files.readString(page)).contains(table());
    }

    /** A line for the families that have the same taps. */
    private static String table() {
        SortedMap<String, TreeSet<String>> families = new TreeMap<>();
        for (Specimen s : specimens()) {
            Backbone model = s.model();
            families.computeIfAbsent(model.modelType(), _ -> new TreeSet<>()).addAll(model.seams().taps().keySet().stream()
                    .map(n -> n.replaceFirst("layers\\.\\d+", "layers.N")).toList());
        }
        Map<TreeSet<String>, List<String>> alike = new LinkedHashMap<>();
        families.forEach((family, names) -> alike.computeIfAbsent(names, _ -> new ArrayList<>()).add(family));
        return alike.entrySet().stream().map(e -> "| " + String.join(", ", e.getValue()) + " | "
                + e.getKey().stream().map(n -> "`" + n + "`").collect(Collectors.joining(", ")) + " |").collect(Collectors.joining("\n"));
    }
}
