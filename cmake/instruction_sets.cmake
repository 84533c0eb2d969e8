# Sources of the cpu backend that are compiled for one instruction set each. backends/cpu/isa.c says when they are used.
if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|amd64)$")
  target_sources(dcnv4_objects PRIVATE backends/cpu/avx2.c)
  set_source_files_properties(backends/cpu/avx2.c PROPERTIES COMPILE_OPTIONS "-mavx2;-mfma;-mf16c")
endif()
