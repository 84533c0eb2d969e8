#include "arguments.h"

static void push_buffer(bool pointer_handles, const dcnv4i_span *span, dcnv4i_argument *argument) {
    argument[0] = (dcnv4i_argument){.is_handle = true,
                                    .handle = pointer_handles ? (char *)span->handle + span->offset : span->handle};
    argument[1] = (dcnv4i_argument){.number = pointer_handles ? 0 : (int64_t)(span->offset / span->item)};
}

void dcnv4i_push_arguments(bool pointer_handles, const dcnv4i_signature *signature,
                           const dcnv4i_span buffers[DCNV4I_MAX_BUFFERS], const int64_t numbers[DCNV4I_MAX_NUMBERS],
                           dcnv4i_launch *launch) {
    int count = 0;
    for (int i = 0; i < signature->count; ++i) {
        const int id = signature->list[i];
        if (id < DCNV4I_MAX_BUFFERS) {
            push_buffer(pointer_handles, &buffers[id], &launch->arguments[count]);
            count += 2;
        } else
            launch->arguments[count++] = (dcnv4i_argument){.number = numbers[id - DCNV4I_MAX_BUFFERS]};
    }
    launch->argument_count = count;
}
