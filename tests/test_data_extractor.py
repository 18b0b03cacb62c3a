"""From desc_files to matrices, and the feature cache: edits, crashes, damage, several processes.

What was extracted is counted twice over: by the calls of `audio.load_audio` within a process, and
by the cache's rows, which SQLite numbers anew whenever one is written again.
"""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import warnings
from collections import Counter
from contextlib import closing
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile as sf
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_score
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.utils.estimator_checks import parametrize_with_checks

import data_extractor as de
import features as ft
import utils
from audio import AudioError, load_audio
from create_csv import list_audio
from utils import extract_feature, get_audio_config

REPO = Path(de.__file__).resolve().parent
CONFIG = get_audio_config(["mfcc", "chroma", "mel"])
MODULES = ["audio.py", "degradations.py", "features.py", "voice.py", "parameters.py", "utils.py",
           "create_csv.py", "data_extractor.py"]  # fmt: skip

CHILD = """
import json, sys, time
import utils
paths, n_jobs, pause_at, go = json.loads(sys.argv[1])
loaded, load = [], utils.load_audio

def counting(source, **options):
    loaded.append(str(source))
    if len(loaded) == pause_at:
        print("paused", flush=True)
        time.sleep(600)
    return load(source, **options)

utils.load_audio = counting  # counts where n_jobs is 1
import data_extractor as de
import features as ft
print("ready", flush=True)
while go:
    try:
        open(go).close()
        break
    except FileNotFoundError:
        time.sleep(0.001)
X, read = de.extract_features(paths, utils.get_audio_config(ft.DEFAULT_FEATURES), n_jobs=n_jobs,
                              verbose=0)
print(json.dumps({"loaded": loaded, "read": read.tolist(), "X": X.tolist()}))
"""


