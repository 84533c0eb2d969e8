#include "processor_floor.h"

#include "../devices/stopwatch.h"

#include <dcnv4/dcnv4.h>

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* ---- Loads with their multiply-adds -------------------------------------------------------------------------------- */

enum {
    BUFFER = 16384,
    ALIGNMENT = 64,
    ACCUMULATORS = 12
}; /* enough accumulators that no multiply-add waits for the one before */

/* Loads `bytes` bytes, repeatedly from the same BUFFER, and returns a sum so that no load is optimised away. */
typedef float loader(const float *buffer, size_t bytes);

#define DEFINE_LOADER(name, target, vector, zero, load, multiply_add, lane)               \
    target static float name(const float *buffer, size_t bytes) {                         \
        enum { LANES = sizeof(vector) / sizeof(float), STEP = ACCUMULATORS * LANES };     \
        const vector weight = load(buffer);                                               \
        vector sums[ACCUMULATORS];                                                        \
        for (int i = 0; i < ACCUMULATORS; ++i)                                            \
            sums[i] = zero;                                                               \
        for (size_t done = 0; done < bytes;) {                                            \
            const float *at = buffer, *end = buffer + BUFFER / sizeof(float) - STEP;      \
            for (; at <= end && done < bytes; at += STEP, done += STEP * sizeof(float)) { \
                _Pragma("GCC unroll 12") for (int i = 0; i < ACCUMULATORS; ++i)           \
                    sums[i] = multiply_add(load(at + i * LANES), weight, sums[i]);        \
            }                                                                             \
        }                                                                                 \
        float sum = 0;                                                                    \
        for (int i = 0; i < ACCUMULATORS; ++i)                                            \
            sum += lane(sums[i]);                                                         \
        return sum;                                                                       \
    }

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>
DEFINE_LOADER(load_avx2, __attribute__((target("avx2,fma"))), __m256, _mm256_setzero_ps(), _mm256_load_ps,
              _mm256_fmadd_ps, _mm256_cvtss_f32)
DEFINE_LOADER(load_avx512, __attribute__((target("avx512f"))), __m512, _mm512_setzero_ps(), _mm512_load_ps,
              _mm512_fmadd_ps, _mm512_cvtss_f32)
#endif

#if defined(__aarch64__)
#include <arm_neon.h>
#define NEON_FMA(value, weight, sum) vfmaq_f32(sum, value, weight)
#define NEON_LANE(vector) vgetq_lane_f32(vector, 0)
DEFINE_LOADER(load_widest, , float32x4_t, vdupq_n_f32(0), vld1q_f32, NEON_FMA, NEON_LANE)
static const char widest_words[] = "neon, 128 bits";
#elif defined(__GNUC__)
/* GNU C's vectors, which compile for any processor. */
typedef float portable_vector __attribute__((vector_size(16)));
static inline portable_vector portable_load(const float *at) {
    portable_vector loaded;
    memcpy(&loaded, at, sizeof loaded);
    return loaded;
}
#define PORTABLE_FMA(value, weight, sum) ((value) * (weight) + (sum))
#define PORTABLE_LANE(vector) ((vector)[0])
DEFINE_LOADER(load_widest, , portable_vector, ((portable_vector){0, 0, 0, 0}), portable_load, PORTABLE_FMA,
              PORTABLE_LANE)
static const char widest_words[] = "portable, 128 bits";
#else
#define PORTABLE_LOAD(at) (*(at))
#define PORTABLE_FMA(value, weight, sum) ((value) * (weight) + (sum))
#define PORTABLE_LANE(number) (number)
DEFINE_LOADER(load_widest, , float, 0, PORTABLE_LOAD, PORTABLE_FMA, PORTABLE_LANE)
static const char widest_words[] = "portable, 32 bits";
#endif

#if defined(__x86_64__) && defined(__GNUC__)
/* Whether the library lists this instruction set. (With zig cc, __builtin_cpu_supports is always false.) */
static bool has(const char *instruction_set) {
    bool found = false;
    for (int64_t i = 0; i < dcnv4_device_count() && !found; ++i) {
        dcnv4_device_info info = DCNV4_DEVICE_INFO_INIT;
        found = dcnv4_device_info_get(i, &info) == DCNV4_SUCCESS && strcmp(info.backend, "cpu") == 0 &&
                strstr(info.features, instruction_set);
    }
    return found;
}
#endif

static loader *choose(const char **words) {
#if defined(__x86_64__) && defined(__GNUC__)
    if (has("avx512")) {
        *words = "avx512, 512 bits";
        return load_avx512;
    }
    if (has("avx2")) {
        *words = "avx2, 256 bits";
        return load_avx2;
    }
#endif
    *words = widest_words;
    return load_widest;
}

const char *dcnv4i_floor_loads(void) {
    const char *words;
    choose(&words);
    return words;
}

/* ---- Threads -------------------------------------------------------------------------------------------------------- */

