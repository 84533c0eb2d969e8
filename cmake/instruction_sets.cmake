# The kernels of the cpu backend: conversions and every operator's kernels, one source for each instruction set, and one
# more for float64;
# backends/cpu/instruction_sets.c says when they are used.
include(CheckCCompilerFlag)

# A test replaces these to run the AVX-512 kernels on other processors.
set(DCNV4_AVX512_OPTIONS -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx2 -mfma -mf16c
    CACHE STRING "Compile options for the AVX-512 kernels")
mark_as_advanced(DCNV4_AVX512_OPTIONS)

# The operators: each has its table and its kernels in a folder of its name.
file(STRINGS ${CMAKE_CURRENT_SOURCE_DIR}/core/operators.def dcnv4_cpu_operators REGEX "^DCNV4I_OPERATOR")
list(TRANSFORM dcnv4_cpu_operators REPLACE "^DCNV4I_OPERATOR.([a-z0-9_]+).$" "\\1")
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/core/operators.def)
# dcnv4_add_instruction_set(NAME OPTION…)
function(dcnv4_add_instruction_set name)
  # GCC would turn the zeroing of sums that live in registers into a call of memset on an array that nobody reads.
  check_c_compiler_flag(-fno-tree-loop-distribute-patterns DCNV4_HAS_NO_LOOP_PATTERNS)
  if(DCNV4_HAS_NO_LOOP_PATTERNS)
    list(APPEND ARGN -fno-tree-loop-distribute-patterns)
  endif()
  foreach(kernels IN ITEMS ${name} ${name}_f64)
    list(APPEND sources backends/cpu/simd/rows_${kernels}.c)
    foreach(operator IN LISTS dcnv4_cpu_operators)
      list(APPEND sources backends/cpu/${operator}/${operator}_${kernels}.c)
    endforeach()
  endforeach()
  target_sources(dcnv4_objects PRIVATE ${sources})
  set_source_files_properties(${sources} PROPERTIES COMPILE_OPTIONS "${ARGN}")
endfunction()

dcnv4_add_instruction_set(portable)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|amd64)$")
  dcnv4_add_instruction_set(avx2 -mavx2 -mfma -mf16c)
  dcnv4_add_instruction_set(avx512 ${DCNV4_AVX512_OPTIONS})
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "^(aarch64|arm64)$")
  dcnv4_add_instruction_set(neon)
endif()
