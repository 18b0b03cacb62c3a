"""The public vocabulary: emotions, features as switches, vectors, labels, tuned estimators."""

import io
import pickle
import pickletools
import re
import warnings
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import numpy as np

import augmentation
import features as ft
from audio import AudioError, load_audio
from checks import SourceError, check_name, moved, read_file, renamed
from encoder import BUNDLED, EncoderError, full_name, load_encoder
from parameters import CLASSIFIERS, EMOTION_SCALES, REGRESSORS

AS_FEATURES = "as features"
"""Stands for the encoder among the features, if any, in place of a name."""

LEAST_PROBABLE = 1e-3  # floor of a model's own probabilities before their logarithm
GRID_DIR = Path(__file__).resolve().parent / "grid"
GRID_SIZE_LIMIT = 2**16  # bytes; tuned results are a few kB


def get_audio_config(features):
    """Keyword arguments of `extract_feature`: dict with librosa's five features, and others if on.

    Parameters
    ----------
    features : list of str
        See `features.check_features`.

    Raises
    ------
    ValueError
        For an unknown name, or if there is none.

    Examples
    --------
    >>> get_audio_config(["mfcc", "mel"])
    {'mfcc': True, 'chroma': False, 'mel': True, 'contrast': False, 'tonnetz': False}
    """
    if isinstance(features, str):
        raise ValueError(f"features must be a list of names, e.g. [{features!r}], not one string.")
    on = dict.fromkeys(ft.check_features(features), True)
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
        ft.check_features(name)
    names = [name for name in config if config[name]]
    return list(ft.check_features(names)) if names else []


def encoder_of(features):
    """The name of the encoder among features: str, or None.

    Parameters
    ----------
    features : sequence of str
        See `features.check_features`.

    Examples
    --------
    >>> encoder_of(["mel", "encoder"]), encoder_of(["encoder:hf:microsoft/wavlm-base@6"])
    ('whisper-base', 'hf:microsoft/wavlm-base@6')
    """
    for name in filter(ft.is_encoder, ft.check_features(features)):
        return name.partition(":")[2] or BUNDLED
    return None


def with_encoder(features, encoder):
    """The same features with another encoder, in canonical order: list of str.

    Parameters
    ----------
    features : sequence of str
        See `features.check_features`.
    encoder : str or None
        The name of an encoder to add, or to replace the one among the features; None removes that
        one; `AS_FEATURES` changes nothing.

    Raises
    ------
    ValueError
        For an unknown name (see `features.check_features`), or if no feature is left.

    Examples
    --------
    >>> with_encoder(["prosody", "encoder"], "hf:microsoft/wavlm-base@6")
    ['prosody', 'encoder:hf:microsoft/wavlm-base@6']
    """
    if encoder != AS_FEATURES:
        features = [name for name in features if not ft.is_encoder(name)]
        features += [] if encoder is None else [f"{ft.ENCODER}:{encoder}"]
    return enabled(get_audio_config(features))


def names_option(text):
    """Split a comma-separated list of names, for argparse: list of str. "encoder:NAME@6,9" is one.

    Parameters
    ----------
    text : str

    Examples
    --------
    >>> names_option("prosody, encoder:wavlm.onnx@6,9,mel")
    ['prosody', 'encoder:wavlm.onnx@6,9', 'mel']
    """
    return [name.strip() for name in re.split(r",(?!\d+(?:,|$))", text) if name.strip()]


def probability_option(text):
    """Parse a probability, for argparse: float.

    Parameters
    ----------
    text : str

    Raises
    ------
    argparse.ArgumentTypeError
        If it isn't a number from 0 to 1.
    """
    from argparse import ArgumentTypeError

    with suppress(ValueError):
        if 0 <= float(text) <= 1:
            return float(text)
    raise ArgumentTypeError(f"a probability from 0 to 1 is needed; got {text}")


def encoder_option(text):
    """Parse the name of an encoder, for argparse: str, its full name; None for "none".

    Parameters
    ----------
    text : str

    Raises
    ------
    argparse.ArgumentTypeError
        For a name of another form.

    Examples
    --------
    >>> encoder_option("whisper-base@3,2"), encoder_option("none")
    ('whisper-base', None)
    """
    from argparse import ArgumentTypeError

    try:
        return text if text == AS_FEATURES else None if text == "none" else full_name(text)
    except EncoderError as error:
        raise ArgumentTypeError(str(error)) from None


def saved_encoder(features):
    """What a saved model stores about its encoder: dict of name, sha256 and layers, or None.

    Parameters
    ----------
    features : sequence of str
        See `features.check_features`.
    """
    if (name := encoder_of(features)) is None:
        return None
    encoder = load_encoder(name)
    return {"name": name, "sha256": encoder.sha256, "layers": list(encoder.layers)}


