"""Downloads by HTTP: resumed, verified, limited in size, rate and time.

Servers may be slow, broken or hostile. Never more bytes are read than the file should have, a file
counts as complete only by its checksum or size, and no redirection from TLS to plain HTTP is
followed.
"""

import hashlib
import sys
import threading
import time
from concurrent import futures
from functools import partial
from urllib.parse import urljoin

import requests
import urllib3

from progress import Progress

RETRIES = 5  # failures in a row that are tolerated
BACKOFF, LONGEST_WAIT = 1.0, 60.0  # seconds to wait after the first failure, doubled each time
TIMEOUT = 30  # seconds without a byte
SLOWEST = 10_000  # bytes per second; a slower connection is closed after TIMEOUT
GRACE = 600  # seconds for a file beyond those that it takes at SLOWEST
PASSING = frozenset({408, 429, 500, 502, 503, 504})  # HTTP errors that are worth another attempt
BLOCK = 2**16  # bytes


class DownloadError(OSError):
    """A file that couldn't be downloaded completely."""


def resume(file, part, *, session, bar, retries=RETRIES):
    """Download a file by HTTP, resuming an earlier attempt.

    Never more bytes are read than the file should have; a rate below `SLOWEST` is a failure.

    Parameters
    ----------
    file : File
    part : Path
        The part downloaded so far; it is kept on failure.
    session : requests.Session
    bar : Progress
        Counts bytes.
    retries : int
        Failures in a row that are tolerated.

    Raises
    ------
    DownloadError
        If it can't be downloaded, or has another size on the server.
    """
    n_before = bar.n
    other = DownloadError(
        f"{file.url}: the file on the server doesn't have the expected {file.size:,} bytes"
    )

    def receive():
        """Append the rest to `part`, or write it from the start if the server can't resume."""
        start = size_of(part)
        headers = {"Range": f"bytes={start}-"} if start else {}
        with _answer(session, file.url, headers) as response:
            sent = response.headers.get("Content-Range", "")
            if sent == f"bytes */{start}" and start == file.size:  # `part` was complete
                return
            if response.status_code == 416 or (sent and not sent.startswith(f"bytes {start}-")):
                part.unlink(missing_ok=True)
                raise requests.ConnectionError("the earlier part doesn't fit; start again")
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
        if size_of(part) != file.size:
            raise requests.ConnectionError("cut short")

    limits = {"seconds": GRACE + file.size / SLOWEST, "retries": retries}
    _persist(receive, file.url, lambda: size_of(part), **limits, verbose=not bar.disable)


def size_of(path):
    """Size of a file in bytes: int, 0 if it doesn't exist.

    Parameters
    ----------
    path : Path
    """
    return path.stat().st_size if path.exists() else 0


class _Session(requests.Session):
    """A session that follows no redirection: requests would follow one to plain HTTP, too."""

    def resolve_redirects(self, *args, **kwargs):
        return iter(())


def _answer(session, url, headers=None):
    """Send a request and read the headers of its answer, after redirections: requests.Response."""
    headers = {"Accept-Encoding": "identity", **(headers or {})}  # sizes are those of the file
    ask = partial(session.get, headers=headers, stream=True, timeout=TIMEOUT)
    for _ in range(5):
        response = _within(2 * TIMEOUT, partial(ask, url))
        if not response.is_redirect:
            return response
        response.close()
        there = urljoin(url, response.headers["Location"])
        if url.startswith("https:") and not there.startswith("https:"):
            raise DownloadError(f"{url}: redirects to {there}, which isn't encrypted; refused")
        url = there
    raise DownloadError(f"{url}: too many redirections")


def _within(seconds, function):
    """Call a function in a thread; raise requests.Timeout, and abandon it, after some seconds."""
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
    """Yield bytes as they arrive; raise `_TooSlow` if they arrive too slowly."""
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
    """Call `attempt`, and again after temporary failures, for at most some seconds."""
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
                Progress.write(
                    f"[!] {_reason(error)}; trying again in {wait:.0f} s", file=sys.stderr
                )
            time.sleep(wait)


def _reason(error):
    """A short reason in place of the nested exceptions that requests quotes."""
    if error.response is not None:
        return f"the server answers {error.response.status_code} {error.response.reason}"
    if isinstance(error, requests.exceptions.ProxyError):
        return "the proxy refuses the connection"
    if isinstance(error, _TooSlow):
        return f"slower than {SLOWEST / 1000:.0f} kB/s"
    if isinstance(error, requests.Timeout):
        return f"no answer for {TIMEOUT} s"
    return "connection failed or broke off"


def fetch(files, folder, *, verbose=1):
    """Download the files that a folder lacks, and verify all: list of Path.

    Parameters
    ----------
    files : list of File
    folder : Path
        Made if need be. An incomplete file is kept there as NAME.part.
    verbose : int
        0 shows no progress bar.

    Raises
    ------
    DownloadError
        If a file can't be downloaded, or has a wrong checksum twice.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / file.name for file in files]
    missing = [pair for pair in zip(files, paths, strict=True) if not _is(pair[1], pair[0])]
    n_bytes = sum(file.size for file, _ in missing)
    look = {"unit": "B", "unit_scale": True, "leave": False, "disable": not verbose}
    with _Session() as session, Progress(None, f"fetching to {folder}", n_bytes, **look) as bar:
        for file, path in missing:
            part = path.with_name(f"{path.name}.part")
            for _ in range(2):
                _receive(file, part, session, bar)
                if _is(part, file):
                    part.replace(path)  # only a complete file gets this name
                    break
                part.unlink()
            else:
                raise DownloadError(f"{file.url}: wrong checksum, twice; removed. Try again later")
    return paths


def _receive(file, part, session, bar):
    """`resume`; if TLS fails, by plain HTTP, for files that are published so."""
    arrived = size_of(part)
    try:
        resume(file, part, session=session, bar=bar, retries=0 if file.plain else RETRIES)
    except DownloadError as error:
        unreachable = isinstance(error.__cause__, requests.ConnectionError)
        if not (file.plain and unreachable and size_of(part) == arrived):
            raise
        file = file._replace(url=file.url.replace("https:", "http:", 1))
        if not bar.disable:
            Progress.write(f"[!] {_reason(error.__cause__)}; trying {file.url}", file=sys.stderr)
        resume(file, part, session=session, bar=bar)


def _is(path, file):
    """Whether a path holds a file with the right size and, if known, the right checksum."""
    if size_of(path) != file.size or not path.exists():
        return False
    algorithm, _, checksum = (file.checksum or ":").partition(":")
    if not algorithm:
        return True
    digest = hashlib.new(algorithm.removeprefix("git-"))
    if algorithm.startswith("git-"):
        digest.update(b"blob %d\0" % file.size)
    with path.open("rb") as opened:
        while block := opened.read(2**20):
            digest.update(block)
    return digest.hexdigest() == checksum.lower()


def fetch_text(url, limit, *, verbose=1):
    """Download a list or another short text: bytes.

    Parameters
    ----------
    url : str
    limit : int
        Bytes; a longer text is an error.
    verbose : int
        0 doesn't report temporary failures.

    Raises
    ------
    DownloadError
        If it can't be downloaded, or is longer than `limit`.
    """

    def ask():
        with _Session() as session, _answer(session, url) as response:
            response.raise_for_status()
            text = bytearray()
            for block in _blocks(response):
                text += block
                if len(text) > limit:
                    raise DownloadError(f"{url}: a list of more than {limit:,} bytes")
            return bytes(text)

    return _persist(ask, url, seconds=GRACE, verbose=verbose)
