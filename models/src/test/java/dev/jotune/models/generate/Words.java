package dev.jotune.models.generate;

/** A decoder in which token 3 reads {@code <3>}. */
final class Words implements TextDecoder {

    static String of(int... tokens) {
        StringBuilder text = new StringBuilder();
        for (int token : tokens) {
            text.append('<').append(token).append('>');
        }
        return text.toString();
    }

    @Override
    public String push(int id) {
        return of(id);
    }

    @Override
    public String finish() {
        return "";
    }

    @Override
    public TextDecoder copy() {
        return this;
    }
}
