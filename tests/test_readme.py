"""Every Python block of the README and of docs/ runs, and prints what the page says it prints.

The blocks of a page run one after the other, without those of other pages. Where the real corpora
are absent, they run on a stand-in: the bundled recordings under the names that the real ones have.
Then only the form of what is printed can be compared.
"""

import os
import re
import shutil
import subprocess
import sys

import pytest
from conftest import REPO, corpora_folder

from create_csv import EMODB_EMOTIONS, list_audio

PAGES = {path.name: path for path in [REPO / "README.md", *sorted((REPO / "docs").glob("*.md"))]}
TEXTS = {name: path.read_text(encoding="utf-8") for name, path in PAGES.items()}
BLOCKS = {
    name: re.findall(r"```python\n(.*?)```(?:\n+```text\n(.*?)```)?", text, re.DOTALL)
    for name, text in TEXTS.items()
}
SHOWN = "training", "validation", "emodb", "train-custom", "test-custom"
"""Folders of the corpora that the pages' figures are of; a data folder may have others, too."""
EMODB_SPEAKERS = ("03", "08", "09", "10", "11", "12", "13", "14", "15", "16")


def stand_in(folder):
    """Lay the bundled recordings out as RAVDESS and EMO-DB are, beside themselves."""
    for name in ("train-custom", "test-custom"):
        shutil.copytree(REPO / "data" / name, folder / name)
    (folder / "emodb" / "wav").mkdir(parents=True)
    codes = {emotion: code for code, emotion in EMODB_EMOTIONS.items()}
    clips = list_audio(REPO / "data" / "train-custom") + list_audio(REPO / "data" / "test-custom")
    voices = sorted({clip.stem.split("_")[0] for clip in clips})
    for i, clip in enumerate(clips):
        voice, emotion = clip.stem.split("_")[0], clip.stem.split("_")[-1]
        number = voices.index(voice)
        if emotion in codes:
            name = f"{EMODB_SPEAKERS[number % 10]}a{i % 100:02d}{codes[emotion]}a.wav"
            shutil.copy(clip, folder / "emodb" / "wav" / name)
        part = "training" if clip.parent.name.startswith("train") else "validation"
        actor = folder / part / f"Actor_{number + 1:02d}"
        actor.mkdir(parents=True, exist_ok=True)
        shutil.copy(clip, actor / f"03-01-01-01-01-{i % 100:02d}-{number + 1:02d}_{emotion}.wav")


def skeleton(text):
    """Printed text without what may differ from machine to machine: numbers, widths, winners."""
    text = re.sub(r"\d+(\.\d+)?(e-\d+)?", "#", text)
    text = re.sub(r"\b([A-Z]\w+(Classifier|Regressor)|SVC|EmotionLDA)\b", "MODEL", text)
    return [re.sub(r"[ -]+", " ", line).strip() for line in text.strip().splitlines()]


def anchors(text):
    """The anchors that GitHub gives to the headings of a page."""
    titles = re.findall(r"^#+ (.+)$", re.sub(r"```.*?```", "", text, flags=re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_the_pages_have_their_examples():
    code = "\n".join(block for blocks in BLOCKS.values() for block, _ in blocks)
    for name in (
        "test_score",
        "determine_best_model",
        "predict",
        "confusion_matrix",
        "get_samples_by_class",
        "custom_db=False",
        "load_recognizer",
        "adapt",
    ):
        assert name in code


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page, blocks in BLOCKS.items() if blocks])
def test_python_blocks_run_and_print_what_the_page_says(page, tmp_path):
    folder = tmp_path / "data"
    real = corpora_folder()
    if real is None:
        stand_in(folder)
    else:
        folder.mkdir()
        for name in SHOWN:
            if (real / name).exists():
                (folder / name).symlink_to((real / name).resolve(), target_is_directory=True)
    marker = "---- next block ----"
    script = f"\nprint({marker!r})\n".join(block for block, _ in BLOCKS[page])
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(REPO), "SER_DATA_DIR": str(folder)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    printed = done.stdout.split(marker)
    assert len(printed) == len(BLOCKS[page])
    for (block, expected), output in zip(BLOCKS[page], printed, strict=True):
        if real is None:
            assert bool(skeleton(output)) == bool(expected), block
        elif "predict" not in block:  # a label may differ from one library version to the next
            assert skeleton(output) == skeleton(expected), block


@pytest.mark.slow
def test_make_run_ends_with_what_the_readme_shows(tmp_path):
    shown = re.search(r"`make run` ends with:\n+```text\n(.*?)```", TEXTS["README.md"], re.DOTALL)[
        1
    ]
    for name in ("train-custom", "test-custom"):
        shutil.copytree(REPO / "data" / name, tmp_path / "data" / name)
    clip = "data/test-custom/v21_s6_happy.wav"
    command = [REPO / "emotion_recognition.py", "--data-dir", "data", "--corpora", "custom", clip]
    done = subprocess.run(
        [sys.executable, *command], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    lines = skeleton(shown.replace("█", ""))
    assert skeleton(done.stdout.replace("█", ""))[-len(lines) :] == lines


@pytest.mark.parametrize(
    "command",
    sorted({c for text in TEXTS.values() for c in re.findall(r"\bpython (\w[\w/]*\.py)", text)}),
)
def test_commands_of_the_pages_exist(command):
    assert (REPO / command).is_file()


@pytest.mark.parametrize("page", PAGES)
def test_links_of_a_page_lead_somewhere(page):
    for target, anchor in re.findall(r"\]\((?!http)([^)#]*)#?([^)]*)\)", TEXTS[page]):
        path = PAGES[page].parent / target if target else PAGES[page]
        assert path.exists(), target
        if anchor:
            assert anchor in anchors(path.read_text(encoding="utf-8")), f"{target}#{anchor}"


def test_the_readme_links_to_every_page():
    for path in PAGES.values():
        assert path.name == "README.md" or f"(docs/{path.name})" in TEXTS["README.md"]
