/* Shared by the tests of failing drivers: a driver fails its n-th call, for every n and with every error. */
#ifndef TESTS_FAULTS_H
#define TESTS_FAULTS_H

#include "../support/harness.h"
#include "fake_calls.h"

/* A context, a plan and its buffers. */
typedef struct fault_scene {
    dcnv4_context *context;
    dcnv4_plan *plan;
    dcnv4_buffers buffers;
} fault_scene;

typedef struct fault_target {
    const char *device;
    fake_control *control;
    const int32_t *errors;
    size_t error_count;
    /* (optional) Runs the plan on a stream of the caller's, up to the first failure. */
    dcnv4_status (*play)(const fault_scene *scene);
    /* (optional) Fails the test unless the calling thread's current device is what it was. */
    void (*check_current)(void);
} fault_target;

/* The control of the library that the loader finds under this name; and one of its functions. */
fake_control *fault_control(const char *library);
void fault_entry(const char *library, const char *name, void *entry);

dcnv4_status fault_prepare(const fault_target *target, const dcnv4_problem *problem, fault_scene *scene);
void fault_finish(fault_scene *scene);

/* A small problem that takes every part of a run. */
dcnv4_problem fault_problem(int32_t dtype, int32_t deterministic);

/* Each fault gives a named status and a message, and leaks nothing; the context runs afterwards or reports that it is
 * lost. */
void every_fault(const fault_target *target, const dcnv4_problem *problem);

/* The compiler's log reaches the caller; error is the status of a failed compilation. */
void build_log_is_told(const fault_target *target, int32_t error);

#endif
