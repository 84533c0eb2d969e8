/* Calls of both operators on one plan_cache of the process: for the Python package, through ctypes, and for the bindings that
 * are compiled into the same library. SPDX-License-Identifier: MIT */
#ifndef DCNV4_CALLS_H
#define DCNV4_CALLS_H

#include "../plan_cache/plan_cache.h"

#ifdef _WIN32
#define CALLS_API __declspec(dllexport)
#elif defined(__GNUC__)
#define CALLS_API __attribute__((visibility("default")))
#else
#define CALLS_API
#endif

/* The cache, made at the first call and never destroyed; NULL without memory. */
CALLS_API plan_cache *dcnv4_calls_cache(void);

/* Finds the plan and runs it: see plan_conv_find and plan_run. */
CALLS_API int32_t dcnv4_calls_conv(const dcnv4_problem *layer, const plan_tensor *tensors, plan_call *call,
                                   void *stream);
CALLS_API int32_t dcnv4_calls_attention(const dcnv4_msda_problem *layer, const plan_tensor *tensors, plan_call *call,
                                        void *stream);

/* Only the output's shape: see plan_conv_output. */
CALLS_API int32_t dcnv4_calls_conv_output(const dcnv4_problem *layer, const plan_tensor *tensors, int64_t *shape,
                                          plan_call *call);
CALLS_API int32_t dcnv4_calls_attention_output(const dcnv4_msda_problem *layer, const plan_tensor *tensors,
                                               int64_t *shape, plan_call *call);

/* The same for tensors in host memory on a device that has its own: inputs are copied there and results back, and the
 * call waits for the device. */
CALLS_API int32_t dcnv4_calls_conv_copied(const dcnv4_problem *layer, const plan_tensor *tensors, plan_call *call);
CALLS_API int32_t dcnv4_calls_attention_copied(const dcnv4_msda_problem *layer, const plan_tensor *tensors,
                                               plan_call *call);

/* On NumPy's arrays: pointers to the objects, NULL for those that are not there, with their dtypes; head is how many bytes
 * every object of this Python begins with. copied: for a device with memory of its own. DCNV4_UNSUPPORTED also for an array
 * that has to be copied first. */
CALLS_API int32_t dcnv4_calls_arrays(int32_t attention, const void *layer, const char *const *objects,
                                     const int32_t *dtypes, size_t head, int32_t copied, plan_call *call);

#endif
