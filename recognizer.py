"""Base classes of all recognizers: prediction, adaptation, explanation, scores, display, files.

`EmotionRecognizer` and `EnsembleRecognizer` add the training.
"""

import copy
import math
import warnings

import numpy as np
import pandas as pd
from sklearn.exceptions import NotFittedError

import explain
import metrics
import plotting
import timeline
import utils
from adaptation import listed, usable
from audio import load_audio
from batch import Whole, is_long
from checks import check_name, folded, printable
from clip_tables import read_data, read_table
from confidence import RANKINGS, decided, ranked, smallest_set
from corpora import wishes_in_words
from data_extractor import SpeechFeatures, Split, copies_of, find_speech, kept
from listening import has_speech
from model_file import Savable
from parameters import SAMPLE_RATE
from processes import on_cluster
from protocols import describe_split
from tables import PARTITIONS, recordings, speaker_groups


def recordings_of(table):
    """The recordings that a table lists: list of path or Segment.

    Parameters
    ----------
    table
        See `clip_tables.read_table`; labels aren't needed.
    """
    return recordings(read_table(table, target=None))


def _as_recordings(audio):
    return recordings_of(audio) if isinstance(audio, pd.DataFrame) else audio


class Predicts:
    """Predicts recordings with a Predictor, `predictor_`, which is None before training.

    A subclass has `n_jobs`, `verbose` and the method `_take(predictor)`; and `target`, see
    `EmotionRecognizer`, if it can predict numbers.
    """

    target = None

    @property
    def targets(self):
        """Names of the numbers that it predicts in place of emotions: tuple of str."""
        return targets_of(self.target)

    def _check_trained(self):
        if self.predictor_ is None:
            raise NotFittedError(f"This {type(self).__name__} isn't trained yet; call train().")
        return self.predictor_

    def features_of(self, recordings, sr=None, noisy=None):
        """The features of recordings, X for the methods of `predictor_`.

        Parameters
        ----------
        recordings : list of recordings
        sr, noisy
            See `predict`, and `SpeechFeatures.extract` for noisy copies.
        """
        predictor, views = self._check_trained(), []
        settings = {"sr": sr, "n_jobs": self.n_jobs, "verbose": self.verbose}
        recordings = kept(recordings)
        for part in predictor.parts:
            measure = SpeechFeatures(part.names, part.functionals, **settings)
            views.append(measure.extract(copies_of(recordings), "raise", noisy=noisy)[0])
        return predictor.joined(views)

    def _answered(self, audio, sr, check_speech, answer, nothing):
        """Call `answer` for each recording with speech, and `nothing` for the others.

        The arguments of `answer` are the probabilities of a recording, or its numbers, and its
        novelty.
        """
        predictor, audio = self._check_trained(), _as_recordings(audio)
        one = not isinstance(audio, (list, tuple))
        audio = kept([audio] if one else audio)
        found = self._of_long(audio, sr, check_speech)
        rest = [i for i in range(len(audio)) if i not in found]
        if check_speech and one and rest:
            audio = [load_audio(audio[0], orig_sr=sr)]
            rest, sr = rest if has_speech(audio[0]) else [], SAMPLE_RATE
        elif check_speech and rest:
            some = copies_of([audio[i] for i in rest])
            spoken = find_speech(some, sr=sr, n_jobs=self.n_jobs)
            rest = [i for i, speaks in zip(rest, spoken, strict=True) if speaks]
        if rest:
            some = [audio[i] for i in rest]
            if one:
                X = predictor.features(load_audio(some[0], orig_sr=sr))
            else:
                X = self.features_of(some, sr)
            answers, novelties = predictor.answered(X)
            found |= zip(rest, zip(answers, novelties.tolist(), strict=True), strict=True)
        every = [answer(*found[i]) if found.get(i) else nothing() for i in range(len(audio))]
        return every[0] if one else every

    def _of_long(self, audio, sr, check_speech):
        """Predictions and novelty of long recordings, None without speech: dict by index."""
        if not self.classification and not self.targets:
            return {}  # the windows of a scale have no labels
        found = {}
        for i, x in enumerate(audio):
            if is_long(copies_of([x])[0], sr):
                whole = Whole(self.predictor_, copies_of([x])[0], sr, check_speech)
                found[i] = None if whole.answers is None else (whole.answers, whole.novelty)
        return found

    def predict(self, audio, *, sr=None, abstain=None, check_speech=True):
        """Predict the emotion of a recording.

        Parameters
        ----------
        audio : path, binary file object, array (n_samples,) or (n_samples, n_channels), or a list
            Any audio file, or a `segments.Segment` of one; an array needs `sr`. Or a DataFrame of
            paths, optionally with start and end (see `clip_tables.read_table`). A recording of 30 s
            or more is recognised in windows, whose probabilities are averaged; see `batch.Whole`.
        sr : int, optional
            Sampling rate of an array in Hz.
        abstain : float, optional
            Return "unsure" if the most probable emotion is below this, or the recording is novel.
        check_speech : bool, default True
            Look for speech first (see `listening.has_speech`); False takes every sound for speech.

        Returns
        -------
        str, or for regression float; a list of them for a list
            For a recording without speech None, or for regression NaN. With several targets a dict
            of str to float, empty without speech.

        Raises
        ------
        AudioError
            If a recording can't be read.
        NotFittedError
            Before `train`.
        """
        several = len(self.targets) > 1

        def answer(answers, novelty):
            if several:
                return self.predictor_.by_target(answers)
            if not self.classification:
                return float(np.squeeze(answers))
            if abstain is None:
                return self.predictor_.labels[np.argmax(answers)].item()
            return decided(self.by_emotion(answers), abstain, novelty)

        if abstain is not None:
            self._check_probabilities()
        nothing = {} if several else None if self.classification else math.nan
        return self._answered(audio, sr, check_speech, answer, lambda: copy.copy(nothing))

    def _check_probabilities(self):
        if not self.classification:
            raise ValueError("A regressor gives no probabilities; use classification=True.")

    def predict_proba(self, audio, *, sr=None, check_speech=True):
        """Predict the probability of each emotion in a recording.

        It is a softmax of the model's decision values over a temperature that grows with the
        distance of a clip from the training clips; see `confidence.temperature_by_distance`. The
        most probable emotion is the one that `predict` returns.

        Parameters
        ----------
        audio, sr, check_speech
            See `predict`.

        Returns
        -------
        dict of str to float
            In the order of `emotions`; sums to 1, or is empty without speech. A list of them for a
            list.

        Raises
        ------
        ValueError
            For regression.
        """
        self._check_probabilities()

        def answer(answers, _):
            return self.by_emotion(answers)

        return self._answered(audio, sr, check_speech, answer, dict)

    def predict_set(self, audio, coverage=0.9, *, sr=None):
        """Predict a set of emotions that includes the true one with a given probability.

        Parameters
        ----------
        audio, sr
            See `predict`.
        coverage : float from 0 to 1
            That probability, for speakers like those left out in training; see `Fitted.sets`.

        Returns
        -------
        list of str
            Most probable first, empty without speech. A list of them for a list.
        """
        self._check_probabilities()
        needed, _ = self.predictor_.sets(coverage)

        def answer(answers, _):
            return smallest_set(self.by_emotion(answers), needed)

        return self._answered(audio, sr, True, answer, list)

    def rank(self, recordings, by="uncertainty", *, sr=None):
        """Rank recordings for labelling by how informative they are: DataFrame.

        Parameters
        ----------
        recordings, sr
            A list, or the path of a folder; see `predict`.
        by : {"uncertainty", "novelty"}
            See `confidence.ranked`, also for the columns.
        """
        self._check_probabilities()
        check_name(by, RANKINGS, "ranking")
        recordings = listed(recordings)

        def answer(answers, novelty):
            return self.by_emotion(answers), novelty

        found = self._answered(recordings, sr, True, answer, lambda: ({}, math.nan))
        return ranked(recordings, found, by)

    def adapt(self, recordings, labels=None, *, by="speaker", sr=None):
        """Adapt to one speaker, or one recording condition, by some recordings.

        A second model was trained on each speaker's clips relative to that speaker's average; the
        recordings give the new average. A warning names recordings that are left out.

        Parameters
        ----------
        recordings : list of recordings, or path of a folder with recordings
            In various emotions; see `predict`. Ten give most of the gain.
        labels : str or list of (str or None), optional
            Their emotions, None for unknown ones; a str for all, e.g. "neutral"; "names": the part
            of the file name after the last "_", if that is an emotion.
        by : {"speaker", "condition"}
            What they share: one speaker, or one microphone, room or source.
        sr : int, optional
            Sampling rate of arrays in Hz.

        Returns
        -------
        Recognizer
            An adapted copy, described by its `adaptation_`; this recognizer isn't changed.

        Raises
        ------
        ValueError
            For an unknown label, without speech, or if `normalize` isn't "speaker".
        """
        predictor = self._check_trained()
        own = usable(_as_recordings(recordings), labels, self.emotions, sr)
        X = self.features_of(own.recordings, SAMPLE_RATE)
        adapted = copy.copy(self)
        adapted._take(predictor.adapted(X, own.labels, by))
        adapted.adaptation_ = own.adaptation(by, X, predictor, adapted.predictor_)
        return adapted

    calibrate = adapt

    def listen(self, y):
        """Predict one window of a signal.

        Parameters
        ----------
        y : ndarray (n_samples,) at 16 kHz, or frames
            See `Predictor.features`.

        Returns
        -------
        probabilities : ndarray (n_classes,)
            In the order of `classes_`.
        novelty : float
            See `Predictor.novelty`.
        """
        predictor = self._check_trained()
        probabilities, novelties = predictor.answered(predictor.features(y))
        return probabilities[0], float(novelties[0])

    def by_emotion(self, probabilities):
        """Name probabilities, see `Predictor.by_emotion`: dict of str to float.

        Parameters
        ----------
        probabilities : ndarray (n_classes,)
        """
        return self._check_trained().by_emotion(probabilities)

    @property
    def classes_(self):
        """The emotions in the order of the model's columns: ndarray (n_classes,) of str."""
        return self._check_trained().labels


