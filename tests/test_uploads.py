"""What strangers send: bodies are taken apart, recordings decoded apart, within limits."""

import io
import json
import os
import random
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import fuzzing
import numpy as np
import pytest
import soundfile as sf
from conftest import REPO, bundled_clip

import processes
import uploads
from audio import AudioError, load_audio, stream_audio
from gate import Limits, Refused
from parameters import SAMPLE_RATE
from processes import Abandoned
from uploads import Sound, decoded, files_of

LIMITS = Limits(seconds=20.0, files=3)
CLIP = bundled_clip("happy")


def form(*files, boundary="b0undary"):
    """Content type and body of a form with these files, (name of the field, of the file, data)."""
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{field}"; filename="{name}"\r\n'
        f"Content-Type: audio/wav\r\n\r\n".encode()
        + data
        + b"\r\n"
        for field, name, data in files
    ]
    body = b"".join(parts) + f"--{boundary}--\r\n".encode()
    return f"multipart/form-data; boundary={boundary}", body


def refused(*arguments):
    with pytest.raises(Refused) as caught:
        files_of(*arguments, LIMITS)
    return caught.value.status, caught.value.code


# bodies


@pytest.mark.parametrize(
    "kind", ["audio/wav", "video/webm;codecs=opus", "application/octet-stream"]
)
def test_a_body_may_be_a_recording(kind):
    assert files_of(kind, b"RIFF", LIMITS) == [("recording", b"RIFF")]


def test_a_form_may_hold_many():
    data = [b"", b"\r\n--b0undar\r\n\r\n", bytes(range(256))]
    names = ["żal ☂.wav", "a/b.wav", ""]
    sent = [("files", name, own) for name, own in zip(names, data, strict=True)]
    found = files_of(*form(("other", "x.wav", b"no"), *sent), LIMITS)
    assert found == [*zip([*names[:2], "recording 3"], data, strict=True)]


def test_names_are_one_short_line():
    ((name, _),) = files_of(*form(("files", "a\u202eb\x1b[2J" + "c" * 999, b"x")), LIMITS)
    assert name.isprintable() and len(name) == uploads.LONGEST_NAME


def test_what_is_no_recording_is_refused():
    kind, body = form(("files", "a.wav", b"x"))
    assert refused("text/plain", b"x") == refused("", b"x") == (415, "wrong_type")
    assert refused("multipart/form-data", body) == (415, "wrong_type")
    assert refused("application/x-www-form-urlencoded", b"x") == (415, "wrong_type")
    assert refused("audio/wav", b"") == (400, "no_files")
    for other in (b"", body[:-20], body.replace(b"b0", b"b1"), form(("file", "a", b"x"))[1]):
        assert refused(kind, other) == (400, "no_files")
    assert refused(kind, b"--b0undary" + bytes(10**6) + body) == (400, "wrong_form")
    assert refused(*form(*[("files", "a.wav", b"x")] * 4)) == (413, "too_many_files")


def test_any_body_is_taken_apart_or_refused():
    rng, kind = random.Random(0), form()[0]
    seeds = [form(("files", "a.wav", b"RIFF" * 9), ("files", 'b"\\.wav', b""))[1]]
    seeds += [seeds[0].replace(b"filename=", b"filename*=") for _ in range(2)]
    n_read = 0
    for _ in range(3000):
        try:
            found = files_of(kind, fuzzing.changed(rng.choice(seeds), seeds, rng), LIMITS)
            assert 0 < len(found) <= LIMITS.files
            assert all(name.isprintable() and isinstance(data, bytes) for name, data in found)
            n_read += 1
        except Refused:
            pass
    assert 500 < n_read < 3000


# decoding


@pytest.mark.parametrize("i", range(len(fuzzing.sounds())))
def test_a_decoded_recording_is_what_load_audio_gives(i):
    data = fuzzing.sounds()[i]
    faults, others = {}, {}
    y = load_audio(decoded("x", data, LIMITS), faults=faults)
    np.testing.assert_array_equal(y, load_audio(io.BytesIO(data), faults=others))
    assert faults == others


def wav(y, rate=SAMPLE_RATE, **how):
    file = io.BytesIO()
    sf.write(file, y, rate, format="WAV", **how)
    return file.getvalue()


def test_faults_of_a_recording_come_with_it():
    data = wav(np.full(44100, 20000.0), 44100, subtype="FLOAT")
    for sent, code in ((data[:-9999], "truncated"), (data, "unscaled")):
        found, expected = {}, {}
        load_audio(decoded("x", sent, LIMITS), faults=found)
        load_audio(io.BytesIO(sent), faults=expected)
        assert code in found and found == expected


