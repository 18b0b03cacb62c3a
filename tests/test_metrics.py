"""Scores and intervals: scikit-learn, loops in plain Python and numbers by hand are the oracles."""

import numpy as np
import pytest
from conftest import ODD_ORDER as LABELS
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    confusion_matrix,
    f1_score,
    recall_score,
)

import metrics


def random_outcome(n_clips=300, n_speakers=12, seed=0):
    rng = np.random.default_rng(seed)
    y_true = rng.choice(LABELS, n_clips, p=[0.6, 0.3, 0.1])
    right = rng.random(n_clips) < 0.7
    y_pred = np.where(right, y_true, rng.choice(LABELS, n_clips))
    return y_true, y_pred, rng.integers(0, n_speakers, n_clips).astype(str)


def plain_bootstrap(groups, measure, n=400):
    """The 2.5 % and 97.5 % points of a measure of row numbers, speakers drawn in a loop."""
    rng = np.random.default_rng(1)
    rows = {speaker: np.flatnonzero(groups == speaker) for speaker in np.unique(groups)}
    draws = [
        measure(np.concatenate([rows[s] for s in rng.choice(list(rows), len(rows))]))
        for _ in range(n)
    ]
    return np.percentile(draws, [2.5, 97.5])


def test_scores_against_sklearn():
    y_true, y_pred, groups = random_outcome()
    score = metrics.score(y_true, y_pred, groups, LABELS)
    assert score["accuracy"] == pytest.approx(accuracy_score(y_true, y_pred))
    assert score["uar"] == pytest.approx(balanced_accuracy_score(y_true, y_pred))


def test_an_emotion_without_clips_doesnt_count():
    y_true, y_pred, groups = ["sad", "angry"], ["sad", "happy"], ["a", "b"]
    score = metrics.score(y_true, y_pred, groups, LABELS)
    assert score["uar"] == 0.5 == score["accuracy"]


@pytest.mark.parametrize("seed", range(5))
def test_measures_against_sklearn_even_where_classes_are_missing(seed):
    rng = np.random.default_rng(seed)
    y_true, y_pred = rng.choice(LABELS[: 1 + seed % 3], 7), rng.choice(LABELS, 7)
    counts = confusion_matrix(y_true, y_pred, labels=LABELS)
    ours = metrics.classification_measures(counts)
    assert ours["macro_f1"] == pytest.approx(f1_score(y_true, y_pred, average="macro"))
    assert ours["accuracy"] == pytest.approx(accuracy_score(y_true, y_pred))
    there = np.isin(LABELS, y_true)
    recalls = recall_score(y_true, y_pred, labels=LABELS, average=None, zero_division=0)
    np.testing.assert_allclose(ours["recall"][there], recalls[there])
    assert np.isnan(ours["recall"][~there]).all()
    np.testing.assert_allclose(ours["uar"], recalls[there].mean())
    np.testing.assert_allclose(ours["confusion"][there].sum(axis=1), 1)


def test_intervals_against_a_bootstrap_in_plain_python():
    y_true, y_pred, groups = random_outcome()
    counts = metrics.confusion_by_speaker(y_true, y_pred, groups, LABELS)
    ours = metrics.with_intervals(counts, metrics.classification_measures)
    oracles = {
        "uar": lambda rows: balanced_accuracy_score(y_true[rows], y_pred[rows]),
        "accuracy": lambda rows: accuracy_score(y_true[rows], y_pred[rows]),
        "macro_f1": lambda rows: f1_score(y_true[rows], y_pred[rows], average="macro"),
    }
    for name, oracle in oracles.items():
        assert ours[name][1:] == pytest.approx(plain_bootstrap(groups, oracle), abs=0.02), name
    recall = ours["recall"][1:, 2]  # of the rarest
    oracle = plain_bootstrap(
        groups, lambda rows: (y_pred[rows] == "happy")[y_true[rows] == "happy"].mean()
    )
    assert recall == pytest.approx(oracle, abs=0.03)
    score = metrics.score(y_true, y_pred, groups, LABELS)
    assert (score["uar_low"], score["uar_high"]) == tuple(ours["uar"][1:])


