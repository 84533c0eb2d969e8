/* What differs between operating systems; everything else is plain C11. core/platform/ has a file for each part below,
 * once for POSIX and once for Windows, and CMakeLists.txt chooses. Paths are UTF-8 on Windows too. */
#ifndef DCNV4I_PLATFORM_H
#define DCNV4I_PLATFORM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(_WIN32)
/* Windows's SRWLOCK, CONDITION_VARIABLE and HANDLEs, without its headers. */
typedef struct dcnv4i_mutex {
    void *lock;
} dcnv4i_mutex;
typedef struct dcnv4i_condition {
    void *variable;
} dcnv4i_condition;
typedef uintptr_t dcnv4i_native_thread;
typedef intptr_t dcnv4i_file;
typedef struct dcnv4i_fp_state {
    uint32_t x87[7], mxcsr;
} dcnv4i_fp_state;
#define DCNV4I_MUTEX_INIT {NULL}
#else
#include <fenv.h>
#include <pthread.h>
typedef pthread_mutex_t dcnv4i_mutex;
typedef pthread_cond_t dcnv4i_condition;
typedef pthread_t dcnv4i_native_thread;
typedef int dcnv4i_file;
typedef fenv_t dcnv4i_fp_state;
#define DCNV4I_MUTEX_INIT PTHREAD_MUTEX_INITIALIZER
#endif

/* ---- Memory ------------------------------------------------------------------------------------------------------ */

/* size bytes, for dcnv4i_aligned_free alone; NULL if there is no memory. The alignment is a power of two. */
void *dcnv4i_aligned_allocate(size_t alignment, size_t size);
void dcnv4i_aligned_free(void *memory);

/* ---- Floating point ---------------------------------------------------------------------------------------------- */

/* fegetenv, fesetenv and fesetenv(FE_DFL_ENV). Those of mingw-w64 leave MXCSR as it is. */
void dcnv4i_fp_get(dcnv4i_fp_state *state);
void dcnv4i_fp_set(const dcnv4i_fp_state *state);
void dcnv4i_fp_set_default(void);

/* ---- Threads ----------------------------------------------------------------------------------------------------- */

bool dcnv4i_mutex_init(dcnv4i_mutex *mutex);
void dcnv4i_mutex_destroy(dcnv4i_mutex *mutex);
void dcnv4i_mutex_lock(dcnv4i_mutex *mutex);
void dcnv4i_mutex_unlock(dcnv4i_mutex *mutex);

void dcnv4i_condition_init(dcnv4i_condition *condition);
void dcnv4i_condition_destroy(dcnv4i_condition *condition);
void dcnv4i_condition_wait(dcnv4i_condition *condition, dcnv4i_mutex *locked);
void dcnv4i_condition_signal(dcnv4i_condition *condition);

/* A thread, which stays where it is until it is joined. */
typedef struct dcnv4i_thread {
    dcnv4i_native_thread native;
    void (*work)(void *argument);
    void *argument;
} dcnv4i_thread;

/* Starts a thread that calls work(argument); returns whether it could be started. Signals to the process are left to the
 * caller's own threads. */
bool dcnv4i_thread_start(dcnv4i_thread *thread, void (*work)(void *argument), void *argument);
void dcnv4i_thread_join(dcnv4i_thread *thread);

/* How many threads this process may run on at a time, 1 at least. */
int dcnv4i_processors(void);

void dcnv4i_sleep(int milliseconds);

/* ---- Processes --------------------------------------------------------------------------------------------------- */

/* Has in_child called in every child that fork() makes from now on. 0, or the error number of the failure. */
int dcnv4i_call_after_fork(void (*in_child)(void));

/* Whether dcnv4i_child_call can work at all. On Windows it takes the child's program, beside the library. */
bool dcnv4i_has_children(void);

