"""Folds, scores with intervals, the leak guard, results and the command line.

scikit-learn's metrics, loops in plain Python and numbers worked out by hand are the oracles. Most
tests ask a `Parrot` in place of a recognizer: it obeys the same contract, learns nothing but the
voices that it has heard, and keeps a log of what it was fitted on.
"""

import json
import re
import shutil
import subprocess
import sys
import zlib
from dataclasses import replace
from html import unescape
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
from conftest import REPO
from sklearn.dummy import DummyClassifier
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    confusion_matrix,
    f1_score,
    recall_score,
)
from sklearn.svm import SVC, SVR

import evaluation
from create_csv import COLUMNS, list_clips
from data_extractor import load_data, speaker_groups
from emotion_recognition import EmotionRecognizer, named_recognizer
from evaluation import (
    ClassificationEvaluation,
    LeakError,
    Leaks,
    RegressionEvaluation,
    compare,
    evaluate,
    find_leaks,
    html_table,
    make_folds,
    new_figure,
    scores_in_words,
)
from utils import emotion_scale

LABELS = ["sad", "angry", "happy"]  # neither alphabetical nor its reverse
BUNDLED = {"data_dir": REPO / "data", "tess_ravdess": False, "emodb": False}


@pytest.fixture(scope="module")
def custom():
    """The bundled clips of three emotions: 11 voices, 87 clips."""
    clips = list_clips("custom", data_dir=REPO / "data")
    return clips[clips["emotion"].isin(LABELS)].reset_index(drop=True)


class Parrot:
    """Knows by heart what voices it was fitted on say, and guesses, by file name, for others."""

    balance, random_state, verbose, n_jobs, features = False, 0, 0, 1, ["mfcc"]

    def __init__(self, clips, emotions=LABELS, *, classification=True, log=None, **settings):
        self.all_clips, self.emotions, self.classification = clips, list(emotions), classification
        self.log = {"fit": [], "calibrate": [], "predict": []} if log is None else log
        self.settings = settings
        vars(self).update(settings)
        self.model, self.heard, self.handful = SVC(), None, None

    def clips(self):
        return self.all_clips.copy()

    def untrained(self, **changes):
        options = {"emotions": self.emotions, "classification": self.classification}
        return Parrot(self.all_clips, **(options | self.settings | {"log": self.log} | changes))

    def fit(self, rows):
        assert self.heard is None, "fitted a second time"
        self.log["fit"].append(rows)
        self.heard = dict(zip(rows["path"], rows["emotion"], strict=True))
        self.voices = {Path(path).name.split("_")[0] for path in self.heard}
        return self

    def calibrate(self, paths):
        if self.settings.get("normalize") != "speaker":
            raise ValueError('calibrate needs normalize="speaker"')
        assert paths, "calibrated with nothing"
        adapted = self.untrained()
        adapted.heard, adapted.voices, adapted.handful = self.heard, self.voices, paths
        return adapted

    def predict(self, paths):
        labels = []
        for path in paths:
            if self.handful is not None:
                self.log["calibrate"].append((path, self.handful))
            name = Path(path).stem
            known = name.split("_")[0] in self.voices
            guess = self.emotions[zlib.crc32(name.encode()) % len(self.emotions)]
            labels.append(name.split("_")[-1] if known else guess)
        self.log["predict"] += list(paths)
        if self.classification:
            return labels
        return [float(emotion_scale(self.emotions)[label]) for label in labels]

    def predict_proba(self, paths):
        rest = 0.4 / (len(self.emotions) - 1)
        return [{e: 0.6 if e == label else rest for e in self.emotions}
                for label in self.predict(paths)]  # fmt: skip


def random_outcome(n_clips=300, n_speakers=12, seed=0):
    rng = np.random.default_rng(seed)
    y_true = rng.choice(LABELS, n_clips, p=[0.6, 0.3, 0.1])
    right = rng.random(n_clips) < 0.7
    y_pred = np.where(right, y_true, rng.choice(LABELS, n_clips))
    return y_true, y_pred, rng.integers(0, n_speakers, n_clips).astype(str)


def make_result(n_clips=300, n_speakers=12, seed=0, model="Some", **changes):
    """A result on the same clips of two corpora for every seed, about seven in ten right."""
    emotions, _, speakers = random_outcome(n_clips, n_speakers)
    rng = np.random.default_rng([seed, 1])
    clips = pd.DataFrame({
        "path": [f"{i}.wav" for i in range(n_clips)],
        "emotion": emotions,
        "speaker": speakers,
        "corpus": np.where(speakers.astype(int) % 2, "ravdess", "emodb"),
        "gender": np.where(speakers.astype(int) % 3, "male", "female"),
        "fold": "1",
        "predicted": np.where(rng.random(n_clips) < 0.7, emotions, rng.choice(LABELS, n_clips)),
        "confidence": rng.uniform(1 / 3, 1, n_clips),
    }).assign(**changes)  # fmt: skip
    return ClassificationEvaluation(
        clips, LABELS, protocol="by hand, 1 fold", protocol_name="loso", model=model
    )


def make_regression(y_true, y_pred, speakers, model="Some"):
    clips = pd.DataFrame({
        "path": [f"{i}.wav" for i in range(len(y_true))], "emotion": "sad", "speaker": speakers,
        "corpus": "custom", "gender": "unknown", "fold": "1", "target": y_true,
        "predicted": y_pred,
    })  # fmt: skip
    return RegressionEvaluation(
        clips, ["sad", "neutral", "happy"], protocol="by hand", protocol_name="loso", model=model
    )


def plain_bootstrap(groups, measure, n=400):
    """The 2.5 % and 97.5 % points of a measure of row numbers, speakers drawn in a loop."""
    rng = np.random.default_rng(1)
    rows = {speaker: np.flatnonzero(groups == speaker) for speaker in np.unique(groups)}
    draws = [
        measure(np.concatenate([rows[s] for s in rng.choice(list(rows), len(rows))]))
        for _ in range(n)
    ]
    return np.percentile(draws, [2.5, 97.5])


# scores and intervals


def test_scores_against_sklearn():
    y_true, y_pred, groups = random_outcome()
    score = evaluation.score(y_true, y_pred, groups, LABELS)
    assert score["accuracy"] == pytest.approx(accuracy_score(y_true, y_pred))
    assert score["uar"] == pytest.approx(balanced_accuracy_score(y_true, y_pred))


def test_an_emotion_without_clips_doesnt_count():
    y_true, y_pred, groups = ["sad", "angry"], ["sad", "happy"], ["a", "b"]
    score = evaluation.score(y_true, y_pred, groups, LABELS)
    assert score["uar"] == 0.5 == score["accuracy"]


@pytest.mark.parametrize("seed", range(5))
def test_measures_against_sklearn_even_where_classes_are_missing(seed):
    rng = np.random.default_rng(seed)
    y_true, y_pred = rng.choice(LABELS[: 1 + seed % 3], 7), rng.choice(LABELS, 7)
    counts = confusion_matrix(y_true, y_pred, labels=LABELS)
    ours = evaluation.classification_measures(counts)
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
    counts = evaluation.confusion_by_speaker(y_true, y_pred, groups, LABELS)
    ours = evaluation.with_intervals(counts, evaluation.classification_measures)
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
    score = evaluation.score(y_true, y_pred, groups, LABELS)
    assert (score["uar_low"], score["uar_high"]) == tuple(ours["uar"][1:])


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


def test_a_recall_that_rests_on_one_speaker_has_no_interval():
    y_true, speakers = ["sad", "sad", "sad", "happy", "happy"], list("aabbb")
    counts = evaluation.confusion_by_speaker(y_true, ["sad"] * 5, speakers, LABELS)
    _, low, high = evaluation.with_intervals(counts, evaluation.classification_measures)["recall"]
    assert (low[0], high[0]) == (1, 1)  # two speakers are sad
    assert np.isnan([low[2], high[2], low[1]]).all()


