"""Labelled clips of any table, in one form; a sentence for each way in which it can be wrong."""

import datetime
import json
import unicodedata
import warnings

import numpy as np
import pandas as pd
import pytest

import table_files
from clip_tables import read_data, read_table, with_partition
from tables import COLUMNS, all_known

CSV = "path,emotion,speaker\na.wav,sad,ann\nb.wav,happy,ann\nc.wav,sad,bob\nd.wav,happy,bob\n"


@pytest.fixture
def folder(tmp_path):
    """A folder with files a.wav to f.wav, which nothing reads."""
    for name in "abcdef":
        (tmp_path / f"{name}.wav").touch()
    return tmp_path


def table_of(folder, *lines, name="t.csv", **settings):
    (folder / name).write_text("\n".join(lines), encoding="utf-8")
    return read_table(folder / name, **settings)


def frame_of(folder, **columns):
    n_rows = len(next(iter(columns.values())))
    paths = [str(folder / f"{name}.wav") for name in "abcdef"[:n_rows]]
    return pd.DataFrame({"path": paths, "speaker": [*"uvuvuv"][:n_rows]} | columns)


def test_a_csv_file_in_the_one_form(folder):
    rows = table_of(folder, *CSV.split("\n"))
    assert rows.columns.tolist() == COLUMNS and rows.index.tolist() == [0, 1, 2, 3]
    assert rows["path"].tolist() == [str(folder / f"{name}.wav") for name in "abcd"]
    assert rows.iloc[2].tolist()[1:] == ["sad", "bob", "t"]
    assert all(rows[name].dtype == object for name in COLUMNS)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("t.csv", CSV.encode("utf-8-sig")),
        ("t.csv", CSV.encode("utf-16")),
        ("t.csv", CSV.replace("\n", "\r\n").encode()),
        ("t.csv", CSV.replace(",", ";").encode()),
        ("t.csv", CSV.replace("\nb", "\n,,\n\nb").encode()),
        ("t.csv", CSV.replace("path,emotion,speaker", "File, LABEL ,Speaker ID").encode()),
        ("t.tsv", CSV.replace(",", "\t").encode()),
        ("t.jsonl", None),
        ("t.json", None),
    ],
)
def test_a_table_of_any_kind_of_text(folder, name, content):
    rows = [
        dict(zip(("wav", "class", "spk"), line.split(","), strict=True)) for line in CSV.split()[1:]
    ]
    if content is None:
        lines = "\n".join(map(json.dumps, rows)) if name == "t.jsonl" else json.dumps(rows)
        content = lines.encode()
    (folder / name).write_bytes(content)
    wanted = table_of(folder, *CSV.split("\n"), name="wanted.csv", columns={"path": "path"})
    assert read_table(folder / name).drop(columns="corpus").equals(wanted.drop(columns="corpus"))


def test_all_that_a_table_may_say(folder):
    lines = [
        "audio,mood,spk,split,onset,offset,lang,sex,text,db",
        "a.wav,sad,1,train,0,1.5,de,F,hallo,x",
        "a.wav,happy,1,dev,1.5,,de,f,du,x",
        "b.wav,Sehr Gut,2,test,,00:01:02.5,de,Mann,da,y",
        "b.wav,sehr gut ,2,Test,62.5,70,de,m,,y",
    ]
    columns = {"emotion": "mood", "corpus": "db"}
    rows = table_of(folder, *lines, columns=columns)
    assert rows["emotion"].tolist() == ["sad", "happy", "Sehr Gut", "Sehr Gut"]
    assert rows["partition"].tolist() == ["train", "train", "test", "test"]
    np.testing.assert_array_equal(rows["start"], [0, 1.5, np.nan, 62.5])
    np.testing.assert_array_equal(rows["end"], [1.5, np.nan, 62.5, 70])
    assert rows["gender"].tolist() == ["female", "female", "unknown", "male"]
    assert rows["corpus"].tolist() == ["x", "x", "y", "y"]
    assert rows["sentence"].tolist() == ["hallo", "du", "da", ""]
    assert read_table(rows).drop(columns=[]).equals(rows)  # its own form is read as it is


def test_labels_and_speakers_have_one_spelling(folder):
    mac = unicodedata.normalize("NFD", "fröhlich")
    rows = read_table(
        frame_of(
            folder, emotion=["HAPPY", " happy", "fröhlich", mac], speaker=["Anna", "anna", 1, 2.0]
        )
    )
    assert rows["emotion"].tolist() == ["happy", "happy", "fröhlich", "fröhlich"]
    assert rows["speaker"].tolist() == ["Anna", "Anna", "1", "2"]


