"""Where the samples of an audio file end by its own headers, to find truncated files.

Headers are read, nothing is decoded. It is needed because libsndfile accepts files that are shorter
than they declare, and ffmpeg reads whatever there is.
"""

import os
import re
import struct

# Magic number: offset of the first chunk, its header, the id of the samples, its alignment.
CHUNKED = {
    b"RIFF": (12, "<4sI", b"data", 2),
    b"RF64": (12, "<4sI", b"data", 2),
    b"RIFX": (12, ">4sI", b"data", 2),
    b"FORM": (12, ">4sI", b"SSND", 2),
    b"riff": (40, "<16sQ", b"data\xf3\xac\xd3\x11\x8c\xd1\0\xc0\x4f\x8e\xdb\x8a", 8),  # Wave64
    b"caff": (8, ">4sq", b"data", 1),
}
UNKNOWN_SIZE = 0x7FFFF000
"""Bytes. Programs that write to a pipe declare this or more (or 0): they don't know the length."""

OGG_PAGE = 65_307
"""Bytes of the longest page of an Ogg file."""


def declared_end(file):
    """Where the samples end by a file's headers: int, bytes from its beginning.

    0 for a format that isn't known here, None if the headers don't say, as in a stream.

    Parameters
    ----------
    file : binary file object
        At its beginning, seekable.
    """
    magic = file.read(4)
    if magic == b".snd":  # AU: offset and size of the samples
        return _end(*struct.unpack(">II", file.read(8).ljust(8, b"\0")))
    if magic == b"OggS":
        return _last_page_end(file)
    if magic not in CHUNKED:
        return 0
    if magic == b"RIFF":
        n_bytes, form = struct.unpack("<I4s", file.read(8).ljust(8, b"\0"))
        if form == b"AVI ":
            return _end(8, n_bytes)
    position, header, samples_id, align = CHUNKED[magic]
    long_size = 0  # RF64 keeps the size of its samples in a chunk of its own
    for _ in range(1000):  # chunks; a file of zeros would have millions
        file.seek(position)
        head = file.read(struct.calcsize(header))
        if len(head) < struct.calcsize(header):
            return 0
        chunk_id, n_bytes = struct.unpack(header, head)
        start = position + len(head)
        n_bytes -= len(head) if magic == b"riff" else 0  # it counts its header
        if chunk_id == samples_id:
            return start + long_size if long_size else _end(start, n_bytes)
        if chunk_id == b"ds64":
            long_size = struct.unpack("<8xQ", file.read(16).ljust(16, b"\0"))[0]
        position = start + max(0, n_bytes) + -n_bytes % align
    return 0


def _last_page_end(file):
    """Return where the last page of an Ogg ends by its own header (RFC 3533, 6)."""
    first = max(0, file.seek(0, os.SEEK_END) - OGG_PAGE)
    file.seek(first)
    tail = file.read(OGG_PAGE)
    page = tail[max(0, tail.rfind(b"OggS")) :]
    n_head = 27 + page[26] if len(page) > 26 else 27
    return first + len(tail) - len(page) + n_head + sum(page[27:n_head])


def _end(start, n_bytes):
    return start + n_bytes if 0 < n_bytes < UNKNOWN_SIZE else None


def has_xing_tag(file):
    """Whether an MP3 declares its length: bool.

    Encoders store the number of frames in the first frame, after the ID3v2 tag; bit 0 of the flags
    says that it is there (http://gabriel.mp3-tech.org/mp3infotag.html).

    Parameters
    ----------
    file : binary file object
        At its beginning.
    """
    magic, *digits = struct.unpack("3s3x4B", file.read(10).ljust(10))
    n_tag = 10 + sum(d << 7 * (3 - i) for i, d in enumerate(digits))
    file.seek(n_tag if magic == b"ID3" else 0)
    tag = re.search(rb"(?:Xing|Info)...(.)", file.read(2048), re.DOTALL)
    return bool(tag and tag[1][0] & 1)
