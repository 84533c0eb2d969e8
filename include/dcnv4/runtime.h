/* libdcnv4, what its operators share: statuses, devices, contexts, plans, memory.
 * SPDX-License-Identifier: MIT
 *
 * Rules that hold for every function:
 * - Functions that can fail return a dcnv4_status; dcnv4_last_message() then has one sentence with the numbers in it.
 * - Pointers must not be NULL except where a comment allows it; a NULL is refused with DCNV4_INVALID_ARGUMENT.
 * - The library prints nothing, and never ends the process. Inputs are never written. A driver that a device is opened on
 *   may print: PoCL's compiler says "1 error generated." on stderr when it refuses a kernel.
 * - Nothing depends on the caller's floating-point environment: rounding mode, flushing of subnormals, traps. It is the
 *   caller's again afterwards, exception flags counted in.
 * - Contexts and plans may be used from several threads at once; creating, running and destroying need no lock of the
 *   caller's, except that an object must not be destroyed, nor its thread count set, while another thread uses it.
 * - A child of fork() may go on with the contexts and plans of the reference and the cpu; those of other devices answer
 *   DCNV4_FORKED there. A child that is made without fork()'s handlers, by vfork(), _Fork() or the system call itself, is
 *   not noticed, and must not call the library before exec().
 * - Structs begin with their own size, set by their _INIT macro, so that a later version can add fields at the end and
 *   read an older caller's struct rightly.
 */
#ifndef DCNV4_RUNTIME_H
#define DCNV4_RUNTIME_H

#include <stddef.h>
#include <stdint.h>

/* The only place where the version stands: the build reads it from here. */
#define DCNV4_VERSION_MAJOR 0
#define DCNV4_VERSION_MINOR 1
#define DCNV4_VERSION_PATCH 0

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
    DCNV4_INVALID_PROBLEM = 2,    /* no operator has these sizes */
    DCNV4_UNSUPPORTED = 3,        /* legal, but not on this device or in this version */
    DCNV4_OUT_OF_MEMORY = 4,      /* host memory, or a thread, could not be had */
    DCNV4_DEVICE_UNAVAILABLE = 5, /* the named device is not there; the message says why */
    DCNV4_OUT_OF_DEVICE_MEMORY = 6,
    DCNV4_DEVICE_LOST = 7,        /* the device failed; its context answers this from then on */
    DCNV4_DRIVER_ERROR = 8,       /* any other error of a driver; the message has its number */
    DCNV4_COMPILER_UNAVAILABLE = 9, /* no compiler for kernels and none prebuilt for this problem */
    DCNV4_BUILD_FAILED = 10,      /* the driver's compiler refused a kernel; the message has its first line */
    DCNV4_FORKED = 11             /* a device context was carried over a fork(), which its driver does not survive */
} dcnv4_status;

/* A few words for a status, such as "invalid problem"; "unknown status" for a number that is none. Never NULL. */
DCNV4_API const char *dcnv4_status_name(dcnv4_status status);

/* One sentence about this thread's latest failed call, or "" if none has failed yet. Never NULL. The text belongs to the
 * library and stays as it is until the next failed call in the same thread. */
DCNV4_API const char *dcnv4_last_message(void);

/* The version of the library that is running, such as "0.1.0". */
DCNV4_API const char *dcnv4_version(void);

/* ---- Devices ---------------------------------------------------------------------------------------------------- */

typedef struct dcnv4_device_info {
    size_t size;           /* sizeof(dcnv4_device_info) */
    char name[32];         /* what dcnv4_context_create takes: "cpu", "opencl:0", … */
    char backend[16];      /* "reference", "cpu", "opencl", … */
    char description[128]; /* the hardware and, where there is one, its platform */
    char features[256];    /* what of the device is used, as words with ", " between */
    char reason[256];      /* why the device is missing; "" if it is there */
    int32_t available;     /* 1: a context can be made on it; 0: it is missing */
    int32_t units;         /* hardware threads or compute units; 0 if not known */
    int64_t memory;        /* bytes of the device's memory; 0 if not known */
} dcnv4_device_info;

#define DCNV4_DEVICE_INFO_INIT { sizeof(dcnv4_device_info), "", "", "", "", "", 0, 0, 0 }

/* How many devices there are to ask about, a missing one for each backend that has none counted in. */
DCNV4_API int64_t dcnv4_device_count(void);

