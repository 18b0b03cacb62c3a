"""Read labelled clips from a DataFrame, CSV, JSON Lines, audformat, or a folder.

    from clip_tables import read_table

    rows = read_table("clips.csv")            # columns path, emotion, speaker, corpus, ...
    rows = read_table(frame, columns={"path": "my column"}, label_map="german")
    EmotionRecognizer(data="clips.csv").train()      # also fit, evaluate, predict, and --data

Every error in a table gives a message that names rows and says what to do.
"""

import datetime
import difflib
import hashlib
import numbers
import os
import re
import unicodedata
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from checks import check_name, folded, is_label, printable
from corpora import CORPORA
from parameters import AVAILABLE_EMOTIONS, LABEL_WORDS
from sampling import check_two_speakers, speaker_folds
from table_files import NAMES, existing_files, file_like, find_table
from tables import (
    CHECKED,
    COLUMNS,
    NO_SPEAKER,
    OPTIONAL,
    QUOTED,
    TEXT,
    all_known,
    one_spelling,
    speaker_groups,
)

NAMED = 5  # rows that a message names
SIMILAR = 0.85  # ratio of `difflib` from which two labels count as similar
MANY = 2000  # speakers; a random fifth of so many needs no stratification
RARE = 5  # a similar label that is this many times as frequent is the right spelling
LONGEST = 100  # seconds; whole numbers with a longer median are taken for milliseconds

TIMES, WEB = ("start", "end"), ("http://", "https://", "s3://")
ODD = ("//", "./", "\\") if os.sep == "/" else ("/", "..")  # in paths that aren't plain
EMPTY = {"", "nan", "n/a", "null", "<na>"}  # folded
PARTS = dict.fromkeys(("train", "training", "trn"), "train")
PARTS |= dict.fromkeys(("dev", "devel", "development", "val", "valid", "validation"), "dev")
PARTS |= dict.fromkeys(("test", "testing", "tst", "eval", "evaluation"), "test")
GENDERS = dict.fromkeys(("f", "female", "woman", "w"), "female")
GENDERS |= dict.fromkeys(("m", "male", "man"), "male")
CLOCK = re.compile(r"(?:(\d+) days?,? )?(\d+):([0-5]\d):([0-5]\d(?:\.\d+)?)")


@dataclass(frozen=True, eq=False)
class Labelled:
    """Clips that were read and checked.

    Parameters
    ----------
    rows : DataFrame (n_clips,)
        See `read_table`.
    name : str
        Their source, for messages.
    """

    rows: pd.DataFrame
    name: str

    def __eq__(self, other):
        return isinstance(other, Labelled) and (
            self.rows is other.rows or self.rows.equals(other.rows)
        )

    __hash__ = None

    def emotions(self, wanted=None):
        """All labels, or the given ones, in the spelling of the table: list of str.

        Parameters
        ----------
        wanted : list of str, optional

        Raises
        ------
        ValueError
            For a label that no clip has.
        """
        there = {folded(label): label for label in sorted(self.rows["emotion"].unique())}
        if wanted is None:
            return [*there.values()]
        wanted = [folded(str(label)) for label in wanted]
        for label in wanted:
            check_name(label, there, f"emotion of {self.name}:")
        return [there[label] for label in dict.fromkeys(wanted)]

    def __repr__(self):
        return f"<{len(self.rows)} clips of {self.name}>"


