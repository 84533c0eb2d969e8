/* RegisterCustomOps, which ONNX Runtime calls when a program registers this library for a session. */
#include "dcnv4_onnxruntime.h"
#include "operators.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OLDEST = 16, NEWEST = 17, MOST_THREADS = 1024, MOST_OPERATORS = 96 };

static const provider providers[] = {
    {NULL, "cpu"},
    {"CUDAExecutionProvider", "cuda"},
    {"ROCMExecutionProvider", "hip"},
    {"MIGraphXExecutionProvider", "hip"},
};

static const operator_kind *const kinds[] = {&deform_conv_kind, &attention_kind};

/* The operators as sessions of one runtime with one number of threads have them. The runtime keeps pointers to them and
 * never says that it is done with them: so they stay until the process ends, and serve all such sessions. */
typedef struct registration {
    struct registration *next;
    const OrtApi *api;
    int32_t threads;
    OrtCustomOpDomain *domain;
    int count;
    registered operators[MOST_OPERATORS];
} registration;

static _Atomic(registration *) registrations;
static _Atomic(plan_cache *) shared_cache; /* contexts have threads of their own: all sessions share them */

static plan_cache *the_cache(void) {
    plan_cache *found = atomic_load(&shared_cache);
    if (found)
        return found;
    plan_cache *const made = plan_cache_create();
    if (!made || atomic_compare_exchange_strong(&shared_cache, &found, made))
        return made;
    plan_cache_destroy(made); /* another thread was faster */
    return found;
}

static const registration *find(const OrtApi *api, int32_t threads) {
    for (const registration *at = atomic_load(&registrations); at; at = at->next)
        if (at->api == api && at->threads == threads)
            return at;
    return NULL;
}

/* Adds an operator for each provider and combination of types. GPUs have no float64: there the CPU's kernel runs. */
static void list_operators(registration *made, uint32_t version, plan_cache *cache) {
    for (size_t p = 0; p < sizeof providers / sizeof *providers; ++p)
        for (size_t k = 0; k < sizeof kinds / sizeof *kinds; ++k)
            for (int s = 0; s < kinds[k]->signature_count; ++s) {
                const unsigned char *const types = kinds[k]->signatures[s];
                if (providers[p].name && types[0] == ONNX_TENSOR_ELEMENT_DATA_TYPE_DOUBLE)
                    continue;
                registered *const op = &made->operators[made->count++];
                fill_callbacks(&op->base, version);
                op->kind = kinds[k], op->provider = &providers[p], op->types = types;
                op->api = made->api, op->cache = cache, op->threads = made->threads;
            }
}

static OrtStatus *make(const OrtApi *api, uint32_t version, int32_t threads, const registration **found) {
    plan_cache *const cache = the_cache();
    registration *const made = cache ? calloc(1, sizeof *made) : NULL;
    if (!made)
        return refuse(api, ORT_FAIL, "dcnv4: no memory for the operators");
    made->api = api, made->threads = threads;
    list_operators(made, version, cache);
    OrtStatus *status = ORT(api, CreateCustomOpDomain)("dcnv4", &made->domain);
    for (int k = 0; !status && k < made->count; ++k)
        status = ORT(api, CustomOpDomain_Add)(made->domain, &made->operators[k].base);
    if (status) {
        if (made->domain)
            ORT(api, ReleaseCustomOpDomain)(made->domain);
        free(made);
        return status;
    }
    made->next = atomic_load(&registrations);
    while (!atomic_compare_exchange_weak(&registrations, &made->next, made)) {
    }
    *found = made;
    return NULL;
}

/* How many threads a session asks for: its entry dcnv4.threads, or else $DCNV4_THREADS; 0, all processors, without. */
static OrtStatus *read_threads(const OrtApi *api, const OrtSessionOptions *options, int32_t *threads) {
    static const char *const name = "dcnv4.threads";
    char text[32] = "";
    size_t length = sizeof text;
    int given = 0;
    const char *where = "the session's entry dcnv4.threads";
    OrtStatus *status = ORT(api, HasSessionConfigEntry)(options, name, &given);
    if (!status && given)
        status = ORT(api, GetSessionConfigEntry)(options, name, text, &length);
    if (status)
        return status;
    if (!given) {
        const char *const environment = getenv("DCNV4_THREADS");
        where = "the environment variable DCNV4_THREADS";
        snprintf(text, sizeof text, "%s", environment ? environment : "");
    }
    *threads = 0;
    if (text[0] == '\0')
        return NULL;
    char *end = text;
    const long number = strtol(text, &end, 10);
    if (*end != '\0' || text[0] < '0' || text[0] > '9' || number < 0 || number > MOST_THREADS)
        return refuse(api, ORT_INVALID_ARGUMENT, "dcnv4: %s is '%s', possible are 0 (all processors) to %d", where,
                      text, (int)MOST_THREADS);
    *threads = (int32_t)number;
    return NULL;
}

/* The interface of runtime "1.27.0" is number 27. */
static unsigned version_of(const OrtApiBase *base) {
    unsigned major = 0, minor = 0;
    const char *const text = base->GetVersionString();
    if (!text || sscanf(text, "%u.%u", &major, &minor) != 2)
        return 0;
    return major == 1 ? minor : major > 1 ? NEWEST : 0;
}

OrtStatus *RegisterCustomOps(OrtSessionOptions *options, const OrtApiBase *base) {
    const unsigned runtime = version_of(base);
    const unsigned version = runtime < NEWEST ? runtime : (unsigned)NEWEST;
    const OrtApi *const api = version > 0 ? base->GetApi(version) : NULL;
    if (!api)
        return NULL; /* nothing to make an error with: the session will not know the operators */
    if (version < OLDEST)
        return refuse(api, ORT_FAIL, "dcnv4: this is ONNX Runtime %s, 1.%d or newer is needed",
                      base->GetVersionString(), (int)OLDEST);
    int32_t threads = 0;
    OrtStatus *status = read_threads(api, options, &threads);
    if (status)
        return status;
    const registration *found = find(api, threads);
    if (!found)
        status = make(api, version, threads, &found);
    return status ? status : ORT(api, AddCustomOpDomain)(options, found->domain);
}
