"""Recurrent networks over the frames of a clip, and ensembles of recognizers.

from deep_emotion_recognition import DeepEmotionRecognizer, EnsembleRecognizer

rec = DeepEmotionRecognizer(emotions=["angry", "sad", "neutral", "ps", "happy"])
rec.train()                                 # again at no cost: the weights stay in results/
rec.test_score(), rec.predict("call.wav"), rec.predict_proba("call.wav")
EnsembleRecognizer().train()                # averages networks and the recommended recognizer
tensorboard --logdir logs                   # in the shell: every epoch of every network
"""

import copy
import hashlib
import importlib.metadata
import inspect
import json
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import log_softmax, softmax
from sklearn.base import BaseEstimator
from sklearn.preprocessing import StandardScaler
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.validation import check_is_fitted

import frame_models
import model_file
import models
import utils
from adaptation import SpeakerFrameScaler
from augmentation import SPEEDS
from checks import check_name, moved, renamed, replacing, writable
from clip_tables import read_data
from confidence import NetworkTraining, cross_entropy, temperature
from data_extractor import Views
from emotion_recognition import ALIASES, SETTINGS, EmotionRecognizer, classic, recommended
from features import FRAMES
from networks import (
    CELLS,
    Clips,
    as_function,
    build_network,
    joined_network,
    predict_batches,
    segments,
    train_networks,
)
from parameters import CLASSIFIERS, RECIPES, REGRESSORS
from plotting import draw_curves, new_figure, save_figure
from predictor import EnsemblePredictor
from recognizer import Recognizer
from sampling import speaker_folds

DEEP_FEATURES = ("spectrum", "prosody", "quality")
SAME = ("emotions", "classification", "target", "balance", "corpora", "tess_ravdess", "emodb")
SAME += ("custom_db", "data", "data_dir", "random_state", "normalize")  # in an ensemble

VERSION = 1  # of the training; to be raised with a change that gives other weights
HELD_OUT = 5  # a network leaves the fifth part of the speakers out
SHARES = tuple(i / 10 for i in range(11))  # of the networks, beside the linear head
SHARE_DIVISOR = 2  # of the best share, which held-out speakers overrate: they stopped the training
CURVES = "curves.png"  # in the folder of a run in logs_dir


