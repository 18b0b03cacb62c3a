"""Write the desc_files (path, emotion, speaker, corpus) of every corpus in the data folder.

    python create_csv.py                          # all corpora, all emotions
    python create_csv.py --emotions sad,happy     # only these
    python create_csv.py --data-dir ~/recordings --json

For an absent corpus nothing is written, and a line says how to get it. The data folder
is --data-dir, else the environment variable SER_DATA_DIR, else `data/` beside this file:

    data/training/Actor_XX/*_<emotion>.wav     RAVDESS and TESS, to train on
    data/validation/Actor_XX/*_<emotion>.wav   RAVDESS and TESS, to test on
    data/emodb/wav/*.wav                       EMO-DB, names as published
    data/nemo/samples/*.wav                    nEMO, names as published
    data/ased/*/*.wav                          ASED, names as published
    data/turev/Sound Source/*/*.wav            TurEV-DB, names as published
    data/crema/*.wav and so on                 CREMA-D, SAVEE, URDU, EMOVO, ShEMO, CaFE, ESD
    data/train-custom/<speaker>_..._<emotion>.wav, data/test-custom/...   your own
"""

if __name__ == "__main__":  # Ctrl-C prints one line, also during the imports
    from checks import end_at_interrupt

    end_at_interrupt("create_csv.py")

import json
import re
import sys
import warnings
from contextlib import closing, contextmanager, nullcontext
from difflib import get_close_matches
from glob import glob
from mimetypes import MimeTypes
from pathlib import Path

import pandas as pd

from audio import AudioError, copy_stream, stream_audio
from checks import (
    alone,
    check_name,
    folded,
    guarded,
    is_label,
    make_parser,
    moved,
    printable,
    temporary_folder,
)
from corpora import COPY, describe, find_data_dir, groups, how_to_get
from parameters import AVAILABLE_EMOTIONS, LABEL_WORDS
from tables import (
    COLUMNS,
    PARTITIONS,
    TEXT,
    listed_once,
    one_spelling,
    read_desc_file,
    unclear_speakers,
    write_desc_file,
)

AUDIO_SUFFIXES = (".wav", ".flac", ".ogg", ".mp3")
MORE = "m4a mp4 m4v webm mkv mka mov avi flv 3gp amr opus aac wma wmv asf oga ogv aif aiff aifc au "
MORE += "caf w64 rf64 ac3 mpg mpeg ts ape wv tta gsm"
MEDIA_SUFFIXES = *AUDIO_SUFFIXES, *(f".{ending}" for ending in MORE.split())
"""Suffixes of files that count as recordings, even if they have no sound."""
TYPES = MimeTypes()  # Python's own table, so that all machines agree
CORPUS_GROUPS = groups()


NAME_THEM = (
    "No score can claim that its speakers weren't in training; name clips <speaker>_..._<emotion>."
)
HIDDEN = re.compile(r"\.|(__MACOSX|@eaDir|\$RECYCLE\.BIN)$", re.IGNORECASE)
"""Prefixes of files that file managers, notebooks and macOS keep beside recordings."""


def is_hidden(path):
    """Whether a path within a folder is hidden, or below a hidden folder: bool.

    Parameters
    ----------
    path : PurePath
        Relative to the folder.

    Examples
    --------
    >>> is_hidden(Path(".Trash-1000/anna_sad.wav")), is_hidden(Path("anna/._sad.wav"))
    (True, True)
    """
    return any(HIDDEN.match(part) for part in path.parts)


def list_audio(folder):
    """The audio files in a folder and its subfolders: sorted list of Path; empty without a folder.

    Parameters
    ----------
    folder : path
    """
    return [path for path in _every_audio(folder) if not is_hidden(path.relative_to(folder))]


def _every_audio(folder):
    paths = [path for path in Path(folder).rglob("*") if path.suffix.lower() in AUDIO_SUFFIXES]
    return sorted(path for path in paths if path.is_file())


