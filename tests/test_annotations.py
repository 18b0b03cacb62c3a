"""Segments and labels from files are read right or refused in a sentence; scores by an oracle."""

import json

import numpy as np
import pandas as pd
import pytest
from conftest import EMOTIONS
from pyannote.core import Annotation, Segment

import annotations
from annotations import check_within, evaluate_timeline, read_label_studio, read_segments
from formats import FORMATS, label_studio_tasks

TURNS = [(0.5, 2.0, "ann"), (1.5, 3.25, "bob"), (62.0, 3723.5, "ann")]
"""Of different speakers, overlapping."""


def rows_of(table):
    return [tuple(row) for row in table.itertuples(index=False)]


@pytest.fixture
def file(tmp_path):
    """Writes text or bytes to a file: its path."""

    def write(content, name="turns.csv"):
        data = content if isinstance(content, bytes) else content.encode()
        (tmp_path / name).write_bytes(data)
        return tmp_path / name

    return write


# who speaks when


def test_pyannotes_rttm_is_read(file):
    annotation = Annotation(uri="call")
    for i, (start, end, who) in enumerate(TURNS):
        annotation[Segment(start, end), i] = who
    text = (
        ";; a comment\n\n"
        + annotation.to_rttm()
        + "SPKR-INFO call 1 <NA> <NA> <NA> unknown ann <NA>"
    )
    for name in ("turns.rttm", "turns.txt"):
        table = read_segments(file(text, name))
        assert list(table.columns) == ["start", "end", "speaker"]
        assert rows_of(table) == TURNS
    two = file(text + "\nSPEAKER other 1 0 1 <NA> <NA> eve <NA> <NA>\n", "two.rttm")
    assert rows_of(read_segments(two, recording="other")) == [(0, 1, "eve")]
    with pytest.raises(ValueError, match=r"2 recordings \(call, other\); none of them is 'x'"):
        read_segments(two, recording="x")


@pytest.mark.parametrize(
    "text",
    [
        "start,end,speaker\n0.5,2,ann\n1.5,3.25,bob\n62,3723.5,ann\n",
        "\ufeffSpeaker;Begin;End;note\r\nann;0:00.5;0:02;x\r\nbob;1.5;3.25;\r\nann;1:02;1:02:03.5;\r\n",
        'spk\tonset\tduration\n"ann"\t.5\t1.5\nann\t62\t3661.5\nbob\t15e-1\t1.75\n\n',
    ],
)
def test_tables_of_many_programs_are_read(file, text):
    assert rows_of(read_segments(file(text))) == TURNS


def test_frames_are_read_and_timedeltas_are_no_seconds():
    table = pd.DataFrame(TURNS, columns=["start", "end", "speaker"])[::-1]
    assert rows_of(read_segments(table)) == TURNS
    table[["start", "end"]] = table[["start", "end"]].apply(pd.to_timedelta, unit="s")
    assert rows_of(read_segments(table)) == TURNS
    table["speaker"] = table["speaker"].map({"ann": 1, "bob": 2})
    assert rows_of(read_segments(table))[1] == (1.5, 3.25, "2")


def test_our_own_rttm_and_csv_are_read_back_as_emotions(file):
    table = pd.DataFrame({"start": [0.0, 2.0], "end": [1.0, 3.0], "emotion": ["sad", "żal"]})
    table = table.assign(confidence=0.5, sad=0.5)
    for form in ("rttm", "csv"):
        found = read_segments(file(FORMATS[form].to_text(table), f"x.{form}"), "emotion")
        assert rows_of(found) == [(0, 1, "sad"), (2, 3, "żal")]


HEAD = "start,end,speaker\n"
FAULTS = {
    HEAD + "1,2,a\n3,x,a\n4,,a\n5,nan,a\n6,inf,a\n7,1e999,a\n8,1_0,a\n": (
        "turns.csv, lines 3, 4, 5, 6, 7, ...: not a time in seconds. Times are like 12.5"
    ),
    HEAD + "-1,2,a\n": "turns.csv, line 2: start before 0 s",
    HEAD + "2,1,a\n3,3,a\n": "turns.csv, lines 2, 3: end before or at the start",
    HEAD + "1,2,\n": "turns.csv, line 2: no speaker",
    HEAD + f"1,2,{'x' * 300}\n": "turns.csv, line 2: speaker isn't short plain text",
    HEAD + "1,2,\x1b[2J\n": "turns.csv, line 2: speaker isn't short plain text",
    HEAD + "1,5,a\n2,3,b\n4,6,a\n": "turns.csv, line 4: overlap with another segment of the same",
    HEAD + "1,9,a\n2,3,a\n4,6,a\n": "turns.csv, lines 3, 4: overlap",
    HEAD + "1,2\n": "turns.csv, line 2: not 3 cells",
    HEAD: "turns.csv has no segments",
    "": "turns.csv has no column start and speaker and end, only none. Its name may be start: ",
    "start,end,mood\n1,2,x\n": "turns.csv has no column speaker, only start, end, mood. Its name",
    "start,speaker\n1,x\n": "has no column end",
    'start,end,speaker\n1,2,"' + "x" * 200_000: "turns.csv isn't a table, at line 2: field larger",
    "a\0b": "turns.csv isn't text: it has zero bytes",
    "SPEAKER x 1 0 1 <NA> <NA> a <NA> <NA>\nSPEAKER x 1 0\nfoo\n": "lines 2, 3: not a line of RTTM",
    "SPEAKER x 1 0 -1 <NA> <NA> a <NA> <NA>\n": "line 1: end before or at the start",
}


