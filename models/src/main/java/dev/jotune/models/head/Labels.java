package dev.jotune.models.head;

import dev.jotune.models.Config;
import dev.jotune.models.ModelException;
import dev.jotune.models.ProblemType;
import java.util.List;
import java.util.Optional;
import java.util.stream.IntStream;

/**
 * The labels of a classifier.
 *
 * @param names by number
 */
public record Labels(List<String> names, Optional<ProblemType> problemType) {
    /**
     * From {@code id2label}, or {@code num_labels}; without both two labels, as transformers has it.
     *
     * @throws ModelException if the numbers do not count from 0
     */
    public static Labels read(Config c) {
        Config map = c.child("id2label");
        int n = map.fields().isEmpty() ? c.size("num_labels", 2) : map.fields().size();
        List<String> names = IntStream.range(0, n).mapToObj(i -> {
            if (!map.fields().isEmpty() && !map.has(Integer.toString(i))) {
                throw new ModelException(map.origin() + " has no label " + i + " of " + n + ". Number the labels from 0.");
            }
            return map.text(Integer.toString(i), "LABEL_" + i);
        }).toList();
        return new Labels(names, ProblemType.read(c));
    }
}
