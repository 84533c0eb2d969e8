#include "buffers.h"

/* What a run touches of one buffer: rows of `row` bytes, `stride` bytes apart, within [begin, begin + bytes). */
typedef struct region {
    const char *name;
    dcnv4_buffer *buffer;
    uintptr_t begin;
    size_t bytes, row, stride;
    size_t alignment;
    bool written;
} region;

static region tensor_region(const dcnv4_plan *plan, dcnv4i_tensor_id id, dcnv4_buffers *buffers) {
    dcnv4_buffer *const given[DCNV4I_TENSORS] = {
        &buffers->value,       &buffers->offset_mask, &buffers->output,
        &buffers->grad_output, &buffers->grad_value,  &buffers->grad_offset_mask,
    };
    const dcnv4i_tensor *tensor = &plan->problem.tensors[id];
    const size_t item = tensor->item;
    return (region){
        .name = dcnv4i_tensor_name(id),
        .buffer = given[id],
        .bytes = tensor->bytes,
        .row = (size_t)tensor->row * item,
        .stride = (size_t)tensor->stride * item,
        .alignment = item,
        .written = id == DCNV4I_OUTPUT || id == DCNV4I_GRAD_VALUE || id == DCNV4I_GRAD_OFFSET_MASK,
    };
}

static region workspace_region(const dcnv4_plan *plan, dcnv4_pass pass, dcnv4_buffers *buffers) {
    const size_t bytes = plan->context->backend->workspace_size(plan->program, pass);
    return (region){"workspace", &buffers->workspace, 0, bytes, bytes, bytes, 1, true};
}

/* Sets part->begin: an address, or the offset where a handle is no address. */
static dcnv4_status check_region(region *part, bool pointer_handles) {
    const dcnv4_buffer *buffer = part->buffer;
    if (part->bytes == 0) {
        *part->buffer = (dcnv4_buffer){NULL, 0, 0};
        return DCNV4_SUCCESS;
    }
    if (!buffer->handle)
        return dcnv4i_fail(DCNV4_INVALID_ARGUMENT, "%s has no buffer, %zu bytes are needed", part->name, part->bytes);
    if (buffer->length < part->bytes)
        return dcnv4i_fail(DCNV4_INVALID_ARGUMENT, "%s has %zu bytes, %zu are needed", part->name, buffer->length,
                           part->bytes);
    part->begin = (pointer_handles ? (uintptr_t)buffer->handle : 0) + buffer->offset;
    if (part->begin < buffer->offset || part->begin > UINTPTR_MAX - buffer->length)
        return dcnv4i_fail(DCNV4_INVALID_ARGUMENT, "%s at offset %zu with %zu bytes reaches past the end of memory",
                           part->name, buffer->offset, buffer->length);
    if (part->begin % part->alignment != 0)
        return dcnv4i_fail(DCNV4_INVALID_ARGUMENT,
                           "%s begins %zu bytes past a multiple of its element size, which is %zu", part->name,
                           (size_t)(part->begin % part->alignment), part->alignment);
    return DCNV4_SUCCESS;
}

/* Whether rows of a and rows of b share a byte. Slices of one wider tensor lie between each other's rows, so regions of
 * equal stride are compared modulo the stride; other pairs count as sharing where their ranges do. */
static bool overlap(const region *a, const region *b, bool pointer_handles) {
    if (a->bytes == 0 || b->bytes == 0 || (!pointer_handles && a->buffer->handle != b->buffer->handle))
        return false;
    if (a->begin > b->begin) {
        const region *later = a;
        a = b;
        b = later;
    }
    const uintptr_t distance = b->begin - a->begin;
    if (distance >= a->bytes)
        return false;
    if (a->stride != b->stride)
        return true;
    return distance % a->stride < a->row || a->stride - distance % a->stride < b->row;
}

dcnv4_status dcnv4i_buffers_check(const dcnv4_plan *plan, dcnv4_pass pass, dcnv4_buffers *buffers) {
    static const dcnv4i_tensor_id forward[] = {DCNV4I_VALUE, DCNV4I_OFFSET_MASK, DCNV4I_OUTPUT};
    static const dcnv4i_tensor_id backward[] = {DCNV4I_VALUE, DCNV4I_OFFSET_MASK, DCNV4I_GRAD_OUTPUT, DCNV4I_GRAD_VALUE,
                                                DCNV4I_GRAD_OFFSET_MASK};
    const bool back = pass == DCNV4_PASS_BACKWARD;
    const int tensors = back ? sizeof backward / sizeof *backward : sizeof forward / sizeof *forward;
    const bool pointer_handles = plan->context->backend->pointer_handles;
    region parts[DCNV4I_TENSORS + 1];
    for (int i = 0; i <= tensors; ++i) {
        region *part = &parts[i];
        *part = i == tensors ? workspace_region(plan, pass, buffers)
                             : tensor_region(plan, (back ? backward : forward)[i], buffers);
        const dcnv4_status status = check_region(part, pointer_handles);
        if (status != DCNV4_SUCCESS)
            return status;
        for (const region *other = parts; other < part; ++other)
            if ((part->written || other->written) && overlap(part, other, pointer_handles))
                return dcnv4i_fail(DCNV4_INVALID_ARGUMENT, "%s (%zu bytes) overlaps %s (%zu bytes)", part->name,
                                   part->bytes, other->name, other->bytes);
    }
    return DCNV4_SUCCESS;
}
