"""Recognizers as files: the same after loading, and safe to load from hostile files."""

import io
import json
import os
import pickle
import stat
import struct
import subprocess
import sys
import time
import tracemalloc
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from conftest import BUNDLED, FEW, ODD_ORDER, REPO
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.decomposition import PCA
from sklearn.ensemble import (
    BaggingClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    StackingClassifier,
)
from sklearn.exceptions import NotFittedError
from sklearn.feature_selection import SelectKBest
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier
from tiny_encoder import write_tiny_encoder

import adaptation
import emotion_recognition
import encoder
import features
import model_file
import utils
from audio import load_audio
from augmentation import noisy_copy
from deep_emotion_recognition import DeepEmotionRecognizer, EnsembleRecognizer
from emotion_recognition import EmotionRecognizer, load_recognizer, recommended
from evaluation import State, evaluate, evaluate_states
from features import SPEECH_FEATURES, feature_names, is_encoder
from model_file import ModelFileError, ModelFileWarning, model_card, pack, read, unpack
from models import EmotionLDA
from parameters import AVAILABLE_EMOTIONS, CLASSIFIERS, REGRESSORS, SAMPLE_RATE
from utils import make_estimator

TINY = {"n_estimators": 4, "max_iter": 5, "max_depth": 3}
CASES = REPO / "tests" / "cases"
OLD_FILES = json.loads((CASES / "old_files.json").read_text())
"""Clips, and what version 98390b0 predicted for them with the files that it wrote."""


@pytest.fixture(scope="module")
def clips(bundled_clips):
    return bundled_clips[::9]


@pytest.fixture(scope="module")
def rec(odd_rec):
    """The recommended recognizer."""
    return odd_rec


@pytest.fixture(scope="module")
def path(saved):
    """Its file, which no test changes."""
    return saved


@pytest.fixture(scope="module")
def network_path(network, tmp_path_factory):
    path = tmp_path_factory.mktemp("network_saved") / "network.ser"
    network.save(path)
    return path


