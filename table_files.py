"""Read tables: DataFrames, CSV, TSV, JSON Lines, audformat, folders of named files.

`clip_tables.py` turns their cells into labelled clips.
"""

import difflib
import json
import os
import unicodedata
import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from checks import check_name, folded, is_label, open_file, printable, read_file
from corpora import CORPORA, describe
from create_csv import list_audio
from parameters import LABEL_WORDS
from tables import COLUMNS, NAME_ERRORS, TEXT
from utils import names_option

LARGEST = 2**32  # bytes of a file
NAMED = 5  # files that a message names
SCANNED = 100  # for this many files of a folder, listing it is faster than asking for each

NAMES = {
    "path": "file filename file_name filepath file_path audio_filepath wav wave wav_path wav_file "
    "audio audio_path audio_file recording",
    "emotion": "label emotion_label class category emo",
    "speaker": "spk speaker_id speakerid spk_id subject subject_id",
    "corpus": "database dataset",
    "partition": "split set subset",
    "start": "begin onset start_time begin_time",
    "end": "stop end_time",
    "duration": "dur",
    "language": "lang",
    "gender": "sex",
    "sentence": "text transcript transcription sentence_id",
}
NAMES = {name: (name, *others.split()) for name, others in NAMES.items()}
"""Usual names of columns. "offset" is the end if there is an onset, the start if a duration."""


def add_data(parser, labels="with --data"):
    """Add --data, --columns, --label-map, --target, the arguments of `clip_tables.read_data`.

    Parameters
    ----------
    parser : argparse.ArgumentParser
    labels : str
        When --label-map applies, for the help.
    """
    add = parser.add_argument_group("your own clips").add_argument
    table = "labelled clips to use in place of the corpora: a CSV or JSON Lines file, or a folder "
    table += "in audformat; may be repeated. Default emotions: all in the table"
    add("--data", action="append", metavar="TABLE", help=table)
    own = "names of its columns, if they aren't the usual ones: path=FILE,emotion=MOOD"
    add("--columns", type=pairs_option, metavar="NAME=OWN,...", help=own)
    names = f"or a language ({', '.join(LABEL_WORDS)})"
    common = f"{labels}: replace labels; - leaves clips out, as in ps=happy,boredom=-; {names}"
    add("--label-map", type=_label_map_option, metavar="OLD=NEW,...", help=common)
    target = "columns of numbers to learn in place of emotions, such as arousal,valence"
    add("--target", type=names_option, metavar="COLUMNS", help=target)


def pairs_option(text):
    """Parse OLD=NEW,OLD=NEW, for argparse: dict of str to (str or None); - is None.

    Parameters
    ----------
    text : str

    Raises
    ------
    argparse.ArgumentTypeError
        For another form.

    Examples
    --------
    >>> pairs_option("ps=happy,boredom=-")
    {'ps': 'happy', 'boredom': None}
    """
    from argparse import ArgumentTypeError

    pairs = [pair.split("=") for pair in text.split(",")]
    if not all(len(pair) == 2 and all(pair) for pair in pairs):
        raise ArgumentTypeError(f"it must be OLD=NEW,OLD=NEW or OLD=-; got {text!r}")
    return {old.strip(): None if new == "-" else new.strip() for old, new in pairs}


def _label_map_option(text):
    return text if text in (*LABEL_WORDS, *CORPORA) else pairs_option(text)


class Source(NamedTuple):
    """A table before it is checked."""

    cells: pd.DataFrame  # of any types; messages name rows by its index
    name: str
    root: Path  # base of relative paths
    unit: str = "row"  # what the index counts
    corpus: str = ""  # by default


def find_table(source, targets, root=None, table=None):
    """Detect the kind of a source, and read it: Source.

    Parameters
    ----------
    source, root, table
        See `clip_tables.read_table`.
    targets : list of (str or None)
        Names of the columns to learn.

    Raises
    ------
    FileNotFoundError, ValueError, TypeError
        If there is no such table, or it can't be read.
    """
    if isinstance(source, pd.DataFrame):
        known = {folded(str(name)) for name in source.index.names if name is not None}
        if known & {own for names in NAMES.values() for own in names}:  # as in audformat
            source = source.reset_index()
        return Source(source, "the table", Path(root or "."), corpus="table")
    if hasattr(source, "schemes") and hasattr(source, "tables"):
        return _database(source, targets, root, table)
    if not isinstance(source, (str, os.PathLike)):
        raise TypeError(
            "A table is a DataFrame, a CSV or JSON Lines file, a folder or an audformat database; "
            f"got {type(source).__name__}."
        )
    path = Path(source).expanduser()
    if path.is_dir():
        is_database = (path / "db.yaml").is_file()
        found = _audformat(path, targets, root, table) if is_database else _folder(path)
    elif not path.exists():
        raise FileNotFoundError(
            f"There is no table {printable(path)}; give a CSV or JSON Lines file, or a folder."
        )
    else:
        found = _file(path)
    stem = folded(path.resolve().stem)
    corpus = folded(path.resolve().name) if stem in CORPORA else stem
    corpus = corpus if is_label(corpus) and corpus else "table"
    return found._replace(root=Path(root or found.root), corpus=found.corpus or corpus)


