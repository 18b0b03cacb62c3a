"""`download_data`: archives of the published form, from real servers that misbehave, to create_csv.

No corpus is needed: the archives are made here, of noise under the names that the corpora have.
"""

import hashlib
import io
import json
import os
import re
import signal
import stat
import subprocess
import sys
import threading
import time
import warnings
import zipfile
from contextlib import suppress
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import product
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest
import requests
import soundfile as sf
import urllib3
from conftest import REPO
from test_create_csv import EMODB_CODES, EMODB_SPEAKERS

import download
import download_data as dd
from corpora import EMODB_EMOTIONS
from create_csv import list_clips
from parameters import AVAILABLE_EMOTIONS

RAVDESS_CODES = {
    "01": "neutral",
    "02": "calm",
    "03": "happy",
    "04": "sad",
    "05": "angry",
    "06": "fear",
    "07": "disgust",
    "08": "ps",
}
TESS_CODES = ("angry", "disgust", "fear", "happy", "neutral", "ps", "sad")
PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


@cache
def wav(rate=16000, channels=1, seconds=0.1, seed=0, kind="WAV"):
    """The bytes of a recording of noise."""
    shape = (round(rate * seconds), channels)
    noise = 0.1 * np.random.default_rng(seed).standard_normal(shape)
    file = io.BytesIO()
    sf.write(file, noise, rate, format=kind, subtype="PCM_16")
    return file.getvalue()


def zipped(members):
    """The bytes of a zip archive with these members: {name: bytes}."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return file.getvalue()


def speech_names(actors=("07", "12")):
    return [f"03-01-{code}-01-02-01-{actor}.wav" for actor, code in product(actors, RAVDESS_CODES)]


def song_names(actors=("07", "12")):
    codes = list(RAVDESS_CODES)[:6]  # nobody sings with disgust or surprise
    return [f"03-02-{code}-01-02-01-{actor}.wav" for actor, code in product(actors, codes)]


def emodb_names(n_texts=1):
    codes = product(EMODB_SPEAKERS, [f"a{i:02d}" for i in range(1, n_texts + 1)], EMODB_CODES)
    return [f"{speaker}{text}{code}a.wav" for speaker, text, code in codes]


def tess_names(words=("back", "youth")):
    return [f"{voice}_{w}_{e}.wav" for voice, w, e in product(("OAF", "YAF"), words, TESS_CODES)]


def write(folder, names, data=None):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(wav() if data is None else data)
    return folder


def tree(folder):
    """{relative path: time of writing} of a folder's files."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): path.stat().st_mtime_ns for path in files}


def rows(data_dir):
    """{name: (emotion, speaker, corpus, partition)} as create_csv reads a data folder."""
    clips = [list_clips(group, data_dir=data_dir) for group in ("tess_ravdess", "emodb")]
    return {
        Path(row.path).name: (row.emotion, row.speaker, row.corpus, row.partition)
        for frame in clips
        for row in frame.itertuples()
    }


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    return folder


@pytest.fixture(autouse=True)
def own_network(monkeypatch):
    """No proxy but the tests' own, and no long waits."""
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setattr(download, "BACKOFF", 0.001)


# --- names and codes ---------------------------------------------------------------------------


@pytest.mark.parametrize(("code", "emotion"), RAVDESS_CODES.items())
@pytest.mark.parametrize("channel", ["01", "02"])
def test_ravdess_codes(channel, code, emotion):
    stem = f"03-{channel}-{code}-02-01-02-12"
    assert dd.place(f"{stem}.wav") == ("ravdess", f"training/Actor_12/{stem}_{emotion}.wav")
    assert emotion in AVAILABLE_EMOTIONS


@pytest.mark.parametrize("emotion", TESS_CODES)
def test_tess_codes(emotion):
    path = f"training/Actor_26/26_01_01_01_youth_{emotion}.wav"
    assert dd.place(f"YAF_youth_{emotion}.wav") == ("tess", path)
    assert emotion in AVAILABLE_EMOTIONS


@pytest.mark.parametrize(("code", "emotion"), EMODB_CODES.items())
def test_emodb_codes(data, code, emotion):
    name = f"03a01{code}a.wav"
    assert dd.place(name) == ("emodb", f"emodb/wav/{name}")
    write(data, [dd.place(name)[1]])
    assert rows(data)[name][:3] == (emotion, "03", "emodb")
    assert emotion in AVAILABLE_EMOTIONS


def test_no_code_is_forgotten():
    assert dd.RAVDESS_EMOTIONS == RAVDESS_CODES
    assert dd.TESS_EMOTIONS == TESS_CODES
    assert EMODB_EMOTIONS == EMODB_CODES
    known = {*RAVDESS_CODES.values(), *TESS_CODES, *EMODB_CODES.values()}
    assert known == set(AVAILABLE_EMOTIONS)


@pytest.mark.parametrize(
    ("name", "path"),
    {
        "03-01-05-02-01-02-12.wav": "training/Actor_12/03-01-05-02-01-02-12_angry.wav",
        "03-01-05-02-01-02-07.WAV": "validation/Actor_07/03-01-05-02-01-02-07_angry.wav",
        "03-02-05-02-01-02-10.wav": "validation/Actor_10/03-02-05-02-01-02-10_angry.wav",
        "03-01-06-01-01-01-06_fearful.wav": "training/Actor_06/03-01-06-01-01-01-06_fear.wav",
        "OAF_back_sad.wav": "validation/Actor_25/25_01_01_01_back_sad.wav",
        "OAF_dip_sad.wav": "validation/Actor_25/25_01_01_01_dip_sad.wav",
        "OAF_ditch_sad.wav": "training/Actor_25/25_01_01_01_ditch_sad.wav",
        "yaf_Youth_PS.wav": "training/Actor_26/26_01_01_01_youth_ps.wav",
        "OA_bite_neutral.wav": "validation/Actor_25/25_01_01_01_bite_neutral.wav",
        "25_01_01_01_back_sad.flac": "validation/Actor_25/25_01_01_01_back_sad.wav",
        "16b10Wb.wav": "emodb/wav/16b10Wb.wav",
    }.items(),
)
def test_where_clips_belong(name, path):
    assert dd.place(name)[1] == path
    assert dd.place(f"some/folder/{name}") == dd.place(f"C:\\some\\{name}") == dd.place(name)
    assert dd.place(Path(path).name)[1] == path  # a layout is at its own place


@pytest.mark.parametrize(
    "name",
    [
        "03-01-09-01-01-01-12.wav",  # no such emotion
        "03-01-05-01-01-01-25.wav",  # no such actor
        "01-01-05-01-01-01-12.wav",  # a film
        "03-01-05-01-01-01-12.mp4",
        "OAF_back_rude.wav",
        "XAF_back_sad.wav",
        "03a01Xa.wav",
        "._03a01Fa.wav",  # what macOS leaves
        "03a01Fa.txt",
        "notes.wav",
        "",
    ],
)
def test_other_names_are_of_no_corpus(name):
    assert dd.place(name) == (None, None)


def test_the_words_to_test_on_are_the_first_of_the_alphabet(real_data):
    """As far as the real words are here, no other one comes before the last of them."""
    assert len(dd.TESS_TEST_WORDS) == 32
    clips = list_clips("tess_ravdess", data_dir=real_data)
    tess = clips[clips["corpus"] == "tess"]
    words = {Path(path).stem.split("_")[4] for path in tess["path"]}
    if not words:
        pytest.skip("no TESS among the real corpora")
    assert {word for word in words if word <= max(dd.TESS_TEST_WORDS)} <= dd.TESS_TEST_WORDS


