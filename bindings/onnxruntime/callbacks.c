/* What the runtime calls for an operator: kernels are made, compute and are destroyed. */
#include "operators.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

OrtStatus *refuse(const OrtApi *api, OrtErrorCode code, const char *format, ...) {
    char text[PLAN_MESSAGE + 256];
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    return ORT(api, CreateStatus)(code, text);
}

static const registered *registered_of(const OrtCustomOp *base) {
    return (const registered *)(const void *)base;
}

/* ---- What an operator is ---------------------------------------------------------------------------------------- */

static const char *get_name(const OrtCustomOp *base) {
    return registered_of(base)->kind->name;
}

static const char *get_provider(const OrtCustomOp *base) {
    return registered_of(base)->provider->name;
}

static ONNXTensorElementDataType get_input_type(const OrtCustomOp *base, size_t index) {
    return (ONNXTensorElementDataType)registered_of(base)->types[index];
}

static size_t get_input_count(const OrtCustomOp *base) {
    return (size_t)registered_of(base)->kind->inputs;
}

static ONNXTensorElementDataType get_output_type(const OrtCustomOp *base, size_t index) {
    (void)index;
    return (ONNXTensorElementDataType)registered_of(base)->types[0];
}

static size_t get_output_count(const OrtCustomOp *base) {
    (void)base;
    return 1;
}

static OrtCustomOpInputOutputCharacteristic get_input_characteristic(const OrtCustomOp *base, size_t index) {
    return index < (size_t)registered_of(base)->kind->required ? INPUT_OUTPUT_REQUIRED : INPUT_OUTPUT_OPTIONAL;
}

static OrtCustomOpInputOutputCharacteristic get_output_characteristic(const OrtCustomOp *base, size_t index) {
    (void)base, (void)index;
    return INPUT_OUTPUT_REQUIRED;
}

static OrtMemType get_input_memory(const OrtCustomOp *base, size_t index) {
    (void)base, (void)index;
    return OrtMemTypeDefault;
}

static int get_one(const OrtCustomOp *base) {
    (void)base;
    return 1;
}

/* ---- Kernels ---------------------------------------------------------------------------------------------------- */

static OrtStatus *create(const OrtCustomOp *base, const OrtApi *api, const OrtKernelInfo *info, void **created) {
    *created = NULL;
    node_kernel *const made = calloc(1, sizeof *made);
    if (!made)
        return refuse(api, ORT_FAIL, "dcnv4: no memory for a kernel");
    made->op = registered_of(base);
    size_t length = sizeof made->node;
    OrtStatus *status = ORT(api, KernelInfo_GetNodeName)(info, made->node, &length);
    if (status) { /* a longer name; messages go without it */
        ORT(api, ReleaseStatus)(status);
        made->node[0] = '\0';
    }
    status = refuse_foreign(made, info);
    if (!status)
        status = made->op->kind->read(made, info);
    if (status)
        free(made);
    else
        *created = made;
    return status;
}

static void destroy(void *made) {
    free(made);
}

static int32_t dtype_of(ONNXTensorElementDataType type) {
    switch ((int)type) {
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT: return DCNV4_FLOAT32;
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16: return DCNV4_FLOAT16;
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_BFLOAT16: return DCNV4_BFLOAT16;
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_DOUBLE: return DCNV4_FLOAT64;
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64: return PLAN_INT64;
    default: return PLAN_OTHER_DTYPE;
    }
}

static OrtStatus *read_tensor(const OrtApi *api, const OrtValue *value, plan_tensor *tensor) {
    OrtTensorTypeAndShapeInfo *info = NULL;
    ONNXTensorElementDataType type = ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT;
    size_t rank = 0;
    OrtStatus *status = ORT(api, GetTensorTypeAndShape)(value, &info);
    if (status)
        return status;
    status = ORT(api, GetTensorElementType)(info, &type);
    if (!status)
        status = ORT(api, GetDimensionsCount)(info, &rank);
    if (!status && rank <= PLAN_TENSOR_AXES)
        status = ORT(api, GetDimensions)(info, tensor->shape, rank);
    ORT(api, ReleaseTensorTypeAndShapeInfo)(info);
    if (status)
        return status;
    tensor->dtype = dtype_of(type);
    tensor->rank = rank <= PLAN_TENSOR_AXES ? (int32_t)rank : PLAN_TENSOR_AXES + 1;
    if (rank <= PLAN_TENSOR_AXES)
        plan_tensor_dense(tensor);
    return ORT(api, GetTensorMutableData)((OrtValue *)value, &tensor->data);
}

