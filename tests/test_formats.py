"""Timelines in other programs' formats, read by readers that aren't ours."""

import json
import xml.etree.ElementTree as ET

import numpy as np
import pandas as pd
import pympi
import pytest
import tgt
import webvtt
from pyannote.database.util import load_rttm

from checks import printable
from formats import FORMATS, WRITERS, label_studio_config, label_studio_tasks, segments

ODD = ('"sad"', "a <b> & 'c' {d}", "żal\n\n2\n00:01 --> 00:02", "怒り 　x", "غضب\t", "]]>", "\\n")
"""Labels with what the formats have in their own grammar, in several scripts."""


def timeline(labels, speakers=None, duration=20.0):
    """A timeline of rows of 1 s, each half a second after the one before."""
    start = 0.25 + 1.5 * np.arange(len(labels))
    table = pd.DataFrame({"start": start, "end": start + 1, "emotion": labels})
    if speakers:
        table.insert(2, "speaker", speakers)
    table["confidence"] = np.linspace(0.5, 0.9, len(labels))
    table["sad"], table["happy"] = table["confidence"], 1 - table["confidence"]
    table.attrs = {"duration": duration, "warnings": {}}
    return table


TURNS = timeline(["sad", "happy", None, "sad"], ["ann", "böb & <co>", "ann", "ann"])
TURNS.loc[1, ["start", "end"]] = 0.5, 2.0  # while ann speaks


def written(form, table, folder, **how):
    path = folder / f"x{FORMATS[form].ending}"
    path.write_text(FORMATS[form].to_text(table, **how), encoding="utf-8")
    return path


def expected(table):
    rows = segments(table).itertuples()
    return [(round(r.start, 3), round(r.end, 3), printable(r.emotion)) for r in rows]


def test_praat_reads_the_tiers(tmp_path):
    table = timeline(ODD)
    grid = tgt.io.read_textgrid(written("textgrid", table, tmp_path), encoding="utf-8")
    assert grid.get_tier_names() == ["emotion", "confidence"]
    tier = grid.get_tier_by_name("emotion")
    found = [(i.start_time, i.end_time, i.text.replace('""', '"')) for i in tier.intervals]
    assert found == expected(table)
    assert (tier.start_time, tier.end_time) == (0, 20)
    shares = [float(i.text) for i in grid.get_tier_by_name("confidence").intervals]
    assert shares == table["confidence"].round(2).tolist()


def test_the_intervals_of_a_textgrid_have_no_gaps(tmp_path):
    path = written("textgrid", timeline(["sad", "happy"]), tmp_path)
    grid = tgt.io.read_textgrid(path, include_empty_intervals=True)
    tier = grid.get_tier_by_name("emotion")
    found = [(i.start_time, i.end_time, i.text) for i in tier.intervals]
    named = [(0.25, 1.25, "sad"), (1.75, 2.75, "happy")]
    assert found == [(0, 0.25, ""), named[0], (1.25, 1.75, ""), named[1], (2.75, 20, "")]


def test_a_textgrid_has_the_tiers_of_each_speaker(tmp_path):
    grid = tgt.io.read_textgrid(written("textgrid", TURNS, tmp_path), encoding="utf-8")
    names = [f"{what}@{who}" for who in ("ann", "böb & <co>") for what in ("emotion", "confidence")]
    assert grid.get_tier_names() == names
    own = [i.text for i in grid.get_tier_by_name("emotion@ann").intervals]
    assert own == ["sad", "sad"]


@pytest.mark.parametrize("table", [timeline(ODD), TURNS], ids=["odd labels", "turns"])
def test_elan_reads_the_tiers(table, tmp_path):
    eaf = pympi.Elan.Eaf(str(written("eaf", table, tmp_path, audio="a folder/a & ü.wav")))
    found = []
    for name in eaf.get_tier_names():
        if name.startswith("emotion"):
            own = eaf.get_annotation_data_for_tier(name)
            found += [(start / 1000, end / 1000, text) for start, end, text in own]
            below = eaf.get_child_tiers_for(name)
            assert below == [name.replace("emotion", "confidence")]
            linked = eaf.get_ref_annotation_data_for_tier(below[0])
            assert len(linked) == len(own) and all(0 <= float(row[2]) <= 1 for row in linked)
    assert sorted(found) == sorted(expected(table))
    [media] = eaf.get_linked_files()
    assert media["RELATIVE_MEDIA_URL"] == "./a%20%26%20%C3%BC.wav"
    who = {eaf.get_parameters_for_tier(name).get("PARTICIPANT") for name in eaf.get_tier_names()}
    assert who == ({"ann", "böb & <co>"} if "speaker" in table else {None})


