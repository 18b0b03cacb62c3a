"""Effects are those of the model: checked by other computations, and by made-up clips."""

import re
from dataclasses import replace
from itertools import permutations
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from conftest import BUNDLED, bundled_clip
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import Ridge
from sklearn.svm import SVC
from tiny_encoder import write_tiny_encoder

import explain
import features as ft
from audio import AudioError, load_audio
from deep_emotion_recognition import EnsembleRecognizer
from emotion_recognition import EmotionRecognizer, recommended
from explain import GROUPS, draw_explanation, group_of, spans, to_text
from parameters import SAMPLE_RATE as SR

FEW = {"features": ["mfcc", "prosody"], "functionals": ["mean", "std"]}


@pytest.fixture(scope="module")
def rec(odd_rec):
    return odd_rec


@pytest.fixture(scope="module")
def table(rec):
    return rec.explain(bundled_clip("angry"))


def effects(table, kind="features"):
    return table[table["kind"] == kind].set_index("name")["effect"]


def log_odds(rec, audio, emotion, **options):
    p = rec.predict_proba(audio, **options)[emotion]
    return np.log(p / (1 - p))


# features


def test_every_element_of_every_vector_is_in_one_group():
    every = [*ft.FEATURES, *ft.SPEECH_FEATURES, ft.ENCODER]
    names = ft.feature_names(every) + ft.feature_names(every, ft.FRAMES)
    for name in names:
        matching = [group for group, pattern in GROUPS.items() if re.match(pattern, name)]
        assert len(matching) == 1, (name, matching)
    assert {group_of(name) for name in names} == set(GROUPS)
    for feature in every:  # the group says which feature it is of
        groups = {group_of(name) for name in ft.feature_names([feature])}
        assert {group.partition(":")[0] for group in groups} == {feature}


def test_effects_add_up_to_the_prediction_less_that_of_the_average_clip(rec, table):
    assert table.attrs["emotion"] == rec.predict(bundled_clip("angry"))
    expected = log_odds(rec, bundled_clip("angry"), table.attrs["emotion"])
    assert table.attrs["predicted"] == pytest.approx(expected, abs=1e-6)
    total = effects(table).sum()
    assert total == pytest.approx(table.attrs["predicted"] - table.attrs["average"], abs=1e-6)
    assert effects(table).is_monotonic_decreasing
    features = {group.partition(":")[0] for group in effects(table).index}
    assert features == set(rec.features) and len(effects(table)) == 10


def test_with_two_emotions_an_effect_is_the_sum_of_weighted_features():
    two = recommended(emotions=["sad", "angry"], encoder=None, **BUNDLED).train()
    warm = replace(two.predictor_.general, temperature=(100.0, 0.0))
    warm = replace(two.predictor_, general=warm)  # else `LEAST` clips the log-odds
    found = explain.explain(warm, bundled_clip("angry"), emotion="angry", verbose=0)
    X = warm.features(load_audio(bundled_clip("angry")))
    model, Z = two.model, warm.fitted.scaler.transform(X)[0]
    angry, sad = (list(model.classes_).index(emotion) for emotion in ("angry", "sad"))
    weights = (model.coef_[:, angry] - model.coef_[:, sad]) / 100.0
    values = pd.Series(weights * np.clip(Z, -model.clip, model.clip))
    wanted = values.groupby([group_of(name) for name in ft.feature_names(two.features)]).sum()
    np.testing.assert_allclose(effects(found)[wanted.index], wanted, rtol=1e-4, atol=1e-4)


@pytest.fixture(scope="module")
def forest():
    model = RandomForestClassifier(20, random_state=0)
    return EmotionRecognizer(model, emotions=["sad", "angry"], **FEW, **BUNDLED).train()


def test_any_model_is_explained_as_by_all_orders_of_its_groups(forest):
    predictor = forest.predictor_
    X = predictor.features(load_audio(bundled_clip("sad")))
    groups = [group_of(name) for name in ft.feature_names(forest.features, forest.functionals)]
    names = sorted(set(groups))
    totals = dict.fromkeys(names, 0.0)
    orders = list(permutations(names))
    for order in orders:
        x, before = predictor.average.copy(), None
        for name in [None, *order]:
            own = np.array(groups) == name
            x[own] = X[0][own]
            now = explain._output(predictor, x[np.newaxis].astype(np.float32), "sad", X)[0]
            if name is not None:
                totals[name] += (now - before) / len(orders)
            before = now
    found = effects(forest.explain(bundled_clip("sad"), emotion="sad"))
    np.testing.assert_allclose(found[names], list(totals.values()), atol=1e-9)


