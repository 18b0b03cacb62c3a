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
    "crema": ("1001_DFA_ANG_XX", "angry", "1001", "DFA"),
    "savee": ("DC_sa03", "sad", "DC", "sa03"),
    "urdu": ("SM1_F10_A010", "angry", "SM1", None),
    "emovo": ("gio-f1-b2", "happy", "f1", "b2"),
    "shemo": ("M12W05", "ps", "M12", None),
    "cafe": ("12-P-2-6", "fear", "12", "6"),
    "esd": ("0011_000351", "angry", "0011", "en001"),
}
CODES = {
    # what the parts of a name stand for, written down once more
    "crema": ("1001_DFA_{}_XX", {"ANG": "angry", "DIS": "disgust", "FEA": "fear", "HAP": "happy"}),
    "savee": ("KL_{}15", {"a": "angry", "d": "disgust", "f": "fear", "h": "happy", "n": "neutral"}),
    "urdu": ("SF1_F1_{}01", {"A": "angry", "H": "happy", "N": "neutral", "S": "sad"}),
    "emovo": ("{}-m1-n1", {"dis": "disgust", "gio": "happy", "neu": "neutral", "pau": "fear"}),
    "shemo": ("F01{}01", {"A": "angry", "F": "fear", "H": "happy", "N": "neutral", "S": "sad"}),
    "cafe": ("01-{}-1-1", {"C": "angry", "D": "disgust", "J": "happy", "N": "neutral"}),
    "esd": ("0001_{}", {"000001": "neutral", "000350": "neutral", "000700": "angry"}),
}
CODES["crema"][1].update({"NEU": "neutral", "SAD": "sad"})
CODES["savee"][1].update({"sa": "sad", "su": "ps"})
CODES["emovo"][1].update({"rab": "angry", "sor": "ps", "tri": "sad"})
CODES["shemo"][1].update({"W": "ps"})
CODES["cafe"][1].update({"P": "fear", "S": "ps", "T": "sad"})
CODES["esd"][1].update({"000701": "happy", "001051": "sad", "001400": "sad", "001750": "ps"})


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
        parts = corpus.parts.values()
        to_fetch = [bool(part.files or part.listing) for part in parts]
        assert all(part.n_clips for part in parts) and set(to_fetch) == {not corpus.how_to_get}
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


@pytest.mark.parametrize("corpus", CODES)
def test_codes_of_emotions(corpus):
    name, codes = CODES[corpus]
    found = {c: corpora.describe(Path(f"{name.format(c)}.wav"), corpus)[1] for c in codes}
    assert found == codes
    assert set(codes) == set(CORPORA[corpus].emotions) or corpus == "esd"
    for other in ("X", "xx", "XXX", "001751", "000000"):
        assert corpora.describe(Path(f"{name.format(other)}.wav"), corpus) is None


def test_the_sentences_of_esd_are_those_of_a_language():
    assert corpora.sentence("0020_001750.wav", "esd") == "en350"
    assert corpora.sentence("0010_000350.wav", "esd") == "zh350"
    assert corpora.sentence("0010_000351.wav", "esd") == corpora.sentence("0001_000001.wav", "esd")


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
        *[("crema", s, "male") for s in ("1001", "1045", "1090")],
        *[("crema", s, "female") for s in ("1002", "1047", "1091")],
        ("savee", "DC", "male"),
        ("urdu", "SF10", "female"),
        ("urdu", "SM6", "male"),
        ("emovo", "f3", "female"),
        ("emovo", "m1", "male"),
        ("shemo", "F01", "female"),
        ("shemo", "M56", "male"),
        ("cafe", "01", "male"),
        ("cafe", "12", "female"),
        *[("esd", s, "female") for s in ("0001", "0009", "0015", "0019")],
        *[("esd", s, "male") for s in ("0004", "0010", "0011", "0020")],
        ("custom", "01", "unknown"),
        ("ravdess", "x", "unknown"),
        ("elsewhere", "01", "unknown"),
    ],
)
def test_genders(corpus, speaker, expected):
    assert corpora.gender(corpus, speaker) == expected


def test_there_are_43_women_in_crema():
    speakers = [str(speaker) for speaker in range(1001, 1092)]
    assert [corpora.gender("crema", s) for s in speakers].count("female") == 43


def test_licences_for_cards():
    tess, emodb, other = corpora.licences(["tess", "emodb", "mine"])
    assert "CC BY-NC-ND 4.0, not for commercial use" in tess and tess.startswith("TESS (")
    assert emodb == corpora.LICENCES["emodb"] and "to be cited" in emodb
    assert other == "mine: see its own"


OTHERS = ["nemo", "ased", "turev", "crema", "savee", "urdu", "emovo", "shemo", "cafe", "esd"]


# --- what is wanted ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "wanted", "words"),
    [
        ({}, (None,) * 13, "the corpora in the data folder"),
        (
            {"emodb": False},
            (None, False, None, *[False] * 10),
            "tess_ravdess, custom, if in the data folder",
        ),
        (
            {"tess_ravdess": "tess", "emodb": True, "custom_db": False},
            (("tess",), True, *[False] * 11),
            "tess, emodb",
        ),
        ({"tess_ravdess": False, "emodb": False, "custom_db": False}, (False,) * 13, "no corpus"),
        ({"corpora": ["emodb", "ravdess"]}, (("ravdess",), True, *[False] * 11), "ravdess, emodb"),
        ({"corpora": ("tess", "ravdess")}, (("ravdess", "tess"), *[False] * 12), "ravdess, tess"),
        (
            {"corpora": ["tess_ravdess", "custom"]},
            (True, False, True, *[False] * 10),
            "tess_ravdess, custom",
        ),
        ({"corpora": "emodb"}, (False, True, *[False] * 11), "emodb"),
        ({"corpora": ["nemo"]}, (*[False] * 3, True, *[False] * 9), "nemo"),
        ({"corpora": ["turev", "ased"]}, (*[False] * 4, True, True, *[False] * 7), "ased, turev"),
    ],
)
def test_both_forms_of_asking_become_one(asked, wanted, words):
    made = wishes(**asked)
    groups = ["tess_ravdess", "emodb", "custom", *OTHERS]
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


# --- nEMO, which is not offered ---------------------------------------------------------------


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
    line = create_csv.absent("savee", tmp_path)
    assert str(tmp_path / "savee") in line and "data.py savee" not in line
    assert "`python download_data.py --from FOLDER_OR_ZIP`" in line
    both = corpora.how_to_get("savee", "nemo", "emodb")
    assert both.startswith(
        "get nEMO (github.com/amu-cai/nEMO) and EMO-DB (emodb.bilderbar.info) by"
    )
    assert "`python download_data.py nemo emodb`" in both
    assert both.endswith(corpora.how_to_get("savee")) and "data.py savee" not in both
    write_tree(tmp_path, ["train-custom/anna_1_sad.wav"])
    create_csv.labelled_clips(wishes(), data_dir=tmp_path)
    assert "nemo" not in capsys.readouterr().out  # nobody asked for it
    with pytest.raises(FileNotFoundError, match=r"nemo: no recordings .*download_data\.py nemo"):
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
    names = ", ".join(["ravdess, tess, emodb, custom", *OTHERS, "madeup"])
    assert f"out of {names};" in corpora.help_line()
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