@model_file.plain
class FrameNetwork(BaseEstimator):
    """An ensemble of recurrent networks as a scikit-learn estimator of frame matrices.

    Each network leaves another fifth of the training speakers out, who decide its learning rate
    and when its training stops. Beside the networks there is a linear head on the same statistics
    with a closed solution (`EmotionLDA`; ridge regression for numbers). The predictions for the
    left-out speakers decide the weight of the networks beside it, half of what is best for them,
    and the temperature of the probabilities (Guo et al. 2017).

    Parameters
    ----------
    classification : bool
        Otherwise there is one output, a number.
    features : list of str, optional
        Names of the features that the columns belong to; see `frame_models.clip_statistics`.
    n_networks : int
        At most; no more than there are speakers, nor more than `HELD_OUT`.
    n_rnn_layers, n_dense_layers : int
        0 leaves them out.
    rnn_units, dense_units : int
        Of each layer; a bidirectional layer has twice as many.
    cell : {"LSTM", "GRU", "SimpleRNN"}
    bidirectional : bool
    dropout : float or list of float
        Of every layer, or a rate for each, the recurrent ones first.
    batch_size, epochs : int
        Epochs at most; see `networks.PATIENCE`.
    optimizer : str
        Of Keras.
    learning_rate : float
        At the beginning.
    loss : str, optional
        Of Keras. Default: cross-entropy with smoothed labels; mean absolute error.
    augment : bool
        Train on variations of the clips, see `networks.varied`.
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
        The mean of all networks and the linear head.
    share_, temperature_ : float
        Weight of the networks, the linear head has the rest; divisor of its decision values.
    history_ : DataFrame
        network, epoch, loss, val_loss, val_accuracy (or val_mae), learning_rate.
    """

    not_saved = "n_jobs", "verbose", "results_dir", "logs_dir", "override"

    def __init__(
        self,
        *,
        classification=True,
        features=None,
        n_networks=2,
        n_rnn_layers=2,
        n_dense_layers=2,
        rnn_units=64,
        dense_units=128,
        cell="LSTM",
        bidirectional=True,
        dropout=0.4,
        batch_size=32,
        epochs=30,
        optimizer="adamw",
        learning_rate=1e-3,
        loss=None,
        augment=True,
        mixed_precision=False,
        n_jobs=-1,
        verbose=1,
        random_state=None,
        results_dir="results",
        logs_dir="logs",
        override=False,
    ):
        vars(self).update({name: x for name, x in locals().items() if name != "self"})

    def fit(self, X, y, groups=None, copies=None):
        """Train the networks, or load the weights of an identical earlier run.

        Parameters
        ----------
        X : array (n_clips,) of ndarray (n_frames, n_columns)
            Standardised frames.
        y : ndarray (n_clips,)
            Labels, or numbers.
        groups : ndarray (n_clips,), optional
            Speakers. Default: each clip counts as one.
        copies : dict of str to callable, optional
            Name of a kind of copies to a function that makes the frames of each clip's copy, as in
            X. It is called unless the weights are there, and one by one: frames take much memory.

        Returns
        -------
        self
        """
        copies = copies or {}
        groups = np.arange(len(y)) if groups is None or len(set(groups)) < 2 else groups
        targets, seed = self._targets(y), self.random_state or 0
        columns = frame_models.columns_without_deltas(self.features)
        self.convolutions_ = frame_models.RandomConvolutions(columns, seed).fit(X)
        steps, statistics = self._summed(X)
        self.steps_scaler_ = frame_models.FrameScaler().fit(steps)
        self.statistics_scaler_ = StandardScaler().fit(statistics)
        self.n_columns_, self.n_statistics_ = X[0].shape[1], statistics.shape[1]
        folds = speaker_folds(y, groups, HELD_OUT, seed)
        self.n_networks_ = min(self.n_networks, len(folds))
        fingerprint = self._fingerprint(X, y, groups, [*copies])
        path = Path(self.results_dir) / f"{self.cell.lower()}-{fingerprint}.npz"
        if path.is_file() and not self.override:
            with np.load(path, allow_pickle=False) as file:
                return self._restore(dict(file))
        versions = [self._scaled(steps, statistics)]
        versions += [self._scaled(*self._summed(make())) for make in copies.values()]
        logs = writable(self.logs_dir, path.stem)
        weights = compute_sample_weight("balanced" if self.classification else None, y)
        kept = self._train(versions, targets, weights.astype(np.float32), folds, logs)
        if writable(self.results_dir):
            with replacing(path) as temporary, temporary.open("wb") as file:
                np.savez(file, **kept)
        self._restore(kept)
        if logs is not None:
            ax = draw_curves(self.history_, ax=new_figure(6.4, 4).subplots())
            save_figure(ax.figure, logs / CURVES)
        return self

    def _targets(self, y):
        """One column a class (n_clips, n_classes), or the numbers (n_clips, 1): float32."""
        if not self.classification:
            return np.asarray(y, dtype=np.float32)[:, np.newaxis]
        self.classes_, index = np.unique(y, return_inverse=True)
        return np.eye(len(self.classes_), dtype=np.float32)[index]

    def rates(self):
        """The dropout of each layer: list of float.

        Raises
        ------
        ValueError
            If there are more or fewer of them than layers.
        """
        rates, n_layers = self.dropout, self.n_rnn_layers + self.n_dense_layers
        rates = rates if isinstance(rates, (list, tuple)) else [rates] * n_layers
        if len(rates) != n_layers:
            raise ValueError(
                f"dropout has {len(rates)} numbers for {self.n_rnn_layers} recurrent and "
                f"{self.n_dense_layers} dense layers; give one number, or {n_layers}."
            )
        return list(rates)

    def _architecture(self):
        """The arguments of `networks.build_network`."""
        settings, names = self.get_params(), inspect.signature(build_network).parameters
        return {name: settings[name] for name in names if name in settings} | {
            "dropout": self.rates(),
            "n_columns": self.n_columns_,
            "n_statistics": self.n_statistics_,
            "n_outputs": len(self.classes_) if self.classification else 1,
        }

    def _fingerprint(self, X, y, groups, copies):
        """A digest of all that the weights depend on."""
        settings = {k: v for k, v in self.get_params().items() if k not in self.not_saved}
        versions = [importlib.metadata.version(name) for name in ("tensorflow", "keras", "numpy")]
        parts = VERSION, settings, versions, copies, y.tolist(), groups.tolist()
        digest = hashlib.sha256(json.dumps(parts).encode())
        for x in X:
            digest.update(np.ascontiguousarray(x))
        return digest.hexdigest()[:16]

    def _train(self, versions, targets, weights, folds, logs):
        """Train a network for each of the first folds: what `_restore` needs, a dict of arrays.

        Versions are (steps, statistics) of the clips and of their copies. The networks are trained
        on all, and validated on the first.
        """
        n_clips, n_versions, n_networks = len(targets), len(versions), self.n_networks_
        steps, statistics = map(np.concatenate, zip(*versions, strict=True))
        copied = n_clips * np.arange(n_versions)[:, np.newaxis]
        folds = [((copied + train).ravel(), held_out) for train, held_out in folds]
        starts = np.cumsum([0, *map(len, steps)])
        targets, weights = np.tile(targets, (n_versions, 1)), np.tile(weights, n_versions)
        settings = {"n_versions": n_versions, "seed": self.random_state or 0, **self.get_params()}
        settings["architecture"] = self._architecture()
        clips = Clips(np.concatenate(steps), starts, statistics, targets, weights)
        options = {"n_jobs": self.n_jobs, "verbose": self.verbose, "log_folder": logs}
        trained, predicted, history = train_networks(clips, folds[:n_networks], settings, **options)
        outputs = np.empty_like(targets)
        for (_, held_out), own in zip(folds, predicted, strict=False):
            outputs[held_out] = own
        arrays = {f"weights_{i}_{j}": x for i, own in enumerate(trained) for j, x in enumerate(own)}
        history = {"history": np.array(history.to_json(orient="records"))}
        return arrays | self._set_linear_head(statistics, targets, outputs, folds) | history

    def _set_linear_head(self, statistics, targets, outputs, folds):
        """Fit the linear head, its weight, and the temperature: dict of ndarray.

        The head is trained on all versions of the clips, and validated on the first, as the
        networks are. Its own temperature is fitted on all folds; the weight and the common
        temperature on those with a network. Their predictions are in `outputs`, row by row.
        """
        n_clips = sum(len(held_out) for _, held_out in folds)
        copied, scores = len(targets) > n_clips, np.empty((n_clips, targets.shape[1]))
        for train, held_out in folds:
            weights, offsets = models.linear_head(statistics[train], targets[train], copied)
            scores[held_out] = statistics[held_out] @ weights + offsets
        weights, offsets = models.linear_head(statistics, targets, copied)
        if self.classification:
            own = temperature(scores, targets[:n_clips].argmax(axis=1))
            weights, offsets = weights / own, offsets / own
            scores = log_softmax(scores / own, axis=1)
        rows = np.concatenate([held_out for _, held_out in folds[: self.n_networks_]])
        outputs, scores, targets = outputs[rows], scores[rows], targets[rows]

        def joined(share):
            return share * outputs + (1 - share) * scores

        best = min(SHARES, key=lambda share: self._error(joined(share), targets))
        share, both = best / SHARE_DIVISOR, 1.0
        if self.classification:
            truth = targets.argmax(axis=1)
            both = temperature(joined(share), truth) / temperature(scores, truth)
        head = {"linear_weights": weights.astype(np.float32)}
        head["linear_offsets"] = offsets.astype(np.float32)
        return head | {"share": np.array(share), "temperature": np.array(both)}

    def _error(self, outputs, targets):
        """Mean absolute error, or cross-entropy at the best temperature; few clips decide UAR."""
        if not self.classification:
            return np.abs(outputs - targets).mean()
        truth = targets.argmax(axis=1)
        return cross_entropy(outputs / temperature(outputs, truth), truth)

    def _summed(self, X):
        """Segments of clips, and their statistics with the features of random convolutions."""
        statistics = frame_models.clip_statistics(X, self.features), self.convolutions_.transform(X)
        return [segments(x) for x in X], np.hstack(statistics)

    def _scaled(self, steps, statistics):
        """Standardise what `_summed` made of clips, and cut it off."""
        statistics = self.statistics_scaler_.transform(statistics)
        return self.steps_scaler_.transform(steps), statistics.clip(-models.LIMIT, models.LIMIT)

    def _restore(self, kept):
        """Build the networks from their weights, and one that joins them with the linear head."""
        self.share_ = float(kept["share"])
        *networks, linear = self._build()
        for i, network in enumerate(networks):
            n_arrays = len(network.get_weights())
            network.set_weights([kept[f"weights_{i}_{j}"] for j in range(n_arrays)])
        linear.set_weights([kept["linear_weights"], kept["linear_offsets"]])
        self.temperature_ = float(kept["temperature"])
        self.history_ = pd.DataFrame(json.loads(str(kept["history"])))
        return self

    def _build(self):
        """Build the networks and a linear layer, which are returned, and one that joins them."""
        networks = [build_network(**self._architecture()) for _ in range(self.n_networks_)]
        self.network_, linear = joined_network(
            networks, self.share_, classification=self.classification
        )
        self._function = as_function(self.network_)
        return [*networks, linear]

    def __getstate__(self):
        """What copies, pickles and files hold: the network as the bytes of a .keras file."""
        state = super().__getstate__()
        if "network_" not in state:
            return state
        state = {name: part for name, part in state.items() if name != "_function"}
        state["network_"] = model_file.network_bytes(self.network_)
        return state | {"history_": self.history_.to_json(orient="records")}

    def __setstate__(self, state):
        """Build the network anew from the settings; the file gives nothing but its weights."""
        super().__setstate__(state)
        if "network_" not in state:
            return
        check_name(self.cell, CELLS, "cell")
        least = (  # weights that the layers have at any rate
            self.n_rnn_layers * self.rnn_units**2
            + self.n_dense_layers * self.dense_units**2
            + bool(self.n_rnn_layers) * self.n_columns_ * self.rnn_units
            + self.n_statistics_ * self.dense_units
        )
        if self.n_networks_ * least > model_file.n_weights(state["network_"]):
            raise model_file.ModelFileError("its network has fewer weights than its settings need")
        self._build()
        model_file.load_weights(self.network_, state["network_"])
        self.history_ = pd.DataFrame(json.loads(self.history_))

    def decision_function(self, X):
        """Mean log probabilities, or numbers.

        Parameters
        ----------
        X : array (n_clips,) of ndarray (n_frames, n_columns)

        Returns
        -------
        ndarray (n_clips, n_classes), for regression (n_clips, 1)
        """
        check_is_fitted(self, "network_")
        return predict_batches(self._function, *self._scaled(*self._summed(X)))

    def predict_proba(self, X):
        """Probabilities of the classes.

        Parameters
        ----------
        X : array (n_clips,) of ndarray (n_frames, n_columns)

        Returns
        -------
        ndarray (n_clips, n_classes)
        """
        return softmax(self.decision_function(X) / self.temperature_, axis=1)

    def predict(self, X):
        """The likeliest class of each clip, or its number.

        Parameters
        ----------
        X : array (n_clips,) of ndarray (n_frames, n_columns)

        Returns
        -------
        ndarray (n_clips,)
        """
        outputs = self.decision_function(X)
        if not self.classification:
            return outputs[:, 0].astype(float)
        return self.classes_[outputs.argmax(axis=1)]


