#include "fake_device.h"
#include "fake_modules.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* ---- Contexts and streams ---------------------------------------------------------------------------------------------- */

typedef struct context {
    int device;
} context;

typedef struct stream {
    fake_object *context;
    bool blocking; /* waits for the default stream, which also waits for it */
    bool capturing, broken;
    fake_object *graph; /* what is captured */
} stream;

static const context *context_of(const fake_object *object) {
    return (const context *)(const void *)object->bytes;
}

static stream *stream_of(const fake_object *object) {
    return (stream *)(void *)object->bytes;
}

int fake_device_count(void) {
    const char *said = getenv("FAKE_GPU_DEVICES");
    const int count = said ? atoi(said) : 1;
    return count > 4 ? 4 : count;
}

fake_object *fake_context_make(int device) {
    fake_object *made = fake_make_uncounted(FAKE_CONTEXT, sizeof(context));
    if (made)
        ((context *)(void *)made->bytes)->device = device;
    return made;
}

int fake_context_device(const fake_object *object) {
    return context_of(object)->device;
}

fake_object *fake_stream_make(fake_object *owner, bool blocking) {
    fake_object *made = fake_make_uncounted(FAKE_STREAM, sizeof(stream));
    if (made)
        *stream_of(made) = (stream){.context = owner, .blocking = blocking};
    return made;
}

fake_object *fake_stream_context(fake_object *object) {
    return stream_of(object)->context;
}

/* ---- Commands: queued in one list, and run when a caller synchronises -------------------------------------------- */

typedef struct command {
    struct command *next;
    fake_object *context;
    fake_object *stream; /* NULL for the context's default */
    fake_work work;
} command;

static command *first;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void count_waiting(int64_t by) {
    fake_count(&fake_driver_control()->waiting, by);
}

/* Whether `later` may run only after `earlier`, which was queued before. */
static bool depends(const command *later, const command *earlier) {
    if (later->context != earlier->context)
        return false;
    if (later->stream == earlier->stream)
        return true;
    return (!later->stream && stream_of(earlier->stream)->blocking) ||
           (!earlier->stream && stream_of(later->stream)->blocking);
}

static void take_out(command *done) {
    command **at = &first;
    while (*at != done)
        at = &(*at)->next;
    *at = done->next;
    count_waiting(-1);
    free(done);
}

/* Runs a command, after all that it depends on. */
static void run(command *wanted) {
    command *before = first;
    while (before != wanted) {
        if (depends(wanted, before)) {
            run(before);
            before = first;
        } else
            before = before->next;
    }
    fake_work_do(context_of(wanted->context)->device, &wanted->work);
    take_out(wanted);
}

/* Runs all of a context's commands, or those of one of its streams. */
static void run_all(const fake_object *of, const fake_object *in_stream, bool any_stream) {
    command *found = first;
    while (found) {
        if (found->context == of && (any_stream || found->stream == in_stream)) {
            run(found);
            found = first;
        } else
            found = found->next;
    }
}

/* ---- Capture --------------------------------------------------------------------------------------------------------- */

typedef struct graph {
    command *first, **end;
} graph;

static graph *graph_of(const fake_object *object) {
    return (graph *)(void *)object->bytes;
}

static fake_object *capturing; /* the stream that is captured; one at a time */

static bool is_capturing(fake_object *object) {
    return object && stream_of(object)->capturing;
}

int32_t fake_forbidden_in_capture(void) {
    pthread_mutex_lock(&lock);
    const bool forbidden = capturing != NULL;
    if (forbidden)
        stream_of(capturing)->broken = true;
    pthread_mutex_unlock(&lock);
    return forbidden ? FAKE_CAPTURE_UNSUPPORTED : FAKE_OK;
}

int32_t fake_capture_begin(fake_object *object) {
    fake_object *made = fake_make_uncounted(FAKE_GRAPH, sizeof(graph));
    if (capturing || !made)
        return FAKE_INVALID_VALUE;
    graph_of(made)->end = &graph_of(made)->first;
    stream_of(object)->capturing = true, stream_of(object)->broken = false, stream_of(object)->graph = made;
    capturing = object;
    return FAKE_OK;
}

