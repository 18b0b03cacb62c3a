"""Checked names and text, the gate for files, interrupted programs, names that moved."""

import ast
import contextlib
import os
import pickle
import re
import signal
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import pytest
from conftest import REPO, bundled_clip

import checks
from checks import (
    SourceError,
    alone,
    check_label,
    check_name,
    check_names,
    folded,
    guarded,
    is_label,
    moved,
    open_file,
    printable,
    private_folder,
    read_file,
    replacing,
    temporary_folder,
)

posix = pytest.mark.skipif(os.name != "posix", reason="FIFOs and signals are POSIX's")


def test_a_legal_name_is_returned_and_another_is_an_error_with_the_nearest():
    assert check_name("mel", ("mfcc", "mel"), "feature") == "mel"
    with pytest.raises(ValueError, match=r"feature 'mell'; choose from mfcc, mel\. .*'mel'"):
        check_name("mell", ("mfcc", "mel"), "feature")
    with pytest.raises(ValueError, match=r"Unknown speed 3; choose from 1, 2\.$"):
        check_name(3, (1, 2), "speed")


def test_names_come_once_in_the_order_of_the_legal_ones():
    legal = ("mfcc", "chroma", "mel")
    assert check_names(["mel", "mfcc", "mel"], legal, "feature") == ("mfcc", "mel")
    assert check_names("mel", legal, "feature") == ("mel",)
    for wrong in ([], ()):
        with pytest.raises(ValueError, match="No feature given; choose from mfcc, chroma, mel"):
            check_names(wrong, legal, "feature")
    with pytest.raises(ValueError, match="Did you mean 'chroma'"):
        check_names(["mel", "chrom"], legal, "feature")


def test_labels_are_compared_in_one_form():
    for spelling in ("Anna", " anna ", "ANNA\u3000"):
        assert folded(spelling) == "anna"
    mac = "fro\u0308hlich"  # NFD, as a Mac writes the names of files
    assert folded(mac) == folded("FRÖHLICH") == folded("fröhlich ") == "fröhlich"
    assert folded("Spaß") == "spaß" and folded("ΧΑΡΆ") == "χαρά" and folded("怒り") == "怒り"


def test_a_moved_name_is_imported_when_it_is_used():
    find = moved("old", {"math": "sqrt root=sqrt", "no_such_module": "later"})
    assert find("sqrt") is find("root") is __import__("math").sqrt
    with pytest.raises(AttributeError, match="module 'old' has no attribute 'cbrt'"):
        find("cbrt")
    with pytest.raises(ModuleNotFoundError):
        find("later")


@pytest.mark.parametrize(
    ("old", "name", "new", "now"),
    [
        ("voice", "Voice", "speech_features", "SpeechFrames"),
        ("voice", "SUMS", "speech_features", "SUMS"),
        ("features", "VOICE_FEATURES", "features", "SPEECH_FEATURES"),
        ("features", "Course", "features", "Contour"),
        ("features", "mel_filters", "kernels", "mel_filters"),
        ("features", "check_name", "checks", "check_name"),
        ("utils", "replacing", "checks", "replacing"),
        ("utils", "AVAILABLE_EMOTIONS", "parameters", "AVAILABLE_EMOTIONS"),
    ],
)
def test_old_names_are_where_they_were(old, name, new, now):
    assert getattr(__import__(old), name) is getattr(__import__(new), now)
    with pytest.raises(AttributeError, match=f"module '{old}' has no attribute 'nothing'"):
        __import__(old).nothing


# text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("żal, 悲しい, غم, ‌می‌روم, 😀 a\u3000b", "żal, 悲しい, غم, ‌می‌روم, 😀 a\u3000b"),
        ("\x1b[2J\x9b31m\x07\x7f", r"\x1b[2J\x9b31m\x07\x7f"),
        ("a\nb\rc\td\u2028e", r"a\nb\rc\td\u2028e"),
        ("gpj.\u202ewav", r"gpj.\u202ewav"),
        (os.fsdecode(b"z\xeb.wav"), r"z\udceb.wav"),
        (ValueError("\x00"), r"\x00"),
    ],
)
def test_what_is_printed_can_only_be_read(text, shown):
    assert printable(text) == shown
    shown.encode()  # and printed on any terminal


