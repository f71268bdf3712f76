/* cp.async, and numbers of 16 bits. */
#include "runtime.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace emulated {
float bf16_value(u16 bits) {
    return __int_as_float((int)((u32)bits << 16));
}

static void run_copy(const Copy& c) {
    memset(c.to, 0, c.size);
    if (c.bytes > 0) {
        memcpy(c.to, c.from, c.bytes);
    }
}

void run_copies(Item& item, int up_to_batch) {
    size_t done = 0;
    while (done < item.copies.size() && item.copies[done].batch < up_to_batch) {
        run_copy(item.copies[done++]);
    }
    item.copies.erase(item.copies.begin(), item.copies.begin() + done);
}

static u16 bf16_bits(float x) {
    u32 bits = (u32)__float_as_int(x);
    return x != x ? (u16)0x7fff : (u16)((bits + 0x7fffu + (bits >> 16 & 1)) >> 16);
}
}

using namespace emulated;

static void copy(int size, void* shared, const void* global, int bytes, int line) {
    place_of(shared, size, line);
    if (bytes < 0 || bytes > size || (u64)shared % size != 0 || (bytes > 0 && (u64)global % size != 0)) {
        fault(LAUNCH_FAILED, line, "cp_async%d of %d bytes from %p to %p: both must be multiples of %d", size, bytes, global, shared, size);
    }
    // Where groups of a cluster take turns, the address is that of whoever waits: the item itself, so it is right again by then.
    Copy c{(char*)shared, (const char*)global, size, bytes, current->copy_batch};
    if (eager()) {
        run_copy(c);
    } else {
        current->copies.push_back(c);
    }
}

extern "C" {
void cp_async16(void* shared, const void* global, int bytes, int line) {
    copy(16, shared, global, bytes, line);
}

void cp_async4(void* shared, const void* global, int bytes, int line) {
    copy(4, shared, global, bytes, line);
}

void cp_async_commit() {
    current->copy_batch++;
}

void emulated_cp_async_wait(int pending) {
    run_copies(*current, current->copy_batch - pending);
}

float f16_value(u16 bits) {
    u32 sign = (u32)(bits & 0x8000u) << 16;
    u32 exponent = bits >> 10 & 31, fraction = bits & 0x3ffu;
    if (exponent == 0) {
        return __int_as_float((int)(sign | (u32)__float_as_int((float)fraction * 0x1p-24f)));
    }
    return __int_as_float((int)(sign | (exponent == 31 ? 255u : exponent + 112) << 23 | fraction << 13));
}

/* To nearest, ties to even. */
u16 f16_bits(float value) {
    u32 bits = (u32)__float_as_int(value);
    u16 sign = (u16)(bits >> 16 & 0x8000u);
    float size = std::fabs(value);
    if (size != size) {
        return 0x7fff;
    }
    if (size >= 65520.0f) {
        return sign | 0x7c00;
    }
    if (size < 0x1p-14f) {
        // Steps of 2^-24: rounded as integers are.
        return sign | (u16)std::nearbyint(size * 0x1p24f);
    }
    bits &= 0x7fffffffu;
    bits += 0xfffu + (bits >> 13 & 1);
    return sign | (u16)((bits >> 13) - (112u << 10));
}

u32 pack_bf16(float lo, float hi) {
    return bf16_bits(lo) | (u32)bf16_bits(hi) << 16;
}

u32 pack_f16(float lo, float hi) {
    return f16_bits(lo) | (u32)f16_bits(hi) << 16;
}

/* To nearest, ties away from zero. */
u32 to_tf32(float x) {
    u32 bits = (u32)__float_as_int(x);
    bool finite = (bits & 0x7f800000u) != 0x7f800000u;
    return finite ? (bits + 0x1000u) & 0xffffe000u : bits & 0xffffe000u;
}

/* Results below the normal numbers are zero. */
float exp2_fast(float x) {
    float y = std::exp2(x);
    return y < 0x1p-126f ? 0.0f : y;
}
}
