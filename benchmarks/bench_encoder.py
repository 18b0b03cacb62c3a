"""What the bundled encoder costs, and how exact it is: windows, int8, processors without VNNI.

    python benchmarks/bench_encoder.py
    python benchmarks/bench_encoder.py --data-dir ~/corpora
    python benchmarks/bench_encoder.py --without-vnni --clips 40   # needs qemu-x86_64 (qemu-user)

Times are of one thread, warm, the least of many runs. Errors are root mean squares, relative to
the deviation of the frames. models/NOTICE.md says how to make the file of the float16 weights,
which int8 is compared with.
"""

import os

os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from measured import add_write, printed

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import encoder as enc
from audio import load_audio
from checks import guarded
from create_csv import find_data_dir, list_audio
from parameters import SAMPLE_RATE as SR

LENGTHS = 1, 2, 3, 5, 10, 20, 30  # seconds
WINDOWS, OVERLAPS = (2, 3, 5, 10, 30), (0.2, 0.5, 1, 1.5, 2, 4, 6, 10)  # seconds
SEAM = 10  # frames at both sides of a seam that are compared
LABELS = {"emodb": r"[^/]{5}([A-Z])[^/]*$", "train-custom": r"_([a-z]+)\.wav$"}
"""Corpus to the pattern of its labels in file names, for `without_vnni`."""


def recordings(data_dir):
    """All clips of EMO-DB, or the bundled ones, and the pattern of their labels."""
    for name, pattern in LABELS.items():
        folder = find_data_dir(data_dir) / name
        if folder.is_dir():
            return list_audio(folder), pattern
    sys.exit("no recordings: is data/train-custom there?")


def least(function, *args, seconds=2.0):
    """The least time of calls, ms."""
    function(*args)
    times, end = [], time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        function(*args)
        times.append(time.perf_counter() - start)
    return 1e3 * min(times)


def relative(x, reference):
    """Root mean square of the difference, relative to the deviation of the frames."""
    spread = np.concatenate(reference) - np.concatenate(reference).mean(axis=0)
    return np.sqrt(np.mean((np.concatenate(x) - np.concatenate(reference)) ** 2)) / spread.std()


def speed(y):
    """Print the cost of clips of several lengths."""
    encoder = enc.load_encoder()
    clip = y[: 3 * SR]
    whole, spectrogram = least(enc.EncoderFrames, clip, SR, encoder), least(enc.log_mel, clip)
    print(f"a clip of 3 s: {whole:.1f} ms, {spectrogram:.1f} of them for the spectrogram")
    for seconds in LENGTHS:
        cost = least(encoder.encode, y[: seconds * SR])
        print(f"  {seconds:2d} s: {cost:6.1f} ms, {1e3 * seconds / cost:.0f} times real time")


def seams(y):
    """Print by how much two windows differ about the middle of their overlap.

    They can't agree: Whisper adds to each frame a vector of its place in the window, and attends
    to all frames of the window. The larger the overlap, the nearer are the places.
    """
    encoder = enc.load_encoder()
    print("two windows about the middle of their overlap, error relative to the deviation:")
    print("  overlap, s " + "".join(f"{overlap:7.1f}" for overlap in OVERLAPS))
    for window in WINDOWS:
        errors = [_seam(encoder, y, window, overlap) for overlap in OVERLAPS if overlap < window]
        print(f"  {window:2d} s       " + "".join(f"{error:7.3f}" for error in errors))