def test_channels_stay_apart_if_they_are_wanted():
    y = np.stack([np.sin(np.arange(48000) / n) for n in (3, 7)], axis=1)
    sound = decoded("x", wav(y, 48000), LIMITS, mono=False)
    (expected,) = stream_audio(io.BytesIO(wav(y, 48000)), mono=False)
    np.testing.assert_array_equal(sound.y, expected)
    with pytest.raises(Refused, match="9 channels"):
        decoded("x", wav(np.zeros((9000, 9))), LIMITS, mono=False)
    assert decoded("x", wav(np.zeros((9000, 9))), LIMITS).y.shape == (9000, 1)


def test_a_recording_may_be_so_long_and_no_longer():
    for rate in (8000, 16000, 48000):
        silence = io.BytesIO()
        sf.write(silence, np.zeros(rate * 21, np.float32), rate, format="FLAC")
        with pytest.raises(Refused, match=r"call.flac is longer than 20 s") as caught:
            decoded("call.flac", silence.getvalue(), LIMITS)
        assert caught.value.status == 413
        assert decoded("x", silence.getvalue(), Limits(seconds=21.0)).duration == 21


@pytest.mark.parametrize(
    "data", [b"", b"x" * 99, b"RIFF", b"#!/bin/sh", b"#EXTM3U\nfile:/etc/passwd"]
)
def test_what_is_no_sound_is_an_error_that_names_it_as_its_sender_does(data):
    with pytest.raises(AudioError, match=r"^'my clip.wav': ") as caught:
        decoded("my clip.wav", data, LIMITS)
    assert "/proc" not in str(caught.value) and "upload" not in str(caught.value)


def test_a_part_of_a_sound():
    sound = Sound("x", np.arange(32000, dtype=np.float32)[:, np.newaxis])
    assert sound.between(0.5, 1.5).y[[0, -1], 0].tolist() == [8000, 23999]
    assert sound.between().duration == 2 and str(sound.between(end=1)) == "x"


WILD = {
    "MEMORY": (2**24, "__import__('numpy').ones(2**27)"),
    "SECONDS": (1, "[0 for _ in iter(int, 1)]"),
    "PATIENCE": (1, "__import__('time').sleep(600)"),
    "crash": (0, "os.kill(os.getpid(), 11)"),
}
"""What a fault in a library could do to a decoder, and the limit that ends it."""


@pytest.mark.parametrize("limit", WILD)
@pytest.mark.skipif(not processes.FORKS, reason="other systems limit less")
def test_a_decoder_that_goes_wild_ends_alone(limit, tmp_path, monkeypatch):
    value, wild = WILD[limit]
    code = f"import os, uploads\nuploads.{limit} = {value}\ndef decode(request):\n"
    code += "    if b'wild' in request:\n        uploads.limit_process(uploads.SECONDS, "
    code += f"uploads.MEMORY)\n        {wild}\n    return uploads.decode(request)\n"
    (tmp_path / "wild.py").write_text(code)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{REPO}")
    monkeypatch.setattr(uploads, limit, value, raising=False)
    monkeypatch.setattr(uploads, "_own", SimpleNamespace(copies=processes.Copies("wild:decode")))
    with pytest.raises(AudioError, match="'x': can't be decoded"):
        decoded("x", b"wild", LIMITS)
    monkeypatch.undo()
    assert len(decoded("x", Path(CLIP).read_bytes(), LIMITS).y)


@pytest.mark.skipif(not processes.FORKS, reason="elsewhere decoders end by their limits")
def test_nobody_waits_for_an_abandoned_decoder(tmp_path, monkeypatch):
    (tmp_path / "slow.py").write_text("import time\ndef decode(_): time.sleep(600)\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    copies = processes.Copies("slow:decode")
    with pytest.raises(Abandoned):
        copies.ask(b"x", 600, lambda: True)
    assert copies._process is None


@pytest.mark.skipif(not processes.FORKS, reason="elsewhere in a folder that is removed")
@pytest.mark.parametrize("i", [0, 6, -4])
def test_a_recording_never_touches_the_disk(i, tmp_path):
    (tmp_path / "data").write_bytes(fuzzing.sounds()[i])
    code = """
import json, os, sys, uploads
data = open("data", "rb").read()
written = []
def hook(event, arguments):
    if event == "open" and isinstance(arguments[0], (str, bytes)) and arguments[2] & 3:
        written.append(arguments[0])
    if event in ("os.mkdir", "os.rename", "tempfile.mkstemp", "tempfile.mkdtemp"):
        written.append(arguments[0])
sys.addaudithook(hook)
asked = {"name": "x", "mono": True, "seconds": 9, "channels": 1}
uploads.decode(json.dumps(asked).encode() + b"\\n" + data)
print(json.dumps([str(name) for name in written if name != os.devnull]))
"""
    how = {"cwd": tmp_path, "env": os.environ | {"PYTHONPATH": str(REPO)}, "text": True}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, **how)
    assert not done.returncode, done.stderr
    assert all(name.startswith("/dev/shm") for name in json.loads(done.stdout)), done.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["data"]
