/* The command writes all of its files or none. Each system call that can fail is made to fail once, and the program is
 * killed before each; the linker redirects these calls to the test. What a path held before is never lost. */
#include "../../tools/output/output_file.h"
#include "command_run.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- The calls ----------------------------------------------------------------------------------------------------- */

typedef enum event {
    NOTHING,
    REFUSE,      /* one call */
    REFUSE_REST, /* this call and all after it */
    KILL,        /* the program, before the call */
    TERMINATE,   /* SIGTERM, before the call */
    EVENTS
} event;

static event planned;
static int until;            /* calls before it happens */
static bool happened, links; /* links: the file system has hard links */
static bool removal_refused; /* an unlink was refused, so files may be left over */
static int error = ENOSPC;

/* Whether this call is to be refused. */
static bool refused(void) {
    if (planned == NOTHING || --until > 0 || (happened && planned != REFUSE_REST))
        return false;
    happened = true;
    if (planned == KILL)
        raise(SIGKILL);
    if (planned == TERMINATE)
        raise(SIGTERM);
    errno = error;
    return planned == REFUSE || planned == REFUSE_REST;
}

#define CALL(name, parameters, arguments, otherwise)  \
    int __real_##name parameters;                     \
    int __wrap_##name parameters;                     \
    int __wrap_##name parameters {                    \
        return refused() ? -1 : (otherwise)arguments; \
    }
static int on_disk(int descriptor) {
    (void)descriptor; /* durability is not tested */
    return 0;
}
CALL(rename, (const char *from, const char *to), (from, to), __real_rename)
CALL(fsync, (int descriptor), (descriptor), on_disk)
CALL(fchown, (int descriptor, uid_t user, gid_t group), (descriptor, user, group), __real_fchown)
CALL(fchmod, (int descriptor, mode_t mode), (descriptor, mode), __real_fchmod)
CALL(fflush, (FILE * file), (file), __real_fflush)

int __real_link(const char *from, const char *to);
int __wrap_link(const char *from, const char *to);
int __wrap_link(const char *from, const char *to) {
    if (planned != NOTHING && !links)
        errno = EPERM;
    return refused() || (planned != NOTHING && !links) ? -1 : __real_link(from, to);
}

int __real_unlink(const char *path);
int __wrap_unlink(const char *path);
int __wrap_unlink(const char *path) {
    const bool refuse = refused();
    removal_refused = removal_refused || refuse;
    return refuse ? -1 : __real_unlink(path);
}

int __real_fclose(FILE *file);
int __wrap_fclose(FILE *file);
int __wrap_fclose(FILE *file) {
    const bool refuse = refused();
    const int why = errno, closed = __real_fclose(file);
    errno = refuse ? why : errno;
    return refuse ? EOF : closed;
}

ssize_t __real_write(int descriptor, const void *bytes, size_t count);
ssize_t __wrap_write(int descriptor, const void *bytes, size_t count);
ssize_t __wrap_write(int descriptor, const void *bytes, size_t count) {
    return refused() ? -1 : __real_write(descriptor, bytes, count);
}

/* ---- One program that writes both ---------------------------------------------------------------------------------- */

enum { PATHS = 2 };

static const char *const paths[PATHS] = {"a.npy", "b.npy"}, *const old_texts[PATHS] = {"old a", "old b"},
                         *const new_texts[PATHS] = {"new a", "new b"};

static dcnv4i_exit write_both(void) {
    FILE *files[PATHS];
    dcnv4i_exit verdict = DCNV4I_DONE;
    for (int i = 0; i < PATHS && verdict == DCNV4I_DONE; ++i) {
        verdict = dcnv4i_output_open(paths[i], &files[i]);
        if (verdict == DCNV4I_DONE)
            fputs(new_texts[i], files[i]);
    }
    if (verdict == DCNV4I_DONE)
        return dcnv4i_outputs_commit();
    dcnv4i_outputs_discard();
    return verdict;
}

