"""Output formats of timelines: tables, subtitles, Praat, ELAN, ..., and pictures.

    FORMATS["textgrid"].to_text(table)              # also eaf, rttm, vtt, srt, labelstudio, ...
    draw_timeline("call.wav", table)                # the picture
    label_studio_tasks(rec.rank(paths)[:50])        # clips for people to label

A timeline is a DataFrame with the columns start and end (seconds), optionally speaker, emotion,
confidence, and the probability of each emotion. Its `attrs` may have duration (seconds) and
warnings.
"""

import json
import math
import os
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote, urlsplit

import numpy as np

from audio import stream_audio
from checks import printable
from parameters import SAMPLE_RATE
from plotting import colours, new_figure
from tables import to_csv

NO_MARKUP = str.maketrans("<>{}", "‹›()")  # SubRip has no way to escape its tags and arrows
MARKUP = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
XSI = "{http://www.w3.org/2001/XMLSchema-instance}noNamespaceSchemaLocation"


# timelines


def emotions_of(table):
    """The emotions of a timeline, the names of its last columns: list of str.

    Parameters
    ----------
    table : DataFrame
    """
    return list(table.columns[table.columns.get_loc("confidence") + 1 :])


def segments(table):
    """Merge adjacent rows with the same emotion: DataFrame of start, end, emotion, confidence.

    Turns of speakers aren't merged, and have a column speaker. Rows without an emotion are left
    out.

    Parameters
    ----------
    table : DataFrame of `predict_timeline`

    Raises
    ------
    ValueError
        For a timeline of numbers.
    """
    if "emotion" not in table:
        raise ValueError(
            "A timeline of numbers has no emotions to write in this format; use csv, json or png."
        )
    if "speaker" in table:
        columns = ["start", "end", "speaker", "emotion", "confidence"]
        return table.loc[table["emotion"].notna(), columns].reset_index(drop=True)
    follows = table["start"].sub(table["end"].shift()).abs().lt(1e-3)
    same = follows & table["emotion"].eq(table["emotion"].shift())
    how = {"start": "first", "end": "last", "emotion": "first", "confidence": "mean"}
    groups = table.groupby((~same).cumsum(), sort=False)
    return groups.agg(how).reset_index(drop=True)


def records(table):
    """The rows of a table for JSON: list of dict, with None for missing values.

    Parameters
    ----------
    table : DataFrame
    """
    return table.astype(object).where(table.notna(), None).to_dict("records")


def in_words(table, title):
    """Format the segments, or the rows of numbers, as text: str.

    Parameters
    ----------
    table : DataFrame of `predict_timeline`
    title : str
        Name of the recording.
    """
    rows = segments(table) if "emotion" in table else table
    text = rows.to_string(index=False, float_format="{:.2f}".format) if len(rows) else "  no speech"
    return f"\n{title}: {len(table)} rows in {table.attrs['duration']:.1f} s\n{text}"


def _tiers(table):
    """The segments by speaker: dict of str, or None for unknown speakers, to DataFrame."""
    rows = segments(table)
    if "speaker" not in rows:
        return {None: rows}
    return {speaker: rows[rows["speaker"] == speaker] for speaker in table["speaker"].unique()}


def _tier_name(what, speaker):
    """The name of a tier as in ELAN: the tier, @, and the speaker."""
    return what if speaker is None else f"{what}@{printable(speaker)}"


def _duration(table):
    ends = table["end"].max() if len(table) else 0.0
    return float(max(table.attrs.get("duration", 0.0), ends))


def _clock(seconds, separator):
    ms = round(1000 * seconds)
    hours, minutes, ms = ms // 3600000, ms // 60000 % 60, ms % 60000
    return f"{hours:02d}:{minutes:02d}:{ms // 1000:02d}{separator}{ms % 1000:03d}"


