/* Shows progress in one line on stderr that is overwritten; nothing if stderr is not a terminal. */
#ifndef DCNV4I_PROGRESS_H
#define DCNV4I_PROGRESS_H

#include "verdict.h"

void dcnv4i_progress(const char *format, ...) DCNV4I_VERDICT_FORMAT(1, 2);

/* Clears the line. */
void dcnv4i_progress_end(void);

#endif
