"""Recognise emotions in a browser and from other programs: a local page and an API.

    python serve.py                                # opens http://127.0.0.1:8000, the bundled model
    python serve.py -m my.ser --port 9000          # your own model; --port 0: any free port
    python serve.py --token SECRET --host 0.0.0.0 --host-name emotions.example.org   # for others
    curl -F files=@clip.wav http://127.0.0.1:8000/v1/predict
    curl -F files=@call.wav -H "Accept: text/vtt" http://127.0.0.1:8000/v1/timeline
    curl -F files=@clip.wav "http://127.0.0.1:8000/v1/predict?emotions=angry,neutral&abstain=0.4"

The API is described at /docs. Recordings are kept only in memory, and only until the answer. To
serve other machines, give a token and the host name that they use, and put TLS before it: see
docs/SERVER.md. Install its packages by `make serve`, or pip install -r requirements-serve.txt.
"""

import os

if __name__ == "__main__":  # Ctrl-C prints one line, also during the imports
    from checks import end_at_interrupt

    end_at_interrupt("serve.py")
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):  # a request has a thread: with more of
        os.environ.setdefault(name, "1")  # them each takes twice the work, and no less time

import errno
import ipaddress
import socket
import sys
import webbrowser

from joblib import cpu_count

from checks import guarded, make_parser
from gate import Limits, Settings

LOOPBACK = "localhost", "127.0.0.1", "[::1]"
HEADERS_WITHIN = 15.0  # seconds for the headers of a request, and between two of them
CONNECTIONS = 256  # at once
READ_WITHIN = 10.0  # seconds for a live client to read the remaining messages at the end
UVICORN = {
    "ws_max_size": 2**20,  # bytes of a message
    "ws_per_message_deflate": False,
    "h11_max_incomplete_event_size": 2**16,  # bytes of headers
    "limit_concurrency": CONNECTIONS,
    "timeout_graceful_shutdown": 10,  # seconds for requests to end when the server ends
    "log_level": "error",
    "access_log": False,
    "server_header": False,
    "proxy_headers": False,
}
MISSING = (
    "The server needs FastAPI and uvicorn, and {name} isn't installed. Type: make serve (or: pip "
    "install -r requirements-serve.txt)"
)


def _parse_args(argv):
    limits, settings = Limits(), Settings()
    parser = make_parser("serve.py", __doc__)
    add, number = parser.add_argument, {"type": int, "metavar": "N"}
    add("-m", "--model", metavar="FILE", help="a .ser file (default: the bundled model)")
    where = "the encoder of that model on this machine"
    add("--encoder", metavar="PATH", help=where)
    add("--host", default="127.0.0.1", help="address to listen at; default: this machine only")
    add("--port", default=8000, help="default 8000; 0: any that is free", **number)
    names = "another host name of the server, besides those of this machine; may be repeated"
    add("--host-name", action="append", default=[], metavar="NAME", help=names)
    token = "required from each request; default: $SER_TOKEN. Needed for other machines"
    add("--token", default=os.environ.get("SER_TOKEN") or None, help=token)
    add("--no-browser", action="store_true", help="don't open the page")
    add = parser.add_argument_group("limits").add_argument
    longest = f"seconds of a recording, at most (default {limits.seconds:g})"
    add("--max-seconds", type=float, default=limits.seconds, metavar="S", help=longest)
    most = f"megabytes of a request, at most (default {limits.bytes >> 20})"
    add("--max-megabytes", default=limits.bytes >> 20, help=most, **number)
    jobs = "requests processed at the same time (default: number of cores)"
    add("--n-jobs", default=cpu_count(), help=jobs, **number)
    waiting = f"further requests that may wait (default {settings.n_waiting})"
    add("--n-waiting", default=settings.n_waiting, help=waiting, **number)
    args = parser.parse_args(argv)
    if min(args.max_seconds, args.max_megabytes, args.n_jobs) <= 0 or args.n_waiting < 0:
        parser.error("limits must be greater than 0")
    if args.token is None and not _is_loopback(args.host):
        parser.error(
            f"--host {args.host} lets other machines in: give a --token, which they have to send"
        )
    if args.token is not None and not (args.token.isascii() and args.token.isprintable()):
        parser.error("a token must have ASCII characters only")
    return args


