#define _XOPEN_SOURCE 700 /* mkdtemp */
#include "command_run.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MOST_ARGUMENTS = 64, SECONDS = 300 };

static char before[4096], folder[4200];
static size_t file_limit;

void limit_file_size(size_t bytes) {
    file_limit = bytes;
}

void enter_folder(void) {
    assert_non_null(getcwd(before, sizeof before));
    snprintf(folder, sizeof folder, "%s/dcnv4-XXXXXX", before);
    assert_non_null(mkdtemp(folder));
    assert_int_equal(chdir(folder), 0);
}

int each_file(void (*visit)(const char *name)) {
    DIR *entries = opendir(".");
    int count = 0;
    assert_non_null(entries);
    for (struct dirent *entry; (entry = readdir(entries));)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            ++count;
            if (visit)
                visit(entry->d_name);
        }
    closedir(entries);
    return count;
}

int count_files(void) {
    return each_file(NULL);
}

static void remove_entry(const char *name) {
    if (remove(name) != 0)
        fail_msg("%s cannot be removed: %s", name, strerror(errno));
}

void leave_folder(void) {
    each_file(remove_entry);
    assert_int_equal(chdir(before), 0);
    assert_int_equal(rmdir(folder), 0);
}

static void read_text(int descriptor, char *text, size_t room) {
    const ssize_t count = pread(descriptor, text, room - 1, 0);
    text[count > 0 ? count : 0] = '\0';
}

/* An unlinked file for a stream of the child, so that it does not count as a file that the child leaves. */
static int unnamed_file(void) {
    char name[] = "/tmp/dcnv4-stream-XXXXXX";
    const int descriptor = mkstemp(name);
    assert_true(descriptor >= 0);
    unlink(name);
    return descriptor;
}

static int closed;

void close_descriptors(int bits) {
    closed = bits;
}

static void become_command(char *arguments, int out, int err) {
    char *words[MOST_ARGUMENTS + 2] = {(char *)(intptr_t)COMMAND};
    int count = 1;
    char *rest = arguments;
    for (char *word; count <= MOST_ARGUMENTS && (word = strtok_r(rest, " ", &rest)) != NULL;)
        words[count++] = word;
    const int nothing = open("/dev/null", O_RDONLY);
    if (dup2(nothing, 0) < 0 || dup2(out, 1) < 0 || dup2(err, 2) < 0)
        _exit(126);
    const struct rlimit limit = {file_limit, file_limit};
    if (file_limit > 0 && setrlimit(RLIMIT_FSIZE, &limit) != 0)
        _exit(126);
    for (int descriptor = 0; descriptor <= 2; ++descriptor)
        if (closed >> descriptor & 1)
            close(descriptor);
    alarm(SECONDS);
    execv(COMMAND, words);
    _exit(127);
}

const command_result *run_command(const char *arguments) {
    static command_result result;
    char copy[8192];
    int ended = 0;
    assert_true(strlen(arguments) < sizeof copy);
    strcpy(copy, arguments);
    const int out = unnamed_file(), err = unnamed_file();
    const pid_t child = fork();
    if (child == 0)
        become_command(copy, out, err);
    assert_true(child > 0);
    assert_int_equal(waitpid(child, &ended, 0), child);
    read_text(out, result.out, sizeof result.out);
    read_text(err, result.err, sizeof result.err);
    close(out);
    close(err);
    result.status = WIFEXITED(ended) ? WEXITSTATUS(ended) : 128 + WTERMSIG(ended);
    return &result;
}

/* Whether text is one line without control characters. */
static bool one_line(const char *text) {
    const char *end = strchr(text, '\n');
    for (const char *c = text; end && c < end; ++c)
        if ((unsigned char)*c < ' ' || *c == 127)
            return false;
    return end && end > text && end[1] == '\0';
}

void assert_command_refused(const char *arguments, int status, const char *text) {
    const int files = count_files();
    const command_result *result = run_command(arguments);
    if (result->status != status)
        fail_msg("dcnv4 %s ended with %d, not %d; stderr: %s", arguments, result->status, status, result->err);
    if (!one_line(result->err) || strncmp(result->err, "dcnv4: ", 7) != 0)
        fail_msg("dcnv4 %s did not say one line on stderr: \"%s\"", arguments, result->err);
    if (!strstr(result->err, text))
        fail_msg("dcnv4 %s: the line does not have \"%s\": %s", arguments, text, result->err);
    if (*result->out)
        fail_msg("dcnv4 %s wrote to stdout: %s", arguments, result->out);
    if (count_files() != files)
        fail_msg("dcnv4 %s left a file behind", arguments);
    count_case();
}

