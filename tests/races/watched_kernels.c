/* Runs kernels as fake_kernels.c does, but a work-item may be interrupted at each access to local memory, by another that is
 * drawn at random, and each access is compared with those before it.
 *
 * Only a barrier orders the accesses of two work-items. So two that touch the same byte between the same barriers are a
 * race, unless both read, or both are atomic; in whatever order they happen to come. Reading what no work-item has written
 * is a fault too. A faulty work-group is abandoned before the access is made, since what follows may be anything. */
#include "watched_kernels.h"
#include "../fakes/fake_calls.h"
#include "../fakes/fake_kernels.h"

#include <dlfcn.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

enum { MOST_ITEMS = 1024, STACK = 64 << 10, MOST_LOCAL = 64 << 10, INTERRUPTED = 16, NOBODY = -1, SEVERAL = -2 };
enum { READ, WRITE, ATOMIC }; /* as watched_dialect.h has it */

/* As host_dialect.h has it. */
typedef struct place {
    unsigned group, item, groups, work_group;
} place;

/* Who has touched a byte since the last barrier. */
typedef struct touched {
    int reader, writer; /* a work-item, NOBODY or SEVERAL; writer: atomic ones too */
    int phase;          /* the number of barriers before; of an earlier one, all of this is void */
    bool plain;         /* some write was not atomic */
    bool initialised;   /* in this work-group */
} touched;

enum { GOES, WAITS, ENDED };

static watch_control control = {.left_out = WATCH_EVERY_BARRIER};
static struct {
    place *place;
    const void *library;
    const host_kernel *kernel;
    void **arguments;
    char *local, *stacks;
    size_t local_size;
    touched touched[MOST_LOCAL];
    int phase;
    jmp_buf home, item[MOST_ITEMS]; /* jumps, since swapcontext calls the kernel each time */
    bool made[MOST_ITEMS];          /* has a stack */
    int state[MOST_ITEMS], barrier_of[MOST_ITEMS];
    unsigned ready[MOST_ITEMS], ready_count; /* those that can go on */
    uint64_t random;
} now;

FAKE_EXPORT watch_control *watch_driver_control(void) {
    return &control;
}

/* ---- Chance ----------------------------------------------------------------------------------------------------------- */

static unsigned draw(unsigned below) {
    now.random = now.random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (unsigned)((now.random >> 33) % below);
}

/* ---- Accesses --------------------------------------------------------------------------------------------------------- */

static void back_home(void) {
    if (setjmp(now.item[now.place->item]) == 0)
        longjmp(now.home, 1);
}

/* Counts a fault; the work-item that calls it does not go on. */
static void fault(const char *what, size_t offset, int other) {
    snprintf(control.report, sizeof control.report, "%s: byte %zu of local memory, work-items %u and %d of group %u",
             what, offset, now.place->item, other, now.place->group);
    ++control.faults;
    back_home();
}

/* Without a barrier a kernel may do what ends the process. */
static void fault_signal(int number) {
    snprintf(control.report, sizeof control.report, "signal %d in work-item %u of group %u", number, now.place->item,
             now.place->group);
    ++control.faults;
    longjmp(now.home, 1);
}

static void touch(size_t offset, int kind) {
    const int item = (int)now.place->item;
    touched *t = &now.touched[offset];
    if (t->phase != now.phase)
        t->phase = now.phase, t->reader = t->writer = NOBODY, t->plain = false;
    if (kind != WRITE && !t->initialised)
        fault("read before it is written", offset, item);
    if (t->writer != NOBODY && t->writer != item && (t->plain || kind != ATOMIC))
        fault(kind == READ ? "read while another writes" : "written while another writes", offset, t->writer);
    if (kind != READ && t->reader != NOBODY && t->reader != item)
        fault("written while another reads", offset, t->reader);
    int *const who = kind == READ ? &t->reader : &t->writer;
    *who = *who == NOBODY || *who == item ? item : SEVERAL;
    t->plain |= kind == WRITE;
    t->initialised = true;
}

/* What kernels call before each access. */
static void access_memory(const volatile void *address, unsigned long bytes, int kind) {
    const size_t offset = (size_t)((const volatile char *)address - now.local);
    if (offset >= now.local_size)
        return; /* global memory, or the work-item's own */
    for (size_t i = 0; i < bytes && offset + i < now.local_size; ++i)
        touch(offset + i, kind);
    if (draw(INTERRUPTED) == 0)
        back_home();
}

/* ---- Barriers --------------------------------------------------------------------------------------------------------- */

static int find_barrier(int number, const char *function) {
    for (int i = 0; i < control.barriers; ++i)
        if (control.barrier[i].library == now.library && control.barrier[i].number == number)
            return i;
    if (control.barriers == WATCH_MOST_BARRIERS) {
        fake_misuse("a test has more barriers than it can count");
        return 0;
    }
    watched_barrier *const made = &control.barrier[control.barriers];
    made->library = now.library, made->number = number;
    snprintf(made->function, sizeof made->function, "%s", function);
    return control.barriers++;
}