def test_another_seed_draws_other_speakers():
    y_true, y_pred, groups = random_outcome()
    first, again, other = (
        evaluation.score(y_true, y_pred, groups, LABELS, seed) for seed in (0, 0, 1)
    )
    assert first == again
    assert first["uar"] == other["uar"] and first["uar_low"] != other["uar_low"]


def test_concordance_by_hand():
    """Means 2 and 3, variances 2/3 and 2/3, covariance 1/3: 2/3 / (4/3 + 1) = 2/7."""
    sums = evaluation.moments_by_speaker([1, 2, 3], [2, 4, 3], ["a", "b", "a"])
    values = evaluation.regression_measures(sums.sum(axis=0))
    assert values["ccc"] == pytest.approx(2 / 7)
    assert values["mae"] == pytest.approx(1)


def test_concordance_against_its_definition_and_at_its_edges():
    rng = np.random.default_rng(0)
    t = rng.integers(1, 6, 200).astype(float)
    p = t + rng.normal(0.3, 1, 200)
    groups = rng.integers(0, 8, 200).astype(str)
    result = make_regression(t, p, groups)
    assert evaluation.score(t, p, groups) == pytest.approx(result.scores())
    rho = np.corrcoef(t, p)[0, 1]
    gap = (t.mean() - p.mean()) ** 2
    expected = 2 * rho * t.std() * p.std() / (t.var() + p.var() + gap)
    assert result.scores()["ccc"] == pytest.approx(expected)
    assert result.scores()["mae"] == pytest.approx(abs(t - p).mean())
    low, high = plain_bootstrap(
        result.clips["speaker"].to_numpy(), lambda rows: abs(t[rows] - p[rows]).mean()
    )
    scores = result.scores()
    assert (scores["mae_low"], scores["mae_high"]) == pytest.approx((low, high), abs=0.02)
    assert make_regression(t, t, ["a"] * 200).scores()["ccc"] == pytest.approx(1)
    assert make_regression(t, np.full(200, 2.0), ["a"] * 200).scores()["ccc"] == pytest.approx(0)
    assert make_regression([2.0], [2.0], ["a"]).scores()["ccc"] is None
    assert make_regression(t, p, ["a"] * 200).scores()["mae_low"] is None


def test_calibration_error_by_hand_and_against_a_loop():
    confidence = [0.95, 0.95, 0.55, 0.5]  # |0.95 - 0.5| * 2/4 + |0.55 - 1| * 1/4 + 0.5 * 1/4
    right = [True, False, True, False]
    assert evaluation.calibration_error(confidence, right, 10) == pytest.approx(0.4625)
    rng = np.random.default_rng(0)
    confidence = np.append(rng.uniform(0.2, 1, 500), [1.0, 1 / 15, 0.0])
    right = rng.random(503) < confidence**2
    expected = 0
    for k in range(15):
        inside = (confidence > k / 15) & (confidence <= (k + 1) / 15)
        inside |= (confidence == 0) & (k == 0)
        if inside.any():
            expected += inside.mean() * abs(confidence[inside].mean() - right[inside].mean())
    assert evaluation.calibration_error(confidence, right) == pytest.approx(expected)
    assert evaluation.reliability(confidence, right)["n_clips"].sum() == 503


# folds


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


def many_speakers():
    """18 speakers of RAVDESS and 10 of EMO-DB; a number may be in both."""
    rows = [(e, f"{s:02d}", c) for c, n in (("ravdess", 18), ("emodb", 10)) for s in range(1, n + 1)
            for e in LABELS for _ in range(2)]  # fmt: skip
    clips = pd.DataFrame(rows, columns=["emotion", "speaker", "corpus"])
    return clips.sample(frac=1, random_state=0).reset_index(drop=True)


@pytest.mark.parametrize("protocol", ["loso", "group-2", "group-6", "random"])
def test_every_clip_is_tested_once_and_speakers_are_kept_apart_where_it_is_claimed(protocol):
    clips = many_speakers()
    folds = make_folds(protocol, clips)
    tested = np.concatenate([fold.test for fold in folds])
    assert sorted(tested) == list(range(len(clips)))
    groups = speaker_groups(clips)
    for fold in folds:
        assert set(fold.train) == set(range(len(clips))) - set(fold.test)
        shared = set(groups[fold.train]) & set(groups[fold.test])
        assert shared if protocol == "random" else not shared


def test_loso_leaves_out_one_voice_of_one_corpus():
    clips = many_speakers()
    folds = make_folds("loso", clips)
    assert [fold.name for fold in folds] == sorted(set(speaker_groups(clips)))
    held_out = clips.iloc[folds[0].test]
    assert set(zip(held_out["corpus"], held_out["speaker"], strict=True)) == {("emodb", "01")}
    assert "01" in set(clips.iloc[folds[0].train]["speaker"])  # the one of RAVDESS
    with pytest.raises(ValueError, match="at least two"):
        make_folds("loso", clips[clips["speaker"] == "18"])


def test_groups_are_dealt_out_in_order():
    clips = many_speakers()
    folds = make_folds("group-6", clips)
    for i, fold in enumerate(folds):
        tested = clips.iloc[fold.test]
        for corpus, n in (("ravdess", 18), ("emodb", 10)):
            speakers = sorted(set(tested.loc[tested["corpus"] == corpus, "speaker"]))
            assert speakers == [f"{s:02d}" for s in range(1, n + 1)][i::6]


def test_random_folds_are_stratified_and_seeded():
    clips = many_speakers()
    first, again, other = (make_folds("random", clips, random_state=seed) for seed in (0, 0, 1))
    assert first[0].test.tolist() == again[0].test.tolist() != other[0].test.tolist()
    for fold in first:
        assert set(clips["emotion"].iloc[fold.test].value_counts()) <= {5, 6}  # 56 of each, tenths
    with pytest.raises(ValueError, match="two clips"):
        make_folds("random", clips.drop_duplicates("emotion"))


@pytest.mark.parametrize(
    ("protocol", "message"),
    [
        ("lso", "Did you mean 'loso'"),
        ("group-K", "a number of folds"),
        ("group-1", "2 or more"),
        ("group-19", "at least 19 speakers.*largest has 18"),
        ("cross-corpus", "some of emodb, ravdess"),
        (None, "choose from standard, loso, group-K, cross-corpus, random"),
    ],
)
def test_a_protocol_that_cant_be_says_what_can(protocol, message):
    with pytest.raises(ValueError, match=message):
        make_folds(protocol, many_speakers())


def test_corpora_are_for_cross_corpus_and_must_be_there():
    clips = many_speakers()
    with pytest.raises(ValueError, match="not 'loso'"):
        make_folds("loso", clips, test_corpora=["emodb"])
    with pytest.raises(ValueError, match=r"'emo'.*Did you mean 'emodb'"):
        make_folds("cross-corpus", clips, test_corpora=["emo"])
    with pytest.raises(ValueError, match="another corpus to train on"):
        make_folds("cross-corpus", clips, test_corpora=["emodb", "ravdess"])
    (fold,) = make_folds("cross-corpus", clips, test_corpora=["emodb"])
    assert set(clips["corpus"].iloc[fold.train]) == {"ravdess"}
    assert set(clips["corpus"].iloc[fold.test]) == {"emodb"}


def test_standard_draws_what_the_recognizer_draws(custom):
    (whole,) = make_folds("standard", custom)
    assert (custom["partition"].iloc[whole.train] == "train").all()
    assert len(whole.train) + len(whole.test) == len(custom)
    uneven = custom.drop(custom.index[custom["emotion"] == "sad"][[0, 1, -1]])
    uneven = uneven.reset_index(drop=True)
    (drawn,) = make_folds("standard", uneven, balance=True, random_state=3)
    for rows, n in ((drawn.train, 19), (drawn.test, 7)):
        assert uneven["emotion"].iloc[rows].value_counts().tolist() == [n] * 3
    with pytest.raises(ValueError, match="no test clips"):
        make_folds("standard", custom[custom["partition"] == "train"])