static OrtStatus *read_inputs(const node_kernel *self, const OrtKernelContext *context, plan_tensor *tensors) {
    const OrtApi *const api = self->op->api;
    const operator_kind *const kind = self->op->kind;
    size_t count = 0;
    OrtStatus *status = ORT(api, KernelContext_GetInputCount)(context, &count);
    for (size_t k = 0; !status && k < (size_t)kind->inputs && k < count; ++k) {
        const OrtValue *value = NULL;
        status = ORT(api, KernelContext_GetInput)(context, k, &value);
        if (!status && value)
            status = read_tensor(api, value, &tensors[kind->places[k]]);
        if (!status && value && tensors[kind->places[k]].rank == 0) /* for plan_cache, one that is not there */
            status = refuse(api, ORT_INVALID_ARGUMENT, "dcnv4: input %zu of %s node '%s' is a scalar", k, kind->name,
                            self->node);
    }
    return status;
}

static OrtStatus *refused(const node_kernel *self, dcnv4_status status, const char *message) {
    const OrtErrorCode code = status == DCNV4_INVALID_ARGUMENT || status == DCNV4_INVALID_PROBLEM ? ORT_INVALID_ARGUMENT
                              : status == DCNV4_UNSUPPORTED                                       ? ORT_NOT_IMPLEMENTED
                                                                                                  : ORT_FAIL;
    return refuse(self->op->api, code, "%s (%s node '%s')", message, self->op->kind->name, self->node);
}

static OrtStatus *run_on_cpu(const node_kernel *self, plan_tensor *tensors) {
    plan_call call;
    call.device = self->op->provider->device, call.threads = self->op->threads, call.pass = DCNV4_PASS_FORWARD;
    dcnv4_status status = self->op->kind->find(self, tensors, &call);
    if (status == DCNV4_SUCCESS)
        status = plan_run(&call, tensors, NULL, NULL);
    return status == DCNV4_SUCCESS ? NULL : refused(self, status, call.message);
}

/* On the provider's stream, in its memory, on the device that has the output. A workspace goes back to the provider's
 * allocator when the run is queued: that gives it to nobody but later work of this stream before the run has ended. */
static OrtStatus *run_on_gpu(const node_kernel *self, const OrtKernelContext *context, const OrtValue *output,
                             plan_tensor *tensors) {
    const OrtApi *const api = self->op->api;
    const OrtMemoryInfo *memory = NULL;
    OrtAllocator *allocator = NULL;
    void *stream = NULL, *workspace = NULL;
    int number = 0;
    OrtStatus *error = ORT(api, KernelContext_GetGPUComputeStream)(context, &stream);
    if (!error)
        error = ORT(api, GetTensorMemoryInfo)(output, &memory);
    if (!error)
        error = ORT(api, MemoryInfoGetId)(memory, &number);
    if (error)
        return error;
    char device[32];
    snprintf(device, sizeof device, "%s:%d", self->op->provider->device, number);
    plan_call call;
    call.device = device, call.threads = 0, call.pass = DCNV4_PASS_FORWARD;
    dcnv4_status status = self->op->kind->find(self, tensors, &call);
    if (status != DCNV4_SUCCESS)
        return refused(self, status, call.message);
    if (call.workspace > 0) {
        error = ORT(api, KernelContext_GetAllocator)(context, memory, &allocator);
        if (!error)
            error = ORT(api, AllocatorAlloc)(allocator, call.workspace, &workspace);
        if (error) {
            plan_release(&call);
            return error;
        }
    }
    status = plan_run(&call, tensors, workspace, stream);
    if (workspace)
        error = ORT(api, AllocatorFree)(allocator, workspace);
    if (status == DCNV4_SUCCESS)
        return error;
    if (error)
        ORT(api, ReleaseStatus)(error);
    return refused(self, status, call.message);
}

static OrtStatus *compute(void *made, OrtKernelContext *context) {
    const node_kernel *const self = made;
    const OrtApi *const api = self->op->api;
    const operator_kind *const kind = self->op->kind;
    plan_tensor tensors[PLAN_ATTENTION_TENSORS];
    memset(tensors, 0, sizeof tensors);
    OrtStatus *error = read_inputs(self, context, tensors);
    if (error)
        return error;
    plan_tensor *const output = &tensors[kind->output];
    char message[PLAN_MESSAGE];
    const dcnv4_status status = kind->shape(self, tensors, output->shape, message);
    if (status != DCNV4_SUCCESS)
        return refused(self, status, message);
    OrtValue *value = NULL;
    error = ORT(api, KernelContext_GetOutput)(context, 0, output->shape, (size_t)kind->output_rank, &value);
    if (!error)
        error = ORT(api, GetTensorMutableData)(value, &output->data);
    if (error)
        return error;
    output->dtype = tensors[kind->places[0]].dtype, output->rank = kind->output_rank;
    plan_tensor_dense(output);
    return self->op->provider->name ? run_on_gpu(self, context, value, tensors) : run_on_cpu(self, tensors);
}

