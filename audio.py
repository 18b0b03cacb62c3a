"""Load any audio as mono float32, or raise one clear `AudioError`.

libsndfile reads WAV, FLAC, OGG, MP3, AIFF, AU, CAF; ffmpeg the rest: m4a, mp4, webm, aac, amr, wma.
Both are read block by block, so that ten hours need no more memory than ten seconds:

`source -> blocks (n, n_channels) -> mono -> soxr -> load_audio, stream_audio`
"""

import contextlib
import io
import os
import selectors
import shutil
import stat
import struct
import subprocess
import tempfile
import threading
import warnings
from pathlib import Path
from subprocess import SubprocessError

import numpy as np
import soundfile as sf
import soxr

from checks import SourceError, moved, open_file, printable, quiet_stderr, temporary_folder
from containers import declared_end, has_xing_tag
from parameters import SAMPLE_RATE

MIN_RATE, MAX_RATE = 1_000, 768_000
"""Hz. A file whose header claims 1 Hz would become 16 000 times as long in the resampler."""

LOUDEST = 2.0**32
"""Larger samples are damage; 32-bit integers stored as floats are still below."""

UNSCALED = 128.0
"""42 dB over full scale: larger floats are, as a rule, integers that weren't scaled."""

ENOUGH = 0.1
"""Seconds; a shorter readable part of a damaged recording isn't returned."""

MOST_CHANNELS = 32
"""An array with this many rows or fewer, and more columns, has its channels in rows."""

BLOCK_SAMPLES = 2**18
"""Samples (frames × channels) decoded at a time: 1 MiB of float32."""

FFMPEG_TIMEOUT = 60.0
"""Seconds within which ffmpeg has to deliver each block."""

STREAM_TIMEOUT = 60.0
"""Seconds within which a pipe has to deliver its next byte, or end."""

STREAM_LIMIT = 2**32
"""Bytes that are read from a stream (stdin, a pipe, an open file): the most that a WAV can hold."""

# Containers only. Left out on purpose: playlists (hls, concat, dash, sdp) and image sequences,
# through which a text named .wav would have ffmpeg open other files.
FFMPEG_FORMATS = (
    "aac,ac3,aiff,amr,amrnb,amrwb,ape,asf,au,avi,caf,dsf,dts,eac3,flac,flv,gsm,iff,loas,matroska,"
    "mov,mp3,mpc,mpc8,mpeg,mpegts,nut,ogg,qcp,rm,tak,tta,voc,w64,wav,wv"
)
FFMPEG_COMMAND = (
    "{ffmpeg} -nostdin -hide_banner -v error -threads 1"
    " -format_whitelist {formats} -protocol_whitelist file -i {source}"
    " -map 0:a:0 -vn -map_metadata -1 -c:a pcm_f32be -f au pipe:1"
)
"""It is split at its spaces before the names are filled in, so that spaces in names are safe."""

UNKNOWN_FRAMES = 2**63 - 1
"""Number of frames that libsndfile gives for a stream that doesn't declare its length."""

SEEKABLE = "AIFF", "AU", "CAF", "FLAC", "RF64", "W64", "WAV", "WAVEX"
"""Formats in which libsndfile can seek, so that a segment is read without what precedes it."""

INTEGERS = {"int8": (0, 7), "uint8": (128, 7), "int16": (0, 15), "uint16": (32768, 15)}
INTEGERS |= {"int32": (0, 31)}  # dtype: (offset, exponent of full scale)

SOURCE_ERRORS = (OSError, RuntimeError, ValueError, MemoryError, OverflowError, SubprocessError)
"""What libsndfile, soxr, numpy, ffmpeg and the system raise for unreadable sources."""

ADVICE = "play it to check it, convert it to WAV, or leave it out"


class AudioError(ValueError):
    """A source without usable audio; the message says which, why, and what to do."""


class TruncatedError(AudioError):
    """A recording that ends early or can't be read further; `evidence` says how this was found."""

    def __init__(self, evidence, message="truncated ({}); copy or download it again"):
        super().__init__(message.format(evidence))
        self.evidence = evidence


class AudioWarning(UserWarning):
    """Audio that is usable but has a fault; see `faults` of `load_audio`."""