def test_speakers_that_differ_widen_the_interval():
    """Ten speakers all right and ten all wrong: 200 clips, yet only twenty independent ones."""
    groups = np.repeat(np.arange(20).astype(str), 10)
    y_true = np.tile(["sad", "angry"], 100)
    y_pred = np.where(groups.astype(int) < 10, y_true, "happy")
    score = metrics.score(y_true, y_pred, groups, LABELS)
    assert score["accuracy_high"] - score["accuracy_low"] > 0.35  # by clip it would be 0.14


def test_one_speaker_has_no_interval():
    score = metrics.score(["sad", "sad"], ["sad", "angry"], ["a", "a"], LABELS)
    assert score["accuracy"] == 0.5
    assert score["accuracy_low"] is score["uar_high"] is None


def test_a_recall_that_rests_on_one_speaker_has_no_interval():
    y_true, speakers = ["sad", "sad", "sad", "happy", "happy"], list("aabbb")
    counts = metrics.confusion_by_speaker(y_true, ["sad"] * 5, speakers, LABELS)
    _, low, high = metrics.with_intervals(counts, metrics.classification_measures)["recall"]
    assert (low[0], high[0]) == (1, 1)  # two speakers are sad
    assert np.isnan([low[2], high[2], low[1]]).all()


def test_another_seed_draws_other_speakers():
    y_true, y_pred, groups = random_outcome()
    first, again, other = (
        metrics.score(y_true, y_pred, groups, LABELS, seed) for seed in (0, 0, 1)
    )
    assert first == again
    assert first["uar"] == other["uar"] and first["uar_low"] != other["uar_low"]


def test_every_corpus_counts_the_same_whatever_its_size():
    y_true, y_pred, groups = random_outcome()
    corpora = np.where(groups.astype(int) < 2, "small", "large")
    speakers = np.unique(groups)
    of_speaker = np.array([corpora[groups == speaker][0] for speaker in speakers])
    counts = metrics.confusion_by_speaker(y_true, y_pred, groups, LABELS)
    apart, means = metrics.over_corpora(counts, metrics.classification_measures, of_speaker)
    ours = metrics.with_intervals(apart, means, corpora=of_speaker)

    def mean(rows):
        scores = []
        for corpus in ("small", "large"):
            own = rows[corpora[rows] == corpus]
            scores.append(balanced_accuracy_score(y_true[own], y_pred[own]))
        return np.mean(scores)

    assert ours["uar"][0] == pytest.approx(mean(np.arange(len(y_true))))
    rng = np.random.default_rng(1)
    rows, draws = {s: np.flatnonzero(groups == s) for s in speakers}, []
    for _ in range(400):
        drawn = [s for c in ("small", "large") for s in draw(rng, speakers[of_speaker == c])]
        draws.append(mean(np.concatenate([rows[s] for s in drawn])))
    assert ours["uar"][1:] == pytest.approx(np.percentile(draws, [2.5, 97.5]), abs=0.02)
    lone = metrics.over_corpora(counts[:1], metrics.classification_measures, of_speaker[:1])
    assert np.isnan(metrics.with_intervals(*lone)["uar"][1:]).all()


def draw(rng, speakers):
    return rng.choice(speakers, len(speakers))


def test_a_mean_over_corpora_leaves_out_those_without_a_value():
    counts = np.array([[[2, 0], [0, 0]], [[0, 2], [1, 1]]])
    apart, means = metrics.over_corpora(counts, metrics.classification_measures, ["a", "b"])
    found = means(apart.sum(axis=0))
    assert found["recall"].tolist() == [0.5, 0.5]  # "a" has no clips of the second label
    assert found["uar"] == (1 + 0.25) / 2
    assert found["confusion"].tolist() == [[0.5, 0.5], [0.5, 0.5]]


