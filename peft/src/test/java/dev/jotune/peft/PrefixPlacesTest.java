package dev.jotune.peft;

import static org.assertj.core.api.Assertions.assertThat;

import dev.jotune.autograd.Gradients;
import dev.jotune.autograd.Recording;
import dev.jotune.autograd.Var;
import dev.jotune.autograd.ops.Attention;
import dev.jotune.models.Backbone;
import dev.jotune.models.DecoderInput;
import dev.jotune.models.Encoded;
import dev.jotune.models.EncoderInput;
import dev.jotune.models.Seq2SeqLm;
import dev.jotune.models.seam.AttentionSite;
import dev.jotune.models.seam.AttentionSite.Kind;
import dev.jotune.models.seam.Group;
import dev.jotune.models.seam.Hooks;
import dev.jotune.models.seam.LinearLayer;
import dev.jotune.models.seam.Pass;
import dev.jotune.models.seam.SegmentSource;
import dev.jotune.peft.methods.PrefixTuning;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.random.Philox;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Where prefixes of a model stand: its own text, an encoder's, and the source that a decoder reads. */
@Tag("golden")
class PrefixPlacesTest {
    private static final int N = 2;

    static List<Specimen> all() {
        return Specimen.all().stream().filter(Specimen::wide).filter(s -> !s.model().seams().attentions().isEmpty()).toList();
    }

    static Stream<Specimen> encoderDecoders() {
        return all().stream().filter(s -> s.model() instanceof Seq2SeqLm);
    }

    /** The keys and values that every kind of attention reads from P, each of which moves the loss. */
    @ParameterizedTest
    @MethodSource("all")
    void everyKindOfAttentionHasAPrefixThatLearns(Specimen s) {
        Backbone model = s.model();
        Adapter adapter = Adapters.create(model, "a", PrefixTuning.DEFAULTS.withTokens(N).everywhere(), 1);
        List<AttentionSite> sites = model.seams().attentions();
        long whole = adapter.hooks().overrides().values().stream().mapToLong(v -> v.tensor().numel()).sum();
        assertThat(adapter.trainableCount() - whole).isEqualTo(sites.stream().mapToLong(a -> 2L * N * a.groups() * a.headDim()).sum());
        Var p = adapter.trainables().get("prompt_embeddings");
        double[] g = Gradients.of(s.probe(model).loss(model.seams().inference()), List.of(p)).getFirst().toDoubleArray();
        int width = (int) p.size(1);
        Map<Kind, Double> moved = new TreeMap<>();
        int at = 0;
        for (AttentionSite site : sites) {
            int columns = 2 * site.groups() * site.headDim();
            for (int i = 0; i < g.length; i++) {
                if (i % width >= at && i % width < at + columns) {
                    moved.merge(site.kind(), Math.abs(g[i]), Double::sum);
                }
            }
            at += columns;
        }
        assertThat(at).isEqualTo(width);
        Set<Kind> kinds = sites.stream().map(AttentionSite::kind).collect(Collectors.toSet());
        assertThat(kinds).isEqualTo(model instanceof Seq2SeqLm ? EnumSet.allOf(Kind.class) : kinds);
        assertThat(moved.keySet()).isEqualTo(kinds);
        assertThat(moved.values()).allMatch(x -> x > 1e-8);
    }

    /** A decoder that reads the last states of a source behind a prefix of the first ones' keys has read all of them. */
    @ParameterizedTest
    @MethodSource("encoderDecoders")
    void aPrefixOfTheSourcesOwnKeysIsTheSource(Specimen s) {
        Seq2SeqLm model = (Seq2SeqLm) s.model();
        if (model.seams().embeddings().get("encoder.embed").table().isEmpty()) {
            return;
        }
        Pass bare = model.seams().inference();
        DecoderInput target = DecoderInput.of(ids(model, 13, 4));
        Encoded whole = Recording.off(() -> model.encode(EncoderInput.of(ids(model, 11, 5)), bare));
        double[] want = logits(model, target, whole, bare);
        Var first = whole.states().slice(1, 0, N);
        Encoded rest = new Encoded(whole.states().slice(1, N, 5), Optional.empty(), 0);
        assertThat(logits(model, target, rest, bare)).isNotEqualTo(want);
        SegmentSource own = new SegmentSource() {
            @Override
            public List<List<Attention.Segment>> segments(List<AttentionSite> sites, Pass pass) {
                return sites.stream().map(a -> a.kind() != Kind.CROSS ? List.<Attention.Segment>of()
                        : List.of(new Attention.Segment(heads(model, a, first, "k"), heads(model, a, first, "v"), Attention.Visible.ALL))).toList();
            }

            @Override
            public long positions() {
                return 0;
            }
        };
        model.seams().attach(new Hooks("own", Map.of(), Map.of(), Optional.of(own), Map.of(), Map.of()));
        double[] got = logits(model, target, rest, model.seams().inference());
        for (int i = 0; i < want.length; i++) {
            assertThat(Math.abs(got[i] - want[i])).isLessThanOrEqualTo(1e-10 * Math.max(1, Math.abs(want[i])));
        }
    }

    private static double[] logits(Seq2SeqLm model, DecoderInput target, Encoded source, Pass pass) {
        return Recording.off(() -> model.logits(model.decode(target, source, pass, Optional.empty()).text(), pass)).tensor().toDoubleArray();
    }

    private static Var heads(Seq2SeqLm model, AttentionSite a, Var states, String which) {
        LinearLayer layer = Stream.of(which, which + "_proj").map(n -> model.seams().projections().get(a.path() + "." + n))
                .filter(Objects::nonNull).findFirst().orElseThrow();
        Var x = layer.base(states, Group.all(List.of()));
        return x.reshape(1, x.size(1), a.heads(), a.headDim()).transpose(1, 2);
    }

    private static Tensor ids(Seq2SeqLm model, int seed, int time) {
        long[] ids = new long[time];
        Arrays.setAll(ids, i -> 2 + Philox.nextInt(seed, 0, i, model.vocabularySize() - 2));
        return Tensor.of(model.backend(), ids, 1, time);
    }
}
