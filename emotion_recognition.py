"""Recognise emotion in a voice: train, score, predict, adapt, explain, save.

    python emotion_recognition.py predict call.wav            # by the bundled model
    python emotion_recognition.py timeline call.wav           # emotion over time; see its --help
    python emotion_recognition.py explain call.wav            # effects of features and seconds
    python emotion_recognition.py                             # train on all corpora, and score
    python emotion_recognition.py call.wav "my clip.m4a"      # then predict these
    python emotion_recognition.py --model best                # choose among the tuned models
    python emotion_recognition.py --model MLP --corpora emodb --features mfcc,chroma,mel
    python emotion_recognition.py --picture confusion.png --json call.wav > result.json

From Python:

    from emotion_recognition import EmotionRecognizer, load_recognizer, recommended

    load_recognizer().predict("call.wav")                     # the bundled model
    rec = recommended(emotions=["sad", "neutral", "happy"]).train()
    rec.test_score(), rec.predict("call.wav"), rec.predict_proba("call.wav")
    rec.adapt(["ann 1.wav", "ann 2.wav", "ann 3.wav"]).predict("ann 4.wav")
    rec.predict_timeline("call.wav"), rec.explain("call.wav")
    rec.save("model.ser")                                     # load_recognizer("model.ser")

    from sklearn.svm import SVC, SVR
    rec = EmotionRecognizer(model=SVC(), emotions=["sad", "neutral", "happy"]).train()
    rec = recommended(data="clips.csv").train()               # your own clips and labels
"""

import runpy
from pathlib import Path

if __name__ == "__main__":  # the command lines are in a module that imports this one
    runpy.run_path(str(Path(__file__).with_name("commands.py")), run_name="__main__")

import inspect
import warnings
from itertools import product

import numpy as np
import pandas as pd
from joblib import delayed
from sklearn.base import clone, is_classifier
from sklearn.utils import get_tags

import features as ft
import model_file
import utils
from adaptation import SpeakerScaler
from augmentation import SPEEDS
from checks import check_label, check_name, moved, renamed
from clip_tables import read_data, with_partition
from corpora import wishes
from create_csv import check_emotions, edited_desc_files, labelled_clips, leave_desc_files
from data_extractor import extract_features, load_split
from functionals import MATRICES
from metrics import absolute_error, unweighted_recall
from models import recommended_model
from parameters import DEFAULT_EMOTIONS
from predictor import Predictor
from processes import parallel, task, watched, without_own_jobs
from progress import Progress
from recognizer import Recognizer, targets_of
from sampling import speaker_folds, stratified_order
from tables import recordings, speaker_groups
from training import N_FOLDS, Training

SCORES = {True: unweighted_recall, False: absolute_error}  # by classification
SCORING = {True: "balanced_accuracy", False: "neg_mean_absolute_error"}  # the same, as names
MOST_COPIES = 100  # noisy copies of a clip
TRIAL, FINALISTS = 300, 2  # clips for a first comparison of all models; models tried on all clips
DEFAULT_FILE = Path(__file__).resolve().parent / "models" / "default.ser"
ALIASES = {"voices": "speeds", "degraded": "noisy"}  # former names of settings
OF_A_MODEL = (
    *("emotions", "features", "functionals", "normalize", "speeds", "noisy", "classification"),
    *("balance", "corpora", "tess_ravdess", "emodb", "custom_db", "verbose", "random_state"),
    "target",
)
"""Settings of the model, not of the machine, which are saved in files."""


