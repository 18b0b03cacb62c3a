"""Tune the models of parameters.py and keep the results in grid/, as plain data.

    python grid_search.py                                  # eight classifiers, 3 emotions
    python grid_search.py --regression                     # eight regressors
    python grid_search.py --models SVC,MLP --emotions angry,sad,neutral,ps,happy
    python grid_search.py --search grid --models KNeighbors --features mfcc,chroma,mel
    python grid_search.py --resume                         # go on where a killed run stopped
    python grid_search.py --scheduler tcp://10.0.0.1:8786  # on a Dask cluster, see the README

Candidates are scored by cross-validation that keeps speakers apart, on the training part of the
corpora in the data folder: UAR for classifiers, mean absolute error for regressors, scaling inside
the fold. Successive halving (Jamieson and Talwalkar 2016) gives every candidate a ninth of the
training clips, the best third of them a third of the clips, and the best third of these all.
Candidates that one fit can score stay together; ensembles begin at a third of the clips with their
smallest size, for a few clips tell little about them and save little. Each model's result is saved
as it ends, in place of its earlier one.
"""

import argparse
import datetime
import hashlib
import importlib.metadata
import json
import math
import pickle
import sys
import tempfile
import warnings
from collections import defaultdict
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from scipy.spatial.distance import cdist
from sklearn.model_selection import ParameterGrid
from sklearn.preprocessing import StandardScaler
from tqdm.auto import tqdm

import evaluation
from data_extractor import speaker_groups, stratified_order
from emotion_recognition import SCORES, SCORING, EmotionRecognizer, corpora_options
from features import RECOMMENDED_FEATURES
from parameters import CLASSIFIER_GRIDS, REGRESSOR_GRIDS
from utils import GRID_DIR, check_name, make_estimator, read_plain_pickle, replacing, results_path

SEARCHES = ("halving", "grid", "random")
SHARES = 1 / 9, 1 / 3, 1.0  # of the training clips that the rungs of halving learn from
KEPT = 1 / 3  # of a rung's families of candidates reach the next
FEWEST_CLIPS = 40  # that anything is learned from
FEWEST = 8  # families that reach the last rung, if there are as many
N_RANDOM = 60  # candidates of a random search
NESTED = {"n_estimators", "n_neighbors", "weights"}
"""Parameters whose values one fit can score: the first trees of 100 are those of 50, and the
distances between clips are the same however many neighbours count, and how much."""
SHARED = NESTED | {"max_iter"}
"""Those whose values one fit may score: a network that ends of itself needs no more iterations."""