def _is_loopback(host):
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def _settings(args):
    most = {"seconds": args.max_seconds, "bytes": args.max_megabytes * 2**20}
    hosts = (*LOOPBACK, *(name.lower() for name in args.host_name))
    how = {"limits": Limits(**most), "token": args.token, "hosts": hosts}
    return Settings(n_jobs=args.n_jobs, n_waiting=args.n_waiting, **how)


def _bound(host, port):
    """Open a listening socket; an OSError says what to do."""
    host = host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=CONNECTIONS)
    except OverflowError:
        raise ValueError(f"--port must be 0 to 65535; got {port}") from None
    except OSError as error:
        advice = {
            errno.EADDRINUSE: f"another program uses port {port}; choose another one (--port "
            f"{port + 1}), or any that is free (--port 0)",
            errno.EACCES: f"port {port} needs administrator rights; choose one from 1024 on",
        }
        text = advice.get(error.errno, f"{error.strerror}; is --host {host} on this machine?")
        raise OSError(text) from error


def _protocol():
    """uvicorn's HTTP/1.1 protocol, closing connections that stay open without a request."""
    from uvicorn.protocols.http.h11_impl import H11Protocol

    class Impatient(H11Protocol):
        waits = False

        def connection_made(self, transport):
            super().connection_made(transport)
            self.loop.call_later(HEADERS_WITHIN, self.look)

        def look(self):
            if self.transport.is_closing() or self.transport.get_protocol() is not self:
                return  # it has ended, or become a WebSocket
            waited, self.waits = self.waits, self.cycle is None or self.cycle.response_complete
            if self.waits and (waited or self.cycle is None):
                self.transport.close()
            else:
                self.loop.call_later(HEADERS_WITHIN, self.look)

    return Impatient


def _live_protocol():
    """uvicorn's WebSocket protocol, closing connections of clients that don't read at the end."""
    from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

    class Ending(WebSocketsSansIOProtocol):
        async def run_asgi(self):
            await super().run_asgi()
            self.loop.call_later(READ_WITHIN, self.transport.abort)  # nothing, if it has ended

    return Ending


def _run(args):
    """Serve until a signal arrives."""
    try:
        import uvicorn

        from emotion_recognition import load_recognizer
        from endpoints import make_app
    except ModuleNotFoundError as error:
        if error.name not in ("uvicorn", "fastapi", "pydantic", "starlette", "websockets"):
            raise
        raise ModuleNotFoundError(MISSING.format(name=error.name)) from error
    listener = _bound(args.host, args.port)
    app = make_app(load_recognizer(args.model, encoder=args.encoder), _settings(args))
    config = uvicorn.Config(app, http=_protocol(), ws=_live_protocol(), **UVICORN)
    host, port = listener.getsockname()[:2]
    place = "127.0.0.1" if host in ("0.0.0.0", "::") else f"[{host}]" if ":" in host else host
    address = f"http://{place}:{port}"
    print(f"{address}  (Ctrl-C ends it; the API is at {address}/docs)", flush=True)
    if sys.stdout.isatty() and not args.no_browser:
        webbrowser.open(f"{address}/?token={args.token}" if args.token else address)
    uvicorn.Server(config).run(sockets=[listener])


def main(argv=None):
    """Run the command line, see the module's docstring: int, the exit code.

    Parameters
    ----------
    argv : list of str, optional
        Default: the program's.
    """
    return guarded("serve.py", _run, _parse_args(argv))


if __name__ == "__main__":
    sys.exit(main())
