"""Tuning: every shortcut gives what plain fits give; interrupted and distributed runs do too."""

import json
import os
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest
from conftest import REPO
from sklearn.base import clone
from sklearn.metrics import balanced_accuracy_score, mean_absolute_error
from sklearn.model_selection import GridSearchCV, ParameterGrid
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

import grid_search as gs
from data_extractor import speaker_groups
from emotion_recognition import EmotionLDA, EmotionRecognizer
from parameters import CLASSIFIER_GRIDS, CLASSIFIERS, REGRESSOR_GRIDS, REGRESSORS
from utils import best_results, get_best_estimators, make_estimator

BUNDLED = {"data_dir": REPO / "data", "tess_ravdess": False, "emodb": False, "verbose": 0}
TREE = {"max_depth": [1, 3, 5, None], "min_samples_leaf": [1, 4, 16]}


def run_cli(*arguments, **options):
    command = [sys.executable, "grid_search.py", "--data-dir", "data", "--corpora", "custom",
               *arguments]  # fmt: skip
    return subprocess.run(command, cwd=REPO, capture_output=True, text=True, **options)


@pytest.fixture(scope="module")
def rec():
    """A recognizer with the bundled clips of three emotions loaded."""
    return EmotionRecognizer(EmotionLDA(), features=["mfcc"], **BUNDLED).load_data()


def searcher(rec, **options):
    groups = speaker_groups(rec.train_rows_)
    return gs.Search(rec.X_train, rec.y_train, groups, n_jobs=1, **options)


# the grids


@pytest.mark.parametrize("grids", [CLASSIFIER_GRIDS, REGRESSOR_GRIDS])
def test_every_parameter_of_the_grids_exists_and_no_candidate_is_there_twice(grids):
    assert list(grids) == list(CLASSIFIERS if grids is CLASSIFIER_GRIDS else REGRESSORS)
    for name, grid in grids.items():
        candidates = list(ParameterGrid(grid))
        for params in candidates:
            assert make_estimator(name, params).get_params().items() >= params.items()
        assert len({json.dumps(sorted(p.items())) for p in candidates}) == len(candidates)


def test_the_grids_hold_what_users_expect():
    wanted = {
        "SVC": {"C", "gamma", "kernel"},
        "RandomForestClassifier": {"n_estimators", "max_depth", "min_samples_split",
                                   "min_samples_leaf", "max_features"},
        "GradientBoostingClassifier": {"learning_rate", "n_estimators", "subsample", "max_depth",
                                       "min_samples_split", "min_samples_leaf", "max_features"},
        "KNeighborsClassifier": {"weights", "p", "n_neighbors"},
        "MLPClassifier": {"hidden_layer_sizes", "alpha", "batch_size", "learning_rate", "max_iter"},
        "BaggingClassifier": {"n_estimators", "max_samples", "max_features"},
    }  # fmt: skip
    for name, parameters in wanted.items():
        assert parameters <= {key for params in ParameterGrid(CLASSIFIER_GRIDS[name])
                              for key in params}  # fmt: skip
    grids = [*CLASSIFIER_GRIDS.values(), *REGRESSOR_GRIDS.values()]
    assert 3000 < sum(len(ParameterGrid(grid)) for grid in grids) < 5000


# shortcuts


@pytest.mark.parametrize("kind", ["Classifier", "Regressor"])
@pytest.mark.parametrize("name", ["RandomForest", "Bagging", "GradientBoosting", "AdaBoost",
                                  "KNeighbors", "DecisionTree"])  # fmt: skip
def test_one_fit_predicts_for_a_family_what_a_fit_each_does(name, kind):
    rng = np.random.default_rng(0)
    labels = np.repeat(["angry", "happy", "sad"] if kind == "Classifier" else [0.0, 1.0, 2.0], 30)
    X, X_test = rng.normal(size=(90, 20)), rng.normal(size=(50, 20))
    X[:, 0] += np.repeat([0, 1, 2], 30)
    family = [{"n_estimators": n} for n in (20, 5, 40)]
    if name == "KNeighbors":
        family = [{"n_neighbors": n, "weights": w, "p": 3} for n in (1, 5, 200)
                  for w in ("uniform", "distance")]  # fmt: skip
    if name == "DecisionTree":
        family = [{"max_depth": 3}]
    got = gs.predictions(f"{name}{kind}", family, X, labels, X_test, random_state=3)
    for params, guesses in zip(family, got, strict=True):
        if "n_neighbors" in params:
            params = params | {"n_neighbors": min(params["n_neighbors"], 90)}
        model = make_estimator(f"{name}{kind}", params)
        if "random_state" in model.get_params():
            model.set_params(random_state=3)
        want = model.fit(X, labels).predict(X_test)
        if kind == "Classifier":
            np.testing.assert_array_equal(guesses, want)
        else:
            np.testing.assert_allclose(guesses, want, rtol=1e-9)


