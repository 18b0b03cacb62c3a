"""Train a recognizer on the corpora that are there, score it, and hear what is in some files.

    python emotion_recognition.py                             # all corpora, recommended model
    python emotion_recognition.py call.wav "my clip.m4a"      # then predict these
    python emotion_recognition.py --model best                # choose among the tuned ones
    python emotion_recognition.py --model MLP --emotions angry,sad,neutral,ps,happy
    python emotion_recognition.py --corpora emodb --features mfcc,chroma,mel,contrast,tonnetz
    python emotion_recognition.py --picture confusion.png call.wav
    python emotion_recognition.py --json call.wav > result.json
    python emotion_recognition.py predict call.wav            # train nothing: the model in the box
    python emotion_recognition.py timeline call.wav --plot    # emotion over time; --help says more
    python emotion_recognition.py explain call.wav            # which features and seconds said so

From Python:

    from emotion_recognition import EmotionRecognizer, recommended

    rec = recommended(emotions=["sad", "neutral", "happy"]).train()
    rec.test_score(), rec.predict("call.wav"), rec.predict_proba("call.wav")
    rec.calibrate(["ann 1.wav", "ann 2.wav", "ann 3.wav"]).predict("ann 4.wav")
    rec.predict_timeline("call.wav")
    rec.explain("call.wav")
    rec.save("model.ser")                               # and later, without the recordings:
    load_recognizer("model.ser").predict("call.wav")

    from sklearn.svm import SVC, SVR
    rec = EmotionRecognizer(model=SVC(), emotions=["sad", "neutral", "happy"]).train()
"""

import sys

if __name__ == "__main__":  # before all else, so that every class is there once, in this module
    from commands import main

    sys.exit(main())

import copy
import inspect
import textwrap
import time
import warnings
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import scipy.linalg
from joblib import Parallel, delayed
from scipy.optimize import brentq, minimize, minimize_scalar
from scipy.special import log_softmax, softmax
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import Ridge
from sklearn.metrics import balanced_accuracy_score, fbeta_score, mean_absolute_error
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, SVR
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data
from tqdm.auto import tqdm

import evaluation
import explain
import model_file
import timeline
from create_csv import (
    CORPUS_GROUPS,
    PARTITIONS,
    WRITERS,
    absent,
    check_emotions,
    desc_file,
    find_data_dir,
    read_desc_file,
)
from data_extractor import (
    DEFAULT_EMOTIONS,
    AudioExtractor,
    extract_features,
    load_data,
    on_cluster,
    ragged,
    source_version,
    speaker_groups,
    stratified_order,
)
from degradations import SPEEDS
from features import (
    DEFAULT_FEATURES,
    FRAMES,
    RECOMMENDED_FEATURES,
    extract,
)
from listening import InputReport
from parameters import CLASSIFIERS, REGRESSORS, SAMPLE_RATE
from utils import (
    AVAILABLE_EMOTIONS,
    EMOTION_SCALES,
    best_results,
    check_name,
    emotion_scale,
    extract_feature,
    get_audio_config,
    get_best_estimators,
    make_estimator,
    replacing,
    tuned_estimator,
)

N_SPLITS = 5  # folds of speakers, wherever models are compared or probabilities fitted
SCORING = {True: "balanced_accuracy", False: "neg_mean_absolute_error"}  # by classification
SCORES = {True: balanced_accuracy_score, False: mean_absolute_error}  # the same, as functions
PARTS = 0.01, 0.1, 1.0  # of the training clips, in plot_histograms
COLOURS = ("#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7", "#999999")
"""Told apart by people with any colour vision (Okabe and Ito 2008)."""
RECOGNIZERS = "EmotionRecognizer", "DeepEmotionRecognizer", "EnsembleRecognizer"
SAVED_SETTINGS = ("emotions", "features", "functionals", "normalize", "voices", "degraded",
                  "classification", "balance", "tess_ravdess", "emodb", "custom_db", "verbose",
                  "random_state")  # fmt: skip
"""Of a recognizer's settings those that aren't of one machine."""
DEFAULT_FILE = Path(__file__).resolve().parent / "models" / "default.ser"
N_PROBES = 8  # clips whose answers are checked when a file is loaded
TOLERANCES = {8: 1e-6, 4: 1e-4}  # of answers, by the bytes of the numbers that they come from
FEATURE_TOLERANCE = 0.1  # standard deviations
LEAST_PROBABLE = 1e-3  # of what a model gives itself
TOWARDS_ONE = 0.05  # nats a clip, for a power of the distance that is 0 or 2
NEAREST = 0.1  # distance; an average of clips is nearer than any clip, and no surer
MOST_COPIES = 100  # degraded ones of a clip
RIDGE = 1000  # penalty of the recommended regressor, for some thousand standardised features


