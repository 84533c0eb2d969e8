/* The dcnv4 command: reads the command line, calls the command, and ends with its verdict. */
#include "cli/commands.h"
#include "system/system.h"

#include <errno.h>
#include <string.h>

static dcnv4i_exit run(const dcnv4i_settings *settings) {
    static dcnv4i_exit (*const commands[DCNV4I_COMMANDS])(const dcnv4i_settings *) = {
        [DCNV4I_INFO] = dcnv4i_info,       [DCNV4I_FORWARD] = dcnv4i_run_pass, [DCNV4I_BACKWARD] = dcnv4i_run_pass,
        [DCNV4I_CHECK] = dcnv4i_check,     [DCNV4I_BENCH] = dcnv4i_bench,      [DCNV4I_PLOT] = dcnv4i_plot_command,
        [DCNV4I_COMPILE] = dcnv4i_compile, [DCNV4I_TUNE] = dcnv4i_tune,
    };
    return commands[settings->command](settings);
}

int main(int count, char **arguments) {
    dcnv4i_program_begin(&count, &arguments);
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
