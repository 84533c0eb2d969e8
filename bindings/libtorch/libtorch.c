/* The operators as PyTorch's dispatcher calls them, and their registration. Schemas are those of the Python package. */
#include "../plan_cache/plan_cache.h"
#include "dcnv4_libtorch.h"
#include "torch_shim.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

enum { MOST_ARGUMENTS = 16, MOST_LIST = 2 * DCNV4_MSDA_MAX_LEVELS };

static torch_api torch;
static plan_cache *cache;
static const char *problem = "dcnv4: not registered yet";

#define CONV_ARGUMENTS                                                                                    \
    "int[2] kernel_size, int[2] stride, int[2] padding, int[2] dilation, int group, float offset_scale, " \
    "bool remove_center, bool softmax"
#define ATTENTION_TENSORS \
    "Tensor value, Tensor locations, Tensor? weights, Tensor? references, Tensor? level_shapes, Tensor? level_starts"
#define ATTENTION_ARGUMENTS "SymInt[] sizes, SymInt[] starts, int[] points, int unit, bool softmax, float box_scale"

/* ---- One call --------------------------------------------------------------------------------------------------- */

/* What a kernel owns until it returns, and the first error. */
typedef struct torch_call {
    torch_tensor owned[24];
    int owned_count;
    plan_tensor tensors[PLAN_ATTENTION_TENSORS];
    int64_t lists[4][MOST_LIST];
    size_t counts[4];
    int32_t device_type, device_index;
    dcnv4_msda_level levels[DCNV4_MSDA_MAX_LEVELS];
    int64_t tables[3 * DCNV4_MSDA_MAX_LEVELS];
    char message[PLAN_MESSAGE + 64];
} torch_call;

static bool failed(torch_call *call, const char *what) {
    if (call->message[0] == '\0')
        snprintf(call->message, sizeof call->message, "dcnv4: PyTorch's %s failed", what);
    return false;
}

static torch_tensor own(torch_call *call, torch_tensor tensor) {
    call->owned[call->owned_count++] = tensor;
    return tensor;
}

/* Gives back all that the call owns, and throws PyTorch's exception if there is a message. */
static void finish(torch_call *call) {
    for (int k = 0; k < call->owned_count; ++k)
        torch.aoti_torch_delete_tensor_object(call->owned[k]);
    if (call->message[0] != '\0')
        torch.aoti_torch_check(false, "dcnv4", __FILE__, __LINE__, call->message);
}

static int32_t dtype_of(int32_t dtype) {
    if (dtype == torch.aoti_torch_dtype_float32())
        return DCNV4_FLOAT32;
    if (dtype == torch.aoti_torch_dtype_float16())
        return DCNV4_FLOAT16;
    if (dtype == torch.aoti_torch_dtype_bfloat16())
        return DCNV4_BFLOAT16;
    if (dtype == torch.aoti_torch_dtype_float64())
        return DCNV4_FLOAT64;
    return dtype == torch.aoti_torch_dtype_int64() ? PLAN_INT64 : PLAN_OTHER_DTYPE;
}

static bool describe(torch_call *call, torch_tensor tensor, plan_tensor *found) {
    int64_t rank = 0, *sizes = NULL, *strides = NULL;
    int32_t dtype = 0, device_type = 0, device_index = 0;
    if (torch.aoti_torch_get_dim(tensor, &rank) || torch.aoti_torch_get_sizes(tensor, &sizes) ||
        torch.aoti_torch_get_strides(tensor, &strides) || torch.aoti_torch_get_dtype(tensor, &dtype) ||
        torch.aoti_torch_get_device_type(tensor, &device_type) ||
        torch.aoti_torch_get_device_index(tensor, &device_index) || torch.aoti_torch_get_data_ptr(tensor, &found->data))
        return failed(call, "description of a tensor");
    if (call->device_type < 0)
        call->device_type = device_type, call->device_index = device_index;
    if (device_type != call->device_type || device_index != call->device_index) {
        snprintf(call->message, sizeof call->message, "dcnv4: the tensors are on different devices, one is needed");
        return false;
    }
    found->dtype = dtype_of(dtype);
    found->rank = rank > PLAN_TENSOR_AXES ? PLAN_TENSOR_AXES + 1 : (int32_t)rank;
    for (int64_t k = 0; k < rank && rank <= PLAN_TENSOR_AXES; ++k)
        found->shape[k] = sizes[k], found->strides[k] = strides[k];
    return true;
}

