/* Shared by the libraries that stand in for drivers; and how a test controls them. */
#ifndef TESTS_FAKE_CALLS_H
#define TESTS_FAKE_CALLS_H

#include <stddef.h>
#include <stdint.h>

typedef struct fake_control {
    int64_t calls;    /* so far; releases are not counted */
    int64_t fail_at;  /* the number of the call that fails; 0 for none */
    int32_t error;    /* and its error */
    int64_t live;     /* objects that have not been released */
    int64_t launches; /* kernels started */
    int64_t misuse;   /* objects released twice or used afterwards, and other calls that no driver allows */
    int32_t idle;     /* kernels are neither compiled nor run: for tests of everything else */
    int32_t lost;     /* the error of every call that reaches the device from now on; 0: the device works */
    int64_t waiting;  /* commands on streams that have not been run */
} fake_control;

/* Each of those libraries has this function: fake_control *fake_driver_control(void). */

/* ---- Within the libraries ---------------------------------------------------------------------------------------- */

#if defined(_WIN32)
#define FAKE_EXPORT __declspec(dllexport)
#else
#define FAKE_EXPORT __attribute__((visibility("default")))
#endif

FAKE_EXPORT fake_control *fake_driver_control(void);

enum { FAKE_DEAD = -1 };

/* A driver's object. Objects are never freed, so that a use of a dead one is detected. */
typedef struct fake_object {
    int kind; /* FAKE_DEAD once the last reference is dropped */
    int holders;
    size_t size;
    char *bytes;                /* zeroed; of size bytes */
    struct fake_object *before; /* the list of all objects ever made */
} fake_object;

/* Counts this call, and returns the error that it must return; the second is for calls that reach the device. */
int32_t fake_called(void);
int32_t fake_called_on_device(void);
void fake_count(int64_t *counter, int64_t by);

/* Counts a misuse and prints it to stderr. */
void fake_misuse(const char *what);

/* NULL if this call is to fail, or if there is no memory; *error, if wanted, says which. make_uncounted does not fail. */
fake_object *fake_make(int kind, size_t size, int32_t *error);
fake_object *fake_make_uncounted(int kind, size_t size);

/* The object behind a handle; one that is not of this kind, or dead, counts as misuse and gives NULL. */
fake_object *fake_use(const void *handle, int kind);
/* Whether an object of this kind is behind the handle, which must be an object's. */
int fake_is(const void *handle, int kind);
/* Adds a reference; NULL if the object is dead. */
fake_object *fake_hold(fake_object *object);
/* Drops a reference; with the last one the bytes are freed. NULL is ignored. */
void fake_give_back(fake_object *object);

/* Whether the environment's variable has this value. */
int fake_asked(const char *variable, const char *value);

#endif
