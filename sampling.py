"""Folds of speakers, and draws of clips, by a seed."""

import numpy as np

N_STRATA = 5  # parts that clips are cut into by a number
PIECE = 5_000  # rows whose temporary copies memory has room for


def pieces(X, size=None):
    """Consecutive parts of an array: list of views, one at least.

    Parameters
    ----------
    X : ndarray (n_clips, ...)
    size : int, optional
        Rows of each but the last; default `PIECE`.
    """
    size = size or PIECE
    return np.split(X, range(size, len(X), size))


def speaker_folds(y, groups, n_splits=5, random_state=0):
    """Cross-validation folds without a speaker on both sides: list of index arrays (train, test).

    Parameters
    ----------
    y : array (n_clips,) or (n_clips, n_targets)
        Labels or numbers; the folds balance their `strata` as far as whole speakers allow.
    groups : array (n_clips,)
        Speakers.
    n_splits : int
        Fewer where there are fewer speakers, or fewer clips of the rarest label.
    random_state : int
    """
    from sklearn.model_selection import StratifiedGroupKFold  # slow to import, rarely needed here

    y, groups = strata(y), np.asarray(groups)
    check_two_speakers(groups)
    n_groups, rarest = len(np.unique(groups)), min(np.unique(y, return_counts=True)[1])
    n_splits = min(n_splits, n_groups, max(2, rarest))
    # strings stand for the classes: strata of numbers are few numbers
    splitter = StratifiedGroupKFold(n_splits, shuffle=True, random_state=random_state)
    return list(splitter.split(np.zeros(len(y)), y.astype(str), groups))


def strata(y):
    """What clips are like in, by labels or numbers: ndarray (n_clips,) of labels, or of floats.

    Few numbers stand for themselves. Of many, the clips are cut at quantiles: into fifths, or into
    fewer parts of each target where there are several.

    Parameters
    ----------
    y : array (n_clips,) or (n_clips, n_targets)

    Examples
    --------
    >>> strata(["sad", "happy"]).tolist(), strata(np.arange(10)).tolist()
    (['sad', 'happy'], [0.0, 0.0, 1.0, 1.0, 2.0, 2.0, 3.0, 3.0, 4.0, 4.0])
    """
    y = np.asarray(y)
    if y.dtype.kind not in "fiu" or (y.ndim == 1 and len(np.unique(y)) <= N_STRATA):
        return y
    columns, found = y.reshape(len(y), -1), np.zeros(len(y))
    n_parts = max(2, round(N_STRATA ** (1 / columns.shape[1])))
    shares = np.arange(1, n_parts) / n_parts
    for column in columns.T:
        edges = np.quantile(column, shares)
        found = found * n_parts + np.searchsorted(edges, column, side="right")
    return found


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
    y : array (n_clips,) or (n_clips, n_targets)
        Labels, or numbers: their `strata` count.
    random_state : int
        Seed of the order within a label.

    Examples
    --------
    >>> y = np.array(["sad"] * 4 + ["happy"] * 8)
    >>> y[stratified_order(y)[:3]].tolist()
    ['happy', 'sad', 'happy']
    """
    y = strata(y)
    order = np.random.default_rng(random_state).permutation(len(y))
    place = np.empty(len(y))
    for label in np.unique(y):
        own = order[y[order] == label]
        place[own] = (np.arange(len(own)) + 0.5) / len(own)
    return np.argsort(place, kind="stable")


def stratified_sample(rows, y, n, random_state=0):
    """At most `n` of some rows, with their labels in the same proportions: ascending.

    Parameters
    ----------
    rows : ndarray of int
        Ascending.
    y : array (n_clips,) or (n_clips, n_targets)
        Of all clips, see `stratified_order`.
    n, random_state : int
    """
    if len(rows) <= n:
        return rows
    return np.sort(rows[stratified_order(np.asarray(y)[rows], random_state)[:n]])


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
