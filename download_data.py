"""Fetch, verify and lay out the public corpora: RAVDESS, TESS and EMO-DB.

    python download_data.py                                # all three, about 1.4 GB in the end
    python download_data.py ravdess --speech-only          # without the songs of RAVDESS
    python download_data.py emodb --data-dir ~/recordings
    python download_data.py --from archive.zip             # what you have already, from anywhere
    python download_data.py --remove                       # keep no archives once all is laid out

Clips become 16 kHz mono WAVs where create_csv.py looks for them (see its help). --from takes a zip
archive or a folder in any nesting (those of Kaggle, too); the names of the clips give the corpus.
A run that was interrupted goes on where it stopped, clips that are laid out already are neither
fetched nor written again, and archives are kept in data/downloads/. HTTPS_PROXY and HTTP_PROXY may
name a proxy. The exit code is 0 only if nothing failed.
"""

if __name__ == "__main__":
    from checks import end_at_interrupt

    end_at_interrupt("download_data.py")

import fnmatch
import hashlib
import io
import json
import lzma
import shutil
import stat
import struct
import sys
import tempfile
import threading
import time
import zipfile
import zlib
from concurrent import futures
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import islice
from pathlib import Path, PureWindowsPath
from urllib.parse import urljoin

import requests
import urllib3
from tqdm.auto import tqdm

from audio import AudioError, stream_audio
from checks import SourceError, alone, check_name, guarded, make_parser, moved, printable, read_file
from convert_wavs import convert_audio
from corpora import CORPORA, File, find_data_dir
from create_csv import AUDIO_SUFFIXES, list_audio

CLIP_SIZE = 150_000  # bytes to reckon with for a laid out clip: songs, the longest, last 4.6 s
CLIP_LIMIT, LONGEST_CLIP = 2**23, 20.0  # bytes, seconds; what claims more is no clip
LISTING_LIMIT = 2**25  # bytes of a list of files; that of TESS has some 4 MB
NAMES_LIMIT = 2**24  # bytes of the names in an archive, some 200,000 of them
RETRIES = 5  # failures in a row that are tolerated
BACKOFF, LONGEST_WAIT = 1.0, 60.0  # seconds to wait after the first failure, doubled each time
TIMEOUT = 30  # seconds without a byte
SLOWEST = 10_000  # bytes per second that a connection has to bring after TIMEOUT
GRACE = 600  # seconds for a file of any size, beyond those that it takes at SLOWEST
PASSING = frozenset({408, 429, 500, 502, 503, 504})  # HTTP errors that may be gone next time
BLOCK = 2**16  # bytes
UNREADABLE = AudioError, SourceError, zipfile.BadZipFile  # of clips that can't be laid out
DAMAGED = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, RuntimeError, ValueError)
DAMAGED += (OSError, struct.error)  # for a damaged, encrypted or oddly compressed member


class DownloadError(OSError):
    """A file that couldn't be fetched whole."""


def _published():
    """The corpora that can be downloaded, by name."""
    return {name: corpus for name, corpus in CORPORA.items() if corpus.parts}


def place(name):
    """The corpus of a clip and its path in the data folder: tuple of str, or of None if unknown.

    Parameters
    ----------
    name : str
        The name of a file, as published or as laid out.

    Examples
    --------
    >>> place("03-01-05-02-01-02-12.wav")
    ('ravdess', 'training/Actor_12/03-01-05-02-01-02-12_angry.wav')
    >>> place("holiday.wav")
    (None, None)
    """
    file = PureWindowsPath(name)  # splits at both slashes
    if file.suffix.lower() in AUDIO_SUFFIXES:
        for corpus, info in _published().items():
            if where := info.place(file.stem):
                return corpus, where
    return None, None


def laid_out(data_dir):
    """The clips that are laid out already, in any format: dict of str (see `place`) to Path.

    Both are relative to the data folder: where a clip belongs, and where it lies.

    Parameters
    ----------
    data_dir : Path
    """
    folders = sorted({f for corpus in _published().values() for f in corpus.folders.values()})
    clips = (clip for folder in folders for clip in list_audio(data_dir / folder))
    laid = {place(clip.name)[1]: clip.relative_to(data_dir) for clip in clips}
    return {where: clip for where, clip in laid.items() if where}


def check_space(folder, n_bytes):
    """Make sure, before anything is written, that a disk has room.

    Parameters
    ----------
    folder : path
        On that disk.
    n_bytes : int

    Raises
    ------
    OSError
        If it hasn't.
    """
    free = shutil.disk_usage(folder).free
    if free < n_bytes:
        raise OSError(
            f"{folder} has {free / 1e6:,.0f} MB left, {n_bytes / 1e6:,.0f} MB are needed; make"
            " room, or choose a folder on another disk by --data-dir"
        )


