"""Tune the models of parameters.py, save the results in grid/ as plain data, and compare them.

    python grid_search.py                                  # eight classifiers, 3 emotions
    python grid_search.py --regression                     # eight regressors
    python grid_search.py --models SVC,MLP --emotions angry,sad,neutral,ps,happy
    python grid_search.py --search grid --models KNeighbors --features mfcc,chroma,mel
    python grid_search.py --data clips.csv                 # your own clips
    python grid_search.py --resume                         # continue an interrupted run
    python grid_search.py --scheduler tcp://10.0.0.1:8786  # on a Dask cluster, see docs/CLUSTER.md

Scores (UAR, or mean absolute error) come from speaker-independent cross-validation on the training
part. Successive halving (Jamieson and Talwalkar 2016) fits all candidates on a ninth of the clips,
the best third of them on a third, and the best third of these on all. Candidates that one fit can
score form a family, which begins at a third of the clips, ensembles with their smallest size.
"""

if __name__ == "__main__":  # Ctrl-C prints one line, also during the imports
    from checks import end_at_interrupt

    end_at_interrupt("grid_search.py")

import datetime
import hashlib
import importlib.metadata
import json
import math
import pickle
import sys
import time
import warnings
from collections import defaultdict
from contextlib import suppress
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
from joblib import delayed
from scipy.spatial.distance import cdist
from sklearn.metrics import fbeta_score
from sklearn.model_selection import ParameterGrid
from sklearn.preprocessing import StandardScaler

from checks import alone, check_name, guarded, make_parser, moved, printable, replacing
from clip_tables import read_data
from emotion_recognition import SCORES, SCORING, EmotionRecognizer
from features import RECOMMENDED_FEATURES
from metrics import moments_by_speaker, regression_measures
from models import recommended_model
from parameters import AVAILABLE_EMOTIONS, CLASSIFIER_GRIDS, EMOTION_SCALES, REGRESSOR_GRIDS
from plotting import draw_histograms, save_figure
from processes import parallel, task
from progress import Progress
from sampling import speaker_folds, stratified_order
from table_files import add_data
from tables import speaker_groups
from utils import (
    AS_FEATURES,
    GRID_DIR,
    best_results,
    encoder_option,
    get_best_estimators,
    make_estimator,
    names_option,
    pipeline,
    results_path,
    tuned_results,
)

SEARCHES = ("halving", "grid")
SHARES = 1 / 9, 1 / 3, 1.0  # the share of the training clips in each rung of halving
KEPT = 1 / 3  # the share of a rung's families of candidates that reaches the next rung
FEWEST_CLIPS = 40  # in any rung
FEWEST = 8  # families in the last rung, if there are as many
NESTED = {"n_estimators", "n_neighbors", "weights"}
"""Parameters whose values are all scored by one fit: 100 trees include the first 50, and distances
between clips don't depend on the number of neighbours or their weights."""
SHARED = NESTED | {"max_iter"}
"""Those whose values one fit may score: a network that stops early has the same result with more
iterations."""
_NO_BAR = Progress(disable=True)


