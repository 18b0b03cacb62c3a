"""The command lines: the same words everywhere, only results on stdout, nothing trained unasked."""

import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from functools import lru_cache, partial
from pathlib import Path
from types import SimpleNamespace

import no_speech
import numpy as np
import pandas as pd
import pytest
import soundfile as sf
from conftest import BUNDLED, EMOTIONS, ODD_ORDER, REPO, bundled_clip
from tiny_encoder import write_tiny_encoder

import batch
import commands
import results
from audio import AudioWarning, find_ffmpeg, load_audio
from checks import printable
from deep_emotion_recognition import named_recognizer
from emotion_recognition import load_recognizer
from formats import FORMATS
from listening import REPORTS
from parameters import SAMPLE_RATE
from utils import AS_FEATURES

HAPPY, SAD = bundled_clip("happy"), bundled_clip("sad")
CUSTOM = ["--data-dir", str(REPO / "data"), "--corpora", "custom"]
COMMANDS = list(commands.COMMANDS)
PROGRAM = [sys.executable, "emotion_recognition.py", "predict"]


@lru_cache
def loaded(path, encoder, written_at):
    return load_recognizer(path, encoder=encoder)


def load_once(path=None, *, encoder=None):
    """`load_recognizer`, which takes longer than most commands; a changed file is read anew."""
    known = path and Path(path).is_file()
    return loaded(path, encoder, Path(path).stat().st_mtime_ns if known else None)


@pytest.fixture
def run(capsys, monkeypatch):
    """Runs a command line in this process: exit code, stdout, stderr."""
    one_process = partial(named_recognizer, n_jobs=1)  # others take seconds to start
    monkeypatch.setattr(commands, "named_recognizer", one_process)
    monkeypatch.setattr(commands, "load_recognizer", load_once)

    def run(*arguments):
        try:
            code = commands.main([str(argument) for argument in arguments])
        except SystemExit as error:  # of argparse
            code = error.code
        return code, *capsys.readouterr()

    return run


@pytest.fixture
def documents(run):
    """Runs a command line that succeeds: what it prints as JSON."""

    def documents(*arguments):
        code, out, err = run(*arguments, "--json")
        assert code == 0, err
        return json.loads(out)

    return documents


@pytest.fixture
def refused(run):
    """Runs a command line that fails: stderr, one line."""

    def refused(*arguments, exit_code=1):
        code, out, err = run(*arguments)
        assert code == exit_code and out == "" and len(err.splitlines()) == 1
        return err

    return refused


@pytest.fixture(scope="module")
def toys(tmp_path_factory):
    """A data folder with the bundled clips only, as in a fresh clone."""
    folder = tmp_path_factory.mktemp("data")
    for name in ("train-custom", "test-custom"):
        shutil.copytree(REPO / "data" / name, folder / name)
    return folder


@pytest.fixture
def untrained(monkeypatch):
    """The options of the recognizer that would be trained, were it not forbidden here: list."""
    asked = []

    def named(name, **options):
        asked.append(options | {"name": name})
        raise ValueError("trained")

    monkeypatch.setattr(commands, "named_recognizer", named)
    return asked


@pytest.fixture
def folder(tmp_path):
    """Two recordings, and one that can't be read."""
    shutil.copy(HAPPY, tmp_path / "one.wav")
    shutil.copy(SAD, tmp_path / "two.wav")
    (tmp_path / "broken.wav").write_bytes(b"no audio")
    return tmp_path


@pytest.fixture(scope="module")
def lighter(few_svc, tmp_path_factory):
    """The options of a command that takes long with the bundled model, where any one will do."""
    path = tmp_path_factory.mktemp("few") / "few.ser"
    few_svc.save(path)
    return lambda command: ["-m", path] if command == "explain" else []


# training


def test_training_prints_score_protocol_matrix_and_predictions(run, tmp_path):
    picture = tmp_path / "confusion.png"
    code, out, err = run(*CUSTOM, "--picture", picture, HAPPY)
    assert code == 0, err
    expected = ["[+] BlockLDA trained on 63 clips", "train  test  total", "accuracy", "UAR"]
    expected += ["standard split of custom", "synthetic", "true_sad", f"{HAPPY}: "]
    assert all(words in out for words in expected)
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_training_as_json_is_one_object_that_agrees_with_the_library(documents):
    asked = "--model", "KNeighbors", "--emotions", ",".join(ODD_ORDER), "--seed", "3"
    result = documents(*CUSTOM, *asked, HAPPY)
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
    assert prediction["path"] == HAPPY and prediction["emotion"] == rec.predict(HAPPY)
    assert prediction["probabilities"] == pytest.approx(rec.predict_proba(HAPPY))


def test_training_predicts_the_rest_when_a_file_is_broken(run, folder):
    broken = folder / "it's broken.wav"
    broken.write_bytes(b"RIFF")
    code, out, err = run(*CUSTOM, "--features", "prosody", "--json", broken, HAPPY)
    predictions = json.loads(out)["predictions"]
    assert code == 1 and "it's broken.wav" in err
    assert "error" in predictions[0] and "emotion" in predictions[1]


@pytest.mark.slow
def test_what_is_saved_is_a_model_for_all_commands(run, documents, tmp_path):
    path = tmp_path / "own.ser"
    code, _, err = run(*CUSTOM, "--features", "prosody", "-e", "sad,happy", "--save", path)
    assert code == 0, err
    for command in COMMANDS:
        found = str(documents(command, HAPPY, "--model", path))
        assert "happy" in found and "angry" not in found


# which model


