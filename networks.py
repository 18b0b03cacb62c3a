"""Keras networks over the frames of clips: architecture, batches, training, prediction.

TensorFlow is loaded when a function first needs it.
"""

import io
import math
import os
import re
import threading
import warnings
from contextlib import contextmanager, suppress
from functools import lru_cache, partial
from itertools import count, pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from joblib import delayed

from checks import check_clock, quiet_stderr, temporary_folder
from model_file import ModelFileError, unzip, zipped
from processes import parallel
from progress import Progress

CELLS = ("LSTM", "GRU", "SimpleRNN")
PROJECTION = 128  # columns of the projection, the input of the recurrent layers
ATTENTION = 64  # units of the layer that computes the weights of steps
POOL = 8  # batches whose clips are sorted by length together, to reduce padding
STEPS_DROPOUT = 0.2
GAP, LOST = 0.2, 0.1  # largest share of the steps, and share of the columns, that are masked
SMOOTHING = 0.1  # of the labels
KERAS_MEMBERS = re.compile(r"config\.json|metadata\.json|model\.weights\.h5")
CLIP_NORM = 5.0  # of the gradient


class Clips(NamedTuple):
    """Training data of networks; the first copies of n clips are clips n to 2 n, and so on."""

    steps: np.ndarray
    """(n_all_steps, n_columns) float16: all clips, concatenated."""
    starts: np.ndarray
    """(n_clips + 1,) of int: where each clip starts, and the end."""
    targets: np.ndarray
    """(n_clips, n_outputs) float32"""
    weights: np.ndarray
    """(n_clips,) float32"""


def varied(steps, rng):
    """Mask a span of time and some columns of a clip (SpecAugment, Park et al. 2019): like steps.

    Parameters
    ----------
    steps : ndarray (n_steps, n_columns)
        Standardised.
    rng : numpy Generator
    """
    width = rng.integers(0, int(GAP * len(steps)) + 1)
    start = rng.integers(0, len(steps) - width + 1)
    steps = steps * (rng.random(steps.shape[1]) >= LOST)
    steps[start : start + width] = 0
    return steps


# architecture


@lru_cache
def load_tensorflow():
    """Import tensorflow, and let it allocate GPU memory only as needed: the module.

    Raises
    ------
    ModuleNotFoundError
        If it isn't installed.
    """
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")  # its results depend on thread order
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with quiet_stderr():  # it logs several lines, and missing GPUs
        try:
            import tensorflow as tf
        except ImportError as error:
            raise ModuleNotFoundError(
                "DeepEmotionRecognizer needs TensorFlow, which isn't available for every version "
                "of Python: pip install 'tensorflow>=2.16'"
            ) from error
        tf.get_logger().setLevel("ERROR")  # it warns of retracing, as each network is traced
        for gpu in tf.config.list_physical_devices("GPU"):
            with suppress(RuntimeError):  # already in use
                tf.config.experimental.set_memory_growth(gpu, True)
    return tf


def build_network(n_columns, n_outputs, *, cell="LSTM", rnn_units=(), dense_units=(), dropout=()):
    """Build a Keras network from the steps of a clip to a score for each class, or to numbers.

    A projection; bidirectional recurrent layers; mean, standard deviation and attention-weighted
    mean over time of the outputs of the projection and of the recurrent layers; dense layers.

    Parameters
    ----------
    n_columns, n_outputs : int
    cell : {"LSTM", "GRU", "SimpleRNN"}
    rnn_units, dense_units : sequence of int
        Units of each layer; a bidirectional layer has twice as many.
    dropout : sequence of float
        Rate of each layer, recurrent ones first.

    Returns
    -------
    keras.Model
        Inputs: steps (n_clips, n_steps, n_columns); mask (n_clips, n_steps), 1 for steps and 0 for
        padding. Output (n_clips, n_outputs): log-odds or numbers.
    """
    load_tensorflow()
    from keras import Input, Model, layers

    steps, mask = Input((None, n_columns), name="steps"), Input((None,), name="mask")
    hidden = layers.Dense(PROJECTION)(layers.Dropout(STEPS_DROPOUT)(steps))
    projected = hidden = layers.LayerNormalization()(hidden)
    for units, rate in zip(rnn_units, dropout, strict=False):
        layer = layers.Bidirectional(getattr(layers, cell)(units, return_sequences=True))
        hidden = layers.Dropout(rate)(layer(hidden, mask=mask > 0.5))
    both = layers.Concatenate()([projected, hidden]) if rnn_units else projected
    hidden = _over_time(both, mask)
    for units, rate in zip(dense_units, dropout[len(rnn_units) :], strict=True):
        hidden = layers.Dropout(rate)(layers.Dense(units, activation="relu")(hidden))
    return Model([steps, mask], layers.Dense(n_outputs, dtype="float32")(hidden))


