/* Tensors in .npy files: versions 1.0, 2.0 and 3.0; float16, float32 and float64, or int64; C order; little-endian. Any other
 * file is refused with a message, before any of its data is read. */
#ifndef DCNV4I_NPY_H
#define DCNV4I_NPY_H

#include "../output/verdict.h"

#include <stdbool.h>
#include <stdio.h>

enum {
    DCNV4I_NPY_RANK = 8,                      /* more dimensions are refused */
    DCNV4I_NPY_HEADER = 65535,                /* a longer header is refused; this is the longest of version 1.0 */
    DCNV4I_NPY_FRONT = 12 + DCNV4I_NPY_HEADER /* the data of an accepted file begins within these bytes */
};

enum { DCNV4I_INT64 = 100 }; /* beside the values of dcnv4_dtype */

/* Which elements a file must have. */
typedef enum dcnv4i_npy_kind { DCNV4I_FLOATS, DCNV4I_INTEGERS } dcnv4i_npy_kind;

/* What the front of a file (prefix and header) describes. */
typedef struct dcnv4i_npy {
    int32_t dtype; /* DCNV4_FLOAT16, DCNV4_FLOAT32 or DCNV4_FLOAT64; or DCNV4I_INT64 */
    int rank;
    int64_t shape[DCNV4I_NPY_RANK];
    size_t elements;
    size_t start; /* where the data begins, in bytes */
    size_t bytes; /* its length: exactly the rest of the file */
} dcnv4i_npy;

/* Parses the front of a file of file_length bytes, of which the first `available` are given: all, or at least
 * DCNV4I_NPY_FRONT. name is the file's, for the verdict's line. */
dcnv4i_exit dcnv4i_npy_parse(const char *name, dcnv4i_npy_kind kind, const unsigned char *front, size_t available,
                             uint64_t file_length, dcnv4i_npy *npy);

/* Opens a file and reads its front. *file is set only on DCNV4I_DONE; the caller closes it. */
dcnv4i_exit dcnv4i_npy_open(const char *path, dcnv4i_npy_kind kind, dcnv4i_npy *npy, FILE **file);

/* Reads the data of an opened file: npy->bytes bytes into data. */
dcnv4i_exit dcnv4i_npy_read(const char *path, FILE *file, const dcnv4i_npy *npy, void *data);

/* Writes a version 1.0 file; false if the stream had an error. */
bool dcnv4i_npy_write(FILE *file, int32_t dtype, int rank, const int64_t *shape, const void *data, size_t bytes);

/* "[1, 64, 96, 112]" into text, which is returned. */
const char *dcnv4i_npy_shape(int rank, const int64_t *shape, char *text, size_t size);

/* "float16", … */
const char *dcnv4i_dtype_name(int32_t dtype);

/* Bytes of one element. */
size_t dcnv4i_dtype_bytes(int32_t dtype);

#endif
