"""Recognise recordings of any length, and any number of them: in order, in parallel, resumable.

recognise_recording(predictor, "call.wav")          # as predictor.recognise, however long it is
for found in recognised([(predictor, "a.wav"), (predictor, "b.wav")]): ...
"""

import hashlib
import json
import warnings
from collections import Counter
from concurrent.futures import CancelledError
from contextlib import closing, suppress
from itertools import groupby
from pathlib import Path

import numpy as np
from joblib import delayed

from audio import AudioError, AudioWarning, duration_of, load_audio, stream_audio
from checks import open_file
from listening import LONG, InputReport, has_speech
from parameters import SAMPLE_RATE
from predictor import check_choices, concluded, recognise
from probe import probe_sound
from processes import on_cluster, parallel, task
from segments import Segment
from speech_features import SpeechFrames
from timeline import CHUNK, Timeline

MANY = 64  # recordings from which several processes, which take seconds to start, are faster
GROUP = 16, 64  # recordings of one task, as each task is sent the model, 17 MB
ATTEMPTS = 5  # at tasks that a cluster has lost
VERSION = 1  # of the journal's format
BLOCK = 2**20  # bytes


# one recording


def is_long(audio, sr=None):
    """Whether a recording is recognised in windows: bool, True from `LONG` seconds on.

    Parameters
    ----------
    audio, sr
        See `audio.load_audio`; an open file is read.
    """
    seconds = duration_of(audio, sr)
    if seconds is None:  # the header doesn't say
        blocks = stream_audio(audio, orig_sr=sr, block_duration=LONG)
        with closing(blocks), suppress(AudioError):
            seconds = len(next(blocks)) / SAMPLE_RATE
    return seconds is not None and seconds >= LONG


class Whole:
    """The average of the windows of a long recording, in memory that doesn't grow with it.

    A window is `CHUNK` seconds of speech, or less at the end of an utterance.

    Parameters
    ----------
    predictor : Predictor
    audio, sr
        See `audio.load_audio`.
    check_speech : bool, default True
        Look for speech; see `listening.has_speech`.
    emotions : list of str, optional
        Choose only among these.

    Attributes
    ----------
    answers : ndarray (n_labels,) or (n_targets,), or None
        The average of the windows, weighted by their seconds. None without speech.
    novelty : float, or None
    over_time : dict of str to float
        Share of the speech in which each emotion is the most probable one, largest first; {} for
        numbers.
    report : InputReport
    """

    def __init__(self, predictor, audio, sr=None, check_speech=True, emotions=None):
        chunk = CHUNK if set(predictor.sources) - {SpeechFrames} else None
        windows = Timeline(predictor, window=CHUNK, hop=CHUNK, chunk=chunk)
        labels = predictor.targets or predictor.labels.tolist()
        self.report, rows, spoken = InputReport(), [], not check_speech
        for y in stream_audio(audio, orig_sr=sr, faults=self.report.faults):
            self.report.push(y)
            spoken = spoken or has_speech(y)
            rows += self._small(windows.push(y), labels)
        rows += self._small(windows.finish(), labels)
        self.answers, self.novelty, self.over_time = None, None, {}
        if rows and spoken:
            seconds, answers = (np.array(column) for column in zip(*rows, strict=True))
            self.answers = np.average(answers, axis=0, weights=seconds)
            self.novelty = float(np.average(windows.novelties, weights=seconds))
            if not predictor.targets:
                some = [labels.index(emotion) for emotion in emotions or labels]
                total, best = Counter(), answers[:, some].argmax(axis=1)
                for own, length in zip(best, seconds.tolist(), strict=True):
                    total[labels[some[own]]] += length / seconds.sum()
                self.over_time = dict(total.most_common())

    @staticmethod
    def _small(rows, labels):
        """Durations and predictions of rows, without names, which take most of the memory."""
        return [
            (row["end"] - row["start"], np.array([row[name] for name in labels])) for row in rows
        ]


def recognise_recording(predictor, audio, **choices):
    """Recognise one recording of any length; see `predictor.recognise`: dict.

    A recording of `LONG` seconds or more is recognised in windows, see `Whole`: the result is their
    average, and has `over_time`, the share of the speech by emotion.

    Parameters
    ----------
    predictor : Predictor, or a trained recognizer
    audio : path or segments.Segment
    **choices
        emotions, abstain, coverage; see `predictor.recognise`.
    """
    predictor = check_choices(predictor, **choices)
    if not is_long(audio):
        return recognise(predictor, audio, **choices)
    whole = Whole(predictor, audio, emotions=choices.get("emotions"))
    answers = whole.answers
    if answers is not None:
        answers = (predictor.by_target if predictor.targets else predictor.by_emotion)(answers)
    found = concluded(predictor, answers, whole.novelty, whole.report, **choices)
    return found | ({"over_time": whole.over_time} if whole.over_time else {})


# many recordings