/* A tensor argument. One whose rows are not contiguous or not at equal distances is copied. */
static bool take_tensor(torch_call *call, torch_word word, int place, int row) {
    torch_tensor tensor = own(call, (torch_tensor)(uintptr_t)word);
    plan_tensor *const found = &call->tensors[place];
    if (!describe(call, tensor, found))
        return false;
    if (found->rank < 1 || found->rank > PLAN_TENSOR_AXES || plan_row_stride(found, row) != 0)
        return true;
    torch_word stack[2] = {word, 0};           /* contiguous_format */
    call->owned[call->owned_count - 1] = NULL; /* the dispatcher takes it */
    --call->owned_count;
    if (torch.torch_call_dispatcher("aten::contiguous", "", stack, TORCH_BUILD_VERSION))
        return failed(call, "contiguous");
    return describe(call, own(call, (torch_tensor)(uintptr_t)stack[0]), found);
}

static bool take_optional(torch_call *call, torch_word word, int place, int row) {
    torch_word *const inner = (torch_word *)(uintptr_t)word;
    if (!inner)
        return true;
    const torch_word tensor = *inner;
    if (torch.torch_delete_stable_ivalue)
        torch.torch_delete_stable_ivalue(inner);
    else
        torch.operator_delete(inner);
    return take_tensor(call, tensor, place, row);
}

static bool take_list(torch_call *call, torch_word word, int number) {
    void *const list = (void *)(uintptr_t)word;
    size_t count = 0;
    bool good = torch.torch_list_size(list, &count) == 0;
    for (size_t k = 0; good && k < count && k < MOST_LIST; ++k) {
        torch_word item = 0;
        good = torch.torch_list_get_item(list, k, &item) == 0;
        call->lists[number][k] = (int64_t)item;
    }
    torch.torch_delete_list(list);
    call->counts[number] = count;
    if (good && count > MOST_LIST) {
        snprintf(call->message, sizeof call->message, "dcnv4: a list has %zu numbers, at most %d are possible", count,
                 (int)MOST_LIST);
        return false;
    }
    return good ? true : failed(call, "list");
}

static double number_of(torch_word word) {
    double number;
    memcpy(&number, &word, sizeof number);
    return number;
}

static int32_t torch_dtype(int32_t dtype) {
    switch (dtype) {
    case DCNV4_FLOAT16: return torch.aoti_torch_dtype_float16();
    case DCNV4_BFLOAT16: return torch.aoti_torch_dtype_bfloat16();
    case DCNV4_FLOAT64: return torch.aoti_torch_dtype_float64();
    default: return torch.aoti_torch_dtype_float32();
    }
}

/* A new dense tensor of the shape that tensors[place] has, as a result. */
static bool make_result(torch_call *call, int place, torch_tensor *made) {
    plan_tensor *const tensor = &call->tensors[place];
    plan_tensor_dense(tensor);
    if (torch.aoti_torch_empty_strided(tensor->rank, tensor->shape, tensor->strides, torch_dtype(tensor->dtype),
                                       call->device_type, call->device_index, made))
        return failed(call, "empty_strided");
    return torch.aoti_torch_get_data_ptr(*made, &tensor->data) == 0 ? true : failed(call, "data_ptr");
}

/* ---- Plans ------------------------------------------------------------------------------------------------------ */

