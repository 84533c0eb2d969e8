#include "cache_support.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

char folder[] = "/tmp/dcnv4_cache_XXXXXX";
int64_t modules;

pid_t getpid(void) {
    return 1;
}

dcnv4_problem layer(int64_t height, int64_t width) {
    dcnv4_problem problem = DCNV4_PROBLEM_INIT;
    problem.batch = 1, problem.height = height, problem.width = width, problem.groups = 2, problem.group_channels = 8;
    return problem;
}

static dcnv4_status make_plan(void) {
    const dcnv4_problem problem = layer(5, 6);
    dcnv4_context *context = NULL;
    dcnv4_plan *plan = NULL;
    ASSERT_SUCCESS(dcnv4_context_create("opencl:0", &context));
    const dcnv4_status status = dcnv4_plan_create(context, &problem, &plan);
    dcnv4_plan_destroy(plan);
    dcnv4_context_destroy(context);
    return status;
}

counts plan_once(dcnv4_status expected) {
    const dcnv4i_build_counts before = dcnv4i_build_count();
    assert_status(make_plan(), expected, "dcnv4_plan_create");
    const dcnv4i_build_counts after = dcnv4i_build_count();
    count_case();
    return (counts){after.compiled - before.compiled, after.loaded - before.loaded};
}

void assert_counts(counts got, int64_t compiled, int64_t loaded) {
    assert_int_equal(got.compiled, compiled);
    assert_int_equal(got.loaded, loaded);
}

int each_entry(void (*visit)(const char *path, int argument), int argument) {
    DIR *all = opendir(folder);
    int count = 0;
    for (struct dirent *entry; (entry = readdir(all));) {
        char path[512];
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        if (visit)
            visit(path, argument);
        ++count;
    }
    closedir(all);
    return count;
}

void remove_entry(const char *path, int argument) {
    (void)argument;
    remove(path);
}

void start_empty(void) {
    each_entry(remove_entry, 0);
    const counts first = plan_once(DCNV4_SUCCESS);
    modules = first.compiled;
    assert_true(modules > 1);
    assert_int_equal(first.loaded, 0);
    assert_int_equal(each_entry(NULL, 0), modules);
}

#define FILL "fill"

pid_t start_filling(void) {
    const pid_t child = fork();
    if (child == 0) {
        execl("/proc/self/exe", "test_opencl_cache", FILL, NULL);
        _exit(1);
    }
    return child;
}

int cache_run(int argc, char **argv, const struct CMUnitTest *tests, size_t count) {
    if (argc == 2 && strcmp(argv[1], FILL) == 0)
        return make_plan() == DCNV4_SUCCESS ? 0 : 1;
    if (!mkdtemp(folder))
        return 1;
    setenv("DCNV4_CACHE_DIR", folder, 1);
    const int result = harness_run(argc, argv, tests, count);
    each_entry(remove_entry, 0);
    rmdir(folder);
    return result;
}
