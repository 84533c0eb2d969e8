#if defined(__linux__)
#define _GNU_SOURCE /* MAP_ANONYMOUS */
#endif

#include "probe.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* A driver that does not answer in this time is taken to hang. NVIDIA's may take 3 seconds for each GPU of a server
 * that has not been used since it started. */
enum { PATIENCE_MS = 60000 };

/* The shared memory through which the child returns its result. A pipe would need descriptors: the caller may have none
 * left, or may have closed its stdout, whose number the pipe would get. */
typedef struct shared {
    atomic_bool whole;
    dcnv4i_view view;
} shared;

void dcnv4i_view_none(dcnv4i_view *view, const char *reason) {
    view->count = 0;
    snprintf(view->reason, sizeof view->reason, "%s", reason);
}

/* ---- The child --------------------------------------------------------------------------------------------------- */

/* Keeps the caller's atexit functions from running if the driver calls exit(). */
static void end_at_once(void) {
    _exit(1);
}

/* Redirects stdin, stdout and stderr to /dev/null, so that nothing a driver prints is seen. open() gets the descriptor
 * just closed, even where the caller may have no more descriptors. */
static void be_quiet(void) {
    close(STDIN_FILENO);
    if (open("/dev/null", O_RDWR) == STDIN_FILENO) {
        dup2(STDIN_FILENO, STDOUT_FILENO);
        dup2(STDIN_FILENO, STDERR_FILENO);
    }
}

/* Restores the default actions of fault signals, SIGALRM and SIGCHLD, whatever the caller set: a faulting driver ends
 * the child, and a driver can wait for its own children. All other signals stay blocked: a Ctrl-C is for the caller. */
static void take_own_signals(void) {
    static const int own[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT, SIGALRM, SIGCHLD};
    const struct sigaction standard = {.sa_handler = SIG_DFL};
    sigset_t others;
    sigfillset(&others);
    for (size_t i = 0; i < sizeof own / sizeof *own; ++i) {
        sigaction(own[i], &standard, NULL);
        sigdelset(&others, own[i]);
    }
    pthread_sigmask(SIG_SETMASK, &others, NULL);
}

/* Looks for devices. It begins with all signals blocked, leaves no core file, and does not outlive the parent's
 * timeout. */
static void child(dcnv4i_probe *probe, shared *to) {
    const struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    atexit(end_at_once);
    be_quiet();
    take_own_signals();
    alarm(PATIENCE_MS / 1000 + 1);
    probe->look(&probe->view);
    to->view = probe->view;
    atomic_store(&to->whole, true);
    _exit(0);
}

/* ---- The parent -------------------------------------------------------------------------------------------------- */

static int64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

typedef enum end { ENDED, UNKNOWN, RUNNING } end;

/* Waits up to ms milliseconds for the child to end; *how is waitpid's status. The result is UNKNOWN if the caller
 * ignores SIGCHLD, or one of its handlers or threads waited for any child first. */
static end wait_for(pid_t pid, int64_t ms, int *how) {
    const struct timespec moment = {0, 1000000};
    const int64_t late = now_ms() + ms;
    for (;;) {
        const pid_t ended = waitpid(pid, how, WNOHANG);
        if (ended == pid)
            return ENDED;
        if (ended < 0 && errno != EINTR)
            return UNKNOWN;
        if (now_ms() >= late)
            return RUNNING;
        nanosleep(&moment, NULL);
    }
}

/* Records how a child ended that returned no result. */
static void say_how_it_ended(dcnv4i_probe *probe, end ended, int how) {
    char reason[128];
    if (ended == RUNNING)
        snprintf(reason, sizeof reason, "the %s driver did not answer in %d seconds", probe->what, PATIENCE_MS / 1000);
    else if (ended == ENDED && WIFSIGNALED(how))
        snprintf(reason, sizeof reason, "the %s driver ended the process that loaded it (signal %d)", probe->what,
                 WTERMSIG(how));
    else
        snprintf(reason, sizeof reason, "the %s driver ended the process that loaded it", probe->what);
    dcnv4i_view_none(&probe->view, reason);
    probe->view.probe_crashed = true;
}

static void receive(dcnv4i_probe *probe, pid_t pid, const shared *from) {
    int how = 0, ignored;
    const end ended = wait_for(pid, PATIENCE_MS, &how);
    if (ended == RUNNING) {
        kill(pid, SIGKILL);
        wait_for(pid, 1000, &ignored); /* only this long: it may hang in the kernel */
    }
    if (atomic_load(&from->whole))
        probe->view = from->view;
    else
        say_how_it_ended(probe, ended, how);
}

/* No child could be started, which says nothing against the driver: opening a device by its name loads it in this
 * process. */
static void say_no_child(dcnv4i_probe *probe, const char *missing, int error) {
    char reason[160];
    snprintf(reason, sizeof reason,
             "no %s to look for %s devices in could be had (errno %d); one that is opened by its name is looked for in "
             "this process",
             missing, probe->what, error);
    if (!probe->refused)
        dcnv4i_view_none(&probe->none, reason);
    probe->refused = true;
}

/* A fork() with all signals blocked in the child, so that none of the caller's handlers runs there. */
static pid_t fork_blocked(int *error) {
    sigset_t all, callers;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &callers);
    const pid_t pid = fork();
    *error = errno;
    if (pid != 0)
        pthread_sigmask(SIG_SETMASK, &callers, NULL);
    return pid;
}

/* Returns whether a child could be started. */
static bool look_from_child(dcnv4i_probe *probe) {
    int error;
    shared *const between = mmap(NULL, sizeof *between, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (between == MAP_FAILED) {
        say_no_child(probe, "memory", errno);
        return false;
    }
    const pid_t pid = fork_blocked(&error);
    if (pid == 0)
        child(probe, between);
    if (pid > 0)
        receive(probe, pid, between);
    else
        say_no_child(probe, "process", error);
    munmap(between, sizeof *between);
    return pid > 0;
}

const dcnv4i_view *dcnv4i_probe_look(dcnv4i_probe *probe) {
    dcnv4i_fork_lock_take(&probe->lock);
    if (!probe->looked) {
        memset(&probe->view, 0, sizeof probe->view); /* a fork() may have interrupted a look */
        const bool here = probe->in_use();
        if (here)
            probe->look(&probe->view);
        probe->looked = here || look_from_child(probe);
    }
    const dcnv4i_view *const seen = probe->looked ? &probe->view : &probe->none;
    dcnv4i_fork_lock_release(&probe->lock);
    return seen;
}
