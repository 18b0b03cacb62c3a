"""The API of the server: it takes recordings and answers with the JSON of the command lines.

    app = make_app(load_recognizer(), Settings(token="secret"))     # a FastAPI application

It needs the packages of requirements-serve.txt. `serve.py` runs it.
"""

import asyncio
import copy
import json
import mimetypes
import secrets
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from functools import partial
from html import escape
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Literal

import numpy as np
import soxr
from fastapi import FastAPI, Query, Request, WebSocket, WebSocketDisconnect
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, HTMLResponse, RedirectResponse, Response
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel, Field, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from adaptation import NoSpeech
from audio import AudioError
from batch import recognise_recording
from checks import check_name
from commands import COMMANDS
from formats import FORMATS
from gate import Counts, Gate, Places, Refused, Settings
from live import Live
from parameters import SAMPLE_RATE
from processes import Abandoned
from results import predicted
from uploads import OPUS_RATE, decoded, files_of, limit_other, opus_command

PAGE = Path(__file__).parent / "page"
TYPES = {".js": "text/javascript", ".mjs": "text/javascript", ".css": "text/css"}
TYPES |= {".svg": "image/svg+xml", ".webmanifest": "application/manifest+json"}
TYPES |= {".json": "application/json"}
TYPES |= {".woff2": "font/woff2", ".png": "image/png", ".html": "text/html"}
TEXTS = {
    "application/x-subrip": "srt",
    "text/vtt": "vtt",
    "text/csv": "csv",
    "text/x-textgrid": "textgrid",
}
"""Content types of timelines (in the Accept header) to formats."""
DEFAULTS = {"report": True, "rank": None, "form": "json", "adapt": [], "vad": True, "set": None}
DEFAULTS |= {"segments": None, "reference": None, "emotion": None, "abstain": None}
"""Options of command lines that requests don't have; see `commands`."""
IDLE = 30.0  # seconds for which a live client may send nothing, or read nothing
CHUNK = 2**16  # bytes of samples that are read from a decoder at a time


# options


class Choices(BaseModel, extra="forbid"):
    """Options of all requests."""

    emotions: str | None = Field(None, description="choose among these, comma-separated")
    recognizer: str | None = Field(None, description="an adapted one, of /v1/adapt")

    def args(self, rec):
        """The options in the form of command lines: SimpleNamespace."""
        chosen = self.emotions and [name.strip() for name in self.emotions.split(",")]
        for name in chosen or ():
            check_name(name, rec.emotions or (), "emotion")
        return SimpleNamespace(**DEFAULTS | self.model_dump() | {"emotions": chosen or None})


class Predicting(Choices):
    """Options of predict."""

    abstain: float | None = Field(None, ge=0, le=1, description="lower probabilities give unsure")
    set: float | None = Field(None, ge=0, le=1, description="coverage of a set of emotions to add")


class Lasting(Choices):
    """Options of timeline."""

    window: float = Field(3.0, le=60, description="seconds of speech for each row")
    hop: float = Field(1.0, ge=0.1, description="seconds from row to row")
    smooth: int = Field(1, ge=1, le=1000, description="number of rows to average")
    channels: Literal["mix", "split"] = Field("mix", description="split: one for each channel")


class Explaining(Choices):
    """Options of explain."""

    emotion: str | None = Field(None, description="default: the predicted one")
    start: float | None = Field(None, ge=0, description="seconds; explain from here")
    end: float | None = Field(None, gt=0, description="seconds; explain up to here")


class Adapting(Choices):
    """Options of adapt."""

    labels: str | None = Field(None, description="the emotion of all recordings, such as neutral")


class Listening(Choices):
    """Options of the live stream."""

    rate: int = Field(SAMPLE_RATE, ge=8000, le=192000)
    encoding: Literal["pcm_s16le", "opus"] = "pcm_s16le"
    hop: float = Field(0.5, ge=0.1, le=3)
    abstain: float | None = Field(None, ge=0, le=1)


