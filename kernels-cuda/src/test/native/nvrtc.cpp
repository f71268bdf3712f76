/*
 * The fake libnvrtc.so: compiles CUDA text with g++ and emulator.h. A "cubin" is the shared object; "PTX" a line that names it. Objects are
 * kept in the folder kernels beside this library, by what they are made of.
 */
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <fcntl.h>
#include <fstream>
#include <iterator>
#include <mutex>
#include <set>
#include <spawn.h>
#include <string>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

#define API extern "C" __attribute__((visibility("default"))) int

extern char** environ;

namespace {
/* Of nvrtcResult. */
enum Result { SUCCESS = 0, OUT_OF_MEMORY = 1, INVALID_INPUT = 3, INVALID_PROGRAM = 4, INVALID_OPTION = 5, COMPILATION = 6 };

struct Program {
    std::string text, name, log, object, path;
    bool ptx = false;
};

std::mutex lock;
std::set<Program*> programs;
const int ARCHITECTURES[] = {75, 80, 86, 87, 88, 89, 90, 100, 103, 110, 120, 121};

bool known(const void* program) {
    std::lock_guard<std::mutex> guard(lock);
    return programs.count((Program*)program) != 0;
}

std::string folder() {
    Dl_info self;
    dladdr((void*)&folder, &self);
    std::string path = self.dli_fname;
    return path.substr(0, path.rfind('/'));
}

std::string read(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(in), {});
}

/* FNV-1a, twice with different beginnings. */
std::string digest(const std::string& text) {
    char out[40];
    unsigned long long a = 14695981039346656037ull, b = 0x9e3779b97f4a7c15ull;
    for (unsigned char c : text) {
        a = (a ^ c) * 1099511628211ull;
        b = (b ^ c) * 1099511628211ull;
    }
    snprintf(out, sizeof out, "%016llx%016llx", a, b);
    return out;
}

