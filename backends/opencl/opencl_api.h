/* What the backend uses of OpenCL: the entry points of libOpenCL.so.1, which is loaded when it is first needed, and the
 * numbers of its constants. tests/opencl/ compiles both against <CL/cl.h> where that is installed. */
#ifndef DCNV4I_OPENCL_API_H
#define DCNV4I_OPENCL_API_H

#include "../../core/status.h"

#include <stdbool.h>

/* The types, as <CL/cl.h> has them. */
typedef int32_t cl_int;
typedef uint32_t cl_uint;
typedef uint64_t cl_ulong;
typedef cl_uint cl_bool;
typedef cl_ulong cl_bitfield;
typedef cl_bitfield cl_device_type, cl_mem_flags, cl_command_queue_properties;
typedef cl_uint cl_platform_info, cl_device_info, cl_context_info, cl_program_info, cl_program_build_info;
typedef intptr_t cl_context_properties;
typedef struct _cl_platform_id *cl_platform_id;
typedef struct _cl_device_id *cl_device_id;
typedef struct _cl_context *cl_context;
typedef struct _cl_command_queue *cl_command_queue;
typedef struct _cl_mem *cl_mem;
typedef struct _cl_program *cl_program;
typedef struct _cl_kernel *cl_kernel;
typedef struct _cl_event *cl_event;

#if defined(_WIN32)
#define DCNV4I_CL_CALL __stdcall
#else
#define DCNV4I_CL_CALL
#endif

/* X(result, name, arguments) */
#define DCNV4I_OPENCL_ENTRIES(X)                                                                                     \
    X(cl_int, clGetPlatformIDs, (cl_uint, cl_platform_id *, cl_uint *))                                              \
    X(cl_int, clGetPlatformInfo, (cl_platform_id, cl_platform_info, size_t, void *, size_t *))                       \
    X(cl_int, clGetDeviceIDs, (cl_platform_id, cl_device_type, cl_uint, cl_device_id *, cl_uint *))                  \
    X(cl_int, clGetDeviceInfo, (cl_device_id, cl_device_info, size_t, void *, size_t *))                             \
    X(cl_context, clCreateContext,                                                                                   \
      (const cl_context_properties *, cl_uint, const cl_device_id *,                                                 \
       void(DCNV4I_CL_CALL *)(const char *, const void *, size_t, void *), void *, cl_int *))                        \
    X(cl_int, clRetainContext, (cl_context))                                                                         \
    X(cl_int, clReleaseContext, (cl_context))                                                                        \
    X(cl_int, clGetContextInfo, (cl_context, cl_context_info, size_t, void *, size_t *))                             \
    X(cl_command_queue, clCreateCommandQueue, (cl_context, cl_device_id, cl_command_queue_properties, cl_int *))     \
    X(cl_int, clReleaseCommandQueue, (cl_command_queue))                                                             \
    X(cl_mem, clCreateBuffer, (cl_context, cl_mem_flags, size_t, void *, cl_int *))                                  \
    X(cl_int, clReleaseMemObject, (cl_mem))                                                                          \
    X(cl_program, clCreateProgramWithSource, (cl_context, cl_uint, const char **, const size_t *, cl_int *))         \
    X(cl_program, clCreateProgramWithBinary,                                                                         \
      (cl_context, cl_uint, const cl_device_id *, const size_t *, const unsigned char **, cl_int *, cl_int *))       \
    X(cl_int, clBuildProgram,                                                                                        \
      (cl_program, cl_uint, const cl_device_id *, const char *, void(DCNV4I_CL_CALL *)(cl_program, void *), void *)) \
    X(cl_int, clGetProgramInfo, (cl_program, cl_program_info, size_t, void *, size_t *))                             \
    X(cl_int, clGetProgramBuildInfo, (cl_program, cl_device_id, cl_program_build_info, size_t, void *, size_t *))    \
    X(cl_int, clReleaseProgram, (cl_program))                                                                        \
    X(cl_kernel, clCreateKernel, (cl_program, const char *, cl_int *))                                               \
    X(cl_int, clReleaseKernel, (cl_kernel))                                                                          \
    X(cl_int, clSetKernelArg, (cl_kernel, cl_uint, size_t, const void *))                                            \
    X(cl_int, clEnqueueNDRangeKernel,                                                                                \
      (cl_command_queue, cl_kernel, cl_uint, const size_t *, const size_t *, const size_t *, cl_uint,                \
       const cl_event *, cl_event *))                                                                                \
    X(cl_int, clEnqueueReadBuffer,                                                                                   \
      (cl_command_queue, cl_mem, cl_bool, size_t, size_t, void *, cl_uint, const cl_event *, cl_event *))            \
    X(cl_int, clEnqueueWriteBuffer,                                                                                  \
      (cl_command_queue, cl_mem, cl_bool, size_t, size_t, const void *, cl_uint, const cl_event *, cl_event *))      \
    X(cl_int, clEnqueueMarkerWithWaitList, (cl_command_queue, cl_uint, const cl_event *, cl_event *))                \
    X(cl_int, clReleaseEvent, (cl_event))                                                                            \
    X(cl_int, clFlush, (cl_command_queue))                                                                           \
    X(cl_int, clFinish, (cl_command_queue))

