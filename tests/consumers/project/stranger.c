/* Another project's program: one run on the cpu. Prints the library's version. It is compiled as C and as C++. */
#include <dcnv4/dcnv4.h>

#include <stdio.h>

int main(void) {
    static float value[5 * 4 * 2], offset_mask[5 * 4 * 32], output[5 * 4 * 2];
    dcnv4_problem problem = DCNV4_PROBLEM_INIT;
    dcnv4_buffers buffers = DCNV4_BUFFERS_INIT;
    dcnv4_context *context = NULL;
    dcnv4_plan *plan = NULL;
    float sum = 0;
    int i, failed;
    problem.batch = 1;
    problem.height = 5;
    problem.width = 4;
    problem.group_channels = 2;
    for (i = 0; i < 5 * 4 * 2; ++i)
        value[i] = 1;
    for (i = 0; i < 5 * 4; ++i)
        offset_mask[32 * i + 18 + 4] = 0.5f; /* the weight of the middle point */
    buffers.value = dcnv4_host_buffer(value, sizeof value);
    buffers.offset_mask = dcnv4_host_buffer(offset_mask, sizeof offset_mask);
    buffers.output = dcnv4_host_buffer(output, sizeof output);
    failed = dcnv4_context_create("cpu", &context) || dcnv4_plan_create(context, &problem, &plan) ||
             dcnv4_forward(plan, &buffers, NULL);
    for (i = 0; i < 5 * 4 * 2; ++i)
        sum += output[i];
    if (failed)
        fprintf(stderr, "%s\n", dcnv4_last_message());
    printf("dcnv4 %s: %g\n", dcnv4_version(), (double)sum);
    dcnv4_plan_destroy(plan);
    dcnv4_context_destroy(context);
    return failed || sum != 20;
}
