#include "fork.h"
#include "platform.h"

#include <stdbool.h>

static atomic_uint count = 1;
static atomic_bool watched;

static void in_child(void) {
    atomic_fetch_add(&count, 1);
}

unsigned dcnv4i_fork_count(void) {
    return atomic_load(&count);
}

/* Threads that race here register the handler twice: the count then advances by two, which does no harm. The C library
 * drops the handler when this library is unloaded. */
dcnv4_status dcnv4i_fork_watch(void) {
    if (atomic_load(&watched))
        return DCNV4_SUCCESS;
    const int error = dcnv4i_call_after_fork(in_child);
    if (error != 0)
        return dcnv4i_fail(DCNV4_OUT_OF_MEMORY, "no memory to notice a fork() (error %d of pthread_atfork)", error);
    atomic_store(&watched, true);
    return DCNV4_SUCCESS;
}

dcnv4_status dcnv4i_fork_refuse(const char *what) {
    return dcnv4i_fail(DCNV4_FORKED,
                       "%.64s was initialised before fork(), and drivers do not survive one; initialise it in the "
                       "child alone, or start "
                       "a new process (in Python: multiprocessing's \"spawn\")",
                       what);
}

void dcnv4i_fork_lock_take(dcnv4i_fork_lock *lock) {
    dcnv4i_fork_watch(); /* if it fails, the code under the lock reports that */
    const unsigned self = dcnv4i_fork_count();
    for (;;) {
        unsigned holder = atomic_load(&lock->holder);
        if (holder != self && atomic_compare_exchange_strong(&lock->holder, &holder, self))
            return;
        dcnv4i_sleep(1);
    }
}

void dcnv4i_fork_lock_release(dcnv4i_fork_lock *lock) {
    atomic_store(&lock->holder, 0);
}
