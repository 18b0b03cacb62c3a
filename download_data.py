"""Fetch, verify and lay out the public corpora: RAVDESS, TESS and EMO-DB.

    python download_data.py                                # all three, about 1.4 GB in the end
    python download_data.py ravdess --speech-only          # without the songs of RAVDESS
    python download_data.py emodb --data-dir ~/recordings
    python download_data.py --from archive.zip             # what you have already, from anywhere
    python download_data.py tess --from "TESS Toronto emotional speech set data"
    python download_data.py --remove                       # keep no archives once all is laid out

Clips become 16 kHz mono WAVs where create_csv.py looks for them:

    data/training/Actor_12/03-01-05-02-01-02-12_angry.wav   RAVDESS; actors 07 to 10: validation/
    data/validation/Actor_25/25_01_01_01_back_sad.wav       TESS OAF_back_sad.wav; YAF is Actor_26
    data/emodb/wav/03a01Fa.wav                              EMO-DB, names as published

--from takes a zip archive or a folder, in whichever nesting (those of Kaggle too), and tells the
corpora apart by the names of their clips. A run that was interrupted goes on where it stopped,
clips that are laid out already are neither fetched nor written again, and archives are kept in
data/downloads/. A proxy is taken from HTTPS_PROXY and HTTP_PROXY. The exit code is 0 only if
nothing failed.
"""

import argparse
import fnmatch
import json
import re
import shutil
import stat
import sys
import tempfile
import time
import zipfile
import zlib
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path, PureWindowsPath
from typing import NamedTuple

import pooch
import requests
from tqdm.auto import tqdm

from audio import AudioError
from convert_wavs import convert_audio
from create_csv import AUDIO_SUFFIXES, CORPUS_GROUPS, describe, find_data_dir, list_audio
from utils import check_name

RAVDESS_EMOTIONS = {
    "01": "neutral",
    "02": "calm",
    "03": "happy",
    "04": "sad",
    "05": "angry",
    "06": "fear",
    "07": "disgust",
    "08": "ps",  # "surprised" there, and rather pleasantly so
}
"""The third number of a RAVDESS file name (zenodo.org/records/1188976)."""

RAVDESS_TEST_ACTORS = ("07", "08", "09", "10")

TESS_EMOTIONS = ("angry", "disgust", "fear", "happy", "neutral", "ps", "sad")
TESS_VOICES = {
    "OAF": "25",
    "OA": "25",  # one clip is published as OA_bite_neutral
    "YAF": "26",
    "25_01_01_01": "25",  # laid out already
    "26_01_01_01": "26",
}
TESS_TEST_WORDS = frozenset({
    "back", "bar", "base", "bath", "bean", "beg", "bite", "boat", "bone", "book", "bought", "burn",
    "cab", "calm", "came", "cause", "chain", "chair", "chalk", "chat", "check", "cheek", "chief",
    "choice", "cool", "dab", "date", "dead", "death", "deep", "dime", "dip",
})  # fmt: skip
"""The alphabetically first 32 of the 200 words."""

_RAVDESS_NAME = re.compile(
    r"(?P<numbers>03-0[12]-(?P<code>0[1-8])-0[12]-0[12]-0[12]-(?P<actor>0[1-9]|1\d|2[0-4]))(_\w+)?"
)
_TESS_NAME = re.compile(
    rf"(?P<voice>{'|'.join(TESS_VOICES)})_(?P<word>[a-z]+)_(?P<emotion>{'|'.join(TESS_EMOTIONS)})",
    re.IGNORECASE,
)


def _ravdess_place(stem):
    name = _RAVDESS_NAME.fullmatch(stem)
    if name is None:
        return None
    emotion = RAVDESS_EMOTIONS[name["code"]]
    partition = "validation" if name["actor"] in RAVDESS_TEST_ACTORS else "training"
    return f"{partition}/Actor_{name['actor']}/{name['numbers']}_{emotion}.wav"


