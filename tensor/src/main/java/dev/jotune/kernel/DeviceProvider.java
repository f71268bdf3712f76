package dev.jotune.kernel;

import dev.jotune.tensor.Backend;
import dev.jotune.tensor.BackendProvider;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.function.Supplier;

/**
 * Offers the devices of one driver by number: {@code opencl:0}, {@code opencl:1}, ... Making a provider does nothing; the first
 * question looks for devices. What is missing is said in {@link #note()}, never thrown.
 *
 * <p>A property with the name {@code jotune.} and the kind chooses: {@code all}, {@code off}, the number of a device, or a part of
 * its name.
 *
 * @param <D> a device as its driver describes it
 */
public abstract class DeviceProvider<D> implements BackendProvider {
    private final String kind;
    private final Supplier<List<D>> search;
    private boolean searched;
    private List<D> chosen = List.of();
    private List<Backend> found = List.of();
    private String note = "";

    /**
     * @param kind before the colon
     * @param search finds the devices, the best first; may throw a {@link LinkageError} where there is no driver
     */
    protected DeviceProvider(String kind, Supplier<List<D>> search) {
        this.kind = kind;
        this.search = search;
    }

    /** What people call a device. */
    protected abstract String label(D device);

    /** Its backend, which costs nothing until it is used. */
    protected abstract Backend open(String name, D device);

    /** What the devices that are offered cannot do for want of something; empty if all is well. */
    protected String limits(List<D> offered) {
        return "";
    }

    /** Note if the search failed for want of a library. */
    protected abstract String withoutLibrary(String reason);

    /** Note if the search found nothing. */
    protected abstract String withoutDevices();

    /** @param offered devices, perhaps none */
    protected abstract int priority(List<D> offered);

    @Override
    public final String kind() {
        return kind;
    }

    @Override
    public final synchronized int priority() {
        look();
        return priority(chosen);
    }

    @Override
    public final synchronized List<Backend> backends() {
        look();
        return found;
    }

    @Override
    public final synchronized String note() {
        look();
        return note;
    }

    private void look() {
        if (searched) {
            return;
        }
        searched = true;
        String property = "jotune." + kind;
        String choice = System.getProperty(property, "all").strip();
        if (choice.equalsIgnoreCase("off")) {
            note = "switched off by -D" + property + "=off";
            return;
        }
        List<D> devices;
        try {
            devices = search.get();
        } catch (LinkageError e) {
            note = withoutLibrary(firstLine(e));
            return;
        } catch (RuntimeException e) {
            note = "asking for devices failed: " + firstLine(e);
            return;
        }
        if (devices.isEmpty()) {
            note = withoutDevices();
            return;
        }
        List<D> fitting = new ArrayList<>();
        List<Backend> backends = new ArrayList<>();
        for (int i = 0; i < devices.size(); i++) {
            if (matches(choice, i, label(devices.get(i)))) {
                fitting.add(devices.get(i));
                backends.add(open(kind + ":" + i, devices.get(i)));
            }
        }
        chosen = List.copyOf(fitting);
        found = List.copyOf(backends);
        if (found.isEmpty()) {
            note = "-D" + property + "=" + choice + " fits none of " + devices.stream().map(this::label).toList();
        } else {
            note = limits(chosen);
        }
    }

    private static boolean matches(String choice, int index, String label) {
        return choice.equalsIgnoreCase("all") || choice.equals(Integer.toString(index))
                || !choice.chars().allMatch(Character::isDigit) && label.toLowerCase(Locale.ROOT).contains(choice.toLowerCase(Locale.ROOT));
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
