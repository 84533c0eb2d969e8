/* The operators as functions of tvm-ffi, over DLPack tensors: dcnv4/tvm_ffi.py has their arguments. Results are written into
 * tensors of the caller's; None stands for a tensor that is not there. */
#include "tvm_ffi.h"

#include "../calls/calls.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#ifdef _WIN32
#include <windows.h>
static void *symbol(const char *name) {
    const HMODULE module = GetModuleHandleA("tvm_ffi.dll");
    return module ? (void *)(uintptr_t)GetProcAddress(module, name) : NULL;
}
#else
#include <dlfcn.h>
/* From the libtvm_ffi that has called; this library is also loaded where there is none. */
static void *symbol(const char *name) {
    void *const handle = dlopen(
#ifdef __APPLE__
        "libtvm_ffi.dylib",
#else
        "libtvm_ffi.so",
#endif
        RTLD_LAZY);
    void *const global = handle ? NULL : dlopen(NULL, RTLD_LAZY);
    void *const found = handle || global ? dlsym(handle ? handle : global, name) : NULL;
    if (handle)
        dlclose(handle);
    if (global)
        dlclose(global);
    return found;
}
#endif

/* Function pointers are not object pointers to ISO C, but have their size wherever dlsym exists. */
static bool find_function(const char *name, void *function) {
    void *const found = symbol(name);
    memcpy(function, &found, sizeof found);
    return found != NULL;
}

static int raise(const char *kind, const char *message) {
    void (*set)(const char *, const char *) = NULL;
    if (find_function("TVMFFIErrorSetRaisedFromCStr", &set))
        set(kind, message);
    return -1;
}

static int raise_status(dcnv4_status status, const char *message) {
    return raise(status == DCNV4_INVALID_PROBLEM ? "ValueError"
                 : status == DCNV4_OUT_OF_MEMORY ? "MemoryError"
                                                 : "RuntimeError",
                 message);
}

/* A call as it is put together: where the next argument is, and whether one of them was wrong. */
typedef struct reader {
    const tvm_value *next, *end;
    bool refused, has_device;
    int32_t device_type, device_number;
    char device[32];
    plan_call call;
} reader;

static void refuse(reader *read, const char *name, const char *needed) {
    if (!read->refused)
        snprintf(read->call.message, sizeof read->call.message, "dcnv4: %s must be %s", name, needed);
    read->refused = true;
}

static const tvm_value *take(reader *read) {
    static const tvm_value none;
    return read->next < read->end ? read->next++ : &none;
}

static int64_t take_integer(reader *read, const char *name) {
    const tvm_value *const value = take(read);
    if (value->type != TVM_INT && value->type != TVM_BOOL)
        refuse(read, name, "a whole number");
    return value->of.integer;
}

static int32_t take_flag(reader *read, const char *name) {
    const int64_t flag = take_integer(read, name);
    if (flag != 0 && flag != 1)
        refuse(read, name, "True or False");
    return flag == 1;
}

static double take_real(reader *read, const char *name) {
    const tvm_value *const value = take(read);
    if (value->type == TVM_INT || value->type == TVM_BOOL)
        return (double)value->of.integer;
    if (value->type != TVM_FLOAT)
        refuse(read, name, "a number");
    return value->of.real;
}

static int32_t dtype_of(const dl_tensor *tensor) {
    const int code = tensor->dtype.code, bits = tensor->dtype.bits;
    if (tensor->dtype.lanes != 1)
        return PLAN_OTHER_DTYPE;
    if (code == DL_FLOAT)
        return bits == 32 ? DCNV4_FLOAT32 : bits == 16 ? DCNV4_FLOAT16 : bits == 64 ? DCNV4_FLOAT64 : PLAN_OTHER_DTYPE;
    if (code == DL_BFLOAT && bits == 16)
        return DCNV4_BFLOAT16;
    return code == DL_INTEGER && bits == 64 ? PLAN_INT64 : PLAN_OTHER_DTYPE;
}

/* All tensors of a call are on one device, the first one's. */
static void check_device(reader *read, const dl_tensor *tensor, const char *name) {
    if (!read->has_device) {
        read->has_device = true;
        read->device_type = tensor->device.type, read->device_number = tensor->device.number;
    } else if (tensor->device.type != read->device_type || tensor->device.number != read->device_number)
        refuse(read, name, "on the same device as value");
}

static void take_tensor(reader *read, const char *name, bool optional, plan_tensor *tensor) {
    const tvm_value *const value = take(read);
    memset(tensor, 0, sizeof *tensor);
    if (value->type == TVM_NONE && optional)
        return;
    if (value->type != TVM_TENSOR && value->type != TVM_DLTENSOR) {
        refuse(read, name, optional ? "a tensor or None" : "a tensor");
        return;
    }
    const dl_tensor *const given = value->type == TVM_TENSOR
                                       ? (const void *)((const char *)value->of.pointer + sizeof(tvm_object))
                                       : (const void *)value->of.pointer;
    check_device(read, given, name);
    tensor->data = (char *)given->data + given->byte_offset;
    tensor->dtype = dtype_of(given), tensor->rank = given->axes;
    if (given->axes == 0)
        refuse(read, name, "a tensor with axes");
    if (given->axes > PLAN_TENSOR_AXES)
        return; /* refused with the number of axes */
    memcpy(tensor->shape, given->shape, (size_t)given->axes * sizeof *given->shape);
    if (given->strides)
        memcpy(tensor->strides, given->strides, (size_t)given->axes * sizeof *given->strides);
    else
        plan_tensor_dense(tensor);
}

