/* What is used of XLA's C interface for custom calls, in our own words. The names in its header change between versions, its
 * layout does not; a test compares both where the header is installed. SPDX-License-Identifier: MIT */
#ifndef DCNV4_XLA_FFI_H
#define DCNV4_XLA_FFI_H

#include <stddef.h>
#include <stdint.h>

enum { XLA_S64 = 5, XLA_F16 = 10, XLA_F32 = 11, XLA_F64 = 12, XLA_BF16 = 16 };    /* dtypes */
enum { XLA_INVALID_ARGUMENT = 3, XLA_RESOURCE_EXHAUSTED = 8, XLA_INTERNAL = 13 }; /* errors */
enum { XLA_IS_BUFFER = 1, XLA_IS_ARRAY = 1, XLA_STAGE_EXECUTE = 3, XLA_METADATA = 1 };

/* Every struct begins with its size and a list of extensions. */
typedef struct xla_extension {
    size_t size;
    int type;
    struct xla_extension *next;
} xla_extension;

typedef struct xla_version {
    size_t size;
    xla_extension *extensions;
    int major, minor;
} xla_version;

/* With a call that has this extension, XLA asks for the version that a handler was built for. */
typedef struct xla_metadata {
    size_t size;
    xla_version version;
    uint32_t traits;
} xla_metadata;

typedef struct xla_metadata_extension {
    xla_extension head;
    xla_metadata *metadata;
} xla_metadata_extension;

typedef struct xla_buffer {
    size_t size;
    xla_extension *extensions;
    int dtype;
    void *data;
    int64_t rank;
    const int64_t *shape;
} xla_buffer;

typedef struct xla_array { /* an attribute */
    int dtype;
    size_t count;
    const void *data;
} xla_array;

typedef struct xla_list { /* arguments or results */
    size_t size;
    xla_extension *extensions;
    int64_t count;
    const int *types;
    void *const *items;
} xla_list;

typedef struct xla_attributes {
    size_t size;
    xla_extension *extensions;
    int64_t count;
    const int *types;
    const void *const *names;
    void *const *items;
} xla_attributes;

typedef struct xla_error_request {
    size_t size;
    xla_extension *extensions;
    const char *message;
    int code;
} xla_error_request;

typedef struct xla_stream_request {
    size_t size;
    xla_extension *extensions;
    void *execution, *stream;
} xla_stream_request;

typedef struct xla_memory_request {
    size_t size;
    xla_extension *extensions;
    void *execution;
    size_t bytes, alignment;
    void *data;
} xla_memory_request;

typedef struct xla_ordinal_request {
    size_t size;
    xla_extension *extensions;
    void *execution;
    int32_t ordinal;
} xla_ordinal_request;

typedef struct xla_error xla_error; /* NULL: none */

typedef struct xla_interface {
    size_t size; /* functions beyond it are not there */
    xla_extension *extensions;
    xla_version version;
    const void *internal;
    xla_error *(*create_error)(xla_error_request *);
    void (*error_message)(void);
    void (*destroy_error)(void);
    void (*register_handler)(void);
    xla_error *(*get_stream)(xla_stream_request *);
    void (*four_others[4])(void);
    xla_error *(*allocate)(xla_memory_request *);
    void (*seven_others[7])(void);
    xla_error *(*get_ordinal)(xla_ordinal_request *);
} xla_interface;

typedef struct xla_call {
    size_t size;
    xla_extension *extensions;
    const xla_interface *interface;
    void *execution;
    int stage;
    xla_list arguments, results;
    xla_attributes attributes;
} xla_call;

#endif
