"""Constants and hyper-parameter grids that the whole project shares: data, no logic."""

SAMPLE_RATE = 16_000
"""Hz. Everything is resampled to it on the way in, so that no model learns a corpus by its rate."""

AVAILABLE_EMOTIONS = (
    "neutral",
    "calm",
    "happy",
    "sad",
    "angry",
    "fear",
    "disgust",
    "ps",  # pleasant surprise
    "boredom",
)
DEFAULT_EMOTIONS = ("sad", "neutral", "happy")
EMOTION_SCALES = (
    {"sad": 0, "neutral": 1, "happy": 2},
    {"angry": 1, "sad": 2, "neutral": 3, "ps": 4, "happy": 5},
)
"""The regression targets: from displeasure to pleasure, with 3 or with 5 emotions."""

CLASSIFIERS = {
    "SVC": "sklearn.svm.SVC",
    "AdaBoostClassifier": "sklearn.ensemble.AdaBoostClassifier",
    "RandomForestClassifier": "sklearn.ensemble.RandomForestClassifier",
    "GradientBoostingClassifier": "sklearn.ensemble.GradientBoostingClassifier",
    "DecisionTreeClassifier": "sklearn.tree.DecisionTreeClassifier",
    "KNeighborsClassifier": "sklearn.neighbors.KNeighborsClassifier",
    "MLPClassifier": "sklearn.neural_network.MLPClassifier",
    "BaggingClassifier": "sklearn.ensemble.BaggingClassifier",
}
"""The classifiers that grid_search.py tunes: class name to import path."""

REGRESSORS = {
    "SVR": "sklearn.svm.SVR",
    "AdaBoostRegressor": "sklearn.ensemble.AdaBoostRegressor",
    "RandomForestRegressor": "sklearn.ensemble.RandomForestRegressor",
    "GradientBoostingRegressor": "sklearn.ensemble.GradientBoostingRegressor",
    "DecisionTreeRegressor": "sklearn.tree.DecisionTreeRegressor",
    "KNeighborsRegressor": "sklearn.neighbors.KNeighborsRegressor",
    "MLPRegressor": "sklearn.neural_network.MLPRegressor",
    "BaggingRegressor": "sklearn.ensemble.BaggingRegressor",
}
"""The regressors that grid_search.py tunes: class name to import path."""

RECIPES = {
    "recommended": "discriminant analysis of 25 ms frames, best for speakers never seen",
    "classic": "an SVC on the means of mfcc, chroma and mel",
    "best": "the best of all tuned models, by cross-validation",
    "lstm": "recurrent networks over the frames",
    "ensemble": "recommended with augmented copies, and lstm",
}
"""Names for `named_recognizer`, beside those of the estimators in parameters.py."""

_FOREST = {
    "n_estimators": [50, 100, 200],
    "max_depth": [3, 7, None],
    "min_samples_split": [2, 8, 0.2],
    "min_samples_leaf": [1, 4, 0.05],
    "max_features": ["sqrt", "log2", 0.05, 0.2],
}
_BOOSTING = {
    "n_estimators": [40, 60, 80, 110, 150],
    "learning_rate": [0.05, 0.1, 0.3],
    "subsample": [0.5, 0.8],
    "max_depth": [2, 3, 5],
    "min_samples_split": [2, 8, 0.2],
    "min_samples_leaf": [1, 4],
    "max_features": ["sqrt", "log2"],
}
_TREE = {
    "max_depth": [3, 5, 10, None],
    "min_samples_split": [2, 8, 0.2],
    "min_samples_leaf": [1, 4, 0.05],
    "max_features": ["sqrt", 0.2, None],
}
_NEIGHBORS = {
    "n_neighbors": [1, 3, 5, 7, 9, 15, 25, 40],
    "weights": ["uniform", "distance"],
    "p": [1, 2, 3],
}
_MLP_SIZE = {
    "hidden_layer_sizes": [(50,), (100,), (200,), (100, 100)],
    "alpha": [0.001, 0.1, 10.0],
    "batch_size": [32, 128],
    "max_iter": [50, 150],
}
_MLP = [
    {"solver": ["adam"]} | _MLP_SIZE,
    {"solver": ["sgd"], "learning_rate": ["constant", "adaptive"]} | _MLP_SIZE,
]
_BAGGING = {
    "n_estimators": [10, 50, 100],
    "max_samples": [0.25, 0.5, 1.0],
    "max_features": [0.02, 0.1, 0.3, 0.6],
}
_ADABOOST = {"n_estimators": [25, 50, 100], "learning_rate": [0.1, 0.3, 1.0, 2.0]}


def _svm(**more):
    """Gammas are for standardised features, some thousand of them ("scale" is one over these)."""
    return [
        {"kernel": ["linear"], "C": [1e-4, 1e-3, 0.01, 0.1, 1]} | more,
        {
            "kernel": ["rbf", "poly", "sigmoid"],
            "C": [0.1, 1, 10, 100],
            "gamma": ["scale", 1e-5, 1e-4, 1e-3],
        }
        | more,
    ]


CLASSIFIER_GRIDS = {
    "SVC": _svm(class_weight=[None, "balanced"]),
    "AdaBoostClassifier": _ADABOOST,
    "RandomForestClassifier": _FOREST,
    "GradientBoostingClassifier": _BOOSTING,
    "DecisionTreeClassifier": _TREE | {"criterion": ["gini", "entropy"]},
    "KNeighborsClassifier": _NEIGHBORS,
    "MLPClassifier": _MLP,
    "BaggingClassifier": _BAGGING,
}
"""What grid_search.py tries for each classifier, in the form of scikit-learn's ParameterGrid."""

REGRESSOR_GRIDS = {
    "SVR": _svm(epsilon=[0.05, 0.2]),
    "AdaBoostRegressor": _ADABOOST | {"loss": ["linear", "square"]},
    "RandomForestRegressor": _FOREST,
    "GradientBoostingRegressor": _BOOSTING,
    "DecisionTreeRegressor": _TREE | {"criterion": ["squared_error", "absolute_error"]},
    "KNeighborsRegressor": _NEIGHBORS,
    "MLPRegressor": _MLP,
    "BaggingRegressor": _BAGGING,
}
"""What grid_search.py tries for each regressor, in the form of scikit-learn's ParameterGrid."""
