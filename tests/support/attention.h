/* A problem of multi-scale deformable attention with its tensors, to be run on any device. */
#ifndef TESTS_ATTENTION_H
#define TESTS_ATTENTION_H

#include "harness.h"

#include <dcnv4/ms_deform_attn.h>

enum {
    IN_VALUE,
    IN_LOCATIONS,
    IN_WEIGHTS,
    IN_REFERENCES,
    OUT_OUTPUT,
    IN_GRAD,
    OUT_VALUE,
    OUT_LOCATIONS,
    OUT_WEIGHTS,
    OUT_REFERENCES,
    COUNT
};
extern const char *const attention_names[COUNT];

enum { ATTENTION_RESULTS = 5, MOST_LEVELS = 4 };
extern const int attention_results[ATTENTION_RESULTS];

/* A problem with its levels and tensors, as they are stored; gaps between rows are filled with NaNs. */
typedef struct attention {
    dcnv4_msda_problem problem;
    dcnv4_msda_level levels[MOST_LEVELS];
    size_t bytes[COUNT];
    unsigned char *tensors[COUNT];
} attention;

/* Makes the tensors of a problem, all bytes 0xff. The problem's levels are set to point into *a. */
void attention_allocate(attention *a);
void attention_free(attention *a);

/* Another with the same problem and the same bytes. */
attention attention_copy(const attention *a);

/* A small problem of two levels, 3 + 2 points and two heads, with its inputs. */
attention attention_small(int32_t dtype, uint64_t seed);

/* A random problem with its inputs. */
attention attention_draw(uint64_t *seed, int32_t dtype);

/* Draws inputs without NaN; locations are beyond the levels now and then. */
void attention_fill(attention *a, uint64_t *seed);

int32_t attention_dtype(const dcnv4_msda_problem *problem, int tensor);
int64_t attention_count(const attention *a, int tensor); /* elements, those between rows included */
void attention_put(attention *a, int tensor, int64_t index, double number);
double attention_get(const attention *a, int tensor, int64_t index);

/* A plan on a context, and buffers with the problem's tensors; the workspace is enough for either pass. */
typedef struct attention_run {
    dcnv4_context *context;
    dcnv4_plan *plan;
    dcnv4_msda_buffers buffers;
} attention_run;

attention_run attention_run_make(attention *a, dcnv4_context *context);
void attention_run_free(attention_run *run);
dcnv4_buffer *attention_buffer(attention_run *run, int tensor);
void attention_upload(attention_run *run, const attention *a, int tensor);
void attention_download(attention_run *run, attention *a, int tensor);

/* Starts a pass of a plan, and waits for it. */
dcnv4_status attention_pass(const attention_run *run, const dcnv4_plan *plan, dcnv4_pass pass);

/* Both passes on a context, which refuses them with these words, if there are any; or on a device. */
void attention_both(attention *a, dcnv4_context *context, const char *words);
void attention_run_on(attention *a, const char *device);

/* Fails unless a result equals the expected one, in float64, within a bound for its dtype, and is NaN where that is. */
void attention_assert_close(const attention *a, const attention *expected, int tensor, const char *what);

/* The reference's results for the same inputs, in float64; and the comparison of all results on a device with them, which
 * attention_compare computes itself. */
attention attention_expected(const attention *a);
void attention_compare_to(const attention *a, const attention *expected, const char *device);
void attention_compare(const attention *a, const char *device);

#endif
