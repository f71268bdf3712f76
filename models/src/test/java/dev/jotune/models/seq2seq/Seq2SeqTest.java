package dev.jotune.models.seq2seq;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import dev.jotune.autograd.Gradients;
import dev.jotune.autograd.Recording;
import dev.jotune.autograd.Var;
import dev.jotune.models.DecoderCache;
import dev.jotune.models.DecoderInput;
import dev.jotune.models.Encoded;
import dev.jotune.models.EncoderInput;
import dev.jotune.models.Models;
import dev.jotune.models.Seq2SeqLm;
import dev.jotune.models.generate.CausalLanguageModel;
import dev.jotune.models.generate.Generation;
import dev.jotune.models.generate.Generator;
import dev.jotune.models.generate.SamplingOptions;
import dev.jotune.models.seam.AttentionSite;
import dev.jotune.models.seam.EmbeddingSite;
import dev.jotune.models.seam.Hooks;
import dev.jotune.models.seam.Parameter;
import dev.jotune.models.seam.Pass;
import dev.jotune.models.seam.VirtualTokens;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.random.Philox;
import dev.jotune.testing.Golden;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** What every encoder-decoder must do beyond its numbers: caches, adapters for some rows, checkpointing, generation. */
@Tag("golden")
class Seq2SeqTest {
    static Stream<Golden.Case> cases() {
        return Seq2SeqGoldenTest.cases();
    }

    private static Seq2SeqLm load(Golden.Case c) {
        return Models.load(c.folder(), Backends.cpu(), DType.F32).as(Seq2SeqLm.class);
    }

    /** The batch of the case's first check that is a forward pass with tokens to decode. */
    private static Seq2SeqCheck batch(Golden.Case c) {
        JsonNode check = c.checks().stream().filter(k -> k.at("/inputs/decoder_input_ids").isObject()).findFirst().orElseThrow();
        return new Seq2SeqCheck(c, c.folder(), check, false);
    }

    // ---- generation ----

    @ParameterizedTest
    @MethodSource("cases")
    void eachRowAloneThroughTheGeneratorIsTheBatchOfTransformers(Golden.Case c) {
        for (JsonNode check : c.checks()) {
            boolean greedy = check.path("expected").has("sequences") && check.at("/settings/num_beams").asInt(1) == 1;
            if (greedy) {
                Seq2SeqCheck run = new Seq2SeqCheck(c, c.folder(), check, false);
                Golden.LongArray want = run.expectedIds("sequences");
                for (int b = 0; b < want.shape()[0]; b++) {
                    assertThat(generated(run, check, b)).as("%s row %d", check.get("name").asText(), b)
                            .startsWith(Arrays.copyOfRange(want.ints(), (int) (b * want.shape()[1]), (int) ((b + 1) * want.shape()[1])));
                }
            }
        }
    }

    /** Prompt, continuation, and padding up to what the settings ask for. */
    private static int[] generated(Seq2SeqCheck run, JsonNode check, int row) {
        Seq2SeqLm model = run.model();
        Pass pass = model.seams().inference();
        Encoded source = Recording.off(() -> model.encode(row(run.source(), row), pass));
        int[] prompt = Arrays.stream(run.prompt().select(0, row).toLongArray()).mapToInt(i -> (int) i).toArray();
        int steps = check.at("/settings/max_new_tokens").asInt();
        int[] ends = IntStream.range(0, model.vocabularySize()).filter(run::isEnd).toArray();
        SamplingOptions options = SamplingOptions.builder().maxNewTokens(steps).eosTokenIds(ends).build();
        Generation made = new Generator(new CausalLanguageModel(model.given(source), pass), options).generate(prompt);
        int[] out = new int[prompt.length + steps];
        Arrays.fill(out, check.at("/settings/pad_token_id").asInt());
        System.arraycopy(prompt, 0, out, 0, prompt.length);
        System.arraycopy(made.tokens(), 0, out, prompt.length, made.tokens().length);
        return out;
    }

