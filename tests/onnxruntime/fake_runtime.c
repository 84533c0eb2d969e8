#include "fake_runtime.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

fake_runtime runtime = {.version = "1.27.1"};

static OrtStatus *create_status(OrtErrorCode code, const char *message) {
    OrtStatus *const status = malloc(sizeof *status);
    status->code = code;
    snprintf(status->message, sizeof status->message, "%s", message);
    ++runtime.live;
    return status;
}

static void release_status(OrtStatus *status) {
    runtime.live -= status != NULL;
    free(status);
}

/* NULL, or the error of the call that is to fail. */
static OrtStatus *call(void) {
    return ++runtime.calls == runtime.fails_at ? create_status(ORT_FAIL, "the fake runtime fails") : NULL;
}

static OrtStatus *missing(void) {
    return create_status(ORT_FAIL, "no such attribute");
}

static OrtStatus *create_domain(const char *name, OrtCustomOpDomain **domain) {
    OrtStatus *const failed = call();
    if (failed)
        return failed;
    if (strcmp(name, "dcnv4") != 0)
        return missing();
    *domain = calloc(1, sizeof **domain);
    ++runtime.live;
    return NULL;
}

static void release_domain(OrtCustomOpDomain *domain) {
    free(domain);
    --runtime.live;
}

static OrtStatus *domain_add(OrtCustomOpDomain *domain, const OrtCustomOp *op) {
    OrtStatus *const failed = call();
    if (!failed)
        domain->operators[domain->count++] = op;
    return failed;
}

static OrtStatus *add_domain(OrtSessionOptions *options, OrtCustomOpDomain *domain) {
    OrtStatus *const failed = call();
    if (!failed)
        options->domain = domain;
    return failed;
}

static OrtStatus *mutable_data(OrtValue *value, void **data) {
    OrtStatus *const failed = call();
    if (!failed)
        *data = value->data;
    return failed;
}

static OrtStatus *type_and_shape(const OrtValue *value, OrtTensorTypeAndShapeInfo **info) {
    OrtStatus *const failed = call();
    if (failed)
        return failed;
    *info = malloc(sizeof **info);
    **info = value->info;
    ++runtime.live;
    return NULL;
}

static void release_info(OrtTensorTypeAndShapeInfo *info) {
    free(info);
    --runtime.live;
}

static OrtStatus *element_type(const OrtTensorTypeAndShapeInfo *info, ONNXTensorElementDataType *type) {
    OrtStatus *const failed = call();
    if (!failed)
        *type = info->type;
    return failed;
}

static OrtStatus *dimensions_count(const OrtTensorTypeAndShapeInfo *info, size_t *count) {
    OrtStatus *const failed = call();
    if (!failed)
        *count = info->rank;
    return failed;
}

static OrtStatus *dimensions(const OrtTensorTypeAndShapeInfo *info, int64_t *shape, size_t count) {
    OrtStatus *const failed = call();
    if (!failed)
        memcpy(shape, info->shape, count * sizeof *shape);
    return failed;
}

static OrtStatus *attribute_int(const OrtKernelInfo *info, const char *name, int64_t *number) {
    const int64_t found = strcmp(name, "group") == 0         ? info->group
                          : strcmp(name, "kernel_size") == 0 ? info->kernel_size
                                                             : 0;
    *number = found;
    return found ? NULL : missing();
}

static OrtStatus *attribute_float(const OrtKernelInfo *info, const char *name, float *number) {
    (void)info, (void)name, (void)number;
    return missing();
}

static OrtStatus *attribute_string(const OrtKernelInfo *info, const char *name, char *text, size_t *size) {
    (void)info, (void)name, (void)text, (void)size;
    return missing();
}

static OrtStatus *attribute_ints(const OrtKernelInfo *info, const char *name, int64_t *numbers, size_t *size) {
    (void)info, (void)name, (void)numbers, (void)size;
    return missing();
}

static OrtStatus *attribute_floats(const OrtKernelInfo *info, const char *name, float *numbers, size_t *size) {
    (void)info, (void)name, (void)numbers, (void)size;
    return missing();
}

