"""Read annotations by people and other programs: speaker turns, emotions over time, labels.

read_segments("turns.rttm")                     # who speaks when, by a diarizer or by people
evaluate_timeline(table, "truth.csv")           # segment UAR, emotion diarization error rate
read_label_studio("export.json")                # labels that people gave
"""

import csv
import io
import json
import math
import os
import re
import warnings
from pathlib import Path
from urllib.parse import unquote, urlsplit

import numpy as np
import pandas as pd

from checks import check_name, is_label, printable, read_file
from formats import LOCAL
from metrics import timeline_scores

LARGEST = 2**26  # bytes of a file of segments or labels: about a million of them
N_NAMED = 5  # rows that a message names
ROUNDING = 0.01  # seconds by which segments may overlap, or exceed a recording: RTTM has two digits
COLUMNS = {
    "start": ("start", "begin", "onset", "start_time", "begin_time", "tbeg"),
    "end": ("end", "stop", "offset", "end_time", "stop_time", "tend"),
    "duration": ("duration", "dur", "tdur"),
    "speaker": ("speaker", "spk", "speaker_id", "spkr", "who"),
    "emotion": ("emotion", "label", "class"),
}
"""Columns of a table of segments, and other usual names of them."""
RTTM_TYPES = (
    *("SPEAKER", "SPKR-INFO", "SEGMENT", "SU", "LEXEME", "NON-LEX", "NON-SPEECH", "NOSCORE"),
    *("NO_RT_METADATA", "NOEVAL", "FILLER", "EDIT", "IP", "CB", "A/P"),
)
"""Types of lines in RTTM files; only the first are segments of speakers."""
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
CLOCK = re.compile(r"(?:(\d{1,6}):)?([0-5]?\d):([0-5]?\d(?:\.\d*)?)", re.ASCII)


def read_segments(source, label="speaker", recording=None):
    """Read segments with speakers or emotions: DataFrame of start, end (seconds), `label`.

    Parameters
    ----------
    source : path, or DataFrame
        An RTTM file, or a table with a line of column names, separated by commas, semicolons or
        tabs. Its columns are start, end (or duration) and speaker or emotion, or other usual names
        of them (see `COLUMNS`). Times are seconds, mm:ss.s, hh:mm:ss.s or pandas Timedeltas.
    label : {"speaker", "emotion"}
        The required column, and the meaning of the names in an RTTM file. With "emotion", a column
        speaker is returned, too, if there is one.
    recording : str, optional
        The recording to read, if an RTTM file has several.

    Returns
    -------
    DataFrame
        Ordered by time.

    Raises
    ------
    ValueError
        If the file can't be read, or a segment is impossible; the message names the first rows.
    OSError
        If it isn't a regular file, or is larger than `LARGEST`.

    Examples
    --------
    >>> table = pd.DataFrame({"start": ["0:01", "0:02.5"], "stop": [2, 4], "who": ["ann", "bob"]})
    >>> read_segments(table).to_dict("records")[1]
    {'start': 2.5, 'end': 4.0, 'speaker': 'bob'}
    """
    check_name(label, ("speaker", "emotion"), "label")
    if isinstance(source, pd.DataFrame):
        rows, name, unit = source.rename(columns=str), "The table", "row"
    elif not isinstance(source, (str, os.PathLike)):
        raise ValueError(f"Give segments as a path or a DataFrame; got {type(source).__name__}.")
    else:
        name, unit = printable(source), "line"
        text = _text(source, name)
        read = _from_rttm if _is_rttm(source, text) else _from_table
        rows = read(text, name, label, recording)
    rows = _named(rows, name, label)
    _check_segments(rows, name, unit, label)
    return rows.sort_values("start", kind="stable", ignore_index=True)


