"""Frames of a pre-trained speech encoder (embeddings over time).

    encoder = load_encoder()                     # the bundled one: Whisper base, layers 2 and 3
    encoder.encode(y)                            # (n_frames, 1024), 50 frames a second

    load_encoder("wavlm.onnx@0,1")               # another one: outputs 0 and 1 of an ONNX file
    load_encoder("hf:microsoft/wavlm-base@6,9")  # layers 6 and 9 of one that transformers loads

The encoder is frozen: nothing here is trained. Long recordings are encoded in overlapping windows,
in constant memory. The bundled encoder has windows of 4 s, about the length of clips, because its
frames depend on their place in the window: in the 30 s that Whisper was trained with, they differ
from those of clips.
"""

import hashlib
import math
import os
import re
from collections.abc import Callable
from functools import lru_cache, partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from checks import SourceError, check_name, quiet_stderr, read_file
from parameters import SAMPLE_RATE

BUNDLED = "whisper-base"
FRAME_RATE, SIZE = 50, 512  # frames a second, values per frame and layer of the bundled encoder
N_LAYERS, LAYERS = 4, (2, 3)  # its layers, and those that are used by default

WINDOW, OVERLAP = 30, 6  # seconds, of long recordings; see benchmarks/bench_encoder.py
BUNDLED_WINDOW, BUNDLED_OVERLAP = 4, 1  # seconds, of the bundled encoder
N_FFT, HOP_LENGTH, N_MELS = 400, 160, 80  # of the log-mel spectrogram
HANN = np.hanning(N_FFT + 1)[:-1].astype(np.float32)  # periodic
LEVEL, SPAN = 1.0, 7.0
"""log10 of power: the loudest value of a window, and the distance of the floor below it.

Recordings differ in level by up to 3, and in the noise between words, and the encoder depends on
both. With Whisper's own span, 8, the frames of clean and of noisy speech differ more.
"""

ACTIVE, LOUD = 3.0, 2.5  # log10 of power below the loudest frame of a clip
SHORTEST = 1600  # samples; shorter waveforms are padded with zeros
LARGEST = 2**31  # bytes of an ONNX file
FRAME_RATES = 1, 400  # frames a second that an encoder may give
PROBES = 16_000, 33_920  # samples; they differ by a multiple of all usual hops: 160, 256, 320, 512

FOLDER = Path(__file__).resolve().parent / "models"
PRECISIONS = {
    "int8": (
        "whisper-base-encoder.onnx",
        "b39bac90731b22b3de79ae221d1343525742f7339c342c60ec9cb9979feb4203",
    ),
    "float16": (
        "whisper-base-encoder-float16.onnx",
        "88c2dc37a1383a841e81041e94e04ad9258c0a1e1ef9c215933c0811d91e204c",
    ),
}
"""Precision of the bundled encoder to its file in `models/` and the file's sha256.

The environment variable `SER_ENCODER_PRECISION` chooses; the repository holds the first. See
`models/NOTICE.md`.
"""


class EncoderError(ValueError):
    """An encoder that can't be loaded or used; the message says which, why, and what to do."""


# Whisper's input


