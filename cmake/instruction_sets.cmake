# The kernels of the cpu backend, one source for each instruction set; backends/cpu/isa.c says when they are used.
include(CheckCCompilerFlag)

# A test replaces these to run the AVX-512 kernels on other processors.
set(DCNV4_AVX512_OPTIONS -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx2 -mfma -mf16c
    CACHE STRING "Compile options for the AVX-512 kernels")
mark_as_advanced(DCNV4_AVX512_OPTIONS)

function(dcnv4_add_kernels source)
  target_sources(dcnv4_objects PRIVATE ${source})
  # GCC would turn the zeroing of sums that live in registers into a call of memset on an array that nobody reads.
  check_c_compiler_flag(-fno-tree-loop-distribute-patterns DCNV4_HAS_NO_LOOP_PATTERNS)
  if(DCNV4_HAS_NO_LOOP_PATTERNS)
    list(APPEND ARGN -fno-tree-loop-distribute-patterns)
  endif()
  set_source_files_properties(${source} PROPERTIES COMPILE_OPTIONS "${ARGN}")
endfunction()

dcnv4_add_kernels(backends/cpu/float64.c)
dcnv4_add_kernels(backends/cpu/portable.c)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|amd64)$")
  dcnv4_add_kernels(backends/cpu/avx2.c -mavx2 -mfma -mf16c)
  dcnv4_add_kernels(backends/cpu/avx512.c ${DCNV4_AVX512_OPTIONS})
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "^(aarch64|arm64)$")
  dcnv4_add_kernels(backends/cpu/neon.c)
endif()
