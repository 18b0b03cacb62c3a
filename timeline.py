"""Emotion over time: in a call, in a lecture, or from a microphone.

    rec.predict_timeline("call.wav")                # DataFrame, a row for each second of speech
    left, right = rec.predict_timeline("call.wav", channels="split")

    stream = Timeline(rec, hop=0.25)                # block by block, a row as soon as it can be
    for block in Microphone():
        for row in stream.push(block): ...

    FORMATS["srt"].to_text(table)                   # of formats; also textgrid, eaf, rttm, ...
    draw_timeline("call.wav", table)                # the picture

From the shell, see `python emotion_recognition.py timeline --help`.
"""

import html
import math
from collections import defaultdict, deque
from itertools import groupby, takewhile

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from adaptation import Running
from audio import duration_of, stream_audio
from checks import check_name, moved
from formats import emotions_of, segments
from listening import MARGIN, InputReport, Span, SpeechDetector
from parameters import SAMPLE_RATE
from plotting import colours, new_figure
from predictor import predictor_of
from speech_features import CONTEXT, HOP, WINDOW, SpeechFrames

TWO_DECIMALS = "display.float_format", "{:.2f}".format  # for seconds and probabilities
CHUNK = 3.0  # seconds of a recording that are encoded at once: about what a training clip has
ENCODER_CONTEXT = 1.0  # seconds before a chunk that are encoded with it once more
HEARABLE = SHORTEST_WINDOW = 0.3  # seconds; an emotion can't be recognised in less


