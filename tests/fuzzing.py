"""What strangers' bytes do to the parsers: they are read, or refused by a documented error.

    python tests/fuzzing.py --minutes 5                # all targets, the time shared out
    python tests/fuzzing.py --minutes 1 audio model    # these
    python tests/fuzzing.py audio --input FILE         # one input, once more

A target is an entry of `TARGETS`. Anything but a result or its errors is a finding: another
exception, a message that doesn't name the file, a crash, too much time or memory. The smallest
input that still causes it goes to tests/cases/fuzzing/; give it a line in right.json, which says
what is right, and it's tested from then on. Atheris chooses the inputs by what they reach where it
is installed (Linux on x86_64), else they are changed blindly. The same seed makes the same choices.
"""

import argparse
import faulthandler
import hashlib
import io
import json
import os
import pickle
import random
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import types
import warnings
import zipfile
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile as sf

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "models"))

import make_encoder

import annotations
import audio
import download_data
import encoder
import gate
import grid_search
import model_file
import tables
import uploads
import utils
from corpus_records import Part
from emotion_recognition import load_recognizer
from parameters import SAMPLE_RATE

REPO = Path(__file__).resolve().parents[1]
CASES = REPO / "tests" / "cases" / "fuzzing"
SECONDS, MEMORY = 60, 2**30  # that an input may take; bytes beyond what the seeds take
ADDRESS_SPACE = 2**35  # bytes, so that a finding doesn't take the machine down
SMALLER = 60  # seconds to make a finding smaller
MODELS = ("adapted", "bagging", "ensemble", "recommended", "regressor")  # files in tests/cases/


class Target(NamedTuple):
    """A parser, and what it may do."""

    ending: str  # of the names of its inputs
    seeds: Callable  # () to list of bytes: small inputs that are right
    parse: Callable  # reads the input at a path
    errors: tuple  # what it may raise, with the input's name in the message


# audio


@cache
def speech(seconds):
    """The beginning of a bundled recording: ndarray (n_samples,) at 16 kHz."""
    path = REPO / "data" / "test-custom" / "v21_s6_happy.wav"
    return audio.load_audio(path)[: round(seconds * SAMPLE_RATE)]


def sounds():
    """0.2 s of speech in all containers and codings that are worth it: list of bytes."""
    kinds = "WAV/PCM_16 WAV/FLOAT WAV/MS_ADPCM FLAC/PCM_16 OGG/VORBIS OGG/OPUS MP3/MPEG_LAYER_III "
    kinds += "AIFF/PCM_16 AU/PCM_16 CAF/PCM_16 RF64/PCM_16 W64/PCM_16 WAVEX/PCM_24"
    found = []
    for kind in kinds.split():
        form, subtype = kind.split("/")
        file = io.BytesIO()
        sf.write(file, speech(0.2), SAMPLE_RATE, format=form, subtype=subtype)
        found.append(file.getvalue())
    with tempfile.TemporaryDirectory() as folder:
        for ending in ("m4a", "webm", "mka", "aac"):
            path = Path(folder, f"sound.{ending}")
            command = [audio.find_ffmpeg(""), "-v", "error", "-i", "-", str(path)]
            subprocess.run(command, input=found[0], check=True)
            found.append(path.read_bytes())
    return found


def hear(path):
    y = audio.load_audio(path, min_duration=0)
    assert y.dtype == np.float32 and y.ndim == 1 and len(y) and np.isfinite(y).all()


# models: whole files, and files whose digests are right though a member was changed


@cache
def members(name):
    """The members of a file in tests/cases/, but for the manifest: dict of str to bytes."""
    with zipfile.ZipFile(REPO / "tests" / "cases" / f"{name}.ser") as archive:
        return {n: archive.read(n) for n in archive.namelist() if n != "manifest.json"}


def whole_models():
    return [(REPO / "tests" / "cases" / f"{name}.ser").read_bytes() for name in MODELS]


def model_members():
    """Headers and some arrays, each after a line with the names of its file and itself."""
    return [
        f"{model} {name}\n".encode() + data
        for model in MODELS
        for name, data in members(model).items()
        if name.endswith(("json", "/3.npy", "/4.npy"))
    ]


def schemas():
    """The schemas of scikit-learn models, each after a line with the names of its places."""
    return [
        f"{model} {name}\n".encode() + zipfile.ZipFile(io.BytesIO(data)).read("schema.json")
        for model in MODELS
        for name, data in members(model).items()
        if name.endswith("skops")
    ]


