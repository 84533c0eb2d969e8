/* The calls that a program makes to CUDA or HIP itself, on the library that stands in for it. */
#ifndef TESTS_GPU_CALLER_H
#define TESTS_GPU_CALLER_H

#include "faults.h"

typedef struct gpu_caller {
    const char *backend; /* "cuda" or "hip" */
    const char *device;  /* its first: "cuda:0" */
    const char *other;   /* its second */
    fake_control *control;
    dcnv4_status (*adopt)(dcnv4_context **context);

    /* The API's functions return 0 or an error. */
    int32_t (*make_current)(int device); /* in CUDA its primary context */
    void (*leave)(void);                 /* undoes make_current */
    void *(*current)(void);              /* a pointer that identifies the current device, or context */
    int32_t (*stream_create)(void **stream);
    int32_t (*stream_destroy)(void *stream);
    int32_t (*stream_synchronize)(void *stream);
    int32_t (*capture_begin)(void *stream, int mode);
    int32_t (*capture_end)(void *stream, void **graph);
    int32_t (*graph_launch)(void *graph, void *stream);
    int32_t (*graph_destroy)(void *graph);
    int32_t (*last_error)(void); /* NULL on CUDA, whose driver records none */
} gpu_caller;

/* The caller of this backend; the same each time. */
const gpu_caller *gpu_caller_of(const char *backend);

#endif
