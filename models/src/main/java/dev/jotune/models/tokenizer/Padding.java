package dev.jotune.models.tokenizer;

import java.util.ArrayList;
import java.util.List;
import java.util.OptionalInt;

/**
 * How encodings are filled up to a common length.
 *
 * @param length the wanted length; without it the longest encoding of the batch decides
 * @param multipleOf the length is rounded up to a multiple of this; 0 or 1 for none
 * @param direction where padding is put
 * @param id the id of the padding token
 * @param typeId its segment
 * @param token its text
 */
public record Padding(OptionalInt length, int multipleOf, Direction direction, int id, int typeId, String token) {

    private static final int LONGEST = 1 << 26;

    public Padding {
        if (length.orElse(0) < 0 || length.orElse(0) > LONGEST || multipleOf < 0 || multipleOf > LONGEST || id < 0
                || typeId < 0) {
            throw new TokenizerException("Padding has length " + length + ", multiple " + multipleOf + ", id " + id
                    + " and type " + typeId + ". Lengths go from 0 to " + LONGEST + ", ids from 0.");
        }
    }

    /** Reads the setting of a tokenizer file. */
    static Padding read(JsonView view) {
        JsonView strategy = view.field("strategy");
        OptionalInt length = OptionalInt.empty();
        if (strategy.node().isObject()) {
            length = OptionalInt.of(strategy.field("Fixed").natural());
        } else if (!strategy.text().equals("BatchLongest")) {
            throw strategy.error("is '" + strategy.text() + "'. Write \"BatchLongest\" or {\"Fixed\": length}.");
        }
        int multipleOf = view.natural("pad_to_multiple_of", 0);
        if (length.orElse(0) > LONGEST || multipleOf > LONGEST) {
            throw view.error("asks for more than " + LONGEST + " tokens. Use a smaller length.");
        }
        return new Padding(length, multipleOf, Direction.read(view), view.natural("pad_id", 0),
                view.natural("pad_type_id", 0), view.text("pad_token", "[PAD]"));
    }

    /** Fills up every encoding of a batch and its overflowing windows. */
    List<Encoding> pad(List<Encoding> batch) {
        int target = length.orElseGet(() -> batch.stream().mapToInt(Encoding::length).max().orElse(0));
        if (multipleOf > 1 && target % multipleOf != 0) {
            target = Math.addExact(target, multipleOf - target % multipleOf);
        }
        List<Encoding> padded = new ArrayList<>(batch.size());
        for (Encoding encoding : batch) {
            padded.add(pad(encoding, target));
        }
        return padded;
    }

    private Encoding pad(Encoding encoding, int target) {
        List<Encoding> overflowing = new ArrayList<>(encoding.overflowing().size());
        for (Encoding window : encoding.overflowing()) {
            overflowing.add(pad(window, target));
        }
        EncodingBuilder builder = new EncodingBuilder();
        int missing = target - encoding.length();
        for (int i = 0; direction == Direction.LEFT && i < missing; i++) {
            builder.addPadding(this);
        }
        builder.addAll(encoding, 0, encoding.length());
        for (int i = 0; direction == Direction.RIGHT && i < missing; i++) {
            builder.addPadding(this);
        }
        return builder.build(overflowing);
    }
}
