/* What a framework says of its tensors, checked, as the library's problems. */
#include "plan_problem.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* What is said about each tensor: where its rows begin, and which tensor has its dtype, and its shape if it is a gradient
 * or the output. */
typedef struct role {
    const char *name;
    int row, like;
} role;

static const role conv_roles[PLAN_CONV_TENSORS] = {
    {"value", 3, PLAN_CONV_VALUE},      {"offset_mask", 3, PLAN_CONV_OFFSET_MASK},
    {"output", 3, PLAN_CONV_VALUE},     {"grad_output", 3, PLAN_CONV_VALUE},
    {"grad_value", 3, PLAN_CONV_VALUE}, {"grad_offset_mask", 3, PLAN_CONV_OFFSET_MASK},
};

static const role attention_roles[PLAN_ATTENTION_TENSORS] = {
    {"value", 2, PLAN_ATTENTION_VALUE},
    {"sampling_locations", 2, PLAN_ATTENTION_LOCATIONS},
    {"attention_weights", 2, PLAN_ATTENTION_WEIGHTS},
    {"reference_points", 2, PLAN_ATTENTION_REFERENCES},
    {"spatial_shapes", 0, PLAN_ATTENTION_LEVEL_SHAPES},
    {"level_start_index", 0, PLAN_ATTENTION_LEVEL_STARTS},
    {"output", 2, PLAN_ATTENTION_VALUE},
    {"grad_output", 2, PLAN_ATTENTION_VALUE},
    {"grad_value", 2, PLAN_ATTENTION_VALUE},
    {"grad_locations", 2, PLAN_ATTENTION_LOCATIONS},
    {"grad_weights", 2, PLAN_ATTENTION_WEIGHTS},
    {"grad_references", 2, PLAN_ATTENTION_REFERENCES},
};

/* ---- Messages --------------------------------------------------------------------------------------------------- */

dcnv4_status plan_refuse(char *message, dcnv4_status status, const char *format, ...) {
    va_list values;
    va_start(values, format);
    vsnprintf(message, PLAN_MESSAGE, format, values);
    va_end(values);
    return status;
}

/* The sentence of the library's failure. */
dcnv4_status plan_refused(char *message, dcnv4_status status) {
    return plan_refuse(message, status, "dcnv4: %s", dcnv4_last_message());
}

/* "[1, 2, 3]" */
static const char *shape_text(char *text, size_t bytes, const int64_t *shape, int rank) {
    size_t at = (size_t)snprintf(text, bytes, "[");
    for (int k = 0; k < rank && k < PLAN_TENSOR_AXES && at < bytes; ++k)
        at += (size_t)snprintf(text + at, bytes - at, k == 0 ? "%lld" : ", %lld", (long long)shape[k]);
    if (at < bytes)
        snprintf(text + at, bytes - at, "]");
    return text;
}

static dcnv4_status wrong_shape(char *message, const char *name, const plan_tensor *tensor, const char *needed) {
    char found[160];
    return plan_refuse(message, DCNV4_INVALID_PROBLEM, "dcnv4: %s has shape %s, %s is needed", name,
                       shape_text(found, sizeof found, tensor->shape, tensor->rank), needed);
}

static bool has_shape(const plan_tensor *tensor, const int64_t *shape, int rank) {
    return tensor->rank == rank && memcmp(tensor->shape, shape, (size_t)rank * sizeof *shape) == 0;
}

/* ---- Tensors ---------------------------------------------------------------------------------------------------- */

/* Sizes are multiplied as unsigned numbers, which may wrap: what is too large for memory is refused by the library. */
static int64_t times(int64_t a, int64_t b) {
    return (int64_t)((uint64_t)a * (uint64_t)b);
}

void plan_tensor_dense(plan_tensor *tensor) {
    int64_t stride = 1;
    for (int k = tensor->rank - 1; k >= 0; --k) {
        tensor->strides[k] = stride;
        stride = times(stride, tensor->shape[k]);
    }
}

