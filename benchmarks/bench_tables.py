"""Time and memory of reading a table of many clips: existence of files, labels, times, duplicates.

    python benchmarks/bench_tables.py                     # a million rows, as files and as segments
    python benchmarks/bench_tables.py --rows 100000

Each kind of table is read by a process of its own, which prints what it took. Limits: 10 s, 1 GB.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from measured import add_write, printed

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from checks import guarded

EMOTIONS = "angry", "happy", "Sehr Gut", "sad", "neutral"
PER_FOLDER = 10_000  # files
SEGMENTS = 200  # of one recording


def write_csv(folder, n_rows, kind):
    """Write a table, and the empty files that it names: Path.

    Parameters
    ----------
    folder : Path
    n_rows : int
    kind : {"files", "segments"}
    """
    path = folder / f"{kind}.csv"
    per_file = SEGMENTS if kind == "segments" else 1
    with path.open("w") as file:
        file.write("file,label,spk,split,start,end\n")
        for i in range(n_rows):
            n_file, place = divmod(i, per_file)
            name = f"{kind}{n_file // PER_FOLDER:03d}/session_{n_file:07d}_recording.wav"
            times = f"{1.5 * place},{1.5 * place + 1.25}" if per_file > 1 else ","
            split = "test" if n_file % 5 == 0 else "train"
            label = EMOTIONS[i % len(EMOTIONS)]
            file.write(f"{name},{label},speaker {n_file % 5000},{split},{times}\n")
            if place == 0:
                (folder / name).parent.mkdir(exist_ok=True)
                (folder / name).touch()
    return path


def measure(path):
    """Read a table in this process: dict of rows, seconds and MB.

    Parameters
    ----------
    path : str
    """
    from clip_tables import read_table

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    start, cpu = time.perf_counter(), time.process_time()
    rows = read_table(path)
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {
        "table": Path(path).stem,
        "rows": len(rows),
        "seconds": round(seconds, 2),
        "cpu_seconds": round(cpu, 2),
        "peak_mb": round(peak),
        "imports_mb": round(before),
    }


def main():
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    add_write(parser)
    parser.add_argument("--of", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.of:
        print(json.dumps(measure(args.of)))
        return
    with (
        printed("tables", f"{args.rows:,} rows", args.write),
        tempfile.TemporaryDirectory() as folder,
    ):
        for kind in ("files", "segments"):
            path = write_csv(Path(folder), args.rows, kind)
            command = [sys.executable, __file__, "--of", str(path)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            line = "{table}: {rows:,} rows in {seconds} s (CPU {cpu_seconds} s), {peak_mb} MB"
            print(line.format(**json.loads(done.stdout)))


if __name__ == "__main__":
    sys.exit(guarded("bench_tables.py", main))