def test_the_bundled_model_is_used_unless_told_otherwise(documents, bundled, untrained):
    [result] = documents("predict", HAPPY)
    assert result["probabilities"] == pytest.approx(bundled.predict_proba(HAPPY), abs=1e-6)
    [result] = documents("timeline", HAPPY)
    assert set(bundled.emotions) < set(result["rows"][0]) and not untrained


@pytest.mark.parametrize("command", COMMANDS)
def test_a_file_is_loaded(run, command, saved, untrained):
    code, out, err = run(command, HAPPY, "--model", saved, "--csv")
    assert code == 0 and not untrained, err
    if command != "explain":
        columns = out.splitlines()[0].removesuffix(",over_time,error").split(",")
        assert columns[-3:] == ODD_ORDER


def test_a_regressor_is_explained_and_predicts_no_emotion(documents, refused, regressor, tmp_path):
    regressor.save(tmp_path / "number.ser")
    asked = HAPPY, "--model", tmp_path / "number.ser"
    for command in ("predict", "timeline"):
        assert "egressor" in refused(command, *asked, "--json")
    assert documents("explain", *asked)[0]["unit"] == "number"


@pytest.mark.parametrize("command", COMMANDS)
def test_no_recipe_is_trained_on_bundled_clips_unasked(refused, command, untrained, toys):
    for model in ("recommended", "default", "SVC", "BaggingClassifier", "ensemble"):
        err = refused(command, HAPPY, "-m", model, "--data-dir", toys, "--json")
        for advice in ("download_data.py", "--corpora custom", "leave --model out"):
            assert advice in err
    assert untrained == []


def test_a_recipe_learns_from_real_corpora_or_named_ones(run, untrained, toys, tmp_path):
    shutil.copytree(toys, tmp_path / "data")
    (tmp_path / "data/emodb/wav").mkdir(parents=True)
    for name in ("03a01Fa", "08a01Ta", "15a01Fa", "16a01Ta"):
        shutil.copy(HAPPY, tmp_path / f"data/emodb/wav/{name}.wav")
    where = ["predict", HAPPY, "--data-dir", tmp_path / "data", "--model"]
    more = ["--speeds", "1", "--degraded", "2", "--seed", "3", "-e", "sad,happy", "--no-balance"]
    run(*where, "default")
    run(*where, "SVCClassifier", "--corpora", "emodb,custom", *more)
    first, second = untrained
    assert (first["name"], first["corpora"]) == ("recommended", ["emodb"])
    assert (first["emotions"], first["balance"], first["noisy"]) == (EMOTIONS, True, 0)
    assert (second["name"], second["corpora"]) == ("SVC", ["emodb", "custom"])
    assert (second["speeds"], second["noisy"], second["random_state"]) == (1, 2, 3)
    assert (second["emotions"], second["balance"]) == (["sad", "happy"], False)


def test_a_recipe_takes_an_encoder(run, untrained, toys, tmp_path):
    tiny = write_tiny_encoder(tmp_path / "tiny.onnx")
    where = "predict", HAPPY, "-m", "recommended", "--data-dir", toys, "--corpora", "custom"
    for given in ((), ("--encoder", "none"), ("--encoder", f"{tiny}@1,0")):
        run(*where, *given)
    plain, without, other = untrained
    assert plain["encoder"] == AS_FEATURES and without["encoder"] is None
    assert other["encoder"] == f"{tiny}@0,1"
    run(*where, "--features", f"mel, encoder:{tiny}@0,1,mfcc,encoder:hf:a@9")
    assert untrained[-1]["features"] == ["mel", f"encoder:{tiny}@0,1", "mfcc", "encoder:hf:a@9"]


def test_a_model_finds_its_encoder_where_it_is(documents, tmp_path):
    tiny, path = Path(write_tiny_encoder(tmp_path / "tiny.onnx")), tmp_path / "model.ser"
    rec = named_recognizer("KNeighbors", features=["mel"], encoder=tiny, **BUNDLED).train()
    rec.save(path)
    moved = tiny.rename(tmp_path / "moved.onnx")
    command = [*PROGRAM, HAPPY, "--model", str(path), "--json"]
    done = subprocess.run(command, cwd=REPO, capture_output=True, text=True)
    assert done.returncode == 1 and len(done.stderr.splitlines()) == 1
    assert "tiny.onnx" in done.stderr and "--encoder PATH" in done.stderr
    [result] = documents("predict", HAPPY, "--model", path, "--encoder", moved)
    assert result["probabilities"] == pytest.approx(rec.predict_proba(HAPPY))


def test_a_trained_model_keeps_its_encoder(refused, saved):
    for model in ((), ("--model", saved)):
        err = refused("predict", HAPPY, *model, "--encoder", "none")
        assert "already trained" in err and "--model recommended" in err
    err = refused("predict", HAPPY, "--model", saved, "--encoder", "whisper-base@1")
    assert "another one" in err
    err = refused("predict", HAPPY, "--encoder", "wavlm", exit_code=2)
    assert "argument --encoder: Unknown encoder 'wavlm'; choose from whisper-base" in err


def test_a_recipe_is_trained_quietly(run, toys):
    asked = "--model", "KNeighbors", "--data-dir", toys, "--corpora", "custom", "--json"
    code, out, err = run("predict", HAPPY, *asked)
    assert code == 0, err
    rec = named_recognizer("KNeighbors", **BUNDLED).train()
    [result] = json.loads(out)
    assert result["probabilities"] == pytest.approx(rec.predict_proba(HAPPY))
    assert "trained on 63 clips" in err