def log_mel(y, *, n_mels=N_MELS, level=None, span=8.0):
    """Compute Whisper's log-mel spectrogram: ndarray (n_frames, n_mels) float32.

    Hann windows of 25 ms every 10 ms, power in Slaney's mel bands up to 8 kHz, log10, a floor at
    `span` below the loudest value, (x + 4) / 4 (Radford et al. 2022, "Robust speech recognition via
    large-scale weak supervision"). n_frames is n_samples // 160, at least 1.

    Parameters
    ----------
    y : ndarray (n_samples,) float
        Mono signal at 16 kHz.
    n_mels : int, default 80
    level : float, optional
        log10 of power to which the loudest value is set, as by a gain. Default: unchanged.
    span : float, default 8
        log10 of power.

    Examples
    --------
    >>> y = np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000)
    >>> log_mel(y).shape
    (100, 80)
    >>> np.allclose(log_mel(y, level=1.0), log_mel(y / 500, level=1.0), atol=1e-4)
    True
    """
    import scipy.fft

    half = N_FFT // 2
    if len(y) <= half:  # too short to be reflected
        y = np.pad(y, (0, half + 1 - len(y)))
    y = np.concatenate([y[half:0:-1], y, y[-2 : -half - 2 : -1]]).astype(np.float32)
    frames = np.lib.stride_tricks.sliding_window_view(y, N_FFT)[::HOP_LENGTH][:-1]
    spectrum = scipy.fft.rfft(frames * HANN, axis=1)
    power = (np.square(spectrum.real) + np.square(spectrum.imag)) @ mel_filters(n_mels)
    if level is None:
        logs = np.log10(np.maximum(power, np.float32(1e-10)))
        logs = np.maximum(logs, logs.max() - np.float32(span))
    else:
        loudest = np.maximum(power.max(), np.float32(1e-10))
        logs = np.log10(np.maximum(power / loudest, np.float32(10**-span))) + np.float32(level)
    return (logs + 4) / 4


@lru_cache
def mel_filters(n_mels=N_MELS):
    """Make the filters of `librosa.filters.mel(sr=16000, n_fft=400)`: (201, n_mels) float32."""
    f_sp, log_step = 200 / 3, np.log(6.4) / 27  # linear to 1 kHz (mel 15), logarithmic above
    mels = np.linspace(0, 15 + np.log(SAMPLE_RATE / 2000) / log_step, n_mels + 2)
    edges = np.where(mels < 15, mels * f_sp, 1000 * np.exp(log_step * (mels - 15)))
    ramps = edges[:, None] - np.fft.rfftfreq(N_FFT, 1 / SAMPLE_RATE)
    rise = -ramps[:-2] / np.diff(edges)[:-1, None]
    fall = ramps[2:] / np.diff(edges)[1:, None]
    area = 2 / (edges[2:] - edges[:-2])
    filters = np.maximum(0, np.minimum(rise, fall)) * area[:, None]
    filters = np.ascontiguousarray(filters.T, dtype=np.float32)
    filters.setflags(write=False)  # the cache returns the same array again
    return filters


# encoders and their frames


class Network(NamedTuple):
    """What computes the frames, and the form of its input."""

    run: Callable  # (at most `window` samples, layers) -> list of (n_frames, size)
    sha256: str  # of the file that it is loaded from
    sizes: tuple  # values per frame, layer by layer; 0 for a layer that gives no frames
    libraries: tuple  # distributions that it needs
    frame_rate: float  # frames a second
    first: float  # seconds from the start of the signal to the centre of the first frame
    window: int  # samples that are encoded at once
    overlap: int  # samples that neighbouring windows share