class Adapted:
    """Adapted recognizers, kept for some time, at most so many: the oldest is dropped."""

    def __init__(self, settings):
        self._n, self._lifetime, self._kept = settings.n_adapted, settings.lifetime, {}

    def __len__(self):
        now = time.monotonic()
        self._kept = {key: own for key, own in self._kept.items() if own[1] > now}
        return len(self._kept)

    def keep(self, rec, key=None):
        """Keep a recognizer: str, its random id."""
        while len(self) >= self._n:
            del self._kept[next(iter(self._kept))]
        key = key or secrets.token_urlsafe(16)
        self._kept[key] = rec, time.monotonic() + self._lifetime
        return key

    def get(self, key, keep=True):
        """The recognizer of an id; `keep` restarts its lifetime."""
        if not len(self) or key not in self._kept:
            unknown = "There is no such recognizer, or it has expired; adapt again."
            raise Refused(404, "unknown_recognizer", unknown)
        rec, _ = self._kept.pop(key)
        if keep:
            self.keep(rec, key)
        return rec


# the API


class Api:
    """The endpoints, for one trained recognizer.

    Parameters
    ----------
    rec : trained recognizer
    settings : Settings
    """

    def __init__(self, rec, settings):
        self.rec, self.settings, self.limits = copy.copy(rec), settings, settings.limits
        self.rec.n_jobs, self.rec.verbose = 1, 0  # nothing is parallel inside a request
        self.places = Places(settings.n_jobs + settings.n_waiting, "requests", 1)
        self.memory = Places(settings.bytes, "bytes", 5)
        self.live = Places(settings.n_live, "live streams", 10)
        self.adapted, self.counts = Adapted(settings), Counts()
        self.pool = ThreadPoolExecutor(settings.n_jobs, "recognise")

    def recognizer(self, choices):
        """The recognizer that a request asks for: the adapted one, or the server's."""
        return self.adapted.get(choices.recognizer) if choices.recognizer else self.rec

    # requests and answers

    async def answer(self, request, work, mono=True):
        """Run `work(sounds, abandoned)` in a thread for the recordings of a request.

        It takes a place from the first byte until the thread has ended, even if the client leaves.
        """
        self.places.take()
        task, body, abandoned = None, bytearray(), threading.Event()

        def free(task=None):
            self.places.free()
            self.memory.free(len(body))
            if task is not None:
                task.exception()  # marks it as retrieved

        try:
            await _within(self.limits.patience, self._receive(request, body))
            kind = request.headers.get("content-type", "")
            do = partial(self._work, kind, body, work, mono, abandoned.is_set)
            task = asyncio.get_running_loop().run_in_executor(self.pool, do)
            gone = asyncio.ensure_future(_gone(request))
            ends = {"timeout": self.limits.patience, "return_when": asyncio.FIRST_COMPLETED}
            await asyncio.wait([task, gone], **ends)
            if gone.done() and not task.done():
                raise ClientDisconnect
            gone.cancel()
            if not task.done():
                raise Refused(503, "too_slow", "This takes too long; send less at a time.")
            return task.result()
        finally:
            abandoned.set()
            if task is None or task.done() or task.cancel():
                free()
            else:
                task.add_done_callback(free)

    async def _receive(self, request, body):
        """Receive the body of a request, within its limit."""
        if request.headers.get("content-encoding", "identity") != "identity":
            raise Refused(415, "wrong_encoding", "Send the recording as it is, without encoding.")
        most = self.limits.bytes
        large = f"More than {most:,} bytes; send a part of the recording, or an MP3 of it."
        declared = request.headers.get("content-length", "")
        if declared.isdigit() and int(declared) > most:
            raise Refused(413, "too_large", large)
        async for data in request.stream():
            if len(body) + len(data) > most:
                raise Refused(413, "too_large", large)
            self.memory.take(len(data))
            body += data

    def _work(self, kind, body, work, mono, abandoned):
        """Decode files, and call `work` with the recordings or their AudioErrors, in a thread."""
        sounds = []
        for name, data in files_of(kind, body, self.limits):
            try:
                sounds.append((name, decoded(name, data, self.limits, mono, abandoned)))
            except AudioError as error:
                sounds.append((name, error))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return work(sounds, abandoned)

    async def documents(self, request, choices, one, **how):
        """The results of `one(rec, name, sound)` for all recordings, in the form of --json."""
        rec = self.recognizer(choices)
        adapted = rec.adaptation_ and str(rec.adaptation_)

        def work(sounds, abandoned):
            watched, documents, n_failed = _watched(rec, abandoned), [], 0
            for name, sound in sounds:
                try:
                    if isinstance(sound, AudioError):
                        raise sound
                    found = [*one(watched, name, sound)]
                except AudioError as error:
                    found, n_failed = [{"path": name, "error": str(error)}], n_failed + 1
                documents.extend(document | {"adapted": adapted} for document in found)
            if n_failed == len(sounds):
                raise AudioError(documents[0]["error"])
            return documents

        return await self.answer(request, work, **how)

    # recordings

    async def predict(self, request: Request, choices: Annotated[Predicting, Query()]):
        """Recognise the emotion of each recording."""
        args = choices.args(self.rec)
        emotions = args.emotions or self.rec.emotions or None
        how = {"emotions": emotions, "abstain": args.abstain, "coverage": args.set}

        def one(rec, name, sound):
            found = recognise_recording(rec.predictor_, sound, **how)
            yield predicted(rec, name, found, args).document

        return _json(await self.documents(request, choices, one))

    async def timeline(self, request: Request, choices: Annotated[Lasting, Query()]):
        """Predict emotion over time; Accept may ask for SRT, WebVTT, CSV or TextGrid."""
        args, form, tables = choices.args(self.rec), _form(request.headers.get("accept", "")), []

        def one(rec, name, sound):
            for result in COMMANDS["timeline"].results(rec, name, sound, args):
                tables.append(result.table)
                yield result.document

        mono = choices.channels == "mix"
        documents = await self.documents(request, choices, one, mono=mono)
        if form is None:
            return _json(documents)
        if len(tables) != 1:
            alone = "Subtitles and tables hold one recording and channel; ask for JSON."
            raise Refused(406, "one_only", alone)
        return Response(FORMATS[TEXTS[form]].to_text(tables[0]), media_type=form)

    async def explain(self, request: Request, choices: Annotated[Explaining, Query()]):
        """Explain how much features and seconds contribute to an emotion."""
        args, most = choices.args(self.rec), self.limits.explained

        def one(rec, name, sound):
            part = sound.between(choices.start, choices.end)
            if part.duration > most:
                long = f"{name} has {part.duration:.0f} s, the limit is {most:g} s: give start and "
                raise Refused(413, "too_long", f"{long}end.")
            for result in COMMANDS["explain"].results(rec, name, part, args):
                yield result.document

        return _json(await self.documents(request, choices, one))

    async def adapt(self, request: Request, choices: Annotated[Adapting, Query()]):
        """Adapt to the speaker of some recordings; the answer has the id for other requests."""
        rec = self.rec
        choices.args(rec)

        def work(sounds, _):
            usable = [sound for _, sound in sounds if not isinstance(sound, AudioError)]
            if not usable:
                raise sounds[0][1]
            seconds = round(sum(sound.duration for sound in usable), 3)
            return rec.adapt(usable, choices.labels), seconds

        own, seconds = await self.answer(request, work)
        known = {"recognizer": self.adapted.keep(own), "expires_in": self.settings.lifetime}
        return _json(known | {"clips": own.adaptation_.n_used, "seconds": seconds})

    async def forget(self, key: str):
        """Forget an adapted recognizer."""
        self.adapted.get(key, keep=False)
        return Response(status_code=204)

    # the server

    async def models(self):
        """Describe the model: its emotions and scores."""
        rec = self.rec
        own = {"name": rec.name, "emotions": rec.emotions, "targets": rec.targets}
        card = {"protocol": rec.protocol_, "score": rec.score_, "text": rec.card()}
        return _json([own | {"default": True, "adapted": False, "card": card}])

    async def bounds(self):
        """List the limits of requests."""
        known = {name: getattr(self.limits, name) for name in ("seconds", "bytes", "files")}
        return _json(known | {"token": self.settings.token is not None})

    async def health(self):
        """Check that the server is running."""
        return _json({"status": "ok"})

    async def metrics(self):
        """Metrics for Prometheus."""
        gauges = {"requests_now": self.places.n_taken, "live_now": self.live.n_taken}
        text = self.counts.text(**gauges, adapted_now=len(self.adapted))
        return Response(text, media_type="text/plain; version=0.0.4")

    # live

    async def listen(self, socket: WebSocket):
        """Receive samples; send levels, windows and utterances as JSON."""
        offered = socket.scope.get("subprotocols") or [None]
        await socket.accept(offered[0])
        try:
            self.live.take()
            try:
                await self._listen(socket)
            finally:
                self.live.free()
        except WebSocketDisconnect:
            return
        except (Refused, ValidationError, ValueError) as error:
            code, message = getattr(error, "code", "wrong_option"), str(error)
            if isinstance(error, ValidationError):
                message = _in_words(error)
            with suppress(Exception):
                await _send(socket, {"type": "error", "code": code, "message": message})
        with suppress(Exception):  # the client may not read it
            await _within(IDLE, socket.close())

    async def _listen(self, socket):
        query = {key: value for key, value in socket.query_params.items() if key != "token"}
        choices = Listening(**query)
        args, rec = choices.args(self.rec), self.recognizer(choices)
        live = Live(rec, hop=choices.hop, emotions=args.emotions, abstain=choices.abstain)
        opus = choices.encoding == "opus"
        rate = OPUS_RATE if opus else choices.rate
        resampler = soxr.ResampleStream(rate, SAMPLE_RATE, 1) if rate != SAMPLE_RATE else None

        def heard(y, last=False):
            y = resampler.resample_chunk(y, last=last) if resampler else y
            return live.push(y) + (live.finish() if last else [])

        async def tell(y, last=False):
            run = asyncio.get_running_loop().run_in_executor
            for event in await run(self.pool, heard, y, last):
                event.pop("y", None)
                await _send(socket, event)

        async for y in (_of_opus if opus else _of_pcm)(_received(socket)):
            await tell(y)
        await tell(np.empty(0, np.float32), last=True)


