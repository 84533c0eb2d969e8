#if defined(__linux__)
#define _GNU_SOURCE /* sched_getaffinity */
#include <sched.h>
#endif

#include "../platform.h"

#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

void *dcnv4i_aligned_allocate(size_t alignment, size_t size) {
    void *memory = NULL;
    return posix_memalign(&memory, alignment, size) == 0 ? memory : NULL;
}

void dcnv4i_aligned_free(void *memory) {
    free(memory);
}

void dcnv4i_fp_get(dcnv4i_fp_state *state) {
    fegetenv(state);
}

void dcnv4i_fp_set(const dcnv4i_fp_state *state) {
    fesetenv(state);
}

void dcnv4i_fp_set_default(void) {
    fesetenv(FE_DFL_ENV);
}

/* ---- Locks ------------------------------------------------------------------------------------------------------- */

bool dcnv4i_mutex_init(dcnv4i_mutex *mutex) {
    return pthread_mutex_init(mutex, NULL) == 0;
}

void dcnv4i_mutex_destroy(dcnv4i_mutex *mutex) {
    pthread_mutex_destroy(mutex);
}

void dcnv4i_mutex_lock(dcnv4i_mutex *mutex) {
    pthread_mutex_lock(mutex);
}

void dcnv4i_mutex_unlock(dcnv4i_mutex *mutex) {
    pthread_mutex_unlock(mutex);
}

void dcnv4i_condition_init(dcnv4i_condition *condition) {
    pthread_cond_init(condition, NULL);
}

void dcnv4i_condition_destroy(dcnv4i_condition *condition) {
    pthread_cond_destroy(condition);
}

void dcnv4i_condition_wait(dcnv4i_condition *condition, dcnv4i_mutex *locked) {
    pthread_cond_wait(condition, locked);
}

void dcnv4i_condition_signal(dcnv4i_condition *condition) {
    pthread_cond_signal(condition);
}

/* ---- Threads ----------------------------------------------------------------------------------------------------- */

static void *thread_main(void *argument) {
    dcnv4i_thread *const self = argument;
    self->work(self->argument);
    return NULL;
}

/* A thread inherits its creator's mask. Signals to the process are left to the caller's own threads, which may wait for
 * them; ours keep those that they cause themselves, such as SIGSEGV, and the profiler's timer. */
static void block_signals(sigset_t *callers) {
    static const int own[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT, SIGPROF};
    sigset_t others;
    sigfillset(&others);
    for (size_t i = 0; i < sizeof own / sizeof *own; ++i)
        sigdelset(&others, own[i]);
    pthread_sigmask(SIG_BLOCK, &others, callers);
}

bool dcnv4i_thread_start(dcnv4i_thread *thread, void (*work)(void *argument), void *argument) {
    sigset_t callers;
    thread->work = work;
    thread->argument = argument;
    block_signals(&callers);
    const bool started = pthread_create(&thread->native, NULL, thread_main, thread) == 0;
    pthread_sigmask(SIG_SETMASK, &callers, NULL);
    return started;
}

void dcnv4i_thread_join(dcnv4i_thread *thread) {
    pthread_join(thread->native, NULL);
}

int dcnv4i_processors(void) {
#if defined(__linux__)
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0)
        return CPU_COUNT(&set);
#endif
    const long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online < 1 ? 1 : online > 1024 ? 1024 : (int)online;
}

void dcnv4i_sleep(int milliseconds) {
    const struct timespec time = {milliseconds / 1000, milliseconds % 1000 * 1000000L};
    nanosleep(&time, NULL);
}