def test_pyannote_reads_the_segments(tmp_path):
    path = written("rttm", timeline(ODD), tmp_path, audio="calls/my call.wav", channel=2)
    [(name, found)] = load_rttm(path).items()
    assert name == "my_call"
    tracks = [(s.start, s.end, label) for s, _, label in found.itertracks(yield_label=True)]
    for (start, end, label), (a, b, text) in zip(tracks, expected(timeline(ODD)), strict=True):
        assert (start, end) == pytest.approx((a, b), abs=1e-3)
        assert label == "_".join(text.split()).replace('"', "'")
    assert {line.split()[2] for line in path.read_text().splitlines()} == {"2"}


@pytest.mark.parametrize("table", [timeline(ODD), TURNS], ids=["odd labels", "turns"])
def test_web_pages_read_the_cues(table, tmp_path):
    captions = webvtt.read(written("vtt", table, tmp_path)).captions
    rows = list(segments(table).itertuples())
    assert len(captions) == len(rows)
    for caption, row in zip(captions, rows, strict=True):
        assert caption.start_in_seconds == int(row.start)
        text = caption.text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
        assert text == f"{printable(row.emotion)} ({row.confidence:.0%})"
    if "speaker" in table:
        assert captions[0].voice == "ann" and "&lt;co&gt;" in captions[1].raw_text
    else:
        assert not any("<" in caption.raw_text for caption in captions)


def test_label_studio_has_regions_with_scores_for_its_interface():
    [task] = json.loads(FORMATS["labelstudio"].to_text(TURNS, audio="calls/ä b.wav"))
    assert task["data"] == {"audio": "/data/local-files/?d=calls/%C3%A4%20b.wav"}
    [prediction] = task["predictions"]
    assert prediction["score"] == pytest.approx(segments(TURNS)["confidence"].mean())
    view = ET.fromstring(label_studio_config(["sad", "happy", 'a<"&'], regions=True))
    control, sound = view.find("Labels"), view.find("Audio")
    assert sound.get("value") == "$audio" and control.get("toName") == sound.get("name")
    values = [label.get("value") for label in control]
    assert values == ["sad", "happy", 'a<"&']
    ids = set()
    for result, row in zip(prediction["result"], segments(TURNS).itertuples(), strict=True):
        assert (result["from_name"], result["to_name"]) == (control.get("name"), sound.get("name"))
        assert result["type"] == "labels" and set(result["value"]["labels"]) <= set(values)
        assert (result["value"]["start"], result["value"]["end"]) == (row.start, row.end)
        assert result["score"] == row.confidence and result["original_length"] == 20
        assert result["meta"] == {"text": [row.speaker]}
        ids.add(result["id"])
    assert len(ids) == len(segments(TURNS))
    [task] = json.loads(FORMATS["labelstudio"].to_text(TURNS, audio="https://a.org/x.wav?y=1"))
    assert task["data"] == {"audio": "https://a.org/x.wav?y=1"}


def test_label_studio_has_clips_with_choices():
    table = pd.DataFrame(
        {"path": ["a.wav", "b.wav"], "emotion": ["sad", None], "confidence": [0.4, 0.0]}
    )
    first, second = json.loads(label_studio_tasks(table))
    [result] = first["predictions"][0]["result"]
    view = ET.fromstring(label_studio_config(["sad"]))
    assert result["from_name"] == view.find("Choices").get("name")
    assert result["type"] == "choices" and result["value"] == {"choices": ["sad"]}
    assert first["predictions"][0]["score"] == 0.4 and "predictions" not in second
    [task] = json.loads(label_studio_tasks(table[["path"]][:1]))
    assert task == {"data": {"audio": "/data/local-files/?d=a.wav"}}


@pytest.mark.parametrize("form", WRITERS)
def test_a_timeline_without_rows_can_be_written(form, tmp_path):
    for table in (timeline([]), TURNS[:0]):
        table.attrs = {"duration": 3.0, "warnings": {}}
        path = written(form, table, tmp_path)
    if form == "textgrid":
        assert tgt.io.read_textgrid(path).get_tier_names() == []
    if form == "eaf":
        assert pympi.Elan.Eaf(str(path)).get_linked_files() == []
    if form == "rttm":
        assert load_rttm(path) == {}
    if form == "vtt":
        assert webvtt.read(path).captions == []


def test_turns_without_an_emotion_are_null_in_json_and_in_no_other_format():
    rows = json.loads(FORMATS["json"].to_text(TURNS))["rows"]
    assert [row["emotion"] for row in rows] == ["sad", "happy", None, "sad"]
    for form in ("srt", "vtt", "audacity", "textgrid", "eaf", "rttm", "labelstudio"):
        text = FORMATS[form].to_text(TURNS)
        assert "nan" not in text.lower() and "None" not in text, form
    assert "ann: sad" in FORMATS["srt"].to_text(TURNS)
