#include "windows_wide.h"

#include <errno.h>
#include <windows.h>

bool dcnv4i_windows_failed(void) {
    static const struct {
        DWORD error;
        int number;
    } known[] = {
        {ERROR_FILE_NOT_FOUND, ENOENT},
        {ERROR_PATH_NOT_FOUND, ENOENT},
        {ERROR_INVALID_NAME, ENOENT},
        {ERROR_BAD_NETPATH, ENOENT},
        {ERROR_INVALID_DRIVE, ENOENT},
        {ERROR_NO_UNICODE_TRANSLATION, EILSEQ},
        {ERROR_FILE_EXISTS, EEXIST},
        {ERROR_ALREADY_EXISTS, EEXIST},
        {ERROR_ACCESS_DENIED, EACCES},
        {ERROR_SHARING_VIOLATION, EACCES},
        {ERROR_LOCK_VIOLATION, EACCES},
        {ERROR_WRITE_PROTECT, EROFS},
        {ERROR_DIRECTORY, ENOTDIR},
        {ERROR_FILENAME_EXCED_RANGE, ENAMETOOLONG},
        {ERROR_INSUFFICIENT_BUFFER, ENAMETOOLONG},
        {ERROR_DISK_FULL, ENOSPC},
        {ERROR_HANDLE_DISK_FULL, ENOSPC},
        {ERROR_NOT_ENOUGH_MEMORY, ENOMEM},
        {ERROR_OUTOFMEMORY, ENOMEM},
        {ERROR_TOO_MANY_OPEN_FILES, EMFILE},
        {ERROR_NOT_SAME_DEVICE, EXDEV},
        {ERROR_INVALID_FUNCTION, ENOSYS},
        {ERROR_NOT_SUPPORTED, ENOSYS},
    };
    const DWORD error = GetLastError();
    errno = EIO;
    for (size_t i = 0; i < sizeof known / sizeof *known; ++i)
        if (known[i].error == error)
            errno = known[i].number;
    return false;
}

static bool too_long(void) {
    errno = ENAMETOOLONG;
    return false;
}

bool dcnv4i_wide_whole(const char *path, wchar_t whole[DCNV4I_WIDE_ROOM]) {
    wchar_t wide[DCNV4I_WIDE_ROOM];
    if (!MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, path, -1, wide, DCNV4I_WIDE_ROOM))
        return dcnv4i_windows_failed();
    if (!*wide) {
        errno = ENOENT;
        return false;
    }
    const DWORD length = GetFullPathNameW(wide, DCNV4I_PATH_ROOM, whole, NULL);
    return length == 0 ? dcnv4i_windows_failed() : length < DCNV4I_PATH_ROOM || too_long();
}

/* The prefix is \\?\, and \\?\UNC\ for names on servers, in place of their two backslashes; devices, \\.\, take none. */
bool dcnv4i_wide_name(const char *path, wchar_t wide[DCNV4I_WIDE_ROOM]) {
    wchar_t whole[DCNV4I_WIDE_ROOM];
    if (!dcnv4i_wide_whole(path, whole))
        return false;
    const bool special = wcsncmp(whole, L"\\\\.\\", 4) == 0 || wcsncmp(whole, L"\\\\?\\", 4) == 0;
    const bool server = !special && wcsncmp(whole, L"\\\\", 2) == 0;
    wcscpy(wide, special ? L"" : server ? L"\\\\?\\UNC\\" : L"\\\\?\\");
    wcscat(wide, whole + (server ? 2 : 0));
    return true;
}
