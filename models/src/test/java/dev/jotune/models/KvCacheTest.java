package dev.jotune.models;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.jotune.autograd.Var;
import dev.jotune.autograd.ops.Attention;
import dev.jotune.autograd.ops.Attention.Visible;
import dev.jotune.models.generate.BeamSearch;
import dev.jotune.models.generate.CausalLanguageModel;
import dev.jotune.models.generate.Generator;
import dev.jotune.models.generate.Hypothesis;
import dev.jotune.models.generate.SamplingOptions;
import dev.jotune.models.generate.TextRequest;
import dev.jotune.models.seam.AttentionSite;
import dev.jotune.tensor.Backend;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import org.junit.jupiter.api.Test;

/** Keys and values in one piece and in blocks: the same attention, less memory where rows have much in common. */
class KvCacheTest {

    private static final int H = 4;
    private static final int G = 2;
    private static final int D = 4;
    private static final List<AttentionSite> SITES = List.of(
            new AttentionSite("a", 0, H, G, D, AttentionSite.Kind.CAUSAL, "a", 0),
            new AttentionSite("b", 1, H, G, D, AttentionSite.Kind.CAUSAL, "b", 0));

    private static Tensor random(Random random, Backend backend, DType type, long... shape) {
        long n = Arrays.stream(shape).reduce(1, (a, b) -> a * b);
        return Tensor.of(backend, type, random.doubles(n, -1, 1).toArray(), shape);
    }

    @Property(tries = 150)
    void blocksHoldAndAttendToWhatOnePieceDoes(@ForAll long seed, @ForAll @IntRange(min = 1, max = 5) int blockSize,
            @ForAll boolean wide) {
        Random random = new Random(seed);
        Backend backend = wide ? Backends.reference() : Backends.cpu();
        DType type = wide ? DType.F64 : DType.F32;
        int rows = 1 + random.nextInt(3);
        KvCache whole = new KvCache(backend, type, SITES, rows, 2);
        KvCache blocks = new KvCache(backend, type, SITES, rows, 2);
        blocks.inBlocks(blockSize);
        for (int step = 0; step < 14; step++) {
            switch (random.nextInt(4)) {
                case 0 -> {
                    int[] order = random.ints(1 + random.nextInt(4), 0, (int) whole.batch()).toArray();
                    whole.reorder(order);
                    blocks.reorder(order);
                }
                case 1 -> {
                    long length = whole.length() - random.nextInt((int) Math.min(whole.length() + 1, 4));
                    whole.truncate(length);
                    blocks.truncate(length);
                }
                default -> pass(random, backend, type, whole, blocks, wide ? 1e-12 : 1e-5);
            }
            assertThat(blocks.length()).isEqualTo(whole.length());
            assertThat(blocks.batch()).isEqualTo(whole.batch());
        }
        whole.free();
        blocks.free();
    }

    private static void pass(Random random, Backend backend, DType type, KvCache whole, KvCache blocks, double near) {
        int time = random.nextInt(5) == 0 ? 1 + random.nextInt(9) : 1;
        long rows = whole.batch();
        long past = whole.length();
        boolean[][] real = null;
        if (random.nextInt(3) == 0) {
            real = new boolean[(int) rows][time];
            for (boolean[] row : real) {
                for (int t = 0; t < time; t++) {
                    row[t] = random.nextInt(4) > 0;
                }
            }
        }
        whole.grow(real, time);
        blocks.grow(real, time);
        Visible seen = Visible.causal(past);
        if (random.nextInt(3) == 0) {
            seen = seen.withWindow(1 + random.nextInt(6));
        }
        if (whole.visible() != null) {
            boolean[] mask = new boolean[(int) (rows * whole.length())];
            for (int i = 0; i < mask.length; i++) {
                mask[i] = blocks.visible()[(int) (i / whole.length())][(int) (i % whole.length())];
            }
            seen = seen.withKeyMask(Tensor.of(backend, mask, rows, whole.length()));
        }
        if (random.nextInt(3) == 0) {
            seen = seen.withBias(Var.constant(random(random, backend, type, 1, H, time, whole.length())));
        }
        for (int layer = 0; layer < SITES.size(); layer++) {
            Tensor k = random(random, backend, type, rows, G, time, D);
            Tensor v = random(random, backend, type, rows, G, time, D);
            Var query = Var.constant(random(random, backend, type, rows, H, time, D));
            double[] want = Attention.attend(query, whole.append(layer, k, v, seen), 0.5, 0).out().tensor().toDoubleArray();
            double[] got = Attention.attend(query, blocks.append(layer, k, v, seen), 0.5, 0).out().tensor().toDoubleArray();
            for (int i = 0; i < want.length; i++) {
                assertThat(Math.abs(got[i] - want[i])).isLessThanOrEqualTo(near);
            }
        }
        for (int layer = 0; layer < SITES.size(); layer++) {
            assertThat(blocks.stored(layer).keys().toDoubleArray()).isEqualTo(whole.stored(layer).keys().toDoubleArray());
            assertThat(blocks.stored(layer).values().toDoubleArray()).isEqualTo(whole.stored(layer).values().toDoubleArray());
        }
    }