class EmotionRecognizer(Recognizer):
    """Learns emotions from labelled recordings and predicts those of new ones.

    Parameters
    ----------
    model : scikit-learn classifier or regressor, optional
        It isn't changed: `train` fits a copy, `rec.model`. Default: the best of the tuned models in
        `grid/`, determined and trained at once (see `determine_best_model`).
    emotions : list of str, optional
        Any of `parameters.AVAILABLE_EMOTIONS`, or labels of your own clips. Default: all labels of
        `data`, or of the clips passed to `fit`; for the corpora `parameters.DEFAULT_EMOTIONS`.
    data : DataFrame, path or list of them, optional
        Labelled clips in place of the corpora; see `clip_tables.read_table`, which can also map
        labels and columns. The table is read at once. Its column partition chooses the test clips;
        without one `random_state` draws a fifth of the speakers.
    corpora : list of str, optional
        Exactly these corpora, e.g. ["ravdess", "emodb"], all of them required.
    tess_ravdess, emodb, custom_db : bool, optional
        In place of `corpora`. Default: use those in the data folder; True: required; False: left
        out. `tess_ravdess` may also be "ravdess" or "tess".
    tess_ravdess_name, emodb_name, custom_db_name : path
        desc_files, train_<name> and test_<name>, in the data folder unless the name has a folder.
    features : list of str
        See `features.check_features`; default `features.RECOMMENDED_FEATURES`.
    encoder : str or None
        The pre-trained encoder among the features: a name for `encoder.load_encoder`; None: no
        encoder. Default: as in `features`.
    functionals : list of str, optional
        Functionals over the frames; see `features.extract`. The classic vector is
        features=["mfcc", "chroma", "mel"], functionals=["mean"].
    normalize : {"speaker", None}
        "speaker" makes `adapt` possible. It doesn't change an unadapted recognizer.
    speeds : int
        Number of copies of each training clip at other speeds, up to 4: larger and smaller
        speakers at another tempo (see `augmentation.at_speed`).
    noisy : int
        Number of copies of each training clip, and of each copy at another speed, in noise, in a
        room or over a telephone line (see `augmentation.noisy_copy`). Copies are used only to fit
        the scaler and the model: not in scores or comparisons, nor in the model for `adapt`.
    classification : bool
        If False, a regressor on the scale of 3 or 5 emotions (`utils.EMOTION_SCALES`).
    target : str or list of str, optional
        Columns of numbers in the training rows, such as arousal and valence, on any scale: these
        are predicted in place of emotions, and clips of all emotions are used.
    balance : bool
        Use as many clips of every emotion as the rarest has, in training and in test.
    override_csv : bool
        Write the desc_files again; False reads existing ones.
    verbose : int
        0 prints nothing and draws no progress bars.
    data_dir : path, optional
        Default: $SER_DATA_DIR, else `data/` of the repository.
    n_jobs : int
        Processes for extraction and tuning; -1 is all cores.
    scheduler : str, optional
        Address of a Dask scheduler whose workers do that work instead.
    random_state : int
        Seed of everything random: drawing, shuffling, folds, and the model if it has none.

    Raises
    ------
    ValueError
        For an unknown emotion, feature or corpus, or emotions that have no regression scale.
    """

    training, speaker_scaler = Training, SpeakerScaler
    scaler = staticmethod(utils.standard_scaler)

    def __init__(
        self,
        model=None,
        *,
        emotions=None,
        data=None,
        corpora=None,
        tess_ravdess=None,
        emodb=None,
        custom_db=None,
        tess_ravdess_name="tess_ravdess.csv",
        emodb_name="emodb.csv",
        custom_db_name="custom.csv",
        features=ft.RECOMMENDED_FEATURES,
        encoder=utils.AS_FEATURES,
        functionals=None,
        normalize="speaker",
        speeds=0,
        noisy=0,
        classification=True,
        target=None,
        balance=True,
        override_csv=True,
        verbose=1,
        data_dir=None,
        n_jobs=-1,
        scheduler=None,
        random_state=0,
        **former,
    ):
        settings = {name: value for name, value in locals().items() if name in SETTINGS}
        settings |= renamed(former, SETTINGS, ALIASES)
        settings["data"] = data = read_data(data, target=target)
        if target is not None:
            settings["emotions"] = ()
        elif data is not None:
            settings["emotions"] = data.emotions(emotions)
        elif emotions is None:
            settings["emotions"] = DEFAULT_EMOTIONS
        else:
            settings["emotions"] = check_emotions(emotions, data_dir, any_word=True)
        self._store(**settings)
        self._all_emotions = emotions is None
        if model is None:
            self.determine_best_model()

    def _store(self, **settings):
        """Check and keep the settings."""
        features = utils.with_encoder(settings["features"], settings.pop("encoder"))
        vars(self).update(settings, features=features, emotions=list(settings["emotions"]))
        ft.check_functionals(self.functionals)
        check_name(self.normalize, (None, "speaker"), "normalize")
        self._wishes()
        for name, most in (("speeds", len(SPEEDS)), ("noisy", MOST_COPIES)):
            if getattr(self, name) not in range(most + 1):
                number = getattr(self, name)
                raise ValueError(f"{name} must be a number from 0 to {most}; got {number!r}.")
        if self.targets:
            self.emotions, self.classification, self.balance = [], False, False
            self._check_targets()
        elif not self.classification:
            utils.emotion_scale(self.emotions)
        elif len(self.emotions) < 2:
            raise ValueError(f"Classification needs at least two emotions; got {self.emotions}.")
        self._begin()

    def _check_targets(self):
        for name in self.targets:
            check_label(name, "target")
        if is_classifier(self.model):
            raise ValueError(f"{self.name} predicts classes; target= needs a regressor.")
        several = len(self.targets) > 1 and self.model is not None
        if several and not get_tags(self.model).target_tags.multi_output:
            raise ValueError(
                f"By its tags {self.name} predicts one number, not {len(self.targets)}: wrap it "
                "in sklearn.multioutput.MultiOutputRegressor, or use recommended(target=...)."
            )

    @property
    def name(self):
        """The class of the model, for tables and titles: str."""
        return type(self.model).__name__

    @property
    def encoder(self):
        """The name of the encoder among the features: str, or None."""
        return utils.encoder_of(self.features)

    @property
    def scaler_(self):
        """The fitted scaler of features, as of scikit-learn's StandardScaler: estimator."""
        return self._check_trained().fitted.scaler

    def untrained(self, **changes):
        """A recognizer with the same settings, not trained: EmotionRecognizer.

        Parameters
        ----------
        **changes
            Settings that differ.
        """
        settings = self._settings()
        settings |= renamed(changes, {*settings, "encoder"}, ALIASES)
        model, encoder = settings.get("model"), settings.get("encoder", utils.AS_FEATURES)
        if hasattr(model, "blocks") and "model" not in changes:  # of other columns
            features = utils.with_encoder(settings["features"], encoder)
            model.set_params(blocks=ft.blocks(features, settings["functionals"]))
        return type(self)(**settings)

    def _settings(self):
        """The arguments for a recognizer like this one."""
        names = [name for name in SETTINGS if name != "encoder"]  # the features include it
        settings = {name: getattr(self, name) for name in names} | {"model": clone(self.model)}
        return settings | ({"emotions": None} if self._all_emotions else {})

    def _wishes(self):
        old = {name: getattr(self, name) for name in ("tess_ravdess", "emodb", "custom_db")}
        if self.data is not None and [self.corpora, *old.values()] != [None] * 4:
            raise ValueError("Give data, or corpora in the data folder; not both.")
        return wishes(self.corpora, **old)

    def _rows(self, leave=False):
        """The labelled clips of the table or the corpora, with a column partition."""
        if self.data is not None:
            return with_partition(self.data.rows, self.random_state)
        names = {
            "tess_ravdess": self.tess_ravdess_name,
            "emodb": self.emodb_name,
            "custom": self.custom_db_name,
        }
        wished, settings = self._wishes(), {"data_dir": self.data_dir, "verbose": self.verbose}
        if not self.override_csv:
            return edited_desc_files(wished, names, **settings)
        rows = labelled_clips(wished, **settings)
        if leave:
            leave_desc_files(rows, names, self.data_dir)
        return rows

    def _read(self, rows, partition="train"):
        """The features of clips: Split."""
        shared = ("functionals", "emotions", "classification", "targets", "balance", "n_jobs")
        settings = {name: getattr(self, name) for name in (*shared, "verbose", "random_state")}
        return load_split(rows, self.features, partition=partition, **settings)

    def _fitted(self, split, verbose=0):
        """Fit scaler, model and confidence: Predictor."""
        training = self.training(
            split,
            self.model,
            self.scaler,
            self.speaker_scaler if self.normalize == "speaker" else None,
            classification=self.classification,
            copies=self._copies(split.rows),
            random_state=self.random_state,
            n_jobs=self.n_jobs,
            verbose=verbose,
        )
        answers = self.emotions, self.targets
        return Predictor.fit(training, self.features, self.functionals, *answers)

    def _versions(self):
        """Augmented versions of a clip: list of (speed or None, number of noisy copy or None)."""
        return [*product((None, *SPEEDS[: self.speeds]), (None, *range(self.noisy)))][1:]

    def _copies(self, rows):
        """The features of augmented clips, version by version."""
        return [self._copy(rows, *version) for version in self._versions()]

    def _copy(self, rows, speed, noisy):
        """The features of one version of each clip, in the order of rows."""
        settings = {name: getattr(self, name) for name in ("functionals", "n_jobs", "verbose")}
        settings |= {"on_error": "raise", "speed": speed, "noisy": noisy}
        with self.parallel():
            return extract_features(recordings(rows), self.features, **settings)[0]

    def _in_short(self):
        """Describe model and features: dict of str."""
        n_columns = self.predictor_.fitted.scaler.n_features_in_ if self.predictor_ else 0
        unit = "values a frame" if self.functionals in MATRICES else "values"
        size = f"{n_columns:,} {unit}: " if n_columns else ""
        copies = [f"{kind}: {n}" for kind in ("speeds", "noisy") if (n := getattr(self, kind))]
        model = " ".join(repr(self._shown_model()).split())
        model += f", with augmented copies ({', '.join(copies)})" if copies else ""
        return {"model": model, "features": size + ", ".join(self.features)}

    def _shown_model(self):
        return self.model

    def _content(self):
        settings = {name: getattr(self, name) for name in OF_A_MODEL}
        return {"class": type(self).__name__, "settings": settings, **self.predictor_.content()}

    @classmethod
    def _restored(cls, content, record, encoder=None):
        saved = {ALIASES.get(name, name): x for name, x in content["settings"].items()}
        saved = {name: saved[name] for name in OF_A_MODEL if name in saved}  # old files lack some
        known = content.get("encoder")
        saved["features"] = utils.with_saved_encoder(saved["features"], known, encoder)
        for fit in content["fits"].values():
            if getattr(fit["model"], "features", None):  # a network has its own
                fit["model"].features = tuple(saved["features"])
        rec = cls.__new__(cls)
        rec._store(**SETTINGS | saved | {"model": content["fits"]["average"]["model"]})
        names = "functionals", "emotions", "classification", "targets"
        settings = {name: getattr(rec, name) for name in names}
        settings |= {"names": tuple(rec.features), "versions": record["versions"]}
        rec._take(Predictor.restored(content, **settings))
        rec.record_, rec.adaptation_ = record, record.get("adaptation")
        return rec

    def _folds(self):
        groups = speaker_groups(self._loaded().train_rows_)
        return speaker_folds(self.y_train, groups, N_FOLDS, self.random_state)

    def _pipeline(self, model):
        return utils.pipeline(without_own_jobs(model), self.scaler(), self.random_state)

    def grid_search(self, params, n_jobs=None):
        """Try all combinations of parameters by speaker-independent cross-validation.

        Parameters
        ----------
        params : dict of str to list
            Parameters of the model, each with its candidate values.
        n_jobs : int, optional
            Processes; default those of the recognizer.

        Returns
        -------
        best_estimator, best_params, best_score
            Fitted on the standardised training part; dict; UAR, or for regressors the mean
            absolute error (lower is better).
        """
        from sklearn.model_selection import GridSearchCV

        search = GridSearchCV(
            self._pipeline(self.model),
            {f"model__{name}": values for name, values in params.items()},
            cv=self._folds(),
            scoring=SCORING[self.classification],
            n_jobs=self.n_jobs if n_jobs is None else n_jobs,
        )
        with self.parallel(self.X_train), watched():
            own = self.training.fit_params(self.model, speaker_groups(self.train_rows_))
            own = {f"model__{name}": values for name, values in own.items()}
            search.fit(self.X_train, self.y_train, **own)
        best = {name.removeprefix("model__"): x for name, x in search.best_params_.items()}
        jobs = {k: x for k, x in self.model.get_params().items() if k.endswith("n_jobs")}
        return search.best_estimator_["model"].set_params(**jobs), best, abs(search.best_score_)

    def determine_best_model(self, by="cv"):
        """Choose the best of the tuned models in `grid/` and the recommended one, train it: self.

        `comparison_` is the table of all candidates. With many clips, candidates that were tried
        only on `TRIAL` clips, and weren't among the `FINALISTS`, have folds 0 there.

        Parameters
        ----------
        by : {"cv", "test"}
            Compare them by speaker-independent cross-validation on the training part, without the
            test part; or by their score on the test part, as tutorials do. The latter leaves no
            unbiased score, and a warning says so.
        """
        check_name(by, ("cv", "test"), "by")
        self._loaded()
        tuned = utils.get_best_estimators(self.classification)
        blocks = ft.blocks(self.features, self.functionals)
        best = recommended_model(self.classification, blocks=blocks, targets=self.targets)
        models = [best, *(model for model, *_ in tuned if len(self.targets) < 2)]
        X, y, folds = self.X_train, self.y_train, self._folds() if by == "cv" else None
        if by == "test":
            if self.X_test is None:
                raise ValueError('There is no test part to choose by; by="cv" needs none.')
            warnings.warn(
                'by="test" chooses the model by the test part: its score there says nothing about '
                'new recordings. Choose by="cv".',
                stacklevel=2,
            )
            X, y = np.concatenate([X, self.X_test]), np.concatenate([y, self.y_test])
            folds = [np.split(np.arange(len(y)), [len(self.y_train)])]
        measure = "uar" if self.classification else "error"
        table = pd.DataFrame({"name": [type(model).__name__ for model in models], "model": models})
        table = table.assign(**self._compared(models, X, y, folds)).rename(
            columns={"score": measure}
        )
        order = {"ascending": [False, not self.classification], "ignore_index": True}
        self.comparison_ = table.sort_values(["folds", measure], **order)
        self.model = self.comparison_["model"].iloc[0]
        self._learn(0)
        if self.verbose:
            unit = "{:.3%} test accuracy" if self.classification else "{:.3f} mean absolute error"
            known = "" if self.X_test is None else f" with {unit.format(self.test_score())}"
            print(f"[+] Best model determined: {self.name}{known}")
        return self

    def _compared(self, models, X, y, folds):
        """Compare models on folds: dict of score, std and folds, lists over the models.

        With many clips, all models are first fitted on `TRIAL` clips of the first fold, and only
        the best ones on all folds. This avoids the slowest models, which take minutes and have
        never been among the best.
        """
        ((train, held_out), *_), last = folds, len(models)
        if len(train) >= 2 * TRIAL:
            few = train[stratified_order(y[train], self.random_state)[:TRIAL]]
            trial, last = self._scores(models, X, y, [(few, held_out)], "Trying"), FINALISTS
        else:
            trial = np.zeros((last, 1))
        best = np.argsort(-trial[:, 0] if self.classification else trial[:, 0], kind="stable")
        best = sorted(best[:last].tolist())
        scores = self._scores([models[i] for i in best], X, y, folds, "Comparing")
        score, std, n_folds = trial[:, 0], np.full(len(models), np.nan), np.zeros(len(models), int)
        score[best], std[best], n_folds[best] = scores.mean(axis=1), scores.std(axis=1), len(folds)
        return {"score": score, "std": std, "folds": n_folds}

    def _scores(self, models, X, y, folds, title):
        """The score of each model on each fold: (n_models, n_folds)."""
        fit, score = delayed(task(score_fold)), SCORES[self.classification]
        pairs = product(models, folds)
        fits = [fit(self._pipeline(model), X, y, *fold, score) for model, fold in pairs]
        with self.parallel(X):
            scores = parallel(self.n_jobs, return_as="generator")(fits)
            scores = [*Progress(scores, title, len(fits), unit="fit", disable=not self.verbose)]
        return np.reshape(scores, (len(models), len(folds)))