class Search:
    """A search for a model's best parameters by scores on folds of speakers.

    Parameters
    ----------
    X : ndarray (n_clips, n_features)
    y, groups : ndarray (n_clips,)
        Labels, or numbers to regress on; speakers.
    classification : bool, default True
    search : {"halving", "grid"}
    cv, random_state : int, default 3 and 0
        Folds; seed.
    n_jobs : int, default -1
        Processes, as joblib counts them; an active joblib backend is used.
    journal : Journal, optional
        Stores scores, so that an interrupted search can be resumed.
    """

    def __init__(
        self,
        X,
        y,
        groups,
        *,
        classification=True,
        search="halving",
        cv=3,
        random_state=0,
        n_jobs=-1,
        journal=None,
    ):
        self.X, self.y = X, y
        self.classification = classification
        self.search = check_name(search, SEARCHES, "search")
        self.random_state, self.n_jobs = random_state, n_jobs
        self.journal = journal or Journal()
        self.folds = speaker_folds(y, groups, cv, random_state)

    def rungs(self, n_families, together=False):
        """Plan the rungs: list of (number of families, share of the training clips).

        A rung that eliminates no family is left out.

        Parameters
        ----------
        n_families : int
        together : bool
            Whether families have several members; default False.
        """
        if self.search != "halving":
            return [(n_families, 1.0)]
        shares, fewest = SHARES[1:] if together else SHARES, min(FEWEST, n_families)
        counts = [max(fewest, math.ceil(n_families * KEPT**i)) for i in range(len(shares))]
        after = [*counts[1:], 0]
        return [(n, s) for n, s, n_next in zip(counts, shares, after, strict=True) if n_next < n]

    def run(self, name, grid, bar=_NO_BAR):
        """Search one model's grid.

        Parameters
        ----------
        name : str
            A class name in parameters.py.
        grid : dict or list of dict
            See scikit-learn's ParameterGrid.
        bar : Progress, optional
            Counts scores, one for each candidate and fold.

        Returns
        -------
        DataFrame (n_candidates,)
            params, score, std, share (of the training clips), best first: candidates in the last
            rung before all others, those that were never scored last.
        """
        candidates = list(ParameterGrid(grid))
        table = pd.DataFrame({"params": candidates}).assign(score=np.nan, std=np.nan, share=np.nan)
        kin, sign = families(candidates), -1 if self.classification else 1
        for n_alive, share in self.rungs(len(kin), len(kin) < len(candidates)):
            kin = kin[:n_alive]
            alive = [i for family in kin for i in _members(family, candidates, share)]
            scores = self._score(name, [candidates[i] for i in alive], share, bar)
            table.loc[alive, "score"], table.loc[alive, "std"] = scores.mean(1), scores.std(1)
            table.loc[alive, "share"] = share
            kin.sort(key=lambda family: (sign * table.loc[family, "score"]).min())
        order = {"ascending": [False, not self.classification], "ignore_index": True}
        return table.sort_values(["share", "score"], **order)

    def _n_scores(self, grid):
        """The number of scores of a search, one for each candidate and fold: int."""
        candidates, total = list(ParameterGrid(grid)), 0
        kin = families(candidates)
        for n_alive, share in self.rungs(len(kin), len(kin) < len(candidates)):
            members = sum(len(_members(family, candidates, share)) for family in kin)
            total += round(n_alive * members / len(kin))  # as if all families had as many
        return total * len(self.folds)

    def _score(self, name, candidates, share, bar):
        """Score candidates on a share of every fold's training clips: (n_candidates, n_folds)."""
        sides = [(self._part(train, share), test) for train, test in self.folds]
        keys = {
            (i, fold): json.dumps([name, sorted(params.items()), len(sides[fold][0]), fold])
            for (i, params), fold in product(enumerate(candidates), range(len(sides)))
        }
        scores = self.journal.scores
        work = [
            ([i for i in family if keys[i, fold] not in scores], fold)
            for family, fold in product(families(candidates, SHARED), range(len(sides)))
        ]
        bar.update(sum(key in scores for key in keys.values()))
        data = self.X, self.y, self.classification, self.random_state
        run = parallel(self.n_jobs, return_as="generator_unordered", pre_dispatch="4 * n_jobs")
        done = run(
            delayed(task(_fit_and_score))(
                (unknown, fold), name, [candidates[i] for i in unknown], sides[fold], *data
            )
            for unknown, fold in work
            if unknown
        )
        for (unknown, fold), found in done:
            for i, score in zip(unknown, found, strict=True):
                self.journal.add(keys[i, fold], score)
            bar.update(len(unknown))
        return np.reshape([scores[key] for key in keys.values()], (len(candidates), len(sides)))

    def _part(self, train, share):
        """A stratified share of the clips; smaller shares are subsets of larger ones.

        The clips are in the fold's order, so that scores equal those of scikit-learn's search.
        """
        n_clips = min(len(train), max(FEWEST_CLIPS, round(share * len(train))))
        return train[np.sort(stratified_order(self.y[train], self.random_state)[:n_clips])]


