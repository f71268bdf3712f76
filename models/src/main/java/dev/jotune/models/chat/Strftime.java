package dev.jotune.models.chat;

import java.time.LocalDateTime;
import java.time.format.DateTimeFormatter;
import java.util.Locale;

/** Writes a time as Python's {@code strftime} does, in English. */
final class Strftime {

    private Strftime() {}

    static String format(String format, LocalDateTime time) {
        StringBuilder result = new StringBuilder();
        for (int i = 0; i < format.length(); i++) {
            if (format.charAt(i) != '%' || i + 1 == format.length()) {
                result.append(format.charAt(i));
                continue;
            }
            char code = format.charAt(++i);
            boolean unpadded = code == '-' && i + 1 < format.length();
            String written = code(unpadded ? format.charAt(++i) : code, time);
            result.append(unpadded && written.startsWith("0") ? written.substring(1) : written);
        }
        return result.toString();
    }

    private static String code(char code, LocalDateTime time) {
        String pattern = switch (code) {
            case 'a' -> "EEE";
            case 'A' -> "EEEE";
            case 'b', 'h' -> "MMM";
            case 'B' -> "MMMM";
            case 'd' -> "dd";
            case 'm' -> "MM";
            case 'y' -> "yy";
            case 'Y' -> "yyyy";
            case 'H' -> "HH";
            case 'I' -> "hh";
            case 'M' -> "mm";
            case 'S' -> "ss";
            case 'p' -> "a";
            case 'j' -> "DDD";
            case 'F' -> "yyyy-MM-dd";
            case 'T', 'X' -> "HH:mm:ss";
            case 'D', 'x' -> "MM/dd/yy";
            case 'f' -> "SSSSSS";
            default -> "";
        };
        if (code == '%') {
            return "%";
        }
        if (pattern.isEmpty()) {
            throw new ChatTemplateException("The chat template formats the time with '%" + code
                    + "', which is not supported. Use %d, %b, %Y and their like.");
        }
        return time.format(DateTimeFormatter.ofPattern(pattern, Locale.US));
    }
}