static int passes(int number, const char *function) {
    const int barrier = find_barrier(number, function);
    now.barrier_of[now.place->item] = barrier;
    return barrier == control.left_out;
}

static void wait_at_barrier(void) {
    now.state[now.place->item] = WAITS;
    back_home();
}

/* ---- Work-items ------------------------------------------------------------------------------------------------------- */

/* A work-item of one work-group after another. */
static void item_main(void) {
    for (;;) {
        now.kernel->run(now.arguments);
        now.state[now.place->item] = ENDED;
        back_home();
    }
}

/* Runs a work-item until it is interrupted, waits or ends. */
static void go_on(unsigned item) {
    static ucontext_t start;
    now.place->item = item;
    if (setjmp(now.home) != 0)
        return;
    if (now.made[item])
        longjmp(now.item[item], 1);
    now.made[item] = true;
    getcontext(&start);
    start.uc_stack.ss_sp = now.stacks + (size_t)item * STACK;
    start.uc_stack.ss_size = STACK;
    makecontext(&start, item_main, 0);
    setcontext(&start);
}

/* Lets all go on that wait, all of them at the same barrier; false if none does. */
static bool open_barrier(unsigned work_group) {
    now.ready_count = 0;
    for (unsigned item = 0; item < work_group; ++item)
        if (now.state[item] == WAITS) {
            now.state[item] = GOES;
            now.ready[now.ready_count++] = item;
        }
    for (unsigned i = 0; i < now.ready_count; ++i)
        if (now.ready_count != work_group || now.barrier_of[now.ready[i]] != now.barrier_of[now.ready[0]]) {
            snprintf(control.report, sizeof control.report, "not all work-items of group %u wait at the same barrier",
                     now.place->group);
            ++control.faults;
            return false;
        }
    ++now.phase;
    return now.ready_count > 0;
}

static void run_group(unsigned work_group) {
    memset(now.local, 0xa5, now.local_size);
    memset(now.touched, 0, now.local_size * sizeof *now.touched);
    now.phase = 0;
    for (unsigned item = 0; item < work_group; ++item)
        now.state[item] = WAITS, now.barrier_of[item] = 0;
    while (open_barrier(work_group))
        while (now.ready_count > 0) {
            const unsigned at = draw(now.ready_count), item = now.ready[at];
            go_on(item);
            if (control.faults > 0) {
                memset(now.made, 0, sizeof now.made); /* none of them goes on */
                return;
            }
            if (now.state[item] != GOES)
                now.ready[at] = now.ready[--now.ready_count];
        }
}

static void *entry(void *library, const char *name) {
    void *const found = dlsym(library, name);
    if (!found)
        fake_misuse("a kernel cannot be watched");
    return found;
}

static void run_groups(unsigned groups, unsigned work_group) {
    static const int signals[] = {SIGILL, SIGSEGV, SIGBUS, SIGFPE};
    enum { SIGNALS = sizeof signals / sizeof *signals };
    struct sigaction before[SIGNALS], faulty = {.sa_handler = fault_signal, .sa_flags = SA_NODEFER};
    for (int i = 0; i < SIGNALS; ++i)
        sigaction(signals[i], &faulty, &before[i]);
    for (unsigned group = 0; group < groups && control.faults == 0; ++group) {
        now.place->group = group;
        run_group(work_group);
    }
    for (int i = 0; i < SIGNALS; ++i)
        sigaction(signals[i], &before[i], NULL);
}

void fake_kernel_run(void *library, const host_kernel *kernel, unsigned groups, unsigned work_group, void **arguments) {
    void (*const own_access)(const volatile void *, unsigned long, int) = access_memory;
    int (*const own_passes)(int, const char *) = passes;
    void (*const own_barrier)(void) = wait_at_barrier;
    if (!now.stacks)
        now.stacks = malloc((size_t)MOST_ITEMS * STACK);
    char *const *const begin = entry(library, "host_shared_begin"), *const *const end = entry(library,
                                                                                              "host_shared_end");
    memcpy(entry(library, "host_access"), &own_access, sizeof own_access);
    memcpy(entry(library, "host_passes"), &own_passes, sizeof own_passes);
    memcpy(entry(library, "host_barrier"), &own_barrier, sizeof own_barrier);
    now.place = entry(library, "host_here");
    if (control.left_out != WATCH_EVERY_BARRIER && control.barrier[control.left_out].library != library)
        return; /* its results are there, and the same */
    now.library = library, now.kernel = kernel, now.arguments = arguments;
    now.local = *begin, now.local_size = (size_t)(*end - *begin);
    if (!now.stacks || work_group > MOST_ITEMS || now.local_size > MOST_LOCAL) {
        fake_misuse("a kernel cannot be run");
        return;
    }
    now.random = control.seed;
    now.place->groups = groups, now.place->work_group = work_group;
    run_groups(groups, work_group);
}
