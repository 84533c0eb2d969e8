/* A child of fork() does not inherit its parent's threads, working drivers or lock holders. Objects that depend on
 * these store the fork count at which they were made. Pids do not tell: a child in a new pid namespace has number 1, as
 * its parent may have. */
#ifndef DCNV4I_FORK_H
#define DCNV4I_FORK_H

#include "status.h"

#include <stdatomic.h>

/* The number of forks of this process and its ancestors since the library was loaded, from 1 on: a child's differs from
 * its parent's. A child by vfork(), _Fork() or the system call itself is not noticed. */
unsigned dcnv4i_fork_count(void);

/* Makes fork() advance the count from now on; call this before storing a count. DCNV4_OUT_OF_MEMORY. */
dcnv4_status dcnv4i_fork_watch(void);

/* Returns DCNV4_FORKED, with a message that `what`, such as "CUDA" or "cuda:0", was made before a fork(). */
dcnv4_status dcnv4i_fork_refuse(const char *what);

/* A lock that is free in a child, whoever held it in the parent: the work that it protects must be safe to restart. It
 * is for one-time initialisation; waiting polls. All zeros is free. */
typedef struct dcnv4i_fork_lock {
    atomic_uint holder; /* the fork count when it was taken; 0: free */
} dcnv4i_fork_lock;

void dcnv4i_fork_lock_take(dcnv4i_fork_lock *lock);
void dcnv4i_fork_lock_release(dcnv4i_fork_lock *lock);

#endif
