"""Recurrent networks over the frames of a clip, and ensembles of recognizers.

from deep_emotion_recognition import DeepEmotionRecognizer, EnsembleRecognizer

rec = DeepEmotionRecognizer(emotions=["angry", "sad", "neutral", "ps", "happy"])
rec.train()                                 # the weights are kept in results/ for the next run
rec.test_score(), rec.predict("call.wav"), rec.predict_proba("call.wav")
EnsembleRecognizer().train()                # averages networks and the recommended recognizer
tensorboard --logdir logs                   # in the shell: every epoch of every network
"""

import copy
import hashlib
import importlib.metadata
import json
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import softmax
from sklearn.base import BaseEstimator
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.validation import check_is_fitted

import model_file
import utils
from adaptation import FrameScaler, SpeakerFrameScaler
from checks import check_name, moved, renamed, replacing, writable
from clip_tables import read_data
from confidence import mixture_weights, temperature
from data_extractor import Split, Views
from emotion_recognition import ALIASES, SETTINGS, EmotionRecognizer, classic, recommended
from functionals import STEPS
from networks import (
    CELLS,
    PROJECTION,
    Clips,
    as_function,
    build_network,
    mean_network,
    predict_batches,
    train_networks,
)
from parameters import CLASSIFIERS, RECIPES, REGRESSORS
from plotting import draw_curves, new_figure, save_figure
from predictor import EnsemblePredictor
from recognizer import Recognizer
from sampling import speaker_folds
from training import NetworkTraining

DEEP_FEATURES = ("encoder",)
SPEECH_FEATURES = "spectrum", "prosody", "quality"  # without an encoder
N_SPEEDS = 2  # copies of each clip
SAME = ("emotions", "classification", "target", "balance", "corpora", "tess_ravdess", "emodb")
SAME += ("custom_db", "data", "data_dir", "random_state", "normalize")  # in an ensemble

VERSION = 3  # of the training; to be raised by changes that give other weights
HELD_OUT = 5  # the first network leaves a fifth of the speakers out
MEMBER_FOLDS = 3  # folds of speakers for fitting the weights of an ensemble
CURVES = "curves.png"  # in the folder of a run in logs_dir


