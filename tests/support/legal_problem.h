/* What problems are legal, written from the header's words in integers wide enough for every product, and not from the
 * library's code. */
#ifndef TESTS_LEGAL_PROBLEM_H
#define TESTS_LEGAL_PROBLEM_H

#include <dcnv4/dcnv4.h>

#include <stdbool.h>

/* Whether a problem (of the size that this header knows) is legal; *sizes is then what must come out. */
bool legal_problem(const dcnv4_problem *problem, dcnv4_sizes *sizes);

#endif
