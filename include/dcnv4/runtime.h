/* libdcnv4: what all its operators share: statuses, devices, contexts, plans, memory.
 * SPDX-License-Identifier: MIT
 *
 * Rules that hold for every function:
 * - Functions that can fail return a dcnv4_status; dcnv4_last_message() then has one sentence with the numbers in it.
 * - Pointers must not be NULL except where a comment allows it; a NULL is refused with DCNV4_INVALID_ARGUMENT.
 * - The library prints nothing, and never ends the process. Inputs are never written. A device's driver may print:
 *   PoCL's compiler prints "1 error generated." to stderr when it refuses a kernel.
 * - Results do not depend on the caller's floating-point environment (rounding mode, flushing of subnormals, traps).
 *   Every call restores that environment, exception flags included.
 * - Contexts and plans may be used from several threads at once: creating, running and destroying need no lock in the
 *   caller. But an object must not be destroyed, nor its thread count set, while another thread uses it.
 * - A child of fork() may keep using the contexts and plans of the reference and the cpu; those of other devices return
 *   DCNV4_FORKED there. A child created without fork()'s handlers (by vfork(), _Fork() or the system call itself) is
 *   not detected, and must not call the library before exec().
 * - Structs that have an _INIT macro begin with their own size, which the macro sets, so that a later version can add
 *   fields at the end and still read an older caller's struct correctly.
 */
#ifndef DCNV4_RUNTIME_H
#define DCNV4_RUNTIME_H

#include <stddef.h>
#include <stdint.h>

/* The version is defined here alone; the build reads it from this file. */
#define DCNV4_VERSION_MAJOR 0
#define DCNV4_VERSION_MINOR 2
#define DCNV4_VERSION_PATCH 1

#if defined(DCNV4_STATIC)
#define DCNV4_API
#elif defined(_WIN32)
#ifdef DCNV4_BUILDING
#define DCNV4_API __declspec(dllexport)
#else
#define DCNV4_API __declspec(dllimport)
#endif
#elif defined(__GNUC__)
#define DCNV4_API __attribute__((visibility("default")))
#else
#define DCNV4_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Statuses --------------------------------------------------------------------------------------------------- */

/* The numbers are part of the ABI and never change; new ones are added at the end. */
typedef enum dcnv4_status {
    DCNV4_SUCCESS = 0,
    DCNV4_INVALID_ARGUMENT = 1,   /* a NULL, a bad buffer, an overlap, an unknown name: the call itself is wrong */
    DCNV4_INVALID_PROBLEM = 2,    /* the operator is not defined for these parameters */
    DCNV4_UNSUPPORTED = 3,        /* valid, but not supported on this device or in this version */
    DCNV4_OUT_OF_MEMORY = 4,      /* host memory could not be allocated, or a thread not started */
    DCNV4_DEVICE_UNAVAILABLE = 5, /* the named device is not available; the message says why */
    DCNV4_OUT_OF_DEVICE_MEMORY = 6,
    DCNV4_DEVICE_LOST = 7,        /* the device failed; its context returns this from then on */
    DCNV4_DRIVER_ERROR = 8,       /* any other error of a driver; the message has its number */
    DCNV4_COMPILER_UNAVAILABLE = 9, /* no compiler for kernels, and no compiled kernels of this problem in the cache */
    DCNV4_BUILD_FAILED = 10,      /* the driver's compiler refused a kernel; the message has its error's first line */
    DCNV4_FORKED = 11             /* called in a child of fork(), for a device whose driver does not work there */
} dcnv4_status;

/* A few words for a status, such as "invalid problem"; "unknown status" for any other number. Never NULL. */
DCNV4_API const char *dcnv4_status_name(dcnv4_status status);

/* One sentence about this thread's latest failed call, or "" if none has failed yet. Never NULL. The text belongs to
 * the library and stays unchanged until the next failed call in the same thread. */
