#include "output_path.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LINKS_MOST = 40, ROOM_ASIDE = 16 /* for the temporary file's name, which may be longer */ };

static bool is_same(const struct stat *a, const struct stat *b) {
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* Splits a path into its folder ("." if it has none) and the rest. */
static bool split(const char *path, char folder[PATH_MAX], const char **name) {
    const char *slash = strrchr(path, '/');
    const size_t length = slash ? (size_t)(slash - path) + 1 : 0;
    if (length + 2 > PATH_MAX) {
        errno = ENAMETOOLONG;
        return false;
    }
    memcpy(folder, path, length);
    strcpy(folder + length, length ? "" : ".");
    *name = path + length;
    return true;
}

/* Appends a name to a folder; false with errno if it is not a file's name, or too long. */
static bool join(const char *folder, const char *name, char path[PATH_MAX]) {
    const size_t length = strcmp(folder, "/") == 0 ? 0 : strlen(folder), more = strlen(name);
    if (length + 1 + more >= PATH_MAX - ROOM_ASIDE) {
        errno = ENAMETOOLONG;
        return false;
    }
    if (more == 0 || strcmp(name, ".") == 0 || strcmp(name, "..") == 0) {
        errno = EISDIR;
        return false;
    }
    memcpy(path, folder, length);
    path[length] = '/';
    memcpy(path + length + 1, name, more + 1);
    return true;
}

/* The target of a symbolic link in a folder, as a path that this process can open. */
static bool follow(const char *folder, const char *target, size_t length, char path[PATH_MAX]) {
    const size_t before = target[0] == '/' ? 0 : strlen(folder) + 1;
    if (before + length >= PATH_MAX) {
        errno = ENAMETOOLONG;
        return false;
    }
    if (before > 0) {
        memcpy(path, folder, before - 1);
        path[before - 1] = '/';
    }
    memcpy(path + before, target, length);
    path[before + length] = '\0';
    return true;
}

bool dcnv4i_output_target(const char *path, char target[PATH_MAX]) {
    char at[PATH_MAX], folder[PATH_MAX], real[PATH_MAX], next[PATH_MAX];
    const char *name;
    if (strlen(path) >= sizeof at) {
        errno = ENAMETOOLONG;
        return false;
    }
    strcpy(at, path);
    for (int links = 0; links < LINKS_MOST; ++links) {
        if (!split(at, folder, &name) || !realpath(folder, real) || !join(real, name, target))
            return false;
        const ssize_t length = readlink(target, next, sizeof next);
        if (length < 0)
            return errno == EINVAL || errno == ENOENT; /* no link, or no file yet */
        if (!follow(real, next, (size_t)length, at))
            return false;
    }
    errno = ELOOP;
    return false;
}

static const char *kind_of(mode_t mode) {
    return S_ISDIR(mode) ? "a directory" : S_ISFIFO(mode) ? "a FIFO or pipe" : S_ISSOCK(mode) ? "a socket" : "a device";
}

/* Checks an existing file: a regular file can be replaced, unless the shell has redirected stdout or stderr to it. */
static dcnv4i_exit check_present(const char *option, const char *path, const char *target, const struct stat *present) {
    static const char *const streams[] = {"stdin", "stdout", "stderr"};
    struct stat status;
    if (!S_ISREG(present->st_mode))
        return dcnv4i_verdict(DCNV4I_REFUSED, "%s: %s is %s; a regular file is needed", option, path,
                              kind_of(present->st_mode));
    for (int stream = STDOUT_FILENO; stream <= STDERR_FILENO; ++stream)
        if (fstat(stream, &status) == 0 && is_same(&status, present))
            return dcnv4i_verdict(DCNV4I_REFUSED, "%s: %s is the file that %s goes to; another one is needed", option,
                                  path, streams[stream]);
    if (stat(target, &status) != 0 || !is_same(&status, present)) /* from /proc, and deleted after it was opened */
        return dcnv4i_verdict(DCNV4I_REFUSED, "%s: %s is a file without a name; one with a name is needed", option,
                              path);
    return DCNV4I_DONE;
}

dcnv4i_exit dcnv4i_output_check(const char *option, const char *path) {
    char target[PATH_MAX], folder[PATH_MAX];
    const char *name;
    struct stat status;
    if (strlen(path) >= PATH_MAX - ROOM_ASIDE)
        return dcnv4i_verdict(DCNV4I_REFUSED, "%s has %zu characters; at most %d are possible", option, strlen(path),
                              PATH_MAX - ROOM_ASIDE - 1);
    const bool present = stat(path, &status) == 0;
    if (!present && errno != ENOENT)
        return dcnv4i_verdict(DCNV4I_REFUSED, "%s: %s: %s", option, path, strerror(errno));
    const bool resolved = dcnv4i_output_target(path, target);
    const int why = errno;
    if (present && (resolved || !S_ISREG(status.st_mode))) {
        const dcnv4i_exit verdict = check_present(option, path, target, &status);
        if (verdict != DCNV4I_DONE)
            return verdict;
    }
    if (!resolved)
        return dcnv4i_verdict(DCNV4I_REFUSED, "%s: %s: %s%s", option, path,
                              why == ENOENT ? "the folder is missing: " : "", strerror(why));
    if (!split(target, folder, &name) || access(folder, W_OK | X_OK) != 0)
        return dcnv4i_verdict(DCNV4I_REFUSED, "%s: %s: the folder cannot be written to: %s", option, path,
                              strerror(errno));
    return DCNV4I_DONE;
}

bool dcnv4i_same_file(const char *one, const char *other) {
    struct stat a, b;
    const bool has_a = stat(one, &a) == 0, has_b = stat(other, &b) == 0;
    if (has_a && has_b)
        return is_same(&a, &b);
    char target_a[PATH_MAX], target_b[PATH_MAX], folder_a[PATH_MAX], folder_b[PATH_MAX];
    const char *name_a, *name_b;
    if (has_a != has_b || !dcnv4i_output_target(one, target_a) || !dcnv4i_output_target(other, target_b) ||
        !split(target_a, folder_a, &name_a) || !split(target_b, folder_b, &name_b))
        return false;
    return strcmp(name_a, name_b) == 0 && stat(folder_a, &a) == 0 && stat(folder_b, &b) == 0 && is_same(&a, &b);
}