def read_table(source, *, columns=None, label_map=None, target="emotion", root=None, table=None):
    """Read labelled clips: DataFrame with one row each.

    Parameters
    ----------
    source : DataFrame, path, audformat.Database, or a list of them
        A CSV or TSV file (with a line of column names), a JSON Lines file, a folder in audformat
        (https://audeering.github.io/audformat), or a folder of recordings that are named
        <speaker>_..._<emotion>.wav.
    columns : dict of str to str, optional
        Name (see Returns) to that of the column in the table, if it isn't one of `NAMES`.
    label_map : dict of str to (str or None), or str, optional
        Label to its replacement, None to leave its clips out. Or the name of a language
        (`parameters.LABEL_WORDS`) or of a corpus (its codes). Other labels stay.
    target : str, list of str or None
        What models learn: "emotion", or columns of numbers. None: only paths are required.
    root : path, optional
        Base of relative paths. Default: the folder of the file; for a DataFrame the working
        directory.
    table : str or list of str, optional
        Tables of a database in audformat. Default: those with the target; of splits if any.

    Returns
    -------
    DataFrame (n_clips,)
        path : absolute.
        emotion, or the targets : labels, or floats. Spellings of labels and speakers are unified
        (see `checks.folded`).
        speaker : without such a column each recording counts as its own speaker, and no protocol
        claims that training and test have different speakers.
        corpus : default the name of the file.
        Also, if the table has them, partition ("train" or "test"; dev counts as train, or as test
        if there is no other test), start and end (float seconds, NaN for those of the recording),
        language, gender ("female", "male", "unknown") and sentence.

    Raises
    ------
    ValueError
        If the table can't be used. Times are seconds, hh:mm:ss.s or Timedelta; ambiguous ones are
        refused: mm:ss, decimal commas, whole numbers that look like milliseconds.
    FileNotFoundError
        If there is no such file, folder or recording.

    Warns
    -----
    UserWarning
        About repeated rows, similar labels, emotions with one clip, missing or single speakers.

    Examples
    --------
    >>> rows = pd.DataFrame({"wav": ["data/test-custom/v21_s6_sad.wav"] * 2, "label": ["A", "B"]})
    >>> read_table(rows.assign(onset=[0, 0.5], end=[0.5, 1])).columns.tolist()
    ['path', 'emotion', 'speaker', 'corpus', 'start', 'end']
    """
    sources = source if isinstance(source, (list, tuple)) else [source]
    if not sources:
        raise ValueError("No table given; pass one or more.")
    targets = [target] if isinstance(target, str) or target is None else list(target)
    tables, names = [], []
    for own in sources:
        if isinstance(own, Labelled):
            rows, name = own.rows, own.name
        else:
            found = find_table(own, targets, root, table)
            rows, name = _canonical(found, columns, label_map, targets), found.name
        tables.append(rows)
        names.append(name)
    rows, name = _joined(tables), ", ".join(names)
    rows.attrs["source"] = name
    if target is not None:
        rows = _each_once(rows, name, targets)
        _check_clips(rows, name, targets)
    return rows


def read_data(data, columns=None, label_map=None, target=None):
    """Read tables, unless they have been read already: Labelled; None for None.

    Parameters
    ----------
    data, columns, label_map
        See `read_table`.
    target : str or list of str, optional
        Columns of numbers to learn; the emotions of the clips are "" then.
    """
    if data is None and (columns or label_map):
        raise ValueError("columns and label_map belong to a table: pass data, too.")
    if data is None or isinstance(data, Labelled):
        return data
    if isinstance(data, pd.DataFrame) and CHECKED in data.attrs:
        return Labelled(data, data.attrs[CHECKED])
    rows = read_table(data, columns=columns, label_map=label_map, target=target or "emotion")
    name = rows.attrs.pop("source")
    return Labelled(rows.assign(emotion="") if target else rows, name)


def chosen_corpora(data, corpora=None):
    """The clips of some of the corpora of a table: Labelled.

    Parameters
    ----------
    data : Labelled
    corpora : list of str, optional
        Default all.
    """
    there = sorted(set(data.rows["corpus"]))
    for name in corpora or ():
        check_name(name, there, f"corpus of {data.name}:")
    rows = data.rows[data.rows["corpus"].isin(corpora or there)]
    return Labelled(rows.reset_index(drop=True), data.name)


