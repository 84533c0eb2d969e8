/* How parameters of kernels are listed: each list stands once, in order. The kernels declare their parameters with it,
 * and the host (backends/gpu/runtime/arguments.h) passes its arguments by it.
 *
 * B(id, type, name) is a buffer, passed as a handle and the element at which the tensor begins; N(id, name) is a
 * number. The host knows them by `id`. */

#define DCN_BUFFER(id, type, name) type name, dcn_long name##_at
#define DCN_NUMBER(id, name) dcn_long name
#define DCN_PARAMETERS(kernel) DCN_ARGUMENTS_##kernel(DCN_BUFFER, DCN_NUMBER)

#define DCN_READS const DCN_GLOBAL dcn_element *DCN_RESTRICT
#define DCN_WRITES DCN_GLOBAL dcn_element *DCN_RESTRICT
