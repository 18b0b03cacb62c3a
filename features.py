"""The five features of the field: mfcc, chroma, mel, contrast and tonnetz of a mono signal.

Pure functions of an array: `frames` gives the named frame matrix, `extract` its functionals (the
vector that models see), `feature_names` the name of every element; `frames_blocks` takes a long
recording in pieces. All values equal those of librosa 0.11 with its default frames (n_fft 2048,
hop 512, Hann, centred, zero padded), without librosa. Beside the five, the same functions know the
features of `voice.py`, which have shorter frames.
"""

import difflib
import tempfile
from collections import defaultdict
from functools import cached_property, lru_cache, wraps
from typing import NamedTuple

import numpy as np

import voice
from parameters import SAMPLE_RATE

# Freeing one large block makes glibc keep what we free for our next arrays; else every array is
# given back and taken anew, page fault by page fault: a fifth of the time of all five features.
np.empty(2**25 - 2**16, np.uint8)

N_FFT = 2048
HOP_LENGTH = 512
N_MELS = 128
NOTES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")

COLUMNS = {
    "mfcc": tuple(f"mfcc_{i}" for i in range(1, 41)),
    "chroma": tuple(f"chroma_{note}" for note in NOTES),
    "mel": tuple(f"mel_{i}" for i in range(1, N_MELS + 1)),
    "contrast": tuple(f"contrast_{i}" for i in range(1, 8)),
    "tonnetz": tuple(f"tonnetz_{i}_{xy}" for i in ("fifth", "minor", "major") for xy in "xy"),
}
"""Feature to the names of its columns, in the order in which a vector holds them."""

FEATURES = tuple(COLUMNS)
VOICE_FEATURES = voice.FEATURES
DEFAULT_FEATURES = ("mfcc", "chroma", "mel")
RECOMMENDED_FEATURES = VOICE_FEATURES


class Course:
    """The values of columns over the frames of a clip, (n_frames, n_columns), to be summed up."""

    def __init__(self, values):
        self.values = values

    @cached_property
    def mean(self):
        return self.values.mean(axis=0, dtype=np.float64)

    @cached_property
    def centred(self):
        return self.values - self.mean.astype(self.values.dtype)

    @cached_property
    def std(self):
        return np.sqrt(_average(np.square(self.centred)))

    @cached_property
    def percentiles(self):
        """Percent to values, interpolated linearly as numpy does: dict."""
        ordered = np.sort(np.ascontiguousarray(self.values.T), axis=1)
        place = np.array(PERCENTS) / 100 * (len(self.values) - 1)
        low = place.astype(int)
        share = (place - low).astype(ordered.dtype)
        step = ordered[:, np.minimum(low + 1, len(self.values) - 1)] - ordered[:, low]
        values = ordered[:, low] + share * step
        return dict(zip(PERCENTS, np.ascontiguousarray(values.T), strict=True))

    def moment(self, order):
        """Average a power, 3 or 4, of the standardised values; 0 where they never change."""
        square = self.centred * self.centred
        power = square * (self.centred if order == 3 else square)
        return _average(power) / np.maximum(self.std, 1e-9) ** order

    @cached_property
    def _waves(self):
        time = (np.arange(len(self.values)) + 0.5) / len(self.values)
        waves = np.cos(np.pi * np.outer(np.arange(1, N_WAVES + 1), time)) / len(self.values)
        return waves.astype(self.values.dtype) @ self.centred

    def wave(self, number):
        """Give a coefficient of the cosine transform over time: what rises, bends, oscillates."""
        return self._waves[number - 1]

    def echo(self, lag):
        """Correlate with what was `lag` frames earlier; 0 in shorter clips."""
        if lag >= len(self.values):
            return np.zeros(self.values.shape[1])
        products = self.centred[lag:] * self.centred[:-lag]
        return _average(products) / np.maximum(self.std**2, 1e-6)

    def change(self):
        """Average how far a value is from the one before."""
        if len(self.values) < 2:
            return np.zeros(self.values.shape[1])
        return _average(np.abs(np.diff(self.values, axis=0)))


def _average(values):
    """Mean over the frames (n_columns,) float64; as a product, in a tenth of numpy's time."""
    return (_ones(len(values), values.dtype) @ values).astype(np.float64) / len(values)


@lru_cache(maxsize=64)
def _ones(n, dtype):
    return np.ones(n, dtype)


