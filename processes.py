"""Processes: parallel work, here or on a cluster, work that strangers ask for, and how all ends.

Worker processes end with the process that started them, however that ended. What was left by one
that was killed outright is removed when the next one starts workers.
"""

import atexit
import errno
import functools
import os
import re
import select
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from contextlib import contextmanager, nullcontext, suppress
from importlib import import_module
from multiprocessing import resource_tracker
from pathlib import Path
from pickle import PicklingError

from joblib import Parallel, parallel_config
from joblib.parallel import BACKENDS, get_active_backend

from checks import SIGNALS, show_own_warnings

FORKS = sys.platform == "linux"  # elsewhere a forked process may not use the system's libraries
IDLE = 60  # seconds that a process of some 100 MB waits for the next task of `Copies`
CLUSTER_TIMEOUT = 10  # seconds for a scheduler to answer
POLL = 0.5  # seconds between a worker's looks at whether its parent lives
SHARED_MEMORY = Path("/dev/shm")
FULL = (
    f"no space is left where processes share arrays and semaphores: see df {SHARED_MEMORY} "
    f"{tempfile.gettempdir()}, and free some, or set JOBLIB_TEMP_FOLDER to a folder with room, or "
    "use one process (n_jobs=1)"
)
warnings.filterwarnings("ignore", r"\d+ tasks (have been success|which were still)", UserWarning)
# joblib's remark on work that is given up, as after an error or into a closed pipe
LEFT = re.compile(r"(?:joblib_memmapping_folder_|sem\.loky-)(\d+)[_-]")
"""What joblib names by the number of its process: folders of arrays, and semaphores on Linux."""


# tasks


def sequential():
    """A block in which nothing is parallel, whatever the n_jobs of an estimator is.

    Workers run their tasks in it (see `task`): parallel work inside parallel work takes more
    threads than there are cores and, on a cluster, waits for tasks that wait for it.

    Examples
    --------
    >>> from joblib import delayed
    >>> with sequential():
    ...     parallel(4)(delayed(abs)(n) for n in (-1, 2))
    [1, 2]
    """
    return parallel_config(backend="sequential")


def task(function):
    """Make a function run under `sequential`, to be given to joblib's `delayed`.

    Parameters
    ----------
    function : callable
        For processes and clusters one of a module's top level, which can be pickled.

    Examples
    --------
    >>> from joblib import delayed
    >>> parallel(1)(delayed(task(abs))(n) for n in (-1, 2))
    [1, 2]
    """
    return functools.partial(_run_sequentially, function)


def _run_sequentially(function, /, *args, **kwargs):
    show_own_warnings()
    with sequential():
        return function(*args, **kwargs)


def without_own_jobs(estimator):
    """An unfitted copy of an estimator that works in one process and one thread.

    Each parameter named n_jobs, its own or of a part, is 1. This is for tasks that can't be wrapped
    by `task` because another library makes them, e.g. scikit-learn's GridSearchCV with processes.

    Parameters
    ----------
    estimator : scikit-learn estimator

    Examples
    --------
    >>> from sklearn.neighbors import KNeighborsClassifier
    >>> without_own_jobs(KNeighborsClassifier(n_jobs=-1))
    KNeighborsClassifier(n_jobs=1)
    """
    from sklearn.base import clone

    jobs = [name for name in estimator.get_params() if name.split("__")[-1] == "n_jobs"]
    return clone(estimator).set_params(**dict.fromkeys(jobs, 1))


# where they are done


def parallel(n_jobs=None, **options):
    """joblib's Parallel, whose processes end with this one.

    Parameters
    ----------
    n_jobs : int, optional
        Processes, as joblib counts them.
    **options
        See joblib.Parallel. An active backend (Dask, Ray, `sequential`) is used as it would.

    Examples
    --------
    >>> from joblib import delayed
    >>> parallel(2)(delayed(abs)(n) for n in (-1, 2))
    [1, 2]
    """
    own = _Workers() if _starts_processes(options.get("prefer")) else None
    return Parallel(n_jobs, backend=own, **options)


def watched():
    """A block in which processes that other libraries start by joblib end with this one, too."""
    return parallel_config(backend=_Workers()) if _starts_processes() else nullcontext()


def _starts_processes(prefer=None):
    return type(get_active_backend(prefer)[0]) is BACKENDS.get("loky")


