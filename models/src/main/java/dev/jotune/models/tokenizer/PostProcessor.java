package dev.jotune.models.tokenizer;

import java.util.List;
import java.util.function.IntFunction;

/** Fourth stage: puts special tokens around and between the encoded texts. */
sealed interface PostProcessor permits PostProcessorSequence, TemplateProcessing, ByteLevel, FixedProcessing {

    /** How many tokens are added to one text or to a pair. */
    int added(boolean pair);

    /**
     * Rewrites the encodings of one or two texts into the parts of the result, in order.
     *
     * @param addSpecialTokens whether special tokens are put in
     */
    List<Encoding> process(List<Encoding> texts, boolean addSpecialTokens);

    /**
     * Reads the field {@code post_processor} of a tokenizer file.
     *
     * @param tokens gives the token of an id, or null
     */
    static PostProcessor read(JsonView view, IntFunction<String> tokens) {
        String type = view.field("type").text();
        return switch (type) {
            case "Sequence" -> new PostProcessorSequence(
                    view.field("processors").elements().stream().map(part -> read(part, tokens)).toList());
            case "TemplateProcessing" -> TemplateProcessing.read(view, tokens);
            case "ByteLevel" -> ByteLevel.read(view);
            case "RobertaProcessing" -> FixedProcessing.read(view, true, tokens);
            case "BertProcessing" -> FixedProcessing.read(view, false, tokens);
            default -> throw view.unsupported(type,
                    "Sequence, TemplateProcessing, ByteLevel, RobertaProcessing and BertProcessing");
        };
    }
}