def targets_of(target):
    """The names of the numbers to learn in place of emotions: tuple of str.

    Parameters
    ----------
    target : None, str or sequence of str
    """
    return (target,) if isinstance(target, str) else tuple(target or ())


class Clips:
    """The clips that a recognizer is trained and tested on: a base class of recognizers.

    A subclass has `emotions`, `predictor_` and `record_` (None before), a random generator `_rng`,
    and the methods `parallel()` (context manager for parallel work), `_rows(leave=False)` (all
    labelled clips with a column partition) and `_read(rows, partition)` (their `Split`).

    Attributes
    ----------
    X_train, X_test : ndarray (n_clips, n_features) float32, None before `load_data`
    y_train, y_test : ndarray (n_clips,) of emotions, or of their numbers
    train_rows_, test_rows_ : DataFrame (n_clips,) of path, emotion, speaker, corpus
    """

    def clips(self):
        """All labelled clips of the recognizer's corpora and emotions, each once: DataFrame.

        Its columns are path, emotion, speaker, corpus, partition ("train" or "test").
        """
        rows = self._rows()
        if self.targets:
            return rows.assign(emotion="")
        return rows[rows["emotion"].isin(self.emotions)].reset_index(drop=True)

    def load_data(self):
        """Read features and labels of both partitions, and write the desc_files: self."""
        rows = self._rows(leave=True)
        with self.parallel():
            self._keep(*(self._read(rows[rows["partition"] == p], p) for p in PARTITIONS))
        return self

    def _keep(self, train=None, test=None):
        """Keep both parts; without a test part `test_rows_` is empty and X_test None."""
        empty = None, None, None, None if train is None else train.rows[:0]
        self.X_train, self.y_train, _, self.train_rows_ = train or empty
        self.X_test, self.y_test, _, self.test_rows_ = test or empty
        self._scored = None

    def _check_has_clips(self):
        if self.record_ is not None and self.X_train is None:
            raise ValueError(
                "This recognizer was loaded from a file, which has no clips: protocol_ and "
                "score_ show how good it is. load_data() reads those of the data folder, train() "
                "trains on them."
            )

    def _loaded(self):
        self._check_has_clips()
        return self if self.X_train is not None else self.load_data()

    def _trained_on(self):
        """Numbers of clips and speakers by corpus: dict; empty before `train`."""
        if self.record_ is not None:
            return self.record_["corpora"]
        if self.predictor_ is None:
            return {}
        clips = self._learned.assign(speaker=speaker_groups(self._learned))
        counts = clips.groupby("corpus")["speaker"].agg(["size", "nunique"])
        return counts.T.to_dict("list")

    def get_samples_by_class(self):
        """Count clips: DataFrame; index emotions and "total", columns train, test, total."""
        rows = {p: getattr(self._loaded(), f"{p}_rows_") for p in PARTITIONS}
        counts = {
            p: [*(own["emotion"].eq(e).sum() for e in self.emotions), len(own)]
            for p, own in rows.items()
        }
        return pd.DataFrame(counts, [*self.emotions, "total"]).assign(
            total=lambda table: table.sum(axis=1)
        )

    def get_n_samples(self, emotion, partition="train"):
        """Count the clips of an emotion: int.

        Parameters
        ----------
        emotion : str
        partition : {"train", "test"}
        """
        return len(self._samples(emotion, partition))

    def get_random_emotion(self, emotion, partition="train"):
        """Draw a clip of an emotion: its index in X_train or X_test.

        Parameters
        ----------
        emotion : str
        partition : {"train", "test"}

        Raises
        ------
        ValueError
            If there is none.
        """
        indices = self._samples(emotion, partition)
        if not len(indices):
            raise ValueError(f"There is no {partition} clip of {emotion!r}.")
        return int(self._rng.choice(indices))

    def _samples(self, emotion, partition):
        check_name(partition, PARTITIONS, "partition")
        check_name(emotion, self.emotions, "emotion")
        rows = getattr(self._loaded(), f"{partition}_rows_")
        return np.flatnonzero(rows["emotion"] == emotion)


