package dev.jotune.kernels.x86.asm;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * Runs emitted code anywhere, an instruction at a time, on the process's memory. It knows the instructions that the
 * assembler has; where real code would be undefined, or leaves a register that it should have kept, it fails.
 */
public final class Emulator {
    private static final long RETURN = 0x600d_0000_600dL;
    private static final Reg[] ARGUMENTS = {Reg.RDI, Reg.RSI, Reg.RDX, Reg.RCX, Reg.R8, Reg.R9};
    private static final Reg[] KEPT = {Reg.RBX, Reg.RBP, Reg.RSP, Reg.R12, Reg.R13, Reg.R14, Reg.R15};

    private final Program code;
    private final Ranges memory;
    private final long[] registers = new long[16];
    private final VectorUnit vectors;
    private final TileUnit tiles;
    private int position;
    private boolean zero;
    private boolean sign;
    private boolean carry;
    private boolean overflow;

    /** For one call after another of {@code code}. */
    public Emulator(Program code, Ranges memory) {
        this.code = code;
        this.memory = memory;
        vectors = new VectorUnit(memory);
        tiles = new TileUnit(memory);
    }

    /** Runs code without constants on memory without limits. */
    public static long run(byte[] code, long... arguments) {
        return new Emulator(new Program(code, 0), new Ranges()).call(arguments);
    }

    /** Calls the code; what it returns. */
    public long call(long... arguments) {
        try (Arena arena = Arena.ofConfined()) {
            long stack = arena.allocate(4096, 64).address();
            memory.allowIfLimited(stack, 4096);
            for (int i = 0; i < 16; i++) {
                registers[i] = 0xdead_0000L + i;
            }
            registers[Reg.RSP.ordinal()] = stack + 4096 - 8;
            memory.store(stack + 4096 - 8, RETURN, 8);
            long[] before = registers.clone();
            before[Reg.RSP.ordinal()] += 8;
            for (int i = 0; i < arguments.length; i++) {
                registers[ARGUMENTS[i].ordinal()] = arguments[i];
            }
            position = 0;
            while (position != -1) {
                Instruction s = code.at(position);
                position += s.length();
                step(s);
            }
            for (Reg r : KEPT) {
                if (registers[r.ordinal()] != before[r.ordinal()]) {
                    throw new AssertionError("The code did not give " + r + " back as it was");
                }
            }
            if (tiles.isConfigured()) {
                throw new AssertionError("The code ended without tilerelease");
            }
            return registers[0];
        }
    }

    private void step(Instruction s) {
        switch (s.encoding()) {
            case LEGACY -> general(s);
            case VEX -> vex(s);
            case EVEX -> {
                if (s.vector() == null && s.opcode() == 0x7c) {
                    spread(s);
                } else {
                    vectors.execute(s, s.place() == null ? 0 : address(s.place()));
                }
            }
        }
    }