def members_of(data):
    """What is in the bytes of a file, but for its manifest: dict of name to bytes."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        names = archive.namelist()
        return {name: archive.read(name) for name in names if name != "manifest.json"}


def members(path):
    return members_of(path.read_bytes())


def tampered(path, changed, tmp_path):
    """A copy with other members, whose digests are right: what an attacker would make."""
    copy = tmp_path / "tampered.ser"
    copy.write_bytes(model_file._sealed(members(path) | changed))
    return copy


def reloaded(recognizer, tmp_path):
    return load_recognizer(recognizer.save(tmp_path / "own.ser") and tmp_path / "own.ser")


def answers(recognizer, clips):
    if recognizer.classification:
        return [list(p.values()) for p in recognizer.predict_proba(clips)]
    return recognizer.predict(clips)


# the same after loading


def test_a_loaded_recognizer_predicts_the_same(rec, path, clips):
    loaded = load_recognizer(path)
    assert loaded.predict(clips) == rec.predict(clips)
    assert loaded.predict_proba(clips) == rec.predict_proba(clips)
    assert list(loaded.predict_proba(clips[0])) == ODD_ORDER
    assert loaded.predict(clips[0]) == rec.predict(clips[0])
    assert loaded.predict([]) == []
    for labels in (None, "sad", ["sad", "happy", "sad"]):
        ours, theirs = (r.adapt(clips[:3], labels) for r in (rec, loaded))
        assert theirs.predict_proba(clips) == ours.predict_proba(clips)
    assert theirs.predict_proba(clips) != rec.predict_proba(clips)


def test_a_loaded_recognizer_predicts_the_same_over_time(rec, path, clips):
    ours, theirs = (r.predict_timeline(clips[0], hop=0.5) for r in (rec, load_recognizer(path)))
    assert theirs.equals(ours) and theirs.attrs == ours.attrs
    ours, theirs = rec.predictor_, load_recognizer(path).predictor_
    X = ours.features(load_audio(clips[0]))
    np.testing.assert_array_equal(theirs.features(load_audio(clips[0])), X)
    np.testing.assert_array_equal(theirs.probabilities(X), ours.probabilities(X))
    np.testing.assert_array_equal(theirs.novelty(X), ours.novelty(X))


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("name", [*CLASSIFIERS, *REGRESSORS])
def test_every_model_of_the_project_predicts_the_same(name, clips, tmp_path):
    model = make_estimator(name)
    known = model.get_params()
    model.set_params(**{key: value for key, value in TINY.items() if key in known})
    rec = EmotionRecognizer(model, classification=name in CLASSIFIERS, **FEW, **BUNDLED)
    emotions = rec.emotions
    loaded = reloaded(rec.train(), tmp_path)
    assert answers(loaded, clips) == answers(rec, clips)
    ours, theirs = (answers(r.adapt(clips[:3], emotions[0]), clips) for r in (rec, loaded))
    assert ours == theirs
    assert type(loaded.model) is type(rec.model)
    assert loaded.model.get_params().keys() == rec.model.get_params().keys()


OTHER_MODELS = (
    make_pipeline(PCA(5), LogisticRegression()),
    BaggingClassifier(EmotionLDA(), n_estimators=2),
    StackingClassifier([("tree", DecisionTreeClassifier())], RandomForestClassifier(3), cv=2),
    CalibratedClassifierCV(SVC(), cv=2),
    HistGradientBoostingClassifier(max_iter=2),
    make_pipeline(SelectKBest(k=20), GradientBoostingClassifier(n_estimators=2)),
)


@pytest.mark.parametrize("model", OTHER_MODELS, ids=lambda model: type(model).__name__)
def test_other_models_of_scikit_learn_predict_the_same(model, clips, tmp_path):
    rec = EmotionRecognizer(model, normalize=None, **FEW, **BUNDLED).train()
    assert answers(reloaded(rec, tmp_path), clips) == answers(rec, clips)


def test_a_clock_that_was_turned_back_changes_no_answer(tmp_path, monkeypatch, clips):
    rec = EmotionRecognizer(DecisionTreeClassifier(), **FEW, **BUNDLED).train()
    ten_years_ago = time.time() - 10 * 365 * 86400
    monkeypatch.setattr(time, "time", lambda: ten_years_ago)
    assert answers(reloaded(rec, tmp_path), clips) == answers(rec, clips)
    monkeypatch.setattr(time, "time", lambda: 0.0)
    assert answers(load_recognizer(next(tmp_path.iterdir())), clips) == answers(rec, clips)
    with pytest.raises(OSError, match="clock of this machine"):
        rec.save(tmp_path / "of 1970.ser")
    assert not (tmp_path / "of 1970.ser").exists()


def test_the_recommended_regressor_predicts_the_same(clips, tmp_path):
    rec = recommended(classification=False, **FEW, **BUNDLED).train()
    loaded = reloaded(rec, tmp_path)
    assert loaded.predict(clips) == rec.predict(clips)
    assert loaded.adapt(clips[:3], "sad").predict(clips) == (
        rec.adapt(clips[:3], "sad").predict(clips)
    )
    assert loaded.score_["mae"] == pytest.approx(rec.test_score())
    assert loaded.score_["mae_low"] < loaded.score_["mae"] < loaded.score_["mae_high"]


def test_an_adapted_recognizer_stays_adapted(rec, clips, tmp_path):
    adapted = rec.adapt(clips[:4])
    loaded = reloaded(adapted, tmp_path)
    assert loaded.predict_proba(clips) == adapted.predict_proba(clips)
    assert loaded.adapt(clips[4:8]).predict_proba(clips) == (
        rec.adapt(clips[4:8]).predict_proba(clips)
    )
    assert "one speaker by 4 recordings" in loaded.card()
    assert loaded.score_ == rec.scores()  # measured before the adaptation


@pytest.mark.slow
def test_networks_predict_the_same(network, network_path, clips):
    loaded = DeepEmotionRecognizer.load(network_path)
    np.testing.assert_allclose(answers(loaded, clips), answers(network, clips), atol=1e-6)
    ours, theirs = (answers(r.adapt(clips[:3]), clips) for r in (network, loaded))
    np.testing.assert_allclose(theirs, ours, atol=1e-6)
    assert loaded.history_.equals(network.history_)
    assert "results_dir" not in loaded.card()
    settings = members(network_path)["header.json"].decode()
    assert "results_dir" not in settings and str(REPO) not in settings


@pytest.mark.slow
def test_networks_can_be_pickled(network):
    copied = pickle.loads(pickle.dumps(network.model))
    X = network.scaler_.transform(network.X_test)
    np.testing.assert_allclose(copied.predict_proba(X), network.model.predict_proba(X), atol=1e-6)


def test_ensembles_predict_the_same(ensemble, clips, tmp_path):
    loaded = reloaded(ensemble, tmp_path)
    assert answers(loaded, clips) == answers(ensemble, clips)
    ours, theirs = (r.adapt(clips[:3]) for r in (ensemble, loaded))
    assert answers(theirs, clips) == answers(ours, clips)
    assert answers(reloaded(theirs, tmp_path), clips) == answers(ours, clips)
    assert "2048, 2048)); SVC(" in loaded.card()
    with pytest.raises(ValueError, match="no clips"):
        loaded.test_score()


@pytest.mark.parametrize("name", OLD_FILES["files"])
def test_files_of_an_older_version_predict_the_same(name):
    """Their classes had other names and modules."""
    loaded = load_recognizer(CASES / f"{name}.ser")
    clips = [REPO / "data" / "test-custom" / clip for clip in OLD_FILES["clips"]]
    recognizers = {
        "predictions": lambda: loaded,
        "adapted": lambda: loaded.adapt(clips[:3]),
        "adapted to neutral": lambda: loaded.adapt(clips[:3], "neutral"),
    }
    for kind, expected in OLD_FILES["files"][name].items():
        own = recognizers[kind]()
        found = answers(own, clips[-len(expected) :])
        expected = [list(x.values()) for x in expected] if own.classification else expected
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5, err_msg=kind)
    assert "custom" in loaded.card() or name == "default"
    assert loaded.score_["uar" if loaded.classification else "mae"] is not None


def test_a_class_is_found_by_a_former_name():
    found = unpack(model_file.pack({"scaler": adaptation.FrameScaler()}, "a card"))["scaler"]
    assert type(found) is adaptation.FrameScaler
    data = members_of(model_file.pack({"scaler": adaptation.SpeakerFrameScaler()}, "a card"))
    former = data["header.json"].replace(b"SpeakerFrameScaler", b"VoiceScaler")
    found = unpack(model_file._sealed(data | {"header.json": former}))["scaler"]
    assert type(found) is adaptation.SpeakerFrameScaler


def test_a_network_of_an_earlier_version_is_named():
    """Its layers are gone."""
    data = members_of(model_file.pack({"scaler": adaptation.FrameScaler()}, "a card"))
    for name, advice in (("RandomConvolutions", "train the network again"), ("Own", "update")):
        header = data["header.json"].replace(b"FrameScaler", name.encode())
        with pytest.raises(ModelFileError, match=f"holds a {name}.*doesn't know: .*{advice}"):
            unpack(model_file._sealed(data | {"header.json": header}))


def test_a_file_is_read_before_its_classes_are_imported(tmp_path):
    (tmp_path / "scaler.ser").write_bytes(pack({"scaler": adaptation.FrameScaler()}, "a card"))
    code = f"import model_file; print(model_file.read({str(tmp_path / 'scaler.ser')!r}))"
    done = subprocess.run([sys.executable, "-c", code], cwd=REPO, capture_output=True, text=True)
    assert "FrameScaler" in done.stdout, done.stderr


def test_what_was_loaded_can_be_saved_again(path, rec, clips, tmp_path):
    again = reloaded(load_recognizer(path), tmp_path)
    assert again.predict_proba(clips) == rec.predict_proba(clips)
    assert (again.protocol_, again.score_) == (rec.protocol(), rec.scores())
    assert again.card() == rec.card()
    assert members(tmp_path / "own.ser") == members(path)


def test_a_loaded_recognizer_has_a_protocol_and_no_clips(path, rec):
    loaded = EmotionRecognizer.load(path)
    assert loaded.protocol_ == rec.protocol()
    assert loaded.score_ == rec.scores()
    methods = "test_score train_score scores confusion_matrix protocol get_samples_by_class"
    for method in (*methods.split(), "determine_best_model"):
        with pytest.raises(ValueError, match=r"no clips.*protocol_.*load_data\(\).*train\(\)"):
            getattr(loaded, method)()
    with pytest.raises(ValueError, match="no clips"):
        loaded.test_fbeta_score(1)
    with pytest.raises(ValueError, match="no clips"):
        loaded.grid_search({"shrinkage": [0.1]})


def test_a_loaded_recognizer_can_read_clips_and_learn_anew(path, rec):
    loaded = load_recognizer(path)
    for name in ("data_dir", "n_jobs"):
        setattr(loaded, name, BUNDLED[name])
    loaded.load_data()
    assert loaded.test_score() == rec.test_score()
    assert loaded.protocol().startswith(f"loaded ({rec.protocol()}); tested on ")
    assert loaded.train().protocol() == rec.protocol()
    assert loaded.test_score() == rec.test_score()


def test_words_of_ones_own_need_no_clips_to_load(rec, path, tmp_path, clips):
    header = members(path)["header.json"].replace(b'"happy"', b'"rude"')
    rude = np.load(io.BytesIO(members(path)["arrays/0.npy"]))  # shows that arrays are plain .npy
    assert rude.dtype.kind in "fU"
    changed = {"header.json": header} | {
        name: model_file._from_array(np.where(array == "happy", "rude", array))
        for name, data in members(path).items()
        if name.endswith(".npy") and (array := np.load(io.BytesIO(data))).dtype.kind == "U"
    }
    loaded = load_recognizer(tampered(path, changed, tmp_path))
    assert loaded.emotions == ["sad", "angry", "rude"]
    assert list(loaded.predict_proba(clips[0])) == loaded.emotions


def test_a_class_loads_its_own_files_only(path):
    with pytest.raises(ModelFileError, match=r"EmotionRecognizer, not Deep.*load_recognizer"):
        DeepEmotionRecognizer.load(path)


def test_only_what_is_trained_and_known_is_saved(tmp_path, rec):
    class Own(EmotionRecognizer):
        pass

    with pytest.raises(NotFittedError):
        recommended(**BUNDLED).save(tmp_path / "own.ser")
    own = Own(EmotionLDA(), **FEW, **BUNDLED).train()
    with pytest.raises(ValueError, match="EmotionRecognizer, DeepEmotionRecognizer"):
        own.save(tmp_path / "own.ser")
    assert not list(tmp_path.iterdir())


def test_without_a_path_the_bundled_model_is_loaded(monkeypatch, path, tmp_path):
    monkeypatch.setattr(emotion_recognition, "DEFAULT_FILE", tmp_path / "default.ser")
    with pytest.raises(FileNotFoundError, match=r"default\.ser.*train\(\)\.save"):
        load_recognizer()
    monkeypatch.setattr(emotion_recognition, "DEFAULT_FILE", path)
    assert load_recognizer().emotions == ODD_ORDER


@pytest.mark.slow
def test_a_model_of_all_emotions_is_small_and_needs_little(tmp_path, clips):
    path = tmp_path / "all.ser"
    rec = recommended(emotions=AVAILABLE_EMOTIONS, **BUNDLED)
    rec.fit(rec.clips()[::4]).save(path)
    assert path.stat().st_size < 5e6
    code = (
        "import sys; from emotion_recognition import load_recognizer; "
        f"rec = load_recognizer({str(path)!r}); rec.predict({clips[0]!r}); "
        "print(sorted({'tensorflow', 'keras', 'skops', 'h5py'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=REPO, capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr


# encoders


@pytest.fixture(scope="module")
def tiny_rec(tmp_path_factory):
    """A recognizer of another encoder, which lies in a folder of its own."""
    path = write_tiny_encoder(tmp_path_factory.mktemp("encoder") / "tiny.onnx")
    options = FEW | {"features": ["mfcc", f"encoder:{path}@1,0"]}
    return EmotionRecognizer(SVC(), emotions=ODD_ORDER, **options, **BUNDLED).train()


def missing(tiny_rec, tmp_path):
    """A file of it that names an encoder that isn't there."""
    path = tiny_rec.save(tmp_path / "model.ser") and tmp_path / "model.ser"
    header = members(path)["header.json"].replace(b"tiny.onnx", b"gone.onnx")
    return tampered(path, {"header.json": header}, tmp_path)


