package dev.jotune.cli;

import dev.jotune.models.CausalLm;
import dev.jotune.models.ModelException;
import dev.jotune.models.Models;
import dev.jotune.models.generate.CausalLanguageModel;
import dev.jotune.models.generate.LanguageModel;
import dev.jotune.models.generate.Logits;
import dev.jotune.models.remote.RemoteModel;
import dev.jotune.models.remote.RemoteSettings;
import dev.jotune.models.tokenizer.Tokenizer;
import dev.jotune.peft.Adapters;
import dev.jotune.peft.decoding.Formula;
import dev.jotune.tensor.Backend;
import dev.jotune.tensor.DType;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SequencedMap;
import picocli.CommandLine.Option;

/**
 * A combination of models in place of one: {@code --lm "base + 1.0*(expert - anti)" --member expert=DIR --member anti=DIR}.
 * Members that are adapters of one model share its weights; each has a KV cache of its own.
 */
final class CombinationArguments {
    /** What the --model is called in a formula. */
    private static final String BASE = "base";

    @Option(names = "--lm", paramLabel = "FORMULA", description = "In place of the --model, a combination of models, such as 'base + 1.0*(expert - "
            + "anti)': numbers, + - * and parentheses, members, and the functions that 'jotune methods' lists. base is the --model.")
    private String formula;

    @Option(names = "--member", paramLabel = "NAME=WHERE", description = "A member of --lm: an adapter's folder (of the --model, or of "
            + "an earlier member M if @M follows), a model as for --model, or an OpenAI-compatible https://HOST/v1#MODEL, of which "
            + "the likeliest tokens are known; repeatable.")
    private List<String> given = new ArrayList<>();

    @Option(names = "--remote-top-k", paramLabel = "N", description = "How many tokens remote members are asked for; the combination "
            + "chooses among these. Default: 20. Their key is read from " + RemoteSettings.KEY + ".")
    private int remoteTopK = RemoteSettings.DEFAULT_TOP_K;

    private record Member(String name, String where) {}

    /**
     * What can be said without a model.
     *
     * @throws UsageException naming an option that is missing or malformed
     */
    void check() {
        if (formula == null && !given.isEmpty()) {
            throw new UsageException("--member names a model for --lm. Add --lm with a formula, or leave --member out");
        }
        members();
    }

    boolean isGiven() {
        return formula != null;
    }

    private List<Member> members() {
        List<Member> out = new ArrayList<>();
        for (String one : given) {
            int equals = one.indexOf('=');
            String name = equals < 0 ? "" : one.substring(0, equals).strip();
            if (!name.matches("[\\p{L}_][\\p{L}\\p{Nd}_]*") || equals == one.length() - 1) {
                throw new UsageException("--member: '" + one + "' is not NAME=WHERE with a name of letters, digits and _. Write for "
                        + "example --member expert=my-adapter");
            }
            if (name.equals(BASE) || out.stream().anyMatch(m -> m.name().equals(name))) {
                throw new UsageException("--member: the name '" + name + "' is taken" + (name.equals(BASE) ? " by the --model" : "")
                        + ". Choose another");
            }
            out.add(new Member(name, one.substring(equals + 1).strip()));
        }
        return out;
    }

    /** A model with its members by name. */
    record Combination(LanguageModel model, SequencedMap<String, LanguageModel> members) {
        /** What is to be known about members of which little is known. */
        List<String> notes() {
            return Logits.members(model).stream().filter(RemoteModel.class::isInstance).map(m -> ((RemoteModel) m).note()).toList();
        }
    }

    /**
     * Loads the members and reads the formula.
     *
     * @param base the --model, under the adapters that act on it
     * @throws UsageException saying at which column of the formula what is wrong
     */
    Combination read(Models.Loaded base, Backend backend) {
        SequencedMap<String, LanguageModel> models = new LinkedHashMap<>();
        Map<String, CausalLm> loaded = new LinkedHashMap<>();
        CausalLm own = base.model();
        loaded.put(BASE, own);
        models.put(BASE, new CausalLanguageModel(own, own.seams().inference()));
        for (Member m : members()) {
            models.put(m.name(), m.where().matches("https?://.*") ? remote(m, base)
                    : adapter(m, loaded).orElseGet(() -> model(m, base, loaded, backend)));
        }
        try {
            return new Combination(Formula.parse(formula, models), models);
        } catch (IllegalArgumentException e) {
            throw new UsageException("--lm: " + e.getMessage(), e);
        }
    }

    private LanguageModel remote(Member m, Models.Loaded base) {
        try {
            return new RemoteModel(RemoteSettings.parse(m.where(), remoteTopK), base.requireTokenizer(), base.model().vocabularySize());
        } catch (ModelException e) {
            throw new UsageException("--member " + m.name() + ": " + e.getMessage(), e);
        }
    }

    /** The member as an adapter of a model that is loaded, if it is a folder of one. */
    private static Optional<LanguageModel> adapter(Member m, Map<String, CausalLm> loaded) {
        int at = m.where().lastIndexOf('@');
        boolean named = at > 0 && !Files.exists(Path.of(m.where()));
        Path folder = Path.of(named ? m.where().substring(0, at) : m.where());
        if (!Files.exists(folder.resolve("adapter_config.json"))) {
            return Optional.empty();
        }
        String of = named ? m.where().substring(at + 1) : BASE;
        CausalLm model = loaded.get(of);
        if (model == null) {
            throw new UsageException("--member " + m.name() + ": there is no model '" + of + "' that the adapter could act on. Models "
                    + "so far: " + String.join(", ", loaded.keySet()));
        }
        String[] active = model.seams().active().toArray(String[]::new);
        Adapters.load(model, "member " + m.name(), folder);
        model.seams().activate(active);
        return Optional.of(new CausalLanguageModel(model, model.seams().rows(List.of("member " + m.name()))));
    }

    private static LanguageModel model(Member m, Models.Loaded base, Map<String, CausalLm> loaded, Backend backend) {
        Models.Loaded other = Models.open(m.where(), backend, DType.F32);
        if (other.tokenizer().isPresent() && base.tokenizer().isPresent()) {
            requireSame(m.name(), other.tokenizer().get(), base.tokenizer().get());
        }
        loaded.put(m.name(), other.model());
        return new CausalLanguageModel(other.model(), other.model().seams().inference());
    }

    /** Logits of different vocabularies are numbers about different things, even where there are equally many. */
    private static void requireSame(String name, Tokenizer theirs, Tokenizer own) {
        for (int id = 0; id < Math.min(theirs.vocabularySize(), own.vocabularySize()); id++) {
            Optional<String> a = theirs.idToToken(id);
            Optional<String> b = own.idToToken(id);
            if (!a.equals(b)) {
                throw new FailureException("--member " + name + ": its tokenizer is another one: token " + id + " is '" + a.orElse("")
                        + "' there and '" + b.orElse("") + "' in the --model. Combine models that share a tokenizer");
            }
        }
    }
}
