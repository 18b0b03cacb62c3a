"""Fingerprints of recordings: find copies in spite of another codec, rate, level or start.

    prints = [fingerprint(load_audio(path)) for path in paths]
    copies(prints)                         # [0, 1, 0]: the third recording is a copy of the first

A recording is identified by its loudness in three bands over time, even among readings of one
sentence by one speaker: copies correlate with 0.988 or more at the best lag, other recordings with
0.983 at most (4,500 clips of six corpora, copies as MP3, AAC and Opus, at 8 kHz, clipped, cut).
Pairs to compare are found by their loudest moments (after Wang 2003, An industrial-strength audio
search algorithm, which uses peaks of the spectrum).
"""

from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from scipy import sparse

from parameters import SAMPLE_RATE

EDGES = 300, 700, 1500, 3000  # Hz, of the bands, which telephones and 8 kHz preserve
RATE = 200  # values a second
SMOOTH = 7  # values of a moving average: a lag of half a value then changes little
FLOOR = 1e-4  # of the highest power; codecs and rounding change what is softer
MOMENTS = 8  # per recording, at most
NEAR = 40  # values on either side of a moment that its description covers
N_DCT = 12  # DCT coefficients of a description
CLOSE = 0.05  # largest distance between descriptions of the same moment in two copies
N_GRIDS, N_AXES, CELL = 16, 12, 0.1  # random grids for descriptions: number, axes, cell size
NEIGHBOURS = 5  # descriptions of a cell that each one is compared with
SAME = 0.987  # smallest correlation of copies
SHORTEST = 0.3  # seconds that copies have in common, at least
SHARED = 0.6  # share of the shorter recording that they have in common, at least


class Fingerprint(NamedTuple):
    """The fingerprint of a recording.

    Attributes
    ----------
    curves : ndarray (n, 3) uint8
        Loudness in each band, `RATE` times a second, relative to the highest.
    moments : ndarray (n_moments,) int
        Rows of the curves at the loudest peaks; none in silence.
    descriptions : ndarray (n_moments, N_DCT) float32
        DCT coefficients of the curves around each moment.
    """

    curves: np.ndarray
    moments: np.ndarray
    descriptions: np.ndarray


SILENT = Fingerprint(np.zeros((0, 3), np.uint8), np.zeros(0, int), np.zeros((0, N_DCT), "f4"))
"""Fingerprint of a recording that is silent or too short: it is no copy of any other."""


@lru_cache
def _filters():
    from scipy.signal import butter

    return [butter(2, band, "bandpass", fs=SAMPLE_RATE, output="sos") for band in pairwise(EDGES)]


@lru_cache
def _cosines():
    time = (np.arange(2 * NEAR) + 0.5) / (2 * NEAR)
    cosines = np.cos(np.pi * np.outer(time, np.arange(N_DCT)))
    return cosines / np.linalg.norm(cosines, axis=0)


def fingerprint(y):
    """Compute the fingerprint of a recording: Fingerprint.

    Parameters
    ----------
    y : ndarray (n_samples,) of float at 16 kHz
    """
    from scipy.signal import convolve, sosfilt

    width = SAMPLE_RATE // RATE
    n = len(y) // width
    if n < SHORTEST * RATE:
        return SILENT
    bands = [sosfilt(band, y)[: n * width].reshape(n, width) for band in _filters()]
    power = np.stack([np.square(band).mean(axis=1) for band in bands], axis=1)
    highest = power.max()
    if not highest:
        return SILENT
    power = convolve(power, _bell(SMOOTH), "same", "direct")
    return described((power / highest + FLOOR) ** 0.25)  # loudness grows like that


def described(curves):
    """Make a fingerprint of loudness curves: Fingerprint.

    Parameters
    ----------
    curves : ndarray (n, 3)
        Loudness in each band, `RATE` rows a second.
    """
    curves = np.round(curves * (255 / curves.max())).astype(np.uint8)
    loudness = curves.mean(axis=1)
    moments = _loudest(loudness)
    padded = np.pad(loudness, NEAR, constant_values=255 * FLOOR**0.25)
    around = padded[moments[:, np.newaxis] + np.arange(2 * NEAR)]
    around /= np.linalg.norm(around, axis=1, keepdims=True)
    return Fingerprint(curves, moments, (around @ _cosines()).astype(np.float32))


def _bell(n):
    """A column of weights that add up to 1: ndarray (n, 1)."""
    weights = np.hanning(n + 2)[1:-1, np.newaxis]
    return weights / weights.sum()