def resume(file, part, *, session, bar, retries=RETRIES):
    """Download a file by HTTP, going on where an earlier attempt or run broke off.

    No more arrives than the file has bytes, and that no more slowly than `SLOWEST`.

    Parameters
    ----------
    file : File
    part : Path
        What has arrived so far; it stays there on failure.
    session : requests.Session
    bar : tqdm
        Counts bytes.
    retries : int
        Failures in a row that are tolerated.

    Raises
    ------
    DownloadError
        If it can't be fetched, or what is there has another size.
    """
    n_before = bar.n
    other = DownloadError(f"{file.url}: what is there hasn't {file.size:,} bytes, as it should")

    def receive():
        """Append to `part` what it lacks, or write it anew where the server can't send that."""
        start = _size(part)
        headers = {"Range": f"bytes={start}-"} if start else {}
        with _answer(session, file.url, headers) as response:
            sent = response.headers.get("Content-Range", "")
            if sent == f"bytes */{start}" and start == file.size:  # it was all there
                return
            if response.status_code == 416 or (sent and not sent.startswith(f"bytes {start}-")):
                part.unlink(missing_ok=True)
                raise requests.ConnectionError("what was there doesn't fit; start anew")
            response.raise_for_status()
            start = start if sent else 0
            announced = response.headers.get("Content-Length")
            if announced and start + int(announced) != file.size:
                raise other
            with part.open("ab" if start else "wb") as target:
                for block in _blocks(response):
                    if target.tell() + len(block) > file.size:
                        target.truncate(0)
                        raise other
                    target.write(block)
                    bar.update(n_before + target.tell() - bar.n)
        if _size(part) != file.size:
            raise requests.ConnectionError("cut short")

    limits = {"seconds": GRACE + file.size / SLOWEST, "retries": retries}
    _persist(receive, file.url, lambda: _size(part), **limits, verbose=not bar.disable)


def _size(path):
    return path.stat().st_size if path.exists() else 0


class _Session(requests.Session):
    """Follows no redirection: it would, to plain HTTP too, and read the bodies of all of them."""

    def resolve_redirects(self, *args, **kwargs):
        return iter(())


def _answer(session, url, headers=None):
    """The beginning of the answer to a request, up to its body: requests.Response."""
    headers = {"Accept-Encoding": "identity", **(headers or {})}  # sizes are those of the file
    ask = partial(session.get, headers=headers, stream=True, timeout=TIMEOUT)
    for _ in range(5):
        response = _within(2 * TIMEOUT, partial(ask, url))
        if not response.is_redirect:
            return response
        response.close()
        there = urljoin(url, response.headers["Location"])
        if url.startswith("https:") and not there.startswith("https:"):
            raise DownloadError(f"{url}: sends on to {there}, where others can change what comes")
        url = there
    raise DownloadError(f"{url}: one redirection after the other")


def _within(seconds, function):
    """What a function returns; its thread is left alone if it takes longer than some seconds."""
    outcome = futures.Future()

    def run():
        try:
            outcome.set_result(function())
        except Exception as error:
            outcome.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    try:
        return outcome.result(seconds)
    except futures.TimeoutError:
        raise requests.Timeout from None


def _blocks(response):
    """Yield what arrives, as it arrives, as long as it is not too slow."""
    began, n_bytes = time.monotonic(), 0
    try:
        while block := response.raw.read1(BLOCK):
            n_bytes += len(block)
            yield block
            if time.monotonic() - began > TIMEOUT + n_bytes / SLOWEST:
                raise _TooSlow
    except urllib3.exceptions.HTTPError as error:
        raise requests.ConnectionError from error


class _TooSlow(requests.Timeout):
    """Bytes arrive, but fewer than `SLOWEST`."""


def _persist(attempt, url, progress=lambda: 0, *, seconds, retries=RETRIES, verbose):
    """Return what `attempt` returns; try again, for some seconds, after failures that may pass."""
    end = time.monotonic() + seconds
    furthest, failures = progress(), 0
    while True:
        try:
            return attempt()
        except requests.RequestException as error:
            answer = error.response
            if progress() > furthest and not isinstance(error, _TooSlow):
                furthest, failures = progress(), 0
            final = answer is not None and answer.status_code not in PASSING
            if failures >= retries or final or time.monotonic() > end:
                raise DownloadError(f"{url}: {_reason(error)}") from error
            asked = "" if answer is None else answer.headers.get("Retry-After", "")
            wait = max(BACKOFF * 2**failures, int(asked) if asked.isdecimal() else 0)
            wait = min(wait, LONGEST_WAIT)
            failures += 1
            if verbose:
                tqdm.write(f"[!] {_reason(error)}; trying again in {wait:.0f} s", file=sys.stderr)
            time.sleep(wait)


