/* Which problems are legal, and their sizes: boundary values of every field, compared with legal_problem.h. */
#include "../support/harness.h"
#include "../support/legal_problem.h"

#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const size_t fields[] = {
#define FIELD(name) offsetof(dcnv4_problem, name)
    FIELD(batch),
    FIELD(height),
    FIELD(width),
    FIELD(groups),
    FIELD(group_channels),
    FIELD(kernel_h),
    FIELD(kernel_w),
    FIELD(stride_h),
    FIELD(stride_w),
    FIELD(pad_h),
    FIELD(pad_w),
    FIELD(dilation_h),
    FIELD(dilation_w),
    FIELD(offset_mask_row),
    FIELD(value_stride),
    FIELD(offset_mask_stride),
    FIELD(output_stride),
    FIELD(grad_output_stride),
    FIELD(grad_value_stride),
    FIELD(grad_offset_mask_stride),
};
enum { FIELDS = sizeof fields / sizeof *fields };

static const int64_t boundary[] = {INT64_MIN,
                                   INT_MIN,
                                   -1,
                                   0,
                                   1,
                                   2,
                                   3,
                                   7,
                                   28,
                                   INT_MAX,
                                   1LL << 31,
                                   1LL << 32,
                                   1LL << 61,
                                   1LL << 62,
                                   INT64_MAX / 3,
                                   INT64_MAX / 3 - 2,
                                   INT64_MAX - 7,
                                   INT64_MAX};
enum { BOUNDARY = sizeof boundary / sizeof *boundary };

static void set(dcnv4_problem *problem, int field, int64_t number) {
    memcpy((char *)problem + fields[field], &number, sizeof number);
}

static size_t legal, refused;

static void compare(const dcnv4_problem *problem) {
    dcnv4_sizes expected = DCNV4_SIZES_INIT, sizes = DCNV4_SIZES_INIT;
    const bool is_legal = legal_problem(problem, &expected);
    const dcnv4_status status = dcnv4_problem_sizes(problem, &sizes);
    const bool right = status == (is_legal ? DCNV4_SUCCESS : DCNV4_INVALID_PROBLEM);
    if (!right || memcmp(&sizes, &expected, sizeof sizes) != 0) {
        for (int f = 0; f < FIELDS; ++f) {
            int64_t number;
            memcpy(&number, (const char *)problem + fields[f], sizeof number);
            print_error("field %d is %" PRId64 "\n", f, number);
        }
        fail_msg("this problem should be %s; the library says %s: %s", is_legal ? "legal" : "refused",
                 dcnv4_status_name(status), dcnv4_last_message());
    }
    ++*(is_legal ? &legal : &refused);
    count_case();
}

/* Base problems: in each, every field and every pair of fields is then set to every boundary value. */
static dcnv4_problem start(int number) {
    dcnv4_problem p = DCNV4_PROBLEM_INIT;
    p.batch = 2, p.height = 5, p.width = 6, p.groups = 2, p.group_channels = 4;
    p.dtype = number % 4;
    if (number == 5) /* float16 */
        p.offset_mask_dtype = DCNV4_FLOAT32, p.dtype = DCNV4_FLOAT16;
    switch (number) {
    case 1: p.batch = 0; break;
    case 2: p.height = 0, p.pad_h = 0; break;
    case 3: p.width = 0, p.stride_w = 3; break;
    case 4: p.kernel_h = p.kernel_w = 1, p.remove_center = 1; break;
    case 5: p.dilation_h = 2, p.value_stride = 8, p.offset_mask_stride = 100, p.remove_center = 1; break;
    case 6: p.groups = p.group_channels = p.kernel_h = p.kernel_w = p.batch = p.height = p.width = 1; break;
    case 7: p.batch = p.height = p.width = p.pad_h = p.pad_w = 0, p.group_channels = p.kernel_h = p.kernel_w = 1; break;
    }
    return p;
}
enum { STARTS = 8 };

static void every_pair_of_fields(void **state) {
    (void)state;
    legal = refused = 0;
    for (int s = 0; s < STARTS; ++s)
        for (int a = 0; a < FIELDS; ++a)
            for (int b = a; b < FIELDS; ++b)
                for (int i = 0; i < BOUNDARY; ++i)
                    for (int j = 0; j < (a == b ? 1 : BOUNDARY); ++j) {
                        dcnv4_problem problem = start(s);
                        set(&problem, a, boundary[i]);
                        if (a != b)
                            set(&problem, b, boundary[j]);
                        compare(&problem);
                    }
    /* Otherwise one of the answers was hardly tested. */
    assert_true(legal > 1000 && refused > 1000);
}

