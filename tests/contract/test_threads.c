/* The same bits for every number of threads, for several callers at once, and in a forked child. */
#include "../support/test_layer.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Always 1, as in a pid namespace's first process: a pid cannot tell a child from its parent. The library finds this
 * function before the C library's. */
__attribute__((visibility("default"))) pid_t getpid(void) {
    return 1;
}

static const int results[] = {OUTPUT, GRAD_VALUE, GRAD_OFFSET_MASK};

/* Large enough that each thread has something to do, and of sizes that no number of threads divides. */
static dcnv4_problem threads_problem(int32_t dtype, int number) {
    dcnv4_problem problem = small_problem(dtype);
    problem.height = 23, problem.width = 19;
    if (number == 1)
        problem.batch = 1, problem.groups = 1, problem.group_channels = 17, problem.softmax = 1;
    if (number == 2) { /* pixels so far apart that the cpu copies value, unless there are more threads than groups */
        problem.batch = 1, problem.height = 9, problem.width = 11, problem.groups = 8, problem.group_channels = 32;
        problem.stride_h = problem.stride_w = 1;
    }
    return problem;
}

/* Of a device without threads, any number is the same: two are enough. */
static size_t numbers_to_try(const char *device, size_t all) {
    return strncmp(device, "cpu", 3) == 0 ? all : 2;
}

static test_layer made_and_filled(const dcnv4_problem *problem) {
    test_layer layer = layer_make(problem);
    layer_fill(&layer, 47, 3);
    return layer;
}

static void any_number_of_threads(void **state) {
    (void)state;
    for (const char *const *device = devices_to_try(); *device; ++device)
        for (EACH_DTYPE(dtype))
            for (int number = 0; number < 3; ++number) {
                dcnv4_problem problem = threads_problem(dtype, number);
                if (number == 1 && strncmp(*device, "cpu", 3) == 0) /* enough for threads to divide an image's rows */
                    problem.stride_w = 1, problem.group_channels = 211;
                test_layer layer = made_and_filled(&problem), expected = made_and_filled(&problem);
                dcnv4_context *context = NULL;
                ASSERT_SUCCESS(dcnv4_context_create(*device, &context));
                static const int32_t counts[] = {1, 2, 3, 4, 5, 6, 7, 8, 61, 0};
                for (size_t i = 0; i < numbers_to_try(*device, sizeof counts / sizeof *counts); ++i) {
                    test_layer *to = i == 0 ? &expected : &layer;
                    layer_clear(to);
                    ASSERT_SUCCESS(dcnv4_context_set_threads(context, counts[i]));
                    for (EACH_PASS(pass))
                        ASSERT_SUCCESS(layer_run(to, context, pass));
                    char what[64];
                    snprintf(what, sizeof what, "%s with %d threads", *device, counts[i]);
                    for (int r = 0; r < 3; ++r)
                        assert_same_bits(to, &expected, results[r], what);
                }
                dcnv4_context_destroy(context);
                layer_free(&layer);
                layer_free(&expected);
            }
}

/* Where all contributions to a pixel underflow to 0, the sum's sign must not depend on points of other rows that do not
 * touch the pixel. Each output pixel has two points, the second one row further down. All add −0 to pixels above row
 * 32; second points below it would add +0. */