def load_audio(source, sr=SAMPLE_RATE, *, orig_sr=None, min_duration=0.1, faults=None):
    """Load any audio as a mono float32 signal.

    Parameters
    ----------
    source : str, os.PathLike, segments.Segment, binary file object or np.ndarray
        A file in any format that libsndfile or ffmpeg reads, or a segment of one, an open file
        (read from where it stands), or samples of shape (n_samples,), (n_samples, n_channels) or
        (n_channels, n_samples): floats, or integers of up to 32 bits, which are scaled to ±1.
    sr : float, default=16000
        Rate in Hz of the result.
    orig_sr : float, optional
        Rate in Hz of an array; needed for arrays, and for them only.
    min_duration : float, default=0.1
        Seconds below which a recording counts as unusable; 0 accepts a single sample.
    faults : dict, optional
        Filled with the faults of audio that is usable all the same, code to message: truncated
        (what is there is returned), unscaled (floats that look like integers), silent. Default: an
        AudioWarning for each.

    Returns
    -------
    y : np.ndarray of float32, shape (n_samples,)
        The mean of the channels at `sr`, finite, C-contiguous.

    Raises
    ------
    AudioError
        If the source is missing, unreadable, empty, not audio or too short, or holds NaN, infinite
        or impossibly large samples, or an implausible rate.

    Warns
    -----
    AudioWarning
        See `faults`.

    Notes
    -----
    Resampled by soxr at its HQ setting (https://sourceforge.net/p/soxr), the same for every
    format.

    Examples
    --------
    >>> tone = np.sin(2 * np.pi * 440 * np.arange(44100) / 44100)
    >>> y = load_audio(tone, orig_sr=44100)
    >>> y.shape, y.dtype
    ((16000,), dtype('float32'))
    """
    found = {} if faults is None else faults
    y = np.concatenate(list(_chunks(source, sr, orig_sr, found)))
    if len(y) < min_duration * sr:
        raise AudioError(
            f"{_describe(source)}: {len(y) / sr:.3f} s long, at least {min_duration} s are needed"
            " (min_duration); record it again or leave it out"
        )
    if not y.any():
        found["silent"] = "digital silence, every sample is zero"
    if faults is None:
        _warn(source, found)
    return y


def stream_audio(
    source, sr=SAMPLE_RATE, *, orig_sr=None, block_duration=60.0, mono=True, faults=None
):
    """Load any audio block by block, in memory that doesn't grow with its length.

    Parameters
    ----------
    source : str, os.PathLike, binary file object or np.ndarray
        As for `load_audio`.
    sr : float, default=16000
        Rate in Hz of the result.
    orig_sr : float, optional
        Rate in Hz of an array; needed for arrays, and for them only.
    block_duration : float, default=60.0
        Length of a block in seconds.
    mono : bool, default=True
        Mix the channels; else each is kept.
    faults : dict, optional
        See `load_audio`; complete after the last block. Silence isn't reported.

    Yields
    ------
    y : np.ndarray of float32, shape (round(block_duration * sr),)
        Consecutive blocks; the last one may be shorter. Concatenated, they are what `load_audio`
        returns. With `mono=False`: (round(block_duration * sr), n_channels).

    Raises
    ------
    AudioError
        As `load_audio` does, at the block with the fault; but no recording is too short.
    ValueError
        If `block_duration` is shorter than a sample.

    Examples
    --------
    >>> [len(y) for y in stream_audio(np.ones(40000), orig_sr=16000, block_duration=1)]
    [16000, 16000, 8000]
    """
    size = round(block_duration * sr)
    if size < 1:
        raise ValueError(f"block_duration={block_duration} s holds no sample; pass a larger one")
    held, found = None, {} if faults is None else faults
    for chunk in _chunks(source, sr, orig_sr, found, mono):
        held = chunk if held is None else np.concatenate([held, chunk])
        n_whole = len(held) - len(held) % size
        yield from held[:n_whole].reshape(-1, size, *held.shape[1:])
        held = held[n_whole:]
    if len(held):
        yield held
    if faults is None:
        _warn(source, found)


def _warn(source, faults):
    for sentence in faults.values():
        warnings.warn(f"{_describe(source)}: {sentence}", AudioWarning, stacklevel=3)


