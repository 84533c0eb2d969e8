/* dcnv4 tune with simulated times: later programs use the tactic that was the fastest. The linker redirects the
 * command's clock and runs to this file, so that no real time decides.
 *   test_tune BACKEND [all] */
#include "../support/device_run.h"
#include "../../tools/cli/commands.h"
#include "../../tools/tune/tune_choice.h"
#include "../../tools/tune/tune_run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Simulated times --------------------------------------------------------------------------------------------- */

static int64_t told;                              /* the tactic that takes told_ms; the others take 2 ms */
static double told_ms, clock_ms;                  /* the clock moves when something runs */
static int64_t damaged;                           /* number of results before the one that is damaged; −1: none is */
static const dcnv4_plan *plans[DCNV4I_MAX_TUNED]; /* of the tactics, in order */
static int64_t plan_count;

double __wrap_dcnv4i_now_ms(void);
dcnv4i_exit __wrap_dcnv4i_runner_start(dcnv4i_runner *runner, dcnv4_pass pass);
dcnv4i_exit __wrap_dcnv4i_race_run(dcnv4i_track *track, int part, dcnv4i_race *race);
dcnv4i_exit __wrap_dcnv4i_runner_download(dcnv4i_runner *runner, const dcnv4_buffer *buffer, void *target,
                                          size_t length);
dcnv4i_exit __real_dcnv4i_runner_start(dcnv4i_runner *runner, dcnv4_pass pass);
dcnv4i_exit __real_dcnv4i_race_run(dcnv4i_track *track, int part, dcnv4i_race *race);
dcnv4i_exit __real_dcnv4i_runner_download(dcnv4i_runner *runner, const dcnv4_buffer *buffer, void *target,
                                          size_t length);

double __wrap_dcnv4i_now_ms(void) {
    return clock_ms;
}

dcnv4i_exit __wrap_dcnv4i_race_run(dcnv4i_track *track, int part, dcnv4i_race *race) {
    plan_count = 0;
    return __real_dcnv4i_race_run(track, part, race);
}

dcnv4i_exit __wrap_dcnv4i_runner_start(dcnv4i_runner *runner, dcnv4_pass pass) {
    int64_t way = 0;
    while (way < plan_count && plans[way] != runner->plan)
        ++way;
    if (way == plan_count)
        plans[plan_count++] = runner->plan;
    clock_ms += way == told ? told_ms : 2;
    return __real_dcnv4i_runner_start(runner, pass);
}

dcnv4i_exit __wrap_dcnv4i_runner_download(dcnv4i_runner *runner, const dcnv4_buffer *buffer, void *target,
                                          size_t length) {
    const dcnv4i_exit verdict = __real_dcnv4i_runner_download(runner, buffer, target, length);
    if (damaged >= 0 && damaged-- == 0)
        ((unsigned char *)target)[length - 1] ^= 0x40;
    return verdict;
}

/* ---- The command ---------------------------------------------------------------------------------------------------- */

/* A layer that no test running in parallel uses. */
static const char
    *const layer = "--size 1x5x6 --groups 2 --group-channels 16 --offset-scale 0.75 --runs 9 --format json";

static dcnv4_problem the_problem(void) {
    dcnv4_problem problem = DCNV4_PROBLEM_INIT;
    problem.batch = 1, problem.height = 5, problem.width = 6, problem.groups = 2, problem.group_channels = 16;
    problem.offset_scale = 0.75;
    return problem;
}

static dcnv4i_exit tune(const char *device, const char *more) {
    char line[512], *words[64] = {NULL};
    int count = 0;
    dcnv4i_settings settings;
    dcnv4i_request wish;
    snprintf(line, sizeof line, "dcnv4 tune --device %s %s %s", device, layer, more);
    for (char *word = strtok(line, " "); word; word = strtok(NULL, " "))
        words[count++] = word;
    assert_int_equal(dcnv4i_options_parse(count, words, &wish, &settings), DCNV4I_DONE);
    count_case();
    return dcnv4i_tune(&settings);
}

static int64_t ways_there; /* number of tactics of the part looked at last */

/* The tactic that a program would use now. */
static int64_t used(const char *device, dcnv4_part part) {
    const dcnv4_problem problem = the_problem();
    test_layer tensors = layer_make(&problem);
    device_run run = device_run_make(&tensors, device);
    int64_t way = -1;
    ways_there = dcnv4_tactic_count(run.plan, part);
    for (int64_t i = 0; i < ways_there; ++i) {
        dcnv4_tactic_info info = DCNV4_TACTIC_INFO_INIT;
        ASSERT_SUCCESS(dcnv4_tactic_info_get(run.plan, part, i, &info));
        if (info.in_use)
            way = i;
    }
    device_run_free(&run);
    layer_free(&tensors);
    return way;
}

static void tell(int64_t way, double ms) {
    told = way, told_ms = ms, damaged = -1;
}

