package dev.jotune.tensor.io;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import dev.jotune.testing.Golden;
import java.util.Map;
import java.util.stream.Stream;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;

/** Narrow floating formats: rounding, overflow and widening. */
class RoundingTest {

    /** Narrowing as the golden files' reference does it; any NaN pattern will do. */
    @Tag("golden")
    @TestFactory
    Stream<DynamicTest> narrowingAgreesWithTheReferenceBitForBit() {
        return SafeTensorsGoldenTest.checks("rounding", (golden, check) -> {
            float[] x = Golden.array(golden.file("inputs.safetensors"), "x").floats();
            SafeTensorsFile expected = SafeTensorsFile.open(golden.file("expected.safetensors"));
            assertThat(check.get("expected").size()).isPositive();
            for (Map.Entry<String, JsonNode> e : check.get("expected").properties()) {
                RawTensor reference = expected.raw(e.getValue().get("tensor").asText());
                assertThat(reference.type().name()).isEqualTo(e.getValue().get("dtype").asText());
                double[] values = reference.toDoubles();
                assertThat(values).hasSameSizeAs(x);
                for (int i = 0; i < x.length; i++) {
                    double narrowed = narrowAndWiden(reference.type(), x[i]);
                    assertThat(Double.doubleToLongBits(narrowed)).as("%s of %s", reference.type(), x[i])
                            .isEqualTo(Double.doubleToLongBits(values[i]));
                }
            }
        });
    }

    private static double narrowAndWiden(StoredType type, float x) {
        return switch (type) {
            case F16 -> Half.toFloat(Half.fromFloat(x));
            case BF16 -> BFloat16.toFloat(BFloat16.fromFloat(x));
            case F8_E4M3 -> Float8.fromE4m3(Float8.toE4m3(x));
            case F8_E5M2 -> Float8.fromE5m2(Float8.toE5m2(x));
            default -> throw new AssertionError("No narrowing to " + type);
        };
    }

    @Test
    void everyCodeSurvivesWideningAndNarrowing() {
        for (MiniFloat format : new MiniFloat[] {MiniFloat.HALF, MiniFloat.BFLOAT16, MiniFloat.E4M3,
            MiniFloat.E5M2, MiniFloat.E4M3_FNUZ, MiniFloat.E5M2_FNUZ}) {
            for (int code = 0; code < 1 << format.bits(); code++) {
                double value = format.decode(code);
                if (value == value) {
                    assertThat(format.encode(value)).as("%s %x", format, code).isEqualTo(code);
                } else {
                    assertThat(format.decode(format.encode(value))).isNaN();
                }
            }
        }
    }

    @Test
    void halfAndBfloat16AgreeWithTheirDescriptions() {
        for (int code = 0; code < 1 << 16; code++) {
            assertThat(Double.compare(Half.toFloat((short) code), MiniFloat.HALF.decode(code)))
                    .as("half %x", code).isZero();
            assertThat(Double.compare(BFloat16.toFloat((short) code), MiniFloat.BFLOAT16.decode(code)))
                    .as("bfloat16 %x", code).isZero();
        }
    }

    @Property(tries = 2000)
    void anyFloatNarrowsAlikeDirectlyAndThroughItsDescription(@ForAll int bits) {
        float x = Float.intBitsToFloat(bits);
        if (x == x) {
            assertThat(Half.fromFloat(x)).isEqualTo(Half.fromDouble(x));
            assertThat(BFloat16.fromFloat(x)).isEqualTo(BFloat16.fromDouble(x));
        }
    }

    @Test
    void doublesAreRoundedOnce() {
        // Just above a tie of halves, but on it once rounded to float: rounding twice would go down to 1.
        double aboveTie = 1 + 0x1p-11 + 0x1p-40;
        assertThat(Half.toFloat(Half.fromDouble(aboveTie))).isEqualTo(1 + 0x1p-10f);
        assertThat(Half.toFloat(Half.fromFloat((float) aboveTie))).isEqualTo(1f);
    }

    @Test
    void nanWithALowPayloadStaysNan() {
        assertThat(BFloat16.toFloat(BFloat16.fromFloat(Float.intBitsToFloat(0x7f800001)))).isNaN();
        assertThat(BFloat16.toFloat(BFloat16.fromFloat(Float.intBitsToFloat(0xff800001)))).isNaN();
    }

    @Test
    void limitsOfTheEightBitFormats() {
        assertThat(Float8.fromE4m3((byte) 0x7e)).isEqualTo(448);
        assertThat(Float8.fromE4m3(Float8.toE4m3(464))).isEqualTo(448);
        assertThat(Float8.fromE4m3(Float8.toE4m3(465))).isEqualTo(448);
        assertThat(Float8.fromE4m3(Float8.toE4m3(Float.NEGATIVE_INFINITY))).isEqualTo(-448);
        assertThat(Float8.fromE4m3(Float8.toE4m3(Float.NaN))).isNaN();
        assertThat(Float8.fromE5m2((byte) 0x7b)).isEqualTo(57344);
        assertThat(Float8.fromE5m2(Float8.toE5m2(1e9f))).isInfinite();
        assertThat(Float8.fromE4m3Fnuz((byte) 0x7f)).isEqualTo(240);
        assertThat(Float8.fromE4m3Fnuz((byte) 0x80)).isNaN();
        assertThat(Float8.fromE5m2Fnuz((byte) 0x7f)).isEqualTo(57344);
        assertThat(Float8.fromE5m2Fnuz((byte) 0x01)).isEqualTo(0x1p-17f);
        assertThat(Float8.fromE8m0((byte) 0)).isEqualTo(0x1p-127f);
        assertThat(Float8.fromE8m0((byte) 254)).isEqualTo(0x1p127f);
        assertThat(Float8.fromE8m0((byte) 255)).isNaN();
    }
}
