"""Detect speech in a stream of audio, from a microphone or a long recording; check recordings.

    from listening import Microphone, Recorder, list_devices

    for utterance in Recorder(Microphone(), timeout=10):
        print(utterance.start, utterance.end, rec.predict(utterance.y, sr=16000))

A source is any iterable of blocks, float32 at 16 kHz: a `Microphone`, or
`audio.stream_audio(path)`. Results don't depend on the lengths of the blocks.
"""

import queue
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import numpy as np
import soxr

from checks import quiet_stderr
from parameters import SAMPLE_RATE, SPEECH_FROM, SPEECH_MEASURES

FRAME, GROUP = 0.010, 5  # seconds; frames per decision
BAND = 150, 4000  # Hz: without hum and hiss
ROOM = 1.0  # seconds before the first decision
MEMORY = 4.0  # seconds whose quietest frames give the noise floor
N_ROOM, N_MEMORY = round(ROOM / FRAME / GROUP), round(MEMORY / FRAME)  # groups, frames
QUIET_SHARE = 0.1  # of the frames in memory
ONSET, OFFSET = 9.0, 5.0  # dB over the noise floor where speech begins, and below which it ends
QUIETEST = -70.0  # dB of full scale, the lowest noise floor
SHORTEST = 0.15  # seconds of speech; less is a click
MARGIN = 0.1  # seconds kept before and after speech for its soft sounds
PAUSE = 0.7  # seconds of silence that end an utterance
LONGEST = 15.0  # seconds after which an utterance is cut
BUSY = -9985  # PortAudio's error for a device that another program uses
STALLED = 3.0  # seconds without a block until a device counts as unplugged


class DeviceError(OSError):
    """An input device can't be used; the message says why, and what to do."""


class NothingHeard(TimeoutError):
    """There was no speech before the timeout."""


# speech in a stream


@dataclass
class Span:
    """Speech without a long pause: its start, its end and its active part, in seconds."""

    start: float
    end: float
    active: float = 0.0

    @property
    def spoken(self):
        """Whether it is longer than a click: bool."""
        return self.active >= SHORTEST - 1e-9


