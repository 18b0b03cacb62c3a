"""EmotionRecognizer from Python, on the bundled recordings; scikit-learn is the oracle."""

import dataclasses
import io
import os
import re
import shutil
import subprocess
import sys
from contextlib import redirect_stdout
from dataclasses import replace
from functools import partial
from html import unescape
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
import soundfile
from conftest import BUNDLED, EMOTIONS, FEW, ODD_ORDER, REPO, bundled_clip
from matplotlib.figure import Figure
from sklearn.base import clone
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import NotFittedError
from sklearn.metrics import (
    balanced_accuracy_score,
    confusion_matrix,
    fbeta_score,
    mean_absolute_error,
)
from sklearn.model_selection import cross_val_score
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from tiny_encoder import write_tiny_encoder

import adaptation
import create_csv
import data_extractor
import emotion_recognition
import tables
import utils
from audio import AudioError, load_audio
from augmentation import SPEEDS, at_speed, in_room, noisy_copy, telephone
from corpora import corpora_options
from create_csv import list_audio
from data_extractor import Split
from deep_emotion_recognition import named_recognizer
from emotion_recognition import EmotionRecognizer, classic, load_recognizer, recommended
from evaluation import evaluate
from features import RECOMMENDED_FEATURES, SPEECH_FEATURES, feature_names
from models import BlockLDA, EmotionLDA
from parameters import CLASSIFIERS, REGRESSORS, SAMPLE_RATE
from predictor import Predictor
from sampling import speaker_folds
from tables import speaker_groups
from training import Training
from utils import get_best_estimators

CLIP = bundled_clip("angry")
QUIET = "ignore::UserWarning:sklearn.neural_network"
"""Few clips are a small batch for a network, and few rounds; that isn't tested here."""


def make_tree(folder, emotions, speakers=("a", "b", "c"), partitions=("train", "test")):
    """A small data folder of own recordings: tones whose pitch says the emotion."""
    rng = np.random.default_rng(0)
    times = np.arange(8000) / 16000
    for partition in partitions:
        (folder / f"{partition}-custom").mkdir(parents=True)
        for speaker in speakers:
            for i, emotion in enumerate(emotions):
                for take in range(3):
                    hz = 200 * (i + 1) + rng.normal(0, 20)
                    y = 0.3 * np.sin(2 * np.pi * hz * times) + rng.normal(0, 0.01, len(times))
                    name = f"{partition}{speaker}_{take}_{emotion}.wav"
                    soundfile.write(folder / f"{partition}-custom" / name, y, 16000)
    return folder


@pytest.fixture
def data(tmp_path):
    """Such a folder, of sad and happy tones."""
    return make_tree(tmp_path / "data", ["sad", "happy"])


def toy(data, model=None, **options):
    """A recognizer of the clips of a folder."""
    defaults = {"emotions": ["sad", "happy"], "data_dir": data, "verbose": 0, "n_jobs": 1, **FEW}
    return EmotionRecognizer(model or SVC(), **defaults | options)


# training and scores


def test_scores_are_those_of_a_plain_scaler_and_estimator(svc):
    oracle = make_pipeline(StandardScaler(), SVC()).fit(svc.X_train, svc.y_train)
    np.testing.assert_allclose(svc.scaler_.mean_, svc.X_train.mean(axis=0), rtol=1e-4, atol=1e-5)
    assert svc.model.__class__ is SVC
    assert svc.test_score() == pytest.approx(oracle.score(svc.X_test, svc.y_test), abs=0.02)
    assert svc.train_score() == pytest.approx(oracle.score(svc.X_train, svc.y_train), abs=0.02)
    assert svc.train_score() > svc.test_score() > 1 / 3


def test_the_models_stay_as_the_user_made_them():
    model = KNeighborsClassifier()
    first = EmotionRecognizer(model, emotions=ODD_ORDER, **FEW, **BUNDLED).train()
    score = first.test_score()
    EmotionRecognizer(model, emotions=["calm", "fear"], **FEW, **BUNDLED).train()
    assert not hasattr(model, "classes_")
    assert first.test_score() == score


def test_the_same_seed_gives_the_same_numbers_and_another_one_others(forest):
    def scores(seed):
        model = RandomForestClassifier(n_estimators=5)
        rec = forest.untrained(model=model, random_state=seed).train()
        return rec.test_score(), rec.model.predict_proba(rec.X_test).tolist()

    assert scores(0) == scores(0)
    assert scores(0) != scores(1)