def _over_time(steps, mask):
    """Mean, deviation and attention-weighted mean of steps over time: (n_clips, 3 * n_units).

    Attention as in Lin et al. 2017, "A structured self-attentive sentence embedding", with one
    head.
    """
    from keras import layers, ops

    weights = ops.cast(ops.expand_dims(mask, -1), steps.dtype)
    count = ops.maximum(ops.sum(weights, axis=1), 1)
    mean = ops.sum(steps * weights, axis=1) / count
    around = ops.square(steps - ops.expand_dims(mean, 1)) * weights
    deviation = ops.sqrt(ops.sum(around, axis=1) / count + 1e-4)
    importance = layers.Dense(1)(layers.Dense(ATTENTION, activation="tanh")(steps))
    attention = ops.softmax(importance - 1e4 * (1 - weights), axis=1)
    return ops.concatenate([mean, deviation, ops.sum(attention * steps, axis=1)], axis=1)


def mean_network(networks, *, classification=True):
    """Combine networks into one, the mean of their log probabilities or numbers.

    Parameters
    ----------
    networks : list of keras.Model
        See `build_network`.
    classification : bool

    Returns
    -------
    keras.Model
        The same inputs, output (n_clips, n_outputs).
    """
    from keras import Model, ops

    outputs = [network(networks[0].inputs) for network in networks]
    if classification:
        outputs = [ops.log_softmax(output) for output in outputs]
    return Model(networks[0].inputs, ops.mean(ops.stack(outputs), axis=0))


# batches


def padded(clips):
    """Pad clips: steps (n_clips, n_steps, n_columns) and mask (n_clips, n_steps), both float32.

    Parameters
    ----------
    clips : list of ndarray (n_steps, n_columns)

    Examples
    --------
    >>> steps, mask = padded([np.ones((3, 2)), np.ones((1, 2))])
    >>> steps.shape, mask.tolist()
    ((2, 3, 2), [[1.0, 1.0, 1.0], [1.0, 0.0, 0.0]])
    """
    shape = len(clips), max(map(len, clips)), clips[0].shape[1]
    steps, mask = np.zeros(shape, dtype=np.float32), np.zeros(shape[:2], dtype=np.float32)
    for i, own in enumerate(clips):
        steps[i, : len(own)], mask[i, : len(own)] = own, 1
    return steps, mask


# prediction


def as_function(network):
    """Trace a network once for all batch sizes: a function of steps and mask.

    Parameters
    ----------
    network : keras.Model
        See `build_network`.
    """
    tf = load_tensorflow()
    signature = [tf.TensorSpec(tensor.shape, tf.float32) for tensor in network.inputs]
    return tf.function(lambda *inputs: network(inputs, training=False), signature, autograph=False)


def predict_batches(function, steps, batch_size=64):
    """Compute the outputs of a network for clips: ndarray (n_clips, n_outputs).

    Parameters
    ----------
    function : callable
        See `as_function`.
    steps : list of ndarray (n_steps, n_columns)
    batch_size : int
        Clips of similar length share a batch.
    """
    lengths, outputs = np.array([len(own) for own in steps]), None
    order = np.argsort(lengths, kind="stable")
    for chunk in _chunks(order, batch_size):
        predicted = function(*padded([steps[i] for i in chunk])).numpy()
        outputs = np.empty((len(steps), predicted.shape[1])) if outputs is None else outputs
        outputs[chunk] = predicted
    return outputs


# training


