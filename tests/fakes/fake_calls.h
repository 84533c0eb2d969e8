/* What the libraries that stand in for drivers share, and what a test says to them. */
#ifndef TESTS_FAKE_CALLS_H
#define TESTS_FAKE_CALLS_H

#include <stddef.h>
#include <stdint.h>

typedef struct fake_control {
    int64_t calls;    /* so far; those that give something back are not counted */
    int64_t fail_at;  /* the number of the call that fails; 0 for none */
    int32_t error;    /* and its error */
    int64_t live;     /* objects that have not been given back */
    int64_t launches; /* kernels started */
    int64_t misuse;   /* objects given back twice or used afterwards, and other calls that no driver allows */
    int32_t idle;     /* kernels are neither compiled nor run: for tests of all that is around them */
    int32_t lost;     /* what every call that reaches the device answers from now on; 0 for a device that works */
    int64_t waiting;  /* commands on streams that have not been run */
} fake_control;

/* Each of those libraries has this function: fake_control *fake_driver_control(void). */

/* ---- Within the libraries ---------------------------------------------------------------------------------------- */

#define FAKE_EXPORT __attribute__((visibility("default")))

FAKE_EXPORT fake_control *fake_driver_control(void);

enum { FAKE_DEAD = -1 };

/* An object of a driver's. Objects are never freed, so that a second use of a dead one is seen. */
typedef struct fake_object {
    int kind; /* FAKE_DEAD once the last holder has given it back */
    int holders;
    size_t size;
    char *bytes;                /* zeroed; of size bytes */
    struct fake_object *before; /* all that were ever made */
} fake_object;

/* Counts this call, and returns the error that it is to answer; the second is for calls that reach the device. */
int32_t fake_called(void);
int32_t fake_called_on_device(void);
void fake_count(int64_t *counter, int64_t by);

/* Counts a misuse and says what on stderr. */
void fake_misuse(const char *what);

/* NULL if this call is to fail, or if there is no memory; *error, if wanted, says which. make_uncounted does not fail. */
fake_object *fake_make(int kind, size_t size, int32_t *error);
fake_object *fake_make_uncounted(int kind, size_t size);

/* The object behind a handle; one that is not of this kind, or dead, counts as misuse and gives NULL. */
fake_object *fake_use(const void *handle, int kind);
/* Whether an object of this kind is behind the handle, which must be an object's. */
int fake_is(const void *handle, int kind);
/* One holder more; NULL if the object is dead. */
fake_object *fake_hold(fake_object *object);
/* One holder less; the last one's bytes are freed. Nothing happens to a NULL. */
void fake_give_back(fake_object *object);

/* Whether the environment's variable has this value. */
int fake_asked(const char *variable, const char *value);

#endif
