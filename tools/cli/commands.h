/* The commands, one function each. */
#ifndef DCNV4I_COMMANDS_H
#define DCNV4I_COMMANDS_H

#include "options.h"

dcnv4i_exit dcnv4i_info(const dcnv4i_settings *settings);
dcnv4i_exit dcnv4i_run_pass(const dcnv4i_settings *settings); /* forward and backward */
dcnv4i_exit dcnv4i_check(const dcnv4i_settings *settings);
dcnv4i_exit dcnv4i_bench(const dcnv4i_settings *settings);
dcnv4i_exit dcnv4i_plot_command(const dcnv4i_settings *settings);
dcnv4i_exit dcnv4i_compile(const dcnv4i_settings *settings);
dcnv4i_exit dcnv4i_tune(const dcnv4i_settings *settings);

#endif
