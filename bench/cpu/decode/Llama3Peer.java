package com.llama4j;

import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Locale;
import java.util.Map;

/**
 * Greedy decoding by llama3.java: its forward pass and its sampler, on ids; compiled beside its one source file, whose
 * package this shares. {@code Llama3Peer FILE THREADS NEW RUNS}
 */
public final class Llama3Peer {
    public static void main(String[] args) throws Exception {
        int count = Integer.parseInt(args[2]);
        try (FileChannel file = FileChannel.open(Path.of(args[0]))) {
            GGUF gguf = GGUF.loadModel(file, args[0]);
            Map<String, Object> meta = gguf.getMetadata();
            int vocabulary = ((String[]) meta.get("tokenizer.ggml.tokens")).length;
            Llama.Configuration config = new Llama.Configuration((int) meta.get("llama.embedding_length"),
                    (int) meta.get("llama.feed_forward_length"), (int) meta.get("llama.block_count"), (int) meta.get("llama.attention.head_count"),
                    (int) meta.get("llama.attention.head_count_kv"), vocabulary, (int) meta.get("llama.context_length"),
                    (float) meta.get("llama.attention.layer_norm_rms_epsilon"), (float) meta.get("llama.rope.freq_base")).withContextLength(512);
            Llama.Weights weights = ModelLoader.loadWeights(GGUF.loadTensors(file, gguf.getTensorDataOffset(), gguf.getTensorInfos()), config);
            Llama model = new Llama(config, null, weights);
            for (int run = 0; run < Integer.parseInt(args[3]); run++) {
                double[] steps = run(model, config, count);
                double median = steps[steps.length / 2];
                if (run > 0) {
                    System.out.printf(Locale.ROOT, "{\"case\": \"decode\", \"engine\": \"llama3.java\", \"weights\": \"%s\", \"threads\": %s, "
                            + "\"new\": %d, \"step_s\": %.6f, \"best_s\": %.6f, \"tokens_per_s\": %.2f}%n",
                            args[0].replaceAll(".*-|\\.gguf", "").toUpperCase(Locale.ROOT), args[1], count, median, steps[0], 1 / median);
                }
            }
        }
    }

    private static double[] run(Llama model, Llama.Configuration config, int count) {
        Llama.State state = new Llama.State(config, 16);
        int[] prompt = new int[16];
        Arrays.setAll(prompt, i -> 100 + 7 * i);
        Llama.forward(model, state, prompt, 0, true);
        int next = Sampler.ARGMAX.sampleToken(state.logits);
        double[] steps = new double[count - 1];
        for (int i = 0; i < count - 1; i++) {
            long start = System.nanoTime();
            Llama.forward(model, state, new int[] {next}, 16 + i, true);
            next = Sampler.ARGMAX.sampleToken(state.logits);
            steps[i] = (System.nanoTime() - start) / 1e9;
        }
        Arrays.sort(steps);
        return steps;
    }
}
