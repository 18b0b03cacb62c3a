"""Time from a file on disk to its feature vector, against plain librosa in the same run.

    python benchmarks/bench_features.py                      # 200 clips of data/ or $SER_DATA_DIR
    python benchmarks/bench_features.py --corpus FOLDER --clips 50
    python benchmarks/bench_features.py --json               # one JSON object
    pip install opensmile                                    # adds rows for eGeMAPS and ComParE

Both sides run warm, on one thread, over the same clips of mixed length, in turns; a figure is the
median of the rounds. Plain librosa is what tutorials write: `librosa.load(path, sr=16000)`, then
one call per feature. The rows "decode alone" and "from an array" tell what reading the file has to
do with it; the last row starts a fresh Python each time.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
import warnings
from functools import partial
from pathlib import Path

import librosa
import numpy as np
from threadpoolctl import threadpool_limits

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import features as ft
from audio import load_audio
from parameters import SAMPLE_RATE

REPO = Path(ft.__file__).parent
AUDIO_SUFFIXES = {".wav", ".flac", ".ogg", ".mp3"}
OPENSMILE_SETS = ("eGeMAPSv02", "ComParE_2016")
SELECTIONS = {
    "mfcc+chroma+mel": ft.DEFAULT_FEATURES,
    **{name: (name,) for name in ft.FEATURES},
    "all five": ft.FEATURES,
}
"""Row to the features it times."""

PLAIN = {
    "mfcc": lambda y, S, sr: librosa.feature.mfcc(y=y, sr=sr, n_mfcc=40),
    "chroma": lambda y, S, sr: librosa.feature.chroma_stft(S=S, sr=sr),
    "mel": lambda y, S, sr: librosa.feature.melspectrogram(y=y, sr=sr),
    "contrast": lambda y, S, sr: librosa.feature.spectral_contrast(S=S, sr=sr),
    "tonnetz": lambda y, S, sr: librosa.feature.tonnetz(y=librosa.effects.harmonic(y), sr=sr),
}
"""Feature to the librosa call of the tutorials."""


def plain_load(path):
    return librosa.load(path, sr=SAMPLE_RATE)[0]


def plain_vector(names, y):
    S = np.abs(librosa.stft(y)) if {"chroma", "contrast"} & set(names) else None
    return np.hstack([PLAIN[name](y, S, SAMPLE_RATE).mean(axis=1) for name in names])


def find_clips(corpus, n_clips):
    """Pick that many clips, spread evenly over all of a folder's."""
    paths = sorted(p for p in Path(corpus).rglob("*") if p.suffix in AUDIO_SUFFIXES)
    if not paths:
        raise SystemExit(f"bench_features: no recordings under {corpus}; give --corpus FOLDER")
    return paths[:: max(1, len(paths) // n_clips)][:n_clips]


def time_sides(sides, items, rounds):
    """Return the milliseconds per item of each side, the median over the rounds."""
    for side in sides:  # warm: compile, fill the caches
        for item in items:
            side(item)
    totals = [[0.0] * len(sides) for _ in range(rounds)]
    for total in totals:
        for i, side in enumerate(sides):
            start = time.perf_counter()
            for item in items:
                side(item)
            total[i] = time.perf_counter() - start
    return [1e3 * statistics.median(side) / len(items) for side in zip(*totals, strict=True)]


def row(what, plain_ms, ours_ms):
    return {"what": what, "plain_ms": plain_ms, "ours_ms": ours_ms, "ratio": plain_ms / ours_ms}


def bench_selections(clips, rounds):
    """One row per selection of features, both sides from the file."""
    for what, names in SELECTIONS.items():
        sides = (
            lambda path, names=names: plain_vector(names, plain_load(path)),
            lambda path, names=names: ft.extract(load_audio(path), features=names),
        )
        yield row(what, *time_sides(sides, clips, rounds))


def bench_decoding(clips, rounds):
    """What the rows before owe to reading the file."""
    yield row("decode alone", *time_sides((plain_load, load_audio), clips, rounds))
    signals = [load_audio(path) for path in clips]
    sides = partial(plain_vector, ft.DEFAULT_FEATURES), ft.extract
    yield row("mfcc+chroma+mel, from an array", *time_sides(sides, signals, rounds))


def bench_opensmile(clips, rounds):
    """One row per feature set of openSMILE, beside our five features; none without the package."""
    try:
        import opensmile
    except ImportError:
        return
    for name in OPENSMILE_SETS:
        smile = opensmile.Smile(opensmile.FeatureSet[name], opensmile.FeatureLevel.Functionals)
        sides = smile.process_file, lambda path: ft.extract(load_audio(path), features=ft.FEATURES)
        yield row(f"openSMILE {name} | all five", *time_sides(sides, clips, rounds))


FIRST_PLAIN = """
import sys, librosa, numpy as np
y, sr = librosa.load(sys.argv[1], sr=16000)
S = np.abs(librosa.stft(y))
librosa.feature.mfcc(y=y, sr=sr, n_mfcc=40), librosa.feature.chroma_stft(S=S, sr=sr)
librosa.feature.melspectrogram(y=y, sr=sr)
"""
FIRST_OURS = "import sys, audio, features; features.extract(audio.load_audio(sys.argv[1]))"


def bench_first_clip(clips, rounds):
    """From the start of a fresh process to its first vector, compiled code on disk."""

    def start(code, path):
        subprocess.run([sys.executable, "-c", code, str(path)], cwd=REPO, check=True)

    sides = partial(start, FIRST_PLAIN), partial(start, FIRST_OURS)
    yield row("first clip of a process", *time_sides(sides, clips[:1], rounds))


BENCHES = (bench_selections, bench_decoding, bench_opensmile, bench_first_clip)
"""Each yields rows, given the clips and the number of rounds."""


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--corpus", default=os.environ.get("SER_DATA_DIR", REPO / "data"))
    parser.add_argument("--clips", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    clips = find_clips(args.corpus, args.clips)
    warnings.simplefilter("ignore")  # librosa's, about short clips
    rows = []
    if not args.json:
        print(f"{len(clips)} clips, {args.rounds} rounds, one thread; ms per clip, from the file")
        print(f"{'':38}{'librosa':>10}{'ours':>10}{'ratio':>8}")
    with threadpool_limits(1):
        for bench in BENCHES:
            for r in bench(clips, args.rounds):
                rows.append(r)
                if not args.json:
                    figures = f"{r['plain_ms']:10.2f}{r['ours_ms']:10.2f}{r['ratio']:7.1f}x"
                    print(f"{r['what']:38}{figures}", flush=True)
    if args.json:
        print(json.dumps({"clips": len(clips), "rounds": args.rounds, "rows": rows}))


if __name__ == "__main__":
    main()
