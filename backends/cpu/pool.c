#include "pool.h"
#include "../../core/fork.h"
#include "../../core/platform.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

typedef struct worker {
    dcnv4i_pool *pool;
    dcnv4i_thread thread; /* unused in worker 0, which is the caller */
    int number;
    dcnv4i_condition begun;
    bool called; /* has a job that it has not begun yet; under the pool's lock */
    /* Its share of the job: the next task, and one past the last. */
    atomic_int_fast64_t next;
    int64_t end;
} worker;

struct dcnv4i_pool {
    int threads;
    int started;       /* workers that run, at most threads − 1 */
    worker *workers;   /* as many as threads */
    atomic_long owner; /* the fork count of the process that the workers run in; 0: there are none */
    atomic_bool busy;  /* a caller has the workers */
    dcnv4i_mutex lock;
    dcnv4i_condition ended;
    /* Under lock: */
    int working; /* workers that have not finished this job */
    bool closing;
    /* The job, constant while it runs: */
    dcnv4i_task *task;
    void *argument;
    int shares; /* no more than tasks, since there may be no scratch for more workers */
};

/* A worker does its own share in order, since neighbouring tasks use the same memory and the next job's are alike,
 * and then what the others have left of theirs. */
static void do_tasks(dcnv4i_pool *pool, int number) {
    for (int i = 0; i < pool->shares; ++i) {
        worker *const from = &pool->workers[(number + i) % pool->shares];
        int64_t task;
        while ((task = atomic_fetch_add(&from->next, 1)) < from->end)
            pool->task(pool->argument, task, number);
    }
}

/* Shares of tasks 0 to tasks − 1 that differ by one at most. */
static void share_out(dcnv4i_pool *pool, int64_t tasks, int shares) {
    const int64_t each = tasks / shares, more = tasks % shares;
    int64_t begin = 0;
    for (int i = 0; i < shares; ++i) {
        atomic_store(&pool->workers[i].next, begin);
        pool->workers[i].end = begin += each + (i < more);
    }
    pool->shares = shares;
}

static void worker_main(void *argument) {
    worker *self = argument;
    dcnv4i_pool *pool = self->pool;
    dcnv4i_fp_set_default(); /* a thread inherits its creator's */
    dcnv4i_mutex_lock(&pool->lock);
    for (;;) {
        while (!self->called && !pool->closing)
            dcnv4i_condition_wait(&self->begun, &pool->lock);
        if (pool->closing)
            break;
        self->called = false;
        dcnv4i_mutex_unlock(&pool->lock);
        do_tasks(pool, self->number);
        dcnv4i_mutex_lock(&pool->lock);
        if (--pool->working == 0)
            dcnv4i_condition_signal(&pool->ended);
    }
    dcnv4i_mutex_unlock(&pool->lock);
}

/* Starts one more worker; returns whether it could be. */
static bool start_next(dcnv4i_pool *pool) {
    worker *next = &pool->workers[pool->started + 1];
    next->pool = pool;
    next->number = pool->started + 1;
    next->called = false;
    dcnv4i_condition_init(&next->begun);
    if (dcnv4i_thread_start(&next->thread, worker_main, next)) {
        ++pool->started;
        return true;
    }
    dcnv4i_condition_destroy(&next->begun);
    return false;
}

/* Starts the workers of a pool that has none in this process; returns whether all could be. The owner is set by the
 * caller, since in a forked child that says when others may use the pool. */
static bool start(dcnv4i_pool *pool) {
    bool all = true;
    dcnv4i_mutex_init(&pool->lock);
    dcnv4i_condition_init(&pool->ended);
    pool->closing = false;
    pool->started = 0;
    while (all && pool->started < pool->threads - 1)
        all = start_next(pool);
    return all;
}

/* What pool->owner is when this process has the workers. */
static long self(void) {
    return (long)dcnv4i_fork_count();
}

/* Ends the workers, if there are any. After a fork() those of the parent do not exist in this process, and must not be
 * joined. */