class DeepEmotionRecognizer(EmotionRecognizer):
    """Recurrent networks over the frames of a clip; see `FrameNetwork`.

    Parameters
    ----------
    features : list of str
        Whose frames: any of spectrum, prosody and quality (the default), any of the five, or an
        encoder's alone.
    balance : bool
        Off by default: the classes have weights instead.
    speeds : int
        All by default.
    **options
        Those of `FrameNetwork` (n_rnn_layers, rnn_units, cell, dropout, epochs, ...), and of
        `EmotionRecognizer` but for model and functionals.

    Examples
    --------
    >>> rec = DeepEmotionRecognizer(emotions=["sad", "happy"], cell="GRU", n_rnn_layers=1)
    >>> rec.model
    FrameNetwork(cell='GRU', features=('spectrum', 'prosody', 'quality'),
                 n_rnn_layers=1)
    """

    training, scaler, speaker_scaler = NetworkTraining, frame_models.FrameScaler, SpeakerFrameScaler

    def __init__(self, *, features=DEEP_FEATURES, balance=False, **options):
        ours, theirs = FrameNetwork().get_params(), {*SETTINGS} - {"model", "functionals"}
        features = utils.with_encoder(features, options.pop("encoder", utils.AS_FEATURES))
        if utils.encoder_of(features) and len(features) > 1:
            raise ValueError(
                "A network takes frames of one kind, an encoder's or others; got "
                f"{', '.join(features)}. features=['encoder'] takes the encoder's."
            )
        options = {"speeds": len(SPEEDS)} | renamed(options, theirs | set(ours), ALIASES)
        options["classification"] = options.get("classification", True) and not options.get(
            "target"
        )
        if "cell" in options:
            cell = getattr(options["cell"], "__name__", options["cell"])
            options["cell"] = check_name(cell, CELLS, "cell")
        own = {name: options[name] for name in options if name in ours}
        network = FrameNetwork(**own | {"features": tuple(features)})
        network.rates()
        options = {name: options[name] for name in options if name in theirs}
        settings = {"features": features, "functionals": FRAMES, "balance": balance}
        super().__init__(network, **options | settings)

    def _settings(self):
        settings = self.model.get_params() | super()._settings()
        return {k: v for k, v in settings.items() if k not in ("model", "functionals")}

    def _copies(self, rows):
        return {str(v): partial(self._copy, rows, *v) for v in self._versions()}

    def _shown_model(self):
        settings = self.model.get_params().items()
        return FrameNetwork(**{k: v for k, v in settings if k not in FrameNetwork.not_saved})

    def determine_best_model(self, by="cv"):
        raise ValueError("There is one model; grid_search({'rnn_units': [64, 128]}) tries others.")

    @property
    def history_(self):
        """Every epoch of every network; see `FrameNetwork`."""
        self._check_trained()
        return self.model.history_

    def draw_history(self, *, ax=None):
        """Draw the loss of every network; see `plotting.draw_curves`.

        Parameters
        ----------
        ax : matplotlib Axes, optional
        """
        return draw_curves(self.history_, ax=ax)

    def train(self, override=False):
        """Train the networks, or load what an identical earlier run left in `results_dir`: self.

        Parameters
        ----------
        override : bool
            Train anew whatever is there.
        """
        self.model.override = override
        return super().train()