def test_training_shows_its_progress_unless_it_is_told_to_be_quiet(few_svc, capfd, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    few_svc.untrained(verbose=1).train()
    out, err = capfd.readouterr()
    assert "[+] SVC trained on 63 clips" in out and "Training" in err
    few_svc.untrained(verbose=0).train()
    assert capfd.readouterr() == ("", "")


def test_balance_is_per_partition():
    with_all = EmotionRecognizer(SVC(), emotions=ODD_ORDER, balance=False, **FEW, **BUNDLED)
    table = with_all.get_samples_by_class()
    for part, folder in (("train", "train-custom"), ("test", "test-custom")):
        names = [path.stem for path in list_audio(REPO / "data" / folder)]
        counts = [sum(name.endswith(f"_{e}") for name in names) for e in ODD_ORDER]
        assert table[part].tolist() == [*counts, sum(counts)]
    balanced = EmotionRecognizer(SVC(), emotions=ODD_ORDER, **FEW, **BUNDLED).get_samples_by_class()
    for part in ("train", "test"):
        assert set(balanced.loc[ODD_ORDER, part]) == {table.loc[ODD_ORDER, part].min()}


def test_samples_by_class_as_in_the_readme(svc):
    table = svc.get_samples_by_class()
    assert table.columns.tolist() == ["train", "test", "total"]
    assert table.index.tolist() == [*ODD_ORDER, "total"]
    assert (table["train"] + table["test"] == table["total"]).all()
    assert (table.loc[ODD_ORDER].sum() == table.loc["total"]).all()
    assert svc.get_n_samples("happy", "test") == table.loc["happy", "test"]


def test_random_emotion_points_to_a_clip_of_that_emotion(svc):
    drawn = {svc.get_random_emotion("angry", "test") for _ in range(30)}
    assert len(drawn) > 1
    assert {svc.y_test[i] for i in drawn} == {"angry"}
    assert {svc.test_rows_["emotion"][i] for i in drawn} == {"angry"}
    with pytest.raises(ValueError, match=r"sad, angry, happy.*Did you mean 'angry'"):
        svc.get_random_emotion("angr")
    with pytest.raises(ValueError, match="train, test"):
        svc.get_random_emotion("angry", "validation")


def test_confusion_matrix_against_sklearn(svc):
    truth = confusion_matrix(svc.y_test, svc.predictor_.predict(svc.X_test), labels=ODD_ORDER)
    np.testing.assert_array_equal(svc.confusion_matrix(percentage=False, labeled=False), truth)
    table = svc.confusion_matrix()
    assert table.index.tolist() == ["true_sad", "true_angry", "true_happy"]
    assert table.columns.tolist() == ["predicted_sad", "predicted_angry", "predicted_happy"]
    np.testing.assert_allclose(table, 100 * truth / truth.sum(axis=1, keepdims=True))


def test_drawn_confusion_matrix_says_what_it_shows(svc):
    given = Figure().subplots()
    for ax in (svc.draw_confusion_matrix(), svc.draw_confusion_matrix(percentage=False, ax=given)):
        assert [t.get_text() for t in ax.get_yticklabels()] == ODD_ORDER
        assert ax.get_xlabel() == "predicted emotion" and ax.get_ylabel() == "true emotion"
    assert ax is given and "clips" in ax.get_title()
    numbers = [int(text.get_text()) for text in ax.texts]
    assert numbers == svc.confusion_matrix(percentage=False, labeled=False).ravel().tolist()


def test_fbeta_scores_against_sklearn(svc):
    predicted = svc.predictor_.predict(svc.X_test)
    expected = fbeta_score(svc.y_test, predicted, beta=0.5, average="macro")
    assert svc.test_fbeta_score(0.5) == pytest.approx(expected)
    assert svc.train_fbeta_score(0.5) >= svc.test_fbeta_score(0.5)


def test_grid_search_keeps_speakers_apart_and_returns_the_best():
    search = EmotionRecognizer(KNeighborsClassifier(), emotions=ODD_ORDER, **BUNDLED)
    estimator, params, score = search.grid_search({"n_neighbors": [1, 9, 40]}, n_jobs=1)
    assert params["n_neighbors"] == estimator.n_neighbors != 40  # nearly all of them
    assert 1 / 3 < score <= 1
    groups = speaker_groups(search.train_rows_)
    for train, test in search._folds():
        assert not set(groups[train]) & set(groups[test])
    with pytest.raises(ValueError, match="n_neighbours"):
        search.grid_search({"n_neighbours": [1]})


def test_fit_learns_these_clips_and_no_others(few_svc):
    rows = few_svc.clips()
    assert not rows["path"].duplicated().any()
    assert set(rows["partition"]) == {"train", "test"}
    assert set(rows["emotion"]) == set(ODD_ORDER)
    some = rows[rows["speaker"].isin(sorted(set(rows["speaker"]))[:4])]
    fresh = few_svc.untrained(balance=False).fit(some)
    assert sorted(fresh.train_rows_["path"]) == sorted(some["path"])
    oracle = make_pipeline(StandardScaler(), SVC()).fit(fresh.X_train, fresh.y_train)
    others = rows[~rows["path"].isin(some["path"])]["path"].tolist()
    X = np.concatenate([fresh.predictor_.features(load_audio(path)) for path in others])
    assert fresh.predict(others) == oracle.predict(X).tolist()
    counts = few_svc.untrained(balance=True).fit(some).train_rows_["emotion"].value_counts()
    assert counts.nunique() == 1


def test_after_fit_there_is_no_test_part_and_train_learns_from_the_corpora(few_svc):
    rows = few_svc.clips()
    rec = few_svc.untrained().fit(rows[rows["partition"] == "test"])
    assert rec.get_n_samples("sad", "test") == 0 and 0 <= rec.train_score() <= 1
    assert rec.protocol() == "trained on 24 clips; no clips were kept back"
    scores = rec.test_score, rec.scores, lambda: rec.test_fbeta_score(1)
    for ask in (*scores, rec.confusion_matrix, rec.draw_confusion_matrix):
        with pytest.raises(ValueError, match=r"no test part, as fit\(rows\).*evaluate\(\)"):
            ask()
    with pytest.raises(ValueError, match=r'no test part to choose by; by="cv"'):
        rec.determine_best_model(by="test")
    rec.train()
    assert rec.train_rows_["path"].tolist() == few_svc.train_rows_["path"].tolist()
    assert (rec.test_score(), rec.protocol()) == (few_svc.test_score(), few_svc.protocol())


def test_a_protocol_names_the_clips_that_were_trained_on(few_svc):
    rec = few_svc.untrained().fit(few_svc.clips()).load_data()
    assert "trained on 87 clips" in rec.protocol() and "none of them" not in rec.protocol()
    assert len(rec.train_rows_) == 63 and rec.test_score() > few_svc.test_score()
    assert rec.train().protocol() == few_svc.protocol()


def test_untrained_keeps_every_setting(svc):
    changed = EmotionRecognizer(
        KNeighborsClassifier(3),
        features=["quality"],
        functionals=["mean", "p95"],
        balance=False,
        normalize=None,
        random_state=7,
        emotions=ODD_ORDER,
        **BUNDLED,
    )
    copy = changed.untrained(random_state=8)
    assert copy.model.n_neighbors == 3 and copy.model is not changed.model
    assert (copy.features, copy.functionals) == (["quality"], ["mean", "p95"])
    assert (copy.balance, copy.normalize, copy.random_state) == (False, None, 8)
    assert svc.untrained().predictor_ is None


def test_an_encoder_is_added_replaced_or_left_out(tmp_path):
    tiny = write_tiny_encoder(tmp_path / "tiny.onnx")
    plain = EmotionRecognizer(SVC(), **BUNDLED)
    assert plain.features == [*RECOMMENDED_FEATURES] and plain.encoder == "whisper-base"
    for make in (partial(EmotionRecognizer, SVC()), recommended, plain.untrained):
        for encoder, name in ((None, None), (tiny, tiny), ("whisper-base@3,2", "whisper-base")):
            rec = make(encoder=encoder, **BUNDLED)
            own = [] if name is None else [f"encoder:{name}" if name == tiny else "encoder"]
            assert rec.features == [*SPEECH_FEATURES, *own] and rec.encoder == name
            assert rec.untrained().features == rec.features
    mel = plain.untrained(features=["mel"])  # the encoder goes with the features
    assert mel.features == ["mel"] and mel.encoder is None
    assert mel.untrained(encoder=tiny).features == ["mel", f"encoder:{tiny}"]
    with pytest.raises(AttributeError):
        mel.encoder = tiny  # features and model say what is extracted


def test_the_blocks_of_the_model_are_those_of_the_features():
    rec = recommended(noisy=1, **BUNDLED)
    n_speech = len(feature_names(SPEECH_FEATURES))
    assert rec.model.blocks == (n_speech, 2048, 2048) and rec.model.n_components == 800
    assert rec.untrained().model.blocks == (n_speech, 2048, 2048)
    assert rec.untrained(encoder="whisper-base@3").model.blocks == (n_speech, 1024, 1024)
    assert rec.untrained(features=["mel", "encoder"]).model.blocks == (128, 2048, 2048)
    means = rec.untrained(features=["encoder", "mel"], functionals=["mean"])
    assert means.model.blocks == (128, 1024, 1024)
    without = rec.untrained(encoder=None, noisy=0)
    assert without.model.blocks == (n_speech,) and rec.model.blocks == (n_speech, 2048, 2048)
    assert without.train().test_score() > 0.5
    assert rec.untrained(encoder=None, model=SVC()).model.__class__ is SVC
    assert recommended(features=["encoder"], **BUNDLED).model.blocks == (2048, 2048)
    assert recommended(features=["mel"], **BUNDLED).model.__class__ is EmotionLDA


def test_another_encoder_is_learned_from_and_saved(tmp_path):
    tiny = write_tiny_encoder(tmp_path / "tiny.onnx")
    options = {"features": ["prosody"], "encoder": f"{tiny}@0,1", "emotions": ODD_ORDER}
    rec = recommended(**options, **BUNDLED).train()
    assert rec.X_train.shape[1] == len(feature_names(rec.features))
    assert "prosody, encoder:" in rec.card() and rec.test_score() > 0.5
    rec.save(tmp_path / "model.ser")
    loaded = load_recognizer(tmp_path / "model.ser")
    assert loaded.encoder == f"{tiny}@0,1" and loaded.predict_proba(CLIP) == rec.predict_proba(CLIP)


def test_former_names_still_work(few_svc):
    copies = {"voices": 1, "degraded": 2}
    for rec in (
        recommended(**copies, **BUNDLED),
        classic(**copies, **BUNDLED),
        EmotionRecognizer(SVC(), **copies, **BUNDLED),
        few_svc.untrained(**copies),
    ):
        assert (rec.speeds, rec.noisy) == (1, 2)
    expected = recommended(speeds=1, noisy=2, **BUNDLED).model.get_params()
    assert recommended(**copies, **BUNDLED).model.get_params() == expected
    found, expected = few_svc.calibrate([CLIP]), few_svc.adapt([CLIP])
    assert found.predict_proba(CLIP) == expected.predict_proba(CLIP)


# predicting; what roads lead to the same answer is in test_predictor.py


def test_predict_takes_a_path_a_list_an_array_a_file(svc, bundled_clips):
    expected = svc.predict(CLIP)
    assert expected in ODD_ORDER and type(expected) is str
    y, sr = soundfile.read(CLIP)
    assert svc.predict(y, sr=sr) == expected
    assert svc.predict(np.stack([y, y], axis=1), sr=sr) == expected
    with Path(CLIP).open("rb") as file:
        assert svc.predict(file) == expected
    clips = bundled_clips[:40]
    assert svc.predict(clips) == [svc.predict(path) for path in clips]
    assert svc.predict([y, y], sr=sr) == [expected, expected]
    assert svc.predict([]) == svc.predict_proba([]) == []
    for path, probabilities in zip(clips[:2], svc.predict_proba(clips[:2]), strict=True):
        assert probabilities == pytest.approx(svc.predict_proba(path), abs=1e-6)


def test_predicting_what_cant_be_read_is_an_error(svc, tmp_path):
    broken = tmp_path / "broken.wav"
    broken.write_text("no sound")
    with pytest.raises(AudioError):
        svc.predict(str(broken))
    with pytest.raises(AudioError):
        svc.predict([CLIP, str(broken)])
    with pytest.raises(ValueError, match="rate"):
        svc.predict(load_audio(CLIP))


def test_before_training_the_error_says_what_to_do():
    untrained = EmotionRecognizer(SVC(), **FEW, **BUNDLED)
    for ask in (
        lambda: untrained.predict(CLIP),
        lambda: untrained.predict_timeline(CLIP),
        lambda: untrained.explain(CLIP),
        lambda: untrained.scaler_,
        untrained.test_score,
        untrained.confusion_matrix,
    ):
        with pytest.raises(NotFittedError, match=r"train\(\)"):
            ask()


@pytest.mark.filterwarnings(QUIET)
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_each_probability_is_that_of_its_own_class(name):
    model = next(m for m, _, _ in get_best_estimators() if m.__class__.__name__ == name)
    if "n_estimators" in model.get_params():
        model.set_params(n_estimators=10)
    this = EmotionRecognizer(model, emotions=ODD_ORDER, **FEW, **BUNDLED).train()
    probabilities = this.predict_proba(CLIP)
    assert list(probabilities) == ODD_ORDER
    assert sum(probabilities.values()) == pytest.approx(1)
    assert max(probabilities, key=probabilities.get) == this.predict(CLIP)
    if hasattr(model, "predict_proba"):
        oracle = make_pipeline(StandardScaler(), clone(this.model)).fit(this.X_train, this.y_train)
        row = oracle.predict_proba(this.predictor_.features(load_audio(CLIP)))[0]
        theirs = dict(zip(oracle.classes_, np.log(np.maximum(row, 1e-3)), strict=True))
        theirs = np.array([theirs[e] for e in ODD_ORDER])
        ours = np.log(list(probabilities.values()))
        theirs, ours = theirs - theirs.mean(), ours - ours.mean()
        temperature = theirs @ theirs / (theirs @ ours)
        assert temperature > 0
        np.testing.assert_allclose(ours * temperature, theirs, atol=1e-4)


def test_svc_probabilities_agree_with_its_labels_and_are_not_overconfident(svc):
    clips = svc.test_rows_["path"].tolist()
    probabilities = svc.predict_proba(clips)
    assert [max(p, key=p.get) for p in probabilities] == svc.predict(clips)
    truth = [p[e] for p, e in zip(probabilities, svc.test_rows_["emotion"], strict=True)]
    assert -np.log(truth).mean() < np.log(3)  # better than a third for each


def test_two_emotions_have_probabilities_too():
    two = EmotionRecognizer(SVC(), emotions=["sad", "angry"], **FEW, **BUNDLED).train()
    probabilities = two.predict_proba(CLIP)
    assert list(probabilities) == ["sad", "angry"]
    assert max(probabilities, key=probabilities.get) == two.predict(CLIP)


# regression


@pytest.mark.parametrize(
    "scale",
    [
        {"sad": 0, "neutral": 1, "happy": 2},
        {"angry": 1, "sad": 2, "neutral": 3, "ps": 4, "happy": 5},
    ],
)
def test_regression_scales(scale):
    model, options = KNeighborsRegressor(), BUNDLED | FEW | {"classification": False}
    rec = EmotionRecognizer(model, emotions=list(scale), **options).train()
    assert rec.y_train.tolist() == [scale[e] for e in rec.train_rows_["emotion"]]
    oracle = make_pipeline(StandardScaler(), KNeighborsRegressor()).fit(rec.X_train, rec.y_train)
    expected = mean_absolute_error(rec.y_test, oracle.predict(rec.X_test))
    assert rec.test_score() == pytest.approx(expected, rel=1e-4)
    value = rec.predict(CLIP)
    assert type(value) is float and min(scale.values()) <= value <= max(scale.values())
    assert rec.predict([CLIP, CLIP]) == [value, value]
    assert rec.scores()["mae"] == pytest.approx(rec.test_score())
    for ask in (lambda: rec.predict_proba(CLIP), rec.confusion_matrix):
        with pytest.raises(ValueError, match=r"regress|classification"):
            ask()


def test_regression_on_other_emotions_raises():
    with pytest.raises(ValueError, match="'angry', 'sad', 'neutral', 'ps', 'happy'"):
        EmotionRecognizer(
            KNeighborsRegressor(), emotions=["sad", "fear"], classification=False, **BUNDLED
        )


def test_tuning_a_regressor_looks_for_the_lowest_error():
    rec = EmotionRecognizer(KNeighborsRegressor(), classification=False, **FEW, **BUNDLED)
    counts = [1, 15, 40]
    errors = {n: rec.grid_search({"n_neighbors": [n]}, n_jobs=1)[2] for n in counts}
    _, params, error = rec.grid_search({"n_neighbors": counts}, n_jobs=1)
    assert error == min(errors.values()) < max(errors.values())
    assert params["n_neighbors"] == min(errors, key=errors.get)


# choosing a model


def chosen(classification):
    """A recognizer that has chosen its model, and what it printed."""
    options = BUNDLED | FEW | {"verbose": 1, "classification": classification}
    with redirect_stdout(io.StringIO()) as out:
        return EmotionRecognizer(**options), out.getvalue()


@pytest.fixture(scope="module")
def best():
    return chosen(True)


@pytest.mark.filterwarnings(QUIET)
def test_without_a_model_the_best_one_is_determined(best):
    rec, printed = best
    name, values = rec.model.__class__.__name__, rec.comparison_["uar"]
    assert rec.comparison_["name"][0] == name
    pattern = rf"^\[\+\] Best model determined: {name} with (\d+\.\d{{3}})% test accuracy$"
    found = re.search(pattern, printed, re.MULTILINE)
    assert float(found[1]) == pytest.approx(100 * rec.test_score(), abs=1e-3)
    assert set(rec.comparison_["name"]) == {*CLASSIFIERS, "EmotionLDA"}
    assert values[0] == values.max() > values.min()


@pytest.mark.filterwarnings(QUIET)
def test_without_a_model_the_best_regressor_is_determined():
    rec, printed = chosen(False)
    name, values = rec.model.__class__.__name__, rec.comparison_["error"]
    assert rec.comparison_["name"][0] == name
    assert re.search(rf"Best model determined: {name} with \d\.\d+ mean absolute", printed)
    assert set(rec.comparison_["name"]) == {*REGRESSORS, "Ridge"}
    assert values[0] == values.min() < values.max()


def test_candidates_are_compared_as_scikit_learn_does(best):
    rec, _ = best
    groups = speaker_groups(rec.train_rows_)
    folds = speaker_folds(rec.y_train, groups, random_state=rec.random_state)
    for _, row in rec.comparison_.iterrows():
        if row["name"] in ("SVC", "EmotionLDA", "KNeighborsClassifier"):
            pipeline = make_pipeline(StandardScaler(), row["model"])
            scores = cross_val_score(
                pipeline, rec.X_train, rec.y_train, cv=folds, scoring="balanced_accuracy"
            )
            assert (row["uar"], row["std"]) == pytest.approx((scores.mean(), scores.std()))


class Guessing(DummyClassifier):
    """Guesses, and keeps how many clips it was given."""

    fitted: ClassVar[list] = []

    def fit(self, X, y):
        self.fitted.append(len(X))
        return super().fit(X, y)


def test_of_many_clips_only_the_best_of_a_trial_learn_all(few_svc, candidates, monkeypatch):
    candidates(Guessing(), SVC(), KNeighborsClassifier())
    monkeypatch.setattr(emotion_recognition, "TRIAL", 20)
    monkeypatch.setattr(emotion_recognition, "FINALISTS", 3)
    rec = few_svc.untrained(n_jobs=1).load_data()
    rec.determine_best_model()
    table = rec.comparison_.set_index("name")
    folds = speaker_folds(rec.y_train, speaker_groups(rec.train_rows_), random_state=0)
    assert Guessing.fitted == [20]
    assert table.loc["Guessing", "folds"] == 0 and np.isnan(table.loc["Guessing", "std"])
    assert table.index[-1] == "Guessing" and set(table["folds"][:-1]) == {len(folds)}
    pipeline = make_pipeline(StandardScaler(), SVC())
    scores = cross_val_score(
        pipeline, rec.X_train, rec.y_train, cv=folds, scoring="balanced_accuracy"
    )
    assert table.loc["SVC", "uar"] == pytest.approx(scores.mean())


class Broken(SVC):
    """Can't be fitted."""

    def fit(self, X, y):
        raise RuntimeError("broken")


@pytest.fixture
def candidates(monkeypatch):
    """The tuned models that there are: two, or what a test says."""

    def tuned(*models):
        results = [(model, {}, 0.5) for model in models]
        monkeypatch.setattr(utils, "get_best_estimators", lambda *_: results)

    tuned(SVC(), KNeighborsClassifier())
    return tuned


def test_choosing_by_the_test_part_warns(few_svc, candidates):
    rec = few_svc.untrained().load_data()
    with pytest.warns(UserWarning, match="nothing about new recordings"):
        rec.determine_best_model(by="test")
    assert len(rec.comparison_) == 3
    assert rec.comparison_["uar"][0] == pytest.approx(
        balanced_accuracy_score(rec.y_test, rec.predictor_.predict(rec.X_test))
    )
    with pytest.raises(ValueError, match="Unknown by 'train'"):
        rec.determine_best_model(by="train")


def test_choosing_after_fit_is_among_models_of_those_clips(few_svc, candidates):
    rows = few_svc.clips()
    rec = few_svc.untrained().fit(rows[rows["partition"] == "test"])
    n_clips = len(rec.y_train)
    rec.determine_best_model()
    assert rec.X_test is None and len(rec.y_train) == n_clips and len(rec.comparison_) == 3
    assert type(rec.model).__name__ == rec.comparison_["name"][0]


def test_an_error_in_choosing_leaves_all_as_it_was(few_svc, candidates, capsys):
    candidates(Broken())
    rec = few_svc.untrained(verbose=1).train()
    predictor = rec.predictor_
    with pytest.raises(RuntimeError, match="broken"):
        rec.determine_best_model()
    assert rec.verbose == 1 and rec.predictor_ is predictor and rec.comparison_ is None
    assert rec.model is predictor.fitted.model and rec.predict(CLIP) in ODD_ORDER


# corpora


def test_absent_corpora_are_skipped_with_one_line_unless_asked_for(data, capsys):
    toy(data, verbose=1).train()
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("[!]")]
    assert len(lines) == 2
    assert "zenodo.org" in lines[0] and "emodb.bilderbar.info" in lines[1]
    for wish in (
        {"emodb": True},
        {"tess_ravdess": True},
        {"tess_ravdess": "tess"},
        {"corpora": ["emodb"]},
        {"corpora": ["custom", "ravdess"]},
    ):
        with pytest.raises(FileNotFoundError, match="get "):
            toy(data, **wish).load_data()
    with pytest.raises(FileNotFoundError, match="No recordings"):
        toy(data, custom_db=False).load_data()
    with pytest.raises(ValueError, match=r"'tes'.*ravdess, tess"):
        toy(data, tess_ravdess="tes")
    with pytest.raises(ValueError, match=r"'emobd'.*ravdess, tess, emodb, custom.*'emodb'"):
        toy(data, corpora=["emobd"])
    with pytest.raises(ValueError, match="not both"):
        toy(data, corpora=["custom"], emodb=False)
    assert capsys.readouterr().out == ""