def _text(source, name):
    """The text of a file, without a byte order mark: str."""
    try:
        text = read_file(source, LARGEST).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{name} isn't text in UTF-8 ({error.reason}). Save it as UTF-8."
        ) from None
    if "\0" in text:
        raise ValueError(f"{name} isn't text: it has zero bytes. Save it as UTF-8.")
    return text


def _is_rttm(source, text):
    lines = (line for line in io.StringIO(text) if line.strip() and not line.startswith(";"))
    words = next(lines, "").split()
    return Path(source).suffix.lower() == ".rttm" or (len(words) > 7 and words[0] in RTTM_TYPES)


def _from_rttm(text, name, label, recording):
    """The segments of an RTTM file: DataFrame, indexed by the numbers of lines."""
    found, wrong = {}, []
    for number, line in enumerate(io.StringIO(text), 1):
        words = line.split()
        if not words or words[0].startswith(";"):
            continue
        if words[0] not in RTTM_TYPES or (words[0] == "SPEAKER" and len(words) < 8):
            wrong.append(number)
        elif words[0] == "SPEAKER":
            found[number] = words
    advice = "It must be like: SPEAKER recording 1 start duration <NA> <NA> who."
    _refuse(wrong, name, "line", "not a line of RTTM", advice)
    own, some = {words[1] for words in found.values()}, {recording}
    if recording is not None:
        some.add(re.sub(r"\s+", "_", recording))  # the form in which `to_rttm` writes it
    if len(own) > 1 and not own & some:
        known = ", ".join(map(printable, sorted(own)[:N_NAMED])) + ", ..." * (len(own) > N_NAMED)
        raise ValueError(
            f"{name} has segments of {len(own)} recordings ({known}); none of them is "
            f"{printable(repr(recording))}."
        )
    rows = {n: (w[3], w[4], w[7]) for n, w in found.items() if len(own) == 1 or w[1] in some}
    return pd.DataFrame.from_dict(rows, "index", columns=["start", "duration", label], dtype=object)


def _from_table(text, name, label, recording):
    """The rows of a table: DataFrame of str, indexed by the numbers of lines."""
    head = text.partition("\n")[0]
    separator = max("\t;,", key=head.count)
    lines, found, wrong = csv.reader(io.StringIO(text), delimiter=separator), {}, []
    try:
        columns = [column.strip() for column in next(lines, [])]
        for cells in lines:
            if len(cells) == len(columns):
                found[lines.line_num] = cells
            elif cells:
                wrong.append(lines.line_num)
    except csv.Error as error:
        raise ValueError(f"{name} isn't a table, at line {lines.line_num}: {error}.") from None
    fault = f"not {len(columns)} cells, as in the first line"
    _refuse(wrong, name, "line", fault, "Quote cells with separators in them.")
    return pd.DataFrame.from_dict(found, "index", columns=columns, dtype=object)


def _named(rows, name, label):
    """The rows with canonical column names, times in seconds, and stripped texts: DataFrame."""
    given, found = {str(column).strip().lower(): column for column in rows}, {}
    for column, names in COLUMNS.items():
        own = next((given[other] for other in names if other in given), None)
        if own is not None:
            found[column] = rows[own] if isinstance(rows[own], pd.Series) else rows[own].iloc[:, 0]
    missing = [column for column in ("start", label) if column not in found]
    if not {"end", "duration"} & set(found):
        missing.append("end")
    if missing:
        known = "; ".join(f"{column}: {', '.join(COLUMNS[column])}" for column in missing)
        raise ValueError(
            f"{name} has no column {' and '.join(missing)}, only "
            f"{printable(', '.join(map(str, rows)))[:200] or 'none'}. Its name may be {known}."
        )
    if not len(rows):
        raise ValueError(f"{name} has no segments.")
    times = {c: found[c].map(_seconds) for c in ("start", "end", "duration") if c in found}
    times.setdefault("end", times["start"] + times.get("duration", 0.0))
    wanted = ("speaker", "emotion") if label == "emotion" else ("speaker",)
    texts = {c: found[c].map(_stripped) for c in wanted if c in found}
    return pd.DataFrame({"start": times["start"], "end": times["end"]} | texts, rows.index)


