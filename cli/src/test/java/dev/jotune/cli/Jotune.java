package dev.jotune.cli;

import java.io.PrintWriter;
import java.io.StringWriter;
import java.util.Arrays;

/** Runs the command inside the test's JVM and keeps what it printed. */
record Jotune(int code, String out, String err) {
    static Jotune run(Object... args) {
        StringWriter out = new StringWriter();
        StringWriter err = new StringWriter();
        int code = Main.run(Arrays.stream(args).map(Object::toString).toArray(String[]::new), new PrintWriter(out), new PrintWriter(err));
        return new Jotune(code, out.toString(), err.toString());
    }
}
