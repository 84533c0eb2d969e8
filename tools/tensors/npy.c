#include "npy.h"

#include "../system/system.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    int32_t dtype;
    const char *name, *descr;
    size_t bytes;
} dtypes[] = {
    {DCNV4_FLOAT16, "float16", "<f2", 2}, {DCNV4_FLOAT32, "float32", "<f4", 4},
    {DCNV4_FLOAT64, "float64", "<f8", 8}, {DCNV4_BFLOAT16, "bfloat16", NULL, 2}, /* a dtype that .npy lacks */
    {DCNV4I_INT64, "int64", "<i8", 8},
};

enum { DTYPES = sizeof dtypes / sizeof *dtypes };

const char *dcnv4i_dtype_name(int32_t dtype) {
    for (int i = 0; i < DTYPES; ++i)
        if (dtypes[i].dtype == dtype)
            return dtypes[i].name;
    return "unknown";
}

size_t dcnv4i_dtype_bytes(int32_t dtype) {
    for (int i = 0; i < DTYPES; ++i)
        if (dtypes[i].dtype == dtype)
            return dtypes[i].bytes;
    return 0;
}

const char *dcnv4i_npy_shape(int rank, const int64_t *shape, char *text, size_t size) {
    size_t used = (size_t)snprintf(text, size, "[");
    for (int i = 0; i < rank && used < size; ++i)
        used += (size_t)snprintf(text + used, size - used, i ? ", %" PRId64 : "%" PRId64, shape[i]);
    if (used < size)
        snprintf(text + used, size - used, "]");
    return text;
}

/* ---- The header: one Python dictionary with three keys ----------------------------------------------------------- */

typedef struct scanner {
    const char *name; /* of the file */
    dcnv4i_npy_kind kind;
    const char *at, *end;
} scanner;

static void skip_space(scanner *s) {
    while (s->at < s->end && (*s->at == ' ' || *s->at == '\n' || *s->at == '\t'))
        ++s->at;
}

static bool take(scanner *s, char c) {
    skip_space(s);
    if (s->at == s->end || *s->at != c)
        return false;
    ++s->at;
    return true;
}

static bool take_word(scanner *s, const char *word) {
    skip_space(s);
    const size_t length = strlen(word);
    if ((size_t)(s->end - s->at) < length || memcmp(s->at, word, length) != 0)
        return false;
    s->at += length;
    return true;
}

/* A quoted string without escapes. */
static bool take_string(scanner *s, const char **text, int *length) {
    skip_space(s);
    if (s->at == s->end || (*s->at != '\'' && *s->at != '"'))
        return false;
    const char *close = memchr(s->at + 1, *s->at, (size_t)(s->end - s->at - 1));
    if (!close)
        return false;
    *text = s->at + 1;
    *length = (int)(close - *text);
    s->at = close + 1;
    return true;
}

static dcnv4i_exit garbled(const scanner *s, const char *wanted) {
    const int left = (int)(s->end - s->at < 16 ? s->end - s->at : 16);
    return dcnv4i_verdict(DCNV4I_REFUSED, "%s: the .npy header is garbled: %s was expected where it has \"%.*s\"",
                          s->name, wanted, left, s->at);
}

