"""The public vocabulary: emotions, features as switches, vectors, labels, tuned estimators."""

import io
import os
import pickle
import pickletools
import warnings
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

import numpy as np

import augmentation
import features as ft
from audio import AudioError, AudioWarning, load_audio
from checks import check_name, check_names, moved, renamed
from parameters import CLASSIFIERS, EMOTION_SCALES, REGRESSORS

LEAST_PROBABLE = 1e-3  # of a model's own probabilities, before their logarithm
GRID_DIR = Path(__file__).resolve().parent / "grid"
GRID_SIZE_LIMIT = 2**16  # bytes; tuned results are a few kB


def get_audio_config(features):
    """Keyword arguments for `extract_feature`: librosa's five, and the others that are on.

    Parameters
    ----------
    features : list of str
        Keys of `features.REGISTRY`.

    Raises
    ------
    ValueError
        For an unknown name, or for none at all.

    Examples
    --------
    >>> get_audio_config(["mfcc", "mel"])
    {'mfcc': True, 'chroma': False, 'mel': True, 'contrast': False, 'tonnetz': False}
    """
    if isinstance(features, str):
        raise ValueError(f"features is a list of names, e.g. [{features!r}], not one string.")
    on = dict.fromkeys(check_names(features, tuple(ft.REGISTRY), "feature"), True)
    return {name: name in on for name in ft.FEATURES} | on


def enabled(config):
    """The features that are on, in canonical order: list of str.

    Parameters
    ----------
    config : dict of str to bool
        See `get_audio_config`.

    Examples
    --------
    >>> enabled({"mel": True, "mfcc": True, "chroma": False})
    ['mfcc', 'mel']
    """
    for name in config:
        check_name(name, tuple(ft.REGISTRY), "feature")
    return [name for name in ft.REGISTRY if config.get(name)]


def get_label(audio_config):
    """The features that are on, joined into a name.

    Parameters
    ----------
    audio_config : dict of str to bool
        See `get_audio_config`.

    Examples
    --------
    >>> get_label(get_audio_config(["mel", "mfcc"]))
    'mfcc-mel'
    """
    return "-".join(enabled(audio_config))


def get_first_letters(emotions):
    """The first letters of emotions, sorted: a short name for a picture or a folder.

    It is no key: sad and surprise share theirs.

    Parameters
    ----------
    emotions : list of str

    Examples
    --------
    >>> get_first_letters(["sad", "neutral", "happy"])
    'HNS'
    """
    return "".join(sorted(emotion[0].upper() for emotion in emotions))


def extract_feature(
    source, mfcc=True, chroma=True, mel=True, contrast=False, tonnetz=False, **settings
):
    """Compute the vector of one recording: `feature_vector` with a switch for each feature.

    Parameters
    ----------
    source : path, binary file object or array (n_samples,) or (n_samples, n_channels)
        Any audio that `audio.load_audio` reads.
    mfcc, chroma, mel, contrast, tonnetz : bool
        Which features, always in this order: 40 MFCC, 12 chroma, 128 mel power bands,
        7 spectral contrast (dB), 6 tonnetz, each the mean over the frames.
    **settings
        spectrum, prosody, quality, modulation : bool, the features of speech, after the five;
        default False. functionals, sr, min_duration, speed, noisy: see `feature_vector`.

    Returns
    -------
    ndarray (n_features,) float32
        Its elements are named by `features.feature_names`. With functionals="frames" a matrix
        (n_frames, n_columns).

    Raises
    ------
    AudioError
        If the recording can't be read.
    ValueError
        If no feature is on.
    TypeError
        For an unknown argument.

    Examples
    --------
    >>> extract_feature("data/test-custom/v21_s6_happy.wav").shape
    (180,)
    """
    switches = dict(zip(ft.FEATURES, (mfcc, chroma, mel, contrast, tonnetz), strict=True))
    legal = (*ft.REGISTRY, "functionals", "sr", "min_duration", "speed", "noisy")
    settings = renamed(settings, legal, {"degraded": "noisy"}, "argument")
    switches |= {name: settings.pop(name) for name in ft.REGISTRY if name in settings}
    return feature_vector(source, enabled(switches), **settings)