class SpeechDetector:
    """Detects speech by its level above the noise floor.

    The noise floor is the level of the quietest tenth of the last 4 s (at first, of the first
    second): speech has at least that share of gaps, and louder noise becomes the floor once it
    fills the 4 s. Speech begins 9 dB above the floor, in the band of the voice, and ends below
    5 dB. There is a decision every 50 ms; those of the first second come together.

    Parameters
    ----------
    sr : int, default 16000
        Hz.
    pause, longest : float, default 0.7 and 15.0
        Seconds of silence that end a span, and after which a span is cut.

    Attributes
    ----------
    spans : list of Span
        In order. The last one may still grow.
    floor : float
        Noise floor in dB of full scale.
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
        """Seconds of the stream for which there are decisions: float."""
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
        """Decide on the rest after the end of the stream."""
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
        """Whether a span has ended, so that it won't grow: bool.

        Parameters
        ----------
        span : Span
        """
        return span is not self.spans[-1] or self.decided - span.end >= self.pause


def _decibels(power):
    """Level in dB of full scale, at least `QUIETEST`."""
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
        Blocks of any lengths. Default: none, they are passed to `push`.
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
        self._last = 0.0  # end of the latest speech, seconds

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
                f"No speech for {self.timeout:g} s. Speak up or come closer, and check that the "
                "right microphone is used and isn't muted."
            )
        return utterances

    def finish(self):
        """End the stream; return the utterance that its end cuts off, if any: list."""
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
        """Drop samples that no later utterance needs."""
        spans = self.detector.spans[self._n_done :]
        needed = spans[0].start if spans else self.detector.decided
        n_old = round((needed - MARGIN) * self.sr) - self._first
        if n_old > self.sr:
            self._held, self._first = self._held[n_old:], self._first + n_old


# faults of recordings

HIGH = 4000  # Hz; a telephone transmits nothing above
LONG = 30  # seconds; a longer recording may have more than one emotion
REPORTS = {
    "no-speech": "there is no speech in it, so no emotion",
    "clipped": "{clipped:.1%} of the samples are at full scale; record with less gain",
    "quiet": "speech has {speech:.0f} dB of full scale; come closer, or record with more gain",
    "telephone": "hardly anything above 4 kHz, as by telephone; recognition is less accurate",
    "noisy": "speech is {ratio:.0f} dB over the noise; use a quieter room or come closer",
    "short": "{seconds:.1f} s of speech; a second or more is recognised better",
    "long": "{duration:.0f} s, one emotion for all of it; timeline shows the emotions over time",
    "truncated": "{truncated}",  # these two as `audio.load_audio` finds them
    "unscaled": "{unscaled}",
    "novel": "unlike the training clips; the emotion isn't reliable",
}
"""Code of a warning to its sentence."""
WITHOUT_SPEECH = "no-speech", "clipped", "quiet", "truncated", "unscaled"
"""The codes that also apply to a recording without speech."""


class InputReport:
    """Finds faults of a recording that make predictions less reliable.

    Parameters
    ----------
    sr : int, default 16000
        Hz.

    Attributes
    ----------
    faults : dict of str to str
        To be passed to `audio.load_audio` or `stream_audio`, which fill it.

    Examples
    --------
    >>> report = InputReport()
    >>> report.push(1e-4 * np.sin(np.arange(4000, dtype=np.float32)))
    >>> list(report.warnings())
    ['quiet', 'telephone', 'noisy', 'short']
    >>> report.warnings(speech=False)["no-speech"]
    'there is no speech in it, so no emotion'
    """

    EVERY = 4  # the spectrum is that of every fourth frame

    def __init__(self, sr=SAMPLE_RATE):
        self._width = 2 * round(FRAME * sr)
        self._high = np.fft.rfftfreq(self._width, 1 / sr) >= HIGH
        self._held = np.empty(0, np.float32)
        self.sr, self._seconds = sr, self._width / sr
        self._n_samples = self._n_clipped = 0
        self.faults = {}
        self._levels = np.zeros(201, int)  # numbers of frames by level in dB, from -200
        self._spectra = np.zeros((201, 2))  # their power below and above `HIGH`

    def push(self, y):
        """Take the next block of the recording.

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
        """Measure what `warnings` depends on: dict of str to float.

        clipped: share of the samples at full scale; speech, noise: levels in dB of full scale;
        ratio: dB between them; high: dB of the power above 4 kHz over that below, in loud frames;
        seconds: of speech; duration: of the recording, in seconds.
        """
        if not self._levels.sum():
            nothing = dict.fromkeys(("clipped", "ratio", "high", "seconds", "duration"), 0)
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
            "duration": self._n_samples / self.sr,
        }

    def warnings(self, novel=False, *, speech=True):
        """List the warnings of `REPORTS` that apply: dict of code to message.

        Parameters
        ----------
        novel : bool, default False
            Whether the recording is novel; see `Predictor.novelty`.
        speech : bool, default True
            Whether there is speech in it; see `has_speech`.
        """
        found = self.measures()
        fits = {
            "no-speech": not speech,
            "clipped": found["clipped"] > 1e-3,
            "quiet": found["speech"] < -45,
            "telephone": found["high"] < -45,
            "noisy": found["ratio"] < 15,
            "short": found["seconds"] < 0.5,
            "long": found["duration"] >= LONG,
            "truncated": "truncated" in self.faults,
            "unscaled": "unscaled" in self.faults,
            "novel": novel,
        }
        codes = [code for code in REPORTS if fits[code] and (speech or code in WITHOUT_SPEECH)]
        return {code: REPORTS[code].format(**found, **self.faults) for code in codes}


# speech or other sounds

SPEECH_WINDOW, SPEECH_HOP, SPEECH_FFT = 640, 320, 1024  # samples: 40 ms every 20 ms
LEAST_FRAMES = 9
PIECE = 6.0  # seconds of a long recording that are classified at once
INAUDIBLE = -85.0  # dB of full scale, of the loud frames
ACTIVE = -25.0  # dB, of a frame relative to the loud ones
BAND_EDGES = 100, 250, 400, 600, 850, 1150, 1500, 1900, 2400, 3000, 3800, 5000, 7800  # Hz
N_CEPSTRA = 7
PITCH_BAND, PITCH_LAGS = (80, 4000), (27, 267)  # Hz; samples: pitches from 60 to 600 Hz
HARMONIC = 0.6  # peak of the autocorrelation from which a frame is voiced
LONGER_LAG = 0.0006  # relative cost of a sample of lag, against octave errors
STEADY, GLIDING, JUMPING = 0.005, 0.1, 0.25  # octaves from frame to frame
FAST, SLOW = 1, 3  # frames over which changes are compared
OUTLIER = 4.0  # standard deviations at which a measure is clipped


