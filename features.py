"""The registry of all features, and how their frames become one vector.

`REGISTRY` has one record per feature; all functions below depend on these records alone. `frames`
gives the frame matrix of an array, `extract` its functionals (the vector for the models),
`feature_names` the name of every element; `frames_blocks` takes a long recording in pieces. A new
feature is one function, from the frames of a clip to a matrix, and its record in `REGISTRY`.

mfcc, chroma, mel, contrast and tonnetz are librosa's (`kernels.SpectralFrames`); the others are
made for speech (`speech_features.SpeechFrames`).
"""

import re
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from operator import attrgetter
from typing import NamedTuple

import numpy as np

import speech_features as speech
from checks import check_names, moved
from kernels import CONTRAST_EDGES, HOP_LENGTH, N_MELS, N_MFCC, SpectralFrames, references
from parameters import SAMPLE_RATE
from speech_features import SpeechFrames

# After one large block was freed, glibc keeps freed memory for the next arrays. Else it returns and
# takes each array anew, page fault by page fault: a fifth of the time of all five features.
np.empty(2**25 - 2**16, np.uint8)

NOTES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")

DEFAULT_FEATURES = ("mfcc", "chroma", "mel")
FRAMES = "frames"
"""In place of functionals: `extract` returns the frames themselves."""

LIBRARIES = ("numba", "numpy", "scipy", "soundfile", "soxr")
"""Their versions may change a vector."""


# functionals


class Contour:
    """Columns over the frames of a clip, to be summed up by `FUNCTIONALS`.

    Parameters
    ----------
    values : ndarray (n_frames, n_columns) of float
    """

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

    def _moment(self, order):
        """Average a power (3 or 4) of the standardised values; 0 where they never change."""
        square = self.centred * self.centred
        power = square * (self.centred if order == 3 else square)
        return _average(power) / np.maximum(self.std, 1e-9) ** order

    @cached_property
    def dct(self):
        """DCT coefficients 1 to 6 over time (6, n_columns): slope, bend, slow oscillations."""
        time = (np.arange(len(self.values)) + 0.5) / len(self.values)
        cosines = np.cos(np.pi * np.outer(np.arange(1, N_DCT + 1), time)) / len(self.values)
        return cosines.astype(self.values.dtype) @ self.centred

    def _autocorrelation(self, lag):
        """Correlate each column with itself `lag` frames earlier; 0 in shorter clips."""
        products = self.centred[lag:] * self.centred[:-lag]
        return _average(products) / np.maximum(self.std**2, 1e-6)

    def _change(self):
        """Average the absolute change from one frame to the next; 0 for a single frame."""
        return _average(np.abs(np.diff(self.values, axis=0)))


def _average(values):
    """Mean over the frames (n_columns,) float64, 0 without any; in a tenth of numpy's time."""
    total = np.ones(len(values), values.dtype) @ values
    return total.astype(np.float64) / max(1, len(values))


PERCENTS = 1, 5, 25, 50, 75, 95, 99
N_DCT = 6
LAGS = 5, 10, 20, 40  # frames
FUNCTIONALS = {
    "mean": lambda contour: contour.mean,
    "std": lambda contour: contour.std,
    **{f"p{p}": lambda contour, p=p: contour.percentiles[p] for p in PERCENTS},
    "iqr": lambda contour: contour.percentiles[75] - contour.percentiles[25],
    "range": lambda contour: contour.percentiles[95] - contour.percentiles[5],
    "skew": lambda contour: np.cbrt(contour._moment(3)),
    "kurtosis": lambda contour: np.log1p(contour._moment(4)),
    "change": lambda contour: contour._change(),
    **{f"dct{k + 1}": lambda contour, k=k: contour.dct[k] for k in range(N_DCT)},
    **{f"autocorrelation{n}": lambda contour, n=n: contour._autocorrelation(n) for n in LAGS},
}
"""Functional to its function, from a `Contour` to values (n_columns,)."""

DEFAULT_FUNCTIONALS = ("mean",)
"""Those of the five features unless others are asked for."""