def _seam(encoder, y, window, overlap):
    """The error at one seam of windows, relative to the deviation of the frames."""
    start = round((window - overlap) * enc.FRAME_RATE)  # of the second window, in frames
    before = encoder.encode(y[: window * SR])
    after = encoder.encode(y[start * SR // enc.FRAME_RATE :][: window * SR])
    middle, n = (start + len(before)) // 2, min(SEAM, (len(before) - start) // 2)
    first = before[middle - n : middle + n]
    second = after[middle - n - start : middle + n - start]
    return np.sqrt(np.mean((first - second) ** 2)) / (before - before.mean(axis=0)).std()


def quantisation(sounds):
    """Print errors of int8 against the float16 weights, computed as float32."""
    name = f"whisper-base@{','.join(map(str, range(enc.N_LAYERS)))}"
    frames = {}
    for precision in enc.PRECISIONS:
        os.environ["SER_ENCODER_PRECISION"] = precision
        try:
            frames[precision] = [enc.load_encoder(name).encode(y) for y in sounds]
        except enc.EncoderError as error:
            return print(f"float16 isn't compared: {error}")
        finally:
            del os.environ["SER_ENCODER_PRECISION"]
    parts = {key: [np.split(x, enc.N_LAYERS, axis=1) for x in xs] for key, xs in frames.items()}
    for layer in range(enc.N_LAYERS):
        x, reference = ([clip[layer] for clip in parts[key]] for key in enc.PRECISIONS)
        print(f"int8 against float16, layer {layer}: relative error {relative(x, reference):.4f}")
    x, reference = (pooled(frames[key]) for key in enc.PRECISIONS)
    return print(
        f"cosine of mean and deviation, the least of all clips: {cosines(x, reference, reference)}"
    )


def pooled(frames):
    """Mean and deviation over time (n_clips, 2 * n_columns)."""
    return np.stack([np.concatenate([x.mean(axis=0), x.std(axis=0)]) for x in frames])


def cosines(x, reference, clips):
    """The least cosine of rows, as they are and standardised by those of many clips: text."""

    def least_cosine(a, b):
        return np.min(np.sum(a * b, axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1))

    mean, std = clips.mean(axis=0), clips.std(axis=0)
    standardised = least_cosine((x - mean) / std, (reference - mean) / std)
    return f"{least_cosine(x, reference):.5f}, standardised {standardised:.5f}"


def without_vnni(data_dir, n_clips, weights):
    """Print what an emulated processor with AVX2 and without VNNI makes of short clips.

    Parameters
    ----------
    data_dir : path or None
    n_clips : int
    weights : path or None
        If given, a form with weights of 8 whole bits is made of it and compared, too.
    """
    if not shutil.which("qemu-x86_64"):
        sys.exit("qemu-x86_64 isn't installed; on Debian: apt-get install qemu-user")
    paths, pattern = recordings(data_dir)
    labels = np.array([re.search(pattern, str(path))[1] for path in paths])
    sounds = [load_audio(path)[SR // 4 : SR // 4 + SR] for path in paths]
    tested = np.arange(len(paths))[:: max(1, len(paths) // n_clips)][:n_clips]
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        np.savez(folder / "sounds.npz", *[sounds[i] for i in tested])
        forms = {"bundled": enc.FOLDER / enc.PRECISIONS["int8"][0]}
        if weights:
            forms["8 bits"] = _with_eight_bits(weights, folder / "eight.onnx")
        for form, path in forms.items():
            encoder = enc.load_encoder(f"{path}@2,3")
            X = pooled([encoder.encode(y) for y in sounds])
            command = ["qemu-x86_64", "-cpu", "Haswell", sys.executable, __file__]
            emulated = folder / "emulated.npz"
            subprocess.run(
                [*command, "--encode", str(path), str(folder / "sounds.npz"), str(emulated)],
                check=True,
                stderr=subprocess.DEVNULL,
            )
            with np.load(emulated) as arrays:
                frames = [arrays[name] for name in arrays.files]
            native = [encoder.encode(sounds[i]) for i in tested]
            report(form, frames, native, X, labels, tested)


def report(form, frames, native, X, labels, tested):
    """Print errors of emulated frames, and labels by the nearest class mean of the other clips."""
    rest = np.setdiff1d(np.arange(len(X)), tested)
    std = X[rest].std(axis=0)
    names = np.unique(labels[rest])
    centres = np.stack([X[rest][labels[rest] == name].mean(axis=0) for name in names])

    def nearest(x):
        gaps = (((x[:, None] - centres[None]) / std) ** 2).sum(axis=2)
        return names[gaps.argmin(axis=1)]

    emulated, here = pooled(frames), pooled(native)
    worst = max(np.abs(a - b).max() for a, b in zip(frames, native, strict=True))
    same = np.sum(nearest(emulated) == nearest(here))
    print(
        f"{form}: relative error {relative(frames, native):.5f}, at most {worst:.4f}; cosine of "
        f"mean and deviation {cosines(emulated, here, X)}; {same} of {len(tested)} labels the same"
    )


def _with_eight_bits(weights, path):
    """Write a form of the encoder whose weights use all of int8: path."""
    sys.path.insert(0, str(enc.FOLDER))
    import make_encoder

    make_encoder.LARGEST_WEIGHT = 127
    model = make_encoder.make_model(make_encoder.read_weights(weights), "int8")
    path.write_bytes(model.SerializeToString())
    return path


def encode_all(model, sounds, output):
    """What runs in the emulator: encode all clips of a file."""
    encoder = enc.load_encoder(f"{model}@2,3")
    with np.load(sounds) as arrays:
        np.savez(output, *[encoder.encode(arrays[name]) for name in arrays.files])


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data-dir")
    parser.add_argument("--clips", type=int, default=40)
    parser.add_argument("--without-vnni", action="store_true")
    parser.add_argument("--weights", help="base.pt or .npz: compare weights of 8 whole bits, too")
    add_write(parser)
    parser.add_argument("--encode", nargs=3, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.encode:
        return encode_all(*args.encode)
    if args.without_vnni:
        data = f"{args.clips} clips, an emulated processor without VNNI"
        with printed("encoder_without_vnni", data, args.write):
            return without_vnni(args.data_dir, args.clips, args.weights)
    paths, _ = recordings(args.data_dir)
    sounds = [load_audio(path) for path in paths[:: max(1, len(paths) // args.clips)]]
    long = np.resize(np.concatenate(sounds), 60 * SR)
    with printed("encoder", f"{len(sounds)} clips of EMO-DB", args.write):
        speed(long)
        seams(long)
        quantisation(sounds)
    return 0


if __name__ == "__main__":
    sys.exit(guarded("bench_encoder.py", main))
