package dev.jotune.models.hub;

import dev.jotune.models.ModelException;
import java.time.Duration;
import java.util.Optional;

/** A model that cannot be fetched: the message says what the server or the disk answered, and what to do. */
public final class HubException extends ModelException {

    private static final long serialVersionUID = 1L;

    /** Whether trying again may help. */
    private final boolean passing;
    /** How long the server asks to wait, or null. */
    private final Duration wait;

    HubException(String message) {
        this(message, null, false);
    }

    HubException(String message, Throwable cause, boolean passing) {
        this(message, cause, passing, null);
    }

    private HubException(String message, Throwable cause, boolean passing, Duration wait) {
        super(message, cause);
        this.passing = passing;
        this.wait = wait;
    }

    /** A server that cannot answer now. */
    static HubException busy(String message, Optional<Duration> wait) {
        return new HubException(message, null, true, wait.orElse(null));
    }

    Optional<Duration> wanted() {
        return Optional.ofNullable(wait);
    }

    boolean passing() {
        return passing;
    }
}
