/* Compiled, never run: the compiler checks our types, prototypes, places and constants against ONNX Runtime's header. */
#include <onnxruntime_c_api.h>

#define DCNV4_VENDOR_ORT
#include "../../bindings/onnxruntime/ort_api.h"

#define CHECK_ENTRY(number, result, name, arguments)                            \
    _Static_assert(offsetof(OrtApi, name) == (number) * sizeof(void *), #name); \
    _Static_assert(_Generic(((OrtApi *)0)->name, ort_##name: 1, default: 0), #name);
ORT_ENTRIES(CHECK_ENTRY)

/* The header's struct, by the names that ours has; and ours itself, under other names. */
#define OrtCustomOp our_custom_op
#define OrtStatus our_status
#undef DCNV4_VENDOR_ORT
#define OrtApiBase our_api_base
#define OrtApi our_api
#define OrtKernelInfo our_kernel_info
#define OrtKernelContext our_kernel_context
#define OrtShapeInferContext our_shape_infer_context
#define OrtTensorTypeAndShapeInfo our_type_info
#define OrtValue our_value
#define OrtSessionOptions our_session_options
#define OrtCustomOpDomain our_custom_op_domain
#define OrtMemoryInfo our_memory_info
#define OrtAllocator our_allocator
#define OrtErrorCode our_error_code
#define ORT_FAIL our_fail
#define ORT_INVALID_ARGUMENT our_invalid_argument
#define ORT_NOT_IMPLEMENTED our_not_implemented
#define ONNXTensorElementDataType our_element_type
#define ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT our_float
#define ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64 our_int64
#define ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16 our_float16
#define ONNX_TENSOR_ELEMENT_DATA_TYPE_DOUBLE our_double
#define ONNX_TENSOR_ELEMENT_DATA_TYPE_BFLOAT16 our_bfloat16
#define OrtCustomOpInputOutputCharacteristic our_characteristic
#define INPUT_OUTPUT_REQUIRED our_required
#define INPUT_OUTPUT_OPTIONAL our_optional
#define OrtMemType our_mem_type
#define OrtMemTypeDefault our_mem_type_default
#define ORT_ONLY_TYPES
#undef DCNV4_ORT_API_H
#include "../../bindings/onnxruntime/ort_api.h"
#undef OrtCustomOp
#undef ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT
#undef ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64
#undef ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16
#undef ONNX_TENSOR_ELEMENT_DATA_TYPE_DOUBLE
#undef ONNX_TENSOR_ELEMENT_DATA_TYPE_BFLOAT16
#undef INPUT_OUTPUT_REQUIRED
#undef INPUT_OUTPUT_OPTIONAL
#undef OrtMemTypeDefault
#undef ORT_FAIL
#undef ORT_INVALID_ARGUMENT
#undef ORT_NOT_IMPLEMENTED

#define SAME_PLACE(member) _Static_assert(offsetof(our_custom_op, member) == offsetof(OrtCustomOp, member), #member);
SAME_PLACE(version)
SAME_PLACE(GetName)
SAME_PLACE(GetExecutionProviderType)
SAME_PLACE(GetInputType)
SAME_PLACE(GetInputTypeCount)
SAME_PLACE(GetOutputType)
SAME_PLACE(GetOutputTypeCount)
SAME_PLACE(KernelCompute)
SAME_PLACE(KernelDestroy)
SAME_PLACE(GetInputCharacteristic)
SAME_PLACE(GetOutputCharacteristic)
SAME_PLACE(GetInputMemoryType)
SAME_PLACE(CreateKernelV2)
SAME_PLACE(KernelComputeV2)
SAME_PLACE(InferOutputShapeFn)
SAME_PLACE(GetStartVersion)
SAME_PLACE(GetEndVersion)
_Static_assert(sizeof(our_custom_op) <= sizeof(OrtCustomOp), "the struct only grows");

#define SAME_NUMBER(ours, theirs) _Static_assert((int)(ours) == (int)(theirs), #theirs);
SAME_NUMBER(our_float, ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT)
SAME_NUMBER(our_int64, ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64)
SAME_NUMBER(our_float16, ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16)
SAME_NUMBER(our_double, ONNX_TENSOR_ELEMENT_DATA_TYPE_DOUBLE)
SAME_NUMBER(our_bfloat16, ONNX_TENSOR_ELEMENT_DATA_TYPE_BFLOAT16)
SAME_NUMBER(our_required, INPUT_OUTPUT_REQUIRED)
SAME_NUMBER(our_optional, INPUT_OUTPUT_OPTIONAL)
SAME_NUMBER(our_mem_type_default, OrtMemTypeDefault)
SAME_NUMBER(our_fail, ORT_FAIL)
SAME_NUMBER(our_invalid_argument, ORT_INVALID_ARGUMENT)
SAME_NUMBER(our_not_implemented, ORT_NOT_IMPLEMENTED)
