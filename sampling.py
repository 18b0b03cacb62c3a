"""Folds of speakers, and draws of clips, by a seed."""

import numpy as np


def speaker_folds(y, groups, n_splits=5, random_state=0):
    """Cross-validation folds without a speaker on both sides: list of index arrays (train, test).

    Parameters
    ----------
    y, groups : array (n_clips,)
        Labels, which the folds balance as far as whole speakers allow; speakers.
    n_splits : int
        Fewer where there are fewer speakers, or fewer clips of the rarest label.
    random_state : int
    """
    from sklearn.model_selection import StratifiedGroupKFold  # slow to import, rarely needed here

    y, groups = np.asarray(y), np.asarray(groups)
    check_two_speakers(groups)
    n_groups, rarest = len(np.unique(groups)), min(np.unique(y, return_counts=True)[1])
    n_splits = min(n_splits, n_groups, max(2, rarest))
    # strings stand for the classes: on a regression scale the targets are few numbers
    splitter = StratifiedGroupKFold(n_splits, shuffle=True, random_state=random_state)
    return list(splitter.split(np.zeros(len(y)), y.astype(str), groups))


def check_two_speakers(groups):
    """Make sure that speakers can be kept apart.

    Parameters
    ----------
    groups : array (n_clips,)
        Speakers.

    Raises
    ------
    ValueError
        If there is only one.
    """
    if len(set(groups)) < 2:
        raise ValueError(
            "Keeping speakers apart takes at least two of them, and all clips here are of "
            f"{groups[0]!r}. Add recordings of another speaker."
        )


def stratified_order(y, random_state=0):
    """Indices in an order whose every beginning has the labels in their proportions.

    Parameters
    ----------
    y : ndarray (n_clips,)
        Labels.
    random_state : int
        Seed of the order within a label.

    Examples
    --------
    >>> y = np.array(["sad"] * 4 + ["happy"] * 8)
    >>> y[stratified_order(y)[:3]].tolist()
    ['happy', 'sad', 'happy']
    """
    order = np.random.default_rng(random_state).permutation(len(y))
    place = np.empty(len(y))
    for label in np.unique(y):
        own = order[y[order] == label]
        place[own] = (np.arange(len(own)) + 0.5) / len(own)
    return np.argsort(place, kind="stable")


def balanced(labels, random_state=0):
    """Draw as many clips of every label as the rarest one has: sorted indices.

    Parameters
    ----------
    labels : ndarray (n_clips,)
    random_state : int or numpy Generator
    """
    rng = np.random.default_rng(random_state)
    names, counts = np.unique(labels, return_counts=True)
    own = [np.flatnonzero(labels == name) for name in names]
    return np.sort(np.concatenate([rng.permutation(clips)[: counts.min()] for clips in own]))
