"""What every module needs: checked names and text, one gate for files, command lines, moved names.

Whatever opens a file that a user, a table or another file names does so by `open_file`, whatever
prints a name or a label does so by `printable`, and every command line runs in `guarded`.
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

ERRORS = ImportError, ValueError, OSError  # that a user can mend
SIGNALS = [getattr(signal, s) for s in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, s)]
REPEATED = 1.0  # seconds; `timeout` and process managers send the same signal twice
TEMPORARY = f".ser-{zlib.crc32(platform.node().encode()):08x}-"
"""How temporary files begin: a lock of another machine on the same disk may not be seen here."""
LONGEST_LABEL = 200  # characters
HERE, OWN_WARNINGS = Path(__file__).parent, "SER_OWN_WARNINGS"
READABLE = "\u200c\u200d\u00a0\u3000"
"""Characters that no terminal acts upon and that Python calls unprintable: joiners, wide spaces."""


def check_name(name, legal, what):
    """Return `name` if it is one of `legal`.

    Parameters
    ----------
    name : str
    legal : iterable of str
    what : str
        What the name is of, for the message.

    Raises
    ------
    ValueError
        If it isn't; the message names the legal set and the nearest match.

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
        What one of them is a name of, for the message.

    Raises
    ------
    ValueError
        For an unknown name, or for none at all.

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
        What a name is of, for the message; default "option".

    Raises
    ------
    TypeError
        For a name that is neither; it names the legal ones and the nearest.

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
    """Text for a terminal, a warning or an error: str, in which nothing acts but can only be read.

    Control characters, line breaks, changes of direction and undecodable bytes become \\x1b, \\n,
    \\u202e, \\udcff. Letters of all languages stay.

    Parameters
    ----------
    text : object
        Such as the name of a file, a label, or what somebody has written in a file.
    kept : str
        Characters that stay, too, such as a line break.

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
    """A label or the name of a speaker as it is compared with others: str.

    In NFC, for a Mac writes the names of files in NFD; without spaces around it; in lower case, not
    in `str.casefold`, which would show Spaß as spass.

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
    """Whether a text is a short line without control characters, as labels and speakers are: bool.

    Parameters
    ----------
    text : object
        Bytes of a file name that aren't Unicode are no fault.
    """
    if not isinstance(text, str) or len(text) > LONGEST_LABEL:
        return False
    text = text.encode(errors="replace").decode()
    return printable(text) == text


def check_label(label, what):
    """Return a label, or the name of a speaker or a corpus, if it `is_label`.

    Parameters
    ----------
    label : str
    what : str
        What it is, for the message.

    Raises
    ------
    ValueError
        If it isn't.
    """
    if is_label(label):
        return label
    raise ValueError(
        f"{printable(what)} is one line of at most {LONGEST_LABEL} characters, none of them a "
        f"control character; got {printable(repr(label))[:LONGEST_LABEL]}. Rename it."
    )


# files


class SourceError(OSError):
    """What can't be read as a file: `strerror` says why and what to do, `str` names it, too."""

    def __str__(self):
        return f"{str(self.args[0])!r} {self.strerror}"


def open_file(path, limit=None, buffering=-1):
    """Open a regular file for reading: the gate for all files whose names come from outside.

    A device may never end and a FIFO never begin, so they aren't opened. What is no file and yet
    wanted (stdin, a pipe, an open file) goes through `audio.copy_stream`, which has limits.

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
        If it isn't a regular file, or too large.
    OSError
        If it isn't there, or may not be read.
    """
    _check_regular(path, os.stat(path), limit)  # noqa: PTH116  (opening a device may start it)
    file = open(path, "rb", buffering, opener=_without_waiting)  # noqa: SIM115
    try:
        _check_regular(path, os.fstat(file.fileno()), limit)  # it may be another one by now
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
        raise SourceError(path, f"has {status.st_size:,} bytes; {limit:,} are the most")


def read_file(path, limit):
    """Read a whole file through `open_file`: bytes.

    Parameters
    ----------
    path : path
    limit : int
        Bytes; a larger file is refused.
    """
    with open_file(path, limit) as file:
        size = os.fstat(file.fileno()).st_size  # memory for all that is asked for is taken at once
        data = file.read(min(limit, size) + 1)  # it may have grown
    if len(data) > size:
        raise SourceError(path, "grows while it is read; try again")
    return data


