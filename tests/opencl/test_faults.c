/* A driver that fails its n-th call, for every n and with every error: a named status each time, nothing leaks, and the
 * context is usable afterwards or marked lost. */
#include "../fakes/faults.h"
#include "../../backends/opencl/opencl_api.h"

static const dcnv4i_opencl_api *driver(void) {
    const dcnv4i_opencl_api *api = NULL;
    ASSERT_SUCCESS(dcnv4i_opencl_load(&api));
    return api;
}

static void *queue; /* stands for a caller's */

/* Forward, and backward that waits for its event. */
static dcnv4_status play(const fault_scene *s) {
    void *event = NULL, *second = NULL;
    dcnv4_opencl_stream stream = DCNV4_OPENCL_STREAM_INIT;
    stream.queue = queue, stream.event = &event;
    dcnv4_status status = fault_run(s, DCNV4_PASS_FORWARD, &stream);
    if (status == DCNV4_SUCCESS) {
        stream.wait_count = 1, stream.wait_list = &event, stream.event = &second;
        status = fault_run(s, DCNV4_PASS_BACKWARD, &stream);
    }
    if (event)
        driver()->clReleaseEvent(event);
    if (second)
        driver()->clReleaseEvent(second);
    return status;
}

static const int32_t errors[] = {-1, -2, -3, -4, -5, -6, -11, -14, -30, -34, -36, -38, -42, -46, -58, -61, -9999};

static fault_target target(void) {
    return (fault_target){.device = "opencl:0",
                          .control = fault_control("libOpenCL.so.1"),
                          .errors = errors,
                          .error_count = sizeof errors / sizeof *errors,
                          .play = play};
}

static void every_fault_of(const fault_layer layer) {
    const fault_target opencl = target();
    if (!queue)
        queue = driver()->clCreateCommandQueue(driver()->clCreateContext(NULL, 1, NULL, NULL, NULL, NULL), NULL, 0,
                                               NULL);
    every_fault(&opencl, &layer);
}

static void every_fault_in_float16(void **state) {
    (void)state;
    every_fault_of(fault_conv(DCNV4_FLOAT16, 0));
}

static void every_fault_in_float32(void **state) {
    (void)state;
    every_fault_of(fault_conv(DCNV4_FLOAT32, 1));
}

/* With the clear and convert kernels of atomic sums; with the tiles' bounds. */
static void every_fault_of_attention(void **state) {
    (void)state;
    every_fault_of(fault_attention(DCNV4_FLOAT16, 0));
    every_fault_of(fault_attention(DCNV4_FLOAT32, 1));
}

static void build_log(void **state) {
    (void)state;
    const fault_target opencl = target();
    build_log_is_told(&opencl, -11);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_fault_in_float16),
        cmocka_unit_test(every_fault_in_float32),
        cmocka_unit_test(every_fault_of_attention),
        cmocka_unit_test(build_log),
    };
    return HARNESS_RUN(argc, argv, tests);
}
