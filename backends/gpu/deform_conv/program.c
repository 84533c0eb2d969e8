#include "program.h"
#include "../runtime/cache.h"
#include "../runtime/kernel_text.h"
#include "../runtime/literal.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static atomic_int_fast64_t compiled, loaded;

dcnv4i_build_counts dcnv4i_build_count(void) {
    return (dcnv4i_build_counts){atomic_load(&compiled), atomic_load(&loaded)};
}

/* ---- The constants of a program, as text ------------------------------------------------------------------------- */

typedef struct text {
    char *bytes; /* NULL once there was no memory */
    size_t length, room;
} text;

static text no_text(void) {
    return (text){calloc(1, 1), 0, 1};
}

static void append(text *to, const char *format, ...) DCNV4I_PRINTF(2, 3);
static void append(text *to, const char *format, ...) {
    char line[256];
    va_list arguments;
    va_start(arguments, format);
    const size_t length = (size_t)vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    const size_t needed = to->length + length + 1;
    char *const grown = !to->bytes || length >= sizeof line ? NULL
                        : needed > to->room                 ? realloc(to->bytes, 2 * needed)
                                                            : to->bytes;
    if (!grown) {
        free(to->bytes);
        to->bytes = NULL;
        return;
    }
    to->room = needed > to->room ? 2 * needed : to->room;
    to->bytes = grown;
    memcpy(to->bytes + to->length, line, length + 1);
    to->length += length;
}

static void define(text *to, const char *name, int64_t number) {
    append(to, "#define DCN_%s %" PRId64 "%s\n", name, number, number > INT32_MAX ? "L" : "");
}

/* The offset scale as a float32 that means the same: a finite number too large for one still leaves 0 at 0. */
static void define_scale(text *to, double scale) {
    char literal[DCNV4I_LITERAL_ROOM];
    if (isnan(scale))
        append(to, "#define DCN_SCALE (DCN_INFINITY - DCN_INFINITY)\n");
    else if (isinf(scale))
        append(to, "#define DCN_SCALE (%sDCN_INFINITY)\n", scale < 0 ? "-" : "");
    else
        append(to, "#define DCN_SCALE (%s)\n", dcnv4i_literal(scale, literal));
}

static void define_layer(text *to, const dcnv4i_problem *problem) {
    const dcnv4_problem *p = &problem->asked;
    const struct {
        const char *name;
        int64_t number;
    } fields[] = {
        {"DTYPE", p->dtype},
        {"OFFSET_DTYPE", p->offset_mask_dtype},
        {"FLOAT32", DCNV4_FLOAT32},
        {"FLOAT16", DCNV4_FLOAT16},
        {"REMOVE_CENTER", p->remove_center},
        {"SOFTMAX", p->softmax},
        {"GROUPS", p->groups},
        {"CHANNELS", p->group_channels},
        {"KERNEL_H", p->kernel_h},
        {"KERNEL_W", p->kernel_w},
        {"POINTS", problem->points},
        {"STRIDE_H", p->stride_h},
        {"STRIDE_W", p->stride_w},
        {"PAD_H", p->pad_h},
        {"PAD_W", p->pad_w},
        {"DILATION_H", p->dilation_h},
        {"DILATION_W", p->dilation_w},
        {"HALF_H", p->dilation_h * (p->kernel_h - 1) >> 1},
        {"HALF_W", p->dilation_w * (p->kernel_w - 1) >> 1},
        {"OFFSET_MASK_ROW", p->offset_mask_row},
        {"VALUE_STRIDE", p->value_stride},
        {"OFFSET_MASK_STRIDE", p->offset_mask_stride},
        {"OUTPUT_STRIDE", p->output_stride},
        {"GRAD_OUTPUT_STRIDE", p->grad_output_stride},
        {"GRAD_VALUE_STRIDE", p->grad_value_stride},
        {"GRAD_OFFSET_MASK_STRIDE", p->grad_offset_mask_stride},
    };
    for (size_t i = 0; i < sizeof fields / sizeof *fields; ++i)
        define(to, fields[i].name, fields[i].number);
    define_scale(to, p->offset_scale);
}

