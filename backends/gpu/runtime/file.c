#if defined(__linux__)
#define _GNU_SOURCE /* mkostemp */
#endif

#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

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
