#include "system.h"

#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

static void (*clean_up)(void);
static pid_t owner; /* the process with files to remove; its forked children have none */
static atomic_flag taken = ATOMIC_FLAG_INIT;
static volatile sig_atomic_t waiting; /* a signal that arrived between wait and go_on */

static void clean_up_and_die(int number) {
    if (getpid() == owner) {
        waiting = number;
        if (atomic_flag_test_and_set(&taken))
            return; /* its holder ends the process when it clears it */
        clean_up();
    }
    signal(number, SIG_DFL);
    raise(number);
}

void dcnv4i_signals_watch(void (*function)(void)) {
    static const int fatal[] = {SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGQUIT, SIGALRM, SIGXCPU, SIGABRT};
    clean_up = function;
    owner = getpid();
    for (size_t i = 0; i < sizeof fatal / sizeof *fatal; ++i) {
        struct sigaction action;
        if (sigaction(fatal[i], NULL, &action) != 0 || action.sa_handler != SIG_DFL)
            continue; /* an ignored signal (nohup) stays ignored */
        memset(&action, 0, sizeof action);
        sigemptyset(&action.sa_mask);
        action.sa_handler = clean_up_and_die;
        sigaction(fatal[i], &action, NULL);
    }
}

void dcnv4i_signals_wait(void) {
    while (atomic_flag_test_and_set(&taken))
        pause(); /* a handler in another thread holds it: the process is about to end */
}

void dcnv4i_signals_go_on(void) {
    atomic_flag_clear(&taken);
    if (waiting)
        raise(waiting);
}
