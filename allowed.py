"""What models in files may contain: classes, attributes and their values; data, no logic.

`estimators.build` makes nothing else, and calls nothing before it is checked.
"""

from types import FunctionType

import numpy as np

from parameters import SAMPLE_RATE

LOSSES = "HalfSquaredError", "HalfBinomialLoss", "HalfMultinomialLoss"
MOST_CLASSES = 1000
MOST_PROBES, LONGEST_SOUND = 16, 2 * SAMPLE_RATE  # clips of a probe, samples of its signal

# rules: functions of a value that return a bool


def is_number(value):
    """Whether a value is a number, and not a huge integer: bool.

    Parameters
    ----------
    value : object
    """
    integer = isinstance(value, int | np.integer | np.bool_)
    return abs(int(value)) <= 2**64 if integer else isinstance(value, float | np.floating)


def nothing(value):
    """Whether a value is None; for attributes such as folders of pickles: bool.

    Parameters
    ----------
    value : object
    """
    return value is None


def _within(low, high):
    return lambda value: is_number(value) and low <= value <= high


def _text(value):
    return isinstance(value, str)  # it is only shown, or looked up without a call


def _array(kinds, *n_dimensions):
    """A rule for arrays of some kinds of dtypes; 0 dimensions include numbers."""

    def rule(value):
        if is_number(value):
            return 0 in n_dimensions
        known = isinstance(value, np.ndarray)
        return known and value.dtype.kind in kinds and value.ndim in n_dimensions

    return rule


def _one_or_several(rule):
    return lambda value: _listed(rule)(value) or rule(value)


def _listed(rule):
    """A rule for lists, tuples, and values of dicts that another rule allows."""

    def listed(values):
        if isinstance(values, dict):
            return all(_text(key) or is_number(key) for key in values) and listed(
                [*values.values()]
            )
        return isinstance(values, list | tuple) and all(map(rule, values))

    return listed


def _are_numbers(values):
    return is_number(values) or _listed(is_number)(values)


def _objects(*names):
    """A rule for objects of named classes (default any), single or in lists and arrays."""

    def rule(value):
        if isinstance(value, np.ndarray):
            return value.dtype == "O" and rule(value.tolist())
        if isinstance(value, list | tuple):
            return all(map(rule, value))
        named = type(value).__name__ in names if names else hasattr(value, "__dict__")
        return value is None or (named and not isinstance(value, FunctionType))

    return rule


def _are_named(pairs):
    """Whether a value is a list of pairs of a name and a model, or of a name and a word."""
    model = _objects()
    return all(
        isinstance(pair, tuple)
        and len(pair) == 2
        and _text(pair[0])
        and (model(pair[1]) or pair[1] in ("drop", "passthrough"))
        for pair in pairs
    )


def _are_corpora(parts):
    """See `models.BlockLDA`."""
    row, model = _array("f", 1), _objects("BlockLDA")
    return all(row(mean) and row(scale) and model(own) for mean, scale, own in parts)


def _all(names, rule):
    return dict.fromkeys(names.split(), rule)


