"""What is said to have spoken for an emotion did: checked by other roads, and by made-up clips."""

import re
import subprocess
import sys
from itertools import permutations
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from conftest import REPO
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import Ridge
from sklearn.svm import SVC

import explain
import features as ft
from audio import AudioError, load_audio
from deep_emotion_recognition import EnsembleRecognizer
from emotion_recognition import EmotionRecognizer, load_recognizer, recommended
from explain import GROUPS, draw_explanation, group_of, spans, to_text
from parameters import SAMPLE_RATE as SR

BUNDLED = {"data_dir": REPO / "data", "tess_ravdess": False, "emodb": False, "verbose": 0,
           "n_jobs": 1}  # fmt: skip
FEW = {"features": ["mfcc", "prosody"], "functionals": ["mean", "std"]}


def clip(emotion):
    return REPO / "data" / "test-custom" / f"v21_s6_{emotion}.wav"


@pytest.fixture(scope="module")
def rec():
    return recommended(emotions=["sad", "angry", "happy"], **BUNDLED).train()


@pytest.fixture(scope="module")
def table(rec):
    return rec.explain(clip("angry"))


def effects(table, kind="features"):
    return table[table["kind"] == kind].set_index("name")["effect"]


def log_odds(rec, audio, emotion, **options):
    p = rec.predict_proba(audio, **options)[emotion]
    return np.log(p / (1 - p))


# features


def test_every_element_of_every_vector_is_in_one_group():
    every = [*ft.FEATURES, *ft.VOICE_FEATURES]
    names = ft.feature_names(every) + ft.feature_names(every, ft.FRAMES)
    for name in names:
        matching = [group for group, pattern in GROUPS.items() if re.match(pattern, name)]
        assert len(matching) == 1, (name, matching)
    assert {group_of(name) for name in names} == set(GROUPS)
    for feature in every:  # the group says which feature it is of
        groups = {group_of(name) for name in ft.feature_names([feature])}
        assert {group.partition(":")[0] for group in groups} == {feature}


def test_features_add_up_to_what_is_said_beyond_the_average_clip(rec, table):
    assert table.attrs["emotion"] == rec.predict(clip("angry"))
    said = log_odds(rec, clip("angry"), table.attrs["emotion"])
    assert table.attrs["said"] == pytest.approx(said, abs=1e-6)
    total = effects(table).sum()
    assert total == pytest.approx(table.attrs["said"] - table.attrs["average"], abs=1e-6)
    assert effects(table).is_monotonic_decreasing and len(effects(table)) == 8


def test_of_two_emotions_a_group_says_the_sum_of_its_weighted_features():
    two = recommended(emotions=["sad", "angry"], **BUNDLED).train()
    two._fits["average"].temperature = 100.0, 0.0  # synthetic voices are told apart beyond `LEAST`
    found = two.explain(clip("angry"), emotion="angry")
    model, Z = two.model, two.scaler_.transform(two._features(clip("angry"), None)[0])[0]
    angry, sad = (list(model.classes_).index(emotion) for emotion in ("angry", "sad"))
    weights = (model.coef_[:, angry] - model.coef_[:, sad]) / 100.0
    says = pd.Series(weights * np.clip(Z, -model.clip, model.clip))
    wanted = says.groupby([group_of(name) for name in ft.feature_names(two.features)]).sum()
    np.testing.assert_allclose(effects(found)[wanted.index], wanted, rtol=1e-4, atol=1e-4)


@pytest.fixture(scope="module")
def forest():
    model = RandomForestClassifier(20, random_state=0)
    return EmotionRecognizer(model, emotions=["sad", "angry"], **FEW, **BUNDLED).train()


