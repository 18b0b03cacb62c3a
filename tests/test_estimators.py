"""What a model in a file may be: what is made is as it was, and the hostile is refused uncalled."""

import copy
import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
import warnings
import zipfile
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import sklearn.ensemble as ensemble
import sklearn.feature_extraction.text as feature_text
import sklearn.preprocessing as preprocessing
from conftest import REPO
from sklearn.base import BaseEstimator, ClassifierMixin, is_classifier
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA, KernelPCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.feature_selection import (
    RFE,
    SelectFromModel,
    SelectKBest,
    SelectPercentile,
    mutual_info_classif,
)
from sklearn.gaussian_process import GaussianProcessClassifier
from sklearn.kernel_approximation import Nystroem
from sklearn.linear_model import LogisticRegression, Ridge, RidgeClassifier, RidgeCV
from sklearn.model_selection import GridSearchCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import ClassifierChain, MultiOutputRegressor
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.neural_network import BernoulliRBM, MLPClassifier, MLPRegressor
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, PolynomialFeatures, StandardScaler
from sklearn.svm import SVC, SVR, LinearSVC, LinearSVR, NuSVC, NuSVR
from sklearn.tree import (
    DecisionTreeClassifier,
    DecisionTreeRegressor,
    ExtraTreeClassifier,
    ExtraTreeRegressor,
)

import allowed
import estimators
import model_file
import models
import processes
from estimators import ModelFileError, build
from parameters import CLASSIFIERS, REGRESSORS

N, D = 60, 6
X = np.random.default_rng(0).normal(size=(N, D))
LABELS = np.array(["angry", "happy", "sad"])[np.arange(N) % 3]
NUMBERS = X[:, 0] + X[:, 1] ** 2
X = X + (np.arange(N) % 3)[:, np.newaxis]

E = ensemble
TREE = {"max_depth": 3}
CLASSIFYING = (
    SVC(),
    SVC(kernel="poly", class_weight="balanced", random_state=np.random.RandomState(0)),
    NuSVC(),
    LinearSVC(),
    DecisionTreeClassifier(**TREE),
    ExtraTreeClassifier(**TREE),
    E.RandomForestClassifier(3, class_weight="balanced", oob_score=False),
    E.ExtraTreesClassifier(3),
    E.BaggingClassifier(n_estimators=2, max_features=0.5),
    E.BaggingClassifier(models.EmotionLDA(2), n_estimators=2),
    E.AdaBoostClassifier(n_estimators=2),
    E.GradientBoostingClassifier(n_estimators=2),
    E.GradientBoostingClassifier(n_estimators=2, init="zero", subsample=0.5),
    E.HistGradientBoostingClassifier(max_iter=2, early_stopping=True),
    E.VotingClassifier([("a", SVC()), ("b", LogisticRegression()), ("c", "drop")]),
    E.StackingClassifier([("t", DecisionTreeClassifier(**TREE)), ("s", SVC())], cv=2),
    CalibratedClassifierCV(SVC(), cv=2),
    KNeighborsClassifier(algorithm="brute"),
    KNeighborsClassifier(algorithm="brute", weights="distance", p=1),
    MLPClassifier((4,), max_iter=3),
    MLPClassifier((4, 3), max_iter=3, solver="sgd", early_stopping=True),
    MLPClassifier((4,), max_iter=3, solver="lbfgs"),
    LogisticRegression(),
    LinearDiscriminantAnalysis(),
    LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto"),
    RidgeClassifier(),
    CalibratedClassifierCV(RidgeClassifier(), cv=2, ensemble=False),
    DummyClassifier(),
    make_pipeline(StandardScaler(), PCA(4), SelectKBest(k=2), SelectPercentile(), SVC()),
)
REGRESSING = (
    SVR(),
    MultiOutputRegressor(SVR()),
    NuSVR(),
    LinearSVR(),
    DecisionTreeRegressor(**TREE),
    ExtraTreeRegressor(**TREE),
    E.RandomForestRegressor(3),
    E.ExtraTreesRegressor(3),
    E.BaggingRegressor(n_estimators=2),
    E.AdaBoostRegressor(n_estimators=2),
    E.GradientBoostingRegressor(n_estimators=2),
    E.HistGradientBoostingRegressor(max_iter=2),
    E.VotingRegressor([("a", SVR()), ("b", Ridge())]),
    E.StackingRegressor([("a", SVR())], cv=2),
    KNeighborsRegressor(algorithm="brute"),
    MLPRegressor(hidden_layer_sizes=(4,), max_iter=3),
    Ridge(),
    RidgeCV(),
    DummyRegressor(),
)
EVERY = [*CLASSIFYING, *REGRESSING]


