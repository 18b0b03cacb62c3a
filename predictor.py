"""What is left after training: a Predictor, which is immutable and safe in threads and in pickles.

    predictor = rec.train().predictor_
    X = predictor.features(load_audio("call.wav"))        # the features of one clip
    predictor.probabilities(X), predictor.novelty(X)
    predictor.adapted(X_of_a_speaker).probabilities(X)    # another Predictor, for that speaker

An ensemble is a Predictor made of Predictors. Nothing is fitted after training.
"""

import copy
import io
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import softmax
from sklearn.exceptions import NotFittedError

import model_file
from adaptation import standardised
from audio import load_audio
from checks import check_name
from confidence import NEAREST, Fitted, decided, distances
from data_extractor import SpeechFeatures, Views, ragged
from features import FRAMES, extract, feature_names, is_encoder, sources
from features import version as feature_version
from kernels import SpectralFrames
from listening import InputReport
from parameters import SAMPLE_RATE
from tables import stratified_order
from utils import emotion_scale, model_scores, saved_encoder

N_PROBES = 8  # clips whose answers are checked when a file is loaded
TOLERANCES = {8: 1e-6, 4: 1e-4}  # of answers, by the bytes of their numbers
FEATURE_TOLERANCE = 0.1  # standard deviations, of each feature
ENCODER_TOLERANCE = 0.3  # the same, root mean square: it is 0.05 if other processors round, 0.2
# between the precisions of the bundled encoder, 1.8 between its layers


