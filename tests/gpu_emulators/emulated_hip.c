/* Stands in for libamdhip64.so.6 with hipRTC in it: one device, whose machine code an emulator runs. clang compiles.
 * $EMULATED_ARCHITECTURE is its target (default gfx1100), $EMULATED_LOCAL_MEMORY its bytes of LDS (default 65536), and
 * $EMULATOR the library with run_asm (default libremu.so). README.md beside this file says how to use it.
 * Single-threaded; errors end the program with a message. */
#define _GNU_SOURCE
#include "../../backends/hip/hip_api.h"

#include <dlfcn.h>
#include <elf.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DECLARE(result, name, arguments) __attribute__((visibility("default"))) result name arguments;
DCNV4I_HIP_ENTRIES(DECLARE)
DECLARE(hipError_t, hipGetDevicePropertiesR0600, (dcnv4i_hip_properties *, int))
DCNV4I_HIPRTC_ENTRIES(DECLARE)
#undef DECLARE

enum { OK = 0, OUT_OF_MEMORY = 2, INVALID_IMAGE = 200, NOT_FOUND = 500, LAUNCH_FAILED = 719 };

static const char *setting(const char *name, const char *otherwise) {
    const char *const value = getenv(name);
    return value && *value ? value : otherwise;
}

static const char *architecture(void) {
    return setting("EMULATED_ARCHITECTURE", "gfx1100");
}

/* RDNA, from gfx10 on, has waves of 32 lanes; GCN and CDNA of 64. */
static int wave_size(void) {
    return strncmp(architecture(), "gfx1", 4) == 0 ? 32 : 64;
}

static int local_memory(void) {
    return atoi(setting("EMULATED_LOCAL_MEMORY", "65536"));
}

static void *need(void *made, const char *what) {
    if (made)
        return made;
    fprintf(stderr, "emulated_hip: %s: %s\n", what, dlerror() ? dlerror() : "failed");
    exit(1);
}

/* ---- One device ------------------------------------------------------------------------------------------------------ */

hipError_t hipInit(unsigned flags) {
    (void)flags;
    return OK;
}

hipError_t hipRuntimeGetVersion(int *version) {
    *version = 60400000;
    return OK;
}

const char *hipGetErrorName(hipError_t error) {
    return error == LAUNCH_FAILED ? "hipErrorLaunchFailure" : "an error of the emulated HIP";
}

hipError_t hipGetLastError(void) {
    return OK;
}

hipError_t hipGetDeviceCount(int *count) {
    *count = 1;
    return OK;
}

hipError_t hipGetDevice(int *device) {
    *device = 0;
    return OK;
}

hipError_t hipSetDevice(int device) {
    return device == 0 ? OK : 101;
}

hipError_t hipDeviceGetName(char *name, int room, hipDevice_t device) {
    (void)device;
    snprintf(name, (size_t)room, "%s, emulated", architecture());
    return OK;
}

hipError_t hipDeviceTotalMem(size_t *bytes, hipDevice_t device) {
    (void)device;
    *bytes = (size_t)1 << 32;
    return OK;
}

hipError_t hipDeviceGetAttribute(int *answer, hipDeviceAttribute_t attribute, int device) {
    (void)device;
    *answer = attribute == DCNV4I_hipDeviceAttributeMaxThreadsPerBlock        ? 1024
              : attribute == DCNV4I_hipDeviceAttributeMaxSharedMemoryPerBlock ? local_memory()
              : attribute == DCNV4I_hipDeviceAttributeMultiprocessorCount     ? 8
              : attribute == DCNV4I_hipDeviceAttributeWarpSize                ? wave_size()
                                                                              : 0;
    return OK;
}

hipError_t hipGetDevicePropertiesR0600(dcnv4i_hip_properties *properties, int device) {
    (void)device;
    memset(properties, 0, 1472);
    strcpy((char *)properties + 1160, architecture()); /* gcnArchName */
    return OK;
}

/* ---- Memory is the host's, and all calls are synchronous --------------------------------------------------------- */

hipError_t hipStreamSynchronize(hipStream_t stream) {
    (void)stream;
    return OK;
}

hipError_t hipMalloc(void **pointer, size_t bytes) {
    return posix_memalign(pointer, 256, bytes) == 0 ? OK : OUT_OF_MEMORY;
}

