/* The arguments of each kernel, in their order: the only place. The kernels' texts make their parameters of these lists, and the
 * host (backends/gpu/deform_conv/arguments.h) what it gives them.
 *
 * B(id, type, name) is a buffer with the number of the element where its part begins, and N(id, name) a number; the host
 * knows them by `what`. */

#define DCN_BUFFER(id, type, name) type name, dcn_long name##_at
#define DCN_NUMBER(id, name) dcn_long name
#define DCN_PARAMETERS(kernel) DCN_ARGUMENTS_##kernel(DCN_BUFFER, DCN_NUMBER)

#define DCN_READS const DCN_GLOBAL dcn_item *DCN_RESTRICT
#define DCN_WRITES DCN_GLOBAL dcn_item *DCN_RESTRICT
#define DCN_READS_OFFSETS const DCN_GLOBAL dcn_offset_item *DCN_RESTRICT
#define DCN_WRITES_OFFSETS DCN_GLOBAL dcn_offset_item *DCN_RESTRICT
