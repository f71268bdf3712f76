package dev.jotune.models.gguf;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.jotune.models.ModelException;
import dev.jotune.models.tokenizer.Tokenizer;
import dev.jotune.tensor.io.GgufFile;
import dev.jotune.tensor.io.GgufValue;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * A file's vocabulary as a {@code tokenizer.json}: byte-level BPE (the kind {@code gpt2}, with the splitting rules of
 * GPT-2, Llama 3 and Qwen 2) and SentencePiece's BPE with byte fallback (the kind {@code llama}), whose merges follow
 * from the scores.
 */
final class GgufTokenizer {
    private static final JsonNodeFactory JSON = JsonNodeFactory.instance;
    private static final int NORMAL = 1;
    private static final int CONTROL = 3;
    private static final int USER_DEFINED = 4;
    private static final char META = '\u2581';
    private static final String WORDS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}%s"
            + "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

    private final GgufFile file;
    private final GgufMetadata in;
    private final Map<String, Integer> vocabulary = new LinkedHashMap<>();
    private final List<String> tokens;
    private final List<Integer> types = new ArrayList<>();

    private GgufTokenizer(GgufFile file) {
        this.file = file;
        this.in = new GgufMetadata(file);
        tokens = in.array("tokenizer.ggml.tokens").stream().map(GgufValue::toString).toList();
        for (int i = 0; i < tokens.size(); i++) {
            vocabulary.putIfAbsent(tokens.get(i), i);
        }
        for (GgufValue v : in.array("tokenizer.ggml.token_type")) {
            types.add(v instanceof GgufValue.Whole w ? (int) w.value() : NORMAL);
        }
        checkSize("token_type", types.size());
    }

    /**
     * The tokenizer in a file; empty if it has none, or one of a kind or with a splitting rule that is not known here.
     *
     * @throws ModelException if its parts contradict each other
     */
    static Optional<Tokenizer> read(GgufFile file) {
        GgufMetadata in = new GgufMetadata(file);
        Optional<String> kind = in.text("tokenizer.ggml.model");
        Optional<ObjectNode> json = kind.isEmpty() ? Optional.empty() : switch (kind.get()) {
            case "gpt2" -> new GgufTokenizer(file).byteLevel();
            case "llama" -> Optional.of(new GgufTokenizer(file).sentencePiece());
            default -> Optional.empty();
        };
        return json.map(j -> Tokenizer.parse(j.toString(), file.path().toString()));
    }

    private void checkSize(String what, int size) {
        if (size != 0 && size != tokens.size()) {
            throw new ModelException(file.path() + ": tokenizer.ggml." + what + " has " + size + " elements for " + tokens.size()
                    + " tokens. Convert the model again with a current tool.");
        }
    }

    private int type(int id) {
        return types.isEmpty() ? NORMAL : types.get(id);
    }

    private static ObjectNode typed(String type) {
        return JSON.objectNode().put("type", type);
    }

    private ObjectNode bpe(ArrayNode merges) {
        ObjectNode model = typed("BPE");
        ObjectNode vocab = model.putObject("vocab");
        vocabulary.forEach(vocab::put);
        model.set("merges", merges);
        return model;
    }

    private ArrayNode added() {
        ArrayNode all = JSON.arrayNode();
        for (int id = 0; id < tokens.size(); id++) {
            if (type(id) == CONTROL || type(id) == USER_DEFINED) {
                all.addObject().put("id", id).put("content", tokens.get(id)).put("special", type(id) == CONTROL)
                        .put("single_word", false).put("lstrip", false).put("rstrip", false).put("normalized", false);
            }
        }
        return all;
    }

    // ---- byte-level BPE ----

    private Optional<ObjectNode> byteLevel() {
        String rule = in.text("tokenizer.ggml.pre").orElse("default");
        ObjectNode out = JSON.objectNode();
        out.set("added_tokens", added());
        boolean llama3 = rule.equals("llama-bpe") || rule.equals("llama3") || rule.equals("llama-v3");
        switch (rule) {
            case "default", "gpt-2", "gpt2" -> out.set("pre_tokenizer", byteLevel(true));
            case "llama-bpe", "llama3", "llama-v3" -> out.set("pre_tokenizer", split(WORDS.formatted("{1,3}")));
            case "qwen2" -> {
                out.set("normalizer", typed("NFC"));
                out.set("pre_tokenizer", split(WORDS.formatted("")));
            }
            default -> {
                return Optional.empty();
            }
        }
        ArrayNode merges = JSON.arrayNode();
        in.array("tokenizer.ggml.merges").forEach(m -> merges.add(m.toString()));
        ObjectNode model = bpe(merges);
        model.put("ignore_merges", llama3);
        out.set("model", model);
        out.set("decoder", byteLevel(true));
        frame(llama3).ifPresent(f -> out.set("post_processor", f));
        return Optional.of(out);
    }

    private static ObjectNode byteLevel(boolean regex) {
        return typed("ByteLevel").put("add_prefix_space", false).put("trim_offsets", true).put("use_regex", regex);
    }

    private static ObjectNode split(String pattern) {
        ObjectNode split = typed("Split").put("behavior", "Isolated").put("invert", false);
        split.putObject("pattern").put("Regex", pattern);
        ObjectNode both = typed("Sequence");
        both.putArray("pretokenizers").add(split).add(byteLevel(false));
        return both;
    }

    // ---- SentencePiece ----

    private ObjectNode sentencePiece() {
        ObjectNode out = JSON.objectNode();
        out.set("added_tokens", added());
        boolean prefix = in.flag("tokenizer.ggml.add_space_prefix").orElse(true);
        ObjectNode normalizer = typed("Sequence");
        ArrayNode steps = normalizer.putArray("normalizers");
        if (prefix) {
            steps.add(typed("Prepend").put("prepend", String.valueOf(META)));
        }
        steps.add(replace(" ", String.valueOf(META)));
        out.set("normalizer", normalizer);
        ObjectNode model = bpe(merges()).put("byte_fallback", true).put("fuse_unk", true);
        in.whole("tokenizer.ggml.unknown_token_id").ifPresent(id -> model.put("unk_token", token(id)));
        out.set("model", model);
        ObjectNode decoder = typed("Sequence");
        ArrayNode back = decoder.putArray("decoders").add(replace(String.valueOf(META), " ")).add(typed("ByteFallback"))
                .add(typed("Fuse"));
        if (prefix) {
            back.add(typed("Strip").put("content", " ").put("start", 1).put("stop", 0));
        }
        out.set("decoder", decoder);
        frame(true).ifPresent(f -> out.set("post_processor", f));
        return out;
    }

    private static ObjectNode replace(String from, String to) {
        ObjectNode step = typed("Replace").put("content", to);
        step.putObject("pattern").put("String", from);
        return step;
    }

    private record Merge(String left, String right, double score) {}

    /**
     * Every way to put a token together from two others; the best score first, as SentencePiece merges. Ties go to the
     * longer left part and then the longer right part, then to the order of the vocabulary, as in the usual conversion.
     */
    private ArrayNode merges() {
        List<GgufValue> scores = in.array("tokenizer.ggml.scores");
        checkSize("scores", scores.size());
        List<Merge> all = new ArrayList<>();
        for (int id = 0; id < scores.size(); id++) {
            String token = tokens.get(id);
            double score = scores.get(id) instanceof GgufValue.Real r ? r.value() : 0;
            List<Merge> local = new ArrayList<>();
            for (int at = 1; type(id) == NORMAL && at < token.length(); at++) {
                String left = token.substring(0, at);
                String right = token.substring(at);
                if (vocabulary.containsKey(left) && vocabulary.containsKey(right)) {
                    local.add(new Merge(left, right, score));
                }
            }
            local.sort(Comparator.comparingInt((Merge m) -> vocabulary.get(m.left)).thenComparingInt(m -> vocabulary.get(m.right)));
            all.addAll(local);
        }
        all.sort(Comparator.comparingDouble(Merge::score).thenComparingInt(m -> m.left.length())
                .thenComparingInt(m -> m.right.length()).reversed());
        ArrayNode out = JSON.arrayNode();
        all.forEach(m -> out.addArray().add(m.left).add(m.right));
        return out;
    }

    // ---- begin and end ----

    private String token(long id) {
        if (id < 0 || id >= tokens.size()) {
            throw new ModelException(file.path() + ": a special token has the id " + id + "; there are " + tokens.size()
                    + " tokens. Convert the model again with a current tool.");
        }
        return tokens.get((int) id);
    }

    /** Puts the tokens for begin and end around every text, where the file asks for them. */
    private Optional<ObjectNode> frame(boolean beginsByDefault) {
        Optional<Long> bos = in.whole("tokenizer.ggml.bos_token_id")
                .filter(id -> in.flag("tokenizer.ggml.add_bos_token").orElse(beginsByDefault));
        Optional<Long> eos = in.whole("tokenizer.ggml.eos_token_id")
                .filter(id -> in.flag("tokenizer.ggml.add_eos_token").orElse(false));
        if (bos.isEmpty() && eos.isEmpty()) {
            return Optional.empty();
        }
        ObjectNode template = typed("TemplateProcessing");
        ArrayNode single = template.putArray("single");
        ArrayNode pair = template.putArray("pair");
        ObjectNode specials = template.putObject("special_tokens");
        framed(single, "A", 0, bos, eos);
        framed(pair, "A", 0, bos, eos);
        framed(pair, "B", 1, bos, eos);
        bos.ifPresent(id -> special(specials, id));
        eos.ifPresent(id -> special(specials, id));
        return Optional.of(template);
    }

    private void framed(ArrayNode pieces, String sequence, int type, Optional<Long> bos, Optional<Long> eos) {
        bos.ifPresent(id -> pieces.addObject().putObject("SpecialToken").put("id", token(id)).put("type_id", type));
        pieces.addObject().putObject("Sequence").put("id", sequence).put("type_id", type);
        eos.ifPresent(id -> pieces.addObject().putObject("SpecialToken").put("id", token(id)).put("type_id", type));
    }

    private void special(ObjectNode specials, long id) {
        ObjectNode s = specials.putObject(token(id)).put("id", token(id));
        s.putArray("ids").add(id);
        s.putArray("tokens").add(token(id));
    }
}