    private static EncoderInput row(EncoderInput in, int row) {
        EncoderInput one = in.ids().isPresent() ? EncoderInput.of(in.ids().get().slice(0, row, row + 1).contiguous())
                : EncoderInput.of(in.embeds().get().slice(0, row, row + 1));
        return in.mask().isPresent() ? one.withMask(in.mask().get().slice(0, row, row + 1).contiguous()) : one;
    }

    // ---- caches ----

    @ParameterizedTest
    @MethodSource("cases")
    void rowsOfACacheMoveWithTheirSource(Golden.Case c) {
        Seq2SeqCheck run = batch(c);
        Seq2SeqLm model = run.model();
        Pass pass = model.seams().inference();
        Encoded source = Recording.off(() -> model.encode(run.source(), pass));
        Tensor ids = run.ids("decoder_input_ids");
        int last = (int) ids.size(1) - 1;
        double[] whole = Recording.off(() -> model.logits(model.decode(DecoderInput.of(ids), source, pass, Optional.empty()).states(), pass)
                .tensor()).slice(1, last, last + 1).toDoubleArray();
        int[] rows = {(int) ids.size(0) - 1, 0, (int) ids.size(0) - 1};
        DecoderCache cache = model.newCache(ids.size(0), 2);
        double[] moved = Recording.off(() -> {
            model.decode(DecoderInput.of(ids.slice(1, 0, last).contiguous()), source, pass, Optional.of(cache));
            cache.reorder(rows);
            Tensor next = Tensor.empty(model.backend(), DType.I64, rows.length, 1);
            for (int i = 0; i < rows.length; i++) {
                next.slice(0, i, i + 1).copyFrom(ids.slice(0, rows[i], rows[i] + 1).slice(1, last, last + 1));
            }
            Var states = model.decode(DecoderInput.of(next), source, pass, Optional.of(cache)).states();
            return model.logits(states, pass).tensor();
        }).toDoubleArray();
        assertThat(cache.batch()).isEqualTo(3);
        assertThat(cache.length()).isEqualTo(last + 1);
        int v = model.vocabularySize();
        for (int i = 0; i < moved.length; i++) {
            assertThat(moved[i]).isCloseTo(whole[rows[i / v] * v + i % v], within(2e-4));
        }
        cache.truncate(1);
        assertThat(cache.length()).isEqualTo(1);
        cache.free();
    }

    @ParameterizedTest
    @MethodSource("cases")
    void oneSourceServesAllRows(Golden.Case c) {
        Seq2SeqCheck run = batch(c);
        Seq2SeqLm model = run.model();
        Pass pass = model.seams().inference();
        EncoderInput first = row(run.source(), 0);
        Tensor ids = run.ids("decoder_input_ids");
        double[] shared = Recording.off(() -> model.decode(DecoderInput.of(ids), model.encode(first, pass), pass,
                Optional.of(model.newCache(ids.size(0), 2))).states().tensor()).toDoubleArray();
        double[] own = new double[shared.length];
        for (int b = 0; b < ids.size(0); b++) {
            Tensor one = ids.slice(0, b, b + 1).contiguous();
            double[] states = Recording.off(() -> model.decode(DecoderInput.of(one), model.encode(first, pass), pass, Optional.empty())
                    .states().tensor()).toDoubleArray();
            System.arraycopy(states, 0, own, b * states.length, states.length);
        }
        assertThat(shared).containsExactly(own, within(2e-4));
        Encoded two = Recording.off(() -> model.encode(run.source(), pass));
        long rows = two.batch();
        DecoderInput more = DecoderInput.of(Tensor.full(model.backend(), DType.I64, 5, rows + 1, 2));
        assertThatThrownBy(() -> model.decode(more, two, pass, Optional.empty())).hasMessageContaining("a target of " + (rows + 1) + " rows")
                .hasMessageContaining("a source of " + rows);
        DecoderCache small = model.newCache(rows, 2);
        assertThatThrownBy(() -> model.decode(more, two, pass, Optional.of(small))).hasMessageContaining("a cache of " + rows);
    }

    // ---- adapters ----