class Journal:
    """The scores so far, one in each line of a file, so that an interrupted search can be resumed.

    Parameters
    ----------
    path : path, optional
        Default: scores are kept in memory only.
    fingerprint : str, default ""
        Digest of what the scores depend on; a file with another one is replaced.
    resume : bool, default False
        Read existing scores.
    """

    def __init__(self, path=None, fingerprint="", resume=False):
        self.path, self.scores = path, {}
        if path is None:
            return
        there = resume and path.is_file()
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if there else []
        goes_on = lines[:1] == [fingerprint]
        for line in lines[1:] if goes_on else ():
            with suppress(ValueError, TypeError, OverflowError, RecursionError):
                key, value = json.loads(line)  # fails for an incomplete line
                self.scores[str(key)] = float(value)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a" if goes_on else "w") as file:  # appending loses nothing if killed
            file.write("\n" if goes_on else f"{fingerprint}\n")

    def add(self, key, value):
        """Store a score.

        Parameters
        ----------
        key, value : str, float
        """
        self.scores[key] = value
        if self.path is not None:
            with self.path.open("a") as file:
                file.write(json.dumps([key, value]) + "\n")


def families(candidates, nested=NESTED):
    """Group candidates that one fit can score: list of list of int, indices of `candidates`.

    Parameters
    ----------
    candidates : list of dict
    nested : set of str, default `NESTED`
        The only parameters that differ within a group.

    Examples
    --------
    >>> families([{"n_estimators": n, "max_depth": d} for n in (50, 100) for d in (3, 7)])
    [[0, 2], [1, 3]]
    """
    found = defaultdict(list)
    for i, params in enumerate(candidates):
        found[json.dumps(sorted(p for p in params.items() if p[0] not in nested))].append(i)
    return list(found.values())


def _members(family, candidates, share):
    """The members of a family that are scored on a share of the clips."""
    sizes = {i: candidates[i].get("n_estimators", 0) for i in family}
    return [i for i in family if share == 1 or sizes[i] == min(sizes.values())]


def _fit_and_score(place, name, family, fold, X, y, classification, random_state):
    """Fit a family's largest member, and score all on held-out speakers; runs in a worker."""
    train, test = fold
    scaler = StandardScaler().fit(X[train])
    sides = scaler.transform(X[train]), y[train], scaler.transform(X[test])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # such as too few iterations, which the score shows
        guesses = predictions(name, family, *sides, random_state)
    score = SCORES[classification]
    return place, [float(score(y[test], guess)) for guess in guesses]


def predictions(name, family, X, y, X_test, random_state=0):
    """Predict by all candidates of a family, as if each was fitted: list of (n_test_clips,).

    Parameters
    ----------
    name : str
        A class name of parameters.py.
    family : list of dict
        Parameters that differ only in `SHARED` ones.
    X, X_test : ndarray (n_clips, n_features)
        Standardised.
    y : ndarray (n_clips,)
    random_state : int, default 0
    """
    if "n_neighbors" in family[0]:
        return _by_neighbors(name, family, X, y, X_test)
    if "max_iter" in family[0]:
        return _by_iterations(name, family, X, y, X_test, random_state)
    model = make_estimator(name, max(family, key=lambda params: params.get("n_estimators", 0)))
    if "random_state" in model.get_params():
        model.set_params(random_state=random_state)
    model.fit(X, y)
    if len(family) == 1:
        return [model.predict(X_test)]
    stages = list(_staged(model, X_test))  # boosting may have stopped before the largest size
    return [stages[min(params["n_estimators"], len(stages)) - 1] for params in family]


def _by_neighbors(name, family, X, y, X_test):
    """Predict by nearest neighbours, computing distances only once."""
    distances = cdist(X_test, X, "minkowski", p=family[0].get("p", 2))
    guesses = []
    for params in family:
        changes = {"n_neighbors": min(params["n_neighbors"], len(X)), "metric": "precomputed"}
        model = make_estimator(name, params | changes)
        guesses.append(model.fit(np.zeros((len(X), len(X))), y).predict(distances))
    return guesses


def _by_iterations(name, family, X, y, X_test, random_state):
    """Predict by networks for several max_iter, refitted only if a limit was reached."""
    guesses, model = {}, None
    for max_iter in sorted({params["max_iter"] for params in family}, reverse=True):
        if model is None or model.n_iter_ > max_iter:
            params = family[0] | {"max_iter": max_iter}
            model = make_estimator(name, params).set_params(random_state=random_state).fit(X, y)
        guesses[max_iter] = model.predict(X_test)
    return [guesses[params["max_iter"]] for params in family]


