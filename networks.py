"""Keras networks over the frames of clips: architecture, batches, training, prediction.

TensorFlow is loaded when a function here first needs it.
"""

import io
import math
import os
import re
import threading
import warnings
from contextlib import contextmanager, suppress
from functools import lru_cache
from itertools import count, pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from joblib import delayed
from tqdm.auto import tqdm

from checks import check_clock, quiet_stderr, temporary_folder
from model_file import ModelFileError, unzip, zipped
from processes import parallel

CELLS = ("LSTM", "GRU", "SimpleRNN")
SEGMENT, STEP = 32, 16  # frames that a step of the recurrent layers covers, and until the next
ATTENTION = 64  # units that decide how much a step counts
BUCKETS = 8, 10, 12, 16, 24, 48  # steps: clips of similar length share a batch
STATISTICS_DROPOUT, STEPS_DROPOUT = 0.5, 0.1
SMOOTHING = 0.1  # of the labels
PATIENCE = 6  # epochs without better recognition of the held-out speakers
KERAS_MEMBERS = re.compile(r"config\.json|metadata\.json|model\.weights\.h5")
CLIP_NORM = 5.0  # of the gradient


class Clips(NamedTuple):
    """What networks are trained on; the copies of n clips follow as rows n to 2 n and so on."""

    steps: np.ndarray
    """(n_all_steps, 2 * n_columns) float32: the clips one after the other."""
    starts: np.ndarray
    """(n_clips + 1,) of int: where each clip starts, and the end."""
    statistics: np.ndarray
    """(n_clips, n_statistics) float32"""
    targets: np.ndarray
    """(n_clips, n_outputs) float32"""
    weights: np.ndarray
    """(n_clips,) float32"""


