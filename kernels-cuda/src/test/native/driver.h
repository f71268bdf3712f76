/* The fake driver: what its parts share. Device memory is memory of the process; work of streams is done when it is submitted. */
#ifndef DRIVER_H
#define DRIVER_H
#include "runtime.h"

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>

/* A function of the driver's interface. */
#define API extern "C" __attribute__((visibility("default"))) int

namespace driver {
using namespace emulated;

/* The sizes of the pretended device. */
constexpr int SHARED_DEFAULT = 48 << 10;
constexpr int SHARED_LIMIT = 227 << 10;

typedef std::function<int()> Work;

struct Graph {
    std::vector<Work> nodes;
};

struct Stream {
    std::shared_ptr<Graph> capture;
    bool origin = false;
};

struct Event {
    double at = -1;
    std::shared_ptr<Graph> capture;
};

struct Module {
    void* library = nullptr;
};

struct Function {
    const emulated_kernel* kernel;
    std::string name;
    int dynamic_limit;
    /* Set by cuFuncSetAttribute where a launch shall not say it. */
    int cluster = 1;
};

/* Everything is guarded by this one. */
extern std::recursive_mutex lock;
typedef std::lock_guard<std::recursive_mutex> Guard;

/* What a launch came to that ended the context: with fault=late nothing can be done any more. */
extern int broken;
/* SUCCESS, or why no work can be done: no cuInit, no context on this thread, a context that a fault has ended. */
int ready();
bool is_initialised();

/* driver_memory.cpp */
int allocate(u64* pointer, u64 bytes);
int release(u64 pointer);
/* Whether [pointer, pointer + bytes) lies in one allocation. */
bool is_device(u64 pointer, u64 bytes);
/* "" or how a kernel's argument points to freed memory. */
std::string freed(u64 pointer);
/* "" or what was written outside of the allocation that the pointer points into. */
std::string damage(u64 pointer);
void say(const std::string& text);
void say_missing(const char* function);

/* driver_streams.cpp */
Stream* stream_of(void* handle);
/* Does it, or adds it to the graph that the stream captures. */
int submit(void* stream, const Work& work);
bool capturing();

/* An API's prologue. */
#define ENTER \
    driver::Guard guard(driver::lock); \
    if (int not_ready = driver::ready()) { \
        return not_ready; \
    }
}
#endif
