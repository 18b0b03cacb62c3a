"""Labelled clips as tables: DataFrames with the columns path, emotion, speaker and corpus.

All CSV is written here, by `to_csv`, so that it is safe to open in spreadsheets.
"""

import csv
import io
import itertools
import math
import os
import re
import warnings
from numbers import Integral, Real
from pathlib import Path

import numpy as np
import pandas as pd

from checks import check_label, check_name, folded, moved, open_file, printable, replacing
from segments import Segment

COLUMNS = ["path", "emotion", "speaker", "corpus"]
OPTIONAL = ["partition", "start", "end", "language", "gender", "sentence"]
PARTITIONS = ("train", "test")
NO_SPEAKER = "unknown-"
"""Prefix of unknown speakers: each recording without a known speaker has one of its own."""
NAME_ERRORS = "surrogateescape"  # Python's encoding of file names that aren't Unicode
SPEAKERS = {"folder": lambda path: Path(path).resolve().parent.name}
"""Ways to find the speaker of a recording by its path, beside regular expressions."""
CHECKED = "checked clips of"  # a key of DataFrame.attrs
TEXT = object  # the strings of pandas with pyarrow can't hold such names
FEW, NEARLY_ALL = 8, 0.8  # clips; share of them with a speaker of their own
NAMED = 5  # recordings that a warning names
LARGEST = 2**30  # bytes of a desc_file: some ten million clips
FORMULA = re.compile(r"(^|;)(?='*[=+\-@\t\r＝＋－＠])")
"""Where a spreadsheet takes text for a formula; also after ;, a separator in some countries."""
QUOTED = re.compile(r"(^|;)'(?='*[=+\-@\t\r＝＋－＠])")
"""The same places after `quoted`."""


def read_desc_file(path):
    """Read one desc_file: DataFrame of str with the columns path, emotion, speaker, corpus.

    Parameters
    ----------
    path : path of a CSV file
        Columns path (relative to the CSV file's folder, or absolute) and emotion; optionally
        speaker (default: the first part of the file name) and corpus (default: "custom").

    Raises
    ------
    FileNotFoundError, ValueError
        If it doesn't exist, isn't a table, lacks a column, or has labels that aren't plain text.
    OSError
        If it isn't a regular file, or has more than `LARGEST` bytes.
    """
    path = Path(path)
    try:
        with open_file(path, LARGEST) as file:
            how = {"dtype": TEXT, "keep_default_na": False, "encoding_errors": NAME_ERRORS}
            rows = pd.read_csv(file, **how)
    except FileNotFoundError as error:
        hint = "`python create_csv.py` writes them."
        raise FileNotFoundError(f"No desc_file at {path}; {hint}") from error
    except ValueError as error:  # pandas's own don't say which file it is
        raise ValueError(f"{path} isn't a table with a line of column names: {error}") from error
    if not isinstance(rows.index, pd.RangeIndex):  # pandas takes the first fields for row names
        raise ValueError(f"{path} has more fields in its lines than column names.")
    missing = {"path", "emotion"} - set(rows.columns)
    if missing:
        raise ValueError(f"{path} has no column {' and '.join(sorted(missing))}.")
    rows = _with_texts(rows, lambda cell: QUOTED.sub(r"\1", str(cell)))
    if "speaker" not in rows:
        speakers = [Path(p).stem.split("_")[0] for p in rows["path"]]
        rows["speaker"] = pd.Series(speakers, dtype=TEXT)
    if "corpus" not in rows:
        rows["corpus"] = "custom"
    for column in COLUMNS[1:]:
        for label in rows[column].unique():
            check_label(label, f"{path}: {column}")
    rows["path"] = pd.Series([str(path.parent / p) for p in rows["path"]], dtype=TEXT)
    return rows[COLUMNS]


def write_desc_file(rows, path):
    """Write one desc_file atomically: other processes read the old or the new one, never a part.

    Parameters
    ----------
    rows : DataFrame (n_clips,)
        Columns path, emotion, speaker, corpus; others aren't written.
    path : path
        Missing folders are made.
    """
    with replacing(path) as temporary:
        _with_texts(rows[COLUMNS], quoted).to_csv(temporary, index=False, errors=NAME_ERRORS)


def quoted(cell):
    """Escape a cell of a CSV file against spreadsheets: ' goes before what begins a formula.

    Parameters
    ----------
    cell : object
        Only text is changed. `read_desc_file` removes the '.

    Examples
    --------
    >>> quoted("=1+1"), quoted("a-b"), quoted(-0.5)
    ("'=1+1", 'a-b', -0.5)
    """
    return FORMULA.sub(r"\1'", cell) if isinstance(cell, str) else cell


def to_csv(table, raw=False):
    """Format a table of results as CSV: str.

    Parameters
    ----------
    table : DataFrame
    raw : bool
        See `csv_text`.
    """
    return csv_text([*table], table.to_numpy(dtype=object), raw)