/* Fills *info for device number index, 0 ≤ index < dcnv4_device_count(). A missing device is a success with available 0
 * and its reason. DCNV4_INVALID_ARGUMENT if there is no such number. */
DCNV4_API dcnv4_status dcnv4_device_info_get(int64_t index, dcnv4_device_info *info);

/* ---- Contexts --------------------------------------------------------------------------------------------------- */

/* A device to run on. */
typedef struct dcnv4_context dcnv4_context;

/* Makes a context on the device with this name:
 *     "auto"       the fastest device found, the cpu if there is nothing better
 *     "reference"  scalar float64 arithmetic, slow, the measure of the others
 *     "cpu"        this machine's processors, with the widest instructions they have
 *     "cpu:ISA"    the same, held to one of the instruction sets that dcnv4_device_info lists ("cpu:portable")
 *     "opencl:N"   OpenCL device number N, of all platforms; "opencl" is the first GPU among them, or the first device
 *     "opencl:N:cpu", "opencl:N:gpu"   the same, with kernels shaped for such a device, whatever it is
 *     "cuda:N"     CUDA device number N, on its primary context; "cuda" is the first
 *     "hip:N"      HIP device number N; "hip" is the first
 *     "cuda:sm_90", "hip:gfx942", …    no device: plans compile their kernels for such ones, and cannot run
 * Takes threads for the cpu, as dcnv4_context_set_threads says. *context is NULL after a failure:
 * DCNV4_INVALID_ARGUMENT (no such name), DCNV4_DEVICE_UNAVAILABLE, DCNV4_OUT_OF_MEMORY; on an OpenCL device that is compared with
 * the reference also what else can fail then: DCNV4_BUILD_FAILED, DCNV4_DRIVER_ERROR and the others of a driver.
 *
 * OpenCL has drivers of many makers, so each of its devices is compared with the reference before it is first used: one small
 * layer, forward and backward, in float32 and float16, which compiles its kernels and takes some seconds. The outcome is
 * remembered for that device, driver and version of this library, in the folder of the kernels (see dcnv4_plan_create), or else
 * as long as the process lives. A device whose results differ is DCNV4_DEVICE_UNAVAILABLE, with what differed in the message, and
 * "auto" passes it over. $DCNV4_SELF_CHECK, read when a context is made, is "off" for no comparison, or "again" for one in spite
 * of what is remembered. Where there is no compiler, the device is used without. */
DCNV4_API dcnv4_status dcnv4_context_create(const char *device, dcnv4_context **context);

/* Makes a context on the caller's own OpenCL context and one of its devices, a cl_context and a cl_device_id. Both are held
 * for as long as this context lives. The device is compared with the reference as one opened by name is. *context is NULL after
 * a failure: DCNV4_INVALID_ARGUMENT (the device is none of that context's), or those of dcnv4_context_create. */
DCNV4_API dcnv4_status dcnv4_context_adopt_opencl(void *cl_context, void *cl_device_id, dcnv4_context **context);

/* Makes a context on the CUDA context that is current in the calling thread, whoever made it, or on the HIP device that is.
 * That of "cuda:N" is the device's primary one, which the CUDA runtime and PyTorch use too: their pointers and streams are
 * good for both. The caller keeps an adopted CUDA context until this one is destroyed. *context is NULL after a failure:
 * DCNV4_INVALID_ARGUMENT (this thread has no current CUDA context), DCNV4_DEVICE_UNAVAILABLE, DCNV4_OUT_OF_MEMORY.
 *
 * On both, every call leaves the thread's current context or device as it was. */
DCNV4_API dcnv4_status dcnv4_context_adopt_cuda(dcnv4_context **context);
DCNV4_API dcnv4_status dcnv4_context_adopt_hip(dcnv4_context **context);

/* Sets how many threads a run on this context uses, the calling one counted in: 1 to 1024, or 0 for as many as this
 * process may run on, which is the default. Results are the same bits for every number. Devices that do not run on
 * threads of ours accept any such number and ignore it. After DCNV4_OUT_OF_MEMORY (a thread could not be started) the
 * context has one thread. */
DCNV4_API dcnv4_status dcnv4_context_set_threads(dcnv4_context *context, int32_t threads);

/* Fills *info for the device of this context ("auto" has become a name). */
DCNV4_API dcnv4_status dcnv4_context_info(const dcnv4_context *context, dcnv4_device_info *info);

/* Waits until all that was started through this context has ended, and reports what broke meanwhile. Runs on the cpu and
 * the reference have ended when they return; runs on a stream of the caller's are the caller's to wait for. */