def _tess_place(stem):
    name = _TESS_NAME.fullmatch(stem)
    if name is None:
        return None
    voice = TESS_VOICES[name["voice"].upper()]
    word, emotion = name["word"].lower(), name["emotion"].lower()
    partition = "validation" if word in TESS_TEST_WORDS else "training"
    return f"{partition}/Actor_{voice}/{voice}_01_01_01_{word}_{emotion}.wav"


def _emodb_place(stem):
    return f"emodb/wav/{stem}.wav" if describe(Path(stem), "emodb") else None


class File(NamedTuple):
    """A file to download."""

    name: str
    url: str
    size: int  # bytes
    checksum: str | None  # as pooch writes it: "md5:..."


class Part(NamedTuple):
    """Clips that are published together, as files known here or as a list on a Dataverse."""

    places: str  # a pattern of where they belong
    n_clips: int
    files: tuple = ()
    listing: str | None = None


class Corpus(NamedTuple):
    """Where a corpus comes from, and where its clips belong."""

    title: str
    licence: str
    citation: str
    page: str  # for a browser
    place: Callable  # published name without suffix to path under the data folder, or None
    parts: dict


ZENODO = "https://zenodo.org/records/1188976"
BOREALIS = "https://borealisdata.ca/api/datasets/:persistentId/?persistentId="
CORPORA = {
    "ravdess": Corpus(
        "RAVDESS, 24 actors, English",
        "CC BY-NC-SA 4.0: not for commercial use",
        "Livingstone SR, Russo FA (2018). The Ryerson Audio-Visual Database of Emotional Speech"
        " and Song (RAVDESS). PLoS ONE 13(5), e0196391. doi 10.1371/journal.pone.0196391",
        ZENODO,
        _ravdess_place,
        {
            "speech": Part("*/03-01-*", 1440, (
                File("Audio_Speech_Actors_01-24.zip",
                     f"{ZENODO}/files/Audio_Speech_Actors_01-24.zip?download=1",
                     208_468_073, "md5:bc696df654c87fed845eb13823edef8a"),
            )),
            "song": Part("*/03-02-*", 1012, (
                File("Audio_Song_Actors_01-24.zip",
                     f"{ZENODO}/files/Audio_Song_Actors_01-24.zip?download=1",
                     225_505_317, "md5:5411230427d67a21e18aa4d466e6d1b9"),
            )),
        },
    ),
    "tess": Corpus(
        "TESS, 2 voices, English",
        "CC BY-NC-ND 4.0: not for commercial use, nor to be passed on changed",
        "Pichora-Fuller MK, Dupuis K (2020). Toronto emotional speech set (TESS). Borealis."
        " doi 10.5683/SP2/E8H2MF",
        "https://doi.org/10.5683/SP2/E8H2MF",
        _tess_place,
        {"all": Part("*/Actor_2[56]/*", 2800, listing=f"{BOREALIS}doi:10.5683/SP2/E8H2MF")},
    ),
    "emodb": Corpus(
        "EMO-DB, 10 actors, German",
        "free to use; its authors ask to be cited",
        "Burkhardt F, Paeschke A, Rolfes M, Sendlmeier W, Weiss B (2005). A Database of German"
        " Emotional Speech. Interspeech 2005, 1517-1520",
        "http://emodb.bilderbar.info",
        _emodb_place,
        {
            "all": Part("emodb/wav/*", 535, (
                File("download.zip", "http://emodb.bilderbar.info/download/download.zip",
                     40_567_066, None),  # no checksum is published: see _check_archive
            )),
        },
    ),
}  # fmt: skip

DOWNLOADS = "downloads"  # in the data folder
FOLDERS = [f for name in ("tess_ravdess", "emodb") for f in CORPUS_GROUPS[name].folders.values()]

CLIP_SIZE = 150_000
"""Bytes to reckon with for a clip that is laid out: songs, the longest ones, last 4.6 s."""