DCNV4_API const char *dcnv4_last_message(void);

/* The version of the library that is running, such as "1.2.3". */
DCNV4_API const char *dcnv4_version(void);

/* ---- Devices ---------------------------------------------------------------------------------------------------- */

typedef struct dcnv4_device_info {
    size_t size;           /* sizeof(dcnv4_device_info) */
    char name[32];         /* what dcnv4_context_create takes: "cpu", "opencl:0", … */
    char backend[16];      /* "reference", "cpu", "opencl", … */
    char description[128]; /* the hardware and, where there is one, its platform */
    char features[256];    /* features of the device that the library uses, separated by ", " */
    char reason[256];      /* why the device is missing; "" if it is there */
    int32_t available;     /* 1: a context can be made on it; 0: it is missing */
    int32_t units;         /* hardware threads or compute units; 0 if not known */
    int64_t memory;        /* bytes of the device's memory; 0 if not known */
} dcnv4_device_info;

#define DCNV4_DEVICE_INFO_INIT { sizeof(dcnv4_device_info), "", "", "", "", "", 0, 0, 0 }

/* The number of devices in the list; a backend that finds no device adds one missing device to it. */
DCNV4_API int64_t dcnv4_device_count(void);

/* Fills *info for device number index, 0 ≤ index < dcnv4_device_count(). For a missing device it succeeds too, with
 * available 0 and the reason. DCNV4_INVALID_ARGUMENT if index is out of range. */
DCNV4_API dcnv4_status dcnv4_device_info_get(int64_t index, dcnv4_device_info *info);

/* ---- Contexts --------------------------------------------------------------------------------------------------- */

/* A device to run on. */
typedef struct dcnv4_context dcnv4_context;

/* Creates a context on the device with this name:
 *     "auto"       the fastest device found, the cpu if there is nothing better
 *     "reference"  scalar float64 arithmetic, slow; the other devices are tested against it
 *     "cpu"        this machine's processors, with the widest instructions they have
 *     "cpu:ISA"    the same, limited to one of the instruction sets that dcnv4_device_info lists ("cpu:portable")
 *     "opencl:N"   OpenCL device number N, of all platforms; "opencl" is the first GPU among them, or the first device
 *     "opencl:N:cpu", "opencl:N:gpu"   the same, with the kernels for CPUs or for GPUs, whatever the device is
 *     "cuda:N"     CUDA device number N, on its primary context; "cuda" is the first
 *     "hip:N"      HIP device number N; "hip" is the first
 *     "cuda:sm_90", "hip:gfx942", …    no device: plans compile their kernels for this target, and cannot run
 * On the cpu this starts threads (see dcnv4_context_set_threads). *context is NULL after a failure:
 * DCNV4_INVALID_ARGUMENT (no such name), DCNV4_DEVICE_UNAVAILABLE, DCNV4_OUT_OF_MEMORY; on an OpenCL device, which is
 * compared with the reference first, also DCNV4_BUILD_FAILED, DCNV4_DRIVER_ERROR and the other statuses of a driver.
 *
 * OpenCL drivers come from many vendors, so each OpenCL device is compared with the reference before its first use: one
 * small layer, forward and backward, in float32 and float16. This compiles the layer's kernels and takes some seconds.
 * The outcome is remembered for that device, driver and version of this library: in the cache folder (see
 * dcnv4_plan_create), or, without one, until the process ends. A device whose results differ is refused with
 * DCNV4_DEVICE_UNAVAILABLE and a message that says what differed; "auto" skips it. $DCNV4_SELF_CHECK is read when a
 * context is created: "off" skips the comparison, "again" repeats one that is remembered. Where there is no compiler,
 * the device is used uncompared. */
DCNV4_API dcnv4_status dcnv4_context_create(const char *device, dcnv4_context **context);