# what goes in


def test_files_folders_and_patterns(run, folder, bundled):
    code, out, err = run("predict", folder, folder / "*.wav", "--json")
    assert code == 0 and "broken.wav" in err.splitlines()[-1]
    found = {Path(result["path"]).name: result for result in json.loads(out)}
    assert set(found) == {"one.wav", "two.wav", "broken.wav"}
    assert "error" in found["broken.wav"] and "emotion" not in found["broken.wav"]
    for name in ("one.wav", "two.wav"):
        expected = bundled.predict_proba(folder / name)
        assert found[name]["probabilities"] == pytest.approx(expected, abs=1e-6)
        assert found[name]["emotion"] == max(expected, key=expected.get)
        assert found[name]["confidence"] == max(found[name]["probabilities"].values())
        assert found[name]["warnings"].keys() <= REPORTS.keys()


@pytest.mark.parametrize("command", COMMANDS)
def test_stdin_is_a_recording_too(documents, command, monkeypatch):
    stdin = SimpleNamespace(buffer=io.BytesIO(Path(HAPPY).read_bytes()))
    monkeypatch.setattr(sys, "stdin", stdin)
    piped, read = documents(command, "-", HAPPY, "-")
    assert piped.pop("path") == "stdin" and read.pop("path") == HAPPY
    assert piped == read


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["none.wav"], "There is no recording none.wav"),
        ([HAPPY, "-e", "hapy"], "happy"),
        ([HAPPY, "--model", "none.ser"], "none.ser"),
        ([HAPPY, "--model", str(REPO / "README.md")], "README.md"),
        ([HAPPY, "--model", "SVM"], "Did you mean 'SVC'"),
    ],
)
def test_wrong_wishes_get_one_line(refused, command, arguments, words):
    assert words in refused(command, *arguments)


def test_an_empty_list_gets_one_line(refused, tmp_path):
    (tmp_path / "list.txt").write_text("\n")
    assert "list.txt names none" in refused("predict", "--list", str(tmp_path / "list.txt"))


@pytest.mark.parametrize(
    ("exit_code", "arguments", "words"),
    [
        (1, ["--model", "SVM"], "Unknown model 'SVM'"),
        (1, ["--model", "SVR"], "Unknown model 'SVR'"),
        (1, ["--model", "some.ser"], "already trained"),
        (1, ["--emotions", "sad,hapy"], "Did you mean 'happy'"),
        (1, ["--corpora", "iemocap"], "Unknown corpus 'iemocap'"),
        (1, ["nowhere.wav"], "no file nowhere.wav"),
        (1, ["--data-dir", "nowhere"], "nowhere doesn't exist"),
        (1, ["timeline", HAPPY, "--corpora", "custom"], "--corpora is for training"),
        (1, ["timeline", HAPPY, "--noisy", "1"], "--noisy is for training"),
        (1, ["timeline", HAPPY, "--no-balance"], "--no-balance is for training"),
        (2, ["predict", HAPPY, "--abstain", "1.5"], "a probability from 0 to 1"),
        (2, ["predict", HAPPY, "--abstain", "high"], "a probability from 0 to 1"),
        (2, ["predict", HAPPY, "--write", "cvs"], "Did you mean 'csv'"),
        (2, ["predict", HAPPY, "--write", "png"], "choose from csv, json."),
        (2, ["explain", HAPPY, "--write", "srt"], "choose from csv, json, png."),
        (2, ["timeline", HAPPY, "--output", "here"], "give --write"),
        (2, ["timeline", HAPPY, "--json", "--csv"], "not allowed with"),
        (2, ["timeline"], "required: FILE"),
        (1, ["predict", HAPPY, "--adapt", "nowhere"], "There is no recording nowhere"),
        (1, ["predict", HAPPY, "--adapt", "self", "--speakers", "x(y)"], "'x(y)' isn't found"),
        (1, ["predict", HAPPY, "--adapt", "self", "--speakers", "v"], "no such group"),
        (2, ["predict", HAPPY, "--adapt", "running"], "for timeline"),
        (2, ["timeline", HAPPY, "--adapt", "self", "--adapt", "running"], "take no recordings"),
        (2, ["predict", HAPPY, "--speakers", "folder"], "needs --adapt self"),
        (2, ["timeline", HAPPY, "--adapt", "running", "--adapt-by", "speaker"], "need --adapt"),
        (2, ["predict", HAPPY, "--save-adapted", "a.ser"], "need --adapt"),
    ],
)
def test_wrong_options_get_one_line(refused, exit_code, arguments, words):
    assert words in refused(*arguments, exit_code=exit_code)


# adaptation


@pytest.fixture
def callers(tmp_path):
    """Recordings of two people in folders of their own, one of them without speech."""
    for name, voice in (("ann", "v21_s6"), ("bob", "v23_s8")):
        (tmp_path / "calls" / name).mkdir(parents=True)
        for emotion in ("sad", "happy", "neutral"):
            clip = bundled_clip(emotion, voice)
            shutil.copy(clip, tmp_path / "calls" / name / f"{name}_{emotion}.wav")
    noise = 1e-4 * np.random.default_rng(0).normal(size=16000)
    sf.write(tmp_path / "calls" / "bob" / "bob_silence.wav", noise, 16000)
    return tmp_path / "calls"


@pytest.fixture
def by_model(run, saved):
    """Runs predict on the file of `odd_rec`: probabilities by path, and stderr."""

    def by_model(*arguments):
        code, out, err = run("predict", *arguments, "-m", saved, "--json", "--no-warnings")
        assert code == 0, err
        return {found["path"]: found["probabilities"] for found in json.loads(out)}, err

    return by_model


