"""The vocabulary: vectors against plain librosa, names, tuned estimators, malicious pickles."""

import builtins
import copyreg
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
import soxr
from conftest import bundled_clip
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.exceptions import NotFittedError
from sklearn.svm import SVC
from sklearn.utils.validation import check_is_fitted
from test_features import LENGTHS, by_librosa
from tiny_encoder import write_tiny_encoder

import augmentation
import features as ft
import utils
from audio import AudioError, load_audio
from parameters import CLASSIFIERS, REGRESSORS

NINE = {"neutral", "calm", "happy", "sad", "angry", "fear", "disgust", "ps", "boredom"}


def read_16k(path):
    """The signal by plain calls: soundfile, mean of the channels, soxr."""
    y, sr = sf.read(path, dtype="float32", always_2d=True)
    y = y.mean(axis=1)
    return y if sr == 16000 else soxr.resample(y, sr, 16000)


# extract_feature


def test_vector_is_librosas_in_the_promised_order(clips):
    for path in clips[::25]:
        y = read_16k(path)
        got = utils.extract_feature(path, contrast=True, tonnetz=True)
        assert got.shape == (193,) and got.dtype == np.float32
        start = 0
        for name, length in LENGTHS.items():
            part, start = got[start : start + length], start + length
            want = by_librosa(name, y).mean(axis=1)
            np.testing.assert_allclose(part, want, rtol=1e-3, err_msg=name)


def test_defaults_are_mfcc_chroma_mel(clips):
    everything = utils.extract_feature(clips[0], contrast=True, tonnetz=True)
    np.testing.assert_array_equal(utils.extract_feature(clips[0]), everything[:180])


@pytest.mark.parametrize("name", LENGTHS)
def test_one_feature_alone_is_its_part_of_the_whole(name, clips):
    everything = dict.fromkeys(LENGTHS, True)
    whole = utils.extract_feature(clips[-1], **everything)
    start = sum(list(LENGTHS.values())[: list(LENGTHS).index(name)])
    alone = utils.extract_feature(clips[-1], **dict.fromkeys(LENGTHS, False) | {name: True})
    np.testing.assert_array_equal(alone, whole[start : start + LENGTHS[name]])
    assert len(ft.feature_names(features=[name])) == len(alone)


def test_path_text_file_object_and_array_give_the_same_vector(tmp_path):
    y = np.random.default_rng(0).standard_normal(8000).astype(np.float32) * 0.1
    path = tmp_path / "a clip's name.wav"
    sf.write(path, y, 16000, subtype="FLOAT")
    want = utils.extract_feature(path)
    np.testing.assert_array_equal(utils.extract_feature(str(path)), want)
    np.testing.assert_array_equal(utils.extract_feature(y, sr=16000), want)
    with path.open("rb") as file:
        np.testing.assert_array_equal(utils.extract_feature(file), want)


def test_short_and_silent_clips_have_finite_vectors(tmp_path):
    sf.write(tmp_path / "short.wav", np.full(1600, 0.1), 16000)
    sf.write(tmp_path / "silent.wav", np.zeros(16000), 16000)
    assert np.isfinite(utils.extract_feature(tmp_path / "short.wav", contrast=True)).all()
    with pytest.warns(UserWarning, match="silence"):
        assert np.isfinite(utils.extract_feature(tmp_path / "silent.wav", contrast=True)).all()


OFF = dict.fromkeys(["mfcc", "chroma", "mel"], False)


@pytest.mark.parametrize("name", ft.SPEECH_FEATURES)
def test_speech_features_come_after_the_five(clips, name):
    y = read_16k(clips[-1])
    alone = utils.extract_feature(clips[-1], **OFF, **{name: True})
    np.testing.assert_allclose(alone, ft.extract(y, features=[name]), rtol=1e-4, atol=1e-4)
    both = utils.extract_feature(clips[-1], tonnetz=True, **{name: True})
    five = utils.extract_feature(clips[-1], tonnetz=True)
    np.testing.assert_array_equal(both, np.concatenate([five, alone]))
    with pytest.raises(TypeError, match="positional"):
        utils.extract_feature(clips[-1], True, True, True, True, True, True)