RULES = {
    # arrays
    **_all(
        "mean_ var_ scale_ variance_ spread_ habit_ noise_ centre_ xbar_ class_weight_ "
        "class_prior_ priors_ scores_ pvalues_ train_score_ validation_score_ estimator_weights_ "
        "estimator_errors_ explained_variance_ explained_variance_ratio_ singular_values_ "
        "_intercept_ _probA _probB _sample_weight oob_prediction_ oob_improvement_ oob_scores_ _y",
        _array("iuf", 1),
    ),
    **_all(
        "support_vectors_ dual_coef_ _dual_coef_ _fit_X means_ scalings_ covariance_ components_ "
        "axes_ thresholds_ oob_decision_function_ constant_ _baseline_prediction",
        _array("f", 2),
    ),
    **_all("classes_ classes", _array("iufbU", 1)),
    **_all("intercept_ n_iter_ _num_iter", _array("iuf", 0, 1)),
    **_all("support_ _n_support _seeds n_bins_non_missing_ is_categorical_", _array("biu", 1)),
    **_all("binned_left_cat_bitsets raw_left_cat_bitsets", _array("u", 2)),
    "nodes": _array("V", 1),
    "coef_": _array("f", 1, 2),
    "coefs_": _listed(_array("f", 2)),
    **_all("intercepts_ bin_thresholds_", _listed(_array("f", 1))),
    "estimators_features_": _listed(_array("iu", 1)),
    # numbers
    "n_jobs": _within(-64, 64),
    "n_threads": _within(1, 1024),
    "verbose": _within(0, 100),
    **_all("n_classes_ n_outputs_", _within(1, MOST_CLASSES)),
    **_all(
        "shape_fit_ hidden_layer_sizes loss_curve_ validation_scores_ _n_feature_outs alphas "
        "effective_metric_params_ class_weight weights dropout monotonic_cst",
        _are_numbers,
    ),
    # parameters that could open files, run code or never end
    **_all(
        "memory transform_input metric_params known_categories is_categorical _preprocessor "
        "_is_categorical_remapped _tree covariance_estimator interaction_cst",
        nothing,
    ),
    # models, and parts of them
    **_all("estimator estimator_ estimators_ final_estimator final_estimator_", _objects()),
    **_all("estimators steps", _are_named),
    "init": _objects(),
    "init_": _objects("DummyClassifier", "DummyRegressor"),
    "tree_": _objects("Tree"),
    "_predictors": _objects("TreePredictor"),
    "_bin_mapper": _objects("_BinMapper"),
    "_loss": _objects(*LOSSES),
    **_all("le_ _label_encoder", _objects("LabelEncoder")),
    "_label_binarizer": _objects("LabelBinarizer"),
    "calibrated_classifiers_": _objects("_CalibratedClassifier"),
    "calibrators": _objects("_SigmoidCalibration"),
    "score_func": callable,
    "estimator_params": _listed(_text),
    # classes of this project
    "models_": _objects("EmotionLDA"),
    "BlockRidge.models_": _objects("Ridge"),
    **_all("BlockRidge.mean_ low_ high_", _array("iuf", 0, 1)),
    "KNeighborsRegressor._y": _array("iuf", 1, 2),
    "corpora_": _are_corpora,
    "weights_": _array("f", 1),
    "offsets_": _listed(_array("f", 1)),
    "clips": _objects("SpeakerScaler"),
    "blocks": _listed(_within(0, 2**20)),
    **_all("features left_out", _listed(_text)),
    "history_": _text,
    "network_": lambda value: isinstance(value, bytes),
    "n_networks": _within(1, 64),
    **_all("n_rnn_layers n_dense_layers", _within(0, 64)),
    **_all("rnn_units dense_units", _one_or_several(_within(1, 2**14))),
    **_all("center_ FrameNetwork.scale_", _array("f", 1)),
    "n_columns_": _within(1, 2**20),
}
"""Attribute, or class and attribute, to the rule for its values. None and `WORDS` are always
allowed; attributes without a rule are numbers."""

WORDS = {
    "activation": "identity logistic tanh relu softmax",
    "algorithm": "brute auto SAMME deprecated",
    "batch_size": "auto",
    "by": "speaker condition",
    "categorical_features": "from_dtype",
    "cell": "LSTM GRU SimpleRNN",
    "class_weight": "balanced balanced_subsample",
    "criterion": "gini entropy log_loss squared_error absolute_error friedman_mse poisson "
    "deprecated",
    "cv": "prefit",
    "decision_function_shape": "ovr ovo",
    "dual": "auto",
    "early_stopping": "auto",
    "ensemble": "auto",
    "gamma": "scale auto",
    "gcv_mode": "auto svd eigen",
    "init": "zero",
    "iterated_power": "auto",
    "k": "all",
    "kernel": "linear poly rbf sigmoid",
    "learning_rate": "constant invscaling adaptive",
    "loss": "log_loss squared_error absolute_error poisson linear square exponential hinge "
    "squared_hinge epsilon_insensitive squared_epsilon_insensitive",
    "max_features": "sqrt log2",
    "method": "sigmoid",
    "metric": "minkowski euclidean sqeuclidean manhattan cityblock l1 l2 chebyshev cosine",
    "multi_class": "auto ovr multinomial deprecated crammer_singer",
    "n_components": "mle",
    "penalty": "l1 l2 elasticnet deprecated",
    "power_iteration_normalizer": "auto QR LU none",
    "probability": "deprecated",
    "scoring": "loss",
    "shrinkage": "auto",
    "solver": "lbfgs liblinear newton-cg newton-cholesky sag saga sgd adam svd lsqr eigen "
    "cholesky sparse_cg auto",
    "splitter": "best random",
    "stack_method": "auto predict_proba decision_function predict",
    "store_cv_values": "deprecated",
    "strategy": "prior most_frequent stratified uniform constant mean median",
    "svd_solver": "auto full covariance_eigh arpack randomized",
    "voting": "hard soft",
    "weights": "uniform distance",
    "y_type": "binary multiclass",
}
"""Attribute to the words that it may hold; they also apply to the fitted attribute, with "_"."""

