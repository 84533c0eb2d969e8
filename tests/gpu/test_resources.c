/* Reads kernels' resources from ELF files of both kinds, made here: whole, and then damaged in every way. */
#include "../support/harness.h"
#include "../../backends/gpu/runtime/resources.h"
#include "../../backends/gpu/runtime/target.h"

#include <stdlib.h>
#include <string.h>

/* A file that grows: the ELF header, the sections' bytes, the table of sections. */
typedef struct image {
    unsigned char bytes[4096];
    size_t size;
    struct {
        size_t name, type, offset, size;
    } sections[8];
    int count;
} image;

static void put(image *to, uint64_t number, int bytes) {
    for (int i = 0; i < bytes; ++i)
        to->bytes[to->size++] = (unsigned char)(i < 8 ? number >> 8 * i : 0);
}

static void put_text(image *to, const char *text) {
    memcpy(to->bytes + to->size, text, strlen(text));
    to->size += strlen(text);
}

static const char
    names[] = "\0.shstrtab\0.symtab\0.strtab\0.nv.info\0.nv.info.dcn_forward\0.nv.shared.dcn_forward\0.note";

static size_t name_at(const char *name) {
    size_t at = 1;
    while (strcmp(names + at, name) != 0)
        at += strlen(names + at) + 1;
    return at;
}

static void begin(image *to, const char *name, size_t type) {
    to->sections[to->count].name = name_at(name);
    to->sections[to->count].type = type;
    to->sections[to->count].offset = to->size;
}

static void end(image *to) {
    to->sections[to->count].size = to->size - to->sections[to->count].offset;
    ++to->count;
}

/* Begins a file for this ELF machine; the table of names is section 0. */
static void open_image(image *to, unsigned machine) {
    *to = (image){.size = 0};
    put_text(to, "\x7f"
                 "ELF\x02\x01\x01");
    put(to, 0, 9);
    put(to, 2, 2);
    put(to, machine, 2);
    put(to, 0, 44);
    begin(to, ".shstrtab", 3);
    memcpy(to->bytes + to->size, names, sizeof names);
    to->size += sizeof names;
    end(to);
}

static dcnv4i_binary close_image(image *to) {
    const size_t table = to->size;
    for (int i = 0; i < to->count; ++i) {
        put(to, to->sections[i].name, 4);
        put(to, to->sections[i].type, 4);
        put(to, 0, 8);
        put(to, 0, 8);
        put(to, to->sections[i].offset, 8);
        put(to, to->sections[i].size, 8);
        put(to, 0, 24);
    }
    const size_t size = to->size;
    to->size = 40, put(to, table, 8);
    to->size = 58, put(to, 64, 2), put(to, (uint64_t)to->count, 2), put(to, 0, 2);
    to->size = size;
    return (dcnv4i_binary){to->bytes, size};
}

static void attribute(image *to, unsigned which, uint64_t first, uint64_t second) {
    put(to, 4 | which << 8 | 8 << 16, 4);
    put(to, first, 4);
    put(to, second, 4);
}

static dcnv4i_binary make_cubin(image *to) {
    open_image(to, 190);
    begin(to, ".strtab", 3), put(to, 0, 1), put_text(to, "other"), put(to, 0, 1), put_text(to, "dcn_forward");
    put(to, 0, 1), end(to);
    begin(to, ".symtab", 2), put(to, 0, 24), put(to, 1, 24), put(to, 7, 24), end(to);
    begin(to, ".nv.info", 0x70000000);
    attribute(to, 0x2f, 1, 99), put(to, 0x5003, 4), attribute(to, 0x2f, 2, 44), attribute(to, 0x11, 2, 16), end(to);
    begin(to, ".nv.info.dcn_forward", 0x70000000);
    put(to, 4 | 0x05 << 8 | 12 << 16, 4), put(to, 128, 4), put(to, 1, 8), end(to);
    begin(to, ".nv.shared.dcn_forward", 8), end(to);
    to->sections[to->count - 1].size = 12544;
    return close_image(to);
}

static void key(image *to, const char *text) {
    put(to, 0xa0 | strlen(text), 1);
    put_text(to, text);
}