def score_fold(pipe, X, y, train, test, score):
    """Fit on one side of a fold and score on the other: float.

    Parameters
    ----------
    pipe : scikit-learn estimator
    X : array (n_clips, ...)
    y : ndarray (n_clips,)
    train, test : ndarray of int
        Row numbers.
    score : callable
        Takes true and predicted labels, returns a number.
    """
    return score(y[test], pipe.fit(X[train], y[train]).predict(X[test]))


_PARAMETERS = inspect.signature(EmotionRecognizer.__init__).parameters
SETTINGS = {name: p.default for name, p in [*_PARAMETERS.items()][1:-1]}
"""The settings of an `EmotionRecognizer` with their defaults."""


def load_recognizer(path=None, *, encoder=None, trusted=()):
    """Load a recognizer from a file of `rec.save`: Recognizer.

    It predicts and adapts like the saved one, and has no clips. Nothing in the file is run. The
    predictions for some clips are checked: if they differ, a `ModelFileWarning` names the versions
    that changed; see `Predictor.check`.

    Parameters
    ----------
    path : path, optional
        Default: the bundled model, `models/default.ser`.
    encoder, trusted
        See `model_file.Savable.load`.

    Raises
    ------
    FileNotFoundError
        If there is no file.
    ModelFileError
        If it is damaged or manipulated, or its predictions have changed.
    EncoderError
        If its encoder isn't available.
    """
    if path is None and not DEFAULT_FILE.is_file():
        raise FileNotFoundError(
            f"There is no {DEFAULT_FILE}; give the path of another file, or make this one: "
            f"recommended().train().save({str(DEFAULT_FILE)!r})"
        )
    return model_file.load(DEFAULT_FILE if path is None else path, encoder=encoder, trusted=trusted)


