/* Contexts: an open device to run on. Finding devices, with the reason if one is missing. */
#ifndef DCNV4I_CONTEXT_H
#define DCNV4I_CONTEXT_H

#include "backend.h"

#include <stdatomic.h>

struct dcnv4_context {
    const dcnv4i_backend *backend;
    void *device;
    atomic_int_fast32_t holders; /* reference count: the caller, until it destroys the context, and each plan */
};

int64_t dcnv4i_device_count(void);

/* *info is zeroed except for its size. DCNV4_INVALID_ARGUMENT if there is no device of that number. */
dcnv4_status dcnv4i_device_info(int64_t index, dcnv4_device_info *info);

dcnv4_status dcnv4i_context_open(const char *name, dcnv4_context **context);

/* Opens a context of the named backend on the caller's own handles; NULL for those that the backend finds itself. */
dcnv4_status dcnv4i_context_adopt(const char *backend, void *handle, void *device_handle, dcnv4_context **context);

void dcnv4i_context_hold(dcnv4_context *context);

/* Drops one reference; the last one closes the device. */
void dcnv4i_context_release(dcnv4_context *context);

#endif
