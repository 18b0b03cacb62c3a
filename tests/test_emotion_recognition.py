"""EmotionRecognizer and its command line, on the bundled recordings; scikit-learn is the oracle."""

import json
import os
import re
import shutil
import subprocess
import sys
from html import unescape
from pathlib import Path

import numpy as np
import pytest
import soundfile
from conftest import REPO
from matplotlib.figure import Figure
from scipy.special import softmax
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
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
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.utils.estimator_checks import parametrize_with_checks

import evaluation
from audio import AudioError, load_audio
from create_csv import list_audio
from data_extractor import speaker_groups
from degradations import SPEEDS, at_speed, degraded, in_room, telephone
from emotion_recognition import (
    EmotionLDA,
    EmotionRecognizer,
    SpeakerScaler,
    classic,
    corpora_options,
    load_recognizer,
    named_recognizer,
    plot_histograms,
    recommended,
    temperature_by_distance,
)
from parameters import CLASSIFIERS, REGRESSORS, SAMPLE_RATE
from utils import get_best_estimators

BUNDLED = {"data_dir": REPO / "data", "tess_ravdess": False, "emodb": False, "verbose": 0}
ODD_ORDER = ["sad", "angry", "happy"]  # neither alphabetical nor its reverse


@pytest.fixture(scope="module")
def clip():
    return str(list_audio(REPO / "data" / "test-custom")[0])


@pytest.fixture(scope="module")
def rec():
    """A recognizer trained on the bundled recordings."""
    return EmotionRecognizer(SVC(), emotions=ODD_ORDER, **BUNDLED).train()


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


# learning and scores


def test_scores_are_those_of_a_plain_scaler_and_estimator(rec):
    oracle = make_pipeline(StandardScaler(), SVC()).fit(rec.X_train, rec.y_train)
    np.testing.assert_allclose(rec.scaler_.mean_, rec.X_train.mean(axis=0), rtol=1e-4, atol=1e-5)
    assert rec.model.__class__ is SVC
    assert rec.test_score() == pytest.approx(oracle.score(rec.X_test, rec.y_test), abs=0.02)
    assert rec.train_score() == pytest.approx(oracle.score(rec.X_train, rec.y_train), abs=0.02)
    assert rec.train_score() > rec.test_score() > 1 / 3


def test_the_models_stay_as_the_user_made_them():
    model = KNeighborsClassifier()
    first = EmotionRecognizer(model, emotions=ODD_ORDER, **BUNDLED).train()
    score = first.test_score()
    EmotionRecognizer(model, emotions=["calm", "fear"], **BUNDLED).train()
    assert not hasattr(model, "classes_")
    assert first.test_score() == score


def test_the_same_seed_gives_the_same_numbers_and_another_one_others():
    def scores(seed):
        rec = EmotionRecognizer(
            RandomForestClassifier(n_estimators=5),
            emotions=ODD_ORDER,
            random_state=seed,
            **BUNDLED,
        ).train()
        return rec.test_score(), rec.model.predict_proba(rec.X_test).tolist()

    assert scores(0) == scores(0)
    assert scores(0) != scores(1)


def test_a_models_own_seed_is_kept():
    rec = EmotionRecognizer(MLPClassifier(random_state=7, max_iter=5), **BUNDLED)
    assert rec._pipeline(rec.model)["model"].random_state == 7


def test_balance_is_per_partition():
    with_all = EmotionRecognizer(SVC(), emotions=ODD_ORDER, balance=False, **BUNDLED).load_data()
    table = with_all.get_samples_by_class()
    for part, folder in (("train", "train-custom"), ("test", "test-custom")):
        names = [path.stem for path in list_audio(REPO / "data" / folder)]
        counts = [sum(name.endswith(f"_{e}") for name in names) for e in ODD_ORDER]
        assert table[part].tolist() == [*counts, sum(counts)]
    balanced = EmotionRecognizer(SVC(), emotions=ODD_ORDER, **BUNDLED).get_samples_by_class()
    for part in ("train", "test"):
        assert set(balanced.loc[ODD_ORDER, part]) == {table.loc[ODD_ORDER, part].min()}


def test_samples_by_class_as_in_the_readme(rec):
    table = rec.get_samples_by_class()
    assert table.columns.tolist() == ["train", "test", "total"]
    assert table.index.tolist() == [*ODD_ORDER, "total"]
    assert (table["train"] + table["test"] == table["total"]).all()
    assert (table.loc[ODD_ORDER].sum() == table.loc["total"]).all()
    assert rec.get_n_samples("happy", "test") == table.loc["happy", "test"]


def test_random_emotion_points_to_a_clip_of_that_emotion(rec):
    drawn = {rec.get_random_emotion("angry", "test") for _ in range(30)}
    assert len(drawn) > 1
    assert {rec.y_test[i] for i in drawn} == {"angry"}
    assert {rec.test_rows_["emotion"][i] for i in drawn} == {"angry"}
    with pytest.raises(ValueError, match=r"sad, angry, happy.*Did you mean 'angry'"):
        rec.get_random_emotion("angr")
    with pytest.raises(ValueError, match="train, test"):
        rec.get_random_emotion("angry", "validation")


def test_confusion_matrix_against_sklearn(rec):
    truth = confusion_matrix(rec.y_test, rec._predict(rec.X_test), labels=ODD_ORDER)
    np.testing.assert_array_equal(rec.confusion_matrix(percentage=False, labeled=False), truth)
    table = rec.confusion_matrix()
    assert table.index.tolist() == ["true_sad", "true_angry", "true_happy"]
    assert table.columns.tolist() == ["predicted_sad", "predicted_angry", "predicted_happy"]
    np.testing.assert_allclose(table, 100 * truth / truth.sum(axis=1, keepdims=True))


def test_drawn_confusion_matrix_says_what_it_shows(rec):
    from matplotlib.figure import Figure

    given = Figure().subplots()
    for ax in (rec.draw_confusion_matrix(), rec.draw_confusion_matrix(percentage=False, ax=given)):
        assert [t.get_text() for t in ax.get_yticklabels()] == ODD_ORDER
        assert ax.get_xlabel() == "predicted emotion" and ax.get_ylabel() == "true emotion"
    assert ax is given and "clips" in ax.get_title()
    numbers = [int(text.get_text()) for text in ax.texts]
    assert numbers == rec.confusion_matrix(percentage=False, labeled=False).ravel().tolist()


