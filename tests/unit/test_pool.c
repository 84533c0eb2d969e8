/* The cpu backend's threads: every task is done once, by workers whose numbers are unique at the time. */
#include "../../backends/cpu/pool.h"
#include "../support/harness.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <unistd.h>

enum { TASKS = 1000, THREADS = 5, CALLERS = 3 };

typedef struct job {
    int workers;
    atomic_int done[TASKS];
    atomic_bool at_work[THREADS];
    atomic_int wrong;
} job;

static void note(void *argument, int64_t task, int worker) {
    job *const to = argument;
    if (worker < 0 || worker >= to->workers || atomic_exchange(&to->at_work[worker], true)) {
        atomic_fetch_add(&to->wrong, 1);
        return;
    }
    atomic_fetch_add(&to->done[task], 1);
    atomic_store(&to->at_work[worker], false);
}

static int smallest(int a, int b) {
    return a < b ? a : b;
}

/* Returns whether tasks 0 to tasks − 1, and no others, were done once. */
static bool run_job(dcnv4i_pool *pool, int tasks, int workers) {
    job to = {.workers = smallest(smallest(workers, dcnv4i_pool_threads(pool)), tasks)};
    dcnv4i_pool_run(pool, note, &to, tasks, workers);
    bool right = to.wrong == 0;
    for (int i = 0; i < TASKS; ++i)
        right = right && to.done[i] == (i < tasks);
    return right;
}

static void every_task_is_done_once(void **state) {
    (void)state;
    static const int counts[] = {1, 2, 3, 4, 5, 6, 7, 64, TASKS};
    for (int threads = 1; threads <= THREADS; ++threads) {
        dcnv4i_pool *pool = NULL;
        assert_int_equal(dcnv4i_pool_create(threads, &pool), DCNV4_SUCCESS);
        for (int workers = 1; workers <= THREADS + 1; ++workers)
            for (size_t i = 0; i < sizeof counts / sizeof *counts; ++i)
                for (int again = 0; again < 20; ++again) {
                    if (!run_job(pool, counts[i], workers))
                        fail_msg("%d tasks for %d workers of %d threads", counts[i], workers, threads);
                    count_case();
                }
        dcnv4i_pool_destroy(pool);
    }
}

static void *call(void *pool) {
    int failed = 0;
    for (int i = 0; i < 300; ++i)
        failed += !run_job(pool, 1 + i * 7 % TASKS, 1 + i % THREADS);
    return failed ? pool : NULL;
}

/* Callers that find the threads in use do their tasks themselves. */
static void callers_share_a_pool(void **state) {
    (void)state;
    dcnv4i_pool *pool = NULL;
    pthread_t callers[CALLERS];
    assert_int_equal(dcnv4i_pool_create(THREADS, &pool), DCNV4_SUCCESS);
    for (int i = 0; i < CALLERS; ++i)
        assert_int_equal(pthread_create(&callers[i], NULL, call, pool), 0);
    for (int i = 0; i < CALLERS; ++i) {
        void *failed = NULL;
        pthread_join(callers[i], &failed);
        assert_null(failed);
        count_case();
    }
    dcnv4i_pool_destroy(pool);
}

/* A signal sent to the process reaches the caller's thread that waits for it, and none of the pool's, where it would
 * end the process. */
static void signals_are_the_callers(void **state) {
    (void)state;
    static const int numbers[] = {SIGUSR1, SIGTERM, SIGINT, SIGHUP, SIGALRM, SIGPIPE, SIGCHLD};
    dcnv4i_pool *pool = NULL;
    sigset_t waited, before, after;
    assert_int_equal(dcnv4i_pool_create(THREADS, &pool), DCNV4_SUCCESS);
    sigemptyset(&waited);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; ++i)
        sigaddset(&waited, numbers[i]);
    assert_int_equal(pthread_sigmask(SIG_BLOCK, &waited, &before), 0);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; ++i) {
        int got = 0;
        assert_int_equal(kill(getpid(), numbers[i]), 0);
        assert_int_equal(sigwait(&waited, &got), 0);
        assert_int_equal(got, numbers[i]);
        count_case();
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    assert_int_equal(dcnv4i_pool_resize(pool, THREADS - 1), DCNV4_SUCCESS);
    pthread_sigmask(SIG_BLOCK, NULL, &after);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; ++i)
        assert_int_equal(sigismember(&after, numbers[i]), sigismember(&before, numbers[i]));
    assert_true(run_job(pool, TASKS, THREADS));
    dcnv4i_pool_destroy(pool);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_task_is_done_once),
        cmocka_unit_test(callers_share_a_pool),
        cmocka_unit_test(signals_are_the_callers),
    };
    return HARNESS_RUN(argc, argv, tests);
}
