package dev.jotune.kernels.x86.gemm;

import static org.assertj.core.api.Assertions.assertThat;

import dev.jotune.kernels.x86.asm.Ranges;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.cpu.simd.Parallel;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import org.junit.jupiter.api.Test;

/** What a product fetches ahead of a panel is what making or reading the panel takes, and no more. */
class StretchesTest {
    private static final VectorPanels COPIES = new VectorPanels(RealCode.hasVectors() ? new RealCode() : new EmulatedCode(new Ranges()));

    /** A kept weight of which some bytes are turned into others, and a panel of one of its directions. */
    private record Case(FrozenPanels weight, Panels panels, int panel, int k, int steps) {
        /** What the kernel reads: the panel made, or where it is kept its words of one or two steps. */
        byte[] made() {
            try (Arena arena = Arena.ofConfined()) {
                MemorySegment target = arena.allocate((long) Product.pad(steps) * TileCode.PANEL_ROW, 64);
                if (panels.areKept()) {
                    long words = (weight.paired ? Operands.BF16 : Operands.F32).words(steps);
                    target.copyFrom(MemorySegment.ofAddress(panels.address(panel, k)).reinterpret(words * TileCode.PANEL_ROW));
                } else {
                    panels.fill(panel, k, steps, target.address());
                }
                return target.toArray(ValueLayout.JAVA_BYTE);
            }
        }

        Stretches source() {
            return panels.source(panel, k, steps);
        }

        private MemorySegment all() {
            return MemorySegment.ofAddress(weight.address(0, 0)).reinterpret(weight.byteSize());
        }

        /** The panel after some bytes of the weight became others. */
        byte[] changed(boolean[] which) {
            byte[] before = all().toArray(ValueLayout.JAVA_BYTE);
            byte[] after = before.clone();
            for (int i = 0; i < before.length; i++) {
                after[i] ^= (byte) (which[i] ? 0x15 : 0);
            }
            all().copyFrom(MemorySegment.ofArray(after));
            byte[] made = made();
            all().copyFrom(MemorySegment.ofArray(before));
            return made;
        }

        void check() {
            byte[] made = made();
            Stretches s = source();
            boolean[] outside = new boolean[Math.toIntExact(weight.byteSize())];
            Arrays.fill(outside, true);
            for (int i = 0; i < s.count(); i++) {
                for (long row = 0; row < s.bytes(); row += TileCode.PANEL_ROW) {
                    int from = Math.toIntExact(s.address(i) + row - all().address());
                    Arrays.fill(outside, from, from + TileCode.PANEL_ROW, false);
                    boolean[] inside = new boolean[outside.length];
                    Arrays.fill(inside, from, from + TileCode.PANEL_ROW, true);
                    assertThat(changed(inside)).as("%s, stretch %s changed at %s", this, i, row).isNotEqualTo(made);
                }
            }
            assertThat(changed(outside)).as("%s, the rest changed", this).isEqualTo(made);
        }
    }

    @Test
    void aPanelDependsOnEveryRowOfItsStretchesAndOnNothingElse() {
        for (DType type : new DType[] {DType.F32, DType.BF16}) {
            Tensor values = Tensor.empty(Backends.cpu(), DType.F32, 200, 150);
            Backends.cpu().normal(values, 1, 2);
            FrozenPanels weight = new FrozenPanels(values.to(type), Parallel.shared(), COPIES);
            for (boolean rounded : new boolean[] {false, true}) {
                for (int panel = 0; panel < 4; panel++) {
                    new Case(weight, weight.forward(rounded, COPIES), panel, 0, 150).check();
                    new Case(weight, weight.forward(rounded, COPIES), panel, 64, 64).check();
                }
                for (int panel = 0; panel < 3; panel++) {
                    new Case(weight, weight.back(rounded, COPIES), panel, 0, 200).check();
                    new Case(weight, weight.back(rounded, COPIES), panel, 64, 136).check();
                }
            }
        }
    }

    @Test
    void aPiecedPanelIsFetchedAsTheWholeOneThatItIsMadeOf() {
        FrozenPanels weight = new FrozenPanels(Tensor.full(Backends.cpu(), DType.F32, 1, 70, 90), Parallel.shared(), COPIES);
        Panels whole = weight.back(false, COPIES);
        assertThat(new SplitPanels(whole, Operands.SPLIT_3, COPIES).source(1, 0, 70)).isEqualTo(whole.source(1, 0, 70));
        assertThat(whole.source(1, 0, 70).count()).isEqualTo(2);
        assertThat(whole.source(1, 0, 70).lines()).isEqualTo((90 - TileCode.WIDTH) * TileCode.PANEL_ROW / 64);
    }
}
