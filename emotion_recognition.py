"""Train a recognizer on the corpora that are there, score it, and hear what is in some files.

    python emotion_recognition.py                             # all corpora, SVC
    python emotion_recognition.py call.wav "my clip.m4a"      # then predict these
    python emotion_recognition.py --model best                # choose among the tuned ones
    python emotion_recognition.py --model MLP --emotions angry,sad,neutral,ps,happy
    python emotion_recognition.py --corpora emodb --features mfcc,chroma,mel,contrast,tonnetz
    python emotion_recognition.py --picture confusion.png call.wav
    python emotion_recognition.py --json call.wav > result.json

From Python:

    from sklearn.svm import SVC
    from emotion_recognition import EmotionRecognizer

    rec = EmotionRecognizer(model=SVC(), emotions=["sad", "neutral", "happy"])
    rec.train()
    rec.test_score(), rec.predict("call.wav"), rec.predict_proba("call.wav")
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.metrics import fbeta_score, mean_absolute_error
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_val_score
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from tqdm.auto import tqdm

import evaluation
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
    SpeechFeatures,
    load_data,
    speaker_groups,
)
from features import DEFAULT_FEATURES
from parameters import CLASSIFIERS
from utils import (
    AVAILABLE_EMOTIONS,
    best_results,
    check_name,
    emotion_scale,
    extract_feature,
    get_audio_config,
    make_estimator,
    replacing,
)

N_SPLITS = 5  # folds of speakers, wherever models are compared or probabilities fitted
SCORING = {True: "balanced_accuracy", False: "neg_mean_absolute_error"}  # by classification


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
        Any of mfcc, chroma, mel, contrast, tonnetz.
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

    Raises
    ------
    ValueError
        For an unknown emotion, feature or corpus, or emotions that have no regression scale.
    """

    def __init__(self, model=None, *, emotions=DEFAULT_EMOTIONS, tess_ravdess=None, emodb=None,
                 custom_db=None, tess_ravdess_name="tess_ravdess.csv", emodb_name="emodb.csv",
                 custom_db_name="custom.csv", features=DEFAULT_FEATURES, classification=True,
                 balance=True, override_csv=True, verbose=1, data_dir=None, n_jobs=-1,
                 random_state=0):  # fmt: skip
        check_name(tess_ravdess, (None, True, False, "ravdess", "tess"), "tess_ravdess")
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
        self.classification = classification
        self.balance = balance
        self.override_csv = override_csv
        self.verbose = verbose
        self.data_dir = data_dir
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.X_train = self.X_test = self.y_train = self.y_test = None
        self.model = model
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
        data = load_data(
            desc_files["train"],
            desc_files["test"],
            self.audio_config,
            classification=self.classification,
            balance=self.balance,
            emotions=self.emotions,
            corpora=corpora,
            verbose=self.verbose,
            n_jobs=self.n_jobs,
            random_state=self.random_state,
        )
        self.X_train, self.X_test = data["X_train"], data["X_test"]
        self.y_train, self.y_test = data["y_train"], data["y_test"]
        self.train_rows_, self.test_rows_ = data["train_rows"], data["test_rows"]
        return self

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
            self.load_data()
        return self

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
        self._loaded()
        pipeline = self._pipeline(self.model).fit(self.X_train, self.y_train)
        self.scaler_, self.model = pipeline["scaler"], pipeline["model"]
        self._temperature = None
        if self.verbose:
            print(f"[+] {self.model.__class__.__name__} trained on {len(self.X_train)} clips")
        return self

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
        ).fit(self.X_train, self.y_train)
        best_params = {
            name.removeprefix("model__"): value for name, value in search.best_params_.items()
        }
        return search.best_estimator_["model"], best_params, abs(float(search.best_score_))

    def determine_best_model(self):
        """Choose the best of the tuned models in `grid/`, and train it.

        They are compared by cross-validation on the training part, keeping speakers apart; the
        test part has no say in it. The table of all candidates stays in `comparison_`.

        Returns
        -------
        self
        """
        self._loaded()
        folds = self._folds()
        table = []
        candidates = best_results(self.classification)
        for result in tqdm(candidates, desc="Comparing", unit="model", disable=not self.verbose):
            model = make_estimator(result["estimator"], result["params"])
            scores = cross_val_score(
                self._pipeline(model),
                self.X_train,
                self.y_train,
                cv=folds,
                scoring=SCORING[self.classification],
                n_jobs=self.n_jobs,
            )
            table.append((result["estimator"], model, abs(scores.mean()), scores.std()))
        measure = "uar" if self.classification else "error"
        self.comparison_ = (
            pd.DataFrame(table, columns=["name", "model", measure, "std"])
            .sort_values(measure, ascending=not self.classification)
            .reset_index(drop=True)
        )
        self.model = self.comparison_["model"].iloc[0]
        verbose, self.verbose = self.verbose, 0
        self.train()
        self.verbose = verbose
        if self.verbose:
            print(f"[+] Best model determined: {self.model.__class__.__name__} with "
                  f"{self._in_words(self.test_score())}")  # fmt: skip
        return self

    def _in_words(self, score):
        if self.classification:
            return f"{score:.3%} test accuracy"
        return f"{score:.3f} mean absolute test error"

    # hearing

    def predict(self, audio, *, sr=None):
        """Name the emotion of a recording.

        Parameters
        ----------
        audio : path, binary file object, array (n_samples,) or (n_samples, n_channels), or a list
            Any audio file; an array goes with its rate.
        sr : int, optional
            Hz; the sampling rate of an array.

        Returns
        -------
        str, or for regression float; a list of them for a list
        """
        X, is_list = self._features(audio, sr)
        predictions = self._predict(X).tolist()
        return predictions if is_list else predictions[0]

    def predict_proba(self, audio, *, sr=None):
        """Give each emotion's probability in a recording.

        Models without probabilities of their own (SVC) get them from a softmax of their decision
        values, whose temperature is fitted to clips of speakers that were left out of the fit
        (Guo et al. 2017, On Calibration of Modern Neural Networks). The most probable emotion is
        the one that `predict` names.

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
        scores = self._scores(X)
        if not hasattr(self.model, "predict_proba"):
            scores = softmax(scores / self._fitted_temperature(), axis=1)
        classes = self.model.classes_.tolist()
        rows = [dict(zip(classes, row, strict=True)) for row in scores.tolist()]
        ordered = [{emotion: row[emotion] for emotion in self.emotions} for row in rows]
        return ordered if is_list else ordered[0]

    def _features(self, audio, sr):
        """The features of one recording or of a list of them, and whether it was a list."""
        self._check_trained()
        if not isinstance(audio, (list, tuple)):
            return extract_feature(audio, **self.audio_config, sr=sr)[np.newaxis], False
        if not audio:
            return np.empty((0, self.scaler_.n_features_in_), dtype=np.float32), True
        extractor = SpeechFeatures(self.features, sr=sr, n_jobs=self.n_jobs, verbose=self.verbose)
        return extractor.transform(audio), True

    def _check_trained(self):
        if not hasattr(self, "scaler_"):
            raise NotFittedError("This EmotionRecognizer isn't trained yet; call train() first.")

    def _predict(self, X):
        """Labels (n_clips,) of features (n_clips, n_features)."""
        self._check_trained()
        if not self.classification:
            return self.model.predict(self.scaler_.transform(X)) if len(X) else np.empty(0)
        return self.model.classes_[np.argmax(self._scores(X), axis=1)]

    def _scores(self, X):
        """Probabilities or decision values (n_clips, n_classes): the highest one is the label."""
        if not len(X):
            return np.empty((0, len(self.model.classes_)))
        method = "predict_proba" if hasattr(self.model, "predict_proba") else "decision_function"
        return _two_sided(getattr(self.model, method)(self.scaler_.transform(X)))

    def _fitted_temperature(self):
        """The divisor of the decision values that makes held-out speakers' labels likeliest."""
        if self._temperature is None:
            values = _two_sided(
                cross_val_predict(
                    self._pipeline(self.model),
                    self.X_train,
                    self.y_train,
                    cv=self._folds(one_voice_will_do=True),
                    method="decision_function",
                    n_jobs=self.n_jobs,
                )
            )
            truth = np.searchsorted(self.model.classes_, self.y_train)

            def loss(log_temperature):
                likelihoods = log_softmax(values / np.exp(log_temperature), axis=1)
                return -likelihoods[np.arange(len(truth)), truth].mean()

            best = minimize_scalar(loss, bounds=(-5, 5), method="bounded")
            self._temperature = float(np.exp(best.x))
        return self._temperature

    # scores

    def test_score(self):
        """Accuracy on the test part; for regression the mean absolute error (lower is better)."""
        return self._score(self.X_test, self.y_test)

    def train_score(self):
        """The same as `test_score`, on the training part."""
        return self._score(self.X_train, self.y_train)

    def _score(self, X, y):
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
        return evaluation.score(
            self.y_test,
            self._predict(self.X_test),
            speaker_groups(self.test_rows_),
            self.emotions,
            self.random_state,
        )

    def protocol(self):
        """One line that says what the scores are measured on; see `evaluation.describe_split`."""
        rows = self._loaded().train_rows_, self.test_rows_
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
        return pd.DataFrame(
            counts,
            index=[f"true_{emotion}" for emotion in self.emotions],
            columns=[f"predicted_{emotion}" for emotion in self.emotions],
        )

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
        from sklearn.metrics import ConfusionMatrixDisplay

        matrix = self.confusion_matrix(percentage=percentage, labeled=False)
        picture = ConfusionMatrixDisplay(matrix, display_labels=self.emotions)
        picture.plot(ax=ax, cmap="Blues", values_format=".0f", colorbar=False)
        unit = "percent of the true emotion" if percentage else "clips"
        picture.ax_.set(
            title=f"{self.model.__class__.__name__}, {len(self.y_test)} test clips ({unit})",
            xlabel="predicted emotion",
            ylabel="true emotion",
        )
        picture.figure_.tight_layout()
        return picture.ax_


