"""Fetch, verify and lay out the public corpora of emotional speech.

    python download_data.py                                # RAVDESS, TESS, EMO-DB, about 1.4 GB
    python download_data.py ravdess --speech-only          # without the songs of RAVDESS
    python download_data.py nemo ased turev urdu           # from GitHub, file by file
    python download_data.py emodb --data-dir ~/recordings
    python download_data.py --from archive.zip             # use a file or folder that you have
    python download_data.py --remove                       # delete archives afterwards

Clips become 16 kHz mono WAVs where create_csv.py looks for them (see its help). --from takes a zip
archive or a folder in any nesting (also those of Kaggle), and recognises the corpus by the names of
the clips; CREMA-D, SAVEE, EMOVO, ShEMO, CaFE and ESD come only this way. A warning lists files with
other names. An interrupted run continues where it stopped: existing clips are neither fetched nor
written again, and archives are kept in data/downloads/. HTTPS_PROXY and HTTP_PROXY may name a
proxy. The exit code is 0 only if nothing failed.
"""

if __name__ == "__main__":
    from checks import end_at_interrupt

    end_at_interrupt("download_data.py")

import fnmatch
import io
import json
import lzma
import shutil
import stat
import struct
import sys
import warnings
import zipfile
import zlib
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import islice
from pathlib import Path, PureWindowsPath
from urllib.parse import quote

import numpy as np
import soundfile as sf

from audio import AudioError, stream_audio
from checks import (
    SourceError,
    alone,
    check_name,
    guarded,
    make_parser,
    moved,
    printable,
    read_file,
    temporary_folder,
)
from convert_wavs import convert_audio
from corpora import COPY, CORPORA, find_data_dir
from corpus_records import File
from create_csv import AUDIO_SUFFIXES, is_hidden, list_audio
from download import DownloadError, fetch, fetch_text, size_of
from parameters import SAMPLE_RATE
from progress import Progress

CLIP_SIZE = 150_000  # bytes to expect for a clip: the longest, songs, last 4.6 s
CLIP_LIMIT, LONGEST_CLIP = 2**23, 40.0  # bytes, seconds; larger files aren't clips
LISTING_LIMIT = 2**25  # bytes of a list of files; that of TESS has some 4 MB
NAMES_LIMIT = 2**24  # bytes of the names in an archive, some 200,000 names
UNREADABLE = AudioError, SourceError, zipfile.BadZipFile  # of clips that can't be laid out
DAMAGED = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, RuntimeError, ValueError)
DAMAGED += (OSError, struct.error)  # for a damaged, encrypted or oddly compressed member
POINTER = b"version https://git-lfs"  # stands for a file that Git LFS hasn't fetched
NAMED = 10  # files that a message names


def _published():
    """The corpora whose published names are known, by name."""
    return {name: corpus for name, corpus in CORPORA.items() if corpus.parts}


def _to_download():
    """The corpora that are fetched by default."""
    return [n for n, corpus in _published().items() if corpus.offered and not corpus.how_to_get]


def place(name):
    """The corpus of a clip and its path in the data folder: tuple of str, or of None if unknown.

    Parameters
    ----------
    name : str
        The name of a file, as published or as laid out. It may have folders, which may show that it
        is a copy, or be part of the name, as in DC/a01.wav.

    Examples
    --------
    >>> place("03-01-05-02-01-02-12.wav")
    ('ravdess', 'training/Actor_12/03-01-05-02-01-02-12_angry.wav')
    >>> place("holiday.wav")
    (None, None)
    """
    file = PureWindowsPath(name)  # splits at both slashes
    if not _is_audio(file) or is_hidden(file):
        return None, None
    stem = COPY.sub("", file.stem)
    for corpus, info in _published().items():
        where = info.place(stem) or info.place(f"{file.parent.name}_{stem}")
        if where and not (info.copies and any(map(info.copies.search, file.parts[:-1]))):
            return corpus, where
    return None, None


def _is_audio(file):
    return file.suffix.lower() in AUDIO_SUFFIXES


def laid_out(data_dir):
    """The clips in the data folder, in any format: dict of str to Path.

    Keys are the paths where clips belong (see `place`), values those where they are, relative to
    the data folder.

    Parameters
    ----------
    data_dir : Path
    """
    folders = sorted({f for corpus in _published().values() for f in corpus.folders.values()})
    clips = (clip for folder in folders for clip in list_audio(data_dir / folder))
    laid = {place(clip.name)[1]: clip.relative_to(data_dir) for clip in clips}
    return {where: clip for where, clip in laid.items() if where}