/* Creates a context on the caller's own OpenCL context and one of its devices, a cl_context and a cl_device_id. Both
 * are retained for as long as this context lives. The device is compared with the reference like one opened by name.
 * *context is NULL after a failure: DCNV4_INVALID_ARGUMENT (the device does not belong to the cl_context), or any
 * failure of dcnv4_context_create. */
DCNV4_API dcnv4_status dcnv4_context_adopt_opencl(void *cl_context, void *cl_device_id, dcnv4_context **context);

/* Creates a context on the CUDA context that is current in the calling thread, whoever created it, or on the current
 * HIP device. "cuda:N" uses the device's primary context, as the CUDA runtime and PyTorch do, so that their pointers
 * and streams work there too. The caller must keep an adopted CUDA context until this context is destroyed. *context is
 * NULL after a failure: DCNV4_INVALID_ARGUMENT (this thread has no current CUDA context), DCNV4_DEVICE_UNAVAILABLE,
 * DCNV4_OUT_OF_MEMORY.
 *
 * On CUDA and HIP, every call leaves the thread's current context or device as it was. */
DCNV4_API dcnv4_status dcnv4_context_adopt_cuda(dcnv4_context **context);
DCNV4_API dcnv4_status dcnv4_context_adopt_hip(dcnv4_context **context);

/* Sets how many threads a run on this context uses, including the calling one: 1 to 1024, or 0, the default, for as
 * many as there are processors that this process may run on. Results have the same bits for every number. Devices other
 * than the cpu accept any such number and ignore it. After DCNV4_OUT_OF_MEMORY (a thread could not be started) the
 * context has one thread. */
DCNV4_API dcnv4_status dcnv4_context_set_threads(dcnv4_context *context, int32_t threads);

/* Fills *info for the device of this context (with "auto", the device that was chosen). */
DCNV4_API dcnv4_status dcnv4_context_info(const dcnv4_context *context, dcnv4_device_info *info);

/* Waits for all work that was started through this context, and reports errors that occurred meanwhile. It does not
 * wait for runs on a stream of the caller's. On the cpu and the reference a run has ended when its call returns. */
DCNV4_API dcnv4_status dcnv4_synchronize(dcnv4_context *context);

/* Destroys a context. NULL is allowed. A context that still has plans lives on until the last of them is destroyed. */
DCNV4_API void dcnv4_context_destroy(dcnv4_context *context);

/* ---- Element types ---------------------------------------------------------------------------------------------- */

typedef enum dcnv4_dtype {
    DCNV4_FLOAT32 = 0,
    DCNV4_FLOAT16 = 1,  /* IEEE binary16 storage, float32 arithmetic */
    DCNV4_BFLOAT16 = 2, /* the upper half of a float32, float32 arithmetic */
    DCNV4_FLOAT64 = 3   /* only on the reference and the cpu */
} dcnv4_dtype;

/* In the place of a dcnv4_dtype: that of the problem's other tensors. */
#define DCNV4_SAME_DTYPE (-1)

/* ---- Plans ------------------------------------------------------------------------------------------------------ */

/* A checked problem of an operator on a context, ready to run any number of times. */
typedef struct dcnv4_plan dcnv4_plan;

typedef enum dcnv4_pass { DCNV4_PASS_FORWARD = 0, DCNV4_PASS_BACKWARD = 1 } dcnv4_pass;

/* How many bytes of workspace a run of this pass needs; often 0. Runs that may overlap in time need one each. It
 * depends on the context's thread count: call this again after dcnv4_context_set_threads. 0 for NULL or a pass that the
 * plan lacks. */
DCNV4_API size_t dcnv4_plan_workspace_size(const dcnv4_plan *plan, dcnv4_pass pass);

