"""Test whether saved recognizers survive an upgrade of the libraries.

    python benchmarks/bench_versions.py                     # all models; some minutes
    python benchmarks/bench_versions.py --models SVC,MLP
    python benchmarks/bench_versions.py --keep FOLDER       # with environments that stay

Two virtual environments are made: one of the lowest versions that requirements.txt admits, one of
the newest, both without TensorFlow. In the first, each model learns from the bundled recordings and
is saved with its predictions; in the second it is loaded and predicts again. A row is ok if no
probability (or number, for a regressor) differs by more than 1e-6 "from features", those that the
first environment extracted; "from recordings", features may differ between versions, too.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from measured import add_write, printed

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from audio import load_audio
from checks import guarded
from deep_emotion_recognition import named_recognizer
from emotion_recognition import load_recognizer
from parameters import CLASSIFIERS, REGRESSORS

REPO = Path(__file__).resolve().parents[1]
TOLERANCE = 1e-6
MODELS = ["recommended", *CLASSIFIERS, "recommended regressor", *REGRESSORS]


def answers(rec, X=None):
    """Features, and probabilities or numbers from them before and after adaptation to a speaker."""
    predictor = rec.predictor_
    if X is None:
        paths = sorted((REPO / "data" / "test-custom").glob("*.wav"))[::4]
        X = np.concatenate([predictor.features(load_audio(path)) for path in paths])
    both = predictor, predictor.adapted(X[:5])
    return X, np.stack([p.probabilities(X) if rec.classification else p.scores(X) for p in both])


def save(folder, models):
    """What the first environment does."""
    for name in models:
        classification = not name.endswith(("egressor", "SVR"))
        settings = {"classification": classification, "corpora": ["custom"], "verbose": 0}
        settings |= {"n_jobs": 1, "data_dir": REPO / "data"}
        rec = named_recognizer(name.removesuffix(" regressor"), **settings).train()
        rec.save(folder / f"{name}.ser")
        X, predicted = answers(rec)
        np.savez(folder / f"{name}.npz", X=X, predicted=predicted)


def check(folder, models):
    """What the second environment does: prints a JSON row for each model."""
    for name in models:
        row = {"model": name}
        kept = np.load(folder / f"{name}.npz")
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                rec = load_recognizer(folder / f"{name}.ser")
            except ValueError as error:
                row["why not"] = str(error).split(": ", 1)[1]
            else:
                for source, X in (("features", kept["X"]), ("recordings", None)):
                    row[f"from {source}"] = float(abs(answers(rec, X)[1] - kept["predicted"]).max())
                row["warned"] = "; ".join(str(w.message) for w in caught)
        row["MB"] = (folder / f"{name}.ser").stat().st_size / 2**20
        print(json.dumps(row))


def environment(folder, name):
    """The Python of a virtual environment of the oldest or the newest libraries."""
    python = folder / name / "bin" / "python"
    if not python.exists():
        lines = (REPO / "requirements.txt").read_text().splitlines()
        wanted = [line.split(";")[0] for line in lines if not re.match(r"#|tensor", line)]
        if name == "oldest":
            wanted = [line.replace(">=", "==") for line in wanted]
        subprocess.run([sys.executable, "-m", "venv", folder / name], check=True)
        pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, *wanted], check=True)
    return python


def run(python, *args):
    """Run a script or code in an environment: str, what it prints."""
    done = subprocess.run([python, "-W", "ignore", *args], stdout=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(f"bench_versions.py: {python} failed; see above")
    return done.stdout


def version(python):
    names = "sys.version.split()[0], sklearn.__version__, numpy.__version__"
    found = run(python, "-c", f"import sklearn, numpy, sys; print({names})").split()
    return "Python {}, scikit-learn {}, numpy {}".format(*found)


def main(argv=None):
    """Run the command line; see the module's docstring."""
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    add = parser.add_argument
    add("--models", help=f"comma-separated, of {', '.join(MODELS)}")
    add("--keep", type=Path, metavar="FOLDER", help="where the environments stay")
    add_write(parser)
    add("--save", type=Path, help=argparse.SUPPRESS)
    add("--check", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    models = args.models.split(",") if args.models else MODELS
    if args.save or args.check:
        return save(args.save, models) if args.save else check(args.check, models)
    with tempfile.TemporaryDirectory() as folder:
        pythons = [environment(args.keep or Path(folder), name) for name in ("oldest", "newest")]
        chosen = "--models", ",".join(models)
        run(pythons[0], __file__, "--save", folder, *chosen)
        rows = run(pythons[1], __file__, "--check", folder, *chosen).splitlines()
        what = "saved with {}\nloaded with {}\n".format(*map(version, pythons))
    table = pd.DataFrame(map(json.loads, rows))
    ok = table["from features"] <= TOLERANCE
    with printed("versions", what, args.write):
        print(what)
        table["MB"] = table["MB"].map("{:.1f}".format)
        print(table.assign(ok=ok).to_string(index=False, na_rep="", float_format="{:.1g}".format))
    return int(not ok.all())


if __name__ == "__main__":
    sys.exit(guarded("bench_versions.py", main))
