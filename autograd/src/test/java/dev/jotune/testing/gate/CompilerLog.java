package dev.jotune.testing.gate;

import java.io.BufferedReader;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * What a JVM's compilers did, from the file that {@code -XX:+LogCompilation} writes: one element a line, the numbers of
 * classes and methods being valid within one task.
 *
 * @param optimised {@code class.method}, compiled by the optimising compiler on its own or as a part of its caller
 * @param givenUp tasks on our code that a compiler gave up for good or handed down, with its reason
 */
record CompilerLog(TreeSet<String> optimised, List<String> givenUp) {
    private static final Pattern ATTRIBUTE = Pattern.compile("(\\w+)='([^']*)'");
    /** Not the compiler's verdict on the code: the method got cold in the queue, or a class appeared meanwhile. */
    private static final Pattern HARMLESS = Pattern.compile("stale task|concurrent class loading|retry without|invalid non-klass dependency");

    static CompilerLog read(Path file) throws IOException {
        CompilerLog log = new CompilerLog(new TreeSet<>(), new ArrayList<>());
        try (BufferedReader reader = Files.newBufferedReader(file, StandardCharsets.ISO_8859_1)) {
            Task task = null;
            for (String line = reader.readLine(); line != null; line = reader.readLine()) {
                if (line.startsWith("<task ")) {
                    task = new Task(line);
                } else if (task != null && !line.startsWith("<task_done")) {
                    task.read(line);
                } else if (task != null) {
                    task.close(line.contains("success='1'"), log);
                    task = null;
                }
            }
        }
        return log;
    }

    private static Map<String, String> attributes(String line) {
        Map<String, String> found = new HashMap<>();
        Matcher matcher = ATTRIBUTE.matcher(line);
        while (matcher.find()) {
            found.put(matcher.group(1), matcher.group(2));
        }
        return found;
    }

    private static final class Task {
        private final String method;
        private final boolean optimising;
        private final Map<String, String> classes = new HashMap<>();
        private final Map<String, Map<String, String>> methods = new HashMap<>();
        private final List<String> parsed = new ArrayList<>();
        private String failure = "";

        Task(String line) {
            Map<String, String> a = attributes(line);
            this.method = a.getOrDefault("method", "");
            // The log omits the level where it is the highest.
            this.optimising = a.getOrDefault("level", "4").equals("4");
        }

        void read(String line) {
            if (line.startsWith("<klass ")) {
                Map<String, String> a = attributes(line);
                classes.put(a.get("id"), a.get("name"));
            } else if (line.startsWith("<method ")) {
                Map<String, String> a = attributes(line);
                methods.put(a.get("id"), a);
            } else if (line.startsWith("<parse ")) {
                parsed.add(attributes(line).get("method"));
            } else if (line.startsWith("<failure ")) {
                failure = attributes(line).getOrDefault("reason", "no reason given");
            }
        }

        void close(boolean success, CompilerLog log) {
            if (!success && method.startsWith("dev.jotune.tensor.cpu") && !HARMLESS.matcher(failure).find()) {
                log.givenUp().add(method + ": " + failure);
            }
            for (String id : success && optimising ? parsed : List.<String>of()) {
                Map<String, String> m = methods.get(id);
                String holder = classes.getOrDefault(m.get("holder"), "");
                log.optimised().add(holder.substring(Math.max(holder.lastIndexOf('.'), holder.lastIndexOf('/')) + 1) + "." + m.get("name"));
            }
        }
    }
}