def test_corpora_by_their_names_are_those_of_the_older_options(few_svc):
    older = few_svc.untrained(tess_ravdess=False, emodb=False, custom_db=True).train()
    newer = few_svc.untrained(corpora=["custom"], tess_ravdess=None, emodb=None).train()
    pd.testing.assert_frame_equal(newer.clips(), older.clips())
    for name in ("train_rows_", "test_rows_"):
        pd.testing.assert_frame_equal(getattr(newer, name), getattr(older, name))
    np.testing.assert_array_equal(newer.X_train, older.X_train)
    assert newer.predict_proba(CLIP) == older.predict_proba(CLIP)
    words = "will learn from custom>"
    assert repr(newer.untrained()).endswith(words) and repr(older.untrained()).endswith(words)


def test_recognizers_dont_disturb_each_others_desc_files(tmp_path):
    data = make_tree(tmp_path / "data", ["sad", "happy", "angry"])
    first = toy(data, emotions=["sad", "happy"])
    second = toy(data, emotions=["angry", "sad"])
    second.load_data()
    first.load_data()
    assert set(first.y_train) == {"sad", "happy"} and set(second.y_train) == {"angry", "sad"}
    kept = toy(data, emotions=["happy", "angry"], override_csv=False).load_data()
    assert set(kept.y_train) == {"happy", "angry"}
    assert len(first.y_train) == len(second.y_train) == len(kept.y_train) == 18


