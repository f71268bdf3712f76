package dev.jotune.models.tokenizer;

/** First stage: rewrites a text while remembering which original characters each new one stands for. */
sealed interface Normalizer
        permits NormalizerSequence, Prepend, Replace, Lowercase, UnicodeForm, StripAccents, StripNormalizer, Nmt,
                BertNormalizer, Precompiled, VisibleBytes {

    /** The rewritten text. */
    NormalizedText normalize(NormalizedText text);

    /** The normalised form of a text whose origin does not matter. */
    default String normalize(String text) {
        return normalize(NormalizedText.of(text)).toString();
    }

    /** Reads the field {@code normalizer} of a tokenizer file. */
    static Normalizer read(JsonView view) {
        String type = view.field("type").text();
        return switch (type) {
            case "Sequence" -> new NormalizerSequence(
                    view.field("normalizers").elements().stream().map(Normalizer::read).toList());
            case "Prepend" -> new Prepend(view.field("prepend").text());
            case "Replace" -> Replace.read(view);
            case "Lowercase" -> new Lowercase();
            case "NFC", "NFD", "NFKC", "NFKD" -> new UnicodeForm(java.text.Normalizer.Form.valueOf(type));
            case "StripAccents" -> new StripAccents();
            case "Strip" -> new StripNormalizer(view.bool("strip_left", true), view.bool("strip_right", true));
            case "Nmt" -> new Nmt();
            case "BertNormalizer" -> BertNormalizer.read(view);
            case "Precompiled" -> Precompiled.read(view);
            case "ByteLevel" -> new VisibleBytes();
            default -> throw view.unsupported(type, "Sequence, Prepend, Replace, Lowercase, NFC, NFD, NFKC, NFKD, "
                    + "StripAccents, Strip, Nmt, BertNormalizer, Precompiled and ByteLevel");
        };
    }
}