def test_a_file_names_its_encoder(rec, path, tiny_rec, tmp_path):
    tiny_rec.save(tmp_path / "model.ser")
    for file, own in ((path, rec), (tmp_path / "model.ser", tiny_rec)):
        known, found = read(file)["recognizer"]["encoder"], encoder.load_encoder(own.encoder)
        assert known == {"name": own.encoder, "sha256": found.sha256, "layers": [*found.layers]}


def test_files_from_before_there_were_encoders_have_none():
    for file in CASES.glob("*.ser"):
        assert "encoder" not in json.dumps(json.loads(members(file)["header.json"]))
        assert not any(map(is_encoder, load_recognizer(file).predictor_.names))


def test_an_encoder_that_was_moved_is_found_by_its_path(tiny_rec, tmp_path, clips):
    path = missing(tiny_rec, tmp_path)
    with pytest.raises(ModelFileError) as error:
        load_recognizer(path)
    sha256 = encoder.load_encoder(tiny_rec.encoder).sha256
    for words in (str(path), "gone.onnx", sha256, "can't be read", "encoder=PATH) or"):
        assert words in str(error.value)
    for name in (tiny_rec.encoder.removesuffix("@0,1"), tiny_rec.encoder):
        loaded = load_recognizer(path, encoder=name)
        assert loaded.encoder == tiny_rec.encoder and answers(loaded, clips) == answers(
            tiny_rec, clips
        )
        assert loaded.untrained().encoder == tiny_rec.encoder
        assert EmotionRecognizer.load(path, encoder=name).encoder == tiny_rec.encoder


def test_another_encoder_is_refused(tiny_rec, path, tmp_path):
    moved, other = missing(tiny_rec, tmp_path), write_tiny_encoder(tmp_path / "other.onnx", seed=1)
    sha256 = [encoder.load_encoder(name).sha256 for name in (tiny_rec.encoder, other)]
    with pytest.raises(ModelFileError, match=f"{sha256[0]}.*is another one.*{sha256[1]}"):
        load_recognizer(moved, encoder=other)
    with pytest.raises(ModelFileError, match=r"layers \[0, 1\].*another one.* layers \[1\]"):
        load_recognizer(moved, encoder=tiny_rec.encoder.replace("@0,1", "@1"))
    with pytest.raises(ModelFileError, match=r"'whisper-base'.*is another one"):
        load_recognizer(path, encoder=other)


@pytest.mark.slow
def test_another_process_sees_that_an_encoder_changed(tiny_rec, tmp_path):
    path = write_tiny_encoder(tmp_path / "tiny.onnx")
    tiny_rec.untrained(encoder=path).train().save(tmp_path / "model.ser")
    write_tiny_encoder(path, seed=1)
    code = "import sys, emotion_recognition as e; e.load_recognizer(sys.argv[1])"
    command = [sys.executable, "-c", code, str(tmp_path / "model.ser")]
    done = subprocess.run(command, cwd=REPO, capture_output=True, text=True)
    assert done.returncode and "is another one" in done.stderr.splitlines()[-1]


@pytest.mark.parametrize("known", [True, False])
def test_a_file_downloads_no_encoder_unasked(tiny_rec, tmp_path, monkeypatch, known):
    path = missing(tiny_rec, tmp_path)
    header = json.loads(members(path)["header.json"])
    recognizer = header["content"]["recognizer"]
    recognizer["settings"]["features"] = ["mfcc", "encoder:hf:some/model@0,1"]
    recognizer["encoder"] = recognizer["encoder"] if known else None
    path = tampered(path, {"header.json": json.dumps(header).encode()}, tmp_path)
    asked, real = [], encoder.load_encoder

    def load(name):
        asked.append(name)
        return real(name)

    for module in (utils, features):
        monkeypatch.setattr(module, "load_encoder", load)
    words = "encoder='hf:some/model@0,1'. or --encoder hf:some/model@0,1" if known else "damaged"
    with pytest.raises(ModelFileError, match=words):
        load_recognizer(path)
    assert not asked


