#include "layer.h"

#include <stdlib.h>
#include <string.h>

static dcnv4i_exit load(const dcnv4i_source *from, int32_t dtype, void **data) {
    const size_t bytes = from->npy.elements * dcnv4i_dtype_bytes(dtype);
    if (bytes == 0)
        return DCNV4I_DONE;
    if (from->npy.elements > PTRDIFF_MAX / sizeof(double))
        return dcnv4i_verdict(DCNV4I_BROKEN, "%s: no memory for %zu elements", from->path, from->npy.elements);
    void *raw = malloc(from->npy.bytes);
    if (!raw)
        return dcnv4i_verdict(DCNV4I_BROKEN, "%s: no memory for %zu bytes", from->path, from->npy.bytes);
    dcnv4i_exit verdict = dcnv4i_npy_read(from->path, from->file, &from->npy, raw);
    if (verdict == DCNV4I_DONE && dtype == from->npy.dtype) {
        *data = raw;
        return DCNV4I_DONE;
    }
    void *converted = NULL;
    if (verdict == DCNV4I_DONE && !(converted = malloc(bytes)))
        verdict = dcnv4i_verdict(DCNV4I_BROKEN, "%s: no memory for %zu bytes", from->path, bytes);
    if (verdict == DCNV4I_DONE)
        verdict = dcnv4i_verdict_library(dcnv4_convert(from->npy.dtype, raw, dtype, converted, from->npy.elements),
                                         from->path);
    free(raw);
    if (verdict == DCNV4I_DONE)
        *data = converted;
    else
        free(converted);
    return verdict;
}

static dcnv4i_exit open_sources(const dcnv4i_settings *settings, const dcnv4i_task_operator *op,
                                dcnv4i_source *sources) {
    dcnv4i_exit verdict = DCNV4I_DONE;
    for (int i = 0; i < op->tensor_count && verdict == DCNV4I_DONE; ++i) {
        sources[i].path = dcnv4i_is_input(&op->tensors[i]) ? dcnv4i_tensor_path(settings, &op->tensors[i]) : NULL;
        if (sources[i].path)
            verdict = dcnv4i_npy_open(sources[i].path, DCNV4I_FLOATS, &sources[i].npy, &sources[i].file);
    }
    return verdict;
}

static dcnv4i_exit load_all(const dcnv4i_source *sources, dcnv4i_layer *layer) {
    dcnv4i_exit verdict = DCNV4I_DONE;
    for (int i = 0; i < layer->task.op->tensor_count && verdict == DCNV4I_DONE; ++i) {
        layer->rank[i] = sources[i].file ? sources[i].npy.rank : 0;
        memcpy(layer->shape[i], sources[i].npy.shape, sizeof layer->shape[i]);
        if (sources[i].file)
            verdict = load(&sources[i], layer->layouts[i].dtype, &layer->tensors[i]);
    }
    return verdict;
}

static dcnv4i_exit allocate(const dcnv4i_layer *layer, int tensor, void **memory) {
    const size_t bytes = layer->layouts[tensor].bytes;
    *memory = malloc(bytes + 1);
    return *memory ? DCNV4I_DONE
                   : dcnv4i_verdict(DCNV4I_BROKEN, "no memory for %zu bytes of %s", bytes,
                                    layer->task.op->tensors[tensor].word);
}

/* Inputs of integers are part of the problem. */
static dcnv4i_exit fill_integers(dcnv4i_layer *layer) {
    dcnv4i_exit verdict = DCNV4I_DONE;
    for (int i = 0; i < layer->task.op->tensor_count && verdict == DCNV4I_DONE; ++i)
        if (layer->layouts[i].rank > 0 && layer->layouts[i].dtype == DCNV4I_INT64 && !layer->tensors[i]) {
            verdict = allocate(layer, i, &layer->tensors[i]);
            if (verdict == DCNV4I_DONE)
                layer->task.op->fill_integers(&layer->task, i, layer->tensors[i]);
        }
    return verdict;
}

dcnv4i_exit dcnv4i_layer_open(const dcnv4i_settings *settings, dcnv4i_layer *layer) {
    *layer = (dcnv4i_layer){.task = dcnv4i_task_begin(settings)};
    dcnv4i_task *const task = &layer->task;
    const dcnv4i_task_operator *const op = task->op;
    dcnv4i_source sources[DCNV4I_TENSORS_MOST] = {{.path = NULL}};
    dcnv4i_exit verdict = open_sources(settings, op, sources);
    if (verdict == DCNV4I_DONE)
        verdict = op->describe(settings, task);
    if (verdict == DCNV4I_DONE)
        verdict = op->fit(settings, sources, task);
    if (verdict == DCNV4I_DONE)
        verdict = dcnv4i_task_lay_out(task, settings->value, layer->layouts);
    if (verdict == DCNV4I_DONE)
        verdict = load_all(sources, layer);
    if (verdict == DCNV4I_DONE)
        verdict = fill_integers(layer);
    for (int i = 0; i < op->tensor_count; ++i)
        if (sources[i].file)
            fclose(sources[i].file);
    if (verdict != DCNV4I_DONE)
        dcnv4i_layer_free(layer);
    return verdict;
}

dcnv4i_exit dcnv4i_layer_fill(dcnv4i_random *random, double spread, dcnv4i_layer *layer) {
    const dcnv4i_task_operator *const op = layer->task.op;
    dcnv4i_exit verdict = fill_integers(layer);
    for (int i = 0; i < op->tensor_count && verdict == DCNV4I_DONE; ++i) {
        if (!dcnv4i_is_input(&op->tensors[i]) || layer->tensors[i] ||
            !dcnv4i_task_uses(&layer->task, layer->layouts, i))
            continue;
        verdict = allocate(layer, i, &layer->tensors[i]);
        if (verdict == DCNV4I_DONE)
            verdict = op->fill(random, spread, &layer->task, layer->layouts, i, layer->tensors[i])
                          ? DCNV4I_DONE
                          : dcnv4i_verdict(DCNV4I_BROKEN, "no memory to draw %s", op->tensors[i].word);
    }
    return verdict;
}

void dcnv4i_layer_spoil(dcnv4i_random *random, const dcnv4i_spoil *spoil, dcnv4i_layer *layer) {
    const dcnv4i_layout *const layout = &layer->layouts[spoil->tensor];
    const size_t item = dcnv4i_dtype_bytes(layout->dtype), count = dcnv4i_layout_elements(layout);
    char *const memory = layer->tensors[spoil->tensor];
    if (!memory || !(spoil->share > 0))
        return;
    for (size_t i = 0; i < count; ++i)
        if (dcnv4i_random_unit(random) < spoil->share)
            dcnv4_convert(DCNV4_FLOAT64, &spoil->number, layout->dtype, memory + i * item, 1);
}

void dcnv4i_layer_free(dcnv4i_layer *layer) {
    for (int i = 0; i < DCNV4I_TENSORS_MOST; ++i) {
        free(layer->tensors[i]);
        layer->tensors[i] = NULL;
    }
}