def duration_of(source, orig_sr=None):
    """Duration of a source by its header: float, seconds; None if only decoding would tell.

    Parameters
    ----------
    source, orig_sr
        See `load_audio`. For an open file, which can't be read twice, the result is None.
    """
    with contextlib.suppress(*SOURCE_ERRORS, TypeError, ZeroDivisionError):
        if _is_array(source):
            return len(_samples(source)) / orig_sr
        if _is_path(source):
            with _opened(Path(source)) as file, _sound(file, source) as sound:
                return sound.frames / sound.samplerate if sound.frames < UNKNOWN_FRAMES else None
    return None


def copy_stream(source, target):
    """Copy stdin, a pipe or an open file, within limits of size and time.

    Parameters
    ----------
    source, target : binary file objects

    Raises
    ------
    AudioError
        If the source is a device, sends nothing for `STREAM_TIMEOUT` s, or sends more than
        `STREAM_LIMIT` bytes.
    """
    with _naming(source):
        _copy(source, target)


@contextlib.contextmanager
def _naming(source):
    """Turn errors about a source into an AudioError that names it."""
    try:
        yield
    except AudioError as error:
        raise AudioError(f"{_describe(source)}: {error}") from error.__cause__
    except SOURCE_ERRORS as error:
        reason = printable(error) or type(error).__name__
        raise AudioError(f"{_describe(source)}: can't be read ({reason}); {ADVICE}") from error


def _chunks(source, sr, orig_sr, faults, mono=True):
    """Yield (n,) float32 at `sr`: decoded, checked, mixed down, resampled. Raises AudioError.

    Not mono: (n, n_channels).
    """
    with _naming(source):
        _check_rate(sr)
        n_samples = 0
        for chunk in _resampled(_checked(_decoded(source, orig_sr), faults), sr, mono):
            n_samples += len(chunk)
            yield chunk
        if not n_samples:
            raise AudioError("holds no samples; record it again or leave it out")
        faults |= getattr(source, "faults", {})  # those found when it was decoded earlier


def _checked(blocks, faults):
    """Yield blocks of plausible samples; note their faults, or raise AudioError."""
    seconds, highest, whole = 0.0, 0.0, True
    try:
        for rate, frames in blocks:
            peak = float(np.maximum(frames.max(), -frames.min()))
            if not np.isfinite(peak):
                raise AudioError("NaN or infinite samples; repair the recording or leave it out")
            if peak > LOUDEST:
                raise AudioError(
                    f"samples of up to {peak:.3g}, where 1 is full scale: damaged, or not audio;"
                    " repair the recording or leave it out"
                )
            if peak > 1:
                highest, whole = max(highest, peak), whole and not (frames % 1).any()
            yield rate, frames
            seconds += len(frames) / rate
    except TruncatedError as error:
        if seconds < ENOUGH:
            raise
        faults["truncated"] = (
            f"only its first {seconds:.1f} s can be read ({printable(error.evidence)}); copy or"
            " download it again"
        )
    if highest > 1 and (whole or highest > UNSCALED):
        faults["unscaled"] = (
            f"samples of up to {highest:g}, where 1 is full scale, look like integers; keep them as"
            " integers, or divide them by their full scale, such as 2**15"
        )


def _resampled(blocks, sr, mono=True):
    """Turn (rate, (n, n_channels)) blocks into (n,) float32 ones at `sr`, or (n, n_channels)."""
    resampler = None
    for rate, frames in blocks:
        y = _mono(frames) if mono else np.ascontiguousarray(frames, dtype=np.float32)
        if resampler is None:
            _check_rate(rate)
            n_channels = 1 if mono else frames.shape[1]
            resampler = soxr.ResampleStream(rate, sr, n_channels) if rate != sr else _AsIs()
        yield resampler.resample_chunk(y)
    if resampler:
        yield resampler.resample_chunk(y[:0], last=True)


class _AsIs:
    """Stands in for a resampler if the rates are equal."""

    @staticmethod
    def resample_chunk(y, last=False):
        return y


def _mono(frames):
    """Return the mean (n,) of frames (n, n_channels), as float32."""
    y = frames[:, 0] if frames.shape[1] == 1 else frames.mean(axis=1, dtype=np.float32)
    return np.ascontiguousarray(y, dtype=np.float32)