/* Runs a program; what it says goes to `log`. */
int execute(std::vector<std::string> words, std::string& log) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) {
        return -1;
    }
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
    posix_spawn_file_actions_adddup2(&actions, ends[1], 2);
    std::vector<char*> arguments;
    for (std::string& w : words) {
        arguments.push_back(&w[0]);
    }
    arguments.push_back(nullptr);
    pid_t pid;
    int failed = posix_spawnp(&pid, arguments[0], &actions, nullptr, arguments.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    char buffer[4096];
    for (ssize_t n; !failed && (n = ::read(ends[0], buffer, sizeof buffer)) > 0;) {
        log.append(buffer, n);
    }
    close(ends[0]);
    int status = -1;
    if (failed || waitpid(pid, &status, 0) != pid) {
        log += "cannot run " + words[0] + "\n";
        return -1;
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

bool starts(const std::string& text, size_t at, const char* with) {
    return text.compare(at, strlen(with), with) == 0;
}

/* EMULATED_KERNEL(its name, its largest group) for the definition that begins here. */
std::string entry(const std::string& text, size_t at) {
    size_t bounds = text.find("__launch_bounds__", at), open = text.find('(', at);
    std::string group = "GROUP";
    if (bounds < open) {
        group = text.substr(open + 1, text.find_first_of(",)", open) - open - 1);
        open = text.find('(', text.find(')', open));
    }
    size_t end = text.find_last_not_of(" \n", open - 1) + 1;
    size_t begin = text.find_last_of(" \n", end - 1) + 1;
    return "EMULATED_KERNEL(" + text.substr(begin, end - begin) + ", " + group + ")\n";
}

/* For each kernel what the runtime looks for: definitions are lines that begin with KERNEL_HEAD, or as CUDA has it. */
std::string entries(const std::string& text) {
    std::string out;
    for (size_t at = 0; at != std::string::npos && at < text.size(); at = text.find('\n', at), at += at != std::string::npos) {
        if (starts(text, at, "KERNEL_HEAD ") || starts(text, at, "extern \"C\" __global__ ")) {
            out += entry(text, at);
        }
    }
    return "\n#ifndef GROUP\n#define GROUP 1024\n#endif\nextern \"C\" const char emulated_made_by[] = \"" + folder() + "\";\n" + out;
}

/* Takes what NVRTC takes; what concerns g++ goes to `flags`. */
int translate(int count, const char* const* options, std::vector<std::string>& flags, Program& p) {
    for (int i = 0; i < count; i++) {
        std::string o = options[i];
        size_t is = o.find('=');
        std::string key = o.substr(0, is), value = is == std::string::npos ? "" : o.substr(is + 1);
        if (key == "--gpu-architecture" || key == "-arch") {
            int number = atoi(value.c_str() + value.find('_') + 1);
            bool there = std::find(std::begin(ARCHITECTURES), std::end(ARCHITECTURES), number) != std::end(ARCHITECTURES);
            if (!there || (value.rfind("sm_", 0) != 0 && value.rfind("compute_", 0) != 0)) {
                p.log = "nvrtc: error: invalid value for --gpu-architecture (-arch)\n";
                return INVALID_OPTION;
            }
            p.ptx = value[0] == 'c';
            flags.push_back("-DEMULATED_ARCHITECTURE=" + std::to_string(number));
            flags.push_back("-D__CUDA_ARCH__=" + std::to_string(number) + "0");
        } else if (key == "--fmad" || key == "-fmad") {
            flags.push_back(value == "false" ? "-ffp-contract=off" : "-ffp-contract=fast");
        } else if (o.rfind("-D", 0) == 0 || key == "--define-macro") {
            flags.push_back(o[1] == 'D' ? o : "-D" + value);
        } else if (key != "--std" && key != "-std" && key != "--use_fast_math" && key != "-use_fast_math" && key != "-lineinfo"
                   && key != "--generate-line-info" && key != "-default-device" && key != "--diag-suppress" && key != "-diag-suppress"
                   && key != "--device-int128" && key != "-w" && key != "--disable-warnings" && key != "--extra-device-vectorization") {
            p.log = "nvrtc: error: unrecognized option " + o + " found\n";
            return INVALID_OPTION;
        }
    }
    return SUCCESS;
}
}

API nvrtcVersion(int* major, int* minor) {
    *major = 13;
    *minor = 0;
    return SUCCESS;
}

API nvrtcGetNumSupportedArchs(int* count) {
    *count = sizeof ARCHITECTURES / sizeof *ARCHITECTURES;
    return SUCCESS;
}

API nvrtcGetSupportedArchs(int* architectures) {
    memcpy(architectures, ARCHITECTURES, sizeof ARCHITECTURES);
    return SUCCESS;
}

API nvrtcCreateProgram(Program** program, const char* text, const char* name, int headers, const char* const*, const char* const*) {
    if (!program || !text || headers != 0) {
        return INVALID_INPUT;
    }
    *program = new Program();
    (*program)->text = text;
    (*program)->name = name ? name : "default_program";
    std::lock_guard<std::mutex> guard(lock);
    programs.insert(*program);
    return SUCCESS;
}

API nvrtcDestroyProgram(Program** program) {
    if (!program || !known(*program)) {
        return INVALID_PROGRAM;
    }
    std::lock_guard<std::mutex> guard(lock);
    programs.erase(*program);
    delete *program;
    *program = nullptr;
    return SUCCESS;
}

API nvrtcCompileProgram(Program* p, int count, const char* const* options) {
    if (!known(p)) {
        return INVALID_PROGRAM;
    }
    const char* compiler = getenv("CXX");
    std::string at = folder();
    std::vector<std::string> words = {compiler ? compiler : "g++", "-std=gnu++17", "-O1", "-fPIC", "-shared", "-w", "-fno-exceptions", "-fno-rtti",
        "-fno-strict-aliasing", "-fno-gnu-unique", "-fno-asynchronous-unwind-tables", "-include", at + "/emulator.h"};
#ifdef __x86_64__
    // Products and sums become one operation, as CUDA's compiler has it, where this machine can.
    if (__builtin_cpu_supports("fma") && __builtin_cpu_supports("avx2")) {
        words.insert(words.end(), {"-mfma", "-mavx2"});
    }
#endif
    p->log.clear();
    if (int result = translate(count, options, words, *p)) {
        return result;
    }
    // Nothing of an idle device is run, so nothing need be compiled.
    const char* said = getenv("JOTUNE_EMULATOR");
    if (said && strstr(said, "idle=yes")) {
        p->object = "idle";
        return SUCCESS;
    }
    std::string text = "#line 1 \"" + p->name + "\"\n" + p->text + entries(p->text);
    std::string all = text;
    for (const std::string& w : words) {
        all += w + "\n";
    }
    std::string kept = at + "/kernels/" + digest(all);
    p->path = kept + ".so";
    p->object = read(p->path);
    if (!p->object.empty()) {
        return SUCCESS;
    }
    mkdir((at + "/kernels").c_str(), 0777);
    // Under a name of its own until it is whole: other processes may make the same.
    static std::mutex naming;
    static int number;
    std::string own = kept;
    {
        std::lock_guard<std::mutex> guard(naming);
        own += "." + std::to_string(getpid()) + "." + std::to_string(number++);
    }
    std::ofstream(own + ".cu") << text;
    words.insert(words.end(), {"-x", "c++", own + ".cu", "-o", own + ".so", "-lm"});
    int status = execute(words, p->log);
    rename((own + ".cu").c_str(), (kept + ".cu").c_str());
    if (status != 0) {
        unlink((own + ".so").c_str());
        return COMPILATION;
    }
    rename((own + ".so").c_str(), p->path.c_str());
    p->object = read(p->path);
    return p->object.empty() ? OUT_OF_MEMORY : SUCCESS;
}

API nvrtcGetCUBINSize(Program* p, size_t* size) {
    *size = p->ptx ? 0 : p->object.size();
    return SUCCESS;
}

API nvrtcGetCUBIN(Program* p, char* out) {
    memcpy(out, p->object.data(), p->ptx ? 0 : p->object.size());
    return SUCCESS;
}

static std::string ptx(const Program* p) {
    return "//emulated:" + p->path + "\n";
}

API nvrtcGetPTXSize(Program* p, size_t* size) {
    *size = ptx(p).size() + 1;
    return SUCCESS;
}

API nvrtcGetPTX(Program* p, char* out) {
    strcpy(out, ptx(p).c_str());
    return SUCCESS;
}

API nvrtcGetProgramLogSize(Program* p, size_t* size) {
    *size = p->log.size() + 1;
    return SUCCESS;
}

API nvrtcGetProgramLog(Program* p, char* out) {
    strcpy(out, p->log.c_str());
    return SUCCESS;
}

extern "C" const char* nvrtcGetErrorString(int result) {
    static const char* const NAMES[] = {"NVRTC_SUCCESS", "NVRTC_ERROR_OUT_OF_MEMORY", "NVRTC_ERROR_PROGRAM_CREATION_FAILURE",
        "NVRTC_ERROR_INVALID_INPUT", "NVRTC_ERROR_INVALID_PROGRAM", "NVRTC_ERROR_INVALID_OPTION", "NVRTC_ERROR_COMPILATION"};
    return result >= 0 && result < 7 ? NAMES[result] : "NVRTC_ERROR unknown";
}