def test_standard_is_the_classic_split(tmp_path, custom):
    uneven = custom.drop(custom.index[custom["emotion"] == "sad"][[0, 1, -1]])
    uneven = uneven.reset_index(drop=True)
    files = [tmp_path / f"{part}.csv" for part in ("train", "test")]
    for part, file in zip(("train", "test"), files, strict=True):
        uneven.loc[uneven["partition"] == part, COLUMNS].to_csv(file, index=False)
    data = load_data(*files, emotions=LABELS, verbose=0, n_jobs=1, random_state=3)
    (drawn,) = make_folds("standard", uneven, balance=True, random_state=3)
    assert set(uneven["path"].iloc[drawn.train]) == set(data["train_audio_paths"])
    assert set(uneven["path"].iloc[drawn.test]) == set(data["test_audio_paths"])


def test_a_balanced_recognizer_draws_the_standard_test_part_by_its_own_seed(custom):
    uneven = custom.drop(custom.index[custom["emotion"] == "sad"][-1]).reset_index(drop=True)
    (drawn,) = make_folds("standard", uneven, balance=True, random_state=3)
    parrot = Parrot(uneven, balance=True, random_state=3)
    result = evaluate(parrot, "standard", random_state=7, verbose=0)
    assert set(result.clips["path"]) == set(uneven["path"].iloc[drawn.test])
    whole = evaluate(parrot, "loso", verbose=0)
    assert len(whole.clips) == len(uneven)  # elsewhere all test clips count


# nothing that is fitted sees what it is tested on


@pytest.mark.parametrize("protocol", ["loso", "group-3"])
def test_no_fold_is_fitted_on_a_voice_that_it_is_tested_on(custom, protocol):
    parrot = Parrot(custom)
    result = evaluate(parrot, protocol, verbose=0)
    assert parrot.heard is None, "the recognizer that was given is changed"
    assert len(parrot.log["fit"]) == result.clips["fold"].nunique() == {"loso": 11}.get(protocol, 3)
    for rows, (_, tested) in zip(parrot.log["fit"], result.clips.groupby("fold"), strict=False):
        assert rows.columns.tolist() == COLUMNS
        assert len(rows) + len(tested) == len(custom) or protocol == "group-3"
    for rows in parrot.log["fit"]:
        fold = set(custom["speaker"]) - set(rows["speaker"])
        tested = result.clips[result.clips["speaker"].isin(fold)]
        assert tested["fold"].nunique() == 1
        assert len(rows) + len(tested) == len(custom)
    assert result.clips["path"].tolist() == custom["path"].tolist()
    assert 0.15 < result.scores()["uar"] < 0.55  # it guesses, so it heard none of them


def test_a_leak_shows(custom):
    """The parrot knows the voices that it has heard, so that a random split flatters it."""
    assert evaluate(Parrot(custom), "random", verbose=0).scores()["uar"] == 1
    independent = evaluate(Parrot(custom), "standard", verbose=0)
    assert set(independent.clips["speaker"]) == {"v21", "v22", "v23", "v24"}
    assert independent.scores()["uar"] < 0.6


def test_labels_are_those_of_predict(custom):
    result = evaluate(Parrot(custom), "loso", verbose=0)
    parrot = Parrot(custom).fit(custom.iloc[:0])
    assert result.clips["predicted"].tolist() == parrot.predict(custom["path"])
    columns = ["p_sad", "p_angry", "p_happy"]
    assert result.clips.columns.tolist()[-3:] == columns
    assert (result.clips["confidence"] == 0.6).all()
    np.testing.assert_allclose(result.clips[columns].sum(axis=1), 1)


def test_an_estimator_is_wrapped(custom):
    model = DummyClassifier(strategy="prior")
    result = evaluate(model, "standard", emotions=LABELS, verbose=0, n_jobs=1, **BUNDLED)
    assert not hasattr(model, "classes_")
    assert result.model == "DummyClassifier"
    assert evaluation._recognizer(model, BUNDLED).balance is False
    assert len(result.clips) == 24
    assert result.scores()["uar"] == pytest.approx(1 / 3)


def test_a_model_that_was_chosen_is_chosen_anew_in_every_fold(custom):
    class Chooser(Parrot):
        comparison_ = "what it saw"

        def untrained(self, **changes):
            fresh = super().untrained(**changes)
            fresh.determine_best_model = lambda: self.log["chosen"].append(fresh.heard)
            return fresh

    chooser = Chooser(custom)
    chooser.log["chosen"] = []
    result = evaluate(chooser, "group-3", verbose=0)
    assert result.model == "best of each fold"
    assert [list(heard) for heard in chooser.log["chosen"]] == [
        rows["path"].tolist() for rows in chooser.log["fit"]
    ]


def test_a_regressor_is_scored_as_one():
    result = evaluate(SVR(), "group-3", verbose=0, n_jobs=1, **BUNDLED)
    assert isinstance(result, RegressionEvaluation)
    assert result.scores().keys() == {"mae", "mae_low", "mae_high", "ccc", "ccc_low", "ccc_high"}
    assert 0 < result.scores()["mae"] < result.chance() == 2 / 3
    assert set(result.clips["target"]) == {0, 1, 2}
    plain = abs(result.clips["target"] - result.clips["predicted"]).mean()
    assert result.scores()["mae"] == pytest.approx(plain)


@pytest.mark.parametrize("wrong", ["SVC", SVC, Parrot, None])
def test_what_isnt_a_system_is_refused(wrong):
    with pytest.raises(TypeError, match="a scikit-learn estimator"):
        evaluate(wrong, "loso")


def test_arguments_that_would_have_no_effect_are_refused(custom):
    parrot = Parrot(custom)
    with pytest.raises(TypeError, match="emodb: options are for a bare estimator"):
        evaluate(parrot, "loso", emodb=True)
    with pytest.raises(ValueError, match="label_map is for 'cross-corpus'"):
        evaluate(parrot, "loso", label_map={"sad": "happy"})
    with pytest.raises(ValueError, match="not 'loso'"):
        evaluate(parrot, "loso", train_corpora=["custom"], verbose=0)
    for wrong in (-1, True, 2.5, "some"):
        with pytest.raises(ValueError, match="a number of clips, or 'all'"):
            evaluate(parrot, "loso", calibrate=wrong)
    assert not parrot.log["fit"]


def test_an_emotion_that_a_fold_cant_learn_is_named_before_anything_is_fitted(custom):
    one_voice = custom[(custom["emotion"] != "sad") | (custom["speaker"] == "v01")]
    parrot = Parrot(one_voice)
    with pytest.raises(ValueError, match=r"'custom/v01' has no clips of sad to train on"):
        evaluate(parrot, "loso", verbose=0)
    assert not parrot.log["fit"]


def test_the_model_may_be_given_a_name_and_the_bootstrap_a_seed(custom):
    first = evaluate(Parrot(custom), "group-3", verbose=0)
    other = evaluate(Parrot(custom), "group-3", verbose=0, name="Polly", random_state=1)
    assert (first.model, other.model) == ("SVC", "Polly")
    assert first.scores()["uar"] == other.scores()["uar"]
    assert first.scores()["uar_low"] != other.scores()["uar_low"]


def test_progress_is_shown_only_if_wished(custom, capsys):
    evaluate(Parrot(custom), "group-3", verbose=0)
    assert capsys.readouterr() == ("", "")
    evaluate(Parrot(custom), "group-3")
    printed = capsys.readouterr()
    assert "group-3: 100%" in printed.err and "3/3" in printed.err
    assert printed.out == ""