def test_boosting_that_ends_early_predicts_with_what_it_has():
    X = np.repeat([[0.0], [1.0]], 20, axis=0)
    y = np.repeat(["a", "b"], 20)  # the first stump is perfect: AdaBoost stops there
    for sizes in ((1, 50), (20, 50)):
        family = [{"n_estimators": n} for n in sizes]
        for guesses in gs.predictions("AdaBoostClassifier", family, X, y, X):
            np.testing.assert_array_equal(guesses, y)


def test_an_exhaustive_search_scores_as_scikit_learn_does(rec):
    search = searcher(rec, search="grid")
    table = search.run("DecisionTreeClassifier", TREE)
    tree = make_estimator("DecisionTreeClassifier", {"random_state": 0})
    oracle = GridSearchCV(
        Pipeline([("scale", StandardScaler()), ("model", tree)]),
        {f"model__{name}": values for name, values in TREE.items()},
        cv=search.folds,
        scoring="balanced_accuracy",
    )
    oracle.fit(rec.X_train, rec.y_train)
    want = {
        json.dumps({k.removeprefix("model__"): v for k, v in params.items()}, sort_keys=True): score
        for params, score in zip(
            oracle.cv_results_["params"], oracle.cv_results_["mean_test_score"], strict=True
        )
    }
    got = {json.dumps(p, sort_keys=True): s for p, s in zip(table["params"], table["score"],
                                                            strict=True)}  # fmt: skip
    assert got == pytest.approx(want)
    assert table["score"].iloc[0] == pytest.approx(oracle.best_score_)


def test_regressors_are_ranked_by_the_lowest_error():
    options = BUNDLED | {"features": ["mfcc"], "classification": False}
    rec = EmotionRecognizer(make_estimator("SVR"), **options).load_data()
    search = searcher(rec, search="grid", classification=False)
    table = search.run("DecisionTreeRegressor", TREE)
    assert table["score"].is_monotonic_increasing
    params, errors = table["params"].iloc[0], []
    for train, test in search.folds:
        model = make_estimator("DecisionTreeRegressor", params | {"random_state": 0})
        scaler = StandardScaler().fit(rec.X_train[train])
        model.fit(scaler.transform(rec.X_train[train]), rec.y_train[train])
        guesses = model.predict(scaler.transform(rec.X_train[test]))
        errors.append(mean_absolute_error(rec.y_train[test], guesses))
    assert table["score"].iloc[0] == pytest.approx(np.mean(errors))
    assert table["std"].iloc[0] == pytest.approx(np.std(errors))


# halving


def test_halving_gives_few_candidates_all_the_clips(rec):
    search = searcher(rec)
    assert search.rungs(320) == [(320, 1 / 9), (107, 1 / 3), (36, 1.0)]
    assert search.rungs(12) == [(12, 1 / 9), (8, 1.0)] and search.rungs(3) == [(3, 1.0)]
    assert search.rungs(90, together=True) == [(90, 1 / 3), (30, 1.0)]
    table = search.run("DecisionTreeClassifier", TREE)
    assert len(table) == 12 and table["share"].is_monotonic_decreasing
    final = table[table["share"] == 1.0]
    assert len(final) == 8 and final["score"].is_monotonic_decreasing
    exhaustive = searcher(rec, search="grid").run("DecisionTreeClassifier", TREE)
    full = {json.dumps(p): s for p, s in zip(exhaustive["params"], exhaustive["score"],
                                             strict=True)}  # fmt: skip
    for params, score in zip(final["params"], final["score"], strict=True):
        assert score == full[json.dumps(params)]


