package dev.jotune.tensor.cpu.simd;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class NodesTest {
    @TempDir
    Path folder;

    private Nodes nodes(String allowed, String... lists) throws IOException {
        for (int i = 0; i < lists.length; i++) {
            Files.writeString(Files.createDirectories(folder.resolve("node" + i)).resolve("cpulist"), lists[i] + "\n");
        }
        Files.writeString(folder.resolve("has_cpu"), "0\n");
        Path status = Files.writeString(folder.resolve("status"), "Name:\tjava\nCpus_allowed_list:\t" + allowed + "\n");
        return Nodes.of(folder, status);
    }

    private static BitSet set(int... processors) {
        BitSet out = new BitSet();
        IntStream.of(processors).forEach(out::set);
        return out;
    }

    @Test
    void readsRangesAndSingleProcessors() throws IOException {
        assertThat(nodes("0-11", "0-2,6", "3-5,7").processors()).containsExactly(set(0, 1, 2, 6), set(3, 4, 5, 7));
    }

    @Test
    void leavesOutWhatThisProcessMayNotUse() throws IOException {
        assertThat(nodes("2-3,9", "0-3", "4-7", "8-11", "").processors()).containsExactly(set(2, 3), set(9));
    }

    @Test
    void takesOneNodeOrAnUnknownSystemForOne() throws IOException {
        assertThat(nodes("0-1", "0-3", "4-7")).isEqualTo(Nodes.ONE);
        assertThat(Nodes.of(folder.resolve("nowhere"), folder.resolve("status"))).isEqualTo(Nodes.ONE);
        assertThat(nodes("0-7", "0-3", "four")).isEqualTo(Nodes.ONE);
    }

    @Test
    void aThreadStaysAndCanBeMovedAgain() throws IOException, InterruptedException {
        BitSet allowed = allowed();
        if (allowed.cardinality() < 2) {
            return;
        }
        BitSet first = set(allowed.nextSetBit(0));
        BitSet rest = (BitSet) allowed.clone();
        rest.andNot(first);
        Nodes two = new Nodes(List.of(first, rest));
        List<BitSet> seen = new ArrayList<>();
        Thread t = new Thread(() -> {
            for (int node = 0; node < 2; node++) {
                two.stayOn(node);
                seen.add(allowed());
            }
        });
        t.start();
        t.join();
        assertThat(seen).containsExactly(first, rest);
    }

    /** The processors of the calling thread. */
    private static BitSet allowed() {
        BitSet out = new BitSet();
        try {
            for (String line : Files.readAllLines(Path.of("/proc/thread-self/status"))) {
                if (line.startsWith("Cpus_allowed:")) {
                    String[] words = line.substring(13).strip().split(",");
                    for (int i = 0; i < words.length; i++) {
                        long bits = Long.parseLong(words[words.length - 1 - i], 16);
                        for (int b = 0; b < 32; b++) {
                            out.set(32 * i + b, (bits >> b & 1) != 0);
                        }
                    }
                }
            }
        } catch (IOException e) {
            return new BitSet();
        }
        return out;
    }
}