def _copies(paths):
    """The paths whose names differ from another's only by case, format or a copy suffix: set."""
    names, copies = {}, set()
    small_first = sorted(paths, key=lambda path: str(path).swapcase())
    for path in sorted(small_first, key=lambda path: path.suffix.lower() != ".wav"):
        names.setdefault((path.parent, folded(path.stem)), []).append(path)
    for (folder, name), (first, *others) in names.items():
        copies.update(others)
        if (bare := COPY.sub("", name)) != name and (folder, bare) in names:
            copies.add(first)
    return copies


def is_recording(path):
    """Whether a file is a recording, by its name, or else by trying to decode it: bool.

    Parameters
    ----------
    path : Path
    """
    if path.suffix.lower() in MEDIA_SUFFIXES:
        return True
    kind, packed = TYPES.guess_type(path.name)
    if packed or (kind and not kind.startswith(("audio/", "video/", "application/octet"))):
        return False
    try:
        with closing(stream_audio(path, block_duration=1)) as blocks:
            return len(next(blocks)) > 0
    except AudioError:
        return False


def _recordings_among(paths, skipped):
    """The recordings among paths, sorted; other files are added to `skipped`: list of Path."""
    files = sorted(path for path in map(Path, paths) if path.is_file())
    good = [path for path in files if is_recording(path)]
    skipped += sorted(map(str, {*files} - {*good}))
    return good


@contextmanager
def found_recordings(wanted, skipped=None):
    """Context manager: find recordings by path, folder, pattern or "-": dict of names to paths.

    Parameters
    ----------
    wanted : list of str
        "-" is stdin, copied to a file that is removed after the block.
    skipped : list, optional
        Filled with the names of other files in folders and patterns; see `is_recording`.

    Raises
    ------
    FileNotFoundError
        If one of them gives no recording.
    """
    found, skipped = {}, [] if skipped is None else skipped
    with temporary_folder() as folder:
        for wish in wanted:
            path = Path(wish)
            if wish == "-":
                paths = [Path(folder, "stdin")]
                if "stdin" not in found:
                    with paths[0].open("wb") as file:
                        copy_stream(sys.stdin.buffer, file)
            elif path.exists():
                paths = [path]
                if path.is_dir():
                    shown = (x for x in path.rglob("*") if not is_hidden(x.relative_to(path)))
                    paths = _recordings_among(shown, skipped)
            else:
                matches = glob(wish, recursive=True)  # noqa: PTH207  (absolute ones, too)
                paths = _recordings_among(matches, skipped)
            if not paths:
                raise FileNotFoundError(
                    f"There is no recording {wish}; give files, folders or patterns"
                )
            found |= {"stdin" if wish == "-" else str(path): path for path in paths}
        yield found


def list_clips(group, *, data_dir=None, train_size=0.8):
    """Every clip of a corpus group: DataFrame of path, emotion, speaker, corpus, partition.

    Rows are sorted by partition and path; there are none if the corpus is absent. A warning lists
    the files left out: hidden ones, copies of another file by name, and those without an emotion in
    their names. Spellings of a speaker are unified: "Anna" is anna.

    Parameters
    ----------
    group : str
        A key of `corpora.groups()`, e.g. emodb.
    data_dir : path, optional
        See `corpora.find_data_dir`.
    train_size : float
        Share of the speakers in the training set, for corpora without partitions; the last speakers
        by name are the test set.

    Raises
    ------
    ValueError
        For an unknown group, or a share that isn't between 0 and 1.
    """
    known = groups()
    check_name(group, known, "corpus group")
    if not 0 < train_size < 1:
        raise ValueError(f"train_size is a share of speakers between 0 and 1; got {train_size}.")
    rows, left = [], {}
    for partition, folder in known[group].folders.items():
        folder = find_data_dir(data_dir) / folder
        seen = list_audio(folder)
        copies, visible = _copies(seen), set(seen)
        for path in _every_audio(folder):
            row = describe(path, group)
            if path not in visible:
                left.setdefault("hidden", []).append(path.relative_to(folder))
            elif path in copies:
                left.setdefault("copies of other files", []).append(path.name)
            elif row and all(map(is_label, row[1:])):
                rows.append((*row, partition))
            else:
                left.setdefault("no emotion in the name", []).append(path.name)
    if left:
        _warn_left_out(group, left)
    clips = pd.DataFrame(rows, columns=[*COLUMNS, "partition"], dtype=TEXT)
    clips["speaker"] = one_spelling(clips["speaker"])
    if reason := unclear_speakers(clips):
        warnings.warn(f"{reason[0].upper()}{reason[1:]}. {NAME_THEM}", stacklevel=2)
    whole = clips["partition"] == "all"
    if whole.any():
        speakers = sorted(clips.loc[whole, "speaker"].unique())
        n_train = min(max(round(train_size * len(speakers)), 1), max(len(speakers) - 1, 1))
        trained = clips["speaker"].isin(speakers[:n_train])
        clips.loc[whole, "partition"] = trained[whole].map({True: "train", False: "test"})
    return clips


