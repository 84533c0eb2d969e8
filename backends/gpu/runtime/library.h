/* Drivers and compilers are loaded when they are first needed, by versioned names, and stay loaded: they have threads
 * of their own, and do not survive being unloaded. */
#ifndef DCNV4I_LIBRARY_H
#define DCNV4I_LIBRARY_H

#include <stdbool.h>
#include <stddef.h>

/* One entry point, and where its address goes in the table of them. */
typedef struct dcnv4i_entry {
    const char *name;
    size_t offset;
} dcnv4i_entry;

/* An element of such a list, from X(result, name, arguments), for the struct type `table`. */
#define DCNV4I_ENTRY(table, name) {#name, offsetof(table, name)}

/* Opens the first of these names (with NULL at the end) that loads; one that the process has already loaded takes
 * precedence. *name is its name, or, if the result is NULL, the last one tried. */
void *dcnv4i_library_open(const char *const *names, const char **name);

/* Whether the process has loaded one of these names already. */
bool dcnv4i_library_is_there(const char *const *names);

/* Resolves all entries into the table; returns the name of the first missing one, or NULL. */
const char *dcnv4i_library_resolve(void *library, const dcnv4i_entry *entries, size_t count, void *table);

/* Loads a library from the folder of the loaded one that this entry point is in, and leaves it loaded. Nothing happens if
 * it is not there. */
void dcnv4i_library_load_beside(const void *entry, const char *name);

/* The loader's message about the latest failure, never NULL. */
const char *dcnv4i_library_reason(void);

#endif
