#include "device_run.h"

device_run device_run_make(const test_layer *layer, const char *device) {
    device_run run = {NULL, NULL, DCNV4_BUFFERS_INIT};
    ASSERT_SUCCESS(dcnv4_context_create(device, &run.context));
    ASSERT_SUCCESS(dcnv4_plan_create(run.context, &layer->problem, &run.plan));
    for (int i = 0; i <= WORKSPACE; ++i) {
        const size_t bytes = i < TENSORS ? layer->bytes[i] : dcnv4_plan_workspace_size(run.plan, DCNV4_PASS_BACKWARD);
        ASSERT_SUCCESS(dcnv4_buffer_create(run.context, bytes, buffer_of(&run.buffers, i)));
        if (i < TENSORS)
            device_run_upload(&run, layer, i);
    }
    return run;
}

void device_run_free(device_run *run) {
    for (int i = 0; i <= WORKSPACE; ++i)
        dcnv4_buffer_destroy(run->context, buffer_of(&run->buffers, i));
    dcnv4_plan_destroy(run->plan);
    dcnv4_context_destroy(run->context);
}

void device_run_upload(device_run *run, const test_layer *layer, int tensor) {
    ASSERT_SUCCESS(
        dcnv4_upload(run->context, buffer_of(&run->buffers, tensor), layer->tensors[tensor], layer->bytes[tensor]));
}

void device_run_download(device_run *run, test_layer *layer, int tensor) {
    ASSERT_SUCCESS(
        dcnv4_download(run->context, buffer_of(&run->buffers, tensor), layer->tensors[tensor], layer->bytes[tensor]));
}
