/* What a child of fork() does not get from its parent: threads, drivers that work, and the holders of locks. Whoever has such
 * things remembers the count of forks at which they were made. Pids do not tell: a child in a new pid namespace has number
 * 1, as its parent may have. */
#ifndef DCNV4I_FORK_H
#define DCNV4I_FORK_H

#include "status.h"

#include <stdatomic.h>

/* How often this process and its ancestors were forked since the library was loaded, from 1 on: another number in a child
 * than in its parent. A child by vfork(), _Fork() or the system call itself is not noticed. */
unsigned dcnv4i_fork_count(void);

/* Has fork() advance the count from now on; to be called before a count is remembered. DCNV4_OUT_OF_MEMORY. */
dcnv4_status dcnv4i_fork_watch(void);

/* DCNV4_FORKED, for what is from before a fork(): "CUDA", "cuda:0". */
dcnv4_status dcnv4i_fork_refuse(const char *what);

/* A lock that is free in a child, whoever held it in the parent: what it protects must be fit to be begun again. It is for
 * what a process does once; waiting polls. Zeroed, it is free. */
typedef struct dcnv4i_fork_lock {
    atomic_uint holder; /* the count of forks when it was taken; 0: nobody */
} dcnv4i_fork_lock;

void dcnv4i_fork_lock_take(dcnv4i_fork_lock *lock);
void dcnv4i_fork_lock_release(dcnv4i_fork_lock *lock);

#endif
