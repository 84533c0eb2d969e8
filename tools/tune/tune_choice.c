#include "tune_choice.h"

#include "../devices/stopwatch.h"

#include <stdlib.h>
#include <string.h>

static const double gain = 0.98, share = 0.75;

/* Whether a tactic was faster than the default in enough rounds to rule out chance. */
static bool is_steady(const dcnv4i_tactic_times *way) {
    int64_t faster = 0;
    for (int64_t round = 0; round < way->rounds; ++round)
        faster += way->ratios[round] < 1;
    return (double)faster >= share * (double)way->rounds;
}

int64_t dcnv4i_fastest(const dcnv4i_tactic_times *ways, int64_t count) {
    int64_t best = 0;
    double least = gain;
    for (int64_t i = 1; i < count; ++i) {
        if (!ways[i].ratios || ways[i].rounds < 1)
            continue;
        const size_t bytes = (size_t)ways[i].rounds * sizeof(double);
        double *const sorted = malloc(bytes);
        if (!sorted)
            return -1;
        memcpy(sorted, ways[i].ratios, bytes);
        const double median = dcnv4i_spread_of(sorted, (size_t)ways[i].rounds).median;
        free(sorted);
        if (median <= least && is_steady(&ways[i])) {
            least = median;
            best = i;
        }
    }
    return best;
}
