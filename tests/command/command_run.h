/* Runs the dcnv4 command in a folder of its own and looks at what it said and left behind. */
#ifndef TESTS_COMMAND_RUN_H
#define TESTS_COMMAND_RUN_H

#include "../support/harness.h"

typedef struct command_result {
    int status; /* the exit status; 128 + the signal's number if it died of one */
    char out[65536], err[8192];
} command_result;

/* Makes an empty folder and goes there; leave_folder goes back and removes it with all files in it. */
void enter_folder(void);
void leave_folder(void);

/* Runs the command with these arguments, separated by spaces. It is ended after a minute. */
const command_result *run_command(const char *arguments);

/* From now on, writing a file on past this many bytes fails in the command; 0 for no limit. */
void limit_file_size(size_t bytes);

/* From now on, the command begins without the descriptors whose bits are set: 1 for stdin, 2 for stdout, 4 for stderr. */
void close_descriptors(int bits);

/* Runs it and fails unless it ended with this status, said one line on stderr that begins with "dcnv4: " and contains text,
 * nothing on stdout, and left no file that was not there before. */
void assert_command_refused(const char *arguments, int status, const char *text);

/* Runs it and fails unless it ended with 0 and said nothing on stderr. */
const command_result *assert_command_done(const char *arguments);

/* Calls visit, unless it is NULL, for each entry of the folder, in no order; returns how many there are. */
int each_file(void (*visit)(const char *name));
int count_files(void);

bool file_exists(const char *name);
void write_file(const char *name, const void *bytes, size_t count);

/* Writes a .npy file of a version, with this header (padded as NumPy does, unless it is given as it is) and these bytes. */
void write_npy(const char *name, int version, const char *header, const void *data, size_t bytes);

/* Writes a whole [N, H, W, C] .npy file of drawn numbers. */
void write_tensor(const char *name, int32_t dtype, const int64_t shape[4], uint64_t seed);

/* Reads the numbers of a whole .npy file as float64, to be freed. Fails unless descr and shape stand in the header. */
double *read_tensor(const char *name, const char *descr, const int64_t shape[4]);

#endif
