/* Handlers of signals that end the program: they first remove unfinished files. */
#ifndef DCNV4I_OUTPUT_SIGNALS_H
#define DCNV4I_OUTPUT_SIGNALS_H

/* From now on a signal that would end this process calls function first, which must be safe in a signal handler. */
void dcnv4i_signals_watch(void (*function)(void));

/* Between these two calls a signal is deferred, whichever thread receives it. */
void dcnv4i_signals_wait(void);
void dcnv4i_signals_go_on(void);

#endif