int64_t plan_row_stride(const plan_tensor *tensor, int axis) {
    int64_t row = 1, rows = 1, found = 0;
    bool empty = false, several = false;
    for (int k = 0; k < tensor->rank; ++k)
        empty = empty || tensor->shape[k] == 0;
    for (int k = tensor->rank - 1; k >= axis; --k) {
        if (!empty && tensor->shape[k] > 1 && tensor->strides[k] != row)
            return 0;
        row = times(row, tensor->shape[k]);
    }
    for (int k = axis - 1; k >= 0 && !empty; --k) {
        if (tensor->shape[k] > 1) {
            if (!several)
                found = tensor->strides[k] / rows;
            several = true;
            if (tensor->strides[k] != times(found, rows))
                return 0;
        }
        rows = times(rows, tensor->shape[k]);
    }
    if (!several)
        return row > 0 ? row : 1;
    return found < row ? 0 : found;
}

bool plan_uses(bool attention, dcnv4_pass pass, int index) {
    const int output = attention ? (int)PLAN_ATTENTION_OUTPUT : (int)PLAN_CONV_OUTPUT;
    return index < output || (pass == DCNV4_PASS_FORWARD ? index == output : index > output);
}

/* Checks ranks and dtypes, and that results and gradients fit the inputs; fills in strides, in the order of the tensors;
 * those of level tables and of tensors that are not used stay 0. */
static dcnv4_status check_tensors(bool attention, dcnv4_pass pass, const plan_tensor *tensors,
                                  const plan_tensor *output, int64_t *strides, char *message) {
    const role *const roles = attention ? attention_roles : conv_roles;
    const int count = attention ? (int)PLAN_ATTENTION_TENSORS : (int)PLAN_CONV_TENSORS;
    const int output_index = attention ? (int)PLAN_ATTENTION_OUTPUT : (int)PLAN_CONV_OUTPUT;
    for (int k = 0; k < count; ++k) {
        const plan_tensor *const tensor = &tensors[k], *const like = &tensors[roles[k].like];
        strides[k] = 0;
        if (!plan_uses(attention, pass, k) || (tensor->rank == 0 && (k < output_index || like->rank == 0)))
            continue;
        if (k >= output_index) {
            const plan_tensor *const shape = k <= output_index + 1 ? output : like;
            char needed[160];
            if (!has_shape(tensor, shape->shape, shape->rank))
                return wrong_shape(message, roles[k].name, tensor,
                                   shape_text(needed, sizeof needed, shape->shape, shape->rank));
            if (tensor->dtype != like->dtype)
                return plan_refuse(message, DCNV4_INVALID_PROBLEM, "dcnv4: %s is not of the dtype of %s", roles[k].name,
                                   roles[roles[k].like].name);
        }
        if (tensor->dtype == PLAN_INT64 && roles[k].row == 0)
            continue;
        strides[k] = plan_row_stride(tensor, roles[k].row);
        if (strides[k] == 0)
            return plan_refuse(
                message, DCNV4_UNSUPPORTED,
                "dcnv4: the rows of %s, its axes from %d on, are not contiguous or not at equal distances",
                roles[k].name, roles[k].row);
    }
    return DCNV4_SUCCESS;
}

static dcnv4_status check_input(const role *roles, const plan_tensor *tensors, int index, char *message) {
    const plan_tensor *const tensor = &tensors[index];
    const char *const name = roles[index].name;
    if (tensor->rank < 0 || tensor->rank > PLAN_TENSOR_AXES)
        return plan_refuse(message, DCNV4_INVALID_PROBLEM, "dcnv4: %s has %d axes, at most %d are possible", name,
                           (int)tensor->rank, (int)PLAN_TENSOR_AXES);
    if (tensor->rank == 0)
        return plan_refuse(message, DCNV4_INVALID_PROBLEM, "dcnv4: %s is missing, or a single number", name);
    const bool table = roles[index].row == 0;
    if (table ? tensor->dtype != PLAN_INT64 : tensor->dtype < DCNV4_FLOAT32 || tensor->dtype > DCNV4_FLOAT64)
        return plan_refuse(message, DCNV4_INVALID_PROBLEM, "dcnv4: %s is of another dtype than %s", name,
                           table ? "int64" : "float32, float16, bfloat16 and float64");
    for (int k = 0; k < tensor->rank; ++k)
        if (tensor->shape[k] < 0)
            return wrong_shape(message, name, tensor, "sizes of 0 or more");
    return DCNV4_SUCCESS;
}