def _seconds(cell):
    """Parse a time: float, seconds; NaN for anything else."""
    if isinstance(cell, str):
        text = cell.strip()
        if clock := CLOCK.fullmatch(text):
            hours, minutes, seconds = clock.groups(default="0")
            return 3600.0 * int(hours) + 60.0 * int(minutes) + float(seconds)
        return float(text) if NUMBER.fullmatch(text) else math.nan
    if isinstance(cell, (bool, np.bool_)):
        return math.nan
    if isinstance(cell, (int, float, np.number)) and not isinstance(cell, np.timedelta64):
        return float(cell)
    try:
        return pd.Timedelta(cell).total_seconds()
    except (ValueError, TypeError):
        return math.nan


def _stripped(cell):
    return cell.strip() if isinstance(cell, str) else "" if pd.isna(cell) else str(cell)


def _check_segments(rows, name, unit, label):
    """Refuse impossible segments; the message has the first kind of fault."""
    start, end, texts = rows["start"], rows["end"], rows.drop(columns=["start", "end"])
    faults = {
        "not a time in seconds": ~np.isfinite(start) | ~np.isfinite(end),
        "start before 0 s": start < 0,
        "end before or at the start": end <= start,
        f"no {label}": (texts == "").any(axis=1),
        f"{label} isn't short plain text": ~texts.map(is_label).all(axis=1),
    }
    advice = "Times are like 12.5, 0:12.5 or 0:00:12.5. Correct or delete these."
    for fault, where in faults.items():
        _refuse(rows.index[where], name, unit, fault, advice)
    who = rows["speaker"] if "speaker" in rows else pd.Series("", rows.index)
    order = rows.assign(who=who).sort_values(["who", "start"], kind="stable")
    latest = order.groupby("who")["end"].cummax().groupby(order["who"]).shift()
    where = order.index[order["start"] < latest - ROUNDING]
    advice = "Add a column speaker if different people speak; their segments may overlap."
    _refuse(sorted(where), name, unit, "overlap with another segment of the same speaker", advice)


def _refuse(numbers, name, unit, fault, advice):
    """Raise a ValueError that names the first rows with a fault, if there are any."""
    if len(numbers):
        some = ", ".join(map(str, numbers[:N_NAMED])) + ", ..." * (len(numbers) > N_NAMED)
        unit += "s" * (len(numbers) > 1)
        raise ValueError(f"{name}, {unit} {some}: {fault}. {advice}")


def check_within(rows, duration):
    """Check that no segment ends after its recording.

    Parameters
    ----------
    rows : DataFrame
        See `read_segments`.
    duration : float
        Of the recording, seconds.

    Raises
    ------
    ValueError
        If one does; the message names the first ones.
    """
    late = rows[rows["end"] > duration + ROUNDING]
    if len(late):
        some = ", ".join(f"{r.start:g} to {r.end:g} s" for r in late.head(N_NAMED).itertuples())
        raise ValueError(
            f"{len(late)} segment(s) end after the recording, which is {duration:.2f} s long: "
            f"{some}{', ...' * (len(late) > N_NAMED)}. Do they belong to another one?"
        )


