/* NumPy's arrays as tensors. Their fields are read where NumPy's ABI says they are (PyArrayObject_fields), since Python code
 * takes longer to ask for an address than a small call takes. */
#include "calls.h"

#include <stdbool.h>
#include <stdio.h>

typedef struct numpy_array { /* after the head that all Python objects have */
    char *data;
    int axes;
    const intptr_t *shape, *strides; /* strides in bytes */
    const void *base, *dtype;
    int flags;
} numpy_array;

enum { NUMPY_ALIGNED = 0x100, NUMPY_WRITEABLE = 0x400 };

static const int64_t item_bytes[] = {4, 2, 2, 8};

static dcnv4_status refuse(plan_call *call, int index, const char *what, dcnv4_status status) {
    snprintf(call->message, sizeof call->message, "dcnv4: array number %d of the call %s", index, what);
    return status;
}

/* DCNV4_UNSUPPORTED for an array that has to be copied. */
static dcnv4_status read_array(const numpy_array *array, int32_t dtype, int index, plan_tensor *tensor,
                               plan_call *call) {
    const int64_t item = dtype == PLAN_INT64 ? 8 : item_bytes[dtype];
    tensor->data = array->data, tensor->dtype = dtype, tensor->rank = array->axes;
    if (array->axes == 0)
        return refuse(call, index, "is a single number", DCNV4_INVALID_PROBLEM);
    if (!(array->flags & NUMPY_ALIGNED))
        return refuse(call, index, "is not aligned", DCNV4_UNSUPPORTED);
    for (int k = 0; k < array->axes && k < PLAN_TENSOR_AXES; ++k) {
        tensor->shape[k] = array->shape[k], tensor->strides[k] = array->strides[k] / item;
        if (array->strides[k] % item != 0 && array->shape[k] > 1)
            return refuse(call, index, "has strides of parts of elements", DCNV4_UNSUPPORTED);
    }
    return DCNV4_SUCCESS;
}

static bool is_result(bool attention, dcnv4_pass pass, int index) {
    const int output = attention ? (int)PLAN_ATTENTION_OUTPUT : (int)PLAN_CONV_OUTPUT;
    return pass == DCNV4_PASS_FORWARD ? index == output : index > output + 1;
}

int32_t dcnv4_calls_arrays(int32_t attention, const void *layer, const char *const *objects, const int32_t *dtypes,
                           size_t head, int32_t copied, plan_call *call) {
    plan_tensor tensors[PLAN_ATTENTION_TENSORS];
    const int count = attention ? (int)PLAN_ATTENTION_TENSORS : (int)PLAN_CONV_TENSORS;
    for (int k = 0; k < count; ++k) {
        tensors[k].rank = 0;
        if (!objects[k])
            continue;
        const numpy_array *const array = (const void *)(objects[k] + head);
        const dcnv4_status status = read_array(array, dtypes[k], k, &tensors[k], call);
        if (status != DCNV4_SUCCESS)
            return status;
        if (!(array->flags & NUMPY_WRITEABLE) && is_result(attention, call->pass, k))
            return refuse(call, k, "(out) is read-only", DCNV4_INVALID_PROBLEM);
    }
    if (attention)
        return copied ? dcnv4_calls_attention_copied(layer, tensors, call)
                      : dcnv4_calls_attention(layer, tensors, call, NULL);
    return copied ? dcnv4_calls_conv_copied(layer, tensors, call) : dcnv4_calls_conv(layer, tensors, call, NULL);
}
