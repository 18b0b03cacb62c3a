"""How long the recommended recognizer takes to learn from many vectors, in how much memory.

    python benchmarks/bench_training.py                  # 1,000, 10,000 and 100,000 vectors
    python benchmarks/bench_training.py --sizes 200000 --adaptation
    python benchmarks/bench_training.py --encoder whisper-base@3   # 6,707 numbers in place of 8,755

The vectors are random, of four emotions, five corpora and 250 speakers, and as long as those of the
recommended features. Each size has a process of its own; memory is its peak, the vectors included.
100,000 vectors take 3.5 GB, and some minutes.
"""

import argparse
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
from measured import add_write, write

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from checks import guarded
from data_extractor import Split
from emotion_recognition import recommended
from features import feature_names
from sampling import pieces
from training import Training

EMOTIONS = np.array(["angry", "happy", "neutral", "sad"])
N_CORPORA, N_SPEAKERS = 5, 50  # speakers of each corpus
N_DIRECTIONS = 200  # in which clips vary together
SEPARATION = 0.05  # of the emotions, in deviations of a column


def vectors(n_clips, n_columns, seed=0):
    """Random clips of speakers of several corpora: Split."""
    same, rng = np.random.default_rng(0), np.random.default_rng(seed)
    y = rng.integers(0, len(EMOTIONS), n_clips)
    corpora, speakers = rng.integers(0, (N_CORPORA, N_SPEAKERS), (n_clips, 2)).T
    centres = SEPARATION * same.standard_normal((len(EMOTIONS), n_columns), dtype=np.float32)
    directions = same.standard_normal((N_DIRECTIONS, n_columns), dtype=np.float32)
    X = np.empty((n_clips, n_columns), np.float32)
    for part, own in zip(pieces(X), pieces(y), strict=True):
        rng.standard_normal(out=part, dtype=np.float32)
        part += centres[own]
        part += 0.1 * rng.standard_normal((len(own), N_DIRECTIONS), dtype=np.float32) @ directions
    groups = np.array([f"corpus-{c}/{s}" for c, s in zip(corpora, speakers, strict=True)])
    return Split(X, EMOTIONS[y], groups, pd.DataFrame({"emotion": EMOTIONS[y]}))


def untrained(args):
    """The recommended recognizer, with the wished encoder."""
    options = {"encoder": args.encoder} if args.encoder else {}
    return recommended(emotions=EMOTIONS.tolist(), verbose=0, **options)


def measure(n_clips, args):
    """Train once, and print what it took: the cells of a row."""
    rec = untrained(args)
    split = vectors(n_clips, len(feature_names(rec.features)))
    scaler = rec.speaker_scaler if args.adaptation else None
    start, before = time.perf_counter(), time.process_time()
    general, _ = Training(split, rec.model, speaker_scaler=scaler).fit()
    seconds, of_cores = time.perf_counter() - start, time.process_time() - before
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e9 if MAC else 1e6)
    new = vectors(1000, split.X.shape[1], seed=1)
    right = np.mean(general.model.predict(general.scaled(new.X)) == new.y)
    cells = f"{n_clips:,}", f"{seconds:.0f}", f"{of_cores:.0f}", f"{peak:.1f}"
    print(" | ".join([*cells, f"{split.X.nbytes / 1e9:.1f}", f"{right:.0%}"]), flush=True)


HEAD = [
    "vectors",
    "seconds",
    "seconds of all cores",
    "peak memory, GB",
    "the vectors alone, GB",
    "right",
]
MAC = sys.platform == "darwin"  # it counts bytes


def main(argv=None):
    """The command line; see the module's docstring."""
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    parser.add_argument("--sizes", default="1000,10000,100000", help="default %(default)s")
    parser.add_argument("--adaptation", action="store_true", help="fit what adaptation needs, too")
    parser.add_argument("--encoder", help="default: the recommended one")
    add_write(parser)
    args = parser.parse_args(argv)
    sizes = [int(text) for text in args.sizes.split(",")]
    if len(sizes) == 1:
        measure(sizes[0], args)
        return 0
    rows = [HEAD]
    print(" | ".join(HEAD), flush=True)
    for size in sizes:
        options = ["--sizes", str(size), *["--adaptation"] * args.adaptation]
        options += ["--encoder", args.encoder] if args.encoder else []
        command = [sys.executable, __file__, *options]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        print(done.stdout, end="", flush=True)
        rows.append(done.stdout.strip().split(" | "))
    if args.write:
        n_columns = len(feature_names(untrained(args).features))
        data = f"random vectors of {n_columns:,} numbers, {N_CORPORA} corpora, "
        data += f"{N_CORPORA * N_SPEAKERS} speakers"
        write(f"training_{n_columns}", data, {"training": rows})
    return 0


if __name__ == "__main__":
    sys.exit(guarded("bench_training.py", main))