def test_edited_desc_files_are_kept_if_wished(data, capsys):
    toy(data, balance=False).load_data()
    desc_file = data / "train_custom.csv"
    desc_file.write_text("\n".join(desc_file.read_text().splitlines()[:-2]) + "\n")
    edited = desc_file.read_bytes()
    assert len(toy(data, balance=False, override_csv=False).load_data().y_train) == 16
    assert desc_file.read_bytes() == edited
    assert len(toy(data, balance=False).load_data().y_train) == 18
    assert desc_file.read_bytes() != edited
    assert capsys.readouterr().out == ""


def test_desc_files_are_left_for_users_and_never_read_back(data, monkeypatch):
    def forbidden(*_, **__):
        raise AssertionError("what was just written is read back")

    for module in (tables, create_csv, data_extractor):
        monkeypatch.setattr(module, "read_desc_file", forbidden)
    rec = toy(data, balance=False).train()
    monkeypatch.undo()
    for part, rows in (("train", rec.train_rows_), ("test", rec.test_rows_)):
        left = tables.read_desc_file(data / f"{part}_custom.csv")
        columns = ["path", "emotion", "speaker", "corpus"]
        found, expected = (table[columns].sort_values("path") for table in (rows, left))
        assert found.to_numpy().tolist() == expected.to_numpy().tolist()


