/* An operator's part of the reference: its formula in scalar float64 arithmetic. */
#ifndef DCNV4I_REFERENCE_H
#define DCNV4I_REFERENCE_H

#include "../../core/operator.h"

typedef struct dcnv4i_reference_operator {
    const dcnv4i_operator *op;
    /* DCNV4_UNSUPPORTED for a problem whose workspace would be past what can be addressed. */
    dcnv4_status (*check)(const dcnv4i_problem *problem);
    size_t (*workspace_size)(const dcnv4i_problem *problem, dcnv4_pass pass);
    /* Addresses of the tensors in the operator's order; those that the pass does not use are arbitrary. */
    dcnv4_status (*run)(const dcnv4i_problem *problem, dcnv4_pass pass, void *const tensors[DCNV4I_MAX_TENSORS],
                        void *workspace);
} dcnv4i_reference_operator;

#endif
