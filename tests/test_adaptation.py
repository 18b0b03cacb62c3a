"""Adaptation to speakers: means and deviations of drawn speakers, with and without labels."""

import shutil
import warnings
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from conftest import bundled_clip
from sklearn.linear_model import Ridge

from adaptation import (
    Adaptation,
    NoSpeech,
    Running,
    SpeakerFrameScaler,
    SpeakerScaler,
    standardised,
    usable,
)
from audio import load_audio
from data_extractor import Split, ragged
from models import EmotionLDA
from predictor import Predictor
from training import Training

EMOTIONS = ["sad", "happy"]


def many_speakers(spreads, n_speakers=60, n_clips=20, seed=0):
    """Features of as many speakers, whose means spread so far while clips vary by 1."""
    rng = np.random.default_rng(seed)
    means = rng.normal(size=(n_speakers, len(spreads))) * spreads
    groups = np.repeat(np.arange(n_speakers), n_clips)
    return means[groups] + rng.normal(size=(len(groups), len(spreads))), groups


def test_standardised_vectors_and_frames():
    X, mean, std = np.array([[1.0, 2.0], [3.0, 6.0]]), np.array([1.0, 0.0]), np.array([2.0, 4.0])
    assert standardised(X, None, None) is X
    np.testing.assert_allclose(standardised(X, mean, std), [[0, 0.5], [1, 1.5]])
    frames = standardised(ragged([X, X[:1], X]), mean, std)
    assert frames.shape == (3,) and frames.dtype == object
    np.testing.assert_allclose(frames[1], [[0, 0.5]])
    np.testing.assert_allclose(frames[2], [[0, 0.5], [1, 1.5]])


def test_the_average_speaker_counts_less_where_speakers_differ_more():
    X, groups = many_speakers([0.0, 1.0, 10.0], n_speakers=500)
    X = np.column_stack([X, np.full(len(X), 7.0)])  # and one that never changes
    scaler = SpeakerScaler(max_prior=4, variance_prior=5).fit(X, groups, groups % 2)
    np.testing.assert_allclose(scaler.spread_[:3], [0.25, 1, 100], rtol=0.3)
    handful = np.array([[5.0, 5, 5, 7]] * 6)
    mean, std = scaler.statistics(handful)
    prior = np.array([4, 1, 0.01])  # clips that the average speaker counts for
    np.testing.assert_allclose(mean[:3], 6 * 5 / (6 + prior), rtol=0.08, atol=0.1)
    squares = ((handful - mean) ** 2).sum(axis=0) + 5 * scaler.variance_
    np.testing.assert_allclose(std**2, squares / 11)
    assert (mean[3], std[3] > 0) == (7, True)


def test_every_speaker_is_standardised_on_their_own():
    X, groups = many_speakers([3.0, 10.0], n_speakers=4, n_clips=100)
    Z = SpeakerScaler().fit(X, groups, groups).transform(X, groups)
    for speaker in range(4):
        np.testing.assert_allclose(Z[groups == speaker].mean(axis=0), 0, atol=0.2)
        np.testing.assert_allclose(Z[groups == speaker].std(axis=0), 1, atol=0.15)
    one = SpeakerScaler().fit(X[:100], groups[:100], groups[:100])
    assert np.isfinite(one.transform(X[:100], groups[:100])).all()