def check_space(folder, n_bytes):
    """Check, before anything is written, that a disk has enough space.

    Parameters
    ----------
    folder : path
        A folder on that disk.
    n_bytes : int
        Needed bytes.

    Raises
    ------
    OSError
        If it has less.
    """
    free = shutil.disk_usage(folder).free
    if free < n_bytes:
        raise OSError(
            f"{folder} has {free / 1e6:,.0f} MB left, {n_bytes / 1e6:,.0f} MB are needed; free"
            " some space, or choose a folder on another disk with --data-dir"
        )


def _listed(part, *, verbose):
    """The clips of a part of a corpus, by its list of files."""
    answer = fetch_text(part.listing, LISTING_LIMIT, verbose=verbose)
    files = {}
    try:
        answer = json.loads(answer)
        for path, url, size, checksum in (_on_git if part.base else _on_dataverse)(part, answer):
            where = place(path)[1]
            if where and fnmatch.fnmatch(where, part.places):
                if not 0 < size <= CLIP_LIMIT:
                    raise ValueError("no clip has that size")
                files[where] = File(PureWindowsPath(path).name, url, size, checksum)
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise DownloadError(f"{part.listing}: not a list of files in the known form") from error
    return list(files.values())


def _on_dataverse(part, answer):
    """Yield path, URL, size and checksum of files (guides.dataverse.org/en/latest/api)."""
    access = f"{part.listing.partition('/datasets/')[0]}/access/datafile"
    for entry in answer["data"]["latestVersion"]["files"]:
        file = entry["dataFile"]
        url = f"{access}/{int(file['id'])}"
        yield file["filename"], url, int(file["filesize"]), f"md5:{file['md5']}"


def _on_git(part, answer):
    """Yield the same (docs.github.com/rest/git/trees); git's checksum includes a header."""
    if answer["truncated"]:
        raise ValueError("not all files are listed")
    for entry in answer["tree"]:
        if entry["type"] == "blob":
            url = part.base + quote(entry["path"])
            yield entry["path"], url, int(entry["size"]), f"git-sha1:{entry['sha']}"


def _check_archive(path, part):
    """Check an archive without a published checksum; if it is incomplete, delete it and raise."""
    # Its size is right (see `_is`), and its members have checksums. These find damage, not forgery,
    # so only clips with known names are read from it, with the limits for any audio.
    try:
        with _opened(path) as archive:
            for member in archive.infolist():
                _read(archive, member)
            n_clips = len({place(name)[1] for name in archive.namelist()} - {None})
        if n_clips != part.n_clips:
            raise ValueError(f"{n_clips} clips, not {part.n_clips}")
    except (ValueError, zipfile.BadZipFile) as error:
        path.unlink()
        raise DownloadError(
            f"{path.name} isn't the published file ({error}), and was deleted"
        ) from error


class _Bounded(io.BufferedReader):
    """A file with a limit for a single read: zipfile reads the whole list of members at once."""

    def read(self, size=-1):
        if size is not None and size > NAMES_LIMIT:
            raise zipfile.BadZipFile(f"{size:,} bytes are too many for a list of members")
        return super().read(size)


@contextmanager
def _opened(path):
    """Open a complete archive without dangerous members; raises ValueError for others."""
    with _Bounded(io.FileIO(path)) as file:
        try:
            archive = zipfile.ZipFile(file)
        except DAMAGED as error:
            raise ValueError(
                f"{path} isn't a complete zip archive ({error}); fetch it again"
            ) from error
        for member in archive.infolist():
            if danger := _danger(member):
                raise ValueError(f"{path}: its member {member.filename!r} is {danger}; refused")
        yield archive


def _found(path, stack, root=None):
    """List (name, function that reads it) of all files in a path; `stack` closes archives."""
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.is_file())
        return [clip for file in files for clip in _found(file, stack, path)]
    path.stat()  # raises where there is nothing
    if path.suffix.lower() != ".zip":
        name = path.relative_to(root) if root else path.name
        return [(str(name), partial(read_file, path, CLIP_LIMIT))]
    archive = stack.enter_context(_opened(path))
    return [(member.filename, partial(_read, archive, member)) for member in archive.infolist()]


def _danger(member):
    """What is dangerous about the name or kind of a member: str, or None."""
    name = PureWindowsPath(member.filename)  # splits at both slashes, and has drives
    if name.drive or name.root:
        return "absolute"
    if ".." in name.parts:
        return "outside of the archive"
    return "a link" if stat.S_ISLNK(member.external_attr >> 16) else None


def _read(archive, member):
    if member.file_size > CLIP_LIMIT:
        raise zipfile.BadZipFile(f"{member.file_size:,} bytes are too many for a clip")
    try:
        return archive.read(member)  # checks its checksum
    except DAMAGED as error:
        raise zipfile.BadZipFile(str(error) or "damaged") from error


