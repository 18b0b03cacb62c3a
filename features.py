"""The registry of all features, and how their frames become one vector.

`REGISTRY` has one record per feature; all functions below depend on these records alone. `frames`
gives the frame matrix of an array, `extract` its functionals (the vector for the models),
`feature_names` the name of every element; `frames_blocks` takes a long recording in pieces. A new
feature is one function, from the frames of a clip to a matrix, and its record in `REGISTRY`.

mfcc, chroma, mel, contrast and tonnetz are librosa's (`kernels.SpectralFrames`); the next four are
made for speech (`speech_features.SpeechFrames`); encoder, or "encoder:NAME" for another one, is
what a pre-trained network makes of speech (`encoder.EncoderFrames`).
"""

import re
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from operator import attrgetter
from typing import NamedTuple

import numpy as np

import speech_features as speech
from checks import check_names, moved
from encoder import BUNDLED, LAYERS, SIZE, EncoderFrames, full_name, load_encoder
from functionals import FUNCTIONALS, MATRICES, STEPS, Contour, check_functionals, steps_of
from kernels import CONTRAST_EDGES, HOP_LENGTH, N_MELS, N_MFCC, SpectralFrames, references
from parameters import SAMPLE_RATE
from speech_features import SpeechFrames

# After this block was freed, glibc keeps freed memory for the next arrays. Else it takes each anew,
# page fault by page fault: a fifth of the time of all five features.
np.empty(2**25 - 2**16, np.uint8)

NOTES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")

DEFAULT_FEATURES = ("mfcc", "chroma", "mel")

LIBRARIES = ("numba", "numpy", "scipy", "soundfile", "soxr")
"""Their versions may change a vector."""
ENCODER = "encoder"
"""The feature of the bundled encoder; that of another one is "encoder:NAME"."""

OTHER_ENCODERS = f"{ENCODER}:PATH.onnx", f"{ENCODER}:hf:NAME"  # the forms of the other names

DEFAULT_FUNCTIONALS, SPEECH_FUNCTIONALS = ("mean",), tuple(FUNCTIONALS)
ENCODER_FUNCTIONALS = ("mean", "std")
"""Those of the five features, of speech and of an encoder unless others are asked for."""


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
    source : type or EncoderSource
        SpectralFrames, SpeechFrames or that of an encoder: called with a signal and its rate, it
        measures the frames.
    functionals : tuple of str, unless others are asked for
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


class EncoderSource:
    """Measures clips with one encoder (see `encoder.EncoderFrames`), loaded when it is needed.

    Parameters
    ----------
    name : str
        See `encoder.load_encoder`.
    """

    frame_length, joined = EncoderFrames.frame_length, EncoderFrames.joined

    def __init__(self, name):
        self.name = name

    @property
    def encoder(self):
        return load_encoder(self.name)

    def __call__(self, y, sr, context=0):
        return EncoderFrames(y, sr, self.encoder, context)


def _of_encoder(name, layers, columns):
    """The record of the feature of an encoder."""
    return Feature(
        columns=columns,
        frames=attrgetter("values"),
        docs="inner layers of a pre-trained network: what it makes of the sound of speech",
        source=EncoderSource(name),
        functionals=ENCODER_FUNCTIONALS,
        sums=dict.fromkeys(("active", "loud"), columns),
        groups={f"{ENCODER}: layer {n}": f"((active|loud)_)?layer{n}_" for n in layers},
    )


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
    ENCODER: _of_encoder(
        BUNDLED, LAYERS, tuple(f"layer{layer}_{i}" for layer in LAYERS for i in range(1, SIZE + 1))
    ),
}
"""Name to feature, in the order in which a vector holds them."""


def _names_of(source):
    return tuple(name for name, record in REGISTRY.items() if record.source is source)


FEATURES = _names_of(SpectralFrames)
SPEECH_FEATURES = _names_of(SpeechFrames)
RECOMMENDED_FEATURES = (*SPEECH_FEATURES, ENCODER)
COLUMNS = {name: REGISTRY[name].columns for name in FEATURES}
"""Each of the five features to the names of its columns."""


def check_features(names):
    """Check names of features; return each once, in the order of a vector: tuple of str.

    Parameters
    ----------
    names : sequence of str, or one str
        Keys of `REGISTRY`; or "encoder:NAME", for the encoder that `encoder.load_encoder(NAME)`
        loads. The file of an encoder gets its absolute path, and is not opened.

    Raises
    ------
    ValueError
        For an unknown name, none at all, or two encoders.

    Examples
    --------
    >>> check_features(["encoder", "mel", "mfcc", "mel"])
    ('mfcc', 'mel', 'encoder')
    """
    names = [names] if isinstance(names, str) else [str(name) for name in names]
    names = [_full(name) if name.startswith(f"{ENCODER}:") else name for name in names]
    encoders = tuple(dict.fromkeys(filter(is_encoder, names)))
    if len(encoders) > 1:
        raise ValueError(f"A vector takes one encoder, not {', '.join(encoders)}; choose one")
    legal = [name for name in REGISTRY if name not in encoders]
    return check_names(names, (*legal, *encoders, *OTHER_ENCODERS), "feature")