class EnsembleRecognizer(Recognizer):
    """Averages the calibrated probabilities of several recognizers, or their numbers.

    Parameters
    ----------
    members : list of EmotionRecognizer, optional
        They are not changed. Default: a recommended one that learns from copies at other speeds
        and from noisy copies of all these, too, and a `DeepEmotionRecognizer`.
    **options
        Of the default members; see `EmotionRecognizer`.

    Examples
    --------
    >>> [member.name for member in EnsembleRecognizer().members]
    ['BlockLDA', 'FrameNetwork']
    """

    def __init__(self, members=None, **options):
        if members is None:
            options = renamed(options, {*SETTINGS, *FrameNetwork().get_params()}, ALIASES)
            options["data"] = read_data(options.get("data"))  # once for both
            copies = {"speeds": 4} | options | {"noisy": options.get("noisy") or 1}
            members = [recommended(**copies), DeepEmotionRecognizer(**options | {"encoder": None})]
        elif options:
            raise TypeError(f"{', '.join(options)}: options are for the default members.")
        self._join([member.untrained() for member in members])

    def _join(self, members):
        """Keep the members and what they have in common."""
        self.members, self.model = members, None
        for name in (*SAME, "verbose", "n_jobs", "scheduler", "_all_emotions"):
            first, *others = (getattr(member, name) for member in members)
            if name in SAME and any(other != first for other in others):
                raise ValueError(
                    f"The members of an ensemble must agree in {name}; got {first!r} and "
                    f"{', '.join(map(repr, others))}."
                )
            setattr(self, name, first)
        self._begin()

    @property
    def name(self):
        """The classes of the members' models, for tables and titles."""
        return " and ".join(member.name for member in self.members)

    def untrained(self, **changes):
        """A recognizer of the same members, not trained.

        Parameters
        ----------
        **changes
            Settings that differ.
        """
        return EnsembleRecognizer([member.untrained(**changes) for member in self.members])

    def _wishes(self):
        return self.members[0]._wishes()

    def _rows(self, leave=False):
        return self.members[0]._rows(leave)

    def _set_emotions(self, emotions):
        self.emotions, self.members = emotions, [copy.copy(member) for member in self.members]
        for member in self.members:
            member._set_emotions(emotions)

    def _read(self, rows, partition="train"):
        splits = [member._read(rows, partition) for member in self.members]
        return splits[0]._replace(X=Views([split.X for split in splits]))

    def _keep(self, train=None, test=None):
        super()._keep(train, test)
        self.members = [copy.copy(member) for member in self.members]
        for i, member in enumerate(self.members):
            member._keep(*(part and part._replace(X=part.X.views[i]) for part in (train, test)))

    def _fitted(self, split, verbose=0):
        pairs = zip(self.members, split.X, strict=True)
        return EnsemblePredictor.of([m._fitted(split._replace(X=X), verbose) for m, X in pairs])

    def _learn(self, verbose):
        super()._learn(verbose)
        for member in self.members:
            member.record_, member._scored, member._learned = None, None, self._learned
        return self

    def _take(self, predictor):
        self.predictor_, self.members = predictor, [copy.copy(m) for m in self.members]
        for member, part in zip(self.members, predictor.parts, strict=True):
            member._take(part)

    def _in_short(self):
        texts = [member._in_short() for member in self.members]
        return {name: "; ".join(text[name] for text in texts) for name in texts[0]}

    def _content(self):
        return {"class": type(self).__name__, "members": [m._content() for m in self.members]}

    @classmethod
    def _restored(cls, content, record, encoder=None):
        rec = cls.__new__(cls)
        rec._join([model_file.restored(own, record, encoder) for own in content["members"]])
        rec._take(EnsemblePredictor.of([member.predictor_ for member in rec.members]))
        rec.record_, rec.adaptation_ = record, record.get("adaptation")
        return rec

    def grid_search(self, params, n_jobs=None):
        """An ensemble has nothing to tune; its members have.

        Parameters
        ----------
        params, n_jobs
            See `EmotionRecognizer.grid_search`.

        Raises
        ------
        ValueError
            It says how to tune members.
        """
        raise ValueError(
            "An ensemble has no parameters of its own: rec.members[0].grid_search(...) tunes a "
            "member, EnsembleRecognizer([...]) joins tuned ones."
        )

    def determine_best_model(self, by="cv"):
        """An ensemble has nothing to choose from.

        Parameters
        ----------
        by
            See `EmotionRecognizer.determine_best_model`.

        Raises
        ------
        ValueError
            Always.
        """
        raise ValueError("An ensemble has no best model; all its members take part.")