PERCENTS = 1, 5, 25, 50, 75, 95, 99
N_WAVES = 6
FUNCTIONALS = {
    "mean": lambda course: course.mean,
    "std": lambda course: course.std,
    "p1": lambda course: course.percentiles[1],
    "p5": lambda course: course.percentiles[5],
    "p25": lambda course: course.percentiles[25],
    "p50": lambda course: course.percentiles[50],
    "p75": lambda course: course.percentiles[75],
    "p95": lambda course: course.percentiles[95],
    "p99": lambda course: course.percentiles[99],
    "iqr": lambda course: course.percentiles[75] - course.percentiles[25],
    "range": lambda course: course.percentiles[95] - course.percentiles[5],
    "skew": lambda course: np.cbrt(course.moment(3)),
    "kurtosis": lambda course: np.log1p(course.moment(4)),
    "change": lambda course: course.change(),
    "wave1": lambda course: course.wave(1),
    "wave2": lambda course: course.wave(2),
    "wave3": lambda course: course.wave(3),
    "wave4": lambda course: course.wave(4),
    "wave5": lambda course: course.wave(5),
    "wave6": lambda course: course.wave(6),
    "echo5": lambda course: course.echo(5),
    "echo10": lambda course: course.echo(10),
    "echo20": lambda course: course.echo(20),
    "echo40": lambda course: course.echo(40),
}
"""Functional to its function, a course (n_frames, n_columns) to values (n_columns,)."""

DEFAULT_FUNCTIONALS = ("mean",)
"""What sums up the five features unless others are asked for."""

VOICE_FUNCTIONALS = tuple(FUNCTIONALS)
"""What sums up the features of a voice unless others are asked for."""

FRAMES = "frames"
"""In place of functionals: nothing sums the frames up, they are what `extract` returns."""


class Frames(NamedTuple):
    """A frame matrix: one named column per value, one row per frame.

    At 16 kHz a row of the five features is 32 ms after the one before, one of a voice's 10 ms.

    Attributes
    ----------
    values : np.ndarray of float32, shape (n_frames, n_columns)
    columns : list of str, length n_columns
    times : np.ndarray of float64, shape (n_frames,)
        The centre of each frame in seconds.
    """

    values: np.ndarray
    columns: list
    times: np.ndarray


def extract(y, sr=SAMPLE_RATE, *, features=DEFAULT_FEATURES, functionals=None):
    """Summarise a signal in one vector: the functionals of its frames.

    Parameters
    ----------
    y : np.ndarray of float, shape (n_samples,), or voice.Voice
        Mono signal, any length from one sample; or a voice whose frames are measured already, for
        `VOICE_FEATURES` only.
    sr : int
        Sampling rate in Hz.
    features : sequence of str
        Any of `FEATURES` and `VOICE_FEATURES`; the vector keeps their canonical order whatever the
        order here.
    functionals : sequence of str, or "frames", optional
        Any of `FUNCTIONALS`, for all features. Default: the mean for the five features, all
        for those of a voice. "frames": none.

    Returns
    -------
    np.ndarray of float32, shape (n_features,)
        All columns of the first functional, then of the next; `feature_names` names them. With
        "frames" the matrix of `frames`, shape (n_frames, n_columns); of a voice's features from
        the first frame that isn't silent to the last.

    Raises
    ------
    ValueError
        If `y` is not a finite, non-empty 1-D array of floats, or a name is unknown.

    Examples
    --------
    >>> y = np.sin(2 * np.pi * 440 * np.arange(16000) / 16000)
    >>> extract(y).shape
    (180,)
    >>> extract(y, features=FEATURES).shape
    (193,)
    >>> extract(y, features=["mel"], functionals=["mean", "std"]).shape
    (256,)
    >>> extract(y, features=["mel"], functionals="frames").shape
    (32, 128)
    """
    names, own = _check_features(features), check_functionals(functionals)
    if not isinstance(y, voice.Voice):
        y = _check_signal(y)
    if own == FRAMES:
        return _sounding_frames(y, sr, names)
    parts = []
    if five := [name for name in names if name in FEATURES]:
        course = Course(frames(y, sr, features=five).values)
        parts += [FUNCTIONALS[f](course) for f in own or DEFAULT_FUNCTIONALS]
    if spoken := [name for name in names if name in VOICE_FEATURES]:
        parts += _voice_parts(_voice(y, sr), tuple(spoken), own or VOICE_FUNCTIONALS)
    return np.concatenate(parts).astype(np.float32)