def load_model(path):
    rec = load_recognizer(path)
    rec.predict(speech(0.5), sr=SAMPLE_RATE)
    rec.card()


def forged(path):
    """The names in the first line of an input, where they are right, and what follows it."""
    line, _, data = path.read_bytes().partition(b"\n")
    model, _, name = line.decode(errors="replace").partition(" ")
    model = model if model in MODELS else "bagging"
    return members(model), name if name in members(model) else "header.json", data


def load_with_member(path):
    own, name, data = forged(path)
    path = path.with_suffix(".ser")
    path.write_bytes(model_file._sealed(own | {name: data}))
    load_model(path)


def load_with_schema(path):
    own, name, data = forged(path)
    name = name if name.endswith("skops") else "models/3.skops"
    with zipfile.ZipFile(io.BytesIO(own.get(name) or members("bagging")[name])) as archive:
        parts = {n: archive.read(n) for n in archive.namelist()} | {"schema.json": data}
    path = path.with_suffix(".ser")
    path.write_bytes(model_file._sealed(own | {name: model_file.zipped(parts)}))
    load_model(path)


# encoders


def encoders():
    from tiny_encoder import write_tiny_encoder

    with tempfile.TemporaryDirectory() as folder:
        return [Path(write_tiny_encoder(Path(folder, "tiny.onnx"))).read_bytes()]


def encode(path):
    assert all(np.isfinite(x).all() for x in encoder.load_encoder(str(path)).encode(speech(0.5)))


def checkpoints():
    from test_encoder import checkpoint

    return [checkpoint({"encoder.a": np.ones((3, 4), np.float16)}).getvalue()]


# grid results


def grid_results():
    return [utils.results_path(kind).read_bytes() for kind in (True, False)]


def get_tuned(path):
    folder = path.with_suffix("")
    folder.mkdir(exist_ok=True)
    shutil.copy(path, utils.results_path(True, folder))
    utils.get_best_estimators(True, folder)


def journals():
    lines = ["mark", *(json.dumps([json.dumps(["SVC", [["C", i]], 40, 0]), i / 3]) for i in (1, 2))]
    return ["\n".join(lines).encode()]


def resume_search(path):
    copy = path.with_suffix(".copy")  # it is written anew
    shutil.copy(path, copy)
    scores = grid_search.Journal(copy, "mark", resume=True).scores
    assert all(isinstance(score, float) for score in scores.values())


# tables, listings, archives


def desc_files():
    return [
        b"path,emotion,speaker,corpus\na/b_happy.wav,happy,b,custom\n",
        'path,emotion\n"é, ü.wav",sad\r\n../x.wav,"a ""word"""\n'.encode(),
        b"emotion,path,more\nsad,\xff\xfe.wav,1\nNA,nan,\n",
    ]


def read_table(path):
    rows = tables.read_desc_file(path)
    assert list(rows.columns) == tables.COLUMNS
    assert all(isinstance(value, str) for value in rows.to_numpy().ravel())


def segments():
    return [
        b"SPEAKER call 1 0.50 1.25 <NA> <NA> ann <NA> <NA>\n;; x\nSPEAKER call 1 1 2 . . bob . .\n",
        b'start,end,speaker\n0.5,1:00.25,ann\n1,2,"b, ob"\n',
        "\ufeffWho;Begin;Dur\r\nżal;1e1;0:00:02\r\n".encode(),
    ]


def read_segments(path):
    rows = annotations.read_segments(path)
    assert list(rows.columns) == ["start", "end", "speaker"] and len(rows)
    assert (rows["start"] >= 0).all() and (rows["start"] < rows["end"]).all()
    assert np.isfinite(rows["end"]).all() and rows["speaker"].map(len).all()


def exports():
    value = {"choices": ["sad"]}, {"start": 1, "end": 2.5, "labels": ["happy", "żal"]}
    result = [{"from_name": "emotion", "type": "x", "value": own} for own in value]
    audio = "/data/local-files/?d=a%20b.wav"
    full = {"data": {"audio": audio}, "annotations": [{"result": result, "was_cancelled": False}]}
    short = {"audio": "/data/upload/1/0123abcd-x.wav", "emotion": [value[1]]}
    cell = json.dumps([value[1]]).replace('"', '""')
    return [
        json.dumps([full, full]).encode(),
        json.dumps([short, short | {"emotion": "sad"}]).encode(),
        f'audio,id,emotion\nx.wav,1,sad\ny.wav,2,"{cell}"\n'.encode(),
    ]