def test_any_model_is_explained_as_by_all_orders_of_its_groups(forest):
    X, _ = forest._features(clip("sad"), None)
    groups = [group_of(name) for name in ft.feature_names(forest.features, forest.functionals)]
    names = sorted(set(groups))
    totals = dict.fromkeys(names, 0.0)
    orders = list(permutations(names))
    for order in orders:
        x, before = forest.scaler_.mean_.copy(), None
        for name in [None, *order]:
            own = np.array(groups) == name
            x[own] = X[0][own]
            now = explain._says(forest, x[np.newaxis].astype(np.float32), "sad", X)[0]
            if name is not None:
                totals[name] += (now - before) / len(orders)
            before = now
    found = effects(forest.explain(clip("sad"), emotion="sad"))
    np.testing.assert_allclose(found[names], list(totals.values()), atol=1e-9)


def test_a_regressor_is_explained_in_its_numbers():
    rec = EmotionRecognizer(Ridge(10.0), classification=False, **FEW, **BUNDLED).train()
    found = rec.explain(clip("happy"))
    assert found.attrs["said"] == pytest.approx(rec.predict(clip("happy")), abs=1e-6)
    total = effects(found).sum() + found.attrs["average"]
    assert total == pytest.approx(found.attrs["said"], abs=1e-6)
    with pytest.raises(ValueError, match="leave emotion out"):
        rec.explain(clip("happy"), emotion="happy")


def test_a_calibrated_recognizer_is_explained_against_the_average_clip_of_the_voice(rec):
    own = rec.calibrate([clip(emotion) for emotion in ("sad", "happy", "neutral")])
    found = own.explain(clip("angry"), emotion="angry")
    assert found.attrs["said"] == pytest.approx(log_odds(own, clip("angry"), "angry"), abs=1e-6)
    X, _ = own._features(clip("angry"), None)
    nobody = explain._says(own, own.voice_[0][np.newaxis] * 1.0, "angry", X)[0]
    assert found.attrs["average"] == pytest.approx(nobody, abs=0.05)
    total = effects(found).sum() + found.attrs["average"]
    assert total == pytest.approx(found.attrs["said"], abs=1e-6)


def test_the_recognizer_in_the_box_explains_a_clip():
    box = load_recognizer()
    box.verbose = 0
    found = box.explain(clip("happy"), emotion="sad")
    assert found.attrs["said"] == pytest.approx(log_odds(box, clip("happy"), "sad"), abs=1e-6)


def test_an_ensemble_is_explained_by_all_that_its_members_hear():
    options = {"emotions": ["neutral", "boredom"], **BUNDLED}
    members = [EmotionRecognizer(SVC(), features=features, functionals=["mean"], **options)
               for features in (["mfcc", "mel"], ["mel", "prosody"])]  # fmt: skip
    both = EnsembleRecognizer(members).train()
    found = both.explain(clip("neutral"))
    names = {"mfcc", "mel", "prosody: pitch", "prosody: loudness", "prosody: timing"}
    assert set(effects(found).index) == names
    assert found.attrs["said"] == pytest.approx(
        log_odds(both, clip("neutral"), found.attrs["emotion"]), abs=1e-6
    )
    total = effects(found).sum() + found.attrs["average"]
    assert total == pytest.approx(found.attrs["said"], abs=1e-6)


def test_of_frames_a_hidden_group_is_the_average_in_every_one():
    columns = ft.feature_names(["prosody"], ft.FRAMES)
    average = np.arange(len(columns)) + 100.0
    rec = SimpleNamespace(features=["prosody"], functionals=ft.FRAMES, voice_=None,
                          scaler_=SimpleNamespace(mean_=average))  # fmt: skip
    X = np.random.default_rng(0).random((1, 7, len(columns)))
    shown = pd.DataFrame({"prosody: pitch": [True], "prosody: loudness": [False]})
    found = explain._showing(rec, X, shown)[0]
    pitch = np.array([group_of(column) == "prosody: pitch" for column in columns])
    np.testing.assert_allclose(found[:, pitch], X[0][:, pitch], rtol=1e-6)
    np.testing.assert_allclose(found[:, ~pitch], np.tile(average[~pitch], (7, 1)))


# seconds


def test_a_silent_second_speaks_for_nothing(rec):
    y = load_audio(clip("angry"))
    found = rec.explain(np.append(y, np.zeros(SR, np.float32)), sr=SR)
    rows = found[found["kind"] == "seconds"]
    silent = rows["start"] > len(y) / SR
    assert silent.sum() >= 2
    assert rows["effect"][silent].abs().max() < 0.05 < rows["effect"].abs().max()


