"""Confidence: temperatures of scores drawn with known probabilities; distances; abstention."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.special import softmax
from sklearn.metrics import log_loss
from sklearn.preprocessing import StandardScaler

from confidence import (
    SHARPER,
    Fitted,
    block_weights,
    coverages,
    cross_entropy,
    decided,
    distances,
    measured_coverages,
    ranked,
    smallest_set,
    temperature,
    temperature_by_distance,
    uncertainty,
)
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


def drawn_blocks(powers, n=6000):
    """Log probabilities of blocks whose product, with these powers, draws the truth."""
    rng = np.random.default_rng(0)
    scores = np.log(rng.dirichlet(np.ones(4), size=(len(powers), n)))
    truth = drawn(softmax(np.tensordot(powers, scores, axes=1), axis=1), rng)
    return scores, truth, rng.integers(0, 10, n)


def shares_of(n_blocks, n=20):
    """Points of a grid of weights that add up to 1: ndarray (n_points, n_blocks)."""
    grid = np.stack(np.meshgrid(*[np.arange(n + 1)] * n_blocks), axis=-1).reshape(-1, n_blocks)
    return grid[grid.sum(axis=1) == n] / n


@pytest.mark.parametrize("powers", [(1.0, 1.0), (1.2, 0.4), (0.0, 1.0), (1.0, 0.6, 0.2)])
def test_the_weights_of_blocks_make_the_truth_probable(powers):
    """The powers are what the cross-entropy would find, and so tell how sharp an average is."""
    scores, truth, groups = drawn_blocks(powers)
    counts = np.bincount(groups)[groups]

    def mean_probability(shares):
        average = np.tensordot(SHARPER * sum(powers) * shares, scores, axes=1)
        right = softmax(average, axis=1)[np.arange(len(truth)), truth]
        return np.average(right, weights=1 / counts)

    found = block_weights(scores, truth, groups)
    assert found.sum() == pytest.approx(1) and np.all(found >= 0)
    best = max(shares_of(len(powers)), key=mean_probability)
    assert mean_probability(found) > mean_probability(best) - 1e-4
    np.testing.assert_allclose(found, best, atol=0.08)
    assert list(np.argsort(found)) == list(np.argsort(powers)) or len(set(powers)) == 1


def test_few_errors_that_are_very_sure_do_not_decide_about_weights():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, 1000)
    good, poor = (rng.random(1000) < right for right in (0.97, 0.65))
    odds = np.where(good, 1.0, -15.0), np.where(poor, 0.6, -0.6)  # of the truth, logarithms
    odds = np.array(odds)[..., None] * (np.eye(2)[truth] - 0.5)
    scores = odds - np.logaddexp.reduce(odds, axis=2, keepdims=True)
    weights = block_weights(scores, truth, np.arange(1000) % 10)
    average = np.tensordot(weights, scores, axes=1)
    assert np.mean(average.argmax(axis=1) == truth) == np.mean(good) > 0.9


def test_the_weights_of_blocks_do_not_depend_on_how_sure_they_are_together():
    scores, truth, groups = drawn_blocks((1.2, 0.4))
    expected = block_weights(scores, truth, groups)
    np.testing.assert_allclose(block_weights(3 * scores, truth, groups), expected, atol=5e-3)


def test_each_speaker_counts_the_same_for_the_weights_of_blocks():
    scores, truth, groups = drawn_blocks((1.0, 0.2))
    other, found, _ = drawn_blocks((0.2, 1.0))
    groups = np.where(groups < 5, "a", "b")
    one = block_weights(scores[:, groups == "a"], truth[groups == "a"], groups[groups == "a"])
    # one speaker's clips are taken ten times: with weights for clips, that speaker would decide
    many = np.concatenate([scores] + [other[:, :600]], axis=1)
    names = np.repeat(["a", "b"], [len(truth), 600])
    both = block_weights(many, np.concatenate([truth, found[:600]]), names)
    assert one[0] > 0.75
    np.testing.assert_allclose(both, [0.5, 0.5], atol=0.06)


def test_blocks_that_say_nothing_or_the_contrary_of_the_truth_count_the_same():
    scores = np.log([[[0.9, 0.1], [0.2, 0.8]]] * 2)
    groups = ["a", "b"]
    assert block_weights(scores, [1, 0], groups).tolist() == [0.5, 0.5]
    np.testing.assert_allclose(block_weights(scores, [0, 1], groups), [0.5, 0.5])


def test_sets_hold_the_truth_as_often_as_they_promise():
    rng = np.random.default_rng(0)
    shares = rng.dirichlet(np.full(5, 0.7), size=8000)
    truth = drawn(shares, rng)
    first, second = slice(0, 4000), slice(4000, None)
    table = coverages(shares[first], truth[first], np.ones(4000))
    assert table.shape == (101,) and (np.diff(table) >= 0).all()
    fitted = Fitted(None, None, None, coverages=table, measured_coverages=table)
    for coverage in (0.8, 0.9, 0.95):
        needed, _ = fitted.sets(coverage)
        sets = [smallest_set(dict(enumerate(row)), needed) for row in shares[second]]
        held = np.mean([true in own for true, own in zip(truth[second], sets, strict=True)])
        assert held == pytest.approx(coverage, abs=0.02)
    weights = np.where(truth[first] == 0, 1.0, 0.0)  # only one emotion counts
    assert (coverages(shares[first], truth[first], weights) != table).any()
    for wrong in (-0.1, 1.5):
        with pytest.raises(ValueError, match="from 0 to 1"):
            fitted.sets(wrong)
    with pytest.raises(ValueError, match="models of few clips"):
        Fitted(None, None, None).sets(0.9)


def test_coverage_is_measured_on_folds_that_had_no_part_in_it():
    """By hand; and sets of a fold unlike the others hold its truth less often than asked."""
    rng = np.random.default_rng(0)
    shares = rng.dirichlet(np.full(4, 0.7), size=3000)
    folds, weights = np.repeat([0, 1, 2], 1000), rng.random(3000)
    truth = drawn(shares, rng)
    truth[folds == 2] = shares[folds == 2].argmin(axis=1)
    measured = measured_coverages(shares, truth, weights, folds)
    held = np.zeros(3000, dtype=bool)
    for fold in range(3):
        own = folds == fold
        table = coverages(shares[~own], truth[~own], weights[~own])
        sets = [smallest_set(dict(enumerate(row)), table[80]) for row in shares[own]]
        held[own] = [true in found for true, found in zip(truth[own], sets, strict=True)]
    assert measured.shape == (101,)
    assert measured[80] == pytest.approx(np.average(held, weights=weights))
    assert measured[80] < 0.75 < np.average(held[folds < 2], weights=weights[folds < 2])


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
    assert decided(probabilities, 0.0, 1.01) == "unsure" != decided(probabilities, 0.0, 0.99)
    assert decided(probabilities, None, 9.0) == decided(probabilities)


# what to label next


def test_the_uncertain_and_the_novel_come_first_and_silence_last():
    found = [({"a": 0.9, "b": 0.1}, 0.5), ({}, np.nan), ({"a": 0.5, "b": 0.5}, 0.2)]
    found.append(({"a": 0.2, "b": 0.8}, 1.5))
    paths = ["sure.wav", Path("silent.wav"), "unsure.wav", np.zeros(9)]
    table = ranked(paths, found)
    assert table["path"].tolist() == ["unsure.wav", "recording 4", "sure.wav", "silent.wav"]
    assert table["emotion"].tolist()[:3] == ["a", "b", "a"] and pd.isna(table["emotion"][3])
    assert table["uncertainty"][0] == 1 and table["confidence"].tolist()[:3] == [0.5, 0.8, 0.9]
    table = ranked(paths, found, "novelty")
    assert table["novelty"].tolist()[:3] == [1.5, 0.5, 0.2]
    assert uncertainty([1.0, 0.0, 0.0]) == 0
    assert uncertainty([0.2] * 5) == pytest.approx(1)
