"""Checks of loaded models: they must give the same results for a test signal as when saved."""

import warnings

import numpy as np

import model_file
from features import feature_names, is_encoder, version
from functionals import STEPS
from parameters import SAMPLE_RATE

TOLERANCES = {8: 1e-6, 4: 1e-4}  # of predictions, by the bytes of a number
FEATURE_TOLERANCE = 0.1  # standard deviations, of each feature
ENCODER_TOLERANCE = 0.3  # the same, as root mean square: 0.05 between kinds of processors, 0.2
# between the precisions of the bundled encoder, 1.8 between its layers


def probe_sound():
    """One second of a signal like two sung syllables, at 16 kHz: ndarray (n_samples,) int16."""
    t = np.arange(SAMPLE_RATE) / SAMPLE_RATE
    phase = 2 * np.pi * (150 * t - 4 * np.cos(2 * np.pi * 1.5 * t))
    harmonics = sum(np.sin(k * phase) / (1 + abs(k - 4)) for k in range(1, 21))
    noise = np.random.default_rng(0).normal(scale=0.05, size=len(t))
    y = harmonics * np.sin(2 * np.pi * t) ** 2 + noise
    return (y * 20000 / abs(y).max()).astype(np.int16)


def versions_of(names, functionals):
    """Versions of libraries and features that predictions depend on: dict of str to str.

    Parameters
    ----------
    names, functionals
        See `predictor.Predictor`.
    """
    more = ("tensorflow", "keras") if functionals == STEPS else ()
    found = model_file.versions((*model_file.LIBRARIES, *more))
    return {**found, "features": version(names)}


def largest(differences):
    """The largest absolute value of an array (ndarray): float."""
    return float(np.abs(differences).max(initial=0))


def typical(differences):
    """The root mean square of an array (ndarray): float."""
    return float(np.sqrt(np.square(differences).mean())) if differences.size else 0.0


def check_same(
    what, found, expected, tolerance, saved, here, *, refused=model_file.REFUSED, measure=largest
):
    """Compare results of a loaded model with those saved in its file.

    Parameters
    ----------
    what : str
        What is compared, for messages.
    found, expected : ndarray
        The same shape.
    tolerance, refused : float
        Smaller differences are ignored; larger ones than `refused` are an error in any case.
    saved, here : dict of str to str
        Versions (see `model_file.versions`) then and now.
    measure : callable
        Reduces an array of differences to a float.

    Raises
    ------
    ModelFileError
        If they differ with the same versions, or by more than `refused`.

    Warns
    -----
    ModelFileWarning
        If they differ less, with other versions.
    """
    alike = found.shape == expected.shape
    off = measure(found - expected) if alike else np.inf
    if off <= tolerance:
        return
    changed = sorted(n for n in saved.keys() | here.keys() if saved.get(n) != here.get(n))
    message = f"its {what} differ from the saved ones by {off:.2g}"
    if not changed:
        raise model_file.ModelFileError(
            f"{message}, though all libraries are the same: the file or the code of this project "
            "was changed; refused"
        )
    changes = [f"{n} {saved.get(n, 'none')} (here {here.get(n, 'none')})" for n in changed]
    message += f"; it was saved with {', '.join(changes)}"
    if not off <= refused:
        raise model_file.ModelFileError(f"{message}. Refused: install these, or train it again")
    warnings.warn(message, model_file.ModelFileWarning, stacklevel=8)  # where it is loaded


def check_probe(probe, found, answers, scale, names, functionals, saved):
    """Compare the features and predictions of a loaded predictor with those saved in its file.

    Parameters
    ----------
    probe : dict
        See `predictor.Predictor`.
    found : ndarray (n_columns,)
        Features of the test signal, computed here.
    answers : dict of str to ndarray
        Predictions for the clips of the probe, computed here.
    scale : ndarray (n_columns,)
        Standard deviations of the features.
    names, functionals, saved
        Features, functionals and saved versions of the predictor.

    Raises
    ------
    ModelFileError
        If they differ too much, see `check_same`.
    """
    here, unit = versions_of(names, functionals), "features, in standard deviations,"
    now, then = found / scale, probe["heard"] / scale
    others = [name for name in names if not is_encoder(name)]
    n = len(feature_names(others, functionals)) if others else 0
    theirs = now[..., n:], then[..., n:], ENCODER_TOLERANCE, np.inf, typical
    pairs = [(unit, now[..., :n], then[..., :n], FEATURE_TOLERANCE, np.inf, largest)]
    pairs.append((f"encoder's {unit}", *theirs))
    for name, values in answers.items():
        expected = probe["answers"][name]
        tolerance = TOLERANCES[expected.dtype.itemsize]
        pairs.append(("answers", values, expected, tolerance, model_file.REFUSED, largest))
    for what, values, expected, tolerance, refused, measure in pairs:
        settings = {"refused": refused, "measure": measure}
        check_same(what, values, expected, tolerance, saved, here, **settings)
