#include "buffers.h"

/* What a run accesses of one buffer: rows of `row` bytes, `stride` bytes apart, within [begin, begin + bytes). */
typedef struct region {
    const char *name;
    dcnv4_buffer *buffer;
    uintptr_t begin;
    size_t bytes, row, stride;
    size_t alignment;
    bool written;
} region;

static region tensor_region(const dcnv4_plan *plan, dcnv4_pass pass, int id, dcnv4i_buffers *buffers) {
    const dcnv4i_operator *op = plan->problem->op;
    const dcnv4i_tensor *tensor = &plan->problem->tensors[id];
    return (region){
        .name = op->tensor_names[id],
        .buffer = &buffers->tensors[id],
        .bytes = tensor->bytes,
        .row = (size_t)tensor->row * tensor->item,
        .stride = (size_t)tensor->stride * tensor->item,
        .alignment = tensor->item,
        .written = op->writes[pass] >> id & 1,
    };
}

static region workspace_region(const dcnv4_plan *plan, dcnv4_pass pass, dcnv4i_buffers *buffers) {
    const size_t bytes = plan->context->backend->workspace_size(plan->program, pass);
    return (region){"workspace", &buffers->workspace, 0, bytes, bytes, bytes, 1, true};
}

/* Checks a region and sets its begin: an address, or the offset where handles are not addresses. */
static dcnv4_status check_region(region *r, bool pointer_handles) {
    const dcnv4_buffer *buffer = r->buffer;
    if (r->bytes == 0) {
        *r->buffer = (dcnv4_buffer){NULL, 0, 0};
        return DCNV4_SUCCESS;
    }
    if (!buffer->handle)
        return dcnv4i_fail(DCNV4_INVALID_ARGUMENT, "%s has no buffer, %zu bytes are needed", r->name, r->bytes);
    if (buffer->length < r->bytes)
        return dcnv4i_fail(DCNV4_INVALID_ARGUMENT, "%s has %zu bytes, %zu are needed", r->name, buffer->length,
                           r->bytes);
    r->begin = (pointer_handles ? (uintptr_t)buffer->handle : 0) + buffer->offset;
    if (r->begin < buffer->offset || r->begin > UINTPTR_MAX - buffer->length)
        return dcnv4i_fail(DCNV4_INVALID_ARGUMENT, "%s at offset %zu with %zu bytes reaches past the end of memory",
                           r->name, buffer->offset, buffer->length);
    if (r->begin % r->alignment != 0)
        return dcnv4i_fail(DCNV4_INVALID_ARGUMENT,
                           "%s begins %zu bytes past a multiple of its element size, which is %zu", r->name,
                           (size_t)(r->begin % r->alignment), r->alignment);
    return DCNV4_SUCCESS;
}

/* Whether rows of a and rows of b share a byte. The rows of slices of one wider tensor are interleaved, so regions of
 * equal stride are compared modulo the stride; others overlap if their ranges do. */
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

/* Checks regions[count − 1] against those before it. */
static dcnv4_status check_overlaps(const region *regions, int count, bool pointer_handles) {
    const region *const last = &regions[count - 1];
    for (const region *other = regions; other < last; ++other)
        if ((last->written || other->written) && overlap(last, other, pointer_handles))
            return dcnv4i_fail(DCNV4_INVALID_ARGUMENT, "%s (%zu bytes) overlaps %s (%zu bytes)", last->name,
                               last->bytes, other->name, other->bytes);
    return DCNV4_SUCCESS;
}

dcnv4_status dcnv4i_buffers_check(const dcnv4_plan *plan, dcnv4_pass pass, dcnv4i_buffers *buffers) {
    const dcnv4i_operator *const op = plan->problem->op;
    const bool pointer_handles = plan->context->backend->pointer_handles;
    const unsigned used = op->reads[pass] | op->writes[pass];
    region regions[DCNV4I_MAX_TENSORS + 1];
    int count = 0;
    dcnv4_status status = DCNV4_SUCCESS;
    for (int id = 0; id <= op->tensor_count && status == DCNV4_SUCCESS; ++id) {
        if (id < op->tensor_count && !(used >> id & 1))
            continue;
        regions[count++] = id == op->tensor_count ? workspace_region(plan, pass, buffers)
                                                  : tensor_region(plan, pass, id, buffers);
        status = check_region(&regions[count - 1], pointer_handles);
        if (status == DCNV4_SUCCESS)
            status = check_overlaps(regions, count, pointer_handles);
    }
    return status;
}
