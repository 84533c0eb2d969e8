/* test_unload LIBRARY: a program that loads the library, uses it, unloads it and then forks: none of the library's code
 * is called any more. */
#include "../support/harness.h"

#include <dlfcn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *path;

/* Stores the function's address in *function, a function pointer, and returns it. */
static void *entry(void *library, const char *name, void *function) {
    void *const found = dlsym(library, name);
    assert_non_null(found);
    memcpy(function, &found, sizeof found);
    return found;
}

static void assert_forks(void) {
    int ended = -1;
    const pid_t child = fork();
    if (child == 0)
        _exit(0);
    assert_int_equal(waitpid(child, &ended, 0), child);
    assert_int_equal(ended, 0);
}

static void load_use_unload_fork(void **state) {
    (void)state;
    dcnv4_status (*create)(const char *, dcnv4_context **);
    void (*destroy)(dcnv4_context *);
    for (int i = 0; i < 3; ++i) {
        dcnv4_context *context = NULL;
        void *const library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
        if (!library)
            fail_msg("%s", dlerror());
        entry(library, "dcnv4_context_create", &create);
        entry(library, "dcnv4_context_destroy", &destroy);
        assert_int_equal(create("cpu", &context), DCNV4_SUCCESS);
        assert_forks();
        destroy(context);
        void *const address = entry(library, "dcnv4_context_create", &create);
        assert_int_equal(dlclose(library), 0);
        Dl_info still;
        assert_int_equal(dladdr(address, &still), 0); /* it is gone, rather than kept loaded */
        assert_forks();
    }
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(load_use_unload_fork)};
    if (argc != 2)
        return 1;
    path = argv[1];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