def test_fbeta_scores_against_sklearn(rec):
    predicted = rec._predict(rec.X_test)
    expected = fbeta_score(rec.y_test, predicted, beta=0.5, average="macro")
    assert rec.test_fbeta_score(0.5) == pytest.approx(expected)
    assert rec.train_fbeta_score(0.5) >= rec.test_fbeta_score(0.5)


def test_grid_search_keeps_speakers_apart_and_returns_the_best(rec):
    search = EmotionRecognizer(KNeighborsClassifier(), emotions=ODD_ORDER, **BUNDLED)
    estimator, params, score = search.grid_search({"n_neighbors": [1, 9, 40]}, n_jobs=1)
    assert params["n_neighbors"] == estimator.n_neighbors != 40  # nearly all of them
    assert 1 / 3 < score <= 1
    groups = speaker_groups(search.train_rows_)
    for train, test in search._folds():
        assert not set(groups[train]) & set(groups[test])
    with pytest.raises(ValueError, match="n_neighbours"):
        search.grid_search({"n_neighbours": [1]})


# hearing


def test_predict_takes_a_path_a_list_an_array_a_file(rec, clip):
    expected = rec.predict(clip)
    assert expected in ODD_ORDER and type(expected) is str
    y, sr = soundfile.read(clip)
    assert rec.predict(y, sr=sr) == expected
    assert rec.predict(np.stack([y, y], axis=1), sr=sr) == expected
    with Path(clip).open("rb") as file:
        assert rec.predict(file) == expected
    clips = [str(path) for path in list_audio(REPO / "data" / "test-custom")[:40]]
    assert rec.predict(clips) == [rec.predict(path) for path in clips]
    assert rec.predict([y, y], sr=sr) == [expected, expected]
    assert rec.predict([]) == []
    for path, probabilities in zip(clips[:2], rec.predict_proba(clips[:2]), strict=True):
        assert probabilities == pytest.approx(rec.predict_proba(path), abs=1e-6)


def test_predicting_what_cant_be_read_is_an_error(rec, clip, tmp_path):
    broken = tmp_path / "broken.wav"
    broken.write_text("no sound")
    with pytest.raises(AudioError):
        rec.predict(str(broken))
    with pytest.raises(AudioError):
        rec.predict([clip, str(broken)])
    with pytest.raises(ValueError, match="rate"):
        rec.predict(load_audio(clip))


def test_before_training_the_error_says_what_to_do(clip):
    untrained = EmotionRecognizer(SVC(), **BUNDLED)
    for ask in (lambda: untrained.predict(clip), untrained.test_score, untrained.confusion_matrix):
        with pytest.raises(NotFittedError, match=r"train\(\)"):
            ask()


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_each_probability_is_that_of_its_own_class(rec, clip, name):
    model = next(m for m, _, _ in get_best_estimators() if m.__class__.__name__ == name)
    if "n_estimators" in model.get_params():
        model.set_params(n_estimators=10)
    this = EmotionRecognizer(model, emotions=ODD_ORDER, **BUNDLED).train()
    probabilities = this.predict_proba(clip)
    assert list(probabilities) == ODD_ORDER
    assert sum(probabilities.values()) == pytest.approx(1)
    assert max(probabilities, key=probabilities.get) == this.predict(clip)
    if hasattr(model, "predict_proba"):
        oracle = make_pipeline(StandardScaler(), clone(this.model)).fit(this.X_train, this.y_train)
        row = oracle.predict_proba(this._features(clip, None)[0])[0]
        theirs = dict(zip(oracle.classes_, np.log(np.maximum(row, 1e-3)), strict=True))
        theirs = np.array([theirs[e] for e in ODD_ORDER])
        ours = np.log(list(probabilities.values()))
        theirs, ours = theirs - theirs.mean(), ours - ours.mean()
        temperature = theirs @ theirs / (theirs @ ours)
        assert temperature > 0
        np.testing.assert_allclose(ours * temperature, theirs, atol=1e-4)


def test_svc_probabilities_agree_with_its_labels_and_are_not_overconfident(rec):
    clips = rec.test_rows_["path"].tolist()
    probabilities = rec.predict_proba(clips)
    assert [max(p, key=p.get) for p in probabilities] == rec.predict(clips)
    truth = [p[e] for p, e in zip(probabilities, rec.test_rows_["emotion"], strict=True)]
    assert -np.log(truth).mean() < np.log(3)  # better than saying a third for each


@pytest.mark.parametrize("scale", [0.01, 3.0, 100.0])
def test_how_sure_a_model_may_be_far_from_what_it_knows_is_found(scale):
    """Emotions drawn with known probabilities: scores that are blurred by the distance."""
    rng = np.random.default_rng(0)
    plain, distances = rng.normal(scale=4, size=(6000, 4)), rng.uniform(0.4, 3, size=6000)
    chances = softmax(plain / distances[:, None], axis=1)
    truth = (rng.random((6000, 1)) > chances.cumsum(axis=1)).sum(axis=1)
    groups = rng.integers(0, 10, size=6000)
    factor, power = temperature_by_distance(scale * plain, distances, truth, groups)
    assert factor == pytest.approx(scale, rel=0.1)
    assert power == pytest.approx(1, abs=0.1)
    _, power = temperature_by_distance(scale * plain, rng.permutation(distances), truth, groups)
    assert 0 <= power < 0.5  # it is drawn towards 1


def test_two_emotions_have_probabilities_too(clip):
    two = EmotionRecognizer(SVC(), emotions=["sad", "angry"], **BUNDLED).train()
    probabilities = two.predict_proba(clip)
    assert list(probabilities) == ["sad", "angry"]
    assert max(probabilities, key=probabilities.get) == two.predict(clip)


# regression


@pytest.mark.parametrize(
    "scale",
    [
        {"sad": 0, "neutral": 1, "happy": 2},
        {"angry": 1, "sad": 2, "neutral": 3, "ps": 4, "happy": 5},
    ],
)
def test_regression_scales(scale, clip):
    model = KNeighborsRegressor()
    rec = EmotionRecognizer(model, emotions=list(scale), classification=False, **BUNDLED).train()
    assert rec.y_train.tolist() == [scale[e] for e in rec.train_rows_["emotion"]]
    oracle = make_pipeline(StandardScaler(), KNeighborsRegressor()).fit(rec.X_train, rec.y_train)
    expected = mean_absolute_error(rec.y_test, oracle.predict(rec.X_test))
    assert rec.test_score() == pytest.approx(expected, rel=1e-4)
    value = rec.predict(clip)
    assert type(value) is float and min(scale.values()) <= value <= max(scale.values())
    assert rec.predict([clip, clip]) == [value, value]
    for ask in (lambda: rec.predict_proba(clip), rec.confusion_matrix, rec.scores):
        with pytest.raises(ValueError, match=r"regress|classification"):
            ask()


