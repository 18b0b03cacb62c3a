"""The microphone's command line on a real PortAudio input, into which clips are played.

It is the monitor of PulseAudio's null sink: no sound card is needed.
"""

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path

import no_speech
import numpy as np
import pytest
import soundfile as sf
from conftest import EMOTIONS, REPO, bundled_clip
from scipy.signal import correlate

import commands
from audio import load_audio
from create_csv import list_audio
from emotion_recognition import load_recognizer
from listening import DeviceError, Recorder
from parameters import SAMPLE_RATE as SR

CUSTOM = ["--data-dir", str(REPO / "data"), "--corpora", "custom"]
PROGRAMS = "pulseaudio", "pactl", "paplay"
PULSE = [
    *("pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", "--log-level=error"),
    *("--load=module-native-protocol-unix", "--load=module-null-sink sink_name=mic rate=48000"),
]


def missing():
    """What this machine lacks for a virtual microphone: str, empty if nothing."""
    lacks = [name for name in PROGRAMS if shutil.which(name) is None]
    lacks += [] if importlib.util.find_spec("pyaudio") else ["pyaudio"]
    if not lacks and not any(Path("/etc/alsa/conf.d").glob("99-pulse*")):
        lacks = ["ALSA's plugin for PulseAudio"]
    return ", ".join(lacks)


class VirtualMicrophone:
    """A PulseAudio of its own, into whose sink clips are played."""

    def __init__(self, folder):
        runtime = folder / "pulse"
        runtime.mkdir(mode=0o700)
        names = {"HOME": folder, "PULSE_SERVER": f"unix:{runtime}/native"}
        names |= dict.fromkeys(["XDG_RUNTIME_DIR", "PULSE_RUNTIME_PATH"], runtime)
        self.env = os.environ | {name: str(value) for name, value in names.items()}
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self.daemon = subprocess.Popen(PULSE, env=self.env, **quiet)
        self._wait()
        self._run("pactl", "set-default-source", "mic.monitor", check=True)

    def _run(self, *command, **options):
        return subprocess.run(command, env=self.env, text=True, **options)

    def _wait(self):
        for _ in range(100):
            found = self._run("pactl", "list", "short", "sources", capture_output=True)
            if "mic.monitor" in found.stdout:
                return
            time.sleep(0.1)
        raise RuntimeError("PulseAudio doesn't start")

    def play(self, path):
        self._run("paplay", "--device=mic", str(path), check=True)

    def close(self):
        self.daemon.kill()
        self.daemon.wait()


@pytest.fixture
def microphone(tmp_path):
    if lacks := missing():
        assert not os.environ.get("SER_MICROPHONE_TESTS"), f"missing: {lacks}"
        pytest.skip(
            f"no virtual microphone without {lacks}: `make mic`, and sudo apt-get install "
            "pulseaudio pulseaudio-utils libasound2-plugins"
        )
    found = VirtualMicrophone(tmp_path)
    yield found
    found.close()


class Listener:
    """A running test.py, whose lines are read as they come."""

    def __init__(self, model, *arguments, env=None):
        command = [sys.executable, "-u", "test.py", "-m", str(model), *map(str, arguments)]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        # a shell lets what it starts in the background ignore SIGINT, and children inherit that
        handler = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            self.process = subprocess.Popen(command, cwd=REPO, env=env, text=True, **pipes)
        finally:
            signal.signal(signal.SIGINT, handler)
        self.lines = []
        read = (self.lines.append(line.rstrip()) for line in self.process.stdout)
        self._reader = threading.Thread(target=list, args=[read], daemon=True)
        self._reader.start()

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
    known = rec.test_rows_["path"]
    paths = [path for e in EMOTIONS for path in known if path.endswith(f"_{e}.wav")][::4]
    paths.sort(key=lambda path: -max(rec.predict_proba(path).values()))
    return [Path(path) for path in paths[:n]]


def place_of(y, recording):
    """Where a clip begins in a recording of it, in seconds, by cross-correlation."""
    return (np.argmax(correlate(recording, y, "full", "fft")) - (len(y) - 1)) / SR


