"""From recordings and labelled rows to matrices; parallel work that isn't parallel again."""

import io
import os
import subprocess
import sys
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile as sf
from conftest import REPO, bundled_clip
from joblib import Parallel, delayed
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.utils.estimator_checks import parametrize_with_checks
from test_feature_cache import FEATURES, extract, plainly, rows_of, write_clip, write_clips
from tiny_encoder import write_tiny_encoder

import data_extractor as de
import features as ft
from audio import AudioError, AudioWarning, load_audio
from augmentation import at_speed, noisy_copy
from create_csv import list_audio
from functionals import MATRICES
from tables import read_desc_file
from utils import extract_feature, get_audio_config


@pytest.fixture
def clips(tmp_path):
    return write_clips(tmp_path / "clips", 20)


# names of features


def test_features_are_names_or_switches(cache, clips):
    np.testing.assert_array_equal(extract(clips, {"mfcc": True}), plainly(clips)[:, :40])
    np.testing.assert_array_equal(
        extract(clips, {"mfcc": True, "mel": False}), extract(clips, ["mfcc"])
    )
    np.testing.assert_array_equal(extract(clips, get_audio_config(FEATURES)), plainly(clips))
    np.testing.assert_array_equal(extract(clips, FEATURES[::-1]), plainly(clips))
    with pytest.raises(ValueError, match="mfcc, chroma, mel, contrast, tonnetz"):
        extract(clips, {"mfccs": True})
    with pytest.raises(ValueError, match=r"not one string"):
        extract(clips, "mfcc")


# clips that can't be read


def spoil(clips):
    """Make five of 20 clips unreadable; return their places."""
    Path(clips[0]).write_bytes(b"")
    Path(clips[4]).write_bytes(b"")  # of the same content as another one
    Path(clips[5]).write_bytes(Path(clips[5]).read_bytes()[:1000])
    Path(clips[11]).write_text("this is no audio")
    Path(clips[19]).unlink()
    return [0, 4, 5, 11, 19]


def write_desc(path, clips, emotions):
    speakers = [Path(clip).name[:2] for clip in clips]
    frame = pd.DataFrame({"path": clips, "emotion": emotions, "speaker": speakers})
    frame.assign(corpus="custom").to_csv(path, index=False)
    return path


def test_unreadable_clips_are_left_out_counted_and_named_in_one_warning(cache, clips):
    bad = spoil(clips)
    good = [path for i, path in enumerate(clips) if i not in bad]
    for _ in range(2):  # the cache remembers no failure as a vector
        with pytest.warns(UserWarning, match="^5 clip") as caught:
            X, read = de.extract_features(clips, FEATURES, n_jobs=1, verbose=0)
        assert len(caught) == 1
        assert all(clips[i] in str(caught[0].message) for i in bad)
        assert not any(path in str(caught[0].message) for path in good)
        assert np.flatnonzero(~read).tolist() == bad
        np.testing.assert_array_equal(X, plainly(good))
    assert len(rows_of(cache)) == len(good)


def test_labels_paths_and_rows_stay_with_their_vectors(cache, clips, tmp_path):
    emotions = ["sad", "happy", "neutral", "angry"] * 5
    bad = [clips[i] for i in spoil(clips)]
    desc = write_desc(tmp_path / "train.csv", clips, emotions)
    label = dict(zip(clips, emotions, strict=True))
    wanted = {p for p in clips if label[p] in ("sad", "happy", "neutral") and p not in bad}
    for shuffle in (False, True):
        extractor = de.AudioExtractor(balance=False, shuffle=shuffle, n_jobs=1, verbose=0)
        with pytest.warns(UserWarning, match="left out"):
            X, y, rows = extractor.load(desc)
        assert set(rows.path) == wanted and len(X) == len(y) == len(rows) == len(wanted)
        for vector, emotion, row in zip(X, y, rows.itertuples(), strict=True):
            np.testing.assert_array_equal(vector, extract_feature(row.path))
            assert emotion == row.emotion == label[row.path]
            assert row.speaker == Path(row.path).name[:2]


def test_a_clip_that_is_mended_comes_back(cache, clips):
    bad = spoil(clips)
    with pytest.warns(UserWarning, match="left out"):
        de.extract_features(clips, FEATURES, n_jobs=1, verbose=0)
    for i in bad:
        write_clip(Path(clips[i]), i)
    np.testing.assert_array_equal(extract(clips), plainly(clips))


