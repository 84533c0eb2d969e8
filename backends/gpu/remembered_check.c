/* An outcome holds for a device, its driver, the limits that its kernels are made for, this library with its kernels'
 * texts, and the version of the comparison. All are in the key, so that no outcome is found after one changes. */
#include "remembered_check.h"
#include "runtime/cache.h"
#include "runtime/kernel_text.h"
#include "../../core/platform.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* An entry is one of these; the second is followed by a message about what differed. */
static const char right_entry[] = "right", wrong_entry[] = "wrong: ";

/* NULL if there is no memory. */
static char *key_of(const char *machine, const dcnv4i_limits *limits) {
    char identity[256];
    const size_t room = strlen(machine) + 128;
    char *const text = malloc(room);
    snprintf(identity, sizeof identity, "check %d of dcnv4 %s\nkernels %s", DCNV4I_CHECK_NUMBER, dcnv4_version(),
             dcnv4i_kernel_fingerprint);
    if (text)
        snprintf(text, room, "%s\nlimits %d %" PRId64 " %" PRId64 " %" PRId64 " %d", machine, limits->cpu,
                 limits->work_group, limits->local_memory, limits->units, (int)limits->atomics);
    char *const key = text ? dcnv4i_cache_key(identity, text) : NULL;
    free(text);
    return key;
}

static dcnv4i_checked parse(const char *entry, size_t size, char message[DCNV4I_CHECK_MESSAGE]) {
    const size_t begin = sizeof wrong_entry - 1;
    if (size == sizeof right_entry - 1 && memcmp(entry, right_entry, size) == 0)
        return DCNV4I_CHECKED_RIGHT;
    if (size <= begin || size - begin >= DCNV4I_CHECK_MESSAGE || memcmp(entry, wrong_entry, begin) != 0)
        return DCNV4I_NOT_CHECKED;
    memcpy(message, entry + begin, size - begin);
    message[size - begin] = '\0';
    return DCNV4I_CHECKED_WRONG;
}

static dcnv4i_checked read_entry(const char *folder, const char *key, char message[DCNV4I_CHECK_MESSAGE]) {
    size_t size = 0;
    void *const entry = dcnv4i_cache_read(folder, DCNV4I_CACHE_CHECK, key, &size);
    const dcnv4i_checked outcome = entry ? parse(entry, size, message) : DCNV4I_NOT_CHECKED;
    free(entry);
    return outcome;
}

/* ---- This process's memory --------------------------------------------------------------------------------------- */

/* More devices than a machine has; with even more, the oldest outcome is dropped and its device checked again. */
enum { PLACES = 16 };

static dcnv4i_mutex lock = DCNV4I_MUTEX_INIT;
static int next_place;
static struct {
    char key[512], message[DCNV4I_CHECK_MESSAGE];
    dcnv4i_checked outcome;
} places[PLACES];

static void keep_in_process(const char *key, dcnv4i_checked outcome, const char *message) {
    dcnv4i_mutex_lock(&lock);
    snprintf(places[next_place].key, sizeof places->key, "%s", key);
    snprintf(places[next_place].message, sizeof places->message, "%s", message);
    places[next_place].outcome = outcome;
    next_place = (next_place + 1) % PLACES;
    dcnv4i_mutex_unlock(&lock);
}

static dcnv4i_checked find_in_process(const char *key, char message[DCNV4I_CHECK_MESSAGE]) {
    dcnv4i_checked outcome = DCNV4I_NOT_CHECKED;
    dcnv4i_mutex_lock(&lock);
    for (int back = 1; back <= PLACES && outcome == DCNV4I_NOT_CHECKED; ++back) { /* the latest first */
        const int i = (next_place + PLACES - back) % PLACES;
        if (strcmp(places[i].key, key) == 0) {
            outcome = places[i].outcome;
            memcpy(message, places[i].message, DCNV4I_CHECK_MESSAGE);
        }
    }
    dcnv4i_mutex_unlock(&lock);
    return outcome;
}

/* ---- Both -------------------------------------------------------------------------------------------------------- */

static dcnv4i_checked look_up(const char *folder, const char *machine, const dcnv4i_limits *limits,
                              char message[DCNV4I_CHECK_MESSAGE]) {
    const char *const asked = getenv("DCNV4_SELF_CHECK");
    if (asked && strcmp(asked, "off") == 0)
        return DCNV4I_CHECK_OFF;
    if (asked && strcmp(asked, "again") == 0)
        return DCNV4I_NOT_CHECKED;
    char *const key = key_of(machine, limits);
    dcnv4i_checked outcome = DCNV4I_NOT_CHECKED;
    if (key && folder)
        outcome = read_entry(folder, key, message);
    if (key && outcome == DCNV4I_NOT_CHECKED)
        outcome = find_in_process(key, message);
    free(key);
    return outcome;
}

dcnv4i_checked dcnv4i_check_look_up(const char *machine, const dcnv4i_limits *limits,
                                    char message[DCNV4I_CHECK_MESSAGE]) {
    char *const folder = dcnv4i_cache_folder();
    const dcnv4i_checked outcome = look_up(folder, machine, limits, message);
    free(folder);
    return outcome;
}

dcnv4i_checked dcnv4i_gpu_check_recall(const void *gpu, char message[DCNV4I_CHECK_MESSAGE]) {
    const dcnv4i_gpu *g = gpu;
    return look_up(g->modules.folder, g->modules.identity->machine, &g->limits, message);
}

void dcnv4i_gpu_check_remember(const void *gpu, dcnv4i_checked outcome, const char *message) {
    const dcnv4i_gpu *g = gpu;
    char entry[sizeof wrong_entry + DCNV4I_CHECK_MESSAGE], found[DCNV4I_CHECK_MESSAGE];
    char *const key = key_of(g->modules.identity->machine, &g->limits);
    if (!key)
        return;
    const bool right = outcome == DCNV4I_CHECKED_RIGHT;
    snprintf(entry, sizeof entry, "%s%s", right ? right_entry : wrong_entry, right ? "" : message);
    if (g->modules.folder)
        dcnv4i_cache_write(g->modules.folder, DCNV4I_CACHE_CHECK, key, entry, strlen(entry));
    if (!g->modules.folder || read_entry(g->modules.folder, key, found) != outcome)
        keep_in_process(key, outcome, message);
    free(key);
}
