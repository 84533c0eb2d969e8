#include "arguments.h"

#define ENTRY_OF_BUFFER(what, type, name) DCNV4I_GIVE_##what
#define ENTRY_OF_NUMBER(what, name) DCNV4I_BUFFERS + DCNV4I_PASS_##what
#define LIST(kernel) \
    static const unsigned char list_##kernel[] = {DCN_ARGUMENTS_##kernel(ENTRY_OF_BUFFER, ENTRY_OF_NUMBER)};
#define SIGNATURE(kernel) {#kernel, sizeof list_##kernel, list_##kernel},

DCNV4I_SIGNATURES(LIST)

const dcnv4i_signature dcnv4i_signatures[DCNV4I_SIGNATURE_COUNT] = {DCNV4I_SIGNATURES(SIGNATURE)};
