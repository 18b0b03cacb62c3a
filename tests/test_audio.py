"""`audio`: every format, every fault, hundreds of damaged files. Run with `-s` for the figures."""

import io
import json
import os
import shutil
import stat
import struct
import subprocess
import sys
import tracemalloc
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
import soxr
from conftest import REPO

import audio
import data_extractor
from audio import AudioError, AudioWarning, load_audio, stream_audio

posix = pytest.mark.skipif(os.name != "posix", reason="pipes and devices are POSIX's")
RATES = [8000, 11025, 16000, 22050, 32000, 44100, 48000, 96000, 192000]


def speechlike(sr=16000, seconds=1.0, channels=1, seed=0):
    """Band-limited noise, alike at every rate: (n_samples,) or (n_samples, channels)."""
    rng = np.random.default_rng(seed)
    t = np.arange(round(sr * seconds)) / sr
    tones = zip(rng.uniform(100, 3000, 24), rng.uniform(0, 6.28, 24), strict=True)
    y = sum(np.sin(2 * np.pi * f * t + phase) for f, phase in tones) / 40
    return y if channels == 1 else np.stack([y * (c + 1) / channels for c in range(channels)], 1)


def snr(reference, y):
    """Decibels by which `reference` stands above its difference from `y`."""
    n = min(len(reference), len(y))
    reference, y = reference[:n], y[:n]
    return 10 * np.log10(np.sum(reference**2) / max(np.sum((reference - y) ** 2), 1e-20))


def wav_bytes(y=None, sr=16000, **options):
    file = io.BytesIO()
    sf.write(file, speechlike() if y is None else y, sr, **{"format": "WAV", **options})
    return file.getvalue()


def ffmpeg(*arguments):
    command = [audio.find_ffmpeg("test"), "-nostdin", "-v", "error", "-y", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True)


def encode(source, target, *options):
    """Write `target` by ffmpeg, or skip with its reason."""
    done = ffmpeg("-i", source, *options, target)
    if done.returncode:
        pytest.skip(f"this ffmpeg can't write {target.suffix}: {done.stderr.splitlines()[0]}")
    return target


# --- formats -----------------------------------------------------------------------------------

WAV_SNR = {  # dB that the subtype must keep
    "PCM_U8": 20,
    "PCM_16": 70,
    "PCM_24": 110,
    "PCM_32": 120,
    "FLOAT": 120,
    "DOUBLE": 120,
    "ULAW": 30,
    "ALAW": 30,
    "IMA_ADPCM": 15,
    "MS_ADPCM": 10,
    "GSM610": 2,
    "G721_32": 15,
    "NMS_ADPCM_16": 3,
    "NMS_ADPCM_24": 8,
    "NMS_ADPCM_32": 12,
    "MPEG_LAYER_III": 15,
}


@pytest.mark.parametrize("subtype", sf.available_subtypes("WAV"))
def test_every_wav_subtype(tmp_path, subtype):
    y, sr = speechlike(8000), 8000  # some of these codecs know no other rate
    try:
        sf.write(tmp_path / "a.wav", y, sr, subtype=subtype)
    except sf.LibsndfileError as error:
        pytest.skip(f"libsndfile can't write {subtype}: {error}")
    loaded = load_audio(tmp_path / "a.wav", sr)
    assert loaded.dtype == np.float32 and loaded.ndim == 1 and loaded.flags.c_contiguous
    assert len(y) <= len(loaded) <= len(y) + 2304  # codecs with frames fill up the last one
    assert snr(y, loaded) > WAV_SNR[subtype]


CONTAINERS = ["WAV", "WAVEX", "RF64", "W64", "AIFF", "AU", "CAF", "FLAC", "OGG", "MP3", "VOC"]


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("channels", [1, 2])
def test_every_container_of_libsndfile(tmp_path, container, channels):
    y = speechlike(channels=channels)
    path = tmp_path / "recording"  # no suffix: the content decides
    sf.write(path, y, 16000, format=container)
    loaded = load_audio(path)
    assert len(loaded) == 16000
    assert snr(y if channels == 1 else y.mean(axis=1), loaded) > 15


def test_opus_in_ogg(tmp_path):
    sf.write(tmp_path / "a.opus", speechlike(), 16000, format="OGG", subtype="OPUS")
    assert snr(speechlike(), load_audio(tmp_path / "a.opus")) > 8


LOSSY = {
    "a.m4a": [],
    "fast.m4a": ["-movflags", "+faststart"],
    "a.mp4": [],
    "a.aac": [],
    "a.webm": ["-c:a", "libopus", "-ar", "48000"],
    "a.mka": ["-c:a", "libvorbis"],
    "a.wma": [],
    "a.3gp": ["-c:a", "aac"],
    "a.ac3": [],
    "a.mov": [],
    "a.caf": ["-c:a", "alac"],
    "alac.m4a": ["-c:a", "alac"],
    "a.mp2": [],
    "a.avi": [],
    "a.amr": ["-ar", "8000", "-ac", "1"],
    "mp3.wav": ["-c:a", "libmp3lame"],
    "adpcm.wav": ["-c:a", "adpcm_ima_wav"],
}


