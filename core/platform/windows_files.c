#include "../platform.h"
#include "windows_text.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <windows.h>

/* ---- Files ------------------------------------------------------------------------------------------------------- */

/* INVALID_HANDLE_VALUE is −1, as platform.h has it. Handles are not inherited by the caller's child processes. */
static dcnv4i_file open_as(const char *path, DWORD access, DWORD share, DWORD how) {
    wchar_t *const wide = dcnv4i_wide_path(path);
    const HANDLE file = wide ? CreateFileW(wide, access, share, NULL, how, FILE_ATTRIBUTE_NORMAL, NULL)
                             : INVALID_HANDLE_VALUE;
    free(wide);
    return (dcnv4i_file)file;
}

dcnv4i_file dcnv4i_file_open(const char *path) {
    return open_as(path, GENERIC_READ, FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE, OPEN_EXISTING);
}

/* Six letters that differ between processes, and between calls of one. */
static void put_suffix(char *to, uint64_t attempt) {
    static const char letters[] = "0123456789abcdefghijklmnopqrstuvwxyz";
    LARGE_INTEGER ticks;
    QueryPerformanceCounter(&ticks);
    uint64_t mixed = ((uint64_t)ticks.QuadPart + attempt) * UINT64_C(0x9e3779b97f4a7c15) ^
                     (uint64_t)GetCurrentProcessId() << 32;
    mixed = (mixed ^ mixed >> 29) * UINT64_C(0xbf58476d1ce4e5b9);
    for (int i = 0; i < 6; ++i, mixed /= 36)
        to[i] = letters[mixed % 36];
}

dcnv4i_file dcnv4i_file_create(char *path) {
    enum { ATTEMPTS = 100 };
    static atomic_uint_fast64_t count;
    char *const suffix = path + strlen(path) - 6;
    for (int i = 0; i < ATTEMPTS; ++i) {
        put_suffix(suffix, atomic_fetch_add(&count, 1));
        const dcnv4i_file file = open_as(path, GENERIC_WRITE | DELETE, FILE_SHARE_DELETE, CREATE_NEW);
        if (file != -1 || GetLastError() != ERROR_FILE_EXISTS)
            return file;
    }
    return -1;
}

bool dcnv4i_file_read(dcnv4i_file file, void *bytes, size_t length) {
    for (char *at = bytes; length > 0;) {
        DWORD got = 0;
        if (!ReadFile((HANDLE)file, at, length < 1 << 30 ? (DWORD)length : 1 << 30, &got, NULL) || got == 0)
            return false;
        at += got, length -= got;
    }
    return true;
}

bool dcnv4i_file_write(dcnv4i_file file, const void *bytes, size_t length) {
    for (const char *at = bytes; length > 0;) {
        DWORD put = 0;
        if (!WriteFile((HANDLE)file, at, length < 1 << 30 ? (DWORD)length : 1 << 30, &put, NULL) || put == 0)
            return false;
        at += put, length -= put;
    }
    return true;
}

bool dcnv4i_file_close(dcnv4i_file file) {
    return CloseHandle((HANDLE)file);
}

/* Who can have written it is decided by the folder's permissions, which the user's own folders inherit. */
int64_t dcnv4i_file_length(dcnv4i_file file) {
    LARGE_INTEGER length;
    return GetFileType((HANDLE)file) == FILE_TYPE_DISK && GetFileSizeEx((HANDLE)file, &length) ? length.QuadPart : -1;
}

bool dcnv4i_file_replace(const char *from, const char *to) {
    wchar_t *const wide_from = dcnv4i_wide_path(from), *const wide_to = dcnv4i_wide_path(to);
    const bool replaced = wide_from && wide_to && MoveFileExW(wide_from, wide_to, MOVEFILE_REPLACE_EXISTING);
    free(wide_from);
    free(wide_to);
    return replaced;
}

void dcnv4i_file_remove(const char *path) {
    wchar_t *const wide = dcnv4i_wide_path(path);
    if (wide)
        DeleteFileW(wide);
    free(wide);
}

/* ---- Folders ----------------------------------------------------------------------------------------------------- */

char *dcnv4i_path_variable(const char *name) {
    wchar_t *const wide = dcnv4i_wide(name), *const value = wide ? dcnv4i_wide_variable(wide) : NULL;
    char *const path = value ? dcnv4i_narrow(value) : NULL;
    free(wide);
    free(value);
    return path;
}

char *dcnv4i_cache_home(void) {
    return dcnv4i_path_variable("LOCALAPPDATA");
}

static void make_one(const char *path) {
    wchar_t *const wide = dcnv4i_wide_path(path);
    if (wide)
        CreateDirectoryW(wide, NULL);
    free(wide);
}

void dcnv4i_folder_make(char *path) {
    for (char *slash = path; (slash = strpbrk(slash, "/\\")); ++slash) {
        const char was = *slash;
        *slash = '\0';
        if (slash > path)
            make_one(path);
        *slash = was;
    }
    make_one(path);
}

char *dcnv4i_folder_find(const char *path) {
    wchar_t *const wide = dcnv4i_wide_path(path), *const shown = dcnv4i_wide_absolute(path);
    const DWORD found = wide ? GetFileAttributesW(wide) : INVALID_FILE_ATTRIBUTES;
    const bool is_folder = found != INVALID_FILE_ATTRIBUTES && (found & FILE_ATTRIBUTE_DIRECTORY);
    char *const whole = is_folder && shown ? dcnv4i_narrow(shown) : NULL;
    free(shown);
    free(wide);
    return whole;
}

/* In units of 100 ns. */
static int64_t ticks_of(FILETIME time) {
    return (int64_t)((uint64_t)time.dwHighDateTime << 32 | time.dwLowDateTime);
}

static bool is_old(const WIN32_FIND_DATAW *found, FILETIME now, int seconds) {
    const int64_t age = (ticks_of(now) - ticks_of(found->ftLastWriteTime)) / 10000000;
    return !(found->dwFileAttributes & (FILE_ATTRIBUTE_DIRECTORY | FILE_ATTRIBUTE_REPARSE_POINT)) &&
           (age > seconds || age < -seconds);
}

static void remove_in(const char *folder, const char *name) {
    const size_t room = strlen(folder) + strlen(name) + 2;
    char *const path = malloc(room);
    if (path) {
        snprintf(path, room, "%s\\%s", folder, name);
        dcnv4i_file_remove(path);
    }
    free(path);
}

void dcnv4i_folder_sweep(const char *path, bool (*chosen)(const char *name), int seconds) {
    enum { MOST_NAMES = 10000 };
    const size_t room = strlen(path) + 3;
    char *const pattern = malloc(room);
    if (pattern)
        snprintf(pattern, room, "%s\\*", path);
    wchar_t *const wide = pattern ? dcnv4i_wide_path(pattern) : NULL;
    FILETIME now;
    WIN32_FIND_DATAW found;
    GetSystemTimeAsFileTime(&now);
    const HANDLE all = wide ? FindFirstFileW(wide, &found) : INVALID_HANDLE_VALUE;
    if (all != INVALID_HANDLE_VALUE) {
        int i = 0;
        do {
            char *const name = dcnv4i_narrow(found.cFileName);
            if (name && chosen(name) && is_old(&found, now, seconds))
                remove_in(path, name);
            free(name);
        } while (++i < MOST_NAMES && FindNextFileW(all, &found));
        FindClose(all);
    }
    free(wide);
    free(pattern);
}
