/* A stand-in for ONNX Runtime: the table of functions that bindings/onnxruntime uses, on plain structs. */
#ifndef TESTS_FAKE_RUNTIME_H
#define TESTS_FAKE_RUNTIME_H

#include "../../bindings/onnxruntime/ort_api.h"

#include <stdatomic.h>
#include <stdbool.h>

enum { FAKE_OPERATORS = 128, FAKE_AXES = 9 };

struct OrtStatus {
    OrtErrorCode code;
    char message[1024];
};

struct OrtTensorTypeAndShapeInfo {
    ONNXTensorElementDataType type;
    size_t rank;
    int64_t shape[FAKE_AXES];
};

struct OrtValue {
    struct OrtTensorTypeAndShapeInfo info;
    void *data;
};

struct OrtMemoryInfo {
    int id;
};

struct OrtKernelContext {
    struct OrtValue inputs[6];
    size_t input_count;
    struct OrtValue output; /* its data is the caller's */
    void *stream;
};

/* One attribute `group`, and kernel_size where that is not 0. */
struct OrtKernelInfo {
    int64_t group, kernel_size;
};

struct OrtSessionOptions {
    const char *threads; /* the entry dcnv4.threads, or NULL */
    const struct OrtCustomOpDomain *domain;
};

struct OrtCustomOpDomain {
    const OrtCustomOp *operators[FAKE_OPERATORS];
    size_t count;
};

typedef struct fake_runtime {
    int64_t fails_at; /* the call that fails, from 1 on; 0: none */
    _Atomic int64_t calls;
    _Atomic int64_t live; /* statuses, infos and domains that were not given back */
    char version[16];
    _Atomic uint32_t asked; /* the version that GetApi was asked for */
} fake_runtime;

extern fake_runtime runtime;
extern const OrtApiBase fake_base;

#endif
