/* What a test says to the library that stands in for libOpenCL.so.1: these are its symbols beside OpenCL's. */
#ifndef TESTS_FAKE_OPENCL_H
#define TESTS_FAKE_OPENCL_H

#include <stdint.h>

typedef struct fake_control {
    int64_t calls;    /* so far; those that give something back are not counted */
    int64_t fail_at;  /* the number of the call that fails; 0 for none */
    int32_t error;    /* and its error */
    int64_t live;     /* objects that have not been given back */
    int64_t launches; /* kernels started */
    int64_t misuse;   /* objects given back twice or used afterwards, and other calls that no driver allows */
} fake_control;

/* The symbol fake_opencl is a fake_control *(void). The environment says what the driver is like:
 * FAKE_OPENCL=no_platform, no_device, abort or hang. */

#endif
