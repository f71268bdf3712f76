package dev.jotune.models.tokenizer;

import java.util.List;

/** Last stage: rewrites the tokens of some ids so that, put together, they are text again. */
sealed interface Decoder
        permits DecoderSequence, Replace, Metaspace, ByteFallback, Fuse, StripDecoder, ByteLevel, SuffixDecoder,
                WordPieceDecoder {

    /** The rewritten tokens. */
    List<String> decode(List<String> tokens);

    /** Reads the field {@code decoder} of a tokenizer file. */
    static Decoder read(JsonView view) {
        String type = view.field("type").text();
        return switch (type) {
            case "Sequence" -> new DecoderSequence(
                    view.field("decoders").elements().stream().map(Decoder::read).toList());
            case "Replace" -> Replace.read(view);
            case "Metaspace" -> Metaspace.read(view);
            case "ByteFallback" -> new ByteFallback();
            case "Fuse" -> new Fuse();
            case "Strip" -> StripDecoder.read(view);
            case "ByteLevel" -> ByteLevel.read(view);
            case "BPEDecoder" -> new SuffixDecoder(view.text("suffix", "</w>"));
            case "WordPiece" -> WordPieceDecoder.read(view);
            default -> throw view.unsupported(type,
                    "Sequence, Replace, Metaspace, ByteFallback, Fuse, Strip, ByteLevel, BPEDecoder and "
                            + "WordPiece");
        };
    }
}
