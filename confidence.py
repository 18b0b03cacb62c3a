"""Confidence of a model: temperature, novelty, sets of emotions, abstention."""

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

NEAREST = 0.1  # least distance that counts: averages of clips are nearer, yet no more certain
SHARPER = 1.5  # than the calibrated average, for the probabilities that weights are fitted by
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
        Default: all clips count the same.
    """
    likelihoods = log_softmax(scores, axis=1)[np.arange(len(truth)), truth]
    return -np.average(likelihoods, weights=weights)


def temperature(scores, truth):
    """The divisor of scores whose softmax makes the truth likeliest (Guo et al. 2017): float.

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
    """Factor and power of the divisor of scores, factor * distance ** power: two floats.

    With one divisor for all clips a model is too confident of clips far from the training ones, and
    not confident enough of others. The power minimises the cross-entropy, but is drawn towards 1:
    clips of users may be farther than those of the speakers left out in training. The factor makes
    the mean confidence equal to the accuracy (expectation consistency, Clarte et al. 2023).

    Parameters
    ----------
    scores, truth
        See `cross_entropy`; scores of speakers that the model was not trained on.
    distances : ndarray (n_clips,)
        Positive; see `distances`.
    weights : ndarray (n_clips,)
        How much the clips count.
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
    accuracy = (accuracy * len(truth) + 1) / (len(truth) + 2)  # no model is always right

    def excess(log_factor):
        confidence = softmax(scaled(log_factor, power), axis=1).max(axis=1)
        return np.average(confidence, weights=weights) - accuracy

    low, high = log_factor - 5, log_factor + 5
    if excess(low) > 0 > excess(high):
        log_factor = brentq(excess, low, high)
    return float(np.exp(log_factor - power * middle)), float(power)


def block_weights(scores, truth, groups):
    """The weights of blocks whose average of scores is right most often: (n_blocks,).

    They add up to 1, and maximise the mean probability of the truth, each speaker counting the
    same: unlike the cross-entropy, few errors that are very sure don't decide.

    Parameters
    ----------
    scores : ndarray (n_blocks, n_clips, n_classes)
        Log probabilities by each block; of speakers that the model was not trained on.
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
    """The weights of members whose average makes the truth likeliest: ndarray (n_members,).

    By expectation maximisation, with `PRIOR` clips more that speak for each member.

    Parameters
    ----------
    shares : ndarray (n_members, n_clips)
        The probability that each member gives to the true class.
    counts : ndarray (n_clips,)
        What the clips count.

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
    """How many blocks of columns a model has, see `models.BlockLDA`: int.

    Parameters
    ----------
    model : estimator
    """
    return len(getattr(model, "blocks", ())) or 1


def on_columns(model, Z, classes):
    """The decision values of a model for more classes than it knows; -inf for those it doesn't.

    Parameters
    ----------
    model : fitted classifier
    Z : array (n_clips, ...)
        Scaled features.
    classes : ndarray (n_classes,)
        Ascending; with all classes of the model.
    """
    scores = np.full((len(Z), len(classes)), -np.inf)
    scores[:, np.searchsorted(classes, model.classes_)] = model_scores(model, Z)
    return scores


def coverages(probabilities, truth, weights):
    """How much probability the classes before the true one have together: ndarray (101,).

    Element p: at most, for p percent of the clips. A set of all classes before which there is no
    more than that holds the truth as often (adaptive prediction sets, Romano et al. 2020,
    "Classification with valid and adaptive coverage", without their random choice).

    Parameters
    ----------
    probabilities : ndarray (n_clips, n_classes)
        Of clips that the model was not trained on.
    truth : ndarray (n_clips,) of int
        Columns of the true classes.
    weights : ndarray (n_clips,)
        How much the clips count.

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
    """The probability that the classes before the true one have together: ndarray (n_clips,).

    Parameters
    ----------
    probabilities, truth
        See `coverages`.
    """
    own = probabilities[np.arange(len(truth)), truth][:, np.newaxis]
    return np.where(probabilities > own, probabilities, 0).sum(axis=1)


def measured_coverages(probabilities, truth, weights, folds):
    """How often sets hold the truth in clips that didn't set their `coverages`: ndarray (101,).

    Element p: the share of clips whose set for p percent, by the clips of all other folds, does.

    Parameters
    ----------
    probabilities, truth, weights
        See `coverages`.
    folds : ndarray (n_clips,)
        Which clips were left out together; at least two.
    """
    needed, held = before(probabilities, truth), np.zeros(101)
    for fold in np.unique(folds):
        own = folds == fold
        table = coverages(probabilities[~own], truth[~own], weights[~own])
        held += weights[own] @ (needed[own, np.newaxis] <= table + ROUNDING)
    return held / weights.sum()


