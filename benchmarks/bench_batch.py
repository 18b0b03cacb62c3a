"""How fast `predict` recognises many recordings, in how much memory; what a cluster adds.

    python benchmarks/bench_batch.py                       # all parts; about half an hour
    python benchmarks/bench_batch.py --only processes,choosing
    python benchmarks/bench_batch.py --only long --hours 1 --data-dir ~/corpora

processes: the clips by one process and by two, with the encoder and without
steps:     where the time of a clip goes, and what of a million is left to one process
long:      a recording of ten hours: time and memory
folder:    300 recordings of two minutes: memory of 30 of them, and of all
cluster:   the clips on a Dask cluster of two workers, and with one of them killed on the way
choosing:  `determine_best_model` for three emotions of all corpora

Commands run as users run them. Memory is the most that one process of a command had.
"""

import os

os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}

import argparse
import io
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, closing, contextmanager, redirect_stdout
from pathlib import Path

import soundfile as sf
from measured import add_write, printed

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from audio import load_audio
from batch import recognised
from checks import check_name, guarded
from create_csv import find_data_dir, list_audio
from emotion_recognition import load_recognizer, recommended
from parameters import SAMPLE_RATE as SR
from results import give, predicted

ROOT = Path(__file__).resolve().parents[1]
PREDICT = sys.executable, str(ROOT / "emotion_recognition.py"), "predict"
MILLION = 1_000_000


def predict(*arguments):
    """Run predict: its process."""
    return subprocess.Popen([*PREDICT, *map(str, arguments)], stdout=subprocess.PIPE)


def ended(process, start):
    """Wait for a command: (seconds since start, MB, what it printed)."""
    printed = process.stdout.read()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise ChildProcessError(f"predict ended with exit code {process.returncode}")
    return time.perf_counter() - start, used.ru_maxrss / 1024, printed


def timed(*arguments):
    """Run predict to its end: (seconds, MB, what it printed)."""
    start = time.perf_counter()
    return ended(predict(*arguments), start)