@pytest.mark.parametrize("name", LOSSY)
def test_what_ffmpeg_reads(clips, tmp_path, name):
    speech = load_audio(clips[0])
    sf.write(tmp_path / "a.wav", speech, 16000)
    y = load_audio(encode(tmp_path / "a.wav", tmp_path / name, *LOSSY[name]))
    assert abs(len(y) - len(speech)) < 2400  # raw streams keep the encoder's priming
    assert best_correlation(speech, y) > (0.7 if name == "a.amr" else 0.9)  # AMR: 12 kbit/s


def best_correlation(a, b):
    """The highest correlation over shifts: a codec may delay."""
    n = len(a) + len(b)
    products = np.fft.irfft(np.fft.rfft(a, n).conj() * np.fft.rfft(b, n), n)
    return products.max() / (np.linalg.norm(a) * np.linalg.norm(b))


def test_m4a_equals_ffmpeg_s_own_decoding(tmp_path):
    sf.write(tmp_path / "a.wav", speechlike(44100, 2, channels=2), 44100)
    path = encode(tmp_path / "a.wav", tmp_path / "a.m4a")
    ffmpeg("-i", path, "-c:a", "pcm_f32le", tmp_path / "decoded.wav")
    np.testing.assert_allclose(load_audio(path), load_audio(tmp_path / "decoded.wav"), atol=1e-6)


def test_the_first_audio_stream_of_a_film(tmp_path):
    for name, seed in (("first.wav", 1), ("second.wav", 2)):
        sf.write(tmp_path / name, speechlike(seed=seed), 16000)
    picture = ["-f", "lavfi", "-i", "testsrc=duration=1:size=64x64"]
    sounds = ["-i", tmp_path / "first.wav", "-i", tmp_path / "second.wav"]
    maps = ["-map", "0:v", "-map", "1:a", "-map", "2:a", "-c:v", "mpeg4"]
    film = tmp_path / "film.mp4"
    done = ffmpeg(*picture, *sounds, *maps, film)
    assert not done.returncode, done.stderr
    assert snr(speechlike(seed=1), load_audio(film)) > 10


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5, 6, 8, 32])
def test_rates_and_channels(tmp_path, rate, channels):
    y = speechlike(rate, 0.5, channels)
    sf.write(tmp_path / "a.wav", y, rate, subtype="PCM_24")
    loaded = load_audio(tmp_path / "a.wav")
    assert abs(len(loaded) - 8000) <= 1
    expected = speechlike(16000, 0.5) * (channels + 1) / (2 * channels)  # the mean of c/channels
    assert snr(expected[500:-500], loaded[500:-500]) > 40  # soxr rings at the edges


def test_same_samples_as_soundfile_on_real_clips(clips):
    for path in clips[:20]:
        y, sr = sf.read(path, dtype="float32", always_2d=True)
        expected = y.mean(axis=1)
        if sr != 16000:
            expected = soxr.resample(expected, sr, 16000)
        np.testing.assert_allclose(load_audio(path), expected, atol=1e-6)


@pytest.mark.parametrize("size", [0, 0x7FFFF000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFDB, 0xFFFFFFFF])
def test_wav_written_to_a_pipe(size):
    raw = wav_bytes()
    raw = raw[:40] + struct.pack("<I", size) + raw[44:]
    assert snr(speechlike(), load_audio(io.BytesIO(raw))) > 70


PIPED = {
    **{form: [] for form in ("wav", "w64", "au", "caf", "flac", "mp3", "adts", "ogg", "matroska")},
    "webm": ["-c:a", "libopus"],
    "mp4": ["-movflags", "frag_keyframe+empty_moov"],
    "aiff": ["-write_id3v2", "0"],
    "nut": [],
    "mpegts": [],
}


@pytest.mark.parametrize("form", PIPED)
def test_streams_that_do_not_know_their_length_lose_nothing(tmp_path, form):
    sf.write(tmp_path / "a.wav", speechlike(seconds=3), 16000)
    how = ["-v", "error", "-i", str(tmp_path / "a.wav"), "-f", form, *PIPED[form], "-"]
    piped = subprocess.run([audio.find_ffmpeg("test"), *how], capture_output=True)
    if piped.returncode and not piped.stdout:
        pytest.skip(f"this ffmpeg can't pipe {form}: {piped.stderr.decode().splitlines()[0]}")
    y = load_audio(io.BytesIO(piped.stdout), faults=(faults := {}))
    assert abs(len(y) - 48000) < 2600 and faults == {}
    assert best_correlation(speechlike(seconds=3), y) > 0.95


def test_flac_written_to_a_pipe(tmp_path):
    (tmp_path / "a.wav").write_bytes(wav_bytes())
    command = [
        audio.find_ffmpeg("test"),
        "-v",
        "error",
        "-i",
        tmp_path / "a.wav",
        "-f",
        "flac",
        "-",
    ]
    piped = subprocess.run(command, capture_output=True, check=True).stdout
    assert snr(speechlike(), load_audio(io.BytesIO(piped))) > 70


@pytest.mark.parametrize("options", [[], ["-write_xing", "0"], ["-write_xing", "0", "-q:a", "5"]])
def test_mp3_without_a_length_loses_nothing(tmp_path, options):
    sf.write(tmp_path / "a.wav", speechlike(seconds=3), 16000)
    path = encode(tmp_path / "a.wav", tmp_path / "a.mp3", *options)
    path.write_bytes(path.read_bytes() + b"TAG" + bytes(125))  # ID3v1
    assert abs(len(load_audio(path)) - 48000) < 2400
    assert best_correlation(speechlike(seconds=3), load_audio(path)) > 0.95


