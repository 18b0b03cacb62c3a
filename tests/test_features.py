"""The features against librosa itself: the same numbers, whatever the clip."""

import hashlib
import importlib.metadata
import subprocess
import sys
import warnings
from functools import partial
from itertools import pairwise
from pathlib import Path

import librosa
import make_golden_vectors
import numpy as np
import pytest
import scipy.fft
import scipy.stats
import soundfile as sf
from conftest import REPO
from tiny_encoder import write_tiny_encoder

import features as ft
import speech_features
import utils
from encoder import EncoderError, EncoderFrames, load_encoder
from speech_features import SpeechFrames

SR = 16_000
LENGTHS = {"mfcc": 40, "chroma": 12, "mel": 128, "contrast": 7, "tonnetz": 6}

# Where a mean is zero but for rounding, a relative error is meaningless. An MFCC sums 128 decibels
# of up to 100 in float32, a step of which is 1e-5; a contrast is a difference of two such decibels;
# chroma and tonnetz lie in -1..1, and in frames of digital silence librosa's own tonnetz consists
# of the rounding errors of its neighbours.
ATOL = {"mfcc": 1e-5, "chroma": 1e-7, "mel": 1e-20, "contrast": 1e-6, "tonnetz": 1e-5}

FOUR = [name for name in LENGTHS if name != "tonnetz"]  # librosa's tonnetz takes a while