def test_adapt_to_a_folder_and_keep_it(run, by_model, odd_rec, callers, tmp_path):
    kept = tmp_path / "ann.ser"
    found, err = by_model(HAPPY, "--adapt", callers / "ann", "--save-adapted", kept)
    adapted = odd_rec.adapt(callers / "ann", "names")
    assert found[HAPPY] == pytest.approx(adapted.predict_proba(HAPPY), abs=1e-6)
    assert found[HAPPY] != pytest.approx(odd_rec.predict_proba(HAPPY), abs=1e-3)
    assert f"adapted to {adapted.adaptation_}\n  written: {kept}\n" in err
    assert "by 3 recordings (2 labelled): " in err  # neutral is none of its emotions
    _, out, _ = run("predict", HAPPY, "-m", kept, "--json")
    assert json.loads(out)[0]["probabilities"] == pytest.approx(found[HAPPY], abs=1e-6)
    assert json.loads(out)[0]["adapted"] == str(adapted.adaptation_)
    assert json.loads(run("predict", HAPPY, "--json")[1])[0]["adapted"] is None


def test_adapt_to_several_files_by_what_they_share(by_model, odd_rec, callers):
    files = [callers / "ann" / "ann_sad.wav", callers / "bob" / "bob_happy.wav"]
    options = [word for path in files for word in ("--adapt", path)]
    found, err = by_model(HAPPY, *options, "--adapt-by", "condition")
    adapted = odd_rec.adapt(files, ["sad", "happy"], by="condition")
    assert found[HAPPY] == pytest.approx(adapted.predict_proba(HAPPY), abs=1e-6)
    assert "adapted to one recording condition by 2 recordings (2 labelled)" in err


def test_adapt_to_the_folder_itself(by_model, odd_rec, callers):
    found, err = by_model(callers, "--adapt", "self")
    paths = [path for path in sorted(callers.rglob("*.wav")) if "silence" not in path.name]
    adapted = odd_rec.adapt(paths, by="condition")
    for path in paths:
        assert found[str(path)] == pytest.approx(adapted.predict_proba(path), abs=1e-6)
    before = [max(found[str(path)], key=found[str(path)].get) for path in paths]
    n_changed = sum(a != b for a, b in zip(before, odd_rec.predict(paths), strict=True))
    assert f"condition by 6 recordings (1 left out): {n_changed} prediction" in err
    left_out = f"  left out of the adaptation: {callers / 'bob' / 'bob_silence.wav'} (no speech)"
    assert left_out in err.splitlines() and len(found) == 7


@pytest.mark.parametrize("how", ["folder", "^(ann|bob)_", "^(?P<speaker>[a-z]+)_([a-z]+)"])
def test_adapt_each_speaker_by_own_recordings(by_model, odd_rec, callers, how):
    found, err = by_model(callers, "--adapt", "self", "--speakers", how)
    for name in ("ann", "bob"):
        paths = [callers / name / f"{name}_{emotion}.wav" for emotion in EMOTIONS]
        adapted = odd_rec.adapt(sorted(paths))
        left_out = " (1 left out)" * (name == "bob")
        expected = f"by 3 recordings{left_out}: {adapted.adaptation_.n_changed} prediction"
        assert f"  {name}: adapted to one speaker {expected}" in err
        for path in paths:
            assert found[str(path)] == pytest.approx(adapted.predict_proba(path), abs=1e-6)


def test_a_speaker_who_does_not_speak_is_not_adapted_to(by_model, run, odd_rec, callers, saved):
    (callers / "eve").mkdir()
    (callers / "bob" / "bob_silence.wav").rename(callers / "eve" / "1.wav")
    found, err = by_model(callers, "--adapt", "self", "--speakers", "folder")
    assert "eve: not adapted. There is no speech" in err and "ann: adapted to" in err
    expected = odd_rec.predict_proba(callers / "eve" / "1.wav")
    assert found[str(callers / "eve" / "1.wav")] == pytest.approx(expected, abs=1e-6)
    asked = "predict", HAPPY, "-m", saved, "--adapt", callers / "eve"
    code, out, err = run(*asked)
    assert (code, out) == (1, "") and "Record some sentences" in err


@pytest.mark.parametrize("command", ["timeline", "explain"])
def test_the_other_commands_adapt_too(documents, odd_rec, callers, saved, command):
    [found] = documents(command, HAPPY, "-m", saved, "--adapt", callers / "ann")
    adapted = odd_rec.adapt(callers / "ann", "names")
    if command == "explain":
        expected = adapted.explain(HAPPY, verbose=0)["effect"].tolist()
        assert [row["effect"] for row in found["effects"]] == pytest.approx(expected, abs=1e-6)
    else:
        expected = adapted.predict_timeline(HAPPY, verbose=0)["confidence"].tolist()
        assert [row["confidence"] for row in found["rows"]] == pytest.approx(expected, abs=1e-6)


def test_a_timeline_adapts_while_it_runs(documents, odd_rec, saved, tmp_path):
    pause = np.zeros(16000, np.float32)
    parts = [x for e in 2 * EMOTIONS for x in (load_audio(bundled_clip(e)), pause)]
    sf.write(tmp_path / "talk.wav", np.concatenate(parts), 16000)
    asked = "timeline", tmp_path / "talk.wav", "-m", saved
    [running], [plain] = documents(*asked, "--adapt", "running"), documents(*asked)
    expected = odd_rec.predict_timeline(tmp_path / "talk.wav", adapt=True, verbose=0)
    confidence = [row["confidence"] for row in running["rows"]]
    assert confidence == pytest.approx(expected["confidence"].tolist(), abs=1e-6)
    assert confidence != pytest.approx([row["confidence"] for row in plain["rows"]], abs=1e-3)