# several corpora


@pytest.fixture
def two_corpora(custom):
    """Test voices pass for a corpus of its own that calls angry fear, and has boredom."""
    is_other = custom["partition"] == "test"
    clips = custom.assign(corpus=np.where(is_other, "other", "custom"))
    clips.loc[is_other & (clips["emotion"] == "angry"), "emotion"] = "fear"
    bored = list_clips("custom", data_dir=REPO / "data")
    bored = bored[(bored["emotion"] == "boredom") & (bored["partition"] == "test")]
    return pd.concat([clips, bored.assign(corpus="other")], ignore_index=True)


def test_cross_corpus_trains_on_one_and_tests_on_the_other(two_corpora):
    parrot = Parrot(two_corpora, ["sad", "fear", "happy", "angry", "boredom"])
    result = evaluate(
        parrot,
        "cross-corpus",
        test_corpora=["other"],
        label_map={"fear": "angry", "boredom": None},
        verbose=0,
    )
    (rows,) = parrot.log["fit"]
    assert set(rows["corpus"]) == {"custom"} and set(result.clips["corpus"]) == {"other"}
    assert result.emotions == ["sad", "angry", "happy"]
    assert set(rows["emotion"]) == set(result.clips["emotion"]) == set(result.emotions)
    assert len(result.clips) == 24  # without the bored ones
    line = str(result).splitlines()[0]
    assert "trained on 63 clips of 7 speakers of custom, tested on 24 clips of 4 of other" in line
    assert line.endswith("labels: fear as angry, without boredom")


def test_labels_that_differ_need_a_map(two_corpora):
    parrot = Parrot(two_corpora, ["sad", "fear", "happy", "angry", "boredom"])
    with pytest.raises(ValueError, match=r"only training has angry; only test has boredom, fear.*"
                                         r"label_map.*None to leave it out"):  # fmt: skip
        evaluate(parrot, "cross-corpus", test_corpora=["other"], verbose=0)
    with pytest.raises(ValueError, match="Did you mean 'fear'"):
        evaluate(
            parrot, "cross-corpus", test_corpora=["other"], label_map={"feer": "sad"}, verbose=0
        )
    assert not parrot.log["fit"]


def test_a_corpus_on_both_sides_is_a_leak(two_corpora):
    parrot = Parrot(two_corpora, ["sad", "fear", "happy", "angry", "boredom"])
    with pytest.raises(LeakError, match=r"the same speaker.*other/v21, other/v22"):
        evaluate(
            parrot,
            "cross-corpus",
            train_corpora=["custom", "other"],
            test_corpora=["other"],
            label_map={"fear": "angry", "boredom": None},
            verbose=0,
        )


# calibration


@pytest.mark.parametrize("n", [1, 2, 3, 5, 10])
def test_every_clip_is_calibrated_with_others(n):
    for n_clips in range(1, 35):
        blocks = evaluation.calibration_blocks(n_clips, n)
        assert sorted(np.concatenate([block for block, _ in blocks])) == list(range(n_clips))
        for block, handful in blocks:
            assert not set(block) & set(handful)
            assert len(set(handful)) == len(handful) == min(n, n_clips - 1)


def test_blocks_follow_one_another_in_a_shuffled_order():
    blocks = evaluation.calibration_blocks(20, 5)
    for (_, handful), (following, _) in zip(blocks, blocks[1:] + blocks[:1], strict=True):
        assert handful.tolist() == following.tolist()
    assert blocks[0][0].tolist() != list(range(5))
    assert blocks[0][0].tolist() != evaluation.calibration_blocks(20, 5, 1)[0][0].tolist()
    ((block, handful),) = evaluation.calibration_blocks(7, "all")
    assert sorted(block) == sorted(handful) == list(range(7))


@pytest.mark.parametrize("n", [3, 5, 20, "all"])
def test_calibration_is_by_voice_and_without_the_clip_itself(custom, n):
    parrot = Parrot(custom, normalize="speaker")
    result = evaluate(parrot, "group-3", calibrate=n, verbose=0)
    assert len(result.clips) == len(custom)
    assert {path for path, _ in parrot.log["calibrate"]} == set(custom["path"])
    voices = dict(zip(custom["path"], custom["speaker"], strict=True))
    counts = custom["speaker"].value_counts()
    for path, handful in parrot.log["calibrate"]:
        assert {voices[other] for other in handful} == {voices[path]}
        assert (path in handful) == (n == "all")
        n_clips = counts[voices[path]]
        assert len(handful) == (n_clips if n == "all" else min(n, n_clips - 1))
    line = str(result).splitlines()[0]
    assert ("transductive" if n == "all" else f"with {n} other unlabelled clips") in line


def test_a_voice_of_one_clip_is_heard_as_it_is(custom):
    others = custom[custom["speaker"] != "v01"]
    one = custom[custom["speaker"] == "v01"].iloc[:1]
    parrot = Parrot(pd.concat([one, others], ignore_index=True), normalize="speaker")
    result = evaluate(parrot, "group-3", calibrate=5, verbose=0)
    assert len(result.clips) == len(others) + 1
    assert {path for path, _ in parrot.log["calibrate"]} == set(others["path"])


def test_without_calibration_nothing_is_adapted(custom):
    parrot = Parrot(custom, normalize="speaker")
    result = evaluate(parrot, "group-3", verbose=0)
    assert not parrot.log["calibrate"]
    assert "calibrated" not in str(result)
    with pytest.raises(ValueError, match='normalize="speaker"'):
        evaluate(Parrot(custom), "group-3", calibrate=5, verbose=0)


# leaks


def rows_of(*paths, speaker="a", corpus="custom"):
    return pd.DataFrame({"path": map(str, paths), "speaker": speaker, "corpus": corpus})


def test_nothing_is_found_where_nothing_is(custom):
    paths = custom["path"].tolist()
    leaks = find_leaks(rows_of(*paths[:5]), rows_of(*paths[5:10], speaker="b"))
    assert not leaks
    assert str(leaks) == "no speaker, recording or known sentence is on both sides of the split"


def test_a_voice_on_both_sides_is_found(custom):
    paths = custom["path"].tolist()
    leaks = find_leaks(rows_of(*paths[:5]), rows_of(*paths[5:10]))
    assert leaks and leaks.speakers == ("custom/a",) and not leaks.audio
    assert str(leaks) == "the same speaker on both sides of the split: custom/a"
    other = find_leaks(rows_of(*paths[:5]), rows_of(*paths[5:10], corpus="mine"))
    assert not other.speakers  # another corpus's "a" is another person


@pytest.mark.parametrize("ending", [".wav", ".flac"])
def test_a_recording_is_found_under_another_name_voice_and_format(custom, tmp_path, ending):
    original = custom["path"][0]
    copy = tmp_path / f"bob_1_sad{ending}"
    soundfile.write(copy, *soundfile.read(original, dtype="int16"))
    assert copy.read_bytes() != Path(original).read_bytes() or ending == ".wav"
    leaks = find_leaks(
        rows_of(*custom["path"][:3]), rows_of(custom["path"][5], copy, speaker="bob")
    )
    assert leaks.audio == ((original, str(copy)),) and not leaks.speakers
    assert str(leaks) == f"identical audio on both sides of the split: {original} = {copy}"


def test_a_recording_that_differs_isnt_identical(custom, tmp_path):
    y, rate = soundfile.read(custom["path"][0])
    soundfile.write(tmp_path / "softer.wav", 0.5 * y, rate)
    soundfile.write(tmp_path / "shorter.wav", y[:-1], rate)
    y[1000] += 1 / 32768  # the least that 16 bits can tell
    soundfile.write(tmp_path / "touched.wav", y, rate)
    paths = [tmp_path / f"{name}.wav" for name in ("softer", "shorter", "touched")]
    assert not find_leaks(rows_of(custom["path"][0]), rows_of(*paths, speaker="b"))


