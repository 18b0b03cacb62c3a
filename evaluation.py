"""Honest numbers: who was heard in training, how sure a score is, and what a leak is worth.

    python evaluation.py --corpus emodb --protocol loso --model SVC
    python evaluation.py --corpus ravdess --protocol group-6 --model default --calibrate 10
    python evaluation.py --corpus emodb --train-corpora ravdess,tess --protocol cross-corpus \\
        --emotions angry,happy,sad,neutral,calm --label-map calm=neutral
    python evaluation.py --corpus emodb --model SVC --leakage
    python evaluation.py --corpus ravdess,emodb --regression --model SVR --protocol group-6
    python evaluation.py --corpus custom --protocol standard --model classic --json > result.json

The table's first line is the protocol. The pictures go to `results/`, unless --pictures says where.
From Python:

    from evaluation import compare, evaluate

    first = evaluate(SVC(), "loso", emodb=True, tess_ravdess=False, custom_db=False)
    second = evaluate(MLPClassifier(), "loso", emodb=True, tess_ravdess=False, custom_db=False)
    print(first, compare(first, second), sep="\\n")
    first.to_frame(), first.recalls(), first.draw_confusion_matrix()
"""

import argparse
import hashlib
import html
import json
import numbers
import re
import sys
import textwrap
import warnings
from dataclasses import asdict, dataclass
from functools import cached_property, partial
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from sklearn.base import is_regressor
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold
from tqdm.auto import tqdm

from audio import AudioError, AudioWarning, load_audio
from create_csv import COLUMNS, CORPUS_GROUPS, list_clips
from data_extractor import DEFAULT_EMOTIONS, AudioExtractor, speaker_groups
from parameters import CLASSIFIERS, REGRESSORS
from utils import check_name, emotion_scale, replacing

CONFIDENCE = 95  # percent
N_RESAMPLES = 2000
N_BINS = 15  # of confidence, as in Guo et al. 2017
N_RANDOM_FOLDS = 10  # trains on as large a share as leaving out one of EMO-DB's ten speakers
NAMED = 10  # speakers, files or sentences that a message names
NO_INTERVAL = "one speaker, no interval"
ALIGNED = ' style="text-align: left"'  # notebooks put everything to the right

TITLES = {
    "uar": "UAR",
    "accuracy": "accuracy",
    "macro_f1": "macro F1",
    "mae": "MAE",
    "ccc": "CCC",
}


class Protocol(NamedTuple):
    """How training and test are told apart."""

    independent: bool  # claims that no test speaker was heard in training
    says: str


PROTOCOLS = {
    "standard": Protocol(False, ""),  # `describe_split` says it
    "loso": Protocol(
        True,
        "leave one speaker out (loso) of {corpora}: {n_clips} clips of {n_speakers} speakers, each "
        "scored by a model that never heard its speaker",
    ),
    "group-K": Protocol(
        True,
        "{name}, {n_folds} folds of speakers of {corpora}: {n_clips} clips of {n_speakers} "
        "speakers, each scored by a model that never heard its speaker",
    ),
    "cross-corpus": Protocol(
        True,
        "cross-corpus: trained on {n_train} clips of {n_train_speakers} speakers of "
        "{train_corpora}, tested on {n_clips} clips of {n_speakers} of {corpora}",
    ),
    "random": Protocol(
        False,
        "random, {n_folds} folds of clips of {corpora}: {n_clips} clips of {n_speakers} speakers, "
        "who are heard in training too; it flatters, and only shows what leakage is worth",
    ),
}

EMODB_MALE = ("03", "10", "11", "12", "15")
_SENTENCE = {
    "ravdess": re.compile(r"(?:\d\d-){4}(\d\d)-"),
    "tess": re.compile(r".*_([^_]+)_[^_]+$"),
    "emodb": re.compile(r"\d\d([a-z]\d\d)"),
}


# scores and their intervals


def confusion_by_speaker(y_true, y_pred, groups, labels):
    """Count predictions, a confusion matrix for each speaker.

    Returns
    -------
    ndarray (n_speakers, n_labels, n_labels) int
        [s, i, j] clips of speaker s with label i were called j; speakers are sorted.

    Examples
    --------
    >>> confusion_by_speaker(["sad", "sad"], ["sad", "happy"], ["a", "b"], ["sad", "happy"])[1]
    array([[0, 1],
           [0, 0]])
    """
    index = {label: i for i, label in enumerate(labels)}
    speakers, s = np.unique(groups, return_inverse=True)
    counts = np.zeros((len(speakers), len(labels), len(labels)), dtype=int)
    np.add.at(counts, (s, [index[t] for t in y_true], [index[p] for p in y_pred]), 1)
    return counts


def classification_measures(counts):
    """Scores of confusion matrices.

    Parameters
    ----------
    counts : ndarray (..., n_labels, n_labels)
        Rows are true labels, columns predicted ones.

    Returns
    -------
    dict of str to ndarray
        uar, accuracy, macro_f1 (...): a label without clips doesn't count for UAR, and one that
        was neither there nor predicted not for macro F1; recall (..., n_labels); confusion
        (..., n_labels, n_labels), the shares of each row. What has no clips is NaN.

    Examples
    --------
    >>> scores = classification_measures(np.array([[3, 1], [0, 2]]))
    >>> float(scores["uar"]), scores["recall"]
    (0.875, array([0.75, 1.  ]))
    """
    hits = np.diagonal(counts, axis1=-2, axis2=-1)
    true, called = counts.sum(axis=-1), counts.sum(axis=-2)
    with np.errstate(invalid="ignore"):
        recall, f1 = hits / true, 2 * hits / (true + called)
        confusion = counts / true[..., np.newaxis]
    return {
        "uar": np.nanmean(recall, axis=-1),
        "accuracy": hits.sum(axis=-1) / true.sum(axis=-1),
        "macro_f1": np.nanmean(f1, axis=-1),
        "recall": recall,
        "confusion": confusion,
    }


def moments_by_speaker(y_true, y_pred, groups):
    """Sum up targets and predictions of each speaker, as `regression_measures` needs them.

    Returns
    -------
    ndarray (n_speakers, 7)
        Sums of 1, |p - t|, t, p, t², p², t p over a speaker's clips; speakers are sorted.
    """
    t, p = np.asarray(y_true, dtype=float), np.asarray(y_pred, dtype=float)
    speakers, s = np.unique(groups, return_inverse=True)
    sums = np.zeros((len(speakers), 7))
    np.add.at(sums, s, np.stack([np.ones_like(t), abs(p - t), t, p, t * t, p * p, t * p], axis=1))
    return sums


def regression_measures(sums):
    """Scores of targets and predictions, from their moments.

    Parameters
    ----------
    sums : ndarray (..., 7)
        See `moments_by_speaker`.

    Returns
    -------
    dict of str to ndarray (...)
        mae, the mean absolute error, in units of the scale; ccc, the concordance correlation
        (Lin 1989, A Concordance Correlation Coefficient to Evaluate Reproducibility): 1 where all
        predictions are right, 0 for a constant, NaN where targets and predictions are one constant.

    Examples
    --------
    >>> sums = moments_by_speaker([1, 2, 3], [2, 3, 4], ["a", "a", "a"])
    >>> {name: round(float(value[0]), 3) for name, value in regression_measures(sums).items()}
    {'mae': 1.0, 'ccc': 0.571}
    """
    n, error, t, p, tt, pp, tp = np.moveaxis(sums, -1, 0)
    variances = (tt - t * t / n) / n + (pp - p * p / n) / n
    with np.errstate(invalid="ignore"):
        ccc = 2 * (tp - t * p / n) / n / (variances + ((t - p) / n) ** 2)
    return {"mae": error / n, "ccc": ccc}


def resample_speakers(n_speakers, random_state=0):
    """How often each speaker is drawn in each resample: ndarray (N_RESAMPLES, n_speakers)."""
    rng = np.random.default_rng(random_state)
    drawn = rng.multinomial(n_speakers, np.full(n_speakers, 1 / n_speakers), size=N_RESAMPLES)
    return drawn.astype(float)  # numpy multiplies matrices of integers slowly


def percentiles(draws):
    """The bounds of the 95 % interval of resampled values.

    Parameters
    ----------
    draws : ndarray (n_resamples, ...)
        NaN where a resample has no value.

    Returns
    -------
    ndarray (2, ...)
    """
    tail = (100 - CONFIDENCE) / 2
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "All-NaN slice")  # an emotion without a single clip
        return np.nanpercentile(draws, [tail, 100 - tail], axis=0)