static void sums_that_vanish(void **state) {
    (void)state;
    dcnv4_problem problem = DCNV4_PROBLEM_INIT;
    problem.batch = 1, problem.height = 64, problem.width = 32, problem.group_channels = 211;
    problem.kernel_h = 2, problem.kernel_w = 1, problem.pad_h = problem.pad_w = 0;
    for (const char *const *device = devices_to_try(); *device; ++device) {
        test_layer layer = made_and_filled(&problem);
        double *const points = layer_read(&layer, OFFSET_MASK), *const gradients = layer_read(&layer, GRAD_OUTPUT);
        for (int64_t pixel = 0; pixel < layer_pixels(&layer, OFFSET_MASK); ++pixel) {
            for (int64_t e = 0; e < 6; ++e)
                points[pixel * layer_row(&layer, OFFSET_MASK) + e] = e < 4                                   ? 0.5
                                                                     : e == 5 && pixel >= 31 * problem.width ? -1
                                                                                                             : 1;
            for (int64_t c = 0; c < layer_row(&layer, GRAD_OUTPUT); ++c)
                gradients[pixel * layer_row(&layer, GRAD_OUTPUT) + c] = -0x1p-149;
        }
        layer_write(&layer, OFFSET_MASK, points);
        layer_write(&layer, GRAD_OUTPUT, gradients);
        free(points);
        free(gradients);
        test_layer expected = layer_as(&layer, problem.dtype);
        dcnv4_context *context = NULL;
        ASSERT_SUCCESS(dcnv4_context_create(*device, &context));
        for (int32_t threads = 1; threads <= (int32_t)numbers_to_try(*device, 8); ++threads) {
            ASSERT_SUCCESS(dcnv4_context_set_threads(context, threads));
            ASSERT_SUCCESS(layer_run(threads == 1 ? &expected : &layer, context, DCNV4_PASS_BACKWARD));
            if (threads > 1)
                assert_same_bits(&layer, &expected, GRAD_VALUE, *device);
        }
        dcnv4_context_destroy(context);
        layer_free(&layer);
        layer_free(&expected);
    }
}

/* The same result again and again. */
static void every_run(void **state) {
    (void)state;
    for (const char *const *device = devices_to_try(); *device; ++device) {
        const dcnv4_problem problem = threads_problem(DCNV4_FLOAT32, 0);
        test_layer layer = made_and_filled(&problem), expected = made_and_filled(&problem);
        layer_both(&expected, *device);
        host_run run = host_run_make(&layer, *device);
        for (int i = 0; i < 20; ++i) {
            layer_clear(&layer);
            for (EACH_PASS(pass))
                ASSERT_SUCCESS(run_pass(run.plan, pass, &run.buffers));
            for (int r = 0; r < 3; ++r)
                assert_same_bits(&layer, &expected, results[r], *device);
        }
        host_run_free(&run);
        layer_free(&layer);
        layer_free(&expected);
    }
}

/* If the number of threads grows after the workspace size was asked for, a run whose workspace is now too small is
 * refused and writes nothing. Back at the old number, the old size is right again. */
static void a_workspace_for_fewer_threads(void **state) {
    (void)state;
    for (const char *const *device = devices_to_try(); *device; ++device) {
        dcnv4_problem problem = threads_problem(DCNV4_FLOAT16, 0);
        problem.batch = 8, problem.groups = 8, problem.group_channels = 32;
        test_layer layer = made_and_filled(&problem), expected = made_and_filled(&problem);
        layer_both(&expected, *device);
        host_run run = host_run_make(&layer, *device);
        for (EACH_PASS(pass)) {
            ASSERT_SUCCESS(dcnv4_context_set_threads(run.context, 1));
            const size_t bytes = dcnv4_plan_workspace_size(run.plan, pass);
            dcnv4_buffers buffers = run.buffers;
            buffers.workspace = dcnv4_host_buffer(allocate(bytes), bytes);
            ASSERT_SUCCESS(dcnv4_context_set_threads(run.context, 7));
            if (strncmp(*device, "cpu", 3) == 0) {
                assert_refused(run_pass(run.plan, pass, &buffers), DCNV4_INVALID_ARGUMENT, "workspace has");
                for (int r = 0; r < 3; ++r)
                    for (size_t i = 0; i < layer.bytes[results[r]] && pass_writes(pass, results[r]); ++i)
                        assert_int_equal(((unsigned char *)layer.tensors[results[r]])[i], UNTOUCHED);
                assert_true(dcnv4_plan_workspace_size(run.plan, pass) > bytes);
            }
            ASSERT_SUCCESS(dcnv4_context_set_threads(run.context, 1));
            assert_int_equal(dcnv4_plan_workspace_size(run.plan, pass), bytes);
            ASSERT_SUCCESS(run_pass(run.plan, pass, &buffers));
            free(buffers.workspace.handle);
        }
        for (int r = 0; r < 3; ++r)
            assert_same_bits(&layer, &expected, results[r], *device);
        host_run_free(&run);
        layer_free(&layer);
        layer_free(&expected);
    }
}

