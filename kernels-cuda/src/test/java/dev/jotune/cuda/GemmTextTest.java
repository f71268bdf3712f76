package dev.jotune.cuda;

import static org.assertj.core.api.Assertions.assertThat;

import dev.jotune.cuda.CudaSource.Chip;
import dev.jotune.cuda.GemmSources.Mma;
import dev.jotune.cuda.GemmSources.MmaF32;
import dev.jotune.cuda.GemmSources.Pieces;
import dev.jotune.cuda.GemmSources.Plain;
import dev.jotune.cuda.GemmSources.Size;
import dev.jotune.cuda.GemmSources.Wgmma;
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

/** What NVIDIA's compiler makes of the products on tensor cores: nothing spilled, so many registers, the instructions that they are for. */
class GemmTextTest {
    /** Registers that a group's items may have: 64 Ki on a unit. */
    private static final int UNIT_REGISTERS = 65536;

    @TempDir
    Path folder;

    @BeforeEach
    void compilerIsThere() {
        Nvcc.mustBeThere();
    }

    /** Every layout, every size and every type once. */
    static Map<String, CudaSource> warpProducts() {
        Map<String, CudaSource> all = new LinkedHashMap<>();
        all.put("plain", new Plain(DType.BF16, DType.F32).source());
        all.put("pieces", Pieces.ALL.source());
        all.put("grouped", new GroupedSources.Rows(DType.BF16, DType.BF16, DType.BF16, true, true, false).source());
        all.put("grouped, back", new GroupedSources.Rows(DType.F32, DType.F32, DType.F32, false, false, true).source());
        all.put("grouped runs", new GroupedSources.Runs(DType.F32, DType.F32, DType.F32, true, true, true).source());
        all.put("grouped runs, back", new GroupedSources.Runs(DType.F32, DType.BF16, DType.BF16, false, false, true).source());
        all.put("grouped gradients", new GroupedSources.Gradients(true).source());
        all.put("gradients", new GroupedSources.Gradients(false).source());
        all.put("log-sum-exp's end", CudaVocabulary.END);
        for (Mma m : List.of(new Mma(DType.BF16, DType.F32, true, true, Size.LARGE), new Mma(DType.BF16, DType.F32, false, false, Size.LARGE),
                new Mma(DType.BF16, DType.BF16, true, false, Size.MEDIUM), new Mma(DType.F16, DType.F16, false, true, Size.SMALL))) {
            all.put(m.toString(), m.source());
        }
        for (Size size : List.of(Size.PIECES, Size.SMALL)) {
            for (int rank : new int[] {Mma.RANKS, Mma.MOST_RANK}) {
                Mma m = new Mma(DType.BF16, DType.F32, true, rank == Mma.RANKS, size, rank);
                all.put(m.toString(), m.source());
            }
        }
        for (MmaF32 m : List.of(new MmaF32(DType.F32, false, true, true, true, Size.LARGE),
                new MmaF32(DType.F32, false, true, false, false, Size.LARGE), new MmaF32(DType.F32, false, false, false, true, Size.SMALL),
                new MmaF32(DType.F32, true, true, true, true, Size.PIECES), new MmaF32(DType.F32, true, false, false, false, Size.PIECES),
                new MmaF32(DType.BF16, true, true, false, true, Size.SMALL))) {
            all.put(m.toString(), m.source());
        }
        return all;
    }

    static Map<String, CudaSource> groupProducts() {
        Map<String, CudaSource> all = new LinkedHashMap<>();
        for (int layout = 0; layout < 4; layout++) {
            Wgmma w = new Wgmma(DType.BF16, DType.F32, layout % 2 == 0, layout / 2 == 0, 256, 1, false);
            all.put(w.toString(), w.source());
        }
        all.put("log-sum-exp", CudaVocabulary.PARTS);
        all.put("log-sum-exp of capped logits", CudaVocabulary.CAPPED_PARTS);
        for (Wgmma w : List.of(new Wgmma(DType.F16, DType.F16, true, true, 128, 1, false),
                new Wgmma(DType.F32, DType.F32, true, true, 256, 2, false), new Wgmma(DType.F32, DType.F32, true, true, 128, 1, false),
                new Wgmma(DType.BF16, DType.BF16, true, true, 256, 2, false),
                new Wgmma(DType.BF16, DType.F32, true, false, 256, 2, true), new Wgmma(DType.BF16, DType.F32, true, true, 128, 1, true))) {
            all.put(w.toString(), w.source());
        }
        return all;
    }

