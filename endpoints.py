"""The API of the server: recordings in, what the command lines print as JSON out.

    app = make_app(load_recognizer(), Settings(token="secret"))     # a FastAPI application

Needs the packages of requirements-serve.txt. See `serve.py` for people.
"""

import asyncio
import json
import secrets
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Literal

import numpy as np
import soxr
from fastapi import FastAPI, Query, Request, WebSocket, WebSocketDisconnect
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from adaptation import NoSpeech
from audio import AudioError
from batch import recognise_recording
from checks import check_name
from commands import COMMANDS
from formats import FORMATS
from live import Live
from parameters import SAMPLE_RATE
from processes import Abandoned
from results import predicted
from uploads import Limits, Refused, decoded, files_of

PAGE = Path(__file__).parent / "page"
TEXTS = {
    "application/x-subrip": "srt",
    "text/vtt": "vtt",
    "text/csv": "csv",
    "text/x-textgrid": "textgrid",
}
"""Content types that a timeline may be asked for in, by Accept, to formats."""
DEFAULTS = {"report": True, "rank": None, "form": "json", "adapt": [], "vad": True, "set": None}
DEFAULTS |= {"segments": None, "reference": None, "emotion": None, "abstain": None}
DEFAULTS |= {"window": 3.0, "hop": 1.0, "smooth": 1, "channels": "mix"}
"""The options of command lines that a request doesn't give; see `commands`."""
PERIOD = 30.0  # seconds that a live client may keep silent


@dataclass(frozen=True)
class Settings:
    """How a server treats its clients."""

    limits: Limits = field(default_factory=Limits)
    token: str | None = None
    hosts: tuple = ("localhost", "127.0.0.1", "[::1]")  # names that it answers to
    n_jobs: int = 2  # requests that are worked on at once
    n_waiting: int = 32  # more that may wait for that
    n_live: int = 8  # live streams at once
    n_adapted: int = 16  # adapted recognizers that are kept
    lifetime: float = 3600.0  # seconds that one is kept since its latest use


# options


class Choices(BaseModel, extra="forbid"):
    """Options of all requests."""

    emotions: str | None = Field(None, description="choose among these, comma-separated")
    recognizer: str | None = Field(None, description="of an answer of /v1/adapt")

    def among(self, rec):
        """The emotions to choose among: list of str, or None for all."""
        chosen = self.emotions and [name.strip() for name in self.emotions.split(",")]
        for name in chosen or ():
            check_name(name, rec.emotions, "emotion")
        return chosen or None


class Predicting(Choices):
    abstain: float | None = Field(None, ge=0, le=1, description="below it the answer is unsure")
    set: float | None = Field(None, ge=0, le=1, description="probability of a set of emotions")


class Lasting(Choices):
    window: float = Field(3.0, description="seconds that a row looks back", le=60)
    hop: float = Field(1.0, ge=0.1, description="seconds from row to row")
    smooth: int = Field(1, ge=1, le=1000, description="rows that are averaged")
    channels: Literal["mix", "split"] = "mix"


class Explaining(Choices):
    emotion: str | None = Field(None, description="default: the predicted one")
    start: float | None = Field(None, ge=0, description="seconds; explain from here")
    end: float | None = Field(None, gt=0, description="seconds; explain up to here")


class Adapting(Choices):
    labels: str | None = Field(None, description='the emotion of all of them, such as "neutral"')


# what is bounded


class Places:
    """So many requests may be here at once; more are refused."""

    def __init__(self, n, what, retry):
        self.n, self.n_taken, self.what, self.retry = n, 0, what, retry

    def take(self):
        if self.n_taken >= self.n:
            busy = f"The server is busy with {self.n} {self.what}; try again later."
            raise Refused(429, "busy", busy, retry_after=str(self.retry))
        self.n_taken += 1

    def free(self, *_):
        self.n_taken -= 1


