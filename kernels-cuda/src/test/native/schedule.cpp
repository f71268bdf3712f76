/* A launch: which item goes on next, when asynchronous work is done, and what is said when nobody can go on. */
#include "runtime.h"

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <numeric>
#include <sstream>

emulated_place threadIdx, blockIdx, gridDim, blockDim;

namespace emulated {
Settings settings;
Launch* launch;
Item* current;

static std::string report;
static int failure;
static void* launcher;
static u64 state;
static std::vector<Item> items;
/* Of the cluster that runs. */
static int running, last;
/* Whose fixed arrays lie where the text has them. */
static Group* owner;

static const unsigned SHARED_LIMIT = 227 * 1024;
static const int GUARD = 16384;
static const unsigned char POISON = 0xff;

u64 random_bits() {
    state += 0x9e3779b97f4a7c15ull;
    u64 z = state;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ z >> 27) * 0x94d049bb133111ebull;
    return z ^ z >> 31;
}

bool chance(int of) {
    return random_bits() % of == 0;
}

bool eager() {
    return settings.async == Async::EAGER || (settings.async == Async::RANDOM && chance(2));
}

static bool can_go(int i) {
    return items[i].wait == Wait::NOTHING;
}

/* From `from` on in steps of 1 or -1 within [begin, end), round once. */
static int next_in(int begin, int end, int from, int step) {
    int n = end - begin;
    for (int k = 0, i = from - begin; k < n; k++, i += step) {
        i = (i + n) % n;
        if (can_go(begin + i)) {
            return begin + i;
        }
    }
    return -1;
}

static int choose() {
    bool back = settings.schedule == Schedule::REVERSE || settings.schedule == Schedule::GREEDY_REVERSE;
    int step = back ? -1 : 1;
    switch (settings.schedule) {
        case Schedule::RANDOM:
            return next_in(0, running, (int)(random_bits() % running), 1);
        case Schedule::GREEDY:
        case Schedule::GREEDY_REVERSE: {
            // Groups of a cluster begin with warps of their own.
            int group = last / launch->items * launch->items;
            int begin = group + (last - group) / WARP * WARP;
            int end = std::min(begin + WARP, group + launch->items);
            int i = next_in(begin, end, last + step < begin ? end - 1 : last + step >= end ? begin : last + step, step);
            return i >= 0 ? i : next_in(0, running, back ? begin - 1 : end, step);
        }
        default:
            return next_in(0, running, last + step, step);
    }
}

/* The fixed arrays of a cluster's groups take turns where the text has them. */
static void bring_in(Group* group) {
    if (owner == group) {
        return;
    }
    if (launch->fixed != 0) {
        if (owner) {
            memcpy(owner->saved, launch->kernel->shared, launch->fixed);
        }
        memcpy(launch->kernel->shared, group->saved, launch->fixed);
    }
    owner = group;
    blockIdx = group->place;
}

static std::string deadlock() {
    std::map<std::string, std::vector<const Item*>> same;
    for (int i = 0; i < running; i++) {
        if (items[i].wait != Wait::LEFT) {
            std::ostringstream key;
            key << "wait " << waits_for(items[i]);
            same[key.str()].push_back(&items[i]);
        } else {
            same["left the kernel"].push_back(&items[i]);
        }
    }
    std::ostringstream s;
    s << "nobody can go on:";
    for (auto& [what, who] : same) {
        s << "\n    " << who.size() << " items " << what << ": ";
        for (size_t k = 0; k < who.size(); k++) {
            if (k == 0 || who[k]->number != who[k - 1]->number + 1 || who[k]->group != who[k - 1]->group) {
                s << (k ? ", " : "") << "group " << who[k]->group->place.x << "," << who[k]->group->place.y << "," << who[k]->group->place.z
                  << " item " << who[k]->number << " and on";
            }
            if (s.tellp() > 2000) {
                s << " ...";
                break;
            }
        }
    }
    return s.str();
}

