/* Pictures of multi-scale deformable attention: which queries to draw, and over what. */
#include "../operators/attn_task.h"
#include "../operators/point_bound.h"
#include "attn_view.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- Where a query is ----------------------------------------------------------------------------------------------- */

/* The row of a query in a tensor; NULL if there is no such tensor. */
static const double *row_of(const dcnv4i_layer *layer, int tensor, int64_t query) {
    return layer->layouts[tensor].rank > 0 ? (const double *)layer->tensors[tensor] + query * layer->layouts[tensor].row
                                           : NULL;
}

static bool is_inside(const dcnv4_msda_level *level, double x, double y) {
    return x > -1 && x < (double)level->width && y > -1 && y < (double)level->height;
}

void dcnv4i_attn_look_at(const dcnv4i_layer *layer, int64_t query, dcnv4i_attn_dot *dots, double *weights, double *x,
                         double *y) {
    const dcnv4i_task *const task = &layer->task;
    const int64_t points = dcnv4i_attn_points(task), block = (task->attn.packed ? 3 : 2) * points;
    const double *const references = row_of(layer, DCNV4I_ATTN_REFERENCES, query);
    double sums[3] = {0, 0, 0};
    for (int64_t head = 0; head < task->attn.heads; ++head) {
        const double *at = row_of(layer, DCNV4I_ATTN_LOCATIONS, query) + head * block;
        const double *const raw = task->attn.packed ? at + 2 * points
                                                    : row_of(layer, DCNV4I_ATTN_WEIGHTS, query) + head * points;
        dcnv4i_weights(task->attn.softmax, raw, points, weights);
        for (int64_t l = 0, point = 0; l < task->attn.level_count; ++l)
            for (int64_t k = 0; k < task->levels[l].points; ++k, ++point, at += 2) {
                const dcnv4_msda_level *const level = &task->levels[l];
                const dcnv4i_attn_axis across = dcnv4i_attn_axis_of(task, (int)l, 0, references),
                                       down = dcnv4i_attn_axis_of(task, (int)l, 1, references);
                const double px = dcnv4i_attn_position(&across, at[0]), py = dcnv4i_attn_position(&down, at[1]);
                const bool counts = is_inside(level, px, py) && isfinite(weights[point]);
                if (dots)
                    *dots++ = (dcnv4i_attn_dot){px, py, weights[point], head, (int)l, counts};
                if (counts)
                    sums[0] += (px + 0.5) / across.size, sums[1] += (py + 0.5) / down.size, sums[2] += 1;
            }
    }
    *x = references ? references[0] : sums[0] / sums[2];
    *y = references ? references[1] : sums[1] / sums[2];
}

/* ---- Which queries -------------------------------------------------------------------------------------------------- */

typedef struct choice {
    int64_t queries[DCNV4I_PLOT_QUERIES];
    int count;
} choice;

static dcnv4i_exit choose(choice *made, int64_t query) {
    if (made->count == DCNV4I_PLOT_QUERIES)
        return dcnv4i_verdict(DCNV4I_REFUSED, "--query and --at name more than %d queries", DCNV4I_PLOT_QUERIES);
    made->queries[made->count++] = query;
    return DCNV4I_DONE;
}

/* The numbers of --query. */
static dcnv4i_exit read_queries(const dcnv4i_list *list, int64_t queries, choice *made) {
    dcnv4i_exit verdict = DCNV4I_DONE;
    for (int64_t i = 0; i < list->count; ++i)
        for (const char *text = list->items[i]; *(text += strspn(text, " ,")) && verdict == DCNV4I_DONE;) {
            const char *const first = text;
            int64_t query = 0;
            for (; *text >= '0' && *text <= '9' && query < INT32_MAX; ++text)
                query = query * 10 + (*text - '0');
            if (text == first || (*text && *text != ' ' && *text != ','))
                return dcnv4i_verdict(DCNV4I_REFUSED,
                                      "--query is \"%s\"; whole numbers with spaces or commas between them are needed",
                                      list->items[i]);
            if (query >= queries)
                return dcnv4i_verdict(DCNV4I_REFUSED,
                                      "--query %" PRId64 " is not there; there are %" PRId64 " queries, from 0 on",
                                      query, queries);
            verdict = choose(made, query);
        }
    return verdict;
}

/* The query that is nearest to a pixel of the picture; DCNV4I_NONE if no query is anywhere. */
static int64_t nearest(const dcnv4i_layer *layer, const dcnv4i_canvas *picture, const int64_t pixel[2],
                       double *weights) {
    int64_t found = DCNV4I_NONE;
    double least = INFINITY;
    for (int64_t query = 0; query < layer->task.attn.queries; ++query) {
        double x, y;
        dcnv4i_attn_look_at(layer, query, NULL, weights, &x, &y);
        const double away = hypot(x * picture->width - 0.5 - (double)pixel[1],
                                  y * picture->height - 0.5 - (double)pixel[0]);
        if (away < least)
            least = away, found = query;
    }
    return found;
}

