"""The result of training: a Predictor, which is immutable, thread-safe and can be pickled.

    predictor = rec.train().predictor_
    X = predictor.features(load_audio("call.wav"))        # the features of one clip
    predictor.probabilities(X), predictor.novelty(X)
    predictor.adapted(X_of_a_speaker).probabilities(X)    # a new Predictor for that speaker

An ensemble is a Predictor that consists of Predictors. Nothing is fitted after training.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.special import softmax

import model_file
from adaptation import BY, standardised, trust_in
from audio import load_audio
from checks import check_name, moved
from confidence import Fitted, decided, smallest_set
from data_extractor import Views, ragged
from features import extract, feature_names, sources
from functionals import MATRICES
from kernels import SpectralFrames
from listening import InputReport, has_speech
from parameters import SAMPLE_RATE
from probe import check_probe, probe_sound, versions_of
from sampling import stratified_order
from utils import emotion_scale, model_scores, saved_encoder

N_PROBES = 8  # clips whose predictions are checked when a file is loaded


@dataclass(frozen=True, eq=False)
class Predictor:
    """Features, scaler, model and confidence of a trained recognizer.

    Attributes
    ----------
    names : tuple of str
        Features; see `features.extract`.
    functionals : tuple of str, one of `MATRICES` or None
    emotions : list of str
        In the order of probabilities.
    classification : bool
        False: it predicts numbers, those of a scale of emotions or of `targets`.
    general : Fitted
        For any speaker.
    by_speaker : Fitted or None
        For adaptation to speakers.
    speaker : (ndarray, ndarray) or None
        Mean and standard deviation (n_columns,) of the speaker that it is adapted to.
    trust : float
        Weight of the adapted probabilities in the average with the others; see
        `adaptation.trust_in`.
    versions : dict of str to str
        Versions of libraries and features that it was fitted with.
    probe : dict
        Some training clips and their predictions, a signal and its features; see `check`.
    targets : tuple of str
        Names of the numbers that it predicts in place of emotions.
    """

    names: tuple
    functionals: Any
    emotions: list
    classification: bool
    general: Fitted
    by_speaker: Fitted | None = None
    speaker: tuple | None = None
    trust: float = 1.0
    versions: dict | None = None
    probe: dict | None = None
    targets: tuple = ()

    @classmethod
    def fit(cls, training, names, functionals, emotions, targets=()):
        """Fit a Predictor: Predictor.

        Parameters
        ----------
        training : training.Training
        names, functionals, emotions, targets
            See `Predictor`.
        """
        general, by_speaker = training.fit()
        settings = tuple(names), functionals, list(emotions), training.classification
        known = {"versions": versions_of(names, functionals), "targets": tuple(targets)}
        predictor = cls(*settings, general, by_speaker, **known)
        y = training.split.y
        return predictor._with_probe(training.split.X[stratified_order(y)[:N_PROBES]])

    @property
    def fitted(self):
        """The `Fitted` in use, with or without adaptation: Fitted."""
        return self.general if self.speaker is None else self.by_speaker

    @property
    def labels(self):
        """Labels in the order of columns: ndarray (n_labels,); None for regression."""
        return self.fitted.model.classes_ if self.classification else None

    @property
    def parts(self):
        """The single Predictors of an ensemble, or this one: tuple."""
        return (self,)

    @property
    def columns(self):
        """Names of the columns of X: list of str."""
        return feature_names(self.names, self.functionals)

    @property
    def average(self):
        """The average training clip in the units of X: ndarray (n_columns,)."""
        mean = self.fitted.scaler.mean_
        return mean if self.speaker is None else self.speaker[0] + self.speaker[1] * mean

    @property
    def sources(self):
        """Makers of the frames that `features` accepts: tuple, empty if frames can't be joined."""
        found = tuple(dict.fromkeys(s for part in self.parts for s in sources(part.names)))
        return () if SpectralFrames in found else found

    def views(self, X):
        """Split features by part: list.

        Parameters
        ----------
        X : features of clips
        """
        return [X]

    def joined(self, views):
        """Join the features of the parts, the inverse of `views`: X.

        Parameters
        ----------
        views : list
        """
        return views[0]

    def features(self, y):
        """Extract the features of one clip.

        Parameters
        ----------
        y : ndarray (n_samples,) float32 at 16 kHz, or frames
            A dict of source (see `sources`) to frames, or the frames of the only source.

        Returns
        -------
        ndarray (1, n_columns) float32
            With functionals of `MATRICES` an array (1,) with a matrix (n_frames, n_columns).
        """
        x = extract(y, features=self.names, functionals=self.functionals)
        return ragged([x]) if self.functionals in MATRICES else x[np.newaxis]

    def scores(self, X):
        """Decision values or log probabilities; the label with the highest one is predicted.

        Parameters
        ----------
        X : features of clips

        Returns
        -------
        ndarray (n_clips, n_labels)
            For regression the predicted numbers, (n_clips,) or for several (n_clips, n_targets).
        """
        if not len(X):
            n_columns = len(self.labels if self.classification else self.targets)
            return np.empty((0, n_columns) if self.classification or n_columns > 1 else 0)
        if self.trust < 1 and self.classification:
            return np.log(self.probabilities(X))
        if self.trust < 1:
            return self._mixed("scores", X)
        return self._scores_of(self.fitted.scaled(self._by_speaker(X)))

    def _scores_of(self, Z):
        """The scores of scaled features."""
        model = self.fitted.model
        return model_scores(model, Z) if self.classification else model.predict(Z)

    def probabilities(self, X, like=None):
        """Calibrated probabilities of the labels.

        Parameters
        ----------
        X : features of clips
        like : features of one clip, optional
            Use its distance from the training clips for the confidence of all clips.

        Returns
        -------
        ndarray (n_clips, n_labels)
        """
        if self.trust < 1:
            return self._mixed("probabilities", X, like)
        if like is None and len(X):
            return self._calibrated(self._by_speaker(X))[0]
        far = self.fitted.distances(self._by_speaker(X if like is None else like))
        return softmax(self.scores(X) / self.fitted.temperatures(far), axis=1)

    def _calibrated(self, X):
        """Probabilities and distances of clips standardised by speaker, scaled only once."""
        Z = self.fitted.scaled(X)
        far = self.fitted.distances(X, Z)
        return softmax(self._scores_of(Z) / self.fitted.temperatures(far), axis=1), far

    def _mixed(self, method, *arguments):
        """The average of the adapted and of the unadapted model; see `trust`."""
        pair = replace(self, trust=1.0), self.unadapted()
        own, other = (getattr(predictor, method)(*arguments) for predictor in pair)
        return self.trust * own + (1 - self.trust) * other

    def novelty(self, X):
        """Distances of clips from the training clips, relative to the novelty limit.

        Parameters
        ----------
        X : features of clips

        Returns
        -------
        ndarray (n_clips,)
            Over 1 is farther than 95 in 100 clips of left-out speakers.
        """
        return self.general.distances(X) / self.general.limit

    def answered(self, X):
        """Probabilities (or numbers) and novelty of clips, faster than one after the other.

        Parameters
        ----------
        X : features of clips

        Returns
        -------
        answers : ndarray (n_clips, n_labels)
            `probabilities`, or for regression `scores`.
        novelties : ndarray (n_clips,)
            See `novelty`.
        """
        if self.classification and self.speaker is None and self.parts == (self,) and len(X):
            probabilities, far = self._calibrated(X)
            return probabilities, far / self.general.limit
        answers = self.probabilities(X) if self.classification else self.scores(X)
        return answers, self.novelty(X)

    def adapted(self, X, labels=None, by="speaker"):
        """Make a Predictor adapted to one speaker or one recording condition.

        Parameters
        ----------
        X : features of clips of that speaker or condition
        labels : list of (str or None), optional
            Their emotions, None for unknown ones; such clips count as a mixture of emotions.
        by : {"speaker", "condition"}

        Returns
        -------
        Predictor

        Raises
        ------
        ValueError
            For an unknown label or `by`, or if it was trained with normalize=None.
        """
        check_name(by, BY, "by")
        if self.by_speaker is None:
            raise ValueError('Only a recognizer with normalize="speaker" can be adapted.')
        if self.targets and any(labels or ()):
            raise ValueError(
                "Labels are emotions, and this recognizer predicts numbers: leave labels out."
            )
        for label in () if labels is None else filter(None, labels):
            check_name(label, self.emotions, "emotion")
        if labels is not None and not self.classification and not self.targets:
            labels = [label and emotion_scale(self.emotions)[label] for label in labels]
        speaker = self.by_speaker.speakers.statistics(X, labels)
        adapted = replace(self, speaker=speaker, trust=1.0)
        return replace(adapted, trust=trust_in(adapted, X, labels))

    def unadapted(self):
        """The same Predictor for any speaker, without adaptation: Predictor."""
        return replace(self, speaker=None, trust=1.0)

    def sets(self, coverage):
        """See `Fitted.sets`: two floats; for an ensemble, those of its most cautious member.

        Parameters
        ----------
        coverage : float from 0 to 1
        """
        needed, held = zip(*(part.fitted.sets(coverage) for part in self.parts), strict=True)
        return max(needed), min(held)

    def predict(self, X):
        """The predicted label of each clip, or its numbers: ndarray (n_clips,); see `scores`.

        Parameters
        ----------
        X : features of clips
        """
        scores = self.scores(X)
        return self.labels[scores.argmax(axis=1)] if self.classification else scores

    def by_emotion(self, probabilities):
        """Name the probabilities of one clip: dict of str to float, in the order of `emotions`.

        Parameters
        ----------
        probabilities : ndarray (n_labels,)
        """
        shares = dict(zip(self.labels.tolist(), probabilities.tolist(), strict=True))
        return {emotion: shares[emotion] for emotion in self.emotions}

    def by_target(self, numbers):
        """Name the numbers of one clip: dict of str to float, in the order of `targets`.

        Parameters
        ----------
        numbers : float, or ndarray (n_targets,)
        """
        return dict(zip(self.targets, np.atleast_1d(numbers).tolist(), strict=True))

    def _by_speaker(self, X):
        return X if self.speaker is None else standardised(X, *self.speaker)

    def _with_probe(self, X):
        """The same Predictor with a probe, for checks when it is loaded from a file."""
        sound = probe_sound()
        found = self.features(load_audio(sound, orig_sr=SAMPLE_RATE))[0]
        probe = {"X": X, "answers": self._answers(X), "sound": sound, "heard": found}
        return replace(self, probe=probe)

    def _answers(self, X):
        """Predictions for clips, without and with adaptation to them: dict."""
        own = {} if self.by_speaker is None else {"own": self.adapted(X)}
        predictors = {"average": self.unadapted(), **own}
        answers = {
            name: p.probabilities(X) if self.classification else p.scores(X)
            for name, p in predictors.items()
        }
        kind = np.float32 if self.functionals in MATRICES else None  # networks compute with 32 bits
        return {name: np.asarray(values, kind) for name, values in answers.items()}

    def content(self):
        """The content of a file, see `model_file.pack`: dict; `restored` is the inverse."""
        fits = {"average": self.general, "own": self.by_speaker}
        return {
            "fits": {name: fit.to_file() for name, fit in fits.items() if fit is not None},
            "voice": self.speaker,
            "trust": self.trust,
            "probe": self.probe,
            "encoder": saved_encoder(self.names),
        }

    @classmethod
    def restored(cls, content, **settings):
        """Make a Predictor from the content of a file.

        Parameters
        ----------
        content : dict
            See `content`.
        **settings
            names, functionals, emotions, classification, targets, versions.

        Returns
        -------
        Predictor

        Raises
        ------
        ModelFileError
            If its labels differ from its emotions, or its predictions have changed.
        """
        fits = {name: Fitted.from_file(**values) for name, values in content["fits"].items()}
        probe = content["probe"]
        if not isinstance(probe["X"], np.ndarray):
            probe = probe | {"X": ragged(probe["X"])}
        settings |= {"general": fits["average"], "by_speaker": fits.get("own")}
        settings["trust"] = content.get("trust", 1.0)  # older files have none
        predictor = cls(speaker=content["voice"], probe=probe, **settings)
        known = predictor.labels
        if known is not None and sorted(known) != sorted(predictor.emotions):
            raise model_file.ModelFileError(f"its model knows {known}, not {predictor.emotions}")
        predictor.check()
        return predictor

    def check(self):
        """Compare features and predictions for the probe with those after training.

        Raises
        ------
        ModelFileError
            If they differ too much.
        """
        found = self.features(load_audio(self.probe["sound"], orig_sr=SAMPLE_RATE))[0]
        given = self._answers(self.probe["X"]), self.general.scaler.scale_
        check_probe(self.probe, found, *given, self.names, self.functionals, self.versions)


