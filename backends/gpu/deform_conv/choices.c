/* A choice holds for a layer with any image size: kernels depend only on the layer, and a new image size compiles
 * nothing. */
#include "choices.h"
#include "../choice_records.h"
#include "tactics.h"

_Static_assert((int)DCNV4I_CHOICE_PARTS == (int)DCNV4I_DEFORM_CONV_PARTS, "a record for each part");

static dcnv4i_choice_record pack(const dcnv4i_geometry *g) {
    return (dcnv4i_choice_record){1,
                                  {g->vector, g->lanes, g->vectors, g->tile_h, g->tile_w, g->tile_groups,
                                   g->round_points, g->staged, (int32_t)g->scatter, g->hits, g->chunk_h, g->chunk_w}};
}

static dcnv4i_geometry unpack(const dcnv4i_choice_record *from) {
    const int32_t *n = from->number;
    return (dcnv4i_geometry){n[0], n[1],  n[2],  n[3], n[4],  n[5], n[6], n[7] == 1, (dcnv4i_scatter)n[8],
                             n[9], n[10], n[11], 1,    false, false};
}

/* For free(); NULL if there is no memory. */
static char *describe(const dcnv4i_limits *limits, const dcnv4i_deform_conv *problem) {
    dcnv4i_choice_record defaults[DCNV4I_CHOICE_PARTS];
    for (int part = 0; part < DCNV4I_DEFORM_CONV_PARTS; ++part) {
        const dcnv4i_geometry standard = dcnv4i_geometry_of(limits, problem, (dcnv4_part)part, false);
        defaults[part] = pack(&standard);
    }
    return dcnv4i_choice_text(dcnv4i_deform_conv_layer(problem), defaults);
}

dcnv4i_choices dcnv4i_choices_read(const dcnv4i_module_store *store, const dcnv4i_limits *limits,
                                   const dcnv4i_deform_conv *problem) {
    dcnv4i_choices choices = {.any = false};
    dcnv4i_choice_record records[DCNV4I_CHOICE_PARTS];
    if (!store->folder || !store->identity->machine)
        return choices;
    dcnv4i_choice_read(store, limits, describe(limits, problem), records);
    for (int part = 0; part < DCNV4I_DEFORM_CONV_PARTS; ++part) {
        dcnv4i_geometry *const g = &choices.geometry[part];
        *g = unpack(&records[part]);
        const dcnv4i_geometry standard = dcnv4i_geometry_of(limits, problem, (dcnv4_part)part, false);
        g->run = standard.run, g->wide = standard.wide;
        choices.has[part] = records[part].has == 1 && dcnv4i_geometry_legal(limits, problem, (dcnv4_part)part, g);
        choices.any = choices.any || choices.has[part];
    }
    return choices;
}

dcnv4_status dcnv4i_choices_keep(const dcnv4i_module_store *store, const dcnv4i_limits *limits,
                                 const dcnv4i_deform_conv *problem, dcnv4_part part, const dcnv4i_geometry *geometry) {
    dcnv4i_choice_record record = {.has = 0};
    if (geometry)
        record = pack(geometry);
    return dcnv4i_choice_keep(store, limits, describe(limits, problem), (int)part, geometry ? &record : NULL);
}
