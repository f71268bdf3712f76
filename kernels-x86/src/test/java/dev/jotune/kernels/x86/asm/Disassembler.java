package dev.jotune.kernels.x86.asm;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** The disassembler of binutils: what others think our bytes mean. */
public final class Disassembler {
    private static final Pattern LINE = Pattern.compile("\\s*([0-9a-f]+):\t(.*)");

    private static final Pattern COMMENT = Pattern.compile("\\s+#.*|\\{evex} |[A-Z]+ PTR |[A-Z]+ (?=BCST )|\\{1to\\d+}");
    private static final Pattern BLANKS = Pattern.compile("\\s+");

    private Disassembler() {}

    /** Whether objdump can be started. */
    public static boolean isThere() {
        try {
            return new ProcessBuilder("objdump", "--version").redirectErrorStream(true)
                    .redirectOutput(ProcessBuilder.Redirect.DISCARD).start().waitFor() == 0;
        } catch (IOException e) {
            return false;
        } catch (InterruptedException e) {
            throw new IllegalStateException(e);
        }
    }

    /** One line for each instruction, in Intel's syntax, with single blanks and without the sizes of memory operands. */
    public static List<String> of(byte[] code) throws IOException {
        Path file = Files.createTempFile("jotune", ".bin");
        try {
            Files.write(file, code);
            Process p = new ProcessBuilder("objdump", "-D", "-b", "binary", "-m", "i386:x86-64", "-M", "intel", "-w",
                    "--no-show-raw-insn", file.toString()).redirectErrorStream(true).start();
            List<String> lines = new ArrayList<>();
            for (String line : new String(p.getInputStream().readAllBytes()).split("\n")) {
                Matcher m = LINE.matcher(line);
                if (m.matches()) {
                    lines.add(plain(m.group(2)));
                }
            }
            return lines;
        } finally {
            Files.delete(file);
        }
    }

    private static String plain(String line) {
        return BLANKS.matcher(COMMENT.matcher(line).replaceAll("")).replaceAll(" ").strip();
    }
}
