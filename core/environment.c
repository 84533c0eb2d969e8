#include "environment.h"

#if defined(__x86_64__) && defined(__GNUC__)
#include <xmmintrin.h>

/* fegetenv and fesetenv save and load the whole x87 state, which takes longer than everything else in a short run. Few
 * callers need that: two control registers tell whether the caller has changed anything. */
enum { DEFAULT_CONTROL = 0x1f80, DEFAULT_X87_CONTROL = 0x37f, EXCEPTIONS = 0x3f };

static bool is_x87_default(void) {
    unsigned short control, status;
    __asm__ volatile("fnstcw %0\n\tfnstsw %1" : "=m"(control), "=m"(status));
    return control == DEFAULT_X87_CONTROL && (status & EXCEPTIONS) == 0;
}

static bool enter_usual(dcnv4i_environment *callers) {
    callers->flags = _mm_getcsr();
    callers->usual = (callers->flags & ~(unsigned)EXCEPTIONS) == DEFAULT_CONTROL && is_x87_default();
    return callers->usual;
}

static void leave_usual(const dcnv4i_environment *callers) {
    if (!is_x87_default())
        dcnv4i_fp_set_default();
    if (_mm_getcsr() != callers->flags)
        _mm_setcsr(callers->flags);
}
#else
static bool enter_usual(dcnv4i_environment *callers) {
    callers->usual = false;
    return false;
}

static void leave_usual(const dcnv4i_environment *callers) {
    (void)callers;
}
#endif

void dcnv4i_environment_enter(dcnv4i_environment *callers) {
    if (enter_usual(callers))
        return;
    dcnv4i_fp_get(&callers->whole);
    dcnv4i_fp_set_default();
}

void dcnv4i_environment_leave(const dcnv4i_environment *callers) {
    if (callers->usual)
        leave_usual(callers);
    else
        dcnv4i_fp_set(&callers->whole);
}
