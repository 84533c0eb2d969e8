/* The floating-point environment that the library works in: the default one. The caller may round otherwise, flush
 * subnormals or trap exceptions: neither results nor sizes nor kernels' texts may depend on it, threads that the library or
 * a driver starts inherit it, and exceptions that are raised in here are none of the caller's. */
#ifndef DCNV4I_ENVIRONMENT_H
#define DCNV4I_ENVIRONMENT_H

#include <fenv.h>
#include <stdbool.h>

typedef struct dcnv4i_environment {
    bool usual;     /* it differs from the default one in flags alone, … */
    unsigned flags; /* … these; see environment.c */
    fenv_t whole;   /* else: all of it */
} dcnv4i_environment;

/* Enters the default environment; *callers is what there was. */
void dcnv4i_environment_enter(dcnv4i_environment *callers);

/* Goes back to the caller's, its exception flags as they were. */
void dcnv4i_environment_leave(const dcnv4i_environment *callers);

/* Does a statement, which must not return, in the default environment. */
#define DCNV4I_IN_DEFAULT_ENVIRONMENT(statement) \
    do {                                         \
        dcnv4i_environment callers_;             \
        dcnv4i_environment_enter(&callers_);     \
        statement;                               \
        dcnv4i_environment_leave(&callers_);     \
    } while (0)

#endif
