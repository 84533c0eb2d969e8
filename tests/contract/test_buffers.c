/* A run's buffers: short, missing, misaligned or overlapping ones are refused and nothing is written; legal ones work
 * at every offset, with gaps between rows, and as slices of one fused tensor. */
#include "../support/test_layer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A layer with its inputs filled. */
static test_layer filled(const dcnv4_problem *problem) {
    test_layer layer = layer_make(problem);
    layer_fill(&layer, 41, 2);
    return layer;
}

static void assert_untouched(const test_layer *layer, dcnv4_pass pass, const char *what) {
    for (int i = 0; i < TENSORS; ++i)
        for (size_t b = 0; pass_writes(pass, i) && b < layer->bytes[i]; ++b)
            if (((const unsigned char *)layer->tensors[i])[b] != UNTOUCHED)
                fail_msg("%s: a refused run wrote byte %zu of %s", what, b, tensor_names[i]);
}

static const char *buffer_name(int tensor) {
    return tensor == WORKSPACE ? "workspace" : tensor_names[tensor];
}

static size_t needed(const test_layer *layer, const host_run *run, dcnv4_pass pass, int tensor) {
    return tensor == WORKSPACE ? dcnv4_plan_workspace_size(run->plan, pass) : layer->bytes[tensor];
}

#define EACH_DEVICE(device)                       \
    const char *const *device = devices_to_try(); \
    *device;                                      \
    ++device

static void short_and_missing(void **state) {
    (void)state;
    for (EACH_DEVICE(device))
        for (EACH_PASS(pass))
            for (int i = 0; i <= WORKSPACE; ++i) {
                const dcnv4_problem problem = small_problem(DCNV4_FLOAT16);
                test_layer layer = filled(&problem);
                host_run run = host_run_make(&layer, *device);
                dcnv4_buffer *buffer = buffer_of(&run.buffers, i);
                const dcnv4_buffer good = *buffer;
                const size_t bytes = needed(&layer, &run, pass, i);
                char text[128];
                buffer->length = bytes - 1;
                if (pass_uses(pass, i) && bytes > 0) {
                    snprintf(text, sizeof text, "%s has %zu bytes, %zu are needed", buffer_name(i), bytes - 1, bytes);
                    assert_refused(run_pass(run.plan, pass, &run.buffers), DCNV4_INVALID_ARGUMENT, text);
                    buffer->length = 0;
                    assert_refused(run_pass(run.plan, pass, &run.buffers), DCNV4_INVALID_ARGUMENT, "has 0 bytes");
                    buffer->length = bytes;
                    buffer->handle = NULL;
                    snprintf(text, sizeof text, "%s has no buffer, %zu bytes are needed", buffer_name(i), bytes);
                    assert_refused(run_pass(run.plan, pass, &run.buffers), DCNV4_INVALID_ARGUMENT, text);
                    assert_untouched(&layer, pass, buffer_name(i));
                    *buffer = good;
                    buffer->length = bytes;
                } else {
                    *buffer = (dcnv4_buffer){NULL, 0, 0};
                    buffer->offset = 13;
                }
                ASSERT_SUCCESS(run_pass(run.plan, pass, &run.buffers));
                count_case();
                *buffer = good;
                host_run_free(&run);
                layer_free(&layer);
            }
}

/* Addresses that wrap around. */
static void past_the_end_of_memory(void **state) {
    (void)state;
    for (EACH_DEVICE(device))
        for (EACH_PASS(pass))
            for (int i = 0; i < TENSORS; ++i) {
                if (!pass_uses(pass, i))
                    continue;
                const dcnv4_problem problem = small_problem(DCNV4_FLOAT32);
                test_layer layer = filled(&problem);
                host_run run = host_run_make(&layer, *device);
                dcnv4_buffer *buffer = buffer_of(&run.buffers, i);
                const size_t offsets[] = {SIZE_MAX - 3, SIZE_MAX - (uintptr_t)buffer->handle - 3};
                for (int o = 0; o < 2; ++o) {
                    buffer->offset = offsets[o];
                    assert_status(run_pass(run.plan, pass, &run.buffers), DCNV4_INVALID_ARGUMENT, "a wrapping offset");
                    assert_untouched(&layer, pass, "a wrapping offset");
                }
                buffer->offset = 0;
                buffer->length = SIZE_MAX;
                assert_status(run_pass(run.plan, pass, &run.buffers), DCNV4_INVALID_ARGUMENT, "a wrapping length");
                count_case();
                host_run_free(&run);
                layer_free(&layer);
            }
}

