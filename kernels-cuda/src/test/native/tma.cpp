/* Boxes of tensors to and from shared memory. PTX ISA, "Tensors": swizzling modes, out-of-bound access; "cp.async.bulk.tensor". */
#include "runtime.h"

#include <cstring>

namespace emulated {
const Box& box_of(const tensor_map* map, int line) {
    const Box& b = *(const Box*)map;
    if (b.mark != BOX_MARK || (u64)map % 64 != 0) {
        fault(LAUNCH_FAILED, line, "%p is no tensor map, or not at a multiple of 64 bytes", (const void*)map);
    }
    return b;
}

/* By CUtensorMapDataType. */
int bytes_of_type(int type) {
    static const int BYTES[] = {1, 2, 4, 4, 8, 8, 2, 4, 8, 2, 4, 4, 4};
    return type >= 0 && type < 13 ? BYTES[type] : 0;
}

int bytes_of_box(const tensor_map& map) {
    const Box& b = (const Box&)map;
    int n = bytes_of_type(b.type);
    for (int i = 0; i < b.rank; i++) {
        n *= b.sizes[i];
    }
    return n;
}

/* TF32 is what copies make of F32: type 11, and 12 for which numbers below the normal ones are zero. */
static const int ROUNDED = 11;

/* Exchanges chunks of 16 bytes within rows of 128, 64 or 32, by bits of the address: CUtensorMapSwizzle 3, 2, 1. */
static u32 swizzled(u32 place, int swizzle) {
    return place ^ (place >> 7 & ((1u << swizzle) - 1)) << 4;
}

/* For each element its place in shared memory and its address in device memory, or null outside of the tensor. */
template <class Visit> static void walk(const Box& b, u32 shared, const int* at, Visit visit) {
    int bytes = bytes_of_type(b.type);
    int index[5] = {};
    for (u32 place = shared;; place += bytes) {
        char* p = (char*)b.address;
        bool inside = true;
        for (int i = 0; i < b.rank; i++) {
            i64 x = (i64)at[i] + index[i];
            inside &= x >= 0 && x < (i64)b.dims[i];
            p += x * (i == 0 ? bytes : (i64)b.strides[i - 1]);
        }
        visit(swizzled(place, b.swizzle), inside ? p : nullptr, bytes);
        int i = 0;
        while (i < b.rank && ++index[i] == b.sizes[i]) {
            index[i++] = 0;
        }
        if (i == b.rank) {
            return;
        }
    }
}

void run_load(const BoxLoad& load) {
    const Box& b = (const Box&)load.map;
    if (load.group->left == launch->items) {
        fault(LAUNCH_FAILED, load.line, "a box arrives in a group that has left");
    }
    walk(b, load.shared, load.at, [&](u32 place, const char* from, int bytes) {
        char* to = address(*load.group, place);
        if (from && b.type == ROUNDED) {
            float x;
            memcpy(&x, from, sizeof x);
            u32 rounded = to_tf32(x);
            memcpy(to, &rounded, sizeof rounded);
        } else if (from) {
            memcpy(to, from, bytes);
        } else {
            memset(to, b.nan_outside ? 0xff : 0, bytes);
        }
    });
    complete_bytes(*load.group, load.bar, bytes_of_box(load.map), load.line);
}

template <class T> static void add_as(char* to, const char* more) {
    T a, b;
    memcpy(&a, to, sizeof a);
    memcpy(&b, more, sizeof b);
    a += b;
    memcpy(to, &a, sizeof a);
}

static void add(char* to, const char* more, int type, int line) {
    u16 a, b;
    switch (type) {
        case 7:
            return add_as<float>(to, more);
        case 3:
            return add_as<int>(to, more);
        case 6:
        case 9:
            memcpy(&a, to, 2);
            memcpy(&b, more, 2);
            a = (u16)(type == 6 ? f16_bits(f16_value(a) + f16_value(b)) : pack_bf16(bf16_value(a) + bf16_value(b), 0));
            memcpy(to, &a, 2);
            return;
        default:
            fault(LAUNCH_FAILED, line, "adding is emulated for float, int and halves, not for CUtensorMapDataType %d", type);
    }
}

static void run_store(const BoxStore& store, Group& group) {
    const Box& b = (const Box&)store.map;
    walk(b, store.shared, store.at, [&](u32 place, char* to, int bytes) {
        if (to && store.adds) {
            add(to, address(group, place), b.type, store.line);
        } else if (to) {
            memcpy(to, address(group, place), bytes);
        }
    });
}

void run_stores(Item& item, int up_to_batch) {
    size_t done = 0;
    while (done < item.stores.size() && item.stores[done].batch < up_to_batch) {
        const BoxStore& s = item.stores[done++];
        if (!s.done) {
            run_store(s, *item.group);
        }
    }
    item.stores.erase(item.stores.begin(), item.stores.begin() + done);
}

static u32 place_of_box(const void* shared, const tensor_map* map, int rank, int line) {
    const Box& b = box_of(map, line);
    u32 place = place_of(shared, bytes_of_box(*map), line);
    // A pattern of swizzling begins anew every 1024, 512, 256 bytes; kernels count on boxes that begin with one.
    u32 aligned = b.swizzle == 0 ? 128 : 128u << b.swizzle;
    if (rank != b.rank || place % aligned != 0) {
        fault(LAUNCH_FAILED, line, "a box of rank %d at %u of shared memory, where the tensor map has rank %d and wants multiples of %u", rank,
              place, b.rank, aligned);
    }
    return place;
}
}

using namespace emulated;

extern "C" {
void emulated_tma_load(void* shared, const tensor_map* map, u64* bar, int rank, const int* at, u32 mask, int line) {
    BoxLoad load{current->group, *map, place_of_box(shared, map, rank, line), place_of(bar, 8, line), {}, rank, line};
    memcpy(load.at, at, rank * sizeof(int));
    if (current->group->unfenced > 0) {
        fault(LAUNCH_FAILED, line, "an mbarrier is used by a copy before fence_barrier_init");
    }
    if (mask >> launch->cluster != 0) {
        fault(LAUNCH_FAILED, line, "the mask %x names groups beyond the cluster's %u", mask, launch->cluster);
    }
    for (Group& g : launch->groups) {
        if (mask == 0 ? &g == current->group : (mask >> g.rank & 1) != 0) {
            load.group = &g;
            if (eager()) {
                run_load(load);
            } else {
                launch->loads.push_back(load);
            }
        }
    }
    let_others();
}

void emulated_tma_store(const tensor_map* map, const void* shared, int rank, const int* at, int adds, int line) {
    BoxStore store{*map, place_of_box(shared, map, rank, line), {}, rank, current->store_batch, line, adds != 0, false};
    memcpy(store.at, at, rank * sizeof(int));
    if (!current->group->fenced) {
        fault(LAUNCH_FAILED, line, "a TMA store without any fence_proxy_async before: it may not see what items wrote");
    }
    if (eager()) {
        run_store(store, *current->group);
        // The wait is still checked.
        store.done = true;
    }
    current->stores.push_back(store);
}

void tma_store_commit() {
    current->store_batch++;
}

void emulated_tma_store_wait(int pending) {
    run_stores(*current, current->store_batch - pending);
}
}
