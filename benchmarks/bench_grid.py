"""Our search against scikit-learn's exhaustive GridSearchCV: same grids, folds, clips and cores.

    python benchmarks/bench_grid.py                              # SVC, KNeighbors, RandomForest
    python benchmarks/bench_grid.py --models SVC,KNeighbors      # a few minutes instead of many
    python benchmarks/bench_grid.py --models SVC --random       # beside 60 candidates by chance
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
from sklearn.model_selection import GridSearchCV, ParameterGrid
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from data_extractor import speaker_groups
from emotion_recognition import EmotionLDA, EmotionRecognizer, corpora_options
from features import RECOMMENDED_FEATURES
from grid_search import Search
from parameters import CLASSIFIER_GRIDS
from utils import make_estimator


def exhaustive(rec, search, name, grid):
    """Let scikit-learn score every candidate; the best score."""
    model = make_estimator(name)
    if "random_state" in model.get_params():
        model.set_params(random_state=rec.random_state)
    grids = grid if isinstance(grid, list) else [grid]
    grids = [{f"model__{key}": values for key, values in one.items()} for one in grids]
    pipeline = Pipeline([("scaler", StandardScaler()), ("model", model)])
    plain = GridSearchCV(pipeline, grids, cv=search.folds, scoring="balanced_accuracy", n_jobs=-1)
    return plain.fit(rec.X_train, rec.y_train).best_score_


def timed(work):
    start = time.perf_counter()
    return work(), time.perf_counter() - start


def main(argv=None):
    """The command line; see the module's docstring."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--models", default="SVC,KNeighbors,RandomForest", help="default %(default)s"
    )
    parser.add_argument("--features", default=",".join(RECOMMENDED_FEATURES),
                        help="default %(default)s")  # fmt: skip
    parser.add_argument("--random", action="store_true", help="measure a random search, too")
    parser.add_argument("--data-dir", help="the data folder; else $SER_DATA_DIR, else data/")
    parser.add_argument("--json", action="store_true", help="print the rows as JSON")
    args = parser.parse_args(argv)
    rec = EmotionRecognizer(
        EmotionLDA(), features=args.features.split(","), data_dir=args.data_dir,
        verbose=int(not args.json), **corpora_options(["emodb", "ravdess", "tess"]),
    ).load_data()  # fmt: skip
    data = rec.X_train, rec.y_train, speaker_groups(rec.train_rows_)
    search, chance = Search(*data), Search(*data, search="random")
    rows = []
    for short in args.models.split(","):
        name = short if short in CLASSIFIER_GRIDS else f"{short}Classifier"
        grid = CLASSIFIER_GRIDS[name]
        table, ours = timed(lambda name=name, grid=grid: search.run(name, grid))
        best, plain = timed(lambda name=name, grid=grid: exhaustive(rec, search, name, grid))
        rows.append({
            "model": name, "candidates": len(ParameterGrid(grid)), "GridSearchCV, s": plain,
            "ours, s": ours, "ratio": plain / ours, "GridSearchCV, UAR": best,
            "ours, UAR": table["score"].iloc[0],
        })  # fmt: skip
        if args.random:
            table, seconds = timed(lambda name=name, grid=grid: chance.run(name, grid))
            rows[-1] |= {"random, s": seconds, "random, UAR": table["score"].iloc[0]}
        if not args.json:
            print(pd.DataFrame(rows[-1:]).round(3).to_string(index=False, header=len(rows) == 1),
                  flush=True)  # fmt: skip
    plain, ours = (sum(row[key] for row in rows) for key in ("GridSearchCV, s", "ours, s"))
    if args.json:
        print(json.dumps(rows))
    else:
        print(f"all: {plain:.0f} s against {ours:.0f} s, {plain / ours:.1f} times")


if __name__ == "__main__":
    main()
