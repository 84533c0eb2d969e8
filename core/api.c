/* The public functions of runtime.h: each checks its arguments and calls an internal function, in the default
 * floating-point environment where that computes, formats text or calls a driver. */
#include "api.h"
#include "element.h"
#include "platform.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- Devices and contexts ---------------------------------------------------------------------------------------- */

int64_t dcnv4_device_count(void) {
    int64_t count;
    DCNV4I_IN_DEFAULT_ENVIRONMENT(count = dcnv4i_device_count());
    return count;
}

/* Copies *from to the caller's struct, which may be of another version: to->size stays as it is. */
static void hand_over(dcnv4_device_info *to, dcnv4_device_info *from) {
    from->size = to->size;
    memcpy(to, from, to->size < sizeof *from ? to->size : sizeof *from);
}

dcnv4_status dcnv4_device_info_get(int64_t index, dcnv4_device_info *info) {
    REQUIRE(info);
    dcnv4_device_info found = DCNV4_DEVICE_INFO_INIT;
    dcnv4_status status = dcnv4i_check_size("dcnv4_device_info", info->size, sizeof found);
    if (status == DCNV4_SUCCESS)
        DCNV4I_IN_DEFAULT_ENVIRONMENT(status = dcnv4i_device_info(index, &found));
    if (status == DCNV4_SUCCESS)
        hand_over(info, &found);
    return status;
}

dcnv4_status dcnv4_context_create(const char *device, dcnv4_context **context) {
    REQUIRE(context);
    *context = NULL;
    REQUIRE(device);
    dcnv4_status status;
    DCNV4I_IN_DEFAULT_ENVIRONMENT(status = dcnv4i_context_open(device, context));
    return status;
}

dcnv4_status dcnv4_context_adopt_opencl(void *cl_context, void *cl_device_id, dcnv4_context **context) {
    REQUIRE(context);
    *context = NULL;
    REQUIRE(cl_context);
    REQUIRE(cl_device_id);
    dcnv4_status status;
    DCNV4I_IN_DEFAULT_ENVIRONMENT(status = dcnv4i_context_adopt("opencl", cl_context, cl_device_id, context));
    return status;
}

dcnv4_status dcnv4_context_adopt_cuda(dcnv4_context **context) {
    REQUIRE(context);
    *context = NULL;
    dcnv4_status status;
    DCNV4I_IN_DEFAULT_ENVIRONMENT(status = dcnv4i_context_adopt("cuda", NULL, NULL, context));
    return status;
}

dcnv4_status dcnv4_context_adopt_hip(dcnv4_context **context) {
    REQUIRE(context);
    *context = NULL;
    dcnv4_status status;
    DCNV4I_IN_DEFAULT_ENVIRONMENT(status = dcnv4i_context_adopt("hip", NULL, NULL, context));
    return status;
}

dcnv4_status dcnv4_context_set_threads(dcnv4_context *context, int32_t threads) {
    REQUIRE(context);
    if (threads < 0 || threads > 1024)
        return dcnv4i_fail(DCNV4_INVALID_ARGUMENT, "threads is %" PRId32 ", 0 to 1024 are possible", threads);
    dcnv4_status status = DCNV4_SUCCESS;
    if (context->backend->device_set_threads)
        DCNV4I_IN_DEFAULT_ENVIRONMENT(status = context->backend->device_set_threads(context->device, threads));
    return status;
}

dcnv4_status dcnv4_context_info(const dcnv4_context *context, dcnv4_device_info *info) {
    REQUIRE(context);
    REQUIRE(info);
    dcnv4_device_info found = DCNV4_DEVICE_INFO_INIT;
    const dcnv4_status status = dcnv4i_check_size("dcnv4_device_info", info->size, sizeof found);
    if (status != DCNV4_SUCCESS)
        return status;
    DCNV4I_IN_DEFAULT_ENVIRONMENT(context->backend->device_describe(context->device, &found));
    hand_over(info, &found);
    return DCNV4_SUCCESS;
}

dcnv4_status dcnv4_synchronize(dcnv4_context *context) {
    REQUIRE(context);
    dcnv4_status status = DCNV4_SUCCESS;
    if (context->backend->device_synchronize)
        DCNV4I_IN_DEFAULT_ENVIRONMENT(status = context->backend->device_synchronize(context->device));
    return status;
}

void dcnv4_context_destroy(dcnv4_context *context) {
    if (context)
        DCNV4I_IN_DEFAULT_ENVIRONMENT(dcnv4i_context_release(context));
}

