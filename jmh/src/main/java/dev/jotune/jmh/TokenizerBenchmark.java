package dev.jotune.jmh;

import dev.jotune.models.tokenizer.Encoding;
import dev.jotune.models.tokenizer.Tokenizer;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.Warmup;

/**
 * Encoding and decoding 256 KB of English, one thread. A run of 100 ms is 2.6 MB/s. Run it in the repository's root:
 *
 * <pre>java -cp "jmh/target/classes:jmh/target/lib/*" org.openjdk.jmh.Main TokenizerBenchmark</pre>
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MILLISECONDS)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(1)
public class TokenizerBenchmark {

    @Param({"gpt2", "roberta", "llama3", "qwen2", "clip", "llama2", "llama2_metaspace", "bert_uncased", "bert_cased", "t5",
        "albert"})
    public String tokenizer;

    private Tokenizer loaded;
    private String text;
    private int[] ids;

    @Setup
    public void load() throws IOException {
        loaded = Tokenizer.load(Path.of("golden/tokenizers", tokenizer, "tokenizer.json"))
                .withPadding(Optional.empty()).withTruncation(Optional.empty());
        text = Files.readString(Path.of("models/src/test/resources/texts/shakespeare.txt"));
        ids = loaded.encode(text, false).ids();
    }

    @Benchmark
    public Encoding encode() {
        return loaded.encode(text, false);
    }

    @Benchmark
    public String decode() {
        return loaded.decode(ids, false);
    }
}
