package dev.jotune.models.ttm;

import dev.jotune.models.Models;
import dev.jotune.tensor.Backend;
import dev.jotune.tensor.DType;
import dev.jotune.testing.Golden;
import java.net.URISyntaxException;
import java.nio.file.Path;

/**
 * The published checkpoint with context 1024 and horizon 96 (ibm-granite, Apache 2.0), and numbers that the original
 * model computes with it in float64 ({@code golden/make_ttm.py}).
 */
final class TtmFiles {
    private TtmFiles() {}

    static Path file(String name) {
        try {
            return Path.of(TtmFiles.class.getResource(name).toURI());
        } catch (URISyntaxException e) {
            throw new IllegalStateException(e);
        }
    }

    static Ttm model(Backend backend, DType type) {
        return Models.load(file("config.json").getParent(), backend, type).as(Ttm.class);
    }

    static Golden.Array reference(String name) {
        return Golden.array(file("reference.safetensors"), name);
    }
}