def targets_of(model):
    if isinstance(model, MultiOutputRegressor):
        return np.column_stack([NUMBERS, -NUMBERS])
    return LABELS if is_classifier(model) else NUMBERS


@cache
def _fitted(model):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return copy.deepcopy(model).fit(X, targets_of(model))


def fitted(model):
    """A fitted copy."""
    return copy.deepcopy(_fitted(model))


def nodes_of(model):
    """What skops writes: its schema, and its arrays by the names of their files."""
    import skops.io

    with zipfile.ZipFile(io.BytesIO(skops.io.dumps(model))) as archive:
        names = [name for name in archive.namelist() if name.endswith(".npy")]
        arrays = {name: np.load(io.BytesIO(archive.read(name))) for name in names}
        return json.loads(archive.read("schema.json")), arrays


def answers(model, Z=X):
    methods = "predict_proba", "decision_function", "predict"
    return [getattr(model, method)(Z) for method in methods if hasattr(model, method)]


# the same


@pytest.mark.parametrize("model", EVERY, ids=lambda model: type(model).__name__)
def test_a_model_is_made_as_it_was(model):
    model = fitted(model)
    made = build(*nodes_of(model))
    for ours, theirs in zip(answers(made), answers(model), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    lost = vars(model).keys() - vars(made).keys()
    assert lost <= allowed.UNUSED and vars(made).keys() <= vars(model).keys()
    again = build(*nodes_of(made))
    np.testing.assert_array_equal(answers(again)[0], answers(model)[0])
    type(model)(**model.get_params(deep=False)).fit(X, targets_of(model))


SINCE_1_6 = {
    "": ("_effective_probability", "_sample_weight"),  # of any class
    "RidgeClassifier": ("classes_",),
    "HistGradientBoostingClassifier": ("_label_encoder",),
}
"""What scikit-learn 1.9 keeps of the models of `EVERY` beside what 1.6 kept."""


@pytest.mark.parametrize("model", EVERY, ids=lambda model: type(model).__name__)
def test_a_model_of_the_oldest_scikit_learn_answers_as_here(model):
    def older(node):
        if node.get("__loader__") == "ObjectNode" and isinstance(node["content"]["content"], dict):
            for name in SINCE_1_6[""] + SINCE_1_6.get(node["__class__"], ()):
                node["content"]["content"].pop(name, None)
        return node

    model = fitted(model)
    schema, arrays = nodes_of(model)
    made = build(json.loads(json.dumps(schema), object_hook=older), arrays)
    for ours, theirs in zip(answers(made), answers(model), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_every_class_of_the_tables_is_tried():
    """As are those of parameters.py; helpers are inside of others."""
    found = set()
    for model in EVERY:
        json.loads(
            json.dumps(nodes_of(fitted(model))[0]),
            object_hook=lambda node: found.add((node.get("__module__"), node.get("__class__"))),
        )
    found = {f"{module}.{name}" for module, name in found}
    assert set(allowed.FITTED) <= found
    names = {path.rsplit(".", 1)[1] for path in allowed.FITTED}
    assert {*CLASSIFIERS, *REGRESSORS} <= names
    model_file.estimators.plain_class("FrameNetwork")
    own = {cls.__name__ for cls in estimators.PLAIN.values()}
    assert own == set(allowed.OWN)


# hostile


EVENTS, WATCHING = [], []
HARMLESS = "object.__", "builtins.id", "sys._getframe", "gc.", "code.__new__"


def _hear(event, arguments):
    if WATCHING and not event.startswith(HARMLESS):
        EVENTS.append((event, str(arguments)[:100]))


sys.addaudithook(_hear)


@contextmanager
def nothing_else():
    """A block that opens, executes, imports and connects to nothing."""
    EVENTS.clear()
    WATCHING.append(True)
    try:
        yield
    finally:
        WATCHING.clear()
    assert not EVENTS


def refused(schema, arrays, match="."):
    with nothing_else(), pytest.raises(ModelFileError, match=match), model_file.naming("a.ser"):
        build(schema, arrays)


def changed(model, **attributes):
    """A fitted copy with other attributes."""
    model = fitted(model)
    vars(model).update(attributes)
    return model


class Bunches(BaseEstimator):
    """Stands for any class."""


FOREST = E.RandomForestClassifier(2, max_depth=2)
BOOSTING = E.GradientBoostingClassifier(n_estimators=2)
HISTOGRAMS = E.HistGradientBoostingClassifier(max_iter=2)
NEIGHBORS = KNeighborsClassifier(algorithm="brute")
STACKING = E.StackingClassifier([("p", Pipeline([("s", SVC())], memory="/tmp/attack"))], cv=2)
MANY = np.zeros((10**4, 1, D))  # broadcast with clips, it takes gigabytes


def narrow(n):
    """A forest of n features."""
    return copy.deepcopy(FOREST).fit(X[:, :n], LABELS)


def outside(model):
    """A node of a boosting that reads beyond its features."""
    model = fitted(model)
    nodes = model._predictors[0][0].nodes
    nodes["feature_idx"], nodes["is_leaf"] = 99, 0
    return model


def deep(model, n):
    for _ in range(n):
        model = Pipeline([("inner", model)])
    return model


def hostile_objects():
    """Name to a function that makes a model, which does harm when it is made or called."""
    svc = fitted(SVC())
    two = DummyClassifier().fit(X[:2], LABELS[:2])
    others = [
        PolynomialFeatures(5), FunctionTransformer(), GridSearchCV(SVC(), {}),
        GaussianProcessClassifier(), KernelPCA(), Nystroem(), ClassifierChain(SVC()),
        OneVsRestClassifier(SVC()), RFE(SVC()), SelectFromModel(SVC()), BernoulliRBM(10**6),
        GaussianNB(), FeatureUnion([("a", PCA())]), ColumnTransformer([("a", PCA(), [0])]),
        feature_text.CountVectorizer(input="filename"), feature_text.HashingVectorizer(),
        feature_text.TfidfVectorizer(input="file"), preprocessing.KBinsDiscretizer(),
        preprocessing.SplineTransformer(n_knots=10**6), E.IsolationForest(), Bunches(),
        E.RandomTreesEmbedding(2),
    ]  # fmt: skip
    return {type(model).__name__: partial(copy.copy, model) for model in others} | {
        "a folder of pickles": lambda: fitted(STACKING),
        "fit as an answer": lambda: changed(STACKING, stack_method_=["fit"]),
        "fit as a method": lambda: changed(STACKING, stack_method="fit"),
        "a method of its own": lambda: changed(STACKING, stack_method_=["score"]),
        "files as words": lambda: Pipeline(
            [("d", DummyClassifier()), ("v", feature_text.CountVectorizer(input="filename"))]
        ),
        "a pipeline's memory": lambda: Pipeline([("s", svc)], memory="/tmp/attack"),
        "a pipeline's inputs": lambda: Pipeline([("s", svc)], transform_input=["a"]),
        "three in a step": lambda: Pipeline([("s", svc, svc)]),
        "a word as a step": lambda: Pipeline([("s", "fit")]),
        "too deep": lambda: deep(svc, 12),
        "isotonic": lambda: fitted(CalibratedClassifierCV(SVC(), cv=2, method="isotonic")),
        "a tree of neighbours": lambda: fitted(KNeighborsClassifier(algorithm="kd_tree")),
        "an attribute in place of a method": lambda: changed(SVC(), predict=1),
        "an attribute in place of the class's": lambda: changed(SVC(), _impl="epsilon_svr"),
        "a function as kernel": lambda: SVC(kernel=np.add),
        "a word as kernel": lambda: SVC(kernel="../kernel"),
        "sparse": lambda: changed(SVC(), _sparse=True),
        "too few supports": lambda: changed(SVC(), _n_support=np.ones(3, np.int32)),
        "negative supports": lambda: changed(SVC(), _n_support=np.array([-5, 5, 60], np.int32)),
        "vectors of 3 dimensions": lambda: changed(SVC(), support_vectors_=MANY),
        "narrow vectors": lambda: changed(
            SVC(), support_vectors_=svc.support_vectors_[:, :2].copy()
        ),
        "short intercepts": lambda: changed(SVC(), _intercept_=np.zeros(1)),
        "a million jobs": lambda: changed(FOREST, n_jobs=10**6),
        "a billion classes": lambda: changed(FOREST, n_classes_=10**9),
        "a billion outputs": lambda: changed(DummyClassifier(), n_outputs_=10**9),
        "a forest of machines": lambda: changed(FOREST, estimators_=[svc, svc]),
        "a forest of narrow trees": lambda: changed(FOREST, estimators_=narrow(3).estimators_),
        "a narrow forest": lambda: changed(FOREST, n_features_in_=2),
        "a boosting that begins with a machine": lambda: changed(BOOSTING, init_=svc),
        "a boosting that begins with fewer": lambda: changed(BOOSTING, init_=two),
        "a boosting with one column": lambda: changed(
            BOOSTING, estimators_=fitted(BOOSTING).estimators_[:, :1]
        ),
        "a boosting with more columns": lambda: changed(BOOSTING, n_trees_per_iteration_=10**6),
        "a boosting of classifiers": lambda: changed(
            BOOSTING, estimators_=np.array([fitted(FOREST).estimators_ + [svc]], dtype=object)
        ),
        "a boosting without losses": lambda: changed(BOOSTING, _loss=svc),
        "histograms before": lambda: changed(HISTOGRAMS, _preprocessor=StandardScaler()),
        "histograms with categories": lambda: changed(HISTOGRAMS, is_categorical_=np.ones(D, bool)),
        "histograms of machines": lambda: changed(HISTOGRAMS, _predictors=[[svc] * 3]),
        "histograms that read outside": lambda: outside(HISTOGRAMS),
        "histograms with more columns": lambda: changed(HISTOGRAMS, n_trees_per_iteration_=10**6),
        "fewer neighbours than labels": lambda: changed(NEIGHBORS, _y=np.zeros(3, np.intp)),
        "labels of neighbours outside": lambda: changed(NEIGHBORS, _y=np.full(N, 99)),
        "a metric of one's own": lambda: changed(NEIGHBORS, effective_metric_="pyfunc"),
        "a function as metric": lambda: changed(NEIGHBORS, effective_metric_=np.add),
        "metric parameters": lambda: changed(NEIGHBORS, metric_params={"func": "os.system"}),
        "more neighbours than there are": lambda: changed(NEIGHBORS, n_samples_fit_=10**9),
        "an activation of one's own": lambda: changed(MLPClassifier(max_iter=2), activation="exec"),
        "layers of 3 dimensions": lambda: changed(MLPClassifier(max_iter=2), coefs_=[MANY]),
        "a scaler that broadcasts": lambda: changed(StandardScaler(), mean_=MANY),
        "components that broadcast": lambda: changed(PCA(2), mean_=MANY),
        "a regression that broadcasts": lambda: changed(Ridge(), coef_=MANY),
        "names as features": lambda: changed(
            E.BaggingClassifier(n_estimators=2), estimators_features_=["a", "b"]
        ),
        "a function of scores": lambda: SelectKBest(mutual_info_classif),
        "a function as a model": lambda: E.AdaBoostClassifier(np.add),
        "a path as a number": lambda: SVC(C="/etc/passwd"),
        "a model as a number": lambda: SVC(C=svc),
        "a list as a number": lambda: SVC(tol=[1.0, 2.0]),
        "a huge number": lambda: SVC(C=10**40),
        "a dict of models": lambda: SVC(class_weight={"a": svc}),
        "labels of any kind": lambda: changed(
            SVC(), classes_=np.array([svc, svc, svc], dtype=object)
        ),
        "a hidden encoder": lambda: changed(E.VotingClassifier([("a", SVC())]), le_=svc),
        "verbose": lambda: changed(FOREST, verbose=10**9),
        "a calibration of anything": lambda: changed(
            CalibratedClassifierCV(SVC(), cv=2), calibrated_classifiers_=[svc]
        ),
        "a covariance of one's own": lambda: LinearDiscriminantAnalysis(covariance_estimator=svc),
        "a splitter of one's own": lambda: E.StackingClassifier([("a", SVC())], cv=Bunches()),
        "EmotionLDA that broadcasts": lambda: changed(
            E.BaggingClassifier(models.EmotionLDA(2), n_estimators=1),
            estimators_=[changed(models.EmotionLDA(2), coef_=MANY)],
        ),
    }


@pytest.mark.parametrize("make", [pytest.param(f, id=n) for n, f in hostile_objects().items()])
def test_hostile_models_are_refused_before_they_are_called(make):
    refused(*nodes_of(make()))


def node(loader, name="system", module="os", **more):
    return {"__class__": name, "__module__": module, "__loader__": loader, "__id__": 7} | more


TEXT = node("JsonNode", "str", "builtins", content='"touch /tmp/attack"', is_json=True)
PAIR = node("TupleNode", "tuple", "builtins", content=[TEXT])
KINDS = node("ListNode", "list", "builtins", content=[node("TypeNode", "system", "os")])
WHOLE = node("JsonNode", "str", "builtins", content="[" * 10**5)
HOSTILE_NODES = {
    "a class of another module": node("ObjectNode", content=PAIR),
    "a class whose module isn't loaded": node("ObjectNode", "A", "antigravity", content=PAIR),
    "a home's function": node("ObjectNode", "load", "models", content=PAIR),
    "a private part of a home": node("ObjectNode", "np", "models", content=PAIR),
    "a function": node("FunctionNode"),
    "a type": node("TypeNode"),
    "a method": node("MethodNode", content={"func": "system", "obj": TEXT}),
    "a partial": node(
        "PartialNode", content={"func": TEXT, "args": PAIR, "kwds": TEXT, "namespace": TEXT}
    ),
    "a constructor": node("ConstructorFromReduceNode", content=PAIR),
    "an operator": node("OperatorFuncNode", "methodcaller", "operator", attrs=PAIR),
    "a set": node("SetNode", "set", "builtins", content=[TEXT]),
    "a slice": node("SliceNode", "slice", "builtins", content={}),
    "bytes": node("BytesNode", "bytes", "builtins", file="a.bin"),
    "a sparse matrix": node("SparseMatrixNode", "csr_matrix", "scipy.sparse", file="a.npz"),
    "a masked array": node("MaskedArrayNode", "MaskedArray", "numpy.ma", content={}),
    "a kind of numbers": node("DTypeNode", "dtype", "numpy", content=TEXT),
    "a default": node("DefaultDictNode", "defaultdict", "collections", content={}),
    "what was before": node("CachedNode"),
    "another tree": node("TreeNode", **{"__reduce__": {"args": PAIR}, "content": PAIR}),
    "another loss": node("LossNode", **{"__reduce__": {"args": PAIR}, "content": PAIR}),
    "keys of another type": node("DictNode", "dict", content={"a": TEXT}, key_types=KINDS),
    "a loader of another version": node("Unknown"),
    "an array that isn't there": node("NdArrayNode", type="numpy", file="../../a.npy"),
    "an array of another kind": node("NdArrayNode", type="pickle", file="a.npy"),
    "a list as a number": node("JsonNode", content="[1, 2]"),
    "JSON without an end": WHOLE,
    "no node": {},
}


@pytest.mark.parametrize("name", HOSTILE_NODES)
def test_hostile_nodes_are_refused_wherever_they_stand(name):
    schema, arrays = nodes_of(fitted(SVC()))
    for place in ("C", "support_vectors_", "class_weight", "predict"):
        own = copy.deepcopy(schema)
        own["content"]["content"][place] = HOSTILE_NODES[name]
        refused(own, arrays)
    refused(HOSTILE_NODES[name], arrays)


def test_models_that_share_children_never_end():
    """Eight votes of ten that are one: 10^8 calls. Only the first node of each has a content."""
    schema, arrays = nodes_of(fitted(E.VotingClassifier([("a", SVC())])))
    for i in range(8):
        parent = json.loads(json.dumps(nodes_of(fitted(E.VotingClassifier([("a", SVC())])))[0]))
        schema["__id__"] = i + 1
        short = {key: value for key, value in schema.items() if key != "content"}
        parent["content"]["content"]["estimators_"]["content"] = [schema, *[short] * 9]
        schema = parent
    assert len(json.dumps(schema)) < 10**6
    refused(schema, arrays)


def test_parts_that_share_their_arrays_are_refused():
    """Each walk through a tree may take as many steps as the file has nodes, not more."""
    schema, arrays = nodes_of(changed(FOREST, estimators_=fitted(FOREST).estimators_[:1] * 200))
    first = {}

    def share(own):
        for key in ("nodes", "values"):
            if key in own and "file" in own[key]:
                own[key]["file"] = first.setdefault(key, own[key]["file"])
        return own

    schema = json.loads(json.dumps(schema), object_hook=share)
    used = json.dumps(schema)
    refused(schema, {name: x for name, x in arrays.items() if name in used}, "share")


def test_a_loop_of_nodes_is_none():
    schema, arrays = nodes_of(Pipeline([("inner", SVC())]))
    steps = schema["content"]["content"]["steps"]["content"][0]["content"]
    steps[1] = {key: schema[key] for key in ("__class__", "__module__", "__loader__", "__id__")}
    refused(schema, arrays)


ATOMS = (
    None, True, -1, 0, 7, 10**9, -(10**9), 1e308, float("nan"), "", "fit", "/etc/passwd", [], {},
    "NdArrayNode", "FunctionNode", "ObjectNode", "os", "system", "sklearn.svm._classes", "SVC",
    "[1]", "null", "1000000", '"fit"', "-5", "Infinity",
)  # fmt: skip


def mutant(schema, arrays, rng):
    """A copy with one to three other values, or arrays."""
    schema, arrays = json.loads(json.dumps(schema)), dict(arrays)
    for _ in range(rng.integers(1, 4)):
        if rng.random() < 0.4:
            name = str(rng.choice([*arrays]))
            array = arrays[name].copy()
            change = rng.integers(4)
            if change == 0 and array.ndim:
                array = array[: rng.integers(len(array) + 1)]
            elif change == 1 and array.size:
                raw = array.view(np.uint8) if array.ndim and array.flags.c_contiguous else array
                flat = raw.reshape(-1)
                if raw.dtype == np.uint8:
                    flat[rng.integers(flat.size)] ^= np.uint8(1 << rng.integers(8))
            elif change == 2:
                array = array[np.newaxis]
            elif array.dtype.kind in "iuf":
                array = np.full_like(array, rng.choice([0, 1, 100]))
            arrays[name] = array
            continue
        places = []

        def walk(value, places=places):
            for key in value if isinstance(value, dict) else range(len(value)):
                places.append((value, key))
                if isinstance(value[key], dict | list):
                    walk(value[key])

        walk(schema)
        owner, key = places[rng.integers(len(places))]
        other, own = places[rng.integers(len(places))]
        atom = ATOMS[rng.integers(len(ATOMS))]
        owner[key] = copy.deepcopy(other[own]) if rng.random() < 0.3 else atom
    return schema, arrays


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_mutants_are_refused_or_answer():
    """Those that are made are as listed: they answer, or raise, and touch nothing else."""
    rng, n_made = np.random.default_rng(0), 0
    bases = [nodes_of(fitted(model)) for model in EVERY]
    with np.errstate(all="ignore"):
        for i in range(2000):
            schema, arrays = mutant(*bases[i % len(bases)], rng)
            made = None
            with nothing_else():
                try:
                    with model_file.naming("a.ser"):
                        made = build(schema, arrays)
                except ModelFileError:
                    continue
            n_made += 1
            try:
                answers(made, X[:8])
            except Exception:  # numpy's and scikit-learn's own; none is a crash
                continue
    assert n_made > 200


# trust


class Constant(ClassifierMixin, BaseEstimator):
    """A class of a user's own."""

    def fit(self, X, y):
        self.classes_, self.seen_ = np.unique(y), {"n": len(X)}
        return self

    def predict_proba(self, X):
        return np.full((len(X), len(self.classes_)), 1 / len(self.classes_))


def test_a_user_may_trust_classes_of_ones_own():
    nodes = nodes_of(fitted(E.VotingClassifier([("own", Constant())], voting="soft")))
    with pytest.raises(ModelFileError, match=r"Constant.*trusted=\[Constant\]"):
        build(*nodes)
    made = build(*nodes, trusted=[Constant])
    np.testing.assert_array_equal(made.predict_proba(X[:2]), np.full((2, 3), 1 / 3))
    assert made.estimators_[0].seen_ == {"n": N} and made.named_estimators_.own.seen_ == {"n": N}
    nodes = nodes_of(fitted(make_pipeline(SelectKBest(mutual_info_classif, k=2), GaussianNB())))
    made = build(*nodes, trusted=[GaussianNB, mutual_info_classif])
    assert made.predict(X).shape == (N,)


def test_trust_in_one_class_is_none_in_others():
    nodes = nodes_of(fitted(make_pipeline(PolynomialFeatures(2), GaussianNB())))
    with pytest.raises(ModelFileError, match="PolynomialFeatures"):
        build(*nodes, trusted=[GaussianNB])


# limits of time and memory


def trial(function, argument):
    """Have a process call a function in place of a model's: what try_out says, "" for nothing."""
    try:
        estimators.try_out([(SimpleNamespace(predict=function), argument)])
    except ModelFileError as error:
        return str(error)
    return ""


on_linux = pytest.mark.skipif(not processes.FORKS, reason="there each trial has its own process")


@pytest.mark.parametrize("forks", [False, pytest.param(True, marks=on_linux)])
def test_models_are_tried_by_another_process(forks, monkeypatch):
    monkeypatch.setattr(processes, "FORKS", forks)
    estimators.try_out([(fitted(model), X[:8]) for model in (SVC(), SVR(), FOREST)])
    estimators.try_out([])
    with pytest.raises(ModelFileError, match=r"no predictions.*StopIteration"):
        estimators.try_out([(PCA(), X)])
    monkeypatch.setattr(estimators, "PATIENCE", 0.5)
    assert "('nothing in 0.5 seconds')" in trial(time.sleep, 600)


@on_linux
def test_nothing_of_a_trial_is_there_for_the_next():
    assert not trial(sys.setrecursionlimit, 60)
    assert "('killed')" in trial(os._exit, 3) and "('killed')" in trial(signal.raise_signal, 9)
    assert not trial(print, "[]")  # which is no answer of the process
    server = estimators._trials(os.getpid())._process
    estimators.try_out([(fitted(SVC()), X[:8])])
    assert estimators._trials(os.getpid())._process is server
    assert "refused" in trial(partial(os.kill, server.pid), 9)
    assert server.poll() == -9
    another = estimators._trials(os.getpid())._process
    another.terminate()  # as it ends of itself when nobody asks for long
    another.wait(60)
    assert not trial(print, 1)


@on_linux
def test_an_interrupted_trial_ends(tmp_path):
    mark = tmp_path / "begun"

    def interrupt():
        while not mark.exists():
            time.sleep(0.02)
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    assert not trial(print, 1)
    server = estimators._trials(os.getpid())._process
    threading.Thread(target=interrupt, daemon=True).start()
    with pytest.raises(KeyboardInterrupt):
        trial(os.system, f"touch {mark}; sleep 600")
    assert server.wait(60) == -9
    assert not trial(print, 1)  # by another one


@on_linux
@pytest.mark.parametrize(
    "number", [signal.SIGKILL, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)]
)
def test_the_process_of_trials_ends_with_ours(number):
    code = "import estimators, os, sys; from types import SimpleNamespace as Model\n"
    code += "estimators.try_out([(Model(predict=print), 1)])\n"
    code += "print(estimators._trials(os.getpid())._process.pid, flush=True); sys.stdin.read()"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", code], cwd=REPO, **pipes) as ours:
        server = int(ours.stdout.readline())
        ours.send_signal(number)
    ended_at = time.monotonic() + 120
    while Path(f"/proc/{server}/cmdline").exists() and Path(f"/proc/{server}/cmdline").read_bytes():
        assert time.monotonic() < ended_at
        time.sleep(0.02)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="others don't limit memory")
def test_the_process_has_limits():
    code = (
        "import processes, numpy as np; processes.limit_process(60, 2**31)\n"
        "print('limited'); x = np.ones(2**29)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=REPO, capture_output=True, text=True)
    assert done.stdout == "limited\n" and "MemoryError" in done.stderr
    code = "import processes; processes.limit_process(1, 2**31)\nwhile True: pass"
    done = subprocess.run([sys.executable, "-c", code], cwd=REPO, capture_output=True, text=True)
    assert done.returncode < 0
