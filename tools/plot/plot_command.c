/* dcnv4 plot. */
#include "../cli/commands.h"
#include "../output/output_file.h"
#include "image_file.h"
#include "plotters.h"

static dcnv4i_plotter *const plotters[DCNV4I_OPERATORS] = {
#define DCNV4I_TASK(NAME, object, word, title) dcnv4i_plot_##object,
#include "../cli/operator_list.def"
#undef DCNV4I_TASK
};

static dcnv4i_exit draw(const dcnv4i_settings *settings, const dcnv4i_layer *layer) {
    dcnv4i_canvas picture = {.pixels = NULL}, canvas = {.pixels = NULL};
    FILE *file = NULL;
    dcnv4i_exit verdict = settings->image ? dcnv4i_image_read(settings->image, &picture) : DCNV4I_DONE;
    if (verdict == DCNV4I_DONE)
        verdict = plotters[settings->op](settings, layer, &picture, &canvas);
    if (verdict == DCNV4I_DONE)
        verdict = dcnv4i_output_open(settings->output, &file);
    if (verdict == DCNV4I_DONE)
        verdict = dcnv4i_image_write(settings->output, file, &canvas);
    verdict = verdict == DCNV4I_DONE ? dcnv4i_outputs_commit() : verdict;
    dcnv4i_outputs_discard();
    dcnv4i_canvas_free(&picture);
    dcnv4i_canvas_free(&canvas);
    return verdict;
}

static dcnv4i_exit check_output(const dcnv4i_settings *settings) {
    const dcnv4i_task_operator *const op = dcnv4i_task_begin(settings).op;
    dcnv4i_exit verdict = dcnv4i_output_check("--output", settings->output);
    for (int i = 0; i <= op->tensor_count && verdict == DCNV4I_DONE; ++i) {
        const char *const input = i == op->tensor_count              ? settings->image
                                  : dcnv4i_is_input(&op->tensors[i]) ? dcnv4i_tensor_path(settings, &op->tensors[i])
                                                                     : NULL;
        if (input && dcnv4i_same_file(input, settings->output))
            verdict = dcnv4i_verdict(DCNV4I_REFUSED, "--output %s is an input, %s; inputs are not written over",
                                     settings->output, input);
    }
    return verdict;
}

dcnv4i_exit dcnv4i_plot_command(const dcnv4i_settings *settings) {
    dcnv4i_settings wide = *settings;
    wide.dtype = DCNV4_FLOAT64; /* nothing is computed that would depend on the dtype */
    dcnv4i_layer layer;
    dcnv4i_exit verdict = dcnv4i_image_available();
    if (verdict == DCNV4I_DONE)
        verdict = check_output(settings);
    if (verdict == DCNV4I_DONE)
        verdict = dcnv4i_layer_open(&wide, &layer);
    if (verdict != DCNV4I_DONE)
        return verdict;
    verdict = draw(settings, &layer);
    dcnv4i_layer_free(&layer);
    return verdict;
}
