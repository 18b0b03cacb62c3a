"""Honest numbers: folds that keep speakers apart, scores with intervals, and a leak check."""

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold

CONFIDENCE = 95  # percent
N_RESAMPLES = 2000


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
    n_groups, rarest = len(np.unique(groups)), min(np.unique(y, return_counts=True)[1])
    n_splits = min(n_splits, n_groups, max(2, rarest))
    if n_groups < 2:
        raise ValueError(
            "Keeping speakers apart takes at least two of them, and all clips here are of "
            f"{groups[0]!r}. Add recordings of another voice."
        )
    # strings stand for the classes: on a regression scale the targets are few numbers
    splitter = StratifiedGroupKFold(n_splits, shuffle=True, random_state=random_state)
    return list(splitter.split(np.zeros(len(y)), y.astype(str), groups))


def confusion_by_speaker(y_true, y_pred, groups, labels):
    """Count predictions, a confusion matrix for each speaker.

    Returns
    -------
    ndarray (n_speakers, n_labels, n_labels) int
        [s, i, j] clips of speaker s with label i were called j.
    """
    index = {label: i for i, label in enumerate(labels)}
    speakers, s = np.unique(groups, return_inverse=True)
    counts = np.zeros((len(speakers), len(labels), len(labels)), dtype=int)
    np.add.at(counts, (s, [index[t] for t in y_true], [index[p] for p in y_pred]), 1)
    return counts


def accuracy_and_uar(counts):
    """Accuracy and unweighted average recall of confusion matrices.

    Parameters
    ----------
    counts : ndarray (..., n_labels, n_labels)
        Rows are true labels; one without clips doesn't count.

    Returns
    -------
    accuracy, uar : ndarray (...)
    """
    hits = np.diagonal(counts, axis1=-2, axis2=-1)
    totals = counts.sum(axis=-1)
    with np.errstate(invalid="ignore"):
        recalls = hits / totals
    return hits.sum(axis=-1) / totals.sum(axis=-1), np.nanmean(recalls, axis=-1)


def score(y_true, y_pred, groups, labels, random_state=0):
    """Accuracy and UAR with 95 % intervals, resampled by speaker.

    Clips of one speaker resemble each other, so whole speakers are drawn (bootstrap by clusters,
    Field and Welsh 2007): the interval says how the score varies with who is heard. With one
    speaker there is none.

    Parameters
    ----------
    y_true, y_pred, groups : array (n_clips,)
    labels : list
        The classes.
    random_state : int

    Returns
    -------
    dict of str to float or None
        accuracy, accuracy_low, accuracy_high, uar, uar_low, uar_high; a bound that can't be
        estimated is None.
    """
    counts = confusion_by_speaker(y_true, y_pred, groups, labels)
    values = dict(zip(("accuracy", "uar"), accuracy_and_uar(counts.sum(axis=0)), strict=True))
    n_speakers = len(counts)
    drawn = np.random.default_rng(random_state).multinomial(
        n_speakers, np.full(n_speakers, 1 / n_speakers), size=N_RESAMPLES
    )
    resampled = accuracy_and_uar(np.tensordot(drawn, counts, axes=1))
    tail = (100 - CONFIDENCE) / 2
    result = {}
    for (name, value), draws in zip(values.items(), resampled, strict=True):
        bounds = np.percentile(draws, [tail, 100 - tail]) if n_speakers > 1 else (None, None)
        result |= {
            name: float(value),
            f"{name}_low": bounds[0] if bounds[0] is None else float(bounds[0]),
            f"{name}_high": bounds[1] if bounds[1] is None else float(bounds[1]),
        }
    return result


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
