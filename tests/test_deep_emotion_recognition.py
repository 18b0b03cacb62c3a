"""Networks over frames: padding, honesty, repetition, and the methods of every recognizer."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import REPO
from matplotlib.image import imread

import evaluation
import voice
from audio import load_audio
from create_csv import list_audio
from data_extractor import ragged, speaker_groups
from deep_emotion_recognition import (
    DILATIONS,
    FLATTERY,
    HEIGHTS,
    KERNELS,
    SEGMENT,
    SHARES,
    STEP,
    TAPS,
    VOICED,
    DeepEmotionRecognizer,
    EnsembleRecognizer,
    FrameNetwork,
    FrameScaler,
    RandomConvolutions,
    VoiceScaler,
    _precision,
    as_function,
    build_network,
    clip_statistics,
    predict_batches,
    segments,
    varied,
    voiced_frames,
)
from degradations import SPEEDS, at_speed
from emotion_recognition import EmotionLDA, EmotionRecognizer, recommended
from evaluation import evaluate
from features import FRAMES, FUNCTIONALS, feature_names
from parameters import SAMPLE_RATE

BUNDLED = {"data_dir": REPO / "data", "tess_ravdess": False, "emodb": False, "verbose": 0}
SMALL = {"rnn_units": 8, "dense_units": 16, "n_rnn_layers": 1, "n_dense_layers": 1, "epochs": 3,
         "n_networks": 2, "n_jobs": 1, "voices": 0}  # fmt: skip


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    folder = tmp_path_factory.mktemp("deep")
    return {"results_dir": str(folder / "results"), "logs_dir": str(folder / "logs")}


@pytest.fixture(scope="module")
def rec(folders):
    """Trained on the bundled recordings, long enough to have learned something."""
    return DeepEmotionRecognizer(**BUNDLED | SMALL | folders | {"epochs": 12}).train()


@pytest.fixture(scope="module")
def quick(rec, tmp_path_factory):
    """The same without recurrent layers, whose graphs take TensorFlow seconds to make."""
    folder = str(tmp_path_factory.mktemp("quick"))
    return rec.untrained(n_rnn_layers=0, epochs=10, results_dir=folder).train()


@pytest.fixture(scope="module")
def clips():
    return [str(path) for path in list_audio(REPO / "data" / "test-custom")]


def weights(recognizer):
    return recognizer.model.network_.get_weights()


def matrices(lengths=(60, 7, 33, 130), n_columns=5):
    rng = np.random.default_rng(0)
    return ragged([rng.normal(size=(n, n_columns)).astype(np.float32) for n in lengths])


# frames


@pytest.mark.parametrize("cell", ["LSTM", "GRU"])
def test_padding_never_changes_a_prediction(cell):
    X = matrices()
    steps, statistics = [segments(x) for x in X], clip_statistics(X)
    network = build_network(
        5, statistics.shape[1], 3, n_rnn_layers=2, rnn_units=6, dense_units=6, cell=cell
    )
    hear = as_function(network)
    together = predict_batches(hear, steps, statistics)
    alone = [predict_batches(hear, [steps[i]], statistics[[i]])[0] for i in range(len(X))]
    np.testing.assert_allclose(together, alone, atol=1e-5)
    assert np.ptp(together, axis=0).max() > 1e-3  # the clips are told apart
    noise = network.predict_on_batch([
        np.pad(steps[1][None], ((0, 0), (0, 93), (0, 0)), constant_values=9.0),
        np.pad(np.ones((1, len(steps[1]))), ((0, 0), (0, 93))), statistics[[1]],
    ])  # fmt: skip
    np.testing.assert_allclose(noise[0].mean(axis=0), alone[1], atol=1e-5)


def test_the_same_clip_alone_and_among_others_has_the_same_probabilities(rec, clips):
    together = rec.predict_proba(clips)
    for i in (0, 7, len(clips) - 1):
        assert rec.predict_proba(clips[i]) == pytest.approx(together[i], abs=1e-5)
    assert rec.predict(clips) == [max(p, key=p.get) for p in together]
    assert rec.predict([]) == []


def test_a_clip_of_a_few_frames_is_heard():
    X = matrices((1, 2, SEGMENT))
    network = build_network(5, clip_statistics(X).shape[1], 2, rnn_units=4, dense_units=4)
    steps = [segments(x) for x in X]
    assert [len(own) for own in steps] == [1, 1, 1]
    assert np.isfinite(predict_batches(as_function(network), steps, clip_statistics(X))).all()


def test_frames_are_standardised_by_those_of_the_training_clips():
    X = matrices((400, 300)) * 3 + 2
    scaler = FrameScaler().fit(X)
    everything = np.concatenate(X)
    np.testing.assert_allclose(scaler.mean_, everything.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(scaler.scale_, everything.std(axis=0), rtol=1e-4)
    Z = np.concatenate(scaler.transform(X))
    np.testing.assert_allclose(Z.mean(axis=0), 0, atol=0.02)
    assert scaler.transform(ragged([np.full((3, 5), 1e6)]))[0].max() == 4


def test_a_voice_is_standardised_by_its_own_frames():
    rng = np.random.default_rng(0)
    groups, y = np.repeat(list("abcd"), 30), np.tile(["sad", "happy"], 60)
    middle = {"a": -20, "b": 0, "c": 10, "d": 30}
    X = ragged([rng.normal(middle[g], 2, size=(50, 3)) for g in groups])
    scaler = VoiceScaler().fit(X, groups, y)
    mean, std = scaler.statistics(X[groups == "d"])
    np.testing.assert_allclose(mean, 30, atol=0.5)
    np.testing.assert_allclose(std, 2, rtol=0.1)
    for speaker in "abcd":
        own = np.concatenate(scaler.transform(X, groups)[groups == speaker])
        np.testing.assert_allclose(own.mean(axis=0), 0, atol=0.3)


def test_variations_keep_the_columns_and_repeat_by_seed():
    frames = matrices((100,))[0]
    first, again = (varied(frames, np.random.default_rng(3)) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    lengths = {len(varied(frames, np.random.default_rng(seed))) for seed in range(20)}
    assert len(lengths) > 5 and 80 < min(lengths) < 100 < max(lengths) < 125
    assert first.dtype == np.float32 and first.shape[1] == 5
    assert len(varied(frames[:1], np.random.default_rng(0))) == 1


def test_segments_are_mean_and_deviation_of_overlapping_frames():
    X = matrices((SEGMENT + 2 * STEP + 3,))[0]
    steps = segments(X)
    assert steps.shape == (3, 10) and steps.dtype == np.float32
    third = X[2 * STEP : 2 * STEP + SEGMENT]
    np.testing.assert_allclose(steps[2], [*third.mean(axis=0), *third.std(axis=0)], rtol=1e-5)


# learning


def test_it_learns(rec, folders):
    assert rec.test_score() > 0.5 and rec.train_score() > 0.6  # chance is a third
    history = rec.history_
    assert set(history["network"]) == {0, 1} and {"loss", "val_loss"} <= set(history)
    assert history.groupby("network")["loss"].agg(lambda loss: loss.iloc[-1] < loss.iloc[0]).all()
    ax = rec.draw_history()
    assert len(ax.lines) == 4 and ax.get_xlabel() and ax.get_ylabel() and ax.get_title()
    pictures = [imread(path) for path in Path(folders["logs_dir"]).glob("*/curves.png")]
    assert pictures and all(picture.std() > 0.01 for picture in pictures)  # none is blank
    table = rec.confusion_matrix()
    assert table.shape == (3, 3) and table.sum(axis=1).tolist() == pytest.approx([100] * 3)
    assert rec.get_samples_by_class().loc["total", "total"] == 87


def test_an_identical_run_is_loaded_and_any_other_is_trained(rec, folders, tmp_path):
    same = rec.untrained()
    [path] = (REPO / folders["results_dir"]).glob("*.npz")
    before = path.stat().st_mtime_ns
    same.train()
    for ours, theirs in zip(weights(rec), weights(same), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert path.stat().st_mtime_ns == before and same.history_.equals(rec.history_)
    marks, quick = set(), {"epochs": 1, "n_rnn_layers": 0, "results_dir": str(tmp_path)}
    for changes in ({}, {"dense_units": 4}, {"random_state": 1}, {"features": ["prosody"]},
                    {"emotions": ["sad", "happy"]}):  # fmt: skip
        other = rec.untrained(**quick | changes).train()
        marks.add(len(list(tmp_path.glob("*.npz"))))
        assert np.isfinite(other.test_score())
    assert marks == {1, 2, 3, 4, 5}


def test_the_same_seed_gives_the_same_weights_and_no_network_hears_the_test_part(rec, tmp_path):
    fresh = {"results_dir": str(tmp_path), "logs_dir": None, "epochs": 2}
    first = rec.untrained(**fresh).train()
    stamp = [path.stat().st_mtime_ns for path in tmp_path.glob("*.npz")]
    again = rec.untrained(**fresh).train(override=True)
    assert [path.stat().st_mtime_ns for path in tmp_path.glob("*.npz")] != stamp
    other = rec.untrained(**fresh | {"random_state": 5}).train()
    without_test = rec.untrained(**fresh | {"results_dir": str(tmp_path / "other")}).load_data()
    without_test.X_test = without_test.y_test = None
    without_test.train()
    for a, b, c, d in zip(*map(weights, (first, again, other, without_test)), strict=True):
        np.testing.assert_array_equal(a, b)
        assert a.ndim == 1 or not np.array_equal(a, c)  # biases begin as zeros
        np.testing.assert_array_equal(a, d)


def test_each_network_stops_by_speakers_that_it_does_not_learn_from(monkeypatch, quick, tmp_path):
    import deep_emotion_recognition as deep

    sides, real = [], deep._train_network
    monkeypatch.setattr(deep, "_train_network", lambda *a: sides.append((a[7], a[8])) or real(*a))
    quick.untrained(results_dir=str(tmp_path), epochs=1).train()
    groups = speaker_groups(quick.train_rows_)
    assert len(sides) == 2
    for train, held_out in sides:
        assert not set(groups[train]) & set(groups[held_out])
        assert sorted([*train, *held_out]) == list(range(63))
    assert not set(sides[0][1]) & set(sides[1][1])


@pytest.mark.parametrize("changes", [
    {"n_rnn_layers": 0}, {"n_dense_layers": 0}, {"n_rnn_layers": 0, "n_dense_layers": 0},
    {"cell": "GRU", "bidirectional": False}, {"n_rnn_layers": 2, "dropout": [0.1, 0.2, 0.3]},
    {"features": ["mfcc", "mel"]}, {"optimizer": "rmsprop", "augment": False},
])  # fmt: skip
def test_every_architecture_trains_and_predicts(rec, changes, tmp_path, clips):
    other = rec.untrained(epochs=1, results_dir=str(tmp_path), **changes).train()
    assert sum(other.predict_proba(clips[0]).values()) == pytest.approx(1, abs=1e-5)


def test_a_layer_class_will_do_for_a_cell():
    from keras.layers import GRU

    assert DeepEmotionRecognizer(cell=GRU).model.cell == "GRU"


def test_what_is_wrong_is_named():
    with pytest.raises(ValueError, match=r"Unknown cell 'LSTN'.*Did you mean 'LSTM'"):
        DeepEmotionRecognizer(cell="LSTN")
    with pytest.raises(ValueError, match=r"dropout has 2 numbers for 2 recurrent and 2 dense"):
        DeepEmotionRecognizer(dropout=[0.1, 0.2])
    with pytest.raises(ValueError, match=r"Unknown option 'rnn_unit'.*Did you mean 'rnn_units'"):
        DeepEmotionRecognizer(rnn_unit=3)
    with pytest.raises(ValueError, match="grid_search"):
        DeepEmotionRecognizer().determine_best_model()


def test_grid_search_tries_other_networks(quick, tmp_path):
    other = quick.untrained(epochs=1, n_networks=2, results_dir=str(tmp_path)).load_data()
    model, params, score = other.grid_search({"dense_units": [2, 16]})
    assert params["dense_units"] == model.dense_units in (2, 16) and 0.2 < score < 1


def test_regression(quick, tmp_path, clips):
    numbers = quick.untrained(classification=False, results_dir=str(tmp_path), epochs=10).train()
    assert numbers.test_score() < 0.66  # always saying "neutral"
    assert all(isinstance(value, float) for value in numbers.predict(clips[:2]))
    with pytest.raises(ValueError, match="no probabilities"):
        numbers.predict_proba(clips[0])


def test_calibration_hears_the_voice(quick, clips):
    ann = [path for path in clips if "/v21_" in path]
    before = quick.predict_proba(ann[3])
    calibrated = quick.calibrate(ann[:3])
    after = calibrated.predict_proba(ann[3])
    assert sum(after.values()) == pytest.approx(1, abs=1e-5) and after != before
    assert quick.predict_proba(ann[3]) == before
    known = quick.calibrate(ann[:3], labels="neutral").predict_proba(ann[3])
    assert known != after


# the ensemble


@pytest.fixture(scope="module")
def ensemble(quick):
    return EnsembleRecognizer([recommended(**BUNDLED), quick]).train()


def test_an_ensemble_says_the_mean_of_what_its_members_say(ensemble, quick, clips):
    plain = recommended(**BUNDLED).train()
    for i in (0, 5):
        want = {emotion: (p + q) / 2 for (emotion, p), q in
                zip(plain.predict_proba(clips[i]).items(), quick.predict_proba(clips[i]).values(),
                    strict=True)}  # fmt: skip
        assert ensemble.predict_proba(clips[i]) == pytest.approx(want, abs=1e-5)
        assert ensemble.predict(clips[i]) == max(want, key=want.get)
    assert ensemble.scores()["accuracy"] == ensemble.test_score() > 0.6
    assert ensemble.get_samples_by_class().loc["total", "total"] == 87


def test_what_notebooks_show_of_networks_and_ensembles(quick, ensemble, tmp_path):
    assert repr(quick.untrained()).startswith(
        "<DeepEmotionRecognizer of sad, neutral, happy: FrameNetwork; not trained, will learn from"
    )
    trained = "FrameNetwork; trained on 63 clips of 7 speakers of custom"
    assert trained in repr(quick) and "results_dir" not in quick._repr_html_()
    assert "; not trained" in repr(ensemble.untrained())
    ensemble = ensemble.untrained().train()
    assert f"EmotionLDA and {trained}>" in repr(ensemble)
    ensemble.scores()
    assert repr(ensemble).endswith(f"{trained}; {evaluation.scores_in_words(ensemble.scores())}; "
                                   f"{ensemble.protocol()}>")  # fmt: skip
    assert "UAR" not in repr(ensemble.train())
    loaded = EnsembleRecognizer.load(ensemble.save(tmp_path / "e.ser") and tmp_path / "e.ser")
    assert f"EmotionLDA and {trained}; UAR 0." in repr(loaded)


def test_an_ensemble_is_calibrated_member_by_member(ensemble, clips):
    calibrated = ensemble.calibrate(clips[:4])
    assert calibrated.predict_proba(clips[5]) != ensemble.predict_proba(clips[5])
    with pytest.raises(ValueError, match="calibrated"):
        calibrated.test_score()


def test_members_that_learn_from_other_clips_are_refused(quick):
    with pytest.raises(ValueError, match="agree in emotions"):
        EnsembleRecognizer([recommended(**BUNDLED | {"emotions": ["sad", "happy"]}), quick])
    with pytest.raises(TypeError, match="default members"):
        EnsembleRecognizer([quick], emotions=["sad"])


def test_evaluation_runs_networks_and_ensembles(ensemble):
    result = evaluate(ensemble, "group-2", verbose=0)
    assert len(result.clips) == 87 and result.to_dict()["uar"] > 0.4


# the shell


def test_importing_does_not_load_tensorflow():
    code = "import sys, deep_emotion_recognition; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=REPO).returncode == 0


def test_the_base_class_has_nothing_that_is_missing_here():
    public = {name for name in vars(EmotionRecognizer) if not name.startswith("_")}
    for cls in (DeepEmotionRecognizer, EnsembleRecognizer):
        assert public <= set(dir(cls))
    assert FrameNetwork().get_params()["n_rnn_layers"] == 2


def test_mixed_precision_is_for_training_only(quick):
    with _precision(True):
        network = build_network(5, 7, 3, n_rnn_layers=0)
    *hidden, last = [part.compute_dtype for part in network.layers if "dense" in part.name]
    assert (set(hidden), last) == ({"float16"}, "float32")
    mixed = quick.untrained(mixed_precision=True).train()
    assert {layer.compute_dtype for layer in mixed.model.network_.layers} == {"float32"}
    assert not all(map(np.array_equal, weights(mixed), weights(quick)))
    assert mixed.test_score() > 0.5  # chance is a third


def test_the_linear_head_is_the_discriminant_of_the_statistics(quick):
    network, heard = quick.model, []
    for X in (quick.X_train, quick.X_test):
        heard.append(network._scaled(*network._summed(quick.scaler_.transform(X)))[1])
    discriminant = EmotionLDA(clip=4).fit(heard[0], quick.y_train)
    weights, offsets = network.network_.get_layer("linear").get_weights()
    said, expected = heard[1] @ weights + offsets, discriminant.decision_function(heard[1])
    ratio = np.ptp(expected, axis=1) / np.ptp(said, axis=1)
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-3)  # the temperature
    np.testing.assert_array_equal(said.argmax(axis=1), expected.argmax(axis=1))
    assert np.isclose(FLATTERY * network.share_, SHARES).any() and network.share_ <= 1 / FLATTERY


def test_networks_learn_from_other_voices_and_are_judged_by_the_clips(quick, tmp_path, monkeypatch):
    import deep_emotion_recognition as deep

    sides, real = [], deep._train_network
    monkeypatch.setattr(deep, "_train_network", lambda *a: sides.append((a[7], a[8])) or real(*a))
    changes = {"voices": 2, "epochs": 1, "results_dir": str(tmp_path)}
    rec = quick.untrained(**changes).train()
    n, groups = len(rec.y_train), speaker_groups(rec.train_rows_)
    for train, held_out in sides:
        assert max(held_out) < n <= min(np.sort(train)[len(train) // 3 :])
        assert set(groups[train % n]) == set(groups) - set(groups[held_out])
        assert sorted([*np.unique(train % n), *held_out]) == list(range(n))
    network, signals = rec.model, [load_audio(path) for path in rec.train_rows_["path"]]
    versions = [signals, *([at_speed(y, speed) for y in signals] for speed in SPEEDS[:2])]
    X = [rec.scaler_.transform(rec._features(own, SAMPLE_RATE)[0]) for own in versions]
    heard = np.concatenate([network._scaled(*network._summed(own))[1] for own in X])
    discriminant = EmotionLDA(800, clip=4).fit(heard, np.tile(rec.y_train, 3))
    weights, offsets = network.network_.get_layer("linear").get_weights()
    said, expected = heard @ weights + offsets, discriminant.decision_function(heard)
    ratio = np.ptp(expected, axis=1) / np.ptp(said, axis=1)
    np.testing.assert_allclose(ratio, ratio[0], rtol=0.01)
    monkeypatch.setattr(EmotionRecognizer, "_heard_as", None)  # isn't called where weights are kept
    again = quick.untrained(**changes).train()
    np.testing.assert_array_equal(again.model.predict_proba(X[0]), network.predict_proba(X[0]))


def test_statistics_are_the_functionals_that_the_features_have():
    features = ["spectrum", "prosody", "quality"]
    columns = feature_names(features, FRAMES)
    x = np.random.default_rng(0).normal(size=(200, len(columns))).astype(np.float32)
    facts = {fact for name in features for fact in voice.FACTS[name]}
    names = [name for name in feature_names(features) if name not in facts]
    found = clip_statistics([x], features)[0]
    assert len(found) == len(names)
    harmonicity, energy = (x[:, columns.index(name)] for name in ("harmonicity", "energy"))
    voiced = (harmonicity > VOICED[0]) & (energy > VOICED[1])
    gliding = np.append(False, voiced[1:] & voiced[:-1])
    kinds = {"active": slice(None), "voiced": voiced, "gliding": gliding}
    for kind, rows in kinds.items():
        own = [name.removeprefix(f"{kind}_").removesuffix("_mean") for name in names
               if name.startswith(kind) and name.endswith("_mean")]  # fmt: skip
        values = x[rows][:, [columns.index(name) for name in own]]
        for expected in (values.mean(axis=0), np.percentile(values, 95, axis=0)):
            assert all(np.abs(found - value).min() < 1e-5 for value in expected)
        assert len(set(own)) == len(own) > 1


def test_random_convolutions_are_those_of_a_plain_loop():
    X = matrices((80, 3, 40))
    found = RandomConvolutions([0, 2, 3, 4]).fit(X[1:])
    parts = found.transform(X)[0].reshape(len(DILATIONS), 2, KERNELS)
    assert set(found.columns_.flat) == {0, 2, 3, 4}
    for place, kernel in [(0, 0), (2, 17), (4, KERNELS - 1)]:
        said = []
        for centre in range(len(X[0])):
            times = centre + DILATIONS[place] * (np.arange(TAPS) - TAPS // 2)
            taps = X[0][np.clip(times, 0, len(X[0]) - 1)][:, found.columns_[place, kernel]]
            said.append((taps * found.weights_[place, :, kernel]).sum())
        above = np.array(said) - found.thresholds_[place, kernel]
        share, height = parts[place, :, kernel]
        assert share == pytest.approx((above > 0).mean())
        assert height == pytest.approx(above[above > 0].mean(), rel=1e-4)


def test_random_convolutions_hear_how_a_voice_moves_and_not_its_level():
    X = matrices((80, 60, 90, 1))
    said = RandomConvolutions().fit(X).transform(X)
    higher = ragged([x + np.arange(5, dtype=np.float32) for x in X])
    np.testing.assert_allclose(RandomConvolutions().fit(higher).transform(higher), said, atol=0.1)
    shares = said.reshape(4, len(DILATIONS), 2, KERNELS)[:3, :, 0]
    low, high = HEIGHTS
    assert low - 0.1 < shares.mean(axis=0).min() < shares.mean(axis=0).max() < high + 0.1
    assert np.isfinite(said).all()


def test_the_members_of_the_usual_ensemble_learn_from_copies():
    def copies(**options):
        members = EnsembleRecognizer(**BUNDLED, **options).members
        return [(member.voices, member.degraded) for member in members]

    assert copies() == [(4, 1), (4, 0)]
    assert copies(degraded=2) == [(4, 2), (4, 2)]
    assert copies(voices=0) == [(0, 1), (0, 0)]


def test_where_no_frame_is_voiced_all_count():
    features = ["prosody", "quality"]
    columns = feature_names(features, FRAMES)
    x = np.random.default_rng(0).normal(size=(50, len(columns))).astype(np.float32)
    x[:, columns.index("energy")] -= 9
    found = clip_statistics([x], features)[0]
    mean = x[:, columns.index("pitch")].mean()
    assert np.abs(found - mean).min() < 1e-5


@pytest.mark.parametrize("features", [["mfcc"], ["spectrum"], None])
def test_features_that_know_no_voice_are_summed_up_over_all_frames(features):
    n_columns = len(feature_names(features, FRAMES)) if features else 5
    (x,) = matrices((40,), n_columns)
    found = clip_statistics([x], features)[0].reshape(len(FUNCTIONALS), -1)
    kept = slice(voice.N_BANDS if features == ["spectrum"] else 0, None)  # bands as voice.SUMS says
    np.testing.assert_allclose(found[0], x[:, kept].mean(axis=0), atol=1e-6)


def test_the_frames_tell_nearly_the_voiced_ones(clips):
    features, agree = ["prosody", "quality"], []
    heard = [voice.Voice(load_audio(path), SAMPLE_RATE) for path in clips]
    frames = ragged([own.columns(features)[own.rows("active")] for own in heard])
    for own, x in zip(heard, FrameScaler().fit(frames).transform(frames), strict=True):
        agree.append(np.isin(own.rows("active"), own.rows("voiced")) == voiced_frames(x, features))
    assert np.concatenate(agree).mean() > 0.9
