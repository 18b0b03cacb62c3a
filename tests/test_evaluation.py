"""Folds, scores and the description of a split; scikit-learn's metrics are the oracle."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import accuracy_score, balanced_accuracy_score

import evaluation

LABELS = ["sad", "angry", "happy"]


def random_outcome(n_clips=300, n_speakers=12, seed=0):
    rng = np.random.default_rng(seed)
    y_true = rng.choice(LABELS, n_clips, p=[0.6, 0.3, 0.1])
    right = rng.random(n_clips) < 0.7
    y_pred = np.where(right, y_true, rng.choice(LABELS, n_clips))
    return y_true, y_pred, rng.integers(0, n_speakers, n_clips).astype(str)


def test_folds_keep_speakers_apart_and_hold_every_clip_once():
    y, _, groups = random_outcome()
    folds = evaluation.speaker_folds(y, groups, 5)
    again = evaluation.speaker_folds(y, groups, 5)
    assert all((a == b).all() for a, b in zip(folds[0], again[0], strict=True))
    assert len(folds) == 5
    assert sorted(np.concatenate([test for _, test in folds])) == list(range(len(y)))
    for train, test in folds:
        assert not set(groups[train]) & set(groups[test])
        assert len(train) + len(test) == len(y)
        assert set(y[test]) == set(LABELS)


def test_no_more_folds_than_speakers_and_an_error_for_one():
    assert len(evaluation.speaker_folds([0, 1, 0, 1], ["a", "a", "b", "b"], 5)) == 2
    with pytest.raises(ValueError, match="at least two"):
        evaluation.speaker_folds([0, 1], ["a", "a"])


def test_scores_against_sklearn():
    y_true, y_pred, groups = random_outcome()
    score = evaluation.score(y_true, y_pred, groups, LABELS)
    assert score["accuracy"] == pytest.approx(accuracy_score(y_true, y_pred))
    assert score["uar"] == pytest.approx(balanced_accuracy_score(y_true, y_pred))


def test_an_emotion_without_clips_doesnt_count():
    y_true, y_pred, groups = ["sad", "angry"], ["sad", "happy"], ["a", "b"]
    score = evaluation.score(y_true, y_pred, groups, LABELS)
    assert score["uar"] == 0.5 == score["accuracy"]


def test_intervals_against_a_bootstrap_in_plain_python():
    y_true, y_pred, groups = random_outcome()
    score = evaluation.score(y_true, y_pred, groups, LABELS)
    rng = np.random.default_rng(1)
    rows = {speaker: np.flatnonzero(groups == speaker) for speaker in np.unique(groups)}
    draws = []
    for _ in range(500):
        drawn = np.concatenate([rows[s] for s in rng.choice(list(rows), len(rows))])
        draws.append(balanced_accuracy_score(y_true[drawn], y_pred[drawn]))
    low, high = np.percentile(draws, [2.5, 97.5])
    assert score["uar_low"] == pytest.approx(low, abs=0.02)
    assert score["uar_high"] == pytest.approx(high, abs=0.02)


def test_speakers_that_differ_widen_the_interval():
    """Ten speakers all right and ten all wrong: 200 clips, yet only twenty independent ones."""
    groups = np.repeat(np.arange(20).astype(str), 10)
    y_true = np.tile(["sad", "angry"], 100)
    y_pred = np.where(groups.astype(int) < 10, y_true, "happy")
    score = evaluation.score(y_true, y_pred, groups, LABELS)
    assert score["accuracy_high"] - score["accuracy_low"] > 0.35  # by clip it would be 0.14


def test_one_speaker_has_no_interval():
    score = evaluation.score(["sad", "sad"], ["sad", "angry"], ["a", "a"], LABELS)
    assert score["accuracy"] == 0.5
    assert score["accuracy_low"] is score["uar_high"] is None


def test_the_split_is_described_and_shared_speakers_are_named():
    rows = pd.DataFrame({"corpus": ["tess", "emodb"]})
    line = evaluation.describe_split(rows, rows, ["tess/25", "emodb/03"], ["tess/25", "emodb/15"])
    assert line == (
        "standard split of emodb, tess: trained on 2 clips of 2 speakers, tested on 2 clips of 2; "
        "on both sides: tess/25"
    )
    assert "none of them heard" in evaluation.describe_split(rows, rows, ["a", "b"], ["c", "d"])
