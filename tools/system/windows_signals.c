/* Windows calls a console's handler in a thread of its own, which can wait until files are as they should be. */
#include "system.h"

#include <signal.h>
#include <windows.h>

static void (*clean_up)(void);
static SRWLOCK busy = SRWLOCK_INIT;

/* The lock is kept, so that nothing new is written until the process has ended. */
static BOOL WINAPI on_console(DWORD event) {
    (void)event;
    AcquireSRWLockExclusive(&busy);
    clean_up();
    return FALSE; /* the next handler ends the process */
}

static void on_abort(int number) {
    if (TryAcquireSRWLockExclusive(&busy))
        clean_up();
    signal(number, SIG_DFL);
    raise(number);
}

void dcnv4i_signals_watch(void (*function)(void)) {
    if (!clean_up) {
        clean_up = function;
        SetConsoleCtrlHandler(on_console, TRUE);
        signal(SIGABRT, on_abort);
    }
}

void dcnv4i_signals_wait(void) {
    AcquireSRWLockExclusive(&busy);
}

void dcnv4i_signals_go_on(void) {
    ReleaseSRWLockExclusive(&busy);
}
