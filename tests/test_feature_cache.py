"""The feature cache: edits, versions, crashes, damage, several processes.

What was extracted is counted twice over: by the calls of `audio.load_audio` within a process, and
by the cache's rows, which SQLite numbers anew whenever one is written again.
"""

import hashlib
import importlib.metadata
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
from contextlib import closing
from dataclasses import replace as replace_fields
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from conftest import REPO, bundled_clip
from tiny_encoder import write_tiny_encoder

import augmentation
import data_extractor as de
import feature_cache as fc
import features as ft
import utils
from audio import load_audio
from utils import extract_feature, get_audio_config

FEATURES = ["mfcc", "chroma", "mel"]

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
print("ready", flush=True)
while go:
    try:
        open(go).close()
        break
    except FileNotFoundError:
        time.sleep(0.001)
X, read = de.extract_features(paths, ["mfcc", "chroma", "mel"], n_jobs=n_jobs, verbose=0)
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
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, arguments],
        cwd=cwd,
        env=env,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        **options,
    )


def finish(child):
    """What such a process has loaded and found."""
    out, err = child.communicate(timeout=100)
    assert child.returncode == 0, err
    result = json.loads(out.splitlines()[-1])
    return result["loaded"], np.array(result["X"], dtype=np.float32), np.array(result["read"]), err


@pytest.fixture
def clips(tmp_path):
    return write_clips(tmp_path / "clips", 20)