def _sounding_frames(y, sr, names):
    """The frame matrix without the silence around it, where the features know of silence."""
    if not set(names) <= set(VOICE_FEATURES):
        return frames(y, sr, features=names).values
    clip = _voice(y, sr)
    return clip.columns(names)[clip.rows("active")]


def _voice(y, sr):
    """A signal measured, or one that is already."""
    return y if isinstance(y, voice.Voice) else voice.Voice(y, _check_rate(sr))


def _voice_parts(clip, names, functionals):
    """Sum up features of a voice, and after each its facts about the whole clip: list of arrays."""
    matrix, sums = clip.columns(names), {}
    for kind, (places, owners) in _places(names).items():  # all features at once: it saves time
        course = Course(matrix[clip.rows(kind)][:, places])
        summed = np.stack([FUNCTIONALS[f](course) for f in functionals])
        for name, own in owners.items():
            sums[name, kind] = summed[:, own].ravel()
    parts = []
    for name in names:
        parts += [sums[name, kind] for kind in voice.SUMS[name]]
        parts.append(clip.facts(name))
    return parts


@lru_cache
def _places(names):
    """Kind of frames to the places of its columns in the matrix of features, and whose they are.

    Returns
    -------
    dict of str to (list of int, dict of str to slice)
        The slices are of the list.
    """
    found, before = defaultdict(lambda: ([], {})), 0
    for name in names:
        for kind, columns in voice.SUMS[name].items():
            places, owners = found[kind]
            owners[name] = slice(len(places), len(places) + len(columns))
            places += [before + voice.COLUMNS[name].index(column) for column in columns]
        before += len(voice.COLUMNS[name])
    return dict(found)


def feature_names(features=DEFAULT_FEATURES, functionals=None):
    """Name every element of the vector that `extract` returns for the same arguments.

    Returns
    -------
    list of str

    Raises
    ------
    ValueError
        If a name is unknown.

    Examples
    --------
    >>> feature_names(["tonnetz"])[:2]
    ['tonnetz_fifth_x_mean', 'tonnetz_fifth_y_mean']
    >>> feature_names(["prosody"], ["p50"])[15]
    'voiced_pitch_p50'
    """
    names, own = _check_features(features), check_functionals(functionals)
    if own == FRAMES:
        return [column for name in names for column in (COLUMNS | voice.COLUMNS)[name]]
    five = _columns([name for name in names if name in FEATURES])
    found = [f"{column}_{f}" for f in own or DEFAULT_FUNCTIONALS for column in five]
    for name in (name for name in names if name in VOICE_FEATURES):
        for kind, columns in voice.SUMS[name].items():
            found += [f"{kind}_{c}_{f}" for f in own or VOICE_FUNCTIONALS for c in columns]
        found += voice.FACTS[name]
    return found


def frames(y, sr=SAMPLE_RATE, *, features=DEFAULT_FEATURES):
    """Compute the frame matrix of a signal.

    Parameters
    ----------
    y : np.ndarray of float, shape (n_samples,)
        Mono signal, any length from one sample.
    sr : int
        Sampling rate in Hz.
    features : sequence of str
        Any of `FEATURES`, or any of `VOICE_FEATURES` (but not of both: their frames differ); the
        columns keep their canonical order whatever the order here.

    Returns
    -------
    Frames
        values (n_frames, n_columns), columns, times; n_frames is 1 + n_samples // 512 for the
        five features.

    Raises
    ------
    ValueError
        If `y` is not a finite, non-empty 1-D array of floats, or a name is unknown.

    Examples
    --------
    >>> noise = np.random.default_rng(0).standard_normal(16000)
    >>> values, columns, times = frames(noise, features=["chroma"])
    >>> values.shape, columns[:3], float(times[1])
    ((32, 12), ['chroma_C', 'chroma_C#', 'chroma_D'], 0.032)
    """
    y, names = _check_signal(y), _check_features(features)
    if set(names) <= set(VOICE_FEATURES):
        clip = voice.Voice(y, _check_rate(sr))
        columns = [column for name in names for column in voice.COLUMNS[name]]
        times = (clip.window / 2 + clip.hop * np.arange(clip.n_frames)) / sr
        return Frames(clip.columns(names), columns, times)
    if not set(names) <= set(FEATURES):
        raise ValueError(
            f"{', '.join(FEATURES)} have frames of 128 ms, {', '.join(VOICE_FEATURES)} of 25 ms: "
            "ask for one kind at a time"
        )
    measured = _measure(y, _check_rate(sr), names)
    return _finish(measured, _references([measured]), sr, names)


