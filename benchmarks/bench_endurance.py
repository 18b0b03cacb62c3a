"""What long use costs: memory, open files and threads must stay where they are, and so the answers.

    python benchmarks/bench_endurance.py              # some hours
    python benchmarks/bench_endurance.py --quick      # a hundredth of it
    python benchmarks/bench_endurance.py --only continuous --share 0.25

Each trial runs in a process of its own, on the bundled model and the bundled recordings. Memory
(MB), open files and threads are those of that process after a tenth of the trial and at its end.
"Same answers": whatever was asked again at the end, or by another thread, gave the same numbers.
Time is simulated: a day of the continuous mode takes as long as its sound takes to compute.
"""

import os

os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}

import argparse
import gc
import itertools
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import psutil
from measured import add_write, write

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from audio import load_audio
from checks import guarded
from create_csv import list_audio
from emotion_recognition import load_recognizer
from listening import Recorder
from parameters import SAMPLE_RATE as SR
from predictor import recognise
from timeline import CHUNK, Timeline

FOLDER = Path(__file__).resolve().parents[1] / "data" / "test-custom"
PAUSE = 1.0  # seconds between the clips of an endless recording
HOP, BLOCK = 0.2, 0.02  # seconds: of the continuous mode, of the microphone
N_THREADS = 8
FLAT = 1.1, 50.0  # memory may become so many times as much, or so many MB more
MORE = 2  # open files and threads that may be more: a library opens some when it first needs them


