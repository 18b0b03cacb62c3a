"""Where speech is in a stream of sound, from a microphone or a long recording.

    from listening import Microphone, Recorder, list_devices

    for utterance in Recorder(Microphone(), timeout=10):
        print(utterance.start, utterance.end, rec.predict(utterance.y, sr=16000))

A source is any iterable of blocks, float32 at 16 kHz: a `Microphone`, or
`audio.stream_audio(path)`. Results don't depend on the lengths of the blocks.
"""

import queue
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import soxr

from parameters import SAMPLE_RATE
from utils import quiet_stderr

FRAME, GROUP = 0.010, 5  # seconds; frames that are decided on together
BAND = 150, 4000  # Hz: without hum and hiss
ROOM = 1.0  # seconds that the first decision takes
MEMORY = 4.0  # seconds whose quietest frames give the level of the room
N_ROOM, N_MEMORY = round(ROOM / FRAME / GROUP), round(MEMORY / FRAME)  # groups, frames
QUIET_SHARE = 0.1  # of the frames in memory
ONSET, OFFSET = 9.0, 5.0  # dB over the room where speech begins, and below which it ends
QUIETEST = -70.0  # dB of full scale; a digitally silent room counts as this
SHORTEST = 0.15  # seconds of speech; less is a click
MARGIN = 0.1  # seconds of soft sounds that are kept before and after speech
PAUSE = 0.7  # seconds of silence that end an utterance
LONGEST = 15.0  # seconds of an utterance that doesn't end
STALLED = 3.0  # seconds without a block until a device counts as unplugged


class DeviceError(RuntimeError):
    """An input device gives no sound; the message says why, and what to do."""


class NothingHeard(RuntimeError):
    """There was no speech within the timeout."""


# where speech is


@dataclass
class Span:
    """Speech without a long pause: start, end and how much of it is active, in seconds."""

    start: float
    end: float
    active: float = 0.0

    @property
    def spoken(self):
        """Whether it is more than a click."""
        return self.active >= SHORTEST - 1e-9


class SpeechDetector:
    """Detects speech by its level over that of the room.

    The level of the room is that of the quietest tenth of the last seconds, at first of the first
    second: speech has gaps of that share, and a louder room counts as room when it fills the
    memory. Speech begins 9 dB above the room, in the band of the voice, and ends below 5 dB.
    Every 50 ms are decided on as they arrive; only the first second is decided on at once.

    Parameters
    ----------
    sr : int, default 16000
        Hz.
    pause, longest : float, default 0.7 and 15.0
        Seconds of silence that end a span, and after which a span is cut.

    Attributes
    ----------
    spans : list of Span
        In order. The last one may grow.
    floor : float
        Level of the room, dB of full scale.
    """

    def __init__(self, sr=SAMPLE_RATE, *, pause=PAUSE, longest=LONGEST):
        from scipy.signal import butter

        self.pause, self.longest = pause, longest
        self._filter = butter(2, BAND, "bandpass", fs=sr, output="sos")
        self._state = np.zeros((len(self._filter), 2))
        self._width = round(FRAME * sr)
        self._held, self._memory = np.empty(0), np.empty(0)  # samples; levels of frames
        self._active, self._n_groups = False, 0
        self.spans, self.floor = [], QUIETEST

    @property
    def decided(self):
        """Seconds of the stream that have been decided on."""
        return round(self._n_groups * GROUP * FRAME, 6)

    def push(self, y):
        """Take the next block of the stream.

        Parameters
        ----------
        y : ndarray (n_samples,) float32
        """
        from scipy.signal import sosfilt

        if not len(y):  # sosfilt needs samples
            return
        filtered, self._state = sosfilt(self._filter, y, zi=self._state)
        self._held = np.concatenate([self._held, filtered])
        if self._n_groups or len(self._held) >= N_ROOM * GROUP * self._width:
            self._decide()

    def finish(self):
        """Decide on what is left when the stream has ended."""
        self._decide()

    def _decide(self):
        n_taken = len(self._held) - len(self._held) % (GROUP * self._width)
        frames, self._held = self._held[:n_taken], self._held[n_taken:]
        power = np.square(frames).reshape(-1, GROUP, self._width).mean(axis=2)
        levels = _decibels(power)
        if not self._n_groups:
            self._memory = levels[:N_ROOM].ravel()
        for level, own in zip(_decibels(power.mean(axis=1)), levels, strict=True):
            if self._n_groups >= N_ROOM:
                self._memory = np.concatenate([self._memory, own])[-N_MEMORY:]
            rank = int(QUIET_SHARE * len(self._memory))
            self.floor = float(np.partition(self._memory, rank)[rank])
            self._active = level - self.floor > (OFFSET if self._active else ONSET)
            start, self._n_groups = self.decided, self._n_groups + 1
            if self._active:
                self._extend(start, self.decided)

    def _extend(self, start, end):
        last = self.spans[-1] if self.spans else None
        if last is None or start - last.end >= self.pause or end - last.start > self.longest:
            last = Span(start, end)
            self.spans.append(last)
        last.end = end
        last.active += end - start

    def ended(self, span):
        """Whether a span can't grow any more.

        Parameters
        ----------
        span : Span
        """
        return span is not self.spans[-1] or self.decided - span.end >= self.pause


