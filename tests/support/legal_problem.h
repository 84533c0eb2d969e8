/* Which problems are legal, written from the public header and not from the library's code, with integers wide enough
 * for every product. */
#ifndef TESTS_LEGAL_PROBLEM_H
#define TESTS_LEGAL_PROBLEM_H

#include <dcnv4/dcnv4.h>

#include <stdbool.h>

/* Whether a problem (of this header's size) is legal; *sizes are then the sizes that the library must give. */
bool legal_problem(const dcnv4_problem *problem, dcnv4_sizes *sizes);

#endif
