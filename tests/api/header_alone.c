/* The public header compiles as the first and only include, twice, in each language that it supports; so does every
 * initialiser. */
#include <dcnv4/dcnv4.h>
#include <dcnv4/dcnv4.h>

int main(void) {
    dcnv4_device_info info = DCNV4_DEVICE_INFO_INIT;
    dcnv4_problem problem = DCNV4_PROBLEM_INIT;
    dcnv4_sizes sizes = DCNV4_SIZES_INIT;
    dcnv4_buffers buffers = DCNV4_BUFFERS_INIT;
    buffers.value = dcnv4_host_buffer(&problem, sizeof problem);
    problem.dtype = DCNV4_BFLOAT16;
    return info.size == 0 || problem.size == 0 || sizes.size == 0 || buffers.value.offset != 0 || DCNV4_SUCCESS != 0 ||
           DCNV4_PASS_BACKWARD != 1 || DCNV4_VERSION_MAJOR < 0;
}
