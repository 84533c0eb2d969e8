/* Signals that end the program: first they remove what it has not finished. */
#ifndef DCNV4I_OUTPUT_SIGNALS_H
#define DCNV4I_OUTPUT_SIGNALS_H

/* From now on a signal that would end this process calls function first, which does what a handler may do. */
void dcnv4i_signals_watch(void (*function)(void));

/* Between these two a signal waits, whichever thread it comes to. */
void dcnv4i_signals_wait(void);
void dcnv4i_signals_go_on(void);

#endif
