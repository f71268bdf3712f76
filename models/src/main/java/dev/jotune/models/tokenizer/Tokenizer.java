package dev.jotune.models.tokenizer;

import java.io.IOException;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;

/**
 * Turns text into token ids and back, as a Hugging Face {@code tokenizer.json} says.
 *
 * <p>A text goes through added tokens, normalizer, pre-tokenizer, model, truncation, post-processor and padding. The
 * same pipeline as in https://github.com/huggingface/tokenizers, so ids, offsets and decoded texts agree with it. A
 * tokenizer never changes and may be used by many threads.
 */
public final class Tokenizer {

    /** What {@link #encodeBatch} encodes: a text, or a pair of texts. */
    public record Input(String first, Optional<String> second) {

        public static Input of(String text) {
            return new Input(text, Optional.empty());
        }

        public static Input of(String first, String second) {
            return new Input(first, Optional.of(second));
        }
    }

    private record Stages(AddedVocabulary added, Optional<PreTokenizer> preTokenizer, Model model,
                          Optional<PostProcessor> postProcessor, Optional<Decoder> decoder) {}

    private final Stages stages;
    private final Optional<Truncation> truncation;
    private final Optional<Padding> padding;

    private Tokenizer(Stages stages, Optional<Truncation> truncation, Optional<Padding> padding) {
        this.stages = stages;
        this.truncation = truncation;
        this.padding = padding;
    }

    /**
     * Reads a {@code tokenizer.json}.
     *
     * @throws TokenizerException if the file cannot be read or used
     */
    public static Tokenizer load(Path file) {
        try {
            return parse(Files.readString(file), file.toString());
        } catch (CharacterCodingException e) {
            throw new TokenizerException(file + ": the file is not UTF-8. Save it as UTF-8.", e);
        } catch (IOException e) {
            throw new TokenizerException(file + ": the file cannot be read (" + e + "). Check the path.", e);
        }
    }

    /**
     * Reads the text of a {@code tokenizer.json}.
     *
     * @param origin what error messages call the file
     * @throws TokenizerException if the text is not a tokenizer, contradicts itself, or names an unknown component
     */
    public static Tokenizer parse(String json, String origin) {
        JsonView view = JsonView.parse(json, origin);
        Optional<Normalizer> normalizer = view.optional("normalizer").map(Normalizer::read);
        Model model = Model.read(view.field("model"));
        AddedVocabulary added = AddedVocabulary.read(view.optional("added_tokens"), normalizer, model.vocabulary());
        Stages stages = new Stages(added,
                view.optional("pre_tokenizer").map(PreTokenizer::read), model,
                view.optional("post_processor").map(part ->
                        PostProcessor.read(part, id -> content(added, model, id).orElse(null))),
                view.optional("decoder").map(Decoder::read));
        return new Tokenizer(stages, view.optional("truncation").map(Truncation::read),
                view.optional("padding").map(Padding::read));
    }

    /** This tokenizer with another rule for texts that are too long; empty for none. */
    public Tokenizer withTruncation(Optional<Truncation> newTruncation) {
        return new Tokenizer(stages, newTruncation, padding);
    }

    /** This tokenizer with another rule for filling up; empty for none. */
    public Tokenizer withPadding(Optional<Padding> newPadding) {
        return new Tokenizer(stages, truncation, newPadding);
    }

    /** Encodes a text; a half surrogate pair in it counts as U+FFFD. */
    public Encoding encode(String text, boolean addSpecialTokens) {
        return padded(List.of(encode(Input.of(text), addSpecialTokens))).getFirst();
    }

    /** Encodes a pair of texts. */
    public Encoding encode(String first, String second, boolean addSpecialTokens) {
        return padded(List.of(encode(Input.of(first, second), addSpecialTokens))).getFirst();
    }

    /** Encodes several texts or pairs and fills them up to one length where padding is set. */
    public List<Encoding> encodeBatch(List<Input> inputs, boolean addSpecialTokens) {
        List<Encoding> encodings = new ArrayList<>(inputs.size());
        for (Input input : inputs) {
            encodings.add(encode(input, addSpecialTokens));
        }
        return padded(encodings);
    }

    private List<Encoding> padded(List<Encoding> encodings) {
        return padding.map(rule -> rule.pad(encodings)).orElse(encodings);
    }

    private Encoding encode(Input input, boolean addSpecialTokens) {
        Encoding first = encodeText(input.first(), 0);
        Optional<Encoding> second = input.second().map(text -> encodeText(text, 1));
        List<Encoding> parts = new ArrayList<>();
        parts.add(first);
        second.ifPresent(parts::add);
        if (truncation.isPresent()) {
            int added = addSpecialTokens
                    ? stages.postProcessor().map(p -> p.added(second.isPresent())).orElse(0) : 0;
            parts = truncation.get().truncate(first, second, added);
        }
        if (stages.postProcessor().isPresent()) {
            parts = stages.postProcessor().get().process(parts, addSpecialTokens);
        }
        return Joining.join(parts);
    }

    private Encoding encodeText(String text, int sequence) {
        List<AddedVocabulary.Part> words = words(text);
        int limit = truncation.filter(rule -> sequence == 1 || rule.strategy() != Truncation.Strategy.ONLY_SECOND)
                .map(Truncation::maxLength).orElse(Integer.MAX_VALUE);
        boolean fromEnd = truncation.map(rule -> rule.direction() == Direction.LEFT).orElse(false);
        if (limit < Integer.MAX_VALUE && fromEnd) {
            words = words.subList(firstWithin(words, limit), words.size());
        }
        EncodingBuilder builder = new EncodingBuilder();
        for (int i = 0; i < words.size(); i++) {
            encodeWord(words.get(i), i, sequence, builder);
            boolean added = words.get(i).addedId() != AddedVocabulary.Part.TEXT;
            if (!added && !fromEnd && builder.size() >= limit) {
                break;
            }
        }
        return builder.build();
    }

