package dev.jotune.kernels.x86.asm;

/** Code with its instructions, each decoded when it is first reached. */
public final class Program {
    private final byte[] code;
    private final Instruction[] decoded;
    final long address;

    /** @param address where the code's own constants are read: the code's bytes must be there too, 0 if it has none */
    public Program(byte[] code, long address) {
        this.code = code;
        this.address = address;
        decoded = new Instruction[code.length];
    }

    Instruction at(int position) {
        Instruction s = decoded[position];
        if (s == null) {
            s = Decoder.at(code, position);
            decoded[position] = s;
        }
        return s;
    }
}
