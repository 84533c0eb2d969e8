/* A problem and its tensors in the host's memory: from the files that the options name, or random. */
#ifndef DCNV4I_LAYER_H
#define DCNV4I_LAYER_H

#include "task.h"

typedef struct dcnv4i_layer {
    dcnv4i_task task;
    dcnv4i_layout layouts[DCNV4I_TENSORS_MOST];
    void *tensors[DCNV4I_TENSORS_MOST]; /* dense inputs; NULL where there is none, or it is empty */
    int rank[DCNV4I_TENSORS_MOST];      /* the shape of an input's file; 0: it has none */
    int64_t shape[DCNV4I_TENSORS_MOST][DCNV4I_RANK_MOST];
} dcnv4i_layer;

/* Reads the files' headers, checks that they fit each other and the options, then reads and converts their data. After a
 * failure there is nothing to free. */
dcnv4i_exit dcnv4i_layer_open(const dcnv4i_settings *settings, dcnv4i_layer *layer);

/* Fills the inputs that have no numbers yet with random ones. */
dcnv4i_exit dcnv4i_layer_fill(dcnv4i_random *random, double spread, dcnv4i_layer *layer);

/* Replaces a share of the numbers of an input by another number, such as infinity. */
typedef struct dcnv4i_spoil {
    int tensor;
    double number, share; /* 0: nothing is replaced */
} dcnv4i_spoil;

void dcnv4i_layer_spoil(dcnv4i_random *random, const dcnv4i_spoil *spoil, dcnv4i_layer *layer);

void dcnv4i_layer_free(dcnv4i_layer *layer);

#endif
