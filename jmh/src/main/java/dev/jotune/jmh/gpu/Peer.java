package dev.jotune.jmh.gpu;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.BufferedReader;
import java.io.BufferedWriter;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.OutputStreamWriter;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.TimeUnit;

/**
 * PyTorch in a process of its own, asked for one row at a time while nothing else runs, so that a row and its yardstick are measured
 * within seconds of each other. It answers one JSON object a line.
 */
final class Peer implements AutoCloseable {
    private static final ObjectMapper JSON = new ObjectMapper();

    private final List<String> command;
    private Process process;
    private BufferedWriter in;
    private BlockingQueue<String> answers;

    /** @param command starts it; empty: there is none */
    Peer(List<String> command) {
        this.command = command;
    }

    /** What it measured for a row; an object with {@code error} if it could not. */
    JsonNode ask(String row, double seconds) {
        if (command.isEmpty()) {
            return error("no Python was named");
        }
        try {
            if (process == null || !process.isAlive()) {
                start();
            }
            in.write(row);
            in.newLine();
            in.flush();
            String answer = answers.poll((long) (seconds * 1000), TimeUnit.MILLISECONDS);
            if (answer == null) {
                close();
                return error("no answer in " + Math.round(seconds) + " s");
            }
            return answer.isEmpty() ? error("it ended; its last words are in the log") : JSON.readTree(answer);
        } catch (IOException e) {
            close();
            return error(String.valueOf(e.getMessage()));
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return error("interrupted");
        }
    }

    private static JsonNode error(String why) {
        return JSON.createObjectNode().put("error", why);
    }

    private void start() throws IOException {
        process = new ProcessBuilder(new ArrayList<>(command)).redirectError(ProcessBuilder.Redirect.INHERIT).start();
        in = new BufferedWriter(new OutputStreamWriter(process.getOutputStream(), StandardCharsets.UTF_8));
        BlockingQueue<String> queue = new ArrayBlockingQueue<>(64);
        answers = queue;
        Process started = process;
        Thread.ofVirtual().start(() -> read(started, queue));
    }

    /** Lines that are no JSON are what libraries print; the end is an empty line. */
    private static void read(Process process, BlockingQueue<String> queue) {
        try (BufferedReader out = new BufferedReader(new InputStreamReader(process.getInputStream(), StandardCharsets.UTF_8))) {
            for (String line = out.readLine(); line != null; line = out.readLine()) {
                if (line.startsWith("{")) {
                    queue.add(line);
                }
            }
        } catch (IOException e) {
            // The process ended; the empty line below says so.
        }
        queue.offer("");
    }

    @Override
    public void close() {
        if (process != null) {
            process.destroyForcibly();
            process = null;
        }
    }
}