int32_t fake_capture_end(fake_object *object, fake_object **result) {
    stream *s = stream_of(object);
    if (capturing != object)
        return FAKE_INVALID_VALUE;
    capturing = NULL;
    s->capturing = false;
    if (s->broken) {
        fake_graph_free(s->graph);
        return FAKE_CAPTURE_INVALIDATED;
    }
    *result = s->graph;
    return FAKE_OK;
}

void fake_graph_free(fake_object *object) {
    for (command *c = graph_of(object)->first, *next; c; c = next) {
        next = c->next;
        free(c);
    }
    fake_give_back(object);
}

static void append(command *added) {
    command **end = &first;
    while (*end)
        end = &(*end)->next;
    *end = added;
    added->next = NULL;
    count_waiting(1);
}

int32_t fake_graph_launch(fake_object *in, fake_object *object, fake_object *to) {
    int32_t error = FAKE_OK;
    pthread_mutex_lock(&lock);
    for (const command *c = graph_of(object)->first; c && !error; c = c->next) {
        command *copy = malloc(sizeof *copy);
        error = copy ? FAKE_OK : FAKE_OUT_OF_MEMORY;
        if (!copy)
            break;
        *copy = *c;
        copy->context = in, copy->stream = to;
        append(copy);
    }
    pthread_mutex_unlock(&lock);
    return error;
}

/* ---- What is queued ------------------------------------------------------------------------------------------------- */

/* Queues a command, or adds it to the captured graph. */
static int32_t queue(fake_object *in, fake_object *to, const fake_work *work) {
    command *made = calloc(1, sizeof *made);
    if (!made)
        return FAKE_OUT_OF_MEMORY;
    *made = (command){.context = in, .stream = to, .work = *work};
    pthread_mutex_lock(&lock);
    int32_t error = FAKE_OK;
    if (is_capturing(to)) {
        *graph_of(stream_of(to)->graph)->end = made;
        graph_of(stream_of(to)->graph)->end = &made->next;
    } else if (capturing && !to) {
        stream_of(capturing)->broken = true; /* the default stream would make it wait for what is captured */
        error = FAKE_CAPTURE_UNSUPPORTED;
        free(made);
    } else
        append(made);
    pthread_mutex_unlock(&lock);
    return error;
}

static bool is_stream_of(const fake_object *in, fake_object *to) {
    return !to || (fake_use(to, FAKE_STREAM) && stream_of(to)->context == in);
}

int32_t fake_copy(fake_object *in, void *to, const void *from, size_t length, bool to_device) {
    const fake_work work = {
        .target = to, .source = from, .length = length, .to_device = to_device, .from_device = !to_device};
    return queue(in, NULL, &work);
}

int32_t fake_launch(fake_object *in, fake_object *to, const fake_work *work) {
    if (!is_stream_of(in, to) || fake_kernel_context(work->kernel) != in)
        return FAKE_INVALID_HANDLE;
    const int32_t error = queue(in, to, work);
    if (!error)
        fake_count(&fake_driver_control()->launches, 1);
    return error;
}

/* ---- Waiting -------------------------------------------------------------------------------------------------------- */

int32_t fake_context_synchronize(fake_object *in) {
    const int32_t forbidden = fake_forbidden_in_capture();
    if (forbidden)
        return forbidden;
    pthread_mutex_lock(&lock);
    run_all(in, NULL, true);
    pthread_mutex_unlock(&lock);
    return fake_driver_control()->lost;
}

int32_t fake_stream_synchronize(fake_object *in, fake_object *to) {
    const int32_t forbidden = fake_forbidden_in_capture();
    if (forbidden || !is_stream_of(in, to))
        return forbidden ? forbidden : FAKE_INVALID_HANDLE;
    pthread_mutex_lock(&lock);
    run_all(in, to, false);
    pthread_mutex_unlock(&lock);
    return fake_driver_control()->lost;
}

void fake_stream_free(fake_object *object) {
    fake_stream_synchronize(stream_of(object)->context, object);
    fake_give_back(object);
}
