/*
 * What runs emulated kernels. Each CUDA thread, here "item", is a fibre: a stack of its own, left only where it has to wait for others.
 * The groups of a cluster run together, clusters one after another; which item goes on next is what a schedule decides. Everything runs
 * on the thread that launches, so an order of events can be had again.
 */
#ifndef RUNTIME_H
#define RUNTIME_H
#include "emulator.h"

#include <string>
#include <vector>

namespace emulated {
/* Of CUresult. */
enum Result {
    SUCCESS = 0, INVALID_VALUE = 1, OUT_OF_MEMORY = 2, NOT_INITIALIZED = 3, INVALID_CONTEXT = 201, NO_BINARY_FOR_GPU = 209, INVALID_HANDLE = 400,
    NOT_FOUND = 500, NOT_READY = 600, ILLEGAL_ADDRESS = 700, OUT_OF_RESOURCES = 701, LAUNCH_TIMEOUT = 702, LAUNCH_FAILED = 719,
    NOT_SUPPORTED = 801, CAPTURE_UNSUPPORTED = 900, CAPTURE_UNJOINED = 904
};

enum class Schedule { FORWARD, REVERSE, RANDOM, GREEDY, GREEDY_REVERSE };
enum class Async { LAZY, EAGER, RANDOM };

struct Settings {
    Schedule schedule = Schedule::FORWARD;
    Async async = Async::LAZY;
    u64 seed = 1;
    int capability = 90;
    u64 memory = 4ull << 30;
    /* Few, so that loops over a grid's tiles go round. */
    int units = 4;
    /* Any module loads and no kernel runs: only what the host asks for is looked at, at sizes that nobody could emulate. */
    bool idle = false;
    /* What is wrong is written to the standard error too. */
    bool loud = true;
    /* As on a device: a launch that goes wrong says so to the next call and to all after it. */
    bool late = false;
};
extern Settings settings;

constexpr int WARP = 32;
constexpr int WARP_GROUP = 128;
/* Where an item is: it can go on, waits for something, or has left the kernel. */
enum class Wait : u8 { NOTHING, WARP, BARRIER, WARP_GROUP, CLUSTER, MBARRIER, LEFT };

struct Group;

/* cp.async of an item. */
struct Copy {
    char* to;
    const char* from;
    int size, bytes, batch;
};

/* A matrix instruction on its way; each of the 128 items holds its part. */
struct Wgmma {
    float* d;
    u64 a, b;
    u32 a_registers[4];
    // What d held, unless a product before this one on the way writes it.
    std::vector<float> before;
    int accumulate, columns, kind, batch, line;
    bool a_in_registers;
};

/* A TMA store on its way. */
struct BoxStore {
    tensor_map map;
    u32 shared;
    int at[5];
    int rank, batch, line;
    bool adds, done;
};

struct Item {
    void* stack_pointer = nullptr;
    Group* group = nullptr;
    int number = 0;
    emulated_place place = {};
    Wait wait = Wait::LEFT;
    int line = 0;
    /* Of the collective operation that it waits in: its name, who takes part, what it brings. */
    const char* word = "";
    u32 mask = 0;
    void* brings = nullptr;
    int barrier = 0;
    u32 bar = 0;
    u32 parity = 0;
    int unfenced = 0;
    std::vector<Copy> copies;
    int copy_batch = 0;
    std::vector<BoxStore> stores;
    int store_batch = 0;
    std::vector<Wgmma> products;
    int product_batch = 0;
    bool product_fenced = false;
};

struct Barrier {
    int arrived = 0, items = 0, line = 0;
};

/* A group's memory as it sees it: fixed arrays from 0, then, from a multiple of 1024, what the launch added. */
struct Group {
    emulated_place place = {};
    int rank = 0;
    Item* items = nullptr;
    int left = 0;
    char* dynamic = nullptr;
    char* saved = nullptr;
    Barrier barriers[16];
    u32 waiting[32] = {};
    int warp_groups[8] = {};
    /* Of each item of a warp group, where it said so, and where it did. */
    int registers[8] = {}, registers_line = 0;
    int unfenced = 0;
    bool fenced = false;
};

/* A box on its way into shared memory. */
struct BoxLoad {
    Group* group;
    tensor_map map;
    u32 shared, bar;
    int at[5];
    int rank, line;
};

struct Launch {
    const emulated_kernel* kernel;
    emulated_place grid, threads;
    unsigned cluster, shared;
    void** arguments;
    int items;
    unsigned fixed, dynamic_at;
    std::vector<Group> groups;
    std::vector<BoxLoad> loads;
    int cluster_arrived = 0;
};

extern Launch* launch;
extern Item* current;

/* fibre.cpp */
void* fibre(int number, void (*start)());
extern "C" void emulated_switch(void** save, void* to);

/* schedule.cpp */
u64 random_bits();
bool chance(int of);
/* The current item waits for something, or lets others go first; returns when it goes on. */
void pause(Wait wait, int line, const char* word);
/* Under a random schedule, lets others go first now and then. */
void let_others();
/* Ends the launch; does not return. */
[[noreturn]] void fault(int result, int line, const char* format, ...) __attribute__((format(printf, 3, 4)));
bool eager();

/* signals.cpp: while one is there, what a kernel does to memory that is not there becomes a fault. */
struct Watch {
    Watch();
    ~Watch();
};

/* barriers.cpp */
void leave(Item& item);
std::string waits_for(const Item& item);

/* memory of a group: places and addresses */
/* Bytes of the current item's group; a fault if there are not so many. */
u32 place_of(const void* p, int bytes, int line);
char* address(Group& group, u32 place);

/* warp.cpp */
inline int lane() {
    return current->number % WARP;
}

typedef void Perform(Item** lanes, u32 mask);
/* The lanes of `mask` meet; the last to come performs for all. */
void meet(const char* word, u32 mask, void* brings, int line, Perform* perform);
u32 whole_warp();
float bf16_value(u16 bits);

/* async.cpp, tma.cpp */
void run_copies(Item& item, int up_to_batch);
void run_stores(Item& item, int up_to_batch);
void run_load(const BoxLoad& load);
void complete_bytes(Group& group, u32 bar, int bytes, int line);
int bytes_of_box(const tensor_map& map);

/* What the emulator writes into the 128 bytes that cuTensorMapEncodeTiled fills. */
struct Box {
    u64 address;
    u64 strides[4];
    u32 dims[5];
    u16 sizes[5];
    u8 rank, type, swizzle, nan_outside;
    u32 mark;
};
constexpr u32 BOX_MARK = 0x74656e73;
static_assert(sizeof(Box) <= sizeof(tensor_map), "a box fits the descriptor");
int bytes_of_type(int type);
const Box& box_of(const tensor_map* map, int line);
}
#endif
