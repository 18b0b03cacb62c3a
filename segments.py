"""Segments: parts of recordings, accepted wherever a recording is.

    from segments import Segment
    load_audio(Segment("session.wav", 12.5, 14.0)), rec.predict(Segment("session.wav", 12.5, 14.0))

A segment gives the same samples, and so the same features, as a file with that part only. A
recording in a format without seeking is decoded once for all of its segments.
"""

import re
from dataclasses import dataclass

from audio import SOURCE_ERRORS, AudioError, blocks_of, load_audio, seeks
from parameters import SAMPLE_RATE

SPAN = re.compile(r" \(\S+ s to (\S+ s|its end)\)$")
"""The end of a segment's name, after the path."""

ROUNDED = 0.1
"""Seconds by which a segment may exceed its recording, because annotations are rounded."""


@dataclass(frozen=True)
class Segment:
    """A part of a recording.

    Parameters
    ----------
    path : str
        A file of audio.
    start, end : float
        Seconds; default: the beginning and the end of the recording.
    """

    path: str
    start: float = 0.0
    end: float = float("inf")

    def __str__(self):
        return (
            f"{self.path} ({self.start:g} s to {f'{self.end:g} s' if self._ends() else 'its end'})"
        )

    def _ends(self):
        return self.end < float("inf")

    def frames(self, rate):
        """The first frame, and the one after the last: (int, int), the latter inf at the end.

        Parameters
        ----------
        rate : float
            Hz, of the recording.
        """
        return round(self.start * rate), round(self.end * rate) if self._ends() else self.end

    def within(self, n_frames, rate):
        """The first frame, and the one after the last, in a recording of this length: (int, int).

        Parameters
        ----------
        n_frames, rate : int

        Raises
        ------
        AudioError
            If the recording ends earlier.
        """
        first, after = self.frames(rate)
        if first >= n_frames or (self._ends() and after > n_frames + ROUNDED * rate):
            raise AudioError(
                f"the recording has only {n_frames / rate:.3f} s; start and end are in seconds"
            )
        return first, min(after, n_frames)

    def blocks(self):
        """Decode the segment: generator of (rate, frames), as of `audio.blocks_of`."""
        if seeks(self.path):
            yield from blocks_of(self.path, self.within)
        else:
            for _, held in _cut(blocks_of(self.path), [(0, self)]):
                yield from held


@dataclass(frozen=True)
class _Held:
    """A segment that has been decoded."""

    segment: Segment
    decoded: object  # a list or a generator

    def __str__(self):
        return str(self.segment)

    def blocks(self):
        return self.decoded


def load_each(sources, sr=SAMPLE_RATE, *, orig_sr=None, min_duration=0.1):
    """Load sources one by one, decoding each recording only once for its segments.

    Parameters
    ----------
    sources : list
        See `audio.load_audio`; may include segments.
    sr, orig_sr, min_duration : float
        See `audio.load_audio`.

    Yields
    ------
    i : int
        Index of a source in the list. The order is that in which sources are decoded.
    y : ndarray (n_samples,) or AudioError
        What `load_audio` returns or raises.
    """
    for group in grouped(sources):
        if len(group) == 1:
            found = [(group[0], sources[group[0]])]
        else:
            found = _decoded_once({i: sources[i] for i in group})
        for i, source in found:
            try:
                y = load_audio(source, sr, orig_sr=orig_sr, min_duration=min_duration)
            except AudioError as error:
                y = error
            yield i, y


def grouped(sources, size=1):
    """Group sources, one group for each task of a process: list of lists of indices.

    Parameters
    ----------
    sources : list
        Segments of a recording that has to be decoded from its beginning are one group.
    size : int, default 1
        Sources in each of the other groups.
    """
    alone, together, sought = [], {}, {}
    for i, source in enumerate(sources):
        path = source.path if isinstance(source, Segment) else None
        if path is not None and path not in sought:
            sought[path] = seeks(path)
        (alone if path is None or sought[path] else together.setdefault(path, [])).append(i)
    return [alone[i : i + size] for i in range(0, len(alone), size)] + [*together.values()]


def _decoded_once(segments):
    """Yield (number, _Held) of numbered segments of one recording, in one pass over it."""
    missing = dict(segments)
    (path,) = {segment.path for segment in segments.values()}
    try:
        for i, held in _cut(blocks_of(path), segments.items()):
            yield i, _Held(missing.pop(i), held)
    except SOURCE_ERRORS as error:  # AudioError, too; it applies to all segments that are left
        for i, segment in missing.items():
            yield i, _Held(segment, _raising(error))


def _raising(error):
    raise error
    yield


def _cut(blocks, segments):
    """Yield (number, blocks) of numbered segments as soon as each ends, in one pass.

    The recording isn't decoded beyond the last segment.
    """
    waiting = sorted(segments, key=lambda own: own[1].start, reverse=True)
    begun, position, rate = {}, 0, SAMPLE_RATE
    for rate, frames in blocks:
        after = position + len(frames)
        while waiting and waiting[-1][1].frames(rate)[0] < after:
            i, segment = waiting.pop()
            begun[i] = segment, []
        for i, (segment, held) in list(begun.items()):
            first, last = segment.frames(rate)
            own = slice(max(0, first - position), min(last, after) - position)
            held.append((rate, frames[own].copy()))  # a view would keep the whole block
            if last <= after:
                del begun[i]
                yield i, held
        if not waiting and not begun:
            return
        position = after
    for i, (segment, held) in [*begun.items(), *((i, (own, [])) for i, own in waiting)]:
        yield i, _ended(segment, held, position, rate)


def _ended(segment, held, n_frames, rate):
    """Yield the blocks of a segment that ends with the recording."""
    segment.within(n_frames, rate)
    yield from held