class State:
    """The resources of this process, noted after a tenth of a trial and at its end.

    Parameters
    ----------
    n_steps : int
        Of the trial.
    """

    def __init__(self, n_steps):
        self.n_steps, self.n_done, self.noted = n_steps, 0, []

    def step(self):
        """Count a step; note the resources when a tenth is done, and when all are."""
        self.n_done += 1
        if self.n_done in (max(1, self.n_steps // 10), self.n_steps):
            gc.collect()
            own = psutil.Process()
            self.noted.append((own.memory_info().rss / 2**20, own.num_fds(), own.num_threads()))


def sounds():
    """The bundled test clips: list of (path, samples)."""
    return [(str(path), load_audio(path)) for path in list_audio(FOLDER)]


def endless(width):
    """Blocks of an endless recording of all clips with noisy pauses: iterator of ndarray.

    Parameters
    ----------
    width : int
        Samples of a block.
    """
    rng = np.random.default_rng(0)
    noise = (1e-3 * rng.standard_normal(round(PAUSE * SR))).astype(np.float32)
    y = np.concatenate([part for _, clip in sounds() for part in (clip, noise)])
    y = y[: len(y) // width * width]
    return itertools.cycle(y.reshape(-1, width))


def predictions(share):
    """Predictions of files, one at a time: 20,000."""
    n, rec = round(20_000 * share), load_recognizer()
    paths = [path for path, _ in sounds()]
    state, first, alike = State(n), {}, True
    for path in itertools.islice(itertools.cycle(paths), n):
        found = rec.predict_proba(path)
        alike &= first.setdefault(path, found) == found
        state.step()
    return f"{n:,} predictions", state, alike


def loads(share):
    """Loads of the model file, a prediction after each: 1,000."""
    n, (_, y) = round(1000 * share), sounds()[0]
    state, answers = State(n), []
    for _ in range(n):
        answers.append(recognise(load_recognizer(), y)["probabilities"])
        state.step()
    return f"{n:,} loads", state, all(answer == answers[0] for answer in answers)


def continuous(share):
    """The continuous mode with recognised utterances, on simulated time: a day."""
    n, rec = round(24 * 3600 * share / BLOCK), load_recognizer()
    return streamed(rec, n, "{:.1f} h of the continuous mode", round(BLOCK * SR), hop=HOP)


def timelines(share):
    """A timeline as of a recording, in chunks: 10 hours."""
    n, rec = round(10 * 3600 * share), load_recognizer()
    return streamed(rec, n, "a timeline of {:.1f} h", SR, chunk=CHUNK)


def streamed(rec, n_blocks, name, width, **settings):
    """Push blocks through a `Timeline`, and through a `Recorder` if no chunks are wanted.

    At the end a new one gets the first minute; its rows are those from before.
    """
    stream, state, rows, n_rows = Timeline(rec, **settings), State(n_blocks), [], 0
    recorder = None if "chunk" in settings else Recorder(timeout=None)
    n_first = min(n_blocks, 60 * SR // width)
    for i, y in enumerate(itertools.islice(endless(width), n_blocks)):
        own = stream.push(y)
        n_rows += len(own)
        rows += own if i < n_first else []
        for utterance in recorder.push(y) if recorder else ():
            recognise(rec, utterance.y)
        state.step()
    again = Timeline(rec, **settings)
    repeated = [row for y in itertools.islice(endless(width), n_first) for row in again.push(y)]
    hours = n_blocks * width / SR / 3600
    return f"{name.format(hours)}, {n_rows:,} rows", state, repeated == rows


def threads(share):
    """Predictions of eight threads on one Predictor: 8 × 2,500."""
    n, predictor = round(2500 * share), load_recognizer().predictor_
    clips = [y for _, y in sounds()]
    expected = [predictor.probabilities(predictor.features(y)) for y in clips]
    state, lock = State(N_THREADS * n), threading.Lock()

    def work(first):
        alike = True
        for i in range(first, first + n):
            y = clips[i % len(clips)]
            found = predictor.probabilities(predictor.features(y))
            alike &= np.array_equal(found, expected[i % len(clips)])
            with lock:
                state.step()
        return alike

    with ThreadPoolExecutor(N_THREADS) as pool:
        alike = all(list(pool.map(work, range(0, 9 * N_THREADS, 9))))
    return f"{N_THREADS} threads, {N_THREADS * n:,} predictions", state, alike


HEAD = ["what", "time", "MB at 10 % / end", "open files", "threads", "flat", "same answers"]
TRIALS = {f.__name__: f for f in (predictions, loads, continuous, timelines, threads)}


def is_flat(state):
    """Whether nothing has grown from a tenth to the end: bool.

    Parameters
    ----------
    state : State
    """
    (memory, *counts), (memory_at_end, *counts_at_end) = state.noted[0], state.noted[-1]
    limit = max(FLAT[0] * memory, memory + FLAT[1])
    pairs = zip(counts, counts_at_end, strict=True)
    return memory_at_end <= limit and all(after <= before + MORE for before, after in pairs)


def measure(name, share):
    """Run one trial in this process, and print its line: bool, whether all is as it should be.

    Parameters
    ----------
    name : str
        A key of `TRIALS`.
    share : float
        Of the trial's length.
    """
    start = time.perf_counter()
    what, state, alike = TRIALS[name](share)
    seconds, flat = time.perf_counter() - start, is_flat(state)
    cells = [f"{a:.0f} / {b:.0f}" for a, b in zip(state.noted[0], state.noted[-1], strict=True)]
    words = ["yes" if right else "NO" for right in (flat, alike)]
    print(" | ".join([what, f"{seconds:,.0f} s", *cells, *words]), flush=True)
    return flat and alike


def main(argv=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--share", type=float, default=1.0, help="of the length of each trial, such as 0.25")
    add("--quick", dest="share", action="store_const", const=0.01, help="a hundredth")
    add("--only", nargs="+", choices=TRIALS, default=list(TRIALS))
    add_write(parser)
    add("--here", action="store_true", help=argparse.SUPPRESS)  # one of them, in this process
    args = parser.parse_args(argv)
    if args.here:
        return int(not measure(args.only[0], args.share))
    print(" | ".join(HEAD), flush=True)
    command = [sys.executable, __file__, "--here", "--share", str(args.share)]
    rows, codes = [HEAD], []
    for name in args.only:
        done = subprocess.run([*command, "--only", name], stdout=subprocess.PIPE, text=True)
        print(done.stdout, end="", flush=True)
        rows.append(done.stdout.strip().split(" | "))
        codes.append(done.returncode)
    if args.write:
        write("endurance", "the bundled model, the bundled clips", {"endurance": rows})
    return int(any(codes))


if __name__ == "__main__":
    sys.exit(guarded("bench_endurance.py", main))
