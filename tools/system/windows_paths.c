#include "windows_wide.h"

#include <errno.h>
#include <fcntl.h>
#include <io.h>
#include <string.h>
#include <windows.h>

enum { SHARE_ALL = FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE };

static HANDLE open_as(const char *path, DWORD access, DWORD how, DWORD flags) {
    wchar_t wide[DCNV4I_WIDE_ROOM];
    if (!dcnv4i_wide_name(path, wide))
        return INVALID_HANDLE_VALUE;
    const HANDLE handle = CreateFileW(wide, access, SHARE_ALL, NULL, how, flags, NULL);
    if (handle == INVALID_HANDLE_VALUE)
        dcnv4i_windows_failed();
    return handle;
}

/* The descriptor of a handle, which it then owns; −1 for an invalid one. */
static int descriptor_of(HANDLE handle, int flags) {
    const int descriptor = handle == INVALID_HANDLE_VALUE ? -1 : _open_osfhandle((intptr_t)handle, flags);
    if (handle != INVALID_HANDLE_VALUE && descriptor < 0)
        CloseHandle(handle);
    return descriptor;
}

/* ---- What is there ----------------------------------------------------------------------------------------------- */

static bool look_at(HANDLE handle, dcnv4i_entry *entry) {
    BY_HANDLE_FILE_INFORMATION about;
    *entry = (dcnv4i_entry){.kind = NULL};
    const DWORD type = GetFileType(handle);
    if (type != FILE_TYPE_DISK) {
        /* No identity is that of a file. */
        *entry = (dcnv4i_entry){
            type == FILE_TYPE_PIPE ? "a FIFO or pipe" : "a device", {UINT64_MAX, (uintptr_t)handle}, 0};
        return true;
    }
    if (!GetFileInformationByHandle(handle, &about))
        return dcnv4i_windows_failed();
    *entry = (dcnv4i_entry){about.dwFileAttributes & FILE_ATTRIBUTE_DIRECTORY ? "a directory" : NULL,
                            {about.dwVolumeSerialNumber, about.nFileIndexHigh, about.nFileIndexLow},
                            (uint64_t)about.nFileSizeHigh << 32 | about.nFileSizeLow};
    return true;
}

bool dcnv4i_entry_look(const char *path, dcnv4i_entry *entry) {
    /* Folders open with this flag alone. */
    const HANDLE handle = open_as(path, FILE_READ_ATTRIBUTES, OPEN_EXISTING, FILE_FLAG_BACKUP_SEMANTICS);
    const bool seen = handle != INVALID_HANDLE_VALUE && look_at(handle, entry);
    if (handle != INVALID_HANDLE_VALUE)
        CloseHandle(handle);
    return seen;
}

bool dcnv4i_entry_of(int descriptor, dcnv4i_entry *entry) {
    const HANDLE handle = (HANDLE)_get_osfhandle(descriptor);
    return handle != INVALID_HANDLE_VALUE && (intptr_t)handle != -2 && look_at(handle, entry);
}

bool dcnv4i_entry_same(const dcnv4i_entry *one, const dcnv4i_entry *other) {
    return memcmp(one->identity, other->identity, sizeof one->identity) == 0;
}

FILE *dcnv4i_regular_open(const char *path, dcnv4i_entry *entry) {
    if (!dcnv4i_entry_look(path, entry)) {
        entry->kind = NULL;
        return NULL;
    }
    const int descriptor = entry->kind
                               ? -1
                               : descriptor_of(open_as(path, GENERIC_READ, OPEN_EXISTING, FILE_ATTRIBUTE_NORMAL),
                                               _O_RDONLY | _O_BINARY);
    FILE *const file = descriptor < 0 ? NULL : _fdopen(descriptor, "rb");
    if (descriptor >= 0 && !file)
        _close(descriptor);
    return file;
}

/* Permissions are too many to be read: a file is created that goes when it is closed. */
bool dcnv4i_folder_is_writable(const char *folder) {
    char path[DCNV4I_PATH_ROOM + 32];
    snprintf(path, sizeof path, "%s/.dcnv4-%08lx", folder, (unsigned long)GetCurrentProcessId());
    const HANDLE handle = open_as(path, GENERIC_WRITE | DELETE, CREATE_ALWAYS,
                                  FILE_ATTRIBUTE_TEMPORARY | FILE_FLAG_DELETE_ON_CLOSE);
    return handle != INVALID_HANDLE_VALUE && CloseHandle(handle);
}

