#include "system.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

_Static_assert(DCNV4I_PATH_ROOM >= PATH_MAX, "realpath writes PATH_MAX bytes");

enum { LINKS_MOST = 40, ROOM_BESIDE = 16 /* for the name of a file beside it, which may be longer */ };

/* ---- What is there ----------------------------------------------------------------------------------------------- */

static const char *kind_of(mode_t mode) {
    return S_ISREG(mode)    ? NULL
           : S_ISDIR(mode)  ? "a directory"
           : S_ISFIFO(mode) ? "a FIFO or pipe"
           : S_ISSOCK(mode) ? "a socket"
                            : "a device";
}

static dcnv4i_entry entry_from(const struct stat *status) {
    return (dcnv4i_entry){kind_of(status->st_mode),
                          {(uint64_t)status->st_dev, (uint64_t)status->st_ino},
                          S_ISREG(status->st_mode) ? (uint64_t)status->st_size : 0};
}

bool dcnv4i_entry_look(const char *path, dcnv4i_entry *entry) {
    struct stat status;
    if (stat(path, &status) != 0)
        return false;
    *entry = entry_from(&status);
    return true;
}

bool dcnv4i_entry_of(int descriptor, dcnv4i_entry *entry) {
    struct stat status;
    if (fstat(descriptor, &status) != 0)
        return false;
    *entry = entry_from(&status);
    return true;
}

bool dcnv4i_entry_same(const dcnv4i_entry *one, const dcnv4i_entry *other) {
    return memcmp(one->identity, other->identity, sizeof one->identity) == 0;
}

FILE *dcnv4i_regular_open(const char *path, dcnv4i_entry *entry) {
    *entry = (dcnv4i_entry){.kind = NULL};
    /* O_NONBLOCK: a FIFO that nobody writes to is refused, not waited for. */
    const int descriptor = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    FILE *file = NULL;
    if (descriptor >= 0 && dcnv4i_entry_of(descriptor, entry) && !entry->kind)
        file = fdopen(descriptor, "rb");
    const int why = errno;
    if (descriptor >= 0 && !file)
        close(descriptor);
    errno = why;
    return file;
}

bool dcnv4i_folder_is_writable(const char *folder) {
    return access(folder, W_OK | X_OK) == 0;
}

void dcnv4i_folder_count(const char *folder, const char *ending, int64_t *files, int64_t *bytes) {
    *files = *bytes = 0;
    DIR *all = opendir(folder);
    for (const struct dirent *entry; all && (entry = readdir(all));) {
        struct stat about;
        const size_t length = strlen(entry->d_name), end = strlen(ending);
        if (length > end && strcmp(entry->d_name + length - end, ending) == 0 &&
            fstatat(dirfd(all), entry->d_name, &about, 0) == 0) {
            ++*files;
            *bytes += about.st_size;
        }
    }
    if (all)
        closedir(all);
}

/* ---- Paths ------------------------------------------------------------------------------------------------------- */

/* Splits a path into its folder ("." if it has none) and the rest. */
static bool split(const char *path, char folder[DCNV4I_PATH_ROOM], const char **name) {
    const char *slash = strrchr(path, '/');
    const size_t length = slash ? (size_t)(slash - path) + 1 : 0;
    if (length + 2 > DCNV4I_PATH_ROOM) {
        errno = ENAMETOOLONG;
        return false;
    }
    memcpy(folder, path, length);
    strcpy(folder + length, length ? "" : ".");
    *name = path + length;
    return true;
}

/* Appends a name to a folder; false with errno if it is not a file's name, or too long. */
static bool join(const char *folder, const char *name, char path[DCNV4I_PATH_ROOM]) {
    const size_t length = strcmp(folder, "/") == 0 ? 0 : strlen(folder), more = strlen(name);
    if (length + 1 + more >= DCNV4I_PATH_ROOM - ROOM_BESIDE) {
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
static bool follow(const char *folder, const char *target, size_t length, char path[DCNV4I_PATH_ROOM]) {
    const size_t before = target[0] == '/' ? 0 : strlen(folder) + 1;
    if (before + length >= DCNV4I_PATH_ROOM) {
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

bool dcnv4i_path_resolve(const char *path, char target[DCNV4I_PATH_ROOM]) {
    char at[DCNV4I_PATH_ROOM], folder[DCNV4I_PATH_ROOM], real[DCNV4I_PATH_ROOM], next[DCNV4I_PATH_ROOM];
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

/* ---- Files that replace others ----------------------------------------------------------------------------------- */

/* Gives a new file the owner and permissions of another, as far as this user and the file system can. */
static void make_like(int descriptor, const struct stat *other) {
    if (fchown(descriptor, other->st_uid, other->st_gid) != 0)
        (void)!fchown(descriptor, (uid_t)-1, other->st_gid);
    fchmod(descriptor, other->st_mode & 0777);
}

int dcnv4i_beside_create(const char *path, const char *like) {
    struct stat other;
    const bool present = stat(like, &other) == 0;
    const int descriptor = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, present ? other.st_mode & 0600 : 0666);
    if (descriptor >= 0 && present)
        make_like(descriptor, &other);
    return descriptor;
}

int dcnv4i_earlier_open(const char *path) {
    return open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
}

/* File systems that need no fsync fail it with one of these errors. */
bool dcnv4i_descriptor_flush(int descriptor) {
    return fsync(descriptor) == 0 || errno == EINVAL || errno == ENOSYS || errno == ENOTSUP;
}

bool dcnv4i_name_link(const char *path, const char *second) {
    return link(path, second) == 0;
}

bool dcnv4i_name_replace(const char *from, const char *to) {
    return rename(from, to) == 0;
}

bool dcnv4i_name_remove(const char *path) {
    return unlink(path) == 0;
}