/* What all threads wait for, so that they run at the same time. */
typedef struct gate {
    pthread_mutex_t lock;
    pthread_cond_t opened;
    bool open;
} gate;

typedef struct worker {
    const dcnv4i_floor *floor;
    int64_t number;
    gate *gate;
    void (*work)(const struct worker *);
    float *buffer; /* of BUFFER bytes, at a multiple of ALIGNMENT in memory */
    void *memory;
    double ms;
    pthread_t thread;
} worker;

static void do_loads(const worker *w) {
    const char *words;
    loader *const load = choose(&words);
    volatile float sink = load(w->buffer, (size_t)(w->floor->load_bytes / (double)w->floor->threads));
    (void)sink;
}

/* Each thread's share of what is copied, then of what is only read. */
static void do_memory(const worker *w) {
    const dcnv4i_floor *f = w->floor;
    const size_t copied = f->copied / (size_t)f->threads, number = (size_t)w->number;
    const size_t words = f->read / (size_t)f->threads / sizeof(uint64_t);
    const uint64_t *at = (const uint64_t *)(const void *)(f->from + f->copied) + number * words;
    memcpy(f->to + number * copied, f->from + number * copied, copied);
    uint64_t sums[8] = {0};
    for (size_t i = 0; i + 8 <= words; i += 8)
        for (int lane = 0; lane < 8; ++lane)
            sums[lane] ^= at[i + (size_t)lane];
    volatile uint64_t sink = sums[0] ^ sums[1] ^ sums[2] ^ sums[3] ^ sums[4] ^ sums[5] ^ sums[6] ^ sums[7];
    (void)sink;
}

static void *run_worker(void *argument) {
    worker *w = argument;
    pthread_mutex_lock(&w->gate->lock);
    while (!w->gate->open)
        pthread_cond_wait(&w->gate->opened, &w->gate->lock);
    pthread_mutex_unlock(&w->gate->lock);
    const double start = dcnv4i_now_ms();
    w->work(w);
    w->ms = dcnv4i_now_ms() - start;
    return NULL;
}

static void open_gate(gate *g) {
    pthread_mutex_lock(&g->lock);
    g->open = true;
    pthread_cond_broadcast(&g->opened);
    pthread_mutex_unlock(&g->lock);
}

/* The longest time of a thread, or NAN. */
static double time_threads(const dcnv4i_floor *floor, void (*work)(const worker *)) {
    gate g = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false};
    worker *workers = calloc((size_t)floor->threads, sizeof *workers);
    double longest = 0;
    int64_t started = 0;
    for (; workers && started < floor->threads; ++started) {
        worker *w = &workers[started];
        *w = (worker){
            .floor = floor, .number = started, .gate = &g, .work = work, .memory = malloc(BUFFER + ALIGNMENT)};
        w->buffer = (float *)(void *)((char *)w->memory + (ALIGNMENT - (uintptr_t)w->memory % ALIGNMENT));
        for (size_t i = 0; w->memory && i < BUFFER / sizeof(float); ++i)
            w->buffer[i] = 1e-3f * (float)(i % 7);
        if (!w->memory || pthread_create(&w->thread, NULL, run_worker, w) != 0) {
            free(w->memory);
            break;
        }
    }
    open_gate(&g);
    for (int64_t i = 0; i < started; ++i) {
        pthread_join(workers[i].thread, NULL);
        longest = fmax(longest, workers[i].ms);
        free(workers[i].memory);
    }
    free(workers);
    return started == floor->threads ? longest : NAN;
}

/* ---- The two times -------------------------------------------------------------------------------------------------- */

bool dcnv4i_floor_create(int64_t threads, double load_bytes, double read_bytes, double write_bytes,
                         dcnv4i_floor *floor) {
    const double most = 512e6; /* more than any cache; beyond this the time is proportional to the size */
    const double scale = fmin(1, most / fmax(read_bytes, 1)), copied = fmin(read_bytes, write_bytes);
    *floor = (dcnv4i_floor){.threads = threads, .load_bytes = load_bytes, .scale = scale};
    floor->copied = (size_t)(copied * scale) / 64 * 64;
    floor->read = (size_t)((read_bytes - copied) * scale) / 64 * 64;
    floor->from = malloc(floor->copied + floor->read + 1);
    floor->to = malloc(floor->copied + 1);
    if (!floor->from || !floor->to) {
        dcnv4i_floor_free(floor);
        return false;
    }
    memset(floor->from, 1, floor->copied + floor->read);
    memset(floor->to, 2, floor->copied);
    return true;
}

void dcnv4i_floor_free(dcnv4i_floor *floor) {
    free(floor->from);
    free(floor->to);
    floor->from = floor->to = NULL;
}

double dcnv4i_floor_load_ms(const dcnv4i_floor *floor) {
    return time_threads(floor, do_loads);
}

double dcnv4i_floor_memory_ms(const dcnv4i_floor *floor) {
    return time_threads(floor, do_memory) / floor->scale;
}