def test_a_regressor_is_explained_in_its_numbers():
    rec = EmotionRecognizer(Ridge(10.0), classification=False, **FEW, **BUNDLED).train()
    found = rec.explain(bundled_clip("happy"))
    assert found.attrs["predicted"] == pytest.approx(rec.predict(bundled_clip("happy")), abs=1e-6)
    total = effects(found).sum() + found.attrs["average"]
    assert total == pytest.approx(found.attrs["predicted"], abs=1e-6)
    with pytest.raises(ValueError, match="leave emotion out"):
        rec.explain(bundled_clip("happy"), emotion="happy")


def test_an_adapted_recognizer_is_explained_against_the_average_clip_of_the_speaker(rec):
    own = rec.adapt([bundled_clip(emotion) for emotion in ("sad", "happy", "neutral")])
    found = own.explain(bundled_clip("angry"), emotion="angry")
    assert found.attrs["predicted"] == pytest.approx(
        log_odds(own, bundled_clip("angry"), "angry"), abs=1e-6
    )
    predictor = own.predictor_
    X, mean = predictor.features(load_audio(bundled_clip("angry"))), predictor.speaker[0]
    nobody = explain._output(predictor, mean[np.newaxis] * 1.0, "angry", X)[0]
    assert found.attrs["average"] == pytest.approx(nobody, abs=0.05)
    total = effects(found).sum() + found.attrs["average"]
    assert total == pytest.approx(found.attrs["predicted"], abs=1e-6)


def test_the_bundled_model_explains_a_clip(bundled):
    path = bundled_clip("happy")
    found = explain.explain(bundled, path, emotion="sad", verbose=0)
    assert found.attrs["predicted"] == pytest.approx(log_odds(bundled, path, "sad"), abs=1e-6)


def test_an_ensemble_is_explained_by_the_features_of_all_its_members():
    options = {"emotions": ["neutral", "boredom"], **BUNDLED}
    members = [
        EmotionRecognizer(SVC(), features=features, functionals=["mean"], **options)
        for features in (["mfcc", "mel"], ["mel", "prosody"])
    ]
    both = EnsembleRecognizer(members).train()
    found = both.explain(bundled_clip("neutral"))
    names = {"mfcc", "mel", "prosody: pitch", "prosody: loudness", "prosody: timing"}
    assert set(effects(found).index) == names
    assert found.attrs["predicted"] == pytest.approx(
        log_odds(both, bundled_clip("neutral"), found.attrs["emotion"]), abs=1e-6
    )
    total = effects(found).sum() + found.attrs["average"]
    assert total == pytest.approx(found.attrs["predicted"], abs=1e-6)


def test_with_frames_a_hidden_group_is_the_average_in_each():
    columns = ft.feature_names(["prosody"], ft.FRAMES)
    average = np.arange(len(columns)) + 100.0
    part = SimpleNamespace(columns=columns, average=average)
    predictor = SimpleNamespace(parts=(part,), views=lambda X: [X], joined=lambda views: views[0])
    X = np.random.default_rng(0).random((1, 7, len(columns)))
    pitch = np.array([group_of(column) == "prosody: pitch" for column in columns])
    shown = np.array([[True, False]])  # pitch, and all else
    found = explain._showing(predictor, X, shown, [np.where(pitch, 0, 1)])[0]
    np.testing.assert_allclose(found[:, pitch], X[0][:, pitch], rtol=1e-6)
    np.testing.assert_allclose(found[:, ~pitch], np.tile(average[~pitch], (7, 1)))


# an encoder


def test_layers_of_an_encoder_are_groups_that_are_named_as_what_they_are(rec, table):
    groups = {"encoder: layer 2", "encoder: layer 3"}
    assert groups < set(effects(table).index)
    assert "no phonetic names" in table.attrs["method"]
    plain = EmotionRecognizer(SVC(), features=["prosody"], functionals=["mean"], **BUNDLED).train()
    assert "encoder" not in plain.explain(bundled_clip("sad")).attrs["method"]
    # the effect of a layer is that of all its numbers: with them alone hidden, less is left
    predictor = rec.predictor_
    X = predictor.features(load_audio(bundled_clip("angry")))
    own = np.array([group_of(name) in groups for name in predictor.columns])
    shown = np.array([[True, True], [True, False]])  # all else, and the layers
    both, without = explain._showing(predictor, X, shown, [own.astype(int)])
    changed = both != without
    assert not changed[~own].any() and changed[own].mean() > 0.99
    np.testing.assert_allclose(without[own], predictor.average[own], rtol=1e-6)


def test_many_layers_are_one_group(rec, table, monkeypatch):
    """All subsets are predicted, so that the number of groups must stay small."""
    monkeypatch.setattr(explain, "MOST_GROUPS", 9)
    found = effects(rec.explain(bundled_clip("angry"), emotion=table.attrs["emotion"]))
    assert len(found) == 9 and "encoder: all layers" in found
    assert found.sum() == pytest.approx(effects(table).sum(), abs=1e-6)


