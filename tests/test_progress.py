"""How far long work is: bars on terminals, lines elsewhere."""

import io
import re
import subprocess
import sys
import threading
import time

import pytest
from conftest import REPO

import progress
from progress import Progress

LOOP = """
import time
import progress
progress.EVERY = 0.01
with progress.Progress(None, "Tuning", 4, unit="fit") as bar:
    bar.update(2)
    bar.set_postfix_str("SVC")
    time.sleep(1)
"""


def in_log(code):
    """What a program writes on stderr where that is no terminal: str."""
    done = subprocess.run([sys.executable, "-c", code], cwd=REPO, capture_output=True, check=True)
    return done.stderr.decode()


def test_a_log_gets_lines_and_no_bar():
    said = in_log(LOOP)
    pattern = r"  Tuning SVC: 2 of 4 fits in \d+ s, about \d+ s to go"
    assert "\r" not in said and re.fullmatch(pattern, said.splitlines()[-1])


def test_results_are_printed_among_the_lines():
    said = in_log(
        LOOP.replace("time.sleep(1)", "progress.Progress.write('row')\n    time.sleep(1)")
    )
    assert "2 of 4" in said


def test_short_work_says_nothing_in_a_log():
    assert in_log(LOOP.replace("0.01", "30")) == ""


def test_nothing_is_said_where_nothing_is_asked_for():
    assert in_log(LOOP.replace('unit="fit"', "disable=True")) == ""


def test_a_terminal_gets_a_bar(monkeypatch):
    screen = io.StringIO()
    screen.isatty = lambda: True
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setattr(progress, "EVERY", 0.01)
    with Progress(range(3), "Comparing", unit="fit", file=screen) as bar:
        assert list(bar) == [0, 1, 2]
        time.sleep(0.1)
    assert "Comparing: 100%" in screen.getvalue() and " to go" not in screen.getvalue()


def test_lines_end_with_what_they_are_about(monkeypatch, capsys):
    monkeypatch.setattr(progress, "EVERY", 0.01)

    def stops():
        for i in Progress(range(5)):
            if i == 2:
                raise ValueError

    before = threading.active_count()
    with pytest.raises(ValueError):
        stops()
    abandoned = Progress(total=3)
    del abandoned
    end = time.monotonic() + 60
    while threading.active_count() > before and time.monotonic() < end:
        time.sleep(0.01)
    assert threading.active_count() == before


@pytest.mark.parametrize(
    ("how", "n", "words"),
    [
        ({"total": 1500, "desc": "Predicting", "unit": "clip"}, 500, "500 of 1,500 clips in 60 s"),
        (
            {"total": 4e6, "desc": "fetching", "unit": "B", "unit_scale": True},
            1e6,
            "1.00M of 4.00M",
        ),
        ({"desc": "Predicting", "unit": "clip"}, 7, "Predicting: 7 clips in 60 s"),
        ({"total": 7, "desc": "Predicting", "unit": "clip"}, 0, "Predicting: 0 of 7 clips in 60 s"),
    ],
)
def test_words(how, n, words, monkeypatch):
    with Progress(**how) as bar:
        bar.update(n)
        found = progress.in_words(bar, 60.0)
    assert words in found and (", about" in found) == bool(n and "total" in how)
