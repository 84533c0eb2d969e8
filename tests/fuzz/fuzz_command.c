/* Any words as a command line: an accepted one has numbers that its options allow, another one is refused with one line. */
#include "../../tools/cli/options.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REQUIRE(condition) ((condition) ? (void)0 : abort())

enum { WORDS = 64, LONGEST = 4096 };

static void check_settings(const dcnv4i_settings *settings) {
    REQUIRE(settings->command >= 0 && settings->command <= DCNV4I_COMMANDS);
    REQUIRE(settings->op >= 0 && settings->op < DCNV4I_OPERATORS);
    REQUIRE(settings->threads >= 0 && settings->cases >= 0 && settings->runs >= 0);
    REQUIRE(settings->levels.count >= 0 && settings->levels.count <= DCNV4I_LIST_MOST);
    REQUIRE(settings->points.count >= 0 && settings->points.count <= DCNV4I_LIST_MOST);
    REQUIRE(settings->at.count >= 0 && settings->at.count <= DCNV4I_LIST_MOST);
    REQUIRE(settings->offset_scale - settings->offset_scale == 0); /* finite */
    REQUIRE(settings->pass >= 0 && settings->pass <= DCNV4I_BOTH_PASSES);
}

static void check_refused(const char *line) {
    REQUIRE(*line);
    for (; *line; ++line)
        REQUIRE((unsigned char)*line >= ' ' && *line != 127);
}

/* The input's lines are the words after the command's name. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char text[LONGEST + 1], name[] = "dcnv4", *words[WORDS + 2] = {name};
    if (size > LONGEST)
        return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    int count = 1;
    for (char *at = text; at && count <= WORDS; ++count) {
        words[count] = at;
        at = strchr(at, '\n');
        if (at)
            *at++ = '\0';
    }
    words[count] = NULL;
    dcnv4i_request wish;
    dcnv4i_settings settings;
    const dcnv4i_exit verdict = dcnv4i_options_parse(count, words, &wish, &settings);
    REQUIRE(verdict == DCNV4I_DONE || verdict == DCNV4I_REFUSED);
    if (verdict == DCNV4I_REFUSED)
        check_refused(dcnv4i_verdict_line());
    else if (wish == DCNV4I_RUN)
        check_settings(&settings);
    return 0;
}