def test_a_file_without_an_encoder_takes_none(few_svc, tmp_path):
    few_svc.save(tmp_path / "model.ser")
    with pytest.raises(ModelFileError, match=r"no encoder: leave out encoder='whisper-base'"):
        load_recognizer(tmp_path / "model.ser", encoder="whisper-base")


def test_members_of_an_ensemble_find_their_encoder(tiny_rec, few_svc, tmp_path, clips):
    both = EnsembleRecognizer([tiny_rec, few_svc]).train()
    path = missing(both, tmp_path)
    with pytest.raises(ModelFileError, match=r"gone\.onnx.*encoder=PATH"):
        load_recognizer(path)
    loaded = load_recognizer(path, encoder=tiny_rec.encoder)
    assert answers(loaded, clips) == answers(both, clips)


# the card, and writing


def test_the_card_has_what_the_model_is_and_is_not(rec, path):
    card = members(path)["card.md"].decode()
    assert card == rec.card() == load_recognizer(path).card()
    facts = (
        "BlockLDA(blocks=(4659, 2048, 2048))",
        "8,755 values: spectrum, ",
        "sad, angry, happy",
        "custom: ",
    )
    score = f"UAR {rec.scores()['uar']:.3f} ("
    others = "scikit-learn ", "numpy ", "## Limits", "load_recognizer", "synthetic"
    for text in (*facts, rec.protocol(), score, *others):
        assert text in card
    for speakers in set(rec.train_rows_["speaker"]):
        assert speakers not in card


def test_the_card_names_licences():
    record = {
        "model": "m",
        "hears": "h",
        "says": "s",
        "clips": {"sad": 1},
        "protocol": "p",
        "corpora": {"ravdess": [1400, 24], "mine": [10, 2]},
        "score": None,
        "versions": {},
    }
    card = model_card(record)
    assert "CC BY-NC-SA 4.0, not for commercial use" in card
    assert "ravdess: clips 1,400, speakers 24" in card
    assert "mine: see its own" in card
    assert "not measured" in card


def test_another_evaluation_can_be_kept(tmp_path):
    rec = recommended(normalize=None, **FEW, **BUNDLED).train()
    measured = evaluate(rec, "group-3", verbose=0)
    loaded = load_recognizer(rec.save(tmp_path / "m.ser", measured=measured) and tmp_path / "m.ser")
    assert loaded.protocol_ == measured.protocol
    assert loaded.score_ == pytest.approx(measured.scores())
    for name, text in (("macro_f1", "macro F1"), ("ece", "ECE")):
        assert f"{text} {measured.scores()[name]:.3f}" in loaded.card()


def test_evaluations_with_names_are_the_first_table_of_the_card(tmp_path):
    """By gender and corpus for the first of a protocol; in noise, from the noisy copies."""
    rec = recommended(normalize=None, noisy=1, **FEW, **BUNDLED).train()
    plain, noisy = evaluate_states(rec, "group-3", [State(), State(noisy=True)], verbose=0)
    loaded = load_recognizer(
        rec.save(tmp_path / "m.ser", measured={"strangers": plain, "in noise": noisy})
        and tmp_path / "m.ser"
    )
    assert loaded.protocol_ == plain.protocol
    above, table = loaded.card().split("| model |")[0], plain.to_frame()
    assert (
        "don't decide about people" in above and "| recordings | speakers | clips | UAR |" in above
    )
    rows = [line.split(" | ") for line in above.splitlines() if line.startswith("| ")][1:-1]
    names = "| strangers", "| … your own recordings, any language", "| in noise"
    assert tuple(row[0] for row in rows) == names  # the gender of these is unknown
    assert rows[1][3].startswith(f"{table.loc[('corpus', 'custom'), 'uar']:.3f} (")
    assert [row[2] for row in rows] == [str(len(plain.clips))] * 3
    assert rows[0][4] == f"{plain.scores()['ece']:.3f} |"
    assert "a copy of each in noise, in a room or by telephone" in noisy.protocol
    by_hand = rec.untrained(verbose=0)
    fold = noisy.clips["fold"] == noisy.clips["fold"].iloc[0]
    paths = noisy.clips.loc[fold, "path"].tolist()
    train = by_hand.clips()
    by_hand.fit(train[~train["path"].isin(paths)])
    copies = [noisy_copy(load_audio(path)) for path in paths]
    expected = by_hand.predict(copies, sr=SAMPLE_RATE, check_speech=False)
    assert noisy.clips.loc[fold, "predicted"].tolist() == expected


def test_without_test_clips_nothing_is_claimed(tmp_path):
    everything = recommended(normalize=None, **FEW, **BUNDLED)
    everything.fit(everything.clips())
    loaded = reloaded(everything, tmp_path)
    assert loaded.score_ is None
    assert "not measured" in loaded.card() and "kept back" in loaded.protocol_


class Unknown(ClassifierMixin, BaseEstimator):
    """A classifier of a type that isn't trusted."""

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, X):
        return np.full((len(X), len(self.classes_)), 1 / len(self.classes_))


@pytest.mark.parametrize(
    "model",
    [Unknown(), KNeighborsClassifier(algorithm="kd_tree")],
    ids=lambda model: type(model).__name__,
)
def test_what_could_not_be_loaded_is_not_saved(model, rec, path, tmp_path):
    kept = tmp_path / "kept.ser"
    kept.write_bytes(path.read_bytes())
    other = EmotionRecognizer(model, normalize=None, **FEW, **BUNDLED).train()
    with pytest.raises(ModelFileError, match=r"Unknown|KDTree.*algorithm=.brute"):
        other.save(kept)
    assert kept.read_bytes() == path.read_bytes()
    assert [file.name for file in tmp_path.iterdir()] == ["kept.ser"]


# other versions


def other_versions(path, tmp_path, changed, **versions):
    header = json.loads(members(path)["header.json"])
    header["content"]["record"]["versions"] |= versions
    return tampered(path, changed | {"header.json": json.dumps(header).encode()}, tmp_path)


def scaled(path, key, factor):
    """All arrays that the header names so, times a number: one may have no weight."""
    header = json.loads(members(path)["header.json"])
    found = []

    def look(node):
        if key in node and "$array" in (node[key] or {}):
            found.append(node[key]["$array"])
        return node

    json.loads(json.dumps(header), object_hook=look)
    arrays = {name: np.load(io.BytesIO(members(path)[name])) for name in found}
    return {name: model_file._from_array(array * factor) for name, array in arrays.items()}