def _decibels(power):
    """dB of full scale, not below `QUIETEST`."""
    return 10 * np.log10(power + 10 ** (QUIETEST / 10))


class Utterance(NamedTuple):
    """Speech without a long pause, and its place in the stream."""

    y: np.ndarray  # (n_samples,) float32
    start: float  # seconds
    end: float


class Recorder:
    """Iterates over the utterances in a stream.

    Parameters
    ----------
    source : iterable of ndarray (n_samples,) float32, optional
        Blocks of any lengths; without one, `push` them.
    sr, pause, longest
        See `SpeechDetector`.
    timeout : float, optional
        Seconds without speech after which `NothingHeard` is raised; default: never.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> y = 1e-3 * rng.standard_normal(64000).astype(np.float32)
    >>> y[24000:40000] *= 100
    >>> [(round(u.start, 1), round(u.end, 1)) for u in Recorder([y])]
    [(1.4, 2.6)]
    """

    def __init__(self, source=(), *, sr=SAMPLE_RATE, pause=PAUSE, longest=LONGEST, timeout=None):
        self.source, self.sr, self.timeout = source, sr, timeout
        self.detector = SpeechDetector(sr, pause=pause, longest=longest)
        self._held, self._first = np.empty(0, np.float32), 0
        self._n_done = 0  # spans
        self._last = 0.0  # seconds until the end of the latest speech

    def __iter__(self):
        for block in self.source:
            yield from self.push(block)
        yield from self.finish()

    def push(self, y):
        """Take the next block of the stream; return the utterances that end in it: list.

        Parameters
        ----------
        y : ndarray (n_samples,) float32

        Raises
        ------
        NothingHeard
            After `timeout` seconds without speech.
        """
        self._held = np.concatenate([self._held, y])
        self.detector.push(y)
        utterances = self._ended(self.detector.ended)
        self._forget()
        if self.timeout and self.detector.decided - self._last >= self.timeout:
            raise NothingHeard(
                f"Nothing heard for {self.timeout:g} s. Speak up or come closer, and see that the "
                "right microphone is used and isn't muted."
            )
        return utterances

    def finish(self):
        """Return the utterance that the end of the stream has cut off, if any: list."""
        self.detector.finish()
        return self._ended(lambda span: True)

    def _ended(self, ended):
        """Cut out the utterances of the spans that have ended: list."""
        utterances, spans = [], self.detector.spans
        while self._n_done < len(spans) and ended(spans[self._n_done]):
            span = spans[self._n_done]
            before = spans[self._n_done - 1].end if self._n_done else 0.0
            self._n_done += 1
            if span.spoken:
                utterances.append(self._cut(max(before, span.start - MARGIN), span.end + MARGIN))
        if spans and (spans[-1].spoken or self._n_done < len(spans)):
            self._last = spans[-1].end
        return utterances

    def _cut(self, start, end):
        first, last = (round(time * self.sr) - self._first for time in (start, end))
        y = self._held[max(0, first) : last].copy()
        start = (max(0, first) + self._first) / self.sr
        return Utterance(y, start, start + len(y) / self.sr)

    def _forget(self):
        """Drop what no later utterance needs."""
        spans = self.detector.spans[self._n_done :]
        needed = spans[0].start if spans else self.detector.decided
        n_old = round((needed - MARGIN) * self.sr) - self._first
        if n_old > self.sr:
            self._held, self._first = self._held[n_old:], self._first + n_old


# what is wrong with a sound

