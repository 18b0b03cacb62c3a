"""Compare the halving search with scikit-learn's GridSearchCV: same grids, folds, clips and cores.

    python benchmarks/bench_grid.py                              # SVC, KNeighbors, RandomForest
    python benchmarks/bench_grid.py --models SVC,KNeighbors      # a few minutes instead of many
    python benchmarks/bench_grid.py --features mfcc,chroma,mel --json

Sad, neutral and happy on the training part of the real corpora, three folds of speakers, features
extracted beforehand. Scores are cross-validated UAR; a ratio over 1 is time that the search saves.
"""

import argparse
import json
import sys
import time
from pathlib import Path

import pandas as pd
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
    add("--json", action="store_true", help="print the rows as JSON")
    args = parser.parse_args(argv)
    settings = {"data_dir": args.data_dir, "corpora": ["emodb", "ravdess", "tess"]}
    settings |= {"features": args.features.split(","), "verbose": int(not args.json)}
    rec = EmotionRecognizer(EmotionLDA(), **settings).load_data()
    search = Search(rec.X_train, rec.y_train, speaker_groups(rec.train_rows_))
    rows = []
    for short in args.models.split(","):
        name = short if short in CLASSIFIER_GRIDS else f"{short}Classifier"
        grid = CLASSIFIER_GRIDS[name]
        table, ours = timed(search.run, name, grid)
        best, plain = timed(exhaustive, rec, search, name, grid)
        row = {"model": name, "candidates": len(table), "GridSearchCV, s": plain, "ours, s": ours}
        row |= {"ratio": plain / ours, "GridSearchCV, UAR": best}
        row["ours, UAR"] = table["score"].iloc[0]
        rows.append(row)
        if not args.json:
            table = pd.DataFrame([row]).round(3)
            print(table.to_string(index=False, header=len(rows) == 1), flush=True)
    plain, ours = (sum(row[key] for row in rows) for key in ("GridSearchCV, s", "ours, s"))
    if args.json:
        print(json.dumps(rows))
    else:
        print(f"all: {plain:.0f} s against {ours:.0f} s, {plain / ours:.1f} times")


if __name__ == "__main__":
    sys.exit(guarded("bench_grid.py", main))
