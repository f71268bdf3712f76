/* Stacks, and the change from one to another. */
#include "runtime.h"

#include <cstdint>
#include <cstdlib>
#include <sys/mman.h>

#ifdef __SANITIZE_ADDRESS__
extern "C" void __asan_unpoison_memory_region(void const volatile*, size_t);
#endif

namespace emulated {
/* The emulated item's arrays, and what the JVM's signal handlers take where they interrupt one. Pages that no item touches cost nothing. */
static const size_t STACK = 128 << 10;
static const size_t PAGE = 4096;
static std::vector<char*> stacks;

static char* stack(int number) {
    while ((int)stacks.size() <= number) {
        char* p = (char*)mmap(nullptr, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (p == MAP_FAILED) {
            abort();
        }
        madvise(p, STACK, MADV_NOHUGEPAGE);
        // A stack that is too small ends here, not in its neighbour.
        mprotect(p, PAGE, PROT_NONE);
        stacks.push_back(p);
    }
#ifdef __SANITIZE_ADDRESS__
    // Functions that were left, never returned from, still count as there.
    __asan_unpoison_memory_region(stacks[number], STACK);
#endif
    return stacks[number];
}

#if defined(__x86_64__) && !defined(EMULATED_UCONTEXT)
/* Saves what a function has to keep, changes the stack, and returns where the other one left off. */
asm(R"(
.text
.globl emulated_switch
.type emulated_switch, @function
emulated_switch:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
.size emulated_switch, .-emulated_switch
)");

void* fibre(int number, void (*start)()) {
    void** top = (void**)(stack(number) + STACK);
    // As if `start` had been called: its return address at a multiple of 16, less 8.
    *--top = nullptr;
    *--top = (void*)start;
    for (int i = 0; i < 6; i++) {
        *--top = nullptr;
    }
    return top;
}
#else
#include <ucontext.h>

/* The same through the C library, slower (EMULATED_UCONTEXT asks for it where it need not be). A stack pointer is the address of a context. */
static std::vector<ucontext_t*> contexts;
static ucontext_t* outside;

extern "C" void emulated_switch(void** save, void* to) {
    if (*save == nullptr) {
        outside = outside ? outside : new ucontext_t();
        *save = outside;
    }
    swapcontext((ucontext_t*)*save, (ucontext_t*)to);
}

void* fibre(int number, void (*start)()) {
    while ((int)contexts.size() <= number) {
        contexts.push_back(new ucontext_t());
    }
    ucontext_t* c = contexts[number];
    getcontext(c);
    c->uc_stack.ss_sp = stack(number);
    c->uc_stack.ss_size = STACK;
    c->uc_link = nullptr;
    makecontext(c, start, 0);
    return c;
}
#endif
}