static void go_on_with(Item* item) {
    current = item;
    last = (int)(item - items.data());
    bring_in(item->group);
    threadIdx = item->place;
}

static void record(int result, const std::string& text) {
    if (failure == 0) {
        failure = result;
        report = text;
    }
}

/* Leaves the current stack for that of whoever can go on, or for the launcher's. */
static void change() {
    Item* from = current;
    for (;;) {
        int i = choose();
        if (i >= 0) {
            if (&items[i] == from) {
                return;
            }
            go_on_with(&items[i]);
            emulated_switch(&from->stack_pointer, current->stack_pointer);
            return;
        }
        if (launch->loads.empty()) {
            break;
        }
        // Copies that nobody hurried end when all wait for them: in order, or in any.
        size_t k = settings.schedule == Schedule::RANDOM ? random_bits() % launch->loads.size() : 0;
        BoxLoad load = launch->loads[k];
        launch->loads.erase(launch->loads.begin() + k);
        run_load(load);
    }
    if (std::any_of(items.begin(), items.begin() + running, [](const Item& i) { return i.wait != Wait::LEFT; })) {
        record(LAUNCH_TIMEOUT, deadlock());
    }
    emulated_switch(&from->stack_pointer, launcher);
}

void pause(Wait wait, int line, const char* word) {
    current->wait = wait;
    current->line = line;
    current->word = word;
    change();
}

void let_others() {
    if (settings.schedule == Schedule::RANDOM && chance(4)) {
        change();
    }
}

void fault(int result, int line, const char* format, ...) {
    char text[1024];
    va_list rest;
    va_start(rest, format);
    vsnprintf(text, sizeof text, format, rest);
    va_end(rest);
    std::ostringstream s;
    s << "line " << line << ", group " << blockIdx.x << "," << blockIdx.y << "," << blockIdx.z << " item "
      << (current ? current->number : -1) << ": " << text;
    record(result, s.str());
    void* dead = nullptr;
    emulated_switch(current ? &current->stack_pointer : &dead, launcher);
    abort();
}

static void start() {
    launch->kernel->run(launch->arguments);
    leave(*current);
    pause(Wait::LEFT, 0, "");
    abort();
}

static bool is_poison(const char* p, size_t n) {
    return n == 0 || ((unsigned char)*p == POISON && memcmp(p, p + 1, n - 1) == 0);
}

static void prepare(Group& group, int rank) {
    char *dynamic = group.dynamic, *saved = group.saved;
    group = Group();
    group.dynamic = dynamic;
    group.saved = saved;
    group.rank = rank;
    group.items = &items[rank * launch->items];
    memset(dynamic - GUARD, POISON, launch->shared + 2 * GUARD);
    memset(saved, POISON, launch->fixed);
    for (int i = 0; i < launch->items; i++) {
        Item& item = group.items[i];
        item.copies.clear();
        item.stores.clear();
        item.products.clear();
        item.group = &group;
        item.number = i;
        unsigned x = launch->threads.x, y = launch->threads.y;
        item.place = {i % x, i / x % y, i / (x * y)};
        item.wait = Wait::NOTHING;
        item.copy_batch = item.store_batch = item.product_batch = item.unfenced = 0;
        item.product_fenced = false;
        item.stack_pointer = fibre(rank * launch->items + i, start);
    }
}

/* The groups from `x` on along x, together. */
static void run_cluster(unsigned x, unsigned y, unsigned z) {
    running = (int)launch->cluster * launch->items;
    launch->loads.clear();
    launch->cluster_arrived = 0;
    owner = nullptr;
    for (unsigned rank = 0; rank < launch->cluster; rank++) {
        prepare(launch->groups[rank], rank);
        launch->groups[rank].place = {x + rank, y, z};
    }
    bool back = settings.schedule == Schedule::REVERSE || settings.schedule == Schedule::GREEDY_REVERSE;
    go_on_with(&items[back ? running - 1 : 0]);
    emulated_switch(&launcher, current->stack_pointer);
    current = nullptr;
    for (Group& g : launch->groups) {
        if (!is_poison(g.dynamic - GUARD, GUARD) || !is_poison(g.dynamic + launch->shared, GUARD)) {
            record(ILLEGAL_ADDRESS, "a group wrote outside of its " + std::to_string(launch->shared) + " bytes of dynamic shared memory");
        }
    }
}

