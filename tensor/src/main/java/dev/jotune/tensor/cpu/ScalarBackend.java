package dev.jotune.tensor.cpu;

/** The CPU backend of a JVM without the Vector API: the reference's scalar loops. */
final class ScalarBackend extends ReferenceBackend {
    @Override
    public String name() {
        return "cpu";
    }

    @Override
    public String description() {
        return "scalar code (no Vector API)";
    }
}
