package dev.jotune.tensor.cpu.simd;

import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLongArray;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.LockSupport;

/**
 * A fixed set of daemon threads that run the numbered tasks of one job at a time; the caller works too.
 *
 * <p>Which thread runs a task is decided at run time, what a task does is decided by its number alone: results
 * never depend on timing. A job started while another one runs (from a task, or from a second thread) is run
 * inline by its caller. Idle workers spin for about 200 microseconds, then park; waking always unparks, since
 * looking at a worker's state first loses wake-ups. Handing out a job allocates nothing.
 *
 * <p>On a machine with several memory nodes each node has workers that stay on it and an equal run of each job's tasks, which
 * its workers take first; who finds none left there takes another node's. So task k of a job that first writes memory and task k
 * of one that reads it usually run where that memory is.
 */
public final class Parallel {
    /** One piece of a job; called once for every index, from any thread. */
    @FunctionalInterface
    public interface Task {
        void run(int index);
    }

    /** Of 1900 waits of a tuning step's workers 1000 are longer than 40 microseconds, 90 longer than 200: waking takes tens of them each. */
    private static final long SPIN_NANOS = 200_000;
    /** A node's ticket is the number of a job, where its run of tasks ends, and which of them is next. */
    private static final int COUNT_BITS = 20;
    private static final long COUNT = (1L << COUNT_BITS) - 1;
    private static final int LINE = 16;

    private final AtomicBoolean busy = new AtomicBoolean();
    private final Worker[] workers;
    private final Nodes nodes;
    /** One for each node, in a cache line each. */
    private final AtomicLongArray tickets;
    private final AtomicInteger left = new AtomicInteger();
    private final AtomicReference<Throwable> error = new AtomicReference<>();
    // Written before the ticket of a job, read between looking at the ticket and taking a task from it: a task that
    // was taken belongs to the job whose fields were read, for a job ends only when all its tasks are done.
    private Task task;
    private Thread caller;
    private volatile boolean closed;

    /** Holder: the shared pool starts with its first use. */
    private static final class Shared {
        static final Parallel POOL =
                new Parallel(Integer.getInteger("jotune.threads", Runtime.getRuntime().availableProcessors()), Nodes.ofMachine());
    }

    /**
     * Starts {@code threads - 1} workers.
     *
     * @throws IllegalArgumentException if {@code threads} is below 1
     */
    public Parallel(int threads) {
        this(threads, Nodes.ONE);
    }

    /** The same, with workers that stay on the nodes of their machine, as many on each. */
    Parallel(int threads, Nodes nodes) {
        if (threads < 1) {
            throw new IllegalArgumentException("A pool of " + threads + " threads was asked for. "
                    + "Set jotune.threads to 1 or more.");
        }
        this.nodes = nodes;
        tickets = new AtomicLongArray(nodes.count() * LINE);
        workers = new Worker[threads - 1];
        for (int i = 0; i < workers.length; i++) {
            workers[i] = new Worker(i + 1, (i + 1) * nodes.count() / threads);
            workers[i].start();
        }
    }

    /** The pool all kernels use; system property {@code jotune.threads}, default the number of processors. */
    public static Parallel shared() {
        return Shared.POOL;
    }

    /** Threads of the shared pool, the caller included. */
    public static int sharedThreads() {
        return Shared.POOL.threads();
    }

    /** Runs {@code tasks} tasks on the shared pool and returns when all are done. */
    public static void run(int tasks, Task task) {
        Shared.POOL.execute(tasks, task);
    }

    /** Threads that work on a job, the caller included. */
    public int threads() {
        return workers.length + 1;
    }

    /**
     * Runs {@code todo} for every index in {@code [0, tasks)} and returns when all are done. If tasks throw, the
     * remaining ones are skipped and the first exception seen is thrown here.
     */
    public void execute(int tasks, Task todo) {
        if (tasks <= 1 || tasks > COUNT || workers.length == 0 || !busy.compareAndSet(false, true)) {
            for (int i = 0; i < tasks; i++) {
                todo.run(i);
            }
            return;
        }
        Throwable failure;
        try {
            task = todo;
            caller = Thread.currentThread();
            left.set(tasks);
            long job = (tickets.get(0) >>> 2 * COUNT_BITS) + 1;
            // The caller's own last: it begins only after that, while others may look for work between two of these.
            for (int node = nodes.count() - 1; node >= 0; node--) {
                long from = (long) tasks * node / nodes.count();
                long to = (long) tasks * (node + 1) / nodes.count();
                tickets.set(node * LINE, job << 2 * COUNT_BITS | to << COUNT_BITS | from);
            }
            int helpers = Math.min(workers.length, tasks - 1);
            for (int i = 0; i < helpers; i++) {
                LockSupport.unpark(workers[i]);
            }
            work(0);
            await();
        } finally {
            failure = error.getAndSet(null);
            // No reference to a finished job's task, and through it to the caller's memory.
            task = null;
            caller = null;
            busy.set(false);
        }
        if (failure != null) {
            // Thrown as it is, checked or not: a task can only throw what the caller's own loop could.
            Parallel.<RuntimeException>rethrow(failure);
        }
    }

    private static boolean hasTasks(long t) {
        return (t & COUNT) < (t >>> COUNT_BITS & COUNT);
    }

    /** Runs tasks of the current job, those of node {@code home} first, until all are handed out; true if there was one. */
    private boolean work(int home) {
        boolean any = false;
        for (int i = 0; i < nodes.count(); i++) {
            int at = (home + i) % nodes.count() * LINE;
            for (long t = tickets.get(at); hasTasks(t); t = tickets.get(at)) {
                Task todo = task;
                Thread waiting = caller;
                if (tickets.compareAndSet(at, t, t + 1)) {
                    any = true;
                    run(todo, waiting, (int) (t & COUNT));
                }
            }
        }
        return any;
    }

    private void run(Task todo, Thread waiting, int index) {
        try {
            if (error.get() == null) {
                todo.run(index);
            }
        } catch (Throwable failure) {
            error.compareAndSet(null, failure);
        } finally {
            if (left.decrementAndGet() == 0 && Thread.currentThread() != waiting) {
                LockSupport.unpark(waiting);
            }
        }
    }

    private void await() {
        long start = System.nanoTime();
        while (left.get() != 0) {
            if (System.nanoTime() - start < SPIN_NANOS) {
                Thread.onSpinWait();
            } else {
                LockSupport.park(this);
            }
        }
    }

    /** Ends the workers. A closed pool still runs jobs, on the caller's thread. */
    public void close() {
        closed = true;
        for (Worker worker : workers) {
            LockSupport.unpark(worker);
        }
    }

    @SuppressWarnings("unchecked")
    private static <E extends Throwable> void rethrow(Throwable error) throws E {
        throw (E) error;
    }

    private final class Worker extends Thread {
        private final int node;

        Worker(int number, int node) {
            super("jotune-worker-" + number);
            this.node = node;
            setDaemon(true);
        }

        @Override
        public void run() {
            nodes.stayOn(node);
            long idleSince = System.nanoTime();
            while (!closed) {
                if (work(node)) {
                    idleSince = System.nanoTime();
                } else if (System.nanoTime() - idleSince < SPIN_NANOS) {
                    Thread.onSpinWait();
                } else {
                    LockSupport.park(Parallel.this);
                    idleSince = System.nanoTime();
                }
            }
        }
    }
}
