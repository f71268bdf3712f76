package dev.jotune.peft.methods;

import dev.jotune.autograd.Lookup;
import dev.jotune.autograd.Recording;
import dev.jotune.autograd.Var;
import dev.jotune.models.seam.LinearLayer;
import dev.jotune.peft.Attachment;
import dev.jotune.peft.Init;
import dev.jotune.tensor.Tensor;
import java.util.Optional;
import java.util.stream.IntStream;

/**
 * AdaLoRA's factors of one layer, {@code A [r, in]}, {@code B [out, r]} and {@code e [r, 1]}, and which of the r triplets are left: of
 * the others e is 0. They are neither in the file nor in the shapes that its configuration states.
 */
final class Triplets {
    private final String path;
    private final Var a;
    private final Var b;
    private final Var e;
    private Optional<boolean[]> left = Optional.empty();

    private Triplets(String path, Var a, Var b, Var e) {
        this.path = path;
        this.a = a;
        this.b = b;
        this.e = e;
    }

    static Triplets of(Attachment at, LinearLayer layer, long rank, Init ofFactors, Init ofE) {
        String key = Attachment.key(layer.path());
        Triplets t = new Triplets(layer.path(), at.trainable(key + ".lora_A", ofFactors, rank, layer.in()),
                at.trainable(key + ".lora_B", ofFactors, layer.out(), rank), at.trainable(key + ".lora_E", ofE, rank, 1));
        at.export(key + ".lora_A", () -> t.left(t.a, 0));
        at.export(key + ".lora_B", () -> t.left(t.b, 1));
        at.export(key + ".lora_E", () -> t.left(t.e, 0));
        return t;
    }

    /** What the file of a trained adapter holds of a layer that lost all its triplets. */
    static void none(Attachment at, LinearLayer layer) {
        String key = Attachment.key(layer.path());
        at.fixed(key + ".lora_A", Init.ZEROS, 0, layer.in());
        at.fixed(key + ".lora_B", Init.ZEROS, layer.out(), 0);
        at.fixed(key + ".lora_E", Init.ZEROS, 0, 1);
    }

    String path() {
        return path;
    }

    Var a() {
        return a;
    }

    Var b() {
        return b;
    }

    Var e() {
        return e;
    }

    int rank() {
        return Math.toIntExact(e.size(0));
    }

    /** The name of a factor among what is trained. */
    String key(String factor) {
        return Attachment.key(path) + "." + factor;
    }

    /** How important each triplet is: its e, and the means over its row of A and its column of B. */
    double[] score(Importance importance) {
        double[] ofE = importance.mean(key("lora_E"), e, 1);
        double[] ofA = importance.mean(key("lora_A"), a, 1);
        double[] ofB = importance.mean(key("lora_B"), b, 0);
        return IntStream.range(0, ofE.length).mapToDouble(i -> ofE[i] + ofA[i] + ofB[i]).toArray();
    }

    /** Which are left; nothing before the first decision. */
    Optional<boolean[]> left() {
        return left;
    }

    void leave(Optional<boolean[]> stays) {
        left = stays;
    }

    /** Sets e to 0 where a triplet was taken away. */
    void clear() {
        left.ifPresent(stays -> {
            double[] values = e.tensor().toDoubleArray();
            for (int i = 0; i < values.length; i++) {
                values[i] = stays[i] ? values[i] : 0;
            }
            e.tensor().copyFrom(Tensor.of(e.backend(), e.dtype(), values, e.shape()));
        });
    }

    /** What is left of a factor whose triplets lie along {@code axis}. */
    private Tensor left(Var factor, int axis) {
        return left.map(stays -> IntStream.range(0, stays.length).filter(i -> stays[i]).asLongStream().toArray())
                .map(at -> Recording.off(() -> {
                    Var rows = Lookup.gather(factor.transpose(0, axis), Tensor.of(factor.backend(), at, at.length));
                    return rows.transpose(0, axis).tensor().contiguous();
                })).orElseGet(factor::tensor);
    }
}