def _watched(rec, abandoned):
    """A recognizer that raises `Abandoned` in the next window if the client no longer waits."""
    rec, plain = copy.copy(rec), rec.predictor_
    rec.predictor_ = copy.copy(plain)

    def features(y):
        if abandoned():
            raise Abandoned
        return plain.features(y)

    object.__setattr__(rec.predictor_, "features", features)  # its class is frozen
    return rec


async def _within(seconds, awaitable):
    try:
        return await asyncio.wait_for(awaitable, seconds)
    except asyncio.TimeoutError:  # in Python 3.10 not yet TimeoutError
        slow = f"This took more than {seconds:g} s; send it faster, or send less."
        raise Refused(408, "too_slow", slow) from None


async def _gone(request):
    """Wait until the client of a request, whose body was read, has disconnected."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _send(socket, event):
    await _within(IDLE, socket.send_text(json.dumps(event)))


async def _received(socket):
    """Yield the binary messages of a live client, until it sends the end."""
    while True:
        try:
            message = await _within(IDLE, socket.receive())
        except Refused:
            raise Refused(408, "idle", f"No samples for {IDLE:g} s; start a new stream.") from None
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code") or 1006)
        if message.get("bytes") is None:
            return
        yield message["bytes"]


async def _of_pcm(messages):
    """Yield the samples of messages in 16-bit PCM; messages may split a sample."""
    rest = b""
    async for data in messages:
        data = rest + data
        n_whole = len(data) - len(data) % 2
        rest = data[n_whole:]
        yield np.frombuffer(data[:n_whole], "<i2").astype(np.float32) / 2**15


async def _of_opus(messages):
    """Yield the samples of a stream of Opus, decoded by a process with limits."""
    pipes = {"stdin": asyncio.subprocess.PIPE, "stdout": asyncio.subprocess.PIPE}
    pipes["stderr"] = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(*opus_command(), **pipes)
    limit_other(process.pid)

    async def feed():
        try:
            async for data in messages:
                process.stdin.write(data)
                await process.stdin.drain()
        finally:  # ffmpeg also ends if the client disconnects or sends nothing
            process.stdin.close()

    feeding, rest, n_bytes = asyncio.ensure_future(feed()), b"", 0
    try:
        while data := await process.stdout.read(CHUNK):
            n_bytes += len(data)
            data = rest + data
            n_whole = len(data) - len(data) % 4
            rest = data[n_whole:]
            yield np.frombuffer(data[:n_whole], "<f4")
        await asyncio.wait([feeding], timeout=1)
        if feeding.done() and isinstance(feeding.exception(), (Refused, WebSocketDisconnect)):
            raise feeding.exception()
        if not feeding.done() or feeding.exception() or not n_bytes:
            raise Refused(422, "unreadable", "This isn't a stream of Opus in WebM or Ogg.")
    finally:
        feeding.cancel()
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def _form(accept):
    """The first content type of `TEXTS` in an Accept header; None for JSON."""
    kinds = [kind.partition(";")[0].strip().lower() for kind in accept.split(",")]
    first = next((kind for kind in kinds if kind in (*TEXTS, "application/json", "*/*")), None)
    return first if first in TEXTS else None


# answers


def _json(found):
    return Response(f"{json.dumps(found, indent=1)}\n", media_type="application/json")


def _in_words(error):
    """Describe the first error of pydantic about options: str."""
    first = error.errors()[0]
    name = first["loc"][-1] if first["loc"] else "it"
    return f"Option {name}: {first['msg']}; /docs has all options."


ERRORS = {
    Refused: lambda error: error,
    AudioError: lambda error: Refused(422, "unreadable", str(error)),
    NoSpeech: lambda error: Refused(422, "no_speech", str(error)),
    ValueError: lambda error: Refused(400, "wrong_option", str(error)),
    RequestValidationError: lambda error: Refused(400, "wrong_option", _in_words(error)),
    ClientDisconnect: lambda error: Refused(499, "gone", "The client has disconnected."),
    Abandoned: lambda error: Refused(499, "gone", "The client has disconnected."),
    HTTPException: lambda error: Refused(
        error.status_code, "wrong_address", f"{error.detail}; /docs has all addresses."
    ),
}
"""Exceptions to functions that turn them into the error for the client."""


# the application


ROUTES = (
    ("POST", "/v1/predict", "predict"),
    ("POST", "/v1/timeline", "timeline"),
    ("POST", "/v1/explain", "explain"),
    ("POST", "/v1/adapt", "adapt"),
    ("DELETE", "/v1/adapt/{key}", "forget"),
    ("GET", "/v1/models", "models"),
    ("GET", "/v1/limits", "bounds"),
    ("GET", "/healthz", "health"),
    ("GET", "/metrics", "metrics"),
)
"""Method, path, and the method of `Api` that answers."""

ABOUT = """Send one or more recordings in the field `files` of a form, or one as the body with its
content type. Answers are those of the command lines with --json; errors are
{"error": {"code": ..., "message": ...}}. If the server has a token, send it in the header
Authorization: Bearer TOKEN. Live: WebSocket /v1/listen?rate=16000&encoding=pcm_s16le (or opus, in
WebM or Ogg); send samples as binary messages, receive JSON of type level, window, utterance or
error. Send the text {"type": "end"} to get the rest."""

SHARES = {"angry": 0.07, "happy": 0.85, "neutral": 0.08}
EXAMPLES = {
    "/v1/predict": [
        {
            "path": "clip.wav",
            "emotion": "happy",
            "confidence": 0.85,
            "probabilities": SHARES,
            "novelty": 0.62,
            "warnings": {"short": "0.4 s of speech; a second or more is recognised better"},
            "adapted": "one speaker by 5 recordings: 1 prediction changed",
        }
    ],
    "/v1/timeline": [
        {
            "path": "call.wav",
            "duration": 12.3,
            "warnings": {},
            "rows": [{"start": 0.4, "end": 1.0, "emotion": "happy", "confidence": 0.85} | SHARES],
            "adapted": "one speaker by 5 recordings: 1 prediction changed",
        }
    ],
    "/v1/explain": [
        {
            "path": "clip.wav",
            "emotion": "happy",
            "unit": "log-odds of happy",
            "predicted": 1.73,
            "average": -2.08,
            "duration": 1.1,
            "method": "features: ...; seconds: ...",
            "warnings": {},
            "effects": [
                {"kind": "features", "name": "prosody", "effect": 0.8},
                {"kind": "seconds", "name": "0.00 to 0.27 s", "start": 0, "end": 0.27, "effect": 1},
            ],
            "adapted": "one speaker by 5 recordings: 1 prediction changed",
        }
    ],
    "/v1/adapt": {"recognizer": "D1djdZBlRAIV", "expires_in": 3600, "clips": 5, "seconds": 21.5},
    "/v1/limits": {"seconds": 600, "bytes": 67108864, "files": 16, "token": False},
    "/healthz": {"status": "ok"},
}
"""Examples in /docs; a test compares their keys with answers."""

CSS = """body{font:16px/1.5 system-ui,sans-serif;max-width:50em;margin:2em auto;padding:0 1em;
color-scheme:light dark}pre{overflow:auto;padding:.7em;border:1px solid;border-radius:.4em}
td{padding:0 1em 0 0;vertical-align:top}"""


def _described(path):
    """OpenAPI fields of an endpoint that FastAPI can't know: its body, an example answer."""
    found = {}
    if path in ("/v1/predict", "/v1/timeline", "/v1/explain", "/v1/adapt"):
        binary = {"type": "string", "format": "binary"}
        files = {"type": "object", "properties": {"files": {"type": "array", "items": binary}}}
        content = {"multipart/form-data": {"schema": files}, "audio/*": {"schema": binary}}
        found["requestBody"] = {"required": True, "content": content}
    if path in EXAMPLES:
        content = {"application/json": {"example": EXAMPLES[path]}}
        found["responses"] = {"200": {"description": "as in the example", "content": content}}
    return found


