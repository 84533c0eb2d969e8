/* Any attributes of a node, and any shapes of its tensors, as ONNX Runtime hands them over from a model file: they are refused
 * with a sentence, or the output's shape is known.
 *
 * An input is the operator (1 byte), pairs of bytes for the inputs' shapes, then attributes: name, type and count (2 bytes), and
 * as many numbers, each a byte that stands for itself or for one of the numbers below. */
#include "../../bindings/onnxruntime/operators.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REQUIRE(condition) ((condition) ? (void)0 : abort())

enum { MOST_ATTRIBUTES = 12, MOST_NUMBERS = 80 };
typedef enum attribute_type { INT, INTS, FLOAT, FLOATS, STRING, TYPES } attribute_type;

typedef struct attribute {
    const char *name;
    attribute_type type;
    size_t count;
    int64_t numbers[MOST_NUMBERS];
} attribute;

struct OrtKernelInfo {
    attribute attributes[MOST_ATTRIBUTES];
    size_t count;
};

struct OrtStatus {
    char message[1024];
};

static int64_t live; /* statuses that were not released */

static OrtStatus *create_status(OrtErrorCode code, const char *message) {
    OrtStatus *const made = malloc(sizeof *made);
    REQUIRE(made && code && strlen(message) > 0 && strlen(message) < sizeof made->message);
    strcpy(made->message, message);
    ++live;
    return made;
}

static void release_status(OrtStatus *status) {
    live -= status != NULL;
    free(status);
}

static const attribute *find(const OrtKernelInfo *info, const char *name, attribute_type type) {
    for (size_t k = 0; k < info->count; ++k)
        if (info->attributes[k].type == type && strcmp(info->attributes[k].name, name) == 0)
            return &info->attributes[k];
    return NULL;
}

static OrtStatus *missing(void) {
    return create_status(ORT_FAIL, "no such attribute");
}

static OrtStatus *get_int(const OrtKernelInfo *info, const char *name, int64_t *number) {
    const attribute *const found = find(info, name, INT);
    if (found)
        *number = found->numbers[0];
    return found ? NULL : missing();
}

static OrtStatus *get_float(const OrtKernelInfo *info, const char *name, float *number) {
    static const float odd[] = {0, -0.0f, 1, INFINITY, -INFINITY, NAN, 1e-45f, 3e38f};
    const attribute *const found = find(info, name, FLOAT);
    if (found)
        *number = odd[(uint64_t)found->numbers[0] % 8];
    return found ? NULL : missing();
}

static OrtStatus *get_text(const OrtKernelInfo *info, const char *name, char *text, size_t *size) {
    const attribute *const found = find(info, name, STRING);
    if (!found)
        return missing();
    if (text && *size < found->count + 1)
        return create_status(ORT_INVALID_ARGUMENT, "too small");
    if (text)
        memset(text, 'x', found->count), text[found->count] = '\0';
    *size = found->count + 1;
    return NULL;
}

/* As the runtime: a NULL asks for the count. */
static OrtStatus *get_ints(const OrtKernelInfo *info, const char *name, int64_t *numbers, size_t *size) {
    const attribute *const found = find(info, name, INTS);
    if (!found)
        return missing();
    if (numbers && *size < found->count)
        return create_status(ORT_INVALID_ARGUMENT, "too small");
    if (numbers)
        memcpy(numbers, found->numbers, found->count * sizeof *numbers);
    *size = found->count;
    return NULL;
}

static OrtStatus *get_floats(const OrtKernelInfo *info, const char *name, float *numbers, size_t *size) {
    const attribute *const found = find(info, name, FLOATS);
    REQUIRE(!numbers); /* nothing reads one */
    if (found)
        *size = found->count;
    return found ? NULL : missing();
}

static void (*table[273])(void);