void dcnv4i_folder_count(const char *folder, const char *ending, int64_t *files, int64_t *bytes) {
    char pattern[DCNV4I_PATH_ROOM + 32];
    wchar_t wide[DCNV4I_WIDE_ROOM];
    WIN32_FIND_DATAW found;
    *files = *bytes = 0;
    snprintf(pattern, sizeof pattern, "%s/*%s", folder, ending);
    const HANDLE all = dcnv4i_wide_name(pattern, wide) ? FindFirstFileW(wide, &found) : INVALID_HANDLE_VALUE;
    if (all == INVALID_HANDLE_VALUE)
        return;
    do {
        ++*files;
        *bytes += (int64_t)((uint64_t)found.nFileSizeHigh << 32 | found.nFileSizeLow);
    } while (FindNextFileW(all, &found));
    FindClose(all);
}

/* ---- Paths ------------------------------------------------------------------------------------------------------- */

/* Where a symbolic link leads; a folder's links may stay. The call writes the prefix, which the other calls write too. */
static bool follow(const char *path, wchar_t whole[DCNV4I_WIDE_ROOM]) {
    const HANDLE handle = open_as(path, FILE_READ_ATTRIBUTES, OPEN_EXISTING, FILE_FLAG_BACKUP_SEMANTICS);
    if (handle == INVALID_HANDLE_VALUE)
        return false;
    const DWORD length = GetFinalPathNameByHandleW(handle, whole, DCNV4I_PATH_ROOM, FILE_NAME_NORMALIZED);
    const bool done = length > 0 && length < DCNV4I_PATH_ROOM;
    if (!done)
        dcnv4i_windows_failed();
    CloseHandle(handle);
    if (done && whole[4] && whole[5] == L':') /* without the prefix, as the path of a file that is no link */
        wmemmove(whole, whole + 4, wcslen(whole + 4) + 1);
    return done;
}

bool dcnv4i_path_resolve(const char *path, char target[DCNV4I_PATH_ROOM]) {
    wchar_t whole[DCNV4I_WIDE_ROOM], wide[DCNV4I_WIDE_ROOM];
    if (!dcnv4i_wide_whole(path, whole) || !dcnv4i_wide_name(path, wide))
        return false;
    const DWORD attributes = GetFileAttributesW(wide);
    const bool present = attributes != INVALID_FILE_ATTRIBUTES;
    if (present && (attributes & FILE_ATTRIBUTE_REPARSE_POINT) && !follow(path, whole))
        return false;
    if ((present && (attributes & FILE_ATTRIBUTE_DIRECTORY)) || whole[wcslen(whole) - 1] == L'\\') {
        errno = EISDIR;
        return false;
    }
    if (!WideCharToMultiByte(CP_UTF8, WC_ERR_INVALID_CHARS, whole, -1, target, DCNV4I_PATH_ROOM, NULL, NULL))
        return dcnv4i_windows_failed();
    for (char *at = target; (at = strchr(at, '\\')); ++at)
        *at = '/';
    /* A missing folder is found out here, as by realpath elsewhere. */
    char *const name = strrchr(target, '/') + 1, first = *name;
    dcnv4i_entry folder;
    *name = '\0';
    const bool there = dcnv4i_entry_look(target, &folder);
    *name = first;
    return there;
}

/* ---- Files that replace others ----------------------------------------------------------------------------------- */

/* A new file takes its permissions from its folder. */
int dcnv4i_beside_create(const char *path, const char *like) {
    (void)like;
    return descriptor_of(open_as(path, GENERIC_READ | GENERIC_WRITE, CREATE_NEW, FILE_ATTRIBUTE_NORMAL),
                         _O_RDWR | _O_BINARY);
}

int dcnv4i_earlier_open(const char *path) {
    return descriptor_of(open_as(path, GENERIC_READ, OPEN_EXISTING, FILE_ATTRIBUTE_NORMAL), _O_RDONLY | _O_BINARY);
}

bool dcnv4i_descriptor_flush(int descriptor) {
    return _commit(descriptor) == 0;
}

bool dcnv4i_name_link(const char *path, const char *second) {
    wchar_t from[DCNV4I_WIDE_ROOM], to[DCNV4I_WIDE_ROOM];
    if (!dcnv4i_wide_name(path, from) || !dcnv4i_wide_name(second, to))
        return false;
    return CreateHardLinkW(to, from, NULL) || dcnv4i_windows_failed();
}

bool dcnv4i_name_replace(const char *from, const char *to) {
    wchar_t wide_from[DCNV4I_WIDE_ROOM], wide_to[DCNV4I_WIDE_ROOM];
    if (!dcnv4i_wide_name(from, wide_from) || !dcnv4i_wide_name(to, wide_to))
        return false;
    return MoveFileExW(wide_from, wide_to, MOVEFILE_REPLACE_EXISTING | MOVEFILE_WRITE_THROUGH) ||
           dcnv4i_windows_failed();
}

bool dcnv4i_name_remove(const char *path) {
    wchar_t wide[DCNV4I_WIDE_ROOM];
    return dcnv4i_wide_name(path, wide) && (DeleteFileW(wide) || dcnv4i_windows_failed());
}
