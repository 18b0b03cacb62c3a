"""Adaptation to speakers: features standardised by the speaker's own mean and deviation."""

import math
import os
import warnings
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

import model_file
from audio import AudioError, stream_audio
from checks import check_name, printable
from create_csv import list_audio
from data_extractor import ragged
from listening import has_speech
from metrics import mutual_information
from sampling import pieces

BY = "speaker", "condition"
"""What the clips of an adaptation share: one speaker, or one microphone, room or source."""
LIMIT = 4.0  # standard deviations at which values are clipped
CHANGED = 0.5  # standard deviations by which a predicted number has changed
MONOTONOUS, DIVERSE = 0.3, 0.6  # diversity relative to a training speaker's: trust 0, trust 1


def standardised(X, mean, std):
    """Standardise features by a speaker's mean and standard deviation: array like X.

    Parameters
    ----------
    X : ndarray (n_clips, n_features), or array (n_clips,) of ndarray (n_frames, n_columns)
    mean, std : ndarray (n_features,) or (n_columns,), or None for both
        See `SpeakerScaler.statistics`. None leaves X as it is.

    Examples
    --------
    >>> standardised(np.array([[1.0, 5.0]]), np.array([0.0, 1.0]), np.array([1.0, 2.0])).tolist()
    [[1.0, 2.0]]
    """
    if mean is None:
        return X
    if X.dtype == object:
        return ragged([((x - mean) / std).astype(x.dtype) for x in X])
    return (X - mean) / std


@model_file.plain
class SpeakerScaler(BaseEstimator):
    """Standardises each speaker's clips by that speaker's mean and variance.

    Estimates from a few clips are poor, so both are shrunk to those of the average speaker: the
    mean of each feature by how much speakers differ in it (the posterior mean of a random-effects
    model, Laird and Ware 1982), the variance by a constant number of prior clips.

    Parameters
    ----------
    max_prior, variance_prior : float
        Numbers of clips that the average speaker counts as: at most, for the mean; always, for the
        variance.

    Attributes
    ----------
    mean_, variance_ : ndarray (n_features,)
        Mean and variance of the average speaker's clips.
    spread_ : ndarray (n_features,)
        Variance of the speakers' means.
    offsets_ : dict of label to ndarray (n_features,)
        Mean of a speaker's clips with a label, relative to the speaker's mean, in average standard
        deviations.
    habit_, noise_ : ndarray (n_features,)
        Variance of these offsets between speakers, and of the clips around them.
    diversity_ : float
        See `_diversity`; the median of the speakers. 0 in older files.
    """

    diversity_ = 0.0

    def __init__(self, max_prior=4.0, variance_prior=10.0):
        self.max_prior = max_prior
        self.variance_prior = variance_prior

    def fit(self, X, groups, y):
        """Learn the average speaker: self.

        Parameters
        ----------
        X : ndarray (n_clips, n_features)
        groups, y : ndarray (n_clips,)
            Speakers and labels.
        """
        speakers = [groups == speaker for speaker in np.unique(groups)]
        means = np.stack([X[own].mean(axis=0) for own in speakers])
        variance = np.mean([X[own].var(axis=0) for own in speakers], axis=0)
        self.mean_, self.variance_ = means.mean(axis=0), np.where(variance > 0, variance, 1)
        spread = means.var(axis=0) - self.variance_ * len(speakers) / len(X)
        self.spread_ = np.maximum(spread, self.variance_ / self.max_prior)
        cells, deviation = [], np.sqrt(self.variance_)  # of each label of each speaker
        for own, speaker_mean in zip(speakers, means, strict=True):
            for label in np.unique(y[own]):
                residuals = (X[own & (y == label)] - speaker_mean) / deviation
                cells.append((label, len(residuals), residuals.mean(axis=0), residuals.var(axis=0)))
        labels, counts, middles, variances = map(np.array, zip(*cells, strict=True))
        self.offsets_ = {
            label: np.average(middles[labels == label], axis=0, weights=counts[labels == label])
            for label in np.unique(y)
        }
        self.noise_ = variances.mean(axis=0)
        around = middles - np.array([self.offsets_[label] for label in labels])
        self.habit_ = np.square(around).mean(axis=0)
        self.diversity_ = float(np.median([self._diversity(X[own]) for own in speakers]))
        return self

    def _diversity(self, X):
        """Mean variance of clips along the offsets of the labels: float, 0 for one clip."""
        offsets = np.stack(list(self.offsets_.values()))
        Z = np.clip((X - X.mean(axis=0)) / np.sqrt(self.variance_), -LIMIT, LIMIT)
        places = Z @ offsets.T / np.maximum(np.square(offsets).sum(axis=1), 1e-12)
        return places.var(axis=0, ddof=1).mean() if len(X) > 1 else 0.0

    def diversity(self, X):
        """Variance of clips along the offsets of the labels, relative to a speaker's: float.

        Parameters
        ----------
        X : ndarray (n_clips, n_features)
        """
        return self._diversity(X) / self.diversity_ if self.diversity_ else 1.0

    def statistics(self, X, labels=None):
        """The mean and the standard deviation of one speaker: two ndarrays (n_features,).

        Parameters
        ----------
        X : ndarray (n_clips, n_features)
            Clips of that speaker.
        labels : array (n_clips,), optional
            Their labels, None for unknown ones: these clips count as a mixture of all labels.
        """
        labels = [None] * len(X) if labels is None else list(labels)
        mixture = X[[label is None for label in labels]]
        weight = 1 / self.spread_ + len(mixture) / self.variance_
        mean = self.mean_ / self.spread_ + mixture.sum(axis=0) / self.variance_
        expected = np.ones_like(X)
        for label in {label: None for label in labels if label is not None}:
            own = np.array([known == label for known in labels])
            clips = X[own]
            precision = 1 / (self.variance_ * (self.habit_ + self.noise_ / len(clips)) + 1e-12)
            middle = clips.mean(axis=0) - self.offsets_[label] * np.sqrt(self.variance_)
            weight, mean = weight + precision, mean + precision * middle
            squares = self.offsets_[label] ** 2 + self.habit_ + self.noise_
            expected[own] = np.maximum(squares, 0.05)
        mean = mean / weight
        squares = np.square(X - mean) / expected
        squares = squares.sum(axis=0) + self.variance_prior * self.variance_
        return mean, np.sqrt(squares / (len(X) + self.variance_prior))

    def transform(self, X, groups):
        """Standardise each speaker's clips by all of that speaker's: array like X.

        Parameters
        ----------
        X : array (n_clips, ...)
            As in `fit`.
        groups : ndarray (n_clips,)
            Speakers.
        """
        Z = np.empty_like(X)
        for speaker in np.unique(groups):
            own = groups == speaker
            Z[own] = standardised(X[own], *self.statistics(X[own]))
        return Z


