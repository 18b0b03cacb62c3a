"""What the frames of clips are reduced to: statistics of them, and random convolutions over time.

Networks see these beside the frames.
"""

from functools import lru_cache

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

import model_file
import speech_features
from data_extractor import ragged
from features import FRAMES, FUNCTIONALS, Contour, feature_names
from models import LIMIT

VOICED = -0.5, -0.75  # standardised harmonicity and energy above which a frame is voiced
FEWEST = 6  # frames of a kind; a clip with fewer is summed up over all frames
KERNELS = 300  # random convolutions at each dilation
DILATIONS, TAPS = (1, 2, 4, 8, 16), 9  # frames between the taps of a kernel; number of taps
MOST_COLUMNS = 3  # input columns of a kernel
HEIGHTS = 0.1, 0.9  # range of the share of training frames below a kernel's threshold
CLIPS_FOR_HEIGHTS = 100


def columns_without_deltas(features):
    """Places of the columns of frames that aren't changes of other columns: list of int.

    Parameters
    ----------
    features : list of str, or None
        None where they are unknown; then None is returned, for all columns.
    """
    if not features:
        return None
    names = feature_names(features, FRAMES)
    return [place for place, name in enumerate(names) if "_delta" not in name]


@model_file.plain
class FrameScaler(BaseEstimator):
    """Standardises every column of frame matrices by the frames of the training clips.

    Attributes
    ----------
    mean_, scale_ : ndarray (n_columns,)
    n_features_in_ : int
    """

    def fit(self, X, y=None):
        """Learn mean and deviation of each column.

        Parameters
        ----------
        X : array (n_clips,) of ndarray (n_frames, n_columns)
        y : ignored
        """
        n_frames = sum(map(len, X))
        self.mean_ = sum(x.sum(axis=0, dtype=np.float64) for x in X) / n_frames
        squares = sum(np.square(x - self.mean_).sum(axis=0) for x in X) / n_frames
        self.scale_ = np.sqrt(squares) + 1e-6
        self.n_features_in_ = len(self.mean_)
        return self

    def transform(self, X):
        """Standardise frames and cut them off at `LIMIT`: array like X, of float32.

        Parameters
        ----------
        X : array (n_clips,) of ndarray (n_frames, n_columns)
        """
        check_is_fitted(self)
        scaled = [np.clip((x - self.mean_) / self.scale_, -LIMIT, LIMIT) for x in X]
        return ragged([x.astype(np.float32) for x in scaled])


def clip_statistics(X, features=None):
    """Sum up the frames of every clip by all functionals: (n_clips, n_statistics) float32.

    As in `features.extract`, over all frames, the voiced and the gliding ones. The voiced frames
    are those of `voiced_frames`; a kind with few frames is summed up over all.

    Parameters
    ----------
    X : array (n_clips,) of ndarray (n_frames, n_columns)
        Standardised.
    features : list of str, optional
        Names of the features that the columns belong to. Default: unknown; all columns are summed
        up over all frames.
    """
    kinds, vectors = _summed_columns(tuple(features or ())), []
    for x in X:
        voiced, vector = voiced_frames(x, features), []
        rows = {"voiced": voiced, "gliding": voiced & np.append(False, voiced[:-1])}
        for kind, places in kinds.items():
            own = rows.get(kind)
            own = slice(None) if own is None or own.sum() < FEWEST else own
            contour = Contour(x[own][:, places])
            vector += [functional(contour) for functional in FUNCTIONALS.values()]
        vectors.append(np.concatenate(vector))
    return np.array(vectors, dtype=np.float32)


@lru_cache
def _summed_columns(features):
    """Kind of frames to the places of the columns that are summed up over them: dict."""
    if not features:
        return {"active": slice(None)}
    columns, kinds = feature_names(features, FRAMES), {}
    for name in features:
        own = speech_features.SUMS.get(name) or {"active": feature_names([name], FRAMES)}
        for kind, names in own.items():
            kinds.setdefault(kind, []).extend(map(columns.index, names))
    return kinds


def voiced_frames(frames, features=None):
    """Which of standardised frames are voiced: ndarray (n_frames,) of bool.

    Nine in ten agree with `speech_features.SpeechFrames.rows`, which has the waveform.

    Parameters
    ----------
    frames : ndarray (n_frames, n_columns)
    features : list of str, optional
        Names of the features that the columns belong to. Without prosody and quality no frame
        counts as voiced.
    """
    if not {"prosody", "quality"} <= set(features or ()):
        return np.zeros(len(frames), dtype=bool)
    columns = feature_names(features, FRAMES)
    places = [columns.index(name) for name in ("harmonicity", "energy")]
    return (frames[:, places] > VOICED).all(axis=1)