def read_export(path):
    rows = annotations.read_label_studio(path)
    assert list(rows.columns) == ["path", "emotion", "start", "end"] and len(rows)
    assert all(isinstance(x, str) and x for x in rows[["path", "emotion"]].to_numpy().ravel())


def listings():
    file = {"filename": "OAF_back_angry.wav", "md5": "0" * 32, "id": 1, "filesize": 9}
    answer = {
        "data": {"latestVersion": {"files": [{"dataFile": file | {"id": i}} for i in (1, 2)]}}
    }
    return [json.dumps(answer).encode()]


@cache
def site():
    """A site on this machine that answers each request with the file of that name: its URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            data = Path(self.path.removesuffix("/datasets/x")).read_bytes()
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}"


def list_files(path):
    part = Part("*", 1, listing=f"{site()}{path}/datasets/x")
    for file in download_data._listed(part, verbose=0):
        assert isinstance(file.name, str) and isinstance(file.size, int), file


def archives():
    file, clip = io.BytesIO(), sounds()[0]
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("wav/03a01Fa.wav", "TESS/OAF_back_angry.wav", "03-01-01-01-01-01-01.wav"):
            archive.writestr(name, clip)
    return [file.getvalue()]


def lay_out(path):
    with tempfile.TemporaryDirectory() as folder:
        download_data.lay_out(path, data_dir=folder, verbose=0)


def forms():
    """Bodies of requests, each after a line with its content type."""
    head = b'Content-Disposition: form-data; name="files"; filename="%s"\r\n\r\nRIFF\r\n'
    parts = b"".join(b"--b\r\n" + head % name for name in (b"a.wav", 'żal \\" .wav'.encode()))
    plain = parts.replace(b'"files"', b"files").replace(b"--b", b"\r\n--b c")
    return [
        b"multipart/form-data; boundary=b\n" + parts + b"--b--\r\n",
        b'multipart/form-data; charset=utf-8; boundary="b c"\n' + plain + b"--b c--",
    ]


def take_apart(path):
    kind, _, body = path.read_bytes().partition(b"\n")
    try:
        files = uploads.files_of(kind.decode("latin-1"), body, gate.Limits(files=3))
    except gate.Refused as error:
        raise ValueError(f"{path}: {error}") from error
    assert 0 < len(files) <= 3 and all(name.isprintable() for name, _ in files)
    assert sum(len(data) for _, data in files) <= len(body)


TARGETS = {
    "audio": Target(".wav", sounds, hear, (audio.AudioError,)),
    "model": Target(".ser", whole_models, load_model, (model_file.ModelFileError,)),
    "member": Target(".member", model_members, load_with_member, (model_file.ModelFileError,)),
    "schema": Target(".schema", schemas, load_with_schema, (model_file.ModelFileError,)),
    "encoder": Target(".onnx", encoders, encode, (encoder.EncoderError,)),
    "checkpoint": Target(".pt", checkpoints, make_encoder.read_checkpoint, (encoder.EncoderError,)),
    "grid": Target(".pickle", grid_results, get_tuned, (ValueError,)),
    "journal": Target(".jsonl", journals, resume_search, ()),
    "table": Target(".csv", desc_files, read_table, (ValueError,)),
    "rttm": Target(".csv", segments, read_segments, (ValueError,)),
    "labelstudio": Target(".json", exports, read_export, (ValueError,)),
    "listing": Target(".json", listings, list_files, (download_data.DownloadError,)),
    "form": Target(".form", forms, take_apart, (ValueError,)),
    "archive": Target(".zip", archives, lay_out, (ValueError,)),
}


def check(target, path):
    """Let a target read an input, and return the error, if any; raise what is a finding.

    Parameters
    ----------
    target : Target
    path : Path
    """
    before = max(peak(), check.usual)
    faulthandler.dump_traceback_later(SECONDS, exit=True)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            target.parse(path)
        error = None
    except target.errors as caught:
        error = caught
    finally:
        faulthandler.cancel_dump_traceback_later()
    if error is not None and path.stem not in str(error):
        raise AssertionError("the message doesn't say which file it is") from error
    if peak() > before + MEMORY:
        raise MemoryError(f"{(peak() - before) / 1e6:.0f} MB more than others take")
    return error


check.usual = 0


def peak():
    """The most memory that this process or one of its children has had, bytes."""
    who = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return max(resource.getrusage(x).ru_maxrss for x in who) * (
        1 if sys.platform == "darwin" else 1024
    )


# changes

NUMBERS = (0, 1, 2, 127, 128, 255, 256, 2**15, 2**16 - 1, 2**24, 2**31 - 1, 2**31, 2**32 - 1, 2**63)
WORDS = b'null true {} [] "" -1 1e999 NaN 0.5 \x00 \xff \xef\xbb\xbf ../ / , : " [ { \n \r ; $ .'
TOKENS = re.compile(rb'"[^"]*"|[\w.+-]+|\[[^][]*\]|\{[^{}]*\}')


def _byte(data, seeds, rng):
    i = rng.randrange(len(data))
    return data[:i] + bytes([rng.randrange(256)]) + data[i + 1 :]


def _cut(data, seeds, rng):
    i, n = rng.randrange(len(data)), rng.choice((1, 2, 4, 16, len(data)))
    return data[:i] + data[i + n :]


def _repeat(data, seeds, rng):
    i, n = rng.randrange(len(data)), rng.choice((1, 4, 16, 64))
    return data[:i] + data[i : i + n] * rng.choice((2, 3, 50)) + data[i + n :]


def _join(data, seeds, rng):
    other = rng.choice(seeds)
    return data[: rng.randrange(len(data))] + other[rng.randrange(len(other)) :]


def _number(data, seeds, rng):
    i, n = rng.randrange(len(data)), rng.choice((1, 2, 4, 8))
    number = (rng.choice(NUMBERS) * rng.choice((1, -1))) % 256**n
    return data[:i] + number.to_bytes(n, rng.choice(("little", "big"))) + data[i + n :]


def _word(data, seeds, rng):
    i, n = rng.randrange(len(data)), rng.choice((0, 0, 1))
    return data[:i] + rng.choice(WORDS.split(b" ")) + data[i + n :]


def _token(data, seeds, rng):
    """Put a word, a number or another token of the text in the place of a token."""
    found = list(TOKENS.finditer(data))
    if not found:
        return data
    place, other = rng.choice(found), rng.choice(found)[0]
    number = str(rng.choice(NUMBERS) * rng.choice((1, -1))).encode()
    return (
        data[: place.start()]
        + rng.choice((other, number, *WORDS.split(b" ")))
        + data[place.end() :]
    )


CHANGES = (_byte, _cut, _repeat, _join, _number, _word, _token, _token)


def changed(data, seeds, rng):
    """Change bytes at random: bytes.

    Parameters
    ----------
    data : bytes
    seeds : list of bytes
        Others, to take parts of.
    rng : random.Random
    """
    for _ in range(rng.choice((1, 1, 2, 4))):
        data = rng.choice(CHANGES)(data or rng.choice(seeds), seeds, rng)
    return data


# the loop


def fuzz(name, seconds, seed, folder):
    """Try inputs until the time is over (exit code 0) or one is a finding (any other).

    The input lies in the folder while it's read. The last line that is printed has the number of
    inputs. To be called in a process of its own.

    Parameters
    ----------
    name : str
        A key of `TARGETS`.
    seconds, seed : float, int
    folder : path
    """
    target, until, n = TARGETS[name], time.monotonic() + seconds, 0
    path, seeds = Path(folder, f"stranger{target.ending}"), target.seeds()
    seeds += [file.read_bytes() for file in cases(name)]
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))

    def try_it(data):
        nonlocal n
        if time.monotonic() > until:
            print(n, "inputs", flush=True)
            os._exit(0)  # libFuzzer knows no other end
        n += 1
        path.write_bytes(data)
        try:
            check(target, path)
        except BaseException:
            traceback.print_exc()
            os._exit(1)

    for data in seeds:
        try_it(data)
    rng = random.Random(seed)
    if atheris := _atheris():
        _guided(atheris, try_it, seeds, seed, folder)
    while True:
        try_it(changed(rng.choice(seeds), seeds, rng))


def _atheris():
    try:
        import atheris
    except ImportError:
        return None
    return atheris


def _guided(atheris, try_it, seeds, seed, folder):
    """Let atheris choose the inputs; it doesn't return."""
    for module in (audio, model_file, encoder, make_encoder, utils, grid_search, tables):
        _instrument(atheris, module)
    for module in (download_data, uploads, zipfile, pickle):
        _instrument(atheris, module)
    corpus = Path(folder, "corpus")
    corpus.mkdir()
    for i, data in enumerate(seeds):
        (corpus / str(i)).write_bytes(data)

    def change(data, max_size, seed):
        rng = random.Random(seed)
        if rng.random() < 0.3:
            return atheris.Mutate(data, max_size)
        return changed(data, seeds, rng)[:max_size]

    n_bytes = 2 * max(map(len, seeds)) + 1000
    options = [f"-seed={seed + 1}", f"-max_len={n_bytes}", f"-artifact_prefix={folder}/"]
    options += ["-rss_limit_mb=0", f"-timeout={10 * SECONDS}"]  # `check` has closer limits
    atheris.Setup([sys.argv[0], *options, str(corpus)], try_it, custom_mutator=change)
    atheris.Fuzz()


