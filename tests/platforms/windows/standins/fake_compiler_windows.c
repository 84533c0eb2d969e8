/* Under wine there is no compiler: texts are handed over in the folder $FAKE_COMPILER_FOLDER, and test_command.py has them
 * compiled by compile_kernel.c, outside of wine. NUMBER.text has the architecture in its first line; NUMBER.dll and NUMBER.log
 * are there before NUMBER.done. */
#include "../../../fakes/fake_compiler.h"

#include <stdio.h>
#include <stdlib.h>
#include <windows.h>

enum { MOST_WAITS = 6000, WAIT_MS = 20 };

static char *read_all(const char *path, size_t *size) {
    FILE *const file = fopen(path, "rb");
    char *bytes = NULL;
    if (file && fseek(file, 0, SEEK_END) == 0 && (bytes = calloc(1, (size_t)ftell(file) + 1))) {
        *size = (size_t)ftell(file);
        rewind(file);
        *size = fread(bytes, 1, *size, file);
    }
    if (file)
        fclose(file);
    return bytes;
}

void *fake_compile(const char *text, const char *architecture, size_t *size, char **log) {
    static LONG texts;
    const char *const folder = getenv("FAKE_COMPILER_FOLDER");
    char path[300], written[300];
    size_t log_size;
    *log = NULL;
    if (!folder)
        return NULL;
    const long number = InterlockedIncrement(&texts);
    snprintf(written, sizeof written, "%s/%ld.part", folder, number);
    FILE *const file = fopen(written, "wb");
    if (!file)
        return NULL;
    fprintf(file, "%s\n%s", architecture, text);
    fclose(file);
    snprintf(path, sizeof path, "%s/%ld.text", folder, number);
    MoveFileA(written, path);
    snprintf(path, sizeof path, "%s/%ld.done", folder, number);
    for (int i = 0; i < MOST_WAITS && GetFileAttributesA(path) == INVALID_FILE_ATTRIBUTES; ++i)
        Sleep(WAIT_MS);
    snprintf(path, sizeof path, "%s/%ld.log", folder, number);
    *log = read_all(path, &log_size);
    snprintf(path, sizeof path, "%s/%ld.dll", folder, number);
    return read_all(path, size);
}