def to_srt(table):
    """Format the segments as subtitles (SubRip): str.

    Parameters
    ----------
    table : DataFrame of `predict_timeline`
    """
    lines = []
    for i, row in enumerate(segments(table).itertuples(), 1):
        label = printable(row.emotion).translate(NO_MARKUP)
        who = f"{printable(row.speaker).translate(NO_MARKUP)}: " if hasattr(row, "speaker") else ""
        times = f"{_clock(row.start, ',')} --> {_clock(row.end, ',')}"
        lines.append(f"{i}\n{times}\n{who}{label} ({row.confidence:.0%})\n")
    return "\n".join(lines)


def to_webvtt(table):
    """Format the segments as WebVTT, subtitles for web pages, with speakers as voices: str.

    Parameters
    ----------
    table : DataFrame of `predict_timeline`
    """
    cues = ["WEBVTT\n"]
    for row in segments(table).itertuples():
        label = f"{printable(row.emotion).translate(MARKUP)} ({row.confidence:.0%})"
        if hasattr(row, "speaker"):
            label = f"<v {printable(row.speaker).translate(MARKUP)}>{label}"
        cues.append(f"{_clock(row.start, '.')} --> {_clock(row.end, '.')}\n{label}\n")
    return "\n".join(cues)


def to_audacity(table):
    """Format the segments as labels that Audacity imports (File, Import, Labels): str.

    Parameters
    ----------
    table : DataFrame of `predict_timeline`
    """
    rows = segments(table).itertuples()
    lines = (f"{row.start:.3f}\t{row.end:.3f}\t{printable(row.emotion)}\n" for row in rows)
    return "".join(lines)  # without tabs and line breaks in them


def to_json(table):
    """Format duration, warnings and all rows as one JSON document: str.

    Parameters
    ----------
    table : DataFrame of `predict_timeline`
    """
    return json.dumps(table.attrs | {"rows": records(table)}, indent=1) + "\n"


def to_textgrid(table):
    """Format the segments as a TextGrid of Praat: str.

    It has a tier of emotions and one of confidences, or both for each speaker. Intervals without an
    emotion have empty labels.

    Parameters
    ----------
    table : DataFrame of `predict_timeline`
    """
    duration, tiers = _duration(table), []
    for speaker, rows in _tiers(table).items():
        for what, texts in (
            ("emotion", map(printable, rows["emotion"])),
            ("confidence", map("{:.2f}".format, rows["confidence"])),
        ):
            intervals = _without_gaps(zip(rows["start"], rows["end"], texts, strict=True), duration)
            tiers.append((_tier_name(what, speaker), intervals))
    head = ['File type = "ooTextFile"', 'Object class = "TextGrid"', ""]
    span = ["xmin = 0", f"xmax = {duration:g}"]
    lines = [*head, *span, "tiers? <exists>", f"size = {len(tiers)}", "item []:"]
    for i, (name, intervals) in enumerate(tiers, 1):
        lines += [f"item [{i}]:", 'class = "IntervalTier"', f"name = {_quoted(name)}", *span]
        lines.append(f"intervals: size = {len(intervals)}")
        for j, (start, end, text) in enumerate(intervals, 1):
            lines += [f"intervals [{j}]:", f"xmin = {start:.3f}", f"xmax = {end:.3f}"]
            lines.append(f"text = {_quoted(text)}")
    return "\n".join(lines) + "\n"


def _quoted(text):
    return '"' + text.replace('"', '""') + '"'


def _without_gaps(intervals, duration):
    """Intervals from 0 to the end, gaps filled by empty ones: list of (start, end, text)."""
    found, last = [], 0.0
    for start, end, text in (*intervals, (duration, duration, "")):
        if start - last >= 5e-4:  # half a millisecond: times are written in milliseconds
            found.append((last, start, ""))
        if end > (start := max(start, last)):
            found.append((start, end, text))
        last = max(last, end)
    return found