/* ---- Several callers --------------------------------------------------------------------------------------------- */

/* One caller: its own outputs and workspace, and the context and plan that all share; it also makes plans of its own. */
typedef struct caller {
    dcnv4_context *context;
    const dcnv4_plan *plan;
    test_layer layer;
    void *workspace;
    int failures;
} caller;

enum { CALLERS = 4, ROUNDS = 6 };

static void *call(void *argument) {
    caller *self = argument;
    dcnv4_buffers buffers = layer_buffers(&self->layer);
    for (int round = 0; round < ROUNDS; ++round) {
        dcnv4_plan *own = NULL;
        if (round % 2)
            self->failures += dcnv4_plan_create(self->context, &self->layer.problem, &own) != DCNV4_SUCCESS;
        const dcnv4_plan *plan = own ? own : self->plan;
        for (EACH_PASS(pass)) {
            buffers.workspace = dcnv4_host_buffer(self->workspace, dcnv4_plan_workspace_size(plan, pass));
            self->failures += run_pass(plan, pass, &buffers) != DCNV4_SUCCESS;
        }
        dcnv4_plan_destroy(own);
    }
    return NULL;
}

static void callers_at_once(void **state) {
    (void)state;
    for (const char *const *device = devices_to_try(); *device; ++device)
        for (int32_t threads = 1; threads <= 3; threads += 2) {
            const dcnv4_problem problem = threads_problem(DCNV4_FLOAT16, 0);
            test_layer expected = made_and_filled(&problem);
            layer_both(&expected, *device);
            dcnv4_context *context = NULL;
            dcnv4_plan *plan = NULL, *newer = NULL;
            ASSERT_SUCCESS(dcnv4_context_create(*device, &context));
            ASSERT_SUCCESS(dcnv4_context_set_threads(context, 2));
            ASSERT_SUCCESS(dcnv4_plan_create(context, &problem, &plan));
            ASSERT_SUCCESS(
                dcnv4_context_set_threads(context, threads)); /* all callers race to be the first to use this number */
            ASSERT_SUCCESS(dcnv4_plan_create(context, &problem, &newer));
            caller callers[CALLERS];
            pthread_t ids[CALLERS];
            const size_t workspace = dcnv4_plan_workspace_size(newer, DCNV4_PASS_FORWARD) +
                                     dcnv4_plan_workspace_size(newer, DCNV4_PASS_BACKWARD);
            dcnv4_plan_destroy(newer);
            for (int i = 0; i < CALLERS; ++i) {
                callers[i] = (caller){context, plan, made_and_filled(&problem), allocate(workspace), 0};
                assert_int_equal(pthread_create(&ids[i], NULL, call, &callers[i]), 0);
            }
            for (int i = 0; i < CALLERS; ++i) {
                assert_int_equal(pthread_join(ids[i], NULL), 0);
                assert_int_equal(callers[i].failures, 0);
                for (int r = 0; r < 3; ++r)
                    assert_same_bits(&callers[i].layer, &expected, results[r], *device);
                free(callers[i].workspace);
                layer_free(&callers[i].layer);
            }
            dcnv4_plan_destroy(plan);
            dcnv4_context_destroy(context);
            layer_free(&expected);
        }
}

/* ---- fork() ------------------------------------------------------------------------------------------------------ */

/* A child's result, as its exit status. */
enum { CHILD_RIGHT = 0, CHILD_FAILED = 3, CHILD_WRONG = 4, CHILD_HUNG = 5, CHILD_SECONDS = 60 };

static bool same_results(const test_layer *layer, const test_layer *expected) {
    for (int r = 0; r < 3; ++r)
        if (memcmp(layer->tensors[results[r]], expected->tensors[results[r]], layer->bytes[results[r]]) != 0)
            return false;
    return true;
}