def with_intervals(tallies, measures, random_state=0):
    """Scores over all speakers, each with its 95 % interval, resampled by speaker.

    Clips of one speaker resemble each other, so whole speakers are drawn (bootstrap by clusters,
    Field and Welsh 2007): the interval says how the score varies with who is heard. A score that
    rests on one speaker has none.

    Parameters
    ----------
    tallies : ndarray (n_speakers, ...)
        What adds up over clips, see `confusion_by_speaker` and `moments_by_speaker`.
    measures : callable
        `classification_measures` or `regression_measures`.
    random_state : int

    Returns
    -------
    dict of str to ndarray (3, ...)
        Value, lower and upper bound; the bounds are NaN where they can't be estimated.
    """
    total = tallies.sum(axis=0)
    values = measures(total)
    if len(tallies) == 1:
        none = {name: np.full_like(value, np.nan) for name, value in values.items()}
        return {name: np.stack([values[name], none[name], none[name]]) for name in values}
    drawn = measures(np.tensordot(resample_speakers(len(tallies), random_state), tallies, axes=1))
    without_one = measures(total - tallies)
    rests_on_one = {name: np.isnan(value).any(axis=0) for name, value in without_one.items()}
    return {
        name: np.stack([value, *np.where(rests_on_one[name], np.nan, percentiles(drawn[name]))])
        for name, value in values.items()
    }


def score(y_true, y_pred, groups, labels=None, random_state=0):
    """Accuracy and UAR, or the errors of numbers, with 95 % intervals, resampled by speaker.

    Parameters
    ----------
    y_true, y_pred, groups : array (n_clips,)
    labels : list, optional
        The classes; without them y_true and y_pred are numbers.
    random_state : int

    Returns
    -------
    dict of str to float or None
        accuracy, accuracy_low, accuracy_high, uar, uar_low, uar_high; of numbers mae, ..., ccc,
        ... (see `regression_measures`). A bound that can't be estimated (see `with_intervals`) is
        None.
    """
    if labels is None:
        names, measures = ("mae", "ccc"), regression_measures
        tallies = moments_by_speaker(y_true, y_pred, groups)
    else:
        names, measures = ("accuracy", "uar"), classification_measures
        tallies = confusion_by_speaker(y_true, y_pred, groups, labels)
    values = with_intervals(tallies, measures, random_state)
    return _without_nan(_flat({name: values[name] for name in names}))


def _flat(values):
    """Turn name to (value, low, high) into name, name_low, name_high."""
    return {
        f"{name}{ending}": float(number)
        for name, triple in values.items()
        for ending, number in zip(("", "_low", "_high"), triple, strict=True)
    }


def _without_nan(values):
    return {name: None if np.isnan(number) else number for name, number in values.items()}


def reliability(confidence, right, n_bins=N_BINS):
    """How often predictions of each confidence are right.

    Parameters
    ----------
    confidence : array (n_clips,)
        Probability of the predicted emotion, 0 to 1.
    right : array (n_clips,) of bool
        Whether it was the true one.
    n_bins : int
        Bins of equal width; a bin holds its upper edge.

    Returns
    -------
    DataFrame (n_bins,)
        Columns low, high, n_clips, confidence, accuracy; the last two are NaN in an empty bin.

    Examples
    --------
    >>> reliability([0.4, 0.9, 1.0], [False, True, False], n_bins=2)
       low  high  n_clips  confidence  accuracy
    0  0.0   0.5        1        0.40       0.0
    1  0.5   1.0        2        0.95       0.5
    """
    confidence, right = np.asarray(confidence, dtype=float), np.asarray(right, dtype=float)
    edges = np.linspace(0, 1, n_bins + 1)
    bins = np.digitize(confidence, edges[1:-1], right=True)
    n_clips, confidences, hits = (
        np.bincount(bins, weights=weights, minlength=n_bins)
        for weights in (np.ones_like(confidence), confidence, right)
    )
    with np.errstate(invalid="ignore"):
        columns = {"confidence": confidences / n_clips, "accuracy": hits / n_clips}
    shape = {"low": edges[:-1], "high": edges[1:], "n_clips": n_clips.astype(int)}
    return pd.DataFrame(shape | columns)


def calibration_error(confidence, right, n_bins=N_BINS):
    """Expected calibration error: by how much confidence and accuracy differ, over the clips.

    Guo et al. 2017, On Calibration of Modern Neural Networks, section 2.

    Parameters
    ----------
    confidence, right, n_bins
        See `reliability`.

    Returns
    -------
    float
        From 0, where 70 % of what is said with 70 % confidence is right, to 1.

    Examples
    --------
    >>> calibration_error([0.75, 0.75, 0.75, 0.75], [True, True, True, False])
    0.0
    """
    table = reliability(confidence, right, n_bins)
    gaps = (table["confidence"] - table["accuracy"]).abs()
    return float((gaps * table["n_clips"]).sum() / table["n_clips"].sum())


# folds


def speaker_folds(y, groups, n_splits=5, random_state=0):
    """Cross-validation folds in which no speaker is on both sides.

    Parameters
    ----------
    y : array (n_clips,)
        Labels, which the folds balance as far as whole speakers allow.
    groups : array (n_clips,)
        Speakers.
    n_splits : int
        At most; no more than there are speakers, or clips of the rarest label.
    random_state : int

    Returns
    -------
    list of (train, test)
        Pairs of index arrays.

    Raises
    ------
    ValueError
        If there is only one speaker.

    Examples
    --------
    >>> folds = speaker_folds(["sad", "happy"] * 4, ["a", "a", "b", "b", "c", "c", "d", "d"], 2)
    >>> [len(test) for train, test in folds]
    [4, 4]
    """
    y, groups = np.asarray(y), np.asarray(groups)
    _check_two_speakers(groups)
    n_groups, rarest = len(np.unique(groups)), min(np.unique(y, return_counts=True)[1])
    n_splits = min(n_splits, n_groups, max(2, rarest))
    # strings stand for the classes: on a regression scale the targets are few numbers
    splitter = StratifiedGroupKFold(n_splits, shuffle=True, random_state=random_state)
    return list(splitter.split(np.zeros(len(y)), y.astype(str), groups))


def _check_two_speakers(groups):
    if len(set(groups)) < 2:
        raise ValueError(
            "Keeping speakers apart takes at least two of them, and all clips here are of "
            f"{groups[0]!r}. Add recordings of another voice."
        )


class Fold(NamedTuple):
    """One training and what it is tested on: rows of the clips, by number."""

    name: str
    train: np.ndarray
    test: np.ndarray


def make_folds(
    protocol,
    clips,
    *,
    balance=False,
    train_corpora=None,
    test_corpora=None,
    random_state=0,
):
    """Cut clips into training and test as a protocol wants it.

    Parameters
    ----------
    protocol : str
        "standard": the desc_files' partitions. "loso": each speaker in turn. "group-K", for
        example "group-6": the speakers of each corpus, sorted, are dealt out to K folds, so that
        fold i tests on speakers[i::K]; nothing is drawn. "cross-corpus": some corpora against
        others. "random": ten folds of clips, stratified by emotion, whoever speaks.
    clips : DataFrame (n_clips,)
        Columns emotion, speaker, corpus, and partition for "standard".
    balance : bool
        Draw equally many clips of each emotion in both parts of "standard", the same ones as
        `data_extractor.load_data` draws.
    train_corpora, test_corpora : list of str, optional
        For "cross-corpus", which needs test_corpora; default for training: all the others.
    random_state : int
        Seed of what is drawn.

    Returns
    -------
    list of Fold

    Raises
    ------
    ValueError
        For an unknown protocol or corpus, or if the clips can't be cut like that.

    Examples
    --------
    >>> clips = pd.DataFrame({"emotion": "sad", "speaker": list("aabc"), "corpus": "custom"})
    >>> [fold.test.tolist() for fold in make_folds("group-2", clips)]
    [[0, 1, 3], [2]]
    """
    kind, n_folds = _parse_protocol(protocol)
    if kind != "cross-corpus" and (train_corpora or test_corpora):
        raise ValueError(f"train_corpora and test_corpora are for 'cross-corpus', not {protocol!r}")
    return {
        "standard": lambda: _standard_folds(clips, balance, random_state),
        "loso": lambda: _loso_folds(clips),
        "group-K": lambda: _group_folds(clips, n_folds),
        "cross-corpus": lambda: _corpus_folds(clips, train_corpora, test_corpora),
        "random": lambda: _random_folds(clips, random_state),
    }[kind]()


