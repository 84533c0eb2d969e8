/* The geometry of launches: what must hold for every problem on every device. */
#include "../support/harness.h"
#include "../../backends/gpu/deform_conv/tactics.h"

#include <string.h>

static dcnv4i_deform_conv draw(uint64_t *seed) {
    static const int64_t sizes[] = {1, 7, 56, 1000};
    dcnv4_problem p = DCNV4_PROBLEM_INIT;
    dcnv4i_deform_conv checked;
    p.dtype = (int32_t)draw_integer(seed, 0, 2);
    p.batch = draw_integer(seed, 1, 70);
    p.height = sizes[draw_integer(seed, 0, 3)], p.width = sizes[draw_integer(seed, 0, 3)];
    p.groups = draw_integer(seed, 1, 40), p.group_channels = draw_integer(seed, 1, 130);
    p.kernel_h = draw_integer(seed, 1, 9), p.kernel_w = draw_integer(seed, 1, 9);
    p.pad_h = p.kernel_h, p.pad_w = p.kernel_w;
    p.remove_center = (int32_t)draw_integer(seed, 0, 1);
    p.deterministic = (int32_t)draw_integer(seed, 0, 1);
    if (draw_integer(seed, 0, 1)) {
        const int64_t channels = p.groups * p.group_channels;
        p.value_stride = channels + draw_integer(seed, 0, 20), p.output_stride = channels + draw_integer(seed, 0, 20);
        p.grad_output_stride = channels + draw_integer(seed, 0, 20);
        p.grad_value_stride = channels + draw_integer(seed, 0, 20);
    }
    ASSERT_SUCCESS(dcnv4i_deform_conv_check(&p, &checked));
    return checked;
}

static dcnv4i_limits draw_limits(uint64_t *seed) {
    static const int64_t work_groups[] = {1, 8, 64, 100, 256, 1024};
    return (dcnv4i_limits){
        .cpu = draw_integer(seed, 0, 1),
        .work_group = work_groups[draw_integer(seed, 0, 5)],
        .local_memory = (int64_t)1024 << draw_integer(seed, 0, 8),
        .units = draw_integer(seed, 0, 200),
    };
}

static int64_t blocks(int64_t total, int64_t each) {
    return (total + each - 1) / each;
}

static void check_geometry(const dcnv4i_limits *limits, const dcnv4i_deform_conv *problem, dcnv4_part part,
                           const dcnv4i_geometry g) {
    const dcnv4_problem *p = &problem->params;
    const dcnv4i_cuts cuts = dcnv4i_cuts_of(limits, problem);
    const int64_t in_tile = (int64_t)g.tile_h * g.tile_w * g.tile_groups;
    assert_true(g.vector >= 1 && g.vector <= 16 && (g.vector & (g.vector - 1)) == 0);
    assert_true(g.run > 1 || p->group_channels % g.vector == 0);
    assert_true(g.lanes * g.vector <= p->group_channels);
    assert_true(in_tile >= 1 && g.lanes >= 1 && g.vectors >= 1 && g.round_points >= 1);
    assert_true(g.run >= 1 && g.tile_w % g.run == 0 && (g.run == 1 || (limits->cpu && !g.wide && problem->points > 0)));
    if (!limits->cpu) {
        assert_true(in_tile * g.lanes <= limits->work_group);
        assert_true(g.vector * (int64_t)problem->item <= 16);
        const int64_t quads = part == DCNV4_PART_GRAD_OFFSET_MASK ? g.lanes : 1, index = g.wide ? 8 : 4;
        assert_true(!g.staged ||
                    ((g.round_points | 1) * 16 * quads + g.round_points * index) * in_tile <= limits->local_memory);
        assert_true(g.staged || g.lanes == 1 || part != DCNV4_PART_GRAD_OFFSET_MASK);
        if (g.scatter == DCNV4I_SCATTER_TILES) {
            assert_true(g.hits >= in_tile * g.lanes && g.hits < 1 << 15 && (g.tile_h + 1) * (g.tile_w + 1) < 1 << 16);
            assert_true(g.hits * (20 + 3 * index) + in_tile * g.lanes * (4 + 2 * index) <= limits->local_memory);
            assert_true(g.tile_groups == 1 && g.chunk_h >= 1 && g.chunk_w >= 1);
        }
        assert_true(!g.aligned || part != DCNV4_PART_OUTPUT ||
                    problem->base.tensors[DCNV4I_VALUE].stride % g.vector == 0);
        assert_true(g.scatter != DCNV4I_SCATTER_ATOMIC || !p->deterministic);
    }
    assert_true(part == DCNV4_PART_GRAD_VALUE || g.scatter == DCNV4I_SCATTER_BANDS);
    assert_true(cuts.bands >= 1 && cuts.bands <= p->height && cuts.shares >= 1 && cuts.shares <= p->groups);
    const bool tiles = part == DCNV4_PART_GRAD_VALUE && g.scatter == DCNV4I_SCATTER_TILES;
    const bool bands = part == DCNV4_PART_GRAD_VALUE && g.scatter == DCNV4I_SCATTER_BANDS;
    const int64_t parts = part == DCNV4_PART_OUTPUT || tiles
                              ? blocks(p->group_channels, (int64_t)g.vector * g.lanes * g.vectors)
                              : 1;
    const int64_t height = tiles ? p->height : problem->output_height;
    const int64_t width = tiles ? p->width : problem->output_width;
    const int64_t expected = bands ? p->batch * cuts.bands * cuts.shares
                                   : p->batch * blocks(height, g.tile_h) * blocks(width, g.tile_w) *
                                         blocks(p->groups, g.tile_groups) * parts;
    assert_int_equal(dcnv4i_geometry_groups(&g, problem, part, cuts), expected);
    count_case();
}

