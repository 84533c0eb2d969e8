#include "library.h"
#include "../../../core/platform.h"

#include <string.h>

void *dcnv4i_library_open(const char *const *names, const char **name) {
    for (int pass = 0; pass < 2; ++pass)
        for (const char *const *each = names; *each; ++each) {
            void *library = pass == 0 ? dcnv4i_shared_loaded(*each) : dcnv4i_shared_open(*each);
            *name = *each;
            if (library)
                return library;
        }
    return NULL;
}

bool dcnv4i_library_is_there(const char *const *names) {
    for (; *names; ++names) {
        void *library = dcnv4i_shared_loaded(*names);
        if (library) {
            dcnv4i_shared_close(library); /* drops only this reference */
            return true;
        }
    }
    return false;
}

const char *dcnv4i_library_resolve(void *library, const dcnv4i_entry *entries, size_t count, void *table) {
    for (size_t i = 0; i < count; ++i) {
        /* The systems allow this to be a function pointer; C has no conversion, so the bytes are copied. */
        void *const found = dcnv4i_shared_function(library, entries[i].name);
        memcpy((char *)table + entries[i].offset, &found, sizeof found);
        if (!found)
            return entries[i].name;
    }
    return NULL;
}

void dcnv4i_library_load_beside(const void *entry, const char *name) {
    dcnv4i_shared_load_beside(entry, name);
}

const char *dcnv4i_library_reason(void) {
    return dcnv4i_shared_reason();
}