def recognised(asked, *, n_jobs=None, scheduler=None, known=None, **choices):
    """Yield the result of each recording, in order, as soon as it is known: dict.

    Parameters
    ----------
    asked : list of (Predictor, path or Segment)
    n_jobs : int, optional
        Processes, as joblib counts them. Default: all cores for `MANY` recordings or more, else 1.
    scheduler : str, optional
        Address of a Dask scheduler whose workers do the work; they need the same paths.
    known : Journal, optional
        Has the results of an interrupted run, and stores new ones.
    **choices
        See `recognise_recording`.

    Yields
    ------
    dict
        See `recognise_recording`; for a recording that can't be read, {"error": message}.
    """
    alone = n_jobs == 1 or (n_jobs is None and len(asked) < MANY)
    n_jobs = 1 if alone and not scheduler else -1 if n_jobs is None else n_jobs
    n_given = 0
    for left in reversed(range(ATTEMPTS)):
        try:
            for key, one in _handed_out(asked[n_given:], n_jobs, scheduler, known, choices):
                if known is not None:
                    known.add(key, one)
                n_given += 1
                yield one
            return
        except CancelledError:  # a worker ended between a result and its delivery
            if not left:
                raise


def _handed_out(asked, n_jobs, scheduler, known, choices):
    """Yield the key and the result of each recording, in order."""
    size = int(np.clip(len(asked) // 32, *GROUP)) if n_jobs != 1 and len(asked) >= MANY else 1
    predictors = {id(predictor): predictor for predictor, _ in asked}
    with on_cluster(scheduler, *predictors.values()):
        work = parallel(n_jobs, return_as="generator", batch_size=1)
        groups = _groups(asked, size, known, choices, bool(scheduler))
        with closing(
            work(delayed(task(_recognised))(*group, choices) for group in groups)
        ) as found:
            for group in found:
                yield from group


def _groups(asked, size, known, choices, elsewhere):
    """Yield a Predictor, and a list of source, key and known result, for each task."""
    for _, own in groupby(asked, key=lambda pair: id(pair[0])):
        own = [*own]
        for i in range(0, len(own), size):
            predictor, group = own[i][0], []
            for _, source in own[i : i + size]:
                key = known and known.key(predictor, source, choices)
                place = source
                if elsewhere and not isinstance(source, Segment):
                    place = Path(source).absolute()  # workers have folders of their own
                group.append((place, key, known and known.found.get(key)))
            yield predictor, group


def _recognised(predictor, group, choices):
    """The key and the result of each recording of a task: list of pairs."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AudioWarning)  # silence is reported as no-speech
        return [(key, found or _one(predictor, source, choices)) for source, key, found in group]


def _one(predictor, source, choices):
    try:
        return recognise_recording(predictor, source, **choices)
    except AudioError as error:
        return {"error": str(error)}


class Journal:
    """Stores results beside the file that they are written to, until that is complete.

    A result is found by the content of the recording, the predictions of the model for a test
    input, and the choices: names and order may change, the model and the choices may not.

    Parameters
    ----------
    path : path
        Of the results; that of the journal ends in .resume.
    resume : bool
        Read the results of an interrupted run; False discards them.

    Attributes
    ----------
    found : dict of str to dict
        By `key`.
    """

    def __init__(self, path, resume):
        self.path, self.found, self._models = Path(f"{path}.resume"), {}, {}
        if resume and self.path.exists():
            with open_file(self.path) as file:
                for line in file:
                    with suppress(ValueError, TypeError):  # an incomplete line
                        key, found = json.loads(line)
                        self.found[key] = found
        self._file = self.path.open("a" if resume else "w", encoding="utf-8")
        self._file.write("\n" * bool(self.found))  # ends an incomplete line
        self._written = set(self.found)

    def key(self, predictor, source, choices):
        """A key of content, model and choices: str, or None if the source is unreadable.

        Parameters
        ----------
        predictor : Predictor
        source : path or Segment
        choices : dict
            See `recognise_recording`.
        """
        if id(predictor) not in self._models:
            self._models[id(predictor)] = _answer_to_probe(predictor)
        part = isinstance(source, Segment)
        settings = VERSION, self._models[id(predictor)], sorted(choices.items())
        settings += (source.start, source.end) if part else ()
        digest = hashlib.sha256(repr(settings).encode())
        try:
            with open_file(source.path if part else source) as file:
                while data := file.read(BLOCK):
                    digest.update(data)
        except OSError:
            return None
        return digest.hexdigest()

    def add(self, key, found):
        """Store a result. Errors aren't stored, so that they are tried again.

        Parameters
        ----------
        key : str, or None
        found : dict
            See `recognised`.
        """
        if key is not None and key not in self._written and "error" not in found:
            self._written.add(key)
            self._file.write(f"{json.dumps([key, found])}\n")
            self._file.flush()

    def close(self, complete):
        """Close the journal, and remove it if the results are complete.

        Parameters
        ----------
        complete : bool
        """
        self._file.close()
        if complete:
            self.path.unlink(missing_ok=True)


def _answer_to_probe(predictor):
    """Labels and rounded predictions for a test input: tuple."""
    X = predictor.features(load_audio(probe_sound(), orig_sr=SAMPLE_RATE))
    answers = predictor.probabilities(X) if predictor.classification else predictor.scores(X)
    return *predictor.emotions, *predictor.targets, *np.ravel(answers).round(6).tolist()
