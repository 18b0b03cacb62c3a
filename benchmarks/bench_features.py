"""Time from a file on disk to its feature vector, against plain librosa in the same run.

    python benchmarks/bench_features.py                      # 200 clips of data/ or $SER_DATA_DIR
    python benchmarks/bench_features.py --corpus FOLDER --clips 50
    python benchmarks/bench_features.py --hours 10           # the long recording's length
    python benchmarks/bench_features.py --growth 1000,100000 # numbers of clips
    python benchmarks/bench_features.py --write              # for docs/RESULTS.md
    pip install opensmile                                    # adds rows for eGeMAPS and ComParE

Both sides run warm, on one thread, over the same clips of mixed length, in turns; a figure is the
median of the rounds. Plain librosa is what tutorials write: `librosa.load(path, sr=16000)`, then
one call per feature. The rows "decode alone" and "from an array" tell what reading the file has to
do with it. The features of speech have no counterpart in librosa: their rows say how much of the
25 ms that a clip may cost they take. The budget says what each stage takes for a second of sound,
beside the least that any program must do: read the file, one FFT a frame, one pass over what is
there, the multiplications of the encoder as fast as float32 matrices are multiplied here (its own
are of 8 bits, of which processors with VNNI do up to four at a time). Below them: two processes
against one, a fresh Python, importing and what takes longest of it, a command line, one warm
prediction; then how time and memory grow with the number of clips and with the length of a
recording.
"""

import argparse
import hashlib
import itertools
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
import scipy.fft
import soundfile
from measured import add_write, write
from threadpoolctl import threadpool_limits

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import encoder
import features as ft
from audio import load_audio
from checks import guarded
from create_csv import list_audio
from data_extractor import extract_features
from emotion_recognition import classic, load_recognizer, recommended
from encoder import EncoderFrames
from feature_cache import FeatureCache, cache_settings
from parameters import SAMPLE_RATE
from speech_features import SpeechFrames

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

# the budget


def least(function, rounds):
    """The least milliseconds of some calls, after one that warms up."""
    times = []
    for _ in range(1 + rounds):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return 1e3 * min(times[1:])


def gigaflops():
    """Multiplications and additions of float32 by one thread, in matrices as the encoder has."""
    a, b = (
        np.random.default_rng(0).random(shape, np.float32) for shape in ((768, 512), (512, 2048))
    )
    return 2 * len(a) * b.size / least(lambda: a @ b, 50) / 1e6


def encoder_flops(seconds):
    """What the bundled encoder multiplies and adds for a clip (Radford et al. 2023, Whisper base).

    Two convolutions over three frames, from 80 bands, at 100 and at 50 frames a second; in each
    layer four matrices and a perceptron of four times the size; attention of all frames to all.
    """
    n, size = 50 * seconds, encoder.SIZE
    convolutions = 2 * n * 3 * 80 * size + n * 3 * size**2
    a_layer = n * (4 * size**2 + 2 * size * 4 * size) + 2 * n**2 * size
    return 2 * (convolutions + (encoder.N_LAYERS - 1) * a_layer)  # the first has only what it adds


def budget_stages(path, predictor, cache, flops):
    """What is done with a clip, and the least that any program must do: yields name and two calls.

    The least may be milliseconds instead.
    """
    y, data = load_audio(path), path.read_bytes()
    sound, X = SpeechFrames(y, SAMPLE_RATE), predictor.features(y)
    wide, narrow = np.zeros((sound.n_frames, 1080), np.float32), np.zeros((sound.n_frames, 512))
    matrix = sound.columns(ft.SPEECH_FEATURES)
    narrow, clip, settings = narrow.astype(np.float32), str(path), cache_settings(FEW, {})

    def again(*names):
        for name in names:
            vars(sound).pop(name, None)
        for name in names:
            getattr(sound, name)

    cache.put({clip.encode(): X[0]}, settings)
    yield "decode, resample", partial(load_audio, path), path.read_bytes
    yield (
        "level, pitch by autocorrelation",
        lambda: SpeechFrames(y, SAMPLE_RATE).hz,
        lambda: scipy.fft.dct(scipy.fft.rfft(wide).real, 1),
    )
    yield "one FFT a frame", partial(again, "power"), lambda: scipy.fft.rfft(narrow)
    mel = "power_of_bands", "bands", "cepstra"
    yield "mel bands, cepstra", partial(again, *mel), partial(sound.power.sum, axis=1)
    yield "shape of the spectrum", partial(again, "shape"), partial(sound.power.sum, axis=1)
    yield "harmonics", partial(again, "harmonics"), partial(sound.power.sum, axis=1)
    vector = partial(ft.extract, sound, features=ft.SPEECH_FEATURES)
    yield "changes, functionals, facts", vector, partial(matrix.sum, axis=0)
    floor = encoder_flops(len(y) / SAMPLE_RATE) / flops / 1e6
    yield "encoder (least: float32)", partial(EncoderFrames, y, SAMPLE_RATE), floor
    yield "model", partial(predictor.answered, X), partial(X.dot, np.ones((X.shape[1], 8), X.dtype))
    yield "hash of the file", partial(cache.digests, [clip]), partial(hashlib.sha256, data)
    found = partial(cache.get, [clip.encode()], settings)
    yield "cached vector", found, partial(np.frombuffer, X.tobytes(), X.dtype)


