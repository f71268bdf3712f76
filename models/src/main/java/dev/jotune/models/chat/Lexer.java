package dev.jotune.models.chat;

import java.util.ArrayList;
import java.util.List;

/**
 * Cuts a template into tokens, with the white space rules that chat templates are written for: a line's indentation
 * before a tag and the line end after it are dropped ({@code lstrip_blocks} and {@code trim_blocks}), and a minus sign
 * drops all white space on its side.
 */
final class Lexer {

    private static final String[] OPERATORS = {"//", "**", "==", "!=", ">=", "<=", "+", "-", "*", "/", "%", "~", "|", "(",
        ")", "[", "]", "{", "}", ",", ":", ".", "=", "<", ">"};

    private final String source;
    private final List<Token> tokens = new ArrayList<>();
    private int at;
    private int line = 1;
    /** Whether white space up to the next line break is a line's indentation. */
    private boolean lineStarting = true;

    private Lexer(String source) {
        this.source = source;
    }

    static List<Token> tokens(String template) {
        String source = template.replace("\r\n", "\n").replace('\r', '\n');
        Lexer lexer = new Lexer(source.endsWith("\n") ? source.substring(0, source.length() - 1) : source);
        lexer.run();
        return lexer.tokens;
    }

    private void run() {
        while (at < source.length()) {
            int open = nextTag();
            boolean value = open < source.length() && source.charAt(open + 1) == '{';
            data(open, value);
            if (at >= source.length()) {
                break;
            }
            char kind = source.charAt(at + 1);
            move(at + 2);
            if (at < source.length() && (source.charAt(at) == '-' || source.charAt(at) == '+')) {
                move(at + 1);
            }
            switch (kind) {
                case '#' -> comment();
                case '{' -> expression(Token.Kind.VALUE_BEGIN, Token.Kind.VALUE_END, "}}");
                default -> {
                    if (!raw()) {
                        expression(Token.Kind.BLOCK_BEGIN, Token.Kind.BLOCK_END, "%}");
                    }
                }
            }
        }
        add(Token.Kind.END, "");
    }

    private int nextTag() {
        for (int i = at; i + 1 < source.length(); i++) {
            char next = source.charAt(i + 1);
            if (source.charAt(i) == '{' && (next == '{' || next == '%' || next == '#')) {
                return i;
            }
        }
        return source.length();
    }

    /** Adds the text up to the tag at {@code open}, without what the tag drops of it. */
    private void data(int open, boolean value) {
        add(Token.Kind.DATA, kept(source.substring(at, open), open, value));
        move(open);
    }

    private String kept(String text, int open, boolean value) {
        char sign = open + 2 < source.length() ? source.charAt(open + 2) : ' ';
        if (sign == '-') {
            return Text.strip(text, null, false, true);
        }
        if (open < source.length() && !value && sign != '+') {
            int lineStart = text.lastIndexOf('\n') + 1;
            if ((lineStart > 0 || lineStarting)
                    && text.substring(lineStart).chars().allMatch(c -> c == ' ' || c == '\t')) {
                return text.substring(0, lineStart);
            }
        }
        return text;
    }

    private void comment() {
        int close = source.indexOf("#}", at);
        if (close < 0) {
            throw error("A comment has no end. Close it with #}.");
        }
        boolean strip = close > at && source.charAt(close - 1) == '-';
        boolean keep = close > at && source.charAt(close - 1) == '+';
        move(close + 2);
        after(strip, !keep);
    }

    /** Skips what a closed tag drops after it. */
    private void after(boolean strip, boolean trim) {
        int start = at;
        if (strip) {
            int end = at;
            while (end < source.length() && Text.isSpace(source.charAt(end))) {
                end++;
            }
            move(end);
        } else if (trim && at < source.length() && source.charAt(at) == '\n') {
            move(at + 1);
        }
        lineStarting = at > start && source.charAt(at - 1) == '\n';
    }

    /** Takes {@code raw ... endraw} as text, if that is what begins here. */
    private boolean raw() {
        java.util.regex.Matcher begin = java.util.regex.Pattern.compile("\\s*raw\\s*([-+]?)%\\}").matcher(source)
                .region(at, source.length());
        if (!begin.lookingAt()) {
            return false;
        }
        java.util.regex.Matcher end = java.util.regex.Pattern.compile("\\{%([-+]?)\\s*endraw\\s*([-+]?)%\\}")
                .matcher(source);
        if (!end.find(begin.end())) {
            throw error("A raw block has no end. Close it with {% endraw %}.");
        }
        move(begin.end());
        after(begin.group(1).equals("-"), !begin.group(1).equals("+"));
        int from = Math.min(at, end.start());
        add(Token.Kind.DATA, kept(source.substring(from, end.start()), end.start(), false));
        move(end.end());
        after(end.group(2).equals("-"), !end.group(2).equals("+"));
        return true;
    }

