"""Confidence of a model: temperature, novelty, prediction sets, abstention."""

import os
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.optimize import brentq, minimize, minimize_scalar
from scipy.special import log_softmax, softmax
from scipy.stats import entropy
from sklearn.utils.class_weight import compute_sample_weight

from checks import moved
from utils import model_scores

NEAREST = 0.1  # smallest distance: averages of clips are nearer, but not more certain
SHARPER = 1.5  # times the calibrated scores: probabilities by which weights are fitted
ROUNDING = 1e-9  # of sums of probabilities
RANKINGS = "uncertainty", "novelty"
N_STEPS, PRIOR = 100, 5  # of `mixture_weights`
TOWARDS_ONE = 0.05  # nats a clip, for a power of the distance that is 0 or 2


def cross_entropy(scores, truth, weights=None):
    """Mean negative log of the softmax of scores at the true classes: float.

    Parameters
    ----------
    scores : ndarray (n_clips, n_classes)
        Decision values or log probabilities.
    truth : ndarray (n_clips,) of int
        Columns of the true classes.
    weights : ndarray (n_clips,), optional
        Default: equal.
    """
    likelihoods = log_softmax(scores, axis=1)[np.arange(len(truth)), truth]
    return -np.average(likelihoods, weights=weights)


def temperature(scores, truth):
    """Fit the temperature, the divisor of scores that minimises the cross-entropy: float.

    See Guo et al. 2017, On Calibration of Modern Neural Networks.

    Parameters
    ----------
    scores, truth
        See `cross_entropy`.

    Examples
    --------
    >>> scores = np.log([[0.8, 0.2]] * 10)
    >>> round(temperature(3 * scores, [0] * 8 + [1] * 2), 2)
    3.0
    """

    def loss(log_temperature):
        return cross_entropy(scores / np.exp(log_temperature), truth)

    return float(np.exp(minimize_scalar(loss, bounds=(-5, 5), method="bounded").x))


def temperature_by_distance(scores, distances, truth, weights):
    """Fit a temperature that depends on distance, factor * distance ** power: (factor, power).

    With one temperature for all clips a model is too confident about clips far from the training
    clips, and not confident enough about others. The power minimises the cross-entropy, with a
    penalty that pulls it towards 1, as users' clips may be farther away than those of left-out
    speakers. The factor makes the mean confidence equal to the accuracy (expectation consistency,
    Clarte et al. 2023).

    Parameters
    ----------
    scores, truth
        See `cross_entropy`; of speakers that the model wasn't trained on.
    distances : ndarray (n_clips,)
        Positive; see `distances`.
    weights : ndarray (n_clips,)
        Weights of the clips.
    """
    logs = np.log(distances)
    middle = logs.mean()

    def scaled(log_factor, power):
        return scores / np.exp(log_factor + power * (logs - middle))[:, np.newaxis]

    def loss(x):
        return cross_entropy(scaled(*x), truth, weights) + TOWARDS_ONE * (x[1] - 1) ** 2

    start = np.log(temperature(scores, truth)), 0.0
    log_factor, power = minimize(loss, start, method="L-BFGS-B", bounds=[(-5, 5), (0, 2)]).x
    accuracy = np.average(scores.argmax(axis=1) == truth, weights=weights)
    accuracy = (accuracy * len(truth) + 1) / (len(truth) + 2)  # never exactly 0 or 1

    def excess(log_factor):
        confidence = softmax(scaled(log_factor, power), axis=1).max(axis=1)
        return np.average(confidence, weights=weights) - accuracy

    low, high = log_factor - 5, log_factor + 5
    if excess(low) > 0 > excess(high):
        log_factor = brentq(excess, low, high)
    return float(np.exp(log_factor - power * middle)), float(power)


