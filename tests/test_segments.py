"""Segments of recordings: their samples are those of a file with nothing else in it."""

import shutil
import subprocess
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
import soundfile as sf
from conftest import bundled_clip

import segments
from audio import AudioError, blocks_of, load_audio, stream_audio
from segments import Segment, grouped, load_each

RATE = 22_050  # so that it is resampled
SPANS = [(0.5, 1.25), (1.0, 2.0), (0.0, 0.4), (2.5, float("inf"))]


@pytest.fixture(scope="module")
def sounds(tmp_path_factory):
    """The same 3 s in several formats, stereo: dict of suffix to path."""
    folder = tmp_path_factory.mktemp("sounds")
    y = np.random.default_rng(0).normal(0, 0.1, (3 * RATE, 2)).astype("f4")
    for suffix, subtype in (("wav", "FLOAT"), ("flac", "PCM_24"), ("ogg", "VORBIS")):
        sf.write(folder / f"a.{suffix}", y, RATE, subtype=subtype)
    sf.write(folder / "a.mp3", y, RATE)
    return {path.suffix[1:]: str(path) for path in folder.iterdir()}


def alone(path, start, end, folder):
    """The samples of a file that holds these seconds of another."""
    rates, frames = zip(*blocks_of(path), strict=True)  # libsndfile and ffmpeg differ in MP3
    y, rate = np.concatenate(frames), rates[0]
    own = y[round(start * rate) : None if end == float("inf") else round(end * rate)]
    sf.write(folder / "own.wav", own, rate, subtype="FLOAT")
    return load_audio(folder / "own.wav")


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3"])
def test_a_segment_is_what_a_file_of_its_own_would_be(sounds, suffix, tmp_path):
    path = sounds[suffix]
    wanted = [alone(path, *span, tmp_path) for span in SPANS]
    own = [Segment(path, *span) for span in SPANS]
    at_once = dict(load_each(own))
    for i, y in enumerate(wanted):
        assert len(y) > 5000
        np.testing.assert_array_equal(load_audio(own[i]), y)
        np.testing.assert_array_equal(at_once[i], y)
        np.testing.assert_array_equal(np.concatenate([*stream_audio(own[i])]), y)


@pytest.mark.parametrize(("suffix", "n_read"), [("wav", 0), ("ogg", 1)])
def test_a_recording_is_decoded_once_for_all_of_its_segments(sounds, suffix, n_read, monkeypatch):
    whole = []

    def blocks_of(path, frames=None, read=segments.blocks_of):
        whole.append(frames is None)
        return read(path, frames)

    monkeypatch.setattr(segments, "blocks_of", blocks_of)
    assert len(dict(load_each([Segment(sounds[suffix], *span) for span in SPANS]))) == 4
    assert sum(whole) == n_read


def test_what_is_after_the_last_segment_isnt_decoded():
    def blocks():
        for i in range(1000):
            seen.append(i)
            yield 10, np.full((10, 1), i)

    seen = []
    cut = dict(segments._cut(blocks(), [(7, Segment("", 1.5, 3.5)), (8, Segment("", 3, 3.2))]))
    assert len(seen) == 4
    values = {i: np.concatenate([frames[:, 0] for _, frames in cut[i]]).tolist() for i in cut}
    assert values == {7: [1] * 5 + [2] * 10 + [3] * 5, 8: [3, 3]}


@pytest.mark.parametrize("suffix", ["wav", "ogg"])
def test_a_segment_that_isnt_in_its_recording_is_named_and_the_others_come(sounds, suffix):
    path = sounds[suffix]
    spans = [(1, 2), (2.9, 3.2), (1, 3.05), (5, 6), (1, 1.01)]
    found = dict(load_each([Segment(path, *span) for span in spans]))
    assert len(found[0]) == 16000 and len(found[2]) == 32000
    for i, words in ((1, "has only 3.000 s"), (3, "has only 3.000 s"), (4, "0.010 s long")):
        assert isinstance(found[i], AudioError) and words in str(found[i])
        assert f"{path} ({spans[i][0]} s to {spans[i][1]:g} s)" in str(found[i])
    with pytest.raises(AudioError, match=r"5 s to 6 s.*start and end are in seconds"):
        load_audio(Segment(path, 5, 6))