def read_label_studio(source, folder=None, *, audio="audio", control="emotion"):
    """Read the labels of an export of Label Studio: DataFrame of path, emotion, start, end.

    Parameters
    ----------
    source : path
        An export as JSON, JSON-MIN, CSV or TSV.
    folder : path, optional
        Folder of the recordings, which Label Studio serves. Default: that of the export.
    audio, control : str
        Names of the recording and of the labels in the project's interface; see
        `label_studio_config`.

    Returns
    -------
    DataFrame
        A row for each label. start and end are in seconds, NaN for a label of the whole clip.

    Raises
    ------
    ValueError
        If it isn't such a file, or has no labels.
    OSError
        If it isn't a regular file, or is larger than `LARGEST`.

    Warns
    -----
    UserWarning
        If clips have several labels; it names the first ones.
    """
    name, found = printable(source), []
    for number, task in enumerate(_tasks_of(_text(source, name), name), 1):
        try:
            place = (task.get("data") or task)[audio]
            for label, start, end in _labels(task, control):
                found.append((_local(place), label, start, end))
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"{name}, task {number}: it isn't an export of Label Studio with a recording named "
                f"{audio!r} and labels named {control!r} ({type(error).__name__}: "
                f"{printable(error)[:100]})."
            ) from error
    if not found:
        raise ValueError(f"{name} has no labels named {control!r}; export after labelling.")
    rows = pd.DataFrame(found, columns=["path", "emotion", "start", "end"]).drop_duplicates()
    wrong = rows[~rows["emotion"].map(is_label) | (rows["emotion"] == "")]
    if len(wrong):
        label = printable(repr(wrong["emotion"].iloc[0]))[:200]
        raise ValueError(f"{name}: {label} isn't a label of short plain text.")
    several = rows[rows.duplicated(["path", "start", "end"])]["path"].unique()
    if len(several):
        some = ", ".join(map(printable, several[:N_NAMED])) + ", ..." * (len(several) > N_NAMED)
        warnings.warn(f"{len(several)} clip(s) have several labels: {some}", stacklevel=2)
    folder = Path(source).parent if folder is None else Path(folder)
    rows["path"] = [str(folder / path) for path in rows["path"]]
    return rows.astype({"start": float, "end": float}).reset_index(drop=True)


def _tasks_of(text, name):
    """The tasks of an export of Label Studio: list of dict."""
    if text.lstrip()[:1] not in ("[", "{"):
        return _from_table(text, name, None, None).to_dict("records")
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{name} isn't JSON: {printable(error)[:200]}") from None
    return found if isinstance(found, list) else [found]


def _labels(task, control):
    """Yield (label, start, end) of the annotations of a task."""
    values = task.get(control)
    if "annotations" in task:
        given = (own for own in task["annotations"] if not own.get("was_cancelled"))
        values = [x["value"] for own in given for x in own["result"] if x["from_name"] == control]
    elif isinstance(values, str) and values[:1] in ("[", "{"):  # a cell of a table
        values = json.loads(values)
    for value in values if isinstance(values, list) else [values]:
        own = value if isinstance(value, dict) else {"choices": [value] if value else []}
        start, end = (float(own.get(key, math.nan)) for key in ("start", "end"))
        if not ((math.isnan(start) and math.isnan(end)) or 0 <= start < end < math.inf):
            raise ValueError(f"a part from {start} to {end} s")
        for label in own.get("labels") or own.get("choices", ()):
            yield label, start, end


def _local(place):
    """The path of a recording in the folder that Label Studio serves, by its URL there: str."""
    if not place:
        raise ValueError("a recording without a name")
    if place.startswith(LOCAL):
        return unquote(place.removeprefix(LOCAL), errors="surrogateescape")
    name = unquote(urlsplit(place).path, errors="surrogateescape")
    if name.startswith("/data/upload/"):  # Label Studio adds a random prefix to uploads
        return re.sub("^[0-9a-f]{8}-", "", Path(name).name)
    return Path(name).name if urlsplit(place).scheme else place


# scores


def evaluate_timeline(table, reference, *, neutral="neutral", duration=None):
    """Score a timeline against reference annotations: dict; see `metrics.timeline_scores`.

    Parameters
    ----------
    table : DataFrame of `predict_timeline`
    reference : path, or DataFrame
        Columns start, end, emotion and, optionally, speaker; see `read_segments`.
    neutral, duration
        See `metrics.timeline_scores`.
    """
    return timeline_scores(read_segments(reference, "emotion"), table, neutral, duration)