class Encoder:
    """A pre-trained encoder, as `load_encoder` returns it: immutable, safe in threads.

    It is pickled by its name, and loaded again by it in another process.

    Parameters
    ----------
    name : str
        See `full_name`.
    network : Network
    layers : tuple of int
        Layers whose frames it gives, concatenated.

    Attributes
    ----------
    name, layers, sha256, libraries, frame_rate
        See above and `Network`.
    size : int
        Values per frame and layer.
    columns : tuple of str
        Names of the values of a frame, such as layer2_1 to layer3_512.
    """

    def __init__(self, name, network, layers):
        self.name, self.layers, self._network = name, layers, network
        self.sha256, self.libraries = network.sha256, network.libraries
        self.frame_rate, self.size = network.frame_rate, network.sizes[layers[0]]
        self.columns = tuple(
            f"layer{n}_{i}" for n in layers for i in range(1, network.sizes[n] + 1)
        )

    def __repr__(self):
        return f"load_encoder({self.name!r})"

    def __reduce__(self):
        return _again, (self.name, self.sha256)

    def same_as(self, sha256):
        """Whether `sha256` (str) is that of the same encoder, in any precision: bool."""
        bundled = {form_sha256 for _, form_sha256 in PRECISIONS.values()}
        return sha256 == self.sha256 or {sha256, self.sha256} <= bundled

    def times(self, n_frames):
        """Centres of the first `n_frames` frames of a signal, in seconds: ndarray (n_frames,)."""
        return self._network.first + np.arange(n_frames) / self.frame_rate

    def encode(self, y):
        """Encode a signal: ndarray (n_frames, n_columns) float32.

        Parameters
        ----------
        y : ndarray (n_samples,) float
            Mono signal at 16 kHz, of any length from one sample.

        Raises
        ------
        EncoderError
            If `y` isn't a finite, non-empty 1-D array of floats.
        """
        parts = [values for values, _ in self.blocks([y])]
        if not parts:
            raise EncoderError("y has no samples; an encoder needs at least one.")
        return np.concatenate(parts)

    def blocks(self, blocks):
        """Encode a recording of any length in constant memory; yields values and times.

        The recording is cut into overlapping windows on a fixed grid, and the mean of each is
        subtracted. A frame is taken from the window whose middle is nearest. The values are
        those of `encode`, whatever the lengths of the blocks.

        Parameters
        ----------
        blocks : iterable of ndarray (n_samples,) float
            Consecutive pieces of a mono signal at 16 kHz.

        Yields
        ------
        values : ndarray (n_frames, n_columns) float32
        times : ndarray (n_frames,)
            Centres of the frames in the recording, in seconds.
        """
        width = self._network.window
        step = width - self._network.overlap
        pieces, n_held, start = [], 0, 0  # `start`: sample of the recording where `pieces` begin
        for block in blocks:
            pieces.append(_checked(block))
            n_held += len(block)
            while n_held > width:
                held = np.concatenate(pieces) if len(pieces) > 1 else pieces[0]
                yield self._window(held[:width], start)
                pieces, n_held, start = [held[step:]], n_held - step, start + step
        if n_held:
            yield self._window(np.concatenate(pieces), start, is_last=True)

    def _window(self, y, start, is_last=False):
        """Encode a window that begins at sample `start`, without the frames of its neighbours."""
        centred = (y - np.mean(y, dtype=np.float64)).astype(np.float32)
        values = np.concatenate(self._network.run(centred, self.layers), axis=1)
        if not np.isfinite(values).all():
            raise EncoderError(
                f"The encoder {self.name!r} gives values that aren't finite. Try another "
                "recording; if that fails, too, its file is damaged: export it again."
            )
        times = self.times(len(values)) + start / SAMPLE_RATE
        half = self._network.overlap // 2
        first = (start + half) / SAMPLE_RATE if start else -np.inf
        last = np.inf if is_last else (start + len(y) - half) / SAMPLE_RATE
        kept = slice(*np.searchsorted(times + 1e-6, (first, last)))
        return values[kept], times[kept]


def _checked(y):
    """Return `y` as float32 if it is a finite 1-D array of floats."""
    y = np.asarray(y)
    if y.ndim != 1 or not np.issubdtype(y.dtype, np.floating) or not np.isfinite(y).all():
        raise EncoderError(
            f"y must be a finite 1-D array of floats, not {y.ndim}-D of {y.dtype}; "
            "audio.load_audio returns one."
        )
    return y.astype(np.float32, copy=False)


