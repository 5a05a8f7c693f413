/* Loops that take the time of language models on this machine: products with constant weights, and rounding to fp16.

   y [rows, columns] = w [rows, inner] times x [inner, columns]: fp16 weights, fp32 factors and sums.

   The weights lie in panels of 16 rows, within one by column: w[panel][inner][16]. A step takes 16 rows' weights of one
   column and multiplies them with up to 16 values of x, each kept in a register of sums. */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>

enum { ROWS = 16, COLUMNS = 16, MOST_THREADS = 64, SPINS = 20000, YIELDS = 2000, AHEAD = 256, LEAST_WORK = 1 << 18 };

typedef float sums __attribute__((vector_size(4 * ROWS)));
typedef _Float16 halves __attribute__((vector_size(2 * ROWS)));

typedef struct product product;
struct product {
    const void *w;
    const float *x;
    float *y;
    long rows, inner, columns;
    int round;
    void (*work)(const product *, long from, long to); /* some of its panels, or of its rows by sixteens */
};

static inline sums weights(const _Float16 *w) {
    halves half;
    __builtin_memcpy(&half, w, sizeof half);
    return __builtin_convertvector(half, sums);
}

/* One panel and `n` columns from `first` on; n is a constant wherever this is called, so that the sums are registers. */
static inline __attribute__((always_inline)) void block(const product *p, long panel, long first, const int n) {
    const _Float16 *w = (const _Float16 *)p->w + panel * p->inner * ROWS;
    const float *x = p->x + first;
    sums sum[COLUMNS];
    for (int c = 0; c < n; c++) sum[c] = (sums){0};
    for (long i = 0; i < p->inner; i++, w += ROWS, x += p->columns) {
        const sums weight = weights(w);
        for (int c = 0; c < n; c++) sum[c] += weight * x[c];
    }
    const long begin = panel * ROWS, count = p->rows - begin < ROWS ? p->rows - begin : ROWS;
    for (int c = 0; c < n; c++) {
        if (p->round) sum[c] = __builtin_convertvector(__builtin_convertvector(sum[c], halves), sums);
        float *y = p->y + begin * p->columns + first + c;
        for (long r = 0; r < count; r++) y[r * p->columns] = sum[c][r];
    }
}

/* One column: four sums, since one would wait for itself. */
static void vector(const product *p, long panel) {
    const _Float16 *w = (const _Float16 *)p->w + panel * p->inner * ROWS;
    sums sum[4] = {{0}, {0}, {0}, {0}};
    long i = 0;
    for (; i + 4 <= p->inner; i += 4)
        for (int k = 0; k < 4; k++) sum[k] += weights(w + (i + k) * ROWS) * p->x[i + k];
    for (; i < p->inner; i++) sum[0] += weights(w + i * ROWS) * p->x[i];
    sums all = (sum[0] + sum[1]) + (sum[2] + sum[3]);
    if (p->round) all = __builtin_convertvector(__builtin_convertvector(all, halves), sums);
    for (long r = 0; r < ROWS && panel * ROWS + r < p->rows; r++) p->y[panel * ROWS + r] = all[r];
}

static void panels(const product *p, long from, long to) {
    for (long panel = from; panel < to; panel++) {
        if (p->columns == 1) {
            vector(p, panel);
            continue;
        }
        long c = 0;
        for (; c + 16 <= p->columns; c += 16) block(p, panel, c, 16);
        for (; c + 4 <= p->columns; c += 4) block(p, panel, c, 4);
        for (; c < p->columns; c++) block(p, panel, c, 1);
    }
}

static inline float total(sums s) {
    float all = 0;
    for (int i = 0; i < ROWS; i++) all += s[i];
    return all;
}

