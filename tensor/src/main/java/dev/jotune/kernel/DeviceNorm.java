package dev.jotune.kernel;

import dev.jotune.tensor.DType;
import dev.jotune.tensor.Reduction;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.kernels.NormKernel;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Supplier;

/** RMSNorm and LayerNorm on a device: {@code norm_rows.cl}, {@code norm_backward.cl} and {@code norm_weights.cl}. */
final class DeviceNorm implements NormKernel {
    /** Columns that neighbouring items of {@code norm_weights.cl} take: 128 bytes, what devices read at once. */
    private static final int COLUMNS = 32;
    private static final int GROUP = 256;
    private static final int SMALLEST_GROUP = 32;
    /** Elements of a row for each item, at least: fewer would wait for each other more than they read. */
    private static final int EACH = 4;
    /** Rows of which one group sums the weights' gradients, at least; and parts that rows are cut into, at most. */
    private static final long CHUNK_ROWS = 64;
    private static final long CHUNKS = 64;

    /** What a text is specialised by: switches by name, in the order of the text, and the group. */
    private record Key(String text, Map<String, Integer> switches, int group) {}

    private static final Map<Key, KernelSource> KNOWN = new ConcurrentHashMap<>();

    private final DeviceBackend device;

    DeviceNorm(DeviceBackend device) {
        this.device = device;
    }

    @Override
    public void rmsNorm(Tensor x, Tensor weight, double eps, Tensor out) {
        forward(x, Optional.empty(), weight, Optional.empty(), eps, out, List.of(), Optional.empty());
    }

    @Override
    public void addRmsNorm(Tensor x, Tensor residual, Tensor weight, double eps, Tensor sum, Tensor out) {
        forward(x, Optional.of(residual), weight, Optional.empty(), eps, out, List.of(), Optional.of(sum));
    }

    @Override
    public void layerNorm(Tensor x, Tensor weight, Tensor bias, double eps, Tensor out, Tensor mean, Tensor scale) {
        forward(x, Optional.empty(), weight, Optional.of(bias), eps, out, List.of(mean, scale), Optional.empty());
    }

    @Override
    public void addLayerNorm(Tensor x, Tensor residual, Tensor weight, Tensor bias, double eps, Tensor sum, Tensor out, Tensor mean,
            Tensor scale) {
        forward(x, Optional.of(residual), weight, Optional.of(bias), eps, out, List.of(mean, scale), Optional.of(sum));
    }

    private void forward(Tensor x, Optional<Tensor> residual, Tensor weight, Optional<Tensor> bias, double eps, Tensor out,
            List<Tensor> statistics, Optional<Tensor> sum) {
        long n = x.size(-1);
        if (x.numel() == 0) {
            return;
        }
        List<Object> arguments = new ArrayList<>(List.of(x, weight.contiguous(), out));
        bias.map(Tensor::contiguous).ifPresent(arguments::add);
        arguments.addAll(statistics);
        residual.ifPresent(arguments::add);
        sum.ifPresent(arguments::add);
        arguments.addAll(List.of(x.numel() / n, Math.toIntExact(n), eps));
        device.launch(rows(bias.isPresent(), residual.isPresent(), group(n)), device.groupsOf(x.numel() / n), arguments.toArray());
    }

    @Override
    public void rmsNormBackward(Tensor x, Tensor weight, double eps, Tensor dOut, Optional<Tensor> more, Optional<Tensor> dx,
            Optional<Tensor> dWeight) {
        if (x.numel() == 0) {
            dWeight.ifPresent(w -> device.fill(w, 0));
            return;
        }
        long n = x.size(-1);
        long rows = x.numel() / n;
        Optional<Tensor> scale = dWeight.map(w -> Tensor.empty(device, DType.F32, rows));
        List<Object> arguments = new ArrayList<>(List.of(x, weight.contiguous(), dOut));
        more.filter(m -> dx.isPresent()).ifPresent(arguments::add);
        dx.ifPresent(arguments::add);
        scale.ifPresent(arguments::add);
        arguments.addAll(List.of(rows, Math.toIntExact(n), eps));
        KernelSource kernel = backward(false, more.isPresent() && dx.isPresent(), dx.isPresent(), scale.isPresent(), group(n));
        device.launch(kernel, device.groupsOf(rows), arguments.toArray());
        scale.ifPresent(s -> {
            weights(x, List.of(s), dOut, dWeight, Optional.empty());
            s.storage().free();
        });
    }

    @Override
    public void layerNormBackward(Tensor x, Tensor weight, Tensor mean, Tensor scale, Tensor dOut, Optional<Tensor> more,
            Optional<Tensor> dx, Optional<Tensor> dWeight, Optional<Tensor> dBias) {
        if (x.numel() == 0) {
            dWeight.ifPresent(w -> device.fill(w, 0));
            dBias.ifPresent(b -> device.fill(b, 0));
            return;
        }
        long n = x.size(-1);
        if (dx.isPresent()) {
            List<Object> arguments = new ArrayList<>(List.of(x, weight.contiguous(), dOut));
            more.ifPresent(arguments::add);
            arguments.addAll(List.of(dx.get(), mean, scale, x.numel() / n, Math.toIntExact(n)));
            device.launch(backward(true, more.isPresent(), true, false, group(n)), device.groupsOf(x.numel() / n), arguments.toArray());
        }
        if (dWeight.isPresent() || dBias.isPresent()) {
            weights(x, List.of(mean, scale), dOut, dWeight, dBias);
        }
    }

