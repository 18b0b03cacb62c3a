"""Recurrent networks that listen to the frames of a clip, one after the other.

    from deep_emotion_recognition import DeepEmotionRecognizer

    rec = DeepEmotionRecognizer(emotions=["angry", "sad", "neutral", "ps", "happy"])
    rec.train()                                 # again at no cost: the weights stay in results/
    rec.test_score(), rec.predict("call.wav"), rec.predict_proba("call.wav")
    rec.calibrate(["ann 1.wav", "ann 2.wav", "ann 3.wav"]).predict("ann 4.wav")

From the shell:

    python evaluation.py --corpus emodb --protocol group-5 --model lstm
    python evaluation.py --corpus emodb --protocol group-5 --model ensemble
    tensorboard --logdir logs                   # every epoch of every network
"""

import copy
import hashlib
import importlib.metadata
import inspect
import json
import math
import os
import tempfile
import threading
import warnings
from contextlib import contextmanager, suppress
from functools import lru_cache, partial
from itertools import count, pairwise
from pathlib import Path

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from scipy.special import log_softmax, softmax
from sklearn.base import BaseEstimator
from sklearn.linear_model import Ridge
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.validation import check_is_fitted
from tqdm.auto import tqdm

import evaluation
import model_file
import voice
from data_extractor import ragged, source_version, speaker_groups
from emotion_recognition import (
    RIDGE,
    EmotionLDA,
    EmotionRecognizer,
    SpeakerScaler,
    _Fit,
    components,
    cross_entropy,
    recommended,
    restored,
    temperature,
)
from features import FRAMES, FUNCTIONALS, Course, check_name, feature_names
from utils import quiet_stderr, replacing

DEEP_FEATURES = ("spectrum", "prosody", "quality")
CELLS = ("LSTM", "GRU", "SimpleRNN")
SEGMENT, STEP = 32, 16  # frames that a step of the recurrent layers hears, and until the next
ATTENTION = 64  # units that decide how much a step counts
LIMIT = 4.0  # standard deviations at which values are cut off
BUCKETS = 8, 10, 12, 16, 24, 48  # steps: clips of similar length share a batch
STATISTICS_DROPOUT, STEPS_DROPOUT = 0.5, 0.1
SMOOTHING = 0.1  # of the labels
HELD_OUT = 5  # a network leaves the fifth part of the speakers out
VOICED = -0.5, -0.75  # harmonicity and energy of a frame, standardised, from which on it is voiced
FEWEST = 6  # frames that are summed up by themselves
KERNELS = 300  # random convolutions at each dilation
DILATIONS, TAPS = (1, 2, 4, 8, 16), 9  # frames from one that a kernel hears to the next; of those
MOST_COLUMNS = 3  # that a kernel hears
HEIGHTS = 0.1, 0.9  # share of the training frames that a kernel's threshold is above, from and to
CLIPS_FOR_HEIGHTS = 100
SHARES = tuple(i / 10 for i in range(11))  # of the networks, beside the linear head
FLATTERY = 2  # divides a share that is best for speakers who told the networks when to stop
CURVES = "curves.png"  # in the folder of a run in logs_dir
LINES = "-", "--", ":", "-."  # of the networks in it
PATIENCE = 6  # epochs without better recognition of the held-out speakers
_SOURCE = Path(__file__).read_bytes()


@model_file.plain
class FrameScaler(BaseEstimator):
    """Standardises every column of frame matrices by the frames that it was fitted on.

    Attributes
    ----------
    mean_, scale_ : ndarray (n_columns,)
    n_features_in_ : int
    """

    def fit(self, X, y=None):
        """Learn from matrices X (n_clips,), each (n_frames, n_columns)."""
        n_frames = sum(map(len, X))
        self.mean_ = sum(x.sum(axis=0, dtype=np.float64) for x in X) / n_frames
        squares = sum(np.square(x - self.mean_).sum(axis=0) for x in X) / n_frames
        self.scale_ = np.sqrt(squares) + 1e-6
        self.n_features_in_ = len(self.mean_)
        return self

    def transform(self, X):
        """Standardise matrices: array (n_clips,) of matrices, cut off at `LIMIT`."""
        check_is_fitted(self)
        scaled = [np.clip((x - self.mean_) / self.scale_, -LIMIT, LIMIT) for x in X]
        return ragged([x.astype(np.float32) for x in scaled])


@model_file.plain
class VoiceScaler:
    """Standardises what a speaker says by that speaker's frames; see `SpeakerScaler`.

    A clip counts by the mean and the log deviation of its frames.
    """

    def fit(self, X, groups, y):
        """Learn the average speaker from matrices X, groups and labels y, all (n_clips,)."""
        self.clips = SpeakerScaler().fit(self._summaries(X), groups, y)
        return self

    @staticmethod
    def _summaries(X):
        means, stds = ([f(x, axis=0, dtype=np.float64) for x in X] for f in (np.mean, np.std))
        return np.hstack([means, np.log(np.array(stds) + 1e-3)])

    def statistics(self, X, labels=None):
        """The mean and deviation of a voice's frames, see `SpeakerScaler.statistics`."""
        middle, _ = self.clips.statistics(self._summaries(X), labels)
        mean, log_std = np.split(middle, 2)
        return mean, np.exp(log_std)

    def transform(self, X, groups):
        """Standardise each speaker's clips by all of that speaker's."""
        Z = np.empty(len(X), dtype=object)
        for speaker in np.unique(groups):
            own = np.flatnonzero(groups == speaker)
            mean, std = self.statistics([X[i] for i in own])
            for i in own:
                Z[i] = (X[i] - mean) / std
        return Z


# the network


def clip_statistics(X, features=None):
    """Sum up the frames of every clip: ndarray (n_clips, n_statistics) float32.

    As `features.extract` does, by all functionals, over all frames, the voiced and the gliding
    ones; but here the frames are standardised, and tell themselves which of them are voiced.

    Parameters
    ----------
    X : array (n_clips,) of ndarray (n_frames, n_columns)
        Standardised.
    features : list of str, optional
        Whose frames they are. Without it all columns are summed up over all frames.
    """
    kinds = _summed_columns(tuple(features or ()))
    vectors = []
    for x in X:
        kept, vector = _rows(x, features), []
        for kind, places in kinds.items():
            course = Course(x[kept[kind]][:, places])
            vector += [functional(course) for functional in FUNCTIONALS.values()]
        vectors.append(np.concatenate(vector))
    return np.array(vectors, dtype=np.float32)