typedef struct ending {
    int status; /* of waitpid */
    bool happened, removal_refused;
} ending;

/* Writes both files in a child process; the event happens at its call number `at`. */
static ending write_with(event what, int at) {
    ending end = {0, false, false};
    int told[2], *status = &end.status;
    bool answer[2] = {true, false}; /* a killed child sends nothing: the event happened */
    assert_int_equal(pipe(told), 0);
    const pid_t child = fork();
    if (child == 0) {
        planned = what, until = at;
        const dcnv4i_exit verdict = write_both();
        planned = NOTHING;
        const bool own[2] = {happened, removal_refused};
        _exit(write(told[1], own, sizeof own) == sizeof own ? (int)verdict : 99);
    }
    close(told[1]);
    assert_int_equal(waitpid(child, status, 0), child);
    (void)!read(told[0], answer, sizeof answer);
    close(told[0]);
    end.happened = answer[0], end.removal_refused = answer[1];
    return end;
}

/* What a file holds; "" if it is not there. */
static const char *text_of(const char *path) {
    static char texts[4][64];
    static unsigned turn;
    char *text = texts[turn++ % 4];
    FILE *file = fopen(path, "rb");
    text[file ? fread(text, 1, sizeof texts[0] - 1, file) : 0] = '\0';
    if (file)
        fclose(file);
    return text;
}

static void make_old(int present) {
    for (int i = 0; i < PATHS; ++i)
        if (present >> i & 1)
            write_file(paths[i], old_texts[i], strlen(old_texts[i]));
}

/* How many paths hold the new file; fails the test unless the others hold what they did before. */
static int count_new(int present, const char *what) {
    int found = 0;
    for (int i = 0; i < PATHS; ++i) {
        const char *text = text_of(paths[i]), *before = present >> i & 1 ? old_texts[i] : "";
        if (strcmp(text, before) != 0 && strcmp(text, new_texts[i]) != 0)
            fail_msg("%s: %s holds \"%s\"; it held \"%s\"", what, paths[i], text, before);
        found += strcmp(text, new_texts[i]) == 0;
    }
    return found;
}

/* ---- Checks afterwards ------------------------------------------------------------------------------------------- */

static void check_ending(event what, int present, const ending *end, const char *words) {
    const int found = count_new(present, words), left = count_files();
    const bool done = WIFEXITED(end->status) && WEXITSTATUS(end->status) == DCNV4I_DONE;
    int before = 0;
    for (int i = 0; i < PATHS; ++i)
        before += present >> i & 1;
    if (what == REFUSE && !done && WEXITSTATUS(end->status) != DCNV4I_BROKEN)
        fail_msg("%s: it ended with %d", words, end->status);
    if (what == KILL)
        return;
    if (done ? found != PATHS : what == TERMINATE ? found != 0 && found != PATHS : found != 0)
        fail_msg("%s: %d of %d files are new", words, found, PATHS);
    if (!end->removal_refused && left != (found ? PATHS : before))
        fail_msg("%s: %d files are there", words, left);
    if (what == TERMINATE && (!WIFSIGNALED(end->status) || WTERMSIG(end->status) != SIGTERM))
        fail_msg("%s: SIGTERM did not end it, but %d", words, end->status);
}

/* The event at each call in turn, until the program makes fewer calls than that. */
static void sweep(event what, int present) {
    for (int at = 1;; ++at) {
        char words[128];
        snprintf(words, sizeof words, "event %d at call %d, files %d before, %s links", what, at, present,
                 links ? "with" : "without");
        enter_folder();
        make_old(present);
        const ending end = write_with(what, at);
        if (end.happened)
            check_ending(what, present, &end, words);
        else
            assert_int_equal(count_new(present, words), PATHS);
        leave_folder();
        count_case();
        if (!end.happened) {
            assert_true(at > 8);
            return;
        }
    }
}

