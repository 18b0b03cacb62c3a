"""Access control of the server: limits, host names, tokens, concurrent requests, statistics.

    app = Gate(app, settings, counts)       # around any ASGI application

It knows nothing of audio or models.
"""

import asyncio
import json
import secrets
import sys
import time
import traceback
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qs, urlsplit

BUCKETS = 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 120.0  # seconds
LINGER = 2.0  # seconds for which the body of a refused request is still read
OPEN = "/", "/docs", "/docs.css", "/openapi.json", "/healthz", "/v1/limits"
"""Paths that need no token: the answers are the same for everybody."""
METHODS = "GET", "HEAD", "POST", "DELETE", "OPTIONS"
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "connect-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; worker-src 'self'; "
    "manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "microphone=(self), camera=(), geolocation=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}
"""Headers of all answers: pages load nothing from elsewhere, other sites' pages read nothing."""


class Limits(NamedTuple):
    """Limits of one request."""

    seconds: float = 600.0  # of a recording
    bytes: int = 64 * 2**20  # of all files together
    files: int = 16
    channels: int = 8  # of a recording, each predicted by itself
    explained: float = 30.0  # seconds that one explanation covers
    patience: float = 120.0  # seconds to receive the body, and again to answer


class Refused(Exception):
    """A refused request: the HTTP status, a code for programs, a message that says what to do."""

    def __init__(self, status, code, message, **headers):
        super().__init__(message)
        self.status, self.code, self.headers = status, code, headers

    @property
    def body(self):
        """The error as JSON: bytes."""
        return json.dumps({"error": {"code": self.code, "message": str(self)}}).encode()

    @property
    def all_headers(self):
        """Headers of the answer: dict of str to str."""
        own = {name.replace("_", "-"): text for name, text in self.headers.items()}
        return own | {"content-type": "application/json", "content-length": str(len(self.body))}


@dataclass(frozen=True)
class Settings:
    """Settings of a server: access, concurrency, lifetimes."""

    limits: Limits = field(default_factory=Limits)
    token: str | None = None
    hosts: tuple = ("localhost", "127.0.0.1", "[::1]")  # accepted values of the Host header
    n_jobs: int = 2  # requests computed at the same time
    n_waiting: int = 32  # more requests that may wait
    bytes: int = 2**29  # of all bodies in memory at the same time
    n_live: int = 8  # live streams at the same time
    n_adapted: int = 16  # adapted recognizers kept
    lifetime: float = 3600.0  # seconds that one is kept after its latest use


class Places:
    """A limited number of places, such as for requests at the same time; more are refused.

    Parameters
    ----------
    n : int
        Number of places.
    what : str
        What takes them, for the message.
    retry : int
        Seconds after which to try again.
    """

    def __init__(self, n, what, retry):
        self.n, self.n_taken, self.what, self.retry = n, 0, what, str(retry)

    def take(self, n=1):
        """Take `n` places, or raise `Refused` (429)."""
        if self.n_taken + n > self.n:
            busy = f"The server has {self.n:,} {self.what} already; try again later."
            raise Refused(429, "busy", busy, retry_after=self.retry)
        self.n_taken += n

    def free(self, n=1):
        """Give `n` places back."""
        self.n_taken -= n


class Counts:
    """Numbers of requests and their durations, by route and status, for Prometheus."""

    def __init__(self):
        self._requests, self._seconds, self._within = Counter(), Counter(), Counter()

    def add(self, method, route, status, seconds):
        """Count a request."""
        self._requests[method, route, status] += 1
        self._seconds[route] += seconds
        for most in (*BUCKETS, float("inf")):
            self._within[route, most] += seconds <= most

    def text(self, **gauges):
        """All counts, and gauges given by name, in the text format of Prometheus: str."""
        lines = ["# TYPE ser_requests_total counter"]
        for (method, route, status), n in self._requests.items():
            named = f'method="{method}",route="{route}",status="{status}"'
            lines.append(f"ser_requests_total{{{named}}} {n}")
        lines.append("# TYPE ser_request_seconds histogram")
        for (route, most), n in self._within.items():
            most = "+Inf" if most == float("inf") else most
            lines.append(f'ser_request_seconds_bucket{{route="{route}",le="{most}"}} {n}')
        for route, seconds in self._seconds.items():
            n = self._within[route, float("inf")]
            lines.append(f'ser_request_seconds_sum{{route="{route}"}} {seconds:.6f}')
            lines.append(f'ser_request_seconds_count{{route="{route}"}} {n}')
        for name, n in gauges.items():
            lines += [f"# TYPE ser_{name} gauge", f"ser_{name} {n}"]
        return "\n".join([*lines, ""])