def test_real_ravdess_and_emodb_clips_lie_where_they_belong(real_data):
    for group, corpus in (("tess_ravdess", "ravdess"), ("emodb", "emodb")):
        clips = list_clips(group, data_dir=real_data)
        for path in clips.loc[clips["corpus"] == corpus, "path"]:
            published = re.sub(r"_[a-z]+(?=\.)", "", Path(path).name)
            where = Path(dd.place(published)[1]).with_suffix(Path(path).suffix)
            assert Path(path) == (real_data / where).resolve()


# --- layout ------------------------------------------------------------------------------------


@pytest.fixture
def kaggle(tmp_path):
    """All three as Kaggle has them: RAVDESS and TESS twice, and TESS with its misnamed clip."""
    folder = tmp_path / "kaggle"
    stereo = wav(48000, 2)
    for nesting in ("", "audio_speech_actors_01-24/"):
        for name in speech_names():
            write(folder / "ravdess", [f"{nesting}Actor_{name[18:20]}/{name}"], stereo)
    tess = "TESS Toronto emotional speech set data"
    for nesting in (f"{tess}/", f"{tess}/{tess}/"):
        for name in tess_names():
            voice, _, emotion = name[:-4].split("_")
            emotion = "Pleasant_surprise" if emotion == "ps" else emotion
            write(folder / "tess", [f"{nesting}{voice}_{emotion}/{name}"], wav(24414))
        write(folder / "tess", [f"{nesting}OAF_neutral/OA_bite_neutral.wav"], wav(24414))
    write(folder / "emodb", [f"wav/{name}" for name in emodb_names()])
    write(folder, ["notes.wav", "emodb/labels.txt", "emodb/._03a01Fa.wav"], b"something else")
    return folder


def expected_rows():
    side = {"07": "test", "12": "train", "back": "test", "bite": "test", "youth": "train"}
    found = {
        f"{name[:-4]}_{RAVDESS_CODES[name[6:8]]}.wav": (
            RAVDESS_CODES[name[6:8]],
            name[18:20],
            "ravdess",
            side[name[18:20]],
        )
        for name in speech_names()
    }
    for name in [*tess_names(), "OAF_bite_neutral.wav"]:
        voice, word, emotion = name[:-4].split("_")
        speaker = {"OAF": "25", "YAF": "26"}[voice]
        new = f"{speaker}_01_01_01_{word}_{emotion}.wav"
        found[new] = (emotion, speaker, "tess", side[word])
    for name in emodb_names():
        side_of = "test" if name[:2] in ("15", "16") else "train"
        found[name] = (EMODB_CODES[name[5]], name[:2], "emodb", side_of)
    return found


def zip_of(folder):
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return zipped({str(path.relative_to(folder)): path.read_bytes() for path in files})


@pytest.mark.parametrize("form", ["folder", "archive", "folder of archives"])
def test_kaggle_copies_are_laid_out_once_and_read_by_create_csv(kaggle, data, tmp_path, form):
    source = kaggle
    if form == "archive":
        source = tmp_path / "archive.zip"
        source.write_bytes(zip_of(kaggle))
    elif form == "folder of archives":
        source = tmp_path / "downloads" / "of mine"
        source.mkdir(parents=True)
        for part in sorted(kaggle.iterdir()):
            if part.is_dir():
                (source / f"{part.name}.ZIP").write_bytes(zip_of(part))
    before = tree(kaggle)
    reports = dd.lay_out(source, data_dir=data, verbose=0)
    assert {name: report["new"] for name, report in reports.items()} == {
        "emodb": 70,
        "ravdess": 16,
        "tess": 29,
    }
    assert all(not report["failed"] and not report["misplaced"] for report in reports.values())
    assert rows(data) == expected_rows()
    for path in data.rglob("*.wav"):
        info = sf.info(path)
        assert (info.samplerate, info.channels, info.subtype) == (16000, 1, "PCM_16")
        assert info.frames == pytest.approx(1600, abs=1)
    assert tree(kaggle) == before

    laid = tree(data)
    again = dd.lay_out(source, data_dir=data, verbose=0)
    assert {report["new"] for report in again.values()} == {0}
    assert tree(data) == laid  # nothing was written anew


FORMS = {
    # as their authors have them, then as re-uploads do; each with where it belongs
    "crema": {
        "CREMA-D/AudioWAV/1001_DFA_ANG_XX.wav": "1001_DFA_ANG_XX",
        "AudioWAV/1040_ITH_SAD_X.wav": "1040_ITH_SAD_X",
        "cremad/AudioWAV/1091_wsi_neu_xx.WAV": "1091_WSI_NEU_XX",
    },
    "savee": {
        "AudioData/DC/a01.wav": "DC_a01",
        "AudioData/JE/a01.wav": "JE_a01",
        "AudioData/JK/sa15.wav": "JK_sa15",
        "ALL/KL_su03.wav": "KL_su03",
        "savee/savee/kl_N30.wav": "KL_n30",
    },
    "urdu": {
        "URDU-Dataset-master/Angry/SM1_F10_A010.wav": "Angry/SM1_F10_A010",
        "urdu/Happy/SF7_F1_H039.wav": "Happy/SF7_F1_H039",
        "all/SM24_F38_S050 (1).wav": "Sad/SM24_F38_S050",
    },
    "emovo": {
        "EMOVO/f1/dis-f1-b1.wav": "dis-f1-b1",
        "Dataset/m3/tri-m3-n5.wav": "tri-m3-n5",
        "EMOVO/EMOVO/m2/GIO-M2-L4.wav": "gio-m2-l4",
    },
    "shemo": {"female/F01A01.wav": "F01A01", "shemo/male/M56W12.wav": "M56W12"},
    "cafe": {"CaFE_48k/Colère/Fort/01-C-2-1.wav": "01-C-2-1", "Neutre/12-n-1-6.wav": "12-N-1-6"},
    "esd": {
        "Emotion Speech Dataset/0001/Neutral/0001_000350.wav": "0001_000350",
        "ESD/ESD/0020/Surprise/train/0020_001750.wav": "0020_001750",
    },
    "nemo": {"nEMO-main/samples/WR0_surprised_33.wav": "WR0_surprised_33"},
    "ased": {
        "ASED_V1/05Angry/a5-07-02-02-60.wav": "05Angry/a5-07-02-02-60",
        "ased/sad/S4-04-02-01-29.wav": "04Sad/S4-04-02-01-29",
    },
    "turev": {
        "Sound Source/Angry/1157_kz_acik.wav": "Sound Source/Angry/1157_kz_acik",
        "TurEV-DB-master/TurEV-DB/sad/1157_hl_acik.wav": "Sound Source/Sad/1157_hl_acik",
    },
}


@pytest.mark.parametrize("archived", [False, True])
@pytest.mark.parametrize("corpus", FORMS)
def test_other_corpora_in_the_forms_that_they_are_found_in(corpus, archived, tmp_path, data):
    folder = {"nemo": "nemo/samples"}.get(corpus, corpus)
    source = write(tmp_path / "in", [*FORMS[corpus]], wav(44100, 2))
    write(source, ["README.md", "labels.csv"], b"text")
    if archived:
        (tmp_path / "archive.zip").write_bytes(zip_of(source))
        source = tmp_path / "archive.zip"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        report = dd.lay_out(source, data_dir=data, verbose=0)
    assert list(report) == [corpus] and report[corpus]["new"] == len(FORMS[corpus])
    assert list(tree(data)) == sorted(f"{folder}/{n}.wav" for n in FORMS[corpus].values())
    clips = list_clips(dd.CORPORA[corpus].group, data_dir=data)
    assert len(clips) == len(FORMS[corpus]) and set(clips["corpus"]) == {corpus}
    assert dd.lay_out(source, data_dir=data, verbose=0)[corpus]["new"] == 0


