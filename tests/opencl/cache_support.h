/* Shared by the tests of the cache: a folder of their own, plans that fill it, and its entries. In their processes
 * getpid() is always 1, as in a container's first process. */
#ifndef TESTS_OPENCL_CACHE_SUPPORT_H
#define TESTS_OPENCL_CACHE_SUPPORT_H

#include "../support/harness.h"
#include "../../backends/gpu/deform_conv/source.h"

#include <sys/types.h>

/* Made by cache_run, which sets DCNV4_CACHE_DIR to it. */
extern char folder[];

typedef struct counts {
    int64_t compiled, loaded;
} counts;

dcnv4_problem layer(int64_t height, int64_t width);

/* Makes a plan on a context of its own; returns how many modules that compiled and loaded. */
counts plan_once(dcnv4_status expected);

void assert_counts(counts got, int64_t compiled, int64_t loaded);

/* Calls visit on every entry; returns how many there are. */
int each_entry(void (*visit)(const char *path, int argument), int argument);
void remove_entry(const char *path, int argument);

extern int64_t modules; /* that a plan needs; set once the folder has been filled */

/* Empties the folder, and fills it by a plan. */
void start_empty(void);

/* Starts a process that makes such a plan; its exit status is 0 if it could. */
pid_t start_filling(void);

/* What main() returns. */
int cache_run(int argc, char **argv, const struct CMUnitTest *tests, size_t count);

#endif
