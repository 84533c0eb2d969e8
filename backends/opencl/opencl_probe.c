#include "opencl_probe.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* A driver that has not answered by then hangs. */
enum { PATIENCE_MS = 20000 };

static pthread_once_t once = PTHREAD_ONCE_INIT;
static dcnv4i_opencl_view view;

static void say_why(const char *reason) {
    view.count = 0;
    snprintf(view.reason, sizeof view.reason, "%s", reason);
}

/* Fills in the view, in whichever process this runs. */
static void look(void) {
    const dcnv4i_opencl_api *api;
    cl_device_id devices[DCNV4I_OPENCL_MOST_DEVICES];
    int count = 0;
    if (dcnv4i_opencl_load(&api) != DCNV4_SUCCESS || dcnv4i_opencl_list(api, devices, &count) != DCNV4_SUCCESS) {
        say_why(dcnv4_last_message());
        return;
    }
    for (view.count = 0; view.count < count; ++view.count) {
        dcnv4i_opencl_facts facts;
        dcnv4i_opencl_ask(api, devices[view.count], view.count, &facts);
        view.info[view.count] = facts.info;
        view.gpu |= facts.gpu;
    }
}

/* The child: looks, and sends the view as it is. Nothing that a driver prints reaches the caller's terminal, and its end
 * leaves no core file and runs no handler of the caller's. */
static void child(int pipe_end) {
    const struct rlimit none = {0, 0};
    const int quiet = open("/dev/null", O_RDWR);
    setrlimit(RLIMIT_CORE, &none);
    if (quiet >= 0) {
        dup2(quiet, 1);
        dup2(quiet, 2);
    }
    look();
    for (size_t sent = 0; sent < sizeof view;) {
        const ssize_t put = write(pipe_end, (const char *)&view + sent, sizeof view - sent);
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
static bool receive(int pipe_end, dcnv4i_opencl_view *seen, bool *late) {
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
static void say_how_it_ended(pid_t pid, bool late) {
    char reason[128];
    int how = 0;
    if (late) {
        kill(pid, SIGKILL);
        snprintf(reason, sizeof reason, "the OpenCL driver did not answer in %d seconds", PATIENCE_MS / 1000);
    }
    while (waitpid(pid, &how, 0) < 0 && errno == EINTR)
        ;
    if (!late && WIFSIGNALED(how))
        snprintf(reason, sizeof reason, "an OpenCL driver ended the process that loaded it (signal %d)", WTERMSIG(how));
    else if (!late)
        snprintf(reason, sizeof reason, "an OpenCL driver ended the process that loaded it");
    say_why(reason);
    view.deadly = true;
}

static void look_from_child(void) {
    int ends[2];
    if (pipe(ends) != 0) {
        say_why("no pipe to a process that loads the OpenCL driver could be had");
        return;
    }
    fcntl(ends[0], F_SETFD, FD_CLOEXEC);
    fcntl(ends[1], F_SETFD, FD_CLOEXEC);
    const pid_t pid = fork();
    if (pid == 0) {
        close(ends[0]);
        child(ends[1]);
    }
    close(ends[1]);
    if (pid < 0) {
        say_why("no process that loads the OpenCL driver could be started");
    } else {
        dcnv4i_opencl_view *seen = malloc(sizeof *seen);
        bool late = false;
        if (!seen)
            say_why("no memory to look for OpenCL devices");
        else if (receive(ends[0], seen, &late)) {
            view = *seen;
            while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
                ;
        } else
            say_how_it_ended(pid, late);
        free(seen);
    }
    close(ends[0]);
}

/* A driver that is in use already has shown that it loads, and may not survive the fork that starts a child. */
static void look_once(void) {
    if (dcnv4i_opencl_is_loaded())
        look();
    else
        look_from_child();
}

const dcnv4i_opencl_view *dcnv4i_opencl_look(void) {
    pthread_once(&once, look_once);
    return &view;
}