@lru_cache
def _summed_columns(features):
    """Kind of frames to the places of the columns that are summed up over them: dict."""
    if not features:
        return {"active": slice(None)}
    columns, kinds = feature_names(features, FRAMES), {}
    for name in features:
        own = voice.SUMS.get(name) or {"active": feature_names([name], FRAMES)}
        for kind, names in own.items():
            kinds.setdefault(kind, []).extend(map(columns.index, names))
    return kinds


def voiced_frames(frames, features=None):
    """Which of standardised frames (n_frames, n_columns) are voiced: ndarray of bool.

    Nine in ten are those of `voice.Voice.rows`, which knows the waveform; where the features can't
    tell, none are.
    """
    if not {"prosody", "quality"} <= set(features or ()):
        return np.zeros(len(frames), dtype=bool)
    columns = feature_names(features, FRAMES)
    told = [columns.index(name) for name in ("harmonicity", "energy")]
    return (frames[:, told] > VOICED).all(axis=1)


def _rows(frames, features):
    """Kind of frames, see `voice.SUMS`, to which ones they are; all where there are too few."""
    voiced = voiced_frames(frames, features)
    rows = {"voiced": voiced, "gliding": voiced & np.append(False, voiced[:-1])}
    rows = {kind: own if own.sum() >= FEWEST else slice(None) for kind, own in rows.items()}
    return rows | {"active": slice(None)}


@model_file.plain
class RandomConvolutions(BaseEstimator):
    """What random convolutions over time say of clips: how a voice moves, whatever its level.

    Every kernel hears a few columns at `TAPS` frames, and has a threshold. It says in how many
    frames of a clip it is above it, and how far. Nothing is learned but the thresholds. After
    Dempster et al. 2020, "ROCKET"; Tan et al. 2022, "MultiRocket".

    Parameters
    ----------
    columns : list of int, optional
        Which ones are heard; default all.
    random_state : int

    Attributes
    ----------
    columns_ : ndarray (n_dilations, `KERNELS`, n_heard)
    weights_ : ndarray (n_dilations, `TAPS`, `KERNELS`, n_heard)
        Without a sum, so that a constant more in a column changes nothing.
    thresholds_ : ndarray (n_dilations, `KERNELS`)
    """

    def __init__(self, columns=None, random_state=0):
        self.columns = columns
        self.random_state = random_state

    def fit(self, X, y=None):
        """Draw kernels, and set their thresholds by matrices X (n_clips,)."""
        rng = np.random.default_rng(self.random_state)
        n_columns = X[0].shape[1]
        heard = np.arange(n_columns) if self.columns is None else np.array(self.columns)
        n_heard, shape = min(MOST_COLUMNS, len(heard)), (len(DILATIONS), KERNELS)
        self.columns_ = heard[rng.random((*shape, len(heard))).argsort(axis=2)[..., :n_heard]]
        weights = rng.standard_normal((len(DILATIONS), TAPS, KERNELS, n_heard))
        weights -= weights.mean(axis=1, keepdims=True)
        counts = rng.integers(1, n_heard + 1, (len(DILATIONS), 1, KERNELS, 1))
        self.weights_ = np.where(np.arange(n_heard) < counts, weights, 0).astype(np.float32)
        some = X[rng.permutation(len(X))[:CLIPS_FOR_HEIGHTS]]
        heights, kernels = rng.uniform(*HEIGHTS, shape), self._kernels(n_columns)
        self.thresholds_ = np.array([
            _each_quantile(np.concatenate([_convolved(x, own, dilation) for x in some]), shares)
            for dilation, own, shares in zip(DILATIONS, kernels, heights, strict=True)
        ])  # fmt: skip
        return self

    def _kernels(self, n_columns):
        """The weights of every tap and column: (n_dilations, TAPS * n_columns, KERNELS) float32."""
        kernels = np.zeros((len(DILATIONS), TAPS, n_columns, KERNELS), dtype=np.float32)
        for own, columns, weights in zip(kernels, self.columns_, self.weights_, strict=True):
            own[:, columns, np.arange(KERNELS)[:, np.newaxis]] = weights
        return kernels.reshape(len(DILATIONS), -1, KERNELS)

    def transform(self, X):
        """Share of the frames above the threshold, and how far these are above it on average.

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
    """What kernels say of every frame: (n_frames, n_kernels). The ends of a clip go on."""
    beyond = dilation * (TAPS // 2)
    padded = np.pad(frames, ((beyond, beyond), (0, 0)), mode="edge")
    starts = range(0, TAPS * dilation, dilation)
    return np.hstack([padded[start : start + len(frames)] for start in starts]) @ kernels


def _columns_without_deltas(features):
    """The places of the columns that aren't changes of others, or None for all."""
    if not features:
        return None
    names = feature_names(features, FRAMES)
    return [place for place, name in enumerate(names) if "_delta" not in name]


def _each_quantile(values, shares):
    """The quantile of each column of values (n, m) at its own share (m,)."""
    ranks = (shares * (len(values) - 1)).astype(int)
    return np.sort(values, axis=0)[ranks, np.arange(len(ranks))]


