/* Each allocation in turn is made to fail. The call that needed it returns DCNV4_OUT_OF_MEMORY, nothing leaks, and
 * existing objects still work. The linker redirects the library's calls to the functions here (--wrap). */
#include "../support/attention.h"
#include "../support/test_layer.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Allocations and thread starts since fail_at was called; number `failing` fails. */
static atomic_long begun, failing = -1;
static atomic_long alive; /* blocks of memory not yet freed */

static bool next_fails(void) {
    return atomic_fetch_add(&begun, 1) == atomic_load(&failing);
}

/* Lets allocation number n fail from now on; −1 for none. */
static void fail_at(long n) {
    atomic_store(&begun, 0);
    atomic_store(&failing, n);
}

static bool has_failed(void) {
    return atomic_load(&failing) >= 0 && atomic_load(&begun) > atomic_load(&failing);
}

static void *counted(void *memory) {
    if (memory)
        atomic_fetch_add(&alive, 1);
    return memory;
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
int __real_posix_memalign(void **memory, size_t alignment, size_t size);
char *__real_strdup(const char *text);
char *__real_realpath(const char *path, char *to);
void __real_free(void *memory);
int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*start)(void *), void *argument);

void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);
int __wrap_posix_memalign(void **memory, size_t alignment, size_t size);
char *__wrap_strdup(const char *text);
char *__wrap_realpath(const char *path, char *to);
void __wrap_free(void *memory);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*start)(void *), void *argument);

void *__wrap_malloc(size_t size) {
    return next_fails() ? NULL : counted(__real_malloc(size));
}

void *__wrap_calloc(size_t count, size_t size) {
    return next_fails() ? NULL : counted(__real_calloc(count, size));
}

void *__wrap_realloc(void *memory, size_t size) {
    if (next_fails())
        return NULL;
    return memory ? __real_realloc(memory, size) : counted(__real_realloc(NULL, size));
}

void *__wrap_aligned_alloc(size_t alignment, size_t size) {
    return next_fails() ? NULL : counted(__real_aligned_alloc(alignment, size));
}

int __wrap_posix_memalign(void **memory, size_t alignment, size_t size) {
    const int failed = next_fails() ? 12 /* ENOMEM */ : __real_posix_memalign(memory, alignment, size);
    if (!failed)
        counted(*memory);
    return failed;
}

char *__wrap_strdup(const char *text) {
    return next_fails() ? NULL : counted(__real_strdup(text));
}

char *__wrap_realpath(const char *path, char *to) {
    if (to)
        return __real_realpath(path, to);
    return next_fails() ? NULL : counted(__real_realpath(path, NULL));
}

void __wrap_free(void *memory) {
    if (memory)
        atomic_fetch_sub(&alive, 1);
    __real_free(memory);
}

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*start)(void *), void *argument) {
    return next_fails() ? 11 /* EAGAIN */ : __real_pthread_create(thread, attributes, start, argument);
}

/* Fails the test unless the status is right, there is a message, and the result is NULL. */
static void assert_out_of_memory(dcnv4_status status, const void *result) {
    assert_status(status, DCNV4_OUT_OF_MEMORY, "a call without memory");
    assert_true(has_failed() && *dcnv4_last_message());
    assert_null(result);
}

/* All calls of a caller's that may allocate; true if none failed. */
static bool whole_life(test_layer *layer, const char *device) {
    dcnv4_context *context = NULL;
    dcnv4_plan *plan = NULL;
    dcnv4_buffers buffers = layer_buffers(layer);
    dcnv4_status status = dcnv4_context_create(device, &context);
    if (status != DCNV4_SUCCESS) {
        assert_out_of_memory(status, context);
        return false;
    }
    bool all = true;
    status = dcnv4_context_set_threads(context, 4);
    if (status != DCNV4_SUCCESS) {
        /* The context goes on with one thread. */
        assert_out_of_memory(status, NULL);
        all = false;
    }
    status = dcnv4_plan_create(context, &layer->problem, &plan);
    if (status != DCNV4_SUCCESS) {
        assert_out_of_memory(status, plan);
        dcnv4_context_destroy(context);
        return false;
    }
    for (EACH_PASS(pass)) {
        const size_t workspace = dcnv4_plan_workspace_size(plan, pass);
        status = dcnv4_buffer_create(context, workspace, &buffers.workspace);
        if (status != DCNV4_SUCCESS) {
            assert_out_of_memory(status, buffers.workspace.handle);
            assert_int_equal(buffers.workspace.length, 0);
            all = false;
            continue;
        }
        const long before = atomic_load(&begun);
        ASSERT_SUCCESS(run_pass(plan, pass, &buffers));
        assert_int_equal(atomic_load(&begun), before); /* "Nothing is allocated." */
        dcnv4_buffer_destroy(context, &buffers.workspace);
    }
    dcnv4_plan_destroy(plan);
    dcnv4_context_destroy(context);
    return all;
}

