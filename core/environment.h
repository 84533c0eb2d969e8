/* The library works in the default floating-point environment. The caller's may round differently, flush subnormals or
 * trap exceptions: results, sizes and kernels' texts must not depend on that, threads started by the library or a
 * driver inherit it, and exceptions raised in here must not reach the caller. */
#ifndef DCNV4I_ENVIRONMENT_H
#define DCNV4I_ENVIRONMENT_H

#include "platform.h"

typedef struct dcnv4i_environment {
    bool usual;            /* the caller's differs from the default only in flags; see environment.c */
    unsigned flags;        /* the caller's MXCSR, with its flags */
    dcnv4i_fp_state whole; /* if not usual: the whole environment */
} dcnv4i_environment;

/* Saves the caller's environment in *callers and enters the default one. */
void dcnv4i_environment_enter(dcnv4i_environment *callers);

/* Restores the caller's environment, with its exception flags as they were. */
void dcnv4i_environment_leave(const dcnv4i_environment *callers);

/* Executes a statement, which must not return, in the default environment. */
#define DCNV4I_IN_DEFAULT_ENVIRONMENT(statement) \
    do {                                         \
        dcnv4i_environment callers_;             \
        dcnv4i_environment_enter(&callers_);     \
        statement;                               \
        dcnv4i_environment_leave(&callers_);     \
    } while (0)

#endif