@contextmanager
def on_cluster(scheduler=None, *arrays):
    """A block in which joblib's parallel work runs on a Dask cluster.

    Inside a task nothing is parallel again, whatever library makes the task.

    Parameters
    ----------
    scheduler : str, optional
        Its address; None leaves the work on this machine. The workers need the project's files on
        their path, and recordings under the same paths as here.
    *arrays : ndarray
        Sent to the workers once, not with every task.

    Raises
    ------
    ModuleNotFoundError
        If dask.distributed isn't installed.
    OSError
        If no scheduler answers at the address.
    """
    if scheduler is None:
        yield
        return
    try:
        from dask.distributed import Client
    except ImportError as error:
        raise ModuleNotFoundError(
            "A cluster needs dask.distributed: pip install -r requirements-cluster.txt"
        ) from error
    from joblib._dask import DaskDistributedBackend

    class SequentialTasks(DaskDistributedBackend):
        def submit(self, func, callback=None):
            func.items = [(task(function), *rest) for function, *rest in func.items]
            return super().submit(func, callback)

    with Client(scheduler, timeout=CLUSTER_TIMEOUT) as client:
        backend = SequentialTasks(client=client, scatter=list(arrays))
        with parallel_config(backend=backend):
            yield


# how they end


class _Workers(BACKENDS.get("loky", BACKENDS["sequential"])):
    """joblib's own processes, which otherwise wait for ever for a parent that was killed.

    joblib has none where it can't make semaphores; it says so, and works in one process.
    """

    def configure(self, n_jobs=1, *args, **kwargs):
        if self.effective_n_jobs(n_jobs) == 1:  # nothing starts: joblib falls back to sequential
            return super().configure(n_jobs, *args, **kwargs)
        sweep()
        own = {"initializer": _follow, "initargs": (os.getpid(),)}
        with _holding(SIGNALS):  # two trackers are started, which know all of them but SIGHUP
            if os.name == "posix":
                resource_tracker.ensure_running()  # in `submit` it would let signals in
            with _explained():
                return super().configure(n_jobs, *args, **own, **kwargs)

    def submit(self, func, callback=None):
        # what starts here isn't told to stop before it can ignore that
        with _holding(SIGNALS), _explained():
            return super().submit(func, callback)

    def retrieve_result_callback(self, out):
        with _explained():
            return super().retrieve_result_callback(out)


@contextmanager
def _explained():
    """A block in which a lack of space, which joblib may call a fault of pickling, is explained."""
    try:
        yield
    except (OSError, PicklingError) as error:
        if os.strerror(errno.ENOSPC) not in f"{error} {error.__cause__}":
            raise
        raise OSError(errno.ENOSPC, FULL) from error


@contextmanager
def _holding(signals):
    """A block after which these signals arrive; processes that it starts hold them, too."""
    if os.name != "posix":
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _follow(parent):
    """In a worker: end when the parent has ended, and leave to it what signals mean."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    if os.name == "posix":
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    threading.Thread(target=_end_after, args=(parent,), daemon=True).start()


def _end_after(parent):
    while os.getppid() == parent:
        time.sleep(POLL)
    os._exit(1)  # then joblib's tracker sees nobody left, and removes what they shared


@functools.cache
def sweep():
    """Remove what joblib left of this user's processes that were killed, its tracker included."""
    if os.name != "posix" or _shares_memory_with_strangers():
        return
    for folder in {SHARED_MEMORY, Path(tempfile.gettempdir())}:
        for path in folder.iterdir() if folder.is_dir() else ():
            owner = LEFT.match(path.name)
            with suppress(OSError):  # another run sweeps, too
                if owner and path.lstat().st_uid == os.getuid() and not _lives(int(owner[1])):
                    link = path.is_symlink()
                    shutil.rmtree(path) if path.is_dir() and not link else path.unlink()


