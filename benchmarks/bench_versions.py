"""Do saved recognizers survive an upgrade? Saved with the oldest libraries, loaded with the newest.

    python benchmarks/bench_versions.py                     # all models; some minutes
    python benchmarks/bench_versions.py --models SVC,MLP
    python benchmarks/bench_versions.py --keep FOLDER       # with environments that stay

Two virtual environments are made: one of the lowest versions that requirements.txt admits (without
TensorFlow), one of the newest. In the first, each model learns from the bundled recordings and is
saved with what it says about them; in the second it is loaded and asked again. A row is ok if no
probability (of a regressor, no number) is off by more than 1e-6; "from features" are those that
the first environment extracted, "from recordings" is all the way, so that it has the differences
of the features between versions in it, too.
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

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from emotion_recognition import corpora_options, load_recognizer, named_recognizer
from parameters import CLASSIFIERS, REGRESSORS

REPO = Path(__file__).resolve().parents[1]
TOLERANCE = 1e-6
MODELS = ["default", *CLASSIFIERS, "default regressor", *REGRESSORS]


def answers(rec, X=None):
    """Probabilities (n_clips, n_classes) or numbers (n_clips,), of the test clips or of features,
    and the same once it is calibrated to a voice."""
    if X is None:
        X = rec._features(recordings(), None)[0]
    both = [heard._probabilities(X) if rec.classification else heard._numbers(X)
            for heard in (rec, rec._adapted(X[:5]))]  # fmt: skip
    return X, np.stack(both)


def recordings():
    return [str(path) for path in sorted((REPO / "data" / "test-custom").glob("*.wav"))[::4]]


def save(folder, models):
    """What the first environment does."""
    for name in models:
        classification = name == "default" or name in CLASSIFIERS
        rec = named_recognizer(
            name.removesuffix(" regressor"), classification=classification, verbose=0, n_jobs=1,
            data_dir=REPO / "data", **corpora_options(["custom"]),
        ).train()  # fmt: skip
        rec.save(folder / f"{name}.ser")
        X, said = answers(rec)
        np.savez(folder / f"{name}.npz", X=X, said=said)


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
                rec.verbose = 0
                for source, X in (("features", kept["X"]), ("recordings", None)):
                    row[f"from {source}"] = float(abs(answers(rec, X)[1] - kept["said"]).max())
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
    """Run this file in an environment; what it prints."""
    done = subprocess.run(
        [python, "-W", "ignore", __file__, *args], stdout=subprocess.PIPE, text=True
    )
    if done.returncode:
        sys.exit(f"bench_versions.py: {python} failed; see above")
    return done.stdout


def version(python):
    code = "import sklearn, numpy, sys; print(sys.version.split()[0], sklearn.__version__, " \
           "numpy.__version__)"  # fmt: skip
    done = subprocess.run([python, "-c", code], stdout=subprocess.PIPE, text=True, check=True)
    return "Python {}, scikit-learn {}, numpy {}".format(*done.stdout.split())


def main(argv=None):
    """The command line; see the module's docstring."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", help=f"comma-separated, of {', '.join(MODELS)}")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="where the environments stay")
    parser.add_argument("--json", action="store_true", help="print the rows as JSON")
    parser.add_argument("--save", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--check", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    models = args.models.split(",") if args.models else MODELS
    if args.save or args.check:
        return save(args.save, models) if args.save else check(args.check, models)
    with tempfile.TemporaryDirectory() as folder:
        pythons = [environment(args.keep or Path(folder), name) for name in ("oldest", "newest")]
        chosen = ["--models", ",".join(models)]
        run(pythons[0], "--save", folder, *chosen)
        rows = run(pythons[1], "--check", folder, *chosen).splitlines()
        what = "saved with {}\nloaded with {}\n".format(*map(version, pythons))
    table = pd.DataFrame(map(json.loads, rows))
    ok = table["from features"] <= TOLERANCE
    if args.json:
        print(table.to_json(orient="records"))
    else:
        print(what)
        table["MB"] = table["MB"].map("{:.1f}".format)
        print(table.assign(ok=ok).to_string(index=False, na_rep="", float_format="{:.1g}".format))
    return int(not ok.all())


if __name__ == "__main__":
    sys.exit(main())
