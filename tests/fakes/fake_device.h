/* A driver's devices, in terms that CUDA and HIP share: contexts, streams that run as late as possible, and capture.
 * Calls are counted by the APIs' functions, not here. */
#ifndef TESTS_FAKE_DEVICE_H
#define TESTS_FAKE_DEVICE_H

#include "fake_modules.h"

/* $FAKE_GPU_DEVICES, or 1; at most 4. */
int fake_device_count(void);

/* ---- Contexts: each has a device and a default stream, which waits for the others and they for it -------------------- */

fake_object *fake_context_make(int device);
int fake_context_device(const fake_object *context);
/* Runs everything that is queued in it. */
int32_t fake_context_synchronize(fake_object *context);

/* ---- Streams; a NULL one stands for the context's default ------------------------------------------------------------- */

fake_object *fake_stream_make(fake_object *context, bool blocking);
fake_object *fake_stream_context(fake_object *stream);
void fake_stream_free(fake_object *stream);
int32_t fake_stream_synchronize(fake_object *context, fake_object *stream);

/* Both run when a caller synchronises. A copy is queued in the default stream. */
int32_t fake_copy(fake_object *context, void *to, const void *from, size_t length, bool to_device);
int32_t fake_launch(fake_object *context, fake_object *stream, const fake_work *work);

/* ---- Capture ------------------------------------------------------------------------------------------------------------ */

int32_t fake_capture_begin(fake_object *stream);
int32_t fake_capture_end(fake_object *stream, fake_object **graph);
int32_t fake_graph_launch(fake_object *context, fake_object *graph, fake_object *stream);
void fake_graph_free(fake_object *graph);
/* For calls that are forbidden while capturing: the error, which invalidates the capture; 0 if there is no capture. */
int32_t fake_forbidden_in_capture(void);

#endif
