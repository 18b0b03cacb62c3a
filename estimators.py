"""Build scikit-learn models from the files that skops writes, if `allowed.py` lists their parts.

skops itself isn't used to read: it trusts all of scikit-learn, including classes that unpickle
folders or open files, and models whose predictions never end.

    model = build(schema, arrays)    # refuses what isn't listed before any of it is called
    try_out([(model, Z)])            # refuses models that need too much time or memory
"""

import inspect
import json
import math
import os
import pickle
from contextlib import suppress
from functools import lru_cache
from importlib import import_module
from operator import attrgetter
from types import FunctionType

import joblib
import numpy as np
from sklearn.utils import Bunch

from allowed import (
    FIT,
    FITTED,
    FUNCTIONS,
    JOINED,
    LATER,
    LOSS_MODULE,
    LOSSES,
    MOST_CLASSES,
    OTHERS,
    OWN,
    PROBE,
    RULES,
    TREE,
    TREES,
    UNUSED,
    WORDS,
    is_number,
)
from processes import Copies, limit_process

MOST_OBJECTS, DEEPEST = 2**15, 8  # objects of a model, and levels of nesting
USES = 8  # bytes of arrays that nodes may use, relative to those in the file
SECONDS, PATIENCE = 60, 300  # CPU time and wall time for predicting some clips
MEMORY = 2**31  # bytes for that


class ModelFileError(ValueError):
    """A file that can't be loaded, or a model that can't be saved; the message says why."""


PLAIN = {}
"""Classes whose objects are stored as plain values and arrays, which all versions can read."""
OF_SKLEARN = {"StandardScaler": "sklearn.preprocessing", "Ridge": "sklearn.linear_model"}
"""Such classes of scikit-learn, imported when a model has them, and their modules."""
HOMES = "models", "adaptation", "deep_emotion_recognition"
"""Modules with classes for `PLAIN`."""
GONE = {
    "RandomConvolutions": "networks of earlier versions had other layers, so train the network "
    "again, or load the file with the version that saved it"
}
"""Classes that only files of earlier versions hold, and what to do."""
FORMER_HOMES = "emotion_recognition", "deep_emotion_recognition"  # their modules in older files


def plain(cls=None, *, formerly=()):
    """Register a class whose state is only values, arrays and objects of `PLAIN`; see `OWN`.

    Parameters
    ----------
    cls : type
        Its attribute `not_saved` names parameters that depend on the machine and aren't saved. Its
        attribute `older` holds pairs of name and value for attributes that older files lack.
    formerly : tuple of str
        Names of the class in older files.

    Returns
    -------
    cls, or a decorator
    """

    def register(cls):
        for name in (cls.__name__, *formerly):
            PLAIN.setdefault(name, cls)
        return cls

    return register if cls is None else register(cls)


def plain_class(name):
    """The class of this name in `PLAIN` or `OF_SKLEARN`: type.

    Parameters
    ----------
    name : str

    Raises
    ------
    ModelFileError
        If there is none.
    """
    if name in OF_SKLEARN:
        return getattr(import_module(OF_SKLEARN[name]), name)
    if name not in PLAIN:
        for module in HOMES:
            import_module(module)
    if name not in PLAIN:
        advice = GONE.get(name, "save the recognizer with this version, or update the project")
        raise ModelFileError(f"it holds a {name:.60}, which this version doesn't know: {advice}")
    return PLAIN[name]


def is_plain(cls):
    """Whether objects of a class are stored as plain values and arrays: bool.

    Parameters
    ----------
    cls : type
    """
    name = cls.__name__
    return (name in PLAIN or name in OF_SKLEARN) and plain_class(name).__module__ == cls.__module__


# objects of these classes