@model_file.plain(formerly=("VoiceScaler",))
class SpeakerFrameScaler:
    """Standardises each speaker's frames by that speaker's mean and deviation.

    Attributes
    ----------
    clips : SpeakerScaler
        Fitted on the mean and the log deviation of the frames of each clip.
    """

    def fit(self, X, groups, y):
        """Learn the average speaker: self.

        Parameters
        ----------
        X : array (n_clips,) of ndarray (n_frames, n_columns)
        groups, y : ndarray (n_clips,)
            Speakers and labels.
        """
        self.clips = SpeakerScaler().fit(self._summaries(X), groups, y)
        return self

    @staticmethod
    def _summaries(X):
        means, stds = ([f(x, axis=0, dtype=np.float64) for x in X] for f in (np.mean, np.std))
        return np.hstack([means, np.log(np.array(stds) + 1e-3)])

    def statistics(self, X, labels=None):
        """The mean and the standard deviation of one speaker's frames: two ndarrays (n_columns,).

        Parameters
        ----------
        X : array (n_clips,) of ndarray (n_frames, n_columns)
        labels : array (n_clips,), optional
            See `SpeakerScaler.statistics`.
        """
        middle, _ = self.clips.statistics(self._summaries(X), labels)
        mean, log_std = np.split(middle, 2)
        return mean, np.exp(log_std)

    def diversity(self, X):
        """See `SpeakerScaler.diversity`."""
        return self.clips.diversity(self._summaries(X))

    transform = SpeakerScaler.transform


@model_file.plain
class FrameScaler(BaseEstimator):
    """Standardises every column of frame matrices by the frames of the training clips.

    Attributes
    ----------
    mean_, scale_ : ndarray (n_columns,)
    n_features_in_ : int
    """

    def fit(self, X, y=None):
        """Learn the mean and standard deviation of each column: self.

        Parameters
        ----------
        X : array (n_clips,) of ndarray (n_frames, n_columns)
        y : ignored
        """
        n_frames = sum(map(len, X))
        self.mean_ = sum(x.sum(axis=0, dtype=np.float64) for x in X) / n_frames
        squares = sum(np.square(x - self.mean_).sum(axis=0) for x in X) / n_frames
        self.scale_ = np.sqrt(squares) + 1e-6
        self.n_features_in_ = len(self.mean_)
        return self

    def transform(self, X):
        """Standardise frames and clip them at `LIMIT`: array like X.

        Parameters
        ----------
        X : array (n_clips,) of ndarray (n_frames, n_columns)
        """
        check_is_fitted(self)
        scaled = [np.clip((x - self.mean_) / self.scale_, -LIMIT, LIMIT) for x in X]
        return ragged([z.astype(x.dtype) for x, z in zip(X, scaled, strict=True)])


