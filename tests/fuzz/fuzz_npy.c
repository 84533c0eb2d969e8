/* Any bytes as a .npy file: accepted files are consistent, others are refused with one line that names the file. */
#include "../../tools/tensors/npy.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REQUIRE(condition) ((condition) ? (void)0 : abort())

static void check_taken(const dcnv4i_npy *npy, dcnv4i_npy_kind kind, size_t size) {
    unsigned __int128 elements = 1;
    const bool is_float = npy->dtype == DCNV4_FLOAT16 || npy->dtype == DCNV4_FLOAT32 || npy->dtype == DCNV4_FLOAT64;
    REQUIRE(kind == DCNV4I_INTEGERS ? npy->dtype == DCNV4I_INT64 : is_float);
    REQUIRE(npy->rank >= 0 && npy->rank <= DCNV4I_NPY_RANK);
    for (int i = 0; i < npy->rank; ++i) {
        REQUIRE(npy->shape[i] >= 0);
        elements *= (unsigned __int128)npy->shape[i];
        if (elements == 0)
            break;
        REQUIRE(elements <= size);
    }
    REQUIRE(npy->elements == elements);
    REQUIRE(npy->bytes == npy->elements * dcnv4i_dtype_bytes(npy->dtype));
    REQUIRE(npy->start >= 10 && npy->start + npy->bytes == size);
}

static void check_refused(const char *line) {
    REQUIRE(strstr(line, "some.npy") != NULL);
    for (; *line; ++line)
        REQUIRE((unsigned char)*line >= ' ' && *line != 127);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    for (int kind = DCNV4I_FLOATS; kind <= DCNV4I_INTEGERS; ++kind) {
        dcnv4i_npy npy;
        const dcnv4i_exit verdict = dcnv4i_npy_parse("some.npy", (dcnv4i_npy_kind)kind, data, size, size, &npy);
        REQUIRE(verdict == DCNV4I_DONE || verdict == DCNV4I_REFUSED);
        if (verdict == DCNV4I_DONE)
            check_taken(&npy, (dcnv4i_npy_kind)kind, size);
        else
            check_refused(dcnv4i_verdict_line());
    }
    return 0;
}