@pytest.mark.parametrize(
    ("corpus", "train", "test", "found"),
    [
        ("emodb", "03a01Fa.wav", "08a01Nc.wav", ("emodb/a01",)),
        ("emodb", "03a01Fa.wav", "08a02Nc.wav", ()),
        ("emodb", "03a01Fa.wav", "08b01Na.wav", ()),
        ("ravdess", "03-01-01-01-02-01-01_sad.wav", "03-01-04-02-02-02-07_x.wav", ("ravdess/02",)),
        ("ravdess", "03-01-02-01-01-01-01_sad.wav", "03-01-02-01-02-01-01_sad.wav", ()),
        ("tess", "25_01_01_01_back_angry.wav", "26_01_01_01_back_sad.wav", ("tess/back",)),
        ("tess", "OAF_back_angry.wav", "OAF_bar_angry.wav", ()),
        ("custom", "a_hello_sad.wav", "b_hello_sad.wav", ()),
    ],
)
def test_a_sentence_on_both_sides_is_reported_but_no_leak(corpus, train, test, found):
    leaks = find_leaks(
        rows_of(train, speaker="1", corpus=corpus), rows_of(test, speaker="2", corpus=corpus)
    )
    assert leaks.sentences == found and not leaks
    assert ("the same sentence" in str(leaks)) == bool(found)


@pytest.fixture
def with_copy(custom, tmp_path):
    """Clips of which one has been copied under another speaker's name."""
    copy = tmp_path / "bob_s1_sad.wav"
    original = custom.loc[custom["emotion"] == "sad", "path"].iloc[0]
    shutil.copy(original, copy)
    row = [str(copy), "sad", "bob", "custom", "test"]
    return original, str(copy), pd.concat(
        [custom, pd.DataFrame([row], columns=custom.columns)], ignore_index=True
    )  # fmt: skip


@pytest.mark.parametrize("protocol", ["loso", "group-4"])
def test_a_copy_under_another_voice_stops_a_protocol_that_claims_independence(with_copy, protocol):
    original, copy, clips = with_copy
    parrot = Parrot(clips)
    with pytest.raises(LeakError) as caught:
        evaluate(parrot, protocol, verbose=0)
    message = str(caught.value)
    assert protocol in message and original in message and copy in message and "\n" not in message
    assert not parrot.log["fit"], "it was found only after training"


@pytest.mark.parametrize("protocol", ["standard", "random"])
def test_other_protocols_report_the_copy(with_copy, protocol):
    original, copy, clips = with_copy
    result = evaluate(Parrot(clips), protocol, verbose=0)
    assert len(result.clips) in (25, 88)
    if protocol == "standard":
        assert result.leaks.audio == ((original, copy),)
        assert f"leak guard: identical audio on both sides of the split: {original}" in str(result)
    else:
        assert "custom/v01" in result.leaks.speakers
        assert "leak guard: the same speaker on both sides of the split: custom/v01" in str(result)


def test_a_file_that_cant_be_read_is_left_out_and_named(custom, tmp_path):
    broken = tmp_path / "v01_x_sad.wav"
    broken.write_bytes(b"no audio")
    row = pd.DataFrame([[str(broken), "sad", "v01", "custom", "train"]], columns=custom.columns)
    clips = pd.concat([row, custom], ignore_index=True)
    assert not find_leaks(rows_of(broken), rows_of(broken, speaker="b")).audio
    parrot = Parrot(clips)
    with pytest.warns(UserWarning, match=r"1 clip\(s\) left out.*v01_x_sad\.wav"):
        result = evaluate(parrot, "group-3", verbose=0)
    assert len(result.clips) == len(custom)
    assert str(broken) not in set(parrot.log["predict"]) | set(parrot.log["fit"][0]["path"])


def test_audio_is_read_once_an_evaluation(custom, monkeypatch):
    read = []
    load = evaluation.load_audio
    monkeypatch.setattr(evaluation, "load_audio", lambda path: read.append(path) or load(path))
    evaluate(Parrot(custom), "loso", verbose=0)
    assert sorted(read) == sorted(custom["path"])


def test_the_real_corpora_share_sentences_but_no_recordings(real_data):
    clips = pd.concat(
        [list_clips(group, data_dir=real_data) for group in ("emodb", "tess_ravdess")]
    )
    clips = clips.assign(digest=evaluation.audio_digests(clips["path"]))
    for corpus, speaker, n_sentences in (("emodb", "16", 10), ("ravdess", "05", 2)):
        held_out = (clips["corpus"] == corpus) & (clips["speaker"] == speaker)
        if held_out.any():
            leaks = find_leaks(clips[~held_out], clips[held_out])
            assert not leaks
            assert len([s for s in leaks.sentences if s.startswith(corpus)]) == n_sentences


# results


def test_the_first_line_is_the_protocol():
    result = make_result()
    lines = str(result).splitlines()
    assert lines[0] == result.protocol == "by hand, 1 fold"
    text = str(result)
    for word in ("Some: sad, angry, happy", "leak guard", "chance: UAR 0.333", "macro F1",
                 "corpus emodb", "gender male", "emodb/0", "calibration error"):  # fmt: skip
        assert word in text
    assert re.search(r"all +12 +300 +0\.\d{3} \(0\.\d{3} to 0\.\d{3}\)", text)
    assert re.search(r"sad +\d+ +0\.\d{3} \(0\.\d{3} to 0\.\d{3}\) +\d", text)
    assert repr(result).startswith("<ClassificationEvaluation of Some, loso: UAR 0.")


@pytest.mark.parametrize(
    ("protocol", "start"),
    [
        ("loso", "leave one speaker out (loso) of custom: 87 clips of 11 speakers"),
        ("group-3", "group-3, 3 folds of speakers of custom: 87 clips of 11 speakers"),
        ("random", "random, 10 folds of clips of custom: 87 clips of 11 speakers"),
        ("standard", "standard split of custom: trained on 63 clips of 7 speakers, tested on 24 "),
    ],
)
def test_protocol_lines(custom, protocol, start):
    result = evaluate(Parrot(custom), protocol, verbose=0)
    assert str(result).startswith(start)
    assert ("flatters" in result.protocol) == (protocol == "random")


def test_rows_are_those_of_sklearn_on_the_same_clips():
    result = make_result()
    frame = result.to_frame()
    assert list(dict.fromkeys(frame.index.get_level_values("rows"))) == [
        "all", "corpus", "gender", "speaker"
    ]  # fmt: skip
    clips = result.clips.assign(voice=speaker_groups(result.clips), whole="")
    columns = {"all": "whole", "corpus": "corpus", "gender": "gender", "speaker": "voice"}
    assert len(frame) == sum(clips[column].nunique() for column in columns.values())
    for (kind, name), row in frame.iterrows():
        own = clips[clips[columns[kind]] == name]
        y_true, y_pred = own["emotion"].astype(str), own["predicted"].astype(str)
        assert row["n_clips"] == len(own)
        assert row["n_speakers"] == own["voice"].nunique()
        assert row["uar"] == pytest.approx(balanced_accuracy_score(y_true, y_pred))
        assert row["accuracy"] == pytest.approx(accuracy_score(y_true, y_pred))
        assert row["macro_f1"] == pytest.approx(f1_score(y_true, y_pred, average="macro"))
        recalls = recall_score(y_true, y_pred, labels=LABELS, average=None)
        np.testing.assert_allclose(result.recalls().loc[kind, name][LABELS], recalls)
        for measure in ("uar", "accuracy", "macro_f1"):
            low, high = row[f"{measure}_low"], row[f"{measure}_high"]
            if kind == "speaker":
                assert np.isnan(low) and np.isnan(high)
            else:
                assert low < row[measure] < high


