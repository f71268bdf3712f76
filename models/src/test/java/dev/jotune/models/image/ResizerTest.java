package dev.jotune.models.image;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Arrays;
import java.util.zip.CRC32;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

class ResizerTest {
    /** Checksums of what Pillow 12.3.0 makes of the same picture: smaller, larger, one edge kept, one edge each way. */
    @ParameterizedTest
    @CsvSource({
        "NEAREST, 2059903904, 1892542158, 1018984316, 2961459866",
        "LANCZOS, 2023917928, 3332247104, 1298186463, 128704242",
        "BILINEAR, 108533984, 2199621208, 313256544, 759105318",
        "BICUBIC, 1158983350, 1078845234, 3535492050, 3585870697",
        "BOX, 1655922821, 1892542158, 1581042614, 1291731293",
        "HAMMING, 895048861, 1228616152, 2641862875, 653067729"
    })
    void everyFilterGivesPillowsBytes(Resample filter, long smaller, long larger, long oneEdge, long eachWay) {
        byte[] bytes = new byte[29 * 23 * 3];
        for (int i = 0; i < bytes.length; i++) {
            bytes[i] = (byte) (i * i * 31 + i * 17 >> 3);
        }
        RgbImage image = new RgbImage(29, 23, bytes);
        assertThat(new long[] {crc(image, 10, 9, filter), crc(image, 47, 40, filter), crc(image, 29, 11, filter),
            crc(image, 64, 5, filter)}).containsExactly(smaller, larger, oneEdge, eachWay);
    }

    private static long crc(RgbImage image, int height, int width, Resample filter) {
        CRC32 crc = new CRC32();
        crc.update(Resizer.resize(image, height, width, filter).pixels());
        return crc.getValue();
    }

    @ParameterizedTest
    @EnumSource
    void oneColourStaysThatColour(Resample filter) {
        byte[] bytes = new byte[13 * 7 * 3];
        Arrays.fill(bytes, (byte) 201);
        for (int size : new int[] {1, 2, 5, 13, 40}) {
            assertThat(Resizer.resize(new RgbImage(13, 7, bytes), size, size, filter).pixels()).containsOnly(201);
        }
    }

    @Test
    void theSameSizeIsTheSamePicture() {
        byte[] bytes = {1, 2, 3, 40, 50, 60};
        assertThat(Resizer.resize(new RgbImage(2, 1, bytes), 2, 1, Resample.BICUBIC).pixels()).isEqualTo(bytes);
    }
}
