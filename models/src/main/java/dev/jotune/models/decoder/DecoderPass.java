package dev.jotune.models.decoder;

import dev.jotune.models.KvCache;
import dev.jotune.models.TokenLayout;
import dev.jotune.models.seam.Pass;
import java.util.Map;
import java.util.Optional;

/**
 * What the blocks share in one pass.
 *
 * @param tables for each kind of angles
 */
record DecoderPass(TokenLayout layout, Pass pass, Optional<KvCache> cache, Map<Rope, Rope.Tables> tables) {}