static void stop(dcnv4i_pool *pool) {
    if (atomic_exchange(&pool->owner, 0) != self())
        return;
    dcnv4i_mutex_lock(&pool->lock);
    pool->closing = true;
    for (int i = 1; i <= pool->started; ++i)
        dcnv4i_condition_signal(&pool->workers[i].begun);
    dcnv4i_mutex_unlock(&pool->lock);
    for (int i = 1; i <= pool->started; ++i)
        dcnv4i_thread_join(&pool->workers[i].thread);
    for (int i = 1; i <= pool->started; ++i)
        dcnv4i_condition_destroy(&pool->workers[i].begun);
    dcnv4i_condition_destroy(&pool->ended);
    dcnv4i_mutex_destroy(&pool->lock);
}

dcnv4_status dcnv4i_pool_resize(dcnv4i_pool *pool, int threads) {
    if (threads == 0)
        threads = dcnv4i_processors();
    stop(pool);
    free(pool->workers);
    pool->threads = 1;
    pool->workers = calloc((size_t)threads, sizeof *pool->workers);
    if (!pool->workers)
        return dcnv4i_fail(DCNV4_OUT_OF_MEMORY, "no memory for %d threads", threads);
    pool->threads = threads;
    const bool all = start(pool);
    atomic_store(&pool->owner, self());
    if (all)
        return DCNV4_SUCCESS;
    const int started = pool->started;
    stop(pool);
    pool->threads = 1;
    return dcnv4i_fail(DCNV4_OUT_OF_MEMORY, "only %d of %d threads could be started", started + 1, threads);
}

dcnv4_status dcnv4i_pool_create(int threads, dcnv4i_pool **pool) {
    dcnv4_status status = dcnv4i_fork_watch();
    if (status != DCNV4_SUCCESS)
        return status;
    dcnv4i_pool *made = calloc(1, sizeof *made);
    if (!made)
        return dcnv4i_fail(DCNV4_OUT_OF_MEMORY, "no memory for a pool of %zu bytes", sizeof *made);
    status = dcnv4i_pool_resize(made, threads);
    if (status == DCNV4_SUCCESS)
        *pool = made;
    else
        dcnv4i_pool_destroy(made);
    return status;
}

void dcnv4i_pool_destroy(dcnv4i_pool *pool) {
    if (!pool)
        return;
    stop(pool);
    free(pool->workers);
    free(pool);
}

int dcnv4i_pool_threads(const dcnv4i_pool *pool) {
    return pool->threads;
}

/* Takes the workers for one caller; false if another has them. After a fork(), the child's first caller, the one that
 * changes the owner, starts them again, whatever state the fork left the locks in. If not all can be started, the child
 * works with those that were. */
static bool take(dcnv4i_pool *pool) {
    const long here = self(), starting = -here;
    long owner = atomic_load(&pool->owner);
    if (owner == here)
        return !atomic_exchange(&pool->busy, true);
    if (owner == starting || !atomic_compare_exchange_strong(&pool->owner, &owner, starting))
        return false;
    start(pool);
    atomic_store(&pool->busy, true);
    atomic_store(&pool->owner, here);
    return true;
}

void dcnv4i_pool_run(dcnv4i_pool *pool, dcnv4i_task *task, void *argument, int64_t tasks, int workers) {
    const int wanted = workers < pool->threads ? workers : pool->threads, shares = tasks < wanted ? (int)tasks : wanted;
    if (shares < 2 || !take(pool)) {
        for (int64_t i = 0; i < tasks; ++i)
            task(argument, i, 0);
        return;
    }
    dcnv4i_mutex_lock(&pool->lock);
    pool->task = task;
    pool->argument = argument;
    share_out(pool, tasks, shares);
    pool->working = shares - 1 < pool->started ? shares - 1 : pool->started;
    for (int i = 1; i <= pool->working; ++i) {
        pool->workers[i].called = true;
        dcnv4i_condition_signal(&pool->workers[i].begun);
    }
    dcnv4i_mutex_unlock(&pool->lock);
    do_tasks(pool, 0);
    dcnv4i_mutex_lock(&pool->lock);
    while (pool->working > 0)
        dcnv4i_condition_wait(&pool->ended, &pool->lock);
    dcnv4i_mutex_unlock(&pool->lock);
    atomic_store(&pool->busy, false);
}
