#if defined(__linux__)
#define _GNU_SOURCE /* mkostemp */
#endif

#include "../platform.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* ---- Files ------------------------------------------------------------------------------------------------------- */

/* Moves a file to a descriptor above stderr's. */
static int past_streams(int file) {
    if (file < 0 || file > STDERR_FILENO)
        return file;
    const int other = fcntl(file, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    close(file);
    return other;
}

int dcnv4i_file_open(const char *path) {
    return past_streams(open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK));
}

int dcnv4i_file_create(char *path) {
    const int made = mkostemp(path, O_CLOEXEC), file = past_streams(made);
    if (made >= 0 && file < 0)
        unlink(path);
    return file;
}

bool dcnv4i_file_read(int file, void *bytes, size_t length) {
    for (char *at = bytes; length > 0;) {
        const ssize_t got = read(file, at, length);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return false;
        at += got, length -= (size_t)got;
    }
    return true;
}

/* Whether the process's file-size limit allows length more bytes; a write beyond it raises SIGXFSZ. */
static bool may_grow(int file, size_t length) {
    struct rlimit most;
    const off_t at = lseek(file, 0, SEEK_CUR);
    return getrlimit(RLIMIT_FSIZE, &most) != 0 || most.rlim_cur == RLIM_INFINITY ||
           (at >= 0 && (rlim_t)at <= most.rlim_cur && length <= most.rlim_cur - (rlim_t)at);
}

bool dcnv4i_file_write(int file, const void *bytes, size_t length) {
    if (!may_grow(file, length))
        return false;
    for (const char *at = bytes; length > 0;) {
        const ssize_t put = write(file, at, length);
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return false;
        at += put, length -= (size_t)put;
    }
    return true;
}

bool dcnv4i_file_close(int file) {
    return close(file) == 0;
}

/* Whether only this user can have written there. */
static bool is_ours(const struct stat *found) {
    return found->st_uid == geteuid() && (found->st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

int64_t dcnv4i_file_length(int file) {
    struct stat found;
    return fstat(file, &found) == 0 && S_ISREG(found.st_mode) && is_ours(&found) ? (int64_t)found.st_size : -1;
}

bool dcnv4i_file_replace(const char *from, const char *to) {
    return rename(from, to) == 0;
}

void dcnv4i_file_remove(const char *path) {
    unlink(path);
}

/* ---- Folders ----------------------------------------------------------------------------------------------------- */

char *dcnv4i_path_variable(const char *name) {
    const char *const path = getenv(name);
    return path && *path ? strdup(path) : NULL;
}

char *dcnv4i_cache_home(void) {
    const char *const cache = getenv("XDG_CACHE_HOME"), *const home = getenv("HOME");
    if (cache && *cache == '/')
        return strdup(cache);
    if (!home || *home != '/')
        return NULL;
    const size_t length = strlen(home) + sizeof "/.cache";
    char *const path = malloc(length);
    if (path)
        snprintf(path, length, "%s/.cache", home);
    return path;
}

void dcnv4i_folder_make(char *path) {
    for (char *slash = path + 1; (slash = strchr(slash, '/')); ++slash) {
        *slash = '\0';
        mkdir(path, 0700);
        *slash = '/';
    }
    mkdir(path, 0700);
}

char *dcnv4i_folder_find(const char *path) {
    char *const whole = realpath(path, NULL);
    struct stat found;
    if (whole && stat(whole, &found) == 0 && S_ISDIR(found.st_mode) && is_ours(&found))
        return whole;
    free(whole);
    return NULL;
}

void dcnv4i_folder_sweep(const char *path, bool (*chosen)(const char *name), int seconds) {
    enum { MOST_NAMES = 10000 };
    DIR *const all = opendir(path);
    const time_t now = time(NULL);
    const struct dirent *each;
    for (int i = 0; all && i < MOST_NAMES && (each = readdir(all)); ++i) {
        struct stat found;
        if (chosen(each->d_name) && fstatat(dirfd(all), each->d_name, &found, AT_SYMLINK_NOFOLLOW) == 0 &&
            S_ISREG(found.st_mode) && (found.st_mtime < now - seconds || found.st_mtime > now + seconds))
            unlinkat(dirfd(all), each->d_name, 0);
    }
    if (all)
        closedir(all);
}