def _loudest(loudness):
    """The highest peaks of the loudness averaged over 0.1 s: ndarray (at most MOMENTS,)."""
    from scipy.signal import find_peaks

    smooth = np.convolve(loudness, _bell(RATE // 10)[:, 0], "same")
    peaks, _ = find_peaks(smooth)
    peaks = peaks if len(peaks) else np.array([smooth.argmax()])
    return peaks[np.argsort(-smooth[peaks], kind="stable")[:MOMENTS]]


def copies(prints):
    """Find copies: for each recording the index of the first of its copies, ndarray (n,) of int.

    Parameters
    ----------
    prints : list of Fingerprint

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> loudness = np.interp(np.arange(32000) / 1600, np.arange(20), rng.random(20))
    >>> y = rng.normal(size=32000) * loudness
    >>> copies([fingerprint(each) for each in (y, y[::-1], 0.1 * y[800:])]).tolist()
    [0, 1, 0]
    """
    pairs = np.array([(i, j) for i, j, lag in _candidates(prints) if _alike(prints, i, j, lag)])
    ones, pairs = np.ones(len(pairs), bool), pairs.reshape(-1, 2).T
    graph = sparse.coo_array((ones, pairs), shape=(len(prints),) * 2)
    _, first, own = np.unique(
        sparse.csgraph.connected_components(graph)[1], return_index=True, return_inverse=True
    )
    return first[own]


def _candidates(prints):
    """Pairs with similar moments, and the lag between these: ndarray (n, 3) of int, i < j.

    Recordings with more than three moments need two that are similar at the same lag.
    """
    n_moments = np.array([len(p.moments) for p in prints], int)
    if not n_moments.sum():
        return np.zeros((0, 3), int)
    owners = np.repeat(np.arange(len(prints)), n_moments)
    places = np.concatenate([p.moments for p in prints])
    points = np.concatenate([p.descriptions for p in prints])
    a, b = _close(points)
    other = owners[a] != owners[b]
    a, b = a[other], b[other]
    lags = places[a] - places[b]
    pairs = np.stack([owners[a], owners[b], lags], axis=1)
    pairs = np.concatenate([pairs, pairs + [0, 0, 1]])  # lags that differ by 1 count as equal
    found, counts = np.unique(pairs, axis=0, return_counts=True)
    several = n_moments[found[:, :2]].min(axis=1) > 3
    return found[counts >= 1 + several]


def _close(points):
    """Nearly all pairs of points at most `CLOSE` apart: two ndarrays of int, i < j.

    Neighbours share a cell in one of several random grids (locality-sensitive hashing, Datar et al.
    2004), so time is almost linear in the number of points.
    """
    rng, n, found = np.random.default_rng(0), len(points), []
    for _ in range(N_GRIDS):
        axes = rng.normal(size=(N_DCT, N_AXES)).astype(np.float32)
        axes /= np.linalg.norm(axes, axis=0) * CELL
        cells = np.floor(points @ axes + rng.random(N_AXES, dtype=np.float32)).astype(np.int64)
        cells = cells @ rng.integers(2**62, size=N_AXES)  # a hash; the sums may overflow
        order = np.argsort(cells)
        cells = cells[order]
        for step in range(1, NEIGHBOURS + 1):
            same = np.flatnonzero(cells[step:] == cells[:-step])
            pair = np.sort([order[same], order[same + step]], axis=0)
            distances = np.linalg.norm(points[pair[0]] - points[pair[1]], axis=1)
            a, b = pair[:, distances <= CLOSE]
            found.append(a * n + b)
    return np.divmod(np.unique(np.concatenate(found)), n)


def _alike(prints, i, j, lag):
    """Whether two curves are the same at about this lag: bool."""
    first, second = (prints[k].curves.astype(np.float32) for k in (i, j))
    found = [_correlation(first, second, lag + step) for step in range(-3, 3)]
    best = int(np.argmax(found))
    if 0 < best < len(found) - 1:  # interpolate the peak by a parabola
        before, peak, after = found[best - 1 : best + 2]
        bend = before - 2 * peak + after
        if min(before, after) > 0 and bend < 0:
            return peak - (before - after) ** 2 / (8 * bend) >= SAME
    return found[best] >= SAME


def _correlation(first, second, lag):
    """Correlation of curves, the second `lag` values later: float; -1 for too short an overlap."""
    first, second = first[max(lag, 0) :], second[max(-lag, 0) :]
    n = min(len(first), len(second))
    whole = min(len(first) + max(lag, 0), len(second) + max(-lag, 0))
    if n < max(SHORTEST * RATE, SHARED * whole):
        return -1.0
    first, second = (x[:n] - x[:n].mean(axis=0) for x in (first, second))
    norm = np.sqrt(np.square(first).sum() * np.square(second).sum())
    return float((first * second).sum() / norm) if norm else -1.0