class Bench:
    """The parts of the benchmark; each prints its lines.

    Parameters
    ----------
    args : argparse.Namespace
    folder : Path
        For what it writes.
    """

    def __init__(self, args, folder):
        self.args, self.folder = args, folder
        root = find_data_dir(args.data_dir)
        paths = [p for p in list_audio(root) if not Path(p).parent.name.endswith("custom")]
        self.paths = (paths or list_audio(root))[: args.clips]
        self.list = folder / "clips.txt"
        self.list.write_text("".join(f"{path}\n" for path in self.paths))
        self.plain = folder / "plain.ser"  # no encoder

    def models(self):
        """The bundled model and one without encoder: dict of options by name."""
        if not self.plain.exists():
            recommended(encoder=None, corpora=["custom"], verbose=0).train().save(self.plain)
        return {"with the encoder": [], "without": ["-m", self.plain]}

    def processes(self):
        """By one process and by two."""
        for name, model in self.models().items():
            options = "--list", self.list, "--csv", *model
            timed(*options[:1], self._short(20), *options[2:])  # compiled code and files are read
            (one, _, first), (two, memory, second) = (
                timed(*options, "--n-jobs", n) for n in (1, 2)
            )
            same = "the same rows" if first == second else "OTHER ROWS"
            n = len(self.paths)
            rates = f"1 process {n / one:.0f} clips/s, 2 processes {n / two:.0f} clips/s"
            print(f"{n:,} clips {name}: {rates}: {one / two:.2f} times, {same}, {memory:.0f} MB")

    def _short(self, n):
        path = self.folder / f"first-{n}.txt"
        path.write_text("".join(f"{path}\n" for path in self.paths[:n]))
        return path

    def steps(self):
        """The milliseconds of each step of a clip, and those of the process that hands out work."""
        n = min(200, len(self.paths))
        paths, rec, plain = self.paths[:n], load_recognizer(), self.models()["without"][1]
        plain, spent = load_recognizer(plain), {}

        def lap(name, function, values):
            function(values[0])
            start = time.perf_counter()
            found = [function(value) for value in values]
            spent[name] = 1000 * (time.perf_counter() - start) / n
            return found

        sounds = lap("decoding", load_audio, paths)
        lap("features", plain.predictor_.features, sounds)
        vectors = lap("features and encoder", rec.predictor_.features, sounds)
        spent["encoder"] = spent.pop("features and encoder") - spent["features"]
        lap("model", rec.predictor_.probabilities, vectors)
        options = {"emotions": None, "set": None, "rank": None, "report": True, "form": "csv"}
        options = argparse.Namespace(**options, write=[], output=None, raw_csv=False)
        asked = [(rec.predictor_, path) for path in paths]
        with redirect_stdout(io.StringIO()):
            start = time.process_time()
            for name, one in zip(paths, recognised(asked, n_jobs=2), strict=True):
                give([predicted(rec, str(name), one, options)], options, set())
        spent["handing out, printing"] = 1000 * (time.process_time() - start) / n
        print("milliseconds of a clip:", ", ".join(f"{k} {v:.1f}" for k, v in spent.items()))
        alone = spent.pop("handing out, printing")
        hours = MILLION * sum(spent.values()) / 3.6e6
        busy, own = sum(spent.values()) / alone, MILLION * alone / 3.6e6
        print(
            f"a million clips: {hours:.1f} hours of cores, {own:.1f} hours of the one process that "
            f"hands them out: it can keep {busy:.0f} cores busy"
        )

    def _joined(self, name, seconds):
        """Write clips one after the other until a file is so long: Path."""
        path, i, left = self.folder / name, 0, seconds * SR
        sounds = [load_audio(path) for path in self.paths[:: max(1, len(self.paths) // 100)]]
        with sf.SoundFile(path, "w", SR, 1, "PCM_16") as file:
            while left > 0:
                file.write(sounds[i % len(sounds)])
                left, i = left - len(sounds[i % len(sounds)]), i + 1
        return path

    def long(self):
        """A recording of many hours."""
        path = self._joined("long.flac", 3600 * self.args.hours)
        seconds, memory, _ = timed(path, "--json")
        hours = self.args.hours
        speed = f"{3600 * hours / seconds:.0f} times real time"
        print(f"{hours:g} hours: {seconds:.0f} s, {speed}, {memory:.0f} MB")
        path.unlink()

    def folder_of_long_ones(self):
        """Recordings of two minutes."""
        own = self.folder / "long"
        own.mkdir()
        first = self._joined("two minutes.flac", 120)
        for n in (30, 300):
            for i in range(n):
                (own / f"{i}.flac").exists() or os.link(first, own / f"{i}.flac")
            seconds, memory, _ = timed(own, "--csv", "--n-jobs", 1)
            print(f"{n} recordings of two minutes: {seconds:.0f} s, {memory:.0f} MB")

    @contextmanager
    def _cluster(self):
        """A scheduler and two workers, processes of their own: its address and the processes."""
        with closing(socket.socket()) as some:
            some.bind(("127.0.0.1", 0))
            port = str(some.getsockname()[1])
        address, dask = f"tcp://127.0.0.1:{port}", [sys.executable, "-m", "dask"]
        options = {"env": os.environ | {"PYTHONPATH": str(ROOT)}, "cwd": self.folder}
        options |= {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        own = ["--host", "127.0.0.1", "--port", port, "--dashboard-address", ":0"]
        worker = [*dask, "worker", address, "--nthreads", "1", "--no-nanny", "--no-dashboard"]
        with ExitStack() as stack:
            processes = []
            for command in ([*dask, "scheduler", *own], worker, worker):
                processes.append(stack.enter_context(subprocess.Popen(command, **options)))
                stack.callback(processes[-1].kill)
            from dask.distributed import Client

            with Client(address, timeout=60) as client:
                client.wait_for_workers(2, timeout=60)
            yield address, processes

    def cluster(self):
        """On a Dask cluster."""
        for name, model in self.models().items():
            options = "--list", self.list, "--csv", *model
            *_, here = timed(*options, "--n-jobs", 2)
            for killed in (False, True):
                with self._cluster() as (address, processes):
                    start = time.perf_counter()
                    command = predict(*options, "--scheduler", address)
                    first = command.stdout.readline() + command.stdout.readline()
                    if killed:
                        processes[1].kill()
                    seconds, _, rest = ended(command, start)
                rate = len(self.paths) / seconds / (1 if killed else 2)
                same = "the rows of this machine" if first + rest == here else "OTHER ROWS"
                how = "one of two workers killed" if killed else "two workers"
                print(
                    f"{len(self.paths):,} clips {name}, {how}: {seconds:.1f} s, {rate:.0f} clips/s "
                    f"and core, {same}"
                )

    def choosing(self):
        """Which model is best."""
        rec = recommended(data_dir=self.args.data_dir, verbose=0).load_data()
        start = time.perf_counter()
        rec.determine_best_model()
        seconds, shape = time.perf_counter() - start, rec.X_train.shape
        print(f"{shape[0]:,} clips of {shape[1]:,} numbers: {rec.name} chosen in {seconds:.0f} s")
        print(rec.comparison_.drop(columns="model").round(3).to_string(index=False))


PARTS = {
    "processes": Bench.processes,
    "steps": Bench.steps,
    "long": Bench.long,
    "folder": Bench.folder_of_long_ones,
    "cluster": Bench.cluster,
    "choosing": Bench.choosing,
}


def main():
    """Run the benchmark."""
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    parser.add_argument("--only", default=",".join(PARTS), help="parts (default: %(default)s)")
    parser.add_argument("--clips", type=int, default=2000, help="default %(default)s")
    parser.add_argument("--hours", type=float, default=10, help="default %(default)s")
    parser.add_argument("--data-dir", help="the data folder; else $SER_DATA_DIR, else data/")
    add_write(parser)
    args = parser.parse_args()
    parts = [check_name(part, PARTS, "part") for part in args.only.split(",")]
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(args, Path(folder))
        for part in parts:
            with printed(f"batch_{part}", f"{len(bench.paths):,} clips of six corpora", args.write):
                PARTS[part](bench)


if __name__ == "__main__":
    sys.exit(guarded("bench_batch.py", main))
