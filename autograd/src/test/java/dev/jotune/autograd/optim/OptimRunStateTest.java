package dev.jotune.autograd.optim;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.jotune.tensor.Backend;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.WritableByteChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class OptimRunStateTest {
    private static final Backend CPU = Backends.cpu();

    @TempDir
    private Path folder;

    private static RunState state(long step) {
        Tensor p = Tensor.of(CPU, new float[] {step, 1.5f, Float.MIN_VALUE, -0f}, 2, 2);
        Tensor m = Tensor.of(Backends.reference(), DType.F64, new double[] {Math.PI * step}, 1);
        return new RunState(step, -7, 1L << 40, List.of(0.1 + 0.2, 1e-310, (double) step), "c0ffee",
                Map.of("epoch", "3\n\u00e4"), Map.of("layer.weight", p), Map.of("adam.m.layer.weight", m));
    }

    private List<String> files() throws IOException {
        try (Stream<Path> all = Files.list(folder)) {
            return all.map(f -> f.getFileName().toString()).sorted().toList();
        }
    }

    private RunState.Loaded latest() throws IOException {
        return RunState.latest(folder, CPU).orElseThrow();
    }

    @Test
    void everythingComesBackExactly() throws IOException {
        state(12).save(folder);
        RunState got = latest().state();
        RunState want = state(12);
        assertThat(got.step()).isEqualTo(12);
        assertThat(got.seed()).isEqualTo(-7);
        assertThat(got.dataPosition()).isEqualTo(1L << 40);
        assertThat(got.losses()).isEqualTo(want.losses());
        assertThat(got.configHash()).isEqualTo("c0ffee");
        assertThat(got.notes()).isEqualTo(want.notes());
        assertThat(got.parameters().get("layer.weight").toFloatArray())
                .isEqualTo(want.parameters().get("layer.weight").toFloatArray());
        assertThat(got.parameters().get("layer.weight").shape()).containsExactly(2, 2);
        Tensor m = got.optimizer().get("adam.m.layer.weight");
        assertThat(m.dtype()).isEqualTo(DType.F64);
        assertThat(m.item()).isEqualTo(Math.PI * 12);
    }

    @Test
    void whatWasLoadedCanBeTrained() throws IOException {
        state(1).save(folder);
        Tensor p = latest().state().parameters().get("layer.weight");
        CPU.fill(p, 4);
        assertThat(p.toFloatArray()).containsOnly(4f);
    }

    @Test
    void onlyTheTailOfTheLossesIsKept() {
        List<Double> many = IntStream.range(0, 1000).mapToObj(i -> (double) i).toList();
        RunState run = new RunState(1, 0, 0, many, "", Map.of(), Map.of(), Map.of());
        assertThat(run.losses()).hasSize(RunState.LOSS_TAIL).endsWith(999.0);
    }

    @Test
    void theLastTwoCheckpointsStay() throws IOException {
        for (long step : new long[] {5, 10, 15, 20}) {
            state(step).save(folder);
        }
        assertThat(files()).containsExactly(RunFiles.name(15), RunFiles.name(20));
        assertThat(latest().state().step()).isEqualTo(20);
        assertThat(latest().problems()).isEmpty();
    }

    @Test
    void anEmptyOrMissingFolderHasNoState() throws IOException {
        assertThat(RunState.latest(folder, CPU)).isEmpty();
        assertThat(RunState.latest(folder.resolve("missing"), CPU)).isEmpty();
    }

    @Test
    void aTruncatedFileFallsBackToTheOneBefore() throws IOException {
        state(1).save(folder);
        Path newest = state(2).save(folder);
        byte[] whole = Files.readAllBytes(newest);
        for (int length = 0; length < whole.length; length += 97) {
            Files.write(newest, Arrays.copyOf(whole, length));
            RunState.Loaded loaded = latest();
            assertThat(loaded.state().step()).as("cut to %d bytes", length).isEqualTo(1);
            assertThat(loaded.problems()).singleElement().asString().contains(RunFiles.name(2));
        }
        Files.write(newest, Arrays.copyOf(whole, whole.length - 1));
        assertThat(latest().state().step()).isEqualTo(1);
        Files.write(newest, whole);
        assertThat(latest().state().step()).isEqualTo(2);
    }

    @Test
    void aDamagedByteAnywhereFallsBackToTheOneBefore() throws IOException {
        state(1).save(folder);
        Path newest = state(2).save(folder);
        byte[] whole = Files.readAllBytes(newest);
        for (int at = 0; at < whole.length; at++) {
            byte[] damaged = whole.clone();
            damaged[at] ^= 0x11;
            Files.write(newest, damaged);
            assertThat(latest().state().step()).as("byte %d", at).isEqualTo(1);
        }
    }

    @Test
    void aFullDiskLeavesTheOldCheckpoints() throws IOException {
        state(1).save(folder);
        Path newest = state(2).save(folder);
        int size = (int) Files.size(newest);
        for (int room = 0; room < size; room += 41) {
            int limit = room;
            assertThatThrownBy(() -> state(3).save(folder, channel -> new Limited(channel, limit)))
                    .isInstanceOf(IOException.class).hasMessageContaining("No space left");
            assertThat(files()).containsExactly(RunFiles.name(1), RunFiles.name(2));
            assertThat(latest().state().step()).isEqualTo(2);
        }
        state(3).save(folder, channel -> new Limited(channel, size));
        assertThat(latest().state().step()).isEqualTo(3);
    }

    @Test
    void aReadableLaterStepIsNotThrownAway() throws IOException {
        state(9).save(folder);
        assertThatThrownBy(() -> state(3).save(folder)).isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("later than step 3");
        assertThat(latest().state().step()).isEqualTo(9);
    }

    @Test
    void anUnreadableLaterStepGoesOnceTheRunHasGoneOn() throws IOException {
        state(4).save(folder);
        Files.write(state(8).save(folder), new byte[10]);
        state(6).save(folder);
        assertThat(files()).containsExactly(RunFiles.name(4), RunFiles.name(6));
    }

    @Test
    void damagedCheckpointsAloneAreAnErrorThatNamesThem() throws IOException {
        Files.write(state(4).save(folder), new byte[100]);
        assertThatThrownBy(() -> RunState.latest(folder, CPU)).isInstanceOf(IOException.class)
                .hasMessageContaining(RunFiles.name(4));
    }

    @Test
    void aFileUnderTheNameOfAnotherStepIsNotUsed() throws IOException {
        state(4).save(folder);
        Files.copy(folder.resolve(RunFiles.name(4)), folder.resolve(RunFiles.name(7)));
        RunState.Loaded loaded = latest();
        assertThat(loaded.state().step()).isEqualTo(4);
        assertThat(loaded.problems()).singleElement().asString().contains(RunFiles.name(7));
    }

    /** A disk with room for so many bytes. */
    private static final class Limited implements WritableByteChannel {
        private final WritableByteChannel target;
        private int room;

        Limited(WritableByteChannel target, int room) {
            this.target = target;
            this.room = room;
        }

        @Override
        public int write(ByteBuffer source) throws IOException {
            if (source.remaining() > room) {
                ByteBuffer part = source.slice(source.position(), room);
                target.write(part);
                throw new IOException("No space left on device");
            }
            room -= source.remaining();
            return target.write(source);
        }

        @Override
        public boolean isOpen() {
            return target.isOpen();
        }

        @Override
        public void close() throws IOException {
            target.close();
        }
    }
}
