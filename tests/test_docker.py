"""The steps of the Dockerfile, done one by one where no container runs.

They are executed as they stand, in a folder that holds only what they copy, with a virtual
environment of its own; what needs a container (the base image, the user) is left out. The folder is
read-only then, for a process without capabilities.
"""

import fnmatch
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import REPO, Server, bundled_clip

from audio import find_ffmpeg

STEPS = re.sub(r"^#.*\n", "", (REPO / "Dockerfile").read_text(), flags=re.MULTILINE)
STEPS = [line.split(" ", 1) for line in STEPS.replace("\\\n", " ").splitlines() if line]
IGNORED = (REPO / ".dockerignore").read_text().split()
READ_ONLY = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && '
READ_ONLY += 'exec setpriv --bounding-set=-all --inh-caps=-all "$@"'


def all_of(kind):
    return [text.strip() for name, text in STEPS if name == kind]


def is_sent(path):
    """Whether a file of this folder is in what is sent to be built."""
    kept = (pattern[1:] for pattern in IGNORED[1:])
    return any(fnmatch.fnmatchcase(path.parts[0], pattern) for pattern in kept)


def copy(step, folder):
    *sources, target = step.split()
    for source in sources:
        found = [path for path in REPO.glob(source) if is_sent(path.relative_to(REPO))]
        if source == "page" and not found:
            continue  # the API works without it
        assert found, f"COPY {source}: nothing is there"
        for path in found:
            if path.is_dir():
                shutil.copytree(path, folder / target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(path, folder / target)


def test_the_image_is_small_safe_and_looked_after():
    assert IGNORED[0] == "*" and not is_sent(Path("data")) and not is_sent(Path(".git"))
    assert "tensorflow" in all_of("RUN")[0] and int(all_of("USER")[-1]) > 999
    assert all_of("HEALTHCHECK") and all_of("EXPOSE") == ["8000"]
    compose = (REPO / "compose.yaml").read_text()
    for words in ("read_only: true", "no-new-privileges", "127.0.0.1:8000:8000", "SER_TOKEN:?"):
        assert words in compose


def recordings(folder):
    """Content types and recordings that libsndfile and ffmpeg decode."""
    wav, m4a = Path(bundled_clip("happy")), folder / "clip.m4a"
    subprocess.run([find_ffmpeg("test"), "-v", "error", "-i", wav, m4a], check=True)
    return {"audio/wav": wav.read_bytes(), "audio/mp4": m4a.read_bytes()}


@pytest.mark.slow
def test_the_steps_make_a_server_that_runs_read_only(tmp_path):
    pip = [sys.executable, "-m", "pip", "download", "-q", "-d", tmp_path, "--no-deps", "six"]
    if subprocess.run(pip).returncode:
        pytest.skip("no package index is reachable")
    folder, venv = tmp_path / "app", tmp_path / "venv"
    folder.mkdir()
    subprocess.run([sys.executable, "-m", "venv", venv], check=True)
    env = {name: text for name, text in os.environ.items() if name.startswith("PIP_")}
    env |= {"PATH": f"{venv}/bin:{os.environ['PATH']}", "HOME": "/nonexistent", "SER_TOKEN": "x"}
    env |= dict(word.split("=", 1) for step in all_of("ENV") for word in shlex.split(step))
    how = {"cwd": folder, "env": env, "capture_output": True, "text": True}
    for kind, step in STEPS:
        if kind == "COPY":
            copy(step, folder)
        elif kind == "RUN" and not step.startswith("useradd"):
            done = subprocess.run(["sh", "-c", step], **how)
            assert not done.returncode, f"RUN {step}\n{done.stderr[-3000:]}"
    assert not [*venv.glob("lib/*/site-packages/tensorflow")]
    before = ["unshare", "-m", "sh", "-c", READ_ONLY, str(folder)]
    if subprocess.run([*before, "true"], **how).returncode:  # not the administrator
        before = []
        for path in [folder, *folder.rglob("*")]:
            path.chmod(path.stat().st_mode & ~0o222)
    command = [*before, *json.loads(all_of("CMD")[0]), "--port", "0"]
    with Server(command=command, cwd=folder, env=env) as server:
        check = all_of("HEALTHCHECK")[0].partition("CMD ")[2].replace("8000", str(server.port))
        subprocess.run(json.loads(check), env=env, check=True)
        for kind, data in recordings(tmp_path).items():
            headers = {"Authorization": "Bearer x", "Content-Type": kind}
            found = server.client.post("/v1/predict", content=data, headers=headers)
            assert found.status_code == 200 and found.json()[0]["emotion"], found.text
