/* The fake driver: modules, which are objects of g++, functions, launches, tensor maps. */
#include "driver.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <elf.h>
#include <fstream>
#include <iterator>
#include <unistd.h>

namespace driver {
static std::set<Module*> modules;
static std::string last_problem;
static std::vector<std::string> launched;
static std::map<Module*, std::map<std::string, Function*>> functions;
static const size_t REMEMBERED = 65536;
static const char PATH_MARK[] = "//emulated:";

/* So that kernels' objects find the words here, whoever loaded this library and however. */
__attribute__((constructor)) static void show_words() {
    Dl_info self;
    if (dladdr((void*)&show_words, &self)) {
        dlopen(self.dli_fname, RTLD_NOW | RTLD_NOLOAD | RTLD_GLOBAL);
    }
}

/* Where this library lies, which names its edition. */
static std::string folder() {
    Dl_info self;
    std::string path = dladdr((void*)&folder, &self) ? self.dli_fname : "";
    return path.substr(0, path.rfind('/'));
}

/* What every function of an idle device is. */
static const emulated_kernel NOTHING = {nullptr, nullptr, 0, 1024, 0, nullptr, nullptr};

static int load(Module** module, const void* image) {
    if (settings.idle) {
        *module = new Module();
        modules.insert(*module);
        return SUCCESS;
    }
    const char* text = (const char*)image;
    std::string path;
    bool temporary = false;
    if (memcmp(text, ELFMAG, SELFMAG) == 0) {
        const Elf64_Ehdr& head = *(const Elf64_Ehdr*)image;
        // The table of sections stands at the end.
        size_t bytes = head.e_shoff + (size_t)head.e_shnum * head.e_shentsize;
        // A name of its own: the loader takes what it has under a name it knows.
        path = folder() + "/kernels/loadedXXXXXX";
        int file = mkstemp(&path[0]);
        temporary = file >= 0;
        for (size_t at = 0; temporary && at < bytes;) {
            ssize_t n = write(file, text + at, bytes - at);
            temporary = n > 0;
            at += n;
        }
        close(file);
        if (!temporary) {
            say(path + " cannot be written");
            return OUT_OF_MEMORY;
        }
    } else if (strncmp(text, PATH_MARK, sizeof PATH_MARK - 1) == 0) {
        path.assign(text + sizeof PATH_MARK - 1, strcspn(text + sizeof PATH_MARK - 1, "\n"));
    } else {
        say("a module that is neither from the emulator's compiler nor its stand-in for PTX: real PTX cannot be emulated");
        return NO_BINARY_FOR_GPU;
    }
    void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (temporary) {
        unlink(path.c_str());
    }
    if (!library) {
        say(dlerror());
        return NO_BINARY_FOR_GPU;
    }
    // An object of another edition of the emulator, from some cache, is not wanted: whoever asked makes it anew.
    const char* made_by = (const char*)dlsym(library, "emulated_made_by");
    if (!made_by || folder() != made_by) {
        dlclose(library);
        return NO_BINARY_FOR_GPU;
    }
    *module = new Module{library};
    modules.insert(*module);
    return SUCCESS;
}

/* Code for an architecture with features of its own runs there alone; other code on its major version. */
static bool runs_here(unsigned architecture) {
    return architecture == 90 ? settings.capability == 90 : (int)architecture / 10 == settings.capability / 10
        && (int)architecture <= settings.capability;
}

static int check_pointers(const emulated_kernel* k, void** arguments, bool before, std::string& problem) {
    for (unsigned i = 0; i < k->count && problem.empty(); i++) {
        u64 value = 0;
        if (k->sizes[i] == 8) {
            memcpy(&value, arguments[i], 8);
        } else if (k->sizes[i] == sizeof(tensor_map)) {
            value = ((const Box*)arguments[i])->address;
        }
        if (value != 0) {
            std::string what = before ? freed(value) : damage(value);
            if (!what.empty()) {
                problem = "argument " + std::to_string(i) + ": " + what;
            }
        }
    }
    return problem.empty() ? SUCCESS : ILLEGAL_ADDRESS;
}

static int run(const Function& f, emulated_place grid, unsigned cluster, emulated_place threads, unsigned shared, void** arguments) {
    std::string problem;
    int result = check_pointers(f.kernel, arguments, true, problem);
    if (result == SUCCESS) {
        result = emulated_launch(f.kernel, grid, cluster, threads, shared, arguments);
        problem = emulated_report();
    }
    if (result == SUCCESS) {
        result = check_pointers(f.kernel, arguments, false, problem);
    }
    if (result != SUCCESS) {
        last_problem = "kernel " + f.name + ", " + problem;
        say(last_problem);
    }
    return result;
}

static int launch_function(Function* f, emulated_place grid, unsigned cluster, emulated_place threads, unsigned shared, void* stream,
                           void** arguments) {
    const emulated_kernel* k = f->kernel;
    if ((int)shared > f->dynamic_limit) {
        say("kernel " + f->name + ": " + std::to_string(shared) + " bytes of dynamic shared memory, allowed were "
            + std::to_string(f->dynamic_limit));
        return INVALID_VALUE;
    }
    if (k->count > 0 && !arguments) {
        return INVALID_VALUE;
    }
    auto place = [](emulated_place p) { return std::to_string(p.x) + "x" + std::to_string(p.y) + "x" + std::to_string(p.z); };
    if (launched.size() < REMEMBERED) {
        launched.push_back(f->name + " grid " + place(grid) + " group " + place(threads) + " shared " + std::to_string(shared) + " cluster "
                           + std::to_string(cluster));
    }
    // A captured launch keeps its arguments' values.
    auto values = std::make_shared<std::vector<std::string>>();
    for (unsigned i = 0; i < k->count; i++) {
        values->emplace_back((const char*)arguments[i], k->sizes[i]);
    }
    if (settings.idle) {
        const u64 items = (u64)threads.x * threads.y * threads.z;
        bool fits = items > 0 && items <= 1024 && grid.x > 0 && grid.x <= 0x7fffffff && grid.y > 0 && grid.y <= 65535 && grid.z > 0
            && grid.z <= 65535 && cluster > 0 && grid.x % cluster == 0;
        return submit(stream, [=] { return fits ? SUCCESS : INVALID_VALUE; });
    }
    Function copy = *f;
    return submit(stream, [=] {
        std::vector<void*> addresses;
        for (std::string& v : *values) {
            addresses.push_back(&v[0]);
        }
        return run(copy, grid, cluster, threads, shared, addresses.data());
    });
}

static Function* function_of(void* handle) {
    for (auto& [module, named] : functions) {
        for (auto& [name, f] : named) {
            if (f == handle) {
                return f;
            }
        }
    }
    return nullptr;
}
}