def _two_sided(scores):
    """Decision values with one column a class, for two classes too."""
    return np.column_stack([-scores, scores]) if scores.ndim == 1 else scores


# the command line


def _parse_args(argv):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("files", nargs="*", metavar="FILE", help="recordings to predict")
    models = [name.removesuffix("Classifier") for name in CLASSIFIERS]
    parser.add_argument("--model", default="SVC",
                        help=f"{', '.join(models)} or best (default SVC)")  # fmt: skip
    parser.add_argument("--emotions", default=",".join(DEFAULT_EMOTIONS),
                        help=f"comma-separated, out of {', '.join(AVAILABLE_EMOTIONS)} and what "
                             "your clips are named (default %(default)s)")  # fmt: skip
    parser.add_argument("--corpora", help="comma-separated, out of ravdess, tess, emodb, custom; "
                        "default: whatever is there")  # fmt: skip
    parser.add_argument("--features", default=",".join(DEFAULT_FEATURES),
                        help="comma-separated, out of mfcc, chroma, mel, contrast, tonnetz "
                             "(default %(default)s)")  # fmt: skip
    parser.add_argument("--data-dir", help="the data folder; else $SER_DATA_DIR, else data/")
    parser.add_argument("--no-balance", action="store_true", help="use all clips of each emotion")
    parser.add_argument("--seed", type=int, default=0, help="of all that is random (default 0)")
    parser.add_argument("--picture", metavar="FILE", help="draw the confusion matrix to a file")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead")
    return parser.parse_args(argv)


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


