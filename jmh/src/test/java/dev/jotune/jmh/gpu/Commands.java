package dev.jotune.jmh.gpu;

import dev.jotune.cli.Main;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * What a machine with a driver and no compiler must be able to do, done on {@code cuda:0}: {@code Commands FOLDER}. Devices that compute
 * nothing will do, since only that nothing is missing is shown. Ends with code 1 and the error if something is.
 */
final class Commands {
    private static final String STORIES = "stories260k";
    private static final String DEVICE = "cuda:0";
    private static final List<String> METHODS = List.of("lora", "prefix", "prompt", "p-tuning", "dora", "ia3", "vera", "oft", "adapter", "full");

    private final Path folder;
    private final List<List<String>> all = new ArrayList<>();

    private Commands(Path folder) throws IOException {
        this.folder = folder;
        Path data = Files.writeString(Files.createDirectories(folder).resolve("train.jsonl"), """
                {"text": "Once upon a time, there was a dog! He was so happy!"}
                {"prompt": "Lily had a", "completion": " big ball! She loved it!"}
                """);
        for (String method : METHODS) {
            write(STORIES, "--adapter", tune(STORIES, method, data));
        }
        all.add(List.of("eval", "--task", "perplexity", "--model", STORIES, "--adapter", tune(STORIES, "lora", data, "--precision", "bf16"), "--data",
                data.toString(), "--device", DEVICE));
        tune(STORIES, "lora", data, "--quantize", "nf4");
        write(STORIES);
        write(STORIES, "--temperature", "0.8", "--top-p", "0.9", "--seed", "1");
        write(STORIES, "--quantize", "nf4");
        // Heads of 64 and of 128 features.
        for (String hidden : List.of("128", "256")) {
            String model = folder.resolve("llama-" + hidden).toString();
            all.add(List.of("pretrain", "--out", model, "--hidden-size", hidden, "--num-attention-heads", "2", "--num-key-value-heads", "1",
                    "--max-steps", "1", "--device", "cpu"));
            for (String method : List.of("lora", "prefix")) {
                tune(model, method, data, "--precision", "bf16");
                write(model, "--adapter", tune(model, method, data));
            }
        }
    }

    /** Returns the folder of the adapter. */
    private String tune(String model, String method, Path data, String... more) {
        String out = folder.resolve("adapter-" + all.size()).toString();
        add(List.of("tune", "--model", model, "--method", method, "--data", data.toString(), "--out", out, "--max-steps", "3", "--device", DEVICE),
                more);
        return out;
    }

    private void write(String model, String... more) {
        add(List.of("generate", "--model", model, "--prompt", "Once upon a time", "--max-new-tokens", "5", "--device", DEVICE), more);
    }

    private void add(List<String> words, String... more) {
        List<String> command = new ArrayList<>(words);
        command.addAll(Arrays.asList(more));
        all.add(command);
    }

    public static void main(String[] args) throws IOException {
        for (List<String> command : new Commands(Path.of(args[0])).all) {
            StringWriter said = new StringWriter();
            PrintWriter out = new PrintWriter(said);
            if (Main.run(command.toArray(String[]::new), out, out) != 0) {
                System.out.println(String.join(" ", command) + "\n" + said);
                System.exit(1);
            }
        }
    }
}