def test_what_one_fit_scores_stays_together(rec):
    forests = {"n_estimators": [9, 3], "max_depth": [1, 2, 3], "min_samples_leaf": [1, 2, 3, 4]}
    table = searcher(rec).run("RandomForestClassifier", forests)
    last = table[table["share"] == 1.0]["params"]
    assert len(table) == 24 and len(last) == 16  # 8 of 12 families
    for params in last:
        assert params | {"n_estimators": 12 - params["n_estimators"]} in last.tolist()
    begun = table[table["share"] == 1 / 3]["params"]
    assert [params["n_estimators"] for params in begun] == [3] * 4
    neighbors = {"n_neighbors": [1, 3, 5, 9], "p": [1, 2, 3]}
    table, whole = (searcher(rec, search=search).run("KNeighborsClassifier", neighbors)
                    for search in ("halving", "grid"))  # fmt: skip
    assert table["score"].tolist() == whole["score"].tolist()


def test_forests_score_as_scikit_learns_do(rec):
    """The order of the clips decides what a tree draws."""
    search = searcher(rec, search="grid")
    table = search.run("RandomForestClassifier", {"n_estimators": [5, 10]})
    forest = make_estimator("RandomForestClassifier", {"random_state": 0})
    oracle = GridSearchCV(
        Pipeline([("scale", StandardScaler()), ("model", forest)]),
        {"model__n_estimators": [5, 10]}, cv=search.folds, scoring="balanced_accuracy",
    ).fit(rec.X_train, rec.y_train)  # fmt: skip
    want = sorted(oracle.cv_results_["mean_test_score"], reverse=True)
    assert table["score"].tolist() == pytest.approx(want)


def test_parts_are_stratified_nested_and_of_the_training_side(rec, monkeypatch):
    monkeypatch.setattr(gs, "FEWEST_CLIPS", 5)
    search = searcher(rec)
    for train, test in search.folds:
        small, large = (search._part(train, share) for share in (0.5, 1.0))
        assert set(small) < set(large) == set(train) and not set(train) & set(test)
        counts = np.unique(rec.y_train[small], return_counts=True)[1]
        whole = np.unique(rec.y_train[train], return_counts=True)[1]
        np.testing.assert_allclose(counts / len(small), whole / len(train), atol=0.06)


def test_no_speaker_is_on_both_sides(rec):
    groups = speaker_groups(rec.train_rows_)
    for train, test in searcher(rec).folds:
        assert not set(groups[train]) & set(groups[test])


def test_equal_work_is_not_repeated(rec, monkeypatch):
    """The bundled clips are so few that two rungs have the same part of them."""
    done = []
    real = gs._fit_and_score
    monkeypatch.setattr(
        gs, "_fit_and_score", lambda *a: done.append((str(a[2]), len(a[3]))) or real(*a)
    )
    search = searcher(rec)
    search.run("KNeighborsClassifier", {"n_neighbors": [1, 3, 5], "p": [1, 2]})
    sizes = {len(search._part(train, share)) for train, _ in search.folds for share in gs.SHARES}
    assert len(done) <= 2 * len(search.folds) * len(sizes)
    again = len(done)
    search.run("KNeighborsClassifier", {"n_neighbors": [1, 3, 5], "p": [1, 2]})
    assert len(done) == again


def test_a_random_search_draws_some_candidates_by_seed(rec, monkeypatch):
    monkeypatch.setattr(gs, "N_RANDOM", 5)
    first, same, other = (
        searcher(rec, search="random", random_state=seed).candidates(TREE) for seed in (0, 0, 1)
    )
    assert len(first) == 5 and first == same != other
    with pytest.raises(ValueError, match="Did you mean 'grid'"):
        searcher(rec, search="gird")


# the journal


def test_a_journal_is_read_only_by_the_same_search(tmp_path):
    path = tmp_path / "scores.jsonl"
    journal = gs.Journal(path, "this data")
    journal.add(journal.key("SVC", {"C": 1}, 10, 0), 0.5)
    with path.open("a") as file:
        file.write('["cut off')  # killed while it wrote
    again = gs.Journal(path, "this data", resume=True)
    assert list(again.scores.values()) == [0.5]
    assert list(gs.Journal(path, "this data", resume=True).scores.values()) == [0.5]
    assert gs.Journal(path, "other data", resume=True).scores == {}
    assert gs.Journal(path, "other data").scores == {}


