/* What the 32 items of a warp do together: shuffles, votes, ldmatrix, mma. Layouts: PTX ISA, "Warp Level Matrix Instructions". */
#include "runtime.h"

#include <cstring>

namespace emulated {
u32 whole_warp() {
    int from = current->number / WARP * WARP;
    int n = launch->items - from;
    return n >= WARP ? 0xffffffffu : (1u << n) - 1;
}

void meet(const char* word, u32 mask, void* brings, int line, Perform* perform) {
    Group& group = *current->group;
    u32& waiting = group.waiting[current->number / WARP];
    Item* warp = group.items + current->number / WARP * WARP;
    if ((mask >> lane() & 1) == 0 || (mask & ~whole_warp()) != 0) {
        fault(LAUNCH_FAILED, line, "the mask %x of %s leaves out the caller, or names items that are not there", mask, word);
    }
    current->word = word;
    current->mask = mask;
    current->brings = brings;
    current->line = line;
    waiting |= 1u << lane();
    if ((waiting & mask) != mask) {
        pause(Wait::WARP, line, word);
        return;
    }
    Item* lanes[WARP] = {};
    for (int i = 0; i < WARP; i++) {
        if (mask >> i & 1) {
            lanes[i] = warp + i;
            if (lanes[i]->word != word || lanes[i]->mask != mask || lanes[i]->line != line) {
                fault(LAUNCH_FAILED, line, "a warp takes two ways: item %d waits in line %d in %s with mask %x, this one in %s with mask %x",
                      lanes[i]->number, lanes[i]->line, lanes[i]->word, lanes[i]->mask, word, mask);
            }
        }
    }
    perform(lanes, mask);
    waiting &= ~mask;
    for (Item* item : lanes) {
        if (item) {
            item->wait = Wait::NOTHING;
        }
    }
}

struct Shuffle {
    u64 bits, result;
    int kind, argument, width, line;
};

static void shuffle(Item** lanes, u32 mask) {
    for (int i = 0; i < WARP; i++) {
        if (!lanes[i]) {
            continue;
        }
        Shuffle& s = *(Shuffle*)lanes[i]->brings;
        int first = i / s.width * s.width;
        int from = s.kind == 0 ? first + (s.argument & (s.width - 1)) : s.kind == 1 ? i ^ s.argument : s.kind == 2 ? i - s.argument : i + s.argument;
        // Beyond the segment an item gets its own value.
        from = from < first || from >= first + s.width ? i : from;
        if ((mask >> from & 1) == 0) {
            fault(LAUNCH_FAILED, s.line, "a shuffle reads lane %d, which takes no part (mask %x)", from, mask);
        }
        s.result = ((Shuffle*)lanes[from]->brings)->bits;
    }
}

struct Vote {
    int predicate;
    u32 result;
};

static void vote(Item** lanes, u32) {
    u32 all = 0;
    for (int i = 0; i < WARP; i++) {
        all |= lanes[i] && ((Vote*)lanes[i]->brings)->predicate ? 1u << i : 0;
    }
    for (int i = 0; i < WARP; i++) {
        if (lanes[i]) {
            ((Vote*)lanes[i]->brings)->result = all;
        }
    }
}

static void nothing(Item**, u32) {}

struct Rows {
    u32* r;
    const u16* row;
};

/* Lane 8 i + j says where row j of matrix i lies; lane t gets two neighbours of row t / 4, or, across, of column t / 4. */
template <int MATRICES, bool ACROSS> static void ldmatrix(Item** lanes, u32) {
    for (int i = 0; i < MATRICES; i++) {
        u16 m[8][8];
        for (int j = 0; j < 8; j++) {
            memcpy(m[j], ((Rows*)lanes[8 * i + j]->brings)->row, 16);
        }
        for (int t = 0; t < WARP; t++) {
            int at = t % 4 * 2;
            u32 lo = ACROSS ? m[at][t / 4] : m[t / 4][at];
            u32 hi = ACROSS ? m[at + 1][t / 4] : m[t / 4][at + 1];
            ((Rows*)lanes[t]->brings)->r[i] = lo | hi << 16;
        }
    }
}

template <int MATRICES, bool ACROSS> static void load(const char* word, u32* r, const void* row, int line) {
    if (lane() < 8 * MATRICES) {
        place_of(row, 16, line);
        if ((u64)row % 16 != 0) {
            fault(LAUNCH_FAILED, line, "%s reads a row at %p, which is no multiple of 16 bytes", word, row);
        }
    }
    Rows mine{r, (const u16*)row};
    meet(word, 0xffffffffu, &mine, line, ldmatrix<MATRICES, ACROSS>);
}

struct Product {
    float* d;
    const u32 *a, *b;
};

enum Kind { BF16, F16, TF32 };

static float tf32_value(u32 bits) {
    // The unit does not see the low bits.
    bits &= 0xffffe000u;
    float x;
    memcpy(&x, &bits, 4);
    return x;
}

template <Kind KIND> static float half_of(u32 pair, int which) {
    u16 bits = (u16)(pair >> 16 * which);
    return KIND == BF16 ? bf16_value(bits) : f16_value(bits);
}

template <Kind KIND> static void mma(Item** lanes, u32) {
    constexpr int K = KIND == TF32 ? 8 : 16;
    float a[16][K], b[K][8];
    for (int t = 0; t < WARP; t++) {
        const Product& p = *(Product*)lanes[t]->brings;
        int g = t / 4, i = t % 4;
        if (KIND == TF32) {
            a[g][i] = tf32_value(p.a[0]);
            a[g + 8][i] = tf32_value(p.a[1]);
            a[g][i + 4] = tf32_value(p.a[2]);
            a[g + 8][i + 4] = tf32_value(p.a[3]);
            b[i][g] = tf32_value(p.b[0]);
            b[i + 4][g] = tf32_value(p.b[1]);
        } else {
            for (int e = 0; e < 2; e++) {
                int k = 2 * i + e;
                a[g][k] = half_of<KIND>(p.a[0], e);
                a[g + 8][k] = half_of<KIND>(p.a[1], e);
                a[g][(k + 8) % K] = half_of<KIND>(p.a[2], e);
                a[g + 8][(k + 8) % K] = half_of<KIND>(p.a[3], e);
                b[k % K][g] = half_of<KIND>(p.b[0], e);
                b[(k + 8) % K][g] = half_of<KIND>(p.b[1], e);
            }
        }
    }
    for (int t = 0; t < WARP; t++) {
        float* d = ((Product*)lanes[t]->brings)->d;
        for (int e = 0; e < 4; e++) {
            int m = t / 4 + e / 2 * 8, n = t % 4 * 2 + e % 2;
            float sum = 0;
            for (int k = 0; k < K; k++) {
                sum += a[m][k] * b[k][n];
            }
            d[e] += sum;
        }
    }
}

template <Kind KIND> static void multiply(const char* word, float* d, const u32* a, const u32* b, int line) {
    Product mine{d, a, b};
    meet(word, 0xffffffffu, &mine, line, mma<KIND>);
}
}

