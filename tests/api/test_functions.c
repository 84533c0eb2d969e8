/* Every function that the header declares can be linked. The list is made from the header. */
#include "../support/harness.h"

#include <string.h>

static const struct {
    const char *name;
    void (*function)(void);
} functions[] = {
#define FUNCTION(name) {#name, (void (*)(void))name},
#include "functions.inc"
};

static void every_function_is_there(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof functions / sizeof *functions; ++i) {
        assert_true(strncmp(functions[i].name, "dcnv4_", 6) == 0);
        assert_true(functions[i].function != NULL);
        count_case();
    }
    assert_true(sizeof functions / sizeof *functions >= 20);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_function_is_there)};
    return HARNESS_RUN(argc, argv, tests);
}