    private List<AddedVocabulary.Part> words(String text) {
        List<AddedVocabulary.Part> words = new ArrayList<>();
        for (AddedVocabulary.Part part : stages.added().extract(NormalizedText.of(text))) {
            if (part.addedId() != AddedVocabulary.Part.TEXT || stages.preTokenizer().isEmpty()) {
                if (!part.text().isEmpty()) {
                    words.add(part);
                }
                continue;
            }
            for (NormalizedText word : stages.preTokenizer().get().split(part.text())) {
                if (!word.isEmpty()) {
                    words.add(new AddedVocabulary.Part(word, AddedVocabulary.Part.TEXT));
                }
            }
        }
        return words;
    }

    /**
     * The first of the words at the end that give at least {@code limit} tokens. As in the format's reference, words
     * beyond what truncation could keep are not encoded, and so are not in any overflowing window either.
     */
    private int firstWithin(List<AddedVocabulary.Part> words, int limit) {
        int[] count = {0};
        for (int i = words.size() - 1; i >= 0; i--) {
            AddedVocabulary.Part word = words.get(i);
            if (word.addedId() != AddedVocabulary.Part.TEXT) {
                count[0]++;
                continue;
            }
            stages.model().tokenize(word.text(), (id, start, end) -> count[0]++);
            if (count[0] >= limit) {
                return i;
            }
        }
        return 0;
    }

    private void encodeWord(AddedVocabulary.Part word, int index, int sequence, EncodingBuilder builder) {
        NormalizedText text = word.text();
        if (word.addedId() != AddedVocabulary.Part.TEXT) {
            builder.add(word.addedId(), text.toString(), text.start(0), text.end(text.length() - 1), sequence, 0, 1,
                    index, sequence);
            return;
        }
        Model model = stages.model();
        model.tokenize(text, (id, start, end) -> {
            String token = id == model.shownAsInText() ? text.substring(start, end) : model.vocabulary().token(id);
            builder.add(id, token, text.start(start), text.end(end - 1), sequence, 0, 1, index, sequence);
        });
    }

    /**
     * The text of some ids; ids that the vocabulary does not have stand for nothing.
     *
     * @param skipSpecialTokens whether special tokens are left out
     */
    public String decode(int[] ids, boolean skipSpecialTokens) {
        List<String> tokens = new ArrayList<>(ids.length);
        for (int id : ids) {
            String token = visibleToken(id, skipSpecialTokens);
            if (token != null) {
                tokens.add(token);
            }
        }
        return stages.decoder().map(decoder -> String.join("", decoder.decode(tokens)))
                .orElseGet(() -> String.join(" ", tokens));
    }

    /** Begins to decode ids that arrive one at a time. */
    public DecodeStream stream(boolean skipSpecialTokens) {
        return new DecodeStream(this, skipSpecialTokens);
    }

    /** The text that the decoder is given for an id, or null if there is none. */
    String visibleToken(int id, boolean skipSpecialTokens) {
        String token = written(stages.added(), stages.model(), id);
        return token == null || skipSpecialTokens && stages.added().isSpecial(token) ? null : token;
    }

    private static String written(AddedVocabulary added, Model model, int id) {
        String shown = added.shown(id);
        return shown != null ? shown : model.vocabulary().token(id);
    }

    /**
     * The UTF-8 bytes that each token adds to a text that has begun: whole characters, parts of one, or none for special
     * tokens and ids that stand for nothing.
     *
     * @param ids how many ids to tell of, from 0 on
     * @throws TokenizerException if the decoder writes a token by what comes after it
     */
    public byte[][] tokenBytes(int ids) {
        byte[][] bytes = new byte[ids][];
        for (int id = 0; id < ids; id++) {
            String token = visibleToken(id, true);
            if (token == null || token.isEmpty()) {
                bytes[id] = new byte[0];
            } else {
                bytes[id] = stages.decoder().map(decoder -> TokenBytes.of(decoder, token))
                        .orElseGet(() -> (" " + token).getBytes(StandardCharsets.UTF_8));
            }
        }
        return bytes;
    }

    /** The id of a token of the vocabulary or of an added token. */
    public OptionalInt tokenToId(String token) {
        int added = stages.added().idOf(Objects.requireNonNull(token));
        int id = added != Vocabulary.ABSENT ? added : stages.model().vocabulary().id(token);
        return id == Vocabulary.ABSENT ? OptionalInt.empty() : OptionalInt.of(id);
    }

    /** The token of an id. */
    public Optional<String> idToToken(int id) {
        return content(stages.added(), stages.model(), id);
    }

    private static Optional<String> content(AddedVocabulary added, Model model, int id) {
        return added.token(id).map(AddedToken::content).or(() -> Optional.ofNullable(model.vocabulary().token(id)));
    }

    /** The tokens that are cut out of texts before the model sees them, in the order of their ids. */
    public List<AddedToken> addedTokens() {
        return stages.added().tokens();
    }

    /** How many tokens there are, added ones included; ids may be greater where the file leaves gaps. */
    public int vocabularySize() {
        Set<String> extra = new HashSet<>();
        for (AddedToken token : stages.added().tokens()) {
            if (!stages.model().vocabulary().contains(token.content())) {
                extra.add(token.content());
            }
        }
        return stages.model().vocabulary().size() + extra.size();
    }
}