def test_functionals_are_those_of_extract(clips):
    y = load_audio(clips[0])
    for functionals in (["mean"], ["std", "p95"], None):
        for names in (["mel"], ["prosody"], ["mfcc", "quality"]):
            got = utils.extract_feature(
                clips[0], **utils.get_audio_config(names), functionals=functionals
            )
            want = ft.extract(y, features=names, functionals=functionals)
            np.testing.assert_array_equal(got, want)
            assert len(got) == len(ft.feature_names(names, functionals))


def test_a_batch_takes_the_same_options(clips, tmp_path):
    (tmp_path / "bad.wav").write_text("this is no audio")
    sources = [clips[0], tmp_path / "bad.wav", clips[1]]
    options = OFF | {"quality": True, "functionals": ["p50"]}
    given, outcomes = utils.extract_batch(sources, options)
    assert given == sources and isinstance(outcomes[1], AudioError)
    for i in (0, 2):
        np.testing.assert_array_equal(outcomes[i], utils.extract_feature(sources[i], **options))


def test_switches_and_names_give_the_same_vector(clips):
    names = ["prosody", "mel"]
    want = utils.feature_vector(clips[0], names)
    got = utils.extract_feature(clips[0], **utils.get_audio_config(names))
    np.testing.assert_array_equal(got, want)
    np.testing.assert_array_equal(utils.feature_vector(clips[0]), utils.extract_feature(clips[0]))
    options = {"features": names, "noisy": 1}
    _, (noisy,) = utils.extract_batch([clips[0]], options)
    np.testing.assert_array_equal(noisy, utils.feature_vector(clips[0], names, noisy=1))
    assert not np.array_equal(noisy, want)


def test_copies_are_those_of_augmentation(clips):
    y = load_audio(clips[0])
    for options, copy in [
        ({"speed": 1.1}, augmentation.at_speed(y, 1.1)),
        ({"noisy": 2}, augmentation.noisy_copy(y, 2)),
        ({"degraded": 2}, augmentation.noisy_copy(y, 2)),
        ({"speed": 0.9, "noisy": 0}, augmentation.noisy_copy(augmentation.at_speed(y, 0.9), 0)),
        ({"degraded": None}, y),
    ]:
        got = utils.extract_feature(clips[0], **options)
        np.testing.assert_array_equal(got, ft.extract(copy), err_msg=str(options))


def test_no_feature_and_no_file_are_errors(tmp_path):
    legal = "mfcc, chroma, mel, contrast, tonnetz, spectrum, prosody, quality, modulation"
    with pytest.raises(ValueError, match=legal):
        utils.extract_feature(tmp_path / "x.wav", mfcc=False, chroma=False, mel=False)
    with pytest.raises(AudioError, match=r"x\.wav"):
        utils.extract_feature(tmp_path / "x.wav")
    with pytest.raises(TypeError, match=r"Unknown argument 'mfc'.*Did you mean 'mfcc'"):
        utils.extract_feature(tmp_path / "x.wav", mfc=True)


# names


def test_available_emotions_are_the_nine():
    assert len(utils.AVAILABLE_EMOTIONS) == 9
    assert set(utils.AVAILABLE_EMOTIONS) == NINE


def test_audio_config_switches_each_feature():
    config = utils.get_audio_config(("tonnetz", "mfcc"))
    assert list(config) == list(LENGTHS)
    assert [name for name, on in config.items() if on] == ["mfcc", "tonnetz"]
    assert set(config.values()) == {True, False}


def test_speech_features_are_in_the_config_only_when_they_are_on():
    """A model saved before there were any has the five keys alone."""
    assert ft.SPEECH_FEATURES == ("spectrum", "prosody", "quality", "modulation")
    config = utils.get_audio_config(["quality", "mel", "spectrum"])
    assert list(config) == [*LENGTHS, "spectrum", "quality"]
    assert [name for name, on in config.items() if on] == ["mel", "spectrum", "quality"]
    off = dict.fromkeys(LENGTHS, False)
    assert utils.get_audio_config(["modulation"]) == off | {"modulation": True}
    for name in ft.SPEECH_FEATURES:
        assert list(utils.get_audio_config([name, name])) == [*LENGTHS, name]