CLIP_LIMIT = 2**26
"""Bytes. No clip is so long: the member of an archive that claims it is a bomb."""

RETRIES, BACKOFF, LONGEST_WAIT = 5, 1.0, 60.0
"""Failures in a row that are put up with; seconds to wait after the first, doubled each time."""

TIMEOUT = 30  # seconds without a sign of life
PASSING = frozenset({408, 429, 500, 502, 503, 504})  # HTTP errors that may be gone next time
BLOCK = 2**16  # bytes

UNREADABLE = (AudioError, zipfile.BadZipFile, zlib.error, EOFError, RuntimeError)
"""What a damaged clip raises, a damaged, encrypted or oddly compressed member of an archive."""


class DownloadError(OSError):
    """A file that couldn't be fetched whole."""


def place(name):
    """Say of which corpus a clip is, and where it belongs.

    Parameters
    ----------
    name : str
        The name of a file, as published or as laid out.

    Returns
    -------
    corpus : str or None
        A key of `CORPORA`; None if the name is of no corpus.
    where : str or None
        A path relative to the data folder.

    Examples
    --------
    >>> place("03-01-05-02-01-02-12.wav")
    ('ravdess', 'training/Actor_12/03-01-05-02-01-02-12_angry.wav')
    >>> place("OAF_back_sad.wav")
    ('tess', 'validation/Actor_25/25_01_01_01_back_sad.wav')
    >>> place("holiday.wav")
    (None, None)
    """
    file = PureWindowsPath(name)  # knows both slashes
    if file.suffix.lower() in AUDIO_SUFFIXES:
        for corpus, info in CORPORA.items():
            if where := info.place(file.stem):
                return corpus, where
    return None, None


def laid_out(data_dir):
    """The clips that are in the layout already, whichever their format.

    Parameters
    ----------
    data_dir : Path

    Returns
    -------
    dict of str to Path
        Where a clip belongs, to where it lies; both relative to the data folder.
    """
    clips = (clip for folder in FOLDERS for clip in list_audio(data_dir / folder))
    laid = {place(clip.name)[1]: clip.relative_to(data_dir) for clip in clips}
    return {where: clip for where, clip in laid.items() if where}


def check_space(folder, n_bytes):
    """Raise an OSError, before anything is written, where a disk has no room for `n_bytes`."""
    free = shutil.disk_usage(folder).free
    if free < n_bytes:
        raise OSError(
            f"{folder} has {free / 1e6:,.0f} MB left, {n_bytes / 1e6:,.0f} MB are needed; make"
            " room, or choose a folder on another disk by --data-dir"
        )


# --- downloads ---------------------------------------------------------------------------------


def resume(url, output_file, store, *, session, part, bar):
    """Download a file by HTTP, going on where an earlier attempt or run broke off.

    A downloader of pooch (https://www.fatiando.org/pooch/latest/downloaders.html) once the
    keywords are bound; pooch's own ones start afresh each time.

    Parameters
    ----------
    url, output_file : str
        From where, and to where once it is all there.
    store : pooch.Pooch
        Not used.
    session : requests.Session
    part : Path
        What has arrived so far; left there on failure.
    bar : tqdm
        Counts bytes.

    Raises
    ------
    DownloadError
        If it fails `RETRIES` times more without a new byte, or for good.
    """
    attempt = partial(_receive, session, url, part, bar, bar.n)
    _persist(attempt, url, lambda: _size(part), verbose=not bar.disable)
    part.replace(output_file)


def _size(path):
    return path.stat().st_size if path.exists() else 0


def _persist(attempt, url, progress=lambda: 0, *, verbose):
    """Return what `attempt` returns, trying again after failures that may pass."""
    furthest, failures = progress(), 0
    while True:
        try:
            return attempt()
        except requests.RequestException as error:
            if progress() > furthest:
                furthest, failures = progress(), 0
            if failures == RETRIES or not _may_pass(error):
                raise DownloadError(f"{url}: {_reason(error)}") from error
            wait = min(max(BACKOFF * 2**failures, _asked_to_wait(error)), LONGEST_WAIT)
            failures += 1
            if verbose:
                tqdm.write(f"[!] {_reason(error)}; trying again in {wait:.0f} s", file=sys.stderr)
            time.sleep(wait)


