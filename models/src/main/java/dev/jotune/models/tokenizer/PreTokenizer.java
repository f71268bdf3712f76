package dev.jotune.models.tokenizer;

import java.util.List;

/** Second stage: cuts a normalised text into the words that the model sees one at a time. */
sealed interface PreTokenizer permits PreTokenizerSequence, Metaspace, Whitespace, ByteLevel, Split,
        CharacterSplit, FixedLength {

    /** The pieces of {@code text} in order; empty ones may be among them and are dropped by the caller. */
    List<NormalizedText> split(NormalizedText text);

    /** Reads the field {@code pre_tokenizer} of a tokenizer file. */
    static PreTokenizer read(JsonView view) {
        String type = view.field("type").text();
        return switch (type) {
            case "Sequence" -> new PreTokenizerSequence(
                    view.field("pretokenizers").elements().stream().map(PreTokenizer::read).toList());
            case "Metaspace" -> Metaspace.read(view);
            case "Whitespace" -> new Whitespace();
            case "ByteLevel" -> ByteLevel.read(view);
            case "Split" -> Split.read(view);
            case "WhitespaceSplit" -> CharacterSplit.whitespace();
            case "BertPreTokenizer" -> CharacterSplit.bert();
            case "Punctuation" -> CharacterSplit.punctuation(view);
            case "Digits" -> CharacterSplit.digits(view);
            case "CharDelimiterSplit" -> CharacterSplit.delimiter(view);
            case "FixedLength" -> FixedLength.read(view);
            default -> throw view.unsupported(type, "Sequence, Metaspace, Whitespace, ByteLevel, Split, "
                    + "WhitespaceSplit, BertPreTokenizer, Punctuation, Digits, CharDelimiterSplit and FixedLength");
        };
    }
}
