"""The microphone's command line hears what is played into a real PortAudio input.

The input is PulseAudio's null sink, whose monitor is the default source: no sound card is needed.
"""

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from conftest import REPO

from audio import load_audio
from create_csv import list_audio
from emotion_recognition import recommended
from parameters import SAMPLE_RATE as SR

EMOTIONS = ["sad", "neutral", "happy"]
PROGRAMS = "pulseaudio", "pactl", "paplay"
PULSE = [
    "pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", "--log-level=error",
    "--load=module-native-protocol-unix", "--load=module-null-sink sink_name=mic rate=48000",
]  # fmt: skip


def missing():
    """What this machine lacks for a virtual microphone: str, empty if nothing."""
    lacks = [name for name in PROGRAMS if shutil.which(name) is None]
    lacks += [] if importlib.util.find_spec("pyaudio") else ["pyaudio"]
    if not lacks and not any(Path(folder).glob("99-pulse*") for folder in ("/etc/alsa/conf.d",)):
        lacks = ["ALSA's plugin for PulseAudio"]
    return ", ".join(lacks)


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    """A data folder with the bundled recordings only."""
    folder = tmp_path_factory.mktemp("data")
    for name in ("train-custom", "test-custom"):
        shutil.copytree(REPO / "data" / name, folder / name)
    return folder


@pytest.fixture(scope="module")
def rec(data_dir):
    """The recognizer that the command line trains."""
    return recommended(emotions=EMOTIONS, data_dir=data_dir, verbose=0).train()


