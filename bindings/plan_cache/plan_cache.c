/* The table of plans, and runs. */
#include "plan_problem.h"

#include <stdlib.h>
#include <string.h>

#ifdef _WIN32
#include <windows.h>
typedef SRWLOCK plan_lock;
static void lock_make(plan_lock *lock) {
    InitializeSRWLock(lock);
}
static void lock_end(plan_lock *lock) {
    (void)lock;
}
static void lock_take(plan_lock *lock) {
    AcquireSRWLockExclusive(lock);
}
static void lock_give(plan_lock *lock) {
    ReleaseSRWLockExclusive(lock);
}
#else
#include <pthread.h>
typedef pthread_mutex_t plan_lock;
static void lock_make(plan_lock *lock) {
    pthread_mutex_init(lock, NULL);
}
static void lock_end(plan_lock *lock) {
    pthread_mutex_destroy(lock);
}
static void lock_take(plan_lock *lock) {
    pthread_mutex_lock(lock);
}
static void lock_give(plan_lock *lock) {
    pthread_mutex_unlock(lock);
}
#endif

enum { DEVICE_NAME = 32, BUCKETS = 1024, MOST_TENSORS = PLAN_ATTENTION_TENSORS };

/* All that a plan depends on. No member has padding, so that bytes may be compared; the levels follow. */
typedef struct plan_key {
    char device[DEVICE_NAME];
    int32_t threads, pass;
    int64_t attention; /* which member of problem is used */
    union {
        dcnv4_problem conv;
        dcnv4_msda_problem attention;
    } problem;
    dcnv4_msda_level levels[DCNV4_MSDA_MAX_LEVELS];
} plan_key;

typedef struct plan_entry {
    struct plan_entry *next; /* in its bucket */
    plan_cache *cache;
    dcnv4_context *context; /* lives as long as the plan */
    dcnv4_plan *plan;
    int64_t users; /* calls that have it, and 1 while it is in the table */
    uint64_t last; /* when it was found last */
    uint64_t hash;
    void *spare;                  /* a workspace that no run uses, or NULL */
    size_t workspace;             /* bytes */
    size_t lengths[MOST_TENSORS]; /* bytes of each tensor */
    size_t key_bytes;
    plan_key key; /* key_bytes of it are there */
} plan_entry;

typedef struct plan_context {
    char device[DEVICE_NAME];
    int32_t threads;
    dcnv4_context *context;
} plan_context;

struct plan_cache {
    plan_lock table_lock;  /* of all below but the contexts, of entries' users and spares; held for a moment */
    plan_lock making_lock; /* of the contexts, and while a plan is made: a compiler may run */
    plan_entry *buckets[BUCKETS];
    int64_t count;
    uint64_t clock;
    plan_context contexts[PLAN_CACHE_CONTEXTS];
    int next_context; /* the one to replace when all are in use */
};

/* ---- The table -------------------------------------------------------------------------------------------------- */

plan_cache *plan_cache_create(void) {
    plan_cache *const cache = calloc(1, sizeof *cache);
    if (cache) {
        lock_make(&cache->table_lock);
        lock_make(&cache->making_lock);
    }
    return cache;
}

static void destroy_entry(plan_entry *entry) {
    dcnv4_plan_destroy(entry->plan);
    free(entry->spare);
    free(entry);
}

void plan_cache_destroy(plan_cache *cache) {
    if (!cache)
        return;
    for (int k = 0; k < BUCKETS; ++k)
        for (plan_entry *entry = cache->buckets[k], *next; entry; entry = next) {
            next = entry->next;
            destroy_entry(entry);
        }
    for (int k = 0; k < PLAN_CACHE_CONTEXTS; ++k)
        dcnv4_context_destroy(cache->contexts[k].context);
    lock_end(&cache->table_lock);
    lock_end(&cache->making_lock);
    free(cache);
}

/* FNV-1a over words: keys are hundreds of bytes, and this runs in every call. */
static uint64_t hash_of(const plan_key *key, size_t bytes) {
    uint64_t hash = 14695981039346656037u;
    for (size_t at = 0; at + sizeof hash <= bytes; at += sizeof hash) {
        uint64_t word;
        memcpy(&word, (const char *)key + at, sizeof word);
        hash = (hash ^ word) * 1099511628211u;
        hash ^= hash >> 29;
    }
    return hash;
}

