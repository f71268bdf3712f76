import dev.jotune.autograd.Recording;
import dev.jotune.models.CausalLm;
import dev.jotune.models.DecoderInput;
import dev.jotune.models.KvCache;
import dev.jotune.models.Models;
import dev.jotune.models.generate.Sampler;
import dev.jotune.models.generate.SamplingOptions;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Scope;
import dev.jotune.tensor.Tensor;
import java.util.Arrays;
import java.util.HashSet;
import java.util.Optional;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Writes the data set of {@code jotune demo}: little stories of the embedded model (MIT), told by an excited narrator,
 * which means that every sentence ends with an exclamation mark. Deterministic: the seeds are the story numbers.
 *
 * <pre>
 * java --add-modules jdk.incubator.vector --enable-native-access=ALL-UNNAMED -cp 'cli/target/classes:cli/target/lib/*' \
 *     bench/DemoStories.java 400 &gt; cli/src/main/resources/dev/jotune/cli/demo/stories.jsonl
 * </pre>
 */
public final class DemoStories {
    private static final int SENTENCES = 6;
    private static final int ROWS = 100;
    private static final int TOKENS = 120;
    private static final Pattern SENTENCE = Pattern.compile("[^.!?]+[.!?]+\"?");
    private static final Pattern PLAIN = Pattern.compile("[A-Z][A-Za-z ,.!?'\"]+");

    private DemoStories() {}

    /** @param args how many stories */
    public static void main(String[] args) {
        int wanted = Integer.parseInt(args[0]);
        Models.Loaded model = Models.embedded(Backends.cpu(), DType.F32);
        Set<String> seen = new HashSet<>();
        for (int round = 0; seen.size() < wanted; round++) {
            for (int[] ids : sample(model, round)) {
                String story = begin(model.requireTokenizer().decode(ids, true));
                if (seen.size() < wanted && isGood(story) && seen.add(story.substring(0, 60))) {
                    System.out.println("{\"text\": \"" + story.replaceAll("[.!?]+", "!").replace("\"", "\\\"") + "\"}");
                }
            }
        }
    }

    /** {@link #ROWS} stories, written side by side. */
    private static int[][] sample(Models.Loaded model, long seed) {
        CausalLm lm = model.model();
        SamplingOptions options = SamplingOptions.builder().doSample(true).temperature(0.7).topP(0.9).build();
        long[] last = new long[ROWS];
        Arrays.fill(last, model.generation().bosTokenId());
        int[][] written = new int[ROWS][TOKENS];
        KvCache cache = lm.newCache(ROWS, TOKENS);
        for (int t = 0; t < TOKENS; t++) {
            try (Scope _ = Scope.open()) {
                DecoderInput input = DecoderInput.of(Tensor.of(lm.backend(), last, ROWS, 1));
                float[] logits = Recording.off(() -> lm.logits(lm.forward(input, lm.seams().inference(), Optional.of(cache))
                        .text(), lm.seams().inference())).tensor().toFloatArray();
                int v = lm.vocabularySize();
                for (int row = 0; row < ROWS; row++) {
                    float[] own = Arrays.copyOfRange(logits, row * v, (row + 1) * v);
                    written[row][t] = new Sampler(options.processors(1), false, seed, row).next(written[row], t, own, t);
                    last[row] = written[row][t];
                }
            }
        }
        cache.free();
        int end = model.generation().eosTokenIds()[0];
        return Arrays.stream(written).map(ids -> Arrays.copyOf(ids, firstOf(ids, end))).toArray(int[][]::new);
    }

    private static int firstOf(int[] ids, int id) {
        int i = 0;
        while (i < ids.length && ids[i] != id) {
            i++;
        }
        return i;
    }

    /** The first sentences, in one line. */
    private static String begin(String text) {
        Matcher m = SENTENCE.matcher(text.replaceAll("\\s+", " ").strip());
        int end = 0;
        for (int i = 0; i < SENTENCES && m.find(); i++) {
            end = m.end();
        }
        return text.replaceAll("\\s+", " ").strip().substring(0, end);
    }

    /** Long enough, of plain letters, quotation marks in pairs, no sentence twice. */
    private static boolean isGood(String story) {
        long quotes = story.chars().filter(c -> c == '"').count();
        Set<String> sentences = new HashSet<>();
        Matcher m = SENTENCE.matcher(story);
        int n = 0;
        while (m.find()) {
            n++;
            sentences.add(m.group().strip());
        }
        return n >= 4 && story.length() >= 120 && quotes % 2 == 0 && PLAIN.matcher(story).matches() && sentences.size() == n;
    }
}