@model_file.plain
class EmotionLDA(ClassifierMixin, BaseEstimator):
    """Linear discriminant analysis for many features and few clips.

    Standardised features are clipped, so that no outlier decides, and reduced to their principal
    components; there the classes share a covariance that is shrunk to a multiple of the identity
    (Friedman 1989, "Regularized discriminant analysis"), and are equally likely.

    Parameters
    ----------
    n_components : int
        Principal components, fewer if there are fewer clips or features.
    shrinkage : float
        0 takes the covariance as it is, 1 only its average variance.
    clip : float
        Standard deviations at which features are cut off.

    Attributes
    ----------
    classes_ : ndarray (n_classes,)
    coef_ : ndarray (n_features, n_classes)
    intercept_ : ndarray (n_classes,)

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(60, 5)) + np.repeat([[0], [2]], 30, axis=0)
    >>> EmotionLDA().fit(X, np.repeat(["sad", "happy"], 30)).predict(X[[0, 59]]).tolist()
    ['sad', 'happy']
    """

    def __init__(self, n_components=400, shrinkage=0.3, clip=4.0):
        self.n_components = n_components
        self.shrinkage = shrinkage
        self.clip = clip

    def fit(self, X, y):
        """Learn from standardised features X (n_clips, n_features) and labels y (n_clips,)."""
        X, y = validate_data(self, X, y, dtype=[np.float32, np.float64], ensure_min_samples=2)
        check_classification_targets(y)
        self.classes_, index = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"EmotionLDA tells classes apart; there is only one, {y[0]!r}")
        X = np.clip(X, -self.clip, self.clip)
        centre = X.mean(axis=0)
        axes = _principal_axes(X - centre, self.n_components)
        Z = ((X - centre) @ axes).astype(np.float64)
        means = np.stack([Z[index == i].mean(axis=0) for i in range(len(self.classes_))])
        covariance = np.zeros((Z.shape[1], Z.shape[1]))
        for i, mean in enumerate(means):
            around = Z[index == i] - mean
            covariance += around.T @ around / len(around) / len(means)
        average = np.trace(covariance) / max(1, len(covariance))
        covariance *= 1 - self.shrinkage
        covariance.flat[:: len(covariance) + 1] += self.shrinkage * average + 1e-12
        directions = np.linalg.solve(covariance, means.T)
        self.coef_ = axes @ directions
        self.intercept_ = -0.5 * np.einsum("ij,ji->i", means, directions) - centre @ self.coef_
        return self

    def decision_function(self, X):
        """Log posteriors up to a constant: ndarray (n_clips, n_classes); (n_clips,) for two."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=[np.float32, np.float64], reset=False)
        scores = np.clip(X, -self.clip, self.clip) @ self.coef_ + self.intercept_
        return scores if len(self.classes_) > 2 else (scores[:, 1] - scores[:, 0]) / 2

    def predict(self, X):
        """The likeliest class of each clip: ndarray (n_clips,)."""
        best = _two_sided(self.decision_function(X)).argmax(axis=1)
        return self.classes_[best]


def _principal_axes(X, n_components):
    """Orthonormal axes of the largest variance of centred X: (n_features, n_components)."""
    wide = len(X) < X.shape[1]
    products = X @ X.T if wide else X.T @ X
    n = len(products)
    first = max(0, n - n_components)
    variances, axes = scipy.linalg.eigh(products, subset_by_index=[first, n - 1])
    kept = variances > max(variances[-1] * 1e-6, 1e-12)
    axes = axes[:, kept]
    return X.T @ (axes / np.sqrt(variances[kept])) if wide else axes


@model_file.plain
class SpeakerScaler(BaseEstimator):
    """Standardises what a speaker says by that speaker's voice.

    A handful of clips tells a voice's mean and variance badly, so they are weighed against those of
    the average speaker: the mean of each feature by how much speakers differ in it (the posterior
    mean of a random-effects model, Laird and Ware 1982), the variance as if of some clips more.

    Parameters
    ----------
    max_prior, variance_prior : float
        How many clips the average speaker's mean counts for at most, and the variance always.

    Attributes
    ----------
    mean_, variance_ : ndarray (n_features,)
        Of the average speaker's clips.
    spread_ : ndarray (n_features,)
        Variance of the speakers' means.
    offsets_ : dict of label to ndarray (n_features,)
        Where a speaker's clips of a label are on average, in the average standard deviation.
    habit_, noise_ : ndarray (n_features,)
        Variance of those places from speaker to speaker, and of the clips around them.
    """

    def __init__(self, max_prior=4.0, variance_prior=10.0):
        self.max_prior = max_prior
        self.variance_prior = variance_prior

    def fit(self, X, groups, y):
        """Learn the average speaker from X (n_clips, n_features), groups and y (n_clips,)."""
        voices = [groups == speaker for speaker in np.unique(groups)]
        means = np.stack([X[own].mean(axis=0) for own in voices])
        variance = np.mean([X[own].var(axis=0) for own in voices], axis=0)
        self.mean_, self.variance_ = means.mean(axis=0), np.where(variance > 0, variance, 1)
        spread = means.var(axis=0) - self.variance_ * len(voices) / len(X)
        self.spread_ = np.maximum(spread, self.variance_ / self.max_prior)
        residuals = np.empty_like(X)
        for own, mean in zip(voices, means, strict=True):
            residuals[own] = (X[own] - mean) / np.sqrt(self.variance_)
        self.offsets_ = {label: residuals[y == label].mean(axis=0) for label in np.unique(y)}
        cells = []
        for label, offset in self.offsets_.items():
            cells += [residuals[own & (y == label)] - offset for own in voices]
        cells = [cell for cell in cells if len(cell)]
        self.noise_ = np.mean([cell.var(axis=0) for cell in cells], axis=0)
        self.habit_ = np.mean([cell.mean(axis=0) ** 2 for cell in cells], axis=0)
        return self

    def statistics(self, X, labels=None):
        """The mean and standard deviation of a voice.

        Parameters
        ----------
        X : ndarray (n_clips, n_features)
            Of one speaker.
        labels : array (n_clips,), optional
            What the clips are known to be; else they count as all sorts.

        Returns
        -------
        mean, std : ndarray (n_features,)
        """
        weight, mean, usual = 1 / self.spread_, self.mean_ / self.spread_, 1
        if labels is None:
            weight, mean = weight + len(X) / self.variance_, mean + X.sum(axis=0) / self.variance_
        else:
            labels = np.asarray(labels)
            for label in np.unique(labels):
                clips = X[labels == label]
                precision = 1 / (self.variance_ * (self.habit_ + self.noise_ / len(clips)) + 1e-12)
                middle = clips.mean(axis=0) - self.offsets_[label] * np.sqrt(self.variance_)
                weight, mean = weight + precision, mean + precision * middle
            usual = np.stack([self.offsets_[label] ** 2 for label in labels])
            usual = np.maximum(usual + self.habit_ + self.noise_, 0.05)
        mean = mean / weight
        squares = (np.square(X - mean) / usual).sum(axis=0) + self.variance_prior * self.variance_
        return mean, np.sqrt(squares / (len(X) + self.variance_prior))

    def transform(self, X, groups):
        """Standardise each speaker's clips by all of that speaker's."""
        Z = np.empty_like(X)
        for speaker in np.unique(groups):
            own = groups == speaker
            mean, std = self.statistics(X[own])
            Z[own] = (X[own] - mean) / std
        return Z


class EmotionRecognizer:
    """Learns emotions from labelled recordings and names those of new ones.

    Parameters
    ----------
    model : scikit-learn classifier or regressor, optional
        It is not changed: `train` fits a copy, `rec.model`. Without one, the best of the tuned
        models in `grid/` is determined and trained at once (see `determine_best_model`).
    emotions : list of str
        Any of `utils.AVAILABLE_EMOTIONS`, or words that occur in the names of your own clips.
    tess_ravdess, emodb, custom_db : bool, optional
        Corpora to use. Default: those that are there; True: it is an error if it isn't there.
        `tess_ravdess` may also be "ravdess" or "tess", for one of the two.
    tess_ravdess_name, emodb_name, custom_db_name : path
        desc_files, train_<name> and test_<name>, in the data folder unless it has a folder itself.
    features : list of str
        Any of mfcc, chroma, mel, contrast, tonnetz, and of spectrum, prosody, quality, modulation;
        default the latter four (`features.RECOMMENDED_FEATURES`).
    functionals : list of str, optional
        What sums up the frames; see `features.extract`. The classic vector is
        features=["mfcc", "chroma", "mel"], functionals=["mean"].
    normalize : {"speaker", None}
        "speaker" makes `calibrate` possible. It doesn't change what an uncalibrated recognizer
        hears.
    voices : int
        Other voices in which each training clip is learned from, too, up to 4: larger and smaller
        speakers at another tempo (see `degradations.at_speed`).
    degraded : int
        Copies of each training clip, and of each in another voice, that are learned from, too: in
        noise, in a room or over a telephone line (see `degradations.degraded`). All these take part
        in fitting scaler and model and in nothing else: not in scores or comparisons, nor in the
        model that `calibrate` adapts.
    classification : bool
        If False, a regressor on the scale of 3 or 5 emotions (`utils.EMOTION_SCALES`).
    balance : bool
        As many clips of every emotion as the rarest has, in training and in test.
    override_csv : bool
        Write the desc_files anew; False keeps those that exist.
    verbose : int
        0 prints nothing and draws no progress bars.
    data_dir : path, optional
        Else $SER_DATA_DIR, else `data/` of the repository.
    n_jobs : int
        Processes for extracting and tuning; -1 is all cores.
    scheduler : str, optional
        The address of a Dask scheduler whose workers do that work instead; see the README.
    random_state : int
        Seed of whatever is random: drawing, shuffling, folds, and the model if it has no own.

    Attributes
    ----------
    model : estimator
        The plain estimator, fitted once `train` has run.
    X_train, X_test : ndarray (n_clips, n_features) float32
        Features as extracted; None before `load_data`.
    y_train, y_test : ndarray (n_clips,)
        Emotions, or their numbers.
    train_rows_, test_rows_ : DataFrame (n_clips,)
        path, emotion, speaker, corpus of the rows of X_train and X_test.
    scaler_ : StandardScaler
        Fitted on X_train.
    comparison_ : DataFrame
        What `determine_best_model` saw.
    protocol_, score_ : str, dict of str to float
        How well it hears and what that was measured on, as a file keeps it; see `save`.

    Raises
    ------
    ValueError
        For an unknown emotion, feature or corpus, or emotions that have no regression scale.
    """

    speaker_scaler = SpeakerScaler
    libraries = model_file.LIBRARIES

    def __init__(self, model=None, *, emotions=DEFAULT_EMOTIONS, tess_ravdess=None, emodb=None,
                 custom_db=None, tess_ravdess_name="tess_ravdess.csv", emodb_name="emodb.csv",
                 custom_db_name="custom.csv", features=RECOMMENDED_FEATURES, functionals=None,
                 normalize="speaker", voices=0, degraded=0, classification=True, balance=True,
                 override_csv=True, verbose=1, data_dir=None, n_jobs=-1,
                 scheduler=None, random_state=0):  # fmt: skip
        check_name(tess_ravdess, (None, True, False, "ravdess", "tess"), "tess_ravdess")
        check_name(normalize, (None, "speaker"), "normalize")
        for name, number, most in (("voices", voices, len(SPEEDS)),
                                   ("degraded", degraded, MOST_COPIES)):  # fmt: skip
            if number not in range(most + 1):
                raise ValueError(f"{name} is a number from 0 to {most}; got {number!r}.")
        self.emotions = check_emotions(emotions, data_dir)
        if not classification:
            emotion_scale(self.emotions)
        elif len(self.emotions) < 2:
            raise ValueError(f"Telling emotions apart takes at least two; got {self.emotions}.")
        self.audio_config = get_audio_config(features)
        self.tess_ravdess, self.emodb, self.custom_db = tess_ravdess, emodb, custom_db
        self.tess_ravdess_name = tess_ravdess_name
        self.emodb_name = emodb_name
        self.custom_db_name = custom_db_name
        self.features = list(features)
        self.functionals = functionals
        self.normalize = normalize
        self.voices = voices
        self.degraded = degraded
        self.classification = classification
        self.balance = balance
        self.override_csv = override_csv
        self.verbose = verbose
        self.data_dir = data_dir
        self.n_jobs = n_jobs
        self.scheduler = scheduler
        self.random_state = random_state
        self.X_train = self.X_test = self.y_train = self.y_test = None
        self.model = model
        self.voice_ = self._stored = self._scored = None
        self._copies = []
        if model is None:
            self.determine_best_model()

    # data

    def load_data(self):
        """Write the desc_files, and read features and labels of both partitions.

        Returns
        -------
        self

        Raises
        ------
        FileNotFoundError
            If a corpus that was asked for by name isn't there, or none is.
        ValueError
            If an emotion has no clips to train on.
        """
        desc_files, corpora = self._desc_files()
        with self.parallel():
            data = load_data(
                desc_files["train"],
                desc_files["test"],
                self.audio_config,
                corpora=corpora,
                **self._extractor_settings(),
            )
        self.X_train, self.X_test = data["X_train"], data["X_test"]
        self.y_train, self.y_test = data["y_train"], data["y_test"]
        self.train_rows_, self.test_rows_ = data["train_rows"], data["test_rows"]
        self._scored = None
        return self

    def parallel(self, *arrays):
        """A block whose parallel work is done where this recognizer's is; see `on_cluster`."""
        return on_cluster(self.scheduler, *arrays)

    def _extractor_settings(self):
        return {
            "functionals": self.functionals,
            "classification": self.classification,
            "balance": self.balance,
            "emotions": self.emotions,
            "verbose": self.verbose,
            "n_jobs": self.n_jobs,
            "random_state": self.random_state,
        }

    def _extractor(self):
        return AudioExtractor(self.audio_config, **self._extractor_settings())

    def clips(self):
        """All labelled clips of the recognizer's corpora and emotions, none twice.

        Returns
        -------
        DataFrame
            Columns path, emotion, speaker, corpus, partition ("train" or "test").
        """
        desc_files, corpora = self._desc_files()
        tables = [
            read_desc_file(path).assign(partition=partition)
            for partition in PARTITIONS
            for path in desc_files[partition]
        ]
        rows = pd.concat(tables, ignore_index=True).drop_duplicates("path")
        wanted = rows["emotion"].isin(self.emotions) & rows["corpus"].isin(corpora)
        return rows[wanted].reset_index(drop=True)

    def untrained(self, **changes):
        """A recognizer of the same settings, or of others where `changes` says so; not trained."""
        return type(self)(**self._settings() | changes)

    def _settings(self):
        """The arguments that make a recognizer like this one."""
        names = list(inspect.signature(EmotionRecognizer.__init__).parameters)[1:]
        return {name: getattr(self, name) for name in names} | {"model": clone(self.model)}

    def _desc_files(self):
        """Write the desc_files and return their paths by partition, and the corpora to use.

        They always hold all emotions of a corpus, so that every recognizer on the same data
        folder writes the same bytes.
        """
        data_dir = find_data_dir(self.data_dir)
        wishes = {"tess_ravdess": self.tess_ravdess, "emodb": self.emodb, "custom": self.custom_db}
        names = {
            "tess_ravdess": self.tess_ravdess_name,
            "emodb": self.emodb_name,
            "custom": self.custom_db_name,
        }
        files, corpora = {partition: [] for partition in PARTITIONS}, []
        for group, wish in wishes.items():
            if wish is False:
                continue
            paths = {part: desc_file(part, names[group], data_dir) for part in PARTITIONS}
            if self.override_csv or not all(path.is_file() for path in paths.values()):
                WRITERS[group](None, *paths.values(), verbose=0, data_dir=data_dir)
            found = [path for path in paths.values() if path.is_file()]
            there = {corpus for path in found for corpus in read_desc_file(path)["corpus"]}
            if not there or (isinstance(wish, str) and wish not in there):
                if wish:
                    raise FileNotFoundError(absent(group, data_dir))
                if self.verbose:
                    print(absent(group, data_dir))
                continue
            corpora += [wish] if isinstance(wish, str) else sorted(there)
            for part, path in paths.items():
                files[part].append(path)
        if not corpora:
            raise FileNotFoundError(
                f"No recordings to train on in {data_dir}. "
                + " ".join(absent(group, data_dir) for group in CORPUS_GROUPS)
            )
        return files, corpora

    def _loaded(self):
        if self.X_train is None:
            self._check_has_clips()
            self.load_data()
        return self

    def _check_has_clips(self):
        if self._stored is not None and self.X_train is None:
            raise ValueError(
                "This recognizer was loaded from a file, which holds no clips: protocol_ and "
                "score_ say how well it did. load_data() reads those of the data folder, train() "
                "learns anew from them."
            )

    def get_samples_by_class(self):
        """Clips of each emotion.

        Returns
        -------
        DataFrame
            Index emotions and "total"; columns train, test, total.
        """
        self._loaded()
        table = pd.DataFrame(
            {
                part: [self.get_n_samples(emotion, part) for emotion in self.emotions]
                for part in PARTITIONS
            },
            index=self.emotions,
        )
        table["total"] = table.sum(axis=1)
        table.loc["total"] = table.sum()
        return table

    def get_n_samples(self, emotion, partition="train"):
        """How many clips of an emotion there are in "train" or "test"."""
        return len(self._samples(emotion, partition))

    def get_random_emotion(self, emotion, partition="train"):
        """The index, in X_train or X_test, of a random clip of an emotion: int.

        Raises
        ------
        ValueError
            If there is none.
        """
        indices = self._samples(emotion, partition)
        if not len(indices):
            raise ValueError(f"There is no {partition} clip of {emotion!r}.")
        if not hasattr(self, "_rng"):
            self._rng = np.random.default_rng(self.random_state)
        return int(self._rng.choice(indices))

    def _samples(self, emotion, partition):
        check_name(partition, PARTITIONS, "partition")
        check_name(emotion, self.emotions, "emotion")
        rows = self._loaded().train_rows_ if partition == "train" else self.test_rows_
        return np.flatnonzero(rows["emotion"] == emotion)

    # learning

    def train(self):
        """Fit the scaler and a copy of the model on the training part.

        Returns
        -------
        self
        """
        if self.X_train is None:
            self.load_data()
        return self._learn()

    def fit(self, rows):
        """Train on exactly these clips, and not on the desc_files.

        Parameters
        ----------
        rows : DataFrame
            Columns path, emotion, speaker, corpus; drawn equally by emotion if `balance` is on.

        Returns
        -------
        self
        """
        with self.parallel():
            self.X_train, self.y_train, self.train_rows_ = self._extractor().read(rows)
        self.X_test, self.y_test, self.test_rows_ = self.X_train[:0], self.y_train[:0], rows[:0]
        return self._learn()

    def _learn(self):
        """Fit scaler and model on X_train."""
        self._check_not_calibrated()
        self._copies = self._make_copies()
        fit = self._fit(slice(None))
        self._fits = {"average": fit}
        self.scaler_, self.model, self._stored = fit.scaler, fit.model, None
        self._scored = None
        if self.verbose:
            print(f"[+] {_name(self.model)} trained on {len(self.X_train)} clips")
        return self

    def _copied_versions(self):
        """What of each clip is learned from beside it: list of (speed, degraded), either None."""
        speeds = None, *SPEEDS[: self.voices]
        return [*product(speeds, (None, *range(self.degraded)))][1:]

    def _make_copies(self):
        """The features of all copies of the training clips, version by version."""
        return [self._heard_as(*version) for version in self._copied_versions()]

    def _heard_as(self, speed, degraded):
        """The features of a version of each training clip, in the order of X_train."""
        with self.parallel():
            return extract_features(
                self.train_rows_["path"], self.audio_config, functionals=self.functionals,
                n_jobs=self.n_jobs, verbose=self.verbose, on_error="raise", speed=speed,
                degraded=degraded,
            )[0]  # fmt: skip

    def _with_copies(self, train):
        """Rows of X_train and their copies: ndarray (n_clips * n_versions, ...)."""
        if not self._copies:
            return self.X_train[train]
        return np.concatenate([self.X_train[train], *(copies[train] for copies in self._copies)])

    def _fit(self, train, by_voice=False):
        """Fit a scaler and a copy of the model on rows of X_train, each by its voice if wished.

        What a line or a room does to all clips of a voice, calibration takes away; so the model
        that hears by voice learns from no copies.
        """
        y, groups, speakers = self.y_train[train], speaker_groups(self.train_rows_)[train], None
        if by_voice:
            speakers = self.speaker_scaler().fit(self.X_train[train], groups, y)
            X = speakers.transform(self.X_train[train], groups)
        else:
            X = self._with_copies(train)
            y, groups = (np.tile(values, 1 + len(self._copies)) for values in (y, groups))
        pipeline = self._pipeline(self.model).fit(X, y, **self._fit_params(groups))
        return _Fit(speakers, pipeline["scaler"], pipeline["model"])

    def _fit_params(self, groups):
        """What else the pipeline's fit is told, for a model that learns from more than X and y."""
        return {}

    def calibrate(self, recordings, labels=None, *, sr=None):
        """Adapt to one voice by a handful of its recordings.

        A second copy of the model, fitted at the first call, has learned how each speaker's clips
        differ from that speaker's others; the recordings say where the new voice's middle is.

        Parameters
        ----------
        recordings : list of recordings
            Of one speaker, in various moods; see `predict`. Ten do most of what can be done.
        labels : str or list of str, optional
            What they are known to be, e.g. "neutral" for all; else they count as all sorts.
        sr : int, optional
            Hz; the sampling rate of arrays.

        Returns
        -------
        EmotionRecognizer
            A calibrated one, for that voice; this one stays as it is.

        Raises
        ------
        ValueError
            Without recordings, for an unknown label, or if `normalize` isn't "speaker".
        """
        self._check_trained()
        if self.normalize != "speaker":
            raise ValueError('Only a recognizer with normalize="speaker" can be calibrated.')
        if isinstance(recordings, (str, Path)) or not len(recordings):
            raise ValueError("calibrate takes a list of recordings of one voice, one at least.")
        labels = [labels] * len(recordings) if isinstance(labels, str) else labels
        if labels is not None and len(labels) != len(recordings):
            raise ValueError(f"{len(labels)} labels for {len(recordings)} recording(s).")
        for label in labels or ():
            check_name(label, self.emotions, "emotion")
        if labels is not None and not self.classification:
            labels = [emotion_scale(self.emotions)[label] for label in labels]
        return self._adapted(self._features(list(recordings), sr)[0], labels)

    def _adapted(self, X, labels=None):
        """A copy that hears the voice whose features X are; without X nobody's in particular."""
        if X is not None and "own" not in self._fits:
            self._fits["own"] = self._fit(slice(None), by_voice=True)
        fit = self._fits["average" if X is None else "own"]
        adapted = copy.copy(self)
        adapted.voice_ = None if X is None else fit.speakers.statistics(X, labels)
        adapted.scaler_, adapted.model = fit.scaler, fit.model
        return adapted

    def _pipeline(self, model):
        """Scaler and an unfitted copy of the model, seeded where it has no seed of its own."""
        model = clone(model)
        unseeded = {
            name: self.random_state
            for name, value in model.get_params().items()
            if name.rpartition("__")[2] == "random_state" and value is None
        }
        model.set_params(**unseeded)
        return Pipeline([("scaler", StandardScaler()), ("model", model)])

    def _folds(self, one_voice_will_do=False):
        """Folds of the training part that keep speakers apart; or clips, if there is but one."""
        groups = speaker_groups(self._loaded().train_rows_)
        if one_voice_will_do and len(set(groups)) == 1:
            groups = np.arange(len(groups))
        return evaluation.speaker_folds(self.y_train, groups, N_SPLITS, self.random_state)

    def grid_search(self, params, n_jobs=None):
        """Try every combination of parameters by cross-validation that keeps speakers apart.

        Parameters
        ----------
        params : dict of str to list
            Parameters of the model, each with its candidate values.
        n_jobs : int, optional
            Processes; default those of the recognizer.

        Returns
        -------
        best_estimator : estimator
            Fitted on the whole training part (standardised).
        best_params : dict
        best_score : float
            UAR for classifiers; for regressors the mean absolute error, lower is better.

        Raises
        ------
        ValueError
            For a parameter that the model doesn't have, or a single speaker.
        """
        search = GridSearchCV(
            self._pipeline(self.model),
            {f"model__{name}": values for name, values in params.items()},
            cv=self._folds(),
            scoring=SCORING[self.classification],
            n_jobs=self.n_jobs if n_jobs is None else n_jobs,
        )
        with self.parallel(self.X_train):
            groups = speaker_groups(self.train_rows_)
            search.fit(self.X_train, self.y_train, **self._fit_params(groups))
        best_params = {
            name.removeprefix("model__"): value for name, value in search.best_params_.items()
        }
        return search.best_estimator_["model"], best_params, abs(float(search.best_score_))

    def determine_best_model(self, by="cv"):
        """Choose the best of the tuned models in `grid/` and the recommended one, and train it.

        The table of all candidates stays in `comparison_`.

        Parameters
        ----------
        by : {"cv", "test"}
            Compare them by cross-validation on the training part, keeping speakers apart, so that
            the test part has no say; or by their score on the test part, as tutorials do. After
            that no honest score is left, and a warning says so.

        Returns
        -------
        self
        """
        check_name(by, ("cv", "test"), "by")
        self._loaded()
        tuned = get_best_estimators(self.classification)
        models = [_recommended_model(self.classification), *(model for model, *_ in tuned)]
        X, y, folds = self.X_train, self.y_train, self._folds() if by == "cv" else None
        if by == "test":
            warnings.warn(
                'by="test" chooses the model by the test part: its score there says nothing about '
                'new recordings. by="cv" is honest.',
                stacklevel=2,
            )
            X, y = np.concatenate([X, self.X_test]), np.concatenate([y, self.y_test])
            folds = [np.split(np.arange(len(y)), [len(self.y_train)])]
        tasks = [(i, fold) for i in range(len(models)) for fold in range(len(folds))]
        scores = np.empty((len(models), len(folds)))
        with self.parallel(X), tqdm(total=len(tasks), desc="Comparing", unit="fit",
                                    disable=not self.verbose) as bar:  # fmt: skip
            work = Parallel(self.n_jobs, return_as="generator_unordered")(
                delayed(_score_fold)(
                    (i, fold), self._pipeline(models[i]), X, y, *folds[fold], self.classification
                )
                for i, fold in tasks
            )
            for place, score in work:
                scores[place] = score
                bar.update()
        measure = "uar" if self.classification else "error"
        self.comparison_ = (
            pd.DataFrame({"name": map(_name, models), "model": models,
                          measure: scores.mean(axis=1), "std": scores.std(axis=1)})
            .sort_values(measure, ascending=not self.classification, kind="stable")
            .reset_index(drop=True)
        )  # fmt: skip
        self.model = self.comparison_["model"].iloc[0]
        verbose, self.verbose = self.verbose, 0
        self.train()
        self.verbose = verbose
        if self.verbose:
            print(f"[+] Best model determined: {_name(self.model)} with "
                  f"{self._in_words(self.test_score())}")  # fmt: skip
        return self

    def _in_words(self, score):
        if self.classification:
            return f"{score:.3%} test accuracy"
        return f"{score:.3f} mean absolute test error"

    # hearing

    def predict(self, audio, *, sr=None, abstain=None):
        """Name the emotion of a recording.

        Parameters
        ----------
        audio : path, binary file object, array (n_samples,) or (n_samples, n_channels), or a list
            Any audio file; an array goes with its rate.
        sr : int, optional
            Hz; the sampling rate of an array.
        abstain : float, optional
            Say "unsure" where the likeliest emotion is less probable than that.

        Returns
        -------
        str, or for regression float; a list of them for a list
        """
        if abstain is not None:
            probabilities = self.predict_proba(audio, sr=sr)
            if isinstance(probabilities, dict):
                return decided(probabilities, abstain)
            return [decided(own, abstain) for own in probabilities]
        X, is_list = self._features(audio, sr)
        predictions = self._predict(X).tolist()
        return predictions if is_list else predictions[0]

    def predict_proba(self, audio, *, sr=None):
        """Give each emotion's probability in a recording.

        They are a softmax of the model's decision values, or of the logarithms of its own
        probabilities, over a temperature (Guo et al. 2017, On Calibration of Modern Neural
        Networks) that grows with the distance of a clip from those that the model learned from.
        How, is fitted to clips of speakers that were left out of the fit, each of whom counts the
        same. The most probable emotion is the one that `predict` names.

        Parameters
        ----------
        audio, sr
            See `predict`.

        Returns
        -------
        dict of str to float
            In the order of `emotions`; sums to 1. A list of them for a list.

        Raises
        ------
        ValueError
            For regression, which knows no probabilities.
        """
        if not self.classification:
            raise ValueError("A regressor gives no probabilities; use classification=True.")
        X, is_list = self._features(audio, sr)
        named = [self.by_emotion(row) for row in self._probabilities(X)]
        return named if is_list else named[0]

    def by_emotion(self, probabilities):
        """Probabilities (n_classes,) in the order of `classes_` as a dict in that of `emotions`."""
        shares = dict(zip(self.classes_.tolist(), probabilities.tolist(), strict=True))
        return {emotion: shares[emotion] for emotion in self.emotions}

    def predict_timeline(self, audio, *, sr=None, window=3.0, hop=1.0, smooth=1, vad=True,
                         channels="mix", report=True):  # fmt: skip
        """Name the emotions of a long recording over time, in memory that doesn't grow with it.

        Parameters
        ----------
        audio : path, binary file object or array (n_samples,) or (n_samples, n_channels)
            Any audio file; an array goes with its rate.
        sr : int, optional
            Hz; the sampling rate of an array.
        window : float
            Seconds that are listened to at a time: the last ones of an utterance, as a microphone
            has them; see `timeline.Timeline`.
        hop : float
            Seconds from row to row; a multiple of 0.05.
        smooth : int
            Rows of an utterance whose probabilities are averaged, the last being the row itself.
        vad : bool
            Leave out what isn't speech.
        channels : {"mix", "split"}
            "split": a timeline for each channel, as of a call with a speaker on each.
        report : bool
            Look for what makes the result doubtful: `attrs["warnings"]`, a list of str.

        Returns
        -------
        DataFrame, or a list of them for "split"
            start, end (seconds), emotion, confidence, and the probability of each emotion.
            `attrs` has duration (seconds) and warnings.

        Raises
        ------
        AudioError
            If the recording can't be read.
        ValueError
            For regression, and for settings that make no sense.
        """
        self._check_trained()
        return timeline.predict_timeline(
            self, audio, sr=sr, window=window, hop=hop, smooth=smooth, vad=vad,
            channels=channels, report=report,
        )  # fmt: skip

    def explain(self, audio, *, sr=None, emotion=None, span=None):
        """Say which features and which seconds spoke for an emotion, and which against it.

        Features: Shapley values of groups of them (see `explain.shapley`). They add up to the
        log-odds of the emotion in this clip, less those in the average training clip (a probability
        counts as 1e-6 at least, and as 1 - 1e-6 at most). Groups that go together share what they
        say, so it is the recognizer that is explained, not the voice.

        Seconds: occlusion (Zeiler and Fergus 2014, Visualizing and Understanding Convolutional
        Networks). Each span in turn is cut out; the effect is how much the log-odds fall. Spans
        overlap, and what is left is heard anew: these effects don't add up.

        Parameters
        ----------
        audio : path, binary file object or array (n_samples,) or (n_samples, n_channels)
            Any audio file, best a few seconds long; an array goes with its rate.
        sr : int, optional
            Hz; the sampling rate of an array.
        emotion : str, optional
            Default what `predict` says.
        span : float, optional
            Seconds; see `explain.spans`.

        Returns
        -------
        DataFrame
            kind ("features", the strongest for the emotion first, or "seconds"), name, start and
            end (seconds; of features NaN) and effect (natural log-odds; of a regressor its
            number). `attrs` has emotion, unit, said (of this clip), average (of the average
            training clip), duration and method. `explain.draw_explanation` draws it.

        Raises
        ------
        AudioError
            If the recording can't be read.
        ValueError
            For an unknown emotion, an emotion of a regressor, or a span over half of the recording.
        """
        return explain.explain(self, audio, sr=sr, emotion=emotion, span=span)

    def listen(self, y):
        """What one window of sound says.

        Parameters
        ----------
        y : ndarray (n_samples,) at 16 kHz, or voice.Voice

        Returns
        -------
        probabilities : ndarray (n_classes,)
            In the order of `classes_`.
        strangeness : float
            How far the features are from those of the training clips, whoever speaks; beyond 1 is
            farther than 99 in 100 clips of speakers that were left out.
        """
        X = self._window(y)
        return self._probabilities(X)[0], self._strangeness(X)

    def _window(self, y):
        """The features of one window."""
        return extract(y, features=self.features, functionals=self.functionals)[np.newaxis]

    def _strangeness(self, X):
        return float(_distances(X, self._fits["average"].scaler)[0] / self._fitted_usual())

    def _fitted_usual(self):
        """How far the features of 99 in 100 clips of held-out speakers are at most."""
        fit = self._fits["average"]
        if fit.usual is None:
            folds = self._folds(one_voice_will_do=True)
            fit.usual = np.percentile(np.concatenate([
                _distances(self.X_train[held_out], clone(fit.scaler).fit(self._with_copies(train)))
                for train, held_out in folds
            ]), 99)  # fmt: skip
        return fit.usual

    @property
    def classes_(self):
        """The emotions in the order of `_scores`."""
        return self.model.classes_

    def _probabilities(self, X, like=None):
        """Probabilities (n_clips, n_classes) of features (n_clips, n_features).

        Each is as sure as its distance allows, or as that of `like`, the features of one clip.
        """
        return softmax(self._scores(X) / self._temperatures(X if like is None else like), axis=1)

    def _features(self, audio, sr):
        """The features of one recording or of a list of them, and whether it was a list."""
        self._check_trained()
        if not isinstance(audio, (list, tuple)):
            options = {"functionals": self.functionals, "sr": sr}
            return extract_feature(audio, **self.audio_config, **options)[np.newaxis], False
        if not audio:
            return np.empty((0, self.scaler_.n_features_in_), dtype=np.float32), True
        return self._extractor().extractor(sr=sr).transform(audio), True

    def _is_trained(self):
        return hasattr(self, "scaler_")

    def _check_trained(self):
        if not self._is_trained():
            raise NotFittedError("This EmotionRecognizer isn't trained yet; call train() first.")

    def _check_not_calibrated(self):
        if self.voice_ is not None:
            raise ValueError(
                "This recognizer is calibrated to one voice; train and score the original one "
                "(evaluation.evaluate(rec, calibrate=10) calibrates to every voice that it tests)."
            )

    def _predict(self, X):
        """Labels (n_clips,) of features (n_clips, n_features)."""
        self._check_trained()
        if X is None:
            self._check_has_clips()
        if not self.classification:
            return self._numbers(X) if len(X) else np.empty(0)
        return self.classes_[np.argmax(self._scores(X), axis=1)]

    def _numbers(self, X):
        """What a regressor says (n_clips,) of features (n_clips, n_features)."""
        return self.model.predict(self._standardised(X))

    def _standardised(self, X):
        """Features as the model wants them, by the calibrated voice if there is one."""
        return self.scaler_.transform(self._by_voice(X))

    def _by_voice(self, X):
        if self.voice_ is None:
            return X
        mean, std = self.voice_
        return (X - mean) / std

    def _scores(self, X):
        """Decision values or log probabilities (n_clips, n_classes): the highest is the label."""
        if not len(X):
            return np.empty((0, len(self.classes_)))
        return _model_scores(self.model, self._standardised(X))

    def _temperatures(self, X):
        """The divisors (n_clips, 1) of the scores of features (n_clips, n_features)."""
        factor, power = self._fitted_temperature()
        distances = np.maximum(_distances(self._by_voice(X), self.scaler_), NEAREST)
        return factor * distances[:, np.newaxis] ** power

    def _fitted_temperature(self):
        """Factor and power of the distance; see `temperature_by_distance`."""
        by_voice = self.voice_ is not None
        fit = self._fits["own" if by_voice else "average"]
        if fit.temperature is None:
            groups = speaker_groups(self.train_rows_)
            folds = self._folds(one_voice_will_do=True)

            def heard(train, held_out):
                fold, X = self._fit(train, by_voice), self.X_train[held_out]
                if by_voice:
                    X = fold.speakers.transform(X, groups[held_out])
                scores = _model_scores(fold.model, fold.scaler.transform(X))
                return scores, _distances(X, fold.scaler)

            heard = Parallel(self.n_jobs, prefer="threads")(delayed(heard)(*fold) for fold in folds)
            scores, distances = map(np.concatenate, zip(*heard, strict=True))
            truth = np.concatenate([self.y_train[held_out] for _, held_out in folds])
            fit.temperature = temperature_by_distance(
                scores, distances, np.searchsorted(self.classes_, truth),
                groups[np.concatenate([held_out for _, held_out in folds])],
            )  # fmt: skip
        return fit.temperature

    # scores

    def test_score(self):
        """Accuracy on the test part; for regression the mean absolute error (lower is better)."""
        return self._score(self.X_test, self.y_test)

    def train_score(self):
        """The same as `test_score`, on the training part."""
        return self._score(self.X_train, self.y_train)

    def _score(self, X, y):
        self._check_not_calibrated()
        predictions = self._predict(X)
        if self.classification:
            return float(np.mean(predictions == y))
        return float(mean_absolute_error(y, predictions))

    def test_fbeta_score(self, beta):
        """F-beta on the test part, averaged over the emotions.

        Parameters
        ----------
        beta : float
            How much more recall counts than precision.

        Raises
        ------
        ValueError
            For regression.
        """
        return self._fbeta(self.X_test, self.y_test, beta)

    def train_fbeta_score(self, beta):
        """The same as `test_fbeta_score`, on the training part."""
        return self._fbeta(self.X_train, self.y_train, beta)

    def _fbeta(self, X, y, beta):
        self._check_classifier("F-beta")
        return float(fbeta_score(y, self._predict(X), beta=beta, average="macro", zero_division=0))

    def _check_classifier(self, what):
        if not self.classification:
            raise ValueError(f"{what} is for classification; a regressor has test_score().")

    def scores(self):
        """Accuracy and UAR on the test part with their intervals; see `evaluation.score`."""
        self._check_classifier("UAR")
        return self._test_scores()

    def _test_scores(self):
        self._check_not_calibrated()
        score = evaluation.score(
            self.y_test,
            self._predict(self.X_test),
            speaker_groups(self.test_rows_),
            self.emotions if self.classification else None,
            self.random_state,
        )
        self._scored = {"score": score, "protocol": self.protocol()}
        return score

    def protocol(self):
        """One line that says what the scores are measured on; see `evaluation.describe_split`."""
        rows = self._loaded().train_rows_, self.test_rows_
        if self._stored is not None:
            return f"loaded ({self.protocol_}); tested on {len(rows[1])} clips of the data folder"
        return evaluation.describe_split(*rows, *map(speaker_groups, rows))

    def confusion_matrix(self, percentage=True, labeled=True):
        """What the test clips of each emotion were taken for.

        Parameters
        ----------
        percentage : bool
            Percent of the true emotion's clips; else clips.
        labeled : bool
            Name rows true_<emotion> and columns predicted_<emotion>.

        Returns
        -------
        DataFrame, or ndarray if not labeled; (n_emotions, n_emotions), in the order of `emotions`
        """
        self._check_classifier("A confusion matrix")
        counts = evaluation.confusion_by_speaker(
            self.y_test, self._predict(self.X_test), np.zeros(len(self.y_test)), self.emotions
        )[0]
        if percentage:
            counts = 100 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
        if not labeled:
            return counts
        return evaluation.labeled_confusion(counts, self.emotions)

    def draw_confusion_matrix(self, percentage=True, *, ax=None):
        """Draw the confusion matrix.

        Parameters
        ----------
        percentage : bool
            See `confusion_matrix`.
        ax : matplotlib Axes, optional
            Default a new figure's.

        Returns
        -------
        matplotlib Axes
        """
        matrix = self.confusion_matrix(percentage=percentage, labeled=False)
        ax = evaluation.draw_confusion(matrix, self.emotions, ax)
        unit = "percent of the true emotion" if percentage else "clips"
        ax.set_title(f"{_name(self.model)}, {len(self.y_test)} test clips ({unit})")
        return ax

    # in notebooks

    def __repr__(self):
        facts = self._facts() | {"model": " and ".join(self._model_names())}
        names = "model", "training", "voice", "score", "measured by"
        known = "; ".join(facts[name] for name in names if name in facts)
        return f"<{type(self).__name__} of {facts['emotions']}: {known}>"

    def _repr_html_(self):
        return evaluation.html_table(type(self).__name__, self._facts())

    def _facts(self):
        """What it is and what is known of it, without reading, fitting or hearing: dict of str."""
        facts = {"emotions": self._says(), **self._in_short(), "training": self._training()}
        if self.voice_ is not None:
            facts["voice"] = "calibrated to one voice"
        known = self._scored or (self._stored or {}).get("record", {})
        if known.get("score"):
            before = "" if self.voice_ is None else "before calibration "
            facts["score"] = before + evaluation.scores_in_words(known["score"])
            facts["measured by"] = known["protocol"]
        return facts

    def _model_names(self):
        return [_name(self.model)]

    def _training(self):
        """What it has learned from, or would, in words."""
        learned = ", ".join(
            f"{n_clips} clips of {n_speakers} speaker{'s' * (n_speakers > 1)} of {corpus}"
            for corpus, (n_clips, n_speakers) in self._learned_from().items()
        )
        if learned:
            return f"trained on {learned}"
        return f"not trained, will learn from {self._wanted_corpora()}"

    def _wanted_corpora(self):
        """The corpora that were asked for, in words."""
        wishes = {"tess_ravdess": self.tess_ravdess, "emodb": self.emodb, "custom": self.custom_db}
        asked = {name: name if wish is True else wish for name, wish in wishes.items() if wish}
        excluded = [name for name, wish in wishes.items() if wish is False]
        if len(asked) + len(excluded) == len(wishes):
            return ", ".join(asked.values()) or "no corpus"
        without = f" but {', '.join(excluded)}" if excluded else ""
        return f"the corpora in the data folder{without}"

    # files

    def save(self, path, *, measured=None):
        """Keep all that a prediction needs in one file, which `load_recognizer` reads.

        What else is fitted lazily is fitted now: the model that `calibrate` adapts (a second
        training; normalize=None does without) and the temperature of the probabilities. The file
        is written whole or not at all, after it was read back. Recordings aren't part of it, but
        the features of some.

        Parameters
        ----------
        path : path
            Usually *.ser. What is there is replaced.
        measured : evaluation.Evaluation, optional
            Whose protocol and scores to keep in place of those of the test part.

        Returns
        -------
        self

        Raises
        ------
        NotFittedError
            Before `train`.
        ModelFileError
            For a model of types that skops doesn't know or doesn't trust.
        """
        record = self._record()
        if measured is not None:
            record = record | {"protocol": measured.protocol, "score": measured.scores()}
        content = {"record": record, "recognizer": self._content()}
        data = model_file.pack(content, model_file.model_card(record))
        with model_file.naming(path):
            restored(**model_file.unpack(data))  # what can't be loaded isn't worth keeping
        with replacing(path) as temporary:
            temporary.write_bytes(data)
        return self

    @classmethod
    def load(cls, path):
        """The recognizer that a file holds; see `load_recognizer`.

        Raises
        ------
        ModelFileError
            Also for a recognizer of another class.
        """
        rec = load_recognizer(path)
        if not isinstance(rec, cls):
            raise model_file.ModelFileError(
                f"{path} holds another class of recognizer, {_name(rec)} and not {cls.__name__}; "
                "load_recognizer(path) takes any."
            )
        return rec

    def card(self):
        """What this recognizer is and isn't, in Markdown: what `save` puts into the file."""
        return model_file.model_card(self._record())

    @property
    def protocol_(self):
        """What `score_` was measured on, in one line."""
        return self._record()["protocol"]

    @property
    def score_(self):
        """The scores of the test part, or of what `save` was given; None without any."""
        return self._record()["score"]

    def _record(self):
        """Where a recognizer comes from and how well it hears, as plain values."""
        self._check_trained()
        if self._stored is not None:
            return self._stored["record"]
        tested = len(self.y_test) > 0
        return {
            **self._in_short(),
            "says": self._says() + ("; to one voice" if self.voice_ is not None else ""),
            "corpora": self._learned_from(),
            "clips": self.train_rows_["emotion"].value_counts().to_dict(),
            "protocol": self.protocol() if tested else "no clips were kept back",
            "score": self._adapted(None)._test_scores() if tested else None,
            "versions": self._versions(),
        }

    def _learned_from(self):
        """How many clips and speakers of each corpus: dict; empty before `train`."""
        if self._stored is not None:
            return self._stored["record"]["corpora"]
        if not self._is_trained():
            return {}
        clips = self.train_rows_.assign(speaker=speaker_groups(self.train_rows_))
        corpora = clips.groupby("corpus")["speaker"].agg(["size", "nunique"])
        return {name: [int(n) for n in row] for name, row in corpora.T.items()}

    def _says(self):
        """Its emotions; those of a regressor with their numbers, in that order."""
        scale = None if self.classification else emotion_scale(self.emotions)
        if scale is None:
            return ", ".join(self.emotions)
        return ", ".join(f"{emotion} {scale[emotion]}" for emotion in sorted(scale, key=scale.get))

    def _in_short(self):
        """What it is and what it hears, as texts."""
        unit = "values a frame" if self.functionals == FRAMES else "values"
        size = f"{self.scaler_.n_features_in_:,} {unit}: " if hasattr(self, "scaler_") else ""
        hears = size + ", ".join(self.features)
        model = " ".join(repr(self.model).split())
        copies = {"in other voices": self.voices, "degraded": self.degraded}
        told = [f"{kind}: {count}" for kind, count in copies.items() if count]
        if told:
            model += f", with copies of each clip ({', '.join(told)})"
        return {"model": model, "hears": hears}

    def _versions(self):
        return {**model_file.versions(self.libraries), "feature code": source_version()}

    def _content(self):
        """All that a prediction needs; see `model_file.pack`."""
        check_name(type(self).__name__, RECOGNIZERS, "class of recognizers that can be saved")
        probe = self._probe()  # fits what isn't fitted yet
        return {
            "class": type(self).__name__,
            "settings": {name: getattr(self, name) for name in SAVED_SETTINGS},
            "fits": {name: vars(fit) for name, fit in self._fits.items()},
            "voice": self.voice_,
            "probe": probe,
        }

    @classmethod
    def _restored(cls, content, record):
        """The recognizer of `_content`, if it computes what it did."""
        saved = {"voices": 0} | content["settings"]  # older files don't tell
        settings = {name: saved[name] for name in SAVED_SETTINGS}
        emotions = settings.pop("emotions")  # may be words that no clip here has
        rec = cls.__new__(cls)
        EmotionRecognizer.__init__(rec, content["fits"]["average"]["model"], **settings)
        rec.emotions = emotions
        rec._fits = {name: _Fit(**fit) for name, fit in content["fits"].items()}
        rec._stored = {"record": record, "probe": content["probe"]}
        fit = rec._fits["average" if content["voice"] is None else "own"]
        rec.voice_, rec.scaler_, rec.model = content["voice"], fit.scaler, fit.model
        if rec.classification and sorted(rec.classes_) != sorted(emotions):
            raise model_file.ModelFileError(f"its model knows {rec.classes_}, not {emotions}")
        rec._check_probe()
        return rec

    def _probe(self):
        """Some clips' features and what is said of them, and a sound and its features."""
        if self._stored is not None:
            return self._stored["probe"]
        self._fitted_usual()
        X = self.X_train[stratified_order(self.y_train)[:N_PROBES]]
        sound = _probe_sound()
        heard = self._features(sound, SAMPLE_RATE)[0][0]
        return {"X": X, "answers": self._answers(X), "sound": sound, "heard": heard}

    def _answers(self, X):
        """What is said of features, and of those of one voice if calibrated to it."""
        voices = {"average": None, "own": X} if self.normalize == "speaker" else {"average": None}
        adapted = {name: self._adapted(own) for name, own in voices.items()}
        return {name: rec._probabilities(X) if self.classification else rec._numbers(X)
                for name, rec in adapted.items()}  # fmt: skip

    def _check_probe(self):
        """Compare what is computed here with what was when it was saved."""
        probe, saved = self._stored["probe"], self._stored["record"]["versions"]
        here, scale = self._versions(), self._fits["average"].scaler.scale_
        heard = self._features(probe["sound"], SAMPLE_RATE)[0][0]
        model_file.check_same(
            "features, in standard deviations,", heard / scale, probe["heard"] / scale,
            FEATURE_TOLERANCE, saved, here, refused=np.inf,
        )  # fmt: skip
        X = probe["X"] if isinstance(probe["X"], np.ndarray) else ragged(probe["X"])
        for name, answers in self._answers(X).items():
            expected = probe["answers"][name]
            tolerance = TOLERANCES[expected.dtype.itemsize]
            model_file.check_same("answers", answers, expected, tolerance, saved, here)


