"""`convert_wavs`: real files through a real ffmpeg; the command line in a process of its own."""

import json
import os
import subprocess
import sys
import wave
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from conftest import REPO

import audio
import convert_wavs
from audio import AudioError, load_audio
from convert_wavs import AUDIO_SUFFIXES, convert_audio, convert_audios

RNG = np.random.default_rng(0)
SPEECH = np.cumsum(RNG.normal(0, 0.01, 24000)) * np.hanning(24000)  # mostly low frequencies
SPEECH = (SPEECH / np.abs(SPEECH).max() / 2).astype(np.float32)


def write(path, sr=16000, y=SPEECH, **options):
    """Write a recording in the format of its suffix, by ffmpeg where libsndfile can't."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix[1:].upper() in sf.available_formats():
        sf.write(path, y, sr, **options)
        return path
    wav = path.with_name("plain.wav")
    sf.write(wav, y, sr)
    command = [audio.find_ffmpeg("test"), "-v", "error", "-i", wav, path]
    subprocess.run(command, check=True)
    wav.unlink()
    return path


def tree(folder):
    """Return {relative path: content} of a folder."""
    return {
        str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()
    }


def cli(*arguments, **options):
    command = [sys.executable, str(REPO / "convert_wavs.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=600, **options)


def is_16k_mono_16_bit(path):
    info = sf.info(path)
    return (info.samplerate, info.channels, info.subtype) == (16000, 1, "PCM_16")


def report(converted=0, already=0, other=0, failed=()):
    skipped = {"already converted": already, "not audio": other}
    return {"converted": converted, "skipped": skipped, "failed": dict(failed)}


# --- one file ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.ogg", "a.mp3", "a.m4a", "a.webm", "a.aiff"])
def test_any_format(tmp_path, name):
    source = write(tmp_path / name, 44100, np.stack([SPEECH, SPEECH / 2], 1))
    target = tmp_path / "new" / "folder" / "b.wav"
    assert convert_audio(source, target) is True
    assert is_16k_mono_16_bit(target) and source.exists()
    expected = load_audio(source)
    converted = load_audio(target)
    assert len(converted) == len(expected)
    np.testing.assert_allclose(converted, expected, atol=2**-16 + 1e-6)  # half a 16-bit step


def test_16_bit_at_16_khz_stays_bit_by_bit(tmp_path):
    samples = RNG.integers(-(2**15), 2**15, 24000).astype(np.int16)
    for name in ("a.flac", "a.wav"):
        convert_audio(write(tmp_path / name, y=samples), tmp_path / f"{name}.wav")
        np.testing.assert_array_equal(sf.read(tmp_path / f"{name}.wav", dtype="int16")[0], samples)


def test_loud_floats_are_clipped_not_wrapped(tmp_path):
    write(tmp_path / "a.wav", y=np.array([2.0, -2.0] * 800), subtype="FLOAT")
    convert_audio(tmp_path / "a.wav", tmp_path / "b.wav")
    assert sf.read(tmp_path / "b.wav", dtype="int16")[0].tolist() == [32767, -32768] * 800


@pytest.mark.parametrize("y", [np.zeros(16000), SPEECH[:10]], ids=["silence", "short"])
def test_silence_and_short_clips_convert(tmp_path, y):
    source = write(tmp_path / "a.flac", y=y)
    assert convert_audios(source, tmp_path / "b.wav", verbose=0) == report(1)
    assert sf.info(tmp_path / "b.wav").frames == len(y)


def test_long_recordings_come_out_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(audio, "BLOCK_SAMPLES", 5000)
    y = np.tile(SPEECH, 100)  # 2.5 blocks of a minute
    write(tmp_path / "a.flac", y=y)
    convert_audio(tmp_path / "a.flac", tmp_path / "b.wav")
    np.testing.assert_array_equal(sf.read(tmp_path / "b.wav")[0], sf.read(tmp_path / "a.flac")[0])


def test_where_a_single_file_goes(tmp_path):
    source = write(tmp_path / "a.b.flac")
    (tmp_path / "folder").mkdir()
    for target, written in {
        "folder": "folder/a.b.wav",
        "fresh/": "fresh/a.b.wav",
        "c.wav": "c.wav",
        "d": "d.wav",
        "e.v2": "e.v2.wav",
    }.items():
        assert convert_audios(source, f"{tmp_path}/{target}", verbose=0) == report(1)
        assert is_16k_mono_16_bit(tmp_path / written)


def test_nothing_is_overwritten_without_force(tmp_path):
    source = write(tmp_path / "a.flac")
    target = tmp_path / "b.wav"
    target.write_bytes(b"my thesis")
    with pytest.raises(FileExistsError, match="--force"):
        convert_audio(source, target)
    assert target.read_bytes() == b"my thesis"
    assert convert_audio(source, target, force=True)
    assert is_16k_mono_16_bit(target)
    before = target.read_bytes()
    assert convert_audio(write(tmp_path / "c.flac", y=SPEECH[::-1]), target) is False
    assert target.read_bytes() == before


def test_broken_audio_leaves_nothing(tmp_path):
    (tmp_path / "a.mp3").write_bytes(b"no sound")
    with pytest.raises(AudioError, match="not audio"):
        convert_audio(tmp_path / "a.mp3", tmp_path / "b.wav")
    with pytest.raises(AudioError, match="no such file"):
        convert_audio(tmp_path / "b.mp3", tmp_path / "b.wav")
    assert list(tree(tmp_path)) == ["a.mp3"]


def test_remove_only_after_reading_back(tmp_path, monkeypatch):
    source, target = write(tmp_path / "a.flac"), tmp_path / "b.wav"
    monkeypatch.setattr(convert_wavs, "_checksum", lambda path: -1)  # a faulty disk
    with pytest.raises(OSError, match="reads back differently"):
        convert_audio(source, target, remove=True)
    assert list(tree(tmp_path)) == ["a.flac"]
    monkeypatch.undo()
    assert convert_audio(source, target, remove=True)
    assert list(tree(tmp_path)) == ["b.wav"]


def test_an_interrupted_conversion_leaves_source_and_no_target(tmp_path, monkeypatch):
    def interrupted(*args, **options):
        yield SPEECH
        raise KeyboardInterrupt

    source = write(tmp_path / "a.flac")
    monkeypatch.setattr(convert_wavs, "stream_audio", interrupted)
    with pytest.raises(KeyboardInterrupt):
        convert_audio(source, tmp_path / "b.wav", remove=True)
    assert list(tree(tmp_path)) == ["a.flac"]


def test_half_a_recording_is_not_converted(tmp_path):
    source = write(tmp_path / "a.flac")
    source.write_bytes(source.read_bytes()[:-5000])
    with pytest.raises(AudioError, match=r"a\.flac': only its first"):
        convert_audio(source, tmp_path / "b.wav", remove=True)
    assert list(tree(tmp_path)) == ["a.flac"]


# --- folders -----------------------------------------------------------------------------------


@pytest.fixture
def recordings(tmp_path):
    folder = tmp_path / "recordings"
    write(folder / "a.flac")
    write(folder / "deep" / "er" / "b.mp3", 44100)
    write(folder / "deep" / "c.m4a")
    write(folder / "deep" / "d.WAV", 8000, format="WAV")
    (folder / "empty").mkdir()
    (folder / "notes.txt").write_text("not audio")
    (folder / "deep" / "._d.wav").write_bytes(b"what macOS leaves")
    return folder


def test_a_folder_keeps_its_structure(recordings, tmp_path):
    before = tree(recordings)
    assert convert_audios(recordings, tmp_path / "wavs", verbose=0) == report(4, other=2)
    assert list(tree(tmp_path / "wavs")) == ["a.wav", "deep/c.wav", "deep/d.WAV", "deep/er/b.wav"]
    assert all(is_16k_mono_16_bit(path) for path in (tmp_path / "wavs").rglob("*.*"))
    assert tree(recordings) == before


def test_an_interrupted_run_resumes(recordings, tmp_path):
    target = tmp_path / "wavs"
    convert_audio(recordings / "a.flac", target / "a.wav")
    stamp = (target / "a.wav").stat().st_mtime_ns
    assert convert_audios(recordings, target, verbose=0) == report(3, 1, 2)
    assert convert_audios(recordings, target, verbose=0) == report(0, 4, 2)
    assert (target / "a.wav").stat().st_mtime_ns == stamp
    assert convert_audios(recordings, target, force=True, verbose=0) == report(4, 0, 2)
    assert (target / "a.wav").stat().st_mtime_ns != stamp


def test_target_inside_source_is_not_converted_again(recordings):
    target = recordings / "deep" / "wavs"
    assert convert_audios(recordings, target, verbose=0) == report(4, other=2)
    files = list(tree(recordings))
    assert convert_audios(recordings, target, force=True, verbose=0) == report(4, other=2)
    target = f"{recordings}/../recordings/deep/wavs"
    assert convert_audios(recordings, target, verbose=0) == report(0, 4, 2)
    assert list(tree(recordings)) == files


def test_source_and_target_the_same(recordings):
    kept = write(recordings / "kept.wav").read_bytes()
    own = repr(str(recordings / "deep" / "d.WAV"))
    first = convert_audios(recordings, recordings, verbose=0)
    assert (first["converted"], first["skipped"]["already converted"]) == (3, 1)
    assert list(first["failed"]) == [str(recordings / "deep" / "d.WAV")]  # 8 kHz: needs force
    assert own in str(first["failed"])
    again = convert_audios(recordings, f"{recordings}/.", verbose=0)
    assert (again["converted"], again["skipped"]["already converted"]) == (0, 7)
    assert (recordings / "kept.wav").read_bytes() == kept


def test_in_place_with_remove_and_force(tmp_path):
    write(tmp_path / "a.wav", 44100)
    kept = write(tmp_path / "b.wav").read_bytes()
    write(tmp_path / "c.flac")
    assert convert_audios(tmp_path, tmp_path, True, force=True, verbose=0) == report(2, 1)
    assert list(tree(tmp_path)) == ["a.wav", "b.wav", "c.wav"]
    assert all(is_16k_mono_16_bit(path) for path in tmp_path.iterdir())
    assert (tmp_path / "b.wav").read_bytes() == kept


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("other", ["a.mp3", "a.wav"])
@pytest.mark.parametrize("place", ["in", "out"])
def test_two_sources_of_one_target_are_named_and_the_rest_converted(tmp_path, force, other, place):
    first = write(tmp_path / "in" / "a.flac")
    second = write(tmp_path / "in" / other, 44100)
    write(tmp_path / "in" / "b.flac")
    kept = first.read_bytes(), second.read_bytes()
    target = tmp_path / place / "a.wav"
    result = convert_audios(tmp_path / "in", tmp_path / place, force=force, verbose=0)
    failed = result.pop("failed")
    assert result["converted"] == 1 and is_16k_mono_16_bit(tmp_path / place / "b.wav")
    assert failed.keys() == {str(first), str(second)}
    for path, another in ((first, second), (second, first)):
        for words in (repr(str(target)), repr(str(another)), "--rename"):
            assert words in failed[str(path)]
    assert (first.read_bytes(), second.read_bytes()) == kept
    assert target.exists() == (target == second)


@pytest.mark.parametrize("other", ["a.mp3", "a.wav"])
@pytest.mark.parametrize("place", ["in", "out"])
def test_clashing_names_are_numbered(tmp_path, other, place):
    write(tmp_path / "in" / "a.flac")
    write(tmp_path / "in" / "a.2.flac")
    write(tmp_path / "in" / other, 44100, SPEECH[:12000])
    out = tmp_path / place
    options = {"rename": True, "force": place == "in", "verbose": 0}
    assert convert_audios(tmp_path / "in", out, True, **options) == report(3)
    assert list(tree(out)) == ["a.2.wav", "a.3.wav", "a.wav"]
    lengths = {path.name: len(load_audio(path)) for path in out.iterdir()}
    short = [name for name, length in lengths.items() if length < 16000]
    in_place = other == "a.wav" and place == "in"
    assert short == ["a.wav" if in_place else "a.3.wav"]


def test_broken_audio_is_reported_and_the_rest_converted(recordings, tmp_path):
    (recordings / "broken.mp3").write_bytes(b"no sound")
    (recordings / "empty.wav").write_bytes(b"")
    result = convert_audios(recordings, tmp_path / "wavs", verbose=0)
    reasons = result.pop("failed")
    assert result == {k: v for k, v in report(4, other=2).items() if k != "failed"}
    assert list(reasons) == [str(recordings / "broken.mp3"), str(recordings / "empty.wav")]
    assert "not audio" in reasons[str(recordings / "broken.mp3")]
    assert "empty" in reasons[str(recordings / "empty.wav")]


def test_missing_source_and_wrong_target(tmp_path, recordings):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        convert_audios(tmp_path / "nowhere", tmp_path / "wavs", verbose=0)
    with pytest.raises(NotADirectoryError, match="is a file"):
        convert_audios(recordings, recordings / "a.flac", verbose=0)


def test_suffixes_are_declared_in_one_way():
    assert all(s == s.lower() and s.startswith(".") for s in AUDIO_SUFFIXES)
    assert {".wav", ".flac", ".ogg", ".mp3", ".m4a", ".mp4", ".webm", ".amr"} <= AUDIO_SUFFIXES


def test_progress_bar(recordings, tmp_path, capfd, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    convert_audios(recordings, tmp_path / "quiet", verbose=0)
    assert capfd.readouterr() == ("", "")
    convert_audios(recordings, tmp_path / "loud")
    out, err = capfd.readouterr()
    assert not out and "converting" in err and "4/4" in err


def test_jobs_don_t_change_the_result(clips, tmp_path):
    source = tmp_path / "in"
    source.mkdir()
    for i, clip in enumerate(clips[:12]):
        (source / f"{i}{clip.suffix}").write_bytes(clip.read_bytes())
    for n_jobs in (1, 4):
        result = convert_audios(source, tmp_path / str(n_jobs), n_jobs=n_jobs, verbose=0)
        assert result == report(12)
    assert tree(tmp_path / "1") == tree(tmp_path / "4")


HARD_NAMES = "with space", "quo'te\"s", "-rf", "--force", "new\nline", "größe 声 🎤", "$(touch x);"


def test_hard_names(tmp_path):
    for name in HARD_NAMES:
        write(tmp_path / "in" / name / f"{name}.flac")
        write(tmp_path / "in" / name / f"{name}2.m4a")
    expected = sorted(f"{n}/{n}{i}.wav" for n in HARD_NAMES for i in ("", "2"))
    done = cli("in", "out", "--json", cwd=tmp_path)
    assert json.loads(done.stdout) == report(len(expected)), done.stderr
    assert sorted(tree(tmp_path / "out")) == expected
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in", "out"]


def test_names_that_are_not_utf_8(tmp_path):
    source = os.fsencode(tmp_path) + b"/in\xff"
    Path(tmp_path, os.fsdecode(b"in\xff")).mkdir()
    with open(source + b"/a\xfe.flac", "wb") as file:  # noqa: PTH123 (bytes)
        file.write(write(tmp_path / "a.flac").read_bytes())
    done = cli(os.fsdecode(source), tmp_path / "out", "--json")
    assert json.loads(done.stdout) == report(1), done.stderr
    (name,) = os.listdir(os.fsencode(tmp_path / "out"))  # noqa: PTH208 (bytes)
    assert name == b"a\xfe.wav"


# --- command line ------------------------------------------------------------------------------


def test_help_has_examples():
    done = cli("--help")
    assert done.returncode == 0 and "python convert_wavs.py talk.m4a talk.wav" in done.stdout
    for flag in ("--remove", "--force", "--jobs", "--json"):
        assert flag in done.stdout


def test_cli_converts_and_sums_up(recordings, tmp_path):
    done = cli(recordings, tmp_path / "wavs", "--jobs", 2)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "4 converted, 2 skipped (0 already converted, 2 not audio), 0 failed\n"


def test_cli_remove_is_a_flag(recordings, tmp_path):
    (recordings / "broken.mp3").write_bytes(b"no sound")
    done = cli(recordings, tmp_path / "wavs", "-r")
    assert done.returncode == 1 and "4 converted" in done.stdout
    assert list(tree(recordings)) == ["broken.mp3", "deep/._d.wav", "notes.txt"]
    assert cli(recordings, tmp_path / "wavs", "-r", "False").returncode == 2  # no value


def test_cli_reports_failures_in_json_and_exits_1(recordings, tmp_path):
    broken = recordings / "broken\n.mp3"
    broken.write_bytes(b"no sound")
    done = cli(recordings, tmp_path / "wavs", "--json")
    assert done.returncode == 1
    result = json.loads(done.stdout)
    assert (result["converted"], list(result["failed"])) == (4, [str(broken)])
    last = done.stderr.splitlines()[-1]
    assert last.startswith("failed: ") and repr(str(broken)) in last  # one line, newline or not


def test_cli_errors_are_one_line(tmp_path):
    done = cli("nowhere", "wavs", cwd=tmp_path)
    assert done.returncode == 1 and not done.stdout
    assert len(done.stderr.splitlines()) == 1 and done.stderr.startswith("convert_wavs.py: ")
    assert not any(tmp_path.iterdir())


def test_cli_names_what_clashes_or_numbers_it(tmp_path):
    for name in ("a.flac", "a.ogg", "b.ogg"):
        write(tmp_path / "in" / name)
    done = cli("in", "out", cwd=tmp_path)
    assert done.returncode == 1 and "1 converted" in done.stdout and "2 failed" in done.stdout
    named = [line for line in done.stderr.splitlines() if line.startswith("failed: ")]
    assert len(named) == 2 and all("'in/a.flac'" in line or "in/a.flac:" in line for line in named)
    done = cli("in", "out", "--rename", cwd=tmp_path)
    assert done.returncode == 0 and "2 converted, 1 skipped" in done.stdout
    assert list(tree(tmp_path / "out")) == ["a.2.wav", "a.wav", "b.wav"]


def test_cli_single_file_with_a_leading_dash(tmp_path):
    write(tmp_path / "-a.flac")
    done = cli("--force", "--", "-a.flac", "-b.wav", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    with wave.open(str(tmp_path / "-b.wav")) as wav:
        assert wav.getparams()[:4] == (1, 2, 16000, 24000)


@pytest.mark.skipif(os.name != "posix", reason="FIFOs are POSIX's")
def test_a_fifo_is_neither_source_nor_target(tmp_path, capsys):
    os.mkfifo(tmp_path / "fifo.wav")
    source = str(tmp_path / "fifo.wav")
    assert convert_wavs.main([source, str(tmp_path / "out") + "/"]) == 1
    *_, line = capsys.readouterr().err.splitlines()
    reason = "isn't a regular file; give a file, or pipe its content in"
    assert line == f"failed: {source!r}: {reason}"
    assert convert_wavs.main([str(REPO / "data/test-custom/v21_s6_happy.wav"), source]) == 1
    assert "exists and isn't a 16 kHz mono 16-bit WAV" in capsys.readouterr().err
