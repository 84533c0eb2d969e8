#include "output_file.h"

#include "../system/system.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { ASIDE_ROOM = DCNV4I_PATH_ROOM + 16, ATTEMPTS = 100 };

/* The files being written. A name is "" if there is no such file; the signal handler reads names. */
static struct output {
    const char *path;              /* as given on the command line */
    char target[DCNV4I_PATH_ROOM]; /* path with its symbolic links resolved */
    char aside[ASIDE_ROOM];        /* the new file, until it is in place */
    char earlier[ASIDE_ROOM];      /* the old file, while it may have to be restored */
    FILE *file;
} outputs[DCNV4I_OUTPUTS_MOST];
static int opened;

/* ---- Files beside the target --------------------------------------------------------------------------------------- */

/* A name in the target's folder that is likely to be free, and short enough for any file system. */
static void name_beside(const char *target, char name[ASIDE_ROOM]) {
    static const char signs[] = "0123456789abcdefghijklmnopqrstuvwxyz";
    static uint64_t state;
    struct timespec now = {0, 0};
    clock_gettime(CLOCK_REALTIME, &now);
    state = (state + (uint64_t)now.tv_nsec + ((uint64_t)getpid() << 32)) * UINT64_C(0x9e3779b97f4a7c15) + 1;
    char random[7];
    for (uint64_t i = 0, rest = state >> 16; i < 6; ++i, rest /= 36)
        random[i] = signs[rest % 36];
    random[6] = '\0';
    snprintf(name, ASIDE_ROOM, "%.*s.dcnv4-%s", (int)(strrchr(target, '/') - target) + 1, target, random);
}

/* Creates a file beside the target, with its owner and permissions if it exists. On failure −1 with errno, and name
 * "". */
static int create_beside(const char *target, char name[ASIDE_ROOM]) {
    int descriptor = -1;
    for (int attempt = 0; descriptor < 0 && attempt < ATTEMPTS && (attempt == 0 || errno == EEXIST); ++attempt) {
        name_beside(target, name);
        descriptor = dcnv4i_beside_create(name, target);
    }
    if (descriptor < 0)
        name[0] = '\0';
    return descriptor;
}

static void remove_name(char name[ASIDE_ROOM]) {
    if (name[0])
        dcnv4i_name_remove(name);
    name[0] = '\0';
}

/* ---- What was there before ----------------------------------------------------------------------------------------- */

static bool copy_bytes(int from, int to) {
    static char block[1 << 16];
    ssize_t count;
    while ((count = read(from, block, sizeof block)) > 0)
        for (ssize_t done = 0; done < count;) {
            const ssize_t written = write(to, block + done, (size_t)(count - done));
            if (written <= 0)
                return false;
            done += written;
        }
    return count == 0 && dcnv4i_descriptor_flush(to);
}

/* For file systems without hard links, and files that this user may not link. */
static bool copy_earlier(struct output *output) {
    const int from = dcnv4i_earlier_open(output->target);
    const int to = from < 0 ? -1 : create_beside(output->target, output->earlier);
    const bool copied = to >= 0 && copy_bytes(from, to);
    const int why = errno;
    if (to >= 0)
        close(to);
    if (from >= 0)
        close(from);
    if (!copied)
        remove_name(output->earlier);
    errno = why;
    return copied;
}

/* Gives an existing target a second name, so that the old file survives its replacement. */
static bool keep_earlier(struct output *output) {
    for (int attempt = 0; attempt < ATTEMPTS; ++attempt) {
        name_beside(output->target, output->earlier);
        if (dcnv4i_name_link(output->target, output->earlier))
            return true;
        if (errno == EEXIST)
            continue;
        output->earlier[0] = '\0';
        return errno == ENOENT || copy_earlier(output) || errno == ENOENT;
    }
    output->earlier[0] = '\0';
    return false;
}

/* ---- Leaving nothing behind ---------------------------------------------------------------------------------------- */

static void remove_asides(void) {
    for (int i = 0; i < opened; ++i)
        if (outputs[i].aside[0])
            dcnv4i_name_remove(outputs[i].aside);
}

