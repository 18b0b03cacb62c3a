"""Compare the halving search with scikit-learn's GridSearchCV: same grids, folds, clips and cores.

    python benchmarks/bench_grid.py                              # SVC, KNeighbors, RandomForest
    python benchmarks/bench_grid.py --models SVC,KNeighbors      # a few minutes instead of many
    python benchmarks/bench_grid.py --features mfcc,chroma,mel
    python benchmarks/bench_grid.py --write                      # for docs/RESULTS.md

Sad, neutral and happy on the training part of the real corpora, three folds of speakers, features
extracted beforehand. Scores are cross-validated UAR; a ratio over 1 is time that the search saves.
"""

import argparse
import sys
import time
from pathlib import Path

import pandas as pd
from measured import add_write, write
from sklearn.model_selection import GridSearchCV
from sklearn.preprocessing import StandardScaler

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from checks import guarded
from emotion_recognition import EmotionRecognizer
from features import RECOMMENDED_FEATURES
from grid_search import Search
from models import EmotionLDA
from parameters import CLASSIFIER_GRIDS
from tables import speaker_groups
from utils import make_estimator, pipeline

FORMS = {"": "{}", "candidates": "{:,}", "GridSearchCV, s": "{:.0f}", "ours, s": "{:.0f}"}
FORMS |= {"times faster": "{:.1f}", "GridSearchCV, UAR": "{:.3f}", "ours, UAR": "{:.3f}"}
"""Columns of the table, and how they are written."""


def exhaustive(rec, search, name, grid):
    """The best score when scikit-learn scores every candidate."""
    pipe = pipeline(make_estimator(name), StandardScaler(), rec.random_state)
    grids = grid if isinstance(grid, list) else [grid]
    grids = [{f"model__{key}": values for key, values in one.items()} for one in grids]
    plain = GridSearchCV(pipe, grids, cv=search.folds, scoring="balanced_accuracy", n_jobs=-1)
    return plain.fit(rec.X_train, rec.y_train).best_score_


def timed(work, *args):
    start = time.perf_counter()
    return work(*args), time.perf_counter() - start


def main(argv=None):
    """Run the command line; see the module's docstring."""
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    add, default = parser.add_argument, "default %(default)s"
    add("--models", default="SVC,KNeighbors,RandomForest", help=default)
    add("--features", default=",".join(RECOMMENDED_FEATURES), help=default)
    add("--data-dir", help="the data folder; else $SER_DATA_DIR, else data/")
    add_write(parser)
    args = parser.parse_args(argv)
    settings = {"data_dir": args.data_dir, "corpora": ["emodb", "ravdess", "tess"]}
    settings |= {"features": args.features.split(","), "verbose": 1}
    rec = EmotionRecognizer(EmotionLDA(), **settings).load_data()
    search = Search(rec.X_train, rec.y_train, speaker_groups(rec.train_rows_))
    rows = []
    for short in args.models.split(","):
        name = short if short in CLASSIFIER_GRIDS else f"{short}Classifier"
        grid = CLASSIFIER_GRIDS[name]
        table, ours = timed(search.run, name, grid)
        best, plain = timed(exhaustive, rec, search, name, grid)
        row = {"": short, "candidates": len(table), "GridSearchCV, s": plain, "ours, s": ours}
        row |= {"times faster": plain / ours, "GridSearchCV, UAR": best}
        row["ours, UAR"] = table["score"].iloc[0]
        rows.append(row)
        print(pd.DataFrame([row]).round(3).to_string(index=False), flush=True)
    plain, ours = (sum(row[key] for row in rows) for key in ("GridSearchCV, s", "ours, s"))
    print(f"all: {plain:.0f} s against {ours:.0f} s, {plain / ours:.1f} times")
    if args.write:
        n = sum(row["candidates"] for row in rows)
        rows.append({"": "all", "candidates": n, "GridSearchCV, s": plain, "ours, s": ours})
        rows[-1] |= {"times faster": plain / ours}
        cells = [
            [form.format(row[key]) if key in row else "" for key, form in FORMS.items()]
            for row in rows
        ]
        data = f"{len(rec.y_train)} clips, {rec.X_train.shape[1]:,} features"
        write("grid", data, {"grid": [[*FORMS], *cells]})


if __name__ == "__main__":
    sys.exit(guarded("bench_grid.py", main))
