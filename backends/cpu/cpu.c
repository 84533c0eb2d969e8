/* The cpu backend: devices with their threads and instruction sets. Programs are the operators' own. */
#include "cpu_operator.h"
#include "../../core/platform.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DCNV4I_OPERATOR(name) extern const dcnv4i_cpu_operator dcnv4i_cpu_##name;
#include "../../core/operators.def"
#undef DCNV4I_OPERATOR

static const dcnv4i_cpu_operator *const operators[] = {
#define DCNV4I_OPERATOR(name) &dcnv4i_cpu_##name,
#include "../../core/operators.def"
#undef DCNV4I_OPERATOR
};

typedef struct cpu_program {
    const dcnv4i_cpu_operator *functions;
    void *program; /* the operator's own */
} cpu_program;

/* ---- Devices ----------------------------------------------------------------------------------------------------- */

static int64_t device_count(void) {
    return 1;
}

static const char *name_of(int instruction_set) {
    return dcnv4i_instruction_sets[instruction_set].name;
}

/* The best instruction set that this processor has, or the one of this name; −1 if it lacks that. */
static int find_instruction_set(const char *name) {
    for (int i = DCNV4I_INSTRUCTION_SETS - 1; i >= 0; --i)
        if (dcnv4i_instruction_sets[i].supported() && (*name == 0 || strcmp(name, name_of(i)) == 0))
            return i;
    return -1;
}

static void list_instruction_sets(char *text, size_t size) {
    text[0] = 0;
    for (int i = DCNV4I_INSTRUCTION_SETS - 1; i >= 0; --i)
        if (dcnv4i_instruction_sets[i].supported())
            snprintf(text + strlen(text), size - strlen(text), "%s%s", *text ? ", " : "", name_of(i));
}

static void describe(int instruction_set, bool pinned, int threads, dcnv4_device_info *info) {
    const char *const name = name_of(instruction_set);
    snprintf(info->name, sizeof info->name, pinned ? "cpu:%s" : "cpu", name);
    strcpy(info->backend, "cpu");
    snprintf(info->description, sizeof info->description, "this machine's processors, with %s instructions", name);
    list_instruction_sets(info->features, sizeof info->features);
    info->available = 1;
    info->units = threads;
}

static void device_info(int64_t index, dcnv4_device_info *info) {
    (void)index;
    describe(find_instruction_set(""), false, dcnv4i_processors(), info);
}

static bool automatic(void) {
    return true;
}

static dcnv4_status device_open(const char *selector, void **device) {
    const int instruction_set = find_instruction_set(selector);
    if (instruction_set < 0) {
        char known[128];
        list_instruction_sets(known, sizeof known);
        return dcnv4i_fail(DCNV4_DEVICE_UNAVAILABLE, "this processor has no \"cpu:%.32s\"; it has %s", selector, known);
    }
    dcnv4i_cpu_device *made = calloc(1, sizeof *made);
    if (!made)
        return dcnv4i_fail(DCNV4_OUT_OF_MEMORY, "no memory for a device of %zu bytes", sizeof *made);
    made->instruction_set = (dcnv4i_instruction_set_id)instruction_set;
    made->pinned = *selector != 0;
    const dcnv4_status status = dcnv4i_pool_create(0, &made->pool);
    if (status == DCNV4_SUCCESS)
        *device = made;
    else
        free(made);
    return status;
}

static void device_close(void *device) {
    dcnv4i_cpu_device *cpu = device;
    dcnv4i_pool_destroy(cpu->pool);
    free(cpu);
}

static void device_describe(const void *device, dcnv4_device_info *info) {
    const dcnv4i_cpu_device *cpu = device;
    describe((int)cpu->instruction_set, cpu->pinned, dcnv4i_pool_threads(cpu->pool), info);
}

static dcnv4_status device_set_threads(void *device, int32_t threads) {
    dcnv4i_cpu_device *cpu = device;
    return dcnv4i_pool_resize(cpu->pool, threads);
}

/* ---- Programs ---------------------------------------------------------------------------------------------------- */

static const dcnv4i_cpu_operator *find(const dcnv4i_operator *op) {
    for (size_t i = 0; i < sizeof operators / sizeof *operators; ++i)
        if (operators[i]->op == op)
            return operators[i];
    return NULL;
}

static dcnv4_status program_create(void *device, const dcnv4i_problem *problem, void **program) {
    const dcnv4i_cpu_operator *const functions = find(problem->op);
    if (!functions)
        return dcnv4i_fail(DCNV4_UNSUPPORTED, "the cpu lacks the operator %s", problem->op->name);
    cpu_program *made = calloc(1, sizeof *made);
    if (!made)
        return dcnv4i_fail(DCNV4_OUT_OF_MEMORY, "no memory for a program of %zu bytes", sizeof *made);
    made->functions = functions;
    const dcnv4_status status = made->functions->program_create(device, problem, &made->program);
    if (status == DCNV4_SUCCESS)
        *program = made;
    else
        free(made);
    return status;
}

static void program_destroy(void *program) {
    cpu_program *cpu = program;
    cpu->functions->program_destroy(cpu->program);
    free(cpu);
}

static size_t workspace_size(const void *program, dcnv4_pass pass) {
    const cpu_program *cpu = program;
    return cpu->functions->workspace_size(cpu->program, pass);
}

static dcnv4_status run(const void *program, dcnv4_pass pass, const dcnv4i_buffers *buffers, void *stream) {
    (void)stream;
    const cpu_program *cpu = program;
    return cpu->functions->run(cpu->program, pass, buffers);
}

const dcnv4i_backend dcnv4i_backend_cpu = {
    .name = "cpu",
    .on_host = true,
    .pointer_handles = true,
    .device_count = device_count,
    .device_info = device_info,
    .automatic = automatic,
    .device_open = device_open,
    .device_close = device_close,
    .device_describe = device_describe,
    .device_set_threads = device_set_threads,
    .program_create = program_create,
    .program_destroy = program_destroy,
    .workspace_size = workspace_size,
    .run = run,
};
