package dev.jotune.models.hub;

import java.time.Duration;
import java.util.function.Supplier;

/**
 * Tries again what failed for a passing reason, waiting twice as long each time, or as long as the server asks.
 *
 * @param attempts how often in all
 * @param pause before the second attempt
 * @param longest wait that a server may ask for
 */
record Retry(int attempts, Duration pause, Duration longest) {

    /** Waits about half a minute in all. */
    static final Retry USUAL = new Retry(6, Duration.ofSeconds(1), Duration.ofMinutes(5));

    <T> T run(Supplier<T> work, PullListener listener) {
        for (int attempt = 1; ; attempt++) {
            try {
                return work.get();
            } catch (HubException e) {
                Duration wait = e.wanted().orElse(pause.multipliedBy(1L << Math.min(attempt - 1, 6)));
                if (!e.passing() || attempt >= attempts || wait.compareTo(longest) > 0) {
                    throw e;
                }
                listener.onNote(e.getMessage() + " Trying again in " + Math.max(1, wait.toSeconds()) + " s.");
                sleep(wait);
            }
        }
    }

    private static void sleep(Duration wait) {
        try {
            Thread.sleep(wait);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new HubException("The pull was interrupted. Run it again; what was fetched is kept.", e, false);
        }
    }
}
