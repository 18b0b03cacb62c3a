"""Convert any audio to 16 kHz mono 16-bit WAV: a file, or a folder with its structure.

    python convert_wavs.py talk.m4a talk.wav
    python convert_wavs.py recordings/ wavs/
    python convert_wavs.py recordings/ wavs/ --remove     # delete each source once it is converted
    python convert_wavs.py recordings/ wavs/ --force      # replace existing targets
    python convert_wavs.py recordings/ wavs/ --rename     # a.flac, a.mp3: a.wav, a.2.wav
    python convert_wavs.py recordings/ recordings/ --jobs 4 --json
    python convert_wavs.py -- -odd-name.mp3 wavs/

Targets that are already converted are skipped, so an interrupted run continues where it stopped.
The exit code is 0 only if nothing failed.
"""

if __name__ == "__main__":  # Ctrl-C prints one line, also during the imports
    from checks import end_at_interrupt

    end_at_interrupt("convert_wavs.py")

import json
import os
import sys
import wave
import zlib
from collections import Counter, defaultdict
from itertools import count
from pathlib import Path

import joblib
import numpy as np

from audio import AudioError, stream_audio
from checks import complain, guarded, make_parser, open_file, replacing
from parameters import SAMPLE_RATE
from progress import Progress

_SUFFIXES = (
    "3gp aac ac3 aif aifc aiff amr ape au avi caf dsf flac flv m4a m4b mka mkv mov mp2 mp3 "
    "mp4 mpc mpeg mpg oga ogg opus rf64 snd spx tta voc w64 wav wave webm wma wmv wv"
)
AUDIO_SUFFIXES = frozenset(f".{name}" for name in _SUFFIXES.split())
"""Suffixes of files in folders that are converted. A single file is tried whatever its name."""

WAV_PARAMS = (1, 2, SAMPLE_RATE)  # channels, bytes per sample, Hz


def convert_audio(audio_path, target_path, remove=False, *, force=False):
    """Convert one recording to a 16 kHz mono 16-bit WAV.

    It is written under a temporary name, read back, then renamed: the target is never incomplete.

    Parameters
    ----------
    audio_path : path
        A recording in any format that `audio.load_audio` reads, of any length.
    target_path : path
        The WAV to write; missing folders are made.
    remove : bool
        Delete the source once its target is written and read back. Default False.
    force : bool
        Replace an existing target. A source that is its own target is then converted in place, and
        never removed. Default False.

    Returns
    -------
    bool
        False if the target is already a 16 kHz mono 16-bit WAV; neither file is changed then.

    Raises
    ------
    AudioError
        If the source holds no usable audio.
    FileExistsError
        If the target is another kind of file, and `force` is False.
    OSError
        If the target can't be written, or reads back differently.

    Examples
    --------
    >>> import tempfile
    >>> target = Path(tempfile.mkdtemp(), "happy.wav")
    >>> [convert_audio("data/test-custom/v21_s6_happy.wav", target) for _ in range(2)]
    [True, False]
    """
    source, target = Path(audio_path), Path(target_path)
    in_place = target.exists() and target.samefile(source)
    if os.path.lexists(target):
        if _is_converted(target) and (in_place or not force):
            return False
        if not force:
            raise FileExistsError(
                f"{str(target)!r} exists and isn't a 16 kHz mono 16-bit WAV;"
                " choose another target, or replace it with --force (force=True)"
            )
    with replacing(target) as temporary:
        if _write(source, temporary) != _checksum(temporary):
            raise OSError(f"{str(target)!r} reads back differently; check the disk")
    if remove and not in_place:
        source.unlink()
    return True


def convert_audios(
    path, target_path, remove=False, *, force=False, rename=False, n_jobs=-1, verbose=1
):
    """Convert a folder (or a file) to 16 kHz mono 16-bit WAVs, keeping its structure.

    Parameters
    ----------
    path : path
        A folder, searched recursively for `AUDIO_SUFFIXES` (links to folders aren't followed), or
        a single file.
    target_path : path
        The folder to write to; it may lie in `path`, or be it. For a single file: a folder that
        exists or ends in a slash, or the name of the WAV.
    remove, force : bool
        See `convert_audio`.
    rename : bool
        Number the targets of sources that differ only in their endings: a.wav, a.2.wav, in the
        order of their names. Default False: such sources fail.
    n_jobs : int
        Files converted at a time, as joblib counts them: -1 (default) is one per core.
    verbose : int
        0 shows no progress bar. Default 1.

    Returns
    -------
    dict
        ``{"converted": int, "skipped": {"already converted": int, "not audio": int},
        "failed": {path: reason}}``. A file that fails doesn't stop the others.

    Raises
    ------
    FileNotFoundError
        If `path` doesn't exist.
    NotADirectoryError
        If `path` is a folder and `target_path` a file.
    """
    jobs, n_others = _plan(Path(path), os.fspath(target_path))
    jobs, clashes = _without_clashes(jobs, force, rename)
    parallel = joblib.Parallel(n_jobs, prefer="threads", return_as="generator_unordered")
    results = parallel(joblib.delayed(_outcome)(*job, remove, force) for job in jobs)
    bar = Progress(results, "converting", len(jobs), unit="file", disable=not verbose)
    outcomes = dict(sorted(bar))
    counts = Counter(outcomes.values())
    return {
        "converted": counts[True],
        "skipped": {"already converted": counts[False], "not audio": n_others},
        "failed": clashes | {path: why for path, why in outcomes.items() if isinstance(why, str)},
    }


