"""Fit a model, and calibrate its confidence on left-out speakers and corpora.

general, for_adaptation = Training(split, model).fit()       # two `confidence.Fitted`
"""

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from joblib import Parallel, delayed, effective_n_jobs
from scipy.special import softmax
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.validation import has_fit_parameter
from threadpoolctl import threadpool_limits

from adaptation import fit_scaled
from confidence import (
    Fitted,
    block_weights,
    coverages,
    distances,
    measured_coverages,
    n_blocks,
    on_columns,
    temperature_by_distance,
)
from metrics import mutual_information
from progress import Progress
from sampling import speaker_folds, strata, stratified_sample
from tables import corpora_of
from utils import pipeline, standard_scaler

N_FOLDS = 5  # folds of speakers for fitting temperature and novelty limit
FEWER_FOLDS = 3  # the same if there are also folds of three corpora or more
FEWEST_CLIPS = 50  # of a corpus that is left out for calibration
MOST_CLIPS = 5_000  # on either side of a fold: more take longer without better calibration
FAMILIAR = 95  # percent of the clips of left-out speakers below the novelty limit


@dataclass(frozen=True)
class Training:
    """Fits a model and its confidence on one `Split`.

    Temperature, coverages and novelty limit come from folds of speakers: the clips of each fold are
    predicted by a model fitted without their speakers. If there are several corpora, temperature
    and coverages also come from folds of corpora, as users' recordings belong to none of them.

    Attributes
    ----------
    split : Split
    model : estimator
        It isn't changed.
    scaler, speaker_scaler : classes
        `StandardScaler`, `SpeakerScaler` or the like; None for the latter fits no adaptation.
    classification : bool
    calibrates_itself : bool
        Whether the model's probabilities need no temperature.
    copies : list of ndarray (n_clips, n_columns)
        Augmented copies of the clips, for scaler and model. The model for adaptation isn't fitted
        on them: adaptation removes what a room or a line adds to all clips of a speaker.
    random_state, n_jobs, verbose : int
    """

    split: Any
    model: Any
    scaler: Any = standard_scaler
    speaker_scaler: Any = None
    classification: bool = True
    calibrates_itself: bool = False
    copies: Any = ()
    random_state: int = 0
    n_jobs: int = -1
    verbose: int = 0

    def fit(self):
        """Fit: a `Fitted` for any speaker, and one for adaptation, or None."""
        adaptable = self.speaker_scaler is not None
        folds = speakers, _ = self._sampled(self._folds()), self._sampled(self._corpus_folds())
        n_fits = 1 + sum(map(len, folds)) * (self.classification and not self.calibrates_itself)
        total = (1 + adaptable) * n_fits
        bar = Progress(
            total=total, desc="Training", unit="fit", disable=not self.verbose, leave=False
        )
        with bar:
            general = self._calibrated(folds, False, bar)
            if general.limit is None:
                general = replace(general, limit=self._limit(speakers))
            return general, self._calibrated(folds, True, bar) if adaptable else None

    def _limit(self, folds):
        """The novelty limit if no models of folds are fitted: float."""
        far = [
            distances(self.split.X[held_out], self.scaler().fit(self._with_copies(train)))
            for train, held_out in folds
        ]
        return np.percentile(np.concatenate(far), FAMILIAR)

    def one(self, train=slice(None), by_speaker=False):
        """Fit scaler and model on some clips: Fitted.

        Parameters
        ----------
        train : slice or ndarray of int
            Rows of the split.
        by_speaker : bool
            Standardise each speaker's clips first.
        """
        X, y, groups, _ = self.split
        y, groups, speakers = y[train], groups[train], None
        if by_speaker:
            speakers = self.speaker_scaler().fit(X[train], groups, strata(y))
            X = speakers.transform(X[train], groups)
        else:
            X, n_versions = self._with_copies(train), 1 + len(self.copies)
            y, groups = np.concatenate([y] * n_versions), np.tile(groups, n_versions)
        scaler, model = pipeline(self.model, self.scaler(), self.random_state).named_steps.values()
        Z = fit_scaled(scaler, X, in_place=not np.may_share_memory(X, self.split.X))
        model.fit(Z, y, **self.fit_params(self.model, groups))
        return Fitted(speakers, scaler, model)

    @staticmethod
    def fit_params(model, groups):
        """Arguments of the model's fit beside X and y: dict.

        Parameters
        ----------
        model : estimator
        groups : ndarray (n_clips,)
            Speakers.
        """
        by_corpus = n_blocks(model) > 1 and has_fit_parameter(model, "corpora")
        return {"corpora": corpora_of(groups)} if by_corpus else {}

    def _with_copies(self, train):
        X = self.split.X[train]
        return np.concatenate([X, *(copy[train] for copy in self.copies)]) if self.copies else X

    def _folds(self):
        """Folds of speakers, or of clips if there is only one speaker."""
        groups = self.split.groups
        groups = np.arange(len(groups)) if len(set(groups)) == 1 else groups
        n_folds = FEWER_FOLDS if len(set(corpora_of(groups))) > 2 else N_FOLDS
        return speaker_folds(self.split.y, groups, n_folds, self.random_state)

    def _sampled(self, folds):
        """The same folds, with at most `MOST_CLIPS` on either side."""
        sample = partial(
            stratified_sample, y=self.split.y, n=MOST_CLIPS, random_state=self.random_state
        )
        return [tuple(map(sample, fold)) for fold in folds]

    def _corpus_folds(self):
        """Folds that leave out each corpus, with its clips of labels that the others have."""
        y, corpora, folds = self.split.y, corpora_of(self.split.groups), []
        for corpus in np.unique(corpora) if self.classification else ():
            own = corpora == corpus
            held_out = np.flatnonzero(own & np.isin(y, y[~own]))
            if len(held_out) >= FEWEST_CLIPS and len(set(y[held_out])) > 1:
                folds.append((np.flatnonzero(~own), held_out))
        return folds

    def _calibrated(self, folds, by_speaker, bar):
        """Fit on all clips, then weights and confidence on left-out speakers and corpora.

        Left-out speakers together have the same weight as left-out corpora.
        """
        fitted = self.one(by_speaker=by_speaker)
        bar.update()
        if self.calibrates_itself or not self.classification:
            return fitted
        _, y, groups, _ = self.split
        speakers, corpora = folds
        speakers = [fold for fold in speakers if set(y[fold[0]]) == set(y)]
        if not speakers:  # too few clips to fit one
            return replace(fitted, temperature=(1.0, 0.0))
        left_out = self._left_out([*speakers, *corpora], by_speaker, bar)
        classes = fitted.model.classes_
        columns = np.searchsorted(classes, y)
        rows = [
            np.concatenate([held_out for _, held_out in own]) for own in (speakers, corpora) if own
        ]
        if n_blocks(self.model) > 1:
            scores = [fold.model.log_probabilities(Z) for fold, _, Z in left_out[: len(speakers)]]
            own = np.concatenate(scores, axis=1), columns[rows[0]], groups[rows[0]]
            weights = block_weights(*own)
            for fold in (fitted, *(fold for fold, *_ in left_out)):
                fold.model.weights_ = weights
        scores = np.concatenate([on_columns(fold.model, Z, classes) for fold, _, Z in left_out])
        far = np.concatenate([fold.distances(X, Z) for fold, X, Z in left_out])
        kinds = groups, corpora_of(groups)
        counts = [
            compute_sample_weight("balanced", kind[own]) / len(own)
            for kind, own in zip(kinds, rows, strict=False)
        ]
        truth, counts = columns[np.concatenate(rows)], np.concatenate(counts)
        factor, power = temperature_by_distance(scores, far, truth, counts)
        limit = np.percentile(far[: len(rows[0])], FAMILIAR)
        found = replace(fitted, temperature=(factor, power), limit=limit)
        shares = softmax(scores / found.temperatures(far), axis=1)
        whose = groups[rows[0]]
        diverse = [mutual_information(shares[: len(whose)][whose == g]) for g in np.unique(whose)]
        found = replace(found, diversity=float(np.median(diverse)))
        if len(left_out) < 2:
            return found
        places = np.repeat(np.arange(len(left_out)), [len(Z) for *_, Z in left_out])
        measured = measured_coverages(shares, truth, counts, places)
        held = coverages(shares, truth, counts)
        return replace(found, coverages=held, measured_coverages=measured)

    def _left_out(self, folds, by_speaker, bar):
        """Fit without each fold: list of Fitted, features of the fold's clips, and scaled ones."""
        X, _, groups, _ = self.split

        def predicted(train, held_out):
            fold, Z = self.one(train, by_speaker), X[held_out]
            if by_speaker:
                Z = fold.speakers.transform(Z, groups[held_out])
            return fold, Z, fold.scaled(Z)

        work, found = Parallel(self.n_jobs, prefer="threads", return_as="generator"), []
        with threadpool_limits(1 if effective_n_jobs(self.n_jobs) > 1 else None):
            for result in work(delayed(predicted)(*fold) for fold in folds):
                found.append(result)
                bar.update()
        return found


@dataclass(frozen=True)
class NetworkTraining(Training):
    """Fits networks over frames, which need no calibration.

    Its `copies` is a dict of name to a function that computes the frames of the copies of all clips
    when they are needed, as frames take much memory.
    """

    calibrates_itself: bool = True

    @staticmethod
    def fit_params(model, groups):
        return {"groups": groups}

    def one(self, train=slice(None), by_speaker=False):
        if by_speaker:
            return super().one(train, by_speaker)
        X, y, groups, _ = self.split
        scaler, model = pipeline(self.model, self.scaler(), self.random_state).named_steps.values()
        scaler.fit(X[train])
        copies = {
            name: lambda make=make: scaler.transform(make()[train])
            for name, make in self.copies.items()
        }
        model.fit(scaler.transform(X[train]), y[train], groups[train], copies)
        return Fitted(None, scaler, model)

    def _with_copies(self, train):
        return self.split.X[train]
