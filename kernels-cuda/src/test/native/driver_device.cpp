/* The fake driver: the one device, contexts, and the emulator's settings. */
#include "driver.h"

#include <cstdlib>
#include <cstring>
#include <sstream>

namespace driver {
std::recursive_mutex lock;
static bool initialised;
static char primary;
static int retained;
static thread_local std::vector<void*> contexts;

bool is_initialised() {
    return initialised;
}

int broken = SUCCESS;

int ready() {
    return !initialised ? NOT_INITIALIZED : contexts.empty() || !contexts.back() ? INVALID_CONTEXT : broken;
}

/* By CUdevice_attribute: an H100's values where the emulator has no own. */
static const std::map<int, int> ATTRIBUTES = {
    {1, 1024}, {2, 1024}, {3, 1024}, {4, 64}, {5, 0x7fffffff}, {6, 65535}, {7, 65535}, {8, SHARED_DEFAULT}, {9, 65536}, {10, 32}, {11, 0x7fffffff},
    {12, 65536}, {13, 1980000}, {14, 512}, {15, 1}, {17, 0}, {18, 0}, {19, 1}, {20, 0}, {31, 1}, {32, 1}, {33, 0}, {34, 0}, {35, 0},
    {36, 2619000}, {37, 5120}, {38, 50 << 20}, {39, 2048}, {40, 3}, {41, 1}, {78, 1}, {81, 228 << 10}, {82, 65536}, {83, 1}, {95, 1},
    {97, SHARED_LIMIT}, {106, 32}, {111, 1024}, {115, 1}, {120, 1}
};
}

using namespace driver;

extern "C" int emulated_configure(const char* text) {
    Guard guard(lock);
    std::istringstream words(text);
    for (std::string word; words >> word;) {
        size_t is = word.find('=');
        std::string key = word.substr(0, is), value = is == std::string::npos ? "" : word.substr(is + 1);
        static const std::map<std::string, Schedule> SCHEDULES = {{"forward", Schedule::FORWARD}, {"reverse", Schedule::REVERSE},
            {"random", Schedule::RANDOM}, {"greedy", Schedule::GREEDY}, {"greedy-reverse", Schedule::GREEDY_REVERSE}};
        static const std::map<std::string, Async> ASYNCS = {{"lazy", Async::LAZY}, {"eager", Async::EAGER}, {"random", Async::RANDOM}};
        if (key == "schedule" && SCHEDULES.count(value)) {
            settings.schedule = SCHEDULES.at(value);
        } else if (key == "async" && ASYNCS.count(value)) {
            settings.async = ASYNCS.at(value);
        } else if (key == "seed") {
            settings.seed = strtoull(value.c_str(), nullptr, 10);
        } else if (key == "capability") {
            settings.capability = atoi(value.c_str());
        } else if (key == "loud") {
            settings.loud = value == "yes";
        } else if (key == "fault") {
            settings.late = value == "late";
            broken = SUCCESS;
        } else if (key == "units") {
            settings.units = atoi(value.c_str());
        } else if (key == "idle") {
            settings.idle = value == "yes";
        } else if (key == "memory") {
            settings.memory = strtoull(value.c_str(), nullptr, 10);
        } else {
            return INVALID_VALUE;
        }
    }
    return SUCCESS;
}

API cuInit(u32 flags) {
    Guard guard(lock);
    const char* said = getenv("JOTUNE_EMULATOR");
    if (flags != 0 || (!initialised && said && emulated_configure(said) != SUCCESS)) {
        return INVALID_VALUE;
    }
    initialised = true;
    return SUCCESS;
}

API cuDriverGetVersion(int* version) {
    *version = 13000;
    return SUCCESS;
}

API cuDeviceGetCount(int* count) {
    *count = 1;
    return is_initialised() ? SUCCESS : NOT_INITIALIZED;
}

API cuDeviceGet(int* device, int ordinal) {
    *device = ordinal;
    return !is_initialised() ? NOT_INITIALIZED : ordinal == 0 ? SUCCESS : 101;
}

API cuDeviceGetName(char* name, int length, int) {
    strncpy(name, "Emulated device", length);
    name[length - 1] = 0;
    return SUCCESS;
}

API cuDeviceGetUuid_v2(char* uuid, int) {
    memcpy(uuid, "emulated device.", 16);
    return SUCCESS;
}

API cuDeviceTotalMem_v2(u64* bytes, int) {
    *bytes = settings.memory;
    return SUCCESS;
}

API cuDeviceGetAttribute(int* value, int attribute, int device) {
    if (device != 0) {
        return 101;
    }
    if (attribute == 75 || attribute == 76) {
        *value = attribute == 75 ? settings.capability / 10 : settings.capability % 10;
        return SUCCESS;
    }
    if (attribute == 16) {
        *value = settings.units;
        return SUCCESS;
    }
    auto i = ATTRIBUTES.find(attribute);
    *value = i == ATTRIBUTES.end() ? 0 : i->second;
    return i == ATTRIBUTES.end() ? NOT_SUPPORTED : SUCCESS;
}

API cuDevicePrimaryCtxRetain(void** context, int device) {
    Guard guard(lock);
    retained++;
    *context = &primary;
    return device == 0 ? SUCCESS : 101;
}

API cuDevicePrimaryCtxRelease_v2(int) {
    Guard guard(lock);
    return retained-- > 0 ? SUCCESS : INVALID_CONTEXT;
}

API cuDevicePrimaryCtxGetState(int, u32* flags, int* active) {
    *flags = 0;
    *active = retained > 0;
    return SUCCESS;
}

API cuDevicePrimaryCtxSetFlags_v2(int, u32) {
    return SUCCESS;
}

API cuCtxSetCurrent(void* context) {
    contexts.assign(1, context);
    return SUCCESS;
}

API cuCtxGetCurrent(void** context) {
    *context = contexts.empty() ? nullptr : contexts.back();
    return SUCCESS;
}

API cuCtxPushCurrent_v2(void* context) {
    contexts.push_back(context);
    return SUCCESS;
}

API cuCtxPopCurrent_v2(void** context) {
    if (contexts.empty()) {
        return INVALID_CONTEXT;
    }
    *context = contexts.back();
    contexts.pop_back();
    return SUCCESS;
}

API cuCtxCreate_v2(void** context, u32, int device) {
    *context = &primary;
    contexts.push_back(*context);
    return device == 0 ? SUCCESS : 101;
}

API cuCtxDestroy_v2(void*) {
    return SUCCESS;
}

API cuCtxGetDevice(int* device) {
    *device = 0;
    return ready();
}

API cuCtxSynchronize() {
    ENTER
    return capturing() ? CAPTURE_UNSUPPORTED : SUCCESS;
}

API cuCtxGetStreamPriorityRange(int* least, int* greatest) {
    *least = *greatest = 0;
    return ready();
}