def _staged(model, X):
    """Yield the predictions of the first, the first two, ... estimators of a fitted ensemble."""
    if hasattr(model, "staged_predict"):
        return (yield from model.staged_predict(X))
    everything = [slice(None)] * len(model.estimators_)
    classes, total = getattr(model, "classes_", None), 0
    features = getattr(model, "estimators_features_", everything)
    for i, (tree, columns) in enumerate(zip(model.estimators_, features, strict=True), 1):
        part = X[:, columns]
        total = total + (tree.predict(part) if classes is None else tree.predict_proba(part))
        yield total / i if classes is None else classes[total.argmax(axis=1)]


def fingerprint(X, y, groups, settings):
    """Compute a digest of data, settings and the version of scikit-learn: str.

    Parameters
    ----------
    X : ndarray (n_clips, n_features)
    y, groups : ndarray (n_clips,)
    settings : list
        Plain data.
    """
    digest = hashlib.sha256(np.ascontiguousarray(X).tobytes())
    version = importlib.metadata.version("scikit-learn")
    digest.update(json.dumps([y.tolist(), groups.tolist(), settings, version]).encode())
    return digest.hexdigest()


def plain_result(rec, name, table, search):
    """Make the result of one model in the form of `utils.best_results`: dict of plain data.

    Parameters
    ----------
    rec : EmotionRecognizer
    name : str
        A class name in parameters.py.
    table : DataFrame
        The result of `Search.run`.
    search : Search
    """
    best = table.iloc[0]
    return {
        "estimator": name,
        "params": best["params"],
        "score": float(best["score"]),
        "std": float(best["std"]),
        "scoring": SCORING[rec.classification],
        "search": search.search,
        "n_candidates": len(table),
        "folds": len(search.folds),
        "emotions": rec.emotions,
        "features": rec.features,
        "functionals": rec.functionals,
        "corpora": sorted(set(rec.train_rows_["corpus"])),
        "n_clips": len(rec.y_train),
        "n_speakers": len(set(speaker_groups(rec.train_rows_))),
        "sklearn_version": importlib.metadata.version("scikit-learn"),
        "numpy_version": importlib.metadata.version("numpy"),
        "date": datetime.date.today().isoformat(),
    }


def save_result(result, path):
    """Save a result in a file, replacing an earlier one of the same model.

    Parameters
    ----------
    result : dict
        See `plain_result`.
    path : Path
    """
    kept = tuned_results(path) if path.is_file() else []
    kept = [r for r in kept if r["estimator"] != result["estimator"]]
    with replacing(path) as temporary:
        temporary.write_bytes(pickle.dumps([*kept, result]))


def tune(rec, grids, output=GRID_DIR, *, search="halving", cv=3, resume=False):
    """Tune models one by one, saving each result: dict of str to DataFrame of `Search.run`.

    Parameters
    ----------
    rec : EmotionRecognizer
        With loaded data. Its training part and kind (classification or regression) are used, not
        its model.
    grids : dict of str to grid
        By class names in parameters.py; see `Search.run`.
    output : path, default grid/
        The folder of best_classifiers.pickle or best_regressors.pickle.
    search, cv
        See `Search`.
    resume : bool, default False
        Continue an interrupted run with the same data and settings.
    """
    data = rec.X_train, rec.y_train, speaker_groups(rec.train_rows_)
    path = results_path(rec.classification, output)
    settings = {"classification": rec.classification, "search": search, "cv": cv}
    settings["random_state"] = rec.random_state
    mark = fingerprint(*data, list(settings.values()))
    path.parent.mkdir(parents=True, exist_ok=True)
    with alone(path.with_suffix(".jsonl")), rec.parallel(rec.X_train):
        journal = Journal(path.with_suffix(".jsonl"), mark, resume)
        searcher = Search(*data, n_jobs=rec.n_jobs, journal=journal, **settings)
        total = sum(map(searcher._n_scores, grids.values()))
        style = {"unit": "fit", "smoothing": 0.05, "disable": not rec.verbose}
        tables = {}
        with Progress(desc="Tuning", total=total, **style) as bar:
            for name, grid in grids.items():
                bar.set_postfix_str(name)
                tables[name] = searcher.run(name, grid, bar)
                save_result(plain_result(rec, name, tables[name], searcher), path)
        journal.path.unlink()
    return tables


