/* The dcnv4 command: reads the command line, calls the command, and ends with its verdict. */
#include "cli/commands.h"

#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

/* A file that is opened later must not get the descriptor of a stdin, stdout or stderr that was closed at the start.
 * The /dev/null in its place has the wrong direction, so that using it fails as with the closed one. */
static void fill_standard_descriptors(void) {
    for (int descriptor = 0; descriptor >= 0 && descriptor <= STDERR_FILENO;)
        if (fcntl(descriptor, F_GETFD) != -1 ||
            open("/dev/null", descriptor == STDIN_FILENO ? O_WRONLY : O_RDONLY) == descriptor)
            ++descriptor;
        else
            break;
}

/* Numbers are read and written in the C locale, even if a driver in this process calls setlocale. */
static void use_one_locale(void) {
    const locale_t plain = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (plain != (locale_t)0)
        uselocale(plain);
}

static dcnv4i_exit run(const dcnv4i_settings *settings) {
    static dcnv4i_exit (*const commands[DCNV4I_COMMANDS])(const dcnv4i_settings *) = {
        [DCNV4I_INFO] = dcnv4i_info,       [DCNV4I_FORWARD] = dcnv4i_run_pass, [DCNV4I_BACKWARD] = dcnv4i_run_pass,
        [DCNV4I_CHECK] = dcnv4i_check,     [DCNV4I_BENCH] = dcnv4i_bench,      [DCNV4I_PLOT] = dcnv4i_plot_command,
        [DCNV4I_COMPILE] = dcnv4i_compile, [DCNV4I_TUNE] = dcnv4i_tune,
    };
    return commands[settings->command](settings);
}

int main(int count, char **arguments) {
    fill_standard_descriptors();
    use_one_locale();
    signal(SIGXFSZ, SIG_IGN); /* a write past the limit on file sizes then fails with an error */
    if (count < 2) {
        dcnv4i_options_usage(stderr);
        return DCNV4I_REFUSED;
    }
    dcnv4i_settings settings;
    dcnv4i_request wish;
    dcnv4i_exit verdict = dcnv4i_options_parse(count, arguments, &wish, &settings);
    if (verdict == DCNV4I_DONE && wish == DCNV4I_HELP)
        dcnv4i_options_help(stdout, settings.command, (dcnv4i_operator_number)settings.op);
    else if (verdict == DCNV4I_DONE && wish == DCNV4I_VERSION)
        printf("dcnv4 %s\n", dcnv4_version());
    else if (verdict == DCNV4I_DONE)
        verdict = run(&settings);
    errno = 0;
    if ((fflush(stdout) != 0 || ferror(stdout)) && verdict == DCNV4I_DONE)
        verdict = dcnv4i_verdict(DCNV4I_BROKEN, "stdout: %s", strerror(errno ? errno : EIO));
    if (verdict != DCNV4I_DONE)
        fprintf(stderr, "dcnv4: %s\n", dcnv4i_verdict_line());
    return verdict;
}
