"""Copies are found in any form, and other recordings of the same sentence are not."""

from itertools import combinations

import numpy as np
import pytest
import soundfile as sf
from conftest import corpora_folder
from test_audio import encode

from audio import load_audio
from create_csv import list_audio
from fingerprints import SILENT, copies, fingerprint

FORMS = {  # the end of the file's name, and what ffmpeg is told
    "MP3": (".mp3", "-b:a", "32k"),
    "AAC": (".m4a", "-c:a", "aac", "-b:a", "32k"),
    "Opus": (".ogg", "-c:a", "libopus", "-b:a", "24k"),
    "8 kHz": (".wav", "-ar", "8000"),
    "44.1 kHz": (".wav", "-ar", "44100"),
    "softer": (".wav", "-af", "volume=-20dB"),
    "clipped": (".wav", "-af", "volume=6dB"),
    "a later start": (".wav", "-ss", "0.1373"),
    "an earlier end": (".wav", "-af", "areverse,atrim=start=0.2,areverse"),
    "silence around": (".wav", "-af", "adelay=313,apad=pad_dur=0.5"),
    "stereo, AAC at 48 kHz": (".mp4", "-ac", "2", "-ar", "48000", "-c:a", "aac"),
}


def some(paths, n):
    return paths[:: max(1, len(paths) // n)][:n]


@pytest.mark.parametrize("form", FORMS)
def test_a_copy_is_found_in_any_form(clips, tmp_path, form):
    ending, *options = FORMS[form]
    originals, copied = some(clips, 8), []
    for i, path in enumerate(originals):
        copied.append(tmp_path / f"{i}{ending}")
        encode(path, copied[-1], *options)
    found = copies([fingerprint(load_audio(path)) for path in [*originals, *copied]])
    assert found.tolist() == [*range(8), *range(8)]


def test_copies_of_copies_are_those_of_the_first(clips, tmp_path):
    y = load_audio(clips[0])
    prints = [fingerprint(part) for part in (y, 0.3 * y, y[500:], y[:-800])]
    assert copies([fingerprint(load_audio(clips[1])), *prints]).tolist() == [0, 1, 1, 1, 1]


@pytest.mark.parametrize("n", [0, 1, 79, 80, 400, 4000])
def test_silence_and_what_is_too_short_is_a_copy_of_nothing(n):
    noise = np.random.default_rng(0).normal(size=n).astype(np.float32)
    prints = [fingerprint(y) for y in (np.zeros(n), np.zeros(16000), noise, noise)]
    assert copies([*prints, SILENT]).tolist() == [0, 1, 2, 3, 4]
    assert copies([]).tolist() == []


def test_sentences_said_again_are_no_copies(bundled_clips):
    """Synthetic voices say a sentence always alike, but for what makes the emotion."""
    prints = [fingerprint(load_audio(path)) for path in bundled_clips]
    assert copies(prints).tolist() == [*range(len(prints))]


@pytest.mark.slow
def test_of_the_real_corpora_only_true_copies_are_found(real_data):
    """The pairs have the same samples under two names, in ASED and RAVDESS."""
    paths = [path for path in list_audio(corpora_folder()) if "custom" not in str(path)]
    sounds = [load_audio(path) for path in paths]
    found = copies([fingerprint(y) for y in sounds])
    pairs = [(int(i), j) for j, i in enumerate(found) if i != j]
    different = [(i, j) for i, j in pairs if not within(sounds[i], sounds[j])]
    assert len(paths) > 4000 and len(pairs) >= 5
    assert not different, [(paths[i].name, paths[j].name) for i, j in different]
    for i, j in combinations(some(range(len(paths)), 20), 2):
        assert not within(sounds[i], sounds[j])


def within(first, second):
    """Whether the shorter of two signals is, sample by sample, a part of the other."""
    short, long = sorted((first, second), key=len)
    middle = short[len(short) // 4 : 3 * len(short) // 4]
    lag = np.correlate(long, middle[:4000], "valid").argmax()
    part = long[lag : lag + len(middle)]
    return len(part) == len(middle) and np.corrcoef(part, middle)[0, 1] > 0.99


def test_a_file_is_as_good_as_an_array(tmp_path, clips):
    y = load_audio(clips[0])
    sf.write(tmp_path / "copy.flac", y, 16000)
    assert copies([fingerprint(y), fingerprint(load_audio(tmp_path / "copy.flac"))])[1] == 0
