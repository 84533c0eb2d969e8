/* How a test controls the stand-in whose local memory is watched. */
#ifndef TESTS_RACES_WATCHED_KERNELS_H
#define TESTS_RACES_WATCHED_KERNELS_H

#include <stdint.h>

enum { WATCH_MOST_BARRIERS = 64, WATCH_EVERY_BARRIER = -1, WATCH_MOST_LETTERS = 1024 };

/* A barrier in a compiled text: its number there, and the function that has it. */
typedef struct watched_barrier {
    const void *library;
    int number;
    char function[WATCH_MOST_LETTERS]; /* with its parameters */
} watched_barrier;

typedef struct watch_control {
    uint64_t seed;    /* of the order in which work-items go on */
    int left_out;     /* the barrier that does nothing, of those below; kernels of other texts are not run. Or
                       * WATCH_EVERY_BARRIER: none */
    int faults;       /* found; after the first one no kernel runs until this is 0 again */
    char report[256]; /* about the first one */
    int barriers;     /* reached so far, and which */
    watched_barrier barrier[WATCH_MOST_BARRIERS];
} watch_control;

/* The library has this function. */
watch_control *watch_driver_control(void);

#endif
