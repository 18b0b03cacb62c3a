"""The names that every other module speaks: emotions, features, labels, tuned estimators."""

import io
import os
import pickle
import pickletools
import tempfile
import warnings
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

import degradations
import features as ft
from audio import AudioError, AudioWarning, load_audio
from features import check_name
from parameters import CLASSIFIERS, REGRESSORS

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

EMOTION_SCALES = (
    {"sad": 0, "neutral": 1, "happy": 2},
    {"angry": 1, "sad": 2, "neutral": 3, "ps": 4, "happy": 5},
)
"""The regression targets: from displeasure to pleasure, with 3 or with 5 emotions."""

GRID_DIR = Path(__file__).resolve().parent / "grid"
GRID_SIZE_LIMIT = 2**16  # bytes; tuned results are a few kB


def get_audio_config(features):
    """Which features are on.

    Parameters
    ----------
    features : list of str
        Names out of `features.FEATURES` and `features.VOICE_FEATURES`.

    Returns
    -------
    dict of str to bool
        Keyword arguments for `extract_feature`: the five, and whichever else is on.

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
    legal = ft.FEATURES + ft.VOICE_FEATURES
    for name in features:
        check_name(name, legal, "feature")
    if not list(features):
        raise ValueError(f"No features given; choose from {', '.join(legal)}.")
    spoken = {name: True for name in ft.VOICE_FEATURES if name in features}
    return {name: name in features for name in ft.FEATURES} | spoken


def get_label(audio_config):
    """The features that are on, joined into a name.

    Examples
    --------
    >>> get_label(get_audio_config(["mel", "mfcc"]))
    'mfcc-mel'
    """
    legal = ft.FEATURES + ft.VOICE_FEATURES
    return "-".join(name for name in legal if audio_config.get(name))


def get_first_letters(emotions):
    """The emotions' first letters, sorted: a short name for a picture or a folder.

    Two sets of emotions may share it (sad and surprise do), so nothing is looked up by it.

    Examples
    --------
    >>> get_first_letters(["sad", "neutral", "happy"])
    'HNS'
    """
    return "".join(sorted(emotion[0].upper() for emotion in emotions))


def extract_feature(
    source,
    mfcc=True,
    chroma=True,
    mel=True,
    contrast=False,
    tonnetz=False,
    *,
    spectrum=False,
    prosody=False,
    quality=False,
    modulation=False,
    functionals=None,
    sr=None,
    min_duration=0.1,
    speed=None,
    degraded=None,
):
    """Turn one recording into one vector: the only road from audio to features.

    Parameters
    ----------
    source : path, binary file object or array (n_samples,) or (n_samples, n_channels)
        Any audio that `audio.load_audio` reads.
    mfcc, chroma, mel, contrast, tonnetz : bool
        Which features, always in this order: 40 MFCC, 12 chroma, 128 mel power bands,
        7 spectral contrast (dB), 6 tonnetz, each the mean over the frames.
    spectrum, prosody, quality, modulation : bool
        Those of `voice.py`, after the five.
    functionals : sequence of str, optional
        What sums up the frames; see `features.extract`.
    sr : int, optional
        Hz; the sampling rate of `source` where that is an array.
    min_duration : float
        Seconds; a shorter recording is an error.
    speed : float, optional
        Hear the recording that much faster; see `degradations.at_speed`.
    degraded : int, optional
        Hear that copy of the recording, in noise or the like; see `degradations.degraded`.

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
    """
    switches = mfcc, chroma, mel, contrast, tonnetz, spectrum, prosody, quality, modulation
    legal = ft.FEATURES + ft.VOICE_FEATURES
    config = get_audio_config([name for name, on in zip(legal, switches, strict=True) if on])
    y = load_audio(source, orig_sr=sr, min_duration=min_duration)
    if speed is not None:
        y = degradations.at_speed(y, speed)
    if degraded is not None:
        y = degradations.degraded(y, degraded)
    names = [name for name, on in config.items() if on]
    return ft.extract(y, features=names, functionals=functionals)


def extract_batch(sources, options):
    """Turn some recordings into vectors; what worker processes run, so this module imports little.

    Parameters
    ----------
    sources : list
        See `extract_feature`.
    options : dict
        Its keyword arguments.

    Returns
    -------
    sources : list
        As given.
    outcomes : list of ndarray (n_features,) float32
        An AudioError stands for a recording that can't be read.
    """
    outcomes = []
    for source in sources:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", AudioWarning)
                outcomes.append(extract_feature(source, **options))
        except AudioError as error:
            outcomes.append(error)
    return sources, outcomes


def emotion_scale(emotions):
    """The regression target of each emotion.

    Parameters
    ----------
    emotions : list of str
        Exactly the emotions of one of `EMOTION_SCALES`, in any order.

    Returns
    -------
    dict of str to int

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
    raise ValueError(
        f"Regression knows two sets of emotions, {' or '.join(map(str, map(list, EMOTION_SCALES)))}"
        f"; got {list(emotions)}. Choose one of them, or classification=True."
    )


