/* Windows cannot copy a process as fork() does, so the child is a program of its own, dcnv4-probe.exe. It lies beside
 * dcnv4.dll and loads it too; what is to be called has another address there, but the same place in the library. */
#include "../platform.h"
#include "windows_child.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>
#include <windows.h>

enum { LONGEST_PATH = 32768 }; /* characters */

int dcnv4i_call_after_fork(void (*in_child)(void)) {
    (void)in_child;
    return 0;
}

/* What two files must have in common for places in the one to be places in the other: when they were linked, or in its
 * place a hash, and their size. */
typedef struct build {
    DWORD time, size;
} build;

/* A call, in memory that is shared with the child. */
typedef struct call {
    build library;
    ptrdiff_t work, argument; /* from the library's beginning */
    int milliseconds;
    atomic_bool begun, done;
    wchar_t program_folder[LONGEST_PATH]; /* the parent's, where libraries are looked for too */
    max_align_t result[];
} call;

/* ---- This library ------------------------------------------------------------------------------------------------ */

/* The library's, or the program's that it is part of; a module's handle is where it begins. */
static HMODULE this_module(void) {
    HMODULE module = NULL;
    GetModuleHandleExW(GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS | GET_MODULE_HANDLE_EX_FLAG_UNCHANGED_REFCOUNT,
                       (const wchar_t *)(uintptr_t)&dcnv4i_call_after_fork, &module);
    return module;
}

static build build_of(HMODULE module) {
    const unsigned char *const begin = (const unsigned char *)module;
    const IMAGE_NT_HEADERS *const headers = (const void *)(begin + ((const IMAGE_DOS_HEADER *)begin)->e_lfanew);
    return (build){headers->FileHeader.TimeDateStamp, headers->OptionalHeader.SizeOfImage};
}

/* Writes the path of a module's folder, or "" if it is too long, and returns its end. */
static wchar_t *folder_of(HMODULE module, wchar_t path[LONGEST_PATH]) {
    const DWORD length = GetModuleFileNameW(module, path, LONGEST_PATH);
    wchar_t *end = length < LONGEST_PATH ? path + length : path;
    while (end > path && end[-1] != L'\\')
        --end;
    *end = L'\0';
    return end;
}

/* The path of the child's program, for free(); NULL if it is not there. */
static wchar_t *child_program(void) {
    static const wchar_t name[] = L"dcnv4-probe.exe";
    wchar_t *const path = malloc((LONGEST_PATH + sizeof name / sizeof *name) * sizeof *path);
    if (!path)
        return NULL;
    wchar_t *const end = folder_of(this_module(), path);
    wmemcpy(end, name, sizeof name / sizeof *name);
    if (end > path && GetFileAttributesW(path) != INVALID_FILE_ATTRIBUTES)
        return path;
    free(path);
    return NULL;
}

bool dcnv4i_has_children(void) {
    if (this_module() == GetModuleHandleW(NULL))
        return false; /* the library is part of the program, and none that the child loads */
    wchar_t *const program = child_program();
    free(program);
    return program != NULL;
}

/* ---- The child --------------------------------------------------------------------------------------------------- */

static DWORD WINAPI end_late(void *made) {
    Sleep((DWORD)((const call *)made)->milliseconds + 1000);
    TerminateProcess(GetCurrentProcess(), 1);
    return 0;
}

/* Does not outlive the parent's timeout, shows no window where a driver crashes, and runs no driver's code at its end. */
int dcnv4i_child_main(void) {
    const wchar_t *const number = wcsrchr(GetCommandLineW(), L' ');
    const HANDLE memory = (HANDLE)(uintptr_t)(number ? wcstoull(number, NULL, 16) : 0);
    call *const made = memory ? MapViewOfFile(memory, FILE_MAP_ALL_ACCESS, 0, 0, 0) : NULL;
    char *const begin = (char *)this_module();
    const build here = build_of(this_module());
    if (!made || memcmp(&made->library, &here, sizeof here) != 0)
        return 2;
    SetErrorMode(SEM_FAILCRITICALERRORS | SEM_NOGPFAULTERRORBOX | SEM_NOOPENFILEERRORBOX);
    const HANDLE clock = CreateThread(NULL, 0, end_late, made, 0, NULL);
    if (!clock)
        return 2;
    CloseHandle(clock);
    if (made->program_folder[0])
        AddDllDirectory(made->program_folder);
    void (*work)(void *argument, void *result);
    void *const address = begin + made->work;
    memcpy(&work, &address, sizeof work);
    atomic_store(&made->begun, true);
    work(begin + made->argument, made->result);
    atomic_store(&made->done, true);
    TerminateProcess(GetCurrentProcess(), 0);
    return 0;
}

/* ---- The parent -------------------------------------------------------------------------------------------------- */

/* Starts the program with these two handles and no others of the caller's: the memory, whose number is its argument, and
 * a file that is nothing, for what a driver prints. */