def segments(frames):
    """Mean and deviation of `SEGMENT` frames every `STEP` frames: (n_steps, 2 * n_columns).

    The last frame of a clip shorter than a segment is repeated.

    Parameters
    ----------
    frames : ndarray (n_frames, n_columns)

    Examples
    --------
    >>> segments(np.zeros((64, 5))).shape
    (3, 10)
    """
    missing = max(0, SEGMENT - len(frames))
    frames = np.pad(frames, ((0, missing), (0, 0)), mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(frames, SEGMENT, axis=0)[::STEP]
    return np.hstack([windows.mean(axis=-1), windows.std(axis=-1)])


def varied(steps, rng):
    """A clip a little faster or slower, with noise, and with gaps in time and in its columns.

    The gaps are those of SpecAugment (Park et al. 2019).

    Parameters
    ----------
    steps : ndarray (n_steps, n_columns)
        Standardised.
    rng : numpy Generator
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


# architecture


@lru_cache
def load_tensorflow():
    """The module tensorflow, set to take no more of a GPU's memory than it needs.

    Raises
    ------
    ModuleNotFoundError
        If it isn't installed.
    """
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")  # its results depend on threads' order
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with quiet_stderr():  # it logs several lines, and each missing GPU
        try:
            import tensorflow as tf
        except ImportError as error:
            raise ModuleNotFoundError(
                "DeepEmotionRecognizer needs TensorFlow, which isn't published for every Python "
                "yet: pip install 'tensorflow>=2.16'"
            ) from error
        tf.get_logger().setLevel("ERROR")  # it warns of five networks, each traced once
        for gpu in tf.config.list_physical_devices("GPU"):
            with suppress(RuntimeError):  # already in use
                tf.config.experimental.set_memory_growth(gpu, True)
    return tf


def build_network(
    n_columns,
    n_statistics,
    n_outputs,
    *,
    classification=True,
    n_rnn_layers=2,
    rnn_units=64,
    dense_units=128,
    cell="LSTM",
    bidirectional=True,
    dropout=(0.4, 0.4, 0.4, 0.4),
):
    """A Keras network from the frames of a clip to a score for each class, or to one number.

    It has two heads of dense layers, over the statistics and over the steps, each with a loss of
    its own; predictions average their outputs.

    Parameters
    ----------
    n_columns, n_statistics, n_outputs : int
    classification : bool
    n_rnn_layers, rnn_units, dense_units : int
    cell : {"LSTM", "GRU", "SimpleRNN"}
    bidirectional : bool
    dropout : sequence of float
        A rate for each layer: the recurrent ones first, the others are those of the dense layers.

    Returns
    -------
    keras.Model
        Inputs: steps (n_clips, n_steps, 2 * n_columns), see `segments`, standardised; mask
        (n_clips, n_steps), 1 for a step and 0 for padding; statistics (n_clips, n_statistics),
        standardised. Output (n_clips, n_heads, n_outputs): log probabilities or numbers.
    """
    load_tensorflow()
    from keras import Input, Model, layers, ops

    steps, mask = Input((None, 2 * n_columns), name="steps"), Input((None,), name="mask")
    statistics = Input((n_statistics,), name="statistics")
    hidden = layers.Dropout(STATISTICS_DROPOUT)(statistics)
    heads = [layers.Dense(dense_units, activation="relu")(hidden)]
    if n_rnn_layers:
        sequence = layers.Dropout(STEPS_DROPOUT)(steps)
        for rate in dropout[:n_rnn_layers]:
            layer = getattr(layers, cell)(rnn_units, return_sequences=True)
            layer = layers.Bidirectional(layer) if bidirectional else layer
            sequence = layers.Dropout(rate)(layer(sequence, mask=mask > 0.5))
        heads.append(_over_time(sequence, mask))
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


def joined_network(networks, share, *, classification=True):
    """One network: the mean of several, and a new linear layer over the statistics.

    Parameters
    ----------
    networks : list of keras.Model
        See `build_network`.
    share : float
        Weight of their mean; the linear layer has the rest.
    classification : bool

    Returns
    -------
    keras.Model, keras.layers.Dense
        The network, with the inputs of each and output (n_clips, 1, n_outputs); the linear layer.
    """
    from keras import Model, layers, ops

    inputs = networks[0].inputs
    outputs = ops.concatenate([network(inputs) for network in networks], axis=1)
    linear = layers.Dense(outputs.shape[-1], name="linear")
    scores = linear(inputs[2])
    scores = ops.log_softmax(scores) if classification else scores
    output = share * ops.mean(outputs, axis=1) + (1 - share) * scores
    return Model(inputs, output[:, None]), linear


# prediction


def as_function(network):
    """A network as a function of steps, mask and statistics, traced once for all batch sizes.

    Parameters
    ----------
    network : keras.Model
        See `build_network`.
    """
    tf = load_tensorflow()
    signature = [tf.TensorSpec(tensor.shape, tf.float32) for tensor in network.inputs]
    return tf.function(lambda *inputs: network(inputs, training=False), signature, autograph=False)


def predict_batches(function, steps, statistics, batch_size=64):
    """The mean output of a network's heads: ndarray (n_clips, n_outputs).

    Parameters
    ----------
    function : callable
        See `as_function`.
    steps : list of ndarray (n_steps, n_columns)
    statistics : ndarray (n_clips, n_statistics)
    batch_size : int
        Clips of similar length share a batch.
    """
    lengths, outputs = np.array([len(own) for own in steps]), None
    order = np.argsort(lengths, kind="stable")
    for chunk in np.split(order, range(batch_size, len(order), batch_size)):
        padded = np.zeros((len(chunk), lengths[chunk].max(), steps[0].shape[1]), dtype=np.float32)
        mask = np.zeros(padded.shape[:2], dtype=np.float32)
        for row, i in enumerate(chunk):
            padded[row, : lengths[i]] = steps[i]
            mask[row, : lengths[i]] = 1
        predicted = function(padded, mask, statistics[chunk]).numpy().mean(axis=1)
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
        Rows. The held-out clips decide the learning rate and when to stop.
    settings : dict
        architecture (keywords of `build_network`), classification, batch_size, epochs, optimizer,
        learning_rate, loss, augment, mixed_precision; n_versions: how often each clip is among
        `clips`, for epochs as long as without copies; seed.
    n_jobs : int
        Networks that are trained at a time; on a GPU one.
    verbose : int
        0 draws no progress bar.
    log_folder : path, optional
        Where TensorBoard finds the epochs. Default: they are not kept.

    Returns
    -------
    weights : list of list of ndarray
        See keras.Model.get_weights, for each network.
    outputs : list of ndarray (n_held_out, n_outputs)
        Predictions of the held-out clips, averaged over the heads.
    history : DataFrame
        network, epoch, loss, val_loss, val_accuracy (or val_mae), learning_rate.
    """
    check_clock()  # not at the end of the training, when the networks are put into files
    tf = load_tensorflow()
    n_jobs = 1 if tf.config.list_physical_devices("GPU") else n_jobs
    with temporary_folder() as temporary:
        names = [f"network-{i}" for i in range(len(folds))]
        files = [Path(temporary, f"{name}.csv") for name in names]  # another run may log there, too
        logs = [Path(log_folder or temporary, name) for name in names]
        with _progress(files, settings["epochs"], verbose), warnings.catch_warnings():
            # joblib takes TensorFlow's memory for a leak
            warnings.filterwarnings("ignore", "A worker stopped while some jobs", UserWarning)
            trained = parallel(n_jobs)(
                delayed(_train_network)(*paths, settings["seed"] + i, settings, clips, *folds[i])
                for i, paths in enumerate(zip(files, logs, strict=True))
            )
        history = pd.concat([pd.read_csv(f).assign(network=i) for i, f in enumerate(files)])
    weights, outputs = map(list, zip(*trained, strict=True))
    return weights, outputs, history


def _train_network(file, log, seed, settings, clips, train, held_out):
    """Train one network, its epochs in a CSV file and a log: its weights and its outputs."""
    tf = load_tensorflow()
    import keras
    from keras import callbacks, losses, optimizers

    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()
    with suppress(RuntimeError):  # in this process a network was trained before
        tf.config.threading.set_inter_op_parallelism_threads(1)
        tf.config.threading.set_intra_op_parallelism_threads(1)
    # the loss also rises where a network gets more confident and is right as often
    watched = "val_accuracy" if settings["classification"] else "val_loss"
    with _precision(settings["mixed_precision"]):
        network = build_network(**settings["architecture"])
        optimizer = optimizers.get(settings["optimizer"])
        optimizer.learning_rate, optimizer.global_clipnorm = settings["learning_rate"], CLIP_NORM
        loss, metric = settings["loss"] or "mae", "mae"
        if settings["classification"]:
            entropy = losses.CategoricalCrossentropy(from_logits=True, label_smoothing=SMOOTHING)
            loss, metric = settings["loss"] or entropy, "accuracy"
        network.compile(optimizer, loss, metrics=[metric], jit_compile=False)
    steps = [clips.steps[a:b] for a, b in pairwise(clips.starts)]
    n_heads, batch_size = network.output_shape[1], settings["batch_size"]
    labels = (np.repeat(x[:, np.newaxis], n_heads, axis=1) for x in (clips.targets, clips.weights))
    data = steps, clips.statistics, *labels
    network.fit(
        _batches(*data, train, batch_size, seed, settings["augment"]),
        validation_data=_batches(*data, held_out, batch_size),
        epochs=settings["epochs"],
        steps_per_epoch=math.ceil(len(train) / settings["n_versions"] / batch_size),
        shuffle=False,  # `_batches` does it
        verbose=0,
        callbacks=[
            callbacks.CSVLogger(str(file)),
            callbacks.TensorBoard(str(log), write_graph=False),
            callbacks.ReduceLROnPlateau(factor=0.5, patience=PATIENCE // 2),
            callbacks.EarlyStopping(watched, patience=PATIENCE, restore_best_weights=True),
        ],
    )
    own = [steps[j] for j in held_out], clips.statistics[held_out]
    return network.get_weights(), predict_batches(as_function(network), *own)


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


def _batches(steps, statistics, targets, weights, rows, batch_size, seed=None, augment=False):
    """A tf.data.Dataset of padded batches of clips of similar length: inputs, targets, weights.

    With a seed it never ends, and each epoch has another order and other variations.
    """
    tf = load_tensorflow()
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
        lambda inputs, *_: tf.shape(inputs["mask"])[0], BUCKETS, [batch_size] * (len(BUCKETS) + 1)
    )
    if seed is None:  # Keras can't count the batches of a generator
        counts = np.bincount(np.digitize([len(steps[i]) for i in rows], BUCKETS))
        n_batches = np.ceil(counts / batch_size).sum()
        dataset = dataset.apply(tf.data.experimental.assert_cardinality(int(n_batches)))
    return dataset.prefetch(2)


@contextmanager
def _progress(files, n_epochs, verbose):
    """A block with a bar over all epochs, counted in the CSV files where the networks log them."""
    if not verbose:
        yield
        return
    ended = threading.Event()
    with tqdm(total=len(files) * n_epochs, desc="Training", unit="epoch") as bar:

        def watch():
            while not ended.wait(0.5):
                bar.update(sum(map(_epochs_done, files)) - bar.n)

        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        try:
            yield
        finally:
            ended.set()
            watcher.join()
            done, since = sum(map(_epochs_done, files)), bar.start_t
            bar.reset(done)  # some networks have stopped early: a full bar, in notebooks too
            bar.start_t = since
            bar.update(done)


def _epochs_done(file):
    return max(0, file.read_bytes().count(b"\n") - 1) if file.is_file() else 0


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
    """Count the numbers in a .keras file: int.

    Parameters
    ----------
    data : bytes

    Raises
    ------
    ModelFileError
        If it refers to other files, or unpacks to more than its own size.
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
                    raise ModelFileError("its network unpacks to more than there is; refused")

    with h5py.File(io.BytesIO(weights), "r") as file:
        visit(file)
    return sum(sizes)


def load_weights(network, data):
    """Fill a Keras model with the weights of a .keras file.

    Nothing but numbers is taken from it: stricter than Keras's safe mode, which builds the layers
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
