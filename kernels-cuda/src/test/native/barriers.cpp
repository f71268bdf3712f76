/* Where items wait for each other: barriers of a group and of a cluster, mbarriers; and addresses of shared memory. */
#include "runtime.h"

#include <cstring>

namespace emulated {
static const char* const SYNCTHREADS = "at __syncthreads";
static const char* const NAMED = "at the named barrier";
static const char* const CLUSTER = "at CLUSTER_SYNC";
static const char* const MBARRIER = "for the mbarrier";
static const int REGISTERS = 65536;

static void release(Group& group, int barrier) {
    for (int i = 0; i < launch->items; i++) {
        Item& item = group.items[i];
        if (item.wait == Wait::BARRIER && item.barrier == barrier) {
            item.wait = Wait::NOTHING;
        }
    }
}

static void arrive_at(int id, int items, bool waits, bool same_line, int line) {
    Group& group = *current->group;
    if (id < 0 || id > 15) {
        fault(LAUNCH_FAILED, line, "there is no barrier %d, only 0 to 15", id);
    }
    Barrier& b = group.barriers[id];
    if (b.arrived == 0) {
        b.items = items;
        b.line = line;
    } else if (b.items != items) {
        fault(LAUNCH_FAILED, line, "barrier %d is for %d items here, for %d in line %d", id, items, b.items, b.line);
    } else if (same_line && b.line != line) {
        fault(LAUNCH_FAILED, line, "a barrier that not all items reach: others of the group wait in line %d", b.line);
    }
    if (++b.arrived == b.items) {
        b.arrived = 0;
        release(group, id);
        let_others();
    } else if (waits) {
        current->barrier = id;
        pause(Wait::BARRIER, line, id == 0 ? SYNCTHREADS : NAMED);
    }
}

std::string waits_for(const Item& item) {
    std::string text = item.word;
    if (item.wait == Wait::MBARRIER) {
        u64 bits;
        memcpy(&bits, address(*item.group, item.bar), 8);
        text += " at " + std::to_string(item.bar) + ", parity " + std::to_string(item.parity);
    } else if (item.wait == Wait::BARRIER) {
        const Barrier& b = item.group->barriers[item.barrier];
        text += " " + std::to_string(item.barrier) + " (" + std::to_string(b.arrived) + " of " + std::to_string(b.items) + ")";
    }
    return text + ", line " + std::to_string(item.line);
}

/* Counts an item that leaves; what it must not leave undone. */
void leave(Item& item) {
    if (!item.stores.empty()) {
        fault(LAUNCH_FAILED, item.stores.front().line, "an item leaves while a TMA store may still read shared memory: no TMA_STORE_WAIT(0)");
    }
    if (!item.products.empty()) {
        fault(LAUNCH_FAILED, item.products.front().line, "an item leaves while its wgmma is on its way: no WGMMA_WAIT(0)");
    }
    Group& group = *item.group;
    if (++group.left == launch->items && group.registers_line != 0) {
        // Who says nothing keeps its share; a device would wait for ever for what it has not.
        int share = REGISTERS / launch->items / 8 * 8, sum = 0;
        for (int i = 0; i < launch->items / WARP_GROUP; i++) {
            sum += WARP_GROUP * (group.registers[i] ? group.registers[i] : share);
        }
        if (sum > share * launch->items) {
            fault(LAUNCH_TIMEOUT, group.registers_line, "the warp groups ask for %d registers together, a launch has %d", sum,
                  share * launch->items);
        }
    }
}

u32 place_of(const void* p, int bytes, int line) {
    const char* at = (const char*)p;
    const emulated_kernel* k = launch->kernel;
    if (at >= k->shared && at + bytes <= k->shared_end) {
        return (u32)(at - k->shared);
    }
    i64 from = at - current->group->dynamic;
    if (from < 0 || from + bytes > launch->shared) {
        fault(ILLEGAL_ADDRESS, line, "%d bytes at %p are outside of this group's shared memory of %u and %u bytes", bytes, p, launch->fixed,
              launch->shared);
    }
    return launch->dynamic_at + (u32)from;
}

char* address(Group& group, u32 place) {
    if (place >= launch->dynamic_at) {
        return group.dynamic + (place - launch->dynamic_at);
    }
    return (&group == current->group ? launch->kernel->shared : group.saved) + place;
}

/* The state of an mbarrier in its eight bytes. Fresh shared memory has the last bit set. */
struct Mbarrier {
    u64 phase : 1, expected : 20, pending : 20;
    i64 bytes : 22;
    u64 unset : 1;
};
static_assert(sizeof(Mbarrier) == 8, "an mbarrier is a u64");

static Mbarrier read(Group& group, u32 bar, int line) {
    Mbarrier b;
    memcpy(&b, address(group, bar), 8);
    if (b.unset) {
        fault(LAUNCH_FAILED, line, "the mbarrier at %u was not initialised", bar);
    }
    return b;
}

/* Ends the phase when all arrived and all bytes came. */
static void write(Group& group, u32 bar, Mbarrier b, int line) {
    if (b.pending == 0 && b.bytes < 0) {
        fault(LAUNCH_FAILED, line, "%d bytes more than expected came to the mbarrier at %u", (int)-b.bytes, bar);
    }
    bool over = b.pending == 0 && b.bytes == 0;
    if (over) {
        b.phase ^= 1;
        b.pending = b.expected;
    }
    memcpy(address(group, bar), &b, 8);
    for (int i = 0; over && i < launch->items; i++) {
        Item& item = group.items[i];
        if (item.wait == Wait::MBARRIER && item.bar == bar) {
            // It looks again: a phase that ends unseen is one it waits for in vain, as on a device.
            item.wait = Wait::NOTHING;
        }
    }
}

static void arrive(Group& group, u32 bar, u32 bytes, int line) {
    if (group.left == launch->items) {
        fault(LAUNCH_FAILED, line, "arrival at an mbarrier of a group that has left");
    }
    Mbarrier b = read(group, bar, line);
    if (b.pending == 0) {
        fault(LAUNCH_FAILED, line, "more arrivals at the mbarrier at %u than the %u it was initialised for", bar, (u32)b.expected);
    }
    b.bytes += bytes;
    b.pending--;
    write(group, bar, b, line);
}

void complete_bytes(Group& group, u32 bar, int bytes, int line) {
    Mbarrier b = read(group, bar, line);
    b.bytes -= bytes;
    write(group, bar, b, line);
}
}

