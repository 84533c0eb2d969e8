/* The comparison with the reference before a device is used, on a driver that computes wrongly: its kernels do nothing. */
#include "../fakes/faults.h"
#include "../../backends/opencl/opencl_api.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[] = "/tmp/dcnv4_check_XXXXXX";
static fake_control *control;

/* Calls visit on every remembered result; returns how many there are. */
static int each_check(void (*visit)(const char *path)) {
    DIR *all = opendir(folder);
    int count = 0;
    for (struct dirent *entry; (entry = readdir(all));) {
        char path[512];
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        if (!strstr(entry->d_name, ".check"))
            continue;
        if (visit)
            visit(path);
        ++count;
    }
    closedir(all);
    return count;
}

static void forget(const char *path) {
    unlink(path);
}

static void damage(const char *path) {
    FILE *file = fopen(path, "r+b");
    fseek(file, -1, SEEK_END);
    fputc('?', file);
    fclose(file);
}

static void restart(void) {
    setenv("DCNV4_CACHE_DIR", folder, 1);
    setenv("DCNV4_SELF_CHECK", "on", 1);
    each_check(forget);
    control->launches = 0;
}

static void assert_wrong(dcnv4_status status) {
    assert_refused(status, DCNV4_DEVICE_UNAVAILABLE,
                   "gives wrong results: output of a float32 layer differs from the reference");
    assert_non_null(strstr(dcnv4_last_message(), "is NaN instead of "));
    count_case();
}

static dcnv4_status open_device(const char *name) {
    dcnv4_context *context = NULL;
    const dcnv4_status status = dcnv4_context_create(name, &context);
    if (status != DCNV4_SUCCESS)
        assert_null(context);
    dcnv4_context_destroy(context);
    return status;
}

/* The device is refused, the second time without running kernels; a damaged file is ignored. */
static void refused(void **state) {
    (void)state;
    restart();
    const int64_t live = control->live;
    assert_wrong(open_device("opencl:0"));
    assert_int_equal(each_check(NULL), 1);
    const int64_t launches = control->launches;
    assert_true(launches > 0);
    assert_wrong(open_device("opencl:0"));
    assert_wrong(open_device("opencl"));
    assert_int_equal(control->launches, launches);
    assert_wrong(open_device("opencl:0:cpu")); /* other kernels */
    assert_true(control->launches > launches);
    assert_int_equal(each_check(NULL), 2);
    each_check(damage);
    const int64_t before = control->launches;
    assert_wrong(open_device("opencl:0"));
    assert_int_equal(control->launches, before + launches);
    assert_int_equal(control->live, live);
}

static void adopted(void **state) {
    (void)state;
    const dcnv4i_opencl_api *api = NULL;
    cl_device_id id = NULL;
    cl_platform_id platform = NULL;
    cl_uint found = 0;
    dcnv4_context *context = NULL;
    restart();
    ASSERT_SUCCESS(dcnv4i_opencl_load(&api));
    assert_int_equal(api->clGetPlatformIDs(1, &platform, &found), 0);
    assert_int_equal(api->clGetDeviceIDs(platform, DCNV4I_CL_DEVICE_TYPE_ALL, 1, &id, &found), 0);
    cl_context callers = api->clCreateContext(NULL, 1, &id, NULL, NULL, NULL);
    const int64_t live = control->live;
    assert_wrong(dcnv4_context_adopt_opencl(callers, id, &context));
    assert_null(context);
    assert_int_equal(control->live, live);
    api->clReleaseContext(callers);
}

/* Without a folder the result is remembered in the process. */
static void no_folder(void **state) {
    (void)state;
    restart();
    setenv("DCNV4_CACHE_DIR", "off", 1);
    assert_wrong(open_device("opencl:0"));
    const int64_t launches = control->launches;
    assert_true(launches > 0);
    assert_wrong(open_device("opencl:0"));
    assert_int_equal(control->launches, launches);
    setenv("DCNV4_SELF_CHECK", "again", 1);
    assert_wrong(open_device("opencl:0"));
    assert_int_equal(control->launches, 2 * launches);
}

static void off(void **state) {
    (void)state;
    restart();
    assert_wrong(open_device("opencl:0"));
    setenv("DCNV4_SELF_CHECK", "off", 1);
    ASSERT_SUCCESS(open_device("opencl:0"));
    count_case();
}

/* Where the compiler is forbidden, nothing can be compared. */
static void no_compiler(void **state) {
    (void)state;
    restart();
    setenv("DCNV4_CACHE_DIR", "off", 1);
    setenv("DCNV4_SELF_CHECK", "again", 1);
    setenv("DCNV4_COMPILER", "off", 1);
    ASSERT_SUCCESS(open_device("opencl:0"));
    unsetenv("DCNV4_COMPILER");
    count_case();
}

