package dev.jotune.tensor;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.jotune.testing.SettledMemory;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Memory ends with its scope, unless kept, and is used again. */
class ScopeTest {
    private static final Backend R = Backends.reference();

    private static Tensor make() {
        return Tensor.zeros(R, DType.F32, 1000);
    }

    @BeforeEach
    void settle() {
        SettledMemory.inUse();
    }

    @Test
    void whatAStepMadeIsFreedAtItsEnd() {
        long before = HostMemory.bytesInUse();
        Tensor t;
        try (Scope step = Scope.open()) {
            t = make();
            assertThat(HostMemory.bytesInUse()).isGreaterThanOrEqualTo(before + 4000);
        }
        assertThat(t.storage().isAlive()).isFalse();
        assertThat(HostMemory.bytesInUse()).isEqualTo(before);
        assertThatThrownBy(t::toFloatArray).isInstanceOf(IllegalStateException.class)
                .hasMessageContaining("Scope.keep");
    }

    @Test
    void whatIsKeptBelongsToTheEnclosingScope() {
        Tensor kept;
        try (Scope outer = Scope.open()) {
            try (Scope inner = Scope.open()) {
                kept = inner.keep(make());
            }
            assertThat(kept.storage().isAlive()).isTrue();
        }
        assertThat(kept.storage().isAlive()).isFalse();
    }

    @Test
    void aViewKeepsTheWholeMemory() {
        try (Scope outer = Scope.open()) {
            Tensor view;
            try (Scope inner = Scope.open()) {
                view = inner.keep(make().slice(0, 10, 20));
            }
            assertThat(view.toFloatArray()).containsOnly(0);
        }
    }

    @Test
    void whatIsDetachedOutlivesEveryScope() {
        Tensor t;
        try (Scope outer = Scope.open(); Scope inner = Scope.open()) {
            t = Scope.detach(make());
        }
        assertThat(t.storage().isAlive()).isTrue();
        t.storage().free();
    }

    @Test
    void freeingEarlyAndTwiceIsHarmless() {
        long before = HostMemory.bytesInUse();
        try (Scope outer = Scope.open()) {
            Tensor t = make();
            try (Scope inner = Scope.open()) {
                Scope.free(t);
                assertThat(t.storage().isAlive()).isFalse();
                Scope.free(t);
                inner.freeIfOwned(t);
            }
            outer.close();
            outer.close();
        }
        assertThat(HostMemory.bytesInUse()).isEqualTo(before);
    }

    @Test
    void scopesCloseInnermostFirstAndOnTheirThread() throws InterruptedException {
        Scope outer = Scope.open();
        Scope inner = Scope.open();
        assertThatThrownBy(outer::close).isInstanceOf(IllegalStateException.class);
        AtomicReference<Throwable> elsewhere = new AtomicReference<>();
        Thread thread = new Thread(() -> {
            try {
                inner.close();
            } catch (IllegalStateException e) {
                elsewhere.set(e);
            }
        });
        thread.start();
        thread.join();
        assertThat(elsewhere.get()).isNotNull();
        inner.close();
        outer.close();
    }

    @Test
    void anotherThreadsTensorsAreItsOwn() throws InterruptedException {
        AtomicReference<Tensor> made = new AtomicReference<>();
        try (Scope step = Scope.open()) {
            Thread thread = new Thread(() -> made.set(make()));
            thread.start();
            thread.join();
        }
        assertThat(made.get().storage().isAlive()).isTrue();
        made.get().storage().free();
    }
}