class _Fit:
    """A fitted scaler and model; the speakers' too if each was standardised by its own voice."""

    def __init__(self, speakers, scaler, model, temperature=None, usual=None):
        self.speakers, self.scaler, self.model = speakers, scaler, model
        self.temperature, self.usual = temperature, usual


def _distances(X, scaler, limit=10.0):
    """Mean square of features, standardised by a scaler, of each clip: ndarray (n_clips,)."""
    Z = (np.clip((x - scaler.mean_) / scaler.scale_, -limit, limit) for x in X)
    return np.array([np.square(z).mean() for z in Z])


def _score_fold(place, pipeline, X, y, train, test, classification):
    """Fit on one side of a fold, score on the other: UAR, or mean absolute error."""
    guesses = pipeline.fit(X[train], y[train]).predict(X[test])
    return place, SCORES[classification](y[test], guesses)


def _name(model):
    return model.__class__.__name__


def _two_sided(scores):
    """Decision values with one column a class, for two classes too."""
    return np.column_stack([-scores, scores]) if scores.ndim == 1 else scores


def decided(probabilities, abstain=None):
    """The likeliest of a dict of probabilities, or "unsure" if it is less probable than `abstain`.

    Examples
    --------
    >>> decided({"sad": 0.3, "happy": 0.7}), decided({"sad": 0.3, "happy": 0.7}, 0.8)
    ('happy', 'unsure')
    """
    emotion = max(probabilities, key=probabilities.get)
    return "unsure" if abstain is not None and probabilities[emotion] < abstain else emotion