const command_result *assert_command_done(const char *arguments) {
    const command_result *result = run_command(arguments);
    if (result->status != 0 || *result->err)
        fail_msg("dcnv4 %s ended with %d; stderr: \"%s\"", arguments, result->status, result->err);
    count_case();
    return result;
}

bool file_exists(const char *name) {
    struct stat entry;
    return stat(name, &entry) == 0;
}

void write_file(const char *name, const void *bytes, size_t count) {
    FILE *file = fopen(name, "wb");
    assert_non_null(file);
    assert_int_equal(count > 0 ? fwrite(bytes, 1, count, file) : 0, count);
    assert_int_equal(fclose(file), 0);
}

void write_npy(const char *name, int version, const char *header, const void *data, size_t bytes) {
    FILE *file = fopen(name, "wb");
    const size_t front = version == 1 ? 10 : 12, length = strlen(header) + 1;
    const size_t padded = (front + length + 63) / 64 * 64 - front;
    assert_non_null(file);
    fprintf(file, "\x93NUMPY%c%c%c%c", version, 0, (int)(padded & 255), (int)(padded >> 8 & 255));
    if (version > 1)
        fprintf(file, "%c%c", (int)(padded >> 16 & 255), (int)(padded >> 24 & 255));
    fprintf(file, "%s%*s\n", header, (int)(padded - length), "");
    if (bytes > 0)
        assert_int_equal(fwrite(data, 1, bytes, file), bytes);
    assert_int_equal(fclose(file), 0);
}

static const char *descr_of(int32_t dtype) {
    return dtype == DCNV4_FLOAT64 ? "<f8" : dtype == DCNV4_FLOAT32 ? "<f4" : "<f2";
}

void write_tensor(const char *name, int32_t dtype, const int64_t shape[4], uint64_t seed) {
    const size_t count = (size_t)(shape[0] * shape[1] * shape[2] * shape[3]), item = item_size(dtype);
    char header[256];
    snprintf(header, sizeof header,
             "{'descr': '%s', 'fortran_order': False, 'shape': (%" PRId64 ", %" PRId64 ", %" PRId64 ", %" PRId64 "), }",
             descr_of(dtype), shape[0], shape[1], shape[2], shape[3]);
    char *data = allocate(count * item);
    for (size_t i = 0; i < count; ++i) {
        const double number = draw_between(&seed, -1, 1);
        ASSERT_SUCCESS(dcnv4_convert(DCNV4_FLOAT64, &number, dtype, data + i * item, 1));
    }
    write_npy(name, 1, header, data, count * item);
    free(data);
}

double *read_tensor(const char *name, const char *descr, const int64_t shape[4]) {
    const size_t count = (size_t)(shape[0] * shape[1] * shape[2] * shape[3]);
    const int32_t dtype = strcmp(descr, "<f8") == 0   ? DCNV4_FLOAT64
                          : strcmp(descr, "<f4") == 0 ? DCNV4_FLOAT32
                                                      : DCNV4_FLOAT16;
    unsigned char front[10];
    char header[512] = "", wanted[256];
    FILE *file = fopen(name, "rb");
    assert_non_null(file);
    assert_int_equal(fread(front, 1, sizeof front, file), sizeof front);
    assert_memory_equal(front, "\x93NUMPY\x01\x00", 8);
    const size_t length = front[8] + 256u * front[9];
    assert_true(length < sizeof header);
    assert_int_equal((10 + length) % 64, 0);
    assert_int_equal(fread(header, 1, length, file), length);
    snprintf(wanted, sizeof wanted, "'shape': (%" PRId64 ", %" PRId64 ", %" PRId64 ", %" PRId64 ")", shape[0], shape[1],
             shape[2], shape[3]);
    if (!strstr(header, wanted) || !strstr(header, descr))
        fail_msg("%s has the header %s, not %s %s", name, header, descr, wanted);
    char *bytes = allocate(count * item_size(dtype));
    double *numbers = allocate(count * sizeof *numbers);
    assert_int_equal(fread(bytes, item_size(dtype), count, file), count);
    assert_int_equal(fgetc(file), EOF);
    fclose(file);
    ASSERT_SUCCESS(dcnv4_convert(dtype, bytes, DCNV4_FLOAT64, numbers, count));
    free(bytes);
    return numbers;
}