def _reason(error):
    """A few words in place of the chain of exceptions that requests quotes."""
    if error.response is not None:
        return f"the server answers {error.response.status_code} {error.response.reason}"
    if isinstance(error, requests.exceptions.ProxyError):
        return "the proxy doesn't let it through"
    if isinstance(error, _TooSlow):
        return f"less than {SLOWEST / 1000:.0f} kB arrive in a second"
    if isinstance(error, requests.Timeout):
        return f"no answer for {TIMEOUT} s"
    return "no connection, or a broken one"


def fetch(files, folder, *, verbose=1):
    """Download the files that a folder doesn't hold yet, and verify all: list of Path.

    Parameters
    ----------
    files : list of File
    folder : Path
        Made if need be. What has arrived of a file lies there as NAME.part.
    verbose : int
        0 shows no progress bar.

    Raises
    ------
    DownloadError
        If one can't be fetched, or has a wrong checksum twice.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / file.name for file in files]
    missing = [pair for pair in zip(files, paths, strict=True) if not _is(pair[1], pair[0])]
    n_bytes = sum(file.size for file, _ in missing)
    look = {"unit": "B", "unit_scale": True, "leave": False, "disable": not verbose}
    with _Session() as session, tqdm(None, f"fetching to {folder}", n_bytes, **look) as bar:
        for file, path in missing:
            part = path.with_name(f"{path.name}.part")
            for _ in range(2):
                _receive(file, part, session, bar)
                if _is(part, file):
                    part.replace(path)  # only now it has the name of a whole file
                    break
                part.unlink()
            else:
                raise DownloadError(f"{file.url}: damaged, twice, and not kept")
    return paths


def _receive(file, part, session, bar):
    """`resume`, by plain HTTP where that is allowed and there is no other way."""
    arrived = _size(part)
    try:
        resume(file, part, session=session, bar=bar, retries=0 if file.plain else RETRIES)
    except DownloadError as error:
        unreachable = isinstance(error.__cause__, requests.ConnectionError)
        if not (file.plain and unreachable and _size(part) == arrived):
            raise
        file = file._replace(url=file.url.replace("https:", "http:", 1))
        if not bar.disable:
            tqdm.write(f"[!] {_reason(error.__cause__)}; trying {file.url}", file=sys.stderr)
        resume(file, part, session=session, bar=bar)


def _is(path, file):
    """Whether a path holds a file with the right size and, where that is known, checksum."""
    if _size(path) != file.size or not path.exists():
        return False
    algorithm, _, checksum = (file.checksum or ":").partition(":")
    if not algorithm:
        return True
    digest = hashlib.new(algorithm)
    with path.open("rb") as opened:
        while block := opened.read(2**20):
            digest.update(block)
    return digest.hexdigest() == checksum.lower()


def _listed(url, *, verbose):
    """The clips of a data set on a Dataverse, by its API (guides.dataverse.org/en/latest/api)."""

    def ask():
        with _Session() as session, _answer(session, url) as response:
            response.raise_for_status()
            text = bytearray()
            for block in _blocks(response):
                text += block
                if len(text) > LISTING_LIMIT:
                    raise DownloadError(f"{url}: a list of more than {LISTING_LIMIT:,} bytes")
            return bytes(text)

    answer = _persist(ask, url, seconds=GRACE, verbose=verbose)
    access = f"{url.partition('/datasets/')[0]}/access/datafile"
    files = {}
    try:
        for entry in json.loads(answer)["data"]["latestVersion"]["files"]:
            file = entry["dataFile"]
            name, checksum = PureWindowsPath(file["filename"]).name, f"md5:{file['md5']}"
            if where := place(name)[1]:
                size = int(file["filesize"])
                if not 0 < size <= CLIP_LIMIT:
                    raise ValueError("no clip has that size")
                files[where] = File(name, f"{access}/{int(file['id'])}", size, checksum)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise DownloadError(f"{url}: no list of files of the form known here") from error
    return list(files.values())


def _check_archive(path, part):
    """Delete an archive without a published checksum, and raise, unless it is whole."""
    # Its size is right (see `_is`), and its members have checksums: that finds damage, not what was
    # made on purpose. So only clips under known names are read of it, as any sound is.
    try:
        with _opened(path) as archive:
            for member in archive.infolist():
                _read(archive, member)
            n_clips = len({place(name)[1] for name in archive.namelist()} - {None})
        if n_clips != part.n_clips:
            raise ValueError(f"{n_clips} clips, not {part.n_clips}")
    except (ValueError, zipfile.BadZipFile) as error:
        path.unlink()
        raise DownloadError(f"{path.name} isn't what was published: {error}; deleted it") from error


class _Bounded(io.BufferedReader):
    """A file that isn't read in pieces that fill the memory: zipfile reads all names at once."""

    def read(self, size=-1):
        if size is not None and size > NAMES_LIMIT:
            raise zipfile.BadZipFile(f"{size:,} bytes are too many for a list of members")
        return super().read(size)


