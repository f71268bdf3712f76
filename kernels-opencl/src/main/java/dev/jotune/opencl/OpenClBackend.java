package dev.jotune.opencl;

import dev.jotune.kernel.BinaryCache;
import dev.jotune.kernel.DeviceBackend;
import dev.jotune.kernel.DeviceKernels;
import dev.jotune.kernel.DeviceMemory;
import dev.jotune.kernel.KernelSource;
import dev.jotune.kernel.Tile;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.KernelTime;
import dev.jotune.tensor.Storage;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.expr.Expr;
import dev.jotune.tensor.expr.Program;
import dev.jotune.tensor.kernels.FusedKernel;
import java.lang.foreign.MemorySegment;
import java.lang.ref.Reference;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;
import org.jocl.CL;
import org.jocl.cl_context;
import org.jocl.cl_context_properties;
import org.jocl.cl_device_id;
import org.jocl.cl_mem;

/**
 * One OpenCL device. Its context and queue are made when something is first asked of it, so that listing devices costs nothing
 * more. All floating arithmetic is F32, or F64 for F64 tensors where the device has it; F16 and BF16 are stored, never computed in.
 */
public final class OpenClBackend extends DeviceBackend {
    /** Sizes of groups to choose from. */
    static final List<Integer> GROUPS = List.of(32, 64, 128, 256);
    /** Elements of the kernel that is measured: enough to hide the launch, few enough for a slow device. */
    private static final long TUNED_ON = 1 << 20;
    /** Numbers along the inner axis of the product that is measured. */
    private static final long TUNED_INNER = 256;
    private static final Program TUNED = Program.of(Expr.input(0).times(Expr.input(1)).plus(1));

    private final String name;
    private final DeviceInfo info;
    private final Path cache;
    private final boolean keeping;
    private final UnaryOperator<String> edit;
    private final DeviceKernels fused = new DeviceKernels(this);
    private volatile Session session;
    private volatile int group = super.group();
    private volatile List<Tile> tiles = List.of();

    /** What an opened device has. */
    private record Session(DeviceMemory<cl_mem> memory, DeviceQueue queue, Programs programs) {}

    OpenClBackend(String name, DeviceInfo info) {
        this(name, info, BinaryCache.defaultFolder("opencl"), Programs.areKept(), UnaryOperator.identity());
    }

    /** With programs kept elsewhere, or changed before they are compiled. */
    OpenClBackend(String name, DeviceInfo info, Path cache, UnaryOperator<String> edit) {
        this(name, info, cache, true, edit);
    }

    private OpenClBackend(String name, DeviceInfo info, Path cache, boolean keeping, UnaryOperator<String> edit) {
        this.name = name;
        this.cache = cache;
        this.keeping = keeping;
        this.edit = edit;
        this.info = info;
    }

    private Session session() {
        Session s = session;
        return s != null ? s : open();
    }

    private synchronized Session open() {
        if (session == null) {
            cl_context_properties properties = new cl_context_properties();
            properties.addProperty(CL.CL_CONTEXT_PLATFORM, info.platform());
            int[] status = new int[1];
            cl_context context = CL.clCreateContext(properties, 1, new cl_device_id[] {info.id()}, null, null, status);
            Cl.check(status[0], "clCreateContext on " + name);
            session = new Session(Buffers.memory(name, context, info), new DeviceQueue(name, info, context),
                    new Programs(context, info, Optional.of(cache).filter(c -> keeping).map(BinaryCache::new), edit));
            if (Tuning.enabled()) {
                group = new Tuning(cache, info).choose("elements", GROUPS, this::elementNanos);
            }
        }
        return session;
    }

    private long elementNanos(int items) {
        group = items;
        Tensor x = Tensor.over(this, allocate(TUNED_ON * Float.BYTES), DType.F32, 0, TUNED_ON);
        long time = nanos(() -> map(TUNED, new Tensor[] {x, x}, new Tensor[] {x}));
        x.storage().free();
        return time;
    }

