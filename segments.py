"""Segments: parts of recordings, wherever a recording is wanted.

    from segments import Segment
    load_audio(Segment("session.wav", 12.5, 14.0)), rec.predict(Segment("session.wav", 12.5, 14.0))

The samples of a segment are those that a file with nothing else would have, so its features are the
same. A recording in a format that can't be sought is decoded once for all of its segments.
"""

import re
from dataclasses import dataclass

from audio import SOURCE_ERRORS, AudioError, blocks_of, load_audio, seeks
from parameters import SAMPLE_RATE

SPAN = re.compile(r" \(\S+ s to (\S+ s|its end)\)$")
"""How the name of a segment ends, after the path."""

ROUNDED = 0.1
"""Seconds by which a segment may end after its recording: annotations are rounded."""


@dataclass(frozen=True)
class Segment:
    """A part of a recording.

    Parameters
    ----------
    path : str
        Of a file.
    start, end : float
        Seconds; default from the beginning, to the end.
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
            If the recording ends before.
        """
        first, after = self.frames(rate)
        if first >= n_frames or (self._ends() and after > n_frames + ROUNDED * rate):
            raise AudioError(
                f"the recording has {n_frames / rate:.3f} s only; start and end are in seconds"
            )
        return first, min(after, n_frames)

    def blocks(self):
        """Decode it: generator as `audio.blocks_of`."""
        if seeks(self.path):
            yield from blocks_of(self.path, self.within)
        else:
            for _, held in _cut(blocks_of(self.path), [(0, self)]):
                yield from held


@dataclass(frozen=True)
class _Held:
    """A segment that is decoded already."""

    segment: Segment
    decoded: object  # a list or a generator

    def __str__(self):
        return str(self.segment)

    def blocks(self):
        return self.decoded


def load_each(sources, sr=SAMPLE_RATE, *, orig_sr=None, min_duration=0.1):
    """Load sounds one by one, and decode no recording twice for its segments.

    Parameters
    ----------
    sources : list
        See `audio.load_audio`; segments, too.
    sr, orig_sr, min_duration : float
        See `audio.load_audio`.

    Yields
    ------
    i : int
        The place of a source in the list. What is at hand comes first.
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
    """Put sources into groups, each for one process: list of list of int, their places.

    Parameters
    ----------
    sources : list
        Segments of a recording that has to be decoded from its beginning stay together.
    size : int, default 1
        Of a group of others.
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
    except SOURCE_ERRORS as error:  # AudioError, too; what is left has it
        for i, segment in missing.items():
            yield i, _Held(segment, _raising(error))


def _raising(error):
    raise error
    yield


def _cut(blocks, segments):
    """Yield (number, blocks) of numbered segments as soon as each ends, in one pass.

    What is after the last of them isn't decoded.
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
    """Yield the blocks of a segment that lasted until the recording's end."""
    segment.within(n_frames, rate)
    yield from held