static void every_allocation(void **state) {
    (void)state;
    static const int results[] = {OUTPUT, GRAD_VALUE, GRAD_OFFSET_MASK};
    for (const char *const *device = devices_to_try(); *device && on_host(*device); ++device)
        for (EACH_DTYPE(dtype)) {
            const dcnv4_problem problem = small_problem(dtype);
            test_layer layer = layer_make(&problem), expected = layer_make(&problem);
            layer_fill(&layer, 59, 2);
            layer_fill(&expected, 59, 2);
            layer_both(&expected, *device);
            bool all = false;
            long n = 0;
            for (; !all; ++n) {
                const long before = atomic_load(&alive);
                fail_at(n);
                layer_clear(&layer);
                all = whole_life(&layer, *device);
                assert_true(all != has_failed());
                fail_at(-1);
                if (atomic_load(&alive) != before)
                    fail_msg("%s: %ld blocks leak when allocation %ld fails", *device, atomic_load(&alive) - before, n);
                count_case();
            }
            assert_true(n >
                        3); /* a context, a plan, a program or a workspace: fewer would mean that nothing was wrapped */
            for (int r = 0; r < 3; ++r)
                assert_same_bits(&layer, &expected, results[r], *device);
            layer_free(&layer);
            layer_free(&expected);
        }
}

/* A context and a plan of either operator, with its workspace, on a device whose memory is not the host's. An allocation that only
 * saves time, as the cache's do, may fail unnoticed. */
static bool life_of_a_plan(const char *device, attention *a, const dcnv4_problem *conv) {
    dcnv4_context *context = NULL;
    dcnv4_plan *plan = NULL;
    dcnv4_buffer workspace;
    dcnv4_status status = dcnv4_context_create(device, &context);
    if (status != DCNV4_SUCCESS) {
        assert_out_of_memory(status, context);
        return false;
    }
    status = a ? dcnv4_msda_plan_create(context, &a->problem, &plan) : dcnv4_plan_create(context, conv, &plan);
    if (status == DCNV4_SUCCESS)
        status = dcnv4_buffer_create(context, dcnv4_plan_workspace_size(plan, DCNV4_PASS_BACKWARD), &workspace);
    if (status == DCNV4_SUCCESS)
        dcnv4_buffer_destroy(context, &workspace);
    else
        assert_out_of_memory(status, plan);
    dcnv4_plan_destroy(plan);
    dcnv4_context_destroy(context);
    return status == DCNV4_SUCCESS;
}

static void every_allocation_of_a_plan(const char *device, attention *a, const dcnv4_problem *conv) {
    assert_true(life_of_a_plan(device, a, conv)); /* drivers keep what they allocate when they are first used */
    long n = 0;
    for (bool failed = true; failed; ++n) {
        const long before = atomic_load(&alive);
        fail_at(n);
        life_of_a_plan(device, a, conv);
        failed = has_failed();
        fail_at(-1);
        if (atomic_load(&alive) != before)
            fail_msg("%s: %ld blocks leak when allocation %ld fails", device, atomic_load(&alive) - before, n);
        count_case();
    }
    assert_true(n > 10);
}

