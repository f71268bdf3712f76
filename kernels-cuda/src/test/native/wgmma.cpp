/*
 * Matrix products by the 128 items of a warp group: PTX ISA, "Asynchronous Warpgroup Level Matrix Multiply-Accumulate Instructions":
 * layouts of operands in shared memory, their descriptors, fragments of registers.
 *
 * A product is done when it is issued or, lazily, when its group of products is waited for: then it reads shared memory as it is by then,
 * and until then d is NaN. A in registers is taken at once: g++ may use their place on the stack again, where the chip has registers.
 */
#include "runtime.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace emulated {
static const int M = 64, LONGEST = 16, MOST = 256;

struct Step {
    int up_to_batch, line;
};

/* What a descriptor says. */
struct Matrix {
    u32 start, leading, stride;
    int swizzle;

    explicit Matrix(u64 d)
        : start((u32)(d & 0x3fff) << 4), leading((u32)(d >> 16 & 0x3fff) << 4), stride((u32)(d >> 32 & 0x3fff) << 4),
          // 1: 128 bytes, 2: 64, 3: 32; here as CUtensorMapSwizzle.
          swizzle((int)(d >> 62) == 0 ? 0 : 4 - (int)(d >> 62)) {}

    /*
     * Where element k of line i begins, of so many bytes: 2, or along k alone 4. Contiguous along k: 8 lines are as long as a swizzle's span,
     * the next 8 a stride away; without a swizzle 8 lines of 16 bytes follow each other, and the next 16 bytes of them are a leading offset away.
     * Across, with k as the line: spans of i follow each other by the leading offset, 8 k by the stride; without a swizzle the other way.
     */
    u32 place(int i, int k, bool across, u32 bytes) const {
        u32 span = swizzle == 0 ? 16 : 16u << swizzle;
        u32 halves = span / 2;
        u32 at;
        if (!across) {
            u32 along = (u32)k * bytes;
            at = start + i / 8 * stride + i % 8 * span + (swizzle == 0 ? along / 16 * leading + along % 16 : along);
        } else {
            u32 far = i / halves * (swizzle == 0 ? stride : leading) + k / 8 * (swizzle == 0 ? leading : stride);
            at = start + far + i % halves * 2 + k % 8 * span;
        }
        return at ^ (at >> 7 & ((1u << swizzle) - 1)) << 4;
    }
};

/* Of the inner axis in one instruction: 32 bytes. */
static int depth(int kind) {
    return kind & EMULATED_TF32 ? 8 : 16;
}

static float value(u16 bits, int kind) {
    return kind & EMULATED_F16 ? f16_value(bits) : bf16_value(bits);
}

static float from_shared(Group& group, const Matrix& m, int i, int k, bool across, const Wgmma& op) {
    u32 bytes = op.kind & EMULATED_TF32 ? 4 : 2;
    u32 place = m.place(i, k, across, bytes);
    if (place + bytes > launch->dynamic_at + launch->shared) {
        fault(ILLEGAL_ADDRESS, op.line, "wgmma reads at %u, where shared memory has %u bytes", place, launch->dynamic_at + launch->shared);
    }
    if (op.kind & EMULATED_TF32) {
        u32 word;
        memcpy(&word, address(group, place), 4);
        // The unit does not see the low bits.
        return __int_as_float((int)(word & 0xffffe000u));
    }
    u16 bits;
    memcpy(&bits, address(group, place), 2);
    return value(bits, op.kind);
}

static float a[M][LONGEST], b[LONGEST][MOST], sum[M][MOST];
static const int CHUNK = 64;

/* A loop whose length the compiler knows, so that it uses vectors. */
static void add(float* __restrict__ to, float factor, const float* __restrict__ from) {
    for (int j = 0; j < CHUNK; j++) {
        to[j] += factor * from[j];
    }
}

/* Element e of d lies in this row and column, for item t. */
static int row_of(int t, int e) {
    return t / WARP * 16 + t % WARP / 4 + e / 2 % 2 * 8;
}

static int column_of(int t, int e) {
    return e / 4 * 8 + t % 4 * 2 + e % 2;
}

static void read_a(Item* items, size_t which) {
    Wgmma& op = items->products[which];
    if (!op.a_in_registers) {
        Matrix m(op.a);
        for (int i = 0; i < M; i++) {
            for (int k = 0; k < depth(op.kind); k++) {
                a[i][k] = from_shared(*items->group, m, i, k, (op.kind & EMULATED_A_ACROSS) != 0, op);
            }
        }
        return;
    }
    for (int t = 0; t < WARP_GROUP; t++) {
        const u32* r = items[t].products[which].a_registers;
        for (int e = 0; e < 8; e++) {
            // As in mma: the second register is 8 rows below, the third 8 columns on.
            a[t / WARP * 16 + t % WARP / 4 + e / 2 % 2 * 8][t % 4 * 2 + e % 2 + e / 4 * 8] = value((u16)(r[e / 2] >> 16 * (e % 2)), op.kind);
        }
    }
}