@pytest.mark.parametrize(
    "wrong", [["mfccs"], ["mel", "chrom"], ["MFCC"], [None], ["mfcc", 3], ["prosody", "voice"]]
)
def test_a_wrong_feature_raises_and_names_the_legal_ones(wrong):
    with pytest.raises(ValueError) as error:
        utils.get_audio_config(wrong)
    assert all(name in str(error.value) for name in [*LENGTHS, *ft.SPEECH_FEATURES])
    assert repr(wrong[-1]) in str(error.value)


def test_a_wrong_feature_gets_the_nearest_one_named():
    with pytest.raises(ValueError, match="Did you mean 'chroma'"):
        utils.get_audio_config(["chrom"])
    with pytest.raises(ValueError, match="Did you mean 'prosody'"):
        utils.get_audio_config(["prosodie"])


@pytest.mark.parametrize("wrong", [[], (), "mfcc"])
def test_no_features_or_a_bare_string_raise(wrong):
    with pytest.raises(ValueError, match="mfcc"):
        utils.get_audio_config(wrong)


def test_enabled_names_what_is_on():
    for names in (["mfcc", "tonnetz"], ["mel", "spectrum", "quality"], ["modulation"]):
        assert utils.enabled(utils.get_audio_config(names[::-1])) == names
    assert utils.enabled({"mel": True, "mfcc": 1, "chroma": 0}) == ["mfcc", "mel"]
    with pytest.raises(ValueError, match="Did you mean 'mel'"):
        utils.enabled({"mell": True})


@pytest.mark.parametrize(
    ("features", "encoder", "expected"),
    [
        (["encoder", "mel"], utils.AS_FEATURES, ["mel", "encoder"]),
        (["mel"], "whisper-base", ["mel", "encoder"]),
        (["encoder", "mel"], "hf:a/b@3,2", ["mel", "encoder:hf:a/b@2,3"]),
        (["encoder:hf:a/b", "mel"], "whisper-base@2,3", ["mel", "encoder"]),
        (["encoder:hf:a/b"], "whisper-base@1", ["encoder:whisper-base@1"]),
        (["encoder:hf:a/b", "mel"], None, ["mel"]),
        (["mel"], None, ["mel"]),
    ],
)
def test_features_go_with_another_encoder_or_without(features, encoder, expected):
    assert utils.with_encoder(features, encoder) == expected
    name = utils.encoder_of(expected)
    assert (name is None) == (expected == ["mel"])
    if name is not None:
        assert utils.with_encoder(["encoder"], name) == expected[-1:]


def test_an_encoder_alone_cannot_be_left_out():
    with pytest.raises(ValueError, match="No feature given"):
        utils.with_encoder(["encoder"], None)
    with pytest.raises(ValueError, match="not one string"):
        utils.with_encoder("encoder", utils.AS_FEATURES)
    with pytest.raises(ValueError, match="Unknown encoder 'wavlm'; choose from whisper-base"):
        utils.with_encoder(["mel"], "wavlm")


def test_an_encoder_is_a_switch_or_a_name(tmp_path):
    path, off = bundled_clip("sad"), dict.fromkeys(("mfcc", "chroma", "mel"), False)
    y, tiny = load_audio(path), write_tiny_encoder(tmp_path / "tiny.onnx")
    for switches, name in (
        ({"encoder": True}, "encoder"),
        ({"encoder": "whisper-base"}, "encoder"),
        ({"encoder": tiny}, f"encoder:{tiny}"),
        ({f"encoder:{tiny}": True}, f"encoder:{tiny}"),
        (utils.get_audio_config([f"encoder:{tiny}"]), f"encoder:{tiny}"),
    ):
        got = utils.extract_feature(path, **off | switches)
        np.testing.assert_array_equal(got, ft.extract(y, features=[name]))
    without = utils.extract_feature(path, encoder=False)
    np.testing.assert_array_equal(without, utils.extract_feature(path))
    assert utils.enabled(utils.get_audio_config(["encoder", "mel"])) == ["mel", "encoder"]
    assert utils.get_label(utils.get_audio_config(["encoder", "mel"])) == "mel-encoder"
    with pytest.raises(TypeError, match="Did you mean 'encoder'"):
        utils.extract_feature(path, encodr=True)


def test_label_joins_the_features_that_are_on_in_their_order():
    assert utils.get_label(utils.get_audio_config(["mel", "chroma", "mfcc"])) == "mfcc-chroma-mel"
    assert utils.get_label(utils.get_audio_config(["contrast"])) == "contrast"
    config = utils.get_audio_config(["quality", "prosody", "mel"])
    assert utils.get_label(config) == "mel-prosody-quality"
    config = utils.get_audio_config(ft.SPEECH_FEATURES)
    assert utils.get_label(config) == "spectrum-prosody-quality-modulation"


