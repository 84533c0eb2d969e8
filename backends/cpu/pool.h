/* A fixed set of threads that share out numbered tasks. Those of OpenMP and pthreadpool do not survive a fork(),
 * with which data loaders start their processes; this one notices, and starts its threads again in the child. */
#ifndef DCNV4I_CPU_POOL_H
#define DCNV4I_CPU_POOL_H

#include "../../core/status.h"

typedef struct dcnv4i_pool dcnv4i_pool;

/* Does task number `task`. No other task has the same worker number at the same time; it is below the number of tasks,
 * of the workers asked for, and of the pool's threads. */
typedef void dcnv4i_task(void *argument, int64_t task, int worker);

/* Makes a pool of this many threads, including the calling one; 0 for as many as the process may run on.
 * DCNV4_OUT_OF_MEMORY. */
dcnv4_status dcnv4i_pool_create(int threads, dcnv4i_pool **pool);

void dcnv4i_pool_destroy(dcnv4i_pool *pool);

/* Changes the number of threads of a pool that is not in use. After DCNV4_OUT_OF_MEMORY it has one. */
dcnv4_status dcnv4i_pool_resize(dcnv4i_pool *pool, int threads);

int dcnv4i_pool_threads(const dcnv4i_pool *pool);

/* Does tasks 0 to tasks − 1 with at most so many workers, and returns when all are done. The calling thread takes
 * part as worker 0. While another caller has the threads, it does the tasks alone. */
void dcnv4i_pool_run(dcnv4i_pool *pool, dcnv4i_task *task, void *argument, int64_t tasks, int workers);

#endif
