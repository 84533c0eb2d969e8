/* Choices on disk: a saved one is found for its layer on its device alone, and invalid files are ignored. */
#include "../support/harness.h"
#include "../../backends/gpu/deform_conv/tactics.h"
#include "../../backends/gpu/deform_conv/choices.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[] = "/tmp/dcnv4_choices_XXXXXX";
static const dcnv4i_identity here = {.own = "own", .machine = "a device\ndriver 1"};
static const dcnv4i_limits limits = {.work_group = 1024, .local_memory = 49152, .units = 132};

static dcnv4i_module_store programs_on(const dcnv4i_identity *identity) {
    return (dcnv4i_module_store){.folder = folder, .identity = identity};
}

static dcnv4i_deform_conv checked(dcnv4_problem asked) {
    dcnv4i_deform_conv problem;
    ASSERT_SUCCESS(dcnv4i_deform_conv_check(&asked, &problem));
    return problem;
}

static dcnv4_problem layer(void) {
    dcnv4_problem asked = DCNV4_PROBLEM_INIT;
    asked.dtype = DCNV4_FLOAT16, asked.groups = 4, asked.group_channels = 32;
    return asked;
}

static dcnv4i_geometry tactic(const dcnv4i_deform_conv *problem, dcnv4_part part, int index) {
    dcnv4i_geometry all[DCNV4I_MAX_TACTICS];
    assert_true(dcnv4i_tactics_of(&limits, problem, part, false, all) > index);
    return all[index];
}

static void keep(const dcnv4i_deform_conv *problem, dcnv4_part part, const dcnv4i_geometry *geometry) {
    const dcnv4i_module_store programs = programs_on(&here);
    ASSERT_SUCCESS(dcnv4i_choices_keep(&programs, &limits, problem, part, geometry));
}

static dcnv4i_choices found(const dcnv4i_deform_conv *problem) {
    const dcnv4i_module_store programs = programs_on(&here);
    return dcnv4i_choices_read(&programs, &limits, problem);
}

/* Which parts have a choice: 1 << part of each. */
static int parts_of(const dcnv4i_choices *choices) {
    const int parts = choices->has[0] | choices->has[1] << 1 | choices->has[2] << 2;
    assert_int_equal(choices->any, parts != 0);
    count_case();
    return parts;
}

static int parts_found(const dcnv4i_deform_conv *problem) {
    const dcnv4i_choices choices = found(problem);
    return parts_of(&choices);
}

/* The path of the only file. */
static const char *the_file(int expected) {
    static char path[512];
    DIR *all = opendir(folder);
    int count = 0;
    for (struct dirent *entry; (entry = readdir(all));)
        if (entry->d_name[0] != '.') {
            snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
            ++count;
        }
    closedir(all);
    assert_int_equal(count, expected);
    return path;
}

static void forget(const dcnv4i_deform_conv *problem) {
    for (int part = 0; part < DCNV4I_DEFORM_CONV_PARTS; ++part)
        keep(problem, (dcnv4_part)part, NULL);
    the_file(0);
}

static void kept_part_by_part(void **state) {
    (void)state;
    const dcnv4i_deform_conv problem = checked(layer());
    assert_int_equal(parts_found(&problem), 0);
    for (int part = 0; part < DCNV4I_DEFORM_CONV_PARTS; ++part) {
        const dcnv4i_geometry chosen = tactic(&problem, (dcnv4_part)part, 1);
        keep(&problem, (dcnv4_part)part, &chosen);
        const dcnv4i_choices now = found(&problem);
        assert_int_equal(parts_of(&now), (2 << part) - 1);
        assert_true(dcnv4i_geometry_equal(&now.geometry[part], &chosen));
    }
    const dcnv4i_geometry other = tactic(&problem, DCNV4_PART_GRAD_VALUE, 2);
    keep(&problem, DCNV4_PART_GRAD_VALUE, &other);
    const dcnv4i_choices now = found(&problem);
    assert_true(dcnv4i_geometry_equal(&now.geometry[DCNV4_PART_GRAD_VALUE], &other));
    the_file(1);
    keep(&problem, DCNV4_PART_GRAD_OFFSET_MASK, NULL);
    assert_int_equal(parts_found(&problem), 5);
    forget(&problem);
    assert_int_equal(parts_found(&problem), 0);
}

