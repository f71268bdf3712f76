package dev.jotune.models.generate;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * Runs a {@link BeamSearch}. The rows of a batch are the running beams of all prompts; after each step they are put in
 * the order of the beams they go on from. The prompt is read once, not once a beam.
 */
final class BeamDecoder {

    private final LanguageModel model;
    private final BeamSearch search;

    BeamDecoder(LanguageModel model, BeamSearch search) {
        this.model = model;
        this.search = search;
    }

    List<List<Hypothesis>> write(List<Writing> texts) {
        List<Beams> all = texts.stream().map(text -> new Beams(search, text)).toList();
        List<Beams> active = new ArrayList<>(all);
        int[][] tokens = texts.stream().map(Writing::prompt).toArray(int[][]::new);
        int vocabulary = model.vocabularySize();
        float[][] logits = new float[texts.size()][vocabulary];
        List<TextDecoder> fresh = texts.stream().map(this::fresh).toList();
        try (BatchSession batch = model.openBatch(texts.size())) {
            batch.read(tokens, logits);
            texts.forEach(Writing::promptWasRead);
            while (true) {
                int[] rows = step(active, logits);
                if (rows.length == 0) {
                    break;
                }
                tokens = tokens(active, rows.length);
                int before = logits.length;
                logits = Arrays.copyOf(logits, rows.length);
                for (int i = before; i < rows.length; i++) {
                    logits[i] = new float[vocabulary];
                }
                batch.reorder(rows);
                batch.read(tokens, logits);
            }
        }
        List<List<Hypothesis>> results = new ArrayList<>();
        for (int i = 0; i < all.size(); i++) {
            results.add(results(all.get(i), fresh.get(i)));
        }
        return results;
    }

    /** Where several texts are asked for, the others need a decoder that has seen the prompt only. */
    private TextDecoder fresh(Writing text) {
        return search.returnSequences() > 1 ? text.decoder().copy() : text.decoder();
    }

    /** Takes a step of all that are active, leaves those that go on, and gives the rows that they go on from. */
    private static int[] step(List<Beams> active, float[][] logits) {
        List<Integer> rows = new ArrayList<>();
        int first = 0;
        for (var each = active.iterator(); each.hasNext(); ) {
            Beams beams = each.next();
            int used = beams.size();
            if (beams.step(logits, first)) {
                for (int beam = 0; beam < beams.size(); beam++) {
                    rows.add(first + beams.parent(beam));
                }
                stream(beams);
            } else {
                each.remove();
            }
            first += used;
        }
        return rows.stream().mapToInt(Integer::intValue).toArray();
    }

    private static void stream(Beams beams) {
        int certain = beams.certain();
        while (beams.text().written() < certain) {
            beams.text().take(beams.certainToken(beams.text().written()));
        }
    }

    private static int[][] tokens(List<Beams> active, int rows) {
        int[][] tokens = new int[rows][];
        int at = 0;
        for (Beams beams : active) {
            for (int beam = 0; beam < beams.size(); beam++) {
                tokens[at++] = new int[] {beams.token(beam)};
            }
        }
        return tokens;
    }

    private List<Hypothesis> results(Beams beams, TextDecoder fresh) {
        List<Hypothesis> results = new ArrayList<>();
        Writing text = beams.text();
        for (Beams.Ended one : beams.ended()) {
            if (results.size() == search.returnSequences()) {
                break;
            }
            if (results.isEmpty()) {
                while (text.length() < one.tokens().length) {
                    text.take(one.tokens()[text.length()]);
                }
                results.add(new Hypothesis(text.finish(one.reason()), one.score()));
            } else {
                results.add(new Hypothesis(text.other(one.tokens(), one.tokens().length, one.reason(), fresh.copy()), one.score()));
            }
        }
        return results;
    }
}
