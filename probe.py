"""What a saved model is checked by when it is loaded: a sound, and a comparison of answers."""

import warnings

import numpy as np

import model_file
from features import feature_names, is_encoder, version
from functionals import STEPS
from parameters import SAMPLE_RATE

TOLERANCES = {8: 1e-6, 4: 1e-4}  # of answers, by the bytes of their numbers
FEATURE_TOLERANCE = 0.1  # standard deviations, of each feature
ENCODER_TOLERANCE = 0.3  # the same, root mean square: it is 0.05 if other processors round, 0.2
# between the precisions of the bundled encoder, 1.8 between its layers


def probe_sound():
    """A second of something like two sung syllables: ndarray (n_samples,) int16."""
    t = np.arange(SAMPLE_RATE) / SAMPLE_RATE
    phase = 2 * np.pi * (150 * t - 4 * np.cos(2 * np.pi * 1.5 * t))
    harmonics = sum(np.sin(k * phase) / (1 + abs(k - 4)) for k in range(1, 21))
    noise = np.random.default_rng(0).normal(scale=0.05, size=len(t))
    y = harmonics * np.sin(2 * np.pi * t) ** 2 + noise
    return (y * 20000 / abs(y).max()).astype(np.int16)


def versions_of(names, functionals):
    """Versions of libraries and features that answers depend on: dict of str to str.

    Parameters
    ----------
    names, functionals
        See `predictor.Predictor`.
    """
    more = ("tensorflow", "keras") if functionals == STEPS else ()
    found = model_file.versions((*model_file.LIBRARIES, *more))
    return {**found, "features": version(names)}


def largest(differences):
    """The largest absolute value: float."""
    return float(np.abs(differences).max(initial=0))


def typical(differences):
    """The root mean square: float."""
    return float(np.sqrt(np.square(differences).mean())) if differences.size else 0.0


def check_same(
    what, found, expected, tolerance, saved, here, *, refused=model_file.REFUSED, measure=largest
):
    """Compare what a loaded model computes with what the saved one did.

    Parameters
    ----------
    what : str
        What is compared, for messages.
    found, expected : ndarray
    tolerance, refused : float
        Differences that are ignored, and that are refused whatever the versions.
    saved, here : dict of str to str
        Versions (see `model_file.versions`) then and now.
    measure : callable
        From differences to the one that counts.

    Raises
    ------
    ModelFileError
        If they differ though the versions don't, or by more than `refused`.
    """
    alike = found.shape == expected.shape
    off = measure(found - expected) if alike else np.inf
    if off <= tolerance:
        return
    changed = sorted(n for n in saved.keys() | here.keys() if saved.get(n) != here.get(n))
    message = f"its {what} are no longer the same, but off by {off:.2g}"
    if not changed:
        raise model_file.ModelFileError(
            f"{message}, though all libraries are as they were: somebody changed the file or the "
            "code of this project; refused"
        )
    changes = [f"{n} {saved.get(n, 'none')} (here {here.get(n, 'none')})" for n in changed]
    message += f"; it was saved with {', '.join(changes)}"
    if not off <= refused:
        raise model_file.ModelFileError(f"{message}. Refused: install these, or train it anew")
    warnings.warn(message, model_file.ModelFileWarning, stacklevel=8)  # where it is loaded


def check_probe(probe, found, answers, scale, names, functionals, saved):
    """Compare the features and answers of a loaded predictor with those of the saved one.

    Parameters
    ----------
    probe : dict
        See `predictor.Predictor`.
    found : ndarray (n_columns,)
        The features of its sound as they are measured here.
    answers : dict of str to ndarray
        The answers for its clips as they are computed here.
    scale : ndarray (n_columns,)
        Standard deviations of the features.
    names, functionals, saved
        Features, and versions, of the predictor.

    Raises
    ------
    ModelFileError
        If they differ too much.
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