class EncoderFrames:
    """The frames of one clip by an encoder; the counterpart of `speech_features.SpeechFrames`.

    Parameters
    ----------
    y : ndarray (n_samples,) float
        Mono signal; its mean is subtracted.
    sr : int
        Hz; signals at other rates than 16 kHz are resampled.
    encoder : Encoder, optional
        Default: the bundled one.
    context : int
        For a piece of a longer recording: number of samples at its start that belong to the
        previous piece. They are encoded, but their frames are left out.

    Attributes
    ----------
    values : ndarray (n_frames, n_columns) float32
        See `Encoder.columns`.
    loudness : ndarray (n_frames,)
        log10 of the power in the loudest mel band, plus 4.

    Examples
    --------
    >>> clip = EncoderFrames(np.sin(2 * np.pi * 220 * np.arange(16_000) / 16_000), 16_000)
    >>> clip.values.shape, clip.times[:3].tolist()
    ((50, 1024), [0.0, 0.02, 0.04])
    """

    frame_length = "20 ms"

    def __init__(self, y, sr, encoder=None, context=0):
        self.encoder = encoder or load_encoder()
        if sr != SAMPLE_RATE:
            import soxr

            y, context = soxr.resample(y, sr, SAMPLE_RATE), round(context * SAMPLE_RATE / sr)
        values = self.encoder.encode(y)
        times = self.encoder.times(len(values) + 1)
        n_dropped = int(np.searchsorted(times[:-1] + 1e-6, context / SAMPLE_RATE))
        self.values = values[n_dropped:]
        self.loudness = _loudness(y - np.mean(y, dtype=np.float64), times[n_dropped:-1])
        self._first = times[n_dropped] - context / SAMPLE_RATE

    @classmethod
    def joined(cls, pieces, frames=slice(None)):
        """Join the frames of consecutive pieces: EncoderFrames.

        Parameters
        ----------
        pieces : list of EncoderFrames
            By the same encoder.
        frames : slice
            Frames of the result; default all.
        """
        clip, first = cls.__new__(cls), pieces[0]
        clip.encoder, clip._first = first.encoder, first._first
        clip.values = np.concatenate([piece.values for piece in pieces])[frames]
        clip.loudness = np.concatenate([piece.loudness for piece in pieces])[frames]
        return clip

    @property
    def n_frames(self):
        """Number of frames: int."""
        return len(self.values)

    @property
    def times(self):
        """Centre of each frame in seconds: ndarray (n_frames,)."""
        return self._first + np.arange(self.n_frames) / self.encoder.frame_rate

    def rows(self, kind):
        """Indices of the frames of one kind, ascending: ndarray of int.

        Parameters
        ----------
        kind : {"active", "loud"}
            "active": from the first frame that isn't silent to the last; "loud": those within 25 dB
            of the loudest one.

        Raises
        ------
        ValueError
            For another kind.
        """
        check_name(kind, ("active", "loud"), "kind of frames")
        below = self.loudness.max() - self.loudness
        if kind == "loud":
            return np.flatnonzero(below < LOUD)
        span = np.flatnonzero(below < ACTIVE)
        return np.arange(span[0], span[-1] + 1)


def _loudness(y, times):
    """log10 of the power in the loudest mel band, plus 4, at `times` in seconds: (n_times,)."""
    loudest = 4 * log_mel(y).max(axis=1)
    nearest = np.rint(times * SAMPLE_RATE / HOP_LENGTH).astype(int)
    return loudest[np.minimum(nearest, len(loudest) - 1)]


# loading


def full_name(name):
    """Check the form of an encoder's name, and complete it: str. Nothing is opened.

    Parameters
    ----------
    name : str
        "whisper-base" (bundled), the path of an ONNX file (it ends in .onnx), or "hf:NAME" for a
        model or folder that transformers loads. A suffix "@2,3" chooses layers.

    Returns
    -------
    str
        With an absolute path and layers in ascending order, without layers if they are the default.

    Raises
    ------
    EncoderError
        For a name of another form.

    Examples
    --------
    >>> full_name("whisper-base@3,2"), full_name("hf:microsoft/wavlm-base@9,6")
    ('whisper-base', 'hf:microsoft/wavlm-base@6,9')
    """
    base, layers = _taken_apart(name)
    if re.fullmatch(r"hf:\S.*", base):
        folder = Path(base[3:]).expanduser()
        base = f"hf:{folder.resolve()}" if folder.is_dir() else base
    elif base.endswith(".onnx"):
        base = str(Path(base).expanduser().resolve())
    elif base != BUNDLED:
        raise EncoderError(
            f"Unknown encoder {str(name)!r}; choose from {BUNDLED}, the path of an ONNX file (it "
            'ends in .onnx), and hf:NAME for a model of transformers. A suffix "@2,3" chooses '
            "layers."
        )
    default = not layers or (base == BUNDLED and layers == LAYERS)
    return base if default else f"{base}@{','.join(map(str, layers))}"