def feature_vector(
    source,
    features=ft.DEFAULT_FEATURES,
    *,
    functionals=None,
    sr=None,
    min_duration=0.1,
    speed=None,
    noisy=None,
):
    """Compute the vector of one recording.

    Parameters
    ----------
    source
        See `extract_feature`.
    features : sequence of str
        Keys of `features.REGISTRY`.
    functionals : sequence of str, optional
        What sums up the frames; see `features.extract`.
    sr : int, optional
        Hz; the sampling rate of `source` where that is an array.
    min_duration : float
        Seconds; a shorter recording is an error. Default 0.1.
    speed : float, optional
        For a copy at another speed; see `augmentation.at_speed`.
    noisy : int, optional
        For that noisy copy; see `augmentation.noisy_copy`.

    Returns
    -------
    ndarray (n_features,) float32
        See `extract_feature`.
    """
    names = enabled(get_audio_config(features))  # before a long file is read
    y = load_audio(source, orig_sr=sr, min_duration=min_duration)
    if speed is not None:
        y = augmentation.at_speed(y, speed)
    if noisy is not None:
        y = augmentation.noisy_copy(y, noisy)
    return ft.extract(y, features=names, functionals=functionals)


def extract_batch(sources, options):
    """Compute the vectors of some recordings, in a worker process; return `sources` and vectors.

    An AudioError stands for the vector of a recording that can't be read.

    Parameters
    ----------
    sources : list
        See `feature_vector`.
    options : dict
        Its keyword arguments; without `features` those of `extract_feature`.
    """
    outcomes, vector = [], feature_vector if "features" in options else extract_feature
    for source in sources:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", AudioWarning)
                outcomes.append(vector(source, **options))
        except AudioError as error:
            outcomes.append(error)
    return sources, outcomes


def emotion_scale(emotions):
    """The regression target of each emotion: dict of str to int.

    Parameters
    ----------
    emotions : list of str
        Exactly the emotions of one of `EMOTION_SCALES`, in any order.

    Raises
    ------
    ValueError
        For any other set of emotions.

    Examples
    --------
    >>> emotion_scale(["happy", "sad", "neutral"])
    {'sad': 0, 'neutral': 1, 'happy': 2}
    """
    for scale in EMOTION_SCALES:
        if set(scale) == set(emotions):
            return scale
    scales = " or ".join(str(list(scale)) for scale in EMOTION_SCALES)
    raise ValueError(
        f"Regression has targets for two sets of emotions, {scales}; got {list(emotions)}. "
        "Choose one of them, or classification=True."
    )


def make_estimator(name, params=None):
    """An unfitted scikit-learn estimator by its class name.

    Parameters
    ----------
    name : str
        A class name of `parameters.CLASSIFIERS` or `REGRESSORS`; the ending may be left out
        for a classifier ("MLP").
    params : dict, optional

    Examples
    --------
    >>> make_estimator("MLP", {"alpha": 0.1})
    MLPClassifier(alpha=0.1)
    """
    known = CLASSIFIERS | REGRESSORS
    if f"{name}Classifier" in known:
        name = f"{name}Classifier"
    module, _, cls = known[check_name(name, known, "model")].rpartition(".")
    return getattr(import_module(module), cls)().set_params(**(params or {}))


class _PlainUnpickler(pickle.Unpickler):
    """Reads numbers, strings, lists and dicts; refuses everything that could run code."""

    def find_class(self, module, name):
        raise pickle.UnpicklingError(f"it refers to {module}.{name}")


def read_plain_pickle(path):
    """Load a pickle that holds plain data only (numbers, strings, lists, tuples, dicts).

    Parameters
    ----------
    path : path

    Raises
    ------
    ValueError
        If it holds anything else, is damaged or implausibly large. Nothing in it is run.
    """
    path = Path(path)
    if path.stat().st_size > GRID_SIZE_LIMIT:
        raise ValueError(f"{path} is larger than tuned results can be; refused.")
    try:
        data = path.read_bytes()
        for opcode, index, _ in pickletools.genops(data):  # reads, runs nothing
            if opcode.name in ("PUT", "BINPUT", "LONG_BINPUT") and index > len(data):
                raise pickle.UnpicklingError(f"a memo of {index} places fills the memory")
        return _PlainUnpickler(io.BytesIO(data)).load()
    except (
        pickle.UnpicklingError,
        EOFError,
        ValueError,
        LookupError,
        TypeError,
        AttributeError,
        MemoryError,
        OverflowError,
    ) as error:
        raise ValueError(
            f"{path} is not plain data ({error}); refused. `python grid_search.py` writes it anew."
        ) from error


