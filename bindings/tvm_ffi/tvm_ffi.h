/* What is used of tvm-ffi's and DLPack's ABI, in our own words: values and tensors as functions are passed them. Nothing here
 * needs their headers; a test compares both where they are installed. SPDX-License-Identifier: MIT */
#ifndef DCNV4_TVM_FFI_H
#define DCNV4_TVM_FFI_H

#include <stddef.h>
#include <stdint.h>

enum { TVM_NONE = 0, TVM_INT = 1, TVM_BOOL = 2, TVM_FLOAT = 3, TVM_DLTENSOR = 7, TVM_SHAPE = 69, TVM_TENSOR = 70 };

typedef struct tvm_value {
    int32_t type; /* one of the above, or another */
    uint32_t zero;
    union {
        int64_t integer;
        double real;
        void *pointer;
    } of;
} tvm_value;

/* The head of every object; what it holds follows. */
typedef struct tvm_object {
    uint64_t references;
    int32_t type;
    uint32_t zero;
    void (*destroy)(void *object, int flags);
} tvm_object;

typedef struct tvm_shape {
    const int64_t *numbers;
    size_t count;
} tvm_shape;

enum {
    DL_CPU = 1,
    DL_CUDA = 2,
    DL_CUDA_HOST = 3,
    DL_OPENCL = 4,
    DL_ROCM = 10,
    DL_ROCM_HOST = 11,
    DL_CUDA_MANAGED = 13
};
enum { DL_INTEGER = 0, DL_FLOAT = 2, DL_BFLOAT = 4 };

typedef struct dl_tensor {
    void *data;
    struct {
        int32_t type, number;
    } device;
    int32_t axes;
    struct {
        uint8_t code, bits;
        uint16_t lanes;
    } dtype;
    int64_t *shape;
    int64_t *strides; /* in elements; NULL: dense */
    uint64_t byte_offset;
} dl_tensor;

#endif
