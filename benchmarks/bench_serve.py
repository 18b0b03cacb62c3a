"""How many requests a second the server answers, and how long each takes.

    python benchmarks/bench_serve.py                       # 3 s clips, 1, 4 and 16 clients
    python benchmarks/bench_serve.py --seconds 20 --clients 1 8
    python benchmarks/bench_serve.py --model models/free.ser

Real clients in processes of their own send the same clip over loopback, each the next one when it
has its answer, to a serve.py that this starts. What one core can do at best is measured in this
process, before: decoding and `recognise`, without HTTP.
"""

import argparse
import io
import os
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import soundfile as sf

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from audio import load_audio
from emotion_recognition import load_recognizer
from parameters import SAMPLE_RATE
from predictor import recognise

REPO = Path(__file__).resolve().parents[1]


def clip(seconds):
    """A WAV of so many seconds of the bundled speech: bytes."""
    folder, file = REPO / "data" / "test-custom", io.BytesIO()
    voice = np.concatenate([load_audio(path) for path in sorted(folder.glob("v21_*.wav"))])
    y = np.resize(voice, round(seconds * SAMPLE_RATE))
    sf.write(file, y, SAMPLE_RATE, format="WAV", subtype="PCM_16")
    return file.getvalue()


def at_best(data, model, duration):
    """How many clips one thread recognises in a second: float."""
    predictor, n = load_recognizer(model).predictor_, 0
    recognise(predictor, io.BytesIO(data))
    until = time.perf_counter() + duration
    while time.perf_counter() < until:
        recognise(predictor, io.BytesIO(data))
        n += 1
    return n / duration


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


def main(argv=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=3.0, help="of the clip")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 4, 16])
    parser.add_argument("--duration", type=float, default=20.0, help="seconds of each measurement")
    parser.add_argument("--model", default=None)
    args = parser.parse_args(argv)
    data = clip(args.seconds)
    print(f"clips of {args.seconds:g} s, {len(data) / 1000:.0f} kB; {os.cpu_count()} cores")
    best = at_best(data, args.model, args.duration)
    print(
        f"one thread without a server: {best:.1f} a second, {1000 / best:.0f} ms each", flush=True
    )
    command = [sys.executable, "serve.py", "--port", "0", "--no-browser"]
    command += ["--model", args.model] if args.model else []
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True}
    with subprocess.Popen(command, cwd=REPO, **pipes) as server:
        try:
            url = server.stdout.readline().partition(" ")[0]
            ask(url, data, time.time() + 3)  # every worker and decoder has started
            print("clients  a second  median  99 %")
            for n in args.clients:
                with ProcessPoolExecutor(n) as pool:
                    [*pool.map(time.sleep, [0.1] * n)]
                    until = time.time() + args.duration
                    every = [*pool.map(ask, [url] * n, [data] * n, [until] * n)]
                times = np.concatenate(every)
                middle, worst = 1000 * np.quantile(times, (0.5, 0.99))
                rate = len(times) / args.duration
                print(f"{n:7d}  {rate:8.1f}  {middle:3.0f} ms  {worst:.0f} ms", flush=True)
        finally:
            server.terminate()


if __name__ == "__main__":
    main()
