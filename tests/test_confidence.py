"""Confidence: temperatures of scores drawn with known probabilities; distances; abstention."""

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.metrics import log_loss
from sklearn.preprocessing import StandardScaler

from confidence import cross_entropy, decided, distances, temperature, temperature_by_distance
from data_extractor import ragged


def drawn(chances, rng):
    """Classes (n_clips,) drawn with these probabilities."""
    return (rng.random((len(chances), 1)) > chances.cumsum(axis=1)).sum(axis=1)


def test_cross_entropy_is_that_of_scikit_learn():
    rng = np.random.default_rng(0)
    scores, truth, weights = rng.normal(size=(50, 3)), rng.integers(0, 3, 50), rng.random(50)
    probabilities = softmax(scores, axis=1)
    assert cross_entropy(scores, truth) == pytest.approx(log_loss(truth, probabilities))
    expected = log_loss(truth, probabilities, sample_weight=weights)
    assert cross_entropy(scores, truth, weights) == pytest.approx(expected)


@pytest.mark.parametrize("scale", [0.05, 1.0, 20.0])
def test_the_temperature_is_the_scale_of_the_scores(scale):
    rng = np.random.default_rng(0)
    plain = rng.normal(scale=2, size=(6000, 4))
    truth = drawn(softmax(plain, axis=1), rng)
    assert temperature(scale * plain, truth) == pytest.approx(scale, rel=0.1)


@pytest.mark.parametrize("scale", [0.01, 3.0, 100.0])
def test_temperature_far_from_the_training_clips(scale):
    """Emotions drawn with known probabilities: scores that are blurred by the distance."""
    rng = np.random.default_rng(0)
    plain, distances = rng.normal(scale=4, size=(6000, 4)), rng.uniform(0.4, 3, size=6000)
    truth = drawn(softmax(plain / distances[:, None], axis=1), rng)
    groups = rng.integers(0, 10, size=6000)
    factor, power = temperature_by_distance(scale * plain, distances, truth, groups)
    assert factor == pytest.approx(scale, rel=0.1)
    assert power == pytest.approx(1, abs=0.1)
    _, power = temperature_by_distance(scale * plain, rng.permutation(distances), truth, groups)
    assert 0 <= power < 0.5  # it is drawn towards 1


def test_the_mean_confidence_is_the_accuracy():
    rng = np.random.default_rng(0)
    scores, far = rng.normal(scale=3, size=(400, 3)), rng.uniform(0.5, 2, size=400)
    truth = np.where(rng.random(400) < 0.7, scores.argmax(axis=1), rng.integers(0, 3, 400))
    factor, power = temperature_by_distance(scores, far, truth, np.arange(400) % 8)
    confidence = softmax(scores / (factor * far[:, None] ** power), axis=1).max(axis=1)
    assert confidence.mean() == pytest.approx(np.mean(scores.argmax(axis=1) == truth), abs=0.01)


def test_distances_of_vectors_and_of_frames():
    rng = np.random.default_rng(0)
    train = rng.normal(2, 3, size=(500, 4))
    scaler = StandardScaler().fit(train)
    X = np.array([train.mean(axis=0), train.mean(axis=0) + 2 * train.std(axis=0), [1e9] * 4])
    np.testing.assert_allclose(distances(X, scaler), [0, 4, 100], atol=1e-9)
    np.testing.assert_allclose(distances(X, scaler, limit=3), [0, 4, 9], atol=1e-9)
    frames = ragged([np.repeat(X[[i]], n, axis=0) for i, n in ((0, 3), (1, 5))])
    np.testing.assert_allclose(distances(frames, scaler), [0, 4], atol=1e-9)


def test_abstention():
    probabilities = {"sad": 0.2, "happy": 0.5, "angry": 0.3}
    assert decided(probabilities) == decided(probabilities, 0.5) == "happy"
    assert decided(probabilities, 0.51) == "unsure"
