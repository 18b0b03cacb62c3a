"""Frames of 128 ms: compiled loops, and the five features of librosa made with them.

`SpectralFrames` measures a signal. All values equal those of librosa 0.11 with its default frames
(n_fft 2048, hop 512, Hann, centred, zero padded), without librosa. numba compiles the loops when
they are first called, and keeps them on disk beside this file, in the user's cache folder where
this one is read-only, or else in one for temporary files (NUMBA_CACHE_DIR moves them).
"""

import tempfile
from collections import defaultdict
from functools import cached_property, lru_cache, wraps

import numpy as np

from checks import private_folder

N_FFT = 2048
HOP_LENGTH = 512
N_MELS = 128
N_MFCC = 40
NEXT_PLACE = {"numba's": "temporary", "temporary": None}
"""Where compiled code is kept if the place before doesn't do; None: every process compiles."""


def _compiled(**options):
    """Decorate a function that numba compiles at its first call, not at import."""

    def decorate(function):
        place = "numba's"

        @lru_cache
        def kernel(place):
            import numba

            compiled = numba.njit(cache=bool(place), nogil=True, error_model="numpy", **options)
            before = numba.config.CACHE_DIR
            try:
                if place == "temporary":
                    numba.config.CACHE_DIR = str(private_folder())
                return compiled(function)
            finally:
                numba.config.CACHE_DIR = before

        @wraps(function)
        def call(*args):
            nonlocal place
            while True:
                tried = place
                try:
                    return kernel(tried)(*args)
                except (OSError, RuntimeError):  # it can't be kept there
                    if tried is None:
                        raise
                    place = NEXT_PLACE[tried]

        return call

    return decorate


_WINDOW = 0.5 + 0.5 * np.cos(np.linspace(-np.pi, np.pi, N_FFT + 1)[:-1])
_TURN = 2 * np.pi * np.arange(1024) / 1024
_GRID = 2 * np.pi * np.outer(np.arange(32), np.arange(32)).ravel() / 1024
_ANGLES = np.stack([_TURN, _GRID, _TURN / 2])
_TWIDDLES = np.stack([np.cos(_ANGLES), -np.sin(_ANGLES)], axis=1).ravel()
"""The rotations of `_stft_kernel`: cos and -sin of three tables of 1024 angles."""