static void nulls_and_versions(void **state) {
    (void)state;
    for (EACH_DEVICE(device))
        for (EACH_PASS(pass)) {
            const dcnv4_problem problem = small_problem(DCNV4_FLOAT32);
            test_layer layer = filled(&problem);
            host_run run = host_run_make(&layer, *device);
            assert_refused(run_pass(run.plan, pass, NULL), DCNV4_INVALID_ARGUMENT, "buffers is NULL");
            union {
                dcnv4_buffers known;
                unsigned char bytes[sizeof(dcnv4_buffers) + 32];
            } later;
            memset(&later, 0, sizeof later);
            later.known = run.buffers;
            later.known.size = sizeof later;
            ASSERT_SUCCESS(run_pass(run.plan, pass, &later.known));
            layer_clear(&layer);
            later.bytes[sizeof later - 1] = 1;
            assert_refused(run_pass(run.plan, pass, &later.known), DCNV4_UNSUPPORTED, "dcnv4_buffers.size is");
            later.known.size = sizeof(dcnv4_buffers) - 1;
            assert_refused(run_pass(run.plan, pass, &later.known), DCNV4_INVALID_ARGUMENT, "dcnv4_buffers.size is");
            assert_untouched(&layer, pass, "a struct of the wrong size");
            host_run_free(&run);
            layer_free(&layer);
        }
}

/* Each tensor in turn begins 0 to 63 bytes into its memory, by the pointer or by the offset: results have the same bits. */
static void try_every_offset(const char *device, const dcnv4_problem *problem) {
    const int32_t dtype = problem->dtype;
    test_layer layer = filled(problem), expected = filled(problem);
    layer_both(&expected, device);
    host_run run = host_run_make(&layer, device);
    for (EACH_PASS(pass))
        for (int i = 0; i <= WORKSPACE; ++i)
            for (size_t shift = 0; shift < 64 && pass_uses(pass, i); ++shift) {
                dcnv4_buffer *buffer = buffer_of(&run.buffers, i);
                const dcnv4_buffer good = *buffer;
                const size_t bytes = needed(&layer, &run, pass, i);
                char *base = allocate(bytes + 64);
                if (i != WORKSPACE)
                    memcpy(base + shift, layer.tensors[i], bytes);
                *buffer = shift & 1 ? dcnv4_host_buffer(base + shift, bytes) : (dcnv4_buffer){base, shift, bytes};
                const dcnv4_status status = run_pass(run.plan, pass, &run.buffers);
                const bool aligned = i == WORKSPACE || (uintptr_t)(base + shift) % item_size(dtype) == 0;
                assert_status(status, aligned ? DCNV4_SUCCESS : DCNV4_INVALID_ARGUMENT, buffer_name(i));
                for (int t = 0; aligned && t < TENSORS; ++t)
                    if (pass_writes(pass, t))
                        assert_memory_equal(t == i ? base + shift : layer.tensors[t], expected.tensors[t],
                                            expected.bytes[t]);
                if (!aligned) {
                    assert_non_null(strstr(dcnv4_last_message(), "past a multiple of its element size"));
                    assert_untouched(&layer, pass, "a misaligned buffer");
                }
                layer_clear(&layer);
                count_case();
                *buffer = good;
                free(base);
            }
    host_run_free(&run);
    layer_free(&layer);
    layer_free(&expected);
}