# --- arrays, file objects, names ---------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint16", "int32"])
def test_integer_arrays_span_one(dtype):
    limits = np.iinfo(dtype)
    middle = 0 if limits.min else limits.max // 2 + 1
    y = load_audio(np.array([limits.min, middle, limits.max] * 800, dtype), orig_sr=16000)
    assert y[0] == -1 and y[1] == 0 and 0.99 < y[2] <= 1


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", ">f4"])
def test_float_arrays_keep_their_values(dtype):
    y = speechlike().astype(dtype)
    loaded = load_audio(y, orig_sr=16000)
    np.testing.assert_array_equal(loaded, y.astype(np.float32))
    assert loaded.dtype.isnative and not np.shares_memory(loaded, y)


def test_stereo_arrays_lists_and_strided_views():
    stereo = speechlike(channels=2)
    expected = stereo.mean(axis=1)
    for source in (
        stereo,
        stereo.tolist(),
        np.asfortranarray(stereo),
        np.repeat(stereo, 2, 0)[::2],
    ):
        y = load_audio(source, orig_sr=16000)
        np.testing.assert_allclose(y, expected, atol=1e-6)
        assert y.flags.c_contiguous


class Tensor:
    """What torch, tensorflow and jax have in common."""

    def __init__(self, values):
        self.values = values

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self.values, dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int16", "int32", "uint8"])
@pytest.mark.parametrize("wrap", [np.asarray, Tensor, np.asfortranarray])
def test_arrays_mean_what_their_file_means(tmp_path, dtype, wrap):
    subtypes = {"int16": "PCM_16", "int32": "PCM_32", "uint8": "PCM_U8", "float64": "DOUBLE"}
    path = tmp_path / "a.wav"
    sf.write(path, speechlike(channels=2), 16000, subtype=subtypes.get(dtype, "FLOAT"))
    if dtype == "uint8":  # soundfile reads no 8 bits
        y = np.frombuffer(path.read_bytes()[-32000:], np.uint8).reshape(-1, 2)
    else:
        y, _ = sf.read(path, dtype=dtype)
    first = y[:, 0]
    mono = load_audio(first, orig_sr=16000)
    for shaped in (first[:, np.newaxis], first[np.newaxis]):
        np.testing.assert_array_equal(load_audio(wrap(shaped), orig_sr=16000), mono)
    for shaped in (y, y.T):
        found = load_audio(wrap(shaped), orig_sr=16000)
        np.testing.assert_allclose(found, load_audio(path), atol=1e-6)
        assert audio.duration_of(wrap(shaped), 16000) == 1


@pytest.mark.parametrize("kind", ["whole", "resampled", "file"])
def test_floats_that_look_like_integers_are_pointed_out(tmp_path, kind):
    y = np.rint(speechlike(16000) * 2**15)
    source, options = y, {"orig_sr": 16000}
    if kind == "resampled":
        source = soxr.resample(y, 16000, 22050)
    elif kind == "file":
        source, options = tmp_path / "a.wav", {}
        sf.write(source, y, 16000, subtype="FLOAT")
    with pytest.warns(AudioWarning, match=r"look like integers; .* 2\*\*15") as caught:
        load_audio(source, **options)
    assert caught[0].filename == __file__


def test_floats_somewhat_beyond_full_scale_are_sound():
    loud = load_audio(
        3 * speechlike() / np.abs(speechlike()).max(), orig_sr=16000, faults=(f := {})
    )
    assert f == {} and loud.max() > 2


def test_a_path_out_of_an_array_of_paths_is_a_path(tmp_path):
    path = tmp_path / "clip.wav"
    sf.write(path, speechlike(), 16000)
    for source in np.array([str(path)]):
        np.testing.assert_array_equal(load_audio(source), load_audio(path))


def test_array_and_file_go_the_same_way(tmp_path):
    y = speechlike(44100).astype(np.float32)
    sf.write(tmp_path / "a.wav", y, 44100, subtype="FLOAT")
    np.testing.assert_array_equal(load_audio(tmp_path / "a.wav"), load_audio(y, orig_sr=44100))


def test_file_objects(tmp_path):
    sf.write(tmp_path / "a.wav", speechlike(), 16000)
    m4a = encode(tmp_path / "a.wav", tmp_path / "a.m4a")
    for path in (tmp_path / "a.wav", m4a):
        expected = load_audio(path)
        with path.open("rb") as file:
            np.testing.assert_array_equal(load_audio(file), expected)
        np.testing.assert_array_equal(load_audio(io.BytesIO(path.read_bytes())), expected)
        with subprocess.Popen(["cat", str(path)], stdout=subprocess.PIPE) as cat:  # can't seek
            np.testing.assert_array_equal(load_audio(cat.stdout), expected)


def test_file_object_is_read_from_where_it_stands():
    file = io.BytesIO(b"preamble" + wav_bytes())
    file.seek(8)
    assert len(load_audio(file)) == 16000


