"""The API of a real server, over loopback: the answers are those of the command lines."""

import asyncio
import json
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, suppress

import numpy as np
import psutil
import pytest
import soundfile as sf
import soxr
from conftest import REPO, bundled_clip

pytest.importorskip("uvicorn", reason="pip install -r requirements-serve.txt")

import websockets

import commands
import endpoints
from audio import find_ffmpeg, load_audio
from emotion_recognition import load_recognizer
from explain import explain
from formats import FORMATS
from gate import Settings
from live import Live
from parameters import SAMPLE_RATE
from processes import Abandoned

CLIPS = [bundled_clip(emotion) for emotion in ("happy", "sad", "neutral")]


def sent(*paths):
    """The files of a form."""
    return [("files", (str(path), open(path, "rb").read(), "audio/wav")) for path in paths]  # noqa: PTH123


def answer(server, path, *paths, **params):
    found = server.client.post(path, files=sent(*paths), params=params)
    assert found.status_code == 200, found.text
    return found.json()


def error(found):
    return found.status_code, found.json()["error"]["code"]


@pytest.fixture
def printed(capsys, monkeypatch):
    """What a command line prints with --json."""
    monkeypatch.chdir(REPO)

    def run(command, *arguments):
        assert not commands.main([command, *map(str, arguments), "--json"])
        return json.loads(capsys.readouterr().out)

    return run


def assert_same(one, other):
    """Two documents have the same keys in the same order, words and numbers, but for rounding.

    (Sums differ in their last digit with the number of threads.)
    """
    assert type(one) is type(other)
    if isinstance(one, dict):
        assert [*one] == [*other]
        one, other = [*one.values()], [*other.values()]
    if isinstance(one, list):
        for pair in zip(one, other, strict=True):
            assert_same(*pair)
    elif isinstance(one, float):
        assert one == pytest.approx(other, rel=1e-6, abs=1e-9)
    else:
        assert one == other


@pytest.fixture(scope="module")
def long_clip(tmp_path_factory):
    """35 s of several utterances, the right channel being the left one turned round: a path."""
    clips = [np.pad(load_audio(path), (8000, 16000)) for path in CLIPS]
    y = np.resize(np.concatenate(clips), 35 * SAMPLE_RATE)
    path = tmp_path_factory.mktemp("long") / "call.flac"
    sf.write(path, np.stack([y, y[::-1]], axis=1), SAMPLE_RATE)
    return path


# the same as the command lines


@pytest.mark.parametrize("options", [{}, {"emotions": "sad,happy"}, {"abstain": 0.9, "set": 0.8}])
def test_predict_is_as_on_the_command_line(server, printed, options):
    found = answer(server, "/v1/predict", *CLIPS, **options)
    arguments = [word for key, value in options.items() for word in (f"--{key}", value)]
    assert_same(found, printed("predict", *CLIPS, *arguments))


def test_a_long_recording_is_as_on_the_command_line(server, printed, long_clip):
    found = answer(server, "/v1/predict", long_clip)
    assert "over_time" in found[0]
    assert_same(found, printed("predict", long_clip))


@pytest.mark.parametrize("options", [{}, {"channels": "split", "window": 2.0, "hop": 0.5}])
def test_a_timeline_is_as_on_the_command_line(server, printed, long_clip, options):
    found = answer(server, "/v1/timeline", long_clip, **options)
    arguments = [word for key, value in options.items() for word in (f"--{key}", value)]
    assert_same(found, printed("timeline", long_clip, *arguments))


def test_an_explanation_is_as_on_the_command_line(server, printed):
    found = answer(server, "/v1/explain", CLIPS[0], emotion="sad")
    assert_same(found, printed("explain", CLIPS[0], "--emotion", "sad"))


def test_a_damaged_recording_has_the_words_of_the_command_line(server, printed, tmp_path):
    path = tmp_path / "cut.wav"
    path.write_bytes(open(CLIPS[0], "rb").read()[:-9000])  # noqa: SIM115, PTH123
    found = answer(server, "/v1/predict", path, CLIPS[1])
    assert "truncated" in found[0]["warnings"]
    assert_same(found, printed("predict", path, CLIPS[1]))


def test_a_file_that_is_no_recording_is_named_among_others(server, printed, tmp_path):
    path = tmp_path / "no.wav"
    path.write_bytes(b"no sound")
    found = answer(server, "/v1/predict", path, CLIPS[1])
    assert_same(found, printed("predict", path, CLIPS[1]))
    alone = server.client.post("/v1/predict", files=sent(path))
    assert error(alone) == (422, "unreadable")
    assert alone.json()["error"]["message"] == found[0]["error"]


