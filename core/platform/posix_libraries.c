#define _GNU_SOURCE /* dladdr */
#include "../platform.h"

#include <dlfcn.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>

/* macOS has OpenCL at a fixed place, and neither CUDA nor HIP. */
static const char *own_name(const char *name) {
#if defined(__APPLE__)
    if (strcmp(name, "libOpenCL.so.1") == 0)
        return "/System/Library/Frameworks/OpenCL.framework/OpenCL";
#endif
    return name;
}

void *dcnv4i_shared_open(const char *name) {
    return dlopen(own_name(name), RTLD_NOW | RTLD_LOCAL);
}

void *dcnv4i_shared_loaded(const char *name) {
    return dlopen(own_name(name), RTLD_NOW | RTLD_LOCAL | RTLD_NOLOAD);
}

void dcnv4i_shared_load_beside(const void *function, const char *name) {
    Dl_info found;
    char path[4096];
    const char *const slash = dladdr(function, &found) != 0 && found.dli_fname ? strrchr(found.dli_fname, '/') : NULL;
    if (!slash)
        return;
    const int length = snprintf(path, sizeof path, "%.*s/%s", (int)(slash - found.dli_fname), found.dli_fname, name);
    if (length > 0 && (size_t)length < sizeof path)
        dlopen(path, RTLD_NOW | RTLD_LOCAL);
}

void dcnv4i_shared_close(void *library) {
    dlclose(library);
}

void *dcnv4i_shared_function(void *library, const char *name) {
    return dlsym(library, name);
}

/* In the C locale, whatever the caller's is. */
const char *dcnv4i_shared_reason(void) {
    const locale_t plain = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    const locale_t callers = plain != (locale_t)0 ? uselocale(plain) : (locale_t)0;
    const char *reason = dlerror();
    if (plain != (locale_t)0) {
        uselocale(callers);
        freelocale(plain);
    }
    return reason ? reason : "no reason given";
}
