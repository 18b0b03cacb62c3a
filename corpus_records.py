"""The records of the corpora: data, read by `corpora`.

Names, numbers, genders and licences come from the papers, pages or read-me files that comments
name; facts that couldn't be checked there are left out.
"""

import re
from collections.abc import Callable
from typing import NamedTuple


class File(NamedTuple):
    """A file to download."""

    name: str
    url: str
    size: int  # bytes
    checksum: str | None  # "md5:..."
    plain: bool = False  # use plain HTTP if TLS fails


class Part(NamedTuple):
    """Clips that are published together: as files, or in a list of files by Dataverse or GitHub."""

    places: str  # pattern of the paths of its clips below the data folder
    n_clips: int
    files: tuple = ()
    listing: str | None = None  # URL of the list
    base: str = ""  # prefix of the URLs of its files, which GitHub's list lacks


class Corpus(NamedTuple):
    """The record of one corpus."""

    name: str
    title: str
    speakers: str  # number and kind, as text
    language: str
    group: str  # corpora of one group share their folders and desc_files (train_<group>.csv)
    folders: dict  # partition ("train", "test"; "all" is split by speaker) to folder of data/
    pattern: re.Pattern  # of file names without suffix: emotion, speaker, optionally sentence
    licence: str  # one line, printed with a download
    terms: str  # a sentence for the card of a model trained on it
    emotions: dict | None = None  # code in the name to emotion; None: the name has the emotion
    gender: Callable = lambda speaker: "unknown"  # "female", "male" or "unknown"
    citation: str = ""
    homepage: str = ""
    place: Callable | None = None  # published name without suffix to path below data/, or None
    parts: dict | None = None  # name to Part; None: nothing is published
    how_to_get: str = ""  # if it can't be downloaded
    offered: bool = True  # whether a line says how to get it if it is absent
    sentence: Callable = lambda name: name.groupdict().get("sentence")  # of a match of `pattern`
    copies: re.Pattern | None = None  # published folders that hold only copies
    padded: bool = False  # whether to cut zeros from both ends


_RAVDESS_ORDER = ("neutral", "calm", "happy", "sad", "angry", "fear", "disgust", "ps")
RAVDESS_EMOTIONS = {f"{code:02d}": emotion for code, emotion in enumerate(_RAVDESS_ORDER, 1)}
"""The third number of a RAVDESS file name (zenodo.org/records/1188976). "ps" is "surprised" there,
and the actors sound pleasantly surprised."""

RAVDESS_TEST_ACTORS = ("07", "08", "09", "10")

TESS_EMOTIONS = ("angry", "disgust", "fear", "happy", "neutral", "ps", "sad")
# one clip is published as OA_bite_neutral; the last two are names in the data folder
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
"""The second part of an nEMO file name (github.com/amu-cai/nEMO). "ps" is "surprised" there; it
isn't stated whether pleasantly."""

NEMO_GENDERS = dict.fromkeys(("EB0", "IC0", "KD0", "MK0"), "female") | dict.fromkeys(
    ("KS0", "MP0", "SM0", "TP0", "WR0"), "male"
)
"""Speaker to gender, by nEMO's data.tsv."""

ASED_EMOTIONS = {"n1": "neutral", "f2": "fear", "h3": "happy", "s4": "sad", "a5": "angry"}
ASED_EMOTIONS |= {"S4": "sad"}  # one file
"""The first part of an ASED file name, by its README (github.com/wgwangang/ASED_V1)."""

_ASED_FOLDERS = {"n": "01Neutral", "f": "02Fearful", "h": "03Happy", "s": "04Sad", "a": "05Angry"}
_ASED_FOLDERS = {code: _ASED_FOLDERS[code[0].lower()] for code in ASED_EMOTIONS}

ASED_FEMALE = re.compile(r"[0-2][13579]|3[1357]|4[3789]|58|62")
"""Speakers whose clips, all or all but one, have the gender 01 in their names."""

TUREV_EMOTIONS = {"kz": "angry", "sk": "calm", "mt": "happy", "uz": "sad", "hl": "sad"}
"""The second part of a TurEV-DB file name (github.com/Xeonen/TurEV-DB); one speaker's sad clips
have hl, in the folder of the other sad clips."""