HARD_NAMES = [
    "-i.x",
    "a 'b' \"c\".x",
    "new\nline.x",
    "größe 声.x",
    "$(touch pwned);.x",
    "%03d.x",
    "http:x.x",
    "concat:a|b.x",
    "{source}.x",
    "*?[a].x",
    "\udcff.x",
]


@pytest.mark.parametrize("name", HARD_NAMES)
def test_hard_names(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    sf.write("a.wav", speechlike(), 16000)
    m4a = encode(tmp_path / "a.wav", tmp_path / "a.m4a")
    for source in (tmp_path / "a.wav", m4a):
        shutil.copy(source, tmp_path / name)
        before = sorted(tmp_path.iterdir())
        n_samples = len(load_audio(name))  # some ffmpegs keep what fills AAC's last frame
        assert 16000 <= n_samples < 16000 + 1024
        assert sorted(tmp_path.iterdir()) == before


def test_no_shell_and_no_file_left(tmp_path, monkeypatch):
    """Every start of a program is watched: a list of arguments, no shell, nothing written."""
    started = []

    def popen(command, **options):
        started.append((command, options))
        return real(command, **options)

    real = audio.subprocess.Popen
    scratch = tmp_path / "tmp"
    scratch.mkdir()
    sf.write(tmp_path / "a.wav", speechlike(), 16000)
    m4a = encode(tmp_path / "a.wav", tmp_path / "a.m4a")
    monkeypatch.setattr(audio.subprocess, "Popen", popen)
    monkeypatch.setattr(audio.tempfile, "tempdir", str(scratch))
    before = sorted(tmp_path.iterdir())
    load_audio(m4a)
    load_audio(io.BytesIO(m4a.read_bytes()))
    with pytest.raises(AudioError):
        load_audio(io.BytesIO(b"no sound" * 99))
    next(stream_audio(io.BytesIO(m4a.read_bytes()), block_duration=0.1)).sum()
    assert len(started) == 4
    for command, options in started:
        assert isinstance(command, list) and not options.get("shell")
    assert sorted(tmp_path.iterdir()) == before and not any(scratch.iterdir())


def test_playlists_open_nothing(tmp_path):
    sf.write(tmp_path / "secret.wav", speechlike(), 16000)
    encode(tmp_path / "secret.wav", tmp_path / "secret.m4a")
    for target in ("secret.wav", f"file://{tmp_path}/secret.m4a", "http://127.0.0.1:9/a"):
        for i, text in enumerate(
            [
                f"ffconcat version 1.0\nfile '{target}'\n",
                f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{target}\n#EXT-X-ENDLIST\n",
                "v=0\no=- 0 0 IN IP4 127.0.0.1\nc=IN IP4 127.0.0.1\n"
                f"m=audio 9 RTP/AVP 0\na={target}",
                f'<?xml version="1.0"?><MPD type="static"><BaseURL>{target}</BaseURL></MPD>',
            ]
        ):
            for suffix in (".wav", ".m3u8", ".ffconcat", ".sdp", ".mpd"):
                path = tmp_path / f"list{i}{suffix}"
                path.write_text(text)
                with pytest.raises(AudioError, match="not audio"):
                    load_audio(path)


# --- errors ------------------------------------------------------------------------------------


def pipe(path):
    os.mkfifo(path)


def flac_that_claims(n_frames):
    """A FLAC whose STREAMINFO declares that many frames (36 bits), whatever it holds."""
    raw = bytearray(wav_bytes(format="FLAC"))
    raw[21] = raw[21] & 0xF0 | n_frames >> 32
    raw[22:26] = struct.pack(">I", n_frames & 0xFFFFFFFF)
    return bytes(raw)


WAV = wav_bytes()
CAF = wav_bytes(format="CAF")
NAN = wav_bytes(np.r_[speechlike(), np.nan], subtype="FLOAT")
INFINITE = wav_bytes(np.r_[speechlike(), np.inf, speechlike()], sr=44100, subtype="FLOAT")
FAULTY = {  # content or maker of a file: words that the message must hold
    "missing": (None, "no such file"),
    "directory": (os.mkdir, "is a directory"),
    "pipe": (pipe, "isn't a regular file"),
    "empty": (b"", "is empty"),
    "text": (b"hello world\n" * 99, "not audio"),
    "header only": (WAV[:44], "not audio|no samples|truncated"),
    "half a header": (WAV[:20], "not audio"),
    "zero frames": (wav_bytes(np.zeros(0)), "no samples"),
    "truncated wav": (WAV[:2000], r"truncated.*32044.*2000"),
    "truncated aiff": (wav_bytes(format="AIFF")[:2000], "truncated"),
    "truncated caf": (CAF[:2000], "truncated"),
    "truncated au": (wav_bytes(format="AU")[:2000], "truncated"),
    "truncated rf64": (wav_bytes(format="RF64")[:2000], "truncated"),
    "truncated flac": (wav_bytes(format="FLAC")[:2000], "truncated"),
    "lying caf": (CAF[:12] + struct.pack(">q", 2**63 - 1) + CAF[20:], "can't be read"),
    "lying flac": (flac_that_claims(20000)[:2000], "truncated"),
    "huge flac": (flac_that_claims(2**36 - 1)[:2000], "truncated"),
    "nan": (NAN, "NaN or infinite"),
    "infinite": (INFINITE, "NaN or infinite"),
    "too large": (wav_bytes(np.full(16000, 1e300), subtype="DOUBLE"), "NaN or infinite"),
    "no sound": (wav_bytes(np.full(16000, 1e20), subtype="DOUBLE"), "up to 1e.20, where 1 is full"),
    "short": (wav_bytes(speechlike()[:1599]), r"0\.100 s long, at least 0\.1 s"),
    "1 Hz": (WAV[:24] + struct.pack("<I", 1) + WAV[28:], "sampling rate of 1 Hz; 1000 to 768000"),
    "4 GHz": (WAV[:24] + struct.pack("<I", 2**31 - 1) + WAV[28:], "rate"),
}


@pytest.mark.parametrize("case", FAULTY)
def test_each_fault_has_its_message(tmp_path, case):
    content, words = FAULTY[case]
    path = tmp_path / f"{case}.wav"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content:
        content(path)
    with pytest.raises(AudioError, match=words) as caught:
        load_audio(path)
    message = str(caught.value)
    assert repr(str(path)) in message and "\n" not in message and len(message) < 500
    assert ";" in message or ":" in message  # what to do next


CUT = {  # options of ffmpeg; the least part that is there of the half that is left
    "a.wav": ([], 0.99),
    "a.aiff": ([], 0.99),
    "a.au": ([], 0.99),
    "a.w64": ([], 0.99),
    "a.flac": ([], 0.8),
    "a.ogg": ([], 0.35),
    "a.opus": ([], 0.6),
    "a.mp3": ([], 0.9),
    "a.m4a": (["-movflags", "+faststart"], 0.9),
    "fragments.mp4": (["-movflags", "frag_keyframe+empty_moov", "-frag_duration", "500000"], 0.7),
    "a.mka": ([], 0.6),
    "a.webm": (["-c:a", "libopus"], 0.8),
    "a.aac": ([], 0.9),
    "a.wma": ([], 0.9),
    "a.amr": (["-ar", "8000"], 0.9),
    "a.ac3": ([], 0.9),
    "a.avi": ([], 0.7),
}


@pytest.mark.parametrize("odd", [0, 1])
@pytest.mark.parametrize("name", CUT)
def test_what_is_there_of_a_cut_file_is_loaded(tmp_path, name, odd):
    options, least = CUT[name]
    sf.write(tmp_path / "whole.wav", speechlike(seconds=5), 16000)
    path = encode(tmp_path / "whole.wav", tmp_path / name, *options)
    whole, n_bytes = load_audio(path, faults=(faults := {})), path.stat().st_size
    assert faults == {} and abs(len(whole) - 80000) < 2400
    path.write_bytes(path.read_bytes()[: n_bytes // 2 + odd])
    part = load_audio(path, faults=faults)
    assert 2.5 * least < len(part) / 16000 < 2.7
    assert snr(whole[: len(part) - 1600], part[:-1600]) > 20
    assert list(faults) == ["truncated"]
    assert faults["truncated"].startswith(f"only its first {len(part) / 16000:.1f} s can be read (")
    with pytest.warns(AudioWarning, match=f"{name}': only its first") as caught:
        load_audio(path)
    assert caught[0].filename == __file__
    with pytest.warns(AudioWarning, match="only its first"):
        blocks = list(stream_audio(path, block_duration=0.5))
    np.testing.assert_allclose(np.concatenate(blocks), part, atol=1e-6)


def test_a_file_without_its_index_is_an_error(tmp_path):
    sf.write(tmp_path / "a.wav", speechlike(seconds=3), 16000)
    path = encode(tmp_path / "a.wav", tmp_path / "a.m4a")  # the index is at the end
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(AudioError, match="damaged"):
        load_audio(path)


def test_a_header_that_claims_more_frames_than_there_are():
    for n_frames in (20000, 2**36 - 1):
        y = load_audio(io.BytesIO(flac_that_claims(n_frames)), faults=(faults := {}))
        assert snr(speechlike(), y) > 70 and list(faults) == ["truncated"]


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.mov", "a.avi"])
def test_a_film_without_sound_has_no_sound_track(tmp_path, name):
    done = ffmpeg(
        "-f", "lavfi", "-i", "testsrc=duration=1:size=64x64", "-c:v", "mpeg4", tmp_path / name
    )
    assert not done.returncode, done.stderr
    with pytest.raises(AudioError, match="has no audio track; "):
        load_audio(tmp_path / name)


NOISY = """
import sys
from audio import AudioError, load_audio
for path in sys.argv[1:]:
    try:
        load_audio(path, faults={})
    except AudioError:
        pass
print("our own", file=sys.stderr)
"""


def test_notes_of_the_decoders_stay_out_of_the_terminal(tmp_path):
    sf.write(tmp_path / "a.wav", speechlike(seconds=5), 16000)
    for name in ("a.mp3", "a.flac", "a.ogg", "a.m4a", "a.mka"):
        raw = encode(tmp_path / "a.wav", tmp_path / name).read_bytes()
        middle = len(raw) // 2
        for i, damaged in enumerate(
            [raw[:middle], raw[:middle] + bytes(3000) + raw[middle:], raw[:99] + raw[400:]]
        ):
            (tmp_path / f"{i}{name}").write_bytes(damaged)
    bad_tag = b"ID3\3\0\0\0\0\0\x20COMM\0\0\0\x03\0\0\1\1\1" + bytes(13)
    (tmp_path / "tag.mp3").write_bytes(bad_tag + (tmp_path / "a.mp3").read_bytes())
    paths = map(str, sorted(tmp_path.iterdir()))
    command = [sys.executable, "-c", NOISY, *paths]
    done = subprocess.run(command, cwd=REPO, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "our own\n")


LIES = {
    "m4a.wav": "ipod",
    "webm.mp3": "webm",
    "flac.ogg": "flac",
    "mp3.m4a": "mp3",
    "ogg.txt": "ogg",
}


@pytest.mark.parametrize("name", LIES)
def test_the_content_of_a_file_decides_not_its_name(tmp_path, name):
    sf.write(tmp_path / "whole.wav", speechlike(48000, 2), 48000)
    codec = {"webm": ["-c:a", "libopus"], "ogg": ["-c:a", "libvorbis"]}.get(LIES[name], [])
    path = encode(tmp_path / "whole.wav", tmp_path / name, *codec, "-f", LIES[name])
    assert best_correlation(speechlike(16000, 2), load_audio(path, faults={})) > 0.95


def test_unreadable(tmp_path):
    path = tmp_path / "a.wav"
    path.write_bytes(WAV)
    path.chmod(0)
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)  # permissions don't bind root
    try:
        with pytest.raises(AudioError, match="not readable by this user"):
            load_audio(path)
    finally:
        os.seteuid(user)
        path.chmod(stat.S_IRUSR)


Y = speechlike()
WRONG_ARGUMENTS = {
    "needs its sampling rate": (Y, {}),
    "leave it out": ("a.wav", {"orig_sr": 16000}),
    "full scale isn't known": (Y.astype(np.int64), {"orig_sr": 16000}),
    "complex128": (Y.astype(complex), {"orig_sr": 16000}),
    "bool": (Y > 0, {"orig_sr": 16000}),
    "transposing": (np.zeros((33, 16000)), {"orig_sr": 16000}),
    "give .n_samples,.": (np.zeros((2, 2, 2)), {"orig_sr": 16000}),
    "no samples": (np.zeros(0), {"orig_sr": 16000}),
    "0 Hz": (Y, {"orig_sr": 0}),
    "nan Hz": (Y, {"orig_sr": float("nan")}),
    "16000000 Hz": (Y, {"orig_sr": 16000, "sr": 16_000_000}),
    "NaN or infinite": (np.r_[Y, np.nan], {"orig_sr": 16000}),
    "io.BytesIO": (WAV, {}),
    "int; give a path": (7, {}),
    "StringIO; give a path": (io.StringIO("text"), {}),
    "holds no samples": (Y[:1], {"orig_sr": 48000, "min_duration": 0}),
    "null (byte|character)": ("a\0b.wav", {}),
    "too long": ("a" * 5000, {}),
}


@pytest.mark.parametrize("words", WRONG_ARGUMENTS)
def test_wrong_arguments(words):
    source, options = WRONG_ARGUMENTS[words]
    with pytest.raises(AudioError, match=words):
        load_audio(source, **options)


@pytest.mark.parametrize("position", [0, 9999, -1])
@pytest.mark.parametrize("rate", [8000, 16000, 48000])
def test_a_single_nan_is_found_anywhere(position, rate):
    y = speechlike()
    y[position] = np.nan
    with pytest.raises(AudioError, match="NaN"):
        load_audio(y, orig_sr=rate)


def test_silence_warns_and_loads():
    with pytest.warns(AudioWarning, match="digital silence") as caught:
        y = load_audio(np.zeros(16000, np.int16), orig_sr=16000)
    assert not y.any() and caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load_audio(speechlike() * 1e-6, orig_sr=16000)


def test_min_duration_zero_accepts_one_sample():
    assert len(load_audio(np.ones(1), orig_sr=16000, min_duration=0)) == 1


def test_without_ffmpeg_the_message_says_how_to_get_it(tmp_path, monkeypatch):
    path = encode_plain(tmp_path)
    monkeypatch.setenv("PATH", "")
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)  # as if not installed
    with pytest.raises(AudioError, match="pip install imageio-ffmpeg"):
        load_audio(path)
    assert len(load_audio(tmp_path / "a.wav")) == 16000


def encode_plain(folder):
    sf.write(folder / "a.wav", speechlike(), 16000)
    return encode(folder / "a.wav", folder / "a.m4a")


def test_ffmpeg_on_the_path_comes_first(tmp_path, monkeypatch):
    path = encode_plain(tmp_path)
    (tmp_path / "ffmpeg").write_text("#!/bin/sh\necho fake >&2; exit 3\n")
    (tmp_path / "ffmpeg").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(AudioError, match="ffmpeg: fake"):
        load_audio(path)


def test_a_hanging_ffmpeg_is_ended(tmp_path, monkeypatch):
    path = encode_plain(tmp_path)
    (tmp_path / "ffmpeg").write_text("#!/bin/sh\nexec sleep 60\n")
    (tmp_path / "ffmpeg").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(audio, "FFMPEG_TIMEOUT", 0.2)
    with pytest.raises(AudioError, match=r"limit 0\.2 s"):
        load_audio(path)


# --- streams -----------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [8000, 16000, 44100])
@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.ogg", "a.mp3", "a.m4a"])
def test_stream_equals_load(tmp_path, monkeypatch, rate, name):
    monkeypatch.setattr(audio, "BLOCK_SAMPLES", 10_000)
    sf.write(tmp_path / "a.wav", speechlike(rate, 3.3, channels=2), rate)
    path = encode(tmp_path / "a.wav", tmp_path / name) if name != "a.wav" else tmp_path / name
    blocks = list(stream_audio(path, block_duration=0.5))
    assert [len(b) for b in blocks[:-1]] == [8000] * (len(blocks) - 1)
    assert 0 < len(blocks[-1]) <= 8000
    whole = load_audio(path)
    np.testing.assert_allclose(np.concatenate(blocks), whole, atol=1e-6)
    monkeypatch.setattr(audio, "BLOCK_SAMPLES", 2**22)
    np.testing.assert_allclose(load_audio(path), whole, atol=1e-6)


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".mp3", ".m4a"])
def test_stream_needs_constant_memory(tmp_path, suffix):
    sf.write(tmp_path / "a.wav", np.tile(speechlike(), 300), 16000)  # five minutes
    path = encode(tmp_path / "a.wav", tmp_path / f"b{suffix}")
    tracemalloc.start()
    n_samples = sum(len(block) for block in stream_audio(path, block_duration=5))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert abs(n_samples - 4_800_000) < 3200
    assert peak < 8 * 2**20, f"{peak / 2**20:.0f} MiB for 18 MiB of samples"


