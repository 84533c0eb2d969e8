#include "signatures.h"

/* A kernel has one parameter for a number and two for a buffer. */
#define TWO(id, type, name) 0, 0
#define ONE(id, name) 0
#define PARAMETERS_OF(kernel) char kernel[sizeof(char[]){DCN_ARGUMENTS_##kernel(TWO, ONE)}];
_Static_assert(sizeof(union {DCNV4I_SIGNATURES(PARAMETERS_OF)}) <= DCNV4I_MAX_ARGUMENTS, "too many arguments");

#define LIST(kernel) static const unsigned char list_##kernel[] = DCNV4I_LIST_OF(kernel);
#define SIGNATURE(kernel) {#kernel, sizeof list_##kernel, list_##kernel},

DCNV4I_SIGNATURES(LIST)

const dcnv4i_signature dcnv4i_signatures[DCNV4I_SIGNATURE_COUNT] = {DCNV4I_SIGNATURES(SIGNATURE)};
