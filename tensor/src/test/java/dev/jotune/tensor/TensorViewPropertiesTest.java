package dev.jotune.tensor;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.constraints.Size;

/** Views against naive index arithmetic on arrays: whatever the shape, whatever the chain of views. */
class TensorViewPropertiesTest {
    /** Elements under a shape, row-major: what a tensor should look like. */
    private record Naive(long[] shape, double[] values) {
        double at(long... index) {
            long flat = 0;
            for (int i = 0; i < shape.length; i++) {
                flat = flat * shape[i] + index[i];
            }
            return values[(int) flat];
        }
    }

    private interface Index {
        long[] from(long[] index);
    }

    /** A tensor of {@code shape} whose element at an index is {@code source}'s at {@code map} of it. */
    private static Naive view(Naive source, long[] shape, Index map) {
        double[] v = new double[(int) Shape.numel(shape)];
        for (int i = 0; i < v.length; i++) {
            v[i] = source.at(map.from(unravel(i, shape)));
        }
        return new Naive(shape, v);
    }

    private static long[] unravel(long flat, long[] shape) {
        long[] index = new long[shape.length];
        for (int i = shape.length - 1; i >= 0; i--) {
            index[i] = flat % shape[i];
            flat /= shape[i];
        }
        return index;
    }

    private static long[] sizes(List<Integer> list) {
        return list.stream().mapToLong(i -> i).toArray();
    }

    private static Naive counting(long... shape) {
        double[] v = new double[(int) Shape.numel(shape)];
        Arrays.setAll(v, i -> i);
        return new Naive(shape, v);
    }

    private static Tensor tensor(Naive n) {
        return Tensor.of(Backends.reference(), DType.F64, n.values, n.shape);
    }

    private static void same(Tensor got, Naive want) {
        assertThat(got.shape()).isEqualTo(want.shape);
        assertThat(got.toDoubleArray()).isEqualTo(want.values);
    }

    @Property(tries = 400)
    void chainsOfViewsAreIndexArithmetic(
            @ForAll @Size(min = 1, max = 4) List<@IntRange(min = 0, max = 4) Integer> shape,
            @ForAll @IntRange(min = 1, max = 5) int steps, @ForAll long seed) {
        Random random = new Random(seed);
        Naive naive = counting(sizes(shape));
        Tensor t = tensor(naive);
        for (int s = 0; s < steps; s++) {
            long[] now = naive.shape;
            int rank = now.length;
            switch (random.nextInt(7)) {
                case 0 -> {
                    int[] order = order(rank, random);
                    long[] to = new long[rank];
                    Arrays.setAll(to, i -> now[order[i]]);
                    naive = view(naive, to, index -> {
                        long[] from = new long[rank];
                        for (int i = 0; i < rank; i++) {
                            from[order[i]] = index[i];
                        }
                        return from;
                    });
                    t = t.permute(order);
                }
                case 1 -> {
                    if (rank > 0) {
                        int axis = random.nextInt(rank);
                        long from = random.nextLong(now[axis] + 1);
                        long to = from + random.nextLong(now[axis] - from + 1);
                        long[] shorter = now.clone();
                        shorter[axis] = to - from;
                        naive = view(naive, shorter, index -> {
                            index[axis] += from;
                            return index;
                        });
                        t = t.slice(axis - rank, from, to);
                    }
                }
                case 2 -> {
                    int axis = random.nextInt(rank + 1);
                    naive = new Naive(inserted(now, axis), naive.values);
                    t = t.unsqueeze(axis);
                }
                case 3 -> {
                    long[] to = regrouped(now, random);
                    naive = new Naive(to, naive.values);
                    t = t.reshape(to);
                }
                case 4 -> {
                    long[] wider = now.clone();
                    for (int i = 0; i < rank; i++) {
                        wider[i] = wider[i] == 1 && random.nextBoolean() ? 3 : wider[i];
                    }
                    naive = view(naive, wider, index -> {
                        for (int i = 0; i < rank; i++) {
                            index[i] = now[i] == 1 ? 0 : index[i];
                        }
                        return index;
                    });
                    t = t.expand(wider);
                }
                case 5 -> {
                    if (rank > 0 && now[0] > 0) {
                        long size = 1 + random.nextLong(now[0]);
                        long step = 1 + random.nextInt(3);
                        long dilation = size == 1 ? 2 : 1 + random.nextLong((now[0] - 1) / (size - 1));
                        long[] windows = Arrays.copyOf(now, rank + 1);
                        windows[0] = (now[0] - (size - 1) * dilation - 1) / step + 1;
                        windows[rank] = size;
                        naive = view(naive, windows, index -> {
                            long[] from = Arrays.copyOf(index, rank);
                            from[0] = index[0] * step + index[rank] * dilation;
                            return from;
                        });
                        t = t.unfold(0, size, step, dilation);
                    }
                }
                default -> {
                    if (rank > 0 && now[rank - 1] > 0) {
                        long at = random.nextLong(now[rank - 1]);
                        naive = view(naive, Arrays.copyOf(now, rank - 1), index -> {
                            long[] from = Arrays.copyOf(index, rank);
                            from[rank - 1] = at;
                            return from;
                        });
                        t = t.select(-1, at);
                    }
                }
            }
            same(t, naive);
            same(t.contiguous(), naive);
            assertThat(t.contiguous().isContiguous()).isTrue();
        }
    }

