/* Runs the dcnv4 command in a folder of its own and checks its output and the files that it leaves. */
#ifndef TESTS_COMMAND_RUN_H
#define TESTS_COMMAND_RUN_H

#include "../support/harness.h"

typedef struct command_result {
    int status; /* the exit status; 128 + the signal's number if it died of one */
    char out[65536], err[8192];
} command_result;

/* Makes an empty folder and changes to it; leave_folder changes back and removes it with all files in it. */
void enter_folder(void);
void leave_folder(void);

/* Runs the command with these arguments, separated by spaces. It is killed after a minute. */
const command_result *run_command(const char *arguments);

/* From now on, the command cannot write past this many bytes of a file; 0 for no limit. */
void limit_file_size(size_t bytes);

/* From now on, the command starts with descriptors closed, those whose bits are set: 1 stdin, 2 stdout, 4 stderr. */
void close_descriptors(int bits);

/* Runs it and fails the test unless it exits with this status, writes one line to stderr that begins with "dcnv4: " and
 * contains text, nothing to stdout, and leaves no new file. */
void assert_command_refused(const char *arguments, int status, const char *text);

/* Runs it and fails the test unless it exits with 0 and writes nothing to stderr. */
const command_result *assert_command_done(const char *arguments);

/* Calls visit, unless it is NULL, for each entry of the folder, in no order; returns how many there are. */
int each_file(void (*visit)(const char *name));
int count_files(void);

bool file_exists(const char *name);
void write_file(const char *name, const void *bytes, size_t count);

/* Writes a .npy file of this format version with this header, padded as NumPy does, and these bytes. */
void write_npy(const char *name, int version, const char *header, const void *data, size_t bytes);

/* Writes a whole [N, H, W, C] .npy file of random numbers. */
void write_tensor(const char *name, int32_t dtype, const int64_t shape[4], uint64_t seed);

/* Reads a whole .npy file as float64, to be freed. Fails the test unless the header has this descr and shape. */
double *read_tensor(const char *name, const char *descr, const int64_t shape[4]);

#endif