/* A layer's choice holds for every image size, and for no other layer. */
static void of_a_layer(void **state) {
    (void)state;
    const dcnv4i_deform_conv problem = checked(layer());
    const dcnv4i_geometry chosen = tactic(&problem, DCNV4_PART_OUTPUT, 1);
    keep(&problem, DCNV4_PART_OUTPUT, &chosen);
    dcnv4_problem same = layer();
    same.batch = 7, same.height = 33, same.width = 2, same.deterministic = 1, same.forward_only = 1;
    const dcnv4i_deform_conv image = checked(same);
    assert_int_equal(parts_found(&image), 1);
    dcnv4_problem others[8];
    for (int i = 0; i < 8; ++i)
        others[i] = layer();
    others[0].dtype = DCNV4_BFLOAT16, others[1].groups = 5, others[2].group_channels = 16, others[3].kernel_w = 5;
    others[4].stride_h = 2, others[5].softmax = 1, others[6].value_stride = 256, others[7].offset_scale = 0.5;
    for (int i = 0; i < 8; ++i) {
        const dcnv4i_deform_conv another = checked(others[i]);
        assert_int_equal(parts_found(&another), 0);
    }
    forget(&problem);
}

static void of_a_device(void **state) {
    (void)state;
    const dcnv4i_deform_conv problem = checked(layer());
    const dcnv4i_geometry chosen = tactic(&problem, DCNV4_PART_OUTPUT, 1);
    keep(&problem, DCNV4_PART_OUTPUT, &chosen);
    static const dcnv4i_identity others[] = {
        {.own = "own", .machine = "another device\ndriver 1"},
        {.own = "own", .machine = "a device\ndriver 2"},
        {.own = "own"},
    };
    for (int i = 0; i < 3; ++i) {
        const dcnv4i_module_store programs = programs_on(&others[i]);
        const dcnv4i_choices none = dcnv4i_choices_read(&programs, &limits, &problem);
        assert_int_equal(parts_of(&none), 0);
    }
    const dcnv4i_module_store programs = programs_on(&here);
    dcnv4i_limits changed[5] = {limits, limits, limits, limits, limits};
    changed[0].cpu = true, changed[1].work_group = 512, changed[2].local_memory = 65536, changed[3].units = 108;
    changed[4].atomics = DCNV4I_ATOMICS_NATIVE;
    for (int i = 0; i < 5; ++i) {
        const dcnv4i_choices none = dcnv4i_choices_read(&programs, &changed[i], &problem);
        assert_int_equal(parts_of(&none), 0);
    }
    forget(&problem);
}

/* ---- Files that are not as they were written ------------------------------------------------------------------------ */

static size_t read_file(const char *path, unsigned char bytes[4096]) {
    FILE *file = fopen(path, "rb");
    const size_t size = fread(bytes, 1, 4096, file);
    fclose(file);
    assert_true(size > 100 && size < 4096);
    return size;
}

static void write_back(const char *path, const unsigned char *bytes, size_t size) {
    FILE *file = fopen(path, "wb");
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    fclose(file);
}

static void damaged(void **state) {
    (void)state;
    const dcnv4i_deform_conv problem = checked(layer());
    const dcnv4i_geometry chosen = tactic(&problem, DCNV4_PART_GRAD_OFFSET_MASK, 1);
    unsigned char bytes[4097];
    keep(&problem, DCNV4_PART_GRAD_OFFSET_MASK, &chosen);
    char path[512];
    snprintf(path, sizeof path, "%s", the_file(1));
    const size_t size = read_file(path, bytes);
    for (size_t at = 0; at < size; ++at) {
        bytes[at] ^= (unsigned char)(1 << at % 8);
        write_back(path, bytes, size);
        assert_int_equal(parts_found(&problem), 0);
        bytes[at] ^= (unsigned char)(1 << at % 8);
    }
    for (size_t length = 0; length < size; ++length) {
        write_back(path, bytes, length);
        assert_int_equal(parts_found(&problem), 0);
    }
    bytes[size] = 0;
    write_back(path, bytes, size + 1);
    assert_int_equal(parts_found(&problem), 0);
    write_back(path, bytes, size);
    assert_int_equal(parts_found(&problem), 2);
    chmod(path, 0666); /* others may have written it */
    assert_int_equal(parts_found(&problem), 0);
    keep(&problem, DCNV4_PART_GRAD_OFFSET_MASK, &chosen); /* a damaged file is replaced */
    assert_int_equal(parts_found(&problem), 2);
    forget(&problem);
}

