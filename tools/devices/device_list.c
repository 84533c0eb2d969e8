#include "device_list.h"

#include "runner.h"

#include <stdlib.h>
#include <string.h>

static dcnv4i_exit add(dcnv4i_devices *devices, const char *name, const char *reason, bool named) {
    for (int64_t i = 0; i < devices->count; ++i)
        if (strcmp(devices->items[i].name, name) == 0) {
            devices->items[i].named = devices->items[i].named || named;
            return DCNV4I_DONE;
        }
    if (devices->count == devices->room) {
        const int64_t room = devices->room * 2 + 8;
        dcnv4i_device *items = realloc(devices->items, (size_t)room * sizeof *items);
        if (!items)
            return dcnv4i_verdict(DCNV4I_BROKEN, "no memory for a list of devices");
        devices->items = items, devices->room = room;
    }
    dcnv4i_device *device = &devices->items[devices->count++];
    snprintf(device->name, sizeof device->name, "%s", name);
    snprintf(device->reason, sizeof device->reason, "%s", reason);
    device->named = named;
    return DCNV4I_DONE;
}

static dcnv4i_exit add_all(dcnv4i_devices *devices) {
    const int64_t count = dcnv4_device_count();
    dcnv4i_exit verdict = DCNV4I_DONE;
    for (int64_t i = 0; i < count && verdict == DCNV4I_DONE; ++i) {
        dcnv4_device_info info = DCNV4_DEVICE_INFO_INIT;
        verdict = dcnv4i_verdict_library(dcnv4_device_info_get(i, &info), "--device all");
        if (verdict == DCNV4I_DONE)
            verdict = add(devices, info.name, info.available ? "" : info.reason, false);
    }
    return verdict;
}

static dcnv4i_exit add_named(dcnv4i_devices *devices, const char *name) {
    dcnv4_context *context;
    dcnv4_device_info info = DCNV4_DEVICE_INFO_INIT;
    dcnv4i_exit verdict = dcnv4i_runner_context(name, 0, &context);
    if (verdict == DCNV4I_DONE)
        verdict = dcnv4i_verdict_library(dcnv4_context_info(context, &info), name);
    dcnv4_context_destroy(context);
    /* "auto" becomes the device's name; "cpu:portable" stays as given, whatever name its info has. */
    return verdict == DCNV4I_DONE ? add(devices, strcmp(name, "auto") == 0 ? info.name : name, "", true) : verdict;
}

static dcnv4i_exit add_list(dcnv4i_devices *devices, const char *list) {
    dcnv4i_exit verdict = DCNV4I_DONE;
    for (const char *at = list; verdict == DCNV4I_DONE; ++at) {
        const size_t length = strcspn(at, ",");
        char name[64];
        if (length == 0 || length >= sizeof name)
            return dcnv4i_verdict(DCNV4I_REFUSED,
                                  "--device is \"%s\"; names of 1 to %zu characters with commas between them "
                                  "are needed",
                                  list, sizeof name - 1);
        memcpy(name, at, length);
        name[length] = '\0';
        verdict = strcmp(name, "all") == 0 ? add_all(devices) : add_named(devices, name);
        at += length;
        if (*at == '\0')
            break;
    }
    return verdict;
}

dcnv4i_exit dcnv4i_devices_open(const dcnv4i_list *names, const char *standard, dcnv4i_devices *devices) {
    *devices = (dcnv4i_devices){NULL, 0, 0};
    dcnv4i_exit verdict = names->count == 0 ? add_list(devices, standard) : DCNV4I_DONE;
    for (int64_t i = 0; i < names->count && verdict == DCNV4I_DONE; ++i)
        verdict = add_list(devices, names->items[i]);
    if (verdict != DCNV4I_DONE)
        dcnv4i_devices_free(devices);
    return verdict;
}

void dcnv4i_devices_free(dcnv4i_devices *devices) {
    free(devices->items);
    *devices = (dcnv4i_devices){NULL, 0, 0};
}
