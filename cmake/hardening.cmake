# What makes a memory fault harder to use, for what is installed: stack protectors, the C library's checked functions, and
# tables that are read-only once the library is loaded. Sanitizers do more and want none of it; the stand-ins for drivers
# switch stacks, which checked functions take for a fault.
include(CheckCSourceCompiles)
add_library(dcnv4_hardening INTERFACE)
target_link_libraries(dcnv4_objects PRIVATE dcnv4_hardening)
if(CMAKE_C_FLAGS MATCHES "-fsanitize|--coverage" OR NOT CMAKE_SYSTEM_NAME STREQUAL "Linux")
  return()
endif()

# dcnv4_harden(VARIABLE FLAGS LINK-FLAG…): whether this compiler and linker take them.
function(dcnv4_harden variable flags)
  set(CMAKE_REQUIRED_FLAGS "${flags} -Werror")
  set(CMAKE_REQUIRED_LINK_OPTIONS ${ARGN})
  check_c_source_compiles("#include <string.h>
                           int main(int count, char **words) { char to[40]; return !strcpy(to, words[count - 1]); }"
                          ${variable})
endfunction()
dcnv4_harden(DCNV4_HAS_STACK_PROTECTOR -fstack-protector-strong)
dcnv4_harden(DCNV4_HAS_FORTIFY "-O2 -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2")
dcnv4_harden(DCNV4_HAS_RELRO "" -Wl,-z,relro,-z,now)

if(DCNV4_HAS_STACK_PROTECTOR)
  target_compile_options(dcnv4_hardening INTERFACE -fstack-protector-strong)
  # Not in the kernels, which handle no text and no lengths of a caller's, only checked shapes.
  get_target_property(sources dcnv4_objects SOURCES)
  list(FILTER sources INCLUDE REGEX "^backends/cpu/[a-z_]+/[a-z_]+_(portable|avx2|avx512|neon)(_f64)?\\.c$")
  set_property(SOURCE ${sources} APPEND PROPERTY COMPILE_OPTIONS -fno-stack-protector)
endif()
if(DCNV4_HAS_FORTIFY AND NOT CMAKE_BUILD_TYPE STREQUAL "Debug") # it needs optimisation
  target_compile_options(dcnv4_hardening INTERFACE -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
endif()
if(DCNV4_HAS_RELRO)
  target_link_options(dcnv4_hardening INTERFACE -Wl,-z,relro,-z,now)
  target_link_options(dcnv4 PRIVATE -Wl,-z,relro,-z,now)
endif()
