package dev.jotune.peft.train;

import dev.jotune.models.GenerationDefaults;
import dev.jotune.models.tokenizer.Direction;
import dev.jotune.models.tokenizer.Encoding;
import dev.jotune.models.tokenizer.Tokenizer;
import dev.jotune.models.tokenizer.Truncation;
import dev.jotune.peft.AdapterException;
import dev.jotune.tensor.random.Philox;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Optional;

/**
 * Examples to learn from or to measure with, as token ids.
 *
 * <p>A text becomes what the tokenizer makes of it, special tokens included, and the end-of-text token. Its first
 * token has no label, since nothing precedes it: so perplexities with and without virtual tokens count the same
 * tokens. What is longer than the greatest length loses its end.
 */
public final class Dataset {
    private final List<Example> examples;
    private final int cut;
    /** The order used last, kept because a run asks for its parts one after the other. */
    private volatile Order last = new Order(0, -1, new int[0]);

    private record Order(long seed, long epoch, int[] order) {}

    private Dataset(List<Example> examples, int cut) {
        this.examples = List.copyOf(examples);
        this.cut = cut;
    }

    /**
     * Reads one JSON object a line: {@code {"text": ...}}, learnt from end to end, or
     * {@code {"prompt": ..., "completion": ...}}, where only the completion is learnt. Other fields
     * and empty lines are passed over.
     *
     * @param special which token ends a text
     * @param maxLength tokens of an example at most; 0: no limit
     * @throws AdapterException naming file and line, if the file is missing, malformed or has no example
     */
    public static Dataset readJsonl(Path file, Tokenizer tokenizer, GenerationDefaults special, int maxLength) {
        TextEncoder encoder = new TextEncoder(tokenizer, special, maxLength);
        JsonLines.read(file, line -> {
            if (line.has("text") == (line.has("prompt") || line.has("completion"))) {
                throw line.wrong("needs either \"text\" or \"prompt\" and \"completion\"");
            }
            if (line.has("text")) {
                encoder.add(line.text("text"));
            } else {
                encoder.add(line.text("prompt"), line.text("completion"));
            }
        });
        if (encoder.examples().isEmpty()) {
            throw new AdapterException(file + " holds no example. Give it one JSON object a line: {\"text\": ...} or "
                    + "{\"prompt\": ..., \"completion\": ...}.");
        }
        return new Dataset(encoder.examples(), encoder.cut());
    }

    /**
     * Reads pairs of answers, one JSON object a line: {@code {"prompt": ..., "chosen": ..., "rejected": ...}}.
     *
     * @param maxLength tokens of prompt and answer at most; 0: no limit
     * @throws AdapterException as {@link #readJsonl}
     */
    public static Dataset readPreferences(Path file, Tokenizer tokenizer, GenerationDefaults special, int maxLength) {
        TextEncoder encoder = new TextEncoder(tokenizer, special, 0);
        List<Example> pairs = new ArrayList<>();
        JsonLines.read(file, line -> pairs.add(encoder.labelled(line.text("prompt"), line.text("chosen"))
                .preferredTo(encoder.labelled(line.text("prompt"), line.text("rejected")))));
        if (pairs.isEmpty()) {
            throw new AdapterException(file + " holds no example. Give it one JSON object a line: {\"prompt\": ..., "
                    + "\"chosen\": ..., \"rejected\": ...}.");
        }
        return maxLength == 0 ? of(pairs) : of(pairs).cutTo(maxLength);
    }

    /** Texts that are learnt from end to end. */
    public static Dataset ofTexts(List<String> texts, Tokenizer tokenizer, GenerationDefaults special, int maxLength) {
        TextEncoder encoder = new TextEncoder(tokenizer, special, maxLength);
        texts.forEach(encoder::add);
        return new Dataset(encoder.examples(), encoder.cut());
    }

    /**
     * Texts to learn a language from, each from end to end, put side by side in rows of {@code length} tokens; a text that is longer
     * goes on in the next row.
     *
     * @param length tokens of a row, 2 or more
     */
    public static Dataset ofPacked(List<String> texts, Tokenizer tokenizer, GenerationDefaults special, int length) {
        TextEncoder encoder = new TextEncoder(tokenizer, special, 0);
        encoder.pack(texts, length);
        return of(encoder.examples());
    }

