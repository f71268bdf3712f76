package dev.jotune.models.tokenizer;

import java.util.List;

/** Post-processors applied one after the other. */
record PostProcessorSequence(List<PostProcessor> parts) implements PostProcessor {

    PostProcessorSequence {
        parts = List.copyOf(parts);
    }

    @Override
    public int added(boolean pair) {
        return parts.stream().mapToInt(part -> part.added(pair)).sum();
    }

    @Override
    public List<Encoding> process(List<Encoding> texts, boolean addSpecialTokens) {
        List<Encoding> result = texts;
        for (PostProcessor part : parts) {
            result = part.process(result, addSpecialTokens);
        }
        return result;
    }
}
