package dev.jotune.tensor.cpu.simd;

import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.LockSupport;

/**
 * A fixed set of daemon threads that run the numbered tasks of one job at a time; the caller works too.
 *
 * <p>Which thread runs a task is decided at run time, what a task does is decided by its number alone: results
 * never depend on timing. A job started while another one runs (from a task, or from a second thread) is run
 * inline by its caller. Idle workers spin for about 40 microseconds, then park; waking always unparks, since
 * looking at a worker's state first loses wake-ups.
 */
public final class Parallel {
    /** One piece of a job; called once for every index, from any thread. */
    @FunctionalInterface
    public interface Task {
        void run(int index);
    }

    private static final long SPIN_NANOS = 40_000;

    private final AtomicBoolean busy = new AtomicBoolean();
    private final Worker[] workers;
    private volatile Job current;
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
     * Runs {@code task} for every index in {@code [0, tasks)} and returns when all are done. If tasks throw, the
     * remaining ones are skipped and the first exception seen is thrown here.
     */
    public void execute(int tasks, Task task) {
        if (tasks <= 1 || workers.length == 0 || !busy.compareAndSet(false, true)) {
            for (int i = 0; i < tasks; i++) {
                task.run(i);
            }
            return;
        }
        Job job = new Job(task, tasks);
        try {
            current = job;
            int helpers = Math.min(workers.length, tasks - 1);
            for (int i = 0; i < helpers; i++) {
                LockSupport.unpark(workers[i]);
            }
            job.work();
            job.await();
        } finally {
            current = null;
            busy.set(false);
        }
        Throwable error = job.error.get();
        if (error != null) {
            // Thrown as it is, checked or not: a task can only throw what the caller's own loop could.
            Parallel.<RuntimeException>rethrow(error);
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

    private static final class Job {
        final Task task;
        final int tasks;
        final Thread caller = Thread.currentThread();
        final AtomicInteger next = new AtomicInteger();
        final AtomicInteger left;
        final AtomicReference<Throwable> error = new AtomicReference<>();

        Job(Task task, int tasks) {
            this.task = task;
            this.tasks = tasks;
            left = new AtomicInteger(tasks);
        }

        void work() {
            int index;
            while ((index = next.getAndIncrement()) < tasks) {
                try {
                    if (error.get() == null) {
                        task.run(index);
                    }
                } catch (Throwable failure) {
                    error.compareAndSet(null, failure);
                } finally {
                    if (left.decrementAndGet() == 0) {
                        LockSupport.unpark(caller);
                    }
                }
            }
        }

        void await() {
            long start = System.nanoTime();
            while (left.get() != 0) {
                if (System.nanoTime() - start < SPIN_NANOS) {
                    Thread.onSpinWait();
                } else {
                    LockSupport.park(this);
                }
            }
        }
    }

    private final class Worker extends Thread {
        Worker(int number) {
            super("jotune-worker-" + number);
            setDaemon(true);
        }

        @Override
        public void run() {
            Job last = null;
            long idleSince = System.nanoTime();
            while (!closed) {
                Job job = current;
                if (job != null && job != last) {
                    job.work();
                    last = job;
                    idleSince = System.nanoTime();
                } else if (System.nanoTime() - idleSince < SPIN_NANOS) {
                    Thread.onSpinWait();
                } else {
                    // Keep no reference to a finished job (and through it to the caller's memory) while asleep.
                    if (job == null) {
                        last = null;
                    }
                    LockSupport.park(this);
                    idleSince = System.nanoTime();
                }
            }
        }
    }
}