def _may_pass(error):
    return error.response is None or error.response.status_code in PASSING


def _asked_to_wait(error):
    """Seconds that a busy server asks for."""
    asked = "" if error.response is None else error.response.headers.get("Retry-After", "")
    return int(asked) if asked.isdecimal() else 0


def _reason(error):
    """A few words in place of the chain of exceptions that requests quotes."""
    if error.response is not None:
        return f"the server answers {error.response.status_code} {error.response.reason}"
    if isinstance(error, requests.exceptions.ProxyError):
        return "the proxy doesn't let it through"
    if isinstance(error, requests.Timeout):
        return f"no answer for {TIMEOUT} s"
    return "no connection, or a broken one"


def _receive(session, url, part, bar, n_before):
    """Append to `part` what it lacks, or write it anew where the server can't send that alone."""
    start = _size(part)
    headers = {"Accept-Encoding": "identity"}  # so that sizes are those of the file
    headers |= {"Range": f"bytes={start}-"} if start else {}
    with session.get(url, headers=headers, stream=True, timeout=TIMEOUT) as response:
        sent = response.headers.get("Content-Range", "")
        if sent == f"bytes */{start}":  # nothing lies beyond: it was all there
            return
        if response.status_code == 416 or (sent and not sent.startswith(f"bytes {start}-")):
            part.unlink(missing_ok=True)
            raise requests.ConnectionError("what was there doesn't fit; from the beginning, then")
        response.raise_for_status()
        start = start if sent else 0
        with part.open("ab" if start else "wb") as file:
            for block in response.iter_content(BLOCK):
                file.write(block)
                bar.update(n_before + file.tell() - bar.n)
    announced = response.headers.get("Content-Length")
    if announced and _size(part) != start + int(announced):
        raise requests.ConnectionError("cut short")


def fetch(files, folder, *, verbose=1):
    """Download files by pooch, those that a folder doesn't hold yet, and verify all of them.

    Parameters
    ----------
    files : list of File
    folder : Path
        Made if need be. What has arrived of a file lies there as NAME.part.
    verbose : int
        0 shows no progress bar.

    Returns
    -------
    list of Path

    Raises
    ------
    DownloadError
        If one can't be fetched, or doesn't have its checksum, not even the second time.
    """
    pooch.get_logger().setLevel("WARNING")
    folder.mkdir(parents=True, exist_ok=True)
    checksums = {file.name: file.checksum for file in files}
    urls = {file.name: file.url for file in files}
    store = pooch.create(folder, "", registry=checksums, urls=urls, retry_if_failed=1)
    n_bytes = sum(file.size for file in files if not (folder / file.name).exists())
    paths = []
    with (
        requests.Session() as session,
        tqdm(None, f"fetching to {folder}", n_bytes, unit="B", unit_scale=True, leave=False,
             disable=not verbose) as bar,
    ):  # fmt: skip
        for file in files:
            part = folder / f"{file.name}.part"
            downloader = partial(resume, session=session, part=part, bar=bar)
            try:
                paths.append(Path(store.fetch(file.name, downloader=downloader)))
            except ValueError as error:  # pooch's word for a wrong checksum
                raise DownloadError(f"{file.url}: damaged, twice, and not kept") from error
    return paths


