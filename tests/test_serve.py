"""The server as a program: how it starts, ends and treats clients that mean no good."""

import contextlib
import gzip
import io
import json
import random
import re
import signal
import socket
import subprocess
import sys
import threading
import time

import fuzzing
import numpy as np
import psutil
import pytest
import soundfile as sf
from conftest import REPO, Server, bundled_clip

pytest.importorskip("uvicorn", reason="pip install -r requirements-serve.txt")

from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

import serve
from parameters import SAMPLE_RATE

CLIP = bundled_clip("happy")


def clip_form():
    return [("files", ("clip.wav", open(CLIP, "rb").read()))]  # noqa: PTH123


def predict(server, **how):
    return server.client.post("/v1/predict", files=clip_form(), **how)


def code_of(found):
    return found.status_code, found.json()["error"]["code"]


def flac(seconds):
    file = io.BytesIO()
    sf.write(file, np.zeros(round(seconds * SAMPLE_RATE), np.float32), SAMPLE_RATE, format="FLAC")
    return file.getvalue()


@pytest.fixture(scope="module")
def small():
    """A server with one place, a token, and small limits."""
    limits = "--n-jobs", 1, "--n-waiting", 0, "--max-megabytes", 1, "--max-seconds", 60
    with Server(*limits, "--token", "s3cret", "--host-name", "My.example") as own:
        own.client.headers["Authorization"] = "Bearer s3cret"
        yield own


# starting and ending


@pytest.mark.parametrize(
    "number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)]
)
def test_a_signal_ends_it_in_one_line(number):
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with Server() as own:
            assert predict(own).status_code == 200
            children = psutil.Process(own.process.pid).children(recursive=True)
            code, lines = own.end(number)
    finally:
        signal.signal(signal.SIGINT, handler)
    assert code == 128 + number and lines[-1] == "serve.py: interrupted"
    assert children and not psutil.wait_procs(children, 60)[1]


@pytest.mark.skipif(sys.platform != "linux", reason="others find out when they write")
def test_its_decoders_end_with_it():
    with Server() as own:
        predict(own)
        children = psutil.Process(own.process.pid).children(recursive=True)
        own.end(signal.SIGKILL)
    assert children and not psutil.wait_procs(children, 60)[1]


@pytest.fixture
def said(capsys):
    """Starts a server that can't be: its exit code, and the last line of stderr."""

    def said(*arguments):
        try:
            code = serve.main([*arguments])
        except SystemExit as error:  # of argparse
            code = error.code
        return code, capsys.readouterr().err.strip().splitlines()[-1]

    return said


