"""Write the desc_files (path, emotion, speaker, corpus) of every corpus in the data folder.

    python create_csv.py                          # all corpora, all emotions
    python create_csv.py --emotions sad,happy     # only these
    python create_csv.py --data-dir ~/recordings --json

Where a corpus is absent nothing is written for it, and you are told how to get it. The data
folder is --data-dir, else the environment variable SER_DATA_DIR, else `data/` beside this file:

    data/training/Actor_XX/*_<emotion>.wav     RAVDESS and TESS, to train on
    data/validation/Actor_XX/*_<emotion>.wav   RAVDESS and TESS, to test on
    data/emodb/wav/*.wav                       EMO-DB, names as published
    data/train-custom/<speaker>_..._<emotion>.wav, data/test-custom/...   your own
"""

import argparse
import hashlib
import json
import os
import re
import sys
import warnings
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from utils import AVAILABLE_EMOTIONS, check_name, replacing

REPO = Path(__file__).resolve().parent
AUDIO_SUFFIXES = (".wav", ".flac", ".ogg", ".mp3")
COLUMNS = ["path", "emotion", "speaker", "corpus"]
PARTITIONS = ("train", "test")
NAME_ERRORS = "surrogateescape"  # how Python spells file names that aren't Unicode
TEXT = object  # pandas's own strings, if pyarrow makes them, can't hold such names

EMODB_EMOTIONS = {
    "W": "angry",  # Wut
    "L": "boredom",  # Langeweile
    "E": "disgust",  # Ekel
    "A": "fear",  # Angst
    "F": "happy",  # Freude
    "T": "sad",  # Trauer
    "N": "neutral",
}
"""The sixth character of an EMO-DB file name (emodb.bilderbar.info)."""

_EMODB_NAME = re.compile(r"(?P<speaker>\d\d)[a-z]\d\d(?P<code>[A-Z])[a-z]?$")
_RAVDESS_NAME = re.compile(r"(?:\d\d-){6}(?P<speaker>\d\d)_(?P<emotion>[^_]+)$")
_PLAIN_NAME = re.compile(r"(?P<speaker>[^_]+)_(?:.*_)?(?P<emotion>[^_]+)$")


class CorpusGroup(NamedTuple):
    """Corpora that share desc_files: where they lie, what they hold, how to get them."""

    folders: dict  # partition ("train", "test", or "all" to be split) to folder under data/
    corpora: tuple
    name: str  # of the desc_files: train_<name>, test_<name>
    how_to_get: str


CORPUS_GROUPS = {
    "tess_ravdess": CorpusGroup(
        {"train": "training", "test": "validation"},
        ("ravdess", "tess"),
        "tess_ravdess.csv",
        "get RAVDESS (zenodo.org/records/1188976) and TESS (doi 10.5683/SP2/E8H2MF) by"
        " `python download_data.py ravdess tess`",
    ),
    "emodb": CorpusGroup(
        {"all": "emodb/wav"},
        ("emodb",),
        "emodb.csv",
        "get EMO-DB (emodb.bilderbar.info) by `python download_data.py emodb`",
    ),
    "custom": CorpusGroup(
        {"train": "train-custom", "test": "test-custom"},
        ("custom",),
        "custom.csv",
        "put clips named <speaker>_..._<emotion>.wav there",
    ),
}


def find_data_dir(data_dir=None):
    """The data folder: the argument, else $SER_DATA_DIR, else `data/` of the repository.

    Raises
    ------
    FileNotFoundError
        If it isn't a folder.
    """
    folder = Path(data_dir or os.environ.get("SER_DATA_DIR") or REPO / "data").expanduser()
    if not folder.is_dir():
        raise FileNotFoundError(
            f"The data folder {folder} doesn't exist; pass data_dir=, or set SER_DATA_DIR."
        )
    return folder.resolve()


def find_cache_dir(cache_dir=None):
    """The folder of the feature cache: the argument, else $SER_CACHE_DIR, else `cache/` here."""
    return Path(cache_dir or os.environ.get("SER_CACHE_DIR") or REPO / "cache").expanduser()


def describe(path, group):
    """Read emotion, speaker and corpus off the name of one clip.

    Parameters
    ----------
    path : Path
    group : str
        A key of `CORPUS_GROUPS`.

    Returns
    -------
    tuple (path, emotion, speaker, corpus) of str, or None
        None if the name isn't of the corpus's form.

    Examples
    --------
    >>> describe(Path("15a04Nc.wav"), "emodb")
    ('15a04Nc.wav', 'neutral', '15', 'emodb')
    >>> describe(Path("v03_s2_happy.wav"), "custom")
    ('v03_s2_happy.wav', 'happy', 'v03', 'custom')
    """
    if group == "emodb":
        match = _EMODB_NAME.match(path.stem)
        if match is None or match["code"] not in EMODB_EMOTIONS:
            return None
        return str(path), EMODB_EMOTIONS[match["code"]], match["speaker"], "emodb"
    forms = {"ravdess": _RAVDESS_NAME, "tess": _PLAIN_NAME, "custom": _PLAIN_NAME}
    for corpus in CORPUS_GROUPS[group].corpora:
        match = forms[corpus].match(path.stem)
        if match:
            return str(path), match["emotion"].lower(), match["speaker"], corpus
    return None