@contextmanager
def replacing(path):
    """A temporary path beside `path` that takes its place only if the block succeeds.

    What a process that was killed in such a block has left in the folder is removed by the next
    process that writes there.

    Parameters
    ----------
    path : path
        Folders on the way are made.

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
    """A block whose errors name the file that was to be written, and say what to do."""
    try:
        yield
    except OSError as error:
        reason = f"{error.strerror}; write to a folder of your own"
        raise type(error)(error.errno, reason, str(path)) from error


def writable(folder, *parts):
    """A path in a folder to which files can be written: Path; else None, and a warning.

    It is for what is worth having, but no reason to lose what has been computed.

    Parameters
    ----------
    folder : path, or None
        Made if need be. None stays None.
    *parts : str
        Of the path below it.
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
    """A new file, and its handle, which marks it as in use: by a lock, which ends with us."""
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
    """Remove the temporary files that nobody has locked: those of processes that were killed."""
    for path in folder.glob(f"{TEMPORARY}*") if os.name == "posix" else ():
        with suppress(OSError):  # another one sweeps, too
            if path.lstat().st_uid == os.getuid() and path.is_file():
                handle = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
                try:
                    if _locked(handle, path):
                        path.unlink()
                finally:
                    os.close(handle)


def _locked(handle, path):
    """Lock an open file until it is closed: whether it is ours now, and `path` still its name.

    None where files can't be locked, as on Windows and in some networks.
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
    """A folder in the system's temporary one that lasts as long as the block: Path.

    That of `tempfile.TemporaryDirectory` stays if Ctrl-C comes between making and noting it.

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
    """A folder in the system's temporary one for code that the processes of a user share: Path.

    Raises
    ------
    OSError
        If it can't be made, or if another user may have put something there, which would be run.
    """
    if not hasattr(os, "getuid"):
        raise OSError("on Windows the user's own folder for caches is there")
    folder = Path(tempfile.gettempdir(), f"ser-compiled-{os.getuid()}")
    folder.mkdir(mode=0o700, exist_ok=True)
    facts = folder.lstat()
    if not stat.S_ISDIR(facts.st_mode) or facts.st_uid != os.getuid() or facts.st_mode & 0o077:
        raise PermissionError(f"{folder} isn't this user's alone")
    return folder


@contextmanager
def alone(path):
    """A block that no other process or thread is in, by this function, with the same path.

    Parameters
    ----------
    path : Path
        A folder, or a file, which is made if need be. The block may remove it.

    Raises
    ------
    OSError
        If another one is.
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
    """Raise OSError if the clock says a date that zip files, and so models, can't have.

    A machine without a battery starts in 1970.
    """
    if (year := time.localtime(time.time()).tm_year) < 1980:
        raise OSError(f"the clock of this machine says {year}: set it, models can't be saved then")


# command lines


class _Quiet:
    """What `quiet_stderr` shares among threads: the descriptor belongs to the whole process."""

    lock, n_inside, kept = threading.Lock(), 0, None


@contextmanager
def quiet_stderr():
    """A block in which nothing reaches file descriptor 2, not even what C and C++ code writes.

    Threads may be in it at the same time: the first one takes the descriptor away, the last one
    puts it back.
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
    """Make Ctrl-C end the process in one line with exit code 130, until `guarded` takes over.

    A program calls this before its imports, which take seconds and have nothing to clean up: they
    take a sixth less time without garbage collection, which waits for `guarded`, too. It leaves a
    process alone that ignores Ctrl-C, as one in the background of a shell does.

    Parameters
    ----------
    program : str
    """
    gc.disable()

    def end(*_):
        os.write(2, f"{program}: interrupted\n".encode())
        os._exit(130)  # an exception could be lost in the import of some library

    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, end)
        end_at_interrupt.handler = end


end_at_interrupt.handler = signal.default_int_handler


def guarded(program, work, *args, advice=""):
    """Run a command line, and end it in one line whatever ends it: int, the exit code.

    It is 0 only for success, 1 for an error (one of `ERRORS`), and 128 and the number of the signal
    for `SIGNALS`: 130 after Ctrl-C, 143 after SIGTERM, 129 for a terminal that was closed. Signals
    raise KeyboardInterrupt, so that temporary files are removed on the way.

    Parameters
    ----------
    program : str
    work, *args : callable that returns the exit code (or None for 0), and its arguments
    advice : str
        What to do after a signal.
    """
    if not gc.isenabled():
        gc.freeze()  # what was imported stays, so nobody has to look through it again
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
    """Where a command line runs, and in its worker processes: show this project's warnings only.

    Those of libraries speak of code and settings that the users of a command don't know.
    """
    if OWN_WARNINGS in os.environ:
        warnings.showwarning = _shown_if_own


@contextmanager
def _own_warnings():
    """A block of a program of ours that shows its own warnings only."""
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
    """A block in which `SIGNALS` that nobody else handles are Ctrl-C: dict of those that came."""
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
    """Make the `__getattr__` of a module for names that now live elsewhere (PEP 562): function.

    The other module is imported when one of the names is first used.

    Parameters
    ----------
    module : str
        `__name__` of the module that once had them.
    places : dict of str to str
        Module to the names that it has now, separated by spaces; "old=new" for a new name.

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
