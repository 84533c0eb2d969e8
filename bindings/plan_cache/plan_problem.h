/* Within plan_cache: tensors as problems, and messages. */
#ifndef DCNV4_PLAN_PROBLEM_H
#define DCNV4_PLAN_PROBLEM_H

#include "plan_cache.h"

#include <stdbool.h>

/* Writes the message of PLAN_MESSAGE bytes, and returns status. */
#if defined(__GNUC__)
__attribute__((format(printf, 3, 4)))
#endif
dcnv4_status
plan_refuse(char *message, dcnv4_status status, const char *format, ...);

/* The same with the library's own sentence, after one of its calls has failed. */
dcnv4_status plan_refused(char *message, dcnv4_status status);

/* Whether a pass uses a tensor. */
bool plan_uses(bool attention, dcnv4_pass pass, int index);

/* Check a call, and fill in all of the problem that follows from its tensors. */
dcnv4_status plan_conv_problem(dcnv4_problem *problem, dcnv4_pass pass, const plan_tensor *tensors, char *message);
dcnv4_status plan_attention_problem(dcnv4_msda_problem *problem, dcnv4_pass pass, const plan_tensor *tensors,
                                    char *message);

#endif