@dataclass(frozen=True, eq=False)
class EnsemblePredictor(Predictor):
    """Averages the calibrated probabilities, or the numbers, of Predictors. Its X are `Views`.

    Attributes
    ----------
    members : tuple of Predictor
    weights : tuple of float, optional
        Default: equal.
    """

    members: tuple = ()
    weights: tuple | None = None

    @classmethod
    def of(cls, members, weights=None):
        """Make an ensemble of Predictors for the same emotions: EnsemblePredictor.

        Parameters
        ----------
        members : sequence of Predictor
        weights : sequence of float, optional
        """
        shared = ("emotions", "classification", "targets", "speaker", "general")
        settings = {name: getattr(members[0], name) for name in shared}
        settings["names"] = tuple(dict.fromkeys(n for member in members for n in member.names))
        settings["versions"] = {n: x for member in members for n, x in member.versions.items()}
        return cls(functionals=None, members=tuple(members), weights=weights, **settings)

    @property
    def labels(self):
        return self.members[0].labels

    @property
    def parts(self):
        return self.members

    def views(self, X):
        return list(X)

    def joined(self, views):
        return Views(views)

    def features(self, y):
        return Views([member.features(y) for member in self.members])

    def scores(self, X):
        return self.probabilities(X) if self.classification else self._mean("scores", X)

    def probabilities(self, X, like=None):
        return self._mean("probabilities", X, [None] * len(self.members) if like is None else like)

    def _mean(self, method, *arguments):
        each = zip(self.members, *arguments, strict=True)
        answers = [getattr(member, method)(*own) for member, *own in each]
        return np.average(answers, axis=0, weights=self.weights)

    def novelty(self, X):
        return np.max([m.novelty(x) for m, x in zip(self.members, X, strict=True)], axis=0)

    def adapted(self, X, labels=None, by="speaker"):
        pairs = zip(self.members, X, strict=True)
        return self.of([member.adapted(x, labels, by) for member, x in pairs], self.weights)

    def unadapted(self):
        return self.of([member.unadapted() for member in self.members], self.weights)


