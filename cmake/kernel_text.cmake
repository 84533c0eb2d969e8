# The texts of backends/kernels as one C file of character arrays, regenerated when one of them changes.
set(dcnv4_kernel_texts
  dcnv4i_kernel_sample sampling/sample.inl
  dcnv4i_kernel_cells sampling/cells.inl
  dcnv4i_kernel_vector_cells sampling/vector_cells.inl
  dcnv4i_kernel_channels sampling/channels.inl
  dcnv4i_kernel_gather sampling/gather.inl
  dcnv4i_kernel_scatter sampling/scatter.inl
  dcnv4i_kernel_derivatives sampling/derivatives.inl
  dcnv4i_kernel_deform_conv_parameters deform_conv/parameters.h
  dcnv4i_kernel_points deform_conv/points.inl
  dcnv4i_kernel_tiles deform_conv/tiles.inl
  dcnv4i_kernel_runs deform_conv/runs.inl
  dcnv4i_kernel_forward_exact deform_conv/forward_exact.inl
  dcnv4i_kernel_forward_plain deform_conv/forward_plain.inl
  dcnv4i_kernel_forward_staged deform_conv/forward_staged.inl
  dcnv4i_kernel_forward_run deform_conv/forward_run.inl
  dcnv4i_kernel_backward_exact deform_conv/backward_exact.inl
  dcnv4i_kernel_backward_points_plain deform_conv/backward_points_plain.inl
  dcnv4i_kernel_backward_points_staged deform_conv/backward_points_staged.inl
  dcnv4i_kernel_backward_points_run deform_conv/backward_points_run.inl
  dcnv4i_kernel_backward_scatter_bands deform_conv/backward_scatter_bands.inl
  dcnv4i_kernel_backward_scatter_tiles deform_conv/backward_scatter_tiles.inl
  dcnv4i_kernel_backward_scatter_atomic deform_conv/backward_scatter_atomic.inl
  dcnv4i_kernel_backward_both deform_conv/backward_both.inl
  dcnv4i_kernel_attention_parameters ms_deform_attn/attention_parameters.h
  dcnv4i_kernel_attention_points ms_deform_attn/attention_points.inl
  dcnv4i_kernel_attention_runs ms_deform_attn/attention_runs.inl
  dcnv4i_kernel_attention_tiles ms_deform_attn/attention_tiles.inl
  dcnv4i_kernel_attention_exact ms_deform_attn/attention_exact.inl
  dcnv4i_kernel_attention_forward_plain ms_deform_attn/attention_forward_plain.inl
  dcnv4i_kernel_attention_forward_run ms_deform_attn/attention_forward_run.inl
  dcnv4i_kernel_attention_forward_staged ms_deform_attn/attention_forward_staged.inl
  dcnv4i_kernel_attention_derivatives ms_deform_attn/attention_derivatives.inl
  dcnv4i_kernel_attention_backward_points_plain ms_deform_attn/attention_backward_points_plain.inl
  dcnv4i_kernel_attention_backward_points_staged ms_deform_attn/attention_backward_points_staged.inl
  dcnv4i_kernel_attention_backward_points_run ms_deform_attn/attention_backward_points_run.inl
  dcnv4i_kernel_attention_backward_references ms_deform_attn/attention_backward_references.inl
  dcnv4i_kernel_attention_backward_value_sums ms_deform_attn/attention_backward_value_sums.inl
  dcnv4i_kernel_attention_backward_value_owned ms_deform_attn/attention_backward_value_owned.inl
  dcnv4i_kernel_attention_backward_value_run ms_deform_attn/attention_backward_value_run.inl
  dcnv4i_kernel_attention_backward_value_atomic ms_deform_attn/attention_backward_value_atomic.inl
  dcnv4i_kernel_attention_backward_value_tiles ms_deform_attn/attention_backward_value_tiles.inl
  dcnv4i_kernel_roofline_parameters roofline_parameters.h
  dcnv4i_kernel_roofline roofline.inl
  dcnv4i_dialect_opencl language/dialect_opencl.h
  dcnv4i_dialect_cuda language/dialect_cuda.h
  dcnv4i_dialect_hip language/dialect_hip.h
  dcnv4i_dialect_cxx language/dialect_cxx.h
  dcnv4i_vectors_plain language/vectors_plain.h
  dcnv4i_index_arithmetic language/index_arithmetic.h
  dcnv4i_argument_lists language/argument_lists.h)

# dcnv4_text_as_c(symbol path result): sets result to the C definition of a text, regenerated when the file changes.
function(dcnv4_text_as_c symbol path result)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${path})
  file(READ ${path} bytes HEX)
  string(REGEX REPLACE "(..)" "'\\\\x\\1'," bytes "${bytes}")
  string(REPLACE "'\\x0a'," "'\\x0a',\n" bytes "${bytes}") # a line of text, a line of C
  set(${result} "const char ${symbol}[] = {${bytes}0};\n" PARENT_SCOPE)
endfunction()

set(kernel_text ${PROJECT_BINARY_DIR}/kernel_text.c)
set(definitions "")
while(dcnv4_kernel_texts)
  list(POP_FRONT dcnv4_kernel_texts symbol file)
  dcnv4_text_as_c(${symbol} ${PROJECT_SOURCE_DIR}/backends/kernels/${file} definition)
  string(APPEND definitions "${definition}")
endwhile()
string(SHA256 fingerprint "${definitions}")
string(PREPEND definitions "#include \"${PROJECT_SOURCE_DIR}/backends/gpu/runtime/kernel_text.h\"\n")
string(APPEND definitions
  "const char dcnv4i_kernel_fingerprint[] = \"${fingerprint}\";\n"
  "#define IN_CXX dcnv4i_dialect_cxx, dcnv4i_vectors_plain, dcnv4i_index_arithmetic, dcnv4i_argument_lists, 0\n"
  "const char *const dcnv4i_vocabulary_opencl[] = {dcnv4i_dialect_opencl, dcnv4i_index_arithmetic, dcnv4i_argument_lists, 0};\n"
  "const char *const dcnv4i_vocabulary_cuda[] = {dcnv4i_dialect_cuda, IN_CXX};\n"
  "const char *const dcnv4i_vocabulary_hip[] = {dcnv4i_dialect_hip, IN_CXX};\n")
file(CONFIGURE OUTPUT ${kernel_text} CONTENT "${definitions}" @ONLY)
target_sources(dcnv4_objects PRIVATE ${kernel_text})