/* The resources that a compiled kernel of a plan uses; −1 for a number that its binary does not state. */
typedef struct dcnv4_kernel_info {
    size_t size;                /* sizeof(dcnv4_kernel_info) */
    char name[32];              /* "dcn_forward", … */
    char target[32];            /* what it is compiled for: "sm_90", "gfx942"; "" if not known */
    int32_t aligned;            /* 1: used where buffers begin at multiples of 32 bytes, 0: where they do not */
    int32_t deterministic;      /* 1: its results have the same bits in every run, as each element has one writer */
    int64_t registers;          /* per work-item */
    int64_t local_memory_bytes; /* per work-group (CUDA: shared memory) */
    int64_t spill_bytes;        /* per work-item: registers spilled to memory */
    double occupancy;           /* 0 to 1: the share of a multiprocessor's lanes that can be resident at once */
} dcnv4_kernel_info;

#define DCNV4_KERNEL_INFO_INIT { sizeof(dcnv4_kernel_info), "", "", 0, 0, 0, 0, 0, 0.0 }

/* How many kernels were compiled for a plan; 0 for NULL, and on devices that do not compile. */
DCNV4_API int64_t dcnv4_kernel_count(const dcnv4_plan *plan);

/* Fills *info for kernel number index, 0 ≤ index < dcnv4_kernel_count(plan). */
DCNV4_API dcnv4_status dcnv4_kernel_info_get(const dcnv4_plan *plan, int64_t index, dcnv4_kernel_info *info);

/* A tactic: one of the ways in which a device that compiles can do a part of a plan (in deform_conv.h a dcnv4_part).
 * Tactics differ in their work-groups; their results are the same but for rounding. */
typedef struct dcnv4_tactic_info {
    size_t size;       /* sizeof(dcnv4_tactic_info) */
    char description[128]; /* "4 lanes × 8 channels, 8×8 pixels, 9 points at a time" */
    int32_t in_use;    /* 1: the plan uses this tactic for the part */
    int32_t reserved;  /* 0 */
} dcnv4_tactic_info;

#define DCNV4_TACTIC_INFO_INIT { sizeof(dcnv4_tactic_info), "", 0, 0 }

/* The number of tactics for a part of a plan, for a caller to compare as `dcnv4 tune` does; they depend on the layer,
 * not on N, H and W. Tactic 0 is the default. Returns 0 for NULL, a part that the plan lacks, and devices that do not
 * compile. */
DCNV4_API int64_t dcnv4_tactic_count(const dcnv4_plan *plan, int32_t part);

/* Fills *info for tactic number index, 0 ≤ index < dcnv4_tactic_count(plan, part). */
DCNV4_API dcnv4_status dcnv4_tactic_info_get(const dcnv4_plan *plan, int32_t part, int64_t index,
                                                dcnv4_tactic_info *info);

/* Creates a plan of the same problem that does this part alone, with this tactic. It has one pass, dcnv4_forward or
 * dcnv4_backward, which takes the same buffers and writes output, grad_offset_mask or grad_value. Tensors must begin at
 * multiples of 32 bytes. The workspace size is the new plan's own. *tactic is NULL after a failure, which is one of
 * dcnv4_plan_create's. */
DCNV4_API dcnv4_status dcnv4_tactic_create(const dcnv4_plan *plan, int32_t part, int64_t index,
                                              dcnv4_plan **tactic);

/* Saves the choice of a tactic in the cache folder (see dcnv4_plan_create). Plans that any program creates from now on,
 * for the same layer on the same device with the same driver and version of this library, use this tactic for the part.
 * A saved choice that is damaged or not possible is ignored; where its kernels are not cached and there is no compiler,
 * the defaults are used. Saving number 0 removes the choice. DCNV4_UNSUPPORTED if there is no such folder, or it is not
 * writable. */
DCNV4_API dcnv4_status dcnv4_tactic_save(const dcnv4_plan *plan, int32_t part, int64_t index);

/* Destroys a plan. NULL is allowed. */
DCNV4_API void dcnv4_plan_destroy(dcnv4_plan *plan);