@pytest.fixture(scope="module")
def model(rec, tmp_path_factory):
    """The file of `rec`."""
    path = tmp_path_factory.mktemp("model") / "model.ser"
    rec.save(path)
    return path


@pytest.mark.slow
def test_utterances_are_cut_where_they_start_and_end(microphone, rec, model, tmp_path):
    listener = Listener(model, "--continuous", "--save", tmp_path / "kept", env=microphone.env)
    listener.wait_for("Please talk")
    clips = sure_clips(rec)
    for n, path in enumerate(clips, 1):
        microphone.play(padded(path, tmp_path)[0])
        listener.wait_for("saved:", n)
    listener.process.send_signal(signal.SIGINT)
    assert listener.end()[0] == 0
    kept = list_audio(tmp_path / "kept")
    assert len(kept) == len(clips)
    for path, recording in zip(clips, kept, strict=True):
        y, recorded = padded(path, tmp_path)[1], load_audio(recording)
        start = place_of(y, recorded)
        assert 0 <= start < 0.2
        assert abs(len(recorded) / SR - start - len(y) / SR) < 0.2
        label = recording.stem.rpartition("_")[2]
        assert label == rec.predict(recorded, sr=SR)
        assert label == rec.predict(str(path))
    rows = [line.split() for line in listener.lines if " s  " in line]
    assert rows and {row[3] for row in rows} <= set(EMOTIONS)


@pytest.mark.slow
def test_one_utterance_is_predicted_and_the_program_ends(microphone, rec, model, tmp_path):
    listener = Listener(model, env=microphone.env)
    listener.wait_for("Please talk")
    (clip,) = sure_clips(rec, 1)
    microphone.play(padded(clip, tmp_path)[0])
    code, errors = listener.end()
    assert code == 0, errors
    found = next(line for line in listener.lines if "  (from " in line)
    assert found.split()[0] == rec.predict(str(clip))
    assert sum("█" in line for line in listener.lines) >= 1


@pytest.mark.slow
def test_a_speaker_reads_sentences_first(microphone, model, bundled_clips, tmp_path):
    listener = Listener(model, "--calibrate", env=microphone.env)
    listener.wait_for("Please talk")
    clips = [Path(path) for path in bundled_clips if path.endswith("neutral.wav")]
    for n, path in enumerate(clips[:5], 1):
        listener.wait_for(f"Read aloud ({n} of 5)")
        microphone.play(padded(path, tmp_path)[0])
    listener.wait_for("adapted to your voice")
    microphone.play(padded(clips[6], tmp_path)[0])
    code, errors = listener.end()
    assert code == 0, errors
    assert any("  (from " in line for line in listener.lines)


@pytest.mark.slow
def test_nobody_speaks_and_a_device_is_not_there(microphone, model):
    silent = Listener(model, "--timeout", 2, env=microphone.env)
    absent = Listener(model, "--device", "telephone", env=microphone.env)
    code, errors = silent.end()
    assert code == 1 and "test.py: No speech for 2 s" in errors.splitlines()[-1]
    code, errors = absent.end()
    assert code == 1 and "There is no input device 'telephone'" in errors.splitlines()[-1]


@pytest.mark.slow
def test_a_device_that_goes_away_is_missed(microphone, model):
    listener = Listener(model, "--continuous", env=microphone.env)
    listener.wait_for("Please talk")
    microphone.close()
    code, errors = listener.end()
    assert code == 1
    assert "unplugged" in errors.splitlines()[-1]


@pytest.mark.slow
def test_devices_are_listed(microphone):
    program = [sys.executable, "test.py", "--list-devices"]
    done = subprocess.run(program, cwd=REPO, text=True, env=microphone.env, capture_output=True)
    assert done.returncode == 0 and done.stderr == ""
    assert any(line.startswith("*") and "Hz" in line for line in done.stdout.splitlines())


# without a microphone


