"""Questions about the corpora, answered by their records in `corpus_records`."""

import os
import re
from pathlib import Path
from typing import NamedTuple

import corpus_records
from checks import check_name, check_names, folded, moved
from corpus_records import RECORDS

REPO = Path(__file__).resolve().parent


class CorpusGroup(NamedTuple):
    """Corpora that share folders and desc_files."""

    folders: dict  # see `Corpus`
    corpora: tuple
    name: str  # of the desc_files: train_<name>, test_<name>
    how_to_get: str
    offered: bool = True  # see `Corpus`


CORPORA = {corpus.name: corpus for corpus in RECORDS}
LICENCES = {corpus.name: corpus.terms for corpus in RECORDS}


COPY = re.compile(r"(?:[ _-]+(?:copy|kopie|copie|copia|副本)(?: ?\d+)?| ?\(\d+\))+$", re.IGNORECASE)
"""Suffixes that file managers and browsers add to the name of a copy."""


def find_data_dir(data_dir=None):
    """The data folder: absolute Path.

    Parameters
    ----------
    data_dir : path, optional
        Default $SER_DATA_DIR, else `data/` of the repository.

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    """
    folder = Path(data_dir or os.environ.get("SER_DATA_DIR") or REPO / "data").expanduser()
    if not folder.is_dir():
        raise FileNotFoundError(
            f"The data folder {folder} doesn't exist; pass data_dir=, or set SER_DATA_DIR."
        )
    return folder.resolve()


def groups():
    """The corpora by the desc_files that they share: dict of str to CorpusGroup."""
    names = {}
    for corpus in CORPORA.values():
        names.setdefault(corpus.group, []).append(corpus.name)
    return {
        group: CorpusGroup(
            CORPORA[own[0]].folders,
            tuple(own),
            f"{group}.csv",
            how_to_get(*own),
            any(CORPORA[name].offered for name in own),
        )
        for group, own in names.items()
    }


def how_to_get(*names):
    """Instructions for getting some corpora: str.

    Parameters
    ----------
    *names : str
        Keys of `CORPORA`.
    """
    corpora = [CORPORA[name] for name in names]
    steps = [corpus.how_to_get for corpus in corpora if corpus.how_to_get]
    if published := [corpus for corpus in corpora if not corpus.how_to_get]:
        pages = [f"{corpus.title} ({corpus.homepage.split('://')[-1]})" for corpus in published]
        command = f"python download_data.py {' '.join(corpus.name for corpus in published)}"
        steps.insert(0, f"get {' and '.join(pages)} by `{command}`")
    return " and ".join(steps)


def describe(path, group):
    """Read emotion, speaker and corpus from the name of a clip: (path, emotion, speaker, corpus).

    All are str. The result is None for a name without an emotion.

    Parameters
    ----------
    path : Path
    group : str
        A key of `groups()`.

    Examples
    --------
    >>> describe(Path("15a04Nc.wav"), "emodb")
    ('15a04Nc.wav', 'neutral', '15', 'emodb')
    """
    stem = COPY.sub("", path.stem)
    for corpus in CORPORA.values():
        match = corpus.pattern.match(stem) if corpus.group == group else None
        if match and match["emotion"]:
            emotion, speaker = match["emotion"], match["speaker"].strip()
            emotion = corpus.emotions.get(emotion) if corpus.emotions else folded(emotion)
            if emotion and speaker:
                return str(path), emotion, speaker, corpus.name
    return None


def sentence(path, corpus):
    """The sentence of a clip (in TESS the word) by its name: str, or None if the name lacks it.

    Parameters
    ----------
    path : path
    corpus : str

    Examples
    --------
    >>> sentence("15a04Nc.wav", "emodb"), sentence("25_01_01_01_back_angry.wav", "tess")
    ('a04', 'back')
    """
    info = CORPORA.get(corpus)
    match = info.pattern.match(COPY.sub("", Path(path).stem)) if info else None
    return info.sentence(match) if match else None


def gender(corpus, speaker):
    """The gender of a speaker as the corpus states it: "female", "male" or "unknown".

    Parameters
    ----------
    corpus, speaker : str
    """
    return CORPORA[corpus].gender(speaker) if corpus in CORPORA else "unknown"


def wishes(corpora=None, *, tess_ravdess=None, emodb=None, custom_db=None):
    """The corpora asked for, in the form of `create_csv.labelled_clips`: dict of group to wish.

    A wish is True (required), False (left out), None (used if present), or a tuple of the required
    corpora of the group.

    Parameters
    ----------
    corpora : list of str, optional
        Keys of `CORPORA` or of `groups()`: exactly these, all of them required.
    tess_ravdess, emodb, custom_db : bool, optional
        In place of `corpora`: None uses a group if it is present, True requires it, False leaves it
        out. `tess_ravdess` may also be "ravdess" or "tess". If one of the three is given, no other
        groups are used.

    Raises
    ------
    ValueError
        For an unknown name, or if both forms are given.

    Examples
    --------
    >>> {group: wish for group, wish in wishes(["tess", "emodb"]).items() if wish}
    {'tess_ravdess': ('tess',), 'emodb': True}
    """
    options = {"tess_ravdess": tess_ravdess, "emodb": emodb, "custom": custom_db}
    known = groups()
    if corpora is not None:
        if any(wish is not None for wish in options.values()):
            raise ValueError("Give corpora, or tess_ravdess, emodb and custom_db; not both.")
        names = check_names(corpora, tuple(dict.fromkeys([*CORPORA, *known])), "corpus")
        return {
            group: group in names or tuple(n for n in info.corpora if n in names) or False
            for group, info in known.items()
        }
    for group, wish in options.items():
        legal = (None, True, False, *(known[group].corpora if group == "tess_ravdess" else ()))
        check_name(wish, legal, "custom_db" if group == "custom" else group)
        if wish is not None:
            options[group] = (wish,) if isinstance(wish, str) else bool(wish)
    others = False if any(wish is not None for wish in options.values()) else None
    return dict.fromkeys(known, others) | options


def wishes_in_words(wishes):
    """Describe which corpora are asked for: str.

    Parameters
    ----------
    wishes : dict
        As `wishes` returns them.
    """
    if None not in wishes.values():
        wanted = [
            group if wish is True else ", ".join(wish) for group, wish in wishes.items() if wish
        ]
        return ", ".join(wanted) or "no corpus"
    if False not in wishes.values():
        return "the corpora in the data folder"
    taken = [group for group, wish in wishes.items() if wish is not False]
    return f"{', '.join(taken)}, if in the data folder"


def corpora_options(names):
    """The recognizer's arguments for exactly these corpora: dict.

    Parameters
    ----------
    names : list of str
    """
    wishes(names)  # checks the names
    return {"corpora": list(names)}


def help_line():
    """Help text of the option `--corpora` of command lines: str."""
    return f"comma-separated, out of {', '.join(CORPORA)}; default: all in the data folder"


def licences(names):
    """What the licences of corpora allow with a model trained on them: list of str, one per corpus.

    Parameters
    ----------
    names : list of str
        May include corpora that aren't in `CORPORA`.
    """
    return [CORPORA[name].terms if name in CORPORA else f"{name}: see its own" for name in names]


# the types and constants of the records were here
__getattr__ = moved(
    __name__,
    {"corpus_records": " ".join(name for name in dir(corpus_records) if name[0].isupper())},
)
