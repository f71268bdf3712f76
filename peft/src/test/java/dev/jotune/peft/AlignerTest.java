package dev.jotune.peft;

import static org.assertj.core.api.Assertions.assertThat;

import dev.jotune.autograd.Gradients;
import dev.jotune.autograd.Recording;
import dev.jotune.autograd.Var;
import dev.jotune.autograd.optim.AdamW;
import dev.jotune.autograd.optim.Optimizer;
import dev.jotune.autograd.optim.Schedule;
import dev.jotune.models.CausalLm;
import dev.jotune.models.DecoderInput;
import dev.jotune.models.Models;
import dev.jotune.models.generate.CausalLanguageModel;
import dev.jotune.models.generate.Generation;
import dev.jotune.models.generate.GenerationListener;
import dev.jotune.models.generate.Generator;
import dev.jotune.models.generate.SamplingOptions;
import dev.jotune.models.generate.TextDecoder;
import dev.jotune.models.generate.TextRequest;
import dev.jotune.models.seam.AttentionSite;
import dev.jotune.models.seam.Group;
import dev.jotune.models.seam.Hooks;
import dev.jotune.models.seam.LinearLayer;
import dev.jotune.models.seam.Pass;
import dev.jotune.models.seam.Tap;
import dev.jotune.peft.methods.Aligner;
import dev.jotune.peft.methods.Lora;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.random.Philox;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

/** What a few numbers can teach, and what not (catalogue S063, works_when). */
class AlignerTest {
    /** How an answer must look: an exclamation mark, then a quotation mark. */
    private static final int[] FORM = {443, 436};
    private static final int FACTS = 64;
    /** Where the tokens of the embedded model's vocabulary begin that are texts. */
    private static final int WORDS = 259;
    private static final int PROMPT = 6;
    private static final int ROWS = 16;

    private static CausalLm stories() {
        return Models.embedded(Backends.cpu(), DType.F32).model();
    }

    /** With one state the softmax is 1: after training, the method is a constant added to each attention's output. */
    @Test
    void oneStateIsABiasOfTheAttentionsOutput() {
        CausalLm model = TinyModels.GROUPED.make(Backends.reference(), DType.F64);
        Harness h = new Harness(Methods.named("aligner"), ContractCases.of(Methods.named("aligner")).getLast(), TinyModels.GROUPED, true);
        Adapter adapter = h.create(model, "a");
        Harness.train(adapter, 10, 0.05, step -> h.lossOf(model, step));
        double[] want = Harness.logits(model, h.input(2));
        Var p = adapter.trainables().get("aligner_prompt");
        Var gates = adapter.trainables().get("aligner_gate");
        assertThat(Arrays.stream(gates.tensor().toDoubleArray()).anyMatch(g -> Math.abs(g) > 0.05)).isTrue();
        Map<String, Tap> biases = new LinkedHashMap<>();
        Group bare = Group.all(List.of());
        for (AttentionSite site : model.seams().attentions()) {
            LinearLayer value = model.seams().projections().get(site.path() + ".v_proj");
            LinearLayer out = model.seams().projections().get(site.path() + ".o_proj");
            Tensor constant = Recording.off(() -> {
                Var v = value.base(p, bare).reshape(1, site.groups(), 1, site.headDim())
                        .expandTo(1, site.groups(), site.heads() / site.groups(), site.headDim());
                Var gate = gates.slice(0, site.layer(), site.layer() + 1).reshape(1, site.groups(), site.heads() / site.groups(), 1);
                return out.base(v.mul(gate).reshape(1, 1, -1), bare);
            }).tensor();
            biases.put("layers." + site.layer() + ".attn.out", (_, x, _) -> x.add(Var.constant(constant)));
        }
        adapter.detach();
        model.seams().attach(Hooks.ofTaps("bias", biases));
        h.assertClose("with biases", Harness.logits(model, h.input(2)), want);
    }

    /** A prompt of random words and the form. */
    private static int[] format(long seed, int row) {
        int[] text = new int[PROMPT + FORM.length];
        for (int t = 0; t < PROMPT; t++) {
            text[t] = WORDS + Philox.nextInt(seed, row, t, 150);
        }
        System.arraycopy(FORM, 0, text, PROMPT, FORM.length);
        return text;
    }

