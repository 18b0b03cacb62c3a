"""Emotion over time: in a call, in a lecture, or from a microphone.

    rec.predict_timeline("call.wav")                # DataFrame, a row for each second of speech
    left, right = rec.predict_timeline("call.wav", channels="split")

    stream = Timeline(rec, hop=0.25)                # the same, block by block
    for block in Microphone():
        for row in stream.push(block): ...

    FORMATS["srt"].to_text(table)                   # also csv, audacity, json
    draw_timeline("call.wav", table)                # the picture

From the shell, see `python emotion_recognition.py timeline --help`.
"""

import html
import json
import math
from collections import defaultdict, deque
from collections.abc import Callable
from contextlib import suppress
from itertools import takewhile
from typing import NamedTuple

import numpy as np
import pandas as pd
import soundfile as sf
from tqdm.auto import tqdm

from audio import stream_audio
from checks import check_name, moved
from listening import MARGIN, InputReport, Span, SpeechDetector
from parameters import SAMPLE_RATE
from plotting import colours, new_figure
from predictor import predictor_of
from speech_features import CONTEXT, HOP, WINDOW, SpeechFrames

TWO_DECIMALS = "display.float_format", "{:.2f}".format  # for seconds and probabilities
HEARABLE = SHORTEST_WINDOW = 0.3  # seconds; an emotion can't be recognised in less


