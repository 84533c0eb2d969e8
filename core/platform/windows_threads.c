#include "../platform.h"

#include <malloc.h>
#include <process.h>
#include <windows.h>
#include <xmmintrin.h>

void *dcnv4i_aligned_allocate(size_t alignment, size_t size) {
    return _aligned_malloc(size, alignment);
}

void dcnv4i_aligned_free(void *memory) {
    _aligned_free(memory);
}

/* fnstenv masks all exceptions. */
void dcnv4i_fp_get(dcnv4i_fp_state *state) {
    __asm__ volatile("fnstenv %0" : "=m"(state->x87));
    __asm__ volatile("fldenv %0" : : "m"(state->x87));
    state->mxcsr = _mm_getcsr();
}

void dcnv4i_fp_set(const dcnv4i_fp_state *state) {
    __asm__ volatile("fldenv %0" : : "m"(state->x87));
    _mm_setcsr(state->mxcsr);
}

void dcnv4i_fp_set_default(void) {
    enum { DEFAULT_CONTROL = 0x1f80 };
    __asm__ volatile("fninit");
    _mm_setcsr(DEFAULT_CONTROL);
}

/* ---- Locks ------------------------------------------------------------------------------------------------------- */

_Static_assert(sizeof(SRWLOCK) == sizeof(dcnv4i_mutex), "platform.h declares it as one pointer");
_Static_assert(sizeof(CONDITION_VARIABLE) == sizeof(dcnv4i_condition), "platform.h declares it as one pointer");

bool dcnv4i_mutex_init(dcnv4i_mutex *mutex) {
    InitializeSRWLock((SRWLOCK *)mutex);
    return true;
}

void dcnv4i_mutex_destroy(dcnv4i_mutex *mutex) {
    (void)mutex;
}

void dcnv4i_mutex_lock(dcnv4i_mutex *mutex) {
    AcquireSRWLockExclusive((SRWLOCK *)mutex);
}

void dcnv4i_mutex_unlock(dcnv4i_mutex *mutex) {
    ReleaseSRWLockExclusive((SRWLOCK *)mutex);
}

void dcnv4i_condition_init(dcnv4i_condition *condition) {
    InitializeConditionVariable((CONDITION_VARIABLE *)condition);
}

void dcnv4i_condition_destroy(dcnv4i_condition *condition) {
    (void)condition;
}

void dcnv4i_condition_wait(dcnv4i_condition *condition, dcnv4i_mutex *locked) {
    SleepConditionVariableSRW((CONDITION_VARIABLE *)condition, (SRWLOCK *)locked, INFINITE, 0);
}

void dcnv4i_condition_signal(dcnv4i_condition *condition) {
    WakeConditionVariable((CONDITION_VARIABLE *)condition);
}

/* ---- Threads ----------------------------------------------------------------------------------------------------- */

static unsigned __stdcall thread_main(void *argument) {
    dcnv4i_thread *const self = argument;
    self->work(self->argument);
    return 0;
}

bool dcnv4i_thread_start(dcnv4i_thread *thread, void (*work)(void *argument), void *argument) {
    thread->work = work;
    thread->argument = argument;
    thread->native = _beginthreadex(NULL, 0, thread_main, thread, 0, NULL);
    return thread->native != 0;
}

void dcnv4i_thread_join(dcnv4i_thread *thread) {
    WaitForSingleObject((HANDLE)thread->native, INFINITE);
    CloseHandle((HANDLE)thread->native);
}

/* A process in several processor groups has an affinity mask of 0. */
int dcnv4i_processors(void) {
    DWORD_PTR own = 0, all = 0;
    if (!GetProcessAffinityMask(GetCurrentProcess(), &own, &all))
        own = 0;
    DWORD count = own ? 0 : GetActiveProcessorCount(ALL_PROCESSOR_GROUPS);
    for (; own; own &= own - 1)
        ++count;
    return count < 1 ? 1 : count > 1024 ? 1024 : (int)count;
}

void dcnv4i_sleep(int milliseconds) {
    Sleep((DWORD)milliseconds);
}