FEW = ("mfcc",)  # features whose cache is written to


def bench_budget(clips, rounds):
    """Milliseconds a second of sound takes, stage by stage, beside the least possible."""
    predictor, flops, total = load_recognizer().predictor_, gigaflops(), {}
    with tempfile.TemporaryDirectory() as folder:
        cache, seconds = FeatureCache(folder), 0.0
        for number, clip in enumerate(clips[:: max(1, len(clips) // 20)]):
            path = Path(folder, f"{number}.wav")  # young, so that it is hashed each time
            path.write_bytes(clip.read_bytes())
            seconds += len(load_audio(path)) / SAMPLE_RATE
            for name, *calls in budget_stages(path, predictor, cache, flops):
                took = [c if isinstance(c, float) else least(c, 10 * rounds) for c in calls]
                total[name] = np.add(total.get(name, 0), took)
        cache.close()
    for name, (ours, floor) in total.items():
        yield {"what": name, "ms_a_second": ours / seconds, "least": floor / seconds}
    whole = sum(ours for ours, _ in total.values()) / seconds
    yield {"what": f"all ({flops:.0f} Gflop/s float32)", "ms_a_second": whole, "least": np.nan}


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


def bench_growth(clips, sizes):
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


TABLES = {
    "times": {
        "": "what",
        "librosa, ms": "plain_ms",
        "ours, ms": "ours_ms",
        "times faster": "ratio",
    },
    "limits": {"": "what", "ours, ms": "ours_ms", "of so many, ms": "budget_ms"},
    "budget": {"": "what", "least, ms": "least", "ours, ms": "ms_a_second"},
    "growth": {"": "what", "seconds": "seconds", "peak memory, MB": "peak_mb"},
}
"""Table to its columns: head to the value of a row."""
DIGITS = {"ratio": 1, "least": 3, "ms_a_second": 3, "seconds": 1, "peak_mb": 0, "budget_ms": 0}


def tables(rows):
    """What has been measured, a table for each kind of row: dict of list of list."""

    def cell(value, name):
        return value if isinstance(value, str) else f"{value:.{DIGITS.get(name, 2)}f}"

    return {
        title: [
            [*columns],
            *(
                [cell(r[name], name).replace("nan", "") for name in columns.values()]
                for r in rows
                if set(columns.values()) <= set(r)
            ),
        ]
        for title, columns in TABLES.items()
    }


def main():
    """The command line; see the module's docstring."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--corpus", default=os.environ.get("SER_DATA_DIR", REPO / "data"))
    parser.add_argument("--clips", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--hours", type=float, default=1, help="of the long recording (default 1)")
    growth = "numbers of clips of 1 s (default %(default)s)"
    parser.add_argument("--growth", default="100,1000,10000", help=growth)
    add_write(parser)
    args = parser.parse_args()
    sizes = [int(text) for text in args.growth.split(",")]
    clips = find_clips(args.corpus, args.clips)
    warnings.simplefilter("ignore")  # librosa's, about short clips
    rows = []

    show = partial(print, flush=True)
    show(f"{len(clips)} clips, {args.rounds} rounds, one thread; ms per clip, from the file")
    show(f"{'':45}{'librosa':>10}{'ours':>10}{'ratio':>8}")
    with threadpool_limits(1):
        for bench in BENCHES:
            for r in bench(clips, args.rounds):
                rows.append(r)
                show(f"{r['what']:45}{in_figures(r)}")
        show(f"\n{'ms for each second of sound, one core':45}{'least':>10}{'ours':>10}{'ratio':>8}")
        for r in bench_budget(clips, args.rounds):
            rows.append(r)
            figures = r["least"], r["ms_a_second"], r["ms_a_second"] / r["least"]
            show(f"{r['what']:45}{figures[0]:10.3f}{figures[1]:10.3f}{figures[2]:7.1f}x")
    show(f"\n{'':45}{'seconds':>10}{'peak MB':>10}")
    for r in itertools.chain(bench_growth(clips, sizes), bench_length(clips, args.hours)):
        rows.append(r)
        show(f"{r['what']:45}{r['seconds']:10.1f}{r['peak_mb']:10.0f}")
    if args.write:
        seconds = np.mean([len(load_audio(path)) for path in clips]) / SAMPLE_RATE
        data = f"{len(clips)} clips, {seconds:.1f} s on average, one thread, from the file on disk"
        write("features", data, tables(rows))


if __name__ == "__main__":
    sys.exit(guarded("bench_features.py", main))