static void every_allocation_on_a_gpu(void **state) {
    (void)state;
    for (const char *const *device = devices_to_try(); *device; ++device)
        for (int32_t deterministic = 0; deterministic < 2 && !on_host(*device); ++deterministic) {
            dcnv4_problem conv = small_problem(DCNV4_FLOAT16);
            attention a = attention_small(DCNV4_FLOAT16, 1);
            a.problem.levels = a.levels;
            conv.deterministic = a.problem.deterministic = deterministic;
            every_allocation_of_a_plan(*device, &a, NULL);
            every_allocation_of_a_plan(*device, NULL, &conv);
            attention_free(&a);
        }
}

/* Both passes of attention in host memory; as whole_life. */
static bool attention_life(attention *a, const char *device) {
    dcnv4_context *context = NULL;
    dcnv4_plan *plan = NULL;
    dcnv4_msda_buffers buffers = DCNV4_MSDA_BUFFERS_INIT;
    dcnv4_buffer *const each = &buffers.value;
    static const int order[] = {IN_VALUE,   IN_LOCATIONS, IN_WEIGHTS, IN_REFERENCES, -1,          -1,
                                OUT_OUTPUT, IN_GRAD,      OUT_VALUE,  OUT_LOCATIONS, OUT_WEIGHTS, OUT_REFERENCES};
    for (int i = 0; i < 12; ++i)
        if (order[i] >= 0)
            each[i] = dcnv4_host_buffer(a->tensors[order[i]], a->bytes[order[i]]);
    dcnv4_status status = dcnv4_context_create(device, &context);
    if (status == DCNV4_SUCCESS)
        status = dcnv4_msda_plan_create(context, &a->problem, &plan);
    for (int pass = 0; pass < 2 && status == DCNV4_SUCCESS; ++pass) {
        status = dcnv4_buffer_create(context, dcnv4_plan_workspace_size(plan, (dcnv4_pass)pass), &buffers.workspace);
        const long before = atomic_load(&begun);
        if (status == DCNV4_SUCCESS)
            ASSERT_SUCCESS((pass ? dcnv4_msda_backward : dcnv4_msda_forward)(plan, &buffers, NULL));
        assert_int_equal(atomic_load(&begun), before); /* "Nothing is allocated." */
        dcnv4_buffer_destroy(context, &buffers.workspace);
    }
    if (status != DCNV4_SUCCESS)
        assert_out_of_memory(status, buffers.workspace.handle);
    dcnv4_plan_destroy(plan);
    dcnv4_context_destroy(context);
    return status == DCNV4_SUCCESS;
}

static void every_allocation_of_attention(void **state) {
    (void)state;
    for (const char *const *device = devices_to_try(); *device; ++device)
        for (int32_t dtype = DCNV4_FLOAT32; dtype <= DCNV4_FLOAT16 && on_host(*device); ++dtype) {
            attention a = attention_small(dtype, 1), expected = attention_expected(&a);
            a.problem.levels = a.levels;
            bool all = false;
            long n = 0;
            for (; !all; ++n) {
                const long before = atomic_load(&alive);
                fail_at(n);
                all = attention_life(&a, *device);
                assert_true(all != has_failed());
                fail_at(-1);
                assert_int_equal(atomic_load(&alive), before);
                count_case();
            }
            assert_true(n > 3);
            for (int r = 0; r < ATTENTION_RESULTS; ++r)
                attention_assert_close(&a, &expected, attention_results[r], *device);
            attention_free(&a);
            attention_free(&expected);
        }
}

/* Larger than any memory. */
static void too_large_a_buffer(void **state) {
    (void)state;
    for (const char *const *device = devices_to_try(); *device && on_host(*device); ++device) {
        dcnv4_context *context = NULL;
        ASSERT_SUCCESS(dcnv4_context_create(*device, &context));
        dcnv4_buffer buffer = {&buffer, 1, 2};
        assert_refused(dcnv4_buffer_create(context, SIZE_MAX / 2, &buffer), DCNV4_OUT_OF_MEMORY,
                       "9223372036854775807 bytes");
        assert_true(!buffer.handle && buffer.offset == 0 && buffer.length == 0);
        dcnv4_context_destroy(context);
    }
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_allocation), cmocka_unit_test(every_allocation_of_attention),
        cmocka_unit_test(every_allocation_on_a_gpu), cmocka_unit_test(too_large_a_buffer)};
    return HARNESS_RUN(argc, argv, tests);
}
