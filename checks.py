"""What every module needs: checks of names and text, safe opening of files, command lines.

Files that a user, a table or another file names are opened by `open_file`; names and labels are
printed through `printable`; every command line runs in `guarded`.
"""

import argparse
import difflib
import gc
import logging
import os
import platform
import shutil
import signal
import stat
import sys
import tempfile
import threading
import time
import unicodedata
import warnings
import zlib
from contextlib import contextmanager, suppress
from functools import lru_cache
from importlib import import_module
from pathlib import Path

try:
    import fcntl
except ImportError:  # on Windows
    fcntl = None

ERRORS = ImportError, ValueError, OSError  # those that a user can do something about
SIGNALS = [getattr(signal, s) for s in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, s)]
REPEATED = 1.0  # seconds; `timeout` and process managers send the same signal twice
TEMPORARY = f".ser-{zlib.crc32(platform.node().encode()):08x}-"
"""Prefix of temporary files. It differs by machine: a lock that another machine holds on the same
disk may be invisible here."""
LONGEST_LABEL = 200  # characters
HERE, OWN_WARNINGS = Path(__file__).parent, "SER_OWN_WARNINGS"
READABLE = "\u200c\u200d\u00a0\u3000"
"""Characters that Python calls unprintable but that are harmless: joiners, wide spaces."""


def check_name(name, legal, what):
    """Return `name` if it is one of `legal`.

    Parameters
    ----------
    name : str
    legal : iterable of str
    what : str
        Kind of thing that is named, for the message.

    Raises
    ------
    ValueError
        For any other name; the message lists the legal ones and suggests the nearest.

    Examples
    --------
    >>> check_name("mel", ("mfcc", "mel"), "feature")
    'mel'
    """
    legal = [*legal]
    if name in legal:
        return name
    near = difflib.get_close_matches(str(name), map(str, legal), n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    there = f"choose from {', '.join(map(str, legal))}" if legal else "there is none"
    raise ValueError(f"Unknown {what} {name!r}; {there}.{hint}")


def check_names(names, legal, what):
    """Check several names; return each once, in the order of `legal`: tuple of str.

    Parameters
    ----------
    names : sequence of str, or one str
    legal : sequence of str
    what : str
        Kind of thing that is named, for the message.

    Raises
    ------
    ValueError
        For an unknown name, or if there is none.

    Examples
    --------
    >>> check_names(["mel", "mfcc", "mel"], ("mfcc", "chroma", "mel"), "feature")
    ('mfcc', 'mel')
    """
    names = (names,) if isinstance(names, str) else tuple(names)
    if not names:
        raise ValueError(f"No {what} given; choose from {', '.join(legal)}.")
    for name in names:
        check_name(name, legal, what)
    return tuple(name for name in legal if name in names)


def renamed(options, legal, former, what="option"):
    """Keyword arguments under their present names: dict.

    Parameters
    ----------
    options : dict
    legal : iterable of str
    former : dict of str to str
        Former name to the present one.
    what : str
        Kind of thing that is named, for the message; default "option".

    Raises
    ------
    TypeError
        For any other name; the message lists the legal ones and suggests the nearest.

    Examples
    --------
    >>> renamed({"voices": 2}, ["speeds"], {"voices": "speeds"})
    {'speeds': 2}
    """
    options = {former.get(name, name): value for name, value in options.items()}
    for name in options:
        try:
            check_name(name, sorted(legal), what)
        except ValueError as error:
            raise TypeError(str(error)) from None
    return options


# text


def printable(text, kept=""):
    """Escape what a terminal would act on, such as control characters: str.

    Control characters, line breaks, changes of direction and undecodable bytes become \\x1b, \\n,
    \\u202e, \\udcff. Letters of all languages stay. Used for all text from outside that goes to a
    terminal, a warning or an error.

    Parameters
    ----------
    text : object
        Such as a file name, a label or the content of a file.
    kept : str
        Characters that aren't escaped, such as a line break.

    Examples
    --------
    >>> print(printable("żal\\x1b[2J\\n.wav"))
    żal\\x1b[2J\\n.wav
    """
    text = str(text)
    if text.isprintable():
        return text
    kept += READABLE
    return "".join(
        c if c.isprintable() or c in kept else c.encode("unicode_escape").decode() for c in text
    )


def folded(text):
    """Normalise a label or the name of a speaker for comparison: str.

    NFC (macOS writes file names in NFD), without surrounding spaces, in lower case. Not
    `str.casefold`, which would show Spaß as spass.

    Parameters
    ----------
    text : str

    Examples
    --------
    >>> folded(" Fro\u0308hlich"), folded("SPAẞ")
    ('fröhlich', 'spaß')
    """
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).strip().lower())