def test_line_breaks_stay_where_they_are_wanted():
    assert printable("a\nb\x1b", "\n") == "a\nb\\x1b"


def test_labels_are_short_lines_of_plain_text():
    for label in ("sad", "zły humor", "-1", "=1+1", os.fsdecode(b"z\xeb")):
        assert is_label(label) and check_label(label, "emotion") == label
    for label in ("a\nb", "a\x1bb", "a\u202eb", "a" * 201, 3, None):
        assert not is_label(label)
        with pytest.raises(
            ValueError, match=r"t\.csv: emotion must be one line .* Rename it"
        ) as caught:
            check_label(label, "t.csv: emotion")
        assert str(caught.value).isprintable()


# files


@posix
@pytest.mark.parametrize("limit", [None, 10])
def test_only_regular_files_are_opened(tmp_path, limit):
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to("/dev/zero")
    for name in ("fifo", "link", "/dev/null"):
        with pytest.raises(SourceError, match="isn't a regular file") as caught:
            open_file(tmp_path / name, limit)
        assert str(caught.value).startswith(repr(str(tmp_path / name)))
        assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)
    with pytest.raises(SourceError, match="is a directory"):
        open_file(tmp_path, limit)
    with pytest.raises(FileNotFoundError):
        open_file(tmp_path / "none", limit)


@posix
def test_a_file_that_becomes_another_between_looking_and_opening_is_not_read(tmp_path, monkeypatch):
    path = tmp_path / "swapped"
    path.write_text("regular")
    look = checks._check_regular

    def swapping(*args):
        look(*args)
        if not path.is_fifo():
            path.unlink()
            os.mkfifo(path)

    monkeypatch.setattr(checks, "_check_regular", swapping)
    with pytest.raises(SourceError, match="isn't a regular file"):
        open_file(path)  # and doesn't wait for somebody to write


def test_a_file_is_read_up_to_a_limit(tmp_path):
    (tmp_path / "file").write_bytes(b"0123456789")
    assert read_file(tmp_path / "file", 10) == b"0123456789"
    with pytest.raises(SourceError, match="has 10 bytes; the limit is 9"):
        read_file(tmp_path / "file", 9)
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(SourceError, match="1,099,511,627,776 bytes"):
        read_file(tmp_path / "sparse", 2**20)


OWN = {
    "augmentation.py",
    "download.py",
    "download_data.py",
    "estimators.py",
    "grid_search.py",
    "networks.py",
    "processes.py",
}
"""They read what they have written themselves, or what the system says."""


def test_nothing_goes_round_the_gate():
    around = re.compile(r"read_bytes\(|read_text\(|open\(\"rb\"|sf\.(info|read)\(|copyfileobj\(")
    found = {path.name for path in REPO.glob("*.py") if around.search(path.read_text())}
    assert found <= OWN


def started(*command, **env):
    """A program in a process of its own, that hasn't ended."""
    return subprocess.Popen(
        [sys.executable, *map(str, command)],
        cwd=REPO,
        env=os.environ | {name: str(value) for name, value in env.items()},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # pytest's own Ctrl-C isn't theirs, nor theirs pytest's
    )


def names(folder):
    return [path.name for path in folder.iterdir()]