/* Everything about a call that its plan depends on. */
typedef struct torch_layer {
    bool attention;
    dcnv4_problem conv;
    dcnv4_msda_problem msda;
} torch_layer;

static bool run(torch_call *call, const torch_layer *layer, dcnv4_pass pass) {
    uint32_t threads = 0;
    char device[32] = "cpu";
    void *stream = NULL, *memory = NULL;
    if (call->device_type != TORCH_CPU) {
        if (call->device_type != TORCH_CUDA || !torch.aoti_torch_get_current_cuda_stream) {
            snprintf(call->message, sizeof call->message, "dcnv4: devices of PyTorch's type %d are not supported",
                     (int)call->device_type);
            return false;
        }
        snprintf(device, sizeof device, "%s:%d", torch.gpu, (int)call->device_index);
        if (torch.aoti_torch_get_current_cuda_stream(call->device_index, &stream))
            return failed(call, "current stream");
    } else if (torch.torch_get_num_threads(&threads))
        threads = 0;
    plan_call plan;
    plan.device = device, plan.threads = (int32_t)(threads > 1024 ? 1024 : threads), plan.pass = pass;
    dcnv4_status status = layer->attention ? plan_attention_find(cache, &layer->msda, call->tensors, &plan)
                                           : plan_conv_find(cache, &layer->conv, call->tensors, &plan);
    if (status == DCNV4_SUCCESS && plan.workspace > 0 && call->device_type != TORCH_CPU) {
        const int64_t size = (int64_t)plan.workspace, one = 1;
        torch_tensor workspace = NULL; /* PyTorch's allocator gives it to later work of this stream only */
        if (torch.aoti_torch_empty_strided(1, &size, &one, torch.aoti_torch_dtype_uint8(), call->device_type,
                                           call->device_index, &workspace)) {
            plan_release(&plan);
            return failed(call, "empty_strided");
        }
        own(call, workspace);
        torch.aoti_torch_get_data_ptr(workspace, &memory);
    }
    if (status == DCNV4_SUCCESS)
        status = plan_run(&plan, call->tensors, memory, stream);
    if (status != DCNV4_SUCCESS)
        snprintf(call->message, sizeof call->message, "%s", plan.message);
    return status == DCNV4_SUCCESS;
}

/* ---- DCNv4 ------------------------------------------------------------------------------------------------------ */

static bool take_conv(torch_call *call, const torch_word *stack, torch_layer *layer) {
    dcnv4_problem *const conv = &layer->conv;
    *conv = (dcnv4_problem)DCNV4_PROBLEM_INIT;
    bool good = true;
    for (int k = 0; k < 4; ++k) {
        good = take_list(call, stack[k], k) && good;
        if (call->counts[k] == 1)
            call->lists[k][1] = call->lists[k][0];
        else if (good && call->counts[k] != 2) {
            snprintf(call->message, sizeof call->message, "dcnv4: a list has %zu numbers, 2 (height, width) are needed",
                     call->counts[k]);
            good = false;
        }
    }
    conv->kernel_h = call->lists[0][0], conv->kernel_w = call->lists[0][1];
    conv->stride_h = call->lists[1][0], conv->stride_w = call->lists[1][1];
    conv->pad_h = call->lists[2][0], conv->pad_w = call->lists[2][1];
    conv->dilation_h = call->lists[3][0], conv->dilation_w = call->lists[3][1];
    conv->groups = (int64_t)stack[4], conv->offset_scale = number_of(stack[5]);
    conv->remove_center = (stack[6] & 0xff) != 0, conv->softmax = (stack[7] & 0xff) != 0;
    return good;
}

