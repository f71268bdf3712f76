package dev.jotune.cuda;

import static org.assertj.core.api.Assertions.assertThat;

import dev.jotune.tensor.DType;
import java.io.IOException;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What NVIDIA's compiler makes of the decode step's kernels. */
class DecodeTextTest {
    @TempDir
    private Path folder;

    /** The smallest and the largest instances. */
    static Map<String, CudaSource> all() {
        Map<String, CudaSource> all = new LinkedHashMap<>();
        all.put("embed", DecodeTexts.embed(DType.BF16));
        all.put("rotate", DecodeTexts.rotate(32, 8, 128, 64, true, DType.F32));
        all.put("attention of 64 features", DecodeTexts.attention(4, 64, DType.F32));
        all.put("attention of 128 features", DecodeTexts.attention(8, 128, DType.F32));
        all.put("attention of 256 features", DecodeTexts.attention(8, 256, DType.F32));
        all.put("attention to keys in BF16", DecodeTexts.attention(8, 128, DType.BF16));
        all.put("rotate into a cache in BF16", DecodeTexts.rotate(32, 8, 128, 64, true, DType.BF16));
        all.put("merge", DecodeTexts.merge(128));
        return all;
    }

    @Test
    void nothingIsSpilled() throws IOException, InterruptedException {
        Nvcc.mustBeThere();
        for (String chip : new String[] {"sm_80", "sm_90a"}) {
            Nvcc.compile(all(), chip, folder).forEach((name, r) -> {
                assertThat(r.spills()).as("%s on %s: %s", name, chip, r.log()).isZero();
                assertThat(r.stack()).as("%s on %s", name, chip).isZero();
            });
        }
    }
}