def test_the_half_that_is_of_another_emotion_speaks_against(rec):
    halves = [load_audio(clip(emotion)) for emotion in ("angry", "sad")]
    for y, sign in ((np.concatenate(halves), 1), (np.concatenate(halves[::-1]), -1)):
        found = rec.explain(y, sr=SR, emotion="angry")
        rows = found[found["kind"] == "seconds"]
        middle = (len(halves[0]) if sign > 0 else len(halves[1])) / SR
        first, last = rows["end"] <= middle, rows["start"] >= middle
        assert sign * (rows["effect"][first].mean() - rows["effect"][last].mean()) > 0.5


def test_a_span_says_what_is_missing_without_it(rec, table):
    y = load_audio(clip("angry"))
    row = table[table["kind"] == "seconds"].iloc[2]
    rest = np.concatenate([y[: round(row["start"] * SR)], y[round(row["end"] * SR) :]])
    lost = table.attrs["said"] - log_odds(rec, rest, table.attrs["emotion"], sr=SR)
    assert row["effect"] == pytest.approx(lost, abs=1e-6)


@pytest.mark.parametrize("duration", [0.2, 1.0, 3.7, 15.0, 600.0])
def test_spans_cover_a_recording_of_any_length(duration):
    found = np.array(spans(duration))
    assert found[0, 0] == 0 and found[-1, 1] == pytest.approx(duration)
    assert (found[1:, 0] < found[:-1, 1]).all() and 4 <= len(found) <= 60


# what comes and goes


def test_an_array_and_its_file_are_explained_alike_again_and_again(rec, table):
    again = rec.explain(load_audio(clip("angry")), sr=SR)
    pd.testing.assert_frame_equal(again, table, check_exact=True)
    assert again.attrs == table.attrs
    assert "Shapley" in table.attrs["method"] and "occlusion" in table.attrs["method"]


def test_what_cannot_be_explained_is_refused(rec, tmp_path):
    with pytest.raises(ValueError, match="emotion"):
        rec.explain(clip("sad"), emotion="sadd")
    with pytest.raises(ValueError, match="half of the recording"):
        rec.explain(clip("sad"), span=30)
    with pytest.raises(AudioError, match="no such file"):
        rec.explain(tmp_path / "absent.wav")
    with pytest.raises(ValueError, match="train"):
        recommended(**BUNDLED).explain(clip("sad"))


def test_text_and_picture_have_all_effects_and_their_units(table):
    text = to_text(table)
    for name in table["name"]:
        assert name in text
    figure = draw_explanation(clip("angry"), table)
    wave, bars, course = figure.axes
    unit = f"log-odds of {table.attrs['emotion']}"
    assert wave.get_ylabel() == "amplitude" and course.get_xlabel() == "time (s)"
    assert unit in course.get_ylabel() and unit in bars.get_xlabel()
    assert unit in figure.get_suptitle()
    assert [label.get_text() for label in bars.get_yticklabels()] == list(effects(table).index)
    assert [bar.get_width() for bar in bars.patches] == pytest.approx(list(effects(table)))
    assert wave.get_xlim() == course.get_xlim() == (0, table.attrs["duration"])


def test_the_command_prints_and_draws(tmp_path):
    broken = tmp_path / "broken.wav"
    broken.write_bytes(b"RIFF nonsense")
    command = [sys.executable, "emotion_recognition.py", "explain", clip("sad"), broken,
               "--emotion", "sad", "--pictures", tmp_path / "why"]  # fmt: skip
    done = subprocess.run(command, cwd=REPO, text=True, capture_output=True, check=False)
    assert done.returncode == 1 and "broken.wav" in done.stderr.splitlines()[-1]
    assert "log-odds of sad" in done.stdout and "prosody: pitch" in done.stdout
    assert (tmp_path / "why" / "v21_s6_sad.png").stat().st_size