# what comes out


def test_predict_chooses_among_some_emotions_and_may_abstain(run, documents, bundled):
    whole = bundled.predict_proba(HAPPY)
    [result] = documents("predict", HAPPY, "-e", "sad,angry")
    assert list(result["probabilities"]) == ["sad", "angry"]
    share = whole["sad"] / (whole["sad"] + whole["angry"])
    assert result["probabilities"]["sad"] == pytest.approx(share, abs=1e-6)
    code, out, _ = run("predict", HAPPY, "--abstain", "0.9999", "--csv")
    lines = out.splitlines()
    assert code == 0 and len(lines) == 2
    assert lines[0].startswith("path,emotion,confidence,warnings,neutral,calm")
    assert ",unsure," in lines[1]
    _, out, _ = run("predict", HAPPY)
    assert f"{HAPPY}: " in out and "█" in out
    assert bundled.predict(HAPPY, abstain=0.9999) == "unsure"


def test_predict_gives_the_set_that_holds_the_truth(run, documents):
    [small], [large] = (documents("predict", HAPPY, "--set", p) for p in ("0.5", "0.95"))
    assert small["set"] == large["set"][: len(small["set"])] and small["set"]
    shares = large["probabilities"]
    assert large["set"] == sorted(shares, key=shares.get, reverse=True)[: len(large["set"])]
    _, out, _ = run("predict", HAPPY, "--set", "0.95")
    of = f"probability 0.95, of left-out speakers measured {large['set_held']:.3f}"
    assert f"  one of: {', '.join(large['set'])} ({of})" in out
    assert 0.85 < large["set_held"] <= 1
    code, out, _ = run("predict", HAPPY, "--set", "0.95", "--csv")
    assert code == 0 and out.splitlines()[0].endswith(",set,over_time,error")


def test_abstention_in_lists(bundled):
    assert bundled.predict([HAPPY], abstain=0) == [bundled.predict(HAPPY)]


def test_a_timeline_chooses_among_some_emotions(run, documents):
    [whole] = documents("timeline", HAPPY)
    asked = "timeline", HAPPY, "-e", "sad,calm"
    _, lines, _ = run(*asked, "--jsonl")
    for found in (documents(*asked)[0]["rows"], map(json.loads, lines.splitlines())):
        for row, before in zip(found, whole["rows"], strict=True):
            assert [key for key in row if key != "path"][4:] == ["sad", "calm"]
            share = before["sad"] / (before["sad"] + before["calm"])
            assert row["sad"] == pytest.approx(share)
            assert row["confidence"] == row[row["emotion"]] == max(row["sad"], row["calm"])


@pytest.mark.parametrize("command", COMMANDS)
def test_every_form_says_the_same(run, command, folder, lighter):
    files = [folder / "one.wav", folder / "two.wav"]
    printed = {}
    for form in ("json", "jsonl", "csv"):
        code, printed[form], err = run(command, *lighter(command), *files, f"--{form}")
        assert code == 0 and err == ""
    documents = json.loads(printed["json"])
    lines = [json.loads(line) for line in printed["jsonl"].splitlines()]
    table = printed["csv"].splitlines()
    assert [document["path"] for document in documents] == list(map(str, files))
    if command == "timeline":
        rows = [{"path": d["path"]} | row for d in documents for row in d["rows"]]
        assert lines == rows and len(table) == 1 + len(rows)
    else:
        assert lines == documents
        n_rows = sum(len(document.get("effects", [0])) for document in documents)
        assert len(table) == 1 + n_rows
    assert table[0].startswith("path,") and table[1].startswith(str(files[0]))


@pytest.mark.parametrize("command", COMMANDS)
def test_files_are_written_beside_the_results(run, command, folder, lighter):
    forms = commands.COMMANDS[command].forms
    one = [*lighter(command), folder / "one.wav"]
    _, plain, _ = run(command, *one)
    code, out, err = run(command, *one, "--write", ",".join(forms), "--output", folder / "new")
    assert code == 0 and out == plain
    assert len(re.findall("written: ", err)) == len(forms)
    for form in forms:
        assert (folder / f"new/one{FORMATS[form].ending}").stat().st_size
    _, out, _ = run(command, *one, "--json", "--write", "json")
    assert [json.loads((folder / "one.json").read_text())] == json.loads(out)


def test_results_are_printed_before_pictures_are_drawn(run, folder, monkeypatch, capsys, lighter):
    shown = []
    monkeypatch.setattr(results, "save_figure", lambda *_: shown.append(capsys.readouterr().out))
    for form in ([], ["--json"], ["--csv"], ["--jsonl"]):
        asked = folder / "one.wav", *lighter("explain"), *form
        assert run("explain", *asked, "--write", "png")[0] == 0
        assert "log-odds" in shown[-1] or "effect" in shown[-1]


def test_recordings_of_one_name_get_files_of_their_own(run, folder):
    (folder / "more").mkdir()
    shutil.copy(SAD, folder / "more/one.wav")
    where = "--write", "json", "--output", folder / "new"
    code, _, _ = run("predict", folder / "one.wav", folder / "more/one.wav", *where)
    assert code == 0
    paths = [json.loads((folder / f"new/{n}.json").read_text())["path"] for n in ("one", "one.2")]
    assert paths == [str(folder / "one.wav"), str(folder / "more/one.wav")]


