/* On the cpu: points in chunks, a part of an output row each, and cpu/sampling does the rest. In plain C alone; a real operator
 * has a file of this kind for each instruction set. */
#include "../../backends/cpu/cpu_operator.h"
#include "../../backends/cpu/simd/vector_scalar.h"
#include "../../backends/cpu/sampling/sampling.inl"
#include "resize.h"

static dcnv4i_image image_of(const resize_params *p) {
    return (dcnv4i_image){p->width,      p->height,
                          p->channels,   p->channels,
                          sizeof(float), dcnv4i_rows_for(DCNV4I_portable, DCNV4_FLOAT32)->read[DCNV4_FLOAT32]};
}

/* The points of `pixels` output pixels from (oy, ox) on. Positions are measured from pixel (0, 0). */
static void place_points(const resize_params *p, int64_t oy, int64_t ox, int64_t pixels, point_chunk *chunk) {
    chunk->first_middle_x = chunk->middle_y = chunk->middle_step = 0;
    chunk->box = (point_box){pixels, 1, 1};
    for (int64_t i = 0; i < pixels + LANES - 1; ++i) {
        chunk->x[i] = (real)resize_position(ox + i, p->output_width, p->width);
        chunk->y[i] = (real)resize_position(oy, p->output_height, p->height);
        chunk->middle_x[i] = 0;
        chunk->weight[i] = 1;
    }
}

static void forward_chunk(const image_frame *frame, const view *value, const point_chunk *chunk, float *output) {
    gather g = {.frame = frame, .from = value, .chunk = chunk, .out_stride = value->stride, .ahead = value->pixels};
    gather_group(&g, chunk->box.pixels, 0, value->stride, output);
}

static void backward_chunk(const scatter_image *to, const point_chunk *chunk, const float *grad_output) {
    point_sums sums; /* of points' gradients, which are not used here */
    const scatter s = {.to = to, .chunk = chunk, .points = 1, .out_stride = to->grad.stride, .dots = sums.corners};
    scatter_group(&s, chunk->box.pixels, 0, to->grad.stride, grad_output);
}

/* One image of a pass: `at` is that of value or of its gradient, `out` that of output or its gradient. */
static void run_image(const resize_params *p, dcnv4_pass pass, float *at, float *out) {
    const dcnv4i_image image = image_of(p);
    point_chunk chunk;
    scatter_image to = {
        .frame = make_frame_portable_f32(&image, true, 0, p->height, p->channels, p->channels),
        .value = view_rows(&image, (const char *)at, 0, p->height, 0, p->channels, NULL),
        .grad = {at, p->channels, 0, p->height},
    };
    for (int64_t oy = 0; oy < p->output_height; ++oy)
        for (int64_t ox = 0; ox < p->output_width; ox += POINTS) {
            const int64_t pixels = dcnv4i_min64(POINTS, p->output_width - ox);
            float *const pixel = out + (oy * p->output_width + ox) * p->channels;
            place_points(p, oy, ox, pixels, &chunk);
            find_cells(&to.frame, pixels, pass == DCNV4_PASS_BACKWARD, &chunk);
            if (pass == DCNV4_PASS_FORWARD)
                forward_chunk(&to.frame, &to.value, &chunk, pixel);
            else
                backward_chunk(&to, &chunk, pixel);
        }
}

static dcnv4_status program_create(const dcnv4i_cpu_device *device, const dcnv4i_problem *problem, void **program) {
    (void)device;
    *program = (void *)problem;
    return DCNV4_SUCCESS;
}

static void program_destroy(void *program) {
    (void)program;
}

static size_t workspace_size(const void *program, dcnv4_pass pass) {
    (void)program, (void)pass;
    return 0;
}

static dcnv4_status run(const void *program, dcnv4_pass pass, const dcnv4i_buffers *buffers) {
    const resize_problem *const problem = program;
    const resize_params *const p = &problem->params;
    const bool forward = pass == DCNV4_PASS_FORWARD;
    float *const at = dcnv4i_host_pointer(&buffers->tensors[forward ? RESIZE_VALUE : RESIZE_GRAD_VALUE]);
    float *const out = dcnv4i_host_pointer(&buffers->tensors[forward ? RESIZE_OUTPUT : RESIZE_GRAD_OUTPUT]);
    if (!forward)
        memset(at, 0, problem->base.tensors[RESIZE_GRAD_VALUE].bytes);
    for (int64_t n = 0; n < p->batch; ++n)
        run_image(p, pass, at + n * p->height * p->width * p->channels,
                  out + n * p->output_height * p->output_width * p->channels);
    return DCNV4_SUCCESS;
}

const dcnv4i_cpu_operator dcnv4i_cpu_resize = {
    .op = &dcnv4i_operator_resize,
    .program_create = program_create,
    .program_destroy = program_destroy,
    .workspace_size = workspace_size,
    .run = run,
};