def is_encoder(name):
    """Whether a feature is that of the bundled encoder or of another one.

    Parameters
    ----------
    name : str
    """
    return str(name).partition(":")[0] == ENCODER


def _full(name):
    """The feature's name with the full name of its encoder."""
    encoder = full_name(name.partition(":")[2])
    return ENCODER if encoder == BUNDLED else f"{ENCODER}:{encoder}"


def record(name):
    """The record of a feature; that of another encoder is made when first asked for: Feature.

    Parameters
    ----------
    name : str
        See `check_features`; an `encoder.EncoderError` says why an encoder can't be loaded.
    """
    return REGISTRY[name] if name in REGISTRY else _of_other(*check_features([name]))


@lru_cache
def _of_other(name):
    encoder = load_encoder(name.partition(":")[2])
    return _of_encoder(encoder.name, encoder.layers, tuple(encoder.columns))


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
    >>> group_of("voiced_pitch_mean"), group_of("duration"), group_of("loud_layer12_7_std")
    ('prosody: pitch', 'prosody: timing', 'encoder: layer 12')
    """
    for group, pattern in _groups().items():
        if re.match(pattern, name):
            return group
    if layer := re.match(r"(?:(?:active|loud)_)?layer(\d+)_\d", name):  # of another encoder
        return f"{ENCODER}: layer {layer[1]}"
    raise ValueError(f"No feature has an element {name!r}; see features.feature_names")


def groups_of(names):
    """The groups of elements, each once, in the order of the features: list of str.

    Parameters
    ----------
    names : sequence of str
        See `feature_names`.
    """
    found = dict.fromkeys(group_of(name) for name in names)
    known = [group for group in GROUPS if group in found]
    return known + [group for group in found if group not in GROUPS]


def version(names):
    """The declared versions of features, and those of the libraries that take part: str.

    For an encoder also the first digits of its SHA-256, and the libraries that run it.

    Parameters
    ----------
    names : sequence of str
        See `check_features`.

    Examples
    --------
    >>> version(["mel", "mfcc"]).split(", ")[:2]
    ['mfcc 1', 'mel 1']
    """
    import importlib.metadata

    declared, libraries = [], LIBRARIES
    for name in check_features(names):
        own = REGISTRY[ENCODER if is_encoder(name) else name]
        declared.append(f"{name.partition(':')[0]} {own.version}")
        if is_encoder(name):
            encoder = record(name).source.encoder
            layers = " and ".join(map(str, encoder.layers))
            declared[-1] += f" (layers {layers} of {encoder.sha256[:12]})"
            libraries = (*LIBRARIES, *encoder.libraries)
    libraries = [f"{name} {importlib.metadata.version(name)}" for name in libraries]
    return ", ".join(declared + libraries)


def blocks(features, functionals=None):
    """Sizes of the blocks of a vector, for a model of each (see `models.BlockLDA`): tuple of int.

    All features but an encoder are one block; each kind of frames of an encoder is one.

    Parameters
    ----------
    features, functionals
        See `extract`.

    Examples
    --------
    >>> blocks(["mfcc", "chroma", "encoder"]), blocks(["mfcc", "chroma"]), blocks(["encoder"])
    ((52, 2048, 2048), (52,), (2048, 2048))
    """
    names = check_features(features)
    others = [name for name in names if not is_encoder(name)]
    sizes = [len(feature_names(others, functionals))] if others else []
    for name in names[len(others) :]:
        n_kinds = len(_kinds(record(name)))
        sizes += [len(feature_names([name], functionals)) // n_kinds] * n_kinds
    return tuple(sizes)


def sources(features):
    """What measures the frames of features (see `Feature.source`), each once: tuple.

    Parameters
    ----------
    features : sequence of str
    """
    return tuple(dict.fromkeys(record.source for record in _records(features)))


# vectors and frames


class Frames(NamedTuple):
    """A frame matrix: values (n_frames, n_columns) float32, names of columns, times in seconds.

    The times are the centres of the frames. At 16 kHz the 1 + n_samples // 512 frames of the five
    features are 32 ms apart, those of speech 10 ms, those of the bundled encoder 20 ms.
    """

    values: np.ndarray
    columns: list
    times: np.ndarray


def extract(y, sr=SAMPLE_RATE, *, features=DEFAULT_FEATURES, functionals=None):
    """Compute the vector of a signal: the functionals of its frames.

    Parameters
    ----------
    y : ndarray (n_samples,) of float, SpeechFrames, EncoderFrames, or dict
        Mono signal, any length from one sample; or measured frames, if all features need the same;
        or a dict from each of `sources` to the frames that it has measured.
    sr : int
        Sampling rate in Hz.
    features : sequence of str
        Keys of `REGISTRY`, or of another encoder (see `check_features`); the vector keeps its order
        whatever the order here.
    functionals : sequence of str, "frames" or "steps", optional
        Any of `FUNCTIONALS`, for all features. Default: the mean for the five features, all
        for those of speech, `ENCODER_FUNCTIONALS` for an encoder.

    Returns
    -------
    ndarray (n_features,) float32
        All columns of the first functional, then of the next; `feature_names` names them. With
        "frames" the matrix of `frames`, (n_frames, n_columns); for the features of speech and of an
        encoder from the first frame that isn't silent to the last. "steps": see `steps_of`.

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
    if functionals in MATRICES:
        clip = _measured(y, sr, _only_source(records))
        found = _matrix(clip, records)[clip.rows("active")]
        return steps_of(found) if functionals == STEPS else found
    clips, sums = {}, {}
    for source in {record.source for record in records}:
        options = {"silence": False} if source is SpeechFrames else {}
        clips[source] = _measured(y, sr, source, **options)
        sums |= _summed(clips[source], tuple(r for r in records if r.source is source), functionals)
    parts = []
    for neighbours in _neighbours(records, functionals):
        for kind in _kinds(neighbours[0]):
            parts.append(np.concatenate([sums[r, kind] for r in neighbours], axis=1).ravel())
        parts += [record.of_clip(clips[record.source]) for record in neighbours if record.facts]
    return np.concatenate(parts, dtype=np.float32)


