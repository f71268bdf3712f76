package dev.jotune.models.generate;

import com.fasterxml.jackson.databind.JsonNode;
import dev.jotune.testing.Golden;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Set;

/** Builds the processors of a golden check from its settings, in the order of Hugging Face's generate. */
final class GoldenSettings {

    private final JsonNode settings;
    private final Set<String> used = new HashSet<>();

    private GoldenSettings(JsonNode settings) {
        this.settings = settings;
    }

    /** Fails on a setting that it does not know, so that none is passed over. */
    static LogitsProcessor chain(JsonNode settings, int[] source) {
        GoldenSettings view = new GoldenSettings(settings);
        List<LogitsProcessor> chain = view.build(source);
        settings.fieldNames().forEachRemaining(name -> {
            if (!view.used.contains(name)) {
                throw new AssertionError("The golden setting " + name + " is not known to this test.");
            }
        });
        return LogitsProcessor.chain(chain);
    }

    private List<LogitsProcessor> build(int[] source) {
        List<LogitsProcessor> chain = new ArrayList<>();
        int[] eos = has("eos_token_id") ? ids("eos_token_id") : new int[0];
        int keep = has("min_tokens_to_keep") ? integer("min_tokens_to_keep") : 1;
        int prompt = has("prompt_length") ? integer("prompt_length") : 0;
        if (has("sequence_bias")) {
            chain.add(new SequenceBias(Golden.children(settings.get("sequence_bias")).stream()
                    .map(entry -> new SequenceBias.Entry(ints(entry.get(0)), entry.get(1).asDouble())).toList()));
        }
        if (has("encoder_repetition_penalty")) {
            chain.add(new SourceRepetitionPenalty(number("encoder_repetition_penalty"), source));
        }
        if (has("repetition_penalty")) {
            chain.add(new RepetitionPenalty(number("repetition_penalty"),
                    has("prompt_ignore_length") ? integer("prompt_ignore_length") : 0));
        }
        if (has("no_repeat_ngram_size")) {
            chain.add(new NoRepeatNgram(integer("no_repeat_ngram_size")));
        }
        if (has("encoder_no_repeat_ngram_size")) {
            chain.add(NoRepeatNgram.ofSource(integer("encoder_no_repeat_ngram_size"), source));
        }
        if (has("bad_words_ids")) {
            chain.add(SequenceBias.badWords(Golden.children(settings.get("bad_words_ids")).stream()
                    .map(GoldenSettings::ints).toList(), eos));
        }
        if (has("min_length")) {
            chain.add(Suppress.minLength(integer("min_length"), eos));
        }
        if (has("min_new_tokens")) {
            chain.add(Suppress.minNewTokens(prompt, integer("min_new_tokens"), eos));
        }
        if (has("forced_bos_token_id")) {
            chain.add(ForcedToken.first(integer("forced_bos_token_id")));
        }
        if (has("forced_eos_token_id")) {
            chain.add(ForcedToken.last(integer("max_length"), ids("forced_eos_token_id")));
            used.add("max_length");
        }
        if (has("exponential_decay_length_penalty")) {
            JsonNode pair = settings.get("exponential_decay_length_penalty");
            chain.add(new ExponentialDecay(prompt, pair.get(0).asInt(), pair.get(1).asDouble(), eos));
        }
        if (has("suppress_tokens")) {
            chain.add(Suppress.always(ids("suppress_tokens")));
        }
        if (has("begin_suppress_tokens")) {
            chain.add(Suppress.at(integer("begin_index"), ids("begin_suppress_tokens")));
            used.add("begin_index");
        }
        addSamplers(chain, keep);
        if (has("renormalize_logits") && settings.get("renormalize_logits").asBoolean()) {
            chain.add(new Renormalize());
        }
        return chain;
    }

    private void addSamplers(List<LogitsProcessor> chain, int keep) {
        if (has("temperature")) {
            chain.add(new Temperature(number("temperature")));
        }
        if (has("top_h")) {
            chain.add(new TopH(number("top_h")));
        }
        if (has("top_k")) {
            chain.add(new TopK(integer("top_k"), keep));
        }
        if (has("top_p")) {
            chain.add(new TopP(number("top_p"), keep));
        }
        if (has("min_p")) {
            chain.add(new MinP(number("min_p"), keep));
        }
        if (has("typical_p")) {
            chain.add(new TypicalP(number("typical_p"), keep));
        }
        if (has("epsilon_cutoff")) {
            chain.add(new EpsilonCutoff(number("epsilon_cutoff"), keep));
        }
        if (has("eta_cutoff")) {
            chain.add(new EtaCutoff(number("eta_cutoff"), keep));
        }
    }

    private boolean has(String name) {
        used.add(name);
        return settings.has(name);
    }

    private int integer(String name) {
        return settings.get(name).intValue();
    }

    private double number(String name) {
        return settings.get(name).doubleValue();
    }

    private int[] ids(String name) {
        JsonNode value = settings.get(name);
        return value.isArray() ? ints(value) : new int[] {value.intValue()};
    }

    private static int[] ints(JsonNode array) {
        return Arrays.stream(Golden.longs(array)).mapToInt(Math::toIntExact).toArray();
    }
}