def test_a_damaged_recording_fails_all_of_its_segments_by_name(sounds, tmp_path):
    data = Path(sounds["mp3"]).read_bytes()
    (tmp_path / "cut.mp3").write_bytes(data[: len(data) // 2])
    (tmp_path / "text.mp3").write_bytes(b"no sound at all" * 100)
    own = [Segment(str(tmp_path / name), 2, 2.5) for name in ("cut.mp3", "text.mp3", "none.mp3")]
    found = dict(load_each([*own, *own, bundled_clip("sad")]))
    assert len(found[6]) > 16000
    for i in range(6):
        assert isinstance(found[i], AudioError) and str(own[i % 3]) in str(found[i])


def test_segments_are_put_together_only_where_that_saves_decoding(sounds):
    own = [Segment(sounds[s], i, i + 1) for i in range(2) for s in ("wav", "ogg")] + ["x.wav"]
    assert grouped(own, 2) == [[0, 2], [4], [1, 3]]
    assert grouped([], 2) == []


def test_segments_of_what_ffmpeg_decodes(sounds, tmp_path):
    path = str(tmp_path / "a.m4a")
    ffmpeg = shutil.which("ffmpeg") or imageio_ffmpeg.get_ffmpeg_exe()
    subprocess.run([ffmpeg, "-v", "error", "-i", sounds["wav"], path], check=True)
    y = load_audio(path, sr=44100)
    found = dict(load_each([Segment(path, 0.5, 1), Segment(path, 1, 1.5)], sr=44100))
    assert len(y) > 100_000 and [len(found[i]) for i in range(2)] == [22050, 22050]


@pytest.mark.parametrize("suffix", ["wav", "ogg"])
def test_features_of_segments_are_kept_by_content_start_and_end(sounds, suffix, tmp_path):
    from data_extractor import SpeechFeatures, find_speech
    from feature_cache import FeatureCache

    path = str(tmp_path / f"b.{suffix}")
    shutil.copy(sounds[suffix], path)
    files = []
    for i, span in enumerate(SPANS):
        files.append(str(tmp_path / f"{i}.wav"))
        sf.write(files[-1], alone(path, *span, tmp_path), 16000, subtype="FLOAT")
    own = [Segment(path, *span) for span in SPANS]
    measure = SpeechFeatures(["mfcc"], cache=tmp_path / "cache")
    X = measure.transform([*own, path])
    np.testing.assert_array_equal(X[:4], measure.transform(files))
    assert len(np.unique(X, axis=0)) == 5
    cache = FeatureCache(tmp_path / "cache")
    digests = cache.digests([*own, path, Segment(path, 0.5, 1.5)])
    assert len(set(digests.values())) == 6
    Path(path).unlink()
    shutil.copy(sounds[suffix], path)  # the same content
    assert cache.digests(own) == {key: digests[key] for key in own}
    np.testing.assert_array_equal(measure.transform(own[::-1]), X[3::-1])
    assert find_speech([*own, path], cache_dir=tmp_path / "cache") == [False] * 5


def test_a_segment_without_its_recording_is_left_out_and_named(sounds, tmp_path):
    from data_extractor import SpeechFeatures

    own = [Segment(sounds["wav"], 1, 2), Segment(sounds["wav"], 2, 9)]
    with pytest.warns(
        UserWarning, match=r"1 clip\(s\) left out.*\n  '.*a\.wav \(2 s to 9 s\)': the"
    ):
        X, read = SpeechFeatures(["mfcc"], cache=False).extract(own)
    assert len(X) == 1 and read.tolist() == [True, False]


def test_copies_of_segments_are_found(sounds, tmp_path):
    from protocols import audio_digests

    y = load_audio(bundled_clip("sad"))
    sf.write(tmp_path / "talk.flac", np.concatenate([np.zeros(8000, "f4"), y]), 16000)
    sf.write(tmp_path / "talk.ogg", np.concatenate([np.zeros(8000, "f4"), y]), 16000)
    own = [Segment(str(tmp_path / f"talk.{suffix}"), 0.5) for suffix in ("flac", "ogg")]
    digests = audio_digests([bundled_clip("sad"), *own, bundled_clip("happy"), Segment("x", 1, 2)])
    assert digests[0] == digests[1] == digests[2] != digests[3]
    assert isinstance(digests[3], str) and not isinstance(digests[4], str)