/* Another layer's file under this one's name. */
static void foreign(void **state) {
    (void)state;
    const dcnv4i_deform_conv problem = checked(layer());
    const dcnv4i_geometry chosen = tactic(&problem, DCNV4_PART_OUTPUT, 1);
    dcnv4_problem asked = layer();
    asked.groups = 8;
    const dcnv4i_deform_conv another = checked(asked);
    unsigned char bytes[4096];
    char path[512];
    keep(&another, DCNV4_PART_OUTPUT, &chosen);
    const size_t size = read_file(the_file(1), bytes);
    forget(&another);
    keep(&problem, DCNV4_PART_OUTPUT, &chosen);
    snprintf(path, sizeof path, "%s", the_file(1));
    write_back(path, bytes, size);
    assert_int_equal(parts_found(&problem), 0);
    unlink(path);
}

/* Well-formed files that ask for an illegal geometry: the default is used. */
static void hostile(void **state) {
    (void)state;
    static const int32_t numbers[] = {INT32_MIN, -1, 0, 1, 2, 3, 8, 64, 1000, 1 << 16, INT32_MAX};
    const dcnv4i_deform_conv problem = checked(layer());
    uint64_t seed = 5;
    int refused = 0;
    for (int i = 0; i < 2000; ++i) {
        const dcnv4_part part = (dcnv4_part)draw_integer(&seed, 0, DCNV4I_DEFORM_CONV_PARTS - 1);
        dcnv4i_geometry g = tactic(&problem, part, 0);
        int32_t *const fields[] = {&g.vector,      &g.lanes,        &g.vectors, &g.tile_h,  &g.tile_w,
                                   &g.tile_groups, &g.round_points, &g.hits,    &g.chunk_h, &g.chunk_w};
        *fields[draw_integer(&seed, 0, 9)] = numbers[draw_integer(&seed, 0, 10)];
        if (draw_integer(&seed, 0, 3) == 0)
            g.scatter = (dcnv4i_scatter)numbers[draw_integer(&seed, 1, 6)];
        keep(&problem, part, &g);
        const dcnv4i_choices now = found(&problem);
        assert_int_equal(now.has[part], dcnv4i_geometry_legal(&limits, &problem, part, &g));
        assert_true(!now.has[part] || dcnv4i_geometry_legal(&limits, &problem, part, &now.geometry[part]));
        refused += !now.has[part];
        keep(&problem, part, NULL);
        count_case();
    }
    assert_true(refused > 500 && refused < 2000);
}

static void nowhere_to_keep(void **state) {
    (void)state;
    const dcnv4i_deform_conv problem = checked(layer());
    const dcnv4i_geometry chosen = tactic(&problem, DCNV4_PART_OUTPUT, 1);
    static const dcnv4i_identity no_device = {.own = "own"};
    dcnv4i_module_store programs = programs_on(&no_device);
    assert_refused(dcnv4i_choices_keep(&programs, &limits, &problem, DCNV4_PART_OUTPUT, &chosen), DCNV4_UNSUPPORTED,
                   "none behind this target");
    programs = programs_on(&here);
    programs.folder = NULL;
    assert_refused(dcnv4i_choices_keep(&programs, &limits, &problem, DCNV4_PART_OUTPUT, &chosen), DCNV4_UNSUPPORTED,
                   "DCNV4_CACHE_DIR is off");
    const dcnv4i_choices none = dcnv4i_choices_read(&programs, &limits, &problem);
    assert_int_equal(parts_of(&none), 0);
    char missing[] = "/tmp/dcnv4_choices_that_are_not_there";
    programs.folder = missing;
    assert_refused(dcnv4i_choices_keep(&programs, &limits, &problem, DCNV4_PART_OUTPUT, &chosen), DCNV4_UNSUPPORTED,
                   "could not be written");
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kept_part_by_part), cmocka_unit_test(of_a_layer), cmocka_unit_test(of_a_device),
        cmocka_unit_test(damaged),           cmocka_unit_test(foreign),    cmocka_unit_test(hostile),
        cmocka_unit_test(nowhere_to_keep),
    };
    if (!mkdtemp(folder))
        return 1;
    const int result = HARNESS_RUN(argc, argv, tests);
    rmdir(folder);
    return result;
}