using namespace emulated;

extern "C" {
void emulated_barrier(int line) {
    arrive_at(0, launch->items, true, true, line);
}

void emulated_named_barrier(int id, int items, int waits, int line) {
    if (items <= 0 || items % WARP != 0 || items > (launch->items + WARP - 1) / WARP * WARP) {
        fault(LAUNCH_FAILED, line, "barrier %d for %d items: not a multiple of 32 up to %d", id, items, launch->items);
    }
    arrive_at(id, items, waits != 0, false, line);
}

void emulated_cluster_sync(int line) {
    if (++launch->cluster_arrived < (int)launch->cluster * launch->items) {
        pause(Wait::CLUSTER, line, CLUSTER);
        return;
    }
    launch->cluster_arrived = 0;
    for (Group& g : launch->groups) {
        for (int i = 0; i < launch->items; i++) {
            if (g.items[i].wait == Wait::CLUSTER) {
                g.items[i].wait = Wait::NOTHING;
            }
        }
    }
    let_others();
}

u32 cluster_rank() {
    return current->group->rank;
}

unsigned char* emulated_dynamic_shared() {
    return (unsigned char*)current->group->dynamic;
}

u32 smem(const void* p, int line) {
    return place_of(p, 0, line);
}

void mbar_init(u64* bar, u32 count, int line) {
    if (count == 0 || count >= 1u << 20 || (u64)bar % 8 != 0) {
        fault(LAUNCH_FAILED, line, "an mbarrier at %p for %u arrivals", (void*)bar, count);
    }
    Mbarrier b = {0, count, count, 0, 0};
    memcpy(address(*current->group, place_of(bar, 8, line)), &b, 8);
    current->unfenced++;
    current->group->unfenced++;
}

void fence_barrier_init() {
    current->group->unfenced -= current->unfenced;
    current->unfenced = 0;
}

void fence_proxy_async() {
    current->group->fenced = true;
}

void mbar_expect_tx(u64* bar, u32 bytes, int line) {
    arrive(*current->group, place_of(bar, 8, line), bytes, line);
    let_others();
}

void mbar_arrive(u64* bar, int line) {
    arrive(*current->group, place_of(bar, 8, line), 0, line);
    let_others();
}

void mbar_arrive_remote(u64* bar, u32 cta, int line) {
    if (cta >= launch->cluster) {
        fault(LAUNCH_FAILED, line, "group %u of a cluster of %u", cta, launch->cluster);
    }
    arrive(launch->groups[cta], place_of(bar, 8, line), 0, line);
    let_others();
}

void mbar_wait(u64* bar, u32 parity, int line) {
    u32 place = place_of(bar, 8, line);
    while (read(*current->group, place, line).phase == (parity & 1)) {
        current->bar = place;
        current->parity = parity & 1;
        pause(Wait::MBARRIER, line, MBARRIER);
    }
}
}
