/* The probe of a driver, from processes with descriptors closed or exhausted, with signals ignored, blocked or handled,
 * or that cannot fork. Each case is a process of its own, since a process probes once.
 *   test_probe opencl|cuda|hip                            the stand-in is a GPU that works
 *   test_probe opencl abort|exit|trap|prints|interrupted  FAKE_OPENCL is set to that word */
#define _GNU_SOURCE /* RTLD_NEXT, MAP_ANONYMOUS */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs the four headers above. */
#include <cmocka.h>

#include <dcnv4/dcnv4.h>

#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SECONDS = 60 };

static const char *backend;
static char device[16];

/* Shared memory: a case's message, also without a stdout, and the count of its handlers' calls in any process. */
static struct notes {
    char text[1024];
    int handled;
} *notes;

static bool note(const char *text) {
    snprintf(notes->text, sizeof notes->text, "%s", text);
    return false;
}

static bool is_there(void) {
    for (int64_t i = 0; i < dcnv4_device_count(); ++i) {
        dcnv4_device_info info = DCNV4_DEVICE_INFO_INIT;
        if (dcnv4_device_info_get(i, &info) == DCNV4_SUCCESS && strcmp(info.backend, backend) == 0)
            return info.available || note(info.reason);
    }
    return note("no such backend");
}

static bool opens(void) {
    dcnv4_context *context = NULL;
    if (dcnv4_context_create(device, &context) != DCNV4_SUCCESS)
        return note(dcnv4_last_message());
    dcnv4_context_destroy(context);
    return true;
}

/* Runs in a child with those of the descriptors 0, 1 and 2 closed whose bits are set in `closed`. */
static void assert_in_child(bool (*holds)(void), int closed) {
    int ended = -1;
    *notes = (struct notes){.text = "it hung or died"};
    fflush(NULL);
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
        fail_msg("ended with %#x, %d closed: %s", ended, closed, notes->text);
}

/* ---- A driver that works -------------------------------------------------------------------------------------------- */

static bool is_there_and_opens(void) {
    return is_there() && opens();
}

static void closed_descriptors(void **state) {
    (void)state;
    for (int closed = 0; closed < 8; ++closed)
        assert_in_child(is_there_and_opens, closed);
}

/* Waits for any child, as init programs and shells do, before the library can. */
static void reap_all(int number) {
    (void)number;
    const int before = errno;
    while (waitpid(-1, NULL, WNOHANG) > 0)
        ++notes->handled;
    errno = before;
}

static bool with_children_ignored(void) {
    signal(SIGCHLD, SIG_IGN);
    return is_there_and_opens();
}

static bool with_children_reaped(void) {
    const struct sigaction action = {.sa_handler = reap_all};
    sigaction(SIGCHLD, &action, NULL);
    return is_there_and_opens();
}

static bool with_signals_blocked(void) {
    sigset_t all, now;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    if (!is_there_and_opens())
        return false;
    sigprocmask(SIG_SETMASK, NULL, &now);
    for (int number = 1; number <= SIGTERM; ++number)
        if (number != SIGKILL && !sigismember(&now, number))
            return note("a signal is no longer blocked");
    return true;
}

static void signals_of_the_callers(void **state) {
    (void)state;
    for (int closed = 0; closed < 8; closed += 7) {
        assert_in_child(with_children_ignored, closed);
        assert_in_child(with_children_reaped, closed);
        assert_in_child(with_signals_blocked, closed);
    }
}

/* The library finds this function before the C library's. */
static bool forks = true;
__attribute__((visibility("default"))) pid_t fork(void) {
    static pid_t (*real)(void);
    if (!real) {
        void *const found = dlsym(RTLD_NEXT, "fork");
        memcpy(&real, &found, sizeof found);
    }
    if (forks)
        return real();
    errno = EAGAIN;
    return -1;
}

static bool without_fork(void) {
    forks = false;
    if (is_there())
        return note("it was found without a child");
    if (!strstr(notes->text, "no process to look for") || !strstr(notes->text, "(error 11)"))
        return false;
    if (!opens())
        return false;
    forks = true;
    return is_there(); /* the failure was not remembered */
}

static bool without_descriptors(void) {
    struct rlimit few, before;
    getrlimit(RLIMIT_NOFILE, &before);
    few = before;
    few.rlim_cur = 3;
    setrlimit(RLIMIT_NOFILE, &few);
    if (is_there())
        return note("it was loaded without a descriptor");
    if (!strstr(notes->text, "load"))
        return false; /* the reason is the loader's message */
    setrlimit(RLIMIT_NOFILE, &before);
    return opens();
}

static void what_cannot_be_had(void **state) {
    (void)state;
    assert_in_child(without_fork, 0);
    assert_in_child(without_descriptors, 0);
}

/* ---- A driver that ends the process --------------------------------------------------------------------------------- */

static void count_handler(void) {
    ++notes->handled;
}

static void count_signal(int number) {
    (void)number;
    ++notes->handled;
}

static char written[] = "/tmp/dcnv4_probe_XXXXXX";

/* None of the caller's code runs in the probing child: no handler, and no second flush of stdio's buffers. */
static bool survives(void) {
    const int descriptor = mkstemp(written);
    FILE *const file = fdopen(descriptor, "w");
    fputs("once", file);
    atexit(count_handler);
    signal(SIGABRT, count_signal);
    if (is_there())
        return note("it is there");
    if (!strstr(notes->text, "driver ended the process that loaded it"))
        return false;
    const bool quiet = notes->handled == 0 && lseek(descriptor, 0, SEEK_END) == 0;
    unlink(written);
    return quiet ? !opens() : note("something of the caller's ran in the child");
}

static void ends_the_process(void **state) {
    (void)state;
    for (int closed = 0; closed < 8; ++closed)
        assert_in_child(survives, closed);
}

/* ---- A driver that prints ------------------------------------------------------------------------------------------- */

static bool prints(void) {
    const int descriptor = mkstemp(written);
    dup2(descriptor, STDOUT_FILENO);
    dup2(descriptor, STDERR_FILENO);
    const bool there = is_there(), quiet = lseek(descriptor, 0, SEEK_END) == 0;
    unlink(written);
    return there && (quiet || note("what the driver printed was not held back"));
}

static void is_quiet(void **state) {
    (void)state;
    assert_in_child(prints, 0);
}

/* A signal that a terminal sends to the process group is not the driver's fault. */
static void is_interrupted(void **state) {
    (void)state;
    assert_in_child(is_there, 0);
}

int main(int argc, char **argv) {
    const struct CMUnitTest works[] = {
        cmocka_unit_test(closed_descriptors),
        cmocka_unit_test(signals_of_the_callers),
        cmocka_unit_test(what_cannot_be_had),
    };
    const struct CMUnitTest others[][1] = {
        {cmocka_unit_test(ends_the_process)}, {cmocka_unit_test(is_quiet)}, {cmocka_unit_test(is_interrupted)}};
    notes = mmap(NULL, sizeof *notes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (argc < 2 || notes == MAP_FAILED)
        return 1;
    backend = argv[1];
    snprintf(device, sizeof device, "%s:0", backend);
    if (argc == 2)
        return cmocka_run_group_tests(works, NULL, NULL);
    const int other = strcmp(argv[2], "prints") == 0 ? 1 : strcmp(argv[2], "interrupted") == 0 ? 2 : 0;
    return cmocka_run_group_tests(others[other], NULL, NULL);
}