/* ---- Shapes, when a model is loaded ----------------------------------------------------------------------------- */

static OrtStatus *read_shape(const OrtApi *api, const OrtShapeInferContext *context, size_t index, int64_t *shape,
                             const char **symbols, size_t *rank, ONNXTensorElementDataType *type) {
    OrtTensorTypeAndShapeInfo *info = NULL; /* the context's own */
    size_t count = 0;
    OrtStatus *status = ORT(api, ShapeInferContext_GetInputTypeShape)(context, index, &info);
    if (!status && info)
        status = ORT(api, GetTensorElementType)(info, type);
    if (!status && info)
        status = ORT(api, GetDimensionsCount)(info, &count);
    if (!status && info && count > 0 && count <= MOST_RANK) {
        status = ORT(api, GetDimensions)(info, shape, count);
        if (!status)
            status = ORT(api, GetSymbolicDimensions)(info, symbols, count);
        *rank = count;
    }
    return status;
}

static OrtStatus *set_output(const registered *op, const OrtShapeInferContext *context, ONNXTensorElementDataType type,
                             const int64_t *shape, const char **names) {
    const OrtApi *const api = op->api;
    const size_t rank = (size_t)op->kind->output_rank;
    OrtTensorTypeAndShapeInfo *info = NULL;
    OrtStatus *status = ORT(api, CreateTensorTypeAndShapeInfo)(&info);
    if (status)
        return status;
    status = ORT(api, SetTensorElementType)(info, type);
    if (!status)
        status = ORT(api, SetDimensions)(info, shape, rank);
    if (!status) /* without this, sizes of −1 keep an input's symbols */
        status = ORT(api, SetSymbolicDimensions)(info, names, rank);
    if (!status)
        status = ORT(api, ShapeInferContext_SetOutputTypeShape)(context, 0, info);
    ORT(api, ReleaseTensorTypeAndShapeInfo)(info);
    return status;
}

/* The runtime asks the first operator of a name alone, whatever the node's types are. */
static OrtStatus *infer(const OrtCustomOp *base, OrtShapeInferContext *context) {
    const registered *const op = registered_of(base);
    const OrtApi *const api = op->api;
    int64_t shapes[MOST_INPUTS][MOST_RANK], shape[4] = {-1, -1, -1, -1};
    const char *symbols[MOST_INPUTS][MOST_RANK], *names[4] = {"", "", "", ""};
    size_t ranks[MOST_INPUTS] = {0}, count = 0;
    ONNXTensorElementDataType types[MOST_INPUTS] = {(ONNXTensorElementDataType)op->types[0]};
    for (int k = 0; k < MOST_INPUTS; ++k)
        for (int axis = 0; axis < MOST_RANK; ++axis)
            symbols[k][axis] = "";
    OrtStatus *status = ORT(api, ShapeInferContext_GetInputCount)(context, &count);
    if (status)
        return status;
    for (size_t k = 0; k < count && k < MOST_INPUTS; ++k) {
        status = read_shape(api, context, k, shapes[k], symbols[k], &ranks[k], &types[k]);
        if (status) { /* an input without a shape: that of the output stays unknown */
            ORT(api, ReleaseStatus)(status);
            ranks[k] = 0;
        }
    }
    op->kind->infer(shapes, symbols, ranks, shape, names);
    return set_output(op, context, types[0], shape, names);
}

void fill_callbacks(OrtCustomOp *base, uint32_t version) {
    *base = (OrtCustomOp){
        .version = version,
        .GetName = get_name,
        .GetExecutionProviderType = get_provider,
        .GetInputType = get_input_type,
        .GetInputTypeCount = get_input_count,
        .GetOutputType = get_output_type,
        .GetOutputTypeCount = get_output_count,
        .KernelDestroy = destroy,
        .GetInputCharacteristic = get_input_characteristic,
        .GetOutputCharacteristic = get_output_characteristic,
        .GetInputMemoryType = get_input_memory,
        .GetVariadicInputMinArity = get_one,
        .GetVariadicInputHomogeneity = get_one,
        .GetVariadicOutputMinArity = get_one,
        .GetVariadicOutputHomogeneity = get_one,
        .CreateKernelV2 = create,
        .KernelComputeV2 = compute,
        .InferOutputShapeFn = infer,
        .GetStartVersion = get_one,
        .GetEndVersion = get_one,
    };
}