def is_label(text):
    """Whether a text may be a label or a speaker, a short line without control characters: bool.

    Parameters
    ----------
    text : object
        Undecodable bytes of a file name (surrogate escapes) are allowed.
    """
    if not isinstance(text, str) or len(text) > LONGEST_LABEL:
        return False
    text = text.encode(errors="replace").decode()
    return printable(text) == text


def check_label(label, what):
    """Return a label, or the name of a speaker or a corpus, if `is_label` accepts it.

    Parameters
    ----------
    label : str
    what : str
        What it is, for the message.

    Raises
    ------
    ValueError
        If it is long, has several lines or holds control characters.
    """
    if is_label(label):
        return label
    raise ValueError(
        f"{printable(what)} must be one line of at most {LONGEST_LABEL} characters without "
        f"control characters; got {printable(repr(label))[:LONGEST_LABEL]}. Rename it."
    )


# files


class SourceError(OSError):
    """A path that can't be read as a file; `strerror` has the reason, `str` the path with it."""

    def __str__(self):
        return f"{str(self.args[0])!r} {self.strerror}"


def open_file(path, limit=None, buffering=-1):
    """Open a regular file for reading; to be used for all names that come from outside.

    Devices and FIFOs aren't opened: reading them may never end. `audio.copy_stream` reads stdin,
    pipes and open files, within limits.

    Parameters
    ----------
    path : path
    limit : int, optional
        Bytes; a larger file is refused.
    buffering : int
        See `open`; 0 gives a raw file.

    Returns
    -------
    binary file object

    Raises
    ------
    SourceError
        If it isn't a regular file, or is too large.
    OSError
        If it doesn't exist, or may not be read.
    """
    _check_regular(path, os.stat(path), limit)  # noqa: PTH116  (opening a device may start it)
    file = open(path, "rb", buffering, opener=_without_waiting)  # noqa: SIM115
    try:
        _check_regular(path, os.fstat(file.fileno()), limit)  # it may have been replaced
    except BaseException:
        file.close()
        raise
    return file


def _without_waiting(path, flags):
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _check_regular(path, status, limit):
    if stat.S_ISDIR(status.st_mode):
        raise SourceError(path, "is a directory; give one of the files in it")
    if not stat.S_ISREG(status.st_mode):
        raise SourceError(path, "isn't a regular file; give a file, or pipe its content in")
    if limit is not None and status.st_size > limit:
        raise SourceError(path, f"has {status.st_size:,} bytes; the limit is {limit:,}")


def read_file(path, limit):
    """Read a whole file through `open_file`: bytes.

    Parameters
    ----------
    path : path
    limit : int
        Bytes; a larger file is refused.

    Raises
    ------
    SourceError, OSError
        As `open_file` does; also if the file grows while it is read.
    """
    with open_file(path, limit) as file:
        size = os.fstat(file.fileno()).st_size  # read(n) allocates n bytes at once
        data = file.read(min(limit, size) + 1)  # it may have grown
    if len(data) > size:
        raise SourceError(path, "grows while it is read; try again")
    return data


@contextmanager
def replacing(path):
    """Context manager: a temporary path that replaces `path` only if the block succeeds.

    Temporary files of processes that were killed in the block are removed by the next process that
    writes to the same folder.

    Parameters
    ----------
    path : path
        Missing folders are made.

    Examples
    --------
    >>> with replacing("notes.txt") as temporary:  # doctest: +SKIP
    ...     temporary.write_text("whole or not at all")
    """
    path = Path(path)
    with _advising(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        _sweep(path.parent.absolute())
        handle, temporary = _temporary(path.parent)
    try:
        yield temporary
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)  # mkstemp's 0600 is for secrets
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
        if handle is not None:
            os.close(handle)


@contextmanager
def _advising(path):
    """Context manager: errors of the block name the file to be written, and say what to do."""
    try:
        yield
    except OSError as error:
        reason = f"{error.strerror}; write to a folder of your own"
        raise type(error)(error.errno, reason, str(path)) from error


def writable(folder, *parts):
    """A path in a folder, if files can be written there: Path; else None, with a warning.

    For optional files such as caches: failing to write them must not lose a result.

    Parameters
    ----------
    folder : path, or None
        Made if need be. None returns None.
    *parts : str
        Parts of the path below `folder`.
    """
    if folder is None:
        return None
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return Path(folder, *parts)
    except OSError as error:
        warnings.warn(
            f"{printable(folder)} can't be written ({error.strerror}): nothing is kept there. Name "
            "a folder of your own.",
            stacklevel=3,
        )
        return None