    private long nanos(Runnable kernels) {
        session.queue.finish();
        long start = System.nanoTime();
        kernels.run();
        session.queue.finish();
        return System.nanoTime() - start;
    }

    /** Measured when a product first asks, which a device that computes none is spared. */
    private synchronized List<Tile> measuredTiles() {
        if (tiles.isEmpty()) {
            session();
            List<Integer> sizes = Tile.CHOICES.stream().map(Tile::rows).toList();
            List<Integer> order = Tuning.enabled() ? new Tuning(cache, info).order("tiles", sizes, this::productNanos) : sizes;
            tiles = order.stream().map(OpenClBackend::tile).toList();
        }
        return tiles;
    }

    private static Tile tile(int rows) {
        return Tile.CHOICES.stream().filter(t -> t.rows() == rows).findFirst().orElseThrow();
    }

    /** A product with two of the largest tiles for every unit, so that tiles of any size are enough to be chosen. */
    private long productNanos(int rows) {
        Tile wanted = tile(rows);
        tiles = Stream.concat(Stream.of(wanted), Tile.CHOICES.stream().filter(t -> t != wanted)).toList();
        long size = Tile.LARGE.rows() * (long) Math.ceil(Math.sqrt(2.0 * units()));
        Tensor a = Tensor.over(this, allocate(size * TUNED_INNER * Float.BYTES), DType.F32, 0, size, TUNED_INNER);
        fill(a, 1);
        Tensor out = Tensor.over(this, allocate(size * size * Float.BYTES), DType.F32, 0, size, size);
        long time = nanos(() -> matmul(a, a.transpose(0, 1), out, false));
        a.storage().free();
        out.storage().free();
        return time;
    }

    @Override
    protected List<Tile> tiles() {
        List<Tile> t = tiles;
        return t.isEmpty() ? measuredTiles() : t;
    }

    @Override
    protected int group() {
        return group;
    }

    @Override
    public String name() {
        return name;
    }

    @Override
    public String description() {
        return info.description();
    }

    /** The device itself, for tests and tables. */
    DeviceInfo info() {
        return info;
    }

    DeviceMemory<cl_mem> memory() {
        return session().memory;
    }

    Programs programs() {
        return session().programs;
    }

    @Override
    public Storage allocate(long bytes) {
        return session().memory.allocate(bytes);
    }

    @Override
    public long peakBytes() {
        return session().memory.peakBytes();
    }

    @Override
    public void resetPeak() {
        session().memory.resetPeak();
    }

    @Override
    public void read(Tensor dense, MemorySegment target) {
        long bytes = bytes(dense);
        session().queue.read(Buffers.of(dense), start(dense), target.asSlice(0, bytes));
    }

    @Override
    public void write(Tensor dense, MemorySegment source) {
        long bytes = bytes(dense);
        session().queue.write(Buffers.of(dense), start(dense), source.asSlice(0, bytes));
    }

    @Override
    protected void launch(KernelSource kernel, long groups, Object... arguments) {
        Session s = session();
        s.queue.launch(s.programs.get(kernel), groups, 1, 1, arguments);
        Reference.reachabilityFence(arguments);
    }

    @Override
    protected void fillBytes(Tensor dense, byte[] pattern) {
        session().queue.fill(Buffers.of(dense), start(dense), bytes(dense), pattern);
    }

    @Override
    protected void copyBytes(Tensor source, Tensor target) {
        session().queue.copy(Buffers.of(source), start(source), Buffers.of(target), start(target), bytes(source));
    }

    @Override
    protected boolean doubles() {
        return info.doubles();
    }

    @Override
    protected int units() {
        return info.units();
    }

    @Override
    public boolean startProfile() {
        session().queue.profile(true);
        return true;
    }

    @Override
    public List<KernelTime> stopProfile() {
        return session().queue.profile(false).take();
    }

    @Override
    public <K extends FusedKernel> Optional<K> kernel(Class<K> kind) {
        return fused.get(kind);
    }
}
