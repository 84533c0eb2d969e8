#if defined(__linux__)
#define _GNU_SOURCE /* MAP_ANONYMOUS */
#endif

#include "../platform.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

int dcnv4i_call_after_fork(void (*in_child)(void)) {
    return pthread_atfork(NULL, NULL, in_child);
}

bool dcnv4i_has_children(void) {
    return true;
}

/* A call, in memory that is shared with the child. A pipe would need descriptors: the caller may have none left, or may
 * have closed its stdout, whose number the pipe would get. */
typedef struct call {
    void (*work)(void *argument, void *result);
    void *argument;
    int milliseconds;
    atomic_bool done;
    max_align_t result[];
} call;

/* ---- The child --------------------------------------------------------------------------------------------------- */

/* Keeps the caller's atexit functions from running if a driver calls exit(). */
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

/* Begins with all signals blocked, leaves no core file, and does not outlive the parent's timeout. */
static void in_child(call *made) {
    const struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    atexit(end_at_once);
    be_quiet();
    take_own_signals();
    alarm((unsigned)made->milliseconds / 1000 + 1);
    made->work(made->argument, made->result);
    atomic_store(&made->done, true);
    _exit(0);
}

/* ---- The parent -------------------------------------------------------------------------------------------------- */

static int64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Waits up to ms milliseconds for the child to end. Nothing is known of its end if the caller ignores SIGCHLD, or one of
 * its handlers or threads waited for any child first. */
static dcnv4i_child wait_for(pid_t pid, int64_t ms) {
    int how = 0;
    const int64_t late = now_ms() + ms;
    for (;;) {
        const pid_t ended = waitpid(pid, &how, WNOHANG);
        if (ended == pid && WIFSIGNALED(how))
            return (dcnv4i_child){DCNV4I_CHILD_SIGNALLED, WTERMSIG(how), "signal"};
        if (ended == pid || (ended < 0 && errno != EINTR))
            return (dcnv4i_child){.end = DCNV4I_CHILD_ENDED};
        if (now_ms() >= late)
            return (dcnv4i_child){.end = DCNV4I_CHILD_SILENT};
        dcnv4i_sleep(1);
    }
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

static dcnv4i_child run(call *made) {
    int error;
    const pid_t pid = fork_blocked(&error);
    if (pid == 0)
        in_child(made);
    if (pid < 0)
        return (dcnv4i_child){DCNV4I_CHILD_NONE, error, "process"};
    dcnv4i_child child = wait_for(pid, made->milliseconds);
    if (child.end == DCNV4I_CHILD_SILENT) {
        kill(pid, SIGKILL);
        wait_for(pid, 1000); /* only this long: it may hang in the kernel */
    }
    if (atomic_load(&made->done))
        child.end = DCNV4I_CHILD_DONE;
    return child;
}

dcnv4i_child dcnv4i_child_call(void (*work)(void *argument, void *result), void *argument, void *result, size_t size,
                               int milliseconds) {
    call *const made = mmap(NULL, sizeof *made + size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (made == MAP_FAILED)
        return (dcnv4i_child){DCNV4I_CHILD_NONE, errno, "memory"};
    made->work = work;
    made->argument = argument;
    made->milliseconds = milliseconds;
    const dcnv4i_child child = run(made);
    if (child.end == DCNV4I_CHILD_DONE)
        memcpy(result, made->result, size);
    munmap(made, sizeof *made + size);
    return child;
}
