package dev.jotune.models.hub;

import java.io.IOException;
import java.io.InputStream;

/** Closes a stream from which nothing has come for a while, so that whoever waits for it hears of it. */
final class Watchdog implements AutoCloseable {

    private final Thread thread;
    private volatile long last = System.nanoTime();
    private volatile boolean bitten;

    Watchdog(InputStream stream, long millis) {
        thread = Thread.ofVirtual().start(() -> {
            try {
                for (long left = millis; left > 0; left = millis - (System.nanoTime() - last) / 1_000_000) {
                    Thread.sleep(left);
                }
                bitten = true;
                stream.close();
            } catch (InterruptedException | IOException e) {
                // Nothing to watch any more.
            }
        });
    }

    void calm() {
        last = System.nanoTime();
    }

    boolean bitten() {
        return bitten;
    }

    @Override
    public void close() {
        thread.interrupt();
    }
}