def _instrument(atheris, module):
    for function in vars(module).values():
        if isinstance(function, types.FunctionType) and function.__module__ == module.__name__:
            atheris.instrument_func(function)


# findings


def failure(target, data, folder):
    """What goes wrong with an input, in one line, or "": str. It is tried in a forked process.

    Parameters
    ----------
    target : Target
    data : bytes
    folder : Path
    """
    path, why = folder / f"stranger{target.ending}", folder / "why"
    path.write_bytes(data)
    why.write_text("")
    child = os.fork()
    if not child:
        try:
            check(target, path)
        except BaseException as error:
            error = error.__cause__ or error
            last = traceback.extract_tb(error.__traceback__)[-1]
            why.write_text(f"{type(error).__name__} in {Path(last.filename).name}:{last.lineno}")
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    return why.read_text() or (f"ended with status {status}" if status else "")


def smallest(target, data, folder, seconds=SMALLER):
    """Leave out what a finding doesn't need: bytes.

    Parameters
    ----------
    target, data, folder
        See `failure`.
    seconds : float
        After which it's small enough.
    """
    why, until = failure(target, data, folder), time.monotonic() + seconds
    size = len(data) // 2
    while why and size:
        start = 0
        while start < len(data) and time.monotonic() < until:
            shorter = data[:start] + data[start + size :]
            if failure(target, shorter, folder) == why:
                data = shorter
            else:
                start += size
        size //= 2
    return data


