/* Programs: from a problem to modules with its kernels. A module depends on what a layer fixes alone, so that plans for
 * other image sizes share it. */
#ifndef DCNV4I_PROGRAM_H
#define DCNV4I_PROGRAM_H

#include "arguments.h"
#include "geometry.h"
#include "../runtime/resources.h"

#include <pthread.h>

typedef enum dcnv4i_kernel {
    DCNV4I_KERNEL_FORWARD,
    DCNV4I_KERNEL_POINTS,
    DCNV4I_KERNEL_SCATTER,
    DCNV4I_KERNEL_REACH,   /* before an owned scatter */
    DCNV4I_KERNEL_CLEAR,   /* before an atomic one */
    DCNV4I_KERNEL_CONVERT, /* after it, for 16-bit types */
    DCNV4I_KERNEL_BOTH,    /* instead of points and scatter, where a program has both, on a CPU */
    DCNV4I_KERNEL_FLOOR_MEMORY,
    DCNV4I_KERNEL_FLOOR_LOADS,
    DCNV4I_KERNELS
} dcnv4i_kernel;

/* Its name in the source text. */
const char *dcnv4i_kernel_name(dcnv4i_kernel kernel);

/* Compiled parts of a layer. */
typedef struct dcnv4i_module {
    struct dcnv4i_module *next;
    char *constants;               /* what it was made for: the text of its constants */
    void *handle;                  /* the driver's */
    void *kernels[DCNV4I_KERNELS]; /* NULL where there is none */
    dcnv4i_resources resources[DCNV4I_KERNELS];
} dcnv4i_module;

/* Which parts a module has: 1 << dcnv4i_part for each. They share the geometry. */
typedef unsigned dcnv4i_part_set;

/* Where compiled modules come from and are kept: this context's memory, the disk, the compiler. */
typedef struct dcnv4i_programs {
    const dcnv4i_driver *driver;
    void *device;
    const dcnv4i_identity *identity;
    char *folder;         /* of the cache on disk; NULL for none */
    bool compiler;        /* whether it may be used */
    pthread_mutex_t lock; /* held while a module is looked up or made */
    dcnv4i_module *modules;
} dcnv4i_programs;

/* Reads the environment: DCNV4_CACHE_DIR, XDG_CACHE_HOME and HOME, DCNV4_COMPILER. *identity stays the caller's. */
dcnv4_status dcnv4i_programs_open(dcnv4i_programs *programs, const dcnv4i_driver *driver, void *device,
                                  const dcnv4i_identity *identity);
void dcnv4i_programs_close(dcnv4i_programs *programs);

/* The module with these parts; *module stays valid until the programs are closed. */
dcnv4_status dcnv4i_programs_get(dcnv4i_programs *programs, const dcnv4i_limits *limits, const dcnv4i_problem *problem,
                                 dcnv4i_part_set parts, const dcnv4i_geometry *geometry, const dcnv4i_module **module);

/* The source text of such a module, for free(); NULL if there is no memory. */
char *dcnv4i_program_source(const char *const *words, const dcnv4i_limits *limits, const dcnv4i_problem *problem,
                            dcnv4i_part_set parts, const dcnv4i_geometry *geometry);

/* What of a problem its programs depend on, as text for free(); NULL if there is no memory. */
char *dcnv4i_program_layer(const dcnv4i_problem *problem);

/* How often this process has called a driver's compiler, and how often it has loaded a binary instead. */
typedef struct dcnv4i_build_counts {
    int64_t compiled, loaded;
} dcnv4i_build_counts;

dcnv4i_build_counts dcnv4i_build_count(void);

#endif
