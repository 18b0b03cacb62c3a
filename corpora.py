"""The corpora: one record for each, with everything that the project needs of it.

A new corpus is one `Corpus` in `CORPORA`, and a test of its file names.
"""

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from checks import check_name, check_names

REPO = Path(__file__).resolve().parent


class File(NamedTuple):
    """A file to download."""

    name: str
    url: str
    size: int  # bytes
    checksum: str | None  # "md5:..."
    plain: bool = False  # whether to ask without TLS where there is none


class Part(NamedTuple):
    """Clips that are published together, as files or as a list on a Dataverse."""

    places: str  # a pattern of the paths of its clips below the data folder
    n_clips: int
    files: tuple = ()
    listing: str | None = None


class Corpus(NamedTuple):
    """One corpus."""

    name: str
    title: str
    speakers: str  # how many of which kind, in words
    language: str
    group: str  # corpora of one group share their folders and desc_files (train_<group>.csv)
    folders: dict  # partition ("train", "test"; "all" is split by speaker) to folder of data/
    pattern: re.Pattern  # of a laid out name without suffix: emotion, speaker, perhaps sentence
    licence: str  # one line, printed with a download
    terms: str  # a sentence for the card of a model that was trained on it
    emotions: dict | None = None  # code in the name to emotion; None: the name has the emotion
    gender: Callable = lambda speaker: "unknown"  # "female", "male" or "unknown"
    citation: str = ""
    homepage: str = ""
    place: Callable | None = None  # published name without suffix to path below data/, or None
    parts: dict | None = None  # name to Part; None: there is nothing to download
    how_to_get: str = ""  # where there is nothing to download
    offered: bool = True  # whether a line says how to get it where all that is there is taken


class CorpusGroup(NamedTuple):
    """Corpora that share folders and desc_files."""

    folders: dict  # see `Corpus`
    corpora: tuple
    name: str  # of the desc_files: train_<name>, test_<name>
    how_to_get: str
    offered: bool = True  # see `Corpus`


_RAVDESS_ORDER = ("neutral", "calm", "happy", "sad", "angry", "fear", "disgust", "ps")
RAVDESS_EMOTIONS = {f"{code:02d}": emotion for code, emotion in enumerate(_RAVDESS_ORDER, 1)}
"""The third number of a RAVDESS file name (zenodo.org/records/1188976). "ps" is "surprised" there,
and the actors sound pleasantly surprised."""

RAVDESS_TEST_ACTORS = ("07", "08", "09", "10")

TESS_EMOTIONS = ("angry", "disgust", "fear", "happy", "neutral", "ps", "sad")
# one clip is published as OA_bite_neutral; the last two are in the layout already
TESS_VOICES = {"OAF": "25", "OA": "25", "YAF": "26", "25_01_01_01": "25", "26_01_01_01": "26"}
_FIRST_WORDS = (
    "back bar base bath bean beg bite boat bone book bought burn cab calm came cause chain chair "
    "chalk chat check cheek chief choice cool dab date dead death deep dime dip"
)
TESS_TEST_WORDS = frozenset(_FIRST_WORDS.split())
"""The alphabetically first 32 of the 200 words."""

_EMODB_ORDER = ("angry", "boredom", "disgust", "fear", "happy", "sad", "neutral")
EMODB_EMOTIONS = dict(zip("WLEAFTN", _EMODB_ORDER, strict=True))
"""The sixth character of an EMO-DB file name (emodb.bilderbar.info): Wut, Langeweile, Ekel, Angst,
Freude, Trauer, neutral."""

EMODB_MALE = ("03", "10", "11", "12", "15")

NEMO_EMOTIONS = {
    "anger": "angry",
    "fear": "fear",
    "happiness": "happy",
    "neutral": "neutral",
    "sadness": "sad",
    "surprised": "ps",
}
"""The second part of an nEMO file name (github.com/amu-cai/nEMO). "ps" is "surprised" there, of no
stated kind."""

NEMO_GENDERS = dict.fromkeys(("EB0", "IC0", "KD0", "MK0"), "female") | dict.fromkeys(
    ("KS0", "MP0", "SM0", "TP0", "WR0"), "male"
)
"""Speaker to gender, by nEMO's data.tsv."""

ASED_EMOTIONS = {"n1": "neutral", "f2": "fear", "h3": "happy", "s4": "sad", "a5": "angry"}
ASED_EMOTIONS |= {"S4": "sad"}  # one file
"""The first part of an ASED file name, by its README (github.com/wgwangang/ASED_V1)."""

ASED_FEMALE = re.compile(r"[0-2][13579]|3[1357]|4[3789]|58|62")
"""Speakers of whose clips all, or all but one, have the gender 01 in their names."""