def test_labels_in_any_script(folder):
    labels = ["怒り", "怒り", "очень рад", "очень рад", "غاضب", "غاضب"]
    assert read_table(frame_of(folder, label=labels))["emotion"].tolist() == labels


@pytest.mark.parametrize(
    ("label_map", "labels", "wanted"),
    [
        ({"Ab": "angry", "b": None}, "ab AB c c b b", "angry angry c c"),
        ("german", "Wut wut Freude FREUDE Unfug Unfug", "angry angry happy happy Unfug Unfug"),
        ("english", "anger joy anger joy ps ps", "angry happy angry happy ps ps"),
        ("emodb", "W w F F N N", "angry angry happy happy neutral neutral"),
    ],
)
def test_labels_are_mapped(folder, label_map, labels, wanted):
    rows = read_table(frame_of(folder, emotion=labels.split()), label_map=label_map)
    assert rows["emotion"].tolist() == wanted.split()


def test_a_label_to_map_that_isnt_there_is_pointed_out(folder):
    frame = frame_of(folder, emotion=["anger", "anger", "joy", "joy"])
    with pytest.raises(ValueError, match=r"label to map 'angr'.*Did you mean 'anger'"):
        read_table(frame, label_map={"angr": "angry"})
    with pytest.raises(ValueError, match=r"label map 'germann'.*Did you mean 'german'"):
        read_table(frame, label_map="germann")


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ([0, 1.5], [1.5, 3]),
        (["0", "1.5"], [" 1.5", "3"]),
        (["00:00:00", "0:00:01.5"], ["00:00:01.500", "00:00:03"]),
        (pd.to_timedelta([0, 1.5], "s"), pd.to_timedelta([1.5, 3], "s")),
        (["0 days 00:00:00", "0 days 00:00:01.500000"], ["0 days 00:00:01.500000", 3]),
        ([None, datetime.timedelta(seconds=1.5)], [np.timedelta64(1500, "ms"), np.nan]),
    ],
)
def test_times_are_read_in_any_form(folder, start, end):
    frame = frame_of(folder, label=["x", "y"], start=start, end=end)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        rows = read_table(frame.assign(path=frame["path"][0]))
    assert rows["start"].fillna(0).tolist() == [0, 1.5]
    assert rows["end"].fillna(3).tolist() == [1.5, 3]


def test_a_duration_counts_only_beside_a_start(folder):
    frame = frame_of(folder, label=[*"xyxy"]).assign(duration=2)
    assert "end" not in read_table(frame)
    for name in ("begin", "offset"):  # as in NeMo's manifests
        rows = read_table(frame.assign(**{name: 0.5}))
        assert rows["start"].tolist() == [0.5] * 4 and rows["end"].tolist() == [2.5] * 4