static void conv_forward(torch_word *stack, uint64_t inputs, uint64_t outputs) {
    (void)inputs, (void)outputs;
    torch_call call;
    torch_layer layer = {.attention = false};
    memset(&call, 0, sizeof call);
    call.device_type = -1;
    plan_tensor *const output = &call.tensors[PLAN_CONV_OUTPUT];
    torch_tensor made = NULL;
    bool good = take_tensor(&call, stack[0], PLAN_CONV_VALUE, 3);
    good = take_tensor(&call, stack[1], PLAN_CONV_OFFSET_MASK, 3) && good;
    good = take_conv(&call, stack + 2, &layer) && good;
    if (good && plan_conv_output(&layer.conv, call.tensors, output->shape, call.message) == DCNV4_SUCCESS) {
        output->rank = 4, output->dtype = call.tensors[PLAN_CONV_VALUE].dtype;
        good = make_result(&call, PLAN_CONV_OUTPUT, &made) && run(&call, &layer, DCNV4_PASS_FORWARD);
        if (good)
            call.message[0] = '\0', stack[0] = (torch_word)(uintptr_t)made;
        else if (made)
            own(&call, made);
    }
    finish(&call);
}

static void conv_backward(torch_word *stack, uint64_t inputs, uint64_t outputs) {
    (void)inputs, (void)outputs;
    torch_call call;
    torch_layer layer = {.attention = false};
    memset(&call, 0, sizeof call);
    call.device_type = -1;
    torch_tensor made[2] = {NULL, NULL};
    bool good = take_tensor(&call, stack[0], PLAN_CONV_GRAD_OUTPUT, 3);
    good = take_tensor(&call, stack[1], PLAN_CONV_VALUE, 3) && good;
    good = take_tensor(&call, stack[2], PLAN_CONV_OFFSET_MASK, 3) && good;
    good = take_conv(&call, stack + 3, &layer) && good;
    for (int k = 0; good && k < 2; ++k) {
        call.tensors[PLAN_CONV_GRAD_VALUE + k] = call.tensors[PLAN_CONV_VALUE + k];
        good = make_result(&call, PLAN_CONV_GRAD_VALUE + k, &made[k]);
    }
    good = good && run(&call, &layer, DCNV4_PASS_BACKWARD);
    for (int k = 0; k < 2; ++k)
        if (good)
            stack[k] = (torch_word)(uintptr_t)made[k];
        else if (made[k])
            own(&call, made[k]);
    finish(&call);
}

/* ---- Multi-scale deformable attention --------------------------------------------------------------------------- */

/* sizes and starts, which a program has as numbers, or tensors with them. */
static bool take_levels(torch_call *call, const torch_word *stack, torch_layer *layer) {
    dcnv4_msda_problem *const msda = &layer->msda;
    *msda = (dcnv4_msda_problem)DCNV4_MSDA_PROBLEM_INIT;
    bool good = true;
    for (int k = 0; k < 3; ++k)
        good = take_list(call, stack[k], k) && good;
    const size_t count = call->counts[2];
    if (good && (count < 1 || count > DCNV4_MSDA_MAX_LEVELS || (call->counts[0] && call->counts[0] != 2 * count) ||
                 (call->counts[1] && call->counts[1] != count))) {
        snprintf(call->message, sizeof call->message,
                 "dcnv4: points has %zu levels, sizes %zu and starts %zu numbers; 1 to %d levels are possible", count,
                 call->counts[0], call->counts[1], DCNV4_MSDA_MAX_LEVELS);
        good = false;
    }
    int64_t start = 0;
    for (size_t k = 0; good && k < count; ++k) {
        dcnv4_msda_level *const level = &call->levels[k];
        level->points = call->lists[2][k];
        if (call->counts[0] == 0)
            continue;
        level->height = call->lists[0][2 * k], level->width = call->lists[0][2 * k + 1];
        level->start = call->counts[1] ? call->lists[1][k] : start;
        if (level->height > 0 && level->width > 0 && level->height <= INT64_MAX / 2 / level->width &&
            start <= INT64_MAX / 2)
            start += level->height * level->width;
    }
    msda->levels = call->levels, msda->level_count = (int64_t)count;
    msda->location_unit = (int32_t)stack[3], msda->softmax = (stack[4] & 0xff) != 0;
    msda->box_scale = number_of(stack[5]);
    msda->packed = call->tensors[PLAN_ATTENTION_WEIGHTS].rank == 0;
    return good;
}