def test_first_letters():
    assert utils.get_first_letters(["sad", "neutral", "happy"]) == "HNS"
    assert utils.get_first_letters(("happy", "neutral", "sad")) == "HNS"
    assert utils.get_first_letters(["boredom"]) == "B"


@pytest.mark.parametrize("scale", utils.EMOTION_SCALES)
def test_emotion_scale_takes_its_sets_in_any_order(scale):
    assert utils.emotion_scale(list(scale)[::-1]) == scale


def test_emotion_scales_are_the_promised_ones():
    assert utils.emotion_scale(["happy", "sad", "neutral"]) == {"sad": 0, "neutral": 1, "happy": 2}
    five = {"angry": 1, "sad": 2, "neutral": 3, "ps": 4, "happy": 5}
    assert utils.emotion_scale(set(five)) == five


@pytest.mark.parametrize("emotions", [["sad", "neutral"], ["sad", "neutral", "angry"], []])
def test_other_emotions_have_no_scale(emotions):
    with pytest.raises(ValueError, match="classification=True"):
        utils.emotion_scale(emotions)


# estimators


@pytest.mark.parametrize(("name", "where"), [*CLASSIFIERS.items(), *REGRESSORS.items()])
def test_make_estimator_makes_each_unfitted(name, where):
    estimator = utils.make_estimator(name)
    assert type(estimator).__name__ == name
    assert type(estimator).__module__.startswith(where.rpartition(".")[0])
    assert (is_classifier if name in CLASSIFIERS else is_regressor)(estimator)
    with pytest.raises(NotFittedError):
        check_is_fitted(estimator)


def test_make_estimator_takes_parameters_and_short_names():
    assert utils.make_estimator("SVC", {"C": 3, "kernel": "linear"}).get_params()["C"] == 3
    assert type(utils.make_estimator("RandomForest")).__name__ == "RandomForestClassifier"
    assert utils.make_estimator("MLP") is not utils.make_estimator("MLP")


def test_make_estimator_refuses_unknown_models_and_parameters():
    with pytest.raises(ValueError, match=r"SVC.*Did you mean 'MLPClassifier'"):
        utils.make_estimator("MLPClasifier")
    with pytest.raises(ValueError, match=r"Unknown model 'os\.system'"):
        utils.make_estimator("os.system")
    with pytest.raises(ValueError, match="depth"):
        utils.make_estimator("SVC", {"depth": 3})


@pytest.mark.parametrize(("classification", "at_least"), [(True, 8), (False, 6)])
def test_best_estimators_of_the_repository(classification, at_least):
    best = utils.get_best_estimators(classification)
    assert len({type(estimator) for estimator, _, _ in best}) >= at_least
    scores = [score for _, _, score in best]
    assert scores == sorted(scores, reverse=classification)
    for estimator, params, score in best:
        assert (is_classifier if classification else is_regressor)(estimator)
        assert isinstance(score, float)
        assert {key: estimator.get_params()[key] for key in params} == params
        clone(estimator)
        with pytest.raises(NotFittedError):
            check_is_fitted(estimator)


def write_results(folder, classification, results, protocol=pickle.DEFAULT_PROTOCOL):
    path = utils.results_path(classification, folder)
    path.write_bytes(pickle.dumps(results, protocol))
    return path


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_plain_results_load_best_first_from_every_protocol(tmp_path, protocol):
    rows = [
        {"estimator": "SVC", "params": {"C": 10}, "score": 0.5, "note": ("a", None, True, 2**70)},
        {"estimator": "MLPClassifier", "params": {"hidden_layer_sizes": (30, 20)}, "score": 0.9},
    ]
    write_results(tmp_path, True, rows, protocol)
    best = utils.get_best_estimators(True, tmp_path)
    assert [type(estimator).__name__ for estimator, _, _ in best] == ["MLPClassifier", "SVC"]
    assert best[0][0].hidden_layer_sizes == (30, 20) and best[1][2] == 0.5
    rows = [dict(row, estimator=n) for n, row in zip(["SVR", "MLPRegressor"], rows, strict=True)]
    for row in rows:
        row["params"] = {}
    write_results(tmp_path, False, rows, protocol)
    errors = [score for _, _, score in utils.get_best_estimators(False, tmp_path)]
    assert errors == [0.5, 0.9]  # an error: the lowest one is the best