def _stft(y):
    """Compute the centred STFT, (n_frames, 1 + N_FFT // 2) complex64, in double as librosa does."""
    D = np.empty((1 + len(y) // HOP_LENGTH, N_FFT // 2 + 1), np.complex64)
    _stft_kernel(_padded(y), _WINDOW / 2, _TWIDDLES, D.view(np.float32))
    return D


def _magnitude(y, block=32):
    """Compute the magnitude of `_stft` alone, in blocks that stay in the processor's cache."""
    padded, half_window = _padded(y), _WINDOW / 2
    S = np.empty((1 + len(y) // HOP_LENGTH, N_FFT // 2 + 1), np.float32)
    D = np.empty((block, S.shape[1]), np.complex64)
    for first in range(0, len(S), block):
        rows = S[first : first + block]
        part = D[: len(rows)]
        _stft_kernel(padded[first * HOP_LENGTH :], half_window, _TWIDDLES, part.view(np.float32))
        np.abs(part, out=rows)
    return S


def _padded(y):
    """As np.pad(y, N_FFT // 2), in a third of its time."""
    padded = np.zeros(len(y) + N_FFT, y.dtype)
    padded[N_FFT // 2 : -N_FFT // 2] = y
    return padded


@_compiled(fastmath=True)
def _stft_kernel(y, half_window, twiddles, D):
    """Transform each windowed frame by a complex FFT of half its size, in loops made for SIMD.

    A real frame of 2048 samples is the complex one of its even and odd samples (Numerical Recipes,
    ch. 12). Its 1024 values are a square of 32 x 32: FFTs of 32 = 2 x 4 x 4 down the columns, all
    columns at once; a rotation and a transposition; the same again (Bailey 1990, "FFTs in external
    or hierarchical memory", and Stockham's self-sorting passes). A buffer holds 1024 real parts,
    then 1024 imaginary ones. Everything is halved by the window, for the sums at the end.
    """
    n, half = 1024, 512
    x, z = np.empty(2 * n), np.empty(2 * n)

    def pass_of_four(x, z, stride):
        for p in range(n // 4 // stride):
            k = p * stride
            c1, c2, c3 = twiddles[k], twiddles[2 * k], twiddles[3 * k]
            s1, s2, s3 = twiddles[n + k], twiddles[n + 2 * k], twiddles[n + 3 * k]
            for q in range(stride):
                i, o = 4 * k + q, k + q
                a, ai = x[i], x[n + i]
                u, v = x[i + stride], x[n + i + stride]
                b, bi = u * c1 - v * s1, u * s1 + v * c1
                u, v = x[i + 2 * stride], x[n + i + 2 * stride]
                c, ci = u * c2 - v * s2, u * s2 + v * c2
                u, v = x[i + 3 * stride], x[n + i + 3 * stride]
                d, di = u * c3 - v * s3, u * s3 + v * c3
                z[o], z[n + o] = (a + c) + (b + d), (ai + ci) + (bi + di)
                z[o + 256], z[n + o + 256] = (a - c) + (bi - di), (ai - ci) - (b - d)
                z[o + 512], z[n + o + 512] = (a + c) - (b + d), (ai + ci) - (bi + di)
                z[o + 768], z[n + o + 768] = (a - c) - (bi - di), (ai - ci) + (b - d)

    for t in range(len(D)):
        frame = y[t * HOP_LENGTH : t * HOP_LENGTH + N_FFT]
        for i in range(half):
            even, odd, far, beyond = 2 * i, 2 * i + 1, n + 2 * i, n + 2 * i + 1
            a, ai = frame[even] * half_window[even], frame[odd] * half_window[odd]
            b, bi = frame[far] * half_window[far], frame[beyond] * half_window[beyond]
            x[i], x[n + i], x[half + i], x[n + half + i] = a + b, ai + bi, a - b, ai - bi
        pass_of_four(x, z, 128)
        pass_of_four(z, x, 32)
        for row in range(16):
            for column in range(32):
                i, o = 32 * column + row, 32 * row + column
                u, v = x[i], x[n + i]
                c, s = twiddles[2 * n + o], twiddles[3 * n + o]
                a, ai = u * c - v * s, u * s + v * c
                u, v = x[i + 16], x[n + i + 16]
                c, s = twiddles[2 * n + half + o], twiddles[3 * n + half + o]
                b, bi = u * c - v * s, u * s + v * c
                z[o], z[n + o], z[half + o], z[n + half + o] = a + b, ai + bi, a - b, ai - bi
        pass_of_four(z, x, 128)
        pass_of_four(x, z, 32)
        D[t, 0], D[t, 2 * n] = 2 * (z[0] + z[n]), 2 * (z[0] - z[n])
        D[t, 1], D[t, 2 * n + 1] = 0, 0
        for k in range(1, n):
            a, ai, b, bi = z[k], z[n + k], z[n - k], -z[2 * n - k]
            u, v = ai - bi, b - a
            c, s = twiddles[4 * n + k], twiddles[5 * n + k]
            D[t, 2 * k], D[t, 2 * k + 1] = a + b + (u * c - v * s), ai + bi + (u * s + v * c)


@lru_cache
def mel_filters(sr):
    """Build the Slaney mel filter bank of `librosa.filters.mel`: ndarray (128, 1025) float32.

    Parameters
    ----------
    sr : int
        Hz.
    """
    f_sp, log_step = 200 / 3, np.log(6.4) / 27  # linear to 1 kHz (mel 15), logarithmic above
    top = sr / 2
    top_mel = top / f_sp if top < 1000 else 15 + np.log(top / 1000) / log_step
    mels = np.linspace(0, top_mel, N_MELS + 2)
    edges = np.where(mels < 15, mels * f_sp, 1000 * np.exp(log_step * (mels - 15)))
    ramps = edges[:, None] - np.fft.rfftfreq(N_FFT, 1 / sr)
    rise = -ramps[:-2] / np.diff(edges)[:-1, None]
    fall = ramps[2:] / np.diff(edges)[1:, None]
    area = 2 / (edges[2:] - edges[:-2])
    filters = (np.maximum(0, np.minimum(rise, fall)) * area[:, None]).astype(np.float32)
    filters.setflags(write=False)  # the cache hands them out again
    return filters


@lru_cache
def _mel_groups(sr):
    """Cut the mel filter bank in groups of 16 filters and the bins that these need."""
    groups = []
    for filters in np.split(mel_filters(sr), N_MELS // 16):
        used = np.flatnonzero(filters.any(axis=0))
        bins = slice(used[0], used[-1] + 1)
        groups.append((bins, np.ascontiguousarray(filters[:, bins].T)))
    return groups


def _decibels(power, top):
    """Convert power to decibels, clipped 80 dB under `top`, as `librosa.power_to_db`."""
    floor = max(1e-10, 1e-8 * top)
    return 10 * np.log10(np.maximum(power, power.dtype.type(floor)))


_ANGLE = np.pi * (np.arange(N_MELS)[:, None] + 0.5) * np.arange(N_MFCC) / N_MELS
_SCALE = np.where(np.arange(N_MFCC), np.sqrt(2 / N_MELS), np.sqrt(1 / N_MELS))
_DCT = _SCALE * np.cos(_ANGLE)
"""The orthonormal DCT-II as a matrix (n_mels, n_mfcc)."""


@lru_cache(maxsize=100)
def chroma_filters(sr, tuning):
    """Build the chroma filter bank of `librosa.filters.chroma`: ndarray (12, 1025) float32.

    Parameters
    ----------
    sr : int
        Hz.
    tuning : float
        Share of a semitone, -0.5 to 0.5.
    """
    a0 = 440 / 16 * 2 ** (tuning / 12)
    bins = 12 * np.log2(np.linspace(0, sr, N_FFT, endpoint=False)[1:] / a0)
    bins = np.concatenate(([bins[0] - 18], bins))  # 0 Hz: 1.5 octaves below bin 1
    width = np.append(np.maximum(np.diff(bins), 1), 1)
    distance = np.remainder(bins - np.arange(12)[:, None] + 6, 12) - 6
    bumps = np.exp(-0.5 * (2 * distance / width) ** 2)
    bumps /= np.linalg.norm(bumps, axis=0)
    bumps *= np.exp(-0.5 * ((bins / 12 - 5) / 2) ** 2)
    filters = np.roll(bumps, -3, axis=0)[:, : N_FFT // 2 + 1].astype(np.float32)
    filters.setflags(write=False)
    return filters


def _unit(rows, norm):
    """Divide each row by its norm; rows of (almost) nothing stay as they are."""
    length = norm(rows, axis=1, keepdims=True)
    return rows / np.where(length < np.finfo(rows.dtype).tiny, 1, length)


def _peaks(S, sr, bins_per_octave):
    """Find the peaks of `librosa.piptrack`: deviation from A440 in hundredths of a bin, height."""
    first, last = np.searchsorted(np.fft.rfftfreq(N_FFT, 1 / sr), [150, min(4000, sr / 2)])
    bins = np.empty(len(S) * (last - first))
    magnitudes = np.empty(len(bins), np.float32)
    n = _peaks_kernel(S, np.float32(0.1) * S.max(axis=1), first, last, bins, magnitudes)
    pitches = (bins[:n] * (sr / N_FFT)).astype(np.float32)
    x = bins_per_octave * np.log2(pitches / 27.5)
    x -= np.floor(x)
    x += 0.5
    x -= x >= 1
    return (np.float64(100) * x).astype(np.int8), magnitudes[:n].copy()  # 0 to 99: 50 is none


@_compiled()
def _peaks_kernel(S, thresholds, first, last, bins, magnitudes):
    """Write bin and height of each parabolic peak above its frame's threshold; count them."""
    n, found, peak = 0, np.empty(last - first, np.int64), np.empty(last - first, np.uint8)
    for t in range(len(S)):
        n_found, threshold = 0, thresholds[t]
        lows, mids, highs = S[t, first - 1 : last - 1], S[t, first:last], S[t, first + 1 : last + 1]
        for i in range(len(peak)):
            peak[i] = (mids[i] > threshold) & (mids[i] > lows[i]) & (mids[i] >= highs[i])
        for i in range(len(peak)):  # without a branch: a misprediction costs more than a store
            found[n_found] = i
            n_found += peak[i]
        for i in found[:n_found]:
            low, mid, high = lows[i], mids[i], highs[i]
            curve, slope = high + low - 2 * mid, (high - low) / 2
            shift = np.float32(-slope / curve if abs(slope) < abs(curve) else 0)
            bins[n] = first + i + shift
            magnitudes[n] = mid + np.float32(0.5) * np.float32(slope) * shift
            n += 1
    return n


def _tuning(parts):
    """Find the commonest tuning of the louder half of the peaks, as `librosa.estimate_tuning`."""
    n = sum(len(magnitudes) for _, magnitudes in parts)
    if not n:
        return 0.0
    middle = _select(parts, sorted({(n - 1) // 2, n // 2})).mean()
    counts = sum(np.bincount(t[m >= middle], minlength=100) for t, m in parts)
    return counts.argmax() / 100 - 0.5


def _select(parts, ranks):
    """Return the magnitudes of these ranks among all parts, without concatenating a spool."""
    if isinstance(parts, list):
        magnitudes = np.concatenate([m for _, m in parts])
        return np.partition(magnitudes, ranks)[ranks]

    def coarse(magnitudes):  # positive floats sort like their bits
        return magnitudes.view(np.uint32) >> 16

    # the coarse value of each rank is where the cumulated counts exceed it
    ends = np.cumsum(sum(np.bincount(coarse(m), minlength=2**16) for _, m in parts))
    chosen = []
    for rank in ranks:
        bucket = np.searchsorted(ends, rank, "right")
        near = np.concatenate([m[coarse(m) == bucket] for _, m in parts])
        rank -= ends[bucket] - len(near)
        chosen.append(np.partition(near, rank)[rank])
    return np.array(chosen)


CONTRAST_EDGES = (0, 200, 400, 800, 1600, 3200, 6400, np.inf)  # Hz (Jiang et al. 2002)


@lru_cache
def _contrast_bands(sr):
    """Return first bin, bin after the last, and number of extremes per band, shape (7, 3)."""
    freqs = np.fft.rfftfreq(N_FFT, 1 / sr)
    firsts = np.maximum(0, np.searchsorted(freqs, CONTRAST_EDGES[:-1]) - 1)
    lasts = np.searchsorted(freqs, CONTRAST_EDGES[1:], "right")
    n_extremes = np.maximum(1, np.rint(0.02 * (lasts - firsts)).astype(int))
    lasts[:-1] -= 1  # counted above, but left out of the band, as in librosa
    return np.stack([firsts, lasts, n_extremes], axis=1)


@_compiled()
def _extremes_kernel(S, bands, extremes):
    """Push each value through the n smallest and the n largest so far, 32 frames at a time."""
    lanes = 32
    lows, highs = np.empty((64, lanes), np.float32), np.empty((64, lanes), np.float32)
    low, high = np.empty(lanes, np.float32), np.empty(lanes, np.float32)
    for start in range(0, len(S), lanes):
        for band in range(len(bands)):
            first, last, n = bands[band]
            lows[:n], highs[:n] = np.inf, -np.inf
            for k in range(first, last):
                for j in range(lanes):
                    low[j] = high[j] = S[min(start + j, len(S) - 1), k]
                for i in range(n):
                    small, large = lows[i], highs[i]
                    for j in range(lanes):
                        a, b = small[j], low[j]
                        small[j], low[j] = (a, b) if a < b else (b, a)
                    for j in range(lanes):
                        a, b = large[j], high[j]
                        large[j], high[j] = (a, b) if a > b else (b, a)
            for j in range(min(lanes, len(S) - start)):
                extremes[0, start + j, band] = lows[:n, j].mean()
                extremes[1, start + j, band] = highs[:n, j].mean()


WINDOW = 31  # frames, and bins, that a median of the harmonic-percussive separation covers
GROUP = 16  # medians that share their work: their windows have 16 of their 31 values in common


@lru_cache
def _median_network():
    """Build the comparator network that finds 16 neighbouring medians of 31 from 46 values.

    The 16 values common to all windows are sorted once. Then the windows are split in halves; each
    half adds the values common to its windows and keeps those that can still be the median (Adams
    2021, "Fast median filters using separable sorting networks", in one dimension). Batcher's
    odd-even network merges values. Returns steps (0 for the minimum or 1 for the maximum; slot to
    write; two slots to read), the slots of the 16 medians at the end (slots 0 to 45 hold the values
    at the start), and the number of slots.
    """
    n_values = WINDOW + GROUP - 1
    steps = []

    def compare(a, b):
        steps.extend([(0, a, b), (1, a, b)])
        return n_values + len(steps) - 2, n_values + len(steps) - 1

    def merge(a, b):
        if not a or not b:
            return a + b
        if len(a) == len(b) == 1:
            return [*compare(a[0], b[0])]
        even, odd = merge(a[::2], b[::2]), merge(a[1::2], b[1::2])
        n = min(len(odd), len(even) - 1)
        middle = [v for pair in zip(odd, even[1:], strict=False) for v in compare(*pair)]
        return [even[0], *middle, *odd[n:], *even[n + 1 :]]

    def sort(values):
        half = len(values) // 2
        return merge(sort(values[:half]), sort(values[half:])) if half else values

    def medians(core, first, count):
        if count == 1:
            return core
        half, result = count // 2, []
        for start, new in ((first, first + half - 1), (first + half, first + WINDOW)):
            merged = merge(core, sort([*range(new, new + half)]))
            drop = (len(merged) - half) // 2
            result += medians(merged[drop : drop + half], start, half)
        return result

    outputs = medians(sort([*range(GROUP - 1, WINDOW)]), 0, GROUP)
    return _assign_slots(steps, outputs, n_values)


def _assign_slots(steps, outputs, n_values):
    """Drop the steps that no output needs, and reuse the slot of a value after its last use."""
    last_use, kept = dict.fromkeys(outputs, len(steps)), []
    for i in reversed(range(len(steps))):
        if n_values + i in last_use:
            kept.append(i)
            for value in steps[i][1:]:
                last_use.setdefault(value, i)
    slots, free, program = {v: v for v in range(n_values)}, [], []
    for i in reversed(kept):
        kind, a, b = steps[i]
        slots[n_values + i] = free.pop() if free else len(slots)
        program.append((kind, slots[n_values + i], slots[a], slots[b]))
        free += [slots[v] for v in (a, b) if last_use[v] == i]
    return np.array(program), np.array([slots[v] for v in outputs]), max(slots.values()) + 1


def _median_rows(x):
    """Filter along axis 0 with a median over 31 rows, mirrored at the ends as scipy's is."""
    rows = np.pad(np.arange(len(x)), (WINDOW // 2, WINDOW // 2 + GROUP), mode="symmetric")
    medians = np.empty_like(x)
    _median_kernel(x, rows, *_median_network(), medians)
    return medians


@_compiled()
def _median_kernel(x, rows, steps, outputs, n_slots, medians):
    """Run the network on 128 columns at a time, so that each step is a few SIMD instructions."""
    lanes = 128
    slots = np.zeros((n_slots, lanes), np.float32)
    n_rows, n_columns = x.shape
    for row in range(0, n_rows, GROUP):
        for column in range(0, n_columns, lanes):
            width = min(lanes, n_columns - column)
            for i in range(WINDOW + GROUP - 1):
                slots[i, :width] = x[rows[row + i], column : column + width]
            for i in range(len(steps)):
                to, a, b = slots[steps[i, 1]], slots[steps[i, 2]], slots[steps[i, 3]]
                if steps[i, 0]:
                    for j in range(lanes):
                        to[j] = a[j] if a[j] > b[j] else b[j]
                else:
                    for j in range(lanes):
                        to[j] = a[j] if a[j] < b[j] else b[j]
            for i in range(min(GROUP, n_rows - row)):
                medians[row + i, column : column + width] = slots[outputs[i], :width]


@_compiled()
def _mask_kernel(D, S, harmonic, percussive, masked):
    """Weigh D by harmonic² / (harmonic² + percussive²); half where both are nothing."""
    one, half, tiny = np.float32(1), np.float32(0.5), np.float32(1.1754944e-38)
    for t in range(len(S)):
        for k in range(S.shape[1]):
            h, p, s = harmonic[t, k], percussive[t, k], S[t, k]
            top = h if h > p else p
            scale = top if top >= tiny else one
            h, p, s_or_one = h / scale, p / scale, s if s > 0 else one
            h, p = h * h, p * p
            weighed = s * (h / (h + p) if top >= tiny else half)
            masked[t, 2 * k] = weighed * (D[t, 2 * k] / s_or_one)
            masked[t, 2 * k + 1] = weighed * (D[t, 2 * k + 1] / s_or_one)


@_compiled()
def _overlap_kernel(frames, window, y):
    """Add windowed frames, each a hop later than the one before, over the sum of window²."""
    weight = np.empty(HOP_LENGTH, np.float32)
    for hop in range(len(y)):
        weight[:] = 0
        for t in range(max(0, hop - 3), min(hop + 1, len(frames))):
            start = (hop - t) * HOP_LENGTH
            for i in range(HOP_LENGTH):
                w = window[start + i]
                y[hop, i] += frames[t, start + i] * w
                weight[i] += w * w
        for i in range(HOP_LENGTH):
            y[hop, i] /= weight[i] if weight[i] > 0 else 1


CQT_BINS = 36  # to an octave: three to a semitone
CQT_OCTAVES = 7
CQT_FMIN = 440 * 2 ** (-45 / 12)  # Hz: C1, the lowest bin
CQT_CUTOFF = 4166  # Hz: where the highest filter ends; over two octaves more are decimated


@lru_cache(maxsize=100)
def _cqt_filters(sr, tuning):
    """Build the constant-Q filters of the top octave, which serve every octave after decimation.

    As `librosa.cqt`: windowed phasors, of which the Fourier transform loses the smallest 1 % of
    its magnitude. Returns filters (n_bins, 36), the bin of the first row, and n_fft.
    """
    step = 2 ** (2 / CQT_BINS)
    q = (step + 1) / (step - 1)
    octave = CQT_OCTAVES - 1 + (tuning + np.arange(CQT_BINS)) / CQT_BINS
    freqs = CQT_FMIN * 2**octave
    lengths = q * sr / freqs
    n_fft = int(2 ** np.ceil(np.log2(lengths.max())))
    basis = np.zeros((CQT_BINS, n_fft), np.complex64)
    for row, freq, length in zip(basis, freqs, lengths, strict=True):
        time = np.arange(-length // 2, length // 2)
        hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(len(time)) / len(time))
        start = (n_fft - len(time)) // 2
        row[start : start + len(time)] = hann * np.exp(2j * np.pi * freq / sr * time) / hann.sum()
    basis *= (np.sqrt(lengths) / n_fft)[:, None]
    spectrum = np.fft.fft(basis)[:, : n_fft // 2 + 1]
    magnitudes = np.abs(spectrum)
    ordered = np.sort(magnitudes, axis=1)
    below = np.cumsum(ordered / ordered.sum(axis=1, keepdims=True), axis=1) < 0.01
    smallest = np.take_along_axis(ordered, below.argmin(axis=1)[:, None], axis=1)
    spectrum[magnitudes < smallest] = 0
    used = np.flatnonzero(spectrum.any(axis=0))
    return spectrum[:, used[0] : used[-1] + 1].T.astype(np.complex64), used[0], n_fft


def _decimate(y, factor):
    """Resample by 1 / factor, keeping the energy, rounded as in `librosa.resample`."""
    import soxr

    low = soxr.resample(y, factor, 1, quality="soxr_hq")
    low /= np.sqrt(1 / np.float64(factor))
    return low


def _cqt_octave_sum(y, sr, tuning):
    """Add the constant-Q magnitudes of all octaves, shape (n_frames, 36)."""
    import scipy.fft

    hop, n_frames = HOP_LENGTH, 1 + len(y) // HOP_LENGTH
    early = 2 ** min(3, max(0, int(np.ceil(np.log2(sr / 2 / CQT_CUTOFF))) - 2))
    if early > 1:
        y, hop, sr = _decimate(y, early), hop // early, sr / early
    filters, first, n_fft = _cqt_filters(sr, tuning)
    bands = np.empty((CQT_OCTAVES, n_frames, len(filters)), np.complex64)
    for octave in bands:
        padded = np.pad(y.astype(np.float64), (n_fft // 2, n_fft // 2 + hop))
        rows = np.lib.stride_tricks.sliding_window_view(padded, n_fft)[::hop][:n_frames]
        octave[:] = scipy.fft.rfft(rows)[:, first : first + len(filters)]
        y, hop = _decimate(y, 2), hop // 2
    return np.abs(bands @ filters).sum(axis=0)


_INTERVALS = np.array([7 / 6, 7 / 6, 3 / 2, 3 / 2, 2 / 3, 2 / 3])
_PHASE = np.arange(12)[:, None] * _INTERVALS - [0.5, 0, 0.5, 0, 0.5, 0]
_CENTROIDS = (np.array([1, 1, 1, 1, 0.5, 0.5]) * np.cos(np.pi * _PHASE)).astype(np.float32)
"""The map from chroma to the tonal centroid space of Harte et al. (2006), (12, 6)."""


class SpectralFrames:
    """Frames of 128 ms of a signal, for librosa's five; each measure is computed when first used.

    Decibels are clipped 80 dB under the maximum of the whole recording, and the chroma banks follow
    its tuning. A part of a recording needs both as `references`.

    Parameters
    ----------
    y : ndarray (n_samples,) float32
        Mono signal.
    sr : int
        Hz.
    core : slice
        The frames that count; the others are context.
    first : int
        Number of the first of them in the recording.
    references : dict, optional
        The result of `references` for the whole recording; default that of `y`.
    """

    frame_length = "128 ms"

    def __init__(self, y, sr, *, core=slice(None), first=0, references=None):
        self.y, self.sr, self.core, self.first = y, sr, core, first
        self._references = dict(references or {})

    @property
    def times(self):
        """Centre of each frame in seconds (n_frames,)."""
        n_frames = len(range(1 + len(self.y) // HOP_LENGTH)[self.core])
        return (self.first + np.arange(n_frames)) * (HOP_LENGTH / self.sr)

    rows = staticmethod(lambda kind: slice(None))  # of every kind: silent frames count, too

    def _reference(self, measure):
        if measure not in self._references:
            value = getattr(self, measure)
            own = _tuning([value]) if isinstance(value, tuple) else value.max(axis=(-2, -1))
            self._references[measure] = own
        return self._references[measure]

    @cached_property
    def _magnitude(self):
        """Magnitude of the spectra (n_frames with context, 1025)."""
        return _magnitude(self.y)

    @cached_property
    def power(self):
        """Power in mel bands (n_frames, 128), float32."""
        power = np.square(self._magnitude[self.core])
        parts = [power[:, bins] @ part for bins, part in _mel_groups(self.sr)]
        return np.concatenate(parts, axis=1)

    @cached_property
    def peaks(self):
        """Peaks of the spectra, see `_peaks`, in semitones."""
        return _peaks(self._magnitude[self.core], self.sr, 12)

    @cached_property
    def extremes(self):
        """Averages of the smallest and the largest 2 % of octave bands (2, n_frames, 7)."""
        S, bands = self._magnitude[self.core], _contrast_bands(self.sr)
        extremes = np.empty((2, len(S), len(bands)))
        _extremes_kernel(S, bands, extremes)
        return extremes

    @cached_property
    def _harmonic(self):
        """The harmonic part of the signal (n_samples,), as `librosa.effects.harmonic`."""
        import scipy.fft

        D = _stft(self.y)
        self._magnitude = S = np.abs(D)  # the same values; it saves other features a transform
        percussive = np.ascontiguousarray(_median_rows(np.ascontiguousarray(S.T)).T)
        masked = np.empty_like(D)
        _mask_kernel(D.view(np.float32), S, _median_rows(S), percussive, masked.view(np.float32))
        y = np.zeros((len(D) + 3, HOP_LENGTH), np.float32)
        _overlap_kernel(scipy.fft.irfft(masked, N_FFT), _WINDOW, y)
        return y.ravel()[N_FFT // 2 :][: len(self.y)]

    @cached_property
    def harmonic_peaks(self):
        """Peaks of the harmonic part, see `_peaks`, in thirds of a semitone."""
        return _peaks(_magnitude(self._harmonic)[self.core], self.sr, CQT_BINS)

    @property
    def mfcc(self):
        """Mel frequency cepstral coefficients (n_frames, 40)."""
        return _decibels(self.power, self._reference("power")) @ _DCT

    @property
    def chroma(self):
        """Energy of the pitch classes (n_frames, 12), the loudest 1."""
        filters = chroma_filters(self.sr, self._reference("peaks"))
        return _unit((filters @ self._magnitude[self.core].T).T, np.max)

    @property
    def contrast(self):
        """Peaks over valleys of octave bands in dB (n_frames, 7)."""
        tops = self._reference("extremes")
        valley, peak = (_decibels(e, top) for e, top in zip(self.extremes, tops, strict=True))
        return peak - valley

    @property
    def tonnetz(self):
        """Tonal centroids of the harmonic part (n_frames, 6)."""
        octave = _cqt_octave_sum(self._harmonic, self.sr, self._reference("harmonic_peaks"))
        octave = np.roll(octave, 1, axis=1)  # a semitone's bins side by side
        chroma = octave.reshape(len(octave), 12, 3).sum(axis=2)
        return (_unit(chroma, np.sum) @ _CENTROIDS)[self.core]


def references(parts, measures):
    """Reduce the parts of a recording to the references of its values: dict.

    Parameters
    ----------
    parts : iterable of SpectralFrames
    measures : sequence of str
        Attributes of them (see `Feature.refers_to`), the keys of the result. The values are the
        maxima, for peaks their tuning.
    """
    maxima, peaks = {}, defaultdict(_Spool)
    for part in parts:
        for measure in measures:
            value = getattr(part, measure)
            if isinstance(value, tuple):
                peaks[measure].append(value)
            else:
                top = value.max(axis=(-2, -1))
                maxima[measure] = np.maximum(maxima.get(measure, top), top)
    return maxima | {name: _tuning(found) for name, found in peaks.items()}


class _Spool:
    """A list of pairs of arrays that moves to disk as it grows."""

    def __init__(self):
        self._file = tempfile.SpooledTemporaryFile(2**24)  # noqa: SIM115 - closed with the spool
        self._n = 0

    def append(self, pair):
        for array in pair:
            np.save(self._file, array, allow_pickle=False)
        self._n += 1

    def __iter__(self):
        self._file.seek(0)
        for _ in range(self._n):
            yield np.load(self._file), np.load(self._file)