@contextmanager
def _opened(path):
    """A whole archive none of whose members is dangerous; raises ValueError for others."""
    with _Bounded(io.FileIO(path)) as file:
        try:
            archive = zipfile.ZipFile(file)
        except DAMAGED as error:
            raise ValueError(f"{path} is no whole zip archive ({error}); fetch it again") from error
        for member in archive.infolist():
            if danger := _danger(member):
                raise ValueError(f"{path} is refused, its member {member.filename!r} is {danger}")
        yield archive


def _found(path, stack):
    """List (name, function that reads it) of all files in a path; `stack` closes its archives."""
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.is_file())
        return [clip for file in files for clip in _found(file, stack)]
    path.stat()  # raises where there is nothing
    if path.suffix.lower() != ".zip":
        return [(path.name, partial(read_file, path, CLIP_LIMIT))]
    archive = stack.enter_context(_opened(path))
    members = archive.infolist()
    return [(PureWindowsPath(m.filename).name, partial(_read, archive, m)) for m in members]


def _danger(member):
    """What is wrong with the name or kind of a member, though here its last name alone is used."""
    name = PureWindowsPath(member.filename)  # splits at both slashes, and has drives
    if name.drive or name.root:
        return "absolute"
    if ".." in name.parts:
        return "outside of it"
    return "a link" if stat.S_ISLNK(member.external_attr >> 16) else None


def _read(archive, member):
    if member.file_size > CLIP_LIMIT:
        raise zipfile.BadZipFile(f"{member.file_size:,} bytes are too many for a clip")
    try:
        return archive.read(member)  # checks its checksum
    except DAMAGED as error:
        raise zipfile.BadZipFile(str(error) or "damaged") from error


def _check_length(clip):
    """Raise AudioError for what would fill the disk: a minute of silence takes no space in FLAC."""
    if len(list(islice(stream_audio(clip, block_duration=LONGEST_CLIP), 2))) > 1:
        raise AudioError(f"longer than {LONGEST_CLIP:.0f} s, which no clip is")


def _parts(corpus, speech_only):
    parts = CORPORA[corpus].parts
    return [part for name, part in parts.items() if not (speech_only and name == "song")]


def _of(parts, places):
    return [where for part in parts for where in fnmatch.filter(places, part.places)]


def lay_out(source, corpora=None, *, speech_only=False, data_dir=None, verbose=1):
    """Lay out the clips in an archive or a folder; each is written whole or not at all.

    Parameters
    ----------
    source : path
        A zip archive, a folder of clips and archives in any nesting, or a single clip.
    corpora : list of str, optional
        Keys of `corpora.CORPORA`; default all that are published.
    speech_only : bool
        Whether to leave out the songs of RAVDESS.
    data_dir : path, optional
        Made if need be; default as in `corpora.find_data_dir`.
    verbose : int
        0 prints nothing and shows no progress bar.

    Returns
    -------
    dict of str to dict
        For each corpus that `source` has clips of: "clips" laid out now, "of" how many that there
        are, "new" ones, "misplaced" ones (in training/, but belong in validation/, or the other way
        round), all int, and "failed", a dict of name to reason.

    Raises
    ------
    ValueError
        If there is no clip of these corpora in `source`, or an archive is damaged or dangerous.
    """
    known = _published()
    names = [check_name(name, known, "corpus") for name in corpora or known]
    data_dir = _made(data_dir)
    with ExitStack() as stack:
        plans = _plan([Path(source).expanduser()], stack, names, speech_only)
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
        print(f"{info.title}, {info.speakers}, {info.language} ({info.homepage})")
        print(f"  licence: {info.licence}\n  cite: {info.citation}")


def _plan(paths, stack, corpora, speech_only):
    """Corpus to {where a clip belongs: (name, function that reads it)}, each clip once."""
    plans = {}
    for name, read in (clip for path in paths for clip in _found(path, stack)):
        corpus, where = place(name)
        if corpus in corpora and _of(_parts(corpus, speech_only), [where]):
            plans.setdefault(corpus, {}).setdefault(where, (name, read))
    return plans


