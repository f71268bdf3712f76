package dev.jotune.kernel;

import java.util.Arrays;
import java.util.Objects;
import java.util.Set;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/** Names that have a meaning in an emitted text already, so that no parameter and no size can have them. */
final class Words {
    private static final Pattern DEFINED = Pattern.compile("(?m)^(?:#define (\\w+)|typedef [\\w ]+ (\\w+);|FN \\w+ (\\w+)\\(|struct .*?(\\w+) \\{)");
    /** What {@link Emitter} writes itself: sizes and switches, and the parameters of {@code LD_x(i)} and {@code ST_x(i, v)}. */
    private static final Set<String> EMITTED = Set.of("GROUP", "REAL_IS_DOUBLE", "HAS_DOUBLE", "i", "v");
    private static final Set<String> TAKEN = Stream.concat(EMITTED.stream(), Stream.concat(Arrays.stream(Target.values()).map(Target::prelude),
            Stream.of("prelude-common.h")).flatMap(Words::defined)).collect(Collectors.toUnmodifiableSet());

    private Words() {}

    static boolean isTaken(String name) {
        return TAKEN.contains(name);
    }

    private static Stream<String> defined(String prelude) {
        return DEFINED.matcher(KernelSource.resource(Words.class, prelude)).results()
                .flatMap(m -> Stream.of(m.group(1), m.group(2), m.group(3), m.group(4)).filter(Objects::nonNull));
    }
}