HIGH = 4000  # Hz; a telephone carries nothing above
REPORTS = {
    "clipping": "clipped: {clipped:.1%} of the samples are at full scale; record with less gain",
    "quiet": "very quiet: {speech:.0f} dB of full scale; come closer, or record with more gain",
    "telephone": "band-limited: hardly anything above 4 kHz, as on a telephone; emotions are told "
    "apart less well",
    "noise": "noisy: speech is {ratio:.0f} dB over the noise; use a quieter room or come closer",
    "short": "short: {seconds:.1f} s of speech; a second or more is recognised better",
    "novel": "novel: unlike anything in training; the emotion means little",
}
"""Code of a warning to its sentence."""


class InputReport:
    """Finds what makes a prediction for a sound doubtful.

    Parameters
    ----------
    sr : int, default 16000
        Hz.

    Examples
    --------
    >>> report = InputReport()
    >>> report.push(1e-4 * np.sin(np.arange(4000, dtype=np.float32)))
    >>> [warning.partition(":")[0] for warning in report.warnings()]
    ['very quiet', 'band-limited', 'noisy', 'short']
    """

    EVERY = 4  # the spectrum is that of every fourth frame

    def __init__(self, sr=SAMPLE_RATE):
        self._width = 2 * round(FRAME * sr)
        self._high = np.fft.rfftfreq(self._width, 1 / sr) >= HIGH
        self._held = np.empty(0, np.float32)
        self._seconds = self._width / sr
        self._n_samples = self._n_clipped = 0
        self._levels = np.zeros(201, int)  # numbers of frames by level, from -200 dB
        self._spectra = np.zeros((201, 2))  # their power below and above `HIGH`

    def push(self, y):
        """Take the next block of the sound.

        Parameters
        ----------
        y : ndarray (n_samples,) float32
        """
        self._n_samples += len(y)
        self._n_clipped += int(np.count_nonzero(np.abs(y) > 0.985))
        held = np.concatenate([self._held, y])
        n_taken = len(held) // self._width * self._width
        self._held, frames = held[n_taken:], held[:n_taken].reshape(-1, self._width)
        every = slice(-self._levels.sum() % self.EVERY, None, self.EVERY)
        level = 10 * np.log10(np.square(frames).mean(axis=1, dtype=np.float64) + 1e-20)
        bins = np.clip(level + 200, 0, 200).astype(int)
        np.add.at(self._levels, bins, 1)
        some = frames[every] * np.hanning(self._width).astype(np.float32)
        power = np.abs(np.fft.rfft(some)) ** 2
        sides = np.stack([power[:, ~self._high].sum(axis=1), power[:, self._high].sum(axis=1)], 1)
        np.add.at(self._spectra, bins[every], sides)

    def measures(self):
        """Measure what `warnings` decides on: dict of str to float.

        clipped: share of the samples; speech, noise: dB of full scale; ratio: dB between them;
        high: dB of the power above 4 kHz over that below, in loud frames; seconds: of speech.
        """
        if not self._levels.sum():
            nothing = dict.fromkeys(("clipped", "ratio", "high", "seconds"), 0)
            return nothing | {"speech": -200, "noise": -200}
        ranks = np.cumsum(self._levels) / self._levels.sum()
        speech, noise = (int(np.searchsorted(ranks, share)) for share in (0.95, 0.05))
        loud = max(0, speech - 20)
        low, high = self._spectra[loud:].sum(axis=0) + 1e-20
        return {
            "clipped": self._n_clipped / self._n_samples,
            "speech": speech - 200,
            "noise": noise - 200,
            "ratio": speech - noise,
            "high": 10 * np.log10(high / low),
            "seconds": self._levels[loud:].sum() * self._seconds,
        }

    def warnings(self, novel=False):
        """Choose the sentences of `REPORTS` that fit: list of str.

        Parameters
        ----------
        novel : bool, default False
            Whether the sound is unlike training; see `Predictor.novelty`.
        """
        found = self.measures()
        fits = {
            "clipping": found["clipped"] > 1e-3,
            "quiet": found["speech"] < -45,
            "telephone": found["high"] < -45,
            "noise": found["ratio"] < 15,
            "short": found["seconds"] < 0.5,
            "novel": novel,
        }
        return [REPORTS[name].format(**found) for name, fit in fits.items() if fit]


# the microphone