@pytest.mark.parametrize("form", endpoints.TEXTS)
def test_accept_chooses_the_form_of_a_timeline(server, form):
    headers = {"Accept": f"text/html, {form};q=0.9, */*;q=0.1"}
    found = server.client.post("/v1/timeline", files=sent(CLIPS[0]), headers=headers)
    assert found.status_code == 200 and found.headers["content-type"].startswith(form)
    table = load_recognizer().predict_timeline(CLIPS[0])
    assert found.text == FORMATS[endpoints.TEXTS[form]].to_text(table)
    two = server.client.post("/v1/timeline", files=sent(*CLIPS[:2]), headers=headers)
    assert error(two) == (406, "one_only")


def test_a_body_may_be_the_recording(server):
    data = open(CLIPS[0], "rb").read()  # noqa: SIM115, PTH123
    found = server.client.post("/v1/predict", content=data, headers={"Content-Type": "audio/wav"})
    own = answer(server, "/v1/predict", CLIPS[0])[0]
    assert found.json() == [own | {"path": "recording"}]


def test_a_part_is_explained(server, long_clip):
    found = server.client.post("/v1/explain", files=sent(long_clip))
    assert error(found) == (413, "too_long")
    (own,) = answer(server, "/v1/explain", long_clip, start=1, end=2)
    assert own["duration"] == 1.0
    y = load_audio(long_clip)[SAMPLE_RATE : 2 * SAMPLE_RATE]
    table = explain(load_recognizer(), y, sr=SAMPLE_RATE, emotion=own["emotion"], verbose=0)
    effects = [row["effect"] for row in own["effects"]]
    assert effects == pytest.approx(table["effect"].tolist(), abs=1e-6)


# adaptation


def test_an_adapted_recognizer_is_kept_and_forgotten(server):
    found = answer(server, "/v1/adapt", *CLIPS[:2], labels="neutral")
    rec = load_recognizer().adapt(CLIPS[:2], "neutral")
    assert found["clips"] == 2 and found["expires_in"] > 0 and len(found["recognizer"]) > 20
    key = found["recognizer"]
    own = answer(server, "/v1/predict", CLIPS[2], recognizer=key)[0]
    assert own["probabilities"] == pytest.approx(rec.predict_proba(CLIPS[2]), abs=1e-6)
    assert own["adapted"] == str(rec.adaptation_)
    assert answer(server, "/v1/timeline", CLIPS[2], recognizer=key)[0]["adapted"]
    assert server.client.delete(f"/v1/adapt/{key}").status_code == 204
    assert error(server.client.delete(f"/v1/adapt/{key}")) == (404, "unknown_recognizer")
    found = server.client.post("/v1/predict", files=sent(CLIPS[0]), params={"recognizer": key})
    assert error(found) == (404, "unknown_recognizer")
    assert not any(key in line for line in server.lines)


def test_adaptation_needs_speech(server, tmp_path):
    sf.write(tmp_path / "silence.wav", np.zeros(32000), SAMPLE_RATE)
    found = server.client.post("/v1/adapt", files=sent(tmp_path / "silence.wav"))
    assert error(found) == (422, "no_speech") and "silence.wav" in found.text


def test_adapted_recognizers_are_of_a_bounded_number_and_time(monkeypatch):
    now = 0.0
    monkeypatch.setattr(endpoints.time, "monotonic", lambda: now)
    own = endpoints.Adapted(Settings(n_adapted=3, lifetime=10.0))
    keys = [own.keep(i) for i in range(4)]
    assert len(set(keys)) == 4 and len(own) == 3
    with pytest.raises(endpoints.Refused):
        own.get(keys[0])
    now = 9.0
    assert own.get(keys[1]) == 1
    now = 12.0
    assert own.get(keys[1]) == 1 and len(own) == 1
    own.keep(4)
    own.get(keys[1])
    for i in range(2):
        own.keep(i)
    assert own.get(keys[1]) == 1


# options, errors, facts


@pytest.mark.parametrize(
    "options",
    [
        {"emotion": "sad"},
        {"abstain": "2"},
        {"set": "x"},
        {"emotions": "boredom"},
        {"emotions": ","},
        {"url": "file:///etc/passwd"},
        {"path": "README.md"},
    ],
)
def test_wrong_options_are_named(server, options):
    found = server.client.post("/v1/predict", files=sent(CLIPS[0]), params=options)
    assert error(found) == (400, "wrong_option")
    (word,) = options if "emotions" not in options else ["emotion"]
    assert word in found.json()["error"]["message"]


@pytest.mark.parametrize("options", [{"hop": 0.33}, {"window": 0.1}, {"channels": "x"}])
def test_wrong_options_of_a_timeline_are_named(server, options):
    found = server.client.post("/v1/timeline", files=sent(CLIPS[0]), params=options)
    assert error(found) == (400, "wrong_option")