def _model_scores(model, X):
    """Decision values, or logarithms of the model's own probabilities: (n_clips, n_classes)."""
    if hasattr(model, "predict_proba"):
        return np.log(np.maximum(model.predict_proba(X), LEAST_PROBABLE))
    return _two_sided(model.decision_function(X))


def temperature(scores, truth):
    """The divisor of scores (n_clips, n_classes) whose softmax gives the truth the likeliest."""

    def loss(log_temperature):
        return cross_entropy(scores / np.exp(log_temperature), truth)

    return float(np.exp(minimize_scalar(loss, bounds=(-5, 5), method="bounded").x))


def temperature_by_distance(scores, distances, truth, groups):
    """Factor and power of the divisor of scores, factor * distances ** power; each speaker counts.

    How sure a model may be depends on how much a clip resembles what it learned from: one number
    for all makes it too sure of the strange ones, too unsure of the others. The power makes the
    truth likeliest, but is drawn towards 1, for the speakers left out are less strange than others
    may be. With the factor the clips are as often right as they are sure on average, which holds
    for scores of any kind (expectation consistency, Clarte et al. 2023).
    """
    logs, weights = np.log(distances), compute_sample_weight("balanced", groups)
    middle = logs.mean()

    def scaled(log_factor, power):
        return scores / np.exp(log_factor + power * (logs - middle))[:, np.newaxis]

    def loss(x):
        return cross_entropy(scaled(*x), truth, weights) + TOWARDS_ONE * (x[1] - 1) ** 2

    start = np.log(temperature(scores, truth)), 0.0
    log_factor, power = minimize(loss, start, method="L-BFGS-B", bounds=[(-5, 5), (0, 2)]).x
    right = np.average(scores.argmax(axis=1) == truth, weights=weights)
    right = (right * len(truth) + 1) / (len(truth) + 2)  # nobody is always right

    def excess(log_factor):
        sure = softmax(scaled(log_factor, power), axis=1).max(axis=1)
        return np.average(sure, weights=weights) - right

    low, high = log_factor - 5, log_factor + 5
    if excess(low) > 0 > excess(high):
        log_factor = brentq(excess, low, high)
    return float(np.exp(log_factor - power * middle)), float(power)


