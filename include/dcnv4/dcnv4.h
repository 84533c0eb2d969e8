/* libdcnv4: deformable convolution v4 (DCNv4) on CPUs and GPUs, with a plain C ABI.
 * SPDX-License-Identifier: MIT
 *
 * Each output pixel samples K points of the input, at places that the network predicts for that pixel, and adds what it
 * finds there with weights that the network predicts too (Xiong et al., CVPR 2024, arXiv 2401.06197). docs/operator.md
 * has the formula. The whole use, for a layer of 4 groups of 16 channels on one 64×96 image:
 *
 *     #include <dcnv4/dcnv4.h>
 *     #include <stdio.h>
 *
 *     int aggregate(const float *value, const float *offset_mask, float *output) {
 *         dcnv4_problem problem = DCNV4_PROBLEM_INIT;
 *         problem.batch = 1, problem.height = 64, problem.width = 96;
 *         problem.groups = 4, problem.group_channels = 16;
 *         dcnv4_sizes sizes = DCNV4_SIZES_INIT;
 *         dcnv4_context *context = NULL;
 *         dcnv4_plan *plan = NULL;
 *         dcnv4_status status = dcnv4_problem_sizes(&problem, &sizes);
 *         if (status == DCNV4_SUCCESS) status = dcnv4_context_create("cpu", &context);
 *         if (status == DCNV4_SUCCESS) status = dcnv4_plan_create(context, &problem, &plan);
 *         if (status == DCNV4_SUCCESS) {
 *             dcnv4_buffers buffers = DCNV4_BUFFERS_INIT;
 *             buffers.value = dcnv4_host_buffer((void *)value, sizes.value);
 *             buffers.offset_mask = dcnv4_host_buffer((void *)offset_mask, sizes.offset_mask);
 *             buffers.output = dcnv4_host_buffer(output, sizes.output);
 *             status = dcnv4_forward(plan, &buffers, NULL);
 *         }
 *         if (status != DCNV4_SUCCESS) fprintf(stderr, "%s\n", dcnv4_last_message());
 *         dcnv4_plan_destroy(plan);
 *         dcnv4_context_destroy(context);
 *         return status == DCNV4_SUCCESS ? 0 : 1;
 *     }
 *
 * Words: N batch, H×W input size, Ho×Wo output size, G groups, D channels per group, C = G·D, K sampling points
 * (kernel_h·kernel_w, one less with remove_center), P elements in one row of offset_mask. All tensors are channels-last.
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
#ifndef DCNV4_DCNV4_H
#define DCNV4_DCNV4_H

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

/* Gives a context back. NULL is allowed. A context that still has plans lives on until the last of them is destroyed. */
DCNV4_API void dcnv4_context_destroy(dcnv4_context *context);

/* ---- Problems --------------------------------------------------------------------------------------------------- */

typedef enum dcnv4_dtype {
    DCNV4_FLOAT32 = 0,
    DCNV4_FLOAT16 = 1,  /* IEEE binary16 storage, float32 arithmetic */
    DCNV4_BFLOAT16 = 2, /* the upper half of a float32, float32 arithmetic */
    DCNV4_FLOAT64 = 3   /* on the reference and the cpu */
} dcnv4_dtype;

/* In the place of a dcnv4_dtype: that of the problem's other tensors. */
#define DCNV4_SAME_DTYPE (-1)

/* What is asked. Sizes count elements; pairs are in (height, width) order.
 *
 *     value        [N, H, W, G·D]      the input feature map
 *     offset_mask  [N, Ho, Wo, P]      one row a pixel; block g at 3·K·g: K pairs (dx, dy), then K weights; then padding
 *     output       [N, Ho, Wo, G·D]
 *
 *     Ho = (H + 2·pad_h − (dilation_h·(kernel_h − 1) + 1)) / stride_h + 1, rounded down; Wo likewise
 *
 * A pixel stride is the distance between neighbouring pixels, in elements: 0 for a dense tensor, else at least the row.
 * It lets a slice of a wider tensor be used in place. Gradients have their own.
 *
 * offset_mask_row is P: 0 stands for 3·G·K rounded up to a multiple of 8, as the original authors' modules lay it out. */