@dataclass(frozen=True, eq=False)
class Predictor:
    """Features, scaler, model and confidence of a trained recognizer.

    Attributes
    ----------
    names : tuple of str
        Features; see `features.extract`.
    functionals : tuple of str, "frames" or None
    emotions : list of str
        In the order of answers.
    classification : bool
    general : Fitted
        For any speaker.
    by_speaker : Fitted or None
        For speakers that are adapted to.
    speaker : (ndarray, ndarray) or None
        Mean and standard deviation (n_columns,) of the speaker that it is adapted to.
    versions : dict of str to str
        Libraries and feature versions that it was fitted with.
    probe : dict
        Some training clips and their answers, a sound and its features; see `check`.
    """

    names: tuple
    functionals: Any
    emotions: list
    classification: bool
    general: Fitted
    by_speaker: Fitted | None = None
    speaker: tuple | None = None
    versions: dict | None = None
    probe: dict | None = None

    @classmethod
    def fit(cls, training, names, functionals, emotions):
        """Fit everything that a Predictor holds: Predictor.

        Parameters
        ----------
        training : confidence.Training
        names, functionals, emotions
            See `Predictor`.
        """
        general, by_speaker = training.fit()
        settings = tuple(names), functionals, list(emotions), training.classification
        versions = _versions(names, functionals)
        predictor = cls(*settings, general, by_speaker, versions=versions)
        y = training.split.y
        return predictor._with_probe(training.split.X[stratified_order(y)[:N_PROBES]])

    @property
    def fitted(self):
        """The `Fitted` in use."""
        return self.general if self.speaker is None else self.by_speaker

    @property
    def labels(self):
        """Labels (n_labels,) in the order of columns; None for regression."""
        return self.fitted.model.classes_ if self.classification else None

    @property
    def parts(self):
        """The plain Predictors that it is made of: tuple."""
        return (self,)

    @property
    def columns(self):
        """Names of the columns of X: list of str."""
        return feature_names(self.names, self.functionals)

    @property
    def average(self):
        """The average training clip (n_columns,), in the units of X."""
        mean = self.fitted.scaler.mean_
        return mean if self.speaker is None else self.speaker[0] + self.speaker[1] * mean

    @property
    def sources(self):
        """What measures the frames that `features` takes: tuple, empty if they can't be joined."""
        found = tuple(dict.fromkeys(s for part in self.parts for s in sources(part.names)))
        return () if SpectralFrames in found else found

    def views(self, X):
        """The features of each part: list.

        Parameters
        ----------
        X : features of clips
        """
        return [X]

    def joined(self, views):
        """The features of clips from those of each part; the inverse of `views`.

        Parameters
        ----------
        views : list
        """
        return views[0]

    def features(self, y):
        """Extract the features of one clip.

        Parameters
        ----------
        y : ndarray (n_samples,) float32 at 16 kHz, or measured frames
            See `sources`; a dict of source to frames, or the frames of the only source.

        Returns
        -------
        ndarray (1, n_columns) float32
            With functionals="frames" an array (1,) with a matrix (n_frames, n_columns).
        """
        x = extract(y, features=self.names, functionals=self.functionals)
        return ragged([x]) if self.functionals == FRAMES else x[np.newaxis]

    def scores(self, X):
        """Decision values or log probabilities: the label with the highest is predicted.

        Parameters
        ----------
        X : features of clips

        Returns
        -------
        ndarray (n_clips, n_labels)
            For regression the predicted numbers (n_clips,).
        """
        if not len(X):
            return np.empty((0, len(self.labels)) if self.classification else 0)
        Z = self.fitted.scaler.transform(self._by_speaker(X))
        if not self.classification:
            return self.fitted.model.predict(Z)
        return model_scores(self.fitted.model, Z)

    def probabilities(self, X, like=None):
        """Calibrated probabilities of the labels.

        Parameters
        ----------
        X : features of clips
        like : features of one clip, optional
            Its distance from training decides how sure all answers are, not that of each clip.

        Returns
        -------
        ndarray (n_clips, n_labels)
        """
        return softmax(self.scores(X) / self._temperatures(X if like is None else like), axis=1)

    def novelty(self, X):
        """How far clips are from the training clips.

        Parameters
        ----------
        X : features of clips

        Returns
        -------
        ndarray (n_clips,)
            Over 1 is farther than 99 in 100 clips of speakers that were left out.
        """
        return distances(X, self.general.scaler) / self.general.limit

    def adapted(self, X, labels=None):
        """A Predictor for one speaker.

        Parameters
        ----------
        X : features of clips of that speaker
        labels : list of str, optional
            Their emotions, where they are known; else the clips count as a mixture.

        Returns
        -------
        Predictor

        Raises
        ------
        ValueError
            For an unknown label, or if it was trained with normalize=None.
        """
        if self.by_speaker is None:
            raise ValueError('Only a recognizer with normalize="speaker" can be adapted.')
        for label in () if labels is None else labels:
            check_name(label, self.emotions, "emotion")
        if labels is not None and not self.classification:
            labels = [emotion_scale(self.emotions)[label] for label in labels]
        return replace(self, speaker=self.by_speaker.speakers.statistics(X, labels))

    def unadapted(self):
        """The Predictor for any speaker."""
        return replace(self, speaker=None)

    def predict(self, X):
        """The likeliest label of each clip, or its number: ndarray (n_clips,).

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

    def _by_speaker(self, X):
        return X if self.speaker is None else standardised(X, *self.speaker)

    def _temperatures(self, X):
        """The divisors of the scores: (n_clips, 1), or 1 where the model has its own."""
        if self.fitted.temperature is None:
            return 1.0
        factor, power = self.fitted.temperature
        far = distances(self._by_speaker(X), self.fitted.scaler)
        return factor * np.maximum(far, NEAREST)[:, np.newaxis] ** power

    # files

    def _with_probe(self, X):
        """The same Predictor with a probe, by which a file of it is checked."""
        sound = _probe_sound()
        found = self.features(load_audio(sound, orig_sr=SAMPLE_RATE))[0]
        probe = {"X": X, "answers": self._answers(X), "sound": sound, "heard": found}
        return replace(self, probe=probe)

    def _answers(self, X):
        """Answers for clips, and for clips of one speaker after adaptation to them: dict."""
        predictors = {"average": self.unadapted()}
        if self.by_speaker is not None:
            predictors["own"] = self.adapted(X)
        answers = {
            name: p.probabilities(X) if self.classification else p.scores(X)
            for name, p in predictors.items()
        }
        if self.functionals == FRAMES:  # networks compute with 32 bits
            return {name: values.astype(np.float32) for name, values in answers.items()}
        return answers

    def content(self):
        """All that a file needs, see `model_file.pack`; `restored` is its inverse."""
        fits = {"average": self.general, "own": self.by_speaker}
        return {
            "fits": {name: _to_file(fit) for name, fit in fits.items() if fit is not None},
            "voice": self.speaker,
            "probe": self.probe,
            "encoder": saved_encoder(self.names),
        }

    @classmethod
    def restored(cls, content, **settings):
        """The Predictor that a file holds.

        Parameters
        ----------
        content : dict
            See `content`.
        **settings
            names, functionals, emotions, classification, versions.

        Returns
        -------
        Predictor

        Raises
        ------
        ModelFileError
            If its labels differ from its emotions, or it doesn't compute what it did.
        """
        fits = {name: _from_file(**values) for name, values in content["fits"].items()}
        probe = content["probe"]
        if not isinstance(probe["X"], np.ndarray):
            probe = probe | {"X": ragged(probe["X"])}
        settings |= {"general": fits["average"], "by_speaker": fits.get("own")}
        predictor = cls(speaker=content["voice"], probe=probe, **settings)
        known = predictor.labels
        if known is not None and sorted(known) != sorted(predictor.emotions):
            raise model_file.ModelFileError(f"its model knows {known}, not {predictor.emotions}")
        predictor.check()
        return predictor

    def check(self):
        """Compare what is computed here with what was computed after training.

        Raises
        ------
        ModelFileError
            If it differs too much.
        """
        probe, saved, here = self.probe, self.versions, _versions(self.names, self.functionals)
        found = self.features(load_audio(probe["sound"], orig_sr=SAMPLE_RATE))[0]
        scale, unit = self.general.scaler.scale_, "features, in standard deviations,"
        now, then = found / scale, probe["heard"] / scale
        names = [name for name in self.names if not is_encoder(name)]
        n = len(feature_names(names, self.functionals)) if names else 0
        theirs = now[..., n:], then[..., n:], ENCODER_TOLERANCE, np.inf, _typical
        pairs = [(unit, now[..., :n], then[..., :n], FEATURE_TOLERANCE, np.inf, _largest)]
        pairs.append((f"encoder's {unit}", *theirs))
        for name, answers in self._answers(probe["X"]).items():
            expected = probe["answers"][name]
            tolerance = TOLERANCES[expected.dtype.itemsize]
            pairs.append(("answers", answers, expected, tolerance, model_file.REFUSED, _largest))
        for what, values, expected, tolerance, refused, measure in pairs:
            settings = {"refused": refused, "measure": measure}
            check_same(what, values, expected, tolerance, saved, here, **settings)


@dataclass(frozen=True, eq=False)
class EnsemblePredictor(Predictor):
    """Averages the calibrated probabilities of Predictors, or their numbers. Its X are `Views`.

    Attributes
    ----------
    members : tuple of Predictor
    weights : tuple of float, optional
        Default: all the same.
    """

    members: tuple = ()
    weights: tuple | None = None

    @classmethod
    def of(cls, members, weights=None):
        """An ensemble of Predictors for the same emotions.

        Parameters
        ----------
        members : sequence of Predictor
        weights : sequence of float, optional
        """
        shared = ("emotions", "classification", "speaker", "general")
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

    def adapted(self, X, labels=None):
        pairs = zip(self.members, X, strict=True)
        return self.of([member.adapted(x, labels) for member, x in pairs], self.weights)

    def unadapted(self):
        return self.of([member.unadapted() for member in self.members], self.weights)


class Predicts:
    """Predicts recordings with a Predictor, `predictor_`, which is None before training.

    A subclass has `n_jobs`, `verbose` and the method `_take(predictor)`.
    """

    def _check_trained(self):
        if self.predictor_ is None:
            raise NotFittedError(f"This {type(self).__name__} isn't trained yet; call train().")
        return self.predictor_

    def _features(self, audio, sr):
        """The features of one recording or of a list of them, and whether it was a list."""
        predictor = self._check_trained()
        if not isinstance(audio, (list, tuple)):
            return predictor.features(load_audio(audio, orig_sr=sr)), False
        settings = {"sr": sr, "n_jobs": self.n_jobs, "verbose": self.verbose}
        views = []
        if len(predictor.parts) > 1:  # an open file can be read but once
            audio = [io.BytesIO(x.read()) if hasattr(x, "read") else x for x in audio]
        for part in predictor.parts:
            own = [copy.copy(x) if isinstance(x, io.BytesIO) else x for x in audio]
            views.append(SpeechFeatures(part.names, part.functionals, **settings).transform(own))
        return predictor.joined(views), True

    def predict(self, audio, *, sr=None, abstain=None):
        """Predict the emotion of a recording.

        Parameters
        ----------
        audio : path, binary file object, array (n_samples,) or (n_samples, n_channels), or a list
            Any audio file; an array goes with its rate.
        sr : int, optional
            Sampling rate of an array in Hz.
        abstain : float, optional
            Answer "unsure" where the likeliest emotion is less probable.

        Returns
        -------
        str, or for regression float; a list of them for a list
        """
        if abstain is not None:
            found = self.predict_proba(audio, sr=sr)
            one = isinstance(found, dict)
            return decided(found, abstain) if one else [decided(own, abstain) for own in found]
        X, is_list = self._features(audio, sr)
        predictions = self.predictor_.predict(X).tolist()
        return predictions if is_list else predictions[0]

    def predict_proba(self, audio, *, sr=None):
        """Predict the probability of each emotion in a recording.

        It is a softmax of the model's decision values, or of the logarithms of its own
        probabilities, over a temperature (Guo et al. 2017, On Calibration of Modern Neural
        Networks) that grows with the distance of a clip from the training clips. It was fitted to
        clips of speakers that were left out, each of whom counts the same. The most probable
        emotion is the one that `predict` returns.

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
            For regression.
        """
        if not self.classification:
            raise ValueError("A regressor gives no probabilities; use classification=True.")
        X, is_list = self._features(audio, sr)
        named = [self.by_emotion(row) for row in self.predictor_.probabilities(X)]
        return named if is_list else named[0]

    def adapt(self, recordings, labels=None, *, sr=None):
        """Adapt to one speaker by some recordings.

        Training has fitted a second model to how each speaker's clips differ from that speaker's
        others; the recordings say where the new speaker's average is.

        Parameters
        ----------
        recordings : list of recordings
            Of one speaker, in various moods; see `predict`. Ten do most of what can be done.
        labels : str or list of str, optional
            Their emotions, where they are known, e.g. "neutral" for all.
        sr : int, optional
            Sampling rate of arrays in Hz.

        Returns
        -------
        Recognizer
            An adapted one; this one stays as it is.

        Raises
        ------
        ValueError
            Without recordings, for an unknown label, or if `normalize` isn't "speaker".
        """
        self._check_trained()
        if isinstance(recordings, (str, Path)) or not len(recordings):
            raise ValueError("Adaptation takes a list of recordings of one speaker, at least one.")
        labels = [labels] * len(recordings) if isinstance(labels, str) else labels
        if labels is not None and len(labels) != len(recordings):
            raise ValueError(f"{len(labels)} labels for {len(recordings)} recording(s).")
        adapted = copy.copy(self)
        adapted._take(self.predictor_.adapted(self._features(list(recordings), sr)[0], labels))
        return adapted

    calibrate = adapt

    def listen(self, y):
        """Predict one window of sound.

        Parameters
        ----------
        y : ndarray (n_samples,) at 16 kHz, or measured frames
            See `Predictor.features`.

        Returns
        -------
        probabilities : ndarray (n_classes,)
            In the order of `classes_`.
        novelty : float
            See `Predictor.novelty`.
        """
        X = self._check_trained().features(y)
        return self.predictor_.probabilities(X)[0], float(self.predictor_.novelty(X)[0])

    def by_emotion(self, probabilities):
        """Name probabilities; see `Predictor.by_emotion`.

        Parameters
        ----------
        probabilities : ndarray (n_classes,)
        """
        return self._check_trained().by_emotion(probabilities)

    @property
    def classes_(self):
        """The emotions in the order of the model's columns."""
        return self._check_trained().labels


