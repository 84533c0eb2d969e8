#include "probe.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* A driver that has not answered by then hangs. NVIDIA's may take 3 seconds for each GPU of a server that nobody has used
 * since it started. */
enum { PATIENCE_MS = 60000 };

void dcnv4i_view_none(dcnv4i_view *view, const char *reason) {
    view->count = 0;
    snprintf(view->reason, sizeof view->reason, "%s", reason);
}

/* The child: looks, and sends the view as it is. Nothing that a driver prints reaches the caller's terminal, and its end
 * leaves no core file and runs no handler of the caller's. */
static void child(dcnv4i_probe *probe, int pipe_end) {
    const struct rlimit none = {0, 0};
    const int quiet = open("/dev/null", O_RDWR);
    setrlimit(RLIMIT_CORE, &none);
    if (quiet >= 0) {
        dup2(quiet, 1);
        dup2(quiet, 2);
    }
    probe->look(&probe->view);
    for (size_t sent = 0; sent < sizeof probe->view;) {
        const ssize_t put = write(pipe_end, (const char *)&probe->view + sent, sizeof probe->view - sent);
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            _exit(1);
        sent += (size_t)put;
    }
    _exit(0);
}

static int64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Receives the child's view. Whether all of it came; *late says whether it is too late rather than at an end. */
static bool receive(int pipe_end, dcnv4i_view *seen, bool *late) {
    const int64_t end = now_ms() + PATIENCE_MS;
    for (size_t have = 0; have < sizeof *seen;) {
        struct pollfd waiting = {.fd = pipe_end, .events = POLLIN};
        const int64_t left = end - now_ms();
        *late = left <= 0;
        if (*late)
            return false;
        const int ready = poll(&waiting, 1, (int)left);
        if (ready <= 0)
            continue;
        const ssize_t got = read(pipe_end, (char *)seen + have, sizeof *seen - have);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return false;
        have += (size_t)got;
    }
    return true;
}

/* How a child that sent nothing ended. */
static void say_how_it_ended(dcnv4i_probe *probe, pid_t pid, bool late) {
    char reason[128];
    int how = 0;
    if (late) {
        kill(pid, SIGKILL);
        snprintf(reason, sizeof reason, "the %s driver did not answer in %d seconds", probe->what, PATIENCE_MS / 1000);
    }
    while (waitpid(pid, &how, 0) < 0 && errno == EINTR)
        ;
    if (!late && WIFSIGNALED(how))
        snprintf(reason, sizeof reason, "the %s driver ended the process that loaded it (signal %d)", probe->what,
                 WTERMSIG(how));
    else if (!late)
        snprintf(reason, sizeof reason, "the %s driver ended the process that loaded it", probe->what);
    dcnv4i_view_none(&probe->view, reason);
    probe->view.deadly = true;
}

static void say_no_child(dcnv4i_probe *probe, const char *missing) {
    char reason[128];
    snprintf(reason, sizeof reason, "no %s to look for %s devices could be had", missing, probe->what);
    dcnv4i_view_none(&probe->view, reason);
}

static void look_from_child(dcnv4i_probe *probe) {
    int ends[2];
    if (pipe(ends) != 0) {
        say_no_child(probe, "pipe");
        return;
    }
    fcntl(ends[0], F_SETFD, FD_CLOEXEC);
    fcntl(ends[1], F_SETFD, FD_CLOEXEC);
    const pid_t pid = fork();
    if (pid == 0) {
        close(ends[0]);
        child(probe, ends[1]);
    }
    close(ends[1]);
    if (pid < 0) {
        say_no_child(probe, "process");
    } else {
        dcnv4i_view *seen = malloc(sizeof *seen);
        bool late = false;
        if (seen && receive(ends[0], seen, &late)) {
            probe->view = *seen;
            while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
                ;
        } else if (seen) {
            say_how_it_ended(probe, pid, late);
        } else {
            say_no_child(probe, "memory");
        }
        free(seen);
    }
    close(ends[0]);
}

const dcnv4i_view *dcnv4i_probe_look(dcnv4i_probe *probe) {
    pthread_mutex_lock(&probe->lock);
    if (!probe->looked && probe->in_use())
        probe->look(&probe->view);
    else if (!probe->looked)
        look_from_child(probe);
    probe->looked = true;
    pthread_mutex_unlock(&probe->lock);
    return &probe->view;
}