/* The entry of this key, with one user more, or NULL. */
static plan_entry *look_up(plan_cache *cache, const plan_key *key, size_t bytes, uint64_t hash) {
    lock_take(&cache->table_lock);
    plan_entry *entry = cache->buckets[hash % BUCKETS];
    while (entry && (entry->hash != hash || entry->key_bytes != bytes || memcmp(&entry->key, key, bytes) != 0))
        entry = entry->next;
    if (entry) {
        ++entry->users;
        entry->last = ++cache->clock;
    }
    lock_give(&cache->table_lock);
    return entry;
}

/* Takes the entry that was used the longest ago out of the table; the caller has the table's lock. Returns it if
 * nobody uses it. */
static plan_entry *take_oldest(plan_cache *cache) {
    plan_entry **oldest = NULL;
    for (int k = 0; k < BUCKETS; ++k)
        for (plan_entry **at = &cache->buckets[k]; *at; at = &(*at)->next)
            if (!oldest || (*at)->last < (*oldest)->last)
                oldest = at;
    plan_entry *const entry = *oldest;
    *oldest = entry->next;
    --cache->count;
    return --entry->users == 0 ? entry : NULL;
}

static void insert(plan_cache *cache, plan_entry *entry) {
    plan_entry *unused = NULL;
    lock_take(&cache->table_lock);
    if (cache->count >= PLAN_CACHE_PLANS)
        unused = take_oldest(cache);
    entry->last = ++cache->clock;
    entry->next = cache->buckets[entry->hash % BUCKETS];
    cache->buckets[entry->hash % BUCKETS] = entry;
    ++cache->count;
    lock_give(&cache->table_lock);
    if (unused)
        destroy_entry(unused);
}

void plan_release(plan_call *call) {
    plan_entry *const entry = call->entry;
    call->entry = NULL;
    if (!entry)
        return;
    lock_take(&entry->cache->table_lock);
    const bool unused = --entry->users == 0;
    lock_give(&entry->cache->table_lock);
    if (unused)
        destroy_entry(entry);
}

/* The context of a device, which the cache owns; the caller has the making lock. */
static dcnv4_status find_context(plan_cache *cache, const plan_key *key, dcnv4_context **found, char *message) {
    plan_context *slot = NULL;
    for (int k = 0; k < PLAN_CACHE_CONTEXTS; ++k) {
        plan_context *const at = &cache->contexts[k];
        if (at->context && at->threads == key->threads && strcmp(at->device, key->device) == 0) {
            *found = at->context;
            return DCNV4_SUCCESS;
        }
        if (!at->context && !slot)
            slot = at;
    }
    dcnv4_context *context = NULL;
    dcnv4_status status = dcnv4_context_create(key->device, &context);
    if (status == DCNV4_SUCCESS)
        status = dcnv4_context_set_threads(context, key->threads);
    if (status != DCNV4_SUCCESS) {
        plan_refused(message, status);
        dcnv4_context_destroy(context);
        return status;
    }
    if (!slot) { /* its plans keep their context */
        slot = &cache->contexts[cache->next_context++ % PLAN_CACHE_CONTEXTS];
        dcnv4_context_destroy(slot->context);
    }
    memcpy(slot->device, key->device, DEVICE_NAME);
    slot->threads = key->threads;
    *found = slot->context = context;
    return DCNV4_SUCCESS;
}

