"""Time from a file on disk to its feature vector, against plain librosa in the same run.

    python benchmarks/bench_features.py                      # 200 clips of data/ or $SER_DATA_DIR
    python benchmarks/bench_features.py --corpus FOLDER --clips 50
    python benchmarks/bench_features.py --hours 10           # the long recording's length
    python benchmarks/bench_features.py --json               # one JSON object
    pip install opensmile                                    # adds rows for eGeMAPS and ComParE

Both sides run warm, on one thread, over the same clips of mixed length, in turns; a figure is the
median of the rounds. Plain librosa is what tutorials write: `librosa.load(path, sr=16000)`, then
one call per feature. The rows "decode alone" and "from an array" tell what reading the file has to
do with it. The features of speech have no counterpart in librosa: their rows say how much of the
25 ms that a clip may cost they take. Below them: two processes against one, a fresh Python,
importing and what takes longest of it, a command line, one warm prediction; then how time and
memory grow with the number of clips and with the length of a recording.
"""

import argparse
import itertools
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections import Counter
from functools import partial
from pathlib import Path

import librosa
import numpy as np
import soundfile
from threadpoolctl import threadpool_limits

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import features as ft
from audio import load_audio
from checks import guarded
from create_csv import list_audio
from data_extractor import extract_features
from emotion_recognition import classic, recommended
from parameters import SAMPLE_RATE

REPO = Path(ft.__file__).parent
OPENSMILE_SETS = ("eGeMAPSv02", "ComParE_2016")
BUDGET_MS = 25  # that a clip may cost
FIRST_ANSWER_MS = 1200  # that a command line may take
SELECTIONS = {
    "mfcc+chroma+mel": ft.DEFAULT_FEATURES,
    **{name: (name,) for name in ft.FEATURES},
    "all five": ft.FEATURES,
}
"""Row to the features it times."""

SPEECH_SELECTIONS = {
    **{name: (name,) for name in ft.SPEECH_FEATURES},
    "recommended": ft.RECOMMENDED_FEATURES,
}

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
    paths = list_audio(corpus)
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


def budget_row(what, ours_ms, budget_ms=BUDGET_MS):
    return {"what": what, "ours_ms": ours_ms, "budget_ms": budget_ms, "share": ours_ms / budget_ms}


def vector(names, path):
    return ft.extract(load_audio(path), features=names)


def bench_selections(clips, rounds):
    """One row per selection of features, both sides from the file."""
    for what, names in SELECTIONS.items():
        sides = (
            lambda path, names=names: plain_vector(names, plain_load(path)),
            partial(vector, names),
        )
        yield row(what, *time_sides(sides, clips, rounds))


def bench_speech(clips, rounds):
    """One row per feature of speech and for the recommended ones together, from the file."""
    for what, names in SPEECH_SELECTIONS.items():
        yield budget_row(what, *time_sides([partial(vector, names)], clips, rounds))


def bench_decoding(clips, rounds):
    """What the rows before owe to reading the file."""
    yield row("decode alone", *time_sides((plain_load, load_audio), clips, rounds))
    signals = [load_audio(path) for path in clips]
    sides = partial(plain_vector, ft.DEFAULT_FEATURES), ft.extract
    yield row("mfcc+chroma+mel, from an array", *time_sides(sides, signals, rounds))


def bench_opensmile(clips, rounds):
    """Rows per feature set of openSMILE, beside some of ours; none without the package."""
    try:
        import opensmile
    except ImportError:
        return
    for name in OPENSMILE_SETS:
        smile = opensmile.Smile(opensmile.FeatureSet[name], opensmile.FeatureLevel.Functionals)
        sides = [smile.process_file, partial(vector, ft.FEATURES)]
        sides.append(partial(vector, ft.RECOMMENDED_FEATURES))
        theirs, five, recommended = time_sides(sides, clips, rounds)
        yield row(f"openSMILE {name} | all five", theirs, five)
        yield row(f"openSMILE {name} | recommended", theirs, recommended)


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