rng = np.random.default_rng(0)
seconds = np.arange(3 * SR) / SR
SIGNALS = {
    "0.1 s of noise": 0.1 * rng.standard_normal(SR // 10),
    "noise": 0.1 * rng.standard_normal(2 * SR),
    "tone": 0.5 * np.sin(2 * np.pi * 440 * seconds),
    "tone between bins": 0.5 * np.sin(2 * np.pi * 1234.5 * seconds),
    "chirp": 0.5 * np.sin(2 * np.pi * (100 + 900 * seconds) * seconds),
    "silence": np.zeros(SR),
    "impulse": np.eye(1, SR, SR // 2)[0],
    "constant": np.full(SR, 0.5),
    "hardly anything": 1e-6 * rng.standard_normal(SR),
    "clipped": np.clip(3 * rng.standard_normal(SR), -1, 1),
    "silence, then noise": np.concatenate([np.zeros(SR), 0.1 * rng.standard_normal(SR)]),
}
SIGNALS = {name: y.astype(np.float32) for name, y in SIGNALS.items()}


def by_librosa(name, y, sr=SR):
    """The frames of one feature, (n_columns, n_frames), as its documentation computes them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if name == "mfcc":
            return librosa.feature.mfcc(y=y, sr=sr, n_mfcc=40)
        if name == "mel":
            return librosa.feature.melspectrogram(y=y, sr=sr)
        if name == "tonnetz":
            return librosa.feature.tonnetz(y=librosa.effects.harmonic(y), sr=sr)
        S = np.abs(librosa.stft(y))
        if name == "chroma":
            return librosa.feature.chroma_stft(S=S, sr=sr)
        return librosa.feature.spectral_contrast(S=S, sr=sr)


def assert_same(name, y, sr=SR, note=""):
    want = by_librosa(name, y, sr).mean(axis=1)
    got = ft.extract(y, sr, features=[name])
    np.testing.assert_allclose(got, want, rtol=1e-3, atol=ATOL[name], err_msg=f"{name} {note}")


@pytest.mark.parametrize("name", LENGTHS)
def test_clips_give_what_librosa_gives(name, clips):
    for path in clips[::20]:
        assert_same(name, sf.read(path, dtype=np.float32)[0], note=path.name)


@pytest.mark.slow
@pytest.mark.parametrize("name", LENGTHS)
def test_all_clips_give_what_librosa_gives(name, clips):
    for path in clips:
        assert_same(name, sf.read(path, dtype=np.float32)[0], note=path.name)


@pytest.mark.parametrize("signal", SIGNALS)
@pytest.mark.parametrize("name", LENGTHS)
def test_synthetic_signals_give_what_librosa_gives(name, signal):
    assert_same(name, SIGNALS[signal])


@pytest.mark.parametrize("name", [*FOUR, pytest.param("tonnetz", marks=pytest.mark.slow)])
def test_a_minute_gives_what_librosa_gives(name, clips):
    y = np.concatenate([sf.read(path, dtype=np.float32)[0] for path in clips])
    assert_same(name, np.resize(y, 60 * SR))


@pytest.mark.parametrize("name", LENGTHS)
@pytest.mark.parametrize("sr", [22_050, 44_100, 48_000])
def test_other_rates_give_what_librosa_gives(name, sr):
    assert_same(name, SIGNALS["noise"], sr)


@pytest.mark.parametrize("name", LENGTHS)
def test_frames_are_librosas_frames(name, clips):
    y = sf.read(clips[0], dtype=np.float32)[0]
    values, columns, times = ft.frames(y, features=name)
    want = by_librosa(name, y).T
    np.testing.assert_allclose(values, want, rtol=1e-3, atol=1e-4 * np.abs(want).max())
    np.testing.assert_allclose(times, librosa.times_like(want.T, sr=SR))
    assert values.dtype == np.float32 and len(columns) == LENGTHS[name]


def test_the_vector_is_the_mean_of_the_frames_in_canonical_order():
    y = SIGNALS["chirp"]
    vector = ft.extract(y, features=reversed(ft.FEATURES))
    assert vector.dtype == np.float32 and vector.shape == (193,)
    alone = [ft.extract(y, features=[name]) for name in ft.FEATURES]
    np.testing.assert_array_equal(vector, np.concatenate(alone))
    matrix = ft.frames(y, features=ft.FEATURES)
    np.testing.assert_allclose(vector, matrix.values.mean(axis=0, dtype=float), rtol=1e-6)
    assert [f"{column}_mean" for column in matrix.columns] == ft.feature_names(ft.FEATURES)


def test_names():
    assert {name: len(columns) for name, columns in ft.COLUMNS.items()} == LENGTHS
    names = ft.feature_names(["tonnetz", "mfcc", "mfcc"])
    assert names[0] == "mfcc_1_mean" and names[-1] == "tonnetz_major_y_mean" and len(names) == 46
    assert len(set(ft.feature_names(ft.FEATURES))) == 193
    assert ft.feature_names("chroma")[:2] == ["chroma_C_mean", "chroma_C#_mean"]


def test_a_pure_tone_lights_its_own_names():
    values, columns, _ = ft.frames(SIGNALS["tone"], features=["chroma"])
    assert columns[values.mean(axis=0).argmax()] == "chroma_A"


CALLS = [
    ft.feature_names,
    partial(ft.extract, np.ones(100)),
    partial(ft.frames, np.ones(100)),
    partial(ft.frames_blocks, [np.ones(100)]),
]


@pytest.mark.parametrize("call", CALLS)
def test_unknown_features_are_named_with_their_nearest(call):
    with pytest.raises(ValueError, match=r"choose from mfcc, chroma, .*\. Did you mean 'mfcc'"):
        call(features=["mel", "mfccs"])
    with pytest.raises(ValueError, match="No feature given"):
        call(features=[])


@pytest.mark.parametrize("features", [["mel"], ["prosody"], ["mfcc", "quality"]])
def test_unknown_functionals_are_named(features):
    for call in (partial(ft.extract, np.ones(100)), ft.feature_names):
        with pytest.raises(ValueError, match=r"Unknown functional 'means'.*Did you mean 'mean'"):
            call(features=features, functionals=["means"])
        with pytest.raises(ValueError, match="No functional given; choose from mean, std"):
            call(features=features, functionals=[])


# functionals


def by_loop(x, function):
    return [function([float(value) for value in column]) for column in x.T]


def autocorrelation(column, lag):
    """The average product of values `lag` apart, over the variance."""
    if lag >= len(column):
        return 0
    mean = sum(column) / len(column)
    variance = sum((value - mean) ** 2 for value in column) / len(column)
    pairs = zip(column[:-lag], column[lag:], strict=True)
    return sum((a - mean) * (b - mean) for a, b in pairs) / (len(column) - lag) / variance


ORACLES = {
    "mean": lambda x: np.mean(x, axis=0),
    "std": lambda x: np.std(x, axis=0),
    **{f"p{p}": partial(np.percentile, q=p, axis=0) for p in (1, 5, 25, 50, 75, 95, 99)},
    "iqr": lambda x: scipy.stats.iqr(x, axis=0),
    "range": lambda x: np.percentile(x, 95, axis=0) - np.percentile(x, 5, axis=0),
    "skew": lambda x: np.cbrt(scipy.stats.skew(x, axis=0)),
    "kurtosis": lambda x: np.log1p(scipy.stats.kurtosis(x, axis=0, fisher=False)),
    "change": lambda x: by_loop(x, lambda c: np.mean([abs(b - a) for a, b in pairwise(c)])),
    **{
        f"dct{k}": partial(lambda x, k: scipy.fft.dct(x, axis=0)[k] / 2 / len(x), k=k)
        for k in range(1, 7)
    },
    **{
        f"autocorrelation{lag}": partial(by_loop, function=partial(autocorrelation, lag=lag))
        for lag in (5, 10, 20, 40)
    },
}


def test_every_functional_has_an_oracle():
    assert [*ORACLES] == [*ft.FUNCTIONALS]
    assert [*ORACLES] == [*ft.SPEECH_FUNCTIONALS]
    assert ft.DEFAULT_FUNCTIONALS == ("mean",)


@pytest.mark.parametrize("n_frames", [7, 8, 40, 41, 101, 1000])
@pytest.mark.parametrize("name", ORACLES)
def test_functionals_are_those_of_numpy_and_scipy(name, n_frames):
    draw = np.random.default_rng(n_frames)
    columns = [
        draw.standard_normal(n_frames),
        50 + 5 * draw.gamma(1, size=n_frames),
        draw.standard_normal(n_frames).cumsum(),
        np.sin(np.arange(n_frames)) + np.exp(3 * np.arange(n_frames) / n_frames),
        draw.integers(0, 3, n_frames),
    ]
    x = np.column_stack(columns).astype(np.float32)
    got = ft.FUNCTIONALS[name](ft.Contour(x))
    np.testing.assert_allclose(got, ORACLES[name](x.astype(float)), rtol=2e-4, atol=2e-5)


@pytest.mark.parametrize("features", [["mfcc", "chroma"], ["contrast"]])
def test_functionals_of_the_frames_make_the_vector(features):
    y = SIGNALS["silence, then noise"] + SIGNALS["noise"]
    vector = ft.extract(y, features=features, functionals=ORACLES)
    values = ft.frames(y, features=features).values.astype(float)
    for name, got in zip(ORACLES, np.split(vector, len(ORACLES)), strict=True):
        np.testing.assert_allclose(got, ORACLES[name](values), rtol=1e-3, atol=1e-4, err_msg=name)


@pytest.mark.parametrize("name", ORACLES)
@pytest.mark.parametrize("n_frames", [1, 2, 3, 200])
def test_what_never_changes_gives_itself_or_zero(n_frames, name):
    x = np.tile(np.array([0, 0.1, -1e6, 1e-30], np.float32), (n_frames, 1))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        got = ft.FUNCTIONALS[name](ft.Contour(x))
    level = name == "mean" or name.lstrip("p").isdigit()
    np.testing.assert_allclose(got, x[0] if level else np.zeros(4), rtol=1e-6)


@pytest.mark.parametrize("features", [ft.FEATURES, ft.SPEECH_FEATURES])
@pytest.mark.parametrize("n_samples", [1, 100, 400])
def test_one_frame_has_all_functionals(n_samples, features):
    for y in (SIGNALS["noise"][:n_samples], np.zeros(n_samples, np.float32)):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            vector = ft.extract(y, features=features, functionals=ft.FUNCTIONALS)
        assert np.isfinite(vector).all()
        got = dict(zip(ft.feature_names(features, ft.FUNCTIONALS), vector, strict=True))
        columns = {name.removesuffix("_p50") for name in got if name.endswith("_p50")}
        for column in columns:
            assert np.isclose(got[f"{column}_p50"], got[f"{column}_mean"], rtol=1e-6)
            for name in ("std", "range", "skew", "kurtosis", "change", "dct1", "autocorrelation5"):
                assert got[f"{column}_{name}"] == 0, (column, name)


def test_the_mean_is_what_the_vector_has_always_been():
    for y in (SIGNALS["noise"], SIGNALS["chirp"]):
        plain = ft.extract(y, features=ft.FEATURES)
        for functionals in (["mean"], ("mean",), "mean", None):
            again = ft.extract(y, features=ft.FEATURES, functionals=functionals)
            np.testing.assert_array_equal(again, plain)
        values = ft.frames(y, features=ft.FEATURES).values
        np.testing.assert_array_equal(plain, values.mean(axis=0, dtype=float).astype(np.float32))


def test_functionals_keep_their_canonical_order():
    y = SIGNALS["chirp"]
    for features in (["mel", "mfcc"], ["quality"], ["prosody", "chroma"]):
        jumbled = {"features": features[::-1], "functionals": ["p50", "std", "mean", "std"]}
        sorted_ = {"features": features, "functionals": ["mean", "std", "p50"]}
        np.testing.assert_array_equal(ft.extract(y, **jumbled), ft.extract(y, **sorted_))
        assert ft.feature_names(**jumbled) == ft.feature_names(**sorted_)
    assert ft.feature_names("chroma", ["std", "mean"])[::12] == ["chroma_C_mean", "chroma_C_std"]
    values = ft.frames(y, features=["mel"]).values
    both = ft.extract(y, features=["mel"], functionals=["std", "mean"])
    assert both.shape == (256,)
    np.testing.assert_allclose(both[:128], values.mean(axis=0), rtol=1e-4)
    np.testing.assert_allclose(both[128:], values.std(axis=0), rtol=1e-3)


# the features of speech among them


def test_speech_features_follow_the_five_each_with_its_own_functionals():
    y = SIGNALS["chirp"]
    features = ["modulation", "mfcc", "prosody", "tonnetz"]
    in_order = ["mfcc", "tonnetz", "prosody", "modulation"]
    vector, names = ft.extract(y, features=features), ft.feature_names(features)
    alone = [ft.extract(y, features=[name]) for name in in_order]
    np.testing.assert_array_equal(vector, np.concatenate(alone))
    assert vector.dtype == np.float32
    assert names == [name for feature in in_order for name in ft.feature_names(feature)]
    assert names[45:48] == ["tonnetz_major_y_mean", "active_energy_mean", "active_flux_mean"]
    both = ft.extract(y, features=["mfcc", "prosody"], functionals=["std"])
    assert len(both) == 40 + 18 + 65 == len(ft.feature_names(["mfcc", "prosody"], ["std"]))
    assert ft.feature_names(ft.RECOMMENDED_FEATURES)


def test_the_sums_of_speech_are_over_its_kinds_of_frames():
    y = SIGNALS["silence, then noise"]
    clip, columns = SpeechFrames(y, SR), speech_features.COLUMNS["quality"]
    values = ft.frames(y, features=["quality"]).values.astype(float)
    vector = ft.extract(y, features=["quality"])
    for kind, names in speech_features.SUMS["quality"].items():
        chosen = values[clip.rows(kind)][:, [columns.index(name) for name in names]]
        for name, oracle in ORACLES.items():
            got, vector = np.split(vector, [len(names)])
            np.testing.assert_allclose(got, oracle(chosen), rtol=1e-3, atol=1e-3, err_msg=name)
    assert not len(vector)


def test_without_functionals_the_frames_themselves_come_without_the_silence_around_them():
    y = SIGNALS["silence, then noise"]
    clip = SpeechFrames(y, SR)
    for features in (["quality"], ["spectrum", "prosody"]):
        values, columns, _ = ft.frames(y, features=features)
        got = ft.extract(y, features=features, functionals="frames")
        np.testing.assert_array_equal(got, values[clip.rows("active")])
        assert 0 < len(got) < len(values)
        assert ft.feature_names(features, "frames") == columns
    five = ft.extract(y, features=["mfcc", "mel"], functionals="frames")
    np.testing.assert_array_equal(five, ft.frames(y, features=["mfcc", "mel"]).values)


@pytest.mark.parametrize("sr", [SR, 22_050, 44_100])
def test_frames_of_speech_are_25_ms_every_10_ms(sr):
    y = SIGNALS["noise"]
    values, columns, times = ft.frames(y, sr, features=["quality", "spectrum"])
    hop, window = round(0.01 * sr), round(0.025 * sr)
    n_frames = 1 + (len(y) - window) // hop
    assert values.shape == (n_frames, len(columns)) and values.dtype == np.float32
    assert columns == [*speech_features.COLUMNS["spectrum"], *speech_features.COLUMNS["quality"]]
    np.testing.assert_allclose(times, [(i * hop + window / 2) / sr for i in range(n_frames)])
    alone = ft.frames(y, sr, features="quality").values
    np.testing.assert_array_equal(values[:, -alone.shape[1] :], alone)


def test_frames_are_of_one_kind_at_a_time():
    y = SIGNALS["0.1 s of noise"]
    with pytest.raises(ValueError, match=r"of 128 ms, spectrum, .* of 25 ms.*one kind"):
        ft.frames(y, features=["mfcc", "prosody"])
    with pytest.raises(ValueError, match="choose from mfcc, chroma, mel, contrast, tonnetz"):
        ft.frames_blocks([y], features=["prosody"])
    assert ft.frames(y, features=["modulation"]).values.shape == (8, 0)


BAD_SIGNALS = {
    "stereo": (np.ones((100, 2)), "1-D array of floats, not 2-D"),
    "integers": (np.ones(100, int), "1-D array of floats, not 1-D of int64"),
    "nothing": (np.ones(0), "non-empty"),
    "nan": (np.array([0, np.nan]), "finite"),
    "infinity": (np.array([0, np.inf]), "finite"),
    "text": ("speech.wav", "1-D array of floats"),
}


@pytest.mark.parametrize("bad", BAD_SIGNALS)
def test_bad_signals_are_refused(bad):
    y, message = BAD_SIGNALS[bad]
    for features in (ft.DEFAULT_FEATURES, ft.SPEECH_FEATURES):
        for call in (ft.extract, ft.frames):
            with pytest.raises(ValueError, match=message):
                call(y, features=features)


@pytest.mark.parametrize("sr", [0, -1, 8000, 12_800])
def test_rates_too_low_for_the_bands_are_refused(sr):
    for features in (ft.DEFAULT_FEATURES, ft.SPEECH_FEATURES):
        with pytest.raises(ValueError, match="above 12800 Hz"):
            ft.extract(SIGNALS["noise"], sr, features=features)


@pytest.mark.parametrize("n_samples", [1, 2, 511, 512, 513, 1600, 2047, 2049])
def test_short_clips_are_finite_and_silent_about_it(n_samples):
    for y in (SIGNALS["noise"][:n_samples], np.zeros(n_samples, np.float32)):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            values = ft.frames(y, features=ft.FEATURES).values
        assert values.shape == (1 + n_samples // 512, 193) and np.isfinite(values).all()


def test_the_input_is_left_alone_and_the_result_repeats():
    for y in (SIGNALS["chirp"].copy(), SIGNALS["chirp"].astype(float), SIGNALS["chirp"][::-1]):
        before = y.copy()
        first = ft.extract(y, features=ft.FEATURES)
        np.testing.assert_array_equal(y, before)
        np.testing.assert_array_equal(ft.extract(y, features=ft.FEATURES), first)


@pytest.fixture(scope="module")
def four_minutes(clips):
    y = np.concatenate([sf.read(path, dtype=np.float32)[0] for path in clips])
    return np.resize(y, 240 * SR)


@pytest.mark.parametrize("name", LENGTHS)
def test_blocks_give_what_the_whole_gives(name, four_minutes):
    y = four_minutes
    whole = ft.frames(y, features=[name])
    parts = [*ft.frames_blocks(np.array_split(y, 77), features=[name])]
    assert len(parts) > 6
    values = np.concatenate([part.values for part in parts])
    np.testing.assert_array_equal(np.concatenate([part.times for part in parts]), whole.times)
    np.testing.assert_allclose(values.mean(axis=0), whole.values.mean(axis=0), rtol=1e-3, atol=1e-5)
    error = np.abs(values - whole.values).max(axis=1) / np.abs(whole.values).max()
    if name == "tonnetz":  # but for the frames that lie in digital silence, see ATOL
        assert np.quantile(error, 0.98) < 1e-3
    else:
        assert error.max() < 1e-5


def test_blocks_give_every_frame_of_the_whole_where_there_is_no_digital_silence(four_minutes):
    y = four_minutes[: 100 * SR]
    y = y + 1e-4 * rng.standard_normal(len(y)).astype(np.float32)
    parts = ft.frames_blocks([y[:SR], y[SR:]], features=ft.FEATURES)
    whole = ft.frames(y, features=ft.FEATURES).values
    values = np.concatenate([part.values for part in parts])
    np.testing.assert_allclose(values, whole, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("length", [1, 700, 5000])
def test_blocks_may_have_any_length(length):
    y = SIGNALS["chirp"][:20_000]
    blocks = [y[i : i + length] for i in range(0, len(y), length)]
    (part,) = ft.frames_blocks(lambda: iter(blocks))
    np.testing.assert_array_equal(part.values, ft.frames(y).values)


def test_blocks_that_can_be_read_only_once_are_refused():
    with pytest.raises(ValueError, match="only once"):
        ft.frames_blocks(iter([SIGNALS["noise"]]))
    with pytest.raises(ValueError, match="non-empty"):
        next(ft.frames_blocks([]))


FRESH = """
import sys
import features
heavy = {"librosa", "onnxruntime", "numba", "scipy", "soxr", "matplotlib", "pandas"}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
import numpy as np
features.extract(np.ones(5000, np.float32), features=features.FEATURES + features.SPEECH_FEATURES)
assert not {"librosa", "onnxruntime"} & set(sys.modules)
names = features.feature_names(["encoder"])
assert len(names) == 4096, names
assert features.version(["encoder"]) and "onnxruntime" not in sys.modules
features.extract(np.ones(5000, np.float32), features=["encoder"])
assert "onnxruntime" in sys.modules and "librosa" not in sys.modules
"""


def test_importing_is_light_and_librosa_is_never_needed():
    subprocess.run([sys.executable, "-c", FRESH], cwd=REPO, check=True)


# the registry


def test_every_record_is_whole():
    y = SIGNALS["chirp"]
    for name, record in ft.REGISTRY.items():
        clip = record.source(y, SR)
        assert record.frames(clip).shape == (len(clip.times), len(record.columns))
        assert len(record.facts) == (len(record.of_clip(clip)) if record.of_clip else 0)
        assert set(record.functionals) <= set(ft.FUNCTIONALS)
        assert record.docs and "\n" not in record.docs and record.version >= 1
        for columns in (record.sums or {}).values():
            assert set(columns) <= set(record.columns)
        own = set(record.groups or [name])
        assert {ft.group_of(n) for n in ft.feature_names([name])} == own


def test_the_groups_of_explanations_are_those_of_the_registry():
    assert [*ft.GROUPS] == [
        *ft.FEATURES,
        *("spectrum: envelope", "spectrum: bands"),
        *("prosody: pitch", "prosody: loudness", "prosody: timing"),
        *("quality: tilt", "quality: harmonics", "modulation"),
        *("encoder: layer 2", "encoder: layer 3"),
    ]
    names = ft.feature_names([*ft.FEATURES, *ft.RECOMMENDED_FEATURES])
    assert ft.groups_of(names[::-1]) == [*ft.GROUPS]
    assert ft.groups_of(["layer12_3_std", "chroma_C_mean", "layer0_1_mean"]) == [
        *("chroma", "encoder: layer 12", "encoder: layer 0")
    ]
    with pytest.raises(ValueError, match="No feature has an element 'pulse_mean'"):
        ft.group_of("pulse_mean")


def crossings(clip):
    """How often the signal changes its sign within a frame (n_frames, 1)."""
    signs = np.signbit(np.lib.stride_tricks.sliding_window_view(clip.y, clip.window)[:: clip.hop])
    return np.diff(signs, axis=1).mean(axis=1, keepdims=True)


@pytest.fixture
def two_new(monkeypatch):
    """Two made-up features: one of the frames of speech, one of the longer frames."""
    new = {
        "crossings": ft.Feature(
            columns=("crossings_rate",),
            frames=crossings,
            docs="changes of sign",
            source=SpeechFrames,
            functionals=("mean", "std"),
            facts=("crossings_of_all",),
            of_clip=lambda clip: np.array([np.diff(np.signbit(clip.y)).mean()]),
            groups={"noise": "crossings_"},
        ),
        "loudest": ft.Feature(
            columns=("loudest_band",),
            frames=lambda clip: clip.power.argmax(axis=1)[:, np.newaxis],
            docs="number of the loudest mel band",
            version=3,
        ),
    }
    monkeypatch.setattr(ft, "REGISTRY", ft.REGISTRY | new)
    yield new
    ft.group_of.cache_clear()


def test_a_new_feature_is_one_entry_and_one_function(two_new):
    y = SIGNALS["chirp"]
    clip = SpeechFrames(y, SR)
    names = ["loudest", "crossings", "mel", "prosody"]
    vector, elements = ft.extract(y, features=names), ft.feature_names(names)
    got = dict(zip(elements, vector, strict=True))
    assert len(got) == 128 + 1 + len(ft.feature_names(["prosody"])) + 3
    rate = crossings(clip)[clip.rows("active")]
    assert np.isclose(got["crossings_rate_mean"], rate.mean())
    assert np.isclose(got["crossings_rate_std"], rate.std())
    assert np.isclose(got["crossings_of_all"], rate.mean(), rtol=0.1)
    loudest = ft.frames(y, features=["loudest"]).values
    assert got["loudest_band_mean"] == pytest.approx(loudest.mean())
    for name in ("mel", "prosody"):
        alone = ft.extract(y, features=[name])
        beside = [got[n] for n in ft.feature_names([name])]
        np.testing.assert_allclose(beside, alone, rtol=1e-4, atol=1e-5)
    assert ft.extract(clip, features=["crossings"], functionals=["p50"]).shape == (2,)
    names = ft.feature_names(["loudest"], ["p50", "dct1"])
    assert names == ["loudest_band_p50", "loudest_band_dct1"]


def test_a_new_feature_is_known_everywhere(two_new):
    assert ft.group_of("crossings_rate_std") == "noise"
    assert ft.group_of("loudest_band_mean") == "loudest"
    assert utils.get_audio_config(["mel", "crossings"])["crossings"] is True
    assert utils.enabled({"crossings": True, "mel": True, "loudest": False}) == ["mel", "crossings"]
    assert ft.version(["loudest", "mel"]).startswith("mel 1, loudest 3, ")
    alone = {"mfcc": False, "chroma": False, "mel": False, "loudest": True}
    got = utils.extract_feature(SIGNALS["chirp"], sr=SR, **alone)
    np.testing.assert_array_equal(got, ft.extract(SIGNALS["chirp"], features=["loudest"]))
    parts = ft.frames_blocks([SIGNALS["chirp"]] * 2, features=["mfcc", "loudest"])
    whole = ft.frames(np.tile(SIGNALS["chirp"], 2), features=["loudest", "mfcc"])
    np.testing.assert_allclose(np.concatenate([p.values for p in parts]), whole.values, rtol=1e-4)
    with pytest.raises(ValueError, match=r"modulation, crossings have frames of 25 ms, mfcc, "):
        ft.frames(SIGNALS["chirp"], features=["loudest", "crossings"])
    with pytest.raises(ValueError, match="Did you mean 'crossings'"):
        ft.extract(SIGNALS["chirp"], features=["crossing"])


def test_the_version_is_that_of_the_features_named():
    own = ft.version(["mel", "prosody"])
    assert own == ft.version(["prosody", "mel", "mel"]) != ft.version(["prosody"])
    for library in ("numba", "numpy", "scipy", "soundfile", "soxr"):
        assert f", {library} {importlib.metadata.version(library)}" in own
    with pytest.raises(ValueError, match="Did you mean 'mel'"):
        ft.version(["mell"])


def test_old_names_of_functionals_mean_the_same():
    y = SIGNALS["chirp"]
    old, new = ["wave1", "wave6", "echo5", "echo40"], ["dct1", "dct6", "autocorrelation5"]
    new.append("autocorrelation40")
    for features in (["mel"], ["quality"]):
        got = ft.extract(y, features=features, functionals=old)
        np.testing.assert_array_equal(got, ft.extract(y, features=features, functionals=new))
        assert ft.feature_names(features, old) == ft.feature_names(features, new)
    assert ft.check_functionals("wave2") == ("dct2",)


def test_measured_frames_are_features_already():
    y = SIGNALS["silence, then noise"]
    clip = SpeechFrames(y, SR)
    for functionals in (None, ["p50"], "frames"):
        want = ft.extract(y, features=ft.SPEECH_FEATURES, functionals=functionals)
        got = ft.extract(clip, features=ft.SPEECH_FEATURES, functionals=functionals)
        np.testing.assert_array_equal(got, want)
    with pytest.raises(ValueError, match="1-D array of floats"):
        ft.extract(clip, features=["mel"])


# encoders


VOICE = make_golden_vectors.speech(SR)[:, 0]
LAYERS = [f"layer{layer}_{i}" for layer in (2, 3) for i in range(1, 513)]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """The name of the feature of a tiny encoder: str."""
    path = tmp_path_factory.mktemp("encoder") / "tiny.onnx"
    return f"encoder:{write_tiny_encoder(path)}"


def test_an_encoder_has_named_columns_of_its_layers(tiny):
    assert ft.REGISTRY["encoder"].columns == load_encoder().columns == tuple(LAYERS)
    assert ft.feature_names(["encoder"], "frames") == LAYERS
    names = [
        f"{kind}_{n}_{f}" for kind in ("active", "loud") for f in ("mean", "std") for n in LAYERS
    ]
    assert ft.feature_names(["encoder"]) == names
    assert ft.feature_names(["encoder"])[0::4095] == ["active_layer2_1_mean", "loud_layer3_512_std"]
    assert len(ft.feature_names(ft.RECOMMENDED_FEATURES)) == 8755
    names = ft.feature_names([f"{tiny}@0,1"], ["p5"])
    assert names[3:5] == ["active_layer0_4_p5", "active_layer1_1_p5"] and len(names) == 16
    assert ft.feature_names([tiny], "frames") == [f"layer1_{i}" for i in range(1, 5)]
    assert ft.feature_names(["encoder:whisper-base@1"])[0] == "active_layer1_1_mean"


def test_an_encoder_comes_last_in_a_vector(tiny):
    for name in ("encoder", tiny):
        order = ("mfcc", "prosody", name)
        assert ft.check_features([name, "prosody", "mfcc", name]) == order
        apart = [ft.extract(VOICE, features=[own]) for own in order]
        vector = ft.extract(VOICE, features=[name, "prosody", "mfcc"])
        np.testing.assert_allclose(vector, np.concatenate(apart), rtol=1e-4, atol=1e-4)
        sizes = [len(x) for x in apart]
        kinds = (sizes[2] // 2,) * 2  # of frames: active, loud
        assert ft.blocks(order) == (sizes[0] + sizes[1], *kinds)
        assert ft.blocks([name]) == kinds and ft.blocks(order[:1]) == (40,)
        names = ft.feature_names(order)[-sizes[2] :]
        assert all(n.startswith("active") == (i < kinds[0]) for i, n in enumerate(names))
    assert ft.blocks(["mel", "encoder"], ["mean"]) == (128, 1024, 1024)


def test_the_vector_of_an_encoder_sums_up_its_active_and_its_loud_frames(tiny):
    y = np.concatenate([np.zeros(SR, np.float32), VOICE, np.zeros(SR, np.float32)])
    for name, encoder in (("encoder", load_encoder()), (tiny, load_encoder(tiny[8:]))):
        values = encoder.encode(y)
        clip = EncoderFrames(y, SR, encoder)
        active, loud = clip.rows("active"), clip.rows("loud")
        assert active[0] > 0 and active[-1] < len(values) - 1  # silence doesn't count
        assert 0 < len(loud) < len(active) and set(loud) < set(active)
        own = [values[rows] for rows in (active, loud)]
        want = np.concatenate([f(x, axis=0) for x in own for f in (np.mean, np.std)])
        np.testing.assert_allclose(ft.extract(y, features=[name]), want, rtol=1e-4, atol=1e-5)
        got = ft.extract(y, features=[name], functionals="frames")
        np.testing.assert_array_equal(got, values[active])


def test_the_frames_of_an_encoder_have_its_times(tiny):
    values, columns, times = ft.frames(VOICE, features=["encoder"])
    assert values.shape == (len(times), 1024) and columns == LAYERS
    assert values.dtype == np.float32 and len(times) == len(VOICE) // 320 + (len(VOICE) % 320 > 0)
    np.testing.assert_allclose(times, load_encoder().times(len(times)))
    np.testing.assert_allclose(np.diff(times), 0.02)
    assert ft.frames(VOICE, features=[tiny]).values.shape == (len(VOICE) // 320, 4)
    with pytest.raises(ValueError, match=r"mfcc, .* 128 ms, encoder have frames of 20 ms: ask"):
        ft.frames(VOICE, features=["mfcc", tiny])


@pytest.mark.parametrize("sr", [SR, 24_000])
def test_blocks_give_the_frames_that_an_encoder_gives_at_once(tiny, sr):
    y = np.tile(make_golden_vectors.speech(sr)[:, 0], 30) + np.float32(0.1)  # longer than a window
    whole = ft.frames(y, sr, features=[tiny])
    for n_blocks in (1, 13):
        blocks = iter(np.array_split(y, n_blocks))  # one pass is enough
        parts = list(ft.frames_blocks(blocks, sr, features=[tiny]))
        assert len(parts) > 1 and parts[0].columns == whole.columns
        values = np.concatenate([part.values for part in parts])
        np.testing.assert_allclose(values, whole.values, atol=1e-3)
        times = np.concatenate([part.times for part in parts])
        np.testing.assert_allclose(times, whole.times, atol=1e-9)
    with pytest.raises(ValueError, match="1-D array of floats"):
        list(ft.frames_blocks([np.ones(100, int)], features=["encoder"]))


def test_clips_that_several_sources_have_measured_are_features_already(tiny):
    for names in (ft.RECOMMENDED_FEATURES, (*ft.FEATURES, *ft.SPEECH_FEATURES, tiny)):
        sources = ft.sources(names)
        measured = {source: source(VOICE, SR) for source in sources}
        got = ft.extract(measured, features=names)
        np.testing.assert_array_equal(got, ft.extract(VOICE, features=names))
    clip = EncoderFrames(VOICE, SR)
    for functionals in (None, "frames"):
        got = ft.extract(clip, features=["encoder"], functionals=functionals)
        want = ft.extract(VOICE, features=["encoder"], functionals=functionals)
        np.testing.assert_array_equal(got, want)
    with pytest.raises(ValueError, match="1-D array of floats"):
        ft.extract(clip, features=["prosody"])


def test_a_source_is_one_object_for_one_encoder(tiny, monkeypatch):
    speech, bundled = ft.sources(["encoder", "prosody", "spectrum"])
    assert speech is SpeechFrames and bundled is ft.record("encoder").source
    assert ft.sources([tiny]) == ft.sources([tiny]) != (bundled,)
    assert ft.sources([f"{tiny}@1,0"]) == ft.sources([f"{tiny}@0,1"])
    assert ft.sources(["encoder:whisper-base@3,2"]) == (bundled,)
    monkeypatch.chdir(Path(tiny[8:]).parent)
    assert ft.check_features(["encoder:tiny.onnx"]) == (tiny,)
    whole = bundled(VOICE, SR)
    pieces = [bundled(VOICE[:9600], SR), bundled(VOICE, SR, context=9600)]
    assert [piece.n_frames for piece in pieces] == [30, whole.n_frames - 30]
    assert bundled.joined(pieces, slice(20, 40)).n_frames == 20


def test_wrong_encoders_are_named(tmp_path):
    with pytest.raises(ValueError, match="one encoder, not encoder, encoder:hf:a/b; choose one"):
        ft.extract(VOICE, features=["encoder", "mel", "encoder:hf:a/b"])
    for call in CALLS:
        with pytest.raises(EncoderError, match="Unknown encoder 'bert'; choose from whisper-base"):
            call(features=["encoder:bert"])
    with pytest.raises(
        ValueError, match=r"Unknown feature 'encodr'.*encoder:PATH\.onnx, .*hf:NAME"
    ):
        ft.check_features(["encodr"])
    missing = f"encoder:{tmp_path / 'missing.onnx'}"
    assert ft.check_features([missing]) == (missing,)  # nothing is opened
    with pytest.raises(EncoderError, match=r"missing\.onnx can't be read"):
        ft.feature_names([missing])


def test_the_version_names_the_encoder(tiny, tmp_path, monkeypatch):
    own = ft.version(["mel", "encoder"])
    sha256, onnxruntime = load_encoder().sha256, importlib.metadata.version("onnxruntime")
    assert own.startswith(f"mel 1, encoder 1 (layers 2 and 3 of {sha256[:12]}), numba ")
    assert own.endswith(f", onnxruntime {onnxruntime}") and "onnxruntime" not in ft.version(["mel"])
    assert hashlib.sha256(Path(tiny[8:]).read_bytes()).hexdigest()[:12] in ft.version([tiny])
    other = f"encoder:{write_tiny_encoder(tmp_path / 'tiny.onnx', seed=1)}"
    versions = {ft.version([name]) for name in ("encoder", tiny, f"{tiny}@0", other)}
    assert len(versions) == 4
    monkeypatch.setenv("SER_ENCODER_PRECISION", "float16")
    assert ft.version(["mel", "encoder"]) != own


# golden vectors


ADVICE = """
If it was meant: raise its version (`version` of the record in features.REGISTRY; for the sound
feature_cache.VERSION), so that no cached vector is taken for a new one, and run
`python tests/make_golden_vectors.py`."""


@pytest.fixture(scope="module")
def golden():
    with np.load(make_golden_vectors.PATH) as kept, warnings.catch_warnings():
        warnings.simplefilter("error")
        return dict(kept), make_golden_vectors.vectors()


@pytest.mark.parametrize("name", [make_golden_vectors.SOUND, *ft.REGISTRY])
def test_a_vector_that_changes_has_another_version(name, golden):
    kept, now = golden
    version = make_golden_vectors.versions()[name]
    same = f"{name} {version}" in kept["versions"]
    assert same, f"{name} has version {version} now: run `python tests/make_golden_vectors.py`"
    for key in (key for key in now if key.startswith(f"{name} ")):
        assert key in kept, f"{key} is new: run `python tests/make_golden_vectors.py`"
        assert now[key].shape == kept[key].shape, f"{key} has another length.{ADVICE}"
        if name == ft.ENCODER:  # its numbers of 8 bits are rounded otherwise elsewhere
            off = np.sqrt(np.mean(np.square(now[key] - kept[key]))) / kept[key].std()
            assert off < 0.01, f"{key} is off by {off:.2%} of its deviation.{ADVICE}"
            continue
        close = np.isclose(now[key], kept[key], rtol=1e-3, atol=1e-4)  # other processors round
        assert close.all(), f"{np.sum(~close)} values of {key} changed.{ADVICE}"
