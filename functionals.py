"""Functionals: what sums up the frames of a clip, column by column, in one vector.

contour = Contour(values)                                # (n_frames, n_columns)
FUNCTIONALS["p95"](contour), contour.dct                 # (n_columns,), (6, n_columns)
"""

from functools import cached_property, lru_cache

import numpy as np

from checks import check_names

FRAMES, STEPS = MATRICES = "frames", "steps"
"""In place of functionals: the frames themselves, and the means of every `STEP` of them."""

STEP = 8


class Contour:
    """Columns over the frames of a clip, to be summed up by `FUNCTIONALS`.

    Parameters
    ----------
    values : ndarray (n_frames, n_columns) of float
        Fastest where the values of a column are neighbours in memory.
    """

    def __init__(self, values):
        self.values = values

    @cached_property
    def mean(self):
        return np.einsum("ij->j", self.values, dtype=np.float64) / len(self.values)

    @cached_property
    def _columns(self):
        return np.ascontiguousarray(self.values.T)

    @cached_property
    def _centred(self):
        return self._columns - self.mean.astype(self.values.dtype)[:, np.newaxis]

    @cached_property
    def _square(self):
        return self._centred * self._centred

    @cached_property
    def std(self):
        return np.sqrt(_average(self._centred, self._centred))

    @cached_property
    def _variance(self):
        return np.maximum(self.std**2, 1e-6)

    @cached_property
    def percentiles(self):
        """Percent to values, interpolated linearly as numpy does: dict."""
        ordered, (low, high, share) = np.sort(self._columns, axis=1), _places(len(self.values))
        below = ordered.take(low, axis=1)
        values = below + share.astype(ordered.dtype) * (ordered.take(high, axis=1) - below)
        return dict(zip(PERCENTS, np.ascontiguousarray(values.T), strict=True))

    def moment(self, order):
        """Average a power (3 or 4) of the standardised values; 0 where they never change."""
        power = _average(self._square, self._centred if order == 3 else self._square)
        scale = np.maximum(self.std, 1e-9)
        return power / scale**2 / scale ** (order - 2)  # other powers than squares take long

    @cached_property
    def dct(self):
        """DCT coefficients 1 to 6 over time (6, n_columns): slope, bend, slow oscillations."""
        cosines = _cosines if len(self.values) <= LONGEST_KEPT else _cosines.__wrapped__
        return cosines(len(self.values), self.values.dtype) @ self._centred.T

    def autocorrelation(self, lag):
        """Correlate each column with itself `lag` frames earlier; 0 in shorter clips."""
        return _average(self._centred[:, lag:], self._centred[:, :-lag]) / self._variance

    def change(self):
        """Average the absolute change from one frame to the next; 0 for a single frame."""
        steps = np.abs(self._columns[:, 1:] - self._columns[:, :-1])
        return np.einsum("ij->i", steps) / max(1, steps.shape[1])


def _average(a, b):
    """Mean product of two (n_columns, n_frames): (n_columns,), 0 without frames."""
    return np.einsum("ij,ij->i", a, b) / max(1, a.shape[1])


@lru_cache(maxsize=1024)
def _places(n):
    """Where `PERCENTS` are among n values: indices below and above, and the share of the way."""
    place = np.array(PERCENTS) / 100 * (n - 1)
    low = place.astype(int)
    return low, np.minimum(low + 1, n - 1), place - low


@lru_cache(maxsize=1024)
def _cosines(n, dtype):
    """What `Contour.dct` multiplies n frames by: ndarray (6, n)."""
    time = (np.arange(n) + 0.5) / n
    return (np.cos(np.pi * np.outer(np.arange(1, N_DCT + 1), time)) / n).astype(dtype)


PERCENTS = 1, 5, 25, 50, 75, 95, 99
N_DCT = 6
LONGEST_KEPT = 1000  # frames: cosines for longer clips are made anew, for they take memory
LAGS = 5, 10, 20, 40  # frames
FUNCTIONALS = {
    "mean": lambda contour: contour.mean,
    "std": lambda contour: contour.std,
    **{f"p{p}": lambda contour, p=p: contour.percentiles[p] for p in PERCENTS},
    "iqr": lambda contour: contour.percentiles[75] - contour.percentiles[25],
    "range": lambda contour: contour.percentiles[95] - contour.percentiles[5],
    "skew": lambda contour: np.cbrt(contour.moment(3)),
    "kurtosis": lambda contour: np.log1p(contour.moment(4)),
    "change": lambda contour: contour.change(),
    **{f"dct{k + 1}": lambda contour, k=k: contour.dct[k] for k in range(N_DCT)},
    **{f"autocorrelation{n}": lambda contour, n=n: contour.autocorrelation(n) for n in LAGS},
}
"""Functional to its function, from a `Contour` to values (n_columns,)."""

_OLD_FUNCTIONALS = {f"wave{k + 1}": f"dct{k + 1}" for k in range(N_DCT)} | {
    f"echo{lag}": f"autocorrelation{lag}" for lag in LAGS
}


def check_functionals(names):
    """Return names of functionals in canonical order, each once; None and `MATRICES` stay.

    Parameters
    ----------
    names : sequence of str, one of `MATRICES` or None
        Any of `FUNCTIONALS`.
    """
    if names is None or names in MATRICES:
        return names
    names = [names] if isinstance(names, str) else names
    names = [_OLD_FUNCTIONALS.get(name, name) for name in names]
    return check_names(names, tuple(FUNCTIONALS), "functional")


def steps_of(frames):
    """Means of every `STEP` frames: ndarray (n_steps, n_columns) float16, which halves the memory.

    Frames that are left at the end count with the last step.

    Parameters
    ----------
    frames : ndarray (n_frames, n_columns)
        At least one.

    Examples
    --------
    >>> steps_of(np.zeros((23, 5))).shape, steps_of(np.zeros((3, 5))).shape
    ((2, 5), (1, 5))
    """
    starts = np.arange(0, max(1, len(frames) - STEP + 1), STEP)
    lengths = np.diff([*starts, len(frames)])[:, np.newaxis]
    return (np.add.reduceat(frames, starts, axis=0) / lengths).astype(np.float16)