def _taken_apart(name):
    """Split a name: the name without layers, and the layers, ascending, () for none."""
    base, layers = re.fullmatch(r"(.*?)(?:@(\d+(?:,\d+)*))?", str(name), re.DOTALL).groups()
    return base, tuple(sorted({int(layer) for layer in layers.split(",")})) if layers else ()


def load_encoder(name=BUNDLED):
    """Load a pre-trained encoder: Encoder. The bundled one opens its file when it is first used.

    Parameters
    ----------
    name : str, default "whisper-base"
        See `full_name`. Layer n is the output of block n of a transformer (0 is the input of the
        first one), or output n of an ONNX file, from 0. Default: layers 2 and 3 of the bundled
        encoder, the last one of others.

    Returns
    -------
    Encoder

    Raises
    ------
    EncoderError
        If there is no such encoder or layer, or it can't be used.

    Examples
    --------
    >>> load_encoder().layers, load_encoder("whisper-base@0").columns[-1]
    ((2, 3), 'layer0_512')
    """
    name = full_name(name)
    if not name.startswith(BUNDLED):
        return _loaded(name)
    precision = os.environ.get("SER_ENCODER_PRECISION", "int8")
    if precision not in PRECISIONS:
        raise EncoderError(
            f"SER_ENCODER_PRECISION is {precision!r}; set it to {' or '.join(PRECISIONS)}, or "
            "unset it."
        )
    return _loaded(name, precision)


@lru_cache(maxsize=16)
def _loaded(name, precision=None):
    """The encoder of a full name."""
    base, layers = _taken_apart(name)
    network = _network(base, precision)
    legal = [layer for layer, size in enumerate(network.sizes) if size]
    layers = layers or (LAYERS if base == BUNDLED else (legal[-1],))
    if not set(layers) <= set(legal):
        raise EncoderError(
            f"The encoder {base!r} has no layers {', '.join(map(str, layers))}; choose from "
            f"{', '.join(map(str, legal))}."
        )
    return Encoder(name, network, layers)


def _again(name, sha256):
    """Load an encoder that was pickled."""
    encoder = load_encoder(name)
    if not encoder.same_as(sha256):
        raise EncoderError(
            f"The encoder {name!r} has changed: its sha256 is {encoder.sha256}, not {sha256}. "
            "Restore the former file, or train with this one."
        )
    return encoder


@lru_cache(maxsize=4)
def _network(base, precision):
    """The network of a full name without layers."""
    if base == BUNDLED:
        _, sha256 = PRECISIONS[precision]
        what = partial(_bundled, precision), sha256, (SIZE,) * N_LAYERS, ("onnxruntime",)
        windows = BUNDLED_WINDOW * SAMPLE_RATE, BUNDLED_OVERLAP * SAMPLE_RATE
        return Network(*what, FRAME_RATE, 0.0, *windows)
    return _of_transformers(base[3:]) if base.startswith("hf:") else _of_onnx(Path(base))


def _bundled(precision, y, layers):
    """Encode with the bundled encoder; the first call opens its file."""
    names = [f"layer_{layer}" for layer in layers]
    spectrogram = {"log_mel": log_mel(y, level=LEVEL, span=SPAN).T[None]}
    return [values[0] for values in _bundled_session(precision).run(names, spectrogram)]


@lru_cache
def _bundled_session(precision):
    """Open the bundled encoder in one of `PRECISIONS`."""
    name, sha256 = PRECISIONS[precision]
    path = FOLDER / name
    if not path.exists():
        raise EncoderError(
            f"{path} is missing. models/NOTICE.md says how to make it: python "
            f"models/make_encoder.py WEIGHTS --precision {precision}"
        )
    content, found = _read(path)
    if found != sha256:
        raise EncoderError(
            f"{path} isn't the right file: its sha256 is {found}, not {sha256}. "
            "Check it out again, or make it as models/NOTICE.md says."
        )
    return _session(content, path)


