/* forward and backward convert tensors whose dtype differs, and no others. The linker redirects dcnv4_convert here. */
#include "../../tools/cli/commands.h"
#include "command_run.h"

#include <stdio.h>
#include <string.h>

static int conversions;

dcnv4_status __real_dcnv4_convert(int32_t from, const void *source, int32_t to, void *target, size_t count);
dcnv4_status __wrap_dcnv4_convert(int32_t from, const void *source, int32_t to, void *target, size_t count);
dcnv4_status __wrap_dcnv4_convert(int32_t from, const void *source, int32_t to, void *target, size_t count) {
    ++conversions;
    return __real_dcnv4_convert(from, source, to, target, count);
}

static void assert_conversions(const char *line, const char *dtype, int expected) {
    char copy[512], *words[64], *rest = copy;
    int count = 0;
    dcnv4i_settings settings;
    dcnv4i_request wish;
    snprintf(copy, sizeof copy, "dcnv4 %s %s", line, dtype);
    for (char *word; (word = strtok_r(rest, " ", &rest));)
        words[count++] = word;
    assert_int_equal(dcnv4i_options_parse(count, words, &wish, &settings), DCNV4I_DONE);
    conversions = 0;
    assert_int_equal(dcnv4i_run_pass(&settings), DCNV4I_DONE);
    if (conversions != expected)
        fail_msg("dcnv4 %s %s converts %d tensors, not %d", line, dtype, conversions, expected);
    count_case();
}

static void tensors_that_differ(void **state) {
    (void)state;
    static const char forward[] = "forward --value v.npy --offset-mask om.npy --groups 2 --device cpu --output o.npy",
                      backward[] = "backward --value v.npy --offset-mask om.npy --grad-output go.npy --groups 2 "
                                   "--device cpu --grad-value gv.npy --grad-offset-mask gom.npy";
    static const int64_t value_shape[4] = {1, 5, 4, 8}, row_shape[4] = {1, 5, 4, 56};
    static const int32_t dtypes[] = {DCNV4_FLOAT16, DCNV4_FLOAT32, DCNV4_FLOAT64};
    static const char *const same[] = {"--dtype f16", "--dtype f32", "--dtype f64"};
    enter_folder();
    for (int i = 0; i < 3; ++i) {
        write_tensor("v.npy", dtypes[i], value_shape, 1);
        write_tensor("om.npy", dtypes[i], row_shape, 2);
        write_tensor("go.npy", dtypes[i], value_shape, 3);
        assert_conversions(forward, "", 0);
        assert_conversions(backward, "", 0);
        assert_conversions(forward, same[i], 0);
        assert_conversions(backward, same[i], 0);
        assert_conversions(forward, same[(i + 1) % 3], 2); /* the inputs */
        assert_conversions(backward, same[(i + 1) % 3], 3);
        assert_conversions(forward, "--dtype bf16", 3); /* and the results, which are float32 in a file */
        assert_conversions(backward, "--dtype bf16", 5);
    }
    leave_folder();
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(tensors_that_differ)};
    return HARNESS_RUN(argc, argv, tests);
}
