"""Where speech is in a stream of sound: of a microphone, or of a long recording.

    from listening import Microphone, Recorder, list_devices

    for utterance in Recorder(Microphone(), timeout=10):
        print(utterance.start, utterance.end, rec.predict(utterance.y, sr=16000))

A source is any iterable of blocks, float32 at 16 kHz, of whatever lengths: a `Microphone`, or
`audio.stream_audio(path)`. How a stream is cut in blocks changes nothing.
"""

import queue
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import soxr

from parameters import SAMPLE_RATE
from utils import quiet_stderr

FRAME, GROUP = 0.010, 5  # seconds; frames that are decided on together
BAND = 150, 4000  # Hz: without hum and hiss
ROOM = 1.0  # seconds that are heard before anything is decided
MEMORY = 4.0  # seconds whose quiet moments are the room
N_ROOM, N_MEMORY = round(ROOM / FRAME / GROUP), round(MEMORY / FRAME)  # groups, frames
QUIET_SHARE = 0.1  # of these
ONSET, OFFSET = 9.0, 5.0  # dB over the room where speech begins, and below which it ends
QUIETEST = -70.0  # dB of full scale; a digitally silent room counts as this
SHORTEST = 0.15  # seconds of speech; less is a click
MARGIN = 0.1  # seconds before speech and after it that belong to it: soft sounds
PAUSE = 0.7  # seconds of silence that end an utterance
LONGEST = 15.0  # seconds of an utterance that doesn't end
STALLED = 3.0  # seconds without a block until a device counts as gone


class DeviceError(RuntimeError):
    """No sound from an input device; the message says why, and what to do."""


class NothingHeard(RuntimeError):
    """Nobody has spoken for as long as somebody was willing to wait."""


# where speech is


@dataclass
class Span:
    """Speech without a long pause: seconds from the beginning of the stream."""

    start: float
    end: float
    active: float = 0.0

    @property
    def spoken(self):
        """Whether it is more than a click."""
        return self.active >= SHORTEST - 1e-9


class SpeechDetector:
    """Tells speech from the room by how much louder it is.

    The room is what the quietest tenth of the last seconds is like, at first of the first second:
    speech has gaps of that share, and a room that gets louder is known as such when the memory is
    full of it. Speech is what is 9 dB louder in the band of the voice, until it is less than 5 dB.
    Every 50 ms are decided on when they have been heard; only the first second all at once.

    Parameters
    ----------
    sr : int
        Hz.
    pause, longest : float
        Seconds of silence that end a span, and of a span that doesn't end.

    Attributes
    ----------
    spans : list of Span
        In order. The last one may grow.
    decided : float
        Seconds of the stream that have been decided on.
    floor : float
        Level of the room, dB of full scale.
    """

    def __init__(self, sr=SAMPLE_RATE, *, pause=PAUSE, longest=LONGEST):
        from scipy.signal import butter

        self.pause, self.longest = pause, longest
        self._filter = butter(2, BAND, "bandpass", fs=sr, output="sos")
        self._state = np.zeros((len(self._filter), 2))
        self._width = round(FRAME * sr)
        self._held = np.empty(0)
        self._waiting = []
        self._memory = np.empty(0)
        self._active = False
        self._n_groups = 0
        self.spans, self.floor = [], QUIETEST

    @property
    def decided(self):
        return round(self._n_groups * GROUP * FRAME, 6)

    def push(self, y):
        """Listen to a block (n_samples,)."""
        from scipy.signal import sosfilt

        if not len(y):
            return
        filtered, self._state = sosfilt(self._filter, y, zi=self._state)
        held = np.concatenate([self._held, filtered])
        n_groups = len(held) // (GROUP * self._width)
        n_taken = n_groups * GROUP * self._width
        self._held = held[n_taken:]
        power = np.square(held[:n_taken]).reshape(n_groups, GROUP, self._width).mean(axis=2)
        self._waiting += list(power)
        if self._n_groups or len(self._waiting) >= N_ROOM:
            self._decide()

    def finish(self):
        """Decide on what is left when the stream has ended."""
        self._decide()

    def _decide(self):
        """Decide on the groups of frames that wait."""
        if not self._waiting:
            return
        power, self._waiting = np.array(self._waiting), []
        levels = _decibels(power)
        for level, floor in zip(_decibels(power.mean(axis=1)), self._floors(levels), strict=True):
            self.floor = float(floor)
            self._active = level - floor > (OFFSET if self._active else ONSET)
            start, self._n_groups = self.decided, self._n_groups + 1
            if self._active:
                self._extend(start, self.decided)

    def _floors(self, levels):
        """The level of the room at each of some groups (n_groups, GROUP): (n_groups,)."""
        if not self._n_groups:  # the first second is known from the beginning
            self._memory = levels[:N_ROOM].ravel()
        fresh = levels[max(0, N_ROOM - self._n_groups) :].ravel()
        known = np.concatenate([self._memory, fresh])
        ends = len(self._memory) + np.arange(GROUP, len(fresh) + 1, GROUP)
        ends = np.concatenate([np.full(len(levels) - len(ends), len(self._memory)), ends])
        self._memory = known[-N_MEMORY:]
        early = [_quiet(known[:end]) for end in ends[ends < N_MEMORY]]
        late = ends[ends >= N_MEMORY] - N_MEMORY
        if not len(late):
            return np.array(early)
        windows = np.lib.stride_tricks.sliding_window_view(known, N_MEMORY)[late]
        return np.concatenate([early, _quiet(windows)])

    def _extend(self, start, end):
        last = self.spans[-1] if self.spans else None
        if last is None or start - last.end >= self.pause or end - last.start > self.longest:
            last = Span(start, end)
            self.spans.append(last)
        last.end = end
        last.active += end - start

    def ended(self, span):
        """Whether a span can't grow any more."""
        return span is not self.spans[-1] or self.decided - span.end >= self.pause


