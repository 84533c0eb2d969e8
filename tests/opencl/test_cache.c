/* The cache of compiled kernels, in memory and on disk, with the library that stands in for a driver. */
#include "cache_support.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* How often the library opens a choice's file: the linker redirects its calls of open here. */
int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
static int choices_opened;

int __wrap_open(const char *path, int flags, ...) {
    va_list arguments;
    va_start(arguments, flags);
    const int mode = flags & O_CREAT ? va_arg(arguments, int) : 0;
    va_end(arguments);
    choices_opened += strstr(path, ".choice") != NULL;
    return __real_open(path, flags, mode);
}

/* Flips a bit in the byte that lies argument thousandths into the file. */
static void damage(const char *path, int argument) {
    FILE *file = fopen(path, "r+b");
    fseek(file, 0, SEEK_END);
    const long at = (ftell(file) - 1) * argument / 1000;
    fseek(file, at, SEEK_SET);
    const int byte = fgetc(file);
    fseek(file, at, SEEK_SET);
    fputc(byte ^ 4, file);
    fclose(file);
}

static void truncate_entry(const char *path, int argument) {
    struct stat found;
    stat(path, &found);
    assert_int_equal(truncate(path, found.st_size * argument / 1000), 0);
}

static char previous[512];

/* Renames each entry to the name of the one before. */
static void swap_names(const char *path, int argument) {
    (void)argument;
    if (*previous) {
        rename(path, "/tmp/dcnv4_cache_swap");
        rename(previous, path);
        rename("/tmp/dcnv4_cache_swap", previous);
    }
    snprintf(previous, sizeof previous, "%s", path);
}

static void filled_once(void **state) {
    (void)state;
    start_empty();
    assert_counts(plan_once(DCNV4_SUCCESS), 0, modules);
}

static void damaged(void **state) {
    (void)state;
    start_empty();
    for (int at = 0; at <= 1000; at += 10) {
        each_entry(damage, at);
        assert_counts(plan_once(DCNV4_SUCCESS), modules, 0);
        assert_counts(plan_once(DCNV4_SUCCESS), 0, modules);
    }
}

static void truncated(void **state) {
    (void)state;
    start_empty();
    for (int at = 0; at < 1000; at += 50) {
        each_entry(truncate_entry, at);
        assert_counts(plan_once(DCNV4_SUCCESS), modules, 0);
    }
    assert_counts(plan_once(DCNV4_SUCCESS), 0, modules);
}

static void foreign(void **state) {
    (void)state;
    start_empty();
    *previous = '\0';
    each_entry(swap_names, 0);
    assert_counts(plan_once(DCNV4_SUCCESS), modules, 0);
}

/* 32 processes that fill the same folder at once. */
static void raced(void **state) {
    (void)state;
    enum { PROCESSES = 32 };
    pid_t children[PROCESSES];
    for (int round = 0; round < 3; ++round) {
        each_entry(remove_entry, 0);
        for (int i = 0; i < PROCESSES; ++i)
            children[i] = start_filling();
        for (int i = 0; i < PROCESSES; ++i) {
            int how = -1;
            waitpid(children[i], &how, 0);
            assert_int_equal(how, 0);
        }
        assert_counts(plan_once(DCNV4_SUCCESS), 0, modules);
        assert_int_equal(each_entry(NULL, 0), modules);
    }
}

static void writable_by_others(void **state) {
    (void)state;
    start_empty();
    chmod(folder, 0777);
    assert_counts(plan_once(DCNV4_SUCCESS), modules, 0);
    chmod(folder, 0770);
    assert_counts(plan_once(DCNV4_SUCCESS), modules, 0);
    chmod(folder, 0700);
    assert_counts(plan_once(DCNV4_SUCCESS), 0, modules);
}

static void compiler_forbidden(void **state) {
    (void)state;
    start_empty();
    setenv("DCNV4_COMPILER", "off", 1);
    assert_counts(plan_once(DCNV4_SUCCESS), 0, modules);
    each_entry(remove_entry, 0);
    assert_counts(plan_once(DCNV4_COMPILER_UNAVAILABLE), 0, 0);
    unsetenv("DCNV4_COMPILER");
}

/* Saves a tactic for the layer's output; 0 removes it. */
static void choose(int64_t index) {
    const dcnv4_problem problem = layer(5, 6);
    dcnv4_context *context = NULL;
    dcnv4_plan *plan = NULL;
    ASSERT_SUCCESS(dcnv4_context_create("opencl:0", &context));
    ASSERT_SUCCESS(dcnv4_plan_create(context, &problem, &plan));
    ASSERT_SUCCESS(dcnv4_tactic_save(plan, DCNV4_PART_OUTPUT, index));
    dcnv4_plan_destroy(plan);
    dcnv4_context_destroy(context);
}