/* X(name, number): DCNV4I_CL_name is CL_name. */
#define DCNV4I_OPENCL_CONSTANTS(X)                    \
    X(SUCCESS, 0)                                     \
    X(DEVICE_NOT_FOUND, -1)                           \
    X(DEVICE_NOT_AVAILABLE, -2)                       \
    X(COMPILER_NOT_AVAILABLE, -3)                     \
    X(MEM_OBJECT_ALLOCATION_FAILURE, -4)              \
    X(OUT_OF_RESOURCES, -5)                           \
    X(OUT_OF_HOST_MEMORY, -6)                         \
    X(BUILD_PROGRAM_FAILURE, -11)                     \
    X(EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST, -14) \
    X(INVALID_VALUE, -30)                             \
    X(INVALID_CONTEXT, -34)                           \
    X(INVALID_COMMAND_QUEUE, -36)                     \
    X(INVALID_MEM_OBJECT, -38)                        \
    X(INVALID_EVENT_WAIT_LIST, -57)                   \
    X(INVALID_EVENT, -58)                             \
    X(INVALID_BUFFER_SIZE, -61)                       \
    X(PLATFORM_VERSION, 0x0901)                       \
    X(PLATFORM_NAME, 0x0902)                          \
    X(DEVICE_TYPE_CPU, 1 << 1)                        \
    X(DEVICE_TYPE_GPU, 1 << 2)                        \
    X(DEVICE_TYPE, 0x1000)                            \
    X(DEVICE_VENDOR_ID, 0x1001)                       \
    X(DEVICE_MAX_COMPUTE_UNITS, 0x1002)               \
    X(DEVICE_MAX_WORK_GROUP_SIZE, 0x1004)             \
    X(DEVICE_ADDRESS_BITS, 0x100D)                    \
    X(DEVICE_GLOBAL_MEM_SIZE, 0x101F)                 \
    X(DEVICE_LOCAL_MEM_SIZE, 0x1023)                  \
    X(DEVICE_AVAILABLE, 0x1027)                       \
    X(DEVICE_COMPILER_AVAILABLE, 0x1028)              \
    X(DEVICE_NAME, 0x102B)                            \
    X(DEVICE_VENDOR, 0x102C)                          \
    X(DRIVER_VERSION, 0x102D)                         \
    X(DEVICE_VERSION, 0x102F)                         \
    X(DEVICE_EXTENSIONS, 0x1030)                      \
    X(DEVICE_PLATFORM, 0x1031)                        \
    X(DEVICE_NATIVE_VECTOR_WIDTH_FLOAT, 0x103A)       \
    X(DEVICE_OPENCL_C_VERSION, 0x103D)                \
    X(CONTEXT_DEVICES, 0x1081)                        \
    X(CONTEXT_PLATFORM, 0x1084)                       \
    X(MEM_READ_WRITE, 1)                              \
    X(PROGRAM_NUM_DEVICES, 0x1162)                    \
    X(PROGRAM_DEVICES, 0x1163)                        \
    X(PROGRAM_BINARY_SIZES, 0x1165)                   \
    X(PROGRAM_BINARIES, 0x1166)                       \
    X(PROGRAM_BUILD_LOG, 0x1183)

#define DCNV4I_CL_ENUMERATOR(name, number) DCNV4I_CL_##name = number,
enum { DCNV4I_OPENCL_CONSTANTS(DCNV4I_CL_ENUMERATOR) };
#undef DCNV4I_CL_ENUMERATOR

/* All types of devices; too large for an enumerator. */
#define DCNV4I_CL_DEVICE_TYPE_ALL ((cl_device_type)0xFFFFFFFF)

/* The loaded entry points. */
typedef struct dcnv4i_opencl_api {
#define DCNV4I_CL_MEMBER(result, name, arguments) result(DCNV4I_CL_CALL *name) arguments;
    DCNV4I_OPENCL_ENTRIES(DCNV4I_CL_MEMBER)
#undef DCNV4I_CL_MEMBER
} dcnv4i_opencl_api;

/* Loads the library, once per process. DCNV4_DEVICE_UNAVAILABLE if it is missing or lacks an entry point. */
dcnv4_status dcnv4i_opencl_load(const dcnv4i_opencl_api **api);

/* Whether it is loaded already. */
bool dcnv4i_opencl_is_loaded(void);

/* Turns a failure of an OpenCL function into a status and a message. */
dcnv4_status dcnv4i_opencl_fail(const char *function, cl_int error);

#endif
