/* compile_layers TARGET DTYPE: compiles a layer of each operator for a target without a device, into DCNV4_CACHE_DIR. Exits with 77 if there is no compiler. */
#include <dcnv4/dcnv4.h>

#include <stdio.h>
#include <string.h>

static dcnv4_status compile_deform_conv(dcnv4_context *context, int32_t dtype) {
    dcnv4_problem problem = DCNV4_PROBLEM_INIT;
    dcnv4_plan *plan = NULL;
    problem.height = problem.width = 8, problem.groups = 2, problem.group_channels = 16;
    problem.dtype = dtype, problem.softmax = dtype == DCNV4_FLOAT16;
    const dcnv4_status status = dcnv4_plan_create(context, &problem, &plan);
    dcnv4_plan_destroy(plan);
    return status;
}

static dcnv4_status compile_attention(dcnv4_context *context, int32_t dtype) {
    static const dcnv4_msda_level levels[] = {{8, 8, 0, 4}, {4, 4, 64, 4}};
    dcnv4_msda_problem problem = DCNV4_MSDA_PROBLEM_INIT;
    dcnv4_plan *plan = NULL;
    problem.levels = levels, problem.level_count = 2, problem.value_length = 80, problem.queries = 8;
    problem.batch = 1, problem.heads = 2, problem.head_channels = 16;
    problem.dtype = dtype, problem.softmax = dtype != DCNV4_FLOAT32;
    const dcnv4_status status = dcnv4_msda_plan_create(context, &problem, &plan);
    dcnv4_plan_destroy(plan);
    return status;
}

int main(int argc, char **argv) {
    static const char *const names[] = {[DCNV4_FLOAT32] = "f32", [DCNV4_FLOAT16] = "f16", [DCNV4_BFLOAT16] = "bf16"};
    char device[64];
    dcnv4_context *context = NULL;
    int32_t dtype = DCNV4_FLOAT32;
    if (argc != 3)
        return 2;
    while (dtype < DCNV4_BFLOAT16 && strcmp(names[dtype], argv[2]) != 0)
        ++dtype;
    snprintf(device, sizeof device, "cuda:%s", argv[1]);
    dcnv4_status status = dcnv4_context_create(device, &context);
    if (status == DCNV4_SUCCESS)
        status = compile_deform_conv(context, dtype);
    if (status == DCNV4_SUCCESS)
        status = compile_attention(context, dtype);
    if (status != DCNV4_SUCCESS)
        fprintf(stderr, "%s\n", dcnv4_last_message());
    dcnv4_context_destroy(context);
    return status == DCNV4_SUCCESS ? 0 : status == DCNV4_COMPILER_UNAVAILABLE ? 77 : 1;
}