class Recognizer(Predicts, Clips, metrics.Scored, Savable):
    """Base class of all recognizers; subclasses add the training.

    Attributes
    ----------
    predictor_, adaptation_ : Predictor, adaptation.Adaptation
        The results of `train` and of `adapt`; None before.
    model : estimator
        The estimator alone, fitted after `train`.
    comparison_ : DataFrame
        The candidates of `determine_best_model`; None before.
    record_ : dict
        For a loaded recognizer, what its file states about it; else None.
    """

    data = None  # the clips of a table, `clip_tables.Labelled`, in place of the corpora's
    _all_emotions = False  # whether the emotions are all that the clips have

    def _begin(self):
        """Reset to a recognizer that has read and trained nothing."""
        self.predictor_ = self.record_ = self.comparison_ = self._learned = self.adaptation_ = None
        self._keep()
        self._rng = np.random.default_rng(self.random_state)

    def parallel(self, *arrays):
        """Context manager: parallel work is done as this recognizer's is; see `on_cluster`.

        Parameters
        ----------
        *arrays : ndarray
            Sent to a cluster's workers once.
        """
        return on_cluster(self.scheduler, *arrays)

    def train(self):
        """Train on the training part of the corpora: self."""
        if self.X_test is None:
            self.load_data()
        return self._learn(self.verbose)

    def fit(self, rows):
        """Train on exactly these clips; no test part is kept back: self.

        Parameters
        ----------
        rows : DataFrame, path or list of them
            See `clip_tables.read_table`; with `balance`, the same number is drawn for each emotion.
            A warning gives the number of clips with other emotions than the recognizer's.
        """
        rows = self._own_clips(read_data(rows, target=self.target))
        with self.parallel():
            self._keep(self._read(rows))
        return self._learn(self.verbose)

    def _own_clips(self, data):
        """The clips of a table to train on: DataFrame."""
        if self.targets:
            return data.rows
        rows, labels = data.rows, data.emotions()
        if self._all_emotions and set(labels) != set(self.emotions):
            self._set_emotions(labels)
        own = {folded(emotion): emotion for emotion in self.emotions}
        rows = rows.assign(emotion=[own.get(folded(label)) for label in rows["emotion"]])
        if n_others := int(rows["emotion"].isna().sum()):
            others = ", ".join(label for label in labels if folded(label) not in own)
            warnings.warn(
                f"{n_others} clips of {data.name} are left out: {printable(others)} isn't "
                "among the given emotions",
                stacklevel=3,
            )
        return rows[rows["emotion"].notna()].reset_index(drop=True)

    def _set_emotions(self, emotions):
        self.emotions = emotions

    def _learn(self, verbose):
        self._check_not_adapted()
        groups = speaker_groups(self.train_rows_)
        split = Split(self.X_train, self.y_train, groups, self.train_rows_)
        self._take(self._fitted(split, verbose))
        self.record_ = self._scored = None
        self._learned = self.train_rows_  # load_data may read others after fit(rows)
        if verbose:
            print(f"[+] {self.name} trained on {len(self.y_train)} clips")
        return self

    def _take(self, predictor):
        self.predictor_, self.model = predictor, predictor.fitted.model

    def _is_adapted(self):
        return self.predictor_ is not None and self.predictor_.speaker is not None

    def _check_not_adapted(self):
        if self._is_adapted():
            raise ValueError(
                "This recognizer is adapted to one speaker; train and score the original one "
                "(evaluation.evaluate(rec, calibrate=10) adapts to every speaker that it tests)."
            )

    def predict_timeline(self, audio, **settings):
        """Predict emotions over time: DataFrame, or for channels="split" a list of them.

        Parameters
        ----------
        audio : path, binary file object or array
        **settings
            sr, window, hop, smooth, vad, adapt, channels, report; see `timeline.predict_timeline`.
        """
        settings = {"verbose": self.verbose} | settings
        return timeline.predict_timeline(self._check_trained(), audio, **settings)

    def explain(self, audio, **settings):
        """Compute how much features and seconds contribute to an emotion: DataFrame.

        Parameters
        ----------
        audio : path, binary file object or array
        **settings
            sr, emotion, span; see `explain.explain`, also for the method.
        """
        settings = {"verbose": self.verbose} | settings
        return explain.explain(self._check_trained(), audio, **settings)

    # scores

    def _predicted(self, partition):
        """True and predicted labels of a part, and the speakers."""
        predictor = self._check_trained()
        self._check_not_adapted()
        self._check_has_clips()
        X, y, rows = self.X_test, self.y_test, self.test_rows_
        if partition == "train":
            X, y, rows = self.X_train, self.y_train, self.train_rows_
        if X is None:
            raise ValueError(
                "There is no test part, as fit(rows) keeps no clips back. evaluation.evaluate() "
                "scores by folds of speakers, train() by the test part of the corpora."
            )
        return y, predictor.predict(X), speaker_groups(rows)

    def protocol(self):
        """The protocol of the scores in one line, see `protocols.describe_split`: str."""
        test = self._loaded().test_rows_
        train = self.train_rows_ if self._learned is None else self._learned
        if self.record_ is not None:
            return f"loaded ({self.protocol_}); tested on {len(test)} clips of the data folder"
        if not len(test):
            return f"trained on {len(train)} clips; no clips were kept back"
        return describe_split(train, test, speaker_groups(train), speaker_groups(test))

    def draw_confusion_matrix(self, percentage=True, *, ax=None):
        """Draw the confusion matrix: matplotlib Axes.

        Parameters
        ----------
        percentage : bool
            See `confusion_matrix`.
        ax : matplotlib Axes, optional
            Default a new figure's.
        """
        matrix = self.confusion_matrix(percentage=percentage, labeled=False)
        ax = plotting.draw_confusion(matrix, self.emotions, ax)
        unit = "percent of the true emotion" if percentage else "clips"
        ax.set_title(f"{self.name}, {len(self.y_test)} test clips ({unit})")
        return ax

    # display

    def __repr__(self):
        facts = self._facts()
        names = "training", "speaker", "score", "measured by"
        known = "; ".join([self.name, *(facts[name] for name in names if name in facts)])
        return f"<{type(self).__name__} of {self._range()}: {known}>"

    def _repr_html_(self):
        return plotting.html_table(type(self).__name__, self._facts())

    def _facts(self):
        """Facts that are known without reading, fitting or predicting: dict of str."""
        facts = {"numbers" if self.targets else "emotions": self._range(), **self._in_short()}
        learned = [
            f"{n_clips} clips of {n_speakers} speaker{'s' * (n_speakers > 1)} of {corpus}"
            for corpus, (n_clips, n_speakers) in self._trained_on().items()
        ]
        table = self.data and f"{len(self.data.rows)} clips of {self.data.name}"
        wanted = f"not trained, will learn from {table or wishes_in_words(self._wishes())}"
        facts["training"] = f"trained on {', '.join(learned)}" if learned else wanted
        if self._is_adapted():
            facts["speaker"] = f"adapted to {self.adaptation_ or 'one speaker'}"
        known = self._scored or self.record_ or {}
        if known.get("score"):
            before = "before adaptation " * self._is_adapted()
            facts["score"] = before + metrics.scores_in_words(known["score"])
            facts["measured by"] = known["protocol"]
        return facts

    def _range(self):
        """The emotions; for a regressor in the order of their numbers, with the numbers: str."""
        if self.classification or self.targets:
            return ", ".join(self.targets or self.emotions)
        scale = utils.emotion_scale(self.emotions)
        return ", ".join(f"{emotion} {scale[emotion]}" for emotion in sorted(scale, key=scale.get))

    def _counted(self):
        """Numbers of training clips by emotion or target: dict of str to int."""
        if self.targets:
            return dict.fromkeys(self.targets, len(self._learned))
        return self._learned["emotion"].value_counts().to_dict()

    def _record(self):
        predictor, own = self._check_trained(), {"adaptation": self.adaptation_}
        if self.record_ is not None:
            return self.record_ | own
        tested, found, general = self.X_test is not None, self._in_short(), copy.copy(self)
        general._take(predictor.unadapted())
        return {
            "model": found["model"],
            "hears": found["features"],
            "says": self._range(),
            "corpora": self._trained_on(),
            "clips": self._counted(),
            "protocol": self.protocol() if tested else "no clips were kept back",
            "score": general._test_scores() if tested else None,
            "versions": predictor.versions,
            **own,
        }