static HANDLE start_with(wchar_t *program, HANDLE memory, HANDLE nothing, LPPROC_THREAD_ATTRIBUTE_LIST attributes) {
    HANDLE handles[] = {memory, nothing};
    STARTUPINFOEXW how = {
        .StartupInfo = {.cb = sizeof how,
                        .dwFlags = STARTF_USESTDHANDLES,
                        .hStdInput = nothing,
                        .hStdOutput = nothing,
                        .hStdError = nothing},
        .lpAttributeList = attributes,
    };
    wchar_t line[48];
    PROCESS_INFORMATION started;
    swprintf(line, sizeof line / sizeof *line, L"dcnv4-probe %llx", (unsigned long long)(uintptr_t)memory);
    if (!UpdateProcThreadAttribute(attributes, 0, PROC_THREAD_ATTRIBUTE_HANDLE_LIST, handles, sizeof handles, NULL,
                                   NULL) ||
        !CreateProcessW(program, line, NULL, NULL, TRUE, CREATE_NO_WINDOW | EXTENDED_STARTUPINFO_PRESENT, NULL, NULL,
                        &how.StartupInfo, &started))
        return NULL;
    CloseHandle(started.hThread);
    return started.hProcess;
}

/* The child's process; NULL if there is none. */
static HANDLE start(HANDLE memory, SECURITY_ATTRIBUTES *inherited) {
    SIZE_T size = 0;
    InitializeProcThreadAttributeList(NULL, 1, 0, &size);
    wchar_t *const program = child_program();
    const LPPROC_THREAD_ATTRIBUTE_LIST attributes = malloc(size);
    const HANDLE nothing = CreateFileW(L"NUL", GENERIC_READ | GENERIC_WRITE, FILE_SHARE_READ | FILE_SHARE_WRITE,
                                       inherited, OPEN_EXISTING, 0, NULL);
    HANDLE process = NULL;
    if (program && attributes && nothing != INVALID_HANDLE_VALUE &&
        InitializeProcThreadAttributeList(attributes, 1, 0, &size)) {
        process = start_with(program, memory, nothing, attributes);
        DeleteProcThreadAttributeList(attributes);
    }
    const DWORD error = GetLastError();
    if (nothing != INVALID_HANDLE_VALUE)
        CloseHandle(nothing);
    free(attributes);
    free(program);
    SetLastError(error);
    return process;
}

/* Waits for the child to end, and ends it if it takes too long. */
static dcnv4i_child wait_for(HANDLE process, const call *made) {
    DWORD code = 0;
    if (WaitForSingleObject(process, (DWORD)made->milliseconds) != WAIT_OBJECT_0) {
        TerminateProcess(process, 1);
        WaitForSingleObject(process, 1000);
        return (dcnv4i_child){.end = DCNV4I_CHILD_SILENT};
    }
    GetExitCodeProcess(process, &code);
    if (!atomic_load(&made->begun)) /* another dcnv4.dll is there now, or none */
        return (dcnv4i_child){DCNV4I_CHILD_NONE, (int)code, "process"};
    if (code >= 0xc0000000u)
        return (dcnv4i_child){DCNV4I_CHILD_SIGNALLED, (int)code, "exception"};
    return (dcnv4i_child){.end = DCNV4I_CHILD_ENDED};
}

static dcnv4i_child run(HANDLE memory, SECURITY_ATTRIBUTES *inherited, const call *made) {
    const HANDLE process = start(memory, inherited);
    if (!process)
        return (dcnv4i_child){DCNV4I_CHILD_NONE, (int)GetLastError(), "process"};
    dcnv4i_child child = wait_for(process, made);
    CloseHandle(process);
    if (atomic_load(&made->done))
        child.end = DCNV4I_CHILD_DONE;
    return child;
}

dcnv4i_child dcnv4i_child_call(void (*work)(void *argument, void *result), void *argument, void *result, size_t size,
                               int milliseconds) {
    SECURITY_ATTRIBUTES inherited = {.nLength = sizeof inherited, .bInheritHandle = TRUE};
    const HANDLE memory = CreateFileMappingW(INVALID_HANDLE_VALUE, &inherited, PAGE_READWRITE, 0,
                                             (DWORD)(sizeof(call) + size), NULL);
    call *const made = memory ? MapViewOfFile(memory, FILE_MAP_ALL_ACCESS, 0, 0, 0) : NULL;
    dcnv4i_child child = {DCNV4I_CHILD_NONE, (int)GetLastError(), "memory"};
    if (made) {
        const uintptr_t begin = (uintptr_t)this_module();
        made->library = build_of(this_module());
        made->work = (ptrdiff_t)((uintptr_t)work - begin);
        made->argument = (ptrdiff_t)((uintptr_t)argument - begin);
        made->milliseconds = milliseconds;
        folder_of(NULL, made->program_folder);
        child = run(memory, &inherited, made);
        if (child.end == DCNV4I_CHILD_DONE)
            memcpy(result, made->result, size);
        UnmapViewOfFile(made);
    }
    if (memory)
        CloseHandle(memory);
    return child;
}
