/* What the stand-ins for drivers use of dlfcn.h, on Windows. */
#ifndef TESTS_WINDOWS_DLFCN_H
#define TESTS_WINDOWS_DLFCN_H

#include <stdio.h>
#include <string.h>
#include <windows.h>

enum { RTLD_NOW = 1, RTLD_LOCAL = 2, RTLD_NOLOAD = 4 };

/* Libraries that tests name as on Linux have Windows's names. Without a dot in its name Windows would look for NAME.dll. */
static inline void *dlopen(const char *path, int mode) {
    char name[MAX_PATH];
    if (mode & RTLD_NOLOAD)
        return GetModuleHandleA(path);
    if (strcmp(path, "libOpenCL.so.1") == 0)
        return LoadLibraryA("OpenCL.dll");
    snprintf(name, sizeof name, "%s.", path);
    return LoadLibraryA(name);
}

static inline void *dlsym(void *library, const char *name) {
    return (void *)(intptr_t)GetProcAddress(library, name);
}

static inline int dlclose(void *library) {
    return !FreeLibrary(library);
}

#endif
