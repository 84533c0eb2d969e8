#include "fake_modules.h"
#include "fake_compiler.h"
#include "fake_kernels.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Images -------------------------------------------------------------------------------------------------------- */

/* An image's header, before a shared library's bytes. Drivers are not told an image's length. */
typedef struct mark {
    char magic[16];
    char architecture[32];
    size_t size; /* of the library; 0 in an idle driver's image */
} mark;

static const char magic[16] = "fake GPU image";

void *fake_image_make(const char *text, const char *architecture, size_t *size, char **log) {
    size_t library_size = 0;
    void *library = NULL;
    *log = NULL;
    if (!fake_driver_control()->idle && !(library = fake_compile(text, architecture, &library_size, log)))
        return NULL;
    mark *made = calloc(1, sizeof *made + library_size);
    if (made) {
        memcpy(made->magic, magic, sizeof magic);
        snprintf(made->architecture, sizeof made->architecture, "%s", architecture);
        made->size = library_size;
        if (library)
            memcpy(made + 1, library, library_size);
        *size = sizeof *made + library_size;
    }
    free(library);
    return made;
}

void *fake_image_for(const void *image, size_t size, const char *architecture) {
    mark *made = malloc(size);
    if (made) {
        memcpy(made, image, size);
        snprintf(made->architecture, sizeof made->architecture, "%s", architecture);
    }
    return made;
}

/* ---- Modules -------------------------------------------------------------------------------------------------------- */

enum { MOST_KERNELS = 8 };

typedef struct module {
    fake_object *context;
    void *library; /* NULL in an idle driver */
    fake_object *kernels[MOST_KERNELS];
} module;

typedef struct kernel {
    fake_object *module;
    const host_kernel *host;
} kernel;

static module *module_of(const fake_object *object) {
    return (module *)(void *)object->bytes;
}

static kernel *kernel_of(const fake_object *object) {
    return (kernel *)(void *)object->bytes;
}

int32_t fake_module_load(fake_object *context, const void *image, const char *architecture, fake_object **result) {
    mark found;
    memcpy(&found, image, sizeof found.magic);
    if (memcmp(found.magic, magic, sizeof magic) != 0)
        return FAKE_INVALID_IMAGE;
    memcpy(&found, image, sizeof found);
    if (strcmp(found.architecture, architecture) != 0)
        return FAKE_NO_BINARY;
    void *library = NULL;
    if (found.size > 0 && !(library = fake_library_open((const mark *)image + 1, found.size)))
        return FAKE_INVALID_IMAGE;
    fake_object *made = fake_make_uncounted(FAKE_MODULE, sizeof(module));
    if (!made)
        return FAKE_OUT_OF_MEMORY;
    *module_of(made) = (module){.context = context, .library = library};
    *result = made;
    return FAKE_OK;
}

void fake_module_unload(fake_object *object) {
    module *m = module_of(object);
    for (int i = 0; i < MOST_KERNELS; ++i)
        fake_give_back(m->kernels[i]);
    if (m->library)
        dlclose(m->library);
    fake_give_back(object);
}

int32_t fake_kernel_find(fake_object *object, const char *name, fake_object **result) {
    module *m = module_of(object);
    const host_kernel *host = m->library ? fake_library_kernel(m->library, name) : NULL;
    int i = 0;
    while (i < MOST_KERNELS && m->kernels[i])
        ++i;
    if ((m->library && !host) || i == MOST_KERNELS)
        return FAKE_NOT_FOUND;
    fake_object *made = fake_make_uncounted(FAKE_KERNEL, sizeof(kernel));
    if (!made)
        return FAKE_OUT_OF_MEMORY;
    *kernel_of(made) = (kernel){object, host};
    m->kernels[i] = *result = made;
    return FAKE_OK;
}

fake_object *fake_kernel_context(const fake_object *object) {
    return module_of(kernel_of(object)->module)->context;
}

int fake_kernel_work_group(const fake_object *object) {
    const host_kernel *host = kernel_of(object)->host;
    return host ? (int)host->work_group : 1024;
}

/* ---- Work ----------------------------------------------------------------------------------------------------------- */

int32_t fake_work_launch(fake_object *object, const unsigned groups[3], const unsigned work_group[3],
                         unsigned local_memory, void **arguments, fake_work *work) {
    if (!fake_use(object, FAKE_KERNEL))
        return FAKE_INVALID_HANDLE;
    const host_kernel *host = kernel_of(object)->host;
    if (groups[0] == 0 || groups[1] != 1 || groups[2] != 1 || work_group[0] == 0 || work_group[1] != 1 ||
        work_group[2] != 1 || local_memory != 0 || !arguments)
        return FAKE_INVALID_VALUE;
    if ((int)work_group[0] > fake_kernel_work_group(object))
        return FAKE_INVALID_VALUE;
    *work = (fake_work){.kernel = object, .groups = groups[0], .work_group = work_group[0]};
    for (int i = 0; host && host->kinds[i]; ++i) {
        if (host->kinds[i] == '?' || i == FAKE_MOST_ARGUMENTS)
            return FAKE_INVALID_VALUE;
        memcpy(&work->arguments[i], arguments[i], sizeof work->arguments[i]);
    }
    return FAKE_OK;
}

static void lose(const char *why) {
    fake_misuse(why);
    fake_driver_control()->lost = FAKE_ILLEGAL_ADDRESS;
}

static void do_copy(int device, const fake_work *work) {
    void *target = work->to_device ? fake_memory_at(device, work->target, work->length) : work->target;
    const void *source = work->from_device ? fake_memory_at(device, work->source, work->length) : work->source;
    if (target && source)
        memcpy(target, source, work->length);
    else
        lose("a copy is from or to memory that is not this device's");
}

static void do_launch(int device, fake_work *work) {
    void *addresses[FAKE_MOST_ARGUMENTS];
    if (!fake_use(work->kernel, FAKE_KERNEL))
        return;
    const kernel *k = kernel_of(work->kernel);
    if (!k->host)
        return;
    for (int i = 0; k->host->kinds[i]; ++i) {
        void *given = work->arguments[i];
        if (k->host->kinds[i] == 'p' && given && !(work->arguments[i] = fake_memory_at(device, given, 1))) {
            lose("a kernel is given memory that is not this device's");
            return;
        }
        addresses[i] = &work->arguments[i];
    }
    fake_kernel_run(module_of(k->module)->library, k->host, work->groups, work->work_group, addresses);
}

void fake_work_do(int device, fake_work *work) {
    if (fake_driver_control()->lost)
        return;
    if (work->kernel)
        do_launch(device, work);
    else
        do_copy(device, work);
}