def block_weights(scores, truth, groups):
    """Fit weights of blocks for averaging their scores: ndarray (n_blocks,) with the sum 1.

    They maximise the mean probability of the true classes, with equal weights of the speakers. A
    few very confident errors influence it less than the cross-entropy.

    Parameters
    ----------
    scores : ndarray (n_blocks, n_clips, n_classes)
        Log probabilities by each block, of speakers that the model wasn't trained on.
    truth : ndarray (n_clips,) of int
        Columns of the true classes.
    groups : ndarray (n_clips,)
        Speakers.

    Examples
    --------
    >>> good, poor = np.log([[[0.9, 0.1], [0.2, 0.8]] * 4, [[0.3, 0.7], [0.5, 0.5]] * 4])
    >>> block_weights(np.array([good, poor]), [0, 1] * 4, [*"aabbccdd"]).round(2).tolist()
    [1.0, 0.0]
    """
    clips, weights = np.arange(len(truth)), compute_sample_weight("balanced", groups)

    def average(factors):
        return np.tensordot(factors, scores, axes=1)

    def loss(factors):
        return cross_entropy(average(factors), truth, weights)

    start = np.full(len(scores), 1 / len(scores))
    factors = minimize(loss, start, method="L-BFGS-B", bounds=[(0, 10)] * len(scores)).x
    if not factors.any():
        return start
    sharpness = SHARPER * factors.sum()

    def error(shares):
        shares = np.abs(shares) / np.abs(shares).sum()
        right = softmax(average(sharpness * shares), axis=1)[clips, truth]
        return -np.average(right, weights=weights)

    found = np.abs(minimize(error, factors / factors.sum() + 0.01, method="Nelder-Mead").x)
    return found / found.sum()


def mixture_weights(shares, counts):
    """Fit the weights of a mixture of members by maximum likelihood: ndarray (n_members,).

    By expectation maximisation, with `PRIOR` prior clips for each member.

    Parameters
    ----------
    shares : ndarray (n_members, n_clips)
        The probability that each member gives to the true class.
    counts : ndarray (n_clips,)
        Weights of the clips.

    Examples
    --------
    >>> shares = np.array([[0.9, 0.8] * 50, [0.2, 0.3] * 50])
    >>> mixture_weights(shares, np.ones(100)).round(2).tolist()
    [0.94, 0.06]
    """
    weights = np.full(len(shares), 1 / len(shares))
    for _ in range(N_STEPS):
        owners = weights[:, np.newaxis] * np.maximum(shares, 1e-9)
        weights = PRIOR + (owners / owners.sum(axis=0)) @ counts
        weights /= weights.sum()
    return weights


def n_blocks(model):
    """Number of blocks of columns of a model, see `models.BlockLDA`: int.

    Parameters
    ----------
    model : estimator
    """
    return len(getattr(model, "blocks", ())) or 1


def on_columns(model, Z, classes):
    """Decision values of a model with columns for all classes: (n_clips, n_classes).

    Classes that the model doesn't know have -inf.

    Parameters
    ----------
    model : fitted classifier
    Z : array (n_clips, ...)
        Scaled features.
    classes : ndarray (n_classes,)
        Ascending; includes all classes of the model.
    """
    scores = np.full((len(Z), len(classes)), -np.inf)
    scores[:, np.searchsorted(classes, model.classes_)] = model_scores(model, Z)
    return scores


def coverages(probabilities, truth, weights):
    """Percentiles, over clips, of the probability of the classes before the true one: (101,).

    Classes are ordered by probability. A set of all classes that have at most element p before them
    includes the true class of p percent of the clips (adaptive prediction sets, Romano et al. 2020,
    "Classification with valid and adaptive coverage", without randomisation).

    Parameters
    ----------
    probabilities : ndarray (n_clips, n_classes)
        Of clips that the model wasn't trained on.
    truth : ndarray (n_clips,) of int
        Columns of the true classes.
    weights : ndarray (n_clips,)
        Weights of the clips.

    Examples
    --------
    >>> shares = np.tile([0.6, 0.3, 0.1], (10, 1))
    >>> coverages(shares, [0] * 6 + [1] * 3 + [2], np.ones(10))[[50, 80, 100]].round(1).tolist()
    [0.0, 0.6, 0.9]
    """
    needed = before(probabilities, truth)
    order = np.argsort(needed)
    ranks = np.cumsum(weights[order]) / np.sum(weights)
    places = np.searchsorted(ranks, np.arange(101) / 100 - 1e-9)
    return needed[order][np.minimum(places, len(needed) - 1)]


