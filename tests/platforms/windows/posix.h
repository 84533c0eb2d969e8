/* What the tests use of POSIX, where there is none; every source of a test is compiled with this. */
#ifndef TESTS_WINDOWS_POSIX_H
#define TESTS_WINDOWS_POSIX_H

#include <stdlib.h>
#include <unistd.h>

static inline int setenv(const char *name, const char *value, int overwrite) {
    return overwrite || !getenv(name) ? _putenv_s(name, value) : 0;
}

static inline int unsetenv(const char *name) {
    return _putenv_s(name, "");
}

static inline int pause(void) {
    return usleep(1000000);
}

#endif
