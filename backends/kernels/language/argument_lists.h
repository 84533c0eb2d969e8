/* The parameters of each kernel, in order, are stated once, as DCN_ARGUMENTS_kernel(B, N): the kernel declares its parameters
 * with this list, and the host (backends/gpu/runtime/arguments.h) passes its arguments by it.
 *
 * B(id, type, name) is a buffer, passed as a handle and the element at which the tensor begins; N(id, name) is a number. The
 * host knows them by id. */

#define DCN_BUFFER(id, type, name) type name, dcn_long name##_at
#define DCN_NUMBER(id, name) dcn_long name
#define DCN_PARAMETERS(kernel) DCN_ARGUMENTS_##kernel(DCN_BUFFER, DCN_NUMBER)

#define DCN_READS const DCN_GLOBAL dcn_element *DCN_RESTRICT
#define DCN_WRITES DCN_GLOBAL dcn_element *DCN_RESTRICT
#define DCN_READS_OFFSETS const DCN_GLOBAL dcn_offset_element *DCN_RESTRICT
#define DCN_WRITES_OFFSETS DCN_GLOBAL dcn_offset_element *DCN_RESTRICT
