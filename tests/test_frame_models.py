"""What frames are reduced to: plain loops are the oracles."""

import numpy as np
import pytest

import speech_features
from audio import load_audio
from data_extractor import ragged
from features import FRAMES, FUNCTIONALS, feature_names
from frame_models import (
    DILATIONS,
    HEIGHTS,
    KERNELS,
    TAPS,
    VOICED,
    FrameScaler,
    RandomConvolutions,
    clip_statistics,
    voiced_frames,
)
from parameters import SAMPLE_RATE


def matrices(lengths=(60, 7, 33, 130), n_columns=5):
    rng = np.random.default_rng(0)
    return ragged([rng.normal(size=(n, n_columns)).astype(np.float32) for n in lengths])


def test_frames_are_standardised_by_those_of_the_training_clips():
    X = matrices((400, 300)) * 3 + 2
    scaler = FrameScaler().fit(X)
    everything = np.concatenate(X)
    np.testing.assert_allclose(scaler.mean_, everything.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(scaler.scale_, everything.std(axis=0), rtol=1e-4)
    Z = np.concatenate(scaler.transform(X))
    np.testing.assert_allclose(Z.mean(axis=0), 0, atol=0.02)
    assert scaler.transform(ragged([np.full((3, 5), 1e6)]))[0].max() == 4


def test_statistics_are_the_functionals_that_the_features_have():
    features = ["spectrum", "prosody", "quality"]
    columns = feature_names(features, FRAMES)
    x = np.random.default_rng(0).normal(size=(200, len(columns))).astype(np.float32)
    facts = {fact for name in features for fact in speech_features.FACTS[name]}
    names = [name for name in feature_names(features) if name not in facts]
    found = clip_statistics([x], features)[0]
    assert len(found) == len(names)
    harmonicity, energy = (x[:, columns.index(name)] for name in ("harmonicity", "energy"))
    voiced = (harmonicity > VOICED[0]) & (energy > VOICED[1])
    gliding = np.append(False, voiced[1:] & voiced[:-1])
    kinds = {"active": slice(None), "voiced": voiced, "gliding": gliding}
    for kind, rows in kinds.items():
        own = [
            name.removeprefix(f"{kind}_").removesuffix("_mean")
            for name in names
            if name.startswith(kind) and name.endswith("_mean")
        ]
        values = x[rows][:, [columns.index(name) for name in own]]
        for expected in (values.mean(axis=0), np.percentile(values, 95, axis=0)):
            assert all(np.abs(found - value).min() < 1e-5 for value in expected)
        assert len(set(own)) == len(own) > 1


def test_where_no_frame_is_voiced_all_count():
    features = ["prosody", "quality"]
    columns = feature_names(features, FRAMES)
    x = np.random.default_rng(0).normal(size=(50, len(columns))).astype(np.float32)
    x[:, columns.index("energy")] -= 9
    found = clip_statistics([x], features)[0]
    mean = x[:, columns.index("pitch")].mean()
    assert np.abs(found - mean).min() < 1e-5


@pytest.mark.parametrize("features", [["mfcc"], ["spectrum"], None])
def test_features_without_voicing_are_summed_up_over_all_frames(features):
    n_columns = len(feature_names(features, FRAMES)) if features else 5
    (x,) = matrices((40,), n_columns)
    found = clip_statistics([x], features)[0].reshape(len(FUNCTIONALS), -1)
    bands = speech_features.N_BANDS if features == ["spectrum"] else 0  # see speech_features.SUMS
    np.testing.assert_allclose(found[0], x[:, bands:].mean(axis=0), atol=1e-6)


def test_voiced_frames_are_nearly_those_of_the_waveform(bundled_clips):
    features, agree = ["prosody", "quality"], []
    measured = [
        speech_features.SpeechFrames(load_audio(path), SAMPLE_RATE) for path in bundled_clips[::3]
    ]
    frames = ragged([own.columns(features)[own.rows("active")] for own in measured])
    for own, x in zip(measured, FrameScaler().fit(frames).transform(frames), strict=True):
        agree.append(np.isin(own.rows("active"), own.rows("voiced")) == voiced_frames(x, features))
    assert np.concatenate(agree).mean() > 0.9


def test_random_convolutions_are_those_of_a_plain_loop():
    X = matrices((80, 3, 40))
    convolutions = RandomConvolutions([0, 2, 3, 4]).fit(X[1:])
    parts = convolutions.transform(X)[0].reshape(len(DILATIONS), 2, KERNELS)
    assert set(convolutions.columns_.flat) == {0, 2, 3, 4}
    for place, kernel in [(0, 0), (2, 17), (4, KERNELS - 1)]:
        outputs, columns = [], convolutions.columns_[place, kernel]
        for centre in range(len(X[0])):
            times = centre + DILATIONS[place] * (np.arange(TAPS) - TAPS // 2)
            taps = X[0][np.clip(times, 0, len(X[0]) - 1)][:, columns]
            outputs.append((taps * convolutions.weights_[place, :, kernel]).sum())
        above = np.array(outputs) - convolutions.thresholds_[place, kernel]
        share, height = parts[place, :, kernel]
        assert share == pytest.approx((above > 0).mean())
        assert height == pytest.approx(above[above > 0].mean(), rel=1e-4)


def test_random_convolutions_depend_on_movement_and_not_on_the_level():
    X = matrices((80, 60, 90, 1))
    values = RandomConvolutions().fit(X).transform(X)
    higher = ragged([x + np.arange(5, dtype=np.float32) for x in X])
    np.testing.assert_allclose(RandomConvolutions().fit(higher).transform(higher), values, atol=0.1)
    shares = values.reshape(4, len(DILATIONS), 2, KERNELS)[:3, :, 0]
    low, high = HEIGHTS
    assert low - 0.1 < shares.mean(axis=0).min() < shares.mean(axis=0).max() < high + 0.1
    assert np.isfinite(values).all()
