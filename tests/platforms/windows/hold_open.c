/* hold_open FILE: keeps a file open, from when it prints a line until its input ends. Windows replaces no such file. */
#include <stdio.h>
#include <windows.h>

int main(int count, char **arguments) {
    const HANDLE file = CreateFileA(arguments[count - 1], GENERIC_READ, FILE_SHARE_READ, NULL, OPEN_EXISTING, 0, NULL);
    if (file == INVALID_HANDLE_VALUE)
        return 1;
    puts("open");
    fflush(stdout);
    while (getchar() != EOF) {
    }
    return !CloseHandle(file);
}
