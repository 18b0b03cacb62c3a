"""Speaker-independent folds, and stratified samples of clips, by a seed."""

import numpy as np

N_STRATA = 5  # strata of a numeric target
PIECE = 5_000  # rows; temporary copies of so many fit into memory


def pieces(X, size=None):
    """Consecutive parts of an array: list of views, at least one.

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
        Reduced to the number of speakers, or of clips of the rarest label, if that is smaller.
    random_state : int
    """
    from sklearn.model_selection import StratifiedGroupKFold  # slow to import, rarely needed here

    y, groups = strata(y), np.asarray(groups)
    check_two_speakers(groups)
    n_groups, rarest = len(np.unique(groups)), min(np.unique(y, return_counts=True)[1])
    n_splits = min(n_splits, n_groups, max(2, rarest))
    # as strings, or numeric strata would be taken for a regression target
    splitter = StratifiedGroupKFold(n_splits, shuffle=True, random_state=random_state)
    return list(splitter.split(np.zeros(len(y)), y.astype(str), groups))


def strata(y):
    """Strata of clips by their labels or numbers: ndarray (n_clips,) of labels, or of floats.

    A number of few distinct values is its own stratum. Others are cut at quantiles: into fifths,
    or into fewer parts if there are several targets.

    Parameters
    ----------
    y : array (n_clips,) or (n_clips, n_targets)
        Labels or numbers.

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
    """Check that there are at least two speakers.

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
            "A speaker-independent split needs at least two speakers, and all clips here are of "
            f"{str(groups[0])!r}. Add recordings of another speaker."
        )


def stratified_order(y, random_state=0):
    """Indices in an order of which every prefix is stratified: ndarray (n_clips,) of int.

    Parameters
    ----------
    y : array (n_clips,) or (n_clips, n_targets)
        Labels, or numbers, of which the `strata` are used.
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
    """Draw at most `n` of some rows, stratified by label: ndarray of int, ascending.

    Parameters
    ----------
    rows : ndarray of int
        Ascending.
    y : array (n_clips,) or (n_clips, n_targets)
        Labels or numbers of all clips, see `stratified_order`.
    n, random_state : int
    """
    if len(rows) <= n:
        return rows
    return np.sort(rows[stratified_order(np.asarray(y)[rows], random_state)[:n]])


def balanced(labels, random_state=0):
    """Draw as many clips of every label as the rarest one has: ndarray of sorted indices.

    Parameters
    ----------
    labels : ndarray (n_clips,)
    random_state : int or numpy Generator
    """
    rng = np.random.default_rng(random_state)
    names, counts = np.unique(labels, return_counts=True)
    own = [np.flatnonzero(labels == name) for name in names]
    return np.sort(np.concatenate([rng.permutation(clips)[: counts.min()] for clips in own]))
