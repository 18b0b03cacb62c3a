"""Reports of what was measured: scores, intervals, tables, pictures, comparisons.

scikit-learn's metrics and loops in plain Python are the oracles of scores.
"""

import json
import re
from dataclasses import replace

import matplotlib
import matplotlib.pyplot
import numpy as np
import pandas as pd
import pytest
from conftest import EMOTIONS
from conftest import ODD_ORDER as LABELS
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    confusion_matrix,
    f1_score,
    recall_score,
)
from test_metrics import plain_bootstrap, random_outcome
from test_plotting import text_of

from metrics import calibration_error, score
from reports import ClassificationEvaluation, RegressionEvaluation, compare
from tables import speaker_groups


def make_result(n_clips=300, n_speakers=12, seed=0, model="Some", **changes):
    """A result on clips of two corpora, about seven in ten right; seeds share the clips."""
    emotions, _, speakers = random_outcome(n_clips, n_speakers)
    rng = np.random.default_rng([seed, 1])
    clips = pd.DataFrame(
        {
            "path": [f"{i}.wav" for i in range(n_clips)],
            "emotion": emotions,
            "speaker": speakers,
            "corpus": np.where(speakers.astype(int) % 2, "ravdess", "emodb"),
            "gender": np.where(speakers.astype(int) % 3, "male", "female"),
            "fold": "1",
            "predicted": np.where(rng.random(n_clips) < 0.7, emotions, rng.choice(LABELS, n_clips)),
            "confidence": rng.uniform(1 / 3, 1, n_clips),
        }
    ).assign(**changes)
    return ClassificationEvaluation(
        clips, LABELS, protocol="by hand, 1 fold", protocol_name="loso", model=model
    )


def make_regression(y_true, y_pred, speakers, model="Some"):
    clips = pd.DataFrame(
        {
            "path": [f"{i}.wav" for i in range(len(y_true))],
            "emotion": "sad",
            "speaker": speakers,
            "corpus": "custom",
            "gender": "unknown",
            "fold": "1",
            "target": y_true,
            "predicted": y_pred,
        }
    )
    return RegressionEvaluation(
        clips, EMOTIONS, protocol="by hand", protocol_name="loso", model=model
    )


def test_the_first_line_is_the_protocol():
    result = make_result()
    lines = str(result).splitlines()
    assert lines[0] == result.protocol == "by hand, 1 fold"
    text = str(result)
    for word in (
        "Some: sad, angry, happy",
        "leak guard",
        "chance: UAR 0.333",
        "macro F1",
        "corpus emodb",
        "gender male",
        "emodb/0",
        "calibration error",
    ):
        assert word in text
    assert re.search(r"all +12 +300 +0\.\d{3} \(0\.\d{3} to 0\.\d{3}\)", text)
    assert re.search(r"sad +\d+ +0\.\d{3} \(0\.\d{3} to 0\.\d{3}\) +\d", text)
    assert repr(result).startswith("<ClassificationEvaluation of Some, loso: UAR 0.")


def test_numbers_are_scored_as_metrics_scores_them():
    rng = np.random.default_rng(0)
    t, speakers = rng.integers(1, 6, 200).astype(float), rng.integers(0, 8, 200).astype(str)
    p = t + rng.normal(0.3, 1, 200)
    result = make_regression(t, p, speakers)
    assert score(t, p, speakers) == pytest.approx(result.scores())
    assert result.chance() == pytest.approx(abs(t - np.median(t)).mean())


