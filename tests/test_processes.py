"""`processes`: real runs, told to end or killed while they extract features, and what they leave.

No test waits for a fixed time: `wait_for` looks until something has happened, within a bound.
"""

import ast
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest
from conftest import REPO
from joblib import Parallel, delayed, parallel_config
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV

import processes
from checks import SIGNALS

SCRIPT = """
import sys
from pathlib import Path
from data_extractor import extract_features
from checks import guarded

def main():
    while True:
        extract_features(sys.argv[2:], ["mfcc"], n_jobs=2, verbose=0, cache_dir=False)
        Path(sys.argv[1]).touch()

sys.exit(guarded("x.py", main))
"""
STOPPED = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}

on_linux = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="lists processes there")


def wait_for(condition, seconds=120):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def members(group):
    """The living processes of a process group: list of int."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, own = path.read_text().rpartition(")")[2].split()[:3]
        except OSError:  # it has ended
            continue
        if int(own) == group and state != "Z":
            found.append(int(path.parent.name))
    return found


def left_by(pid):
    """What joblib keeps for a process: list of Path."""
    folders = {processes.SHARED_MEMORY, Path(tempfile.gettempdir())}
    paths = (path for folder in folders if folder.is_dir() for path in folder.iterdir())
    return [p for p in paths if (own := processes.LEFT.match(p.name)) and int(own[1]) == pid]


@pytest.fixture
def run(tmp_path, bundled_clips):
    """Start an extraction that never ends, in a group of its own, and wait until it has workers."""
    started = []

    def start(script=SCRIPT, **options):
        mark = tmp_path / f"run-{len(started)}"
        done = subprocess.Popen(
            [sys.executable, "-c", script, str(mark), *bundled_clips],
            stderr=subprocess.PIPE,
            text=True,
            cwd=REPO,
            start_new_session=True,
            **options,
        )
        started.append(done)
        wait_for(lambda: mark.exists() or done.poll() is not None)
        assert done.poll() is None
        mark.unlink()
        return done

    yield start
    for done in started:
        if members(done.pid):
            os.killpg(done.pid, signal.SIGKILL)
        done.communicate(timeout=120)
    processes.sweep.cache_clear()
    processes.sweep()


# killed


@on_linux
def test_workers_of_a_parent_that_was_killed_end_and_nothing_is_left(run):
    parent = run()
    assert len(members(parent.pid)) >= 3 and left_by(parent.pid)
    parent.kill()
    wait_for(lambda: not members(parent.pid))  # joblib's tracker, too, is the last to go
    assert not left_by(parent.pid)


@on_linux
@pytest.mark.slow
def test_what_nobody_could_remove_goes_when_the_next_run_starts(run):
    first = run()
    os.killpg(first.pid, signal.SIGKILL)  # the tracker as well
    first.wait(120)
    wait_for(lambda: not members(first.pid))
    assert left_by(first.pid)
    second = run()
    assert not left_by(first.pid) and left_by(second.pid)


@pytest.fixture
def swept(tmp_path, monkeypatch):
    """A folder in place of those of the system, and a function that sweeps it."""
    monkeypatch.setattr(processes, "SHARED_MEMORY", tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    def sweep():
        processes.sweep.cache_clear()
        processes.sweep()
        return sorted(path.name for path in tmp_path.iterdir())

    yield tmp_path, sweep
    processes.sweep.cache_clear()


def dead_pid():
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait(60)
    return child.pid


def test_only_what_is_of_dead_processes_of_this_user_is_swept(swept):
    folder, sweep = swept
    dead, living = dead_pid(), os.getpid()
    for name in (f"joblib_memmapping_folder_{dead}_a_b", f"joblib_memmapping_folder_{living}_a_b"):
        (folder / name).mkdir()
        (folder / name / "array.pkl").write_bytes(b"numbers")
    for name in (f"sem.loky-{dead}-ab", f"sem.loky-{living}-ab", f"model-{dead}.ser", "sem.other"):
        (folder / name).touch()
    outside = folder / "kept"
    outside.mkdir()
    (folder / f"joblib_memmapping_folder_{dead}_link").symlink_to(outside)
    kept = [p.name for p in folder.iterdir() if str(dead) not in p.name] + [f"model-{dead}.ser"]
    assert sweep() == sorted(kept)
    assert (folder / f"joblib_memmapping_folder_{living}_a_b" / "array.pkl").exists()


@pytest.mark.skipif(os.getuid() != 0, reason="gives a file away")
def test_what_is_of_another_user_stays(swept):
    folder, sweep = swept
    name = f"sem.loky-{dead_pid()}-ab"
    (folder / name).touch()
    os.chown(folder / name, 12345, -1)
    assert sweep() == [name]


def test_memory_that_is_shared_with_unseen_processes_is_not_swept(swept, monkeypatch):
    folder, sweep = swept
    name = f"sem.loky-{dead_pid()}-ab"
    (folder / name).touch()
    monkeypatch.setattr(processes, "_shares_memory_with_strangers", lambda: True)
    assert sweep() == [name]


# told to end


@on_linux
@pytest.mark.slow
@pytest.mark.parametrize("to_all", [False, True], ids=["to it", "to its group"])
@pytest.mark.parametrize("number", STOPPED)
def test_signals_end_a_run_in_one_line(run, number, to_all):
    parent = run()
    (os.killpg if to_all else os.kill)(parent.pid, number)
    _, err = parent.communicate(timeout=120)
    assert (parent.returncode, err) == (STOPPED[number], "x.py: interrupted\n")
    wait_for(lambda: not members(parent.pid))
    assert not left_by(parent.pid)


@on_linux
@pytest.mark.slow
def test_a_signal_while_workers_start_ends_a_run_in_one_line(run):
    script = SCRIPT.replace("def main():", "def main():\n    Path(sys.argv[1]).touch()")
    parent = run(script)
    wait_for(lambda: len(members(parent.pid)) >= 3)  # they can't have imported anything yet
    os.killpg(parent.pid, signal.SIGINT)
    _, err = parent.communicate(timeout=120)
    assert (parent.returncode, err) == (130, "x.py: interrupted\n")


@on_linux
@pytest.mark.slow
def test_what_nohup_ignores_stays_ignored(run, tmp_path):
    parent = run(preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    parent.send_signal(signal.SIGHUP)
    wait_for((tmp_path / "run-0").exists)  # it went on
    parent.terminate()
    assert parent.wait(120) == 143


# who starts processes


@pytest.mark.parametrize("path", sorted(REPO.glob("*.py")), ids=lambda path: path.name)
def test_no_other_module_starts_processes_by_joblib(path):
    if path.name == "processes.py":
        return
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] == "Parallel":
            assert "prefer='threads'" in ast.unparse(node), f"line {node.lineno}"


def follows(*_):
    """Whether this worker leaves signals to its parent, and its number."""
    return {signal.getsignal(number) for number in SIGNALS} == {signal.SIG_IGN}, os.getpid()


class Noting(LogisticRegression):
    """Scores 1 in a process that follows its parent, else 0."""

    def score(self, X, y):
        return float(follows()[0])


def test_processes_of_other_libraries_follow_inside_a_block():
    X, y = [[0], [1], [2], [3]], [0, 1, 0, 1]
    with processes.watched():
        search = GridSearchCV(Noting(), {"C": [1, 2]}, cv=2, n_jobs=2, refit=False).fit(X, y)
    assert search.cv_results_["mean_test_score"].tolist() == [1, 1]


def test_workers_stay_when_the_thread_that_started_them_ends():
    found = []

    def start():
        found.extend(processes.parallel(2)(delayed(follows)(i) for i in range(20)))

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
    start()
    assert {own for own, _ in found} == {True}
    assert len({pid for _, pid in found} - {os.getpid()}) <= 2


@pytest.mark.parametrize("backend", ["sequential", "threading", "multiprocessing"])
def test_an_active_backend_is_used(backend):
    with parallel_config(backend):
        used = [processes.parallel(2)._backend, Parallel(2)._backend]
        with processes.watched():
            used.append(Parallel(2)._backend)
    assert len({type(own) for own in used}) == 1 and not isinstance(used[0], processes._Workers)


def test_threads_stay_threads():
    threads = processes.parallel(2, prefer="threads")
    assert type(threads._backend).__name__ == "ThreadingBackend"


FULL = """
import sys, subprocess
kind = sys.argv[1]
def fill():
    subprocess.run(["dd", "if=/dev/zero", "of=/dev/shm/x", "bs=1k"], capture_output=True)