def test_known_labels_correct_the_mean_of_a_speaker():
    X, groups = many_speakers([10.0])
    y = np.tile(["neutral", "happy"], len(X) // 2)
    X += np.where(y == "neutral", -3, 3)[:, np.newaxis]
    scaler = SpeakerScaler().fit(X, groups, y)
    new = np.random.default_rng(1).normal(size=(8, 1)) + 20 - 3
    blind, blind_std = scaler.statistics(new)
    informed, informed_std = scaler.statistics(new, ["neutral"] * 8)
    assert blind == pytest.approx(17, abs=1.2) and informed == pytest.approx(20, abs=1.2)
    assert blind_std < 0.8 * informed_std  # clips of one emotion seem to vary little
    assert informed_std == pytest.approx(np.sqrt(scaler.variance_), rel=0.1)
    both = np.concatenate([new, new + 6])
    mixed, _ = scaler.statistics(both, ["neutral"] * 8 + ["happy"] * 8)
    assert mixed == pytest.approx(20, abs=1)


def test_clips_without_a_label_count_beside_known_ones():
    X, groups = many_speakers([2.0, 10.0])
    y = np.tile(["neutral", "happy"], len(X) // 2)
    X += np.where(y == "neutral", -3, 3)[:, np.newaxis]
    scaler = SpeakerScaler().fit(X, groups, y)
    new = np.random.default_rng(1).normal(size=(12, 2)) + 17
    for found, expected in zip(
        scaler.statistics(new, [None] * 12), scaler.statistics(new), strict=True
    ):
        np.testing.assert_array_equal(found, expected)
    labels = np.array(["neutral", None] * 6, dtype=object)
    mean, std = scaler.statistics(new, labels)
    known, unknown = new[::2], new[1::2]
    offset = scaler.offsets_["neutral"]
    sources = [  # (mean, precision): the average speaker, the unknown clips, the known ones
        (scaler.mean_, 1 / scaler.spread_),
        (unknown.mean(axis=0), 6 / scaler.variance_),
        (
            known.mean(axis=0) - offset * np.sqrt(scaler.variance_),
            1 / (scaler.variance_ * (scaler.habit_ + scaler.noise_ / 6)),
        ),
    ]
    weights = np.array([weight for _, weight in sources])
    np.testing.assert_allclose(mean, np.average([m for m, _ in sources], axis=0, weights=weights))
    squares = ((unknown - mean) ** 2).sum(axis=0) + 10 * scaler.variance_
    expected = offset**2 + scaler.habit_ + scaler.noise_
    squares += (((known - mean) ** 2) / expected).sum(axis=0)
    np.testing.assert_allclose(std, np.sqrt(squares / 22))


def test_labels_count_little_where_speakers_express_them_differently():
    rng = np.random.default_rng(0)
    X, groups = many_speakers([1.0])
    y = np.tile(["neutral", "happy"], len(X) // 2)
    own = rng.normal(size=(60, 2)) * 2  # how each speaker does neutral and happy
    X += own[groups, (y == "happy").astype(int)][:, np.newaxis]
    scaler = SpeakerScaler().fit(X, groups, y)
    informed, _ = scaler.statistics(np.full((100, 1), 10.0), ["neutral"] * 100)
    blind, _ = scaler.statistics(np.full((100, 1), 10.0))
    assert 2 < informed < 8 < blind


def test_frames_are_standardised_by_those_of_their_speaker():
    rng = np.random.default_rng(0)
    groups, y = np.repeat(list("abcd"), 30), np.tile(["sad", "happy"], 60)
    middle = {"a": -20, "b": 0, "c": 10, "d": 30}
    X = ragged([rng.normal(middle[g], 2, size=(50, 3)) for g in groups])
    scaler = SpeakerFrameScaler().fit(X, groups, y)
    mean, std = scaler.statistics(X[groups == "d"])
    np.testing.assert_allclose(mean, 30, atol=0.5)
    np.testing.assert_allclose(std, 2, rtol=0.1)
    for speaker in "abcd":
        own = np.concatenate(scaler.transform(X, groups)[groups == speaker])
        np.testing.assert_allclose(own.mean(axis=0), 0, atol=0.3)


# what people adapt with


@pytest.fixture
def folder(tmp_path):
    """Two clips with speech, noise, and a file that is no audio."""
    shutil.copy(bundled_clip("happy"), tmp_path / "ann_1_happy.wav")
    shutil.copy(bundled_clip("sad"), tmp_path / "ann_2_bored.wav")
    noise = 1e-4 * np.random.default_rng(0).normal(size=32000)
    sf.write(tmp_path / "noise_sad.wav", noise, 16000)
    (tmp_path / "broken.wav").write_bytes(b"no audio")
    return tmp_path


def test_recordings_without_speech_are_left_out_and_named(folder):
    with pytest.warns(UserWarning, match="2 recording.* left out of the adaptation") as caught:
        found = usable(folder, "names", EMOTIONS)
    assert "noise_sad.wav: no speech" in str(caught[0].message) and len(caught) == 1
    assert [Path(path).name for path in found.recordings] == ["ann_1_happy.wav", "ann_2_bored.wav"]
    assert found.labels == ["happy", None]
    names = {Path(name).name: reason for name, reason in found.left_out.items()}
    assert set(names) == {"noise_sad.wav", "broken.wav"}
    assert names["noise_sad.wav"] == "no speech" and names["broken.wav"].startswith("not audio")


def test_arrays_and_open_files_are_recordings_too():
    path = bundled_clip("happy")
    y, file = load_audio(path), BytesIO(Path(path).read_bytes())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = usable([path, y, file], ["sad", None, "happy"], EMOTIONS, sr=16000)
    assert found.recordings[0] == path and found.labels == ["sad", None, "happy"]
    for samples in found.recordings[1:]:
        np.testing.assert_array_equal(samples, y)
    with pytest.warns(UserWarning, match="recording 2: no speech"):
        usable([y, np.zeros(16000, np.float32)], None, EMOTIONS, sr=16000)


def test_without_speech_nothing_is_adapted(folder):
    (folder / "ann_1_happy.wav").unlink()
    (folder / "ann_2_bored.wav").unlink()
    with pytest.raises(NoSpeech, match=r"noise_sad.wav: no speech. Record some sentences"):
        usable(folder, None, EMOTIONS)
    with pytest.raises(NoSpeech, match="needs its sampling rate"):
        usable([load_audio(bundled_clip("sad"))], None, EMOTIONS)


@pytest.mark.parametrize(
    ("recordings", "labels", "words"),
    [
        ([], None, "one or more"),
        ("nowhere", None, "list of one or more recordings, or a folder"),
        (["a.wav"], "sda", "Did you mean 'sad'"),
        (["a.wav"], ["sad", None], "2 labels for 1 recording"),
    ],
)
def test_wrong_recordings_and_labels_are_refused(recordings, labels, words):
    with pytest.raises(ValueError, match=words):
        usable(recordings, labels, EMOTIONS)


def test_an_adaptation_is_one_line():
    assert str(Adaptation("condition", 1, 0, 0)) == (
        "one recording condition by 1 recording: 0 predictions changed"
    )


# while a voice speaks


def test_running_adaptation_counts_windows_that_do_not_overlap(rec, monkeypatch):
    monkeypatch.setattr(Running, "MOST", 3)
    predictor = rec.predictor_
    X = rec.X_test[:9]
    running = Running(predictor, window=5.0)  # enough are two windows
    ends = [(1.0, 2.0), (1.0, 6.0), (1.0, 7.0), (1.0, 10.0), (20.0, 21.0)]
    for (utterance, end), own in zip(ends[:4], X, strict=False):
        running.add(utterance, end, own[np.newaxis])
        assert running.predictor is predictor
    running.add(*ends[4], X[4:5])  # those before: until 6.0, the latest until 11.0
    expected = predictor.adapted(X[[1, 3]]).probabilities(X)
    np.testing.assert_array_equal(running.predictor.probabilities(X), expected)
    for i, utterance in enumerate([30.0, 40.0, 50.0], 5):
        running.add(utterance, utterance + 1, X[i : i + 1])
    expected = predictor.adapted(X[[4, 5, 6]]).probabilities(X)  # the latest three before
    np.testing.assert_array_equal(running.predictor.probabilities(X), expected)


def test_running_adaptation_needs_a_predictor_that_can_be_adapted(rec, adapted, ensemble):
    with pytest.raises(ValueError, match="adapted already"):
        Running(adapted.predictor_, 3.0)
    with pytest.raises(ValueError, match='normalize="speaker"'):
        plain = rec.untrained(normalize=None, features=["mfcc"], functionals=["mean"])
        Running(plain.fit(rec.train_rows_).predictor_, 3.0)
    assert Running(ensemble.predictor_, 3.0).predictor is ensemble.predictor_


def voices(n_speakers=8, n_clips=24):
    """Clips of three emotions, of speakers whose averages differ: X, groups, y."""
    rng = np.random.default_rng(0)
    y = np.tile(np.repeat(["angry", "happy", "sad"], n_clips // 3), n_speakers)
    groups = np.repeat([f"speaker{i}" for i in range(n_speakers)], n_clips)
    means = dict(zip(["angry", "happy", "sad"], 2 * rng.normal(size=(3, 20)), strict=True))
    X = np.array([means[label] for label in y]) + rng.normal(size=(len(y), 20))
    return X + np.repeat(3 * rng.normal(size=(n_speakers, 20)), n_clips, axis=0), groups, y


def test_clips_of_one_emotion_vary_less_than_a_speaker():
    X, groups, y = voices()
    known, new = groups != "speaker0", groups == "speaker0"
    scaler = SpeakerScaler().fit(X[known], groups[known], y[known])
    assert scaler.diversity(X[new]) > 0.6
    assert scaler.diversity(X[new & (y == "angry")]) < 0.35
    assert scaler.diversity(X[new][:1]) == 0
    older = SpeakerScaler()  # before it was fitted, or of a file of before
    assert older.diversity(X[new]) == 1


@pytest.mark.parametrize("classification", [True, False])
def test_clips_of_one_emotion_are_not_trusted(classification):
    X, groups, y = voices()
    known, new = groups != "speaker0", groups == "speaker0"
    targets = y if classification else np.searchsorted(["angry", "happy", "sad"], y).astype(float)
    split = Split(X[known], targets[known], groups[known], None)
    model = EmotionLDA() if classification else Ridge()
    training = Training(
        split, model, speaker_scaler=SpeakerScaler, classification=classification, n_jobs=1
    )
    fits = dict(zip(("general", "by_speaker"), training.fit(), strict=True))
    assert (fits["by_speaker"].diversity is not None) == classification
    emotions = ["angry", "happy", "sad"] if classification else ["sad", "neutral", "happy"]
    predictor = Predictor((), None, emotions, classification, **fits)
    angry = new & (y == "angry")
    label = "angry" if classification else "sad"
    assert predictor.adapted(X[new]).trust == 1
    assert predictor.adapted(X[angry]).trust < 0.2
    assert predictor.adapted(X[new][:1]).trust == 0  # nobody knows what a single clip is
    assert predictor.adapted(X[angry], [label] * 8).trust == 1
    half = predictor.adapted(X[angry], [*[label] * 4, *[None] * 4])
    assert 0.4 < half.trust < 0.7