def predictor_of(trained):
    """The Predictor itself, or that of a trained recognizer (NotFittedError before `train`).

    Parameters
    ----------
    trained : Predictor or trained recognizer
    """
    return trained if isinstance(trained, Predictor) else trained._check_trained()


def recognise(predictor, y, *, emotions=None, abstain=None):
    """Recognise the emotion of one clip, and say what makes the answer doubtful.

    Parameters
    ----------
    predictor : Predictor, or a trained recognizer
        A classifier.
    y : ndarray (n_samples,) float32 at 16 kHz
    emotions : list of str, optional
        Choose among these only.
    abstain : float, optional
        The answer is "unsure" where the likeliest emotion is less probable.

    Returns
    -------
    dict
        emotion, confidence, probabilities (dict), warnings (list of str, see `InputReport`).

    Raises
    ------
    ValueError
        For a regressor, or an unknown emotion.
    """
    predictor = predictor_of(predictor)
    if not predictor.classification:
        raise ValueError("A regressor predicts numbers, not emotions; use rec.predict.")
    X = predictor.features(y)
    shares = predictor.by_emotion(predictor.probabilities(X)[0])
    if emotions is not None:
        chosen = {emotion: shares[check_name(emotion, shares, "emotion")] for emotion in emotions}
        shares = {emotion: share / sum(chosen.values()) for emotion, share in chosen.items()}
    report = InputReport()
    report.push(y)
    return {
        "emotion": decided(shares, abstain),
        "confidence": max(shares.values()),
        "probabilities": shares,
        "warnings": report.warnings(bool(predictor.novelty(X)[0] > 1)),
    }