/* ---- Plans ------------------------------------------------------------------------------------------------------- */

size_t dcnv4_plan_workspace_size(const dcnv4_plan *plan, dcnv4_pass pass) {
    if (!plan || !dcnv4i_plan_has_pass(plan, pass))
        return 0;
    return plan->context->backend->workspace_size(plan->program, pass);
}

int64_t dcnv4_kernel_count(const dcnv4_plan *plan) {
    return plan && plan->context->backend->kernel_count ? plan->context->backend->kernel_count(plan->program) : 0;
}

dcnv4_status dcnv4_kernel_info_get(const dcnv4_plan *plan, int64_t index, dcnv4_kernel_info *info) {
    REQUIRE(plan);
    REQUIRE(info);
    dcnv4_kernel_info found = DCNV4_KERNEL_INFO_INIT;
    const int64_t count = dcnv4_kernel_count(plan);
    const dcnv4_status status = dcnv4i_check_size("dcnv4_kernel_info", info->size, sizeof found);
    if (status != DCNV4_SUCCESS)
        return status;
    if (index < 0 || index >= count)
        return dcnv4i_fail(DCNV4_INVALID_ARGUMENT, "there is no kernel number %" PRId64 ", the plan has %" PRId64,
                           index, count);
    DCNV4I_IN_DEFAULT_ENVIRONMENT(plan->context->backend->kernel_info(plan->program, index, &found));
    found.size = info->size;
    memcpy(info, &found, sizeof found);
    return DCNV4_SUCCESS;
}

int64_t dcnv4_tactic_count(const dcnv4_plan *plan, int32_t part) {
    if (!plan || plan->part >= 0 || !plan->context->backend->tactic_count || part < 0 ||
        part >= plan->problem->op->part_count || !dcnv4i_plan_has_pass(plan, plan->problem->op->part_pass[part]))
        return 0;
    int64_t count;
    DCNV4I_IN_DEFAULT_ENVIRONMENT(count = plan->context->backend->tactic_count(plan->program, part));
    return count;
}

static dcnv4_status check_tactic(const dcnv4_plan *plan, int part, int64_t index) {
    const int64_t count = dcnv4_tactic_count(plan, part);
    if (index >= 0 && index < count)
        return DCNV4_SUCCESS;
    return dcnv4i_fail(DCNV4_INVALID_ARGUMENT,
                       "there is no tactic number %" PRId64 " for part %d, the plan has %" PRId64, index, (int)part,
                       count);
}

dcnv4_status dcnv4_tactic_info_get(const dcnv4_plan *plan, int32_t part, int64_t index, dcnv4_tactic_info *info) {
    REQUIRE(plan);
    REQUIRE(info);
    dcnv4_tactic_info found = DCNV4_TACTIC_INFO_INIT;
    dcnv4_status status = dcnv4i_check_size("dcnv4_tactic_info", info->size, sizeof found);
    if (status == DCNV4_SUCCESS)
        status = check_tactic(plan, part, index);
    if (status != DCNV4_SUCCESS)
        return status;
    DCNV4I_IN_DEFAULT_ENVIRONMENT(plan->context->backend->tactic_info(plan->program, part, index, &found));
    found.size = info->size;
    memcpy(info, &found, sizeof found);
    return DCNV4_SUCCESS;
}

dcnv4_status dcnv4_tactic_create(const dcnv4_plan *plan, int32_t part, int64_t index, dcnv4_plan **tactic) {
    REQUIRE(tactic);
    *tactic = NULL;
    REQUIRE(plan);
    dcnv4_status status = check_tactic(plan, part, index);
    if (status == DCNV4_SUCCESS)
        DCNV4I_IN_DEFAULT_ENVIRONMENT(status = dcnv4i_plan_open_tactic(plan, part, index, tactic));
    return status;
}

dcnv4_status dcnv4_tactic_save(const dcnv4_plan *plan, int32_t part, int64_t index) {
    REQUIRE(plan);
    dcnv4_status status = check_tactic(plan, part, index);
    if (status == DCNV4_SUCCESS)
        DCNV4I_IN_DEFAULT_ENVIRONMENT(status = plan->context->backend->tactic_save(plan->program, part, index));
    return status;
}

void dcnv4_plan_destroy(dcnv4_plan *plan) {
    if (plan)
        DCNV4I_IN_DEFAULT_ENVIRONMENT(dcnv4i_plan_close(plan));
}