def cross_entropy(scores, truth, weights=None):
    """Mean negative log of the softmax of scores (n_clips, n_classes) at the true classes."""
    likelihoods = log_softmax(scores, axis=1)[np.arange(len(truth)), truth]
    return -np.average(likelihoods, weights=weights)


def load_recognizer(path=None):
    """The recognizer that a file of `EmotionRecognizer.save` holds.

    It predicts and calibrates as the saved one did, and has no clips. Nothing in the file is run,
    whoever made it. A sound and some clips' features in it are heard again: if the sound's features
    are off by more than a tenth of a standard deviation, or the clips' answers by more than 1e-6
    (1e-4 of what computes with 32 bits), a warning names the versions that changed. If none did, or
    an answer is off by more than 0.05, the file is refused.

    Parameters
    ----------
    path : path, optional
        Default `models/default.ser` of the repository.

    Returns
    -------
    EmotionRecognizer
        Of the class that was saved.

    Raises
    ------
    FileNotFoundError
        If there is no file.
    ModelFileError
        If it isn't sound, or doesn't compute what it did.

    Warns
    -----
    ModelFileWarning
        If it computes something a little different.
    """
    if path is None and not DEFAULT_FILE.is_file():
        raise FileNotFoundError(
            f"There is no {DEFAULT_FILE}; give the path of another file, or make this one: "
            f"recommended().train().save({str(DEFAULT_FILE)!r})"
        )
    path = DEFAULT_FILE if path is None else path
    content = model_file.read(path)
    with model_file.naming(path):
        return restored(**content)