static bool has(dcnv4i_part_set parts, dcnv4i_part part) {
    return parts >> part & 1;
}

/* Whether one kernel writes the gradients of points and adds up those of value. */
static bool does_both(dcnv4i_part_set parts, const dcnv4i_geometry *geometry) {
    return has(parts, DCNV4I_PART_POINTS) && has(parts, DCNV4I_PART_SCATTER) && geometry->run > 1;
}

static void define_geometry(text *to, const dcnv4i_limits *limits, const dcnv4i_problem *problem, dcnv4i_part_set parts,
                            const dcnv4i_geometry *geometry) {
    const int64_t lane_vectors = problem->asked.group_channels / geometry->vector / geometry->lanes;
    const struct {
        const char *name;
        int64_t number;
    } fields[] = {
        {"PART_FORWARD", has(parts, DCNV4I_PART_FORWARD)},
        {"PART_POINTS", has(parts, DCNV4I_PART_POINTS)},
        {"PART_SCATTER", has(parts, DCNV4I_PART_SCATTER)},
        {"BOTH", does_both(parts, geometry)},
        {"VECTOR", geometry->vector},
        {"LANES", geometry->lanes},
        {"VECTORS", geometry->vectors},
        {"TILE_H", geometry->tile_h},
        {"TILE_W", geometry->tile_w},
        {"TILE_GROUPS", geometry->tile_groups},
        {"RUN", geometry->run},
        {"TAPS", geometry->taps},
        {"STAGED", geometry->staged},
        {"SCATTER", geometry->scatter},
        {"SCATTER_BANDS", DCNV4I_SCATTER_BANDS},
        {"SCATTER_TILES", DCNV4I_SCATTER_TILES},
        {"HITS", geometry->hits},
        {"CHUNK_H", geometry->chunk_h},
        {"CHUNK_W", geometry->chunk_w},
        {"WIDE", geometry->wide},
        {"ALIGNED", geometry->aligned},
        {"FLAT_GROUP", dcnv4i_flat_group(limits)},
        {"ATOMICS", limits->atomics},
        {"ATOMICS_EXTENSION", DCNV4I_ATOMICS_EXTENSION},
        {"ATOMICS_PTX", DCNV4I_ATOMICS_PTX},
    };
    for (size_t i = 0; i < sizeof fields / sizeof *fields; ++i)
        define(to, fields[i].name, fields[i].number);
    /* On CPUs the loop over points gains nothing from being unrolled, and takes twice as long to compile. */
    append(to, "#define DCN_UNROLL_POINTS %s\n", problem->points <= 32 && !limits->cpu ? "DCN_UNROLL" : "");
    append(to, "#define DCN_UNROLL_VECTORS %s\n", lane_vectors <= 8 ? "DCN_UNROLL" : "");
}

static char *constants_of(const dcnv4i_limits *limits, const dcnv4i_problem *problem, dcnv4i_part_set parts,
                          const dcnv4i_geometry *geometry) {
    text constants = no_text();
    define_layer(&constants, problem);
    define_geometry(&constants, limits, problem, parts, geometry);
    return constants.bytes;
}

char *dcnv4i_program_layer(const dcnv4i_problem *problem) {
    text layer = no_text();
    define_layer(&layer, problem);
    return layer.bytes;
}

/* ---- The source text ------------------------------------------------------------------------------------------------ */

/* Texts one after the other; only their length while there are no bytes. */
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