def with_partition(rows, random_state=0):
    """Rows with a column partition: their own, or a random draw of test speakers: DataFrame.

    Parameters
    ----------
    rows : DataFrame (n_clips,)
        See `read_table`.
    random_state : int
        Seed; a fifth of the speakers is drawn for the test.

    Raises
    ------
    ValueError
        If one part is empty, or there is only one speaker.
    """
    if "partition" in rows:
        lacking = [part for part in ("train", "test") if part not in set(rows["partition"])]
        if lacking:
            raise ValueError(
                f"The column partition has no {lacking[0]} clips. Mark some, or leave the column "
                "out: then test speakers are drawn at random. fit(table) learns from all clips."
            )
    else:
        groups = speaker_groups(rows)
        check_two_speakers(groups)
        speakers = np.unique(groups)
        if len(speakers) > MANY:
            drawn = np.random.default_rng(random_state).permutation(speakers)[: len(speakers) // 5]
            test = np.isin(groups, drawn)
        else:
            _, test = speaker_folds(rows["emotion"], groups, 5, random_state)[0]
        parts = np.full(len(rows), "train", dtype=TEXT)
        parts[test] = "test"
        rows = rows.assign(partition=pd.Series(parts, rows.index, TEXT))
    return rows.sort_values("partition", ascending=False, kind="stable", ignore_index=True)


# columns


def _canonical(source, columns, label_map, targets):
    """The rows of a source, checked, in the form of `read_table`: DataFrame."""
    if source.cells.empty:
        raise ValueError(f"{source.name} has no rows.")
    own = _own_names(source, columns or {}, targets)
    words = [name for name in (*COLUMNS, *OPTIONAL) if name in own and name not in TIMES]
    texts = {name: _texts(source, own[name]) for name in words}
    rows = {"path": (paths := _paths(source, texts.pop("path"))).each()}
    for target in filter(None, targets):
        if target != "emotion":
            rows[target] = _numbers(source, own[target])
    labels = texts.pop("emotion", None)
    if "emotion" in targets:
        rows["emotion"] = _labels(source, labels, label_map, own["emotion"])
    elif labels is not None and targets != [None]:
        rows["emotion"] = labels.map(printable).each()
    if "speaker" in own:
        rows["speaker"] = _speakers(source, texts.pop("speaker"), own["speaker"])
    else:
        rows["speaker"] = paths.map(_unknown_speaker).each()
    rows["corpus"] = np.full(len(source.cells), source.corpus, TEXT)
    if "corpus" in own:
        named = _spelled(source, texts.pop("corpus"), own["corpus"])
        rows["corpus"] = named.map(lambda text: text or source.corpus).each()
    if "partition" in own:
        rows["partition"] = _partitions(source, texts.pop("partition"))
    if times := _times(source, own):
        rows["start"], rows["end"] = times
    for name, own in texts.items():
        fact = (
            (lambda text: GENDERS.get(folded(text), "unknown")) if name == "gender" else printable
        )
        rows[name] = own.map(fact).each()
    order = [name for name in ("path", *targets, *COLUMNS, *OPTIONAL) if name in rows]
    index = source.cells.index
    columns = {name: pd.Series(rows[name], index, rows[name].dtype) for name in order}
    table = pd.DataFrame(columns)
    return table[table["emotion"].notna()] if "emotion" in table else table


class _Texts(NamedTuple):
    """A column of texts."""

    codes: np.ndarray  # for each row an index of values
    values: list

    def each(self):
        """The text of each row: ndarray of object."""
        return np.array([*self.values, None], dtype=TEXT)[self.codes]

    def map(self, change):
        """Apply a function to each text: _Texts."""
        return _Texts(self.codes, [change(text) for text in self.values])

    def where(self, holds):
        """Which rows have a text for which `holds` is true: ndarray of bool."""
        return np.array([*map(holds, self.values)], dtype=bool)[self.codes]


def _refuse(source, bad, what, advice, shown=None, kind=ValueError):
    """Raise an error that names the first bad rows, if there are any."""
    bad = np.asarray(bad)
    if not bad.any():
        return
    places = np.flatnonzero(bad)
    named = [f"{source.unit} {printable(source.cells.index[i])}" for i in places[:NAMED]]
    if shown is not None:
        shown = shown.each() if isinstance(shown, _Texts) else shown
        values = [shown[i] for i in places[:NAMED]]
        named = [
            f"{place} ({printable(repr(v) if isinstance(v, str) else v)})"
            for place, v in zip(named, values, strict=True)
        ]
    more = f", ... ({len(places):,} in all)" if len(places) > NAMED else ""
    raise kind(f"{source.name}: {what}: {', '.join(named)}{more}. {advice}")


def _own_names(source, columns, targets):
    """Canonical name to that of the column: dict."""
    there = [*source.cells.columns]
    by_name = {}
    for column in there:
        name = folded(str(column)).replace(" ", "_").replace("-", "_")
        by_name.setdefault(name, []).append(column)
    known = {**NAMES, **{t: (t,) for t in filter(None, targets) if t not in NAMES}}
    found = {}
    for name in columns:
        check_name(name, known, "name in columns=")
        found[name] = check_name(columns[name], there, f"column of {source.name}:")
    for name, usual in known.items():
        own = [column for other in usual for column in by_name.get(other, ())]
        if name in found or not own:
            continue
        if name in by_name:
            own = by_name[name]
        if len(own) > 1 and name in ("path", "emotion", "speaker", "start", "end", *targets):
            raise ValueError(
                f"{source.name}: {name} may be column {' or '.join(map(repr, own))}. Choose one by "
                f"columns={{{name!r}: {own[0]!r}}}, or rename the others."
            )
        found[name] = own[0]
    if "offset" in by_name and not {"start", "end"} <= set(found):
        is_start = "start" not in found and "duration" in found
        if not is_start and "start" not in found:
            raise ValueError(
                f"{source.name}: the column 'offset' may be a start or an end. Choose by "
                "columns={'start': 'offset'} or columns={'end': 'offset'}."
            )
        found["start" if is_start else "end"] = by_name["offset"][0]
    for name in ("path", *filter(None, targets)):
        if name not in found:
            raise ValueError(
                f"{source.name} has no column {name}, nor one of its usual names; it has "
                f"{', '.join(map(printable, there)) or 'none'}. Choose one by "
                f"columns={{{name!r}: ...}}."
            )
    return found


def _texts(source, column):
    """A column as text, stripped and in NFC, "" for empty cells: _Texts."""
    values = source.cells[column]
    if isinstance(values, pd.DataFrame):
        raise ValueError(f"{source.name} has several columns {column!r}. Rename all but one.")
    values = values.astype(TEXT).to_numpy()
    what, advice = f"no text in {column!r}", "Each row needs text there."
    try:
        codes, unique = pd.factorize(values)
    except TypeError:  # lists and the like
        odd = [isinstance(value, (list, dict, set)) for value in values]
        _refuse(source, odd, what, advice, values)
        raise
    texts = _Texts(codes % (len(unique) + 1), [*map(_text, unique), ""])  # -1 is an empty cell
    _refuse(source, texts.where(lambda text: text is None), what, advice, values)
    return texts


def _text(value):
    """One cell as text; None for other types."""
    if isinstance(value, str):
        text = QUOTED.sub(r"\1", value) if "'" in value else value
        return unicodedata.normalize("NFC", text.strip())
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, numbers.Real) and not isinstance(value, (bool, np.bool_)):
        return str(int(value)) if float(value).is_integer() else str(value)
    return None


