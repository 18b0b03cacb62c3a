"""Recordings of any length and any number: one road, in order, in parallel, resumable."""

import io
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import CancelledError

import numpy as np
import pandas as pd
import pytest
import soundfile as sf
from conftest import REPO, bundled_clip

import audio
import batch
import commands
from audio import load_audio
from checks import replacing
from parameters import SAMPLE_RATE

PREDICT = [sys.executable, str(REPO / "emotion_recognition.py"), "predict"]


@pytest.fixture(scope="module")
def long_clip(bundled_clips, tmp_path_factory):
    """A recording of 33 s or more: path."""
    sounds, n = [], 0
    for path in bundled_clips:
        if n < 33 * SAMPLE_RATE:
            sounds.append(load_audio(path))
            n += len(sounds[-1])
    path = tmp_path_factory.mktemp("long") / "long.wav"
    sf.write(path, np.concatenate(sounds), SAMPLE_RATE)
    return path


def predict(*arguments, **options):
    """Run predict: CompletedProcess."""
    return subprocess.run([*PREDICT, *map(str, arguments)], capture_output=True, **options)


def test_a_long_recording_is_the_average_of_its_windows(bundled, long_clip):
    found = batch.recognise_recording(bundled, long_clip)
    assert "long" in found["warnings"] and sum(found["over_time"].values()) == pytest.approx(1)
    table = bundled.predict_timeline(long_clip, window=3, hop=3, verbose=0)
    seconds = table["end"] - table["start"]
    for emotion, share in found["probabilities"].items():
        assert share == pytest.approx(np.average(table[emotion], weights=seconds), abs=1e-6)
    assert sum(found["probabilities"].values()) == pytest.approx(1)


def test_all_roads_give_the_same_for_a_long_recording(bundled, long_clip, capsys):
    found = batch.recognise_recording(bundled, long_clip)
    one, [same] = bundled.predict_proba(long_clip), bundled.predict_proba([long_clip])
    assert found["probabilities"] == one == same
    assert bundled.predict(long_clip) == found["emotion"] == bundled.predict([long_clip])[0]
    assert commands.main(["predict", str(long_clip), "--json"]) == 0
    [printed] = json.loads(capsys.readouterr().out)
    assert printed["probabilities"] == pytest.approx(one)
    assert printed["over_time"] == pytest.approx(found["over_time"])


@pytest.mark.slow
def test_folders_hold_all_that_can_be_decoded(tmp_path):
    for name in ("a.m4a", "b.mp4", "c.webm", "d.opus", "e.aac", "f.wav"):
        make = [audio.find_ffmpeg("test"), "-v", "error", "-i", bundled_clip("sad")]
        if name == "b.mp4":
            make += ["-f", "lavfi", "-i", "color=s=64x64:d=1", "-shortest"]
        subprocess.run([*make, str(tmp_path / name)], check=True)
    shutil.copy(bundled_clip("sad"), tmp_path / "no ending")
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "data.bin").write_bytes(b"x" * 99)
    done = predict(tmp_path, "--csv", "--no-warnings")
    table = pd.read_csv(io.BytesIO(done.stdout))
    assert done.returncode == 0 and len(table) == 7 and table["emotion"].notna().all()
    assert b"2 file(s) skipped" in done.stderr and b"notes.txt" in done.stderr
    assert predict(tmp_path, "--csv", "--strict").returncode == 1


@pytest.mark.slow
def test_lists_and_tables_name_recordings(tmp_path):
    sad, happy = bundled_clip("sad"), bundled_clip("happy")
    (tmp_path / "list.txt").write_text(f"{sad}\n\n{happy}\n")
    pd.DataFrame({"path": [sad], "start": [0.0], "end": [0.9]}).to_csv(tmp_path / "t.csv")
    listed = predict("--list", tmp_path / "list.txt", "--jsonl").stdout.splitlines()
    assert [json.loads(line)["path"] for line in listed] == [sad, happy]
    piped = predict("--list", "-", "--jsonl", input=f"{sad}\n{happy}\n".encode())
    assert piped.stdout.splitlines() == listed
    [row] = map(json.loads, predict("--data", tmp_path / "t.csv", "--jsonl").stdout.splitlines())
    assert row["path"].startswith(sad) and "0.9 s" in row["path"] and row["emotion"]


@pytest.mark.slow
def test_output_survives_any_encoding(tmp_path):
    names = ["ża.wav", os.fsdecode(b"z\xeb.wav")]
    for name in names:
        shutil.copy(bundled_clip("sad"), tmp_path / name)
    env = os.environ | {"PYTHONIOENCODING": "ascii"}
    for how in ([], ["--csv"], ["--jsonl"], ["--csv", "--raw-csv"]):
        done = predict(tmp_path, *how, env=env)
        assert done.returncode == 0, done.stderr
        assert done.stdout.count(b".wav") == 2 or "--jsonl" in how
        assert how or b"###" in done.stdout