if kind == "before":
    fill()
import joblib._memmapping_reducer as reducer
import numpy as np
from joblib import delayed
reducer.SYSTEM_SHARED_MEM_FS_MIN_SIZE = 0  # else it takes 2 GB to fill
from checks import guarded
from processes import parallel
X = np.ones(2_000_000 if kind == "arrays" else 2)
def work():
    if kind == "semaphores":
        fill()
    print(sum(parallel(2)(delayed(np.sum)(X) for _ in range(2))))
sys.exit(guarded("program", work))
"""


@pytest.mark.parametrize("kind", ["before", "semaphores", "arrays"])
def test_full_shared_memory_is_explained(kind):
    mount = "mount -t tmpfs -o size=1m tmpfs /dev/shm && "
    if (
        shutil.which("unshare") is None
        or subprocess.run(["unshare", "-m", "sh", "-c", f"{mount} :"]).returncode
    ):
        pytest.skip("a small /dev/shm of one's own takes unshare and mount, by root on Linux")
    command = f'{mount} exec "$0" -c "$1" {kind}'  # of the shell, with its two arguments
    command = ["unshare", "-m", "sh", "-c", command, sys.executable, FULL]
    done = subprocess.run(command, cwd=REPO, capture_output=True, text=True, timeout=120)
    if kind == "before":
        assert (done.returncode, done.stdout) == (0, "4.0\n"), done.stderr
        assert "serial mode" in done.stderr
    else:
        assert (done.returncode, done.stdout) == (1, "")
        assert "program: [Errno 28] no space is left where processes share" in done.stderr
        assert "/dev/shm" in done.stderr and "JOBLIB_TEMP_FOLDER" in done.stderr
        assert "Traceback" not in done.stderr
