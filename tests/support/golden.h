/* The golden cases: results of the original authors' kernels on small inputs. */
#ifndef TESTS_GOLDEN_H
#define TESTS_GOLDEN_H

#include "test_layer.h"

/* The problem of a case folder, as float64. */
dcnv4_problem golden_problem(const char *folder);

/* The numbers of folder/name.npy, to be freed. Fails the test unless there are `count`. */
double *golden_read(const char *folder, const char *name, int64_t count);

/* The layer of a case, in a dtype, its inputs read and rounded to it. */
test_layer golden_layer(const char *folder, int32_t dtype);

#endif