/* Limits of a device: no implementation of a pass can take less time than each of these. */
typedef enum dcnv4_roofline {
    DCNV4_ROOFLINE_MEMORY = 0, /* reading each input of the pass once, and writing each output once */
    DCNV4_ROOFLINE_LOADS = 1   /* loading value at the four corners of all points, 16 bytes per load, all from a few KiB
                               in the first-level cache, with the multiply-adds */
} dcnv4_roofline;

/* ---- Buffers and streams ---------------------------------------------------------------------------------------- */

/* A piece of memory: a handle (on the reference and the cpu a pointer to host memory, on CUDA and HIP a pointer to
 * device memory, on OpenCL a cl_mem), a byte offset into it, and the number of bytes from there on that may be used.
 * Tensors start at a multiple of their element size; a workspace may start anywhere. The cpu is fastest where value starts
 * at a multiple of 64 bytes. */
typedef struct dcnv4_buffer {
    void *handle;
    size_t offset;
    size_t length;
} dcnv4_buffer;

/* A buffer over length bytes of host memory, for the reference and the cpu. */
static inline dcnv4_buffer dcnv4_host_buffer(void *pointer, size_t length) {
    dcnv4_buffer buffer;
    buffer.handle = pointer, buffer.offset = 0, buffer.length = length;
    return buffer;
}

/* What stream points to for a run on an OpenCL queue of the caller's. The run waits for the events in wait_list, and in
 * an in-order queue for what was queued before. It has not ended when the call returns; the caller must keep buffers
 * and workspace until it has. A NULL stream stands for a queue of the context's own. */
typedef struct dcnv4_opencl_stream {
    size_t size;            /* sizeof(dcnv4_opencl_stream) */
    void *queue;            /* cl_command_queue of the context's cl_context and device, in or out of order */
    size_t wait_count;      /* how many events are in wait_list; 0 for none */
    void *const *wait_list; /* cl_event */
    void **event;           /* receives a cl_event for the end of the run, which the caller must release; or NULL */
} dcnv4_opencl_stream;

#define DCNV4_OPENCL_STREAM_INIT { sizeof(dcnv4_opencl_stream), NULL, 0, NULL, NULL }

/* Allocates memory of the context's device, for callers without a framework. It begins at a multiple of 64 bytes: the
 * cpu is up to 1.5 times as fast on such tensors. A length of 0 is allowed. DCNV4_OUT_OF_MEMORY or
 * DCNV4_OUT_OF_DEVICE_MEMORY leave *buffer empty. */
DCNV4_API dcnv4_status dcnv4_buffer_create(dcnv4_context *context, size_t length, dcnv4_buffer *buffer);

/* Frees the memory and empties *buffer. An empty one is allowed, and so is a NULL buffer. */
DCNV4_API void dcnv4_buffer_destroy(dcnv4_context *context, dcnv4_buffer *buffer);

/* Copy length bytes to the start of a buffer, or from it. They first wait for all work that was started through this
 * context, but not for runs on a stream of the caller's. The copy has ended when the call returns.
 * DCNV4_INVALID_ARGUMENT if the buffer is shorter than length. */
DCNV4_API dcnv4_status dcnv4_upload(dcnv4_context *context, const dcnv4_buffer *buffer, const void *source, size_t length);
DCNV4_API dcnv4_status dcnv4_download(dcnv4_context *context, const dcnv4_buffer *buffer, void *target, size_t length);

/* Converts count elements between dtypes, each rounded once to nearest, ties to even; a number that is too large
 * becomes infinite, a NaN stays a NaN. Between equal dtypes it copies the bits. For callers whose language has no
 * 16-bit floats. source and target need no alignment and must not overlap. DCNV4_INVALID_ARGUMENT for an unknown
 * dtype. */
DCNV4_API dcnv4_status dcnv4_convert(int32_t from, const void *source, int32_t to, void *target, size_t count);

#ifdef __cplusplus
}
#endif

#endif
