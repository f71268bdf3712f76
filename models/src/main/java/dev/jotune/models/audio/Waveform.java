package dev.jotune.models.audio;

import dev.jotune.models.ModelException;
import java.io.BufferedInputStream;
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
            int width = f.getSampleSizeInBits();
            boolean signed = f.getEncoding() == AudioFormat.Encoding.PCM_SIGNED;
            boolean floating = f.getEncoding() == AudioFormat.Encoding.PCM_FLOAT && width == 32;
            if (!floating && (width % 8 != 0 || width > 32 || !signed && f.getEncoding() != AudioFormat.Encoding.PCM_UNSIGNED)) {
                throw new ModelException(file + " holds " + f + ", which is not read. Convert it to WAV with 16-bit PCM.");
            }
            byte[] data = sound.readAllBytes();
            return new Waveform(mono(data, f, floating, signed), Math.round(f.getSampleRate()));
        } catch (UnsupportedAudioFileException e) {
            throw new ModelException(file + " is no sound that can be read. Convert it to WAV with 16-bit PCM.", e);
        } catch (IOException e) {
            throw new ModelException("cannot read the sound " + file + ": " + e.getMessage(), e);
        }
    }

    private static float[] mono(byte[] data, AudioFormat f, boolean floating, boolean signed) {
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
                sum += floating ? Float.intBitsToFloat(v)
                        : (signed ? v << shift >> shift : v - (1 << 8 * bytes - 1)) * scale;
            }
            out[i] = (float) (sum / channels);
        }
        return out;
    }
}
