"""Recognizers of numbers: the same ways as for emotions, with columns of a table as targets.

The numbers are made of the labels of the bundled clips, and of nothing that people have rated.
"""

import json
import warnings

import numpy as np
import pandas as pd
import pytest
from conftest import BUNDLED, FEW, bundled_clip
from sklearn.linear_model import Ridge
from sklearn.multioutput import MultiOutputRegressor
from sklearn.neighbors import KNeighborsRegressor
from sklearn.svm import SVC, SVR

import commands
import formats
from audio import load_audio
from corpora import wishes
from create_csv import labelled_clips
from data_extractor import numbers_of
from emotion_recognition import EmotionRecognizer, load_recognizer, recommended
from evaluation import CORPORA_OPTIONS, compare, evaluate
from explain import explain
from metrics import regression_measures
from parameters import SAMPLE_RATE
from predictor import recognise
from reports import NumbersEvaluation

AROUSAL = {"sad": -0.6, "neutral": 0.0, "happy": 0.6, "angry": 0.8, "fear": 0.7, "boredom": -0.7}
VALENCE = {"sad": -0.7, "neutral": 0.0, "happy": 0.9, "angry": -0.6, "fear": -0.6, "boredom": -0.3}
BOTH = ["arousal", "valence"]


def numbered():
    """The bundled clips with arousal and valence: DataFrame."""
    rows = labelled_clips(wishes(["custom"]), data_dir=BUNDLED["data_dir"], verbose=0)
    rows = rows[rows["emotion"].isin(list(AROUSAL))].reset_index(drop=True)
    arousal, valence = (rows["emotion"].map(scale) for scale in (AROUSAL, VALENCE))
    return rows.assign(arousal=arousal, valence=valence)


def make(target, model=None, **options):
    options = BUNDLED | {"encoder": None} | options
    model = recommended(target=target, **options).model if model is None else model
    options = {name: x for name, x in options.items() if name not in CORPORA_OPTIONS}
    return EmotionRecognizer(model, target=target, data=numbered(), **options)


@pytest.fixture(scope="module")
def arousal():
    """A recognizer of one number."""
    return make("arousal").train()


@pytest.fixture(scope="module")
def both():
    """A recognizer of two numbers."""
    return make(BOTH).train()


def test_numbers_are_learned_from_the_clips_of_all_emotions(arousal):
    assert not arousal.classification and arousal.emotions == []
    assert len(arousal.y_train) == (numbered()["partition"] == "train").sum()
    expected = arousal.train_rows_["arousal"].to_numpy()
    np.testing.assert_array_equal(arousal.y_train, expected)
    assert arousal.get_samples_by_class().loc["total", "train"] == len(expected)


def test_the_voices_of_the_test_part_are_recognised(both):
    scores = both.scores()
    assert scores["ccc"] > 0.5 and scores["ccc_low"] < scores["ccc"] < scores["ccc_high"]
    assert scores["mae"] == pytest.approx(both.test_score()) and scores["rmse"] > scores["mae"]


def test_one_number_is_a_float_and_several_have_names(arousal, both):
    loud, soft = bundled_clip("happy"), bundled_clip("sad")
    assert arousal.predict(loud) > 0.2 > -0.2 > arousal.predict(soft)
    found = both.predict([loud, soft])
    assert [list(one) for one in found] == [BOTH, BOTH]
    assert found[0] == pytest.approx(both.predict(loud), abs=1e-4)
    assert found[0]["valence"] > found[1]["valence"]


def test_without_speech_there_is_no_number(arousal, both):
    silence = np.zeros(SAMPLE_RATE)
    assert np.isnan(arousal.predict(silence, sr=SAMPLE_RATE))
    assert both.predict(silence, sr=SAMPLE_RATE) == {}
    first, second = both.predict([silence, silence], sr=SAMPLE_RATE)
    assert first == second == {} and first is not second


def test_recognise_gives_numbers_and_warnings(both):
    y = load_audio(bundled_clip("happy"))
    found = recognise(both, y)
    assert found["numbers"] == pytest.approx(both.predict(y, sr=SAMPLE_RATE))
    assert list(found) == ["numbers", "novelty", "warnings"] and found["novelty"] < 1
    silent = recognise(both, np.zeros(SAMPLE_RATE, np.float32))
    assert silent["numbers"] == {} and "no-speech" in silent["warnings"]
    for choice in ({"emotions": ["sad"]}, {"abstain": 0.5}, {"coverage": 0.9}):
        with pytest.raises(ValueError, match="numbers"):
            recognise(both, y, **choice)


