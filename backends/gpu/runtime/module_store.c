#include "module_store.h"
#include "cache.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static atomic_int_fast64_t compiled, loaded;

dcnv4i_build_counts dcnv4i_build_count(void) {
    return (dcnv4i_build_counts){atomic_load(&compiled), atomic_load(&loaded)};
}

/* ---- The source text --------------------------------------------------------------------------------------------- */

/* Concatenated texts; only their length is counted while bytes is NULL. */
typedef struct sequence {
    char *bytes;
    size_t length;
} sequence;

static void put(sequence *to, const char *next) {
    const size_t length = strlen(next);
    if (to->bytes)
        memcpy(to->bytes + to->length, next, length + 1);
    to->length += length;
}

static void put_all(sequence *to, const dcnv4i_recipe *recipe, const char *const *vocabulary) {
    to->length = 0;
    put(to, recipe->constants);
    for (const char *const *text = vocabulary; *text; ++text)
        put(to, *text);
    for (const char *const *text = recipe->texts; *text; ++text)
        put(to, *text);
}

char *dcnv4i_recipe_source(const dcnv4i_recipe *recipe, const char *const *vocabulary) {
    sequence source = {NULL, 0};
    if (!recipe->constants)
        return NULL;
    put_all(&source, recipe, vocabulary);
    source.bytes = malloc(source.length + 1);
    put_all(&source, recipe, vocabulary);
    return source.bytes;
}

/* ---- Modules ----------------------------------------------------------------------------------------------------- */

static dcnv4_status no_memory(void) {
    return dcnv4i_fail(DCNV4_OUT_OF_MEMORY, "no memory for the text of a kernel");
}

dcnv4_status dcnv4i_module_store_open(dcnv4i_module_store *store, const dcnv4i_driver *driver, void *device,
                                      const dcnv4i_identity *identity) {
    *store = (dcnv4i_module_store){.driver = driver, .device = device, .identity = identity};
    const char *compiler = getenv("DCNV4_COMPILER");
    store->compiler = !(compiler && strcmp(compiler, "off") == 0);
    if (!dcnv4i_mutex_init(&store->lock))
        return dcnv4i_fail(DCNV4_OUT_OF_MEMORY, "no memory for a lock");
    store->folder = dcnv4i_cache_folder();
    return DCNV4_SUCCESS;
}

/* Destroys the driver's objects of a module. */
static void drop(dcnv4i_module_store *store, dcnv4i_module *module) {
    for (int i = 0; i < DCNV4I_MAX_KERNELS; ++i) {
        if (module->kernels[i])
            store->driver->kernel_destroy(store->device, module->kernels[i]);
        module->kernels[i] = NULL;
    }
    if (module->handle)
        store->driver->unload(store->device, module->handle);
    module->handle = NULL;
}

static void module_close(dcnv4i_module_store *store, dcnv4i_module *module) {
    drop(store, module);
    free(module->constants);
    free(module);
}

void dcnv4i_module_store_close(dcnv4i_module_store *store) {
    while (store->modules) {
        dcnv4i_module *module = store->modules;
        store->modules = module->next;
        module_close(store, module);
    }
    dcnv4i_mutex_destroy(&store->lock);
    free(store->folder);
}

/* binary is what the module was loaded from; it is empty if the driver does not provide that. */
static dcnv4_status create_kernels(dcnv4i_module_store *store, dcnv4i_module *module, const dcnv4i_recipe *recipe,
                                   const dcnv4i_binary *binary) {
    dcnv4_status status = DCNV4_SUCCESS;
    for (int i = 0; i < DCNV4I_MAX_KERNELS && status == DCNV4_SUCCESS; ++i)
        if (recipe->kernels[i]) {
            module->names[i] = recipe->kernels[i];
            module->resources[i] = dcnv4i_resources_of(binary, recipe->kernels[i]);
            status = store->driver->kernel_create(store->device, module->handle, recipe->kernels[i],
                                                  &module->kernels[i]);
        }
    return status;
}

