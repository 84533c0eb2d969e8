#include "fake_kernels.h"
#include "fake_calls.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

/* ---- Work-items: each has a stack of its own once one of them waits at a barrier --------------------------------------- */

enum { MOST_ITEMS = 1024, STACK = 64 << 10 };

/* As host_dialect.h has it. */
typedef struct place {
    unsigned group, item, groups, work_group;
} place;

static struct {
    place *place;
    const host_kernel *kernel;
    void **arguments;
    ucontext_t home, item[MOST_ITEMS];
    bool ended[MOST_ITEMS];
    unsigned running;
    unsigned launches; /* so far */
    unsigned first;    /* turns the order of a launch's work-groups and work-items */
    bool own_stack;
    char *stacks;
} now;

/* What kernels call. */
static void barrier(void) {
    if (now.own_stack)
        swapcontext(&now.item[now.running], &now.home);
    else
        fake_misuse("a work-item waits at a barrier that the first one of its group never reached");
}

static void item_main(void) {
    now.kernel->run(now.arguments);
    now.ended[now.running] = true;
}

/* Runs a work-item until its next barrier, or its end. */
static void go_on(unsigned item) {
    now.running = now.place->item = item;
    swapcontext(&now.home, &now.item[item]);
}

static void start_item(unsigned item) {
    getcontext(&now.item[item]);
    now.item[item].uc_stack.ss_sp = now.stacks + (size_t)item * STACK;
    now.item[item].uc_stack.ss_size = STACK;
    now.item[item].uc_link = &now.home;
    now.ended[item] = false;
    makecontext(&now.item[item], item_main, 0);
    go_on(item);
}

/* If the first work-item meets no barrier, the others need no stacks of their own. */
static void run_group(unsigned work_group) {
    const unsigned others = work_group - 1;
    now.own_stack = true;
    start_item(0);
    if (now.ended[0]) {
        now.own_stack = false;
        for (unsigned i = 0; i < others; ++i) {
            now.place->item = 1 + (now.first + i) % others;
            now.kernel->run(now.arguments);
        }
        return;
    }
    for (unsigned i = 0; i < others; ++i)
        start_item(1 + (now.first + i) % others);
    for (bool backwards = true;; backwards = !backwards) {
        unsigned ended = 0;
        for (unsigned item = 0; item < work_group; ++item)
            ended += now.ended[item];
        if (ended == work_group)
            return;
        if (ended > 0)
            fake_misuse("some work-items of a group end while others wait at a barrier");
        for (unsigned i = 0; i < work_group; ++i) {
            const unsigned item = ((backwards ? others - i : i) + now.first) % work_group;
            if (!now.ended[item])
                go_on(item);
        }
    }
}

void fake_kernel_run(void *library, const host_kernel *kernel, unsigned groups, unsigned work_group, void **arguments) {
    void (*const own_barrier)(void) = barrier;
    char *const *const begin = dlsym(library, "host_shared_begin"), *const *const end = dlsym(library,
                                                                                              "host_shared_end");
    void *const host_barrier = dlsym(library, "host_barrier");
    now.place = dlsym(library, "host_here");
    if (!now.stacks)
        now.stacks = malloc((size_t)MOST_ITEMS * STACK);
    if (!now.stacks || !now.place || !host_barrier || !begin || !end || work_group > MOST_ITEMS) {
        fake_misuse("a kernel cannot be run");
        return;
    }
    memcpy(host_barrier, &own_barrier, sizeof own_barrier);
    now.kernel = kernel, now.arguments = arguments;
    now.place->groups = groups, now.place->work_group = work_group;
    now.first = 7 * now.launches++ % MOST_ITEMS;
    for (unsigned i = 0; i < groups; ++i) {
        now.place->group = (i + now.first % groups) % groups;
        memset(*begin, 0xa5, (size_t)(*end - *begin)); /* local memory is uninitialised for each work-group */
        run_group(work_group);
    }
}