hipError_t hipFree(void *pointer) {
    free(pointer);
    return OK;
}

hipError_t hipMemcpy(void *to, const void *from, size_t bytes, hipMemcpyKind kind) {
    (void)kind;
    memcpy(to, from, bytes);
    return OK;
}

/* ---- Code objects ------------------------------------------------------------------------------------------------------ */

/* A kernel, and how many arguments of eight bytes it has. */
typedef struct kernel {
    const void *code;
    uint32_t bytes, arguments;
    uint32_t scratch;   /* bytes for each work-item */
    uint32_t resources; /* COMPUTE_PGM_RSRC2 */
} kernel;

hipError_t hipModuleLoadData(hipModule_t *module, const void *image) {
    const Elf64_Ehdr *header = image;
    if (memcmp(header->e_ident, ELFMAG, SELFMAG) != 0)
        return INVALID_IMAGE;
    const size_t bytes = header->e_shoff + (size_t)header->e_shnum * header->e_shentsize; /* the sections come last */
    *module = memcpy(need(malloc(bytes), "malloc"), image, bytes);
    return OK;
}

hipError_t hipModuleUnload(hipModule_t module) {
    free(module);
    return OK;
}

/* A symbol's bytes; NULL if there is none of this name. */
static const char *find(const char *image, const char *name, uint32_t *bytes) {
    const Elf64_Ehdr *header = (const void *)image;
    const Elf64_Shdr *sections = (const void *)(image + header->e_shoff);
    for (int s = 0; s < header->e_shnum; ++s) {
        if (sections[s].sh_type != SHT_DYNSYM)
            continue;
        const Elf64_Sym *symbols = (const void *)(image + sections[s].sh_offset);
        const char *names = image + sections[sections[s].sh_link].sh_offset;
        for (size_t i = 0; i < sections[s].sh_size / sizeof *symbols; ++i)
            if (strcmp(names + symbols[i].st_name, name) == 0) {
                const Elf64_Shdr *home = &sections[symbols[i].st_shndx];
                *bytes = (uint32_t)symbols[i].st_size;
                return image + home->sh_offset + (symbols[i].st_value - home->sh_addr);
            }
    }
    return NULL;
}

/* A kernel's descriptor is the symbol of its name with ".kd": bytes of LDS, of scratch per work-item and of arguments, and
 * the register COMPUTE_PGM_RSRC2, in which the driver writes the LDS in units of 512 bytes. The emulators set the user
 * registers as compilers ask by default: the first two with the arguments' address, and then the work-group's number.
 * remu does not read that register, and expects 15 of them. */
hipError_t hipModuleGetFunction(hipFunction_t *function, hipModule_t module, const char *name) {
    char descriptor_name[128];
    uint32_t bytes, words[16];
    kernel *found = need(calloc(1, sizeof *found), "calloc");
    snprintf(descriptor_name, sizeof descriptor_name, "%s.kd", name);
    const char *descriptor = find(module, descriptor_name, &bytes);
    found->code = find(module, name, &found->bytes);
    if (!found->code || !descriptor)
        return NOT_FOUND;
    memcpy(words, descriptor, sizeof words);
    const bool remu = strstr(setting("EMULATOR", "libremu.so"), "remu");
    if ((words[14] & 0x7f) != 8 || (remu && ((words[13] >> 1 & 31) != 15 || words[1] != 0))) {
        fprintf(stderr, "emulated_hip: %s wants registers or scratch memory that the emulator does not set\n", name);
        exit(1);
    }
    if (words[0] > (uint32_t)local_memory()) {
        fprintf(stderr, "emulated_hip: %s has %u bytes of LDS, the device %d\n", name, words[0], local_memory());
        exit(1);
    }
    found->scratch = words[1];
    found->arguments = words[2] / 8;
    found->resources = (words[13] & ~(0x1ffu << 15)) | ((words[0] + 511) / 512) << 15;
    *function = found;
    return OK;
}

/* remu ignores the last three arguments. tinygrad's emulator has them: behind a shim, whose words are up to you. */
typedef int run_asm(const void *code, uint32_t bytes, uint32_t groups_x, uint32_t groups_y, uint32_t groups_z,
                    uint32_t items_x, uint32_t items_y, uint32_t items_z, const uint64_t *arguments, uint32_t resources,
                    uint32_t scratch, const char *target);