def results_path(classification=True, grid_dir=GRID_DIR):
    """The file of the tuned classifiers, or regressors: Path.

    Parameters
    ----------
    classification, grid_dir
        See `get_best_estimators`.
    """
    return Path(grid_dir) / f"best_{'classifiers' if classification else 'regressors'}.pickle"


def best_results(classification=True, grid_dir=GRID_DIR):
    """The tuned results in `grid/`, best first: list of dict.

    Their keys are estimator (class name), params, score and the notes of grid_search.py.

    Parameters
    ----------
    classification, grid_dir
        See `get_best_estimators`.

    Raises
    ------
    FileNotFoundError
        If there are none.
    """
    path = results_path(classification, grid_dir)
    if not path.is_file():
        raise FileNotFoundError(f"No tuned results at {path}; `python grid_search.py` makes them.")
    results = read_plain_pickle(path)
    return sorted(results, key=lambda result: result["score"], reverse=classification)


def get_best_estimators(classification=True, grid_dir=GRID_DIR):
    """The tuned estimators of `grid/`, best first: list of (unfitted estimator, params, score).

    Parameters
    ----------
    classification : bool
        Classifiers (scored by UAR) or regressors (scored by mean absolute error).
    grid_dir : path
        The folder that holds best_classifiers.pickle and best_regressors.pickle.
    """
    return [
        (tuned_estimator(result), result["params"], result["score"])
        for result in best_results(classification, grid_dir)
    ]


def tuned_estimator(result):
    """The unfitted estimator of one tuned result.

    Parameters
    ----------
    result : dict
        See `best_results`.

    Warns
    -----
    UserWarning
        Names the parameters that the installed scikit-learn doesn't have; they are left out.
    """
    name, params = result["estimator"], result["params"]
    known = make_estimator(name).get_params()
    if unknown := [parameter for parameter in params if parameter not in known]:
        warnings.warn(
            f"{name} has no parameter {', '.join(unknown)} in this scikit-learn (it was tuned with "
            f"{result.get('sklearn_version', 'another one')}); left out. "
            "`python grid_search.py` tunes anew.",
            stacklevel=3,
        )
    return make_estimator(name, {key: params[key] for key in params if key in known})


def two_sided(scores):
    """Decision values with one column per class, for two classes too: (n_clips, n_classes).

    Parameters
    ----------
    scores : ndarray (n_clips, n_classes), or (n_clips,) for two classes

    Examples
    --------
    >>> two_sided(np.array([2.0, -1.0])).tolist()
    [[-2.0, 2.0], [1.0, -1.0]]
    """
    return np.column_stack([-scores, scores]) if scores.ndim == 1 else scores


def model_scores(model, X):
    """Decision values, or logarithms of a model's own probabilities: ndarray (n_clips, n_classes).

    Parameters
    ----------
    model : fitted scikit-learn classifier
        The columns are in the order of its `classes_`.
    X : array (n_clips, ...)
        Standardised features.
    """
    if hasattr(model, "predict_proba"):
        return np.log(np.maximum(model.predict_proba(X), LEAST_PROBABLE))
    return two_sided(model.decision_function(X))


def pipeline(model, scaler, random_state):
    """Unfitted copies of a scaler and a model: Pipeline with the steps "scaler" and "model".

    Parameters
    ----------
    model, scaler : scikit-learn estimators
        They are not changed.
    random_state : int
        Seed of the copy of the model wherever it has none of its own.
    """
    from sklearn.base import clone
    from sklearn.pipeline import Pipeline

    model = clone(model)
    unseeded = {
        name: random_state
        for name, value in model.get_params().items()
        if name.rpartition("__")[2] == "random_state" and value is None
    }
    return Pipeline([("scaler", clone(scaler)), ("model", model.set_params(**unseeded))])


@contextmanager
def quiet_stderr():
    """Discard what C++ code writes to file descriptor 2."""
    kept = os.dup(2)
    with Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


__getattr__ = moved(__name__, {"checks": "replacing", "parameters": "AVAILABLE_EMOTIONS"})
