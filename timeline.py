"""Emotion over time: in a call, in a lecture, or from a microphone.

    rec.predict_timeline("call.wav")                # DataFrame, a row for each second of speech
    left, right = rec.predict_timeline("call.wav", channels="split")

    stream = Timeline(rec, hop=0.25)                # block by block, each row as early as possible
    for block in Microphone():
        for row in stream.push(block): ...

    FORMATS["srt"].to_text(table)                   # of formats; also textgrid, eaf, rttm, ...

From the shell, see `python emotion_recognition.py timeline --help`.
"""

import html
import math
import os
from collections import defaultdict, deque
from functools import partial
from itertools import groupby, pairwise, takewhile
from pathlib import Path

import numpy as np
import pandas as pd

from adaptation import Running
from annotations import check_within, read_segments
from audio import duration_of, stream_audio
from checks import check_name, moved
from listening import MARGIN, InputReport, Span, SpeechDetector, has_speech
from parameters import SAMPLE_RATE
from predictor import predictor_of
from progress import Progress
from speech_features import CONTEXT, HOP, WINDOW, SpeechFrames

TWO_DECIMALS = "display.float_format", "{:.2f}".format  # for seconds and probabilities
CHUNK = 3.0  # seconds of a recording that are encoded at once, about the length of training clips
ENCODER_CONTEXT = 1.0  # seconds before a chunk that are encoded again with it
HEARABLE = SHORTEST_WINDOW = 0.3  # seconds; shorter windows are too short to recognise emotions


def _with_names(predictor):
    """The Predictor, if its outputs have names."""
    predictor = predictor_of(predictor)
    if not predictor.classification and not predictor.targets:
        raise ValueError(
            "A timeline shows emotions, or numbers with a name (target=...); this is a "
            "regressor on a scale of emotions. Use classification=True."
        )
    return predictor


class Timeline:
    """Predicts emotion over time in a stream, cell by cell.

    A cell is `hop` seconds long. Its row is predicted from the last `window` seconds of its
    utterance. Rows don't depend on the lengths of the blocks: a microphone and a file give the same
    rows for the same samples and settings.

    By default a row doesn't depend on later samples, and comes as soon as its cell has ended. With
    `chunk`, frames are computed once for all windows, in pieces of that length; rows come when
    their chunk or the utterance has ended, and depend on samples up to that time. This is for
    recordings and predictors with an encoder: without it each window is encoded separately, which
    costs twice as much with a hop of 1 s, and ten times as much with 0.2 s. The frames of an
    encoder depend on their context, so the results differ slightly.

    Parameters
    ----------
    predictor : Predictor or trained recognizer
        A classifier, or one of numbers with names.
    window, hop : float, default 3.0 and 1.0
        Seconds; hop is a multiple of 0.05.
    smooth : int, default 1
        Number of cells of an utterance whose probabilities are averaged: the current one and those
        before it.
    vad : bool, default True
        Voice activity detection: leave out cells without speech, and silence in the windows; see
        `SpeechDetector`.
    chunk : float, optional
        Seconds of an utterance that are processed at once, rounded up to whole hops.
    adapt : bool, default False
        Adapt to the speaker during the stream: after about 10 s of speech, rows are predicted
        relative to the average of earlier windows. For a single speaker with varying emotions.

    Attributes
    ----------
    novelties : list of float
        One for each row; see `Predictor.novelty`.

    Raises
    ------
    ValueError
        For a regressor on a scale of emotions, settings outside their range, or `adapt` with a
        predictor that can't be adapted.
    """

    def __init__(
        self, predictor, *, window=3.0, hop=1.0, smooth=1, vad=True, chunk=None, adapt=False
    ):
        self.predictor = _with_names(predictor)
        if abs(hop / 0.05 - round(hop / 0.05)) > 1e-6 or hop <= 0:
            raise ValueError(f"hop must be a multiple of 0.05 s; got {hop!r}.")
        if not max(hop, SHORTEST_WINDOW) <= window:
            raise ValueError(
                f"window must be at least hop and at least {SHORTEST_WINDOW} s; got {window!r} s."
            )
        if smooth < 1 or smooth != int(smooth):
            raise ValueError(f"smooth must be a number of cells, 1 or more; got {smooth!r}.")
        if chunk is not None and not hop <= chunk < math.inf:
            raise ValueError(
                f"chunk must be at least hop, {hop!r} s; got {chunk!r} s. Leave it out for rows "
                "without delay."
            )
        self.window, self.hop, self.smooth, self.chunk = window, hop, smooth, chunk
        self._running = Running(self.predictor, window) if adapt else None
        self._cells_a_chunk = math.ceil((chunk or hop) / hop - 1e-6)
        self.detector = SpeechDetector(longest=math.inf) if vad else None
        self._spans = self.detector.spans if vad else [Span(0.0, math.inf, math.inf)]
        self.columns = ["start", "end", *_labels(self.predictor)]
        self.novelties, self.facts = [], {}
        self._held, self._first, self._n_samples = np.zeros(0, np.float32), 0, 0
        self._measures = {
            source: _SpeechPieces() if source is SpeechFrames else chunk and _EncoderPieces(source)
            for source in self.predictor.sources
        }  # None: features are computed window by window
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
            start, end (seconds), emotion, confidence, and the probability of each emotion; or
            start, end and the predicted numbers.
        """
        rows, width = [], round(self.hop * SAMPLE_RATE)
        while len(y):  # a row must not depend on samples after the last cell of its chunk
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
        """End the stream; return the rows of the remaining cells: list of dict."""
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
        """Yield the speech between two times in seconds, latest first: iterator of Span."""
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
        """The input of a window's features: samples, or frames of each source.

        Parameters
        ----------
        first, last : float
            The window, seconds.
        earliest, latest : float
            The known part of its utterance, seconds.
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
        """Samples by their indices in the stream, as far as they are kept: ndarray."""
        return self._held[max(0, round(first) - self._first) : round(last) - self._first]

    def _predicted(self, cells):
        """Predict the cells of a chunk at once: list of rows."""
        if not cells:
            return []
        X = _joined(self.predictor, [X for *_, X in cells])
        every, novelties = self.current.answered(X)
        self.novelties += novelties.tolist()
        for _, end, utterance, own in cells if self._running else ():
            self._running.add(utterance, end, own)
        return [self._row(*cell[:-1], own) for cell, own in zip(cells, every, strict=True)]

    def _row(self, start, end, utterance, probabilities):
        if utterance != self._recent_span:
            self._recent_span = utterance
            self._recent.clear()
        self._recent.append(probabilities)
        row = {"start": round(start, 3), "end": round(end, 3)}
        return row | _labelled(self.predictor, np.mean(self._recent, axis=0))

    def _forget(self):
        """Drop samples and frames that no later window needs."""
        oldest = self._time(self._n_cells) - self.window - self.hop
        n_old = round((oldest - ENCODER_CONTEXT) * SAMPLE_RATE) - self._first
        if n_old > SAMPLE_RATE:
            self._held, self._first = self._held[n_old:], self._first + n_old
        for pieces in filter(None, self._measures.values()):
            pieces.forget(oldest)


