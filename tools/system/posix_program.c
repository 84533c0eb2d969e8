#include "system.h"

#include <fcntl.h>
#include <locale.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
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

void dcnv4i_program_begin(int *count, char ***arguments) {
    (void)count, (void)arguments;
    fill_standard_descriptors();
    use_one_locale();
    signal(SIGXFSZ, SIG_IGN); /* a write past the limit on file sizes then fails with an error */
}

bool dcnv4i_variable_set(const char *name, const char *value) {
    return (value ? setenv(name, value, 1) : unsetenv(name)) == 0;
}

void dcnv4i_machine_look(dcnv4i_machine *machine) {
    struct utsname system;
    char line[256];
    const bool known = uname(&system) == 0;
    snprintf(machine->architecture, sizeof machine->architecture, "%s", known ? system.machine : "unknown");
    snprintf(machine->system, sizeof machine->system, "%s", known ? system.sysname : "unknown");
    snprintf(machine->processor, sizeof machine->processor, "%s", machine->architecture);
    machine->processors = sysconf(_SC_NPROCESSORS_ONLN);
    FILE *file = fopen("/proc/cpuinfo", "r");
    while (file && fgets(line, sizeof line, file)) {
        const char *colon = strncmp(line, "model name", 10) == 0 ? strchr(line, ':') : NULL;
        if (!colon)
            continue;
        colon += 1 + strspn(colon + 1, " ");
        snprintf(machine->processor, sizeof machine->processor, "%.*s", (int)strcspn(colon, "\n"), colon);
        break;
    }
    if (file)
        fclose(file);
}