    /** vpbroadcastd from a general register: as from memory that holds its number. */
    private void spread(Instruction s) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment place = arena.allocate(8, 8);
            place.set(ValueLayout.JAVA_LONG, 0, registers[s.rm()]);
            VectorUnit unit = new VectorUnit(new Ranges());
            unit.registers[s.reg()] = vectors.registers[s.reg()];
            System.arraycopy(vectors.masks, 0, unit.masks, 0, 8);
            unit.execute(new Instruction(s.encoding(), 2, 1, false, 0x58, s.reg(), 0, -1, Mem.at(Reg.RAX), 0, s.bits(), s.mask(), s.zeroing(),
                    Evex.VPBROADCASTD, s.length()), place.address());
            vectors.registers[s.reg()] = unit.registers[s.reg()];
        }
    }

    private long address(Mem m) {
        if (m.label() != null) {
            return code.address + position + m.disp();
        }
        long index = m.index() == null ? 0 : registers[m.index().ordinal()];
        return registers[m.base().ordinal()] + index * m.scale() + m.disp();
    }

    private void vex(Instruction s) {
        if (s.map() == 1 && s.opcode() == 0x77) {
            vectors.zeroUpper();
        } else if (s.map() == 1 && s.opcode() == 0x92) {
            vectors.masks[s.reg()] = registers[s.rm()] & (s.prefix() == 0 ? 0xffffL : s.wide() ? -1L : 0xffff_ffffL);
        } else if (s.map() == 1 && s.opcode() == 0x93) {
            registers[s.reg()] = vectors.masks[s.rm()];
        } else if (s.opcode() == 0x49 && s.place() != null) {
            if (s.prefix() == 0) {
                tiles.configure(address(s.place()));
            } else {
                tiles.store(address(s.place()));
            }
        } else if (s.opcode() == 0x49) {
            if (s.prefix() == 0) {
                tiles.release();
            } else {
                tiles.zero(s.reg());
            }
        } else if (s.opcode() == 0x4b) {
            Mem m = s.place();
            long stride = registers[m.index().ordinal()] * m.scale();
            long start = registers[m.base().ordinal()] + m.disp();
            if (s.prefix() == 2) {
                tiles.store(s.reg(), start, stride);
            } else {
                tiles.load(s.reg(), start, stride);
            }
        } else if (s.opcode() == 0x5c) {
            tiles.bf16(s.reg(), s.rm(), s.extra());
        } else if (s.opcode() == 0x5e) {
            tiles.bytes(s.reg(), s.rm(), s.extra(), s.prefix() == 3);
        } else {
            throw new AssertionError("Not an instruction that is emulated: " + s);
        }
    }

    private long read(Instruction s) {
        return s.place() == null ? registers[s.rm()] : memory.load(address(s.place()), s.wide() ? 8 : 4);
    }

    private void general(Instruction s) {
        int op = s.map() << 8 | s.opcode();
        switch (op) {
            case 0x8b -> registers[s.reg()] = read(s);
            case 0x89 -> memory.store(address(s.place()), registers[s.reg()], s.wide() ? 8 : 4);
            case 0xb8, 0xc7 -> registers[s.rm()] = s.immediate();
            case 0x8d -> registers[s.reg()] = address(s.place());
            case 0x03, 0x0b, 0x23, 0x2b, 0x33, 0x3b -> arithmetic(s.opcode() >> 3, s.reg(), read(s));
            case 0x81, 0x83 -> arithmetic(s.reg() & 7, s.rm(), s.immediate());
            case 0x85 -> logic(registers[s.rm()] & registers[s.reg()]);
            case 0x1af -> registers[s.reg()] *= read(s);
            case 0x69 -> registers[s.reg()] = read(s) * s.immediate();
            case 0xff -> {
                boolean before = carry;
                arithmetic((s.reg() & 7) == 0 ? 0 : 5, s.rm(), 1);
                carry = before;
            }
            case 0xf7 -> registers[s.rm()] = subtract(0, registers[s.rm()]);
            case 0xc1 -> {
                registers[s.rm()] = (s.reg() & 7) == 4 ? registers[s.rm()] << s.immediate() : registers[s.rm()] >>> s.immediate();
                logic(registers[s.rm()]);
            }
            case 0x50 -> {
                registers[4] -= 8;
                memory.store(registers[4], registers[s.rm()], 8);
            }
            case 0x58 -> {
                registers[s.rm()] = memory.load(registers[4], 8);
                registers[4] += 8;
            }
            case 0xc3 -> {
                if (memory.load(registers[4], 8) != RETURN) {
                    throw new AssertionError("The code returns with another stack than it was called with");
                }
                registers[4] += 8;
                position = -1;
            }
            case 0xeb, 0xe9 -> position += (int) s.immediate();
            // Prefetches, fences and fillers.
            case 0x118, 0x10d, 0x1ae, 0x11f, 0x90 -> { }
            default -> {
                if ((op & 0xff0) != 0x70 && (op & 0xff0) != 0x180) {
                    throw new AssertionError("Not an instruction that is emulated: " + s);
                }
                if (holds(op & 15)) {
                    position += (int) s.immediate();
                }
            }
        }
    }

    private void arithmetic(int kind, int target, long value) {
        long x = registers[target];
        switch (kind) {
            case 0 -> {
                long sum = x + value;
                logic(sum);
                carry = Long.compareUnsigned(sum, x) < 0;
                overflow = ((x ^ sum) & (value ^ sum)) < 0;
                registers[target] = sum;
            }
            case 5 -> registers[target] = subtract(x, value);
            case 7 -> subtract(x, value);
            default -> {
                registers[target] = kind == 1 ? x | value : kind == 4 ? x & value : x ^ value;
                logic(registers[target]);
            }
        }
    }

    private long subtract(long x, long y) {
        long difference = x - y;
        logic(difference);
        carry = Long.compareUnsigned(x, y) < 0;
        overflow = ((x ^ y) & (x ^ difference)) < 0;
        return difference;
    }

    private void logic(long result) {
        zero = result == 0;
        sign = result < 0;
        carry = false;
        overflow = false;
    }

    private boolean holds(int condition) {
        boolean even = switch (condition >> 1) {
            case 0 -> overflow;
            case 1 -> carry;
            case 2 -> zero;
            case 3 -> carry || zero;
            case 4 -> sign;
            case 6 -> sign != overflow;
            case 7 -> zero || sign != overflow;
            default -> throw new AssertionError("Not a condition that is emulated: " + condition);
        };
        return even != ((condition & 1) != 0);
    }

    /** A vector register's 64 bytes after the call. */
    public byte[] vector(int number) {
        return vectors.registers[number];
    }
}