def _listed(url, *, verbose):
    """The clips of a data set on a Dataverse, by its API (guides.dataverse.org/en/latest/api)."""
    with requests.Session() as session:
        answer = _persist(partial(_get, session, url), url, verbose=verbose)
    access = f"{url.partition('/datasets/')[0]}/access/datafile"
    try:
        entries = [entry["dataFile"] for entry in answer.json()["data"]["latestVersion"]["files"]]
        files = [
            File(PureWindowsPath(entry["filename"]).name, f"{access}/{entry['id']}",
                 entry["filesize"], f"md5:{entry['md5']}")
            for entry in entries
        ]  # fmt: skip
    except (ValueError, KeyError, TypeError) as error:
        raise DownloadError(f"{url}: no list of files of the form known here") from error
    return [file for file in files if place(file.name)[1]]


def _get(session, url):
    response = session.get(url, timeout=TIMEOUT)
    response.raise_for_status()
    return response


def _check_archive(path, part):
    """Raise, and delete it, if an archive without a published checksum isn't whole.

    EMO-DB publishes none. Instead: its size is the one that the server announced (see
    `_receive`), every member has the checksum that the archive keeps of it, and no clip is missing.
    """
    n_clips = None
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
            n_clips = len({place(name)[1] for name in archive.namelist()} - {None})
    except UNREADABLE as error:
        damaged = error
    if damaged or n_clips != part.n_clips:
        path.unlink()
        why = f"damaged: {damaged}" if damaged else f"{n_clips} clips, not {part.n_clips}"
        raise DownloadError(f"{path.name} isn't the archive that was published ({why}); deleted it")


# --- layout ------------------------------------------------------------------------------------


def _found(path, stack):
    """(name, function that reads it) of every file in a folder or an archive; a file is its own.

    Archives stay open as long as the ExitStack `stack` does.
    """
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.is_file())
        return [clip for file in files for clip in _found(file, stack)]
    path.stat()  # raises where there is nothing
    if path.suffix.lower() != ".zip":
        return [(path.name, path.read_bytes)]
    try:
        archive = stack.enter_context(zipfile.ZipFile(path))
    except zipfile.BadZipFile as error:
        raise ValueError(f"{path} is no whole zip archive ({error}); fetch it again") from error
    members = archive.infolist()
    for member in members:
        if danger := _danger(member):
            raise ValueError(f"{path} is refused, its member {member.filename!r} is {danger}")
    return [(PureWindowsPath(m.filename).name, partial(_read, archive, m)) for m in members]


def _danger(member):
    """What is wrong with the name or kind of a member, though here its last name alone is used."""
    name = PureWindowsPath(member.filename)  # knows both slashes, and drives
    if name.drive or name.root:
        return "absolute"
    if ".." in name.parts:
        return "outside of it"
    return "a link" if stat.S_ISLNK(member.external_attr >> 16) else None


def _read(archive, member):
    if member.file_size > CLIP_LIMIT:
        raise zipfile.BadZipFile(f"{member.file_size} bytes are too many for a clip")
    return archive.read(member)  # checks its checksum


def _parts(corpus, speech_only):
    parts = CORPORA[corpus].parts
    return [part for name, part in parts.items() if not (speech_only and name == "song")]


def _of(parts, places):
    return [where for part in parts for where in fnmatch.filter(places, part.places)]