def _to_file(fitted):
    return {{"limit": "usual"}.get(name, name): x for name, x in vars(fitted).items()}


def _from_file(usual=None, **values):
    return Fitted(limit=usual, **values)


def _versions(names, functionals):
    """Versions of libraries and features that answers depend on: dict of str to str."""
    more = ("tensorflow", "keras") if functionals == FRAMES else ()
    found = model_file.versions((*model_file.LIBRARIES, *more))
    return {**found, "features": feature_version(names)}


def _probe_sound():
    """A second of something like two sung syllables: ndarray (n_samples,) int16."""
    t = np.arange(SAMPLE_RATE) / SAMPLE_RATE
    phase = 2 * np.pi * (150 * t - 4 * np.cos(2 * np.pi * 1.5 * t))
    harmonics = sum(np.sin(k * phase) / (1 + abs(k - 4)) for k in range(1, 21))
    noise = np.random.default_rng(0).normal(scale=0.05, size=len(t))
    y = harmonics * np.sin(2 * np.pi * t) ** 2 + noise
    return (y * 20000 / abs(y).max()).astype(np.int16)


def _largest(differences):
    """The largest absolute value: float."""
    return float(np.abs(differences).max(initial=0))


def _typical(differences):
    """The root mean square: float."""
    return float(np.sqrt(np.square(differences).mean())) if differences.size else 0.0