def _read(path):
    """The content of an ONNX file, and its sha256."""
    try:
        content = read_file(path, LARGEST)
    except OSError as error:
        too_large = isinstance(error, SourceError) and path.is_file()
        advice = "Export it in float16 or int8" if too_large else "Check the path of the encoder"
        raise EncoderError(f"{path} can't be read ({error.strerror}). {advice}.") from error
    return content, hashlib.sha256(content).hexdigest()


def _session(content, path):
    """Open an ONNX file that holds its weights: InferenceSession."""
    try:
        with quiet_stderr():  # it warns if $HOME is read-only
            import onnxruntime as ort
    except ImportError as error:
        raise EncoderError(
            "An encoder needs onnxruntime: pip install -r requirements.txt"
        ) from error
    if _refers_to_files(content):  # they aren't covered by its sha256
        raise EncoderError(
            f"{path} refers to weights in other files; save them in it "
            "(onnx.save with save_as_external_data=False)."
        )
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1  # joblib shares the cores
    options.log_severity_level = 4
    options.add_session_config_entry("session.load_model_format", "ONNX")
    try:
        with quiet_stderr():
            return ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except _ort_errors() as error:
        raise EncoderError(
            f"{path} can't be loaded by onnxruntime ({_reason(error)}); export the encoder again."
        ) from error


def _refers_to_files(content):
    """Whether a tensor is stored in another file: a key "location" follows the key's length."""
    found = re.finditer(b"location", content)
    return any(content[match.start() - 1] in (8, 0) for match in found)  # 0: a padded length


def _reason(error):
    """The first sentence of a library's message."""
    return re.split(r"\n|\. ", str(error).strip())[0]