@pytest.fixture(scope="module")
def script():
    """test.py as a module; a package of Python's own has its name."""
    spec = importlib.util.spec_from_file_location("microphone_script", REPO / "test.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def run(script, capsys, monkeypatch):
    """Runs test.py in this process: exit code, stdout, stderr."""
    one_process = partial(commands.named_recognizer, n_jobs=1)  # others take seconds to start
    monkeypatch.setattr(commands, "named_recognizer", one_process)

    return lambda *arguments: (script.main([*map(str, arguments)]), *capsys.readouterr())


@pytest.fixture
def spoken(rec, tmp_path):
    """A recording between silences: its path, and the clip (n_samples,)."""
    return padded(sure_clips(rec, 1)[0], tmp_path)


def test_a_file_goes_down_the_same_road(run, rec, model, spoken, tmp_path):
    path, y = spoken
    code, out, err = run("-m", model, "--file", path, "--save", tmp_path / "kept")
    assert code == 0, err
    (kept,) = list_audio(tmp_path / "kept")
    recorded = load_audio(kept)
    assert abs(place_of(y, recorded)) < 0.2 and abs(len(recorded) - len(y)) < 0.4 * SR
    found = next(line for line in out.splitlines() if "  (from " in line)
    assert found.split()[0] == rec.predict(recorded, sr=SR)
    code, out, err = run("-m", model, "--file", path, "--continuous")
    assert code == 0, err
    assert any(f"  {rec.predict(recorded, sr=SR)} " in line for line in out.splitlines())


def test_the_bundled_model_chooses_among_the_emotions_that_are_wanted(run, bundled, spoken):
    for mode in ([], ["--continuous"]):
        code, out, _ = run("--file", spoken[0], *mode)
        assert code == 0 and all(emotion in out for emotion in bundled.emotions)
        code, out, _ = run("--file", spoken[0], "-e", "fear,sad", *mode)
        assert code == 0 and "sad" in out and "happy" not in out


def test_it_may_abstain_and_needs_speech(run, model, spoken, tmp_path):
    for mode in ([], ["--continuous"]):
        code, out, _ = run("-m", model, "--file", spoken[0], "--abstain", "1", *mode)
        assert code == 0 and "unsure" in out
        code, out, _ = run("-m", model, "--file", spoken[0], *mode)
        assert code == 0 and "unsure" not in out
    quiet, noise = np.zeros(2 * SR), no_speech.sound("white", 1, 3.0)
    y = np.concatenate([quiet, 0.1 * noise / noise.std(), quiet])
    sf.write(tmp_path / "noise.wav", y, SR)
    code, out, err = run("-m", model, "--file", tmp_path / "noise.wav", "--save", tmp_path / "kept")
    assert code == 0 and out.startswith("no speech  (from ") and "no-speech: " in err
    assert [path.name for path in list_audio(tmp_path / "kept")] == ["utterance_001_no-speech.wav"]


def test_a_classifier_is_trained_on_what_is_named(run, spoken, tmp_path):
    asked = ["--file", spoken[0], "-e", "sad,happy", "-m", "KNeighborsClassifier"]
    asked += ["--features", "mfcc"]
    code, out, err = run(*asked, *CUSTOM)
    assert code == 0 and "trained on" in err and "trained on" not in out
    assert {line.split()[0] for line in out.splitlines()} == {"sad", "happy"}
    (tmp_path / "data").mkdir()
    code, out, err = run(*asked, "--data-dir", tmp_path / "data")
    assert code == 1 and out == ""
    assert "download_data.py" in err and len(err.splitlines()) == 1


def test_the_microphone_is_checked_before_anything_is_loaded(run, script, monkeypatch):
    def absent(self):
        raise DeviceError("no microphone")

    monkeypatch.setattr(script.Microphone, "check", absent)
    monkeypatch.setattr(script, "recognizer", lambda args: 1 / 0)
    for mode in ([], ["--continuous"], ["-m", "lstm"]):
        assert run(*mode) == (1, "", "test.py: no microphone\n")


def test_neutral_sentences_come_first(run, rec, model, bundled_clips, tmp_path):
    """From a file, as from the microphone: five sentences, and what is predicted."""
    clips = [path for path in bundled_clips if path.endswith("neutral.wav")][:6]
    parts = [load_audio(padded(Path(path), tmp_path)[0]) for path in clips]
    sf.write(tmp_path / "all.wav", np.concatenate(parts), SR)
    kept = tmp_path / "me.ser"
    code, out, err = run(
        *("-m", model, "--file", tmp_path / "all.wav", "--adapt", "--save-adapted", kept)
    )
    assert code == 0, err
    assert "neutral, relaxed voice" in out.splitlines()[0] and "Read aloud (5 of 5)" in out
    assert "adapted to one speaker by 5 recordings (5 labelled): " in err
    found = next(line for line in out.splitlines() if "  (from " in line)
    recorded = [utterance.y for utterance in Recorder([np.concatenate(parts)])]
    adapted = rec.adapt(recorded[:5], "neutral", sr=SR)
    assert found.split()[0] == adapted.predict(recorded[5], sr=SR)
    again = load_recognizer(kept).predict_proba(recorded[5], sr=SR)
    assert again == pytest.approx(adapted.predict_proba(recorded[5], sr=SR), abs=1e-5)


def test_a_model_without_neutral_asks_for_no_neutral_sentences(run, saved, spoken):
    code, out, err = run("-m", saved, "--file", spoken[0], "--adapt")
    assert code == 1 and out == "" and "--adapt FOLDER" in err


def test_adapt_to_a_folder_or_while_speaking(run, rec, model, spoken, bundled_clips, tmp_path):
    (tmp_path / "me").mkdir()
    for path in bundled_clips[:12]:
        (tmp_path / "me" / Path(path).name).write_bytes(Path(path).read_bytes())
    for mode in ([], ["--continuous"]):
        asked = ["-m", model, "--file", spoken[0], "--adapt", tmp_path / "me", *mode]
        code, out, err = run(*asked)
        adapted = rec.adapt(tmp_path / "me", "names")
        assert code == 0 and f"  adapted to {adapted.adaptation_}\n" in err
    code, out, err = run("-m", model, "--file", spoken[0], "--continuous", "--adapt", "running")
    assert code == 0 and out and err == ""


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--adapt", "running"], "needs --continuous"),
        (["--adapt", "--adapt", "me"], "take no recordings"),
        (["--save-adapted", "me.ser"], "need --adapt"),
    ],
)
def test_wrong_options_of_adaptation_get_one_line(run, capsys, arguments, words):
    with pytest.raises(SystemExit):
        run(*arguments)
    assert words in capsys.readouterr().err