def recommended(**options):
    """The recommended recognizer, best for unseen speakers, untrained: EmotionRecognizer.

    It is trained on all clips: its model assumes equally probable emotions, so `balance` isn't
    needed.

    Parameters
    ----------
    **options
        See `EmotionRecognizer`; `balance` is off by default. noisy=1 improves recognition in noise,
        in rooms and over telephones a lot, and doesn't change it for clean clips. encoder=None uses
        no pre-trained encoder.

    Examples
    --------
    >>> recommended(emotions=["sad", "happy"]).model
    BlockLDA(blocks=(4659, 2048, 2048))
    """
    options = {"balance": False} | renamed(options, SETTINGS, ALIASES)
    features, encoder = (options.get(name, SETTINGS[name]) for name in ("features", "encoder"))
    blocks = ft.blocks(utils.with_encoder(features, encoder), options.get("functionals"))
    n_kinds = sum(bool(options.get(name)) for name in ("speeds", "noisy"))
    kind = options.get("classification", True), n_kinds, blocks
    model = recommended_model(*kind, targets_of(options.get("target")))
    return EmotionRecognizer(**{"model": model} | options)


def classic(**options):
    """A baseline, an SVC on the means of mfcc, chroma and mel, untrained: EmotionRecognizer.

    Parameters
    ----------
    **options
        See `EmotionRecognizer`.
    """
    from sklearn.svm import SVC, SVR

    classifies = options.get("classification", True) and not options.get("target")
    model = SVC() if classifies else SVR()
    defaults = {"model": model, "features": ft.DEFAULT_FEATURES, "functionals": ["mean"]}
    return EmotionRecognizer(**defaults | options)


