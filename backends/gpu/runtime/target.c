#include "target.h"

#include <string.h>

/* From NVIDIA's table of technical specifications by compute capability, and LLVM's of AMDGPU processors. */
static const dcnv4i_target targets[] = {
    /* backend, name, like, number, since, wave, waves, registers, granule, groups, local, local_taken */
    {"cuda", "sm_75", NULL, 75, 0, 32, 8, 512, 8, 16, 64, 0},
    {"cuda", "sm_80", NULL, 80, 0, 32, 16, 512, 8, 32, 164, 1024},
    {"cuda", "sm_86", NULL, 86, 0, 32, 12, 512, 8, 16, 100, 1024},
    {"cuda", "sm_87", NULL, 87, 0, 32, 12, 512, 8, 16, 164, 1024},
    {"cuda", "sm_88", "sm_86", 88, 0, 32, 12, 512, 8, 16, 100, 1024},
    {"cuda", "sm_89", NULL, 89, 0, 32, 12, 512, 8, 24, 100, 1024},
    {"cuda", "sm_90", NULL, 90, 0, 32, 16, 512, 8, 32, 228, 1024},
    {"cuda", "sm_90a", "sm_90", 90, 1200, 32, 16, 512, 8, 32, 228, 1024},
    {"cuda", "sm_100", NULL, 100, 0, 32, 16, 512, 8, 32, 228, 1024},
    {"cuda", "sm_100a", "sm_100", 100, 1208, 32, 16, 512, 8, 32, 228, 1024},
    {"cuda", "sm_100f", "sm_100", 100, 1209, 32, 16, 512, 8, 32, 228, 1024},
    {"cuda", "sm_103", NULL, 103, 0, 32, 16, 512, 8, 32, 228, 1024},
    {"cuda", "sm_103a", "sm_103", 103, 1209, 32, 16, 512, 8, 32, 228, 1024},
    {"cuda", "sm_103f", "sm_103", 103, 1209, 32, 16, 512, 8, 32, 228, 1024},
    {"cuda", "sm_107", "sm_103", 107, 0, 32, 16, 512, 8, 16, 328, 1024},
    {"cuda", "sm_110", NULL, 110, 0, 32, 12, 512, 8, 24, 228, 1024},
    {"cuda", "sm_110a", "sm_110", 110, 1300, 32, 12, 512, 8, 24, 228, 1024},
    {"cuda", "sm_110f", "sm_110", 110, 1300, 32, 12, 512, 8, 24, 228, 1024},
    {"cuda", "sm_120", NULL, 120, 0, 32, 12, 512, 8, 24, 100, 1024},
    {"cuda", "sm_120a", "sm_120", 120, 1208, 32, 12, 512, 8, 24, 100, 1024},
    {"cuda", "sm_120f", "sm_120", 120, 1209, 32, 12, 512, 8, 24, 100, 1024},
    {"cuda", "sm_121", NULL, 121, 0, 32, 12, 512, 8, 24, 100, 1024},
    {"cuda", "sm_121a", "sm_121", 121, 1209, 32, 12, 512, 8, 24, 100, 1024},
    {"cuda", "sm_121f", "sm_121", 121, 1209, 32, 12, 512, 8, 24, 100, 1024},
    {"hip", "gfx906", NULL, 0, 500, 64, 10, 256, 4, 16, 64, 0},
    {"hip", "gfx908", NULL, 0, 500, 64, 10, 256, 4, 16, 64, 0},
    {"hip", "gfx90a", NULL, 0, 500, 64, 8, 512, 8, 16, 64, 0},
    {"hip", "gfx942", NULL, 0, 600, 64, 8, 512, 8, 16, 64, 0},
    {"hip", "gfx950", NULL, 0, 700, 64, 8, 512, 8, 16, 160, 0},
    {"hip", "gfx9-4-generic", "gfx942", 0, 604, 64, 8, 512, 8, 16, 64, 0},
    {"hip", "gfx1030", NULL, 0, 500, 32, 16, 1024, 16, 32, 128, 0},
    {"hip", "gfx10-3-generic", "gfx1030", 0, 604, 32, 16, 1024, 16, 32, 128, 0},
    {"hip", "gfx1100", NULL, 0, 505, 32, 16, 1536, 24, 32, 128, 0},
    {"hip", "gfx1101", NULL, 0, 505, 32, 16, 1536, 24, 32, 128, 0},
    {"hip", "gfx1102", NULL, 0, 505, 32, 16, 1024, 16, 32, 128, 0},
    {"hip", "gfx1103", "gfx1102", 0, 505, 32, 16, 1024, 16, 32, 128, 0},
    {"hip", "gfx1150", "gfx1102", 0, 602, 32, 16, 1024, 16, 32, 128, 0},
    {"hip", "gfx1151", "gfx1100", 0, 602, 32, 16, 1536, 24, 32, 128, 0},
    {"hip", "gfx1152", "gfx1102", 0, 604, 32, 16, 1024, 16, 32, 128, 0},
    {"hip", "gfx1153", "gfx1102", 0, 700, 32, 16, 1024, 16, 32, 128, 0},
    {"hip", "gfx11-generic", "gfx1102", 0, 604, 32, 16, 1024, 16, 32, 128, 0},
    {"hip", "gfx1200", NULL, 0, 604, 32, 16, 1536, 24, 32, 128, 0},
    {"hip", "gfx1201", NULL, 0, 604, 32, 16, 1536, 24, 32, 128, 0},
    {"hip", "gfx12-generic", "gfx1201", 0, 604, 32, 16, 1536, 24, 32, 128, 0},
    {"hip", "gfx1250", NULL, 0, 715, 32, 16, 1024, 16, 32, 320, 0},
};

