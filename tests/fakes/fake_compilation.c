#include "fake_compilation.h"

#include <stdlib.h>
#include <string.h>

typedef struct program {
    char *source;
    char *text[FAKE_TEXTS];
    size_t size[FAKE_TEXTS];
} program;

static program *program_of(const fake_object *object) {
    return (program *)(void *)object->bytes;
}

int32_t fake_program_create(void **result, const char *source) {
    int32_t error = FAKE_OK;
    fake_object *made = fake_make(FAKE_PROGRAM, sizeof(program), &error);
    if (!made)
        return error ? error : 1;
    if (!strstr(source, "dcn_"))
        fake_misuse("a program is made of a text that is none of ours");
    program_of(made)->source = strdup(source);
    *result = made;
    return FAKE_OK;
}

int32_t fake_program_compile(void *object, const char *architecture) {
    const int32_t error = fake_called();
    program *p = fake_use(object, FAKE_PROGRAM) ? program_of(object) : NULL;
    if (!p || !architecture)
        return p ? FAKE_INVALID_OPTION : FAKE_INVALID_PROGRAM;
    if (!error) {
        p->text[FAKE_BINARY] = fake_image_make(p->source, architecture, &p->size[FAKE_BINARY], &p->text[FAKE_LOG]);
    }
    if (p->text[FAKE_BINARY]) {
        p->size[FAKE_ASSEMBLY] = p->size[FAKE_BINARY];
        p->text[FAKE_ASSEMBLY] = fake_image_for(p->text[FAKE_BINARY], p->size[FAKE_BINARY], "any");
    }
    if (!p->text[FAKE_LOG])
        p->text[FAKE_LOG] = strdup(error ? "a note\nline 7: error: no such thing\nmore\n" : "");
    p->size[FAKE_LOG] = p->text[FAKE_LOG] ? strlen(p->text[FAKE_LOG]) + 1 : 0;
    return error || p->text[FAKE_BINARY] ? error : FAKE_COMPILATION_FAILED;
}

int32_t fake_program_fail(void *object, const char *log, int32_t error) {
    program *p = fake_use(object, FAKE_PROGRAM) ? program_of(object) : NULL;
    if (p && !p->text[FAKE_LOG] && (p->text[FAKE_LOG] = strdup(log)))
        p->size[FAKE_LOG] = strlen(log) + 1;
    return error;
}

int32_t fake_program_size(void *object, fake_text text, size_t *size) {
    const int32_t error = fake_called();
    if (!error && fake_use(object, FAKE_PROGRAM))
        *size = program_of(object)->size[text];
    return error;
}

int32_t fake_program_copy(void *object, fake_text text, char *to) {
    const int32_t error = fake_called();
    if (!error && fake_use(object, FAKE_PROGRAM) && program_of(object)->text[text])
        memcpy(to, program_of(object)->text[text], program_of(object)->size[text]);
    return error;
}

int32_t fake_program_destroy(void **object) {
    program *p = fake_use(*object, FAKE_PROGRAM) ? program_of(*object) : NULL;
    for (int i = 0; p && i < FAKE_TEXTS; ++i)
        free(p->text[i]);
    if (p) {
        free(p->source);
        fake_give_back(*object);
    }
    *object = NULL;
    return FAKE_OK;
}

const char *fake_option(int count, const char *const *options, const char *prefix) {
    for (int i = 0; i < count; ++i)
        if (strncmp(options[i], prefix, strlen(prefix)) == 0)
            return options[i] + strlen(prefix);
    return NULL;
}
