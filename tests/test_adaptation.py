"""Adaptation to speakers: means and deviations of drawn speakers, with and without labels."""

import numpy as np
import pytest

from adaptation import SpeakerFrameScaler, SpeakerScaler, standardised
from data_extractor import ragged


def many_speakers(spreads, n_speakers=60, n_clips=20, seed=0):
    """Features of as many speakers, whose means spread so far while clips vary by 1."""
    rng = np.random.default_rng(seed)
    means = rng.normal(size=(n_speakers, len(spreads))) * spreads
    groups = np.repeat(np.arange(n_speakers), n_clips)
    return means[groups] + rng.normal(size=(len(groups), len(spreads))), groups


def test_standardised_vectors_and_frames():
    X, mean, std = np.array([[1.0, 2.0], [3.0, 6.0]]), np.array([1.0, 0.0]), np.array([2.0, 4.0])
    assert standardised(X, None, None) is X
    np.testing.assert_allclose(standardised(X, mean, std), [[0, 0.5], [1, 1.5]])
    frames = standardised(ragged([X, X[:1], X]), mean, std)
    assert frames.shape == (3,) and frames.dtype == object
    np.testing.assert_allclose(frames[1], [[0, 0.5]])
    np.testing.assert_allclose(frames[2], [[0, 0.5], [1, 1.5]])


def test_the_average_speaker_counts_less_where_speakers_differ_more():
    X, groups = many_speakers([0.0, 1.0, 10.0], n_speakers=500)
    X = np.column_stack([X, np.full(len(X), 7.0)])  # and one that never changes
    scaler = SpeakerScaler(max_prior=4, variance_prior=5).fit(X, groups, groups % 2)
    np.testing.assert_allclose(scaler.spread_[:3], [0.25, 1, 100], rtol=0.3)
    handful = np.array([[5.0, 5, 5, 7]] * 6)
    mean, std = scaler.statistics(handful)
    prior = np.array([4, 1, 0.01])  # clips that the average speaker counts for
    np.testing.assert_allclose(mean[:3], 6 * 5 / (6 + prior), rtol=0.08, atol=0.1)
    squares = ((handful - mean) ** 2).sum(axis=0) + 5 * scaler.variance_
    np.testing.assert_allclose(std**2, squares / 11)
    assert (mean[3], std[3] > 0) == (7, True)


def test_every_speaker_is_standardised_on_their_own():
    X, groups = many_speakers([3.0, 10.0], n_speakers=4, n_clips=100)
    Z = SpeakerScaler().fit(X, groups, groups).transform(X, groups)
    for speaker in range(4):
        np.testing.assert_allclose(Z[groups == speaker].mean(axis=0), 0, atol=0.2)
        np.testing.assert_allclose(Z[groups == speaker].std(axis=0), 1, atol=0.15)
    one = SpeakerScaler().fit(X[:100], groups[:100], groups[:100])
    assert np.isfinite(one.transform(X[:100], groups[:100])).all()


def test_known_labels_correct_the_mean_of_a_speaker():
    X, groups = many_speakers([10.0])
    y = np.tile(["neutral", "happy"], len(X) // 2)
    X += np.where(y == "neutral", -3, 3)[:, np.newaxis]
    scaler = SpeakerScaler().fit(X, groups, y)
    new = np.random.default_rng(1).normal(size=(8, 1)) + 20 - 3
    blind, blind_std = scaler.statistics(new)
    informed, informed_std = scaler.statistics(new, ["neutral"] * 8)
    assert blind == pytest.approx(17, abs=1.2) and informed == pytest.approx(20, abs=1.2)
    assert blind_std < 0.8 * informed_std  # clips of one emotion seem to vary little
    assert informed_std == pytest.approx(np.sqrt(scaler.variance_), rel=0.1)
    both = np.concatenate([new, new + 6])
    mixed, _ = scaler.statistics(both, ["neutral"] * 8 + ["happy"] * 8)
    assert mixed == pytest.approx(20, abs=1)


def test_labels_count_little_where_speakers_express_them_differently():
    rng = np.random.default_rng(0)
    X, groups = many_speakers([1.0])
    y = np.tile(["neutral", "happy"], len(X) // 2)
    own = rng.normal(size=(60, 2)) * 2  # how each speaker does neutral and happy
    X += own[groups, (y == "happy").astype(int)][:, np.newaxis]
    scaler = SpeakerScaler().fit(X, groups, y)
    informed, _ = scaler.statistics(np.full((100, 1), 10.0), ["neutral"] * 100)
    blind, _ = scaler.statistics(np.full((100, 1), 10.0))
    assert 2 < informed < 8 < blind


def test_frames_are_standardised_by_those_of_their_speaker():
    rng = np.random.default_rng(0)
    groups, y = np.repeat(list("abcd"), 30), np.tile(["sad", "happy"], 60)
    middle = {"a": -20, "b": 0, "c": 10, "d": 30}
    X = ragged([rng.normal(middle[g], 2, size=(50, 3)) for g in groups])
    scaler = SpeakerFrameScaler().fit(X, groups, y)
    mean, std = scaler.statistics(X[groups == "d"])
    np.testing.assert_allclose(mean, 30, atol=0.5)
    np.testing.assert_allclose(std, 2, rtol=0.1)
    for speaker in "abcd":
        own = np.concatenate(scaler.transform(X, groups)[groups == speaker])
        np.testing.assert_allclose(own.mean(axis=0), 0, atol=0.3)
