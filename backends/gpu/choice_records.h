/* Choices among tactics on disk, for any operator: one file for a layer on a device. The key has the device, driver and kernels'
 * texts that a choice was measured with; after one changes, the choice is not found. */
#ifndef DCNV4I_CHOICE_RECORDS_H
#define DCNV4I_CHOICE_RECORDS_H

#include "runtime/module_store.h"

/* A part's record: whether there is a choice, and its numbers, which the operator knows. */
enum { DCNV4I_CHOICE_NUMBERS = 12, DCNV4I_CHOICE_PARTS = 3 };

typedef struct dcnv4i_choice_record {
    int32_t has, number[DCNV4I_CHOICE_NUMBERS];
} dcnv4i_choice_record;

/* What the key has of a problem, for free(): `layer`, which is consumed, and the defaults of its parts, against which choices were
 * measured. NULL if there is no memory, or layer is NULL. */
char *dcnv4i_choice_text(char *layer, const dcnv4i_choice_record defaults[DCNV4I_CHOICE_PARTS]);

/* Reads the records stored for a text, which is consumed; all zeros if there are none. */
void dcnv4i_choice_read(const dcnv4i_module_store *store, const dcnv4i_limits *limits, char *text,
                        dcnv4i_choice_record records[DCNV4I_CHOICE_PARTS]);

/* Stores one part's record and leaves the others, or removes it if record is NULL. The text is consumed. DCNV4_UNSUPPORTED, with
 * the reason, if it could not be stored. */
dcnv4_status dcnv4i_choice_keep(const dcnv4i_module_store *store, const dcnv4i_limits *limits, char *text, int part,
                                const dcnv4i_choice_record *record);

#endif