WRONG = {
    "no column path, nor.*it has a, emotion.*columns=": "a,emotion|x,sad",
    "no column emotion": "path,mood|a.wav,sad",
    r"emotion may be column 'label' or 'class'": "path,label,class|a.wav,sad,1",
    "several columns|may be column 'file' or 'wav'": "file,wav,label|a.wav,b.wav,sad",
    "has no rows": "path,emotion|",
    r"no label in 'emotion': row 3, row 5\. Fill": "path,emotion|a.wav,x|b.wav,|c.wav,x|d.wav,NaN",
    r"no path: row 3\.": "path,emotion|a.wav,sad|,sad",
    r"no such file: row 2 \('x\.wav'\), row 4 \('sub/a\.wav'\)\. Relative paths start at .*root=": (
        "path,emotion|x.wav,sad|a.wav,sad|sub/a.wav,happy"
    ),
    r"Did you mean 'a\.wav'": "path,emotion|aa.wav,sad",
    r"row 2 .*row 6 \('4\.wav'\), \.\.\. \(7 in all\)": (
        "path,emotion|" + "|".join(f"{i}.wav,sad" for i in range(7))
    ),
    "not the path of a file.*download recordings": "path,emotion|https://x.org/a.wav,sad",
    r"all 2 clips have the label 'sad', and training needs": "path,emotion|a.wav,sad|b.wav,sad",
    "no speaker in 'spk': row 3": "path,emotion,spk|a.wav,sad,1|b.wav,happy,",
    r"the end isn't after the start: row 2 \(\[2\. 1\.\]\), row 3": (
        "path,emotion,start,end|a.wav,sad,2,1|b.wav,happy,1,1|c.wav,happy,1,2"
    ),
    "a negative start: row 2": "path,emotion,start,end|a.wav,sad,-2,1",
    r"no time in 'end': row 2 \('1:30'\), row 3 \('1,5'\).*hh:mm:ss": (
        "path;emotion;end|a.wav;sad;1:30|b.wav;happy;1,5"
    ),
    "look like milliseconds": "path,emotion,start,end|a.wav,sad,1500,3200|b.wav,happy,0,900",
    "'offset' may be a start or an end": "path,emotion,offset|a.wav,sad,1",
    r"no partition: row 3 \('fold'\)\. Use train": (
        "path,emotion,split|a.wav,sad,train|b.wav,sad,fold"
    ),
    r"2 rows give one recording several labels: a\.wav \(sad, happy\)": (
        "path,emotion|a.wav,sad|./a.wav,happy|b.wav,happy"
    ),
    "more fields in its lines": "path,emotion|a.wav,sad,1",
    r"isn't a table with a line.*Expected 2 fields": "path,emotion|a.wav,sad|b.wav,sad,2,3",
    "no short line of plain text in 'emotion': row 2": "path,emotion|a.wav," + "x" * 201,
}


@pytest.mark.parametrize(("words", "text"), WRONG.items())
def test_what_is_wrong_with_a_table_is_said_in_one_sentence(folder, words, text):
    with pytest.raises((ValueError, FileNotFoundError), match=words) as caught:
        table_of(folder, *text.split("|"))
    message = str(caught.value)
    assert "t.csv" in message and "\n" not in message and len(message) < 700


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"path,emotion\na.wav,sad\nb.wav,s\0d", "NUL character in line 3.*CSV UTF-8"),
        ("path,emotion\na.wav,fröhlich".encode("cp1252"), "row 2.*Save the file as CSV UTF-8"),
        (b'{"path": "a.wav"\n', "line 1 isn't JSON"),
        (b'{"path": "a.wav"}\n3\n', "line 2 isn't"),
        (b"[]", "has no rows"),
    ],
)
def test_what_is_no_text_is_said(folder, content, words):
    (folder / "t.csv").write_bytes(content)
    with pytest.raises(ValueError, match=words):
        read_table(folder / "t.csv")


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"emotion": ["sad", 3, "happy"]}, r"numbers among the words in 'emotion': row 1 \('3'\)"),
        ({"emotion": ["sad", ["x"], "happy"]}, "no text in 'emotion': row 1"),
        ({"emotion": ["sad", None, "happy"]}, "no label in 'emotion': row 1"),
        ({"emotion": ["a", "b", "a"], "start": [True, 1, 2]}, "no time in 'start': row 0"),
        ({"emotion": ["a", "b", "a"], "speaker": [b"x", "y", "z"]}, "no text in 'speaker': row 0"),
        ({"emotion": ["a", "b", "a"], "path": ["x\0y"] * 3}, "not the path of a file"),
    ],
)
def test_mixed_types_are_refused(folder, columns, words):
    with pytest.raises(ValueError, match=words):
        read_table(frame_of(folder, **{"emotion": ["a", "b", "a"]} | columns))


WARNED = {
    "only one clip of 'rude' \\(c.wav\\)": [*"xx", "rude", *"xx"],
    "similar labels: 'angr' \\(2\\) and 'angry'": ["angr", "angr", "calm", "calm"],
}


@pytest.mark.parametrize("words", WARNED)
def test_what_is_odd_is_a_warning(folder, words):
    with pytest.warns(UserWarning, match=words):
        read_table(frame_of(folder, emotion=WARNED[words]))


def test_speakers_that_are_one_or_unknown_are_said(folder):
    frame = frame_of(folder, emotion=["x", "y", "x", "y"])
    with pytest.warns(UserWarning, match="all clips are of one speaker, 'ann'"):
        rows = read_table(frame.assign(speaker="ann"))
    assert all_known(rows["speaker"])
    with pytest.warns(UserWarning, match="each recording counts as its own speaker"):
        rows = read_table(frame.drop(columns="speaker"))
    assert rows["speaker"].nunique() == 4 and not all_known(rows["speaker"])