def lay_out(source, corpora=None, *, speech_only=False, data_dir=None, verbose=1):
    """Lay out the clips in an archive or a folder that is here already.

    Each is written under a temporary name, read back, then renamed: it is whole or absent.

    Parameters
    ----------
    source : path
        A zip archive, a folder of clips and archives in any nesting, or a single clip.
    corpora : list of str, optional
        Keys of `CORPORA`; default all.
    speech_only : bool
        Whether to leave out the songs of RAVDESS.
    data_dir : path, optional
        Made if need be; default as in `create_csv.find_data_dir`.
    verbose : int
        0 prints nothing and shows no progress bar.

    Returns
    -------
    dict of str to dict
        For each corpus that `source` has clips of: ``{"clips": int, "of": int, "new": int,
        "misplaced": int, "failed": {name: reason}}``. That is how many are in the layout now, of
        how many that there are, how many came anew, and how many lie in training/ that belong in
        validation/, or the other way round.

    Raises
    ------
    ValueError
        For an unknown corpus; if there is no clip in `source`; if an archive is damaged, or has
        a member that is absolute, outside of it, or a link.
    OSError
        If there is no `source`, or no room on the disk.
    """
    names = [check_name(name, CORPORA, "corpus") for name in corpora or CORPORA]
    data_dir = _made(data_dir)
    with ExitStack() as stack:
        plans = _plan(_found(Path(source).expanduser(), stack), names, speech_only)
        if not plans:
            raise ValueError(
                f"{source} holds no clip of {', '.join(names)}; give a zip archive or a folder"
                " with clips under their published names (unpack what is packed otherwise)"
            )
        reports = {}
        for name, plan in plans.items():
            _introduce(name, verbose)
            reports[name] = _write(name, plan, data_dir, speech_only, verbose)
    return reports


def _made(data_dir):
    if data_dir:
        Path(data_dir).expanduser().mkdir(parents=True, exist_ok=True)
    return find_data_dir(data_dir)


def _introduce(corpus, verbose):
    if verbose:
        info = CORPORA[corpus]
        print(f"{info.title} ({info.page})\n  licence: {info.licence}\n  cite: {info.citation}")


def _plan(clips, corpora, speech_only):
    """Corpus to {where a clip belongs: (name, function that reads it)}, each clip once."""
    plans = {}
    for name, read in clips:
        corpus, where = place(name)
        if corpus in corpora and _of(_parts(corpus, speech_only), [where]):
            plans.setdefault(corpus, {}).setdefault(where, (name, read))
    return plans


def _write(corpus, plan, data_dir, speech_only, verbose):
    """Write the clips of a plan that aren't there yet; return what `lay_out` reports of them."""
    laid, parts = laid_out(data_dir), _parts(corpus, speech_only)
    new = {where: clip for where, clip in plan.items() if where not in laid}
    check_space(data_dir, len(new) * CLIP_SIZE)
    failed = {}
    with tempfile.TemporaryDirectory() as folder:
        bar = tqdm(new.items(), f"laying out {corpus}", unit="clip", disable=not verbose)
        for where, (name, read) in bar:
            copy = Path(folder, name)
            try:
                copy.write_bytes(read())
                convert_audio(copy, data_dir / where)
                laid[where] = Path(where)
            except UNREADABLE as error:
                failed[name] = str(error).removeprefix(f"{str(copy)!r}: ")
            copy.unlink(missing_ok=True)
    here = _of(parts, laid)
    return {
        "clips": len(here),
        "of": sum(part.n_clips for part in parts),
        "new": len(new) - len(failed),
        "misplaced": sum(laid[where].parts[0] != Path(where).parts[0] for where in here),
        "failed": failed,
    }


def download(corpus, *, speech_only=False, data_dir=None, remove=False, verbose=1):
    """Fetch a corpus, verify it and lay it out; what is laid out already isn't fetched again.

    Parameters
    ----------
    corpus : str
        A key of `CORPORA`.
    remove : bool
        Whether to delete what was fetched once the whole corpus is laid out.
    speech_only, data_dir, verbose
        As for `lay_out`.

    Returns
    -------
    dict of str to dict
        As `lay_out` returns.

    Raises
    ------
    DownloadError
        If it can't be fetched whole. What has arrived stays, for the next run to go on.
    ValueError, OSError
        As by `lay_out`.
    """
    info = CORPORA[check_name(corpus, CORPORA, "corpus")]
    data_dir = _made(data_dir)
    folder = data_dir / DOWNLOADS / corpus
    _introduce(corpus, verbose)
    with ExitStack() as stack:
        try:
            paths = _fetch_missing(_parts(corpus, speech_only), data_dir, folder, verbose)
        except DownloadError as error:
            raise DownloadError(
                f"{error}; run this again to go on, or get it from {info.page} in a browser and"
                " lay it out by --from"
            ) from error
        clips = [clip for path in paths for clip in _found(path, stack)]
        plan = _plan(clips, [corpus], speech_only).get(corpus, {})
        report = _write(corpus, plan, data_dir, speech_only, verbose)
    if remove and report["clips"] == report["of"]:
        shutil.rmtree(folder, ignore_errors=True)
    return {corpus: report}