def test_a_port_that_is_taken_is_an_error_with_advice(server, said):
    code, line = said("--port", str(server.port))
    assert code == 1 and f"uses port {server.port}; choose another one (--port " in line


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--host", "0.0.0.0"], "give a --token"),
        (["--host", "::"], "give a --token"),
        (["--host", "myhost"], "give a --token"),
        (["--max-seconds", "0"], "limits must be greater than 0"),
        (["--token", "żal"], "ASCII"),
        (["--port", "99999"], "0 to 65535"),
        (["--host", "192.0.2.1", "--token", "x"], "on this machine?"),
        (["-m", "missing.ser"], "missing.ser"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(arguments, words, said):
    code, line = said(*arguments)
    assert code and words in line and line.startswith("serve.py: ")


def test_what_is_missing_is_named_in_one_line(tmp_path):
    (tmp_path / "fastapi.py").write_text("raise ModuleNotFoundError(name='fastapi')")
    code = f"import sys; sys.path[:0] = [{str(tmp_path)!r}]; import serve; sys.exit(serve.main([]))"
    done = subprocess.run([sys.executable, "-c", code], cwd=REPO, capture_output=True, text=True)
    assert done.returncode == 1 and len(done.stderr.splitlines()) == 1
    assert "make serve" in done.stderr and "fastapi isn't installed" in done.stderr


def test_loopback():
    assert all(map(serve._is_loopback, ("127.0.0.1", "127.1.2.3", "::1", "localhost", "[::1]")))
    assert not any(map(serve._is_loopback, ("0.0.0.0", "::", "10.0.0.1", "example.org", "")))


def test_the_log_holds_no_content(small):
    names = {"emotions": "private-emotion", "recognizer": "private-id"}
    form = [("files", ("private-name.wav", b"private-data"))]
    for params in ({}, *({key: value} for key, value in names.items())):
        small.client.post("/v1/predict", files=form, params=params)
    small.client.get("/private-path", headers={"Host": "private-host"})
    small.client.get("/v1/models?token=private-token")
    assert any(line.startswith("POST /v1/predict 422 ") for line in small.lines)
    assert not any("private" in line for line in small.lines)


# who is let in


def test_only_own_pages_names_and_tokens_are_let_in(small):
    def get(path="/v1/models", **headers):
        found = small.client.get(path, headers=headers)
        assert "access-control-allow-origin" not in found.headers
        return found.status_code

    assert get() == get(Host="my.example") == get(Origin=small.url) == 200
    assert get(Authorization="Bearer other") == get(Authorization="") == 401
    assert get(Host="evil.example") == 421
    assert get(Origin="http://evil.example") == get("/healthz", Origin="null") == 403
    assert get("/healthz", Authorization="") == 200
    assert small.client.options("/v1/predict").status_code == 405


@pytest.mark.parametrize(
    ("address", "how", "status"),
    [
        ("?token=s3cret", {}, 101),
        ("", {"subprotocols": ["bearer.s3cret"]}, 101),
        ("", {"additional_headers": {"Authorization": "Bearer s3cret"}}, 101),
        ("", {}, 403),
        ("?token=other", {}, 403),
        ("?token=s3cret", {"origin": "http://evil.example"}, 403),
        ("?token=s3cret", {"origin": "http://localhost"}, 403),
    ],
)
def test_a_stream_needs_the_token_and_the_own_page(small, address, how, status):
    url = f"ws://127.0.0.1:{small.port}/v1/listen{address}"
    try:
        with connect(url, proxy=None, **how) as own:
            own.send('{"type": "end"}')
            found = own.response.status_code
    except InvalidStatus as error:
        found = error.response.status_code
    assert found == status


def test_the_page_is_served_with_its_types_and_policy(server):
    found = server.client.get("/")
    policy = server.client.get("/healthz").headers["content-security-policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy and "http" not in policy
    if not (REPO / "page").is_dir():
        assert found.status_code == 307 and found.headers["location"] == "/docs"
        return
    assert found.headers["content-type"].startswith("text/html")
    assert found.headers["content-security-policy"] == policy
    kinds = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
    for path in (REPO / "page").iterdir():
        if path.suffix in kinds:
            kind = server.client.get(f"/page/{path.name}").headers["content-type"]
            assert kind.startswith(kinds[path.suffix]), path.name


# clients that mean no good


def raw(server, data, read=True):
    """Send bytes and, unless it isn't wanted, read the whole answer: bytes, or the open socket."""
    own = socket.create_connection(("127.0.0.1", server.port), timeout=120)
    own.sendall(data)
    if not read:
        return own
    with own:
        found = b""
        while more := own.recv(2**16):
            found += more
            head, _, body = found.partition(b"\r\n\r\n")
            length = re.search(rb"content-length: (\d+)", head)
            if length and len(body) >= int(length[1]):
                break
        return found


HEAD = (
    "POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer s3cret\r\n"
    "Content-Type: audio/wav\r\n"
)


def test_a_body_that_says_it_is_too_large_is_not_read(small):
    found = raw(small, f"{HEAD}Content-Length: 1000000000000\r\n\r\n".encode() + b"RIFF")
    assert b" 413 " in found.splitlines()[0] and b"too_large" in found
    assert predict(small).status_code == 200


def test_a_body_that_never_ends_is_cut_off(small):
    own = raw(small, f"{HEAD}Transfer-Encoding: chunked\r\n\r\n".encode(), read=False)
    chunk = b"10000\r\n" + bytes(2**16) + b"\r\n"
    n_sent = 0
    with own, contextlib.suppress(ConnectionError):
        while n_sent < 2**30:
            own.sendall(chunk)
            n_sent += len(chunk)
    assert n_sent < 2**26  # what was on the way
    assert predict(small).status_code == 200


def test_who_sends_too_much_reads_why(small):
    """The whole body was sent before anything is read, as simple clients do."""
    for n_bytes in (2**20 + 1, 2**21 - 999):
        head = f"{HEAD}Content-Length: {n_bytes}\r\n\r\n".encode()
        assert b"too_large" in raw(small, head + bytes(n_bytes))
    head = f"{HEAD}Content-Length: {2**19}\r\n\r\n".replace("s3cret", "other").encode()
    assert b"no_token" in raw(small, head + bytes(2**19))


def test_a_compressed_body_is_not_inflated(small):
    bomb = gzip.compress(bytes(2**27))
    headers = {"Content-Encoding": "gzip", "Content-Type": "audio/wav"}
    found = small.client.post("/v1/predict", content=bomb, headers=headers)
    assert code_of(found) == (415, "wrong_encoding")


@pytest.mark.parametrize("seconds", [61, 3 * 3600])
def test_sound_that_unpacks_to_hours_is_refused(small, seconds):
    data = flac(seconds)
    found = small.client.post("/v1/predict", files=[("files", ("x.flac", data))])
    assert code_of(found) == (413, "too_long") and len(data) < 2**20
    assert predict(small).status_code == 200


def test_garbage_in_place_of_http_is_refused(small):
    for data in (b"\x00" * 999 + b"\r\n\r\n", b"x" * 999 + b"\r\n\r\n"):
        assert b"400" in raw(small, data).splitlines()[0]
    two = "GET /healthz HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n"
    assert b" 400 " in raw(small, two.encode()).splitlines()[0]
    assert b" 421 " in raw(small, b"GET /healthz HTTP/1.0\r\n\r\n").splitlines()[0]


def wait_for(condition, seconds=120):
    until = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < until
        time.sleep(0.05)
    return found


def test_one_more_is_told_to_come_back_and_a_killed_client_frees_its_place(small):
    own = raw(small, f"{HEAD}Content-Length: 99999\r\n\r\nRIFF".encode(), read=False)
    with own:
        wait_for(lambda: "ser_requests_now 1" in small.client.get("/metrics").text)
        found = predict(small)
        assert code_of(found) == (429, "busy") and int(found.headers["retry-after"]) > 0
    wait_for(lambda: "ser_requests_now 0" in small.client.get("/metrics").text)
    assert predict(small).status_code == 200


def test_work_for_a_client_that_has_gone_ends(small):
    """An explanation of 25 s takes most of a minute."""
    voice, rate = sf.read(CLIP)
    file = io.BytesIO()
    sf.write(file, np.resize(voice, 25 * rate), rate, format="OGG")
    data = file.getvalue()
    head = f"{HEAD.replace('predict', 'explain')}Content-Length: {len(data)}\r\n\r\n"
    with raw(small, head.encode() + data, read=False):
        wait_for(lambda: "ser_requests_now 1" in small.client.get("/metrics").text)
    found = wait_for(lambda: (own := predict(small)).status_code == 200 and own)
    assert found.json()[0]["emotion"]
    wait_for(lambda: any("/v1/explain 499 " in line for line in small.lines))


@pytest.mark.slow
def test_a_client_that_sends_no_request_is_cut_off(small):
    for begun in (b"", b"GET /healthz HTTP/1.1\r\nHost: local"):
        with raw(small, begun, read=False) as own:
            for _ in range(3):
                with contextlib.suppress(OSError):
                    own.sendall(b"h" if begun else b"")
            assert own.recv(99) == b""  # within the timeout of the socket


@pytest.mark.slow
def test_a_thousand_damaged_recordings(small):
    rng, seeds = random.Random(0), fuzzing.sounds()
    usual, codes = predict(small).json(), []
    for i in range(1000):
        data = fuzzing.changed(rng.choice(seeds), seeds, rng)
        if i % 2:  # most changes of samples leave a sound
            data = bytes(rng.randrange(256) for _ in range(rng.randrange(1, 64))) + data[64:]
        found = small.client.post("/v1/predict", files=[("files", ("x.wav", data))])
        codes.append(found.status_code)
        assert codes[-1] == 200 or code_of(found)[0] in (413, 422), found.text
        assert codes[-1] == 200 or found.json()["error"]["message"]
    assert codes.count(200) < 600
    assert predict(small).json() == usual
    assert not any(" 500 " in line for line in small.lines)


@pytest.mark.slow
def test_many_strangers_at_once_harm_nobody(server):
    """Eight clients, half of whom break off or send garbage, and the answers stay right."""
    usual, wrong = predict(server).json(), []

    def good():
        for _ in range(20):
            found = predict(server)
            if (found.status_code == 200 and found.json() != usual) or found.status_code != 200:
                wrong.append(found.text)

    def bad(seed):
        rng = random.Random(seed)
        data = open(CLIP, "rb").read()  # noqa: SIM115, PTH123
        for _ in range(20):
            head = HEAD + f"Content-Length: {len(data)}\r\n\r\n"
            own = raw(server, head.encode() + data[: rng.randrange(len(data) + 1)], read=False)
            time.sleep(rng.random() / 20)
            own.close()

    threads = [threading.Thread(target=good) for _ in range(4)]
    threads += [threading.Thread(target=bad, args=[i]) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    wait_for(lambda: "ser_requests_now 0" in server.client.get("/metrics").text)


def test_bytes_of_json_are_the_same_each_time(server):
    first, second = predict(server), predict(server)
    assert first.content == second.content and json.loads(first.content)