def _check_rate(rate):
    if not MIN_RATE <= rate <= MAX_RATE:
        raise AudioError(
            f"a sampling rate of {rate} Hz; {MIN_RATE} to {MAX_RATE} Hz are allowed:"
            " check the header, or the rate that you gave"
        )


def _describe(source):
    """Name a source for a message."""
    if _is_path(source):
        return repr(os.fspath(source))
    if hasattr(source, "blocks"):
        return repr(str(source))
    if hasattr(source, "read"):
        return f"file object {getattr(source, 'name', type(source).__name__)!r}"
    if not _is_array(source):
        return repr(source)[:80]
    shape = getattr(source, "shape", None)  # a list's may be unknown: its rows differ in length
    return (
        f"{type(source).__name__} of {len(source)}" if shape is None else f"array of shape {shape}"
    )


def _is_path(source):
    return isinstance(source, str | os.PathLike)


def _is_array(source):
    if _is_path(source):  # an array's strings have __array__, too
        return False
    return isinstance(source, list | tuple) or hasattr(source, "__array__")


def _decoded(source, orig_sr):
    """Yield (rate, frames (n, n_channels)) of any source."""
    if _is_array(source):
        yield from _from_array(source, orig_sr)
    elif orig_sr is not None:
        raise AudioError(f"orig_sr={orig_sr} is only for arrays, and this is a file: leave it out")
    elif _is_path(source):
        yield from blocks_of(source)
    elif hasattr(source, "blocks"):  # a segment of a file
        yield from source.blocks()
    elif hasattr(source, "read") and not isinstance(source, io.TextIOBase):
        yield from _from_file_object(source)
    else:
        raise AudioError(
            f"can't load a {type(source).__name__}; give a path, a file opened with 'rb',"
            " or an array with its orig_sr (bytes: wrap them in io.BytesIO)"
        )


# --- arrays ------------------------------------------------------------------------------------


def _from_array(source, orig_sr):
    if orig_sr is None:
        raise AudioError("an array needs its sampling rate: pass orig_sr, in Hz")
    if len(y := _samples(source)):
        yield orig_sr, _scaled(y)


def _samples(source):
    """Any array as (n_samples, n_channels); torch's and librosa's have their channels in rows."""
    try:
        y = np.asarray(source)
    except (TypeError, ValueError) as error:
        raise AudioError(f"not an array of samples ({error}); give rows of one length") from error
    y = y[:, np.newaxis] if y.ndim == 1 else y
    if y.ndim == 2 and y.size and y.shape[0] < y.shape[1] and y.shape[0] <= MOST_CHANNELS:
        y = y.T
    if y.ndim != 2 or (y.size and y.shape[0] < y.shape[1]):
        raise AudioError("give (n_samples,) or (n_samples, n_channels); does it need transposing?")
    return y


def _scaled(frames):
    """Return floats as they are, integers divided by their full scale."""
    if frames.dtype.kind == "f":
        return frames
    if frames.dtype.name not in INTEGERS:
        raise AudioError(
            f"samples of type {frames.dtype}, whose full scale isn't known; give floats"
            f" or one of {', '.join(INTEGERS)}"
        )
    offset, exponent = INTEGERS[frames.dtype.name]
    return ((frames.astype(np.float64) - offset) / 2**exponent).astype(np.float32)


# --- files -------------------------------------------------------------------------------------


def _from_file_object(source):
    """Decode a copy in the system's temporary folder: ffmpeg and most formats need to seek."""
    with temporary_folder() as folder:
        copy = Path(folder, "audio")
        with copy.open("wb") as file:
            _copy(source, file)
        yield from blocks_of(copy)


def _copy(source, target):
    is_pipe, n_bytes = _is_pipe(source), 0
    read = getattr(source, "read1", source.read) if is_pipe else source.read  # what is there
    while (not is_pipe or _has_more(source)) and (data := read(BLOCK_SAMPLES)):
        n_bytes += len(data)
        if n_bytes > STREAM_LIMIT:
            raise AudioError(f"gives more than {STREAM_LIMIT:,} bytes; save it as a file first")
        target.write(data)


