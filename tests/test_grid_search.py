"""Tuning: every shortcut gives what plain fits give; interrupted and distributed runs do too."""

import importlib.util
import json
import os
import pickle
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest
from conftest import BUNDLED, FEW, REPO
from matplotlib.figure import Figure
from sklearn.base import clone
from sklearn.metrics import balanced_accuracy_score, mean_absolute_error
from sklearn.model_selection import GridSearchCV, ParameterGrid
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

import data_extractor
import grid_search as gs
from emotion_recognition import EmotionRecognizer
from models import EmotionLDA
from parameters import CLASSIFIER_GRIDS, CLASSIFIERS, REGRESSOR_GRIDS, REGRESSORS
from tables import speaker_groups
from utils import best_results, get_best_estimators, make_estimator

TREE = {"max_depth": [1, 3, 5, None], "min_samples_leaf": [1, 4, 16]}
CUSTOM = ["--data-dir", str(REPO / "data"), "--corpora", "custom"]


@pytest.fixture
def run(capsys):
    """Runs the command line in this process: exit code, stdout, stderr."""

    def run(*arguments):
        code = gs.main([*CUSTOM, "--n-jobs", "1", *map(str, arguments)])
        return code, *capsys.readouterr()

    return run


@pytest.fixture(scope="module")
def rec():
    """A recognizer with the bundled clips of three emotions loaded."""
    return EmotionRecognizer(EmotionLDA(), **FEW, **BUNDLED).load_data()


def searcher(rec, **options):
    groups = speaker_groups(rec.train_rows_)
    return gs.Search(rec.X_train, rec.y_train, groups, n_jobs=1, **options)


def exhaustive(search, rec, name, grid):
    """Scikit-learn's search of a grid, on the same folds."""
    model = make_estimator(name, {"random_state": 0})
    pipeline = Pipeline([("scale", StandardScaler()), ("model", model)])
    grid = {f"model__{key}": values for key, values in grid.items()}
    oracle = GridSearchCV(pipeline, grid, cv=search.folds, scoring="balanced_accuracy")
    return oracle.fit(rec.X_train, rec.y_train)


def by_params(params, scores):
    """Scores by their parameters: dict of str to float."""
    keys = [json.dumps({k.removeprefix("model__"): p[k] for k in sorted(p)}) for p in params]
    return dict(zip(keys, scores, strict=True))


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
    tree = {"max_depth", "min_samples_split", "min_samples_leaf", "max_features", "n_estimators"}
    wanted = {
        "SVC": {"C", "gamma", "kernel"},
        "RandomForestClassifier": tree,
        "GradientBoostingClassifier": tree | {"learning_rate", "subsample"},
        "KNeighborsClassifier": {"weights", "p", "n_neighbors"},
        "MLPClassifier": {"hidden_layer_sizes", "alpha", "batch_size", "learning_rate", "max_iter"},
        "BaggingClassifier": {"n_estimators", "max_samples", "max_features"},
    }
    for name, parameters in wanted.items():
        assert parameters <= set().union(*ParameterGrid(CLASSIFIER_GRIDS[name]))
    grids = [*CLASSIFIER_GRIDS.values(), *REGRESSOR_GRIDS.values()]
    assert 3000 < sum(len(ParameterGrid(grid)) for grid in grids) < 5000


# shortcuts


@pytest.mark.parametrize("kind", ["Classifier", "Regressor"])
@pytest.mark.parametrize(
    "name",
    ["RandomForest", "Bagging", "GradientBoosting", "AdaBoost", "KNeighbors", "DecisionTree"],
)
def test_one_fit_predicts_for_a_family_what_a_fit_each_does(name, kind):
    rng = np.random.default_rng(0)
    labels = np.repeat(["angry", "happy", "sad"] if kind == "Classifier" else [0.0, 1.0, 2.0], 30)
    X, X_test = rng.normal(size=(90, 20)), rng.normal(size=(50, 20))
    X[:, 0] += np.repeat([0, 1, 2], 30)
    family = [{"n_estimators": n} for n in (20, 5, 40)]
    if name == "KNeighbors":
        grid = {"n_neighbors": [1, 5, 200], "weights": ["uniform", "distance"], "p": [3]}
        family = list(ParameterGrid(grid))
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
    oracle = exhaustive(search, rec, "DecisionTreeClassifier", TREE)
    want = by_params(oracle.cv_results_["params"], oracle.cv_results_["mean_test_score"])
    assert by_params(table["params"], table["score"]) == pytest.approx(want)
    assert table["score"].iloc[0] == pytest.approx(oracle.best_score_)