def extract(paths, features=FEATURES, **options):
    """X, where no clip is left out and nothing is warned of."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        X, read = de.extract_features(paths, features, n_jobs=1, verbose=0, **options)
    assert read.all() and read.shape == (len(paths),)
    return X


# the clock


@pytest.mark.parametrize("hours", [-24 * 365, -1, 1], ids=["a year back", "an hour back", "ahead"])
def test_a_clock_that_was_set_gives_no_former_vectors(hours, tmp_path, clips, monkeypatch):
    monkeypatch.setenv("SER_CACHE_DIR", str(tmp_path / "cache"))
    real, later = time.time_ns, [0]
    monkeypatch.setattr(fc.time, "time_ns", lambda: real() + later[0])
    later[0] = 3600 * 10**9  # the clips have long been there
    extract(clips)
    later[0] = hours * 3600 * 10**9
    future = real() + 3600 * 10**9
    for path in clips[:5]:  # their dates are in the future, too, and the size is the same
        write_clip(Path(path), 999)
        os.utime(path, ns=(future, future))
    np.testing.assert_array_equal(extract(clips), plainly(clips))
    for path in clips[:5]:
        write_clip(Path(path), 1000)
        os.utime(path, ns=(future, future))
    np.testing.assert_array_equal(extract(clips), plainly(clips))


# clip by clip


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


@pytest.mark.slow
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


@pytest.mark.parametrize(
    ("change", "in_a_process"),
    [
        (edit, False),
        (edit_and_put_the_date_back, False),
        (replace, False),
        (append, False),
        (swap, False),
        (edit_and_put_the_date_back, True),
        pytest.param(replace, True, marks=pytest.mark.slow),
    ],
)
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
    monkeypatch.setattr(fc, "FRESH", 100)
    store = fc.FeatureCache(cache)
    before = store.digests(clips)
    known = store._db.execute("SELECT count(*) FROM clips").fetchone()[0]
    store.close()
    assert len(before) == len(clips) and known == 0
    monkeypatch.setattr(fc, "FRESH", 0)
    store = fc.FeatureCache(cache)
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


def test_adding_ten_clips_extracts_ten(cache, clips, loaded):
    extract(clips)
    before = rows_of(cache)
    loaded.clear()
    added = write_clips(Path(clips[0]).parent, 10, first=len(clips))
    X = extract(clips + added)
    assert sorted(loaded) == sorted(added)
    assert len(rows_of(cache)) == len(before) + 10 and before.items() <= rows_of(cache).items()
    np.testing.assert_array_equal(X, plainly(clips + added))


def test_other_features_never_meet(cache, clips, loaded):
    sets = [["mfcc"], ["chroma"], ["mfcc", "chroma"], ["mel", "contrast"], ["mfcc", "mel"]]
    for features in sets * 2:
        config = get_audio_config(features)
        want = np.stack([extract_feature(path, **config) for path in clips[:3]])
        np.testing.assert_array_equal(extract(clips[:3], features), want)
    assert len(rows_of(cache)) == 3 * len(sets)


def test_other_functionals_never_meet(cache, clips, loaded):
    """Nor do those of features whose default functionals are others."""
    settings = [
        (["mfcc"], {}),
        (["mfcc"], {"functionals": ["std"]}),
        (["prosody"], {}),
        (["prosody"], {"functionals": ["mean"]}),
        (["mfcc", "prosody"], {"functionals": ["mean", "std"]}),
        (["modulation"], {}),
    ]
    for features, options in settings * 2:
        config = get_audio_config(features)
        want = np.stack([extract_feature(path, **config, **options) for path in clips[:3]])
        np.testing.assert_array_equal(extract(clips[:3], features, **options), want)
    assert len(rows_of(cache)) == 3 * len(settings)
    loaded.clear()
    for features, options in settings:
        extract(clips[:3], features, **options)
    assert loaded == []


def test_a_comment_throws_no_vector_away(cache, clips, tmp_path):
    X = extract(clips)
    before = rows_of(cache)
    code = tmp_path / "code"
    code.mkdir()
    for path in REPO.glob("*.py"):
        (code / path.name).write_text(path.read_text() + "\n# a comment\n")
    loaded, again, _, _ = finish(start(clips, cache, cwd=code))
    assert loaded == [] and rows_of(cache) == before
    np.testing.assert_array_equal(again, X)


def test_another_version_of_the_code_never_meets_old_values(cache, clips, loaded, monkeypatch):
    old, load = extract(clips), utils.load_audio
    with monkeypatch.context() as patch:
        patch.setattr(utils, "load_audio", lambda *args, **options: -load(*args, **options) / 2)
        patch.setattr(fc, "VERSION", 99)
        loaded.clear()
        new, want = extract(clips), plainly(clips)
        assert len(loaded) == 2 * len(clips) and not np.array_equal(new, old)
        np.testing.assert_array_equal(new, want)
    loaded.clear()
    np.testing.assert_array_equal(extract(clips), old)  # the version before still has its own
    assert loaded == []


def test_another_version_of_a_feature_leaves_the_vectors_of_others(
    cache, clips, loaded, monkeypatch
):
    for features in (["mfcc"], ["mel"]):
        extract(clips[:3], features)
    newer = replace_fields(ft.REGISTRY["mfcc"], version=ft.REGISTRY["mfcc"].version + 1)
    monkeypatch.setitem(ft.REGISTRY, "mfcc", newer)
    loaded.clear()
    extract(clips[:3], ["mel"])
    assert loaded == []
    for features in (["mfcc"], ["mfcc", "mel"]):
        loaded.clear()
        extract(clips[:3], features)
        assert sorted(loaded) == sorted(clips[:3])


def test_the_version_holds_the_libraries(monkeypatch):
    ours, real = fc.extraction_version(), importlib.metadata.version
    assert ours == fc.extraction_version() == de.extraction_version() == de.source_version()
    libraries = {"numba", "soxr", "soundfile", "numpy", "scipy"}
    assert libraries <= set(ft.LIBRARIES)
    for newer in (*ft.LIBRARIES, "onnxruntime"):
        fake = {newer: "99"}
        monkeypatch.setattr(
            importlib.metadata, "version", lambda name, fake=fake: fake.get(name) or real(name)
        )
        assert fc.extraction_version() != ours


def test_vectors_of_encoders_never_meet(cache, clips, tmp_path, loaded, monkeypatch):
    path = tmp_path / "tiny.onnx"
    tiny = f"encoder:{write_tiny_encoder(path)}"
    names = ["encoder", "encoder:whisper-base@2", tiny, f"{tiny}@0"]
    vectors = {name: extract(clips[:3], [name]) for name in names}
    assert len(loaded) == 12
    settings = fc.cache_settings(["encoder"], {})
    monkeypatch.setenv("SER_ENCODER_PRECISION", "float16")
    assert fc.cache_settings(["encoder"], {}) != settings
    monkeypatch.delenv("SER_ENCODER_PRECISION")
    assert fc.cache_settings(["encoder"], {}) == settings
    loaded.clear()
    for name in names:
        np.testing.assert_array_equal(extract(clips[:3], [name]), vectors[name])
    assert not loaded
    moved = f"encoder:{path.rename(tmp_path / 'same.onnx')}"
    np.testing.assert_array_equal(extract(clips[:3], [moved]), vectors[tiny])
    assert not loaded  # what an encoder is counts, not where it lies


@pytest.mark.slow
def test_a_new_process_sees_another_encoder_in_the_same_file(cache, clips, tmp_path):
    path, found = tmp_path / "tiny.onnx", []
    for seed in (0, 1):
        write_tiny_encoder(path, seed)
        code = (
            "import data_extractor, sys; "
            "X, _ = data_extractor.extract_features(sys.argv[2:], ['encoder:' + sys.argv[1]], "
            "n_jobs=1, verbose=0); print(X.sum())"
        )
        command = [sys.executable, "-c", code, str(path), *clips[:2]]
        done = subprocess.run(command, cwd=REPO, capture_output=True, text=True, check=True)
        found.append(done.stdout)
    assert found[0] != found[1]


# several processes, crashes, damage


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


@pytest.mark.slow
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
    clips = write_clips(tmp_path / "clips", 160)
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
@pytest.mark.parametrize(
    "damage",
    [
        random_bytes,
        text,
        cut_in_half,
        cut_in_a_page,
        cut_in_the_header,
        zeros_in_the_middle,
        no_header,
        flipped_bits,
        noise_at_random_places,
    ],
)
def test_a_damaged_cache_gives_right_values_all_the_same(cache, clips, damage, seed):
    X = extract(clips)
    file = cache / "features.sqlite"
    data = file.read_bytes()
    file.write_bytes(damage(data, np.random.default_rng(seed)))
    for paths in (clips, clips[::-1]):  # the second time as a healthy one, or as damaged as before
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            got, read = de.extract_features(paths, FEATURES, n_jobs=1, verbose=0)
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


@pytest.mark.slow
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
import data_extractor as de, feature_cache, utils
feature_cache.FRESH = 0
clips, spare, cache = json.loads(sys.argv[1])
config = ["mfcc"]
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
def test_a_read_only_cache_is_read_and_a_warning_reports_that_nothing_is_kept():
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        folder.chmod(0o755)
        clips, cache = write_clips(folder, 4), folder / "cache"
        arguments = json.dumps([clips[:3], clips[3], str(cache)])
        child = subprocess.run(
            [sys.executable, "-c", READ_ONLY, arguments],
            cwd=REPO,
            capture_output=True,
            text=True,
            check=False,
        )
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
            X, read = de.extract_features(clips, FEATURES, n_jobs=1, verbose=0, cache_dir=cache_dir)
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


# what comes before the features

SAMPLES = {
    "stereo at 44.1 kHz": [0.15, -0.164371, 0.156877, 0.056658],
    "16-bit integers": [0.07499, -0.082169, 0.078422, 0.02833],
    "clip": [0.110493, -0.07193, -0.158386, 0.143982],
    "speed 0.88": [0.110352, -0.0754, 0.004821, -0.019895],
    "speed 1.14": [0.109941, -0.062631, 0.163388, 0.23143],
    "speed 0.94": [0.110353, 0.029095, 0.025652, 0.001134],
    "speed 1.07": [0.110175, 0.385672, 0.357978, 0.087459],
    "copy 0": [0.093748, -0.052974, -0.084613, 0.01942],
    "copy 1": [0.125848, -0.006949, -0.190002, 0.201448],
    "copy 2": [0.097812, -0.076276, -0.170575, 0.154705],
    "copy 3": [0.121218, -0.070931, -0.118195, 0.091622],
}


def measured_samples():
    """Level and three samples of what loading and augmentation make of fixed sounds."""
    t = np.arange(22050) / 44100
    stereo = 0.3 * np.stack([np.sin(2 * np.pi * 440 * t), np.sin(2 * np.pi * 3000 * t)], axis=1)
    y = load_audio(bundled_clip("angry"))
    sounds = {
        "stereo at 44.1 kHz": load_audio(stereo, orig_sr=44100),
        "16-bit integers": load_audio((2**14 * stereo).astype(np.int16), orig_sr=44100),
        "clip": y,
        **{f"speed {speed}": augmentation.at_speed(y, speed) for speed in augmentation.SPEEDS},
        **{f"copy {copy}": augmentation.noisy_copy(y, copy) for copy in range(4)},
    }
    return {
        name: [float(np.sqrt(np.mean(np.square(y)))), *map(float, y[1999:8000:2003])]
        for name, y in sounds.items()
    }


def test_loading_and_augmentation_are_as_the_declared_version_says():
    """If it fails: raise feature_cache.VERSION, then print measured_samples() into SAMPLES."""
    assert fc.VERSION == 1
    found = measured_samples()
    assert found.keys() == SAMPLES.keys()
    for name, numbers in SAMPLES.items():
        assert found[name] == pytest.approx(numbers, abs=1e-4), name


# what can't be hashed, or written


@pytest.mark.skipif(os.name != "posix", reason="FIFOs and devices are POSIX's")
def test_what_is_no_regular_file_is_left_out(cache, tmp_path):
    os.mkfifo(tmp_path / "fifo.wav")
    paths = [str(tmp_path / "fifo.wav"), "/dev/zero", str(tmp_path), "a\0b", bundled_clip("sad")]
    with closing(fc.FeatureCache()) as db:
        assert list(db.digests(paths)) == paths[-1:]
    with pytest.warns(UserWarning, match=r"4 clip\(s\) left out") as caught:
        X, read = de.extract_features(paths, ["mfcc"], n_jobs=1, verbose=0)
    assert read.tolist() == [False] * 4 + [True] and len(X) == 1
    assert str(caught[0].message).count("isn't a regular file") == 2


def test_a_file_is_hashed_block_by_block(cache, tmp_path, monkeypatch):
    monkeypatch.setattr(fc, "BLOCK", 1000)
    path = tmp_path / "file"
    path.write_bytes(os.urandom(4500))
    expected = hashlib.sha256(path.read_bytes()).digest()[:16]
    with closing(fc.FeatureCache()) as db:
        assert db.digests([str(path)]) == {str(path): expected}
    with path.open("wb") as file:
        file.truncate(fc.LARGEST + 1)  # sparse; to hash it takes half a minute
    with closing(fc.FeatureCache()) as db:
        assert db.digests([str(path)]) == {}


def test_a_damaged_cache_that_cant_be_replaced_ends_nothing(cache):
    cache.mkdir()
    (cache / "features.sqlite").write_bytes(os.urandom(50_000))
    (cache / "features.lock").mkdir()  # nobody can lock it, whoever runs this
    with pytest.warns(UserWarning, match=r"damaged, and can't be replaced.*SER_CACHE_DIR"):
        X, _ = de.extract_features([bundled_clip("sad")], ["mfcc"], n_jobs=1, verbose=0)
    assert X.shape == (1, 40)


TRAIN = """
import sys, warnings
from sklearn.svm import SVC
from emotion_recognition import EmotionRecognizer
options = {"features": ["mfcc"], "corpora": ["custom"], "n_jobs": 1, "verbose": 0}
rec = EmotionRecognizer(SVC(), emotions=["sad", "happy"], data_dir=sys.argv[1], **options).train()
print(len(rec.y_train))
"""


READ_ONLY_MOUNT = 'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && exec "$@"'


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="permissions are POSIX's")
@pytest.mark.parametrize("content", [None, b"damaged" * 9999])
def test_training_needs_no_folder_that_can_be_written(tmp_path, content):
    for part in ("train-custom", "test-custom"):
        (tmp_path / part).mkdir()
        for emotion in ("sad", "happy"):
            for clip in sorted((REPO / "data" / part).glob(f"*_{emotion}.wav"))[:8]:
                shutil.copy(clip, tmp_path / part)
    (tmp_path / "cache").mkdir()
    if content:
        (tmp_path / "cache" / "features.sqlite").write_bytes(content)
    command = [sys.executable, "-c", TRAIN, str(tmp_path)]
    if os.geteuid() == 0:  # whom permissions don't stop
        command = ["unshare", "-m", "sh", "-c", READ_ONLY_MOUNT, str(tmp_path), *command]
        if not shutil.which("unshare") or subprocess.run([*command[:4], "true"]).returncode:
            pytest.skip("root may write anywhere, and may not mount")
    for path in (tmp_path / "cache", tmp_path):
        path.chmod(0o555)
    env = os.environ | {"SER_CACHE_DIR": str(tmp_path / "cache")}
    done = subprocess.run(command, cwd=REPO, env=env, capture_output=True, text=True)
    for path in (tmp_path, tmp_path / "cache"):
        path.chmod(0o755)
    assert done.stdout == "16\n", done.stderr
    assert "Set SER_CACHE_DIR to a folder of your own" in done.stderr


def test_a_cache_that_cannot_be_written_is_named_once(tmp_path, monkeypatch, clips):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("SER_CACHE_DIR", str(tmp_path / "file"))
    with pytest.warns(UserWarning, match="Set SER_CACHE_DIR to a folder of your own") as caught:
        for some in (clips[:2], clips[2:4]):
            X, _ = de.extract_features([*map(str, some)], ["mfcc"], n_jobs=1, verbose=0)
            assert len(X) == 2
    assert len(caught) == 1