def fit_scaled(scaler, X, in_place=False):
    """Fit a scaler on clips and scale them, with few temporary copies: array like X.

    Parameters
    ----------
    scaler : StandardScaler or FrameScaler
    X : ndarray (n_clips, n_features), or array (n_clips,) of ndarray (n_frames, n_columns)
    in_place : bool
        X may be overwritten.
    """
    if X.dtype == object:
        return scaler.fit(X).transform(X)
    for part in pieces(X, 100):  # fits into the processor's cache: less than half of the time
        scaler.partial_fit(part)
    return scaler.transform(X, copy=not in_place)


def trust_in(predictor, X, labels=None):
    """The weight of a Predictor that was adapted to these clips: float, 0 to 1.

    Clips of a single emotion show where that emotion is, not where the speaker's average is, and
    standardisation would remove it. Such clips are recognised by their low diversity. Clips with
    labels get the full weight, as the offset of a label is known.

    Parameters
    ----------
    predictor : Predictor
        Adapted to the clips.
    X : features of the clips
    labels : list of (str or None), optional
        Default: all unknown.
    """
    unknown = np.array([label is None for label in labels or [None] * len(X)])
    if not unknown.any():
        return 1.0
    fitted, own = predictor.by_speaker, X[unknown]
    if fitted.diversity:
        ratio = mutual_information(predictor.probabilities(own)) / fitted.diversity
    else:
        ratio = fitted.speakers.diversity(own)
    share = np.clip((ratio - MONOTONOUS) / (DIVERSE - MONOTONOUS), 0, 1)
    return float(1 - unknown.mean() * (1 - share))


# recordings to adapt to


class NoSpeech(ValueError):
    """None of the recordings for an adaptation has speech."""


@model_file.plain
@dataclass(frozen=True)
class Adaptation:
    """The recordings that a recognizer was adapted to, and the effect.

    Attributes
    ----------
    by : {"speaker", "condition"}
    n_used, n_labelled : int
        Recordings, and those of them with a label.
    n_changed : int
        Recordings with another prediction than before: another emotion, or a number that differs by
        more than half a standard deviation.
    left_out : dict of str to str
        Names of recordings that weren't used, and why. They aren't saved in files.

    Examples
    --------
    >>> print(Adaptation("speaker", 10, 3, 4, {"a.wav": "no speech"}))
    one speaker by 10 recordings (3 labelled, 1 left out): 4 predictions changed
    """

    by: str
    n_used: int
    n_labelled: int
    n_changed: int
    left_out: dict = field(default_factory=dict)

    not_saved = ("left_out",)

    def __str__(self):
        whom = {"speaker": "one speaker", "condition": "one recording condition"}[self.by]
        counts = {"labelled": self.n_labelled, "left out": len(self.left_out)}
        counts = ", ".join(f"{n} {what}" for what, n in counts.items() if n)
        used = f"{self.n_used} recording{'s' * (self.n_used > 1)}{f' ({counts})' * bool(counts)}"
        changed = f"{self.n_changed} prediction{'s' * (self.n_changed != 1)} changed"
        return f"{whom} by {used}: {changed}"


class Usable(NamedTuple):
    """Recordings that a recognizer can be adapted to, their labels, and those left out."""

    recordings: list  # paths, and samples at 16 kHz
    labels: list  # None: unknown
    left_out: dict  # names to reasons

    def adaptation(self, by, X, before, after):
        """Summarise an adaptation.

        Parameters
        ----------
        by : {"speaker", "condition"}
        X : features of the recordings
        before, after : Predictor

        Returns
        -------
        Adaptation
        """
        n_labelled = sum(label is not None for label in self.labels)
        answers = [predictor.predict(X) for predictor in (before, after)]
        if before.targets:
            old, new = np.reshape(answers, (2, len(X), -1))
            n_changed = int((np.abs(new - old) > CHANGED * old.std(axis=0)).any(axis=1).sum())
        elif before.classification:
            n_changed = int(np.not_equal(*answers).sum())
        else:  # the emotion is that of the nearest number
            n_changed = int(np.not_equal(*map(np.rint, answers)).sum())
        return Adaptation(by, len(self.labels), n_labelled, n_changed, self.left_out)


