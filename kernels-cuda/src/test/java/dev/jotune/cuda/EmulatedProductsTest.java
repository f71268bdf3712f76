package dev.jotune.cuda;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.FieldSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Tensor cores, asynchronous copies, mbarriers and clusters on the CPU: right under every schedule. */
class EmulatedProductsTest {
    static final List<String> SCHEDULES = EmulatedTexts.SCHEDULES;

    @ParameterizedTest
    @FieldSource("SCHEDULES")
    void warpsMultiplyWhatCopiesBring(String schedule) {
        assertThat(EmulatedTexts.mma(schedule, EmulatedTexts.whole())).containsExactly(EmulatedTexts.mmaProduct());
    }

    @ParameterizedTest
    @FieldSource("SCHEDULES")
    void warpGroupsMultiplyBoxesOfARing(String schedule) {
        assertThat(EmulatedTexts.wgmma(schedule, EmulatedTexts.whole())).containsExactly(EmulatedTexts.wgmmaProduct());
    }

    @ParameterizedTest
    @FieldSource("SCHEDULES")
    void groupsOfAClusterShareBoxesAndStoreTheirOwn(String schedule) {
        float[] x = EmulatedTexts.whole(64 * 64, 1);
        float[] before = EmulatedTexts.whole(64 * 64, 2);
        float[][] out = EmulatedTexts.cluster(schedule, EmulatedTexts.whole());
        for (int i = 0; i < 64; i++) {
            for (int j = 0; j < 64; j++) {
                float want = x[i * 64 + j % 32] + x[i * 64 + 32 + j % 32];
                assertThat(out[0][i * 64 + j]).isEqualTo(want);
                assertThat(out[1][i * 64 + j]).isEqualTo(before[i * 64 + j] + want);
            }
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {128, 64, 32, 16})
    void operandsMayLieInEveryWay(int span) {
        for (int wide : new int[] {64, 128, 192, 256}) {
            float[] want = EmulatedTexts.product(EmulatedTexts.whole(64 * 64, 1), EmulatedTexts.whole(wide * 64, 2), 64, wide, 64);
            for (int across = 0; across < 4; across++) {
                assertThat(EmulatedTexts.layouts(span, wide, across / 2 == 1, across % 2 == 1, false)).as("%d, %d", wide, across)
                        .containsExactly(want);
            }
            for (boolean across : new boolean[] {false, true}) {
                assertThat(EmulatedTexts.layouts(span, wide, false, across, true)).as("%d, a in registers, %s", wide, across).containsExactly(want);
            }
            float[] half = EmulatedTexts.product(EmulatedTexts.whole(64 * 32, 1), EmulatedTexts.whole(wide * 32, 2), 64, wide, 32);
            assertThat(EmulatedTexts.roundedLayouts(span, wide)).as("%d, TF32", wide).containsExactly(half);
        }
    }

    @Test
    void schedulesAreDeterministic() {
        String random = "schedule=random async=random seed=7";
        assertThat(EmulatedTexts.wgmma(random, EmulatedTexts.whole())).containsExactly(EmulatedTexts.wgmma(random, EmulatedTexts.whole()));
    }
}