    @Test
    void oneTextAndASharedPromptLieInOneSegment() {
        KvCache cache = new KvCache(Backends.cpu(), DType.F32, SITES, 1, 1);
        cache.inBlocks(4);
        Random random = new Random(1);
        append(cache, random, 10);
        for (int i = 0; i < 20; i++) {
            assertThat(append(cache, random, 1)).isEqualTo(1);
        }
        cache.reorder(new int[] {0, 0, 0});
        // The prompt's seven full blocks are shared; the rest is each row's own.
        assertThat(append(cache, random, 1)).isEqualTo(2);
        cache.free();
    }

    private static int append(KvCache cache, Random random, int time) {
        long past = cache.length();
        cache.grow(null, time);
        return cache.append(0, random(random, Backends.cpu(), DType.F32, cache.batch(), G, time, D),
                random(random, Backends.cpu(), DType.F32, cache.batch(), G, time, D), Visible.causal(past)).size();
    }

    @Test
    void beamsThatShareBlocksTakeLessMemoryAndFindTheSame() {
        CausalLm model = Models.embedded().model();
        List<KvCache> made = new ArrayList<>();
        long[] most = new long[1];
        CausalLm watched = watched(model, made, most);
        int[] prompt = new Random(5).ints(150, 3, model.vocabularySize()).toArray();
        SamplingOptions options = SamplingOptions.greedy(24);
        BeamSearch search = BeamSearch.of(8).withReturnSequences(8);
        CausalLanguageModel writer = new CausalLanguageModel(watched, model.seams().inference());
        List<Hypothesis> whole = new Generator(writer, options).with(search).hypotheses(List.of(TextRequest.of(prompt))).getFirst();
        long inOnePiece = most[0];
        most[0] = 0;
        made.clear();
        List<Hypothesis> blocks = new Generator(writer.inBlocks(16), options).with(search)
                .hypotheses(List.of(TextRequest.of(prompt))).getFirst();
        for (int i = 0; i < 8; i++) {
            assertThat(blocks.get(i).generation().tokens()).isEqualTo(whole.get(i).generation().tokens());
            assertThat(Math.abs(blocks.get(i).score() - whole.get(i).score())).isLessThan(1e-4);
        }
        // Eight times 174 tokens against 150 shared ones and eight times 24, with what is held ready.
        assertThat(most[0]).isPositive().isLessThan(inOnePiece / 3);
    }

    /** The model, noting the most memory that its caches took. */
    private static CausalLm watched(CausalLm model, List<KvCache> made, long[] most) {
        return (CausalLm) Proxy.newProxyInstance(CausalLm.class.getClassLoader(), new Class<?>[] {CausalLm.class}, (_, method, args) -> {
            try {
                Object result = method.invoke(model, args);
                if (result instanceof KvCache cache) {
                    made.add(cache);
                }
                if (method.getName().equals("forward")) {
                    most[0] = Math.max(most[0], made.stream().mapToLong(KvCache::bytes).sum());
                }
                return result;
            } catch (InvocationTargetException e) {
                throw e.getCause();
            }
        });
    }

    @Test
    void whatCannotBeIsRefused() {
        KvCache cache = new KvCache(Backends.cpu(), DType.F32, SITES, 2, 1);
        assertThatThrownBy(() -> cache.inBlocks(0)).hasMessageContaining("blocks of 0 tokens");
        assertThatThrownBy(() -> cache.reorder(new int[0])).hasMessageContaining("0 rows");
        assertThatThrownBy(() -> cache.reorder(new int[] {2})).isInstanceOf(IndexOutOfBoundsException.class);
        assertThatThrownBy(() -> cache.truncate(1)).hasMessageContaining("cannot cut a cache of 0 tokens to 1");
        cache.grow(null, 1);
        assertThatThrownBy(() -> cache.inBlocks(4)).hasMessageContaining("holds 1 tokens");
        cache.free();
    }
}