SPEECH_FUNCTIONALS = tuple(FUNCTIONALS)
"""Those of the features of speech unless others are asked for."""

_OLD_FUNCTIONALS = {f"wave{k + 1}": f"dct{k + 1}" for k in range(N_DCT)} | {
    f"echo{lag}": f"autocorrelation{lag}" for lag in LAGS
}


# the registry


@dataclass(frozen=True, eq=False, kw_only=True)
class Feature:
    """What a feature consists of.

    Parameters
    ----------
    columns : tuple of str
        One value per frame each.
    frames : callable
        From the frames of a clip (an instance of `source`) to a matrix (n_frames, n_columns).
    docs : str
        One line for help texts.
    source : type
        SpectralFrames or SpeechFrames: called with a signal and its rate, it measures the frames.
    functionals : tuple of str
        The functionals unless others are asked for.
    sums : dict of str to sequence of str, optional
        Kinds of frames to the columns that are summed up over them. Default: all columns over the
        active frames, functional by functional with those of the features before.
    facts : tuple of str
        Names of single values of the whole clip.
    of_clip : callable, optional
        From the frames of a clip to these values (n_facts,).
    groups : dict of str to str, optional
        Groups of elements in explanations, to patterns of the elements' names. Default: one group,
        named as the feature, of the elements whose names begin with it.
    refers_to : tuple of str
        Measures of SpectralFrames whose reference the values need; see `kernels.references`.
    version : int
        Raise it when the same sound gives other values: it keeps cached vectors apart.
    """

    columns: tuple
    frames: Callable
    docs: str
    source: type = SpectralFrames
    functionals: tuple = DEFAULT_FUNCTIONALS
    sums: dict | None = None
    facts: tuple = ()
    of_clip: Callable | None = None
    groups: dict | None = None
    refers_to: tuple = ()
    version: int = 1


def _of_speech(name, docs):
    """The record of a feature of `speech_features`."""
    return Feature(
        columns=speech.COLUMNS[name],
        frames=attrgetter(name),
        docs=docs,
        source=SpeechFrames,
        functionals=SPEECH_FUNCTIONALS,
        sums=speech.SUMS[name],
        facts=speech.FACTS[name],
        of_clip=lambda clip: clip.facts(name),
        groups=speech.GROUPS.get(name),
    )


REGISTRY = {
    "mfcc": Feature(
        columns=tuple(f"mfcc_{i}" for i in range(1, N_MFCC + 1)),
        frames=attrgetter("mfcc"),
        docs="40 mel frequency cepstral coefficients: the envelope of the spectrum",
        refers_to=("power",),
    ),
    "chroma": Feature(
        columns=tuple(f"chroma_{note}" for note in NOTES),
        frames=attrgetter("chroma"),
        docs="energy of the 12 pitch classes",
        refers_to=("peaks",),
    ),
    "mel": Feature(
        columns=tuple(f"mel_{i}" for i in range(1, N_MELS + 1)),
        frames=attrgetter("power"),
        docs="power in 128 mel bands",
    ),
    "contrast": Feature(
        columns=tuple(f"contrast_{i}" for i in range(1, len(CONTRAST_EDGES))),
        frames=attrgetter("contrast"),
        docs="spectral contrast of 7 octave bands in dB",
        refers_to=("extremes",),
    ),
    "tonnetz": Feature(
        columns=tuple(f"tonnetz_{i}_{xy}" for i in ("fifth", "minor", "major") for xy in "xy"),
        frames=attrgetter("tonnetz"),
        docs="6 tonal centroids of the harmonic part",
        refers_to=("harmonic_peaks",),
    ),
    "spectrum": _of_speech("spectrum", "mel bands, cepstra and their changes"),
    "prosody": _of_speech("prosody", "pitch, loudness and timing"),
    "quality": _of_speech(
        "quality", "voice quality: slopes of the spectrum, harmonicity, harmonics"
    ),
    "modulation": _of_speech("modulation", "how strongly and how fast bands and energy change"),
}
"""Name to feature, in the order in which a vector holds them."""