static void every_offset(void **state) {
    (void)state;
    for (EACH_DEVICE(device))
        for (EACH_DTYPE(dtype)) {
            dcnv4_problem problem = small_problem(dtype);
            try_every_offset(*device, &problem);
            /* Whole vectors of channels. */
            problem.group_channels = 16, problem.stride_w = 1;
            try_every_offset(*device, &problem);
        }
}

/* ---- Overlap ----------------------------------------------------------------------------------------------------- */

/* All buffers of a pass one after the other in one block of memory, with gaps before, between and after them. */
typedef struct test_arena {
    char *memory, *copy;
    size_t size, begin[TENSORS + 1], bytes[TENSORS + 1];
} test_arena;

static test_arena arena_make(const test_layer *layer, host_run *run, dcnv4_pass pass) {
    test_arena made = {.size = 64};
    for (int i = 0; i <= WORKSPACE; ++i) {
        made.begin[i] = made.size;
        made.bytes[i] = needed(layer, run, pass, i);
        made.size += (made.bytes[i] + 127) / 64 * 64;
    }
    made.memory = allocate(made.size);
    made.copy = allocate(made.size);
    memset(made.memory, UNTOUCHED, made.size);
    for (int i = 0; i < TENSORS; ++i)
        memcpy(made.memory + made.begin[i], layer->tensors[i], made.bytes[i]);
    memcpy(made.copy, made.memory, made.size);
    return made;
}

static void place(host_run *run, const test_arena *arena) {
    for (int i = 0; i <= WORKSPACE; ++i)
        *buffer_of(&run->buffers, i) = (dcnv4_buffer){arena->memory, arena->begin[i], arena->bytes[i]};
}

/* Moves buffer j onto, into and beside buffer i. */
static void check_pair(host_run *run, dcnv4_pass pass, test_arena *arena, int i, int j, size_t item) {
    const size_t home = arena->begin[j], first = arena->begin[i], end = first + arena->bytes[i],
                 bytes = arena->bytes[j];
    const struct {
        size_t begin;
        bool overlaps;
    } places[] = {
        {first, true},
        {end - (j == WORKSPACE ? 1 : item), true},
        {first + (j == WORKSPACE ? 1 : item) - bytes, true},
        {first + arena->bytes[i] / 2 / item * item, true},
        {end, false},
        {first - bytes, false},
    };
    for (size_t p = 0; p < sizeof places / sizeof *places; ++p) {
        if (places[p].begin > arena->size - bytes) /* wraps below 0 too */
            continue;
        /* The place beside i must be free of a third buffer. */
        bool third = false;
        for (int t = 0; t <= WORKSPACE; ++t)
            third = third ||
                    (t != j && pass_uses(pass, t) && arena->bytes[t] > 0 && !places[p].overlaps &&
                     places[p].begin < arena->begin[t] + arena->bytes[t] && arena->begin[t] < places[p].begin + bytes);
        if (third)
            continue;
        arena->begin[j] = places[p].begin;
        place(run, arena);
        const bool refused = places[p].overlaps && (pass_writes(pass, i) || pass_writes(pass, j));
        const dcnv4_status status = run_pass(run->plan, pass, &run->buffers);
        if (refused) {
            assert_status(status, DCNV4_INVALID_ARGUMENT, buffer_name(j));
            assert_non_null(strstr(dcnv4_last_message(), " overlaps "));
            assert_memory_equal(arena->memory, arena->copy, arena->size);
        } else if (!places[p].overlaps)
            assert_status(status, DCNV4_SUCCESS, buffer_name(j));
        memcpy(arena->memory, arena->copy, arena->size);
        count_case();
    }
    arena->begin[j] = home;
}