class Search:
    """Finds a model's best parameters by scoring candidates on folds of the training part.

    Parameters
    ----------
    X : ndarray (n_clips, n_features)
    y, groups : ndarray (n_clips,)
        Labels, or numbers to regress on; speakers.
    classification : bool
    search : {"halving", "grid", "random"}
    cv : int
        Folds.
    random_state : int
    n_jobs : int
        Processes, as joblib counts them; an active joblib backend serves too.
    journal : Journal, optional
        Where scores are kept, so that a killed search resumes.
    """

    def __init__(self, X, y, groups, *, classification=True, search="halving", cv=3,
                 random_state=0, n_jobs=-1, journal=None):  # fmt: skip
        self.X, self.y = X, y
        self.classification = classification
        self.search = check_name(search, SEARCHES, "search")
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.journal = journal or Journal()
        self.folds = evaluation.speaker_folds(y, groups, cv, random_state)

    def rungs(self, n_families, together=False):
        """How many families of candidates get how large a share of the clips.

        A rung after which all would go on isn't there.

        Parameters
        ----------
        n_families : int
        together : bool
            Whether families have several members.

        Returns
        -------
        list of (int, float)
        """
        if self.search != "halving":
            return [(n_families, 1.0)]
        shares, fewest = SHARES[1:] if together else SHARES, min(FEWEST, n_families)
        counts = [max(fewest, math.ceil(n_families * KEPT**i)) for i in range(len(shares))]
        after = [*counts[1:], 0]
        return [(n, s) for n, s, n_next in zip(counts, shares, after, strict=True) if n_next < n]

    def candidates(self, grid):
        """The combinations of a grid: list of dict."""
        candidates = list(ParameterGrid(grid))
        if self.search == "random":
            order = np.random.default_rng(self.random_state).permutation(len(candidates))
            candidates = [candidates[i] for i in order[:N_RANDOM]]
        return candidates

    def run(self, name, grid, bar=None):
        """Search one model's grid.

        Parameters
        ----------
        name : str
            A class name of parameters.py.
        grid : dict or list of dict
            As scikit-learn's ParameterGrid takes it.
        bar : tqdm, optional
            Counts scored candidates.

        Returns
        -------
        DataFrame (n_candidates,)
            params, score, std, share (of the clips that the score was reached with), best first:
            those that reached the last rung before all others, those that were never scored last.
        """
        candidates = self.candidates(grid)
        table = pd.DataFrame({"params": candidates, "score": np.nan, "std": np.nan,
                              "share": np.nan})  # fmt: skip
        kin, expected = families(candidates), self.expected_fits(candidates)
        sign = -1 if self.classification else 1
        for n_alive, share in self.rungs(len(kin), len(kin) < len(candidates)):
            kin = kin[:n_alive]
            alive = [i for family in kin for i in _members(family, candidates, share)]
            if bar is not None:
                bar.total += len(self.folds) * len(alive) - expected.pop(0)
            scores = self._score(name, [candidates[i] for i in alive], share, bar)
            table.loc[alive, "score"], table.loc[alive, "std"] = scores.mean(1), scores.std(1)
            table.loc[alive, "share"] = share
            kin.sort(key=lambda family: (sign * table.loc[family, "score"]).min())
        best = [False, not self.classification]
        table = table.sort_values(["share", "score"], ascending=best, kind="stable")
        return table.reset_index(drop=True)

    def expected_fits(self, candidates):
        """About how many scores of a candidate on a fold each rung will take: list of int."""
        kin = families(candidates)
        counts = []
        for n_alive, share in self.rungs(len(kin), len(kin) < len(candidates)):
            members = sum(len(_members(family, candidates, share)) for family in kin)
            counts.append(round(n_alive * members / len(kin)) * len(self.folds))
        return counts

    def _score(self, name, candidates, share, bar):
        """Score candidates on a share of every fold's training clips: (n_candidates, n_folds)."""
        parts = [self._part(train, share) for train, _ in self.folds]
        keys = [
            [Journal.key(name, params, len(part), fold) for fold, part in enumerate(parts)]
            for params in candidates
        ]
        tasks = []
        for family in families(candidates, SHARED):
            for fold, (_, test) in enumerate(self.folds):
                unknown = [i for i in family if keys[i][fold] not in self.journal.scores]
                if unknown:
                    tasks.append((unknown, fold, parts[fold], test))
                if bar is not None:
                    bar.update(len(family) - len(unknown))
        work = Parallel(self.n_jobs, return_as="generator_unordered", pre_dispatch="4 * n_jobs")(
            delayed(_fit_and_score)(
                (unknown, fold), name, [candidates[i] for i in unknown], part, test,
                self.X, self.y, self.classification, self.random_state,
            )
            for unknown, fold, part, test in tasks
        )  # fmt: skip
        for (unknown, fold), scores in work:
            for i, score in zip(unknown, scores, strict=True):
                self.journal.add(keys[i][fold], score)
            if bar is not None:
                bar.update(len(unknown))
        return np.array([[self.journal.scores[key] for key in row] for row in keys])

    def _part(self, train, share):
        """A share of the clips, labels in their proportions; a smaller one is part of a larger.

        In the fold's order, so that all of them give what scikit-learn's search gives.
        """
        n_clips = min(len(train), max(FEWEST_CLIPS, round(share * len(train))))
        return train[np.sort(stratified_order(self.y[train], self.random_state)[:n_clips])]


class Journal:
    """The scores so far, a line each, in a file that a killed search is resumed from.

    Parameters
    ----------
    path : path, optional
        Without one nothing is kept beyond this object.
    fingerprint : str
        What the scores depend on; a file of another one is begun anew.
    resume : bool
        Read what is there.
    """

    def __init__(self, path=None, fingerprint="", resume=False):
        self.path, self.scores = path, {}
        if path is None:
            return
        lines = path.read_text().splitlines() if resume and path.is_file() else []
        if lines and lines[0] == fingerprint:
            for line in lines[1:]:
                with suppress(ValueError):  # the line that was being written when it was killed
                    key, value = json.loads(line)
                    self.scores[key] = value
        path.parent.mkdir(parents=True, exist_ok=True)
        rows = [json.dumps([key, value]) for key, value in self.scores.items()]
        path.write_text("\n".join([fingerprint, *rows]) + "\n")

    @staticmethod
    def key(name, params, n_clips, fold):
        """The name of one score."""
        return json.dumps([name, sorted(params.items()), n_clips, fold])

    def add(self, key, value):
        """Keep a score."""
        self.scores[key] = value
        if self.path is not None:
            with self.path.open("a") as file:
                file.write(json.dumps([key, value]) + "\n")

    def remove(self):
        """The search has ended: the file isn't needed any more."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)


def families(candidates, nested=NESTED):
    """Group candidates that one fit can score, those that differ only in `nested` parameters.

    Returns
    -------
    list of list of int
        Indices of `candidates`.

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
    """Those of a family that are scored with a share of the clips."""
    if share == 1:
        return family
    smallest = min(candidates[i].get("n_estimators", 0) for i in family)
    return [i for i in family if candidates[i].get("n_estimators", 0) == smallest]


