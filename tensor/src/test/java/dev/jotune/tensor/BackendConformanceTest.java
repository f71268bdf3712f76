package dev.jotune.tensor;

import static org.assertj.core.api.Assertions.assertThat;

import dev.jotune.tensor.cpu.ReferenceBackend;
import dev.jotune.tensor.expr.Program;
import dev.jotune.testing.conformance.BackendConformance;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;

/** Every backend found does what the reference does; and the suite notices when one does not. */
class BackendConformanceTest {
    @TestFactory
    Stream<DynamicTest> everyBackend() {
        return Backends.all().stream().filter(b -> b != Backends.reference()).flatMap(b -> BackendConformance.cases().stream()
                .map(c -> DynamicTest.dynamicTest(b.name() + "/" + c.name(), () -> c.run(b))));
    }

    /** A backend with one primitive wrong in one small way. */
    private static class Wrong extends ReferenceBackend {
        final String primitive;

        Wrong(String primitive) {
            this.primitive = primitive;
        }

        @Override
        public String name() {
            return "wrong";
        }
    }

    private static void bump(Tensor t) {
        if (t.numel() > 16 && t.dtype() == DType.F32) {
            Elements.put(DType.F32, t.address(), Elements.get(DType.F32, t.address()) * 1.001 + 1e-3);
        }
    }

    @Test
    void oneWrongElementIsNoticed() {
        List<Wrong> faults = List.of(
                new Wrong("copy") {
                    @Override
                    public void copy(Tensor source, Tensor target) {
                        super.copy(source, target);
                        bump(target);
                    }
                },
                new Wrong("map") {
                    @Override
                    public void map(Program program, Tensor[] inputs, Tensor[] outputs) {
                        super.map(program, inputs, outputs);
                        bump(outputs[0]);
                    }
                },
                new Wrong("reduce") {
                    @Override
                    public void reduce(Reduction op, Tensor x, Tensor out) {
                        super.reduce(op, x, out);
                        bump(out);
                    }
                },
                new Wrong("matmul") {
                    @Override
                    public void matmul(Tensor a, Tensor b, Tensor out, boolean accumulate) {
                        super.matmul(a, b, out, accumulate && out.size(-1) != 17);
                    }
                },
                new Wrong("gather") {
                    @Override
                    public void gather(Tensor table, Tensor ids, Tensor out) {
                        super.gather(table, ids, out);
                        bump(out);
                    }
                },
                new Wrong("scatterAdd") {
                    @Override
                    public void scatterAdd(Tensor rows, Tensor ids, Tensor table) {
                        super.scatterAdd(rows, ids, table);
                        bump(table);
                    }
                },
                new Wrong("normal") {
                    @Override
                    public void normal(Tensor out, long seed, long stream) {
                        super.normal(out, seed, stream);
                        bump(out);
                    }
                },
                new Wrong("argmax") {
                    @Override
                    public void argmax(Tensor x, Tensor out) {
                        super.argmax(x, out);
                        if (out.numel() > 0 && x.size(-1) == 33) {
                            Elements.putLong(DType.I64, out.address(), 32);
                        }
                    }
                });
        assertThat(faults).allSatisfy(f -> assertThat(BackendConformance.firstFailure(f, f.primitive))
                .as(f.primitive).isPresent());
    }
}