static void every_pair_overlapping(void **state) {
    (void)state;
    for (EACH_DEVICE(device))
        for (EACH_PASS(pass)) {
            const dcnv4_problem problem = small_problem(DCNV4_FLOAT32);
            test_layer layer = filled(&problem);
            host_run run = host_run_make(&layer, *device);
            const dcnv4_buffer workspace = run.buffers.workspace;
            test_arena arena = arena_make(&layer, &run, pass);
            for (int i = 0; i <= WORKSPACE; ++i)
                for (int j = 0; j <= WORKSPACE; ++j)
                    if (i != j && pass_uses(pass, i) && pass_uses(pass, j) && arena.bytes[i] > 0 && arena.bytes[j] > 0)
                        check_pair(&run, pass, &arena, i, j, sizeof(float));
            free(arena.memory);
            free(arena.copy);
            run.buffers.workspace = workspace;
            host_run_free(&run);
            layer_free(&layer);
        }
}

/* Inputs may share memory: value and grad_output here are one. */
static void inputs_may_be_the_same(void **state) {
    (void)state;
    for (EACH_DEVICE(device)) {
        dcnv4_problem problem = small_problem(DCNV4_FLOAT32);
        problem.kernel_h = problem.kernel_w = 3, problem.stride_w = problem.dilation_h = 1;
        problem.pad_h = problem.pad_w = 1;
        test_layer layer = filled(&problem), expected = filled(&problem);
        memcpy(expected.tensors[GRAD_OUTPUT], expected.tensors[VALUE], expected.bytes[VALUE]);
        layer_both(&expected, *device);
        host_run run = host_run_make(&layer, *device);
        run.buffers.grad_output = run.buffers.value;
        ASSERT_SUCCESS(dcnv4_backward(run.plan, &run.buffers, NULL));
        assert_same_bits(&layer, &expected, GRAD_VALUE, *device);
        assert_same_bits(&layer, &expected, GRAD_OFFSET_MASK, *device);
        host_run_free(&run);
        layer_free(&layer);
        layer_free(&expected);
    }
}

/* ---- Strides ----------------------------------------------------------------------------------------------------- */

/* All six tensors as columns of one: first[i] is where tensor i begins in a row of `total` elements. */
typedef struct fused_tensor {
    int64_t total, first[TENSORS];
    unsigned char *memory;
    size_t bytes;
} fused_tensor;

static dcnv4_problem fused_problem(int32_t dtype) {
    dcnv4_problem problem = small_problem(dtype);
    problem.kernel_h = problem.kernel_w = 3, problem.stride_w = problem.dilation_h = 1;
    problem.pad_h = problem.pad_w = 1;
    return problem;
}

static fused_tensor fused_make(const test_layer *dense, int64_t gap) {
    fused_tensor made = {0};
    for (int i = 0; i < TENSORS; ++i) {
        made.first[i] = made.total;
        made.total += layer_row(dense, i) + gap;
    }
    /* One more row, so that a tensor may begin anywhere in the first. */
    made.bytes = (size_t)((layer_pixels(dense, VALUE) + 1) * made.total) * item_size(dense->problem.dtype);
    made.memory = allocate(made.bytes);
    memset(made.memory, UNTOUCHED, made.bytes);
    return made;
}

static void set_strides(dcnv4_problem *problem, int64_t stride) {
    problem->value_stride = problem->offset_mask_stride = problem->output_stride = stride;
    problem->grad_output_stride = problem->grad_value_stride = problem->grad_offset_mask_stride = stride;
}

/* A view of the fused tensor as a layer. */
static test_layer fused_view(const fused_tensor *fused, const test_layer *dense) {
    test_layer view = *dense;
    set_strides(&view.problem, fused->total);
    const size_t item = item_size(dense->problem.dtype);
    for (int i = 0; i < TENSORS; ++i) {
        view.tensors[i] = fused->memory + (size_t)fused->first[i] * item;
        view.bytes[i] = fused->bytes - (size_t)fused->first[i] * item;
    }
    return view;
}

