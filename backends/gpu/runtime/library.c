#define _GNU_SOURCE /* dladdr */
#include "library.h"

#include <dlfcn.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>

void *dcnv4i_library_open(const char *const *names, const char **name) {
    for (int pass = 0; pass < 2; ++pass)
        for (const char *const *each = names; *each; ++each) {
            void *library = dlopen(*each, RTLD_NOW | RTLD_LOCAL | (pass == 0 ? RTLD_NOLOAD : 0));
            *name = *each;
            if (library)
                return library;
        }
    return NULL;
}

bool dcnv4i_library_is_there(const char *const *names) {
    for (; *names; ++names) {
        void *library = dlopen(*names, RTLD_NOW | RTLD_LOCAL | RTLD_NOLOAD);
        if (library) {
            dlclose(library); /* drops only the reference of this dlopen */
            return true;
        }
    }
    return false;
}

const char *dcnv4i_library_resolve(void *library, const dcnv4i_entry *entries, size_t count, void *table) {
    for (size_t i = 0; i < count; ++i) {
        /* POSIX allows dlsym's result to be a function pointer; C has no conversion, so the bytes are copied. */
        void *const found = dlsym(library, entries[i].name);
        memcpy((char *)table + entries[i].offset, &found, sizeof found);
        if (!found)
            return entries[i].name;
    }
    return NULL;
}

void dcnv4i_library_load_beside(const void *entry, const char *name) {
    Dl_info found;
    char path[4096];
    const char *const slash = dladdr(entry, &found) != 0 && found.dli_fname ? strrchr(found.dli_fname, '/') : NULL;
    if (!slash)
        return;
    const int length = snprintf(path, sizeof path, "%.*s/%s", (int)(slash - found.dli_fname), found.dli_fname, name);
    if (length > 0 && (size_t)length < sizeof path)
        dlopen(path, RTLD_NOW | RTLD_LOCAL);
}

/* In the C locale, whatever the caller's is. */
const char *dcnv4i_library_reason(void) {
    const locale_t plain = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    const locale_t callers = plain != (locale_t)0 ? uselocale(plain) : (locale_t)0;
    const char *reason = dlerror();
    if (plain != (locale_t)0) {
        uselocale(callers);
        freelocale(plain);
    }
    return reason ? reason : "no reason given";
}
