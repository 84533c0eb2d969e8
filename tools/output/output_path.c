#include "output_path.h"

#include "../system/system.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

enum { ROOM_ASIDE = 16 /* for the temporary file's name, which may be longer */ };

/* The folder of a whole path, with its last '/'; returns the rest. */
static const char *folder_of(const char *path, char folder[DCNV4I_PATH_ROOM]) {
    const size_t length = (size_t)(strrchr(path, '/') - path) + 1;
    memcpy(folder, path, length);
    folder[length] = '\0';
    return path + length;
}

/* Checks an existing file: a regular file can be replaced, unless the shell has redirected stdout or stderr to it. */
static dcnv4i_exit check_present(const char *option, const char *path, const char *target,
                                 const dcnv4i_entry *present) {
    static const char *const streams[] = {"stdin", "stdout", "stderr"};
    dcnv4i_entry other;
    if (present->kind)
        return dcnv4i_verdict(DCNV4I_REFUSED, "%s: %s is %s; a regular file is needed", option, path, present->kind);
    for (int stream = STDOUT_FILENO; stream <= STDERR_FILENO; ++stream)
        if (dcnv4i_entry_of(stream, &other) && dcnv4i_entry_same(&other, present))
            return dcnv4i_verdict(DCNV4I_REFUSED, "%s: %s is the file that %s goes to; another one is needed", option,
                                  path, streams[stream]);
    /* From /proc, and deleted after it was opened. */
    if (!dcnv4i_entry_look(target, &other) || !dcnv4i_entry_same(&other, present))
        return dcnv4i_verdict(DCNV4I_REFUSED, "%s: %s is a file without a name; one with a name is needed", option,
                              path);
    return DCNV4I_DONE;
}

dcnv4i_exit dcnv4i_output_check(const char *option, const char *path) {
    char target[DCNV4I_PATH_ROOM], folder[DCNV4I_PATH_ROOM];
    dcnv4i_entry entry;
    if (strlen(path) >= DCNV4I_PATH_ROOM - ROOM_ASIDE)
        return dcnv4i_verdict(DCNV4I_REFUSED, "%s has %zu characters; at most %d are possible", option, strlen(path),
                              DCNV4I_PATH_ROOM - ROOM_ASIDE - 1);
    const bool present = dcnv4i_entry_look(path, &entry);
    if (!present && errno != ENOENT)
        return dcnv4i_verdict(DCNV4I_REFUSED, "%s: %s: %s", option, path, strerror(errno));
    const bool resolved = dcnv4i_path_resolve(path, target);
    const int why = errno;
    if (present && (resolved || entry.kind)) {
        const dcnv4i_exit verdict = check_present(option, path, target, &entry);
        if (verdict != DCNV4I_DONE)
            return verdict;
    }
    if (!resolved)
        return dcnv4i_verdict(DCNV4I_REFUSED, "%s: %s: %s%s", option, path,
                              why == ENOENT ? "the folder is missing: " : "", strerror(why));
    folder_of(target, folder);
    if (!dcnv4i_folder_is_writable(folder))
        return dcnv4i_verdict(DCNV4I_REFUSED, "%s: %s: the folder cannot be written to: %s", option, path,
                              strerror(errno));
    return DCNV4I_DONE;
}

bool dcnv4i_same_file(const char *one, const char *other) {
    dcnv4i_entry a, b;
    const bool has_a = dcnv4i_entry_look(one, &a), has_b = dcnv4i_entry_look(other, &b);
    if (has_a && has_b)
        return dcnv4i_entry_same(&a, &b);
    char target_a[DCNV4I_PATH_ROOM], target_b[DCNV4I_PATH_ROOM], folder_a[DCNV4I_PATH_ROOM], folder_b[DCNV4I_PATH_ROOM];
    if (has_a != has_b || !dcnv4i_path_resolve(one, target_a) || !dcnv4i_path_resolve(other, target_b))
        return false;
    const char *const name_a = folder_of(target_a, folder_a), *const name_b = folder_of(target_b, folder_b);
    return strcmp(name_a, name_b) == 0 && dcnv4i_entry_look(folder_a, &a) && dcnv4i_entry_look(folder_b, &b) &&
           dcnv4i_entry_same(&a, &b);
}