static dcnv4i_exit read_descr(scanner *s, dcnv4i_npy *npy) {
    const char *text;
    int length;
    skip_space(s);
    if (s->at < s->end && *s->at == '[')
        return dcnv4i_verdict(DCNV4I_REFUSED, "%s holds structures; %s is needed", s->name,
                              s->kind == DCNV4I_INTEGERS ? "int64" : "float16, float32 or float64");
    if (!take_string(s, &text, &length))
        return garbled(s, "a dtype");
    for (int i = 0; i < DTYPES; ++i)
        if (dtypes[i].descr && (dtypes[i].dtype == DCNV4I_INT64) == (s->kind == DCNV4I_INTEGERS) && length == 3 &&
            memcmp(text + 1, dtypes[i].descr + 1, 2) == 0) {
            npy->dtype = dtypes[i].dtype;
            if (text[0] == '<')
                return DCNV4I_DONE;
            if (text[0] == '>')
                return dcnv4i_verdict(DCNV4I_REFUSED, "%s is big-endian (\"%.3s\"); little-endian \"%s\" is needed",
                                      s->name, text, dtypes[i].descr);
        }
    const bool objects = length >= 2 && text[1] == 'O';
    return dcnv4i_verdict(DCNV4I_REFUSED, "%s holds %s\"%.*s\"; %s is needed", s->name,
                          objects ? "Python objects, " : "", length < 32 ? length : 32, text,
                          s->kind == DCNV4I_INTEGERS ? "int64 (\"<i8\")"
                                                     : "float16, float32 or float64 (\"<f2\", \"<f4\", \"<f8\")");
}

static dcnv4i_exit read_order(scanner *s) {
    if (take_word(s, "False"))
        return DCNV4I_DONE;
    if (take_word(s, "True"))
        return dcnv4i_verdict(DCNV4I_REFUSED, "%s is in Fortran order; C order is needed (numpy.ascontiguousarray)",
                              s->name);
    return garbled(s, "True or False");
}

static dcnv4i_exit read_size(scanner *s, int64_t *size) {
    skip_space(s);
    if (s->at == s->end || *s->at < '0' || *s->at > '9')
        return garbled(s, "a size");
    const char *first = s->at;
    *size = 0;
    for (; s->at < s->end && *s->at >= '0' && *s->at <= '9'; ++s->at) {
        const int digit = *s->at - '0';
        if (*size > (INT64_MAX - digit) / 10)
            return dcnv4i_verdict(DCNV4I_REFUSED, "%s has a dimension of %.19s… elements; %" PRId64 " is the largest",
                                  s->name, first, INT64_MAX);
        *size = *size * 10 + digit;
    }
    if (s->at < s->end && *s->at == 'L')
        return dcnv4i_verdict(DCNV4I_REFUSED,
                              "%s has a header of Python 2 (a size is \"%" PRId64 "L\"); save it again with Python 3",
                              s->name, *size);
    return DCNV4I_DONE;
}

static dcnv4i_exit read_shape(scanner *s, dcnv4i_npy *npy) {
    if (!take(s, '('))
        return garbled(s, "a shape");
    for (npy->rank = 0; !take(s, ')');) {
        if (npy->rank == DCNV4I_NPY_RANK)
            return dcnv4i_verdict(DCNV4I_REFUSED, "%s has more than %d dimensions; 4 are needed", s->name,
                                  DCNV4I_NPY_RANK);
        const dcnv4i_exit verdict = read_size(s, &npy->shape[npy->rank]);
        if (verdict != DCNV4I_DONE)
            return verdict;
        ++npy->rank;
        if (!take(s, ',')) {
            /* "(3)" is a number, not a tuple: only a comma makes it one. */
            if (npy->rank == 1 || !take(s, ')'))
                return garbled(s, "a comma");
            break;
        }
    }
    return DCNV4I_DONE;
}

static dcnv4i_exit read_dictionary(scanner *s, dcnv4i_npy *npy) {
    static const char *const keys[] = {"descr", "fortran_order", "shape"};
    bool seen[3] = {false, false, false};
    if (!take(s, '{'))
        return garbled(s, "a dictionary");
    while (!take(s, '}')) {
        const char *text;
        int length, key = 0;
        if (!take_string(s, &text, &length))
            return garbled(s, "a key");
        while (key < 3 && ((int)strlen(keys[key]) != length || memcmp(keys[key], text, (size_t)length) != 0))
            ++key;
        if (key == 3 || seen[key])
            return dcnv4i_verdict(DCNV4I_REFUSED, "%s: the .npy header has the key \"%.*s\" %s", s->name,
                                  length < 32 ? length : 32, text, key == 3 ? "that is not known" : "twice");
        seen[key] = true;
        if (!take(s, ':'))
            return garbled(s, "a colon");
        const dcnv4i_exit verdict = key == 0 ? read_descr(s, npy) : key == 1 ? read_order(s) : read_shape(s, npy);
        if (verdict != DCNV4I_DONE)
            return verdict;
        if (!take(s, ',')) {
            if (!take(s, '}'))
                return garbled(s, "a comma");
            break;
        }
    }
    for (int key = 0; key < 3; ++key)
        if (!seen[key])
            return dcnv4i_verdict(DCNV4I_REFUSED, "%s: the .npy header has no \"%s\"", s->name, keys[key]);
    skip_space(s);
    return s->at == s->end ? DCNV4I_DONE : garbled(s, "its end");
}