def _file(path):
    """Read CSV, TSV or JSON Lines: Source."""
    name, encoding = printable(path), _encoding(path)
    with open_file(path, LARGEST) as file:
        head = file.read(2**16).decode(encoding, "replace").lstrip("\ufeff \r\n\t")
        file.seek(0)
        if head[:1] in ("{", "["):
            return Source(_json(file, name, head[0] == "["), name, path.parent, "line")
        line = head.partition("\n")[0]
        how = {"sep": max("\t;,|", key=line.count), "dtype": TEXT, "keep_default_na": False}
        how |= {"encoding": encoding, "encoding_errors": NAME_ERRORS, "skip_blank_lines": False}
        try:
            cells = pd.read_csv(file, **how)
        except ValueError as error:  # pandas's own don't say which file it is
            why = printable(" ".join(str(error).split()))
            raise ValueError(f"{name} isn't a table with a line of column names: {why}") from error
    if not isinstance(cells.index, pd.RangeIndex):  # pandas takes the first fields for row names
        raise ValueError(f"{name} has more fields in its lines than column names.")
    cells.index += 2  # the row numbers of spreadsheets
    first = cells.iloc[:, 0].to_numpy()
    empty = np.array([cell != cell or cell == "" for cell in first], dtype=bool)  # nan, too
    empty[empty] = (cells[empty].fillna("") == "").all(axis=1)
    return Source(cells[~empty] if empty.any() else cells, name, path.parent)


def _encoding(path):
    """The encoding of a text by its first bytes; raises for a NUL."""
    n_lines = 1
    with open_file(path, LARGEST) as file:
        if file.read(2) in (b"\xff\xfe", b"\xfe\xff"):
            return "utf-16"
        file.seek(0)
        while block := file.read(2**20):
            if (at := block.find(b"\0")) >= 0:
                n_lines += block.count(b"\n", 0, at)
                raise ValueError(
                    f"{printable(path)} has a NUL character in line {n_lines}: it is damaged, or "
                    "isn't text. Save it again as CSV UTF-8."
                )
            n_lines += block.count(b"\n")
    return "utf-8-sig"


def _json(file, name, is_list):
    """Read JSON Lines, or one list of objects: DataFrame."""
    tables, batch, lines = [], [], []

    def keep():
        tables.append(pd.DataFrame(batch, index=lines, dtype=TEXT))
        batch.clear()
        lines.clear()

    texts = [file.read()] if is_list else file
    for n, text in enumerate(texts, 1):
        try:
            found = json.loads(text) if text.strip() else []
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{name}: line {n} isn't JSON: {error}") from error
        for record in found if is_list else [found] if found != [] else []:
            if not isinstance(record, dict):
                raise ValueError(f"{name}: each line must be an object, and line {n} isn't.")
            batch.append(record)
            lines.append(n if not is_list else len(lines) + 1)
        if len(batch) >= 50_000 and not is_list:
            keep()
    if batch:
        keep()
    if not tables:
        raise ValueError(f"{name} has no rows.")
    return pd.concat(tables)


def _folder(path):
    """The recordings of a folder that are named <speaker>_..._<emotion>: Source."""
    files, name = list_audio(path), printable(path)
    found = [describe(file, "custom") for file in files]
    if not any(found):
        raise ValueError(
            f"{name} isn't in audformat (it has no db.yaml), and has no recordings named "
            "<speaker>_..._<emotion>.wav; give a CSV file with columns path and emotion instead."
        )
    if left := [file.name for file, row in zip(files, found, strict=True) if row is None]:
        named = ", ".join(map(printable, left[:NAMED])) + ", ..." * (len(left) > NAMED)
        warnings.warn(
            f"{name}: {len(left)} file(s) left out, as their names have no emotion: {named}",
            stacklevel=4,
        )
    cells = pd.DataFrame([row[:3] for row in found if row], columns=COLUMNS[:3], dtype=TEXT)
    cells["path"] = [os.path.relpath(own, path) for own in cells["path"]]
    return Source(cells.set_index(cells["path"].rename(None)), name, path, "file")


def _audformat(path, targets, root, table):
    """Read a folder in audformat: Source. Content that could run code is refused."""
    try:
        import audformat
        import yaml
    except ImportError as error:
        raise ImportError(
            f"{printable(path)} is in audformat: pip install -r requirements-audformat.txt"
        ) from error
    pickled = [own.name for own in sorted(path.glob("*.pkl"))]
    if pickled:
        raise ValueError(
            f"{printable(path)} holds tables as pickles, which may run code when they are read: "
            f"{', '.join(map(printable, pickled[:NAMED]))}. Delete them if there are .csv or "
            ".parquet files, too, or read it by audformat.Database.load and pass that."
        )
    try:
        yaml.safe_load(read_file(path / "db.yaml", 2**26))  # audformat would accept any tags
        db = audformat.Database.load(str(path), load_data=True)
    except (yaml.YAMLError, RuntimeError, ValueError, LookupError, TypeError) as error:
        why = printable(" ".join(str(error).split()))
        raise ValueError(f"{printable(path)} can't be read as audformat: {why}") from error
    return _database(db, targets, root, table)


