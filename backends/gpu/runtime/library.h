/* Drivers and compilers are loaded when they are first needed, by versioned names, and stay loaded: they have threads of
 * their own, and do not survive being unloaded. */
#ifndef DCNV4I_LIBRARY_H
#define DCNV4I_LIBRARY_H

#include <stdbool.h>
#include <stddef.h>

/* One entry point, and where its address goes in the table of them. */
typedef struct dcnv4i_entry {
    const char *name;
    size_t offset;
} dcnv4i_entry;

/* A row of such a list, from X(result, name, arguments), for the struct type `table`. */
#define DCNV4I_ENTRY(table, name) {#name, offsetof(table, name)}

/* Opens the first of these names that there is, ends with NULL; one that the process has loaded already goes before all
 * others. *name is the one it was, or, with NULL for an answer, the last one tried. */
void *dcnv4i_library_open(const char *const *names, const char **name);

/* Whether the process has loaded one of these names already. */
bool dcnv4i_library_is_there(const char *const *names);

/* Resolves all entries into the table; the name of the first that is missing, or NULL. */
const char *dcnv4i_library_resolve(void *library, const dcnv4i_entry *entries, size_t count, void *table);

/* What the loader said about the failure just now, never NULL. */
const char *dcnv4i_library_reason(void);

#endif