def _summed(clip, records, functionals):
    """Functionals of the columns of features: dict of record and kind to (n_functionals, n)."""
    matrix, sums = _matrix(clip, records), {}
    for kind, (places, owners) in _places(records).items():  # all features at once: faster
        contour = Contour(matrix.T[places][:, clip.rows(kind)].T)
        for own in {functionals or record.functionals for record in owners}:
            summed = np.concatenate([FUNCTIONALS[name](contour) for name in own], dtype=np.float32)
            for record, columns in owners.items():
                if own == (functionals or record.functionals):
                    sums[record, kind] = summed.reshape(len(own), -1)[:, columns]
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
        kind: (slice(None) if places == whole else np.array(places), owners)
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
        See `extract`; "frames" and "steps" give the names of columns.

    Examples
    --------
    >>> feature_names(["tonnetz"])[0], feature_names(["prosody"], ["p50"])[15]
    ('tonnetz_fifth_x_mean', 'voiced_pitch_p50')
    """
    records, functionals = _records(features), check_functionals(functionals)
    if functionals in MATRICES:
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
        Any of `FEATURES`, any of `SPEECH_FEATURES`, or an encoder's (but of one kind: their frames
        differ); the columns keep their canonical order whatever the order here.

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


def _measured(y, sr, source, **options):
    """The frames of a signal, unless it is measured already."""
    if isinstance(y, dict):
        return y[source]
    if isinstance(y, EncoderFrames if isinstance(source, EncoderSource) else source):
        return y
    return source(_check_signal(y), _check_rate(sr), **options)


def _only_source(records):
    """The one class that measures the frames of all these features."""
    kinds = {record.source: record.source.frame_length for record in records}
    if len(kinds) == 1:
        return next(iter(kinds))
    kinds = [f"{', '.join(_names_of(s)) or ENCODER} have frames of {kinds[s]}" for s in kinds]
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
        Any of `FEATURES`, or an encoder's, which takes one pass.

    Yields
    ------
    Frames
        Consecutive parts of the matrix of `frames`, of about a thousand frames. Those of an encoder
        differ from it by up to 1e-3.

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
    names = check_features(features)
    encoders = [name for name in names if is_encoder(name)] or [ENCODER]
    records = _records(check_names(names, (*_names_of(SpectralFrames), *encoders), "feature"))
    source, sr = _only_source(records), _check_rate(sr)
    read = blocks if callable(blocks) else lambda: blocks
    if isinstance(source, EncoderSource):
        signal = map(_check_signal, read())
        signal = signal if sr == SAMPLE_RATE else _resampled(signal, sr)
        parts = source.encoder.blocks(signal)
        return (Frames(values, _columns(records), times) for values, times in parts)
    if read is not blocks and iter(blocks) is blocks:
        raise ValueError("blocks can be read only once: give a list, or a function that opens it")
    return _frames_blocks(read, sr, records)


def _resampled(blocks, sr):
    """Resample the blocks of a signal to 16 kHz, as they come."""
    import soxr

    resampler = soxr.ResampleStream(sr, SAMPLE_RATE, 1)
    for block in blocks:
        yield resampler.resample_chunk(block)
    yield resampler.resample_chunk(np.empty(0, np.float32), last=True)


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
    return tuple(map(record, check_features(names)))


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
        "functionals": "Course=Contour FRAMES LAGS N_DCT N_WAVES=N_DCT PERCENTS",
        "features": "VOICE_FEATURES=SPEECH_FEATURES VOICE_FUNCTIONALS=SPEECH_FUNCTIONALS",
        "kernels": "CQT_BINS CQT_CUTOFF CQT_FMIN CQT_OCTAVES GROUP N_FFT WINDOW chroma_filters "
        "mel_filters",
    },
)
