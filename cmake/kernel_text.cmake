# The texts of backends/kernels as one C file of character arrays, made anew when one of them changes.
set(dcnv4_kernel_texts
  dcnv4i_argument_lists language/argument_lists.h
  dcnv4i_kernel_deform_conv_parameters deform_conv/parameters.h
  dcnv4i_kernel_roofline_parameters roofline_parameters.h
  dcnv4i_kernel_sample sampling/sample.inl
  dcnv4i_kernel_points deform_conv/points.inl
  dcnv4i_kernel_runs deform_conv/runs.inl
  dcnv4i_kernel_forward deform_conv/forward.inl
  dcnv4i_kernel_slopes deform_conv/slopes.inl
  dcnv4i_kernel_backward_run deform_conv/backward_run.inl
  dcnv4i_kernel_backward_points deform_conv/backward_points.inl
  dcnv4i_kernel_backward_scatter deform_conv/backward_scatter.inl
  dcnv4i_kernel_backward_tiles deform_conv/backward_tiles.inl
  dcnv4i_kernel_backward_both deform_conv/backward_both.inl
  dcnv4i_kernel_roofline roofline.inl
  dcnv4i_dialect_opencl language/dialect_opencl.h
  dcnv4i_dialect_cuda language/dialect_cuda.h
  dcnv4i_dialect_hip language/dialect_hip.h
  dcnv4i_dialect_cxx language/dialect_cxx.h
  dcnv4i_vectors_plain language/vectors_plain.h)

set(kernel_text ${PROJECT_BINARY_DIR}/kernel_text.c)
set(definitions "")
while(dcnv4_kernel_texts)
  list(POP_FRONT dcnv4_kernel_texts symbol file)
  set(path ${PROJECT_SOURCE_DIR}/backends/kernels/${file})
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${path})
  file(READ ${path} bytes HEX)
  string(REGEX REPLACE "(..)" "'\\\\x\\1'," bytes "${bytes}")
  string(REPLACE "'\\x0a'," "'\\x0a',\n" bytes "${bytes}") # a line of text, a line of C
  string(APPEND definitions "const char ${symbol}[] = {${bytes}0};\n")
endwhile()
string(SHA256 fingerprint "${definitions}")
string(PREPEND definitions "#include \"${PROJECT_SOURCE_DIR}/backends/gpu/runtime/kernel_text.h\"\n")
string(APPEND definitions
  "const char dcnv4i_kernel_fingerprint[] = \"${fingerprint}\";\n"
  "const char *const dcnv4i_words_opencl[] = {dcnv4i_dialect_opencl, 0};\n"
  "const char *const dcnv4i_words_cuda[] = {dcnv4i_dialect_cuda, dcnv4i_dialect_cxx, dcnv4i_vectors_plain, 0};\n"
  "const char *const dcnv4i_words_hip[] = {dcnv4i_dialect_hip, dcnv4i_dialect_cxx, dcnv4i_vectors_plain, 0};\n")
file(CONFIGURE OUTPUT ${kernel_text} CONTENT "${definitions}" @ONLY)
target_sources(dcnv4_objects PRIVATE ${kernel_text})
