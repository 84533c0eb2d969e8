#if defined(__linux__)
#define _GNU_SOURCE /* sched_getaffinity */
#include <sched.h>
#endif

#include "pool.h"
#include "../../core/fork.h"

#include <fenv.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

typedef struct worker {
    dcnv4i_pool *pool;
    pthread_t thread; /* unused in worker 0, which is the caller */
    int number;
    pthread_cond_t begun;
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
    pthread_mutex_t lock;
    pthread_cond_t ended;
    /* Under lock: */
    int working; /* workers that have not finished this job */
    bool closing;
    /* The job, constant while it runs: */
    dcnv4i_task *task;
    void *argument;
    int shares; /* no more than tasks, since there may be no scratch for more workers */
};

int dcnv4i_pool_processors(void) {
#if defined(__linux__)
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0)
        return CPU_COUNT(&set);
#endif
    const long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online < 1 ? 1 : online > 1024 ? 1024 : (int)online;
}

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

static void *worker_main(void *argument) {
    worker *self = argument;
    dcnv4i_pool *pool = self->pool;
    fesetenv(FE_DFL_ENV); /* a thread inherits its creator's */
    pthread_mutex_lock(&pool->lock);
    for (;;) {
        while (!self->called && !pool->closing)
            pthread_cond_wait(&self->begun, &pool->lock);
        if (pool->closing)
            break;
        self->called = false;
        pthread_mutex_unlock(&pool->lock);
        do_tasks(pool, self->number);
        pthread_mutex_lock(&pool->lock);
        if (--pool->working == 0)
            pthread_cond_signal(&pool->ended);
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

/* A thread inherits its creator's mask. Signals to the process are left to the caller's own threads, which may wait for
 * them; workers keep those that they cause themselves, such as SIGSEGV, and the profiler's timer. */
static void block_signals(sigset_t *callers) {
    static const int own[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT, SIGPROF};
    sigset_t others;
    sigfillset(&others);
    for (size_t i = 0; i < sizeof own / sizeof *own; ++i)
        sigdelset(&others, own[i]);
    pthread_sigmask(SIG_BLOCK, &others, callers);
}

/* Starts one more worker; returns whether it could be. */
static bool start_next(dcnv4i_pool *pool) {
    worker *next = &pool->workers[pool->started + 1];
    next->pool = pool;
    next->number = pool->started + 1;
    next->called = false;
    pthread_cond_init(&next->begun, NULL);
    if (pthread_create(&next->thread, NULL, worker_main, next) == 0) {
        ++pool->started;
        return true;
    }
    pthread_cond_destroy(&next->begun);
    return false;
}

/* Starts the workers of a pool that has none in this process; returns whether all could be. The owner is set by the
 * caller, since in a forked child that says when others may use the pool. */
static bool start(dcnv4i_pool *pool) {
    sigset_t callers;
    bool all = true;
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->ended, NULL);
    pool->closing = false;
    pool->started = 0;
    block_signals(&callers);
    while (all && pool->started < pool->threads - 1)
        all = start_next(pool);
    pthread_sigmask(SIG_SETMASK, &callers, NULL);
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
    pthread_mutex_lock(&pool->lock);
    pool->closing = true;
    for (int i = 1; i <= pool->started; ++i)
        pthread_cond_signal(&pool->workers[i].begun);
    pthread_mutex_unlock(&pool->lock);
    for (int i = 1; i <= pool->started; ++i)
        pthread_join(pool->workers[i].thread, NULL);
    for (int i = 1; i <= pool->started; ++i)
        pthread_cond_destroy(&pool->workers[i].begun);
    pthread_cond_destroy(&pool->ended);
    pthread_mutex_destroy(&pool->lock);
}

dcnv4_status dcnv4i_pool_resize(dcnv4i_pool *pool, int threads) {
    if (threads == 0)
        threads = dcnv4i_pool_processors();
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
    pthread_mutex_lock(&pool->lock);
    pool->task = task;
    pool->argument = argument;
    share_out(pool, tasks, shares);
    pool->working = shares - 1 < pool->started ? shares - 1 : pool->started;
    for (int i = 1; i <= pool->working; ++i) {
        pool->workers[i].called = true;
        pthread_cond_signal(&pool->workers[i].begun);
    }
    pthread_mutex_unlock(&pool->lock);
    do_tasks(pool, 0);
    pthread_mutex_lock(&pool->lock);
    while (pool->working > 0)
        pthread_cond_wait(&pool->ended, &pool->lock);
    pthread_mutex_unlock(&pool->lock);
    atomic_store(&pool->busy, false);
}