    @Test
    void productsOfWarpsStayInRegisters() throws IOException, InterruptedException {
        assertThat(problems(warpProducts(), Nvcc.compile(warpProducts(), Chip.SM80.architecture(), folder), 255)).isEmpty();
    }

    /** 168 registers are what 384 items may start with; the kernel hands them out anew. */
    @Test
    void productsOfWarpGroupsStayInRegisters() throws IOException, InterruptedException {
        Map<String, CudaSource> all = groupProducts();
        assertThat(problems(all, Nvcc.compile(all, Chip.SM90A.architecture(), folder), 168)).isEmpty();
    }

    @TestFactory
    Stream<DynamicTest> theTensorCoresAreUsed() {
        return Nvcc.disassembled("products", this::tensorCores);
    }

    private void tensorCores() throws IOException, InterruptedException {
        CudaSource warps = new Mma(DType.BF16, DType.F32, true, true, Size.MEDIUM).source();
        CudaSource groups = new Wgmma(DType.BF16, DType.F32, true, true, 256, 1, false).source();
        Map<String, CudaSource> all = Map.of("warps", warps, "groups", groups,
                "joined", new Mma(DType.BF16, DType.F32, true, true, Size.PIECES, Mma.RANKS).source(),
                "rounded", new MmaF32(DType.F32, false, true, true, true, Size.LARGE).source(),
                "pieces", new MmaF32(DType.F32, true, true, true, true, Size.PIECES).source(),
                "rounded groups", new Wgmma(DType.F32, DType.F32, true, true, 256, 1, false).source());
        Map<String, Report> made = Nvcc.compile(all, Chip.SM90A.architecture(), folder);
        assertThat(problems(all, made, 255)).isEmpty();
        assertThat(Nvcc.disassemble(made.get("rounded").cubin())).contains("HMMA.1688.F32.TF32", "LDGSTS", "LDSM").doesNotContain("LDL", "STL");
        assertThat(Nvcc.disassemble(made.get("pieces").cubin())).contains("HMMA.16816.F32.BF16", "LDGSTS", "LDSM").doesNotContain("LDL", "STL");
        assertThat(Nvcc.disassemble(made.get("rounded groups").cubin())).contains("HGMMA.64x256x8.F32.TF32", "UTMALDG", "UTMASTG")
                .doesNotContain("LDL", "STL");
        assertThat(Nvcc.disassemble(made.get("warps").cubin())).contains("HMMA.16816.F32.BF16", "LDGSTS", "LDSM").doesNotContain("LDL", "STL");
        assertThat(Nvcc.disassemble(made.get("joined").cubin())).contains("HMMA.16816.F32.BF16", "LDGSTS", "LDSM").doesNotContain("LDL", "STL");
        assertThat(Nvcc.disassemble(made.get("groups").cubin())).contains("HGMMA.64x256x16.F32.BF16", "UTMALDG", "UTMASTG", "SYNCS")
                .doesNotContain("LDL", "STL");
    }

    /** "Potential Performance Loss: wgmma.mma_async instructions are serialized" is no warning, and as bad as a spill. */
    private static boolean suspicious(Report r) {
        return r.log().contains("warning") || r.log().contains("serialized");
    }

    private static List<String> problems(Map<String, CudaSource> kernels, Map<String, Report> reports, int most) {
        List<String> problems = new ArrayList<>();
        reports.forEach((name, r) -> {
            int group = kernels.get(name).kernel().group();
            if (r.stack() != 0 || r.spills() != 0 || r.registers() > most || r.registers() * group > UNIT_REGISTERS || suspicious(r)) {
                problems.add(name + ": " + r.registers() + " registers, " + r.stack() + " bytes of stack, " + r.spills() + " of spills. "
                        + (r.registers() < 0 || suspicious(r) ? r.log() : ""));
            }
            if (Boolean.getBoolean("jotune.print")) {
                System.out.println(name + ": " + r.registers() + " registers");
            }
        });
        return problems;
    }
}