/* ---- Problems --------------------------------------------------------------------------------------------------- */

/* Fills in what follows from value and offset_mask. */
static dcnv4_status fill_conv(dcnv4_problem *problem, const plan_tensor *tensors, dcnv4_sizes *sizes, char *message) {
    const plan_tensor *const value = &tensors[PLAN_CONV_VALUE], *const offset_mask = &tensors[PLAN_CONV_OFFSET_MASK];
    dcnv4_status status = check_input(conv_roles, tensors, PLAN_CONV_VALUE, message);
    if (status == DCNV4_SUCCESS)
        status = check_input(conv_roles, tensors, PLAN_CONV_OFFSET_MASK, message);
    if (status != DCNV4_SUCCESS)
        return status;
    if (value->rank != 4)
        return wrong_shape(message, "value", value, "[N, H, W, C]");
    if (offset_mask->rank != 4)
        return wrong_shape(message, "offset_mask", offset_mask, "[N, Ho, Wo, P]");
    const int64_t channels = value->shape[3];
    if (problem->groups < 1 || channels < 1 || channels % problem->groups != 0)
        return plan_refuse(message, DCNV4_INVALID_PROBLEM,
                           "dcnv4: value has %lld channels, which %lld groups do not divide", (long long)channels,
                           (long long)problem->groups);
    problem->size = sizeof *problem;
    problem->dtype = value->dtype, problem->offset_mask_dtype = offset_mask->dtype;
    problem->batch = value->shape[0], problem->height = value->shape[1], problem->width = value->shape[2];
    problem->group_channels = channels / problem->groups;
    problem->offset_mask_row = offset_mask->shape[3];
    problem->reserved = problem->reserved_2 = 0;
    problem->value_stride = problem->offset_mask_stride = problem->output_stride = 0;
    problem->grad_output_stride = problem->grad_value_stride = problem->grad_offset_mask_stride = 0;
    if (problem->offset_mask_row < 1)
        return wrong_shape(message, "offset_mask", offset_mask, "[N, Ho, Wo, P] with P of at least 3·groups·K");
    status = dcnv4_problem_sizes(problem, sizes);
    if (status != DCNV4_SUCCESS)
        return plan_refused(message, status);
    const int64_t needed[] = {problem->batch, sizes->output_height, sizes->output_width, problem->offset_mask_row};
    char text[160];
    if (!has_shape(offset_mask, needed, 4))
        return wrong_shape(message, "offset_mask", offset_mask, shape_text(text, sizeof text, needed, 4));
    return DCNV4_SUCCESS;
}

dcnv4_status plan_conv_output(const dcnv4_problem *layer, const plan_tensor *tensors, int64_t shape[4], char *message) {
    dcnv4_problem problem = *layer;
    dcnv4_sizes sizes = DCNV4_SIZES_INIT;
    const dcnv4_status status = fill_conv(&problem, tensors, &sizes, message);
    if (status == DCNV4_SUCCESS) {
        shape[0] = problem.batch, shape[1] = sizes.output_height, shape[2] = sizes.output_width;
        shape[3] = sizes.channels;
    }
    return status;
}

