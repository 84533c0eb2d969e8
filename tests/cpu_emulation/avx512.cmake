# The initial cache of a build whose AVX-512 kernels are emulated; the processor counts as having all instruction sets.
set(DCNV4_AVX512_OPTIONS -mavx2 -mfma -mf16c -include ${CMAKE_CURRENT_LIST_DIR}/avx512_by_simde.h CACHE STRING "")
set(CMAKE_C_FLAGS -DDCNV4I_ASSUME_AVX512=1 CACHE STRING "")