def _check_length(clip):
    """Raise AudioError for a long recording: silence is tiny in FLAC, but would fill the disk."""
    blocks = stream_audio(clip, block_duration=LONGEST_CLIP, faults=(faults := {}))
    if len(list(islice(blocks, 2))) > 1:
        raise AudioError(f"longer than {LONGEST_CLIP:.0f} s, so not a clip of a corpus")
    if "truncated" in faults:
        raise AudioError(faults["truncated"])


def _check_clip(clip, corpus):
    """Raise AudioError if a file isn't a clip; cut off padding."""
    with clip.open("rb") as file:
        if file.read(len(POINTER)) == POINTER:
            raise AudioError("a Git LFS pointer, not a recording; run `git lfs pull` in the clone")
    _check_length(clip)
    if CORPORA[corpus].padded:
        y = np.concatenate(list(stream_audio(clip, faults={})))
        samples = np.clip(np.round(y * 2**15), -(2**15), 2**15 - 1)
        if not samples.any():
            raise AudioError("digital silence")
        sf.write(clip, np.trim_zeros(samples).astype(np.int16), SAMPLE_RATE, format="WAV")


def _parts(corpus, speech_only):
    parts = CORPORA[corpus].parts
    return [part for name, part in parts.items() if not (speech_only and name == "song")]


def _of(parts, places):
    return [where for part in parts for where in fnmatch.filter(places, part.places)]


def lay_out(source, corpora=None, *, speech_only=False, data_dir=None, verbose=1):
    """Convert the clips in an archive or a folder, and put them where `create_csv` finds them.

    No incomplete clip is left.

    Parameters
    ----------
    source : path
        A zip archive, a folder of clips and archives in any nesting, or a single clip.
    corpora : list of str, optional
        Keys of `corpora.CORPORA`; default all that are published.
    speech_only : bool
        Leave out the songs of RAVDESS.
    data_dir : path, optional
        Made if need be; default as in `corpora.find_data_dir`.
    verbose : int
        0 prints nothing and shows no progress bar.

    Returns
    -------
    dict of str to dict
        For each corpus with clips in `source`: "clips" in the data folder, "of" how many in the
        corpus, "new" ones, "misplaced" ones (in training/ instead of validation/, or the other way
        round), all int, and "failed", a dict of name to reason.

    Raises
    ------
    ValueError
        If there is no clip of these corpora in `source`, or an archive is damaged or dangerous.

    Warns
    -----
    UserWarning
        For recordings whose names don't belong to a corpus.
    """
    known = _published()
    names = [check_name(name, known, "corpus") for name in corpora or known]
    data_dir = _made(data_dir)
    with ExitStack() as stack:
        plans, others = _plan([Path(source).expanduser()], stack, names, speech_only)
        if not plans:
            raise ValueError(
                f"{source} has no clip of {', '.join(names)}; give a zip archive or a folder"
                " with clips under their published names (unpack other archives first)"
            )
        if others:
            named = ", ".join(map(printable, others[:NAMED])) + ", ..." * (len(others) > NAMED)
            warnings.warn(
                f"{len(others):,} recording(s) left out, as no corpus has such names: {named}",
                stacklevel=2,
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
    """Corpus to {where a clip belongs: [(name, function that reads it)]}, and other recordings."""
    plans, others = {}, []
    for name, read in (clip for path in paths for clip in _found(path, stack)):
        corpus, where = place(name)
        if corpus is None and _is_audio(PureWindowsPath(name)):
            others.append(name)
        if corpus in corpora and _of(_parts(corpus, speech_only), [where]):
            plans.setdefault(corpus, {}).setdefault(where, []).append((name, read))
    return plans, others


def _best_first(clip):
    """Sort key of the files for one clip: copies and lossy formats are tried last."""
    file = PureWindowsPath(clip[0])
    return bool(COPY.search(file.stem)), file.suffix.lower() == ".mp3"


def _write(corpus, plan, data_dir, speech_only, verbose):
    """Write the missing clips of a plan; return the report of `lay_out`."""
    laid, parts = laid_out(data_dir), _parts(corpus, speech_only)
    new = {where: clips for where, clips in plan.items() if where not in laid}
    check_space(data_dir, len(new) * CLIP_SIZE)
    failed, n_before = {}, len(laid)
    with temporary_folder() as folder:
        bar = Progress(new.items(), f"laying out {corpus}", unit="clip", disable=not verbose)
        for where, clips in bar:
            reasons = {}
            for name, read in sorted(clips, key=_best_first):  # until one isn't damaged
                copy = Path(folder, PureWindowsPath(name).name)
                try:
                    copy.write_bytes(read())
                    _check_clip(copy, corpus)
                    convert_audio(copy, data_dir / where)
                    laid[where] = Path(where)
                    break
                except UNREADABLE as error:
                    key = copy.name if copy.name not in failed else name
                    reasons[key] = str(error).removeprefix(f"{str(copy)!r}: ")
                finally:
                    copy.unlink(missing_ok=True)
            else:
                failed |= reasons
    here = _of(parts, laid)
    return {
        "clips": len(here),
        "of": sum(part.n_clips for part in parts),
        "new": len(laid) - n_before,
        "misplaced": sum(laid[where].parts[0] != Path(where).parts[0] for where in here),
        "failed": failed,
    }


def download(corpus, *, speech_only=False, data_dir=None, remove=False, verbose=1):
    """Fetch a corpus, verify it and lay it out; existing clips aren't fetched again.

    Parameters
    ----------
    corpus : str
        A key of `corpora.CORPORA`.
    remove : bool
        Delete the archives once the whole corpus is laid out.
    speech_only, data_dir, verbose
        See `lay_out`, also for the return value.

    Raises
    ------
    DownloadError
        If it can't be fetched completely. Incomplete files are kept for the next run.
    ValueError
        For a corpus that has to be obtained in another way.
    """
    info = CORPORA[check_name(corpus, _published(), "corpus")]
    if info.how_to_get:
        raise ValueError(f"{info.title} can't be downloaded here: {info.how_to_get}")
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
                " lay it out with --from"
            ) from error
        plan = _plan(paths, stack, [corpus], speech_only)[0].get(corpus, {})
        report = _write(corpus, plan, data_dir, speech_only, verbose)
    if remove and report["clips"] == report["of"]:
        shutil.rmtree(folder, ignore_errors=True)
    return {corpus: report}


