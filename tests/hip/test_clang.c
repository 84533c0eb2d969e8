/* The installed clang as a child process: of a process whose descriptors are closed, that ignores SIGCHLD or waits for
 * any child, that blocks signals, or that may not write large files. The clang is a script that copies its source,
 * through a child of its own, or fails. */
#include "../../backends/hip/hip_api.h"
#include "../support/harness.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SECONDS = 60 };

static char folder[] = "/tmp/dcnv4_clang_XXXXXX";

static const char script[] = "#!/bin/sh\n"
                             "for source; do :; done\n"
                             "while [ \"$1\" != -o ]; do shift; done\n"
                             "if grep -q refuse \"$source\"; then echo 'line 7: error: no such thing'; exit 1; fi\n"
                             "cat \"$source\" >\"$2\"\n";

static void write_script(const char *name, const char *text) {
    char path[64];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *const file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, 0700), 0);
}

/* A clang that does not know the target. */
static const char older[] = "#!/bin/sh\n"
                            "echo \"error: invalid target ID 'gfx1250'; format is a processor name\"\n"
                            "exit 1\n";

static bool copies(void) {
    static const char source[] = "a kernel's source";
    dcnv4i_binary binary = {NULL, 0};
    const bool right = dcnv4i_hip_clang("gfx942", source, &binary) == DCNV4_SUCCESS && binary.size == strlen(source) &&
                       memcmp(binary.bytes, source, binary.size) == 0;
    free(binary.bytes);
    return right;
}

static bool refuses(void) {
    dcnv4i_binary binary = {NULL, 0};
    return dcnv4i_hip_clang("gfx942", "refuse", &binary) == DCNV4_BUILD_FAILED && !binary.bytes &&
           strstr(dcnv4_last_message(), "line 7: error: no such thing");
}

static bool copies_and_refuses(void) {
    return copies() && refuses();
}

static bool ignoring_children(void) {
    signal(SIGCHLD, SIG_IGN);
    return copies_and_refuses();
}

static void reap_all(int number) {
    (void)number;
    const int before = errno;
    while (waitpid(-1, NULL, WNOHANG) > 0)
        ;
    errno = before;
}

static bool reaping_children(void) {
    const struct sigaction action = {.sa_handler = reap_all};
    sigaction(SIGCHLD, &action, NULL);
    return copies_and_refuses();
}

static bool blocking_signals(void) {
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    return copies_and_refuses();
}

static bool without_large_files(void) {
    const struct rlimit few = {4, 4};
    dcnv4i_binary binary = {NULL, 0};
    setrlimit(RLIMIT_FSIZE, &few);
    return dcnv4i_hip_clang("gfx942", "longer than that", &binary) == DCNV4_OUT_OF_MEMORY && !binary.bytes;
}

/* Runs in a child with those descriptors closed whose bits are set. */
static void assert_in_child(bool (*holds)(void), int closed) {
    int ended = -1;
    const pid_t child = fork();
    if (child == 0) {
        for (int descriptor = 0; descriptor <= 2; ++descriptor)
            if (closed >> descriptor & 1)
                close(descriptor);
        alarm(SECONDS);
        _exit(holds() ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &ended, 0), child);
    if (ended != 0)
        fail_msg("ended with %#x, %d closed", ended, closed);
    count_case();
}

static void any_process(void **state) {
    (void)state;
    static bool (*const kinds[])(void) = {copies_and_refuses, ignoring_children, reaping_children, blocking_signals,
                                          without_large_files};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; ++i)
        for (int closed = 0; closed < 8; ++closed)
            assert_in_child(kinds[i], closed);
}

static void remove_script(const char *name) {
    char path[64];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_int_equal(unlink(path), 0);
}

/* Newer ones are asked first, up to clang-23; if none knows the target, the message says which did not, and why. */
static void other_compilers(void **state) {
    (void)state;
    dcnv4i_binary binary = {NULL, 0};
    char path[64];
    snprintf(path, sizeof path, "%s", getenv("PATH"));
    setenv("PATH", folder, 1);
    remove_script("amdclang++");
    assert_refused(dcnv4i_hip_clang("gfx1250", "text", &binary), DCNV4_COMPILER_UNAVAILABLE, "there is no clang 17");
    write_script("clang-19", older);
    assert_refused(dcnv4i_hip_clang("gfx1250", "text", &binary), DCNV4_COMPILER_UNAVAILABLE,
                   "clang-19 refused a kernel for gfx1250: error: invalid target ID 'gfx1250'");
    write_script("clang-23", script);
    setenv("PATH", path, 1);
    assert_true(copies_and_refuses());
    remove_script("clang-19");
    remove_script("clang-23");
}

/* A compilation leaves nothing in the folder for temporary files. */
static void nothing_is_left(void **state) {
    (void)state;
    assert_int_equal(rmdir(folder), 0);
    count_case();
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(any_process), cmocka_unit_test(other_compilers),
                                       cmocka_unit_test(nothing_is_left)};
    char path[4096];
    if (!mkdtemp(folder))
        return 1;
    write_script("amdclang++", script);
    snprintf(path, sizeof path, "%s:/usr/bin:/bin", folder);
    setenv("PATH", path, 1);
    setenv("TMPDIR", folder, 1);
    return HARNESS_RUN(argc, argv, tests);
}
