"""How fast a long recording becomes a timeline, in how much memory; how late a label comes.

    python benchmarks/bench_timeline.py               # ten hours of speech, one core
    python benchmarks/bench_timeline.py --hours 1 --data-dir ~/corpora

The recording is made of clips of the data folder, one after the other, and is deleted afterwards.
Memory is the peak of the whole process, the packages and the training included. At the end, what
it costs to encode more or less at once, and how the labels depend on it (in 6 minutes).
"""

import os

os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}

import argparse
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile as sf
from measured import add_write, printed

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from audio import load_audio
from checks import guarded
from create_csv import find_data_dir, list_audio
from emotion_recognition import recommended
from parameters import SAMPLE_RATE as SR
from timeline import CHUNK, Timeline, predict_timeline

SHORT = 0.1  # hours that are encoded in chunks of various lengths
CHUNKS = 1, 2, CHUNK, 6, 10  # seconds
BLOCK = 0.02  # seconds, of a microphone
HOP = 0.2  # seconds between the labels of the continuous mode


def clips(data_dir):
    """Up to 200 clips of the real corpora, or of the bundled recordings: list of arrays."""
    roots = [find_data_dir(data_dir) / name for name in ("training", "emodb")]
    paths = [path for root in roots if root.is_dir() for path in list_audio(root)]
    paths = paths or list_audio(find_data_dir(data_dir) / "train-custom")
    return [load_audio(path) for path in paths[:: max(1, len(paths) // 200)]]


def write_long(path, clips, hours):
    """Write clips again and again until the file is `hours` long; how much of it is speech."""
    n, i = 0, 0
    with sf.SoundFile(path, "w", SR, 1, "PCM_16") as file:
        while n < hours * 3600 * SR:
            file.write(clips[i % len(clips)])
            n, i = n + len(clips[i % len(clips)]), i + 1
    return n / SR


def peak():
    """The most memory that this process has had, MB."""
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used / (2**20 if sys.platform == "darwin" else 2**10)


def latencies(predictor, y):
    """Seconds that computing takes from a block to the labels that it ends (n_labels,)."""
    stream, taken = Timeline(predictor, hop=HOP), []
    width = round(BLOCK * SR)
    for first in range(0, len(y), width):
        start = time.perf_counter()
        rows = stream.push(y[first : first + width])
        taken += [time.perf_counter() - start] * bool(rows)
    return np.array(taken)


def timed(predictor, path, **settings):
    """A timeline, the seconds of one core that it took, and those by the clock."""
    start = time.perf_counter(), time.process_time()
    table = predict_timeline(predictor, path, verbose=0, **settings)
    return table, time.process_time() - start[1], time.perf_counter() - start[0]


def recording(predictor, path, seconds):
    """Print how fast a recording becomes a timeline."""
    table, core, wall = timed(predictor, path)
    spoken = (table["end"] - table["start"]).sum()
    print(
        f"  {seconds / 3600:.1f} h, {spoken / seconds:.0%} of it speech, {len(table)} rows: "
        f"{core:.0f} s of one core, {seconds / core:.0f} times real time "
        f"({wall:.0f} s by the clock); peak memory {peak():.0f} MB"
    )


def choices(predictor, path, seconds):
    """Print the costs of chunks, and how many labels are those of windows encoded one by one."""
    alone = timed(predictor, path, chunk=None)
    for chunk in (None, *CHUNKS):
        table, core, _ = alone if chunk is None else timed(predictor, path, chunk=chunk)
        both = alone[0].merge(table, on="start", suffixes=("", "_of_chunk"))
        same = (both["emotion"] == both["emotion_of_chunk"]).mean()
        name = "each window" if chunk is None else f"{chunk:g} s"
        print(
            f"  encoded at once: {name:11s}  {1e3 * core / seconds:5.1f} ms of one core a second, "
            f"{seconds / core:3.0f} times real time; same labels {same:.1%}"
        )


def live(predictor, y):
    """Print how late a label of the continuous mode comes."""
    found = latencies(predictor, y)
    late = np.percentile(found, 99)
    print(
        f"  a label a {HOP} s: computing takes {1e3 * np.median(found):.1f} ms, 99 in 100 times "
        f"under {1e3 * late:.1f} ms\n"
        f"  from the end of a word to its label: {1e3 * (HOP + BLOCK + late):.0f} ms at the most, "
        f"{1e3 * HOP:.0f} of them until the label is due, {1e3 * BLOCK:.0f} for the block"
    )


def bench(args):
    """Measure and print all."""
    sounds = clips(args.data_dir)
    some = np.concatenate(sounds[:40])
    with tempfile.TemporaryDirectory() as folder:
        path, short = Path(folder, "long.wav"), Path(folder, "short.wav")
        seconds = write_long(path, sounds, args.hours)
        n_short = write_long(short, sounds, min(args.hours, SHORT))
        for name, options in (("without encoder", {"encoder": None}), ("with encoder", {})):
            rec = recommended(data_dir=args.data_dir, verbose=0, n_jobs=1, **options).train()
            predict_timeline(rec, some[: 20 * SR], sr=SR, verbose=0)  # warm
            print(f"recommended recognizer {name} ({peak():.0f} MB after training)")
            recording(rec.predictor_, path, seconds)
            live(rec.predictor_, some)
        choices(rec.predictor_, short, n_short)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--hours", type=float, default=10.0)
    parser.add_argument("--data-dir")
    add_write(parser)
    args = parser.parse_args()
    with printed("timeline", f"{args.hours:g} hours of clips of RAVDESS and EMO-DB", args.write):
        bench(args)


if __name__ == "__main__":
    sys.exit(guarded("bench_timeline.py", main))