def test_a_corpuss_interval_is_of_its_own_speakers():
    result = make_result()
    row = result.to_frame().loc["corpus", "emodb"]
    own = result.clips[result.clips["corpus"] == "emodb"].reset_index()
    y_true, y_pred = (own[c].to_numpy(dtype=str) for c in ("emotion", "predicted"))
    oracle = plain_bootstrap(
        own["speaker"].to_numpy(dtype=str),
        lambda rows: balanced_accuracy_score(y_true[rows], y_pred[rows]),
    )
    assert (row["uar_low"], row["uar_high"]) == pytest.approx(tuple(oracle), abs=0.02)


def test_scores_are_the_first_row_and_the_calibration_error():
    result = make_result()
    scores = result.scores()
    row = result.to_frame().loc["all", ""]
    assert list(scores) == [*row.index[2:], "ece"]
    assert [scores[name] for name in row.index[2:]] == row[2:].tolist()
    right = result.clips["predicted"] == result.clips["emotion"]
    assert scores["ece"] == evaluation.calibration_error(result.clips["confidence"], right)


def test_one_speaker_is_said_to_have_no_interval():
    result = make_result(n_speakers=1)
    assert result.scores()["uar_low"] is None
    assert re.search(r"all .*\(one speaker, no interval\)", str(result))
    assert "nan" not in str(result).lower()
    table = make_result().to_frame()
    assert table.loc["speaker"]["uar_low"].isna().all()
    assert "Each speaker (one speaker, no interval)" in str(make_result())


def test_an_emotion_without_clips_is_shown_as_such():
    result = make_result(emotion="sad")
    assert result.recalls().loc[("all", ""), "angry":"happy_high"].isna().all()
    assert "nan" not in str(result).lower()
    assert result.to_dict()["per_class_recall"]["angry"] is None
    json.dumps(result.to_dict(), allow_nan=False)


def test_confusion_matrix_against_sklearn_and_a_loop():
    result = make_result()
    y_true, y_pred = (result.clips[c].to_numpy(dtype=str) for c in ("emotion", "predicted"))
    truth = confusion_matrix(y_true, y_pred, labels=LABELS)
    np.testing.assert_array_equal(result.confusion_matrix(percentage=False, labeled=False), truth)
    table = result.confusion_matrix()
    assert table.index.tolist() == ["true_sad", "true_angry", "true_happy"]
    assert table.columns.tolist() == ["predicted_sad", "predicted_angry", "predicted_happy"]
    np.testing.assert_allclose(table, 100 * truth / truth.sum(axis=1, keepdims=True))
    ours = [result.confusion_matrix(bound=b).loc["true_sad", "predicted_happy"]
            for b in ("low", "high")]  # fmt: skip
    oracle = plain_bootstrap(
        speaker_groups(result.clips),
        lambda rows: 100 * (y_pred[rows] == "happy")[y_true[rows] == "sad"].mean(),
    )
    assert ours == pytest.approx(oracle, abs=2)
    with pytest.raises(ValueError, match="None, low, high"):
        result.confusion_matrix(bound="middle")
    with pytest.raises(ValueError, match="Only percentages"):
        result.confusion_matrix(percentage=False, bound="low")


def test_the_dict_is_plain_and_complete():
    result = make_result()
    plain = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert plain["protocol"] == result.protocol and plain["model"] == "Some"
    assert (plain["n_speakers"], plain["n_clips"]) == (12, 300)
    assert plain["uar_low"] < plain["uar"] < plain["uar_high"]
    assert plain["per_class_recall"].keys() == set(LABELS)
    for emotion in LABELS:
        low, high = (plain[f"per_class_recall_{bound}"][emotion] for bound in ("low", "high"))
        assert low < plain["per_class_recall"][emotion] < high
    assert plain["emotions"] == LABELS and plain["corpora"] == ["emodb", "ravdess"]
    assert sum(map(sum, plain["confusion"])) == 300
    assert plain["leaks"] == {"speakers": [], "audio": [], "sentences": []}


def text_of(html):
    """What a notebook shows of HTML: str, without the tags."""
    return unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", html)))


def test_notebooks_show_what_was_measured_and_how():
    result = make_result(model="<b>")
    shown = text_of(result._repr_html_())
    for text in ("protocol by hand, 1 fold", "model <b> ", "emotions sad, angry, happy",
                 "chance UAR 0.333", f"leak guard {result.leaks}",
                 "corpus emodb", "gender male"):  # fmt: skip
        assert text in shown
    score = result.scores()
    assert f"{score['uar']:.3f} ({score['uar_low']:.3f} to {score['uar_high']:.3f})" in shown


def test_notebooks_show_a_comparison():
    first, second = make_result(model="<b>"), make_result(model="other")
    comparison = compare(first, second)
    shown = text_of(comparison._repr_html_())
    assert "first: <b> (loso) UAR 0." in shown and "second: other (loso) UAR 0." in shown
    assert "first minus second +0.000 (95 % by speaker" in shown and "300 clips of 12" in shown
    assert repr(comparison) == f"<Comparison: {comparison}>"
    alone = replace(comparison, low=None, high=None, probability=None)
    assert "+0.000 (one speaker, no interval)" in text_of(alone._repr_html_())


def test_leaks_are_text_in_notebooks():
    assert repr(Leaks(speakers=("emodb/03",))).startswith("<Leaks: the same speaker on both sides")


@pytest.mark.parametrize("text", ["<script>", "a & b", '"quoted"'])
def test_html_tables_escape_every_text(text):
    shown = html_table(text, {text: text})
    assert text_of(shown).split() == 3 * text.split() and text not in shown


def test_scores_in_words_say_where_there_is_no_interval():
    scores = {"mae": 0.5, "mae_low": None, "mae_high": None, "ccc": None, "ccc_low": None,
              "ccc_high": None}  # fmt: skip
    assert scores_in_words(scores) == "MAE 0.500 (one speaker, no interval), CCC -"


def test_a_figure_of_several_panels_shows_itself_in_a_notebook():
    """Wherever it is the value of a cell, also where no pyplot has said how figures are shown."""
    figure = new_figure(2, 1)
    figure.subplots(1, 2)
    shown = figure._repr_png_()
    assert shown.startswith(b"\x89PNG") and len(shown) > 1000
    assert int.from_bytes(shown[16:20], "big") == 2 * figure.dpi


@pytest.mark.parametrize(
    ("corpus", "speaker", "expected"),
    [
        ("ravdess", "01", "male"),
        ("ravdess", "24", "female"),
        *[("emodb", s, "male") for s in ("03", "10", "11", "12", "15")],
        *[("emodb", s, "female") for s in ("08", "09", "13", "14", "16")],
        ("tess", "25", "female"),
        ("tess", "26", "female"),
        ("custom", "01", "unknown"),
        ("ravdess", "x", "unknown"),
    ],
)
def test_genders(corpus, speaker, expected):
    assert evaluation.gender(corpus, speaker) == expected


def test_the_split_is_described_and_shared_speakers_are_named():
    rows = pd.DataFrame({"corpus": ["tess", "emodb"]})
    line = evaluation.describe_split(rows, rows, ["tess/25", "emodb/03"], ["tess/25", "emodb/15"])
    assert line == (
        "standard split of emodb, tess: trained on 2 clips of 2 speakers, tested on 2 clips of 2; "
        "on both sides: tess/25"
    )
    assert "none of them heard" in evaluation.describe_split(rows, rows, ["a", "b"], ["c", "d"])


# pictures


@pytest.fixture
def pyplot():
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    yield pyplot
    pyplot.close("all")


