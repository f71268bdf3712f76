/* A kernel that touches memory that is not there ends its launch, not the process. Faults of others, the JVM's own, go to whom they went. */
#include "runtime.h"

#include <csignal>
#include <pthread.h>

namespace emulated {
static struct sigaction handlers[2];
static const int SIGNALS[2] = {SIGSEGV, SIGBUS};
static pthread_t watched;

static void caught(int signal, siginfo_t* info, void* context) {
    if (current && pthread_equal(pthread_self(), watched)) {
        fault(ILLEGAL_ADDRESS, 0, "an access to %p, where there is no memory", info->si_addr);
    }
    const struct sigaction& other = handlers[signal == SIGSEGV ? 0 : 1];
    if (other.sa_flags & SA_SIGINFO) {
        other.sa_sigaction(signal, info, context);
    } else if (other.sa_handler != SIG_DFL && other.sa_handler != SIG_IGN) {
        other.sa_handler(signal);
    } else {
        sigaction(signal, &other, nullptr);
    }
}

Watch::Watch() {
    watched = pthread_self();
    struct sigaction mine = {};
    mine.sa_sigaction = caught;
    // The handler is left for good when a launch ends in it, so the signal must not stay blocked.
    mine.sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK;
    for (int i = 0; i < 2; i++) {
        sigaction(SIGNALS[i], &mine, &handlers[i]);
    }
}

Watch::~Watch() {
    for (int i = 0; i < 2; i++) {
        sigaction(SIGNALS[i], &handlers[i], nullptr);
    }
}
}