@pytest.mark.parametrize("text", FAULTS, ids=range(len(FAULTS)))
def test_each_fault_is_one_sentence_with_its_lines(file, text):
    with pytest.raises(ValueError) as caught:
        read_segments(file(text))
    assert FAULTS[text] in str(caught.value), str(caught.value)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 700


def test_what_is_no_text_or_no_file_is_refused(file, tmp_path, monkeypatch):
    with pytest.raises(ValueError, match=r"turns.csv isn't text in UTF-8"):
        read_segments(file(b"start,end\n\xff"))
    with pytest.raises(OSError, match="is a directory"):
        read_segments(tmp_path)
    monkeypatch.setattr(annotations, "LARGEST", 3)
    with pytest.raises(OSError, match="the limit is 3"):
        read_segments(file(HEAD))
    with pytest.raises(ValueError, match="The table, rows a, b: start before 0 s"):
        read_segments(pd.DataFrame({"start": -1, "end": 1, "speaker": "x"}, index=["a", "b"]))


def test_segments_beyond_the_end_of_a_recording_are_named():
    table = pd.DataFrame(TURNS, columns=["start", "end", "speaker"])
    check_within(table, 3723.495)
    with pytest.raises(ValueError, match=r"1 segment.* is 60.00 s long: 62 to 3723.5 s\. Do they"):
        check_within(table, 60)


# labels by people

CLIPS = pd.DataFrame(
    {"path": ["a/ż 1.wav", "b.wav"], "emotion": ["sad", "happy"], "confidence": [0.4, 0.9]}
)


def labelled(task, *values, kind="choices", cancelled=False, control="emotion"):
    """A task with an annotation as Label Studio exports it."""
    result = [{"from_name": control, "type": kind, "value": value} for value in values]
    own = {"result": result, "was_cancelled": cancelled, "completed_by": 1}
    return task | {"id": 7, "annotations": [*task.get("annotations", []), own]}


def test_labels_of_clips_come_back(file, tmp_path):
    first, second = json.loads(label_studio_tasks(CLIPS))
    done = [labelled(first, {"choices": ["angry"]}), labelled(second, {"choices": ["żal"]})]
    done.append(labelled(second, {"choices": ["sad"]}, cancelled=True))
    table = read_label_studio(file(json.dumps(done), "export.json"))
    assert table["path"].tolist() == [str(tmp_path / path) for path in CLIPS["path"]]
    assert table["emotion"].tolist() == ["angry", "żal"] and table["start"].isna().all()
    table = read_label_studio(tmp_path / "export.json", "elsewhere")
    assert table["path"].tolist() == ["elsewhere/a/ż 1.wav", "elsewhere/b.wav"]


def test_labels_of_parts_of_recordings_come_back(file):
    [task] = json.loads(label_studio_tasks(CLIPS[:1]))
    parts = [{"start": 0.5, "end": 2, "labels": ["sad"], "channel": 0}]
    parts.append({"start": 3, "end": 4.25, "labels": ["happy"]})
    done = labelled(labelled(task, *parts, kind="labels"), {"text": ["?"]}, control="note")
    found = read_label_studio(file(json.dumps([done]), "e.json"), "x")
    assert found[["emotion", "start", "end"]].values.tolist() == [
        ["sad", 0.5, 2],
        ["happy", 3, 4.25],
    ]


