/* What the tests of drivers that fail share: a driver that fails its n-th call, for every n and with every error. */
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

/* The control of the library of this name, which a driver's loader finds; and one of its functions. */
fake_control *fault_control(const char *library);
void fault_entry(const char *library, const char *name, void *entry);

dcnv4_status fault_prepare(const fault_target *target, const dcnv4_problem *problem, fault_scene *scene);
void fault_finish(fault_scene *scene);

/* A small problem that every part of a run is needed for. */
dcnv4_problem fault_problem(int32_t dtype, int32_t deterministic);

/* Each gives a named status and a message, leaves nothing behind, and the context runs afterwards or says that it is lost. */
void every_fault(const fault_target *target, const dcnv4_problem *problem);

/* The compiler's own words reach the caller: error is its refusal. */
void build_log_is_told(const fault_target *target, int32_t error);

#endif
