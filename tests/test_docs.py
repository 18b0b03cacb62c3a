"""The reference that `make docs` writes: a page for each module, and links that lead somewhere."""

import re
import subprocess

import pytest
from conftest import REPO

MODULES = {path.stem for path in REPO.glob("*.py")} - {"test"}


@pytest.mark.slow
def test_the_reference_has_every_module_and_no_broken_link(tmp_path):
    recipe = subprocess.run(
        ["make", "--dry-run", "docs"], cwd=REPO, capture_output=True, text=True, check=True
    )
    command = recipe.stdout[recipe.stdout.index("PYTHONWARNINGS") :].partition("\necho")[0]
    command = command.replace("docs/api", str(tmp_path))
    subprocess.run(command, shell=True, cwd=REPO, check=True, capture_output=True)
    pages = {path.name: path.read_text(encoding="utf-8") for path in tmp_path.glob("*.html")}
    assert {f"{name}.html" for name in MODULES} <= set(pages)
    assert "EmotionRecognizer" in pages["emotion_recognition.html"]
    for name, text in pages.items():
        for page, anchor in re.findall(r'href="(?:\./)?([\w.]+\.html)(?:#([^"]*))?"', text):
            assert not anchor or f'id="{anchor}"' in pages[page], f"{name}: {page}#{anchor}"


WORDS = re.compile(
    r"\b(strangeness|unfamiliar|(un)?calibrated speaker|heard in training|nothing heard"
    r"|hardly as meant|otherwise than before|told apart less|sound colours?"
    r"|makes? (it|the result) doubtful|unasked|emotion means little)\b",
    re.I,
)
"""Words of our own that gave way to the field's."""


def test_retired_words_stay_retired():
    paths = [*REPO.glob("*.py"), *REPO.glob("*.md"), *REPO.glob("docs/*.md"), *REPO.glob("page/*")]
    texts = {path.name: path.read_text(encoding="utf-8") for path in paths if path.is_file()}
    assert len(texts) > 70
    assert not {name: WORDS.findall(text) for name, text in texts.items() if WORDS.search(text)}