_TUREV_FOLDERS = {code: emotion.capitalize() for code, emotion in TUREV_EMOTIONS.items()}

CREMA_EMOTIONS = {
    "ANG": "angry",
    "DIS": "disgust",
    "FEA": "fear",
    "HAP": "happy",
    "NEU": "neutral",
    "SAD": "sad",
}
"""The third part of a CREMA-D file name, by its README (github.com/CheyneyComputerScience)."""

_NUMBERS = (
    "02 03 04 06 07 08 09 10 12 13 18 20 21 24 25 28 29 30 37 43 46 47 49 52 53 54 55 56 58 60 61 "
    "63 72 73 74 75 76 78 79 82 84 89 91"
)
CREMA_FEMALE = frozenset(f"10{number}" for number in _NUMBERS.split())
"""The 43 women of its VideoDemographics.csv; there are 48 men."""

SAVEE_EMOTIONS = {
    "a": "angry",
    "d": "disgust",
    "f": "fear",
    "h": "happy",
    "n": "neutral",
    "sa": "sad",
    "su": "ps",
}
"""The letters of a SAVEE file name, by the Info.txt in its folder AudioData."""

_URDU_FOLDERS = {"A": "Angry", "H": "Happy", "N": "Neutral", "S": "Sad"}
_URDU_COMMITS = {  # each folder was added by a commit of its own
    "Angry": "cab0028b1a1152e5cf25a5771c1ed137428a496e",
    "Happy": "a3c1619d29a84628608b540c8fdac091eb0f5228",
    "Neutral": "0c7079660ea1a8427f0b3220736f6caa63d1f83d",
    "Sad": "17003d9110aa4ab9660f35cb3880511690065a67",
}
URDU_EMOTIONS = {"A": "angry", "H": "happy", "N": "neutral", "S": "sad"}
"""The letter of an URDU file name, by the folders (github.com/siddiquelatif/URDU-Dataset)."""

EMOVO_EMOTIONS = {
    "dis": "disgust",
    "gio": "happy",
    "neu": "neutral",
    "pau": "fear",
    "rab": "angry",
    "sor": "ps",
    "tri": "sad",
}
"""The first part of an EMOVO file name: disgusto, gioia, neutro, paura, rabbia, sorpresa,
tristezza."""

SHEMO_EMOTIONS = {"A": "angry", "F": "fear", "H": "happy", "N": "neutral", "S": "sad", "W": "ps"}
"""The second letter of a ShEMO file name; W is surprise."""

CAFE_EMOTIONS = {
    "C": "angry",
    "D": "disgust",
    "J": "happy",
    "N": "neutral",
    "P": "fear",
    "S": "ps",
    "T": "sad",
}
"""The second part of a CaFE file name, by its Readme.txt: colère, dégoût, joie, neutre, peur,
surprise, tristesse."""

