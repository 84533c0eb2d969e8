/* Runs an installed clang, for targets that hipRTC does not know. */
#include "hip_api.h"
#include "../gpu/runtime/file.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* The files of one compilation, in a folder of their own. */
typedef struct files {
    char folder[256], source[288], binary[288], log[288];
} files;

static bool make_files(files *f, const char *source) {
    const char *temporary = getenv("TMPDIR");
    snprintf(f->folder, sizeof f->folder, "%.200s/dcnv4-XXXXXX", temporary && *temporary ? temporary : "/tmp");
    if (!mkdtemp(f->folder))
        return false;
    snprintf(f->source, sizeof f->source, "%s/source-XXXXXX", f->folder);
    snprintf(f->binary, sizeof f->binary, "%s/kernel.co", f->folder);
    snprintf(f->log, sizeof f->log, "%s/log", f->folder);
    const int file = dcnv4i_file_create(f->source);
    const bool written = file >= 0 && dcnv4i_file_write(file, source, strlen(source));
    return file >= 0 && close(file) == 0 && written;
}

static void remove_files(const files *f) {
    unlink(f->source);
    unlink(f->binary);
    unlink(f->log);
    rmdir(f->folder);
}

/* All of a file with a NUL after it, for free(); NULL if it cannot be read. */
static char *read_file(const char *path, size_t *size) {
    struct stat about;
    const int file = dcnv4i_file_open(path);
    char *bytes = file >= 0 && fstat(file, &about) == 0 ? malloc((size_t)about.st_size + 1) : NULL;
    if (bytes && !dcnv4i_file_read(file, bytes, (size_t)about.st_size)) {
        free(bytes);
        bytes = NULL;
    }
    if (bytes) {
        *size = (size_t)about.st_size;
        bytes[*size] = '\0';
    }
    if (file >= 0)
        close(file);
    return bytes;
}

enum { NOT_RUN = -1, NOT_KNOWN = -2 };

/* Starts a program found in PATH, with its output in a file, no signal blocked, and the default action for SIGCHLD,
 * which it needs for its own children. */
static bool start(const char *const *arguments, const char *output, pid_t *pid) {
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, children;
    sigemptyset(&none);
    sigemptyset(&children);
    sigaddset(&children, SIGCHLD);
    if (posix_spawn_file_actions_init(&actions) != 0)
        return false;
    if (posix_spawnattr_init(&attributes) != 0) {
        posix_spawn_file_actions_destroy(&actions);
        return false;
    }
    const bool started = posix_spawnattr_setsigmask(&attributes, &none) == 0 &&
                         posix_spawnattr_setsigdefault(&attributes, &children) == 0 &&
                         posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF) == 0 &&
                         posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0) == 0 &&
                         posix_spawn_file_actions_addopen(&actions, 1, output, O_WRONLY | O_CREAT | O_TRUNC, 0600) ==
                             0 &&
                         posix_spawn_file_actions_adddup2(&actions, 1, 2) == 0 &&
                         posix_spawnp(pid, arguments[0], &actions, &attributes, (char *const *)arguments, environ) == 0;
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return started;
}

/* Runs a program and returns its exit status. NOT_KNOWN if the caller ignores SIGCHLD or waits for any child; the
 * program has ended then, too. */
static int run(const char *const *arguments, const char *output) {
    pid_t pid;
    int status = 0;
    if (!start(arguments, output, &pid))
        return NOT_RUN;
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return NOT_KNOWN;
    return WIFEXITED(status) && WEXITSTATUS(status) != 127 ? WEXITSTATUS(status) : NOT_RUN;
}

/* Whether the compiler cannot generate code for the target at all, instead of just not from this source. */
static bool is_unable(const char *log) {
    static const char *const signs[] = {
        "linker", "lld", "invalid target", "unknown target", "unsupported HIP gpu", "unable to create target"};
    for (size_t i = 0; i < sizeof signs / sizeof *signs; ++i)
        if (strstr(log, signs[i]))
            return true;
    return false;
}

/* Code objects of version 6 are for targets with "generic" in their names; older ROCm refuses them, and the default of
 * newer clangs. */
static const char *code_object_version(const char *target) {
    return strstr(target, "-generic") ? "-mcode-object-version=6" : "-mcode-object-version=4";
}

/* *refusal, unless a compiler before has filled it, says which compiler cannot compile for the target. */
static dcnv4_status compile(const char *clang, const char *target, const files *f, dcnv4i_binary *binary,
                            char refusal[300]) {
    char architecture[64];
    size_t size = 0;
    snprintf(architecture, sizeof architecture, "--offload-arch=%s", target);
    const char *const arguments[] = {clang,
                                     "-x",
                                     "hip",
                                     "--cuda-device-only",
                                     "-nogpuinc",
                                     "-nogpulib",
                                     "-O3",
                                     "-munsafe-fp-atomics",
                                     code_object_version(target),
                                     "-w",
                                     architecture,
                                     "--no-gpu-bundle-output",
                                     "-o",
                                     f->binary,
                                     f->source,
                                     NULL};
    const int exit_status = run(arguments, f->log);
    if ((exit_status == 0 || exit_status == NOT_KNOWN) && (binary->bytes = read_file(f->binary, &binary->size)))
        return DCNV4_SUCCESS; /* clang leaves no partial file */
    char *log = exit_status == NOT_RUN ? NULL : read_file(f->log, &size);
    dcnv4_status status = DCNV4_COMPILER_UNAVAILABLE;
    if (log) {
        const bool unable = is_unable(log);
        status = dcnv4i_build_failed(clang, target, log);
        if (unable && !*refusal)
            snprintf(refusal, 300, "%s", dcnv4_last_message());
        status = unable ? DCNV4_COMPILER_UNAVAILABLE : status;
    }
    free(log);
    return status;
}

dcnv4_status dcnv4i_hip_clang(const char *target, const char *source, dcnv4i_binary *binary) {
    static const char *const compilers[] = {"amdclang++", "clang-23", "clang-22", "clang-21", "clang-20",
                                            "clang-19",   "clang-18", "clang-17", "clang",    NULL};
    files f = {.source = ""};
    char refusal[300] = "";
    if (!make_files(&f, source)) {
        remove_files(&f);
        return dcnv4i_fail(DCNV4_OUT_OF_MEMORY, "no folder for a kernel's source could be made: %.200s", f.folder);
    }
    dcnv4_status status = DCNV4_COMPILER_UNAVAILABLE;
    for (const char *const *each = compilers; *each && status == DCNV4_COMPILER_UNAVAILABLE; ++each)
        status = compile(*each, target, &f, binary, refusal);
    remove_files(&f);
    if (status != DCNV4_COMPILER_UNAVAILABLE)
        return status;
    return dcnv4i_fail(status, "%s",
                       *refusal ? refusal : "there is no clang 17 or newer with lld (Debian: clang-19, lld-19)");
}