@model_file.plain
class RandomConvolutions(BaseEstimator):
    """Random convolutions over time: how the columns of a clip move, whatever their level.

    Every kernel weights a few columns at `TAPS` frames and has a threshold. Only the thresholds are
    learned. After Dempster et al. 2020, "ROCKET"; Tan et al. 2022, "MultiRocket".

    Parameters
    ----------
    columns : list of int, optional
        Input columns; default all.
    random_state : int

    Attributes
    ----------
    columns_ : ndarray (n_dilations, `KERNELS`, n_inputs)
    weights_ : ndarray (n_dilations, `TAPS`, `KERNELS`, n_inputs)
        They sum to zero over the taps, so that a constant added to a column changes nothing.
    thresholds_ : ndarray (n_dilations, `KERNELS`)
    """

    def __init__(self, columns=None, random_state=0):
        self.columns = columns
        self.random_state = random_state

    def fit(self, X, y=None):
        """Draw kernels, and learn their thresholds.

        Parameters
        ----------
        X : array (n_clips,) of ndarray (n_frames, n_columns)
        y : ignored
        """
        rng = np.random.default_rng(self.random_state)
        n_columns = X[0].shape[1]
        inputs = np.arange(n_columns) if self.columns is None else np.array(self.columns)
        n_inputs, shape = min(MOST_COLUMNS, len(inputs)), (len(DILATIONS), KERNELS)
        self.columns_ = inputs[rng.random((*shape, len(inputs))).argsort(axis=2)[..., :n_inputs]]
        weights = rng.standard_normal((len(DILATIONS), TAPS, KERNELS, n_inputs))
        weights -= weights.mean(axis=1, keepdims=True)
        counts = rng.integers(1, n_inputs + 1, (len(DILATIONS), 1, KERNELS, 1))
        self.weights_ = np.where(np.arange(n_inputs) < counts, weights, 0).astype(np.float32)
        some = X[rng.permutation(len(X))[:CLIPS_FOR_HEIGHTS]]
        heights, thresholds = rng.uniform(*HEIGHTS, shape), []
        for step, own, shares in zip(DILATIONS, self._kernels(n_columns), heights, strict=True):
            outputs = np.sort(np.concatenate([_convolved(x, own, step) for x in some]), axis=0)
            ranks = (shares * (len(outputs) - 1)).astype(int)
            thresholds.append(outputs[ranks, np.arange(KERNELS)])
        self.thresholds_ = np.array(thresholds)
        return self

    def _kernels(self, n_columns):
        """The weights of every tap and column: (n_dilations, TAPS * n_columns, KERNELS) float32."""
        kernels = np.zeros((len(DILATIONS), TAPS, n_columns, KERNELS), dtype=np.float32)
        for own, columns, weights in zip(kernels, self.columns_, self.weights_, strict=True):
            own[:, columns, np.arange(KERNELS)[:, np.newaxis]] = weights
        return kernels.reshape(len(DILATIONS), -1, KERNELS)

    def transform(self, X):
        """Share of the frames above each kernel's threshold, and their mean height above it.

        Parameters
        ----------
        X : array (n_clips,) of ndarray (n_frames, n_columns)

        Returns
        -------
        ndarray (n_clips, 2 * n_dilations * `KERNELS`) float32
        """
        check_is_fitted(self)
        parts = list(zip(DILATIONS, self._kernels(X[0].shape[1]), self.thresholds_, strict=True))
        vectors = []
        for x in X:
            vector = []
            for dilation, kernels, thresholds in parts:
                above = np.maximum(_convolved(x, kernels, dilation) - thresholds, 0)
                share = np.mean(above > 0, axis=0)
                vector += [share, above.mean(axis=0) / np.maximum(share, 1 / len(x))]
            vectors.append(np.concatenate(vector))
        return np.array(vectors, dtype=np.float32)


def _convolved(frames, kernels, dilation):
    """Output of kernels at every frame: (n_frames, n_kernels). End frames are repeated."""
    beyond = dilation * (TAPS // 2)
    padded = np.pad(frames, ((beyond, beyond), (0, 0)), mode="edge")
    starts = range(0, TAPS * dilation, dilation)
    return np.hstack([padded[start : start + len(frames)] for start in starts]) @ kernels