def _quiet(levels):
    """The level that a tenth of the last axis is below."""
    rank = int(QUIET_SHARE * levels.shape[-1])
    return np.partition(levels, rank, axis=-1)[..., rank]


def _decibels(power):
    """dB of full scale, not below `QUIETEST`."""
    return 10 * np.log10(power + 10 ** (QUIETEST / 10))


class Utterance(NamedTuple):
    """What somebody said without a long pause.

    y : ndarray (n_samples,) float32
    start, end : float
        Seconds from the beginning of the stream.
    """

    y: np.ndarray
    start: float
    end: float


class Recorder:
    """An iterator of the utterances in a stream.

    Parameters
    ----------
    source : iterable of ndarray (n_samples,) float32, optional
        Blocks of any lengths; without one, `push` them.
    sr : int
        Hz.
    pause, longest : float
        Seconds of silence that end an utterance, and of one that doesn't end.
    timeout : float, optional
        Seconds without speech after which `NothingHeard` is raised; default: none.

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
        self._n_given = 0  # spans
        self._heard = 0.0  # seconds until which there was speech

    def __iter__(self):
        for block in self.source:
            yield from self.push(block)
        yield from self.finish()

    def push(self, y):
        """Listen to a block (n_samples,): list of the utterances that have ended by now."""
        self._held = np.concatenate([self._held, y])
        self.detector.push(y)
        utterances = self._ended(self.detector.ended)
        self._forget()
        if self.timeout and self.detector.decided - self._heard >= self.timeout:
            raise NothingHeard(
                f"Nothing heard for {self.timeout:g} s. Speak up or come closer, and see that the "
                "right microphone is used and isn't muted."
            )
        return utterances

    def finish(self):
        """The utterance that the end of the stream has cut off, if any: list."""
        self.detector.finish()
        return self._ended(lambda span: True)

    def _ended(self, ended):
        utterances, spans = [], self.detector.spans
        while self._n_given < len(spans) and ended(spans[self._n_given]):
            span = spans[self._n_given]
            before = spans[self._n_given - 1].end if self._n_given else 0.0
            self._n_given += 1
            if span.spoken:
                utterances.append(self._cut(max(before, span.start - MARGIN), span.end + MARGIN))
        if spans and (spans[-1].spoken or self._n_given < len(spans)):
            self._heard = spans[-1].end
        return utterances

    def _cut(self, start, end):
        first, last = (round(time * self.sr) - self._first for time in (start, end))
        y = self._held[max(0, first) : last].copy()
        start = (max(0, first) + self._first) / self.sr
        return Utterance(y, start, start + len(y) / self.sr)

    def _forget(self):
        """Let go of what no utterance can need any more."""
        spans = self.detector.spans[self._n_given :]
        needed = spans[0].start if spans else self.detector.decided
        n_old = round((needed - MARGIN) * self.sr) - self._first
        if n_old > self.sr:
            self._held, self._first = self._held[n_old:], self._first + n_old


# what is wrong with a sound

HIGH = 4000  # Hz; what a telephone doesn't carry
REPORTS = {
    "clipping": "clipped: {clipped:.1%} of the samples are at full scale; record with less gain",
    "quiet": "very quiet: {speech:.0f} dB of full scale; come closer, or record with more gain",
    "telephone": "band-limited: hardly anything above 4 kHz, as on a telephone; emotions are told "
    "apart less well",
    "noise": "noisy: speech is {ratio:.0f} dB over the noise; use a quieter room or come closer",
    "short": "short: {seconds:.1f} s of speech; a second or more is heard better",
    "unfamiliar": "unfamiliar: unlike anything in training; the emotion means little",
}
"""What a report may say, by its name."""


class InputReport:
    """Looks at a sound for what makes a prediction doubtful.

    Feed it with `push`, block by block; `warnings` says what was found.

    Parameters
    ----------
    sr : int
        Hz.

    Examples
    --------
    >>> report = InputReport()
    >>> report.push(1e-4 * np.sin(np.arange(4000, dtype=np.float32)))
    >>> [warning.partition(":")[0] for warning in report.warnings()]
    ['very quiet', 'band-limited', 'noisy', 'short']
    """

    EVERY = 4  # frames of which one tells about the spectrum

    def __init__(self, sr=SAMPLE_RATE):
        self._width = 2 * round(FRAME * sr)
        self._high = np.fft.rfftfreq(self._width, 1 / sr) >= HIGH
        self._held = np.empty(0, np.float32)
        self._seconds = self._width / sr
        self._n_samples = self._n_clipped = 0
        self._levels = np.zeros(201, int)  # frames by their level, from -200 dB
        self._spectra = np.zeros((201, 2))  # their power below and above

    def push(self, y):
        """Look at a block (n_samples,)."""
        self._n_samples += len(y)
        self._n_clipped += int(np.count_nonzero(np.abs(y) > 0.985))
        held = np.concatenate([self._held, y])
        n_taken = len(held) // self._width * self._width
        self._held, frames = held[n_taken:], held[:n_taken].reshape(-1, self._width)
        level = 10 * np.log10(np.square(frames).mean(axis=1, dtype=np.float64) + 1e-20)
        bins = np.clip(level + 200, 0, 200).astype(int)
        np.add.at(self._levels, bins, 1)
        some = frames[:: self.EVERY] * np.hanning(self._width).astype(np.float32)
        power = np.abs(np.fft.rfft(some)) ** 2
        sides = np.stack([power[:, ~self._high].sum(axis=1), power[:, self._high].sum(axis=1)], 1)
        np.add.at(self._spectra, bins[:: self.EVERY], sides)

    def measures(self):
        """What was found, a dict.

        clipped : share of the samples; speech, noise, ratio : dB of full scale, and between them;
        high : dB of the loud frames' power above 4 kHz to that below; seconds : of speech
        """
        if not self._levels.sum():
            return {"clipped": 0, "speech": -200, "noise": -200, "ratio": 0, "high": 0,
                    "seconds": 0}  # fmt: skip
        ranks = np.cumsum(self._levels) / self._levels.sum()
        speech, noise = (int(np.searchsorted(ranks, share)) for share in (0.95, 0.05))
        loud = max(0, speech - 20)
        low, high = self._spectra[loud:].sum(axis=0) + 1e-20
        return {
            "clipped": self._n_clipped / self._n_samples,
            "speech": speech - 200, "noise": noise - 200, "ratio": speech - noise,
            "high": 10 * np.log10(high / low),
            "seconds": self._levels[loud:].sum() * self._seconds,
        }  # fmt: skip

    def warnings(self, unfamiliar=False):
        """Sentences of `REPORTS` that fit: list of str."""
        found = self.measures()
        fits = {
            "clipping": found["clipped"] > 1e-3,
            "quiet": found["speech"] < -45,
            "telephone": found["high"] < -45,
            "noise": found["ratio"] < 15,
            "short": found["seconds"] < 0.5,
            "unfamiliar": unfamiliar,
        }
        return [REPORTS[name].format(**found) for name, fit in fits.items() if fit]


# the microphone


def _pyaudio():
    """PyAudio and an instance of it, without what the system's sound libraries print."""
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
    """Input devices: list of dict.

    index : int; name : str; channels : int; rate : int, Hz; default : bool

    Raises
    ------
    DeviceError
        If PyAudio or PortAudio isn't installed.
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
    every = [audio.get_device_info_by_index(i) for i in range(audio.get_device_count())]
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
    """Blocks of an input device: an iterable that opens it, and closes it when it is left.

    Parameters
    ----------
    device : int or str, optional
        An index or a part of a name of `list_devices`; default: the system's.
    sr : int
        Hz of the blocks; the device has its own rate.
    block : float
        Seconds of sound that the device hands over at a time.
    on_open : callable, optional
        Called with the device's name when it is really listening.

    Raises
    ------
    DeviceError
        While iterating: if the device is absent, busy or unplugged, or PyAudio isn't installed.
    """

    def __init__(self, device=None, *, sr=SAMPLE_RATE, block=0.02, on_open=None):
        self.device, self.sr, self.block, self.on_open = device, sr, block, on_open

    def __iter__(self):
        pyaudio, audio = _pyaudio()
        blocks = queue.SimpleQueue()

        def hand_over(data, *_):
            blocks.put(data)
            return None, pyaudio.paContinue

        stream = None
        try:
            device = _choose(_devices(audio), self.device)
            channels = min(2, device["channels"])
            stream = self._open(audio, device, channels, pyaudio.paInt16, hand_over)
            resampler = soxr.ResampleStream(device["rate"], self.sr, 1)
            yield from self._blocks(blocks, resampler, channels, device["name"])
        finally:
            if stream is not None:
                stream.close()
            audio.terminate()

    def _open(self, audio, device, channels, kind, hand_over):
        try:
            with quiet_stderr():
                return audio.open(
                    device["rate"], channels, kind, input=True, input_device_index=device["index"],
                    frames_per_buffer=round(self.block * device["rate"]), stream_callback=hand_over,
                )  # fmt: skip
        except OSError as error:
            raise DeviceError(
                f"{device['name']} can't be opened ({error.args[-1]}). Close the program that uses "
                "it, or choose another one: test.py --list-devices"
            ) from error

    def _blocks(self, blocks, resampler, channels, name):
        opened = False
        while True:
            try:
                data = blocks.get(timeout=STALLED)
            except queue.Empty:
                raise DeviceError(
                    f"{name} has delivered nothing for {STALLED:g} s. Is it unplugged? Plug it in "
                    "and start again, or choose another one: test.py --list-devices"
                ) from None
            if not opened and self.on_open:
                self.on_open(name)
            opened = True
            frames = np.frombuffer(data, np.int16).reshape(-1, channels) / np.float32(32768)
            yield resampler.resample_chunk(frames.mean(axis=1, dtype=np.float32))
