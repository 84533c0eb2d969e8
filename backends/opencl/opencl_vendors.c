/* The .icd files, each of which names a driver's library. The loader skips those that it cannot load, and does not say
 * so. */
#include "opencl_devices.h"
#include "../gpu/runtime/file.h"
#include "../gpu/runtime/library.h"

#include <dirent.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The first line of a file; false if it cannot be read or is empty. */
static bool read_line(const char *path, char *line, size_t room) {
    struct stat about;
    const int file = dcnv4i_file_open(path);
    const bool known = file >= 0 && fstat(file, &about) == 0 && about.st_size > 0;
    const size_t length = known && (size_t)about.st_size < room ? (size_t)about.st_size : room - 1;
    const bool read = known && dcnv4i_file_read(file, line, length);
    if (file >= 0)
        close(file);
    line[read ? length : 0] = '\0';
    line[strcspn(line, "\r\n")] = '\0';
    return *line;
}

/* Says what is wrong with an .icd file; false if its library loads. */
static bool complain(const char *path, char *text, size_t room) {
    char library[1024];
    if (!read_line(path, library, sizeof library)) {
        snprintf(text, room, "; %.80s names no library", path);
        return true;
    }
    if (dlopen(library, RTLD_LAZY | RTLD_LOCAL)) /* stays loaded, as the loader leaves it */
        return false;
    const char *const reason = dcnv4i_library_reason();
    if (strchr(library, '/') && access(library, F_OK) != 0)
        snprintf(text, room, "; %.80s names %.100s, which is not there", path, library);
    else
        snprintf(text, room, "; %.60s names a driver that does not load: %.130s", path, reason);
    return true;
}

static bool is_icd(const char *name) {
    const size_t length = strlen(name);
    return length > 4 && strcmp(name + length - 4, ".icd") == 0;
}

void dcnv4i_opencl_vendors_complain(char *text, size_t room) {
    const char *const asked = getenv("OCL_ICD_VENDORS"), *const place = asked && *asked ? asked : "/etc/OpenCL/vendors";
    char path[1024];
    text[0] = '\0';
    if (is_icd(place)) {
        complain(place, text, room);
        return;
    }
    DIR *const folder = opendir(place);
    bool said = false, any = false;
    for (const struct dirent *each; folder && !said && (each = readdir(folder));)
        if (is_icd(each->d_name)) {
            const int length = snprintf(path, sizeof path, "%s/%s", place, each->d_name);
            said = length > 0 && (size_t)length < sizeof path && complain(path, text, room);
            any = true;
        }
    if (asked && *asked && !any)
        snprintf(text, room, "; OCL_ICD_VENDORS is %.140s, %s", place,
                 folder ? "in which there is no .icd file" : "which is neither a folder nor an .icd file");
    if (folder)
        closedir(folder);
}