typedef struct dcnv4_problem {
    size_t size;                     /* sizeof(dcnv4_problem) */
    int32_t dtype;                   /* a dcnv4_dtype, of all tensors but see offset_mask_dtype */
    int32_t remove_center;           /* 1: the kernel's centre point is left out */
    int32_t softmax;                 /* 1: the K weights of a block are softmaxed first */
    int32_t deterministic;           /* 1: gradients have the same bits in every run; the cpu's always have */
    int32_t forward_only;            /* 1: the plan refuses dcnv4_backward, and spares what only that would need */
    int32_t reserved;                /* 0 */
    double offset_scale;             /* stretches the kernel grid and the offsets; any number */
    int64_t batch;                   /* N ≥ 0 */
    int64_t height, width;           /* H, W ≥ 0 */
    int64_t groups;                  /* G ≥ 1 */
    int64_t group_channels;          /* D ≥ 1 */
    int64_t kernel_h, kernel_w;      /* ≥ 1 */
    int64_t stride_h, stride_w;      /* ≥ 1 */
    int64_t pad_h, pad_w;            /* ≥ 0 */
    int64_t dilation_h, dilation_w;  /* ≥ 1 */
    int64_t offset_mask_row;         /* P ≥ 3·G·K, or 0 */
    int64_t value_stride;            /* pixel strides, from here on */
    int64_t offset_mask_stride;
    int64_t output_stride;
    int64_t grad_output_stride;
    int64_t grad_value_stride;
    int64_t grad_offset_mask_stride;
    int32_t offset_mask_dtype;       /* of offset_mask and grad_offset_mask: DCNV4_SAME_DTYPE, the same as dtype; or
                                      * DCNV4_FLOAT32 beside 16-bit tensors, since 16 bits round the offsets: a bfloat16
                                      * one of 64 pixels by up to 0.25 */
    int32_t reserved_2;              /* 0 */
} dcnv4_problem;

/* float32, one group, a 3×3 kernel with stride 1, padding 1 and dilation 1, dense tensors; N, H, W and D are left at 0. */
#define DCNV4_PROBLEM_INIT { \
    sizeof(dcnv4_problem), DCNV4_FLOAT32, 0, 0, 0, 0, 0, 1.0, 0, 0, 0, 1, 0, 3, 3, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, \
    DCNV4_SAME_DTYPE, 0 }

/* What follows from a problem. Byte counts are what the buffer of that tensor must at least hold. */
typedef struct dcnv4_sizes {
    size_t size;            /* sizeof(dcnv4_sizes) */
    int64_t points;         /* K */
    int64_t channels;       /* C */
    int64_t output_height;  /* Ho */
    int64_t output_width;   /* Wo */
    int64_t offset_mask_row; /* P */
    size_t value, offset_mask, output;                /* bytes */
    size_t grad_output, grad_value, grad_offset_mask; /* bytes */
} dcnv4_sizes;

#define DCNV4_SIZES_INIT { sizeof(dcnv4_sizes), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 }

/* Checks a problem and says its sizes; needs no device. DCNV4_INVALID_PROBLEM names the field and both numbers. */
DCNV4_API dcnv4_status dcnv4_problem_sizes(const dcnv4_problem *problem, dcnv4_sizes *sizes);

/* ---- Plans ------------------------------------------------------------------------------------------------------ */

/* A checked problem on a context, ready to run any number of times. */
typedef struct dcnv4_plan dcnv4_plan;

typedef enum dcnv4_pass { DCNV4_PASS_FORWARD = 0, DCNV4_PASS_BACKWARD = 1 } dcnv4_pass;

/* Makes a plan: every check of the problem happens here, and everything that a run needs is made ready. *plan is NULL
 * after a failure: DCNV4_INVALID_PROBLEM, DCNV4_UNSUPPORTED (the device has not this dtype), DCNV4_OUT_OF_MEMORY; on a
 * device that compiles also DCNV4_BUILD_FAILED and DCNV4_COMPILER_UNAVAILABLE.
 *
 * Such a device compiles a layer once: N, H and W do not matter. Its context keeps the kernels, and so does a folder, for
 * later programs: $DCNV4_CACHE_DIR, or dcnv4 in $XDG_CACHE_HOME or ~/.cache; "off" for none. It must be this user's, and
 * nobody else may write to it. With DCNV4_COMPILER=off only kernels of that folder are used. Both are read when a context
 * is made. A choice that was kept there for the layer (dcnv4_candidate_keep) is read here. */
DCNV4_API dcnv4_status dcnv4_plan_create(dcnv4_context *context, const dcnv4_problem *problem, dcnv4_plan **plan);

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

/* The parts of the passes, named after what they write. */
typedef enum dcnv4_part {
    DCNV4_PART_OUTPUT = 0,           /* forward */
    DCNV4_PART_GRAD_OFFSET_MASK = 1, /* backward is this one and the next */
    DCNV4_PART_GRAD_VALUE = 2
} dcnv4_part;

/* One of the ways in which a device that compiles can do a part: other work-groups, the same result but for rounding. */
typedef struct dcnv4_candidate_info {
    size_t size;       /* sizeof(dcnv4_candidate_info) */
    char words[128];   /* "4 lanes × 8 channels, 8×8 pixels, 9 points at a time" */
    int32_t in_use;    /* 1: the plan does the part in this way */
    int32_t reserved;  /* 0 */
} dcnv4_candidate_info;

#define DCNV4_CANDIDATE_INFO_INIT { sizeof(dcnv4_candidate_info), "", 0, 0 }

/* How many ways there are for a part of a plan, to be compared as `dcnv4 tune` does; they depend on the layer, not on N, H
 * and W. Number 0 is the default. 0 for NULL, a part that the plan has not, and on devices that do not compile. */
DCNV4_API int64_t dcnv4_candidate_count(const dcnv4_plan *plan, dcnv4_part part);

/* Fills *info for candidate number index, 0 ≤ index < dcnv4_candidate_count(plan, part). */
DCNV4_API dcnv4_status dcnv4_candidate_info_get(const dcnv4_plan *plan, dcnv4_part part, int64_t index,
                                                dcnv4_candidate_info *info);

