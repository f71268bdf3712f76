package dev.jotune.jmh.cpu;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.jotune.tensor.Backends;
import java.math.BigDecimal;
import java.math.MathContext;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * One JSON object a line on standard output. Fields that every line of {@code bench/cpu} has: {@code bench} (gemm,
 * attention, rows, machine), {@code case}, {@code engine} (who ran it, with version), {@code candidate}, {@code threads};
 * then {@code rates} (one for each round, higher is better, {@code unit} says what) or {@code seconds}, and {@code burst},
 * the multiply-add burst taken before each round. {@code run.sh} adds {@code launch}.
 */
public final class Log {
    private static final ObjectMapper JSON = new ObjectMapper();

    private Log() {}

    /** A line that starts with what every line says. */
    public static Map<String, Object> line(String bench, String name, String engine, String candidate) {
        Map<String, Object> line = new LinkedHashMap<>();
        line.put("bench", bench);
        line.put("case", name);
        line.put("engine", engine);
        line.put("candidate", candidate);
        return line;
    }

    /** How our backend names itself. */
    public static String jotune() {
        return "jotune (" + Backends.cpu().description() + ")";
    }

    /** Prints it; numbers to four significant digits. */
    public static void print(Map<String, Object> line) {
        try {
            System.out.println(JSON.writeValueAsString(line));
        } catch (JsonProcessingException e) {
            throw new IllegalStateException("a line of results cannot be written: " + line + ". Its values must be numbers, texts or lists.", e);
        }
    }

    /** Four significant digits. */
    public static double rounded(double x) {
        return Double.isFinite(x) && x != 0 ? new BigDecimal(x).round(new MathContext(4)).doubleValue() : x;
    }
}