def _recognizer(args):
    """The trained recognizer that the command line asks for."""
    model = None if args.model == "best" else tuned_classifier(args.model)
    rec = EmotionRecognizer(
        model,
        emotions=args.emotions.split(","),
        features=args.features.split(","),
        balance=not args.no_balance,
        verbose=0 if args.json else 1,
        data_dir=args.data_dir,
        random_state=args.seed,
        **(corpora_options(args.corpora.split(",")) if args.corpora else {}),
    )
    return rec if args.model == "best" else rec.train()


def tuned_classifier(name):
    """A classifier by its name, with its tuned parameters."""
    full = make_estimator(name).__class__.__name__
    check_name(full, CLASSIFIERS, "classifier")
    for result in best_results():
        if result["estimator"] == full:
            return make_estimator(full, result["params"])
    return make_estimator(full)


def _hear(rec, files):
    """Predict each file; a file that can't be read has an error in place of an emotion."""
    predictions = []
    for path in files:
        try:
            probabilities = rec.predict_proba(path)
        except ValueError as error:
            predictions.append({"path": path, "error": str(error)})
        else:
            emotion = max(probabilities, key=probabilities.get)
            predictions.append({"path": path, "emotion": emotion, "probabilities": probabilities})
    return predictions


def _print_report(rec, predictions):
    """Print samples, score, confusion matrix and predictions for people."""
    score = rec.scores()
    print(f"\nClips\n{rec.get_samples_by_class().to_string()}")
    print(f"\n{rec.model.__class__.__name__}, {rec.protocol()}")
    if "custom" in set(rec.test_rows_["corpus"]):
        print("(data/test-custom as bundled is synthetic speech: it shows that all works, "
              "not how well people are heard)")  # fmt: skip
    for name, label in (("accuracy", "accuracy"), ("uar", "UAR")):
        low, high = score[f"{name}_low"], score[f"{name}_high"]
        interval = "one speaker, no interval" if low is None else f"{low:.3f} to {high:.3f}"
        print(f"  {label:8s} {score[name]:.3f}  (95 % by speaker: {interval})")
    print(f"  chance   {1 / len(rec.emotions):.3f}")
    print("\nConfusion matrix, percent of the true emotion")
    print(rec.confusion_matrix().round(1).to_string())
    for prediction in predictions:
        print(f"\n{prediction['path']}: {prediction.get('emotion', 'not heard')}")
        for emotion, p in prediction.get("probabilities", {}).items():
            print(f"  {emotion:10s} {p:5.3f} {'█' * round(40 * p)}".rstrip())


