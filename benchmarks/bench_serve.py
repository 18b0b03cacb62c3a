"""How many requests a second the server answers, and how long each takes.

    python benchmarks/bench_serve.py                       # 3 s clips, 1, 4 and 16 clients
    python benchmarks/bench_serve.py --seconds 20 --clients 1 8
    python benchmarks/bench_serve.py --model models/free.ser

Real clients in processes of their own send the same clip over loopback, each the next one when it
has its answer, to a serve.py that this starts. What one core can do at best is measured in this
process, before: decoding and `recognise`, without HTTP.
"""

import os

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"  # as serve.py does

import argparse
import io
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import psutil
import soundfile as sf
from measured import add_write, write

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from audio import load_audio
from checks import guarded
from emotion_recognition import load_recognizer
from parameters import SAMPLE_RATE
from predictor import recognise

HEAD = ["clients", "clips a second", "median", "99 %", "processor for each"]
REPO = Path(__file__).resolve().parents[1]


def clip(seconds):
    """A WAV of so many seconds of the bundled speech: bytes."""
    folder, file = REPO / "data" / "test-custom", io.BytesIO()
    voice = np.concatenate([load_audio(path) for path in sorted(folder.glob("v21_*.wav"))])
    y = np.resize(voice, round(seconds * SAMPLE_RATE))
    sf.write(file, y, SAMPLE_RATE, format="WAV", subtype="PCM_16")
    return file.getvalue()


def at_best(data, model, duration):
    """Clips that one thread recognises in a second, and seconds of processor for each."""
    predictor, n = load_recognizer(model).predictor_, 0
    recognise(predictor, io.BytesIO(data))
    until, worked = time.perf_counter() + duration, time.process_time()
    while time.perf_counter() < until:
        recognise(predictor, io.BytesIO(data))
        n += 1
    return n / duration, (time.process_time() - worked) / n


def ask(url, data, until):
    """Seconds that each request of a client took, as long as it is before a time: list."""
    import httpx

    found = []
    with httpx.Client(base_url=url, timeout=300, trust_env=False) as client:
        while time.time() < until:
            start = time.perf_counter()
            client.post("/v1/predict", files={"files": ("clip.wav", data)}).raise_for_status()
            found.append(time.perf_counter() - start)
    return found


def processor(pid):
    """Seconds of processor that a process and its children have taken: float."""
    own = psutil.Process(pid)
    times = [process.cpu_times() for process in (own, *own.children(recursive=True))]
    return sum(t.user + t.system + t.children_user + t.children_system for t in times)


def main(argv=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=3.0, help="of the clip")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 4, 16])
    parser.add_argument("--duration", type=float, default=20.0, help="seconds of each measurement")
    parser.add_argument("--model", default=None)
    add_write(parser)
    args = parser.parse_args(argv)
    data, rows = clip(args.seconds), [HEAD]
    what = f"clips of {args.seconds:g} s, {len(data) / 1000:.0f} kB; {os.cpu_count()} cores"
    print(what)
    best, work = at_best(data, args.model, args.duration)
    took = f"{best:.1f} a second, {1000 * work:.0f} ms of processor each"
    alone = f"one thread without a server: {took}"
    print(alone, flush=True)
    command = [sys.executable, "serve.py", "--port", "0", "--no-browser"]
    command += ["--model", args.model] if args.model else []
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True}
    with subprocess.Popen(command, cwd=REPO, **pipes) as server:
        try:
            url = server.stdout.readline().partition(" ")[0]
            ask(url, data, time.time() + 3)  # every worker and decoder has started
            print(" | ".join(HEAD))
            for n in args.clients:
                with ProcessPoolExecutor(n) as pool:
                    [*pool.map(time.sleep, [0.1] * n)]
                    until = time.time() + args.duration
                    before = processor(server.pid)
                    every = [*pool.map(ask, [url] * n, [data] * n, [until] * n)]
                    spent = processor(server.pid) - before
                times = np.concatenate(every)
                middle, worst = 1000 * np.quantile(times, (0.5, 0.99))
                rate = len(times) / args.duration
                each = [f"{t:,.0f} ms" for t in (middle, worst, 1000 * spent / len(times))]
                rows.append([n, f"{rate:.1f}", *each])
                print(" | ".join(map(str, rows[-1])), flush=True)
        finally:
            server.terminate()
    if args.write:
        write("serve", what, {"requests": rows}, [alone])


if __name__ == "__main__":
    sys.exit(guarded("bench_serve.py", main))
