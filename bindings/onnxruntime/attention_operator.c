/* MSDeformAttn: value [N, S, M, D], spatial_shapes [L, 2], level_start_index [L], sampling_locations
 * [N, Q, M, P, 2] or [N, Q, M, L, K, 2], attention_weights likewise without the 2, reference_points → output
 * [N, Q, M·D]. Without attention_weights sampling_locations is packed, [N, Q, M, 3·P]. */
#include "operators.h"

#include <stdlib.h>
#include <string.h>

#define I64 ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64
#define F32 ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT
#define F16 ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16
#define BF16 ONNX_TENSOR_ELEMENT_DATA_TYPE_BFLOAT16
#define F64 ONNX_TENSOR_ELEMENT_DATA_TYPE_DOUBLE

enum { VALUE, SHAPES, STARTS, LOCATIONS, WEIGHTS, REFERENCES };

/* 16 bits beside float32: weights beside value, references beside locations. */
#define HALF(h)                                                                                             \
    {h, I64, I64, h, h, h}, {h, I64, I64, h, h, F32}, {h, I64, I64, h, F32, h}, {h, I64, I64, h, F32, F32}, \
        {h, I64, I64, F32, h, F32}, {                                                                       \
        h, I64, I64, F32, F32, F32                                                                          \
    }

static const unsigned char signatures[][MOST_INPUTS] = {
    {F32, I64, I64, F32, F32, F32},
    {F64, I64, I64, F64, F64, F64},
    HALF(F16),
    HALF(BF16),
};

/* Those of models: how many points, alike in all levels or not. */
static const char *const foreign[] = {"num_points", "n_points", "num_points_list", NULL};

static OrtStatus *read(node_kernel *kernel, const OrtKernelInfo *info) {
    dcnv4_msda_problem *const layer = &kernel->layer.attention;
    *layer = (dcnv4_msda_problem)DCNV4_MSDA_PROBLEM_INIT;
    int64_t points[DCNV4_MSDA_MAX_LEVELS], unit = DCNV4_MSDA_NORMALIZED;
    size_t count = 0;
    OrtStatus *status = read_list(kernel, info, "points", points, DCNV4_MSDA_MAX_LEVELS, &count);
    if (!status)
        status = read_ints(kernel, info, "unit", &unit, 1, 0);
    if (!status && unit > DCNV4_MSDA_BOX_OFFSETS)
        status = refuse(kernel->op->api, ORT_INVALID_ARGUMENT,
                        "dcnv4: attribute unit of MSDeformAttn node '%s' is %lld, possible are 0 to %d", kernel->node,
                        (long long)unit, (int)DCNV4_MSDA_BOX_OFFSETS);
    if (!status)
        status = read_flag(kernel, info, "softmax", &layer->softmax);
    if (!status)
        status = read_float(kernel, info, "box_scale", &layer->box_scale);
    for (size_t k = 0; k < count; ++k)
        kernel->levels[k].points = points[k];
    layer->location_unit = (int32_t)unit;
    layer->level_count = (int64_t)count;
    return status;
}

/* How many points all levels of a call have together, by the shape of its locations: that of a tensor without elements may
 * have any sizes. */
static int64_t all_points(const plan_tensor *locations, bool packed) {
    if (packed)
        return locations->rank == 4 ? locations->shape[3] / 3 : 0;
    if (locations->rank != 6)
        return locations->rank == 5 ? locations->shape[3] : 0;
    const int64_t levels = locations->shape[3], points = locations->shape[4];
    return levels > 0 && points > INT64_MAX / levels ? INT64_MAX : levels * points;
}

/* The layer of a call. Without the attribute points, all levels have as many. */
static void complete(const node_kernel *kernel, const plan_tensor *tensors, dcnv4_msda_problem *layer,
                     dcnv4_msda_level *levels) {
    const plan_tensor *const shapes = &tensors[PLAN_ATTENTION_LEVEL_SHAPES];
    *layer = kernel->layer.attention;
    layer->packed = tensors[PLAN_ATTENTION_WEIGHTS].rank == 0;
    layer->levels = kernel->levels;
    if (layer->level_count > 0)
        return;
    layer->levels = levels;
    layer->level_count = shapes->rank == 2 ? shapes->shape[0] : 0;
    const int64_t points = all_points(&tensors[PLAN_ATTENTION_LOCATIONS], layer->packed != 0);
    for (int64_t k = 0; k < layer->level_count && k < DCNV4_MSDA_MAX_LEVELS; ++k)
        levels[k] = (dcnv4_msda_level){0, 0, 0, points / layer->level_count};
}

static dcnv4_status shape_of(const node_kernel *kernel, plan_tensor *tensors, int64_t *shape, char *message) {
    dcnv4_msda_problem layer;
    dcnv4_msda_level levels[DCNV4_MSDA_MAX_LEVELS];
    complete(kernel, tensors, &layer, levels);
    return plan_attention_output(&layer, tensors, shape, message);
}

static dcnv4_status find(const node_kernel *kernel, plan_tensor *tensors, plan_call *call) {
    dcnv4_msda_problem layer;
    dcnv4_msda_level levels[DCNV4_MSDA_MAX_LEVELS];
    complete(kernel, tensors, &layer, levels);
    return plan_attention_find(kernel->op->cache, &layer, tensors, call);
}

static void infer(int64_t shapes[][MOST_RANK], const char *symbols[][MOST_RANK], const size_t *ranks, int64_t *shape,
                  const char **names) {
    if (ranks[VALUE] == 4) {
        const int64_t heads = shapes[VALUE][2], channels = shapes[VALUE][3];
        shape[0] = shapes[VALUE][0], names[0] = symbols[VALUE][0];
        if (heads >= 0 && channels >= 0 && (channels == 0 || heads <= INT64_MAX / channels))
            shape[2] = heads * channels;
    }
    if (ranks[LOCATIONS] >= 4)
        shape[1] = shapes[LOCATIONS][1], names[1] = symbols[LOCATIONS][1];
}

const operator_kind attention_kind = {
    .name = "MSDeformAttn",
    .inputs = 6,
    .required = 4,
    .places = {PLAN_ATTENTION_VALUE, PLAN_ATTENTION_LEVEL_SHAPES, PLAN_ATTENTION_LEVEL_STARTS, PLAN_ATTENTION_LOCATIONS,
               PLAN_ATTENTION_WEIGHTS, PLAN_ATTENTION_REFERENCES},
    .output = PLAN_ATTENTION_OUTPUT,
    .output_rank = 3,
    .signatures = signatures,
    .signature_count = sizeof signatures / sizeof *signatures,
    .foreign = foreign,
    .read = read,
    .shape = shape_of,
    .find = find,
    .infer = infer,
};