    @ParameterizedTest
    @MethodSource("cases")
    void rowsUnderDifferentAdaptersAreAsAlone(Golden.Case c) {
        Seq2SeqCheck run = batch(c);
        Seq2SeqLm model = run.model();
        model.seams().attach(prefix(model, "short", 2));
        model.seams().attach(prefix(model, "long", 5));
        model.seams().attach(prompt(model, "prompt", 3));
        model.seams().attach(table(model, "table"));
        Tensor ids = run.ids("decoder_input_ids");
        for (List<String> kinds : List.of(List.of("short", "long"), List.of("", "long"), List.of("prompt", "short"), List.of("table", "prompt"))) {
            List<String> names = IntStream.range(0, (int) ids.size(0)).mapToObj(b -> kinds.get(b % 2)).toList();
            Pass mixed = model.seams().rows(names);
            double[] together = Recording.off(() -> model.decode(DecoderInput.of(ids), model.encode(run.source(), mixed), mixed, Optional.empty())
                    .text().tensor()).toDoubleArray();
            for (int b = 0; b < ids.size(0); b++) {
                Pass alone = model.seams().rows(List.of(names.get(b)));
                EncoderInput source = row(run.source(), b);
                Tensor target = ids.slice(0, b, b + 1).contiguous();
                double[] states = Recording.off(() -> model.decode(DecoderInput.of(target), model.encode(source, alone), alone, Optional.empty())
                        .text().tensor()).toDoubleArray();
                assertThat(Arrays.copyOfRange(together, b * states.length, (b + 1) * states.length)).as("row %d of %s", b, names)
                        .containsExactly(states, within(5e-4));
            }
        }
    }

    @ParameterizedTest
    @MethodSource("cases")
    void adaptersDecodeWithACacheAsWithout(Golden.Case c) {
        Seq2SeqCheck run = batch(c);
        Seq2SeqLm model = run.model();
        Tensor ids = run.ids("decoder_input_ids");
        int time = (int) ids.size(1);
        for (Hooks h : List.of(prefix(model, "prefix", 3), prompt(model, "prompt", 2))) {
            model.seams().attach(h);
            Pass pass = model.seams().inference();
            double[] whole = Recording.off(() -> model.decode(DecoderInput.of(ids), model.encode(run.source(), pass), pass, Optional.empty())
                    .text().tensor()).slice(1, time - 1, time).toDoubleArray();
            DecoderCache cache = model.newCache(ids.size(0), 1);
            double[] stepped = Recording.off(() -> {
                Encoded source = model.encode(run.source(), pass);
                Var last = null;
                for (int t = 0; t < time; t++) {
                    last = model.decode(DecoderInput.of(ids.slice(1, t, t + 1).contiguous()), source, pass, Optional.of(cache)).text();
                }
                return last.tensor();
            }).toDoubleArray();
            assertThat(stepped).as(h.name()).containsExactly(whole, within(2e-4));
            model.seams().detach(h.name());
        }
    }

    /** n keys and values in every attention of the decoder's own, which stand for n positions. */
    private static Hooks prefix(Seq2SeqLm model, String name, int n) {
        Map<String, Var> named = new LinkedHashMap<>();
        for (AttentionSite s : model.seams().attentions()) {
            if (s.kind() == AttentionSite.Kind.CAUSAL) {
                named.put("key." + s.layer(), noise(model, name + s.layer(), 1, s.groups(), n, s.headDim()));
                named.put("value." + s.layer(), noise(model, name + "v" + s.layer(), 1, s.groups(), n, s.headDim()));
            }
        }
        return new Hooks(name, Map.of(), Map.of(), Optional.of(new GivenKeys(named, true)), Map.of(), Map.of());
    }

    /** n virtual tokens before the source and n + 1 before the target. */
    private static Hooks prompt(Seq2SeqLm model, String name, int n) {
        Map<String, VirtualTokens> tokens = new LinkedHashMap<>();
        for (EmbeddingSite site : model.seams().embeddings().values()) {
            Var rows = noise(model, name + site.name(), n + tokens.size(), site.hiddenSize());
            tokens.put(site.name(), new VirtualTokens() {
                @Override
                public long count() {
                    return rows.size(0);
                }

                @Override
                public Var rows(Text text, Pass pass) {
                    return rows;
                }
            });
        }
        return new Hooks(name, Map.of(), Map.of(), Optional.empty(), tokens, Map.of());
    }