def frames_blocks(blocks, sr=SAMPLE_RATE, *, features=DEFAULT_FEATURES):
    """Compute the frame matrix of a long signal piece by piece, as if in one.

    What the values refer to, the loudest moment and the tuning of the whole recording, takes a
    first pass over the signal; so the blocks are read twice. Memory doesn't grow with the length:
    the peaks that chroma and tonnetz take their tuning from wait on disk (16 MB per hour and
    feature, in the system's temporary folder).

    Parameters
    ----------
    blocks : iterable that can start anew, or function that returns one
        Consecutive pieces of a mono signal, arrays of float, each of any length.
    sr : int
        Sampling rate in Hz.
    features : sequence of str
        Any of `FEATURES`.

    Yields
    ------
    Frames
        Consecutive parts of what `frames` returns for the whole signal, of about a thousand frames.

    Raises
    ------
    ValueError
        As `frames`, or if `blocks` can be read only once.

    Examples
    --------
    >>> y = np.random.default_rng(0).standard_normal(100_000)
    >>> parts = [part.values for part in frames_blocks(np.array_split(y, 7))]
    >>> bool(np.allclose(np.concatenate(parts), frames(y).values, rtol=1e-4, atol=1e-3))
    True
    """
    names = _check_names("feature", features, FEATURES)
    if iter(again := blocks() if callable(blocks) else blocks) is again and not callable(blocks):
        raise ValueError("blocks can be read only once: give a list, or a function that opens it")
    read = blocks if callable(blocks) else lambda: blocks
    return _frames_blocks(read, _check_rate(sr), names)


def _frames_blocks(read, sr, names):
    measurements = (_measure(y, sr, names, core) for y, core, _ in _windows(read()))
    references = _references(measurements, _Spool)
    for y, core, first in _windows(read()):
        yield _finish(_measure(y, sr, names, core), references, sr, names, first)


def _windows(blocks, n_core=1024, context=128):
    """Cut a signal in windows of `n_core` frames plus what these depend on at either side.

    The farthest is tonnetz: 15 frames of a median, 3 of the overlap, 32 of the lowest constant-Q
    filters, and the tails of six resamplers.

    Yields
    ------
    y : np.ndarray of float32, shape (n_samples,)
    core : slice
        The frames of `y` that are its own.
    first : int
        The number of the first of them in the whole signal.
    """
    pending, n_pending, start, first = [], 0, 0, 0
    for block in blocks:
        pending.append(_check_signal(block))
        n_pending += len(block)
        while n_pending >= (first + n_core + context - start) * HOP_LENGTH:
            y = np.concatenate(pending)
            core = slice(first - start, first - start + n_core)
            yield y[: (core.stop + context) * HOP_LENGTH], core, first
            first += n_core
            cut = max(0, first - context - start)
            start, pending = start + cut, [y[cut * HOP_LENGTH :]]
            n_pending = len(pending[0])
    yield _check_signal(np.concatenate(pending or [[]])), slice(first - start, None), first


def _columns(names):
    return [column for name in names for column in COLUMNS[name]]