static dcnv4i_exit read_places(const dcnv4i_settings *settings, const dcnv4i_layer *layer, const dcnv4i_canvas *picture,
                               double *weights, choice *made) {
    int64_t pixels[DCNV4I_PLOT_PIXELS][2];
    int count;
    dcnv4i_exit verdict = dcnv4i_plot_pixels(&settings->at, pixels, &count);
    for (int i = 0; i < count && verdict == DCNV4I_DONE; ++i) {
        if (pixels[i][0] >= picture->height || pixels[i][1] >= picture->width)
            return dcnv4i_verdict(DCNV4I_REFUSED, "--at %" PRId64 ",%" PRId64 " is outside the picture of %d×%d pixels",
                                  pixels[i][0], pixels[i][1], picture->height, picture->width);
        const int64_t query = nearest(layer, picture, pixels[i], weights);
        verdict = query != DCNV4I_NONE ? choose(made, query)
                                       : dcnv4i_verdict(DCNV4I_REFUSED, "--at: no query has a point inside a level");
    }
    return verdict;
}

/* ---- The picture ---------------------------------------------------------------------------------------------------- */

/* The level with the most places. */
static const dcnv4_msda_level *largest_level(const dcnv4i_task *task) {
    const dcnv4_msda_level *largest = task->levels;
    for (int l = 1; l < task->attn.level_count; ++l)
        if (task->levels[l].height * task->levels[l].width > largest->height * largest->width)
            largest = &task->levels[l];
    return largest;
}

static dcnv4i_exit draw(const dcnv4i_layer *layer, const choice *made, const dcnv4i_canvas *picture, double *weights,
                        dcnv4i_canvas *canvas) {
    dcnv4i_attn_look looks[DCNV4I_PLOT_QUERIES] = {{.dots = NULL}};
    const size_t dots = (size_t)(layer->task.attn.heads * dcnv4i_attn_points(&layer->task));
    dcnv4i_exit verdict = DCNV4I_DONE;
    for (int i = 0; i < made->count && verdict == DCNV4I_DONE; ++i) {
        looks[i].query = made->queries[i];
        looks[i].dots = malloc(dots * sizeof *looks[i].dots + 1);
        if (looks[i].dots)
            dcnv4i_attn_look_at(layer, made->queries[i], looks[i].dots, weights, &looks[i].x, &looks[i].y);
        else
            verdict = dcnv4i_verdict(DCNV4I_BROKEN, "no memory for %zu points", dots);
    }
    if (verdict == DCNV4I_DONE)
        verdict = dcnv4i_attn_draw_looks(layer, looks, made->count, picture, canvas);
    for (int i = 0; i < made->count; ++i)
        free(looks[i].dots);
    return verdict;
}

dcnv4i_exit dcnv4i_plot_ms_deform_attn(const dcnv4i_settings *settings, const dcnv4i_layer *layer,
                                       dcnv4i_canvas *picture, dcnv4i_canvas *canvas) {
    const dcnv4_msda_problem *const p = &layer->task.attn;
    const dcnv4_msda_level *const level = largest_level(&layer->task);
    choice made = {.count = 0};
    if (p->batch == 0 || p->queries == 0 || level->height == 0 || level->width == 0)
        return dcnv4i_verdict(DCNV4I_REFUSED,
                              "%s: there is nothing to draw in %" PRId64 " images with %" PRId64
                              " queries and a largest level of %" PRId64 "×%" PRId64,
                              settings->value, p->batch, p->queries, level->height, level->width);
    double *const weights = malloc((size_t)dcnv4i_attn_points(&layer->task) * sizeof *weights + 1);
    dcnv4i_exit verdict = weights ? DCNV4I_DONE : dcnv4i_verdict(DCNV4I_BROKEN, "no memory for the weights of a query");
    const int64_t channels = p->heads * p->head_channels;
    if (verdict == DCNV4I_DONE && !picture->pixels)
        verdict = dcnv4i_plot_magnitude((const double *)layer->tensors[DCNV4I_ATTN_VALUE] + level->start * channels,
                                        channels, level->height, level->width, picture);
    if (verdict == DCNV4I_DONE)
        verdict = read_queries(&settings->queries_drawn, p->queries, &made);
    if (verdict == DCNV4I_DONE)
        verdict = read_places(settings, layer, picture, weights, &made);
    if (verdict == DCNV4I_DONE && made.count == 0)
        verdict = dcnv4i_verdict(DCNV4I_REFUSED, "no query is named; --query Q or --at Y,X is needed");
    if (verdict == DCNV4I_DONE)
        verdict = draw(layer, &made, picture, weights, canvas);
    free(weights);
    return verdict;
}