DCNV4_API dcnv4_status dcnv4_synchronize(dcnv4_context *context);

/* Destroys a context. NULL is allowed. A context that still has plans lives on until the last of them is destroyed. */
DCNV4_API void dcnv4_context_destroy(dcnv4_context *context);

/* ---- Element types ---------------------------------------------------------------------------------------------- */

typedef enum dcnv4_dtype {
    DCNV4_FLOAT32 = 0,
    DCNV4_FLOAT16 = 1,  /* IEEE binary16 storage, float32 arithmetic */
    DCNV4_BFLOAT16 = 2, /* the upper half of a float32, float32 arithmetic */
    DCNV4_FLOAT64 = 3   /* on the reference and the cpu */
} dcnv4_dtype;

/* ---- Plans ------------------------------------------------------------------------------------------------------ */

/* A checked problem of an operator on a context, ready to run any number of times. */
typedef struct dcnv4_plan dcnv4_plan;

typedef enum dcnv4_pass { DCNV4_PASS_FORWARD = 0, DCNV4_PASS_BACKWARD = 1 } dcnv4_pass;

/* How many bytes of workspace a run of this pass needs; often 0. Runs that may overlap in time need one each. It depends
 * on the context's thread count: ask again after dcnv4_context_set_threads. 0 for a NULL plan or a pass that it has not. */
DCNV4_API size_t dcnv4_plan_workspace_size(const dcnv4_plan *plan, dcnv4_pass pass);

/* What a compiled kernel of a plan takes; −1 where its binary does not tell. */
typedef struct dcnv4_kernel_info {
    size_t size;                /* sizeof(dcnv4_kernel_info) */
    char name[32];              /* "dcn_forward", … */
    char target[32];            /* what it is compiled for: "sm_90", "gfx942"; "" if not known */
    int32_t aligned;            /* 1: it runs where buffers begin at multiples of 32 bytes, 0: where they do not */
    int32_t deterministic;      /* 1: it has the same bits in every run, by giving each element one writer */
    int64_t registers;          /* of a work-item */
    int64_t local_memory_bytes; /* of a work-group (CUDA: shared memory) */
    int64_t spill_bytes;        /* of a work-item, in memory since registers were too few */
    double occupancy;           /* 0 to 1: the share of a multiprocessor's lanes that fit on it at once */
} dcnv4_kernel_info;

#define DCNV4_KERNEL_INFO_INIT { sizeof(dcnv4_kernel_info), "", "", 0, 0, 0, 0, 0, 0.0 }

/* How many kernels were compiled for a plan; 0 for NULL, and on devices that do not compile. */
DCNV4_API int64_t dcnv4_kernel_count(const dcnv4_plan *plan);

/* Fills *info for kernel number index, 0 ≤ index < dcnv4_kernel_count(plan). */
DCNV4_API dcnv4_status dcnv4_kernel_info_get(const dcnv4_plan *plan, int64_t index, dcnv4_kernel_info *info);

/* One of the ways in which a device that compiles can do a part of a plan (in deform_conv.h a dcnv4_part): other work-groups, the
 * same result but for rounding. */
typedef struct dcnv4_tactic_info {
    size_t size;       /* sizeof(dcnv4_tactic_info) */
    char description[128]; /* "4 lanes × 8 channels, 8×8 pixels, 9 points at a time" */
    int32_t in_use;    /* 1: the plan does the part in this way */
    int32_t reserved;  /* 0 */
} dcnv4_tactic_info;

#define DCNV4_TACTIC_INFO_INIT { sizeof(dcnv4_tactic_info), "", 0, 0 }

/* How many ways there are for a part of a plan, to be compared as `dcnv4 tune` does; they depend on the layer, not on N, H
 * and W. Number 0 is the default. 0 for NULL, a part that the plan has not, and on devices that do not compile. */
DCNV4_API int64_t dcnv4_tactic_count(const dcnv4_plan *plan, int32_t part);

/* Fills *info for tactic number index, 0 ≤ index < dcnv4_tactic_count(plan, part). */
DCNV4_API dcnv4_status dcnv4_tactic_info_get(const dcnv4_plan *plan, int32_t part, int64_t index,
                                                dcnv4_tactic_info *info);