def check_same(
    what, found, expected, tolerance, saved, here, *, refused=model_file.REFUSED, measure=_largest
):
    """Compare what a loaded model computes with what the saved one did.

    Parameters
    ----------
    what : str
        What is compared, for messages.
    found, expected : ndarray
    tolerance, refused : float
        Differences that are ignored, and that are refused whatever the versions.
    saved, here : dict of str to str
        Versions (see `model_file.versions`) then and now.
    measure : callable
        From differences to the one that counts.

    Raises
    ------
    ModelFileError
        If they differ though the versions don't, or by more than `refused`.
    """
    alike = found.shape == expected.shape
    off = measure(found - expected) if alike else np.inf
    if off <= tolerance:
        return
    changed = sorted(n for n in saved.keys() | here.keys() if saved.get(n) != here.get(n))
    message = f"its {what} are no longer the same, but off by {off:.2g}"
    if not changed:
        raise model_file.ModelFileError(
            f"{message}, though all libraries are as they were: somebody changed the file or the "
            "code of this project; refused"
        )
    changes = [f"{n} {saved.get(n, 'none')} (here {here.get(n, 'none')})" for n in changed]
    message += f"; it was saved with {', '.join(changes)}"
    if not off <= refused:
        raise model_file.ModelFileError(f"{message}. Refused: install these, or train it anew")
    warnings.warn(message, model_file.ModelFileWarning, stacklevel=7)  # where it is loaded