def train_networks(clips, folds, settings, *, n_jobs=-1, verbose=1, log_folder=None):
    """Train a network on each fold, each in a process of its own.

    Parameters
    ----------
    clips : Clips
    folds : list of (train, held_out)
        Indices of clips. `held_out` may be empty; networks aren't trained on these.
    settings : dict
        architecture (keywords of `build_network`), classification, batch_size, epochs,
        learning_rate, mixed_precision; n_versions: how often each clip is among `clips`, so that
        epochs are as long as without copies; seed.
    n_jobs : int
        Networks trained at the same time; on a GPU, one.
    verbose : int
        0 draws no progress bar.
    log_folder : path, optional
        Folder of logs for TensorBoard. Default: none are kept.

    Returns
    -------
    weights : list of list of ndarray
        See keras.Model.get_weights, for each network.
    outputs : list of ndarray (n_held_out, n_outputs)
        Outputs for the held-out clips; None if there are none.
    history : DataFrame
        network, epoch, loss, uar (or mae), and for held-out clips val_loss, val_uar (or val_mae).
    """
    check_clock()  # or the networks couldn't be saved after the training
    with temporary_folder() as temporary:
        names = [f"network-{i}" for i in range(len(folds))]
        files = [Path(temporary, f"{name}.csv") for name in names]  # log_folder may be shared
        logs = [Path(log_folder or temporary, name) for name in names]
        n_batches = [_n_batches(train, settings) for train, _ in folds]
        with _progress(files, n_batches, settings["epochs"], verbose), warnings.catch_warnings():
            # joblib mistakes TensorFlow's memory for a leak
            warnings.filterwarnings("ignore", "A worker stopped while some jobs", UserWarning)
            gpus = load_tensorflow().config.list_physical_devices("GPU")
            trained = parallel(1 if gpus else n_jobs)(
                delayed(_train_network)(*paths, settings["seed"] + i, settings, clips, *folds[i])
                for i, paths in enumerate(zip(files, logs, strict=True))
            )
        history = pd.concat([pd.read_csv(f).assign(network=i) for i, f in enumerate(files)])
    weights, outputs = map(list, zip(*trained, strict=True))
    return weights, outputs, history


def _n_batches(train, settings):
    return math.ceil(len(train) / settings["n_versions"] / settings["batch_size"])


def _train_network(file, log, seed, settings, clips, train, held_out):
    """Train one network, logging its epochs; return its weights and its outputs."""
    tf = load_tensorflow()
    import keras
    from keras import callbacks, losses, metrics, optimizers

    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()
    with suppress(RuntimeError):  # this process has trained a network before
        tf.config.threading.set_inter_op_parallelism_threads(1)
        tf.config.threading.set_intra_op_parallelism_threads(1)
    with _precision(settings["mixed_precision"]):
        network = build_network(**settings["architecture"])
    loss, metric = "mae", metrics.MeanAbsoluteError(name="mae")
    if settings["classification"]:
        # the clip weights balance the classes, so the accuracy is the mean recall
        metric = metrics.CategoricalAccuracy(name="uar")
        loss = losses.CategoricalCrossentropy(from_logits=True, label_smoothing=SMOOTHING)
    n_batches, n_epochs = _n_batches(train, settings), settings["epochs"]
    rate = optimizers.schedules.CosineDecay(settings["learning_rate"], n_epochs * n_batches)
    optimizer = optimizers.AdamW(rate, global_clipnorm=CLIP_NORM)
    optimizer.build(network.trainable_variables)  # made in the first step, they trace it twice
    network.compile(optimizer, loss, weighted_metrics=[metric], jit_compile=False)
    steps = [clips.steps[a:b] for a, b in pairwise(clips.starts)]
    batches = partial(_batches, steps, clips.targets, clips.weights, settings["batch_size"])
    ticks = file.with_suffix(".ticks")
    network.fit(
        batches(train, seed),
        validation_data=batches(held_out) if len(held_out) else None,
        epochs=n_epochs,
        steps_per_epoch=n_batches,
        shuffle=False,  # `_batches` does it
        verbose=0,
        callbacks=[
            callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: _tick(ticks)),
            callbacks.CSVLogger(str(file)),
            callbacks.TensorBoard(str(log), write_graph=False),
        ],
    )
    own = [steps[i] for i in held_out]
    return network.get_weights(), predict_batches(as_function(network), own) if own else None


def _tick(file):
    """Count a batch by adding a byte to a file, which `_progress` watches."""
    with file.open("ab") as ticks:
        ticks.write(b".")


@contextmanager
def _precision(mixed):
    """Context manager: networks compute with 16 bits, if mixed, except in their last layers."""
    from keras import config

    before = config.dtype_policy()
    config.set_dtype_policy("mixed_float16" if mixed else before)
    try:
        yield
    finally:
        config.set_dtype_policy(before)