def test_regressors_are_ranked_by_the_lowest_error():
    options = FEW | BUNDLED | {"classification": False}
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
    whole = searcher(rec, search="grid").run("DecisionTreeClassifier", TREE)
    want = by_params(whole["params"], whole["score"])
    assert by_params(final["params"], final["score"]).items() <= want.items()


def test_what_one_fit_scores_stays_together(rec):
    forests = {"n_estimators": [9, 3], "max_depth": [1, 2, 3], "min_samples_leaf": [1, 2, 3, 4]}
    table = searcher(rec).run("RandomForestClassifier", forests)
    last = table[table["share"] == 1.0]["params"]
    assert len(table) == 24 and len(last) == 16  # 8 of 12 families
    for params in last:
        assert params | {"n_estimators": 12 - params["n_estimators"]} in last.tolist()
    begun = table[table["share"] == 1 / 3]["params"]
    assert [params["n_estimators"] for params in begun] == [3] * 4
    asked = "KNeighborsClassifier", {"n_neighbors": [1, 3, 5, 9], "p": [1, 2, 3]}
    table, whole = (searcher(rec, search=name).run(*asked) for name in ("halving", "grid"))
    assert table["score"].tolist() == whole["score"].tolist()


def test_forests_score_as_scikit_learns_do(rec):
    """The order of the clips decides what a tree draws."""
    search, grid = searcher(rec, search="grid"), {"n_estimators": [5, 10]}
    table = search.run("RandomForestClassifier", grid)
    oracle = exhaustive(search, rec, "RandomForestClassifier", grid)
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
    done, real = [], gs._fit_and_score
    monkeypatch.setattr(gs, "_fit_and_score", lambda *task: done.append(task) or real(*task))
    search = searcher(rec)
    asked = "KNeighborsClassifier", {"n_neighbors": [1, 3, 5], "p": [1, 2]}
    search.run(*asked)
    sizes = {len(search._part(train, share)) for train, _ in search.folds for share in gs.SHARES}
    assert len(done) <= 2 * len(search.folds) * len(sizes)
    again = len(done)
    search.run(*asked)
    assert len(done) == again


def test_an_unknown_search_is_refused(rec):
    with pytest.raises(ValueError, match="Did you mean 'grid'"):
        searcher(rec, search="gird")


# the journal


def test_a_journal_is_read_only_by_the_same_search(tmp_path):
    path = tmp_path / "scores.jsonl"
    journal = gs.Journal(path, "this data")
    journal.add("SVC with C 1 on fold 0", 0.5)
    with path.open("a") as file:
        file.write('["cut off')  # killed while it wrote
    again = gs.Journal(path, "this data", resume=True)
    assert list(again.scores.values()) == [0.5]
    assert list(gs.Journal(path, "this data", resume=True).scores.values()) == [0.5]
    assert gs.Journal(path, "other data", resume=True).scores == {}
    assert gs.Journal(path, "other data").scores == {}


def test_data_settings_and_library_make_the_fingerprint(rec, monkeypatch):
    X, y, groups = rec.X_train, rec.y_train, speaker_groups(rec.train_rows_)
    asked = [(X, y, groups, [1]), (X + 1, y, groups, [1]), (X, y[::-1], groups, [1])]
    asked += [(X, y, groups[::-1], [1]), (X, y, groups, [2])]
    marks = {gs.fingerprint(*data) for data in asked}
    monkeypatch.setattr(gs.importlib.metadata, "version", lambda name: "99")
    marks.add(gs.fingerprint(X, y, groups, [1]))
    assert len(marks) == 6


# the command


def undated(folder):
    """The results in a folder without their dates."""
    return [result | {"date": None} for result in best_results(True, folder)]


@pytest.mark.parametrize(("classification", "ending"), [(True, "Classifier"), (False, "Regressor")])
def test_results_are_saved_model_by_model(run, tmp_path, monkeypatch, classification, ending):
    grids = CLASSIFIER_GRIDS if classification else REGRESSOR_GRIDS
    monkeypatch.setitem(grids, f"DecisionTree{ending}", TREE)
    monkeypatch.setitem(grids, f"KNeighbors{ending}", {"n_neighbors": [1, 3, 5], "p": [1, 2]})
    kind = [] if classification else ["--regression"]
    where = "--output", tmp_path, "--features", "mfcc", "--json"
    for models in ("KNeighbors", "DecisionTree"):
        code, out, err = run("--models", models, *where, *kind)
        assert code == 0, err
    results = best_results(classification, tmp_path)
    assert {r["estimator"] for r in results} == {f"KNeighbors{ending}", f"DecisionTree{ending}"}
    [printed] = json.loads(out)
    assert printed in [json.loads(json.dumps(r)) for r in results]
    scores = [score for _, _, score in get_best_estimators(classification, tmp_path)]
    assert scores == sorted(scores, reverse=classification)
    assert all(0 < score < 2 for score in scores)
    for result in results:
        assert result["corpora"] == ["custom"] and result["n_speakers"] >= 6
        assert result["features"] == ["mfcc"] and result["std"] > 0 and result["folds"] == 3
    assert [path.suffix for path in tmp_path.iterdir()] == [".pickle"]