def csv_text(columns, rows, raw=False):
    """Format rows of results as CSV: str.

    Parameters
    ----------
    columns : list of str
        Header; None for no header.
    rows : iterable of sequence
        Numbers get four decimals; None and NaN become empty.
    raw : bool
        Write text as it is. Default: escape it, so that names and labels are safe in terminals and
        spreadsheets (see `checks.printable` and `quoted`).
    """
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    for row in [*([columns] if columns else []), *rows]:
        writer.writerow([_cell(cell, raw) for cell in row])
    return file.getvalue()


def _cell(cell, raw):
    if isinstance(cell, str):
        return cell if raw else quoted(printable(cell))
    if isinstance(cell, Real) and not isinstance(cell, Integral):
        return "" if math.isnan(cell) else f"{cell:.4f}"
    return "" if cell is None or cell is pd.NA else cell


def _with_texts(table, change):
    """The table with every text in it changed."""
    columns = table.select_dtypes(exclude="number")
    new = {c: pd.Series([change(x) for x in table[c]], table.index, TEXT) for c in columns}
    return table.assign(**new)


def listed_once(rows):
    """Drop repeated clips, keeping the first row of each: DataFrame.

    Parameters
    ----------
    rows : DataFrame (n_clips,)
        Columns path and emotion.

    Warns
    -----
    UserWarning
        With the number of repeated clips, and the names of those with another label.
    """
    paths = pd.Series([os.path.abspath(p) for p in rows["path"]], rows.index, TEXT)  # noqa: PTH100
    places = pd.Series(names_of(rows.assign(path=paths)), rows.index, TEXT)
    again = places.duplicated()
    if not again.any():
        return rows
    first = places.map(rows["emotion"].set_axis(places)[~again.to_numpy()])
    other = (first != rows["emotion"]) & again
    named = _several_labels(rows[places.isin(places[other])].assign(recording=places))
    warnings.warn(
        f"{again.sum()} clip(s) are listed again, {other.sum()} of them with another label"
        f"{named and ': '}{named}; only the first row of each clip is used.",
        stacklevel=3,
    )
    return rows[~again]


def _several_labels(rows):
    """Name the recordings (a column, equal for equal audio) that have several labels: str."""
    n_labels = rows.groupby("recording")["emotion"].transform("nunique")
    found = rows[n_labels > 1].groupby("recording", sort=False)
    named = [_with_labels(clips, " = ") for _, clips in itertools.islice(found, NAMED)]
    return ", ".join(named) + ", ..." * (len(found) > NAMED)


def _with_labels(clips, separator=", "):
    pairs = zip(clips["path"], clips["emotion"], strict=True)
    return separator.join(printable(f"{Path(path).name} ({label})") for path, label in pairs)


def warn_of_labels(clips, silent):
    """Warn of clips of digital silence, and of recordings with several labels.

    Parameters
    ----------
    clips : DataFrame (n_clips,)
        Columns path, emotion, and samples, a hash of them. Fingerprints won't do here: a synthetic
        voice reads a sentence in several emotions with the same loudness.
    silent : Series (n_clips,) of bool
    """
    if silent.any():
        named = _with_labels(clips[silent][:NAMED]) + ", ..." * int(silent.sum() > NAMED)
        warnings.warn(
            f"{silent.sum()} clip(s) of digital silence have a label: {named}", stacklevel=4
        )
    if named := _several_labels(clips[~silent].assign(recording=clips["samples"])):
        warnings.warn(f"The same recording has several labels: {named}", stacklevel=4)


def speaker_of(path, how):
    """Find the speaker of a recording by its path: str.

    Parameters
    ----------
    path : path
    how : str
        One of `SPEAKERS`, or a regular expression that is searched in the file name: its only
        group, or the one named speaker, is the speaker.

    Raises
    ------
    ValueError
        If `how` is neither, or isn't found in the name.

    Examples
    --------
    >>> speaker_of("calls/ann/3.wav", "folder"), speaker_of("calls/ann_3.wav", "^([a-z]+)_")
    ('ann', 'ann')
    """
    if how in SPEAKERS:
        return SPEAKERS[how](path)
    try:
        pattern = re.compile(how)
        group = "speaker" if "speaker" in pattern.groupindex else 1
        found = pattern.search(Path(path).name)
        if found is not None and found[group]:
            return found[group]
        problem = f"isn't found in the name of {printable(path)}"
    except (re.error, IndexError) as error:
        problem = f"isn't a regular expression ({error})"
    raise ValueError(
        f"{how!r} {problem}; speakers are found by {', '.join(SPEAKERS)}, or by a regular "
        "expression with one group for the speaker, such as '^([a-z]+)_'"
    )


def speaker_groups(rows):
    """Names of speakers that are unique over corpora: ndarray (n_clips,) of "corpus/speaker".

    Parameters
    ----------
    rows : DataFrame (n_clips,)
        Columns corpus and speaker.
    """
    return one_spelling(rows["corpus"] + "/" + rows["speaker"]).to_numpy(dtype=str)


