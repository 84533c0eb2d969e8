/* A program, or one thread of it, in a locale with a decimal comma: kernels compile, a program in the C locale finds
 * them in the cache, and messages are the same. */
#include "../support/test_layer.h"

#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef enum place { PLAIN, PROGRAM, THREAD } place;

static void go_to(place where) {
    static locale_t users;
    assert_non_null(setlocale(LC_ALL, where == PLAIN ? "C" : ""));
    if (where == THREAD) {
        if (users == (locale_t)0)
            users = duplocale(LC_GLOBAL_LOCALE);
        assert_true(users != (locale_t)0);
        assert_non_null(setlocale(LC_ALL, "C"));
    }
    uselocale(where == THREAD ? users : LC_GLOBAL_LOCALE);
    char text[8];
    snprintf(text, sizeof text, "%.1f", 1.5);
    assert_string_equal(text, where == PLAIN ? "1.5" : "1,5");
}

static void kernels(void **state) {
    (void)state;
    for (const char *const *device = devices_to_try(); *device; ++device)
        for (place where = PROGRAM; where <= THREAD; where = (place)(where + 1)) {
            dcnv4_problem problem = small_problem(DCNV4_FLOAT32);
            problem.offset_scale = where == PROGRAM ? 1.5 : 0.1;
            test_layer layer = layer_make(&problem), expected = layer_make(&problem);
            layer_fill(&layer, 29, 2);
            layer_fill(&expected, 29, 2);
            go_to(where);
            ASSERT_SUCCESS(layer_forward(&layer, *device));
            go_to(PLAIN);
            setenv("DCNV4_COMPILER", "off", 1);
            ASSERT_SUCCESS(layer_forward(&expected, *device));
            unsetenv("DCNV4_COMPILER");
            assert_same_bits(&layer, &expected, OUTPUT, *device);
            layer_free(&layer);
            layer_free(&expected);
            count_case();
        }
}

/* The message of a failure to make a plan. Without NVRTC it contains the loader's message. */
static void sentence(const char *device, char text[1024]) {
    dcnv4_problem problem = small_problem(DCNV4_FLOAT32);
    dcnv4_context *context = NULL;
    dcnv4_plan *plan = NULL;
    const bool failed = dcnv4_context_create(device, &context) || dcnv4_plan_create(context, &problem, &plan);
    snprintf(text, 1024, "%s", failed ? dcnv4_last_message() : "");
    dcnv4_plan_destroy(plan);
    dcnv4_context_destroy(context);
}

static void sentences(void **state) {
    (void)state;
    static const char *const devices[] = {"cuda:sm_90", "cpu:1.5"};
    for (size_t i = 0; i < sizeof devices / sizeof *devices; ++i)
        for (place where = PROGRAM; where <= THREAD; where = (place)(where + 1)) {
            char text[1024], expected[1024];
            go_to(PLAIN);
            sentence(devices[i], expected);
            go_to(where);
            sentence(devices[i], text);
            go_to(PLAIN);
            assert_string_equal(text, expected);
            count_case();
        }
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(kernels), cmocka_unit_test(sentences)};
    return HARNESS_RUN(argc, argv, tests);
}