static void run(Item* items, size_t which) {
    Wgmma& op = items->products[which];
    int n = op.columns;
    for (int t = 0; t < WARP_GROUP; t++) {
        Wgmma& other = items[t].products[which];
        if (other.a != op.a || other.b != op.b || other.columns != n || other.kind != op.kind || !other.accumulate != !op.accumulate
            || other.batch != op.batch || other.line != op.line) {
            fault(LAUNCH_FAILED, op.line, "items %d and %d of a warp group issue different wgmma (lines %d and %d)", items->number,
                  items[t].number, op.line, other.line);
        }
        const float* d = other.before.empty() ? other.d : other.before.data();
        for (int e = 0; e < n / 2; e++) {
            sum[row_of(t, e)][column_of(t, e)] = op.accumulate ? d[e] : 0;
        }
    }
    read_a(items, which);
    Matrix m(op.b);
    for (int k = 0; k < depth(op.kind); k++) {
        for (int j = 0; j < n; j++) {
            b[k][j] = from_shared(*items->group, m, j, k, (op.kind & EMULATED_B_ACROSS) != 0, op);
        }
    }
    for (int i = 0; i < M; i++) {
        for (int j = 0; j < n; j += CHUNK) {
            for (int k = 0; k < depth(op.kind); k++) {
                add(&sum[i][j], a[i][k], &b[k][j]);
            }
        }
    }
    for (int t = 0; t < WARP_GROUP; t++) {
        float* d = items[t].products[which].d;
        for (int e = 0; e < n / 2; e++) {
            d[e] = sum[row_of(t, e)][column_of(t, e)];
        }
    }
}

/* All 128 come here with a step; the last does what they agree on. */
static void together(const char* word, Step step) {
    int first = current->number / WARP_GROUP * WARP_GROUP;
    if (first + WARP_GROUP > launch->items) {
        fault(LAUNCH_FAILED, step.line, "%s by a warp group that has not 128 items", word);
    }
    Item* items = current->group->items + first;
    int& arrived = current->group->warp_groups[first / WARP_GROUP];
    current->brings = &step;
    if (++arrived < WARP_GROUP) {
        pause(Wait::WARP_GROUP, step.line, word);
        return;
    }
    arrived = 0;
    for (int t = 0; t < WARP_GROUP; t++) {
        Step& other = *(Step*)items[t].brings;
        if (other.up_to_batch != step.up_to_batch || other.line != step.line || items[t].products.size() != current->products.size()) {
            fault(LAUNCH_FAILED, step.line, "a warp group takes two ways: item %d is in line %d", items[t].number, other.line);
        }
    }
    size_t done = 0;
    while (done < items->products.size() && items->products[done].batch < step.up_to_batch) {
        run(items, done++);
    }
    for (int t = 0; t < WARP_GROUP; t++) {
        items[t].products.erase(items[t].products.begin(), items[t].products.begin() + done);
        items[t].wait = Wait::NOTHING;
    }
}
}

using namespace emulated;

extern "C" {
void emulated_registers(int n, int line) {
    if (n % 8 != 0 || n < 24 || n > 256) {
        fault(LAUNCH_FAILED, line, "%d registers: a multiple of 8 from 24 to 256", n);
    }
    current->group->registers[current->number / WARP_GROUP] = n;
    current->group->registers_line = line;
}

u64 wgmma_desc(const void* shared, u32 leading, u32 stride, u32 swizzle, int line) {
    u32 at = place_of(shared, 0, line);
    if (at % 16 != 0 || leading % 16 != 0 || stride % 16 != 0 || leading >= 1 << 18 || stride >= 1 << 18
        || (swizzle != 0 && swizzle != 32 && swizzle != 64 && swizzle != 128)) {
        fault(LAUNCH_FAILED, line, "wgmma_desc(%u, %u, %u, %u): bytes in multiples of 16, and a swizzle of 0, 32, 64 or 128", at, leading, stride,
              swizzle);
    }
    u64 kind = swizzle == 128 ? 1 : swizzle == 64 ? 2 : swizzle == 32 ? 3 : 0;
    return (u64)(at >> 4) | (u64)(leading >> 4) << 16 | (u64)(stride >> 4) << 32 | kind << 62;
}

void wgmma_fence(int) {
    current->product_fenced = true;
}

void wgmma_commit(int) {
    current->product_batch++;
}

void emulated_wgmma(float* d, const u32* a_registers, u64 a, u64 b, int accumulate, int columns, int kind, int line) {
    if (!current->product_fenced) {
        fault(LAUNCH_FAILED, line, "a wgmma without wgmma_fence since the last wait: it may not see what registers hold");
    }
    Wgmma op{d, a, b, {}, {}, accumulate, columns, kind, current->product_batch, line, a_registers != nullptr};
    if (a_registers) {
        memcpy(op.a_registers, a_registers, sizeof op.a_registers);
    }
    bool now = settings.async == Async::EAGER;
    bool written = std::any_of(current->products.begin(), current->products.end(), [&](const Wgmma& p) { return p.d == d; });
    if (!now && !written) {
        op.before.assign(d, d + columns / 2);
        std::fill(d, d + columns / 2, NAN);
    }
    current->products.push_back(op);
    if (now) {
        together("in wgmma", {current->product_batch + 1, line});
    }
}

void emulated_wgmma_wait(int pending, int line) {
    together("in WGMMA_WAIT", {current->product_batch - pending, line});
    if (pending == 0) {
        current->product_fenced = false;
    }
}
}
