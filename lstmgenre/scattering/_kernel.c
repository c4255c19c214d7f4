/* The arithmetic of one level of the scattering transform, for LANES chunks at once.

   A signal is an array of vectors: vector p has sample p of every chunk, so that all arithmetic is vertical, and a
   weight is a scalar for it. plan.py says which signals there are, kernel.py hands them over (and has the same in
   numpy, for machines without a compiler; the tests hold the two against each other). */

#include <stdint.h>

#define LANES 8

/* One copy for each kind of processor; the loader takes the best that it finds. */
#if defined(__x86_64__) && defined(__linux__) && defined(__GNUC__) && !defined(__clang__)
#define PER_PROCESSOR __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define PER_PROCESSOR
#endif
#define INLINE static inline __attribute__((always_inline))

typedef float vec __attribute__((vector_size(4 * LANES)));

/* kernel.py's Node has the same fields in the same order. */
typedef struct {
    int64_t depth;                 /* 0: read from `source`; else `band` of the last signal of depth - 1 */
    int64_t length, margin, count; /* samples a chunk: in all, before the new ones, new */
    int64_t modulus, children;     /* yes or no: modulus or real part; is the spectrum needed */
    int64_t first, width;          /* the band: its first bin, how many */
    const float *weights;
    const float *source; /* where chunk 0 starts, its margin too */
    float *sinks[2];     /* where the new samples of chunk 0 go, or NULL */
    int64_t per_hop, columns;
    const float *lowpass; /* (per_hop, columns), or NULL */
    float *frames;        /* where column 0 of hop 0 of chunk 0 goes */
} node_t;

typedef struct {
    vec *re, *im;
} cvec;

/* Stockham's FFT: passes that read one array and write another, in an order that leaves the result sorted. A pass of
   radix r divides transforms of length n into transforms of length n / r; `step` of them lie interleaved.
   The twiddles exp(2 pi i k / n) of every length n start at index n of their table. */

INLINE void pass2(int64_t n, int64_t step, const vec *xr, const vec *xi, int64_t stride, cvec y, const float *twiddles)
{
    const int64_t m = n / 2;
    for (int64_t p = 0; p < m; p++) {
        const float wr = twiddles[2 * (n + p)], wi = twiddles[2 * (n + p) + 1];
        for (int64_t q = 0; q < step; q++) {
            const int64_t a = (p * step + q) * stride, b = a + m * step * stride, o = 2 * p * step + q;
            const vec dr = xr[a] - xr[b], di = xi[a] - xi[b];
            y.re[o] = xr[a] + xr[b];
            y.im[o] = xi[a] + xi[b];
            y.re[o + step] = dr * wr - di * wi;
            y.im[o + step] = dr * wi + di * wr;
        }
    }
}

INLINE void pass4(int64_t n, int64_t step, const vec *restrict xr, const vec *restrict xi, int64_t stride,
                  vec *restrict yr, vec *restrict yi, const float *twiddles)
{
    const int64_t m = n / 4, next = m * step * stride;
    for (int64_t p = 0; p < m; p++) {
        const float *w = twiddles + 2 * n;
        const float w1r = w[2 * p], w1i = w[2 * p + 1], w2r = w[4 * p], w2i = w[4 * p + 1], w3r = w[6 * p],
                    w3i = w[6 * p + 1];
        for (int64_t q = 0; q < step; q++) {
            const vec *ar = xr + (p * step + q) * stride, *ai = xi + (p * step + q) * stride;
            const int64_t o = 4 * p * step + q;
            const vec acr = ar[0] + ar[2 * next], aci = ai[0] + ai[2 * next];
            const vec a_cr = ar[0] - ar[2 * next], a_ci = ai[0] - ai[2 * next];
            const vec bdr = ar[next] + ar[3 * next], bdi = ai[next] + ai[3 * next];
            const vec ib_dr = ai[3 * next] - ai[next], ib_di = ar[next] - ar[3 * next];
            const vec t1r = a_cr + ib_dr, t1i = a_ci + ib_di, t2r = acr - bdr, t2i = aci - bdi, t3r = a_cr - ib_dr,
                      t3i = a_ci - ib_di;
            yr[o] = acr + bdr;
            yi[o] = aci + bdi;
            yr[o + step] = t1r * w1r - t1i * w1i;
            yi[o + step] = t1r * w1i + t1i * w1r;
            yr[o + 2 * step] = t2r * w2r - t2i * w2i;
            yi[o + 2 * step] = t2r * w2i + t2i * w2r;
            yr[o + 3 * step] = t3r * w3r - t3i * w3i;
            yi[o + 3 * step] = t3r * w3i + t3i * w3r;
        }
    }
}