/* float rows times one column: four rows at a time, each of them a stream from memory. */
static void streams(const product *p, long from, long to) {
    const long inner = p->inner, last = to * ROWS < p->rows ? to * ROWS : p->rows;
    long r = from * ROWS;
    for (; r + 4 <= last; r += 4) {
        const float *w = (const float *)p->w + r * inner;
        sums sum[4] = {{0}, {0}, {0}, {0}};
        long i = 0;
        for (; i + ROWS <= inner; i += ROWS) {
            sums x;
            __builtin_memcpy(&x, p->x + i, sizeof x);
            for (int k = 0; k < 4; k++) {
                sums some;
                __builtin_memcpy(&some, w + k * inner + i, sizeof some);
                __builtin_prefetch(w + k * inner + i + AHEAD);
                sum[k] += some * x;
            }
        }
        for (int k = 0; k < 4; k++) {
            float all = total(sum[k]);
            for (long j = i; j < inner; j++) all += w[k * inner + j] * p->x[j];
            p->y[r + k] = all;
        }
    }
    for (; r < last; r++) {
        const float *w = (const float *)p->w + r * inner;
        float all = 0;
        for (long i = 0; i < inner; i++) all += w[i] * p->x[i];
        p->y[r] = all;
    }
}

/* Blocks of 32 numbers times one column: see models/blocks.py. Kinds are 80, 40 and 41. */
static inline sums bytes_to_sums(const void *place, int high, int shift) {
    typedef uint8_t bytes __attribute__((vector_size(ROWS)));
    bytes b;
    __builtin_memcpy(&b, place, sizeof b);
    if (shift) b = b >> 4;
    if (high) b = b & 15;
    return __builtin_convertvector(b, sums);
}

static inline float half_at(const uint8_t *place) {
    _Float16 h;
    __builtin_memcpy(&h, place, sizeof h);
    return (float)h;
}

static inline __attribute__((always_inline)) void packed(const product *p, long from, long to, const int kind) {
    typedef int8_t signeds __attribute__((vector_size(ROWS)));
    const int size = kind == 80 ? 34 : kind == 40 ? 18 : 20;
    const long blocks = p->inner / 32, last = to * ROWS < p->rows ? to * ROWS : p->rows;
    float of_block[blocks]; /* sums of x, times which each block's offset counts */
    for (long b = 0; b < blocks; b++) {
        float all = 0;
        for (int i = 0; i < 32; i++) all += p->x[b * 32 + i];
        of_block[b] = all;
    }
    for (long r = from * ROWS; r < last; r++) {
        const uint8_t *w = (const uint8_t *)p->w + r * blocks * size;
        sums sum = {0};
        float offset = 0;
        for (long b = 0; b < blocks; b++, w += size) {
            sums first, second, low, high;
            __builtin_memcpy(&first, p->x + b * 32, sizeof first);
            __builtin_memcpy(&second, p->x + b * 32 + ROWS, sizeof second);
            const float scale = half_at(w);
            if (kind == 80) {
                signeds left, right;
                __builtin_memcpy(&left, w + 2, sizeof left);
                __builtin_memcpy(&right, w + 2 + ROWS, sizeof right);
                low = __builtin_convertvector(left, sums), high = __builtin_convertvector(right, sums);
            } else {
                low = bytes_to_sums(w + size - ROWS, 1, 0), high = bytes_to_sums(w + size - ROWS, 0, 1);
                offset += (kind == 40 ? -8 * scale : half_at(w + 2)) * of_block[b];
            }
            sum += (low * first + high * second) * scale;
        }
        p->y[r] = total(sum) + offset;
    }
}

static void packed_80(const product *p, long from, long to) { packed(p, from, to, 80); }
static void packed_40(const product *p, long from, long to) { packed(p, from, to, 40); }
static void packed_41(const product *p, long from, long to) { packed(p, from, to, 41); }

/* w [rows, inner] into panels; rows beyond the last are zeros. */
void nw_pack(const uint16_t *w, uint16_t *panels, long rows, long inner) {
    for (long first = 0; first < rows; first += ROWS, panels += ROWS * inner)
        for (long r = 0; r < ROWS; r++) {
            const uint16_t *row = w + (first + r) * inner;
            const int inside = first + r < rows;
            for (long i = 0; i < inner; i++) panels[i * ROWS + r] = inside ? row[i] : 0;
        }
}