@pytest.mark.slow
def test_a_killed_search_resumes_to_the_same_result(run, tmp_path):
    arguments = ["--models", "KNeighbors,DecisionTree", "--features", "mfcc"]
    code, _, err = run(*arguments, "--output", tmp_path / "whole")
    assert code == 0, err
    folder = tmp_path / "killed"
    command = [sys.executable, "grid_search.py", *CUSTOM, *arguments, "--n-jobs", "1", "--output"]
    process = subprocess.Popen([*command, folder], cwd=REPO, stdout=subprocess.DEVNULL)
    journal = folder / "best_classifiers.jsonl"
    while not (journal.is_file() and len(journal.read_text().splitlines()) > 200):
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = journal.read_text().splitlines()
    code, _, err = run(*arguments, "--output", folder, "--resume")
    assert code == 0, err
    assert undated(folder) == undated(tmp_path / "whole")
    assert len(before) > 200 and not journal.exists()


def test_an_interrupted_search_resumes_to_the_same_result(run, tmp_path, monkeypatch):
    monkeypatch.setitem(CLASSIFIER_GRIDS, "DecisionTreeClassifier", TREE)
    arguments = ["--models", "DecisionTree", "--features", "mfcc", "--output"]
    assert run(*arguments, tmp_path / "whole")[0] == 0
    real, scored = gs._fit_and_score, []

    def interrupted(*task):
        if len(scored) == 10:
            raise KeyboardInterrupt
        scored.append(task)
        return real(*task)

    monkeypatch.setattr(gs, "_fit_and_score", interrupted)
    code, _, err = run(*arguments, tmp_path / "cut")
    assert code == 130 and err.splitlines()[-1].endswith("from here")
    monkeypatch.setattr(gs, "_fit_and_score", real)
    assert run(*arguments, tmp_path / "cut", "--resume")[0] == 0
    assert undated(tmp_path / "cut") == undated(tmp_path / "whole")