/* Runs the parent's plan, another on the parent's context, and one on a context of the child's own. */
static int run_in_child(test_layer *layer, const test_layer *expected, const host_run *run, const char *device) {
    dcnv4_context *own = NULL;
    dcnv4_plan *plans[3] = {run->plan, NULL, NULL};
    if (dcnv4_plan_create(run->context, &layer->problem, &plans[1]) != DCNV4_SUCCESS ||
        dcnv4_context_create(device, &own) != DCNV4_SUCCESS || dcnv4_context_set_threads(own, 3) != DCNV4_SUCCESS ||
        dcnv4_plan_create(own, &layer->problem, &plans[2]) != DCNV4_SUCCESS)
        return CHILD_FAILED;
    for (int i = 0; i < 3; ++i) {
        layer_clear(layer);
        for (EACH_PASS(pass)) {
            dcnv4_buffers buffers = run->buffers;
            const size_t workspace = dcnv4_plan_workspace_size(plans[i], pass);
            if (dcnv4_buffer_create(run->context, workspace, &buffers.workspace) != DCNV4_SUCCESS ||
                run_pass(plans[i], pass, &buffers) != DCNV4_SUCCESS)
                return CHILD_FAILED;
            dcnv4_buffer_destroy(run->context, &buffers.workspace);
        }
        if (!same_results(layer, expected))
            return CHILD_WRONG;
    }
    dcnv4_plan_destroy(plans[2]);
    dcnv4_context_destroy(own);
    dcnv4_plan_destroy(plans[1]);
    dcnv4_plan_destroy(plans[0]);
    dcnv4_context_destroy(run->context);
    return CHILD_RIGHT;
}

/* Runs in a child of a child, whose parent may have run its plan or not. */
static int run_in_grandchild(test_layer *layer, const test_layer *expected, const host_run *run, const char *device) {
    int ended = 0;
    const pid_t grandchild = fork();
    if (grandchild == 0) {
        alarm(CHILD_SECONDS);
        _exit(run_in_child(layer, expected, run, device));
    }
    return waitpid(grandchild, &ended, 0) == grandchild && WIFEXITED(ended) ? WEXITSTATUS(ended) : CHILD_HUNG;
}

static pid_t fork_child(test_layer *layer, const test_layer *expected, const host_run *run, const char *device) {
    const pid_t child = fork();
    if (child == 0) {
        alarm(2 * CHILD_SECONDS); /* ends a child that hangs */
        const int before = run_in_grandchild(layer, expected, run, device);
        for (EACH_PASS(pass))
            if (run_pass(run->plan, pass, &run->buffers) != DCNV4_SUCCESS)
                _exit(CHILD_FAILED);
        const int after = run_in_grandchild(layer, expected, run, device);
        _exit(before != CHILD_RIGHT  ? before
              : after != CHILD_RIGHT ? after
                                     : run_in_child(layer, expected, run, device));
    }
    return child;
}

static void assert_child_right(pid_t child, const char *device) {
    int ended = 0;
    assert_true(child > 0);
    assert_int_equal(waitpid(child, &ended, 0), child);
    if (WIFSIGNALED(ended))
        fail_msg("%s: the child died of signal %d%s", device, WTERMSIG(ended),
                 WTERMSIG(ended) == SIGALRM ? ", it hung" : "");
    if (WEXITSTATUS(ended) != CHILD_RIGHT)
        fail_msg("%s: the child found status %d (3: a call failed, 4: other bits, 5: a child of it hung)", device,
                 WEXITSTATUS(ended));
    count_case();
}

