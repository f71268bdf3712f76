/* The fake driver: every function that JCuda imports is there; those that no other file defines say that they are not supported. */
#include "driver.h"

#define NAME(name) \
    extern "C" __attribute__((weak, visibility("default"))) int name() { \
        driver::say_missing(#name); \
        return emulated::NOT_SUPPORTED; \
    }
#include "driver-names.h"

/* NVIDIA's own run-time compiler, in the same process, takes the driver's library by its name and asks it for tables of functions without
   names. A table begins with its size in bytes; of this one it uses nothing. */
API cuGetExportTable(const void** table, const void*) {
    static const u64 empty[1] = {sizeof empty};
    *table = empty;
    return emulated::SUCCESS;
}