def list_audio(folder):
    """The audio files below `folder`, sorted by path; none if there is no such folder."""
    return sorted(
        path
        for path in Path(folder).rglob("*")
        if path.suffix.lower() in AUDIO_SUFFIXES
        and not path.name.startswith(".")
        and path.is_file()
    )


def list_clips(group, *, data_dir=None, train_size=0.8):
    """Every clip of a corpus group, with the partition it belongs to.

    Parameters
    ----------
    group : str
        A key of `CORPUS_GROUPS`: tess_ravdess, emodb or custom.
    data_dir : path, optional
        See `find_data_dir`.
    train_size : float
        The share of EMO-DB's speakers to train on; the last ones by number are the test set.

    Returns
    -------
    DataFrame
        Columns path, emotion, speaker, corpus, partition; sorted by partition and path; empty
        where the corpus is absent.

    Warns
    -----
    UserWarning
        Names the files that were left out because their names say no emotion.
    """
    check_name(group, CORPUS_GROUPS, "corpus group")
    rows, unreadable = [], []
    for partition, folder in CORPUS_GROUPS[group].folders.items():
        for path in list_audio(find_data_dir(data_dir) / folder):
            row = describe(path, group)
            if row is None:
                unreadable.append(path.name)
            else:
                rows.append((*row, partition))
    if unreadable:
        warnings.warn(
            f"{len(unreadable)} {group} file(s) left out, their names say no emotion: "
            f"{', '.join(unreadable[:10])}{', ...' if len(unreadable) > 10 else ''}",
            stacklevel=2,
        )
    clips = pd.DataFrame(rows, columns=[*COLUMNS, "partition"], dtype=TEXT)
    return _split_speakers(clips, train_size)


def _split_speakers(clips, train_size):
    """Give the clips whose corpus knows no partitions to train and test by speaker."""
    if not 0 < train_size < 1:
        raise ValueError(f"train_size is a share of the speakers between 0 and 1; got {train_size}")
    whole = clips["partition"] == "all"
    if whole.any():
        speakers = sorted(clips.loc[whole, "speaker"].unique())
        n_train = min(max(round(train_size * len(speakers)), 1), max(len(speakers) - 1, 1))
        known = clips["speaker"].isin(speakers[:n_train])
        clips.loc[whole, "partition"] = known[whole].map({True: "train", False: "test"})
    return clips


def check_emotions(emotions, data_dir=None):
    """Return the emotions as a list if each is one of the nine or occurs in the data.

    Raises
    ------
    ValueError
        For a name that is neither, a name twice, or none at all.
    """
    if isinstance(emotions, str):
        raise ValueError(f"emotions is a list of names, e.g. [{emotions!r}], not one string.")
    emotions = list(emotions)
    if not emotions or len(set(emotions)) < len(emotions):
        raise ValueError(f"emotions needs at least one name, and none twice; got {emotions}")
    legal = list(AVAILABLE_EMOTIONS)
    if not set(emotions) <= set(legal):
        found = {e for group in CORPUS_GROUPS for e in list_clips(group, data_dir=data_dir).emotion}
        legal += sorted(found - set(legal))
    for emotion in emotions:
        check_name(emotion, legal, "emotion")
    return emotions


def desc_file(partition, name, data_dir):
    """Where a desc_file lives: a bare name in the data folder, another path as it is.

    A data folder that can't be written to has its desc_files in the feature cache's folder.
    """
    name = Path(name)
    path = name.with_name(f"{partition}_{name.name}")
    if len(name.parts) > 1:
        return path
    if os.access(data_dir, os.W_OK):
        return data_dir / path
    return find_cache_dir() / hashlib.sha256(str(data_dir).encode()).hexdigest()[:12] / path


def _write_group(group, emotions, train_name, test_name, verbose, data_dir, train_size=0.8):
    """Write both desc_files of a group; return them as a dict of partition to DataFrame."""
    data_dir = find_data_dir(data_dir)
    if emotions is not None:
        emotions = check_emotions(emotions, data_dir)
    clips = list_clips(group, data_dir=data_dir, train_size=train_size)
    if clips.empty:
        if verbose:
            print(absent(group, data_dir))
        return {}
    if emotions is not None:
        clips = clips[clips["emotion"].isin(emotions)]
    default = CORPUS_GROUPS[group].name
    written = {}
    for partition, name in zip(PARTITIONS, (train_name, test_name), strict=True):
        path = desc_file(partition, default, data_dir) if name is None else Path(name)
        rows = clips.loc[clips["partition"] == partition, COLUMNS].reset_index(drop=True)
        with replacing(path) as temporary:
            rows.to_csv(temporary, index=False, errors=NAME_ERRORS)
        written[partition] = rows
        if verbose:
            print(f"[+] {len(rows):5d} clips, {rows.speaker.nunique():3d} speakers: {path}")
    return written