def _parse_protocol(protocol):
    """The key of `PROTOCOLS`, and K where it is group-K."""
    match = re.fullmatch(r"group-(\d+)", str(protocol))
    if match and int(match[1]) > 1:
        return "group-K", int(match[1])
    if match or protocol == "group-K":
        raise ValueError(f"{protocol!r}: K is a number of folds, 2 or more; e.g. group-6.")
    return check_name(protocol, PROTOCOLS, "protocol"), None


def _standard_folds(clips, balance, random_state):
    sides = [np.flatnonzero(clips["partition"] == part) for part in ("train", "test")]
    for part, rows in zip(("train", "test"), sides, strict=True):
        if not len(rows):
            raise ValueError(f"There are no {part} clips; choose another protocol, e.g. 'loso'.")
    if balance:
        drawer = AudioExtractor(balance=True, shuffle=False, random_state=random_state)
        emotions = clips["emotion"].to_numpy()
        sides = [rows[drawer.draw(emotions[rows])] for rows in sides]
    return [Fold("test", *sides)]


def _loso_folds(clips):
    groups = speaker_groups(clips)
    _check_two_speakers(groups)
    return [_held_out(speaker, groups == speaker) for speaker in sorted(set(groups.tolist()))]


def _held_out(name, is_test):
    return Fold(name, np.flatnonzero(~is_test), np.flatnonzero(is_test))


def _group_folds(clips, n_folds):
    largest = clips.groupby("corpus")["speaker"].nunique().max()
    if n_folds > largest:
        raise ValueError(
            f"group-{n_folds} needs a corpus of at least {n_folds} speakers, and here the largest "
            f"has {largest}. Choose fewer folds, or 'loso'."
        )
    groups, fold_of = speaker_groups(clips), {}
    for _, rows in clips.groupby("corpus"):
        speakers = sorted(set(speaker_groups(rows)))
        fold_of |= {speaker: i % n_folds for i, speaker in enumerate(speakers)}
    folds = np.array([fold_of[speaker] for speaker in groups])
    return [_held_out(f"{i + 1} of {n_folds}", folds == i) for i in range(n_folds)]


def _corpus_folds(clips, train_corpora, test_corpora):
    there = sorted(set(clips["corpus"]))
    if not test_corpora:
        raise ValueError(f"cross-corpus needs test_corpora, some of {', '.join(there)}.")
    train_corpora = train_corpora or [corpus for corpus in there if corpus not in test_corpora]
    for name in [*train_corpora, *test_corpora]:
        check_name(name, there, "corpus")
    if not train_corpora:
        raise ValueError("cross-corpus needs another corpus to train on; name it, or add it.")
    sides = [np.flatnonzero(clips["corpus"].isin(names)) for names in (train_corpora, test_corpora)]
    return [Fold(", ".join(test_corpora), *sides)]


def _random_folds(clips, random_state):
    rarest = clips["emotion"].value_counts().min()
    if rarest < 2:
        raise ValueError("random needs at least two clips of each emotion; add clips.")
    n_folds = min(N_RANDOM_FOLDS, rarest)
    splitter = StratifiedKFold(n_folds, shuffle=True, random_state=random_state)
    sides = splitter.split(np.zeros(len(clips)), clips["emotion"].to_numpy(dtype=str))
    return [Fold(f"{i} of {n_folds}", *side) for i, side in enumerate(sides, start=1)]


def map_labels(clips, label_map):
    """Give the clips of several corpora common labels.

    Parameters
    ----------
    clips : DataFrame (n_clips,)
        Column emotion.
    label_map : dict of str to (str or None)
        Old label to the common one, None to leave its clips out. Others keep their labels.

    Returns
    -------
    DataFrame
        Without what was left out.

    Raises
    ------
    ValueError
        For a label that no clip has.

    Examples
    --------
    >>> clips = pd.DataFrame({"emotion": ["calm", "sad", "boredom"]})
    >>> map_labels(clips, {"calm": "neutral", "boredom": None})["emotion"].tolist()
    ['neutral', 'sad']
    """
    label_map = label_map or {}
    there = sorted(set(clips["emotion"]))
    for label in label_map:
        check_name(label, there, "label to map")
    common = clips["emotion"].map(lambda label: label_map.get(label, label))
    return clips.assign(emotion=common)[common.notna()].reset_index(drop=True)


def _check_same_labels(clips, fold):
    """Both sides of a cross-corpus fold must have the same emotions."""
    train, test = (set(clips["emotion"].iloc[rows]) for rows in (fold.train, fold.test))
    if train == test:
        return
    only = [
        f"only {side} has {', '.join(sorted(labels))}"
        for side, labels in (("training", train - test), ("test", test - train))
        if labels
    ]
    example = min(train ^ test)
    raise ValueError(
        f"The labels of the corpora differ: {'; '.join(only)}. Pass a label_map that gives each of "
        f"them a common label, or None to leave it out, e.g. {{{example!r}: None}}."
    )


def _check_trainable(clips, folds, emotions):
    """Every fold must have every emotion to train on."""
    labels = clips["emotion"].to_numpy()
    for fold in folds:
        missing = [emotion for emotion in emotions if emotion not in labels[fold.train]]
        if missing:
            raise ValueError(
                f"Fold {fold.name!r} has no clips of {', '.join(missing)} to train on. Leave such "
                "an emotion out, or add recordings of it by other speakers."
            )


# leaks


class LeakError(ValueError):
    """Training and test share what the protocol says they don't."""


@dataclass(frozen=True)
class Leaks:
    """What is on both sides of a split; prints as text, true if a voice or a recording is.

    Attributes
    ----------
    speakers : tuple of str
        corpus/speaker.
    audio : tuple of (str, str)
        A training file, and the test file with the same samples.
    sentences : tuple of str
        corpus/sentence.
    """

    speakers: tuple = ()
    audio: tuple = ()
    sentences: tuple = ()

    def __bool__(self):
        return bool(self.speakers or self.audio)

    def __or__(self, other):
        """What either has."""
        fields = zip(asdict(self).values(), asdict(other).values(), strict=True)
        return Leaks(*(tuple(sorted({*ours, *theirs})) for ours, theirs in fields))

    def lines(self):
        """What was found, one line each: list of str."""
        both = "on both sides of the split"
        found = {
            f"the same speaker {both}": self.speakers,
            f"identical audio {both}": [" = ".join(pair) for pair in self.audio],
            f"the same sentence {both} (acted corpora share theirs)": self.sentences,
        }
        lines = [f"{what}: {_listed(names)}" for what, names in found.items() if names]
        return lines or [f"no speaker, recording or known sentence is {both}"]

    def __str__(self):
        return "; ".join(self.lines())

    def __repr__(self):
        return f"<Leaks: {self}>"


def _listed(names):
    """Join names, the first ones if there are many, and say how many there are."""
    more = f", ... ({len(names)} in all)" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


def find_leaks(train_rows, test_rows):
    """Find speakers, recordings and sentences that are on both sides of a split.

    Recordings are compared by their samples at 16 kHz, so that a copy is found under another name,
    another speaker or in another lossless format. Sentences are known for RAVDESS, TESS and EMO-DB,
    from the file names.

    Parameters
    ----------
    train_rows, test_rows : DataFrame
        Columns path, speaker, corpus. A column digest (see `audio_digests`) spares the reading.

    Returns
    -------
    Leaks
        A file that can't be read is like no other.

    Examples
    --------
    >>> train = pd.DataFrame({"path": ["03a01Fa.wav"], "speaker": ["03"], "corpus": ["emodb"]})
    >>> test = pd.DataFrame({"path": ["08a01Na.wav"], "speaker": ["08"], "corpus": ["emodb"]})
    >>> print(find_leaks(train, test))
    the same sentence on both sides of the split (acted corpora share theirs): emodb/a01
    """
    train_rows, test_rows = (
        rows if "digest" in rows else rows.assign(digest=audio_digests(rows["path"]))
        for rows in (train_rows, test_rows)
    )
    heard = train_rows.dropna(subset="digest").set_index("digest")["path"].to_dict()
    again = test_rows[test_rows["digest"].isin(list(heard))]
    return Leaks(
        tuple(sorted(set(speaker_groups(train_rows)) & set(speaker_groups(test_rows)))),
        tuple(sorted((heard[d], p) for d, p in zip(again["digest"], again["path"], strict=True))),
        tuple(sorted(_sentences(train_rows) & _sentences(test_rows))),
    )