def _labels(predictor):
    return [*(predictor.targets or ("emotion", "confidence", *predictor.emotions))]


def _labelled(predictor, answers):
    """The emotion, confidence and probabilities of a row, or its numbers: dict."""
    if predictor.targets:
        return predictor.by_target(answers)
    shares = predictor.by_emotion(answers)
    best = max(shares, key=shares.get)
    return {"emotion": best, "confidence": shares[best]} | shares


def _joined(predictor, features):
    """Join the features of single clips."""
    views = zip(*map(predictor.views, features), strict=True)
    return predictor.joined([np.concatenate(view) for view in views])


# frames shared by windows


class _Pieces:
    """The frames of a stream by one source, computed in pieces, each once.

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
        """The known frames of a window, at least one: frames of the source.

        Parameters
        ----------
        first, last : float
            Seconds.
        """
        a, b = self.numbers(first, last)
        a = min(a, self._n_frames - 1)  # a recording may lack the last ones
        pieces = [(n, piece) for n, piece in self._pieces if n + piece.n_frames > a]
        before = pieces[0][0]
        frames = slice(max(0, a - before), max(a + 1, b) - before)
        return self.source.joined([piece for _, piece in pieces], frames)

    def forget(self, oldest):
        """Drop the pieces that end before a time.

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
        """Add a piece; its frames replace earlier ones at the same times."""
        while self._pieces and self._n_frames > first:
            n, last = self._pieces.pop()
            self._n_frames = n
            if n < first:
                self._add(n, self.source.joined([last], slice(first - n)))
        self._pieces.append((first, piece))
        self._n_frames = first + piece.n_frames