/* Loads the module from the cache on disk. An entry that is missing or does not load is no failure. */
static bool find_on_disk(dcnv4i_module_store *store, dcnv4i_module *module, const char *identity, const char *source,
                         const dcnv4i_recipe *recipe) {
    char *key = store->folder ? dcnv4i_cache_key(identity, source) : NULL;
    dcnv4i_binary binary = {NULL, 0};
    bool found = false;
    if (key)
        binary.bytes = dcnv4i_cache_read(store->folder, DCNV4I_CACHE_KERNEL, key, &binary.size);
    if (binary.bytes &&
        store->driver->load(store->device, binary.bytes, binary.size, &module->handle) == DCNV4_SUCCESS) {
        atomic_fetch_add(&loaded, 1);
        found = create_kernels(store, module, recipe, &binary) == DCNV4_SUCCESS;
        if (!found)
            drop(store, module);
    }
    free(binary.bytes);
    free(key);
    return found;
}

static void keep(const dcnv4i_module_store *store, const char *identity, const char *source,
                 const dcnv4i_binary *binary) {
    char *key = store->folder && binary->bytes ? dcnv4i_cache_key(identity, source) : NULL;
    if (key)
        dcnv4i_cache_write(store->folder, DCNV4I_CACHE_KERNEL, key, binary->bytes, binary->size);
    free(key);
}

static dcnv4_status compile(dcnv4i_module_store *store, dcnv4i_module *module, const char *source,
                            const dcnv4i_recipe *recipe) {
    const dcnv4i_identity *identity = store->identity;
    dcnv4i_binary binary = {NULL, 0}, portable = {NULL, 0};
    if (!store->compiler)
        return dcnv4i_fail(DCNV4_COMPILER_UNAVAILABLE,
                           "DCNV4_COMPILER is off and %s has no kernel for this layer and device",
                           store->folder ? store->folder : "no folder");
    atomic_fetch_add(&compiled, 1);
    dcnv4_status status = store->driver->compile(store->device, source, &module->handle,
                                                 store->folder || identity->target ? &binary : NULL,
                                                 store->folder && identity->portable ? &portable : NULL);
    if (status == DCNV4_SUCCESS)
        status = create_kernels(store, module, recipe, &binary);
    if (status == DCNV4_SUCCESS) {
        keep(store, identity->own, source, &binary);
        keep(store, identity->portable, source, &portable);
    }
    free(binary.bytes);
    free(portable.bytes);
    return status;
}

/* Makes a module from a recipe and its source: from the cache on disk, by the compiler, or, without a compiler, from a
 * cached binary for a compatible target. */
static dcnv4_status make(dcnv4i_module_store *store, const char *source, const dcnv4i_recipe *recipe,
                         dcnv4i_module *module) {
    const dcnv4i_identity *identity = store->identity;
    if (find_on_disk(store, module, identity->own, source, recipe))
        return DCNV4_SUCCESS;
    const dcnv4_status status = compile(store, module, source, recipe);
    if (status != DCNV4_COMPILER_UNAVAILABLE || !identity->others)
        return status;
    char why[512];
    snprintf(why, sizeof why, "%s", dcnv4_last_message());
    for (const char *const *other = identity->others; *other; ++other)
        if (find_on_disk(store, module, *other, source, recipe))
            return DCNV4_SUCCESS;
    return dcnv4i_fail(status, "%s", why);
}

static dcnv4_status find_or_make(dcnv4i_module_store *store, const dcnv4i_recipe *recipe, const char *source,
                                 const dcnv4i_module **found) {
    for (const dcnv4i_module *module = store->modules; module; module = module->next)
        if (strcmp(module->constants, recipe->constants) == 0) {
            *found = module;
            return DCNV4_SUCCESS;
        }
    dcnv4i_module *module = calloc(1, sizeof *module);
    if (!module || !(module->constants = strdup(recipe->constants))) {
        free(module);
        return no_memory();
    }
    const dcnv4_status status = make(store, source, recipe, module);
    if (status != DCNV4_SUCCESS) {
        module_close(store, module);
        return status;
    }
    module->next = store->modules;
    *found = store->modules = module;
    return DCNV4_SUCCESS;
}

dcnv4_status dcnv4i_module_get(dcnv4i_module_store *store, dcnv4i_recipe *recipe, const dcnv4i_module **module) {
    char *source = dcnv4i_recipe_source(recipe, store->driver->vocabulary);
    dcnv4_status status = no_memory();
    if (source) {
        dcnv4i_mutex_lock(&store->lock);
        status = find_or_make(store, recipe, source, module);
        dcnv4i_mutex_unlock(&store->lock);
    }
    free(source);
    free(recipe->constants);
    return status;
}