def restored(recognizer, record):
    """The recognizer of `_content`, which comes of `_record`."""
    name = check_name(recognizer["class"], RECOGNIZERS, "class of recognizer")
    if name == "EmotionRecognizer":
        return EmotionRecognizer._restored(recognizer, record)
    import deep_emotion_recognition as deep

    return getattr(deep, name)._restored(recognizer, record)


def _probe_sound():
    """A second of something like two sung syllables: ndarray (n_samples,) int16."""
    t = np.arange(SAMPLE_RATE) / SAMPLE_RATE
    phase = 2 * np.pi * (150 * t - 4 * np.cos(2 * np.pi * 1.5 * t))
    harmonics = sum(np.sin(k * phase) / (1 + abs(k - 4)) for k in range(1, 21))
    noise = np.random.default_rng(0).normal(scale=0.05, size=len(t))
    y = harmonics * np.sin(2 * np.pi * t) ** 2 + noise
    return (y * 20000 / abs(y).max()).astype(np.int16)


def _recommended_model(classification, n_kinds=0):
    return EmotionLDA(components(n_kinds)) if classification else Ridge(RIDGE)


def components(n_kinds):
    """Of an `EmotionLDA`: int. Clips vary in more directions with each kind of copies."""
    return 400 * (1 + n_kinds)


