/* compile_kernel FOLDER/NUMBER: compiles NUMBER.text, which fake_compiler_windows.c wrote, into NUMBER.dll. Runs on the build
 * machine, by zig's compiler for Windows. */
#include "../../../fakes/fake_compiler.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static FILE *open_beside(const char *stem, const char *ending, const char *mode) {
    char path[512];
    snprintf(path, sizeof path, "%s.%s", stem, ending);
    return fopen(path, mode);
}

static void write_beside(const char *stem, const char *ending, const void *bytes, size_t size) {
    FILE *const file = open_beside(stem, ending, "wb");
    if (!file || fwrite(bytes, 1, size, file) != size || fclose(file) != 0)
        exit(2);
}

int main(int count, char **arguments) {
    static char architecture[32], text[4 << 20];
    const char *const stem = count > 1 ? arguments[1] : "";
    FILE *const file = open_beside(stem, "text", "rb");
    if (!file || !fgets(architecture, sizeof architecture, file))
        return 2;
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    architecture[strcspn(architecture, "\n")] = '\0';
    size_t size = 0;
    char *log = NULL;
    void *const library = fake_compile(text, architecture, &size, &log);
    if (log)
        write_beside(stem, "log", log, strlen(log));
    if (library)
        write_beside(stem, "dll", library, size);
    free(library);
    free(log);
    write_beside(stem, "done", "", 0);
    return 0;
}