static bool take_attention(torch_call *call, const torch_word *stack, torch_layer *layer) {
    bool good = take_tensor(call, stack[0], PLAN_ATTENTION_VALUE, 2);
    good = take_tensor(call, stack[1], PLAN_ATTENTION_LOCATIONS, 2) && good;
    good = take_optional(call, stack[2], PLAN_ATTENTION_WEIGHTS, 2) && good;
    good = take_optional(call, stack[3], PLAN_ATTENTION_REFERENCES, 2) && good;
    good = take_optional(call, stack[4], PLAN_ATTENTION_LEVEL_SHAPES, 0) && good;
    good = take_optional(call, stack[5], PLAN_ATTENTION_LEVEL_STARTS, 0) && good;
    return take_levels(call, stack + 6, layer) && good;
}

static void attention_forward(torch_word *stack, uint64_t inputs, uint64_t outputs) {
    (void)inputs, (void)outputs;
    torch_call call;
    torch_layer layer = {.attention = true};
    memset(&call, 0, sizeof call);
    call.device_type = -1;
    plan_tensor *const output = &call.tensors[PLAN_ATTENTION_OUTPUT];
    torch_tensor made = NULL;
    if (take_attention(&call, stack, &layer) &&
        plan_attention_output(&layer.msda, call.tensors, output->shape, call.message) == DCNV4_SUCCESS) {
        output->rank = 3, output->dtype = call.tensors[PLAN_ATTENTION_VALUE].dtype;
        if (make_result(&call, PLAN_ATTENTION_OUTPUT, &made) && run(&call, &layer, DCNV4_PASS_FORWARD))
            call.message[0] = '\0', stack[0] = (torch_word)(uintptr_t)made;
        else if (made)
            own(&call, made);
    }
    finish(&call);
}

static void attention_backward(torch_word *stack, uint64_t inputs, uint64_t outputs) {
    (void)inputs, (void)outputs;
    torch_call call;
    torch_layer layer = {.attention = true};
    memset(&call, 0, sizeof call);
    call.device_type = -1;
    torch_tensor made[4] = {NULL};
    bool good = take_tensor(&call, stack[0], PLAN_ATTENTION_GRAD_OUTPUT, 2);
    good = take_attention(&call, stack + 1, &layer) && good;
    for (int k = 0; good && k < 4; ++k) {
        plan_tensor *const gradient = &call.tensors[PLAN_ATTENTION_GRAD_VALUE + k];
        const int64_t nothing = 0, one = 1;
        *gradient = call.tensors[PLAN_ATTENTION_VALUE + k];
        if (gradient->rank != 0) /* for an input that is not there the result has no elements */
            good = make_result(&call, PLAN_ATTENTION_GRAD_VALUE + k, &made[k]);
        else if (torch.aoti_torch_empty_strided(1, &nothing, &one, torch_dtype(call.tensors[0].dtype), call.device_type,
                                                call.device_index, &made[k]))
            good = failed(&call, "empty_strided");
    }
    good = good && run(&call, &layer, DCNV4_PASS_BACKWARD);
    for (int k = 0; k < 4; ++k)
        if (good)
            stack[k] = (torch_word)(uintptr_t)made[k];
        else if (made[k])
            own(&call, made[k]);
    finish(&call);
}

/* ---- Registration ----------------------------------------------------------------------------------------------- */

