/* How a process is told from the children that it forks, and a lock that is free in a child. */
#include "../../core/fork.h"
#include "../support/harness.h"

#include <pthread.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CHILD_SECONDS = 60, THREADS = 4, TURNS = 50 };

/* The result of `in_child` in a forked child; false if it hangs, since an alarm ends it. */
static bool child_says(bool (*in_child)(void *), void *argument) {
    int ended = -1;
    const pid_t child = fork();
    if (child == 0) {
        alarm(CHILD_SECONDS);
        _exit(in_child(argument) ? 0 : 1);
    }
    return waitpid(child, &ended, 0) == child && ended == 0;
}

static bool differs(void *count) {
    return dcnv4i_fork_count() != *(const unsigned *)count;
}

static bool differs_here_and_in_a_child(void *count) {
    unsigned here = dcnv4i_fork_count();
    return differs(count) && child_says(differs, &here) && child_says(differs, count) && dcnv4i_fork_count() == here;
}

static void each_child_has_another_count(void **state) {
    (void)state;
    assert_int_equal(dcnv4i_fork_watch(), DCNV4_SUCCESS);
    unsigned count = dcnv4i_fork_count();
    for (int i = 0; i < 3; ++i)
        assert_true(child_says(differs_here_and_in_a_child, &count));
    assert_int_equal(dcnv4i_fork_count(), count);
    count_case();
}

typedef struct shared {
    dcnv4i_fork_lock lock;
    int inside, most, turns; /* under the lock */
} shared;

static void *take_turns(void *argument) {
    shared *s = argument;
    for (int i = 0; i < TURNS; ++i) {
        dcnv4i_fork_lock_take(&s->lock);
        s->most = ++s->inside > s->most ? s->inside : s->most;
        ++s->turns;
        --s->inside;
        dcnv4i_fork_lock_release(&s->lock);
    }
    return NULL;
}

/* One thread at a time has the lock, even if the parent held it when it forked. */
static bool take_turns_in_threads(void *argument) {
    shared *s = argument;
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; ++i)
        if (pthread_create(&threads[i], NULL, take_turns, s) != 0)
            return false;
    for (int i = 0; i < THREADS; ++i)
        pthread_join(threads[i], NULL);
    return s->most == 1 && s->turns == THREADS * TURNS;
}

static bool take_turns_here_and_in_a_child(void *argument) {
    shared *s = argument;
    dcnv4i_fork_lock_take(&s->lock); /* the parent's, and now this process's */
    const bool in_child = child_says(take_turns_in_threads, s);
    dcnv4i_fork_lock_release(&s->lock);
    return in_child && take_turns_in_threads(s);
}

static void a_lock_that_is_held_is_free_in_a_child(void **state) {
    (void)state;
    shared s = {.inside = 0};
    assert_true(take_turns_in_threads(&s));
    s.turns = 0;
    dcnv4i_fork_lock_take(&s.lock);
    assert_true(child_says(take_turns_in_threads, &s));
    assert_true(child_says(take_turns_here_and_in_a_child, &s));
    dcnv4i_fork_lock_release(&s.lock);
    assert_true(take_turns_in_threads(&s));
    count_case();
}

#if defined(__has_attribute)
#if __has_attribute(disable_sanitizer_instrumentation)
#define BEFORE_SANITIZERS __attribute__((disable_sanitizer_instrumentation))
#endif
#endif
#ifndef BEFORE_SANITIZERS
#define BEFORE_SANITIZERS
#endif

/* The linker passes all calls of pthread_atfork through here, also those that a sanitizer makes before it is ready. */
int __real_pthread_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void));
int __wrap_pthread_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void));
static bool refuses = false;

BEFORE_SANITIZERS
int __wrap_pthread_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void)) {
    return refuses ? 12 /* ENOMEM */ : __real_pthread_atfork(prepare, parent, child);
}

/* For a process that has made nothing yet; later calls retry the registration. */
static bool is_refused(void) {
    dcnv4_context *context = NULL;
    refuses = true;
    const bool refused = dcnv4_context_create("cpu", &context) == DCNV4_OUT_OF_MEMORY && !context &&
                         strstr(dcnv4_last_message(), "error 12") != NULL;
    refuses = false;
    return refused;
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_child_has_another_count),
        cmocka_unit_test(a_lock_that_is_held_is_free_in_a_child),
    };
    return is_refused() ? HARNESS_RUN(argc, argv, tests) : 1;
}