using namespace driver;

/* What was wrong with the last launch that failed, "" if none did. */
extern "C" const char* emulated_last_problem() {
    Guard guard(lock);
    return last_problem.c_str();
}

/* Forgets the launches seen so far. */
extern "C" void emulated_forget() {
    Guard guard(lock);
    launched.clear();
    last_problem.clear();
}

extern "C" int emulated_launches() {
    Guard guard(lock);
    return (int)launched.size();
}

/* "name grid 2x1x1 group 128x1x1 shared 0 cluster 1" */
extern "C" const char* emulated_launched(int which) {
    Guard guard(lock);
    return launched.at(which).c_str();
}

API cuModuleLoadData(Module** module, const void* image) {
    ENTER
    return load(module, image);
}

API cuModuleLoadDataEx(Module** module, const void* image, u32, int*, void**) {
    return cuModuleLoadData(module, image);
}

API cuModuleLoad(Module** module, const char* path) {
    ENTER
    std::ifstream in(path, std::ios::binary);
    std::string image((std::istreambuf_iterator<char>(in)), {});
    return in ? load(module, image.c_str()) : 301;
}

API cuModuleUnload(Module* module) {
    ENTER
    if (!modules.erase(module)) {
        return INVALID_HANDLE;
    }
    for (auto& [name, f] : functions[module]) {
        delete f;
    }
    functions.erase(module);
    if (module->library) {
        dlclose(module->library);
    }
    delete module;
    return SUCCESS;
}