def bench_processes(clips, rounds):
    """A whole corpus, nothing cached, the workers running already."""
    paths = find_clips(os.path.commonpath([str(path) for path in clips]), 10**6)
    for what, names in (("mfcc+chroma+mel", ft.DEFAULT_FEATURES), ("all five", ft.FEATURES)):
        sides = [
            lambda paths, n=n, names=names: extract_features(
                paths, names, n_jobs=n, verbose=0, cache_dir=False
            )
            for n in (1, 2)
        ]
        one, two = (ms / len(paths) for ms in time_sides(sides, [paths], rounds))
        yield row(f"{what}, {len(paths)} clips: 1 | 2 processes", one, two)


def bench_starting(clips, rounds):
    """What `import emotion_recognition` costs, beside what it can't do without; a command line."""
    own = {name: x for name, x in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}

    def start(arguments, _=None):
        command = [sys.executable, *arguments]
        return subprocess.run(
            command, cwd=REPO, env=own, check=True, capture_output=True, text=True
        ).stderr

    recognizers, predict = "import emotion_recognition", ("emotion_recognition.py", "predict")
    sides = ("-c", "import numpy, pandas, sklearn"), ("-c", recognizers), (*predict, str(clips[0]))
    least, ours, answer = time_sides(
        [partial(start, side) for side in sides], [None], 2 * rounds + 1
    )
    yield budget_row("import, against numpy, pandas and sklearn", ours, round(least))
    packages = Counter()
    report = start(("-X", "importtime", "-c", recognizers))
    for us, name in re.findall(r"^import time: *(\d+) \| *\d+ \| *(\w+)", report, re.MULTILINE):
        packages["ours" if (REPO / f"{name}.py").exists() else name] += int(us) / 1000
    for name, ms in packages.most_common(5):
        yield budget_row(f"  of it, modules of {name}", ms, round(packages.total()))
    yield budget_row("from the command line to the label", answer, FIRST_ANSWER_MS)


def bench_predict(clips, rounds):
    """From a file of 3 s to its label, by recognizers trained on the bundled recordings."""
    bundled = {"data_dir": REPO / "data", "tess_ravdess": False, "emodb": False, "verbose": 0}
    rec, ours = classic(**bundled).train(), recommended(**bundled).train()
    of_3_s = min(clips, key=lambda path: abs(len(load_audio(path)) - 3 * SAMPLE_RATE))

    def plain(path):
        vector = plain_vector(ft.DEFAULT_FEATURES, plain_load(path))
        return rec.model.predict(rec.scaler_.transform(vector[np.newaxis]))

    yield row(
        "one prediction, file to label", *time_sides((plain, rec.predict), [of_3_s] * 50, rounds)
    )
    what = "one prediction, recommended"
    yield budget_row(what, *time_sides([ours.predict], [of_3_s] * 50, rounds))


BENCHES = (
    bench_selections,
    bench_speech,
    bench_decoding,
    bench_opensmile,
    bench_first_clip,
    bench_processes,
    bench_starting,
    bench_predict,
)
"""Each yields rows, given the clips and the number of rounds."""

PEAK = """
import resource, sys
if sys.platform == "linux":  # ru_maxrss would count the parent's memory before exec
    status = dict(line.split(":") for line in open("/proc/self/status"))
    print(int(status["VmHWM"].split()[0]) / 1e3)
else:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6)
"""
GROWTH = """
import json, sys, time
import data_extractor
paths = open(sys.argv[1]).read().splitlines()
names = ["mfcc", "chroma", "mel"]
data_extractor.extract_features(paths[:20], names, n_jobs=1, verbose=0, cache_dir=False)
start = time.perf_counter()
data_extractor.extract_features(paths, names, n_jobs=1, verbose=0, cache_dir=False)
print(time.perf_counter() - start)
"""
LONG = """
import itertools, sys, time
import audio, features
paths, seconds, names = sys.argv[1].splitlines(), float(sys.argv[2]), sys.argv[3].split(",")
block = audio.load_audio(paths[0])
for path in paths[1:]:
    block = features.np.append(block, audio.load_audio(path))
n = round(seconds * 16000 / len(block))
start = time.perf_counter()
for part in features.frames_blocks(lambda: itertools.repeat(block, n), features=names):
    pass
print(time.perf_counter() - start)
"""


