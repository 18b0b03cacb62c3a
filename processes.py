"""Processes: parallel work, here or on a cluster; untrusted work with limits; clean ends.

Worker processes end with the process that started them, however that ends. What a killed process
leaves behind is removed when the next one starts workers.
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
IDLE = 60  # seconds after which a process of `Copies` (some 100 MB) ends without a task
CLUSTER_TIMEOUT = 10  # seconds for a scheduler to answer
POLL = 0.5  # seconds between a worker's checks that its parent lives
SHARED_MEMORY = Path("/dev/shm")
FULL = (
    f"no space is left where processes share arrays and semaphores (see df {SHARED_MEMORY} "
    f"{tempfile.gettempdir()}): free some, set JOBLIB_TEMP_FOLDER to a folder with free space, or "
    "use one process (n_jobs=1)"
)
warnings.filterwarnings("ignore", r"\d+ tasks (have been success|which were still)", UserWarning)
# joblib's remark on cancelled work, as after an error or a closed pipe
LEFT = re.compile(r"(?:joblib_memmapping_folder_|sem\.loky-)(\d+)[_-]")
"""Names that hold the id of joblib's process: folders of arrays, and semaphores on Linux."""


# tasks


def sequential():
    """Context manager: nothing is parallel in the block, whatever the n_jobs of an estimator.

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
    """Wrap a function so that it runs under `sequential`, for joblib's `delayed`: callable.

    Parameters
    ----------
    function : callable
        For processes and clusters it must be picklable: at the top level of a module.

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
    """An unfitted copy of an estimator that uses one process and one thread: estimator.

    Every parameter named n_jobs, also of nested estimators, is set to 1. For tasks that another
    library makes, so that `task` can't wrap them, e.g. scikit-learn's GridSearchCV with processes.

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


# where tasks run


def parallel(n_jobs=None, **options):
    """joblib's Parallel, with worker processes that end with this one: joblib.Parallel.

    Parameters
    ----------
    n_jobs : int, optional
        Processes, as joblib counts them.
    **options
        See joblib.Parallel. An active backend (Dask, Ray, `sequential`) is used as by joblib.

    Examples
    --------
    >>> from joblib import delayed
    >>> parallel(2)(delayed(abs)(n) for n in (-1, 2))
    [1, 2]
    """
    own = _Workers() if _starts_processes(options.get("prefer")) else None
    return Parallel(n_jobs, backend=own, **options)


def watched():
    """Context manager: processes that other libraries start by joblib end with this one, too."""
    return parallel_config(backend=_Workers()) if _starts_processes() else nullcontext()


def _starts_processes(prefer=None):
    return type(get_active_backend(prefer)[0]) is BACKENDS.get("loky")


@contextmanager
def on_cluster(scheduler=None, *arrays):
    """Context manager: joblib's parallel work runs on a Dask cluster.

    Inside a task nothing is parallel again, whatever library makes the task.

    Parameters
    ----------
    scheduler : str, optional
        Address of the scheduler; None: work on this machine. The workers need the project's files
        on their path, and recordings under the same paths as here.
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


# how processes end


class _Workers(BACKENDS.get("loky", BACKENDS["sequential"])):
    """joblib's process backend; its workers would otherwise wait for ever for a killed parent.

    joblib lacks it on systems without semaphores: it then warns, and uses one process.
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
        # processes that start here get no signal before they can ignore it
        with _holding(SIGNALS), _explained():
            return super().submit(func, callback)

    def retrieve_result_callback(self, out):
        with _explained():
            return super().retrieve_result_callback(out)


@contextmanager
def _explained():
    """Context manager: explain a lack of space, which joblib may report as a pickling error."""
    try:
        yield
    except (OSError, PicklingError) as error:
        if os.strerror(errno.ENOSPC) not in f"{error} {error.__cause__}":
            raise
        raise OSError(errno.ENOSPC, FULL) from error


@contextmanager
def _holding(signals):
    """Context manager: block signals until after the block, also in processes started in it."""
    if os.name != "posix":
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _follow(parent):
    """In a worker: end when the parent has ended, and leave signals to the parent."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    if os.name == "posix":
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    threading.Thread(target=_end_after, args=(parent,), daemon=True).start()