static void check_part(const dcnv4i_limits *limits, const dcnv4i_deform_conv *problem, dcnv4_part part, bool aligned) {
    const dcnv4i_geometry standard = dcnv4i_geometry_of(limits, problem, part, aligned);
    dcnv4i_geometry tactics[DCNV4I_MAX_TACTICS];
    char words[DCNV4I_MAX_TACTICS][DCNV4I_GEOMETRY_DESCRIPTION];
    const int count = dcnv4i_tactics_of(limits, problem, part, aligned, tactics);
    assert_true(count >= 1 && count <= DCNV4I_MAX_TACTICS);
    assert_true(dcnv4i_geometry_equal(&tactics[0], &standard));
    for (int i = 0; i < count; ++i) {
        check_geometry(limits, problem, part, tactics[i]);
        assert_true(dcnv4i_geometry_legal(limits, problem, part, &tactics[i]));
        dcnv4i_geometry_describe(&tactics[i], part, words[i]);
        for (int j = 0; j < i; ++j) {
            assert_false(dcnv4i_geometry_equal(&tactics[i], &tactics[j]));
            assert_string_not_equal(words[i], words[j]);
        }
    }
}

/* A geometry with some of its numbers replaced: either it is refused, or it passes all checks. */
static void check_hostile(const dcnv4i_limits *limits, const dcnv4i_deform_conv *problem, dcnv4_part part,
                          uint64_t *seed, int64_t *accepted) {
    static const int32_t numbers[] = {INT32_MIN, -1, 0, 1, 2, 3, 4, 8, 16, 64, 1024, 1 << 15, 1 << 16, INT32_MAX};
    dcnv4i_geometry g = dcnv4i_geometry_of(limits, problem, part, true);
    int32_t *const fields[] = {&g.vector,      &g.lanes,        &g.vectors, &g.tile_h,  &g.tile_w,
                               &g.tile_groups, &g.round_points, &g.hits,    &g.chunk_h, &g.chunk_w};
    for (int64_t n = draw_integer(seed, 1, 3); n > 0; --n)
        *fields[draw_integer(seed, 0, 9)] = numbers[draw_integer(seed, 0, 13)];
    if (draw_integer(seed, 0, 3) == 0)
        g.staged = !g.staged;
    if (draw_integer(seed, 0, 3) == 0)
        g.scatter = (dcnv4i_scatter)draw_integer(seed, 0, 5);
    if (draw_integer(seed, 0, 15) == 0)
        g.wide = !g.wide;
    if (!dcnv4i_geometry_legal(limits, problem, part, &g))
        return;
    assert_true(g.scatter <= DCNV4I_SCATTER_ATOMIC);
    check_geometry(limits, problem, part, g);
    *accepted += 1;
}

/* How kernels divide 31-bit numbers: by a reciprocal. */
static uint32_t quotient(uint32_t number, int64_t reciprocal) {
    return (uint32_t)((uint64_t)(2 * number) * (uint32_t)reciprocal >> 32) >> (reciprocal >> 32);
}

static void check_divisor(int64_t divisor) {
    const int64_t reciprocal = dcnv4i_reciprocal(divisor), last = INT32_MAX / divisor;
    for (int64_t multiple = 0; multiple <= last; multiple = multiple < 3 || multiple == last ? multiple + 1 : last)
        for (int64_t number = multiple * divisor - 1; number <= multiple * divisor + 1; ++number)
            if (number >= 0 && number <= INT32_MAX)
                assert_int_equal(quotient((uint32_t)number, reciprocal), number / divisor);
    assert_int_equal(quotient(INT32_MAX, reciprocal), INT32_MAX / divisor);
    count_case();
}

