/* What a launch passes to its kernel: what of the operator's buffers and numbers is in the kernel's list, in that order. */
#ifndef DCNV4I_ARGUMENTS_H
#define DCNV4I_ARGUMENTS_H

#include "driver.h"

/* The most that an operator has for its kernels; a number's id in a list begins at DCNV4I_MAX_BUFFERS. */
enum { DCNV4I_MAX_BUFFERS = 16, DCNV4I_MAX_NUMBERS = 32 };

/* A kernel's list: buffers by their id, numbers by theirs and DCNV4I_MAX_BUFFERS more. */
typedef struct dcnv4i_signature {
    const char *name; /* "FORWARD" */
    int count;
    const unsigned char *list;
} dcnv4i_signature;

/* Part of a buffer, which begins at an offset of bytes and has elements of item bytes. */
typedef struct dcnv4i_span {
    void *handle;
    size_t offset, item;
} dcnv4i_span;

/* Sets a launch's arguments. A buffer becomes two: its handle, and the element that the span begins at. Where handles are
 * addresses, that sum is the first and the second is 0, since an address may be no multiple of item where the sum is one. */
void dcnv4i_push_arguments(bool pointer_handles, const dcnv4i_signature *signature,
                           const dcnv4i_span buffers[DCNV4I_MAX_BUFFERS], const int64_t numbers[DCNV4I_MAX_NUMBERS],
                           dcnv4i_launch *launch);

/* From a list of backends/kernels: a buffer is B(id, type, name), a number N(id, name). An operator's buffer ids are
 * DCNV4I_BUFFER_id, its number ids DCNV4I_NUMBER_id. */
#define DCNV4I_ENTRY_OF_BUFFER(id, type, name) DCNV4I_BUFFER_##id
#define DCNV4I_ENTRY_OF_NUMBER(id, name) DCNV4I_MAX_BUFFERS + DCNV4I_NUMBER_##id
#define DCNV4I_LIST_OF(kernel) {DCN_ARGUMENTS_##kernel(DCNV4I_ENTRY_OF_BUFFER, DCNV4I_ENTRY_OF_NUMBER)}

#endif