def _batches(steps, targets, weights, batch_size, rows, seed=None):
    """A tf.data.Dataset of padded batches of clips of similar length: inputs, targets, weights.

    With a seed it never ends, and each epoch has another order and other masks.
    """
    tf = load_tensorflow()
    lengths, epochs, rows = np.array([len(own) for own in steps]), count(), np.asarray(rows)

    def batches():
        rng = np.random.default_rng([seed or 0, next(epochs)])
        order = rows if seed is None else rng.permutation(rows)
        for pool in _chunks(order, POOL * batch_size):
            chunks = _chunks(pool[np.argsort(lengths[pool], kind="stable")], batch_size)
            for i in range(len(chunks)) if seed is None else rng.permutation(len(chunks)):
                chunk = chunks[i]
                own = [steps[j] if seed is None else varied(steps[j], rng) for j in chunk]
                yield padded(own), targets[chunk], weights[chunk]

    n_columns = steps[0].shape[1]
    inputs = tf.TensorSpec((None, None, n_columns), tf.float32), tf.TensorSpec((None, None))
    labels = tf.TensorSpec((None, targets.shape[1])), tf.TensorSpec((None,))
    dataset = tf.data.Dataset.from_generator(batches, output_signature=(inputs, *labels))
    if seed is not None:
        return dataset.repeat().prefetch(2)
    n_batches = math.ceil(len(rows) / batch_size)  # Keras can't count batches of a generator
    return dataset.apply(tf.data.experimental.assert_cardinality(n_batches)).prefetch(2)


def _chunks(array, size):
    return np.split(array, range(size, len(array), size))


@contextmanager
def _progress(files, n_batches, n_epochs, verbose):
    """Context manager: a progress bar over all batches, with the scores of the latest epochs.

    It reads the files of the networks, and appears before TensorFlow is loaded.
    """
    if not verbose:
        yield
        return
    ended = threading.Event()
    with Progress(total=sum(n_batches) * n_epochs, desc="Training", unit="step") as bar:

        def show():
            bar.update(sum(map(_n_ticks, files)) - bar.n)
            bar.set_postfix_str(_last_epochs(files))

        def watch():
            while not ended.wait(0.5):
                show()

        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        try:
            yield
        finally:
            ended.set()
            watcher.join()
            show()


def _n_ticks(file):
    ticks = file.with_suffix(".ticks")
    return ticks.stat().st_size if ticks.is_file() else 0


def _last_epochs(files):
    """Mean scores of the latest epochs of the networks: str."""
    rows = []
    for file in files:
        if file.is_file():
            names, *epochs = file.read_text().rpartition("\n")[0].splitlines() or [""]
            rows += [
                dict(zip(names.split(","), row.split(","), strict=True)) for row in epochs[-1:]
            ]
    if not rows:
        return "first epoch"
    there = {k: [float(row[k]) for row in rows if row[k] != "NA"] for k in rows[0]}
    means = {k: np.mean(values) for k, values in there.items() if values}
    epoch = means.pop("epoch") + 1
    return ", ".join([f"epoch {epoch:.0f}", *(f"{k} {x:.2f}" for k, x in sorted(means.items()))])


# files


def network_bytes(network):
    """The .keras file of a Keras model: bytes.

    Parameters
    ----------
    network : keras.Model
    """
    with temporary_folder() as folder:
        path = Path(folder) / "network.keras"
        network.save(path)
        return path.read_bytes()


def n_weights(data):
    """Count the weights in a .keras file: int.

    Parameters
    ----------
    data : bytes

    Raises
    ------
    ModelFileError
        If it refers to other files, or unpacks to more than its size.
    """
    import h5py

    weights = unzip(data, KERAS_MEMBERS, len(data))["model.weights.h5"]
    sizes = []

    def visit(group):
        for name in group:
            link = group.get(name, getlink=True)
            if not isinstance(link, h5py.HardLink):
                raise ModelFileError(f"its network has a link in place of {name}; refused")
            if isinstance(group[name], h5py.Group):
                visit(group[name])
            elif group[name].external or group[name].is_virtual:
                raise ModelFileError(f"its network has {name} in another file; refused")
            else:
                sizes.append(group[name].size)
                if sum(sizes) > len(weights):
                    raise ModelFileError("its network unpacks to more than its size; refused")

    with h5py.File(io.BytesIO(weights), "r") as file:
        visit(file)
    return sum(sizes)


def load_weights(network, data):
    """Fill a Keras model with the weights of a .keras file.

    Only numbers are read from it, which is stricter than Keras's safe mode: that builds the layers
    that the file describes.

    Parameters
    ----------
    network : keras.Model
    data : bytes
    """
    with temporary_folder() as folder:
        path = Path(folder) / "network.keras"
        path.write_bytes(zipped(unzip(data, KERAS_MEMBERS, len(data))))
        network.load_weights(path)