void dcnv4i_outputs_discard(void) {
    dcnv4i_signals_wait();
    for (int i = 0; i < opened; ++i) {
        if (outputs[i].file)
            fclose(outputs[i].file);
        outputs[i].file = NULL;
        remove_name(outputs[i].aside);
    }
    opened = 0;
    dcnv4i_signals_go_on();
}

static dcnv4i_exit give_up(const char *path) {
    const dcnv4i_exit verdict = dcnv4i_verdict(DCNV4I_BROKEN, "%s was not written: %s", path, strerror(errno));
    dcnv4i_outputs_discard();
    return verdict;
}

/* ---- Opening and committing ---------------------------------------------------------------------------------------- */

dcnv4i_exit dcnv4i_output_open(const char *path, FILE **file) {
    struct output *output = &outputs[opened];
    *output = (struct output){.path = path};
    if (!dcnv4i_path_resolve(path, output->target))
        return give_up(path);
    dcnv4i_signals_watch(remove_asides);
    dcnv4i_signals_wait();
    const int descriptor = create_beside(output->target, output->aside);
    const int why = errno;
    opened += descriptor >= 0;
    dcnv4i_signals_go_on();
    errno = why;
    if (descriptor < 0)
        return give_up(path);
    output->file = fdopen(descriptor, "wb");
    if (!output->file) {
        close(descriptor);
        return give_up(path);
    }
    *file = output->file;
    return DCNV4I_DONE;
}

/* Closes the file. False if not everything is on disk; a full disk may be reported only here. */
static bool finish(struct output *output) {
    FILE *file = output->file;
    errno = 0;
    const bool whole = fflush(file) == 0 && !ferror(file) && dcnv4i_descriptor_flush(fileno(file));
    const int why = errno ? errno : EIO;
    output->file = NULL;
    const bool closed = fclose(file) == 0;
    if (!whole)
        errno = why;
    return whole && closed;
}

static bool place(struct output *output, bool is_last) {
    if (!is_last && !keep_earlier(output)) /* the last one needs no way back: its rename fails or completes the set */
        return false;
    if (!dcnv4i_name_replace(output->aside, output->target))
        return false;
    output->aside[0] = '\0';
    return true;
}

/* Undoes place. */
static bool put_back(struct output *output) {
    if (!(output->earlier[0] ? dcnv4i_name_replace(output->earlier, output->target)
                             : dcnv4i_name_remove(output->target)))
        return false;
    output->earlier[0] = '\0';
    return true;
}

/* Undoes the first `placed` files, since the next one could not be put in place. */
static dcnv4i_exit take_back(int placed) {
    dcnv4i_exit verdict = dcnv4i_verdict(DCNV4I_BROKEN, "%s was not written: %s", outputs[placed].path,
                                         strerror(errno));
    while (placed-- > 0) {
        struct output *output = &outputs[placed];
        if (put_back(output))
            continue;
        char before[256];
        snprintf(before, sizeof before, "%s", dcnv4i_verdict_line());
        verdict = dcnv4i_verdict(DCNV4I_BROKEN, "%s; %s could not be put back as it was: %s%s%s", before, output->path,
                                 strerror(errno), output->earlier[0] ? "; what it held is in " : "", output->earlier);
        output->earlier[0] = '\0';
    }
    return verdict;
}

dcnv4i_exit dcnv4i_outputs_commit(void) {
    for (int i = 0; i < opened; ++i)
        if (!finish(&outputs[i]))
            return give_up(outputs[i].path);
    dcnv4i_signals_wait();
    int placed = 0;
    while (placed < opened && place(&outputs[placed], placed == opened - 1))
        ++placed;
    const dcnv4i_exit verdict = placed < opened ? take_back(placed) : DCNV4I_DONE;
    for (int i = 0; i < opened; ++i)
        remove_name(outputs[i].earlier);
    dcnv4i_signals_go_on();
    dcnv4i_outputs_discard();
    return verdict;
}
