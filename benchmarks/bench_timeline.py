"""How fast a long recording becomes a timeline, in how much memory; how late a label comes.

    python benchmarks/bench_timeline.py               # ten hours of speech, one core
    python benchmarks/bench_timeline.py --hours 1 --data-dir ~/corpora

The recording is made of clips of the data folder, one after the other, and is deleted afterwards.
Memory is the peak of the whole process, the packages and the training included.
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

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from audio import load_audio
from create_csv import find_data_dir, list_audio
from emotion_recognition import recommended
from parameters import SAMPLE_RATE as SR
from timeline import Timeline

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


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--hours", type=float, default=10.0)
    parser.add_argument("--data-dir")
    args = parser.parse_args()
    rec = recommended(data_dir=args.data_dir, verbose=0, n_jobs=1).train()
    sounds = clips(args.data_dir)
    rec.predict_timeline(np.concatenate(sounds[:5]), sr=SR)  # warm
    trained = peak()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "long.wav")
        seconds = write_long(path, sounds, args.hours)
        start = time.perf_counter(), time.process_time()
        table = rec.predict_timeline(path)
        wall, core = time.perf_counter() - start[0], time.process_time() - start[1]
    spoken = (table["end"] - table["start"]).sum()
    print(
        f"{seconds / 3600:.1f} h, {spoken / seconds:.0%} of it speech, {len(table)} rows: "
        f"{core:.0f} s of one core, {seconds / core:.0f} times real time "
        f"({wall:.0f} s by the clock)"
    )
    print(f"peak memory {peak():.0f} MB ({trained:.0f} MB before the recording)")
    found = latencies(rec.predictor_, np.concatenate(sounds[:40]))
    worst = HOP + BLOCK + np.percentile(found, 99)
    print(
        f"a label a {HOP} s: computing takes {1e3 * np.median(found):.1f} ms, 99 in 100 times "
        f"under {1e3 * np.percentile(found, 99):.1f} ms"
    )
    print(
        f"from the end of a word to its label: {1e3 * worst:.0f} ms at the most, {1e3 * HOP:.0f} "
        f"of them until the label is due, {1e3 * BLOCK:.0f} for the block"
    )


if __name__ == "__main__":
    main()
