package dev.jotune.cuda;

import static org.assertj.core.api.Assertions.assertThat;

import dev.jotune.cuda.AttentionGroups.Pass;
import dev.jotune.cuda.AttentionKernels.Kind;
import dev.jotune.cuda.AttentionKernels.Tile;
import dev.jotune.cuda.CudaSource.Chip;
import dev.jotune.cuda.Nvcc.Report;
import dev.jotune.tensor.DType;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.io.TempDir;

/** What NVIDIA's compiler makes of attention on tensor cores: nothing spilled, and the instructions that it is for. */
class AttentionTextTest {
    /** What an item can have, and what it has of a unit's where 512 or 384 begin. */
    private static final int MOST_REGISTERS = 255;
    private static final int UNIT_REGISTERS = 65536;
    /** What every chip from 8.0 on lets a group have. */
    private static final int LEAST_SHARED = 99 * 1024;

    @TempDir
    Path folder;

    @BeforeEach
    void compilerIsThere() {
        Nvcc.mustBeThere();
    }

    /** Every tile with every width, and each option once. */
    static Map<String, CudaSource> ofWarps() {
        Map<String, CudaSource> all = new LinkedHashMap<>();
        for (int width : new int[] {64, 96, 128, 192, 256}) {
            Kind kind = new Kind(DType.BF16, width, 2, false, false, DType.F32);
            for (long rows : new long[] {1, 64, 128}) {
                Tile tile = AttentionKernels.forwardTile(width, rows);
                all.put("forward of " + rows + " x " + width, AttentionKernels.forward(tile, kind));
            }
            all.put("plain " + width, AttentionKernels.plain(kind));
            all.put("query " + width, AttentionKernels.query(AttentionKernels.queryTile(width), kind));
            boolean both = width <= AttentionKernels.BOTH_WIDTH;
            all.put("keys " + width, AttentionKernels.keys(AttentionKernels.keysTile(width), kind, true, both));
            all.put("values " + width, AttentionKernels.keys(AttentionKernels.keysTile(width), kind, false, true));
        }
        for (int width : new int[] {64, 128}) {
            Kind other = new Kind(DType.F16, width, 1, true, true, DType.F16);
            all.put("plain, capped and masked " + width, AttentionKernels.plain(other));
            all.put("forward, capped and masked " + width, AttentionKernels.forward(AttentionKernels.forwardTile(width, 128), other));
            all.put("query, capped and masked " + width, AttentionKernels.query(AttentionKernels.queryTile(width), other));
            all.put("keys, capped and masked " + width, AttentionKernels.keys(AttentionKernels.keysTile(width), other, true, true));
        }
        return all;
    }

    static Map<String, CudaSource> ofGroups() {
        Map<String, CudaSource> all = new LinkedHashMap<>();
        for (Pass pass : Pass.values()) {
            for (int width = 64; width <= pass.widest(); width += 64) {
                all.put("groups, " + pass + " " + width, AttentionGroups.source(pass, new Kind(DType.BF16, width, 2, false, false, DType.F32)));
                all.put("groups, masked, " + pass + " " + width,
                        AttentionGroups.source(pass, new Kind(DType.BF16, width, 2, false, true, DType.BF16)));
                all.put("groups, capped, " + pass + " " + width, AttentionGroups.source(pass, new Kind(DType.F16, width, 1, true, false, DType.F16)));
            }
        }
        return all;
    }

    private void stayInRegisters(Map<String, CudaSource> all, Chip chip) throws IOException, InterruptedException {
        List<String> problems = new ArrayList<>();
        Nvcc.compile(all, chip.architecture(), folder).forEach((name, r) -> {
            int most = Math.min(MOST_REGISTERS, UNIT_REGISTERS / all.get(name).kernel().group());
            // Serialised products of warp groups are a remark to the compiler, and as bad as a spill.
            if (r.stack() != 0 || r.spills() != 0 || r.registers() > most || r.log().contains("warning") || r.log().contains("serialized")) {
                problems.add(name + ": " + r);
            }
            if (Boolean.getBoolean("jotune.print")) {
                System.out.println(chip + " " + name + ": " + r.registers() + " registers, " + all.get(name).sharedBytes() + " bytes");
            }
        });
        assertThat(problems).isEmpty();
    }

    @Test
    void kernelsForWarpsStayInRegisters() throws IOException, InterruptedException {
        for (Chip chip : Chip.values()) {
            stayInRegisters(ofWarps(), chip);
        }
    }

    @Test
    void kernelsForWarpGroupsStayInRegisters() throws IOException, InterruptedException {
        stayInRegisters(ofGroups(), Chip.SM90A);
    }

    @Test
    void sharedMemoryFitsEveryChip() {
        ofWarps().forEach((name, kernel) -> assertThat(kernel.sharedBytes()).as(name).isLessThanOrEqualTo(LEAST_SHARED));
    }

    @TestFactory
    Stream<DynamicTest> theTensorCoresAreUsed() {
        return Nvcc.disassembled("attention", this::tensorCores);
    }

    private void tensorCores() throws IOException, InterruptedException {
        Map<String, CudaSource> warps = ofWarps();
        assertThat(Nvcc.disassemble(Nvcc.compile(Map.of("plain", warps.get("plain 128")), Chip.SM80.architecture(), folder).get("plain").cubin()))
                .contains("HMMA.16816.F32.BF16", "LDSM").doesNotContain("LDGSTS", "LDL", "STL");
        warps.keySet().retainAll(List.of("forward of 128 x 128", "query 128", "keys 128", "forward of 1 x 128"));
        for (Report r : Nvcc.compile(warps, Chip.SM80.architecture(), folder).values()) {
            assertThat(Nvcc.disassemble(r.cubin())).contains("HMMA.16816.F32.BF16", "LDGSTS", "LDSM", "MUFU.EX2").doesNotContain("LDL", "STL");
        }
        Map<String, CudaSource> groups = ofGroups();
        groups.keySet().retainAll(List.of("groups, FORWARD 128", "groups, QUERY 128", "groups, KEYS 128"));
        assertThat(groups).hasSize(3);
        for (Report r : Nvcc.compile(groups, Chip.SM90A.architecture(), folder).values()) {
            assertThat(Nvcc.disassemble(r.cubin())).contains("HGMMA.64x", "x16.F32.BF16", "UTMALDG.4D", "SYNCS", "MUFU.EX2")
                    .doesNotContain("LDL", "STL");
        }
    }
}