def _database(db, targets, root, table):
    """The tables of a database in audformat that have the targets: Source."""
    wanted = targets[0] if targets[0] is not None else "emotion"
    having = [name for name, own in db.tables.items() if _column(own, wanted)]
    if table is not None:
        chosen = [table] if isinstance(table, str) else list(table)
        for name in chosen:
            check_name(name, having, f"table with {wanted}")
    else:
        chosen = [name for name in having if db[name].split_id] or having
        if not chosen or (len(chosen) > 1 and not all(db[name].split_id for name in chosen)):
            raise ValueError(
                f"{len(chosen)} tables of {db.name!r} have a column {wanted} "
                f"({', '.join(chosen or db.tables)}): choose tables by table=, or the column by "
                "columns=."
            )
    cells = pd.concat([_of_table(db, name, targets) for name in chosen], ignore_index=True)
    index = pd.Index(cells["path"], name=None)
    place = Path(root or db.root or ".")
    return Source(cells.set_index(index), f"database {db.name!r}", place, "file", folded(db.name))


def _of_table(db, name, targets):
    """The columns of one table, with those of other tables for the same files: DataFrame."""
    own = db[name]
    frame = own.df.reset_index().rename(columns={"file": "path"})
    cells = frame[[c for c in ("path", "start", "end") if c in frame]].copy()
    for target in filter(None, targets):
        cells[target] = frame[_column(own, target) or target]
    if own.split_id:
        cells["partition"] = str(db.splits[own.split_id].type)
    for extra in ("speaker", "gender", "language", "sentence"):
        for other in [own, *(t for t in db.tables.values() if t.type == "filewise")]:
            if column := _column(other, extra):
                values = own.df[column] if other is own else other.df[column]
                if other is not own:
                    values = cells["path"].map(values[~values.index.duplicated()])
                cells[extra] = values.to_numpy(dtype=TEXT)
                _add_facts(cells, extra, db.schemes.get(other.columns[column].scheme_id))
                break
    if "language" not in cells and len(db.languages) == 1:
        cells["language"] = db.languages[0]
    return cells


def _add_facts(cells, column, scheme):
    """Add what a scheme states about its labels, such as the gender of speakers."""
    labels = getattr(scheme, "labels", None)
    for fact in ("gender", "language"):
        if column == "speaker" and isinstance(labels, dict):
            known = {
                label: own[name]
                for label, own in labels.items()
                if isinstance(own, dict)
                for name in NAMES[fact]
                if name in own
            }
            if known:
                cells[fact] = cells[column].map(known)


def _column(table, name):
    """The column of a table in audformat, or None if it is missing or empty."""
    names = NAMES.get(name, (name,))
    for column, about in table.columns.items():
        if folded(column) in names or folded(about.scheme_id or "") in names:
            return column
    return None


# files that tables name


def existing_files(paths):
    """Find paths in the spelling of the disk: list of str, None if there is no file.

    Folders with many of them are listed once, in place of asking for each file.

    Parameters
    ----------
    paths : list of str
        Absolute.
    """
    found, folders = [None] * len(paths), {}
    for i, path in enumerate(paths):
        folders.setdefault(path.rpartition(os.sep)[0], []).append(i)
    for folder, own in folders.items():
        if len(own) < SCANNED:
            for i in own:
                found[i] = paths[i] if os.path.isfile(paths[i]) else None  # noqa: PTH113
            own = [i for i in own if found[i] is None]
        names, spelled = _files_in(folder or os.sep) if own else (), None
        for i in own:
            name = paths[i].rpartition(os.sep)[2]
            if name in names:
                found[i] = paths[i]
                continue
            # on macOS, ü may be stored as u and a combining diaeresis
            spelled = spelled or {unicodedata.normalize("NFC", own): own for own in names}
            name = spelled.get(unicodedata.normalize("NFC", name))
            found[i] = name and f"{folder}{os.sep}{name}"
    return found


def _files_in(folder):
    try:
        with os.scandir(folder) as entries:
            return {entry.name for entry in entries if entry.is_file()}
    except OSError:
        return set()


def file_like(path):
    """Find a file with a similar name in the same folder: str, or None.

    Parameters
    ----------
    path : str
    """
    folder, _, name = path.rpartition(os.sep)
    near = difflib.get_close_matches(name, sorted(_files_in(folder or os.sep))[:5000], n=1)
    return near[0] if near else None