class Gate:
    """ASGI middleware that checks, counts and logs requests.

    The log has the method, route, status and time of a request, and nothing of its content.

    Parameters
    ----------
    app : ASGI application
    settings : Settings
    counts : Counts
    """

    def __init__(self, app, settings, counts):
        self.app, self.settings, self.counts = app, settings, counts

    async def __call__(self, scope, receive, send):
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        started, status, fault, ended = time.monotonic(), 0, "", False

        async def take():
            nonlocal ended
            message = await receive()
            ended = message["type"] != "http.request" or not message.get("more_body", False)
            return message

        async def answer(message):
            nonlocal status
            if message["type"] == "http.response.start":
                status, headers = message["status"], dict(message["headers"])
                own = ((name.lower().encode(), text.encode()) for name, text in HEADERS.items())
                headers = dict(own) | headers
                if status >= 400 and not ended and not await self._drained(take):
                    headers[b"connection"] = b"close"
                message = message | {"headers": [*headers.items()]}
            elif message["type"] == "websocket.accept":
                status = 101
            await send(message)

        try:
            if error := self.refusal(scope):
                status = 403
                await refuse(error, scope, answer)
            else:
                await self.app(scope, take, answer)
        except Exception as error:  # its message may quote the request, so it isn't logged
            place = traceback.extract_tb(error.__traceback__)[-1]
            fault = f" {type(error).__name__} in {Path(place.filename).name}:{place.lineno}"
            if not status:
                told = "The server has failed; its log says where."
                await refuse(Refused(500, "fault", told), scope, answer)
        seconds, route = time.monotonic() - started, getattr(scope.get("route"), "path", "-")
        method = scope.get("method", "WS")
        method = method if method in (*METHODS, "WS") else "-"
        self.counts.add(method, route, status, seconds)
        line = f"{method} {route} {status} {1000 * seconds:.0f} ms{fault}"
        print(line, file=sys.stderr, flush=True)

    async def _drained(self, take):
        """Whether the body of a refused request ends soon: a client that still sends can't read."""
        n_left, until = self.settings.limits.bytes, time.monotonic() + LINGER
        with suppress(asyncio.TimeoutError):
            while n_left > 0 and (patience := until - time.monotonic()) > 0:
                message = await asyncio.wait_for(take(), patience)
                if not message.get("more_body", False):
                    return True
                n_left -= len(message["body"])
        return False

    def refusal(self, scope):
        """Why a request is refused: Refused, or None if it is let in.

        Parameters
        ----------
        scope : dict of ASGI
        """
        pairs = scope["headers"]
        headers = {name.decode("latin-1"): text.decode("latin-1") for name, text in pairs}
        host = headers.get("host", "")
        if _name(host) not in self.settings.hosts:
            own = f"This server isn't {host[:100]!r}; start it with --host-name for other names."
            return Refused(421, "wrong_host", own)
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc.lower() != host.lower():
            return Refused(403, "wrong_origin", "Pages of other sites may not use this server.")
        is_open = scope["path"] in OPEN or scope["path"].startswith("/page/")
        if self.settings.token is None or is_open:
            return None
        if not any(map(self._is_token, _tokens(scope, headers))):
            told = "Send the token of this server: Authorization: Bearer TOKEN."
            return Refused(401, "no_token", told, www_authenticate="Bearer")
        return None

    def _is_token(self, given):
        return secrets.compare_digest(given.encode(), self.settings.token.encode())


def _name(host):
    """The name in a Host header, without the port."""
    name, colon, port = host.rpartition(":")
    return (name if colon and port.isdigit() else host).lower()


def _tokens(scope, headers):
    """Yield the tokens that a request gives."""
    kind, _, token = headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer":
        yield token.strip()
    if scope["type"] == "websocket":  # a page can't set its headers
        query = scope["query_string"].decode("latin-1")
        yield from parse_qs(query, max_num_fields=20).get("token", ())
        for protocol in scope.get("subprotocols", ()):
            yield protocol.removeprefix("bearer.")


async def refuse(error, scope, send):
    """Answer a request with an error.

    Parameters
    ----------
    error : Refused
    scope, send
        Of ASGI.
    """
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008, "reason": error.code})
        return
    pairs = [(name.encode(), text.encode()) for name, text in error.all_headers.items()]
    await send({"type": "http.response.start", "status": error.status, "headers": pairs})
    await send({"type": "http.response.body", "body": error.body})