class Adapted:
    """Adapted recognizers, for some time and of a bounded number; the oldest gives way."""

    def __init__(self, settings):
        self._n, self._lifetime, self._kept = settings.n_adapted, settings.lifetime, {}

    def __len__(self):
        self._forget()
        return len(self._kept)

    def _forget(self):
        now = time.monotonic()
        self._kept = {key: own for key, own in self._kept.items() if own[1] > now}

    def keep(self, rec):
        """Keep a recognizer: str, its id, which nobody can guess."""
        self._forget()
        while len(self._kept) >= self._n:
            del self._kept[next(iter(self._kept))]
        key = secrets.token_urlsafe(16)
        self._kept[key] = rec, time.monotonic() + self._lifetime
        return key

    def get(self, key):
        """The recognizer of an id, which is kept as long again."""
        self._forget()
        if key not in self._kept:
            unknown = "There is no such recognizer, or no more; adapt again."
            raise Refused(404, "unknown_recognizer", unknown)
        rec, _ = self._kept.pop(key)
        self._kept[key] = rec, time.monotonic() + self._lifetime
        return rec

    def forget(self, key):
        self.get(key)
        del self._kept[key]


# the API


class Api:
    """The endpoints, for one trained recognizer.

    Parameters
    ----------
    rec : trained recognizer
    settings : Settings
    """

    def __init__(self, rec, settings):
        self.rec, self.settings, self.limits = rec, settings, settings.limits
        self.rec.n_jobs, self.rec.verbose = 1, 0  # nothing is parallel inside a request
        n_places = settings.n_jobs + settings.n_waiting
        self.places = Places(n_places, "requests", 1)
        self.live = Places(settings.n_live, "live streams", 10)
        self.adapted = Adapted(settings)
        self.pool = ThreadPoolExecutor(settings.n_jobs, "recognise")

    def recognizer(self, choices):
        return self.adapted.get(choices.recognizer) if choices.recognizer else self.rec

    # from a request to an answer

    async def answer(self, request, work, mono=True):
        """The result of `work(sounds)` in a thread, for the recordings of a request.

        A sound that can't be read is its AudioError in the list.
        """
        self.places.take()
        abandoned, task = threading.Event(), None
        try:
            body = await asyncio.wait_for(self._body(request), self.limits.patience)
            files = files_of(request.headers.get("content-type", ""), body, self.limits)
            do = partial(self._work, files, work, mono, abandoned)
            task = asyncio.get_running_loop().run_in_executor(self.pool, do)
            gone = asyncio.ensure_future(_gone(request))
            await asyncio.wait(
                [task, gone], timeout=self.limits.patience, return_when="FIRST_COMPLETED"
            )
            gone.cancel()
            if not task.done():
                raise Refused(503, "too_slow", "It takes too long; send less at a time.")
            return task.result()
        except (TimeoutError, asyncio.TimeoutError):
            slow = f"The body wasn't there after {self.limits.patience:g} s; send less at a time."
            raise Refused(408, "too_slow", slow) from None
        finally:
            abandoned.set()
            if task is None or task.done() or task.cancel():
                self.places.free()
            else:  # the thread ends soon: what it reads says that nobody waits
                task.add_done_callback(self.places.free)

    async def _body(self, request):
        """The body of a request, within its limit: bytes."""
        if request.headers.get("content-encoding", "identity") != "identity":
            raise Refused(415, "wrong_encoding", "Send the recording as it is, not compressed.")
        most = self.limits.bytes
        large = Refused(
            413, "too_large", f"More than {most:,} bytes; cut the recording, or send MP3."
        )
        declared = request.headers.get("content-length", "0")
        if declared.isdigit() and int(declared) > most:
            raise large
        body = bytearray()
        async for data in request.stream():
            body += data
            if len(body) > most:
                raise large
        return bytes(body)

    def _work(self, files, work, mono, abandoned):
        """Decode files and do something with the sounds, in a thread."""
        sounds = []
        for name, data in files:
            if abandoned.is_set():
                raise Abandoned
            try:
                sounds.append((name, decoded(name, data, self.limits, mono, abandoned)))
            except AudioError as error:
                sounds.append((name, error))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return work(sounds)

    def _each(self, rec, sounds, one):
        """The documents `one(name, sound)` yields, as --json has them: list of dict."""
        how, documents, n_failed = rec.adaptation_, [], 0
        for name, sound in sounds:
            try:
                if isinstance(sound, AudioError):
                    raise sound
                found = [*one(name, sound)]
            except AudioError as error:
                found, n_failed = [{"path": name, "error": str(error)}], n_failed + 1
            documents += [document | {"adapted": how and str(how)} for document in found]
        if n_failed == len(sounds):
            raise AudioError(documents[0]["error"])
        return documents

    # recordings

    async def predict(self, request: Request, choices: Annotated[Predicting, Query()]):
        """Recognise the emotion of each recording."""
        rec = self.recognizer(choices)
        args = SimpleNamespace(**DEFAULTS | choices.model_dump())
        args.emotions = choices.among(rec)
        found = {"emotions": args.emotions or rec.emotions or None}
        found |= {"abstain": args.abstain, "coverage": args.set}

        def one(name, sound):
            yield predicted(rec, name, recognise_recording(rec, sound, **found), args).document

        return _json(await self.answer(request, lambda sounds: self._each(rec, sounds, one)))

    async def timeline(self, request: Request, choices: Annotated[Lasting, Query()]):
        """Emotion over time, in JSON or what Accept asks for."""
        rec, form = self.recognizer(choices), _wanted(request.headers.get("accept", ""))
        args = SimpleNamespace(**DEFAULTS | choices.model_dump())
        args.emotions, tables = choices.among(rec), []

        def one(name, sound):
            for result in COMMANDS["timeline"].results(rec, name, sound, args):
                tables.append(result.table)
                yield result.document

        work = partial(self._each, rec, one=one)
        found = await self.answer(request, work, mono=choices.channels == "mix")
        if form is None:
            return _json(found)
        if len(tables) != 1:
            raise Refused(
                406, "one_only", "Subtitles and tables are of one recording; ask for JSON."
            )
        return Response(FORMATS[TEXTS[form]].to_text(tables[0]), media_type=form)

    async def explain(self, request: Request, choices: Annotated[Explaining, Query()]):
        """Which features, and which seconds, contribute to an emotion."""
        rec = self.recognizer(choices)
        args = SimpleNamespace(**DEFAULTS | choices.model_dump())
        args.emotions = choices.among(rec)

        def one(name, sound):
            part, most = sound.between(choices.start, choices.end), self.limits.explained
            if part.duration > most:
                long = f"{name} has {part.duration:.0f} s; give start and end, at most {most:g} s."
                raise Refused(413, "too_long", long)
            for result in COMMANDS["explain"].results(rec, name, part, args):
                yield result.document

        return _json(await self.answer(request, lambda sounds: self._each(rec, sounds, one)))

    async def adapt(self, request: Request, choices: Annotated[Adapting, Query()]):
        """Adapt to the speaker of some recordings; the id is for `recognizer=`."""

        def work(sounds):
            usable = [sound for _, sound in sounds if not isinstance(sound, AudioError)]
            if not usable:
                raise sounds[0][1]
            rec = self.recognizer(choices).adapt(usable, choices.labels)
            seconds = round(sum(sound.duration for sound in usable), 3)
            return rec, {"clips": rec.adaptation_.n_used, "seconds": seconds}

        rec, facts = await self.answer(request, work)
        expires = {"expires_in": self.settings.lifetime}
        return _json({"recognizer": self.adapted.keep(rec)} | expires | facts)

    async def forget(self, key: str):
        """Forget an adapted recognizer."""
        self.adapted.forget(key)
        return Response(status_code=204)

    # facts

    async def models(self):
        """The model, its emotions and how good it is."""
        record = self.rec._record()
        card = {key: record.get(key) for key in ("model", "hears", "protocol", "score")}
        known = {"name": "bundled", "emotions": self.rec.emotions, "default": True}
        return _json([known | {"adapted": False, "card": card}])

    async def bounds(self):
        """What a request may ask for."""
        known = {name: getattr(self.limits, name) for name in ("seconds", "bytes", "files")}
        return _json(known | {"token": self.settings.token is not None})

    async def health(self):
        """Whether the server lives."""
        return _json({"status": "ok"})

    async def metrics(self):
        """Counts for Prometheus."""
        return Response("", media_type="text/plain; version=0.0.4")

    # live

    async def listen(self, socket: WebSocket):
        """Sound in, binary; levels, windows and utterances out, JSON."""
        await socket.accept()
        try:
            self.live.take()
            try:
                await self._listen(socket)
            finally:
                self.live.free()
        except Refused as error:
            with suppress(Exception):
                facts = {"type": "error", "code": error.code, "message": str(error)}
                await socket.send_text(json.dumps(facts))
                await socket.close(1008)
        except WebSocketDisconnect:
            pass

    async def _listen(self, socket):
        query = dict(socket.query_params)
        query.pop("token", None)
        try:
            rate = int(query.pop("rate", SAMPLE_RATE))
            hop = float(query.pop("hop", 0.5))
            encoding = query.pop("encoding", "pcm_s16le")
            check_name(encoding, ("pcm_s16le", "opus"), "encoding")
            if not 8000 <= rate <= 192000:
                raise ValueError(f"rate is from 8000 to 192000 Hz; got {rate}")
            choices = Choices(**query)
            rec = self.recognizer(choices)
            live = Live(rec, hop=hop, emotions=choices.among(rec))
        except ValueError as error:
            raise Refused(400, "wrong_option", str(error)) from None
        loop, resampler = asyncio.get_running_loop(), soxr.ResampleStream(rate, SAMPLE_RATE, 1)

        def heard(data):
            y = np.frombuffer(data, "<i2").astype(np.float32) / 32768
            return live.push(y if rate == SAMPLE_RATE else resampler.resample_chunk(y))

        def rest():
            y = np.empty(0, np.float32)
            y = y if rate == SAMPLE_RATE else resampler.resample_chunk(y, last=True)
            return live.push(y) + live.finish()

        while True:
            try:
                message = await asyncio.wait_for(socket.receive(), PERIOD)
            except (TimeoutError, asyncio.TimeoutError):
                raise Refused(408, "idle", f"No sound came for {PERIOD:g} s.") from None
            if message["type"] == "websocket.disconnect":
                return
            data = message.get("bytes")
            if data is not None and len(data) % 2:
                raise Refused(400, "wrong_sound", "pcm_s16le has two bytes for each sample.")
            work = rest if data is None else partial(heard, data)
            for event in await loop.run_in_executor(self.pool, work):
                event.pop("y", None)
                await socket.send_text(json.dumps(event))
            if data is None:
                await socket.close()
                return


