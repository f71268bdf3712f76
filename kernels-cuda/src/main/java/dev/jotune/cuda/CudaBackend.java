package dev.jotune.cuda;

import dev.jotune.kernel.BinaryCache;
import dev.jotune.kernel.DeviceBackend;
import dev.jotune.kernel.DeviceKernels;
import dev.jotune.kernel.DeviceMemory;
import dev.jotune.kernel.KernelSource;
import dev.jotune.kernel.Param;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.KernelTime;
import dev.jotune.tensor.Storage;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.kernels.AttentionKernel;
import dev.jotune.tensor.kernels.DecodeKernel;
import dev.jotune.tensor.kernels.FrozenKernel;
import dev.jotune.tensor.kernels.FusedKernel;
import dev.jotune.tensor.kernels.GroupedLowRankKernel;
import dev.jotune.tensor.kernels.VocabularyKernel;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.function.UnaryOperator;

/**
 * One CUDA device. Its context and stream are made when something is first asked of it, so that listing devices costs nothing more.
 */
public final class CudaBackend extends DeviceBackend {
    /** Bytes of the device that may be used. */
    static final String LIMIT = "jotune.cuda.memory";

    /** The driver's memset knows up to four bytes. */
    static final KernelSource FILL = new KernelSource("fill", CudaSource.resource("fill.cu"), List.of(Param.out("y", DType.I64),
            Param.int64("count"), Param.int64("word")), new TreeMap<>(), 256, DType.F32);

    private final String name;
    private final DeviceInfo info;
    private final Path cache;
    private final int slotBytes;
    private final UnaryOperator<String> edit;
    private final DeviceKernels fused = new DeviceKernels(this);
    private final CudaProducts products = new CudaProducts(this);
    private final Map<Class<? extends FusedKernel>, FusedKernel> own;
    private volatile Session session;

    /** What an opened device has. */
    private record Session(Context context, DeviceMemory<Handles.Block> memory, DeviceStream stream, Modules modules) {}

    CudaBackend(String name, DeviceInfo info) {
        this(name, info, BinaryCache.defaultFolder("cuda"), Staging.SLOT, UnaryOperator.identity());
    }

    /** With kernels kept elsewhere, transfers in other chunks, or texts changed before they are compiled. */
    CudaBackend(String name, DeviceInfo info, Path cache, int slotBytes, UnaryOperator<String> edit) {
        this.name = name;
        this.info = info;
        this.cache = cache;
        this.slotBytes = slotBytes;
        this.edit = edit;
        AttentionKernel attention = new CudaAttention(this, info.units(), AttentionRung.of(products.way(), info.capability()), this::launch,
                fused.get(AttentionKernel.class).orElseThrow());
        own = new HashMap<>(Map.of(FrozenKernel.class, new CudaFrozen(this, products), DecodeKernel.class, new CudaDecode(this),
                AttentionKernel.class, attention,
                VocabularyKernel.class, new CudaVocabulary(this, fused.get(VocabularyKernel.class).orElseThrow())));
        if (info.capability() >= CudaSource.Chip.SM80.capability()) {
            own.put(GroupedLowRankKernel.class, new CudaGroupedLowRank(this));
        }
    }

    private Session session() {
        Session s = session;
        return s != null ? s : open();
    }

    private synchronized Session open() {
        if (session == null) {
            Context context = new Context(info, name);
            long limit = Math.min(info.memory(), Long.getLong(LIMIT, Long.MAX_VALUE));
            Blocks blocks = new Blocks(name, context);
            DeviceMemory<Handles.Block> memory = new DeviceMemory<>(name, limit, Long.MAX_VALUE, blocks, blocks::room);
            Optional<Nvrtc> compiler = Optional.empty();
            String note = "";
            try {
                compiler = Optional.of(Nvrtc.find(new NvrtcSearch(System.getProperty(NvrtcSearch.PLACE, ""), System.getenv(), info.driver())));
            } catch (Nvrtc.Missing e) {
                note = e.getMessage();
            }
            session = new Session(context, memory, new DeviceStream(name, context, memory, slotBytes),
                    new Modules(info, context, compiler, note, new BinaryCache(cache), edit));
        }
        return session;
    }

    @Override
    public String name() {
        return name;
    }

    @Override
    public String description() {
        return info.description();
    }

    /** Compute capability, major times ten plus minor. */
    int chip() {
        return info.capability();
    }

    /** The device itself, for tests and tables. */
    DeviceInfo info() {
        return info;
    }

    DeviceMemory<Handles.Block> memory() {
        return session().memory;
    }

    Modules modules() {
        return session().modules;
    }

    @Override
    public Storage allocate(long bytes) {
        Session s = session();
        Recording recording = ThreadState.get().recording;
        return recording == null ? s.memory.allocate(bytes) : recording.allocate(bytes);
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
        session().stream.read(dense, start(dense), target.asSlice(0, bytes));
    }

    @Override
    public void write(Tensor dense, MemorySegment source) {
        long bytes = bytes(dense);
        session().stream.write(dense, start(dense), source.asSlice(0, bytes));
    }

    @Override
    public void matmul(Tensor a, Tensor b, Tensor out, boolean accumulate) {
        if (out.numel() == 0 || a.size(-1) == 0 || !products.tryMultiply(a, b, out, accumulate)) {
            super.matmul(a, b, out, accumulate);
        }
    }

    @Override
    protected void launch(KernelSource kernel, long groups, Object... arguments) {
        Session s = session();
        s.stream.launch(s.modules.get(kernel), groups, 1, 1, arguments);
    }

    /**
     * Enqueues a kernel of this module over a grid of groups.
     *
     * @param arguments in the order of the parameters: a tensor for a buffer and its offset, a number, a {@link TensorMaps.Map}
     */
    void launch(CudaSource source, long x, long y, long z, Object... arguments) {
        Session s = session();
        s.stream.launch(s.modules.get(source), x, y, z, arguments);
    }

    /** Where a tensor's first element lies on the device, for tables that kernels find their operands by. */
    long address(Tensor t) {
        return session().stream.address(t);
    }

    /**
     * Records what {@code work} enqueues, without doing it, to be repeated as one.
     *
     * @see CudaGraph#record
     */
    CudaGraph record(Runnable work) {
        Session s = session();
        return CudaGraph.record(s.context, s.stream, s.memory, work);
    }

    /** Waits until the device has nothing left to do. */
    void finish() {
        session().stream.finish();
    }

    @Override
    protected void fillBytes(Tensor dense, byte[] pattern) {
        ByteBuffer p = ByteBuffer.wrap(pattern).order(ByteOrder.nativeOrder());
        if (pattern.length < Long.BYTES) {
            session().stream.fill(dense, start(dense), bytes(dense), pattern);
        } else {
            launch(FILL, groups(dense.numel(), FILL), dense, dense.numel(), p.getLong());
        }
    }

    @Override
    protected void copyBytes(Tensor source, Tensor target) {
        session().stream.copy(source, start(source), target, start(target), bytes(source));
    }

    @Override
    protected boolean doubles() {
        return true;
    }

    @Override
    protected int units() {
        return info.units();
    }

    @Override
    public boolean startProfile() {
        session().stream.profile(true);
        return true;
    }

    @Override
    public List<KernelTime> stopProfile() {
        return session().stream.profile(false).take();
    }

    @Override
    public <K extends FusedKernel> Optional<K> kernel(Class<K> kind) {
        return Optional.ofNullable(own.get(kind)).map(kind::cast).or(() -> fused.get(kind));
    }
}