@model_file.plain
class FrameNetwork(BaseEstimator):
    """Recurrent networks as a scikit-learn estimator of matrices of steps, means of a few frames.

    For the architecture see `networks.build_network`. The outputs of several networks are averaged.
    The first one leaves out a fifth of the training speakers; its predictions for them give the
    temperature of the probabilities (Guo et al. 2017). The others are trained on all.

    Parameters
    ----------
    n_rnn_layers, n_dense_layers : int
        0 leaves them out.
    rnn_units, dense_units : int or list of int
        Units, for all layers or for each; a bidirectional recurrent layer has twice as many.
    cell : {"LSTM", "GRU", "SimpleRNN"}
    dropout : float or list of float
        Rate, for all layers or for each, recurrent ones first.
    batch_size, epochs, n_networks : int
    learning_rate : float
        At the beginning; it falls to 0 along half a cosine (Loshchilov and Hutter 2017).
    classification : bool
        False: predict numbers.
    mixed_precision : bool
        Train with 16 bits, which is faster on some GPUs. The weights have 32.
    n_jobs : int
        Networks trained at the same time, each in a process; on a GPU, one.
    verbose : int
        0 draws no progress bar.
    random_state : int, optional
        Seed; the same one gives the same weights on the same machine.
    results_dir, logs_dir : path
        Folders of the weights, and of the logs for TensorBoard with a picture of the learning
        curves; None keeps none.
    override : bool
        Train even if results_dir has the weights of an identical run.

    Attributes
    ----------
    classes_ : ndarray (n_classes,)
        Only for a classifier.
    network_ : keras.Model
        The mean of all networks.
    temperature_ : float
        Divisor of its log probabilities.
    center_, scale_ : ndarray (n_outputs,)
        Mean and standard deviation of numeric targets.
    history_ : DataFrame
        network, epoch, loss, uar (or mae), and for the first network val_loss, val_uar (or
        val_mae).
    """

    not_saved = "n_jobs", "verbose", "results_dir", "logs_dir", "override"

    def __init__(
        self,
        *,
        n_rnn_layers=2,
        n_dense_layers=2,
        rnn_units=128,
        dense_units=128,
        cell="LSTM",
        dropout=0.4,
        batch_size=64,
        epochs=30,
        learning_rate=2e-3,
        n_networks=2,
        classification=True,
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
        X : array (n_clips,) of ndarray (n_steps, n_columns)
            Standardised; see `functionals.steps_of`.
        y : ndarray (n_clips,), or (n_clips, n_targets)
            Labels, or numbers.
        groups : ndarray (n_clips,), optional
            Speakers. Default: a speaker for each clip.
        copies : dict of str to callable, optional
            Name of a kind of copies to a function that returns the steps of each clip's copy, as X.
            It isn't called if the weights are found.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If there are no networks, or the numbers of layers and of their units or rates differ.
        """
        if self.n_networks < 1:
            raise ValueError(f"n_networks is {self.n_networks}; it must be 1 or more.")
        copies = copies or {}
        groups = np.arange(len(y)) if groups is None or len(set(groups)) < 2 else groups
        targets, self.n_columns_ = self._targets(y), X[0].shape[1]
        self.n_outputs_ = targets.shape[1]
        fold = speaker_folds(y, groups, HELD_OUT, self.random_state or 0)[0]
        whole = np.arange(len(y)), np.arange(0)
        folds = [fold, *[whole] * (self.n_networks - 1)]
        fingerprint = self._fingerprint(X, y, groups, [*copies])
        path = Path(self.results_dir) / f"{self.cell.lower()}-{fingerprint}.npz"
        if path.is_file() and not self.override:
            with np.load(path, allow_pickle=False) as file:
                return self._restore(dict(file))
        logs = writable(self.logs_dir, path.stem)
        steps = [x for version in (lambda: X, *copies.values()) for x in version()]
        kept = self._train(steps, targets, folds, logs)
        if writable(self.results_dir):
            with replacing(path) as temporary, temporary.open("wb") as file:
                np.savez(file, **kept)
        self._restore(kept)
        if logs is not None:
            ax = draw_curves(self.history_, ax=new_figure(6.4, 4).subplots())
            save_figure(ax.figure, logs / CURVES)
        return self

    def _targets(self, y):
        """A column for each class (n_clips, n_classes), or standardised numbers: float32."""
        if self.classification:
            self.classes_, index = np.unique(y, return_inverse=True)
            return np.eye(len(self.classes_), dtype=np.float32)[index]
        y = np.asarray(y, dtype=np.float64).reshape(len(y), -1)
        self.center_, self.scale_ = y.mean(axis=0), y.std(axis=0) + 1e-6
        return ((y - self.center_) / self.scale_).astype(np.float32)

    def layers(self):
        """Units and dropout of each layer: dict, arguments of `networks.build_network`.

        Raises
        ------
        ValueError
            If there are more or fewer of these than layers.
        """
        recurrent, dense = self.n_rnn_layers, self.n_dense_layers
        return {
            "cell": self.cell,
            "rnn_units": self._of_each("rnn_units", recurrent),
            "dense_units": self._of_each("dense_units", dense),
            "dropout": self._of_each("dropout", recurrent + dense),
        }

    def _of_each(self, name, n_layers):
        """A setting for each of the layers: list."""
        values = getattr(self, name)
        values = list(values) if isinstance(values, (list, tuple)) else [values] * n_layers
        if len(values) != n_layers:
            raise ValueError(
                f"{name} has {len(values)} numbers for {n_layers} of {self.n_rnn_layers} recurrent "
                f"and {self.n_dense_layers} dense layers; give one number, or {n_layers}."
            )
        return values

    def _architecture(self):
        """The arguments of `networks.build_network`."""
        return self.layers() | {"n_columns": self.n_columns_, "n_outputs": self.n_outputs_}

    def _fingerprint(self, X, y, groups, copies):
        """A digest of everything that the weights depend on."""
        settings = {k: v for k, v in self.get_params().items() if k not in self.not_saved}
        versions = [importlib.metadata.version(name) for name in ("tensorflow", "keras", "numpy")]
        parts = VERSION, settings, versions, copies, y.tolist(), groups.tolist()
        digest = hashlib.sha256(json.dumps(parts).encode())
        for x in X:
            digest.update(np.ascontiguousarray(x))
        return digest.hexdigest()[:16]

    def _train(self, steps, targets, folds, logs):
        """Train a network for each fold: dict of arrays for `_restore`.

        `steps` has the clips, then their copies. The networks are trained on all, and validated on
        the clips.
        """
        n_clips, n_versions = len(targets), len(steps) // len(targets)
        copied = n_clips * np.arange(n_versions)[:, np.newaxis]
        own = [((copied + train).ravel(), held_out) for train, held_out in folds]
        labels = targets.argmax(axis=1) if self.classification else np.zeros(n_clips)
        weights = compute_sample_weight("balanced", labels).astype(np.float32)
        targets, weights = np.tile(targets, (n_versions, 1)), np.tile(weights, n_versions)
        starts = np.cumsum([0, *map(len, steps)])
        settings = {"n_versions": n_versions, **self.get_params()}
        settings |= {"architecture": self._architecture(), "seed": self.random_state or 0}
        clips = Clips(np.concatenate(steps), starts, targets, weights)
        options = {"n_jobs": self.n_jobs, "verbose": self.verbose, "log_folder": logs}
        trained, outputs, history = train_networks(clips, own, settings, **options)
        kept = {f"weights_{i}_{j}": x for i, own in enumerate(trained) for j, x in enumerate(own)}
        truth = targets[folds[0][1]].argmax(axis=1)
        own = temperature(outputs[0], truth) if self.classification else 1.0
        history = np.array(history.to_json(orient="records"))
        return kept | {"temperature": np.array(own), "history": history}

    def _restore(self, kept):
        """Build the networks from their weights, and their mean."""
        for i, network in enumerate(self._build()):
            n_arrays = len(network.get_weights())
            network.set_weights([kept[f"weights_{i}_{j}"] for j in range(n_arrays)])
        self.temperature_ = float(kept["temperature"])
        self.history_ = pd.DataFrame(json.loads(str(kept["history"])))
        return self

    def _build(self):
        """Build the networks, which are returned, and their mean."""
        networks = [build_network(**self._architecture()) for _ in range(self.n_networks)]
        self.network_ = mean_network(networks, classification=self.classification)
        self._function = as_function(self.network_)
        return networks

    def __getstate__(self):
        """The state for copies, pickles and files: the network as the bytes of a .keras file."""
        state = super().__getstate__()
        if "network_" not in state:
            return state
        state = {name: part for name, part in state.items() if name != "_function"}
        state["network_"] = model_file.network_bytes(self.network_)
        return state | {"history_": self.history_.to_json(orient="records")}

    def __setstate__(self, state):
        """Build the network from the settings; only its weights come from the file."""
        super().__setstate__(state)
        if "network_" not in state:
            return
        check_name(self.cell, CELLS, "cell")
        layers = self.layers()
        dense = [PROJECTION, *layers["dense_units"]]
        least = self.n_columns_ * PROJECTION  # lower bound of the number of weights
        least += sum(n * n for n in layers["rnn_units"]) + sum(a * b for a, b in pairwise(dense))
        if self.n_networks * least > model_file.n_weights(state["network_"]):
            raise model_file.ModelFileError("its network has fewer weights than its settings need")
        self._build()
        model_file.load_weights(self.network_, state["network_"])
        self.history_ = pd.DataFrame(json.loads(self.history_))

    def decision_function(self, X):
        """Mean log probabilities, or standardised numbers: ndarray (n_clips, n_outputs).

        Parameters
        ----------
        X : array (n_clips,) of ndarray (n_steps, n_columns)
        """
        check_is_fitted(self, "network_")
        return predict_batches(self._function, X)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def predict_proba(self, X):
        """Probabilities of the classes.

        Parameters
        ----------
        X : array (n_clips,) of ndarray (n_steps, n_columns)

        Returns
        -------
        ndarray (n_clips, n_classes)
        """
        return softmax(self.decision_function(X) / self.temperature_, axis=1)

    def predict(self, X):
        """The most probable class of each clip, or its numbers.

        Parameters
        ----------
        X : array (n_clips,) of ndarray (n_steps, n_columns)

        Returns
        -------
        ndarray (n_clips,), for several numbers (n_clips, n_targets)
        """
        outputs = self.decision_function(X)
        if self.classification:
            return self.classes_[outputs.argmax(axis=1)]
        numbers = self.center_ + self.scale_ * outputs.astype(float)
        return numbers[:, 0] if self.n_outputs_ == 1 else numbers


class DeepEmotionRecognizer(EmotionRecognizer):
    """Recurrent networks over the frames of a clip; see `FrameNetwork`.

    Parameters
    ----------
    features : list of str, optional
        Features with frames of one kind: an encoder alone (the default), any of spectrum, prosody
        and quality (the default with encoder=None), or any of librosa's five.
    balance : bool
        Off by default: classes are weighted instead.
    speeds : int
        2 by default.
    **options
        Those of `FrameNetwork` (n_rnn_layers, rnn_units, cell, dropout, epochs, ...), and of
        `EmotionRecognizer` but for model and functionals.

    Examples
    --------
    >>> rec = DeepEmotionRecognizer(emotions=["sad", "happy"], cell="GRU", n_rnn_layers=1)
    >>> rec.model
    FrameNetwork(cell='GRU', n_rnn_layers=1)
    """

    training, scaler, speaker_scaler = NetworkTraining, FrameScaler, SpeakerFrameScaler

    def __init__(self, *, features=None, balance=False, **options):
        ours, theirs = FrameNetwork().get_params(), {*SETTINGS} - {"model", "functionals"}
        encoder = options.pop("encoder", utils.AS_FEATURES)
        if features is None:
            features = SPEECH_FEATURES if encoder is None else DEEP_FEATURES
        features = utils.with_encoder(features, encoder)
        if utils.encoder_of(features) and len(features) > 1:
            raise ValueError(
                "A network needs frames of one kind, an encoder's or others; got "
                f"{', '.join(features)}. features=['encoder'] uses only the encoder."
            )
        options = {"speeds": N_SPEEDS} | renamed(options, theirs | set(ours), ALIASES)
        classifies = options.get("classification", True) and not options.get("target")
        options["classification"] = classifies
        if "cell" in options:
            cell = getattr(options["cell"], "__name__", options["cell"])
            options["cell"] = check_name(cell, CELLS, "cell")
        network = FrameNetwork(**{name: options[name] for name in options if name in ours})
        network.layers()
        options = {name: options[name] for name in options if name in theirs}
        settings = {"features": features, "functionals": STEPS, "balance": balance}
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
        raise ValueError(
            "There is only one model; try others by grid_search({'rnn_units': [64, 128]})."
        )

    @property
    def history_(self):
        """Losses and scores of all epochs of all networks: DataFrame, see `FrameNetwork`."""
        self._check_trained()
        return self.model.history_

    def draw_history(self, *, ax=None):
        """Draw the loss of every network: matplotlib Axes, see `plotting.draw_curves`.

        Parameters
        ----------
        ax : matplotlib Axes, optional
        """
        return draw_curves(self.history_, ax=ax)

    def train(self, override=False):
        """Train the networks, or load the weights of an identical run from `results_dir`: self.

        Parameters
        ----------
        override : bool
            Train even if there are such weights.
        """
        self.model.override = override
        return super().train()


class EnsembleRecognizer(Recognizer):
    """Averages the calibrated probabilities of several recognizers, or their numbers.

    The weights of members maximise the likelihood of left-out speakers, for which the members are
    trained again without these; numbers have equal weights.

    Parameters
    ----------
    members : list of EmotionRecognizer, optional
        They aren't changed. Default: a recommended one, also trained on copies at other speeds and
        noisy copies, and a `DeepEmotionRecognizer`.
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
            members = [recommended(**copies), DeepEmotionRecognizer(**options)]
        elif options:
            raise TypeError(
                f"{', '.join(options)}: options are for the default members; leave them out."
            )
        self._join([member.untrained() for member in members])

    def _join(self, members):
        """Keep the members and their common settings."""
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
        """The classes of the members' models, for tables and titles: str."""
        return " and ".join(member.name for member in self.members)

    def untrained(self, **changes):
        """A recognizer with the same members, not trained: EnsembleRecognizer.

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
        predictors = [m._fitted(split._replace(X=X), verbose) for m, X in pairs]
        return EnsemblePredictor.of(predictors, self._weights(split))

    def _weights(self, split):
        """Weights of the members: list of float; None for numbers and for a single speaker."""
        X, y, groups, rows = split
        if not self.classification or len(set(groups)) < 2:
            return None
        plain = [member.untrained(normalize=None, verbose=0) for member in self.members]
        shares, left_out = [], []
        for train, held_out in speaker_folds(y, groups, MEMBER_FOLDS, self.random_state):
            own = Split(X[train], y[train], groups[train], rows.iloc[train])
            fitted = [m._fitted(own._replace(X=x)) for m, x in zip(plain, own.X, strict=True)]
            if set(own.y) == set(y):
                pairs = zip(fitted, X[held_out], strict=True)
                truth = np.arange(len(held_out)), np.searchsorted(fitted[0].labels, y[held_out])
                shares.append([predictor.probabilities(x)[truth] for predictor, x in pairs])
                left_out.append(groups[held_out])
        if not shares:
            return None
        counts = compute_sample_weight("balanced", np.concatenate(left_out))
        return mixture_weights(np.hstack(shares), counts).tolist()

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
        content = {"class": type(self).__name__, "members": [m._content() for m in self.members]}
        return content | {"weights": self.predictor_.weights}

    @classmethod
    def _restored(cls, content, record, encoder=None):
        rec = cls.__new__(cls)
        rec._join([model_file.restored(own, record, encoder) for own in content["members"]])
        weights = _checked_weights(content.get("weights"), len(rec.members))
        rec._take(EnsemblePredictor.of([member.predictor_ for member in rec.members], weights))
        rec.record_, rec.adaptation_ = record, record.get("adaptation")
        return rec

    def grid_search(self, params, n_jobs=None):
        """Always raises: only members of an ensemble can be tuned.

        Parameters
        ----------
        params, n_jobs
            See `EmotionRecognizer.grid_search`.

        Raises
        ------
        ValueError
            Always; it says how to tune members.
        """
        raise ValueError(
            "An ensemble has no parameters of its own: tune a member by "
            "rec.members[0].grid_search(...), and join tuned ones by EnsembleRecognizer([...])."
        )

    def determine_best_model(self, by="cv"):
        """Always raises: an ensemble uses all its members.

        Parameters
        ----------
        by
            See `EmotionRecognizer.determine_best_model`.

        Raises
        ------
        ValueError
            Always.
        """
        raise ValueError("An ensemble has no best model: it uses all its members.")


def _checked_weights(weights, n_members):
    """The weights of a file, or None if it has none, as older ones."""
    if weights is None:
        return None
    legal = isinstance(weights, list) and len(weights) == n_members
    if not (
        legal and all(isinstance(x, float) and 0 <= x <= 1 for x in weights) and sum(weights) > 0
    ):
        raise model_file.ModelFileError(f"its members have the weights {weights!r:.60}; refused")
    return weights


def named_recognizer(name, **options):
    """Make a recognizer by the name of its model on the command line.

    Parameters
    ----------
    name : str
        One of `RECIPES`, or a model of `parameters.py`, with its tuned parameters and features if
        grid/ has them.
    **options
        See `EmotionRecognizer`.

    Returns
    -------
    Recognizer
        Untrained, except for "best".

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
        "adaptation": "SpeakerScaler VoiceScaler=SpeakerFrameScaler LIMIT",
        "checks": "quiet_stderr",
        "confidence": "cross_entropy",
        "data_extractor": "ragged source_version=extraction_version",
        "features": "Course=Contour FUNCTIONALS feature_names",
        "model_file": "restored",
        "models": "EmotionLDA RIDGE components",
        "functionals": "FRAMES STEP segments=steps_of",
        "networks": "ATTENTION SMOOTHING STEPS_DROPOUT varied",
        "plotting": "LINES",
        "tables": "speaker_groups",
        "utils": "best_results make_estimator tuned_estimator",
    },
)
