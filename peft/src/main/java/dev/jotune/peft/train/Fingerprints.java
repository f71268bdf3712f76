package dev.jotune.peft.train;

import dev.jotune.models.Backbone;
import dev.jotune.models.seam.Parameter;
import dev.jotune.tensor.Scope;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.kernels.Precision;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.Map;

/** Short texts that differ where things differ. */
final class Fingerprints {
    /** Elements read of each weight: enough to tell checkpoints apart without reading them all. */
    private static final long SAMPLE = 64;

    private Fingerprints() {}

    static MessageDigest sha256() {
        try {
            return MessageDigest.getInstance("SHA-256");
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("every JDK has SHA-256", e);
        }
    }

    static String of(Map<String, String> fields) {
        MessageDigest digest = sha256();
        fields.forEach((k, v) -> digest.update((k + "=" + v + "\n").getBytes(StandardCharsets.UTF_8)));
        return HexFormat.of().formatHex(digest.digest());
    }

    /** The kind of a model, its backend, and a digest of its shapes and the beginning of every weight. */
    static String of(Backbone model) {
        MessageDigest digest = sha256();
        try (Scope _ = Scope.open()) {
            for (Parameter p : model.seams().parameters().values()) {
                Tensor t = p.base().tensor();
                digest.update((p.path() + t).getBytes(StandardCharsets.UTF_8));
                double[] some = t.reshape(t.numel()).slice(0, 0, Math.min(SAMPLE, t.numel())).toDoubleArray();
                ByteBuffer bytes = ByteBuffer.allocate(Double.BYTES * some.length);
                bytes.asDoubleBuffer().put(some);
                digest.update(bytes.array());
            }
        }
        // A run that was saved before there was a choice goes on.
        String products = model.seams().precision() == Precision.F32 ? "" : ", products in " + model.seams().precision();
        return model.modelType() + " on " + model.backend().name() + " in " + model.computeType() + products + " "
                + HexFormat.of().formatHex(digest.digest());
    }
}