def _names_of(source):
    return tuple(name for name, record in REGISTRY.items() if record.source is source)


FEATURES = _names_of(SpectralFrames)
SPEECH_FEATURES = _names_of(SpeechFrames)
RECOMMENDED_FEATURES = SPEECH_FEATURES
COLUMNS = {name: REGISTRY[name].columns for name in FEATURES}
"""Each of the five features to the names of its columns."""


def _groups():
    return {
        group: pattern
        for name, record in REGISTRY.items()
        for group, pattern in (record.groups or {name: f"{name}_"}).items()
    }


GROUPS = _groups()
"""Group of an explanation to the pattern of the elements that belong to it."""


@lru_cache(maxsize=16384)
def group_of(name):
    """The group of an element of a vector, or of a column of frames, in explanations: str.

    Parameters
    ----------
    name : str
        See `feature_names`.

    Raises
    ------
    ValueError
        If no feature has such an element.

    Examples
    --------
    >>> group_of("voiced_pitch_mean"), group_of("duration"), group_of("mfcc_1")
    ('prosody: pitch', 'prosody: timing', 'mfcc')
    """
    for group, pattern in _groups().items():
        if re.match(pattern, name):
            return group
    raise ValueError(f"No feature has an element {name!r}; see features.feature_names")


def version(names):
    """The declared versions of features, and those of the libraries that take part: str.

    Parameters
    ----------
    names : sequence of str
        Keys of `REGISTRY`.

    Examples
    --------
    >>> version(["mel", "mfcc"]).split(", ")[:2]
    ['mfcc 1', 'mel 1']
    """
    import importlib.metadata

    names = check_names(names, tuple(REGISTRY), "feature")
    declared = [f"{name} {REGISTRY[name].version}" for name in names]
    libraries = [f"{name} {importlib.metadata.version(name)}" for name in LIBRARIES]
    return ", ".join(declared + libraries)


# vectors and frames


class Frames(NamedTuple):
    """A frame matrix: values (n_frames, n_columns) float32, names of columns, times in seconds.

    The times are the centres of the frames. At 16 kHz the 1 + n_samples // 512 frames of the five
    features are 32 ms apart, those of speech 10 ms.
    """

    values: np.ndarray
    columns: list
    times: np.ndarray


def extract(y, sr=SAMPLE_RATE, *, features=DEFAULT_FEATURES, functionals=None):
    """Compute the vector of a signal: the functionals of its frames.

    Parameters
    ----------
    y : ndarray (n_samples,) of float, or SpeechFrames
        Mono signal, any length from one sample; or measured frames, for `SPEECH_FEATURES` only.
    sr : int
        Sampling rate in Hz.
    features : sequence of str
        Keys of `REGISTRY`; the vector keeps its order whatever the order here.
    functionals : sequence of str, or "frames", optional
        Any of `FUNCTIONALS`, for all features. Default: the mean for the five features, all
        for those of speech. "frames": none.

    Returns
    -------
    ndarray (n_features,) float32
        All columns of the first functional, then of the next; `feature_names` names them. With
        "frames" the matrix of `frames`, (n_frames, n_columns); for the features of speech from the
        first frame that isn't silent to the last.

    Raises
    ------
    ValueError
        If `y` is not a finite, non-empty 1-D array of floats, or a name is unknown.

    Examples
    --------
    >>> y = np.sin(2 * np.pi * 440 * np.arange(16000) / 16000)
    >>> extract(y).shape, extract(y, features=["mel"], functionals=["mean", "std"]).shape
    ((180,), (256,))
    """
    records, functionals = _records(features), check_functionals(functionals)
    if functionals == FRAMES:
        clip = _measured(y, sr, _only_source(records))
        return _matrix(clip, records)[clip.rows("active")]
    clips, sums = {}, {}
    for source in {record.source for record in records}:
        clips[source] = _measured(y, sr, source)
        own = tuple(record for record in records if record.source is source)
        sums |= _summed(clips[source], own, functionals)
    parts = []
    for neighbours in _neighbours(records, functionals):
        for kind in _kinds(neighbours[0]):
            parts.append(np.hstack([sums[record, kind] for record in neighbours]).ravel())
        parts += [record.of_clip(clips[record.source]) for record in neighbours if record.facts]
    return np.concatenate(parts).astype(np.float32)