def _spelled(source, texts, column):
    """Texts with unified spellings, all of them valid labels: _Texts."""
    what = f"no short line of plain text in {column!r}"
    bad = texts.where(lambda text: not _is_unicode(text))
    _refuse(source, bad, what, "Save the file as CSV UTF-8.", texts)
    _refuse(source, texts.where(lambda text: not is_label(text)), what, "Rename them.", texts)
    return _Texts(texts.codes, one_spelling(pd.Series(texts.values, dtype=TEXT)).tolist())


def _speakers(source, texts, column):
    bad = texts.where(lambda text: folded(text) in EMPTY)
    _refuse(source, bad, f"no speaker in {column!r}", "Fill them in, or drop the column.")
    return _spelled(source, texts, column).each()


def _is_unicode(text):
    return not re.search("[\ud800-\udfff]", text)


def _labels(source, texts, label_map, column):
    """Labels, spelling unified, mapped, None for those to leave out: ndarray of str."""
    cells = source.cells[column]
    if len({isinstance(value, str) for value in pd.unique(cells.dropna().to_numpy())}) == 2:
        odd = [not isinstance(value, str) for value in cells]
        advice = "Give one kind of label, or name another column by columns=."
        _refuse(source, odd, f"numbers among the words in {column!r}", advice, texts)
    bad = texts.where(lambda text: folded(text) in EMPTY)
    _refuse(source, bad, f"no label in {column!r}", "Fill them in, or delete the rows.")
    texts = _spelled(source, texts, column)
    given = _mapping(label_map, [text for text in texts.values if text])
    nine = {folded(own): own for own in AVAILABLE_EMOTIONS}
    labels = [given.get(folded(text), text) for text in texts.values]
    spelled = one_spelling(pd.Series(["" if own is None else own for own in labels], dtype=TEXT))
    return _Texts(
        texts.codes,
        [
            None if own is None else nine.get(folded(label), label)
            for own, label in zip(labels, spelled, strict=True)
        ],
    ).each()