def test_data_settings_and_library_make_the_fingerprint(rec, monkeypatch):
    y, groups = rec.y_train, speaker_groups(rec.train_rows_)
    marks = [gs.fingerprint(rec.X_train, y, groups, [1])]
    marks.append(gs.fingerprint(rec.X_train + 1, y, groups, [1]))
    marks.append(gs.fingerprint(rec.X_train, y[::-1], groups, [1]))
    marks.append(gs.fingerprint(rec.X_train, y, groups[::-1], [1]))
    marks.append(gs.fingerprint(rec.X_train, y, groups, [2]))
    monkeypatch.setattr(gs.importlib.metadata, "version", lambda name: "99")
    marks.append(gs.fingerprint(rec.X_train, y, groups, [1]))
    assert len(set(marks)) == len(marks)


# the command


def plain(results):
    return [{k: v for k, v in r.items() if k != "date"} for r in results]


@pytest.mark.parametrize(("classification", "ending"), [(True, "Classifier"), (False, "Regressor")])
def test_results_are_saved_model_by_model(tmp_path, classification, ending):
    kind = [] if classification else ["--regression"]
    for models in ("KNeighbors", "DecisionTree"):
        done = run_cli("--models", models, "--output", str(tmp_path), "--json",
                       "--features", "mfcc", *kind)  # fmt: skip
        assert done.returncode == 0, done.stderr
    results = best_results(classification, tmp_path)
    assert {r["estimator"] for r in results} == {f"KNeighbors{ending}", f"DecisionTree{ending}"}
    [printed] = json.loads(done.stdout)
    assert printed in [json.loads(json.dumps(r)) for r in results]
    scores = [score for _, _, score in get_best_estimators(classification, tmp_path)]
    assert scores == sorted(scores, reverse=classification)
    assert all(0 < score < 2 for score in scores)
    for result in results:
        assert result["corpora"] == ["custom"] and result["n_speakers"] >= 6
        assert result["features"] == ["mfcc"] and result["std"] > 0 and result["folds"] == 3
    assert [path.suffix for path in tmp_path.iterdir()] == [".pickle"]


def test_a_killed_search_resumes_to_the_same_result(tmp_path):
    arguments = ["--models", "KNeighbors,DecisionTree", "--features", "mfcc", "--n-jobs", "1"]
    done = run_cli(*arguments, "--output", str(tmp_path / "whole"))
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "killed"
    command = [sys.executable, "grid_search.py", "--data-dir", "data", "--corpora", "custom",
               *arguments, "--output", str(folder)]  # fmt: skip
    process = subprocess.Popen(command, cwd=REPO, stderr=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL)  # fmt: skip
    journal = folder / "best_classifiers.jsonl"
    deadline = time.monotonic() + 120
    while not (journal.is_file() and len(journal.read_text().splitlines()) > 200):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = journal.read_text().splitlines()
    done = run_cli(*arguments, "--output", str(folder), "--resume")
    assert done.returncode == 0, done.stderr
    assert plain(best_results(True, folder)) == plain(best_results(True, tmp_path / "whole"))
    assert len(before) > 200 and not journal.exists()


def test_an_unknown_model_is_named_in_one_line():
    done = run_cli("--models", "KNeighbours")
    assert done.returncode == 1 and len(done.stderr.splitlines()) == 1
    assert "Did you mean 'KNeighborsClassifier'" in done.stderr


# the committed results


def test_the_committed_results_cover_every_model_on_the_real_corpora():
    for classification, models in ((True, CLASSIFIERS), (False, REGRESSORS)):
        results = best_results(classification)
        assert {r["estimator"] for r in results} == set(models)
        assert {tuple(r["corpora"]) for r in results} == {("emodb", "ravdess", "tess")}
        assert len(get_best_estimators(classification)) == 8