def _temporary(folder):
    """A new file and its handle, locked while it is in use; the lock ends with the process."""
    while True:
        handle, name = tempfile.mkstemp(dir=folder, prefix=TEMPORARY)
        locked = _locked(handle, name)
        if locked:
            return handle, Path(name)
        os.close(handle)
        if locked is None:
            return None, Path(name)


@lru_cache
def _sweep(folder):
    """Remove temporary files without a lock: those of processes that were killed."""
    for path in folder.glob(f"{TEMPORARY}*") if os.name == "posix" else ():
        with suppress(OSError):  # another process may remove it first
            if path.lstat().st_uid == os.getuid() and path.is_file():
                handle = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
                try:
                    if _locked(handle, path):
                        path.unlink()
                finally:
                    os.close(handle)


def _locked(handle, path):
    """Lock an open file until it is closed; whether that worked and `path` is still its name: bool.

    None where files can't be locked, as on Windows and on some network file systems.
    """
    if fcntl is None:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(os.fstat(handle), os.stat(path))  # noqa: PTH116
    except (BlockingIOError, FileNotFoundError):
        return False
    except OSError:
        return None


@contextmanager
def temporary_folder():
    """Context manager: a new folder in the system's temporary one, removed after the block: Path.

    `tempfile.TemporaryDirectory` leaves its folder behind if Ctrl-C comes while it is being made.

    Raises
    ------
    OSError
        If it can't be made.
    """
    folder = Path(tempfile.gettempdir(), f"ser-{os.urandom(16).hex()}").absolute()
    try:
        folder.mkdir(mode=0o700)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def private_folder():
    """A folder in the system's temporary one for compiled code that a user's processes share: Path.

    Raises
    ------
    OSError
        If it can't be made, or if another user could have put code there.
    """
    if not hasattr(os, "getuid"):
        raise OSError("on Windows the user's own folder for caches is there")
    folder = Path(tempfile.gettempdir(), f"ser-compiled-{os.getuid()}")
    folder.mkdir(mode=0o700, exist_ok=True)
    facts = folder.lstat()
    if not stat.S_ISDIR(facts.st_mode) or facts.st_uid != os.getuid() or facts.st_mode & 0o077:
        raise PermissionError(f"{folder} doesn't belong to this user alone; remove it")
    return folder


@contextmanager
def alone(path):
    """Context manager: lock a path, so that no other process or thread is in a block with it.

    Parameters
    ----------
    path : Path
        A folder, or a file, which is made if need be. The block may remove it.

    Raises
    ------
    OSError
        If another process or thread has locked it.
    """
    with _advising(path):
        handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR | os.O_CREAT, 0o666)
    try:
        if _locked(handle, path) is False:
            raise OSError(f"another run is at work in {path}; wait until it has ended")
        yield
    finally:
        os.close(handle)


def check_clock():
    """Raise OSError if the clock shows a date that zip files, and so model files, can't store.

    Machines without a battery for their clock start in 1970.
    """
    if (year := time.localtime(time.time()).tm_year) < 1980:
        raise OSError(f"the clock of this machine shows {year}; set it, or models can't be saved")


# command lines


class _Quiet:
    """State of `quiet_stderr` that threads share: the descriptor belongs to the whole process."""

    lock, n_inside, kept = threading.Lock(), 0, None


@contextmanager
def quiet_stderr():
    """Context manager: discard all output to file descriptor 2, also that of C and C++ code.

    Several threads may be in it at the same time: the first one redirects the descriptor, the last
    one restores it.
    """
    with _Quiet.lock:
        _Quiet.n_inside += 1
        if _Quiet.n_inside == 1:
            with suppress(OSError), open(os.devnull, "wb") as nowhere:  # noqa: PTH123
                _Quiet.kept = os.dup(2)  # fails where a service has closed it
                os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        with _Quiet.lock:
            _Quiet.n_inside -= 1
            if not _Quiet.n_inside and _Quiet.kept is not None:
                os.dup2(_Quiet.kept, 2)
                os.close(_Quiet.kept)
                _Quiet.kept = None


def make_parser(program, description):
    """Make a parser whose errors are one line: argparse.ArgumentParser.

    Parameters
    ----------
    program, description : str
    """
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(program, description=description, formatter_class=form)
    parser.error = lambda text: parser.exit(2, f"{program}: {printable(text)} (see --help)\n")
    return parser


def complain(program, error):
    """Print an error on stderr, in one line.

    Parameters
    ----------
    program, error : str, or what becomes one
    """
    print(f"{program}: {printable(' '.join(str(error).split()))}", file=sys.stderr, flush=True)