def _lives(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's, who has that number now
        return True
    return True


def _shares_memory_with_strangers():
    """Whether /dev/shm may hold what is of processes that can't be seen: `docker --ipc=host`."""
    ipc, pid = (Path("/proc/self/ns", name) for name in ("ipc", "pid"))
    # the numbers of the first namespaces are constants of Linux (include/linux/proc_ns.h)
    first = ipc.exists() and ipc.stat().st_ino == 0xEFFFFFFF
    return first and pid.stat().st_ino != 0xEFFFFFFC


# work that strangers ask for


class Abandoned(Exception):
    """Nobody waits for the answer any more."""


class Copies:
    """A process that has imported a module, and makes a copy of itself for each task.

    The copy ends with its task: what is asked for may spoil it, and the next task doesn't meet it.
    The process itself has one thread and no task, so that it can be copied, as this one, with
    threads of libraries, can't. It ends with this one, or after some time without a task. Where
    processes can't be copied, each task has a new one.

    Parameters
    ----------
    function : str
        "module:function", of the project: from bytes to bytes or None. It limits itself, see
        `limit_process`.
    """

    def __init__(self, function):
        self._function, self._lock, self._process = function, threading.Lock(), None
        atexit.register(self.end)

    def ask(self, data, patience, abandoned=bool):
        """Have a copy call the function.

        Parameters
        ----------
        data : bytes
        patience : float
            Seconds that it may take.
        abandoned : callable, optional
            Whether nobody waits any more: bool.

        Returns
        -------
        result : bytes
        said : str
            Why there is none, in a line; else "".

        Raises
        ------
        Abandoned
        """
        if not FORKS:
            return _done_apart(self._function, data, patience)
        with self._lock:
            try:
                for _ in range(2):  # it may have ended just now
                    with suppress(BrokenPipeError, EOFError):
                        return self._asked(data, patience, abandoned)
                    self.end()
            except BaseException:  # its answer must not be taken for that to the next
                self.end()
                raise
        return b"", "killed"

    def _asked(self, data, patience, abandoned):
        if self._process is None:
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "bufsize": 0}
            pipes |= {"stderr": subprocess.DEVNULL, "start_new_session": True}  # no Ctrl-C
            self._process = subprocess.Popen(
                _own("copies", self._function), env=_one_thread(), **pipes
            )
        answers = self._process.stdout
        with memoryview(struct.pack("!Qd", len(data), patience) + data) as rest:
            while rest := rest[self._process.stdin.write(rest) :]:
                pass
        while not select.select([answers], [], [], POLL)[0]:
            if abandoned():
                raise Abandoned
        n_said, n_bytes = struct.unpack("!QQ", _read(answers, 16))
        return _read(answers, n_bytes), _read(answers, n_said).decode(errors="replace")

    def end(self):
        """End the process, with a task."""
        if self._process is not None:
            if self._process.poll() is None:
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.communicate()
            self._process = None


def _one_thread():
    """The environment of a process that may be copied."""
    return os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


def _own(what, function):
    """The command of a process that does a function of this module."""
    code = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import processes; "
    return [sys.executable, "-c", f"{code}processes.{what}({function!r})"]


def _read(pipe, n_bytes):
    """So many bytes of an unbuffered pipe, or EOFError."""
    data = bytearray()
    while len(data) < n_bytes:
        if not (more := pipe.read(min(n_bytes - len(data), 2**20))):
            raise EOFError
        data += more
    return bytes(data)


def _function(name):
    module, _, name = name.partition(":")
    return getattr(import_module(module), name)


def copies(name):
    """What the process of `Copies` does: a copy for each size, patience, and data.

    Parameters
    ----------
    name : str
        See `Copies`.
    """
    function, requests = _function(name), sys.stdin.buffer.raw
    while select.select([requests], [], [], IDLE)[0]:
        size, patience = struct.unpack("!Qd", _read(requests, 16))
        said, result = _done_in_copy(function, _read(requests, size), patience)
        said = said.encode(errors="replace")
        for data in (struct.pack("!QQ", len(said), len(result)), result, said):
            sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()


def _done_in_copy(function, data, patience):
    (reading, writing), results = os.pipe(), os.memfd_create("result")
    pid = os.fork()
    if not pid:
        code = 1
        try:
            for number in (1, 2):
                os.dup2(writing, number)
            signal.setitimer(signal.ITIMER_REAL, patience)  # a signal ends it
            with open(results, "wb") as file:  # noqa: PTH123
                file.write(function(data) or b"")
            code = 0
        except BaseException as error:
            os.write(2, f"\n{type(error).__name__}: {error}".encode(errors="replace"))
        finally:
            os._exit(code)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe, os.fdopen(results, "rb") as file:
        said = pipe.read()
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        file.seek(0)
        result = b"" if status else file.read()
    late = status == -signal.SIGALRM
    said = f"nothing in {patience:g} seconds" if late else _last_line(said) if status else ""
    return said, result


def _done_apart(function, data, patience):
    command, how = _own("apart", function), {"capture_output": True, "env": _one_thread()}
    try:
        done = subprocess.run(command, input=data, timeout=patience, **how)
    except subprocess.TimeoutExpired:
        return b"", f"nothing in {patience:g} seconds"
    return (b"", _last_line(done.stderr)) if done.returncode else (done.stdout, "")


def apart(name):
    """Do a function with stdin and write what it returns to stdout; what it prints, to stderr.

    Parameters
    ----------
    name : str
        See `Copies`.
    """
    output = os.dup(1)
    os.dup2(2, 1)
    result = _function(name)(sys.stdin.buffer.read())
    with open(output, "wb") as file:  # noqa: PTH123
        file.write(result or b"")


def _last_line(said):
    return (said.decode(errors="replace").strip().splitlines() or ["killed"])[-1]


def limit_process(seconds, memory):
    """Limit the time of the processor and, on Linux, the memory of this process and its children.

    Parameters
    ----------
    seconds : int
    memory : int
        Bytes beyond what it has.
    """
    with suppress(ImportError, ValueError, OSError):  # where the system can't
        import resource

        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        most = pages * resource.getpagesize() + memory
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