def test_a_folder_that_takes_no_desc_files_is_no_error(data):
    for part in ("train", "test"):
        (data / f"{part}_custom.csv").mkdir()  # root can write anywhere else
    before = set(data.iterdir())
    rec = toy(data).train()
    assert set(data.iterdir()) == before and not list((data / "train_custom.csv").iterdir())
    assert rec.test_score() > 0.6


def test_an_evaluation_writes_no_desc_files(data):
    before = set(data.iterdir())
    result = evaluate(toy(data), "group-3", verbose=0)
    assert len(result.clips) == 36
    assert set(data.iterdir()) == before


def test_own_emotions_and_names_with_folders(tmp_path):
    data = make_tree(tmp_path / "data", ["rude", "neutral"])
    rec = toy(
        data,
        emotions=["rude", "neutral"],
        custom_db_name=str(tmp_path / "elsewhere" / "mine.csv"),
        features=["spectrum", "prosody"],
        functionals=None,
    ).train()
    assert (tmp_path / "elsewhere" / "train_mine.csv").is_file()
    assert not list(data.glob("*.csv"))
    assert rec.test_score() > 0.6  # chance is 0.5
    paths = rec.test_rows_["path"].tolist()  # of tones, not of speech
    assert set(rec.predict(paths, check_speech=False)) == {"rude", "neutral"}
    with pytest.raises(ValueError, match=r"'rud'.*rude"):
        EmotionRecognizer(SVC(), emotions=["rud", "neutral"], data_dir=data)


def test_clips_of_one_speaker_are_enough_to_predict_but_not_to_tune(tmp_path):
    rec = toy(make_tree(tmp_path / "data", ["sad", "happy"], speakers=["a"])).train()
    probabilities = rec.predict_proba(rec.test_rows_["path"][0], check_speech=False)
    assert sum(probabilities.values()) == pytest.approx(1)
    assert rec.scores()["uar_low"] is None
    with pytest.raises(ValueError, match="another speaker"):
        rec.grid_search({"C": [1, 10]})


def test_the_data_folder_may_be_named_by_the_environment(data, tmp_path, monkeypatch):
    monkeypatch.setenv("SER_DATA_DIR", str(data))
    monkeypatch.chdir(tmp_path)
    rec = toy(None).load_data()
    assert all(path.startswith(str(data)) for path in rec.train_rows_["path"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"emotions": ["hapy", "sad"]}, r"'hapy'.*neutral, calm.*Did you mean 'happy'"),
        ({"emotions": ["sad", "sad"]}, "distinct names"),
        ({"emotions": ["sad"]}, "at least two"),
        ({"emotions": "sad"}, r"\['sad'\]"),
        ({"features": ["mfc"]}, r"'mfc'.*mfcc, chroma, mel, contrast, tonnetz.*Did you mean"),
        ({"features": []}, "No feature given"),
        ({"features": ["encoder"], "encoder": None}, "No feature given"),
        ({"encoder": "wavlm"}, "Unknown encoder 'wavlm'; choose from whisper-base, the path"),
        ({"features": ["encoder", "encoder:hf:a/b"]}, "one encoder, not encoder, encoder:hf:a/b"),
        ({"functionals": ["men"]}, r"'men'.*Did you mean 'mean'"),
        ({"normalize": "voice"}, "normalize 'voice'"),
    ],
)
def test_wrong_names_raise_at_once(options, message):
    with pytest.raises(ValueError, match=message):
        EmotionRecognizer(SVC(), **BUNDLED, **options)


@pytest.mark.parametrize("make", [EmotionRecognizer, recommended, classic])
def test_an_unknown_keyword_raises_at_once(make):
    with pytest.raises(TypeError, match="Did you mean 'emotions'"):
        make(model=SVC(), emotion=["sad", "happy"])


def test_verbose_0_prints_nothing(capfd):
    rec = EmotionRecognizer(SVC(), emotions=["fear", "calm"], **BUNDLED).train()
    rec.predict_proba(CLIP)
    rec.predict_timeline(CLIP)
    rec.explain(CLIP)
    assert capfd.readouterr() == ("", "")


def test_corpora_options_are_settings_of_a_recognizer():
    asked = EmotionRecognizer(SVC(), **corpora_options(["ravdess", "tess", "custom"]))
    assert "will learn from ravdess, tess, custom>" in repr(asked)
    with pytest.raises(ValueError, match="Did you mean 'emodb'"):
        corpora_options(["emodbb"])


@pytest.mark.slow
def test_real_corpora_are_told_apart(real_data, tmp_path):
    for name in ("emodb", "training", "validation"):  # others may be there, and would be taken
        (tmp_path / name).symlink_to((real_data / name).resolve(), target_is_directory=True)
    rec = EmotionRecognizer(
        SVC(), data_dir=tmp_path, tess_ravdess="ravdess", custom_db=False, verbose=0
    ).train()
    assert set(rec.train_rows_["corpus"]) == {"emodb", "ravdess"}
    emodb = rec.test_rows_[rec.test_rows_["corpus"] == "emodb"]
    assert set(emodb["speaker"]) == {"15", "16"}
    assert "none of them in training" in rec.protocol()
    assert rec.scores()["uar"] > 0.5  # chance is 0.33
    pd.testing.assert_frame_equal(
        rec.untrained(corpora=["ravdess", "emodb"], tess_ravdess=None, custom_db=None).clips(),
        rec.clips(),
    )


@pytest.mark.slow
def test_a_notebook_elsewhere_finds_the_bundled_data(tmp_path):
    code = (
        f"import sys; sys.path.insert(0, {str(REPO)!r})\n"
        "from sklearn.svm import SVC\n"
        "from emotion_recognition import EmotionRecognizer\n"
        "rec = EmotionRecognizer(SVC(), tess_ravdess=False, emodb=False, verbose=0, n_jobs=1,\n"
        "                        features=['mfcc'], functionals=['mean']).train()\n"
        "print(rec.protocol())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={"PATH": os.environ["PATH"], "SER_CACHE_DIR": str(tmp_path / "cache")},
    )
    assert "standard split of custom" in done.stdout, done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["cache"]


