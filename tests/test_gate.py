"""Who is let in, what is counted, and how much may be asked for."""

import asyncio

import pytest

from gate import HEADERS, Counts, Gate, Places, Refused, Settings


def scope(path="/v1/predict", host="localhost:8000", kind="http", query=b"", **headers):
    pairs = [(b"host", host.encode())] if host is not None else []
    pairs += [(name.replace("_", "-").encode(), text.encode()) for name, text in headers.items()]
    return {"type": kind, "method": "POST", "path": path, "headers": pairs, "query_string": query}


def refused(settings=None, **request):
    error = Gate(None, settings or Settings(), Counts()).refusal(scope(**request))
    return error and error.code


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:80", "127.0.0.1:9", "[::1]:8000", "[::1]"]
)
def test_this_machine_is_known_by_its_names(host):
    assert refused(host=host) is None


@pytest.mark.parametrize(
    "host",
    [None, "", "evil.example", "localhost.evil.example", "127.0.0.1.nip.io:8000", "localhost:x"],
)
def test_a_page_that_points_its_name_at_this_machine_is_refused(host):
    assert refused(host=host) == "wrong_host"


def test_a_name_may_be_added():
    own = Settings(hosts=("emotions.example.org",))
    assert refused(own, host="emotions.example.org") is None
    assert refused(own, host="localhost") == "wrong_host"


@pytest.mark.parametrize(
    "origin", ["null", "http://evil.example", "http://localhost:9000", "http://localhost", "", "x"]
)
def test_other_pages_are_refused(origin):
    assert refused(origin=origin) == "wrong_origin"
    assert refused(kind="websocket", origin=origin) == "wrong_origin"


def test_the_own_page_is_let_in_also_behind_tls():
    assert refused(origin="http://localhost:8000") is None
    own = Settings(hosts=("ser.example",))
    assert refused(own, host="ser.example", origin="https://ser.example") is None


SECRET = Settings(token="s3cret")


@pytest.mark.parametrize(
    "given", ["", "Bearer", "Bearer ", "Bearer s3cre", "Basic s3cret", "Bearer żal"]
)
def test_a_token_is_needed(given):
    assert refused(SECRET, authorization=given) == "no_token"
    assert refused(SECRET, query=b"token=s3cret") == "no_token"  # addresses are kept in histories


@pytest.mark.parametrize("given", ["Bearer s3cret", "bearer  s3cret "])
def test_the_token_lets_in(given):
    assert refused(SECRET, authorization=given) is None


def test_a_browser_gives_the_token_of_a_stream_in_its_address_or_protocol():
    gate = Gate(None, SECRET, Counts())
    live = scope("/v1/listen", kind="websocket", query=b"rate=8000&token=s3cret")
    assert gate.refusal(live) is None
    assert gate.refusal(live | {"query_string": b"token=other"}).code == "no_token"
    offered = {"query_string": b"", "subprotocols": ["bearer.s3cret"]}
    assert gate.refusal(live | offered) is None


@pytest.mark.parametrize("path", ["/", "/healthz", "/v1/limits", "/docs", "/page/a.js"])
def test_what_is_the_same_for_all_needs_no_token(path):
    assert refused(SECRET, path=path) is None
    assert refused(SECRET, path=path, host="evil.example") == "wrong_host"


@pytest.mark.parametrize("path", ["/metrics", "/v1/models", "/v1/listen", "/page", "/pages/", "//"])
def test_the_rest_needs_it(path):
    assert refused(SECRET, path=path) == "no_token"


def called(app, request):
    """What a gate before an application sends: list of dict."""
    sent = []

    async def send(message):
        sent.append(message)

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    asyncio.run(Gate(app, Settings(), counts := Counts())(request, receive, send))
    return sent, counts.text(requests_now=0)


def test_a_fault_is_told_and_logged_without_content(capsys):
    async def app(*_):
        raise KeyError("private words")

    sent, counts = called(app, scope(path="/v1/private-path"))
    assert sent[0]["status"] == 500 and b"private" not in sent[1]["body"]
    line = capsys.readouterr().err
    assert "KeyError in test_gate.py:" in line and "private" not in line + counts
    assert 'status="500"' in counts and counts.endswith("ser_requests_now 0\n")


def test_all_answers_have_the_headers_of_the_gate(capsys):
    async def app(scope, receive, send):
        pairs = [(b"cache-control", b"max-age=9")]
        await send({"type": "http.response.start", "status": 200, "headers": pairs})

    for request in (scope(), scope(host="evil.example")):
        (start, *_), _ = called(app, request)
        names = [name.decode() for name, _ in start["headers"]]
        assert {name.lower() for name in HEADERS} <= set(names) and len(names) == len(set(names))
    assert "evil" not in capsys.readouterr().err


def test_methods_of_strangers_make_no_new_counts(capsys):
    async def app(*_):
        pass

    _, counts = called(app, scope() | {"method": "X" * 1000})
    assert "XX" not in counts + capsys.readouterr().err


def test_counts_are_what_prometheus_reads():
    counts = Counts()
    for seconds in (0.01, 0.2, 700):
        counts.add("GET", "/v1/models", 200, seconds)
    text = counts.text(live_now=3)
    assert 'ser_requests_total{method="GET",route="/v1/models",status="200"} 3\n' in text
    bucket = 'ser_request_seconds_bucket{route="/v1/models",le='
    assert f'{bucket}"0.05"}} 1\n' in text and f'{bucket}"0.25"}} 2\n' in text
    assert f'{bucket}"120.0"}} 2\n' in text and f'{bucket}"+Inf"}} 3\n' in text
    assert "ser_live_now 3\n" in text
    parser = pytest.importorskip("prometheus_client.parser")
    assert len([*parser.text_string_to_metric_families(text)]) == 3


def test_places_are_bounded():
    places = Places(2, "requests", 7)
    places.take()
    places.take()
    with pytest.raises(Refused, match="2 requests") as caught:
        places.take()
    assert caught.value.status == 429 and caught.value.all_headers["retry-after"] == "7"
    places.free()
    places.take()


def test_a_place_may_be_so_many_bytes():
    places = Places(10, "bytes", 1)
    places.take(6)
    with pytest.raises(Refused):
        places.take(5)
    places.take(4)
    places.free(10)
    assert places.n_taken == 0