def restored(cls, state, trusted=()):
    """Make an object of a listed class, if its attributes have allowed values.

    Parameters
    ----------
    cls : type
    state : dict of str to object
        Attributes; missing ones are as the constructor makes them.
    trusted : collection
        Further classes and functions that attributes may have.

    Raises
    ------
    ModelFileError
        If an attribute is unknown or has a value that isn't allowed.
    """
    apart = UNUSED | {*getattr(cls, "not_saved", ())}
    state = {name: value for name, value in state.items() if name not in apart}
    for name, source in LATER.get(cls.__name__, {}).items():
        with suppress(AttributeError):  # it isn't fitted, or has another type
            state = {name: attrgetter(source)(Bunch(**state))} | state
    check_names(cls, state)
    for name, value in state.items():
        if not _may_be(cls, name, value, trusted):
            shown = value if isinstance(value, str | int | float) else type(value).__name__
            raise ModelFileError(f"its {cls.__name__} has {name}={shown!r:.60}; refused")
    for names, check in CHECKS.items():
        if cls.__name__ in names.split():
            check(Bunch(**state), cls)
    value = cls(**{n: None for n, p in _parameters(cls).items() if p.default is p.empty})
    state = {name: x for name, x in getattr(cls, "older", ()) if name not in state} | state
    if "__setstate__" in vars(cls):  # scikit-learn's would compare versions
        value.__setstate__(state)
    else:
        vars(value).update(state)
    if cls.__name__ in JOINED and hasattr(value, "estimators_"):
        kept = [name for name, model in value.estimators if model != "drop"]
        value.named_estimators_ = Bunch(**dict(zip(kept, value.estimators_, strict=True)))
    return value


def check_parts(recognizer):
    """Check the confidence, the probe and the speaker in a recognizer's content.

    Parameters
    ----------
    recognizer : dict
        See `predictor.Predictor.content`.

    Raises
    ------
    ModelFileError
        If a part has a value that isn't allowed.
    """
    rules = {f"fits {name}": FIT for name in recognizer["fits"]} | {"probe": PROBE}
    parts = {f"fits {name}": fit for name, fit in recognizer["fits"].items()}
    for what, values in (parts | {"probe": recognizer["probe"]}).items():
        for name, value in values.items():
            if value is not None and not rules[what].get(name, is_number)(value):
                raise ModelFileError(f"its {what} has a {name!r:.40} that isn't allowed; refused")
    voice = recognizer.get("voice")
    if voice is not None and not all(FIT["coverages"](row) for row in voice):
        raise ModelFileError("its speaker has means that aren't allowed; refused")


def check_names(cls, names):
    """Refuse attributes that a listed class doesn't have: they could replace its methods.

    Parameters
    ----------
    cls : type
    names : iterable of str

    Raises
    ------
    ModelFileError
        For the first unknown name.
    """
    fitted = FITTED.get(f"{cls.__module__}.{cls.__name__}") or OWN.get(cls.__name__, "").split()
    known = {"n_features_in_", *_parameters(cls), *fitted}
    if unknown := sorted(set(names) - known):
        raise ModelFileError(f"its {cls.__name__} has no attribute {unknown[0]!r:.60}; refused")


@lru_cache
def _parameters(cls):
    plain = cls.__init__ is object.__init__  # it has no useful signature
    return {} if plain else inspect.signature(cls).parameters


def _may_be(cls, name, value, trusted):
    rule = RULES.get(f"{cls.__name__}.{name}") or RULES.get(name, is_number)
    bare = name.strip("_")
    legal = WORDS.get(OTHERS.get(bare, bare), "").split()
    strings = value if isinstance(value, list) else [value]
    return (
        value is None
        or all(isinstance(x, str) and x in legal for x in strings)
        or rule(value)
        or type(value) in trusted
        or (isinstance(value, FunctionType) and value in trusted)
    )


def _check(right):
    if not right:
        raise ModelFileError("its model has indices outside of its arrays; refused")


def _check_support_vectors(svm, cls):
    if "support_vectors_" not in svm:
        return
    n_classes, (n_vectors, n_features) = len(svm._n_support), svm.support_vectors_.shape
    n_pairs = n_classes * (n_classes - 1) // 2
    _check(not svm._sparse and len(svm.support_) == n_vectors and n_classes > 1)
    _check(n_features == svm.n_features_in_)
    _check(((svm._n_support >= 0) & (svm._n_support <= n_vectors)).all())
    if "SVC" in cls.__name__:
        _check(svm._n_support.sum() == n_vectors and n_classes == len(svm.classes_))
    _check(svm._dual_coef_.shape == (n_classes - 1, n_vectors))
    _check(svm._intercept_.shape == (n_pairs,))
    _check(svm._probA.shape == svm._probB.shape and svm._probA.size in (0, n_pairs))


