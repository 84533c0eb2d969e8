#include "harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_DEVICES = 32, SKIPPED = 77 };

static size_t cases;
static char names[MOST_DEVICES][64];
static const char *devices[MOST_DEVICES + 1];
static size_t device_total;
static bool all;

void count_case(void) {
    ++cases;
}

const char *const *devices_to_try(void) {
    return devices;
}

bool tries_all(void) {
    return all;
}

bool on_host(const char *device) {
    return strcmp(device, "reference") == 0 || strncmp(device, "cpu", 3) == 0;
}

static void add_device(const char *name) {
    if (device_total == MOST_DEVICES)
        return;
    snprintf(names[device_total], sizeof *names, "%s", name);
    devices[device_total] = names[device_total];
    ++device_total;
}

/* The cpu's features list its instruction sets among other words: the words that open a context are instruction
 * sets. */
static void add_instruction_sets(const dcnv4_device_info *info) {
    char words[sizeof info->features];
    memcpy(words, info->features, sizeof words);
    char *rest = words;
    for (char *word = strtok_r(words, ", ", &rest); word; word = strtok_r(NULL, ", ", &rest)) {
        char name[sizeof *names];
        snprintf(name, sizeof name, "cpu:%.40s", word);
        dcnv4_context *context = NULL;
        if (dcnv4_context_create(name, &context) == DCNV4_SUCCESS)
            add_device(name);
        dcnv4_context_destroy(context);
    }
}

/* The devices of this backend, or of all for NULL; says why one is missing. */
static void find_devices(const char *backend) {
    for (int64_t i = 0; i < dcnv4_device_count(); ++i) {
        dcnv4_device_info info = DCNV4_DEVICE_INFO_INIT;
        if (dcnv4_device_info_get(i, &info) != DCNV4_SUCCESS || (backend && strcmp(info.backend, backend) != 0))
            continue;
        if (!info.available) {
            printf("%s is missing: %s\n", info.name, info.reason);
            continue;
        }
        add_device(info.name);
        if (strcmp(info.backend, "cpu") == 0)
            add_instruction_sets(&info);
    }
}

int harness_run(int argc, char **argv, const struct CMUnitTest *tests, size_t count) {
    const char *backend = argc > 1 ? argv[1] : NULL;
    all = argc > 2 && strcmp(argv[2], "all") == 0;
    /* Tests compare devices themselves, and count a device's calls. */
    setenv("DCNV4_SELF_CHECK", "off", 0);
    find_devices(backend);
    if (device_total == 0) {
        printf("there is no device of backend %s\n", backend ? backend : "(any)");
        return backend && !on_host(backend) ? SKIPPED : EXIT_FAILURE;
    }
    printf("devices:");
    for (size_t i = 0; i < device_total; ++i)
        printf(" %s", devices[i]);
    printf("\n");
    fflush(stdout);
    const int failures = _cmocka_run_group_tests(argv[0], tests, count, NULL, NULL);
    printf("%zu cases\n", cases);
    return failures == 0 && cases > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

void assert_status(dcnv4_status status, dcnv4_status expected, const char *what) {
    if (status != expected)
        fail_msg("%s gave \"%s\", not \"%s\"; the last message is \"%s\"", what, dcnv4_status_name(status),
                 dcnv4_status_name(expected), dcnv4_last_message());
}

void assert_refused(dcnv4_status status, dcnv4_status expected, const char *text) {
    assert_status(status, expected, "a call to be refused");
    if (!strstr(dcnv4_last_message(), text))
        fail_msg("the message \"%s\" does not contain \"%s\"", dcnv4_last_message(), text);
    count_case();
}

/* splitmix64 */
uint64_t draw_bits(uint64_t *seed) {
    uint64_t z = *seed += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

double draw_between(uint64_t *seed, double low, double high) {
    return low + (high - low) * ((double)(draw_bits(seed) >> 11) * 0x1p-53);
}

int64_t draw_integer(uint64_t *seed, int64_t low, int64_t high) {
    return low + (int64_t)(draw_bits(seed) % (uint64_t)(high - low + 1));
}

const char *dtype_name(int32_t dtype) {
    static const char *const words[] = {"float32", "float16", "bfloat16", "float64"};
    return words[dtype];
}

size_t item_size(int32_t dtype) {
    return dtype == DCNV4_FLOAT64 ? 8 : dtype == DCNV4_FLOAT32 ? 4 : 2;
}

void *allocate(size_t bytes) {
    void *memory = malloc(bytes ? bytes : 1);
    if (!memory)
        fail_msg("no memory for %zu bytes", bytes);
    return memory;
}