def _fit_and_score(place, name, family, train, test, X, y, classification, random_state):
    """Fit a family's largest member, and score each on the held-out speakers."""
    scaler = StandardScaler().fit(X[train])
    sides = scaler.transform(X[train]), y[train], scaler.transform(X[test])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # too few iterations, too large a batch: just candidates
        guesses = predictions(name, family, *sides, random_state)
    score = SCORES[classification]
    return place, [float(score(y[test], guess)) for guess in guesses]


def predictions(name, family, X, y, X_test, random_state=0):
    """What each of a family of candidates predicts, each as if fitted on its own.

    Parameters
    ----------
    name : str
        A class name of parameters.py.
    family : list of dict
        Parameters that differ only in `SHARED` ones.
    X, X_test : ndarray (n_clips, n_features)
        Standardised.
    y : ndarray (n_clips,)
    random_state : int

    Returns
    -------
    list of ndarray (n_test_clips,)
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
    sizes, kept = [params["n_estimators"] for params in family], {}
    for i, stage in enumerate(_staged(model, X_test), 1):
        if i in sizes:
            kept[i] = stage
    return [kept.get(size, stage) for size in sizes]  # boosting may have ended before that size


def _by_neighbors(name, family, X, y, X_test):
    """Nearest neighbours from distances that are computed once."""
    distances = cdist(X_test, X, "minkowski", p=family[0].get("p", 2))
    guesses = []
    for params in family:
        n_neighbors = min(params["n_neighbors"], len(X))
        options = {"n_neighbors": n_neighbors, "weights": params.get("weights", "uniform")}
        model = make_estimator(name, options | {"metric": "precomputed"})
        guesses.append(model.fit(np.zeros((len(X), len(X))), y).predict(distances))
    return guesses


def _by_iterations(name, family, X, y, X_test, random_state):
    """Networks that may learn for longer, fitted again only if they had not ended by then."""
    guesses, model = {}, None
    for max_iter in sorted({params["max_iter"] for params in family}, reverse=True):
        if model is None or model.n_iter_ > max_iter:
            params = family[0] | {"max_iter": max_iter}
            model = make_estimator(name, params).set_params(random_state=random_state).fit(X, y)
        guesses[max_iter] = model.predict(X_test)
    return [guesses[params["max_iter"]] for params in family]


def _staged(model, X):
    """Yield what the first, the first two, ... estimators of a fitted ensemble predict."""
    if hasattr(model, "staged_predict"):
        yield from model.staged_predict(X)
        return
    everything = [slice(None)] * len(model.estimators_)
    classes, total = getattr(model, "classes_", None), 0
    features = getattr(model, "estimators_features_", everything)
    for i, (tree, columns) in enumerate(zip(model.estimators_, features, strict=True), 1):
        part = X[:, columns]
        total = total + (tree.predict(part) if classes is None else tree.predict_proba(part))
        yield total / i if classes is None else classes[total.argmax(axis=1)]


def fingerprint(X, y, groups, settings):
    """Say what the scores depend on: a digest of the data, the settings and the library."""
    digest = hashlib.sha256(np.ascontiguousarray(X).tobytes())
    version = importlib.metadata.version("scikit-learn")
    digest.update(json.dumps([y.tolist(), groups.tolist(), settings, version]).encode())
    return digest.hexdigest()


def plain_result(rec, name, table, search):
    """The result of one model as `utils.best_results` reads it: plain data only."""
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
    """Put a result into the file at `path`, in place of the same model's earlier one."""
    kept = read_plain_pickle(path) if path.is_file() else []
    kept = [r for r in kept if r["estimator"] != result["estimator"]]
    with replacing(path) as temporary:
        temporary.write_bytes(pickle.dumps([*kept, result]))


