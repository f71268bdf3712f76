package dev.jotune.models.tokenizer;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** Collects the tokens of an {@link Encoding}. */
final class EncodingBuilder {

    private final List<String> tokens = new ArrayList<>();
    /** Columns: id, start, end, type, special, attention, word, sequence. */
    private int[][] columns = new int[8][16];
    private int size;

    int size() {
        return size;
    }

    void add(int id, String token, int start, int end, int type, int special, int attention, int word, int sequence) {
        if (size == columns[0].length) {
            for (int i = 0; i < columns.length; i++) {
                columns[i] = Arrays.copyOf(columns[i], size * 2);
            }
        }
        tokens.add(token);
        columns[0][size] = id;
        columns[1][size] = start;
        columns[2][size] = end;
        columns[3][size] = type;
        columns[4][size] = special;
        columns[5][size] = attention;
        columns[6][size] = word;
        columns[7][size++] = sequence;
    }

    /** Adds a token that post-processing puts in. */
    void addSpecial(int id, String token, int type) {
        add(id, token, 0, 0, type, 1, 1, Encoding.NONE, Encoding.NONE);
    }

    /** Adds a token that fills an encoding up. */
    void addPadding(Padding padding) {
        add(padding.id(), padding.token(), 0, 0, padding.typeId(), 1, 0, Encoding.NONE, Encoding.NONE);
    }

    /** Adds tokens {@code from} to {@code to} (exclusive) of another encoding. */
    void addAll(Encoding other, int from, int to) {
        for (int i = from; i < to; i++) {
            add(other.ids()[i], other.tokens().get(i), other.offsets()[2 * i], other.offsets()[2 * i + 1],
                    other.typeIds()[i], other.specialTokensMask()[i], other.attentionMask()[i], other.wordIds()[i],
                    other.sequenceIds()[i]);
        }
    }

    /** Adds all tokens of another encoding under another segment. */
    void addAll(Encoding other, int type) {
        int from = size;
        addAll(other, 0, other.length());
        Arrays.fill(columns[3], from, size, type);
    }

    Encoding build() {
        return build(List.of());
    }

    Encoding build(List<Encoding> overflowing) {
        int[] offsets = new int[2 * size];
        for (int i = 0; i < size; i++) {
            offsets[2 * i] = columns[1][i];
            offsets[2 * i + 1] = columns[2][i];
        }
        return new Encoding(column(0), tokens, offsets, column(3), column(4), column(5), column(6), column(7),
                overflowing);
    }

    private int[] column(int index) {
        return Arrays.copyOf(columns[index], size);
    }
}