def test_replacing_puts_the_whole_file_in_place(tmp_path):
    path = tmp_path / "new folder" / "notes.txt"
    with replacing(path) as temporary:
        temporary.write_text("first")
        assert not path.exists()
    with replacing(path) as temporary:
        temporary.write_text("second")
        assert path.read_text() == "first"  # a reader in the meantime sees a whole file
    assert path.read_text() == "second"
    assert names(path.parent) == ["notes.txt"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_replacing_leaves_the_old_file_whole_when_the_block_raises(tmp_path, error):
    path = tmp_path / "notes.txt"
    path.write_text("old and whole")
    with pytest.raises(error), replacing(path) as temporary:
        temporary.write_text("new but ha")
        raise error
    assert path.read_text() == "old and whole"
    assert names(tmp_path) == ["notes.txt"]


def test_replacing_leaves_nothing_where_there_was_nothing(tmp_path):
    with contextlib.suppress(ZeroDivisionError), replacing(tmp_path / "x") as temporary:
        temporary.write_text(str(1 / 0))
    assert names(tmp_path) == []


@pytest.mark.skipif(os.name != "posix", reason="permissions are POSIX's")
def test_a_replaced_file_is_as_readable_as_any_new_one(tmp_path):
    (tmp_path / "plain").touch()
    with replacing(tmp_path / "replaced") as temporary:
        temporary.write_text("x")
    modes = {(tmp_path / name).stat().st_mode for name in ("plain", "replaced")}
    assert len(modes) == 1


@pytest.fixture
def writing(tmp_path):
    """Start processes that write in a folder and don't end; the file that each has begun."""
    code = "import checks, pathlib, sys\n"
    code += "with checks.replacing(pathlib.Path(sys.argv[1], 'notes.txt')) as temporary:\n"
    code += (
        "    temporary.write_text('half')\n    print(temporary, flush=True)\n    sys.stdin.read()"
    )
    begun = []

    def start():
        process = started("-c", code, tmp_path)
        begun.append(process)
        return process, Path(process.stdout.readline().strip())

    yield start
    for process in begun:
        process.kill()
        process.communicate(timeout=60)


@posix
def test_what_a_killed_process_was_writing_goes_at_the_next_write(writing, tmp_path):
    killed, left = writing()
    killed.kill()
    killed.wait(60)
    assert left.read_text() == "half"
    (_, in_use), (_, other) = writing(), writing()
    assert not left.exists() and in_use.exists() and other.exists()


@posix
def test_only_ours_and_nobodys_is_swept(writing, tmp_path):
    checks._sweep.cache_clear()
    _, in_use = writing()
    elsewhere = tmp_path / ".ser-0000-elsewhere"  # of another machine, whose locks aren't seen here
    kept = [elsewhere, tmp_path / ".notes.txt.abc", tmp_path / f"{checks.TEMPORARY}folder"]
    for path in kept[:2]:
        path.touch()
    kept[2].mkdir()
    outside = tmp_path / "folder" / "outside"
    outside.parent.mkdir()
    outside.touch()
    (tmp_path / f"{checks.TEMPORARY}link").symlink_to(outside)
    os.mkfifo(tmp_path / f"{checks.TEMPORARY}pipe")
    dead = tmp_path / f"{checks.TEMPORARY}dead"
    dead.touch()
    with replacing(tmp_path / "x"):
        assert not dead.exists() and outside.exists() and in_use.exists()
        assert all(path.exists() for path in kept)


def test_nothing_is_lost_where_files_cannot_be_locked(tmp_path, monkeypatch):
    checks._sweep.cache_clear()
    monkeypatch.setattr(checks, "fcntl", None)  # as on Windows
    (tmp_path / f"{checks.TEMPORARY}unknown").touch()
    with replacing(tmp_path / "x") as temporary:
        temporary.write_text("whole")
    assert (tmp_path / "x").read_text() == "whole"
    assert len(names(tmp_path)) == 2  # who knows whose the other one is


@posix
@pytest.mark.parametrize("kind", ["folder", "file"])
def test_two_are_not_at_work_in_one_place(tmp_path, kind):
    path = tmp_path / "place"
    if kind == "folder":
        path.mkdir()
    code = "import checks, pathlib, sys\nwith checks.alone(pathlib.Path(sys.argv[1])):\n"
    with alone(path):
        with pytest.raises(OSError, match="another run is at work in "), alone(path):
            """Nor two threads."""
        with alone(tmp_path):
            """Elsewhere they are."""
        with started("-c", code + "    print('in')", path) as process:
            assert "another run" in process.communicate(timeout=60)[1]
    with started("-c", code + "    print('in', flush=True); sys.stdin.read()", path) as process:
        assert process.stdout.readline() == "in\n"
        with pytest.raises(OSError, match="another run"), alone(path):
            """It is still there."""
        process.kill()  # the lock ends with it
        process.wait(60)
        with alone(path):
            assert path.exists()


# the clock


def test_a_temporary_folder_goes_with_its_block(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with temporary_folder() as folder:
        assert folder.parent == tmp_path
        Path(folder, "part").write_text("x")
        if os.name == "posix":
            assert folder.stat().st_mode & 0o777 == 0o700
    assert not list(tmp_path.iterdir())


def test_ctrl_c_while_a_temporary_folder_is_made_leaves_none(tmp_path, monkeypatch):
    def interrupted(path, **settings):
        made(path, **settings)
        raise KeyboardInterrupt

    made = Path.mkdir
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(Path, "mkdir", interrupted)
    with pytest.raises(KeyboardInterrupt), temporary_folder():
        pass
    assert not list(tmp_path.iterdir())


@posix
def test_a_private_folder_is_the_same_each_time_and_nobody_elses(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    folder = private_folder()
    assert folder == private_folder() and folder.parent == tmp_path
    assert folder.stat().st_mode & 0o777 == 0o700
    folder.chmod(0o770)
    with pytest.raises(PermissionError, match="doesn't belong to this user alone"):
        private_folder()
    folder.rmdir()
    folder.symlink_to(tmp_path)
    with pytest.raises(PermissionError, match="doesn't belong to this user alone"):
        private_folder()


def test_a_clock_before_zip_files_is_named(monkeypatch):
    checks.check_clock()
    monkeypatch.setattr(checks.time, "time", lambda: 0.0)
    with pytest.raises(OSError, match=r"shows (1970|1969); set it"):
        checks.check_clock()


@pytest.mark.parametrize("path", sorted(REPO.glob("*.py")), ids=lambda path: path.name)
def test_no_wait_or_rate_depends_on_the_clock(path):
    """It may be turned back. The cache compares it with the dates of files; results have a date."""
    allowed = {"checks.py": ["time.time"], "feature_cache.py": ["time.time_ns"]}
    calls = [
        n.func for n in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(n, ast.Call)
    ]
    found = [ast.unparse(call) for call in calls]
    clocks = "time.time", "time.time_ns", "datetime.now", "datetime.datetime.now"
    assert [name for name in found if name in clocks] == allowed.get(path.name, [])


# command lines


def test_a_guarded_program_ends_with_its_code_or_one_line(capsys):
    def failing(error):
        raise error

    assert guarded("x.py", lambda: None) == guarded("x.py", int) == 0
    assert guarded("x.py", lambda code: code, 3) == 3
    assert capsys.readouterr() == ("", "")
    assert guarded("x.py", failing, OSError("no\n  \x1b[2Jdisk")) == 1
    assert capsys.readouterr().err == "x.py: no \\x1b[2Jdisk\n"
    assert guarded("x.py", failing, KeyboardInterrupt(), advice="go on by --resume") == 130
    assert capsys.readouterr().err == "x.py: interrupted; go on by --resume\n"
    with pytest.raises(ZeroDivisionError):  # a fault of ours is shown in full
        guarded("x.py", failing, ZeroDivisionError())


PROGRAMS = {
    "commands.py": "emotion_recognition.py",
    "convert_wavs.py": "convert_wavs.py",
    "create_csv.py": "create_csv.py",
    "download_data.py": "download_data.py",
    "emotion_recognition.py": "emotion_recognition.py",
    "evaluation.py": "evaluation.py",
    "grid_search.py": "grid_search.py",
    "serve.py": "serve.py",
    "test.py": "test.py",
}


@posix
@pytest.mark.parametrize("program", PROGRAMS)
def test_ctrl_c_ends_a_program_in_one_line_while_it_imports(program, tmp_path):
    slow = "import time\nprint('importing', flush=True)\n"
    slow += "while True:\n    try:\n        time.sleep(0.1)\n    except: pass\n"  # as libraries may
    for library in ("numpy", "pandas"):
        (tmp_path / f"{library}.py").write_text(slow)
    with started(program, "-h", PYTHONPATH=tmp_path) as process:
        assert process.stdout.readline() == "importing\n"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (130, "", f"{PROGRAMS[program]}: interrupted\n")


def test_garbage_is_collected_again_when_a_program_has_imported_all():
    code = "import checks, gc, sys; checks.end_at_interrupt('x.py'); assert not gc.isenabled()\n"
    code += "work = lambda: 0 if gc.isenabled() and gc.get_freeze_count() else 3\n"
    code += "sys.exit(checks.guarded('x.py', work))"
    assert subprocess.run([sys.executable, "-c", code], cwd=REPO).returncode == 0


@posix
def test_ctrl_c_ends_a_program_in_one_line_while_it_works():
    code = "import checks, sys, time; checks.end_at_interrupt('x.py')\n"
    code += "def work():\n    try:\n        print('working', flush=True); time.sleep(60)\n"
    code += "    finally:\n        print('cleaned up', flush=True)\n"
    code += "sys.exit(checks.guarded('x.py', work))"
    with started("-c", code) as process:
        assert process.stdout.readline() == "working\n"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (130, "cleaned up\n", "x.py: interrupted\n")


@posix
def test_a_program_that_is_to_ignore_ctrl_c_does():
    code = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
    code += "import checks; checks.end_at_interrupt('x.py')\n"
    code += "import os; os.kill(os.getpid(), signal.SIGINT)\n"
    code += "checks.guarded('x.py', os.kill, os.getpid(), signal.SIGINT); print('done')"
    with started("-c", code) as process:
        assert process.communicate(timeout=60) == ("done\n", "")


ENDINGS = {
    "return 3": 3,
    "sys.exit(4)": 4,
    "return": 0,
    "raise KeyboardInterrupt": 130,
    "os.kill(os.getpid(), signal.SIGTERM)": 143,
    # as test.py takes Ctrl-C for its end
    "try: os.kill(os.getpid(), signal.SIGTERM)\n    except KeyboardInterrupt: return 0": 143,
    "try: os.kill(os.getpid(), signal.SIGINT)\n    except KeyboardInterrupt: return 0": 0,
    # `timeout` sends it twice; the second must not end what removes temporary files
    "try: os.kill(os.getpid(), signal.SIGTERM)\n"
    "    finally: os.kill(os.getpid(), signal.SIGTERM); print('cleaned up')": 143,
}


@posix
@pytest.mark.parametrize("body", ENDINGS)
def test_exit_codes_of_scripts(body):
    code = "import os, signal, sys\nfrom checks import guarded\n"
    code += f"def main():\n    {body}\nsys.exit(guarded('x.py', main))"
    done = subprocess.run([sys.executable, "-c", code], cwd=REPO, capture_output=True, text=True)
    assert done.returncode == ENDINGS[body]
    assert done.stderr in ("", "x.py: interrupted\n")
    assert done.stdout == "cleaned up\n" * ("cleaned up" in body)


def test_what_others_do_at_a_signal_stays_theirs():
    def theirs(*_):
        """As a server's."""

    before = signal.signal(signal.SIGTERM, theirs)
    try:
        assert guarded("x.py", lambda: signal.getsignal(signal.SIGTERM) is not theirs) == 0
    finally:
        signal.signal(signal.SIGTERM, before)


@posix
def test_nothing_of_a_guarded_command_line_stays():
    handlers = [signal.getsignal(number) for number in checks.SIGNALS]
    inside = []
    guarded("x.py", lambda: inside.extend(map(signal.getsignal, checks.SIGNALS)))
    ours = {*inside} - {signal.SIG_IGN}  # by nohup
    assert len(ours) == 1 and not ours & {*handlers}
    assert [signal.getsignal(number) for number in checks.SIGNALS] == handlers


def scripts():
    """Every script of the repository, by its path there: dict to its text."""
    paths = [p for pattern in ("*.py", "*/*.py") for p in REPO.glob(pattern)]
    own = [path for path in paths if path.parent.name != "tests"]
    texts = {path.relative_to(REPO).as_posix(): path.read_text("utf-8") for path in own}
    return {name: text for name, text in texts.items() if 'if __name__ == "__main__":' in text}


@pytest.mark.parametrize("name", sorted(scripts().keys() - {"emotion_recognition.py"}))
def test_every_script_has_the_one_end(name):
    text = scripts()[name]
    if "/" in name:
        assert text.endswith(f'    sys.exit(guarded("{Path(name).name}", main))\n')
    else:  # its `main` is called by others, too, and it takes seconds to import
        program = PROGRAMS[name]
        assert f'    return guarded("{program}", ' in text or "    return guarded(PROGRAM, " in text
        assert f'    end_at_interrupt("{program}")' in text
        assert text.endswith("    sys.exit(main())\n")


@pytest.fixture
def nowhere(tmp_path):
    """A folder that can't be made, not even by root, who may write to what is read-only."""
    (tmp_path / "file").write_text("in the way")
    return tmp_path / "file" / "folder"


def test_a_place_that_cannot_be_written_is_named_with_advice(nowhere):
    for write in (replacing, lambda path: alone(path)):
        refused = pytest.raises(OSError, match=r"write to a folder of your own: .*mine\.csv'")
        with refused, write(nowhere / "mine.csv"):
            pass


def test_what_is_not_needed_is_not_written_where_it_cannot_be(nowhere, tmp_path):
    with pytest.warns(UserWarning, match="folder can't be written .*Name a folder of your own"):
        assert checks.writable(nowhere, "weights") is None
    assert checks.writable(None) is None
    assert checks.writable(tmp_path / "new", "a", "b") == tmp_path / "new" / "a" / "b"
    assert list((tmp_path / "new").iterdir()) == []


@pytest.mark.slow
def test_a_home_that_cannot_be_written_makes_no_library_complain(nowhere):
    """onnxruntime keeps a number there, matplotlib the names of fonts."""
    clip = bundled_clip("happy")
    command = [sys.executable, "emotion_recognition.py", "timeline", clip, "--write", "png"]
    names = ("HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "SER_CACHE_DIR")
    env = os.environ | dict.fromkeys(names, str(nowhere))
    env.pop("MPLCONFIGDIR", None)
    command += ["--output", str(nowhere.parents[1] / "pictures")]
    done = subprocess.run(command, cwd=REPO, env=env, capture_output=True, text=True)
    assert done.returncode == 0
    assert [line.split(": ")[0].split() for line in done.stderr.splitlines()] in (
        [["written"]],
        [[clip], ["written"]],
    )


def test_threads_share_a_quiet_descriptor():
    code = """
import os, threading, time
from checks import quiet_stderr
def quiet(i):
    for _ in range(200):
        with quiet_stderr():
            os.write(2, b"noise")
            time.sleep(0.0001 * i)
threads = [threading.Thread(target=quiet, args=[i]) for i in range(4)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
os.write(2, b"heard")
os.close(2)
with quiet_stderr():
    pass
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=REPO, capture_output=True)
    assert (done.returncode, done.stderr) == (0, b"heard")


@pytest.mark.parametrize("n_jobs", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_users_of_commands_see_no_warnings_of_libraries(n_jobs, tmp_path):
    """Of ours they see the text, without a line of code."""
    code = (
        "import sys, checks\n"
        "from joblib import delayed\n"
        "from processes import parallel, task\n"
        "from sklearn.neural_network import MLPClassifier\n"
        f"sys.argv[0] = {str(REPO / 'grid_search.py')!r}\n"
        "def work():\n"
        "    fit = MLPClassifier(max_iter=1).fit\n"  # which warns that it hasn't converged
        f"    parallel({n_jobs})([delayed(task(fit))([[0.0], [1.0]], [0, 1])] * 2)\n"
        f"    checks.writable({str(tmp_path / 'file' / 'folder')!r})\n"
        "sys.exit(checks.guarded('grid_search.py', work))\n"
    )
    (tmp_path / "file").touch()
    done = subprocess.run([sys.executable, "-c", code], cwd=REPO, capture_output=True, text=True)
    assert done.returncode == 0 and done.stderr.startswith("[!]"), done.stderr
    assert "Warning" not in done.stderr and "converged" not in done.stderr


def test_warnings_count_again_once_a_command_line_has_ended(monkeypatch):
    monkeypatch.setattr(sys, "argv", [str(REPO / "grid_search.py")])
    assert guarded("grid_search.py", lambda: checks.OWN_WARNINGS not in os.environ) == 0
    assert checks.OWN_WARNINGS not in os.environ
    with pytest.warns(UserWarning, match="of a test"):
        warnings.warn("of a test", stacklevel=1)