/* Whether the axes from the fourth on are P or levels times K, and then `last` if it is not 0. */
static bool has_points(const plan_tensor *tensor, const dcnv4_msda_problem *problem, int64_t points, int64_t last) {
    const int axes = tensor->rank - (last != 0);
    if (last != 0 && tensor->shape[tensor->rank - 1] != last)
        return false;
    if (axes == 4)
        return tensor->shape[3] == points;
    for (int64_t k = 0; axes == 5 && k < problem->level_count; ++k)
        if (problem->levels[k].points != tensor->shape[4])
            return false;
    return axes == 5 && tensor->shape[3] == problem->level_count;
}

static bool begins_with(const plan_tensor *tensor, const int64_t *shape, int axes) {
    return tensor->rank > axes && memcmp(tensor->shape, shape, (size_t)axes * sizeof *shape) == 0;
}

static dcnv4_status check_points(const dcnv4_msda_problem *problem, const plan_tensor *tensors, char *message) {
    const plan_tensor *const locations = &tensors[PLAN_ATTENTION_LOCATIONS];
    const plan_tensor *const weights = &tensors[PLAN_ATTENTION_WEIGHTS];
    const int64_t lead[] = {problem->batch, problem->queries, problem->heads};
    int64_t points = 0;
    char needed[160];
    for (int64_t k = 0; k < problem->level_count; ++k) {
        const int64_t more = problem->levels[k].points;
        if (more < 0 || more > INT64_MAX / 3 - points)
            return plan_refuse(message, DCNV4_INVALID_PROBLEM,
                               "dcnv4: level %lld has %lld points, possible are 0 to %lld in all levels together",
                               (long long)k, (long long)more, (long long)(INT64_MAX / 3));
        points += more;
    }
    const long long n = lead[0], q = lead[1], m = lead[2], p = points;
    if (problem->packed) {
        snprintf(needed, sizeof needed, "[%lld, Q, %lld, 3·%lld]", n, m, p);
        if (!begins_with(locations, lead, 3) || locations->rank != 4 || locations->shape[3] != times(3, points))
            return wrong_shape(message, "sampling_loc_attn", locations, needed);
        return DCNV4_SUCCESS;
    }
    snprintf(needed, sizeof needed, "[%lld, Q, %lld, P, 2] with P = %lld", n, m, p);
    if (!begins_with(locations, lead, 3) || !has_points(locations, problem, points, 2))
        return wrong_shape(message, "sampling_locations", locations, needed);
    const dcnv4_status status = check_input(attention_roles, tensors, PLAN_ATTENTION_WEIGHTS, message);
    if (status != DCNV4_SUCCESS)
        return status;
    snprintf(needed, sizeof needed, "[%lld, %lld, %lld, P] with P = %lld", n, q, m, p);
    if (!begins_with(weights, lead, 3) || !has_points(weights, problem, points, 0))
        return wrong_shape(message, "attention_weights", weights, needed);
    return DCNV4_SUCCESS;
}

static dcnv4_status check_references(dcnv4_msda_problem *problem, const plan_tensor *tensors, char *message) {
    const plan_tensor *const references = &tensors[PLAN_ATTENTION_REFERENCES];
    const int64_t lead[] = {problem->batch, problem->queries};
    const bool boxes = problem->location_unit == DCNV4_MSDA_BOX_OFFSETS;
    char needed[160];
    problem->reference_levels = 1, problem->reference_dtype = DCNV4_SAME_DTYPE;
    if (!boxes && problem->location_unit != DCNV4_MSDA_OFFSETS) {
        if (references->rank != 0)
            return plan_refuse(message, DCNV4_INVALID_PROBLEM,
                               "dcnv4: reference_points are given, but unit %d uses none", (int)problem->location_unit);
        return DCNV4_SUCCESS;
    }
    const dcnv4_status status = check_input(attention_roles, tensors, PLAN_ATTENTION_REFERENCES, message);
    if (status != DCNV4_SUCCESS)
        return status;
    snprintf(needed, sizeof needed, "[%lld, %lld, 1 or %lld, %d]", (long long)lead[0], (long long)lead[1],
             (long long)problem->level_count, boxes ? 4 : 2);
    if (!begins_with(references, lead, 2) || references->rank != 4 || references->shape[3] != (boxes ? 4 : 2) ||
        (references->shape[2] != 1 && references->shape[2] != problem->level_count))
        return wrong_shape(message, "reference_points", references, needed);
    problem->reference_levels = references->shape[2], problem->reference_dtype = references->dtype;
    return DCNV4_SUCCESS;
}

