package dev.jotune.cuda;

import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * Where NVIDIA's run-time compiler may lie, the likeliest first: where the property {@value #PLACE} says (a file or its folder), on the
 * loader's path, in {@code CUDA_HOME} and {@code CUDA_PATH}, in {@code /usr/local/cuda}, in the Python packages nvidia-cuda-nvrtc of
 * version 13 and 12.
 *
 * @param property the property's value, or empty
 * @param environment variables
 * @param driver the CUDA version that the driver understands, as it counts: a younger compiler's output it would refuse
 */
record NvrtcSearch(String property, Map<String, String> environment, int driver) {
    /** File or folder of the library. */
    static final String PLACE = "jotune.cuda.nvrtc";

    private static final int FIRST_OF_13 = 13_000;

    /** Names of the library, that which the driver understands first. */
    List<String> names() {
        return driver >= FIRST_OF_13 ? List.of("libnvrtc.so.13", "libnvrtc.so.12") : List.of("libnvrtc.so.12", "libnvrtc.so.13");
    }

    /** What to try to load: files that are there, and names for the system's loader. */
    List<String> candidates() {
        Set<String> all = new LinkedHashSet<>();
        if (!property.isBlank()) {
            Path chosen = Path.of(property);
            if (Files.isDirectory(chosen)) {
                add(all, chosen);
            } else {
                all.add(property);
            }
            // Who names a place does not want another.
            return List.copyOf(all);
        }
        all.addAll(names());
        for (String variable : List.of("CUDA_HOME", "CUDA_PATH")) {
            String home = environment.get(variable);
            if (home != null && !home.isBlank()) {
                add(all, Path.of(home, "lib64"));
                add(all, Path.of(home, "targets", "x86_64-linux", "lib"));
            }
        }
        add(all, Path.of("/usr/local/cuda/lib64"));
        for (Path packages : packages()) {
            add(all, packages.resolve("nvidia/cu13/lib"));
            add(all, packages.resolve("nvidia/cuda_nvrtc/lib"));
        }
        return List.copyOf(all);
    }

    private void add(Set<String> all, Path folder) {
        for (String name : names()) {
            Path file = folder.resolve(name);
            if (Files.isRegularFile(file)) {
                all.add(file.toString());
            }
        }
    }

    /** Folders that Python takes packages from: those of an environment, of every Python on the path, of the user, of the system. */
    private List<Path> packages() {
        List<Path> roots = new ArrayList<>();
        for (String variable : List.of("VIRTUAL_ENV", "CONDA_PREFIX")) {
            add(roots, environment.get(variable));
        }
        for (String folder : environment.getOrDefault("PATH", "").split(":")) {
            if (!folder.isBlank() && Files.isExecutable(Path.of(folder, "python3"))) {
                add(roots, Path.of(folder).toAbsolutePath().normalize().getParent() + "");
            }
        }
        if (environment.get("HOME") != null) {
            roots.add(Path.of(environment.get("HOME"), ".local"));
        }
        roots.addAll(List.of(Path.of("/usr/local"), Path.of("/usr")));
        List<Path> all = new ArrayList<>();
        for (String folder : environment.getOrDefault("PYTHONPATH", "").split(":")) {
            if (!folder.isBlank()) {
                all.add(Path.of(folder));
            }
        }
        for (Path root : roots) {
            try (DirectoryStream<Path> versions = Files.newDirectoryStream(root.resolve("lib"), "python3*")) {
                versions.forEach(v -> all.addAll(List.of(v.resolve("site-packages"), v.resolve("dist-packages"))));
            } catch (IOException e) {
                // No Python there.
                continue;
            }
        }
        return all;
    }

    private static void add(List<Path> roots, String folder) {
        if (folder != null && !folder.isBlank()) {
            roots.add(Path.of(folder));
        }
    }
}
