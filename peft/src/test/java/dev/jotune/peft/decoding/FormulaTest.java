package dev.jotune.peft.decoding;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.jotune.models.generate.Evidence;
import dev.jotune.models.generate.LanguageModel;
import dev.jotune.models.generate.Logits;
import dev.jotune.models.generate.MinP;
import dev.jotune.models.generate.TopP;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Formulas are what Java would write, and what is wrong with one is said with its column. */
class FormulaTest {
    private static final int[] TEXT = {2, 0, 5};
    private final LanguageModel base = Table.random(9, 1, 2);
    private final LanguageModel expert = Table.random(9, 2, 2);
    private final LanguageModel anti = Table.random(9, 3, 2);
    private final Map<String, LanguageModel> members = Map.of("base", base, "expert", expert, "anti", anti,
            "padded", Table.random(11, 4, 2));

    private LanguageModel parse(String text) {
        return Formula.parse(text, members);
    }

    private void same(String text, LanguageModel java) {
        assertThat(Table.after(parse(text), TEXT)).as(text).isEqualTo(Table.after(java, TEXT));
    }

    @Test
    void arithmeticIsThatOfModels() {
        same("base + 1.0*(expert - anti)", ProxyTuning.DEFAULTS.of(base, expert, anti));
        same(" base+.5e0 * ( expert-anti ) ", new ProxyTuning(0.5).of(base, expert, anti));
        same("base - -2*anti*(1 + 0.5 - 3*0.25)", base.plus(1.5, anti));
        same("-(anti - base)", base.minus(anti));
        same("2*3*base - base*5", base);
        assertThat(parse("base + 0*anti")).isSameAs(base);
        assertThat(Logits.members(parse("base + 1.5*(expert - base) + 0*anti"))).containsExactly(base, expert);
    }

    @Test
    void everyFunctionIsThatOfTheAlgebra() {
        same("logp(base)", Logits.logProbabilities(base));
        same("mix(0.25, base, 0.75, anti)", Logits.mix(new LanguageModel[] {base, anti}, 0.25, 0.75));
        same("mask(base - anti, base, 0.1)", Logits.mask(base.minus(anti), base, () -> new MinP(0.1)));
        same("gate(expert, anti, base, 0.7)", Logits.gate(expert, anti, base, () -> new TopP(0.7)));
        same("cut(padded, 9) + base", Logits.cut(members.get("padded"), 9).plus(base));
        same("proxy(base, padded, padded)", base);
        same("proxy(base, expert, anti, 2)", new ProxyTuning(2).of(base, expert, anti));
        same("contrast(expert, anti)", ContrastiveDecoding.DEFAULTS.of(expert, anti));
        same("contrast(expert, anti, 0.3, 0.5)", new ContrastiveDecoding(0.3, 0.5).of(expert, anti));
        same("guide(base, 3)", new Guidance(3).of(base));
        same("eft(base, expert, anti, 2, 0.9)", new EmulatedFineTuning(2, 0.9).of(base, expert, anti));
        same("between(base, expert, base, anti, 0.3, 2)", new EmulatedFineTuning(2, 1).between(base, expert, base, anti, 0.3));
        same("base + 140 * posterior(expert, anti)", AirDecoding.DEFAULTS.of(base, List.of(expert, anti), 0));
        same("posterior(expert, anti, base)", Logits.posterior(List.of(expert, anti, base), 0, Evidence.RECONSTRUCTED));
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', textBlock = """
            ''                        | column 1 of ''             | ends where a number, a member or ( is expected
            base +                    | column 7                   | ends where
            base + exprt              | column 8                   | no member 'exprt'. Members: anti, base, expert, padded
            base + 1                  | column 6                   | a number and a model
            base * anti               | column 6                   | two models cannot be multiplied
            base anti                 | column 6                   | 'a' stands where +
            base + 2(anti)            | column 9                   | '(' stands where +
            (base + anti              | column 13                  | parenthesis of column 1 is missing
            base + contrast(anti      | column 21                  | arguments of column 8 is missing
            base + 1.2.3*anti         | column 8                   | '1.2.3' is no number
            base + 1f*anti            | column 8                   | '1f' is no number
            base + 1e999*anti         | column 8                   | is no number
            base + $x                 | column 8                   | '$' stands where
            contrust(base, anti)      | column 1                   | no function 'contrust'. Functions: logp, mix
            base + contrast(anti)     | column 8                   | was given (model), but takes contrast(expert, amateur
            mix(base, 0.5, anti, 0.5) | column 1                   | was given (model, number, model, number), but takes mix(share
            mix(0.5, base, 0.6, anti) | column 1                   | sum to 1.1
            posterior(base)           | column 1                   | takes posterior(wanted, other
            mask(base, anti, 2)       | column 1                   | min_p is 2
            base + padded             | column 6                   | model 0 has 9 tokens, model 1 has 11
            base + cut(padded, 8.5)   | column 8                   | 8.5, but must be whole
            base - 0.5*2*base         | column 1                   | leaves no model
            2 * (3 + 4)               | column 1                   | the number 14.0, not a model
            """)
    void errorsPointAtTheColumn(String text, String column, String message) {
        assertThatThrownBy(() -> parse(text)).isInstanceOf(IllegalArgumentException.class).hasMessageContaining(column)
                .hasMessageContaining(message).message().endsWith(".");
    }

    @Test
    void nestingHasAnEnd() {
        assertThatThrownBy(() -> parse("(".repeat(100_000))).hasMessageContaining("nested deeper than 100").hasMessageContaining("column 101");
        assertThatThrownBy(() -> parse("-".repeat(100_000))).hasMessageContaining("nested deeper than 100");
        String shallow = "(".repeat(90) + "base" + ")".repeat(90);
        assertThat(parse(shallow + " + " + shallow)).isNotNull();
    }

    @Test
    void everyFunctionSaysWhatItIs() {
        for (FormulaFunction function : FormulaFunction.values()) {
            assertThat(function.usage()).startsWith(function + "(").endsWith(")");
            assertThat(function.meaning()).isNotBlank();
        }
    }
}