def _is_pipe(source):
    """Whether an open file may block for ever; raises AudioError for a device.

    Objects that aren't files of the system, such as those of network libraries, have timeouts of
    their own.
    """
    raw = getattr(source, "raw", source)
    if not isinstance(raw, io.FileIO):
        return False
    mode = os.fstat(raw.fileno()).st_mode
    if stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
        raise AudioError("is a device; record from it to a file, or pipe its sound in")
    return os.name == "posix" and not stat.S_ISREG(mode)


def _has_more(pipe):
    """Wait for the next byte of a pipe, or for its end."""
    with selectors.DefaultSelector() as selector:
        selector.register(pipe, selectors.EVENT_READ)
        if not selector.select(STREAM_TIMEOUT):
            raise AudioError(f"sent nothing for {STREAM_TIMEOUT:g} s; check what writes to it")
    return True


def blocks_of(path, frames=None):
    """Decode a file by libsndfile, or by ffmpeg if libsndfile doesn't know the format.

    Parameters
    ----------
    path : str or os.PathLike
    frames : callable, optional
        Called with the number of frames and the rate in Hz; returns the first frame that is wanted,
        and the one after the last. Only for files that `seeks` accepts.

    Yields
    ------
    rate : int
        Hz.
    frames : np.ndarray (n, n_channels)

    Raises
    ------
    AudioError, or one of `SOURCE_ERRORS`
        If it can't be read; the message doesn't name the file.
    """
    path = Path(path)
    with _opened(path) as file:
        end, size = declared_end(file), os.fstat(file.fileno()).st_size
        file.seek(0)
        try:
            sound = _sound(file, path, quiet=end == 0)
        except (sf.LibsndfileError, TypeError) as error:
            reason = getattr(error, "error_string", error)
            sound, decoded = None, _from_ffmpeg(path, reason, strict=end is not None)
        with sound or contextlib.nullcontext():
            if sound and frames is not None:
                first, after = frames(sound.frames, sound.samplerate)
                sound.seek(first)
                decoded, end = _from_libsndfile(sound, first, after - first), 0
            elif sound and _declares_length(sound, path):
                decoded = _from_libsndfile(sound)
            elif sound:  # libsndfile would guess a length, and stop there
                decoded = _from_ffmpeg(path, "Length not declared.", strict=False)
            yield from decoded
    if end and end > size:  # libsndfile accepts that silently
        raise TruncatedError(f"its header declares {end} bytes, the file has {size}")


def seeks(path):
    """Whether a part of a file can be read without decoding what precedes it: bool.

    Parameters
    ----------
    path : str or os.PathLike
    """
    known = contextlib.suppress(*SOURCE_ERRORS, TypeError)
    with known, _opened(Path(path)) as file, _sound(file, path) as sound:
        return sound.format in SEEKABLE and 0 < sound.frames < UNKNOWN_FRAMES
    return False


def _opened(path):
    """Open a regular file that isn't empty, unbuffered, or raise an AudioError."""
    try:
        file = open_file(path, buffering=0)
    except SourceError as error:
        raise AudioError(error.strerror) from None
    except FileNotFoundError:
        raise AudioError("no such file; check the spelling and the working directory") from None
    except PermissionError:
        raise AudioError("not readable by this user; check its permissions (chmod +r)") from None
    if not os.fstat(file.fileno()).st_size:
        file.close()
        raise AudioError("is empty (0 bytes); record or copy it again")
    return file


def _sound(file, path, quiet=True):
    """Open a file by its handle, so that libsndfile guesses nothing from the name."""
    with quiet_stderr() if quiet else contextlib.nullcontext():  # libmpg123 writes notes there
        return _ForwardOnly(file.fileno() if os.name == "posix" else str(path), closefd=False)


class _ForwardOnly(sf.SoundFile):
    """A SoundFile that doesn't seek after each block: in MP3 this would damage every boundary."""

    def seekable(self):
        return False


