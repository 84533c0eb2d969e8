#include "choice_records.h"
#include "runtime/cache.h"
#include "runtime/kernel_text.h"

#include <dcnv4/dcnv4.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Keys -------------------------------------------------------------------------------------------------------- */

char *dcnv4i_choice_text(char *layer, const dcnv4i_choice_record defaults[DCNV4I_CHOICE_PARTS]) {
    enum { ROOM = 512 };
    const size_t length = layer ? strlen(layer) : 0;
    char *const text = layer ? realloc(layer, length + DCNV4I_CHOICE_PARTS * ROOM) : NULL;
    if (!text) {
        free(layer);
        return NULL;
    }
    char *at = text + length;
    at += snprintf(at, ROOM / 2, "kernels %s\n", dcnv4i_kernel_fingerprint);
    for (int part = 0; part < DCNV4I_CHOICE_PARTS; ++part)
        for (int i = 0; i < DCNV4I_CHOICE_NUMBERS; ++i)
            at += snprintf(at, 16, "%" PRId32 " ", defaults[part].number[i]);
    return text;
}

/* Consumes the text. NULL if there is no device, or no memory. */
static char *key_of(const dcnv4i_module_store *store, const dcnv4i_limits *limits, char *text) {
    const char *const machine = store->identity->machine;
    const size_t room = machine ? strlen(machine) + 256 : 0;
    char *const identity = machine && text ? malloc(room) : NULL, *key = NULL;
    if (identity) {
        snprintf(identity, room, "choice of dcnv4 %s\n%s\nlimits %d %" PRId64 " %" PRId64 " %" PRId64 " %d",
                 dcnv4_version(), machine, limits->cpu, limits->work_group, limits->local_memory, limits->units,
                 (int)limits->atomics);
        key = dcnv4i_cache_key(identity, text);
    }
    free(identity);
    free(text);
    return key;
}

/* ---- Files ------------------------------------------------------------------------------------------------------- */

/* Reads an entry's records, legal or not; all zeros if there is no entry of the right size. */
static void read_records(const dcnv4i_module_store *store, const char *key,
                         dcnv4i_choice_record records[DCNV4I_CHOICE_PARTS]) {
    size_t size = 0;
    void *const bytes = dcnv4i_cache_read(store->folder, DCNV4I_CACHE_CHOICE, key, &size);
    memset(records, 0, DCNV4I_CHOICE_PARTS * sizeof *records);
    if (bytes && size == DCNV4I_CHOICE_PARTS * sizeof *records)
        memcpy(records, bytes, size);
    free(bytes);
}

void dcnv4i_choice_read(const dcnv4i_module_store *store, const dcnv4i_limits *limits, char *text,
                        dcnv4i_choice_record records[DCNV4I_CHOICE_PARTS]) {
    memset(records, 0, DCNV4I_CHOICE_PARTS * sizeof *records);
    char *const key = key_of(store, limits, text);
    if (key && store->folder)
        read_records(store, key, records);
    free(key);
}

/* Writes the records, or removes the entry if no part has a choice; returns whether reading it back agrees. */
static bool replace(const dcnv4i_module_store *store, const char *key,
                    const dcnv4i_choice_record records[DCNV4I_CHOICE_PARTS]) {
    dcnv4i_choice_record now[DCNV4I_CHOICE_PARTS];
    bool any = false;
    for (int part = 0; part < DCNV4I_CHOICE_PARTS; ++part)
        any = any || records[part].has;
    if (any)
        dcnv4i_cache_write(store->folder, DCNV4I_CACHE_CHOICE, key, records, sizeof now);
    else
        dcnv4i_cache_remove(store->folder, DCNV4I_CACHE_CHOICE, key);
    read_records(store, key, now);
    return memcmp(now, records, sizeof now) == 0;
}

dcnv4_status dcnv4i_choice_keep(const dcnv4i_module_store *store, const dcnv4i_limits *limits, char *text, int part,
                                const dcnv4i_choice_record *record) {
    dcnv4i_choice_record records[DCNV4I_CHOICE_PARTS];
    char *const key = key_of(store, limits, text);
    if (!store->folder || !store->identity->machine || !key) {
        free(key);
        if (!store->folder)
            return dcnv4i_fail(
                DCNV4_UNSUPPORTED,
                "there is no folder to keep a choice in: DCNV4_CACHE_DIR is off, or the folder is not this "
                "user's alone");
        return store->identity->machine
                   ? dcnv4i_fail(DCNV4_OUT_OF_MEMORY, "no memory for the key of a choice")
                   : dcnv4i_fail(DCNV4_UNSUPPORTED,
                                 "a choice is saved for a device, and there is none behind this target");
    }
    read_records(store, key, records);
    memset(&records[part], 0, sizeof records[part]);
    if (record)
        records[part] = *record;
    const bool kept = replace(store, key, records);
    free(key);
    return kept ? DCNV4_SUCCESS
                : dcnv4i_fail(DCNV4_UNSUPPORTED, "%s: a choice of %zu bytes could not be written there", store->folder,
                              sizeof records);
}
