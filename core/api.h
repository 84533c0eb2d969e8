/* What the files of public functions share. */
#ifndef DCNV4I_API_H
#define DCNV4I_API_H

#include "environment.h"
#include "plan.h"

#define REQUIRE(argument)                                                                      \
    do {                                                                                       \
        if (!(argument))                                                                       \
            return dcnv4i_fail(DCNV4_INVALID_ARGUMENT, "%s: " #argument " is NULL", __func__); \
    } while (0)

/* Checks the size that a caller's struct says it has. */
static inline dcnv4_status dcnv4i_check_size(const char *name, size_t size, size_t oldest) {
    if (size >= oldest)
        return DCNV4_SUCCESS;
    return dcnv4i_fail(DCNV4_INVALID_ARGUMENT, "%s.size is %zu, at least %zu is needed; start from its _INIT macro",
                       name, size, oldest);
}

#endif
