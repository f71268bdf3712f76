package dev.jotune.kernel;

import dev.jotune.tensor.DType;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.Collection;
import java.util.List;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.function.UnaryOperator;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * A kernel before it is emitted for a target. Sources are equal that have the same text, parameters and sizes, so a source is
 * the key of a compiled program.
 *
 * <p>The dialect is C99 with fixed-size arrays, without references, generic pointers and inline assembler. Its words:
 *
 * <table><caption>Words</caption>
 * <tr><td>{@code KERNEL &#123;}</td><td>on a line of its own: begins the kernel, whose parameters come from {@link #params}</td></tr>
 * <tr><td>{@code INCLUDE name.h}</td><td>on a line of its own: the text of that name, beside this one, stands here</td></tr>
 * <tr><td>{@code FN}</td><td>before a helper function</td></tr>
 * <tr><td>{@code GLB}, {@code SHP}</td><td>before what a pointer points to: device memory, memory shared by the group</td></tr>
 * <tr><td>{@code SHM}</td><td>declares an array shared by the group, at the start of the kernel's own body</td></tr>
 * <tr><td>{@code LID}, {@code GROUP}</td><td>this item's place in its group; the group's size, a constant</td></tr>
 * <tr><td>{@code BIDX BIDY BIDZ}, {@code GRIDX}</td><td>the group's place in the grid; groups along x</td></tr>
 * <tr><td>{@code BARRIER()}</td><td>all items of a group wait, and see what others wrote to shared and device memory</td></tr>
 * <tr><td>{@code real}, {@code R(1.5)}</td><td>the arithmetic type, float or double; a constant of it</td></tr>
 * <tr><td>{@code LD(p, i)}, {@code ST(p, i, v)}</td><td>element i of parameter p as a {@code real}, whatever its type</td></tr>
 * <tr><td>{@code real4}, {@code REAL4(a, b, c, d)}</td><td>four reals, {@code x y z w}</td></tr>
 * <tr><td>{@code LD4(p, i)}, {@code ST4(p, i, v)}</td><td>elements i to i + 3 of p, where four divides i and every offset of p: read
 * from F32, BF16 and F16, written to F32, in F32 arithmetic</td></tr>
 * <tr><td>{@code UNROLL}</td><td>before a loop of fixed length over a private array, which then lies in registers</td></tr>
 * <tr><td>{@code UNROLL_BY(4)}</td><td>before a loop of which so many steps are written out, no more: fewer registers</td></tr>
 * <tr><td>{@code i64 u64 u32 u16 u8 i8}</td><td>integer types</td></tr>
 * <tr><td>{@code FMA EXP LOG LOG1P SQRT RSQRT TANH ERF SIN COS POW FLOOR FABS}</td><td>functions of reals</td></tr>
 * <tr><td>{@code FMAX FMIN}</td><td>the larger and smaller; a NaN wins</td></tr>
 * <tr><td>{@code FREXP(x, &e)}</td><td>the fraction in [0.5, 1) and the exponent of a real</td></tr>
 * <tr><td>{@code MUL(a, b)}</td><td>a product that is rounded before it is added to something, after a line {@code NO_CONTRACTION}</td></tr>
 * <tr><td>{@code POS_INF NEG_INF NOT_A_NUMBER}</td><td>reals</td></tr>
 * <tr><td>{@code GROUP_SUM(v, scratch)}, {@code GROUP_MAX(v, scratch)}</td><td>over all items of the group, given to all of
 * them, in a fixed order; {@code scratch} is shared {@code real[GROUP]}; contains barriers; GROUP is a power of two</td></tr>
 * </table>
 *
 * @param name of the kernel: a C identifier
 * @param text in the dialect
 * @param params in the order of the call
 * @param defines integers that the text is specialised by, such as tile sizes
 * @param group items in a group: up to 256 where every device shall run it
 * @param arithmetic F32 or F64
 */
public record KernelSource(String name, String text, List<Param> params, SortedMap<String, Integer> defines, int group, DType arithmetic) {
    private static final Pattern IDENTIFIER = Pattern.compile("[A-Za-z][A-Za-z0-9_]*");
    private static final Pattern INCLUDE = Pattern.compile("(?m)^INCLUDE (\\w+\\.h)\n");
    /** What CUDA allows; kernels for every device keep to 256, as a test of resources has it. */
    private static final int MAX_GROUP = 1024;

    public KernelSource {
        params = List.copyOf(params);
        defines = new TreeMap<>(defines);
        if (!IDENTIFIER.matcher(name).matches()) {
            throw new IllegalArgumentException("'" + name + "' cannot name a kernel. Use letters, digits and underscores.");
        }
        if (group < 1 || group > MAX_GROUP) {
            throw new IllegalArgumentException("Kernel " + name + " asks for groups of " + group + " items. Use 1 to " + MAX_GROUP + ".");
        }
        if (arithmetic != DType.F32 && arithmetic != DType.F64) {
            throw new IllegalArgumentException("Kernel " + name + " cannot compute in " + arithmetic + ". Use F32 or F64.");
        }
        List<String> names = params.stream().map(Param::name).toList();
        for (String n : names) {
            if (!IDENTIFIER.matcher(n).matches() || names.indexOf(n) != names.lastIndexOf(n) || defines.containsKey(n)) {
                throw new IllegalArgumentException("Kernel " + name + " has a parameter '" + n + "' that is no identifier or is there "
                        + "twice. Give every parameter and size a name of its own.");
            }
        }
        for (String n : Stream.of(List.of(name), names, defines.keySet()).flatMap(Collection::stream).toList()) {
            if (Words.isTaken(n)) {
                throw new IllegalArgumentException("Kernel " + name + " calls something '" + n + "', which has a meaning in every emitted text. "
                        + "Give it another name.");
            }
        }
    }

    /**
     * A kernel whose text is a resource.
     *
     * @param owner a class in whose package and module the resource {@code name + ".cl"} lies
     */
    public static KernelSource of(Class<?> owner, String name, List<Param> params, SortedMap<String, Integer> defines, int group) {
        return new KernelSource(name, resource(owner, name + ".cl"), params, defines, group, DType.F32);
    }

    /** The same kernel with groups of another size. */
    KernelSource withGroup(int items) {
        return items == group ? this : new KernelSource(name, text, params, defines, items, arithmetic);
    }

    /**
     * A text with what it includes.
     *
     * @param beside gives the text of a name, itself whole; a module's own texts only its own classes can read
     */
    public static String whole(String text, UnaryOperator<String> beside) {
        return INCLUDE.matcher(text).replaceAll(m -> Matcher.quoteReplacement(beside.apply(m.group(1))));
    }

    /** A text that lies beside {@code owner}, with what it includes. */
    static String resource(Class<?> owner, String name) {
        try (InputStream in = owner.getResourceAsStream(name)) {
            if (in == null) {
                throw new IllegalStateException("The kernel text " + name + " is not beside " + owner.getName() + ". The jar is incomplete.");
            }
            return whole(new String(in.readAllBytes(), StandardCharsets.UTF_8), other -> resource(owner, other));
        } catch (IOException e) {
            throw new UncheckedIOException("The kernel text " + name + " cannot be read.", e);
        }
    }
}