def test_what_is_not_there_is_said(server):
    assert error(server.client.get("/v1/nothing")) == (404, "wrong_address")
    assert error(server.client.get("/v1/predict")) == (405, "wrong_address")
    assert error(server.client.get("/../README.md")) == (404, "wrong_address")
    assert error(server.client.get("/page/..%2fREADME.md")) == (404, "wrong_address")


def test_facts(server):
    (model,) = server.client.get("/v1/models").json()
    rec = load_recognizer()
    assert model["emotions"] == rec.emotions and model["default"] and not model["adapted"]
    assert model["card"]["score"] == rec.score_
    limits = server.client.get("/v1/limits").json()
    assert limits["seconds"] == 600 and limits["token"] is False
    assert server.client.get("/healthz").json() == {"status": "ok"}
    text = server.client.get("/metrics").text
    assert 'route="/healthz",status="200"' in text and "ser_live_now 0" in text


def test_the_documentation_has_examples_that_are_right_and_loads_nothing(server):
    schema = server.client.get("/openapi.json").json()
    page = server.client.get("/docs")
    assert page.headers["content-type"].startswith("text/html") and "://" not in page.text.replace(
        "http://127.0.0.1:8000", ""
    )
    assert server.client.get("/docs.css").headers["content-type"].startswith("text/css")
    for path, example in endpoints.EXAMPLES.items():
        assert path in page.text
        (own,) = schema["paths"][path].values()
        content = own["responses"]["200"]["content"]["application/json"]
        assert content["example"] == example
        if "requestBody" in own:
            found = answer(server, path, CLIPS[0])
        else:
            found = server.client.get(path).json()
        found, example = (x[0] if isinstance(x, list) else x for x in (found, example))
        assert set(found) == set(example), path
        for rows in ("rows", "effects"):
            row = example.get(rows, [{}])[0]
            assert {"angry", *row} - {"angry"} <= set(found.get(rows, [{}])[0])
    assert len(schema["paths"]) == len(endpoints.ROUTES)


def test_many_clients_get_the_answers_of_one(server, bundled_clips):
    clips = bundled_clips[:24]
    alone = [answer(server, "/v1/predict", clip) for clip in clips]
    with ThreadPoolExecutor(8) as pool:
        together = [*pool.map(lambda clip: answer(server, "/v1/predict", clip), clips)]
    assert together == alone


@pytest.mark.parametrize("what", ["explain", "predict_timeline", "predict_proba"])
def test_nobody_waits_and_the_work_ends(what):
    rec, n_asked = load_recognizer(), []

    def abandoned():
        n_asked.append(None)
        return len(n_asked) > 2

    watched = endpoints._watched(rec, abandoned)
    y = np.resize(load_audio(CLIPS[0]), 20 * SAMPLE_RATE)
    with pytest.raises(Abandoned):
        for _ in range(3):
            getattr(watched, what)(y, sr=SAMPLE_RATE)
    assert len(n_asked) == 3
    assert rec.predict(CLIPS[0]) in rec.emotions  # as it was


# live


def listened(server, messages, query="", end=True, **how):
    """What a live client is told."""

    async def talk():
        url = f"{server.url.replace('http', 'ws')}/v1/listen?{query}"
        async with websockets.connect(url, proxy=None, **how) as socket:

            async def send():
                for message in messages:
                    await socket.send(message)
                if end:
                    await socket.send('{"type": "end"}')

            sending = asyncio.ensure_future(send())
            found = [json.loads(message) async for message in socket]
            sending.cancel()
            return found

    return asyncio.run(talk())


def expected(y, **options):
    live = Live(load_recognizer(), **options)
    events = live.push(y) + live.finish()
    return [{key: value for key, value in event.items() if key != "y"} for event in events]


@pytest.fixture(scope="module")
def talk(long_clip):
    """8 s of speech: ndarray (n_samples,) of 16 bits."""
    return np.round(load_audio(long_clip)[: 8 * SAMPLE_RATE] * 32767).astype("<i2")


def test_a_stream_is_predicted_as_the_microphone_would(server, talk):
    data = talk.tobytes()
    pieces = [data[i : i + 1601] for i in range(0, len(data), 1601)]  # samples are cut in two
    found = listened(server, pieces)
    own = expected(talk.astype(np.float32) / 2**15)
    assert {event["type"] for event in found} == {"level", "window", "utterance"}
    assert_same(found, own)