/* Every float to the nearest fp16 value, ties to even, in place. */
void nw_round(float *x, long count) {
    long i = 0;
    for (; i + ROWS <= count; i += ROWS) {
        sums some;
        __builtin_memcpy(&some, x + i, sizeof some);
        some = __builtin_convertvector(__builtin_convertvector(some, halves), sums);
        __builtin_memcpy(x + i, &some, sizeof some);
    }
    for (; i < count; i++) x[i] = (float)(_Float16)x[i];
}

/* Helpers that stay: they look for work for a while, then sleep. One caller at a time has them. */
static struct {
    pthread_mutex_t taken, sleep;
    pthread_cond_t wake;
    atomic_long round, left;
    long threads, sleeping, born[MOST_THREADS]; /* the round in which each helper began */
    product job;
} pool = {.taken = PTHREAD_MUTEX_INITIALIZER, .sleep = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER};

static void share(long part, long parts) {
    const long all = (pool.job.rows + ROWS - 1) / ROWS;
    pool.job.work(&pool.job, all * part / parts, all * (part + 1) / parts);
}

static void *helper(void *number) {
    const long part = (long)(intptr_t)number;
    for (long seen = pool.born[part];;) {
        int spins = 0;
        while (atomic_load_explicit(&pool.round, memory_order_acquire) == seen && spins < SPINS) {
            spins++;
#if defined(__x86_64__)
            __builtin_ia32_pause();
#endif
        }
        if (spins == SPINS) {
            pthread_mutex_lock(&pool.sleep);
            pool.sleeping++;
            while (atomic_load(&pool.round) == seen) pthread_cond_wait(&pool.wake, &pool.sleep);
            pool.sleeping--;
            pthread_mutex_unlock(&pool.sleep);
        }
        seen = atomic_load_explicit(&pool.round, memory_order_acquire);
        share(part, pool.threads);
        atomic_fetch_sub_explicit(&pool.left, 1, memory_order_release);
    }
    return 0;
}

static void grow(long threads) {
    for (; pool.threads < threads; pool.threads++) {
        pthread_t thread;
        pool.born[pool.threads] = atomic_load(&pool.round);
        if (pool.threads && pthread_create(&thread, 0, helper, (void *)(intptr_t)pool.threads)) return;
    }
}

/* Helpers are made when more `threads` are asked for than there are. */
static void done(product job, long threads) {
    const long all = (job.rows + ROWS - 1) / ROWS;
    if (threads < 2 || job.rows * job.inner * job.columns < LEAST_WORK || pthread_mutex_trylock(&pool.taken)) {
        job.work(&job, 0, all);
        return;
    }
    if (pool.threads < threads) grow(threads < MOST_THREADS ? threads : MOST_THREADS);
    pool.job = job;
    atomic_store(&pool.left, pool.threads - 1);
    pthread_mutex_lock(&pool.sleep);
    atomic_fetch_add(&pool.round, 1);
    if (pool.sleeping) pthread_cond_broadcast(&pool.wake);
    pthread_mutex_unlock(&pool.sleep);
    share(0, pool.threads);
    for (long spins = 0; atomic_load_explicit(&pool.left, memory_order_acquire); spins++)
        if (spins > YIELDS) sched_yield(); /* a helper may be waiting for this very core */
    pthread_mutex_unlock(&pool.taken);
}

void nw_product(const void *w, const float *x, float *y, long rows, long inner, long columns, int round, long threads) {
    done((product){w, x, y, rows, inner, columns, round, panels}, threads);
}

/* y [rows] = w [rows, inner] x [inner], all float. */
void nw_vector(const float *w, const float *x, float *y, long rows, long inner, long threads) {
    done((product){w, x, y, rows, inner, 1, 0, streams}, threads);
}

/* y [rows] = w [rows, inner] x [inner], w in blocks. */
void nw_packed(const void *w, const float *x, float *y, long rows, long inner, int kind, long threads) {
    done((product){w, x, y, rows, inner, 1, 0, kind == 80 ? packed_80 : kind == 40 ? packed_40 : packed_41}, threads);
}
