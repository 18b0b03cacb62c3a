"""The requirements: each has a lower bound that works, and the lock holds them all."""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from conftest import REPO
from packaging.requirements import Requirement

FILES = sorted(REPO.glob("requirements*.txt"))
SMOKE = ("audio", "create_csv", "encoder", "kernels", "model_file", "models", "plotting", "tables")
"""Modules whose quick tests run on the lowest versions. (Those of the features hold their values to
the last digits, which depend on the versions.)"""


def requirements(path):
    lines = [line.partition("#")[0].strip() for line in path.read_text().splitlines()]
    return [Requirement(line) for line in lines if line and not line.startswith("-")]


def locked():
    """The pins of requirements.lock: list of (Requirement, list of its hashes)."""
    text = (REPO / "requirements.lock").read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [
        (
            Requirement(line.partition(" --hash")[0]),
            re.findall(r"--hash=sha256:([0-9a-f]{64})", line),
        )
        for line in lines
    ]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_requirement_has_a_lower_bound(path):
    for requirement in requirements(path):
        assert ">=" in str(requirement.specifier), f"{path.name}: {requirement} has none"


def test_the_lock_pins_every_requirement_with_hashes():
    pins = locked()
    for pin, hashes in pins:
        assert hashes and [s.operator for s in pin.specifier] == ["=="], pin
    for wanted in requirements(REPO / "requirements.txt"):
        own = [pin for pin, _ in pins if pin.name == wanted.name]
        assert own, f"requirements.lock lacks {wanted.name}: make lock"
        for pin in own:
            (version,) = [s.version for s in pin.specifier]
            assert wanted.specifier.contains(version, prereleases=True), f"{pin}: make lock"


@pytest.mark.parametrize("python", ["3.10", "3.11", "3.12", "3.13"])
@pytest.mark.parametrize("system", [("linux", "Linux"), ("darwin", "Darwin")])
def test_the_lock_has_one_version_of_each_package_everywhere(python, system):
    here = {
        "python_version": python,
        "python_full_version": f"{python}.1",
        "sys_platform": system[0],
        "platform_system": system[1],
    }
    names = [pin.name for pin, _ in locked() if not pin.marker or pin.marker.evaluate(here)]
    assert len(names) == len(set(names))
    assert {r.name for r in requirements(REPO / "requirements.txt")} <= set(names)


def uv(*arguments, **options):
    command = [sys.executable, "-m", "uv", *arguments]
    return subprocess.run(command, cwd=REPO, capture_output=True, text=True, check=False, **options)


@pytest.fixture
def lowest():
    """Functions that install the lowest versions of some files, and run their Python.

    They are the lowest that have wheels for this Python.
    """
    index = uv("pip", "compile", "--no-cache", "-", input="six")
    if index.returncode:
        pytest.skip(f"no package index is reachable: {index.stderr.strip()[:300]}")
    own = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    with tempfile.TemporaryDirectory(prefix="lowest-") as folder:
        python = Path(folder, "venv", "bin", "python")
        own |= {"NUMBA_CACHE_DIR": folder, "SER_CACHE_DIR": folder, "OMP_NUM_THREADS": "1"}

        def install(*files):
            made = uv("venv", "--python", sys.executable, str(Path(folder, "venv")))
            assert not made.returncode, made.stderr
            wanted = [word for file in files for word in ("-r", file)]
            options = ["--resolution", "lowest-direct", "--only-binary", ":all:", "--no-cache"]
            done = uv("pip", "install", "--python", str(python), *options, *wanted)
            assert not done.returncode, done.stderr

        def run(*arguments):
            options = {"cwd": REPO, "env": own, "capture_output": True, "text": True}
            done = subprocess.run([python, *arguments], check=False, **options)
            assert not done.returncode, done.stdout[-5000:] + done.stderr[-5000:]

        yield install, run


PYTEST = "-m", "pytest", "-p", "no:cacheprovider", "--tb=short"


@pytest.mark.slow
def test_the_lower_bounds_work(lowest):
    install, run = lowest
    install("requirements-dev.txt")
    run(*PYTEST, "-m", "not slow", *(f"tests/test_{module}.py" for module in SMOKE))
    run("-c", NETWORK)


@pytest.mark.slow
@pytest.mark.skipif(
    not os.environ.get("SER_ENCODER_TESTS"), reason="7 GB with torch: SER_ENCODER_TESTS=1 runs it"
)
def test_the_lower_bounds_of_torch_and_transformers_work(lowest):
    install, run = lowest
    install("requirements-dev.txt", "requirements-encoders.txt")
    run(*PYTEST, "tests/test_encoder.py", "-k", "transformers")


NETWORK = """
import sys; sys.path.insert(0, "tests")
from conftest import BUNDLED, TINY_NETWORK, bundled_clip
from deep_emotion_recognition import DeepEmotionRecognizer
options = BUNDLED | TINY_NETWORK | {"results_dir": sys.prefix}
rec = DeepEmotionRecognizer(emotions=["sad", "angry", "happy"], **options).train()
assert rec.predict(bundled_clip("happy")) in rec.emotions
"""
