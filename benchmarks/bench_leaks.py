"""How long it takes to find the copies among many recordings, and how many are found.

    python benchmarks/bench_leaks.py                  # 1,000 to 1,000,000 recordings, 15 minutes
    python benchmarks/bench_leaks.py --most 100000

First the time of a fingerprint, for clips of the data folder. Then fingerprints of synthetic
loudness, which varies as that of speech does, and of a copy of every hundredth: shifted, with noise
of 1 % of the loudness. The time is that of `fingerprints.copies`, which the leak guard calls.
"""

import argparse
import resource
import sys
import time
from pathlib import Path

import numpy as np
from measured import add_write, printed
from scipy.ndimage import gaussian_filter1d

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from audio import load_audio
from checks import guarded
from create_csv import find_data_dir, list_audio
from fingerprints import RATE, copies, described, fingerprint
from parameters import SAMPLE_RATE

SECONDS = 3
COPIED = 100  # every so many recordings is there twice


def loudness(rng):
    """Three curves like those of speech, syllables of 0.2 s: ndarray (n, 3)."""
    n = round(SECONDS * RATE * rng.uniform(0.6, 1.4))
    common = gaussian_filter1d(rng.normal(size=n), RATE / 20)
    own = gaussian_filter1d(rng.normal(size=(n, 3)), RATE / 20, axis=0)
    curves = common[:, np.newaxis] / common.std() + 0.5 * own / own.std()
    fine = gaussian_filter1d(rng.normal(size=(n, 3)), RATE / 60, axis=0)
    return np.clip(0.45 + 0.2 * curves + 0.12 * fine / fine.std(), 0.1, 1)


def prints_of(n, seed):
    """Fingerprints, the copies at the end: list."""
    rng, prints, copied = np.random.default_rng(seed), [], []
    for i in range(n):
        curves = loudness(rng)
        prints.append(described(curves))
        if i % COPIED == 0:
            shifted = curves[rng.integers(1, 30) :]
            copied.append(described(shifted + rng.normal(scale=0.01, size=shifted.shape)))
    return prints + copied


def measure(args):
    """Measure and print all."""
    sounds = [load_audio(path) for path in list_audio(find_data_dir(args.data_dir))[:200]]
    start = time.perf_counter()
    for y in sounds:
        fingerprint(y)
    taken, length = (x / len(sounds) for x in (time.perf_counter() - start, sum(map(len, sounds))))
    print(f"a fingerprint: {1e3 * taken:.1f} ms, for clips of {length / SAMPLE_RATE:.1f} s")
    n = 1000
    while n <= args.most:
        prints = prints_of(n, args.seed)
        start = time.perf_counter()
        first = copies(prints)
        taken = time.perf_counter() - start
        n_copied = len(prints) - n
        found = (first[n:] == np.arange(n_copied) * COPIED).mean()
        false = int((first[:n] != np.arange(n)).sum())
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        print(
            f"{n:9,} recordings: {taken:6.1f} s; {found:.1%} of {n_copied:,} copies found, {false} "
            f"false ones; peak memory {peak:.1f} GiB",
            flush=True,
        )
        n *= 10


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--most", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--data-dir")
    add_write(parser)
    args = parser.parse_args()
    with printed("leaks", "200 clips, synthetic fingerprints of speech", args.write):
        measure(args)


if __name__ == "__main__":
    sys.exit(guarded("bench_leaks.py", main))