def _mapping(label_map, labels):
    """Folded label to its replacement, or None: dict."""
    if label_map is None:
        return {}
    if isinstance(label_map, str):
        coded = {name: corpus.emotions for name, corpus in CORPORA.items() if corpus.emotions}
        name = check_name(folded(label_map), (*LABEL_WORDS, *coded), "label map")
        if name in coded:
            return {folded(code): emotion for code, emotion in coded[name].items()}
        pairs = ((word, to) for to, words in LABEL_WORDS[name].items() for word in words.split())
        return {folded(word): to for word, to in pairs}
    there = {folded(label): label for label in labels}
    for label in label_map:
        if folded(str(label)) not in there:
            check_name(label, [*there.values()], "label to map")
    return {folded(str(own)): new and str(new).strip() for own, new in label_map.items()}


def _numbers(source, column):
    """A column of numbers: ndarray of float."""
    values = pd.to_numeric(source.cells[column], errors="coerce").to_numpy(dtype=float)
    what, advice = f"no number in {column!r}", "Fill them in, or delete the rows."
    _refuse(source, ~np.isfinite(values), what, advice, source.cells[column].to_numpy())
    return values


def _unknown_speaker(path):
    """A name for the unknown speaker of a recording, the same in all tables: str."""
    return f"{NO_SPEAKER}{hashlib.sha1(os.fsencode(path)).hexdigest()[:12]}"


def _partitions(source, texts):
    """train or test for each row: ndarray of str."""
    parts = texts.map(lambda text: PARTS.get(folded(text)))
    bad, advice = parts.where(lambda part: part is None), "Use {}; or drop the column."
    _refuse(source, bad, "no partition", advice.format(", ".join(PARTS)), texts)
    dev = "train" if "test" in parts.values else "test"
    return parts.map(lambda part: dev if part == "dev" else part).each()


# paths


def _paths(source, texts):
    """Absolute paths of existing files: _Texts."""
    bad = texts.where(lambda text: not text)
    _refuse(source, bad, "no path", "Fill them in, or delete the rows.")
    bad = texts.where(lambda text: "\0" in text or text.startswith(WEB))
    advice = "Give paths of files; download recordings from the web first."
    _refuse(source, bad, "not the path of a file", advice, texts)
    folder = os.path.abspath(source.root)  # noqa: PTH100  (Path is slow for a million rows)
    given = texts.values
    found = existing_files(full := _full(folder, given))
    missing = [i for i, path in enumerate(found) if path is None]
    if os.sep == "/" and any("\\" in given[i] for i in missing):  # a table from Windows
        turned = [given[i].replace("\\", "/") for i in missing]
        for i, path in zip(missing, existing_files(_full(folder, turned)), strict=True):
            found[i] = path
    paths = _Texts(texts.codes, found)
    lost = paths.where(lambda path: path is None)
    if lost.any():
        advice = f"Relative paths start at {printable(folder)}: correct them, or pass root=."
        if hint := file_like(full[texts.codes[lost.argmax()]]):
            advice += f" Did you mean {printable(hint)!r}?"
        _refuse(source, lost, "no such file", advice, texts, FileNotFoundError)
    return _Texts(texts.codes, [path or "" for path in found])


