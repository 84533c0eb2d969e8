#include "windows_wide.h"

#include <fcntl.h>
#include <io.h>
#include <locale.h>
#include <stdlib.h>
#include <windows.h>

#include <shellapi.h>

static UINT console_page; /* the console's characters before the program */

static void restore_console(void) {
    SetConsoleOutputCP(console_page);
}

/* Consoles show UTF-8, and obey the sequences with which progress is shown, once they are told. */
static void prepare_console(void) {
    const DWORD streams[] = {STD_OUTPUT_HANDLE, STD_ERROR_HANDLE};
    for (int i = 0; i < 2; ++i) {
        const HANDLE stream = GetStdHandle(streams[i]);
        DWORD mode;
        if (!GetConsoleMode(stream, &mode))
            continue;
        SetConsoleMode(stream, mode | ENABLE_VIRTUAL_TERMINAL_PROCESSING);
        if (!console_page) {
            console_page = GetConsoleOutputCP();
            SetConsoleOutputCP(CP_UTF8);
            atexit(restore_console);
        }
    }
}

/* What the C library gets wrong is returned as an error, as elsewhere, and does not end the program. */
static void ignore(const wchar_t *expression, const wchar_t *function, const wchar_t *file, unsigned line,
                   uintptr_t reserved) {
    (void)expression, (void)function, (void)file, (void)line, (void)reserved;
}

/* The arguments as they were typed: main's are in the system's own encoding, and have had * replaced by files' names. */
static void take_arguments(int *count, char ***arguments) {
    int wide_count = 0;
    wchar_t **const wide = CommandLineToArgvW(GetCommandLineW(), &wide_count);
    char **const narrow = wide ? calloc((size_t)wide_count + 1, sizeof *narrow) : NULL;
    for (int i = 0; narrow && i < wide_count; ++i) {
        const int room = WideCharToMultiByte(CP_UTF8, 0, wide[i], -1, NULL, 0, NULL, NULL);
        narrow[i] = malloc((size_t)room + 1);
        if (!narrow[i])
            return; /* main's arguments stay */
        WideCharToMultiByte(CP_UTF8, 0, wide[i], -1, narrow[i], room, NULL, NULL);
    }
    LocalFree(wide);
    if (narrow)
        *count = wide_count, *arguments = narrow;
}

void dcnv4i_program_begin(int *count, char ***arguments) {
    /* No window asks what to do about a driver that crashes or lacks a library: the program ends with an error. */
    SetErrorMode(SEM_FAILCRITICALERRORS | SEM_NOGPFAULTERRORBOX | SEM_NOOPENFILEERRORBOX);
    _set_invalid_parameter_handler(ignore);
    for (int stream = 0; stream < 3; ++stream)
        _setmode(stream, _O_BINARY);
    _configthreadlocale(_ENABLE_PER_THREAD_LOCALE);
    setlocale(LC_ALL, "C");
    prepare_console();
    take_arguments(count, arguments);
}

bool dcnv4i_variable_set(const char *name, const char *value) {
    wchar_t wide_name[DCNV4I_WIDE_ROOM], wide_value[DCNV4I_WIDE_ROOM];
    return MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, name, -1, wide_name, DCNV4I_WIDE_ROOM) &&
           MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, value ? value : "", -1, wide_value, DCNV4I_WIDE_ROOM) &&
           _wputenv_s(wide_name, wide_value) == 0;
}

void dcnv4i_machine_look(dcnv4i_machine *machine) {
    SYSTEM_INFO system;
    GetNativeSystemInfo(&system);
    snprintf(machine->system, sizeof machine->system, "Windows");
    snprintf(machine->architecture, sizeof machine->architecture, "%s",
             system.wProcessorArchitecture == PROCESSOR_ARCHITECTURE_AMD64   ? "x86_64"
             : system.wProcessorArchitecture == PROCESSOR_ARCHITECTURE_ARM64 ? "aarch64"
                                                                             : "unknown");
    machine->processors = (long)GetActiveProcessorCount(ALL_PROCESSOR_GROUPS);
    DWORD room = sizeof machine->processor;
    if (RegGetValueA(HKEY_LOCAL_MACHINE, "HARDWARE\\DESCRIPTION\\System\\CentralProcessor\\0", "ProcessorNameString",
                     RRF_RT_REG_SZ, NULL, machine->processor, &room) != ERROR_SUCCESS)
        snprintf(machine->processor, sizeof machine->processor, "%s", machine->architecture);
}