    /**
     * Reads texts: in a file named .txt they are paragraphs, with blank lines between them; in any other {@code {"text": ...}}, one
     * JSON object a line.
     *
     * @throws AdapterException naming file and line, if the file is missing, malformed or has no text
     */
    public static List<String> readTexts(Path file) {
        List<String> texts = new ArrayList<>();
        if (file.toString().endsWith(".txt")) {
            long[] before = {Long.MIN_VALUE};
            JsonLines.eachLine(file, "paragraphs, blank lines between them", (number, line) -> {
                // Blank lines are passed over, but counted.
                texts.add(number == before[0] + 1 ? texts.removeLast() + "\n" + line : line);
                before[0] = number;
            });
        } else {
            JsonLines.read(file, line -> texts.add(line.text("text")));
        }
        texts.removeIf(String::isBlank);
        if (texts.isEmpty()) {
            throw new AdapterException(file + " holds no text. Give it paragraphs with blank lines between them if it is named .txt, else "
                    + "one JSON object a line: {\"text\": ...}.");
        }
        return texts;
    }

    /**
     * Texts with their classes, as the tokenizer frames them; what is too long loses the end of its text, not the frame.
     *
     * @param labels the classes by number; a text's own label is one of these names or such a number
     * @param maxLength tokens of an example at most; 0: no limit
     * @throws AdapterException naming file and line of a label that is not a class
     */
    public static Dataset ofLabelled(LabelledTexts texts, Tokenizer tokenizer, List<String> labels, int maxLength) {
        Tokenizer whole = tokenizer.withTruncation(Optional.empty()).withPadding(Optional.empty());
        Tokenizer shorter = maxLength == 0 ? whole : whole.withTruncation(Optional.of(new Truncation(maxLength, 0,
                Truncation.Strategy.LONGEST_FIRST, Direction.RIGHT)));
        List<Example> examples = new ArrayList<>();
        int cut = 0;
        for (LabelledTexts.Row row : texts.rows()) {
            Encoding e = row.encoded(whole);
            if (maxLength > 0 && e.length() > maxLength) {
                cut++;
                e = row.encoded(shorter);
            }
            examples.add(Example.ofCategory(e.ids(), e.typeIds(), row.category(labels)));
        }
        return new Dataset(examples, cut);
    }

    /** Examples as they are. */
    public static Dataset of(List<Example> examples) {
        return new Dataset(examples, 0);
    }

    public int size() {
        return examples.size();
    }

    public Example get(int i) {
        return examples.get(i);
    }

    /** How many examples lost their end to the greatest length. */
    public int cut() {
        return cut;
    }

    /** The same examples of at most {@code maxLength} tokens. */
    public Dataset cutTo(int maxLength) {
        List<Example> shorter = new ArrayList<>();
        int lost = 0;
        for (Example e : examples) {
            lost += e.cutTo(maxLength) != e ? 1 : 0;
            shorter.add(e.cutTo(maxLength));
        }
        return lost == 0 ? this : new Dataset(shorter, cut + lost);
    }

    /** How many labels count, see {@link Example#labelCount}. */
    public long labelCount(boolean firstCounts) {
        return examples.stream().mapToLong(e -> e.labelCount(firstCounts)).sum();
    }

    /**
     * Examples {@code position} and on of the endless stream that goes through the data again and again, each time in
     * another order: that of epoch e is {@code Philox.permutation(seed, e, size)}.
     */
    public List<Example> stream(long seed, long position, int count) {
        List<Example> out = new ArrayList<>(count);
        for (long p = position; p < position + count; p++) {
            out.add(examples.get(order(seed, p / size())[(int) (p % size())]));
        }
        return out;
    }

    private int[] order(long seed, long epoch) {
        Order o = last;
        if (o.seed != seed || o.epoch != epoch) {
            o = new Order(seed, epoch, Philox.permutation(seed, epoch, size()));
            last = o;
        }
        return o.order;
    }

    /** A text that differs for data that differ: the size and a digest of all ids and labels. */
    String fingerprint() {
        var digest = Fingerprints.sha256();
        examples.forEach(e -> add(e, digest));
        return size() + " examples " + HexFormat.of().formatHex(digest.digest());
    }

    private static void add(Example e, MessageDigest digest) {
        ByteBuffer bytes = ByteBuffer.allocate(Integer.BYTES * (2 * e.length() + 1));
        bytes.putInt(e.length());
        bytes.asIntBuffer().put(e.ids()).put(e.labels());
        digest.update(bytes.array());
        if (e.isClassified()) {
            ByteBuffer more = ByteBuffer.allocate(Integer.BYTES * (e.tokenTypes().length + 1));
            more.asIntBuffer().put(e.category()).put(e.tokenTypes());
            digest.update(more.array());
        }
        e.rejected().ifPresent(r -> add(r, digest));
    }
}