def test_an_abandoned_stream_ends_ffmpeg(tmp_path, monkeypatch):
    processes = []

    def popen(*args, **options):
        processes.append(real(*args, **options))
        return processes[-1]

    real = audio.subprocess.Popen
    sf.write(tmp_path / "a.wav", np.tile(speechlike(), 60), 16000)
    path = encode(tmp_path / "a.wav", tmp_path / "a.m4a")
    monkeypatch.setattr(audio.subprocess, "Popen", popen)
    stream = stream_audio(path, block_duration=1)
    next(stream)
    stream.close()
    assert processes[0].poll() is not None


def test_block_duration_must_hold_a_sample():
    with pytest.raises(ValueError, match="block_duration"):
        next(stream_audio(Y, orig_sr=16000, block_duration=0))


# --- damage ------------------------------------------------------------------------------------

CUTS = [0.001, 0.01, 0.05, 0.2, 0.5, 0.8, 0.95, 0.999]
TIME_LIMIT, MEMORY_LIMIT = 5.0, 4 * 2**30  # seconds of work: a busy machine doesn't count


def damaged(raw, rng):
    """Yield variants of a file: cut, flipped, zeroed, lied to, shuffled, with a tail."""
    for size in [*range(1, 64, 7), *(int(len(raw) * part) for part in CUTS)]:
        yield raw[:size]
    for start, stop, n_flips in [(0, 64, 1)] * 20 + [(0, 64, 4)] * 8 + [(0, len(raw), 20)] * 12:
        flipped = bytearray(raw)
        for position in rng.integers(start, min(stop, len(raw)), n_flips):
            flipped[position] ^= 1 << rng.integers(8)
        yield bytes(flipped)
    for position in range(0, 64, 4):  # sizes, rates, counts
        for lie in (b"\0" * 4, b"\xff" * 4, b"\x7f\xff\xff\xff"):
            yield raw[:position] + lie + raw[position + 4 :]
    middle = len(raw) // 2
    yield raw[middle:] + raw[:middle]
    yield raw[:middle] + bytes(5000) + raw[middle:]
    yield raw[:middle] + rng.bytes(5000) + raw[middle:]
    yield raw + rng.bytes(5000)
    yield raw[: len(raw) // 4] + raw[middle:]


def impostors(rng):
    """Yield what isn't audio at all, under a name that says it is."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("a.wav", WAV)
    yield from [archive.getvalue(), b"%PDF-1.7\n" + rng.bytes(9000), b"<!doctype html><html>" * 400]
    yield from [b"hello world\n" * 500, "größe 声\n".encode("utf-16"), rng.bytes(50000)]
    yield from [
        bytes(50000),
        b"\xff" * 50000,
        b"\xff\xfb" * 20000,
        b"#EXTM3U\nfile:///etc/passwd\n",
    ]
    yield from [b"RIFF" + bytes(50000), b"fLaC" + rng.bytes(50000), b"OggS" + rng.bytes(50000)]
    yield from [b"ID3\4\0\0" + rng.bytes(50000), bytes(4) + b"ftypM4A " + rng.bytes(50000)]
    for options in (["-c:v", "png"], ["-c:v", "mjpeg"]):
        picture = ["-f", "lavfi", "-i", "testsrc=size=64x64", "-frames:v", "1", "-f", "image2pipe"]
        command = [audio.find_ffmpeg("test"), "-v", "error", *picture, *options, "-"]
        yield subprocess.run(command, capture_output=True, check=True).stdout


CHILD = """
import json, resource, sys, warnings
import numpy as np
from audio import AudioError, load_audio
limit = int(sys.argv[1])
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))  # ffmpeg inherits it
warnings.simplefilter("ignore")
def work():
    uses = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(use.ru_utime + use.ru_stime for use in uses)