def test_regression_on_other_emotions_raises():
    with pytest.raises(ValueError, match="'angry', 'sad', 'neutral', 'ps', 'happy'"):
        EmotionRecognizer(
            KNeighborsRegressor(), emotions=["sad", "fear"], classification=False, **BUNDLED
        )


def test_tuning_a_regressor_looks_for_the_lowest_error():
    rec = EmotionRecognizer(KNeighborsRegressor(), classification=False, **BUNDLED)
    counts = [1, 15, 40]
    errors = {n: rec.grid_search({"n_neighbors": [n]}, n_jobs=1)[2] for n in counts}
    _, params, error = rec.grid_search({"n_neighbors": counts}, n_jobs=1)
    assert error == min(errors.values()) < max(errors.values())
    assert params["n_neighbors"] == min(errors, key=errors.get)


# choosing a model


@pytest.mark.parametrize("classification", [True, False])
def test_without_a_model_the_best_one_is_determined(classification, capsys):
    options = BUNDLED | {"verbose": 1}
    rec = EmotionRecognizer(classification=classification, **options)
    printed = capsys.readouterr().out
    name = rec.model.__class__.__name__
    column = "uar" if classification else "error"
    values = rec.comparison_[column]
    assert rec.comparison_["name"][0] == name
    if classification:
        found = re.search(
            rf"^\[\+\] Best model determined: {name} with (\d+\.\d{{3}})% test accuracy$",
            printed,
            re.MULTILINE,
        )
        assert float(found[1]) == pytest.approx(100 * rec.test_score(), abs=1e-3)
        assert set(rec.comparison_["name"]) == {*CLASSIFIERS, "EmotionLDA"}
        assert values[0] == values.max() > values.min()
    else:
        assert re.search(rf"Best model determined: {name} with \d\.\d+ mean absolute", printed)
        assert set(rec.comparison_["name"]) == {*REGRESSORS, "Ridge"}
        assert values[0] == values.min() < values.max()


# corpora


def test_absent_corpora_are_skipped_with_one_line_unless_asked_for(tmp_path, capsys):
    data = make_tree(tmp_path / "data", ["sad", "happy"])
    options = {"emotions": ["sad", "happy"], "data_dir": data}
    EmotionRecognizer(SVC(), **options).train()
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("[!]")]
    assert len(lines) == 2
    assert "zenodo.org" in lines[0] and "emodb.bilderbar.info" in lines[1]
    for wish in ({"emodb": True}, {"tess_ravdess": True}, {"tess_ravdess": "tess"}):
        with pytest.raises(FileNotFoundError, match="get "):
            EmotionRecognizer(SVC(), **options, **wish).load_data()
    with pytest.raises(FileNotFoundError, match="No recordings"):
        EmotionRecognizer(SVC(), **options, custom_db=False).load_data()
    with pytest.raises(ValueError, match=r"'tes'.*ravdess, tess"):
        EmotionRecognizer(SVC(), **options, tess_ravdess="tes")


def test_recognizers_dont_disturb_each_others_desc_files(tmp_path):
    data = make_tree(tmp_path / "data", ["sad", "happy", "angry"])
    first = EmotionRecognizer(SVC(), emotions=["sad", "happy"], data_dir=data, verbose=0)
    second = EmotionRecognizer(SVC(), emotions=["angry", "sad"], data_dir=data, verbose=0)
    second.load_data()
    first.load_data()
    assert set(first.y_train) == {"sad", "happy"} and set(second.y_train) == {"angry", "sad"}
    kept = EmotionRecognizer(
        SVC(), emotions=["happy", "angry"], data_dir=data, verbose=0, override_csv=False
    ).load_data()
    assert set(kept.y_train) == {"happy", "angry"}
    assert len(first.y_train) == len(second.y_train) == len(kept.y_train) == 18


def test_edited_desc_files_are_kept_if_wished(tmp_path):
    data = make_tree(tmp_path / "data", ["sad", "happy"])
    options = {"emotions": ["sad", "happy"], "data_dir": data, "verbose": 0, "balance": False}
    EmotionRecognizer(SVC(), **options).load_data()
    desc_file = data / "train_custom.csv"
    desc_file.write_text("\n".join(desc_file.read_text().splitlines()[:-2]) + "\n")
    assert len(EmotionRecognizer(SVC(), **options, override_csv=False).load_data().y_train) == 16
    assert len(EmotionRecognizer(SVC(), **options).load_data().y_train) == 18


def test_own_emotions_and_names_with_folders(tmp_path):
    data = make_tree(tmp_path / "data", ["rude", "neutral"])
    rec = EmotionRecognizer(
        SVC(),
        emotions=["rude", "neutral"],
        data_dir=data,
        verbose=0,
        custom_db_name=str(tmp_path / "elsewhere" / "mine.csv"),
    ).train()
    assert (tmp_path / "elsewhere" / "train_mine.csv").is_file()
    assert rec.test_score() > 0.6  # chance is 0.5
    assert set(rec.predict(rec.test_rows_["path"].tolist())) == {"rude", "neutral"}
    with pytest.raises(ValueError, match=r"'rud'.*rude"):
        EmotionRecognizer(SVC(), emotions=["rud", "neutral"], data_dir=data)


def test_recordings_of_one_voice_are_enough_to_predict_but_not_to_tune(tmp_path):
    data = make_tree(tmp_path / "data", ["sad", "happy"], speakers=["a"])
    rec = EmotionRecognizer(SVC(), emotions=["sad", "happy"], data_dir=data, verbose=0).train()
    probabilities = rec.predict_proba(rec.test_rows_["path"][0])
    assert sum(probabilities.values()) == pytest.approx(1)
    assert rec.scores()["uar_low"] is None
    with pytest.raises(ValueError, match="another voice"):
        rec.grid_search({"C": [1, 10]})