def _full(folder, paths):
    start = folder.rstrip(os.sep) + os.sep
    return [
        start + path
        if path[:1] != os.sep and not any(odd in path for odd in ODD)
        else os.path.normpath(os.path.join(folder, path))  # noqa: PTH118
        for path in paths
    ]


# times


def _times(source, own):
    """Start and end in seconds, NaN for those of the recording: two ndarrays, or None."""
    start, end = (_seconds(source, own[name]) if name in own else None for name in ("start", "end"))
    if start is not None and end is None and "duration" in own:
        end = start + _seconds(source, own["duration"])
    if start is None and end is None:
        return None
    nothing = np.full(len(source.cells), np.nan)
    start, end = (nothing if own is None else own for own in (start, end))
    first = np.nan_to_num(start)
    spans = np.column_stack([first, end])
    _refuse(source, first < 0, "a negative start", "Times count from the beginning.", spans)
    advice = "Correct them; start and end are seconds from the beginning of the recording."
    _refuse(source, end <= first, "the end isn't after the start", advice, spans)
    given = np.concatenate([start, end])
    given, lengths = given[~np.isnan(given)], (end - first)[~np.isnan(end)]
    if len(lengths) and (given % 1 == 0).all() and np.median(lengths) >= LONGEST:
        raise ValueError(
            f"{source.name}: start and end are whole numbers, and half of the segments are longer "
            f"than {np.median(lengths):g} s, so they look like milliseconds, or samples. Give "
            "seconds: divide the columns; write long segments as hh:mm:ss."
        )
    return start, end


def _seconds(source, column):
    """A column of times as float seconds, NaN for empty cells: ndarray."""
    values = source.cells[column]
    if values.dtype.kind == "m":
        return values.dt.total_seconds().to_numpy(dtype=float)
    if values.dtype.kind in "iuf":
        seconds = values.to_numpy(dtype=float)
    else:
        codes, unique = pd.factorize(values.astype(TEXT))
        seconds = np.array([*map(_moment, unique), np.nan])[codes]
    bad = np.isinf(seconds)
    advice = "Times are seconds (12.5), hh:mm:ss.s (00:00:12.5) or Timedelta."
    _refuse(source, bad, f"no time in {column!r}", advice, values.to_numpy())
    return seconds


def _moment(value):
    """One time in seconds; NaN for an empty cell, inf for an invalid or ambiguous one."""
    if isinstance(value, (datetime.timedelta, np.timedelta64)):
        return pd.Timedelta(value).total_seconds()
    if isinstance(value, numbers.Real) and not isinstance(value, (bool, np.bool_)):
        return float(value)
    if not isinstance(value, str):
        return np.inf
    text = value.strip()
    if text.lower() in (*EMPTY, "nat"):
        return np.nan
    if clock := CLOCK.fullmatch(text):
        days, hours, minutes, seconds = clock.groups()
        return (int(days or 0) * 24 + int(hours)) * 3600 + int(minutes) * 60 + float(seconds)
    return float(text) if re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", text) else np.inf


# all clips together


def _joined(tables):
    """The rows of all tables, spellings of labels unified: DataFrame."""
    if len(tables) == 1:
        return tables[0].reset_index(drop=True)
    parts = sum("partition" in own for own in tables)
    if parts not in (0, len(tables)):
        raise ValueError(
            "Some of the tables have a column partition, and some have none. Give it to all or to "
            "none; without it test speakers are drawn at random."
        )
    rows = pd.concat(tables, ignore_index=True)
    for name in ("emotion", "language", "gender", "sentence"):
        if name in rows:
            rows[name] = rows[name].fillna("unknown" if name == "gender" else "").astype(TEXT)
    if "emotion" in rows:
        rows["emotion"] = one_spelling(rows["emotion"])
    return rows