def all_known(speakers):
    """Whether all speakers are known: bool; see `NO_SPEAKER`.

    Parameters
    ----------
    speakers : array of str
        Names, or as `speaker_groups` returns them.
    """
    return not any(name.rpartition("/")[2].startswith(NO_SPEAKER) for name in set(speakers))


def recordings(rows):
    """The source of each clip: list of path, or Segment if the row has a start or an end.

    Parameters
    ----------
    rows : DataFrame (n_clips,)
        Column path; optionally start and end in seconds, NaN for those of the recording.
    """
    paths = rows["path"].tolist()
    if "start" not in rows and "end" not in rows:
        return paths
    times = rows.reindex(columns=["start", "end"]).astype(float)
    starts, ends = times["start"].fillna(0.0), times["end"].fillna(np.inf)
    return [
        Segment(path, start, end) if start or end < np.inf else path
        for path, start, end in zip(paths, starts.tolist(), ends.tolist(), strict=True)
    ]


def names_of(rows):
    """A unique name for each clip, for messages: list of str.

    Parameters
    ----------
    rows : DataFrame (n_clips,)
        See `recordings`.
    """
    return [*map(str, recordings(rows))]


def as_read(rows, targets=()):
    """Rows with the columns that were read, without measured ones, marked as checked: DataFrame.

    Parameters
    ----------
    rows : DataFrame (n_clips,)
        Columns path, emotion, speaker, corpus, and any of `OPTIONAL`.
    targets : sequence of str
        Columns of numbers that are regression targets.
    """
    names = [name for name in (*COLUMNS, *OPTIONAL) if name in rows and name != "partition"]
    rows = rows[[*names, *targets]].copy(deep=False)
    rows.attrs[CHECKED] = "these clips"
    return rows


def one_spelling(names):
    """Give equal names (see `checks.folded`) the spelling of the first: Series.

    Parameters
    ----------
    names : Series of str

    Examples
    --------
    >>> one_spelling(pd.Series(["Anna", "anna", "Bob"])).tolist()
    ['Anna', 'Anna', 'Bob']
    """
    first = {}
    spelled = {name: first.setdefault(folded(name), name) for name in names.unique()}
    return pd.Series([spelled[name] for name in names], names.index, TEXT)


def unclear_speakers(rows):
    """Why speakers taken from file names are doubtful: str, empty if they aren't.

    Names that only count, such as `f01_sad`, `f02_sad`, say nothing about speakers.

    Parameters
    ----------
    rows : DataFrame (n_clips,)
        Columns corpus, path and speaker; without the last two the result is empty. Clips of the
        same name in different partitions are no reason.
    """
    if not {"path", "speaker"} <= set(rows):
        return ""
    for corpus, own in rows.groupby("corpus"):
        n_clips, n_speakers = len(own), len({folded(name) for name in own["speaker"].unique()})
        if n_clips >= FEW and n_speakers > NEARLY_ALL * n_clips:
            count = f"{n_speakers} speakers of {n_clips} clips"
            return f"nearly every clip of {corpus} counts as its own speaker ({count})"
    own, folders = rows[rows["corpus"] == "custom"], {}
    parts = own["partition"] if "partition" in own else [""] * len(own)
    for path, speaker, part in zip(map(Path, own["path"]), own["speaker"], parts, strict=True):
        if folded(path.name.split("_")[0]) == folded(speaker):  # it comes from the file name
            folders.setdefault((path.name, part), {})[path.parent] = None
    for (name, _), places in folders.items():
        if len(places) > 1:
            named = " and ".join(f"{place.name}/{name}" for place in [*places][:2])
            return f"clips of one name lie in different folders ({named})"
    return ""


def corpora_of(groups):
    """The corpora of speakers: ndarray (n_clips,) of str.

    Parameters
    ----------
    groups : ndarray (n_clips,)
        See `speaker_groups`.
    """
    return np.array([str(group).rpartition("/")[0] for group in groups])


def map_labels(rows, label_map):
    """Replace labels, such as by common ones of several corpora: DataFrame of the clips kept.

    Parameters
    ----------
    rows : DataFrame (n_clips,)
        Column emotion.
    label_map : dict of str to (str or None), optional
        Label to its replacement; None leaves its clips out. Other labels stay.

    Raises
    ------
    ValueError
        For a label that no clip has.

    Examples
    --------
    >>> rows = pd.DataFrame({"emotion": ["calm", "sad", "boredom"]})
    >>> map_labels(rows, {"calm": "neutral", "boredom": None})["emotion"].tolist()
    ['neutral', 'sad']
    """
    label_map = label_map or {}
    there = sorted(set(rows["emotion"]))
    for label in label_map:
        check_name(label, there, "label to map")
    common = rows["emotion"].map(lambda label: label_map.get(label, label))
    return rows.assign(emotion=common)[common.notna()].reset_index(drop=True)


__getattr__ = moved(
    __name__,
    {
        "clip_tables": "read_table",
        "recognizer": "Clips",
        "sampling": "balanced check_two_speakers speaker_folds stratified_order",
    },
)
