/* Shapes, strides, dtypes, device and flags → a plan, for bindings: what a framework says of a call on one side,
 * libdcnv4's plans and buffers on the other. It is compiled into each binding, and uses the public headers alone.
 * SPDX-License-Identifier: MIT
 *
 *     plan_tensor tensors[PLAN_CONV_TENSORS] = {{0}};
 *     … fill in value, offset_mask and output …
 *     plan_call call = {.device = "cpu", .pass = DCNV4_PASS_FORWARD};
 *     dcnv4_status status = plan_conv_find(cache, &layer, tensors, &call);
 *     if (status == DCNV4_SUCCESS) status = plan_run(&call, tensors, workspace, stream);
 *     if (status != DCNV4_SUCCESS) … call.message is one sentence …
 *
 * Every function may be called from any number of threads at once, but plan_cache_destroy.
 */
#ifndef DCNV4_PLAN_CACHE_H
#define DCNV4_PLAN_CACHE_H

#include <dcnv4/dcnv4.h>

/* A cache keeps this many plans: those used last. Plans are small; kernels stay in the context. */
enum { PLAN_CACHE_PLANS = 512, PLAN_CACHE_CONTEXTS = 32, PLAN_TENSOR_AXES = 6, PLAN_MESSAGE = 512 };

/* Dtypes of a tensor beside dcnv4_dtype. */
enum { PLAN_INT64 = 64, PLAN_OTHER_DTYPE = 65 };

/* A tensor. All zeros: there is none. Strides count elements, and may be negative. */
typedef struct plan_tensor {
    void *data;    /* its first element, on the call's device */
    int32_t dtype; /* a dcnv4_dtype, or one of the above */
    int32_t rank;  /* its number of axes; above PLAN_TENSOR_AXES it is refused, and shape and strides are not read */
    int64_t shape[PLAN_TENSOR_AXES];
    int64_t strides[PLAN_TENSOR_AXES];
} plan_tensor;

/* Fills in the strides of a dense tensor. */
void plan_tensor_dense(plan_tensor *tensor);

/* The tensors of a call, in the order of dcnv4_buffers and dcnv4_msda_buffers. Forward uses the inputs and output,
 * backward the inputs, grad_output and the gradients; others are ignored. */
enum {
    PLAN_CONV_VALUE,
    PLAN_CONV_OFFSET_MASK,
    PLAN_CONV_OUTPUT,
    PLAN_CONV_GRAD_OUTPUT,
    PLAN_CONV_GRAD_VALUE,
    PLAN_CONV_GRAD_OFFSET_MASK,
    PLAN_CONV_TENSORS
};
enum {
    PLAN_ATTENTION_VALUE,
    PLAN_ATTENTION_LOCATIONS,
    PLAN_ATTENTION_WEIGHTS,
    PLAN_ATTENTION_REFERENCES,
    PLAN_ATTENTION_LEVEL_SHAPES,
    PLAN_ATTENTION_LEVEL_STARTS,
    PLAN_ATTENTION_OUTPUT,
    PLAN_ATTENTION_GRAD_OUTPUT,
    PLAN_ATTENTION_GRAD_VALUE,
    PLAN_ATTENTION_GRAD_LOCATIONS,
    PLAN_ATTENTION_GRAD_WEIGHTS,
    PLAN_ATTENTION_GRAD_REFERENCES,
    PLAN_ATTENTION_TENSORS
};

typedef struct plan_cache plan_cache;

/* One call. The first three are set by the caller. */
typedef struct plan_call {
    const char *device; /* as dcnv4_context_create takes it: "cpu", "cuda:0", … */
    int32_t threads;    /* of the cpu; 0: as many as there are processors */
    dcnv4_pass pass;
    size_t workspace;           /* set by a find: how many bytes of workspace the run needs, often 0 */
    char message[PLAN_MESSAGE]; /* after a failure: one sentence */
    struct plan_entry *entry;   /* its plan; the caller has it until plan_run or plan_release */
} plan_call;

/* NULL if there is no memory. */
plan_cache *plan_cache_create(void);

/* Destroys a cache without calls between find and run. NULL is allowed. */
void plan_cache_destroy(plan_cache *cache);

/* The output's shape [N, Ho, Wo, C], once a call's inputs are known; needs no device. layer is as in plan_conv_find.
 * message has PLAN_MESSAGE bytes. */
dcnv4_status plan_conv_output(const dcnv4_problem *layer, const plan_tensor *tensors, int64_t shape[4], char *message);

/* Finds or makes the plan of a call. layer has the parameters: groups, kernel, stride, pad, dilation, offset_scale and
 * the flags; the rest of it follows from the tensors, and is ignored. Checks everything: ranks, shapes, dtypes,
 * strides. A tensor whose rows, of the last axis, are not contiguous or not at equal distances is refused with
 * DCNV4_UNSUPPORTED: the caller may copy it (see plan_row_stride) and call again. */
dcnv4_status plan_conv_find(plan_cache *cache, const dcnv4_problem *layer, const plan_tensor *tensors, plan_call *call);

/* The same for multi-scale deformable attention. layer has levels, level_count, location_unit, softmax, packed,
 * deterministic, box_scale; with the tensors level_shapes and level_starts levels says only how many points each has.
 *
 *     value [N, S, M, D]    locations [N, Q, M, P, 2], [N, Q, M, L, K, 2] or packed [N, Q, M, 3·P]
 *     weights [N, Q, M, P] or [N, Q, M, L, K]    references [N, Q, R, 2 or 4]    output [N, Q, M·D]
 *
 * Rows are the axes from the third on. */
dcnv4_status plan_attention_output(const dcnv4_msda_problem *layer, const plan_tensor *tensors, int64_t shape[3],
                                   char *message);
dcnv4_status plan_attention_find(plan_cache *cache, const dcnv4_msda_problem *layer, const plan_tensor *tensors,
                                 plan_call *call);

/* The distance of a tensor's rows, the axes from `axis` on, in elements; 0 if a row is not contiguous or the distances
 * differ. Axes of length 1 may have any stride. */
int64_t plan_row_stride(const plan_tensor *tensor, int axis);

/* Runs a found call on the tensors that it was found for, and ends it, also after a failure. workspace is
 * call->workspace bytes on the device; on the cpu and the reference it may be NULL: then the cache has some. stream is
 * as in dcnv4_forward. */
dcnv4_status plan_run(plan_call *call, const plan_tensor *tensors, void *workspace, void *stream);

/* plan_run without ending the call: plan_release is due. */
dcnv4_status plan_start(plan_call *call, const plan_tensor *tensors, void *workspace, void *stream);

/* Of a found call: whether its device uses host memory; its context, the bytes of tensor number `index` from its first element on (0 if the call does not use
 * it), and whether the run writes it. */
int plan_call_on_host(const plan_call *call);
dcnv4_context *plan_call_context(const plan_call *call);
size_t plan_call_bytes(const plan_call *call, const plan_tensor *tensors, int index);
int plan_call_writes(const plan_call *call, int index);

/* Ends a found call without running it. */
void plan_release(plan_call *call);

#endif