OTHERS = {"fit_method": "algorithm", "effective_metric": "metric", "out_activation": "activation"}
OTHERS |= {"fit_svd_solver": "svd_solver"}

# classes, with their attributes beside their parameters

_SVM = (
    "support_ support_vectors_ _n_support dual_coef_ intercept_ _dual_coef_ _intercept_ _probA "
    "_probB _gamma _sparse shape_fit_ fit_status_ _num_iter n_iter_ class_weight_ classes_ "
    "_effective_probability C nu epsilon class_weight probability random_state"
)
_TREE = "tree_ classes_ n_classes_ n_outputs_ max_features_ class_weight splitter"
_SEVERAL = "estimator estimator_ estimators_ estimator_params classes_ n_classes_"
_FOREST = (
    f"{_SEVERAL} n_outputs_ _n_samples _n_samples_bootstrap _sample_weight class_weight oob_score_ "
    "oob_decision_function_ oob_prediction_"
)
_BAGGING = (
    f"{_SEVERAL} estimators_features_ _max_samples _max_features _n_samples _seeds _sample_weight "
    "oob_score_ oob_decision_function_ oob_prediction_"
)
_ADABOOST = f"{_SEVERAL} estimator_weights_ estimator_errors_ algorithm"
_BOOSTING = (
    "_loss init_ estimators_ n_estimators_ n_trees_per_iteration_ n_classes_ classes_ "
    "max_features_ train_score_ oob_improvement_ oob_score_ oob_scores_ alpha"
)
_HISTOGRAMS = (
    "_loss _predictors _bin_mapper _baseline_prediction n_trees_per_iteration_ classes_ "
    "_label_encoder is_categorical_ _preprocessor _is_categorical_remapped _random_seed "
    "_n_features do_early_stopping_ _use_validation_data train_score_ validation_score_ "
    "categorical_features quantile class_weight"
)
_NEIGHBORS = (
    "_fit_X _y _fit_method _tree n_samples_fit_ effective_metric_ effective_metric_params_ "
    "outputs_2d_ classes_ radius"
)
_PERCEPTRON = (
    "coefs_ intercepts_ n_layers_ out_activation_ _label_binarizer classes_ n_outputs_ n_iter_ t_ "
    "loss loss_ loss_curve_ best_loss_ validation_scores_ best_validation_score_ "
    "_no_improvement_count"
)
_LINEAR = "coef_ intercept_ n_iter_ classes_ solver_ multi_class penalty _label_binarizer"
_DUMMY = "_strategy sparse_output_ n_outputs_ classes_ n_classes_ class_prior_ constant_"
_JOINED = (
    "estimators_ classes_ le_ final_estimator_ stack_method stack_method_ _label_encoder "
    "_n_feature_outs"
)