def _sentences(rows):
    spoken = {(sentence(p, c), c) for p, c in zip(rows["path"], rows["corpus"], strict=True)}
    return {f"{corpus}/{what}" for what, corpus in spoken if what}


def sentence(path, corpus):
    """Read the sentence (of TESS, the word) off a file name.

    Parameters
    ----------
    path : path
    corpus : str

    Returns
    -------
    str or None
        None where the name doesn't tell.

    Examples
    --------
    >>> sentence("15a04Nc.wav", "emodb"), sentence("25_01_01_01_back_angry.wav", "tess")
    ('a04', 'back')
    >>> sentence("03-01-04-01-02-01-12_sad.wav", "ravdess")
    '02'
    """
    form = _SENTENCE.get(corpus)
    match = form.match(Path(path).stem) if form else None
    return match[1] if match else None


def audio_digests(paths, n_jobs=-1, verbose=0):
    """Hash what recordings sound like: their samples at 16 kHz with 16 bits.

    Parameters
    ----------
    paths : list of path
    n_jobs : int
        Threads, as joblib counts them.
    verbose : int
        0 draws no progress bar.

    Returns
    -------
    list of (str or None)
        None for a file that can't be read.
    """
    paths = list(paths)
    digests = Parallel(n_jobs, prefer="threads", return_as="generator")(
        delayed(_digest)(path) for path in paths
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AudioWarning)  # of silence
        return list(
            tqdm(digests, "Looking for leaks", len(paths), unit="clip", disable=not verbose)
        )


def _digest(path):
    try:
        y = load_audio(path)
    except AudioError:
        return None
    samples = np.clip(np.round(y * 32768), -32768, 32767).astype("<i2")
    return hashlib.sha256(samples.tobytes()).hexdigest()[:32]


def _with_digests(clips, n_jobs, verbose):
    """The clips that can be read, with a column digest; the others are named in a warning."""
    clips = clips.assign(digest=audio_digests(clips["path"], n_jobs, verbose))
    unread = clips.loc[clips["digest"].isna(), "path"].tolist()
    if unread:
        warnings.warn(
            f"{len(unread)} clip(s) left out with their labels, they can't be read: "
            f"{_listed(unread)}",
            stacklevel=3,
        )
    return clips.dropna(subset="digest").reset_index(drop=True)


def _guard(protocol, clips, folds):
    """The leaks of all folds together; a LeakError where the protocol claims there are none."""
    leaks = Leaks()
    for fold in folds:
        leaks |= find_leaks(clips.iloc[fold.train], clips.iloc[fold.test])
    if leaks and PROTOCOLS[_parse_protocol(protocol)[0]].independent:
        found = Leaks(leaks.speakers, leaks.audio)
        raise LeakError(
            f"{protocol} promises that training and test share no speaker and no recording, but: "
            f"{found}. Take the copies out, give each voice one name, or choose corpora that "
            "don't overlap."
        )
    return leaks


# evaluating


def evaluate(
    system,
    protocol="loso",
    *,
    calibrate=0,
    train_corpora=None,
    test_corpora=None,
    label_map=None,
    name=None,
    random_state=0,
    verbose=1,
    **options,
):
    """Measure how well a recognizer does on voices that it has (or hasn't) heard.

    For every fold a fresh recognizer is fitted on the fold's training clips and nothing else:
    scaling, selection, tuning, calibration and early stopping never see a held-out clip. Before
    the first one, a leak guard compares both sides of every fold (see `find_leaks`).

    Parameters
    ----------
    system : EmotionRecognizer or scikit-learn estimator
        It is not changed, and what it has learned is not used. An estimator is wrapped as
        EmotionRecognizer(system, balance=False, **options); a regressor is scored as one.
    protocol : str
        standard, loso, group-K (a number for K), cross-corpus or random; see `make_folds`. All
        test clips count, except that in "standard" a recognizer with balance=True draws as many
        clips of each emotion, by its own seed, as its `load_data` does.
    calibrate : int or "all"
        Adapt to each test voice (`recognizer.calibrate`) with this many of its other clips in the
        fold, unlabelled: the clips are shuffled and cut in blocks, and each block is predicted
        after calibration with the clips that follow it, the last block with the first clips. So
        each is scored once, and none is in its own handful. A voice with fewer clips gives all the
        others. "all" are all clips of the voice, the scored one included (transductive, as in much
        of the literature). 0: no calibration.
    train_corpora, test_corpora : list of str, optional
        For "cross-corpus"; training defaults to all corpora that aren't tested on.
    label_map : dict of str to (str or None), optional
        For "cross-corpus"; see `map_labels`.
    name : str, optional
        What to call the system; default its model's class.
    random_state : int
        Seed of the random folds, the calibration blocks and the bootstrap.
    verbose : int
        0 draws no progress bars.
    **options
        Of the EmotionRecognizer that an estimator is wrapped in: emotions, features, emodb, ...

    Returns
    -------
    ClassificationEvaluation or RegressionEvaluation

    Raises
    ------
    LeakError
        If loso, group-K or cross-corpus have a speaker or identical audio on both sides.
    ValueError
        For an unknown name, clips that can't be cut as the protocol wants, corpora whose labels
        differ, an emotion that a fold can't be trained on, or calibrate without
        normalize="speaker".

    Warns
    -----
    UserWarning
        Names the files that were left out because they can't be read.

    Examples
    --------
    >>> from sklearn.svm import SVC
    >>> result = evaluate(SVC(), "loso", emodb=True, tess_ravdess=False)  # doctest: +SKIP
    >>> print(result)  # doctest: +SKIP
    """
    kind, _ = _parse_protocol(protocol)
    _check_calibrate(calibrate)
    if label_map and kind != "cross-corpus":
        raise ValueError(f"label_map is for 'cross-corpus', not {protocol!r}.")
    rec = _recognizer(system, options)
    chosen = hasattr(rec, "comparison_")  # its model, among others, by clips that folds test on
    clips = _with_digests(rec.untrained(verbose=0).clips(), rec.n_jobs, verbose)
    clips = map_labels(clips, label_map)
    folds = make_folds(
        protocol,
        clips,
        balance=rec.balance,
        train_corpora=train_corpora,
        test_corpora=test_corpora,
        random_state=rec.random_state if kind == "standard" else random_state,
    )
    if kind == "cross-corpus":
        _check_same_labels(clips, folds[0])
        rec = _with_common_emotions(rec, label_map, clips.iloc[folds[0].train])
    _check_trainable(clips, folds, rec.emotions)
    leaks = _guard(protocol, clips, folds)
    result = ClassificationEvaluation if rec.classification else RegressionEvaluation
    return result(
        _run(rec, chosen, clips, folds, protocol, calibrate, random_state, verbose),
        rec.emotions,
        protocol=_describe(protocol, clips, folds, calibrate, label_map),
        protocol_name=protocol,
        model=name or ("best of each fold" if chosen else type(rec.model).__name__),
        leaks=leaks,
        random_state=random_state,
    )


def _recognizer(system, options):
    """The recognizer itself, or one around an estimator."""
    if hasattr(system, "untrained") and not isinstance(system, type):
        if options:
            raise TypeError(
                f"{', '.join(options)}: options are for a bare estimator; this is a recognizer, "
                "set them where you make it."
            )
        return system
    if not hasattr(system, "get_params") or isinstance(system, type):
        raise TypeError(
            "evaluate() takes an EmotionRecognizer or a scikit-learn estimator (not its class or "
            f"its name); got {system!r}"
        )
    from emotion_recognition import EmotionRecognizer

    defaults = {"balance": False, "classification": not is_regressor(system)}
    return EmotionRecognizer(system, **(defaults | options))


def _run(rec, chosen, clips, folds, protocol, calibrate, random_state, verbose):
    """Fit (and choose the model) and predict fold by fold: the test clips with predictions."""
    heard = []
    for fold in tqdm(folds, desc=protocol, unit="fold", disable=not verbose):
        fitted = rec.untrained(verbose=0).fit(clips.iloc[fold.train][COLUMNS])
        if chosen:
            fitted.determine_best_model()
        rows = clips.iloc[fold.test][COLUMNS].assign(fold=fold.name)
        heard.append(_hear(fitted, rows, calibrate, random_state))
    return pd.concat(heard).sort_index(kind="stable")


def _check_calibrate(calibrate):
    is_count = isinstance(calibrate, numbers.Integral) and not isinstance(calibrate, bool)
    if calibrate != "all" and not (is_count and calibrate >= 0):
        raise ValueError(f"calibrate is a number of clips, or 'all'; got {calibrate!r}.")


