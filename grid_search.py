"""Tune the models of parameters.py and keep the results in grid/, as plain data.

    python grid_search.py                                  # eight classifiers, 3 emotions
    python grid_search.py --regression                     # eight regressors
    python grid_search.py --models SVC,MLP --emotions angry,sad,neutral,ps,happy

Every combination in the grids is scored by cross-validation that keeps speakers apart, on the
training part of whatever corpora are in the data folder: UAR for classifiers, mean absolute error
for regressors. Each model's result is saved as it ends, in place of its earlier one.
"""

import argparse
import datetime
import importlib.metadata
import json
import pickle
import sys
from pathlib import Path

from tqdm.auto import tqdm

from data_extractor import speaker_groups
from emotion_recognition import N_SPLITS, SCORING, EmotionRecognizer, corpora_options
from parameters import CLASSIFIER_GRIDS, REGRESSOR_GRIDS
from utils import GRID_DIR, check_name, make_estimator, read_plain_pickle, replacing, results_path


def tune(rec, name, params):
    """Grid-search one model.

    Parameters
    ----------
    rec : EmotionRecognizer
        Its data, folds and kind (classification or regression) are used.
    name : str
        Class name of the model.
    params : dict of str to list
        Its grid.

    Returns
    -------
    dict
        The result as `utils.best_results` reads it: plain data only.
    """
    rec.model = make_estimator(name)
    _, best_params, score = rec.grid_search(params)
    return {
        "estimator": name,
        "params": best_params,
        "score": score,
        "scoring": SCORING[rec.classification],
        "folds": N_SPLITS,
        "emotions": rec.emotions,
        "features": rec.features,
        "corpora": sorted(set(rec.train_rows_["corpus"])),
        "n_clips": len(rec.y_train),
        "n_speakers": len(set(speaker_groups(rec.train_rows_))),
        "sklearn_version": importlib.metadata.version("scikit-learn"),
        "date": datetime.date.today().isoformat(),
    }


def save_result(result, path):
    """Put a result into the file at `path`, in place of the same model's earlier one."""
    kept = read_plain_pickle(path) if path.is_file() else []
    kept = [r for r in kept if r["estimator"] != result["estimator"]]
    with replacing(path) as temporary:
        temporary.write_bytes(pickle.dumps([*kept, result]))


def _parse_args(argv):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", help="comma-separated; default: all eight")
    parser.add_argument("--emotions", default="sad,neutral,happy", help="default %(default)s")
    parser.add_argument("--features", default="mfcc,chroma,mel", help="default %(default)s")
    parser.add_argument("--corpora", help="comma-separated; default: whatever is there")
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--classification", action="store_true", help="tune classifiers (default)")
    kind.add_argument("--regression", action="store_true", help="tune regressors")
    parser.add_argument("--data-dir", help="the data folder; else $SER_DATA_DIR, else data/")
    parser.add_argument("--n-jobs", type=int, default=-1, help="processes (default: all cores)")
    parser.add_argument("--output", type=Path, default=GRID_DIR, help="default grid/")
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    return parser.parse_args(argv)


def main(argv=None):
    """The command line; see the module's docstring."""
    args = _parse_args(argv)
    grids = REGRESSOR_GRIDS if args.regression else CLASSIFIER_GRIDS
    ending = "Regressor" if args.regression else "Classifier"
    try:
        names = args.models.split(",") if args.models else list(grids)
        names = [name if name in grids else f"{name}{ending}" for name in names]
        names = [check_name(name, grids, "model") for name in names]
        rec = EmotionRecognizer(
            make_estimator(names[0]),
            emotions=args.emotions.split(","),
            features=args.features.split(","),
            classification=not args.regression,
            data_dir=args.data_dir,
            n_jobs=args.n_jobs,
            verbose=0 if args.json else 1,
            **(corpora_options(args.corpora.split(",")) if args.corpora else {}),
        )
        rec.load_data()
        path = results_path(not args.regression, args.output)
        results = []
        for name in tqdm(names, desc="Tuning", unit="model", disable=args.json):
            results.append(tune(rec, name, grids[name]))
            save_result(results[-1], path)
    except (ValueError, OSError) as error:
        sys.exit(f"grid_search.py: {error}")
    if args.json:
        print(json.dumps(results))
    else:
        measure = "MAE" if args.regression else "UAR"
        for r in sorted(results, key=lambda r: r["score"], reverse=not args.regression):
            print(f"{r['estimator']:28s} {measure} {r['score']:.3f}  {r['params']}")
        print(f"[+] saved in {path}")


if __name__ == "__main__":
    main()