    private static int[] order(int rank, Random random) {
        List<Integer> axes = new ArrayList<>();
        for (int i = 0; i < rank; i++) {
            axes.add(random.nextInt(axes.size() + 1), i);
        }
        return axes.stream().mapToInt(i -> i).toArray();
    }

    private static long[] inserted(long[] shape, int axis) {
        long[] to = new long[shape.length + 1];
        for (int i = 0, j = 0; i < to.length; i++) {
            to[i] = i == axis ? 1 : shape[j++];
        }
        return to;
    }

    /** The same number of elements: neighbours joined, or an axis split. */
    private static long[] regrouped(long[] shape, Random random) {
        if (shape.length >= 2 && random.nextBoolean()) {
            int axis = random.nextInt(shape.length - 1);
            long[] to = new long[shape.length - 1];
            for (int i = 0, j = 0; i < to.length; i++) {
                to[i] = i == axis ? shape[j++] * shape[j++] : shape[j++];
            }
            return to;
        }
        int axis = random.nextInt(shape.length + 1);
        if (axis < shape.length && shape[axis] % 2 == 0 && shape[axis] > 0) {
            long[] to = inserted(shape, axis);
            to[axis] = 2;
            to[axis + 1] = shape[axis] / 2;
            return to;
        }
        return inserted(shape, axis);
    }

    @Property(tries = 300)
    void reshapingAViewCopiesOnlyWhereItMust(
            @ForAll @Size(min = 2, max = 3) List<@IntRange(min = 1, max = 3) Integer> shape) {
        long[] s = sizes(shape);
        Tensor t = Tensor.zeros(Backends.reference(), DType.F64, s).transpose(0, 1);
        long[] split = inserted(t.shape(), 1);
        assertThat(t.reshape(split).storage()).isSameAs(t.storage());
        assertThat(t.reshape(-1).storage() == t.storage()).isEqualTo(t.isContiguous());
    }

    @Property(tries = 300)
    void broadcastingIsWhatBothStretchTo(@ForAll @Size(max = 4) List<@IntRange(min = 1, max = 3) Integer> shape,
            @ForAll long seed) {
        Random random = new Random(seed);
        long[] whole = sizes(shape);
        long[] a = thinned(whole, random);
        long[] b = thinned(whole, random);
        long[] both = Shape.broadcast(a, b);
        Tensor x = tensor(counting(a)).expand(both);
        Tensor y = tensor(counting(b)).expand(both);
        for (int i = 0; i < Shape.numel(both); i++) {
            long[] index = unravel(i, both);
            assertThat(x.toDoubleArray()[i]).isEqualTo(counting(a).at(tail(index, a)));
            assertThat(y.toDoubleArray()[i]).isEqualTo(counting(b).at(tail(index, b)));
        }
        assertThat(Shape.broadcast(b, a)).isEqualTo(both);
    }

    private static long[] thinned(long[] shape, Random random) {
        int lead = random.nextInt(shape.length + 1);
        long[] s = Arrays.copyOfRange(shape, lead, shape.length);
        for (int i = 0; i < s.length; i++) {
            s[i] = random.nextInt(3) == 0 ? 1 : s[i];
        }
        return s;
    }

    private static long[] tail(long[] index, long[] shape) {
        long[] t = Arrays.copyOfRange(index, index.length - shape.length, index.length);
        for (int i = 0; i < t.length; i++) {
            t[i] = shape[i] == 1 ? 0 : t[i];
        }
        return t;
    }
}