@pytest.mark.parametrize("name", ["confusion_matrix", "speakers", "reliability"])
def test_pictures_are_drawn_where_they_are_wished(pyplot, name):
    result = make_result()
    draw = getattr(result, f"draw_{name}")
    own = pyplot.subplots()[1]
    assert draw(ax=own) is own
    new = draw()
    assert new is not own
    for ax in (own, new):
        title = ax.get_title().splitlines()
        assert title[0].startswith("Some: ") and title[1] == "by hand, 1 fold"
        assert ax.get_xlabel()


def test_speakers_are_sorted_and_labelled_with_average_and_chance(pyplot):
    result = make_result()
    ax = result.draw_speakers()
    widths = [bar.get_width() for bar in ax.patches]
    names = [label.get_text() for label in ax.get_yticklabels()]
    voices = result.to_frame().loc["speaker"]["uar"]
    assert widths == sorted(widths) and dict(zip(names, widths, strict=True)) == voices.to_dict()
    lines = [line.get_xdata()[0] for line in ax.lines]
    assert lines == pytest.approx([voices.mean(), 1 / 3])
    rng = np.random.default_rng(0)
    speakers = rng.integers(0, 5, 50).astype(str)
    ax = make_regression(rng.integers(0, 3, 50), np.ones(50), speakers).draw_speakers()
    errors = [bar.get_width() for bar in ax.patches]
    assert errors == sorted(errors, reverse=True)  # the best on top, too


def test_the_confusion_picture_has_the_numbers(pyplot):
    result = make_result()
    ax = result.draw_confusion_matrix(percentage=False)
    shown = [int(text.get_text()) for text in ax.texts]
    assert shown == result.confusion_matrix(percentage=False, labeled=False).ravel().tolist()
    assert [label.get_text() for label in ax.get_xticklabels()] == LABELS


def test_the_reliability_curve_has_its_error_in_the_title(pyplot):
    result = make_result()
    ax = result.draw_reliability()
    assert f"ECE {result.scores()['ece']:.3f}" in ax.get_title()
    table = result.reliability().dropna()
    np.testing.assert_allclose(ax.lines[1].get_xydata(), table[["confidence", "accuracy"]])
    heights = [bar.get_height() for bar in ax.patches]
    assert sum(heights) == pytest.approx(1)


# comparing


def test_a_system_is_as_good_as_itself():
    same = compare(make_result(), make_result())
    assert (same.difference, same.low, same.high, same.probability) == (0, 0, 0, 0.5)


def test_a_comparison_is_paired_as_in_a_loop():
    first, second = make_result(seed=1, model="One"), make_result(seed=2, model="Two")
    ours = compare(first, second)
    y_true = first.clips["emotion"].to_numpy(dtype=str)
    predicted = [e.clips["predicted"].to_numpy(dtype=str) for e in (first, second)]

    def gap(rows):
        scores = [balanced_accuracy_score(y_true[rows], p[rows]) for p in predicted]
        return scores[0] - scores[1]

    low, high = plain_bootstrap(speaker_groups(first.clips), gap)
    assert ours.difference == pytest.approx(gap(np.arange(300)))
    assert (ours.low, ours.high) == pytest.approx((low, high), abs=0.015)
    other_way = compare(second, first)
    assert other_way.difference == -ours.difference
    assert other_way.probability == pytest.approx(1 - ours.probability)
    assert str(ours) == (
        f"UAR of One (loso) minus that of Two (loso): {first.scores()['uar']:.3f} - "
        f"{second.scores()['uar']:.3f} = {ours.difference:+.3f} (95 % by speaker: {ours.low:+.3f} "
        f"to {ours.high:+.3f}; it is better with probability {ours.probability:.3f}); 300 clips of "
        "12 speakers"
    )


def test_the_order_of_the_clips_doesnt_matter():
    first, second = make_result(seed=1), make_result(seed=2)
    expected = compare(first, second)
    second.clips = second.clips.sample(frac=1, random_state=0)
    assert compare(first, second) == expected


def test_who_is_right_more_often_is_better_and_who_errs_less_too():
    first = make_result()
    perfect = make_result(predicted=first.clips["emotion"])
    assert compare(perfect, first).probability == 1
    rng = np.random.default_rng(0)
    t, speakers = rng.integers(0, 3, 60).astype(float), rng.integers(0, 6, 60).astype(str)
    good, bad = make_regression(t, t + 0.1, speakers), make_regression(t, t + 1, speakers)
    result = compare(good, bad)
    assert (result.measure, result.probability) == ("mae", 1)
    assert result.difference == pytest.approx(-0.9)
    assert "MAE of" in str(result)


def test_one_speaker_compares_without_an_interval():
    result = compare(make_result(n_speakers=1, seed=1), make_result(n_speakers=1, seed=2))
    assert result.low is result.high is result.probability is None
    assert "one speaker, no interval" in str(result)


def test_only_the_same_clips_and_folds_are_compared():
    first, other = make_result(), make_result()
    other.clips = other.clips.iloc[:-2]
    with pytest.raises(ValueError, match=r"only one has 298\.wav, 299\.wav"):
        compare(first, other)
    with pytest.raises(ValueError, match="the same fold for"):
        compare(first, make_result(fold="2"))
    assert compare(first, make_result(fold="2"), same_folds=False).difference == 0
    with pytest.raises(ValueError, match="the same emotion for"):
        compare(first, make_result(emotion="sad"), same_folds=False)
    with pytest.raises(ValueError, match="other emotions or kind"):
        compare(first, make_regression([1.0], [1.0], ["a"]))


# the command line


def run_cli(capsys, *arguments):
    """Run main in this process on the bundled clips, by default of three emotions."""
    capsys.readouterr()
    three = [] if "--emotions" in arguments else ["--emotions", "sad,neutral,happy"]
    where = ["--corpus", "custom", "--data-dir", str(REPO / "data")]
    assert not evaluation.main([*arguments, *three, *where])
    return capsys.readouterr().out


def test_the_command_prints_json_from_a_fresh_process(tmp_path):
    command = [sys.executable, str(REPO / "evaluation.py"), "--corpus", "custom", "--json",
               "--protocol", "loso", "--model", "KNeighbors", "--emotions", "sad,neutral,happy",
               "--data-dir", str(REPO / "data")]  # fmt: skip
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["protocol"].startswith("leave one speaker out (loso) of custom: 87 clips of 11")
    assert result["model"] == "KNeighbors"
    assert (result["n_speakers"], result["n_clips"]) == (11, 87)
    assert result["uar_low"] < result["uar"] < result["uar_high"]
    assert result["per_class_recall"].keys() == {"sad", "neutral", "happy"}
    assert result["uar"] == pytest.approx(np.mean(list(result["per_class_recall"].values())))
    assert list(tmp_path.iterdir()) == [] and result["pictures"] == []
    expected = evaluate(named_recognizer("KNeighbors", **BUNDLED, balance=False), verbose=0)
    assert result["accuracy"] == expected.scores()["accuracy"]


