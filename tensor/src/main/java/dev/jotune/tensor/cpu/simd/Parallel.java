package dev.jotune.tensor.cpu.simd;

import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.LockSupport;

/**
 * A fixed set of daemon threads that run the numbered tasks of one job at a time; the caller works too.
 *
 * <p>Which thread runs a task is decided at run time, what a task does is decided by its number alone: results
 * never depend on timing. A job started while another one runs (from a task, or from a second thread) is run
 * inline by its caller. Idle workers spin for about 40 microseconds, then park; waking always unparks, since
 * looking at a worker's state first loses wake-ups. Handing out a job allocates nothing.
 */
public final class Parallel {
    /** One piece of a job; called once for every index, from any thread. */
    @FunctionalInterface
    public interface Task {
        void run(int index);
    }

    private static final long SPIN_NANOS = 40_000;
    /** A ticket is the number of a job, how many tasks it has, and how many of them were handed out. */
    private static final int COUNT_BITS = 20;
    private static final long COUNT = (1L << COUNT_BITS) - 1;

    private final AtomicBoolean busy = new AtomicBoolean();
    private final Worker[] workers;
    private final AtomicLong ticket = new AtomicLong();
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
                new Parallel(Integer.getInteger("jotune.threads", Runtime.getRuntime().availableProcessors()));
    }

    /**
     * Starts {@code threads - 1} workers.
     *
     * @throws IllegalArgumentException if {@code threads} is below 1
     */
    public Parallel(int threads) {
        if (threads < 1) {
            throw new IllegalArgumentException("A pool of " + threads + " threads was asked for. "
                    + "Set jotune.threads to 1 or more.");
        }
        workers = new Worker[threads - 1];
        for (int i = 0; i < workers.length; i++) {
            workers[i] = new Worker(i + 1);
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
            long job = (ticket.get() >>> 2 * COUNT_BITS) + 1;
            ticket.set(job << 2 * COUNT_BITS | (long) tasks << COUNT_BITS);
            int helpers = Math.min(workers.length, tasks - 1);
            for (int i = 0; i < helpers; i++) {
                LockSupport.unpark(workers[i]);
            }
            work();
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

    /** Runs tasks of the current job until all are handed out; true if there was one. */
    private boolean work() {
        boolean any = false;
        while (true) {
            long t = ticket.get();
            if (!hasTasks(t)) {
                return any;
            }
            Task todo = task;
            Thread waiting = caller;
            if (ticket.compareAndSet(t, t + 1)) {
                any = true;
                run(todo, waiting, (int) (t & COUNT));
            }
        }
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
        Worker(int number) {
            super("jotune-worker-" + number);
            setDaemon(true);
        }

        @Override
        public void run() {
            long idleSince = System.nanoTime();
            while (!closed) {
                if (work()) {
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