static void random_fields(void **state) {
    (void)state;
    uint64_t seed = 1;
    legal = refused = 0;
    for (int n = 0; n < 300000; ++n) {
        dcnv4_problem problem = start((int)draw_integer(&seed, 0, STARTS - 1));
        for (int64_t changes = draw_integer(&seed, 1, 6); changes > 0; --changes) {
            const int64_t edge = boundary[draw_integer(&seed, 3, BOUNDARY - 1)];
            const int64_t power = (int64_t)1 << draw_integer(&seed, 0, 62);
            const int64_t number = draw_integer(&seed, 0, 1) ? edge : power + draw_integer(&seed, -1, 1);
            set(&problem, (int)draw_integer(&seed, 0, FIELDS - 1), number);
        }
        compare(&problem);
    }
    assert_true(legal > 1000 && refused > 1000);
}

/* The largest tensor that can be addressed, and one element more. */
static void the_last_byte(void **state) {
    (void)state;
    dcnv4_problem p = DCNV4_PROBLEM_INIT;
    p.kernel_h = p.kernel_w = 1, p.pad_h = p.pad_w = 0, p.offset_mask_row = 3;
    p.batch = p.height = p.group_channels = 1;
    p.dtype = DCNV4_FLOAT16;
    dcnv4_sizes sizes = DCNV4_SIZES_INIT;
    p.width = INT64_MAX / 2 / 3;
    ASSERT_SUCCESS(dcnv4_problem_sizes(&p, &sizes));
    assert_true(sizes.offset_mask == (size_t)p.width * 6);
    ++p.width;
    assert_refused(dcnv4_problem_sizes(&p, &sizes), DCNV4_INVALID_PROBLEM, "offset_mask overflows");
}

static void messages_have_the_numbers(void **state) {
    (void)state;
    dcnv4_sizes sizes = DCNV4_SIZES_INIT;
    dcnv4_problem p;
#define REFUSED(change, text) \
    p = start(0), change, assert_refused(dcnv4_problem_sizes(&p, &sizes), DCNV4_INVALID_PROBLEM, text)
    REFUSED(p.offset_mask_row = 53, "offset_mask row has 53 elements, 3·groups·K = 54 are needed");
    REFUSED(p.batch = -3, "batch is -3, at least 0");
    REFUSED(p.height = INT64_MIN, "height is -9223372036854775808, at least 0");
    REFUSED(p.width = -1, "width is -1, at least 0");
    REFUSED(p.groups = 0, "groups is 0, at least 1");
    REFUSED(p.group_channels = 0, "group_channels is 0, at least 1");
    REFUSED(p.kernel_h = 0, "kernel_h is 0, at least 1");
    REFUSED(p.kernel_w = -7, "kernel_w is -7, at least 1");
    REFUSED(p.stride_h = 0, "stride_h is 0, at least 1");
    REFUSED(p.stride_w = 0, "stride_w is 0, at least 1");
    REFUSED(p.pad_h = -1, "pad_h is -1, at least 0");
    REFUSED(p.pad_w = -2, "pad_w is -2, at least 0");
    REFUSED(p.dilation_h = 0, "dilation_h is 0, at least 1");
    REFUSED(p.dilation_w = 0, "dilation_w is 0, at least 1");
    REFUSED(p.offset_mask_row = -1, "offset_mask_row is -1, at least 0");
    REFUSED(p.value_stride = 7, "value_stride is 7, a pixel's row has 8 elements");
    REFUSED(p.offset_mask_stride = 55, "offset_mask_stride is 55, a pixel's row has 56 elements");
    REFUSED(p.output_stride = 1, "output_stride is 1, a pixel's row has 8 elements");
    REFUSED(p.grad_output_stride = 1, "grad_output_stride is 1");
    REFUSED(p.grad_value_stride = 1, "grad_value_stride is 1");
    REFUSED(p.grad_offset_mask_stride = 1, "grad_offset_mask_stride is 1");
    REFUSED(p.grad_offset_mask_stride = -1, "grad_offset_mask_stride is -1");
    REFUSED(p.kernel_h = 8, "the kernel spans 8 rows, the padded input has 7");
    REFUSED((p.kernel_w = 5, p.dilation_w = 2), "the kernel spans 9 columns, the padded input has 8");
    REFUSED(p.dtype = 4, "dtype is 4, known are 0 to 3");
    REFUSED(p.dtype = -1, "dtype is -1");
    REFUSED(p.remove_center = 2, "remove_center is 2, it must be 0 or 1");
    REFUSED(p.softmax = -1, "softmax is -1");
    REFUSED(p.deterministic = 3, "deterministic is 3");
    REFUSED(p.forward_only = INT32_MIN, "forward_only is -2147483648");
    REFUSED(p.reserved = 1, "reserved is 1, it must be 0");
    REFUSED(p.reserved_2 = -1, "reserved_2 is -1, it must be 0");
    REFUSED(p.offset_mask_dtype = 4, "offset_mask_dtype is 4, known are -1 and 0 to 3");
    REFUSED(p.offset_mask_dtype = DCNV4_FLOAT16, "offset_mask_dtype is 1 beside dtype 0");
    REFUSED((p.dtype = DCNV4_FLOAT64, p.offset_mask_dtype = DCNV4_FLOAT32), "offset_mask_dtype is 0 beside dtype 3");
    REFUSED((p.dtype = DCNV4_BFLOAT16, p.offset_mask_dtype = DCNV4_FLOAT16), "offset_mask_dtype is 1 beside dtype 2");
#undef REFUSED
}

