/* The fake driver: memory. Fresh memory is NaN; guards around it are looked at after each launch; freed memory is kept a while. */
#include "driver.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <sys/mman.h>

namespace driver {
static const size_t GUARD_BYTES = 512;
static const unsigned char POISON = 0xff;
static const u64 KEPT = 32 << 20;

struct Allocation {
    char* block;
    u64 bytes;
};
static std::map<u64, Allocation> live, dead;
static std::deque<u64> order;
static std::set<void*> pinned;
static u64 used, kept;

void say(const std::string& text) {
    if (settings.loud) {
        fprintf(stderr, "emulator: %s\n", text.c_str());
    }
}

void say_missing(const char* function) {
    say(std::string(function) + " is not emulated");
}

static std::map<u64, Allocation>::iterator holding(std::map<u64, Allocation>& in, u64 pointer) {
    auto i = in.upper_bound(pointer);
    if (i == in.begin()) {
        return in.end();
    }
    --i;
    return pointer < i->first + i->second.bytes || pointer == i->first ? i : in.end();
}

bool is_device(u64 pointer, u64 bytes) {
    auto i = holding(live, pointer);
    return i != live.end() && pointer + bytes <= i->first + i->second.bytes;
}

static bool clean(const char* p, u64 n) {
    return n == 0 || ((unsigned char)*p == POISON && memcmp(p, p + 1, n - 1) == 0);
}

static std::string damage_of(u64 pointer, const Allocation& a) {
    if (!clean(a.block, GUARD_BYTES)) {
        return "something was written before the beginning of " + std::to_string(a.bytes) + " bytes of device memory";
    }
    // Up to the end of the block; the guard begins right behind the last byte.
    if (!clean((char*)pointer + a.bytes, GUARD_BYTES)) {
        return "something was written behind the end of " + std::to_string(a.bytes) + " bytes of device memory";
    }
    return "";
}

std::string damage(u64 pointer) {
    auto i = holding(live, pointer);
    std::string text = i == live.end() ? "" : damage_of(i->first, i->second);
    if (!text.empty()) {
        // Once is enough.
        memset(i->second.block, POISON, GUARD_BYTES);
        memset((char*)i->first + i->second.bytes, POISON, GUARD_BYTES);
    }
    return text;
}

std::string freed(u64 pointer) {
    auto i = holding(dead, pointer);
    return i == dead.end() || i->second.bytes == 0 ? "" : "device memory that was freed";
}

int allocate(u64* pointer, u64 bytes) {
    if (bytes == 0) {
        return INVALID_VALUE;
    }
    if (used + bytes > settings.memory) {
        return OUT_OF_MEMORY;
    }
    u64 block = (bytes + 2 * GUARD_BYTES + 255) / 256 * 256;
    // What nobody writes takes no pages, so an idle device may be larger than this machine.
    char* p = settings.idle ? (char*)mmap(nullptr, block, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
        : (char*)aligned_alloc(256, block);
    if (!p || p == MAP_FAILED) {
        return OUT_OF_MEMORY;
    }
    if (!settings.idle) {
        memset(p, POISON, block);
    }
    used += bytes;
    *pointer = (u64)(p + GUARD_BYTES);
    live[*pointer] = {p, bytes};
    return SUCCESS;
}

int release(u64 pointer) {
    auto i = live.find(pointer);
    if (i == live.end()) {
        return INVALID_VALUE;
    }
    if (settings.idle) {
        used -= i->second.bytes;
        munmap(i->second.block, (i->second.bytes + 2 * GUARD_BYTES + 255) / 256 * 256);
        live.erase(i);
        return SUCCESS;
    }
    std::string text = damage_of(pointer, i->second);
    memset((char*)pointer, POISON, i->second.bytes);
    used -= i->second.bytes;
    kept += i->second.bytes;
    dead[pointer] = i->second;
    order.push_back(pointer);
    live.erase(i);
    while (kept > KEPT) {
        auto oldest = dead.find(order.front());
        if (text.empty() && !clean((char*)oldest->first, oldest->second.bytes)) {
            text = "something was written to device memory after it was freed";
        }
        kept -= oldest->second.bytes;
        free(oldest->second.block);
        dead.erase(oldest);
        order.pop_front();
    }
    if (!text.empty()) {
        say(text);
        return ILLEGAL_ADDRESS;
    }
    return SUCCESS;
}

static int copy(void* stream, u64 to, bool to_device, u64 from, bool from_device, u64 bytes) {
    if ((to_device && !is_device(to, bytes)) || (from_device && !is_device(from, bytes))) {
        return INVALID_VALUE;
    }
    return submit(stream, [=] {
        // An idle device holds zeros.
        if (!settings.idle) {
            memmove((void*)to, (const void*)from, bytes);
        } else if (!to_device) {
            memset((void*)to, 0, bytes);
        }
        return SUCCESS;
    });
}

template <class T> static int fill(void* stream, u64 to, T value, u64 n) {
    if (!is_device(to, n * sizeof(T)) || to % sizeof(T) != 0) {
        return INVALID_VALUE;
    }
    return submit(stream, [=] {
        for (u64 i = 0; i < n && !settings.idle; i++) {
            ((T*)to)[i] = value;
        }
        return SUCCESS;
    });
}
}

using namespace driver;

API cuMemAlloc_v2(u64* pointer, u64 bytes) {
    ENTER
    return allocate(pointer, bytes);
}

API cuMemFree_v2(u64 pointer) {
    ENTER
    return pointer == 0 ? SUCCESS : release(pointer);
}

API cuMemAllocAsync(u64* pointer, u64 bytes, void* stream) {
    ENTER
    return stream_of(stream) ? allocate(pointer, bytes) : INVALID_HANDLE;
}

API cuMemAllocFromPoolAsync(u64* pointer, u64 bytes, void*, void* stream) {
    return cuMemAllocAsync(pointer, bytes, stream);
}

API cuMemFreeAsync(u64 pointer, void* stream) {
    ENTER
    Stream* s = stream_of(stream);
    if (!s) {
        return INVALID_HANDLE;
    }
    // A captured graph would free it at every launch.
    return s->capture ? CAPTURE_UNSUPPORTED : release(pointer);
}

API cuMemGetInfo_v2(u64* unused, u64* total) {
    ENTER
    *unused = settings.memory - used;
    *total = settings.memory;
    return SUCCESS;
}

API cuMemGetAddressRange_v2(u64* base, u64* bytes, u64 pointer) {
    ENTER
    auto i = holding(live, pointer);
    if (i == live.end()) {
        return NOT_FOUND;
    }
    *base = i->first;
    *bytes = i->second.bytes;
    return SUCCESS;
}

API cuPointerGetAttribute(void* out, int attribute, u64 pointer) {
    ENTER
    if (attribute != 2) {
        return NOT_SUPPORTED;
    }
    if (holding(live, pointer) == live.end() && !pinned.count((void*)pointer)) {
        return INVALID_VALUE;
    }
    *(u32*)out = pinned.count((void*)pointer) ? 1 : 2;
    return SUCCESS;
}

/* The device's pool: a handle and nothing else. */
API cuDeviceGetDefaultMemPool(void** pool, int) {
    static char only;
    *pool = &only;
    return SUCCESS;
}

API cuDeviceGetMemPool(void** pool, int device) {
    return cuDeviceGetDefaultMemPool(pool, device);
}

API cuDeviceSetMemPool(int, void*) {
    return SUCCESS;
}

API cuMemPoolSetAttribute(void*, int, void*) {
    return SUCCESS;
}

API cuMemPoolGetAttribute(void*, int, u64* value) {
    ENTER
    *value = used;
    return SUCCESS;
}

API cuMemPoolTrimTo(void*, u64) {
    return SUCCESS;
}

API cuMemHostAlloc(void** pointer, u64 bytes, u32) {
    ENTER
    *pointer = aligned_alloc(4096, (bytes + 4095) / 4096 * 4096);
    pinned.insert(*pointer);
    return *pointer ? SUCCESS : OUT_OF_MEMORY;
}

API cuMemAllocHost_v2(void** pointer, u64 bytes) {
    return cuMemHostAlloc(pointer, bytes, 0);
}

API cuMemFreeHost(void* pointer) {
    ENTER
    if (!pinned.erase(pointer)) {
        return INVALID_VALUE;
    }
    free(pointer);
    return SUCCESS;
}

API cuMemHostRegister_v2(void*, u64, u32) {
    ENTER
    return SUCCESS;
}

API cuMemHostUnregister(void*) {
    ENTER
    return SUCCESS;
}

API cuMemHostGetDevicePointer_v2(u64* device, void* host, u32) {
    ENTER
    *device = (u64)host;
    return SUCCESS;
}

#define COPY(name, to_device, from_device) \
    API name##_v2(u64 to, u64 from, u64 bytes) { \
        ENTER \
        return capturing() ? CAPTURE_UNSUPPORTED : copy(nullptr, to, to_device, from, from_device, bytes); \
    } \
    API name##Async_v2(u64 to, u64 from, u64 bytes, void* stream) { \
        ENTER \
        return copy(stream, to, to_device, from, from_device, bytes); \
    }
COPY(cuMemcpyHtoD, true, false)
COPY(cuMemcpyDtoH, false, true)
COPY(cuMemcpyDtoD, true, true)

API cuMemcpy(u64 to, u64 from, u64 bytes) {
    ENTER
    return copy(nullptr, to, false, from, false, bytes);
}

API cuMemcpyAsync(u64 to, u64 from, u64 bytes, void* stream) {
    ENTER
    return copy(stream, to, false, from, false, bytes);
}

#define FILL(name, type) \
    API name##_v2(u64 to, type value, u64 n) { \
        ENTER \
        return fill(nullptr, to, value, n); \
    } \
    API name##Async(u64 to, type value, u64 n, void* stream) { \
        ENTER \
        return fill(stream, to, value, n); \
    }
FILL(cuMemsetD8, u8)
FILL(cuMemsetD16, u16)
FILL(cuMemsetD32, u32)