# a cluster


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """The address of a Dask scheduler and its two worker processes, started by their commands."""
    pytest.importorskip("distributed", reason="pip install -r requirements-cluster.txt")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address, folder = f"tcp://127.0.0.1:{port}", tmp_path_factory.mktemp("dask")
    options = {"cwd": folder, "env": os.environ | {"PYTHONPATH": str(REPO)},
               "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}  # fmt: skip
    dask = [sys.executable, "-m", "dask"]
    scheduler = subprocess.Popen([*dask, "scheduler", "--host", "127.0.0.1", "--port", str(port),
                                  "--dashboard-address", ":0"], **options)  # fmt: skip
    worker = [*dask, "worker", address, "--nthreads", "1", "--no-nanny", "--no-dashboard"]
    workers = [subprocess.Popen(worker, **options) for _ in range(2)]
    from distributed import Client

    with Client(address, timeout=60) as client:
        client.wait_for_workers(2, timeout=60)
    yield address, workers
    for process in (*workers, scheduler):
        process.kill()
        process.wait()


def test_a_cluster_extracts_and_tunes_as_this_machine_does(cluster, rec, tmp_path):
    address, _ = cluster
    settings = BUNDLED | {"features": ["mfcc"], "scheduler": address}
    os.environ["SER_CACHE_DIR"], kept = str(tmp_path), os.environ["SER_CACHE_DIR"]
    try:
        there = EmotionRecognizer(EmotionLDA(), **settings).load_data()
    finally:
        os.environ["SER_CACHE_DIR"] = kept
    np.testing.assert_array_equal(there.X_train, rec.X_train)
    grids = {"DecisionTreeClassifier": TREE}
    ours, theirs = (gs.tune(r, grids, tmp_path / str(i)) for i, r in enumerate((rec, there)))
    assert theirs["DecisionTreeClassifier"].equals(ours["DecisionTreeClassifier"])


def test_a_worker_that_dies_changes_nothing_but_the_time(cluster, rec, tmp_path):
    address, workers = cluster
    there = rec.untrained(scheduler=address).load_data()
    grids = {"RandomForestClassifier": {"n_estimators": [60], "max_depth": [1, 2, 3, 4, 5, 6]}}
    ours = gs.tune(rec, grids, tmp_path / "here", search="grid")
    folder = tmp_path / "there"
    killer = subprocess.Popen(
        [sys.executable, "-c",
         "import os, pathlib, sys, time\n"
         "path = pathlib.Path(sys.argv[1])\n"
         "while not path.exists() or len(path.read_text().splitlines()) < 3: time.sleep(0.01)\n"
         "os.kill(int(sys.argv[2]), 9)",
         str(folder / "best_classifiers.jsonl"), str(workers[0].pid)]
    )  # fmt: skip
    theirs = gs.tune(there, grids, folder, search="grid")
    assert killer.wait(60) == 0 and workers[0].wait(60) != 0
    assert theirs["RandomForestClassifier"].equals(ours["RandomForestClassifier"])


def test_without_dask_or_a_scheduler_one_line_says_what_to_do(monkeypatch):
    done = run_cli("--models", "KNeighbors", "--scheduler", "tcp://127.0.0.1:1")
    assert done.returncode == 1 and len(done.stderr.splitlines()) == 1
    assert "127.0.0.1:1" in done.stderr
    monkeypatch.setitem(sys.modules, "dask.distributed", None)
    with pytest.raises(ModuleNotFoundError, match=r"requirements-cluster\.txt"):
        EmotionRecognizer(EmotionLDA(), scheduler="tcp://here:1", **BUNDLED).load_data()


def test_scores_are_of_the_model_that_is_saved(rec, tmp_path):
    gs.tune(rec, {"SVC": {"C": [0.1, 1.0], "kernel": ["linear", "rbf"]}}, tmp_path, search="grid")
    [(model, _, score)] = get_best_estimators(True, tmp_path)
    found = []
    for train, test in searcher(rec).folds:
        scaler = StandardScaler().fit(rec.X_train[train])
        fitted = clone(model).fit(scaler.transform(rec.X_train[train]), rec.y_train[train])
        guesses = fitted.predict(scaler.transform(rec.X_train[test]))
        found.append(balanced_accuracy_score(rec.y_train[test], guesses))
    assert score == pytest.approx(np.mean(found))


@pytest.mark.parametrize("name", ["MLPClassifier", "MLPRegressor"])
def test_networks_of_several_max_iter_predict_as_if_each_was_fitted_alone(name, monkeypatch):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(60, 5)), np.repeat([0, 1, 2], 20)
    family = [{"hidden_layer_sizes": [8], "alpha": 0.01, "tol": 1e-2, "max_iter": n}
              for n in (5, 400, 300)]  # fmt: skip
    alone = [make_estimator(name, params).set_params(random_state=3).fit(X, y) for params in family]
    assert alone[0].n_iter_ == 5 < alone[1].n_iter_ == alone[2].n_iter_ < 300
    fits = []
    kind = type(alone[0])
    fit = kind.fit
    monkeypatch.setattr(
        kind, "fit", lambda self, *data: fits.append(self.max_iter) or fit(self, *data)
    )
    guesses = gs.predictions(name, family, X, y, X + 0.1, random_state=3)
    for model, guess in zip(alone, guesses, strict=True):
        np.testing.assert_array_equal(model.predict(X + 0.1), guess)
    assert fits == [400, 5]