TUREV_EMOTIONS = {"kz": "angry", "sk": "calm", "mt": "happy", "uz": "sad", "hl": "sad"}
"""The second part of a TurEV-DB file name (github.com/Xeonen/TurEV-DB); one speaker's sad clips are
called hl, in the folder of the others."""

ZENODO = "https://zenodo.org/records/1188976"
_EMODB_PAGE = "http://emodb.bilderbar.info"
_EMODB_FILE = f"{_EMODB_PAGE.replace('http', 'https')}/download/download.zip"
NEMO_PAGE = "https://github.com/amu-cai/nEMO"
ASED_PAGE = "https://github.com/wgwangang/ASED_V1"
TUREV_PAGE = "https://github.com/Xeonen/TurEV-DB"
BOREALIS = "https://borealisdata.ca/api/datasets/:persistentId/?persistentId="

_ACTED = {"train": "training", "test": "validation"}
_RAVDESS_PUBLISHED = re.compile(
    r"(?P<numbers>03-0[12]-(?P<code>0[1-8])-0[12]-0[12]-0[12]-(?P<actor>0[1-9]|1\d|2[0-4]))(_\w+)?"
)
_TESS_PUBLISHED = re.compile(
    rf"(?P<voice>{'|'.join(TESS_VOICES)})_(?P<word>[a-z]+)_(?P<emotion>{'|'.join(TESS_EMOTIONS)})",
    re.IGNORECASE,
)
_EMODB_NAME = re.compile(r"(?P<speaker>\d\d)(?P<sentence>[a-z]\d\d)(?P<emotion>[A-Z])[a-z]?$")


def _part(kind, channel, n_clips, size, md5):
    """One archive of RAVDESS."""
    name = f"Audio_{kind}_Actors_01-24.zip"
    file = File(name, f"{ZENODO}/files/{name}?download=1", size, f"md5:{md5}")
    return Part(f"*/03-{channel}-*", n_clips, (file,))


def _ravdess_place(stem):
    name = _RAVDESS_PUBLISHED.fullmatch(stem)
    if name is None:
        return None
    emotion = RAVDESS_EMOTIONS[name["code"]]
    partition = "validation" if name["actor"] in RAVDESS_TEST_ACTORS else "training"
    return f"{partition}/Actor_{name['actor']}/{name['numbers']}_{emotion}.wav"


def _ravdess_gender(speaker):
    """Odd numbers are men."""
    if not speaker.isdecimal():
        return "unknown"
    return "male" if int(speaker) % 2 else "female"


def _tess_place(stem):
    name = _TESS_PUBLISHED.fullmatch(stem)
    if name is None:
        return None
    voice = TESS_VOICES[name["voice"].upper()]
    word, emotion = name["word"].lower(), name["emotion"].lower()
    partition = "validation" if word in TESS_TEST_WORDS else "training"
    return f"{partition}/Actor_{voice}/{voice}_01_01_01_{word}_{emotion}.wav"


def _emodb_place(stem):
    name = _EMODB_NAME.match(stem)
    return f"emodb/wav/{stem}.wav" if name and name["emotion"] in EMODB_EMOTIONS else None