/* Makes the plan of a key whose problem has been checked; the caller has the making lock. */
static dcnv4_status make(plan_cache *cache, const plan_key *key, size_t bytes, plan_entry **made, char *message) {
    dcnv4_context *context = NULL;
    dcnv4_status status = find_context(cache, key, &context, message);
    if (status != DCNV4_SUCCESS)
        return status;
    plan_entry *const entry = calloc(1, sizeof *entry - sizeof *key + bytes);
    if (!entry)
        return plan_refuse(message, DCNV4_OUT_OF_MEMORY, "dcnv4: no memory for a plan");
    memcpy(&entry->key, key, bytes);
    if (key->attention) {
        dcnv4_msda_problem problem = key->problem.attention;
        dcnv4_msda_sizes sizes = DCNV4_MSDA_SIZES_INIT;
        problem.levels = key->levels;
        status = dcnv4_msda_sizes_get(&problem, &sizes);
        memcpy(entry->lengths, &sizes.value, PLAN_ATTENTION_TENSORS * sizeof(size_t));
        if (status == DCNV4_SUCCESS)
            status = dcnv4_msda_plan_create(context, &problem, &entry->plan);
    } else {
        dcnv4_sizes sizes = DCNV4_SIZES_INIT;
        status = dcnv4_problem_sizes(&key->problem.conv, &sizes);
        memcpy(entry->lengths, &sizes.value, PLAN_CONV_TENSORS * sizeof(size_t));
        if (status == DCNV4_SUCCESS)
            status = dcnv4_plan_create(context, &key->problem.conv, &entry->plan);
    }
    if (status != DCNV4_SUCCESS) {
        plan_refused(message, status);
        free(entry);
        return status;
    }
    entry->workspace = dcnv4_plan_workspace_size(entry->plan, (dcnv4_pass)key->pass);
    entry->cache = cache, entry->context = context, entry->users = 2,
    entry->key_bytes = bytes; /* the table and the caller */
    *made = entry;
    return DCNV4_SUCCESS;
}

static dcnv4_status find(plan_cache *cache, plan_key *key, size_t bytes, plan_call *call) {
    if (strlen(call->device) >= DEVICE_NAME)
        return plan_refuse(call->message, DCNV4_INVALID_ARGUMENT, "dcnv4: there is no device named '%.64s'",
                           call->device);
    strcpy(key->device, call->device);
    key->threads = call->threads, key->pass = call->pass;
    const uint64_t hash = hash_of(key, bytes);
    plan_entry *entry = look_up(cache, key, bytes, hash);
    dcnv4_status status = DCNV4_SUCCESS;
    if (!entry) {
        lock_take(&cache->making_lock);
        entry = look_up(cache, key, bytes, hash); /* another thread may have made it */
        if (!entry) {
            status = make(cache, key, bytes, &entry, call->message);
            if (status == DCNV4_SUCCESS) {
                entry->hash = hash;
                insert(cache, entry);
            }
        }
        lock_give(&cache->making_lock);
    }
    if (status == DCNV4_SUCCESS) {
        call->entry = entry;
        call->workspace = entry->workspace;
    }
    return status;
}

dcnv4_status plan_conv_find(plan_cache *cache, const dcnv4_problem *layer, const plan_tensor *tensors,
                            plan_call *call) {
    plan_key key;
    const size_t bytes = offsetof(plan_key, problem) + sizeof key.problem.conv;
    memset(&key, 0, bytes);
    key.problem.conv = *layer;
    call->entry = NULL;
    const dcnv4_status status = plan_conv_problem(&key.problem.conv, call->pass, tensors, call->message);
    return status == DCNV4_SUCCESS ? find(cache, &key, bytes, call) : status;
}

dcnv4_status plan_attention_find(plan_cache *cache, const dcnv4_msda_problem *layer, const plan_tensor *tensors,
                                 plan_call *call) {
    plan_key key;
    memset(&key, 0, offsetof(plan_key, levels));
    key.attention = 1;
    dcnv4_msda_problem *const problem = &key.problem.attention;
    *problem = *layer;
    call->entry = NULL;
    const dcnv4_status status = plan_attention_problem(problem, call->pass, tensors, call->message);
    if (status != DCNV4_SUCCESS)
        return status;
    const size_t levels = (size_t)problem->level_count * sizeof(dcnv4_msda_level);
    memcpy(key.levels, problem->levels, levels);
    problem->levels = NULL; /* the key has them, wherever the caller's are */
    for (int64_t k = 0; problem->levels_in_buffers && k < problem->level_count; ++k)
        key.levels[k].height = key.levels[k].width = key.levels[k].start = 0; /* not read */
    return find(cache, &key, offsetof(plan_key, levels) + levels, call);
}

/* ---- Runs ------------------------------------------------------------------------------------------------------- */

