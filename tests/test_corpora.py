"""The records of the corpora, and what reads them: a made-up corpus is one record more."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import REPO
from test_create_csv import write_tree

import corpora
import create_csv
import download_data
from corpora import CORPORA, NEMO_EMOTIONS, NEMO_GENDERS, Corpus, Part, wishes
from parameters import AVAILABLE_EMOTIONS
from protocols import find_leaks

# --- the records -------------------------------------------------------------------------------

NAMES = {
    "ravdess": ("03-01-05-01-02-01-03_angry", "angry", "03", "02"),
    "tess": ("26_01_01_01_back_ps", "ps", "26", "back"),
    "emodb": ("15a04Nc", "neutral", "15", "a04"),
    "custom": ("anna_01_Rude", "rude", "anna", None),
    "nemo": ("WR0_surprised_33", "ps", "WR0", "33"),
    "ased": ("a5-03-01-02-50", "angry", "50", "a5-03"),
    "turev": ("1157_sk_acik", "calm", "1157", "acik"),
}


@pytest.mark.parametrize("corpus", CORPORA.values(), ids=CORPORA)
def test_a_record_is_whole(corpus):
    assert CORPORA[corpus.name] is corpus
    assert set(corpus.folders) in ({"train", "test"}, {"all"})
    assert all(not Path(folder).is_absolute() for folder in corpus.folders.values())
    assert {"emotion", "speaker"} <= set(corpus.pattern.groupindex)
    assert set((corpus.emotions or {}).values()) <= set(AVAILABLE_EMOTIONS)
    assert corpus.title and corpus.speakers and corpus.language
    assert corpus.licence and corpus.terms.endswith(".")
    if corpus.parts:
        assert corpus.citation and corpus.homepage.startswith("http") and corpus.place
        assert all(part.n_clips and (part.files or part.listing) for part in corpus.parts.values())
    else:
        assert corpus.how_to_get
    group = corpora.groups()[corpus.group]
    assert corpus.name in group.corpora and group.folders == corpus.folders


@pytest.mark.parametrize("corpus", NAMES)
def test_a_name_tells_emotion_speaker_and_sentence(corpus):
    stem, emotion, speaker, sentence = NAMES[corpus]
    path = Path(f"{stem}.wav")
    row = corpora.describe(path, CORPORA[corpus].group)
    assert row == (str(path), emotion, speaker, corpus)
    assert corpora.sentence(f"some/folder/{path}", corpus) == sentence
    assert set(NAMES) == set(CORPORA)


def test_sentences_of_published_names_and_of_no_corpus():
    assert corpora.sentence("03-01-04-01-02-01-12.wav", "ravdess") == "02"
    assert corpora.sentence("OAF_back_sad.wav", "tess") == "back"
    assert corpora.sentence("OAF_sad.wav", "tess") is None
    assert corpora.sentence("holiday.wav", "emodb") is None
    assert corpora.sentence("15a04Nc.wav", "elsewhere") is None
    assert corpora.sentence("WR0_surprised.wav", "nemo") is None


@pytest.mark.parametrize(
    ("corpus", "speaker", "expected"),
    [
        ("ravdess", "01", "male"),
        ("ravdess", "24", "female"),
        *[("emodb", s, "male") for s in ("03", "10", "11", "12", "15")],
        *[("emodb", s, "female") for s in ("08", "09", "13", "14", "16")],
        ("tess", "25", "female"),
        ("tess", "26", "female"),
        *[("nemo", s, "female") for s in ("EB0", "IC0", "KD0", "MK0")],
        *[("nemo", s, "male") for s in ("KS0", "MP0", "SM0", "TP0", "WR0")],
        ("nemo", "XY0", "unknown"),
        *[("ased", s, "female") for s in ("01", "62")],
        *[("ased", s, "male") for s in ("02", "65")],
        ("turev", "1157", "unknown"),
        ("custom", "01", "unknown"),
        ("ravdess", "x", "unknown"),
        ("elsewhere", "01", "unknown"),
    ],
)
def test_genders(corpus, speaker, expected):
    assert corpora.gender(corpus, speaker) == expected


def test_licences_for_cards():
    tess, emodb, other = corpora.licences(["tess", "emodb", "mine"])
    assert "CC BY-NC-ND 4.0, not for commercial use" in tess and tess.startswith("TESS (")
    assert emodb == corpora.LICENCES["emodb"] and "to be cited" in emodb
    assert other == "mine: see its own"


# --- what is wanted ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "wanted", "words"),
    [
        ({}, (None,) * 6, "the corpora in the data folder"),
        (
            {"emodb": False},
            (None, False, None, False, False, False),
            "the corpora in the data folder but emodb, nemo, ased, turev",
        ),
        (
            {"tess_ravdess": "tess", "emodb": True, "custom_db": False},
            (("tess",), True, False, False, False, False),
            "tess, emodb",
        ),
        ({"tess_ravdess": False, "emodb": False, "custom_db": False}, (False,) * 6, "no corpus"),
        (
            {"corpora": ["emodb", "ravdess"]},
            (("ravdess",), True, False, False, False, False),
            "ravdess, emodb",
        ),
        (
            {"corpora": ("tess", "ravdess")},
            (("ravdess", "tess"), False, False, False, False, False),
            "ravdess, tess",
        ),
        (
            {"corpora": ["tess_ravdess", "custom"]},
            (True, False, True, False, False, False),
            "tess_ravdess, custom",
        ),
        ({"corpora": "emodb"}, (False, True, False, False, False, False), "emodb"),
        ({"corpora": ["nemo"]}, (False, False, False, True, False, False), "nemo"),
        ({"corpora": ["turev", "ased"]}, (*(False,) * 4, True, True), "ased, turev"),
    ],
)
def test_both_forms_of_asking_become_one(asked, wanted, words):
    made = wishes(**asked)
    groups = ["tess_ravdess", "emodb", "custom", "nemo", "ased", "turev"]
    assert list(made) == groups  # clips come in this order
    assert made == dict(zip(groups, wanted, strict=True))
    assert corpora.wishes_in_words(made) == words


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"corpora": ["emobd"]}, r"Unknown corpus 'emobd'; choose from ravdess, tess.*'emodb'"),
        ({"corpora": []}, "No corpus given"),
        ({"corpora": ["emodb"], "custom_db": False}, "not both"),
        ({"tess_ravdess": "tes"}, "Unknown tess_ravdess 'tes'.*'tess'"),
        ({"custom_db": "mine"}, "Unknown custom_db 'mine'"),
    ],
)
def test_wrong_wishes_raise(asked, message):
    with pytest.raises(ValueError, match=message):
        wishes(**asked)


# --- nEMO, which is not downloaded ---------------------------------------------------------------


@pytest.fixture
def nemo(tmp_path):
    """A data folder with empty files of all speakers, each saying the first two of 90 sentences."""
    names = [f"{s}_{e}_{i}.wav" for s in NEMO_GENDERS for e in NEMO_EMOTIONS for i in (1, 2)]
    write_tree(tmp_path / "nemo" / "samples", names)
    return tmp_path


def test_nemo_lies_as_published_and_is_split_by_speaker(nemo):
    rows = create_csv.list_clips("nemo", data_dir=nemo)
    assert len(rows) == 9 * 6 * 2 and set(rows["corpus"]) == {"nemo"}
    assert set(rows["emotion"]) == {"neutral", "sad", "angry", "happy", "fear", "ps"}
    assert set(rows.loc[rows["partition"] == "test", "speaker"]) == {"TP0", "WR0"}
    (nemo / "nemo" / "samples" / "WR0_boredom_1.wav").touch()  # of no emotion of nEMO
    with pytest.warns(UserWarning, match=r"1 nemo file.* WR0_boredom_1\.wav"):
        assert create_csv.list_clips("nemo", data_dir=nemo).equals(rows)


def test_the_leak_guard_names_the_sentences_that_speakers_of_nemo_share(nemo):
    rows = create_csv.list_clips("nemo", data_dir=nemo).assign(digest=None)
    sides = [rows[rows["partition"] == part] for part in ("train", "test")]
    leaks = find_leaks(*sides)
    assert leaks.sentences == ("nemo/1", "nemo/2") and not leaks.speakers
    first = [
        side[side["path"].str.endswith(f"_{i}.wav")] for side, i in zip(sides, (1, 2), strict=True)
    ]
    assert find_leaks(*first).sentences == ()


def test_how_to_get_what_is_downloaded_and_what_is_not(tmp_path, capsys):
    line = create_csv.absent("nemo", tmp_path)
    assert str(tmp_path / "nemo" / "samples") in line and "download_data" not in line
    assert "`git clone https://github.com/amu-cai/nEMO`" in line
    both = corpora.how_to_get("nemo", "emodb")
    assert both.startswith("get EMO-DB (emodb.bilderbar.info) by `python download_data.py emodb`")
    assert both.endswith(corpora.how_to_get("nemo")) and "data.py nemo" not in both
    assert download_data.place("WR0_anger_1.wav") == (None, None)
    write_tree(tmp_path, ["train-custom/anna_1_sad.wav"])
    create_csv.labelled_clips(wishes(), data_dir=tmp_path)
    assert "nemo" not in capsys.readouterr().out  # nobody asked for it, and no command gets it
    with pytest.raises(FileNotFoundError, match=r"nemo: no recordings .*git clone"):
        create_csv.labelled_clips(wishes(["nemo"]), data_dir=tmp_path)


def test_the_real_clips_of_nemo(real_data):
    rows = create_csv.list_clips("nemo", data_dir=real_data)
    if rows.empty:
        pytest.skip("no nEMO in the data folder")
    assert rows["speaker"].nunique() == 9 and set(rows["emotion"]) == set(NEMO_EMOTIONS.values())
    assert {corpora.gender("nemo", s) for s in rows["speaker"]} == {"female", "male"}
    assert len(rows) == len(create_csv.list_audio(real_data / "nemo" / "samples"))


# --- one record more ---------------------------------------------------------------------------


@pytest.fixture
def made_up(monkeypatch):
    """A corpus that is in no place but its record."""
    record = Corpus(
        name="madeup",
        title="Made-Up",
        speakers="3 dreamers",
        language="Volapük",
        group="madeup",
        folders={"all": "madeup/audio"},
        pattern=re.compile(r"(?P<speaker>[fm]\d)-(?P<sentence>\d)-(?P<emotion>[ht])$"),
        licence="CC BY 4.0",
        terms="Made-Up (Nobody 2024): CC BY 4.0.",
        emotions={"h": "happy", "t": "sad"},
        gender=lambda speaker: {"f": "female", "m": "male"}[speaker[0]],
        citation="Nobody (2024). Made-Up",
        homepage="https://example.org/madeup",
        place=lambda stem: (
            f"madeup/audio/{stem}.wav" if re.match(r"[fm]\d-\d-[ht]$", stem) else None
        ),
        parts={"all": Part("madeup/*", 12)},
    )
    monkeypatch.setitem(CORPORA, record.name, record)
    return record


def test_a_corpus_is_one_record(made_up, tmp_path, capsys):
    line = create_csv.absent("madeup", tmp_path)
    assert "get Made-Up (example.org/madeup) by `python download_data.py madeup`" in line
    assert "out of ravdess, tess, emodb, custom, nemo, ased, turev, madeup;" in corpora.help_line()
    with pytest.raises(FileNotFoundError, match=r"download_data\.py madeup"):
        create_csv.labelled_clips(wishes(["madeup"]), data_dir=tmp_path)

    names = [f"{s}-{i}-{e}.wav" for s in ("f1", "m1", "m2") for i in (1, 2) for e in "ht"]
    source, data = tmp_path / "in", tmp_path / "data"
    write_tree(source, names)
    report = download_data.lay_out(source, ["madeup"], data_dir=data)["madeup"]
    assert report == {"clips": 12, "of": 12, "new": 12, "misplaced": 0, "failed": {}}
    out = capsys.readouterr().out
    assert "Made-Up, 3 dreamers, Volapük" in out and "licence: CC BY 4.0" in out
    assert download_data.main(["--json", "--from", str(source), "--data-dir", str(data)]) == 0
    report = json.loads(capsys.readouterr().out)["madeup"]
    assert report["citation"] == made_up.citation and report["new"] == 0

    rows = create_csv.labelled_clips(wishes(["madeup"]), data_dir=data)
    assert [Path(path).name for path in rows["path"]] == names
    assert rows["emotion"].tolist() == ["happy", "sad"] * 6
    assert rows["partition"].tolist() == ["train"] * 8 + ["test"] * 4  # the last speaker
    assert rows.equals(create_csv.labelled_clips(wishes(), data_dir=data, verbose=0))
    create_csv.leave_desc_files(rows, {}, data)
    assert len(create_csv.read_desc_file(data / "train_madeup.csv")) == 8
    create_csv.main(["--json", "--data-dir", str(data)])
    counts = json.loads(capsys.readouterr().out)["clips"]
    assert [(row["corpus"], row["train"], row["test"]) for row in counts] == [("madeup", 4, 2)] * 2

    assert corpora.sentence(rows["path"][0], "madeup") == "1"
    assert [corpora.gender("madeup", s) for s in ("f1", "m2")] == ["female", "male"]
    assert corpora.licences(["madeup"]) == ["Made-Up (Nobody 2024): CC BY 4.0."]


def test_who_decides_on_the_three_old_options_gets_no_other_corpus(made_up):
    assert wishes()["madeup"] is None
    assert wishes(emodb=False)["madeup"] is False
    assert wishes(emodb=True, tess_ravdess=False, custom_db=False)["madeup"] is False
    assert corpora.wishes_in_words(wishes(["madeup", "tess"])) == "tess, madeup"


# --- the repository ----------------------------------------------------------------------------


def git(*arguments, names=()):
    """The lines that git prints; none without git or outside of a clone."""
    if not shutil.which("git"):
        return []
    options = {"input": "\n".join(names), "capture_output": True, "text": True, "cwd": REPO}
    return subprocess.run(["git", *arguments], check=False, **options).stdout.splitlines()


def test_git_ignores_all_recordings_but_the_bundled_ones():
    tracked = git("ls-files", "data")
    if not tracked:
        pytest.skip("not a clone")
    ignored = ("check-ignore", "--no-index", "--stdin")
    assert git(*ignored, names=tracked) == []
    others = {f"data/{folder}/x.wav" for c in CORPORA.values() for folder in c.folders.values()}
    others |= {"data/any.csv", "data/new corpus/a/b.wav", "data/downloads/emodb/x.zip"}
    others |= {"data/train-custom/anna_01_rude.wav", "data/test-custom/anna/1_sad.wav"}
    assert set(git(*ignored, names=others)) == others