# comparison of all tuned models

PARTS = 0.01, 0.1, 1.0  # shares of the training clips


def plot_histograms(
    classifiers=True,
    beta=0.5,
    n_classes=3,
    verbose=1,
    *,
    shares=PARTS,
    file=None,
    figure=None,
    **options,
):
    """Compare the tuned models by speed and accuracy, for several sizes of the training set.

    Every model is fitted on nested, stratified parts of the training clips.

    Parameters
    ----------
    classifiers : bool, default True
        The tuned classifiers, by accuracy and F-beta; else the regressors, by mean absolute error
        and concordance correlation.
    beta : float, default 0.5
        Weight of recall relative to precision in F-beta.
    n_classes : int, default 3
        3 or 5 emotions of `EMOTION_SCALES`, or the first ones of `AVAILABLE_EMOTIONS`; or choose
        them by `emotions=`.
    verbose : int, default 1
        0 draws no progress bar.
    shares : sequence of float, default `PARTS`
        Shares of the training clips, ascending.
    file : path, optional
        Also save the picture there.
    figure : matplotlib Figure, optional
        Draw the six panels there; default a new figure.
    **options
        See `EmotionRecognizer`.

    Returns
    -------
    figure, data : matplotlib Figure, DataFrame
        A row for each model and share: model, share, n_clips, train_time, test_time (seconds), and
        train_<measure>, test_<measure> for two measures.

    Raises
    ------
    ValueError
        If there are fewer than 2 or more than 9 classes, or no regression scale for them.
    """
    if not 2 <= n_classes <= len(AVAILABLE_EMOTIONS):
        raise ValueError(f"n_classes must be 2 to {len(AVAILABLE_EMOTIONS)}; got {n_classes!r}.")
    scales = {len(scale): scale for scale in EMOTION_SCALES}
    some = list(scales.get(n_classes, AVAILABLE_EMOTIONS[:n_classes]))
    settings = {"emotions": options.pop("emotions", None) or some}
    settings |= {"classification": classifiers, "verbose": verbose}
    rec = EmotionRecognizer(recommended_model(classifiers), **settings, **options).load_data()
    order, fewest = stratified_order(rec.y_train, rec.random_state), len(set(rec.y_train))
    models = [model for model, *_ in get_best_estimators(classifiers)]
    rows, fits = [], list(product(models, shares))
    for model, share in Progress(fits, "Comparing", unit="fit", disable=not verbose):
        part = order[: max(fewest, round(share * len(order)))]
        row = {"model": type(model).__name__, "share": share, "n_clips": len(part)}
        rows.append(row | _timed_scores(rec, model, part, beta))
    data = pd.DataFrame(rows)
    levels = {"accuracy": 1 / len(rec.emotions), "fbeta": 1 / len(rec.emotions), "ccc": 0.0}
    if not classifiers:
        levels["mae"] = float(np.abs(rec.y_test - rec.y_train.mean()).mean())
    title = f"{', '.join(rec.emotions)}: {rec.protocol()}"
    figure = draw_histograms(data, title=title, levels=levels, beta=beta, figure=figure)
    if file is not None:
        save_figure(figure, file)
    return figure, data


def _timed_scores(rec, model, part, beta):
    """Fit on a part of the training clips: dict of times in seconds, and of measures."""
    pipe = pipeline(model, StandardScaler(), rec.random_state)
    if "n_neighbors" in model.get_params():
        pipe.set_params(model__n_neighbors=min(model.n_neighbors, len(part)))
    X, y = rec.X_train[part], rec.y_train[part]
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some models warn of too few clips
        pipe.fit(X, y)
    fitted = time.perf_counter()
    predicted = pipe.predict(rec.X_test)
    found = {"train_time": fitted - start, "test_time": time.perf_counter() - fitted}
    for side, *pair in (("train", y, pipe.predict(X)), ("test", rec.y_test, predicted)):
        found |= {f"{side}_{name}": value for name, value in _measures(*pair, beta).items()}
    return found