def _check_nodes(left, right, feature, leaf, n_features):
    """Check that children come after their parents, and that features are below `n_features`."""
    inner = np.flatnonzero(leaf == 0)
    _check(len(leaf) > 0)
    for children in (left, right):
        _check(((children[inner] > inner) & (children[inner] < len(leaf))).all())
    _check(((feature[inner] >= 0) & (feature[inner] < n_features)).all())


def _check_tree(tree, cls):
    if "tree_" in tree:
        n_classes = tree.n_classes_ if "Classifier" in cls.__name__ else 1
        _check(tree.tree_.n_features == tree.n_features_in_)
        _check(tree.tree_.max_n_classes == n_classes)


def _check_forest(forest, cls):
    """Check the widths of trees: those of a forest don't check the width of X when they predict."""
    for tree in forest.get("estimators_", ()):
        _check(type(tree).__name__ in TREES and tree.n_features_in_ == forest.n_features_in_)
    if "n_classes_" in forest:
        _check(forest.n_classes_ == len(forest.classes_))


def _check_boosting(model, cls):
    if "estimators_" not in model:
        return
    n_classes = len(model.classes_) if "Classifier" in cls.__name__ else 1
    n_columns = 1 if n_classes == 2 else n_classes
    _check(model.n_trees_per_iteration_ == n_columns == model.estimators_.shape[1])
    _check(model._loss.is_multiclass == (n_columns > 1))
    for tree in model.estimators_.ravel():
        _check(type(tree).__name__ == "DecisionTreeRegressor")
        _check(tree.n_features_in_ == model.n_features_in_ and tree.tree_.node_count)
    if n_classes > 1 and not isinstance(model.init_, str):
        _check(len(model.init_.classes_) == n_classes)


def _check_dummy(model, cls):
    _check(model.get("n_outputs_", 1) == 1 and not model.get("sparse_output_"))
    if "classes_" in model:
        _check(model.n_classes_ == len(model.classes_) == len(model.class_prior_))
    if "constant_" in model:
        _check(model.constant_.shape == (1, 1))


def _check_histograms(model, cls):
    if "_predictors" not in model:
        return
    _check_categories(model)
    n_columns = model.n_trees_per_iteration_
    _check(n_columns in ((1, len(model.classes_)) if "Classifier" in cls.__name__ else (1,)))
    _check(model._loss.is_multiclass == (n_columns > 1))
    _check(model._baseline_prediction.size == n_columns)
    for trees in model._predictors:
        _check(len(trees) == n_columns)
        for tree in trees:
            nodes = [tree.nodes[name] for name in ("left", "right", "feature_idx", "is_leaf")]
            _check_nodes(*nodes, model.n_features_in_)
            _check(not tree.nodes["is_categorical"].any())


def _check_categories(model, cls=None):
    own = model.get("is_categorical_")
    _check(own is None or not own.any())


def _check_neighbors(model, cls):
    if "_fit_X" in model:
        _check(len(model._fit_X) == len(model._y) == model.n_samples_fit_)
        _check(not model.get("outputs_2d_"))
        if "Classifier" in cls.__name__:
            _check(model._y.min() >= 0 and model._y.max() < len(model.classes_))


CHECKS = {
    "SVC SVR NuSVC NuSVR": _check_support_vectors,
    " ".join(TREES): _check_tree,
    "RandomForestClassifier RandomForestRegressor": _check_forest,
    "ExtraTreesClassifier ExtraTreesRegressor": _check_forest,
    "GradientBoostingClassifier GradientBoostingRegressor": _check_boosting,
    "HistGradientBoostingClassifier HistGradientBoostingRegressor": _check_histograms,
    "DummyClassifier DummyRegressor": _check_dummy,
    "_BinMapper": _check_categories,
    "KNeighborsClassifier KNeighborsRegressor": _check_neighbors,
}
"""Checks that arrays of a class fit together: compiled code of scikit-learn reads unchecked."""