def to_rttm(table, audio=None, channel=1):
    """Format the segments as RTTM (NIST's Rich Transcription Time Marked): str.

    The emotion is in the field of the speaker's name. RTTM can't escape white space, which becomes
    _, or double quotes, which some readers interpret and which become '.

    Parameters
    ----------
    table : DataFrame of `predict_timeline`
    audio : path, optional
        The recording, which each line names.
    channel : int
        From 1.
    """

    def word(text):
        return re.sub(r"\s+", "_", printable(text).strip()).replace('"', "'") or "<NA>"

    name = word(Path(audio).stem if audio else "recording")
    return "".join(
        f"SPEAKER {name} {channel} {row.start:.3f} {row.end - row.start:.3f} <NA> <NA> "
        f"{word(row.emotion)} {row.confidence:.3f} <NA>\n"
        for row in segments(table).itertuples()
    )


def to_elan(table, audio=None):
    """Format the segments as an annotation document of ELAN (EAF 3.0): str.

    It has a tier of emotions (for each speaker, if speakers are known), each with a child tier of
    confidences. The date is that of the epoch, so that equal tables give equal documents.

    Parameters
    ----------
    table : DataFrame of `predict_timeline`
    audio : path, optional
        The recording to link to; ELAN also looks beside the document.
    """
    own = {"AUTHOR": "", "DATE": "1970-01-01T00:00:00+00:00", "FORMAT": "3.0", "VERSION": "3.0"}
    root = ET.Element(
        "ANNOTATION_DOCUMENT", own | {XSI: "http://www.mpi.nl/tools/elan/EAFv3.0.xsd"}
    )
    header = ET.SubElement(root, "HEADER", MEDIA_FILE="", TIME_UNITS="milliseconds")
    if audio and str(audio) != "-":
        path = Path(audio).absolute()
        place = {
            "MEDIA_URL": path.as_uri(),
            "RELATIVE_MEDIA_URL": f"./{quote(os.fsencode(path.name))}",
        }
        ET.SubElement(header, "MEDIA_DESCRIPTOR", place | {"MIME_TYPE": "audio/*"})
    order, times, number = ET.SubElement(root, "TIME_ORDER"), [], 0
    for speaker, rows in _tiers(table).items():
        who = {} if speaker is None else {"PARTICIPANT": printable(speaker)}
        upper, lower = (_tier_name(what, speaker) for what in ("emotion", "confidence"))
        tier = ET.SubElement(
            root, "TIER", {"TIER_ID": upper, "LINGUISTIC_TYPE_REF": "emotion"} | who
        )
        below = {"TIER_ID": lower, "LINGUISTIC_TYPE_REF": "confidence", "PARENT_REF": upper} | who
        below = ET.SubElement(root, "TIER", below)
        for row in rows.itertuples():
            number += 1
            own, times = f"a{number}", [*times, row.start, row.end]
            slots = {f"TIME_SLOT_REF{i}": f"ts{len(times) - 2 + i}" for i in (1, 2)}
            _annotation(tier, "ALIGNABLE_ANNOTATION", own, row.emotion, slots)
            link = {"ANNOTATION_REF": own}
            _annotation(below, "REF_ANNOTATION", f"{own}c", f"{row.confidence:.2f}", link)
    for i, time in enumerate(times, 1):
        slot = {"TIME_SLOT_ID": f"ts{i}", "TIME_VALUE": str(round(1000 * time))}
        ET.SubElement(order, "TIME_SLOT", slot)
    _tier_type(root, "emotion", "true")
    _tier_type(root, "confidence", "false", CONSTRAINTS="Symbolic_Association")
    text = "1-1 association with a parent annotation"
    ET.SubElement(root, "CONSTRAINT", DESCRIPTION=text, STEREOTYPE="Symbolic_Association")
    ET.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(root, "unicode")}\n'


def _annotation(tier, kind, name, text, places):
    own = ET.SubElement(ET.SubElement(tier, "ANNOTATION"), kind, {"ANNOTATION_ID": name} | places)
    ET.SubElement(own, "ANNOTATION_VALUE").text = printable(text)


