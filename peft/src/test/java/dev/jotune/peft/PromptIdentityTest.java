package dev.jotune.peft;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.jotune.autograd.Gradients;
import dev.jotune.autograd.Recording;
import dev.jotune.autograd.Var;
import dev.jotune.autograd.ops.Attention;
import dev.jotune.models.CausalLm;
import dev.jotune.models.DecoderInput;
import dev.jotune.models.KvCache;
import dev.jotune.models.Models;
import dev.jotune.models.seam.AttentionSite;
import dev.jotune.models.seam.Hooks;
import dev.jotune.models.seam.Pass;
import dev.jotune.models.seam.SegmentSource;
import dev.jotune.peft.methods.PrefixTuning;
import dev.jotune.peft.methods.PromptTuning;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.random.Philox;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** What must hold of soft prompts and prefixes by mathematics alone (catalogue S006 and S044, works_when). */
class PromptIdentityTest {
    private static final int TIME = 7;
    private static final int PART = 3;
    private static final String TABLE = "prompt_embeddings";

    /** Where the identities are tried; the last is a real model. */
    enum Subject {
        GROUPED(TinyModels.GROUPED), TIED(TinyModels.TIED), BIASED(TinyModels.BIASED), STORIES(null);

        private final TinyModels.Kind kind;

        Subject(TinyModels.Kind kind) {
            this.kind = kind;
        }

        CausalLm model() {
            return kind == null ? Models.embedded(Backends.cpu(), DType.F32).model() : kind.make(Backends.reference(), DType.F64);
        }
    }

    private static long[] text(CausalLm model, int seed, int length) {
        long[] ids = new long[length];
        Arrays.setAll(ids, i -> Philox.nextInt(seed, 0, i, model.vocabularySize()));
        return ids;
    }

    private static DecoderInput input(CausalLm model, long... ids) {
        return DecoderInput.of(Tensor.of(model.backend(), ids, 1, ids.length));
    }

    private static double[] logits(CausalLm model, DecoderInput in, Pass pass) {
        return Harness.logits(model, in, pass);
    }

    /** The logits of the positions from {@code from} on, for one row. */
    private static double[] tail(CausalLm model, double[] logits, int from) {
        return Arrays.copyOfRange(logits, from * model.vocabularySize(), logits.length);
    }

    private static void assertClose(double[] got, double[] want, double tolerance) {
        assertThat(got).hasSameSizeAs(want);
        for (int i = 0; i < got.length; i++) {
            assertThat(got[i]).as("logit %d", i).isCloseTo(want[i], within(tolerance * Math.max(1, Math.abs(want[i]))));
        }
    }

    /** The embeddings of tokens {@code [n, C]}. */
    private static Tensor embeddings(CausalLm model, long... ids) {
        Tensor table = model.seams().parameters().get("model.embed_tokens.weight").base().tensor();
        Tensor out = Tensor.empty(model.backend(), model.computeType(), ids.length, model.hiddenSize());
        for (int i = 0; i < ids.length; i++) {
            out.select(0, i).copyFrom(table.select(0, ids[i]));
        }
        return out;
    }

    private static Adapter prompt(CausalLm model, String name, Tensor rows) {
        return Adapters.restore(model, name, PromptTuning.DEFAULTS.withTokens((int) rows.size(0)), Map.of(TABLE, rows));
    }

    private static Adapter prefix(CausalLm model, String name, Tensor table) {
        return Adapters.restore(model, name, PrefixTuning.DEFAULTS.withTokens((int) table.size(0)), Map.of(TABLE, table));
    }

    @ParameterizedTest
    @EnumSource
    void promptOfTokenEmbeddingsIsThePromptOfTheTokens(Subject subject) {
        CausalLm model = subject.model();
        long[] ids = text(model, 1, TIME);
        double[] want = tail(model, logits(model, input(model, ids), model.seams().inference()), PART);
        prompt(model, "p", embeddings(model, Arrays.copyOf(ids, PART)));
        assertClose(logits(model, input(model, Arrays.copyOfRange(ids, PART, TIME)), model.seams().inference()), want, 1e-5);
    }

    @ParameterizedTest
    @EnumSource
    void gradientOfThePromptIsTheDifferenceQuotientAndTheRestStays(Subject subject) {
        CausalLm model = subject.model();
        Map<String, Integer> bytes = Harness.bytes(model);
        Adapter adapter = prompt(model, "p", embeddings(model, text(model, 2, PART)));
        Var rows = adapter.trainables().get(TABLE);
        DecoderInput in = input(model, text(model, 3, TIME));
        Tensor labels = in.ids().get();
        double[] g = Gradients.of(model.loss(in, labels, model.seams().inference()), List.of(rows)).getFirst().toDoubleArray();
        double[] at = rows.tensor().toDoubleArray();
        // Along the gradient itself, where F32 sees most of it.
        double norm = Math.sqrt(Arrays.stream(g).map(x -> x * x).sum());
        double step = subject == Subject.STORIES ? 1e-2 : 1e-5;
        double[] losses = new double[2];
        for (int side = 0; side < 2; side++) {
            double h = side == 0 ? step : -step;
            double[] there = new double[at.length];
            Arrays.setAll(there, i -> at[i] + h * g[i] / norm);
            rows.tensor().copyFrom(Tensor.of(model.backend(), model.computeType(), there, rows.shape()));
            losses[side] = Recording.off(() -> model.loss(in, labels, model.seams().inference())).item();
        }
        assertThat(norm).isCloseTo((losses[0] - losses[1]) / (2 * step), within(1e-3 * norm));
        assertThat(Harness.bytes(model)).isEqualTo(bytes);
    }