for path in json.load(sys.stdin):
    start = work()
    try:
        y = load_audio(path)
        ok = y.dtype == np.float32 and y.ndim == 1 and len(y) >= 1600 and np.isfinite(y).all()
        outcome = "loaded" if ok else "bad audio"
    except AudioError as error:
        outcome = "AudioError" if str(error) else "no message"
    except BaseException as error:
        outcome = repr(error)
    seconds = work() - start
    print(json.dumps([path, outcome, seconds, str(resource.getrusage(0).ru_maxrss)]), flush=True)
"""


@pytest.fixture(scope="module")
def sound_files(clips, tmp_path_factory):
    """A real recording in each format that gets damaged."""
    folder = tmp_path_factory.mktemp("sound")
    sf.write(folder / "a.wav", load_audio(clips[0])[:24000], 16000)
    for name in ("a.flac", "a.ogg", "a.mp3", "a.m4a", "a.aiff", "a.caf"):
        encode(folder / "a.wav", folder / name)
    return folder


@pytest.mark.slow
def test_damaged_files_give_audio_or_audio_error(sound_files, tmp_path):
    rng = np.random.default_rng(0)
    paths = []
    for source in sorted(sound_files.iterdir()):
        for i, raw in enumerate(damaged(source.read_bytes(), rng)):
            paths.append(tmp_path / f"{i}{source.suffix}")
            paths[-1].write_bytes(raw)
    for i, raw in enumerate(impostors(rng)):
        paths.append(tmp_path / f"impostor{i}.wav")
        paths[-1].write_bytes(raw)
    child = subprocess.run(
        [sys.executable, "-c", CHILD, str(MEMORY_LIMIT)],
        input=json.dumps([str(path) for path in paths]),
        capture_output=True,
        text=True,
        cwd=REPO,
        timeout=1200,
    )
    results = [json.loads(line) for line in child.stdout.splitlines()]
    assert len(results) == len(paths) >= 300, child.stderr[-2000:]
    outcomes = [outcome for _, outcome, *_ in results]
    assert set(outcomes) == {"loaded", "AudioError"}, [r for r in results if r[1][0] not in "lA"]
    assert not any(r[1] == "loaded" for r in results if "impostor" in r[0])
    slowest = max(results, key=lambda result: result[2])
    print(
        f"\n{len(paths)} damaged files: {outcomes.count('loaded')} loaded,"
        f" slowest {slowest[2]:.3f} s ({slowest[0]}), peak {int(results[-1][3]) / 1024:.0f} MiB"
    )
    assert slowest[2] < TIME_LIMIT


# --- what is no file ---------------------------------------------------------------------------


@pytest.fixture
def ends():
    """Both ends of a pipe of the system: (to read, to write)."""
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as read, os.fdopen(writing, "wb", buffering=0) as write:
        yield read, write


@posix
def test_a_pipe_is_read_to_its_end(ends):
    read, write = ends
    write.write(wav_bytes(speechlike(seconds=0.5)))  # fits into the pipe
    write.close()
    assert np.array_equal(
        load_audio(read), load_audio(io.BytesIO(wav_bytes(speechlike(seconds=0.5))))
    )


@posix
def test_a_pipe_that_keeps_silent_is_an_error(ends, monkeypatch):
    read, write = ends
    monkeypatch.setattr(audio, "STREAM_TIMEOUT", 0.05)
    write.write(wav_bytes()[:5000])
    with pytest.raises(AudioError, match=r"file object \d+: sent nothing for 0\.05 s"):
        load_audio(read)
    with pytest.raises(AudioError, match="sent nothing for"):
        data_extractor.kept([read])


@posix
@pytest.mark.parametrize("device", ["/dev/zero", "/dev/null"])
def test_no_device_is_read(device):
    with pytest.raises(AudioError, match="isn't a regular file"):
        load_audio(device)
    with Path(device).open("rb") as file:
        for read in (load_audio, lambda file: data_extractor.kept([file])):
            with pytest.raises(AudioError, match=f"file object '{device}': is a device"):
                read(file)


def test_a_stream_has_a_limit(monkeypatch):
    class Endless(io.RawIOBase):
        def read(self, n=-1):
            return b"\0" * n

    monkeypatch.setattr(audio, "STREAM_LIMIT", 2**20)
    with pytest.raises(AudioError, match="gives more than 1,048,576 bytes"):
        load_audio(Endless())


@posix
def test_durations_are_known_by_the_header_of_a_file(tmp_path):
    sf.write(tmp_path / "a.wav", speechlike(), 8000)
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "text").write_text("hello")
    assert audio.duration_of(tmp_path / "a.wav") == audio.duration_of(np.ones(16000), 8000) == 2
    for unknown in (tmp_path / "fifo", tmp_path / "text", "/dev/zero", "none", 3, io.BytesIO()):
        assert audio.duration_of(unknown) is None
    assert audio.duration_of(np.ones(9), 0) is None


@pytest.mark.parametrize("ragged", [[[1.0, 2.0], [3.0]], ([0.5], 0.5), [object(), 1], [[]] * 3])
def test_arrays_of_no_shape_are_audio_errors(ragged):
    for read in (load_audio, lambda *a, **k: list(stream_audio(*a, **k))):
        with pytest.raises(AudioError, match=f"{type(ragged).__name__} of {len(ragged)}: "):
            read(ragged, orig_sr=16000)
