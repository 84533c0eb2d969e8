/* A layer made ready on any device, in the device's own memory. */
#ifndef TESTS_DEVICE_RUN_H
#define TESTS_DEVICE_RUN_H

#include "test_layer.h"

/* A plan, and buffers with the layer's tensors; the workspace is enough for either pass. */
typedef struct device_run {
    dcnv4_context *context;
    dcnv4_plan *plan;
    dcnv4_buffers buffers;
} device_run;

device_run device_run_make(const test_layer *layer, const char *device);
void device_run_free(device_run *run);

/* Brings a tensor to the device, or back. */
void device_run_upload(device_run *run, const test_layer *layer, int tensor);
void device_run_download(device_run *run, test_layer *layer, int tensor);

#endif
