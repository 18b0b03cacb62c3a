"""What several test modules share: the repository, real clips where there are any, trained models.

The trained recognizers are made when a test first asks for them, once per process, from the
bundled recordings. No test may change them: a test that has to, trains its own.
"""

import os
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import pytest

from create_csv import list_audio

REPO = Path(__file__).resolve().parents[1]
if worker := os.environ.get("PYTEST_XDIST_WORKER"):
    # Processes that compile librosa at the same time write each other's code into numba's cache,
    # and crash when they load it.
    os.environ["NUMBA_CACHE_DIR"] = str(REPO / ".pytest_cache" / "numba" / worker)
BUNDLED = {
    "data_dir": REPO / "data",
    "tess_ravdess": False,
    "emodb": False,
    "verbose": 0,
    "n_jobs": 1,
}
"""Options of a recognizer that knows the bundled recordings alone."""

EMOTIONS = ["sad", "neutral", "happy"]
ODD_ORDER = ["sad", "angry", "happy"]
"""Neither alphabetical nor its reverse: labels that are mixed up show."""

FEW = {"features": ["mfcc"], "functionals": ["mean", "std"]}
"""80 numbers a clip, where a test needs no good model."""

TINY_NETWORK = {
    "rnn_units": 4,
    "dense_units": 16,
    "n_rnn_layers": 0,  # recurrent layers take TensorFlow seconds to build
    "n_dense_layers": 1,
    "epochs": 8,
    "learning_rate": 0.01,
    "dropout": 0.2,
    "n_networks": 2,
    "batch_size": 64,  # all clips at once
    "speeds": 0,
    "logs_dir": None,
}


def corpora_folder():
    """The folder that holds real corpora (laid out as `data/` is), or None."""
    candidate = Path(os.environ.get("SER_DATA_DIR", REPO / "data"))
    if (candidate / "emodb").is_dir() or (candidate / "training").is_dir():
        return candidate
    return None


def bundled_clip(emotion, name="v21_s6"):
    """The path of a bundled test clip: str."""
    return str(REPO / "data" / "test-custom" / f"{name}_{emotion}.wav")


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


@pytest.fixture(scope="session")
def bundled_clips():
    """The 72 bundled test clips: list of str."""
    return [str(path) for path in list_audio(REPO / "data" / "test-custom")]