def _summed(clip, records, functionals):
    """Functionals of the columns of features: dict of record and kind to (n_functionals, n)."""
    matrix, sums = _matrix(clip, records), {}
    for kind, (places, owners) in _places(records).items():  # all features at once: faster
        contour = Contour(matrix[clip.rows(kind)][:, places])
        for own in {functionals or record.functionals for record in owners}:
            summed = np.stack([FUNCTIONALS[name](contour) for name in own])
            for record, columns in owners.items():
                if own == (functionals or record.functionals):
                    sums[record, kind] = summed[:, columns]
    return sums


@lru_cache
def _places(records):
    """Kind of frames to the places of its columns in the matrix, and to the owners' slices."""
    found, before = defaultdict(lambda: ([], {})), 0
    for record in records:
        for kind, columns in _kinds(record).items():
            places, owners = found[kind]
            owners[record] = slice(len(places), len(places) + len(columns))
            places += [before + record.columns.index(column) for column in columns]
        before += len(record.columns)
    whole = [*range(before)]  # as a slice it costs no copy
    return {
        kind: (slice(None) if places == whole else places, owners)
        for kind, (places, owners) in found.items()
    }


def _kinds(record):
    """Kinds of frames to the columns that are summed up over them: dict."""
    return {"active": record.columns} if record.sums is None else record.sums


def _neighbours(records, functionals):
    """Records whose sums alternate in a vector, functional by functional: list of lists."""
    groups = defaultdict(list)
    for record in records:
        own = record.source, functionals or record.functionals
        groups[own if record.sums is None else record].append(record)
    return list(groups.values())


def feature_names(features=DEFAULT_FEATURES, functionals=None):
    """Name every element of the vector that `extract` returns: list of str.

    Parameters
    ----------
    features, functionals
        See `extract`; "frames" gives the names of the columns.

    Examples
    --------
    >>> feature_names(["tonnetz"])[0], feature_names(["prosody"], ["p50"])[15]
    ('tonnetz_fifth_x_mean', 'voiced_pitch_p50')
    """
    records, functionals = _records(features), check_functionals(functionals)
    if functionals == FRAMES:
        return _columns(records)
    found = []
    for neighbours in _neighbours(records, functionals):
        first = neighbours[0]
        for kind in _kinds(first):
            prefix = f"{kind}_" if first.sums else ""
            columns = [column for record in neighbours for column in _kinds(record)[kind]]
            own = functionals or first.functionals
            found += [f"{prefix}{column}_{name}" for name in own for column in columns]
        found += [fact for record in neighbours for fact in record.facts]
    return found


def frames(y, sr=SAMPLE_RATE, *, features=DEFAULT_FEATURES):
    """Compute the frame matrix of a signal: `Frames`.

    Parameters
    ----------
    y, sr
        See `extract`.
    features : sequence of str
        Any of `FEATURES`, or any of `SPEECH_FEATURES` (but not of both: their frames differ); the
        columns keep their canonical order whatever the order here.

    Raises
    ------
    ValueError
        See `extract`; or if the features have different frames.

    Examples
    --------
    >>> noise = np.random.default_rng(0).standard_normal(16000)
    >>> values, columns, times = frames(noise, features=["chroma"])
    >>> values.shape, columns[:3], float(times[1])
    ((32, 12), ['chroma_C', 'chroma_C#', 'chroma_D'], 0.032)
    """
    records = _records(features)
    return _frames(_measured(y, sr, _only_source(records)), records)


def _frames(clip, records):
    return Frames(_matrix(clip, records), _columns(records), clip.times)


