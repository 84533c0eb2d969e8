/* One problem with its six tensors, to be run on any device. */
#ifndef TESTS_LAYER_H
#define TESTS_LAYER_H

#include "harness.h"

enum { VALUE, OFFSET_MASK, OUTPUT, GRAD_OUTPUT, GRAD_VALUE, GRAD_OFFSET_MASK, TENSORS };

/* tensors[i] has exactly bytes[i] bytes of its own. */
typedef struct test_layer {
    dcnv4_problem problem;
    dcnv4_sizes sizes;
    void *tensors[TENSORS];
    size_t bytes[TENSORS];
} test_layer;

extern const char *const tensor_names[TENSORS];

/* Every byte of an output that no pass has written yet. */
enum { UNTOUCHED = 0xa5 };

/* A small problem in which every field that may differ from its default does: the base of most tests. */
dcnv4_problem small_problem(int32_t dtype);

/* Makes the tensors of a legal problem; the inputs are bytes of UNTOUCHED too until they are filled. */
test_layer layer_make(const dcnv4_problem *problem);
void layer_free(test_layer *layer);

/* Draws the inputs: values, weights and grad_output from ±1; positions from up to `reach` around the grid's, all with
 * fractions within [0.1, 0.9] before rounding to the dtype where offset_scale is 1. */
void layer_fill(test_layer *layer, uint64_t seed, double reach);

/* Fills the outputs with UNTOUCHED. */
void layer_clear(test_layer *layer);

/* Another layer with the same numbers in another dtype and dense tensors; outputs are cleared. An offset_mask_dtype stays
 * where it is legal beside that dtype. */
test_layer layer_as(const test_layer *layer, int32_t dtype);

/* Rows and elements of a row. */
int64_t layer_pixels(const test_layer *layer, int tensor);
int64_t layer_row(const test_layer *layer, int tensor);
int64_t layer_stride(const test_layer *layer, int tensor);

/* The dtype of a tensor's elements. */
int32_t layer_dtype(const test_layer *layer, int tensor);

/* Reads a tensor as float64 without the gaps between rows, to be freed; writes it, each number rounded to the dtype. */
double *layer_read(const test_layer *layer, int tensor);
void layer_write(test_layer *layer, int tensor, const double *numbers);

/* One number of row `pixel`. */
double layer_get(const test_layer *layer, int tensor, int64_t pixel, int64_t element);
void layer_set(test_layer *layer, int tensor, int64_t pixel, int64_t element, double number);

/* The buffers of a layer in host memory, without a workspace. */
dcnv4_buffers layer_buffers(const test_layer *layer);

/* Runs one pass, or both, on a device of this name or on a context; copies through device memory if it has its own. */
dcnv4_status layer_forward(test_layer *layer, const char *device);
dcnv4_status layer_backward(test_layer *layer, const char *device);
dcnv4_status layer_run(test_layer *layer, dcnv4_context *context, dcnv4_pass pass);
void layer_both(test_layer *layer, const char *device);

/* A layer made ready on a host device: a plan, and buffers with a workspace that is enough for either pass. */
typedef struct host_run {
    dcnv4_context *context;
    dcnv4_plan *plan;
    dcnv4_buffers buffers;
} host_run;
host_run host_run_make(const test_layer *layer, const char *device);
void host_run_free(host_run *run);

/* dcnv4_forward or dcnv4_backward. */
dcnv4_status run_pass(const dcnv4_plan *plan, dcnv4_pass pass, const dcnv4_buffers *buffers);
#define EACH_PASS(pass)                   \
    dcnv4_pass pass = DCNV4_PASS_FORWARD; \
    pass <= DCNV4_PASS_BACKWARD;          \
    pass = (dcnv4_pass)(pass + 1)

/* The members of *buffers in the order of a layer's tensors, then the workspace. */
dcnv4_buffer *buffer_of(dcnv4_buffers *buffers, int tensor);
enum { WORKSPACE = TENSORS };

/* Whether a pass uses a tensor, and whether it writes it. */
bool pass_uses(dcnv4_pass pass, int tensor);
bool pass_writes(dcnv4_pass pass, int tensor);

/* Whether a device takes problems of this dtype. */
bool takes_dtype(const char *device, int32_t dtype);

/* Whether to try a dtype in a test for which dtypes hardly matter: a device that compiles a kernel for each problem,
 * which takes seconds, is tried with float32 alone. */
bool tries_dtype(const char *device, int32_t dtype);

/* The permitted difference between results in a dtype and the reference's on the same inputs, as a share of the largest
 * number: the result's rounding, and some for the float32 arithmetic (float64: for the order of summation). */
double dtype_bound(int32_t dtype);

/* Fails unless every number is within bound·(the largest expected magnitude) of the expected one. The message begins
 * with what. */
void assert_close(const double *numbers, const double *expected, int64_t count, double bound, const char *what);

/* assert_close for a tensor of two layers. */
void assert_tensor_close(const test_layer *layer, const test_layer *expected, int tensor, double bound,
                         const char *what);

/* Fails unless the bytes of a tensor are the same, including those between rows. */
void assert_same_bits(const test_layer *layer, const test_layer *expected, int tensor, const char *what);

#endif
