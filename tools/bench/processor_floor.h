/* Lower bounds on any implementation's time on this machine, measured by doing only the loads and copies it needs. */
#ifndef DCNV4I_PROCESSOR_FLOOR_H
#define DCNV4I_PROCESSOR_FLOOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The data for measuring both times, for one problem and a number of threads. */
typedef struct dcnv4i_floor {
    int64_t threads;
    double load_bytes;   /* gathered: the elements, times the bytes of one in the arithmetic */
    double scale;        /* of the memory below to the problem's: 1 unless the problem is huge */
    size_t copied, read; /* bytes that are copied to `to`, and bytes behind them that are only read */
    char *from, *to;
} dcnv4i_floor;

/* For a problem that gathers load_bytes, reads read_bytes and writes write_bytes. False if out of memory. */
bool dcnv4i_floor_create(int64_t threads, double load_bytes, double read_bytes, double write_bytes,
                         dcnv4i_floor *floor);
void dcnv4i_floor_free(dcnv4i_floor *floor);

/* Milliseconds in which the threads together load load_bytes from a buffer in the first-level cache, in this
 * processor's widest vectors, each with its multiply-add. NAN if a thread could not be started. */
double dcnv4i_floor_load_ms(const dcnv4i_floor *floor);

/* Milliseconds in which they copy write_bytes of the read_bytes, and read the rest. The memory is as large as the
 * problem's, and so lies in the same level of cache, if in any. */
double dcnv4i_floor_memory_ms(const dcnv4i_floor *floor);

/* A description of the loads, such as "avx2, 256 bits". */
const char *dcnv4i_floor_loads(void);

#endif
