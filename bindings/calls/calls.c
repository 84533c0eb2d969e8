#include "calls.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

static _Atomic(plan_cache *) shared;

plan_cache *dcnv4_calls_cache(void) {
    plan_cache *cache = atomic_load(&shared);
    if (!cache) {
        plan_cache *const made = plan_cache_create();
        if (atomic_compare_exchange_strong(&shared, &cache, made))
            return made;
        plan_cache_destroy(made); /* another thread was first */
    }
    return cache;
}

static dcnv4_status no_cache(plan_call *call) {
    snprintf(call->message, sizeof call->message, "dcnv4: no memory for a cache of plans");
    return DCNV4_OUT_OF_MEMORY;
}

static dcnv4_status said(plan_call *call, dcnv4_status status) {
    snprintf(call->message, sizeof call->message, "dcnv4: %s", dcnv4_last_message());
    return status;
}

/* Runs and ends a found call. A GPU's workspace is allocated for the call: the driver frees memory when its kernels have
 * ended. */
static dcnv4_status run_in_place(plan_call *call, const plan_tensor *tensors, void *stream) {
    if (call->workspace == 0 || plan_call_on_host(call))
        return plan_run(call, tensors, NULL, stream);
    dcnv4_context *const context = plan_call_context(call);
    dcnv4_buffer workspace = {NULL, 0, 0};
    dcnv4_status status = dcnv4_buffer_create(context, call->workspace, &workspace);
    status = status == DCNV4_SUCCESS ? plan_start(call, tensors, workspace.handle, stream) : said(call, status);
    dcnv4_buffer_destroy(context, &workspace);
    plan_release(call);
    return status;
}

int32_t dcnv4_calls_conv(const dcnv4_problem *layer, const plan_tensor *tensors, plan_call *call, void *stream) {
    plan_cache *const cache = dcnv4_calls_cache();
    const dcnv4_status status = cache ? plan_conv_find(cache, layer, tensors, call) : no_cache(call);
    return status == DCNV4_SUCCESS ? run_in_place(call, tensors, stream) : status;
}

int32_t dcnv4_calls_attention(const dcnv4_msda_problem *layer, const plan_tensor *tensors, plan_call *call,
                              void *stream) {
    plan_cache *const cache = dcnv4_calls_cache();
    const dcnv4_status status = cache ? plan_attention_find(cache, layer, tensors, call) : no_cache(call);
    return status == DCNV4_SUCCESS ? run_in_place(call, tensors, stream) : status;
}

int32_t dcnv4_calls_conv_output(const dcnv4_problem *layer, const plan_tensor *tensors, int64_t *shape,
                                plan_call *call) {
    return plan_conv_output(layer, tensors, shape, call->message);
}

int32_t dcnv4_calls_attention_output(const dcnv4_msda_problem *layer, const plan_tensor *tensors, int64_t *shape,
                                     plan_call *call) {
    return plan_attention_output(layer, tensors, shape, call->message);
}

/* Runs a found call on copies of its tensors in the device's memory. Results are uploaded too: between their rows is what
 * must come back as it was. */
static dcnv4_status run_copied(plan_call *call, const plan_tensor *tensors, int count) {
    dcnv4_buffer copies[PLAN_ATTENTION_TENSORS + 1] = {{NULL, 0, 0}};
    plan_tensor moved[PLAN_ATTENTION_TENSORS];
    dcnv4_context *const context = plan_call_context(call);
    dcnv4_status status = DCNV4_SUCCESS;
    memcpy(moved, tensors, (size_t)count * sizeof *moved);
    for (int k = 0; k < count && status == DCNV4_SUCCESS; ++k) {
        const size_t bytes = plan_call_bytes(call, tensors, k);
        if (bytes == 0)
            continue;
        status = dcnv4_buffer_create(context, bytes, &copies[k]);
        moved[k].data = copies[k].handle;
        if (status == DCNV4_SUCCESS)
            status = dcnv4_upload(context, &copies[k], tensors[k].data, bytes);
    }
    if (status == DCNV4_SUCCESS && call->workspace > 0)
        status = dcnv4_buffer_create(context, call->workspace, &copies[count]);
    if (status != DCNV4_SUCCESS)
        said(call, status);
    else
        status = plan_start(call, moved, copies[count].handle, NULL);
    for (int k = 0; k < count && status == DCNV4_SUCCESS; ++k)
        if (copies[k].handle && plan_call_writes(call, k)) {
            status = dcnv4_download(context, &copies[k], tensors[k].data, copies[k].length);
            if (status != DCNV4_SUCCESS)
                said(call, status);
        }
    for (int k = 0; k <= count; ++k)
        dcnv4_buffer_destroy(context, &copies[k]);
    plan_release(call);
    return status;
}

int32_t dcnv4_calls_conv_copied(const dcnv4_problem *layer, const plan_tensor *tensors, plan_call *call) {
    plan_cache *const cache = dcnv4_calls_cache();
    const dcnv4_status status = cache ? plan_conv_find(cache, layer, tensors, call) : no_cache(call);
    return status == DCNV4_SUCCESS ? run_copied(call, tensors, PLAN_CONV_TENSORS) : status;
}

int32_t dcnv4_calls_attention_copied(const dcnv4_msda_problem *layer, const plan_tensor *tensors, plan_call *call) {
    plan_cache *const cache = dcnv4_calls_cache();
    const dcnv4_status status = cache ? plan_attention_find(cache, layer, tensors, call) : no_cache(call);
    return status == DCNV4_SUCCESS ? run_copied(call, tensors, PLAN_ATTENTION_TENSORS) : status;
}