static dcnv4i_binary make_code_object(image *to) {
    open_image(to, 224);
    begin(to, ".note", 7);
    put(to, 7, 4);
    const size_t length_at = to->size;
    put(to, 0, 4), put(to, 32, 4), put_text(to, "AMDGPU"), put(to, 0, 2);
    const size_t first = to->size;
    put(to, 0x82, 1), key(to, "amdhsa.version"), put(to, 0x020192, 3), key(to, "amdhsa.kernels"), put(to, 0x92, 1);
    put(to, 0x81, 1), key(to, ".name"), key(to, "other");
    put(to, 0xde, 1), put(to, 0x0600, 2);
    key(to, ".args"), put(to, 0x91, 1), put(to, 0x81, 1), key(to, ".size"), put(to, 8, 1);
    put(to, 0xd9, 1), put(to, 25, 1), put_text(to, ".group_segment_fixed_size"), put(to, 0xcd, 1), put(to, 0x002d, 2);
    key(to, ".max_flat_workgroup_size"), put(to, 0x80cc, 2);
    key(to, ".name"), key(to, "dcn_forward");
    key(to, ".private_segment_fixed_size"), put(to, 4, 1);
    key(to, ".vgpr_count"), put(to, 70, 1);
    const size_t size = to->size;
    to->size = length_at, put(to, size - first, 4);
    to->size = size;
    end(to);
    return close_image(to);
}

static void expect(const dcnv4i_binary *binary, int64_t registers, int64_t local_memory, int64_t spill) {
    const dcnv4i_resources found = dcnv4i_resources_of(binary, "dcn_forward");
    assert_true(found.known);
    assert_int_equal(found.registers, registers);
    assert_int_equal(found.local_memory, local_memory);
    assert_int_equal(found.spill, spill);
    assert_int_equal(found.work_group, 128);
    assert_false(dcnv4i_resources_of(binary, "dcn_forwards").known);
    assert_false(dcnv4i_resources_of(binary, "dcn_forwar").known);
    count_case();
}

static void whole(void **state) {
    (void)state;
    image made;
    dcnv4i_binary binary = make_cubin(&made);
    expect(&binary, 44, 12544, 16);
    binary = make_code_object(&made);
    expect(&binary, 70, 0x2d00, 4);
}

/* Every truncation, every byte in many values, and many bytes at once, in memory of exactly that size: nothing is read
 * past its end, and reading terminates. */
static void damaged(void **state) {
    (void)state;
    uint64_t seed = 5;
    for (int kind = 0; kind < 2; ++kind) {
        image made;
        const dcnv4i_binary binary = kind ? make_code_object(&made) : make_cubin(&made);
        for (size_t size = 0; size <= binary.size; ++size) {
            dcnv4i_binary copy = {allocate(size), size};
            memcpy(copy.bytes, binary.bytes, size);
            dcnv4i_resources_of(&copy, "dcn_forward");
            for (int i = 0; i < 40 && size > 0; ++i) {
                const int64_t at = draw_integer(&seed, 0, (int64_t)size - 1);
                static const unsigned char edges[] = {0, 1, 0x7f, 0x80, 0xff, 0xde, 0xdd, 0xdf};
                ((unsigned char *)copy.bytes)[at] = i % 2 ? edges[draw_integer(&seed, 0, 7)]
                                                          : (unsigned char)draw_integer(&seed, 0, 255);
                dcnv4i_resources_of(&copy, "dcn_forward");
            }
            free(copy.bytes);
            count_case();
        }
    }
}

/* Worked out by hand from the vendors' tables: the limit is registers, local memory, work-groups or waves. */
static void occupancy(void **state) {
    (void)state;
    static const struct {
        const char *backend, *target;
        int64_t work_group, registers, local_memory;
        double share;
    } cases[] = {
        {"cuda", "sm_90", 128, 32, 0, 1},
        {"cuda", "sm_90", 128, 40, 12544, 48.0 / 64},
        {"cuda", "sm_90", 128, 64, 23552, 32.0 / 64},
        {"cuda", "sm_75", 128, 56, 22528, 8.0 / 32},
        {"cuda", "sm_90", 32, 16, 0, 32.0 / 64},
        {"cuda", "sm_90", 1024, 65, 0, 0},
        {"hip", "gfx90a", 256, 64, 0, 1},
        {"hip", "gfx90a", 128, 70, 11520, 10.0 / 32},
        {"hip", "gfx90a", 64, 64, 0, 1},
        {"hip", "gfx1100", 128, 120, 0, 48.0 / 64},
        {"hip", "gfx1030", 32, 72, 0, 48.0 / 64}, /* this and the next as clang 22 says */
        {"hip", "gfx1250", 32, 67, 0, 48.0 / 64},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
        const dcnv4i_target *target = dcnv4i_target_find(cases[i].backend, cases[i].target);
        assert_non_null(target);
        const double share = dcnv4i_target_occupancy(target, cases[i].work_group, cases[i].registers,
                                                     cases[i].local_memory);
        if (!(share == cases[i].share))
            fail_msg("%s: %g instead of %g", cases[i].target, share, cases[i].share);
        count_case();
    }
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole),
        cmocka_unit_test(damaged),
        cmocka_unit_test(occupancy),
    };
    return HARNESS_RUN(argc, argv, tests);
}