def replayed(target, path):
    """Try one input, and raise if it's a finding: str, the error and its message, or "read".

    Parameters
    ----------
    target : Target
    path : path
    """
    with tempfile.TemporaryDirectory(prefix="fuzzing-") as folder:
        copy = Path(folder, f"stranger{target.ending}")  # some parsers write beside it
        shutil.copy(path, copy)
        error = check(target, copy)
    return "read" if error is None else f"{type(error).__name__}: {error}"


def cases(name):
    """The inputs in tests/cases/fuzzing/ of a target: list of Path."""
    return sorted(CASES.glob(f"{name}-*"))


def run(name, seconds, seed):
    """Fuzz a target in a process of its own, and print what came of it: bool, whether all is well.

    Parameters
    ----------
    name, seconds, seed
        See `fuzz`.
    """
    target = TARGETS[name]
    with tempfile.TemporaryDirectory(prefix="fuzzing-") as folder:
        code = f"import fuzzing; fuzzing.fuzz({name!r}, {seconds!r}, {seed!r}, {folder!r})"
        how = {"cwd": REPO / "tests", "capture_output": True, "text": True, "errors": "replace"}
        done = subprocess.run([sys.executable, "-c", code], env=_alone(), check=False, **how)
        if not done.returncode:
            print(f"  {name:10s}  {done.stdout.split()[-2]:>8s} inputs, nothing found", flush=True)
            return True
        print(f"  {name:10s}  FOUND\n{done.stdout[-2000:]}{done.stderr[-6000:]}", flush=True)
        data = Path(folder, f"stranger{target.ending}").read_bytes()
        data = smallest(target, data, Path(folder))
    CASES.mkdir(exist_ok=True)
    path = CASES / f"{name}-{hashlib.sha256(data).hexdigest()[:8]}{target.ending}"
    path.write_bytes(data)
    print(f"  {len(data)} bytes cause it, in {path}: {data[:200]!r}")
    return False


def _alone():
    """One thread: the memory and time of an input are its own, and forks are safe."""
    return os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


def main(argv=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(TARGETS))
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--input", type=Path, help="try this one, and no other")
    args = parser.parse_args(argv)
    names = args.targets or list(TARGETS)
    if unknown := [name for name in names if name not in TARGETS]:
        parser.error(f"no target {', '.join(unknown)}; there are {', '.join(TARGETS)}")
    if args.input:
        print(replayed(TARGETS[names[0]], args.input))
        return 0
    how = "guided by atheris" if _atheris() else "blindly, for want of atheris"
    print(f"fuzzing {len(names)} parsers for {args.minutes:g} min, {how}, seed {args.seed}")
    seconds = 60 * args.minutes / len(names)
    well = [run(name, seconds, args.seed) for name in names]
    return int(not all(well))


if __name__ == "__main__":
    sys.exit(main())