def write_clip(path, seed):
    """0.15 s of noise, of the same size for every seed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    sf.write(path, 0.1 * np.random.default_rng(seed).standard_normal(2400), 16000)
    return str(path)


def write_clips(folder, n, first=0):
    return [write_clip(folder / f"v{i % 4}_{i:04d}_happy.wav", i) for i in range(first, first + n)]


def plainly(paths):
    """The vectors without any cache."""
    return np.stack([extract_feature(path) for path in paths])


def rows_of(cache_dir):
    """(hash, settings) to the number of the row in the cache."""
    with closing(sqlite3.connect(f"file:{cache_dir}/features.sqlite?mode=ro", uri=True)) as db:
        return {(d, s): i for i, d, s in db.execute("SELECT rowid, digest, settings FROM vectors")}


def start(paths, cache_dir, *, n_jobs=1, pause_at=0, go="", cwd=REPO, **options):
    """Extract in a process of its own."""
    arguments = json.dumps([[str(path) for path in paths], n_jobs, pause_at, str(go)])
    env = dict(os.environ, SER_CACHE_DIR=str(cache_dir), PYTHONPATH=str(cwd))
    return subprocess.Popen([sys.executable, "-c", CHILD, arguments], cwd=cwd, env=env, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)  # fmt: skip


def finish(child):
    """What such a process has loaded and found."""
    out, err = child.communicate(timeout=100)
    assert child.returncode == 0, err
    result = json.loads(out.splitlines()[-1])
    return result["loaded"], np.array(result["X"], dtype=np.float32), np.array(result["read"]), err


@pytest.fixture
def clips(tmp_path):
    return write_clips(tmp_path / "clips", 20)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """The cache's folder; its clips count as settled at once."""
    monkeypatch.setenv("SER_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(de, "FRESH", 0)
    return tmp_path / "cache"


@pytest.fixture
def loaded(monkeypatch):
    """The paths that were extracted in this process."""
    paths, load = [], utils.load_audio

    def counting(source, **options):
        paths.append(str(source))
        return load(source, **options)

    monkeypatch.setattr(utils, "load_audio", counting)
    return paths


def extract(paths, config=CONFIG, **options):
    """X, where no clip is left out and nothing is warned of."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        X, read = de.extract_features(paths, config, n_jobs=1, verbose=0, **options)
    assert read.all() and read.shape == (len(paths),)
    return X


# --- the cache, clip by clip -------------------------------------------------------------------


def test_vectors_are_those_of_extract_feature_and_come_from_the_cache_after(cache, clips, loaded):
    want = plainly(clips)
    loaded.clear()
    X = extract(clips)
    assert X.dtype == np.float32 and sorted(loaded) == sorted(clips)
    np.testing.assert_array_equal(X, want)
    loaded.clear()
    np.testing.assert_array_equal(extract(clips[::-1]), want[::-1])
    np.testing.assert_array_equal(extract(clips[3:5]), want[3:5])
    assert loaded == []


def test_a_second_process_extracts_nothing(cache, clips):
    loaded, X, _, _ = finish(start(clips, cache))
    assert sorted(loaded) == sorted(clips)
    before = rows_of(cache)
    loaded, again, _, _ = finish(start(clips, cache, n_jobs=2))
    assert loaded == [] and rows_of(cache) == before
    np.testing.assert_array_equal(again, X)
    np.testing.assert_array_equal(X, plainly(clips))


def test_a_clip_that_did_not_change_is_not_even_read(cache, clips, loaded, monkeypatch):
    X = extract(clips)
    monkeypatch.setattr(Path, "read_bytes", lambda path: pytest.fail(f"{path} was read"))
    np.testing.assert_array_equal(extract(clips), X)


def test_a_relative_path_is_the_same_clip(cache, clips, loaded, monkeypatch):
    X = extract(clips)
    monkeypatch.chdir(Path(clips[0]).parent)
    loaded.clear()
    np.testing.assert_array_equal(extract([Path(path).name for path in clips]), X)
    assert loaded == []


def edit(path):
    write_clip(path, 999)


def edit_and_put_the_date_back(path):
    before = path.stat()
    write_clip(path, 999)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    after = path.stat()
    assert (after.st_size, after.st_mtime_ns) == (before.st_size, before.st_mtime_ns)


def replace(path):
    before = path.stat()
    other = Path(write_clip(path.with_name("other.wav"), 999))
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.replace(path)


def append(path):
    y, sr = sf.read(path)
    sf.write(path, np.tile(y, 2), sr)


def swap(path):
    """With its neighbour, which therefore changes too but has a vector already."""
    neighbour = sorted(path.parent.iterdir())[0]
    spare = path.with_name("spare.wav")
    path.rename(spare)
    neighbour.rename(path)
    spare.rename(neighbour)


@pytest.mark.parametrize(("change", "in_a_process"), [
    (edit, False), (edit_and_put_the_date_back, False), (replace, False), (append, False),
    (swap, False), (edit_and_put_the_date_back, True), (replace, True),
])  # fmt: skip
def test_a_changed_clip_is_extracted_again_and_nothing_else(
    cache, clips, loaded, change, in_a_process
):
    extract(clips)
    before = rows_of(cache)
    time.sleep(0.05)  # a few ticks of the file system's clock
    change(Path(clips[7]))
    loaded.clear()
    if in_a_process:
        calls, X, _, _ = finish(start(clips, cache))
    else:
        X, calls = extract(clips), list(loaded)
    after = rows_of(cache)
    assert calls == ([] if change is swap else [clips[7]])
    assert len(after) == len(before) + len(calls) and before.items() <= after.items()
    np.testing.assert_array_equal(X, plainly(clips))


def test_a_touched_or_moved_clip_is_known_by_its_content(cache, clips, loaded):
    X = extract(clips)
    loaded.clear()
    os.utime(clips[0])
    moved = str(Path(clips[1]).rename(Path(clips[1]).with_name("moved_sad.wav")))
    np.testing.assert_array_equal(extract([clips[0], moved, *clips[2:]]), X)
    assert loaded == []


def test_the_same_content_under_two_paths_is_extracted_once(cache, clips, loaded):
    twin = shutil.copy(clips[0], Path(clips[0]).with_name("twin_sad.wav"))
    X = extract([*clips, twin, clips[0]])
    assert len(loaded) == len(clips) and len(rows_of(cache)) == len(clips)
    np.testing.assert_array_equal(X[-2], X[0])
    np.testing.assert_array_equal(X[-1], X[0])
    write_clip(Path(twin), 999)  # the twins part
    np.testing.assert_array_equal(extract([clips[0], twin]), plainly([clips[0], twin]))


def test_a_clip_that_was_just_written_is_hashed_again(cache, clips, monkeypatch):
    """Two edits within one tick of the clock leave the same stamp: a young one isn't trusted."""
    monkeypatch.setattr(de, "FRESH", 100)
    store = de.FeatureCache(cache)
    before = store.digests(clips)
    known = store._db.execute("SELECT count(*) FROM clips").fetchone()[0]
    store.close()
    assert len(before) == len(clips) and known == 0
    monkeypatch.setattr(de, "FRESH", 0)
    store = de.FeatureCache(cache)
    assert store.digests(clips) == before
    assert store._db.execute("SELECT count(*) FROM clips").fetchone()[0] == len(clips)
    store.close()


@pytest.mark.parametrize("moment", ["before it is read", "after"])
def test_a_clip_edited_while_it_is_extracted_does_not_spoil_the_cache(
    cache, clips, monkeypatch, moment
):
    """Neither the clip nor another one that holds what it held may get the other content's."""
    twin = shutil.copy(clips[0], Path(clips[0]).with_name("twin_sad.wav"))
    want, load = plainly([twin]), utils.load_audio

    def editing(source, **options):
        if moment == "after":
            y = load(source, **options)
            write_clip(Path(source), 999)
            return y
        write_clip(Path(source), 999)
        return load(source, **options)

    monkeypatch.setattr(utils, "load_audio", editing)
    extract(clips[:1])
    monkeypatch.setattr(utils, "load_audio", load)
    np.testing.assert_array_equal(extract([twin]), want)
    np.testing.assert_array_equal(extract(clips[:1]), plainly(clips[:1]))


def test_adding_ten_clips_extracts_ten(cache, clips):
    extract(clips)
    before = rows_of(cache)
    added = write_clips(Path(clips[0]).parent, 10, first=len(clips))
    loaded, X, _, _ = finish(start(clips + added, cache))
    assert sorted(loaded) == sorted(added)
    assert len(rows_of(cache)) == len(before) + 10 and before.items() <= rows_of(cache).items()
    np.testing.assert_array_equal(X, plainly(clips + added))


def test_other_features_never_meet(cache, clips, loaded):
    sets = [["mfcc"], ["chroma"], ["mfcc", "chroma"], ["mel", "contrast"], ["mfcc", "mel"]]
    for features in sets * 2:
        config = get_audio_config(features)
        want = np.stack([extract_feature(path, **config) for path in clips[:3]])
        np.testing.assert_array_equal(extract(clips[:3], config), want)
    assert len(rows_of(cache)) == 3 * len(sets)


def test_other_functionals_never_meet(cache, clips, loaded):
    """Nor do the features of a voice, whose default functionals are others."""
    settings = [
        (["mfcc"], {}), (["mfcc"], {"functionals": ["std"]}),
        (["prosody"], {}), (["prosody"], {"functionals": ["mean"]}),
        (["mfcc", "prosody"], {"functionals": ["mean", "std"]}), (["modulation"], {}),
    ]  # fmt: skip
    for features, options in settings * 2:
        config = get_audio_config(features)
        want = np.stack([extract_feature(path, **config, **options) for path in clips[:3]])
        np.testing.assert_array_equal(extract(clips[:3], config, **options), want)
    assert len(rows_of(cache)) == 3 * len(settings)
    loaded.clear()
    for features, options in settings:
        extract(clips[:3], get_audio_config(features), **options)
    assert loaded == []


def test_a_config_that_names_only_what_is_on_means_only_that(cache, clips):
    np.testing.assert_array_equal(extract(clips, {"mfcc": True}), plainly(clips)[:, :40])
    with pytest.raises(ValueError, match="mfcc, chroma, mel, contrast, tonnetz"):
        extract(clips, {"mfccs": True})


def edited_copy(folder, module, old, new):
    """A copy of the modules that make vectors, one of them changed."""
    folder.mkdir()
    for name in MODULES:
        shutil.copy(REPO / name, folder)
    source = (folder / module).read_text()
    assert old in source
    (folder / module).write_text(source.replace(old, new))
    return folder


def test_another_version_of_the_code_never_meets_old_values(cache, clips, tmp_path, loaded):
    old = extract(clips)
    made = "return ft.extract(y, "
    code = edited_copy(tmp_path / "code", "utils.py", made, made.replace("return", "return 1 +"))
    calls, new, _, _ = finish(start(clips, cache, cwd=code))
    assert len(calls) == len(clips)
    np.testing.assert_allclose(new, old + 1, rtol=1e-6)
    loaded.clear()
    np.testing.assert_array_equal(extract(clips), old)  # the version before still has its own
    assert loaded == []


EDITS = {
    "features.py": ("def extract(", "X = 1\n\n\ndef extract("),
    "voice.py": ("N_BANDS, N_CEPSTRA", "X = 1\nN_BANDS, N_CEPSTRA"),
    "parameters.py": ("SAMPLE_RATE = 16_000", "SAMPLE_RATE = 8_000"),
    "audio.py": ("    return y\n", "    return y / 2\n"),
    "utils.py": ("return ft.extract(y, ", "return 2 * ft.extract(y, "),
    "degradations.py": ("SNR = 5, 25", "SNR = 5, 20"),
    "create_csv.py": ("COLUMNS = ", "X = 1\nCOLUMNS = "),
}


@pytest.mark.parametrize("module", EDITS)
def test_the_version_holds_the_code_that_makes_vectors_and_no_other(tmp_path, module):
    code = edited_copy(tmp_path / "code", module, *EDITS[module])
    program = "import data_extractor; print(data_extractor.extraction_version())"
    version = subprocess.run([sys.executable, "-c", program], cwd=code, capture_output=True,
                             text=True, check=True).stdout.strip()  # fmt: skip
    assert (version == de.extraction_version()) == (module == "create_csv.py")


def test_the_version_holds_the_libraries(monkeypatch):
    ours = de.extraction_version.__wrapped__()
    assert ours == de.extraction_version()
    real = de.importlib.metadata.version
    for newer in ("librosa", "numba", "soxr", "soundfile", "numpy", "scipy"):
        fake = {newer: "99"}
        monkeypatch.setattr(
            de.importlib.metadata, "version", lambda name, fake=fake: fake.get(name) or real(name)
        )
        assert de.extraction_version.__wrapped__() != ours


# --- several processes, crashes, damage --------------------------------------------------------


def test_two_processes_at_the_same_time_both_end_right(cache, tmp_path, loaded):
    clips = write_clips(tmp_path / "clips", 80)
    go = tmp_path / "go"
    children = [start(paths, cache, go=go) for paths in (clips, clips[::-1])]
    for child in children:
        assert child.stdout.readline() == "ready\n"
    go.touch()
    results = [finish(child) for child in children]
    want = plainly(clips)
    np.testing.assert_array_equal(results[0][1], want)
    np.testing.assert_array_equal(results[1][1], want[::-1])
    assert [err for _, _, _, err in results] == ["", ""]
    assert len(rows_of(cache)) == len(clips)
    with closing(sqlite3.connect(cache / "features.sqlite")) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    loaded.clear()
    np.testing.assert_array_equal(extract(clips), want)
    assert loaded == []


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL is POSIX's")
def test_a_killed_run_resumes_where_it_was(cache, tmp_path):
    clips = write_clips(tmp_path / "clips", 60)
    child = start(clips, cache, pause_at=40)  # in the third batch of 16
    assert [child.stdout.readline() for _ in range(2)] == ["ready\n", "paused\n"]
    child.send_signal(signal.SIGKILL)
    child.communicate()
    assert child.returncode == -signal.SIGKILL
    done = rows_of(cache)
    assert len(done) == 2 * de.BATCH_SIZE
    loaded, X, _, err = finish(start(clips, cache))
    assert sorted(loaded) == sorted(clips[2 * de.BATCH_SIZE :]) and err == ""
    assert done.items() <= rows_of(cache).items() and len(rows_of(cache)) == len(clips)
    np.testing.assert_array_equal(X, plainly(clips))


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL is POSIX's")
def test_a_parallel_run_killed_at_any_moment_resumes(cache, tmp_path):
    clips = write_clips(tmp_path / "clips", 320)
    child = start(clips, cache, n_jobs=2, start_new_session=True)
    deadline = time.monotonic() + 60
    done = {}
    while not done and child.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
        if (cache / "features.sqlite").exists():
            try:
                done = rows_of(cache)
            except sqlite3.OperationalError:  # locked, or without tables yet
                continue
    os.killpg(child.pid, signal.SIGKILL)
    child.communicate()
    assert done
    np.testing.assert_array_equal(extract(clips), plainly(clips))
    after = rows_of(cache)
    assert done.items() <= after.items() and len(after) == len(clips)


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL is POSIX's")
def test_a_run_killed_while_it_writes_leaves_whole_vectors(cache, clips):
    extract(clips)
    before = rows_of(cache)
    code = f"""
import os, signal, sqlite3
db = sqlite3.connect({str(cache / "features.sqlite")!r})
db.execute("PRAGMA cache_size = 1")  # spills to the file before the end
db.execute("UPDATE vectors SET vector = zeroblob(724)")
db.execute("DELETE FROM clips")
os.kill(os.getpid(), signal.SIGKILL)
"""
    child = subprocess.run([sys.executable, "-c", code], check=False)
    assert child.returncode == -signal.SIGKILL
    np.testing.assert_array_equal(extract(clips), plainly(clips))
    assert rows_of(cache) == before


def random_bytes(data, rng):
    return rng.bytes(len(data))


def text(data, rng):
    return b"this is no cache\n" * 100


def cut_in_half(data, rng):
    return data[: len(data) // 2]


def cut_in_a_page(data, rng):
    return data[: len(data) // 2 + 1000]


def cut_in_the_header(data, rng):
    return data[:50]


def zeros_in_the_middle(data, rng):
    third = len(data) // 3
    return data[:third] + bytes(third) + data[2 * third :]


def no_header(data, rng):
    return bytes(100) + data[100:]


def flipped_bits(data, rng):
    flipped = np.frombuffer(data, np.uint8).copy()
    flipped[rng.integers(100, len(data), 300)] ^= 1 << rng.integers(0, 8, 300, dtype=np.uint8)
    return flipped.tobytes()


def noise_at_random_places(data, rng):
    noisy = bytearray(data)
    for place in rng.integers(100, len(data) - 200, 8):
        noisy[place : place + 200] = rng.bytes(200)
    return bytes(noisy)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("damage", [
    random_bytes, text, cut_in_half, cut_in_a_page, cut_in_the_header, zeros_in_the_middle,
    no_header, flipped_bits, noise_at_random_places,
])  # fmt: skip
def test_a_damaged_cache_gives_right_values_all_the_same(cache, clips, damage, seed):
    X = extract(clips)
    file = cache / "features.sqlite"
    data = file.read_bytes()
    file.write_bytes(damage(data, np.random.default_rng(seed)))
    for paths in (clips, clips[::-1]):  # the second time as a healthy one, or as damaged as before
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            got, read = de.extract_features(paths, CONFIG, n_jobs=1, verbose=0)
        assert read.all() and all("damaged" in str(w.message) for w in caught), caught
        np.testing.assert_array_equal(got, X if paths is clips else X[::-1])
    if damage in (random_bytes, text, no_header):
        assert (cache / "features.damaged").exists()
        assert len(rows_of(cache)) == len(clips)


def test_a_vector_with_one_bit_rotten_is_made_again(cache, clips, loaded):
    X = extract(clips)
    file = cache / "features.sqlite"
    for place in (0, 300, 719):
        data = bytearray(file.read_bytes())
        data[data.index(X[3].tobytes()) + place] ^= 1
        file.write_bytes(data)
        loaded.clear()
        np.testing.assert_array_equal(extract(clips), X)
        assert loaded == [clips[3]]


def test_two_processes_meet_a_damaged_cache(cache, clips, tmp_path):
    cache.mkdir()
    (cache / "features.sqlite").write_bytes(np.random.default_rng(0).bytes(50_000))
    children = [start(clips, cache, go=tmp_path / "go") for _ in range(2)]
    for child in children:
        assert child.stdout.readline() == "ready\n"
    (tmp_path / "go").touch()
    for _, X, _, _ in map(finish, children):
        np.testing.assert_array_equal(X, plainly(clips))
    assert len(rows_of(cache)) == len(clips)


READ_ONLY = """
import json, os, sys, warnings
import data_extractor as de, utils
de.FRESH = 0
clips, spare, cache = json.loads(sys.argv[1])
config = utils.get_audio_config(["mfcc"])
want, _ = de.extract_features(clips, config, n_jobs=1, verbose=0, cache_dir=cache)
for path in (os.path.join(cache, "features.sqlite"), cache):
    os.chmod(path, 0o555)
if os.geteuid() == 0:
    os.seteuid(65534)  # to root nothing is read-only
loaded, load = [], utils.load_audio
utils.load_audio = lambda source, **options: loaded.append(source) or load(source, **options)
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    X, read = de.extract_features([*clips, spare], config, n_jobs=1, verbose=0, cache_dir=cache)
assert (X[:-1] == want).all() and read.all()
assert (X[-1] == utils.extract_feature(spare, chroma=False, mel=False)).all()
print(json.dumps([loaded, [str(w.message) for w in caught]]))
"""


@pytest.mark.skipif(os.name != "posix", reason="permissions are POSIX's")
def test_a_read_only_cache_is_read_and_says_that_nothing_is_kept():
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        folder.chmod(0o755)
        clips, cache = write_clips(folder, 4), folder / "cache"
        arguments = json.dumps([clips[:3], clips[3], str(cache)])
        child = subprocess.run([sys.executable, "-c", READ_ONLY, arguments], cwd=REPO,
                               capture_output=True, text=True, check=False)  # fmt: skip
        cache.chmod(0o755)
        assert child.returncode == 0, child.stderr
        loaded, messages = json.loads(child.stdout)
        assert loaded == [clips[3], clips[3]]  # by the cache's side, and by the test's
        assert len(messages) == 1 and "SER_CACHE_DIR" in messages[0]
        assert len(rows_of(cache)) == 3


def test_a_cache_folder_that_cannot_be_made_is_survived(clips, tmp_path):
    (tmp_path / "in the way").write_text("x")
    (tmp_path / "folder" / "features.sqlite").mkdir(parents=True)
    for cache_dir in (tmp_path / "in the way", tmp_path / "in the way" / "x", tmp_path / "folder"):
        with pytest.warns(UserWarning, match="SER_CACHE_DIR") as caught:
            X, read = de.extract_features(clips, CONFIG, n_jobs=1, verbose=0, cache_dir=cache_dir)
        assert len(caught) == 1 and read.all()
        np.testing.assert_array_equal(X, plainly(clips))


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere every file name is Unicode")
def test_file_names_of_every_kind_are_cached(cache, clips, loaded):
    folder = Path(clips[0]).parent
    names = ["it's; DROP TABLE clips--", "ключ", "Zoë ✓", "-r", "%s {marks} ?"]
    names.append(os.fsdecode(b"Zo\xeb"))
    paths = [str(folder / f"{name}_sad.wav") for name in names]
    for clip, path in zip(clips, paths, strict=False):
        Path(clip).rename(path)
    want = plainly(paths)
    np.testing.assert_array_equal(extract(paths), want)
    loaded.clear()
    np.testing.assert_array_equal(extract(paths), want)
    assert loaded == []


# --- clips that can't be read ------------------------------------------------------------------


def spoil(clips):
    """Make five of 20 clips unreadable; return their places."""
    Path(clips[0]).write_bytes(b"")
    Path(clips[4]).write_bytes(b"")  # of the same content as another one
    Path(clips[5]).write_bytes(Path(clips[5]).read_bytes()[:1000])
    Path(clips[11]).write_text("this is no audio")
    Path(clips[19]).unlink()
    return [0, 4, 5, 11, 19]


def write_desc(path, clips, emotions):
    frame = pd.DataFrame({"path": clips, "emotion": emotions, "corpus": "custom",
                          "speaker": [Path(clip).name[:2] for clip in clips]})  # fmt: skip
    frame[["path", "emotion", "speaker", "corpus"]].to_csv(path, index=False)
    return path


def test_unreadable_clips_are_left_out_counted_and_named_in_one_warning(cache, clips):
    bad = spoil(clips)
    good = [path for i, path in enumerate(clips) if i not in bad]
    for _ in range(2):  # the cache remembers no failure as a vector
        with pytest.warns(UserWarning, match="^5 clip") as caught:
            X, read = de.extract_features(clips, CONFIG, n_jobs=1, verbose=0)
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
        de.extract_features(clips, CONFIG, n_jobs=1, verbose=0)
    for i in bad:
        write_clip(Path(clips[i]), i)
    np.testing.assert_array_equal(extract(clips), plainly(clips))


def test_many_unreadable_clips_are_counted_but_not_all_listed(cache, tmp_path):
    paths = [tmp_path / f"{i:03d}_sad.wav" for i in range(de.NAMED_FAILURES + 7)]
    with pytest.warns(UserWarning, match=f"^{len(paths)} clip") as caught:
        X, read = de.extract_features(paths, CONFIG, n_jobs=1, verbose=0)
    assert X.shape == (0, 180) and not read.any() and "7 more" in str(caught[0].message)


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_on_error_raise_stops_at_the_first(cache, tmp_path, loaded, n_jobs):
    clips = write_clips(tmp_path / "clips", 64)
    Path(clips[20]).write_text("this is no audio")
    with pytest.raises(AudioError, match=Path(clips[20]).name):
        de.extract_features(clips, CONFIG, n_jobs=n_jobs, verbose=0, on_error="raise")
    assert n_jobs == 2 or clips[32] not in loaded
    with pytest.raises(ValueError, match=r"warn, raise.*Did you mean 'raise'"):
        de.extract_features(clips, CONFIG, on_error="raises")


def test_two_jobs_give_what_one_gives(cache, tmp_path):
    clips = write_clips(tmp_path / "clips", 50)
    Path(clips[30]).write_bytes(b"")
    results = []
    for n_jobs in (1, 2):
        with pytest.warns(UserWarning, match="^1 clip"):
            results.append(de.extract_features(clips, CONFIG, n_jobs=n_jobs, verbose=0,
                                               cache_dir=tmp_path / f"cache{n_jobs}"))  # fmt: skip
    np.testing.assert_array_equal(results[0][0], results[1][0])
    np.testing.assert_array_equal(results[0][1], results[1][1])
    assert set(rows_of(tmp_path / "cache1")) == set(rows_of(tmp_path / "cache2"))


def test_progress_shows_the_clips_and_can_be_silenced(cache, clips, capfd):
    de.extract_features(clips, CONFIG, n_jobs=1, verbose=0)
    assert capfd.readouterr() == ("", "")
    de.extract_features(clips, CONFIG, n_jobs=1, verbose=1)
    assert capfd.readouterr() == ("", "")  # nothing to do
    de.extract_features(clips, get_audio_config(["mel"]), n_jobs=1, verbose=1)
    assert "20/20" in capfd.readouterr().err


def test_no_clips_are_an_empty_matrix(cache):
    X, read = de.extract_features([], CONFIG, verbose=0)
    assert X.shape == (0, 180) and X.dtype == np.float32 and read.shape == (0,)


# --- load_data ---------------------------------------------------------------------------------

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
    drawn = {path for seed in range(12) for path in load(desc_files, random_state=seed)[
        "train_audio_paths"]}  # fmt: skip
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


def test_regression_knows_two_sets_of_emotions_and_says_so_at_once(desc_files, loaded):
    with pytest.raises(ValueError, match="classification=True"):
        load(desc_files, classification=False, emotions=["sad", "angry"])
    assert loaded == []


def test_an_emotion_without_a_clip_to_train_on_raises(desc_files):
    with pytest.raises(ValueError, match=r"No train clips of boredom.*train\.csv"):
        load(desc_files, emotions=["sad", "boredom"])
    with pytest.raises(ValueError, match="No train clips of sad"):
        de.AudioExtractor(corpora=["emodb"], n_jobs=1, verbose=0).load(desc_files[0])


def test_an_emotion_without_a_clip_to_test_on_is_said(desc_files, tmp_path):
    table = pd.read_csv(desc_files[1])
    table[table.emotion != "sad"].to_csv(tmp_path / "less.csv", index=False)
    with pytest.warns(UserWarning, match="No test clips of sad"):
        data = load([desc_files[0], tmp_path / "less.csv"])
    assert set(data["y_test"]) == {"neutral", "happy"} and "sad" in data["y_train"]
    with pytest.raises(ValueError, match="No test clips of sad"):
        load([desc_files[0], tmp_path / "less.csv"], emotions=["sad"])


def test_a_table_is_read_as_its_desc_file(desc_files):
    extractor = de.AudioExtractor(n_jobs=1, verbose=0, random_state=4)
    X, y, rows = extractor.load(desc_files[0])
    table = de.read_desc_file(desc_files[0])
    before = table.copy()
    again = extractor.read(table)
    np.testing.assert_array_equal(again[0], X)
    assert again[1].tolist() == y.tolist() and again[2].equals(rows)
    pd.testing.assert_frame_equal(table, before)
    part = table[table.speaker == table.speaker[0]]  # its index has gaps
    X, y, rows = de.AudioExtractor(balance=False, shuffle=False, n_jobs=1, verbose=0).read(part)
    wanted = part[part.emotion.isin(["sad", "neutral", "happy"])]
    assert rows.path.tolist() == wanted.path.tolist() and y.tolist() == wanted.emotion.tolist()
    assert rows.index.tolist() == list(range(len(wanted)))
    np.testing.assert_array_equal(X, plainly(wanted.path))


def test_what_a_table_lacks_is_said_with_its_source(desc_files):
    table = de.read_desc_file(desc_files[0])
    extractor = de.AudioExtractor(emotions=["sad", "boredom"], n_jobs=1, verbose=0)
    with pytest.raises(ValueError, match="No train clips of boredom in these rows"):
        extractor.read(table)
    with pytest.warns(UserWarning, match="No test clips of boredom in my table"):
        assert set(extractor.read(table, "test", "my table")[1]) == {"sad"}


def test_an_extractors_settings_reach_its_vectors(desc_files, tmp_path):
    extractor = de.AudioExtractor(
        get_audio_config(["mel", "prosody"]), functionals=["std"], balance=False, shuffle=False,
        n_jobs=1, verbose=0, cache_dir=tmp_path / "mine",
    )  # fmt: skip
    X, _, rows = extractor.load(desc_files[1])
    want = [extract_feature(path, **extractor.audio_config, functionals=["std"])
            for path in rows.path]  # fmt: skip
    np.testing.assert_array_equal(X, want)
    same, other = extractor.extractor(), extractor.extractor(min_duration=0.2, cache=False)
    assert same.get_params() == {
        "features": ["mel", "prosody"], "functionals": ["std"], "n_jobs": 1, "verbose": 0,
        "cache": tmp_path / "mine", "sr": 16000, "min_duration": 0.1,
    }  # fmt: skip
    assert other.get_params() == same.get_params() | {"min_duration": 0.2, "cache": False}
    np.testing.assert_array_equal(same.transform(rows.path), X)
    plain = de.AudioExtractor().extractor()
    assert plain.features == [*ft.DEFAULT_FEATURES] and plain.functionals is None
    assert plain.cache is True
    with pytest.raises(TypeError, match="pace"):
        extractor.extractor(pace=2)


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


def test_importing_is_cheap():
    code = "import sys, data_extractor; print(*sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], cwd=REPO, capture_output=True, text=True,
                         check=True).stdout.split()  # fmt: skip
    assert "data_extractor" in out
    assert not {"tensorflow", "pyaudio", "matplotlib.pyplot", "librosa.core"} & set(out)


# SpeechFeatures: the same road, as a scikit-learn transformer

NOT_OF_ITS_INPUT = {
    "check_n_features_in": "recordings have no number of features",
    "check_n_features_in_after_fitting": "recordings have no number of features",
    "check_fit1d": "a one-dimensional X is a list of paths",
    "check_fit2d_predict1d": "its error is audio.load_audio's, which speaks of recordings",
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
    [de.SpeechFeatures(min_duration=0)],  # the checks' "recordings" have two to ten samples
    expected_failed_checks=lambda estimator: NOT_OF_ITS_INPUT,
)
def test_scikit_learns_own_checks(estimator, check):
    check(estimator)


def test_paths_arrays_and_matrices_give_the_same_features(cache, clips):
    expected = plainly(clips)
    signals = [load_audio(path) for path in clips]
    length = min(map(len, signals))
    np.testing.assert_array_equal(de.SpeechFeatures().transform(clips), expected)
    np.testing.assert_array_equal(de.SpeechFeatures().transform(np.array(clips)), expected)
    np.testing.assert_array_equal(de.SpeechFeatures().transform(pd.Series(clips)), expected)
    np.testing.assert_array_equal(de.SpeechFeatures(n_jobs=2).transform(signals), expected)
    matrix = np.stack([y[:length] for y in signals])
    np.testing.assert_array_equal(
        de.SpeechFeatures().transform(matrix), [extract_feature(y, sr=16000) for y in matrix]
    )
    half = de.SpeechFeatures(sr=8000).transform(matrix)
    np.testing.assert_array_equal(half, [extract_feature(y, sr=8000) for y in matrix])
    assert de.SpeechFeatures().transform([]).shape == (0, 180)


def test_arrays_that_cant_be_read_raise(cache, clips):
    y = load_audio(clips[0])
    with pytest.raises(AudioError, match="NaN"):
        de.SpeechFeatures().transform([y, np.where(np.arange(len(y)) == 7, np.nan, y)])
    with pytest.raises(AudioError, match="at least"):
        de.SpeechFeatures().transform([y[:100]])


def test_columns_have_names_in_pandas_too(cache, clips):
    features = de.SpeechFeatures(["tonnetz", "mfcc"]).set_output(transform="pandas")
    paths = pd.Series(clips, index=[f"clip {i}" for i in range(len(clips))])
    table = features.fit_transform(paths)
    assert table.columns.tolist() == ft.feature_names(["mfcc", "tonnetz"])
    assert table.index.tolist() == paths.index.tolist()
    np.testing.assert_array_equal(table, plainly_with(clips, mfcc=True, tonnetz=True))


@pytest.mark.parametrize("options", [
    {"features": ["prosody", "mel"]}, {"functionals": ["std", "mean"]},
    {"features": ["quality"], "functionals": ("p50",)},
])  # fmt: skip
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
    de.SpeechFeatures(cache=False).transform(clips)
    assert not cache.exists()
    de.SpeechFeatures(cache=tmp_path / "mine").transform(clips)
    assert (tmp_path / "mine" / "features.sqlite").is_file() and not cache.exists()


def test_a_longer_minimum_is_kept_apart_in_the_cache(cache, clips):
    de.SpeechFeatures(min_duration=0).transform(clips)
    with pytest.raises(AudioError, match="min_duration"):
        de.SpeechFeatures(min_duration=60).transform(clips)


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
        [("features", de.SpeechFeatures()), ("scale", StandardScaler()), ("svc", SVC())]
    )
    scores = cross_val_score(pipeline, paths, emotions, groups=speakers, cv=GroupKFold(3))
    assert scores.mean() > 0.7  # chance is 0.5
    grid = {"features__features": [["mfcc"], ["chroma"]], "svc__C": [1, 10]}
    search = GridSearchCV(pipeline, grid, cv=GroupKFold(3))
    search.fit(paths, emotions, groups=speakers)
    assert search.best_params_["features__features"] == ["mfcc"]
    assert set(search.predict(paths)) == {"angry", "sad"}