_RECORDS = (
    Corpus(
        name="ravdess",
        title="RAVDESS",
        speakers="24 actors",
        language="English",
        group="tess_ravdess",
        folders=_ACTED,
        pattern=re.compile(
            r"(?:\d\d-){4}(?P<sentence>\d\d)-\d\d-(?P<speaker>\d\d)(?:_(?P<emotion>[^_]+))?$"
        ),
        licence="CC BY-NC-SA 4.0: not for commercial use",
        terms="RAVDESS (Livingstone and Russo 2018): CC BY-NC-SA 4.0, not for commercial use; "
        "best don't use what was learned from it so, either.",
        gender=_ravdess_gender,
        citation="Livingstone SR, Russo FA (2018). The Ryerson Audio-Visual Database of Emotional "
        "Speech and Song (RAVDESS). PLoS ONE 13(5), e0196391. doi 10.1371/journal.pone.0196391",
        homepage=ZENODO,
        place=_ravdess_place,
        parts={
            "speech": _part("Speech", "01", 1440, 208_468_073, "bc696df654c87fed845eb13823edef8a"),
            "song": _part("Song", "02", 1012, 225_505_317, "5411230427d67a21e18aa4d466e6d1b9"),
        },
    ),
    Corpus(
        name="tess",
        title="TESS",
        speakers="2 actresses",
        language="English",
        group="tess_ravdess",
        folders=_ACTED,
        pattern=re.compile(
            r"(?P<speaker>[^_]+)_(?:(?:.*_)?(?P<sentence>[^_]+)_|.*_)?(?P<emotion>[^_]+)$"
        ),
        licence="CC BY-NC-ND 4.0: not for commercial use, nor to be passed on changed",
        terms="TESS (Pichora-Fuller and Dupuis 2020): CC BY-NC-ND 4.0, not for commercial use; "
        "best don't use what was learned from it so, either.",
        gender=lambda speaker: "female",
        citation="Pichora-Fuller MK, Dupuis K (2020). Toronto emotional speech set (TESS). "
        "Borealis. doi 10.5683/SP2/E8H2MF",
        homepage="https://doi.org/10.5683/SP2/E8H2MF",
        place=_tess_place,
        parts={"all": Part("*/Actor_2[56]/*", 2800, listing=f"{BOREALIS}doi:10.5683/SP2/E8H2MF")},
    ),
    Corpus(
        name="emodb",
        title="EMO-DB",
        speakers="10 actors",
        language="German",
        group="emodb",
        folders={"all": "emodb/wav"},
        pattern=_EMODB_NAME,
        licence="free to use; its authors ask to be cited",
        terms="EMO-DB (Burkhardt et al. 2005): free to use, to be cited.",
        emotions=EMODB_EMOTIONS,
        gender=lambda speaker: "male" if speaker in EMODB_MALE else "female",
        citation="Burkhardt F, Paeschke A, Rolfes M, Sendlmeier W, Weiss B (2005). A Database of "
        "German Emotional Speech. Interspeech 2005, 1517-1520",
        homepage=_EMODB_PAGE,
        place=_emodb_place,
        # No checksum is published, and everybody cites plain HTTP. What is known is the size, by
        # the logs of others; download_data reads the archive, too.
        parts={
            "all": Part(
                "emodb/wav/*", 535, (File("download.zip", _EMODB_FILE, 40_567_066, None, True),)
            )
        },
    ),
    Corpus(
        name="custom",
        title="your own recordings",
        speakers="any speakers",
        language="any language",
        group="custom",
        folders={"train": "train-custom", "test": "test-custom"},
        pattern=re.compile(r"(?P<speaker>[^_]+)_(?:.*_)?(?P<emotion>[^_]+)$"),
        licence="yours; the bundled synthetic clips are under the MIT licence",
        terms="custom: those of whoever trained it; the synthetic ones that are bundled with this "
        "project are under the MIT licence.",
        how_to_get="put clips named <speaker>_..._<emotion>.wav there",
    ),
    Corpus(
        name="nemo",
        title="nEMO",
        speakers="9 actors",
        language="Polish",
        group="nemo",
        folders={"all": "nemo/samples"},
        # the number is the sentence: all speakers have the same 90
        pattern=re.compile(r"(?P<speaker>[A-Z]{2}\d)_(?P<emotion>[a-z]+)_(?P<sentence>\d+)$"),
        licence="CC BY-NC-SA 4.0: not for commercial use",
        terms="nEMO (Christop 2024): CC BY-NC-SA 4.0, not for commercial use; best don't use what "
        "was learned from it so, either.",
        emotions=NEMO_EMOTIONS,
        gender=lambda speaker: NEMO_GENDERS.get(speaker, "unknown"),
        citation="Christop I (2024). nEMO: Dataset of Emotional Speech in Polish. LREC-COLING 2024",
        homepage=NEMO_PAGE,
        # GitHub's archives have no fixed bytes, so there is no checksum to verify a download by
        how_to_get=f"`git clone {NEMO_PAGE}` and put the files of its samples/ there",
        offered=False,
    ),
    Corpus(
        name="ased",
        title="ASED",
        speakers="65 speakers",
        language="Amharic",
        group="ased",
        folders={"all": "ased"},
        pattern=re.compile(
            # 25 of the 27 sentences belong to one emotion, and are numbered within it
            r"(?=(?P<sentence>..-\d\d))(?P<emotion>[nfhsaS]\d)-\d\d-\d\d-\d\d-(?P<speaker>\d\d)$"
        ),
        licence="free by its paper; no licence file",
        terms="ASED (Retta et al. 2023): free by its paper, without a licence file; ask its "
        "authors before commercial use.",
        emotions=ASED_EMOTIONS,
        gender=lambda speaker: "female" if ASED_FEMALE.fullmatch(speaker) else "male",
        citation="Retta EA, Almekhlafi E, Sutcliffe R, et al. (2023). A New Amharic Speech Emotion "
        "Dataset and Classification Benchmark. ACM TALLIP 22(1). doi 10.1145/3529759",
        homepage=ASED_PAGE,
        how_to_get=f"`git clone {ASED_PAGE}` and put its folders 01Neutral to 05Angry there",
        offered=False,
    ),
    Corpus(
        name="turev",
        title="TurEV-DB",
        speakers="6 speakers",
        language="Turkish",
        group="turev",
        folders={"all": "turev/Sound Source"},
        pattern=re.compile(r"(?P<speaker>\d{4})_(?P<emotion>[a-z]{2})_(?P<sentence>\w+)$"),
        licence="CC BY-NC-ND 4.0: not for commercial use, nor to be passed on changed",
        terms="TurEV-DB (Canpolat et al. 2020): CC BY-NC-ND 4.0, not for commercial use; best "
        "don't use what was learned from it so, either.",
        emotions=TUREV_EMOTIONS,
        citation="Canpolat SF, Ormanoglu Z, Zeyrek D (2020). Turkish Emotion Voice Database "
        "(TurEV-DB). SLTU-CCURL 2020, 368-375",
        homepage=TUREV_PAGE,
        how_to_get=f"`git clone {TUREV_PAGE}` and put its folder Sound Source there",
        offered=False,
    ),
)
CORPORA = {corpus.name: corpus for corpus in _RECORDS}
LICENCES = {corpus.name: corpus.terms for corpus in _RECORDS}