class _SpeechPieces(_Pieces):
    """Pieces of SpeechFrames. The mean of the latest samples is subtracted from each."""

    def __init__(self):
        super().__init__(SpeechFrames, 1 / HOP)

    def numbers(self, first, last):
        """Indices of the first frame of a window, and of the one after its last: (int, int).

        Parameters
        ----------
        first, last : float
            Seconds.
        """
        return math.ceil(first / HOP - 1e-6), math.floor((last - WINDOW) / HOP + 1e-6) + 1

    def measure(self, stream, first, latest, earliest, until):
        """Compute the frames of a window that no earlier window had.

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

    A frame is taken from the piece whose middle is nearest: the later half of the context
    replaces the frames of the previous piece.
    """

    def __init__(self, source):
        super().__init__(source, source.encoder.frame_rate)
        self._centres = source.encoder.times

    def numbers(self, first, last):
        """Indices of the first frame with its centre in a window, and after the last: (int, int).

        Parameters
        ----------
        first, last : float
            Seconds.
        """
        a, b = (math.ceil((t - self._centres(1)[0]) * self.rate - 1e-6) for t in (first, last))
        return max(0, min(a, b - 1)), max(1, b)

    def measure(self, stream, first, latest, earliest, until):
        """Encode the samples after the known frames, up to the end of the chunk.

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


class Turns:
    """Predicts the emotion of each speaker turn of a stream, when the stream has ended.

    All turns of a speaker serve for the adaptation, so their features are kept (some kB each).
    Samples are kept only for current turns, in pieces of at most `LONGEST` seconds; the
    probabilities of a longer turn are the mean over its pieces.

    Parameters
    ----------
    predictor : Predictor or trained recognizer
        A classifier, or one of numbers with names.
    turns : DataFrame
        Columns start, end, speaker; see `annotations.read_segments`.
    vad : bool, default True
        Turns without speech get no emotion. Turns below `SHORTEST_WINDOW` never get one.
    adapt : bool, optional
        Adapt to each speaker with `Running.ENOUGH` seconds or more. Default: True if the predictor
        can be adapted.
    """

    LONGEST = 20.0  # seconds

    def __init__(self, predictor, turns, *, vad=True, adapt=None):
        self.predictor, self.turns, self._vad = _with_names(predictor), turns, vad
        if adapt:
            Running(self.predictor, self.LONGEST)  # raises if it can't be adapted
        can = all(part.by_speaker is not None for part in self.predictor.parts)
        self._adapt = can and self.predictor.speaker is None if adapt is None else adapt
        self.columns = ["start", "end", "speaker", *_labels(self.predictor)]
        self.novelties, self.facts = [], {"speakers": {}}
        pieces = []
        for turn, start, end in turns[["start", "end"]].itertuples():
            n = math.ceil((end - start) / self.LONGEST - 1e-6)
            pieces += [(b, a, turn) for a, b in pairwise(np.linspace(start, end, n + 1))]
        pieces.sort()
        earliest = np.minimum.accumulate([start for _, start, _ in pieces[::-1]])[::-1]
        self._pieces = deque(zip(pieces, earliest, strict=True))
        self._held, self._first, self._found = np.zeros(0, np.float32), 0, []

    @property
    def duration(self):
        """Seconds of the stream so far."""
        return (self._first + len(self._held)) / SAMPLE_RATE

    def push(self, y):
        """Take the next block of the stream, ndarray (n_samples,) at 16 kHz; return no rows, []."""
        self._held = np.concatenate([self._held, y])
        self._measure(self.duration)
        return []

    def _measure(self, until):
        """Process the pieces that end before a time, and drop what no later one needs."""
        while self._pieces and self._pieces[0][0][0] <= until:
            (end, start, turn), _ = self._pieces.popleft()
            y = self._held[slice(*(round(t * SAMPLE_RATE) - self._first for t in (start, end)))]
            if len(y) >= SHORTEST_WINDOW * SAMPLE_RATE and (not self._vad or has_speech(y)):
                self._found.append((turn, end - start, self.predictor.features(y)))
        needed = round(self._pieces[0][1] * SAMPLE_RATE) if self._pieces else math.inf
        n_old = min(max(0, needed - self._first), len(self._held))
        self._held, self._first = self._held[n_old:], self._first + n_old

    def finish(self):
        """Return a row for each turn, ordered by time: list of dict.

        Emotion and probabilities are None without speech.
        """
        check_within(self.turns, self.duration)
        self._measure(math.inf)
        nothing = dict.fromkeys(_labels(self.predictor))
        rows = [row | nothing for row in self.turns.to_dict("records")]
        for speaker, own in self.turns.groupby("speaker", sort=False):
            found = [piece for piece in self._found if piece[0] in own.index]
            seconds, predictor = sum(length for _, length, _ in found), self.predictor
            adapt = bool(self._adapt and seconds >= Running.ENOUGH)
            facts = {"turns": len(own), "seconds": round(float(seconds), 3), "adapted": adapt}
            self.facts["speakers"][speaker] = facts
            if not found:
                continue
            X = _joined(predictor, [X for *_, X in found])
            shares, novelties = (predictor.adapted(X) if adapt else predictor).answered(X)
            self.novelties += novelties.tolist()
            turns = np.array([turn for turn, *_ in found])
            for turn in np.unique(turns):
                rows[turn] |= _labelled(predictor, shares[turns == turn].mean(axis=0))
        return rows


def predict_timeline(
    predictor,
    audio,
    *,
    sr=None,
    channels="mix",
    segments=None,
    report=True,
    verbose=1,
    on_row=None,
    **settings,
):
    """Predict emotion over time in a recording, in memory that doesn't grow with its length.

    Parameters
    ----------
    predictor : Predictor or trained recognizer
        A classifier, or one of numbers with names.
    audio, sr
        The recording, and the rate of an array in Hz; see `audio.load_audio`.
    channels : {"mix", "split"}
        "split": a timeline for each channel, e.g. for a call with one speaker on each.
    segments : path or DataFrame, optional
        Speaker turns (see `annotations.read_segments`), for a row for each turn; see `Turns`.
    report : bool, default True
        Check the recording for faults: `attrs["warnings"]`, a dict of code to message.
    verbose : int, default 1
        0 draws no progress bar.
    on_row : callable, optional
        Called with channel (int, from 0) and row (dict) as soon as a row is predicted.
    **settings
        window, hop, smooth, vad, chunk, adapt; see `Timeline`. With an encoder, the default of
        chunk is `CHUNK` here; None encodes each window separately. With segments, only vad and
        adapt.

    Returns
    -------
    TimelineTable, or a list of them for "split"
        The rows of `Timeline.push`, or of `Turns.finish`. `attrs` has duration (seconds), warnings,
        and for turns speakers: for each a dict of turns, seconds and adapted (bool).

    Raises
    ------
    AudioError
        If the recording can't be read.
    ValueError
        For settings outside their range; see `Timeline` and `read_segments`.
    """
    check_name(channels, ("mix", "split"), "channels")
    predictor = predictor_of(predictor)
    if segments is not None:
        make = _for_turns(predictor, audio, sr, channels, segments, settings)
    else:
        if set(predictor.sources) - {SpeechFrames}:
            settings = {"chunk": max(CHUNK, settings.get("hop", 0))} | settings
        make = partial(Timeline, predictor, **settings)
    make()  # raises for wrong settings before the recording is read
    parts = defaultdict(lambda: (make(), InputReport(), []))  # by channel

    def add(channel, rows):
        parts[channel][-1].extend(rows)
        for row in rows if on_row else ():
            on_row(channel, row)

    style = {"desc": "Predicting", "unit": "s", "unit_scale": True, "disable": not verbose}
    how = {"orig_sr": sr, "mono": channels == "mix", "faults": (faults := {})}
    with Progress(total=duration_of(audio, sr), **style) as bar:
        for block in stream_audio(audio, **how):
            for channel, y in enumerate(np.ascontiguousarray(block.reshape(len(block), -1).T)):
                timeline, sound, _ = parts[channel]
                add(channel, timeline.push(y))
                if report:
                    sound.push(y)
            bar.update(len(block) / SAMPLE_RATE)
        bar.total = bar.n
    for channel, (timeline, sound, _) in parts.items():
        sound.faults |= faults
        add(channel, timeline.finish())
    tables = [_table(*part, report) for part in parts.values()]
    return tables[0] if channels == "mix" else tables


def _for_turns(predictor, audio, sr, channels, segments, settings):
    """A function that makes the `Turns` of a recording."""
    wrong = sorted(set(settings) - {"vad", "adapt"}) + ["channels"] * (channels != "mix")
    if wrong:
        raise ValueError(
            f"With segments each turn is a row: leave out {', '.join(wrong)}, or segments."
        )
    name = Path(audio).stem if isinstance(audio, (str, os.PathLike)) else None
    turns, duration = read_segments(segments, recording=name), duration_of(audio, sr)
    if duration is not None:
        check_within(turns, duration)
    return partial(Turns, predictor, turns, **settings)


def _table(timeline, sound, rows, report):
    table = TimelineTable(rows, columns=timeline.columns)
    # windows at the beginning of an utterance are short, and thus more novel than whole clips
    novel = bool(rows) and np.percentile(timeline.novelties, 25) > 1
    warnings = sound.warnings(novel, speech=bool(rows)) if report else {}
    warnings.pop("long", None)  # it suggests a timeline
    table.attrs = {"duration": timeline.duration, "warnings": warnings} | timeline.facts
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


__getattr__ = moved(
    __name__,
    {
        "formats": "ENDINGS FORMATS Format NO_MARKUP N_COLUMNS PICTURE_FFT PICTURE_RANGE WRITERS "
        "draw_timeline segments to_audacity to_json to_srt",
        "plotting": "COLOURS OTHERS colours new_figure",
        "speech_features": "Voice=SpeechFrames",
        "tables": "to_csv",
    },
)