API cuModuleGetFunction(void** function, Module* module, const char* name) {
    ENTER
    if (!modules.count(module)) {
        return INVALID_HANDLE;
    }
    Function*& f = functions[module][name];
    if (!f) {
        auto* k = settings.idle ? &NOTHING : (const emulated_kernel*)dlsym(module->library, (std::string("emulated_") + name).c_str());
        if (!k || (!settings.idle && !runs_here(k->architecture))) {
            functions[module].erase(name);
            return k ? NO_BINARY_FOR_GPU : NOT_FOUND;
        }
        f = new Function{k, name, SHARED_DEFAULT - (int)(k->shared_end - k->shared)};
    }
    *function = f;
    return SUCCESS;
}

/* CUfunction_attribute: 8 is the limit of dynamic shared memory. */
API cuFuncSetAttribute(void* function, int attribute, int value) {
    ENTER
    Function* f = function_of(function);
    if (!f) {
        return INVALID_HANDLE;
    }
    if (attribute == 8) {
        if (value < 0 || value + (f->kernel->shared_end - f->kernel->shared) > SHARED_LIMIT) {
            return INVALID_VALUE;
        }
        f->dynamic_limit = value;
    }
    return SUCCESS;
}

API cuFuncGetAttribute(int* value, int attribute, void* function) {
    ENTER
    Function* f = function_of(function);
    if (!f) {
        return INVALID_HANDLE;
    }
    int fixed = (int)(f->kernel->shared_end - f->kernel->shared);
    // Threads, shared, constant and local memory, registers, versions, and the limit.
    const int values[] = {(int)f->kernel->group, fixed, 0, 0, 64, 90, settings.capability, 0, f->dynamic_limit};
    if (attribute < 0 || attribute > 8) {
        return INVALID_VALUE;
    }
    *value = values[attribute];
    return SUCCESS;
}

API cuFuncSetCacheConfig(void* function, int) {
    ENTER
    return function_of(function) ? SUCCESS : INVALID_HANDLE;
}

API cuOccupancyMaxActiveBlocksPerMultiprocessor(int* groups, void* function, int items, u64 shared) {
    ENTER
    Function* f = function_of(function);
    if (!f || items <= 0) {
        return INVALID_VALUE;
    }
    int by_memory = (int)((228 << 10) / (1024 + shared + (f->kernel->shared_end - f->kernel->shared)));
    *groups = std::min({2048 / items, by_memory, 32});
    return SUCCESS;
}

API cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int* groups, void* function, int items, u64 shared, u32) {
    return cuOccupancyMaxActiveBlocksPerMultiprocessor(groups, function, items, shared);
}

API cuLaunchKernel(void* function, u32 x, u32 y, u32 z, u32 items_x, u32 items_y, u32 items_z, u32 shared, void* stream, void** arguments,
                   void** extra) {
    ENTER
    Function* f = function_of(function);
    return !f ? INVALID_HANDLE
        : extra ? NOT_SUPPORTED : launch_function(f, {x, y, z}, 1, {items_x, items_y, items_z}, shared, stream, arguments);
}

/* CUlaunchAttribute and CUlaunchConfig. */
struct LaunchAttribute {
    u32 id, pad;
    u32 value[16];
};

struct LaunchConfig {
    u32 x, y, z, items_x, items_y, items_z, shared;
    void* stream;
    const LaunchAttribute* attributes;
    u32 count;
};

API cuLaunchKernelEx(const LaunchConfig* c, void* function, void** arguments, void** extra) {
    ENTER
    Function* f = function_of(function);
    if (!f || extra) {
        return !f ? INVALID_HANDLE : NOT_SUPPORTED;
    }
    u32 cluster = 1;
    for (u32 i = 0; i < c->count; i++) {
        const LaunchAttribute& a = c->attributes[i];
        if (a.id == 4) {
            if (a.value[1] != 1 || a.value[2] != 1) {
                return NOT_SUPPORTED;
            }
            cluster = a.value[0];
        }
    }
    return launch_function(f, {c->x, c->y, c->z}, cluster, {c->items_x, c->items_y, c->items_z}, c->shared, c->stream, arguments);
}