# what notebooks show


def text_of(html):
    """What a notebook shows of HTML: str, without the tags."""
    return unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", html)))


def shown(rec):
    """What a shell and a notebook show of a recognizer, which has to be the same."""
    html = text_of(rec._repr_html_())
    for part in repr(rec).strip("<>").partition(" of ")[2].split("; ")[1:]:
        assert part in html
    return repr(rec)


@pytest.fixture
def idle(monkeypatch):
    """Nothing can be read, fitted or predicted."""

    def forbidden(*_, **__):
        raise AssertionError("showing a recognizer works")

    for name in ("load_data", "_read", "_rows", "_fitted", "features_of", "_predicted", "_record"):
        assert hasattr(EmotionRecognizer, name)
        monkeypatch.setattr(EmotionRecognizer, name, forbidden)
    for name in ("features", "scores", "probabilities", "novelty"):
        monkeypatch.setattr(Predictor, name, forbidden)


def test_an_untrained_recognizer_says_what_it_would_learn_from(idle):
    rec = EmotionRecognizer(SVC(C=3), emotions=ODD_ORDER, **BUNDLED)
    assert shown(rec) == (
        "<EmotionRecognizer of sad, angry, happy: SVC; not trained, will learn from custom, if in "
        "the data folder>"
    )
    assert "model SVC(C=3) features spectrum, prosody" in text_of(rec._repr_html_())
    asked = EmotionRecognizer(SVC(), emodb=True, custom_db=False, tess_ravdess="tess")
    assert shown(asked).endswith("not trained, will learn from tess, emodb>")


def test_a_trained_recognizer_shows_a_score_once_it_is_known(svc):
    rec = svc.untrained().train()
    trained = "SVC; trained on 63 clips of 7 speakers of custom"
    assert shown(rec) == f"<EmotionRecognizer of sad, angry, happy: {trained}>"
    score = rec.scores()
    known = f"UAR {score['uar']:.3f} ({score['uar_low']:.3f} to {score['uar_high']:.3f}), accuracy "
    assert known in shown(rec) and shown(rec).endswith(f"; {rec.protocol()}>")
    assert known not in shown(rec.train()) and rec.scores() == score
    assert known not in shown(rec.load_data())


def test_an_adapted_recognizer_says_so(few_svc, request):
    few_svc.scores()
    adapted = few_svc.adapt([CLIP])
    request.getfixturevalue("idle")
    assert "; adapted to one speaker by 1 recording: " in shown(adapted)
    assert " changed; before adaptation UAR 0." in shown(adapted)
    assert "adapt" not in shown(few_svc) and few_svc.adaptation_ is None


def test_a_loaded_recognizer_shows_what_its_file_says(few_svc, bundled, tmp_path, request):
    loaded = load_recognizer(few_svc.save(tmp_path / "own.ser") and tmp_path / "own.ser")
    request.getfixturevalue("idle")
    assert "; trained on 63 clips of 7 speakers of custom; UAR 0." in shown(loaded)
    assert shown(loaded).endswith("; " + loaded.record_["protocol"] + ">")
    assert "1 speaker of tess, 550 clips of 6 speakers of turev; UAR 0." in shown(bundled)


def test_a_regressor_shows_its_scale_and_its_error():
    model, options = KNeighborsRegressor(), BUNDLED | FEW | {"classification": False}
    rec = EmotionRecognizer(model, **options).train()
    assert rec.score_["mae"] == pytest.approx(rec.test_score())
    assert shown(rec).endswith("trained on 63 clips of 7 speakers of custom>")
    assert rec._test_scores()["mae_high"] and "; MAE 0." in shown(rec) and ", CCC 0." in shown(rec)
    assert shown(rec).startswith("<EmotionRecognizer of sad 0, neutral 1, happy 2: KNeighborsRegr")


def test_words_of_the_user_are_escaped(tmp_path):
    rec = toy(make_tree(tmp_path, ["<b>", "sad"]), emotions=["<b>", "sad"])
    assert "&lt;b&gt;, sad" in rec._repr_html_() and "<b>" not in rec._repr_html_()


# adaptation to a speaker


def speakers(folder, n_speakers):
    """Own recordings whose pitch says the emotion, but differs more from speaker to speaker."""
    rng = np.random.default_rng(0)
    times = np.arange(8000) / 16000
    for partition in ("train", "test"):
        (folder / f"{partition}-custom").mkdir(parents=True)
        for speaker in range(n_speakers):
            base = 120 * 2 ** rng.uniform(0, 1)
            for i, emotion in enumerate(["sad", "happy", "angry"]):
                for take in range(6):
                    hz = base * 2 ** (0.25 * i + rng.normal(0, 0.03))
                    y = sum(np.sin(2 * np.pi * k * hz * times) / k for k in range(1, 8))
                    y = 0.1 * y + rng.normal(0, 0.003, len(times))
                    name = f"{partition}{speaker}_{take}_{emotion}.wav"
                    soundfile.write(folder / f"{partition}-custom" / name, y, 16000)
    return folder


def test_adaptation_helps_with_a_speaker_of_another_pitch(tmp_path, monkeypatch):
    monkeypatch.setattr(adaptation, "has_speech", lambda y: True)  # tones stand for voices here
    options = BUNDLED | {"data_dir": speakers(tmp_path, 6), "emotions": ["sad", "happy", "angry"]}
    rec = recommended(features=["prosody"], **options).train()
    tones = {"check_speech": False}
    right = {"unadapted": [], "adapted": [], "adapted to sad": []}
    for _, own in rec.test_rows_.groupby("speaker"):
        paths, truth = own["path"].tolist(), own["emotion"].tolist()
        unadapted = rec.predict(paths, **tones)
        adapted = rec.adapt(paths)
        by_sad = rec.adapt(own.loc[own["emotion"] == "sad", "path"].tolist(), labels="sad")
        assert rec.predict(paths, **tones) == unadapted  # this one stays as it is
        probabilities = adapted.predict_proba(paths, **tones)
        told = adapted.predict(paths, **tones)
        assert [max(p, key=p.get) for p in probabilities] == told
        answers = unadapted, told, by_sad.predict(paths, **tones)
        for how, guesses in zip(right, answers, strict=True):
            right[how] += [guess == emotion for guess, emotion in zip(guesses, truth, strict=True)]
    assert np.mean(right["adapted"]) > max(0.8, np.mean(right["unadapted"]) + 0.1)
    assert np.mean(right["adapted to sad"]) > np.mean(right["unadapted"]) + 0.1
    again = adapted.adapt(paths)
    np.testing.assert_array_equal(again.predictor_.speaker[0], adapted.predictor_.speaker[0])
    for refused in (adapted.test_score, adapted.train, adapted.scores):
        with pytest.raises(ValueError, match="adapted to"):
            refused()


def test_what_adaptation_needs_is_fitted_in_training(few_svc, monkeypatch):
    fits = []
    one = Training.one

    def counted(self, *arguments, **options):
        fits.append(arguments)
        return one(self, *arguments, **options)

    monkeypatch.setattr(Training, "one", counted)
    fresh = few_svc.untrained().fit(few_svc.train_rows_)
    n_fits = len(fits)
    assert n_fits == 2 * (1 + 5)  # for any speaker and for adaptation, and both on five folds
    fresh.adapt([CLIP]).adapt([CLIP, CLIP]).predict_proba(CLIP)
    fresh.adapt([CLIP] * 3)
    assert len(fits) == n_fits
    few_svc.untrained(normalize=None).fit(few_svc.train_rows_)
    assert len(fits) == n_fits + 6