def test_many_unreadable_clips_are_counted_but_not_all_listed(cache, tmp_path):
    paths = [tmp_path / f"{i:03d}_sad.wav" for i in range(de.NAMED_FAILURES + 7)]
    with pytest.warns(UserWarning, match=f"^{len(paths)} clip") as caught:
        X, read = de.extract_features(paths, FEATURES, n_jobs=1, verbose=0)
    assert X.shape == (0, 180) and not read.any() and "7 more" in str(caught[0].message)


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_on_error_raise_stops_at_the_first(cache, tmp_path, loaded, n_jobs):
    clips = write_clips(tmp_path / "clips", 64)
    Path(clips[20]).write_text("this is no audio")
    with pytest.raises(AudioError, match=Path(clips[20]).name):
        de.extract_features(clips, FEATURES, n_jobs=n_jobs, verbose=0, on_error="raise")
    assert n_jobs == 2 or clips[32] not in loaded
    with pytest.raises(ValueError, match=r"warn, raise.*Did you mean 'raise'"):
        de.extract_features(clips, FEATURES, on_error="raises")


def test_two_jobs_give_what_one_gives(cache, tmp_path):
    clips = write_clips(tmp_path / "clips", 50)
    Path(clips[30]).write_bytes(b"")
    results = []
    for n_jobs in (1, 2):
        with pytest.warns(UserWarning, match="^1 clip"):
            results.append(
                de.extract_features(
                    clips, FEATURES, n_jobs=n_jobs, verbose=0, cache_dir=tmp_path / f"cache{n_jobs}"
                )
            )
    np.testing.assert_array_equal(results[0][0], results[1][0])
    np.testing.assert_array_equal(results[0][1], results[1][1])
    assert set(rows_of(tmp_path / "cache1")) == set(rows_of(tmp_path / "cache2"))