@pytest.fixture(scope="session")
def own_table():
    """87 bundled clips of 11 speakers as a table, with labels and names of columns of its own."""
    words = {"sad": "Rude", "happy": "Very Polite", "angry": "angry"}
    folders = [REPO / "data" / f"{part}-custom" for part in ("train", "test")]
    paths = [path for folder in folders for path in list_audio(folder)]
    parts = [path.stem.split("_") for path in paths]
    rows = [
        (str(path), words[own[-1]], own[0])
        for path, own in zip(paths, parts, strict=True)
        if own[-1] in words
    ]
    return pd.DataFrame(rows, columns=["wav", "label", "spk"])


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory):
    """Keep the tests' features out of the user's cache, and the user's out of the tests."""
    os.environ["SER_CACHE_DIR"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """The cache's folder, of this test alone; its clips count as settled at once."""
    import feature_cache

    monkeypatch.setenv("SER_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(feature_cache, "FRESH", 0)
    return tmp_path / "cache"


@pytest.fixture
def loaded(monkeypatch):
    """The paths that were extracted in this process."""
    import utils

    paths, load = [], utils.load_audio

    def counting(source, **options):
        paths.append(str(source))
        return load(source, **options)

    monkeypatch.setattr(utils, "load_audio", counting)
    return paths


# which process runs what

TOGETHER = [
    # they train networks: TensorFlow takes seconds to start
    ("test_deep_emotion_recognition", "test_networks", "networks", "deep_emotion_recognition"),
    # their oracle is librosa, which is compiled when it is first used
    (
        "test_features",
        "test_utils",
        "test_speech_features",
        "test_kernels",
        "test_encoder",
        "test_make_custom",
    ),
]
"""Files that share what takes long to make."""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """The scheduler of `--dist loadfile`, to which the files of `TOGETHER` are one file."""
    from xdist.scheduler import LoadFileScheduling

    groups = {name: names[0] for names in TOGETHER for name in names}

    class Together(LoadFileScheduling):
        def _split_scope(self, nodeid):
            file = super()._split_scope(nodeid)
            return groups.get(Path(file).stem, file)

    return Together(config, log) if config.getvalue("dist") == "loadfile" else None


@pytest.fixture
def one_process():
    """What takes milliseconds is done here: other processes take seconds to start."""
    from processes import sequential

    with sequential():
        yield


# a server


class Server:
    """A running serve.py with the bundled model, on a port of its own.

    Attributes
    ----------
    url : str
    client : httpx.Client
    lines : list of str
        What it has logged so far.
    """

    def __init__(self, *arguments, command=None, cwd=REPO, env=None):
        import httpx

        command = command or [sys.executable, "serve.py", "--port", "0", *map(str, arguments)]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        env = env or os.environ | {"OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(command, cwd=cwd, env=env, **pipes)
        self.lines = []
        read = (self.lines.append(line.rstrip()) for line in self.process.stderr)
        self._reader = threading.Thread(target=list, args=[read], daemon=True)
        self._reader.start()
        self.url = self.process.stdout.readline().partition(" ")[0].strip()
        assert self.url.startswith("http"), self.end(signal.SIGKILL)
        self.port = int(self.url.rpartition(":")[2])
        self.client = httpx.Client(base_url=self.url, timeout=300, trust_env=False)

    def end(self, number=signal.SIGTERM):
        """The exit code after a signal, and all lines of its log."""
        self.process.send_signal(number)
        code = self.process.wait(120)
        self._reader.join(60)
        self.process.stdout.close()
        self.process.stderr.close()
        return code, self.lines

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.end()
        self.client.close()


@pytest.fixture(scope="session")
def server():
    """A server with its usual settings; no test may end it."""
    pytest.importorskip("uvicorn", reason="pip install -r requirements-serve.txt")
    with Server() as own:
        yield own


# trained recognizers


@pytest.fixture(scope="session")
def rec():
    """The recommended recognizer of sad, neutral and happy."""
    from emotion_recognition import recommended

    return recommended(emotions=EMOTIONS, **BUNDLED).train()


@pytest.fixture(scope="session")
def odd_rec():
    """The recommended recognizer of emotions in an order of their own."""
    from emotion_recognition import recommended

    return recommended(emotions=ODD_ORDER, **BUNDLED).train()


@pytest.fixture(scope="session")
def adapted(rec, bundled_clips):
    """`rec` for the speaker v21, from five of the speaker's 18 clips."""
    return rec.adapt([path for path in bundled_clips if "v21" in path][:10:2])


@pytest.fixture(scope="session")
def svc():
    """A support vector machine on the default features, emotions in an order of their own."""
    from sklearn.svm import SVC

    from emotion_recognition import EmotionRecognizer

    return EmotionRecognizer(SVC(), emotions=ODD_ORDER, **BUNDLED).train()


@pytest.fixture(scope="session")
def few_svc():
    """A support vector machine on 80 numbers."""
    from sklearn.svm import SVC

    from emotion_recognition import EmotionRecognizer

    return EmotionRecognizer(SVC(), emotions=ODD_ORDER, **FEW, **BUNDLED).train()


@pytest.fixture(scope="session")
def forest():
    """20 trees on 80 numbers."""
    from sklearn.ensemble import RandomForestClassifier

    from emotion_recognition import EmotionRecognizer

    model = RandomForestClassifier(20, random_state=0)
    return EmotionRecognizer(model, emotions=ODD_ORDER, **FEW, **BUNDLED).train()


@pytest.fixture(scope="session")
def regressor():
    """The recommended recognizer of a number: sad 0, neutral 1, happy 2."""
    from emotion_recognition import recommended

    return recommended(emotions=EMOTIONS, classification=False, **BUNDLED).train()


@pytest.fixture(scope="session")
def network(tmp_path_factory):
    """Two networks without recurrent layers."""
    from deep_emotion_recognition import DeepEmotionRecognizer

    folder = str(tmp_path_factory.mktemp("network"))
    options = BUNDLED | TINY_NETWORK | {"results_dir": folder}
    with without_graphs():
        return DeepEmotionRecognizer(emotions=ODD_ORDER, **options).train()


@contextmanager
def without_graphs():
    """A block in which TensorFlow makes no graphs, which takes longer than some steps do."""
    from networks import load_tensorflow

    config = load_tensorflow().config
    config.run_functions_eagerly(True)
    try:
        yield
    finally:
        config.run_functions_eagerly(False)


@pytest.fixture
def eager():
    """See `without_graphs`."""
    with without_graphs():
        yield


@pytest.fixture(scope="session")
def ensemble():
    """Two recognizers with features of their own, without TensorFlow."""
    from sklearn.svm import SVC

    from deep_emotion_recognition import EnsembleRecognizer
    from emotion_recognition import EmotionRecognizer, recommended

    parts = [
        recommended(emotions=ODD_ORDER, **BUNDLED),
        EmotionRecognizer(SVC(), emotions=ODD_ORDER, balance=False, **FEW, **BUNDLED),
    ]
    return EnsembleRecognizer(parts).train()


@pytest.fixture(scope="session")
def bundled():
    """The recognizer in models/, as loaded."""
    from emotion_recognition import load_recognizer

    return load_recognizer()


@pytest.fixture(scope="session")
def saved(odd_rec, tmp_path_factory):
    """The file of `odd_rec`: path."""
    path = tmp_path_factory.mktemp("saved") / "model.ser"
    odd_rec.save(path)
    return path
