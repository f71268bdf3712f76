package dev.jotune.models.tokenizer;

import java.util.List;

/** Normalizers applied one after the other. */
record NormalizerSequence(List<Normalizer> parts) implements Normalizer {

    NormalizerSequence {
        parts = List.copyOf(parts);
    }

    @Override
    public NormalizedText normalize(NormalizedText text) {
        NormalizedText result = text;
        for (Normalizer part : parts) {
            result = part.normalize(result);
        }
        return result;
    }
}
