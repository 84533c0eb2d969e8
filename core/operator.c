#include "operator.h"

#include <string.h>

size_t dcnv4i_dtype_size(int32_t dtype) {
    switch (dtype) {
    case DCNV4_FLOAT32: return 4;
    case DCNV4_FLOAT16: return 2;
    case DCNV4_BFLOAT16: return 2;
    case DCNV4_FLOAT64: return 8;
    }
    return 0;
}

dcnv4_status dcnv4i_versioned_copy(const char *name, void *copy, size_t known, size_t oldest, const void *given) {
    size_t size;
    memcpy(&size, given, sizeof size);
    if (size < oldest || (size < known && size % sizeof(int64_t) != 0)) /* every version's size is a multiple of it */
        return dcnv4i_fail(DCNV4_INVALID_ARGUMENT, "%s.size is %zu, at least %zu is needed; start from its _INIT macro",
                           name, size, oldest);
    for (size_t i = known; i < size; ++i)
        if (((const unsigned char *)given)[i] != 0)
            return dcnv4i_fail(DCNV4_UNSUPPORTED,
                               "%s.size is %zu and a field after byte %zu is set; this library is %s", name, size,
                               known, dcnv4_version());
    memcpy(copy, given, size < known ? size : known);
    memcpy(copy, &known, sizeof known);
    return DCNV4_SUCCESS;
}
