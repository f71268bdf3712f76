package dev.jotune.models.audio;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;

import dev.jotune.models.ModelException;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import javax.sound.sampled.AudioFileFormat;
import javax.sound.sampled.AudioFormat;
import javax.sound.sampled.AudioInputStream;
import javax.sound.sampled.AudioSystem;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class WaveformTest {
    @TempDir
    Path folder;

    private Waveform written(AudioFormat format, int... bytes) throws IOException {
        byte[] data = new byte[bytes.length];
        for (int i = 0; i < bytes.length; i++) {
            data[i] = (byte) bytes[i];
        }
        Path file = folder.resolve("sound.wav");
        AudioSystem.write(new AudioInputStream(new ByteArrayInputStream(data), format, data.length / format.getFrameSize()),
                AudioFileFormat.Type.WAVE, file.toFile());
        return Waveform.read(file);
    }

    @Test
    void samplesOfEveryWidthAreSharesOfTheLoudest() throws IOException {
        assertThat(written(new AudioFormat(8000, 8, 1, false, false), 0, 128, 192).samples()).containsExactly(-1, 0, 0.5f);
        Waveform w = written(new AudioFormat(16000, 16, 1, true, false), 0, 0x80, 0, 0, 0, 0x40, 1, 0);
        assertThat(w.samplingRate()).isEqualTo(16000);
        assertThat(w.samples()).containsExactly(-1, 0, 0.5f, 1f / 32768);
        assertThat(written(new AudioFormat(16000, 24, 1, true, false), 0, 0, 0x80, 0, 0, 0x40).samples()).containsExactly(-1, 0.5f);
        assertThat(written(new AudioFormat(16000, 32, 1, true, false), 0, 0, 0, 0xc0).samples()).containsExactly(-0.5f);
    }

    @Test
    void channelsAreAveraged() throws IOException {
        assertThat(written(new AudioFormat(16000, 16, 2, true, false), 0, 0x40, 0, 0x20, 0, 0xc0, 0, 0x40).samples())
                .containsExactly(0.375f, 0);
    }

    @Test
    void whatIsNoSoundIsRefused() throws IOException {
        Path file = Files.writeString(folder.resolve("text.wav"), "no sound at all");
        assertThatThrownBy(() -> Waveform.read(file)).isInstanceOf(ModelException.class).hasMessageContaining("text.wav is no sound");
        assertThatThrownBy(() -> Waveform.read(folder.resolve("none.wav"))).isInstanceOf(ModelException.class)
                .hasMessageContaining("none.wav");
    }

    @Test
    void damagedHeadersAreRefusedOrReadButNeverCrashOrHang() throws IOException {
        written(new AudioFormat(16000, 16, 2, true, false), new int[64]);
        byte[] whole = Files.readAllBytes(folder.resolve("sound.wav"));
        Path file = folder.resolve("damaged.wav");
        assertTimeoutPreemptively(Duration.ofMinutes(2), () -> {
            for (int i = 0; i < 48; i++) {
                for (int value : new int[] {0, 1, 0x20, 0x7f, 0xff}) {
                    byte[] bytes = whole.clone();
                    bytes[i] = (byte) value;
                    Files.write(file, bytes);
                    try {
                        assertThat(Waveform.read(file).samplingRate()).isPositive();
                    } catch (ModelException e) {
                        assertThat(e).hasMessageContaining("damaged.wav");
                    }
                }
            }
        });
    }

    @Test
    void framesLargerThanAnyBufferAreReadToTheEnd() throws IOException {
        int channels = 9000;
        byte[] data = new byte[3 * 2 * channels];
        Path file = folder.resolve("wide.wav");
        // The data go behind the header by hand: Java itself cannot write frames that large.
        AudioSystem.write(new AudioInputStream(new ByteArrayInputStream(data), new AudioFormat(16000, 16, channels, true, false), 3),
                AudioFileFormat.Type.WAVE, file.toFile());
        Files.write(file, data, StandardOpenOption.APPEND);
        assertThat(Waveform.read(file).samples()).hasSize(3);
    }
}