@pytest.mark.slow
def test_a_killed_run_goes_on_and_ends_with_the_same_file(bundled_clips, tmp_path):
    clips, out, whole = bundled_clips[:30], tmp_path / "o.csv", tmp_path / "w.csv"
    assert predict(*clips, "--output", whole).returncode == 0
    journal = tmp_path / "o.csv.resume"
    process = subprocess.Popen([*PREDICT, *clips, "--output", str(out)], stderr=subprocess.DEVNULL)
    while not journal.exists() or journal.read_bytes().count(b"\n") < 3:
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    kept = journal.read_bytes()
    assert 3 <= kept.count(b"\n") < 30
    # what was known is taken from the journal: a changed answer shows
    lines = kept.decode().splitlines()
    key, found = json.loads(lines[0])
    changed = json.dumps([key, found | {"confidence": 0.125}])
    with replacing(tmp_path / "other.csv.resume") as temporary:
        temporary.write_text("\n".join([changed, lines[1][:40]]))
    assert predict(*clips, "--output", out, "--resume").returncode == 0
    assert out.read_bytes() == whole.read_bytes() and not journal.exists()
    assert predict(*clips, "--output", tmp_path / "other.csv", "--resume").returncode == 0
    table = pd.read_csv(tmp_path / "other.csv")
    assert table["confidence"][0] == 0.125 and len(table) == 30


@pytest.mark.slow
def test_processes_give_what_one_gives(bundled_clips):
    clips = bundled_clips[:70]
    one, two = (predict(*clips, "--csv", "--n-jobs", n) for n in (1, 2))
    assert one.returncode == two.returncode == 0 and one.stdout == two.stdout


@pytest.mark.slow
def test_a_closed_pipe_ends_many_recordings_quietly(bundled_clips):
    command = [*PREDICT, *bundled_clips[:70], "--csv", "--no-warnings", "--n-jobs", "2"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout.readline().startswith(b"path,emotion")
        process.stdout.close()
        assert process.stderr.read() == b"" and process.wait() == 1


@pytest.mark.slow
def test_memory_does_not_grow_with_the_length(long_clip, tmp_path):
    y, peaks = load_audio(long_clip), []
    for n in (5, 40):  # 3 and 22 minutes
        path = tmp_path / f"{n}.flac"
        with sf.SoundFile(path, "w", SAMPLE_RATE, 1) as file:
            for _ in range(n):
                file.write(y)
        with subprocess.Popen([*PREDICT, str(path), "--json"], stdout=subprocess.PIPE) as process:
            assert b"over_time" in process.stdout.read()
            _, status, used = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            peaks.append(used.ru_maxrss / 1024)
    whole = 40 * y.nbytes / 2**20
    assert peaks[1] - peaks[0] < whole / 2, (peaks, whole)


def test_what_a_cluster_has_lost_is_done_again(monkeypatch):
    """A worker that ends between a result and its delivery can't be had at will: a mock."""
    asked, tasks = [("model", str(i)) for i in range(7)], []

    def handed_out(left, *_):
        tasks.append(len(left))
        for n, (_, path) in enumerate(left):
            if n == 2:
                raise CancelledError
            yield path, {"path": path}

    monkeypatch.setattr(batch, "_handed_out", handed_out)
    found = batch.recognised(asked, scheduler="tcp://127.0.0.1:1")
    assert [one["path"] for one in found] == [path for _, path in asked]
    assert tasks == [7, 5, 3, 1]
    found = batch.recognised(asked * 2, scheduler="tcp://127.0.0.1:1")
    with pytest.raises(CancelledError):
        [*found]


@pytest.mark.slow
def test_a_worker_of_a_cluster_may_be_killed(bundled_clips, tmp_path):
    pytest.importorskip("distributed", reason="pip install -r requirements-cluster.txt")
    from distributed import Client

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{probe.getsockname()[1]}"
    options = {"cwd": tmp_path, "env": os.environ | {"PYTHONPATH": str(REPO)}}
    options |= {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    dask, host, port = [sys.executable, "-m", "dask"], "127.0.0.1", address.rpartition(":")[2]
    own = ["--host", host, "--port", port, "--dashboard-address", ":0"]
    worker = [*dask, "worker", address, "--nthreads", "1", "--no-nanny", "--no-dashboard"]
    processes = [subprocess.Popen([*dask, "scheduler", *own], **options)]
    processes += [subprocess.Popen(worker, **options) for _ in range(2)]
    try:
        with Client(address, timeout=60) as client:
            client.wait_for_workers(2, timeout=60)
        asked = [*PREDICT, *bundled_clips, "--jsonl", "--scheduler", address]
        running = subprocess.Popen(asked, stdout=subprocess.PIPE)
        first = running.stdout.readline()
        processes[1].kill()
        rest = running.stdout.read()
        assert running.wait() == 0
        found, here = first + rest, predict(*bundled_clips, "--jsonl", "--n-jobs", "1").stdout
        assert found == here
    finally:
        for process in processes:
            process.kill()
            process.wait()