def _docs(schema):
    """Make a page of an OpenAPI schema: str of HTML, which loads nothing from elsewhere."""
    parts = [f"<h1>{escape(schema['info']['title'])}</h1><p>{escape(ABOUT)}</p>"]
    parts.append('<p><a href="/openapi.json">openapi.json</a></p>')
    for path, method, facts in (
        (path, method, facts)
        for path, own in schema["paths"].items()
        for method, facts in own.items()
    ):
        parts.append(
            f"<h2>{method.upper()} {escape(path)}</h2><p>{escape(facts['description'])}</p>"
        )
        files = " -F files=@clip.wav" * ("requestBody" in facts)
        verb = "" if files or method == "get" else f" -X {method.upper()}"
        parts.append(f"<pre>curl{verb}{files} http://127.0.0.1:8000{escape(path)}</pre><table>")
        for own in facts.get("parameters", ()):
            about = own["schema"].get("description", own.get("description", ""))
            parts.append(f"<tr><td><code>{escape(own['name'])}</code><td>{escape(about)}</tr>")
        example = EXAMPLES.get(path)
        text = f"<pre>{escape(json.dumps(example, indent=1))}</pre>" if example else ""
        parts.append(f"</table>{text}")
    head = '<meta charset="utf-8"><meta name="viewport" content="width=device-width">'
    head += '<title>API</title><link rel="stylesheet" href="/docs.css">'
    return f'<!doctype html><html lang="en"><head>{head}</head><body>{"".join(parts)}</body></html>'