def test_rows_are_those_of_sklearn_on_the_same_clips():
    result = make_result()
    frame = result.to_frame()
    columns = {"all": "whole", "corpus": "corpus", "gender": "gender", "speaker": "group"}
    assert list(dict.fromkeys(frame.index.get_level_values("rows"))) == list(columns)
    clips = result.clips.assign(group=speaker_groups(result.clips), whole="")
    assert len(frame) == sum(clips[column].nunique() for column in columns.values())
    for (kind, name), row in frame.iterrows():
        own = clips[clips[columns[kind]] == name]
        y_true, y_pred = own["emotion"].astype(str), own["predicted"].astype(str)
        assert row["n_clips"] == len(own)
        assert row["n_speakers"] == own["group"].nunique()
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
    assert scores["ece"] == calibration_error(result.clips["confidence"], right)


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
    ours = [
        result.confusion_matrix(bound=b).loc["true_sad", "predicted_happy"] for b in ("low", "high")
    ]
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
    kinds = "speakers", "audio", "sentences", "giveaways", "unclear"
    assert plain["leaks"] == {kind: [] for kind in kinds}


def test_notebooks_show_what_was_measured_and_how():
    result = make_result(model="<b>")
    shown = text_of(result._repr_html_())
    for text in (
        "protocol by hand, 1 fold",
        "model <b> ",
        "emotions sad, angry, happy",
        "chance UAR 0.333",
        f"leak guard {result.leaks}",
        "corpus emodb",
        "gender male",
    ):
        assert text in shown
    score = result.scores()
    assert f"{score['uar']:.3f} ({score['uar_low']:.3f} to {score['uar_high']:.3f})" in shown


def make_loco():
    """A report of two corpora of different size, one of which has no happy clips."""
    loco = make_result()
    clips = loco.clips[(loco.clips["corpus"] == "ravdess") | (loco.clips["emotion"] != "happy")]
    loco.clips, loco.protocol_name = clips[~clips["speaker"].isin(["0", "2"])], "loco"
    return loco


def test_in_loco_every_corpus_counts_the_same_and_has_its_own_emotions():
    loco = make_loco()
    plain = json.loads(json.dumps(loco.to_dict(), allow_nan=False))
    own = dict(tuple(loco.clips.groupby("corpus")))
    assert len(own["emodb"]) < len(own["ravdess"]) and list(plain["by_corpus"]) == list(own)
    for name, clips in own.items():
        found = plain["by_corpus"][name]
        recalls = recall_score(
            clips["emotion"], clips["predicted"], labels=LABELS, average=None, zero_division=0
        )
        tested = [e for e in LABELS if e in set(clips["emotion"])]
        right = clips["emotion"] == clips["predicted"]
        assert found["emotions"] == tested
        assert found["chance"] == 1 / len(tested)
        assert (found["n_clips"], found["n_speakers"]) == (len(clips), clips["speaker"].nunique())
        uar = np.mean([r for e, r in zip(LABELS, recalls, strict=True) if e in tested])
        assert found["uar"] == pytest.approx(uar)
        assert found["ece"] == calibration_error(clips["confidence"], right)
        assert found["confidence_wrong"] == pytest.approx(clips["confidence"][~right].mean())
    for name in ("uar", "accuracy", "macro_f1", "ece", "chance"):
        mean = np.mean([found[name] for found in plain["by_corpus"].values()])
        assert plain[name] == pytest.approx(mean), name
    assert plain["uar_low"] < plain["uar"] < plain["uar_high"]
    text = str(loco)
    assert re.search(r"mean of the corpora +10 +\d+ +3 +0", text)
    assert re.search(r"corpus emodb +4 +\d+ +2 +0", text) and "nan" not in text.lower()


def test_confidences_are_of_all_clips_or_means_over_corpora():
    result, loco = make_result(), make_loco()
    right = result.clips["predicted"] == result.clips["emotion"]
    every = result.confidences().loc["all", ""]
    assert every["ece"] == calibration_error(result.clips["confidence"], right)
    assert every["over"] == (result.clips["confidence"] > 0.8).mean()
    table = loco.confidences()
    assert table.loc["all", ""].tolist() == pytest.approx(table.loc["corpus"].mean().tolist())
    with pytest.raises(ValueError, match=r"Unknown corpus 'emo'.*emodb"):
        loco.reliability("emo")


# pictures