static void put_all(sequence *to, const char *constants, const char *const *words, dcnv4i_part_set parts,
                    const dcnv4i_geometry *geometry) {
    put(to, constants);
    while (*words)
        put(to, *words++);
    put(to, dcnv4i_kernel_parameters);
    put(to, dcnv4i_kernel_sample);
    put(to, dcnv4i_kernel_points);
    if (geometry->run > 1)
        put(to, dcnv4i_kernel_runs);
    if (has(parts, DCNV4I_PART_FORWARD))
        put(to, dcnv4i_kernel_forward);
    if (has(parts, DCNV4I_PART_SCATTER))
        put(to,
            geometry->scatter == DCNV4I_SCATTER_TILES ? dcnv4i_kernel_backward_tiles : dcnv4i_kernel_backward_scatter);
    if (has(parts, DCNV4I_PART_POINTS)) {
        put(to, dcnv4i_kernel_slopes);
        if (geometry->run > 1)
            put(to, dcnv4i_kernel_backward_run);
        put(to, does_both(parts, geometry) ? dcnv4i_kernel_backward_both : dcnv4i_kernel_backward_points);
    }
    if (has(parts, DCNV4I_PART_FLOOR))
        put(to, dcnv4i_kernel_floor);
}

static char *source_of(const char *constants, const char *const *words, dcnv4i_part_set parts,
                       const dcnv4i_geometry *geometry) {
    sequence source = {NULL, 0};
    put_all(&source, constants, words, parts, geometry);
    source.bytes = malloc(source.length + 1);
    source.length = 0;
    put_all(&source, constants, words, parts, geometry);
    return source.bytes;
}

char *dcnv4i_program_source(const char *const *words, const dcnv4i_limits *limits, const dcnv4i_problem *problem,
                            dcnv4i_part_set parts, const dcnv4i_geometry *geometry) {
    char *constants = constants_of(limits, problem, parts, geometry);
    char *source = constants ? source_of(constants, words, parts, geometry) : NULL;
    free(constants);
    return source;
}

const char *dcnv4i_kernel_name(dcnv4i_kernel kernel) {
    static const char *const names[DCNV4I_KERNELS] = {
        [DCNV4I_KERNEL_FORWARD] = "dcn_forward",
        [DCNV4I_KERNEL_POINTS] = "dcn_backward_points",
        [DCNV4I_KERNEL_SCATTER] = "dcn_backward_scatter",
        [DCNV4I_KERNEL_REACH] = "dcn_backward_reach",
        [DCNV4I_KERNEL_CLEAR] = "dcn_backward_clear",
        [DCNV4I_KERNEL_CONVERT] = "dcn_backward_convert",
        [DCNV4I_KERNEL_BOTH] = "dcn_backward",
        [DCNV4I_KERNEL_FLOOR_MEMORY] = "dcn_floor_memory",
        [DCNV4I_KERNEL_FLOOR_LOADS] = "dcn_floor_loads",
    };
    return names[kernel];
}

/* Which kernels a module of these parts has. */
typedef struct kernel_set {
    bool has[DCNV4I_KERNELS];
} kernel_set;

static kernel_set kernels_of(const dcnv4i_problem *problem, dcnv4i_part_set parts, const dcnv4i_geometry *geometry) {
    const bool scatter = has(parts, DCNV4I_PART_SCATTER), both = does_both(parts, geometry);
    const bool atomic = geometry->scatter == DCNV4I_SCATTER_ATOMIC;
    return (kernel_set){{
        [DCNV4I_KERNEL_FORWARD] = has(parts, DCNV4I_PART_FORWARD),
        [DCNV4I_KERNEL_POINTS] = has(parts, DCNV4I_PART_POINTS) && !both,
        [DCNV4I_KERNEL_SCATTER] = scatter && !both,
        [DCNV4I_KERNEL_BOTH] = both,
        [DCNV4I_KERNEL_REACH] = scatter && !atomic,
        [DCNV4I_KERNEL_CLEAR] = scatter && atomic,
        [DCNV4I_KERNEL_CONVERT] = scatter && atomic && problem->asked.dtype != DCNV4_FLOAT32,
        [DCNV4I_KERNEL_FLOOR_MEMORY] = has(parts, DCNV4I_PART_FLOOR),
        [DCNV4I_KERNEL_FLOOR_LOADS] = has(parts, DCNV4I_PART_FLOOR),
    }};
}

