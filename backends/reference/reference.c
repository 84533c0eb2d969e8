/* The reference backend: each operator in scalar float64 arithmetic, which the other backends are compared with. */
#include "reference.h"
#include "../../core/backend.h"

#include <string.h>

#define DCNV4I_OPERATOR(name) extern const dcnv4i_reference_operator dcnv4i_reference_##name;
#include "../../core/operators.def"
#undef DCNV4I_OPERATOR

static const dcnv4i_reference_operator *const operators[] = {
#define DCNV4I_OPERATOR(name) &dcnv4i_reference_##name,
#include "../../core/operators.def"
#undef DCNV4I_OPERATOR
};

/* ---- Devices ----------------------------------------------------------------------------------------------------- */

static int64_t device_count(void) {
    return 1;
}

static void device_describe(const void *device, dcnv4_device_info *info) {
    (void)device;
    strcpy(info->name, "reference");
    strcpy(info->backend, "reference");
    strcpy(info->description, "scalar float64 arithmetic, the measure of the others");
    info->available = 1;
    info->units = 1;
}

static void device_info(int64_t index, dcnv4_device_info *info) {
    (void)index;
    device_describe(NULL, info);
}

static bool automatic(void) {
    return false;
}

static dcnv4_status device_open(const char *selector, void **device) {
    if (*selector)
        return dcnv4i_fail(DCNV4_INVALID_ARGUMENT, "there is no device \"reference:%.64s\", only \"reference\"",
                           selector);
    *device = NULL;
    return DCNV4_SUCCESS;
}

static void device_close(void *device) {
    (void)device;
}

/* ---- Programs: a program is its problem -------------------------------------------------------------------------- */

static const dcnv4i_reference_operator *find(const dcnv4i_operator *op) {
    for (size_t i = 0; i < sizeof operators / sizeof *operators; ++i)
        if (operators[i]->op == op)
            return operators[i];
    return NULL;
}

static dcnv4_status program_create(void *device, const dcnv4i_problem *problem, void **program) {
    (void)device;
    const dcnv4i_reference_operator *const op = find(problem->op);
    if (!op)
        return dcnv4i_fail(DCNV4_UNSUPPORTED, "the reference lacks the operator %s", problem->op->name);
    const dcnv4_status status = op->check(problem);
    if (status == DCNV4_SUCCESS)
        *program = (void *)problem;
    return status;
}

static void program_destroy(void *program) {
    (void)program;
}

static size_t workspace_size(const void *program, dcnv4_pass pass) {
    const dcnv4i_problem *problem = program;
    return find(problem->op)->workspace_size(problem, pass);
}

static dcnv4_status run(const void *program, dcnv4_pass pass, const dcnv4i_buffers *buffers, void *stream) {
    (void)stream;
    const dcnv4i_problem *problem = program;
    void *tensors[DCNV4I_MAX_TENSORS];
    for (int i = 0; i < DCNV4I_MAX_TENSORS; ++i)
        tensors[i] = dcnv4i_host_pointer(&buffers->tensors[i]);
    return find(problem->op)->run(problem, pass, tensors, dcnv4i_host_pointer(&buffers->workspace));
}

const dcnv4i_backend dcnv4i_backend_reference = {
    .name = "reference",
    .on_host = true,
    .pointer_handles = true,
    .device_count = device_count,
    .device_info = device_info,
    .automatic = automatic,
    .device_open = device_open,
    .device_close = device_close,
    .device_describe = device_describe,
    .program_create = program_create,
    .program_destroy = program_destroy,
    .workspace_size = workspace_size,
    .run = run,
};