def test_what_copies_of_tess_call_its_labels(tmp_path, data):
    names = {
        "OAF_yes_Pleasant_surprise.wav": "ps",
        "OAF_yes_pleasant_surprised.wav": None,  # the same clip
        "YAF_yes_surprised.wav": "ps",
        "YAF_yes_Fearful.wav": "fear",
        "YAF_no_happiness.wav": "happy",
    }
    dd.lay_out(write(tmp_path / "in", names), data_dir=data, verbose=0)
    laid = sorted(row[0] for row in rows(data).values())
    assert laid == sorted(emotion for emotion in names.values() if emotion)


def test_recordings_of_no_corpus_are_named_in_one_line(tmp_path, data, capsys):
    hidden = ["__MACOSX/wav/._03a01Fa.wav", ".Trash-1000/03a01Wa.wav", "wav/03a01Xa.wav"]
    source = write(tmp_path / "in", ["wav/03a01Fa.wav", *hidden, "wav/03a01Fa.txt"])
    (tmp_path / "in.zip").write_bytes(zip_of(source))
    for path in (source, tmp_path / "in.zip"):
        assert dd.main(["--from", str(path), "--data-dir", str(data), "--json"]) == 0
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith("[!] 3 recording(s) left out, as no corpus has such names: ")
        assert all(name in line for name in hidden)
    assert list(tree(data)) == ["emodb/wav/03a01Fa.wav"]


def test_a_damaged_copy_before_a_whole_one_does_no_harm(tmp_path, data):
    source = write(tmp_path / "in", ["a/03a01Fa.wav"], wav()[:-100])
    write(source, ["b/03a01Fa.wav"])
    report = dd.lay_out(source, data_dir=data, verbose=0)["emodb"]
    assert report["new"] == 1 and report["failed"] == {} and len(rows(data)) == 1


def test_a_lossy_or_marked_copy_is_the_last_to_be_taken(tmp_path, data):
    source = write(tmp_path / "in", ["AudioMP3/1001_DFA_ANG_XX.mp3"], wav(seconds=0.2))
    write(source, ["AudioWAV/1001_DFA_ANG_XX (1).wav"], wav(seconds=0.3))
    write(source, ["Wav/1001_DFA_ANG_XX.WAV"], wav(seconds=0.5))
    dd.lay_out(source, data_dir=data, verbose=0)
    assert sf.info(data / "crema/1001_DFA_ANG_XX.wav").duration == 0.5


def test_pointers_of_git_lfs_are_no_recordings(tmp_path, data):
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:12\nsize 3\n"
    source = write(tmp_path / "in", ["AudioWAV/1001_DFA_ANG_XX.wav"], pointer)
    report = dd.lay_out(source, data_dir=data, verbose=0)["crema"]
    assert "run `git lfs pull`" in report["failed"]["1001_DFA_ANG_XX.wav"]
    assert not tree(data)


def test_zeros_that_give_the_labels_of_ased_away_are_cut(tmp_path, data):
    speech, _ = sf.read(io.BytesIO(wav(seconds=0.5)), dtype="int16")
    file = io.BytesIO()
    sf.write(file, np.pad(speech, (800, 12000)), 16000, format="WAV")
    source = write(tmp_path / "in", ["a5-07-02-02-60.wav"], file.getvalue())
    write(source, ["nemo/WR0_anger_1.wav"], file.getvalue())  # padded by nobody
    file = io.BytesIO()
    sf.write(file, np.zeros(16000), 16000, format="WAV")
    write(source, ["n1-07-02-02-60.wav"], file.getvalue())
    report = dd.lay_out(source, data_dir=data, verbose=0)["ased"]
    cut, _ = sf.read(data / "ased/05Angry/a5-07-02-02-60.wav", dtype="int16")
    assert np.array_equal(cut, np.trim_zeros(speech))
    assert sf.info(data / "nemo/samples/WR0_anger_1.wav").frames == 8000 + 12800
    assert report["failed"] == {"n1-07-02-02-60.wav": "digital silence"}


def test_filtered_copies_of_turev_are_not_taken(tmp_path, data):
    folders = ["Train and Test Sets/testEmotions5000LowPass/Angry", "High Pass", "Sound Source"]
    names = [f"{folder}/1157_kz_acik.wav" for folder in folders[:2]]
    write(tmp_path / "in", names, wav(seconds=0.2))
    write(tmp_path / "in", [f"{folders[2]}/1157_kz_acik.wav"], wav(seconds=0.3))
    write(tmp_path / "in", [f"{folders[0]}/1234_kz_acik.wav"])
    with pytest.warns(UserWarning, match=r"^3 recording\(s\) left out.*LowPass/Angry/1157_kz"):
        dd.lay_out(tmp_path / "in", data_dir=data, verbose=0)
    assert list(tree(data)) == ["turev/Sound Source/Angry/1157_kz_acik.wav"]
    assert sf.info(data / "turev/Sound Source/Angry/1157_kz_acik.wav").duration == 0.3


def test_a_single_clip_and_chosen_corpora(kaggle, data):
    (clip,) = kaggle.rglob("16a01Wa.wav")
    assert dd.lay_out(clip, data_dir=data, verbose=0)["emodb"]["new"] == 1
    reports = dd.lay_out(kaggle, ["tess", "emodb"], data_dir=data, verbose=0)
    assert {name: report["new"] for name, report in reports.items()} == {"emodb": 69, "tess": 29}


def test_songs_lie_beside_speech_unless_left_out(tmp_path, data):
    source = write(tmp_path / "in", [*speech_names(), *song_names()], wav(48000))
    report = dd.lay_out(source, speech_only=True, data_dir=data, verbose=0)["ravdess"]
    assert (report["new"], report["of"]) == (16, 1440)
    report = dd.lay_out(source, data_dir=data, verbose=0)["ravdess"]
    assert (report["clips"], report["new"], report["of"]) == (28, 12, 2452)
    read = rows(data)
    assert len(read) == 28
    for name in song_names():
        emotion, actor = RAVDESS_CODES[name[6:8]], name[18:20]
        side = "test" if actor == "07" else "train"
        assert read[f"{name[:-4]}_{emotion}.wav"] == (emotion, actor, "ravdess", side)


def test_what_is_laid_out_stays_in_any_format_and_on_either_side(tmp_path, data):
    flac = "training/Actor_12/03-01-05-01-02-01-12_angry.flac"
    write(data, [flac], wav(kind="FLAC"))
    write(data, ["training/Actor_25/25_01_01_01_back_sad.wav"])  # belongs in validation/
    before = tree(data)
    source = write(tmp_path / "in", ["03-01-05-01-02-01-12.wav", "OAF_back_sad.wav"])
    reports = dd.lay_out(source, data_dir=data, verbose=0)
    assert tree(data) == before
    assert [reports[name]["misplaced"] for name in ("ravdess", "tess")] == [0, 1]
    assert [reports[name]["new"] for name in ("ravdess", "tess")] == [0, 0]


def test_aiff_under_the_name_of_a_wav(tmp_path, data):
    source = write(tmp_path / "in", ["YAF_germ_angry.wav"], wav(24414, kind="AIFF"))
    assert dd.lay_out(source, data_dir=data, verbose=0)["tess"]["new"] == 1
    assert sf.info(data / "training/Actor_26/26_01_01_01_germ_angry.wav").format == "WAV"


