/* What fake_kernels.c uses of ucontext.h, by Windows's fibers. */
#ifndef TESTS_WINDOWS_UCONTEXT_H
#define TESTS_WINDOWS_UCONTEXT_H

#include <windows.h>

typedef struct ucontext {
    void *fiber;
    void (*work)(void);
    struct ucontext *uc_link; /* where it goes on after work */
    struct {
        void *ss_sp; /* fibers have stacks of their own */
        size_t ss_size;
    } uc_stack;
} ucontext_t;

static void WINAPI fiber_main(void *argument) {
    const ucontext_t *const context = argument;
    context->work();
    SwitchToFiber(context->uc_link->fiber);
}

static inline int getcontext(ucontext_t *context) {
    if (context->fiber)
        DeleteFiber(context->fiber);
    context->fiber = NULL;
    return 0;
}

static inline void makecontext(ucontext_t *context, void (*work)(void), int arguments) {
    (void)arguments;
    context->work = work;
    context->fiber = CreateFiber(context->uc_stack.ss_size, fiber_main, context);
}

static inline int swapcontext(ucontext_t *from, const ucontext_t *to) {
    from->fiber = IsThreadAFiber() ? GetCurrentFiber() : ConvertThreadToFiber(NULL);
    SwitchToFiber(to->fiber);
    return 0;
}

#endif