    /** Sums over rows in parts that depend on nothing but their number, then over the parts. */
    private void weights(Tensor x, List<Tensor> statistics, Tensor dOut, Optional<Tensor> dWeight, Optional<Tensor> dBias) {
        long n = x.size(-1);
        long rows = x.numel() / n;
        long chunks = Math.clamp(rows / CHUNK_ROWS, 1, CHUNKS);
        List<Object> arguments = new ArrayList<>(List.of(x, dOut));
        arguments.addAll(statistics);
        List<Tensor> targets = new ArrayList<>();
        dWeight.ifPresent(targets::add);
        dBias.ifPresent(targets::add);
        List<Tensor> parts = targets.stream().map(t -> chunks == 1 ? t : Tensor.empty(device, DType.F32, chunks, n)).toList();
        arguments.addAll(parts);
        arguments.addAll(List.of(rows, n, chunks));
        device.launch(weights(statistics.size() == 2, dWeight.isPresent(), dBias.isPresent()),
                device.groupsOf(chunks * ((n + COLUMNS - 1) / COLUMNS)), arguments.toArray());
        for (int i = 0; i < targets.size() && chunks > 1; i++) {
            device.reduce(Reduction.SUM, parts.get(i), targets.get(i).reshape(1, n));
            parts.get(i).storage().free();
        }
    }

    /** A power of two. */
    private static int group(long n) {
        return (int) Math.clamp(Long.highestOneBit(Math.max(1, n / EACH)), SMALLEST_GROUP, GROUP);
    }

    static KernelSource rows(boolean layer, boolean residual, int group) {
        return known(new Key("norm_rows", Map.of("LAYER", layer ? 1 : 0, "RESIDUAL", residual ? 1 : 0), group), () -> {
            List<Param> params = new ArrayList<>(List.of(Param.in("x", DType.F32), Param.in("weight", DType.F32), Param.out("y", DType.F32)));
            if (layer) {
                params.addAll(List.of(Param.in("bias", DType.F32), Param.out("mean", DType.F32), Param.out("scale", DType.F32)));
            }
            if (residual) {
                params.addAll(List.of(Param.in("residual", DType.F32), Param.out("sum", DType.F32)));
            }
            params.addAll(List.of(Param.int64("rows"), Param.int32("n"), Param.real("eps")));
            return params;
        });
    }

    static KernelSource backward(boolean layer, boolean more, boolean input, boolean scales, int group) {
        Map<String, Integer> switches = Map.of("LAYER", layer ? 1 : 0, "MORE", more ? 1 : 0, "INPUT", input ? 1 : 0, "SCALES", scales ? 1 : 0);
        return known(new Key("norm_backward", switches, group), () -> {
            List<Param> params = new ArrayList<>(List.of(Param.in("x", DType.F32), Param.in("weight", DType.F32), Param.in("dy", DType.F32)));
            if (more) {
                params.add(Param.in("more", DType.F32));
            }
            if (input) {
                params.add(Param.out("dx", DType.F32));
            }
            if (layer) {
                params.addAll(List.of(Param.in("mean", DType.F32), Param.in("scale", DType.F32), Param.int64("rows"), Param.int32("n")));
            } else {
                if (scales) {
                    params.add(Param.out("scale", DType.F32));
                }
                params.addAll(List.of(Param.int64("rows"), Param.int32("n"), Param.real("eps")));
            }
            return params;
        });
    }

    static KernelSource weights(boolean layer, boolean weight, boolean bias) {
        Map<String, Integer> switches = Map.of("LAYER", layer ? 1 : 0, "WEIGHT", weight ? 1 : 0, "BIAS", bias ? 1 : 0, "COLUMNS", COLUMNS);
        return known(new Key("norm_weights", switches, GROUP), () -> {
            List<Param> params = new ArrayList<>(List.of(Param.in("x", DType.F32), Param.in("dy", DType.F32)));
            if (layer) {
                params.add(Param.in("mean", DType.F32));
            }
            params.add(Param.in("scale", DType.F32));
            if (weight) {
                params.add(Param.out("dweight", DType.F32));
            }
            if (bias) {
                params.add(Param.out("dbias", DType.F32));
            }
            params.addAll(List.of(Param.int64("rows"), Param.int64("n"), Param.int64("chunks")));
            return params;
        });
    }

    private static KernelSource known(Key key, Supplier<List<Param>> params) {
        KernelSource s = KNOWN.get(key);
        return s != null ? s : KNOWN.computeIfAbsent(key,
                k -> KernelSource.of(DeviceNorm.class, k.text, params.get(), new TreeMap<>(k.switches), k.group));
    }
}
