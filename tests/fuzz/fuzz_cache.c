/* Any bytes as an entry of the cache: taken only if they are what a write of this key leaves, and then whole. */
#include "../../backends/gpu/runtime/cache.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REQUIRE(condition) ((condition) ? (void)0 : abort())

static const char key[] = "a device, a driver\nsource 0";
static char folder[] = "/tmp/fuzz_cache_XXXXXX";
static char path[512];

static void remove_folder(void) {
    unlink(path);
    rmdir(folder);
}

/* Finds the file that a write makes, since its name is the cache's own matter. */
static void prepare(void) {
    REQUIRE(mkdtemp(folder) && atexit(remove_folder) == 0);
    dcnv4i_cache_write(folder, DCNV4I_CACHE_KERNEL, key, "x", 1);
    DIR *const listing = opendir(folder);
    REQUIRE(listing);
    for (const struct dirent *entry = readdir(listing); entry; entry = readdir(listing))
        if (entry->d_name[0] != '.')
            snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
    closedir(listing);
    REQUIRE(path[0]);
}

static void put(const uint8_t *data, size_t size) {
    const int file = open(path, O_WRONLY | O_TRUNC);
    REQUIRE(file >= 0 && write(file, data, size) == (ssize_t)size && close(file) == 0);
}

/* An intact entry's bytes, with some of them changed as the input says, two bytes for each: where, and by what. */
static void check_changed(const uint8_t *data, size_t size) {
    uint8_t entry[256];
    dcnv4i_cache_write(folder, DCNV4I_CACHE_KERNEL, key, "binary", 6);
    const int file = open(path, O_RDONLY);
    const ssize_t length = file >= 0 ? read(file, entry, sizeof entry) : -1;
    REQUIRE(length > 6 && close(file) == 0);
    uint8_t changed[sizeof entry];
    memcpy(changed, entry, sizeof entry);
    for (; size >= 2; data += 2, size -= 2)
        changed[data[0] % length] ^= data[1];
    put(changed, (size_t)length);
    size_t found = 0;
    char *const binary = dcnv4i_cache_read(folder, DCNV4I_CACHE_KERNEL, key, &found);
    const bool same = memcmp(entry, changed, (size_t)length) == 0;
    REQUIRE((binary != NULL) == same);
    REQUIRE(!binary || (found == 6 && memcmp(binary, "binary", 6) == 0));
    free(binary);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (!path[0])
        prepare();
    if (size == 0)
        return 0;
    if (data[0] % 2) {
        check_changed(data + 1, size - 1);
        return 0;
    }
    put(data + 1, size - 1);
    size_t found = 0;
    char *const binary = dcnv4i_cache_read(folder, DCNV4I_CACHE_KERNEL, key, &found);
    REQUIRE(!binary || (found > 0 && found < size));
    free(binary);
    return 0;
}
