package dev.jotune.models.tokenizer;

import java.nio.charset.StandardCharsets;
import java.util.List;

/** What one token adds to the UTF-8 bytes of a text that has begun, for decoders of which that can be said. */
final class TokenBytes {

    private TokenBytes() {
    }

    /**
     * @throws TokenizerException if the decoder rewrites a token by those after it
     */
    static byte[] of(Decoder decoder, String token) {
        List<Decoder> parts = decoder instanceof DecoderSequence sequence ? sequence.parts() : List.of(decoder);
        String text = token;
        boolean fused = false;
        for (Decoder part : parts) {
            switch (part) {
                case ByteLevel _ -> {
                    return ByteLevel.bytes(text);
                }
                case ByteFallback _ -> {
                    int value = ByteFallback.byteOf(text);
                    if (value >= 0) {
                        return new byte[] {(byte) value};
                    }
                }
                case Fuse _ -> fused = true;
                // Of the whole text, only its ends are stripped.
                case StripDecoder strip -> text = fused ? text : strip.decode(List.of(text)).getFirst();
                case Replace replace -> text = replace.decode(List.of(text)).getFirst();
                // As a token that is not the first.
                case Metaspace space -> text = space.decode(List.of("", text)).getLast();
                case WordPieceDecoder pieces -> text = pieces.decode(List.of("", text)).getLast();
                case SuffixDecoder _, DecoderSequence _ -> throw new TokenizerException("the decoder " + part
                        + " writes a token by what comes after it, so constrained decoding cannot say what a token adds. "
                        + "Use a tokenizer with another decoder.");
            }
        }
        return text.getBytes(StandardCharsets.UTF_8);
    }
}