    /** One of 64 keys of two tokens, and a value that the model cannot know. */
    private static int[] fact(int key) {
        return new int[] {1, WORDS + Philox.nextInt(71, key, 0, 150), WORDS + Philox.nextInt(71, key, 1, 150),
                WORDS + Philox.nextInt(72, key, 0, 150)};
    }

    private interface Texts {
        int[] at(long step, int row);
    }

    /** Trains on the last tokens of texts. */
    private static void train(Adapter adapter, int steps, double rate, int learnt, Texts texts) {
        CausalLm model = adapter.model().as(CausalLm.class);
        Optimizer optimizer = new AdamW(0).with(Schedule.constant(rate));
        for (int step = 0; step < steps; step++) {
            int time = texts.at(0, 0).length;
            long[] ids = new long[ROWS * time];
            long[] labels = new long[ids.length];
            for (int row = 0; row < ROWS; row++) {
                int[] text = texts.at(step, row);
                for (int t = 0; t < time; t++) {
                    ids[row * time + t] = text[t];
                    labels[row * time + t] = t >= time - learnt ? text[t] : -100;
                }
            }
            Pass pass = model.seams().training(9, step);
            Var loss = model.loss(DecoderInput.of(Tensor.of(model.backend(), ids, ROWS, time)), Tensor.of(model.backend(), labels, ROWS, time), pass);
            optimizer.step(adapter.trainables(), Gradients.of(loss, List.copyOf(adapter.trainables().values())));
        }
    }

    private static List<int[]> written(CausalLm model, List<int[]> prompts, int tokens) {
        List<TextRequest> requests = new ArrayList<>();
        for (int i = 0; i < prompts.size(); i++) {
            requests.add(new TextRequest(prompts.get(i), i, TextDecoder.NONE, GenerationListener.NONE));
        }
        SamplingOptions greedy = SamplingOptions.builder().maxNewTokens(tokens).build();
        return new Generator(new CausalLanguageModel(model, model.seams().inference()), greedy).generate(requests).stream()
                .map(Generation::tokens).toList();
    }

    /** The share of new prompts that are answered in the form. */
    private static double formatted(CausalLm model) {
        List<int[]> prompts = new ArrayList<>();
        for (int row = 0; row < 64; row++) {
            prompts.add(Arrays.copyOf(format(99, row), PROMPT));
        }
        return written(model, prompts, FORM.length).stream().filter(w -> Arrays.equals(w, FORM)).count() / 64.0;
    }

    private static double known(CausalLm model) {
        List<int[]> prompts = new ArrayList<>();
        for (int key = 0; key < FACTS; key++) {
            prompts.add(Arrays.copyOf(fact(key), 3));
        }
        List<int[]> answers = written(model, prompts, 1);
        int right = 0;
        for (int key = 0; key < FACTS; key++) {
            right += answers.get(key)[0] == fact(key)[3] ? 1 : 0;
        }
        return right / (double) FACTS;
    }

    @Test
    void aTokenTeachesAFormWithAFiftiethOfLorasNumbersButNotFacts() {
        CausalLm model = stories();
        assertThat(formatted(model)).isLessThan(0.1);
        Adapter aligner = Adapters.create(model, "a", Aligner.DEFAULTS, 1);
        train(aligner, 300, 0.03, FORM.length, (step, row) -> format(step, row));
        double form = formatted(model);
        long few = aligner.trainableCount();
        aligner.detach();
        Adapter facts = Adapters.create(model, "f", Aligner.DEFAULTS, 1);
        train(facts, 600, 0.03, 1, (step, row) -> fact((int) (step * ROWS + row) % FACTS));
        double alignerKnows = known(model);
        facts.detach();
        Adapter lora = Adapters.create(model, "l", Lora.DEFAULTS.withRank(8, 16), 1);
        long many = lora.trainableCount();
        train(lora, 600, 0.005, 1, (step, row) -> fact((int) (step * ROWS + row) % FACTS));
        double loraKnows = known(model);
        assertThat(few).isLessThan(many / 50);
        assertThat(form).isGreaterThanOrEqualTo(0.9);
        assertThat(loraKnows - alignerKnows).isGreaterThanOrEqualTo(0.2);
    }
}
