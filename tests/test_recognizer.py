"""What recognizers do with tables of clips: learn, are scored, predict, whole or in segments."""

import json
import re
import warnings

import numpy as np
import pandas as pd
import pytest
import soundfile as sf
from conftest import FEW, TINY_NETWORK
from sklearn.svm import SVC

import commands
import evaluation
import grid_search
from audio import AudioError, AudioWarning, load_audio
from clip_tables import read_table
from deep_emotion_recognition import DeepEmotionRecognizer, EnsembleRecognizer
from emotion_recognition import EmotionRecognizer, load_recognizer
from evaluation import evaluate
from parameters import SAMPLE_RATE
from protocols import find_leaks
from segments import Segment

pytestmark = pytest.mark.usefixtures("one_process")
LABELS = ["Rude", "Very Polite", "angry"]
QUICK = FEW | {"verbose": 0, "n_jobs": 1}


@pytest.fixture(scope="module")
def trained(own_table):
    return EmotionRecognizer(SVC(), data=own_table, **QUICK).train()


@pytest.fixture(scope="module")
def sessions(own_table, tmp_path_factory):
    """The clips of each speaker in one recording, and a CSV file that says where each is: path."""
    folder, rows = tmp_path_factory.mktemp("sessions"), []
    for speaker, own in own_table.groupby("spk"):
        sounds = [load_audio(path) for path in own["wav"]]
        ends = np.cumsum([len(y) for y in sounds]) / 16000
        sf.write(folder / f"{speaker}.wav", np.concatenate(sounds), 16000, subtype="FLOAT")
        for label, start, end in zip(own["label"], [0, *ends], ends, strict=False):
            rows.append((f"{speaker}.wav", label, speaker, start, end))
    table = pd.DataFrame(rows, columns=["file", "emotion", "speaker", "start", "end"])
    table.to_csv(folder / "sessions.csv", index=False)
    return folder / "sessions.csv"


def test_a_recognizer_learns_the_labels_of_a_table(trained, own_table):
    assert trained.emotions == LABELS
    sides = [set(rows["speaker"]) for rows in (trained.train_rows_, trained.test_rows_)]
    assert [*map(len, sides)] == [9, 2] and not sides[0] & sides[1]
    assert trained.test_score() > 0.5
    assert trained.protocol().startswith("standard split of table: trained on 72 clips of 9 sp")
    other = EmotionRecognizer(SVC(), data=own_table, random_state=1, **QUICK).load_data()
    assert set(other.test_rows_["speaker"]) != sides[1]


def test_a_table_is_read_and_nothing_else(own_table, tmp_path):
    own_table.to_csv(tmp_path / "own.csv", index=False)
    rec = EmotionRecognizer(SVC(), data=str(tmp_path / "own.csv"), data_dir=tmp_path, **QUICK)
    assert repr(rec).endswith(f"not trained, will learn from 87 clips of {tmp_path / 'own.csv'}>")
    rec.train()
    assert [path.name for path in tmp_path.iterdir()] == ["own.csv"]
    assert set(rec.clips()["corpus"]) == {"own"}
    with pytest.raises(ValueError, match=r"data, or corpora.*not both"):
        EmotionRecognizer(SVC(), data=own_table, corpora=["custom"], **QUICK)


def test_a_column_says_what_is_for_the_test(own_table):
    table = own_table.assign(split=np.where(own_table["spk"] < "v05", "Test", "train"))
    rec = EmotionRecognizer(SVC(), data=table, **QUICK).load_data()
    assert set(rec.test_rows_["speaker"]) == {"v01", "v02", "v03", "v04"}


def test_several_tables_make_one(own_table):
    rec = EmotionRecognizer(SVC(), data=[own_table[:40], own_table[40:]], **QUICK)
    assert len(rec.clips()) == 87


def test_emotions_are_chosen_as_they_are_spelled_or_pointed_out(own_table):
    rec = EmotionRecognizer(SVC(), data=own_table, emotions=["rude", "ANGRY"], **QUICK)
    assert rec.emotions == ["Rude", "angry"] and len(rec.clips()) == 58
    with pytest.raises(ValueError, match=r"Unknown emotion.*'angr'.*Did you mean 'angry'"):
        EmotionRecognizer(SVC(), data=own_table, emotions=["rude", "angr"], **QUICK)


def test_a_word_that_no_file_of_the_data_folder_has_is_no_error(own_table):
    rec = EmotionRecognizer(SVC(), emotions=["rude", "anger"], **QUICK)
    assert rec.emotions == ["rude", "anger"]
    with pytest.raises(ValueError, match=r"Unknown emotion 'angr'.*Did you mean 'angry'"):
        EmotionRecognizer(SVC(), emotions=["rude", "angr"], **QUICK)