def test_damaged_clips_are_reported_and_the_rest_laid_out(tmp_path, data, monkeypatch):
    monkeypatch.setattr(dd, "CLIP_LIMIT", 100_000)
    whole = wav(48000, 2, seed=1)
    archive = zipped(
        {
            "03a01Fa.wav": wav(),
            "03a01Na.wav": whole[:-500],
            "03a01Wa.wav": b"no sound",
            "03a01Ta.wav": bytes(100_001),
            "03a01La.wav": wav(seed=2),
        }
    )
    with zipfile.ZipFile(io.BytesIO(archive)) as members:
        start = members.getinfo("03a01La.wav").header_offset + 100
    source = tmp_path / "some.zip"
    source.write_bytes(archive[:start] + b"bits that flipped" + archive[start + 17 :])
    report = dd.lay_out(source, data_dir=data, verbose=0)["emodb"]
    assert list(rows(data)) == ["03a01Fa.wav"] and report["clips"] == 1
    reasons = report["failed"]
    assert list(reasons) == ["03a01Na.wav", "03a01Wa.wav", "03a01Ta.wav", "03a01La.wav"]
    words = ("truncated", "not audio", "too many", "")
    assert all(w in why for w, why in zip(words, reasons.values(), strict=True))
    assert not any("/tmp" in why for why in reasons.values())
    assert list(tree(data)) == ["emodb/wav/03a01Fa.wav"]


def test_bombs_are_no_clips(tmp_path, data, monkeypatch):
    """A minute of silence takes no space in FLAC, nor do zeros in a zip; a folder may hold more."""
    silence = io.BytesIO()
    sf.write(silence, np.zeros(16000 * 60), 16000, format="FLAC")
    members = {"03a01Fa.wav": wav(), "03a01Na.wav": silence.getvalue()}
    source = tmp_path / "in"
    write(source, ["03a01Wa.wav"], bytes(dd.CLIP_LIMIT + 1))
    (source / "some.zip").write_bytes(zipped(members | {"03a01Ta.wav": bytes(dd.CLIP_LIMIT + 1)}))
    report = dd.lay_out(source, data_dir=data, verbose=0)["emodb"]
    assert list(rows(data)) == ["03a01Fa.wav"] and list(tree(data)) == ["emodb/wav/03a01Fa.wav"]
    reasons = report["failed"]
    assert "longer than 40 s" in reasons["03a01Na.wav"]
    assert f"the limit is {dd.CLIP_LIMIT:,}" in reasons["03a01Wa.wav"]
    assert "too many for a clip" in reasons["03a01Ta.wav"]


def test_an_archive_of_countless_names_is_refused(tmp_path, data, monkeypatch):
    monkeypatch.setattr(dd, "NAMES_LIMIT", 10_000)
    source = tmp_path / "many.zip"
    source.write_bytes(zipped({"03a01Fa.wav": wav()} | {f"{i}.txt": b"" for i in range(1000)}))
    with pytest.raises(
        ValueError, match=r"many.zip isn't a complete zip archive .* list of members"
    ):
        dd.lay_out(source, data_dir=data, verbose=0)
    assert not tree(data)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA, zipfile.ZIP_DEFLATED])
def test_damage_in_members_is_reported_however_they_are_packed(tmp_path, data, method):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        archive.writestr("03a01Fa.wav", wav(seed=3))
        archive.writestr("03a01Na.wav", wav(seed=4))
    bits = bytearray(file.getvalue())
    for at in range(60, 2000):
        bits[at] ^= 0x5A
    source = tmp_path / "some.zip"
    source.write_bytes(bits)
    report = dd.lay_out(source, data_dir=data, verbose=0)["emodb"]
    assert list(report["failed"]) == ["03a01Fa.wav"] and report["new"] == 1


def link(name):
    member = zipfile.ZipInfo(name)
    member.external_attr = (stat.S_IFLNK | 0o777) << 16
    return member


@pytest.mark.parametrize(
    ("member", "danger"),
    [
        ("../03a01Na.wav", "outside of the archive"),
        ("wav/../../03a01Na.wav", "outside of the archive"),
        ("wav\\..\\..\\03a01Na.wav", "outside of the archive"),
        ("/tmp/03a01Na.wav", "absolute"),
        ("C:\\03a01Na.wav", "absolute"),
        (link("wav/03a01Na.wav"), "a link"),
        (link("wav"), "a link"),
    ],
)
def test_dangerous_archives_are_refused_whole(tmp_path, data, member, danger):
    source = tmp_path / "evil.zip"
    source.write_bytes(zipped({"wav/03a01Fa.wav": wav(), member: wav()}))
    before = list(tree(tmp_path))
    with pytest.raises(ValueError, match=f"evil.zip: its member .* is {danger}"):
        dd.lay_out(source, data_dir=data, verbose=0)
    assert list(tree(tmp_path)) == before


