/* The operators DCNv4 and MSDeformAttn of ONNX Runtime, version 1 of the domain dcnv4.
 *
 * ONNX Runtime has an OrtCustomOp for each operator, combination of element types and execution provider: a
 * `registered`. It makes a kernel for each node of a session, and calls that with tensors. */
#ifndef DCNV4_ORT_OPERATORS_H
#define DCNV4_ORT_OPERATORS_H

#include "ort_api.h"
#include "../plan_cache/plan_cache.h"

#include <stdbool.h>

enum { MOST_INPUTS = 6, MOST_RANK = 6 };

typedef struct node_kernel node_kernel;
typedef struct operator_kind operator_kind;

/* Where a provider's tensors are. */
typedef struct provider {
    const char *name;   /* ONNX Runtime's; NULL for the CPU's */
    const char *device; /* libdcnv4's, without its number */
} provider;

typedef struct registered {
    OrtCustomOp base; /* first: the runtime passes its address */
    const operator_kind *kind;
    const provider *provider;
    const unsigned char *types; /* of the inputs, ONNXTensorElementDataType; the output has the first one's */
    const OrtApi *api;
    plan_cache *cache;
    int32_t threads;
} registered;

/* A node's attributes and what calls need. */
struct node_kernel {
    const registered *op;
    char node[128]; /* its name, for messages */
    union {
        dcnv4_problem conv;
        dcnv4_msda_problem attention;
    } layer;
    dcnv4_msda_level levels[DCNV4_MSDA_MAX_LEVELS];
};

struct operator_kind {
    const char *name;
    int inputs, required;
    int places[MOST_INPUTS]; /* which plan_tensor an input is */
    int output;              /* which the output is */
    int output_rank;
    const unsigned char (*signatures)[MOST_INPUTS];
    int signature_count;
    const char *const *foreign; /* what other operators call such attributes, which are refused; NULL at the end */
    /* Reads the attributes. NULL, or what is wrong with them. */
    OrtStatus *(*read)(node_kernel *kernel, const OrtKernelInfo *info);
    /* As plan_…_output and plan_…_find. */
    dcnv4_status (*shape)(const node_kernel *kernel, plan_tensor *tensors, int64_t *shape, char *message);
    dcnv4_status (*find)(const node_kernel *kernel, plan_tensor *tensors, plan_call *call);
    /* The output's shape as far as the model says it: −1 for a size that it does not; symbols likewise. */
    void (*infer)(int64_t shapes[][MOST_RANK], const char *symbols[][MOST_RANK], const size_t *ranks, int64_t *shape,
                  const char **names);
};

extern const operator_kind deform_conv_kind, attention_kind;

/* Makes the callbacks' part of an operator. version is 16 or 17. */
void fill_callbacks(OrtCustomOp *base, uint32_t version);

/* A status with one sentence; NULL if the runtime has no memory for it, never otherwise. */
#if defined(__GNUC__)
__attribute__((format(printf, 3, 4)))
#endif
OrtStatus *
refuse(const OrtApi *api, OrtErrorCode code, const char *format, ...);

/* ---- Attributes ------------------------------------------------------------------------------------------------- */

/* Reads `count` whole numbers of an attribute, at least `least`. One number stands for all of them. Without the
 * attribute *numbers stays as it is. */
OrtStatus *read_ints(const node_kernel *kernel, const OrtKernelInfo *info, const char *name, int64_t *numbers,
                     size_t count, int64_t least);

/* As many as there are, up to `most`; *count is 0 without the attribute. */
OrtStatus *read_list(const node_kernel *kernel, const OrtKernelInfo *info, const char *name, int64_t *numbers,
                     size_t most, size_t *count);

/* Refuses the operator's foreign attributes: the runtime says nothing of an attribute that is not asked for by name, and
 * without `strides` a node would run, with another stride than its author's. */
OrtStatus *refuse_foreign(const node_kernel *kernel, const OrtKernelInfo *info);

OrtStatus *read_flag(const node_kernel *kernel, const OrtKernelInfo *info, const char *name, int32_t *flag);
OrtStatus *read_float(const node_kernel *kernel, const OrtKernelInfo *info, const char *name, double *number);

#endif