static dcnv4_status check_tables(dcnv4_msda_problem *problem, const plan_tensor *tensors, char *message) {
    const plan_tensor *const shapes = &tensors[PLAN_ATTENTION_LEVEL_SHAPES];
    const plan_tensor *const starts = &tensors[PLAN_ATTENTION_LEVEL_STARTS];
    problem->levels_in_buffers = shapes->rank != 0 || starts->rank != 0;
    if (!problem->levels_in_buffers)
        return DCNV4_SUCCESS;
    for (int k = PLAN_ATTENTION_LEVEL_SHAPES; k <= PLAN_ATTENTION_LEVEL_STARTS; ++k) {
        const dcnv4_status status = check_input(attention_roles, tensors, k, message);
        if (status != DCNV4_SUCCESS)
            return status;
    }
    const int64_t needed[] = {problem->level_count, 2};
    char text[160];
    if (!has_shape(shapes, needed, 2))
        return wrong_shape(message, "spatial_shapes", shapes, shape_text(text, sizeof text, needed, 2));
    if (!has_shape(starts, needed, 1))
        return wrong_shape(message, "level_start_index", starts, shape_text(text, sizeof text, needed, 1));
    for (int k = PLAN_ATTENTION_LEVEL_SHAPES; k <= PLAN_ATTENTION_LEVEL_STARTS; ++k)
        if (plan_row_stride(&tensors[k], 0) == 0)
            return plan_refuse(message, DCNV4_UNSUPPORTED, "dcnv4: %s is not contiguous", attention_roles[k].name);
    return DCNV4_SUCCESS;
}

static dcnv4_status fill_attention(dcnv4_msda_problem *problem, const plan_tensor *tensors, dcnv4_msda_sizes *sizes,
                                   char *message) {
    const plan_tensor *const value = &tensors[PLAN_ATTENTION_VALUE];
    const plan_tensor *const locations = &tensors[PLAN_ATTENTION_LOCATIONS];
    dcnv4_status status = check_input(attention_roles, tensors, PLAN_ATTENTION_VALUE, message);
    if (status == DCNV4_SUCCESS)
        status = check_input(attention_roles, tensors, PLAN_ATTENTION_LOCATIONS, message);
    if (status != DCNV4_SUCCESS)
        return status;
    if (problem->level_count < 1 || problem->level_count > DCNV4_MSDA_MAX_LEVELS || !problem->levels)
        return plan_refuse(message, DCNV4_INVALID_PROBLEM,
                           "dcnv4: spatial_shapes has %lld levels, possible are 1 to %d",
                           (long long)problem->level_count, DCNV4_MSDA_MAX_LEVELS);
    if (value->rank != 4)
        return wrong_shape(message, "value", value, "[N, S, M, D]");
    problem->size = sizeof *problem;
    problem->batch = value->shape[0], problem->value_length = value->shape[1];
    problem->heads = value->shape[2], problem->head_channels = value->shape[3];
    problem->queries = locations->rank > 1 ? locations->shape[1] : 0;
    problem->dtype = value->dtype, problem->location_dtype = locations->dtype;
    problem->weight_dtype = problem->packed ? locations->dtype : tensors[PLAN_ATTENTION_WEIGHTS].dtype;
    problem->value_stride = problem->location_stride = problem->weight_stride = problem->reference_stride = 0;
    problem->output_stride = problem->grad_output_stride = problem->grad_value_stride = 0;
    problem->grad_location_stride = problem->grad_weight_stride = problem->grad_reference_stride = 0;
    status = check_points(problem, tensors, message);
    if (status == DCNV4_SUCCESS)
        status = check_references(problem, tensors, message);
    if (status == DCNV4_SUCCESS)
        status = check_tables(problem, tensors, message);
    if (status != DCNV4_SUCCESS)
        return status;
    status = dcnv4_msda_sizes_get(problem, sizes);
    return status == DCNV4_SUCCESS ? status : plan_refused(message, status);
}