/* ---- Modules -------------------------------------------------------------------------------------------------------- */

static dcnv4_status no_memory(void) {
    return dcnv4i_fail(DCNV4_OUT_OF_MEMORY, "no memory for the text of a kernel");
}

dcnv4_status dcnv4i_programs_open(dcnv4i_programs *programs, const dcnv4i_driver *driver, void *device,
                                  const dcnv4i_identity *identity) {
    *programs = (dcnv4i_programs){.driver = driver, .device = device, .identity = identity};
    const char *compiler = getenv("DCNV4_COMPILER");
    programs->compiler = !(compiler && strcmp(compiler, "off") == 0);
    if (pthread_mutex_init(&programs->lock, NULL) != 0)
        return dcnv4i_fail(DCNV4_OUT_OF_MEMORY, "no memory for a lock");
    programs->folder = dcnv4i_cache_folder();
    return DCNV4_SUCCESS;
}

/* Gives back what the driver has of a module. */
static void drop(dcnv4i_programs *programs, dcnv4i_module *module) {
    for (int i = 0; i < DCNV4I_KERNELS; ++i) {
        if (module->kernels[i])
            programs->driver->kernel_destroy(programs->device, module->kernels[i]);
        module->kernels[i] = NULL;
    }
    if (module->handle)
        programs->driver->unload(programs->device, module->handle);
    module->handle = NULL;
}

static void module_close(dcnv4i_programs *programs, dcnv4i_module *module) {
    drop(programs, module);
    free(module->constants);
    free(module);
}

void dcnv4i_programs_close(dcnv4i_programs *programs) {
    while (programs->modules) {
        dcnv4i_module *module = programs->modules;
        programs->modules = module->next;
        module_close(programs, module);
    }
    pthread_mutex_destroy(&programs->lock);
    free(programs->folder);
}

/* binary is what the module was loaded from, if that can be had. */
static dcnv4_status create_kernels(dcnv4i_programs *programs, dcnv4i_module *module, const kernel_set *kernels,
                                   const dcnv4i_binary *binary) {
    dcnv4_status status = DCNV4_SUCCESS;
    for (int i = 0; i < DCNV4I_KERNELS && status == DCNV4_SUCCESS; ++i)
        if (kernels->has[i]) {
            const char *const name = dcnv4i_kernel_name((dcnv4i_kernel)i);
            module->resources[i] = dcnv4i_resources_of(binary, name);
            status = programs->driver->kernel_create(programs->device, module->handle, name, &module->kernels[i]);
        }
    return status;
}

/* Takes the module from the cache on disk. What is not there, or does not load, is no failure. */
static bool find_on_disk(dcnv4i_programs *programs, dcnv4i_module *module, const char *identity, const char *source,
                         const kernel_set *kernels) {
    char *key = programs->folder ? dcnv4i_cache_key(identity, source) : NULL;
    dcnv4i_binary binary = {NULL, 0};
    bool found = false;
    if (key)
        binary.bytes = dcnv4i_cache_read(programs->folder, DCNV4I_CACHE_KERNEL, key, &binary.size);
    if (binary.bytes &&
        programs->driver->load(programs->device, binary.bytes, binary.size, &module->handle) == DCNV4_SUCCESS) {
        atomic_fetch_add(&loaded, 1);
        found = create_kernels(programs, module, kernels, &binary) == DCNV4_SUCCESS;
        if (!found)
            drop(programs, module);
    }
    free(binary.bytes);
    free(key);
    return found;
}