def check_name(name, legal, what):
    """Return `name` if it is one of `legal`.

    Raises
    ------
    ValueError
        If it isn't; the message names the legal set and the nearest match.

    Examples
    --------
    >>> check_name("mel", FEATURES, "feature")
    'mel'
    """
    if name in legal:
        return name
    near = difflib.get_close_matches(str(name), map(str, legal), n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise ValueError(f"Unknown {what} {name!r}; choose from {', '.join(map(str, legal))}.{hint}")


def _check_names(what, names, legal):
    """Return the chosen names in canonical order, each once."""
    names = (names,) if isinstance(names, str) else tuple(names)
    if not names:
        raise ValueError(f"No {what} given; choose from {', '.join(legal)}.")
    for name in names:
        check_name(name, legal, what)
    return tuple(name for name in legal if name in names)


def _check_features(names):
    return _check_names("feature", names, FEATURES + VOICE_FEATURES)


def check_functionals(names):
    """Return the names of functionals in canonical order; None (the default) and "frames" stay.

    Raises
    ------
    ValueError
        See `check_name`.
    """
    if names is None or names == FRAMES:
        return names
    return _check_names("functional", names, FUNCTIONALS)


def _check_rate(sr):
    if not sr > 2 * CONTRAST_EDGES[-2]:
        raise ValueError(f"sr must be above 12800 Hz, for the highest contrast band; not {sr!r}")
    return sr


def _check_signal(y):
    """Return `y` as float32 after the one check that every entry point shares."""
    y = np.asarray(y)
    if y.ndim != 1 or not np.issubdtype(y.dtype, np.floating):
        raise ValueError(f"y must be a 1-D array of floats, not {y.ndim}-D of {y.dtype}")
    if not y.size or not np.isfinite(y).all():
        raise ValueError(f"y must be non-empty and finite ({y.size} samples given)")
    return np.ascontiguousarray(y, dtype=np.float32)


# Three features refer to the whole recording: decibels are clipped 80 dB under its maximum, the
# chroma banks follow its tuning. So work falls in three steps: what each frame tells by itself
# (`_measure`), what the recording tells (`_references`), and the values (`_finish`).


def _measure(y, sr, names, core=slice(None)):
    """Measure the frames `core` of a signal, as far as that needs nothing beyond them."""
    D = _stft(y) if "tonnetz" in names else None
    S = _magnitude(y) if D is None else np.abs(D)
    measured = {}
    if {"mfcc", "mel"} & set(names):
        measured["mel"] = _mel(S[core], sr)
    if "chroma" in names:
        measured["magnitude"], measured["peaks"] = S[core], _peaks(S[core], sr, 12)
    if "contrast" in names:
        measured["extremes"] = _extremes(S[core], sr)
    if "tonnetz" in names:
        y = _harmonic(D, S, len(y))
        S = _magnitude(y)
        measured["harmonic"] = y, core
        measured["harmonic peaks"] = _peaks(S[core], sr, CQT_BINS)
    return measured


def _references(measurements, store=list):
    """Reduce measurements to what the values of a recording refer to."""
    maxima, peaks = {}, defaultdict(store)
    for measured in measurements:
        for name in {"mel", "extremes"} & set(measured):
            top = measured[name].max(axis=(-2, -1))
            maxima[name] = np.maximum(maxima.get(name, top), top)
        for name in {"peaks", "harmonic peaks"} & set(measured):
            peaks[name].append(measured[name])
    return maxima | {name: _tuning(parts) for name, parts in peaks.items()}


class _Spool:
    """A list of pairs of arrays that goes to disk as it grows; iterating starts it anew."""

    def __init__(self):
        self._file = tempfile.SpooledTemporaryFile(2**24)  # noqa: SIM115 - lives as long as we do
        self._n = 0

    def append(self, pair):
        for array in pair:
            np.save(self._file, array, allow_pickle=False)
        self._n += 1

    def __iter__(self):
        self._file.seek(0)
        for _ in range(self._n):
            yield np.load(self._file), np.load(self._file)


def _finish(measured, references, sr, names, first=0):
    """Turn measurements into the frame matrix, given what they refer to."""
    blocks = {
        "mfcc": lambda: _decibels(measured["mel"], references["mel"]) @ _dct_matrix(),
        "chroma": lambda: _chroma(measured["magnitude"], sr, references["peaks"]),
        "mel": lambda: measured["mel"],
        "contrast": lambda: _contrast(measured["extremes"], references["extremes"]),
        "tonnetz": lambda: _tonnetz(*measured["harmonic"], sr, references["harmonic peaks"]),
    }
    values = np.concatenate([blocks[name]() for name in names], axis=1, dtype=np.float32)
    times = (first + np.arange(len(values))) * (HOP_LENGTH / sr)
    return Frames(values, _columns(names), times)


# Kernels: plain loops that numba compiles when they are first called, and keeps on disk beside
# this file, or in the user's cache folder where this one is read-only (NUMBA_CACHE_DIR moves it).


def _compiled(**options):
    """Decorate a function that numba compiles at its first call, not at import."""

    def decorate(function):
        keep = True

        @lru_cache
        def kernel(cache):
            import numba

            return numba.njit(cache=cache, nogil=True, error_model="numpy", **options)(function)

        @wraps(function)
        def call(*args):
            nonlocal keep
            try:
                return kernel(keep)(*args)
            except (OSError, RuntimeError):  # nowhere to keep it: every process compiles its own
                if not keep:
                    raise
                keep = False
                return kernel(keep)(*args)

        return call

    return decorate


@lru_cache
def _window():
    return 0.5 + 0.5 * np.cos(np.linspace(-np.pi, np.pi, N_FFT + 1)[:-1])


@lru_cache
def _twiddles():
    """Return the rotations of `_stft_kernel`: cos and -sin of three tables of 1024 angles."""
    turn = 2 * np.pi * np.arange(1024) / 1024
    grid = 2 * np.pi * np.outer(np.arange(32), np.arange(32)).ravel() / 1024
    angles = np.stack([turn, grid, turn / 2])
    return np.stack([np.cos(angles), -np.sin(angles)], axis=1).ravel()


def _stft(y):
    """Compute the centred STFT, (n_frames, 1 + N_FFT // 2) complex64, in double as librosa does."""
    D = np.empty((1 + len(y) // HOP_LENGTH, N_FFT // 2 + 1), np.complex64)
    _stft_kernel(np.pad(y, N_FFT // 2), _window() / 2, _twiddles(), D.view(np.float32))
    return D


def _magnitude(y, block=32):
    """Compute the magnitude of `_stft` alone, in blocks that stay in the processor's cache."""
    padded, half_window, twiddles = np.pad(y, N_FFT // 2), _window() / 2, _twiddles()
    S = np.empty((1 + len(y) // HOP_LENGTH, N_FFT // 2 + 1), np.float32)
    D = np.empty((block, S.shape[1]), np.complex64)
    for first in range(0, len(S), block):
        rows = S[first : first + block]
        part = D[: len(rows)]
        _stft_kernel(padded[first * HOP_LENGTH :], half_window, twiddles, part.view(np.float32))
        np.abs(part, out=rows)
    return S


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


def _frozen(filters):
    """Return filters as float32 that nobody can write to, since a cache hands them out again."""
    filters = filters.astype(np.float32)
    filters.flags.writeable = False
    return filters


@lru_cache
def mel_filters(sr):
    """Build the Slaney mel filter bank of `librosa.filters.mel`, shape (128, 1025), float32."""
    f_sp, log_step = 200 / 3, np.log(6.4) / 27  # linear to 1 kHz (mel 15), logarithmic above
    top = sr / 2
    top_mel = top / f_sp if top < 1000 else 15 + np.log(top / 1000) / log_step
    mels = np.linspace(0, top_mel, N_MELS + 2)
    edges = np.where(mels < 15, mels * f_sp, 1000 * np.exp(log_step * (mels - 15)))
    ramps = edges[:, None] - np.fft.rfftfreq(N_FFT, 1 / sr)
    rise = -ramps[:-2] / np.diff(edges)[:-1, None]
    fall = ramps[2:] / np.diff(edges)[1:, None]
    area = 2 / (edges[2:] - edges[:-2])
    return _frozen(np.maximum(0, np.minimum(rise, fall)) * area[:, None])


@lru_cache
def _mel_groups(sr):
    """Cut the mel filter bank in groups of 16 filters and the bins that these see."""
    groups = []
    for filters in np.split(mel_filters(sr), N_MELS // 16):
        seen = np.flatnonzero(filters.any(axis=0))
        bins = slice(seen[0], seen[-1] + 1)
        groups.append((bins, np.ascontiguousarray(filters[:, bins].T)))
    return groups


def _mel(S, sr):
    power = S * S
    return np.concatenate([power[:, bins] @ part for bins, part in _mel_groups(sr)], axis=1)


def _decibels(power, top):
    """Convert power to decibels, clipped 80 dB under `top`, as `librosa.power_to_db`."""
    floor = max(1e-10, 1e-8 * top)
    return 10 * np.log10(np.maximum(power, power.dtype.type(floor)))


@lru_cache
def _dct_matrix():
    """Return the orthonormal DCT-II as a matrix, shape (n_mels, n_mfcc), float64."""
    angle = np.pi * (np.arange(N_MELS)[:, None] + 0.5) * np.arange(len(COLUMNS["mfcc"])) / N_MELS
    scale = np.where(np.arange(len(COLUMNS["mfcc"])), np.sqrt(2 / N_MELS), np.sqrt(1 / N_MELS))
    return scale * np.cos(angle)


@lru_cache(maxsize=100)
def chroma_filters(sr, tuning):
    """Build the chroma filter bank of `librosa.filters.chroma`, shape (12, 1025), float32."""
    a0 = 440 / 16 * 2 ** (tuning / 12)
    bins = 12 * np.log2(np.linspace(0, sr, N_FFT, endpoint=False)[1:] / a0)
    bins = np.concatenate(([bins[0] - 18], bins))  # 0 Hz: 1.5 octaves below bin 1
    width = np.append(np.maximum(np.diff(bins), 1), 1)
    distance = np.remainder(bins - np.arange(12)[:, None] + 6, 12) - 6
    bumps = np.exp(-0.5 * (2 * distance / width) ** 2)
    bumps /= np.linalg.norm(bumps, axis=0)
    bumps *= np.exp(-0.5 * ((bins / 12 - 5) / 2) ** 2)
    return _frozen(np.roll(bumps, -3, axis=0)[:, : N_FFT // 2 + 1])


def _chroma(S, sr, tuning):
    return _unit((chroma_filters(sr, tuning) @ S.T).T, np.max)


def _unit(rows, norm):
    """Divide each row by its norm; rows of (almost) nothing stay as they are."""
    length = norm(rows, axis=1, keepdims=True)
    return rows / np.where(length < np.finfo(rows.dtype).tiny, 1, length)


def _peaks(S, sr, bins_per_octave):
    """Find the spectral peaks of `librosa.piptrack`.

    Returns
    -------
    tunings : np.ndarray of int8, shape (n_peaks,)
        Deviation from A440 in hundredths of a bin, rounded down, plus 50: 0 to 99.
    magnitudes : np.ndarray of float32, shape (n_peaks,)
    """
    first, last = np.searchsorted(np.fft.rfftfreq(N_FFT, 1 / sr), [150, min(4000, sr / 2)])
    bins = np.empty(len(S) * (last - first))
    magnitudes = np.empty(len(bins), np.float32)
    n = _peaks_kernel(S, np.float32(0.1) * S.max(axis=1), first, last, bins, magnitudes)
    pitches = (bins[:n] * (sr / N_FFT)).astype(np.float32)
    x = bins_per_octave * np.log2(pitches / 27.5)
    x -= np.floor(x)
    x += 0.5
    x -= x >= 1
    return (np.float64(100) * x).astype(np.int8), magnitudes[:n].copy()


@_compiled()
def _peaks_kernel(S, thresholds, first, last, bins, magnitudes):
    """Write bin and height of each parabolic peak above its frame's threshold; count them."""
    n, found, peak = 0, np.empty(last - first, np.int64), np.empty(last - first, np.uint8)
    for t in range(len(S)):
        n_found, threshold = 0, thresholds[t]
        lows, mids, highs = S[t, first - 1 : last - 1], S[t, first:last], S[t, first + 1 : last + 1]
        for i in range(len(peak)):
            peak[i] = (mids[i] > threshold) & (mids[i] > lows[i]) & (mids[i] >= highs[i])
        for i in range(len(peak)):  # without a branch: a wrong guess costs more than a store
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
    """Return the magnitudes of these ranks out of all the parts, without putting them together."""
    if isinstance(parts, list):
        magnitudes = np.concatenate([m for _, m in parts])
        return np.partition(magnitudes, ranks)[ranks]
    # a coarse count tells where a rank lies: positive floats sort like their bits
    ends = np.cumsum(sum(np.bincount(_coarse(m), minlength=2**16) for _, m in parts))
    chosen = []
    for rank in ranks:
        bucket = np.searchsorted(ends, rank, "right")
        near = np.concatenate([m[_coarse(m) == bucket] for _, m in parts])
        rank -= ends[bucket] - len(near)
        chosen.append(np.partition(near, rank)[rank])
    return np.array(chosen)


def _coarse(magnitudes):
    return magnitudes.view(np.uint32) >> 16


CONTRAST_EDGES = (0, 200, 400, 800, 1600, 3200, 6400, np.inf)
"""Hz. Octave bands of the spectral contrast (Jiang et al. 2002)."""


@lru_cache
def _contrast_bands(sr):
    """Return first bin, bin after the last, and number of extremes per band, shape (7, 3)."""
    freqs = np.fft.rfftfreq(N_FFT, 1 / sr)
    firsts = np.maximum(0, np.searchsorted(freqs, CONTRAST_EDGES[:-1]) - 1)
    lasts = np.searchsorted(freqs, CONTRAST_EDGES[1:], "right")
    n_extremes = np.maximum(1, np.rint(0.02 * (lasts - firsts)).astype(int))
    lasts[:-1] -= 1  # counted above, but not looked at: librosa's bands are so
    return np.stack([firsts, lasts, n_extremes], axis=1)


def _extremes(S, sr):
    """Average the smallest and the largest 2 % of each band, shape (2, n_frames, 7) float64."""
    extremes = np.empty((2, len(S), len(CONTRAST_EDGES) - 1))
    _extremes_kernel(S, _contrast_bands(sr), extremes)
    return extremes


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


def _contrast(extremes, tops):
    valley, peak = (_decibels(e, top) for e, top in zip(extremes, tops, strict=True))
    return peak - valley


# Tonnetz: the harmonic part of the signal (median filters over time against those over frequency),
# its constant-Q chroma, and that projected on the tonal centroids.


WINDOW = 31
"""Frames, and bins, that a median of the harmonic-percussive separation sees."""
GROUP = 16
"""Medians that share their work: neighbouring windows have 16 of their 31 values in common."""


@lru_cache
def _median_network():
    """Build the comparator network that finds 16 neighbouring medians of 31 from 46 values.

    The 16 values that all windows hold are sorted once; then windows split in halves, each adds
    the values that its windows share and keeps those that can still be the median (Adams 2021,
    "Fast median filters using separable sorting networks", in one dimension). Values merge by
    Batcher's odd-even network; steps whose result no median needs are dropped.

    Returns
    -------
    steps : np.ndarray of int64, shape (n_steps, 4)
        0 for the minimum or 1 for the maximum; slot to write; two slots to read.
    outputs : np.ndarray of int64, shape (16,)
        Slots that hold the medians in the end; slots 0 to 45 hold the values at the start.
    n_slots : int
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
    """Drop the steps that no output needs, and let values share slots once nobody reads them."""
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


def _harmonic(D, S, n_samples):
    """Return the harmonic part of a signal, as `librosa.effects.harmonic`: soft mask, inverse."""
    percussive = np.ascontiguousarray(_median_rows(np.ascontiguousarray(S.T)).T)
    masked = np.empty_like(D)
    _mask_kernel(D.view(np.float32), S, _median_rows(S), percussive, masked.view(np.float32))
    return _istft(masked, n_samples)


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


def _istft(D, n_samples):
    """Invert a centred STFT, in the precisions of librosa."""
    import scipy.fft

    y = np.zeros((len(D) + 3, HOP_LENGTH), np.float32)
    _overlap_kernel(scipy.fft.irfft(D, N_FFT), _window(), y)
    return y.ravel()[N_FFT // 2 :][:n_samples]


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


CQT_BINS = 36
"""Constant-Q bins per octave: three to a semitone."""
CQT_OCTAVES = 7
CQT_FMIN = 440 * 2 ** (-45 / 12)
"""Hz: C1, the lowest bin."""
CQT_CUTOFF = 4166
"""Hz: where the highest filter ends; signals that reach over two octaves higher are decimated."""


@lru_cache(maxsize=100)
def _cqt_filters(sr, tuning):
    """Build the constant-Q filters of the top octave, which serve every octave after decimation.

    As `librosa.cqt`: windowed phasors, of which the Fourier transform loses the smallest 1 % of
    its magnitude.

    Returns
    -------
    filters : np.ndarray of complex64, shape (n_bins, 36)
    first : int
        The bin of the Fourier transform that the first row belongs to.
    n_fft : int
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
    spectrum[_smallest(np.abs(spectrum), 0.01)] = 0
    used = np.flatnonzero(spectrum.any(axis=0))
    return spectrum[:, used[0] : used[-1] + 1].T.astype(np.complex64), used[0], n_fft


def _smallest(magnitudes, share):
    """Mark the values of each row that together make less than `share` of its sum."""
    ordered = np.sort(magnitudes, axis=1)
    below = np.cumsum(ordered / ordered.sum(axis=1, keepdims=True), axis=1) < share
    return magnitudes < np.take_along_axis(ordered, below.argmin(axis=1)[:, None], axis=1)


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


@lru_cache
def _centroid_matrix():
    """Return the map from chroma to the tonal centroid space of Harte et al. (2006), (12, 6)."""
    intervals = np.array([7 / 6, 7 / 6, 3 / 2, 3 / 2, 2 / 3, 2 / 3])
    radii = np.array([1, 1, 1, 1, 0.5, 0.5])
    phase = np.arange(12)[:, None] * intervals - [0.5, 0, 0.5, 0, 0.5, 0]
    return (radii * np.cos(np.pi * phase)).astype(np.float32)


def _tonnetz(y, core, sr, tuning):
    octave = np.roll(_cqt_octave_sum(y, sr, tuning), 1, axis=1)  # a semitone's bins side by side
    chroma = octave.reshape(len(octave), 12, 3).sum(axis=2)
    return (_unit(chroma, np.sum) @ _centroid_matrix())[core]