dcnv4_status plan_attention_output(const dcnv4_msda_problem *layer, const plan_tensor *tensors, int64_t shape[3],
                                   char *message) {
    dcnv4_msda_problem problem = *layer;
    dcnv4_msda_sizes sizes = DCNV4_MSDA_SIZES_INIT;
    const dcnv4_status status = fill_attention(&problem, tensors, &sizes, message);
    if (status == DCNV4_SUCCESS) {
        shape[0] = problem.batch, shape[1] = problem.queries;
        shape[2] = problem.heads * problem.head_channels;
    }
    return status;
}

/* ---- Problems with strides -------------------------------------------------------------------------------------- */

dcnv4_status plan_conv_problem(dcnv4_problem *problem, dcnv4_pass pass, const plan_tensor *tensors, char *message) {
    dcnv4_sizes sizes = DCNV4_SIZES_INIT;
    int64_t strides[PLAN_CONV_TENSORS] = {0};
    dcnv4_status status = fill_conv(problem, tensors, &sizes, message);
    if (status != DCNV4_SUCCESS)
        return status;
    const plan_tensor output = {.rank = 4,
                                .shape = {problem->batch, sizes.output_height, sizes.output_width, sizes.channels}};
    status = check_tensors(false, pass, tensors, &output, strides, message);
    problem->value_stride = strides[PLAN_CONV_VALUE];
    problem->offset_mask_stride = strides[PLAN_CONV_OFFSET_MASK];
    problem->output_stride = strides[PLAN_CONV_OUTPUT];
    problem->grad_output_stride = strides[PLAN_CONV_GRAD_OUTPUT];
    problem->grad_value_stride = strides[PLAN_CONV_GRAD_VALUE];
    problem->grad_offset_mask_stride = strides[PLAN_CONV_GRAD_OFFSET_MASK];
    problem->forward_only = pass == DCNV4_PASS_FORWARD;
    return status;
}

dcnv4_status plan_attention_problem(dcnv4_msda_problem *problem, dcnv4_pass pass, const plan_tensor *tensors,
                                    char *message) {
    dcnv4_msda_sizes sizes = DCNV4_MSDA_SIZES_INIT;
    int64_t strides[PLAN_ATTENTION_TENSORS] = {0};
    dcnv4_status status = fill_attention(problem, tensors, &sizes, message);
    if (status != DCNV4_SUCCESS)
        return status;
    const plan_tensor output = {.rank = 3,
                                .shape = {problem->batch, problem->queries, problem->heads * problem->head_channels}};
    status = check_tensors(true, pass, tensors, &output, strides, message);
    problem->value_stride = strides[PLAN_ATTENTION_VALUE];
    problem->location_stride = strides[PLAN_ATTENTION_LOCATIONS];
    problem->weight_stride = strides[PLAN_ATTENTION_WEIGHTS];
    problem->reference_stride = strides[PLAN_ATTENTION_REFERENCES];
    problem->output_stride = strides[PLAN_ATTENTION_OUTPUT];
    problem->grad_output_stride = strides[PLAN_ATTENTION_GRAD_OUTPUT];
    problem->grad_value_stride = strides[PLAN_ATTENTION_GRAD_VALUE];
    problem->grad_location_stride = strides[PLAN_ATTENTION_GRAD_LOCATIONS];
    problem->grad_weight_stride = strides[PLAN_ATTENTION_GRAD_WEIGHTS];
    problem->grad_reference_stride = strides[PLAN_ATTENTION_GRAD_REFERENCES];
    problem->forward_only = pass == DCNV4_PASS_FORWARD;
    return status;
}
