"""Training: what is fitted on all clips, and what on speakers and corpora that are left out."""

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.preprocessing import StandardScaler

import sampling
import training
from adaptation import SpeakerScaler, fit_scaled
from confidence import block_weights
from data_extractor import Split
from models import BlockLDA, EmotionLDA
from sampling import speaker_folds
from training import Training


@pytest.fixture(scope="module")
def clips_of_speakers():
    """Clips whose first 4 columns tell their class, and 6 others that don't: Split."""
    rng = np.random.default_rng(0)
    y, groups = np.arange(240) % 3, np.arange(240) % 8
    X = rng.normal(size=(240, 10)) + np.pad(1.3 * rng.normal(size=(3, 4))[y], ((0, 0), (0, 6)))
    return Split(X, np.array(["angry", "happy", "sad"])[y], groups, None)


def test_training_fits_the_weights_of_blocks_on_left_out_speakers(clips_of_speakers):
    model = BlockLDA((4, 6), n_components=5)
    general, _ = Training(clips_of_speakers, model, n_jobs=1).fit()
    fitted, (X, y, groups, _) = general.model, clips_of_speakers
    scores, truth, names = [], [], []
    for train, held_out in speaker_folds(y, groups, 5, 0):
        scaler = StandardScaler().fit(X[train])
        own = BlockLDA((4, 6), n_components=5).fit(scaler.transform(X[train]), y[train])
        scores.append(own.log_probabilities(scaler.transform(X[held_out])))
        truth.append(np.searchsorted(own.classes_, y[held_out]))
        names.append(groups[held_out])
    truth, names = np.concatenate(truth), np.concatenate(names)
    expected = block_weights(np.concatenate(scores, axis=1), truth, names)
    np.testing.assert_allclose(fitted.weights_, expected, atol=1e-6)
    assert fitted.weights_[0] > 0.7 and fitted.weights_.sum() == pytest.approx(1)
    assert not hasattr(model, "weights_")  # it isn't changed
    factor, power = general.temperature
    assert np.isfinite(factor) and factor > 0 and 0 <= power <= 2


def test_confidence_suits_corpora_that_were_left_out(clips_of_speakers):
    """Clips of another corpus lie elsewhere: a model that knows one alone is too sure of them."""
    X, y, groups, _ = clips_of_speakers
    shift = np.random.default_rng(1).normal(scale=3, size=10)
    both = np.concatenate([X, X + shift]), np.tile(y, 2)
    apart = np.array([f"{c}/{g}" for c in "ab" for g in groups])
    together = np.array([f"a/{c}{g}" for c in "ab" for g in groups])
    fits = {}
    for name, speakers in {"two corpora": apart, "one": together}.items():
        split = Split(*both, speakers, None)
        fits[name], _ = Training(split, BlockLDA((4, 6), n_components=5), n_jobs=1).fit()
    assert len(fits["two corpora"].model.corpora_) == 2 and not fits["one"].model.corpora_
    new = np.full(3, 4.0)
    scores = np.array([[1.0, 0.0, 0.0]])
    sure = {  # of the same lead, relative to the scores of training clips
        name: softmax(
            scores
            * np.ptp(fit.model.decision_function(fit.scaler.transform(both[0])), axis=1).mean()
            / fit.temperatures(new[:1]),
            axis=1,
        )[0, 0]
        for name, fit in fits.items()
    }
    assert sure["two corpora"] < sure["one"]


def fitted_on(split, monkeypatch, **options):
    """What training fits on all clips, and the numbers of clips of every fit, ascending."""
    counts, one = [], Training.one

    def counted(self, train=slice(None), by_speaker=False):
        counts.append(len(self.split.y[train]))
        return one(self, train, by_speaker)

    monkeypatch.setattr(Training, "one", counted)
    general, _ = Training(split, BlockLDA((4, 6), n_components=5), n_jobs=1, **options).fit()
    monkeypatch.undo()
    return general, sorted(counts)


def test_folds_of_many_clips_are_fitted_on_some_of_them(clips_of_speakers, monkeypatch):
    every, counts = fitted_on(clips_of_speakers, monkeypatch)
    assert counts == [180, 180, 180, 210, 210, 240]  # 8 speakers of 30 clips in five folds
    monkeypatch.setattr(training, "MOST_CLIPS", 90)
    some, counts = fitted_on(clips_of_speakers, monkeypatch)
    assert counts == [90] * 5 + [240]
    np.testing.assert_array_equal(some.model.models_[0].coef_, every.model.models_[0].coef_)
    X, y = clips_of_speakers.X, clips_of_speakers.y
    for fit in (every, some):
        assert np.mean(fit.model.predict(fit.scaled(X)) == y) > 0.75
    assert np.log(some.temperature[0] / every.temperature[0]) == pytest.approx(0, abs=0.5)


def test_many_clips_are_fitted_piece_by_piece_with_the_same_result(clips_of_speakers, monkeypatch):
    """Pieces are parts of arrays; the numbers differ by rounding."""
    X, y = clips_of_speakers.X, clips_of_speakers.y
    corpora = np.repeat(["a", "b"], 120)

    def everything():
        scaler = StandardScaler()
        Z = fit_scaled(scaler, X.astype(np.float32))
        lda, blocks = EmotionLDA(5).fit(Z, y), BlockLDA((4, 6), n_components=5)
        scores = blocks.fit(Z, y, corpora=corpora).decision_function(Z)
        assert len(blocks.corpora_) == 2
        return [Z, scaler.scale_, lda.centre_, lda.decision_function(Z), scores]

    whole = everything()
    monkeypatch.setattr(sampling, "PIECE", 50)
    for got, want in zip(everything(), whole, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-3, atol=1e-4)


def test_clips_are_scaled_in_place_only_where_that_is_allowed():
    X = np.random.default_rng(0).normal(3, 2, size=(50, 4)).astype(np.float32)
    before = X.copy()
    Z = fit_scaled(StandardScaler(), X)
    np.testing.assert_array_equal(X, before)
    np.testing.assert_allclose(Z, StandardScaler().fit_transform(before), atol=1e-5)
    assert fit_scaled(StandardScaler(), X, in_place=True) is X
    np.testing.assert_array_equal(X, Z)


def test_training_leaves_the_clips_as_they_are(clips_of_speakers):
    X, y, groups, _ = clips_of_speakers
    split = Split(X.astype(np.float32), y, groups, None)
    before = split.X.copy()
    Training(split, EmotionLDA(5), speaker_scaler=SpeakerScaler, n_jobs=1).fit()
    np.testing.assert_array_equal(split.X, before)
