/* The interface between core and the backends: a small table of functions. Core checks every argument before a call; a
 * backend does not check them again. `device` is the backend's object for an open device, `program` its object for a
 * problem on that device; both are opaque to core. */
#ifndef DCNV4I_BACKEND_H
#define DCNV4I_BACKEND_H

#include "operator.h"

/* The outcome of a device's comparison with the reference. */
typedef enum dcnv4i_checked {
    DCNV4I_NOT_CHECKED,
    DCNV4I_CHECKED_RIGHT,
    DCNV4I_CHECKED_WRONG,
    DCNV4I_CHECK_OFF /* no check is wanted: DCNV4_SELF_CHECK is off */
} dcnv4i_checked;

/* The version of the comparison, incremented when self_check.c compares something else; and the bytes of a message
 * about what differed, with its terminating NUL. */
enum { DCNV4I_CHECK_NUMBER = 1, DCNV4I_CHECK_MESSAGE = 224 };

typedef struct dcnv4i_backend {
    const char *name;

    /* Runs on the host: core then allocates the buffers. */
    bool on_host;
    /* Buffers' handles are addresses, so that buffers of different handles can overlap. */
    bool pointer_handles;

    /* Number of devices to list, at least 1: a backend without a device lists one as missing, with the reason. */
    int64_t (*device_count)(void);
    /* Fills in the info of device number index; *info is zeroed except for its size. */
    void (*device_info)(int64_t index, dcnv4_device_info *info);
    /* Whether "auto" may choose this backend's first device: it is available, and no slower than those of the backends
     * before it in backends.def. */
    bool (*automatic)(void);

    /* selector is the part of a device name after the colon, or "". *device is set only on success. */
    dcnv4_status (*device_open)(const char *selector, void **device);
    /* (optional) Opens the caller's own context and device of the API; NULL for those current in this thread. */
    dcnv4_status (*device_adopt)(void *context, void *device_handle, void **device);
    void (*device_close)(void *device);
    void (*device_describe)(const void *device, dcnv4_device_info *info);
    /* (optional) For APIs whose drivers come from many vendors: each device is compared with the reference before it is
     * used (self_check.h). check_recall returns the stored outcome for this device, driver and library, with a message
     * about what differed; check_remember stores one, if it can. */
    dcnv4i_checked (*check_recall)(const void *device, char message[DCNV4I_CHECK_MESSAGE]);
    void (*check_remember)(const void *device, dcnv4i_checked outcome, const char *message);
    dcnv4_status (*device_set_threads)(void *device, int32_t threads); /* (optional) */
    dcnv4_status (*device_synchronize)(void *device);                  /* (optional) */

    /* Prepares a problem for running; *problem stays valid as long as the program. *program is set only on success. */
    dcnv4_status (*program_create)(void *device, const dcnv4i_problem *problem, void **program);
    void (*program_destroy)(void *program);
    size_t (*workspace_size)(const void *program, dcnv4_pass pass);
    /* (optional) A program's kernels and the resources that they use; *info is zeroed except for its size. */
    int64_t (*kernel_count)(const void *program);
    void (*kernel_info)(const void *program, int64_t index, dcnv4_kernel_info *info);
    /* (optional) The tactics for a part, number 0 being the default: how many there are, a description of one (fills in
     * *info), a program that does only this part by this tactic, and storing the choice for later programs of this
     * layer. part is one of the operator's parts; problem is a copy of the program's that stays valid as long as the
     * tactic's program. */
    int64_t (*tactic_count)(const void *program, int part);
    void (*tactic_info)(const void *program, int part, int64_t index, dcnv4_tactic_info *info);
    dcnv4_status (*tactic_create)(const void *program, const dcnv4i_problem *problem, int part, int64_t index,
                                  void **tactic);
    dcnv4_status (*tactic_save)(const void *program, int part, int64_t index);
    /* Runs a pass; several threads may call it at once with one program. */
    dcnv4_status (*run)(const void *program, dcnv4_pass pass, const dcnv4i_buffers *buffers, void *stream);

    /* (optional, for backends that are not on_host) Runs a roofline kernel of the pass. */
    dcnv4_status (*roofline_run)(const void *program, dcnv4_pass pass, dcnv4_roofline roofline,
                                 const dcnv4i_buffers *buffers, void *stream);

    /* Memory, for backends that are not on_host. buffer_create sets *handle for length ≥ 1 bytes. */
    dcnv4_status (*buffer_create)(void *device, size_t length, void **handle);
    void (*buffer_destroy)(void *device, void *handle);
    dcnv4_status (*upload)(void *device, const dcnv4_buffer *buffer, const void *source, size_t length);
    dcnv4_status (*download)(void *device, const dcnv4_buffer *buffer, void *target, size_t length);
} dcnv4i_backend;

/* The address at which a host buffer begins. A buffer that the pass does not use may hold arbitrary numbers. */
static inline void *dcnv4i_host_pointer(const dcnv4_buffer *buffer) {
    return buffer->handle ? (void *)((uintptr_t)buffer->handle + buffer->offset) : NULL;
}

/* One table for each backend, named after its folder. */
#define DCNV4I_BACKEND(name) extern const dcnv4i_backend dcnv4i_backend_##name;
#include "../backends/backends.def"
#undef DCNV4I_BACKEND

#endif
