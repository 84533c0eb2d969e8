#include "attention_choices.h"
#include "../choice_records.h"
#include "attention_tactics.h"

_Static_assert((int)DCNV4I_CHOICE_PARTS == (int)DCNV4I_ATTN_PARTS, "a record for each part");

static dcnv4i_choice_record pack(const dcnv4i_attn_geometry *g) {
    return (dcnv4i_choice_record){
        1, {g->vector, g->lanes, g->vectors, g->blocks, g->round_points, (int32_t)g->way, g->hits, g->chunk}};
}

static dcnv4i_attn_geometry unpack(const dcnv4i_choice_record *from) {
    const int32_t *n = from->number;
    return (dcnv4i_attn_geometry){.vector = n[0],
                                  .lanes = n[1],
                                  .vectors = n[2],
                                  .blocks = n[3],
                                  .round_points = n[4],
                                  .way = (dcnv4i_attn_way)n[5],
                                  .hits = n[6],
                                  .chunk = n[7]};
}

/* For free(); NULL if there is no memory. */
static char *describe(const dcnv4i_limits *limits, const dcnv4i_ms_deform_attn *problem) {
    dcnv4i_choice_record defaults[DCNV4I_CHOICE_PARTS];
    for (int part = 0; part < DCNV4I_ATTN_PARTS; ++part) {
        const dcnv4i_attn_geometry standard = dcnv4i_attn_geometry_of(limits, problem, (dcnv4_msda_part)part, false);
        defaults[part] = pack(&standard);
    }
    return dcnv4i_choice_text(dcnv4i_attn_layer(problem), defaults);
}

dcnv4i_attn_choices dcnv4i_attn_choices_read(const dcnv4i_module_store *store, const dcnv4i_limits *limits,
                                             const dcnv4i_ms_deform_attn *problem) {
    dcnv4i_attn_choices choices = {.any = false};
    dcnv4i_choice_record records[DCNV4I_CHOICE_PARTS];
    if (!store->folder || !store->identity->machine)
        return choices;
    dcnv4i_choice_read(store, limits, describe(limits, problem), records);
    for (int part = 0; part < DCNV4I_ATTN_PARTS; ++part) {
        dcnv4i_attn_geometry *const g = &choices.geometry[part];
        *g = unpack(&records[part]);
        g->wide = dcnv4i_attn_geometry_of(limits, problem, (dcnv4_msda_part)part, false).wide;
        choices.has[part] = records[part].has == 1 &&
                            dcnv4i_attn_geometry_legal(limits, problem, (dcnv4_msda_part)part, g);
        choices.any = choices.any || choices.has[part];
    }
    return choices;
}

dcnv4_status dcnv4i_attn_choices_keep(const dcnv4i_module_store *store, const dcnv4i_limits *limits,
                                      const dcnv4i_ms_deform_attn *problem, dcnv4_msda_part part,
                                      const dcnv4i_attn_geometry *geometry) {
    dcnv4i_choice_record record = {.has = 0};
    if (geometry)
        record = pack(geometry);
    return dcnv4i_choice_keep(store, limits, describe(limits, problem), (int)part, geometry ? &record : NULL);
}
