#include "fake_calls.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static fake_control control;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

fake_control *fake_driver_control(void) {
    return &control;
}

static int32_t called(bool on_device) {
    pthread_mutex_lock(&lock);
    const int32_t error = ++control.calls == control.fail_at ? control.error : on_device ? control.lost : 0;
    pthread_mutex_unlock(&lock);
    return error;
}

int32_t fake_called(void) {
    return called(false);
}

int32_t fake_called_on_device(void) {
    return called(true);
}

void fake_count(int64_t *counter, int64_t by) {
    pthread_mutex_lock(&lock);
    *counter += by;
    pthread_mutex_unlock(&lock);
}

void fake_misuse(const char *what) {
    fprintf(stderr, "the driver was misused: %s\n", what);
    fake_count(&control.misuse, 1);
}

static fake_object *objects;

fake_object *fake_make_uncounted(int kind, size_t size) {
    fake_object *made = calloc(1, sizeof *made);
    if (made && !(made->bytes = calloc(1, size + 1))) {
        free(made);
        made = NULL;
    }
    if (made) {
        made->kind = kind, made->holders = 1, made->size = size;
        pthread_mutex_lock(&lock);
        made->before = objects, objects = made;
        ++control.live;
        pthread_mutex_unlock(&lock);
    }
    return made;
}

fake_object *fake_make(int kind, size_t size, int32_t *error) {
    const int32_t failed = fake_called();
    if (error)
        *error = failed;
    return failed ? NULL : fake_make_uncounted(kind, size);
}

int fake_is(const void *handle, int kind) {
    pthread_mutex_lock(&lock);
    const int is = handle && ((const fake_object *)handle)->kind == kind;
    pthread_mutex_unlock(&lock);
    return is;
}

fake_object *fake_use(const void *handle, int kind) {
    if (fake_is(handle, kind))
        return (fake_object *)handle;
    fake_misuse(handle ? "an object is used that is dead, or of another kind" : "NULL is used as an object");
    return NULL;
}

fake_object *fake_hold(fake_object *object) {
    pthread_mutex_lock(&lock);
    const bool alive = object && object->kind != FAKE_DEAD;
    if (alive)
        ++object->holders;
    pthread_mutex_unlock(&lock);
    return alive ? object : NULL;
}

void fake_give_back(fake_object *object) {
    if (!object)
        return;
    pthread_mutex_lock(&lock);
    if (--object->holders == 0) {
        object->kind = FAKE_DEAD;
        free(object->bytes);
        object->bytes = NULL;
        --control.live;
    }
    pthread_mutex_unlock(&lock);
}

int fake_asked(const char *variable, const char *value) {
    const char *said = getenv(variable);
    return said && strcmp(said, value) == 0;
}