hipError_t hipModuleLaunchKernel(hipFunction_t function, unsigned groups, unsigned groups_y, unsigned groups_z,
                                 unsigned items, unsigned items_y, unsigned items_z, unsigned local, hipStream_t stream,
                                 void **arguments, void **extra) {
    static run_asm *run;
    const kernel *k = function;
    uint64_t numbers[64];
    (void)groups_y, (void)groups_z, (void)items_y, (void)items_z, (void)local, (void)stream, (void)extra;
    if (!run) {
        const char *const emulator = setting("EMULATOR", "libremu.so");
        *(void **)&run = need(dlsym(need(dlopen(emulator, RTLD_NOW), emulator), "run_asm"), "run_asm");
    }
    for (uint32_t i = 0; i < k->arguments && i < 64; ++i)
        memcpy(&numbers[i], arguments[i], sizeof numbers[i]);
    return run(k->code, k->bytes, groups, 1, 1, items, 1, 1, numbers, k->resources, k->scratch, architecture()) == 0
               ? OK
               : LAUNCH_FAILED;
}

/* ---- hipRTC: a clang that has the target, with lld ---------------------------------------------------------------------- */

typedef struct program {
    char *source, *code;
    size_t size;
} program;

hiprtcResult hiprtcVersion(int *major, int *minor) {
    *major = 6, *minor = 4;
    return OK;
}

hiprtcResult hiprtcCreateProgram(hiprtcProgram *made, const char *source, const char *name, int headers,
                                 dcnv4i_hiprtc_texts texts, dcnv4i_hiprtc_texts names) {
    (void)name, (void)headers, (void)texts, (void)names;
    program *p = need(calloc(1, sizeof *p), "calloc");
    p->source = need(strdup(source), "strdup");
    *made = p;
    return OK;
}

hiprtcResult hiprtcCompileProgram(hiprtcProgram made, int count, dcnv4i_hiprtc_texts options) {
    program *p = made;
    const char *clang = getenv("EMULATED_CLANG");
    char folder[] = "/tmp/emulated-XXXXXX", command[1024], code[64];
    need(mkdtemp(folder), folder);
    snprintf(code, sizeof code, "%s/kernel.co", folder);
    int length = snprintf(command, sizeof command,
                          "%s -x hip --cuda-device-only -nogpuinc -nogpulib --no-gpu-bundle-output -o %s",
                          clang ? clang : "clang", code);
    for (int i = 0; i < count; ++i)
        length += snprintf(command + length, sizeof command - (size_t)length, " %s", options[i]);
    snprintf(command + length, sizeof command - (size_t)length, " -");
    FILE *pipe = need(popen(command, "w"), command);
    fputs(p->source, pipe);
    if (pclose(pipe) != 0)
        return DCNV4I_HIPRTC_ERROR_COMPILATION;
    FILE *file = need(fopen(code, "rb"), code);
    fseek(file, 0, SEEK_END);
    p->size = (size_t)ftell(file);
    rewind(file);
    p->code = need(malloc(p->size), "malloc");
    p->size = fread(p->code, 1, p->size, file);
    fclose(file);
    unlink(code);
    rmdir(folder);
    return OK;
}

hiprtcResult hiprtcDestroyProgram(hiprtcProgram *made) {
    program *p = *made;
    free(p->source);
    free(p->code);
    free(p);
    return OK;
}

hiprtcResult hiprtcGetCodeSize(hiprtcProgram made, size_t *size) {
    *size = ((program *)made)->size;
    return OK;
}

hiprtcResult hiprtcGetCode(hiprtcProgram made, char *code) {
    memcpy(code, ((program *)made)->code, ((program *)made)->size);
    return OK;
}

hiprtcResult hiprtcGetProgramLogSize(hiprtcProgram made, size_t *size) {
    (void)made;
    *size = 1;
    return OK;
}

hiprtcResult hiprtcGetProgramLog(hiprtcProgram made, char *log) {
    (void)made;
    *log = '\0'; /* clang has written to stderr */
    return OK;
}

const char *hiprtcGetErrorString(hiprtcResult error) {
    (void)error;
    return "an error of the emulated hipRTC";
}
