package dev.jotune.jmh.claims;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/**
 * Runs claims: {@code Run RESULTS MODELS DATA LAUNCH CLAIM...}, and makes the page of all results and the cells of
 * METHODS.md: {@code Run RESULTS PAGE CELLS}. {@code Run} alone names all claims, and says which are timed.
 */
public final class Run {
    static final List<Claim> CLAIMS = List.of(Hydragen.FULL, PrefixSharing.FULL, InfinitePrefix.FULL, ResidualPrompts.FULL, SpecialTokens.FULL,
            AirControl.FULL, GatedPlugIns.FULL);

    private Run() {}

    /** See the class. */
    public static void main(String[] args) throws IOException {
        if (args.length == 0) {
            CLAIMS.forEach(c -> System.out.println(c.id() + (c.isTimed() ? " timed" : "")));
            return;
        }
        Results results = Results.open(Path.of(args[0]));
        if (args.length == 3) {
            Files.writeString(Path.of(args[1]), Page.text(CLAIMS, results));
            Files.writeString(Path.of(args[2]), Page.cells(CLAIMS, results));
            return;
        }
        for (int i = 4; i < args.length; i++) {
            Claim c = named(args[i]);
            results.begin(c, Integer.parseInt(args[3]));
            c.run(new Claim.Places(Path.of(args[1]), Path.of(args[2])), results);
            c.findings(results.of(c)).forEach(f -> System.err.println(c.id() + ", " + f.what() + ", " + f.asked() + ": " + f.measured()));
        }
    }

    private static Claim named(String id) {
        return CLAIMS.stream().filter(c -> c.id().equals(id)).findFirst().orElseThrow(() -> new IllegalArgumentException("there is no claim '" + id
                + "'. Choose one of " + String.join(", ", CLAIMS.stream().map(Claim::id).toList()) + "."));
    }
}