def predictor_of(trained):
    """A Predictor itself, or that of a trained recognizer: Predictor.

    Parameters
    ----------
    trained : Predictor or trained recognizer
        NotFittedError is raised before `train`.
    """
    return trained if isinstance(trained, Predictor) else trained._check_trained()


def recognise(predictor, audio, *, emotions=None, abstain=None, coverage=None):
    """Recognise the emotion of one clip, with warnings about the recording.

    Parameters
    ----------
    predictor : Predictor, or a trained recognizer
        For one that predicts numbers, the last three arguments are None.
    audio : ndarray (n_samples,) float32 at 16 kHz, or a recording
        See `audio.load_audio`.
    emotions : list of str, optional
        Choose only among these.
    abstain : float, optional
        Return "unsure" if the most probable emotion is below this, or the clip is novel.
    coverage : float, optional
        Add `set`, see `Predicts.predict_set`, and `set_held`, the measured coverage of such sets.

    Returns
    -------
    dict
        emotion, confidence, probabilities (dict), novelty (see `Predictor.novelty`), warnings (dict
        of code to message, see `InputReport`). Without speech None, 0.0, {}, None and the warning
        "no-speech". For numbers: numbers (dict; {} without speech), novelty, warnings.

    Raises
    ------
    ValueError
        For a regressor of a scale of emotions, an unknown emotion, or choices among numbers.
    """
    predictor = check_choices(predictor, emotions, abstain, coverage)
    report, y = InputReport(), audio
    if not isinstance(audio, np.ndarray):
        y = load_audio(audio, faults=report.faults)
    report.push(y)
    if not has_speech(y):
        return concluded(predictor, None, None, report)
    answers, novelty = (values[0] for values in predictor.answered(predictor.features(y)))
    answers = predictor.by_target(answers) if predictor.targets else predictor.by_emotion(answers)
    choices = {"emotions": emotions, "abstain": abstain, "coverage": coverage}
    return concluded(predictor, answers, novelty, report, **choices)


