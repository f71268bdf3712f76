package dev.jotune.cuda;

/** What a thread needs to call the driver: which context is current, where arguments are laid out, what is being recorded. */
final class ThreadState {
    private static final ThreadLocal<ThreadState> ALL = ThreadLocal.withInitial(ThreadState::new);

    /** The context that is current; none at first. */
    Context context;
    /** What launches go into instead of being run; none normally. */
    Recording recording;
    /** Laid out anew for each launch: the driver copies arguments before a launch returns. */
    final ArgumentBlock arguments = new ArgumentBlock();

    private static final int RECENT = 64;
    private final Recent[] recent = new Recent[RECENT];

    /** A kernel, and whose it is. */
    private record Recent(Object source, Modules owner, CompiledKernel kernel) {}

    private ThreadState() {}

    /** The kernel that this very source was last compiled to; none if others came between. A map would have to hash all parameters. */
    CompiledKernel recent(Object source, Modules owner) {
        Recent r = recent[System.identityHashCode(source) % RECENT];
        return r != null && r.source == source && r.owner == owner ? r.kernel : null;
    }

    CompiledKernel remember(Object source, Modules owner, CompiledKernel kernel) {
        recent[System.identityHashCode(source) % RECENT] = new Recent(source, owner, kernel);
        return kernel;
    }

    static ThreadState get() {
        return ALL.get();
    }
}