def test_a_model_that_computes_something_else_is_refused_or_named(path, tmp_path):
    for factor in (1.0001, 3.0):
        with pytest.raises(ModelFileError, match=r"answers differ.*all libraries"):
            load_recognizer(tampered(path, scaled(path, "coef_", factor), tmp_path))
    changed = scaled(path, "coef_", 1.0001)
    with pytest.warns(ModelFileWarning, match=r"answers.*by .*scikit-learn 1\.0 \(here "):
        load_recognizer(other_versions(path, tmp_path, changed, **{"scikit-learn": "1.0"}))
    changed = scaled(path, "coef_", 3.0)
    with pytest.raises(ModelFileError, match=r"saved with numpy 1\.0 \(here .*Refused: install"):
        load_recognizer(other_versions(path, tmp_path, changed, numpy="1.0"))


def test_features_that_are_computed_otherwise_are_named(path, tmp_path):
    changed = scaled(path, "heard", 1.1)
    with pytest.warns(ModelFileWarning, match=r"features.*by .*features 0123 \(here "):
        load_recognizer(other_versions(path, tmp_path, changed, **{"features": "0123"}))
    with pytest.raises(ModelFileError, match="features"):
        load_recognizer(tampered(path, changed, tmp_path))


def test_the_encoders_features_are_compared_as_a_whole(odd_rec):
    """Single ones may differ much where a processor rounds otherwise."""
    predictor, scale = odd_rec.predictor_, odd_rec.scaler_.scale_
    n, rng = len(feature_names(SPEECH_FEATURES)), np.random.default_rng(0)
    off = np.zeros(len(scale))
    off[n:] = 0.2 * rng.standard_normal(len(scale) - n)
    assert np.abs(off).max() > 0.5

    def moved(off):
        heard = predictor.probe["heard"] + off * scale
        return replace(predictor, probe=predictor.probe | {"heard": heard.astype(np.float32)})

    moved(off).check()
    with pytest.raises(ModelFileError, match=r"its encoder's features, in .* by 0\.[5-7]"):
        moved(3 * off).check()
    off[n - 1] = 0.5  # one of the others
    with pytest.raises(ModelFileError, match=r"its features, in .* by 0\.5"):
        moved(off).check()


def test_both_precisions_of_the_bundled_encoder_are_one(path, clips, rec, monkeypatch, recwarn):
    if not (encoder.FOLDER / encoder.PRECISIONS["float16"][0]).exists():
        pytest.skip("no encoder of 16 bits: models/NOTICE.md says how to make it")
    expected = np.array(answers(rec, clips))
    monkeypatch.setenv("SER_ENCODER_PRECISION", "float16")
    found = np.array(answers(load_recognizer(path), clips))
    assert not recwarn.list and (found != expected).any()
    np.testing.assert_allclose(found, expected, atol=0.2)


def test_other_versions_that_compute_the_same_are_no_reason_to_warn(path, tmp_path, recwarn):
    load_recognizer(other_versions(path, tmp_path, {}, **{"numpy": "1.0", "features": "0123"}))
    assert not recwarn.list


def test_a_later_format_is_named(path, tmp_path):
    header = members(path)["header.json"].replace(b'"format": 2', b'"format": 3')
    with pytest.raises(ModelFileError, match=r"its format is 3.*update the project"):
        load_recognizer(tampered(path, {"header.json": header}, tmp_path))


# damaged files


def test_damaged_files_are_refused(path, tmp_path):
    """A hundred cut short, two hundred with a flipped bit, fifty with bytes added or changed."""
    data, rng, damaged = path.read_bytes(), np.random.default_rng(0), tmp_path / "damaged.ser"
    for i in range(350):
        if i < 100:
            changed = data[: rng.integers(len(data))]
        elif i < 300:  # half of them where the zip has its names and sizes
            place = rng.integers(len(data)) if i % 2 else len(data) - 1 - rng.integers(4000)
            changed = bytearray(data)
            changed[place] ^= 1 << rng.integers(8)
        elif i < 325:
            changed = rng.bytes(i) + data if i % 2 else data + rng.bytes(i)
        else:
            place = rng.integers(len(data))
            changed = data[:place] + rng.bytes(100) + data[place + 100 :]
        damaged.write_bytes(changed)
        with pytest.raises(ModelFileError, match=r"damaged\.ser: ."):
            load_recognizer(damaged)


def test_a_damaged_member_is_named(path, tmp_path):
    with zipfile.ZipFile(path) as archive:
        entry = archive.getinfo("card.md")
    data = bytearray(path.read_bytes())
    data[entry.header_offset + 60] ^= 4
    (tmp_path / "model.ser").write_bytes(data)
    with pytest.raises(ModelFileError, match=r"its member card\.md is damaged"):
        load_recognizer(tmp_path / "model.ser")
    own = members(path)
    manifest = {name: model_file._digest(data) for name, data in own.items()} | {"card.md": "0"}
    changed = model_file.zipped(own | {"manifest.json": json.dumps(manifest).encode()})
    (tmp_path / "model.ser").write_bytes(changed)
    with pytest.raises(ModelFileError, match=r"card\.md is missing or was changed"):
        load_recognizer(tmp_path / "model.ser")


def test_files_that_are_none_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere\.ser"):
        load_recognizer(tmp_path / "nowhere.ser")
    with pytest.raises(ModelFileError, match=r"only files of rec\.save"):
        load_recognizer(tmp_path)
    os.mkfifo(tmp_path / "fifo.ser")
    with pytest.raises(ModelFileError, match=r"only files of rec\.save"):
        load_recognizer(tmp_path / "fifo.ser")
    none = [b"", b"PK", b"no zip" * 100, model_file.zipped({}), model_file._sealed({})]
    none.append(model_file.zipped({"a.txt": b"text"}))
    for i, data in enumerate(none):
        file = tmp_path / f"{i}.ser"
        file.write_bytes(data)
        with pytest.raises(ModelFileError, match=rf"{i}\.ser: "):
            load_recognizer(file)


# hostile files


