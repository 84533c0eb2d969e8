/* Device memory, images, modules, and the work of a stream. */
#ifndef TESTS_FAKE_MODULES_H
#define TESTS_FAKE_MODULES_H

#include "fake_calls.h"

#include <stdbool.h>

/* Errors: numbers that CUDA and HIP have in common. */
enum {
    FAKE_OK = 0,
    FAKE_INVALID_VALUE = 1,
    FAKE_OUT_OF_MEMORY = 2,
    FAKE_NO_DEVICE = 100,
    FAKE_INVALID_DEVICE = 101,
    FAKE_INVALID_IMAGE = 200,
    FAKE_INVALID_CONTEXT = 201,
    FAKE_NO_BINARY = 209,
    FAKE_INVALID_HANDLE = 400,
    FAKE_NOT_FOUND = 500,
    FAKE_ILLEGAL_ADDRESS = 700,
    FAKE_CAPTURE_UNSUPPORTED = 900,
    FAKE_CAPTURE_INVALIDATED = 901,
};

enum { FAKE_CONTEXT = 0xc0de, FAKE_STREAM, FAKE_MODULE, FAKE_KERNEL, FAKE_GRAPH, FAKE_PROGRAM };

/* ---- Memory: addresses are invalid on the host; writes beside an allocation are detected when it is freed -------- */

enum { FAKE_DEVICE_MEMORY = 256 << 20 };

int32_t fake_memory_allocate(int device, size_t size, void **address);
/* FAKE_INVALID_VALUE if it is none of this device's allocations. */
int32_t fake_memory_free(int device, void *address);
/* The host's address of length bytes that are allocated on this device; else NULL. */
char *fake_memory_at(int device, const void *address, size_t length);

/* ---- Modules: an image is a shared library of the host, marked with the architecture it is for -------------------------- */

/* For free(); NULL if the text does not compile. An idle driver's image has no kernels. *log is for free(), or NULL. */
void *fake_image_make(const char *text, const char *architecture, size_t *size, char **log);
/* The same image, marked with another architecture, for free(). */
void *fake_image_for(const void *image, size_t size, const char *architecture);
/* FAKE_NO_BINARY if its mark is not this one, FAKE_INVALID_IMAGE if it has none. */
int32_t fake_module_load(fake_object *context, const void *image, const char *architecture, fake_object **module);
void fake_module_unload(fake_object *module);
int32_t fake_kernel_find(fake_object *module, const char *name, fake_object **kernel);
fake_object *fake_kernel_context(const fake_object *kernel);
int fake_kernel_work_group(const fake_object *kernel);

/* ---- Work: a launch, or a copy if it has no kernel ----------------------------------------------------------------------- */

enum { FAKE_MOST_ARGUMENTS = 32 };

typedef struct fake_work {
    fake_object *kernel;
    unsigned groups, work_group;
    void *arguments[FAKE_MOST_ARGUMENTS]; /* pointers, and numbers as such */
    void *target;
    const void *source;
    size_t length;
    bool to_device, from_device;
} fake_work;

/* A launch of groups work-groups, arguments as for cuLaunchKernel; an error for a geometry that no device supports. */
int32_t fake_work_launch(fake_object *kernel, const unsigned groups[3], const unsigned work_group[3],
                         unsigned local_memory, void **arguments, fake_work *work);

/* Runs it. If memory is not this device's, the driver is lost. */
void fake_work_do(int device, fake_work *work);

#endif