class Timeline:
    """Predicts emotion over time in a stream, cell by cell.

    A cell is `hop` seconds long. Its row is predicted from the last `window` seconds of its
    utterance. Rows depend on the settings, not on how the stream is cut in blocks: a microphone and
    a file give the same rows for the same samples and settings.

    By default a row depends on no later sound, and comes as soon as its cell has ended. With a
    `chunk` the sound of an utterance is measured in pieces of that length, once for all windows;
    rows come when their chunk or the utterance has ended, and depend on sound up to that moment.
    This is for recordings and predictors with an encoder: without it each window is encoded by
    itself, which costs twice as much at a hop of 1 s, and ten times as much at 0.2 s. The frames of
    an encoder depend on what is encoded with them, so the answers differ somewhat.

    Parameters
    ----------
    predictor : Predictor or trained recognizer
        A classifier, or one of numbers with names.
    window, hop : float, default 3.0 and 1.0
        Seconds; hop is a multiple of 0.05.
    smooth : int, default 1
        Average the probabilities of so many cells of an utterance, up to and with this one.
    vad : bool, default True
        Leave out cells without speech, and silence from the windows; see `SpeechDetector`.
    chunk : float, optional
        Seconds of an utterance that are measured and predicted at once, rounded up to whole hops.
    adapt : bool, default False
        Adapt to the voice while it speaks: from about 10 s of speech on, rows are predicted by what
        the windows before have in common. Good for one voice that changes its mood.

    Attributes
    ----------
    novelties : list of float
        One for each row; see `Predictor.novelty`.

    Raises
    ------
    ValueError
        For a regressor of emotions, settings outside their range, or one that can't be adapted.
    """

    def __init__(
        self, predictor, *, window=3.0, hop=1.0, smooth=1, vad=True, chunk=None, adapt=False
    ):
        self.predictor = predictor_of(predictor)
        if not self.predictor.classification and not self.predictor.targets:
            raise ValueError(
                "A timeline is of emotions, or of numbers with a name (target=...); this is a "
                "regressor on a scale of emotions. Use classification=True."
            )
        if abs(hop / 0.05 - round(hop / 0.05)) > 1e-6 or hop <= 0:
            raise ValueError(f"hop is a multiple of 0.05 s; got {hop!r}.")
        if not max(hop, SHORTEST_WINDOW) <= window:
            raise ValueError(
                f"window is at least hop and at least {SHORTEST_WINDOW} s; got {window!r} s."
            )
        if smooth < 1 or smooth != int(smooth):
            raise ValueError(f"smooth is a number of cells, from 1; got {smooth!r}.")
        if chunk is not None and not hop <= chunk < math.inf:
            raise ValueError(
                f"chunk is at least hop, {hop!r} s; got {chunk!r} s. Leave it out if no row may be "
                "late."
            )
        self.window, self.hop, self.smooth, self.chunk = window, hop, smooth, chunk
        self._running = Running(self.predictor, window) if adapt else None
        self._cells_a_chunk = math.ceil((chunk or hop) / hop - 1e-6)
        self.detector = SpeechDetector(longest=math.inf) if vad else None
        self._spans = self.detector.spans if vad else [Span(0.0, math.inf, math.inf)]
        self.novelties = []
        self._held, self._first, self._n_samples = np.zeros(0, np.float32), 0, 0
        self._measures = {
            source: _SpeechPieces() if source is SpeechFrames else chunk and _EncoderPieces(source)
            for source in self.predictor.sources
        }  # None: it measures window by window
        self._n_cells = 0
        self._recent, self._recent_span = deque(maxlen=smooth), None

    @property
    def current(self):
        """The Predictor that predicts the next rows, adapted to those before if `adapt` is on."""
        return self._running.predictor if self._running else self.predictor

    @property
    def duration(self):
        """Seconds of the stream so far."""
        return self._n_samples / SAMPLE_RATE

    def push(self, y):
        """Take the next block of the stream; return the rows of the chunks that end in it.

        Parameters
        ----------
        y : ndarray (n_samples,) float32 at 16 kHz

        Returns
        -------
        list of dict
            start, end (seconds), emotion, confidence, and the probability of each emotion; or the
            numbers of a predictor of these.
        """
        rows, width = [], round(self.hop * SAMPLE_RATE)
        while len(y):  # a row must not depend on samples after the cell with which its chunk ends
            n = width - self._n_samples % width
            self._held = np.concatenate([self._held, y[:n]])
            self._n_samples += len(y[:n])
            if self.detector is not None:
                self.detector.push(y[:n])
            if self._n_samples % width == 0:
                rows += self._rows()
            y = y[n:]
        return rows

    def finish(self):
        """Return the rows of the cells that the end of the stream leaves: list of dict."""
        if self.detector is not None:
            self.detector.finish()
        return self._rows(finished=True)

    def _time(self, n_cells):
        return round(n_cells * self.hop, 6)

    def _rows(self, finished=False):
        """The rows of all cells whose chunks have ended: list of dict."""
        rows = []
        for _, chunk in groupby(self._ready(finished), key=lambda cell: cell[-1]):
            rows += self._predicted([own for cell in chunk for own in self._cell(*cell)])
        self._forget()
        return rows

    def _ready(self, finished):
        """Yield start, end and end of the chunk of each cell whose chunk has ended, in seconds.

        An utterance's chunks begin with its first cell. Other cells are chunks of their own.
        """
        all_decided = finished or self.detector is None
        decided = self.duration if all_decided else self.detector.decided
        while (start := self._time(self._n_cells)) < self.duration - 1e-9:
            end = until = due = self._time(self._n_cells + 1)
            last = next(self._utterances(start, end), None)
            if last is not None:
                first, n = math.floor(last.start / self.hop + 1e-6), self._cells_a_chunk
                until = self._time(first + n * ((self._n_cells - first) // n + 1))
                ended = self.detector is not None and self.detector.ended(last)
                due = end if ended else until
            if due > decided + 1e-9 and not finished:
                return
            self._n_cells += 1
            yield start, min(end, self.duration), min(until, self.duration)

    def _utterances(self, start, end):
        """Yield what is spoken between two moments, the latest first: iterator of Span."""
        spans = takewhile(lambda span: span.end > start, reversed(self._spans))
        return (span for span in spans if span.start < end)

    def _cell(self, start, end, until):
        """Yield start, end, start of the utterance, and features of a cell with speech in it."""
        span = next((span for span in self._utterances(start, end) if span.spoken), None)
        if span is None:
            return
        earliest, latest = max(span.start - MARGIN, 0), min(until, span.end + MARGIN)
        first, last = max(end - self.window, earliest), min(end, latest)
        if last - first >= SHORTEST_WINDOW:
            X = self.predictor.features(self._measured(first, last, earliest, latest, until))
            yield max(start, span.start), min(end, span.end), span.start, X

    def _measured(self, first, last, earliest, latest, until):
        """What the features of a window are computed from: samples, or frames of each source.

        Parameters
        ----------
        first, last : float
            The window, seconds.
        earliest, latest : float
            What is known of its utterance, seconds.
        until : float
            End of its chunk, seconds.
        """
        y = self._samples(first * SAMPLE_RATE, last * SAMPLE_RATE)
        if not self._measures:
            return y
        found = {}
        for source, pieces in self._measures.items():
            if pieces:
                pieces.measure(self, first, latest, earliest, until)
            found[source] = pieces.window(first, last) if pieces else source(y, SAMPLE_RATE)
        return found

    def _samples(self, first, last):
        """Samples by their numbers in the stream, as far as they are held: ndarray."""
        return self._held[max(0, round(first) - self._first) : round(last) - self._first]

    def _predicted(self, cells):
        """Predict the cells of a chunk at once: list of rows."""
        if not cells:
            return []
        views = zip(*(self.predictor.views(X) for *_, X in cells), strict=True)
        X = self.predictor.joined([np.concatenate(view) for view in views])
        self.novelties += self.predictor.novelty(X).tolist()
        every = self._numbers(X) if self.predictor.targets else self.current.probabilities(X)
        for _, end, utterance, own in cells if self._running else ():
            self._running.add(utterance, end, own)
        return [self._row(*cell[:-1], own) for cell, own in zip(cells, every, strict=True)]

    def _numbers(self, X):
        return self.current.scores(X).reshape(len(X), -1)

    def _row(self, start, end, utterance, probabilities):
        if utterance != self._recent_span:
            self._recent_span = utterance
            self._recent.clear()
        self._recent.append(probabilities)
        mean, row = np.mean(self._recent, axis=0), {"start": round(start, 3), "end": round(end, 3)}
        if self.predictor.targets:
            return row | self.predictor.by_target(mean)
        shares = self.predictor.by_emotion(mean)
        best = max(shares, key=shares.get)
        return row | {"emotion": best, "confidence": shares[best]} | shares

    def _forget(self):
        """Drop what no later window needs."""
        oldest = self._time(self._n_cells) - self.window - self.hop
        n_old = round((oldest - ENCODER_CONTEXT) * SAMPLE_RATE) - self._first
        if n_old > SAMPLE_RATE:
            self._held, self._first = self._held[n_old:], self._first + n_old
        for pieces in filter(None, self._measures.values()):
            pieces.forget(oldest)


# frames that windows share


class _Pieces:
    """The frames of a stream from one source, measured in pieces, each once.

    Parameters
    ----------
    source : callable with `joined`
        See `features.Feature`.
    rate : float
        Frames a second.
    """

    def __init__(self, source, rate):
        self.source, self.rate = source, rate
        self._pieces, self._n_frames = deque(), 0  # (number of its first frame, frames)

    def window(self, first, last):
        """The measured frames of a window, at least one.

        Parameters
        ----------
        first, last : float
            Seconds.
        """
        a, b = self.numbers(first, last)
        a = min(a, self._n_frames - 1)  # the last ones of a recording may lack
        pieces = [(n, piece) for n, piece in self._pieces if n + piece.n_frames > a]
        before = pieces[0][0]
        frames = slice(max(0, a - before), max(a + 1, b) - before)
        return self.source.joined([piece for _, piece in pieces], frames)

    def forget(self, oldest):
        """Drop the pieces that end before a moment.

        Parameters
        ----------
        oldest : float
            Seconds.
        """
        while self._pieces:
            n, piece = self._pieces[0]
            if n + piece.n_frames >= oldest * self.rate:
                break
            self._pieces.popleft()

    def _add(self, first, piece):
        """Add a piece; its frames take the place of those that were measured before."""
        while self._pieces and self._n_frames > first:
            n, last = self._pieces.pop()
            self._n_frames = n
            if n < first:
                self._add(n, self.source.joined([last], slice(first - n)))
        self._pieces.append((first, piece))
        self._n_frames = first + piece.n_frames


class _SpeechPieces(_Pieces):
    """Pieces of SpeechFrames. The mean of the latest sound is subtracted from each."""

    def __init__(self):
        super().__init__(SpeechFrames, 1 / HOP)

    def numbers(self, first, last):
        """Number of the first frame of a window, and that after its last one.

        Parameters
        ----------
        first, last : float
            Seconds.
        """
        return math.ceil(first / HOP - 1e-6), math.floor((last - WINDOW) / HOP + 1e-6) + 1

    def measure(self, stream, first, latest, earliest, until):
        """Measure those frames of a window that no earlier window had.

        Parameters
        ----------
        stream : Timeline
        first, latest, earliest, until : float
            See `Timeline._measured`.
        """
        window, hop, context = (round(s * SAMPLE_RATE) for s in (WINDOW, HOP, CONTEXT))
        n_samples = round(until * SAMPLE_RATE)
        a, b = self.numbers(first, latest)
        a, b = max(a, self._n_frames), min(b, (n_samples - window - context) // hop + 1)
        if b <= a:
            return
        start, stop = a * hop - context, (b - 1) * hop + window + context
        n_recent = round(max(stream.window, stream.chunk or 0) * SAMPLE_RATE)
        recent = stream._samples(n_samples - n_recent, n_samples)
        y = np.pad(stream._samples(start, stop), (max(0, -start), 0)) - recent.mean()
        self._add(a, SpeechFrames(y, SAMPLE_RATE, context))


class _EncoderPieces(_Pieces):
    """Pieces of an encoder's frames: a chunk of an utterance, and `ENCODER_CONTEXT` s before it.

    A frame is taken from the encoding in which it is nearest to the middle: the later half of the
    context replaces what the piece before had there.
    """

    def __init__(self, source):
        super().__init__(source, source.encoder.frame_rate)
        self._centres = source.encoder.times

    def numbers(self, first, last):
        """Number of the first frame whose centre is in a window, and that after the last one.

        Parameters
        ----------
        first, last : float
            Seconds.
        """
        a, b = (math.ceil((t - self._centres(1)[0]) * self.rate - 1e-6) for t in (first, last))
        return max(0, min(a, b - 1)), max(1, b)

    def measure(self, stream, first, latest, earliest, until):
        """Encode what follows the frames that earlier windows had, up to the end of the chunk.

        Parameters
        ----------
        stream : Timeline
        first, latest, earliest, until : float
            See `Timeline._measured`.
        """
        a, b = self.numbers(first, latest)
        a = max(a, self._n_frames)
        if b <= a:
            return
        utterance = self.numbers(earliest, latest)[0]
        n_before = min(round(ENCODER_CONTEXT * self.rate), a - utterance)
        n_dropped = n_before - n_before // 2 if a == self._n_frames else n_before
        y = stream._samples((a - n_before) / self.rate * SAMPLE_RATE, latest * SAMPLE_RATE)
        edge = self._centres(n_dropped + 1)[-1] - 0.5 / self.rate if n_dropped else 0
        piece = self.source(y, SAMPLE_RATE, context=round(edge * SAMPLE_RATE))
        if piece.n_frames:
            self._add(a - n_before + n_dropped, piece)


def predict_timeline(
    predictor, audio, *, sr=None, channels="mix", report=True, verbose=1, on_row=None, **settings
):
    """Predict emotion over time in a recording, in memory that doesn't grow with its length.

    Parameters
    ----------
    predictor : Predictor or trained recognizer
        A classifier, or one of numbers with names.
    audio, sr
        The recording, and the rate of an array in Hz; see `audio.load_audio`.
    channels : {"mix", "split"}
        "split": a timeline for each channel, as for a call with a speaker on each.
    report : bool, default True
        Look for what makes the result doubtful: `attrs["warnings"]`, a dict of code to sentence.
    verbose : int, default 1
        0 draws no progress bar.
    on_row : callable, optional
        Called with channel (int, from 0) and row (dict) as soon as a row is predicted.
    **settings
        window, hop, smooth, vad, chunk, adapt; see `Timeline`. With an encoder chunk is `CHUNK`
        here unless it is given; None encodes each window by itself.

    Returns
    -------
    TimelineTable, or a list of them for "split"
        The rows of `Timeline.push`. `attrs` has duration (seconds) and warnings.
    """
    check_name(channels, ("mix", "split"), "channels")
    predictor = predictor_of(predictor)
    if set(predictor.sources) - {SpeechFrames}:
        settings = {"chunk": max(CHUNK, settings.get("hop", 0))} | settings
    Timeline(predictor, **settings)  # raises for wrong settings before anything is read
    parts = defaultdict(lambda: (Timeline(predictor, **settings), InputReport(), []))  # by channel

    def add(channel, rows):
        parts[channel][-1].extend(rows)
        for row in rows if on_row else ():
            on_row(channel, row)

    style = {"desc": "Predicting", "unit": "s", "unit_scale": True, "disable": not verbose}
    with tqdm(total=duration_of(audio, sr), **style) as bar:
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
    predictor = timeline.predictor
    answers = predictor.targets or ("emotion", "confidence", *predictor.emotions)
    table = TimelineTable(rows, columns=["start", "end", *answers])
    # a window at the beginning of an utterance is short, and thus farther than whole clips
    novel = bool(rows) and np.percentile(timeline.novelties, 25) > 1
    warnings = sound.warnings(novel, speech=bool(rows)) if report else {}
    warnings.pop("long", None)  # that a timeline is better
    table.attrs = {"duration": timeline.duration, "warnings": warnings}
    return table


class TimelineTable(pd.DataFrame):
    """The rows of a timeline, shown with duration and warnings; its methods give DataFrames."""

    def _lines(self):
        duration = self.attrs.get("duration")
        length = "" if duration is None else f" in {duration:.1f} s"
        found = self.attrs.get("warnings", {})
        warnings = [f"! {code}: {sentence}" for code, sentence in found.items()]
        return [f"Timeline, {len(self)} rows{length}", *warnings]

    def __repr__(self):
        with pd.option_context(*TWO_DECIMALS):
            return "\n".join([*self._lines(), super().__repr__()])

    def _repr_html_(self):
        paragraphs = "".join(f"<p>{html.escape(line)}</p>" for line in self._lines())
        with pd.option_context(*TWO_DECIMALS):
            return paragraphs + super()._repr_html_()


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
        Its axes are waveform, spectrogram, probabilities and emotions, from top to bottom; or
        waveform, spectrogram and numbers.
    """
    figure = figure or new_figure(11, 6)
    duration = table.attrs["duration"]
    blocks = stream_audio(audio, orig_sr=sr, mono=channel is None)
    own = blocks if channel is None else (block[:, channel] for block in blocks)
    time, low, high, decibels = _overview(own, duration)
    numeric = "emotion" not in table
    heights = [2, 3, 3, 0.7][: 3 if numeric else 4]
    wave, spectrum, *answers = figure.subplots(
        len(heights), 1, sharex=True, gridspec_kw={"height_ratios": heights}
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
    (_draw_numbers if numeric else _draw_emotions)(*answers, table, scale)
    answers[-1].set(xlabel=f"time ({unit})", xlim=(0, duration / scale))
    return figure


def _draw_numbers(ax, table, scale):
    """A curve for each number, with gaps where nobody speaks."""
    names = list(table.columns[2:])
    middles = (table["start"] + table["end"]) / 2 / scale
    follows = table["start"].sub(table["end"].shift()).abs().lt(1e-3)
    for name, colour in colours(names).items():
        for i, (_, own) in enumerate(table.groupby((~follows).cumsum())):
            label = {"label": name} if i == 0 else {}
            ax.plot(middles[own.index], own[name], ".-", color=colour, markersize=4, **label)
    ax.set(ylabel=names[0] if len(names) == 1 else "numbers")
    if names[1:] and len(table):
        ax.legend(loc="center left", bbox_to_anchor=(1.005, 0.5), frameon=False)


def _draw_emotions(shares, band, table, scale):
    """Probabilities as stacked areas, and below them the likeliest emotions in a band."""
    from matplotlib.patches import Patch

    emotions = emotions_of(table)
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


__getattr__ = moved(
    __name__,
    {
        "formats": "ENDINGS FORMATS Format NO_MARKUP WRITERS to_audacity to_json to_srt",
        "plotting": "COLOURS OTHERS",
        "speech_features": "Voice=SpeechFrames",
        "tables": "to_csv",
    },
)