def absent(group, data_dir):
    """One line that says a corpus isn't there and how to get it."""
    info = CORPUS_GROUPS[group]
    places = " and ".join(str(Path(data_dir) / folder) for folder in info.folders.values())
    return f"[!] {group}: no recordings in {places}; {info.how_to_get} to use it."


def write_tess_ravdess_csv(
    emotions=None, train_name=None, test_name=None, verbose=1, *, data_dir=None
):
    """Write the desc_files of RAVDESS and TESS, which share their folders.

    Parameters
    ----------
    emotions : list of str, optional
        Keep only these; default all.
    train_name, test_name : path, optional
        Where to write; default train_tess_ravdess.csv and test_tess_ravdess.csv in the data folder.
    verbose : int
        0 prints nothing.
    data_dir : path, optional
        See `find_data_dir`.

    Returns
    -------
    dict of str to DataFrame
        partition ("train", "test") to its rows; empty where the corpus is absent, and then
        nothing is written.

    Raises
    ------
    ValueError
        For an unknown emotion.
    """
    return _write_group("tess_ravdess", emotions, train_name, test_name, verbose, data_dir)


def write_emodb_csv(
    emotions=None, train_name=None, test_name=None, train_size=0.8, verbose=1, *, data_dir=None
):
    """Write the desc_files of EMO-DB, split by speaker.

    `train_size` is the share of the speakers to train on: at 0.8, speakers 15 and 16 are the test
    set. Everything else as in `write_tess_ravdess_csv`.
    """
    return _write_group("emodb", emotions, train_name, test_name, verbose, data_dir, train_size)


def write_custom_csv(emotions=None, train_name=None, test_name=None, verbose=1, *, data_dir=None):
    """Write the desc_files of your own recordings in train-custom and test-custom.

    The first part of a name is the speaker, the last one the emotion: any word will do, not only
    the nine. Everything else as in `write_tess_ravdess_csv`.
    """
    return _write_group("custom", emotions, train_name, test_name, verbose, data_dir)


WRITERS = {
    "tess_ravdess": write_tess_ravdess_csv,
    "emodb": write_emodb_csv,
    "custom": write_custom_csv,
}


def read_desc_file(path):
    """Read one desc_file.

    Parameters
    ----------
    path : path of a CSV file
        Columns path and emotion; speaker and corpus where it has them, else the speaker is the
        first part of the file name and the corpus "custom". Relative paths start at the CSV file's
        folder.

    Returns
    -------
    DataFrame
        Columns path, emotion, speaker, corpus, all of them strings.

    Raises
    ------
    FileNotFoundError, ValueError
        If it isn't there, or lacks a column; the message names the file.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"No desc_file at {path}; `python create_csv.py` writes them.")
    rows = pd.read_csv(path, dtype=TEXT, keep_default_na=False, encoding_errors=NAME_ERRORS)
    missing = {"path", "emotion"} - set(rows.columns)
    if missing:
        raise ValueError(f"{path} has no column {' and '.join(sorted(missing))}.")
    if "speaker" not in rows:
        rows["speaker"] = [Path(p).stem.split("_")[0] for p in rows["path"]]
    if "corpus" not in rows:
        rows["corpus"] = "custom"
    rows["path"] = pd.Series([str(path.parent / p) for p in rows["path"]], dtype=TEXT)
    return rows[COLUMNS]


def count_clips(written):
    """Clips per corpus and emotion (rows) and partition (columns), with totals.

    Parameters
    ----------
    written : list of dict of str to DataFrame
        What the `write_*_csv` functions return.
    """
    rows = [frame.assign(partition=part) for group in written for part, frame in group.items()]
    if not rows:
        return pd.DataFrame(columns=[*PARTITIONS, "total"], dtype=int)
    clips = pd.concat(rows)
    table = pd.crosstab([clips["corpus"], clips["emotion"]], clips["partition"])
    table = table.reindex(columns=list(PARTITIONS), fill_value=0)
    table.loc[("total", ""), :] = table.sum()
    return table.astype(int).assign(total=lambda t: t.sum(axis=1)).rename_axis(columns=None)


def main(argv=None):
    """The command line; see the module's docstring."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--emotions", help="comma-separated; default: all that occur")
    parser.add_argument("--data-dir", help="the data folder")
    parser.add_argument("--train-size", type=float, default=0.8, metavar="SHARE",
                        help="share of EMO-DB's speakers to train on (default 0.8)")  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print the counts as one JSON object")
    args = parser.parse_args(argv)
    options = {
        "emotions": args.emotions.split(",") if args.emotions else None,
        "data_dir": args.data_dir,
        "verbose": 0 if args.json else 1,
    }
    try:
        written = [
            write(**options, **({"train_size": args.train_size} if group == "emodb" else {}))
            for group, write in WRITERS.items()
        ]
    except (ValueError, OSError) as error:
        sys.exit(f"create_csv.py: {error}")
    table = count_clips(written)
    if args.json:
        counts = table.iloc[:-1].reset_index()  # all but the totals
        print(json.dumps({"clips": counts.to_dict("records")}))
    elif len(table):
        print(f"\n{table.to_string()}")


if __name__ == "__main__":
    main()
