/* What differs between operating systems, for the command: this folder has each file once for POSIX and once for Windows.
 * Paths and texts are UTF-8 and folders end at a '/' on Windows too; what fails says why in errno. */
#ifndef DCNV4I_SYSTEM_H
#define DCNV4I_SYSTEM_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* ---- The program ------------------------------------------------------------------------------------------------- */

/* The first call of main: arguments become UTF-8, numbers are read and written in the C locale, stdout is not translated,
 * and no file that is opened later gets the descriptor of a stdin, stdout or stderr that was closed. */
void dcnv4i_program_begin(int *count, char ***arguments);

/* Sets an environment variable, or removes it if value is NULL. */
bool dcnv4i_variable_set(const char *name, const char *value);

typedef struct dcnv4i_machine {
    char processor[160], architecture[72], system[72];
    long processors;
} dcnv4i_machine;

/* What this program runs on; "unknown" for what cannot be found out. */
void dcnv4i_machine_look(dcnv4i_machine *machine);

/* From now on a signal that would end this process (on Windows Ctrl+C, a closed console or abort) calls function first,
 * which must be safe in a signal handler. */
void dcnv4i_signals_watch(void (*function)(void));

/* Between these two calls a signal is deferred, whichever thread receives it. */
void dcnv4i_signals_wait(void);
void dcnv4i_signals_go_on(void);

/* ---- Files ------------------------------------------------------------------------------------------------------- */

enum { DCNV4I_PATH_ROOM = 4096 }; /* bytes of a path and its end */

typedef struct dcnv4i_entry {
    const char *kind; /* NULL for a regular file; else "a directory", "a FIFO or pipe", "a socket" or "a device" */
    uint64_t identity[3];
    uint64_t length; /* of a regular file, in bytes */
} dcnv4i_entry;

/* What a path, or an open descriptor, leads to. */
bool dcnv4i_entry_look(const char *path, dcnv4i_entry *entry);
bool dcnv4i_entry_of(int descriptor, dcnv4i_entry *entry);
bool dcnv4i_entry_same(const dcnv4i_entry *one, const dcnv4i_entry *other);

/* Opens a regular file for reading; never blocks. NULL if it is something else (entry->kind), or cannot be opened: then
 * entry->kind is NULL. */
FILE *dcnv4i_regular_open(const char *path, dcnv4i_entry *entry);

/* The whole path of a file that need not exist, with its symbolic links resolved. */
bool dcnv4i_path_resolve(const char *path, char target[DCNV4I_PATH_ROOM]);

/* Whether this process may create files in a folder. */
bool dcnv4i_folder_is_writable(const char *folder);

/* Counts the files of a folder whose names end so, and their bytes. */
void dcnv4i_folder_count(const char *folder, const char *ending, int64_t *files, int64_t *bytes);

/* ---- Files that replace others ----------------------------------------------------------------------------------- */

/* Creates a file that does not exist yet (EEXIST), with the owner and the permissions of another one if that exists, as far
 * as this user and the file system can. A descriptor, or −1. */
int dcnv4i_beside_create(const char *path, const char *like);

/* Opens a file that was there before, for reading. A descriptor, or −1. */
int dcnv4i_earlier_open(const char *path);

/* False if the file could not be flushed to disk. */
bool dcnv4i_descriptor_flush(int descriptor);

/* Gives a file a second name; gives it the name of another file, which it replaces in one step; takes a name away. */
bool dcnv4i_name_link(const char *path, const char *second);
bool dcnv4i_name_replace(const char *from, const char *to);
bool dcnv4i_name_remove(const char *path);

#endif