def named_recognizer(name, **options):
    """A recognizer by the name of its model on the command line.

    Parameters
    ----------
    name : str
        One of `RECIPES`, or a model of `parameters.py`: with the parameters and features it was
        tuned with, if grid/ has it.
    **options
        See `EmotionRecognizer`.

    Returns
    -------
    Recognizer
        Not trained, but for "best".

    Examples
    --------
    >>> named_recognizer("RandomForest", features=["prosody"]).features
    ['prosody']
    """
    recipes = (recommended, classic, EmotionRecognizer, DeepEmotionRecognizer, EnsembleRecognizer)
    recipes = dict(zip(RECIPES, recipes, strict=True)) | {"default": recommended}
    if name in recipes:
        return recipes[name](**options)
    classification = options.get("classification", True) and not options.get("target")
    ending, known = ("Classifier", CLASSIFIERS) if classification else ("Regressor", REGRESSORS)
    short = {full.removesuffix(ending): full for full in known}
    full = short[check_name(name.removesuffix(ending), (*RECIPES, *short), "model")]
    for result in utils.best_results(classification):
        if result["estimator"] == full:
            options = {"features": result["features"]} | options
            return EmotionRecognizer(utils.tuned_estimator(result), **options)
    return EmotionRecognizer(utils.make_estimator(full), **options)


__getattr__ = moved(
    __name__,
    {
        "adaptation": "SpeakerScaler VoiceScaler=SpeakerFrameScaler",
        "data_extractor": "ragged source_version=extraction_version",
        "deep_emotion_recognition": "FLATTERY=SHARE_DIVISOR",
        "features": "Course=Contour FUNCTIONALS feature_names",
        "model_file": "restored",
        "frame_models": "CLIPS_FOR_HEIGHTS DILATIONS FEWEST FrameScaler HEIGHTS KERNELS"
        " MOST_COLUMNS RandomConvolutions TAPS VOICED clip_statistics voiced_frames",
        "models": "EmotionLDA LIMIT RIDGE components",
        "networks": "ATTENTION BUCKETS PATIENCE SEGMENT SMOOTHING STATISTICS_DROPOUT STEP"
        " STEPS_DROPOUT varied",
        "plotting": "LINES",
        "tables": "speaker_groups",
        "utils": "best_results make_estimator quiet_stderr tuned_estimator",
    },
)