@pytest.mark.parametrize(
    "export",
    [
        json.dumps(
            [
                {"audio": "/data/upload/3/0a1b2c3d-b.wav", "emotion": "sad", "annotator": 1},
                {"audio": "/data/upload/3/0a1b2c3d-b.wav", "emotion": "sad", "annotator": 2},
                {"audio": "c.wav", "emotion": [{"start": 1, "end": 2, "labels": ["happy"]}]},
                {"audio": "d.wav"},
            ]
        ),
        "annotator,audio,emotion\n1,/data/upload/3/0a1b2c3d-b.wav,sad\n"
        '2,http://host/x/c.wav?y=1,"[{""start"": 1, ""end"": 2, ""labels"": [""happy""]}]"\n'
        "3,d.wav,\n",
        "audio\temotion\n/data/local-files/?d=b.wav\tsad\n"
        'c.wav\t"[{""start"":1,""end"":2,""labels"":[""happy""]}]"\n',
    ],
    ids=["json-min", "csv", "tsv"],
)
def test_all_exports_are_read(file, export):
    found = read_label_studio(file(export, "export.txt"), "f")
    assert found["path"].tolist() == ["f/b.wav", "f/c.wav"]
    assert found["emotion"].tolist() == ["sad", "happy"]
    assert found["start"].tolist()[1] == 1 and np.isnan(found["end"][0])


def test_several_labels_of_a_clip_are_kept_and_named(file):
    done = [{"audio": "b.wav", "emotion": emotion} for emotion in ("sad", "happy", "sad")]
    with pytest.warns(UserWarning, match=r"1 clip\(s\) have several labels: b.wav"):
        found = read_label_studio(file(json.dumps(done), "e.json"))
    assert found["emotion"].tolist() == ["sad", "happy"]


@pytest.mark.parametrize(
    ("export", "words"),
    [
        ("[1]", "e.json, task 1: it isn't an export of Label Studio"),
        ('[{"audio": 1, "emotion": "x"}]', "e.json, task 1"),
        ('[{"sound": "x.wav", "emotion": "x"}]', "named 'audio'"),
        ('[{"audio": "x.wav"}]', "e.json has no labels named 'emotion'"),
        ('[{"audio": "x.wav", "emotion": "\\u001b[2J"}]', "isn't a label of short plain text"),
        ('[{"audio": "x.wav", "emotion": [{"start": {}, "labels": ["x"]}]}]', "task 1"),
        ('[{"audio": "x.wav", "annotations": {"result": 1}}]', "task 1"),
        ('[{"audio": "", "emotion": "x"}]', "without a name"),
        (
            '[{"audio": "x.wav", "emotion": [{"labels": [""]}]}]',
            "'' isn't a label of short plain text",
        ),
        (
            '[{"audio": "x.wav", "emotion": [{"start": 2, "end": 1, "labels": ["x"]}]}]',
            "2.0 to 1.0",
        ),
        ("[" * 100_000, "e.json isn't JSON"),
        ("{", "e.json isn't JSON"),
        ("", "e.json has no labels"),
    ],
)
def test_what_label_studio_never_exports_is_refused(file, export, words):
    with pytest.raises(ValueError, match=r"e\.json") as caught:
        read_label_studio(file(export, "e.json"))
    assert words in str(caught.value) and len(str(caught.value)) < 500


# scores


def joined(rng, n, speakers=None):
    """Segments on a grid of 10 ms with pauses between, of one or more speakers."""
    rows = []
    for who in speakers or [None]:
        edges = np.sort(rng.choice(np.arange(1, 6000), 2 * n, replace=False)) / 100
        for start, end in edges.reshape(-1, 2):
            rows.append((start, end, rng.choice(["neutral", *"abc"]), who))
    table = pd.DataFrame(rows, columns=["start", "end", "emotion", "speaker"])
    return table if speakers else table.drop(columns="speaker")


def frames(table, duration=60):
    """The emotions in each frame of 10 ms: list of set."""
    found = [set() for _ in range(100 * duration)]
    for row in table.itertuples():
        for i in range(round(100 * row.start), round(100 * row.end)):
            found[i].add(row.emotion)
    return found


def by_frames(truth, table):
    """EDER and its parts, frame by frame."""
    seconds = dict.fromkeys(("false_alarm", "missed", "confusion", "overlap", "duration"), 0)
    for true, found in zip(frames(truth), frames(table), strict=True):
        seconds["duration"] += bool(true)
        true, found = true - {"neutral"}, found - {"neutral"}
        if not true and found:
            seconds["false_alarm"] += 1
        elif true and not found:
            seconds["missed"] += 1
        elif true and not true & found:
            seconds["confusion"] += 1
        elif found - true:
            seconds["overlap"] += 1
    return {name: n / 100 for name, n in seconds.items()}