def _fetch_missing(parts, data_dir, folder, verbose):
    """Fetch what isn't laid out of the parts of a corpus; return the files."""
    laid = laid_out(data_dir)
    lacking, n_bytes = [], 0
    for part in parts:
        n_missing = part.n_clips - len(_of([part], laid))
        if n_missing > 0:
            files = part.files or _listed(part.listing, verbose=verbose)
            files = [file for file in files if place(file.name)[1] not in laid]
            lacking.append((part, files))
            n_bytes += n_missing * CLIP_SIZE + sum(_outstanding(file, folder) for file in files)
    check_space(data_dir, n_bytes)
    paths = []
    for part, files in lacking:
        for file, path in zip(files, fetch(files, folder, verbose=verbose), strict=True):
            if file.checksum is None:
                _check_archive(path, part)
            paths.append(path)
    return paths


def _outstanding(file, folder):
    """Bytes of a file that haven't arrived."""
    arrived = max(_size(folder / file.name), _size(folder / f"{file.name}.part"))
    return max(0, file.size - arrived)


# --- command line ------------------------------------------------------------------------------


def _summary(corpus, report, data_dir):
    """What was done, in a line or two."""
    lines = [
        f"[+] {corpus}: {report['clips']:,} of {report['of']:,} clips laid out in {data_dir},"
        f" {report['new']:,} of them anew"
    ]
    if report["misplaced"]:
        lines.append(
            f"[!] {corpus}: {report['misplaced']:,} clips were there before, on the other side of"
            " training/ and validation/; delete them and run this again for the usual split"
        )
    return "\n".join(lines)


def main(arguments=None):
    """Run the command line; return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("corpora", nargs="*", metavar="CORPUS",
                        help=f"{', '.join(CORPORA)}; default: all of them")  # fmt: skip
    parser.add_argument("--speech-only", action="store_true", help="leave out the songs of RAVDESS")
    parser.add_argument("--from", dest="source", metavar="FILE_OR_FOLDER",
                        help="lay out this archive or folder, fetch nothing")  # fmt: skip
    parser.add_argument("--data-dir", help="the data folder, made if need be")
    parser.add_argument("-r", "--remove", action="store_true",
                        help="delete what was fetched once the corpus is laid out")  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print the report as one JSON object")
    args = parser.parse_args(arguments)
    if args.source and args.remove:
        parser.error("--remove deletes what was fetched, and --from fetches nothing")
    options = {"speech_only": args.speech_only, "data_dir": args.data_dir}
    options["verbose"] = 0 if args.json else 1
    if args.source:
        jobs = [partial(lay_out, args.source, args.corpora, **options)]
    else:
        names = args.corpora or CORPORA
        jobs = [partial(download, name, remove=args.remove, **options) for name in names]
    reports, failures = {}, []
    for job in jobs:
        try:
            reports |= job()
        except (OSError, ValueError) as error:
            failures.append(f"download_data.py: {error}")
        except KeyboardInterrupt:
            print("download_data.py: interrupted; run it again to go on", file=sys.stderr)
            return 130
    if args.json:
        print(json.dumps({
            name: report | {"licence": CORPORA[name].licence, "citation": CORPORA[name].citation}
            for name, report in reports.items()
        }))  # fmt: skip
    else:
        for name, report in reports.items():
            print(_summary(name, report, find_data_dir(args.data_dir)))
    for report in reports.values():
        failures += [f"failed: {name}: {why}" for name, why in report["failed"].items()]
    for failure in failures:
        print(failure, file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
