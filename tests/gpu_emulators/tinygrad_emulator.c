/* run_asm of emulated_hip.c, by tinygrad's emulator of AMD GPUs: an embedded Python calls run_asm of its
 * test/mockgpu/amd/emu.py, which $PYTHONPATH must lead to. README.md beside this file says how to build and use it.
 * Single-threaded; an error of Python's is printed and returned as a failed launch. */
#define _GNU_SOURCE
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <dlfcn.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* tinygrad's name for a target. */
static const char *family(const char *target) {
    return strncmp(target, "gfx9", 4) == 0 ? "cdna" : strncmp(target, "gfx12", 5) == 0 ? "rdna4" : "rdna3";
}

/* Python's own modules need its symbols to be global, and this library is loaded without that. */
static void show_symbols(void) {
    Dl_info python;
    if (dladdr((void *)Py_InitializeEx, &python))
        dlopen(python.dli_fname, RTLD_NOW | RTLD_GLOBAL | RTLD_NOLOAD);
}

/* Instructions that it lacks: they invalidate and write back caches, which it does not have. */
static const struct {
    const char *target; /* or a family of them */
    uint32_t word;      /* the first */
    int words;          /* each of the others is 0, apart from a scope */
} cache_controls[] = {
    {"gfx11", 0xe0ac0000, 2}, /* buffer_gl0_inv */
    {"gfx12", 0xee0ac07c, 3}, /* global_inv */
    {"gfx12", 0xee0b007c, 3}, /* global_wb */
};

/* Replaces them by s_nop. */
static void skip_cache_controls(void *code, uint32_t bytes, const char *target) {
    const uint32_t scopes = 0x000c0000, nothing = 0xbf800000;
    uint32_t *const words = code;
    for (size_t i = 0; i < sizeof cache_controls / sizeof *cache_controls; ++i) {
        const int count = cache_controls[i].words;
        if (strncmp(target, cache_controls[i].target, strlen(cache_controls[i].target)) != 0)
            continue;
        for (uint32_t at = 0; at + (uint32_t)count <= bytes / 4; ++at)
            if (words[at] == cache_controls[i].word && (words[at + 1] & ~scopes) == 0 &&
                words[at + (uint32_t)count - 1] == 0)
                for (int w = 0; w < count; ++w)
                    words[at + (uint32_t)w] = nothing;
    }
}

/* It flushes subnormal numbers to 0, in float32 whatever the kernel's descriptor says, which compilers set to keep them, and
 * in float16 where it has integers do the conversions, which also make 65519 infinite: on all processors but Apple's. A
 * processor with F16C converts right by itself. */
static const char keep_subnormals[] = "import test.mockgpu.amd.emu as emulator\n"
                                      "from tinygrad.dtype import dtypes\n"
                                      "from tinygrad.renderer.llvmir import CPULLVMRenderer as renderer\n"
                                      "emulator._get_ftz_lib = lambda: (None, 0)\n"
                                      "without_half = renderer.supported_dtypes\n"
                                      "renderer.supported_dtypes = lambda self: without_half(self) | {dtypes.half}\n";

static PyObject *emulator(void) {
    static PyObject *run;
    if (!run) {
        show_symbols();
        Py_InitializeEx(0); /* signals stay the program's */
        PyObject *const module = PyImport_ImportModule("test.mockgpu.amd.emu");
        run = module && PyRun_SimpleString(keep_subnormals) == 0 ? PyObject_GetAttrString(module, "run_asm") : NULL;
    }
    return run;
}

__attribute__((visibility("default"))) int run_asm(const void *code, uint32_t bytes, uint32_t groups_x,
                                                   uint32_t groups_y, uint32_t groups_z, uint32_t items_x,
                                                   uint32_t items_y, uint32_t items_z, const uint64_t *arguments,
                                                   uint32_t resources, uint32_t scratch, const char *target) {
    PyObject *const run = emulator();
    skip_cache_controls((void *)(uintptr_t)code, bytes, target); /* in the stand-in's own copy */
    PyObject *const answer = run ? PyObject_CallFunction(run, "KIIIIIIIKIIs", (unsigned long long)(uintptr_t)code,
                                                         bytes, groups_x, groups_y, groups_z, items_x, items_y, items_z,
                                                         (unsigned long long)(uintptr_t)arguments, resources, scratch,
                                                         family(target))
                                 : NULL;
    if (!answer)
        PyErr_Print();
    const bool done = answer && PyLong_AsLong(answer) == 0;
    Py_XDECREF(answer);
    return done ? 0 : 1;
}