def test_another_encoder_is_explained_by_its_layers(tmp_path):
    name = write_tiny_encoder(tmp_path / "tiny.onnx")
    options = {"features": ["encoder"], "encoder": f"{name}@0,1", "emotions": ["sad", "angry"]}
    rec = EmotionRecognizer(SVC(), **options, **BUNDLED).train()
    found = rec.explain(bundled_clip("sad"))
    assert set(effects(found).index) == {"encoder: layer 0", "encoder: layer 1"}
    total = effects(found).sum() + found.attrs["average"]
    assert total == pytest.approx(found.attrs["predicted"], abs=1e-6)
    assert effects(found, "seconds").abs().max() > 0


# seconds


def test_a_silent_second_has_next_to_no_effect(rec):
    """None at all without an encoder, whose frames depend on all that is encoded with them."""
    y = load_audio(bundled_clip("angry"))
    plain = recommended(emotions=rec.emotions, encoder=None, **BUNDLED).train()
    for trained, most in ((plain, 0.05), (rec, 0.25)):
        found = trained.explain(np.append(y, np.zeros(SR, np.float32)), sr=SR)
        rows = found[found["kind"] == "seconds"]
        silent = rows["start"] > len(y) / SR
        assert silent.sum() >= 2
        assert rows["effect"][silent].abs().max() < most < rows["effect"].abs().max() / 4


def test_the_half_with_another_emotion_counts_against(rec):
    halves = [load_audio(bundled_clip(emotion)) for emotion in ("angry", "sad")]
    for y, sign in ((np.concatenate(halves), 1), (np.concatenate(halves[::-1]), -1)):
        found = rec.explain(y, sr=SR, emotion="angry")
        rows = found[found["kind"] == "seconds"]
        middle = (len(halves[0]) if sign > 0 else len(halves[1])) / SR
        first, last = rows["end"] <= middle, rows["start"] >= middle
        assert sign * (rows["effect"][first].mean() - rows["effect"][last].mean()) > 0.5


def test_the_effect_of_a_span_is_the_loss_without_it(rec, table):
    y = load_audio(bundled_clip("angry"))
    row = table[table["kind"] == "seconds"].iloc[2]
    rest = np.concatenate([y[: round(row["start"] * SR)], y[round(row["end"] * SR) :]])
    lost = table.attrs["predicted"] - log_odds(rec, rest, table.attrs["emotion"], sr=SR)
    assert row["effect"] == pytest.approx(lost, abs=1e-6)


@pytest.mark.parametrize("duration", [0.2, 1.0, 3.7, 15.0, 600.0])
def test_spans_cover_a_recording_of_any_length(duration):
    found = np.array(spans(duration))
    assert found[0, 0] == 0 and found[-1, 1] == pytest.approx(duration)
    assert (found[1:, 0] < found[:-1, 1]).all() and 4 <= len(found) <= 60


# input and output


def test_an_array_and_its_file_are_explained_alike_again_and_again(rec, table):
    again = rec.explain(load_audio(bundled_clip("angry")), sr=SR)
    pd.testing.assert_frame_equal(again, table, check_exact=True)
    assert again.attrs == table.attrs
    assert "Shapley" in table.attrs["method"] and "occlusion" in table.attrs["method"]


def test_a_recognizer_and_its_predictor_are_explained_alike(rec, table):
    for trained in (rec, rec.predictor_):
        found = explain.explain(trained, bundled_clip("angry"), verbose=0)
        pd.testing.assert_frame_equal(found, table, check_exact=True)
        X = rec.predictor_.features(load_audio(bundled_clip("angry")))
        shares, average = explain.shapley(trained, X, table.attrs["emotion"])
        assert shares == effects(table).to_dict() and average == table.attrs["average"]


def test_what_cannot_be_explained_is_refused(rec, tmp_path):
    with pytest.raises(ValueError, match="emotion"):
        rec.explain(bundled_clip("sad"), emotion="sadd")
    with pytest.raises(ValueError, match="half of the recording"):
        rec.explain(bundled_clip("sad"), span=30)
    with pytest.raises(AudioError, match="no such file"):
        rec.explain(tmp_path / "absent.wav")
    with pytest.raises(ValueError, match="train"):
        recommended(**BUNDLED).explain(bundled_clip("sad"))


def test_text_and_picture_have_all_effects_and_their_units(table):
    text = to_text(table)
    for name in table["name"]:
        assert name in text
    figure = draw_explanation(bundled_clip("angry"), table)
    wave, bars, curve = figure.axes
    unit = f"log-odds of {table.attrs['emotion']}"
    assert "full scale" in wave.get_ylabel() and curve.get_xlabel() == "time (s)"
    assert unit in curve.get_ylabel() and unit in bars.get_xlabel()
    assert unit in figure.get_suptitle()
    assert [label.get_text() for label in bars.get_yticklabels()] == list(effects(table).index)
    assert [bar.get_width() for bar in bars.patches] == pytest.approx(list(effects(table)))
    assert wave.get_xlim() == curve.get_xlim() == (0, table.attrs["duration"])
