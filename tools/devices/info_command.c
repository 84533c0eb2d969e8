/* dcnv4 info. */
#include "../cli/commands.h"
#include "../output/json.h"

#include <inttypes.h>

static void print_json_device(const dcnv4_device_info *info) {
    const struct {
        const char *key, *text;
    } texts[] = {
        {"name", info->name},         {"backend", info->backend}, {"description", info->description},
        {"features", info->features}, {"reason", info->reason},
    };
    printf("{");
    for (size_t i = 0; i < sizeof texts / sizeof *texts; ++i) {
        printf("\"%s\": ", texts[i].key);
        dcnv4i_json_text(stdout, texts[i].text);
        printf(", ");
    }
    printf("\"available\": %s, \"units\": %" PRId32 ", \"memory\": %" PRId64 "}", info->available ? "true" : "false",
           info->units, info->memory);
}

static void print_memory(int64_t bytes) {
    printf(bytes >= (int64_t)1 << 30 ? ", %.1f GiB" : ", %.0f MiB",
           (double)bytes / (bytes >= (int64_t)1 << 30 ? 1073741824.0 : 1048576.0));
}

static void print_device(const dcnv4_device_info *info) {
    printf("%-12s ", info->name);
    if (!info->available) {
        printf("missing: %s\n", info->reason);
        return;
    }
    printf("%s", info->description);
    if (info->units > 0)
        printf(", %" PRId32 " %s", info->units, info->units == 1 ? "unit" : "units");
    if (info->memory > 0)
        print_memory(info->memory);
    if (info->features[0])
        printf("\n%-12s %s", "", info->features);
    printf("\n");
}

dcnv4i_exit dcnv4i_info(const dcnv4i_settings *settings) {
    const int64_t count = dcnv4_device_count();
    if (settings->json) {
        printf("{\"dcnv4\": ");
        dcnv4i_json_text(stdout, dcnv4_version());
        printf(", \"devices\": [");
    } else {
        printf("dcnv4 %s\n", dcnv4_version());
    }
    for (int64_t i = 0; i < count; ++i) {
        dcnv4_device_info info = DCNV4_DEVICE_INFO_INIT;
        const dcnv4i_exit verdict = dcnv4i_verdict_library(dcnv4_device_info_get(i, &info), "info");
        if (verdict != DCNV4I_DONE)
            return verdict;
        if (settings->json && i > 0)
            printf(", ");
        (settings->json ? print_json_device : print_device)(&info);
    }
    if (settings->json)
        printf("]}\n");
    return DCNV4I_DONE;
}