static OrtStatus *node_name(const OrtKernelInfo *info, char *name, size_t *size) {
    (void)info;
    snprintf(name, *size, "here");
    return NULL;
}

static OrtStatus *input_count(const OrtKernelContext *context, size_t *count) {
    OrtStatus *const failed = call();
    if (!failed)
        *count = context->input_count;
    return failed;
}

static OrtStatus *get_input(const OrtKernelContext *context, size_t index, const OrtValue **value) {
    OrtStatus *const failed = call();
    if (!failed)
        *value = &context->inputs[index];
    return failed;
}

static OrtStatus *get_output(OrtKernelContext *context, size_t index, const int64_t *shape, size_t rank,
                             OrtValue **value) {
    OrtStatus *const failed = call();
    if (failed || index != 0)
        return failed ? failed : missing();
    context->output.info.rank = rank;
    memcpy(context->output.info.shape, shape, rank * sizeof *shape);
    *value = &context->output;
    return NULL;
}

static OrtStatus *get_stream(const OrtKernelContext *context, void **stream) {
    OrtStatus *const failed = call();
    if (!failed)
        *stream = context->stream;
    return failed;
}

static OrtStatus *memory_info(const OrtValue *value, const OrtMemoryInfo **info) {
    static const OrtMemoryInfo first = {0};
    (void)value;
    OrtStatus *const failed = call();
    if (!failed)
        *info = &first;
    return failed;
}

static OrtStatus *memory_id(const OrtMemoryInfo *info, int *id) {
    OrtStatus *const failed = call();
    if (!failed)
        *id = info->id;
    return failed;
}

static OrtStatus *has_entry(const OrtSessionOptions *options, const char *name, int *found) {
    OrtStatus *const failed = call();
    if (!failed)
        *found = options->threads && strcmp(name, "dcnv4.threads") == 0;
    return failed;
}

static OrtStatus *get_entry(const OrtSessionOptions *options, const char *name, char *text, size_t *size) {
    (void)name;
    OrtStatus *const failed = call();
    if (!failed)
        snprintf(text, *size, "%s", options->threads);
    return failed;
}

/* The table ends where version 17's does. */
static void (*table[273])(void);

static void fill_table(void) {
#define PUT(name, function)                                 \
    do {                                                    \
        const ort_##name checked = function;                \
        table[ORT_NUMBER_##name] = (void (*)(void))checked; \
    } while (0)
    PUT(CreateStatus, create_status);
    PUT(ReleaseStatus, release_status);
    PUT(CreateCustomOpDomain, create_domain);
    PUT(ReleaseCustomOpDomain, release_domain);
    PUT(CustomOpDomain_Add, domain_add);
    PUT(AddCustomOpDomain, add_domain);
    PUT(GetTensorMutableData, mutable_data);
    PUT(GetTensorTypeAndShape, type_and_shape);
    PUT(ReleaseTensorTypeAndShapeInfo, release_info);
    PUT(GetTensorElementType, element_type);
    PUT(GetDimensionsCount, dimensions_count);
    PUT(GetDimensions, dimensions);
    PUT(KernelInfoGetAttribute_int64, attribute_int);
    PUT(KernelInfoGetAttribute_float, attribute_float);
    PUT(KernelInfoGetAttribute_string, attribute_string);
    PUT(KernelInfoGetAttributeArray_int64, attribute_ints);
    PUT(KernelInfoGetAttributeArray_float, attribute_floats);
    PUT(KernelInfo_GetNodeName, node_name);
    PUT(KernelContext_GetInputCount, input_count);
    PUT(KernelContext_GetInput, get_input);
    PUT(KernelContext_GetOutput, get_output);
    PUT(KernelContext_GetGPUComputeStream, get_stream);
    PUT(GetTensorMemoryInfo, memory_info);
    PUT(MemoryInfoGetId, memory_id);
    PUT(HasSessionConfigEntry, has_entry);
    PUT(GetSessionConfigEntry, get_entry);
#undef PUT
}

static const OrtApi *get_api(uint32_t version) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, fill_table);
    runtime.asked = version;
    return (const OrtApi *)(void *)table;
}

static const char *get_version(void) {
    return runtime.version;
}

const OrtApiBase fake_base = {get_api, get_version};