def _warn_left_out(group, left):
    """Warn of the files left out, by reason, in one warning."""
    named = [
        f"{why}: {', '.join(map(printable, names[:10]))}{', ...' if len(names) > 10 else ''}"
        for why, names in left.items()
    ]
    n_files = sum(map(len, left.values()))
    warnings.warn(f"{n_files} {group} file(s) left out, {'; '.join(named)}", stacklevel=3)


def labelled_clips(wishes, *, data_dir=None, verbose=1, desc_files=None):
    """The clips of the corpora asked for, see `list_clips`, training clips first: DataFrame.

    Parameters
    ----------
    wishes : dict
        See `corpora.wishes`.
    data_dir : path, optional
        See `corpora.find_data_dir`.
    verbose : int
        1 prints a line for each absent corpus that is offered (see `corpora.Corpus`), 0 doesn't.
    desc_files : dict of str to path, optional
        Group to the name of its desc_files (see `desc_file`), if it isn't that of
        `corpora.groups()`. If both files of a group exist, it is read from them, not from the
        folders.

    Raises
    ------
    FileNotFoundError
        If a required corpus is absent, or there are no clips.
    """
    data_dir, tables = find_data_dir(data_dir), []
    for group, wish in wishes.items():
        if wish is False:
            continue
        clips = _read(group, desc_files, data_dir)
        if isinstance(wish, tuple):
            clips = clips[clips["corpus"].isin(wish)]
            if lacking := [name for name in wish if name not in set(clips["corpus"])]:
                raise FileNotFoundError(absent(group, data_dir, lacking))
        if len(clips):
            tables.append(clips)
        elif wish:
            raise FileNotFoundError(absent(group, data_dir))
        elif verbose and groups()[group].offered:
            print(printable(absent(group, data_dir)))
    if not tables:
        lines = " ".join(absent(g, data_dir) for g, info in groups().items() if info.offered)
        raise FileNotFoundError(f"No recordings to train on in {data_dir}. {lines}")
    rows = listed_once(pd.concat(tables, ignore_index=True))
    parts = [rows[rows["partition"] == partition] for partition in PARTITIONS]
    return pd.concat(parts, ignore_index=True).astype(TEXT)


def _read(group, desc_files, data_dir):
    """The clips of one group, from its desc_files if both are asked for and exist."""
    if desc_files is not None:
        name = desc_files.get(group, groups()[group].name)
        paths = {part: desc_file(part, name, data_dir) for part in PARTITIONS}
        if all(path.exists() for path in paths.values()):
            parts = [read_desc_file(path).assign(partition=part) for part, path in paths.items()]
            return pd.concat(parts, ignore_index=True)
    return list_clips(group, data_dir=data_dir)


def edited_desc_files(wishes, names, data_dir, *, verbose=1):
    """The clips of the corpora asked for, from their desc_files if they exist: DataFrame.

    Parameters
    ----------
    wishes, names, data_dir, verbose
        See `labelled_clips`, where `names` are `desc_files`.
    """
    return labelled_clips(wishes, data_dir=data_dir, verbose=verbose, desc_files=names)


