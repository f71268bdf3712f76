package dev.jotune.kernel;

import dev.jotune.tensor.DType;
import java.nio.charset.StandardCharsets;
import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.zip.CRC32;

/**
 * Makes a compiler's input of a kernel: sizes as {@code #define}s, how each parameter is read and written, the target's prelude,
 * then the text with the kernel's head written from its parameter list.
 */
public final class Emitter {
    private static final Pattern HEAD = Pattern.compile("(?m)^KERNEL \\{$");

    private Emitter() {}

    /** Many kernels are called {@code map}; a few digits of what was emitted tell them apart in tables and errors. */
    public static String title(KernelSource source, String emitted) {
        CRC32 digest = new CRC32();
        digest.update(emitted.getBytes(StandardCharsets.UTF_8));
        return String.format(Locale.ROOT, "%s-%04x", source.name(), digest.getValue() & 0xffff);
    }

    /**
     * The whole text for {@code target}.
     *
     * @throws IllegalArgumentException if the text has not exactly one line {@code KERNEL &#123;}
     */
    public static String emit(KernelSource source, Target target) {
        return emit(source, target, "");
    }

    /**
     * The whole text, with more words than every target has.
     *
     * @param words stands behind the target's prelude
     */
    public static String emit(KernelSource source, Target target, String words) {
        StringBuilder out = new StringBuilder();
        boolean wide = source.arithmetic() == DType.F64;
        out.append("#define GROUP ").append(source.group()).append('\n');
        if (wide) {
            out.append("#define REAL_IS_DOUBLE 1\n");
        }
        if (wide || source.params().stream().anyMatch(p -> p instanceof Param.Buffer b && b.type() == DType.F64)) {
            out.append("#define HAS_DOUBLE 1\n");
        }
        source.defines().forEach((name, value) -> out.append("#define ").append(name).append(' ').append(value).append('\n'));
        out.append(KernelSource.resource(Emitter.class, target.prelude()))
                .append(KernelSource.resource(Emitter.class, "prelude-common.h")).append(words);
        for (Param p : source.params()) {
            if (p instanceof Param.Buffer b) {
                access(b, source.arithmetic(), out);
            }
        }
        Matcher head = HEAD.matcher(source.text());
        if (!head.find()) {
            throw new IllegalArgumentException("The text of kernel " + source.name() + " has no line 'KERNEL {'. Begin its body with one.");
        }
        out.append(source.text(), 0, head.start());
        head(source, target, out);
        int from = head.end();
        if (head.find()) {
            throw new IllegalArgumentException("The text of kernel " + source.name() + " has two lines 'KERNEL {'. Write one kernel a text.");
        }
        return out.append(source.text(), from, source.text().length()).toString();
    }

    /** {@code LD(p, i)} is pasted to {@code LD_p(i)}, so that a text does not say how its operands are stored. */
    private static void access(Param.Buffer b, DType arithmetic, StringBuilder out) {
        String type = b.type().name().toLowerCase(Locale.ROOT);
        boolean fours = arithmetic == DType.F32 && (b.type() == DType.F32 || b.type() == DType.BF16 || b.type() == DType.F16);
        out.append("#define LD_").append(b.name()).append("(i) ld_").append(type).append('(').append(b.name()).append(", i)\n");
        if (fours) {
            out.append("#define LD4_").append(b.name()).append("(i) ld4_").append(type).append('(').append(b.name()).append(", i)\n");
        }
        if (b.written()) {
            out.append("#define ST_").append(b.name()).append("(i, v) st_").append(type).append('(').append(b.name()).append(", i, v)\n");
        }
        if (b.written() && fours && b.type() == DType.F32) {
            out.append("#define ST4_").append(b.name()).append("(i, v) st4_").append(type).append('(').append(b.name()).append(", i, v)\n");
        }
    }

    private static void head(KernelSource source, Target target, StringBuilder out) {
        out.append("KERNEL_HEAD ").append(source.name()).append('(');
        StringBuilder start = new StringBuilder();
        String separator = "";
        for (Param p : source.params()) {
            out.append(separator);
            separator = ", ";
            switch (p) {
                case Param.Buffer b -> {
                    String pointer = "GLB " + (b.written() ? "" : "const ") + element(b.type()) + "* ";
                    out.append(pointer).append(b.name()).append("_base, i64 ").append(b.name()).append("_offset");
                    start.append("    ").append(pointer).append(b.name()).append(" = ").append(b.name()).append("_base + ").append(b.name())
                            .append("_offset;\n");
                }
                case Param.Int i -> out.append("int ").append(i.name());
                case Param.Long l -> out.append("i64 ").append(l.name());
                case Param.Real r -> out.append("real ").append(r.name());
                case Param.TensorMap m when target == Target.CUDA -> out.append("const __grid_constant__ tensor_map ").append(m.name());
                case Param.TensorMap m -> throw new IllegalArgumentException("Kernel " + source.name() + " has a tensor map, '" + m.name()
                        + "', which " + target + " cannot pass. Emit it for CUDA.");
            }
        }
        // The text goes on with the end of the line.
        out.append(") {\n").append(start).setLength(out.length() - 1);
    }

    private static String element(DType type) {
        return switch (type) {
            case F64 -> "double";
            case F32 -> "float";
            case F16 -> "f16";
            case BF16 -> "u16";
            case I64 -> "i64";
            case I32 -> "int";
            case I8 -> "i8";
            case U8, BOOL -> "u8";
        };
    }
}