def run_fresh(code, *arguments):
    """Run code in a Python of its own: the seconds that it prints, and its peak memory in MB."""
    done = subprocess.run(
        [sys.executable, "-c", code + PEAK, *arguments],
        cwd=REPO,
        check=True,
        capture_output=True,
        text=True,
    )
    seconds, peak = done.stdout.split()
    return float(seconds), float(peak)


def bench_growth(clips, sizes=(100, 1000, 10_000)):
    """Time and peak memory of extracting ever more clips of 1 s, all different."""
    rng = np.random.default_rng(0)
    signals = [np.resize(load_audio(path), SAMPLE_RATE) for path in clips]
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder, f"{i}.wav") for i in range(max(sizes))]
        for i, path in enumerate(paths):
            y = signals[i % len(signals)] + rng.normal(0, 1e-4, SAMPLE_RATE)
            soundfile.write(path, np.clip(y, -1, 1), SAMPLE_RATE)
        for n in sizes:
            listing = Path(folder, "paths.txt")
            listing.write_text("\n".join(map(str, paths[:n])))
            seconds, peak = run_fresh(GROWTH, str(listing))
            yield {"what": f"{n} clips of 1 s", "seconds": seconds, "peak_mb": peak}


def bench_length(clips, hours):
    """Time and peak memory of the frame matrix of long recordings, block by block."""
    block = "\n".join(str(path) for path in clips[:20])
    for length in (hours / 10, hours):
        for what, names in (("mfcc+chroma+mel", ft.DEFAULT_FEATURES), ("all five", ft.FEATURES)):
            seconds, peak = run_fresh(LONG, block, str(3600 * length), ",".join(names))
            yield {"what": f"{what}, {length:g} h", "seconds": seconds, "peak_mb": peak}


def in_figures(r):
    """The right part of a printed row."""
    if "share" in r:
        return f"{'-':>10}{r['ours_ms']:10.2f}{r['share']:8.0%} of {r['budget_ms']} ms"
    return f"{r['plain_ms']:10.2f}{r['ours_ms']:10.2f}{r['ratio']:7.1f}x"


def main():
    """The command line; see the module's docstring."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--corpus", default=os.environ.get("SER_DATA_DIR", REPO / "data"))
    parser.add_argument("--clips", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--hours", type=float, default=1, help="of the long recording (default 1)")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    clips = find_clips(args.corpus, args.clips)
    warnings.simplefilter("ignore")  # librosa's, about short clips
    rows = []

    def show(line):
        if not args.json:
            print(line, flush=True)

    show(f"{len(clips)} clips, {args.rounds} rounds, one thread; ms per clip, from the file")
    show(f"{'':45}{'librosa':>10}{'ours':>10}{'ratio':>8}")
    with threadpool_limits(1):
        for bench in BENCHES:
            for r in bench(clips, args.rounds):
                rows.append(r)
                show(f"{r['what']:45}{in_figures(r)}")
    show(f"\n{'':45}{'seconds':>10}{'peak MB':>10}")
    for r in itertools.chain(bench_growth(clips), bench_length(clips, args.hours)):
        rows.append(r)
        show(f"{r['what']:45}{r['seconds']:10.1f}{r['peak_mb']:10.0f}")
    if args.json:
        print(json.dumps({"clips": len(clips), "rounds": args.rounds, "rows": rows}))


if __name__ == "__main__":
    sys.exit(guarded("bench_features.py", main))
