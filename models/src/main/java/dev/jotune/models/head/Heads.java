package dev.jotune.models.head;

import dev.jotune.autograd.Var;
import dev.jotune.autograd.ops.Activations;
import dev.jotune.models.Config;
import dev.jotune.models.Encoder;
import dev.jotune.models.ModelException;
import dev.jotune.models.Weights;
import dev.jotune.models.seam.LinearLayer;
import dev.jotune.models.seam.Parameter;
import dev.jotune.models.seam.Seams;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Scope;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.random.Philox;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/**
 * Chooses and builds the head of an encoder: {@code architectures[0]} says which, and a checkpoint without that head's
 * weights is the plain encoder. A checkpoint with a head that has no interface here is the plain encoder too.
 */
public final class Heads {
    private enum Kind { NONE, MASKED, TEXT, TOKEN }

    private final Kind kind;
    private final HeadNames names;
    private final Labels labels;
    private final Weights.Source source;
    private final String prefix;
    private final double initializerRange;
    private final Optional<Fresh> fresh;

    /**
     * @param prefix of the base model within one with a head
     * @param fresh if a classifier is wanted whatever the checkpoint is
     */
    public Heads(Config c, Weights.Source given, String prefix, HeadNames names, Optional<Fresh> fresh) {
        this.names = names;
        this.fresh = fresh;
        Labels own = Labels.read(c);
        this.labels = fresh.map(f -> new Labels(f.labels(), own.problemType())).orElse(own);
        this.initializerRange = c.number("initializer_range", 0.02);
        this.source = new HeadSource(given, prefix);
        this.kind = fresh.isPresent() ? Kind.TEXT : kind(c);
        // A plain encoder keeps the names of its file; within a model with a head its names have the prefix.
        boolean plain = kind == Kind.NONE && !given.contains(prefix + "embeddings.word_embeddings.weight");
        this.prefix = plain ? "" : prefix;
    }

    private Kind kind(Config c) {
        String architecture = c.texts("architectures").stream().findFirst().orElse("");
        if (architecture.endsWith("ForSequenceClassification")) {
            return source.contains(names.classifier() + ".weight") ? Kind.TEXT : Kind.NONE;
        }
        if (architecture.endsWith("ForTokenClassification")) {
            return source.contains(names.tokenClassifier() + ".weight") ? Kind.TOKEN : Kind.NONE;
        }
        boolean masked = architecture.isEmpty() || architecture.endsWith("ForMaskedLM") || architecture.endsWith("ForPreTraining");
        return masked && source.contains(names.maskedDense() + ".weight") ? Kind.MASKED : Kind.NONE;
    }

    /**
     * The name of an activation function.
     *
     * @throws ModelException if there is none of that name
     */
    public static String activation(Config c, String field, String otherwise) {
        String name = c.text(field, otherwise);
        try {
            Activations.byName(name, Var.constant(Tensor.zeros(Backends.reference(), DType.F32, 1)));
            return name;
        } catch (IllegalArgumentException e) {
            throw new ModelException(c.origin() + ": '" + field + "': " + e.getMessage() + ".", e);
        }
    }

    /** How the names of the base model's weights begin. */
    public String prefix() {
        return prefix;
    }

    /** Where all weights come from. */
    public Weights.Source source() {
        return source;
    }

    /** The encoder with its head. */
    public Encoder on(Encoder base, HeadShape shape) {
        Weights w = new Weights(source, base.seams());
        return switch (kind) {
            case NONE -> pooled(base, shape, w);
            case MASKED -> masked(base, shape, w);
            case TEXT -> classifier(base, shape, w);
            case TOKEN -> new TokenHead(base, w.linear(names.tokenClassifier(), labels.names().size(), shape.hidden(), true),
                    shape.tokenDropout(), labels);
        };
    }

    private Encoder pooled(Encoder base, HeadShape shape, Weights w) {
        String path = prefix + names.pooler();
        boolean there = !names.pooler().isEmpty() && source.contains(path + ".weight");
        return there ? new PoolerEncoder(base, w.linear(path, shape.hidden(), shape.hidden(), true), names.denseActivation()) : base;
    }

    private Encoder masked(Encoder base, HeadShape shape, Weights w) {
        Parameter bias = w.parameter(names.maskedBias(), shape.vocabulary());
        LinearLayer dense = w.linear(names.maskedDense(), shape.embedding(), shape.hidden(), true);
        Norm norm = Norm.of(names.maskedNorm(), shape.embedding(), shape.eps(), w);
        Parameter table = shape.tied() ? base.seams().input().table().orElseThrow()
                : w.parameter(names.maskedDecoder() + ".weight", shape.vocabulary(), shape.embedding());
        LinearLayer decoder = base.seams().add(new LinearLayer(names.maskedDecoder(), table, Optional.of(bias)));
        return new MaskedHead(base, dense, shape.activation(), norm, decoder);
    }

    private Encoder classifier(Encoder base, HeadShape shape, Weights w) {
        List<String> made = new ArrayList<>();
        LinearLayer dense = layer(base, names.dense(), shape.hidden(), shape.hidden(), w, made);
        LinearLayer classifier = layer(base, names.classifier(), labels.names().size(), shape.hidden(), w, made);
        return new ClassifierHead(base, dense, classifier, names, shape, labels, made);
    }

    /** A layer of the file, or a fresh one where that is wanted: normal weights, no bias, as transformers starts it. */
    private LinearLayer layer(Encoder base, String path, long out, long in, Weights w, List<String> made) {
        // A head of another number of classes is no use.
        boolean fits = source.contains(path + ".weight") && Arrays.equals(source.get(path + ".weight").shape(), new long[] {out, in});
        if (fresh.isEmpty() || fits) {
            return w.linear(path, out, in, true);
        }
        double[] values = new double[Math.toIntExact(out * in)];
        Philox.fillNormal(fresh.get().seed(), made.size() + 1, 0, values);
        for (int i = 0; i < values.length; i++) {
            values[i] *= initializerRange;
        }
        made.add(path);
        Seams seams = base.seams();
        // Rounded to F32 whatever computes: the start is the same everywhere.
        Parameter weight = own(seams, path + ".weight", Tensor.of(base.backend(), DType.F32, values, out, in));
        Parameter bias = own(seams, path + ".bias", Tensor.zeros(base.backend(), DType.F32, out));
        return seams.add(new LinearLayer(path, weight, Optional.of(bias)));
    }

    private static Parameter own(Seams seams, String path, Tensor start) {
        return seams.add(new Parameter(path, Var.constant(Scope.detach(start))));
    }
}
