"""Recordings sent to the server: parsed within limits, decoded in another process, kept in memory.

for name, data in files_of("audio/wav", body, limits): ...
sound = decoded(name, data, limits)             # a source for audio.load_audio
"""

import json
import os
import re
import tempfile
import threading
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from audio import BLOCK_SAMPLES, AudioError, blocks_of, find_ffmpeg, stream_audio
from checks import temporary_folder
from gate import Refused
from parameters import SAMPLE_RATE
from processes import SHARED_MEMORY, Copies, limit_process

RAW = "audio/", "video/", "application/octet-stream"
"""Prefixes of the content types of a body that is one recording."""
PARAMETER = re.compile(r';\s*([\w-]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s";]*))')
HEAD = 4096  # bytes of the headers of a file in a form
OTHERS = 16  # fields of a form that aren't files, at most
LONGEST_NAME = 200  # characters
SECONDS, PATIENCE = 30, 60  # CPU time and wall time for decoding
MEMORY = 2**31  # bytes for decoding


@dataclass(frozen=True, eq=False)
class Sound:
    """A decoded recording, as a source for `audio.load_audio`.

    Attributes
    ----------
    name : str
    y : ndarray (n_samples, n_channels) float32 at 16 kHz
    faults : dict of str to str
        See `audio.load_audio`.
    """

    name: str
    y: np.ndarray
    faults: dict = field(default_factory=dict)

    def __str__(self):
        return self.name

    @property
    def duration(self):
        """Seconds: float."""
        return len(self.y) / SAMPLE_RATE

    def blocks(self):
        """Yield rate and samples; see `audio.blocks_of`."""
        size = max(1, BLOCK_SAMPLES // self.y.shape[1])
        for first in range(0, len(self.y), size):
            yield SAMPLE_RATE, self.y[first : first + size]

    def between(self, start=None, end=None):
        """Cut out a part: Sound.

        Parameters
        ----------
        start, end : float, optional
            Seconds.
        """
        place = slice(*(None if t is None else round(t * SAMPLE_RATE) for t in (start, end)))
        return replace(self, y=self.y[place])


def files_of(content_type, body, limits):
    """Take the body of a request apart: list of (name, bytes), never empty.

    Parameters
    ----------
    content_type : str
        The Content-Type header: a form, or one recording.
    body : bytes
    limits : Limits

    Raises
    ------
    Refused
        For another content type, a damaged form, no file, or too many.
    """
    kind = content_type.partition(";")[0].strip().lower()
    boundary = _parameters(content_type[:HEAD]).get("boundary")
    if kind.startswith(RAW):
        files = [("recording", body)] if body else []
    elif kind == "multipart/form-data" and boundary:
        files = [*_parts(b"--" + boundary.encode(errors="replace"), body, limits)]
    else:
        raise Refused(
            415,
            "wrong_type",
            f"Content-Type {kind} isn't supported; send a form with files "
            "(curl -F files=@clip.wav), or a recording with its type "
            "(curl --data-binary @clip.wav -H 'Content-Type: audio/wav').",
        )
    if not files:
        raise Refused(400, "no_files", "The form has no recording; send one in the field files.")
    return files


def _parts(mark, body, limits):
    """Yield name and bytes of each file of a form."""
    start, n_files = body.find(mark), 0
    for _ in range(limits.files + OTHERS):
        start += len(mark)
        end = body.find(b"\r\n" + mark, start)
        if start < len(mark) or body.startswith(b"--", start) or end < 0:
            return
        middle = body.find(b"\r\n\r\n", start, min(end, start + HEAD))
        if middle < 0:
            raise Refused(400, "wrong_form", "The form can't be read: a file without its headers.")
        field_name, name = _names(body[start:middle])
        if field_name == "files":
            n_files += 1
            if n_files > limits.files:
                break
            yield name or f"recording {n_files}", body[middle + 4 : end]
        start = end + 2
    many = f"More than {limits.files} files; send them in several requests."
    raise Refused(413, "too_many_files", many)


def _names(head):
    """The names of a field and of its file, from the headers of a part of a form."""
    for line in head.decode("utf-8", "replace").split("\r\n"):
        if line.lower().startswith("content-disposition:"):
            own = _parameters(line)
            name = "".join(filter(str.isprintable, own.get("filename", "")))
            return own.get("name"), name.strip()[:LONGEST_NAME]
    return None, ""


def _parameters(header):
    """The parameters of a header: dict of str to str. Forms have no other encodings (RFC 7578)."""
    found = PARAMETER.findall(header)
    return {key.lower(): re.sub(r"\\(.)", r"\1", quoted) or plain for key, quoted, plain in found}


# decoding, in processes with limits

OPUS = (
    "{ffmpeg} -nostdin -hide_banner -v error -threads 1 -fflags nobuffer -probesize 4096"
    " -analyzeduration 0 -format_whitelist matroska,webm,ogg -protocol_whitelist pipe -i pipe:0"
    " -map 0:a:0 -vn -map_metadata -1 -c:a pcm_f32le -ac 1 -ar {rate} -flush_packets 1"
    " -f f32le pipe:1"
)
OPUS_RATE = 48000  # Hz, the only rate of Opus
OPUS_SECONDS, OPUS_MEMORY = 600, 2**29  # CPU time and bytes for a live stream


def opus_command():
    """The command that decodes Opus in Ogg or WebM from stdin to stdout: list of str.

    Its output is mono, 32-bit floats at `OPUS_RATE`.
    """
    names = {"ffmpeg": find_ffmpeg("a stream of Opus"), "rate": OPUS_RATE}
    return [part.format(**names) for part in OPUS.split()]


def limit_other(pid):
    """Limit the CPU time and memory of a process that decodes a live stream, where possible.

    Parameters
    ----------
    pid : int
    """
    with suppress(ImportError, AttributeError, ProcessLookupError):
        import resource

        for kind, most in (("CPU", OPUS_SECONDS), ("AS", OPUS_MEMORY)):
            resource.prlimit(pid, getattr(resource, f"RLIMIT_{kind}"), (most, most))


def decoded(name, data, limits, mono=True, abandoned=bool):
    """Decode a recording in another process: Sound.

    Parameters
    ----------
    name : str
    data : bytes
    limits : Limits
    mono : bool, default True
        Mix the channels.
    abandoned : callable, optional
        Returns whether the client no longer waits: bool.

    Raises
    ------
    AudioError
        If it can't be read.
    Refused
        If it is too long, or has too many channels.
    processes.Abandoned
        If the client no longer waits.
    """
    if not hasattr(_own, "copies"):
        _own.copies = Copies("uploads:decode")
    asked = {"name": name, "mono": mono, "seconds": limits.seconds, "channels": limits.channels}
    request = b"\n".join([json.dumps(asked).encode(), data])
    answer, said = _own.copies.ask(request, PATIENCE, abandoned)
    if said:
        raise AudioError(f"{name!r}: can't be decoded in {SECONDS} s and {MEMORY / 2**30:g} GB")
    line, _, samples = answer.partition(b"\n")
    found = json.loads(line)
    if "refused" in found:
        raise Refused(413, *found["refused"])
    if "error" in found:
        raise AudioError(found["error"])
    y = np.frombuffer(samples, np.float32).reshape(-1, found["channels"])
    return Sound(name, y, found["faults"])


_own = threading.local()  # a process for each thread that decodes


def decode(request):
    """Decode a recording in this process, which can't be used again afterwards: bytes.

    Parameters
    ----------
    request : bytes
        Name and limits in a line of JSON, followed by the recording.
    """
    limit_process(SECONDS, MEMORY)
    if os.access(SHARED_MEMORY, os.W_OK):  # messages of ffmpeg stay in memory, too
        tempfile.tempdir = str(SHARED_MEMORY)
    line, _, data = request.partition(b"\n")
    asked = json.loads(line)
    faults, pieces, n_samples = {}, [], 0
    try:
        for y in stream_audio(_Upload(asked["name"], data), mono=asked["mono"], faults=faults):
            n_samples += len(y)
            pieces.append(y.reshape(len(y), -1))
            if n_samples > asked["seconds"] * SAMPLE_RATE:
                long = f"{asked['name']} is longer than {asked['seconds']:g} s; send a part."
                return _line(refused=("too_long", long))
            if pieces[0].shape[1] > asked["channels"]:
                many = f"{asked['name']} has {pieces[0].shape[1]} channels; mix them."
                return _line(refused=("too_many_channels", many))
    except AudioError as error:
        return _line(error=str(error))
    return b"".join([_line(faults=faults, channels=pieces[0].shape[1]), *map(np.ravel, pieces)])


def _line(**found):
    return json.dumps(found).encode() + b"\n"


class _Upload:
    """A recording in memory, as a source for `audio.load_audio`; str is its name."""

    def __init__(self, name, data):
        self.name, self.data = name, data

    def __str__(self):
        return self.name

    def blocks(self):
        if not hasattr(os, "memfd_create"):
            with temporary_folder() as folder:
                Path(folder, "audio").write_bytes(self.data)
                yield from blocks_of(Path(folder, "audio"))
            return
        with os.fdopen(os.memfd_create("upload"), "wb") as file:
            file.write(self.data)
            file.flush()
            yield from blocks_of(f"/proc/{os.getpid()}/fd/{file.fileno()}")