def test_importing_is_cheap_and_a_failing_command_says_so_in_one_line():
    code = (
        "import evaluation, sys; "
        "print({'matplotlib.pyplot', 'emotion_recognition'} & set(sys.modules)); "
        "evaluation.main(['--protocol', 'lso'])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=REPO, capture_output=True, text=True)
    assert done.returncode == 1 and done.stdout == "set()\n"
    assert re.fullmatch(r"evaluation\.py: .*Did you mean 'loso'\?\n", done.stderr)


def test_the_command_prints_the_table_and_writes_the_pictures(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    printed = run_cli(capsys, "--model", "SVC", "--protocol", "group-3", "--emotions", "sad,happy")
    assert printed.startswith("group-3, 3 folds of speakers of custom: 58 clips of 11 speakers")
    assert "SVC: sad, happy" in printed
    stem = Path("results") / "custom_group-3_SVC"
    written = [f"{stem}_{name}.png" for name in ("confusion_matrix", "speakers", "reliability")]
    assert printed.splitlines()[-1] == f"pictures: {', '.join(written)}"
    for path in written:
        assert Path(path).read_bytes().startswith(b"\x89PNG")
    out = run_cli(capsys, "--protocol", "standard", "--model", "SVC", "--json",
                  "--pictures", "here")  # fmt: skip
    assert len(json.loads(out)["pictures"]) == len(list(Path("here").iterdir())) == 3


@pytest.mark.parametrize("model", ["default", "classic"])
def test_the_recommended_and_the_classic_recognizer(capsys, model):
    arguments = ["--model", model, "--protocol", "standard", "--emotions", "sad,happy", "--json"]
    result = json.loads(run_cli(capsys, *arguments))
    assert result["model"] == model
    assert result["n_speakers"] == 4 and result["n_clips"] == 16
    assert result["uar"] > 0.6  # chance is 0.5


def test_calibration_from_the_command_line(capsys):
    results = {
        n: json.loads(
            run_cli(capsys, "--model", "SVC", "--protocol", "group-2", "--calibrate", n, "--json")
        )
        for n in ("5", "all")
    }
    assert "with 5 other unlabelled clips" in results["5"]["protocol"]
    assert "transductive" in results["all"]["protocol"]
    assert {result["n_clips"] for result in results.values()} == {87}


def test_leakage_side_by_side(capsys, tmp_path):
    arguments = ["--leakage", "--protocol", "group-3", "--model", "KNeighbors", "--emotions",
                 "sad,happy"]  # fmt: skip
    result = json.loads(run_cli(capsys, *arguments, "--json"))
    assert result["random"]["protocol"].startswith("random, 10 folds")
    gap = result["random"]["uar"] - result["group-3"]["uar"]
    assert result["difference"]["difference"] == pytest.approx(gap)
    printed = run_cli(capsys, *arguments, "--pictures", str(tmp_path))
    lines = printed.splitlines()
    assert lines[0] == result["random"]["protocol"]
    assert lines[1] == result["group-3"]["protocol"]
    assert re.search(r"^random +11 +58 +0\.", printed, re.MULTILINE)
    assert re.search(r"^group-3 +11 +58 +0\.", printed, re.MULTILINE)
    assert "What leakage is worth: UAR of KNeighbors (random) minus that of KNeighbors (" in printed


def test_regression_from_the_command_line(capsys, tmp_path):
    arguments = ["--regression", "--model", "SVR", "--protocol", "group-2"]
    printed = run_cli(capsys, *arguments, "--pictures", str(tmp_path))
    assert "MAE" in printed and "CCC" in printed and "UAR" not in printed
    assert [path.name for path in tmp_path.iterdir()] == ["custom_group-2_SVR_speakers.png"]
    five = "angry,sad,neutral,ps,happy"
    result = json.loads(run_cli(capsys, *arguments, "--emotions", five, "--json"))
    assert result["mae_low"] < result["mae"] < result["mae_high"]
    assert -1 < result["ccc_low"] < result["ccc"] < result["ccc_high"] < 1
    assert result["n_clips"] == 145


def test_features_and_the_seed_have_their_effect(capsys):
    common = ["--model", "KNeighbors", "--protocol", "group-2", "--json"]
    plain = json.loads(run_cli(capsys, *common))
    mel = json.loads(run_cli(capsys, *common, "--features", "mel"))
    assert plain["confusion"] != mel["confusion"]
    seeded = json.loads(run_cli(capsys, *common, "--seed", "1"))
    assert plain["confusion"] == seeded["confusion"] and plain != seeded  # but for the bounds


def test_functionals_have_their_effect(capsys):
    common = ["--model", "SVC", "--protocol", "standard", "--features", "mfcc", "--json"]
    plain = json.loads(run_cli(capsys, *common, "--functionals", "mean"))
    more = json.loads(run_cli(capsys, *common, "--functionals", "mean,std"))
    assert plain["confusion"] != more["confusion"]


@pytest.fixture(scope="module")
def two_corpora_folder(tmp_path_factory):
    """Bundled clips of four voices as own recordings, and of three others as EMO-DB."""
    folder = tmp_path_factory.mktemp("corpora")
    (folder / "emodb" / "wav").mkdir(parents=True)
    (folder / "train-custom").mkdir()
    speakers, codes = {"v05": "03", "v06": "08", "v07": "09"}, {"sad": "T", "happy": "F",
                                                               "boredom": "L"}  # fmt: skip
    for path in sorted((REPO / "data" / "train-custom").glob("*.wav")):
        voice, text, emotion = path.stem.split("_")
        if voice not in speakers and emotion in ("sad", "happy", "calm"):
            shutil.copy(path, folder / "train-custom")
        elif voice in speakers and emotion in codes:
            name = f"{speakers[voice]}a0{text[1]}{codes[emotion]}a.wav"
            shutil.copy(path, folder / "emodb" / "wav" / name)
    return folder


def test_cross_corpus_from_the_command_line(two_corpora_folder, capsys):
    arguments = ["--corpus", "emodb", "--train-corpora", "custom", "--protocol", "cross-corpus",
                 "--model", "SVC", "--data-dir", str(two_corpora_folder), "--json"]  # fmt: skip
    evaluation.main([*arguments, "--emotions", "all", "--label-map", "calm=sad,boredom=-"])
    result = json.loads(capsys.readouterr().out)
    assert "trained on 36 clips of 4 speakers of custom" in result["protocol"]
    assert result["protocol"].endswith("labels: calm as sad, without boredom")
    assert result["corpora"] == ["emodb"] and result["n_clips"] == 18
    assert result["emotions"] == ["sad", "happy"]
    with pytest.raises(SystemExit, match=r"only training has calm.*Pass a label_map"):
        evaluation.main([*arguments, "--emotions", "sad,happy,calm"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model", "SVG"], "Unknown model 'SVG'.*Did you mean 'SVC'"),
        (["--regression", "--model", "SVC"], "Unknown model 'SVC'.*Did you mean 'SVR'"),
        (["--corpus", "emo"], "Unknown corpus 'emo'.*Did you mean 'emodb'"),
        (["--emotions", "sad,hapy"], "Unknown emotion 'hapy'.*Did you mean 'happy'"),
        (["--features", "mfc", "--model", "SVC"], "Unknown feature 'mfc'"),
        (["--train-corpora", "emodb"], "--train-corpora is for --protocol cross-corpus"),
        (["--protocol", "cross-corpus"], "needs --train-corpora, and --corpus"),
        (["--leakage", "--protocol", "standard"], "compares random with loso or group-K"),
        (["--label-map", "sad=happy", "--model", "SVC"], "label_map is for 'cross-corpus'"),
        (["--data-dir", "nowhere"], "doesn't exist"),
    ],
)
def test_one_line_says_what_is_wrong_with_a_command(arguments, message):
    with pytest.raises(SystemExit) as caught:
        evaluation.main(["--data-dir", str(REPO / "data"), *arguments])
    text = str(caught.value)
    assert re.match(f"evaluation.py: .*{message}", text), text
    assert "\n" not in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--calibrate", "many"], "a number of clips or all"),
        (["--calibrate", "-1"], "a number of clips or all"),
        (["--label-map", "ps:happy"], "OLD=NEW"),
        (["--seed", "x"], "invalid int"),
    ],
)
def test_arguments_that_cant_be_read_are_refused(arguments, message, capsys):
    with pytest.raises(SystemExit) as caught:
        evaluation.main(arguments)
    assert caught.value.code == 2
    assert message in capsys.readouterr().err


def test_a_trained_recognizer_keeps_what_it_knows():
    rec = EmotionRecognizer(SVC(), emotions=LABELS, verbose=0, **BUNDLED).train()
    before = rec.model, rec.predict(rec.test_rows_["path"].tolist())
    evaluate(rec, "group-2", verbose=0)
    assert (rec.model, rec.predict(rec.test_rows_["path"].tolist())) == before