/* Every byte of the fused tensor must be the result's where a tensor is written, and unchanged elsewhere. */
static void check_fused(const fused_tensor *fused, const unsigned char *before, const test_layer *view,
                        const test_layer *dense) {
    const int64_t item = (int64_t)item_size(dense->problem.dtype);
    unsigned char *expected = allocate(fused->bytes);
    memcpy(expected, before, fused->bytes);
    static const int results[] = {OUTPUT, GRAD_VALUE, GRAD_OFFSET_MASK};
    for (int r = 0; r < 3; ++r) {
        const int64_t row = layer_row(dense, results[r]) * item;
        for (int64_t pixel = 0; pixel < layer_pixels(view, results[r]); ++pixel)
            memcpy(expected + pixel * fused->total * item + fused->first[results[r]] * item,
                   (const char *)dense->tensors[results[r]] + pixel * row, (size_t)row);
    }
    assert_memory_equal(fused->memory, expected, fused->bytes);
    count_case();
    free(expected);
}

static void slices_of_one_tensor(void **state) {
    (void)state;
    for (EACH_DEVICE(device))
        for (EACH_DTYPE(dtype))
            for (int64_t gap = 0; gap < 3; ++gap) {
                const dcnv4_problem problem = fused_problem(dtype);
                test_layer dense = filled(&problem);
                layer_both(&dense, *device);
                fused_tensor fused = fused_make(&dense, gap);
                test_layer view = fused_view(&fused, &dense);
                static const int inputs[] = {VALUE, OFFSET_MASK, GRAD_OUTPUT};
                for (int i = 0; i < 3; ++i) {
                    double *numbers = layer_read(&dense, inputs[i]);
                    layer_write(&view, inputs[i], numbers);
                    free(numbers);
                }
                unsigned char *before = allocate(fused.bytes);
                memcpy(before, fused.memory, fused.bytes);
                layer_both(&view, *device);
                check_fused(&fused, before, &view, &dense);
                free(before);
                free(fused.memory);
                layer_free(&dense);
            }
}

/* Tensor j begins at column `first`; its rows may continue past the end of a fused row into the next. */
static void check_slice(const char *device, dcnv4_pass pass, int i, int j, int64_t first, bool overlaps) {
    const dcnv4_problem problem = fused_problem(DCNV4_FLOAT32);
    test_layer dense = filled(&problem);
    fused_tensor fused = fused_make(&dense, 100); /* wider gaps than rows: only i and j meet */
    unsigned char *before = allocate(fused.bytes);
    memset(fused.memory, 0, fused.bytes);
    memset(before, 0, fused.bytes);
    fused.first[j] = first;
    test_layer view = fused_view(&fused, &dense);
    host_run run = host_run_make(&view, device);
    const dcnv4_status status = run_pass(run.plan, pass, &run.buffers);
    if (overlaps) {
        assert_status(status, DCNV4_INVALID_ARGUMENT, tensor_names[j]);
        assert_non_null(strstr(dcnv4_last_message(), tensor_names[i]));
        assert_non_null(strstr(dcnv4_last_message(), tensor_names[j]));
        assert_memory_equal(before, fused.memory, fused.bytes);
    } else
        assert_status(status, DCNV4_SUCCESS, tensor_names[j]);
    count_case();
    host_run_free(&run);
    free(before);
    free(fused.memory);
    layer_free(&dense);
}

/* Slices that share one column are refused, slices that only touch are not, on either side and across the row's end. */
static void slices_that_overlap(void **state) {
    (void)state;
    const dcnv4_problem problem = fused_problem(DCNV4_FLOAT32);
    test_layer dense = layer_make(&problem);
    fused_tensor fused = fused_make(&dense, 100);
    for (EACH_DEVICE(device))
        for (EACH_PASS(pass))
            for (int i = 0; i < TENSORS; ++i)
                for (int j = 0; j < TENSORS; ++j) {
                    if (i == j || !pass_uses(pass, i) || !pass_uses(pass, j))
                        continue;
                    const bool writes = pass_writes(pass, i) || pass_writes(pass, j);
                    const int64_t behind = fused.first[i] + layer_row(&dense, i);
                    const int64_t ahead = fused.first[i] - layer_row(&dense, j);
                    check_slice(*device, pass, i, j, behind - 1, writes);
                    check_slice(*device, pass, i, j, behind, false);
                    if (ahead >= 0) {
                        check_slice(*device, pass, i, j, ahead + 1, writes);
                        check_slice(*device, pass, i, j, ahead, false);
                    }
                    check_slice(*device, pass, i, j, ahead + fused.total + 1, writes);
                    check_slice(*device, pass, i, j, ahead + fused.total, false);
                }
    free(fused.memory);
    layer_free(&dense);
}