/* (H, W, start, points) of each level, or the number of points of each. */
static const tvm_shape *take_numbers(reader *read, const char *name) {
    const tvm_value *const value = take(read);
    if (value->type == TVM_SHAPE)
        return (const void *)((const char *)value->of.pointer + sizeof(tvm_object));
    refuse(read, name, "a tvm_ffi.Shape");
    return NULL;
}

/* The library's name of the device, and the stream that tvm-ffi says is current on it. False: no such device. */
static bool find_device(reader *read, void **stream) {
    const int type = read->device_type;
    *stream = NULL;
    read->call.device = read->device;
    if (type == DL_CPU || type == DL_CUDA_HOST || type == DL_ROCM_HOST) {
        strcpy(read->device, "cpu");
        return true;
    }
    if (type != DL_CUDA && type != DL_CUDA_MANAGED && type != DL_ROCM)
        return false;
    snprintf(read->device, sizeof read->device, "%s:%d", type == DL_ROCM ? "hip" : "cuda", (int)read->device_number);
    void *(*current)(int32_t, int32_t) = NULL;
    if (find_function("TVMFFIEnvGetStream", &current))
        *stream = current(type, read->device_number);
    return true;
}

static int start(reader *read, const tvm_value *arguments, int32_t count, dcnv4_pass pass) {
    memset(read, 0, offsetof(reader, call));
    read->next = arguments, read->end = arguments + count;
    read->call.pass = pass, read->call.threads = 0, read->call.entry = NULL;
    return 0;
}

/* After all arguments: 0, or −1 with an error. */
static int end(reader *read, void **stream, tvm_value *result) {
    if (read->next != read->end)
        refuse(read, "the call", "given as many arguments as the function has");
    if (read->refused)
        return raise("TypeError", read->call.message);
    if (!find_device(read, stream))
        return raise("ValueError", "dcnv4: value is on a device that is none of cpu, cuda and rocm");
    result->type = TVM_NONE, result->zero = 0, result->of.integer = 0;
    return 0;
}

static int run_conv(const tvm_value *arguments, int32_t count, tvm_value *result, dcnv4_pass pass) {
    reader read;
    plan_tensor tensors[PLAN_CONV_TENSORS];
    dcnv4_problem layer = DCNV4_PROBLEM_INIT;
    void *stream;
    start(&read, arguments, count, pass);
    memset(tensors, 0, sizeof tensors);
    take_tensor(&read, "value", false, &tensors[PLAN_CONV_VALUE]);
    take_tensor(&read, "offset_mask", false, &tensors[PLAN_CONV_OFFSET_MASK]);
    if (pass == DCNV4_PASS_FORWARD)
        take_tensor(&read, "output", false, &tensors[PLAN_CONV_OUTPUT]);
    else {
        take_tensor(&read, "grad_output", false, &tensors[PLAN_CONV_GRAD_OUTPUT]);
        take_tensor(&read, "grad_value", false, &tensors[PLAN_CONV_GRAD_VALUE]);
        take_tensor(&read, "grad_offset_mask", false, &tensors[PLAN_CONV_GRAD_OFFSET_MASK]);
    }
    layer.kernel_h = take_integer(&read, "kernel_h"), layer.kernel_w = take_integer(&read, "kernel_w");
    layer.stride_h = take_integer(&read, "stride_h"), layer.stride_w = take_integer(&read, "stride_w");
    layer.pad_h = take_integer(&read, "pad_h"), layer.pad_w = take_integer(&read, "pad_w");
    layer.dilation_h = take_integer(&read, "dilation_h"), layer.dilation_w = take_integer(&read, "dilation_w");
    layer.groups = take_integer(&read, "group");
    layer.offset_scale = take_real(&read, "offset_scale");
    layer.remove_center = take_flag(&read, "remove_center"), layer.softmax = take_flag(&read, "softmax");
    if (end(&read, &stream, result) != 0)
        return -1;
    const dcnv4_status status = (dcnv4_status)dcnv4_calls_conv(&layer, tensors, &read.call, stream);
    return status == DCNV4_SUCCESS ? 0 : raise_status(status, read.call.message);
}