def _with_common_emotions(rec, label_map, rows):
    """The recognizer, for the labels that are left, in its order."""
    mapped = [(label_map or {}).get(emotion, emotion) for emotion in rec.emotions]
    left = [emotion for emotion in dict.fromkeys(mapped) if emotion in set(rows["emotion"])]
    return rec if left == list(rec.emotions) else rec.untrained(emotions=left)


def _hear(fitted, rows, calibrate, random_state):
    """Predict the test clips of a fold: the rows with their predictions."""
    if calibrate == 0:
        return _predict(fitted, rows)
    heard = []
    for _, own in rows.groupby(speaker_groups(rows)):
        paths = own["path"].to_numpy()
        for block, handful in calibration_blocks(len(own), calibrate, random_state):
            adapted = fitted.calibrate(paths[handful].tolist()) if len(handful) else fitted
            heard.append(_predict(adapted, own.iloc[block]))
    return pd.concat(heard)


def calibration_blocks(n_clips, n, random_state=0):
    """Which clips of a voice are predicted together, and which ones calibrate for them.

    Parameters
    ----------
    n_clips : int
        Clips of the voice.
    n : int or "all"
        See `evaluate`.
    random_state : int

    Returns
    -------
    list of (block, handful)
        Index arrays. Over all blocks each clip occurs once, and every handful has n clips, or all
        that there are besides the block.

    Examples
    --------
    >>> [(len(block), len(handful)) for block, handful in calibration_blocks(25, 10)]
    [(10, 10), (10, 10), (5, 10)]
    >>> [(len(block), len(handful)) for block, handful in calibration_blocks(12, 10)]
    [(2, 10), (2, 10), (2, 10), (2, 10), (2, 10), (2, 10)]
    """
    order = np.random.default_rng(random_state).permutation(n_clips)
    if n == "all":
        return [(order, order)]
    size = max(1, min(n, n_clips - n))
    blocks = []
    for start in range(0, n_clips, size):
        block = order[start : start + size]
        blocks.append((block, np.roll(order, -start)[len(block) :][:n]))
    return blocks


def _predict(recognizer, rows):
    """The rows with their predictions, and with probabilities where there are any."""
    paths = rows["path"].tolist()
    rows = rows.assign(
        gender=[gender(c, s) for c, s in zip(rows["corpus"], rows["speaker"], strict=True)]
    )
    if not recognizer.classification:
        scale = emotion_scale(recognizer.emotions)
        return rows.assign(target=rows["emotion"].map(scale), predicted=recognizer.predict(paths))
    probabilities = pd.DataFrame(recognizer.predict_proba(paths), index=rows.index)
    probabilities = probabilities.reindex(columns=list(recognizer.emotions), fill_value=0.0)
    labels = probabilities.sort_index(axis=1).idxmax(axis=1)  # as `predict`, without hearing anew
    rows = rows.assign(predicted=labels, confidence=probabilities.max(axis=1))
    return rows.join(probabilities.add_prefix("p_"))


def gender(corpus, speaker):
    """The speaker's gender as the corpora state it: "female", "male" or "unknown".

    Examples
    --------
    >>> gender("ravdess", "01"), gender("emodb", "16"), gender("custom", "v01")
    ('male', 'female', 'unknown')
    """
    if corpus == "ravdess" and speaker.isdigit():
        return "male" if int(speaker) % 2 else "female"
    if corpus == "emodb":
        return "male" if speaker in EMODB_MALE else "female"
    return "female" if corpus == "tess" else "unknown"


# what a score is measured on


def describe_split(train_rows, test_rows, train_groups, test_groups):
    """Say in one line how a score came about: corpora, clips, speakers, who is on both sides.

    Parameters
    ----------
    train_rows, test_rows : DataFrame
        Columns path, emotion, speaker, corpus.
    train_groups, test_groups : array of str
        Their speakers over all corpora.

    Returns
    -------
    str
    """
    corpora = sorted(set(train_rows["corpus"]) | set(test_rows["corpus"]))
    shared = sorted(set(train_groups) & set(test_groups))
    line = (
        f"standard split of {', '.join(corpora)}: trained on {len(train_rows)} clips of "
        f"{len(set(train_groups))} speakers, tested on {len(test_rows)} clips of "
        f"{len(set(test_groups))}"
    )
    if shared:
        return f"{line}; on both sides: {', '.join(shared)}"
    return f"{line}, none of them heard in training"


def _describe(protocol, clips, folds, calibrate, label_map):
    """The protocol in one line."""
    kind, _ = _parse_protocol(protocol)
    train = clips.iloc[folds[0].train]
    test = clips.iloc[np.concatenate([fold.test for fold in folds])]
    if kind == "standard":
        line = describe_split(train, test, speaker_groups(train), speaker_groups(test))
    else:
        line = PROTOCOLS[kind].says.format(
            name=protocol,
            corpora=", ".join(sorted(set(test["corpus"]))),
            n_clips=len(test),
            n_speakers=len(set(speaker_groups(test))),
            n_folds=len(folds),
            train_corpora=", ".join(sorted(set(train["corpus"]))),
            n_train=len(train),
            n_train_speakers=len(set(speaker_groups(train))),
        )
    return line + _describe_labels(label_map) + _describe_calibration(calibrate)


def _describe_labels(label_map):
    changes = [f"{old} as {new}" if new else f"without {old}" for old, new in
               (label_map or {}).items()]  # fmt: skip
    return f"; labels: {', '.join(changes)}" if changes else ""


def _describe_calibration(calibrate):
    if calibrate == "all":
        return (
            "; calibrated to each voice with all its unlabelled clips, the scored one included "
            "(transductive)"
        )
    if calibrate:
        return f"; calibrated to each voice with {calibrate} other unlabelled clips of it"
    return ""


# results


