/* A node's attributes. The runtime does not know which ones an operator has, or of which types. */
#include "operators.h"

#include <math.h>
#include <string.h>

/* Whether there is such an attribute of a type that is not asked for. The readers fail both for a missing one and for
 * one of another type. */
static bool exists(const OrtApi *api, const OrtKernelInfo *info, const char *name) {
    int64_t whole = 0;
    float real = 0;
    size_t sizes[3] = {0, 0, 0};
    OrtStatus *const found[] = {
        ORT(api, KernelInfoGetAttribute_int64)(info, name, &whole),
        ORT(api, KernelInfoGetAttribute_float)(info, name, &real),
        ORT(api, KernelInfoGetAttribute_string)(info, name, NULL, &sizes[0]),
        ORT(api, KernelInfoGetAttributeArray_int64)(info, name, NULL, &sizes[1]),
        ORT(api, KernelInfoGetAttributeArray_float)(info, name, NULL, &sizes[2]),
    };
    bool any = false;
    for (size_t k = 0; k < sizeof found / sizeof *found; ++k) {
        any = any || !found[k];
        if (found[k])
            ORT(api, ReleaseStatus)(found[k]);
    }
    return any;
}

static OrtStatus *wrong_type(const node_kernel *kernel, const OrtKernelInfo *info, const char *name,
                             const char *needed) {
    const OrtApi *const api = kernel->op->api;
    if (!exists(api, info, name))
        return NULL;
    return refuse(api, ORT_INVALID_ARGUMENT, "dcnv4: attribute %s of %s node '%s' is not %s", name,
                  kernel->op->kind->name, kernel->node, needed);
}

OrtStatus *refuse_foreign(const node_kernel *kernel, const OrtKernelInfo *info) {
    const operator_kind *const kind = kernel->op->kind;
    for (const char *const *name = kind->foreign; *name; ++name)
        if (exists(kernel->op->api, info, *name))
            return refuse(kernel->op->api, ORT_INVALID_ARGUMENT,
                          "dcnv4: %s node '%s' has the attribute %s, which %s lacks", kind->name, kernel->node, *name,
                          kind->name);
    return NULL;
}

OrtStatus *read_list(const node_kernel *kernel, const OrtKernelInfo *info, const char *name, int64_t *numbers,
                     size_t most, size_t *count) {
    const OrtApi *const api = kernel->op->api;
    size_t found = 0;
    *count = 0;
    OrtStatus *status = ORT(api, KernelInfoGetAttributeArray_int64)(info, name, NULL, &found);
    if (!status && found > 0 && found <= most) {
        *count = found;
        return ORT(api, KernelInfoGetAttributeArray_int64)(info, name, numbers, &found);
    }
    if (!status && found > most)
        return refuse(api, ORT_INVALID_ARGUMENT,
                      "dcnv4: attribute %s of %s node '%s' has %zu numbers, at most %zu are possible", name,
                      kernel->op->kind->name, kernel->node, found, most);
    /* A single number may read as an empty list, and so may an attribute of another type. */
    if (status)
        ORT(api, ReleaseStatus)(status);
    status = ORT(api, KernelInfoGetAttribute_int64)(info, name, numbers);
    if (!status) {
        *count = 1;
        return NULL;
    }
    ORT(api, ReleaseStatus)(status);
    return wrong_type(kernel, info, name, "one or more whole numbers");
}

OrtStatus *read_ints(const node_kernel *kernel, const OrtKernelInfo *info, const char *name, int64_t *numbers,
                     size_t count, int64_t least) {
    const OrtApi *const api = kernel->op->api;
    int64_t given[MOST_RANK];
    size_t found = 0;
    OrtStatus *const status = read_list(kernel, info, name, given, MOST_RANK, &found);
    if (status || found == 0)
        return status;
    if (found != 1 && found != count)
        return refuse(api, ORT_INVALID_ARGUMENT, "dcnv4: attribute %s of %s node '%s' has %zu numbers, 1%s needed",
                      name, kernel->op->kind->name, kernel->node, found,
                      count > 1 ? " or 2 (height, width) are" : " is");
    for (size_t k = 0; k < count; ++k) {
        numbers[k] = given[found == 1 ? 0 : k];
        if (numbers[k] < least)
            return refuse(api, ORT_INVALID_ARGUMENT,
                          "dcnv4: attribute %s of %s node '%s' is %lld, at least %lld is "
                          "needed",
                          name, kernel->op->kind->name, kernel->node, (long long)numbers[k], (long long)least);
    }
    return NULL;
}

OrtStatus *read_flag(const node_kernel *kernel, const OrtKernelInfo *info, const char *name, int32_t *flag) {
    int64_t number = *flag;
    OrtStatus *const status = read_ints(kernel, info, name, &number, 1, 0);
    if (!status && number > 1)
        return refuse(kernel->op->api, ORT_INVALID_ARGUMENT,
                      "dcnv4: attribute %s of %s node '%s' is %lld, it must be 0 "
                      "or 1",
                      name, kernel->op->kind->name, kernel->node, (long long)number);
    *flag = (int32_t)number;
    return status;
}

OrtStatus *read_float(const node_kernel *kernel, const OrtKernelInfo *info, const char *name, double *number) {
    const OrtApi *const api = kernel->op->api;
    float given = 0;
    OrtStatus *const status = ORT(api, KernelInfoGetAttribute_float)(info, name, &given);
    if (status) {
        ORT(api, ReleaseStatus)(status);
        return wrong_type(kernel, info, name, "a float");
    }
    *number = given;
    return NULL;
}