/* The limits that the driver's documentation gives; what it does not allow is no map here either. */
API cuTensorMapEncodeTiled(tensor_map* map, int type, u32 rank, void* address, const u64* dims, const u64* strides, const u32* sizes,
                           const u32* element_strides, int interleave, int swizzle, int, int nan_outside) {
    Box b = {};
    int bytes = bytes_of_type(type);
    if (settings.capability < 90) {
        return NOT_SUPPORTED;
    }
    if (bytes == 0 || rank == 0 || rank > 5 || (u64)address % 16 != 0 || (u64)map % 64 != 0 || interleave != 0 || swizzle < 0 || swizzle > 3) {
        return INVALID_VALUE;
    }
    b.address = (u64)address;
    u64 span = 0;
    for (u32 i = 0; i < rank; i++) {
        if (dims[i] == 0 || dims[i] > 0xffffffffu || sizes[i] == 0 || sizes[i] > 256 || element_strides[i] != 1) {
            return INVALID_VALUE;
        }
        if (i + 1 < rank && (strides[i] % 16 != 0 || strides[i] >= 1ull << 40)) {
            return INVALID_VALUE;
        }
        b.dims[i] = (u32)dims[i];
        b.sizes[i] = (u16)sizes[i];
        b.strides[std::min(i, 3u)] = i + 1 < rank ? strides[i] : b.strides[std::min(i, 3u)];
        span += (dims[i] - 1) * (i == 0 ? bytes : strides[i - 1]);
    }
    u32 line = sizes[0] * bytes;
    if (line % 16 != 0 || (swizzle != 0 && line > 16u << swizzle)) {
        return INVALID_VALUE;
    }
    if (!is_device((u64)address, span + bytes)) {
        say("a tensor map of memory that is not the device's, or reaches beyond it");
        return INVALID_VALUE;
    }
    b.rank = (u8)rank;
    b.type = (u8)type;
    b.swizzle = (u8)swizzle;
    b.nan_outside = (u8)nan_outside;
    b.mark = BOX_MARK;
    memset(map, 0, sizeof *map);
    memcpy(map, &b, sizeof b);
    return SUCCESS;
}

static const std::map<int, const char*> NAMES = {{SUCCESS, "CUDA_SUCCESS"}, {INVALID_VALUE, "CUDA_ERROR_INVALID_VALUE"},
    {OUT_OF_MEMORY, "CUDA_ERROR_OUT_OF_MEMORY"}, {NOT_INITIALIZED, "CUDA_ERROR_NOT_INITIALIZED"},
    {INVALID_CONTEXT, "CUDA_ERROR_INVALID_CONTEXT"}, {NO_BINARY_FOR_GPU, "CUDA_ERROR_NO_BINARY_FOR_GPU"},
    {INVALID_HANDLE, "CUDA_ERROR_INVALID_HANDLE"}, {NOT_FOUND, "CUDA_ERROR_NOT_FOUND"}, {NOT_READY, "CUDA_ERROR_NOT_READY"},
    {ILLEGAL_ADDRESS, "CUDA_ERROR_ILLEGAL_ADDRESS"}, {OUT_OF_RESOURCES, "CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES"},
    {LAUNCH_TIMEOUT, "CUDA_ERROR_LAUNCH_TIMEOUT"}, {LAUNCH_FAILED, "CUDA_ERROR_LAUNCH_FAILED"}, {NOT_SUPPORTED, "CUDA_ERROR_NOT_SUPPORTED"},
    {CAPTURE_UNSUPPORTED, "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED"}, {101, "CUDA_ERROR_INVALID_DEVICE"}, {301, "CUDA_ERROR_FILE_NOT_FOUND"}};

API cuGetErrorName(int result, const char** text) {
    auto i = NAMES.find(result);
    *text = i == NAMES.end() ? nullptr : i->second;
    return i == NAMES.end() ? INVALID_VALUE : SUCCESS;
}

API cuGetErrorString(int result, const char** text) {
    return cuGetErrorName(result, text);
}
