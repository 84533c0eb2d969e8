/* One file for each entry: the header below, the key, the binary. It is named after a hash of the key: 32 digits and
 * the kind. While it is being written, its name has a dot and a unique suffix at the end. */
#include "cache.h"
#include "../../../core/platform.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct header {
    char magic[8];
    uint64_t key_length, binary_size;
    uint64_t check[2]; /* of the key and the binary */
} header;

static const char magic[8] = "dcnv4k1";

/* Larger than any kernel, small enough to read without harm. */
enum { LARGEST_BINARY = 64 << 20 };

/* Two independent 64-bit hashes at once: FNV-1a, and the same over rotated state. */
typedef struct hash {
    uint64_t a, b;
} hash;

static hash hash_bytes(hash h, const void *bytes, size_t length) {
    for (const unsigned char *byte = bytes, *end = byte + length; byte < end; ++byte) {
        h.a = (h.a ^ *byte) * UINT64_C(0x100000001b3);
        h.b = ((h.b << 7 | h.b >> 57) + *byte) * UINT64_C(0x9e3779b97f4a7c15);
    }
    return h;
}

static const hash hash_start = {UINT64_C(0xcbf29ce484222325), UINT64_C(0x243f6a8885a308d3)};

/* ---- The folder -------------------------------------------------------------------------------------------------- */

static char *joined(const char *first, const char *second) {
    const size_t length = strlen(first) + strlen(second) + 1;
    char *both = malloc(length);
    if (both)
        snprintf(both, length, "%s%s", first, second);
    return both;
}

/* Whether this is the temporary name of an entry that is being written. Earlier versions had digits and a dot after the
 * second dot. */
static bool is_aside(const char *name) {
    static const char letters[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.";
    if (strspn(name, "0123456789abcdef") != 32 || name[32] != '.')
        return false;
    const char *const kind = name + 33, *const end = kind + strspn(kind, "abcdefghijklmnopqrstuvwxyz");
    return end > kind && end[0] == '.' && end[1] != '\0' && strspn(end, letters) == strlen(end);
}

/* No write takes this long; if one does, since its machine slept, its entry is lost. Clocks may differ or be set back, so
 * files from the future go too. */
enum { SECONDS_OF_A_WRITE = 3600 };

/* Where the folder should be, for free(). */
static char *wanted_folder(void) {
    char *const own = dcnv4i_path_variable("DCNV4_CACHE_DIR");
    if (own && strcmp(own, "off") != 0)
        return own;
    char *const home = own ? NULL : dcnv4i_cache_home(), *const path = home ? joined(home, "/dcnv4") : NULL;
    free(home);
    free(own);
    return path;
}

char *dcnv4i_cache_folder(void) {
    char *const path = wanted_folder();
    if (!path)
        return NULL;
    dcnv4i_folder_make(path);
    char *const whole = dcnv4i_folder_find(path); /* stays valid if the caller changes its working directory */
    free(path);
    if (whole)
        dcnv4i_folder_sweep(whole, is_aside, SECONDS_OF_A_WRITE);
    return whole;
}

/* ---- Entries ----------------------------------------------------------------------------------------------------- */

char *dcnv4i_cache_key(const char *identity, const char *source) {
    const hash h = hash_bytes(hash_start, source, strlen(source));
    const size_t length = strlen(identity) + 64;
    char *key = malloc(length);
    if (key)
        snprintf(key, length, "%s\nsource %016" PRIx64 "%016" PRIx64, identity, h.a, h.b);
    return key;
}

static char *path_of(const char *folder, const char *kind, const char *key) {
    const hash h = hash_bytes(hash_start, key, strlen(key));
    char name[48];
    snprintf(name, sizeof name, "/%016" PRIx64 "%016" PRIx64 "%s", h.a, h.b, kind);
    return joined(folder, name);
}

static header header_of(const char *key, const void *binary, size_t size) {
    header h = {.key_length = strlen(key), .binary_size = size};
    const hash check = hash_bytes(hash_bytes(hash_start, key, strlen(key)), binary, size);
    memcpy(h.magic, magic, sizeof h.magic);
    h.check[0] = check.a, h.check[1] = check.b;
    return h;
}

/* Reads and checks the rest of an open entry: key and binary into one allocation, then moves the binary to its
 * front. */
static void *read_entry(dcnv4i_file file, const char *key, size_t *size) {
    header h;
    const size_t key_length = strlen(key);
    const int64_t length = dcnv4i_file_length(file);
    if (length < 0 || !dcnv4i_file_read(file, &h, sizeof h) || memcmp(h.magic, magic, sizeof magic) != 0 ||
        h.key_length != key_length || h.binary_size == 0 || h.binary_size > LARGEST_BINARY ||
        (uint64_t)length != sizeof h + key_length + h.binary_size)
        return NULL;
    char *bytes = malloc(key_length + h.binary_size);
    if (bytes && dcnv4i_file_read(file, bytes, key_length + h.binary_size) && memcmp(bytes, key, key_length) == 0) {
        const header expected = header_of(key, bytes + key_length, h.binary_size);
        if (memcmp(h.check, expected.check, sizeof h.check) == 0) {
            memmove(bytes, bytes + key_length, h.binary_size);
            *size = h.binary_size;
            return bytes;
        }
    }
    free(bytes);
    return NULL;
}

void *dcnv4i_cache_read(const char *folder, const char *kind, const char *key, size_t *size) {
    char *path = path_of(folder, kind, key);
    const dcnv4i_file file = path ? dcnv4i_file_open(path) : -1;
    void *binary = NULL;
    if (file >= 0) {
        binary = read_entry(file, key, size);
        dcnv4i_file_close(file);
    }
    free(path);
    return binary;
}

void dcnv4i_cache_write(const char *folder, const char *kind, const char *key, const void *binary, size_t size) {
    char *path = path_of(folder, kind, key), *aside = path ? joined(path, ".XXXXXX") : NULL;
    const dcnv4i_file file = size > 0 && size <= LARGEST_BINARY && aside ? dcnv4i_file_create(aside) : -1;
    if (file >= 0) {
        const header h = header_of(key, binary, size);
        bool whole = dcnv4i_file_write(file, &h, sizeof h) && dcnv4i_file_write(file, key, strlen(key)) &&
                     dcnv4i_file_write(file, binary, size);
        whole &= dcnv4i_file_close(file);
        if (!whole || !dcnv4i_file_replace(aside, path))
            dcnv4i_file_remove(aside);
    }
    free(aside);
    free(path);
}

void dcnv4i_cache_remove(const char *folder, const char *kind, const char *key) {
    char *path = path_of(folder, kind, key);
    if (path)
        dcnv4i_file_remove(path);
    free(path);
}