def _fetch_missing(parts, data_dir, folder, verbose):
    """Fetch the parts of a corpus that have missing clips; return the files."""
    laid = laid_out(data_dir)
    lacking, n_bytes = [], 0
    for part in parts:
        n_missing = part.n_clips - len(_of([part], laid))
        if n_missing > 0:
            files = part.files or _listed(part, verbose=verbose)
            files = [file for file in files if place(file.name)[1] not in laid]
            lacking.append((part, files))
            n_bytes += n_missing * CLIP_SIZE
            for file in files:
                arrived = max(size_of(folder / file.name), size_of(folder / f"{file.name}.part"))
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
    text = f"{names}; default: {', '.join(_to_download())}; with --from, all that it has"
    add("corpora", nargs="*", metavar="CORPUS", help=text)
    add("--speech-only", action="store_true", help="leave out the songs of RAVDESS")
    text = "lay out the clips of this archive or folder, without downloading"
    add("--from", dest="source", metavar="FILE_OR_FOLDER", help=text)
    add("--data-dir", help="the data folder, made if need be")
    add("-r", "--remove", action="store_true", help="delete archives once they are laid out")
    add("--json", action="store_true", help="print the report as one JSON object")
    args = parser.parse_args(arguments)
    if args.source and args.remove:
        parser.error("--remove deletes downloads, and --from makes none: leave out one of them")
    options = {"speech_only": args.speech_only, "data_dir": args.data_dir, "verbose": not args.json}
    if args.source:
        jobs = [partial(lay_out, args.source, args.corpora, **options)]
    else:
        options["remove"] = args.remove
        jobs = [partial(download, name, **options) for name in args.corpora or _to_download()]
    reports, failures = {}, []
    for job in jobs:
        try:
            with warnings.catch_warnings(record=True) as caught:
                reports |= job()
        except (OSError, ValueError) as error:
            failures.append(f"download_data.py: {error}")
        for warning in caught:
            print(f"[!] {printable(warning.message)}", file=sys.stderr)
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
    print(f"[+] {corpus}: {there}, {new:,} of them new")
    if misplaced:
        elsewhere = "were there before, in training/ instead of validation/ or the other way round"
        advice = "delete them and run this again for the usual split"
        print(f"[!] {corpus}: {misplaced:,} clips {elsewhere}; {advice}")


__getattr__ = moved(
    __name__,
    {
        "corpus_records": "BOREALIS Corpus Part RAVDESS_EMOTIONS RAVDESS_TEST_ACTORS TESS_EMOTIONS "
        "TESS_TEST_WORDS TESS_VOICES ZENODO",
        "corpora": "describe",
        "create_csv": "CORPUS_GROUPS",
        "download": "BACKOFF BLOCK LONGEST_WAIT PASSING RETRIES TIMEOUT resume",
    },
)

if __name__ == "__main__":
    sys.exit(main())