/* The last pass of a length 5 * 2^k: what is left are transforms of five points, without twiddles. */
INLINE void pass5(int64_t step, const vec *xr, const vec *xi, int64_t stride, cvec y)
{
    const float c1 = 0.30901699437494745f, c2 = -0.80901699437494745f, s1 = 0.95105651629515353f,
                s2 = 0.58778525229247314f; /* cos and sin of 2 pi / 5 and 4 pi / 5 */
    for (int64_t q = 0; q < step; q++) {
        const vec *a = xr + q * stride, *b = xi + q * stride;
        const int64_t next = step * stride;
        const vec s14r = a[next] + a[4 * next], d14r = a[next] - a[4 * next];
        const vec s14i = b[next] + b[4 * next], d14i = b[next] - b[4 * next];
        const vec s23r = a[2 * next] + a[3 * next], d23r = a[2 * next] - a[3 * next];
        const vec s23i = b[2 * next] + b[3 * next], d23i = b[2 * next] - b[3 * next];
        const vec e1r = a[0] + c1 * s14r + c2 * s23r, e1i = b[0] + c1 * s14i + c2 * s23i;
        const vec e2r = a[0] + c2 * s14r + c1 * s23r, e2i = b[0] + c2 * s14i + c1 * s23i;
        const vec o1r = s1 * d14r + s2 * d23r, o1i = s1 * d14i + s2 * d23i;
        const vec o2r = s2 * d14r - s1 * d23r, o2i = s2 * d14i - s1 * d23i;
        y.re[q] = a[0] + s14r + s23r;
        y.im[q] = b[0] + s14i + s23i;
        y.re[q + step] = e1r - o1i;
        y.im[q + step] = e1i + o1r;
        y.re[q + 2 * step] = e2r - o2i;
        y.im[q + 2 * step] = e2i + o2r;
        y.re[q + 3 * step] = e2r + o2i;
        y.im[q + 3 * step] = e2i - o2r;
        y.re[q + 4 * step] = e1r + o1i;
        y.im[q + 4 * step] = e1i - o1r;
    }
}

INLINE void pass(int64_t n, int64_t step, const vec *xr, const vec *xi, int64_t stride, cvec y, const float *twiddles)
{
    if (n % 4 == 0)
        pass4(n, step, xr, xi, stride, y.re, y.im, twiddles);
    else if (n % 2 == 0)
        pass2(n, step, xr, xi, stride, y, twiddles);
    else
        pass5(step, xr, xi, stride, y);
}

/* The inverse DFT, not scaled, of x[0], x[stride], ...: the result is in `a` or `b`, whichever is returned. */
INLINE cvec inverse_dft(int64_t n, const vec *xr, const vec *xi, int64_t stride, cvec a, cvec b, const float *twiddles)
{
    int64_t step = 1;
    cvec from = {(vec *)xr, (vec *)xi}, to = a;
    while (n > 1) {
        const int64_t radix = n % 4 == 0 ? 4 : n % 2 == 0 ? 2 : 5;
        if (stride == 2)
            pass(n, step, from.re, from.im, 2, to, twiddles);
        else
            pass(n, step, from.re, from.im, 1, to, twiddles);
        stride = 1;
        from = to;
        to = to.re == a.re ? b : a;
        n /= radix;
        step *= radix;
    }
    return from;
}

/* Bins 0 to n / 2 of the DFT of a real signal, divided by n: even samples are taken as real parts and odd ones as
   imaginary parts of a signal half as long. A forward DFT is an inverse one with the two parts exchanged. */
INLINE void real_dft(int64_t n, const vec *x, cvec spectrum, cvec a, cvec b, const float *twiddles)
{
    const int64_t half = n / 2;
    const cvec z = inverse_dft(half, x + 1, x, 2, a, b, twiddles);
    const float scale = 0.5f / n, *w = twiddles + 2 * n;
    for (int64_t k = 0; k <= half; k++) {
        const int64_t i = k == half ? 0 : k, j = k == 0 ? 0 : half - k;
        const float wr = scale * w[2 * k], wi = -scale * w[2 * k + 1];
        const vec er = z.im[i] + z.im[j], ei = z.re[i] - z.re[j];
        const vec or_ = z.re[i] + z.re[j], oi = z.im[j] - z.im[i];
        spectrum.re[k] = scale * er + or_ * wr - oi * wi;
        spectrum.im[k] = scale * ei + or_ * wi + oi * wr;
    }
}