static void reciprocals(void **state) {
    (void)state;
    uint64_t seed = 4;
    for (int64_t divisor = 1; divisor < 5000; ++divisor)
        check_divisor(divisor);
    for (int bit = 12; bit <= 30; ++bit)
        for (int64_t divisor = (INT64_C(1) << bit) - 2; divisor <= (INT64_C(1) << bit) + 2; ++divisor)
            check_divisor(divisor);
    for (int64_t divisor = INT32_MAX - 5; divisor <= INT32_MAX; ++divisor)
        check_divisor(divisor);
    for (int i = 0; i < 100000; ++i) {
        const int64_t divisor = draw_integer(&seed, 1, INT32_MAX >> draw_integer(&seed, 0, 30));
        const uint32_t number = (uint32_t)draw_integer(&seed, 0, INT32_MAX);
        assert_int_equal(quotient(number, dcnv4i_reciprocal(divisor)), number / divisor);
        check_divisor(divisor);
    }
    assert_int_equal(dcnv4i_reciprocal(0), 0);
    assert_int_equal(dcnv4i_reciprocal(INT64_C(1) << 31), 0);
}

static void hostile(void **state) {
    (void)state;
    uint64_t seed = 3;
    int64_t accepted = 0;
    for (int i = 0; i < 20000; ++i) {
        const dcnv4i_limits limits = draw_limits(&seed);
        const dcnv4i_deform_conv problem = draw(&seed);
        for (int part = 0; part < DCNV4I_DEFORM_CONV_PARTS; ++part)
            check_hostile(&limits, &problem, (dcnv4_part)part, &seed, &accepted);
    }
    assert_true(accepted > 100);
}

static void every_problem(void **state) {
    (void)state;
    uint64_t seed = 1;
    for (int i = 0; i < 3000; ++i) {
        const dcnv4i_limits limits = draw_limits(&seed);
        const dcnv4i_deform_conv problem = draw(&seed);
        for (int part = 0; part < DCNV4I_DEFORM_CONV_PARTS; ++part)
            check_part(&limits, &problem, (dcnv4_part)part, i % 2);
    }
}

/* A new image size compiles nothing: the geometry is the same, until indices need 64 bits. */
static void sizes_change_nothing(void **state) {
    (void)state;
    uint64_t seed = 2;
    for (int i = 0; i < 500; ++i) {
        const dcnv4i_limits limits = draw_limits(&seed);
        dcnv4i_deform_conv problem = draw(&seed), other;
        dcnv4_problem asked = problem.params;
        asked.batch = 3, asked.height = 11, asked.width = 13;
        ASSERT_SUCCESS(dcnv4i_deform_conv_check(&asked, &other));
        for (int part = 0; part < DCNV4I_DEFORM_CONV_PARTS; ++part) {
            dcnv4i_geometry a = dcnv4i_geometry_of(&limits, &problem, (dcnv4_part)part, true);
            const dcnv4i_geometry b = dcnv4i_geometry_of(&limits, &other, (dcnv4_part)part, true);
            if (a.wide == b.wide)
                assert_true(dcnv4i_geometry_equal(&a, &b));
            count_case();
        }
    }
}

/* Indices of 64 bits: exactly from 2³⁰ elements on, and for positions of that magnitude. */
static void wide(void **state) {
    (void)state;
    const dcnv4i_limits limits = {.cpu = true, .work_group = 64, .local_memory = 32768, .units = 2};
    const struct {
        int64_t batch, height, pad, dilation;
        bool wide;
    } cases[] = {
        {1, 1 << 14, 1, 1, false}, {1 << 8, 1 << 14, 1, 1, false}, {(1 << 16) - 1, 1 << 14, 1, 1, true},
        {1, 1, 1 << 28, 1, true},  {1, 8, 1 << 29, 1 << 28, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
        dcnv4_problem p = DCNV4_PROBLEM_INIT;
        dcnv4i_deform_conv checked;
        p.batch = cases[i].batch, p.height = cases[i].height, p.width = 1, p.group_channels = 1;
        p.pad_h = cases[i].pad, p.dilation_h = cases[i].dilation, p.stride_h = cases[i].pad > 1 ? 1 << 28 : 1;
        ASSERT_SUCCESS(dcnv4i_deform_conv_check(&p, &checked));
        assert_int_equal(dcnv4i_geometry_of(&limits, &checked, DCNV4_PART_OUTPUT, true).wide, cases[i].wide);
        count_case();
    }
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_problem),        cmocka_unit_test(hostile), cmocka_unit_test(reciprocals),
        cmocka_unit_test(sizes_change_nothing), cmocka_unit_test(wide),
    };
    return HARNESS_RUN(argc, argv, tests);
}