/* Both structs are their size, a buffer for each tensor, and the workspace. */
typedef union plan_buffers {
    dcnv4_buffers conv;
    dcnv4_msda_buffers attention;
    struct {
        size_t size;
        dcnv4_buffer tensors[MOST_TENSORS + 1];
    } list;
} plan_buffers;

_Static_assert(sizeof(dcnv4_buffers) == sizeof(size_t) + (PLAN_CONV_TENSORS + 1) * sizeof(dcnv4_buffer) &&
                   sizeof(dcnv4_msda_buffers) == sizeof(size_t) + (PLAN_ATTENTION_TENSORS + 1) * sizeof(dcnv4_buffer),
               "plan_buffers has the layout of both");

/* Memory for one run on the host: the entry's, unless another run has it. */
static void *take_spare(plan_entry *entry) {
    lock_take(&entry->cache->table_lock);
    void *const memory = entry->spare;
    entry->spare = NULL;
    lock_give(&entry->cache->table_lock);
    return memory ? memory : malloc(entry->workspace);
}

static void give_spare(plan_entry *entry, void *memory) {
    lock_take(&entry->cache->table_lock);
    void *const surplus = entry->spare;
    entry->spare = memory;
    lock_give(&entry->cache->table_lock);
    free(surplus);
}

dcnv4_status plan_start(plan_call *call, const plan_tensor *tensors, void *workspace, void *stream) {
    plan_entry *const entry = call->entry;
    const bool attention = entry->key.attention != 0;
    const int count = attention ? (int)PLAN_ATTENTION_TENSORS : (int)PLAN_CONV_TENSORS;
    const dcnv4_pass pass = (dcnv4_pass)entry->key.pass;
    const bool own = !workspace && entry->workspace > 0 && plan_call_on_host(call);
    plan_buffers buffers = {.list = {.size = attention ? sizeof buffers.attention : sizeof buffers.conv}};
    for (int k = 0; k < count; ++k)
        if (plan_uses(attention, pass, k) && tensors[k].rank != 0)
            buffers.list.tensors[k] = (dcnv4_buffer){tensors[k].data, 0, entry->lengths[k]};
    if (own)
        workspace = take_spare(entry);
    buffers.list.tensors[count] = (dcnv4_buffer){workspace, 0, entry->workspace};
    dcnv4_status status;
    if (own && !workspace)
        status = plan_refuse(call->message, DCNV4_OUT_OF_MEMORY, "dcnv4: no memory for a workspace of %zu bytes",
                             entry->workspace);
    else {
        if (attention)
            status = pass == DCNV4_PASS_FORWARD ? dcnv4_msda_forward(entry->plan, &buffers.attention, stream)
                                                : dcnv4_msda_backward(entry->plan, &buffers.attention, stream);
        else
            status = pass == DCNV4_PASS_FORWARD ? dcnv4_forward(entry->plan, &buffers.conv, stream)
                                                : dcnv4_backward(entry->plan, &buffers.conv, stream);
        if (status != DCNV4_SUCCESS)
            plan_refused(call->message, status);
        if (own)
            give_spare(entry, workspace);
    }
    return status;
}

dcnv4_status plan_run(plan_call *call, const plan_tensor *tensors, void *workspace, void *stream) {
    const dcnv4_status status = plan_start(call, tensors, workspace, stream);
    plan_release(call);
    return status;
}

int plan_call_on_host(const plan_call *call) {
    const char *const device = call->entry->key.device;
    return strncmp(device, "cpu", 3) == 0 || strcmp(device, "reference") == 0;
}

dcnv4_context *plan_call_context(const plan_call *call) {
    return call->entry->context;
}

size_t plan_call_bytes(const plan_call *call, const plan_tensor *tensors, int index) {
    const plan_key *const key = &call->entry->key;
    if (tensors[index].rank == 0 || !plan_uses(key->attention != 0, (dcnv4_pass)key->pass, index))
        return 0;
    return call->entry->lengths[index];
}

int plan_call_writes(const plan_call *call, int index) {
    const plan_key *const key = &call->entry->key;
    const int output = key->attention ? (int)PLAN_ATTENTION_OUTPUT : (int)PLAN_CONV_OUTPUT;
    return key->pass == DCNV4_PASS_FORWARD ? index == output : index > output + 1;
}