# nodes


KEYS = {"str": str, "str_": str, "int": int, "int64": int, "float": float, "float64": float}


def _imported(module, name):
    try:
        return getattr(import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise ModelFileError(
            f"its model needs what this scikit-learn doesn't have ({error}); install the "
            "version that card.md in the file names, or train it again"
        ) from error


class _Builder:
    """Makes values from the nodes of skops.

    Every node makes a new object, even if two were the same one when saved. So models can't share
    children, and can't have more of them than the file.
    """

    def __init__(self, arrays, trusted):
        self.arrays = arrays
        self.trusted = {f"{cls.__module__}.{cls.__name__}": cls for cls in trusted}
        self.bytes_left = USES * sum(x.nbytes for x in arrays.values()) + 2**16
        self.objects_left, self.depth = MOST_OBJECTS, 0
        self.makers = {
            "JsonNode": self.scalar,
            "ListNode": lambda node: [*map(self.value, node["content"])],
            "TupleNode": lambda node: tuple(map(self.value, node["content"])),
            "DictNode": self.mapping,
            "NdArrayNode": self.array,
            "ObjectNode": self.object,
            "TreeNode": self.tree,
            "FunctionNode": self.function,
            "RandomStateNode": lambda node: None,  # predictions need no random numbers
            "RandomGeneratorNode": lambda node: None,
        }

    def value(self, node):
        maker = self.makers.get(node["__loader__"])
        if maker is None:
            self.refuse(node)
        return maker(node)

    def refuse(self, node):
        path = f"{node['__module__']}.{node['__class__']}"
        brute = ' Neighbours with algorithm="brute" have none.' if "neighbors" in path else ""
        raise ModelFileError(
            f"its model has {path!r:.100}, which isn't among the classes that a file may have. If "
            f"you know who made it, trusted=[{node['__class__']!s:.40}] allows that class.{brute}"
        )

    def scalar(self, node):
        value = json.loads(node["content"])
        if not isinstance(value, str | int | float | None):
            raise ModelFileError(f"its model has a {type(value).__name__} as a number; refused")
        return value

    def mapping(self, node):
        kinds = [KEYS[kind["__class__"]] for kind in node["key_types"]["content"]]
        pairs = zip(kinds, node["content"].items(), strict=True)
        return {kind(key): self.value(child) for kind, (key, child) in pairs}

    def array(self, node):
        if node["type"] == "json":
            return self.object_array(node)
        array = self.arrays[node["file"]]
        self.bytes_left -= array.nbytes
        if self.bytes_left < 0:
            raise ModelFileError("parts of its model share their arrays; refused")
        return array if node["__class__"] == "ndarray" else array[()]

    def object_array(self, node):
        shape, rows = self.value(node["shape"]), [*map(self.value, node["content"])]
        if len(shape) == 2:
            _check(len(rows) == shape[0] and all(len(row) == shape[1] for row in rows))
            rows = [value for row in rows for value in row]
        _check(len(rows) == math.prod(shape) and len(shape) in (1, 2))
        array = np.empty(len(rows), dtype="O")
        for place, value in enumerate(rows):  # numpy would look into the models
            array[place] = value
        return array.reshape(shape)

    def object(self, node):
        module, name = node["__module__"], node["__class__"]
        path = f"{module}.{name}"
        if path == f"{LOSS_MODULE}.{name}" and name in LOSSES:
            return self.loss(node)
        own = OWN.keys() | {"VoiceScaler"} if module in (*HOMES, *FORMER_HOMES) else ()
        if path not in FITTED and path not in self.trusted and name not in own:
            self.refuse(node)
        self.objects_left -= 1
        self.depth += 1
        if self.depth > DEEPEST or self.objects_left < 0:
            raise ModelFileError(
                f"its model has more than {MOST_OBJECTS:,} parts, or more than {DEEPEST} levels of "
                "them; refused"
            )
        made = self.stranger(node) if path in self.trusted else self.known(node, name in own)
        self.depth -= 1
        return made

    def stranger(self, node):
        """An object of a class that the user trusts."""
        cls, state = self.trusted[f"{node['__module__']}.{node['__class__']}"], node.get("content")
        value, state = cls.__new__(cls), state and self.value(state)
        if hasattr(value, "__setstate__"):
            value.__setstate__(state)
        else:
            vars(value).update(state or {})
        return value

    def known(self, node, own):
        name = node["__class__"]
        cls = plain_class(name) if own else _imported(node["__module__"], name)
        children = node["content"]["content"]
        children = {name: child for name, child in children.items() if name not in UNUSED}
        check_names(cls, children)
        state = {name: self.value(child) for name, child in children.items()}
        return restored(cls, state, self.trusted.values())

    def loss(self, node):
        cls = _imported(LOSS_MODULE, node["__class__"])
        n_classes = node["content"]["content"]["n_classes"]
        if node["__class__"] != "HalfMultinomialLoss":
            return cls()
        n_classes = self.value(n_classes)
        _check(isinstance(n_classes, int) and 2 < n_classes <= MOST_CLASSES)
        return cls(n_classes=n_classes)

    def tree(self, node):
        """A decision tree; see `sklearn.tree._tree.Tree.__reduce__`."""
        if f"{node['__module__']}.{node['__class__']}" != TREE:
            self.refuse(node)
        n_features, n_classes, n_outputs = self.value(node["__reduce__"]["args"])
        counts = {n_outputs, *map(int, n_classes)}
        if n_outputs != len(n_classes) or not 1 <= min(counts) <= max(counts) <= MOST_CLASSES:
            raise ModelFileError("a tree of its model has other outputs than it says; refused")
        state = self.value(node["content"])
        nodes = state["nodes"]
        _check(len(nodes) == state["node_count"] == len(state["values"]))
        children = nodes["left_child"], nodes["right_child"]
        _check_nodes(*children, nodes["feature"], nodes["left_child"] == -1, n_features)
        tree = _imported(*TREE.rsplit(".", 1))(n_features, n_classes, n_outputs)
        tree.__setstate__(state)
        return tree

    def function(self, node):
        path = f"{node['__module__']}.{node['__class__']}"
        if path in self.trusted:
            return self.trusted[path]
        if path not in FUNCTIONS:
            self.refuse(node)
        return _imported(node["__module__"], node["__class__"])


def build(schema, arrays, trusted=()):
    """Build a model from the nodes that skops wrote, if all of them are allowed.

    Parameters
    ----------
    schema : dict
        The content of schema.json.
    arrays : dict of str to ndarray
        By the names of their files.
    trusted : sequence of types
        Further classes and functions that it may have. They aren't checked.

    Returns
    -------
    estimator

    Raises
    ------
    ModelFileError
        If it has anything else. Forged nodes may raise any other error.
    """
    return _Builder(arrays, trusted).value(schema)


# test predictions


def try_out(pairs):
    """Refuse models whose predictions for some clips need too much time or memory.

    Another process computes them, with `SECONDS` of CPU time and `MEMORY` bytes. On systems that
    can't limit memory (macOS, Windows), only the time is limited.

    Parameters
    ----------
    pairs : list of (estimator, ndarray (n_clips, n_features))
        Models and standardised features.

    Raises
    ------
    ModelFileError
        If a model gives no predictions within the limits.
    """
    if not pairs:
        return
    _, said = _trials(os.getpid()).ask(pickle.dumps(pairs), PATIENCE)
    if said:
        raise ModelFileError(
            f"its model gives no predictions within {SECONDS} seconds and {MEMORY / 2**30:.0f} GB "
            f"({said!r:.200}); refused"
        )


@lru_cache(maxsize=1)
def _trials(pid):
    """The process that tries models for process `pid`; a forked process needs its own."""
    return Copies("estimators:answer")


def answer(data):
    """Predict with models, within limits, in a process that does nothing else.

    Parameters
    ----------
    data : bytes
        From `try_out`.
    """
    pairs = pickle.loads(data)  # from the process that has checked the models
    limit_process(SECONDS, MEMORY)
    methods = "predict_proba", "decision_function", "predict"
    for model, Z in pairs:
        method = next(name for name in methods if hasattr(model, name))
        with joblib.parallel_config("sequential"):
            getattr(model, method)(Z)
