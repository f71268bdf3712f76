package dev.jotune.cuda;

/** The emulator for tests of modules above this one; as a program it builds it and says where it lies, for scripts. */
public final class Emulation {
    private Emulation() {}

    /** Lets the backend find the emulator as its only device; before anybody has looked for devices. Skips the test if there is no g++. */
    public static void install() {
        FakeCuda.install();
    }

    public static void main(String[] args) {
        install();
        System.out.println(FakeCuda.folder());
    }
}