def test_absent_results_say_how_to_make_them(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"grid_search\.py"):
        utils.get_best_estimators(True, tmp_path)


# malicious pickles


class Call:
    """Pickles as a call of `function`."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


BITES = {
    "os.system": lambda m: Call(os.system, f"touch '{m}'"),
    "eval": lambda m: Call(builtins.eval, f"open({str(m)!r}, 'w').close()"),
    "exec": lambda m: Call(builtins.exec, f"open({str(m)!r}, 'w').close()"),
    "open": lambda m: Call(open, str(m), "w"),
    "Popen": lambda m: Call(subprocess.call, ["touch", str(m)]),
    "__import__": lambda m: [Call(os.system, f"touch '{m}'"), Call(__import__, "antigravity")],
    "getattr": lambda m: Call(getattr, Call(Path, str(m)), Call(Path(m).touch)),
    "numpy": lambda m: np.array([Call(os.system, f"touch '{m}'")], dtype=object),
    "parameter": lambda m: [
        {"estimator": "SVC", "params": {"C": Call(os.system, f"touch '{m}'")}, "score": 1.0}
    ],
    "deep": lambda m: [{"a": [({"b": (1, [Call(os.system, f"touch '{m}'")])},)]}],
    "dict key": lambda m: {Call(os.mkdir, str(m)): 1},
}


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
@pytest.mark.parametrize("bite", BITES)
def test_a_pickle_that_runs_code_is_refused_and_runs_nothing(tmp_path, bite, protocol):
    marker = tmp_path / "marker"
    path = write_results(tmp_path, True, BITES[bite](marker), protocol)
    for load in (utils.read_plain_pickle, lambda p: utils.get_best_estimators(True, p.parent)):
        with pytest.raises(ValueError, match="refused"):
            load(path)
    assert not marker.exists()


@pytest.mark.parametrize("bite", ["os.system", "eval", "exec", "Popen", "numpy", "parameter"])
def test_the_same_pickles_do_run_code_elsewhere(tmp_path, bite):
    """The control: what is refused above is no harmless dummy."""
    marker = tmp_path / "marker"
    pickle.loads(pickle.dumps(BITES[bite](marker)))
    assert marker.exists()


def raw_bites(marker):
    """Opcodes that Python's own pickler doesn't write."""
    command = f"touch '{marker}'".encode()
    return {
        "GLOBAL": b"cos\nsystem\n(V" + command + b"\ntR.",
        "INST": b"(V" + command + b"\nios\nsystem\n.",
        "OBJ": b"(cos\nsystem\nV" + command + b"\no.",
        "STACK_GLOBAL": b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c"
        + bytes([len(command)])
        + command
        + b"\x85R.",
        "dotted name": b"\x80\x04\x8c\x08builtins\x8c\x0ceval.__call__\x93\x8c\x011\x85R.",
        "PERSID": b"Pos.system\n.",
        "EXT1": b"\x80\x02\x82\xf0X" + len(command).to_bytes(4, "little") + command + b"\x85R.",
    }


@pytest.mark.parametrize("name", raw_bites("x"))
def test_raw_opcodes_are_refused_and_run_nothing(tmp_path, name):
    marker, path = tmp_path / "marker", tmp_path / "best_classifiers.pickle"
    path.write_bytes(raw_bites(marker)[name])
    copyreg.add_extension("os", "system", 0xF0)
    try:
        with pytest.raises(ValueError, match="refused"):
            utils.read_plain_pickle(path)
    finally:
        copyreg.remove_extension("os", "system", 0xF0)
    assert not marker.exists()


@pytest.mark.parametrize("value", [SVC(), np.float64(1), np.zeros(3), Path("x"), {1, 2} - {1, 2}])
def test_what_is_no_plain_data_is_refused(tmp_path, value):
    path = write_results(tmp_path, True, [{"score": value}], protocol=2)
    with pytest.raises(ValueError, match="not plain data"):
        utils.read_plain_pickle(path)


def test_every_truncation_is_refused(tmp_path):
    data = utils.results_path(True).read_bytes()
    path = tmp_path / "best_classifiers.pickle"
    for n in {*range(0, len(data), 37), *range(20), len(data) - 1}:
        path.write_bytes(data[:n])
        with pytest.raises(ValueError, match="refused"):
            utils.read_plain_pickle(path)


def test_random_and_flipped_bytes_give_plain_data_or_a_value_error(tmp_path):
    rng = np.random.default_rng(0)
    good = np.frombuffer(utils.results_path(True).read_bytes(), np.uint8)
    path = tmp_path / "best_classifiers.pickle"
    refused = 0
    for i in range(400):
        data = rng.integers(0, 256, 300, dtype=np.uint8) if i % 2 else good.copy()
        data[rng.integers(0, len(data), 5)] = rng.integers(0, 256, 5)
        path.write_bytes(data.tobytes())
        try:
            utils.read_plain_pickle(path)
        except ValueError:
            refused += 1
    assert refused > 200


@pytest.mark.parametrize("index", [2**24, 2**28, 2**32 - 1])
def test_a_memo_that_would_fill_the_memory_is_refused(tmp_path, index):
    path = tmp_path / "best_classifiers.pickle"
    path.write_bytes(b"\x80\x04]r" + index.to_bytes(4, "little") + b".")
    with pytest.raises(ValueError, match="memo"):
        utils.read_plain_pickle(path)


def test_false_sizes_are_refused(tmp_path):
    path = tmp_path / "best_classifiers.pickle"
    for opcode in (b"\x8e", b"\x8d", b"\x96"):  # BINBYTES8, BINUNICODE8, BYTEARRAY8
        path.write_bytes(b"\x80\x05" + opcode + (2**40).to_bytes(8, "little") + b"x.")
        with pytest.raises(ValueError, match="refused"):
            utils.read_plain_pickle(path)


def test_a_huge_or_deeply_nested_file_is_refused_before_it_is_parsed(tmp_path):
    """A key of 250,000 nested tuples overflows Python's own stack when it is hashed."""
    path = tmp_path / "best_classifiers.pickle"
    path.write_bytes(b"\x80\x04}K\x01" + b"\x85" * 250_000 + b"K\x01s.")
    code = f"import utils; utils.read_plain_pickle({str(path)!r})"
    child = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(utils.__file__).parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert child.returncode == 1 and "ValueError" in child.stderr and "the limit is" in child.stderr


