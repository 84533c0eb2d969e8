#include "output_file.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What is being written. aside is "" once it is gone or renamed; a signal's handler reads it. */
static struct output {
    char path[PATH_MAX];
    char aside[PATH_MAX + 16];
    FILE *file;
} outputs[DCNV4I_OUTPUTS_MOST];
static volatile sig_atomic_t opened;

/* The folder that a path is in; name, if not NULL, is set to what follows. */
static bool folder_of(const char *path, char *folder, size_t size, const char **name) {
    const char *slash = strrchr(path, '/');
    const size_t length = slash ? (size_t)(slash - path) + 1 : 0;
    if (length + 2 > size)
        return false;
    memcpy(folder, path, length);
    strcpy(folder + length, length ? "" : ".");
    if (name)
        *name = path + length;
    return true;
}

dcnv4i_exit dcnv4i_output_check(const char *option, const char *path) {
    char folder[PATH_MAX];
    struct stat status;
    const char *name;
    if (strlen(path) >= PATH_MAX - 16 || !folder_of(path, folder, sizeof folder, &name))
        return dcnv4i_verdict(DCNV4I_REFUSED, "%s has %zu characters; at most %d are possible", option, strlen(path),
                              PATH_MAX - 17);
    if (stat(path, &status) == 0) {
        if (!S_ISREG(status.st_mode))
            return dcnv4i_verdict(DCNV4I_REFUSED, "%s: %s is %s; a regular file is needed", option, path,
                                  S_ISDIR(status.st_mode) ? "a directory" : "a device");
    } else if (errno != ENOENT || *name == '\0') {
        return dcnv4i_verdict(DCNV4I_REFUSED, "%s: %s: %s", option, path, strerror(errno));
    }
    if (stat(folder, &status) != 0)
        return dcnv4i_verdict(DCNV4I_REFUSED, "%s: %s: the folder is missing: %s", option, path, strerror(errno));
    if (access(folder, W_OK | X_OK) != 0)
        return dcnv4i_verdict(DCNV4I_REFUSED, "%s: %s: the folder cannot be written to: %s", option, path,
                              strerror(errno));
    return DCNV4I_DONE;
}

bool dcnv4i_same_file(const char *one, const char *other) {
    struct stat a, b;
    const bool has_a = stat(one, &a) == 0, has_b = stat(other, &b) == 0;
    if (has_a && has_b)
        return a.st_dev == b.st_dev && a.st_ino == b.st_ino;
    char folder_a[PATH_MAX], folder_b[PATH_MAX];
    const char *name_a, *name_b;
    if (has_a != has_b || !folder_of(one, folder_a, sizeof folder_a, &name_a) ||
        !folder_of(other, folder_b, sizeof folder_b, &name_b))
        return false;
    return strcmp(name_a, name_b) == 0 && stat(folder_a, &a) == 0 && stat(folder_b, &b) == 0 && a.st_dev == b.st_dev &&
           a.st_ino == b.st_ino;
}

/* ---- Leaving nothing behind ---------------------------------------------------------------------------------------- */

static void remove_and_die(int signal_number) {
    for (int i = 0; i < opened; ++i)
        if (outputs[i].aside[0])
            unlink(outputs[i].aside);
    signal(signal_number, SIG_DFL);
    raise(signal_number);
}

static void watch_signals(void) {
    static const int fatal[] = {SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGQUIT};
    for (size_t i = 0; i < sizeof fatal / sizeof *fatal; ++i) {
        struct sigaction action;
        if (sigaction(fatal[i], NULL, &action) != 0 || action.sa_handler != SIG_DFL)
            continue; /* one that is ignored (nohup) stays so */
        memset(&action, 0, sizeof action);
        sigemptyset(&action.sa_mask);
        action.sa_handler = remove_and_die;
        sigaction(fatal[i], &action, NULL);
    }
}

void dcnv4i_outputs_discard(void) {
    for (int i = 0; i < opened; ++i) {
        if (outputs[i].file)
            fclose(outputs[i].file);
        if (outputs[i].aside[0])
            unlink(outputs[i].aside);
        outputs[i].file = NULL;
        outputs[i].aside[0] = '\0';
    }
    opened = 0;
}

static dcnv4i_exit give_up(const char *path) {
    const dcnv4i_exit verdict = dcnv4i_verdict(DCNV4I_BROKEN, "%s was not written: %s", path, strerror(errno));
    dcnv4i_outputs_discard();
    return verdict;
}

/* ---- Opening and committing ---------------------------------------------------------------------------------------- */

dcnv4i_exit dcnv4i_output_open(const char *path, FILE **file) {
    struct output *output = &outputs[opened];
    char target[PATH_MAX];
    if (!realpath(path, target)) /* what a symbolic link points to is replaced, not the link */
        snprintf(target, sizeof target, "%s", path);
    strcpy(output->path, target);
    /* Beside the target, by a name that fits wherever the target's does. */
    const char *const slash = strrchr(target, '/');
    snprintf(output->aside, sizeof output->aside, "%.*s.dcnv4-XXXXXX", slash ? (int)(slash - target) + 1 : 0, target);
    watch_signals();
    const int descriptor = mkstemp(output->aside);
    if (descriptor < 0) {
        output->aside[0] = '\0';
        return give_up(path);
    }
    opened = opened + 1;
    const mode_t mask = umask(0); /* mkstemp makes it 0600; it becomes what any new file is */
    umask(mask);
    fchmod(descriptor, 0666 & ~mask);
    output->file = fdopen(descriptor, "wb");
    if (!output->file) {
        close(descriptor);
        return give_up(path);
    }
    *file = output->file;
    return DCNV4I_DONE;
}

dcnv4i_exit dcnv4i_outputs_commit(void) {
    for (int i = 0; i < opened; ++i) {
        FILE *file = outputs[i].file;
        errno = 0;
        const bool had_error = fflush(file) != 0 || ferror(file);
        const int why = errno ? errno : EIO;
        outputs[i].file = NULL;
        const bool closed = fclose(file) == 0; /* a full disk may show only now */
        if (had_error)
            errno = why;
        if (had_error || !closed)
            return give_up(outputs[i].path);
    }
    for (int i = 0; i < opened; ++i) {
        if (rename(outputs[i].aside, outputs[i].path) != 0) {
            const int why = errno;
            for (int j = 0; j < i; ++j) /* all or none */
                unlink(outputs[j].path);
            errno = why;
            return give_up(outputs[i].path);
        }
        outputs[i].aside[0] = '\0';
    }
    opened = 0;
    return DCNV4I_DONE;
}