/* Checks the number of bytes that shape and dtype need against the file's length. */
static dcnv4i_exit check_length(const char *name, uint64_t file_length, dcnv4i_npy *npy) {
    const uint64_t item = dcnv4i_dtype_bytes(npy->dtype), has = file_length - npy->start;
    uint64_t needs = item;
    char shape[256];
    dcnv4i_npy_shape(npy->rank, npy->shape, shape, sizeof shape);
    bool empty = false;
    for (int i = 0; i < npy->rank; ++i)
        empty = empty || npy->shape[i] == 0;
    for (int i = 0; i < npy->rank && !empty; ++i) {
        if (needs > PTRDIFF_MAX / (uint64_t)npy->shape[i])
            return dcnv4i_verdict(DCNV4I_REFUSED,
                                  "%s claims to be %s of %s, more than can be addressed; it has %" PRIu64
                                  " bytes of data",
                                  name, dcnv4i_dtype_name(npy->dtype), shape, has);
        needs *= (uint64_t)npy->shape[i];
    }
    if (empty)
        needs = 0;
    if (has != needs)
        return dcnv4i_verdict(DCNV4I_REFUSED, "%s %s: %s of %s needs %" PRIu64 " bytes of data, it has %" PRIu64, name,
                              has < needs ? "is cut short" : "has trailing bytes", dcnv4i_dtype_name(npy->dtype), shape,
                              needs, has);
    npy->bytes = (size_t)needs;
    npy->elements = (size_t)(needs / item);
    return DCNV4I_DONE;
}

dcnv4i_exit dcnv4i_npy_parse(const char *name, dcnv4i_npy_kind kind, const unsigned char *front, size_t available,
                             uint64_t file_length, dcnv4i_npy *npy) {
    *npy = (dcnv4i_npy){0};
    if (available == 0)
        return dcnv4i_verdict(DCNV4I_REFUSED, "%s is empty (0 bytes); a .npy file is needed", name);
    if (available < 6 || memcmp(front, "\x93NUMPY", 6) != 0)
        return dcnv4i_verdict(DCNV4I_REFUSED, "%s is not a .npy file: it does not begin with \"\\x93NUMPY\"", name);
    const size_t prefix = available >= 7 && front[6] == 1 ? 10 : 12;
    if (available < prefix)
        return dcnv4i_verdict(DCNV4I_REFUSED, "%s is cut short: it has %zu bytes, its front alone needs %zu", name,
                              available, prefix);
    if (front[6] < 1 || front[6] > 3 || front[7] != 0)
        return dcnv4i_verdict(DCNV4I_REFUSED, "%s is of .npy version %d.%d; 1.0, 2.0 and 3.0 are known", name, front[6],
                              front[7]);
    size_t length = front[8] | (size_t)front[9] << 8;
    if (prefix == 12)
        length |= (size_t)front[10] << 16 | (size_t)front[11] << 24;
    if (length > DCNV4I_NPY_HEADER)
        return dcnv4i_verdict(DCNV4I_REFUSED, "%s has a header of %zu bytes; at most %d are read", name, length,
                              DCNV4I_NPY_HEADER);
    if (length > available - prefix)
        return dcnv4i_verdict(DCNV4I_REFUSED, "%s is cut short: its header needs %zu bytes, %zu are there", name,
                              length, available - prefix);
    npy->start = prefix + length;
    scanner s = {name, kind, (const char *)front + prefix, (const char *)front + npy->start};
    const dcnv4i_exit verdict = read_dictionary(&s, npy);
    return verdict == DCNV4I_DONE ? check_length(name, file_length, npy) : verdict;
}

