package dev.jotune.models.hub;

/** Hears how a pull goes; called from several threads, one at a time. */
public interface PullListener {

    /** What is about to be fetched: so many files, together so many bytes (0 where the server does not say). */
    default void onStart(int files, long bytes) {}

    /** Bytes that are now on the disk; negative where some had to be thrown away. */
    default void onBytes(long bytes) {}

    /** A file is whole, fetched just now or found in the cache. */
    default void onFile(String path, boolean fetched) {}

    /** Something that people may want to know, such as a pause. */
    default void onNote(String note) {}
}
