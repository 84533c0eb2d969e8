/* What the operators use of ONNX Runtime: the entries of its table of functions and the struct that describes an
 * operator, in the words of onnxruntime_c_api.h, which is not needed. Both only grow at their ends. tests/onnxruntime
 * compares all of it with that header where there is one. */
#ifndef DCNV4_ORT_API_H
#define DCNV4_ORT_API_H

#include <stddef.h>
#include <stdint.h>

/* The test defines DCNV4_VENDOR_ORT, to use the header's own types. */
#ifndef DCNV4_VENDOR_ORT
#define ORT_TYPES(X)                                                                                          \
    X(OrtStatus)                                                                                              \
    X(OrtKernelInfo)                                                                                          \
    X(OrtKernelContext) X(OrtShapeInferContext) X(OrtTensorTypeAndShapeInfo) X(OrtValue) X(OrtSessionOptions) \
        X(OrtCustomOpDomain) X(OrtMemoryInfo) X(OrtAllocator)
#define ORT_TYPE(name) typedef struct name name;
ORT_TYPES(ORT_TYPE)
#undef ORT_TYPE

typedef struct OrtApi OrtApi; /* a table of pointers to functions, as many as the version has */

typedef struct OrtApiBase {
    const OrtApi *(*GetApi)(uint32_t version);
    const char *(*GetVersionString)(void);
} OrtApiBase;

typedef enum OrtErrorCode { ORT_FAIL = 1, ORT_INVALID_ARGUMENT = 2, ORT_NOT_IMPLEMENTED = 9 } OrtErrorCode;

typedef enum ONNXTensorElementDataType {
    ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT = 1,
    ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64 = 7,
    ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16 = 10,
    ONNX_TENSOR_ELEMENT_DATA_TYPE_DOUBLE = 11,
    ONNX_TENSOR_ELEMENT_DATA_TYPE_BFLOAT16 = 16
} ONNXTensorElementDataType;

typedef enum OrtCustomOpInputOutputCharacteristic {
    INPUT_OUTPUT_REQUIRED = 0,
    INPUT_OUTPUT_OPTIONAL = 1
} OrtCustomOpInputOutputCharacteristic;

typedef enum OrtMemType { OrtMemTypeDefault = 0 } OrtMemType;

/* An operator for elements of fixed types. Members up to KernelComputeV2 are those of version 16, the next three of
 * version 17; later ones are not read by a runtime that is told version 17. */
typedef struct OrtCustomOp OrtCustomOp;
struct OrtCustomOp {
    uint32_t version;
    void *(*CreateKernel)(const OrtCustomOp *op, const OrtApi *api, const OrtKernelInfo *info);
    const char *(*GetName)(const OrtCustomOp *op);
    const char *(*GetExecutionProviderType)(const OrtCustomOp *op);
    ONNXTensorElementDataType (*GetInputType)(const OrtCustomOp *op, size_t index);
    size_t (*GetInputTypeCount)(const OrtCustomOp *op);
    ONNXTensorElementDataType (*GetOutputType)(const OrtCustomOp *op, size_t index);
    size_t (*GetOutputTypeCount)(const OrtCustomOp *op);
    void (*KernelCompute)(void *kernel, OrtKernelContext *context);
    void (*KernelDestroy)(void *kernel);
    OrtCustomOpInputOutputCharacteristic (*GetInputCharacteristic)(const OrtCustomOp *op, size_t index);
    OrtCustomOpInputOutputCharacteristic (*GetOutputCharacteristic)(const OrtCustomOp *op, size_t index);
    OrtMemType (*GetInputMemoryType)(const OrtCustomOp *op, size_t index);
    int (*GetVariadicInputMinArity)(const OrtCustomOp *op);
    int (*GetVariadicInputHomogeneity)(const OrtCustomOp *op);
    int (*GetVariadicOutputMinArity)(const OrtCustomOp *op);
    int (*GetVariadicOutputHomogeneity)(const OrtCustomOp *op);
    OrtStatus *(*CreateKernelV2)(const OrtCustomOp *op, const OrtApi *api, const OrtKernelInfo *info, void **kernel);
    OrtStatus *(*KernelComputeV2)(void *kernel, OrtKernelContext *context);
    OrtStatus *(*InferOutputShapeFn)(const OrtCustomOp *op, OrtShapeInferContext *context);
    int (*GetStartVersion)(const OrtCustomOp *op);
    int (*GetEndVersion)(const OrtCustomOp *op);
    size_t (*GetMayInplace)(int **input_index, int **output_index);
    void (*ReleaseMayInplace)(int *input_index, int *output_index);
    size_t (*GetAliasMap)(int **input_index, int **output_index);
    void (*ReleaseAliasMap)(int *input_index, int *output_index);
};
#endif