static void forget(const char *device) {
    const dcnv4_problem problem = the_problem();
    test_layer tensors = layer_make(&problem);
    device_run run = device_run_make(&tensors, device);
    for (int part = DCNV4_PART_OUTPUT; part <= DCNV4_PART_GRAD_VALUE; ++part)
        ASSERT_SUCCESS(dcnv4_tactic_save(run.plan, (dcnv4_part)part, 0));
    device_run_free(&run);
    layer_free(&tensors);
}

static void told_is_kept(void **state) {
    (void)state;
    for (const char *const *device = devices_to_try(); *device; ++device) {
        forget(*device);
        for (int64_t way = 1; way < 4; ++way) {
            tell(way, 1);
            assert_int_equal(tune(*device, "--pass forward"), DCNV4I_DONE);
            assert_int_equal(used(*device, DCNV4_PART_OUTPUT), way);
        }
        tell(0, 1); /* nothing is faster than the default: the saved tactic is removed */
        assert_int_equal(tune(*device, "--pass forward"), DCNV4I_DONE);
        assert_int_equal(used(*device, DCNV4_PART_OUTPUT), 0);
        tell(1, 1.99); /* less than the noise */
        assert_int_equal(tune(*device, "--pass forward"), DCNV4I_DONE);
        assert_int_equal(used(*device, DCNV4_PART_OUTPUT), 0);
    }
}

static void each_part(void **state) {
    (void)state;
    for (const char *const *device = devices_to_try(); *device && tries_all(); ++device) {
        forget(*device);
        tell(1, 1);
        assert_int_equal(tune(*device, "--pass backward"), DCNV4I_DONE);
        assert_int_equal(used(*device, DCNV4_PART_OUTPUT), 0);
        for (int part = DCNV4_PART_GRAD_OFFSET_MASK; part <= DCNV4_PART_GRAD_VALUE; ++part) {
            const int64_t way = used(*device, (dcnv4_part)part);
            assert_int_equal(way, ways_there > 1); /* a CPU has one tactic, which does both parts at once */
        }
        forget(*device);
    }
}

static void dry_run(void **state) {
    (void)state;
    for (const char *const *device = devices_to_try(); *device; ++device) {
        tell(2, 1);
        assert_int_equal(tune(*device, "--pass forward --dry-run"), DCNV4I_DONE);
        assert_int_equal(used(*device, DCNV4_PART_OUTPUT), 0);
    }
}

/* A tactic with a wrong result ends the command, and nothing is saved. Downloads: the reference's result, then each
 * tactic's, once to compare it with the default tactic's and once to compare it with the reference's. */
static void wrong_result(void **state) {
    (void)state;
    for (const char *const *device = devices_to_try(); *device; ++device)
        for (int64_t damage = 1; damage <= 3; ++damage) {
            tell(1, 1);
            damaged = damage;
            assert_int_equal(tune(*device, "--pass forward"), DCNV4I_BROKEN);
            assert_non_null(strstr(dcnv4i_verdict_line(), "is not that of the reference"));
            assert_true(damaged < 0);
            assert_int_equal(used(*device, DCNV4_PART_OUTPUT), 0);
        }
}

/* ---- The decision by itself ----------------------------------------------------------------------------------------- */

enum { ROUNDS = 12 };

static int64_t fastest_of(double ways[][ROUNDS], int64_t count) {
    dcnv4i_tactic_times times[8];
    for (int64_t i = 0; i < count; ++i)
        times[i] = (dcnv4i_tactic_times){ways[i][0] < 0 ? NULL : ways[i], ROUNDS};
    count_case();
    return dcnv4i_fastest(times, count);
}

static void fill(double *way, double ratio) {
    for (int r = 0; r < ROUNDS; ++r)
        way[r] = ratio;
}

static void decision(void **state) {
    (void)state;
    double ways[4][ROUNDS];
    for (int i = 0; i < 4; ++i)
        fill(ways[i], 1);
    assert_int_equal(fastest_of(ways, 4), 0);
    assert_int_equal(fastest_of(ways, 1), 0);
    fill(ways[2], 0.97);
    assert_int_equal(fastest_of(ways, 4), 2);
    fill(ways[3], 0.9);
    assert_int_equal(fastest_of(ways, 4), 3);
    ways[3][0] = -1; /* disqualified */
    assert_int_equal(fastest_of(ways, 4), 2);
    fill(ways[2], 0.985);
    assert_int_equal(fastest_of(ways, 3), 0);
    fill(ways[1], 0.8);
    for (int r = 0; r < 3; ++r)
        ways[1][4 * r] = 1.5; /* slower in three rounds of twelve */
    assert_int_equal(fastest_of(ways, 3), 1);
    ways[1][1] = 1; /* slower in four */
    assert_int_equal(fastest_of(ways, 3), 0);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(told_is_kept), cmocka_unit_test(each_part), cmocka_unit_test(dry_run),
        cmocka_unit_test(wrong_result), cmocka_unit_test(decision),
    };
    return HARNESS_RUN(argc, argv, tests);
}
