/* The fake driver: streams, events, graphs by capture. */
#include "driver.h"

#include <chrono>

namespace driver {
static Stream legacy;
static std::set<Stream*> streams;
static std::set<Event*> events;
static std::set<std::shared_ptr<Graph>*> graphs;

Stream* stream_of(void* handle) {
    // 0, 1 and 2 are streams that every context has.
    return (u64)handle <= 2 ? &legacy : streams.count((Stream*)handle) ? (Stream*)handle : nullptr;
}

bool capturing() {
    for (Stream* s : streams) {
        if (s->capture) {
            return true;
        }
    }
    return false;
}

int submit(void* stream, const Work& work) {
    Stream* s = stream_of(stream);
    if (!s) {
        return INVALID_HANDLE;
    }
    if (s->capture) {
        s->capture->nodes.push_back(work);
        return SUCCESS;
    }
    int result = work();
    if (settings.late && result == ILLEGAL_ADDRESS) {
        broken = result;
        return SUCCESS;
    }
    return result;
}

static double now() {
    return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}

using namespace driver;

API cuStreamCreate(void** stream, u32) {
    ENTER
    Stream* s = new Stream();
    streams.insert(s);
    *stream = s;
    return SUCCESS;
}

API cuStreamCreateWithPriority(void** stream, u32 flags, int) {
    return cuStreamCreate(stream, flags);
}

API cuStreamDestroy_v2(void* stream) {
    ENTER
    if (!streams.erase((Stream*)stream)) {
        return INVALID_HANDLE;
    }
    delete (Stream*)stream;
    return SUCCESS;
}

API cuStreamSynchronize(void* stream) {
    ENTER
    Stream* s = stream_of(stream);
    return !s ? INVALID_HANDLE : s->capture ? CAPTURE_UNSUPPORTED : SUCCESS;
}

API cuStreamQuery(void* stream) {
    return cuStreamSynchronize(stream);
}

API cuStreamAddCallback(void* stream, void (*callback)(void*, int, void*), void* data, u32) {
    ENTER
    return submit(stream, [=] {
        callback(stream, SUCCESS, data);
        return SUCCESS;
    });
}

API cuLaunchHostFunc(void* stream, void (*function)(void*), void* data) {
    ENTER
    return submit(stream, [=] {
        function(data);
        return SUCCESS;
    });
}

API cuEventCreate(void** event, u32) {
    ENTER
    Event* e = new Event();
    events.insert(e);
    *event = e;
    return SUCCESS;
}

API cuEventDestroy_v2(void* event) {
    ENTER
    if (!events.erase((Event*)event)) {
        return INVALID_HANDLE;
    }
    delete (Event*)event;
    return SUCCESS;
}

API cuEventRecord(void* event, void* stream) {
    ENTER
    Stream* s = stream_of(stream);
    if (!s || !events.count((Event*)event)) {
        return INVALID_HANDLE;
    }
    ((Event*)event)->capture = s->capture;
    ((Event*)event)->at = now();
    return SUCCESS;
}

API cuEventSynchronize(void* event) {
    ENTER
    return events.count((Event*)event) ? SUCCESS : INVALID_HANDLE;
}

API cuEventQuery(void* event) {
    return cuEventSynchronize(event);
}

API cuEventElapsedTime(float* milliseconds, Event* from, Event* to) {
    ENTER
    if (!events.count(from) || !events.count(to) || from->at < 0 || to->at < 0) {
        return INVALID_HANDLE;
    }
    *milliseconds = (float)(to->at - from->at);
    return SUCCESS;
}

API cuEventElapsedTime_v2(float* milliseconds, Event* from, Event* to) {
    return cuEventElapsedTime(milliseconds, from, to);
}

/* Work is done in the order of its submission, so a wait says nothing, but it takes a stream into a capture. */
API cuStreamWaitEvent(void* stream, Event* event, u32) {
    ENTER
    Stream* s = stream_of(stream);
    if (!s || !events.count(event)) {
        return INVALID_HANDLE;
    }
    if (event->capture && !s->capture) {
        s->capture = event->capture;
    }
    return SUCCESS;
}

API cuStreamBeginCapture_v2(void* stream, int) {
    ENTER
    Stream* s = stream_of(stream);
    if (!s || s == &legacy || s->capture) {
        return !s ? INVALID_HANDLE : s->capture ? INVALID_VALUE : CAPTURE_UNSUPPORTED;
    }
    s->capture = std::make_shared<Graph>();
    s->origin = true;
    return SUCCESS;
}

API cuStreamEndCapture(void* stream, void** graph) {
    ENTER
    Stream* s = stream_of(stream);
    if (!s || !s->capture || !s->origin) {
        return INVALID_VALUE;
    }
    auto* g = new std::shared_ptr<Graph>(s->capture);
    graphs.insert(g);
    *graph = g;
    for (Stream* other : streams) {
        if (other->capture == *g) {
            other->capture = nullptr;
            other->origin = false;
        }
    }
    return SUCCESS;
}

API cuStreamIsCapturing(void* stream, int* status) {
    ENTER
    Stream* s = stream_of(stream);
    *status = s && s->capture ? 1 : 0;
    return s ? SUCCESS : INVALID_HANDLE;
}

API cuThreadExchangeStreamCaptureMode(int* mode) {
    static thread_local int current_mode = 0;
    std::swap(*mode, current_mode);
    return SUCCESS;
}

API cuGraphGetNodes(std::shared_ptr<Graph>* graph, void** nodes, u64* count) {
    ENTER
    if (!graphs.count(graph) || nodes) {
        return graphs.count(graph) ? NOT_SUPPORTED : INVALID_HANDLE;
    }
    *count = (*graph)->nodes.size();
    return SUCCESS;
}

API cuGraphInstantiateWithFlags(void** executable, std::shared_ptr<Graph>* graph, u64) {
    ENTER
    if (!graphs.count(graph)) {
        return INVALID_HANDLE;
    }
    auto* g = new std::shared_ptr<Graph>(*graph);
    graphs.insert(g);
    *executable = g;
    return SUCCESS;
}

API cuGraphInstantiate_v2(void** executable, std::shared_ptr<Graph>* graph, void**, char*, u64) {
    return cuGraphInstantiateWithFlags(executable, graph, 0);
}

API cuGraphLaunch(std::shared_ptr<Graph>* executable, void* stream) {
    ENTER
    if (!graphs.count(executable)) {
        return INVALID_HANDLE;
    }
    for (const Work& work : (*executable)->nodes) {
        if (int result = submit(stream, work)) {
            return result;
        }
    }
    return SUCCESS;
}

API cuGraphUpload(std::shared_ptr<Graph>* executable, void*) {
    ENTER
    return graphs.count(executable) ? SUCCESS : INVALID_HANDLE;
}

API cuGraphDestroy(std::shared_ptr<Graph>* graph) {
    ENTER
    if (!graphs.erase(graph)) {
        return INVALID_HANDLE;
    }
    delete graph;
    return SUCCESS;
}

API cuGraphExecDestroy(std::shared_ptr<Graph>* executable) {
    return cuGraphDestroy(executable);
}