static void keep(const dcnv4i_programs *programs, const char *identity, const char *source,
                 const dcnv4i_binary *binary) {
    char *key = programs->folder && binary->bytes ? dcnv4i_cache_key(identity, source) : NULL;
    if (key)
        dcnv4i_cache_write(programs->folder, DCNV4I_CACHE_KERNEL, key, binary->bytes, binary->size);
    free(key);
}

static dcnv4_status compile(dcnv4i_programs *programs, dcnv4i_module *module, const char *source,
                            const kernel_set *kernels) {
    const dcnv4i_identity *identity = programs->identity;
    dcnv4i_binary binary = {NULL, 0}, portable = {NULL, 0};
    if (!programs->compiler)
        return dcnv4i_fail(DCNV4_COMPILER_UNAVAILABLE,
                           "DCNV4_COMPILER is off and %s has no kernel for this layer and device",
                           programs->folder ? programs->folder : "no folder");
    atomic_fetch_add(&compiled, 1);
    dcnv4_status status = programs->driver->compile(programs->device, source, &module->handle,
                                                    programs->folder || identity->target ? &binary : NULL,
                                                    programs->folder && identity->portable ? &portable : NULL);
    if (status == DCNV4_SUCCESS)
        status = create_kernels(programs, module, kernels, &binary);
    if (status == DCNV4_SUCCESS) {
        keep(programs, identity->own, source, &binary);
        keep(programs, identity->portable, source, &portable);
    }
    free(binary.bytes);
    free(portable.bytes);
    return status;
}

/* Makes a module of this source, which has these constants: from the disk, or by the compiler, or, where there is none, from
 * what the disk has for other devices and this one takes too. */
static dcnv4_status make(dcnv4i_programs *programs, const char *source, const kernel_set *kernels,
                         dcnv4i_module *module) {
    const dcnv4i_identity *identity = programs->identity;
    if (find_on_disk(programs, module, identity->own, source, kernels))
        return DCNV4_SUCCESS;
    const dcnv4_status status = compile(programs, module, source, kernels);
    if (status != DCNV4_COMPILER_UNAVAILABLE || !identity->others)
        return status;
    char why[512];
    snprintf(why, sizeof why, "%s", dcnv4_last_message());
    for (const char *const *other = identity->others; *other; ++other)
        if (find_on_disk(programs, module, *other, source, kernels))
            return DCNV4_SUCCESS;
    return dcnv4i_fail(status, "%s", why);
}

static dcnv4_status find_or_make(dcnv4i_programs *programs, char *constants, const char *source,
                                 const kernel_set *kernels, const dcnv4i_module **found) {
    for (const dcnv4i_module *module = programs->modules; module; module = module->next)
        if (strcmp(module->constants, constants) == 0) {
            *found = module;
            return DCNV4_SUCCESS;
        }
    dcnv4i_module *module = calloc(1, sizeof *module);
    if (!module || !(module->constants = strdup(constants))) {
        free(module);
        return no_memory();
    }
    const dcnv4_status status = make(programs, source, kernels, module);
    if (status != DCNV4_SUCCESS) {
        module_close(programs, module);
        return status;
    }
    module->next = programs->modules;
    *found = programs->modules = module;
    return DCNV4_SUCCESS;
}

dcnv4_status dcnv4i_programs_get(dcnv4i_programs *programs, const dcnv4i_limits *limits, const dcnv4i_problem *problem,
                                 dcnv4i_part_set parts, const dcnv4i_geometry *geometry, const dcnv4i_module **module) {
    char *constants = constants_of(limits, problem, parts, geometry);
    char *source = constants ? source_of(constants, programs->driver->words, parts, geometry) : NULL;
    const kernel_set kernels = kernels_of(problem, parts, geometry);
    dcnv4_status status = no_memory();
    if (source) {
        pthread_mutex_lock(&programs->lock);
        status = find_or_make(programs, constants, source, &kernels, module);
        pthread_mutex_unlock(&programs->lock);
    }
    free(source);
    free(constants);
    return status;
}