def test_probabilities_are_for_emotions(both):
    for ask in (both.predict_proba, both.predict_set, lambda path: both.predict(path, abstain=0.5)):
        with pytest.raises(ValueError, match="no probabilities"):
            ask(bundled_clip("sad"))


@pytest.mark.parametrize("name", ["arousal", "both"])
def test_a_file_answers_as_what_was_saved(name, request, tmp_path):
    rec, path = request.getfixturevalue(name), tmp_path / "numbers.ser"
    rec.save(path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loaded = load_recognizer(path)
    assert loaded.targets == rec.targets and loaded.score_ == rec.scores()
    assert loaded.predict(bundled_clip("happy")) == rec.predict(bundled_clip("happy"))
    assert repr(loaded).startswith(f"<EmotionRecognizer of {', '.join(rec.targets)}: BlockRidge")
    assert ", ".join(rec.targets) in loaded.card()


@pytest.mark.parametrize("model", [KNeighborsRegressor(3), MultiOutputRegressor(SVR()), Ridge()])
def test_other_models_of_several_numbers_are_saved(model, tmp_path):
    rec = make(BOTH, model, **FEW).train()
    rec.save(tmp_path / "numbers.ser")
    found = load_recognizer(tmp_path / "numbers.ser").predict(bundled_clip("sad"))
    assert found == pytest.approx(rec.predict(bundled_clip("sad")))


def test_it_is_adapted_to_a_speaker_without_labels(both, bundled_clips, tmp_path):
    own = [path for path in bundled_clips if "v21" in path]
    adapted = both.adapt(own)
    assert adapted.predict(own[0]) != both.predict(own[0])
    assert 0 < adapted.adaptation_.n_changed < len(own) == adapted.adaptation_.n_used
    adapted.save(tmp_path / "own.ser")
    assert load_recognizer(tmp_path / "own.ser").predict(own[0]) == adapted.predict(own[0])
    with pytest.raises(ValueError, match="Unknown emotion 'sad'; there is none"):
        both.adapt(own, "sad")
    with pytest.raises(ValueError, match="predicts numbers"):
        both.predictor_.adapted(both.X_train[:2], ["sad", None])


def test_an_evaluation_is_of_each_number_and_of_their_mean(tmp_path):
    result = evaluate(make(BOTH, **FEW), "group-3", verbose=0)
    assert isinstance(result, NumbersEvaluation)
    clips, each = result.clips, []
    for name in BOTH:
        t, p = clips[f"target_{name}"].to_numpy(), clips[f"predicted_{name}"].to_numpy()
        gap = (t.mean() - p.mean()) ** 2
        each.append(2 * np.cov(t, p, bias=True)[0, 1] / (t.var() + p.var() + gap))
        row = result.to_frame().loc[("target", name)]
        assert row["ccc"] == pytest.approx(each[-1]) and row["ccc_low"] < row["ccc"]
        assert row["rmse"] == pytest.approx(np.sqrt(np.mean((p - t) ** 2)))
    scores = result.scores()
    assert next(iter(scores)) == "ccc" and scores["ccc"] == pytest.approx(np.mean(each))
    plain = json.loads(json.dumps(result.to_dict()))
    assert plain["targets"]["valence"]["ccc"] == pytest.approx(each[1]) and plain["chance"] == 0
    assert "target valence" in str(result) and "arousal, valence" in result._repr_html_()
    titles = [ax.get_title() for ax in result.draw_predictions().axes]
    assert titles == [f"{name}, CCC {ccc:.3f}" for name, ccc in zip(BOTH, each, strict=True)]


def test_two_evaluations_of_numbers_are_compared_by_ccc():
    few, ridge = make("arousal", **FEW), make("arousal", Ridge(1e6), **FEW)
    results = [evaluate(rec, "group-3", calibrate=3, verbose=0) for rec in (few, ridge)]
    found = compare(*results)
    assert found.measure == "ccc" and found.difference > 0
    other = evaluate(make("valence", **FEW), "group-3", verbose=0)
    with pytest.raises(ValueError, match="different kinds or emotions"):
        compare(results[0], other)


def test_a_timeline_of_numbers_has_curves(both, tmp_path):
    paths = [bundled_clip("happy"), bundled_clip("sad")]
    pause = np.zeros(SAMPLE_RATE, np.float32)
    y = np.concatenate([part for path in paths for part in (load_audio(path), pause)])
    table = both.predict_timeline(y, sr=SAMPLE_RATE)
    assert list(table) == ["start", "end", *BOTH]
    half = len(load_audio(paths[0])) / SAMPLE_RATE
    first, second = table[table["end"] <= half + 0.5], table[table["start"] >= half + 0.5]
    assert first["arousal"].mean() > second["arousal"].mean()
    smooth = both.predict_timeline(y, sr=SAMPLE_RATE, smooth=2)
    assert smooth["arousal"].iloc[1] == pytest.approx(table["arousal"].iloc[:2].mean())
    figure = formats.draw_timeline(y, table, sr=SAMPLE_RATE)
    curves = [line.get_label() for line in figure.axes[2].lines]
    assert len(figure.axes) == 3 and [name for name in curves if name[0] != "_"] == BOTH
    assert json.loads(formats.to_json(table))["rows"][0]["valence"] == table["valence"].iloc[0]
    with pytest.raises(ValueError, match="csv, json or png"):
        formats.to_srt(table)
    turns = pd.DataFrame({"start": [0.0, half], "end": [half, 2 * half], "speaker": ["ann", "bob"]})
    rows = both.predict_timeline(y, sr=SAMPLE_RATE, segments=turns)
    assert list(rows) == ["start", "end", "speaker", *BOTH]
    assert rows["arousal"].iloc[0] == pytest.approx(both.predict(paths[0])["arousal"], abs=1e-4)


def test_a_number_is_explained_by_groups_that_add_up(both):
    y = load_audio(bundled_clip("happy"))
    table = explain(both, y, sr=SAMPLE_RATE, emotion="valence", verbose=0)
    own = table[table["kind"] == "features"]["effect"].sum()
    valence = both.predict(y, sr=SAMPLE_RATE)["valence"]
    assert table.attrs["predicted"] == pytest.approx(valence, abs=1e-5)
    assert (
        own == pytest.approx(valence - table.attrs["average"], abs=1e-5)
        and table.attrs["unit"] == "valence"
    )
    assert explain(both, y, sr=SAMPLE_RATE, verbose=0).attrs["unit"] == "arousal"
    with pytest.raises(ValueError, match="Unknown number 'anger'"):
        explain(both, y, sr=SAMPLE_RATE, emotion="anger")


def test_the_command_line_predicts_numbers(both, tmp_path, capsys):
    path = str(tmp_path / "numbers.ser")
    both.save(path)
    expected = both.predict(bundled_clip("happy"))
    assert commands.main(["predict", bundled_clip("happy"), "-m", path, "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert found["numbers"] == pytest.approx(expected)
    assert commands.main(["predict", bundled_clip("happy"), "-m", path]) == 0
    assert f"arousal    {expected['arousal']:+.3f}" in capsys.readouterr().out
    assert commands.main(["predict", bundled_clip("happy"), "-m", path, "-e", "sad"]) != 0
    assert "Unknown emotion 'sad'; there is none." in capsys.readouterr().err
    assert commands.main(["timeline", bundled_clip("happy"), "-m", path, "--csv"]) == 0
    assert capsys.readouterr().out.startswith("path,start,end,arousal,valence\n")


def test_wrong_targets_are_refused():
    with pytest.raises(ValueError, match="By its tags SVR predicts one number, not 2"):
        make(BOTH, SVR())
    with pytest.raises(ValueError, match="needs a regressor"):
        make("arousal", SVC())
    rows = numbered()
    with pytest.raises(ValueError, match="has no column arousl"):
        make("arousl").fit(rows)
    for wrong in (np.nan, np.inf, "high"):
        odd = rows.assign(arousal=rows["arousal"].astype(object))
        odd.loc[5, "arousal"] = wrong
        with pytest.raises(ValueError, match="must be a finite number"):
            numbers_of(odd, ["arousal"])


def test_numbers_as_text_are_numbers():
    rows = pd.DataFrame({"path": ["a", "b"], "x": ["1", " 2.5"], "y": [True, False]})
    assert numbers_of(rows, ["x"]).tolist() == [1.0, 2.5]
    assert numbers_of(rows, ["x", "y"]).tolist() == [[1.0, 1.0], [2.5, 0.0]]


def test_the_mean_of_several_numbers_has_an_error_of_its_own():
    sums = np.array([[2, 1.0, 1, 2, 1, 2, 1]])  # t 0 and 1, p 1 and 1: errors 1 and 0
    found = regression_measures(sums)
    assert (found["mae"].item(), found["rmse"].item()) == pytest.approx((0.5, np.sqrt(0.5)))