class Evaluation:
    """What an evaluation found: prints as a table, whose first line is the protocol.

    Parameters
    ----------
    clips : DataFrame (n_clips,)
        path, emotion, speaker, corpus, gender, fold, predicted; for classification confidence (the
        probability of the predicted emotion) and p_<emotion>; for regression target.
    emotions : list of str
        In the order of tables and pictures.
    protocol : str
        One line: which corpora, how split, how many speakers and clips.
    protocol_name : str
        As `evaluate` takes it.
    model : str
        What to call the system.
    leaks : Leaks
        What the leak guard found.
    random_state : int
        Seed of the bootstrap.
    """

    main_measure = ""  # what speakers are drawn by, and systems compared by
    measure_names = ()
    higher_is_better = True

    def __init__(self, clips, emotions, *, protocol, protocol_name, model, leaks=Leaks(),
                 random_state=0):  # fmt: skip
        self.clips = clips
        self.emotions = list(emotions)
        self.protocol = protocol
        self.protocol_name = protocol_name
        self.model = model
        self.leaks = leaks
        self.random_state = random_state

    # numbers

    def tallies(self):
        """What the scores are computed from, for each speaker: ndarray (n_speakers, ...)."""
        raise NotImplementedError

    @staticmethod
    def measures(tallies):
        """The scores (...) of tallies added up over speakers: dict of str to ndarray."""
        raise NotImplementedError

    def chance(self):
        """The main measure of whoever doesn't listen: float."""
        raise NotImplementedError

    @cached_property
    def _results(self):
        """(rows, name) to (n_speakers, n_clips, scores as of `with_intervals`)."""
        groups = speaker_groups(self.clips)
        voices = self.clips.groupby(groups).agg(
            n_clips=("path", "size"), corpus=("corpus", "first"), gender=("gender", "first")
        )
        masks = {("all", ""): np.ones(len(voices), dtype=bool)}
        for column in ("corpus", "gender"):
            for value in sorted(set(voices[column])):
                masks[column, value] = (voices[column] == value).to_numpy()
        masks |= {("speaker", voice): voices.index == voice for voice in voices.index}
        tallies = self.tallies()
        return {
            key: (
                int(mask.sum()),
                int(voices["n_clips"][mask].sum()),
                with_intervals(tallies[mask], self.measures, self.random_state),
            )
            for key, mask in masks.items()
        }

    def _frame(self, row):
        """A table with a line for all, each corpus, gender and speaker."""
        index = pd.MultiIndex.from_tuples(self._results, names=["rows", "name"])
        return pd.DataFrame([row(*result) for result in self._results.values()], index=index)

    def to_frame(self):
        """The scores over all clips, per corpus, per gender and per speaker.

        Returns
        -------
        DataFrame
            Index rows ("all", "corpus", "gender", "speaker") and name; columns n_speakers, n_clips
            and of each score, for example, uar, uar_low, uar_high: the bounds of its 95 % interval
            (see `with_intervals`), NaN for one speaker.
        """
        return self._frame(
            lambda n_speakers, n_clips, values: {
                "n_speakers": n_speakers,
                "n_clips": n_clips,
                **_flat({name: values[name] for name in self.measure_names}),
            }
        )

    def scores(self):
        """The scores over all clips with the bounds of their 95 % intervals.

        Returns
        -------
        dict of str to float or None
            For example uar, uar_low, uar_high; None where there is no value.
        """
        values = self._results["all", ""][2]
        return _without_nan(_flat({name: values[name] for name in self.measure_names}))

    def to_dict(self):
        """What `python evaluation.py --json` prints: plain Python values only."""
        n_speakers, n_clips, _ = self._results["all", ""]
        return {
            "protocol": self.protocol,
            "model": self.model,
            "corpora": sorted(set(self.clips["corpus"])),
            "emotions": self.emotions,
            "n_speakers": n_speakers,
            "n_clips": n_clips,
            **self.scores(),
            "chance": self.chance(),
            "leaks": asdict(self.leaks),
        }

    # text

    def __str__(self):
        title = TITLES[self.main_measure]
        return "\n".join([
            self.protocol,
            f"{self.model}: {', '.join(self.emotions)}",
            *(f"leak guard: {line}" for line in self.leaks.lines()),
            f"chance: {title} {self.chance():.3f}; in brackets {CONFIDENCE} % intervals by speaker",
            *("\n" + table for table in self._tables()),
        ])  # fmt: skip

    def __repr__(self):
        value = self.scores()[self.main_measure]
        return (
            f"<{type(self).__name__} of {self.model}, {self.protocol_name}: "
            f"{TITLES[self.main_measure]} {value:.3f}>"
        )

    def _repr_html_(self):
        facts = {
            "protocol": self.protocol,
            "model": self.model,
            "emotions": ", ".join(self.emotions),
            "leak guard": f"{self.leaks}",
            "chance": f"{TITLES[self.main_measure]} {self.chance():.3f}",
            "in brackets": f"{CONFIDENCE} % intervals by speaker",
        }
        return html_table(type(self).__name__, facts) + self._summary().to_html()

    def _summary(self):
        """Scores in words over all clips, per corpus and per gender: DataFrame."""
        rows = {
            " ".join(key).strip(): self._words(*result)
            for key, result in self._results.items()
            if key[0] != "speaker"
        }
        return pd.DataFrame.from_dict(rows, orient="index")

    def _tables(self):
        """The tables of the printed report, as text."""
        voices = {
            name: self._words(*result, bounds=False)
            for (kind, name), result in self._results.items()
            if kind == "speaker"
        }
        return [
            self._summary().to_string(),
            f"Each speaker ({NO_INTERVAL})\n"
            + pd.DataFrame.from_dict(voices, orient="index").to_string(),
        ]

    def _words(self, n_speakers, n_clips, values, bounds=True):
        """One line of a printed table."""
        cells = {"speakers": n_speakers} if bounds else {}
        cells["clips"] = n_clips
        for name in self.measure_names:
            cells[TITLES[name]] = in_words(*values[name]) if bounds else in_words(values[name][0])
        return cells

    # pictures

    def draw_speakers(self, ax=None):
        """Draw how well each speaker is heard, sorted, with the average and chance.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Default a new figure's.

        Returns
        -------
        matplotlib Axes
        """
        frame = self.to_frame()
        voices = frame.loc["speaker"].sort_values(
            self.main_measure, ascending=self.higher_is_better, kind="stable"
        )
        ax = ax or new_axes(height=1.8 + 0.22 * len(voices))
        average, title = voices[self.main_measure].mean(), TITLES[self.main_measure]
        ax.barh(voices.index, voices[self.main_measure], color="tab:blue", height=0.7)
        ax.axvline(average, color="black", label=f"average of the speakers {average:.2f}")
        ax.axvline(self.chance(), color="tab:red", ls="--", label=f"chance {self.chance():.2f}")
        ax.set(xlabel=f"{title} of the speaker", ylabel="speaker", ylim=(-0.6, len(voices) - 0.4))
        ax.set_xlim(0, 1 if self.higher_is_better else None)
        ax.legend(loc="lower right" if self.higher_is_better else "upper right", fontsize=8)
        return self._titled(ax, f"{title} by speaker")

    def _titled(self, ax, what):
        """Put on top what is drawn and what it was measured on."""
        lines = [f"{self.model}: {what}", *textwrap.wrap(self.protocol, 80)]
        ax.set_title("\n".join(lines), fontsize=8)
        return ax


class ClassificationEvaluation(Evaluation):
    """UAR, accuracy and macro F1, recalls and confusions; see `Evaluation`."""

    main_measure = "uar"
    measure_names = ("uar", "accuracy", "macro_f1")
    measures = staticmethod(classification_measures)

    def tallies(self):
        """See `confusion_by_speaker`."""
        groups = speaker_groups(self.clips)
        return confusion_by_speaker(
            self.clips["emotion"], self.clips["predicted"], groups, self.emotions
        )

    def chance(self):
        """The UAR of guessing: 1 / n_emotions."""
        return 1 / len(self.emotions)

    @property
    def _right(self):
        return (self.clips["predicted"] == self.clips["emotion"]).to_numpy()

    def scores(self):
        """UAR, accuracy and macro F1 with their bounds, and the calibration error.

        Returns
        -------
        dict of str to float or None
            uar, uar_low, uar_high, accuracy, ..., macro_f1, ...; ece (see `calibration_error`).
        """
        return super().scores() | {"ece": calibration_error(self.clips["confidence"], self._right)}

    def recalls(self):
        """The recall of each emotion, with the same rows as `to_frame`.

        Returns
        -------
        DataFrame
            Columns <emotion>, <emotion>_low, <emotion>_high; NaN where there are no clips, and no
            bounds for one speaker.
        """
        return self._frame(
            lambda _, __, values: _flat(dict(zip(self.emotions, values["recall"].T, strict=True)))
        )

    def confusion_matrix(self, percentage=True, labeled=True, *, bound=None):
        """What the clips of each emotion were taken for.

        Parameters
        ----------
        percentage : bool
            Percent of the true emotion's clips; else clips.
        labeled : bool
            Name rows true_<emotion> and columns predicted_<emotion>.
        bound : {None, "low", "high"}
            A bound of the 95 % interval of the percentages instead; NaN for one speaker.

        Returns
        -------
        DataFrame, or ndarray if not labeled; (n_emotions, n_emotions), in the order of `emotions`

        Raises
        ------
        ValueError
            For another bound, or a bound of clips.
        """
        bounds = (None, "low", "high")
        check_name(bound, bounds, "bound")
        if bound and not percentage:
            raise ValueError("Only percentages have bounds; leave percentage=True.")
        values = 100 * self._results["all", ""][2]["confusion"][bounds.index(bound)]
        if not percentage:
            values = self.tallies().sum(axis=0)
        if not labeled:
            return values
        return labeled_confusion(values, self.emotions)

    def reliability(self):
        """How often predictions of each confidence are right; see `reliability`."""
        return reliability(self.clips["confidence"], self._right)

    def to_dict(self):
        """What `python evaluation.py --json` prints: plain Python values only."""
        recalls = _without_nan(self.recalls().loc["all", ""].to_dict())
        return super().to_dict() | {
            "per_class_recall": {e: recalls[e] for e in self.emotions},
            "per_class_recall_low": {e: recalls[f"{e}_low"] for e in self.emotions},
            "per_class_recall_high": {e: recalls[f"{e}_high"] for e in self.emotions},
            "confusion": self.confusion_matrix(percentage=False, labeled=False).tolist(),
        }

    def _tables(self):
        total, voices = super()._tables()
        values = self._results["all", ""][2]
        recalls = pd.DataFrame(
            {
                "clips": [
                    int((self.clips["emotion"] == emotion).sum()) for emotion in self.emotions
                ],
                "recall": [in_words(*triple) for triple in values["recall"].T],
                **self.confusion_matrix(labeled=True)
                .round(1)
                .rename(columns=lambda column: column.replace("predicted_", "as "))
                .to_dict("list"),
            },
            index=self.emotions,
        ).to_string(na_rep="-")
        ece = f"calibration error (ECE, {N_BINS} bins): {self.scores()['ece']:.3f}"
        return [total, f"Recall, and what percentage was taken as what\n{recalls}", ece, voices]

    def draw_confusion_matrix(self, percentage=True, *, ax=None):
        """Draw the confusion matrix.

        Parameters
        ----------
        percentage : bool
            See `confusion_matrix`.
        ax : matplotlib Axes, optional
            Default a new figure's.

        Returns
        -------
        matplotlib Axes
        """
        matrix = self.confusion_matrix(percentage=percentage, labeled=False)
        ax = draw_confusion(matrix, self.emotions, ax)
        return self._titled(ax, "percent of the true emotion" if percentage else "clips")

    def draw_reliability(self, ax=None):
        """Draw how often predictions of each confidence are right, and how many there are.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Default a new figure's.

        Returns
        -------
        matplotlib Axes
        """
        table = self.reliability()
        table = table[table["n_clips"] > 0]
        ax = ax or new_axes(height=5)
        ax.plot([0, 1], [0, 1], color="grey", ls="--", label="as sure as right")
        widths = table["high"] - table["low"]
        ax.bar(table["low"], table["n_clips"] / len(self.clips), widths, align="edge",
               color="lightgrey", label="share of the clips")  # fmt: skip
        ax.plot(table["confidence"], table["accuracy"], "o-", label="share that is right")
        ax.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="confidence", ylabel="share")
        ax.legend(loc="upper left")
        return self._titled(ax, f"reliability, ECE {self.scores()['ece']:.3f}")