/* ---- Files ------------------------------------------------------------------------------------------------------- */

static dcnv4i_exit parse_file(const char *path, dcnv4i_npy_kind kind, FILE *file, uint64_t length, dcnv4i_npy *npy) {
    const size_t most = length < DCNV4I_NPY_FRONT ? (size_t)length : DCNV4I_NPY_FRONT;
    unsigned char *front = malloc(most + 1);
    if (!front)
        return dcnv4i_verdict(DCNV4I_BROKEN, "%s: no memory for %zu bytes of its front", path, most);
    const size_t available = fread(front, 1, most, file);
    const dcnv4i_exit verdict = ferror(file) ? dcnv4i_verdict(DCNV4I_BROKEN, "%s: %s", path, strerror(errno))
                                             : dcnv4i_npy_parse(path, kind, front, available, length, npy);
    free(front);
    return verdict;
}

dcnv4i_exit dcnv4i_npy_open(const char *path, dcnv4i_npy_kind kind, dcnv4i_npy *npy, FILE **file) {
    dcnv4i_entry entry;
    FILE *const opened = dcnv4i_regular_open(path, &entry);
    if (!opened && entry.kind)
        return dcnv4i_verdict(DCNV4I_REFUSED, "%s is %s; a regular .npy file is needed", path, entry.kind);
    if (!opened)
        return dcnv4i_verdict(DCNV4I_REFUSED, "%s: %s", path, strerror(errno));
    const dcnv4i_exit verdict = parse_file(path, kind, opened, entry.length, npy);
    if (verdict == DCNV4I_DONE)
        *file = opened;
    else
        fclose(opened);
    return verdict;
}

dcnv4i_exit dcnv4i_npy_read(const char *path, FILE *file, const dcnv4i_npy *npy, void *data) {
    if (npy->bytes == 0)
        return DCNV4I_DONE;
    if (fseeko(file, (off_t)npy->start, SEEK_SET) != 0)
        return dcnv4i_verdict(DCNV4I_BROKEN, "%s: %s", path, strerror(errno));
    const size_t had = fread(data, 1, npy->bytes, file);
    if (had != npy->bytes)
        return dcnv4i_verdict(DCNV4I_BROKEN, "%s: %zu bytes of data were read, %zu are needed", path, had, npy->bytes);
    return DCNV4I_DONE;
}

bool dcnv4i_npy_write(FILE *file, int32_t dtype, int rank, const int64_t *shape, const void *data, size_t bytes) {
    char header[512];
    const char *descr = "";
    for (int i = 0; i < DTYPES; ++i)
        if (dtypes[i].dtype == dtype && dtypes[i].descr)
            descr = dtypes[i].descr;
    int used = snprintf(header, sizeof header, "{'descr': '%s', 'fortran_order': False, 'shape': (", descr);
    for (int i = 0; i < rank; ++i)
        used += snprintf(header + used, sizeof header - (size_t)used, "%" PRId64 "%s", shape[i],
                         i < rank - 1 ? ", "
                         : rank == 1  ? ","
                                      : "");
    used += snprintf(header + used, sizeof header - (size_t)used, "), }");
    /* The data begins at a multiple of 64 bytes, after 10 bytes of prefix; the header ends in a newline. */
    const int total = (10 + used + 1 + 63) / 64 * 64 - 10;
    const unsigned char prefix[10] = {
        0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, (unsigned char)total, (unsigned char)(total >> 8)};
    fwrite(prefix, 1, sizeof prefix, file);
    fprintf(file, "%s%*s\n", header, total - used - 1, "");
    if (bytes > 0)
        fwrite(data, 1, bytes, file);
    return !ferror(file);
}
