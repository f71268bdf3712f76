package dev.jotune.models.tokenizer;

/** The cleaning of machine translation data: drops control characters and writes odd white space as a space. */
record Nmt() implements Normalizer {

    @Override
    public NormalizedText normalize(NormalizedText text) {
        NormalizedText.Builder builder = text.builder(text.length());
        for (int i = 0; i < text.length(); i++) {
            int c = text.codePoint(i);
            if (!isDropped(c)) {
                builder.addAs(isSpace(c) ? ' ' : c, i);
            }
        }
        return builder.build();
    }

    private static boolean isDropped(int c) {
        return c >= 0x01 && c <= 0x08 || c == 0x0B || c >= 0x0E && c <= 0x1F || c == 0x7F || c == 0x8F || c == 0x9F;
    }

    private static boolean isSpace(int c) {
        return switch (c) {
            case 0x09, 0x0A, 0x0C, 0x0D, 0x1680, 0x200B, 0x200C, 0x200D, 0x200E, 0x200F, 0x2028, 0x2029, 0x2581,
                    0xFEFF, 0xFFFD -> true;
            default -> false;
        };
    }
}