/* Interleaved tensors of different strides usually overlap somewhere; they are refused whether or not they do. */
static void slices_of_different_strides(void **state) {
    (void)state;
    for (EACH_DEVICE(device)) {
        dcnv4_problem problem = fused_problem(DCNV4_FLOAT32);
        test_layer dense = filled(&problem);
        fused_tensor fused = fused_make(&dense, 0);
        test_layer view = fused_view(&fused, &dense);
        view.problem.output_stride = fused.total - 1;
        host_run run = host_run_make(&view, *device);
        assert_refused(dcnv4_forward(run.plan, &run.buffers, NULL), DCNV4_INVALID_ARGUMENT, "overlaps");
        host_run_free(&run);
        free(fused.memory);
        layer_free(&dense);
    }
}

/* Each tensor with a stride of its own: the bytes between rows stay as they are, and so do the inputs. */
static void between_rows(void **state) {
    (void)state;
    for (EACH_DEVICE(device))
        for (EACH_DTYPE(dtype)) {
            dcnv4_problem problem = small_problem(dtype);
            test_layer dense = filled(&problem);
            layer_both(&dense, *device);
            const int64_t channels = dense.sizes.channels, row = dense.sizes.offset_mask_row;
            problem.value_stride = channels + 1, problem.offset_mask_stride = row + 3,
            problem.output_stride = channels + 5;
            problem.grad_output_stride = channels + 2, problem.grad_value_stride = channels + 7;
            problem.grad_offset_mask_stride = row + 1;
            test_layer layer = layer_make(&problem), inputs = layer_make(&problem);
            layer_fill(&layer, 41, 2);
            layer_fill(&inputs, 41, 2);
            layer_both(&layer, *device);
            assert_same_bits(&layer, &inputs, VALUE, *device);
            assert_same_bits(&layer, &inputs, OFFSET_MASK, *device);
            assert_same_bits(&layer, &inputs, GRAD_OUTPUT, *device);
            static const int results[] = {OUTPUT, GRAD_VALUE, GRAD_OFFSET_MASK};
            const size_t item = item_size(dtype);
            for (int r = 0; r < 3; ++r) {
                const int tensor = results[r];
                const size_t stride = (size_t)layer_stride(&layer, tensor) * item,
                             used = (size_t)layer_row(&layer, tensor) * item;
                const unsigned char *bytes = layer.tensors[tensor], *wanted = dense.tensors[tensor];
                for (size_t b = 0; b < layer.bytes[tensor]; ++b) {
                    const size_t lane = b % stride;
                    const unsigned char expected = lane < used ? wanted[b / stride * used + lane] : UNTOUCHED;
                    if (bytes[b] != expected)
                        fail_msg("%s: byte %zu of %s is %02x, expected %02x", *device, b, tensor_names[tensor],
                                 bytes[b], expected);
                }
                count_case();
            }
            layer_free(&layer);
            layer_free(&inputs);
            layer_free(&dense);
        }
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(short_and_missing),           cmocka_unit_test(past_the_end_of_memory),
        cmocka_unit_test(nulls_and_versions),          cmocka_unit_test(every_offset),
        cmocka_unit_test(every_pair_overlapping),      cmocka_unit_test(inputs_may_be_the_same),
        cmocka_unit_test(slices_of_one_tensor),        cmocka_unit_test(slices_that_overlap),
        cmocka_unit_test(slices_of_different_strides), cmocka_unit_test(between_rows),
    };
    return HARNESS_RUN(argc, argv, tests);
}
