"""Constants and hyper-parameter grids that the whole project shares: data, no logic."""

SAMPLE_RATE = 16_000
"""Hz. Everything is resampled to it on the way in, so that no model learns a corpus by its rate."""

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

_SVM = {"C": [0.1, 1, 10], "gamma": ["scale", 0.001], "kernel": ["rbf"]}
_FOREST = {"n_estimators": [200], "max_features": ["sqrt", 0.2], "min_samples_leaf": [1, 4]}
_BOOSTING = {"n_estimators": [100], "learning_rate": [0.1], "max_depth": [3], "subsample": [0.5]}
_TREE = {"max_depth": [5, 10, None], "min_samples_leaf": [1, 8]}
_NEIGHBORS = {"n_neighbors": [3, 7, 15], "weights": ["distance"], "p": [1, 2]}
_MLP = {"hidden_layer_sizes": [(100,), (200,)], "alpha": [0.001, 0.1], "max_iter": [1000]}
_BAGGING = {"n_estimators": [100], "max_samples": [0.5, 1.0], "max_features": [0.2, 0.5]}
_ADABOOST = {"n_estimators": [100], "learning_rate": [0.1, 1.0]}

CLASSIFIER_GRIDS = {
    "SVC": _SVM,
    "AdaBoostClassifier": _ADABOOST,
    "RandomForestClassifier": _FOREST,
    "GradientBoostingClassifier": _BOOSTING | {"max_features": ["sqrt"]},
    "DecisionTreeClassifier": _TREE,
    "KNeighborsClassifier": _NEIGHBORS,
    "MLPClassifier": _MLP,
    "BaggingClassifier": _BAGGING,
}
"""What grid_search.py tries for each classifier: parameter to its candidate values."""

REGRESSOR_GRIDS = {
    "SVR": _SVM | {"epsilon": [0.1]},
    "AdaBoostRegressor": _ADABOOST,
    "RandomForestRegressor": _FOREST,
    "GradientBoostingRegressor": _BOOSTING | {"max_features": ["sqrt"]},
    "DecisionTreeRegressor": _TREE,
    "KNeighborsRegressor": _NEIGHBORS,
    "MLPRegressor": _MLP,
    "BaggingRegressor": _BAGGING,
}
"""What grid_search.py tries for each regressor: parameter to its candidate values."""