static const struct {
    const char *name, *schema;
    torch_kernel kernel;
} operators[] = {
    {"forward", "forward(Tensor value, Tensor offset_mask, " CONV_ARGUMENTS ") -> Tensor", conv_forward},
    {"backward",
     "backward(Tensor grad_output, Tensor value, Tensor offset_mask, " CONV_ARGUMENTS ") -> (Tensor, Tensor)",
     conv_backward},
    {"ms_deform_attn", "ms_deform_attn(" ATTENTION_TENSORS ", " ATTENTION_ARGUMENTS ") -> Tensor", attention_forward},
    {"ms_deform_attn_backward",
     "ms_deform_attn_backward(Tensor grad_output, " ATTENTION_TENSORS ", " ATTENTION_ARGUMENTS
     ") -> (Tensor, Tensor, Tensor, Tensor)",
     attention_backward},
};

static bool load_entry(void *library, const char *name, void *entry) {
    void *const found = dlsym(library, name);
    memcpy(entry, &found, sizeof found);
    return found != NULL;
}

/* The entries of the PyTorch that this process has loaded. */
static const char *load(void) {
    void *const library = dlopen("libtorch_cpu.so", RTLD_NOW | RTLD_NOLOAD);
    if (!library)
        return "dcnv4: this process has not loaded PyTorch (libtorch_cpu.so)";
#define LOAD(result, name, arguments)             \
    if (!load_entry(library, #name, &torch.name)) \
        return "dcnv4: this PyTorch has no " #name ", 2.10 or newer is needed";
    TORCH_ENTRIES(LOAD)
#undef LOAD
    load_entry(library, "torch_delete_stable_ivalue", &torch.torch_delete_stable_ivalue);
    if (!load_entry(library, "_ZdlPv", &torch.operator_delete) && !torch.torch_delete_stable_ivalue)
        return "dcnv4: this process has no C++ library";
    static const char *const gpus[][2] = {{"libtorch_cuda.so", "cuda"}, {"libtorch_hip.so", "hip"}};
    for (int k = 0; k < 2 && !torch.gpu; ++k) {
        void *const gpu = dlopen(gpus[k][0], RTLD_NOW | RTLD_NOLOAD);
        if (gpu && load_entry(gpu, "aoti_torch_get_current_cuda_stream", &torch.aoti_torch_get_current_cuda_stream))
            torch.gpu = gpus[k][1];
    }
    return NULL;
}

static void register_once(void) {
    problem = load();
    if (problem)
        return;
    cache = plan_cache_create();
    if (!cache) {
        problem = "dcnv4: no memory for the operators";
        return;
    }
    void *fragment = NULL, *kernels[2] = {NULL, NULL};
    static const char *const keys[2] = {"CPU", "CUDA"};
    if (torch.aoti_torch_library_init_fragment("dcnv4", __FILE__, __LINE__, &fragment)) {
        problem = "dcnv4: PyTorch refuses the operators";
        return;
    }
    const size_t count = sizeof operators / sizeof *operators;
    for (size_t k = 0; k < count; ++k)
        if (torch.aoti_torch_library_def(fragment, operators[k].schema))
            return; /* the Python package has defined them, and has kernels of its own */
    for (int key = 0; key < 2; ++key) {
        if (torch.aoti_torch_library_init_impl("dcnv4", keys[key], __FILE__, __LINE__, &kernels[key])) {
            problem = "dcnv4: PyTorch refuses the operators";
            return;
        }
        for (size_t k = 0; k < count; ++k)
            if (torch.torch_library_impl(kernels[key], operators[k].name, operators[k].kernel, TORCH_BUILD_VERSION))
                problem = "dcnv4: PyTorch refuses the operators' kernels";
    }
}

const char *dcnv4_libtorch_register(void) {
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static bool done = false;
    pthread_mutex_lock(&lock);
    if (!done) {
        void *const there = dlopen("libtorch_cpu.so", RTLD_NOW | RTLD_NOLOAD);
        if (there) {
            dlclose(there);
            done = true;
        }
        register_once();
    }
    pthread_mutex_unlock(&lock);
    return problem;
}

__attribute__((constructor)) static void register_when_loaded(void) {
    dcnv4_libtorch_register();
}
