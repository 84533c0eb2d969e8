/* The interface between core and the backends: a small table of functions. Core has checked every argument before it
 * calls; a backend checks none of it again. A backend's `device` is what it made of a device name, its `program` what it
 * made of a problem on that device; both are the backend's own and opaque to core. */
#ifndef DCNV4I_BACKEND_H
#define DCNV4I_BACKEND_H

#include "operator.h"

/* What is known of a device's comparison with the reference. */
typedef enum dcnv4i_checked {
    DCNV4I_NOT_CHECKED,
    DCNV4I_CHECKED_RIGHT,
    DCNV4I_CHECKED_WRONG,
    DCNV4I_CHECK_OFF /* and nobody wants to know: DCNV4_SELF_CHECK is off */
} dcnv4i_checked;

/* The number of the comparison, which goes up when self_check.c compares anything else; and the longest sentence about what
 * differed, its end counted in. */
enum { DCNV4I_CHECK_NUMBER = 1, DCNV4I_CHECK_MESSAGE = 224 };

typedef struct dcnv4i_backend {
    const char *name;

    /* Runs on the host: core then provides the memory of buffers. */
    bool on_host;
    /* Handles are addresses, so that different ones can overlap. */
    bool pointer_handles;

    /* How many devices to list, at least 1: a backend that finds none lists a missing one with the reason. */
    int64_t (*device_count)(void);
    /* Fills in the zeroed *info (size apart) of device number index. */
    void (*device_info)(int64_t index, dcnv4_device_info *info);
    /* Whether "auto" may take this backend's first device: it is there, and no slower than those of the backends before
     * it in backends.def. */
    bool (*automatic)(void);

    /* selector is what follows the colon of a device name, or "". *device is set on success alone. */
    dcnv4_status (*device_open)(const char *selector, void **device);
    /* (optional) The same on handles of the caller's own, its API's context and device; NULL for what is current. */
    dcnv4_status (*device_adopt)(void *context, void *device_handle, void **device);
    void (*device_close)(void *device);
    void (*device_describe)(const void *device, dcnv4_device_info *info);
    /* (optional) For drivers of many makers: each device is compared with the reference before it is used (self_check.h).
     * What is remembered of that for this device, driver and library, with what differed; and remembers it, if it can. */
    dcnv4i_checked (*check_recall)(const void *device, char message[DCNV4I_CHECK_MESSAGE]);
    void (*check_remember)(const void *device, dcnv4i_checked outcome, const char *message);
    dcnv4_status (*device_set_threads)(void *device, int32_t threads); /* (optional) */
    dcnv4_status (*device_synchronize)(void *device);                  /* (optional) */

    /* Makes a problem ready to run; the problem lives as long as the program. *program is set on success alone. */
    dcnv4_status (*program_create)(void *device, const dcnv4i_problem *problem, void **program);
    void (*program_destroy)(void *program);
    size_t (*workspace_size)(const void *program, dcnv4_pass pass);
    /* (optional) The kernels that were made for it, and what they take; fills in the zeroed *info (size apart). */
    int64_t (*kernel_count)(const void *program);
    void (*kernel_info)(const void *program, int64_t index, dcnv4_kernel_info *info);
    /* (optional) How a part can be done, 0 being the default: how many ways, what one is (fills in *info), a program that
     * does this part alone in this way, and keeping the choice for later programs of this layer. part is one of the
     * operator's parts; problem is a copy of the program's that lives as long as the tactic. */
    int64_t (*tactic_count)(const void *program, int part);
    void (*tactic_info)(const void *program, int part, int64_t index, dcnv4_tactic_info *info);
    dcnv4_status (*tactic_create)(const void *program, const dcnv4i_problem *problem, int part, int64_t index,
                                  void **tactic);
    dcnv4_status (*tactic_save)(const void *program, int part, int64_t index);
    /* Runs a pass; several threads may call it at once with one program. */
    dcnv4_status (*run)(const void *program, dcnv4_pass pass, const dcnv4i_buffers *buffers, void *stream);

    /* (optional, for backends that are not on_host) Runs what bounds the pass. */
    dcnv4_status (*roofline_run)(const void *program, dcnv4_pass pass, dcnv4_roofline floor,
                                 const dcnv4i_buffers *buffers, void *stream);

    /* Memory, for backends that are not on_host. buffer_create sets *handle for length ≥ 1 bytes. */
    dcnv4_status (*buffer_create)(void *device, size_t length, void **handle);
    void (*buffer_destroy)(void *device, void *handle);
    dcnv4_status (*upload)(void *device, const dcnv4_buffer *buffer, const void *source, size_t length);
    dcnv4_status (*download)(void *device, const dcnv4_buffer *buffer, void *target, size_t length);
} dcnv4i_backend;

/* Where a host buffer begins; one that the pass does not use may have any numbers. */
static inline void *dcnv4i_host_pointer(const dcnv4_buffer *buffer) {
    return buffer->handle ? (void *)((uintptr_t)buffer->handle + buffer->offset) : NULL;
}

/* One table a backend, named after its folder. */
#define DCNV4I_BACKEND(name) extern const dcnv4i_backend dcnv4i_backend_##name;
#include "../backends/backends.def"
#undef DCNV4I_BACKEND

#endif
