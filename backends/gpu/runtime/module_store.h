/* Compiled modules: found in this context or in the cache on disk, or compiled from source text. */
#ifndef DCNV4I_MODULE_STORE_H
#define DCNV4I_MODULE_STORE_H

#include "driver.h"
#include "resources.h"
#include "../../../core/platform.h"

/* Limits for a module. */
enum { DCNV4I_MAX_KERNELS = 12, DCNV4I_MAX_TEXTS = 24 };

/* The sources of a module: its constants, the vocabulary of the driver's kernel language, and texts of
 * backends/kernels. Modules of equal constants are the same, so the constants must determine the texts. */
typedef struct dcnv4i_recipe {
    char *constants;                         /* for free(); NULL if there was no memory */
    const char *texts[DCNV4I_MAX_TEXTS + 1]; /* NULL at the end */
    const char *kernels[DCNV4I_MAX_KERNELS]; /* their names; NULL for unused numbers */
} dcnv4i_recipe;

typedef struct dcnv4i_module {
    struct dcnv4i_module *next;
    char *constants;                   /* what it was made from */
    void *handle;                      /* the driver's */
    void *kernels[DCNV4I_MAX_KERNELS]; /* by the recipe's numbers; NULL if unused */
    const char *names[DCNV4I_MAX_KERNELS];
    dcnv4i_resources resources[DCNV4I_MAX_KERNELS];
} dcnv4i_module;

typedef struct dcnv4i_module_store {
    const dcnv4i_driver *driver;
    void *device;
    const dcnv4i_identity *identity;
    char *folder;      /* of the cache on disk; NULL for none */
    bool compiler;     /* whether it may be used */
    dcnv4i_mutex lock; /* held while a module is looked up or made */
    dcnv4i_module *modules;
} dcnv4i_module_store;

/* Reads the environment: DCNV4_CACHE_DIR, XDG_CACHE_HOME and HOME, DCNV4_COMPILER. *identity must outlive the store. */
dcnv4_status dcnv4i_module_store_open(dcnv4i_module_store *store, const dcnv4i_driver *driver, void *device,
                                      const dcnv4i_identity *identity);
void dcnv4i_module_store_close(dcnv4i_module_store *store);

/* Gets the module of a recipe and frees the recipe's constants; *module stays valid until the store is closed. */
dcnv4_status dcnv4i_module_get(dcnv4i_module_store *store, dcnv4i_recipe *recipe, const dcnv4i_module **module);

/* The source text of a recipe with a vocabulary, for free(); NULL if there is no memory. */
char *dcnv4i_recipe_source(const dcnv4i_recipe *recipe, const char *const *vocabulary);

/* How often this process has called a driver's compiler, and how often it has loaded a binary instead. */
typedef struct dcnv4i_build_counts {
    int64_t compiled, loaded;
} dcnv4i_build_counts;

dcnv4i_build_counts dcnv4i_build_count(void);

#endif