def test_confidence_is_measured_apart_for_right_and_wrong_answers():
    rng = np.random.default_rng(0)
    confidence, right = rng.random(200), rng.random(200) < 0.5
    found = metrics.confidence_measures(confidence, right)
    assert found["ece"] == metrics.calibration_error(confidence, right)
    pairs = list(zip(confidence, right, strict=True))
    assert found["confidence_right"] == pytest.approx(np.mean([c for c, r in pairs if r]))
    assert found["confidence_wrong"] == pytest.approx(np.mean([c for c, r in pairs if not r]))
    sure = [r for c, r in pairs if c > 0.8]
    assert found["over"] == len(sure) / 200
    assert found["right_over"] == pytest.approx(np.mean(sure))
    never = metrics.confidence_measures([0.5, 0.8], [True, True])
    assert never["over"] == 0 and np.isnan([never["right_over"], never["confidence_wrong"]]).all()


def test_concordance_by_hand():
    """Means 2 and 3, variances 2/3 and 2/3, covariance 1/3: 2/3 / (4/3 + 1) = 2/7."""
    sums = metrics.moments_by_speaker([1, 2, 3], [2, 4, 3], ["a", "b", "a"])
    values = metrics.regression_measures(sums.sum(axis=0))
    assert values["ccc"] == pytest.approx(2 / 7)
    assert values["mae"] == pytest.approx(1)


def test_concordance_against_its_definition_and_at_its_edges():
    rng = np.random.default_rng(0)
    t = rng.integers(1, 6, 200).astype(float)
    p = t + rng.normal(0.3, 1, 200)
    groups = rng.integers(0, 8, 200).astype(str)
    scores = metrics.score(t, p, groups)
    rho = np.corrcoef(t, p)[0, 1]
    gap = (t.mean() - p.mean()) ** 2
    expected = 2 * rho * t.std() * p.std() / (t.var() + p.var() + gap)
    assert scores["ccc"] == pytest.approx(expected)
    assert scores["mae"] == pytest.approx(abs(t - p).mean())
    bounds = plain_bootstrap(groups, lambda rows: abs(t[rows] - p[rows]).mean())
    assert (scores["mae_low"], scores["mae_high"]) == pytest.approx(tuple(bounds), abs=0.02)
    one = ["a"] * 200
    assert metrics.score(t, t, one)["ccc"] == pytest.approx(1)
    assert metrics.score(t, np.full(200, 2.0), one)["ccc"] == pytest.approx(0)
    assert metrics.score([2.0], [2.0], ["a"])["ccc"] is None
    assert metrics.score(t, p, one)["mae_low"] is None


def test_calibration_error_by_hand_and_against_a_loop():
    confidence = [0.95, 0.95, 0.55, 0.5]  # |0.95 - 0.5| * 2/4 + |0.55 - 1| * 1/4 + 0.5 * 1/4
    right = [True, False, True, False]
    assert metrics.calibration_error(confidence, right, 10) == pytest.approx(0.4625)
    rng = np.random.default_rng(0)
    confidence = np.append(rng.uniform(0.2, 1, 500), [1.0, 1 / 15, 0.0])
    right = rng.random(503) < confidence**2
    expected = 0
    for k in range(15):
        inside = (confidence > k / 15) & (confidence <= (k + 1) / 15)
        inside |= (confidence == 0) & (k == 0)
        if inside.any():
            expected += inside.mean() * abs(confidence[inside].mean() - right[inside].mean())
    assert metrics.calibration_error(confidence, right) == pytest.approx(expected)
    assert metrics.reliability(confidence, right)["n_clips"].sum() == 503


def test_confusions_are_labelled():
    table = metrics.labeled_confusion(np.array([[3, 1], [0, 2]]), ["sad", "happy"])
    assert table.loc["true_sad", "predicted_happy"] == 1


def test_scores_in_words_say_where_there_is_no_interval():
    scores = {"uar": 0.75, "uar_low": 0.7, "uar_high": 0.8, "ece": 0.1}
    assert metrics.scores_in_words(scores) == "UAR 0.750 (0.700 to 0.800)"
    scores = {"mae": 0.5} | dict.fromkeys(["mae_low", "mae_high", "ccc", "ccc_low", "ccc_high"])
    assert metrics.scores_in_words(scores) == "MAE 0.500 (one speaker, no interval), CCC -"
