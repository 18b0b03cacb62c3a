"""Every input that ever was a finding is handled as its line says, and findings are found."""

import json
import random
import re
import subprocess
import sys

import fuzzing
import pytest
from fuzzing import CASES, TARGETS, Target

RIGHT = json.loads((CASES / "right.json").read_text())
"""What is right: "read", or an error and a part of its message; for people, what else to know."""


def test_every_case_has_a_line_and_every_line_a_case():
    assert sorted(RIGHT) == sorted(path.name for name in TARGETS for path in fuzzing.cases(name))


@pytest.mark.parametrize("case", RIGHT)
def test_a_case_is_handled_as_its_line_says(case):
    found = fuzzing.replayed(TARGETS[case.partition("-")[0]], CASES / case)
    kind, _, words = RIGHT[case].partition(": ")
    assert found.partition(": ")[0] == kind, found
    assert kind == "read" or words in found


@pytest.mark.parametrize("name", TARGETS)
def test_the_seeds_are_right(name, tmp_path):
    path = tmp_path / f"seed{TARGETS[name].ending}"
    for data in TARGETS[name].seeds():
        path.write_bytes(data)
        assert fuzzing.replayed(TARGETS[name], path) == "read"


def toy(path):
    """Refuse what has no letter; fail at an x before a y."""
    data = path.read_bytes()
    if not re.search(rb"[a-z]", data):
        raise ValueError(f"{path} has no letter")
    if b"y" in data.partition(b"x")[2]:
        raise KeyError("found")


TOY = Target(".txt", lambda: [b"a", b"bxc", b"dye"], toy, (ValueError,))


def test_a_finding_is_made_as_small_as_can_be(tmp_path):
    assert fuzzing.failure(TOY, b"12", tmp_path) == fuzzing.failure(TOY, b"yx", tmp_path) == ""
    assert "KeyError in test_fuzzing.py" in fuzzing.failure(TOY, b"a long x and y", tmp_path)
    assert fuzzing.smallest(TOY, b"y, then a long x, and a y at last", tmp_path) == b"xy"


def test_a_crash_and_a_message_without_a_name_are_findings(tmp_path):
    crash = TOY._replace(parse=lambda path: __import__("os").abort())
    assert "status" in fuzzing.failure(crash, b"", tmp_path)

    def refuse(path):
        raise ValueError("no")

    assert "ValueError" in fuzzing.failure(TOY._replace(parse=refuse), b"", tmp_path)


def test_memory_beyond_the_limit_is_a_finding(tmp_path, monkeypatch):
    monkeypatch.setattr(fuzzing, "MEMORY", 2**24)
    size = fuzzing.peak()
    greedy = TOY._replace(parse=lambda path: b"1" * size)
    assert "MemoryError" in fuzzing.failure(greedy, b"", tmp_path)


@pytest.mark.parametrize("engine", [pytest.param("installed", marks=pytest.mark.slow), "plain"])
def test_the_loop_finds_what_is_there(engine, tmp_path):
    code = "import fuzzing, test_fuzzing\nfuzzing.TARGETS['toy'] = test_fuzzing.TOY\n"
    code += "fuzzing._atheris = lambda: None\n" if engine == "plain" else ""
    code += f"fuzzing.fuzz('toy', 60, 0, {str(tmp_path)!r})"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=fuzzing.REPO / "tests", capture_output=True, text=True
    )
    assert done.returncode == 1 and "KeyError" in done.stderr, done
    data = (tmp_path / "stranger.txt").read_bytes()
    assert b"y" in data.partition(b"x")[2]


def test_the_same_seed_makes_the_same_changes():
    seeds = [b'{"a": [1, 2]}', b"\x00\x01\x02", b"a,b\n1,2\n"]
    made = [
        [fuzzing.changed(seeds[0], seeds, random.Random(seed)) for seed in range(200)] for _ in "ab"
    ]
    assert made[0] == made[1] and len(set(made[0])) > 100