def _end_after(parent):
    while os.getppid() == parent:
        time.sleep(POLL)
    os._exit(1)  # then joblib's tracker finds no process left, and removes shared files


@functools.cache
def sweep():
    """Remove files of joblib left by this user's processes that were killed with their tracker."""
    if os.name != "posix" or _shares_memory_with_strangers():
        return
    for folder in {SHARED_MEMORY, Path(tempfile.gettempdir())}:
        for path in folder.iterdir() if folder.is_dir() else ():
            owner = LEFT.match(path.name)
            with suppress(OSError):  # another run may remove it first
                if owner and path.lstat().st_uid == os.getuid() and not _lives(int(owner[1])):
                    link = path.is_symlink()
                    shutil.rmtree(path) if path.is_dir() and not link else path.unlink()


def _lives(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's process has that id now
        return True
    return True


def _shares_memory_with_strangers():
    """Whether /dev/shm may be shared with processes invisible here (`docker --ipc=host`): bool."""
    ipc, pid = (Path("/proc/self/ns", name) for name in ("ipc", "pid"))
    # the inode numbers of the initial namespaces are constants (include/linux/proc_ns.h)
    first = ipc.exists() and ipc.stat().st_ino == 0xEFFFFFFF
    return first and pid.stat().st_ino != 0xEFFFFFFC


# untrusted work


class Abandoned(Exception):
    """The client no longer waits for the answer."""


class Copies:
    """A process that has imported a module, and forks for each task.

    The fork ends with its task, so that untrusted data can't affect later tasks. The process has
    one thread and no task of its own, so it can be forked safely, which this one, with threads of
    libraries, can't. It ends with this one, or after `IDLE` seconds without a task. On systems
    without a safe fork, each task has a new process.

    Parameters
    ----------
    function : str
        "module:function" of the project, from bytes to bytes or None. It limits its own time and
        memory, see `limit_process`.
    """

    def __init__(self, function):
        self._function, self._lock, self._process = function, threading.Lock(), None
        atexit.register(self.end)

    def ask(self, data, patience, abandoned=bool):
        """Call the function in a fork.

        Parameters
        ----------
        data : bytes
            Argument of the function.
        patience : float
            Seconds that it may take.
        abandoned : callable, optional
            Returns whether the client no longer waits: bool.

        Returns
        -------
        result : bytes
        said : str
            One line that says why there is no result; else "".

        Raises
        ------
        Abandoned
            If the client no longer waits.
        """
        if not FORKS:
            return _done_apart(self._function, data, patience)
        with self._lock:
            try:
                for _ in range(2):  # it may have ended just now
                    with suppress(BrokenPipeError, EOFError):
                        return self._asked(data, patience, abandoned)
                    self.end()
            except BaseException:  # its answer must not be taken for that to the next task
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
    """Environment variables of a process that can be forked safely: those that limit threads."""
    return os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


def _own(what, function):
    """The command of a process that runs a function of this module."""
    code = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import processes; "
    return [sys.executable, "-c", f"{code}processes.{what}({function!r})"]


def _read(pipe, n_bytes):
    """Read `n_bytes` of an unbuffered pipe, or raise EOFError."""
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
    """Main loop of the process of `Copies`: fork for each task (size, patience, data) on stdin.

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
    """Call a function with stdin; its result goes to stdout, what it prints to stderr.

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
    """Limit the CPU time and, on Linux, the memory of this process and its children.

    Parameters
    ----------
    seconds : int
        CPU time.
    memory : int
        Bytes beyond those in use now.
    """
    with suppress(ImportError, ValueError, OSError):  # where the system can't
        import resource

        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        most = pages * resource.getpagesize() + memory
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