def end_at_interrupt(program):
    """Make Ctrl-C end the process with one line and exit code 130, until `guarded` takes over.

    A program calls this before its imports, which take seconds and have nothing to clean up. It
    also stops garbage collection until `guarded` runs: imports take a sixth less time without it.
    A process that ignores Ctrl-C, as in the background of a shell, goes on ignoring it.

    Parameters
    ----------
    program : str
    """
    gc.disable()

    def end(*_):
        os.write(2, f"{program}: interrupted\n".encode())
        os._exit(130)  # a library could catch an exception during its import

    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, end)
        end_at_interrupt.handler = end


end_at_interrupt.handler = signal.default_int_handler


def guarded(program, work, *args, advice=""):
    """Run a command line; errors and signals end it with one line: int, the exit code.

    It is 0 only for success, 1 for an error (one of `ERRORS`), and 128 plus the signal's number for
    `SIGNALS`: 130 after Ctrl-C, 143 after SIGTERM, 129 after the terminal was closed. Signals raise
    KeyboardInterrupt, so that temporary files are removed.

    Parameters
    ----------
    program : str
        Name for messages.
    work, *args : callable that returns the exit code (or None for 0), and its arguments
    advice : str
        What to do after a signal, printed with its line.
    """
    if not gc.isenabled():
        gc.freeze()  # what was imported stays, so the collector needn't search it
        gc.enable()
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # it warns where $HOME is read-only
    if getattr(sys.stdout, "errors", None) == "strict":  # what it can't encode is escaped
        sys.stdout.reconfigure(errors="backslashreplace")
    with _interrupted_by_signals() as received, _own_warnings():
        try:
            code = work(*args) or 0
            sys.stdout.flush()
        except KeyboardInterrupt:
            complain(program, f"interrupted{advice and '; '}{advice}")
            code = 128 + signal.SIGINT
        except BrokenPipeError:  # nobody reads any more, as after `| head`
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for the last flush
            code = 1
        except ERRORS as error:
            complain(program, error)
            code = 1
    told = [number for number in received if number != signal.SIGINT]
    return 128 + told[0] if told else code


def show_own_warnings():
    """Show the warnings of this project only, in a command line and in its worker processes.

    Warnings of libraries are about code and settings that the users of a command don't know.
    """
    if OWN_WARNINGS in os.environ:
        warnings.showwarning = _shown_if_own


@contextmanager
def _own_warnings():
    """Context manager: show this project's warnings only, if the program is one of its own."""
    before, program = warnings.showwarning, Path(sys.argv[0]).resolve()
    ours = program.is_file() and program.parent == HERE  # else it is a test, whose warnings count
    try:
        if ours:
            os.environ[OWN_WARNINGS] = "1"
            show_own_warnings()
        yield
    finally:
        if ours:
            os.environ.pop(OWN_WARNINGS, None)
            warnings.showwarning = before


def _shown_if_own(message, *_, **__):
    origin = sys._getframe(2).f_code.co_filename  # beyond the warnings module, whatever stacklevel
    if Path(origin).parent == HERE:
        print(f"[!] {printable(message)}", file=sys.stderr)


@contextmanager
def _interrupted_by_signals():
    """Context manager: `SIGNALS` without a handler act like Ctrl-C; dict of those that came."""
    received = {}

    def stop(number, _):
        threading.excepthook = lambda error: None  # joblib's threads complain of being interrupted
        last, received[number] = received.get(number), time.monotonic()
        if last is None or received[number] - last > REPEATED:
            raise KeyboardInterrupt

    ours = signal.SIG_DFL, signal.default_int_handler, end_at_interrupt.handler
    on_main = threading.current_thread() is threading.main_thread()
    before = {number: signal.getsignal(number) for number in SIGNALS if on_main}
    before = {number: handler for number, handler in before.items() if handler in ours}
    for number in before:
        signal.signal(number, stop)
    try:
        yield received
    finally:
        for number in before.keys() - received.keys():  # what came may come again: see REPEATED
            signal.signal(number, before[number])


# names that moved


def moved(module, places):
    """Make a module's `__getattr__` for names that moved to other modules (PEP 562): function.

    The other module is imported when one of the names is first used.

    Parameters
    ----------
    module : str
        `__name__` of the module that had the names.
    places : dict of str to str
        New module to its names, separated by spaces; "old=new" for a renamed one.

    Examples
    --------
    >>> moved("old", {"math": "sqrt root=sqrt"})("root")(4.0)
    2.0
    """
    homes = {
        old: (place, new or old)
        for place, names in places.items()
        for old, _, new in (name.partition("=") for name in names.split())
    }

    def getattribute(name):
        if name not in homes:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        place, new = homes[name]
        return getattr(import_module(place), new)

    return getattribute
