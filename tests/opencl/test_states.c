/* test_states SENTENCE: the OpenCL of this process is missing, and the reason that info gives contains the sentence. */
#include <dcnv4/dcnv4.h>

#include <stdio.h>
#include <string.h>

int main(int argc, char **argv) {
    for (int64_t i = 0; argc == 2 && i < dcnv4_device_count(); ++i) {
        dcnv4_device_info info = DCNV4_DEVICE_INFO_INIT;
        if (dcnv4_device_info_get(i, &info) != DCNV4_SUCCESS || strcmp(info.backend, "opencl") != 0)
            continue;
        printf("%s: %s\n", info.name, info.reason);
        return !info.available && strstr(info.reason, argv[1]) ? 0 : 1;
    }
    return 1;
}