def before(probabilities, truth):
    """Total probability of the classes before the true one, in their order: ndarray (n_clips,).

    Parameters
    ----------
    probabilities, truth
        See `coverages`.
    """
    own = probabilities[np.arange(len(truth)), truth][:, np.newaxis]
    return np.where(probabilities > own, probabilities, 0).sum(axis=1)


def measured_coverages(probabilities, truth, weights, folds):
    """Cross-validated coverage of prediction sets: ndarray (101,).

    Element p is the share of clips whose set for p percent, by the `coverages` of all other folds,
    includes the true class.

    Parameters
    ----------
    probabilities, truth, weights
        See `coverages`.
    folds : ndarray (n_clips,)
        Fold of each clip; at least two.
    """
    needed, held = before(probabilities, truth), np.zeros(101)
    for fold in np.unique(folds):
        own = folds == fold
        table = coverages(probabilities[~own], truth[~own], weights[~own])
        held += weights[own] @ (needed[own, np.newaxis] <= table + ROUNDING)
    return held / weights.sum()


def smallest_set(probabilities, needed):
    """The prediction set of a clip: list of classes, most probable first.

    Parameters
    ----------
    probabilities : dict of str to float
    needed : float
        Largest total probability of the classes before one of the set; see `coverages`.

    Examples
    --------
    >>> smallest_set({"sad": 0.3, "happy": 0.6, "calm": 0.1}, 0.8)
    ['happy', 'sad']
    """
    names = sorted(probabilities, key=probabilities.get, reverse=True)
    earlier = np.cumsum([0, *(probabilities[name] for name in names[:-1])])
    return names[: np.searchsorted(earlier, needed + ROUNDING, side="right")]


def distances(X, scaler, limit=10.0):
    """Distances from the training clips, the mean square of standardised features: (n_clips,).

    Parameters
    ----------
    X : ndarray (n_clips, n_features), or array (n_clips,) of ndarray (n_frames, n_columns)
    scaler : object with mean_ and scale_
        Fitted on the training clips.
    limit : float
        Standard deviations at which values are clipped, against single outlying features.

    Examples
    --------
    >>> from utils import standard_scaler
    >>> distances(np.array([[0.0], [4.0]]), standard_scaler().fit([[0.0], [2.0]])).tolist()
    [1.0, 9.0]
    """
    Z = (np.clip((x - scaler.mean_) / scaler.scale_, -limit, limit) for x in X)
    return np.array([np.square(z).mean() for z in Z])


def uncertainty(probabilities):
    """The entropy of probabilities, relative to that of equal ones: float, 0 to 1.

    Parameters
    ----------
    probabilities : sequence of float

    Examples
    --------
    >>> uncertainty([0.5, 0.5]), round(uncertainty([0.9, 0.1]), 3)
    (1.0, 0.469)
    """
    return float(entropy(probabilities) / np.log(max(2, len(probabilities))))


def ranked(recordings, found, by="uncertainty"):
    """Rank recordings for labelling by how informative they are: DataFrame, the best first.

    By uncertainty (entropy sampling; Settles 2009, Active Learning Literature Survey) clips with
    ambiguous predictions come first; by novelty those unlike the training clips, also by noise,
    language or microphone.

    Parameters
    ----------
    recordings : list
    found : list of (dict of str to float, float)
        For each its probabilities, {} without speech, and its novelty; see `Predictor.novelty`.
    by : {"uncertainty", "novelty"}

    Returns
    -------
    DataFrame
        path, emotion, confidence, uncertainty, novelty; recordings without speech are last, with
        NaN.
    """
    rows = []
    for i, (recording, (shares, novelty)) in enumerate(zip(recordings, found, strict=True), 1):
        is_path = isinstance(recording, (str, os.PathLike))
        row = {"path": os.fspath(recording) if is_path else f"recording {i}", "novelty": novelty}
        if shares:
            row["emotion"] = max(shares, key=shares.get)
            row["confidence"] = shares[row["emotion"]]
            row["uncertainty"] = uncertainty([*shares.values()])
        rows.append(row)
    table = pd.DataFrame(rows, columns=["path", "emotion", "confidence", *RANKINGS])
    return table.sort_values(by, ascending=False, kind="stable", ignore_index=True)


