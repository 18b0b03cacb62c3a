"""Emotion over time: of a call, a lecture, a microphone that goes on listening.

    rec.predict_timeline("call.wav")                          # DataFrame, a row a second of speech
    left, right = rec.predict_timeline("call.wav", channels="split")

    stream = Timeline(rec, hop=0.25)                          # the same, as it is heard
    for block in Microphone():
        for row in stream.push(block): ...

From the shell, see `python emotion_recognition.py timeline --help`.
"""

import html
import json
import math
from collections import deque
from contextlib import suppress

import numpy as np
import pandas as pd
import soundfile as sf
from tqdm.auto import tqdm

import features as ft
from audio import stream_audio
from evaluation import new_figure
from listening import MARGIN, InputReport, Span, SpeechDetector
from parameters import SAMPLE_RATE
from utils import check_name
from voice import CONTEXT, HOP, WINDOW, Voice

TWO_DECIMALS = "display.float_format", "{:.2f}".format  # of seconds and probabilities
HEARABLE = 0.3  # seconds of a window that can be told an emotion from
COLOURS = {
    "neutral": "#999999", "calm": "#56B4E9", "happy": "#E69F00", "sad": "#0072B2",
    "angry": "#D55E00", "fear": "#882255", "disgust": "#117733", "ps": "#CC79A7",
    "boredom": "#DDCC77",
}  # fmt: skip
"""Told apart by people with any colour vision (Okabe and Ito 2008; Tol 2021)."""
OTHERS = "#332288", "#44AA99", "#AA4499", "#661100"  # words of your own