def test_adaptation_says_what_it_needs(few_svc):
    for wrong in ([], CLIP):
        with pytest.raises(ValueError, match="list of one or more recordings"):
            few_svc.adapt(wrong)
    with pytest.raises(ValueError, match="emotion 'bored'"):
        few_svc.adapt([CLIP], labels="bored")
    with pytest.raises(ValueError, match="2 labels for 1 recording"):
        few_svc.adapt([CLIP], labels=["sad", "sad"])
    plain = few_svc.untrained(normalize=None).fit(few_svc.train_rows_)
    with pytest.raises(ValueError, match='normalize="speaker"'):
        plain.adapt([CLIP])
    with pytest.raises(NotFittedError):
        few_svc.untrained().adapt([CLIP])


def test_an_adaptation_says_what_it_did_and_is_kept(few_svc, tmp_path):
    own = tmp_path / "own"
    own.mkdir()
    for name in ("v21_s6", "v22_s7", "v23_s8"):
        shutil.copy(bundled_clip("sad", name), own / f"{name}_sad.wav")
        shutil.copy(bundled_clip("angry", name), own / f"{name}_x.wav")
    soundfile.write(own / "silence.wav", np.zeros(16000), 16000)
    with pytest.warns(UserWarning, match="silence.wav: no speech"):
        adapted = few_svc.adapt(own, "names", by="condition")
    paths = sorted(path for path in own.iterdir() if path.stem != "silence")
    found = adapted.adaptation_
    before, after = few_svc.predict(paths), adapted.predict(paths)
    n_changed = sum(a != b for a, b in zip(before, after, strict=True))
    assert (found.by, found.n_used, found.n_labelled) == ("condition", 6, 3)
    assert found.n_changed == n_changed and list(found.left_out) == [str(own / "silence.wav")]
    labels = ["sad" if "sad" in path.stem else None for path in paths]
    assert few_svc.adapt(paths, labels).predict_proba(CLIP) == adapted.predict_proba(CLIP)
    adapted.save(tmp_path / "own.ser")
    loaded = load_recognizer(tmp_path / "own.ser")
    assert loaded.adaptation_ == dataclasses.replace(found, left_out={})  # no names of files
    assert "adapted to one recording condition by 6 recordings (3 labelled)" in repr(loaded)
    assert "| adapted | to one recording condition by 6 rec" in loaded.card()
    again = loaded.adapt([CLIP])
    again.save(tmp_path / "again.ser")
    assert load_recognizer(tmp_path / "again.ser").adaptation_ == again.adaptation_
    with pytest.raises(ValueError, match="Unknown by 'room'"):
        few_svc.adapt([CLIP], by="room")


def test_a_column_of_a_table_has_labels_too(few_svc):
    rows = few_svc.test_rows_[:4]
    expected = few_svc.adapt(rows["path"].tolist(), rows["emotion"].tolist()).predict_proba(CLIP)
    for labels in (rows["emotion"], rows["emotion"].to_numpy()):
        assert few_svc.adapt(rows["path"], labels).predict_proba(CLIP) == expected


def test_a_regressor_can_be_adapted(regressor):
    assert regressor.test_score() < 0.6  # the mean is 0.67 off
    rows = regressor.test_rows_[:12]
    paths = rows["path"].tolist()
    values = regressor.adapt(paths, labels=rows["emotion"].tolist()).predict(paths)
    assert len(values) == 12 and np.isfinite(values).all()


# recipes


def test_recipes_by_name():
    assert named_recognizer("default", **BUNDLED).model.__class__ is BlockLDA
    plain = named_recognizer("recommended", encoder=None, **BUNDLED)
    assert plain.model.__class__ is EmotionLDA and plain.features == [*SPEECH_FEATURES]
    plain = named_recognizer("classic", **BUNDLED).train()
    assert plain.X_train.shape[1] == 180 and plain.model.__class__ is SVC
    tuned = named_recognizer("RandomForest", **BUNDLED)
    params = next(
        params
        for model, params, _ in get_best_estimators()
        if model.__class__ is RandomForestClassifier
    )
    assert tuned.model.get_params().items() >= params.items()
    assert named_recognizer("SVR", classification=False, **BUNDLED).classification is False
    with pytest.raises(ValueError, match="Did you mean 'RandomForest'"):
        named_recognizer("RandomForrest", **BUNDLED)


@pytest.mark.slow
def test_without_an_encoder_onnxruntime_is_never_loaded(few_svc, tmp_path):
    few_svc.save(tmp_path / "model.ser")
    code = (
        "import sys; from emotion_recognition import load_recognizer, recommended; "
        "recommended(); assert 'onnxruntime' not in sys.modules; "
        "rec = load_recognizer(sys.argv[1]); rec.predict(sys.argv[2]); rec.explain(sys.argv[2]); "
        "assert 'onnxruntime' not in sys.modules"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "model.ser"), CLIP]
    done = subprocess.run(command, cwd=REPO, capture_output=True, text=True)
    assert not done.returncode, done.stderr


@pytest.mark.slow
def test_strangers_are_recognised_better_than_by_the_classic_vector(real_data):
    options = {"data_dir": real_data, "verbose": 0, **corpora_options(["emodb"])}
    options["emotions"] = ["angry", "boredom", "disgust", "fear", "happy", "sad", "neutral"]
    scores = {}
    for recipe in (recommended, classic):
        rec = recipe(**options | {"balance": False})
        rows = rec.clips()
        stranger = rows["speaker"].isin(["03", "08"])
        rec.fit(rows[~stranger])
        scores[recipe] = np.mean(
            np.array(rec.predict(rows.loc[stranger, "path"].tolist())) == rows["emotion"][stranger]
        )
    assert scores[recommended] > scores[classic] + 0.1
    assert scores[recommended] > 0.65


def test_the_bundled_model_needs_no_training_and_no_tensorflow(bundled, tmp_path):
    code = (
        "import sys; from emotion_recognition import load_recognizer; "
        f"print(load_recognizer().predict({CLIP!r})); "
        "heavy = {'tensorflow', 'keras', 'skops', 'matplotlib', 'numba', 'scipy.signal'}; "
        "heavy |= {'sklearn.linear_model', 'sklearn.model_selection', 'sklearn.svm'}; "
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=REPO,
        capture_output=True,
        text=True,
        env=os.environ | {"SER_DATA_DIR": str(tmp_path)},
        check=True,
    )
    emotion, modules = done.stdout.splitlines()
    assert emotion == bundled.predict(CLIP) in bundled.emotions and modules == "[]"


@pytest.mark.parametrize("name", ["default", "free"])
def test_bundled_models_say_first_how_good_they_are(name):
    path = REPO / "models" / f"{name}.ser"
    assert path.stat().st_size < 12e6
    rec, card = load_recognizer(path), path.with_suffix(".md").read_text()
    assert card == rec.card() and rec.noisy == 1
    above = card.split("| model |")[0]
    rows = [line.strip("| ").split(" | ") for line in above.splitlines() if line.startswith("| ")]
    scores = {row[0]: float(row[3].split(" (")[0]) for row in rows[1:-1]}
    assert scores["strangers, of the same corpora"] == pytest.approx(rec.score_["uar"], abs=6e-4)
    assert {"… female", "… male", "… EMO-DB, German"} <= set(scores)
    assert scores["strangers, adapted to each with 10 clips"] > 0.7
    unseen = {what for what in scores if "unseen" in what}
    assert len(unseen) == (5 if name == "default" else 0)
    assert ("not for commercial use" in card) == (name == "default")
    needed, held = rec.predictor_.sets(0.9)
    assert 0 <= needed < 1 and held > 0.8