static void take_levels(reader *read, const plan_tensor *tensors, dcnv4_msda_level *levels, dcnv4_msda_problem *layer) {
    const bool in_tables = tensors[PLAN_ATTENTION_LEVEL_SHAPES].rank != 0;
    const size_t each = in_tables ? 1 : 4;
    const tvm_shape *const numbers = take_numbers(read, "levels");
    if (!numbers)
        return;
    if (numbers->count % each != 0 || numbers->count / each < 1 || numbers->count / each > DCNV4_MSDA_MAX_LEVELS) {
        refuse(read, "levels", "1 to 64 levels, each of (H, W, start, points), or with tables of its points alone");
        return;
    }
    layer->levels = levels, layer->level_count = (int64_t)(numbers->count / each);
    for (int64_t k = 0; k < layer->level_count; ++k) {
        const int64_t *const at = numbers->numbers + (size_t)k * each;
        levels[k] = in_tables ? (dcnv4_msda_level){0, 0, 0, at[0]} : (dcnv4_msda_level){at[0], at[1], at[2], at[3]};
    }
}

static int run_attention(const tvm_value *arguments, int32_t count, tvm_value *result, dcnv4_pass pass) {
    reader read;
    plan_tensor tensors[PLAN_ATTENTION_TENSORS];
    dcnv4_msda_problem layer = DCNV4_MSDA_PROBLEM_INIT;
    dcnv4_msda_level levels[DCNV4_MSDA_MAX_LEVELS];
    void *stream;
    start(&read, arguments, count, pass);
    memset(tensors, 0, sizeof tensors);
    take_tensor(&read, "value", false, &tensors[PLAN_ATTENTION_VALUE]);
    take_tensor(&read, "sampling_locations", false, &tensors[PLAN_ATTENTION_LOCATIONS]);
    take_tensor(&read, "attention_weights", true, &tensors[PLAN_ATTENTION_WEIGHTS]);
    take_tensor(&read, "reference_points", true, &tensors[PLAN_ATTENTION_REFERENCES]);
    take_tensor(&read, "spatial_shapes", true, &tensors[PLAN_ATTENTION_LEVEL_SHAPES]);
    take_tensor(&read, "level_start_index", true, &tensors[PLAN_ATTENTION_LEVEL_STARTS]);
    layer.packed = tensors[PLAN_ATTENTION_WEIGHTS].rank == 0;
    if (pass == DCNV4_PASS_FORWARD)
        take_tensor(&read, "output", false, &tensors[PLAN_ATTENTION_OUTPUT]);
    else {
        const bool has_references = tensors[PLAN_ATTENTION_REFERENCES].rank != 0;
        take_tensor(&read, "grad_output", false, &tensors[PLAN_ATTENTION_GRAD_OUTPUT]);
        take_tensor(&read, "grad_value", false, &tensors[PLAN_ATTENTION_GRAD_VALUE]);
        take_tensor(&read, "grad_locations", false, &tensors[PLAN_ATTENTION_GRAD_LOCATIONS]);
        take_tensor(&read, "grad_weights", layer.packed != 0, &tensors[PLAN_ATTENTION_GRAD_WEIGHTS]);
        take_tensor(&read, "grad_references", !has_references, &tensors[PLAN_ATTENTION_GRAD_REFERENCES]);
    }
    take_levels(&read, tensors, levels, &layer);
    const int64_t unit = take_integer(&read, "unit");
    if (unit < DCNV4_MSDA_NORMALIZED || unit > DCNV4_MSDA_BOX_OFFSETS)
        refuse(&read, "unit", "0 to 3, a dcnv4_msda_unit");
    layer.location_unit = (int32_t)unit;
    layer.softmax = take_flag(&read, "softmax"), layer.box_scale = take_real(&read, "box_scale");
    if (end(&read, &stream, result) != 0)
        return -1;
    const dcnv4_status status = (dcnv4_status)dcnv4_calls_attention(&layer, tensors, &read.call, stream);
    return status == DCNV4_SUCCESS ? 0 : raise_status(status, read.call.message);
}

typedef int tvm_function(void *self, const tvm_value *arguments, int32_t count, tvm_value *result);

/* Found by these names by tvm_ffi.load_module. */
CALLS_API tvm_function __tvm_ffi_dcnv4_forward, __tvm_ffi_dcnv4_backward, __tvm_ffi_ms_deform_attn_forward,
    __tvm_ffi_ms_deform_attn_backward;

int __tvm_ffi_dcnv4_forward(void *self, const tvm_value *arguments, int32_t count, tvm_value *result) {
    (void)self;
    return run_conv(arguments, count, result, DCNV4_PASS_FORWARD);
}

int __tvm_ffi_dcnv4_backward(void *self, const tvm_value *arguments, int32_t count, tvm_value *result) {
    (void)self;
    return run_conv(arguments, count, result, DCNV4_PASS_BACKWARD);
}

int __tvm_ffi_ms_deform_attn_forward(void *self, const tvm_value *arguments, int32_t count, tvm_value *result) {
    (void)self;
    return run_attention(arguments, count, result, DCNV4_PASS_FORWARD);
}

int __tvm_ffi_ms_deform_attn_backward(void *self, const tvm_value *arguments, int32_t count, tvm_value *result) {
    (void)self;
    return run_attention(arguments, count, result, DCNV4_PASS_BACKWARD);
}