def _ort_errors():
    """The exceptions of onnxruntime, which have no common base class: tuple of types."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    return tuple(
        x for x in vars(state).values() if isinstance(x, type) and issubclass(x, Exception)
    )


# other encoders


def _of_onnx(path):
    """Load an ONNX file that takes a waveform or a log-mel spectrogram: Network."""
    content, sha256 = _read(path)
    session = _session(content, path)
    given = session.get_inputs()
    described = ", ".join(f"{x.name} {x.type} {x.shape}" for x in given) or "none"
    n_mels, length = _layout(given)
    if length is None:
        raise EncoderError(
            f"{path} has the inputs: {described}. An encoder has one input of float32: a waveform "
            "at 16 kHz, (n,) or (1, n), or a log-mel spectrogram, (1, 80, n) or (1, 128, n). "
            "Export it with that input alone."
        )

    def compute(y):
        x = log_mel(y, n_mels=n_mels, level=LEVEL, span=SPAN).T if n_mels else y
        x = np.ascontiguousarray(x).reshape((1,) * (len(given[0].shape) - x.ndim) + x.shape)
        try:
            return session.run(None, {given[0].name: x})
        except _ort_errors() as error:
            raise EncoderError(
                f"{path} can't encode {len(y)} samples ({_reason(error)}). Its inputs are: "
                f"{described}. Export it for a batch of 1 and a length that is variable or fixed."
            ) from error

    n_fixed = length * (HOP_LENGTH if n_mels else 1) if isinstance(length, int) else None
    return _probed(str(path), compute, sha256, ("onnxruntime",), n_fixed, is_centred=bool(n_mels))


def _layout(given):
    """Mel bands (0 for a waveform) and length of a file's input; None if it isn't usable."""
    shape = [n if isinstance(n, int) else "any" for n in given[0].shape] if given else []
    usable = len(given) == 1 and given[0].type == "tensor(float)"
    if usable and len(shape) == 3 and shape[0] in (1, "any") and shape[1] in (N_MELS, 128):
        return shape[1], shape[2]
    if usable and (len(shape) == 1 or (len(shape) == 2 and shape[0] in (1, "any"))):
        return 0, shape[-1]
    return 0, None


def _of_transformers(name):
    """Load a model, from a hub or a folder, by transformers: Network. Runs no code of the model."""
    try:
        import torch
        from transformers import AutoFeatureExtractor, AutoModel
    except ImportError as error:
        raise EncoderError(
            f"The encoder 'hf:{name}' needs transformers and torch: pip install -r "
            "requirements-encoders.txt. An encoder in ONNX needs neither."
        ) from error
    try:
        extractor = AutoFeatureExtractor.from_pretrained(name, trust_remote_code=False)
        model = AutoModel.from_pretrained(name, trust_remote_code=False).float().eval()
    except (OSError, ValueError, KeyError, ImportError, RuntimeError) as error:
        raise EncoderError(
            f"transformers can't load {name!r} ({_reason(error)}). Check the name and the "
            "connection. Export a model that transformers doesn't know, such as emotion2vec, to "
            "ONNX, and pass encoder=PATH.onnx"
        ) from error
    kind, rate = model.config.model_type, getattr(extractor, "sampling_rate", None)
    if rate != SAMPLE_RATE:
        raise EncoderError(
            f"{name!r} needs {rate} Hz, but the signals here have 16000 Hz; choose another encoder."
        )
    is_whisper = kind == "whisper"
    model = model.get_encoder() if is_whisper else model
    numbers = (tensor.contiguous().numpy() for tensor in model.state_dict().values())
    hashes = sorted(hashlib.sha256(values).hexdigest() for values in numbers)
    described = [kind, str(getattr(extractor, "do_normalize", None)), *hashes]

    def compute(y):
        inputs = extractor(y, sampling_rate=SAMPLE_RATE, return_tensors="pt")
        with torch.inference_mode():
            outputs = model(**inputs, output_hidden_states=True)
        return [states.numpy() for states in outputs.hidden_states or ()]

    sha256 = hashlib.sha256("\n".join(described).encode()).hexdigest()
    n_fixed = WINDOW * SAMPLE_RATE if is_whisper else None
    return _probed(
        f"hf:{name}", compute, sha256, ("torch", "transformers"), n_fixed, is_centred=is_whisper
    )


def _probed(name, compute, sha256, libraries, n_fixed, is_centred):
    """Find out the frames of a network by encoding two test signals: Network.

    `compute` returns all outputs for a signal of `n_fixed` samples, or of any length if that is
    None. The first frame is centred on the first sample, or begins there.
    """
    lengths = (n_fixed,) if n_fixed else PROBES
    noise = np.random.default_rng(0).normal(scale=0.1, size=max(lengths)).astype(np.float32)
    shapes = [[x.shape for x in compute(noise[:n])] for n in lengths]
    n_samples = n_fixed or lengths[1] - lengths[0]
    rates = []
    for shape, *longer in zip(*shapes, strict=True):
        is_matrix = len(shape) == 2 or (len(shape) == 3 and shape[0] == 1)
        gained = longer[0][-2] - shape[-2] if is_matrix and longer else is_matrix and shape[-2]
        rates.append(gained * SAMPLE_RATE / n_samples)
    low, high = FRAME_RATES
    usable = [rate for rate in rates if low <= rate <= high]
    if not usable:
        raise EncoderError(
            f"The encoder {name!r} gives {', '.join(map(str, shapes[-1])) or 'nothing'} for "
            f"{lengths[-1] / SAMPLE_RATE:.1f} s. It has to give frames, (1, n_frames, size), from "
            f"{low} to {high} a second; export its hidden states."
        )
    rate = usable[-1]
    sizes = [shape[-1] if own == rate else 0 for shape, own in zip(shapes[0], rates, strict=True)]

    def run(y, layers):
        n_padding = max(0, (n_fixed or SHORTEST) - len(y))
        outputs = compute(np.pad(y, (0, n_padding)))
        frames = [outputs[n].reshape(outputs[n].shape[-2:]) for n in layers]
        share = len(y) / n_fixed if n_fixed else 1
        return [x[: max(1, math.ceil(len(x) * share))].astype(np.float32) for x in frames]

    first, window = 0.0 if is_centred else 0.5 / rate, n_fixed or WINDOW * SAMPLE_RATE
    overlap = window * OVERLAP // WINDOW // 2 * 2
    return Network(run, sha256, tuple(sizes), libraries, rate, first, window, overlap)