    private void expression(Token.Kind begin, Token.Kind end, String close) {
        add(begin, close.equals("}}") ? "{{" : "{%");
        int braces = 0;
        while (true) {
            while (at < source.length() && Text.isSpace(source.charAt(at))) {
                move(at + 1);
            }
            if (at >= source.length()) {
                throw error("A tag has no end. Close it with " + close + ".");
            }
            boolean minus = source.startsWith("-" + close, at);
            boolean plus = source.startsWith("+" + close, at) && close.equals("%}");
            if (braces == 0 && (minus || plus || source.startsWith(close, at))) {
                move(at + (minus || plus ? 3 : 2));
                add(end, close);
                after(minus, close.equals("%}") && !plus);
                return;
            }
            Token token = token();
            tokens.add(token);
            if (token.kind() == Token.Kind.OPERATOR) {
                braces += "([{".contains(token.text()) ? 1 : ")]}".contains(token.text()) ? -1 : 0;
            }
        }
    }

    private Token token() {
        char c = source.charAt(at);
        int start = at;
        if (c == '"' || c == '\'') {
            return string(c);
        }
        if (Character.isLetter(c) || c == '_') {
            while (at < source.length() && (Character.isLetterOrDigit(source.charAt(at)) || source.charAt(at) == '_')) {
                at++;
            }
            return new Token(Token.Kind.NAME, source.substring(start, at), line);
        }
        if (c >= '0' && c <= '9') {
            java.util.regex.Matcher number = java.util.regex.Pattern
                    .compile("[0-9][0-9_]*(\\.[0-9][0-9_]*)?([eE][+-]?[0-9]+)?").matcher(source).region(at, source.length());
            number.lookingAt();
            at = number.end();
            boolean whole = number.group(1) == null && number.group(2) == null;
            return new Token(whole ? Token.Kind.INTEGER : Token.Kind.FLOAT, number.group().replace("_", ""), line);
        }
        for (String operator : OPERATORS) {
            if (source.startsWith(operator, at)) {
                at += operator.length();
                return new Token(Token.Kind.OPERATOR, operator, line);
            }
        }
        throw error("The character '" + c + "' does not belong in an expression. Remove it.");
    }

    private Token string(char quote) {
        int begun = line;
        StringBuilder value = new StringBuilder();
        move(at + 1);
        while (at < source.length() && source.charAt(at) != quote) {
            if (source.charAt(at) == '\\' && at + 1 < source.length()) {
                escape(value);
            } else {
                value.append(source.charAt(at));
                move(at + 1);
            }
        }
        if (at >= source.length()) {
            throw error("A string that begins on line " + begun + " has no end. Close it with " + quote + ".");
        }
        move(at + 1);
        return new Token(Token.Kind.STRING, value.toString(), begun);
    }

    private void escape(StringBuilder value) {
        char c = source.charAt(at + 1);
        int digits = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
        move(at + 2);
        if (digits > 0) {
            try {
                value.appendCodePoint(Integer.parseInt(source.substring(at, at + digits), 16));
            } catch (IllegalArgumentException | IndexOutOfBoundsException e) {
                throw error("An escape \\" + c + " is not followed by " + digits + " hexadecimal digits. Complete it.");
            }
            move(at + digits);
            return;
        }
        int simple = "ntrabfv0'\"\\\n".indexOf(c);
        switch (simple) {
            case -1 -> value.append('\\').append(c);
            case 11 -> { }
            default -> value.append("\n\t\r\u0007\b\f\u000B\u0000'\"\\".charAt(simple));
        }
    }

    private void move(int to) {
        for (int i = at; i < to; i++) {
            if (source.charAt(i) == '\n') {
                line++;
            }
        }
        at = to;
    }

    private void add(Token.Kind kind, String text) {
        if (kind != Token.Kind.DATA || !text.isEmpty()) {
            tokens.add(new Token(kind, text, line));
        }
    }

    private ChatTemplateException error(String message) {
        return new ChatTemplateException("Chat template, line " + line + ": " + message);
    }
}