class RegressionEvaluation(Evaluation):
    """Mean absolute error and concordance correlation; see `Evaluation`."""

    main_measure = "mae"
    measure_names = ("mae", "ccc")
    higher_is_better = False
    measures = staticmethod(regression_measures)

    def tallies(self):
        """See `moments_by_speaker`."""
        groups = speaker_groups(self.clips)
        return moments_by_speaker(self.clips["target"], self.clips["predicted"], groups)

    def chance(self):
        """The error of always saying the median of the targets."""
        return float((self.clips["target"] - self.clips["target"].median()).abs().mean())


def in_words(value, low=None, high=None):
    """A score with its interval, as text.

    Examples
    --------
    >>> in_words(0.75, 0.7, 0.8), in_words(0.75, float("nan"), float("nan")), in_words(0.75)
    ('0.750 (0.700 to 0.800)', '0.750 (one speaker, no interval)', '0.750')
    """
    if np.isnan(value):
        return "-"
    if low is None:
        return f"{value:.3f}"
    return f"{value:.3f} ({NO_INTERVAL if np.isnan(low) else f'{low:.3f} to {high:.3f}'})"


def scores_in_words(scores):
    """All scores of a dict with their 95 % intervals, as one line.

    Examples
    --------
    >>> scores_in_words({"uar": 0.75, "uar_low": 0.7, "uar_high": 0.8, "ece": 0.1})
    'UAR 0.750 (0.700 to 0.800)'
    """
    triples = {name: [scores[name], scores[f"{name}_low"], scores[f"{name}_high"]]
               for name in TITLES if name in scores}  # fmt: skip
    return ", ".join(
        f"{TITLES[name]} {in_words(*(np.nan if value is None else value for value in triple))}"
        for name, triple in triples.items()
    )


def html_table(title, facts):
    """A title above names and what there is to say of each, for notebooks: str.

    Parameters
    ----------
    title : str
    facts : dict of str to str
        Any text: it is escaped.

    Examples
    --------
    >>> "<td>&lt;b&gt;</td>" in html_table("Clip", {"name": "<b>"}).replace(ALIGNED, "")
    True
    """
    rows = "".join(
        f"<tr><th{ALIGNED}>{html.escape(name)}</th><td{ALIGNED}>{html.escape(text)}</td></tr>"
        for name, text in facts.items()
    )
    return f"<p><strong>{html.escape(title)}</strong></p><table>{rows}</table>"


def labeled_confusion(matrix, emotions):
    """A confusion matrix as DataFrame with rows true_<emotion>, columns predicted_<emotion>."""
    return pd.DataFrame(
        matrix,
        index=[f"true_{emotion}" for emotion in emotions],
        columns=[f"predicted_{emotion}" for emotion in emotions],
    )


def draw_confusion(matrix, emotions, ax=None):
    """Draw a confusion matrix (n_emotions, n_emotions) on axes, or on a new figure's."""
    from sklearn.metrics import ConfusionMatrixDisplay

    size = 0.8 * len(emotions)
    ax = ax or new_axes(max(5.5, size), max(6.4, 1 + size))
    picture = ConfusionMatrixDisplay(matrix, display_labels=emotions)
    picture.plot(ax=ax, cmap="Blues", values_format=".0f", colorbar=False)
    ax.set(xlabel="predicted emotion", ylabel="true emotion")
    return ax


def new_axes(height, width=6.4):
    """The axes of a new figure, sizes in inches."""
    import matplotlib.pyplot as plt

    return plt.subplots(figsize=(width, height), layout="constrained")[1]


def new_figure(width, height):
    """A new figure, sizes in inches, for pictures of several panels that are returned as a whole.

    A notebook shows it where it is the value of a cell. pyplot doesn't know of it, which would show
    it a second time, or open a window.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    figure._repr_png_ = partial(_png, figure)
    return figure


def save_figure(figure, path, dpi=150):
    """Draw a figure to a file, whole or not at all; its kind is the name's ending, else PNG."""
    with replacing(path) as temporary:
        figure.savefig(temporary, format=Path(path).suffix[1:] or "png", dpi=dpi)


def _png(figure):
    file = BytesIO()
    figure.savefig(file, format="png")
    return file.getvalue()


# comparing


@dataclass(frozen=True)
class Comparison:
    """Two systems on the same clips; prints as one sentence.

    Attributes
    ----------
    measure : str
        "uar", or "mae" for regression.
    first, second : str
        Their names.
    values : tuple of float
        The measure of each.
    difference, low, high : float or None
        The first one's minus the second one's, and the bounds of the 95 % interval; None for one
        speaker.
    probability : float or None
        That the first one is better, over who is heard.
    n_speakers, n_clips : int
    """

    measure: str
    first: str
    second: str
    values: tuple
    difference: float
    low: float | None
    high: float | None
    probability: float | None
    n_speakers: int
    n_clips: int

    def __str__(self):
        return (
            f"{TITLES[self.measure]} of {self.first} minus that of {self.second}: "
            f"{self.values[0]:.3f} - {self.values[1]:.3f} = {self.difference:+.3f} "
            f"({self._interval()}); {self.n_clips} clips of {self.n_speakers} speakers"
        )

    def _interval(self):
        if self.low is None:
            return NO_INTERVAL
        return (
            f"{CONFIDENCE} % by speaker: {self.low:+.3f} to {self.high:+.3f}; "
            f"it is better with probability {self.probability:.3f}"
        )

    def __repr__(self):
        return f"<Comparison: {self}>"

    def _repr_html_(self):
        first, second = (f"{TITLES[self.measure]} {value:.3f}" for value in self.values)
        facts = {
            f"first: {self.first}": first,
            f"second: {self.second}": second,
            "first minus second": f"{self.difference:+.3f} ({self._interval()})",
            "measured on": f"{self.n_clips} clips of {self.n_speakers} speakers, the same for both",
        }
        return html_table(type(self).__name__, facts)


def compare(first, second, *, same_folds=True):
    """Say which of two systems is better, by how much and how sure.

    Both are scored on the same drawn speakers (paired bootstrap by clusters), so that a speaker
    who is hard for both doesn't blur the difference.

    Parameters
    ----------
    first, second : Evaluation
        Of the same clips.
    same_folds : bool
        False compares two protocols instead, such as "random" and "loso".

    Returns
    -------
    Comparison

    Raises
    ------
    ValueError
        If clips, labels or folds differ.
    """
    _check_comparable(first, second, same_folds)
    name, measures = first.main_measure, first.measures
    tallies = [first.tallies(), second.tallies()]
    values = tuple(float(measures(tally.sum(axis=0))[name]) for tally in tallies)
    low = high = probability = None
    if len(tallies[0]) > 1:
        drawn = resample_speakers(len(tallies[0]), first.random_state)
        scores = [measures(np.tensordot(drawn, tally, axes=1))[name] for tally in tallies]
        draws = scores[0] - scores[1]
        better = draws if first.higher_is_better else -draws
        low, high = map(float, percentiles(draws))
        probability = float(np.mean(better > 0) + np.mean(better == 0) / 2)
    labels = [f"{e.model} ({e.protocol_name})" for e in (first, second)]
    return Comparison(name, *labels, values, values[0] - values[1], low, high, probability,
                      len(tallies[0]), len(first.clips))  # fmt: skip