@cache
def _speech_tables():
    """Window, its autocorrelation, bins of bands and of pitch, cosine transform: arrays."""
    from scipy import fft

    hz = np.fft.rfftfreq(SPEECH_FFT, 1 / SAMPLE_RATE)[:, np.newaxis]
    window = np.hanning(SPEECH_WINDOW).astype(np.float32)
    own = fft.irfft(np.abs(fft.rfft(window, SPEECH_FFT)) ** 2)[: PITCH_LAGS[1] + 2]
    bands = (hz >= BAND_EDGES[:-1]) & (hz < BAND_EDGES[1:])
    voice = (hz[:, 0] >= PITCH_BAND[0]) & (hz[:, 0] < PITCH_BAND[1])
    cosines = fft.dct(np.eye(bands.shape[1]), norm="ortho")[:, :N_CEPSTRA]
    return window, own / own[0], bands.astype(np.float32), voice.astype(np.float32), cosines


def has_speech(y, sr=SAMPLE_RATE):
    """Whether a recording has speech: bool.

    A long recording is classified in pieces of at most 6 s; one with speech is enough.

    Parameters
    ----------
    y : ndarray (n_samples,) float32
        Mono.
    sr : int, default 16000
        Hz.

    Examples
    --------
    >>> has_speech(0.1 * np.random.default_rng(0).standard_normal(16000))
    False
    """
    if not len(y):
        return False
    if sr != SAMPLE_RATE:
        y = soxr.resample(y, sr, SAMPLE_RATE)
    return any(map(_is_speech, np.array_split(y, -(-len(y) // round(PIECE * SAMPLE_RATE)))))


def _is_speech(y):
    found = speech_measures(y)
    if not found:
        return False
    z = np.array([(found[name] - row[0]) / row[1] for name, row in SPEECH_MEASURES.items()])
    z = z.clip(-OUTLIER, OUTLIER)
    sums = (row[2] + np.dot(row[3:], z[i:]) for i, row in enumerate(SPEECH_MEASURES.values()))
    return bool(np.dot(z, [*sums]) > SPEECH_FROM)


def speech_measures(y):
    """Measure what distinguishes speech from other sounds: dict of str to float, empty for silence.

    The measures don't depend on loudness, and use the frames within 25 dB of the loud ones. The
    spectrum of speech changes with its syllables; that of noise changes from frame to frame, and
    that of music mostly with its pitch.

    Parameters
    ----------
    y : ndarray (n_samples,) float32 at 16 kHz
    """
    from scipy import fft

    window, own, bands, voice, cosines = _speech_tables()
    least = SPEECH_WINDOW + (LEAST_FRAMES - 1) * SPEECH_HOP
    y = np.pad(y - y.mean(dtype=np.float64), (0, max(0, least - len(y)))).astype(np.float32)
    frames = np.lib.stride_tricks.sliding_window_view(y, SPEECH_WINDOW)[::SPEECH_HOP] * window
    spectra = fft.rfft(frames, SPEECH_FFT)
    power = spectra.real**2 + spectra.imag**2
    energies = power @ bands
    energy = energies.sum(axis=1)
    place = int(0.95 * (len(energy) - 1))
    loud = np.partition(energy, place)[place]
    if 10 * np.log10(8 * loud / (SPEECH_WINDOW * SPEECH_FFT) + 1e-20) < INAUDIBLE:
        return {}
    levels = 10 * np.log10(energy / loud + 1e-4)
    active = levels > ACTIVE
    decibels = 10 * np.log10(energies / loud + 1e-5)
    found = _level_measures(levels, active) | _spectrum_measures(decibels, cosines, active)
    correlations = fft.irfft(power * voice)[:, : PITCH_LAGS[1] + 2]
    total = correlations[:, :1] + 1e-6 * correlations[:, 0].max() + 1e-20
    return found | _pitch_measures(correlations / total / own, active)


def _level_measures(levels, active):
    """Measures of the levels (n_frames,) in dB."""
    steps = np.square(np.diff(levels))
    rises = steps[np.diff(levels) > 0].sum()
    return {
        "active_frames": np.log(active.sum()),
        "level_spread": levels.std(),
        "level_low": np.partition(levels, len(levels) // 10)[len(levels) // 10],
        "level_step": np.log(steps.mean() + 0.01),
        "level_attack": np.log((rises + 1) / (steps.sum() - rises + 1)),
    }


def _spectrum_measures(decibels, cosines, active):
    """Measures of the bands (n_frames, n_bands) in dB: spread, rate of change of the cepstra."""
    cepstra, own = decibels @ cosines, decibels[active]
    spread = cepstra[active].var(axis=0) + 0.3
    fast, slow = (
        np.square(cepstra[lag:] - cepstra[:-lag])[both].sum(axis=0) / max(1, both.sum()) + 0.3
        for lag in (FAST, SLOW)
        for both in [active[lag:] & active[:-lag]]
    )
    own = own - own.mean(axis=0)
    low, high = own[:, 1:5].mean(axis=1), own[:, 6:10].mean(axis=1)
    scale = np.sqrt((low @ low) * (high @ high)) / len(own) + 0.03
    found = {"low_with_high": low @ high / len(own) / scale, "tilt": cepstra[active, 1].mean() / 10}
    fast, slow, spread = np.log(fast / slow), np.log(slow / spread), np.log(spread)
    found |= {f"spread_{i}": spread[i] for i in (3, 6)} | {f"slow_{i}": slow[i] for i in (2, 3)}
    return found | {f"fast_{i}": fast[i] for i in (0, 5)}


def _pitch_measures(correlations, active):
    """Measures of the autocorrelations (n_frames, n_lags) of frames."""
    shortest, longest = PITCH_LAGS
    cost = LONGER_LAG * np.arange(shortest, longest + 1)
    lags = (correlations[:, shortest : longest + 1] * (1 - cost)).argmax(axis=1) + shortest
    before, peak, after = (correlations[np.arange(len(lags)), lags + i] for i in (-1, 0, 1))
    bend = np.minimum(before - 2 * peak + after, -1e-6)
    pitch = np.log2(lags + np.clip((before - after) / bend / 2, -0.5, 0.5))
    voiced = active & (peak > HARMONIC)
    steps = np.abs(np.diff(pitch))[voiced[1:] & voiced[:-1]]
    gliding = (steps > STEADY) & (steps < GLIDING)
    found = {"steady": steps <= STEADY, "gliding": gliding, "jumping": steps > JUMPING}
    return {name: (which.sum() + 0.5) / (len(steps) + 1) for name, which in found.items()}


# the microphone


def _pyaudio():
    """PyAudio and an instance of it; output of the system's audio libraries is discarded."""
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
    """List the input devices: list of dict.

    Keys are index (int), name (str), channels (int), rate (int, Hz) and default (bool).

    Raises
    ------
    DeviceError
        Without PyAudio.
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
    """The device with an index or a part of a name; without these, the default one."""
    if not devices:
        raise DeviceError(
            "There is no microphone. Plug one in, or use a recording: test.py --file FILE"
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
        An index, or a part of a name, in `list_devices`; default: that of the system.
    sr : int, default 16000
        Sampling rate of the blocks in Hz; that of the device may differ.
    block : float, default 0.02
        Seconds of audio that the device delivers at a time.
    on_open : callable, optional
        Called with the device's name when its first block has arrived.

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
        """Open and close the device; return its name: str. Raises DeviceError."""
        with self._opened(lambda data: None) as (device, _):
            return device["name"]

    @contextmanager
    def _opened(self, take):
        """The open device and its number of channels; `take` is called with each block."""
        pyaudio, audio = _pyaudio()

        def callback(data, *_):
            take(data)
            return None, pyaudio.paContinue

        with ExitStack() as stack:
            stack.callback(audio.terminate)
            device = _choose(_devices(audio), self.device)
            place = {"input_device_index": device["index"], "input": True}
            place |= {"frames_per_buffer": round(self.block * device["rate"])}
            few, every = (
                min(2, device["channels"]),
                device["channels"],
            )  # some devices open only with all channels
            for channels in dict.fromkeys((few, every)):
                form = device["rate"], channels, pyaudio.paInt16
                try:
                    with quiet_stderr():
                        stream = audio.open(*form, stream_callback=callback, **place)
                    break
                except OSError as error:
                    refusal = error
            else:
                busy = refusal.args[0] == BUSY
                raise DeviceError(
                    f"{device['name']} can't be opened with {channels} channel(s) at "
                    f"{device['rate']} Hz ({refusal.args[-1]}). "
                    f"{'Close the program that uses it, or choose' if busy else 'Choose'} another "
                    "one: test.py --list-devices"
                ) from refusal
            stack.callback(stream.close)
            yield device, channels
