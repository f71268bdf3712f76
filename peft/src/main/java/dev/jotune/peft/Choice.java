package dev.jotune.peft;

import dev.jotune.models.Backbone;
import dev.jotune.models.seam.LinearLayer;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * Which modules of a model a method's targets mean.
 *
 * @param whole modules that are trained whole, and so are no targets
 */
record Choice(Backbone model, List<String> whole) {
    /** What gives a model's outputs; {@code all-linear} leaves it alone, as in PEFT. */
    private static final Set<String> HEADS = Set.of("lm_head", "proj_out", "cls.predictions.decoder", "lm_head.decoder",
            "vocab_projector", "score", "classifier", "classifier.out_proj");

    /** PEFT's names of embeddings that its files hold. */
    private static final List<String> NOTED = List.of("embed_tokens", "lm_head");

    private boolean isTable(LinearLayer l) {
        return model.seams().tables().get(l.path()) == l;
    }

    private static boolean isHead(LinearLayer l) {
        return HEADS.stream().anyMatch(h -> l.path().equals(h) || l.path().endsWith("." + h));
    }

    /** @throws AdapterException if nothing is chosen, or a name is that of embeddings which are no place for methods */
    List<LinearLayer> of(Targets targets, Optional<Targets> exclude, List<Integer> layers, List<String> layersPattern) {
        List<LinearLayer> chosen = places()
                .filter(l -> targets.isAllLinear() ? !isTable(l) && !isHead(l) : targets.matches(l.path()))
                .filter(l -> whole.stream().noneMatch(m -> Copies.isWithin(m, l.path() + ".")))
                .filter(l -> exclude.isEmpty() || !exclude.get().matches(l.path()))
                .filter(l -> layers.isEmpty() || Targets.layerOf(l.path(), layersPattern).filter(layers::contains).isPresent())
                .toList();
        if (chosen.isEmpty()) {
            String have = model.seams().projections().keySet().stream().map(p -> p.substring(p.lastIndexOf('.') + 1))
                    .distinct().sorted().collect(Collectors.joining(", "));
            throw new AdapterException("target_modules " + targets.toJson() + " matches no linear layer of the model"
                    + (layers.isEmpty() ? "" : " within layers " + layers) + ". Its linear layers are called: " + have + ".");
        }
        for (String n : targets.names()) {
            boolean embedding = model.seams().embeddings().values().stream().flatMap(e -> e.table().stream())
                    .anyMatch(p -> p.path().equals(n + ".weight") || p.path().endsWith("." + n + ".weight"));
            if (embedding && places().noneMatch(l -> Targets.of(n).matches(l.path()))) {
                throw new AdapterException("target_modules: '" + n + "' holds a table that other modules read under their own names, or is no place "
                        + "for methods. Name one of those that are: " + model.seams().tables().keySet() + ".");
            }
        }
        return chosen;
    }

    private Stream<LinearLayer> places() {
        return Stream.concat(model.seams().tables().values().stream(), model.seams().projections().values().stream());
    }

    static AdapterException isEmbedding(String name) {
        return new AdapterException("target_modules: '" + name + "' is an embedding; only linear layers can be targeted. "
                + "To train it whole, name it in modules_to_save.");
    }

    /** Where {@code embed_tokens} or {@code lm_head} is named, PEFT stores the embeddings that are adapted on both sides of a model. */
    static List<LinearLayer> embeddings(Backbone model, Targets targets, List<LinearLayer> chosen) {
        boolean named = NOTED.stream().anyMatch(targets.names()::contains) || targets.pattern().isPresent() && !targets.isAllLinear()
                && chosen.stream().anyMatch(l -> NOTED.stream().anyMatch(n -> Targets.of(n).matches(l.path())));
        return !named ? List.of() : chosen.stream().filter(l -> Targets.of("lm_head").matches(l.path())
                || model.seams().tables().get(l.path()) == l && l.weight().path().equals(l.path() + ".weight")
                        && model.seams().input().table().filter(t -> t == l.weight()).isPresent()).toList();
    }
}