def test_fit_takes_any_table_with_all_its_labels_or_those_that_were_given(own_table, tmp_path):
    own_table.to_csv(tmp_path / "own.csv", index=False)
    rec = EmotionRecognizer(SVC(), **QUICK).fit(tmp_path / "own.csv")
    assert rec.emotions == rec.classes_.tolist() == LABELS and len(rec.train_rows_) == 87
    assert rec.untrained().emotions == ["sad", "neutral", "happy"]
    rec = EmotionRecognizer(SVC(), emotions=["rude", "angry"], **QUICK)
    with pytest.warns(UserWarning, match="29 clips of the table are left out: Very Polite"):
        rec.fit(own_table)
    assert rec.classes_.tolist() == ["angry", "rude"]
    numbers = own_table.assign(spk=own_table["spk"].str[1:].astype(int))
    assert EmotionRecognizer(SVC(), **QUICK).fit(numbers).train_rows_["speaker"].nunique() == 11
    lacking = own_table.assign(label=own_table["label"].where(own_table.index != 3))
    with pytest.raises(ValueError, match="no label in 'label': row 3"):
        EmotionRecognizer(SVC(), **QUICK).fit(lacking)


def test_a_model_of_a_table_is_saved_with_its_labels(trained, own_table, tmp_path):
    trained.save(tmp_path / "own.ser")
    loaded = load_recognizer(tmp_path / "own.ser")
    assert loaded.emotions == LABELS and loaded.data is None
    assert loaded.predict(own_table[:5]) == trained.predict(own_table["wav"][:5].tolist())


def test_a_table_is_predicted_row_by_row(trained, own_table, sessions):
    paths = own_table["wav"].tolist()
    assert trained.predict(own_table[["wav"]]) == trained.predict(paths)
    own = read_table(sessions)
    assert own["speaker"].nunique() == own["path"].nunique() == 11
    wanted = trained.predict(own_table.sort_values("spk", kind="stable"))
    assert trained.predict(own) == wanted
    first = Segment(own["path"][0], own["start"][0], own["end"][0])
    assert trained.predict(first) == wanted[0]
    assert trained.predict_proba([first])[0] == trained.predict_proba(first)


def test_segments_are_evaluated_as_files_are(own_table, sessions):
    system, how = SVC(), {"verbose": 0, **FEW}
    files = evaluate(system, "group-3", data=own_table, **how)
    parts = evaluate(system, "group-3", data=sessions, **how)
    assert files.protocol.replace("of table", "of sessions") == parts.protocol
    assert files.scores() == parts.scores()
    assert {"start", "end"} <= {*parts.clips}


def test_leaks_between_segments_are_named_with_their_place(sessions):
    rows = read_table(sessions)
    leaks = find_leaks(rows[:4], rows[2:6])
    assert len(leaks.audio) == 2 and " s to " in leaks.audio[0][0]
    assert not find_leaks(rows[:2], rows[2:6]).audio


@pytest.mark.parametrize("protocol", ["group-4", "standard", "random"])
def test_without_speakers_no_line_claims_that_they_are_new(own_table, protocol):
    with pytest.warns(UserWarning, match="each recording counts as its own speaker"):
        result = evaluate(SVC(), protocol, data=own_table.drop(columns="spk"), verbose=0, **FEW)
    assert result.protocol.endswith("so independence of speakers can't be claimed")
    assert "without its speaker" not in str(result) and "none of them heard" not in str(result)


def test_a_recognizer_of_corpora_is_evaluated_on_a_table(own_table):
    rec = EmotionRecognizer(SVC(), corpora=["custom"], **QUICK)
    result = evaluate(rec, "group-3", data=own_table, verbose=0)
    assert sorted(result.emotions) == LABELS and len(result.clips) == 87
    chosen = EmotionRecognizer(SVC(), emotions=["rude", "angry"], **QUICK)
    assert len(evaluate(chosen, "group-3", data=own_table, verbose=0).clips) == 58


