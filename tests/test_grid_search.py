"""The tuning command line, on the bundled recordings."""

import json
import subprocess
import sys

import pytest
from conftest import REPO

from parameters import CLASSIFIER_GRIDS, CLASSIFIERS, REGRESSOR_GRIDS, REGRESSORS
from utils import best_results, get_best_estimators, make_estimator


def run_cli(*arguments):
    command = [sys.executable, "grid_search.py", "--data-dir", "data", *arguments]
    return subprocess.run(command, cwd=REPO, capture_output=True, text=True)


@pytest.mark.parametrize("grids", [CLASSIFIER_GRIDS, REGRESSOR_GRIDS])
def test_every_parameter_of_the_grids_exists(grids):
    assert list(grids) == list(CLASSIFIERS if grids is CLASSIFIER_GRIDS else REGRESSORS)
    for name, grid in grids.items():
        for parameter, values in grid.items():
            for value in values:
                assert make_estimator(name, {parameter: value}).get_params()[parameter] == value


@pytest.mark.parametrize(("classification", "ending"), [(True, "Classifier"), (False, "Regressor")])
def test_results_are_saved_model_by_model(tmp_path, classification, ending):
    kind = [] if classification else ["--regression"]
    for models in ("KNeighbors", "DecisionTree"):
        done = run_cli("--corpora", "custom", "--models", models, "--output", str(tmp_path),
                       "--json", *kind)  # fmt: skip
        assert done.returncode == 0, done.stderr
    results = best_results(classification, tmp_path)
    assert {r["estimator"] for r in results} == {f"{models}{ending}" for models in
                                                 ("KNeighbors", "DecisionTree")}  # fmt: skip
    [printed] = json.loads(done.stdout)
    assert printed in [json.loads(json.dumps(r)) for r in results]
    scores = [score for _, _, score in get_best_estimators(classification, tmp_path)]
    assert scores == sorted(scores, reverse=classification)
    assert all(0 < score < 2 for score in scores)
    assert results[0]["corpora"] == ["custom"] and results[0]["n_speakers"] >= 6


def test_the_committed_results_cover_every_model_on_the_real_corpora():
    for classification, models in ((True, CLASSIFIERS), (False, REGRESSORS)):
        results = best_results(classification)
        assert {r["estimator"] for r in results} == set(models)
        assert {tuple(r["corpora"]) for r in results} == {("emodb", "ravdess", "tess")}
        assert len(get_best_estimators(classification)) == 8


def test_an_unknown_model_is_named_in_one_line():
    done = run_cli("--models", "KNeighbours")
    assert done.returncode == 1 and len(done.stderr.splitlines()) == 1
    assert "Did you mean 'KNeighborsClassifier'" in done.stderr