def segments(frames):
    """Mean and deviation of `SEGMENT` frames, every `STEP` frames: (n_steps, 2 * n_columns).

    The last frame of a clip that doesn't make a segment is repeated.
    """
    missing = max(0, SEGMENT - len(frames))
    frames = np.pad(frames, ((0, missing), (0, 0)), mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(frames, SEGMENT, axis=0)[::STEP]
    return np.hstack([windows.mean(axis=-1), windows.std(axis=-1)])


def build_network(n_columns, n_statistics, n_outputs, *, classification=True, n_rnn_layers=2,
                  n_dense_layers=2, rnn_units=64, dense_units=128, cell="LSTM", bidirectional=True,
                  dropout=(0.4, 0.4, 0.4, 0.4)):  # fmt: skip
    """A Keras network from the frames of a clip to a score for each class, or to one number.

    It has two heads, each of dense layers and with a loss of its own; what they say is averaged.
    One is given statistics of the clip, the other what the recurrent layers make of segments
    of frames: its mean and deviation over time, and its mean by attention. Padding takes no part
    in it.

    Parameters
    ----------
    n_columns, n_statistics, n_outputs : int
    classification : bool
    n_rnn_layers, n_dense_layers, rnn_units, dense_units, cell, bidirectional, dropout
        See `FrameNetwork`; here `dropout` has a number for each layer.

    Returns
    -------
    keras.Model
        Inputs: steps (n_clips, n_steps, 2 * n_columns), see `segments`, standardised; mask
        (n_clips, n_steps), 1 for a step and 0 for padding; statistics (n_clips, n_statistics), see
        `clip_statistics` and `RandomConvolutions`, standardised. Output (n_clips, n_heads,
        n_outputs): log probabilities or numbers.
    """
    from keras import Input, Model, layers, ops

    steps, mask = Input((None, 2 * n_columns), name="steps"), Input((None,), name="mask")
    statistics = Input((n_statistics,), name="statistics")
    hidden = layers.Dropout(STATISTICS_DROPOUT)(statistics)
    heads = [layers.Dense(dense_units, activation="relu")(hidden)]
    if n_rnn_layers:
        heard = layers.Dropout(STEPS_DROPOUT)(steps)
        for rate in dropout[:n_rnn_layers]:
            layer = getattr(layers, cell)(rnn_units, return_sequences=True)
            layer = layers.Bidirectional(layer) if bidirectional else layer
            heard = layers.Dropout(rate)(layer(heard, mask=mask > 0.5))
        heads.append(_over_time(heard, mask))
    outputs = []
    for hidden in heads:
        for rate in dropout[n_rnn_layers:]:
            hidden = layers.Dropout(rate)(hidden)
            hidden = layers.Dense(dense_units, activation="relu")(hidden)
        outputs.append(layers.Dense(n_outputs, dtype="float32")(hidden))
    output = ops.stack(outputs, axis=1)
    output = ops.log_softmax(output) if classification else output
    return Model([steps, mask, statistics], output)


def _over_time(steps, mask):
    """Mean, deviation, and mean by attention of the steps of clips: (n_clips, 3 * n_units).

    Attention as in Lin et al. 2017, "A structured self-attentive sentence embedding", with one
    head.
    """
    from keras import layers, ops

    weights = ops.expand_dims(mask, -1)
    count = ops.maximum(ops.sum(weights, axis=1), 1)
    mean = ops.sum(steps * weights, axis=1) / count
    around = ops.square(steps - ops.expand_dims(mean, 1)) * weights
    deviation = ops.sqrt(ops.sum(around, axis=1) / count + 1e-4)
    importance = layers.Dense(1)(layers.Dense(ATTENTION, activation="tanh")(steps))
    attention = ops.softmax(importance - 1e4 * (1 - weights), axis=1)
    return ops.concatenate([mean, deviation, ops.sum(attention * steps, axis=1)], axis=1)


@model_file.plain
class FrameNetwork(BaseEstimator):
    """An ensemble of recurrent networks as a scikit-learn estimator of frame matrices.

    Each network leaves another fifth of the training speakers out, and listens to them only to
    know when to learn slower and when to stop. Beside them there is a linear head on the same
    statistics, set by a formula (`EmotionLDA`; ridge regression for numbers). What is said of the
    speakers that were left out sets how much the networks count beside it (half of what is best
    there, for these speakers told the networks when to stop), and the temperature of the
    probabilities (Guo et al. 2017).

    Parameters
    ----------
    classification : bool
        Else there is one output, a number.
    features : list of str, optional
        Whose frames the matrices are; see `clip_statistics`.
    n_networks : int
        At most: no more than there are speakers, nor more than `HELD_OUT`.
    n_rnn_layers, n_dense_layers : int
        0 leaves them out.
    rnn_units, dense_units : int
        Of each layer; the recurrent ones have as many again for the other direction.
    cell : {"LSTM", "GRU", "SimpleRNN"}
    bidirectional : bool
    dropout : float or list of float
        Of every layer, or a number for each, the recurrent ones first.
    batch_size : int
    epochs : int
        At most; see `PATIENCE`.
    optimizer : str
        Of Keras.
    learning_rate : float
        At the beginning.
    loss : str, optional
        Of Keras. Default: cross-entropy with smoothed labels; mean absolute error.
    augment : bool
        Learn from variations of the clips, see `varied`.
    mixed_precision : bool
        Train with 16 bits, which some GPUs do faster. The weights have 32.
    n_jobs : int
        Networks that are trained at a time, each by a process; on a GPU one.
    verbose : int
        0 draws no progress bar.
    random_state : int, optional
        Seed; the same one gives the same weights on the same machine.
    results_dir, logs_dir : path
        Where the weights are kept; what TensorBoard shows, with a picture of the curves, or None.
    override : bool
        Train even if results_dir has the weights of an identical run.

    Attributes
    ----------
    classes_ : ndarray (n_classes,)
        Of a classifier.
    network_ : keras.Model
        The mean of all networks, and the linear head.
    share_ : float
        Of the networks in what is said, beside the linear head.
    temperature_ : float
    history_ : DataFrame
        network, epoch, loss, val_loss, val_accuracy (or val_mae), learning_rate.
    """

    not_saved = "n_jobs", "verbose", "results_dir", "logs_dir", "override"

    def __init__(self, *, classification=True, features=None, n_networks=2, n_rnn_layers=2,
                 n_dense_layers=2, rnn_units=64, dense_units=128, cell="LSTM", bidirectional=True,
                 dropout=0.4, batch_size=32, epochs=30, optimizer="adamw", learning_rate=1e-3,
                 loss=None, augment=True, mixed_precision=False, n_jobs=-1, verbose=1,
                 random_state=None, results_dir="results", logs_dir="logs",
                 override=False):  # fmt: skip
        self.classification = classification
        self.features = features
        self.n_networks = n_networks
        self.n_rnn_layers = n_rnn_layers
        self.n_dense_layers = n_dense_layers
        self.rnn_units = rnn_units
        self.dense_units = dense_units
        self.cell = cell
        self.bidirectional = bidirectional
        self.dropout = dropout
        self.batch_size = batch_size
        self.epochs = epochs
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.loss = loss
        self.augment = augment
        self.mixed_precision = mixed_precision
        self.n_jobs = n_jobs
        self.verbose = verbose
        self.random_state = random_state
        self.results_dir = results_dir
        self.logs_dir = logs_dir
        self.override = override

    def fit(self, X, y, groups=None, copies=None):
        """Train the networks, or load the weights of an identical earlier run.

        Parameters
        ----------
        X : array (n_clips,) of ndarray (n_frames, n_columns)
            Standardised frames.
        y : ndarray (n_clips,)
        groups : ndarray (n_clips,), optional
            Speakers; without them each clip counts as one.
        copies : dict of name to function, optional
            What else is learned from: copies of all clips, frames as in X. They are made one after
            the other, as frames take much memory, and not at all if the weights are there.

        Returns
        -------
        self
        """
        copies = copies or {}
        groups = np.arange(len(y)) if groups is None or len(set(groups)) < 2 else groups
        targets = self._targets(y)
        columns, seed = _columns_without_deltas(self.features), self.random_state or 0
        self.convolutions_ = RandomConvolutions(columns, seed).fit(X)
        steps, statistics = self._summed(X)
        self.steps_scaler_ = FrameScaler().fit(steps)
        self.statistics_scaler_ = StandardScaler().fit(statistics)
        self.n_columns_, self.n_statistics_ = X[0].shape[1], statistics.shape[1]
        folds = evaluation.speaker_folds(y, groups, HELD_OUT, seed)
        self.n_networks_ = min(self.n_networks, len(folds))
        fingerprint = self._fingerprint(X, y, groups, [*copies])
        path = Path(self.results_dir) / f"{self.cell.lower()}-{fingerprint}.npz"
        known = not self.override and path.is_file()
        if known:
            with np.load(path, allow_pickle=False) as file:
                kept = dict(file)
        else:
            versions = [self._scaled(steps, statistics)]
            versions += [self._scaled(*self._summed(make())) for make in copies.values()]
            steps, statistics = map(np.concatenate, zip(*versions, strict=True))
            data = steps, statistics, targets, self._weights(y)
            kept = self._train(*data, folds, path.stem)
            path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(path) as temporary, temporary.open("wb") as file:
                np.savez(file, **kept)
        self._restore(kept)
        if not known and self.logs_dir is not None:
            figure = evaluation.new_figure(6.4, 4)
            draw_curves(self.history_, ax=figure.subplots())
            evaluation.save_figure(figure, Path(self.logs_dir) / path.stem / CURVES)
        return self

    def _targets(self, y):
        """One column a class (n_clips, n_classes), or the numbers (n_clips, 1): float32."""
        if not self.classification:
            return np.asarray(y, dtype=np.float32)[:, np.newaxis]
        self.classes_, index = np.unique(y, return_inverse=True)
        return np.eye(len(self.classes_), dtype=np.float32)[index]

    def _weights(self, y):
        """The weight of each clip (n_clips,), the same for every class together."""
        kind = "balanced" if self.classification else None
        return compute_sample_weight(kind, y).astype(np.float32)

    def rates(self):
        """The dropout of each layer: list of float."""
        n_layers = self.n_rnn_layers + self.n_dense_layers
        one = not isinstance(self.dropout, (list, tuple))
        rates = [self.dropout] * n_layers if one else self.dropout
        if len(rates) != n_layers:
            raise ValueError(
                f"dropout has {len(rates)} numbers for {self.n_rnn_layers} recurrent and "
                f"{self.n_dense_layers} dense layers; give one number, or {n_layers}."
            )
        return list(rates)

    def _architecture(self):
        """The arguments of `build_network`."""
        names = ("classification", "n_rnn_layers", "n_dense_layers", "rnn_units", "dense_units",
                 "cell", "bidirectional")  # fmt: skip
        n_outputs = len(self.classes_) if self.classification else 1
        return {name: getattr(self, name) for name in names} | {
            "dropout": self.rates(), "n_columns": self.n_columns_,
            "n_statistics": self.n_statistics_, "n_outputs": n_outputs,
        }  # fmt: skip

    def _fingerprint(self, X, y, groups, copies):
        """A digest of all that the weights depend on."""
        settings = {k: v for k, v in self.get_params().items() if k not in self.not_saved}
        versions = [importlib.metadata.version(name) for name in ("tensorflow", "keras", "numpy")]
        digest = hashlib.sha256(_SOURCE)
        parts = settings, versions, source_version(), copies, y.tolist(), groups.tolist()
        digest.update(json.dumps(parts).encode())
        for x in X:
            digest.update(np.ascontiguousarray(x))
        return digest.hexdigest()[:16]

    def _train(self, steps, statistics, targets, weights, folds, name):
        """Train a network for each of the first folds: what `_restore` needs, a dict of arrays.

        Of steps and statistics there may be several versions, one after the other. The networks
        learn from all, in epochs as long as if there were one, and are judged by the first.
        """
        n_clips, n_versions = len(targets), len(steps) // len(targets)
        copied = n_clips * np.arange(n_versions)[:, np.newaxis]
        folds = [((copied + train).ravel(), held_out) for train, held_out in folds]
        targets, weights = np.tile(targets, (n_versions, 1)), np.tile(weights, n_versions)
        tf = _tensorflow()
        n_jobs = 1 if tf.config.list_physical_devices("GPU") else self.n_jobs
        flat, starts = np.concatenate(steps), np.cumsum([0, *map(len, steps)])
        kept, outputs, seed = {}, np.empty_like(targets), self.random_state or 0
        settings = self.get_params() | {
            "architecture": self._architecture(), "n_versions": n_versions
        }  # fmt: skip
        with self._log_folder(name) as folder, self._progress(folder), _no_leak_alarm():
            work = Parallel(n_jobs, return_as="generator_unordered")(
                delayed(_train_network)(
                    i, settings, flat, starts, statistics, targets, weights, *fold, seed + i,
                    str(folder),
                )
                for i, fold in enumerate(folds[: self.n_networks_])
            )  # fmt: skip
            for i, arrays, heard in work:
                kept |= {f"weights_{i}_{j}": array for j, array in enumerate(arrays)}
                outputs[folds[i][1]] = heard
            files = [_epochs_file(folder, i) for i in range(self.n_networks_)]
            history = pd.concat(
                [pd.read_csv(file).assign(network=i) for i, file in enumerate(files)]
            )
        kept |= self._set_linear_head(statistics, targets, outputs, folds)
        kept["history"] = np.array(history.to_json(orient="records"))
        return kept

    def _set_linear_head(self, statistics, targets, heard, folds):
        """The linear head, how much it counts, and the temperature, by the speakers left out.

        The head learns from all versions of the clips, and is judged by the first, as the networks
        are. Its own temperature is by all folds. What is added for the networks is by the folds
        that there is a network for, beside the head on the same clips.

        Parameters
        ----------
        statistics : ndarray (n_clips, n_statistics)
        targets : ndarray (n_clips, n_outputs)
        heard : ndarray (n_clips, n_outputs)
            The mean of what the networks' heads said of the clips that they left out; the others'
            rows are not looked at.
        folds : list of (train, held_out)
            Rows, in train of all versions.

        Returns
        -------
        dict of ndarray
            linear_weights (n_statistics, n_outputs), linear_offsets (n_outputs,); share () of the
            networks in what is said; temperature ().
        """
        n_clips = sum(len(held_out) for _, held_out in folds)
        copied, said = len(targets) > n_clips, np.empty((n_clips, targets.shape[1]))
        for train, held_out in folds:
            weights, offsets = _linear_head(statistics[train], targets[train], copied)
            said[held_out] = statistics[held_out] @ weights + offsets
        weights, offsets = _linear_head(statistics, targets, copied)
        if self.classification:
            own = temperature(said, targets[:n_clips].argmax(axis=1))
            weights, offsets = weights / own, offsets / own
            said = log_softmax(said / own, axis=1)
        rows = np.concatenate([held_out for _, held_out in folds[: self.n_networks_]])
        heard, said, targets = heard[rows], said[rows], targets[rows]

        def votes(share):
            return share * heard + (1 - share) * said

        best = min(SHARES, key=lambda share: self._error(votes(share), targets))
        share, both = best / FLATTERY, 1.0
        if self.classification:
            truth = targets.argmax(axis=1)
            both = temperature(votes(share), truth) / temperature(said, truth)
        return {
            "linear_weights": weights.astype(np.float32),
            "linear_offsets": offsets.astype(np.float32),
            "share": np.array(share),
            "temperature": np.array(both),
        }

    def _error(self, votes, targets):
        """Mean absolute error, or cross-entropy at the best temperature.

        By UAR, which only the clips between two classes decide, the share would be more of a draw.
        """
        if not self.classification:
            return np.abs(votes - targets).mean()
        truth = targets.argmax(axis=1)
        return cross_entropy(votes / temperature(votes, truth), truth)

    def _summed(self, X):
        """Segments and statistics of clips, among these what random convolutions say."""
        statistics = clip_statistics(X, self.features), self.convolutions_.transform(X)
        return [segments(x) for x in X], np.hstack(statistics)

    def _scaled(self, steps, statistics):
        """Standardise what `segments` and `clip_statistics` made of clips, and cut it off."""
        statistics = np.clip(self.statistics_scaler_.transform(statistics), -LIMIT, LIMIT)
        return self.steps_scaler_.transform(steps), statistics

    @contextmanager
    def _log_folder(self, name):
        if self.logs_dir is None:
            with tempfile.TemporaryDirectory() as folder:
                yield Path(folder)
            return
        folder = Path(self.logs_dir) / name
        folder.mkdir(parents=True, exist_ok=True)
        yield folder

    @contextmanager
    def _progress(self, folder):
        """A bar over all epochs, which the networks write down as they end."""
        n_networks = self.n_networks_
        for i in range(n_networks):
            _epochs_file(folder, i).unlink(missing_ok=True)
        if not self.verbose:
            yield
            return
        ended = threading.Event()
        with tqdm(total=n_networks * self.epochs, desc="Training", unit="epoch") as bar:

            def watch():
                while not ended.wait(0.5):
                    done = [_epochs_done(folder, i) for i in range(n_networks)]
                    bar.update(sum(done) - bar.n)

            watcher = threading.Thread(target=watch, daemon=True)
            watcher.start()
            try:
                yield
            finally:
                ended.set()
                watcher.join()
                done = sum(_epochs_done(folder, i) for i in range(n_networks))
                since = bar.start_t
                bar.reset(done)  # some networks have stopped early: a full bar, in notebooks too
                bar.start_t = since
                bar.update(done)

    def _restore(self, kept):
        """Build the networks from their weights, and one that is the mean of them and linear."""
        self.share_ = float(kept["share"])
        *networks, linear = self._build()
        for i, network in enumerate(networks):
            n_arrays = len(network.get_weights())
            network.set_weights([kept[f"weights_{i}_{j}"] for j in range(n_arrays)])
        linear.set_weights([kept["linear_weights"], kept["linear_offsets"]])
        self.temperature_ = float(kept["temperature"])
        self.history_ = pd.DataFrame(json.loads(str(kept["history"])))

    def _build(self):
        """Build the networks and a linear layer, which are returned, and one that joins them."""
        _tensorflow()
        from keras import Model, layers, ops

        networks = [build_network(**self._architecture()) for _ in range(self.n_networks_)]
        inputs = networks[0].inputs
        heard = ops.concatenate([network(inputs) for network in networks], axis=1)
        linear = layers.Dense(heard.shape[-1], name="linear")
        said = linear(inputs[2])
        said = ops.log_softmax(said) if self.classification else said
        votes = self.share_ * ops.mean(heard, axis=1) + (1 - self.share_) * said
        self.network_ = Model(inputs, votes[:, None])
        self._hear = as_function(self.network_)
        return [*networks, linear]

    def __getstate__(self):
        """What copies, pickles and files hold: the network as the bytes of a .keras file."""
        state = super().__getstate__()
        if "network_" not in state:
            return state
        plain = {"network_": model_file.network_bytes(self.network_),
                 "history_": self.history_.to_json(orient="records")}  # fmt: skip
        return {name: part for name, part in state.items() if name != "_hear"} | plain

    def __setstate__(self, state):
        """Build the network anew, from the settings; the file gives nothing but its weights."""
        super().__setstate__(state)
        if "network_" not in state:
            return
        _tensorflow()
        check_name(self.cell, CELLS, "cell")
        least = (  # what its layers have at any rate
            self.n_rnn_layers * self.rnn_units**2 + self.n_dense_layers * self.dense_units**2
            + bool(self.n_rnn_layers) * self.n_columns_ * self.rnn_units
            + self.n_statistics_ * self.dense_units
        )  # fmt: skip
        if self.n_networks_ * least > model_file.n_weights(state["network_"]):
            raise model_file.ModelFileError("its network has fewer weights than its settings need")
        self._build()
        model_file.load_weights(self.network_, state["network_"])
        self.history_ = pd.DataFrame(json.loads(self.history_))

    def decision_function(self, X):
        """Mean log probabilities (n_clips, n_classes), or numbers (n_clips, 1)."""
        check_is_fitted(self, "network_")
        return predict_batches(self._hear, *self._scaled(*self._summed(X)))

    def predict_proba(self, X):
        """Probabilities (n_clips, n_classes)."""
        return softmax(self.decision_function(X) / self.temperature_, axis=1)

    def predict(self, X):
        """The likeliest class of each clip, or its number: ndarray (n_clips,)."""
        outputs = self.decision_function(X)
        if not self.classification:
            return outputs[:, 0].astype(float)
        return self.classes_[outputs.argmax(axis=1)]


def _linear_head(statistics, targets, copied):
    """Weights (n_statistics, n_outputs) and offsets (n_outputs,) of linear scores, or numbers.

    Copied says whether there are copies of clips among them.
    """
    if targets.shape[1] == 1:
        model = Ridge(RIDGE).fit(statistics, targets[:, 0])
        return model.coef_[:, np.newaxis], np.array([model.intercept_])
    model = EmotionLDA(components(copied), clip=LIMIT).fit(statistics, targets.argmax(axis=1))
    weights = np.zeros((statistics.shape[1], targets.shape[1]))
    offsets = np.full(targets.shape[1], -1e3)  # of a class that these clips lack
    weights[:, model.classes_], offsets[model.classes_] = model.coef_, model.intercept_
    return weights, offsets


@lru_cache
def _tensorflow():
    """TensorFlow, which takes of a GPU's memory what it needs and not all.

    oneDNN is off unless the environment says otherwise: with it results depend on the order of
    threads.
    """
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with quiet_stderr():  # it greets in several lines, and tells of every GPU that isn't there
        try:
            import tensorflow as tf
        except ImportError as error:
            raise ModuleNotFoundError(
                "DeepEmotionRecognizer needs TensorFlow, which isn't published for every Python "
                "yet: pip install 'tensorflow>=2.16'"
            ) from error
        tf.get_logger().setLevel("ERROR")  # it warns of five networks, each of which is traced once
        for gpu in tf.config.list_physical_devices("GPU"):
            with suppress(RuntimeError):  # already in use
                tf.config.experimental.set_memory_growth(gpu, True)
    return tf


@contextmanager
def _no_leak_alarm():
    """Keep from the user that joblib takes TensorFlow's memory for a leak and renews a process."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "A worker stopped while some jobs", UserWarning)
        yield


def _epochs_file(folder, i):
    return Path(folder) / f"network-{i}.csv"


def _epochs_done(folder, i):
    path = _epochs_file(folder, i)
    return max(0, path.read_bytes().count(b"\n") - 1) if path.is_file() else 0


def _train_network(i, settings, flat, starts, statistics, targets, weights, train, held_out, seed,
                   folder):  # fmt: skip
    """Train one network, in a process of its own: its number, its weights, what it says of the
    clips held out."""
    tf = _tensorflow()
    import keras
    from keras import callbacks

    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()
    with suppress(RuntimeError):  # in this process a network was trained before
        tf.config.threading.set_inter_op_parallelism_threads(1)
        tf.config.threading.set_intra_op_parallelism_threads(1)
    steps = [flat[a:b] for a, b in pairwise(starts)]
    with _precision(settings["mixed_precision"]):
        network = build_network(**settings["architecture"])
        network.compile(_optimizer(settings), jit_compile=False, **_loss_and_metrics(settings))
    # a network that is surer and as often right has a higher loss
    watched = "val_accuracy" if settings["classification"] else "val_loss"
    n_heads = network.output_shape[1]
    each = (np.repeat(array[:, np.newaxis], n_heads, axis=1) for array in (targets, weights))
    data = steps, statistics, *each
    network.fit(
        _batches(*data, train, settings["batch_size"], seed, settings["augment"]),
        validation_data=_batches(*data, held_out, settings["batch_size"]),
        epochs=settings["epochs"],
        steps_per_epoch=math.ceil(len(train) / settings["n_versions"] / settings["batch_size"]),
        shuffle=False,  # the batches come in another order by themselves
        verbose=0,
        callbacks=[
            callbacks.CSVLogger(str(_epochs_file(folder, i))),
            callbacks.TensorBoard(str(Path(folder) / f"network-{i}"), write_graph=False),
            callbacks.ReduceLROnPlateau(factor=0.5, patience=PATIENCE // 2),
            callbacks.EarlyStopping(watched, patience=PATIENCE, restore_best_weights=True),
        ],
    )
    own = [steps[j] for j in held_out], statistics[held_out]
    heard = predict_batches(as_function(network), *own)
    return i, network.get_weights(), heard


@contextmanager
def _precision(mixed):
    """A block whose networks compute with 16 bits, where mixed, but for their last layers."""
    from keras import config

    before = config.dtype_policy()
    config.set_dtype_policy("mixed_float16" if mixed else before)
    try:
        yield
    finally:
        config.set_dtype_policy(before)


def _optimizer(settings):
    from keras import optimizers

    optimizer = optimizers.get(settings["optimizer"])
    optimizer.learning_rate = settings["learning_rate"]
    optimizer.global_clipnorm = 5.0
    return optimizer


def _loss_and_metrics(settings):
    """Keras's arguments: what is minimised, and a measure for people."""
    from keras import losses

    if not settings["classification"]:
        return {"loss": settings["loss"] or "mae", "metrics": ["mae"]}
    entropy = losses.CategoricalCrossentropy(from_logits=True, label_smoothing=SMOOTHING)
    return {"loss": settings["loss"] or entropy, "metrics": ["accuracy"]}


def _batches(steps, statistics, targets, weights, rows, batch_size, seed=None, augment=False):
    """Padded batches of clips of similar length, in another order and variation each epoch.

    Returns
    -------
    tf.data.Dataset
        Of dict of steps, mask, statistics; targets; weights. With a seed it never ends.
    """
    tf = _tensorflow()
    epochs = count()

    def clips():
        rng = np.random.default_rng([seed or 0, next(epochs)])
        for i in rows if seed is None else rng.permutation(rows):
            own = varied(steps[i], rng) if augment else steps[i]
            mask = np.ones(len(own), dtype=np.float32)
            yield {"steps": own, "mask": mask, "statistics": statistics[i]}, targets[i], weights[i]

    inputs = {
        "steps": tf.TensorSpec((None, steps[0].shape[1]), tf.float32),
        "mask": tf.TensorSpec((None,), tf.float32),
        "statistics": tf.TensorSpec(statistics.shape[1:], tf.float32),
    }
    labels = [tf.TensorSpec(array.shape[1:], tf.float32) for array in (targets, weights)]
    dataset = tf.data.Dataset.from_generator(clips, output_signature=(inputs, *labels))
    dataset = dataset.repeat() if seed is not None else dataset
    dataset = dataset.bucket_by_sequence_length(
        lambda inputs, *_: tf.shape(inputs["mask"])[0],
        BUCKETS,
        [batch_size] * (len(BUCKETS) + 1),
    )
    if seed is None:  # Keras likes to know how many there are
        counts = np.bincount(np.digitize([len(steps[i]) for i in rows], BUCKETS))
        n_batches = np.ceil(counts / batch_size).sum()
        dataset = dataset.apply(tf.data.experimental.assert_cardinality(int(n_batches)))
    return dataset.prefetch(2)


def varied(steps, rng):
    """A clip spoken a little faster or slower, in noise, with gaps in time and in its columns.

    The gaps are those of SpecAugment (Park et al. 2019).

    Parameters
    ----------
    steps : ndarray (n_steps, n_columns)
        Standardised.
    rng : numpy Generator

    Returns
    -------
    ndarray (n_new_steps, n_columns) float32
    """
    n_steps = max(1, round(len(steps) * np.exp(rng.uniform(-0.2, 0.2))))
    place = np.linspace(0, len(steps) - 1, n_steps)
    before = place.astype(int)
    after = np.minimum(before + 1, len(steps) - 1)
    share = (place - before)[:, np.newaxis].astype(np.float32)
    steps = steps[before] * (1 - share) + steps[after] * share
    steps += 0.2 * rng.standard_normal(steps.shape, dtype=np.float32)
    width = rng.integers(0, max(1, n_steps // 5))
    start = rng.integers(0, n_steps - width + 1)
    steps[start : start + width] = 0
    return steps * (rng.random(steps.shape[1]) > 0.1)


def as_function(network):
    """A network as a function of batches of any size, traced once."""
    tf = _tensorflow()
    signature = [tf.TensorSpec(tensor.shape, tf.float32) for tensor in network.inputs]
    return tf.function(lambda *inputs: network(inputs, training=False), signature, autograph=False)


def predict_batches(hear, steps, statistics, batch_size=64):
    """The mean of what a network's heads say of clips: (n_clips, n_outputs).

    Clips of similar length are heard at a time.

    Parameters
    ----------
    hear : callable
        Of `as_function`.
    steps : list of ndarray (n_steps, n_columns)
    statistics : ndarray (n_clips, n_statistics)
    batch_size : int
    """
    lengths, outputs = np.array([len(own) for own in steps]), None
    order = np.argsort(lengths, kind="stable")
    for chunk in np.split(order, range(batch_size, len(order), batch_size)):
        padded = np.zeros((len(chunk), lengths[chunk].max(), steps[0].shape[1]), dtype=np.float32)
        mask = np.zeros(padded.shape[:2], dtype=np.float32)
        for row, i in enumerate(chunk):
            padded[row, : lengths[i]] = steps[i]
            mask[row, : lengths[i]] = 1
        heard = hear(padded, mask, statistics[chunk]).numpy().mean(axis=1)
        outputs = np.empty((len(steps), heard.shape[1])) if outputs is None else outputs
        outputs[chunk] = heard
    return outputs


def draw_curves(history, *, ax=None):
    """Draw the loss of every network, on the clips it learned from and on those held out.

    Parameters
    ----------
    history : DataFrame
        See `FrameNetwork`.
    ax : matplotlib Axes, optional
        Default a new figure's.

    Returns
    -------
    matplotlib Axes
    """
    ax = evaluation.new_axes(4) if ax is None else ax
    curves = {"loss": ("#0072B2", "clips it learns from (varied, labels smoothed)"),
              "val_loss": ("#D55E00", "speakers held out")}  # fmt: skip
    for column, (colour, label) in curves.items():
        for i, own in history.groupby("network"):
            ax.plot(own["epoch"] + 1, own[column], LINES[i % len(LINES)], color=colour,
                    label=f"network {i + 1}: {label}")  # fmt: skip
    ax.set(xlabel="epoch", ylabel="loss", title="How the networks learned")
    ax.legend(frameon=False, fontsize="small")
    return ax


# the recognizers


class DeepEmotionRecognizer(EmotionRecognizer):
    """Recurrent networks that listen to the frames of a clip; see `FrameNetwork`.

    Parameters
    ----------
    features : list of str
        Whose frames: any of spectrum, prosody and quality (the default), or any of the five.
    balance : bool
        Off by default: the classes have weights instead.
    voices : int
        All by default.
    **options
        Those of `FrameNetwork` (n_rnn_layers, rnn_units, cell, dropout, epochs, ...), and of
        `EmotionRecognizer` but for model and functionals.

    Attributes
    ----------
    history_ : DataFrame
        See `FrameNetwork`.

    Examples
    --------
    >>> rec = DeepEmotionRecognizer(emotions=["sad", "happy"], cell="GRU", n_rnn_layers=1)
    >>> rec.model
    FrameNetwork(cell='GRU', features=('spectrum', 'prosody', 'quality'),
                 n_rnn_layers=1)
    """

    speaker_scaler = VoiceScaler
    libraries = (*model_file.LIBRARIES, "tensorflow", "keras")

    def __init__(self, *, features=DEEP_FEATURES, balance=False, voices=4, **options):
        ours, theirs = FrameNetwork().get_params(), super().__init__
        theirs = set(inspect.signature(theirs).parameters) - {"model", "functionals"}
        for name in options:
            check_name(name, sorted(theirs | set(ours)), "option")
        if "cell" in options:
            cell = getattr(options["cell"], "__name__", options["cell"])
            options["cell"] = check_name(cell, CELLS, "cell")
        own = {name: options[name] for name in options if name in ours}
        network = FrameNetwork(features=tuple(features), **own)
        network.rates()
        options = {name: options[name] for name in options if name in theirs}
        super().__init__(network, features=features, functionals=FRAMES, balance=balance,
                         voices=voices, **options)  # fmt: skip

    def _settings(self):
        settings = self.model.get_params() | super()._settings()
        return {k: v for k, v in settings.items() if k not in ("model", "functionals")}

    def _pipeline(self, model):
        return Pipeline([("scaler", FrameScaler()), ("model", super()._pipeline(model)["model"])])

    def _fit_params(self, groups):
        return {"model__groups": groups}

    def _make_copies(self):
        """None: the networks have them made, version by version."""
        return []

    def _fit(self, train, by_voice=False):
        if by_voice:
            return super()._fit(train, by_voice)
        scaler, model = self._pipeline(self.model).named_steps.values()
        scaler.fit(self.X_train[train])

        def copy_of(*version):
            return scaler.transform(self._heard_as(*version)[train])

        copies = {str(version): partial(copy_of, *version) for version in self._copied_versions()}
        groups = speaker_groups(self.train_rows_)[train]
        model.fit(scaler.transform(self.X_train[train]), self.y_train[train], groups, copies)
        return _Fit(None, scaler, model)

    def _in_short(self):
        settings = self.model.get_params().items()
        shown = {k: value for k, value in settings if k not in FrameNetwork.not_saved}
        return super()._in_short() | {"model": " ".join(repr(FrameNetwork(**shown)).split())}

    def _answers(self, X):
        answers = super()._answers(X)
        return {name: values.astype(np.float32) for name, values in answers.items()}

    def _standardised(self, X):
        if self.voice_ is not None:
            mean, std = self.voice_
            X = [(x - mean) / std for x in X]
        return self.scaler_.transform(X)

    def _temperatures(self, X):
        """None: `FrameNetwork` has its own."""
        return 1.0

    def determine_best_model(self, by="cv"):
        """There is one model; `grid_search` tries other settings of it."""
        raise ValueError(
            "A DeepEmotionRecognizer has one model. grid_search({'rnn_units': [64, 128]}) and the "
            "like try other settings of it."
        )

    @property
    def history_(self):
        """Every epoch of every network; see `FrameNetwork`."""
        self._check_trained()
        return self.model.history_

    def draw_history(self, *, ax=None):
        """Draw the loss of every network; see `draw_curves`."""
        return draw_curves(self.history_, ax=ax)

    def train(self, override=False):
        """Train the networks, or load what an identical earlier run left in `results_dir`.

        Parameters
        ----------
        override : bool
            Train anew whatever is there.

        Returns
        -------
        self
        """
        self.model.override = override
        return super().train()


class Views:
    """The features of the same clips as several recognizers see them."""

    def __init__(self, views):
        self.views = views

    def __len__(self):
        return len(self.views[0])

    def __getitem__(self, rows):
        return Views([X[rows] for X in self.views])

    def __iter__(self):
        return iter(self.views)


class EnsembleRecognizer(EmotionRecognizer):
    """Averages what several recognizers say: their calibrated probabilities, or their numbers.

    Parameters
    ----------
    members : list of EmotionRecognizer, optional
        They are not changed. Default: a recommended one that learns from each clip in other voices
        and from degraded copies of all these, too, and a `DeepEmotionRecognizer`.
    **options
        Of the default members; see `EmotionRecognizer`.

    Attributes
    ----------
    members : list of EmotionRecognizer

    Examples
    --------
    >>> [type(member.model).__name__ for member in EnsembleRecognizer().members]
    ['EmotionLDA', 'FrameNetwork']
    """

    def __init__(self, members=None, **options):
        if members is None:
            copies = {"voices": 4} | options | {"degraded": options.get("degraded") or 1}
            members = [recommended(**copies), DeepEmotionRecognizer(**options)]
        elif options:
            raise TypeError(f"{', '.join(options)}: options are for the default members.")
        self.members = [member.untrained() for member in members]
        settings = self.members[0]._settings()
        for member in self.members[1:]:
            _check_alike(settings, member._settings())
        super().__init__(**settings)

    def untrained(self, **changes):
        """A recognizer of the same members, with other settings where `changes` says so."""
        return EnsembleRecognizer([member.untrained(**changes) for member in self.members])

    def load_data(self):
        """Let each member read its features; see `EmotionRecognizer.load_data`."""
        for member in self.members:
            member.load_data()
        return self._take()

    def _take(self):
        """The members' clips, which are the same in the same order."""
        first = self.members[0]
        for part in ("train", "test"):
            setattr(self, f"X_{part}", Views([getattr(m, f"X_{part}") for m in self.members]))
            for name in (f"y_{part}", f"{part}_rows_"):
                setattr(self, name, getattr(first, name))
        self._scored = None
        return self

    def fit(self, rows):
        """Train all members on exactly these clips; see `EmotionRecognizer.fit`."""
        for member in self.members:
            member.fit(rows)
        return self._take()

    def _learn(self):
        self._check_not_calibrated()
        for member in self.members:
            member._learn()
        self._stored = self._scored = None
        return self

    def _adapted(self, X, labels=None):
        views = [None] * len(self.members) if X is None else X
        adapted = copy.copy(self)
        adapted.members = [
            member._adapted(own, labels) for member, own in zip(self.members, views, strict=True)
        ]
        adapted.voice_ = adapted.members[0].voice_
        return adapted

    def determine_best_model(self, by="cv"):
        """There is nothing to choose: all members take part."""
        raise ValueError("An ensemble has no best model; all its members take part.")

    @property
    def classes_(self):
        """The emotions in the order of the probabilities."""
        return self.members[0].classes_

    def _is_trained(self):
        return all(member._is_trained() for member in self.members)

    def _model_names(self):
        return [name for member in self.members for name in member._model_names()]

    @property
    def libraries(self):
        """What its members compute with."""
        return tuple(dict.fromkeys(name for m in self.members for name in m.libraries))

    def _in_short(self):
        texts = [member._in_short() for member in self.members]
        return {name: "; ".join(text[name] for text in texts) for name in texts[0]}

    def _content(self):
        members = [member._content() for member in self.members]
        return {"class": type(self).__name__, "members": members}

    @classmethod
    def _restored(cls, content, record):
        rec = cls.__new__(cls)
        rec.members = [restored(member, record) for member in content["members"]]
        first = rec.members[0]
        settings = {name: x for name, x in first._settings().items() if name != "emotions"}
        EmotionRecognizer.__init__(rec, **settings)
        rec.emotions, rec.voice_, rec._stored = first.emotions, first.voice_, {"record": record}
        return rec

    def _features(self, audio, sr):
        views = [member._features(audio, sr) for member in self.members]
        return Views([X for X, _ in views]), views[0][1]

    def _window(self, y):
        return Views([member._window(y) for member in self.members])

    def _strangeness(self, X):
        return max(m._strangeness(x) for m, x in zip(self.members, X, strict=True))

    def _scores(self, X):
        return self._probabilities(X)

    def _probabilities(self, X, like=None):
        likes = [None] * len(self.members) if like is None else like
        views = zip(self.members, X, likes, strict=True)
        return np.mean([m._probabilities(own, like) for m, own, like in views], axis=0)

    def _numbers(self, X):
        return np.mean([m._numbers(x) for m, x in zip(self.members, X, strict=True)], axis=0)


def _check_alike(first, other):
    """The members of an ensemble learn from the same clips and tell the same emotions apart."""
    for name in ("emotions", "classification", "balance", "tess_ravdess", "emodb", "custom_db",
                 "data_dir", "random_state", "normalize"):  # fmt: skip
        if first[name] != other[name]:
            raise ValueError(
                f"The members of an ensemble must agree in {name}; got {first[name]!r} and "
                f"{other[name]!r}."
            )