def usable(recordings, labels, emotions, sr=None):
    """Choose the recordings that a recognizer can be adapted to: those with speech.

    Parameters
    ----------
    recordings : list of recordings, or path of a folder
    labels : None, str, or list of (str or None)
        See `recognizer.Predicts.adapt`.
    emotions : list of str
        Allowed labels.
    sr : int, optional
        Sampling rate of arrays in Hz.

    Returns
    -------
    Usable

    Raises
    ------
    ValueError
        Without recordings, or for unknown labels or another number of them.
    NoSpeech
        If none has speech; it is a ValueError.

    Warns
    -----
    UserWarning
        Names the recordings that are left out.
    """
    recordings = listed(recordings)
    labels, kept, left_out = _known(recordings, labels, emotions), [], {}
    for i, (recording, label) in enumerate(zip(recordings, labels, strict=True), 1):
        is_path = isinstance(recording, (str, os.PathLike))
        name = os.fspath(recording) if is_path else getattr(recording, "name", f"recording {i}")
        y, reason = _speech(recording, None if is_path or hasattr(recording, "read") else sr)
        if reason:
            left_out[str(name)] = reason.removeprefix(f"{name!r}: ")
        else:
            kept.append((recording if is_path else y, label))
    lines = [printable(f"{name}: {reason}") for name, reason in left_out.items()]
    if not kept:
        raise NoSpeech(
            f"There is no speech to adapt to in {', '.join(lines[:3])}{', ...' * (len(lines) > 3)}."
            " Record some sentences of the speaker or the recording condition, each of a second or "
            "more."
        )
    if left_out:
        named = "\n  ".join(["", *lines])
        warnings.warn(f"{len(lines)} recording(s) left out of the adaptation:{named}", stacklevel=3)
    return Usable(*map(list, zip(*kept, strict=True)), left_out)


def listed(recordings):
    """The recordings of a folder, or those of a list: list.

    Parameters
    ----------
    recordings : list of recordings, or path of a folder

    Raises
    ------
    ValueError
        For a single recording, or none.
    """
    if isinstance(recordings, (str, os.PathLike)) and Path(recordings).is_dir():
        recordings = list_audio(recordings)
    if isinstance(recordings, (str, os.PathLike)) or not len(recordings):
        raise ValueError("Give a list of one or more recordings, or a folder with recordings.")
    return list(recordings)


def _known(recordings, labels, emotions):
    """The label of each recording, None where it is unknown: list."""
    if isinstance(labels, str) and labels == "names":
        stems = [Path(x).stem if isinstance(x, (str, os.PathLike)) else "" for x in recordings]
        ends = [stem.rpartition("_")[2] for stem in stems]
        return [end if end in emotions else None for end in ends]
    if labels is None or isinstance(labels, str):
        labels = [labels] * len(recordings)
    if len(labels) != len(recordings):
        raise ValueError(
            f"{len(labels)} labels for {len(recordings)} recording(s); give one for each, None if "
            "it is unknown."
        )
    return [None if x is None else check_name(x, emotions, "emotion") for x in labels]


def _speech(recording, sr):
    """The samples (n_samples,) of a recording, and why it can't be used, or None."""
    try:
        y = np.concatenate([*stream_audio(recording, orig_sr=sr)])
    except AudioError as error:
        return None, str(error)
    return y, None if has_speech(y) else "no speech"


class Running:
    """Adapts a Predictor to a speaker during a stream, by its latest windows.

    Of overlapping windows of an utterance only one per window length is used, the latest.

    Parameters
    ----------
    predictor : Predictor
        It isn't changed.
    window : float
        Seconds of a window.

    Attributes
    ----------
    predictor : Predictor
        The one to predict with: adapted as soon as there is enough speech.

    Raises
    ------
    ValueError
        If the Predictor can't be adapted, or has been adapted already.
    """

    ENOUGH = 10.0  # seconds of speech
    MOST = 100  # windows that are remembered

    def __init__(self, predictor, window):
        if predictor.speaker is not None:
            raise ValueError(
                "This recognizer is adapted already: leave out adapt=True, or use the original one."
            )
        if any(part.by_speaker is None for part in predictor.parts):
            raise ValueError('Only a recognizer with normalize="speaker" can be adapted.')
        self.predictor, self._window, self._place = predictor, window, None
        self._enough = math.ceil(self.ENOUGH / window)
        self._windows = [deque(maxlen=self.MOST) for _ in predictor.parts]

    def add(self, utterance, end, X):
        """Take the next window; a non-overlapping one starts an adaptation to those before it.

        Parameters
        ----------
        utterance, end : float
            Start of its utterance, and end of the window, in seconds.
        X : features of the window
        """
        place = utterance, math.ceil((end - utterance) / self._window - 1e-6)
        same, self._place = place == self._place, place
        if not same and len(self._windows[0]) >= self._enough:
            views = [np.concatenate(windows) for windows in self._windows]
            self.predictor = self.predictor.adapted(self.predictor.joined(views))
        for windows, own in zip(self._windows, self.predictor.views(X), strict=True):
            if same:
                windows.pop()
            windows.append(own)
