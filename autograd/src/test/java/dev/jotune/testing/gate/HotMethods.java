package dev.jotune.testing.gate;

import java.io.IOException;
import java.lang.classfile.ClassFile;
import java.lang.classfile.ClassModel;
import java.lang.classfile.CodeElement;
import java.lang.classfile.Label;
import java.lang.classfile.MethodModel;
import java.lang.classfile.instruction.BranchInstruction;
import java.lang.classfile.instruction.InvokeInstruction;
import java.lang.classfile.instruction.LabelTarget;
import java.nio.file.FileSystem;
import java.nio.file.FileSystems;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Stream;

/**
 * The kernels of a folder of classes, read from their byte code so that no list can fall behind: methods that call the
 * Vector API inside a loop. Such a method is a hundred times too slow unless the optimising compiler takes it.
 */
final class HotMethods {
    private static final String VECTORS = "jdk/incubator/vector/";

    private HotMethods() {}

    /** {@code class.method} of every one in a folder of classes or a jar, the class without its package. */
    static TreeSet<String> of(Path classes) throws IOException {
        if (Files.isDirectory(classes)) {
            return in(classes);
        }
        try (FileSystem jar = FileSystems.newFileSystem(classes)) {
            return in(jar.getPath("/"));
        }
    }

    private static TreeSet<String> in(Path folder) throws IOException {
        TreeSet<String> found = new TreeSet<>();
        List<Path> files;
        try (Stream<Path> walk = Files.walk(folder)) {
            files = walk.filter(f -> f.toString().endsWith(".class")).toList();
        }
        for (Path file : files) {
            ClassModel model = ClassFile.of().parse(file);
            String name = model.thisClass().asInternalName();
            for (MethodModel method : model.methods()) {
                if (isHot(method)) {
                    found.add(name.substring(name.lastIndexOf('/') + 1) + "." + method.methodName().stringValue());
                }
            }
        }
        return found;
    }

    // A call of the Vector API between a label and a branch back to it.
    private static boolean isHot(MethodModel method) {
        if (method.code().isEmpty()) {
            return false;
        }
        List<CodeElement> code = method.code().get().elementList();
        Set<Label> seen = new HashSet<>();
        for (int at = 0; at < code.size(); at++) {
            if (code.get(at) instanceof LabelTarget label) {
                seen.add(label.label());
            } else if (code.get(at) instanceof BranchInstruction branch && seen.contains(branch.target())
                    && callsVectors(code, branch.target(), at)) {
                return true;
            }
        }
        return false;
    }

    private static boolean callsVectors(List<CodeElement> code, Label from, int to) {
        boolean inside = false;
        for (CodeElement element : code.subList(0, to)) {
            if (element instanceof LabelTarget label && label.label().equals(from)) {
                inside = true;
            } else if (inside && element instanceof InvokeInstruction call && call.owner().asInternalName().startsWith(VECTORS)) {
                return true;
            }
        }
        return false;
    }
}
