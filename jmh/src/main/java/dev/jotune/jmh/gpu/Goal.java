package dev.jotune.jmh.gpu;

import java.util.List;
import java.util.Locale;
import java.util.OptionalDouble;

/**
 * One row of the table: what is measured, what the machine allows, and what would be a good result. Floors are computed from
 * 798 TFLOP/s and 3.0 TB/s, what a vendor library's BF16 product and a copy reached on an H100 SXM; TF32 counts as half of BF16, a product of
 * six as a sixth.
 *
 * @param shape at full size
 * @param floor no version runs faster
 * @param bronze in {@code unit}; NaN where nothing is asked for
 * @param vendorIsGold the vendor's own figure of the same run takes the place of {@code gold}, where there is one
 */
public record Goal(String id, String what, String shape, String floor, Unit unit, double bronze, double silver, double gold,
        boolean vendorIsGold) {

    /** What a row counts. */
    public enum Unit {
        TFLOPS("TFLOP/s", true),
        TBS("TB/s", true),
        MILLIS("ms", false),
        MICROS("us", false),
        /** How many times faster than what one would do otherwise. */
        FASTER("x faster", true),
        /** How many times as long as the work without what was added to it. */
        LONGER("x as long", false),
        /** Of the bandwidth of a copy in the same run. */
        SHARE("% of a copy", true),
        TOKENS("tokens/s", true);

        private final String text;
        private final boolean moreIsBetter;

        Unit(String text, boolean moreIsBetter) {
            this.text = text;
            this.moreIsBetter = moreIsBetter;
        }

        @Override
        public String toString() {
            return text;
        }

        boolean reaches(double value, double goal) {
            return moreIsBetter ? value >= goal : value <= goal;
        }

        /** How many times better {@code ours} is. */
        double ratio(double ours, double theirs) {
            return moreIsBetter ? ours / theirs : theirs / ours;
        }
    }

    private static final double NONE = Double.NaN;

    /** Every row, in the order of the table. */
    public static final List<Goal> ALL = List.of(
            of("copy", "copy", "1 GiB, bytes read and written", "-", Unit.TBS, NONE, NONE, NONE),
            new Goal("gemm_bf16", "GEMM BF16", "8192 x 8192 x 8192", "1.38 ms", Unit.TFLOPS, 350, 650, 800, true),
            of("gemm_bf16_4096", "GEMM BF16", "4096 x 4096 x 4096", "172 us", Unit.TFLOPS, NONE, NONE, NONE),
            of("gemm_f32", "GEMM F32, no tensor cores", "4096 x 4096 x 4096", "2.05 ms", Unit.TFLOPS, 25, 40, 50),
            of("gemm_tf32", "GEMM F32 rounded to TF32", "8192 x 8192 x 8192", "2.76 ms", Unit.TFLOPS, NONE, NONE, NONE),
            of("gemm_bf16x6", "GEMM F32 in pieces of BF16", "4096 x 4096 x 4096", "1.03 ms", Unit.TFLOPS, NONE, NONE, NONE),
            of("attention_d128", "prefix attention, forward", "B8 H16 T2048 P64 D128, causal", "183 us", Unit.TFLOPS, 300, 450, 521),
            of("attention_d64", "prefix attention, forward", "B8 H32 T2048 P64 D64, causal", "183 us", Unit.TFLOPS, 250, 320, 371),
            of("attention_d256", "prefix attention, forward", "B8 H8 T2048 P64 D256, causal", "183 us", Unit.TFLOPS, NONE, NONE, NONE),
            of("attention_back_d128", "prefix attention, backward, with the prefix's gradient", "B8 H16 T2048 P64 D128, causal", "457 us",
                    Unit.TFLOPS, 200, 320, 450),
            of("attention_back_d64", "prefix attention, backward, with the prefix's gradient", "B8 H32 T2048 P64 D64, causal", "457 us",
                    Unit.TFLOPS, NONE, NONE, NONE),
            of("decode_shared", "decoding, one prefix for all", "B256 H32/8 P4096 S128 D128", "52 us", Unit.FASTER, 10, 20, 26),
            of("decode_shared_32k", "decoding, one prefix for all", "B256 H32/8 P32768 S128 D128", "173 us", Unit.FASTER, NONE, NONE, 66),
            of("decode_learned", "decoding, learned prefix", "B64 H32/8 P64 S512 D128", "45 us", Unit.TBS, 2.0, 2.5, 2.8),
            of("linear_lora", "linear + LoRA, beside the product alone", "8192 x 4096 x 4096, rank 16", "345 us", Unit.LONGER, 1.15, 1.05,
                    1.02),
            of("linear_lora_narrow", "linear + LoRA, beside the product alone", "8192 x 1024 x 4096, rank 16", "86 us", Unit.LONGER, NONE, NONE,
                    NONE),
            of("linear_lora_back", "linear + LoRA, backward, beside dx of the product alone", "8192 x 4096 x 4096, rank 16", "345 us", Unit.LONGER,
                    NONE, NONE, NONE),
            of("linear_xent", "linear + cross-entropy, forward", "M8192 H4096 V131072", "11.0 ms", Unit.MILLIS, 25, 15, 12.25),
            of("linear_xent_both", "linear + cross-entropy, forward and backward", "M8192 H4096 V131072", "44.1 ms", Unit.MILLIS, NONE, NONE,
                    50),
            of("multi_lora", "decoding, an adapter for each row", "64 rows, hidden 4096, rank 16", "5.6 us", Unit.MICROS, 25, 12, 9),
            of("multi_lora_runs", "eight adapters, many rows of each", "8 x 256 rows, hidden 4096, rank 16", "29 us", Unit.MICROS, NONE, NONE,
                    NONE),
            of("softmax_xent", "softmax cross-entropy", "8192 x 32768, F32", "358 us", Unit.SHARE, 60, 80, 92),
            of("layer_norm", "layer norm", "16384 x 4096, F32", "179 us", Unit.SHARE, 60, 80, 92),
            of("rotary", "rotary embedding", "B8 H32 T2048 D128, F32", "179 us", Unit.SHARE, 60, 80, 92),
            of("adamw", "AdamW", "64 Mi values, F32", "626 us", Unit.SHARE, 60, 80, 92),
            of("launch", "a launch, time of the Java side", "256 values", "-", Unit.MICROS, 6, 1, 0.1),
            of("lora_step", "LoRA step, 1.2 billion weights in BF16", "B8 T512, rank 8 on all linear layers", "-", Unit.TOKENS, NONE, NONE, NONE),
            of("prefix_step", "prefix-tuning step, the same model", "B8 T512, 32 virtual tokens", "-", Unit.TOKENS, NONE, NONE, NONE),
            of("decode_text", "decoding one text, the same model", "a token at a time, its logits to the host", "0.82 ms", Unit.TOKENS, NONE, NONE,
                    NONE));

    /** The same in the order in which they are measured, so that what matters most is there when time runs out. */
    public static final List<String> BY_WEIGHT = List.of("copy", "gemm_bf16", "attention_d128", "attention_back_d128", "linear_xent", "linear_lora",
            "decode_shared", "lora_step", "prefix_step", "decode_text", "attention_d64", "decode_learned", "launch", "gemm_f32", "gemm_tf32",
            "gemm_bf16x6", "multi_lora", "layer_norm", "softmax_xent", "adamw", "rotary", "linear_xent_both", "decode_shared_32k", "gemm_bf16_4096",
            "attention_back_d64", "attention_d256", "linear_lora_back", "linear_lora_narrow", "multi_lora_runs");

    private static Goal of(String id, String what, String shape, String floor, Unit unit, double bronze, double silver, double gold) {
        return new Goal(id, what, shape, floor, unit, bronze, silver, gold, false);
    }

    /** The row of this name. */
    public static Goal of(String id) {
        return ALL.stream().filter(g -> g.id.equals(id)).findFirst().orElseThrow(() -> new IllegalArgumentException("There is no row '" + id
                + "'. Known: " + BY_WEIGHT));
    }

    /** gold, silver, bronze, "below bronze", or "-" where the row asks for nothing. */
    String level(double value, OptionalDouble vendor) {
        double best = vendorIsGold && vendor.isPresent() ? vendor.getAsDouble() : gold;
        if (Double.isNaN(gold)) {
            return "-";
        }
        return unit.reaches(value, best) ? "gold" : Double.isNaN(bronze) ? "below gold" : unit.reaches(value, silver) ? "silver"
                : unit.reaches(value, bronze) ? "bronze" : "below bronze";
    }

    /** "350 / 650 / 800". */
    String goals() {
        return Double.isNaN(gold) ? "-" : plain(bronze) + " / " + plain(silver) + " / " + plain(gold) + " " + unit;
    }

    /** At most four digits, none that says nothing. */
    static String plain(double x) {
        if (Double.isNaN(x)) {
            return "-";
        }
        String s = String.format(Locale.ROOT, "%.2f", x);
        return Math.abs(x) >= 1000 ? String.format(Locale.ROOT, "%.0f", x) : s.replaceAll("0+$", "").replaceAll("\\.$", "");
    }
}