def test_progress_shows_the_clips_and_can_be_silenced(cache, clips, capfd, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    de.extract_features(clips, FEATURES, n_jobs=1, verbose=0)
    assert capfd.readouterr() == ("", "")
    de.extract_features(clips, FEATURES, n_jobs=1, verbose=1)
    assert capfd.readouterr() == ("", "")  # nothing to do
    de.extract_features(clips, ["mel"], n_jobs=1, verbose=1)
    assert "20/20" in capfd.readouterr().err


def test_no_clips_are_an_empty_matrix(cache):
    X, read = de.extract_features([], FEATURES, verbose=0)
    assert X.shape == (0, 180) and X.dtype == np.float32 and read.shape == (0,)


# labelled rows

COUNTS = {"sad": 9, "neutral": 5, "happy": 7, "angry": 4}


@pytest.fixture
def desc_files(cache, tmp_path):
    """Train and test desc_files: COUNTS clips to train on, two fewer of each to test on."""
    files = []
    for partition, fewer in (("train", 0), ("test", 2)):
        emotions = [emotion for emotion, n in COUNTS.items() for _ in range(n - fewer)]
        clips = write_clips(tmp_path / partition, len(emotions), first=1000 * fewer)
        files.append(write_desc(tmp_path / f"{partition}.csv", clips, emotions))
    return files


def load(desc_files, **options):
    return de.load_data(*[[path] for path in desc_files], n_jobs=1, verbose=0, **options)


def test_load_data_returns_all_that_it_promises(desc_files):
    data = load(desc_files, emotions=["sad", "angry"], balance=False, shuffle=False)
    for partition, path in zip(("train", "test"), desc_files, strict=True):
        table = pd.read_csv(path)
        table = table[table.emotion.isin(["sad", "angry"])]
        assert data[f"{partition}_audio_paths"] == table.path.tolist()
        assert data[f"y_{partition}"].tolist() == table.emotion.tolist()
        speakers = [f"custom/{speaker}" for speaker in table.speaker]
        assert data[f"{partition}_speakers"] == speakers
        np.testing.assert_array_equal(data[f"X_{partition}"], plainly(table.path))
    assert data["balance"] is False


def test_several_desc_files_are_read_as_one(desc_files):
    data = de.load_data(desc_files, desc_files[1], balance=False, n_jobs=1, verbose=0)
    assert len(data["X_train"]) == sum(2 * COUNTS[e] - 2 for e in ("sad", "neutral", "happy"))


def test_only_the_corpora_wanted_are_read(desc_files, tmp_path):
    table = pd.read_csv(desc_files[0])
    table["corpus"] = ["emodb", "ravdess"] * (len(table) // 2) + ["emodb"] * (len(table) % 2)
    table.to_csv(tmp_path / "mixed.csv", index=False)
    extractor = de.AudioExtractor(corpora=["ravdess"], emotions=["sad"], n_jobs=1, verbose=0)
    rows = extractor.load(tmp_path / "mixed.csv")[2]
    assert set(rows.corpus) == {"ravdess"}
    assert set(rows.path) == set(table[(table.corpus == "ravdess") & (table.emotion == "sad")].path)


def test_balance_draws_per_partition_by_seed(desc_files):
    first, same, other = (load(desc_files, random_state=seed) for seed in (0, 0, 1))
    assert Counter(first["y_train"]) == dict.fromkeys(["sad", "neutral", "happy"], 5)
    assert Counter(first["y_test"]) == dict.fromkeys(["sad", "neutral", "happy"], 3)
    assert first["balance"] is True
    for partition in ("train", "test"):
        paths = f"{partition}_audio_paths"
        assert same[paths] == first[paths] and len(set(first[paths])) == len(first[paths])
        assert set(other[paths]) != set(first[paths])
        np.testing.assert_array_equal(same[f"X_{partition}"], first[f"X_{partition}"])
        np.testing.assert_array_equal(first[f"X_{partition}"], plainly(first[paths]))


def test_every_clip_can_be_drawn(desc_files):
    """At random over the clips, not the first ones of each emotion."""
    drawn = {
        path
        for seed in range(12)
        for path in load(desc_files, random_state=seed)["train_audio_paths"]
    }
    table = pd.read_csv(desc_files[0])
    assert drawn == set(table[table.emotion != "angry"].path)


def test_what_cannot_be_read_is_not_counted_on_when_balancing(desc_files):
    table = pd.read_csv(desc_files[0])
    Path(table[table.emotion == "neutral"].path.iloc[0]).write_bytes(b"")
    with pytest.warns(UserWarning, match="^1 clip"):
        data = load(desc_files)
    assert Counter(data["y_train"]) == dict.fromkeys(["sad", "neutral", "happy"], 4)


def test_shuffle_is_by_seed_and_optional(desc_files):
    def paths(**options):
        return load(desc_files, balance=False, **options)["train_audio_paths"]

    table = pd.read_csv(desc_files[0])
    plain = paths(shuffle=False)
    assert plain == table[table.emotion != "angry"].path.tolist()
    assert paths(random_state=3) == paths(random_state=3) != paths(random_state=4)
    assert paths(random_state=3) != plain and sorted(paths(random_state=3)) == sorted(plain)
    assert paths(shuffle=False, random_state=5) == plain


def test_regression_gives_the_numbers(desc_files):
    data = load(desc_files, classification=False)
    scale = {"sad": 0.0, "neutral": 1.0, "happy": 2.0}
    for partition in ("train", "test"):
        rows, y = data[f"{partition}_rows"], data[f"y_{partition}"]
        assert y.dtype == float and y.tolist() == [scale[emotion] for emotion in rows.emotion]
        assert set(y) == {0.0, 1.0, 2.0}


def test_regression_has_two_sets_of_emotions_and_refuses_others_at_once(desc_files, loaded):
    with pytest.raises(ValueError, match="classification=True"):
        load(desc_files, classification=False, emotions=["sad", "angry"])
    assert loaded == []


def test_an_emotion_without_a_clip_to_train_on_raises(desc_files):
    with pytest.raises(ValueError, match=r"No train clips of boredom.*train\.csv"):
        load(desc_files, emotions=["sad", "boredom"])
    with pytest.raises(ValueError, match="No train clips of sad"):
        de.AudioExtractor(corpora=["emodb"], n_jobs=1, verbose=0).load(desc_files[0])


def test_an_emotion_without_a_clip_to_test_on_is_named_in_a_warning(desc_files, tmp_path):
    table = pd.read_csv(desc_files[1])
    table[table.emotion != "sad"].to_csv(tmp_path / "less.csv", index=False)
    with pytest.warns(UserWarning, match="No test clips of sad"):
        data = load([desc_files[0], tmp_path / "less.csv"])
    assert set(data["y_test"]) == {"neutral", "happy"} and "sad" in data["y_train"]
    with pytest.raises(ValueError, match="No test clips of sad"):
        load([desc_files[0], tmp_path / "less.csv"], emotions=["sad"])


def split(rows, **options):
    return de.load_split(rows, FEATURES, n_jobs=1, verbose=0, **options)


def test_a_table_is_read_as_its_desc_file(desc_files):
    X, y, rows = de.AudioExtractor(n_jobs=1, verbose=0, random_state=4).load(desc_files[0])
    table = read_desc_file(desc_files[0])
    before = table.copy()
    again = split(table, random_state=4)
    np.testing.assert_array_equal(again.X, X)
    assert again.y.tolist() == y.tolist() and again.rows.equals(rows)
    assert again.groups.tolist() == [f"custom/{speaker}" for speaker in rows.speaker]
    pd.testing.assert_frame_equal(table, before)
    part = table[table.speaker == table.speaker[0]]  # its index has gaps
    X, y, _, rows = split(part, balance=False, shuffle=False)
    wanted = part[part.emotion.isin(["sad", "neutral", "happy"])]
    assert rows.path.tolist() == wanted.path.tolist() and y.tolist() == wanted.emotion.tolist()
    assert rows.index.tolist() == list(range(len(wanted)))
    np.testing.assert_array_equal(X, plainly(wanted.path))


def test_columns_of_ones_own_stay_with_their_rows(desc_files):
    table = read_desc_file(desc_files[0])
    found = split(table.assign(number=range(len(table)))).rows
    assert found.path.tolist() == table.path[found.number].tolist()


def test_messages_name_what_a_table_lacks_and_its_source(desc_files):
    table, emotions = read_desc_file(desc_files[0]), ["sad", "boredom"]
    with pytest.raises(ValueError, match="No train clips of boredom in these rows"):
        split(table, emotions=emotions)
    with pytest.warns(UserWarning, match="No test clips of boredom in my table"):
        table.attrs["source"] = "my table"
        found = split(table, emotions=emotions, partition="test")
    assert set(found.y) == {"sad"}


def test_an_extractors_settings_reach_its_vectors(desc_files, tmp_path):
    config = get_audio_config(["mel", "prosody"])
    options = {"functionals": ["std"], "cache_dir": tmp_path / "mine", "n_jobs": 1, "verbose": 0}
    extractor = de.AudioExtractor(config, balance=False, shuffle=False, **options)
    X, _, rows = extractor.load(desc_files[1])
    want = [extract_feature(path, **config, functionals=["std"]) for path in rows.path]
    np.testing.assert_array_equal(X, want)
    assert len(rows_of(tmp_path / "mine")) == len(want)
    features = de.SpeechFeatures(["mel", "prosody"], ["std"], cache=tmp_path / "mine")
    np.testing.assert_array_equal(features.transform(rows.path), X)
    with pytest.raises(AudioError, match="min_duration"):
        de.AudioExtractor(min_duration=60, on_error="raise", n_jobs=1).load(desc_files[1])
    assert de.AudioExtractor(n_jobs=1, verbose=0).load(desc_files[1])[0].shape[1] == 180


def test_an_unknown_option_or_desc_file_raises(desc_files, tmp_path):
    with pytest.raises(TypeError, match="balanced"):
        load(desc_files, balanced=True)
    with pytest.raises(FileNotFoundError, match=r"nowhere\.csv.*create_csv\.py"):
        load([tmp_path / "nowhere.csv", desc_files[1]])


def test_real_clips_come_out_as_extract_feature_gives_them(real_data, tmp_path):
    folders = [real_data / name for name in ("emodb", "training", "validation")]
    paths = sorted(path for folder in folders for path in folder.rglob("*.wav"))
    paths = paths[:: max(1, len(paths) // 24)]
    for _ in range(2):
        X = extract(paths, cache_dir=tmp_path)
        np.testing.assert_array_equal(X, plainly(paths))


@pytest.mark.slow
def test_importing_is_cheap():
    code = "import sys, data_extractor; print(*sys.modules)"
    out = subprocess.run(
        [sys.executable, "-c", code], cwd=REPO, capture_output=True, text=True, check=True
    ).stdout.split()
    assert "data_extractor" in out
    assert not {"tensorflow", "pyaudio", "matplotlib.pyplot", "librosa.core"} & set(out)


# SpeechFeatures: the same vectors from a scikit-learn transformer

NOT_OF_ITS_INPUT = {
    "check_n_features_in": "recordings have no number of features",
    "check_n_features_in_after_fitting": "recordings have no number of features",
    "check_fit1d": "a one-dimensional X is a list of paths",
    "check_fit2d_predict1d": "its error is audio.load_audio's, about recordings",
    "check_estimators_dtypes": "64-bit integers are refused: their full scale isn't known",
    "check_dtype_object": "samples are numbers, so an array of objects is refused",
    "check_transformer_preserve_dtypes": "features are float32, whatever the samples were",
    "check_transformer_data_not_an_array": "X is a list or an array of recordings",
    "check_complex_data": "fit reads no recordings, transform refuses them",
    "check_estimators_nan_inf": "fit reads no recordings, transform refuses them",
    "check_estimators_empty_data_messages": "no recordings give a matrix without rows",
    "check_estimator_sparse_tag": "fit reads no recordings, transform refuses them",
}
"""The checks that scikit-learn's usual X, a table of numbers, is made for: why they don't apply."""


@parametrize_with_checks(
    [de.SpeechFeatures(FEATURES, min_duration=0)],  # their "recordings" have two to ten samples
    expected_failed_checks=lambda estimator: NOT_OF_ITS_INPUT,
)
def test_scikit_learns_own_checks(estimator, check):
    check(estimator)


def test_paths_arrays_files_and_matrices_give_the_same_features(cache, clips):
    expected = plainly(clips)
    signals = [load_audio(path) for path in clips]
    length = min(map(len, signals))
    features = de.SpeechFeatures(FEATURES)
    for recordings in (clips, np.array(clips), pd.Series(clips), map(Path, clips), signals):
        np.testing.assert_array_equal(features.transform(recordings), expected)
    np.testing.assert_array_equal(
        de.SpeechFeatures(FEATURES, n_jobs=2).transform(signals), expected
    )
    files = [io.BytesIO(Path(path).read_bytes()) for path in clips]
    np.testing.assert_array_equal(features.transform(files), expected)
    with Path(clips[1]).open("rb") as file:  # several kinds, and one of them twice
        mixed = features.transform([signals[0], file, clips[2], clips[2]])
    np.testing.assert_array_equal(mixed, expected[[0, 1, 2, 2]])
    matrix = np.stack([y[:length] for y in signals])
    np.testing.assert_array_equal(
        features.transform(matrix), [extract_feature(y, sr=16000) for y in matrix]
    )
    half = de.SpeechFeatures(FEATURES, sr=8000).transform(matrix)
    np.testing.assert_array_equal(half, [extract_feature(y, sr=8000) for y in matrix])
    assert features.transform([]).shape == (0, 180)


@pytest.mark.parametrize("functionals", [None, *MATRICES])
def test_one_recording_and_many_give_the_same_bytes(cache, clips, functionals):
    kind = ft.SPEECH_FEATURES if functionals else ft.RECOMMENDED_FEATURES
    features = de.SpeechFeatures(kind, functionals, cache=False)
    many = features.transform(clips[:3])
    for i, path in enumerate(clips[:3]):
        for one in (path, load_audio(path), io.BytesIO(Path(path).read_bytes())):
            assert features.transform([one])[0].tobytes() == many[i].tobytes()


def test_the_default_features_are_the_recommended_ones(cache):
    path, names = bundled_clip("sad"), ft.RECOMMENDED_FEATURES
    want = extract_feature(path, False, False, False, **dict.fromkeys(names, True))
    np.testing.assert_array_equal(de.SpeechFeatures().transform([path])[0], want)
    assert de.SpeechFeatures().get_feature_names_out().tolist() == ft.feature_names(names)


@pytest.mark.parametrize("functionals", [None, *MATRICES])
def test_an_encoder_is_taken_with_the_features(cache, clips, tmp_path, functionals):
    tiny = write_tiny_encoder(tmp_path / "tiny.onnx")
    features = de.SpeechFeatures(["encoder"], functionals, encoder=tiny)
    assert clone(features).get_params()["encoder"] == tiny
    names = features.get_feature_names_out().tolist()
    assert names == ft.feature_names([f"encoder:{tiny}"], functionals)
    for x, path in zip(features.transform(clips[:3]), clips, strict=False):
        want = ft.extract(load_audio(path), features=[f"encoder:{tiny}"], functionals=functionals)
        np.testing.assert_array_equal(x, want)
    without = de.SpeechFeatures(encoder=None).get_feature_names_out()
    assert without.tolist() == ft.feature_names(ft.SPEECH_FEATURES)
    assert len(de.SpeechFeatures(["mel"], encoder="whisper-base").get_feature_names_out()) == 4224
    with pytest.raises(ValueError, match="No feature given"):
        de.SpeechFeatures(["encoder"], encoder=None).fit(clips)
    with pytest.raises(ValueError, match="ask for one kind at a time"):
        de.SpeechFeatures(functionals=ft.FRAMES).transform(clips[:1])


def test_processes_load_an_encoder_each_and_give_the_same(cache, clips):
    features = de.SpeechFeatures(["mel"], encoder="whisper-base", cache=False)
    one, two = (features.set_params(n_jobs=n_jobs).transform(clips) for n_jobs in (1, 2))
    np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("options", [{"speed": 0.88}, {"noisy": 1}, {"speed": 1.14, "noisy": 0}])
def test_copies_are_augmented_before_their_features(cache, clips, options):
    def copy(y):
        y = at_speed(y, options["speed"]) if "speed" in options else y
        return noisy_copy(y, options["noisy"]) if "noisy" in options else y

    plain = extract(clips[:3])
    signals = [copy(load_audio(path)) for path in clips[:3]]
    want = [ft.extract(y, features=FEATURES) for y in signals]
    for _ in range(2):  # the second time from the cache
        np.testing.assert_array_equal(extract(clips[:3], **options), want)
    np.testing.assert_array_equal(extract(clips[:3]), plain)
    assert not np.array_equal(plain, want)


def test_arrays_that_cant_be_read_raise_or_are_left_out(cache, clips):
    y = load_audio(clips[0])
    broken = np.where(np.arange(len(y)) == 7, np.nan, y)
    features = de.SpeechFeatures(FEATURES)
    with pytest.raises(AudioError, match="NaN"):
        features.transform([y, broken])
    with pytest.raises(AudioError, match="at least"):
        features.transform([y[:100]])
    with pytest.warns(UserWarning, match=r"^1 clip(.|\n)*1: array.*NaN"):
        X, read = features.extract([y, broken, clips[0]])
    assert read.tolist() == [True, False, True] and np.array_equal(X[0], X[1])


def test_columns_have_names_in_pandas_too(cache, clips):
    features = de.SpeechFeatures(["tonnetz", "mfcc"]).set_output(transform="pandas")
    paths = pd.Series(clips, index=[f"clip {i}" for i in range(len(clips))])
    table = features.fit_transform(paths)
    assert table.columns.tolist() == ft.feature_names(["mfcc", "tonnetz"])
    assert table.index.tolist() == paths.index.tolist()
    np.testing.assert_array_equal(table, plainly_with(clips, mfcc=True, tonnetz=True))


@pytest.mark.parametrize(
    "options",
    [
        {"features": ["prosody", "mel"]},
        {"functionals": ["std", "mean"]},
        {"features": ["quality"], "functionals": ("p50",)},
    ],
)
def test_functionals_hold_for_files_and_arrays(cache, clips, options):
    features = clone(de.SpeechFeatures(**options))
    assert {name: features.get_params()[name] for name in options} == options
    config = get_audio_config(features.features)
    rest = {"functionals": features.functionals}
    want = np.stack([extract_feature(path, **config, **rest) for path in clips[:4]])
    for _ in range(2):
        np.testing.assert_array_equal(features.fit_transform(clips[:4]), want)
    np.testing.assert_array_equal(features.transform([load_audio(p) for p in clips[:4]]), want)
    names = features.get_feature_names_out()
    assert names.tolist() == ft.feature_names(features.features, features.functionals)
    assert len(names) == want.shape[1]
    table = features.set_output(transform="pandas").transform(clips[:4])
    assert table.columns.tolist() == names.tolist()


def plainly_with(clips, **switches):
    config = dict.fromkeys(ft.FEATURES, False) | switches
    return np.stack([extract_feature(path, **config) for path in clips])


def test_only_what_is_asked_for_is_kept(cache, clips, tmp_path):
    de.SpeechFeatures(["mfcc"], cache=False).transform(clips)
    assert not cache.exists()
    de.SpeechFeatures(["mfcc"], cache=tmp_path / "mine").transform(clips)
    assert (tmp_path / "mine" / "features.sqlite").is_file() and not cache.exists()


def test_a_longer_minimum_is_kept_apart_in_the_cache(cache, clips):
    de.SpeechFeatures(["mfcc"], min_duration=0).transform(clips)
    with pytest.raises(AudioError, match="min_duration"):
        de.SpeechFeatures(["mfcc"], min_duration=60).transform(clips)


def test_wrong_settings_raise_in_fit(clips):
    with pytest.raises(ValueError, match="mfcc, chroma, mel, contrast, tonnetz"):
        de.SpeechFeatures(["mfc"]).fit(clips)
    with pytest.raises(ValueError, match="mean"):
        de.SpeechFeatures(functionals=["men"]).fit(clips)


def test_a_pipeline_works_on_paths(cache):
    paths = [str(path) for path in list_audio(REPO / "data" / "train-custom")]
    paths = [path for path in paths if path.endswith(("_angry.wav", "_sad.wav"))]
    emotions = [Path(path).stem.split("_")[-1] for path in paths]
    speakers = [Path(path).stem.split("_")[0] for path in paths]
    pipeline = Pipeline(
        [("features", de.SpeechFeatures(FEATURES)), ("scale", StandardScaler()), ("svc", SVC())]
    )
    scores = cross_val_score(pipeline, paths, emotions, groups=speakers, cv=GroupKFold(3))
    assert scores.mean() > 0.7  # chance is 0.5
    grid = {"features__features": [["mfcc"], ["chroma"]], "svc__C": [1, 10]}
    search = GridSearchCV(pipeline, grid, cv=GroupKFold(3))
    search.fit(paths, emotions, groups=speakers)
    assert search.best_params_["features__features"] == ["mfcc"]
    assert set(search.predict(paths)) == {"angry", "sad"}


# inside a worker nothing is parallel again


class Counted(RandomForestClassifier):
    """Trees that note, at each fit, which joblib backend they would use and for how many jobs."""

    def fit(self, X, y):
        workers = Parallel(self.n_jobs, prefer="threads")
        self.backend_ = type(workers._backend).__name__
        self.used_jobs_ = workers._backend.effective_n_jobs(workers.n_jobs)
        return super().fit(X, y)


def fitted_in_a_task(model, X, y):
    model = clone(model).fit(X, y)  # threads share theirs
    return model.backend_, model.used_jobs_, model.predict_proba(X)


@pytest.fixture(scope="module")
def toy():
    return np.random.default_rng(0).normal(size=(60, 5)), np.repeat([0, 1, 2], 20)


@pytest.mark.parametrize("n_jobs", [None, -1, 4])
@pytest.mark.parametrize("backend", ["threading", "loky"])
def test_a_task_is_sequential_in_threads_and_processes(toy, backend, n_jobs):
    model = Counted(5, random_state=0, n_jobs=n_jobs)
    function = de.task(fitted_in_a_task)
    found = Parallel(2, backend=backend)(delayed(function)(model, *toy) for _ in range(2))
    with de.sequential():
        want = model.fit(*toy).predict_proba(toy[0])
    for name, jobs, probabilities in found:
        assert (name, jobs) == ("SequentialBackend", 1)
        np.testing.assert_array_equal(probabilities, want)


def test_an_estimator_without_own_jobs_is_a_copy_with_one_job_in_every_part():
    forest = RandomForestClassifier(7, n_jobs=-1)
    steps = make_pipeline(de.SpeechFeatures(n_jobs=2), StandardScaler(), forest)
    one = de.without_own_jobs(steps)
    params = one.get_params()
    assert {params[name] for name in params if name.endswith("n_jobs")} == {1}
    assert params["randomforestclassifier__n_estimators"] == 7
    assert forest.n_jobs == -1 and steps[0].n_jobs == 2
    assert de.without_own_jobs(SVC(C=3)).C == 3


@pytest.fixture(scope="module")
def cluster():
    """A Dask cluster of two processes."""
    distributed = pytest.importorskip("distributed", reason="see requirements-cluster.txt")
    path = os.pathsep.join([str(REPO), str(REPO / "tests")])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", path)
        cluster = distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
        )
    with cluster:
        yield cluster


def tasks_of(cluster):
    """The keys of all tasks that the scheduler has ever seen, but those of arrays sent to it."""
    log = cluster.scheduler.transition_log
    return {str(key) for key, *_ in log if not str(key).startswith("ndarray")}


@pytest.mark.slow
def test_on_a_cluster_no_task_submits_another(cluster, toy):
    for n_jobs in (None, -1, 1):
        model = Counted(5, random_state=0, n_jobs=n_jobs)
        before = tasks_of(cluster)
        with de.on_cluster(cluster.scheduler_address, *toy):
            work = Parallel(return_as="generator_unordered", batch_size=1)
            found = list(work(delayed(fitted_in_a_task)(model, *toy) for _ in range(3)))
        assert len(tasks_of(cluster) - before) == 3
        assert {(name, jobs) for name, jobs, _ in found} == {("SequentialBackend", 1)}
        before = tasks_of(cluster)
        with de.on_cluster(cluster.scheduler_address, *toy):  # tasks that scikit-learn makes
            search = GridSearchCV(model, {"max_depth": [1, 2]}, cv=2, refit=False).fit(*toy)
        assert len(tasks_of(cluster) - before) == 4
        assert not np.isnan(search.cv_results_["mean_test_score"]).any()


@pytest.mark.slow
def test_a_task_is_sequential_on_a_cluster_of_ones_own(cluster, toy):
    from distributed import Client
    from joblib import parallel_config

    model = Counted(5, random_state=0, n_jobs=-1)
    before = tasks_of(cluster)
    with Client(cluster), parallel_config("dask"):
        work = Parallel(batch_size=1)
        found = work(delayed(de.task(fitted_in_a_task))(model, *toy) for _ in range(3))
    assert len(tasks_of(cluster) - before) == 3
    assert {(name, jobs) for name, jobs, _ in found} == {("SequentialBackend", 1)}


@pytest.mark.slow
def test_vectors_made_on_a_cluster_are_those_made_here(cluster, cache, tmp_path):
    clips = write_clips(tmp_path / "clips", 40)
    with de.on_cluster(cluster.scheduler_address):
        X, read = de.extract_features(clips, FEATURES, verbose=0)
    assert read.all()
    np.testing.assert_array_equal(X, plainly(clips))
    with de.on_cluster(None):
        np.testing.assert_array_equal(extract(clips), X)


# labels of silence


@pytest.mark.parametrize("features", [["mfcc", "mel"], ["spectrum", "prosody"]])
def test_digital_silence_with_a_label_is_named_whether_cached_or_not(cache, clips, features):
    names = ["b_sad.wav", "c_happy.wav"]
    silent = [str(Path(clips[0]).with_name(name)) for name in names]
    for path, n_samples in zip(silent, (16000, 24000), strict=True):
        sf.write(path, np.zeros(n_samples), 16000)
    rows = pd.DataFrame({"path": [*clips, *silent], "emotion": ["sad", "happy"] * 11})
    rows = rows.assign(speaker="a", corpus="custom")
    options = {"emotions": ["sad", "happy"], "classification": True}
    options |= {"functionals": None, "n_jobs": 1, "verbose": 0, "cache_dir": cache}
    for _ in range(2):
        with pytest.warns(UserWarning, match="^2 clip.*of digital silence") as caught:
            de.load_split(rows, features, **options)
        assert len(caught) == 1
        assert "b_sad.wav (sad)" in str(caught[0].message)
        assert "c_happy.wav (happy)" in str(caught[0].message)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        de.load_split(rows[:20], features, **options)


def test_a_cut_recording_is_no_training_clip_and_yet_recognised(cache, clips, tmp_path):
    cut = tmp_path / "cut.wav"
    sf.write(cut, load_audio(bundled_clip("happy")), 16000)
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2 + 1])
    measure = de.SpeechFeatures(["mfcc"], n_jobs=1, verbose=0)
    with pytest.warns(
        AudioWarning, match=r"1 clip\(s\) used in spite of faults:\n.*cut.wav': only its"
    ):
        X, read = measure.extract([str(cut), clips[1]], "raise")
    assert len(X) == 2 and read.all()
    with pytest.warns(UserWarning, match=r"1 clip\(s\) left out, .*\n.*cut.wav': only its first"):
        X, read = measure.extract([str(cut), clips[1]])
    assert len(X) == 1 and read.tolist() == [False, True]