def _write(corpus, plan, data_dir, speech_only, verbose):
    """Write the clips of a plan that aren't there yet; return the report of `lay_out`."""
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
                _check_length(copy)
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
        A key of `corpora.CORPORA`.
    remove : bool
        Whether to delete what was fetched once the whole corpus is laid out.
    speech_only, data_dir, verbose
        See `lay_out`, also for what is returned.

    Raises
    ------
    DownloadError
        If it can't be fetched whole. What has arrived stays, for the next run to go on.
    """
    info = CORPORA[check_name(corpus, _published(), "corpus")]
    data_dir = _made(data_dir)
    folder = data_dir / "downloads" / corpus
    _introduce(corpus, verbose)
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        stack.enter_context(alone(folder))
        try:
            paths = _fetch_missing(_parts(corpus, speech_only), data_dir, folder, verbose)
        except DownloadError as error:
            raise DownloadError(
                f"{error}; run this again to go on, or get it from {info.homepage} in a browser and"
                " lay it out by --from"
            ) from error
        plan = _plan(paths, stack, [corpus], speech_only).get(corpus, {})
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
            n_bytes += n_missing * CLIP_SIZE
            for file in files:
                arrived = max(_size(folder / file.name), _size(folder / f"{file.name}.part"))
                n_bytes += max(0, file.size - arrived)
    check_space(data_dir, n_bytes)
    paths = []
    for part, files in lacking:
        for file, path in zip(files, fetch(files, folder, verbose=verbose), strict=True):
            if file.checksum is None:
                _check_archive(path, part)
            paths.append(path)
    return paths


def main(arguments=None):
    """Run the command line: the exit code.

    Parameters
    ----------
    arguments : list of str, optional
        Default those of the process.
    """
    return guarded("download_data.py", _run, arguments, advice="run it again to go on")


def _run(arguments):
    parser = make_parser("download_data.py", __doc__)
    names, add = ", ".join(_published()), parser.add_argument
    add("corpora", nargs="*", metavar="CORPUS", help=f"{names}; default: all of them")
    add("--speech-only", action="store_true", help="leave out the songs of RAVDESS")
    text = "lay out this archive or folder, fetch nothing"
    add("--from", dest="source", metavar="FILE_OR_FOLDER", help=text)
    add("--data-dir", help="the data folder, made if need be")
    add("-r", "--remove", action="store_true", help="delete what was fetched once it is laid out")
    add("--json", action="store_true", help="print the report as one JSON object")
    args = parser.parse_args(arguments)
    if args.source and args.remove:
        parser.error("--remove deletes what was fetched, and --from fetches nothing")
    options = {"speech_only": args.speech_only, "data_dir": args.data_dir, "verbose": not args.json}
    if args.source:
        jobs = [partial(lay_out, args.source, args.corpora, **options)]
    else:
        options["remove"] = args.remove
        jobs = [partial(download, name, **options) for name in args.corpora or _published()]
    reports, failures = {}, []
    for job in jobs:
        try:
            reports |= job()
        except (OSError, ValueError) as error:
            failures.append(f"download_data.py: {error}")
    if args.json:
        terms = {n: {k: getattr(CORPORA[n], k) for k in ("licence", "citation")} for n in reports}
        print(json.dumps({name: report | terms[name] for name, report in reports.items()}))
    for name, report in reports.items():
        failures += [f"failed: {clip}: {why}" for clip, why in report["failed"].items()]
        if not args.json:
            _print(name, report, find_data_dir(args.data_dir))
    for failure in failures:
        print(printable(failure), file=sys.stderr)
    return 1 if failures else 0


def _print(corpus, report, data_dir):
    clips, n_all, new, misplaced = (report[name] for name in ("clips", "of", "new", "misplaced"))
    there = f"{clips:,} of {n_all:,} clips laid out in {data_dir}"
    print(f"[+] {corpus}: {there}, {new:,} of them anew")
    if misplaced:
        elsewhere = "were there before, on the other side of training/ and validation/"
        advice = "delete them and run this again for the usual split"
        print(f"[!] {corpus}: {misplaced:,} clips {elsewhere}; {advice}")


__getattr__ = moved(
    __name__,
    {
        "corpora": "BOREALIS Corpus Part RAVDESS_EMOTIONS RAVDESS_TEST_ACTORS TESS_EMOTIONS "
        "TESS_TEST_WORDS TESS_VOICES ZENODO describe",
        "create_csv": "CORPUS_GROUPS",
    },
)

if __name__ == "__main__":
    sys.exit(main())