static void any_offset_scale_is_legal(void **state) {
    (void)state;
    const double scales[] = {0, -0.0, -3, 1e308, 1e-320, INFINITY, -INFINITY, NAN};
    for (size_t i = 0; i < sizeof scales / sizeof *scales; ++i) {
        dcnv4_problem problem = start(0);
        dcnv4_sizes sizes = DCNV4_SIZES_INIT;
        problem.offset_scale = scales[i];
        ASSERT_SUCCESS(dcnv4_problem_sizes(&problem, &sizes));
        count_case();
    }
}

static void nulls_are_refused(void **state) {
    (void)state;
    dcnv4_problem problem = start(0);
    dcnv4_sizes sizes = DCNV4_SIZES_INIT;
    assert_refused(dcnv4_problem_sizes(NULL, &sizes), DCNV4_INVALID_ARGUMENT, "problem is NULL");
    assert_refused(dcnv4_problem_sizes(&problem, NULL), DCNV4_INVALID_ARGUMENT, "sizes is NULL");
}

/* A later version's longer struct works as long as its new members are 0. One shorter than the first version's is
 * refused. The library never writes past the size that the caller gave. */
static void structs_are_versioned(void **state) {
    (void)state;
    union {
        dcnv4_problem known;
        unsigned char bytes[sizeof(dcnv4_problem) + 64];
    } later;
    memset(&later, 0, sizeof later);
    later.known = start(0);
    later.known.size = sizeof later;
    dcnv4_sizes sizes = DCNV4_SIZES_INIT;
    ASSERT_SUCCESS(dcnv4_problem_sizes(&later.known, &sizes));
    for (size_t i = sizeof(dcnv4_problem); i < sizeof later; ++i) {
        later.bytes[i] = 1;
        assert_refused(dcnv4_problem_sizes(&later.known, &sizes), DCNV4_UNSUPPORTED, "dcnv4_problem.size is");
        later.bytes[i] = 0;
    }
    for (size_t size = 0; size < sizeof(dcnv4_problem); ++size) {
        later.known.size = size;
        if (size == offsetof(dcnv4_problem, offset_mask_dtype)) /* the first version */
            ASSERT_SUCCESS(dcnv4_problem_sizes(&later.known, &sizes));
        else
            assert_refused(dcnv4_problem_sizes(&later.known, &sizes), DCNV4_INVALID_ARGUMENT,
                           "start from its _INIT macro");
    }
    union {
        dcnv4_sizes known;
        unsigned char bytes[sizeof(dcnv4_sizes) + 64];
    } answer;
    memset(&answer, UCHAR_MAX, sizeof answer);
    answer.known.size = sizeof answer;
    const dcnv4_problem problem = start(0);
    ASSERT_SUCCESS(dcnv4_problem_sizes(&problem, &answer.known));
    assert_int_equal(answer.known.channels, 8);
    assert_int_equal(answer.known.size, sizeof answer);
    for (size_t size = 0; size < sizeof(dcnv4_sizes); ++size) {
        sizes.size = size;
        assert_refused(dcnv4_problem_sizes(&problem, &sizes), DCNV4_INVALID_ARGUMENT, "dcnv4_sizes.size is");
    }
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_pair_of_fields),
        cmocka_unit_test(random_fields),
        cmocka_unit_test(the_last_byte),
        cmocka_unit_test(messages_have_the_numbers),
        cmocka_unit_test(any_offset_scale_is_legal),
        cmocka_unit_test(nulls_are_refused),
        cmocka_unit_test(structs_are_versioned),
    };
    return HARNESS_RUN(argc, argv, tests);
}
