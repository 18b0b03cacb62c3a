"""What several test modules need: the repository, real clips where there are any."""

import os
from pathlib import Path

import pytest

from create_csv import list_audio

REPO = Path(__file__).resolve().parents[1]


def corpora_folder():
    """The folder that holds real corpora (laid out as `data/` is), or None."""
    candidate = Path(os.environ.get("SER_DATA_DIR", REPO / "data"))
    if (candidate / "emodb").is_dir() or (candidate / "training").is_dir():
        return candidate
    return None


@pytest.fixture(scope="session")
def real_data():
    """The data folder with the real corpora; skips, saying so, where there are none."""
    folder = corpora_folder()
    if folder is None:
        pytest.skip("no real corpora: lay them out under data/ or set SER_DATA_DIR")
    return folder


@pytest.fixture(scope="session")
def clips():
    """100 clips spread evenly over the real corpora, or over the bundled recordings."""
    folder = corpora_folder()
    roots = [folder / "emodb", folder / "training"] if folder else [REPO / "data"]
    paths = [path for root in roots for path in list_audio(root)]
    assert len(paths) >= 100, "fewer than 100 recordings: is data/train-custom there?"
    return paths[:: len(paths) // 100][:100]


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory):
    """Keep the tests' features out of the user's cache, and the user's out of the tests."""
    os.environ["SER_CACHE_DIR"] = str(tmp_path_factory.mktemp("cache"))
