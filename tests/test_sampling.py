"""Folds of speakers, and draws of clips by a seed."""

from collections import Counter

import numpy as np
import pytest

import sampling


@pytest.mark.parametrize("seed", range(3))
def test_every_beginning_of_a_stratified_order_has_the_proportions(seed):
    y = np.array(["a"] * 60 + ["b"] * 30 + ["c"] * 10)
    order = sampling.stratified_order(y, seed)
    assert sorted(order) == list(range(100))
    for n in (10, 30, 50, 90):
        counts = Counter(y[order[:n]])
        assert all(abs(counts[c] - n * y.tolist().count(c) / 100) <= 1 for c in "abc")
    assert order.tolist() != sampling.stratified_order(y, seed + 1).tolist()


def test_a_balanced_draw_keeps_as_many_of_each_label_as_the_rarest_has():
    labels = np.array(list("aabbbbbaac"))
    drawn = [sampling.balanced(labels, seed) for seed in range(20)]
    for kept in drawn:
        assert Counter(labels[kept]) == {"a": 1, "b": 1, "c": 1}
        assert kept.tolist() == sorted(kept)
    assert set(np.concatenate(drawn)) == set(range(10))  # every clip can be drawn
    assert sampling.balanced(labels, 3).tolist() == drawn[3].tolist()
    rng = np.random.default_rng(3)  # a generator goes on drawing
    assert sampling.balanced(labels, rng).tolist() == drawn[3].tolist()


def test_folds_keep_speakers_apart_and_hold_every_clip_once():
    rng = np.random.default_rng(0)
    y = rng.choice(["sad", "neutral", "happy"], 300)
    groups = rng.choice([f"custom/{n}" for n in range(12)], 300)
    folds, again = (sampling.speaker_folds(y, groups, 5) for _ in range(2))
    for fold, same in zip(folds, again, strict=True):
        assert all((a == b).all() for a, b in zip(fold, same, strict=True))
    assert len(folds) == 5
    assert sorted(np.concatenate([test for _, test in folds])) == list(range(len(y)))
    for train, test in folds:
        assert not set(groups[train]) & set(groups[test])
        assert len(train) + len(test) == len(y)
        assert set(y[test]) == set(y)


def test_no_more_folds_than_speakers_and_an_error_for_one():
    assert len(sampling.speaker_folds([0, 1, 0, 1], ["a", "a", "b", "b"], 5)) == 2
    with pytest.raises(ValueError, match="at least two"):
        sampling.speaker_folds([0, 1], ["a", "a"])


def test_folds_of_numbers_hold_high_and_low_ones_alike():
    rng = np.random.default_rng(0)
    y, groups = rng.normal(size=(300, 2)), np.repeat(np.arange(30), 10)
    assert len(set(sampling.strata(y))) == 4 and len(set(sampling.strata(y[:, 0]))) == 5
    for numbers in (y, y[:, 0]):
        folds = sampling.speaker_folds(numbers, groups)
        assert sorted(np.concatenate([test for _, test in folds])) == list(range(300))
        for train, test in folds:
            assert not set(groups[train]) & set(groups[test])
            high = numbers.reshape(300, -1)[test, 0] > np.median(y[:, 0])
            assert 0.3 < high.mean() < 0.7
    assert sampling.strata([1, 2, 2, 5]).tolist() == [
        1,
        2,
        2,
        5,
    ]  # few numbers stand for themselves