def test_a_clip_that_is_listed_again_counts_once(folder):
    frame = frame_of(folder, emotion=["x", "y", "x", "y"])
    with pytest.warns(UserWarning, match=r"1 row\(s\) repeat a clip, and are left out: a\.wav"):
        rows = read_table(pd.concat([frame, frame[:1]]))
    assert rows.equals(read_table(frame))
    own = frame.assign(path=frame["path"][0], start=[0, 1, 0, 1], end=[1, 2, 2, np.nan])
    assert len(read_table(own)) == 4


def test_a_table_from_windows_and_one_in_nfd(folder):
    name = unicodedata.normalize("NFD", "ä.wav")
    (folder / "sub").mkdir()
    (folder / "sub" / name).touch()
    lines = ["path,emotion,speaker", "sub\\ä.wav,x,1", "a.wav,y,2", "b.wav,x,1", "c.wav,y,1"]
    assert table_of(folder, *lines)["path"][0] == str(folder / "sub" / name)


def test_a_large_folder_is_listed_once(folder, monkeypatch):
    monkeypatch.setattr(table_files, "SCANNED", 2)
    monkeypatch.setattr(table_files.os.path, "isfile", None)
    lines = CSV.split("\n")
    assert len(table_of(folder, *lines)) == 4
    with pytest.raises(FileNotFoundError, match="row 5"):
        table_of(folder, *lines[:4], "g.wav,happy,bob")


def test_targets_that_are_numbers(folder):
    frame = frame_of(folder, arousal=[0.5, "1", 2], valence=[1, 2, 3], label=["x", "x", "x"])
    rows = read_table(frame, target=["arousal", "valence"])
    assert rows["arousal"].tolist() == [0.5, 1, 2] and rows["valence"].dtype == float
    assert rows["emotion"].tolist() == ["x"] * 3
    with pytest.raises(ValueError, match=r"no number in 'arousal': row 1 \(nan\)"):
        read_table(frame.assign(arousal=[1, None, 2]), target="arousal")
    with pytest.raises(ValueError, match="no column dominance"):
        read_table(frame, target="dominance")


def test_paths_alone_are_enough_to_predict(folder):
    rows = read_table(frame_of(folder, x=[1, 2, 3])[["path"]], target=None)
    assert len(rows) == 3 and "emotion" not in rows


def test_several_tables_are_one(folder):
    a = frame_of(folder, emotion=["x", "x"])[:2]
    b = frame_of(folder, emotion=["X", "y", "y", "y"])[2:].assign(language="de")
    rows = read_table([a, b])
    assert rows["emotion"].tolist() == ["x", "x", "y", "y"]
    assert rows["language"].tolist() == ["", "", "de", "de"]
    with pytest.raises(ValueError, match="Some of the tables have a column partition"):
        read_table([a.assign(split="train"), b])
    known = read_data([a, b])
    assert read_data(known) is known and known == read_data([a, b]) != read_data(
        b[["path"]].assign(label=[*"pq"], speaker=[*"pq"])
    )


def test_speakers_are_drawn_for_the_test_by_a_seed(folder):
    frame = pd.DataFrame(
        {"emotion": ["x", "y"] * 20, "speaker": [f"s{i // 4}" for i in range(40)], "corpus": "c"}
    )
    rows = with_partition(frame, 3)
    assert rows.equals(with_partition(frame, 3))
    assert any(not rows.equals(with_partition(frame, seed)) for seed in range(4, 9))
    sides = [set(rows["speaker"][rows["partition"] == part]) for part in ("train", "test")]
    assert not sides[0] & sides[1] and [len(own) for own in sides] == [8, 2]
    with pytest.raises(ValueError, match=r"at least two speakers, .* of 'c/s'"):
        with_partition(frame.assign(speaker="s"))
    with pytest.raises(ValueError, match="has no test clips"):
        with_partition(frame.assign(partition="train"))


def test_what_is_no_table_is_said(folder):
    with pytest.raises(FileNotFoundError, match="There is no table"):
        read_table(folder / "no.csv")
    with pytest.raises(TypeError, match="got int"):
        read_table(3)
    with pytest.raises(ValueError, match=r"no db\.yaml.*no recordings named"):
        read_table(folder)