def test_sources_that_give_nothing(tmp_path, data):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        dd.lay_out(tmp_path / "nowhere", data_dir=data)
    archive = zipped({"03a01Fa.wav": wav()})
    (tmp_path / "half.zip").write_bytes(archive[: len(archive) // 2])
    with pytest.raises(ValueError, match=r"half\.zip isn't a complete zip archive"):
        dd.lay_out(tmp_path / "half.zip", data_dir=data)
    (tmp_path / "other.zip").write_bytes(zipped({"holiday.wav": wav()}))
    with pytest.raises(ValueError, match="has no clip of ravdess, tess, emodb"):
        dd.lay_out(tmp_path / "other.zip", data_dir=data)
    with pytest.raises(ValueError, match=r"choose from ravdess, tess, emodb.*'tess'"):
        dd.lay_out(tmp_path / "other.zip", ["tes"], data_dir=data)
    assert not tree(data)


def test_room_on_the_disk_is_checked_first(tmp_path, data, monkeypatch):
    monkeypatch.setattr(dd, "CLIP_SIZE", 10**18)
    source = write(tmp_path / "in", emodb_names())
    with pytest.raises(
        OSError, match=r"MB left, 70,000,000,000,000 MB are needed; free some space"
    ):
        dd.lay_out(source, data_dir=data, verbose=0)
    assert not tree(data)


def test_the_data_folder_is_made(tmp_path):
    source = write(tmp_path / "in", ["03a01Fa.wav"])
    dd.lay_out(source, data_dir=tmp_path / "a" / "b", verbose=0)
    assert list(tree(tmp_path / "a" / "b")) == ["emodb/wav/03a01Fa.wav"]


# --- downloads ---------------------------------------------------------------------------------


class Site:
    """A web server in a thread, with files and a list of faults, one for each request to come.

    A fault is a status; "break" or "stall", half-way; "whole", ignoring the range; "other", wrong
    bytes; "cut", half of it without a length; "shift", another range than the one asked for;
    "endless", bytes without an end; "drip", a byte at a time; "late", a head that takes as long;
    "away", sent on for ever, with endless bytes.
    """

    def __init__(self):
        self.files, self.faults, self.requests, self.sent = {}, [], [], 0
        self.retry_after, self.stop = "0", threading.Event()
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                site.answer(self)

            def log_message(self, *args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self):
        self.stop.set()
        self.server.shutdown()
        self.server.server_close()

    def answer(self, request):
        asked = request.headers.get("Range")
        self.requests.append((request.path, asked))
        fault = self.faults.pop(0) if self.faults else None
        if fault in ENDLESS:
            self.go_on(request, fault)
            return
        body = self.files.get(request.path)
        if body is None or isinstance(fault, int):
            request.send_response(fault if body is not None else 404)
            request.send_header("Content-Length", "0")
            request.send_header("Retry-After", self.retry_after)
            request.end_headers()
            return
        start = int(asked[6:-1]) if asked and fault != "whole" else 0
        if asked and start >= len(body):
            request.send_response(416)
            request.send_header("Content-Range", f"bytes */{len(body)}")
            request.end_headers()
            return
        request.send_response(206 if start else 200)
        if start:
            first = start - 1 if fault == "shift" else start
            request.send_header("Content-Range", f"bytes {first}-{len(body) - 1}/{len(body)}")
        if fault != "cut":
            request.send_header("Content-Length", str(len(body) - start))
        request.end_headers()
        body = body[start:]
        if fault == "other":
            body = bytes(len(body))
        if fault in ("break", "stall", "cut"):
            body = body[: len(body) // 2]
        request.wfile.write(body)
        if fault == "stall":
            request.wfile.flush()
            self.stop.wait(30)
        request.close_connection = True

    def go_on(self, request, fault):
        """Never end, until the client or the test does."""
        request.close_connection = True
        if fault == "late":
            request.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
        else:
            request.send_response(302 if fault == "away" else 200)
            request.send_header("Location", request.path)
            request.end_headers()
        block, pause = (bytes(2**16), 0) if fault in ("endless", "away") else (b"0", 0.02)
        with suppress(OSError):
            while not self.stop.wait(pause):
                self.sent += request.wfile.write(block)
                request.wfile.flush()


ENDLESS = "endless", "drip", "late", "away"


@pytest.fixture
def site():
    site = Site()
    yield site
    site.close()


@cache
def speech_archive():
    """Of the form of Audio_Speech_Actors_01-24.zip; half a megabyte."""
    names = speech_names()
    return zipped(
        {f"Actor_{name[18:20]}/{name}": wav(48000, 1, 0.3, seed) for seed, name in enumerate(names)}
    )


def publish(monkeypatch, site, corpus, archives, md5=True):
    """Have a corpus consist of archives on a site: {part: (bytes, number of clips)}."""
    parts = {}
    for name, (data, n_clips) in archives.items():
        site.files[f"/{name}.zip"] = data
        checksum = f"md5:{hashlib.md5(data).hexdigest()}" if md5 else None
        file = dd.File(f"{name}.zip", f"{site.url}/{name}.zip", len(data), checksum)
        parts[name] = dd.CORPORA[corpus].parts.get(name, dd.CORPORA[corpus].parts.get("all"))
        parts[name] = parts[name]._replace(n_clips=n_clips, files=(file,))
    monkeypatch.setitem(dd.CORPORA, corpus, dd.CORPORA[corpus]._replace(parts=parts))


@pytest.fixture
def speech(monkeypatch, site):
    publish(monkeypatch, site, "ravdess", {"speech": (speech_archive(), 16)})
    return site


def archive(data):
    return data / "downloads" / "ravdess" / "speech.zip"


def ranges(site):
    """The first bytes that were asked for."""
    return [int(asked[6:-1]) if asked else 0 for _, asked in site.requests]


def test_fetched_verified_laid_out_and_not_again(speech, data):
    report = dd.download("ravdess", data_dir=data, verbose=0)["ravdess"]
    assert report == {"clips": 16, "of": 16, "new": 16, "misplaced": 0, "failed": {}}
    assert {name: row for name, row in expected_rows().items() if row[2] == "ravdess"} == rows(data)
    assert archive(data).read_bytes() == speech_archive()
    before = tree(data)
    report = dd.download("ravdess", data_dir=data, verbose=0)["ravdess"]
    assert (report["clips"], report["new"], len(speech.requests)) == (16, 0, 1)
    assert tree(data) == before

    lost = data / "training/Actor_12/03-01-05-01-02-01-12_angry.wav"
    lost.unlink()
    assert dd.download("ravdess", data_dir=data, verbose=0)["ravdess"]["new"] == 1
    assert lost.exists() and len(speech.requests) == 1  # out of the archive that was kept
    changed = {name for name, stamp in tree(data).items() if before[name] != stamp}
    assert changed == {str(lost.relative_to(data))}

    dd.download("ravdess", data_dir=data, remove=True, verbose=0)
    assert not archive(data).parent.exists() and len(rows(data)) == 16


def test_songs_are_fetched_unless_left_out(monkeypatch, site, data):
    song = zipped({f"Actor_{name[18:20]}/{name}": wav(48000) for name in song_names()})
    publish(monkeypatch, site, "ravdess", {"speech": (speech_archive(), 16), "song": (song, 12)})
    report = dd.download("ravdess", speech_only=True, data_dir=data, verbose=0)["ravdess"]
    assert (report["clips"], report["of"]) == (16, 16)
    report = dd.download("ravdess", data_dir=data, verbose=0)["ravdess"]
    assert (report["clips"], report["of"], report["new"]) == (28, 28, 12)
    assert [path for path, _ in site.requests] == ["/speech.zip", "/song.zip"]


def test_broken_connections_are_taken_up_where_they_broke(speech, data, capfd):
    speech.faults = ["break", 503, "break", 429, "break", 500]
    dd.download("ravdess", data_dir=data)
    assert archive(data).read_bytes() == speech_archive()
    offsets = ranges(speech)
    assert len(offsets) == 7 and offsets == sorted(offsets) and offsets[1] > 0
    assert offsets[2] == offsets[1] and offsets[3] > offsets[2]
    err = capfd.readouterr().err
    assert "the server answers 503 Service Unavailable; trying again in 0 s" in err
    assert "connection failed or broke off; trying again" in err
    assert list(tree(archive(data).parent)) == ["speech.zip"]


def test_failures_in_a_row_end_it_and_the_next_run_goes_on(speech, data):
    speech.faults = ["break"] + [503] * download.RETRIES
    with pytest.raises(dd.DownloadError, match=r"503 Service.* run this again.*zenodo.*--from"):
        dd.download("ravdess", data_dir=data, verbose=0)
    assert len(speech.requests) == download.RETRIES + 1
    assert list(tree(data)) == ["downloads/ravdess/speech.zip.part"]
    size = (archive(data).parent / "speech.zip.part").stat().st_size
    assert 0 < size < len(speech_archive())
    dd.download("ravdess", data_dir=data, verbose=0)
    assert ranges(speech)[-1] == size and archive(data).read_bytes() == speech_archive()


def test_a_server_that_ignores_ranges(speech, data):
    speech.faults = ["break", "whole"]
    dd.download("ravdess", data_dir=data, verbose=0)
    assert ranges(speech)[0] == 0 < ranges(speech)[1] and len(speech.requests) == 2
    assert archive(data).read_bytes() == speech_archive()


def test_a_server_that_sends_another_range(speech, data):
    speech.faults = ["break", "shift"]
    dd.download("ravdess", data_dir=data, verbose=0)
    assert len(speech.requests) == 3 and ranges(speech)[2] == 0
    assert archive(data).read_bytes() == speech_archive()


@pytest.mark.parametrize(("left", "n_requests"), [(0, 1), (500, 2), (-500, 1)])
def test_what_an_earlier_run_left(speech, data, left, n_requests):
    """All of it, more than there is, or nearly all."""
    part = archive(data).parent / "speech.zip.part"
    part.parent.mkdir(parents=True)
    whole = speech_archive()
    part.write_bytes(whole[:left] if left < 0 else whole + bytes(left))
    dd.download("ravdess", data_dir=data, verbose=0)
    assert archive(data).read_bytes() == whole and len(speech.requests) == n_requests


def test_wrong_bytes_are_never_taken_for_the_archive(speech, data):
    speech.faults = ["other", "other", "other"]
    with pytest.raises(dd.DownloadError, match="wrong checksum, twice"):
        dd.download("ravdess", data_dir=data, verbose=0)
    assert not tree(data)
    dd.download("ravdess", data_dir=data, verbose=0)  # wrong once more, then right
    assert archive(data).read_bytes() == speech_archive() and len(rows(data)) == 16
    archive(data).write_bytes(b"damaged later")
    next(data.glob("training/Actor_12/*")).unlink()
    dd.download("ravdess", data_dir=data, verbose=0)
    assert archive(data).read_bytes() == speech_archive()


def test_what_will_not_pass_is_not_tried_again(speech, data, site):
    site.faults = [403]
    with pytest.raises(dd.DownloadError, match="the server answers 403 Forbidden"):
        dd.download("ravdess", data_dir=data, verbose=0)
    site.files.clear()
    with pytest.raises(dd.DownloadError, match="404 Not Found"):
        dd.download("ravdess", data_dir=data, verbose=0)
    assert len(site.requests) == 2 and not tree(data)


def test_no_network(speech, data):
    speech.close()
    with pytest.raises(dd.DownloadError, match="connection failed or broke off; run this again"):
        dd.download("ravdess", data_dir=data, verbose=0)


def test_a_busy_server_is_given_the_time_that_it_asks_for(monkeypatch, speech, data):
    monkeypatch.setattr(download, "LONGEST_WAIT", 0.3)
    speech.faults, speech.retry_after = [429, 503], "7"
    began = time.monotonic()
    dd.download("ravdess", data_dir=data, verbose=0)
    assert time.monotonic() - began > 0.6
    archive(data).unlink()
    next(data.glob("training/Actor_12/*")).unlink()
    speech.faults, speech.retry_after = [429], "Wed, 21 Oct 2015 07:28:00 GMT"
    dd.download("ravdess", data_dir=data, verbose=0)
    assert archive(data).read_bytes() == speech_archive()


def test_room_for_a_download_is_checked_before_it_starts(monkeypatch, speech, data):
    (part,) = dd.CORPORA["ravdess"].parts.values()
    part = part._replace(files=(part.files[0]._replace(size=10**18),))
    parts = {"speech": part}
    monkeypatch.setitem(dd.CORPORA, "ravdess", dd.CORPORA["ravdess"]._replace(parts=parts))
    with pytest.raises(OSError, match="MB are needed; free some space, or choose a folder"):
        dd.download("ravdess", data_dir=data, verbose=0)
    assert not tree(data) and not speech.requests


def test_emodb_is_verified_without_a_published_checksum(monkeypatch, site, data):
    names = emodb_names()
    whole = zipped({f"wav/{name}": wav() for name in names} | {"lab/03a01Fa.lab": b"labels"})
    few = zipped({f"wav/{name}": wav() for name in names[1:]})
    at = whole.index(b"wav/14a01Wa.wav") + 60
    flipped = whole[:at] + b"bits that flipped" + whole[at + 17 :]
    dangerous = zipped(
        {f"wav/{name}": wav() for name in names} | {link("lab/a.lab"): b"/etc/passwd"}
    )
    many = zipped({f"wav/{name}": wav() for name in names} | {"a.lab": bytes(dd.CLIP_LIMIT + 1)})
    reasons = {
        few: "69 clips, not 70",
        flipped: "Bad CRC|Error -3",
        b"<html>": "File is not a zip file",
        dangerous: "is a link",
        many: "too many for a clip",
    }
    for bad, why in reasons.items():
        publish(monkeypatch, site, "emodb", {"all": (bad, 70)}, md5=False)
        with pytest.raises(dd.DownloadError, match=f"isn't the published file .*({why})"):
            dd.download("emodb", data_dir=data, verbose=0)
        assert not tree(data)
    publish(monkeypatch, site, "emodb", {"all": (whole, 70)}, md5=False)
    site.faults = ["cut"]  # no length is announced, but the size is known
    assert dd.download("emodb", data_dir=data, verbose=0)["emodb"]["new"] == 70
    assert len(rows(data)) == 70


def publish_tess(monkeypatch, site, names, folder=""):
    """List clips as the API of a Dataverse does."""
    files = []
    for number, name in enumerate([*names, "Readme.txt"]):
        clip = wav(24414, seed=number)
        site.files[f"/api/access/datafile/{number}"] = clip
        md5 = hashlib.md5(clip).hexdigest()
        data = {"id": number, "filename": folder + name, "filesize": len(clip), "md5": md5}
        files.append({"label": name, "restricted": False, "dataFile": data})
    listing = "/api/datasets/:persistentId/?persistentId=doi:10.5683/SP2/E8H2MF"
    answer = {"status": "OK", "data": {"id": 1, "latestVersion": {"files": files}}}
    site.files[listing] = json.dumps(answer).encode()
    part = dd.CORPORA["tess"].parts["all"]
    part = part._replace(n_clips=len(names), listing=site.url + listing)
    monkeypatch.setitem(dd.CORPORA, "tess", dd.CORPORA["tess"]._replace(parts={"all": part}))
    return listing


def test_tess_comes_clip_by_clip_from_its_dataverse(monkeypatch, site, data):
    names = [*tess_names(), "OA_bite_neutral.wav"]
    listing = publish_tess(monkeypatch, site, names)
    site.faults = [503, None, None, 404]
    with pytest.raises(dd.DownloadError, match=r"404.*doi.org/10.5683/SP2/E8H2MF"):
        dd.download("tess", data_dir=data, verbose=0)
    assert [path for path, _ in site.requests[:3]] == [listing, listing, "/api/access/datafile/0"]
    assert list(tree(data)) == ["downloads/tess/OAF_back_angry.wav"]

    write(data, ["validation/Actor_25/25_01_01_01_bite_neutral.wav"])
    site.requests.clear()
    report = dd.download("tess", data_dir=data, verbose=0)["tess"]
    assert (report["clips"], report["of"], report["new"]) == (29, 29, 28)
    assert len(site.requests) == 1 + 29 - 2  # the list, and all but the two that were there
    assert {name: row for name, row in expected_rows().items() if row[2] == "tess"} == rows(data)
    site.requests.clear()
    dd.download("tess", data_dir=data, remove=True, verbose=0)
    assert not site.requests and not (data / "downloads" / "tess").exists()


def publish_on_git(monkeypatch, site, corpus, names):
    """List files as GitHub's API lists a tree, each part of the corpus at its own commit."""
    parts = {}
    for key, part in dd.CORPORA[corpus].parts.items():
        assert re.fullmatch(r"https://api\.github\.com/repos/.*/[0-9a-f]{40}\?.*", part.listing)
        assert re.fullmatch(r"https://raw\.githubusercontent\.com/.*/[0-9a-f]{40}/", part.base)
        tree = [{"path": "Angry", "type": "tree", "sha": "0" * 40}]
        for number, name in enumerate([*names, "README.md"]):
            clip = wav(seed=number)
            site.files[f"/{key}/{quote(name)}"] = clip
            sha = hashlib.sha1(b"blob %d\0" % len(clip) + clip).hexdigest()
            tree.append({"path": name, "type": "blob", "sha": sha, "size": len(clip)})
        answer = {"sha": "0" * 40, "tree": tree, "truncated": False}
        site.files[f"/trees/{key}"] = json.dumps(answer).encode()
        ours = {"listing": f"{site.url}/trees/{key}", "base": f"{site.url}/{key}/"}
        parts[key] = part._replace(**ours)
    monkeypatch.setitem(dd.CORPORA, corpus, dd.CORPORA[corpus]._replace(parts=parts))


def test_what_is_on_github_comes_file_by_file_with_the_checksums_of_git(monkeypatch, site, data):
    names = ["Angry/SM1_F10_A010.wav", "Angry/SM1_F1_A01.wav", "Sad/SM24_F1_S013.wav"]
    publish_on_git(monkeypatch, site, "urdu", names)
    site.faults = [*[None] * 4, "other"]  # the lists, and a wrong clip
    report = dd.download("urdu", data_dir=data, verbose=0)["urdu"]
    assert (report["clips"], report["of"], report["new"]) == (3, 400, 3)
    assert [n for n in tree(data) if n.startswith("urdu")] == [f"urdu/{name}" for name in names]
    asked = [path for path, _ in site.requests]
    assert asked == [
        *(f"/trees/{folder}" for folder in ("Angry", "Happy", "Neutral", "Sad")),
        *["/Angry/Angry/SM1_F10_A010.wav"] * 2,  # of each commit its own folder only
        "/Angry/Angry/SM1_F1_A01.wav",
        "/Sad/Sad/SM24_F1_S013.wav",
    ]
    site.faults = [*[None] * 4, "other", "other"]
    (data / "urdu" / names[0]).unlink()
    (data / "downloads" / "urdu" / "SM1_F10_A010.wav").unlink()
    with pytest.raises(dd.DownloadError, match="wrong checksum, twice"):
        dd.download("urdu", data_dir=data, verbose=0)


def test_paths_with_spaces_and_copies_in_a_list_of_git(monkeypatch, site, data):
    names = ["Sound Source/Sad/1157_hl_acik.wav", "Test Set/Sad/1157_hl_algi.wav"]
    publish_on_git(monkeypatch, site, "turev", names)
    assert dd.download("turev", data_dir=data, verbose=0)["turev"]["new"] == 1
    assert [path for path, _ in site.requests] == [
        "/trees/all",
        "/all/Sound%20Source/Sad/1157_hl_acik.wav",
    ]


@pytest.mark.parametrize(
    "change", [{"truncated": True}, {"tree": 3}, {"tree": [{"type": "blob", "path": "a.wav"}]}]
)
def test_a_list_of_git_of_another_form(monkeypatch, site, data, change):
    publish_on_git(monkeypatch, site, "nemo", ["samples/WR0_anger_1.wav"])
    answer = json.loads(site.files["/trees/all"]) | change
    site.files["/trees/all"] = json.dumps(answer).encode()
    with pytest.raises(dd.DownloadError, match="not a list of files in the known form"):
        dd.download("nemo", data_dir=data, verbose=0)
    assert not tree(data)


SOCKETS = 2**24  # bytes that may be on the way when a client leaves


def test_an_endless_body_ends_at_the_size_of_the_file(speech, data):
    speech.faults = ["endless"]
    with pytest.raises(dd.DownloadError, match=f"expected {len(speech_archive()):,} bytes"):
        dd.download("ravdess", data_dir=data, verbose=0)
    assert len(speech.requests) == 1 and speech.sent < len(speech_archive()) + SOCKETS
    assert sum(path.stat().st_size for path in data.rglob("*") if path.is_file()) == 0
    dd.download("ravdess", data_dir=data, verbose=0)
    assert archive(data).read_bytes() == speech_archive()


def test_a_body_of_another_length_is_not_even_begun(speech, data):
    speech.files["/speech.zip"] = speech_archive() * 2
    with pytest.raises(dd.DownloadError, match=f"expected {len(speech_archive()):,} bytes"):
        dd.download("ravdess", data_dir=data, verbose=0)
    assert not tree(data)


def test_an_endless_list_ends_at_its_limit(monkeypatch, site, data):
    publish_tess(monkeypatch, site, tess_names())
    monkeypatch.setattr(dd, "LISTING_LIMIT", 100_000)
    site.faults = ["endless"]
    with pytest.raises(dd.DownloadError, match="a list of more than 100,000 bytes"):
        dd.download("tess", data_dir=data, verbose=0)
    assert len(site.requests) == 1 and site.sent < SOCKETS and not tree(data)


def test_the_list_of_tess_is_well_within_its_limit():
    assert 2800 * 2000 < dd.LISTING_LIMIT < 10**8  # an entry has some 1,300 bytes


@pytest.mark.parametrize("size", [-1, 0, dd.CLIP_LIMIT + 1, 10**18])
def test_a_list_with_impossible_sizes(monkeypatch, site, data, size):
    listing = publish_tess(monkeypatch, site, tess_names())
    answer = json.loads(site.files[listing])
    answer["data"]["latestVersion"]["files"][3]["dataFile"]["filesize"] = size
    site.files[listing] = json.dumps(answer).encode()
    with pytest.raises(dd.DownloadError, match="not a list of files in the known form"):
        dd.download("tess", data_dir=data, verbose=0)
    assert not tree(data)


@pytest.mark.parametrize(("fault", "why"), [("drip", "slower than 10 kB/s"), ("late", "no answer")])
def test_what_comes_too_slowly_fails_as_often_as_what_breaks(monkeypatch, speech, data, fault, why):
    """Though bytes arrive each time, without one that takes the whole TIMEOUT."""
    monkeypatch.setattr(download, "TIMEOUT", 0.1)
    speech.faults = [fault] * 100
    with pytest.raises(dd.DownloadError, match=why):
        dd.download("ravdess", data_dir=data, verbose=0)
    assert len(speech.requests) == download.RETRIES + 1
    assert speech.sent < 10_000


def test_a_file_has_a_total_time(monkeypatch, speech, data):
    """Each connection brings something before it breaks, so that none counts as a failure."""
    monkeypatch.setattr(download, "GRACE", 0)
    monkeypatch.setattr(download, "SLOWEST", 10**9)
    speech.faults = ["break"] * 100
    with pytest.raises(dd.DownloadError, match="connection failed or broke off"):
        dd.download("ravdess", data_dir=data, verbose=0)
    assert len(speech.requests) < download.RETRIES


def test_redirections_have_an_end_and_no_body(speech, data):
    speech.faults = ["away"] * 100
    with pytest.raises(dd.DownloadError, match="too many redirections"):
        dd.download("ravdess", data_dir=data, verbose=0)
    assert len(speech.requests) == 5 and speech.sent < 5 * SOCKETS


class Sending(requests.adapters.HTTPAdapter):
    """Answers every request by a redirection, in place of a server with TLS."""

    def send(self, request, **options):
        headers = {"Location": "http://elsewhere.test/clips.zip"}
        return self.build_response(request, urllib3.HTTPResponse(status=302, headers=headers))


def test_https_is_not_left_for_http():
    session = download._Session()
    session.mount("https://", Sending())
    with pytest.raises(dd.DownloadError, match=r"redirects to http://elsewhere\.test"):
        download._answer(session, "https://known.test/clips.zip")


def test_only_emodb_may_come_without_tls():
    files = [f for c in dd.CORPORA.values() for p in (c.parts or {}).values() for f in p.files]
    assert [file.name for file in files if file.plain] == ["download.zip"]
    assert all(file.url.startswith("https://") for file in files)
    listings = [p.listing for c in dd.CORPORA.values() for p in (c.parts or {}).values()]
    assert all(listing.startswith("https://") for listing in listings if listing)


def test_a_list_of_files_can_not_reach_out_of_the_folder(monkeypatch, site, data):
    publish_tess(monkeypatch, site, tess_names()[:2], folder="../../../")
    dd.download("tess", data_dir=data, verbose=0)
    assert sorted(path.name for path in data.parent.iterdir()) == ["data"]


@pytest.mark.parametrize("answer", [b"<html>", b"[]", b'{"data": {}}'])
def test_a_list_of_files_of_another_form(monkeypatch, site, data, answer):
    site.files[publish_tess(monkeypatch, site, tess_names())] = answer
    with pytest.raises(dd.DownloadError, match="not a list of files in the known form"):
        dd.download("tess", data_dir=data, verbose=0)


# --- command line ------------------------------------------------------------------------------


def start(*arguments, **environment):
    env = {k: v for k, v in os.environ.items() if k.lower() not in PROXIES} | environment
    command = [sys.executable, str(REPO / "download_data.py"), *map(str, arguments)]
    pipe = subprocess.PIPE
    # a shell lets what it starts in the background ignore SIGINT, and children inherit that
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=env)
    finally:
        signal.signal(signal.SIGINT, handler)


def wait_for(condition):
    end = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def padded(members, size):
    """A zip archive of exactly some bytes."""
    label = zipfile.ZipInfo("lab/padding.lab")  # a ZipInfo isn't compressed
    lacking = size - len(zipped(members | {label: b""}))
    fits = zipped(members | {label: bytes(lacking)}) if lacking < dd.CLIP_LIMIT else None
    if fits:
        return fits
    more = {zipfile.ZipInfo(f"lab/{len(members)}.lab"): bytes(dd.CLIP_LIMIT)}
    return padded(members | more, size)


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, 130), pytest.param(signal.SIGTERM, 143, marks=pytest.mark.slow)],
)
def test_cli_through_a_proxy_interrupted_and_resumed(site, data, number, code):
    """The real address of EMO-DB, as a proxy is asked for it; there is no proxy for HTTPS."""
    names = emodb_names(8)[:535]
    address = "http://emodb.bilderbar.info/download/download.zip"
    (file,) = dd.CORPORA["emodb"].parts["all"].files
    assert file.url == address.replace("http:", "https:")
    site.files[address] = padded({f"wav/{name}": wav() for name in names}, file.size)
    site.faults = ["stall"]
    nowhere = "http://127.0.0.1:9"
    process = start("emodb", "--data-dir", data, http_proxy=site.url, https_proxy=nowhere)
    part = data / "downloads" / "emodb" / "download.zip.part"
    wait_for(lambda: part.exists() and part.stat().st_size)
    process.send_signal(number)
    out, err = process.communicate(timeout=120)
    assert process.returncode == code
    assert f"[!] the proxy refuses the connection; trying {address}" in err
    assert err.splitlines()[-1] == "download_data.py: interrupted; run it again to go on"
    assert list(tree(data)) == ["downloads/emodb/download.zip.part"]
    size = part.stat().st_size

    process = start("emodb", "--data-dir", data, http_proxy=site.url, https_proxy=nowhere)
    out, err = process.communicate(timeout=240)
    assert process.returncode == 0, err
    assert site.requests == [(address, None), (address, f"bytes={size}-")]
    assert "free to use" in out and "Burkhardt F" in out and "emodb.bilderbar.info" in out
    assert f"[+] emodb: 535 of 535 clips laid out in {data}, 535 of them new" in out
    assert sorted(rows(data)) == sorted(names)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["emobd"], "Unknown corpus 'emobd'; choose from ravdess, tess, emodb, nemo"),
        (["savee"], "SAVEE can't be downloaded here: get SAVEE (http://personal.ee.surrey.ac.uk"),
        (["--from", "nowhere"], "No such file or directory: 'nowhere'"),
        (["tess", "--from", "in"], "in has no clip of tess; give a zip archive or a folder"),
    ],
)
def test_cli_errors_are_one_line(tmp_path, data, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "in", ["03a01Fa.wav"])
    assert dd.main([*arguments, "--data-dir", str(data)]) == 1
    captured = capsys.readouterr()
    assert len(captured.err.splitlines()) == 1 and captured.err.startswith("download_data.py: ")
    assert message in captured.err and not captured.out and not tree(data)