/* A band of the spectrum of a real signal of n samples, times its weights, folded to `length` bins. */
INLINE void filter(const node_t *node, int64_t n, cvec spectrum, cvec out)
{
    const int64_t length = node->length, half = n / 2;
    int64_t bin = node->first % n, to = node->first % length;
    bin += bin < 0 ? n : 0;
    to += to < 0 ? length : 0;
    const vec zero = {0};
    for (int64_t i = node->width, j = (to + i) % length; i < length; i++, j = j + 1 == length ? 0 : j + 1)
        out.re[j] = out.im[j] = zero;
    for (int64_t done = 0; done < node->width;) {
        const int mirrored = bin > half;
        const int64_t room = length - to, piece = (mirrored ? n : half + 1) - bin;
        int64_t run = node->width - done;
        run = run < room ? run : room;
        run = run < piece ? run : piece;
        if (done < length && run > length - done)
            run = length - done;
        const float *w = node->weights + done;
        const vec *re = spectrum.re + (mirrored ? n - bin : bin), *im = spectrum.im + (mirrored ? n - bin : bin);
        vec *or_ = out.re + to, *oi = out.im + to;
        if (done < length && !mirrored)
            for (int64_t i = 0; i < run; i++)
                or_[i] = w[i] * re[i], oi[i] = w[i] * im[i];
        else if (done < length)
            for (int64_t i = 0; i < run; i++)
                or_[i] = w[i] * re[-i], oi[i] = -w[i] * im[-i];
        else if (!mirrored)
            for (int64_t i = 0; i < run; i++)
                or_[i] += w[i] * re[i], oi[i] += w[i] * im[i];
        else
            for (int64_t i = 0; i < run; i++)
                or_[i] += w[i] * re[-i], oi[i] -= w[i] * im[-i];
        done += run;
        bin = bin + run == n ? 0 : bin + run;
        to = to + run == length ? 0 : to + run;
    }
}

INLINE void modulus(int64_t length, cvec z, vec *out)
{
    for (int64_t p = 0; p < length; p++) {
        const vec square = z.re[p] * z.re[p] + z.im[p] * z.im[p];
        for (int lane = 0; lane < LANES; lane++)
            out[p][lane] = __builtin_sqrtf(square[lane]);
    }
}

/* `columns` of the frames that a hop adds to, for its first sample on. */
INLINE void average_columns(const node_t *node, const vec *hop, float *frames, int64_t distance, int64_t lanes,
                            int64_t column, const int columns)
{
    vec sums[8] = {{0}};
    for (int64_t p = 0; p < node->per_hop; p++) {
        const float *w = node->lowpass + p * node->columns + column;
        for (int c = 0; c < columns; c++)
            sums[c] += w[c] * hop[p];
    }
    for (int64_t lane = 0; lane < lanes; lane++)
        for (int c = 0; c < columns; c++)
            frames[lane * distance + column + c] += sums[c][lane];
}

INLINE void average(const node_t *node, const vec *signal, int64_t chunk, int64_t lanes)
{
    const int64_t hops = node->count / node->per_hop;
    for (int64_t h = 0; h < hops; h++) {
        const vec *hop = signal + node->margin + h * node->per_hop;
        float *frames = node->frames + chunk * hops + h;
        int64_t column = 0;
        for (; column + 8 <= node->columns; column += 8)
            average_columns(node, hop, frames, hops, lanes, column, 8);
        for (; column + 6 <= node->columns; column += 6)
            average_columns(node, hop, frames, hops, lanes, column, 6);
        for (; column + 2 <= node->columns; column += 2)
            average_columns(node, hop, frames, hops, lanes, column, 2);
    }
}

/* Chunks `chunk` to `chunk + lanes - 1` through all signals of a level. `work` has room for 9 * longest + 4 vectors,
   where `longest` is the greatest length of a signal. */
PER_PROCESSOR
void scattering_level(const node_t *nodes, int64_t count, int64_t chunk, int64_t lanes, int64_t longest,
                      const float *twiddles, vec *work)
{
    vec *signals[3];
    cvec spectra[2], a, b;
    for (int depth = 0; depth < 3; depth++, work += longest)
        signals[depth] = work;
    for (int depth = 0; depth < 2; depth++, work += longest + 2)
        spectra[depth].re = work, spectra[depth].im = work + longest / 2 + 1;
    a.re = work, a.im = work + longest, b.re = work + 2 * longest, b.im = work + 3 * longest;

    int64_t lengths[3] = {0};
    for (const node_t *node = nodes; node < nodes + count; node++) {
        vec *signal = signals[node->depth];
        lengths[node->depth] = node->length;
        if (node->depth == 0) {
            const float *x[LANES];
            for (int64_t lane = 0; lane < LANES; lane++)
                x[lane] = node->source + (chunk + (lane < lanes ? lane : lanes - 1)) * node->count;
            for (int64_t p = 0; p < node->length; p++)
                for (int lane = 0; lane < LANES; lane++)
                    signal[p][lane] = x[lane][p];
        } else {
            filter(node, lengths[node->depth - 1], spectra[node->depth - 1], a);
            const cvec z = inverse_dft(node->length, a.re, a.im, 1, b, a, twiddles);
            if (node->modulus)
                modulus(node->length, z, signal);
            else
                for (int64_t p = 0; p < node->length; p++)
                    signal[p] = z.re[p];
        }
        if (node->lowpass)
            average(node, signal, chunk, lanes);
        for (int i = 0; i < 2; i++)
            if (node->sinks[i])
                for (int64_t p = 0; p < node->count; p++)
                    for (int64_t lane = 0; lane < lanes; lane++)
                        node->sinks[i][(chunk + lane) * node->count + p] = signal[node->margin + p][lane];
        if (node->children)
            real_dft(node->length, signal, spectra[node->depth], a, b, twiddles);
    }
}
