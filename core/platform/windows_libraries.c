/* Libraries are loaded from the system's folder, the program's and those of PATH, in this order, and from the current
 * folder never: LoadLibrary's own order would let a file beside a user's data run as a driver. */
#include "../platform.h"
#include "windows_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <windows.h>

/* The names of a library here, NULL at the end; the newest first. */
static const struct {
    const char *name;
    const wchar_t *here[6];
} own_names[] = {
    {"libOpenCL.so.1", {L"OpenCL.dll"}},
    {"libcuda.so.1", {L"nvcuda.dll"}},
    {"libnvrtc.so.13", {L"nvrtc64_130_0.dll"}},
    {"libnvrtc.so.12", {L"nvrtc64_120_0.dll"}},
    {"libnvrtc.so.11.2", {L"nvrtc64_112_0.dll"}},
    {"libamdhip64.so.7", {L"amdhip64_7.dll"}},
    {"libamdhip64.so.6", {L"amdhip64_6.dll"}},
    {"libamdhip64.so.5", {L"amdhip64.dll"}},
    {"libhiprtc.so.7", {L"hiprtc0702.dll", L"hiprtc0701.dll", L"hiprtc0700.dll"}},
    {"libhiprtc.so.6", {L"hiprtc0604.dll", L"hiprtc0603.dll", L"hiprtc0602.dll", L"hiprtc0601.dll", L"hiprtc0600.dll"}},
    {"libhiprtc.so.5", {L"hiprtc0507.dll", L"hiprtc0506.dll", L"hiprtc0505.dll"}},
};

static const wchar_t *const *names_here(const char *name) {
    static const wchar_t *const none[] = {NULL};
    for (size_t i = 0; i < sizeof own_names / sizeof *own_names; ++i)
        if (strcmp(own_names[i].name, name) == 0)
            return own_names[i].here;
    return none;
}

/* The failure of this thread's latest dcnv4i_shared_open. */
static _Thread_local const wchar_t *missing;
static _Thread_local DWORD missing_error;
static _Thread_local char reason[256];

static HMODULE load(const wchar_t *path, DWORD folders) {
    const HMODULE library = LoadLibraryExW(path, NULL, folders);
    const DWORD error = library ? 0 : GetLastError();
    /* The first error that is not about a missing file says most. */
    if (error && (missing_error == 0 || missing_error == ERROR_MOD_NOT_FOUND))
        missing_error = error;
    return library;
}

/* Whether a folder's name is absolute: C:\… or \\server\…. */
static bool is_absolute(const wchar_t *folder, size_t length) {
    return (length > 2 && folder[1] == L':' && (folder[2] == L'\\' || folder[2] == L'/')) ||
           (length > 2 && folder[0] == L'\\' && folder[1] == L'\\');
}

/* Tries the absolute folders of PATH, where CUDA's installer and AMD's put their compilers. */
static HMODULE load_from_path(const wchar_t *name) {
    wchar_t *const folders = dcnv4i_wide_variable(L"PATH");
    HMODULE library = NULL;
    for (const wchar_t *folder = folders; folder && *folder && !library;) {
        const size_t length = wcscspn(folder, L";"), room = length + wcslen(name) + 2;
        wchar_t *const path = is_absolute(folder, length) ? malloc(room * sizeof *path) : NULL;
        if (path) {
            wmemcpy(path, folder, length);
            path[length] = L'\\';
            wmemcpy(path + length + 1, name, wcslen(name) + 1);
            if (GetFileAttributesW(path) != INVALID_FILE_ATTRIBUTES)
                library = load(path, LOAD_LIBRARY_SEARCH_DLL_LOAD_DIR | LOAD_LIBRARY_SEARCH_DEFAULT_DIRS);
        }
        free(path);
        folder += length + (folder[length] == L';');
    }
    free(folders);
    return library;
}

void *dcnv4i_shared_open(const char *name) {
    const wchar_t *const *names = names_here(name);
    HMODULE library = NULL;
    DWORD mode = 0;
    missing = NULL;
    missing_error = 0;
    /* No window that says that a library lacks another. */
    const BOOL quiet = SetThreadErrorMode(SEM_FAILCRITICALERRORS | SEM_NOOPENFILEERRORBOX, &mode);
    for (; *names && !library; ++names) {
        library = load(*names, LOAD_LIBRARY_SEARCH_SYSTEM32);
        if (!library)
            library = load(*names, LOAD_LIBRARY_SEARCH_DEFAULT_DIRS);
        if (!library)
            library = load_from_path(*names);
        missing = *names;
    }
    if (quiet)
        SetThreadErrorMode(mode, NULL);
    return library;
}

void *dcnv4i_shared_loaded(const char *name) {
    HMODULE library = NULL;
    for (const wchar_t *const *names = names_here(name); *names && !library; ++names)
        if (!GetModuleHandleExW(0, *names, &library))
            library = NULL;
    return library;
}

/* The compilers' installers put their folder into PATH, where each of their libraries finds the others. */
void dcnv4i_shared_load_beside(const void *function, const char *name) {
    (void)function;
    (void)name;
}

void dcnv4i_shared_close(void *library) {
    FreeLibrary(library);
}

void *dcnv4i_shared_function(void *library, const char *name) {
    const FARPROC found = GetProcAddress(library, name);
    void *address;
    _Static_assert(sizeof found == sizeof address, "an address is copied");
    memcpy(&address, &found, sizeof found);
    return address;
}

/* Windows's own sentence may be in another language; programmers look for the number. */
const char *dcnv4i_shared_reason(void) {
    if (!missing)
        return "it does not exist for Windows";
    snprintf(reason, sizeof reason, "%ls: %s%lu", missing,
             missing_error == ERROR_MOD_NOT_FOUND ? "not found, error " : "error ", (unsigned long)missing_error);
    return reason;
}