def test_cli_refuses_to_remove_what_it_did_not_fetch(capsys):
    with pytest.raises(SystemExit, match="2"):
        dd.main(["--from", "mine.zip", "--remove"])
    assert "--from makes none" in capsys.readouterr().err


def test_cli_lays_out_and_says_what_failed(tmp_path, data, capsys):
    source = write(tmp_path / "in", tess_names())
    write(source, ["YAF_germ_angry.wav"], b"no sound")
    write(data, ["training/Actor_25/25_01_01_01_back_sad.wav"])
    assert dd.main(["--from", str(source), "--data-dir", str(data)]) == 1
    out, err = capsys.readouterr()
    assert "CC BY-NC-ND 4.0" in out and "Pichora-Fuller" in out
    assert f"[+] tess: 28 of 2,800 clips laid out in {data}, 27 of them new\n" in out
    assert "[!] tess: 1 clips were there before, in training/" in out
    assert err.splitlines()[-1].startswith("failed: YAF_germ_angry.wav: not audio")


def test_cli_json(tmp_path, data, capsys):
    source = write(tmp_path / "in", [*song_names(), *speech_names()])
    arguments = ["--from", str(source), "--data-dir", str(data), "--speech-only", "--json"]
    assert dd.main(arguments) == 0
    out, err = capsys.readouterr()
    report = json.loads(out)["ravdess"]
    assert not err and report["new"] == 16 and report["failed"] == {}
    assert report["licence"].startswith("CC BY-NC-SA 4.0") and "Livingstone" in report["citation"]


