/* test_states BACKEND SENTENCE: the backend has no device in this process, and the reason that info gives contains the
 * sentence. */
#include <dcnv4/dcnv4.h>

#include <stdio.h>
#include <string.h>

int main(int argc, char **argv) {
    for (int64_t i = 0; argc == 3 && i < dcnv4_device_count(); ++i) {
        dcnv4_device_info info = DCNV4_DEVICE_INFO_INIT;
        if (dcnv4_device_info_get(i, &info) != DCNV4_SUCCESS || strcmp(info.backend, argv[1]) != 0)
            continue;
        printf("%s: %s\n", info.name, info.reason);
        return !info.available && strstr(info.reason, argv[2]) ? 0 : 1;
    }
    return 1;
}