def test_an_unknown_model_is_named_in_one_line(run):
    code, out, err = run("--models", "KNeighbours")
    assert "Did you mean 'KNeighborsClassifier'" in err
    assert code == err.count("\n") == 1 and out == ""


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
    options = {"cwd": folder, "env": os.environ | {"PYTHONPATH": str(REPO)}}
    options |= {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    dask = [sys.executable, "-m", "dask"]
    where = f"--host 127.0.0.1 --port {port} --dashboard-address :0".split()
    scheduler = subprocess.Popen([*dask, "scheduler", *where], **options)
    worker = [*dask, "worker", address, "--nthreads", "1", "--no-nanny", "--no-dashboard"]
    workers = [subprocess.Popen(worker, **options) for _ in range(2)]
    from distributed import Client

    with Client(address, timeout=60) as client:
        client.wait_for_workers(2, timeout=60)
    yield address, workers
    for process in (*workers, scheduler):
        process.kill()
        process.wait()


@pytest.mark.slow
def test_a_cluster_extracts_and_tunes_as_this_machine_does(cluster, rec, tmp_path, monkeypatch):
    address, _ = cluster
    monkeypatch.setenv("SER_CACHE_DIR", str(tmp_path))
    settings = FEW | BUNDLED | {"n_jobs": -1, "scheduler": address}
    there = EmotionRecognizer(EmotionLDA(), **settings).load_data()
    np.testing.assert_array_equal(there.X_train, rec.X_train)
    grids = {"DecisionTreeClassifier": TREE}
    ours, theirs = (gs.tune(r, grids, tmp_path / str(i)) for i, r in enumerate((rec, there)))
    assert theirs["DecisionTreeClassifier"].equals(ours["DecisionTreeClassifier"])


@pytest.mark.slow
def test_a_worker_that_dies_changes_nothing_but_the_time(cluster, rec, tmp_path, monkeypatch):
    address, workers = cluster
    there = rec.untrained(scheduler=address, n_jobs=-1).load_data()
    grids = {"RandomForestClassifier": {"n_estimators": [60], "max_depth": [1, 2, 3, 4, 5, 6]}}
    ours = gs.tune(rec, grids, tmp_path / "here", search="grid")
    real = gs.Journal.add

    def add(journal, key, value):
        real(journal, key, value)
        if len(journal.scores) == 3:  # of 18: others are on their way
            workers[0].kill()
            workers[0].wait()

    monkeypatch.setattr(gs.Journal, "add", add)
    theirs = gs.tune(there, grids, tmp_path / "there", search="grid")
    assert workers[0].poll() is not None
    assert theirs["RandomForestClassifier"].equals(ours["RandomForestClassifier"])


def test_without_dask_or_a_scheduler_one_line_says_what_to_do(run, monkeypatch):
    asked = "--models", "KNeighbors", "--scheduler", "tcp://127.0.0.1:1"
    if importlib.util.find_spec("distributed"):
        monkeypatch.setattr(data_extractor, "CLUSTER_TIMEOUT", 1)
        code, out, err = run(*asked)
        assert "127.0.0.1:1" in err and code == 1 and out == ""
    monkeypatch.setitem(sys.modules, "dask.distributed", None)
    code, out, err = run(*asked)
    assert "requirements-cluster.txt" in err and code == err.count("\n") == 1 and out == ""


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
    same = {"hidden_layer_sizes": [8], "alpha": 0.01, "tol": 1e-2}
    family = [same | {"max_iter": n} for n in (5, 400, 300)]
    alone = [make_estimator(name, params).set_params(random_state=3).fit(X, y) for params in family]
    assert alone[0].n_iter_ == 5 < alone[1].n_iter_ == alone[2].n_iter_ < 300
    fits, kind = [], type(alone[0])
    fit = kind.fit
    counted = lambda self, *data: fits.append(self.max_iter) or fit(self, *data)  # noqa: E731
    monkeypatch.setattr(kind, "fit", counted)
    guesses = gs.predictions(name, family, X, y, X + 0.1, random_state=3)
    for model, guess in zip(alone, guesses, strict=True):
        np.testing.assert_array_equal(model.predict(X + 0.1), guess)
    assert fits == [400, 5]


# histograms


@pytest.mark.parametrize("classifiers", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_histograms_show_every_model_at_every_share(classifiers, tmp_path):
    options = BUNDLED | FEW
    picture = tmp_path / "Figure.png"
    figure, data = gs.plot_histograms(classifiers, file=picture, **options)
    models = {type(model).__name__: model for model, *_ in get_best_estimators(classifiers)}
    names = set(models)
    assert set(data["model"]) == names and len(data) == 3 * len(names)
    assert data["n_clips"].drop_duplicates().tolist() == [3, 6, 63]
    name = "SVC" if classifiers else "SVR"
    whole = data[(data["share"] == 1) & (data["model"] == name)].iloc[0]
    rec = EmotionRecognizer(models[name], classification=classifiers, **options).train()
    score = whole["test_accuracy" if classifiers else "test_mae"]
    assert score == pytest.approx(rec.test_score(), rel=2e-3)  # libsvm stops at that, by the order
    assert (data[["train_time", "test_time"]] > 0).all().all()
    assert len(figure.axes) == 6 and picture.stat().st_size > 20_000
    for ax in figure.axes:
        assert ax.get_title() and ax.get_xlabel() and len(ax.patches) == 3 * len(names)
    [legend] = figure.legends
    assert {text.get_text() for text in legend.get_texts()} == {*names, "chance"}


def test_histograms_choose_the_emotions_by_their_number():
    options = BUNDLED | FEW | {"shares": [1.0]}
    given = Figure()
    figure, data = gs.plot_histograms(n_classes=2, beta=2, figure=given, **options)
    assert figure is given and len(given.axes) == 6
    assert data["n_clips"].unique().tolist() == [42]  # neutral and calm
    for wrong in (1, 10):
        with pytest.raises(ValueError, match="n_classes must be 2 to 9"):
            gs.plot_histograms(n_classes=wrong, **options)


def test_a_journal_of_another_shape_is_passed_over(tmp_path):
    path = tmp_path / "scores.jsonl"
    lines = [
        "this data",
        "5",
        "null",
        "{}",
        '["a"]',
        '["a", "b"]',
        '[["a"], 1]',
        '["b", 0.5]',
        "\udcff",
    ]
    path.write_bytes("\n".join(lines).encode(errors="surrogateescape"))
    assert gs.Journal(path, "this data", resume=True).scores["b"] == 0.5
    path.write_bytes(b"\xff\xfe\n")
    assert gs.Journal(path, "this data", resume=True).scores == {}


def test_a_result_is_not_added_to_a_file_of_another_shape(tmp_path):
    path = tmp_path / "best_classifiers.pickle"
    path.write_bytes(pickle.dumps({"not": "a list"}))
    with pytest.raises(ValueError, match="isn't a list of tuned results"):
        gs.save_result({"estimator": "SVC", "params": {}, "score": 1.0}, path)
    assert pickle.loads(path.read_bytes()) == {"not": "a list"}