def check_choices(predictor, emotions=None, abstain=None, coverage=None):
    """Check the arguments of `recognise`, see there: the Predictor."""
    predictor = predictor_of(predictor)
    if not predictor.classification and not predictor.targets:
        raise ValueError("A regressor predicts numbers, not emotions; use rec.predict.")
    if predictor.targets and any(choice is not None for choice in (emotions, abstain, coverage)):
        raise ValueError("This recognizer predicts numbers: there are no emotions to choose among.")
    for emotion in emotions or ():
        check_name(emotion, predictor.emotions, "emotion")
    return predictor


def concluded(predictor, answers, novelty, report, *, emotions=None, abstain=None, coverage=None):
    """The result of `recognise` from the output of a Predictor: dict.

    Parameters
    ----------
    predictor : Predictor
    answers : dict of str to float, or None
        Probabilities, or numbers; None without speech.
    novelty : float, or None
    report : InputReport
    emotions, abstain, coverage
        See `recognise`.
    """
    spoken = answers is not None
    warnings = report.warnings(bool(spoken and novelty > 1), speech=spoken)
    novelty = float(novelty) if spoken else None
    if predictor.targets:
        return {"numbers": answers or {}, "novelty": novelty, "warnings": warnings}
    if not spoken:
        found = {"emotion": None, "confidence": 0.0, "probabilities": {}, "novelty": None}
        return found | {"warnings": warnings}
    shares = answers
    if emotions is not None:
        whole = sum(shares[emotion] for emotion in emotions)
        shares = {emotion: shares[emotion] / whole for emotion in emotions}
    found = {
        "emotion": decided(shares, abstain, novelty),
        "confidence": max(shares.values()),
        "probabilities": shares,
        "novelty": novelty,
        "warnings": warnings,
    }
    if coverage is not None:
        needed, found["set_held"] = predictor.sets(coverage)
        found["set"] = smallest_set(shares, needed)
    return found


__getattr__ = moved(__name__, {"recognizer": "Predicts"})
