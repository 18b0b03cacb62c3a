"""Commands that are killed again and again, at any moment, and started again: nothing is lost.

The moments are random, and each run gets a little further than the one before.
"""

import hashlib
import json
import os
import pickle
import random
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest
from conftest import REPO, bundled_clip
from test_download_data import emodb_names, site, tree, wav, zipped  # noqa: F401 - a fixture
from test_processes import left_by, members, on_linux, wait_for

pytestmark = [pytest.mark.slow, on_linux]
KILLS = signal.SIGKILL, signal.SIGTERM, signal.SIGKILL, signal.SIGINT, signal.SIGKILL


def until_done(command, seconds, **options):
    """Run a command, kill it some times within some seconds, and let it end: what it then prints.

    So many seconds are about what the command takes if nobody kills it.
    """
    times = random.Random(0)
    for number in (*KILLS, None):
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
        out, err = run.communicate(timeout=300)
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
