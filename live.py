"""Recognise emotion live: events for levels, windows and utterances of a stream.

    live = Live(rec, hop=0.5)
    for block in Microphone():
        for event in live.push(block): print(event)

The microphone's command line and the server use it.
"""

import numpy as np

from confidence import decided
from listening import Recorder
from parameters import SAMPLE_RATE
from predictor import check_choices, recognise
from timeline import Timeline
from utils import among

LEVEL = 0.1  # seconds over which a level is measured


class Live:
    """Predicts while a stream arrives. The results don't depend on the lengths of the blocks.

    Parameters
    ----------
    rec : trained recognizer, or Predictor
        A classifier, or one of numbers with names.
    hop : float, default 0.5
        Seconds from window to window, a multiple of 0.05; see `timeline.Timeline`.
    emotions, abstain
        See `predictor.recognise`.
    adapt : bool, default False
        Adapt to the speaker during the stream; see `timeline.Timeline`.
    timeout : float, optional
        See `listening.Recorder`.
    utterances : bool, default True
        Recognise whole utterances, too.
    """

    def __init__(
        self,
        rec,
        *,
        hop=0.5,
        emotions=None,
        abstain=None,
        adapt=False,
        timeout=None,
        utterances=True,
    ):
        self._predictor = check_choices(rec, emotions, abstain)
        self._choices = {"emotions": emotions, "abstain": abstain}
        self._timeline, self._recorder = (
            Timeline(rec, hop=hop, adapt=adapt),
            Recorder(timeout=timeout),
        )
        self._utterances, self._held = utterances, np.empty(0, np.float32)
        self._n_samples = 0

    def push(self, y):
        """Take the next block of the stream; return new events.

        Parameters
        ----------
        y : ndarray (n_samples,) float32 at 16 kHz

        Returns
        -------
        list of dict
            Each has a type. "level": time (seconds), dbfs (dB of full scale), speech (bool).
            "window": start and end (seconds), emotion, confidence, probabilities; or numbers.
            "utterance": the same, novelty and warnings, see `predictor.recognise`, and its samples,
            y.

        Raises
        ------
        NothingHeard
            After `timeout` seconds without speech.
        """
        held, width = np.concatenate([self._held, y]), round(LEVEL * SAMPLE_RATE)
        n_whole = len(held) - len(held) % width
        self._held = held[n_whole:]
        return [event for own in held[:n_whole].reshape(-1, width) for event in self._found(own)]

    def finish(self):
        """End the stream; return the remaining events: list of dict, see `push`."""
        found, self._held = self._found(self._held), np.empty(0, np.float32)
        windows = self._windows(self._timeline.finish())
        return [*found, *windows, *map(self._utterance, self._recorder.finish())]

    def _found(self, y):
        if not len(y):
            return []
        self._n_samples += len(y)
        windows = self._windows(self._timeline.push(y))
        utterances = [*map(self._utterance, self._recorder.push(y))]
        detector, power = self._recorder.detector, np.mean(np.square(y), dtype=np.float64)
        speech = bool(detector.spans) and detector.spans[-1].end > detector.decided - 1e-9
        level = {"time": round(self._n_samples / SAMPLE_RATE, 3), "speech": speech}
        level["dbfs"] = round(float(10 * np.log10(power + 1e-10)), 1)
        return [{"type": "level"} | level, *windows, *filter(None, utterances)]

    def _windows(self, rows):
        """The events of rows of the timeline."""
        emotions, predictor = self._choices["emotions"], self._predictor
        novelties = self._timeline.novelties
        for row, novelty in zip(rows, novelties[len(novelties) - len(rows) :], strict=True):
            place = {"type": "window", "start": row["start"], "end": row["end"]}
            if predictor.targets:
                yield place | {"numbers": {name: row[name] for name in predictor.targets}}
                continue
            row = among(row, emotions or predictor.emotions)
            shares = {emotion: row[emotion] for emotion in emotions or predictor.emotions}
            emotion = decided(shares, self._choices["abstain"], novelty)
            yield place | {
                "emotion": emotion,
                "confidence": row["confidence"],
                "probabilities": shares,
            }

    def _utterance(self, utterance):
        if not self._utterances:
            return None
        found = recognise(self._timeline.current, utterance.y, **self._choices)
        place = {"start": round(utterance.start, 3), "end": round(utterance.end, 3)}
        return {"type": "utterance"} | place | found | {"y": utterance.y}
