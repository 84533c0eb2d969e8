/* Guard pages before and after each tensor, and read-only inputs: an access out of bounds or a write to an input ends
 * the program with SIGSEGV. */
#define _GNU_SOURCE /* MAP_ANONYMOUS */
#include "../support/test_layer.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Pages between two guard pages; the bytes begin right after the first guard or end right before the second. */
typedef struct guarded {
    char *pages, *bytes;
    size_t size, page;
} guarded;

static guarded guarded_make(size_t bytes, bool at_the_back) {
    guarded made = {.page = (size_t)sysconf(_SC_PAGESIZE)};
    made.size = (bytes + made.page - 1) / made.page * made.page;
    made.pages = mmap(NULL, made.size + 2 * made.page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(made.pages != MAP_FAILED);
    char *first = made.pages + made.page;
    if (made.size > 0)
        assert_int_equal(mprotect(first, made.size, PROT_READ | PROT_WRITE), 0);
    made.bytes = at_the_back ? first + made.size - bytes : first;
    return made;
}

static void forbid_writing(const guarded *memory) {
    if (memory->size > 0)
        assert_int_equal(mprotect(memory->pages + memory->page, memory->size, PROT_READ), 0);
}

static void guarded_free(const guarded *memory) {
    munmap(memory->pages, memory->size + 2 * memory->page);
}

static void run_between_guards(const test_layer *layer, const test_layer *expected, const char *device,
                               bool at_the_back) {
    host_run run = host_run_make(layer, device);
    const dcnv4_buffer workspace = run.buffers.workspace;
    for (EACH_PASS(pass)) {
        guarded pieces[TENSORS + 1];
        for (int i = 0; i <= WORKSPACE; ++i) {
            const size_t bytes = i == WORKSPACE ? dcnv4_plan_workspace_size(run.plan, pass) : layer->bytes[i];
            pieces[i] = guarded_make(pass_uses(pass, i) ? bytes : 0, at_the_back);
            if (!pass_uses(pass, i))
                continue;
            if (i != WORKSPACE)
                memcpy(pieces[i].bytes, layer->tensors[i], bytes);
            if (!pass_writes(pass, i))
                forbid_writing(&pieces[i]);
            *buffer_of(&run.buffers, i) = dcnv4_host_buffer(pieces[i].bytes, bytes);
        }
        assert_status(run_pass(run.plan, pass, &run.buffers), DCNV4_SUCCESS, device);
        for (int i = 0; i < TENSORS; ++i)
            if (pass_writes(pass, i))
                assert_memory_equal(pieces[i].bytes, expected->tensors[i], expected->bytes[i]);
        count_case();
        for (int i = 0; i <= WORKSPACE; ++i)
            guarded_free(&pieces[i]);
    }
    run.buffers.workspace = workspace;
    host_run_free(&run);
}

/* Sizes with every remainder modulo a vector's width, with dense rows and with gaps. */
static void between_guards(void **state) {
    (void)state;
    static const int64_t channels[] = {1, 2, 3, 4, 5, 7, 8, 9, 12, 15, 16, 17, 24, 31, 32, 33, 40, 48, 63, 64, 65, 100};
    for (const char *const *device = devices_to_try(); *device; ++device)
        for (EACH_DTYPE(dtype))
            for (size_t c = 0; c < sizeof channels / sizeof *channels; ++c)
                for (int gaps = 0; gaps < 2; ++gaps) {
                    dcnv4_problem problem = small_problem(dtype);
                    problem.batch = 1, problem.groups = 1 + (int64_t)c % 3, problem.group_channels = channels[c];
                    problem.height = 3 + (int64_t)c % 4, problem.kernel_w = 1 + (int64_t)c % 5, problem.pad_w = 2;
                    problem.softmax = c % 2;
                    if (gaps) {
                        const int64_t row = problem.groups * channels[c];
                        problem.value_stride = row + 1, problem.output_stride = row + 3;
                        problem.grad_output_stride = row + 2, problem.grad_value_stride = row + 5;
                        problem.offset_mask_row = 3 * problem.groups * problem.kernel_h * problem.kernel_w;
                        problem.offset_mask_stride = problem.offset_mask_row + 1;
                        problem.grad_offset_mask_stride = problem.offset_mask_row + 7;
                    }
                    test_layer layer = layer_make(&problem), expected = layer_make(&problem);
                    layer_fill(&layer, c, 2);
                    layer_fill(&expected, c, 2);
                    layer_both(&expected, *device);
                    for (int at_the_back = 0; at_the_back < 2; ++at_the_back)
                        run_between_guards(&layer, &expected, *device, at_the_back);
                    layer_free(&layer);
                    layer_free(&expected);
                }
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(between_guards)};
    return HARNESS_RUN(argc, argv, tests);
}