def _outcome(source, target, remove, force):
    """Return the path, and True, False (see `convert_audio`) or why it failed."""
    try:
        return str(source), convert_audio(source, target, remove, force=force)
    except (AudioError, OSError) as error:
        return str(source), str(error)


def _plan(source, target):
    """List (source, target) pairs, sorted, and count the files that aren't audio."""
    folder = Path(target)
    if not source.is_dir():
        source.stat()  # raises where there is nothing
        if target.endswith(("/", os.sep)) or folder.is_dir():
            return [(source, folder / _wav_name(source).name)], 0
        return [(source, Path(target if target.lower().endswith(".wav") else target + ".wav"))], 0
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"{target!r} is a file; the target of a folder must be a folder")
    if folder.exists() and folder.samefile(source):
        folder = source
    files = list(_files(source, folder))
    sources = sorted(file for file in files if _is_audio(file))
    jobs = [(file, folder / _wav_name(file.relative_to(source))) for file in sources]
    return jobs, len(files) - len(jobs)


def _wav_name(path):
    return path if path.suffix.lower() == ".wav" else path.with_suffix(".wav")


def _files(source, target):
    """Yield the files below a folder, but for those below `target`."""
    for folder, subfolders, names in os.walk(source, onerror=_raise):
        subfolders[:] = [s for s in subfolders if Path(folder, s).resolve() != target.resolve()]
        yield from (Path(folder, name) for name in names)


def _raise(error):
    raise error


def _is_audio(path):
    """Whether a file is audio by its name; not `._a.wav`, which macOS puts beside a.wav."""
    return path.suffix.lower() in AUDIO_SUFFIXES and not path.name.startswith("._")


def _without_clashes(jobs, force, rename):
    """The jobs with unique targets, and the reasons against the others: list, dict by path.

    A WAV converted in place earlier isn't a source.
    """
    sources, own, clashes = defaultdict(list), {}, {}
    for source, target in jobs:
        if force or source != target or not _is_converted(target):
            sources[target].append(source)
    for target, several in sources.items():
        several.sort(
            key=lambda source: source != target
        )  # a file converted in place keeps its name
        for n, source in enumerate(several[1:], 2) if rename else ():
            numbers = (target.with_suffix(f".{i}{target.suffix}") for i in count(n))
            own[source] = next(path for path in numbers if path not in {*sources, *own.values()})
        for source in several if several[1:] and not rename else ():
            others = ", ".join(repr(str(other)) for other in several if other != source)
            clashes[str(source)] = (
                f"its target {str(target)!r} is that of {others}, too; number them with --rename"
                " (rename=True), or rename one"
            )
    jobs = [(source, own.get(source, target)) for source, target in jobs]
    return [job for job in jobs if str(job[0]) not in clashes], clashes


def _is_converted(path):
    try:
        with open_file(path) as file, wave.open(file) as wav:
            return wav.getparams()[:3] == WAV_PARAMS
    except (wave.Error, EOFError, OSError):
        return False


def _write(source, target):
    """Convert block by block; return the checksum of the samples."""
    checksum = 0
    with target.open("wb") as file, wave.open(file, "wb") as wav:
        wav.setparams((*WAV_PARAMS, 0, "NONE", None))
        faults = {}
        for y in stream_audio(source, SAMPLE_RATE, faults=faults):
            # 2**15, as in reading: a 16-bit recording at 16 kHz stays identical bit by bit
            samples = np.clip(np.rint(y * 2**15), -(2**15), 2**15 - 1).astype(np.int16).tobytes()
            wav.writeframesraw(samples)
            checksum = zlib.crc32(samples, checksum)
    if "truncated" in faults:  # an incomplete recording mustn't pass for a copy
        raise AudioError(f"{str(source)!r}: {faults['truncated']}")
    return checksum


def _checksum(path):
    checksum = 0
    with open_file(path) as file, wave.open(file) as wav:
        while samples := wav.readframes(2**20):
            checksum = zlib.crc32(samples, checksum)
    return checksum


def main(arguments=None):
    """Run the command line; return the exit code: 0 if nothing failed.

    Parameters
    ----------
    arguments : list of str, optional
        In place of those of the process.
    """
    return guarded("convert_wavs.py", _run, arguments)


def _run(arguments):
    parser = make_parser("convert_wavs.py", __doc__)
    parser.add_argument("source", metavar="SOURCE", help="a folder, or a file")
    parser.add_argument("target", metavar="TARGET", help="the folder, or the WAV, to write")
    parser.add_argument("-r", "--remove", action="store_true", help="delete converted sources")
    parser.add_argument("-f", "--force", action="store_true", help="replace existing targets")
    number = "number targets of the same name: a.flac, a.mp3 become a.wav, a.2.wav"
    parser.add_argument("--rename", action="store_true", help=number)
    jobs = "files at a time (-1: one per core)"
    parser.add_argument("-j", "--jobs", type=int, default=-1, help=jobs)
    parser.add_argument("--json", action="store_true", help="print the report as one JSON object")
    options = parser.parse_args(arguments)
    how = {"force": options.force, "rename": options.rename, "n_jobs": options.jobs}
    report = convert_audios(options.source, options.target, options.remove, **how)
    n_skipped = sum(report["skipped"].values())
    why = ", ".join(f"{n} {reason}" for reason, n in report["skipped"].items())
    n_failed = len(report["failed"])
    summary = f"{report['converted']} converted, {n_skipped} skipped ({why}), {n_failed} failed"
    print(json.dumps(report) if options.json else summary)
    for path, reason in report["failed"].items():
        line = reason if repr(path) in reason else f"{path!r}: {reason}"
        complain("failed", line)
    return 1 if report["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
