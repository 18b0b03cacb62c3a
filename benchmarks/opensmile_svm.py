"""openSMILE's ComParE_2016 vector with linear SVMs, which bench_accuracy.py compares with ours."""

import sys
import warnings
from pathlib import Path

import numpy as np
from joblib import Parallel, delayed
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, LinearSVC
from tqdm.auto import tqdm

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from audio import load_audio
from evaluation import ClassificationEvaluation
from parameters import SAMPLE_RATE
from processes import parallel

OPENSMILE, OPENSMILE_BY_SPEAKER = "openSMILE + SVM", "openSMILE + SVM, by speaker"
"""By speaker: each one standardised by all of that speaker's clips, with the scored one."""

SVMS = {
    **{
        f"one against one, C {C:g}": SVC(kernel="linear", C=C, class_weight="balanced")
        for C in (1e-4, 3e-4, 1e-3)
    },
    **{
        f"one against the rest, C {C:g}": LinearSVC(C=C, class_weight="balanced")
        for C in (3e-5, 1e-4, 3e-4)
    },
}
CLIPS = {"": np.inf, ", clipped at 1.5": 1.5}
"""Standard deviations at which the SVMs' features are cut off."""


def opensmile_vectors(paths):
    """The ComParE_2016 functionals of recordings: ndarray (n_clips, 6373), by several processes."""
    batches = [paths[i : i + 16] for i in range(0, len(paths), 16)]
    vectors = []
    with tqdm(total=len(paths), desc="openSMILE", unit="clip") as bar:
        workers = parallel(-1, return_as="generator")
        for made in workers(delayed(opensmile_batch)(batch) for batch in batches):
            vectors += made
            bar.update(len(made))
    return np.array(vectors, dtype=np.float64)


def opensmile_batch(paths):
    import opensmile

    smile = opensmile.Smile(
        opensmile.FeatureSet.ComParE_2016, opensmile.FeatureLevel.Functionals, num_workers=1
    )
    return [smile.process_signal(load_audio(p), SAMPLE_RATE).to_numpy()[0] for p in paths]


def by_speaker(X, groups):
    """Standardise each speaker's clips by all of that speaker's."""
    Z = np.empty_like(X)
    for speaker in np.unique(groups):
        own = groups == speaker
        Z[own] = StandardScaler().fit_transform(X[own])
    return Z


def svm_predictions(X, y, test, seed):
    """Variant to the predicted emotions of the test clips, by SVMs fitted on the others: dict."""
    Z = StandardScaler().fit(X[~test]).transform(X)
    predictions = {}
    for clipping, limit in CLIPS.items():
        cut = np.clip(Z, -limit, limit)
        # a linear SVM only depends on the span of the training clips
        cut = cut @ np.linalg.qr(cut[~test].T)[0]
        for name, svm in SVMS.items():
            model = clone(svm).set_params(random_state=seed)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)
                predictions[name + clipping] = model.fit(cut[~test], y[~test]).predict(cut[test])
    return predictions


def opensmile_evaluation(X, like, name, seed):
    """The evaluation of the best SVM on openSMILE's vectors of `like.clips`, and its variant.

    The test clips decide which SVM is the best, which favours openSMILE.
    """
    y, folds = like.clips["emotion"].to_numpy(dtype=str), like.clips["fold"].to_numpy()
    tests = [folds == fold for fold in dict.fromkeys(folds)]
    per_fold = Parallel(-1, prefer="threads")(
        delayed(svm_predictions)(X, y, test, seed) for test in tests
    )
    evaluations = {}
    for variant in per_fold[0]:
        predicted = np.empty_like(y)
        for test, predictions in zip(tests, per_fold, strict=True):
            predicted[test] = predictions[variant]
        evaluations[variant] = ClassificationEvaluation(
            like.clips.assign(predicted=predicted, confidence=np.nan),
            like.emotions,
            protocol=like.protocol,
            protocol_name=like.protocol_name,
            model=name,
            leaks=like.leaks,
            random_state=like.random_state,
        )
    best = max(evaluations, key=lambda variant: evaluations[variant].scores()["uar"])
    return evaluations[best], best
