/* A choice holds for a layer with any image size: kernels depend only on the layer, and a new image size compiles
 * nothing. The key has the device, driver and kernels' texts that the choice was measured with and the defaults that it
 * was measured against: after one changes, the choice is not found. */
#include "choices.h"
#include "../runtime/cache.h"
#include "tactics.h"
#include "../runtime/kernel_text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A part's record in a file: whether there is a choice, and its numbers. */
enum { NUMBERS = 12 };

typedef struct record {
    int32_t has, number[NUMBERS];
} record;

static record pack(const dcnv4i_geometry *g) {
    return (record){1,
                    {g->vector, g->lanes, g->vectors, g->tile_h, g->tile_w, g->tile_groups, g->round_points, g->staged,
                     (int32_t)g->scatter, g->hits, g->chunk_h, g->chunk_w}};
}

static dcnv4i_geometry unpack(const record *from) {
    const int32_t *n = from->number;
    return (dcnv4i_geometry){n[0], n[1],  n[2],  n[3], n[4],  n[5], n[6], n[7] == 1, (dcnv4i_scatter)n[8],
                             n[9], n[10], n[11], 1,    false, false};
}

/* ---- Keys -------------------------------------------------------------------------------------------------------- */

/* The part of the key that is hashed: the layer, the kernels' texts, and the defaults. */
static char *describe(const dcnv4i_limits *limits, const dcnv4i_deform_conv *problem) {
    enum { ROOM = 512 };
    char *const layer = dcnv4i_deform_conv_layer(problem);
    const size_t length = layer ? strlen(layer) : 0;
    char *const text = layer ? realloc(layer, length + DCNV4I_DEFORM_CONV_PARTS * ROOM) : NULL;
    if (!text) {
        free(layer);
        return NULL;
    }
    char *at = text + length;
    at += snprintf(at, ROOM / 2, "kernels %s\n", dcnv4i_kernel_fingerprint);
    for (int part = 0; part < DCNV4I_DEFORM_CONV_PARTS; ++part) {
        const dcnv4i_geometry standard = dcnv4i_geometry_of(limits, problem, (dcnv4_part)part, false);
        const record numbers = pack(&standard);
        for (int i = 0; i < NUMBERS; ++i)
            at += snprintf(at, 16, "%" PRId32 " ", numbers.number[i]);
    }
    return text;
}

/* NULL if there is no device, or no memory. */
static char *key_of(const dcnv4i_module_store *store, const dcnv4i_limits *limits, const dcnv4i_deform_conv *problem) {
    const char *const machine = store->identity->machine;
    char *const text = machine ? describe(limits, problem) : NULL;
    const size_t room = machine ? strlen(machine) + 256 : 0;
    char *const identity = text ? malloc(room) : NULL, *key = NULL;
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
static void read_records(const dcnv4i_module_store *store, const char *key, record records[DCNV4I_DEFORM_CONV_PARTS]) {
    size_t size = 0;
    void *const bytes = dcnv4i_cache_read(store->folder, DCNV4I_CACHE_CHOICE, key, &size);
    memset(records, 0, DCNV4I_DEFORM_CONV_PARTS * sizeof *records);
    if (bytes && size == DCNV4I_DEFORM_CONV_PARTS * sizeof *records)
        memcpy(records, bytes, size);
    free(bytes);
}

dcnv4i_choices dcnv4i_choices_read(const dcnv4i_module_store *store, const dcnv4i_limits *limits,
                                   const dcnv4i_deform_conv *problem) {
    dcnv4i_choices choices = {.any = false};
    record records[DCNV4I_DEFORM_CONV_PARTS];
    char *const key = store->folder ? key_of(store, limits, problem) : NULL;
    if (!key)
        return choices;
    read_records(store, key, records);
    for (int part = 0; part < DCNV4I_DEFORM_CONV_PARTS; ++part) {
        dcnv4i_geometry *const g = &choices.geometry[part];
        *g = unpack(&records[part]);
        const dcnv4i_geometry standard = dcnv4i_geometry_of(limits, problem, (dcnv4_part)part, false);
        g->run = standard.run, g->wide = standard.wide;
        choices.has[part] = records[part].has == 1 && dcnv4i_geometry_legal(limits, problem, (dcnv4_part)part, g);
        choices.any = choices.any || choices.has[part];
    }
    free(key);
    return choices;
}

/* Writes the records, or removes the entry if no part has a choice; returns whether reading it back agrees. */
static bool replace(const dcnv4i_module_store *store, const char *key, const record records[DCNV4I_DEFORM_CONV_PARTS]) {
    record now[DCNV4I_DEFORM_CONV_PARTS];
    bool any = false;
    for (int part = 0; part < DCNV4I_DEFORM_CONV_PARTS; ++part)
        any = any || records[part].has;
    if (any)
        dcnv4i_cache_write(store->folder, DCNV4I_CACHE_CHOICE, key, records, sizeof now);
    else
        dcnv4i_cache_remove(store->folder, DCNV4I_CACHE_CHOICE, key);
    read_records(store, key, now);
    return memcmp(now, records, sizeof now) == 0;
}

dcnv4_status dcnv4i_choices_keep(const dcnv4i_module_store *store, const dcnv4i_limits *limits,
                                 const dcnv4i_deform_conv *problem, dcnv4_part part, const dcnv4i_geometry *geometry) {
    record records[DCNV4I_DEFORM_CONV_PARTS];
    if (!store->folder)
        return dcnv4i_fail(DCNV4_UNSUPPORTED,
                           "there is no folder to keep a choice in: DCNV4_CACHE_DIR is off, or the folder is not this "
                           "user's alone");
    if (!store->identity->machine)
        return dcnv4i_fail(DCNV4_UNSUPPORTED, "a choice is saved for a device, and there is none behind this target");
    char *const key = key_of(store, limits, problem);
    if (!key)
        return dcnv4i_fail(DCNV4_OUT_OF_MEMORY, "no memory for the key of a choice");
    read_records(store, key, records);
    memset(&records[part], 0, sizeof records[part]);
    if (geometry)
        records[part] = pack(geometry);
    const bool kept = replace(store, key, records);
    free(key);
    return kept ? DCNV4_SUCCESS
                : dcnv4i_fail(DCNV4_UNSUPPORTED, "%s: a choice of %zu bytes could not be written there", store->folder,
                              sizeof records);
}