def test_the_data_folder_may_be_named_by_the_environment(tmp_path, monkeypatch):
    data = make_tree(tmp_path / "data", ["sad", "happy"])
    monkeypatch.setenv("SER_DATA_DIR", str(data))
    monkeypatch.chdir(tmp_path)
    rec = EmotionRecognizer(SVC(), emotions=["sad", "happy"], verbose=0).load_data()
    assert all(path.startswith(str(data)) for path in rec.train_rows_["path"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"emotions": ["hapy", "sad"]}, r"'hapy'.*neutral, calm.*Did you mean 'happy'"),
        ({"emotions": ["sad", "sad"]}, "none twice"),
        ({"emotions": ["sad"]}, "at least two"),
        ({"emotions": "sad"}, r"\['sad'\]"),
        ({"features": ["mfc"]}, r"'mfc'.*mfcc, chroma, mel, contrast, tonnetz.*Did you mean"),
        ({"features": []}, "No features"),
    ],
)
def test_wrong_names_raise_at_once(options, message):
    with pytest.raises(ValueError, match=message):
        EmotionRecognizer(SVC(), **BUNDLED, **options)


def test_an_unknown_keyword_raises_at_once():
    with pytest.raises(TypeError, match="emotion"):
        EmotionRecognizer(SVC(), emotion=["sad", "happy"])


def test_verbose_0_prints_nothing(capfd, clip):
    rec = EmotionRecognizer(SVC(), emotions=["fear", "calm"], **BUNDLED).train()
    rec.predict_proba(clip)
    assert capfd.readouterr() == ("", "")


def test_corpora_options():
    assert corpora_options(["ravdess", "tess", "custom"]) == {
        "tess_ravdess": True,
        "emodb": False,
        "custom_db": True,
    }
    assert corpora_options(["ravdess"])["tess_ravdess"] == "ravdess"
    with pytest.raises(ValueError, match="Did you mean 'emodb'"):
        corpora_options(["emodbb"])


def test_real_corpora_are_told_apart(real_data):
    rec = EmotionRecognizer(
        SVC(), data_dir=real_data, tess_ravdess="ravdess", custom_db=False, verbose=0
    ).train()
    assert set(rec.train_rows_["corpus"]) == {"emodb", "ravdess"}
    emodb = rec.test_rows_[rec.test_rows_["corpus"] == "emodb"]
    assert set(emodb["speaker"]) == {"15", "16"}
    assert "none of them heard in training" in rec.protocol()
    assert rec.scores()["uar"] > 0.5  # chance is 0.33


# the command line


def run_cli(*arguments, **options):
    command = [sys.executable, "emotion_recognition.py", *arguments]
    return subprocess.run(command, cwd=REPO, capture_output=True, text=True, **options)


def test_cli_prints_score_protocol_matrix_and_predictions(clip, tmp_path):
    picture = tmp_path / "confusion.png"
    done = run_cli("--data-dir", "data", "--corpora", "custom", "--picture", str(picture), clip)
    assert done.returncode == 0, done.stderr
    for expected in ("train  test  total", "standard split of custom", "synthetic",
                     "accuracy", "UAR", "true_sad", f"{clip}: "):  # fmt: skip
        assert expected in done.stdout
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_cli_json_is_one_object_that_agrees_with_the_library(clip):
    done = run_cli("--data-dir", "data", "--corpora", "custom", "--model", "KNeighbors",
                   "--emotions", ",".join(ODD_ORDER), "--seed", "3", "--json", clip)  # fmt: skip
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    options = BUNDLED | {"emotions": ODD_ORDER, "random_state": 3}
    rec = named_recognizer("KNeighbors", **options).train()
    assert result["accuracy"] == pytest.approx(rec.test_score())
    assert result["protocol"] == rec.protocol() and result["corpora"] == ["custom"]
    assert (result["n_train"], result["n_test"]) == (len(rec.y_train), len(rec.y_test))
    confusion = np.array(result["confusion"])
    recalls = confusion.diagonal() / confusion.sum(axis=1)
    assert result["uar"] == pytest.approx(recalls.mean())
    assert result["uar_low"] <= result["uar"] <= result["uar_high"]
    [prediction] = result["predictions"]
    assert prediction["path"] == clip and prediction["emotion"] == rec.predict(clip)
    assert prediction["probabilities"] == pytest.approx(rec.predict_proba(clip))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model", "SVM"], "Unknown model 'SVM'"),
        (["--model", "SVR"], "Unknown model 'SVR'"),
        (["--emotions", "sad,hapy"], "Did you mean 'happy'"),
        (["--corpora", "iemocap"], "Unknown corpus 'iemocap'"),
        (["nowhere.wav"], "no file nowhere.wav"),
        (["--data-dir", "nowhere"], "nowhere doesn't exist"),
    ],
)
def test_cli_errors_are_one_line_and_exit_code_1(arguments, message):
    done = run_cli(*arguments)
    assert done.returncode == 1
    assert done.stdout == "" and len(done.stderr.splitlines()) == 1
    assert message in done.stderr


def test_cli_hears_the_rest_when_a_file_is_broken(clip, tmp_path):
    broken = tmp_path / "it's broken.wav"
    broken.write_bytes(b"RIFF")
    done = run_cli("--data-dir", "data", "--corpora", "custom", "--json", str(broken), clip)
    assert done.returncode == 1
    predictions = json.loads(done.stdout)["predictions"]
    assert "error" in predictions[0] and "emotion" in predictions[1]
    assert "it's broken.wav" in done.stderr


def test_help_teaches():
    done = run_cli("--help")
    assert done.returncode == 0
    for expected in ("python emotion_recognition.py", "--model best", "boredom", "tonnetz"):
        assert expected in done.stdout


def test_importing_is_cheap():
    code = (
        "import sys, emotion_recognition; "
        "print([m for m in ('tensorflow', 'numba', 'matplotlib.pyplot', 'librosa', 'pyaudio') "
        "if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=REPO, capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr


def test_a_notebook_elsewhere_finds_the_bundled_data(tmp_path):
    code = (
        f"import sys; sys.path.insert(0, {str(REPO)!r})\n"
        "from sklearn.svm import SVC\n"
        "from emotion_recognition import EmotionRecognizer\n"
        "rec = EmotionRecognizer(SVC(), tess_ravdess=False, emodb=False, verbose=0).train()\n"
        "print(rec.protocol())"
    )
    env = {"PATH": shutil.os.environ["PATH"], "SER_CACHE_DIR": str(tmp_path / "cache")}
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True,
                          text=True, env=env)  # fmt: skip
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

    for name in ("load_data", "_fit", "_scores", "_numbers", "_features", "_record"):
        monkeypatch.setattr(EmotionRecognizer, name, forbidden)