static void fill_table(void) {
#define PUT(name, function)                                 \
    do {                                                    \
        const ort_##name checked = function;                \
        table[ORT_NUMBER_##name] = (void (*)(void))checked; \
    } while (0)
    PUT(CreateStatus, create_status);
    PUT(ReleaseStatus, release_status);
    PUT(KernelInfoGetAttribute_int64, get_int);
    PUT(KernelInfoGetAttribute_float, get_float);
    PUT(KernelInfoGetAttribute_string, get_text);
    PUT(KernelInfoGetAttributeArray_int64, get_ints);
    PUT(KernelInfoGetAttributeArray_float, get_floats);
#undef PUT
}

/* The input's next byte; 0 after its end. */
static uint8_t next(const uint8_t **data, size_t *size) {
    if (*size == 0)
        return 0;
    --*size;
    return *(*data)++;
}

static int64_t number_of(uint8_t byte) {
    static const int64_t odd[] = {-1,
                                  INT64_MIN,
                                  INT64_MAX,
                                  (int64_t)1 << 31,
                                  (int64_t)1 << 32,
                                  INT32_MAX,
                                  (int64_t)1 << 62,
                                  INT64_MAX / 3,
                                  INT64_MAX / 2,
                                  (int64_t)1 << 40,
                                  INT32_MIN,
                                  -1099511627776,
                                  3037000500,
                                  65536,
                                  4294967297};
    return byte < 240 ? byte : odd[byte - 240 < 15 ? byte - 240 : 14];
}

static void read_tensors(const operator_kind *kind, plan_tensor *tensors, const uint8_t **data, size_t *size) {
    for (int k = 0; k < kind->inputs; ++k) {
        plan_tensor *const tensor = &tensors[kind->places[k]];
        tensor->rank = next(data, size) % (PLAN_TENSOR_AXES + 2);
        if (k >= kind->required && tensor->rank > PLAN_TENSOR_AXES)
            tensor->rank = 0;
        tensor->dtype = kind->name[0] == 'M' && (k == 1 || k == 2) ? PLAN_INT64 : DCNV4_FLOAT32;
        for (int axis = 0; axis < tensor->rank && axis < PLAN_TENSOR_AXES; ++axis) {
            const int64_t length = number_of(next(data, size));
            tensor->shape[axis] = length < 0 ? 0 : length; /* of a tensor that exists */
        }
        if (tensor->rank <= PLAN_TENSOR_AXES)
            plan_tensor_dense(tensor);
    }
}

static void read_attributes(const operator_kind *kind, OrtKernelInfo *info, const uint8_t **data, size_t *size) {
    static const char *const own[] = {"kernel_size",   "stride",  "padding", "dilation", "group",    "offset_scale",
                                      "remove_center", "softmax", "points",  "unit",     "box_scale"};
    enum { OWN = sizeof own / sizeof *own };
    size_t foreign = 0;
    while (kind->foreign[foreign])
        ++foreign;
    while (*size > 0 && info->count < MOST_ATTRIBUTES) {
        attribute *const to = &info->attributes[info->count++];
        const uint8_t name = next(data, size), shape = next(data, size);
        to->name = name < 250 ? own[name % OWN] : kind->foreign[name % foreign];
        to->type = (attribute_type)(shape % TYPES);
        to->count = to->type == INT || to->type == FLOAT ? 1 : shape / TYPES == 51 ? MOST_NUMBERS : shape / TYPES % 8;
        for (size_t k = 0; k < to->count; ++k)
            to->numbers[k] = number_of(next(data, size));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (!table[ORT_NUMBER_CreateStatus])
        fill_table();
    const OrtApi *const api = (const OrtApi *)(void *)table;
    const operator_kind *const kind = next(&data, &size) % 2 ? &attention_kind : &deform_conv_kind;
    plan_tensor tensors[PLAN_ATTENTION_TENSORS];
    memset(tensors, 0, sizeof tensors);
    read_tensors(kind, tensors, &data, &size);
    static OrtKernelInfo info;
    info.count = 0;
    read_attributes(kind, &info, &data, &size);

    const registered op = {.kind = kind, .api = api};
    node_kernel kernel;
    memset(&kernel, 0, sizeof kernel);
    kernel.op = &op;
    memset(kernel.node, 'n', sizeof kernel.node - 1); /* the longest name */
    OrtStatus *status = refuse_foreign(&kernel, &info);
    if (!status)
        status = kind->read(&kernel, &info);
    REQUIRE(live == (status != NULL));
    REQUIRE(!status || strncmp(status->message, "dcnv4: ", 7) == 0);
    if (!status) {
        char message[PLAN_MESSAGE] = "";
        int64_t shape[4] = {-1, -1, -1, -1};
        const dcnv4_status found = kind->shape(&kernel, tensors, shape, message);
        REQUIRE(found == DCNV4_SUCCESS || strlen(message) > 0);
        for (int axis = 0; found == DCNV4_SUCCESS && axis < kind->output_rank; ++axis)
            REQUIRE(shape[axis] >= 0);
    }
    release_status(status);
    return 0;
}
