"""The desc_files: layouts on made-up trees, the CLI in processes of its own, a recount of the real.

Every clip of these trees is a real, tiny recording; the names are those that the corpora have.
"""

import json
import os
import random
import shutil
import sys
import unicodedata
import warnings
from collections import Counter, namedtuple
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile as sf
from conftest import REPO

import create_csv as cc
from corpora import wishes
from utils import extract_feature

EMODB_SPEAKERS = ["03", "08", "09", "10", "11", "12", "13", "14", "15", "16"]
EMODB_CODES = {
    "W": "angry",
    "L": "boredom",
    "E": "disgust",
    "A": "fear",
    "F": "happy",
    "T": "sad",
    "N": "neutral",
}


def write_clip(path):
    """A tenth of a second of noise in the format of the suffix."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = 0.1 * np.random.default_rng(len(str(path))).standard_normal(2400)
    sf.write(path, noise, 16000, format=path.suffix[1:].upper())
    return path


def write_tree(folder, names):
    return [write_clip(folder / name) for name in names]


def emodb_names():
    return [f"emodb/wav/{s}a01{code}a.wav" for s in EMODB_SPEAKERS for code in EMODB_CODES]


RAVDESS = [
    "training/Actor_03/03-01-05-01-02-01-03_angry.wav",
    "training/Actor_03/03-01-03-01-02-01-03_happy.wav",
    "training/Actor_12/03-01-08-02-01-02-12_ps.wav",
    "validation/Actor_08/03-01-04-01-02-01-08_sad.wav",
]
TESS = ["training/Actor_26/OAF_back_fear.wav", "validation/Actor_26/YAF_home_disgust.wav"]
CUSTOM = [
    "train-custom/v01_s1_happy.wav",
    "train-custom/v03_s2_sad.wav",
    "train-custom/v03_neutral.wav",
    "test-custom/v09_s1_neutral.wav",
    "test-custom/v09_s1_rude.wav",
    "train-custom/a_rude.wav",
]


@pytest.fixture
def tree(tmp_path):
    """All four corpora."""
    write_tree(tmp_path, [*emodb_names(), *RAVDESS, *TESS, *CUSTOM])
    return tmp_path.resolve()


def write_all(folder):
    """The desc_files of all groups: list of {partition: rows}."""
    return [write(data_dir=folder, verbose=0) for write in cc.WRITERS.values()]


def rows_of(frame, column="emotion"):
    """File name to a column of its row."""
    return {Path(row.path).name: getattr(row, column) for row in frame.itertuples()}


Done = namedtuple("Done", ["returncode", "stdout", "stderr"])


@pytest.fixture
def command(capsys, monkeypatch):
    """Runs the command line in this process: exit code, stdout, stderr."""
    for name in [name for name in os.environ if name.startswith("SER_")]:
        monkeypatch.delenv(name)

    def command(*arguments, cwd=REPO, **environment):
        monkeypatch.chdir(cwd)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        try:
            code = cc.main([*map(str, arguments)])
        except SystemExit as error:  # of argparse
            code = error.code
        return Done(code or 0, *capsys.readouterr())

    return command


# --- layouts -----------------------------------------------------------------------------------


def test_ravdess_and_tess_share_folders_and_differ_by_name(tree):
    written = cc.write_tess_ravdess_csv(data_dir=tree, verbose=0)
    train, test = (
        pd.read_csv(tree / f"{part}_tess_ravdess.csv", dtype=str) for part in ("train", "test")
    )
    assert list(train.columns) == ["path", "emotion", "speaker", "corpus"]
    assert train.drop(columns="path").to_numpy().tolist() == [
        ["happy", "03", "ravdess"],
        ["angry", "03", "ravdess"],
        ["ps", "12", "ravdess"],
        ["fear", "OAF", "tess"],
    ]
    assert test.drop(columns="path").to_numpy().tolist() == [
        ["sad", "08", "ravdess"],
        ["disgust", "YAF", "tess"],
    ]
    for part, frame in (("train", train), ("test", test)):
        assert written[part].to_numpy().tolist() == frame.to_numpy().tolist()
        assert all(Path(path).is_file() for path in frame.path)


def test_numbered_tess_names_are_tess():
    row = cc.describe(Path("25_01_01_01_boat_ps.wav"), "tess_ravdess")
    assert row[1:] == ("ps", "25", "tess")


@pytest.mark.parametrize(("code", "emotion"), EMODB_CODES.items())
def test_emodb_codes(tree, code, emotion):
    written = cc.write_emodb_csv(data_dir=tree, verbose=0)
    both = pd.concat(written.values())
    named = both[[Path(path).name[5] == code for path in both.path]]
    assert set(named.emotion) == {emotion} and set(named.corpus) == {"emodb"}
    assert sorted(named.speaker) == EMODB_SPEAKERS


def test_custom_names(tree):
    written = cc.write_custom_csv(data_dir=tree, verbose=0)
    assert rows_of(written["train"]) == {
        "a_rude.wav": "rude",
        "v01_s1_happy.wav": "happy",
        "v03_neutral.wav": "neutral",
        "v03_s2_sad.wav": "sad",
    }
    assert rows_of(written["train"], "speaker")["v03_s2_sad.wav"] == "v03"
    assert rows_of(written["test"]) == {"v09_s1_neutral.wav": "neutral", "v09_s1_rude.wav": "rude"}
    assert set(written["train"].corpus) == {"custom"}


def test_awkward_custom_names(tmp_path):
    names = {
        "Zoë's take, 2_happy.wav": ("happy", "Zoë's take, 2"),
        '"x"_y_z_SAD.WAV': ("sad", '"x"'),
        "-r_neutral.wav": ("neutral", "-r"),
        "NA_null_neutral.wav": ("neutral", "NA"),
        "007_1_ps.wav": ("ps", "007"),
    }
    write_tree(tmp_path / "train-custom", names)
    cc.write_custom_csv(data_dir=tmp_path, verbose=0)
    rows = cc.read_desc_file(tmp_path / "train_custom.csv")
    read = {Path(row.path).name: (row.emotion, row.speaker) for row in rows.itertuples()}
    assert read == names
    assert all(np.isfinite(extract_feature(path)).all() for path in rows.path)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere every file name is Unicode")
def test_a_file_name_that_is_not_unicode(tmp_path):
    source = write_clip(tmp_path / "train-custom" / "x_sad.wav")
    source.rename(source.parent / os.fsdecode(b"Zo\xeb_sad.wav"))
    cc.write_custom_csv(data_dir=tmp_path, verbose=0)
    (row,) = cc.read_desc_file(tmp_path / "train_custom.csv").itertuples()
    assert os.fsencode(row.path).endswith(b"Zo\xeb_sad.wav")
    assert Path(row.path).is_file() and row.emotion == "sad"


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg", ".mp3", ".WAV", ".Flac", ".OGG"])
def test_every_audio_suffix_counts_in_any_case(tmp_path, suffix):
    names = [
        f"train-custom/v1_happy{suffix}",
        f"training/Actor_01/03-01-05-01-02-01-01_angry{suffix}",
        f"emodb/wav/03a01Fa{suffix}",
    ]
    write_tree(tmp_path, names)
    found = [
        row.path
        for group in cc.CORPUS_GROUPS
        for row in cc.list_clips(group, data_dir=tmp_path).itertuples()
    ]
    assert sorted(found) == sorted(str(tmp_path.resolve() / name) for name in names)
    assert np.isfinite(extract_feature(found[0])).all()


def test_other_and_hidden_files_are_no_clips(tree):
    before = {group: len(cc.list_clips(group, data_dir=tree)) for group in cc.CORPUS_GROUPS}
    for name in ("notes_happy.txt", "v1_happy.wav.part"):
        (tree / "train-custom" / name).write_bytes(b"x")
    (tree / "train-custom" / "folder_happy.wav").mkdir()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        after = {group: len(cc.list_clips(group, data_dir=tree)) for group in cc.CORPUS_GROUPS}
    assert after == before
    hidden = [
        "._v1_happy.wav",
        ".hidden_sad.wav",
        ".Trash-1000/v1_happy.wav",
        ".ipynb_checkpoints/v1_sad.wav",
        "__MACOSX/anna/._v1_sad.wav",
        "anna/.hidden/v1_sad.wav",
    ]
    write_tree(tree, [f"train-custom/{name}" for name in hidden])
    with pytest.warns(UserWarning, match=r"^6 custom file\(s\) left out, hidden: ") as caught:
        assert len(cc.list_clips("custom", data_dir=tree)) == before["custom"]
    assert len(caught) == 1 and all(name in str(caught[0].message) for name in hidden)
    assert not any(cc.is_hidden(path) for path in cc.list_audio(tree))


def test_copies_and_twins_are_left_out_and_named(tmp_path):
    taken = ["anna_1_sad.wav", "anna_2_happy (1).wav", "anna_2_happy (2).wav", "Fred_1_Angry.wav"]
    copies = [
        "anna_1_sad (1).wav",
        "anna_1_sad - Copy.wav",
        "anna_1_sad copy 2.wav",
        "anna_1_SAD.WAV",
    ]
    copies += ["anna_1_sad.flac", "fred_1_angry.mp3", "anna_1_sad - Kopie (2).wav"]
    write_tree(tmp_path, [f"train-custom/{name}" for name in taken + copies])
    with pytest.warns(UserWarning, match="^7 custom .* left out, copies of other") as caught:
        rows = cc.list_clips("custom", data_dir=tmp_path)
    assert len(caught) == 1 and all(name in str(caught[0].message) for name in copies)
    assert sorted(Path(path).name for path in rows["path"]) == sorted(taken)
    assert set(rows["emotion"]) == {"sad", "happy", "angry"}


def test_twins_and_unknown_codes_of_emodb(tmp_path):
    write_tree(
        tmp_path / "emodb" / "wav", ["08a04Ff.wav", "08a04Ff.WAV", "08a04Xa.wav", "08a01fa.wav"]
    )
    with pytest.warns(UserWarning, match="^3 emodb file") as caught:
        (row,) = cc.list_clips("emodb", data_dir=tmp_path).itertuples()
    assert Path(row.path).name == "08a04Ff.wav" and row.emotion == "happy"
    message = str(caught[0].message)
    assert "copies of other files: 08a04Ff.WAV" in message
    assert "no emotion in the name: 08a01fa.wav, 08a04Xa.wav" in message


def test_names_that_only_count_are_no_speakers(tmp_path):
    folder = tmp_path / "train-custom"
    write_tree(folder, [f"f{i:02d}_sad.wav" for i in range(12)])
    message = r"^Nearly every clip of custom .*12 speakers of 12 clips.*name clips <speaker>_"
    with pytest.warns(UserWarning, match=message):
        cc.list_clips("custom", data_dir=tmp_path)
    shutil.rmtree(folder)
    write_tree(
        folder, [f"{who}/f{i}_{e}.wav" for who in ("DC", "JE") for i in "12" for e in ("sad", "ps")]
    )
    with pytest.warns(UserWarning, match=r"^Clips of one name lie in .*DC/f1_ps.wav and JE/f1_ps"):
        cc.list_clips("custom", data_dir=tmp_path)


def test_labels_and_speakers_are_compared_in_one_form(tmp_path):
    mac = unicodedata.normalize("NFD", "jörg_1_fröhlich")
    names = ["train-custom/anna_1_sad .wav", "train-custom/Jörg_2_Fröhlich.wav"]
    names += [
        "test-custom/Anna_2_SAD.wav",
        f"test-custom/{mac}.wav",
        "test-custom/ anna _3_sad.wav",
    ]
    write_tree(tmp_path, names)
    rows = cc.list_clips("custom", data_dir=tmp_path)
    assert len(rows) == 5 and set(rows["emotion"]) == {"sad", "fröhlich"}
    assert set(rows["speaker"]) == {"anna", "Jörg"}  # as it is spelled first
    for asked in (["FRÖHLICH", " sad"], [unicodedata.normalize("NFD", "fröhlich"), "Sad "]):
        assert cc.check_emotions(asked, tmp_path) == [cc.folded(emotion) for emotion in asked]
    with pytest.raises(ValueError, match="distinct names"):
        cc.check_emotions(["sad", "Sad "], tmp_path)


def test_emotions_may_be_separated_by_spaces_too(tree, capsys):
    assert cc.main(["--emotions", "happy, Sad", "--data-dir", str(tree), "--json"]) == 0
    counts = json.loads(capsys.readouterr().out)["clips"]
    assert {row["emotion"] for row in counts} == {"happy", "sad"}


@pytest.mark.parametrize("seed", range(3))
def test_rows_are_sorted_whatever_the_order_of_creation(tmp_path, seed):
    names = [*emodb_names(), *RAVDESS, *TESS, *CUSTOM]
    random.Random(seed).shuffle(names)
    write_tree(tmp_path, names)
    for frame in (frame for written in write_all(tmp_path) for frame in written.values()):
        paths = frame.path.tolist()
        assert len(paths) and paths == sorted(paths, key=lambda path: Path(path).parts)


def test_names_without_an_emotion_are_left_out_and_named(tree):
    write_tree(
        tree,
        [
            "train-custom/happy.wav",
            "train-custom/trailing_.wav",
            "training/Actor_03/03-01-05-01-02-01-03.wav",
            "emodb/wav/03a01Xa.wav",
            "emodb/wav/speech.wav",
        ],
    )
    expected = {
        "custom": ["happy.wav", "trailing_.wav"],
        "tess_ravdess": ["03-01-05-01-02-01-03.wav"],
        "emodb": ["03a01Xa.wav", "speech.wav"],
    }
    for group, names in expected.items():
        with pytest.warns(UserWarning, match=f"^{len(names)} {group} file") as caught:
            written = cc.WRITERS[group](data_dir=tree, verbose=0)
        assert len(caught) == 1
        assert all(name in str(caught[0].message) for name in names)
        assert not {Path(p).name for frame in written.values() for p in frame.path} & set(names)


# --- the split of EMO-DB -----------------------------------------------------------------------


def test_emodb_tests_on_speakers_15_and_16(tree):
    written = cc.write_emodb_csv(data_dir=tree, verbose=0)
    assert set(written["test"].speaker) == {"15", "16"}
    assert set(written["train"].speaker) == set(EMODB_SPEAKERS) - {"15", "16"}
    assert len(written["train"]) + len(written["test"]) == len(emodb_names())


@pytest.mark.parametrize(("train_size", "n_train"), [(0.5, 5), (0.9, 9), (0.01, 1), (0.999, 9)])
def test_emodb_split_by_other_shares(tree, train_size, n_train):
    written = cc.write_emodb_csv(data_dir=tree, verbose=0, train_size=train_size)
    assert sorted(set(written["train"].speaker)) == EMODB_SPEAKERS[:n_train]
    assert sorted(set(written["test"].speaker)) == EMODB_SPEAKERS[n_train:]


def test_the_emotions_wanted_do_not_move_the_split(tmp_path):
    """Speaker 16 has no sad clip: 15 must stay a test speaker all the same."""
    write_tree(tmp_path, [name for name in emodb_names() if "16a01T" not in name])
    written = cc.write_emodb_csv(["sad"], data_dir=tmp_path, verbose=0)
    assert set(written["test"].speaker) == {"15"}
    assert set(written["train"].emotion) == {"sad"} and len(written["train"]) == 8


@pytest.mark.parametrize("train_size", [0, 1, -0.2, 1.5, float("nan")])
def test_a_share_that_is_none_raises(tree, train_size):
    with pytest.raises(ValueError, match="between 0 and 1"):
        cc.write_emodb_csv(data_dir=tree, verbose=0, train_size=train_size)


# --- emotions, folders, files ------------------------------------------------------------------


def test_an_emotion_of_ones_own_is_legal_where_it_occurs(tree):
    written = cc.write_custom_csv(emotions=["rude", "neutral"], data_dir=tree, verbose=0)
    assert rows_of(written["train"]) == {"a_rude.wav": "rude", "v03_neutral.wav": "neutral"}
    assert rows_of(written["test"]) == {"v09_s1_neutral.wav": "neutral", "v09_s1_rude.wav": "rude"}
    assert cc.check_emotions(("rude", "neutral"), tree) == ["rude", "neutral"]


def test_an_emotion_that_is_nowhere_raises_and_names_the_legal_ones(tree):
    with pytest.raises(ValueError, match=r"'rud'.*neutral.*boredom.*rude.*Did you mean 'rude'"):
        cc.write_custom_csv(emotions=["rud"], data_dir=tree, verbose=0)
    assert not list(tree.glob("*.csv"))


@pytest.mark.parametrize("wrong", ["sad", [], ["sad", "sad"]])
def test_emotions_are_a_list_without_repetition(tree, wrong):
    with pytest.raises(ValueError, match=r"sad|one or more"):
        cc.write_custom_csv(emotions=wrong, data_dir=tree, verbose=0)


def test_one_of_the_nine_is_legal_without_a_clip(tree):
    written = cc.write_custom_csv(emotions=["boredom"], data_dir=tree, verbose=0)
    assert len(written["train"]) == len(written["test"]) == 0
    assert len(cc.read_desc_file(tree / "train_custom.csv")) == 0


def test_names_of_ones_own_are_used_as_they_are(tree, tmp_path_factory):
    folder = tmp_path_factory.mktemp("elsewhere")
    for group, write in cc.WRITERS.items():
        written = write(
            None, folder / f"{group} a.csv", str(folder / group / "b.csv"), data_dir=tree, verbose=0
        )
        assert len(cc.read_desc_file(folder / f"{group} a.csv")) == len(written["train"]) > 0
        assert len(cc.read_desc_file(folder / group / "b.csv")) == len(written["test"]) > 0
    assert not list(tree.glob("*.csv"))


def test_an_absent_corpus_writes_nothing_and_says_so(tmp_path, capsys):
    for group, write in cc.WRITERS.items():
        assert write(data_dir=tmp_path) == {}
        line = capsys.readouterr().out
        assert line.count("\n") == 1 and group in line and str(tmp_path) in line
        assert cc.CORPUS_GROUPS[group].how_to_get in line
        assert write(data_dir=tmp_path, verbose=0) == {}
        assert capsys.readouterr().out == ""
    assert list(tmp_path.iterdir()) == []


def test_the_data_folder_is_the_keyword_else_the_variable_else_the_repositorys(
    tree, tmp_path_factory, monkeypatch
):
    other = tmp_path_factory.mktemp("other")
    monkeypatch.setenv("SER_DATA_DIR", str(other))
    assert cc.find_data_dir() == other.resolve()
    assert cc.find_data_dir(tree) == cc.find_data_dir(str(tree)) == tree
    assert cc.write_custom_csv(verbose=0) == {}
    monkeypatch.setenv("SER_DATA_DIR", str(tree))
    assert len(cc.write_custom_csv(verbose=0)["train"]) == 4
    assert (tree / "train_custom.csv").is_file()
    monkeypatch.delenv("SER_DATA_DIR")
    monkeypatch.chdir(other)  # a notebook elsewhere
    assert cc.find_data_dir() == (REPO / "data").resolve()


def test_a_data_folder_that_is_not_there_raises(tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match=r"nowhere.*SER_DATA_DIR"):
        cc.write_custom_csv(data_dir=tmp_path / "nowhere")
    monkeypatch.setenv("SER_DATA_DIR", str(tmp_path / "nowhere"))
    with pytest.raises(FileNotFoundError, match="nowhere"):
        cc.list_clips("custom")


def test_speakers_stay_text(tree):
    cc.write_emodb_csv(data_dir=tree, verbose=0)
    assert ",03,emodb" in (tree / "train_emodb.csv").read_text()
    rows = cc.read_desc_file(tree / "train_emodb.csv")
    assert set(rows.speaker) == set(EMODB_SPEAKERS[:8])
    assert all(type(value) is str for value in rows.to_numpy().ravel())


def test_a_reader_keeps_its_whole_file_while_another_is_written(tree):
    cc.write_custom_csv(data_dir=tree, verbose=0)
    path = tree / "train_custom.csv"
    old = path.read_text()
    with path.open() as reader:
        head = reader.read(10)
        cc.write_custom_csv(["happy"], data_dir=tree, verbose=0)
        assert head + reader.read() == old
    assert len(cc.read_desc_file(path)) == 1
    assert not list(tree.glob(".*"))


def test_the_same_tree_writes_the_same_bytes(tree):
    files = []
    for _ in range(2):
        write_all(tree)
        files.append({path.name: path.read_bytes() for path in tree.glob("*.csv")})
    assert len(files[0]) == 6 and files[0] == files[1]


# --- the clips that are wanted -----------------------------------------------------------------


def corpora_of(rows):
    return set(rows["corpus"])


def test_wanted_clips_come_in_the_order_of_the_desc_files(tree):
    rows = cc.labelled_clips(wishes(), data_dir=tree)
    assert list(rows.columns) == ["path", "emotion", "speaker", "corpus", "partition"]
    write_all(tree)
    for partition in ("train", "test"):
        names = [f"{partition}_{group}.csv" for group in ("tess_ravdess", "emodb", "custom")]
        written = pd.concat([cc.read_desc_file(tree / name) for name in names])
        listed = rows[rows["partition"] == partition].drop(columns="partition")
        assert listed.to_numpy().tolist() == written.to_numpy().tolist() and len(listed)
    partitions = rows["partition"].tolist()
    assert partitions == sorted(partitions, reverse=True)  # train before test
    assert cc.edited_desc_files(wishes(), {}, tree).equals(rows)


@pytest.mark.parametrize(
    ("wished", "found"),
    [
        ({"corpora": ["emodb"]}, {"emodb"}),
        ({"corpora": ["tess", "custom"]}, {"tess", "custom"}),
        ({"corpora": ["tess_ravdess"]}, {"tess", "ravdess"}),
        ({"tess_ravdess": "ravdess", "emodb": False}, {"ravdess", "custom"}),
        ({"custom_db": False}, {"ravdess", "tess", "emodb"}),
    ],
)
def test_only_the_corpora_wanted_are_listed(tree, capsys, wished, found):
    assert corpora_of(cc.labelled_clips(wishes(**wished), data_dir=tree)) == found
    assert corpora_of(cc.edited_desc_files(wishes(**wished), {}, tree)) == found
    assert capsys.readouterr().out == "" and not list(tree.glob("*.csv"))


def test_a_corpus_that_is_absent_is_said_or_raises(tmp_path, capsys):
    write_tree(tmp_path, [*CUSTOM, *TESS])
    rows = cc.labelled_clips(wishes(), data_dir=tmp_path)
    assert corpora_of(rows) == {"tess", "custom"}
    (line,) = capsys.readouterr().out.splitlines()
    assert line == cc.absent("emodb", tmp_path)
    cc.labelled_clips(wishes(), data_dir=tmp_path, verbose=0)
    assert capsys.readouterr().out == ""
    for wanted in (wishes(emodb=True), wishes(["custom", "emodb"])):
        with pytest.raises(FileNotFoundError, match=r"download_data\.py emodb`"):
            cc.labelled_clips(wanted, data_dir=tmp_path, verbose=0)
    for wanted in (wishes(tess_ravdess="ravdess"), wishes(["ravdess", "tess"])):
        with pytest.raises(FileNotFoundError, match=r"ravdess: no .*download_data\.py ravdess`"):
            cc.labelled_clips(wanted, data_dir=tmp_path, verbose=0)
    nothing = wishes(tess_ravdess=False, emodb=False, custom_db=False)
    with pytest.raises(FileNotFoundError, match="No recordings to train on"):
        cc.labelled_clips(nothing, data_dir=tmp_path, verbose=0)


def test_desc_files_that_are_left_hold_their_whole_group(tree):
    write_all(tree)
    written = {path: path.read_bytes() for path in tree.glob("*.csv")}
    for path in written:
        path.unlink()
    rows = cc.labelled_clips(wishes(["ravdess", "emodb", "custom"]), data_dir=tree)
    cc.leave_desc_files(rows, {"custom": tree / "elsewhere" / "mine.csv"}, tree)
    left = {path: path.read_bytes() for path in tree.glob("*.csv")}
    assert left == {path: data for path, data in written.items() if "custom" not in path.name}
    for part in ("train", "test"):
        own = tree / "elsewhere" / f"{part}_mine.csv"
        assert own.read_bytes() == written[tree / f"{part}_custom.csv"]


def test_a_folder_that_refuses_desc_files_is_left_without(tree, monkeypatch):
    rows = cc.labelled_clips(wishes(["custom", "emodb"]), data_dir=tree)

    def refuse(rows, path):
        raise PermissionError(13, "Permission denied", str(path))

    with monkeypatch.context() as patch:
        patch.setattr(cc, "write_desc_file", refuse)
        cc.leave_desc_files(rows, {}, tree)
    assert not list(tree.glob("*.csv"))
    (tree / "train_emodb.csv").mkdir()  # really refused, and custom's still written
    cc.leave_desc_files(rows, {}, tree)
    assert len(cc.read_desc_file(tree / "train_custom.csv")) == 4
    (tree / "taken").write_text("a file")
    with pytest.raises(OSError, match="taken"):
        cc.leave_desc_files(rows, {"custom": tree / "taken" / "mine.csv"}, tree)


def test_edited_desc_files_are_read_and_others_listed(tree):
    rows = cc.labelled_clips(wishes(), data_dir=tree)
    cc.leave_desc_files(rows, {}, tree)
    path = tree / "train_custom.csv"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-2]))
    (tree / "test_emodb.csv").unlink()
    edited = cc.edited_desc_files(wishes(), {}, tree)
    counts, before = edited["corpus"].value_counts(), rows["corpus"].value_counts()
    assert counts["custom"] == before["custom"] - 2
    assert (counts.drop("custom") == before.drop("custom")[counts.drop("custom").index]).all()
    assert not (tree / "test_emodb.csv").exists()


# --- the command line --------------------------------------------------------------------------


def test_the_command_writes_all_and_prints_a_table(tree, command):
    done = command("--data-dir", tree)
    assert done.returncode == 0 and done.stderr == ""
    assert len(list(tree.glob("*.csv"))) == 6
    cells = [line.split() for line in done.stdout.splitlines()]
    assert ["custom", "happy", "1", "0", "1"] in cells
    assert ["rude", "1", "1", "2"] in cells
    assert ["sad", "8", "2", "10"] in cells  # of EMO-DB
    assert ["tess", "disgust", "0", "1", "1"] in cells
    total = len(emodb_names()) + len(RAVDESS) + len(TESS) + len(CUSTOM)
    assert cells[-1][0] == "total" and cells[-1][-1] == str(total)


def counts_of(done, *columns):
    """{(corpus, emotion): counts} in the JSON that a process has printed."""
    rows = json.loads(done.stdout)["clips"]
    return {(row["corpus"], row["emotion"]): tuple(row[c] for c in columns) for row in rows}


def test_json_is_one_object_that_equals_a_recount(tree, command):
    done = command("--json", SER_DATA_DIR=str(tree))
    assert done.returncode == 0 and done.stderr == ""
    table = counts_of(done, "train", "test", "total")
    assert table["emodb", "angry"] == (8, 2, 10)
    assert table["custom", "rude"] == (1, 1, 2)
    assert table["ravdess", "sad"] == (0, 1, 1)
    assert len(table) == 7 + 4 + 4 + 2
    assert all(train + test == total for train, test, total in table.values())


def test_the_command_knows_emotions_and_train_size(tree, command):
    options = ["--json", "--emotions", "rude,sad", "--train-size", "0.5"]
    done = command(*options, SER_DATA_DIR=str(tree))
    assert counts_of(done, "train", "test") == {
        ("custom", "rude"): (1, 1),
        ("custom", "sad"): (1, 0),
        ("emodb", "sad"): (5, 5),
        ("ravdess", "sad"): (0, 1),
    }


def test_the_command_in_an_empty_folder_says_what_is_absent(tmp_path, command):
    done = command("--data-dir", tmp_path)
    assert done.returncode == 0 and list(tmp_path.iterdir()) == []
    offered = [group for group, info in cc.CORPUS_GROUPS.items() if info.offered]
    assert all(f"{group}: no recordings" in done.stdout for group in offered)
    assert done.stdout.count("\n") == len(offered) == 3
    assert json.loads(command("--data-dir", tmp_path, "--json").stdout) == {"clips": []}


@pytest.mark.parametrize(
    "arguments",
    [
        ["--data-dir", "nowhere"],
        ["--emotions", "rued"],
        ["--train-size", "2"],
        ["--emotions", "sad,sad"],
        ["--data-dir", "notes.txt"],
    ],
)
def test_errors_exit_1_in_one_line(tree, arguments, command):
    (tree / "notes.txt").write_text("x")
    done = command(*arguments, cwd=tree, SER_DATA_DIR=str(tree))
    assert done.returncode == 1
    assert done.stderr.startswith("create_csv.py: ") and done.stderr.count("\n") == 1


def test_help_shows_the_commands(command):
    done = command("--help")
    assert done.returncode == 0
    assert all(line in done.stdout for line in cc.__doc__.strip().splitlines())


def test_an_unknown_option_fails(command):
    assert command("--jason").returncode == 2


# --- the real corpora --------------------------------------------------------------------------


def recount(folder):
    """(corpus, emotion, partition) to clips, by splitting strings."""
    counts = Counter()
    for place, partition in (("training", "train"), ("validation", "test")):
        for _, _, names in os.walk(folder / place):
            for name in names:
                stem, _, suffix = name.rpartition(".")
                if suffix.lower() in ("wav", "flac", "ogg", "mp3"):
                    corpus = "ravdess" if stem.count("-") == 6 else "tess"
                    counts[corpus, stem.split("_")[-1], partition] += 1
    for _, _, names in os.walk(folder / "emodb" / "wav"):
        for name in names:
            if name.endswith(".wav"):
                partition = "test" if name[:2] in ("15", "16") else "train"
                counts["emodb", EMODB_CODES[name[5]], partition] += 1
    return counts


def test_counts_of_the_real_corpora_equal_a_recount(real_data, tmp_path):
    counts = Counter()
    for group in ("tess_ravdess", "emodb"):
        written = cc.WRITERS[group](
            None, tmp_path / "a.csv", tmp_path / "b.csv", data_dir=real_data, verbose=0
        )
        for partition in written:
            rows = pd.read_csv(tmp_path / f"{'ab'[partition == 'test']}.csv", dtype=str)
            for row in rows.itertuples():
                counts[row.corpus, row.emotion, partition] += 1
                name = Path(row.path).name
                speaker = {"emodb": name[:2], "ravdess": name.split("_")[0][-2:]}
                assert row.speaker == speaker.get(row.corpus, name.split("_")[0])
    assert counts == recount(real_data) and sum(counts.values()) > 0


def test_hostile_names_of_clips_are_left_out_and_can_only_be_read(tmp_path):
    write_tree(tmp_path, ["train-custom/ann_1_sad.wav", "train-custom/ann_2_s\x1b[2Jad.wav"])
    write_tree(tmp_path, ["train-custom/bo\nb_3_sad.wav"])
    with pytest.warns(UserWarning, match=r"2 custom file\(s\) left out") as caught:
        clips = cc.list_clips("custom", data_dir=tmp_path)
    assert rows_of(clips) == {"ann_1_sad.wav": "sad"} and str(caught[0].message).isprintable()


def test_clips_of_both_parts_count_once(tree):
    rows = cc.labelled_clips(wishes(["custom"]), data_dir=tree)
    cc.leave_desc_files(rows, {}, tree)
    first = (tree / "train_custom.csv").read_text().splitlines()[1]
    with (tree / "test_custom.csv").open("a") as file:
        file.write(f"{first}\n")
    with pytest.warns(UserWarning, match=r"^1 clip\(s\) are listed again, 0 of them"):
        assert cc.edited_desc_files(wishes(["custom"]), {}, tree).equals(rows)
