package dev.jotune.tensor.cpu.simd;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class AttentionTest {
    private final Random random = new Random(11);

    private AttentionCase newCase(int b, int h, int g, int t, int d, int dv) {
        return new AttentionCase(random, b, h, g, t, d, dv);
    }

    @AfterEach
    void free() {
        Buf.freeAll();
    }

    @Test
    void everyHeadSize() {
        for (int d = 1; d <= 67; d++) {
            newCase(2, 2, 1, 5, d, 68 - d).segment(9, false).causal(4, 0).check();
        }
        AttentionCase large = newCase(1, 1, 1, 13, 256, 256).segment(70, false);
        large.scale = 0.06f;
        large.check();
    }

    @Test
    void everyNumberOfQueriesAndKeys() {
        for (int n = 1; n <= 67; n++) {
            newCase(1, 3, 1, n, 16, 16).segment(n, false).causal(0, 0).check();
            newCase(1, 1, 1, 3, 16, 20).segment(n, false).segment(68 - n, true).check();
            newCase(2, 4, 2, 1, 16, 16).segment(n, false).causal(n - 1, 0).check();
        }
    }

    @Test
    void severalBlocksOfQueriesAndKeys() {
        newCase(2, 4, 2, 150, 16, 16).segment(32, true).segment(150, false).causal(0, 0).check();
        newCase(1, 6, 2, 70, 24, 24).segment(7, true).segment(300, false).causal(230, 0).check();
        newCase(1, 2, 2, 210, 32, 16).segment(210, false).causal(0, 37).check();
    }

    @Test
    void queriesThatSeeNothing() {
        newCase(2, 2, 1, 20, 16, 16).segment(20, false).causal(-7, 0).check();
        newCase(2, 2, 1, 100, 8, 8).segment(80, false).causal(-90, 0).check();
        newCase(1, 1, 1, 4, 8, 8).segment(6, false).causal(Integer.MIN_VALUE, 0).check();
        newCase(1, 1, 1, 4, 8, 8).segment(6, false).causal(Integer.MAX_VALUE, 0).check();
        newCase(1, 1, 1, 4, 8, 8).check();
        newCase(1, 1, 1, 4, 8, 8).segment(0, false).check();
    }

    @Test
    void hiddenKeysBiasAndSoftcap() {
        newCase(3, 2, 1, 9, 16, 16).segment(41, false).visible(true).check();
        newCase(3, 2, 1, 9, 16, 16).segment(41, true).visible(false).segment(9, false).causal(0, 3).visible(true)
                .check();
        newCase(2, 4, 2, 17, 16, 16).segment(70, false).bias(true, true, true, true).softcap(2).check();
        newCase(2, 4, 2, 17, 16, 16).segment(70, false).bias(false, true, false, true).causal(53, 0).check();
        newCase(2, 4, 2, 3, 16, 16).segment(20, true).bias(false, false, true, false).softcap(0.7f).segment(5, false)
                .check();
    }

    @Test
    void gradientsThatAreNotWantedAreNotWritten() {
        AttentionCase c = newCase(2, 2, 1, 9, 16, 16).segment(12, true).segment(9, false).causal(0, 0);
        c.wanted = false;
        c.check();
    }

    @Test
    void largeScoresStayFinite() {
        AttentionCase c = newCase(1, 1, 1, 9, 16, 16).segment(80, false);
        c.scale = 30;
        c.check();
    }

    @Test
    void unevenHeadsAreRefused() {
        assertThatThrownBy(() -> new AttentionShape(1, 4, 3, 1, 8, 8, 1)).isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("4 query heads");
    }

    /** Everything at once: sizes around vectors and tiles, layouts, several segments, each with masks of its own. */
    @Test
    void anythingGoes() {
        for (int i = 0; i < 80; i++) {
            int g = 1 + random.nextInt(3);
            int t = random.nextInt(4) == 0 ? 60 + random.nextInt(90) : 1 + random.nextInt(67);
            int d = 1 + random.nextInt(67);
            AttentionCase c = newCase(1 + random.nextInt(3), g * (1 + random.nextInt(3)), g, t, d, random.nextBoolean() ? d : 1 + random.nextInt(67));
            c.headsInside = random.nextBoolean();
            c.scale = random.nextBoolean() ? 0.1f : 0.3f;
            for (int n = random.nextInt(3); n >= 0; n--) {
                int length = random.nextInt(10) == 0 ? 0 : 1 + random.nextInt(140);
                c.segment(length, random.nextBoolean());
                if (random.nextBoolean()) {
                    c.causal(random.nextInt(length + 40) - 20, random.nextInt(3) == 0 ? 1 + random.nextInt(50) : 0);
                }
                if (random.nextInt(3) == 0) {
                    c.visible(random.nextBoolean());
                }
                if (random.nextInt(3) == 0) {
                    c.bias(random.nextBoolean(), random.nextBoolean(), random.nextBoolean(), random.nextBoolean());
                }
                if (random.nextInt(4) == 0) {
                    c.softcap(1 + random.nextFloat());
                }
            }
            c.check();
        }
    }

    /** One batch entry and head: its queries are cut into chunks whose gradients are added up. */
    @Test
    void gradientsOfChunksOfQueries() {
        newCase(1, 1, 1, 600, 40, 48).segment(9, false).segment(600, false).causal(0, 0).check();
        newCase(2, 3, 1, 300, 64, 64).segment(9, true).segment(300, false).causal(0, 0).check();
    }

    @Test
    void theSameTwice() {
        AttentionCase c = newCase(2, 6, 2, 150, 64, 64).segment(32, true).segment(150, false).causal(0, 0);
        assertThat(c.bits()).isEqualTo(c.bits());
    }
}
