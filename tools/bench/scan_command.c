#include "scan_command.h"

#include "scan_report.h"

#include <stdlib.h>

static dcnv4i_exit judge(const dcnv4i_settings *settings, const dcnv4i_scan_records *records) {
    char words[32];
    for (int64_t i = 0; i < records->count; ++i) {
        const dcnv4i_scan_record *const r = &records->items[i];
        if (!r->right)
            return dcnv4i_verdict(DCNV4I_BROKEN,
                                  "a result of %s is not that of the reference: %s, axis %s, %s (normwise error %.2g)",
                                  r->device, dcnv4i_scan_operator_word(&r->item), r->item.axis->name,
                                  dcnv4i_scan_value_words(r->item.axis, r->value, words, sizeof words), r->error);
    }
    return records->count > 0 ? DCNV4I_DONE
                              : dcnv4i_verdict(DCNV4I_BROKEN, "nothing was run: no device has these axes with %s",
                                               dcnv4i_dtype_word((int32_t)settings->dtype));
}

dcnv4i_exit dcnv4i_scan_run(const dcnv4i_settings *settings, const dcnv4i_devices *devices,
                            const dcnv4i_scan_items *items, FILE *file, dcnv4i_scan_records *records) {
    const dcnv4i_format format = (dcnv4i_format)settings->format;
    dcnv4i_exit verdict = DCNV4I_DONE;
    dcnv4i_scan_report_begin(file, settings);
    for (int i = 0; i < items->count && verdict == DCNV4I_DONE; ++i)
        for (int64_t d = 0; d < devices->count && verdict == DCNV4I_DONE; ++d) {
            const int64_t first = records->count;
            if (devices->items[d].reason[0])
                continue;
            verdict = dcnv4i_scan_axis_run(settings, &devices->items[d], &items->items[i], records);
            dcnv4i_scan_report_records(file, format, records, first);
        }
    dcnv4i_scan_report_end(file, format, records);
    return verdict == DCNV4I_DONE ? judge(settings, records) : verdict;
}