using namespace emulated;

extern "C" {
void emulated_syncwarp(u32 mask, int line) {
    meet("__syncwarp", mask & whole_warp(), nullptr, line, nothing);
}

u64 emulated_shuffle(int kind, u32 mask, u64 bits, int argument, int width, int line) {
    static const char* const WORDS[] = {"__shfl_sync", "__shfl_xor_sync", "__shfl_up_sync", "__shfl_down_sync"};
    Shuffle mine{bits, 0, kind, argument, width, line};
    meet(WORDS[kind], mask & whole_warp(), &mine, line, shuffle);
    return mine.result;
}

u32 emulated_vote(u32 mask, int predicate, int line) {
    Vote mine{predicate, 0};
    meet("a vote", mask & whole_warp(), &mine, line, vote);
    return mine.result;
}

void ldmatrix_x4(u32* r, const void* row, int line) {
    load<4, false>("ldmatrix_x4", r, row, line);
}

void ldmatrix_x4_trans(u32* r, const void* row, int line) {
    load<4, true>("ldmatrix_x4_trans", r, row, line);
}

void ldmatrix_x2(u32* r, const void* row, int line) {
    load<2, false>("ldmatrix_x2", r, row, line);
}

void ldmatrix_x2_trans(u32* r, const void* row, int line) {
    load<2, true>("ldmatrix_x2_trans", r, row, line);
}

void mma_bf16(float* d, const u32* a, const u32* b, int line) {
    multiply<BF16>("mma_bf16", d, a, b, line);
}

void mma_f16(float* d, const u32* a, const u32* b, int line) {
    multiply<F16>("mma_f16", d, a, b, line);
}

void mma_tf32(float* d, const u32* a, const u32* b, int line) {
    multiply<TF32>("mma_tf32", d, a, b, line);
}
}
