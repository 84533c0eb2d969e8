/* Which instruction sets there are kernels for, and which of them this processor has. */
#ifndef DCNV4I_CPU_INSTRUCTION_SETS_H
#define DCNV4I_CPU_INSTRUCTION_SETS_H

#include "rows.h"

#include <stdbool.h>

/* DCNV4I_portable = 0, …: also the index into an operator's table of kernels. */
typedef enum dcnv4i_instruction_set_id {
#define DCNV4I_INSTRUCTION_SET(name) DCNV4I_##name,
#include "instruction_sets.def"
#undef DCNV4I_INSTRUCTION_SET
    DCNV4I_INSTRUCTION_SETS
} dcnv4i_instruction_set_id;

typedef struct dcnv4i_instruction_set {
    const char *name;
    bool (*supported)(void);                /* by this processor */
    const dcnv4i_rows *rows_f32, *rows_f64; /* for dtypes that are computed in float, and for float64 */
} dcnv4i_instruction_set;

extern const dcnv4i_instruction_set dcnv4i_instruction_sets[DCNV4I_INSTRUCTION_SETS];

/* The conversions of a dtype for this instruction set. */
const dcnv4i_rows *dcnv4i_rows_for(dcnv4i_instruction_set_id id, int32_t dtype);

#endif