def test_cli_goes_on_to_the_next_corpus(monkeypatch, speech, data, capsys):
    publish_tess(monkeypatch, speech, tess_names())
    publish(monkeypatch, speech, "emodb", {"all": (b"", 70)}, md5=False)
    speech.files["/speech.zip"] = None
    assert dd.main(["--data-dir", str(data)]) == 1
    out, err = capsys.readouterr()
    assert "[+] tess: 28 of 28 clips" in out and "ravdess:" not in out and "emodb:" not in out
    ravdess, emodb = (line for line in err.splitlines() if line.startswith("download_data.py: "))
    assert "speech.zip: the server answers 404" in ravdess and "all.zip isn't" in emodb


def test_two_runs_do_not_write_the_same_file(speech, data):
    speech.faults = ["stall"]
    first = threading.Thread(target=dd.download, args=["ravdess"], kwargs={"data_dir": data})
    first.start()
    part = archive(data).with_name("speech.zip.part")
    wait_for(lambda: part.exists() and part.stat().st_size)
    with pytest.raises(OSError, match=r"another run is at work in .*; wait until it has ended"):
        dd.download("ravdess", data_dir=data, verbose=0)
    speech.stop.set()
    first.join(120)
    assert archive(data).read_bytes() == speech_archive() and len(rows(data)) == 16
    assert dd.download("ravdess", data_dir=data, verbose=0)["ravdess"]["new"] == 0


def test_help_has_examples():
    process = start("--help")
    out, _ = process.communicate(timeout=120)
    assert process.returncode == 0 and "python download_data.py ravdess --speech-only" in out
    for flag in ("--speech-only", "--from", "--data-dir", "--remove", "--json"):
        assert flag in out