typedef enum dcnv4i_child_end {
    DCNV4I_CHILD_DONE,
    DCNV4I_CHILD_SIGNALLED, /* number is the signal, or Windows's exception, that ended it, and `what` says which */
    DCNV4I_CHILD_ENDED,     /* it ended without being done, or nothing is known about its end */
    DCNV4I_CHILD_SILENT,    /* it took longer than was allowed, and was killed */
    DCNV4I_CHILD_NONE       /* it could not be started: number is the error, and `what` what there was none of */
} dcnv4i_child_end;

typedef struct dcnv4i_child {
    dcnv4i_child_end end;
    int number;
    const char *what;
} dcnv4i_child;

/* Calls work(argument, result) in a child process, where `result` is size bytes of zeros, and copies these if the call
 * returns within so many milliseconds; otherwise *result stays as it is. The child prints nothing, runs none of the
 * caller's signal handlers and exit functions, and needs no descriptors. Both `work` and *argument are the library's own,
 * and *argument is as it was when the library was loaded: Windows's child loads it anew. */
dcnv4i_child dcnv4i_child_call(void (*work)(void *argument, void *result), void *argument, void *result, size_t size,
                               int milliseconds);

/* ---- Shared libraries -------------------------------------------------------------------------------------------- */

/* Opens a library by the name that it has on Linux, such as "libOpenCL.so.1"; the system's own name for it is in
 * platform/. The system's folder comes first, and the current one never counts. NULL if it does not load. */
void *dcnv4i_shared_open(const char *name);

/* The same for a library that this process has loaded already; NULL if it has not. */
void *dcnv4i_shared_loaded(const char *name);

/* Loads another library from the folder of the one that has this function, and leaves it loaded. Nothing happens if there
 * is none, nor on Windows, where libraries find those beside them. */
void dcnv4i_shared_load_beside(const void *function, const char *name);

void dcnv4i_shared_close(void *library);

/* The address of a function; NULL if there is none of this name. */
void *dcnv4i_shared_function(void *library, const char *name);

/* Why the latest dcnv4i_shared_open of this thread failed, in English, never NULL. */
const char *dcnv4i_shared_reason(void);

/* ---- Files ------------------------------------------------------------------------------------------------------- */

/* All of these are safe in any process: in one whose stdin, stdout or stderr is closed, where an opened file would get
 * that descriptor and receive what is printed; and in one with a file-size limit, where a signal would end it. */

/* Opens a file for reading, which never blocks. −1 on failure. */
dcnv4i_file dcnv4i_file_open(const char *path);

/* Creates a file for writing that only this user can access. The XXXXXX at the end of its path are replaced by a unique
 * suffix. −1 on failure. */
dcnv4i_file dcnv4i_file_create(char *path);

/* Whether all of length bytes were read or written. */
bool dcnv4i_file_read(dcnv4i_file file, void *bytes, size_t length);
bool dcnv4i_file_write(dcnv4i_file file, const void *bytes, size_t length);

/* Whether everything that was written has been taken. */
bool dcnv4i_file_close(dcnv4i_file file);

/* The length of a regular file that only this user can have written; −1 for any other. */
int64_t dcnv4i_file_length(dcnv4i_file file);

/* Gives a file another file's path, so that readers see the one or the other. It may fail where the other one is
 * open (Windows). */
bool dcnv4i_file_replace(const char *from, const char *to);

void dcnv4i_file_remove(const char *path);

/* ---- Folders ----------------------------------------------------------------------------------------------------- */

/* An environment variable that holds a path, for free(); NULL if it is not set or empty, or there is no memory. */
char *dcnv4i_path_variable(const char *name);

/* The folder for this user's caches, for free(): $XDG_CACHE_HOME or ~/.cache; on Windows %LOCALAPPDATA%. NULL if there is
 * none. */
char *dcnv4i_cache_home(void);

/* Makes a folder and its missing parents, for this user alone. */
void dcnv4i_folder_make(char *path);

/* The absolute path of a folder, for free(); NULL if it is not there, or others may write to it. */
char *dcnv4i_folder_find(const char *path);

/* Removes the regular files of a folder that are chosen by name and last changed more than so many seconds ago, or as
 * long in the future. */
void dcnv4i_folder_sweep(const char *path, bool (*chosen)(const char *name), int seconds);

#endif