def make_estimator(name, params=None):
    """A fresh scikit-learn estimator by its class name.

    Parameters
    ----------
    name : str
        A class name of `parameters.CLASSIFIERS` or `REGRESSORS`; the ending may be left out
        for a classifier ("MLP").
    params : dict, optional
        Its parameters.

    Raises
    ------
    ValueError
        For a name that isn't there, or a parameter that the class doesn't have.

    Examples
    --------
    >>> make_estimator("MLP", {"alpha": 0.1})
    MLPClassifier(alpha=0.1)
    """
    known = CLASSIFIERS | REGRESSORS
    name = name if name in known else f"{name}Classifier" if f"{name}Classifier" in known else name
    module, _, cls = known[check_name(name, known, "model")].rpartition(".")
    return getattr(import_module(module), cls)().set_params(**(params or {}))


class _PlainUnpickler(pickle.Unpickler):
    """Reads numbers, strings, lists and dicts; refuses whatever could run code."""

    def find_class(self, module, name):
        raise pickle.UnpicklingError(f"it refers to {module}.{name}")


def read_plain_pickle(path):
    """Load a pickle that holds plain data only (numbers, strings, lists, tuples, dicts).

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
    except (pickle.UnpicklingError, EOFError, ValueError, IndexError, KeyError, TypeError,
            AttributeError, MemoryError, OverflowError) as error:  # fmt: skip
        raise ValueError(
            f"{path} is not plain data ({error}); refused. `python grid_search.py` writes it anew."
        ) from error


def results_path(classification=True, grid_dir=GRID_DIR):
    """Where the tuned classifiers, or regressors, are kept."""
    return Path(grid_dir) / f"best_{'classifiers' if classification else 'regressors'}.pickle"


def best_results(classification=True, grid_dir=GRID_DIR):
    """The tuned results in `grid/`, best first.

    Returns
    -------
    list of dict
        Keys: estimator (class name), params, score and what grid_search.py notes beside them.

    Raises
    ------
    FileNotFoundError, ValueError
        If the file isn't there; if it isn't plain data.
    """
    path = results_path(classification, grid_dir)
    if not path.is_file():
        raise FileNotFoundError(f"No tuned results at {path}; `python grid_search.py` makes them.")
    results = read_plain_pickle(path)
    return sorted(results, key=lambda result: result["score"], reverse=classification)


def get_best_estimators(classification=True, grid_dir=GRID_DIR):
    """The tuned estimators of `grid/`, unfitted, best first.

    Parameters
    ----------
    classification : bool
        Classifiers (scored by UAR) or regressors (scored by mean absolute error).
    grid_dir : path
        The folder that holds best_classifiers.pickle and best_regressors.pickle.

    Returns
    -------
    list of (estimator, params, score)

    Raises
    ------
    FileNotFoundError, ValueError
        See `best_results`.
    """
    return [
        (tuned_estimator(result), result["params"], result["score"])
        for result in best_results(classification, grid_dir)
    ]


def tuned_estimator(result):
    """The estimator of one tuned result, unfitted.

    Parameters
    ----------
    result : dict
        See `best_results`.

    Warns
    -----
    UserWarning
        Names the parameters that the scikit-learn at hand doesn't know; they are left out.
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


@contextmanager
def replacing(path):
    """A temporary path beside `path` that takes its place only if the block succeeds.

    Examples
    --------
    >>> with replacing("notes.txt") as temporary:  # doctest: +SKIP
    ...     temporary.write_text("whole or not at all")
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(handle)
    temporary = Path(temporary)
    try:
        yield temporary
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)  # mkstemp's 0600 is for secrets
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def quiet_stderr():
    """Keep what C++ code writes to file descriptor 2 from the user's screen."""
    kept = os.dup(2)
    with Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