def recommended(**options):
    """The recognizer that heard strangers best, not yet trained; see the README's results.

    It learns from all clips, for its model takes all emotions as equally likely by itself.

    Parameters
    ----------
    **options
        See `EmotionRecognizer`; `balance` is off unless you say otherwise. With degraded=1 it
        hears clean clips as well as without, and noise, rooms and telephones far better.

    Returns
    -------
    EmotionRecognizer

    Examples
    --------
    >>> recommended(emotions=["sad", "happy"]).model
    EmotionLDA()
    """
    n_kinds = sum(bool(options.get(name)) for name in ("voices", "degraded"))
    model = _recommended_model(options.get("classification", True), n_kinds)
    return EmotionRecognizer(**{"model": model, "balance": False} | options)


def classic(**options):
    """The recognizer that projects of this kind start with: means of mfcc, chroma and mel, SVC.

    Parameters
    ----------
    **options
        See `EmotionRecognizer`.

    Returns
    -------
    EmotionRecognizer
    """
    model = SVC() if options.get("classification", True) else SVR()
    defaults = {"model": model, "features": DEFAULT_FEATURES, "functionals": ["mean"]}
    return EmotionRecognizer(**defaults | options)


def plot_histograms(classifiers=True, beta=0.5, n_classes=3, verbose=1, *, shares=PARTS,
                    file=None, figure=None, **options):  # fmt: skip
    """Compare the tuned models: how fast they learn and predict, and how well.

    Every model is fitted on stratified parts of the training clips, each part within the next.

    Parameters
    ----------
    classifiers : bool
        The tuned classifiers; else the regressors, with the mean absolute error and the
        concordance correlation in place of accuracy and F-beta.
    beta : float
        Of F-beta: how much more recall counts than precision.
    n_classes : int
        3 is sad, neutral, happy; 5 is angry, sad, neutral, ps, happy; another number that many of
        `utils.AVAILABLE_EMOTIONS`. `emotions=` among the options says exactly which.
    verbose : int
        0 draws no progress bar.
    shares : sequence of float
        Of the training clips, ascending.
    file : path, optional
        Where the picture is saved, too.
    figure : matplotlib Figure, optional
        Where the six panels go; default a new one.
    **options
        See `EmotionRecognizer`.

    Returns
    -------
    figure : matplotlib Figure
    data : DataFrame
        A row for each model and share: model, share, n_clips, train_time, test_time (seconds), and
        the measures of both sides.

    Raises
    ------
    ValueError
        If there are fewer than 2 or more than 9 classes, or no regression scale for them.
    """
    emotions = options.pop("emotions", None) or _some_emotions(n_classes)
    rec = EmotionRecognizer(
        _recommended_model(classifiers), emotions=emotions, classification=classifiers,
        verbose=verbose, **options,
    ).load_data()  # fmt: skip
    order = stratified_order(rec.y_train, rec.random_state)
    fewest = len(set(rec.y_train))
    models = [model for model, *_ in get_best_estimators(classifiers)]
    rows = []
    with tqdm(total=len(models) * len(shares), unit="fit", desc="Comparing",
              disable=not verbose) as bar:  # fmt: skip
        for model in models:
            for share in shares:
                part = order[: max(fewest, round(share * len(order)))]
                rows.append({"model": _name(model), "share": share, "n_clips": len(part)}
                            | _timed_scores(rec, model, part, beta))  # fmt: skip
                bar.update()
    data = pd.DataFrame(rows)
    figure = _draw_histograms(data, rec, beta, figure or evaluation.new_figure(11, 10))
    if file is not None:
        evaluation.save_figure(figure, file)
    return figure, data