def _tier_type(root, name, alignable, **more):
    own = {"LINGUISTIC_TYPE_ID": name, "TIME_ALIGNABLE": alignable, "GRAPHIC_REFERENCES": "false"}
    ET.SubElement(root, "LINGUISTIC_TYPE", own | more)


# Label Studio

LOCAL = "/data/local-files/?d="
"""Prefix of the URLs of local files in Label Studio; see docs/LABELLING.md."""


def label_studio_config(emotions, *, regions=False):
    """Make the labelling interface of a Label Studio project: str of XML.

    Parameters
    ----------
    emotions : list of str
    regions : bool
        Label parts of a recording, as in timelines. Default: one label for each clip.
    """
    view = ET.Element("View")
    ET.SubElement(view, "Audio", name="audio", value="$audio")
    more = {} if regions else {"choice": "single", "showInline": "true"}
    own = {"name": "emotion", "toName": "audio"} | more
    control = ET.SubElement(view, "Labels" if regions else "Choices", own)
    for emotion in emotions:
        ET.SubElement(control, "Label" if regions else "Choice", value=printable(emotion))
    ET.indent(view)
    return ET.tostring(view, "unicode") + "\n"


def to_label_studio(table, audio=None):
    """Format the segments as a Label Studio task with pre-annotations: str of JSON.

    Parameters
    ----------
    table : DataFrame of `predict_timeline`
    audio : path or URL, optional
        The recording; a path is relative to the folder that Label Studio serves.
    """
    rows, results = segments(table), []
    for i, row in enumerate(rows.itertuples(), 1):
        value = {
            "start": row.start,
            "end": row.end,
            "channel": 0,
            "labels": [printable(row.emotion)],
        }
        own = {"id": f"segment-{i}", "type": "labels", "value": value, "score": row.confidence}
        own["original_length"] = _duration(table)
        if hasattr(row, "speaker"):
            own["meta"] = {"text": [printable(row.speaker)]}
        results.append(own)
    score = rows["confidence"].mean() if len(rows) else 0.0
    return _tasks([(audio or "recording", results, score)])


def label_studio_tasks(table, folder=None):
    """Format clips as Label Studio tasks, predicted emotions as pre-annotations: str of JSON.

    Parameters
    ----------
    table : DataFrame
        Column path; optionally emotion and confidence. See `predictor.Predicts.rank`.
    folder : path, optional
        The folder that Label Studio serves, which holds the clips. Default: paths are relative to
        it.
    """
    tasks = []
    for row in table.to_dict("records"):
        path = row["path"] if folder is None else os.path.relpath(row["path"], folder)
        emotion, score = row.get("emotion"), float(row.get("confidence", 0.0))
        value = {"choices": [printable(emotion)]} if isinstance(emotion, str) else None
        own = {"id": "clip", "type": "choices", "value": value, "score": score}
        tasks.append((path, [own] if value else [], score))
    return _tasks(tasks)


def _tasks(tasks):
    """Tasks as JSON, from (audio, results, score) of each: str."""
    names = {"from_name": "emotion", "to_name": "audio"}
    found = []
    for audio, results, score in tasks:
        is_url = urlsplit(str(audio)).scheme in ("http", "https")
        place = str(audio) if is_url else LOCAL + quote(os.fsencode(Path(audio).as_posix()))
        task = {"data": {"audio": place}}
        if results:
            own = {"model_version": "speech emotion recognition", "score": float(score)}
            task["predictions"] = [own | {"result": [result | names for result in results]}]
        found.append(task)
    return json.dumps(found, indent=1, ensure_ascii=False) + "\n"


# the picture

N_COLUMNS = 1200  # of the waveform and the spectrogram, for any duration
N_SPANS = 150  # spans of time in the picture, at most: more can't be distinguished
PICTURE_FFT = 512  # samples
PICTURE_RANGE = 70  # dB