def with_saved_encoder(features, known, encoder=None):
    """The features of a saved model, with the name of its encoder on this machine: list of str.

    The file may be untrusted: its encoder is downloaded only if the user names it, too.

    Parameters
    ----------
    features : sequence of str
    known : dict or None
        See `saved_encoder`.
    encoder : str, optional
        Name or path of the encoder here, with or without its layers. Default: the saved name,
        unless it has to be downloaded; `AS_FEATURES`: the saved name.

    Raises
    ------
    EncoderError
        If it can't be loaded, or is another one.
    """
    then = encoder_of(features)
    if then is None:
        return list(features)
    sha256, layers = known["sha256"], list(known["layers"])
    name = then if encoder in (None, AS_FEATURES) else str(encoder)
    was = f"the encoder {then!r} with the sha256 {sha256}"
    advice = "load_recognizer(path, encoder=PATH) or --encoder PATH loads it from another place."
    if encoder is None and then.startswith("hf:"):
        raise EncoderError(
            f"It needs {was}, which may have to be downloaded: "
            f"load_recognizer(path, encoder={then!r}) or --encoder {then} allows that."
        )
    try:
        found = load_encoder(name)
        if found.same_as(sha256) and not re.search(r"@\d+(,\d+)*$", name):
            name += f"@{','.join(map(str, layers))}"
            found = load_encoder(name)
    except EncoderError as error:
        raise EncoderError(f"It needs {was}, which can't be loaded. {error} {advice}") from error
    if not found.same_as(sha256) or list(found.layers) != layers:
        raise EncoderError(
            f"It needs {was} and layers {layers}; {name!r} is another one, with the sha256 "
            f"{found.sha256} and layers {list(found.layers)}. {advice}"
        )
    return with_encoder(features, name)


def get_label(audio_config):
    """The names of the features that are on, joined: str.

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
    """The first letters of emotions, sorted: str, a short name for a picture or a folder.

    It isn't unique: sad and surprise share theirs.

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
        Features to compute, in this order: 40 MFCC, 12 chroma, 128 mel power bands, 7 spectral
        contrast (dB), 6 tonnetz, each the mean over the frames.
    **settings
        spectrum, prosody, quality, modulation : bool, the features of speech, which follow those
        five; default False. encoder : bool, or a name, see `encoder.load_encoder`. functionals,
        sr, min_duration, speed, noisy, faults: see `feature_vector`.

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
    legal = (*ft.REGISTRY, "functionals", "sr", "min_duration", "speed", "noisy", "faults")
    others = [name for name in settings if name.startswith(f"{ft.ENCODER}:")]
    settings = renamed(settings, (*legal, *others), {"degraded": "noisy"}, "argument")
    switches |= {name: settings.pop(name) for name in (*ft.REGISTRY, *others) if name in settings}
    names, encoder = enabled(switches), switches.get(ft.ENCODER)
    names = with_encoder(names, encoder) if isinstance(encoder, str) else names
    return feature_vector(source, names, **settings)


def feature_vector(
    source,
    features=ft.DEFAULT_FEATURES,
    *,
    functionals=None,
    sr=None,
    min_duration=0.1,
    speed=None,
    noisy=None,
    faults=None,
):
    """Compute the vector of one recording.

    Parameters
    ----------
    source
        See `extract_feature`.
    features : sequence of str
        See `features.check_features`.
    functionals : sequence of str, optional
        Functionals over the frames; see `features.extract`.
    sr : int, optional
        Sampling rate of `source` in Hz, if that is an array.
    min_duration : float
        Seconds; a shorter recording is an error. Default 0.1.
    speed : float, optional
        Use a copy at this speed; see `augmentation.at_speed`.
    noisy : int, optional
        Use the noisy copy of this number; see `augmentation.noisy_copy`.
    faults : dict, optional
        See `audio.load_audio`.

    Returns
    -------
    ndarray (n_features,) float32
        See `extract_feature`.

    Raises
    ------
    AudioError
        If the recording can't be read.
    ValueError
        For an unknown feature or functional.
    """
    names = ft.check_features(features)  # before a long file is read
    y = load_audio(source, orig_sr=sr, min_duration=min_duration, faults=faults)
    if speed is not None:
        y = augmentation.at_speed(y, speed)
    if noisy is not None:
        y = augmentation.noisy_copy(y, noisy)
    return ft.extract(y, features=names, functionals=functionals)


class Doubtful(NamedTuple):
    """The vector of a recording that is truncated or unscaled."""

    vector: np.ndarray
    faults: dict  # see `audio.load_audio`


def extract_batch(sources, options):
    """Compute the vectors of some recordings, in a worker process; return `sources` and vectors.

    A recording that can't be read gives an AudioError, a truncated or unscaled one a Doubtful.

    Parameters
    ----------
    sources : list
        See `feature_vector`.
    options : dict
        Keyword arguments of `feature_vector`; without `features`, of `extract_feature`.
    """
    outcomes, vector = [], feature_vector if "features" in options else extract_feature
    for source in sources:
        faults = {}
        try:
            found = vector(source, faults=faults, **options)
            doubtful = faults.keys() - {"silent"}
            outcomes.append(Doubtful(found, faults) if doubtful else found)
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
        f"Regression is possible with two sets of emotions, {scales}; got {list(emotions)}. "
        "Choose one of them, or pass classification=True."
    )