CLASSES = {
    "svm._classes": {"SVC SVR NuSVC NuSVR": _SVM, "LinearSVC LinearSVR": _LINEAR},
    "tree._classes": {
        "DecisionTreeClassifier DecisionTreeRegressor": _TREE,
        "ExtraTreeClassifier ExtraTreeRegressor": _TREE,
    },
    "ensemble._forest": {
        "RandomForestClassifier RandomForestRegressor": _FOREST,
        "ExtraTreesClassifier ExtraTreesRegressor": _FOREST,
    },
    "ensemble._bagging": {"BaggingClassifier BaggingRegressor": _BAGGING},
    "ensemble._weight_boosting": {"AdaBoostClassifier AdaBoostRegressor": _ADABOOST},
    "ensemble._gb": {"GradientBoostingClassifier GradientBoostingRegressor": _BOOSTING},
    "ensemble._hist_gradient_boosting.gradient_boosting": {
        "HistGradientBoostingClassifier HistGradientBoostingRegressor": _HISTOGRAMS
    },
    "ensemble._hist_gradient_boosting.binning": {
        "_BinMapper": "is_categorical_ missing_values_bin_idx_ bin_thresholds_ n_bins_non_missing_"
    },
    "ensemble._hist_gradient_boosting.predictor": {"TreePredictor": ""},
    "ensemble._voting": {"VotingClassifier VotingRegressor": _JOINED},
    "ensemble._stacking": {"StackingClassifier StackingRegressor": _JOINED},
    "neighbors._classification": {"KNeighborsClassifier": _NEIGHBORS},
    "neighbors._regression": {"KNeighborsRegressor": _NEIGHBORS},
    "neural_network._multilayer_perceptron": {"MLPClassifier MLPRegressor": _PERCEPTRON},
    "linear_model._logistic": {"LogisticRegression": _LINEAR},
    "multioutput": {"MultiOutputRegressor": "estimators_"},
    "linear_model._ridge": {
        "Ridge RidgeClassifier": _LINEAR,
        "RidgeCV": f"{_LINEAR} alpha_ best_score_ _store_cv_results store_cv_values",
    },
    "discriminant_analysis": {
        "LinearDiscriminantAnalysis": f"{_LINEAR} priors_ _max_components means_ xbar_ scalings_ "
        "explained_variance_ratio_ covariance_ _n_features_out"
    },
    "dummy": {"DummyClassifier DummyRegressor": _DUMMY},
    "calibration": {
        "CalibratedClassifierCV": "calibrated_classifiers_ classes_",
        "_CalibratedClassifier": "",
        "_SigmoidCalibration": "a_ b_",
    },
    "pipeline": {"Pipeline": ""},
    "decomposition._pca": {
        "PCA": "mean_ components_ n_components_ n_samples_ noise_variance_ explained_variance_ "
        "explained_variance_ratio_ singular_values_ _fit_svd_solver"
    },
    "feature_selection._univariate_selection": {"SelectKBest SelectPercentile": "scores_ pvalues_"},
    "preprocessing._data": {"StandardScaler": "n_samples_seen_ mean_ var_ scale_"},
    "preprocessing._label": {
        "LabelEncoder": "classes_",
        "LabelBinarizer": "classes_ y_type_ sparse_input_",
    },
}
"""Modules of scikit-learn to classes to fitted attributes."""

OWN = {
    "EmotionLDA": "classes_ coef_ intercept_ centre_ axes_",
    "BlockLDA": "classes_ models_ weights_ corpora_",
    "BlockRidge": "models_ mean_ low_ high_",
    "SpeakerScaler": "mean_ variance_ spread_ offsets_ habit_ noise_ diversity_",
    "SpeakerFrameScaler": "clips",
    "Adaptation": "",
    "FrameScaler": "mean_ scale_",
    "FrameNetwork": "classes_ network_ temperature_ history_ n_columns_ n_outputs_ center_ scale_",
}
"""Classes of this project to fitted attributes."""

FITTED = {
    f"sklearn.{module}.{name}": fitted.split()
    for module, classes in CLASSES.items()
    for names, fitted in classes.items()
    for name in names.split()
}
FUNCTIONS = tuple(
    f"sklearn.feature_selection._univariate_selection.f_{name}"
    for name in ("classif", "regression")
)
LOSS_MODULE = "sklearn._loss.loss"
TREE = "sklearn.tree._tree.Tree"
UNUSED = frozenset(
    {"_sklearn_version", "named_estimators_", "_optimizer", "_best_coefs", "_best_intercepts"}
    | {"_rng", "_random_state", "_feature_subsample_rng", "_scorer"}
    | {"_coef_indptr", "_intercept_indptr"}
)
"""Attributes that only training needs, or that are computed from others; they aren't read."""
LATER = {"RidgeClassifier": {"classes_": "_label_binarizer.classes_"}}
"""Classes to attributes that older versions of scikit-learn computed, and their sources."""
JOINED = "VotingClassifier", "VotingRegressor", "StackingClassifier", "StackingRegressor"
TREES = (
    "DecisionTreeClassifier",
    "DecisionTreeRegressor",
    "ExtraTreeClassifier",
    "ExtraTreeRegressor",
)

# other parts of a recognizer


def _few(rule):
    return lambda value: len(value) <= MOST_PROBES and rule(value)


FIT = {
    "speakers": _objects("SpeakerScaler", "SpeakerFrameScaler"),
    "scaler": _objects("StandardScaler", "FrameScaler"),
    "model": _objects(),
    "temperature": _are_numbers,
    "coverages": _array("f", 1),
    "measured_coverages": _array("f", 1),
}
"""Attributes of `confidence.Fitted` to their rules; others: a number."""

PROBE = {
    "X": lambda X: _few(_listed(_array("f", 2)))(X) or _few(_array("f", 2))(X),
    "answers": _listed(_few(_array("f", 1, 2))),
    "sound": lambda y: _array("i", 1)(y) and len(y) <= LONGEST_SOUND,
    "heard": _array("f", 1, 2),
}
"""See `predictor.Predictor`."""
