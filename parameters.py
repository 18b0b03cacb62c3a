"""Constants and hyper-parameter grids that the whole project shares: data, no logic."""

SAMPLE_RATE = 16_000
"""Hz. All audio is resampled to this rate, so that no model tells corpora apart by their rates."""

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
LABEL_WORDS = {
    "english": {
        "neutral": "neutral neutrality normal",
        "calm": "calm calmness relaxed",
        "happy": "happy happiness joy joyful",
        "sad": "sad sadness",
        "angry": "angry anger mad",
        "fear": "fear fearful afraid scared anxiety",
        "disgust": "disgust disgusted",
        "ps": "ps surprise surprised pleasant_surprise",
        "boredom": "boredom bored",
    },
    "german": {
        "neutral": "neutral",
        "calm": "ruhig ruhe gelassen",
        "happy": "freude froh fröhlich glücklich",
        "sad": "trauer traurig traurigkeit",
        "angry": "wut wütend ärger zorn",
        "fear": "angst ängstlich furcht",
        "disgust": "ekel angeekelt",
        "ps": "überraschung überrascht",
        "boredom": "langeweile gelangweilt",
    },
    "french": {
        "neutral": "neutre",
        "calm": "calme",
        "happy": "joie joyeux heureux",
        "sad": "tristesse triste",
        "angry": "colère",
        "fear": "peur",
        "disgust": "dégoût",
        "ps": "surprise",
        "boredom": "ennui",
    },
    "italian": {
        "neutral": "neutro neutrale neutralità",
        "calm": "calma",
        "happy": "gioia felice",
        "sad": "tristezza triste",
        "angry": "rabbia",
        "fear": "paura",
        "disgust": "disgusto",
        "ps": "sorpresa",
        "boredom": "noia",
    },
    "spanish": {
        "neutral": "neutral neutro",
        "calm": "calma",
        "happy": "alegría felicidad feliz",
        "sad": "tristeza triste",
        "angry": "ira enojo enfado",
        "fear": "miedo",
        "disgust": "asco",
        "ps": "sorpresa",
        "boredom": "aburrimiento",
    },
    "polish": {
        "neutral": "neutralny neutralność",
        "calm": "spokój",
        "happy": "radość",
        "sad": "smutek",
        "angry": "złość gniew",
        "fear": "strach",
        "disgust": "wstręt",
        "ps": "zaskoczenie",
        "boredom": "nuda",
    },
    "turkish": {
        "neutral": "nötr",
        "calm": "sakin",
        "happy": "mutlu mutluluk",
        "sad": "üzgün üzüntü",
        "angry": "kızgın öfke öfkeli",
        "fear": "korku",
        "disgust": "iğrenme",
        "ps": "şaşkın şaşkınlık",
    },
    "chinese": {
        "neutral": "中性 中立",
        "calm": "平静",
        "happy": "快乐 开心 高兴",
        "sad": "悲伤 伤心 难过",
        "angry": "愤怒 生气",
        "fear": "恐惧 害怕",
        "disgust": "厌恶",
        "ps": "惊讶 惊喜",
        "boredom": "无聊",
    },
}
"""Usual labels in some languages: language to the emotion of this project to labels for it."""

DEFAULT_EMOTIONS = ("sad", "neutral", "happy")
EMOTION_SCALES = (
    {"sad": 0, "neutral": 1, "happy": 2},
    {"angry": 1, "sad": 2, "neutral": 3, "ps": 4, "happy": 5},
)
"""Regression targets, from unpleasant to pleasant, for 3 or for 5 emotions."""

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
    """Gammas suit some thousand standardised features ("scale" is one over their number)."""
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

SPEECH_FROM = -2.3
"""Threshold: `listening.has_speech` takes a sound with a score of this or more for speech."""
# fmt: off
SPEECH_MEASURES = {
    "active_frames": (4.49, 0.724, -0.752, 0.102, -0.0981, -0.000597, 0.131, -0.306, 0.0421,
        -0.164, -0.175, -0.164, -0.0585, -0.297, 0.212, 0.0232, -0.0241, 0.129, 0.177),
    "level_spread": (8.05, 5.35, 0.898, -0.275, 0.287, -0.438, 0.161, 0.061, 0.424, 0.168, 0.248,
        -0.0943, -0.0324, -0.103, -0.0627, -0.101, -0.0907, 0.219),
    "level_low": (-21.6, 14, -0.911, -0.374, 0.506, 0.137, 0.136, -0.472, -0.0988, -0.168, 0.0629,
        0.116, -0.0131, 0.0284, 0.0167, 0.0791, -0.183),
    "level_step": (2.02, 2.19, 0.0692, -0.833, -0.95, -0.426, 0.413, 0.00241, 0.0274, 0.0606,
        -0.166, -0.0717, 0.016, -0.154, 0.249, -0.0717),
    "level_attack": (0.381, 0.69, -0.716, -0.155, -0.229, -0.187, -0.206, -0.00838, -0.0586,
        0.0748, 0.218, 0.135, 0.201, 0.168, -0.178),
    "low_with_high": (0.494, 0.362, -0.207, -0.382, -0.0832, 0.158, 0.318, 0.0893, -0.0708, 0.0825,
        -0.327, 0.0315, 0.052, -0.0285),
    "tilt": (1.09, 1.81, 0.21, -0.527, 0.282, 0.0227, 0.0155, 0.196, 0.153, -0.148, -0.289, 0.0456,
        0.107),
    "spread_3": (3.1, 1.49, 0.798, -0.202, -0.341, 0.0417, -0.149, -0.277, 0.162, -0.229, 0.243,
        0.0894),
    "spread_6": (2.38, 1.22, 0.212, -0.558, 0.311, 0.0898, -0.196, 0.455, 0.0448, 0.248, 0.0771),
    "slow_2": (0.199, 0.614, -0.0309, -0.115, -0.0597, -0.131, 0.0348, -0.181, 0.0402, 0.0736),
    "slow_3": (0.179, 0.549, -0.327, -0.325, 0.00463, 0.0961, -0.108, 0.0272, -0.0137),
    "fast_0": (-0.994, 0.812, -0.712, -0.0728, 0.216, 0.225, -0.0536, 0.0833),
    "fast_5": (-0.703, 0.516, -0.279, -0.157, 0.0939, -0.156, -0.22),
    "steady": (0.301, 0.269, -1.06, -0.0409, 0.0335, 0.164),
    "gliding": (0.516, 0.248, 1.02, -0.149, -0.396),
    "jumping": (0.234, 0.211, -0.628, 0.19),
}
# fmt: on
"""Measure of `listening.speech_measures` to its mean, its standard deviation, the weight of its
z-score, and the weights of the products of its z-score with itself and with the later ones.

Fitted by `benchmarks/bench_no_speech.py --fit`.
"""