def test_a_folder_of_named_files(folder):
    for name in ("ann_1_sad", "ann_2_rude", "Ann_3_sad", "bob_1_rude"):
        (folder / "sub").mkdir(exist_ok=True)
        (folder / "sub" / f"{name}.wav").touch()
    with pytest.warns(UserWarning, match=r"6 file\(s\) left out.*a\.wav"):
        rows = read_table(folder)
    assert set(rows["emotion"]) == {"sad", "rude"} and rows["speaker"].nunique() == 2


# audformat


def database(folder, splits=("train", "test")):
    """A small database, made by audformat."""
    audformat = pytest.importorskip("audformat")
    db = audformat.Database("mini", languages=["de"])
    db.schemes["emotion"] = audformat.Scheme(labels=["wut", "freude"])
    db.schemes["arousal"] = audformat.Scheme("float")
    db.schemes["speaker"] = audformat.Scheme(
        labels={"ann": {"gender": "female"}, "bob": {"gender": "male"}}
    )
    files = [f"{name}.wav" for name in "abcd"]
    db["files"] = audformat.Table(audformat.filewise_index(files))
    db["files"]["speaker"] = audformat.Column(scheme_id="speaker")
    db["files"]["speaker"].set(["ann", "ann", "bob", "bob"])
    for i, split in enumerate(splits):
        db.splits[split] = audformat.Split(split)
        own = files[2 * i : 2 * i + 2]
        index = audformat.segmented_index(
            [*own, own[1]], ["0s", "0s", "1.5s"], ["1s", "1.5s", pd.NaT]
        )
        db[f"emotion.{split}"] = audformat.Table(index, split_id=split)
        for name, values in (("emotion", ["wut", "freude", "wut"]), ("arousal", [0.5, 1, 0.2])):
            db[f"emotion.{split}"][name] = audformat.Column(scheme_id=name)
            db[f"emotion.{split}"][name].set(values)
    return db


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_a_folder_in_audformat(folder, form):
    database(folder).save(str(folder), storage_format=form)
    rows = read_table(folder, label_map="german").sort_values(["path", "start"], ignore_index=True)
    assert rows["emotion"].tolist() == ["angry", "happy", "angry"] * 2
    assert rows["speaker"].tolist() == ["ann"] * 3 + ["bob"] * 3
    assert rows["gender"].tolist() == ["female"] * 3 + ["male"] * 3
    assert rows["partition"].tolist() == ["train"] * 3 + ["test"] * 3
    assert rows["path"].tolist() == [str(folder / f"{name}.wav") for name in "abbcdd"]
    assert rows["end"].fillna(-1).tolist() == [1, 1.5, -1] * 2 and set(rows["corpus"]) == {"mini"}
    assert rows["language"].unique().tolist() == ["deu"]
    numbers = read_table(folder, target="arousal")
    assert sorted(numbers["arousal"]) == [0.2, 0.2, 0.5, 0.5, 1, 1]
    one = read_table(folder, table="emotion.train")
    assert len(one) == 3 and set(one["partition"]) == {"train"}
    (folder / "c.wav").unlink()
    with pytest.raises(FileNotFoundError, match=r"mini': no such file: file c\.wav"):
        read_table(folder)


def test_a_loaded_database(folder):
    db = database(folder)
    rows = read_table(db, root=folder)
    assert len(rows) == 6
    with pytest.raises(ValueError, match="table with emotion 'files'"):
        read_table(db, root=folder, table="files")
    with pytest.raises(ValueError, match="0 tables of 'mini' have a column dominance"):
        read_table(db, root=folder, target="dominance")


def test_nothing_in_an_audformat_folder_is_run(folder):
    database(folder).save(str(folder), storage_format="csv")
    header = (folder / "db.yaml").read_text()
    ran = folder / "ran"
    (folder / "db.yaml").write_text(f"{header}x: !!python/object/apply:os.mkdir ['{ran}']\n")
    with pytest.raises(ValueError, match="can't be read as audformat: could not determine"):
        read_table(folder)
    assert not ran.exists()
    (folder / "db.yaml").write_text(header)
    (folder / "db.files.pkl").write_bytes(b"cos\nmkdir\n(S'" + str(ran).encode() + b"'\ntR.")
    with pytest.raises(ValueError, match=r"pickles, which may run code.*db\.files\.pkl"):
        read_table(folder)
    assert not ran.exists()
    (folder / "db.files.pkl").unlink()
    (folder / "db.yaml").write_text("a: [")
    with pytest.raises(ValueError, match="can't be read as audformat"):
        read_table(folder)