def segment_recalls(truth, table):
    """Recall by emotion, each segment by counting its frames."""
    hits, grid = {}, frames(table)
    for row in truth.itertuples():
        counts = {}
        for own in grid[round(100 * row.start) : round(100 * row.end)]:
            for emotion in own:
                counts[emotion] = counts.get(emotion, 0) + 1
        best = max(counts.values(), default=0)
        tied = sorted(emotion for emotion, n in counts.items() if n == best)
        hits.setdefault(row.emotion, []).append(tied[:1] == [row.emotion])
    return {emotion: np.mean(own) for emotion, own in hits.items()}


@pytest.mark.parametrize("seed", range(6))
def test_scores_are_those_of_a_frame_grid(seed):
    rng = np.random.default_rng(seed)
    truth, table = joined(rng, 40), joined(rng, 60)
    if seed % 2:  # a table may overlap itself, as of several speakers without names
        table = pd.concat([table, joined(rng, 30)], ignore_index=True)
    found = evaluate_timeline(table, truth)
    for name, value in by_frames(truth, table).items():
        assert found[name] == pytest.approx(value, abs=1e-9), name
    errors = sum(found[name] for name in ("false_alarm", "missed", "confusion", "overlap"))
    assert found["eder"] == pytest.approx(errors / found["duration"])
    assert found["recall"] == pytest.approx(segment_recalls(truth, table))
    assert found["uar"] == pytest.approx(np.mean(list(found["recall"].values())))
    whole = evaluate_timeline(table, truth, duration=60)
    assert whole["eder"] == pytest.approx(errors / 60)


def test_each_speaker_is_compared_with_that_speaker():
    rng = np.random.default_rng(0)
    truth, table = joined(rng, 20, ["ann", "bob"]), joined(rng, 30, ["ann", "bob", "eve"])
    found = evaluate_timeline(table, truth)
    own = [
        by_frames(*(t[t["speaker"] == who] for t in (truth, table)))
        for who in ("ann", "bob", "eve")
    ]
    for name in own[0]:
        assert found[name] == pytest.approx(sum(one[name] for one in own), abs=1e-9)
    assert found["n_segments"] == 40
    mixed = evaluate_timeline(table.drop(columns="speaker"), truth)
    assert (
        mixed["duration"]
        < found["duration"]
        == pytest.approx((truth["end"] - truth["start"]).sum())
    )


def test_the_truth_has_no_errors_and_nothing_has_them_all():
    truth = joined(np.random.default_rng(0), 20)
    right = evaluate_timeline(truth, truth)
    assert right["uar"] == 1 and right["eder"] == 0
    nothing = evaluate_timeline(truth[:0], truth)
    assert nothing["uar"] == 0 and 0 < nothing["missed"] == nothing["eder"] * nothing["duration"]
    strict = evaluate_timeline(truth[:0], truth, neutral=None)
    assert strict["eder"] == pytest.approx(1)


def test_speechbrains_example():
    """The error of the authors' own example, whose windows are of 0.2 s."""
    start = 0.2 * np.arange(6)
    emotions = ["neutral"] * 3 + ["angry"] * 3
    table = pd.DataFrame({"start": start, "end": start + 0.2, "emotion": emotions})
    truth = pd.DataFrame({"start": [0.39], "end": [1.10], "emotion": ["angry"]})
    found = evaluate_timeline(table, truth, duration=1.22)
    # theirs counts the 0.02 s after the last window, too
    assert found["eder"] == pytest.approx(0.2704918032786885 - 0.02 / 1.22)
    assert found["uar"] == 1


def test_a_bundled_recognizer_is_scored_on_joined_recordings(rec, talk_of_the_truth):
    y, truth, sr = talk_of_the_truth
    found = evaluate_timeline(rec.predict_timeline(y, sr=sr), truth)
    assert found["n_segments"] == len(truth) and list(found["recall"]) == sorted(EMOTIONS)
    assert found["uar"] > 0.6 and found["eder"] < 0.5
    turns = truth.assign(speaker=[f"v{i % 2}" for i in range(len(truth))])
    by_turn = rec.predict_timeline(y, sr=sr, segments=turns)
    found = evaluate_timeline(by_turn, turns)
    assert found["uar"] > 0.6 and found["false_alarm"] + found["missed"] < 0.5 * found["duration"]


@pytest.fixture
def talk_of_the_truth(rec):
    """Test clips joined with pauses: samples, where they are and their true emotions, rate."""
    from audio import load_audio

    pause, parts, rows, n = np.zeros(16000, np.float32), [], [], 0
    for clip in rec.test_rows_[::3].itertuples():
        y = load_audio(clip.path)
        rows.append(((n + 16000) / 16000, (n + 16000 + len(y)) / 16000, clip.emotion))
        parts += [pause, y]
        n += 16000 + len(y)
    truth = pd.DataFrame(rows, columns=["start", "end", "emotion"])
    return np.concatenate([*parts, pause]), truth, 16000