static std::string problem_of(const emulated_kernel* k, emulated_place grid, unsigned cluster, emulated_place threads, unsigned shared) {
    u64 n = (u64)threads.x * threads.y * threads.z;
    if (n == 0 || n > 1024 || n > k->group) {
        return "groups of " + std::to_string(n) + " items, where the kernel allows 1 to " + std::to_string(std::min(1024u, k->group));
    }
    if (grid.x == 0 || grid.y == 0 || grid.z == 0 || grid.x > 0x7fffffffu || grid.y > 65535 || grid.z > 65535) {
        return "a grid that is empty or too large";
    }
    if (cluster == 0 || cluster > 8 || grid.x % cluster != 0 || (cluster > 1 && settings.capability < 90)) {
        return "clusters of " + std::to_string(cluster) + " groups";
    }
    u64 all = (u64)(k->shared_end - k->shared) + shared;
    if (all > SHARED_LIMIT) {
        return std::to_string(all) + " bytes of shared memory, where there are " + std::to_string(SHARED_LIMIT);
    }
    return "";
}

static int run(const emulated_kernel* kernel, emulated_place grid, unsigned cluster, emulated_place threads, unsigned shared, void** arguments) {
    failure = SUCCESS;
    report.clear();
    std::string problem = problem_of(kernel, grid, cluster, threads, shared);
    if (!problem.empty()) {
        record(INVALID_VALUE, "the launch asks for " + problem);
        return failure;
    }
    unsigned fixed = (unsigned)(kernel->shared_end - kernel->shared);
    Launch l{kernel, grid, threads, cluster, shared, arguments, (int)(threads.x * threads.y * threads.z), fixed, (fixed + 1023) / 1024 * 1024,
             std::vector<Group>(cluster), {}, 0};
    launch = &l;
    state = settings.seed;
    items.resize(std::max(items.size(), (size_t)l.items * cluster));
    gridDim = grid;
    blockDim = threads;
    for (Group& g : l.groups) {
        // Swizzles depend on bits of the address.
        g.dynamic = (char*)aligned_alloc(4096, (shared + 2 * GUARD + 4095) / 4096 * 4096) + GUARD;
        g.saved = (char*)malloc(fixed + 1);
    }
    u64 clusters = (u64)grid.x / cluster * grid.y * grid.z;
    std::vector<u64> order(clusters);
    std::iota(order.begin(), order.end(), 0);
    if (settings.schedule == Schedule::REVERSE || settings.schedule == Schedule::GREEDY_REVERSE) {
        std::reverse(order.begin(), order.end());
    } else if (settings.schedule == Schedule::RANDOM) {
        for (u64 i = clusters; i > 1; i--) {
            std::swap(order[i - 1], order[random_bits() % i]);
        }
    }
    for (u64 i = 0; i < clusters && failure == 0; i++) {
        u64 across = grid.x / cluster;
        run_cluster((unsigned)(order[i] % across * cluster), (unsigned)(order[i] / across % grid.y), (unsigned)(order[i] / across / grid.y));
    }
    for (Group& g : l.groups) {
        free(g.dynamic - GUARD);
        free(g.saved);
    }
    launch = nullptr;
    return failure;
}

static std::mutex one_at_a_time;
}

extern "C" int emulated_launch(const emulated_kernel* kernel, emulated_place grid, unsigned cluster, emulated_place threads, unsigned shared,
                               void** arguments) {
    std::lock_guard<std::mutex> lock(emulated::one_at_a_time);
    emulated::Watch watch;
    return emulated::run(kernel, grid, cluster, threads, shared, arguments);
}

extern "C" const char* emulated_report() {
    return emulated::report.c_str();
}