/* Makes a plan of the same problem whose one pass, dcnv4_forward or dcnv4_backward, does this part alone, in this way: it is
 * given the same buffers, of which the tensors begin at multiples of 32 bytes, and writes output, grad_offset_mask or
 * grad_value. It has a workspace size of its own. *tactic is NULL after a failure; those of dcnv4_plan_create. */
DCNV4_API dcnv4_status dcnv4_tactic_create(const dcnv4_plan *plan, int32_t part, int64_t index,
                                              dcnv4_plan **tactic);

/* Keeps the choice in the folder of the kernels: plans that are made from now on, by any program, of the same layer on the
 * same device with the same driver and version of this library, do the part in this way. What is damaged, or not possible,
 * is not taken; and where kernels of a choice cannot be had, since there is no compiler, the defaults are. Keeping number 0
 * forgets the choice. DCNV4_UNSUPPORTED if there is no such folder, or it cannot be written to. */
DCNV4_API dcnv4_status dcnv4_tactic_save(const dcnv4_plan *plan, int32_t part, int64_t index);

/* Destroys a plan. NULL is allowed. */
DCNV4_API void dcnv4_plan_destroy(dcnv4_plan *plan);

/* What no implementation of a pass can be faster than on its device. */
typedef enum dcnv4_roofline {
    DCNV4_ROOFLINE_MEMORY = 0, /* reading each input of the pass once, and writing each output once */
    DCNV4_ROOFLINE_LOADS = 1   /* the loads of value that the points' four corners are, all of them from a few KiB in the
                               first-level cache, 16 bytes each, with their multiply-adds */
} dcnv4_roofline;

/* ---- Buffers and streams ---------------------------------------------------------------------------------------- */

/* A piece of memory: a pointer (reference, cpu; to the device's memory on CUDA and HIP) or the device's own handle (cl_mem
 * on OpenCL), a byte offset into it and the number of bytes from there on that may be used. Tensors start at a multiple of
 * their element size; a workspace may start anywhere. */
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

/* What stream points to for a run on an OpenCL queue of the caller's. The run is queued after the events in wait_list, in
 * the queue's turn if it runs in order, and has not ended when the call returns; the caller keeps buffers and workspace
 * until it has. A NULL stream stands for a queue of the context's own. */
typedef struct dcnv4_opencl_stream {
    size_t size;            /* sizeof(dcnv4_opencl_stream) */
    void *queue;            /* cl_command_queue of the context's cl_context and device, in or out of order */
    size_t wait_count;      /* how many events are in wait_list; 0 for none */
    void *const *wait_list; /* cl_event */
    void **event;           /* where to put a cl_event of the run's end, which is the caller's to release; or NULL */
} dcnv4_opencl_stream;

#define DCNV4_OPENCL_STREAM_INIT { sizeof(dcnv4_opencl_stream), NULL, 0, NULL, NULL }

/* Memory of the context's device, for callers with no framework of their own, at a multiple of 64 bytes: the cpu is up to
 * half again as fast on tensors that begin at one. A length of 0 is allowed.
 * DCNV4_OUT_OF_MEMORY or DCNV4_OUT_OF_DEVICE_MEMORY leave *buffer empty. */
DCNV4_API dcnv4_status dcnv4_buffer_create(dcnv4_context *context, size_t length, dcnv4_buffer *buffer);

/* Frees the memory and empties *buffer. An empty one is allowed, and so is a NULL buffer. */
DCNV4_API void dcnv4_buffer_destroy(dcnv4_context *context, dcnv4_buffer *buffer);

/* Copies length bytes into the front of a buffer, or out of it, after all that was started through this context before;
 * runs on a stream of the caller's are the caller's to wait for. The copy has ended when they return. DCNV4_INVALID_ARGUMENT if
 * the buffer is shorter. */
DCNV4_API dcnv4_status dcnv4_upload(dcnv4_context *context, const dcnv4_buffer *buffer, const void *source, size_t length);
DCNV4_API dcnv4_status dcnv4_download(dcnv4_context *context, const dcnv4_buffer *buffer, void *target, size_t length);

/* Converts count elements between dtypes, each rounded once to nearest, ties to even; what is too large becomes infinite,
 * a NaN stays one. From a dtype to itself it copies the bits. For callers whose language has no 16-bit floats. source and
 * target need no alignment and must not overlap. DCNV4_INVALID_ARGUMENT for a number that is no dcnv4_dtype. */
DCNV4_API dcnv4_status dcnv4_convert(int32_t from, const void *source, int32_t to, void *target, size_t count);

#ifdef __cplusplus
}
#endif

#endif
