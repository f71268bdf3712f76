package dev.jotune.opencl;

import dev.jotune.tensor.Backend;
import dev.jotune.tensor.BackendProvider;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.function.Supplier;

/**
 * Offers the OpenCL devices of this machine: {@code opencl:0}, {@code opencl:1}, ... Making a provider does nothing; the first
 * question loads the library and asks its drivers, which takes some 150 ms. What is missing is said in {@link #note()}, never thrown.
 *
 * <p>The property {@value #CHOICE} chooses: {@code all}, {@code off}, the number of a device, or a part of its name.
 */
public final class OpenClProvider implements BackendProvider {
    /** Which devices are offered. */
    static final String CHOICE = "jotune.opencl";

    private static final int GPU_PRIORITY = 10;
    /** Behind the CPU's own backend and the reference. */
    private static final int OTHER_PRIORITY = -10;

    private final Supplier<List<DeviceInfo>> search;
    private boolean searched;
    private List<Backend> found = List.of();
    private boolean gpu;
    private String note = "";

    /** For {@link java.util.ServiceLoader}. */
    public OpenClProvider() {
        this(DeviceInfo::all);
    }

    /** With another way to find devices, for tests. */
    OpenClProvider(Supplier<List<DeviceInfo>> search) {
        this.search = search;
    }

    @Override
    public String kind() {
        return "opencl";
    }

    /** Above the CPU only where there is a GPU. */
    @Override
    public synchronized int priority() {
        look();
        return gpu ? GPU_PRIORITY : OTHER_PRIORITY;
    }

    @Override
    public synchronized List<Backend> backends() {
        look();
        return found;
    }

    @Override
    public synchronized String note() {
        look();
        return note;
    }

    private void look() {
        if (searched) {
            return;
        }
        searched = true;
        String choice = System.getProperty(CHOICE, "all").strip();
        if (choice.equalsIgnoreCase("off")) {
            note = "switched off by -D" + CHOICE + "=off";
            return;
        }
        List<DeviceInfo> devices;
        try {
            devices = search.get();
        } catch (LinkageError e) {
            note = "the OpenCL library (libOpenCL.so.1) or JOCL's native half could not be loaded: " + firstLine(e);
            return;
        } catch (RuntimeException e) {
            note = "asking for devices failed: " + firstLine(e);
            return;
        }
        if (devices.isEmpty()) {
            note = "the OpenCL library is there, but no driver offers a device. On Linux drivers are registered in /etc/OpenCL/vendors";
            return;
        }
        List<Backend> chosen = new ArrayList<>();
        for (int i = 0; i < devices.size(); i++) {
            DeviceInfo d = devices.get(i);
            if (matches(choice, i, d)) {
                chosen.add(new OpenClBackend("opencl:" + i, d));
                gpu |= d.kind() == DeviceInfo.Kind.GPU;
            }
        }
        found = List.copyOf(chosen);
        if (found.isEmpty()) {
            note = "-D" + CHOICE + "=" + choice + " fits none of " + devices.stream().map(DeviceInfo::name).toList();
        }
    }

    private static boolean matches(String choice, int index, DeviceInfo d) {
        return choice.equalsIgnoreCase("all") || choice.equals(Integer.toString(index))
                || !choice.chars().allMatch(Character::isDigit) && d.name().toLowerCase(Locale.ROOT).contains(choice.toLowerCase(Locale.ROOT));
    }

    private static String firstLine(Throwable e) {
        Throwable cause = e;
        while (cause.getCause() != null && cause instanceof LinkageError) {
            cause = cause.getCause();
        }
        String message = String.valueOf(cause.getMessage());
        return message.lines().findFirst().orElse(cause.getClass().getSimpleName()).strip();
    }
}
