/* core/platform/ on Windows: threads through the cpu backend's pool, files whose names are not ASCII, and where
 * libraries are loaded from.  test_platform reference FOLDER: FOLDER has an nvcuda.dll. */
#include "../../../backends/cpu/pool.h"
#include "../../../backends/gpu/runtime/cache.h"
#include "../../../core/platform.h"
#include "../../support/harness.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <windows.h>

enum { THREADS = 7, TASKS = 1000, TURNS = 200 };

static const char *library_folder;

static void count_task(void *counts, int64_t task, int worker) {
    (void)worker;
    atomic_fetch_add((atomic_int *)counts + task, 1);
}

static void every_task_is_done_once(void **state) {
    static atomic_int counts[TASKS];
    (void)state;
    dcnv4i_pool *pool = NULL;
    ASSERT_SUCCESS(dcnv4i_pool_create(THREADS, &pool));
    for (int turn = 1; turn <= TURNS; ++turn) {
        dcnv4i_pool_run(pool, count_task, counts, TASKS, THREADS);
        for (int i = 0; i < TASKS; ++i)
            assert_int_equal(atomic_load(&counts[i]), turn);
    }
    dcnv4i_pool_destroy(pool);
    assert_true(dcnv4i_processors() >= 1);
    count_case();
}

static void memory_is_aligned(void **state) {
    (void)state;
    for (size_t size = 1; size < 100000; size = size * 3 + 1) {
        void *const memory = dcnv4i_aligned_allocate(64, size);
        assert_non_null(memory);
        assert_int_equal((uintptr_t)memory % 64, 0);
        memset(memory, 1, size);
        dcnv4i_aligned_free(memory);
    }
    assert_null(dcnv4i_aligned_allocate(64, SIZE_MAX / 2));
    count_case();
}

/* ---- The cache --------------------------------------------------------------------------------------------------- */

/* Two folders deep, in Chinese and with an emoji, below the folder for temporary files. */
static void choose_cache(void) {
    wchar_t path[MAX_PATH + 64];
    const DWORD length = GetTempPathW(MAX_PATH, path);
    assert_true(length > 0 && length < MAX_PATH);
    wcscat(path, L"dcnv4 \u7f13\u5b58/\U0001f42c");
    assert_true(SetEnvironmentVariableW(L"DCNV4_CACHE_DIR", path));
}

static void assert_reads(const char *folder, const char *key, const char *expected) {
    size_t size = 0;
    char *const bytes = dcnv4i_cache_read(folder, DCNV4I_CACHE_KERNEL, key, &size);
    if (!expected) {
        assert_null(bytes);
        return;
    }
    assert_non_null(bytes);
    assert_int_equal(size, strlen(expected));
    assert_memory_equal(bytes, expected, size);
    free(bytes);
}

static void write_entry(const char *folder, const char *key, const char *text) {
    dcnv4i_cache_write(folder, DCNV4I_CACHE_KERNEL, key, text, strlen(text));
}

static void entries_have_any_path(void **state) {
    (void)state;
    choose_cache();
    char *const folder = dcnv4i_cache_folder();
    assert_non_null(folder);
    assert_non_null(strstr(folder, "dcnv4 \xe7\xbc\x93\xe5\xad\x98\\\xf0\x9f\x90\xac"));
    dcnv4i_cache_remove(folder, DCNV4I_CACHE_KERNEL, "key");
    assert_reads(folder, "key", NULL);
    write_entry(folder, "key", "one");
    assert_reads(folder, "key", "one");
    write_entry(folder, "key", "another");
    assert_reads(folder, "key", "another");
    dcnv4i_cache_remove(folder, DCNV4I_CACHE_KERNEL, "key");
    assert_reads(folder, "key", NULL);
    free(folder);
    count_case();
}

/* Folders of 100 characters, four deep, which Windows allows only with a prefix that users do not write. */
static void entries_have_long_paths(void **state) {
    (void)state;
    wchar_t path[MAX_PATH + 512];
    const DWORD length = GetTempPathW(MAX_PATH, path);
    assert_true(length > 0 && length < MAX_PATH);
    for (wchar_t *at = path + length; at < path + length + 404; at += 101) {
        for (int i = 0; i < 100; ++i)
            at[i] = L'l';
        wcscpy(at + 100, L"/");
    }
    assert_true(SetEnvironmentVariableW(L"DCNV4_CACHE_DIR", path));
    char *const folder = dcnv4i_cache_folder();
    assert_non_null(folder);
    assert_true(strlen(folder) > 400 && folder[1] == ':');
    write_entry(folder, "key", "long");
    assert_reads(folder, "key", "long");
    dcnv4i_cache_remove(folder, DCNV4I_CACHE_KERNEL, "key");
    assert_reads(folder, "key", NULL);
    free(folder);
    count_case();
}

