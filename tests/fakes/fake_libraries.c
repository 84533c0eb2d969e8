/* Compiled texts are shared libraries. */
#include "fake_kernels.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

void *fake_library_open(const void *bytes, size_t size) {
    const char *temporary = getenv("TMPDIR");
    char path[256];
    snprintf(path, sizeof path, "%s/fake_kernels_XXXXXX", temporary ? temporary : "/tmp");
    const int file = mkstemp(path);
    if (file < 0)
        return NULL;
    const bool written = write(file, bytes, size) == (ssize_t)size;
    close(file);
    void *library = written ? dlopen(path, RTLD_NOW | RTLD_LOCAL) : NULL;
    unlink(path);
    return library;
}

const host_kernel *fake_library_kernel(void *library, const char *name) {
    char symbol[128];
    snprintf(symbol, sizeof symbol, "host_kernel_%s", name);
    return dlsym(library, symbol);
}
