package dev.jotune.jmh.claims;

import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/** Naive Bayes over words: which of two topics a text is of. */
final class WordTopics {
    private final List<Map<String, Integer>> counts = List.of(new HashMap<>(), new HashMap<>());
    private final double[] totals = new double[2];

    /** @param texts of each topic */
    WordTopics(List<List<String>> texts) {
        for (int topic = 0; topic < 2; topic++) {
            for (String text : texts.get(topic)) {
                for (String word : words(text)) {
                    counts.get(topic).merge(word, 1, Integer::sum);
                    totals[topic]++;
                }
            }
        }
    }

    private static String[] words(String text) {
        return Arrays.stream(text.toLowerCase(Locale.ROOT).split("[^a-z]+")).filter(w -> !w.isEmpty()).toArray(String[]::new);
    }

    /** The topic under which the words are likelier; -1 for a text whose words say nothing. */
    int topic(String text) {
        double odds = 0;
        for (String word : words(text)) {
            odds += Math.log((counts.get(0).getOrDefault(word, 0) + 1) / (totals[0] + 1))
                    - Math.log((counts.get(1).getOrDefault(word, 0) + 1) / (totals[1] + 1));
        }
        return odds > 0 ? 0 : odds < 0 ? 1 : -1;
    }

    /** The share of texts that are told right. */
    double accuracy(List<List<String>> texts) {
        int right = 0;
        int all = 0;
        for (int topic = 0; topic < 2; topic++) {
            int own = topic;
            right += (int) texts.get(topic).stream().filter(t -> topic(t) == own).count();
            all += texts.get(topic).size();
        }
        return (double) right / all;
    }
}
