package dev.jotune.models.audio;

import dev.jotune.models.ModelException;
import java.io.BufferedInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import javax.sound.sampled.AudioFormat;
import javax.sound.sampled.AudioInputStream;
import javax.sound.sampled.AudioSystem;
import javax.sound.sampled.UnsupportedAudioFileException;

/**
 * Sound in one channel.
 *
 * @param samples in -1 .. 1; not copied
 * @param samplingRate samples a second
 */
public record Waveform(float[] samples, int samplingRate) {
    /**
     * Reads a WAV (or AIFF, AU) file of plain PCM; several channels are averaged.
     *
     * @throws ModelException saying what is wrong with the file
     */
    public static Waveform read(Path file) {
        try (InputStream bytes = new BufferedInputStream(Files.newInputStream(file));
                AudioInputStream sound = AudioSystem.getAudioInputStream(bytes)) {
            AudioFormat f = sound.getFormat();
            if (!isRead(f)) {
                throw new ModelException(file + " holds " + f + ", which is not read. Convert it to WAV with 16-bit PCM.");
            }
            return new Waveform(mono(bytes(sound, f.getFrameSize()), f), Math.round(f.getSampleRate()));
        } catch (UnsupportedAudioFileException | IllegalArgumentException | ArithmeticException | NegativeArraySizeException e) {
            throw new ModelException(file + " is no sound that can be read. Convert it to WAV with 16-bit PCM.", e);
        } catch (IOException e) {
            throw new ModelException("cannot read the sound " + file + ": " + e.getMessage(), e);
        }
    }

    private static boolean isRead(AudioFormat f) {
        int bits = f.getSampleSizeInBits();
        boolean known = isFloating(f) ? bits == 32
                : bits > 0 && bits <= 32 && bits % 8 == 0 && (isSigned(f) || f.getEncoding() == AudioFormat.Encoding.PCM_UNSIGNED);
        return known && f.getChannels() > 0 && f.getFrameSize() == f.getChannels() * (bits / 8) && f.getSampleRate() >= 1;
    }

    private static boolean isFloating(AudioFormat f) {
        return f.getEncoding() == AudioFormat.Encoding.PCM_FLOAT;
    }

    private static boolean isSigned(AudioFormat f) {
        return f.getEncoding() == AudioFormat.Encoding.PCM_SIGNED;
    }

    /**
     * Whole frames to the end. A stream of sound gives nothing while a frame is incomplete, and nothing for ever to a
     * buffer smaller than a frame: the buffer holds whole frames, and patience ends.
     */
    private static byte[] bytes(AudioInputStream sound, int frame) throws IOException {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        byte[] buffer = new byte[frame * Math.max(1, 65536 / frame)];
        int idle = 0;
        for (int n = sound.read(buffer); n >= 0 && idle < 1000; n = sound.read(buffer)) {
            out.write(buffer, 0, n);
            idle = n == 0 ? idle + 1 : 0;
        }
        return out.toByteArray();
    }

    private static float[] mono(byte[] data, AudioFormat f) {
        int bytes = f.getSampleSizeInBits() / 8;
        int channels = f.getChannels();
        float[] out = new float[data.length / (bytes * channels)];
        double scale = Math.scalb(1.0, 1 - 8 * bytes);
        for (int i = 0, at = 0; i < out.length; i++) {
            double sum = 0;
            for (int c = 0; c < channels; c++, at += bytes) {
                int v = 0;
                for (int b = 0; b < bytes; b++) {
                    int from = f.isBigEndian() ? at + b : at + bytes - 1 - b;
                    v = v << 8 | data[from] & 0xff;
                }
                int shift = 32 - 8 * bytes;
                sum += isFloating(f) ? Float.intBitsToFloat(v)
                        : (isSigned(f) ? v << shift >> shift : v - (1 << 8 * bytes - 1)) * scale;
            }
            out[i] = (float) (sum / channels);
        }
        return out;
    }
}