class Payload:
    """Unpickled, it makes a file."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (str(self.marker),)


def refused(file, match="."):
    """The file is refused, and nothing beside it is made."""
    around = sorted(file.parent.parent.rglob("*"))
    with pytest.raises(ModelFileError, match=match):
        load_recognizer(file)
    assert sorted(file.parent.parent.rglob("*")) == around


def test_pickles_are_never_run(path, tmp_path):
    payload = pickle.dumps(Payload(tmp_path / "was run"))
    array = io.BytesIO()
    np.save(array, np.array([Payload(tmp_path / "was run")]), allow_pickle=True)
    file = tmp_path / "pickle.ser"
    file.write_bytes(payload)
    refused(file)
    refused(tampered(path, {"arrays/0.npy": payload}, tmp_path))
    refused(tampered(path, {"arrays/0.npy": array.getvalue()}, tmp_path))
    refused(tampered(path, {"header.json": payload}, tmp_path))
    refused(tampered(path, {"model.pkl": payload}, tmp_path), "no member 'model.pkl'")
    assert not (tmp_path / "was run").exists()


OUTSIDE = "../evil.npy", "/tmp/evil.npy", "arrays/../../evil.npy", "C:\\evil"
NO_MEMBERS = "arrays\\0.npy", "arrays/0.npy/", "", "evil.py", "Card.md", "arrays/٣.npy"


@pytest.mark.parametrize("name", OUTSIDE + NO_MEMBERS)
def test_other_names_are_refused(name, path, tmp_path):
    folder = tmp_path / "a" / "b"
    folder.mkdir(parents=True)
    refused(tampered(path, {name: b"evil"}, folder), "has no member|damaged|two members")


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFDIR, stat.S_IFIFO])
def test_links_are_refused(kind, path, tmp_path):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in members(path).items():
            entry = zipfile.ZipInfo(name)
            if name == "card.md":
                entry.external_attr, data = (kind | 0o777) << 16, b"/etc/passwd"
            archive.writestr(entry, data)
    (tmp_path / "link.ser").write_bytes(file.getvalue())
    refused(tmp_path / "link.ser", r"no member 'card\.md'")


def test_members_twice_are_refused(path, tmp_path):
    file = tmp_path / "twice.ser"
    file.write_bytes(path.read_bytes())
    with zipfile.ZipFile(file, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("card.md", "another one")
    refused(file, r"two members card\.md")


def bombs(path):
    """Names and bytes of small files that would unpack to much, or take much memory."""
    much = b"\0" * 2**27
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("card.md", much)
    honest = zipped.getvalue()
    size = struct.pack("<L", len(much))
    yield "honest", honest
    yield "lying", honest.replace(size, struct.pack("<L", 10))
    yield "many", model_file.zipped({f"arrays/{i}.npy": b"" for i in range(70_000)})
    overlapping = bytearray(model_file.zipped({"card.md": b"x" * 100, "header.json": b"x" * 100}))
    place = overlapping.rfind(b"PK\x01\x02")
    overlapping[place + 42 : place + 46] = bytes(4)  # the second begins where the first does
    yield "overlapping", bytes(overlapping)
    array = io.BytesIO()
    header = {"descr": "<f8", "fortran_order": False, "shape": (10**12,)}
    np.lib.format.write_array_header_1_0(array, header)
    yield "array", model_file._sealed(members(path) | {"arrays/0.npy": array.getvalue()})
    nested = io.BytesIO()
    with zipfile.ZipFile(nested, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("schema.json", b" " * 2**26)
    own = members(path)
    header = json.loads(own["header.json"])
    header["content"]["recognizer"]["fits"]["average"]["model"] = {"$model": "models/0.skops"}
    own |= {"header.json": json.dumps(header).encode(), "models/0.skops": nested.getvalue()}
    yield "nested", model_file._sealed(own)
    header["content"]["more"] = [{"$array": "arrays/0.npy"}] * 10**5
    yield (
        "repeating",
        model_file._sealed(members(path) | {"header.json": json.dumps(header).encode()}),
    )
    yield "json", model_file._sealed(own | {"header.json": b"[" + b"[]," * 6 * 10**6 + b"[]]"})
    deep = {"format": model_file.FORMAT, "content": None}
    text = json.dumps(deep).replace("null", "[" * 10**6 + "]" * 10**6)
    yield "deep", model_file._sealed(own | {"header.json": text.encode()})


def test_bombs_are_refused_before_they_fill_the_memory(path, tmp_path):
    for name, data in bombs(path):
        file = tmp_path / f"{name}.ser"
        file.write_bytes(data)
        assert len(data) < 10e6
        tracemalloc.start()
        refused(file)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 100e6, (name, peak)


# hostile models


@pytest.fixture(scope="module")
def forest_path(tmp_path_factory):
    """The file of a forest."""
    path = tmp_path_factory.mktemp("forest") / "forest.ser"
    model = RandomForestClassifier(2, max_depth=2)
    EmotionRecognizer(model, normalize=None, **FEW, **BUNDLED).train().save(path)
    return path


@pytest.fixture(scope="module")
def machine_path(tmp_path_factory):
    """The file of a support vector machine."""
    path = tmp_path_factory.mktemp("machine") / "machine.ser"
    EmotionRecognizer(SVC(), normalize=None, **FEW, **BUNDLED).train().save(path)
    return path


def with_model(path, tmp_path, change):
    """A copy whose scikit-learn model was changed; `change` gets its schema and its members."""
    name = next(name for name in members(path) if name.endswith(".skops"))
    with zipfile.ZipFile(io.BytesIO(members(path)[name])) as archive:
        inner = {own: archive.read(own) for own in archive.namelist()}
    schema = json.loads(inner["schema.json"])
    change(schema, inner)
    inner["schema.json"] = json.dumps(schema).encode()
    return tampered(path, {name: model_file.zipped(inner)}, tmp_path)


LOADERS = "Object", "Function", "ConstructorFromReduce", "Type", "Partial", "Method", "OperatorFunc"


@pytest.mark.parametrize("loader", [f"{name}Node" for name in LOADERS])
def test_models_of_types_that_are_not_trusted_are_refused(loader, machine_path, tmp_path):
    marker = tmp_path / "was run"

    def node(name, module, loader, i, **content):
        return {
            "__class__": name,
            "__module__": module,
            "__loader__": loader,
            "__id__": i,
        } | content

    name = {"content": json.dumps(str(marker)), "is_json": True}
    text = node("str", "builtins", "JsonNode", 7, **name)
    args = node("tuple", "builtins", "TupleNode", 8, content=[text])

    def change(schema, inner):
        evil = node("mkdir", "os", loader, 9, content=args, attrs=args)
        if loader == "PartialNode":
            function = {"__class__": "mkdir", "__module__": "os", "__loader__": "FunctionNode"}
            evil["content"] = {"func": function, "args": args, "kwds": text, "namespace": text}
        schema["content"]["content"]["predict"] = evil

    refused(with_model(machine_path, tmp_path, change))
    assert not marker.exists()


def arrays_of(inner, key, schema):
    """The name of the array that an attribute is stored in."""
    found = []
    json.loads(json.dumps(schema), object_hook=lambda node: found.append(node.get(key)) or node)
    return next(node["file"] for node in found if isinstance(node, dict) and "file" in node)


@pytest.mark.parametrize(
    "field, value",
    [
        ("left_child", 10**6),
        ("right_child", 0),
        ("left_child", -5),
        ("feature", 10**6),
        ("feature", -3),
    ],
)
def test_trees_whose_indices_point_outside_are_refused(field, value, forest_path, tmp_path):
    def change(schema, inner):
        name = arrays_of(inner, "nodes", schema)
        nodes = np.load(io.BytesIO(inner[name])).copy()
        nodes[field][0] = value
        inner[name] = model_file._from_array(nodes)

    refused(with_model(forest_path, tmp_path, change), "indices outside")


def test_a_tree_wider_than_its_forest_is_refused(forest_path, tmp_path):
    def change(schema, inner):
        schema["content"]["content"]["n_features_in_"]["content"] = "2"

    refused(with_model(forest_path, tmp_path, change))


def test_trees_with_other_outputs_than_they_say_are_refused(forest_path, tmp_path):
    def change(schema, inner):
        def enlarge(node):
            if node.get("__loader__") == "TreeNode":
                node["__reduce__"]["args"]["content"][2]["content"] = "1000000"
            return node

        schema |= json.loads(json.dumps(schema), object_hook=enlarge)

    refused(with_model(forest_path, tmp_path, change), "other outputs")


@pytest.mark.parametrize("key", ["_intercept_", "_dual_coef_", "support_", "_n_support"])
def test_support_vectors_that_do_not_fit_are_refused(key, machine_path, tmp_path):
    def change(schema, inner):
        name = arrays_of(inner, key, schema)
        inner[name] = model_file._from_array(np.load(io.BytesIO(inner[name]))[:1].copy())

    refused(with_model(machine_path, tmp_path, change), "indices outside|altered")


def with_header(path, tmp_path, change):
    """A copy whose header was changed."""
    header = json.loads(members(path)["header.json"])
    change(header["content"])
    return tampered(path, {"header.json": json.dumps(header).encode()}, tmp_path)


def average(content):
    return content["recognizer"]["fits"]["average"]


def stateful(name, **state):
    """A change that gives the average scaler or model other attributes."""
    return lambda content: average(content)[name]["state"].update(state)


MUCH = {"$array": "arrays/0.npy"}  # below an array of 3 dimensions, which broadcasts
HOSTILE_HEADERS = {
    "a scaler with a method": stateful("scaler", transform=1),
    "a scaler that broadcasts": stateful("scaler", mean_=MUCH),
    "a scaler with a path": stateful("scaler", copy="/etc/passwd"),
    "a scaler with a list": stateful("scaler", mean_=[1, 2]),
    "a model with a method": stateful("model", decision_function=None),
    "a model that broadcasts": stateful("model", classes_=MUCH),
    "a model of numbers": lambda content: average(content).update(model=3),
    "a model that is a scaler": lambda content: average(content).update(
        model={"$object": "StandardScaler", "state": {}}
    ),
    "an unknown object": lambda content: average(content)["model"].update({"$object": "os"}),
    "another fit": lambda content: average(content).update(more=MUCH),
    "a temperature that broadcasts": lambda content: average(content).update(temperature=[MUCH, 1]),
    "coverages that broadcast": lambda content: average(content).update(coverages=MUCH),
    "a speaker that broadcasts": lambda content: content["recognizer"].update(voice=[MUCH]),
    "a long sound": lambda content: content["recognizer"]["probe"].update(
        sound={"$array": "arrays/1.npy"}
    ),
    "many clips": lambda content: content["recognizer"]["probe"].update(
        X={"$array": "arrays/2.npy"}
    ),
    "a device as encoder": lambda content: content["recognizer"]["settings"].update(
        features=["encoder:/dev/zero@1"]
    ),
    "a share as encoder": lambda content: content["recognizer"]["settings"].update(
        features=["encoder:\\\\evil\\share\\a.onnx@1"]
    ),
    "a label of two lines": lambda content: content["recognizer"]["settings"].update(
        emotions=["sad\n", "angry", "happy"]
    ),
    "a label that moves the cursor": lambda content: content["recognizer"]["settings"].update(
        emotions=["sad\x1b[2J", "angry", "happy"]
    ),
    "a label from right to left": lambda content: content["recognizer"]["settings"].update(
        emotions=["sad\u202e", "angry", "happy"]
    ),
    "a protocol that moves the cursor": lambda content: content["record"].update(
        protocol="\x1b]0;evil\x07"
    ),
    "a long protocol": lambda content: content["record"].update(protocol="x" * 10**5),
    "a measurement that moves the cursor": lambda content: content["record"].update(
        measured="| a |\n| \x1b[31m |"
    ),
    "a corpus of two lines": lambda content: content["record"].update(corpora={"a\nb": [1, 1]}),
    "a version of two lines": lambda content: content["record"]["versions"].update(numpy="1\n2"),
}


def with_arrays(path, tmp_path, change):
    """A copy whose header was changed and may refer to three more arrays, `arrays/0.npy` to 2."""
    large = [np.zeros((500, 1, 80)), np.zeros(10**6, np.int16), np.zeros((10**3, 80), np.float32)]
    arrays = {f"arrays/{i}.npy": model_file._from_array(x) for i, x in enumerate(large)}
    own = members(path)
    header, card = own.pop("header.json").decode(), own.pop("card.md")
    for old in own:  # to names that are free
        header = header.replace(f'"{old}"', f'"{old.replace("/", "/9")}"')
    content = json.loads(header)
    change(content["content"])
    rest = {"header.json": json.dumps(content).encode(), "card.md": card}
    (tmp_path / "hostile.ser").write_bytes(
        model_file._sealed(arrays | rest | {n.replace("/", "/9"): x for n, x in own.items()})
    )
    return tmp_path / "hostile.ser"


@pytest.mark.parametrize("name", HOSTILE_HEADERS)
def test_hostile_headers_are_refused(name, plain_path, tmp_path):
    refused(
        with_arrays(plain_path, tmp_path, HOSTILE_HEADERS[name]), "refused$|has no such|Unknown|"
    )


def test_more_arrays_than_needed_do_no_harm(plain_path, tmp_path, clips):
    """So the hostile headers are refused for what they say."""
    loaded = load_recognizer(with_arrays(plain_path, tmp_path, lambda content: None))
    assert answers(loaded, clips) == answers(load_recognizer(plain_path), clips)


@pytest.fixture(scope="module")
def plain_path(tmp_path_factory):
    """The file of a discriminant analysis of 80 numbers."""
    path = tmp_path_factory.mktemp("plain") / "plain.ser"
    EmotionRecognizer(EmotionLDA(), normalize=None, **FEW, **BUNDLED).train().save(path)
    return path


def test_cards_show_what_strangers_wrote_as_it_is(few_svc):
    card = model_card(
        few_svc._record()
        | {
            "protocol": "<script>alert(1)</script> [a](http://a.b) ![](x) www.a.b a|b \x1b[2J `c`",
            "corpora": {"<img src=x>": [1, 1]},
            "measured": "| a | b |\n<iframe> [b](javascript:1)",
        }
    )
    for evil in ("<script", "<img", "<iframe", "[a](", "![", "[b](", "http://", "www.a", "\x1b"):
        assert evil not in card
    assert r"&lt;script&gt;alert(1)&lt;/script&gt; \[a\](http&#58;//a.b)" in card
    assert "| a | b |\n&lt;iframe&gt;" in card and r"\\x1b\[2J \`c\` |" in card


def test_a_user_may_trust_a_class_when_saving_and_loading(tmp_path, clips):
    rec = EmotionRecognizer(Unknown(), normalize=None, **FEW, **BUNDLED).train()
    with pytest.raises(ModelFileError, match=r"Unknown.*trusted=\[Unknown\]"):
        rec.save(tmp_path / "own.ser")
    rec.save(tmp_path / "own.ser", trusted=[Unknown])
    with pytest.raises(ModelFileError, match="Unknown"):
        load_recognizer(tmp_path / "own.ser")
    for load in (load_recognizer, EmotionRecognizer.load):
        loaded = load(tmp_path / "own.ser", trusted=[Unknown])
        assert answers(loaded, clips) == answers(rec, clips)


def test_strange_models_are_tried_apart_and_plain_ones_are_not(
    plain_path, machine_path, monkeypatch
):
    tried = []
    monkeypatch.setattr(model_file.estimators, "try_out", tried.append)
    load_recognizer(plain_path)
    load_recognizer(machine_path)
    assert tried[0] == [] and [type(model) for model, _ in tried[1]] == [SVC]


# hostile networks


def with_network(path, tmp_path, change):
    """A copy whose .keras file was changed; `change` gets its members."""
    name = next(name for name in members(path) if name.endswith(".keras"))
    with zipfile.ZipFile(io.BytesIO(members(path)[name])) as archive:
        inner = {own: archive.read(own) for own in archive.namelist()}
    change(inner)
    return tampered(path, {name: model_file.zipped(inner)}, tmp_path)


@pytest.mark.slow
def test_layers_in_a_network_are_never_built(network, network_path, tmp_path, clips):
    """A Lambda layer holds Python code; loading one of our files ignores it."""
    import keras

    marker = tmp_path / "was run"
    code = eval(f"lambda x: (__import__('os').mkdir({str(marker)!r}), x)[1]")
    inputs = keras.Input((3,))
    evil = keras.Model(inputs, keras.layers.Lambda(code, output_shape=(3,))(inputs))
    marker.rmdir() if marker.exists() else None
    data = model_file.network_bytes(evil)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        config = archive.read("config.json")
        weights = archive.read("model.weights.h5")
    assert b"lambda" in config.lower()
    file = with_network(network_path, tmp_path, lambda inner: inner.update({"config.json": config}))
    loaded = load_recognizer(file)
    np.testing.assert_allclose(answers(loaded, clips), answers(network, clips), atol=1e-6)
    evil = {"config.json": config, "model.weights.h5": weights}
    refused(with_network(network_path, tmp_path, lambda inner: inner.update(evil)))
    assert not marker.exists()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["external link", "soft link", "external", "bomb", "damaged"])
def test_weights_that_point_outside_or_are_a_bomb_are_refused(kind, network_path, tmp_path):
    import h5py

    def change(inner):
        file = io.BytesIO(inner["model.weights.h5"])
        with h5py.File(file, "r+") as h5:
            if kind == "external link":
                h5["more"] = h5py.ExternalLink("/etc/hostname", "/")
            elif kind == "soft link":
                h5["more"] = h5py.SoftLink("/layers")
            elif kind == "external":
                h5.create_dataset("more", (10,), "u1", external=[("/etc/hostname", 0, 10)])
            elif kind == "bomb":
                h5.create_dataset("more", (10**12,), "f4", chunks=(10**6,), compression="gzip")
        inner["model.weights.h5"] = file.getvalue()
        if kind == "damaged":
            inner["model.weights.h5"] = inner["model.weights.h5"][:3000]

    refused(with_network(network_path, tmp_path, change))


@pytest.mark.slow
@pytest.mark.parametrize(
    "setting, legal",
    [
        ("rnn_units", 2**14),
        ("dense_units", 2**14),
        ("n_networks", 64),
        ("n_columns_", 2**20),
        ("n_dense_layers", None),
        ("n_networks", None),
    ],
)
def test_networks_larger_than_their_weights_are_refused(setting, legal, network_path, tmp_path):
    """However many there are, if they are small: building a layer takes time."""
    header = json.loads(members(network_path)["header.json"])
    state = header["content"]["recognizer"]["fits"]["average"]["model"]["state"]
    state |= {"n_rnn_layers": 1, setting: legal or 10**6}
    changed = {"header.json": json.dumps(header).encode()}
    match = "fewer weights than its settings need" if legal else f"has {setting}=1000000; refused"
    refused(tampered(network_path, changed, tmp_path), match)


@pytest.mark.slow
def test_a_network_cannot_choose_its_layers(network_path, tmp_path):
    header = members(network_path)["header.json"].replace(b'"cell": "LSTM"', b'"cell": "Lambda"')
    refused(tampered(network_path, {"header.json": header}, tmp_path), "has cell='Lambda'; refused")


@pytest.mark.slow
def test_without_tensorflow_a_network_names_what_it_needs(monkeypatch, network_path):
    def absent():
        raise ModuleNotFoundError("DeepEmotionRecognizer needs TensorFlow")

    monkeypatch.setattr("networks.load_tensorflow", absent)
    with pytest.raises(ModuleNotFoundError, match="needs TensorFlow"):
        load_recognizer(network_path)


# values


def test_values_come_back_as_they_were():
    content = {
        "none": None,
        "yes": True,
        "number": 3,
        "real": 0.1,
        "text": "früh \x00 →",
        "list": [1, [2.5, None]],
        "numpy": np.float64(0.1),
        "labels": np.array(["a", "bcd"]),
        "array": np.arange(6, dtype=np.float32).reshape(2, 3).T,
        "by number": {0.0: "a", 2.0: "b"},
        "frames": np.array([np.zeros((2, 3)), np.ones((1, 3))], dtype=object),
    }
    found = unpack(pack(content, "a card"))
    assert found["numpy"] == 0.1 and found["by number"] == {0.0: "a", 2.0: "b"}
    np.testing.assert_array_equal(found["array"], content["array"])
    assert found["array"].dtype == np.float32
    assert found["labels"].tolist() == ["a", "bcd"]
    assert [len(frames) for frames in found["frames"]] == [2, 1]
    for name in ("none", "yes", "number", "real", "text", "list"):
        assert found[name] == content[name]


def test_the_same_model_gives_the_same_bytes(rec, path, tmp_path):
    rec.save(tmp_path / "again.ser")
    assert (tmp_path / "again.ser").read_bytes() == path.read_bytes()
    assert read(path)["record"]["protocol"] == rec.protocol()
