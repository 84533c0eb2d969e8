/* Problems of the folder of kernels and the files in it: left-overs of processes that were killed, full disks, limits
 * on file sizes, entries that are folders or links, folders that vanish or cannot be made. At most, nothing is
 * cached. */
#include "cache_support.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* The linker redirects the library's writes here. room: how many bytes still fit on the disk; −1 for any number. */
ssize_t __real_write(int file, const void *bytes, size_t length);
ssize_t __wrap_write(int file, const void *bytes, size_t length);
static ssize_t room = -1;

ssize_t __wrap_write(int file, const void *bytes, size_t length) {
    if (room == 0) {
        errno = ENOSPC;
        return -1;
    }
    const ssize_t put = __real_write(file, bytes, room > 0 && (size_t)room < length ? (size_t)room : length);
    room -= room > 0 && put > 0 ? put : 0;
    return put;
}

/* ---- Left-overs ----------------------------------------------------------------------------------------------------- */

static void write_text(const char *path, const char *text) {
    FILE *const file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
}

/* Leaves files as processes do that are killed between the write and the rename; some as of older versions, whose names
 * had the pid and a number in them. The entry itself is then missing. */
static void leave_over(const char *path, int most) {
    char name[600];
    for (int number = 0; number < most; ++number) {
        snprintf(name, sizeof name, "%s.1.%d", path, number);
        write_text(name, "half");
    }
    snprintf(name, sizeof name, "%s.a1B2c3", path);
    write_text(name, "half");
    assert_int_equal(unlink(path), 0);
}

/* The next process, which has the same pid, can still fill the folder. */
static void left_overs_do_not_matter(void **state) {
    (void)state;
    enum { MOST = 20 };
    start_empty();
    each_entry(leave_over, MOST);
    int how = -1;
    const pid_t child = start_filling();
    assert_int_equal(waitpid(child, &how, 0), child);
    assert_int_equal(how, 0);
    assert_counts(plan_once(DCNV4_SUCCESS), 0, modules);
    assert_int_equal(each_entry(NULL, 0), modules * (MOST + 2)); /* they are too young to be removed */
}

static void make_old(const char *path, int hours) {
    const struct timespec then = {time(NULL) - 3600L * hours, 0}, both[2] = {then, then};
    assert_int_equal(utimensat(AT_FDCWD, path, both, AT_SYMLINK_NOFOLLOW), 0);
}

/* Entries, and files that are not the library's, are left as they are, however old. */
static void old_left_overs_are_removed(void **state) {
    (void)state;
    static const char *const others[] = {"README",
                                         "0123456789abcdef0123456789abcdef",
                                         "0123456789abcdef0123456789abcdef.kernel",
                                         "notes.kernel.a1B2c3",
                                         "0123456789abcdef0123456789abcdeX.kernel.a1B2c3",
                                         "0123456789abcdef0123456789abcdef.kernel.a-b"};
    enum { OTHERS = sizeof others / sizeof *others };
    for (int hours = -30; hours <= 30; hours += 60) { /* a clock may have been set back */
        char name[600];
        start_empty();
        for (int i = 0; i < OTHERS; ++i) {
            snprintf(name, sizeof name, "%s/%s", folder, others[i]);
            write_text(name, "what a user keeps");
        }
        snprintf(name, sizeof name, "%s/0123456789abcdef0123456789abcdef.kernel.folder", folder);
        assert_int_equal(mkdir(name, 0700), 0);
        snprintf(name, sizeof name, "%s/0123456789abcdef0123456789abcdef.kernel.a1B2c3", folder);
        write_text(name, "half");
        snprintf(name, sizeof name, "%s/0123456789abcdef0123456789abcdef.choice.77.12", folder);
        write_text(name, "half");
        each_entry(make_old, hours);
        snprintf(name, sizeof name, "%s/0123456789abcdef0123456789abcdef.kernel.young1", folder);
        write_text(name, "half");
        assert_counts(plan_once(DCNV4_SUCCESS), 0, modules);
        assert_int_equal(each_entry(NULL, 0), modules + OTHERS + 2);
        assert_int_equal(access(name, F_OK), 0);
    }
}

/* ---- Writes that fail ----------------------------------------------------------------------------------------------- */

static void full_disks(void **state) {
    (void)state;
    start_empty();
    for (ssize_t bytes = 0; bytes < 2000; bytes += 100) {
        each_entry(remove_entry, 0);
        room = bytes;
        assert_counts(plan_once(DCNV4_SUCCESS), modules, 0);
        room = -1;
        const int kept = each_entry(NULL, 0); /* whole ones */
        assert_true(kept < modules);
        assert_counts(plan_once(DCNV4_SUCCESS), modules - kept, kept);
    }
    assert_counts(plan_once(DCNV4_SUCCESS), 0, modules);
}