__getattr__ = moved(
    __name__,
    {
        "adaptation": "SpeakerScaler",
        "checks": "replacing",
        "confidence": "cross_entropy temperature temperature_by_distance decided NEAREST "
        "TOWARDS_ONE",
        "corpora": "corpora_options find_data_dir",
        "create_csv": "CORPUS_GROUPS WRITERS absent desc_file",
        "data_extractor": "AudioExtractor load_data ragged source_version",
        "deep_emotion_recognition": "named_recognizer",
        "emotion_recognition": "SAVED_SETTINGS=OF_A_MODEL",
        "features": "extract DEFAULT_FEATURES RECOMMENDED_FEATURES",
        "functionals": "FRAMES",
        "grid_search": "plot_histograms PARTS",
        "listening": "InputReport",
        "model_file": "restored RECOGNIZERS",
        "models": "EmotionLDA RIDGE components",
        "parameters": "RECIPES AVAILABLE_EMOTIONS CLASSIFIERS EMOTION_SCALES REGRESSORS",
        "plotting": "bars COLOURS=PALETTE",
        "predictor": "hear=recognise N_PROBES SAMPLE_RATE",
        "probe": "FEATURE_TOLERANCE TOLERANCES",
        "processes": "on_cluster",
        "training": "N_SPLITS=N_FOLDS",
        "tables": "PARTITIONS read_desc_file",
        "utils": "LEAST_PROBABLE best_results emotion_scale extract_feature get_audio_config "
        "get_best_estimators make_estimator tuned_estimator",
    },
)