def decided(probabilities, abstain=None, novelty=0.0):
    """The most probable emotion, or "unsure" if it is below `abstain` or the clip is novel: str.

    Parameters
    ----------
    probabilities : dict of str to float
    abstain : float, optional
        Default: never abstain.
    novelty : float
        Of the clip, see `Predictor.novelty`; a clip over 1 is novel.

    Examples
    --------
    >>> decided({"sad": 0.3, "happy": 0.7}, 0.8)
    'unsure'
    """
    emotion = max(probabilities, key=probabilities.get)
    unsure = abstain is not None and (probabilities[emotion] < abstain or novelty > 1)
    return "unsure" if unsure else emotion


@dataclass(frozen=True)
class Fitted:
    """A fitted scaler and model, and the calibration of their confidence.

    Attributes
    ----------
    speakers : SpeakerScaler or None
        Standardises each speaker's clips first.
    scaler, model : estimators
    temperature : (float, float) or None
        See `temperature_by_distance`; None if the model needs no calibration.
    limit : float or None
        Distance that 95 in 100 clips of left-out speakers don't exceed.
    coverages, measured_coverages : ndarray (101,) or None
        See `coverages` and `measured_coverages`; None if there were fewer than two folds.
    diversity : float or None
        Median of the `mutual_information` of the clips of a left-out speaker.
    """

    speakers: Any
    scaler: Any
    model: Any
    temperature: tuple | None = None
    limit: float | None = None
    coverages: Any = None
    measured_coverages: Any = None
    diversity: float | None = None

    def distances(self, X, Z=None):
        """Distances from the training clips: ndarray (n_clips,).

        By the model, if it has such a method, else by `distances`.

        Parameters
        ----------
        X : array (n_clips, ...)
            Features; with adaptation, standardised by the speaker.
        Z : array (n_clips, ...), optional
            The same, scaled, if known.
        """
        if not (hasattr(self.model, "distances") and len(X)):
            return distances(X, self.scaler)
        return self.model.distances(self.scaled(X) if Z is None else Z)

    def scaled(self, X):
        """Scale features: array like X. Without scikit-learn's checks, which are slow for one clip.

        Parameters
        ----------
        X : array (n_clips, ...)
            See `distances`.
        """
        if X.dtype == object:  # frames
            return self.scaler.transform(X)
        mean, scale = (x.astype(X.dtype) for x in (self.scaler.mean_, self.scaler.scale_))
        return (X - mean) / scale

    def temperatures(self, distances):
        """The temperatures of clips: (n_clips, 1), or 1 if the model needs no calibration.

        Parameters
        ----------
        distances : ndarray (n_clips,)
            See `distances`.
        """
        if self.temperature is None:
            return 1.0
        factor, power = self.temperature
        return factor * np.maximum(distances, NEAREST)[:, np.newaxis] ** power

    def sets(self, coverage):
        """The threshold of prediction sets with this coverage, and their measured one: two floats.

        The threshold is for `smallest_set` (see `coverages`); the measured coverage is that of
        left-out clips (see `measured_coverages`).

        Parameters
        ----------
        coverage : float from 0 to 1

        Raises
        ------
        ValueError
            For another number, or if no left-out speakers were predicted in training.
        """
        if not 0 <= coverage <= 1:
            raise ValueError(f"coverage must be a probability from 0 to 1; got {coverage!r}.")
        if self.measured_coverages is None:
            raise ValueError(
                "The coverage of this model's sets wasn't measured, as for networks, files of "
                "earlier versions and models of few clips. Train a recommended or a scikit-learn "
                "model on more clips."
            )
        tables = self.coverages, self.measured_coverages
        needed, held = (np.interp(100 * coverage, np.arange(101), table) for table in tables)
        return float(needed), float(held)

    def to_file(self):
        """The attributes by their names in files: dict."""
        return {{"limit": "usual"}.get(name, name): value for name, value in vars(self).items()}

    @classmethod
    def from_file(cls, usual=None, **values):
        """Make a `Fitted` from the attributes in a file, the inverse of `to_file`: Fitted.

        Parameters
        ----------
        usual, **values
            See `to_file`.
        """
        return cls(limit=usual, **values)


__getattr__ = moved(
    __name__, {"training": "FAMILIAR FEWER_FOLDS FEWEST_CLIPS N_FOLDS NetworkTraining Training"}
)