/* ---- Memory ------------------------------------------------------------------------------------------------------ */

dcnv4_status dcnv4_buffer_create(dcnv4_context *context, size_t length, dcnv4_buffer *buffer) {
    REQUIRE(buffer);
    *buffer = (dcnv4_buffer){NULL, 0, 0};
    REQUIRE(context);
    if (length == 0)
        return DCNV4_SUCCESS;
    void *handle = NULL;
    if (!context->backend->on_host) {
        dcnv4_status status;
        DCNV4I_IN_DEFAULT_ENVIRONMENT(status = context->backend->buffer_create(context->device, length, &handle));
        if (status != DCNV4_SUCCESS)
            return status;
    } else if (!(handle = dcnv4i_aligned_allocate(64, length))) {
        return dcnv4i_fail(DCNV4_OUT_OF_MEMORY, "no memory for a buffer of %zu bytes", length);
    }
    *buffer = (dcnv4_buffer){handle, 0, length};
    return DCNV4_SUCCESS;
}

void dcnv4_buffer_destroy(dcnv4_context *context, dcnv4_buffer *buffer) {
    if (!context || !buffer)
        return;
    if (context->backend->on_host)
        dcnv4i_aligned_free(buffer->handle);
    else if (buffer->handle)
        DCNV4I_IN_DEFAULT_ENVIRONMENT(context->backend->buffer_destroy(context->device, buffer->handle));
    *buffer = (dcnv4_buffer){NULL, 0, 0};
}

static dcnv4_status check_copy(const char *function, const dcnv4_buffer *buffer, size_t length) {
    if (length > 0 && !buffer->handle)
        return dcnv4i_fail(DCNV4_INVALID_ARGUMENT, "%s: the buffer is empty, %zu bytes were asked for", function,
                           length);
    if (buffer->length < length)
        return dcnv4i_fail(DCNV4_INVALID_ARGUMENT, "%s: the buffer has %zu bytes, %zu were asked for", function,
                           buffer->length, length);
    return DCNV4_SUCCESS;
}

dcnv4_status dcnv4_upload(dcnv4_context *context, const dcnv4_buffer *buffer, const void *source, size_t length) {
    REQUIRE(context);
    REQUIRE(buffer);
    dcnv4_status status = check_copy(__func__, buffer, length);
    if (status != DCNV4_SUCCESS || length == 0)
        return status;
    REQUIRE(source);
    if (!context->backend->on_host)
        DCNV4I_IN_DEFAULT_ENVIRONMENT(status = context->backend->upload(context->device, buffer, source, length));
    else
        memcpy(dcnv4i_host_pointer(buffer), source, length);
    return status;
}

dcnv4_status dcnv4_download(dcnv4_context *context, const dcnv4_buffer *buffer, void *target, size_t length) {
    REQUIRE(context);
    REQUIRE(buffer);
    dcnv4_status status = check_copy(__func__, buffer, length);
    if (status != DCNV4_SUCCESS || length == 0)
        return status;
    REQUIRE(target);
    if (!context->backend->on_host)
        DCNV4I_IN_DEFAULT_ENVIRONMENT(status = context->backend->download(context->device, buffer, target, length));
    else
        memcpy(target, dcnv4i_host_pointer(buffer), length);
    return status;
}

static void convert(int32_t from, const void *source, int32_t to, void *target, size_t count) {
    for (size_t i = 0; i < count; ++i)
        dcnv4i_element_write(to, target, (int64_t)i, dcnv4i_element_read(from, source, (int64_t)i));
}

dcnv4_status dcnv4_convert(int32_t from, const void *source, int32_t to, void *target, size_t count) {
    const size_t from_size = dcnv4i_dtype_size(from), to_size = dcnv4i_dtype_size(to);
    if (from_size == 0 || to_size == 0)
        return dcnv4i_fail(DCNV4_INVALID_ARGUMENT, "dcnv4_convert: dtype is %" PRId32 ", known are 0 to %d",
                           from_size == 0 ? from : to, DCNV4_FLOAT64);
    if (count == 0)
        return DCNV4_SUCCESS;
    REQUIRE(source);
    REQUIRE(target);
    if (from == to) {
        memmove(target, source, count * to_size);
        return DCNV4_SUCCESS;
    }
    DCNV4I_IN_DEFAULT_ENVIRONMENT(convert(from, source, to, target, count));
    return DCNV4_SUCCESS;
}