def _save_picture(rec, path):
    figure = rec.draw_confusion_matrix().figure
    with replacing(path) as temporary:
        figure.savefig(temporary, format=Path(path).suffix[1:] or "png", dpi=150)


def main(argv=None):
    """The command line; see the module's docstring."""
    args = _parse_args(argv)
    try:
        for path in args.files:
            if not Path(path).is_file():
                raise FileNotFoundError(f"There is no file {path}")
        rec = _recognizer(args)
        predictions = _hear(rec, args.files)
        if args.picture:
            _save_picture(rec, args.picture)
    except (ValueError, OSError) as error:
        sys.exit(f"emotion_recognition.py: {error}")
    if args.json:
        result = {
            "protocol": rec.protocol(),
            "corpora": sorted(set(rec.train_rows_["corpus"]) | set(rec.test_rows_["corpus"])),
            "model": rec.model.__class__.__name__,
            "emotions": rec.emotions,
            "n_train": len(rec.y_train),
            "n_test": len(rec.y_test),
            **rec.scores(),
            "confusion": rec.confusion_matrix(percentage=False, labeled=False).tolist(),
            "predictions": predictions,
        }
        print(json.dumps(result))
    else:
        _print_report(rec, predictions)
    for prediction in predictions:
        if "error" in prediction:
            print(f"emotion_recognition.py: {prediction['error']}", file=sys.stderr)
    return int(any("error" in prediction for prediction in predictions))


if __name__ == "__main__":
    sys.exit(main())
