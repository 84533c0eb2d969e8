/* A library in the current folder, under the name of one that is looked for. If it is ever loaded it leaves a file there. */
#include <windows.h>

BOOL WINAPI DllMain(HINSTANCE library, DWORD why, LPVOID reserved) {
    (void)library, (void)why, (void)reserved;
    CloseHandle(CreateFileW(L"planted.txt", GENERIC_WRITE, 0, NULL, CREATE_ALWAYS, 0, NULL));
    return TRUE;
}