class Timeline:
    """Predicts emotion over time in a stream, cell by cell.

    A cell is `hop` seconds long. Its row is predicted from the last `window` seconds of its
    utterance, never from later sound. A microphone and a file give the same rows for the same
    samples, in blocks of any lengths.

    Parameters
    ----------
    predictor : Predictor or trained recognizer
        A classifier.
    window, hop : float, default 3.0 and 1.0
        Seconds; hop is a multiple of 0.05.
    smooth : int, default 1
        Average the probabilities of so many cells of an utterance, up to and with this one.
    vad : bool, default True
        Leave out cells without speech, and silence from the windows; see `SpeechDetector`.

    Attributes
    ----------
    novelties : list of float
        One for each row; see `Predictor.novelty`.

    Raises
    ------
    ValueError
        For a regressor, or settings outside their range.
    """

    def __init__(self, predictor, *, window=3.0, hop=1.0, smooth=1, vad=True):
        self.predictor = predictor_of(predictor)
        if not self.predictor.classification:
            raise ValueError(
                "A timeline needs a classifier; a regressor predicts numbers, not emotions. Use "
                "classification=True."
            )
        if abs(hop / 0.05 - round(hop / 0.05)) > 1e-6 or hop <= 0:
            raise ValueError(f"hop is a multiple of 0.05 s; got {hop!r}.")
        if not max(hop, SHORTEST_WINDOW) <= window:
            raise ValueError(
                f"window is at least hop and at least {SHORTEST_WINDOW} s; got {window!r} s."
            )
        if smooth < 1 or smooth != int(smooth):
            raise ValueError(f"smooth is a number of cells, from 1; got {smooth!r}.")
        self.window, self.hop, self.smooth = window, hop, smooth
        self.detector = SpeechDetector(longest=math.inf) if vad else None
        self._spans = self.detector.spans if vad else [Span(0.0, math.inf, math.inf)]
        self.novelties = []
        self._held, self._first, self._n_samples = np.zeros(0, np.float32), 0, 0
        self._pieces, self._n_frames = deque(), 0
        self._n_cells = 0
        self._recent, self._recent_span = deque(maxlen=smooth), None

    @property
    def duration(self):
        """Seconds of the stream so far."""
        return self._n_samples / SAMPLE_RATE

    def push(self, y):
        """Take the next block of the stream; return the rows of the cells that end in it.

        Parameters
        ----------
        y : ndarray (n_samples,) float32 at 16 kHz

        Returns
        -------
        list of dict
            start, end (seconds), emotion, confidence, and the probability of each emotion.
        """
        rows, width = [], round(self.hop * SAMPLE_RATE)
        while len(y):  # a cell must not depend on later samples
            n = width - self._n_samples % width
            self._held = np.concatenate([self._held, y[:n]])
            self._n_samples += len(y[:n])
            if self.detector is not None:
                self.detector.push(y[:n])
            decided = self.duration if self.detector is None else self.detector.decided
            while self._time(self._n_cells + 1) <= decided + 1e-9:
                rows += self._cell(self._time(self._n_cells + 1))
            y = y[n:]
        return rows

    def finish(self):
        """Return the rows of the cells that the end of the stream leaves: list of dict."""
        rows = []
        if self.detector is not None:
            self.detector.finish()
        while (start := self._time(self._n_cells)) < self.duration - 1e-9:
            rows += self._cell(min(start + self.hop, self.duration))
        return rows

    def _time(self, n_cells):
        return round(n_cells * self.hop, 6)

    def _cell(self, end):
        """Yield the row of the next cell, predicted from the last utterance in it, if any."""
        start = self._time(self._n_cells)
        self._n_cells += 1
        spans = takewhile(lambda span: span.end > start, reversed(self._spans))
        span = next((span for span in spans if span.start < end and span.spoken), None)
        if span is not None:
            first = max(end - self.window, span.start - MARGIN, 0)
            last = min(end, span.end + MARGIN)
            if last - first >= SHORTEST_WINDOW:
                X = self.predictor.features(self._clip(first, last, end))
                yield self._row(max(start, span.start), min(end, span.end), span, X)
        self._forget(end)

    def _row(self, start, end, span, X):
        self.novelties.append(float(self.predictor.novelty(X)[0]))
        if span.start != self._recent_span:
            self._recent_span = span.start
            self._recent.clear()
        self._recent.append(self.predictor.probabilities(X)[0])
        shares = self.predictor.by_emotion(np.mean(self._recent, axis=0))
        best = max(shares, key=shares.get)
        row = {"start": round(start, 3), "end": round(end, 3)}
        return row | {"emotion": best, "confidence": shares[best]} | shares

    def _clip(self, first, last, end):
        """The sound of a window in a cell: SpeechFrames if the predictor takes them, or samples."""
        if not self.predictor.takes_frames:
            return self._samples(round(first * SAMPLE_RATE), round(last * SAMPLE_RATE))
        a, b = math.ceil(first / HOP - 1e-6), math.floor((last - WINDOW) / HOP + 1e-6) + 1
        self._measure(a, b, end)
        pieces = [(n, piece) for n, piece in self._pieces if n + piece.n_frames > a]
        frames = slice(max(0, a - pieces[0][0]), b - pieces[0][0])
        return SpeechFrames.joined([piece for _, piece in pieces], frames)

    def _measure(self, first, last, end):
        """Measure those frames of a window that no earlier window had."""
        window, hop, context = (round(s * SAMPLE_RATE) for s in (WINDOW, HOP, CONTEXT))
        n_samples = round(end * SAMPLE_RATE)
        first = max(first, self._n_frames)
        last = min(last, (n_samples - window - context) // hop + 1)
        if last <= first:
            return
        start, stop = first * hop - context, (last - 1) * hop + window + context
        recent = self._samples(n_samples - round(self.window * SAMPLE_RATE), n_samples)
        y = np.pad(self._samples(start, stop), (max(0, -start), 0)) - recent.mean()
        self._pieces.append((first, SpeechFrames(y, SAMPLE_RATE, context)))
        self._n_frames = last

    def _samples(self, first, last):
        return self._held[max(0, first - self._first) : last - self._first]

    def _forget(self, end):
        """Drop what no later window needs."""
        oldest = end - self.window - self.hop
        n_old = round(oldest * SAMPLE_RATE) - self._first
        if n_old > SAMPLE_RATE:
            self._held, self._first = self._held[n_old:], self._first + n_old
        while self._pieces and (self._pieces[0][0] + self._pieces[0][1].n_frames) * HOP < oldest:
            self._pieces.popleft()


def predict_timeline(
    predictor, audio, *, sr=None, channels="mix", report=True, verbose=1, on_row=None, **settings
):
    """Predict emotion over time in a recording, in memory that doesn't grow with its length.

    Parameters
    ----------
    predictor : Predictor or trained recognizer
        A classifier.
    audio, sr
        The recording, and the rate of an array in Hz; see `audio.load_audio`.
    channels : {"mix", "split"}
        "split": a timeline for each channel, as for a call with a speaker on each.
    report : bool, default True
        Look for what makes the result doubtful: `attrs["warnings"]`, a list of str.
    verbose : int, default 1
        0 draws no progress bar.
    on_row : callable, optional
        Called with channel (int, from 0) and row (dict) as soon as a row is predicted.
    **settings
        window, hop, smooth, vad; see `Timeline`.

    Returns
    -------
    TimelineTable, or a list of them for "split"
        The rows of `Timeline.push`. `attrs` has duration (seconds) and warnings.
    """
    check_name(channels, ("mix", "split"), "channels")
    Timeline(predictor, **settings)  # raises for wrong settings before anything is read
    parts = defaultdict(lambda: (Timeline(predictor, **settings), InputReport(), []))  # by channel

    def add(channel, rows):
        parts[channel][-1].extend(rows)
        for row in rows if on_row else ():
            on_row(channel, row)

    style = {"desc": "Predicting", "unit": "s", "unit_scale": True, "disable": not verbose}
    with tqdm(total=_duration(audio, sr), **style) as bar:
        for block in stream_audio(audio, orig_sr=sr, mono=channels == "mix"):
            for channel, y in enumerate(np.ascontiguousarray(block.reshape(len(block), -1).T)):
                timeline, sound, _ = parts[channel]
                add(channel, timeline.push(y))
                if report:
                    sound.push(y)
            bar.update(len(block) / SAMPLE_RATE)
        bar.total = bar.n
    for channel, (timeline, *_) in parts.items():
        add(channel, timeline.finish())
    tables = [_table(*part, report) for part in parts.values()]
    return tables[0] if channels == "mix" else tables


def _table(timeline, sound, rows, report):
    columns = ["start", "end", "emotion", "confidence", *timeline.predictor.emotions]
    table = TimelineTable(rows, columns=columns)
    novel = bool(rows) and np.median(timeline.novelties) > 1
    warnings = sound.warnings(novel) if report else []
    table.attrs = {"duration": timeline.duration, "warnings": warnings}
    return table


def _duration(audio, sr):
    """Seconds, or None if they aren't known before decoding."""
    if sr is not None:
        return len(audio) / sr
    if hasattr(audio, "read"):
        return None  # the header of a stream can't be read twice
    with suppress(sf.LibsndfileError, TypeError, OSError):
        return sf.info(audio).duration
    return None


class TimelineTable(pd.DataFrame):
    """The rows of a timeline, shown with duration and warnings; its methods give DataFrames."""

    def _lines(self):
        duration = self.attrs.get("duration")
        length = "" if duration is None else f" in {duration:.1f} s"
        warnings = [f"! {warning}" for warning in self.attrs.get("warnings", ())]
        return [f"Timeline, {len(self)} rows{length}", *warnings]

    def __repr__(self):
        with pd.option_context(*TWO_DECIMALS):
            return "\n".join([*self._lines(), super().__repr__()])

    def _repr_html_(self):
        paragraphs = "".join(f"<p>{html.escape(line)}</p>" for line in self._lines())
        with pd.option_context(*TWO_DECIMALS):
            return paragraphs + super()._repr_html_()


# formats


def segments(table):
    """Join neighbouring rows of the same emotion: DataFrame of start, end, emotion, confidence.

    Parameters
    ----------
    table : DataFrame of `predict_timeline`
    """
    follows = table["start"].sub(table["end"].shift()).abs().lt(1e-3)
    same = follows & table["emotion"].eq(table["emotion"].shift())
    how = {"start": "first", "end": "last", "emotion": "first", "confidence": "mean"}
    groups = table.groupby((~same).cumsum(), sort=False)
    return groups.agg(how).reset_index(drop=True)


def _srt_time(seconds):
    ms = round(1000 * seconds)
    return f"{ms // 3600000:02d}:{ms // 60000 % 60:02d}:{ms // 1000 % 60:02d},{ms % 1000:03d}"


def to_srt(table):
    """Write the segments as subtitles (SubRip): str.

    Parameters
    ----------
    table : DataFrame of `predict_timeline`
    """
    lines = []
    for i, row in enumerate(segments(table).itertuples(), 1):
        times = f"{_srt_time(row.start)} --> {_srt_time(row.end)}"
        lines.append(f"{i}\n{times}\n{row.emotion} ({row.confidence:.0%})\n")
    return "\n".join(lines)


def to_audacity(table):
    """Write the segments as labels that Audacity imports (File, Import, Labels): str.

    Parameters
    ----------
    table : DataFrame of `predict_timeline`
    """
    rows = segments(table).itertuples()
    return "".join(f"{row.start:.3f}\t{row.end:.3f}\t{row.emotion}\n" for row in rows)


def to_csv(table):
    """Write all rows with all probabilities: str.

    Parameters
    ----------
    table : DataFrame of `predict_timeline`
    """
    return table.to_csv(index=False, float_format="%.4f", lineterminator="\n")


def to_json(table):
    """Write duration, warnings and all rows as one JSON document: str.

    Parameters
    ----------
    table : DataFrame of `predict_timeline`
    """
    return json.dumps(table.attrs | {"rows": table.to_dict("records")}, indent=1) + "\n"


# the picture

N_COLUMNS = 1200  # of the picture, whatever the length of the recording
PICTURE_FFT = 512  # samples
PICTURE_RANGE = 70  # dB


def _overview(blocks, duration):
    """Time (s), minimum, maximum and spectrum (n_bins, n_columns; dB, 0 at its loudest) of columns.

    A column without the middle of a frame has the spectrum of the column before.
    """
    width = max(1, math.ceil(duration * SAMPLE_RATE / N_COLUMNS))  # samples a column
    n = math.ceil(duration * SAMPLE_RATE / width)
    low, high, counts = np.zeros((3, n))
    power = np.zeros((n, PICTURE_FFT // 2 + 1))
    hop = max(PICTURE_FFT // 2, min(width // 4, PICTURE_FFT))
    window = np.hanning(PICTURE_FFT).astype(np.float32)
    n_done, held = 0, np.empty(0, np.float32)
    for y in blocks:
        columns = np.minimum((n_done + np.arange(len(y))) // width, n - 1)
        edges = np.flatnonzero(np.diff(columns, prepend=-1))
        np.minimum.at(low, columns[edges], np.minimum.reduceat(y, edges))
        np.maximum.at(high, columns[edges], np.maximum.reduceat(y, edges))
        starts = np.arange(0, max(0, len(held) + len(y) - PICTURE_FFT + 1), hop)
        middles = n_done - len(held) + starts + PICTURE_FFT // 2
        held, n_done = np.concatenate([held, y]), n_done + len(y)
        if len(starts):
            frames = np.lib.stride_tricks.sliding_window_view(held, PICTURE_FFT)[starts]
            place = np.minimum(middles // width, n - 1)
            np.add.at(power, place, np.abs(np.fft.rfft(frames * window)) ** 2)
            np.add.at(counts, place, 1)
            held = held[starts[-1] + hop :]
    filled = np.maximum.accumulate(np.where(counts > 0, np.arange(n), 0))
    power = (power / np.maximum(counts, 1)[:, None])[filled].T
    time = (np.arange(n) + 0.5) * width / SAMPLE_RATE
    return time, low, high, 10 * np.log10(power / max(power.max(), 1e-12) + 1e-12)


def draw_timeline(audio, table, *, sr=None, channel=None, figure=None):
    """Draw waveform, spectrogram and emotions of a recording over one time axis.

    Parameters
    ----------
    audio, sr
        The recording; see `predict_timeline`.
    table : DataFrame
        Its timeline.
    channel : int, optional
        The channel of `table`, from 0; default: all channels are mixed.
    figure : matplotlib Figure or SubFigure, optional
        Default: a new one.

    Returns
    -------
    matplotlib Figure or SubFigure
        Its axes are waveform, spectrogram, probabilities and emotions, from top to bottom.
    """
    figure = figure or new_figure(11, 6)
    duration = table.attrs["duration"]
    blocks = stream_audio(audio, orig_sr=sr, mono=channel is None)
    own = blocks if channel is None else (block[:, channel] for block in blocks)
    time, low, high, decibels = _overview(own, duration)
    wave, spectrum, shares, band = figure.subplots(
        4, 1, sharex=True, gridspec_kw={"height_ratios": [2, 3, 3, 0.7]}
    )
    unit, scale = ("min", 60) if duration > 180 else ("s", 1)
    wave.fill_between(time / scale, low, high, color="#444444", linewidth=0.3)
    peak = max(-low.min(), high.max(), 1e-4)
    wave.set(ylabel="amplitude\n(1 = full scale)", ylim=(-1.05 * peak, 1.05 * peak))
    style = {"origin": "lower", "aspect": "auto", "cmap": "magma", "vmin": -PICTURE_RANGE}
    extent = 0, duration / scale, 0, SAMPLE_RATE / 2000
    image = spectrum.imshow(decibels, vmax=0, extent=extent, **style)
    spectrum.set_ylabel("frequency (kHz)")
    figure.colorbar(image, cax=spectrum.inset_axes([1.01, 0, 0.012, 1]), label="power (dB)")
    _draw_emotions(shares, band, table, scale)
    band.set(xlabel=f"time ({unit})", xlim=(0, duration / scale))
    return figure


def _draw_emotions(shares, band, table, scale):
    """Probabilities as stacked areas, and below them the likeliest emotions in a band."""
    from matplotlib.patches import Patch

    emotions = list(table.columns[4:])
    colour = colours(emotions)
    width, left = (table["end"] - table["start"]) / scale, table["start"] / scale
    bottom = np.zeros(len(table))
    for emotion in emotions:
        shares.bar(left, table[emotion], width, bottom, color=colour[emotion], align="edge")
        bottom = bottom + table[emotion].to_numpy()
    shares.set(ylabel="probability", ylim=(0, 1))
    for row in segments(table).itertuples():
        band.axvspan(row.start / scale, row.end / scale, color=colour[row.emotion], linewidth=0)
    band.set(yticks=[])
    band.set_ylabel("emotion", rotation=0, ha="right", va="center")
    handles = [Patch(color=colour[emotion], label=emotion) for emotion in emotions]
    shares.legend(handles=handles, loc="center left", bbox_to_anchor=(1.005, 0.5), frameon=False)


class Format(NamedTuple):
    """An output format of timelines."""

    ending: str  # of its files
    to_text: Callable | None  # table to str; None: the picture of `draw_timeline`


FORMATS = {
    "csv": Format(".csv", to_csv),
    "srt": Format(".srt", to_srt),
    "audacity": Format(".txt", to_audacity),
    "json": Format(".json", to_json),
    "png": Format(".png", None),
}
WRITERS = {name: form.to_text for name, form in FORMATS.items() if form.to_text}
ENDINGS = {name: form.ending for name, form in FORMATS.items()} | {"plot": ".png"}

__getattr__ = moved(
    __name__, {"plotting": "COLOURS OTHERS", "speech_features": "Voice=SpeechFrames"}
)