def test_an_untrained_recognizer_says_what_it_would_learn_from(idle):
    rec = EmotionRecognizer(SVC(C=3), emotions=ODD_ORDER, **BUNDLED)
    assert shown(rec) == (
        "<EmotionRecognizer of sad, angry, happy: SVC; not trained, will learn from the corpora in "
        "the data folder but tess_ravdess, emodb>"
    )
    assert "model SVC(C=3) hears spectrum, prosody" in text_of(rec._repr_html_())
    asked = EmotionRecognizer(SVC(), emodb=True, custom_db=False, tess_ravdess="tess")
    assert shown(asked).endswith("not trained, will learn from tess, emodb>")


def test_a_trained_recognizer_shows_a_score_once_it_is_known(rec):
    rec = rec.untrained().train()
    trained = "SVC; trained on 63 clips of 7 speakers of custom"
    assert shown(rec) == f"<EmotionRecognizer of sad, angry, happy: {trained}>"
    score = rec.scores()
    known = f"UAR {score['uar']:.3f} ({score['uar_low']:.3f} to {score['uar_high']:.3f}), accuracy "
    assert known in shown(rec) and shown(rec).endswith(f"; {rec.protocol()}>")
    assert known not in shown(rec.train()) and rec.scores() == score
    assert known not in shown(rec.load_data())


def test_a_calibrated_recognizer_says_so(rec, clip, request):
    rec.scores()
    calibrated = rec.calibrate([clip])
    request.getfixturevalue("idle")
    assert "; calibrated to one voice; before calibration UAR 0." in shown(calibrated)
    assert "calibrat" not in shown(rec)


def test_a_loaded_recognizer_shows_what_its_file_says(rec, tmp_path, request):
    loaded = load_recognizer(rec.save(tmp_path / "own.ser") and tmp_path / "own.ser")
    other = load_recognizer()
    request.getfixturevalue("idle")
    assert "; trained on 63 clips of 7 speakers of custom; UAR 0." in shown(loaded)
    assert shown(loaded).endswith("; " + loaded._stored["record"]["protocol"] + ">")
    assert "1 speaker of tess; UAR 0.6" in shown(other) and "group-6" in shown(other)


def test_a_regressor_shows_its_scale_and_its_error():
    rec = EmotionRecognizer(KNeighborsRegressor(), classification=False, **BUNDLED).train()
    rec.score_
    assert shown(rec).endswith("trained on 63 clips of 7 speakers of custom>")
    assert rec._test_scores()["mae_high"] and "; MAE 0." in shown(rec) and ", CCC 0." in shown(rec)
    assert shown(rec).startswith("<EmotionRecognizer of sad 0, neutral 1, happy 2: KNeighborsRegr")


def test_words_of_the_user_are_escaped(tmp_path):
    make_tree(tmp_path, ["<b>", "sad"])
    rec = EmotionRecognizer(SVC(), emotions=["<b>", "sad"], **BUNDLED | {"data_dir": tmp_path})
    assert "&lt;b&gt;, sad" in rec._repr_html_() and "<b>" not in rec._repr_html_()


# the recommended model, and calibration to a voice


@parametrize_with_checks([EmotionLDA()])
def test_emotion_lda_is_a_scikit_learn_classifier(estimator, check):
    check(estimator)