def _pyaudio():
    """PyAudio and an instance of it; what the system's sound libraries print is left out."""
    try:
        import pyaudio
    except (ImportError, OSError) as error:
        raise DeviceError(
            "The microphone needs PyAudio, which needs PortAudio. Type: make mic (or: "
            "sudo apt-get install portaudio19-dev && pip install -r requirements-mic.txt)"
        ) from error
    with quiet_stderr():
        return pyaudio, pyaudio.PyAudio()


def list_devices():
    """List the input devices, or raise a `DeviceError` without PyAudio: list of dict.

    Each has index (int), name, channels (int), rate (int, Hz) and default (bool).
    """
    _, audio = _pyaudio()
    try:
        return _devices(audio)
    finally:
        audio.terminate()


def _devices(audio):
    try:
        default = audio.get_default_input_device_info()["index"]
    except OSError:
        default = None
    every = map(audio.get_device_info_by_index, range(audio.get_device_count()))
    return [
        {
            "index": info["index"],
            "name": info["name"],
            "channels": info["maxInputChannels"],
            "rate": round(info["defaultSampleRate"]),
            "default": info["index"] == default,
        }
        for info in every
        if info["maxInputChannels"] > 0
    ]


def _choose(devices, device):
    """The device of an index, of a part of its name, or the default one."""
    if not devices:
        raise DeviceError(
            "There is no microphone. Plug one in, or listen to a recording: test.py --file FILE"
        )
    if device is None:
        return next((d for d in devices if d["default"]), devices[0])
    if str(device).isdigit():
        found = [d for d in devices if d["index"] == int(device)]
    else:
        found = [d for d in devices if str(device).lower() in d["name"].lower()]
    if not found:
        names = ", ".join(f"{d['index']} {d['name']}" for d in devices)
        raise DeviceError(f"There is no input device {device!r}. There are: {names}.")
    return found[0]


class Microphone:
    """Iterates over blocks of an input device, which is open from the first block to the last.

    Parameters
    ----------
    device : int or str, optional
        An index or a part of a name of `list_devices`; default: the system's.
    sr : int, default 16000
        Hz of the blocks; the device has its own rate.
    block : float, default 0.02
        Seconds of sound that the device delivers at a time.
    on_open : callable, optional
        Called with the device's name when its first sound has arrived.

    Raises
    ------
    DeviceError
        While iterating: if the device is absent, busy or unplugged, or PyAudio isn't installed.
    """

    def __init__(self, device=None, *, sr=SAMPLE_RATE, block=0.02, on_open=None):
        self.device, self.sr, self.block, self.on_open = device, sr, block, on_open

    def __iter__(self):
        blocks, on_open = queue.SimpleQueue(), self.on_open
        with self._opened(blocks.put) as (device, channels):
            resampler = soxr.ResampleStream(device["rate"], self.sr, 1)
            while True:
                try:
                    data = blocks.get(timeout=STALLED)
                except queue.Empty:
                    raise DeviceError(
                        f"{device['name']} has delivered nothing for {STALLED:g} s. Is it "
                        "unplugged? Plug it in and start again, or choose another one: test.py "
                        "--list-devices"
                    ) from None
                if on_open:
                    on_open(device["name"])
                    on_open = None
                frames = np.frombuffer(data, np.int16).reshape(-1, channels) / np.float32(32768)
                yield resampler.resample_chunk(frames.mean(axis=1, dtype=np.float32))

    def check(self):
        """Open the device and close it again, or raise a `DeviceError`; return its name: str."""
        with self._opened(lambda data: None) as (device, _):
            return device["name"]

    @contextmanager
    def _opened(self, take):
        """The open device and its number of channels; `take` gets its sound, block by block."""
        pyaudio, audio = _pyaudio()

        def callback(data, *_):
            take(data)
            return None, pyaudio.paContinue

        with ExitStack() as stack:
            stack.callback(audio.terminate)
            device = _choose(_devices(audio), self.device)
            channels, size = min(2, device["channels"]), round(self.block * device["rate"])
            place = {"input_device_index": device["index"], "frames_per_buffer": size}
            form = device["rate"], channels, pyaudio.paInt16
            try:
                with quiet_stderr():
                    stream = audio.open(*form, input=True, stream_callback=callback, **place)
            except OSError as error:
                raise DeviceError(
                    f"{device['name']} can't be opened ({error.args[-1]}). Close the program that "
                    "uses it, or choose another one: test.py --list-devices"
                ) from error
            stack.callback(stream.close)
            yield device, channels