_ESD_ORDER = ("neutral", "angry", "happy", "sad", "ps")
ESD_SENTENCES = 350
ESD_EMOTIONS = {f"{i + 1:06d}": _ESD_ORDER[i // ESD_SENTENCES] for i in range(5 * ESD_SENTENCES)}
"""The second part of an ESD file name, a number that runs over all folders of a speaker."""
ESD_MALE = ("0004", "0005", "0006", "0008", "0010", "0011", "0012", "0013", "0014", "0020")
"""By its ReadMe.txt; the others are women. Up to 0010 they speak Mandarin, then English."""

ZENODO = "https://zenodo.org/records/1188976"
_EMODB_PAGE = "http://emodb.bilderbar.info"
_EMODB_FILE = f"{_EMODB_PAGE.replace('http', 'https')}/download/download.zip"
NEMO_PAGE = "https://github.com/amu-cai/nEMO"
ASED_PAGE = "https://github.com/wgwangang/ASED_V1"
TUREV_PAGE = "https://github.com/Xeonen/TurEV-DB"
CREMA_PAGE = "https://github.com/CheyneyComputerScience/CREMA-D"
URDU_PAGE = "https://github.com/siddiquelatif/URDU-Dataset"
SHEMO_PAGE = "https://github.com/mansourehk/ShEMO"
CAFE_PAGE = "https://zenodo.org/records/1478765"
ESD_PAGE = "https://github.com/HLTSingapore/Emotional-Speech-Data"
SAVEE_PAGE = "http://personal.ee.surrey.ac.uk/Personal/P.Jackson/SAVEE/Download.html"
EMOVO_PAGE = "http://voice.fub.it/activities/corpora/emovo/index.html"
BOREALIS = "https://borealisdata.ca/api/datasets/:persistentId/?persistentId="

_ACTED = {"train": "training", "test": "validation"}
_RAVDESS_PUBLISHED = re.compile(
    r"(?P<numbers>03-0[12]-(?P<code>0[1-8])-0[12]-0[12]-0[12]-(?P<actor>0[1-9]|1\d|2[0-4]))(_\w+)?"
)
TESS_SPELLINGS = {name: name for name in TESS_EMOTIONS} | {
    "anger": "angry",
    "disgusted": "disgust",
    "fearful": "fear",
    "happiness": "happy",
    "pleasant_surprise": "ps",
    "pleasant_surprised": "ps",
    "sadness": "sad",
    "surprise": "ps",
    "surprised": "ps",
}
"""Spellings of labels in copies of TESS."""

_TESS_PUBLISHED = re.compile(
    rf"(?P<voice>{'|'.join(TESS_VOICES)})_(?P<word>[a-z]+)_(?P<emotion>{'|'.join(TESS_SPELLINGS)})",
    re.IGNORECASE,
)
_EMODB_NAME = re.compile(r"(?P<speaker>\d\d)(?P<sentence>[a-z]\d\d)(?P<emotion>[A-Z])[a-z]?$")
# the number is the sentence: all speakers have the same 90
_NEMO_NAME = re.compile(r"(?P<speaker>[A-Z]{2}\d)_(?P<emotion>[a-z]+)_(?P<sentence>\d+)$")
_ASED_NAME = re.compile(
    # 25 of the 27 sentences belong to one emotion, and are numbered within it
    r"(?=(?P<sentence>..-\d\d))(?P<emotion>[nfhsaS]\d)-\d\d-\d\d-\d\d-(?P<speaker>\d\d)$"
)
_TUREV_NAME = re.compile(r"(?P<speaker>\d{4})_(?P<emotion>[a-z]{2})_(?P<sentence>\w+)$")
_CREMA_NAME = re.compile(
    # one is published as 1040_ITH_SAD_X
    r"(?P<speaker>10\d\d)_(?P<sentence>[A-Z]{3})_(?P<emotion>[A-Z]{3})_(LO|MD|HI|XX?)$"
)
# the sentences are numbered within the emotions
_SAVEE_NAME = re.compile(
    r"(?P<speaker>DC|JE|JK|KL)_(?=(?P<sentence>[a-z]+\d\d)$)(?P<emotion>[a-z]+)\d\d$"
)
_URDU_NAME = re.compile(r"(?P<speaker>S[FM]\d+)_F\d+_(?P<emotion>[A-Z])\d+$")
_EMOVO_NAME = re.compile(r"(?P<emotion>[a-z]{3})-(?P<speaker>[fm][1-3])-(?P<sentence>[a-z]\d)$")
_SHEMO_NAME = re.compile(r"(?P<speaker>[FM]\d\d)(?P<emotion>[A-Z])\d\d$")
_CAFE_NAME = re.compile(r"(?P<speaker>0[1-9]|1[0-2])-(?P<emotion>[A-Z])-[12]-(?P<sentence>[1-6])$")
_ESD_NAME = re.compile(r"(?P<speaker>00(?:0[1-9]|1\d|20))_(?P<emotion>\d{6})$")


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


def _odd_are_men(speaker):
    if not speaker.isdecimal():
        return "unknown"
    return "male" if int(speaker) % 2 else "female"


def _tess_place(stem):
    name = _TESS_PUBLISHED.fullmatch(stem)
    if name is None:
        return None
    voice = TESS_VOICES[name["voice"].upper()]
    word, emotion = name["word"].lower(), TESS_SPELLINGS[name["emotion"].lower()]
    partition = "validation" if word in TESS_TEST_WORDS else "training"
    return f"{partition}/Actor_{voice}/{voice}_01_01_01_{word}_{emotion}.wav"


def _as_published(folder, pattern, emotions, case=str, subfolders=None):
    """A `place` for names as published, in one folder, or in one for each code of an emotion.

    `case` (such as `str.upper`) restores their case, which re-uploads change.
    """

    def place(stem):
        name = pattern.fullmatch(case(stem))
        if name is None or name["emotion"] not in emotions:
            return None
        subfolder = f"/{subfolders[name['emotion']]}" if subfolders else ""
        return f"{folder}{subfolder}/{name.group()}.wav"

    return place


def _on_github(repository, commit, places, n_clips):
    """A part for files of a repository at one commit; git's checksums are in the list."""
    return Part(
        places,
        n_clips,
        listing=f"https://api.github.com/repos/{repository}/git/trees/{commit}?recursive=1",
        base=f"https://raw.githubusercontent.com/{repository}/{commit}/",
    )


def _by_hand(title, source):
    command = "`python download_data.py --from FOLDER_OR_ZIP`"
    return f"get {title} ({source}) and lay it out by {command}"


def _esd_sentence(name):
    """The sentence of an ESD clip: speakers of a language read the same ones in every emotion."""
    language = "zh" if name["speaker"] <= "0010" else "en"
    return f"{language}{(int(name['emotion']) - 1) % ESD_SENTENCES + 1:03d}"


def _by_letter(speaker):
    """The gender by the first F or M in the name of a speaker: SF10, M01, f2."""
    return {"f": "female", "m": "male"}.get(speaker.lstrip("S").lower()[:1], "unknown")


RECORDS = (
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
        gender=_odd_are_men,
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
        place=_as_published("emodb/wav", _EMODB_NAME, EMODB_EMOTIONS),
        # No checksum is published, and all references give plain HTTP. The size is known from
        # public logs; download_data also checks the archive by reading it.
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
        pattern=_NEMO_NAME,
        licence="CC BY-NC-SA 4.0: not for commercial use",
        terms="nEMO (Christop 2024): CC BY-NC-SA 4.0, not for commercial use; best don't use what "
        "was learned from it so, either.",
        emotions=NEMO_EMOTIONS,
        gender=lambda speaker: NEMO_GENDERS.get(speaker, "unknown"),
        citation="Christop I (2024). nEMO: Dataset of Emotional Speech in Polish. LREC-COLING 2024",
        homepage=NEMO_PAGE,
        place=_as_published("nemo/samples", _NEMO_NAME, NEMO_EMOTIONS),
        # the bytes of GitHub's archives may change; its files are fixed, with checksums in the list
        parts={
            "all": _on_github(
                "amu-cai/nEMO", "06f1f83dde8f1a780443a57d53b2af3971af34ab", "nemo/samples/*", 4481
            )
        },
        offered=False,
    ),
    Corpus(
        name="ased",
        title="ASED",
        speakers="65 speakers",
        language="Amharic",
        group="ased",
        folders={"all": "ased"},
        pattern=_ASED_NAME,
        licence="free by its paper; no licence file",
        terms="ASED (Retta et al. 2023): free by its paper, without a licence file; ask its "
        "authors before commercial use.",
        emotions=ASED_EMOTIONS,
        gender=lambda speaker: "female" if ASED_FEMALE.fullmatch(speaker) else "male",
        citation="Retta EA, Almekhlafi E, Sutcliffe R, et al. (2023). A New Amharic Speech Emotion "
        "Dataset and Classification Benchmark. ACM TALLIP 22(1). doi 10.1145/3529759",
        homepage=ASED_PAGE,
        place=_as_published("ased", _ASED_NAME, ASED_EMOTIONS, subfolders=_ASED_FOLDERS),
        parts={
            "all": _on_github(
                "wgwangang/ASED_V1", "ba83034f48f8f5791cd5056a08233aaad6014d36", "ased/*", 2474
            )
        },
        offered=False,
        padded=True,  # to a length that depends on the emotion, a leak
    ),
    Corpus(
        name="turev",
        title="TurEV-DB",
        speakers="6 speakers",
        language="Turkish",
        group="turev",
        folders={"all": "turev/Sound Source"},
        pattern=_TUREV_NAME,
        licence="CC BY-NC-ND 4.0: not for commercial use, nor to be passed on changed",
        terms="TurEV-DB (Canpolat et al. 2020): CC BY-NC-ND 4.0, not for commercial use; best "
        "don't use what was learned from it so, either.",
        emotions=TUREV_EMOTIONS,
        citation="Canpolat SF, Ormanoglu Z, Zeyrek D (2020). Turkish Emotion Voice Database "
        "(TurEV-DB). SLTU-CCURL 2020, 368-375",
        homepage=TUREV_PAGE,
        place=_as_published(
            "turev/Sound Source", _TUREV_NAME, TUREV_EMOTIONS, subfolders=_TUREV_FOLDERS
        ),
        parts={
            "all": _on_github(
                "Xeonen/TurEV-DB", "8a998e44fc3dbc7a9e6328e83a2e3aa9a2c22c2f", "turev/*", 1735
            )
        },
        offered=False,
        copies=re.compile("test|pass", re.IGNORECASE),  # such as testEmotions5000LowPass
    ),
    Corpus(
        name="crema",
        title="CREMA-D",
        speakers="91 actors",
        language="English",
        group="crema",
        folders={"all": "crema"},
        pattern=_CREMA_NAME,
        licence="Open Database License 1.0, its contents under the Database Contents License 1.0",
        terms="CREMA-D (Cao et al. 2014): Open Database License 1.0, to be attributed; a database "
        "made of it has to stay under that licence.",
        emotions=CREMA_EMOTIONS,
        gender=lambda speaker: "female" if speaker in CREMA_FEMALE else "male",
        citation="Cao H, Cooper DG, Keutmann MK, Gur RC, Nenkova A, Verma R (2014). CREMA-D: "
        "Crowd-sourced Emotional Multimodal Actors Dataset. IEEE Transactions on Affective "
        "Computing 5(4), 377-390. doi 10.1109/TAFFC.2014.2336244",
        homepage=CREMA_PAGE,
        place=_as_published("crema", _CREMA_NAME, CREMA_EMOTIONS, str.upper),
        parts={"all": Part("crema/*", 7442)},
        how_to_get=_by_hand("CREMA-D", f"`git clone {CREMA_PAGE}` with Git LFS"),
        offered=False,
    ),
    Corpus(
        name="savee",
        title="SAVEE",
        speakers="4 men",
        language="English",
        group="savee",
        folders={"all": "savee"},
        pattern=_SAVEE_NAME,
        licence="that of its agreement, which doesn't let it be passed on",
        terms="SAVEE (Jackson and Haq 2011): see its agreement, which doesn't let it be passed on.",
        emotions=SAVEE_EMOTIONS,
        gender=lambda speaker: "male",
        citation="Jackson P, Haq S (2011). Surrey Audio-Visual Expressed Emotion (SAVEE) Database. "
        "University of Surrey",
        homepage=SAVEE_PAGE,
        place=_as_published(
            "savee", _SAVEE_NAME, SAVEE_EMOTIONS, lambda name: name[:2].upper() + name[2:].lower()
        ),
        parts={"all": Part("savee/*", 480)},
        how_to_get=_by_hand("SAVEE", SAVEE_PAGE),
        offered=False,
    ),
    Corpus(
        name="urdu",
        title="URDU",
        speakers="38 guests of talk shows",
        language="Urdu",
        group="urdu",
        folders={"all": "urdu"},
        pattern=_URDU_NAME,
        licence="for research only, by its README",
        terms="URDU (Latif et al. 2018): for research only, by its README.",
        emotions=URDU_EMOTIONS,
        gender=_by_letter,
        citation="Latif S, Qayyum A, Usman M, Qadir J (2018). Cross Lingual Speech Emotion "
        "Recognition: Urdu vs. Western Languages. arXiv 1812.10411",
        homepage=URDU_PAGE,
        place=_as_published("urdu", _URDU_NAME, URDU_EMOTIONS, str.upper, _URDU_FOLDERS),
        parts={
            folder: _on_github("siddiquelatif/URDU-Dataset", commit, f"urdu/{folder}/*", 100)
            for folder, commit in _URDU_COMMITS.items()
        },
        offered=False,
    ),
    Corpus(
        name="emovo",
        title="EMOVO",
        speakers="6 actors",
        language="Italian",
        group="emovo",
        folders={"all": "emovo"},
        pattern=_EMOVO_NAME,
        licence="see its page; no licence was found",
        terms="EMOVO (Costantini et al. 2014): without a licence that was found; ask its authors.",
        emotions=EMOVO_EMOTIONS,
        gender=_by_letter,
        citation="Costantini G, Iadarola I, Paoloni A, Todisco M (2014). EMOVO Corpus: an Italian "
        "Emotional Speech Database. LREC 2014",
        homepage=EMOVO_PAGE,
        place=_as_published("emovo", _EMOVO_NAME, EMOVO_EMOTIONS, str.lower),
        parts={"all": Part("emovo/*", 588)},  # 14 sentences of each actor in each emotion
        how_to_get=_by_hand("EMOVO", EMOVO_PAGE),
        offered=False,
    ),
    Corpus(
        name="shemo",
        title="ShEMO",
        speakers="87 speakers of radio plays",
        language="Persian",
        group="shemo",
        folders={"all": "shemo"},
        pattern=_SHEMO_NAME,
        licence="free of charge for academic purposes, by its paper",
        terms="ShEMO (Mohamad Nezami et al. 2019): for academic purposes, by its paper.",
        emotions=SHEMO_EMOTIONS,
        gender=_by_letter,
        citation="Mohamad Nezami O, Jamshid Lou P, Karami M (2019). ShEMO: a large-scale validated "
        "database for Persian speech emotion detection. Language Resources and Evaluation 53(1), "
        "1-16. doi 10.1007/s10579-018-9427-x",
        homepage=SHEMO_PAGE,
        place=_as_published("shemo", _SHEMO_NAME, SHEMO_EMOTIONS, str.upper),
        parts={"all": Part("shemo/*", 3000)},
        how_to_get=_by_hand("ShEMO", f"`git clone {SHEMO_PAGE}`"),
        offered=False,
    ),
    Corpus(
        name="cafe",
        title="CaFE",
        speakers="12 actors",
        language="Canadian French",
        group="cafe",
        folders={"all": "cafe"},
        pattern=_CAFE_NAME,
        licence="CC BY-NC-SA 4.0: not for commercial use",
        terms="CaFE (Gournay et al. 2018): CC BY-NC-SA 4.0, not for commercial use; best don't use "
        "what was learned from it so, either.",
        emotions=CAFE_EMOTIONS,
        gender=_odd_are_men,
        citation="Gournay P, Lahaie O, Lefebvre R (2018). A Canadian French Emotional Speech "
        "Dataset. ACM Multimedia Systems Conference (MMSys 2018)",
        homepage=CAFE_PAGE,
        place=_as_published("cafe", _CAFE_NAME, CAFE_EMOTIONS, str.upper),
        # 12 actors read 6 sentences neutrally and, at 2 intensities, in 6 emotions
        parts={"all": Part("cafe/*", 936)},
        how_to_get=_by_hand("CaFE", f"CaFE_48k.zip of {CAFE_PAGE}"),
        offered=False,
    ),
    Corpus(
        name="esd",
        title="ESD",
        speakers="20 speakers",
        language="English and Mandarin",
        group="esd",
        folders={"all": "esd"},
        pattern=_ESD_NAME,
        licence="for research only, by its ReadMe.txt",
        terms="ESD (Zhou et al. 2021): for research only, by its ReadMe.txt.",
        emotions=ESD_EMOTIONS,
        gender=lambda speaker: "male" if speaker in ESD_MALE else "female",
        citation="Zhou K, Sisman B, Liu R, Li H (2021). Seen and Unseen Emotional Style Transfer "
        "for Voice Conversion with a New Emotional Speech Dataset. ICASSP 2021, 920-924",
        homepage=ESD_PAGE,
        place=_as_published("esd", _ESD_NAME, ESD_EMOTIONS),
        parts={"all": Part("esd/*", 20 * 5 * ESD_SENTENCES)},
        how_to_get=_by_hand("ESD", ESD_PAGE),
        offered=False,
        sentence=_esd_sentence,
    ),
)
