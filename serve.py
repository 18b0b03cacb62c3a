"""Recognise emotions in a browser, and from programs, on this machine.

python serve.py                                # http://127.0.0.1:8000, the bundled model
"""

if __name__ == "__main__":  # Ctrl-C ends it in one line, also while it imports
    from checks import end_at_interrupt

    end_at_interrupt("serve.py")

import socket
import sys

from checks import guarded, make_parser
from emotion_recognition import load_recognizer


def _run(args):
    try:
        import uvicorn

        from endpoints import make_app
    except ImportError as error:
        raise ImportError(f"The server needs {error.name}: make serve") from error
    sock = socket.create_server((args.host, args.port))
    app = make_app(load_recognizer(args.model))
    host, port = sock.getsockname()[:2]
    print(f"http://{host}:{port}", flush=True)
    config = uvicorn.Config(app, log_level="warning", access_log=False)
    uvicorn.Server(config).run(sockets=[sock])


def main(argv=None):
    parser = make_parser("serve.py", __doc__)
    parser.add_argument("-m", "--model")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    return guarded("serve.py", _run, parser.parse_args(argv))


if __name__ == "__main__":
    sys.exit(main())