def tune(rec, grids, output=GRID_DIR, *, search="halving", cv=3, resume=False):
    """Tune models one after the other, and save each result as it is there.

    Parameters
    ----------
    rec : EmotionRecognizer
        Its training part and kind (classification or regression) are used; not its model.
    grids : dict of str to grid
        Class names of parameters.py; see `Search.run`.
    output : path
        The folder of best_classifiers.pickle or best_regressors.pickle.
    search : {"halving", "grid", "random"}
    cv : int
        Folds of speakers.
    resume : bool
        Go on where a killed run of the same data and settings stopped.

    Returns
    -------
    dict of str to DataFrame
        Every candidate of every model; see `Search.run`.
    """
    y, groups = rec.y_train, speaker_groups(rec.train_rows_)
    path = results_path(rec.classification, output)
    settings = [rec.classification, search, cv, rec.random_state]
    mark = fingerprint(rec.X_train, y, groups, settings)
    journal = Journal(path.with_suffix(".jsonl"), mark, resume)
    tables = {}
    with _shared(rec.X_train, rec.scheduler) as X, rec.parallel(X):
        searcher = Search(
            X, y, groups, classification=rec.classification, search=search, cv=cv,
            random_state=rec.random_state, n_jobs=rec.n_jobs, journal=journal,
        )  # fmt: skip
        counts = [searcher.expected_fits(searcher.candidates(grid)) for grid in grids.values()]
        with tqdm(total=sum(map(sum, counts)), desc="Tuning", unit="fit", smoothing=0.05,
                  disable=not rec.verbose) as bar:  # fmt: skip
            for name, grid in grids.items():
                bar.set_postfix_str(name)
                tables[name] = searcher.run(name, grid, bar)
                save_result(plain_result(rec, name, tables[name], searcher), path)
    journal.remove()
    return tables


@contextmanager
def _shared(X, scheduler):
    """The array in a file that processes map into their memory; a cluster is sent it instead."""
    if scheduler is not None:
        yield X
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "X.npy"
        np.save(path, X)
        yield np.load(path, mmap_mode="r")


def _parse_args(argv):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", help="comma-separated; default: all eight")
    parser.add_argument("--emotions", default="sad,neutral,happy", help="default %(default)s")
    parser.add_argument("--features", default=",".join(RECOMMENDED_FEATURES),
                        help="default %(default)s")  # fmt: skip
    parser.add_argument("--corpora", help="comma-separated; default: whatever is there")
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--classification", action="store_true", help="tune classifiers (default)")
    kind.add_argument("--regression", action="store_true", help="tune regressors")
    parser.add_argument("--search", choices=SEARCHES, default="halving",
                        help=f"halving (default), grid (all candidates on all clips) or random "
                             f"({N_RANDOM} of them)")  # fmt: skip
    parser.add_argument("--cv", type=int, default=3, help="folds of speakers (default 3)")
    parser.add_argument("--resume", action="store_true",
                        help="go on where a killed run of the same search stopped")  # fmt: skip
    parser.add_argument("--scheduler", metavar="ADDRESS",
                        help="of a Dask scheduler, e.g. tcp://host:8786")  # fmt: skip
    parser.add_argument("--data-dir", help="the data folder; else $SER_DATA_DIR, else data/")
    parser.add_argument("--n-jobs", type=int, default=-1, help="processes (default: all cores)")
    parser.add_argument("--seed", type=int, default=0, help="of all that is random (default 0)")
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
            random_state=args.seed,
            scheduler=args.scheduler,
            **(corpora_options(args.corpora.split(",")) if args.corpora else {}),
        )
        rec.load_data()
        tables = tune(rec, {name: grids[name] for name in names}, args.output,
                      search=args.search, cv=args.cv, resume=args.resume)  # fmt: skip
    except (ValueError, OSError) as error:
        sys.exit(f"grid_search.py: {error}")
    path = results_path(not args.regression, args.output)
    results = [r for r in read_plain_pickle(path) if r["estimator"] in tables]
    if args.json:
        print(json.dumps(results))
        return
    measure = "MAE" if args.regression else "UAR"
    for r in sorted(results, key=lambda r: r["score"], reverse=not args.regression):
        print(f"{r['estimator']:28s} {measure} {r['score']:.3f} ± {r['std']:.3f}  {r['params']}")
    print(f"[+] saved in {path}")


if __name__ == "__main__":
    main()