/* Makes a plan of the same problem whose one pass, dcnv4_forward or dcnv4_backward, does this part alone, in this way: it is
 * given the same buffers, of which the tensors begin at multiples of 32 bytes, and writes output, grad_offset_mask or
 * grad_value. It has a workspace size of its own. *candidate is NULL after a failure; those of dcnv4_plan_create. */
DCNV4_API dcnv4_status dcnv4_candidate_create(const dcnv4_plan *plan, dcnv4_part part, int64_t index,
                                              dcnv4_plan **candidate);

/* Keeps the choice in the folder of the kernels: plans that are made from now on, by any program, of the same layer on the
 * same device with the same driver and version of this library, do the part in this way. What is damaged, or not possible,
 * is not taken; and where kernels of a choice cannot be had, since there is no compiler, the defaults are. Keeping number 0
 * forgets the choice. DCNV4_UNSUPPORTED if there is no such folder, or it cannot be written to. */
DCNV4_API dcnv4_status dcnv4_candidate_keep(const dcnv4_plan *plan, dcnv4_part part, int64_t index);

/* Gives a plan back. NULL is allowed. */
DCNV4_API void dcnv4_plan_destroy(dcnv4_plan *plan);

/* ---- Buffers and runs ------------------------------------------------------------------------------------------- */

/* A piece of memory: a pointer (reference, cpu; to the device's memory on CUDA and HIP) or the device's own handle (cl_mem
 * on OpenCL), a byte offset into it and the number of bytes from there on that may be used. Tensors start at a multiple of
 * their element size; a workspace may start anywhere. */
typedef struct dcnv4_buffer {
    void *handle;
    size_t offset;
    size_t length;
} dcnv4_buffer;

/* The tensors of a run; those that the pass does not use are ignored. */
typedef struct dcnv4_buffers {
    size_t size; /* sizeof(dcnv4_buffers) */
    dcnv4_buffer value, offset_mask, output;
    dcnv4_buffer grad_output, grad_value, grad_offset_mask;
    dcnv4_buffer workspace;
} dcnv4_buffers;

#define DCNV4_BUFFERS_INIT { sizeof(dcnv4_buffers), { NULL, 0, 0 }, { NULL, 0, 0 }, { NULL, 0, 0 }, \
                             { NULL, 0, 0 }, { NULL, 0, 0 }, { NULL, 0, 0 }, { NULL, 0, 0 } }

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

/* value, offset_mask → output. Every element of output is written, nothing between its rows is. stream is NULL on the
 * reference and the cpu, a dcnv4_opencl_stream * on OpenCL, a CUstream or cudaStream_t on CUDA, a hipStream_t on HIP, where
 * NULL is the device's default stream: the run is queued there and has not ended when the call returns. It may be captured
 * into a graph. Nothing is allocated. DCNV4_INVALID_ARGUMENT if a buffer is missing, too short or misaligned,
 * or if output or the workspace overlaps another buffer; then nothing has been written. */
DCNV4_API dcnv4_status dcnv4_forward(const dcnv4_plan *plan, const dcnv4_buffers *buffers, void *stream);

/* value, offset_mask, grad_output → grad_value, grad_offset_mask. Every element of both gradients is written (the padding
 * of grad_offset_mask with 0), nothing between their rows is. Otherwise as dcnv4_forward. */
DCNV4_API dcnv4_status dcnv4_backward(const dcnv4_plan *plan, const dcnv4_buffers *buffers, void *stream);

/* What no implementation of a pass can be faster than on its device. */
typedef enum dcnv4_floor {
    DCNV4_FLOOR_MEMORY = 0, /* reading each input of the pass once, and writing each output once */
    DCNV4_FLOOR_LOADS = 1   /* 4·K·D loads of value for each group of each output pixel, all of them from a few KiB in the
                               first-level cache, 16 bytes each, with their multiply-adds */
} dcnv4_floor;

/* Runs that instead of the pass, so that a caller can time it beside the pass, as `dcnv4 bench` does. It overwrites the
 * pass's outputs, also between their rows, with numbers that mean nothing. The first run of a dtype on a context compiles.
 * Otherwise as the pass. DCNV4_UNSUPPORTED on the reference and the cpu, whose floor a caller's own loops can find. */
DCNV4_API dcnv4_status dcnv4_floor_run(const dcnv4_plan *plan, dcnv4_pass pass, dcnv4_floor floor,
                                       const dcnv4_buffers *buffers, void *stream);

/* Memory of the context's device, for callers with no framework of their own, at a multiple of 64 bytes: the cpu is up to
 * half again as fast on tensors that begin at one. A length of 0 is allowed.
 * DCNV4_OUT_OF_MEMORY or DCNV4_OUT_OF_DEVICE_MEMORY leave *buffer empty. */
DCNV4_API dcnv4_status dcnv4_buffer_create(dcnv4_context *context, size_t length, dcnv4_buffer *buffer);

/* Gives it back and empties *buffer. An empty one is allowed, and so is a NULL buffer. */
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