def find_data_dir(data_dir=None):
    """The data folder: absolute Path.

    Parameters
    ----------
    data_dir : path, optional
        Default $SER_DATA_DIR, else `data/` of the repository.

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
    """What to do to have some corpora: str.

    Parameters
    ----------
    *names : str
        Keys of `CORPORA`.
    """
    corpora = [CORPORA[name] for name in names]
    steps = [corpus.how_to_get for corpus in corpora if not corpus.parts]
    if published := [corpus for corpus in corpora if corpus.parts]:
        pages = [f"{corpus.title} ({corpus.homepage.split('://')[-1]})" for corpus in published]
        command = f"python download_data.py {' '.join(corpus.name for corpus in published)}"
        steps.insert(0, f"get {' and '.join(pages)} by `{command}`")
    return " and ".join(steps)


def describe(path, group):
    """Path, emotion, speaker and corpus by the name of a clip: tuple of str; None without emotion.

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
    for corpus in CORPORA.values():
        match = corpus.pattern.match(path.stem) if corpus.group == group else None
        if match and (emotion := match["emotion"]):
            emotion = corpus.emotions.get(emotion) if corpus.emotions else emotion.lower()
            if emotion:
                return str(path), emotion, match["speaker"], corpus.name
    return None


def sentence(path, corpus):
    """The sentence of a clip (in TESS the word) by its name: str, or None if it isn't in there.

    Parameters
    ----------
    path : path
    corpus : str

    Examples
    --------
    >>> sentence("15a04Nc.wav", "emodb"), sentence("25_01_01_01_back_angry.wav", "tess")
    ('a04', 'back')
    """
    match = CORPORA[corpus].pattern.match(Path(path).stem) if corpus in CORPORA else None
    return match.groupdict().get("sentence") if match else None


def gender(corpus, speaker):
    """The gender of a speaker as the corpus states it: "female", "male" or "unknown".

    Parameters
    ----------
    corpus, speaker : str
    """
    return CORPORA[corpus].gender(speaker) if corpus in CORPORA else "unknown"


def wishes(corpora=None, *, tess_ravdess=None, emodb=None, custom_db=None):
    """Which corpora are wanted, as `create_csv.labelled_clips` takes it: dict of group to wish.

    A wish is True, False, None, or a tuple of the corpora of the group that must be there.

    Parameters
    ----------
    corpora : list of str, optional
        Keys of `CORPORA` or of `groups()`: exactly these, and each must be there.
    tess_ravdess, emodb, custom_db : bool, optional
        In place of `corpora`: None takes a corpus if it is there, True needs it, False leaves it
        out. `tess_ravdess` may also be "ravdess" or "tess". If one of them is given, no corpus
        besides these three groups is taken.

    Raises
    ------
    ValueError
        For an unknown name, or for both forms at once.

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
    """Which corpora are wanted, in words: str.

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
    excluded = [group for group, wish in wishes.items() if wish is False]
    return f"the corpora in the data folder{' but ' * bool(excluded)}{', '.join(excluded)}"


def corpora_options(names):
    """The recognizer's arguments for exactly these corpora: dict.

    Parameters
    ----------
    names : list of str
    """
    wishes(names)  # checks the names
    return {"corpora": list(names)}


def help_line():
    """What the option `--corpora` of a command line takes: str."""
    return f"comma-separated, out of {', '.join(CORPORA)}; default: whatever is there"


def licences(names):
    """What the licences of corpora allow with a model trained on them: list of str, one for each.

    Parameters
    ----------
    names : list of str
        Unknown corpora, too.
    """
    return [CORPORA[name].terms if name in CORPORA else f"{name}: see its own" for name in names]
