/* What the operators use of PyTorch's stable C interface, 2.10 and newer, which is in libtorch_cpu: loaded when it is
 * registered, so that no header and no PyTorch is needed to build this. */
#ifndef DCNV4_TORCH_SHIM_H
#define DCNV4_TORCH_SHIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A word of the stack: a number by its bits, a handle that the kernel owns, or a pointer to such a word, NULL for None. */
typedef uint64_t torch_word;
typedef void *torch_tensor; /* AtenTensorHandle */
typedef void (*torch_kernel)(torch_word *stack, uint64_t inputs, uint64_t outputs);

enum { TORCH_CPU = 0, TORCH_CUDA = 1, TORCH_MOST_AXES = 6 };
#define TORCH_BUILD_VERSION ((uint64_t)2 << 56 | (uint64_t)10 << 48) /* 2.10.0 */

/* X(result, name, arguments) */
#define TORCH_ENTRIES(X)                                                                                    \
    X(int32_t, aoti_torch_library_init_fragment, (const char *, const char *, uint32_t, void **))           \
    X(int32_t, aoti_torch_library_init_impl, (const char *, const char *, const char *, uint32_t, void **)) \
    X(int32_t, aoti_torch_library_def, (void *, const char *))                                              \
    X(int32_t, torch_library_impl, (void *, const char *, torch_kernel, uint64_t))                          \
    X(int32_t, torch_call_dispatcher, (const char *, const char *, torch_word *, uint64_t))                 \
    X(int32_t, aoti_torch_get_dim, (torch_tensor, int64_t *))                                               \
    X(int32_t, aoti_torch_get_sizes, (torch_tensor, int64_t **))                                            \
    X(int32_t, aoti_torch_get_strides, (torch_tensor, int64_t **))                                          \
    X(int32_t, aoti_torch_get_dtype, (torch_tensor, int32_t *))                                             \
    X(int32_t, aoti_torch_get_device_type, (torch_tensor, int32_t *))                                       \
    X(int32_t, aoti_torch_get_device_index, (torch_tensor, int32_t *))                                      \
    X(int32_t, aoti_torch_get_data_ptr, (torch_tensor, void **))                                            \
    X(int32_t, aoti_torch_empty_strided,                                                                    \
      (int64_t, const int64_t *, const int64_t *, int32_t, int32_t, int32_t, torch_tensor *))               \
    X(int32_t, aoti_torch_delete_tensor_object, (torch_tensor))                                             \
    X(int32_t, aoti_torch_dtype_float32, (void))                                                            \
    X(int32_t, aoti_torch_dtype_float16, (void))                                                            \
    X(int32_t, aoti_torch_dtype_bfloat16, (void))                                                           \
    X(int32_t, aoti_torch_dtype_float64, (void))                                                            \
    X(int32_t, aoti_torch_dtype_int64, (void))                                                              \
    X(int32_t, aoti_torch_dtype_uint8, (void))                                                              \
    X(int32_t, torch_list_size, (void *, size_t *))                                                         \
    X(int32_t, torch_list_get_item, (void *, size_t, torch_word *))                                         \
    X(int32_t, torch_delete_list, (void *))                                                                 \
    X(int32_t, torch_get_num_threads, (uint32_t *))                                                         \
    X(void, aoti_torch_check, (bool, const char *, const char *, uint32_t, const char *))

typedef struct torch_api {
#define TORCH_MEMBER(result, name, arguments) result(*name) arguments;
    TORCH_ENTRIES(TORCH_MEMBER)
#undef TORCH_MEMBER
    /* Frees the word of an optional argument: from 2.13 on, and C++'s operator delete, which older ones use. */
    int32_t (*torch_delete_stable_ivalue)(torch_word *);
    void (*operator_delete)(void *);
    /* The GPU's, where there is one. */
    int32_t (*aoti_torch_get_current_cuda_stream)(int32_t, void **);
    const char *gpu; /* "cuda", or "hip" in PyTorch for ROCm */
} torch_api;

#endif
