/* The arguments of a launch: the operator's buffers and numbers that are in the kernel's list, in that order. */
#ifndef DCNV4I_ARGUMENTS_H
#define DCNV4I_ARGUMENTS_H

#include "driver.h"

/* Limits for an operator. In a list, numbers' ids begin at DCNV4I_MAX_BUFFERS. */
enum { DCNV4I_MAX_BUFFERS = 16, DCNV4I_MAX_NUMBERS = 32 };

/* A kernel's list of arguments: a buffer's id, or DCNV4I_MAX_BUFFERS + a number's id. */
typedef struct dcnv4i_signature {
    const char *name; /* "FORWARD" */
    int count;
    const unsigned char *list;
} dcnv4i_signature;

/* A range of a buffer: it begins at an offset in bytes and has elements of item bytes. */
typedef struct dcnv4i_span {
    void *handle;
    size_t offset, item;
} dcnv4i_span;

/* Sets a launch's arguments. A buffer becomes two: its handle, and the index of the span's first element. Where handles
 * are addresses, these are handle + offset, and 0: only that sum need be a multiple of item, not the offset. */
void dcnv4i_push_arguments(bool pointer_handles, const dcnv4i_signature *signature,
                           const dcnv4i_span buffers[DCNV4I_MAX_BUFFERS], const int64_t numbers[DCNV4I_MAX_NUMBERS],
                           dcnv4i_launch *launch);

/* From a list of backends/kernels, which has B(id, type, name) for a buffer and N(id, name) for a number. An operator's
 * buffer ids are DCNV4I_BUFFER_id, its number ids DCNV4I_NUMBER_id. */
#define DCNV4I_ENTRY_OF_BUFFER(id, type, name) DCNV4I_BUFFER_##id
#define DCNV4I_ENTRY_OF_NUMBER(id, name) DCNV4I_MAX_BUFFERS + DCNV4I_NUMBER_##id
#define DCNV4I_LIST_OF(kernel) {DCN_ARGUMENTS_##kernel(DCNV4I_ENTRY_OF_BUFFER, DCNV4I_ENTRY_OF_NUMBER)}

#endif