def test_an_interruption_ends_the_continuous_mode_well(run, script, spoken, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(script, "Timeline", interrupted)
    monkeypatch.setattr(script, "Recorder", interrupted)
    assert run("--file", spoken[0], "--continuous")[0] == 0
    assert run("--file", spoken[0]) == (130, "", "test.py: interrupted\n")


def test_a_recording_without_speech_says_so(run, tmp_path):
    sf.write(tmp_path / "silence.wav", np.zeros(3 * SR), SR)
    code, _, err = run("--file", tmp_path / "silence.wav")
    assert code == 1 and "There is no speech in" in err.splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--file", "none.wav"], "There is no file"),
        (["--file", bundled_clip("sad"), "-e", "sad,hapy"], "hapy"),
        (["--file", bundled_clip("sad"), "-m", "SVM"], "Did you mean 'SVC'"),
        (["--file", bundled_clip("sad"), "-m", "SVC", "-e", "sad,hapy", *CUSTOM], "hapy"),
    ],
)
def test_wrong_wishes_get_one_line(run, arguments, words):
    code, out, err = run(*arguments)
    assert code == 1 and out == ""
    assert err.startswith("test.py: ") and len(err.splitlines()) == 1
    assert words in err


def test_the_help_lists_models(run, capsys):
    with pytest.raises(SystemExit):
        run("--help")
    text = capsys.readouterr().out
    for word in ("-e angry,neutral,sad", "Bagging", "MLP", "--continuous", "--adapt"):
        assert word in text
    assert "--calibrate" not in text


@pytest.mark.slow
def test_the_program_runs_on_its_own(rec, model, spoken):
    program = [sys.executable, "test.py", "-m", model, "--file", spoken[0]]
    done = subprocess.run(program, cwd=REPO, text=True, capture_output=True, check=True)
    assert done.stdout.split()[0] in rec.emotions