def _overview(blocks, duration):
    """Time (s), minimum, maximum and spectrum (n_bins, n_columns; dB below the loudest) of columns.

    A column without the centre of a frame has the spectrum of the previous column.
    """
    width = max(1, math.ceil(duration * SAMPLE_RATE / N_COLUMNS))  # samples a column
    n = math.ceil(duration * SAMPLE_RATE / width)
    low, high, counts = np.zeros((3, n))
    power = np.zeros((n, PICTURE_FFT // 2 + 1))
    hop = max(PICTURE_FFT // 2, min(width // 4, PICTURE_FFT))
    window = np.hanning(PICTURE_FFT).astype(np.float32)
    n_done, held = 0, np.empty(0, np.float32)
    for y in blocks:
        columns = np.minimum((n_done + np.arange(len(y))) // width, n - 1)
        edges = np.flatnonzero(np.diff(columns, prepend=-1))
        np.minimum.at(low, columns[edges], np.minimum.reduceat(y, edges))
        np.maximum.at(high, columns[edges], np.maximum.reduceat(y, edges))
        starts = np.arange(0, max(0, len(held) + len(y) - PICTURE_FFT + 1), hop)
        middles = n_done - len(held) + starts + PICTURE_FFT // 2
        held, n_done = np.concatenate([held, y]), n_done + len(y)
        if len(starts):
            frames = np.lib.stride_tricks.sliding_window_view(held, PICTURE_FFT)[starts]
            place = np.minimum(middles // width, n - 1)
            np.add.at(power, place, np.abs(np.fft.rfft(frames * window)) ** 2)
            np.add.at(counts, place, 1)
            held = held[starts[-1] + hop :]
    filled = np.maximum.accumulate(np.where(counts > 0, np.arange(n), 0))
    power = (power / np.maximum(counts, 1)[:, None])[filled].T
    time = (np.arange(n) + 0.5) * width / SAMPLE_RATE
    return time, low, high, 10 * np.log10(power / max(power.max(), 1e-12) + 1e-12)


def _smoothed(table, duration):
    """The rows of a long timeline, averaged over spans of time: DataFrame.

    Turns of speakers aren't averaged.
    """
    if len(table) <= N_SPANS or "speaker" in table:
        return table
    numbers = table.select_dtypes("number").drop(columns=["start", "end"])
    seconds = table["end"] - table["start"]
    span = ((table["start"] + table["end"]) / 2 / duration * N_SPANS).astype(int)
    means = (
        numbers.mul(seconds, axis=0).groupby(span).sum().div(seconds.groupby(span).sum(), axis=0)
    )
    found = table.groupby(span).agg({"start": "min", "end": "max"}).join(means)
    if "emotion" in table:
        best = found[emotions_of(table)].idxmax(axis=1)
        found.insert(2, "emotion", best)
        found["confidence"] = found[emotions_of(table)].max(axis=1)
    return found.reset_index(drop=True)


def draw_timeline(audio, table, *, sr=None, channel=None, figure=None):
    """Draw waveform, spectrogram and emotions of a recording over one time axis.

    Parameters
    ----------
    audio, sr
        The recording; see `predict_timeline`.
    table : DataFrame
        Its timeline.
    channel : int, optional
        The channel of `table`, from 0; default: all channels are mixed.
    figure : matplotlib Figure or SubFigure, optional
        Default: a new one.

    Returns
    -------
    matplotlib Figure or SubFigure
        Its axes, from top to bottom, are waveform, spectrogram, probabilities and emotions, or
        waveform, spectrogram and numbers. Predictions for a long recording are averaged over 150
        spans of time.
    """
    figure = figure or new_figure(11, 6)
    duration = table.attrs["duration"]
    blocks = stream_audio(audio, orig_sr=sr, mono=channel is None, faults={})  # warned before
    own = blocks if channel is None else (block[:, channel] for block in blocks)
    time, low, high, decibels = _overview(own, duration)
    numeric = "emotion" not in table
    heights = [2, 3, 3, 0.7][: 3 if numeric else 4]
    wave, spectrum, *answers = figure.subplots(
        len(heights), 1, sharex=True, gridspec_kw={"height_ratios": heights}
    )
    unit, scale = ("min", 60) if duration > 180 else ("s", 1)
    wave.fill_between(time / scale, low, high, color="#444444", linewidth=0.3)
    peak = max(-low.min(), high.max(), 1e-4)
    wave.set(ylabel="amplitude\n(1 = full scale)", ylim=(-1.05 * peak, 1.05 * peak))
    style = {"origin": "lower", "aspect": "auto", "cmap": "magma", "vmin": -PICTURE_RANGE}
    extent = 0, duration / scale, 0, SAMPLE_RATE / 2000
    image = spectrum.imshow(decibels, vmax=0, extent=extent, **style)
    spectrum.set_ylabel("frequency (kHz)")
    figure.colorbar(image, cax=spectrum.inset_axes([1.01, 0, 0.012, 1]), label="power (dB)")
    (_draw_numbers if numeric else _draw_emotions)(*answers, _smoothed(table, duration), scale)
    answers[-1].set(xlabel=f"time ({unit})", xlim=(0, duration / scale))
    return figure


def _draw_numbers(ax, table, scale):
    """Draw a curve for each number, with gaps where nobody speaks."""
    names = [name for name in table if name not in ("start", "end", "speaker")]
    middles = (table["start"] + table["end"]) / 2 / scale
    follows = table["start"].sub(table["end"].shift()).abs().lt(1e-3)
    for name, colour in colours(names).items():
        for i, (_, own) in enumerate(table.groupby((~follows).cumsum())):
            label = {"label": name} if i == 0 else {}
            ax.plot(middles[own.index], own[name], ".-", color=colour, markersize=4, **label)
    ax.set(ylabel=names[0] if len(names) == 1 else "numbers")
    if names[1:] and len(table):
        ax.legend(loc="center left", bbox_to_anchor=(1.005, 0.5), frameon=False)


def _draw_emotions(shares, band, table, scale):
    """Draw probabilities as stacked areas, and below them the most probable emotions as a band."""
    from matplotlib.patches import Patch

    emotions = emotions_of(table)
    colour = colours(emotions)
    width, left = (table["end"] - table["start"]) / scale, table["start"] / scale
    bottom = np.zeros(len(table))
    for emotion in emotions:
        shares.bar(left, table[emotion], width, bottom, color=colour[emotion], align="edge")
        bottom = bottom + table[emotion].to_numpy()
    shares.set(ylabel="probability", ylim=(0, 1))
    for row in segments(table).itertuples():
        band.axvspan(row.start / scale, row.end / scale, color=colour[row.emotion], linewidth=0)
    band.set(yticks=[])
    band.set_ylabel("emotion", rotation=0, ha="right", va="center")
    handles = [Patch(color=colour[emotion], label=emotion) for emotion in emotions]
    shares.legend(handles=handles, loc="center left", bbox_to_anchor=(1.005, 0.5), frameon=False)


# the formats


class Format(NamedTuple):
    """An output format of timelines."""

    ending: str  # file name suffix
    to_text: Callable | None  # table to str; None: the picture of `draw_timeline`
    takes: tuple = ()  # further arguments: raw (see `to_csv`), audio and channel (`to_rttm`)


FORMATS = {
    "csv": Format(".csv", to_csv, ("raw",)),
    "srt": Format(".srt", to_srt),
    "vtt": Format(".vtt", to_webvtt),
    "audacity": Format(".txt", to_audacity),
    "textgrid": Format(".TextGrid", to_textgrid),
    "eaf": Format(".eaf", to_elan, ("audio",)),
    "rttm": Format(".rttm", to_rttm, ("audio", "channel")),
    "labelstudio": Format(".labelstudio.json", to_label_studio, ("audio",)),
    "json": Format(".json", to_json),
    "png": Format(".png", None),
}
WRITERS = {name: form.to_text for name, form in FORMATS.items() if form.to_text}
ENDINGS = {name: form.ending for name, form in FORMATS.items()} | {"plot": ".png"}
