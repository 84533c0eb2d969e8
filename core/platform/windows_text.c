#include "windows_text.h"

#include <stdlib.h>
#include <windows.h>

wchar_t *dcnv4i_wide(const char *text) {
    const int length = MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, text, -1, NULL, 0);
    wchar_t *const wide = length > 0 ? malloc((size_t)length * sizeof *wide) : NULL;
    if (wide)
        MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, text, -1, wide, length);
    return wide;
}

char *dcnv4i_narrow(const wchar_t *text) {
    const int length = WideCharToMultiByte(CP_UTF8, WC_ERR_INVALID_CHARS, text, -1, NULL, 0, NULL, NULL);
    char *const narrow = length > 0 ? malloc((size_t)length) : NULL;
    if (narrow)
        WideCharToMultiByte(CP_UTF8, WC_ERR_INVALID_CHARS, text, -1, narrow, length, NULL, NULL);
    return narrow;
}

wchar_t *dcnv4i_wide_variable(const wchar_t *name) {
    const DWORD room = GetEnvironmentVariableW(name, NULL, 0);
    wchar_t *const value = room > 1 ? malloc(room * sizeof *value) : NULL;
    if (value) {
        const DWORD length = GetEnvironmentVariableW(name, value, room);
        if (length > 0 && length < room)
            return value;
    }
    free(value); /* it has been changed meanwhile */
    return NULL;
}

/* Allocates room for an absolute path and puts it `before` characters from the beginning. */
static wchar_t *absolute(const wchar_t *path, size_t before) {
    const DWORD room = GetFullPathNameW(path, 0, NULL, NULL);
    wchar_t *const whole = room > 0 ? malloc((before + room) * sizeof *whole) : NULL;
    if (whole) {
        const DWORD length = GetFullPathNameW(path, room, whole + before, NULL);
        if (length > 0 && length < room)
            return whole;
    }
    free(whole);
    return NULL;
}

static wchar_t *absolute_of(const char *path, size_t before) {
    wchar_t *const wide = dcnv4i_wide(path), *const whole = wide ? absolute(wide, before) : NULL;
    free(wide);
    return whole;
}

wchar_t *dcnv4i_wide_absolute(const char *path) {
    return absolute_of(path, 0);
}

/* A path that begins with \\?\ may be long, and names on servers begin with \\?\UNC\ then. */
wchar_t *dcnv4i_wide_path(const char *path) {
    static const wchar_t local[] = L"\\\\?\\", server[] = L"\\\\?\\UNC\\";
    enum { LOCAL = 4, SERVER = 8 };
    wchar_t *const whole = absolute_of(path, SERVER);
    if (!whole)
        return NULL;
    wchar_t *begin = whole + SERVER;
    if (begin[0] != L'\\' || begin[1] != L'\\') {
        begin -= LOCAL;
        wmemcpy(begin, local, LOCAL);
    } else if (begin[2] != L'?' && begin[2] != L'.') {
        begin -= SERVER - 2; /* in place of its own two backslashes */
        wmemcpy(begin, server, SERVER);
    }
    wmemmove(whole, begin, wcslen(begin) + 1);
    return whole;
}