class VirtualMicrophone:
    """A PulseAudio of its own, into whose sink clips are played."""

    def __init__(self, folder):
        runtime = folder / "pulse"
        runtime.mkdir(mode=0o700)
        names = {"XDG_RUNTIME_DIR": runtime, "HOME": folder, "PULSE_RUNTIME_PATH": runtime,
                 "PULSE_SERVER": f"unix:{runtime}/native"}  # fmt: skip
        self.env = os.environ | {name: str(value) for name, value in names.items()}
        self.daemon = subprocess.Popen(
            PULSE, env=self.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self._wait()
        subprocess.run(["pactl", "set-default-source", "mic.monitor"], env=self.env, check=True)

    def _wait(self):
        for _ in range(100):
            found = subprocess.run(["pactl", "list", "short", "sources"], env=self.env,
                                   capture_output=True, text=True, check=False)  # fmt: skip
            if "mic.monitor" in found.stdout:
                return
            time.sleep(0.1)
        raise RuntimeError("PulseAudio doesn't start")

    def play(self, path):
        subprocess.run(["paplay", "--device=mic", str(path)], env=self.env, check=True)

    def close(self):
        self.daemon.kill()
        self.daemon.wait()


@pytest.fixture
def microphone(tmp_path):
    if lacks := missing():
        assert not os.environ.get("SER_MICROPHONE_TESTS"), f"missing: {lacks}"
        pytest.skip(f"no virtual microphone without {lacks}: `make mic`, and sudo apt-get install "
                    "pulseaudio pulseaudio-utils libasound2-plugins")  # fmt: skip
    found = VirtualMicrophone(tmp_path)
    yield found
    found.close()


class Listener:
    """A running test.py, whose lines are read as they come."""

    def __init__(self, data_dir, *arguments, env=None):
        command = [sys.executable, "-u", "test.py", "--data-dir", str(data_dir), "-m", "default",
                   "-e", ",".join(EMOTIONS), *map(str, arguments)]  # fmt: skip
        self.process = subprocess.Popen(
            command, cwd=REPO, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        self.lines = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.append(line.rstrip())

    def wait_for(self, text, n=1, timeout=120):
        deadline = time.monotonic() + timeout
        while sum(text in line for line in self.lines) < n:
            if time.monotonic() > deadline or self.process.poll() is not None:
                raise AssertionError(f"no {text!r} in {self.lines}: {self.process.stderr.read()}")
            time.sleep(0.05)

    def end(self, timeout=60):
        """Exit code and what is on stderr."""
        code = self.process.wait(timeout)
        self._reader.join()
        return code, self.process.stderr.read()


def padded(path, folder, before=0.8, after=1.2):
    """A clip without its own silence, between silences: its path, and the clip (n_samples,)."""
    y = load_audio(path)
    loud = np.flatnonzero(np.abs(y) > 0.03 * np.abs(y).max())
    y = 0.5 * y[loud[0] : loud[-1] + 1] / np.abs(y).max()
    silence = [np.zeros(round(seconds * SR)) for seconds in (before, after)]
    target = folder / f"play_{path.name}"
    sf.write(target, np.concatenate([silence[0], y, silence[1]]), SR)
    return target, y


def sure_clips(rec, n=3):
    """Test clips that the recognizer is sure about, of as many emotions as possible."""
    paths = [path for emotion in EMOTIONS for path in rec.test_rows_["path"]
             if path.endswith(f"_{emotion}.wav")][::4]  # fmt: skip
    paths.sort(key=lambda path: -max(rec.predict_proba(path).values()))
    return [Path(path) for path in paths[:n]]


def place_of(y, recording):
    """Where a clip begins in a recording of it, in seconds, by cross-correlation."""
    from scipy.signal import correlate

    return (np.argmax(correlate(recording, y, "full", "fft")) - (len(y) - 1)) / SR


def test_utterances_are_heard_cut_where_they_start_and_end_and_named(
    microphone, rec, data_dir, tmp_path
):
    listener = Listener(data_dir, "--continuous", "--save", tmp_path / "kept", env=microphone.env)
    listener.wait_for("Please talk")
    clips = sure_clips(rec)
    for n, path in enumerate(clips, 1):
        microphone.play(padded(path, tmp_path)[0])
        listener.wait_for("saved:", n, timeout=20)
    listener.process.send_signal(signal.SIGINT)
    assert listener.end()[0] == 0
    kept = list_audio(tmp_path / "kept")
    assert len(kept) == len(clips)
    for path, recording in zip(clips, kept, strict=True):
        y, heard = padded(path, tmp_path)[1], load_audio(recording)
        start = place_of(y, heard)
        assert 0 <= start < 0.2
        assert abs(len(heard) / SR - start - len(y) / SR) < 0.2
        label = recording.stem.rpartition("_")[2]
        assert label == rec.predict(heard, sr=SR)
        assert label == rec.predict(str(path))
    rows = [line.split() for line in listener.lines if " s  " in line]
    assert rows and {row[3] for row in rows} <= set(EMOTIONS)


def test_one_utterance_is_named_and_the_program_ends(microphone, rec, data_dir, tmp_path):
    listener = Listener(data_dir, env=microphone.env)
    listener.wait_for("Please talk")
    (clip,) = sure_clips(rec, 1)
    microphone.play(padded(clip, tmp_path)[0])
    code, errors = listener.end()
    assert code == 0, errors
    named = next(line for line in listener.lines if "heard from" in line)
    assert named.split()[0] == rec.predict(str(clip))
    assert sum("█" in line for line in listener.lines) >= 1


def test_a_voice_reads_sentences_first(microphone, rec, data_dir, tmp_path):
    listener = Listener(data_dir, "--calibrate", env=microphone.env)
    listener.wait_for("Please talk")
    clips = [p for p in list_audio(data_dir / "test-custom") if p.stem.endswith("neutral")]
    for n, path in enumerate(clips[:5], 1):
        listener.wait_for(f"Read aloud ({n} of 5)", timeout=20)
        microphone.play(padded(path, tmp_path)[0])
    listener.wait_for("this voice is known", timeout=20)
    microphone.play(padded(clips[6], tmp_path)[0])
    code, errors = listener.end()
    assert code == 0, errors
    assert any("heard from" in line for line in listener.lines)


def test_nobody_speaks_and_a_device_is_not_there(microphone, data_dir):
    silent = Listener(data_dir, "--timeout", 2, env=microphone.env)
    absent = Listener(data_dir, "--device", "telephone", env=microphone.env)
    code, errors = silent.end(120)
    assert code == 1 and "test.py: Nothing heard for 2 s" in errors.splitlines()[-1]
    code, errors = absent.end(120)
    assert code == 1 and "There is no input device 'telephone'" in errors.splitlines()[-1]


def test_a_device_that_goes_away_is_missed(microphone, data_dir):
    listener = Listener(data_dir, "--continuous", env=microphone.env)
    listener.wait_for("Please talk")
    microphone.close()
    code, errors = listener.end(30)
    assert code == 1
    assert "unplugged" in errors.splitlines()[-1]


def test_devices_are_listed(microphone):
    done = subprocess.run([sys.executable, "test.py", "--list-devices"], cwd=REPO, text=True,
                          env=microphone.env, capture_output=True, check=False)  # fmt: skip
    assert done.returncode == 0 and done.stderr == ""
    assert any(line.startswith("*") and "Hz" in line for line in done.stdout.splitlines())


# without a microphone


def run(*arguments):
    return subprocess.run([sys.executable, "test.py", *map(str, arguments)], cwd=REPO, text=True,
                          capture_output=True, check=False)  # fmt: skip


def test_a_file_goes_down_the_same_road(rec, data_dir, tmp_path):
    (clip,) = sure_clips(rec, 1)
    path, y = padded(clip, tmp_path)
    done = run("--data-dir", data_dir, "-m", "default", "--file", path, "--save", tmp_path / "kept")
    assert done.returncode == 0, done.stderr
    (kept,) = list_audio(tmp_path / "kept")
    heard = load_audio(kept)
    assert abs(place_of(y, heard)) < 0.2 and abs(len(heard) - len(y)) < 0.4 * SR
    named = next(line for line in done.stdout.splitlines() if "heard from" in line)
    assert named.split()[0] == rec.predict(heard, sr=SR)
    done = run("--data-dir", data_dir, "-m", "default", "--file", path, "--continuous")
    assert done.returncode == 0, done.stderr
    assert any(f"  {rec.predict(heard, sr=SR)} " in line for line in done.stdout.splitlines())


def test_a_recording_without_speech_says_so(data_dir, tmp_path):
    sf.write(tmp_path / "silence.wav", np.zeros(3 * SR), SR)
    done = run("--data-dir", data_dir, "-m", "default", "--file", tmp_path / "silence.wav")
    assert done.returncode == 1
    assert "There is no speech in" in done.stderr.splitlines()[-1]


def test_wrong_wishes_get_one_line(tmp_path):
    for arguments, words in (
        (["--file", tmp_path / "none.wav"], "There is no file"),
        (["-e", "sad,hapy"], "hapy"),
        (["-m", "SVM"], "SVC"),
    ):
        done = run(*arguments)
        assert done.returncode == 1
        assert done.stderr.startswith("test.py: ") and len(done.stderr.splitlines()) == 1
        assert words in done.stderr


def test_the_help_lists_emotions_and_models():
    text = run("--help").stdout
    for word in ("sad,neutral,happy", "boredom", "BaggingClassifier", "MLPClassifier",
                 "--continuous", "--calibrate"):  # fmt: skip
        assert word in text
