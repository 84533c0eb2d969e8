/* The texts of backends/kernels, embedded when the library is built. */
#ifndef DCNV4I_KERNEL_TEXT_H
#define DCNV4I_KERNEL_TEXT_H

extern const char dcnv4i_kernel_sample[];
extern const char dcnv4i_kernel_cells[];
extern const char dcnv4i_kernel_vector_cells[];
extern const char dcnv4i_kernel_channels[];
extern const char dcnv4i_kernel_gather[];
extern const char dcnv4i_kernel_scatter[];
extern const char dcnv4i_kernel_derivatives[];
extern const char dcnv4i_kernel_deform_conv_parameters[];
extern const char dcnv4i_kernel_points[];
extern const char dcnv4i_kernel_tiles[];
extern const char dcnv4i_kernel_runs[];
extern const char dcnv4i_kernel_forward_exact[];
extern const char dcnv4i_kernel_forward_plain[];
extern const char dcnv4i_kernel_forward_staged[];
extern const char dcnv4i_kernel_forward_run[];
extern const char dcnv4i_kernel_backward_exact[];
extern const char dcnv4i_kernel_backward_points_plain[];
extern const char dcnv4i_kernel_backward_points_staged[];
extern const char dcnv4i_kernel_backward_points_run[];
extern const char dcnv4i_kernel_backward_scatter_bands[];
extern const char dcnv4i_kernel_backward_scatter_tiles[];
extern const char dcnv4i_kernel_backward_scatter_atomic[];
extern const char dcnv4i_kernel_backward_both[];
extern const char dcnv4i_kernel_attention_parameters[];
extern const char dcnv4i_kernel_attention_points[];
extern const char dcnv4i_kernel_attention_runs[];
extern const char dcnv4i_kernel_attention_tiles[];
extern const char dcnv4i_kernel_attention_exact[];
extern const char dcnv4i_kernel_attention_forward_plain[];
extern const char dcnv4i_kernel_attention_forward_run[];
extern const char dcnv4i_kernel_attention_forward_staged[];
extern const char dcnv4i_kernel_attention_derivatives[];
extern const char dcnv4i_kernel_attention_backward_points_plain[];
extern const char dcnv4i_kernel_attention_backward_points_staged[];
extern const char dcnv4i_kernel_attention_backward_points_run[];
extern const char dcnv4i_kernel_attention_backward_references[];
extern const char dcnv4i_kernel_attention_backward_value_sums[];
extern const char dcnv4i_kernel_attention_backward_value_owned[];
extern const char dcnv4i_kernel_attention_backward_value_run[];
extern const char dcnv4i_kernel_attention_backward_value_atomic[];
extern const char dcnv4i_kernel_attention_backward_value_tiles[];
extern const char dcnv4i_kernel_roofline_parameters[];
extern const char dcnv4i_kernel_roofline[];
extern const char dcnv4i_dialect_opencl[];
extern const char dcnv4i_dialect_cuda[];
extern const char dcnv4i_dialect_hip[];
extern const char dcnv4i_dialect_cxx[];
extern const char dcnv4i_vectors_plain[];
extern const char dcnv4i_index_arithmetic[];
extern const char dcnv4i_argument_lists[];

/* A hash of all the texts. */
extern const char dcnv4i_kernel_fingerprint[];

/* The whole vocabulary of each kernel language: texts that follow one another, and NULL. */
extern const char *const dcnv4i_vocabulary_opencl[];
extern const char *const dcnv4i_vocabulary_cuda[];
extern const char *const dcnv4i_vocabulary_hip[];

#endif
