"""Commands that are killed again and again, and two of everything at once: nothing is lost.

The moments of the kills are random, and each run gets a little further than the one before.
"""

import ast
import hashlib
import json
import os
import pickle
import random
import shutil
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest
from conftest import REPO, bundled_clip
from test_download_data import emodb_names, site, tree, wav, zipped  # noqa: F401 - a fixture
from test_processes import left_by, members, on_linux, wait_for

from tables import read_desc_file

pytestmark = [pytest.mark.slow, on_linux]
KILLS = signal.SIGKILL, signal.SIGTERM, signal.SIGKILL, signal.SIGINT, signal.SIGKILL


def until_done(command, seconds, kills=KILLS, **options):
    """Run a command, kill it some times within some seconds, and let it end: what it then prints.

    So many seconds are about what the command takes if nobody kills it.
    """
    times = random.Random(0)
    for number in (*kills, None):
        run = subprocess.Popen(
            [sys.executable, *map(str, command)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=REPO,
            start_new_session=True,
            **options,
        )
        timer = threading.Timer(times.uniform(0.2, seconds), run.send_signal, [number])
        if number is not None:
            timer.start()
        out, err = run.communicate(timeout=1200)
        timer.cancel()
        wait_for(lambda group=run.pid: not members(group))
        assert not left_by(run.pid)
    assert run.returncode == 0, err
    return out


def hidden(folder):
    """Temporary files in a folder: list of str."""
    return [name for name in tree(folder) if ".part" in name or "/." in f"/{name}"]


def test_a_killed_extraction_goes_on(tmp_path, bundled_clips):
    code = """
import sys
import numpy as np
from data_extractor import extract_features
from checks import guarded
def main():
    X, read = extract_features(sys.argv[2:], ["mfcc", "prosody"], n_jobs=2, verbose=0)
    assert read.all()
    np.save(sys.argv[1], X)
sys.exit(guarded("x.py", main))
"""
    env = os.environ | {"SER_CACHE_DIR": str(tmp_path / "cache")}
    found, want = tmp_path / "found.npy", tmp_path / "want.npy"
    until_done(["-c", code, found, *bundled_clips], 8, env=env)
    env["SER_CACHE_DIR"] = str(tmp_path / "other")
    subprocess.run(
        [sys.executable, "-c", code, want, *bundled_clips], cwd=REPO, env=env, check=True
    )
    np.testing.assert_array_equal(np.load(found), np.load(want))


def test_a_killed_search_goes_on(tmp_path):
    def command(folder):
        options = "--models KNeighbors --search grid --resume --n-jobs 2 --json --features mfcc"
        return ["grid_search.py", *options.split(), "--output", folder, "--data-dir", REPO / "data"]

    found = json.loads(until_done(command(tmp_path / "killed"), 12))
    plain = subprocess.run(
        [sys.executable, *map(str, command(tmp_path / "plain"))],
        cwd=REPO,
        capture_output=True,
        check=True,
    )
    (want,) = json.loads(plain.stdout)
    (found,) = found
    assert (found["params"], found["score"]) == (want["params"], want["score"])
    assert list(tree(tmp_path / "killed")) == ["best_classifiers.pickle"]
    (kept,) = pickle.loads((tmp_path / "killed" / "best_classifiers.pickle").read_bytes())
    assert kept["params"] == found["params"]


def test_a_killed_download_goes_on(tmp_path, site):  # noqa: F811
    names = emodb_names(5)
    data = zipped({f"wav/{name}": wav(seconds=1.0, seed=i) for i, name in enumerate(names)})
    site.files["/clips.zip"] = data
    site.faults, md5 = ["break", "break", 503, "break"], hashlib.md5(data).hexdigest()
    code = f"""
import sys
import download_data as dd
file = dd.File("clips.zip", "{site.url}/clips.zip", {len(data)}, "md5:{md5}")
part = dd.CORPORA["emodb"].parts["all"]._replace(n_clips={len(names)}, files=(file,))
dd.CORPORA["emodb"] = dd.CORPORA["emodb"]._replace(parts={{"all": part}})
sys.exit(dd.main(["emodb", "--json", "--data-dir", sys.argv[1]]))
"""
    folder = tmp_path / "data"
    report = json.loads(until_done(["-c", code, folder], 6))["emodb"]
    assert report["clips"] == len(names) and not report["failed"]
    clips = {f"emodb/wav/{name}" for name in names}
    assert {*tree(folder)} - {*hidden(folder)} == clips | {"downloads/emodb/clips.zip"}
    assert (folder / "downloads" / "emodb" / "clips.zip").read_bytes() == data


def test_a_killed_training_leaves_the_former_model(tmp_path):
    code = """
import sys
from emotion_recognition import recommended
from checks import guarded
def main():
    rec = recommended(data_dir=sys.argv[2], tess_ravdess=False, emodb=False, verbose=0, n_jobs=2)
    rec.train().save(sys.argv[1])
sys.exit(guarded("x.py", main))
"""
    from emotion_recognition import load_recognizer

    path = tmp_path / "model.ser"
    env = os.environ | {"SER_CACHE_DIR": str(tmp_path / "cache")}
    until_done(["-c", code, path, REPO / "data"], 15, env=env)
    assert load_recognizer(path).predict(bundled_clip("happy")) == "happy"


NETWORK = """
import sys
sys.path.insert(0, "tests")
from checks import guarded
from conftest import BUNDLED, TINY_NETWORK
from deep_emotion_recognition import DeepEmotionRecognizer
def main():
    options = BUNDLED | TINY_NETWORK | {"results_dir": f"{sys.argv[1]}/results"}
    options |= {"logs_dir": f"{sys.argv[1]}/logs", "n_jobs": 1}
    rec = DeepEmotionRecognizer(emotions=["sad", "angry", "happy"], **options).train()
    print(rec.predict_proba(sys.argv[2]))
sys.exit(guarded("x.py", main))
"""


def test_a_network_killed_in_training_is_trained_whole(tmp_path):
    def command(name):
        return ["-c", NETWORK, tmp_path / name, bundled_clip("happy")]

    env = os.environ | {"SER_CACHE_DIR": str(tmp_path / "cache")}
    found = until_done(command("killed"), 30, KILLS[1:4], env=env)
    whole = output(command("whole"), env=env)  # threads may add up in another order
    assert ast.literal_eval(found) == pytest.approx(ast.literal_eval(whole), abs=1e-5)
    kept, whole = (tree(tmp_path / name / "results") for name in ("killed", "whole"))
    assert {*kept} - {*hidden(tmp_path / "killed" / "results")} == {*whole}


# two at once


def begun(command, **options):
    command = [sys.executable, *map(str, command)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, cwd=REPO, **pipes, **options)


def ends(*runs):
    """What each of some processes has printed, and its exit code: list of (out, err, code)."""
    return [(*run.communicate(timeout=1200), run.returncode) for run in runs]


def output(command, **options):
    ((out, err, code),) = ends(begun(command, **options))
    assert code == 0, err
    return out


def test_two_searches_of_one_kind_are_one_and_two_of_two_kinds_are_two(tmp_path):
    def search(*options):
        common = "--models KNeighbors --search grid --n-jobs 1 --json --features mfcc --data-dir"
        place = [REPO / "data", "--output", tmp_path]
        return begun(["grid_search.py", *common.split(), *place, *options])

    journal = tmp_path / "best_classifiers.jsonl"
    first, other = search(), search("--regression")
    wait_for(lambda: journal.exists() or first.poll() is not None)
    os.kill(first.pid, signal.SIGSTOP)  # so that it is still there
    ((_, err, code),) = ends(search("--resume"))
    assert code == 1 and err.count("\n") == 1
    assert err.startswith("grid_search.py: another run is at work in ")
    os.kill(first.pid, signal.SIGCONT)
    for name, (out, err, code) in zip(
        ("classifiers", "regressors"), ends(first, other), strict=True
    ):
        assert code == 0, err
        (kept,) = pickle.loads((tmp_path / f"best_{name}.pickle").read_bytes())
        assert kept["params"] == json.loads(out)[0]["params"]
    assert len([*tmp_path.iterdir()]) == 2


def test_models_saved_at_once_are_whole(tmp_path):
    from emotion_recognition import load_recognizer

    code = "import sys; from emotion_recognition import load_recognizer; rec = load_recognizer()\n"
    code += "for _ in range(5): rec.save(sys.argv[1])"
    path = tmp_path / "model.ser"
    runs = [begun(["-c", code, path]) for _ in range(2)]
    wait_for(path.exists)
    clip, expected = bundled_clip("happy"), load_recognizer().predict_proba(bundled_clip("happy"))
    while any(run.poll() is None for run in runs):
        assert load_recognizer(path).predict_proba(clip) == expected
    assert [code for *_, code in ends(*runs)] == [0, 0]
    assert load_recognizer(path).predict_proba(clip) == expected
    assert [*tree(tmp_path)] == ["model.ser"]


def test_the_files_of_a_corpus_come_from_one_run(tmp_path):
    for part in ("train-custom", "test-custom"):
        shutil.copytree(REPO / "data" / part, tmp_path / part)
    wishes = ["happy,sad", "angry"]
    commands = [["create_csv.py", "--emotions", wish, "--data-dir", tmp_path] for wish in wishes]
    done = ends(*map(begun, 3 * commands))
    for _, err, code in done:
        refused = err.startswith("create_csv.py: another run is at work in ")
        assert (code == 0 and not err) or (code == 1 and refused and err.count("\n") == 1)
    assert 0 in [code for *_, code in done]
    emotions = [{*rows["emotion"]} for rows in map(read_desc_file, tmp_path.glob("*.csv"))]
    assert len(emotions) == 2 and emotions[0] == emotions[1]
    assert ",".join(sorted(emotions[0])) in wishes


def test_two_trainings_on_one_cache_and_one_log_are_right(tmp_path):
    env = os.environ | {"SER_CACHE_DIR": str(tmp_path / "cache")}
    command = ["-c", NETWORK, tmp_path, bundled_clip("happy")]
    done = ends(begun(command, env=env), begun(command, env=env))
    assert [code for *_, code in done] == [0, 0], done
    env["SER_CACHE_DIR"] = str(tmp_path / "own cache")
    alone = output(["-c", NETWORK, tmp_path / "alone", bundled_clip("happy")], env=env)
    assert {out for out, *_ in done} == {alone}
    assert {*tree(tmp_path / "results")} == {*tree(tmp_path / "alone" / "results")}


def test_two_predictions_by_a_recipe_on_one_cache_are_right(tmp_path):
    options = ["--model", "SVC", "--corpora", "custom", "--features", "mfcc", "--json"]
    command = ["emotion_recognition.py", "predict", bundled_clip("sad"), *options]
    env = os.environ | {"SER_CACHE_DIR": str(tmp_path / "cache")}
    done = ends(begun(command, env=env), begun(command, env=env))
    assert [code for *_, code in done] == [0, 0], done
    env["SER_CACHE_DIR"] = str(tmp_path / "own cache")
    assert {out for out, *_ in done} == {output(command, env=env)}