def _each_once(rows, name, targets):
    """Drop repeated clips, with a warning; refuse clips with several labels."""
    key = [column for column in ("path", "start", "end") if column in rows]
    again = rows.duplicated(key, keep=False)
    if not again.any():
        return rows
    own = rows[again]
    kinds = own.groupby(key, dropna=False, sort=False)[targets].transform("nunique")
    differ = kinds.max(axis=1) > 1
    if differ.any():
        labels = own[differ].groupby("path", sort=False)[targets[0]].unique().iloc[:NAMED]
        named = [
            f"{printable(Path(path).name)} ({', '.join(map(str, some[:NAMED]))})"
            for path, some in labels.items()
        ]
        raise ValueError(
            f"{name}: {differ.sum()} rows give one recording several labels: {', '.join(named)}. "
            "Choose one, or give start and end if they belong to different parts."
        )
    listed = rows.duplicated(key)
    paths = ", ".join(printable(Path(path).name) for path in rows.loc[listed, "path"][:NAMED])
    warnings.warn(
        f"{name}: {listed.sum()} row(s) repeat a clip, and are left out: {paths}"
        f"{', ...' * bool(listed.sum() > NAMED)}",
        stacklevel=3,
    )
    return rows[~listed].reset_index(drop=True)


def _check_clips(rows, name, targets):
    """Errors and warnings about all clips of a table."""
    if rows.empty:
        raise ValueError(f"{name}: label_map leaves all clips out. Correct it.")
    if targets == ["emotion"]:
        _check_labels(rows, name)
    speakers = rows["speaker"].unique()
    if not all_known(rows["speaker"]):
        warn = (
            "there is no column speaker, so each recording counts as its own speaker, and no score "
            "shows how well new speakers are recognised. Name it by columns={'speaker': ...}"
        )
    elif len(speakers) == 1:
        warn = (
            f"all clips are of one speaker, {speakers[0]!r}, so no score shows how well others are "
            "recognised. Add recordings of others"
        )
    else:
        return
    warnings.warn(f"{name}: {warn}.", stacklevel=3)


def _check_labels(rows, name):
    counts = rows["emotion"].value_counts()
    if len(counts) == 1:
        raise ValueError(
            f"{name}: all {len(rows)} clips have the label {counts.index[0]!r}, and training needs "
            "at least two. Add clips of another emotion, or name another column by columns=."
        )
    alone = rows[rows["emotion"].isin(counts.index[counts == 1])]
    if len(alone):
        named = [
            f"{emotion!r} ({printable(Path(path).name)})"
            for emotion, path in alone[["emotion", "path"]].iloc[:NAMED].to_numpy()
        ]
        warnings.warn(
            f"{name}: there is only one clip of {', '.join(named)}"
            f"{', ...' * (len(alone) > NAMED)}. It can't be in training and in test: add clips, or "
            "leave it out by label_map={...: None}.",
            stacklevel=4,
        )
    if alike := _alike(counts):
        pairs = ", ".join(f"{own!r} ({counts[own]}) and {other!r}" for own, other in alike[:NAMED])
        own, other = alike[0]
        warnings.warn(
            f"{name}: similar labels: {pairs}. label_map={{{own!r}: {other!r}}} makes them one.",
            stacklevel=4,
        )


def _alike(counts):
    """Rare labels, each with a similar frequent one: list of (rare, other)."""
    found = []
    for own in counts.index[:1000]:
        if own in AVAILABLE_EMOTIONS:
            continue
        usual = [other for other in counts.index[:100] if counts[other] >= RARE * counts[own]]
        near = difflib.get_close_matches(own, {*usual, *AVAILABLE_EMOTIONS}, 1, SIMILAR)
        found += [(own, near[0])] if near else []
    return found
