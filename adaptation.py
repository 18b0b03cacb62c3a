"""Adaptation to speakers: features standardised by the speaker's own mean and deviation."""

import numpy as np
from sklearn.base import BaseEstimator

import model_file
from data_extractor import ragged


def standardised(X, mean, std):
    """Features relative to a speaker's mean, in the speaker's standard deviations: array like X.

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
        return ragged([(x - mean) / std for x in X])
    return (X - mean) / std


@model_file.plain
class SpeakerScaler(BaseEstimator):
    """Standardises each speaker's clips by that speaker's mean and variance.

    A few clips are a poor estimate of both, which are therefore shrunk to those of the average
    speaker: the mean of each feature by how much speakers differ in it (the posterior mean of a
    random-effects model, Laird and Ware 1982), the variance as if there were some clips more.

    Parameters
    ----------
    max_prior, variance_prior : float
        How many clips the average speaker's mean counts for at most, and the variance always.

    Attributes
    ----------
    mean_, variance_ : ndarray (n_features,)
        The average speaker's clips have these.
    spread_ : ndarray (n_features,)
        Variance of the speakers' means.
    offsets_ : dict of label to ndarray (n_features,)
        Mean of a speaker's clips of a label, relative to the speaker's mean, in average standard
        deviations.
    habit_, noise_ : ndarray (n_features,)
        Variance of these offsets from speaker to speaker, and of the clips around them.
    """

    def __init__(self, max_prior=4.0, variance_prior=10.0):
        self.max_prior = max_prior
        self.variance_prior = variance_prior

    def fit(self, X, groups, y):
        """Learn the average speaker.

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
        residuals = np.empty_like(X)
        for own, mean in zip(speakers, means, strict=True):
            residuals[own] = (X[own] - mean) / np.sqrt(self.variance_)
        self.offsets_ = {label: residuals[y == label].mean(axis=0) for label in np.unique(y)}
        cells = []
        for label, offset in self.offsets_.items():
            cells += [residuals[own & (y == label)] - offset for own in speakers]
        cells = [cell for cell in cells if len(cell)]
        self.noise_ = np.mean([cell.var(axis=0) for cell in cells], axis=0)
        self.habit_ = np.mean([cell.mean(axis=0) ** 2 for cell in cells], axis=0)
        return self

    def statistics(self, X, labels=None):
        """The mean and the standard deviation of one speaker: two ndarrays (n_features,).

        Parameters
        ----------
        X : ndarray (n_clips, n_features)
            Clips of that speaker.
        labels : array (n_clips,), optional
            Known labels of the clips. Default: unknown; they count as a mixture of all.
        """
        weight, mean, expected = 1 / self.spread_, self.mean_ / self.spread_, 1
        if labels is None:
            weight, mean = weight + len(X) / self.variance_, mean + X.sum(axis=0) / self.variance_
        else:
            labels = np.asarray(labels)
            for label in np.unique(labels):
                clips = X[labels == label]
                precision = 1 / (self.variance_ * (self.habit_ + self.noise_ / len(clips)) + 1e-12)
                middle = clips.mean(axis=0) - self.offsets_[label] * np.sqrt(self.variance_)
                weight, mean = weight + precision, mean + precision * middle
            expected = np.stack([self.offsets_[label] ** 2 for label in labels])
            expected = np.maximum(expected + self.habit_ + self.noise_, 0.05)
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
        """Learn the average speaker.

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

    transform = SpeakerScaler.transform