@pytest.mark.slow
def test_sounds_that_are_no_speech_are_novel_and_real_strangers_are_not(real_data):
    rec = recommended(
        emotions=["angry", "sad", "neutral", "happy"],
        custom_db=False,
        tess_ravdess="ravdess",
        emodb=False,
        data_dir=real_data,
        verbose=0,
    ).train()
    strangers = [rec.listen(load_audio(path))[1] for path in rec.test_rows_["path"][::2]]
    rng, t = np.random.default_rng(0), np.arange(48000) / 16000
    decays = [np.sin(2 * np.pi * f * t) * np.exp(-4 * (t % 0.5)) for f in (300, 500, 900)]
    sounds = [
        rng.standard_normal(48000),
        np.cumsum(rng.standard_normal(48000)),
        sum(np.sin(2 * np.pi * f * t) for f in (220, 277, 330)) * (np.sin(7 * t) > 0),
        *decays,
        np.sin(2 * np.pi * 440 * t),
        np.sin(2 * np.pi * 50 * t),
        rng.random(48000) > 0.9995,
        np.sin(2 * np.pi * (200 * t + 300 * t**2)),
    ]
    novel = []
    for sound in sounds:
        y = 0.3 * sound / np.abs(sound).max() + 1e-4 * rng.standard_normal(48000)
        novel.append(rec.listen(y.astype(np.float32))[1])
    assert np.mean(np.array(strangers) < 1) >= 0.85  # the limit is where 0.95 are expected
    assert np.mean(np.array(novel) > 1) >= 0.9


@pytest.mark.slow
def test_clips_of_another_corpus_are_novel_more_often_than_those_of_strangers(real_data):
    settings = {"emotions": ["angry", "sad", "neutral", "happy"], "verbose": 0}
    rec = recommended(**settings, corpora=["emodb", "nemo"], data_dir=real_data).train()
    assert len(rec.predictor_.general.model.corpora_) == 2
    strangers = rec.predictor_.novelty(rec.X_test) > 1
    other = rec.untrained(corpora=["ravdess"])
    other.load_data()
    others = rec.predictor_.novelty(other.X_test) > 1
    assert strangers.mean() <= 0.15 and others.mean() >= 0.4


# augmented copies


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """Features of two blocks that take a millisecond a clip, and two emotions."""
    encoder = write_tiny_encoder(tmp_path_factory.mktemp("tiny") / "tiny.onnx")
    return BUNDLED | {
        "features": ["mfcc", "encoder"],
        "encoder": encoder,
        "emotions": ["sad", "angry"],
    }


@pytest.fixture(scope="module")
def hardened(small):
    """Learns from a copy of each clip at another speed, and from two noisy ones of both."""
    return recommended(speeds=1, noisy=2, **small).train()


def copies_of(rec, rows):
    """The features of the noisy copies of some clips, of those at another speed, of both."""
    signals = [load_audio(path) for path in rec.train_rows_["path"].iloc[rows]]
    faster = [at_speed(y, SPEEDS[0]) for y in signals]
    noisy = [[noisy_copy(y, copy) for y in own] for own in (signals, faster) for copy in (0, 1)]
    return [
        np.concatenate([rec.predictor_.features(y) for y in own])
        for own in (*noisy[:2], faster, *noisy[2:])
    ]


def test_copies_take_part_in_fitting_only(hardened, small):
    plain = recommended(**small).train()
    np.testing.assert_array_equal(hardened.X_train, plain.X_train)
    assert hardened.get_samples_by_class().equals(plain.get_samples_by_class())
    every = slice(None)
    learned = np.concatenate([plain.X_train, *copies_of(hardened, every)])
    np.testing.assert_allclose(hardened.scaler_.mean_, learned.mean(axis=0), rtol=1e-4, atol=1e-4)
    fixed = clone(hardened.model).set_params(weights=tuple(hardened.model.weights_))
    model = hardened._pipeline(fixed).fit(learned, np.tile(plain.y_train, 6))
    expected = model.decision_function(plain.X_test)
    found = hardened.model.decision_function(hardened.scaler_.transform(plain.X_test))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
    X = plain.X_test[:4]  # adaptation learns from clean clips
    found, expected = (replace(r.predictor_.adapted(X), trust=1.0) for r in (hardened, plain))
    np.testing.assert_allclose(found.probabilities(X), expected.probabilities(X), atol=1e-6)


def test_copies_of_held_out_speakers_are_held_out_too(hardened):
    train, _ = hardened._folds()[0]
    rows = hardened.train_rows_
    split = Split(hardened.X_train, hardened.y_train, speaker_groups(rows), rows)
    fitted = Training(split, hardened.model, copies=hardened._copies(rows)).one(train)
    learned = np.concatenate([hardened.X_train[train], *copies_of(hardened, train)])
    np.testing.assert_allclose(fitted.scaler.mean_, learned.mean(axis=0), rtol=1e-4, atol=1e-4)


@pytest.mark.slow
def test_noisy_copies_help_with_telephones_and_rooms():
    options = {"emotions": [*EMOTIONS, "angry"], **BUNDLED}
    plain, hardened = (recommended(noisy=n, **options).train() for n in (0, 1))
    rng, truth = np.random.default_rng(0), plain.y_test
    signals, right = [load_audio(path) for path in plain.test_rows_["path"]], []
    for way in (telephone, lambda y: in_room(y, rng)):
        sounds = [way(y) for y in signals]
        both = [r.predict_proba(sounds, sr=SAMPLE_RATE) for r in (plain, hardened)]
        own = [[p[label] for p, label in zip(found, truth, strict=True)] for found in both]
        assert np.mean(own[1]) > np.mean(own[0]) + 0.1  # probability of the true emotion
        right.append([[max(p, key=p.get) for p in found] == truth for found in both])
    accuracies = np.mean(right, axis=(0, 2))  # of few clips: those of both ways together
    assert accuracies[1] > accuracies[0] + 0.1


def test_copies_go_with_the_file_and_its_card(hardened, bundled, tmp_path):
    hardened.save(tmp_path / "hardened.ser")
    loaded = load_recognizer(tmp_path / "hardened.ser")
    assert loaded.noisy == 2 and bundled.noisy in (0, 1)
    assert loaded.speeds == 1 and bundled.speeds == 0  # of a file that doesn't tell
    assert "with augmented copies (speeds: 1, noisy: 2)" in " ".join(loaded.card().split())
    path = hardened.test_rows_["path"][0]
    assert loaded.predict_proba(path) == pytest.approx(hardened.predict_proba(path), abs=1e-6)


@pytest.mark.parametrize("wrong", [-1, 0.5, "noise", 10**6])
def test_a_number_of_copies_without_sense_is_refused(wrong):
    for name in ("noisy", "speeds"):
        with pytest.raises(ValueError, match=f"{name} must be a number from 0"):
            recommended(**{name: wrong}, **BUNDLED)