/* The number of files in a folder. */
static int files_in(const char *folder) {
    wchar_t pattern[2 * MAX_PATH];
    WIN32_FIND_DATAW found;
    int count = 0;
    assert_true(MultiByteToWideChar(CP_UTF8, 0, folder, -1, pattern, MAX_PATH) > 0);
    wcscat(pattern, L"\\*");
    const HANDLE all = FindFirstFileW(pattern, &found);
    assert_true(all != INVALID_HANDLE_VALUE);
    do
        count += !(found.dwFileAttributes & FILE_ATTRIBUTE_DIRECTORY);
    while (FindNextFileW(all, &found));
    FindClose(all);
    return count;
}

/* Windows may refuse to replace a file that somebody reads: then the old entry stays, whole, and nothing is left over. */
static void a_write_may_lose(void **state) {
    (void)state;
    choose_cache();
    char *const folder = dcnv4i_cache_folder();
    assert_non_null(folder);
    write_entry(folder, "key", "old");
    const int before = files_in(folder);
    wchar_t pattern[2 * MAX_PATH], path[4 * MAX_PATH];
    WIN32_FIND_DATAW found;
    assert_true(MultiByteToWideChar(CP_UTF8, 0, folder, -1, pattern, MAX_PATH) > 0);
    wcscpy(path, pattern);
    wcscat(pattern, L"\\*.kernel");
    const HANDLE all = FindFirstFileW(pattern, &found);
    assert_true(all != INVALID_HANDLE_VALUE);
    FindClose(all);
    wcscat(path, L"\\");
    wcscat(path, found.cFileName);
    const HANDLE reader = CreateFileW(path, GENERIC_READ, FILE_SHARE_READ, NULL, OPEN_EXISTING, 0, NULL);
    assert_true(reader != INVALID_HANDLE_VALUE);
    write_entry(folder, "key", "new");
    CloseHandle(reader);
    assert_reads(folder, "key", "old");
    assert_int_equal(files_in(folder), before);
    write_entry(folder, "key", "new");
    assert_reads(folder, "key", "new");
    free(folder);
    count_case();
}

/* ---- Libraries --------------------------------------------------------------------------------------------------- */

static dcnv4_device_info cuda_device(void) {
    for (int64_t i = 0; i < dcnv4_device_count(); ++i) {
        dcnv4_device_info info = DCNV4_DEVICE_INFO_INIT;
        if (dcnv4_device_info_get(i, &info) == DCNV4_SUCCESS && strcmp(info.backend, "cuda") == 0)
            return info;
    }
    fail_msg("there is no entry for CUDA");
}

/* The current folder has an nvcuda.dll that answers 999; the one that PATH names answers 100. */
static void libraries_come_from_path_and_not_from_here(void **state) {
    (void)state;
    assert_true(GetFileAttributesW(L"nvcuda.dll") != INVALID_FILE_ATTRIBUTES);
    assert_null(dcnv4i_shared_open("libcuda.so.1"));
    if (!strstr(dcnv4i_shared_reason(), "nvcuda.dll: not found, error 126"))
        fail_msg("the reason is \"%s\"", dcnv4i_shared_reason());
    assert_true(SetEnvironmentVariableA("PATH", ".;;relative"));
    assert_null(dcnv4i_shared_open("libcuda.so.1"));
    assert_null(dcnv4i_shared_loaded("libcuda.so.1"));

    wchar_t wide[MAX_PATH], whole[MAX_PATH];
    assert_true(MultiByteToWideChar(CP_UTF8, 0, library_folder, -1, wide, MAX_PATH) > 0);
    assert_true(GetFullPathNameW(wide, MAX_PATH, whole, NULL) > 0);
    assert_true(SetEnvironmentVariableW(L"PATH", whole));
    void *const library = dcnv4i_shared_open("libcuda.so.1");
    if (!library)
        fail_msg("%s", dcnv4i_shared_reason());
    int (*init)(unsigned);
    void *const found = dcnv4i_shared_function(library, "cuInit");
    memcpy(&init, &found, sizeof found);
    assert_non_null(found);
    assert_int_equal(init(0), 100);
    assert_null(dcnv4i_shared_function(library, "cuNothing"));
    void *const again = dcnv4i_shared_loaded("libcuda.so.1");
    assert_ptr_equal(again, library);
    dcnv4i_shared_close(again);
    dcnv4i_shared_close(library);
    assert_null(dcnv4i_shared_open("libof.no.such.name.so.1"));
    assert_string_equal(dcnv4i_shared_reason(), "it does not exist for Windows");
    count_case();
}

static void a_missing_driver_is_reported(void **state) {
    (void)state;
    const dcnv4_device_info info = cuda_device();
    assert_false(info.available);
    assert_true(strlen(info.reason) > 20);
    count_case();
}

int main(int argc, char **argv) {
    library_folder = argc > 2 ? argv[2] : ".";
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_task_is_done_once),
        cmocka_unit_test(memory_is_aligned),
        cmocka_unit_test(entries_have_any_path),
        cmocka_unit_test(entries_have_long_paths),
        cmocka_unit_test(a_write_may_lose),
        cmocka_unit_test(a_missing_driver_is_reported),
        cmocka_unit_test(libraries_come_from_path_and_not_from_here),
    };
    return HARNESS_RUN(argc, argv, tests);
}