/* With the compiler off, a layer whose chosen kernels are not in the cache uses its defaults. */
static void chosen(void **state) {
    (void)state;
    start_empty();
    choose(1);
    setenv("DCNV4_COMPILER", "off", 1);
    assert_counts(plan_once(DCNV4_SUCCESS), 0, modules);
    unsetenv("DCNV4_COMPILER");
    const counts first = plan_once(DCNV4_SUCCESS);
    assert_true(first.compiled > 0);
    setenv("DCNV4_COMPILER", "off", 1);
    assert_counts(plan_once(DCNV4_SUCCESS), 0, first.compiled + first.loaded);
    unsetenv("DCNV4_COMPILER");
    choose(0);
    assert_counts(plan_once(DCNV4_SUCCESS), 0, modules);
}

/* A plan looks for a choice once, whether there is one or not; a run does not. */
static void looked_for_once(void **state) {
    (void)state;
    start_empty();
    for (int64_t index = 0; index < 2; ++index) {
        choose(index);
        const dcnv4_problem problem = layer(5, 6);
        dcnv4_context *context = NULL;
        dcnv4_plan *plan = NULL;
        dcnv4_buffers buffers = DCNV4_BUFFERS_INIT;
        dcnv4_sizes sizes = DCNV4_SIZES_INIT;
        ASSERT_SUCCESS(dcnv4_problem_sizes(&problem, &sizes));
        ASSERT_SUCCESS(dcnv4_context_create("opencl:0", &context));
        ASSERT_SUCCESS(dcnv4_buffer_create(context, sizes.value, &buffers.value));
        ASSERT_SUCCESS(dcnv4_buffer_create(context, sizes.offset_mask, &buffers.offset_mask));
        ASSERT_SUCCESS(dcnv4_buffer_create(context, sizes.output, &buffers.output));
        choices_opened = 0;
        ASSERT_SUCCESS(dcnv4_plan_create(context, &problem, &plan));
        assert_int_equal(choices_opened, 1);
        for (int run = 0; run < 3; ++run)
            ASSERT_SUCCESS(dcnv4_forward(plan, &buffers, NULL));
        ASSERT_SUCCESS(dcnv4_synchronize(context));
        assert_int_equal(choices_opened, 1);
        dcnv4_buffer_destroy(context, &buffers.value);
        dcnv4_buffer_destroy(context, &buffers.offset_mask);
        dcnv4_buffer_destroy(context, &buffers.output);
        dcnv4_plan_destroy(plan);
        dcnv4_context_destroy(context);
        count_case();
    }
    choose(0);
}

/* A new image size builds nothing, in a context that has seen the layer. */
static void new_sizes(void **state) {
    (void)state;
    dcnv4_context *context = NULL;
    ASSERT_SUCCESS(dcnv4_context_create("opencl:0", &context));
    dcnv4i_build_counts before = {0, 0};
    for (int64_t size = 1; size < 300; size += 7) {
        const dcnv4_problem problem = layer(size, 2 * size);
        dcnv4_plan *plan = NULL;
        ASSERT_SUCCESS(dcnv4_plan_create(context, &problem, &plan));
        dcnv4_plan_destroy(plan);
        const dcnv4i_build_counts now = dcnv4i_build_count();
        if (size > 1) {
            assert_int_equal(now.compiled, before.compiled);
            assert_int_equal(now.loaded, before.loaded);
        }
        before = now;
        count_case();
    }
    dcnv4_context_destroy(context);
}

/* In a child of fork(), calls are refused as such, and objects may be destroyed. */
static void forked(void **state) {
    (void)state;
    dcnv4_context *context = NULL;
    dcnv4_plan *plan = NULL;
    dcnv4_buffer buffer;
    const dcnv4_problem problem = layer(5, 6);
    ASSERT_SUCCESS(dcnv4_context_create("opencl:0", &context));
    ASSERT_SUCCESS(dcnv4_plan_create(context, &problem, &plan));
    ASSERT_SUCCESS(dcnv4_buffer_create(context, 100, &buffer));
    const pid_t child = fork();
    if (child == 0) {
        dcnv4_plan *second = NULL;
        bool right = dcnv4_plan_create(context, &problem, &second) == DCNV4_FORKED;
        right &= dcnv4_synchronize(context) == DCNV4_FORKED;
        right &= dcnv4_upload(context, &buffer, "x", 1) == DCNV4_FORKED;
        dcnv4_context *another = NULL;
        right &= dcnv4_context_create("opencl:0", &another) == DCNV4_FORKED && !another;
        dcnv4_buffer_destroy(context, &buffer);
        dcnv4_plan_destroy(plan);
        dcnv4_context_destroy(context);
        _exit(right ? 0 : 1);
    }
    int how = -1;
    waitpid(child, &how, 0);
    assert_int_equal(how, 0);
    dcnv4_buffer_destroy(context, &buffer);
    dcnv4_plan_destroy(plan);
    dcnv4_context_destroy(context);
    count_case();
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(filled_once),
        cmocka_unit_test(damaged),
        cmocka_unit_test(truncated),
        cmocka_unit_test(foreign),
        cmocka_unit_test(raced),
        cmocka_unit_test(writable_by_others),
        cmocka_unit_test(compiler_forbidden),
        cmocka_unit_test(chosen),
        cmocka_unit_test(looked_for_once),
        cmocka_unit_test(new_sizes),
        cmocka_unit_test(forked),
    };
    return cache_run(argc, argv, tests, sizeof tests / sizeof *tests);
}
