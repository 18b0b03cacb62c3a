"""Time to read cached feature vectors, against a plain np.load of the same matrix.

    python benchmarks/bench_cache.py                   # 20,000 clips
    python benchmarks/bench_cache.py --clips 200000    # more

Writes that many small distinct files and a cache of theirs into a temporary folder, then times
`data_extractor.extract_features` on all of them: every clip is looked up, its file compared with
what the cache remembers of it, its vector checked. Nothing is extracted; the run fails if a vector
doesn't come back as it was stored.
"""

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from measured import add_write, printed

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from checks import guarded
from data_extractor import extract_features
from feature_cache import FRESH, FeatureCache, cache_settings
from features import DEFAULT_FEATURES, check_functionals, feature_names

REPEATS = 7
CLIPS_A_FOLDER = 1000


def write_clips(folder, n):
    """Write `n` distinct files of a few bytes, as many folders of them as a corpus has actors."""
    paths = []
    for i in range(n):
        path = folder / f"Actor_{i // CLIPS_A_FOLDER:03d}" / f"03-01-{i:07d}_happy.wav"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"clip %d" % i)
        paths.append(str(path))
    return paths


def fill(cache_dir, paths, X):
    """Store row i of `X` as the vector of clip i, as `extract_features` would."""
    cache = FeatureCache(cache_dir)
    digests = cache.digests(paths)
    vectors = {digests[path]: row for path, row in zip(paths, X, strict=True)}
    options = {"functionals": check_functionals(None), "min_duration": 0.1}
    cache.put(vectors, cache_settings(DEFAULT_FEATURES, options))
    cache.close()


def seconds(function, repeats=REPEATS):
    """Run a function several times: the median of the wall-clock seconds, and its last result."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        result = function()
        times.append(time.perf_counter() - start)
    return statistics.median(times), result


def measure(n_clips):
    """Time the cache and np.load on `n_clips` vectors, in a folder that is removed at the end."""
    n_features = len(feature_names(DEFAULT_FEATURES))
    X = np.random.default_rng(0).standard_normal((n_clips, n_features), dtype=np.float32)
    with tempfile.TemporaryDirectory(prefix="bench-cache-") as folder:
        folder = Path(folder)
        paths = write_clips(folder, n_clips)
        matrix = folder / "X.npy"
        np.save(matrix, X)
        time.sleep(FRESH + 0.1)  # younger files are hashed each time
        fill(folder / "cache", paths, X)
        cached, (read_back, read) = seconds(
            lambda: extract_features(paths, DEFAULT_FEATURES, verbose=0, cache_dir=folder / "cache")
        )
        if not (read.all() and np.array_equal(read_back, X)):
            sys.exit("bench_cache.py: the cache gave other vectors than were stored")
        plain, _ = seconds(lambda: np.load(matrix))
        size = (folder / "cache" / "features.sqlite").stat().st_size
    return {
        "clips": n_clips,
        "features": n_features,
        "cache_s": cached,
        "np_load_s": plain,
        "ratio": cached / plain,
        "us_per_clip": cached / n_clips * 1e6,
        "cache_mb": size / 1e6,
    }


def main(argv=None):
    """The command line; see the module's docstring."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clips", type=int, default=20_000, help="how many (default 20000)")
    add_write(parser)
    args = parser.parse_args(argv)
    if args.clips < 1:
        sys.exit(f"bench_cache.py: --clips is a number from 1 on; got {args.clips}")
    with printed("cache", f"median of {REPEATS} runs, file system warm", args.write):
        result = measure(args.clips)
        print("clips    | features | cached  | us/clip | np.load  | ratio | cache file")
        print(
            "{clips:8d} | {features:8d} | {cache_s:5.3f} s | {us_per_clip:7.1f} | "
            "{np_load_s:6.4f} s | {ratio:5.0f} | {cache_mb:7.1f} MB".format(**result)
        )


if __name__ == "__main__":
    sys.exit(guarded("bench_cache.py", main))
