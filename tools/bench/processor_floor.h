/* The times below which no implementation on this machine can be, found by doing nothing else than what it has to do. */
#ifndef DCNV4I_PROCESSOR_FLOOR_H
#define DCNV4I_PROCESSOR_FLOOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What is needed to take the two times for one problem with a number of threads. */
typedef struct dcnv4i_floor {
    int64_t threads;
    double load_bytes;   /* that are gathered: the elements times the bytes that one has in arithmetic */
    double scale;        /* the memory below is the problem's times this: 1 unless the problem is huge */
    size_t copied, read; /* bytes that are copied to `to`, and bytes behind them that are only read */
    char *from, *to;
} dcnv4i_floor;

/* For a problem that gathers load_bytes, reads read_bytes and writes write_bytes. False without memory. */
bool dcnv4i_floor_create(int64_t threads, double load_bytes, double read_bytes, double write_bytes,
                         dcnv4i_floor *floor);
void dcnv4i_floor_free(dcnv4i_floor *floor);

/* Milliseconds in which the threads together load load_bytes from a buffer that lies in the first-level cache, by the
 * widest vectors that this processor has, each with its multiply-add. NAN if a thread could not be started. */
double dcnv4i_floor_load_ms(const dcnv4i_floor *floor);

/* Milliseconds in which they write write_bytes that are copied from read_bytes, and read the rest of those. The memory is
 * as large as the problem's, and so lies in the same cache, if in any. */
double dcnv4i_floor_memory_ms(const dcnv4i_floor *floor);

/* The loads in words, such as "avx2, 256 bits". */
const char *dcnv4i_floor_loads(void);

#endif