    @ParameterizedTest
    @EnumSource
    void oneBatchOfThreePromptsIsThreeBatches(Subject subject) {
        CausalLm model = subject.model();
        List<String> names = List.of("one", "two", "three");
        long[] ids = new long[3 * TIME];
        List<double[]> alone = new ArrayList<>();
        for (int i = 0; i < 3; i++) {
            // Prompts of different lengths.
            prompt(model, names.get(i), embeddings(model, text(model, 10 + i, PART + i)));
            long[] row = text(model, 20 + i, TIME);
            System.arraycopy(row, 0, ids, i * TIME, TIME);
            alone.add(logits(model, input(model, row), model.seams().rows(List.of(names.get(i)))));
        }
        double[] together = logits(model, DecoderInput.of(Tensor.of(model.backend(), ids, 3, TIME)), model.seams().rows(names));
        for (int i = 0; i < 3; i++) {
            int each = together.length / 3;
            assertClose(Arrays.copyOfRange(together, i * each, (i + 1) * each), alone.get(i), 1e-5);
        }
    }

    /** The table {@code [n, 2 L G D]} of the keys and values that the model computes from {@code ids}. */
    private static Tensor ownKeysAndValues(CausalLm model, long... ids) {
        int n = ids.length;
        KvCache cache = (KvCache) model.newCache(1, n);
        Pass bare = Pass.inference(List.of());
        Recording.off(() -> model.forward(input(model, ids), bare, Optional.of(cache)));
        List<AttentionSite> sites = model.seams().attentions();
        AttentionSite first = sites.getFirst();
        Tensor table = Tensor.empty(model.backend(), model.computeType(), n, 2L * sites.size(), first.groups(), first.headDim());
        for (AttentionSite site : sites) {
            KvCache.Stored stored = cache.stored(site.layer());
            table.select(1, 2L * site.layer()).copyFrom(stored.keys().select(0, 0).transpose(0, 1));
            table.select(1, 2L * site.layer() + 1).copyFrom(stored.values().select(0, 0).transpose(0, 1));
        }
        return table.reshape(n, -1);
    }

    @ParameterizedTest
    @EnumSource
    void prefixOfTheModelsOwnKeysReproducesTheFullText(Subject subject) {
        CausalLm model = subject.model();
        long[] ids = text(model, 4, TIME);
        double[] want = tail(model, logits(model, input(model, ids), model.seams().inference()), PART);
        prefix(model, "p", ownKeysAndValues(model, Arrays.copyOf(ids, PART)));
        assertClose(logits(model, input(model, Arrays.copyOfRange(ids, PART, TIME)), model.seams().inference()), want, 1e-5);
    }

    @ParameterizedTest
    @EnumSource
    void theOrderOfPrefixRowsDoesNotMatter(Subject subject) {
        CausalLm model = subject.model();
        Tensor table = ownKeysAndValues(model, text(model, 5, 4));
        DecoderInput in = input(model, text(model, 6, TIME));
        Adapter straight = prefix(model, "straight", table);
        double[] want = logits(model, in, model.seams().inference());
        straight.detach();
        Tensor turned = Tensor.empty(table.backend(), table.dtype(), table.shape());
        int[] order = {2, 0, 3, 1};
        for (int i = 0; i < order.length; i++) {
            turned.select(0, i).copyFrom(table.select(0, order[i]));
        }
        prefix(model, "turned", turned);
        assertClose(logits(model, in, model.seams().inference()), want, subject == Subject.STORIES ? 1e-5 : 1e-6);
    }

    @ParameterizedTest
    @EnumSource
    void withoutPrefixRowsTheModelIsPlainAndTheCountIsTheTable(Subject subject) {
        CausalLm model = subject.model();
        AttentionSite site = model.seams().attentions().getFirst();
        DecoderInput in = input(model, text(model, 7, TIME));
        double[] plain = logits(model, in, model.seams().inference());
        int n = 6;
        Adapter adapter = Adapters.create(model, "p", PrefixTuning.DEFAULTS.withTokens(n), 1);
        assertThat(adapter.trainableCount()).isEqualTo((long) n * 2 * model.layers() * site.groups() * site.headDim());
        assertThat(logits(model, in, model.seams().inference())).isNotEqualTo(plain);
        assertThat(logits(model, in, model.seams().rows(List.of("")))).isEqualTo(plain);
        adapter.detach();
        assertThat(logits(model, in, model.seams().inference())).isEqualTo(plain);
    }

    /** {@code num_virtual_tokens} 0 is refused as PEFT does; the seam itself takes a prefix of no rows. */
    @ParameterizedTest
    @EnumSource
    void anEmptyPrefixIsThePlainModel(Subject subject) {
        CausalLm model = subject.model();
        DecoderInput in = input(model, text(model, 8, TIME));
        double[] plain = logits(model, in, model.seams().inference());
        SegmentSource empty = new SegmentSource() {
            @Override
            public List<List<Attention.Segment>> segments(List<AttentionSite> sites, Pass pass) {
                return sites.stream().map(s -> {
                    Var none = Var.constant(Tensor.empty(model.backend(), model.computeType(), 1, s.groups(), 0, s.headDim()));
                    return List.of(new Attention.Segment(none, none, Attention.Visible.ALL));
                }).toList();
            }

            @Override
            public long positions() {
                return 0;
            }
        };
        model.seams().attach(new Hooks("empty", Map.of(), Map.of(), Optional.of(empty), Map.of(), Map.of()));
        assertClose(logits(model, in, model.seams().inference()), plain, 1e-6);
    }
}