def test_a_parameter_that_scikit_learn_dropped_is_named_and_left_out(tmp_path):
    results = [
        {"estimator": "SVC", "params": {"C": 3, "gone": 1}, "score": 0.9, "sklearn_version": "0.1"},
        {"estimator": "MLPClassifier", "params": {"alpha": 0.5}, "score": 0.8},
    ]
    utils.results_path(True, tmp_path).write_bytes(pickle.dumps(results))
    with pytest.warns(UserWarning, match=r"SVC has no parameter gone .*tuned with 0\.1") as caught:
        (svc, params, _), (mlp, *_) = utils.get_best_estimators(True, tmp_path)
    assert len(caught) == 1
    assert svc.C == 3 and params == {"C": 3, "gone": 1} and mlp.alpha == 0.5


@pytest.mark.parametrize(
    "found",
    [
        5,
        None,
        "SVC",
        {"estimator": "SVC"},
        [1],
        [{}],
        [{"estimator": "SVC", "params": {}}],
        [{"estimator": "SVC", "params": [], "score": 1}],
        [{"estimator": 3, "params": {}, "score": 1}],
        [{"estimator": "SVC", "params": {}, "score": "1"}],
        [{"estimator": "SVC", "params": {1: 2}, "score": 1}],
    ],
)
def test_tuned_results_of_another_shape_are_refused(tmp_path, found):
    utils.results_path(True, tmp_path).write_bytes(pickle.dumps(found))
    for read in (utils.best_results, utils.get_best_estimators):
        with pytest.raises(
            ValueError, match=r"best_classifiers\.pickle isn't a list of tuned results"
        ):
            read(True, tmp_path)


@pytest.mark.skipif(os.name != "posix", reason="devices are POSIX's")
def test_tuned_results_are_no_device():
    with pytest.raises(ValueError, match="/dev/zero isn't a regular file"):
        utils.read_plain_pickle("/dev/zero")
