package dev.jotune.models.generate;

import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/** One text while it is written: its tokens, its words, what may come next and when it ends. */
final class Writing {

    private final TextRules rules;
    private final SamplingOptions options;
    private final int promptLength;
    private final int limit;
    private final FinishReason atLimit;
    private final Optional<ConstraintProcessor> constraint;
    private final List<LogitsProcessor> changes = new ArrayList<>();
    private final Sampler sampler;
    private final long row;
    private final TextDecoder decoder;
    private final GenerationListener listener;
    private final TokenHistory history = new TokenHistory();
    private final StopStrings stops;
    private final StringBuilder text = new StringBuilder();
    private final int[] chosen = new int[1];
    private final int[] ends;
    private final long start = System.nanoTime();
    private long promptRead = start;

    /**
     * @param contextLength of the model
     */
    Writing(TextRules rules, TextRequest request, int contextLength) {
        this.rules = rules;
        options = rules.options();
        ends = SamplingOptions.ints(options.eosTokenIds());
        history.append(request.prompt());
        promptLength = history.length();
        row = request.row();
        decoder = request.decoder();
        listener = request.listener();
        stops = new StopStrings(options.stopStrings());
        // The last token may lie just beyond the context: it need not be read any more.
        int room = (int) Math.min(Integer.MAX_VALUE, (long) contextLength - promptLength + 1);
        int most = options.maxNewTokens();
        FinishReason reason = FinishReason.MAX_NEW_TOKENS;
        if (options.maxLength() > 0 && options.maxLength() - promptLength < most) {
            most = options.maxLength() - promptLength;
            reason = FinishReason.MAX_LENGTH;
        }
        limit = Math.min(room, most);
        atLimit = room < most ? FinishReason.CONTEXT_FULL : reason;
        constraint = rules.constraint().map(automaton ->
                new ConstraintProcessor(automaton, promptLength, limit, SamplingOptions.ints(options.eosTokenIds())));
        rules.extra().forEach(supplier -> changes.add(supplier.get()));
        changes.addAll(options.changes(promptLength));
        constraint.ifPresent(changes::add);
        List<LogitsProcessor> all = new ArrayList<>(changes);
        all.addAll(options.draws());
        sampler = new Sampler(all, options.isGreedy(), options.seed(), row);
    }

    /** Token ids so far, prompt included; replaced when it grows. */
    int[] history() {
        return history.array();
    }

    int length() {
        return history.length();
    }

    int promptLength() {
        return promptLength;
    }

    /** The prompt's ids. */
    int[] prompt() {
        return Arrays.copyOf(history.array(), promptLength);
    }

    /** Number of new tokens so far. */
    int written() {
        return history.length() - promptLength;
    }

    /** How many new tokens there may be. */
    int limit() {
        return limit;
    }

    /** Number of random numbers' stream. */
    long row() {
        return row;
    }

    SamplingOptions options() {
        return options;
    }

    /** What changes logits before a choice, without what only sampling does. */
    List<LogitsProcessor> changes() {
        return changes;
    }

    Sampler sampler() {
        return sampler;
    }

    /** Notes that the prompt's logits are there. */
    void promptWasRead() {
        promptRead = System.nanoTime();
    }

    /** Takes the next token; gives the reason if it is the last, or null. */
    FinishReason take(int token) {
        chosen[0] = token;
        history.append(chosen);
        listener.token(token);
        if (isEnd(token)) {
            return FinishReason.END_TOKEN;
        }
        emit(stops.push(decoder.push(token)));
        return stops.found() ? FinishReason.STOP_STRING : byTokens(history.array(), history.length());
    }

    private boolean isEnd(int token) {
        for (int end : ends) {
            if (end == token) {
                return true;
            }
        }
        return false;
    }

    /**
     * The reason why a text would end with its last token, or null; for texts that are only considered.
     *
     * @param tokens of which {@code length} count, this text's so far first
     */
    FinishReason ending(int[] tokens, int length) {
        if (isEnd(tokens[length - 1])) {
            return FinishReason.END_TOKEN;
        }
        return endsWithStopString(tokens, length) ? FinishReason.STOP_STRING : byTokens(tokens, length);
    }

    private boolean endsWithStopString(int[] tokens, int length) {
        if (options.stopStrings().isEmpty()) {
            return false;
        }
        TextDecoder words = decoder.copy();
        StopStrings found = stops.copy();
        for (int i = history.length(); i < length; i++) {
            found.push(words.push(tokens[i]));
        }
        return found.found();
    }

    private FinishReason byTokens(int[] tokens, int length) {
        // By index, since an iterator a token would be garbage.
        List<StopCondition> conditions = rules.stop();
        for (int i = 0; i < conditions.size(); i++) {
            if (conditions.get(i).ends(tokens, promptLength, length)) {
                return FinishReason.STOP_CONDITION;
            }
        }
        if (constraint.isPresent() && constraint.get().isComplete(tokens, length)) {
            return FinishReason.COMPLETE;
        }
        return length - promptLength >= limit ? atLimit : null;
    }

    /** Ends the text and gives it. */
    Generation finish(FinishReason reason) {
        FinishReason why = reason;
        if (!stops.found()) {
            emit(stops.push(decoder.finish()));
            why = stops.found() ? FinishReason.STOP_STRING : why;
            emit(stops.flush());
        }
        return generation(Arrays.copyOfRange(history.array(), promptLength, history.length()), text.toString(), why);
    }

    /** Another text for the same prompt that is not this one's, without a word to the listener. */
    Generation other(int[] tokens, int length, FinishReason reason, TextDecoder words) {
        StopStrings found = new StopStrings(options.stopStrings());
        StringBuilder said = new StringBuilder();
        int end = reason == FinishReason.END_TOKEN ? length - 1 : length;
        for (int i = promptLength; i < end; i++) {
            said.append(found.push(words.push(tokens[i])));
        }
        if (!found.found()) {
            said.append(found.push(words.finish())).append(found.flush());
        }
        return generation(Arrays.copyOfRange(tokens, promptLength, length), said.toString(), reason);
    }

    private Generation generation(int[] tokens, String words, FinishReason reason) {
        return new Generation(tokens, words, reason, promptLength, Duration.ofNanos(promptRead - start),
                Duration.ofNanos(System.nanoTime() - promptRead));
    }

    /** A decoder that has seen what this text's has. */
    TextDecoder decoder() {
        return decoder;
    }

    private void emit(String piece) {
        if (!piece.isEmpty()) {
            text.append(piece);
            listener.text(piece);
        }
    }
}