async def _gone(request):
    """Wait until the client of a request, whose body was read, has gone."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _wanted(accept):
    """The content type of `TEXTS` that comes first in a header Accept; None for JSON."""
    for kind in accept.split(","):
        kind = kind.partition(";")[0].strip().lower()
        if kind in ("application/json", "*/*"):
            return None
        if kind in TEXTS:
            return kind
    return None


def _json(found):
    return Response(json.dumps(found, indent=1), media_type="application/json")


def _error(status, code, message, headers=None):
    body = {"error": {"code": code, "message": message}}
    return JSONResponse(body, status, {k.replace("_", "-"): v for k, v in (headers or {}).items()})


def make_app(rec, settings=None):
    """The application of a server: FastAPI.

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

    app = FastAPI(
        title="Speech emotion recognition", docs_url=None, redoc_url=None, lifespan=lifespan
    )
    for path, method, call in (
        ("/v1/predict", "POST", api.predict),
        ("/v1/timeline", "POST", api.timeline),
        ("/v1/explain", "POST", api.explain),
        ("/v1/adapt", "POST", api.adapt),
        ("/v1/adapt/{key}", "DELETE", api.forget),
        ("/v1/models", "GET", api.models),
        ("/v1/limits", "GET", api.bounds),
        ("/healthz", "GET", api.health),
        ("/metrics", "GET", api.metrics),
    ):
        app.add_api_route(path, call, methods=[method], response_model=None)
    app.add_api_websocket_route("/v1/listen", api.listen)
    app.add_exception_handler(Refused, lambda _, e: _error(e.status, e.code, str(e), e.headers))
    app.add_exception_handler(AudioError, lambda _, e: _error(422, "unreadable", str(e)))
    app.add_exception_handler(NoSpeech, lambda _, e: _error(422, "no_speech", str(e)))
    app.add_exception_handler(ValueError, lambda _, e: _error(400, "wrong_option", str(e)))
    app.add_exception_handler(RequestValidationError, _wrong_option)
    app.add_exception_handler(
        HTTPException, lambda _, e: _error(e.status_code, "wrong_address", str(e.detail))
    )
    if PAGE.is_dir():
        app.mount("/page", StaticFiles(directory=PAGE))
        index = (PAGE / "index.html").read_bytes
        app.add_api_route(
            "/", lambda: Response(index(), media_type="text/html"), include_in_schema=False
        )
    return app


def _wrong_option(_, error):
    first = error.errors()[0]
    name = ".".join(str(part) for part in first["loc"][1:])
    return _error(400, "wrong_option", f"{name}: {first['msg']}. See /docs for what there is.")
