"""Tables of labelled clips: files, speakers, common labels."""

import os
import warnings

import pandas as pd
import pytest

import tables
from tables import COLUMNS, read_desc_file, write_desc_file


def rows_of(*rows):
    return pd.DataFrame(rows, columns=COLUMNS, dtype=tables.TEXT)


def test_a_desc_file_is_read_as_it_was_written(tmp_path):
    rows = rows_of(
        ("/a b/x,1.wav", "sad", "03", "emodb"),
        ('/"q".wav', "happy", "NA", "custom"),
        ("/Zo\udceb.wav", "ps", "007", "tess"),  # a name that is not Unicode
    )
    path = tmp_path / "made" / "on the way" / "clips.csv"
    write_desc_file(rows.assign(partition="train"), path)
    assert read_desc_file(path).equals(rows)
    assert path.read_bytes().splitlines()[0] == b"path,emotion,speaker,corpus"


def test_what_users_leave_out_is_filled_in(tmp_path):
    (tmp_path / "clips").mkdir()
    (tmp_path / "mine.csv").write_text("path,emotion\nclips/v7_s1_sad.wav,sad\n")
    (row,) = read_desc_file(tmp_path / "mine.csv").to_numpy().tolist()
    assert row == [str(tmp_path / "clips" / "v7_s1_sad.wav"), "sad", "v7", "custom"]
    (tmp_path / "bad.csv").write_text("file,emotion\nx.wav,sad\n")
    with pytest.raises(ValueError, match=r"bad\.csv has no column path"):
        read_desc_file(tmp_path / "bad.csv")
    with pytest.raises(FileNotFoundError, match=r"create_csv\.py"):
        read_desc_file(tmp_path / "absent.csv")


def test_speakers_of_two_corpora_are_two():
    rows = rows_of(("a", "sad", "03", "emodb"), ("b", "sad", "03", "ravdess"))
    assert tables.speaker_groups(rows).tolist() == ["emodb/03", "ravdess/03"]


def test_labels_are_mapped_or_left_out():
    rows = rows_of(*[(label, label, "1", "custom") for label in ("calm", "sad", "boredom")])
    mapped = tables.map_labels(rows, {"calm": "neutral", "boredom": None})
    assert mapped[["path", "emotion"]].to_numpy().tolist() == [["calm", "neutral"], ["sad", "sad"]]
    assert tables.map_labels(rows, None).to_numpy().tolist() == rows.to_numpy().tolist()
    with pytest.raises(ValueError, match=r"'clam'.*Did you mean 'calm'"):
        tables.map_labels(rows, {"clam": "neutral"})


@pytest.mark.parametrize(
    ("how", "speaker"),
    [
        ("folder", "ann"),
        (r"^([a-z]+)_", "call"),
        (r"_(?P<speaker>\d+)_(\w+)\.", "07"),
        ("(?i)_(SAD)", "sad"),
    ],
)
def test_the_name_of_a_recording_tells_the_speaker(how, speaker):
    assert tables.speaker_of("some/ann/call_07_sad.wav", how) == speaker


@pytest.mark.parametrize(
    ("how", "words"),
    [("(x)", "isn't found"), ("call", "no such group"), ("(", "isn't a regular expr")],
)
def test_a_speaker_who_cannot_be_told_is_an_error(how, words):
    with pytest.raises(ValueError, match=words):
        tables.speaker_of("call_07_sad.wav", how)


# what others have written


@pytest.mark.parametrize("column", COLUMNS[1:])
@pytest.mark.parametrize("text", ["sad\n9\nforged", "sad\x1b[2J", "das\u202e", "s" * 201])
def test_labels_of_a_table_are_one_line_of_plain_text(tmp_path, column, text):
    row = dict(zip(COLUMNS, ("a.wav", "sad", "ann", "custom"), strict=True)) | {column: text}
    pd.DataFrame([row]).to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(ValueError, match=rf"t\.csv: {column} must be one line") as caught:
        read_desc_file(tmp_path / "t.csv")
    assert str(caught.value).isprintable()


def test_what_is_no_table_names_the_file(tmp_path, monkeypatch):
    (tmp_path / "t.csv").write_bytes(b'path,emotion\n"a')
    with pytest.raises(ValueError, match=r"t\.csv isn't a table"):
        read_desc_file(tmp_path / "t.csv")
    (tmp_path / "t.csv").write_text("")
    with pytest.raises(ValueError, match=r"t\.csv isn't a table"):
        read_desc_file(tmp_path / "t.csv")
    with pytest.raises(OSError, match="is a directory"):
        read_desc_file(tmp_path)
    monkeypatch.setattr(tables, "LARGEST", 10)
    (tmp_path / "t.csv").write_text("path,emotion\na,sad\n")
    with pytest.raises(OSError, match="the limit is 10"):
        read_desc_file(tmp_path / "t.csv")


@pytest.mark.skipif(os.name != "posix", reason="FIFOs and devices are POSIX's")
def test_no_table_is_read_from_a_device(tmp_path):
    os.mkfifo(tmp_path / "fifo.csv")
    for path in (tmp_path / "fifo.csv", "/dev/zero"):
        with pytest.raises(OSError, match="isn't a regular file"):
            read_desc_file(path)


FORMULAS = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "＝1+1", "a;=1+1", "'=1", "''-2", "';=1"]


def test_no_cell_is_run_by_a_spreadsheet_and_ours_come_back(tmp_path):
    rows = rows_of(*[(f"/{x}", x.strip(), x.strip(), "custom") for x in [*FORMULAS, "'a", "a=1"]])
    write_desc_file(rows, tmp_path / "t.csv")
    assert read_desc_file(tmp_path / "t.csv").equals(rows)
    cells = pd.read_csv(tmp_path / "t.csv", dtype=str, keep_default_na=False).to_numpy().ravel()
    assert not [x for cell in cells for x in cell.split(";") if x[:1] in tuple("=+-@\t＝")]


def test_results_are_quoted_and_escaped_unless_they_are_wanted_raw():
    table = pd.DataFrame({"path": ["=1+1", "a\x1b\nb"], "=p": [-0.5, 1], "n": [1, 2]})
    assert tables.to_csv(table).splitlines() == [
        "path,'=p,n",
        "'=1+1,-0.5000,1",
        r"a\x1b\nb,1.0000,2",
    ]
    assert tables.to_csv(table, raw=True).startswith('path,=p,n\n=1+1,-0.5000,1\n"a\x1b\nb",')


def test_clips_that_are_listed_again_count_once():
    rows = rows_of(
        ("/a.wav", "sad", "1", "custom"),
        ("/b.wav", "sad", "1", "custom"),
        ("/x/../a.wav", "happy", "1", "custom"),
        ("/b.wav", "sad", "1", "custom"),
    )
    message = r"^2 clip\(s\) .*, 1 of them with another label: a.wav \(sad\) = a.wav \(happy\);"
    with pytest.warns(UserWarning, match=message):
        once = tables.listed_once(rows)
    assert once.equals(rows[:2])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert tables.listed_once(once) is once
        assert len(tables.listed_once(rows[:0])) == 0