def make_estimator(name, params=None):
    """Make an unfitted scikit-learn estimator by its class name: estimator.

    Parameters
    ----------
    name : str
        A class name in `parameters.CLASSIFIERS` or `REGRESSORS`; classifiers also without the
        ending Classifier ("MLP").
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
    """Load a pickle of plain data (numbers, strings, lists, tuples, dicts): object.

    Parameters
    ----------
    path : path

    Raises
    ------
    ValueError
        If it holds anything else, is damaged or implausibly large. No code in it is run.
    """
    try:
        data = read_file(path, GRID_SIZE_LIMIT)
    except SourceError as error:
        raise ValueError(f"{path} {error.strerror} for tuned results; refused.") from error
    try:
        check_memo(data)
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
            f"{path} is not plain data ({error}); refused. `python grid_search.py` makes a new one."
        ) from error


def check_memo(pickled):
    """Check that an unpickler's memo won't fill the memory; no code is run.

    Parameters
    ----------
    pickled : bytes

    Raises
    ------
    pickle.UnpicklingError
        If the memo has an index larger than the number of bytes.
    ValueError
        If the bytes aren't a pickle.
    """
    for opcode, index, _ in pickletools.genops(pickled):  # reads, runs nothing
        if opcode.name in ("PUT", "BINPUT", "LONG_BINPUT") and index > len(pickled):
            raise pickle.UnpicklingError(f"a memo of {index} entries would fill the memory")


def results_path(classification=True, grid_dir=GRID_DIR):
    """The file of tuned classifiers or regressors: Path.

    Parameters
    ----------
    classification, grid_dir
        See `get_best_estimators`.
    """
    return Path(grid_dir) / f"best_{'classifiers' if classification else 'regressors'}.pickle"


def best_results(classification=True, grid_dir=GRID_DIR):
    """The tuned results in `grid/`, best first: list of dict.

    Keys are estimator (class name), params, score, and what grid_search.py notes about the search.

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
    results = tuned_results(path)
    return sorted(results, key=lambda result: result["score"], reverse=classification)


def tuned_results(path):
    """Read a file of tuned results: list of dict, each with estimator, params and score.

    Parameters
    ----------
    path : path

    Raises
    ------
    ValueError
        If it holds anything else.
    """
    results = read_plain_pickle(path)
    if not isinstance(results, list) or not all(map(_is_result, results)):
        raise ValueError(
            f"{path} isn't a list of tuned results, each with estimator, params and score; `python "
            "grid_search.py` makes a new one."
        )
    for result in results:
        check_name(result["estimator"], CLASSIFIERS | REGRESSORS, f"model in {path}:")
    return results


def _is_result(found):
    kinds = {"estimator": str, "params": dict, "score": (int, float)}
    if not isinstance(found, dict):
        return False
    return all(isinstance(found.get(key), kind) for key, kind in kinds.items()) and all(
        isinstance(name, str) for name in found["params"]
    )


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
    """The unfitted estimator of one tuned result: estimator.

    Parameters
    ----------
    result : dict
        See `best_results`.

    Warns
    -----
    UserWarning
        For parameters that the installed scikit-learn doesn't have; they are left out.
    """
    name, params = result["estimator"], result["params"]
    known = make_estimator(name).get_params()
    if unknown := [parameter for parameter in params if parameter not in known]:
        warnings.warn(
            f"{name} has no parameter {', '.join(unknown)} in this scikit-learn (it was tuned with "
            f"{result.get('sklearn_version', 'another one')}); left out. "
            "Tune again with `python grid_search.py`.",
            stacklevel=3,
        )
    return make_estimator(name, {key: params[key] for key in params if key in known})


def among(row, emotions):
    """Restrict a row of a timeline to some emotions: dict with their probabilities only.

    Parameters
    ----------
    row : dict
        See `timeline.Timeline.push`.
    emotions : list of str
    """
    whole = sum(row[emotion] for emotion in emotions)
    shares = {emotion: row[emotion] / whole for emotion in emotions}
    best = max(shares, key=shares.get)
    place = {key: row[key] for key in ("start", "end", "speaker") if key in row}
    return place | {"emotion": best, "confidence": shares[best]} | shares


def two_sided(scores):
    """Decision values with a column for each class, also of two: ndarray (n_clips, n_classes).

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
    """Decision values, or the log of a model's own probabilities: ndarray (n_clips, n_classes).

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
        They aren't changed.
    random_state : int
        Seed of the model's copy, wherever it has none of its own.
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


def standard_scaler():
    """An unfitted StandardScaler: scikit-learn's, imported when it is first needed."""
    from sklearn.preprocessing import StandardScaler

    return StandardScaler()


_MOVED = {
    "audio": "AudioWarning",
    "checks": "quiet_stderr replacing",
    "parameters": "AVAILABLE_EMOTIONS",
}
__getattr__ = moved(__name__, _MOVED)