class Timeline:
    """Hears emotion over time in a stream, cell by cell.

    A cell is `hop` seconds long. What is heard in it is judged by the last `window` seconds of the
    utterance that it belongs to: nothing waits for what comes later, so a microphone and a file
    give the same rows for the same samples. How the stream is cut in blocks changes nothing.

    Parameters
    ----------
    rec : EmotionRecognizer
        Trained, a classifier.
    window, hop : float
        Seconds; hop a multiple of 0.05.
    smooth : int
        Average the probabilities of that many cells of an utterance, the last one being this.
    vad : bool
        Leave out cells without speech, and silence out of the windows; see `SpeechDetector`.

    Attributes
    ----------
    strangeness : list of float
        Of each row; see `EmotionRecognizer.listen`.
    """

    def __init__(self, rec, *, window=3.0, hop=1.0, smooth=1, vad=True):
        _check_settings(rec, window, hop, smooth)
        self.rec, self.window, self.hop, self.smooth = rec, window, hop, smooth
        self.detector = SpeechDetector(longest=math.inf) if vad else None
        self.strangeness = []
        members = getattr(rec, "members", [rec])
        self._measured = all(set(m.features) <= set(ft.VOICE_FEATURES) for m in members)
        self._held, self._first, self._n_heard = np.zeros(0, np.float32), 0, 0
        self._pieces, self._n_frames = deque(), 0
        self._n_cells = 0
        self._recent, self._recent_span = deque(maxlen=smooth), None

    def push(self, y):
        """Listen to a block (n_samples,): list of dict, the rows of the cells that it ends."""
        rows, width = [], round(self.hop * SAMPLE_RATE)
        while len(y):  # nothing that comes after a cell is known when it is judged
            n = width - self._n_heard % width
            self._listen(y[:n])
            y = y[n:]
            while self._time(self._n_cells + 1) <= self._decided() + 1e-9:
                rows += self._cell(self._time(self._n_cells + 1))
        return rows

    def _decided(self):
        return self._n_heard / SAMPLE_RATE if self.detector is None else self.detector.decided

    def finish(self):
        """The rows of what is left when the stream has ended."""
        duration, rows = self._n_heard / SAMPLE_RATE, []
        if self.detector is not None:
            self.detector.finish()
        while (start := self._time(self._n_cells)) < duration - 1e-9:
            rows += self._cell(min(start + self.hop, duration))
        return rows

    def _time(self, n_cells):
        return round(n_cells * self.hop, 6)

    def _listen(self, y):
        self._held = np.concatenate([self._held, y])
        self._n_heard += len(y)
        if self.detector is not None:
            self.detector.push(y)

    def _cell(self, end):
        """The row of the next cell, if there is speech in it: list of one dict or none."""
        start = self._time(self._n_cells)
        self._n_cells += 1
        rows = []
        span = self._span(start, end)
        if span is not None:
            first = max(end - self.window, span.start - MARGIN, 0)
            last = min(end, span.end + MARGIN)
            if last - first >= HEARABLE:
                heard = self.rec.listen(self._clip(first, last, end))
                rows.append(self._row(max(start, span.start), min(end, span.end), span, *heard))
        self._forget(end)
        return rows

    def _span(self, start, end):
        """The last utterance in a cell, or None."""
        if self.detector is None:
            return Span(0.0, math.inf, math.inf)
        for span in reversed(self.detector.spans):
            if span.end <= start:
                return None
            if span.start < end and span.spoken:
                return span
        return None

    def _row(self, start, end, span, probabilities, strangeness):
        self.strangeness.append(strangeness)
        if span.start != self._recent_span:
            self._recent_span = span.start
            self._recent.clear()
        self._recent.append(probabilities)
        shares = self.rec.by_emotion(np.mean(self._recent, axis=0))
        best = max(shares, key=shares.get)
        row = {"start": round(start, 3), "end": round(end, 3)}
        return row | {"emotion": best, "confidence": shares[best]} | shares

    def _measure(self, first, last, end):
        """Measure those frames of a window that no earlier one had: none that only silence has."""
        window, hop, context = (round(s * SAMPLE_RATE) for s in (WINDOW, HOP, CONTEXT))
        n_samples = round(end * SAMPLE_RATE)
        first = max(first, self._n_frames)
        last = min(last, (n_samples - window - context) // hop + 1)
        if last <= first:
            return
        start, stop = first * hop - context, (last - 1) * hop + window + context
        recent = self._samples(n_samples - round(self.window * SAMPLE_RATE), n_samples)
        y = np.pad(self._samples(start, stop), (max(0, -start), 0)) - recent.mean()
        self._pieces.append((first, Voice(y, SAMPLE_RATE, context)))
        self._n_frames = last

    def _samples(self, first, last):
        return self._held[max(0, first - self._first) : last - self._first]

    def _clip(self, first, last, end):
        """The sound of a window in a cell, measured where that helps: Voice, or samples."""
        if not self._measured:
            return self._samples(round(first * SAMPLE_RATE), round(last * SAMPLE_RATE))
        a, b = math.ceil(first / HOP - 1e-6), math.floor((last - WINDOW) / HOP + 1e-6) + 1
        self._measure(a, b, end)
        pieces = [(n, piece) for n, piece in self._pieces if n + piece.n_frames > a]
        offset = pieces[0][0]
        return Voice.joined([piece for _, piece in pieces], slice(max(0, a - offset), b - offset))

    def _forget(self, end):
        """Let go of what no window can need any more."""
        oldest = end - self.window - self.hop
        n_old = round(oldest * SAMPLE_RATE) - self._first
        if n_old > SAMPLE_RATE:
            self._held, self._first = self._held[n_old:], self._first + n_old
        while self._pieces and (self._pieces[0][0] + self._pieces[0][1].n_frames) * HOP < oldest:
            self._pieces.popleft()


def _check_settings(rec, window, hop, smooth):
    if not rec.classification:
        raise ValueError("A timeline names emotions, a regressor numbers; use classification=True.")
    if abs(hop / 0.05 - round(hop / 0.05)) > 1e-6 or hop <= 0:
        raise ValueError(f"hop is a multiple of 0.05 s; got {hop!r}.")
    if not max(hop, HEARABLE) <= window:
        raise ValueError(f"window is from hop and {HEARABLE} s up; got {window!r} s.")
    if smooth < 1 or smooth != int(smooth):
        raise ValueError(f"smooth is a number of cells, from 1; got {smooth!r}.")


def predict_timeline(rec, audio, *, sr=None, window=3.0, hop=1.0, smooth=1, vad=True,
                     channels="mix", report=True):  # fmt: skip
    """Emotion over time; see `EmotionRecognizer.predict_timeline`."""
    check_name(channels, ("mix", "split"), "channels")
    settings = {"window": window, "hop": hop, "smooth": smooth, "vad": vad}
    parts, n_samples = None, 0
    blocks = stream_audio(audio, orig_sr=sr, mono=channels == "mix")
    with tqdm(total=_duration(audio, sr), desc="Listening", unit="s", unit_scale=True,
              disable=not rec.verbose) as bar:  # fmt: skip
        for block in blocks:
            block = block.reshape(len(block), -1)
            parts = parts or [_Part(rec, settings, report) for _ in block.T]
            for part, y in zip(parts, block.T, strict=True):
                part.push(np.ascontiguousarray(y))
            n_samples += len(block)
            bar.update(len(block) / SAMPLE_RATE)
        bar.total = bar.n
    tables = [part.finish(n_samples / SAMPLE_RATE) for part in parts]
    return tables[0] if channels == "mix" else tables


class TimelineTable(pd.DataFrame):
    """The rows of a timeline; it shows its duration and warnings, too.

    What is computed from it is a plain DataFrame.
    """

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


class _Part:
    """A timeline, its rows, and a report on its sound."""

    def __init__(self, rec, settings, report):
        self.timeline, self.rows = Timeline(rec, **settings), []
        self.report = InputReport() if report else None

    def push(self, y):
        self.rows += self.timeline.push(y)
        if self.report:
            self.report.push(y)

    def finish(self, duration):
        self.rows += self.timeline.finish()
        columns = ["start", "end", "emotion", "confidence", *self.timeline.rec.emotions]
        table = TimelineTable(self.rows, columns=columns)
        strange = self.timeline.strangeness
        warnings = self.report.warnings(bool(strange) and np.median(strange) > 1) \
            if self.report else []  # fmt: skip
        table.attrs = {"duration": duration, "warnings": warnings}
        return table


def _duration(audio, sr):
    """Seconds, or None where only decoding tells."""
    if sr is not None:
        return len(audio) / sr
    if hasattr(audio, "read"):
        return None  # what is read of a stream now is missing later
    with suppress(sf.LibsndfileError, TypeError, OSError):
        return sf.info(audio).duration
    return None


# files


def segments(table):
    """Put neighbouring rows of the same emotion together.

    Parameters
    ----------
    table : DataFrame
        Of `predict_timeline`.

    Returns
    -------
    DataFrame
        start, end, emotion, confidence (the mean).
    """
    follows = table["start"].sub(table["end"].shift()).abs().lt(1e-3)
    same = follows & table["emotion"].eq(table["emotion"].shift())
    groups = table.groupby((~same).cumsum(), sort=False)
    return groups.agg(
        start=("start", "first"), end=("end", "last"), emotion=("emotion", "first"),
        confidence=("confidence", "mean"),
    ).reset_index(drop=True)  # fmt: skip


def _srt_time(seconds):
    ms = round(1000 * seconds)
    return f"{ms // 3600000:02d}:{ms // 60000 % 60:02d}:{ms // 1000 % 60:02d},{ms % 1000:03d}"


def to_srt(table):
    """Subtitles (SubRip) of the segments: str."""
    lines = []
    for i, row in enumerate(segments(table).itertuples(), 1):
        times = f"{_srt_time(row.start)} --> {_srt_time(row.end)}"
        lines.append(f"{i}\n{times}\n{row.emotion} ({row.confidence:.0%})\n")
    return "\n".join(lines)


def to_audacity(table):
    """Labels that Audacity imports (File, Import, Labels): str."""
    rows = segments(table).itertuples()
    return "".join(f"{row.start:.3f}\t{row.end:.3f}\t{row.emotion}\n" for row in rows)


def to_csv(table):
    """All rows with all probabilities: str."""
    return table.to_csv(index=False, float_format="%.4f", lineterminator="\n")


def to_json(table):
    """Duration, warnings and all rows: str."""
    return json.dumps(table.attrs | {"rows": table.to_dict("records")}, indent=1) + "\n"


WRITERS = {"csv": to_csv, "srt": to_srt, "audacity": to_audacity, "json": to_json}
ENDINGS = {"csv": ".csv", "srt": ".srt", "audacity": ".txt", "json": ".json", "plot": ".png"}


# the picture

N_COLUMNS = 1200  # of the picture, whatever the length of the recording
PICTURE_FFT = 512  # samples
PICTURE_RANGE = 70  # dB


def colours(emotions):
    """A colour for each emotion: dict."""
    others = [emotion for emotion in emotions if emotion not in COLOURS]
    return {e: COLOURS.get(e) or OTHERS[others.index(e) % len(OTHERS)] for e in emotions}


class _Overview:
    """The outline and the spectrum of a recording, in a fixed number of columns."""

    def __init__(self, duration):
        self.width = max(1, math.ceil(duration * SAMPLE_RATE / N_COLUMNS))  # samples a column
        n = math.ceil(duration * SAMPLE_RATE / self.width)
        self.low, self.high = np.zeros(n), np.zeros(n)
        self.power, self.counts = np.zeros((n, PICTURE_FFT // 2 + 1)), np.zeros(n)
        self._n, self._held = 0, np.empty(0, np.float32)

    def push(self, y):
        columns = (self._n + np.arange(len(y))) // self.width
        columns = np.minimum(columns, len(self.low) - 1)
        edges = np.flatnonzero(np.diff(columns, prepend=-1))
        np.minimum.at(self.low, columns[edges], np.minimum.reduceat(y, edges))
        np.maximum.at(self.high, columns[edges], np.maximum.reduceat(y, edges))
        held = np.concatenate([self._held, y])
        hop = max(PICTURE_FFT // 2, min(self.width // 4, PICTURE_FFT))
        starts = np.arange(0, max(0, len(held) - PICTURE_FFT + 1), hop)
        if len(starts):
            frames = np.lib.stride_tricks.sliding_window_view(held, PICTURE_FFT)[starts]
            power = np.abs(np.fft.rfft(frames * np.hanning(PICTURE_FFT).astype(np.float32))) ** 2
            place = (self._n - len(self._held) + starts + PICTURE_FFT // 2) // self.width
            place = np.minimum(place, len(self.low) - 1)
            np.add.at(self.power, place, power)
            np.add.at(self.counts, place, 1)
            held = held[starts[-1] + hop :]
        self._held, self._n = held, self._n + len(y)

    def decibels(self):
        """The spectrum (n_bins, n_columns), 0 at its loudest; columns without a frame as before."""
        filled = np.maximum.accumulate(np.where(self.counts > 0, np.arange(len(self.counts)), 0))
        power = (self.power / np.maximum(self.counts, 1)[:, None])[filled]
        return 10 * np.log10(power.T / max(power.max(), 1e-12) + 1e-12)


def draw_timeline(audio, table, *, sr=None, channel=None, figure=None):
    """Draw waveform, spectrogram and emotions of a recording over one time axis.

    Parameters
    ----------
    audio, sr
        What `table` is of; see `EmotionRecognizer.predict_timeline`.
    table : DataFrame
    channel : int, optional
        Of a table of one channel.
    figure : matplotlib Figure or SubFigure, optional
        Where the panels go; default a new one.

    Returns
    -------
    matplotlib Figure or SubFigure
        Its axes are waveform, spectrogram, probabilities and emotions, from top to bottom.
    """
    figure = figure or new_figure(11, 6)
    duration, emotions = table.attrs["duration"], list(table.columns[4:])
    overview = _Overview(duration)
    for block in stream_audio(audio, orig_sr=sr, mono=channel is None):
        overview.push(block if channel is None else block[:, channel])
    wave, spectrum, shares, band = figure.subplots(
        4, 1, sharex=True, gridspec_kw={"height_ratios": [2, 3, 3, 0.7]}
    )
    unit, scale = ("min", 60) if duration > 180 else ("s", 1)
    time = (np.arange(len(overview.low)) + 0.5) * overview.width / SAMPLE_RATE / scale
    wave.fill_between(time, overview.low, overview.high, color="#444444", linewidth=0.3)
    wave.set(ylabel="amplitude\n(1 = full scale)", ylim=np.array([-1.05, 1.05]) * _peak(overview))
    image = spectrum.imshow(
        overview.decibels(), origin="lower", aspect="auto", cmap="magma", vmin=-PICTURE_RANGE,
        vmax=0, extent=(0, duration / scale, 0, SAMPLE_RATE / 2000),
    )  # fmt: skip
    spectrum.set_ylabel("frequency (kHz)")
    figure.colorbar(image, cax=spectrum.inset_axes([1.01, 0, 0.012, 1]), label="power (dB)")
    _draw_emotions(shares, band, table, emotions, scale)
    band.set(xlabel=f"time ({unit})", xlim=(0, duration / scale))
    return figure


def _peak(overview):
    return max(-overview.low.min(), overview.high.max(), 1e-4)


def _draw_emotions(shares, band, table, emotions, scale):
    """Probabilities as stacked areas, and below them the likeliest emotions in a band."""
    from matplotlib.patches import Patch

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