def make_app(rec, settings=None):
    """Make the application of a server, behind its `Gate`: ASGI application.

    Parameters
    ----------
    rec : trained recognizer
    settings : Settings, optional
    """
    api = Api(rec, settings or Settings())

    @asynccontextmanager
    async def lifespan(app):
        yield
        api.pool.shutdown(wait=False, cancel_futures=True)

    about = {"title": "Speech emotion recognition", "description": ABOUT, "version": "1"}
    app = FastAPI(docs_url=None, redoc_url=None, lifespan=lifespan, **about)
    for method, path, call in ROUTES:
        how = {"methods": [method], "response_model": None, "openapi_extra": _described(path)}
        app.add_api_route(path, getattr(api, call), **how)
    app.add_api_websocket_route("/v1/listen", api.listen)
    for kind, told in ERRORS.items():
        app.add_exception_handler(kind, partial(_refused, told))
    plain = {"methods": ["GET"], "include_in_schema": False}
    app.add_api_route("/docs", lambda: HTMLResponse(_docs(app.openapi())), **plain)
    app.add_api_route("/docs.css", lambda: Response(CSS, media_type="text/css"), **plain)
    for ending, kind in TYPES.items():  # the system's table may lack or change them
        mimetypes.add_type(kind, ending)
    if PAGE.is_dir():
        app.add_api_route("/", lambda: FileResponse(PAGE / "index.html"), **plain)
        app.mount("/page", StaticFiles(directory=PAGE))
    else:
        app.add_api_route("/", lambda: RedirectResponse("/docs"), **plain)
    return Gate(app, api.settings, api.counts)


async def _refused(told, _, error):
    """The answer to a request that raised one of `ERRORS`."""
    error = told(error)
    return Response(error.body, error.status, error.all_headers)