def _from_libsndfile(sound, first=0, n_all=None):
    n_most = max(1, BLOCK_SAMPLES // sound.channels)
    n_all, n_read = sound.frames if n_all is None else n_all, 0
    quiet = quiet_stderr if sound.subtype.startswith("MPEG") else contextlib.nullcontext
    whole = sound.subtype == "PCM_16"  # libsndfile takes twice as long to make floats of these
    damage = None
    while not damage and (n_wanted := min(n_most, n_all - n_read)):
        frames = np.empty((n_wanted, sound.channels), np.int16 if whole else np.float32)
        try:
            with quiet():
                n_found = len(sound.read(n_wanted, out=frames))
        except sf.LibsndfileError as error:
            damage = error.error_string
            n_found = min(max(0, sound.tell() - first - n_read), n_wanted)
        if not n_found:
            break
        n_read += n_found
        found = frames[:n_found]
        yield sound.samplerate, found * np.float32(2**-15) if whole else found
    if damage:
        damage = damage.removeprefix("Error : ").rstrip(".")
        raise TruncatedError(damage, "truncated or damaged ({}); copy or download it again")
    if n_read < n_all < UNKNOWN_FRAMES:
        raise TruncatedError(f"{n_all} frames declared, {n_read} found")


def _declares_length(sound, path):
    """Whether a file declares its length: not if written to a pipe, nor an MP3 without a tag."""
    if sound.subtype.startswith("MPEG"):
        with _opened(path) as file:
            return sound.format == "MP3" and has_xing_tag(file)
    return sound.frames > 0


# --- ffmpeg ------------------------------------------------------------------------------------


def _from_ffmpeg(path, reason, strict=True):
    """Decode through a pipe, as AU: a header of a few numbers, then big-endian floats.

    `strict` makes damaged or missing packets an error, and so the end of an undeclared length.
    """
    source = f"file:{path.absolute()}"  # neither an option nor a protocol, whatever the name
    names = {"ffmpeg": find_ffmpeg(reason), "formats": FFMPEG_FORMATS, "source": source}
    command = [part.format(**names) for part in FFMPEG_COMMAND.split()]
    command[1:1] = ["-xerror"] * strict
    with tempfile.TemporaryFile() as log, _running(command, log) as process:
        yield from _from_au(process)
        process.wait(FFMPEG_TIMEOUT)
        log.seek(0)
        errors = log.read(2**16).decode(errors="replace").strip()
    if process.returncode or "File ended prematurely" in errors:  # the latter: Matroska, WebM
        first = (errors or f"code {process.returncode}, limit {FFMPEG_TIMEOUT} s").splitlines()[0]
        first = first.rpartition("] ")[2].partition(" '")[0]  # without address and details
        if first.startswith("Stream map"):
            raise AudioError("has no audio track; record it with sound, or leave it out")
        known, both = printable(first), f"(libsndfile: {reason} ffmpeg: {{}}.); {ADVICE}"
        if process.returncode < 0:  # ended by us, or crashed: it may be in the middle of a file
            raise AudioError(f"not audio, or damaged {both.format(known)}")
        raise TruncatedError(known, f"not audio, or damaged {both}")


@contextlib.contextmanager
def _running(command, log):
    """Context manager: start a program, and end it after the block."""
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def _from_au(process):
    head = _read(process, 24)
    if len(head) < 24:
        return
    offset, rate, channels = struct.unpack(">4xI8xII", head)
    _read(process, offset - 24)
    frame_size = 4 * channels
    n_bytes = max(1, BLOCK_SAMPLES // channels) * frame_size
    while data := _read(process, n_bytes):
        whole = data[: len(data) - len(data) % frame_size]
        yield rate, np.frombuffer(whole, ">f4").reshape(-1, channels)


def _read(process, n_bytes):
    """Read that many bytes (fewer at the end), ending a process that hangs."""
    watchdog = threading.Timer(FFMPEG_TIMEOUT, process.kill)
    watchdog.start()
    try:
        return process.stdout.read(n_bytes)
    finally:
        watchdog.cancel()


def find_ffmpeg(reason):
    """Path of ffmpeg: the one on the PATH, else that of the package imageio-ffmpeg: str.

    Parameters
    ----------
    reason : str
        Why it is needed, for the message.

    Raises
    ------
    AudioError
        If there is none.
    """
    if found := shutil.which("ffmpeg"):
        return found
    try:
        from imageio_ffmpeg import get_ffmpeg_exe

        return get_ffmpeg_exe()
    except (ImportError, RuntimeError) as error:
        raise AudioError(
            f"libsndfile can't read it ({reason}), and ffmpeg, which might, isn't installed:"
            " `pip install imageio-ffmpeg`, or get it from your system's packages"
        ) from error


__getattr__ = moved(__name__, {"containers": "CHUNKED UNKNOWN_SIZE"})