#ifndef ORT_ONLY_TYPES /* the test includes the types a second time, under other names */
/* X(number, result, name, arguments): the entries of OrtApi that are used, and at which place of the table they are. */
#define ORT_ENTRIES(X)                                                                                                 \
    X(0, OrtStatus *, CreateStatus, (OrtErrorCode, const char *))                                                      \
    X(26, OrtStatus *, CreateCustomOpDomain, (const char *, OrtCustomOpDomain **))                                     \
    X(27, OrtStatus *, CustomOpDomain_Add, (OrtCustomOpDomain *, const OrtCustomOp *))                                 \
    X(28, OrtStatus *, AddCustomOpDomain, (OrtSessionOptions *, OrtCustomOpDomain *))                                  \
    X(51, OrtStatus *, GetTensorMutableData, (OrtValue *, void **))                                                    \
    X(57, OrtStatus *, CreateTensorTypeAndShapeInfo, (OrtTensorTypeAndShapeInfo **))                                   \
    X(58, OrtStatus *, SetTensorElementType, (OrtTensorTypeAndShapeInfo *, ONNXTensorElementDataType))                 \
    X(59, OrtStatus *, SetDimensions, (OrtTensorTypeAndShapeInfo *, const int64_t *, size_t))                          \
    X(60, OrtStatus *, GetTensorElementType, (const OrtTensorTypeAndShapeInfo *, ONNXTensorElementDataType *))         \
    X(61, OrtStatus *, GetDimensionsCount, (const OrtTensorTypeAndShapeInfo *, size_t *))                              \
    X(62, OrtStatus *, GetDimensions, (const OrtTensorTypeAndShapeInfo *, int64_t *, size_t))                          \
    X(63, OrtStatus *, GetSymbolicDimensions, (const OrtTensorTypeAndShapeInfo *, const char **, size_t))              \
    X(65, OrtStatus *, GetTensorTypeAndShape, (const OrtValue *, OrtTensorTypeAndShapeInfo **))                        \
    X(72, OrtStatus *, MemoryInfoGetId, (const OrtMemoryInfo *, int *))                                                \
    X(75, OrtStatus *, AllocatorAlloc, (OrtAllocator *, size_t, void **))                                              \
    X(76, OrtStatus *, AllocatorFree, (OrtAllocator *, void *))                                                        \
    X(85, OrtStatus *, KernelInfoGetAttribute_float, (const OrtKernelInfo *, const char *, float *))                   \
    X(86, OrtStatus *, KernelInfoGetAttribute_int64, (const OrtKernelInfo *, const char *, int64_t *))                 \
    X(87, OrtStatus *, KernelInfoGetAttribute_string, (const OrtKernelInfo *, const char *, char *, size_t *))         \
    X(88, OrtStatus *, KernelContext_GetInputCount, (const OrtKernelContext *, size_t *))                              \
    X(90, OrtStatus *, KernelContext_GetInput, (const OrtKernelContext *, size_t, const OrtValue **))                  \
    X(91, OrtStatus *, KernelContext_GetOutput, (OrtKernelContext *, size_t, const int64_t *, size_t, OrtValue **))    \
    X(93, void, ReleaseStatus, (OrtStatus *))                                                                          \
    X(99, void, ReleaseTensorTypeAndShapeInfo, (OrtTensorTypeAndShapeInfo *))                                          \
    X(101, void, ReleaseCustomOpDomain, (OrtCustomOpDomain *))                                                         \
    X(162, OrtStatus *, KernelInfoGetAttributeArray_float, (const OrtKernelInfo *, const char *, float *, size_t *))   \
    X(163, OrtStatus *, KernelInfoGetAttributeArray_int64, (const OrtKernelInfo *, const char *, int64_t *, size_t *)) \
    X(193, OrtStatus *, KernelContext_GetGPUComputeStream, (const OrtKernelContext *, void **))                        \
    X(194, OrtStatus *, GetTensorMemoryInfo, (const OrtValue *, const OrtMemoryInfo **))                               \
    X(237, OrtStatus *, HasSessionConfigEntry, (const OrtSessionOptions *, const char *, int *))                       \
    X(238, OrtStatus *, GetSessionConfigEntry, (const OrtSessionOptions *, const char *, char *, size_t *))            \
    X(244, OrtStatus *, KernelInfo_GetNodeName, (const OrtKernelInfo *, char *, size_t *))                             \
    X(253, OrtStatus *, KernelContext_GetAllocator,                                                                    \
      (const OrtKernelContext *, const OrtMemoryInfo *, OrtAllocator **))                                              \
    X(267, OrtStatus *, ShapeInferContext_GetInputCount, (const OrtShapeInferContext *, size_t *))                     \
    X(268, OrtStatus *, ShapeInferContext_GetInputTypeShape,                                                           \
      (const OrtShapeInferContext *, size_t, OrtTensorTypeAndShapeInfo **))                                            \
    X(270, OrtStatus *, ShapeInferContext_SetOutputTypeShape,                                                          \
      (const OrtShapeInferContext *, size_t, const OrtTensorTypeAndShapeInfo *))                                       \
    X(271, OrtStatus *, SetSymbolicDimensions, (OrtTensorTypeAndShapeInfo *, const char **, size_t))

#define ORT_ENTRY(number, result, name, arguments) \
    typedef result(*ort_##name) arguments;         \
    enum { ORT_NUMBER_##name = number };
ORT_ENTRIES(ORT_ENTRY)
#undef ORT_ENTRY

/* The entry of a table: ORT(api, GetDimensions)(info, sizes, count). */
#define ORT(api, name) ((ort_##name)((void (*const *)(void))(api))[ORT_NUMBER_##name])
#endif

#endif