def test_a_misspelt_label_that_is_meant_is_evaluated(own_table):
    table = own_table.assign(label=own_table["label"].replace("Rude", "angr"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = evaluate(SVC(), "group-3", data=table, verbose=0, **FEW)
    assert "angr" in result.emotions


def test_parameters_are_tuned_on_a_table(own_table):
    rec = EmotionRecognizer(SVC(), data=own_table, **QUICK).load_data()
    _, best, score = rec.grid_search({"C": [0.1, 10.0]})
    assert best["C"] in (0.1, 10.0) and score > 0.4


@pytest.mark.slow
def test_networks_and_ensembles_learn_from_tables(own_table, tmp_path):
    settings = TINY_NETWORK | {"verbose": 0, "n_jobs": 1, "results_dir": tmp_path}
    deep = DeepEmotionRecognizer(data=own_table, **settings).train()
    assert deep.emotions == LABELS and deep.predict(own_table[:1])[0] in LABELS
    members = [EmotionRecognizer(SVC(C=c), data=own_table, **QUICK) for c in (1, 10)]
    assert EnsembleRecognizer(members).train().test_score() > 0.5
    both = EnsembleRecognizer([EmotionRecognizer(SVC(C=c), **QUICK) for c in (1, 10)])
    assert both.fit(own_table).emotions == both.members[0].emotions == LABELS
    assert len(evaluate(both, "group-3", data=own_table, verbose=0).clips) == 87
    default = EnsembleRecognizer(data=own_table, verbose=0)
    assert default.members[0].data is default.members[1].data


# command lines


def test_command_lines_learn_from_tables(own_table, sessions, tmp_path, capsys):
    path = tmp_path / "own.csv"
    own_table.assign(label=own_table["label"].replace("Rude", "Trauer")).to_csv(path, index=False)
    own = ["--data", str(path), "--label-map", "german", "--features", "mfcc", "--encoder", "none"]
    save = ["--save", str(tmp_path / "own.ser"), "--json"]
    assert commands.main(["--model", "SVC", *own, *save]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["emotions"] == ["Very Polite", "angry", "sad"] and found["corpora"] == ["own"]
    more = ["--model", "SVC", "--protocol", "group-3", "--json"]
    assert evaluation.main([*own, *more]) == 0
    assert json.loads(capsys.readouterr().out)["protocol"].startswith("group-3, 3 folds of sp")
    more = ["--models", "KNeighbors", "--output", str(tmp_path), "--json"]
    assert grid_search.main([*own, *more]) == 0
    assert json.loads(capsys.readouterr().out)[0]["emotions"] == found["emotions"]
    model = ["--model", str(tmp_path / "own.ser")]
    assert commands.main(["predict", str(sessions), *model, "--jsonl", "--no-warnings"]) == 0
    lines = [*map(json.loads, capsys.readouterr().out.splitlines())]
    assert len(lines) == 87 and lines[0]["path"].endswith(" s)")
    assert commands.main(["predict", *model, *own[:2], "--jsonl", "--no-warnings"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(own_table)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--data", "no.csv"], "There is no table no.csv"),
        (["--columns", "path=x"], "belong to a table"),
        (["--data", "{table}", "--columns", "path=x"], "column of .*'x'; choose from wav"),
        (["--data", "{table}", "--label-map", "angr=angry"], "Did you mean 'angry'"),
        (["--data", "{table}", "--corpora", "emodb"], "not both"),
    ],
)
def test_one_line_says_what_is_wrong_with_a_table(own_table, tmp_path, capsys, options, words):
    own_table.to_csv(tmp_path / "own.csv", index=False)
    options = [option.format(table=tmp_path / "own.csv") for option in options]
    assert commands.main(["--model", "SVC", *options]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert re.search(words, error)


def test_a_list_of_numbers_is_no_list_of_recordings(few_svc, bundled_clips):
    y = load_audio(bundled_clips[0])
    advice = "a list must have recordings, and .* isn't one; .* np.asarray"
    for numbers in (y.tolist(), list(y), tuple(y)):
        for method in (few_svc.predict, few_svc.predict_proba, few_svc.features_of):
            with pytest.raises(AudioError, match=advice):
                method(numbers, sr=SAMPLE_RATE)
    for ragged in ([y.tolist(), [0.5]], [[0.5], [[0.5]]]):
        with pytest.raises(AudioError):
            few_svc.predict(ragged, sr=SAMPLE_RATE)


def test_arrays_of_any_shape_and_type_are_predicted_as_their_file_is(few_svc, bundled_clips):
    y, rate = sf.read(bundled_clips[0], dtype="int16")
    expected = few_svc.predict(bundled_clips[0])
    wide = y.astype(np.int32) * 2**16
    for array in (y, wide, y / 2**15, y[:, np.newaxis], y[np.newaxis], np.stack([y, y])):
        assert few_svc.predict(array, sr=rate) == expected
        assert few_svc.predict([array], sr=rate) == [expected]
    for own in (y.astype(float), [y.astype(float)]):
        with pytest.warns(AudioWarning, match="look like integers"):
            few_svc.predict(own, sr=rate)