@pytest.fixture
def pyplot():
    matplotlib.use("Agg")
    yield matplotlib.pyplot
    matplotlib.pyplot.close("all")


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


def test_pictures_have_the_numbers_of_the_tables(pyplot):
    result = make_result()
    ax = result.draw_confusion_matrix(percentage=False)
    shown = [int(text.get_text()) for text in ax.texts]
    assert shown == result.confusion_matrix(percentage=False, labeled=False).ravel().tolist()
    assert [label.get_text() for label in ax.get_xticklabels()] == LABELS
    ax = result.draw_speakers()
    names = [label.get_text() for label in ax.get_yticklabels()]
    widths = [bar.get_width() for bar in ax.patches]
    speakers = result.to_frame().loc["speaker"]["uar"]
    assert widths == sorted(widths) and dict(zip(names, widths, strict=True)) == speakers.to_dict()
    lines = [line.get_xdata()[0] for line in ax.lines]
    assert lines == pytest.approx([speakers.mean(), 1 / 3])
    ax = result.draw_reliability()
    assert f"ECE {result.scores()['ece']:.3f}" in ax.get_title()
    table = result.reliability().dropna()
    np.testing.assert_allclose(ax.lines[1].get_xydata(), table[["confidence", "accuracy"]])
    rng = np.random.default_rng(0)
    speakers = rng.integers(0, 5, 50).astype(str)
    ax = make_regression(rng.integers(0, 3, 50), np.ones(50), speakers).draw_speakers()
    errors = [bar.get_width() for bar in ax.patches]
    assert errors == sorted(errors, reverse=True)  # the best on top, too


def test_in_loco_each_corpus_has_its_own_panel():
    loco = make_loco()
    assert loco.drawn == ("confusion_matrix", "speakers", "reliability_by_corpus")
    figure = loco.draw_reliability_by_corpus(after=loco)
    lines = [line for ax in figure.axes for line in ax.lines]
    assert [line.get_label() for line in lines].count("and after adaptation") == len(figure.axes)
    assert ", adapted 0." in figure.axes[0].get_title()
    figure = loco.draw_reliability_by_corpus()
    eces = loco.confidences().loc["corpus"]["ece"]
    titles = [ax.get_title() for ax in figure.axes]
    assert titles == [f"{name}, ECE {ece:.3f}" for name, ece in eces.items()]
    for ax, name in zip(figure.axes, eces.index, strict=True):
        table = loco.reliability(name).dropna()
        np.testing.assert_allclose(ax.lines[1].get_xydata(), table[["confidence", "accuracy"]])
    assert figure.get_suptitle().startswith("Some: reliability in each corpus\nby hand")


# comparing


def test_notebooks_show_a_comparison():
    first, second = make_result(model="<b>"), make_result(model="other")
    comparison = compare(first, second)
    shown = text_of(comparison._repr_html_())
    assert "first: <b> (loso) UAR 0." in shown and "second: other (loso) UAR 0." in shown
    assert "first minus second +0.000 (95 % by speaker" in shown and "300 clips of 12" in shown
    assert repr(comparison) == f"<Comparison: {comparison}>"
    alone = replace(comparison, low=None, high=None, probability=None)
    assert "+0.000 (one speaker, no interval)" in text_of(alone._repr_html_())


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


def test_locos_are_compared_by_their_means_over_corpora():
    first, second = make_result(seed=1), make_result(seed=2)
    first.protocol_name = "loco"
    with pytest.raises(ValueError, match="compare it with loco only"):
        compare(first, second)
    second.protocol_name = "loco"
    result = compare(first, second)
    means = [
        np.mean([balanced_accuracy_score(c["emotion"], c["predicted"]) for _, c in parts])
        for parts in (e.clips.groupby("corpus") for e in (first, second))
    ]
    assert result.values == pytest.approx(means)
    assert result.low < result.difference < result.high


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
    with pytest.raises(ValueError, match="different kinds or emotions"):
        compare(first, make_regression([1.0], [1.0], ["a"]))