static void fork_after_use(void **state) {
    (void)state;
    for (const char *const *device = devices_to_try(); *device; ++device) {
        const dcnv4_problem problem = threads_problem(DCNV4_BFLOAT16, 0);
        test_layer layer = made_and_filled(&problem), expected = made_and_filled(&problem);
        layer_both(&expected, *device);
        host_run run = host_run_make(&layer, *device);
        for (EACH_PASS(pass))
            ASSERT_SUCCESS(run_pass(run.plan, pass, &run.buffers));
        const pid_t first = fork_child(&layer, &expected, &run, *device);
        const pid_t second = fork_child(&layer, &expected, &run, *device);
        /* Meanwhile the parent runs, too. */
        layer_clear(&layer);
        for (EACH_PASS(pass))
            ASSERT_SUCCESS(run_pass(run.plan, pass, &run.buffers));
        assert_child_right(first, *device);
        assert_child_right(second, *device);
        for (int r = 0; r < 3; ++r)
            assert_same_bits(&layer, &expected, results[r], *device);
        host_run_free(&run);
        layer_free(&layer);
        layer_free(&expected);
    }
}

/* A child may destroy inherited objects unused, or after changing the number of threads. */
static int give_back_in_child(const host_run *run, int32_t threads) {
    if (threads >= 0 && dcnv4_context_set_threads(run->context, threads) != DCNV4_SUCCESS)
        return CHILD_FAILED;
    dcnv4_plan_destroy(run->plan);
    dcnv4_context_destroy(run->context);
    return CHILD_RIGHT;
}

static void fork_without_use(void **state) {
    (void)state;
    for (const char *const *device = devices_to_try(); *device; ++device) {
        const dcnv4_problem problem = threads_problem(DCNV4_FLOAT32, 0);
        test_layer layer = made_and_filled(&problem);
        host_run run = host_run_make(&layer, *device);
        ASSERT_SUCCESS(dcnv4_context_set_threads(run.context, 4));
        for (int32_t threads = -1; threads <= 3; ++threads) {
            const pid_t child = fork();
            if (child == 0) {
                alarm(CHILD_SECONDS);
                _exit(give_back_in_child(&run, threads));
            }
            assert_child_right(child, *device);
        }
        host_run_free(&run);
        layer_free(&layer);
    }
}

typedef struct busy_thread {
    const host_run *run;
    atomic_bool stop;
    int failures;
} busy_thread;

static void *keep_running(void *argument) {
    busy_thread *self = argument;
    while (!atomic_load(&self->stop))
        for (EACH_PASS(pass))
            self->failures += run_pass(self->run->plan, pass, &self->run->buffers) != DCNV4_SUCCESS;
    return NULL;
}

/* The child is forked at any moment of another thread's run on the same context. */
static void fork_during_use(void **state) {
    (void)state;
    for (const char *const *device = devices_to_try(); *device; ++device) {
        const dcnv4_problem problem = threads_problem(DCNV4_FLOAT32, 0);
        test_layer layer = made_and_filled(&problem), others = made_and_filled(&problem);
        test_layer expected = made_and_filled(&problem);
        layer_both(&expected, *device);
        host_run run = host_run_make(&layer, *device), shared = run;
        const dcnv4_buffer workspace = run.buffers.workspace;
        shared.buffers = layer_buffers(&others);
        shared.buffers.workspace = dcnv4_host_buffer(allocate(workspace.length), workspace.length);
        busy_thread busy = {.run = &shared};
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, keep_running, &busy), 0);
        for (int i = 0; i < 10; ++i) {
            const struct timespec moment = {0, 700000L * i};
            nanosleep(&moment, NULL);
            assert_child_right(fork_child(&layer, &expected, &run, *device), *device);
        }
        atomic_store(&busy.stop, true);
        assert_int_equal(pthread_join(thread, NULL), 0);
        assert_int_equal(busy.failures, 0);
        assert_true(same_results(&others, &expected));
        free(shared.buffers.workspace.handle);
        host_run_free(&run);
        layer_free(&layer);
        layer_free(&others);
        layer_free(&expected);
    }
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_number_of_threads),
        cmocka_unit_test(sums_that_vanish),
        cmocka_unit_test(every_run),
        cmocka_unit_test(a_workspace_for_fewer_threads),
        cmocka_unit_test(callers_at_once),
        cmocka_unit_test(fork_after_use),
        cmocka_unit_test(fork_during_use),
        cmocka_unit_test(fork_without_use),
    };
    return HARNESS_RUN(argc, argv, tests);
}
