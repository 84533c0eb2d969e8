/* Shared by the tests of failing drivers: a driver fails its n-th call, for every n and with every error. */
#ifndef TESTS_FAULTS_H
#define TESTS_FAULTS_H

#include "../support/harness.h"
#include "fake_calls.h"

#include <dcnv4/ms_deform_attn.h>

/* A small problem of one of the operators, which takes every part of a run. */
typedef struct fault_layer {
    bool attention;
    dcnv4_problem conv;
    dcnv4_msda_problem attn;
} fault_layer;

fault_layer fault_conv(int32_t dtype, int32_t deterministic);
fault_layer fault_attention(int32_t dtype, int32_t deterministic);

/* A context, a plan of a layer, and its buffers: those of its operator. */
typedef struct fault_scene {
    const fault_layer *layer;
    dcnv4_context *context;
    dcnv4_plan *plan;
    dcnv4_buffers conv;
    dcnv4_msda_buffers attn;
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

dcnv4_status fault_plan(dcnv4_context *context, const fault_layer *layer, dcnv4_plan **plan);
dcnv4_status fault_prepare(const fault_target *target, const fault_layer *layer, fault_scene *scene);
dcnv4_status fault_run(const fault_scene *scene, dcnv4_pass pass, void *stream);
void fault_finish(fault_scene *scene);

/* Each fault gives a named status and a message of one sentence, and leaks nothing; the context runs afterwards or reports that it
 * is lost. */
void every_fault(const fault_target *target, const fault_layer *layer);

/* The compiler's log reaches the caller; error is the status of a failed compilation. */
void build_log_is_told(const fault_target *target, int32_t error);

#endif