def test_choices_and_rates_of_a_stream(server, talk):
    y = soxr.resample(talk.astype(np.float32) / 2**15, SAMPLE_RATE, 44100)
    data = np.round(y * 32767).astype("<i2")
    found = listened(server, [data.tobytes()], "rate=44100&emotions=sad,happy&hop=0.2&abstain=0.9")
    y = soxr.resample(data.astype(np.float32) / 2**15, 44100, SAMPLE_RATE)
    own = expected(y, emotions=["sad", "happy"], hop=0.2, abstain=0.9)
    assert [event["type"] for event in found] == [event["type"] for event in own]
    windows = [event for event in found if event["type"] == "window"]
    assert all(set(event["probabilities"]) == {"sad", "happy"} for event in windows)
    others = [event["emotion"] for event in own if event["type"] == "window"]
    assert [event["emotion"] for event in windows] == others


@pytest.mark.parametrize("form", ["webm", "ogg"])
def test_a_stream_may_be_opus(server, talk, form, tmp_path):
    sf.write(tmp_path / "x.wav", talk, SAMPLE_RATE)
    command = [find_ffmpeg("test"), "-v", "error", "-i", tmp_path / "x.wav", "-c:a", "libopus"]
    command += ["-f", form, "-live", "1"] if form == "webm" else ["-f", form]
    data = subprocess.run([*command, "-"], capture_output=True, check=True).stdout
    pieces = [data[i : i + 999] for i in range(0, len(data), 999)]
    found = listened(server, pieces, "encoding=opus")
    emotions = [event["emotion"] for event in found if event["type"] == "utterance"]
    own = expected(talk.astype(np.float32) / 2**15)
    assert emotions == [event["emotion"] for event in own if event["type"] == "utterance"]
    assert found[-1]["type"] == "utterance" or found[-1]["end"] > 7


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("rate=1", "wrong_option"),
        ("encoding=mp3", "wrong_option"),
        ("emotions=x", "wrong_option"),
        ("hop=0.33", "wrong_option"),
        ("x=1", "wrong_option"),
        ("recognizer=x", "unknown_recognizer"),
        ("encoding=opus", "unreadable"),
    ],
)
def test_what_is_wrong_with_a_stream_is_said_before_it_ends(server, query, code):
    found = listened(server, [b"no sound" * 999] * 3, query)
    assert [event["code"] for event in found if event["type"] == "error"] == [code]
    assert found[-1]["type"] == "error" and found[-1]["message"]


def test_a_stream_without_sound_ends(server):
    assert listened(server, []) == []
    error = listened(server, [], "encoding=opus")
    assert [event["code"] for event in error] == ["unreadable"]


def test_live_streams_are_of_a_bounded_number(server):
    async def talk():
        url = f"{server.url.replace('http', 'ws')}/v1/listen"
        async with AsyncExitStack() as stack:
            for _ in range(Settings().n_live):
                own = await stack.enter_async_context(websockets.connect(url, proxy=None))
                await own.send(bytes(2 * SAMPLE_RATE))
                assert json.loads(await own.recv())["type"] == "level"
            async with websockets.connect(url, proxy=None) as more:
                return json.loads(await more.recv())

    assert asyncio.run(talk())["code"] == "busy"
    assert listened(server, [bytes(2 * SAMPLE_RATE)])[-1]["type"] == "level"


@pytest.mark.parametrize("query", ["", "encoding=opus"])
def test_a_live_client_that_breaks_off_frees_its_place(server, query):
    async def talk():
        url = f"{server.url.replace('http', 'ws')}/v1/listen?{query}"
        socket = await websockets.connect(url, proxy=None)
        await socket.send(bytes(999))
        socket.transport.abort()

    asyncio.run(talk())
    until = time.monotonic() + 60
    while "ser_live_now 0" not in server.client.get("/metrics").text:
        assert time.monotonic() < until
        time.sleep(0.05)
    assert not [p for p in psutil.Process(server.process.pid).children() if "ffmpeg" in p.name()]


@pytest.mark.slow
@pytest.mark.parametrize("query", ["", "encoding=opus"])
def test_a_client_that_sends_nothing_is_left(server, query):
    assert [event["code"] for event in listened(server, [], query, end=False)] == ["idle"]


@pytest.mark.slow
def test_a_client_that_only_sends_is_stopped_and_not_buffered(server):
    process = psutil.Process(server.process.pid)

    async def talk():
        url, second = f"{server.url.replace('http', 'ws')}/v1/listen", bytes(2 * SAMPLE_RATE)
        async with websockets.connect(url, proxy=None, max_queue=1) as socket:
            for n_sent in range(100_000):
                with suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(socket.send(second), 60)
                    continue
                return n_sent
        return 100_000

    before = process.memory_info().rss
    with suppress(websockets.ConnectionClosed):  # it reads nothing of what it is told
        assert asyncio.run(talk()) < 100_000
    assert process.memory_info().rss < before + 2**28
    until = time.monotonic() + 120  # its end is seen when what it has sent is predicted
    while "ser_live_now 0" not in server.client.get("/metrics").text:
        assert time.monotonic() < until
        time.sleep(0.05)