def _check_comparable(first, second, same_folds):
    if type(first) is not type(second) or set(first.emotions) != set(second.emotions):
        raise ValueError("One evaluation can't be compared with one of other emotions or kind.")
    columns = ["path", "emotion", "speaker", "corpus"] + ["fold"] * same_folds
    a, b = (
        e.clips[columns].astype(str).sort_values("path").reset_index(drop=True)
        for e in (first, second)
    )
    if not a["path"].equals(b["path"]):
        only = sorted(set(a["path"]) ^ set(b["path"]))
        raise ValueError(
            f"Both evaluations must score the same clips; only one has {_listed(only)}. Evaluate "
            "both with the same corpora, emotions and balance."
        )
    differing = [column for column in columns if not a[column].equals(b[column])]
    if differing:
        raise ValueError(
            f"Both evaluations must have the same {' and '.join(differing)} for every clip. "
            "Evaluate both with the same protocol, label_map and random_state."
        )


# the command line


def _parse_args(argv):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = [name.removesuffix("Classifier") for name in CLASSIFIERS]
    parser.add_argument("--corpus", help="comma-separated, out of ravdess, tess, emodb, custom; "
                        "default: whatever is there")  # fmt: skip
    parser.add_argument("--protocol", default="loso",
                        help="standard, loso, group-K (a number for K), cross-corpus or random "
                             "(default loso)")  # fmt: skip
    parser.add_argument(
        "--model",
        default="default",
        help="default (the recommended recognizer), classic (the means, SVC), lstm (networks over "
        "the frames), ensemble (default with copies of each clip, lstm), "
        f"{', '.join(names)} (as tuned); with "
        "--regression default, classic, lstm, ensemble, "
        f"{', '.join(name.removesuffix('Regressor') for name in REGRESSORS)}",
    )
    parser.add_argument("--calibrate", type=_calibration, default=0, metavar="N",
                        help="unlabelled clips to adapt to each test voice with: 0 (default), 5, "
                             "10, 20, ... or all")  # fmt: skip
    parser.add_argument("--emotions", help="comma-separated; default: all that the corpora have, "
                        f"with --regression {','.join(DEFAULT_EMOTIONS)}")  # fmt: skip
    parser.add_argument(
        "--balance",
        action="store_true",
        help="train on as many clips of each emotion; standard: test, too",
    )
    parser.add_argument("--regression", action="store_true",
                        help="predict a number on the scale of 3 or 5 emotions")  # fmt: skip
    parser.add_argument("--train-corpora", help="comma-separated, for cross-corpus; --corpus is "
                        "what is tested on")  # fmt: skip
    parser.add_argument("--label-map", type=_label_map, metavar="OLD=NEW,...",
                        help="for cross-corpus: common labels, - leaves clips out, as in "
                             "ps=happy,calm=neutral,boredom=-")  # fmt: skip
    parser.add_argument("--features", help="comma-separated; default: the model's")
    parser.add_argument("--functionals", help="comma-separated; default: the model's")
    parser.add_argument("--leakage", action="store_true",
                        help="random and speaker-independent side by side")  # fmt: skip
    parser.add_argument("--data-dir", help="the data folder; else $SER_DATA_DIR, else data/")
    parser.add_argument("--seed", type=int, default=0, help="of all that is random (default 0)")
    parser.add_argument("--pictures", metavar="FOLDER",
                        help="where they go (default results/; with --json none)")  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print one JSON object instead")
    return parser.parse_args(argv)


def _calibration(text):
    if text != "all" and not text.isdecimal():
        raise argparse.ArgumentTypeError(f"it is a number of clips or all, not {text!r}")
    return text if text == "all" else int(text)


def _label_map(text):
    pairs = [pair.split("=") for pair in text.split(",")]
    if not all(len(pair) == 2 and all(pair) for pair in pairs):
        raise argparse.ArgumentTypeError(f"it is OLD=NEW,OLD=NEW or OLD=-, not {text!r}")
    return {old: None if new == "-" else new for old, new in pairs}


def _split(names):
    return names.split(",") if names else None


def _emotions(args, corpora):
    """The emotions that the command line asks for."""
    if args.emotions not in (None, "all"):
        return args.emotions.split(",")
    if args.regression:
        return list(DEFAULT_EMOTIONS)
    clips = pd.concat([list_clips(group, data_dir=args.data_dir) for group in CORPUS_GROUPS])
    if corpora:
        clips = clips[clips["corpus"].isin(corpora)]
    return sorted(set(clips["emotion"]))


def _system(args):
    """The recognizer that the command line asks for."""
    from emotion_recognition import corpora_options, named_recognizer

    corpora = [*(_split(args.corpus) or []), *(_split(args.train_corpora) or [])]
    return named_recognizer(
        args.model,
        emotions=_emotions(args, corpora),
        classification=not args.regression,
        balance=args.balance,
        data_dir=args.data_dir,
        random_state=args.seed,
        verbose=0,
        **(corpora_options(corpora) if corpora else {}),
        **({"features": _split(args.features)} if args.features else {}),
        **({"functionals": _split(args.functionals)} if args.functionals else {}),
    )


def _evaluate(args, protocol):
    """The evaluation that the command line asks for, by this protocol."""
    cross = protocol == "cross-corpus"
    if cross and not (args.corpus and args.train_corpora):
        raise ValueError("cross-corpus needs --train-corpora, and --corpus to test on")
    if args.train_corpora and not cross:
        raise ValueError(f"--train-corpora is for --protocol cross-corpus, not {protocol}")
    return evaluate(
        _system(args),
        protocol,
        calibrate=args.calibrate,
        train_corpora=_split(args.train_corpora),
        test_corpora=_split(args.corpus) if cross else None,
        label_map=args.label_map,
        name=args.model,
        random_state=args.seed,
        verbose=0 if args.json else 1,
    )


def _save_pictures(evaluation, folder, calibrate):
    """Draw all there is to draw; return the files' paths."""
    import matplotlib.pyplot as plt

    stem = "_".join(["-".join(sorted(set(evaluation.clips["corpus"]))), evaluation.protocol_name,
                     evaluation.model] + [f"calibrated-{calibrate}"] * bool(calibrate))  # fmt: skip
    written = []
    for name in ("confusion_matrix", "speakers", "reliability"):
        if not hasattr(evaluation, f"draw_{name}"):
            continue
        figure = getattr(evaluation, f"draw_{name}")().figure
        path = Path(folder) / f"{stem}_{name}.png"
        save_figure(figure, path)
        plt.close(figure)
        written.append(str(path))
    return written


def _print_leakage(evaluations, difference):
    """Print both protocols side by side, and what leakage is worth."""
    for evaluation in evaluations:
        print(evaluation.protocol)
    rows = {
        evaluation.protocol_name: evaluation._words(*evaluation._results["all", ""])
        for evaluation in evaluations
    }
    print(f"\n{pd.DataFrame.from_dict(rows, orient='index').to_string()}")
    print(f"\nWhat leakage is worth: {difference}")


def main(argv=None):
    """The command line; see the module's docstring."""
    args = _parse_args(argv)
    try:
        kind, _ = _parse_protocol(args.protocol)
        if args.leakage and kind not in ("loso", "group-K"):
            raise ValueError("--leakage compares random with loso or group-K")
        protocols = ["random"] * args.leakage + [args.protocol]
        evaluations = [_evaluate(args, protocol) for protocol in protocols]
        difference = compare(*evaluations, same_folds=False) if args.leakage else None
        folder = args.pictures or (None if args.json else "results")
        written = []
        for evaluation in evaluations if folder else ():
            written += _save_pictures(evaluation, folder, args.calibrate)
    except (ValueError, OSError) as error:
        sys.exit(f"evaluation.py: {error}")
    if args.json and args.leakage:
        result = {e.protocol_name: e.to_dict() for e in evaluations}
        print(json.dumps(result | {"difference": asdict(difference), "pictures": written}))
    elif args.json:
        print(json.dumps(evaluations[0].to_dict() | {"pictures": written}))
    elif args.leakage:
        _print_leakage(evaluations, difference)
    else:
        print(evaluations[0])
    if written and not args.json:
        print("\npictures: " + ", ".join(written))


if __name__ == "__main__":
    sys.exit(main())