enum { TARGETS = sizeof targets / sizeof *targets, REGISTER_FILES = 4 };

const dcnv4i_target *dcnv4i_target_next(const char *backend, const dcnv4i_target *before) {
    for (const dcnv4i_target *each = before ? before + 1 : targets; each < targets + TARGETS; ++each)
        if (strcmp(each->backend, backend) == 0)
            return each;
    return NULL;
}

const dcnv4i_target *dcnv4i_target_find(const char *backend, const char *name) {
    const dcnv4i_target *each = dcnv4i_target_next(backend, NULL);
    while (each && strcmp(each->name, name) != 0)
        each = dcnv4i_target_next(backend, each);
    return each;
}

/* CUDA grants at most 48 KiB of static __shared__ memory on every device; AMD's devices have 64 KiB. A grid has up to
 * 2³¹ − 1 blocks in CUDA, and 2³² − 1 work-items in HIP. */
dcnv4i_limits dcnv4i_target_limits(const char *backend) {
    const bool cuda = strcmp(backend, "cuda") == 0;
    return (dcnv4i_limits){
        .work_group = 1024,
        .local_memory = cuda ? 48 << 10 : 64 << 10,
        .units = 1,
        .groups = INT32_MAX,
        .items = cuda ? 0 : UINT32_MAX,
        .atomics = DCNV4I_ATOMICS_NATIVE,
    };
}

static int64_t smaller(int64_t a, int64_t b) {
    return a < b ? a : b;
}

static int64_t blocks_of(int64_t total, int64_t each) {
    return (total + each - 1) / each;
}

double dcnv4i_target_occupancy(const dcnv4i_target *t, int64_t work_group, int64_t registers, int64_t local_memory) {
    const int64_t group_waves = blocks_of(work_group, t->wave), each = blocks_of(registers, t->granule) * t->granule;
    const int64_t waves = each > 0 ? smaller(t->waves, t->registers / each) : t->waves;
    const int64_t local = local_memory + t->local_taken;
    int64_t groups = group_waves > 0 ? waves * REGISTER_FILES / group_waves : 0;
    if (group_waves > 1 || strcmp(t->backend, "cuda") == 0) /* on AMD this limits only groups of several waves */
        groups = smaller(groups, t->groups);
    if (local > 0)
        groups = smaller(groups, (int64_t)t->local * 1024 / local);
    return (double)(groups * group_waves) / (t->waves * REGISTER_FILES);
}