    /** Its own copies of every embedding table, of positions or distances too. */
    private static Hooks table(Seq2SeqLm model, String name) {
        Map<String, Var> own = new LinkedHashMap<>();
        for (Parameter p : model.seams().parameters().values()) {
            if (p.path().matches(".*(shared|embed|relative).*")) {
                own.put(p.path(), noise(model, p.path(), p.base().shape()));
            }
        }
        assertThat(own).isNotEmpty();
        return new Hooks(name, Map.of(), own, Optional.empty(), Map.of(), Map.of());
    }

    private static Var noise(Seq2SeqLm model, String name, long... shape) {
        double[] values = new double[(int) Arrays.stream(shape).reduce(1, (a, b) -> a * b)];
        for (int i = 0; i < values.length; i++) {
            values[i] = 0.5 * Philox.normal(7, name.hashCode(), i);
        }
        return Var.constant(Tensor.of(model.backend(), model.computeType(), values, shape));
    }

    @ParameterizedTest
    @MethodSource("cases")
    void narrowWeightsAreReadAsTheNumbersThatTheyAre(Golden.Case c) {
        Seq2SeqCheck run = batch(c);
        Seq2SeqLm model = run.model();
        Pass pass = model.seams().inference();
        Tensor ids = run.ids("decoder_input_ids");
        List<double[]> states = new ArrayList<>();
        for (DType type : List.of(DType.BF16, DType.F32)) {
            model.seams().parameters().values().forEach(p -> p.replace(Var.constant(p.base().tensor().to(type))));
            states.add(Recording.off(() -> model.decode(DecoderInput.of(ids), model.encode(run.source(), pass), pass, Optional.empty())
                    .states().tensor()).toDoubleArray());
        }
        assertThat(states.getFirst()).containsExactly(states.getLast(), within(2e-4));
    }

    // ---- training ----

    @ParameterizedTest
    @MethodSource("cases")
    void checkpointingChangesNoGradient(Golden.Case c) {
        Seq2SeqCheck run = batch(c);
        Seq2SeqLm model = run.model();
        List<Var> all = new ArrayList<>();
        for (Parameter p : model.seams().parameters().values()) {
            p.replace(Var.parameter(p.base().tensor()));
            all.add(p.base());
        }
        Tensor labels = run.ids("decoder_input_ids");
        Pass pass = model.seams().training(1, 2);
        List<Tensor> plain = Gradients.of(model.loss(run.source(), labels, pass), all);
        model.setCheckpointing(true);
        List<Tensor> again = Gradients.of(model.loss(run.source(), labels, pass), all);
        for (int i = 0; i < all.size(); i++) {
            // What blocks share, like the source's states, adds its gradients in another order.
            double[] want = plain.get(i).toDoubleArray();
            double largest = Arrays.stream(want).map(Math::abs).max().orElse(0);
            assertThat(again.get(i).toDoubleArray()).containsExactly(want, within(1e-6 + 1e-5 * largest));
        }
    }

    @ParameterizedTest
    @MethodSource("cases")
    void labelsAreShiftedAndIgnoredOnesBecomePadding(Golden.Case c) {
        Seq2SeqLm model = load(c);
        Tensor labels = Tensor.of(model.backend(), new long[] {7, -100, 9, 4, 5, -100}, 2, 3);
        long start = model.decoderStartToken();
        long pad = model.padToken();
        assertThat(model.shiftRight(labels).toLongArray()).containsExactly(start, 7, pad, start, 4, 5);
        Pass pass = model.seams().inference();
        EncoderInput source = row(batch(c).source(), 0);
        Tensor longer = Tensor.of(model.backend(), new long[] {7, 8}, 1, 2);
        assertThatThrownBy(() -> model.loss(source, DecoderInput.of(Tensor.of(model.backend(), new long[] {7}, 1, 1)), longer, pass))
                .hasMessageContaining("labels of shape [1, 2]").hasMessageContaining("1 rows with 1 tokens");
    }
}
