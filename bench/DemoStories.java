import dev.jotune.models.Models;
import dev.jotune.models.generate.CausalLanguageModel;
import dev.jotune.models.generate.Generation;
import dev.jotune.models.generate.Generator;
import dev.jotune.models.generate.SamplingOptions;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import java.util.HashSet;
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
    private static final Pattern SENTENCE = Pattern.compile("[^.!?]+[.!?]+\"?");
    private static final Pattern PLAIN = Pattern.compile("[A-Z][A-Za-z ,.!?'\"]+");

    private DemoStories() {}

    /** @param args how many stories */
    public static void main(String[] args) {
        int wanted = Integer.parseInt(args[0]);
        Models.Loaded model = Models.embedded(Backends.cpu(), DType.F32);
        CausalLanguageModel language = new CausalLanguageModel(model.model(), model.model().seams().inference());
        int[] start = model.requireTokenizer().encode("", true).ids();
        Set<String> seen = new HashSet<>();
        for (int seed = 0; seen.size() < wanted; seed++) {
            SamplingOptions options = SamplingOptions.builder().doSample(true).temperature(0.7).topP(0.9).maxNewTokens(140)
                    .seed(seed).eosTokenIds(model.generation().eosTokenIds()).build();
            Generation g = new Generator(language, options).generate(start);
            String story = begin(model.requireTokenizer().decode(g.tokens(), true));
            if (isGood(story) && seen.add(story.substring(0, 40))) {
                System.out.println("{\"text\": \"" + story.replaceAll("[.!?]+", "!").replace("\"", "\\\"") + "\"}");
            }
        }
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
