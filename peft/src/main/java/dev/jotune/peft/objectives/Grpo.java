package dev.jotune.peft.objectives;

import dev.jotune.autograd.Lookup;
import dev.jotune.autograd.Recording;
import dev.jotune.autograd.Var;
import dev.jotune.models.Backbone;
import dev.jotune.models.CausalLm;
import dev.jotune.models.generate.CausalLanguageModel;
import dev.jotune.models.generate.Generator;
import dev.jotune.models.generate.SamplingOptions;
import dev.jotune.models.seam.Pass;
import dev.jotune.peft.AdapterException;
import dev.jotune.peft.objectives.PolicyLoss.Aggregate;
import dev.jotune.peft.train.Batch;
import dev.jotune.peft.train.Example;
import dev.jotune.peft.train.Objective;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.random.Philox;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * Group relative policy optimisation (Shao et al., arXiv 2402.03300, equation 3) with one update for each batch of texts. For every
 * prompt the policy writes a group of answers; an answer's advantage is its reward less the group's mean, by the group's deviation,
 * {@code A = (r - mean) / (std + 1e-4)}. The loss of a token is {@code -min(rho A, clip(rho) A) + beta KL}, rho its probability by
 * what it was when it was written (so 1, and its gradient is that of log p), KL the estimate {@code e^q - q - 1}, {@code q = log
 * p_ref - log p}.
 *
 * <p>Answers follow from the pass's seed and step, so that a run that goes on writes the same ones; the answers to a prompt share
 * its columns when they are learnt from ({@link dev.jotune.models.Branches}).
 *
 * @param reward of an answer
 * @param group answers to each prompt, at least 2
 * @param maxNewTokens of an answer
 * @param beta weight of the divergence from the reference; 0: none
 * @param clip ratios are clipped to {@code [1 - clip, 1 + clip]}
 * @param aggregate how tokens become one number; {@link Aggregate#CONSTANT} does not divide by the deviation
 * @param endTokens that end an answer; they are learnt, not rewarded
 */
public record Grpo(Reward reward, int group, int maxNewTokens, double beta, double clip, Aggregate aggregate, List<Integer> endTokens)
        implements Objective {
    private static final double EPS = 1e-4;

    /** @throws IllegalArgumentException naming what is out of range */
    public Grpo {
        if (group < 2 || maxNewTokens < 1 || !(beta >= 0) || !(clip > 0 && clip < 1)) {
            throw new IllegalArgumentException("GRPO with groups of " + group + ", answers of " + maxNewTokens + " tokens, beta " + beta
                    + " and clipping at " + clip + " is not possible. Give groups of at least 2, at least 1 token, a beta of 0 or more and "
                    + "a clip between 0 and 1.");
        }
        endTokens = List.copyOf(endTokens);
    }

    /** Eight answers a prompt, beta 0.04, clipped at 0.2, as published. */
    public static Grpo of(Reward reward, int maxNewTokens, List<Integer> endTokens) {
        return new Grpo(reward, 8, maxNewTokens, 0.04, 0.2, Aggregate.SEQUENCE, endTokens);
    }

    /** The weight of a batch is its number of prompts. */
    @Override
    public double weight(Batch batch) {
        return asked(batch).size();
    }

    /** Examples that say what answer is wanted: a prompt may fill all the room there is. */
    private static List<Example> asked(Batch batch) {
        return batch.examples().stream().filter(e -> e.labelCount(false) > 0).toList();
    }

    @Override
    public Var loss(Backbone model, Batch batch, Pass pass) {
        CausalLm lm = model.as(CausalLm.class);
        List<List<Example>> groups = new ArrayList<>();
        List<Double> rewards = new ArrayList<>();
        for (Example asked : asked(batch)) {
            List<Example> answers = write(lm, asked, groups.size(), pass);
            answers.forEach(a -> rewards.add(reward.of(withoutEnd(asked), written(a))));
            groups.add(answers);
        }
        double[] r = rewards.stream().mapToDouble(Double::doubleValue).toArray();
        double[] advantages = aggregate == Aggregate.CONSTANT ? PolicyLoss.centred(r, group) : PolicyLoss.groupAdvantages(r, group, EPS);
        return loss(lm, groups, advantages, pass);
    }

    private Var loss(CausalLm lm, List<List<Example>> groups, double[] advantages, Pass pass) {
        Labelled now = Labelled.of(lm, groups, true, pass);
        Var logP = now.logProbabilities(lm, pass);
        double[] perToken = Arrays.stream(now.text()).mapToDouble(t -> advantages[(int) t]).toArray();
        Var a = Var.constant(Tensor.of(lm.backend(), logP.dtype(), perToken, perToken.length));
        Var tokens = PolicyLoss.clipped(logP, logP.detach(), a, clip, clip);
        if (beta > 0) {
            Pass reference = Preference.reference(lm, List.of());
            Var anchor = Recording.off(() -> Labelled.of(lm, groups, true, reference).logProbabilities(lm, reference));
            tokens = tokens.addScaled(PolicyLoss.divergence(logP, anchor), beta);
        }
        return PolicyLoss.aggregate(table(tokens, now), table(tokens.scalarLike(1).expandTo(tokens.shape()), now), aggregate, maxNewTokens);
    }

    /** A number for each token as {@code [N, T]}, 0 where a text has none. */
    private Var table(Var tokens, Labelled at) {
        int[] taken = new int[at.texts()];
        long[] place = Arrays.stream(at.text()).map(t -> t * (maxNewTokens + 1L) + taken[(int) t]++).toArray();
        return Lookup.scatterAdd(tokens.reshape(-1, 1), Tensor.of(tokens.backend(), place, place.length), at.texts() * (maxNewTokens + 1L))
                .reshape(at.texts(), maxNewTokens + 1L);
    }

    /** A group of answers to an example's prompt, drawn from the policy as it is, without dropout. */
    private List<Example> write(CausalLm lm, Example asked, int row, Pass pass) {
        int[] prompt = Arrays.copyOf(asked.ids(), firstLabel(asked));
        if (prompt.length + maxNewTokens + 1 > lm.contextLength()) {
            throw new AdapterException("a prompt of " + prompt.length + " tokens leaves no room for " + maxNewTokens + " more in a context of "
                    + lm.contextLength() + ". Shorten the prompts or the answers.");
        }
        CausalLanguageModel policy = new CausalLanguageModel(lm, new Pass(pass.groups(), false, 0, 0));
        List<Example> out = new ArrayList<>();
        for (int i = 0; i < group; i++) {
            long seed = Philox.bits(pass.seed(), pass.stream("grpo"), (long) row * group + i);
            SamplingOptions options = SamplingOptions.builder().doSample(true).temperature(1).topK(0).topP(1).maxNewTokens(maxNewTokens)
                    .eosTokenIds(endTokens.stream().mapToInt(Integer::intValue).toArray()).seed(seed).build();
            out.add(answered(prompt, Recording.off(() -> new Generator(policy, options).generate(prompt)).tokens()));
        }
        return out;
    }

    private static int firstLabel(Example e) {
        for (int t = 0; t < e.length(); t++) {
            if (e.labels()[t] != Example.IGNORED) {
                return t;
            }
        }
        return e.length();
    }

    /** An answer as an example. The end token of one that stopped early is among its tokens, and learnt too. */
    private static Example answered(int[] prompt, int[] answer) {
        int[] ids = Arrays.copyOf(prompt, prompt.length + answer.length);
        System.arraycopy(answer, 0, ids, prompt.length, answer.length);
        int[] labels = ids.clone();
        Arrays.fill(labels, 0, prompt.length, Example.IGNORED);
        return new Example(ids, labels);
    }

    private boolean isEnded(int[] answer) {
        return answer.length > 0 && endTokens.contains(answer[answer.length - 1]);
    }

    /** What is wanted, as written answers are compared with it. */
    private Example withoutEnd(Example asked) {
        return isEnded(asked.ids()) ? asked.cutTo(asked.length() - 1) : asked;
    }

    private int[] written(Example e) {
        int[] answer = Arrays.copyOfRange(e.ids(), firstLabel(e), e.length());
        return isEnded(answer) ? Arrays.copyOf(answer, answer.length - 1) : answer;
    }
}