def _columns(records):
    return [column for record in records for column in record.columns]


def _matrix(clip, records):
    """The columns of features (n_frames, n_columns) float32."""
    # from the last to the first: the spectrum that tonnetz computes serves the others
    parts = [record.frames(clip) for record in reversed(records)]
    return np.concatenate(parts[::-1], axis=1, dtype=np.float32)


def _measured(y, sr, source):
    """The frames of a signal, unless it is measured already."""
    return y if isinstance(y, source) else source(_check_signal(y), _check_rate(sr))


def _only_source(records):
    """The one class that measures the frames of all these features."""
    sources = [*dict.fromkeys(record.source for record in records)]
    if len(sources) == 1:
        return sources[0]
    kinds = [f"{', '.join(_names_of(s))} have frames of {s.frame_length}" for s in sources]
    raise ValueError(f"{', '.join(kinds)}: ask for one kind at a time")


def frames_blocks(blocks, sr=SAMPLE_RATE, *, features=DEFAULT_FEATURES):
    """Compute the frame matrix of a long signal piece by piece, as if in one.

    The values refer to the loudest moment and the tuning of the whole recording. These take a first
    pass over the signal, so the blocks are read twice. Memory doesn't grow with the length: the
    peaks for the tuning of chroma and tonnetz wait on disk (16 MB per hour and feature, in the
    system's temporary folder).

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
        Consecutive parts of the matrix of `frames`, of about a thousand frames.

    Raises
    ------
    ValueError
        See `extract`; or if `blocks` can be read only once.

    Examples
    --------
    >>> y = np.random.default_rng(0).standard_normal(100_000)
    >>> parts = [part.values for part in frames_blocks(np.array_split(y, 7))]
    >>> bool(np.allclose(np.concatenate(parts), frames(y).values, rtol=1e-4, atol=1e-3))
    True
    """
    records = _records(check_names(features, _names_of(SpectralFrames), "feature"))
    read = blocks if callable(blocks) else lambda: blocks
    if read is not blocks and iter(blocks) is blocks:
        raise ValueError("blocks can be read only once: give a list, or a function that opens it")
    return _frames_blocks(read, _check_rate(sr), records)


def _frames_blocks(read, sr, records):
    measures = dict.fromkeys(m for record in reversed(records) for m in record.refers_to)
    parts = (SpectralFrames(y, sr, core=core) for y, core, _ in _windows(read()))
    known = references(parts, measures)
    for y, core, first in _windows(read()):
        part = SpectralFrames(y, sr, core=core, first=first, references=known)
        yield _frames(part, records)


def _windows(blocks, n_core=1024, context=128):
    """Cut a signal in windows of `n_core` frames plus what these depend on at either side.

    tonnetz depends on most: 15 frames of a median, 3 of the overlap, 32 of the lowest constant-Q
    filters, and the tails of six resamplers. Yields the window, its own frames as a slice, and the
    number of the first of these in the whole signal.
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


def _records(names):
    return tuple(REGISTRY[name] for name in check_names(names, tuple(REGISTRY), "feature"))


def check_functionals(names):
    """Return names of functionals in canonical order, each once; None and "frames" stay.

    Parameters
    ----------
    names : sequence of str, "frames" or None
        Any of `FUNCTIONALS`.
    """
    if names is None or names == FRAMES:
        return names
    names = [names] if isinstance(names, str) else names
    names = [_OLD_FUNCTIONALS.get(name, name) for name in names]
    return check_names(names, tuple(FUNCTIONALS), "functional")


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


__getattr__ = moved(
    __name__,
    {
        "checks": "check_name",
        "features": "Course=Contour N_WAVES=N_DCT VOICE_FEATURES=SPEECH_FEATURES "
        "VOICE_FUNCTIONALS=SPEECH_FUNCTIONALS",
        "kernels": "CQT_BINS CQT_CUTOFF CQT_FMIN CQT_OCTAVES GROUP N_FFT WINDOW chroma_filters "
        "mel_filters",
    },
)