def _some_emotions(n_classes):
    """The emotions that a number of classes stands for."""
    for scale in EMOTION_SCALES:
        if len(scale) == n_classes:
            return list(scale)
    if not 2 <= n_classes <= len(AVAILABLE_EMOTIONS):
        raise ValueError(f"n_classes is from 2 to {len(AVAILABLE_EMOTIONS)}; got {n_classes!r}.")
    return list(AVAILABLE_EMOTIONS[:n_classes])


def _timed_scores(rec, model, part, beta):
    """Fit on a part of the training clips; seconds, and measures on that part and on the test."""
    pipeline = rec._pipeline(model)
    if hasattr(model, "n_neighbors"):
        pipeline.set_params(model__n_neighbors=min(model.n_neighbors, len(part)))
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a few clips are fewer than some models like
        pipeline.fit(rec.X_train[part], rec.y_train[part])
    fitted = time.perf_counter()
    guesses = {"test": pipeline.predict(rec.X_test)}
    found = {"train_time": fitted - start, "test_time": time.perf_counter() - fitted}
    guesses["train"] = pipeline.predict(rec.X_train[part])
    truths = {"train": rec.y_train[part], "test": rec.y_test}
    for side in PARTITIONS:
        for name, value in _measures(truths[side], guesses[side], beta).items():
            found[f"{side}_{name}"] = value
    return found


def _measures(truth, guesses, beta):
    """Accuracy and F-beta of labels; mean absolute error and concordance of numbers."""
    if truth.dtype.kind == "f":
        sums = evaluation.moments_by_speaker(truth, guesses, np.zeros(len(truth))).sum(axis=0)
        return {name: float(value) for name, value in evaluation.regression_measures(sums).items()}
    fbeta = fbeta_score(truth, guesses, beta=beta, average="macro", zero_division=0)
    return {"accuracy": float(np.mean(truth == guesses)), "fbeta": float(fbeta)}


def _draw_histograms(data, rec, beta, figure):
    """Six panels of bars, a group for each share and a colour for each model."""
    names = {"accuracy": "accuracy", "fbeta": f"F-beta (beta {beta:g})",
             "mae": "mean absolute error", "ccc": "concordance correlation"}  # fmt: skip
    measures = [name for name in names if f"train_{name}" in data]
    panels = {"train_time": "training time (s)", "test_time": "prediction time (s)"}
    for name in measures:
        panels[f"train_{name}"] = f"{names[name]}, clips it learned from"
        panels[f"test_{name}"] = f"{names[name]}, test clips"
    level = {"accuracy": 1 / len(rec.emotions), "fbeta": 1 / len(rec.emotions), "ccc": 0.0}
    if not rec.classification:
        level["mae"] = float(np.abs(rec.y_test - rec.y_train.mean()).mean())
    shares, models = sorted(set(data["share"])), list(dict.fromkeys(data["model"]))
    width = 0.84 / len(models)
    for ax, (column, title) in zip(figure.subplots(3, 2).flat, panels.items(), strict=True):
        for i, (model, colour) in enumerate(zip(models, COLOURS, strict=False)):
            own = data[data["model"] == model].sort_values("share")
            places = np.arange(len(shares)) + (i - (len(models) - 1) / 2) * width
            ax.bar(places, own[column], width, color=colour, edgecolor="black", linewidth=0.3,
                   label=model)  # fmt: skip
        counts = data.groupby("share")["n_clips"].first()
        ax.set_xticks(range(len(shares)), [f"{100 * s:g} %\n({counts[s]} clips)" for s in shares])
        ax.set(title=title, xlabel="share of the training clips")
        if column.endswith("_time"):
            ax.set_yscale("log")
        else:
            ax.axhline(level[column.split("_")[1]], color="black", linestyle="--", linewidth=1,
                       label="chance")  # fmt: skip
            if "mae" not in column:
                ax.set_ylim(min(0, data[column].min() * 1.05), 1)
    handles, labels = ax.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=5, frameon=False)
    title = f"{', '.join(rec.emotions)}: {rec.protocol()}"
    figure.suptitle("\n".join(textwrap.wrap(title, 110)), fontsize=10)
    return figure


# for command lines


def hear(rec, y, *, emotions=None, abstain=None):
    """What a recognizer hears in a sound, and what makes that doubtful.

    Parameters
    ----------
    rec : EmotionRecognizer
        Trained, a classifier.
    y : ndarray (n_samples,) float32 at 16 kHz
    emotions : list of str, optional
        Choose among these of the recognizer's only.
    abstain : float, optional
        See `EmotionRecognizer.predict`.

    Returns
    -------
    dict
        emotion, confidence, probabilities (dict), warnings (list of str; see
        `listening.InputReport`).
    """
    probabilities, strangeness = rec.listen(y)
    shares = rec.by_emotion(probabilities)
    if emotions is not None:
        whole = sum(shares[emotion] for emotion in emotions)
        shares = {emotion: shares[emotion] / whole for emotion in emotions}
    report = InputReport()
    report.push(y)
    return {
        "emotion": decided(shares, abstain),
        "confidence": max(shares.values()),
        "probabilities": shares,
        "warnings": report.warnings(strangeness > 1),
    }


def corpora_options(names):
    """The recognizer's arguments that switch on exactly these corpora.

    Examples
    --------
    >>> corpora_options(["emodb", "tess"])
    {'tess_ravdess': 'tess', 'emodb': True, 'custom_db': False}
    """
    names = [part for name in names for part in (CORPUS_GROUPS[name].corpora
             if name in CORPUS_GROUPS else [name])]  # fmt: skip
    for name in names:
        check_name(name, ("ravdess", "tess", "emodb", "custom"), "corpus")
    acted = sorted({"ravdess", "tess"} & set(names))
    return {
        "tess_ravdess": acted[0] if len(acted) == 1 else bool(acted),
        "emodb": "emodb" in names,
        "custom_db": "custom" in names,
    }


def named_recognizer(name, **options):
    """A recognizer by the name of its model on the command line.

    Parameters
    ----------
    name : str
        "default" (see `recommended`), "classic", "best" (trained, see `determine_best_model`),
        "lstm" or "ensemble" (see deep_emotion_recognition.py), or a model of `parameters.py`: with
        the parameters and features it was tuned with, if grid/ has it.
    **options
        See `EmotionRecognizer`.

    Returns
    -------
    EmotionRecognizer

    Examples
    --------
    >>> named_recognizer("RandomForest", features=["prosody"]).features
    ['prosody']
    """
    if name in ("default", "classic"):
        return {"default": recommended, "classic": classic}[name](**options)
    if name == "best":
        return EmotionRecognizer(**options)
    if name in ("lstm", "ensemble"):
        import deep_emotion_recognition as deep

        return {"lstm": deep.DeepEmotionRecognizer, "ensemble": deep.EnsembleRecognizer}[name](
            **options
        )
    classification = options.get("classification", True)
    ending, known = ("Classifier", CLASSIFIERS) if classification else ("Regressor", REGRESSORS)
    short = {full.removesuffix(ending): full for full in known}
    legal = ("default", "classic", "best", "lstm", "ensemble", *short)
    full = short[check_name(name.removesuffix(ending), legal, "model")]
    tuned = [result for result in best_results(classification) if result["estimator"] == full]
    if not tuned:
        return EmotionRecognizer(make_estimator(full), **options)
    model = tuned_estimator(tuned[0])
    return EmotionRecognizer(model, **{"features": tuned[0]["features"]} | options)


def bars(probabilities):
    """A line for each emotion with its probability as a bar: str.

    Examples
    --------
    >>> print(bars({"sad": 0.1, "happy": 0.9}))
      sad        0.100 ████
      happy      0.900 ████████████████████████████████████
    """
    lines = (f"  {e:10s} {p:5.3f} {'█' * round(40 * p)}" for e, p in probabilities.items())
    return "\n".join(line.rstrip() for line in lines)