@pytest.mark.parametrize("shape", [(90, 40), (60, 200)])
def test_emotion_lda_is_scikit_learns_behind_its_pca(shape):
    rng = np.random.default_rng(0)
    y = np.repeat(["happy", "sad", "angry"], [shape[0] // 2, shape[0] // 4, shape[0] // 4])[
        rng.permutation(shape[0] // 2 + 2 * (shape[0] // 4))
    ]
    X = (
        rng.normal(size=(len(y), shape[1]))
        + rng.normal(size=(3, shape[1]))[np.unique(y, return_inverse=True)[1]]
    )
    X[0] = 50  # beyond the clip
    clipped = np.clip(X, -4, 4)
    oracle = make_pipeline(
        PCA(20), LinearDiscriminantAnalysis("lsqr", shrinkage=0.3, priors=np.full(3, 1 / 3))
    ).fit(clipped, y)
    ours = EmotionLDA(n_components=20).fit(X, y)
    scores, want = ours.decision_function(X), oracle.decision_function(clipped)
    want += np.log(3)  # scikit-learn adds the log of the priors
    np.testing.assert_allclose(scores - scores[:, :1], want - want[:, :1], rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(ours.predict(X), oracle.predict(clipped))


def many_speakers(spreads, n_speakers=60, n_clips=20, seed=0):
    """Features of as many speakers, whose means spread so far while clips vary by 1."""
    rng = np.random.default_rng(seed)
    means = rng.normal(size=(n_speakers, len(spreads))) * spreads
    groups = np.repeat(np.arange(n_speakers), n_clips)
    return means[groups] + rng.normal(size=(len(groups), len(spreads))), groups


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


def test_known_labels_say_where_a_voice_has_its_middle():
    X, groups = many_speakers([10.0])
    y = np.tile(["neutral", "happy"], len(X) // 2)
    X += np.where(y == "neutral", -3, 3)[:, np.newaxis]
    scaler = SpeakerScaler().fit(X, groups, y)
    new = np.random.default_rng(1).normal(size=(8, 1)) + 20 - 3
    blind, blind_std = scaler.statistics(new)
    told, told_std = scaler.statistics(new, ["neutral"] * 8)
    assert blind == pytest.approx(17, abs=1.2) and told == pytest.approx(20, abs=1.2)
    assert blind_std < 0.8 * told_std  # all of one mood, they seem to vary little
    assert told_std == pytest.approx(np.sqrt(scaler.variance_), rel=0.1)
    both = np.concatenate([new, new + 6])
    mixed, _ = scaler.statistics(both, ["neutral"] * 8 + ["happy"] * 8)
    assert mixed == pytest.approx(20, abs=1)


def test_a_voice_with_a_neutral_of_its_own_isnt_trusted_far():
    rng = np.random.default_rng(0)
    X, groups = many_speakers([1.0])
    y = np.tile(["neutral", "happy"], len(X) // 2)
    own = rng.normal(size=(60, 2)) * 2  # how each speaker does neutral and happy
    X += own[groups, (y == "happy").astype(int)][:, np.newaxis]
    scaler = SpeakerScaler().fit(X, groups, y)
    told, _ = scaler.statistics(np.full((100, 1), 10.0), ["neutral"] * 100)
    blind, _ = scaler.statistics(np.full((100, 1), 10.0))
    assert 2 < told < 8 < blind


def voices(folder, n_voices):
    """Own recordings whose pitch says the emotion, but differs more from voice to voice."""
    rng = np.random.default_rng(0)
    times = np.arange(8000) / 16000
    for partition in ("train", "test"):
        (folder / f"{partition}-custom").mkdir(parents=True)
        for voice in range(n_voices):
            base = 120 * 2 ** rng.uniform(0, 1)
            for i, emotion in enumerate(["sad", "happy", "angry"]):
                for take in range(6):
                    hz = base * 2 ** (0.25 * i + rng.normal(0, 0.03))
                    y = sum(np.sin(2 * np.pi * k * hz * times) / k for k in range(1, 8))
                    y = 0.1 * y + rng.normal(0, 0.003, len(times))
                    name = f"{partition}{voice}_{take}_{emotion}.wav"
                    soundfile.write(folder / f"{partition}-custom" / name, y, 16000)
    return folder


def test_calibration_helps_with_a_voice_of_another_pitch(tmp_path):
    options = BUNDLED | {"data_dir": voices(tmp_path, 6), "emotions": ["sad", "happy", "angry"]}
    rec = recommended(features=["prosody"], **options).train()
    right = {"blind": [], "told": [], "told sad": []}
    for _, own in rec.test_rows_.groupby("speaker"):
        paths, truth = own["path"].tolist(), own["emotion"].tolist()
        blind = rec.predict(paths)
        calibrated = rec.calibrate(paths)
        by_sad = rec.calibrate(own.loc[own["emotion"] == "sad", "path"].tolist(), labels="sad")
        assert rec.predict(paths) == blind  # this one stays as it is
        probabilities = calibrated.predict_proba(paths)
        told = calibrated.predict(paths)
        assert [max(p, key=p.get) for p in probabilities] == told
        for how, guesses in zip(right, (blind, told, by_sad.predict(paths)), strict=True):
            right[how] += [guess == emotion for guess, emotion in zip(guesses, truth, strict=True)]
    assert np.mean(right["told"]) > max(0.8, np.mean(right["blind"]) + 0.1)
    assert np.mean(right["told sad"]) > np.mean(right["blind"]) + 0.1
    again = calibrated.calibrate(paths)
    np.testing.assert_array_equal(again.voice_[0], calibrated.voice_[0])
    for refused in (calibrated.test_score, calibrated.train, calibrated.scores):
        with pytest.raises(ValueError, match="calibrated to"):
            refused()


def test_calibrating_fits_once_and_only_when_asked(rec, clip, monkeypatch):
    fits = []
    real = EmotionRecognizer._pipeline
    monkeypatch.setattr(
        EmotionRecognizer, "_pipeline", lambda self, m: fits.append(m) or real(self, m)
    )
    fresh = rec.untrained().fit(rec.train_rows_)
    assert len(fits) == 1
    fresh.calibrate([clip]).calibrate([clip, clip])
    fresh.calibrate([clip] * 3)
    assert len(fits) == 2


def test_calibration_says_what_it_needs(rec, clip):
    for wrong in ([], clip):
        with pytest.raises(ValueError, match="list of recordings"):
            rec.calibrate(wrong)
    with pytest.raises(ValueError, match="emotion 'bored'"):
        rec.calibrate([clip], labels="bored")
    with pytest.raises(ValueError, match="2 labels for 1 recording"):
        rec.calibrate([clip], labels=["sad", "sad"])
    plain = rec.untrained(normalize=None).fit(rec.train_rows_)
    with pytest.raises(ValueError, match='normalize="speaker"'):
        plain.calibrate([clip])
    with pytest.raises(NotFittedError):
        rec.untrained().calibrate([clip])
    with pytest.raises(ValueError, match="normalize 'voice'"):
        EmotionRecognizer(SVC(), normalize="voice", **BUNDLED)


def test_a_regressor_can_be_calibrated():
    options = BUNDLED | {"emotions": ["sad", "neutral", "happy"], "classification": False}
    rec = recommended(**options).train()
    assert rec.test_score() < 0.6  # the mean is 0.67 off
    paths = rec.test_rows_["path"].tolist()[:12]
    values = rec.calibrate(paths, labels=rec.test_rows_["emotion"].tolist()[:12]).predict(paths)
    assert len(values) == 12 and np.isfinite(values).all()


def test_fit_learns_these_clips_and_no_others(rec):
    rows = rec.clips()
    assert not rows["path"].duplicated().any()
    assert set(rows["partition"]) == {"train", "test"}
    assert set(rows["emotion"]) == set(ODD_ORDER)
    some = rows[rows["speaker"].isin(sorted(set(rows["speaker"]))[:4])]
    fresh = rec.untrained(balance=False).fit(some)
    assert sorted(fresh.train_rows_["path"]) == sorted(some["path"])
    oracle = make_pipeline(StandardScaler(), SVC()).fit(fresh.X_train, fresh.y_train)
    others = rows[~rows["path"].isin(some["path"])]["path"].tolist()
    assert fresh.predict(others) == oracle.predict(fresh._features(others, None)[0]).tolist()
    counts = rec.untrained(balance=True).fit(some).train_rows_["emotion"].value_counts()
    assert counts.nunique() == 1


def test_untrained_keeps_every_setting(rec):
    changed = EmotionRecognizer(
        KNeighborsClassifier(3), features=["quality"], functionals=["mean", "p95"], balance=False,
        normalize=None, random_state=7, emotions=ODD_ORDER, **BUNDLED,
    )  # fmt: skip
    copy = changed.untrained(random_state=8)
    assert copy.model.n_neighbors == 3 and copy.model is not changed.model
    assert (copy.features, copy.functionals) == (["quality"], ["mean", "p95"])
    assert (copy.balance, copy.normalize, copy.random_state) == (False, None, 8)
    assert not hasattr(rec.untrained(), "scaler_")


def test_recipes_by_name():
    assert named_recognizer("default", **BUNDLED).model.__class__ is EmotionLDA
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


def test_a_stranger_is_heard_better_than_by_the_classic_vector(real_data):
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


# comparing models


def test_choosing_by_the_test_part_warns(rec):
    chosen = rec.untrained(features=["mfcc"]).load_data()
    with pytest.warns(UserWarning, match="nothing about new recordings"):
        chosen.determine_best_model(by="test")
    assert chosen.comparison_["uar"][0] == pytest.approx(
        balanced_accuracy_score(chosen.y_test, chosen._predict(chosen.X_test))
    )
    with pytest.raises(ValueError, match="Unknown by 'train'"):
        chosen.determine_best_model(by="train")


def test_candidates_are_compared_as_scikit_learn_does(rec):
    chosen = rec.untrained(features=["mfcc"]).load_data()
    chosen.determine_best_model()
    folds = evaluation.speaker_folds(
        chosen.y_train, speaker_groups(chosen.train_rows_), random_state=chosen.random_state
    )
    for _, row in chosen.comparison_.iterrows():
        if row["name"] in ("SVC", "EmotionLDA", "KNeighborsClassifier"):
            pipeline = make_pipeline(StandardScaler(), row["model"])
            scores = cross_val_score(
                pipeline, chosen.X_train, chosen.y_train, cv=folds, scoring="balanced_accuracy"
            )
            assert (row["uar"], row["std"]) == pytest.approx((scores.mean(), scores.std()))


@pytest.mark.parametrize("classifiers", [True, False])
def test_histograms_show_every_model_at_every_share(classifiers, tmp_path):
    options = BUNDLED | {"features": ["mfcc"]}
    picture = tmp_path / "Figure.png"
    figure, data = plot_histograms(classifiers, file=picture, **options)
    names = {model.__class__.__name__ for model, *_ in get_best_estimators(classifiers)}
    assert set(data["model"]) == names and len(data) == 3 * len(names)
    assert data["n_clips"].drop_duplicates().tolist() == [3, 6, 63]
    whole = data[(data["share"] == 1) & data["model"].isin(["SVC", "SVR"])].iloc[0]
    model, *_ = next(
        row for row in get_best_estimators(classifiers) if row[0].__class__.__name__[:2] == "SV"
    )
    rec = EmotionRecognizer(model, classification=classifiers, **options).train()
    score = whole["test_accuracy" if classifiers else "test_mae"]
    assert score == pytest.approx(rec.test_score(), rel=2e-3)  # libsvm stops at that, by the order
    assert (data[["train_time", "test_time"]] > 0).all().all()
    assert len(figure.axes) == 6 and picture.stat().st_size > 20_000
    for ax in figure.axes:
        assert ax.get_title() and ax.get_xlabel() and len(ax.patches) == 3 * len(names)
    [legend] = figure.legends
    assert {text.get_text() for text in legend.get_texts()} == {*names, "chance"}


def test_histograms_choose_the_emotions_by_their_number():
    options = BUNDLED | {"features": ["mfcc"], "shares": [1.0]}
    given = Figure()
    figure, data = plot_histograms(n_classes=2, beta=2, figure=given, **options)
    assert figure is given and len(given.axes) == 6
    assert data["n_clips"].unique().tolist() == [42]  # neutral and calm
    for wrong in (1, 10):
        with pytest.raises(ValueError, match="n_classes is from 2 to 9"):
            plot_histograms(n_classes=wrong, **options)


# the model in the box


def run_predict(*arguments):
    command = [sys.executable, "emotion_recognition.py", "predict", *map(str, arguments)]
    return subprocess.run(command, cwd=REPO, capture_output=True, text=True, check=False)


def test_the_model_in_the_box_predicts_files_folders_and_patterns(tmp_path):
    shutil.copy(REPO / "data/test-custom/v21_s6_happy.wav", tmp_path / "one.wav")
    shutil.copy(REPO / "data/test-custom/v21_s6_sad.wav", tmp_path / "two.wav")
    (tmp_path / "broken.wav").write_bytes(b"no audio")
    rec = load_recognizer()
    done = run_predict(tmp_path, tmp_path / "*.wav", "--json")
    assert done.returncode == 1 and "broken.wav" in done.stderr.splitlines()[-1]
    results = {Path(result["path"]).name: result for result in json.loads(done.stdout)}
    assert set(results) == {"one.wav", "two.wav", "broken.wav"}
    assert "error" in results["broken.wav"] and "emotion" not in results["broken.wav"]
    for name in ("one.wav", "two.wav"):
        expected = rec.predict_proba(tmp_path / name)
        assert results[name]["probabilities"] == pytest.approx(expected, abs=1e-6)
        assert results[name]["emotion"] == max(expected, key=expected.get)
        assert results[name]["confidence"] == max(results[name]["probabilities"].values())
        assert isinstance(results[name]["warnings"], list)


def test_predict_chooses_among_some_emotions_and_may_abstain(tmp_path):
    path = REPO / "data/test-custom/v21_s6_happy.wav"
    whole = load_recognizer().predict_proba(path)
    done = run_predict(path, "-e", "sad,angry", "--json")
    (result,) = json.loads(done.stdout)
    assert list(result["probabilities"]) == ["sad", "angry"]
    share = whole["sad"] / (whole["sad"] + whole["angry"])
    assert result["probabilities"]["sad"] == pytest.approx(share, abs=1e-6)
    done = run_predict(path, "--abstain", "0.9999", "--csv")
    lines = done.stdout.splitlines()
    assert done.returncode == 0 and len(lines) == 2
    assert lines[0].startswith("path,emotion,confidence,warnings,neutral,calm")
    assert ",unsure," in lines[1]
    done = run_predict(path)
    assert f"{path}: " in done.stdout and "█" in done.stdout
    rec = load_recognizer()
    assert rec.predict(path, abstain=0.9999) == "unsure" and rec.predict([path], abstain=0) == [
        rec.predict(path)
    ]


@pytest.mark.parametrize("arguments, words", [
    (["none.wav"], "There is no recording none.wav"),
    (["data/test-custom/v21_s6_happy.wav", "-e", "hapy"], "happy"),
    (["data/test-custom/v21_s6_happy.wav", "--model", "none.ser"], "none.ser"),
    (["data/test-custom/v21_s6_happy.wav", "--model", "README.md"], "README.md"),
])  # fmt: skip
def test_wrong_wishes_of_predict_get_one_line(arguments, words):
    done = run_predict(*arguments)
    assert done.returncode == 1 and done.stdout == ""
    assert len(done.stderr.splitlines()) == 1 and words in done.stderr


def test_the_model_in_the_box_starts_without_training_or_tensorflow(tmp_path):
    code = (
        "import sys; from emotion_recognition import load_recognizer; "
        "print(load_recognizer().predict('data/test-custom/v21_s6_sad.wav')); "
        "print(sorted({'tensorflow', 'keras', 'skops', 'matplotlib'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=REPO, capture_output=True, text=True,
                          env=os.environ | {"SER_DATA_DIR": str(tmp_path)}, check=True)  # fmt: skip
    emotion, modules = done.stdout.splitlines()
    assert emotion in load_recognizer().emotions and modules == "[]"
    assert (REPO / "models/default.ser").stat().st_size < 5e6
    assert "not for commercial use" in (REPO / "models/default.md").read_text()


def test_sounds_that_are_no_speech_are_strange_and_real_strangers_are_not(real_data):
    rec = recommended(
        emotions=["angry", "sad", "neutral", "happy"], custom_db=False, tess_ravdess="ravdess",
        emodb=False, data_dir=real_data, verbose=0,
    ).train()  # fmt: skip
    voices = [rec.listen(load_audio(path))[1] for path in rec.test_rows_["path"][::2]]
    rng, t = np.random.default_rng(0), np.arange(48000) / 16000
    decays = [np.sin(2 * np.pi * f * t) * np.exp(-4 * (t % 0.5)) for f in (300, 500, 900)]
    chord = sum(np.sin(2 * np.pi * f * t) for f in (220, 277, 330)) * (np.sin(7 * t) > 0)
    sounds = [
        rng.standard_normal(48000), np.cumsum(rng.standard_normal(48000)), chord, *decays,
        np.sin(2 * np.pi * 440 * t), np.sin(2 * np.pi * 50 * t), rng.random(48000) > 0.9995,
        np.sin(2 * np.pi * (200 * t + 300 * t**2)),
    ]  # fmt: skip
    strange = []
    for sound in sounds:
        y = 0.3 * sound / np.abs(sound).max() + 1e-4 * rng.standard_normal(48000)
        strange.append(rec.listen(y.astype(np.float32))[1])
    assert np.mean(np.array(voices) < 1) >= 0.95
    assert np.mean(np.array(strange) > 1) >= 0.9


# degraded copies


@pytest.fixture(scope="module")
def hardened():
    return recommended(voices=1, degraded=2, emotions=["sad", "angry"], **BUNDLED).train()


def copies_of(rec, rows):
    """The features of the degraded copies of some clips, of another voice, of its degraded ones."""
    signals = [load_audio(path) for path in rec.train_rows_["path"].iloc[rows]]
    strangers = [at_speed(y, SPEEDS[0]) for y in signals]
    copies = [[degraded(y, copy) for y in own] for own in (signals, strangers) for copy in (0, 1)]
    return [rec._features(own, SAMPLE_RATE)[0] for own in (*copies[:2], strangers, *copies[2:])]


def test_degraded_copies_take_part_in_fitting_only(hardened):
    plain = recommended(emotions=["sad", "angry"], **BUNDLED).train()
    np.testing.assert_array_equal(hardened.X_train, plain.X_train)
    assert hardened.get_samples_by_class().equals(plain.get_samples_by_class())
    every = slice(None)
    learned = np.concatenate([plain.X_train, *copies_of(hardened, every)])
    np.testing.assert_allclose(hardened.scaler_.mean_, learned.mean(axis=0), rtol=1e-4, atol=1e-4)
    model = hardened._pipeline(hardened.model).fit(learned, np.tile(plain.y_train, 6))
    expected = model.decision_function(plain.X_test)
    found = hardened.model.decision_function(hardened.scaler_.transform(plain.X_test))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
    voice = list(plain.test_rows_["path"][:4])  # calibration learns from clean clips
    own, theirs = (r.calibrate(voice).predict_proba(voice[0]) for r in (hardened, plain))
    assert own == pytest.approx(theirs, abs=1e-6)


def test_who_learned_from_degraded_copies_hears_telephones_and_rooms_better():
    options = {"emotions": ["sad", "neutral", "happy", "angry"], **BUNDLED}
    plain, hardened = (recommended(degraded=n, **options).train() for n in (0, 1))
    rng, truth = np.random.default_rng(0), plain.y_test
    signals = [load_audio(path) for path in plain.test_rows_["path"]]
    for way in (telephone, lambda y: in_room(y, rng)):
        heard = [way(y) for y in signals]
        right = [np.mean(r.predict(heard, sr=SAMPLE_RATE) == truth) for r in (plain, hardened)]
        assert right[1] > right[0] + 0.1


def test_copies_of_held_out_speakers_are_held_out_too(hardened):
    train, _ = hardened._folds()[0]
    fit = hardened._fit(train)
    learned = np.concatenate([hardened.X_train[train], *copies_of(hardened, train)])
    np.testing.assert_allclose(fit.scaler.mean_, learned.mean(axis=0), rtol=1e-4, atol=1e-4)


def test_degraded_copies_go_with_the_file_and_its_card(hardened, tmp_path):
    hardened.save(tmp_path / "hardened.ser")
    loaded = load_recognizer(tmp_path / "hardened.ser")
    assert loaded.degraded == 2 and load_recognizer().degraded in (0, 1)
    assert loaded.voices == 1 and load_recognizer().voices == 0  # of a file that doesn't tell
    told = "with copies of each clip (in other voices: 1, degraded: 2)"
    assert told in " ".join(loaded.card().split())
    path = hardened.test_rows_["path"][0]
    assert loaded.predict_proba(path) == pytest.approx(hardened.predict_proba(path), abs=1e-6)


@pytest.mark.parametrize("wrong", [-1, 0.5, "noise", 10**6])
def test_a_number_of_copies_without_sense_is_refused(wrong):
    for name in ("degraded", "voices"):
        with pytest.raises(ValueError, match=f"{name} is a number from 0"):
            recommended(**{name: wrong}, **BUNDLED)