def smallest_set(probabilities, needed):
    """The classes before which there is no more probability than this: list, likeliest first.

    Parameters
    ----------
    probabilities : dict of str to float
    needed : float
        See `coverages`.

    Examples
    --------
    >>> smallest_set({"sad": 0.3, "happy": 0.6, "calm": 0.1}, 0.8)
    ['happy', 'sad']
    """
    names = sorted(probabilities, key=probabilities.get, reverse=True)
    earlier = np.cumsum([0, *(probabilities[name] for name in names[:-1])])
    return names[: np.searchsorted(earlier, needed + ROUNDING, side="right")]


def distances(X, scaler, limit=10.0):
    """Mean square of the standardised features of each clip: ndarray (n_clips,).

    Parameters
    ----------
    X : ndarray (n_clips, n_features), or array (n_clips,) of ndarray (n_frames, n_columns)
    scaler : object with mean_ and scale_
        Fitted on the training clips.
    limit : float
        Standard deviations at which values are cut off, against single outlying features.

    Examples
    --------
    >>> from utils import standard_scaler
    >>> distances(np.array([[0.0], [4.0]]), standard_scaler().fit([[0.0], [2.0]])).tolist()
    [1.0, 9.0]
    """
    Z = (np.clip((x - scaler.mean_) / scaler.scale_, -limit, limit) for x in X)
    return np.array([np.square(z).mean() for z in Z])


def uncertainty(probabilities):
    """The entropy of probabilities, relative to that of pure chance: float from 0 to 1.

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
    """Order recordings by how much their labels would teach: DataFrame, the most first.

    By uncertainty (entropy sampling; Settles 2009, Active Learning Literature Survey) these are the
    clips that the model can't decide on, by novelty those unlike its training clips, which also
    finds other noises, languages and microphones.

    Parameters
    ----------
    recordings : list
    found : list of (dict of str to float, float)
        The probabilities of each, {} without speech, and its novelty; see `Predictor.novelty`.
    by : {"uncertainty", "novelty"}

    Returns
    -------
    DataFrame
        path, emotion, confidence, uncertainty, novelty; NaN without speech, at the end.
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
    """The likeliest emotion, or "unsure" for one below `abstain` or a novel clip: str.

    Parameters
    ----------
    probabilities : dict of str to float
    abstain : float, optional
        Default: never abstain.
    novelty : float
        Of the clip, see `Predictor.novelty`; over 1 is unlike training.

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
    """A fitted scaler and model, and the confidence that the model may have.

    Attributes
    ----------
    speakers : SpeakerScaler or None
        It standardises each speaker's clips first.
    scaler, model : estimators
    temperature : (float, float) or None
        See `temperature_by_distance`; None where the model calibrates itself.
    limit : float or None
        Distance that 95 in 100 clips of left-out speakers don't exceed.
    coverages, measured_coverages : ndarray (101,) or None
        See `coverages` and `measured_coverages`; None where there were no two folds.
    diversity : float or None
        The `mutual_information` of the clips of a left-out speaker, in the median.
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
        """How far clips are from the training clips: ndarray (n_clips,).

        By the model, where it has such a method, else by `distances`.

        Parameters
        ----------
        X : array (n_clips, ...)
            Features; of a speaker that is adapted to, standardised.
        Z : array (n_clips, ...), optional
            The same, scaled, where it is known.
        """
        if not (hasattr(self.model, "distances") and len(X)):
            return distances(X, self.scaler)
        return self.model.distances(self.scaled(X) if Z is None else Z)

    def scaled(self, X):
        """Scale features: array like X. For one clip, scikit-learn's checks take ten times as long.

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
        """The divisors of the scores of clips: (n_clips, 1), or 1 where the model has its own.

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
        """What sets of emotions need to hold the truth with this probability: two floats.

        How much probability may be before an emotion of a set (see `coverages`), and how often such
        sets held the truth of left-out clips (see `measured_coverages`).

        Parameters
        ----------
        coverage : float from 0 to 1

        Raises
        ------
        ValueError
            For another number, or where left-out speakers were not predicted in training.
        """
        if not 0 <= coverage <= 1:
            raise ValueError(f"coverage is a probability from 0 to 1; got {coverage!r}.")
        if self.measured_coverages is None:
            raise ValueError(
                "This model doesn't know how often its sets hold the truth: networks, files of "
                "earlier versions and models of few clips don't. Train a recommended or a "
                "scikit-learn model anew, on more clips."
            )
        tables = self.coverages, self.measured_coverages
        needed, held = (np.interp(100 * coverage, np.arange(101), table) for table in tables)
        return float(needed), float(held)

    def to_file(self):
        """The attributes by the names that files have: dict."""
        return {{"limit": "usual"}.get(name, name): value for name, value in vars(self).items()}

    @classmethod
    def from_file(cls, usual=None, **values):
        """The inverse of `to_file`.

        Parameters
        ----------
        usual, **values
            See `to_file`.
        """
        return cls(limit=usual, **values)


__getattr__ = moved(
    __name__, {"training": "FAMILIAR FEWER_FOLDS FEWEST_CLIPS N_FOLDS NetworkTraining Training"}
)