def _measures(truth, predicted, beta):
    """Accuracy and F-beta of labels; mean absolute error and concordance of numbers."""
    if truth.dtype.kind == "f":
        sums = moments_by_speaker(truth, predicted, np.zeros(len(truth))).sum(axis=0)
        return {name: float(value) for name, value in regression_measures(sums).items()}
    fbeta = fbeta_score(truth, predicted, beta=beta, average="macro", zero_division=0)
    return {"accuracy": float(np.mean(truth == predicted)), "fbeta": float(fbeta)}


# the command line


def _parse_args(argv):
    parser = make_parser("grid_search.py", __doc__)
    add, default = parser.add_argument, "default %(default)s"
    add("--models", help="comma-separated; default: all eight")
    known = f"default {','.join(EMOTION_SCALES[0])}, or all of --data"
    add("--emotions", type=names_option, help=known)
    add_data(parser)
    add("--features", type=names_option, default=",".join(RECOMMENDED_FEATURES), help=default)
    encoder = "PATH.onnx or hf:NAME in place of the bundled one, or none; default: as in --features"
    add("--encoder", type=encoder_option, default=AS_FEATURES, metavar="NAME|none", help=encoder)
    add("--corpora", help="comma-separated; default: all in the data folder")
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--classification", action="store_true", help="tune classifiers (default)")
    kind.add_argument("--regression", action="store_true", help="tune regressors")
    halving = "halving (default), or grid (all candidates on all clips)"
    add("--search", choices=SEARCHES, default="halving", help=halving)
    add("--cv", type=int, default=3, help="folds of speakers (default 3)")
    resume = "continue an interrupted run of the same search"
    add("--resume", action="store_true", help=resume)
    add("--scheduler", metavar="ADDRESS", help="use a Dask cluster, e.g. tcp://host:8786")
    add("--data-dir", help="the data folder (default: $SER_DATA_DIR, else data/)")
    add("--n-jobs", type=int, default=-1, help="processes (default: all cores)")
    add("--seed", type=int, default=0, help="random seed (default 0)")
    add("--output", type=Path, default=GRID_DIR, help="default grid/")
    add("--json", action="store_true", help="print the results as JSON")
    return parser.parse_args(argv)


def _tuned(args):
    """Tune the models of the command line: list of dict, results, best first."""
    grids = REGRESSOR_GRIDS if args.regression else CLASSIFIER_GRIDS
    ending = "Regressor" if args.regression else "Classifier"
    names = args.models.split(",") if args.models else grids
    names = [name if name in grids else f"{name}{ending}" for name in names]
    grids = {name: grids[check_name(name, grids, "model")] for name in names}
    rec = EmotionRecognizer(
        make_estimator(names[0]),
        emotions=args.emotions or (None if args.data else list(EMOTION_SCALES[0])),
        data=read_data(args.data, args.columns, args.label_map),
        features=args.features,
        encoder=args.encoder,
        corpora=args.corpora.split(",") if args.corpora else None,
        classification=not args.regression,
        data_dir=args.data_dir,
        n_jobs=args.n_jobs,
        verbose=0 if args.json else 1,
        random_state=args.seed,
        scheduler=args.scheduler,
    )
    tune(rec.load_data(), grids, args.output, search=args.search, cv=args.cv, resume=args.resume)
    return [r for r in best_results(rec.classification, args.output) if r["estimator"] in grids]


def main(argv=None):
    """Run the command line, see the module's docstring: int, the exit code.

    Parameters
    ----------
    argv : list of str, optional
        Default: those of the program.
    """
    return guarded("grid_search.py", _run, argv, advice="--resume continues from here")


def _run(argv):
    args = _parse_args(argv)
    results = _tuned(args)
    if args.json:
        print(json.dumps(results))
        return
    measure = "MAE" if args.regression else "UAR"
    for r in results:
        print(f"{r['estimator']:28s} {measure} {r['score']:.3f} ± {r['std']:.3f}  {r['params']}")
    print(f"[+] saved in {printable(results_path(not args.regression, args.output))}")


__getattr__ = moved(__name__, {"corpora": "corpora_options", "utils": "read_plain_pickle"})


if __name__ == "__main__":
    sys.exit(main())