/* A write past the limit would raise a signal that ends the process. */
static void limits_on_files(void **state) {
    (void)state;
    struct rlimit before, few;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    few = before;
    start_empty();
    for (rlim_t bytes = 0; bytes < 1000; bytes += 90) {
        each_entry(remove_entry, 0);
        few.rlim_cur = bytes;
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &few), 0);
        assert_counts(plan_once(DCNV4_SUCCESS), modules, 0);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
        assert_int_equal(each_entry(NULL, 0), 0);
    }
    assert_counts(plan_once(DCNV4_SUCCESS), modules, 0);
    assert_counts(plan_once(DCNV4_SUCCESS), 0, modules);
}

/* ---- Entries that are something else -------------------------------------------------------------------------------- */

static void become_folder(const char *path, int argument) {
    (void)argument;
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkdir(path, 0700), 0);
}

static void become_fifo(const char *path, int argument) {
    (void)argument;
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0);
}

/* Number 0 is a link to nothing, 1 to itself, 2 to /dev/null. */
static void become_link(const char *path, int number) {
    assert_int_equal(unlink(path), 0);
    assert_int_equal(symlink(number == 0 ? "nothing" : number == 1 ? path : "/dev/null", path), 0);
}

static void stranger(void (*become)(const char *, int), int number) {
    start_empty();
    each_entry(become, number);
    assert_counts(plan_once(DCNV4_SUCCESS), modules, 0);
    assert_int_equal(each_entry(NULL, 0), modules); /* and nothing beside them */
}

static void entries_that_are_none(void **state) {
    (void)state;
    stranger(become_folder, 0);
    assert_counts(plan_once(DCNV4_SUCCESS), modules, 0);
    stranger(become_fifo, 0);
    assert_counts(plan_once(DCNV4_SUCCESS), 0, modules);
    for (int number = 0; number < 3; ++number) {
        stranger(become_link, number);
        assert_counts(plan_once(DCNV4_SUCCESS), 0, modules);
    }
}

/* ---- Folders -------------------------------------------------------------------------------------------------------- */

/* Makes a plan of a context that was made before. */
static void plan_on(dcnv4_context *context) {
    const dcnv4_problem problem = layer(5, 6);
    dcnv4_plan *plan = NULL;
    ASSERT_SUCCESS(dcnv4_plan_create(context, &problem, &plan));
    dcnv4_plan_destroy(plan);
    dcnv4_context_destroy(context);
    count_case();
}

static void a_folder_that_vanishes(void **state) {
    (void)state;
    dcnv4_context *context = NULL;
    start_empty();
    ASSERT_SUCCESS(dcnv4_context_create("opencl:0", &context));
    each_entry(remove_entry, 0);
    assert_int_equal(rmdir(folder), 0);
    plan_on(context);
    assert_counts(plan_once(DCNV4_SUCCESS), modules, 0); /* which makes the folder again */
    assert_counts(plan_once(DCNV4_SUCCESS), 0, modules);
}

/* A relative name is resolved when the context is made. */
static void a_relative_name(void **state) {
    (void)state;
    dcnv4_context *context = NULL;
    char before[4096];
    start_empty();
    each_entry(remove_entry, 0);
    assert_non_null(getcwd(before, sizeof before));
    assert_int_equal(chdir("/tmp"), 0);
    setenv("DCNV4_CACHE_DIR", strrchr(folder, '/') + 1, 1);
    ASSERT_SUCCESS(dcnv4_context_create("opencl:0", &context));
    assert_int_equal(chdir("/"), 0);
    plan_on(context);
    setenv("DCNV4_CACHE_DIR", folder, 1);
    assert_int_equal(each_entry(NULL, 0), modules);
    assert_int_equal(chdir(before), 0);
}

/* If no folder can be made there is no cache, and nothing is made in the current folder. */
static void no_place(void **state) {
    (void)state;
    static const char *const places[][3] = {
        {NULL, NULL, NULL},      {"", "", ""},          {NULL, "relative", "relative"}, {NULL, NULL, "/dev/null"},
        {NULL, "/dev/null", ""}, {"/dev/null", "", ""}, {"/proc/none", "", ""},
    };
    static const char *const names[3] = {"DCNV4_CACHE_DIR", "XDG_CACHE_HOME", "HOME"};
    start_empty();
    for (size_t i = 0; i < sizeof places / sizeof *places; ++i) {
        for (int n = 0; n < 3; ++n)
            places[i][n] ? setenv(names[n], places[i][n], 1) : unsetenv(names[n]);
        assert_counts(plan_once(DCNV4_SUCCESS), modules, 0);
        assert_counts(plan_once(DCNV4_SUCCESS), modules, 0);
        assert_int_not_equal(access("relative", F_OK), 0);
    }
    setenv("DCNV4_CACHE_DIR", folder, 1);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(left_overs_do_not_matter),
        cmocka_unit_test(old_left_overs_are_removed),
        cmocka_unit_test(full_disks),
        cmocka_unit_test(limits_on_files),
        cmocka_unit_test(entries_that_are_none),
        cmocka_unit_test(a_folder_that_vanishes),
        cmocka_unit_test(a_relative_name),
        cmocka_unit_test(no_place),
    };
    return cache_run(argc, argv, tests, sizeof tests / sizeof *tests);
}