/* ---- New processes, since each lists devices once ---------------------------------------------------------------- */

/* Runs this program again, with two arguments: what to check, and what to expect. */
static pid_t start_process(const char *what, const char *expected) {
    const pid_t child = fork();
    if (child == 0) {
        execl("/proc/self/exe", "test_wrong_device", what, expected, (char *)NULL);
        _exit(2);
    }
    return child;
}

static void end_process(pid_t child) {
    int how = -1;
    waitpid(child, &how, 0);
    assert_int_equal(how, 0);
    count_case();
}

static void in_new_process(const char *what, const char *expected) {
    end_process(start_process(what, expected));
}

static int find_state(const char *expected) {
    for (int64_t i = 0; i < dcnv4_device_count(); ++i) {
        dcnv4_device_info info = DCNV4_DEVICE_INFO_INIT;
        if (dcnv4_device_info_get(i, &info) == DCNV4_SUCCESS && strcmp(info.name, "opencl:0") == 0)
            return strstr(info.available ? info.features : info.reason, expected) ? 0 : 1;
    }
    return 1;
}

static int find_automatic(const char *expected) {
    dcnv4_context *context = NULL;
    dcnv4_device_info info = DCNV4_DEVICE_INFO_INIT;
    const bool right = dcnv4_context_create("auto", &context) == DCNV4_SUCCESS &&
                       dcnv4_context_info(context, &info) == DCNV4_SUCCESS && strcmp(info.name, expected) == 0;
    dcnv4_context_destroy(context);
    return right ? 0 : 1;
}

/* The device's listed state, and that "auto" skips it: when it is checked, and when the result is remembered. */
static void listed(void **state) {
    (void)state;
    restart();
    in_new_process("state", ", not yet checked");
    in_new_process("auto", "cpu");
    assert_int_equal(each_check(NULL), 1);
    in_new_process("auto", "cpu");
    in_new_process("state", "gives wrong results: output of a float32 layer differs from the reference");
    setenv("DCNV4_SELF_CHECK", "off", 1);
    in_new_process("auto", "opencl:0");
    in_new_process("state", ", not checked, DCNV4_SELF_CHECK is off");
}

/* 16 processes at once. */
static void raced(void **state) {
    (void)state;
    enum { PROCESSES = 16 };
    pid_t children[PROCESSES];
    restart();
    for (int i = 0; i < PROCESSES; ++i)
        children[i] = start_process("auto", "cpu");
    for (int i = 0; i < PROCESSES; ++i)
        end_process(children[i]);
    assert_int_equal(each_check(NULL), 1);
}

/* A call that fails gives its own status, and nothing is remembered. */
static void every_failure(void **state) {
    (void)state;
    static const int32_t errors[] = {-4, -5, -6, -11, -2, -9999};
    restart();
    for (size_t e = 0; e < sizeof errors / sizeof *errors; ++e) {
        bool reached = true;
        for (int64_t n = 1; reached; ++n) {
            const int64_t live = control->live;
            control->calls = 0, control->fail_at = n, control->error = errors[e];
            const dcnv4_status status = open_device("opencl:0");
            reached = control->calls >= n;
            control->fail_at = 0;
            assert_int_not_equal(status, DCNV4_SUCCESS);
            const bool wrong = strstr(dcnv4_last_message(), "gives wrong results") != NULL;
            assert_int_equal(each_check(forget), wrong);
            assert_true(wrong || reached);
            assert_int_equal(control->live, live);
            assert_int_equal(control->misuse, 0);
            count_case();
        }
    }
}

static void remove_file(const char *name) {
    char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    unlink(path);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refused),     cmocka_unit_test(adopted),   cmocka_unit_test(off),
        cmocka_unit_test(listed),      cmocka_unit_test(raced),     cmocka_unit_test(every_failure),
        cmocka_unit_test(no_compiler), cmocka_unit_test(no_folder), /* last: it stays in this process's memory */
    };
    if (argc == 3)
        return strcmp(argv[1], "state") == 0 ? find_state(argv[2]) : find_automatic(argv[2]);
    if (!mkdtemp(folder))
        return 1;
    setenv("DCNV4_CACHE_DIR", folder, 1);
    control = fault_control("libOpenCL.so.1");
    const int result = HARNESS_RUN(argc, argv, tests);
    DIR *all = opendir(folder);
    for (struct dirent *entry; (entry = readdir(all));)
        if (entry->d_name[0] != '.')
            remove_file(entry->d_name);
    closedir(all);
    rmdir(folder);
    return result;
}