def absent(group, data_dir, corpora=None):
    """Say where absent corpora belong, and how to get them: str, one line.

    Parameters
    ----------
    group : str
        A key of `corpora.groups()`.
    data_dir : path
    corpora : list of str, optional
        Corpora of the group; default all.
    """
    info = groups()[group]
    places = " and ".join(str(Path(data_dir) / folder) for folder in info.folders.values())
    how = how_to_get(*(corpora or info.corpora))
    return f"[!] {', '.join(corpora or [group])}: no recordings in {places}; {how} to use it."


def check_emotions(emotions, data_dir=None, *, any_word=False):
    """Return emotions in their usual spelling if each is one of the nine or occurs in the data.

    Parameters
    ----------
    emotions : sequence of str
    data_dir : path, optional
        See `corpora.find_data_dir`.
    any_word : bool
        Accept other words, too, unless one looks like a misspelt emotion. For labels of a table
        that is read later.

    Raises
    ------
    ValueError
        For an unknown name, a repeated one, or none.
    """
    if isinstance(emotions, str):
        raise ValueError(f"emotions must be a list of names, e.g. [{emotions!r}], not one string.")
    names = [folded(str(emotion)) for emotion in emotions]
    if not names or len(set(names)) < len(names):
        raise ValueError(f"emotions needs one or more distinct names; got {list(emotions)}.")
    legal = {emotion: emotion for emotion in AVAILABLE_EMOTIONS}
    if not set(names) <= set(legal):
        found = {e for group in groups() for e in list_clips(group, data_dir=data_dir).emotion}
        legal |= {folded(emotion): emotion for emotion in sorted(found - set(legal))}
    if any_word:
        words = " ".join(words for own in LABEL_WORDS.values() for words in own.values())
        known = set(words.split())
        legal |= {
            name: str(emotion).strip()
            for name, emotion in zip(names, emotions, strict=True)
            if name not in legal and (name in known or not get_close_matches(name, legal, 1, 0.7))
        }
    return [legal[check_name(name, legal, "emotion")] for name in names]


def desc_file(partition, name, data_dir):
    """The path of a desc_file: Path. A bare name is one in the data folder; other paths are kept.

    Parameters
    ----------
    partition : {"train", "test"}
    name : path
        For both partitions, e.g. "emodb.csv".
    data_dir : Path

    Examples
    --------
    >>> desc_file("test", "emodb.csv", Path("data")).as_posix()
    'data/test_emodb.csv'
    """
    name = Path(name)
    path = name.with_name(f"{partition}_{name.name}")
    return path if len(name.parts) > 1 else data_dir / path


def leave_desc_files(rows, names, data_dir):
    """Write the desc_files of a recognizer's clips, unless the data folder is read-only.

    They always have all corpora and emotions of a group, so all recognizers with the same data
    folder write the same files.

    Parameters
    ----------
    rows : DataFrame (n_clips,)
        As `labelled_clips` returns them.
    names, data_dir
        See `edited_desc_files`.

    Raises
    ------
    OSError
        If a name includes a folder that can't be written to.
    """
    data_dir, there = find_data_dir(data_dir), set(rows["corpus"])
    for group, info in groups().items():
        if not there & set(info.corpora):
            continue
        clips = rows[rows["corpus"].isin(info.corpora)]
        if not there >= set(info.corpora):  # `rows` may have only some corpora of the group
            clips = list_clips(group, data_dir=data_dir)
        name = Path(names.get(group, info.name))
        for part in PARTITIONS:
            try:
                write_desc_file(clips[clips["partition"] == part], desc_file(part, name, data_dir))
            except OSError:
                if len(name.parts) > 1:
                    raise