static void every_call(void **state) {
    (void)state;
    static const event events[] = {REFUSE, KILL, TERMINATE};
    for (int with = 0; with < 2; ++with)
        for (int present = 0; present < 1 << PATHS; ++present)
            for (size_t i = 0; i < sizeof events / sizeof *events; ++i) {
                links = with;
                sweep(events[i], present);
            }
}

static const char *looked_for;
static bool found_it;

static void look_for(const char *name) {
    found_it = found_it || strcmp(text_of(name), looked_for) == 0;
}

/* If all later calls fail, an old file may end up under another name, but it still exists. */
static void a_disk_that_fails(void **state) {
    (void)state;
    links = true;
    bool happens = true;
    for (int at = 1; happens; ++at) {
        enter_folder();
        make_old(3);
        happens = write_with(REFUSE_REST, at).happened;
        for (int i = 0; i < PATHS && happens; ++i) {
            looked_for = old_texts[i], found_it = strcmp(text_of(paths[i]), new_texts[i]) == 0 && i == PATHS - 1;
            each_file(look_for);
            if (!found_it)
                fail_msg("call %d and all after it are refused: \"%s\" is lost", at, looked_for);
        }
        leave_folder();
        count_case();
    }
}

/* ---- Kinds of paths ---------------------------------------------------------------------------------------------- */

static mode_t mode_of(const char *path) {
    struct stat status;
    assert_int_equal(stat(path, &status), 0);
    return status.st_mode & 07777;
}

static void permissions(void **state) {
    (void)state;
    const mode_t mask = umask(027);
    enter_folder();
    make_old(1);
    assert_int_equal(chmod("a.npy", 0604), 0);
    assert_int_equal(write_both(), DCNV4I_DONE);
    assert_int_equal(mode_of("a.npy"), 0604);
    assert_int_equal(mode_of("b.npy"), 0640);
    leave_folder();
    umask(mask);
    count_case();
}

static void links_to_files(void **state) {
    (void)state;
    enter_folder();
    write_file("there", "old a", 5);
    assert_int_equal(symlink("there", "a.npy"), 0);
    assert_int_equal(symlink("./not there", "b.npy"), 0);
    assert_int_equal(link("there", "same"), 0);
    assert_int_equal(write_both(), DCNV4I_DONE);
    assert_string_equal(text_of("there"), "new a");
    assert_string_equal(text_of("not there"), "new b");
    assert_string_equal(text_of("same"), "old a"); /* another name of the old file */
    struct stat status;
    assert_int_equal(lstat("a.npy", &status), 0);
    assert_true(S_ISLNK(status.st_mode));
    assert_int_equal(count_files(), 5);
    leave_folder();
    count_case();
}

static void same_files(void **state) {
    (void)state;
    enter_folder();
    write_file("there", "", 0);
    assert_int_equal(symlink("there", "link"), 0);
    assert_int_equal(link("there", "hard"), 0);
    assert_int_equal(symlink("not there", "first"), 0);
    assert_int_equal(symlink("first", "second"), 0);
    assert_int_equal(symlink(".", "here"), 0);
    static const char *const same[][2] = {{"there", "link"},      {"there", "hard"},   {"here/there", "link"},
                                          {"not there", "first"}, {"first", "second"}, {"here/not there", "second"}};
    for (size_t i = 0; i < sizeof same / sizeof *same; ++i)
        if (!dcnv4i_same_file(same[i][0], same[i][1]) || !dcnv4i_same_file(same[i][1], same[i][0]))
            fail_msg("%s and %s are one file", same[i][0], same[i][1]);
    assert_false(dcnv4i_same_file("there", "not there"));
    assert_false(dcnv4i_same_file("not there", "nor there"));
    leave_folder();
    count_case();
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_call),     cmocka_unit_test(a_disk_that_fails), cmocka_unit_test(permissions),
        cmocka_unit_test(links_to_files), cmocka_unit_test(same_files),
    };
    return HARNESS_RUN(argc, argv, tests);
}
