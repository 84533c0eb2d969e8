/* An operator's functions for the cpu backend: a table dcnv4i_cpu_NAME for each line of core/operators.def, in a folder
 * of that name, with its kernels: one file NAME_SET.c for each instruction set, and NAME_float64.c. */
#ifndef DCNV4I_CPU_OPERATOR_H
#define DCNV4I_CPU_OPERATOR_H

#include "../../core/backend.h"
#include "instruction_sets.h"
#include "pool.h"

typedef struct dcnv4i_cpu_device {
    dcnv4i_instruction_set_id instruction_set; /* the best to use */
    bool pinned;                               /* the caller named it */
    dcnv4i_pool *pool;
} dcnv4i_cpu_device;

/* The functions have the contracts of dcnv4i_backend's. */
typedef struct dcnv4i_cpu_operator {
    const dcnv4i_operator *op;
    dcnv4_status (*program_create)(const dcnv4i_cpu_device *device, const dcnv4i_problem *problem, void **program);
    void (*program_destroy)(void *program);
    size_t (*workspace_size)(const void *program, dcnv4_pass pass);
    dcnv4_status (*run)(const void *program, dcnv4_pass pass, const dcnv4i_buffers *buffers);
} dcnv4i_cpu_operator;

#endif