def _write(group, emotions, train_name, test_name, verbose, data_dir, train_size=0.8):
    """Write both desc_files of a corpus group."""
    data_dir = find_data_dir(data_dir)
    if emotions is not None:
        emotions = check_emotions(emotions, data_dir)
    clips = list_clips(group, data_dir=data_dir, train_size=train_size)
    if clips.empty:
        if verbose and groups()[group].offered:
            print(printable(absent(group, data_dir)))
        return {}
    if emotions is not None:
        clips = clips[clips["emotion"].isin(emotions)]
    written = {}
    for partition, name in zip(PARTITIONS, (train_name, test_name), strict=True):
        default = desc_file(partition, groups()[group].name, data_dir)
        path = default if name is None else Path(name)
        rows = clips.loc[clips["partition"] == partition, COLUMNS].reset_index(drop=True)
        write_desc_file(rows, path)
        written[partition] = rows
        if verbose:
            print(
                f"[+] {len(rows):5d} clips, {rows.speaker.nunique():3d} speakers: {printable(path)}"
            )
    return written


def write_tess_ravdess_csv(
    emotions=None, train_name=None, test_name=None, verbose=1, *, data_dir=None
):
    """Write the desc_files of RAVDESS and TESS: dict of partition to rows, empty without clips.

    Parameters
    ----------
    emotions : list of str, optional
        Keep only these; default all.
    train_name, test_name : path, optional
        Paths to write; default: train_<name>.csv and test_<name>.csv in the data folder.
    verbose : int
        0 prints nothing.
    data_dir : path, optional
        See `corpora.find_data_dir`.
    """
    return _write("tess_ravdess", emotions, train_name, test_name, verbose, data_dir)


def write_emodb_csv(
    emotions=None, train_name=None, test_name=None, train_size=0.8, verbose=1, *, data_dir=None
):
    """Write the desc_files of EMO-DB; with train_size=0.8, speakers 15 and 16 are the test set.

    Parameters
    ----------
    emotions, train_name, test_name, train_size, verbose, data_dir
        See `write_tess_ravdess_csv`, also for the return value, and `list_clips`.
    """
    return _write("emodb", emotions, train_name, test_name, verbose, data_dir, train_size)


def write_custom_csv(emotions=None, train_name=None, test_name=None, verbose=1, *, data_dir=None):
    """Write the desc_files of your own recordings, whose emotions may be any words.

    Parameters
    ----------
    emotions, train_name, test_name, verbose, data_dir
        See `write_tess_ravdess_csv`, also for the return value.
    """
    return _write("custom", emotions, train_name, test_name, verbose, data_dir)


WRITERS = {
    "tess_ravdess": write_tess_ravdess_csv,
    "emodb": write_emodb_csv,
    "custom": write_custom_csv,
}


def count_clips(written):
    """Count clips by corpus and emotion (rows) and partition (columns), with totals: DataFrame.

    Parameters
    ----------
    written : list of dict of str to DataFrame
        Return values of the `write_*_csv` functions.
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
    """Run the command line, see the module's docstring: int, the exit code.

    Parameters
    ----------
    argv : list of str, optional
        Default those of the process.
    """
    return guarded("create_csv.py", _run, argv)


def _run(argv):
    parser = make_parser("create_csv.py", __doc__)
    add = parser.add_argument
    add("--emotions", help="comma-separated; default: all that occur")
    add("--data-dir", help="the data folder")
    help_train_size = "share of the speakers of EMO-DB and nEMO to train on (default 0.8)"
    add("--train-size", type=float, default=0.8, metavar="SHARE", help=help_train_size)
    add("--json", action="store_true", help="print the counts as one JSON object")
    args = parser.parse_args(argv)
    emotions = args.emotions.split(",") if args.emotions else None
    settings = emotions, None, None, not args.json, args.data_dir, args.train_size
    folder = find_data_dir(args.data_dir)
    with alone(folder) if folder.is_dir() else nullcontext():  # runs mustn't mix their files
        table = count_clips([_write(group, *settings) for group in groups()])
    if args.json:
        counts = table.iloc[:-1].reset_index()  # all but the totals
        print(json.dumps({"clips": counts.to_dict("records")}))
    elif len(table):
        print(f"\n{table.to_string()}")


__getattr__ = moved(
    __name__,
    {
        "checks": "replacing",
        "corpora": "CorpusGroup EMODB_EMOTIONS REPO",
        "feature_cache": "find_cache_dir",
        "tables": "NAME_ERRORS",
    },
)

if __name__ == "__main__":
    sys.exit(main())