def test_a_line_is_printed_as_soon_as_it_is_known(run, monkeypatch, capsys):
    real, before = batch.recognise, []

    def recognise(*arguments, **options):
        before.append(capsys.readouterr().out)
        return real(*arguments, **options)

    monkeypatch.setattr(batch, "recognise", recognise)
    for form in ("--jsonl", "--csv", "--no-warnings"):
        run("predict", HAPPY, SAD, form)
        assert before.pop().count(HAPPY) == 1 and before.pop() == ""


@pytest.mark.parametrize("command", COMMANDS)
def test_a_broken_recording_does_not_stop_the_others(run, command, folder, lighter):
    command = command, *lighter(command)
    for form in ("--json", "--jsonl", "--csv"):
        code, out, err = run(*command, folder, form)
        assert code == 0 and "broken.wav" in err and len(err.splitlines()) == 1
        assert "two.wav" in out and "broken.wav" in out
    code, out, _ = run(*command, folder)
    assert code == 0 and "broken.wav: can't be read" in out
    assert run(*command, folder, "--strict")[0] == run(*command, folder / "broken.wav")[0] == 1


@pytest.mark.parametrize("ending", [".wav", ".flac", ".m4a"])
def test_what_is_there_of_a_cut_recording_is_recognised(run, rec, tmp_path, ending):
    whole, cut = tmp_path / "a.wav", tmp_path / f"cut{ending}"
    sf.write(whole, np.tile(load_audio(HAPPY), 2), SAMPLE_RATE)
    how = ["-movflags", "+faststart"] * (ending == ".m4a")
    subprocess.run(
        [find_ffmpeg(""), "-v", "error", "-i", whole, *how, "-y", tmp_path / f"b{ending}"]
    )
    raw = (tmp_path / f"b{ending}").read_bytes()
    cut.write_bytes(raw[: len(raw) // 2 + 1])
    for command in COMMANDS:
        code, out, err = run(command, cut, "--json")
        assert code == 0 and err == ""
        assert json.loads(out)[0]["warnings"]["truncated"].startswith("only its first ")
        code, out, err = run(command, cut)
        assert code == 0 and "AudioWarning" not in err
        assert f"  {cut}: truncated: only its first " in err
    with pytest.warns(AudioWarning, match="only its first"):
        alone = rec.predict(str(cut))
    for _ in range(2):  # it comes from no cache, which would know nothing of it
        with pytest.warns(AudioWarning, match=rf"1 clip[\s\S]*{cut.name}': only its first"):
            assert rec.predict([str(cut), str(whole)])[0] == alone
    cut.write_bytes(raw[:120])
    for command in COMMANDS:
        code, out, err = run(command, cut)
        assert code == 1 and len(err.splitlines()) == 1


@pytest.mark.parametrize("command", COMMANDS)
def test_folders_patterns_and_a_pipe_are_taken(run, command, tmp_path, monkeypatch, lighter):
    for name in ("a.wav", "deep/b.wav"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(HAPPY, tmp_path / name)
    with Path(SAD).open("rb") as file:
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=file))
        asked = tmp_path / "deep", tmp_path / "*.wav", "-"
        out = "--write", commands.COMMANDS[command].forms[-1], "--output", tmp_path / "out"
        code, text, err = run(command, *lighter(command), *asked, *out, "--jsonl")
    assert code == 0, err
    found = [json.loads(line)["path"] for line in text.splitlines()]
    names = [str(tmp_path / "deep/b.wav"), str(tmp_path / "a.wav"), "stdin"]
    assert [*dict.fromkeys(found)] == names
    assert {path.stem for path in (tmp_path / "out").iterdir()} == {"a", "b", "stdin"}


def test_channels_get_timelines_of_their_own(run, tmp_path):
    y = np.tile(load_audio(bundled_clip("angry")), 8)[: 6 * SAMPLE_RATE]
    sf.write(tmp_path / "call.wav", np.stack([y, 0 * y], 1), SAMPLE_RATE)
    forms = ",".join(FORMATS)
    split = "--channels", "split", "--write", forms
    code, out, err = run("timeline", tmp_path / "call.wav", *split)
    assert code == 0, err
    for ending in ("csv", "srt", "txt", "json", "png"):
        assert (tmp_path / f"call-1.{ending}").stat().st_size
    kept = json.loads((tmp_path / "call-2.json").read_text())
    assert kept["rows"] == [] and kept["channel"] == 2
    assert re.search(r"call.wav, channel 1: \d+ rows in 6.0 s", out) and "no speech" in out
    assert ": no-speech: " in err and ": quiet: " in err
    code, out, err = run("timeline", tmp_path / "call.wav", "--channels", "split", "--jsonl")
    assert code == 0 and {json.loads(line)["channel"] for line in out.splitlines()} == {1}
    assert ": no-speech: " in err and ": quiet: " in err
    code, out, err = run("timeline", tmp_path / "call.wav", "--no-warnings")
    assert code == 0 and " start " in out and "quiet" not in err


def test_explain_shows_effects(run, documents, folder):
    code, out, err = run("explain", SAD, folder / "broken.wav", "--emotion", "sad")
    assert code == 0 and "broken.wav" in err.splitlines()[-1]
    assert "log-odds of sad" in out and "prosody: pitch" in out
    [found] = documents("explain", SAD, "-e", "disgust,ps")
    assert found["emotion"] in ("disgust", "ps")
    assert {effect["kind"] for effect in found["effects"]} == {"features", "seconds"}


def test_former_options_still_work_and_no_help_shows_them(run, folder):
    one = folder / "one.wav"
    assert run("timeline", one, "--srt", "--plot", "--audacity")[0] == 0
    assert {path.suffix for path in folder.glob("one.*")} == {".wav", ".srt", ".png", ".txt"}
    assert run("explain", one, "--pictures", folder / "why")[0] == 0
    assert (folder / "why/one.png").stat().st_size
    for command in ([], *([name] for name in COMMANDS)):
        _, text, _ = run(*command, "--help")
        for option in ("--srt", "--plot", "--pictures", "--voices", "--degraded", "default,"):
            assert option not in text


def test_help_teaches(run):
    code, out, _ = run("--help")
    assert code == 0
    for expected in ("python emotion_recognition.py", "--model best", "boredom", "tonnetz"):
        assert expected in out
    for command in COMMANDS:
        _, out, _ = run(command, "--help")
        ours = "lstm", "MLP", "--jsonl", "--write", "--encoder", "hf:NAME", "whisper-base"
        for expected in (f"emotion_recognition.py {command} ", *ours):
            assert expected in out


# how it ends


@pytest.mark.parametrize("command", COMMANDS)
def test_an_interruption_is_one_line(run, command, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(commands, "load_recognizer", interrupted)
    assert run(command, HAPPY) == (130, "", "emotion_recognition.py: interrupted\n")


def test_faults_of_the_program_are_not_hidden(run, monkeypatch):
    monkeypatch.setattr(commands, "load_recognizer", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run("predict", HAPPY)


def test_nobody_reads_the_results():
    """As `| head` does: what is printed into a closed pipe ends the program, without a word."""
    command = [*PROGRAM, *([HAPPY] * 3), SAD, "--jsonl"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = subprocess.Popen(command, cwd=REPO, text=True, **pipes)
    process.stdout.close()
    assert process.wait(120) == 1 and process.stderr.read() == ""


@pytest.mark.slow
def test_the_program_reads_a_pipe(bundled):
    command = [*PROGRAM, "-", "--csv"]
    with Path(HAPPY).open("rb") as file:
        done = subprocess.run(command, cwd=REPO, stdin=file, capture_output=True, check=True)
    _, row = done.stdout.decode().splitlines()
    assert row.split(",")[:2] == ["stdin", bundled.predict(HAPPY)] and done.stderr == b""


def test_a_recording_without_speech_has_an_empty_emotion(run, tmp_path):
    hum = tmp_path / "hum.wav"
    sf.write(hum, no_speech.sound("hum", 1), SAMPLE_RATE)
    code, out, err = run("predict", hum, HAPPY)
    assert code == 0 and f"{hum}: no speech\n" in out and f"{hum}: no-speech: " in err
    _, out, _ = run("predict", hum, "--json", "--abstain", "0.5")
    [found] = json.loads(out)
    assert (found["emotion"], found["confidence"], found["probabilities"]) == ("", 0.0, {})
    assert found["warnings"]["no-speech"] == REPORTS["no-speech"]
    _, out, _ = run("predict", HAPPY, hum, "--csv")
    table = pd.read_csv(io.StringIO(out)).set_index("path")
    assert pd.isna(table.loc[str(hum), "emotion"]) and pd.isna(table.loc[str(hum), "happy"])
    assert "no-speech" in table.loc[str(hum), "warnings"].split()
    assert list(table)[:3] == ["emotion", "confidence", "warnings"] and len(table) == 2


# hostile names and sources

HOSTILE = ["=1+1.wav", "a\x1b[2J\nb.wav", os.fsdecode(b"z\xeb.wav")]


@pytest.fixture
def hostile(tmp_path):
    """Recordings whose names are hostile: list of path."""
    for name in HOSTILE:
        shutil.copy(HAPPY, tmp_path / name)
    return [tmp_path / name for name in HOSTILE]


def test_hostile_names_can_only_be_read(run, hostile, monkeypatch):
    monkeypatch.chdir(hostile[0].parent)
    for how in ([], ["--csv"], ["--json"], ["--jsonl"], ["--write", "csv,json"]):
        code, out, err = run("predict", *HOSTILE, *how)
        assert code == 0 and printable(out + err, "\n") == out + err, how
        assert r"z\udceb.wav" in out
    table = pd.read_csv(io.StringIO(run("predict", *HOSTILE, "--csv")[1]))
    assert table["path"].tolist() == ["'=1+1.wav", r"a\x1b[2J\nb.wav", r"z\udceb.wav"]
    raw = pd.read_csv(io.StringIO(run("predict", *HOSTILE[:2], "--csv", "--raw-csv")[1]))
    assert raw["path"].tolist() == HOSTILE[:2]


@pytest.mark.skipif(os.name != "posix", reason="FIFOs and devices are POSIX's")
@pytest.mark.parametrize("command", ["predict", "timeline"])
def test_sources_that_are_no_files_are_errors_in_one_line(run, tmp_path, command):
    os.mkfifo(tmp_path / "fifo.wav")
    code, _, err = run(command, tmp_path / "fifo.wav", "/dev/zero", HAPPY, "--csv", "--no-warnings")
    assert code == 0 and err.count("isn't a regular file") == err.count("\n") - 1 == 2


@pytest.mark.skipif(os.name != "posix", reason="devices are POSIX's")
def test_stdin_is_no_device(run, monkeypatch):
    with Path("/dev/zero").open("rb") as zeros:
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=zeros))
        code, out, err = run("predict", "-")
    assert (code, out) == (1, "") and "is a device" in err and err.count("\n") == 1


@pytest.mark.skipif(os.name != "posix", reason="signals are POSIX's")
@pytest.mark.parametrize(
    "command", [COMMANDS[0], *(pytest.param(c, marks=pytest.mark.slow) for c in COMMANDS[1:])]
)
def test_ctrl_c_ends_a_command_in_one_line(command, tmp_path):
    program = [sys.executable, "emotion_recognition.py", command, "-"]
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    env = os.environ | {"TMPDIR": str(tmp_path)}
    with subprocess.Popen(program, cwd=REPO, env=env, start_new_session=True, **pipes) as process:
        while not list(tmp_path.glob("ser-*")):  # it has begun to wait for the recording
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, b"")
    assert err == b"emotion_recognition.py: interrupted\n" and not list(tmp_path.glob("ser-*"))


# what to label next, who speaks when, how right it is


def test_ranked_recordings_are_printed_the_most_instructive_first(run, folder):
    found, plain = (
        json.loads(run("predict", folder, *more, "--json")[1]) for more in (["--rank"], [])
    )
    plain = {one["path"]: one for one in plain}
    assert [one["path"] for one in found if "error" in one] == [found[-1]["path"]]
    values = [one["uncertainty"] for one in found[:-1]]
    assert values == sorted(values, reverse=True) and len(values) > 1
    for one in found[:-1]:
        assert one["probabilities"] == plain[one["path"]]["probabilities"]
    code, out, _ = run("predict", folder, "--rank", "novelty", "--csv")
    table = pd.read_csv(io.StringIO(out))
    assert code == 0 and table["novelty"].dropna().is_monotonic_decreasing
    code, out, _ = run("predict", folder, "--rank", "novelty")
    assert [float(x) for x in re.findall(r"novelty ([\d.]+)", out)] == pytest.approx(
        table["novelty"].dropna().tolist(), abs=1e-3
    )
    assert run("predict", "--rank", folder)[0] == 2


@pytest.fixture
def call(tmp_path):
    """A recording of two clips with a pause between them, and where they are."""
    happy, sad = load_audio(HAPPY), load_audio(SAD)
    y = np.concatenate([happy, np.zeros(SAMPLE_RATE, np.float32), sad])
    sf.write(tmp_path / "call.wav", y, SAMPLE_RATE)
    middle = len(happy) / SAMPLE_RATE
    turns = pd.DataFrame(
        {"start": [0, middle, middle + 1], "end": [middle, middle + 1, len(y) / 16e3]}
    )
    return tmp_path / "call.wav", turns.assign(speaker=["ann", "eve", "bob"])


def test_a_timeline_has_a_row_for_each_turn(run, documents, bundled, call, tmp_path):
    path, turns = call
    turns.to_csv(tmp_path / "turns.csv", index=False)
    asked = "timeline", path, "--segments", tmp_path / "turns.csv"
    [found] = documents(*asked)
    assert [row["speaker"] for row in found["rows"]] == ["ann", "eve", "bob"]
    table = bundled.predict_timeline(path, segments=turns, verbose=0)
    assert [row["emotion"] for row in found["rows"]] == [
        table["emotion"][0],
        None,
        table["emotion"][2],
    ]
    assert found["rows"][1]["confidence"] is None and set(found["speakers"]) == {
        "ann",
        "eve",
        "bob",
    }
    code, out, _ = run(*asked)
    assert code == 0 and re.search(r"ann +\w+ +0\.\d\d", out) and "eve" not in out
    code, out, _ = run(*asked, "--jsonl", "-e", "sad,happy")
    assert [json.loads(line)["speaker"] for line in out.splitlines()] == ["ann", "eve", "bob"]
    code, out, _ = run(*asked, "--write", ",".join(FORMATS), "--output", tmp_path / "new")
    assert code == 0 and len(list((tmp_path / "new").iterdir())) == len(FORMATS)
    elan = (tmp_path / "new" / "call.eaf").read_text()
    assert path.as_uri() in elan and 'PARTICIPANT="bob"' in elan
    code, out, err = run("timeline", path, HAPPY, "--segments", tmp_path / "turns.csv")
    assert code == 1 and not out and "one recording, not 2: run the command for each" in err


def test_a_timeline_is_scored_by_what_is_true(run, documents, call, tmp_path):
    path, turns = call
    truth = turns.assign(emotion=["happy", "neutral", "sad"])[::2].drop(columns="speaker")
    truth.to_csv(tmp_path / "truth.csv", index=False)
    asked = "timeline", path, "--reference", tmp_path / "truth.csv"
    [found] = documents(*asked)
    assert found["scores"]["n_segments"] == 2 and found["scores"]["eder"] >= 0
    line = f"2 segments of 2 emotions: UAR {found['scores']['uar']:.3f}; emotion diarization error"
    code, out, err = run(*asked)
    assert code == 0 and line in out and line not in err
    for form in ("--csv", "--jsonl"):
        code, out, err = run(*asked, form)
        assert line in err and line not in out


@pytest.mark.parametrize(
    "more", [["--window", "2"], ["--smooth", "2"], ["--adapt", "running"], ["--channels", "split"]]
)
def test_options_that_turns_do_not_have_are_refused(run, call, tmp_path, more):
    path, turns = call
    turns.to_csv(tmp_path / "turns.csv", index=False)
    code, out, err = run("timeline", path, "--segments", tmp_path / "turns.csv", *more)
    assert code in (1, 2) and not out and "segments" in err
