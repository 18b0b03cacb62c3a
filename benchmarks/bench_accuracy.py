"""How well a stranger is heard: the recommended recognizer beside the classic one and openSMILE.

    python benchmarks/bench_accuracy.py                       # everything, some 15 minutes
    python benchmarks/bench_accuracy.py --picture images/calibration.png
    python benchmarks/bench_accuracy.py --only emodb,tasks    # of emodb,ravdess,tasks,regression
    python benchmarks/bench_accuracy.py --only networks       # the longest part, over an hour
    python benchmarks/bench_accuracy.py --data-dir ~/corpora --seed 1
    python benchmarks/bench_accuracy.py --json > accuracy.json
    pip install opensmile                                     # adds openSMILE's rows

emodb and ravdess: all emotions of the corpus, each speaker heard by models that never heard them,
and then after some of that speaker's unlabelled clips. There openSMILE's ComParE_2016 vector with
a linear SVM has the same folds. tasks: the three classic tasks on the standard split. regression:
both scales over all corpora. networks: the recurrent networks and the ensemble beside the default
recognizer and a plain LSTM on mean vectors, and how long they take. The picture is the gain by the
number of clips. Intervals are of 95 %, resampled by speaker; the bundled synthetic recordings take
no part; features are cached.
"""

import argparse
import importlib.util
import json
import sys
import time
import warnings
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, LinearSVC
from tqdm.auto import tqdm

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from audio import load_audio
from create_csv import CORPUS_GROUPS, find_data_dir, list_clips
from data_extractor import speaker_groups
from deep_emotion_recognition import DeepEmotionRecognizer, EnsembleRecognizer
from emotion_recognition import classic, corpora_options, recommended
from evaluation import ClassificationEvaluation, compare, evaluate, in_words, save_figure
from parameters import SAMPLE_RATE
from utils import check_name, quiet_stderr

HANDFULS = 5, 10, 20, "all"
"""Clips of the test voice to calibrate with; all: the scored one, too."""


class Task(NamedTuple):
    """Emotions to tell apart, in which corpora, and how test voices are held out."""

    emotions: str
    corpora: list
    protocol: str


ALL = ["emodb", "ravdess", "tess"]
EMODB = "angry,boredom,disgust,fear,happy,neutral,sad"
RAVDESS = "angry,calm,disgust,fear,happy,neutral,ps,sad"
FIVE = "angry,sad,neutral,ps,happy"
TASKS = {
    "emodb": [Task(EMODB, ["emodb"], "loso")],
    "ravdess": [Task(RAVDESS, ["ravdess"], "group-6")],
    "tasks": [
        Task("sad,neutral,happy", ALL, "standard"),
        Task("angry,neutral,sad", ["ravdess", "tess"], "standard"),
        Task(FIVE, ALL, "standard"),
    ],
    "regression": [Task("sad,neutral,happy", ALL, "group-6"), Task(FIVE, ALL, "group-6")],
    "networks": [
        Task(EMODB, ["emodb"], "group-5"),
        Task(RAVDESS, ["ravdess"], "group-6"),
        Task(FIVE, ALL, "group-6"),
        Task(FIVE, ALL, "standard"),
    ],
}
"""Part to what it measures."""

MEASURES = {"uar": "UAR", "accuracy": "accuracy", "ece": "ECE", "mae": "MAE", "ccc": "CCC"}
TITLES = {"emodb": "EMO-DB", "ravdess": "RAVDESS"}

HUMANS = {"emodb": (0.84, 0.86), "ravdess": (0.60, 0.60)}
"""What human listeners name rightly, as published, about: Burkhardt et al. 2005, A Database of
German Emotional Speech (whole utterances); Livingstone and Russo 2018, The Ryerson Audio-Visual
Database of Emotional Speech and Song (voice only)."""

OPENSMILE, OPENSMILE_BY_VOICE = "openSMILE + SVM", "openSMILE + SVM, by voice"
"""By voice: each speaker standardised by all of that speaker's clips, the scored one, too."""

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


# openSMILE


def opensmile_vectors(paths, verbose):
    """The ComParE_2016 functionals of recordings: ndarray (n_clips, 6373), by several processes."""
    batches = [paths[i : i + 16] for i in range(0, len(paths), 16)]
    vectors = []
    with tqdm(total=len(paths), desc="openSMILE", unit="clip", disable=not verbose) as bar:
        workers = Parallel(-1, return_as="generator")
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


def by_voice(X, groups):
    """Standardise each speaker's clips by all of that speaker's."""
    Z = np.empty_like(X)
    for speaker in np.unique(groups):
        own = groups == speaker
        Z[own] = StandardScaler().fit_transform(X[own])
    return Z


def svm_predictions(X, y, test, seed):
    """Fit every SVM on the clips that aren't test: variant to the emotions of those that are."""
    Z = StandardScaler().fit(X[~test]).transform(X)
    predictions = {}
    for clipping, limit in CLIPS.items():
        cut = np.clip(Z, -limit, limit)
        # a linear SVM sees of a clip only what lies in the span of the training clips
        cut = cut @ np.linalg.qr(cut[~test].T)[0]
        for name, svm in SVMS.items():
            model = clone(svm).set_params(random_state=seed)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)
                predictions[name + clipping] = model.fit(cut[~test], y[~test]).predict(cut[test])
    return predictions


def opensmile_evaluation(X, like, name, seed):
    """The best SVM on openSMILE's vectors, on the folds of another system's evaluation.

    Which one is the best is asked of the test clips: more than a fair chance.

    Parameters
    ----------
    X : ndarray (n_clips, n_features)
        In the order of `like.clips`.
    like : ClassificationEvaluation
    name : str
    seed : int

    Returns
    -------
    best : ClassificationEvaluation
    variant : str
    """
    y, folds = like.clips["emotion"].to_numpy(dtype=str), like.clips["fold"].to_numpy()
    tests = [folds == fold for fold in dict.fromkeys(folds)]
    heard = Parallel(-1, prefer="threads")(
        delayed(svm_predictions)(X, y, test, seed) for test in tests
    )
    evaluations = {}
    for variant in heard[0]:
        predicted = np.empty_like(y)
        for test, predictions in zip(tests, heard, strict=True):
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


# networks


class PlainLSTM(ClassifierMixin, BaseEstimator):
    """Two LSTM and two dense layers of 128 units on the mean vector of a clip, as one step.

    How tutorials do it; but a tenth of the training clips, not the test part, chooses the epoch.
    """

    def fit(self, X, y):
        with quiet_stderr():  # TensorFlow greets
            import keras
            from keras import layers

        keras.utils.set_random_seed(0)
        self.classes_, targets = np.unique(y, return_inverse=True)
        hidden = [part for _ in range(2)
                  for part in (layers.Dense(128), layers.Dropout(0.3))]  # fmt: skip
        self.network_ = keras.Sequential([
            layers.LSTM(128, return_sequences=True), layers.Dropout(0.3),
            layers.LSTM(128), layers.Dropout(0.3), *hidden,
            layers.Dense(len(self.classes_), activation="softmax"),
        ])  # fmt: skip
        self.network_.compile("adam", "sparse_categorical_crossentropy")
        stop = keras.callbacks.EarlyStopping(patience=20, restore_best_weights=True)
        order = np.random.default_rng(0).permutation(len(y))
        self.network_.fit(X[order][:, np.newaxis], targets[order], batch_size=64, epochs=200,
                          validation_split=0.1, callbacks=[stop], verbose=0)  # fmt: skip
        return self

    def predict_proba(self, X):
        return self.network_.predict_on_batch(X[:, np.newaxis])

    def predict(self, X):
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


def timed(options):
    """How long the networks take to train and to hear: list of sentences."""
    rec = DeepEmotionRecognizer(**options)
    start = time.perf_counter()
    rec.train(override=True)
    seconds, times = time.perf_counter() - start, []
    voice = np.concatenate([load_audio(path) for path in rec.test_rows_["path"][:2]])
    clip = np.resize(voice, 3 * SAMPLE_RATE)
    for _ in range(21):
        start = time.perf_counter()
        rec.predict(clip, sr=SAMPLE_RATE)
        times.append(time.perf_counter() - start)
    return [
        f"lstm trained on {len(rec.y_train)} clips: {seconds:.0f} s with loading features",
        f"lstm, one clip of 3 s from samples to emotion, warm: {1000 * np.median(times):.0f} ms",
    ]


# the parts


class Table(NamedTuple):
    """What a part found out about some emotions."""

    part: str
    emotions: str
    evaluations: dict  # system to evaluation
    remarks: list  # comparisons and sentences


def calibrated(n, name="default"):
    return f"{name}, {n} clips heard"


def systems_of(part, protocol, options):
    """What a part compares: list of (name, recognizer, clips to calibrate with)."""
    ours, plain = recommended(**options), ("classic", classic(balance=False, **options), 0)
    if part == "networks":
        plain = classic(model=PlainLSTM(), balance=False, **options)
        deep, both = DeepEmotionRecognizer(**options), EnsembleRecognizer(**options)
        ours = {"default": ours, "lstm": deep, "ensemble": both}
        heard = [(calibrated("all", name), rec, "all") for name, rec in ours.items()
                 if protocol == "standard"]  # fmt: skip
        return [("plain LSTM", plain, 0), *((name, rec, 0) for name, rec in ours.items()), *heard]
    handfuls = {"tasks": (10, "all"), "regression": ()}.get(part, HANDFULS)
    return [plain, ("default", ours, 0), *((calibrated(n), ours, n) for n in handfuls)]


def bench_part(part, args):
    """Measure our systems: yields a Table for each task."""
    for emotions, corpora, protocol in TASKS[part]:
        options = {
            "emotions": emotions.split(","),
            "classification": part != "regression",
            "data_dir": args.data_dir,
            "random_state": args.seed,
            "verbose": 0,
            **corpora_options(corpora),
        }
        systems = tqdm(systems_of(part, protocol, options), f"{part}: {emotions}", unit="system",
                       disable=args.json)  # fmt: skip
        found = {
            name: evaluate(system, protocol, calibrate=n, name=name, random_state=args.seed,
                           verbose=0)
            for name, system, n in systems
        }  # fmt: skip
        if part == "networks":
            pairs = [(a, b) for a in ("lstm", "ensemble") for b in ("default", "plain LSTM")]
            pairs.append(("ensemble", "lstm"))
            remarks = [compare(found[first], found[second]) for first, second in pairs]
            remarks += timed(options) if protocol == "standard" else []
        else:
            remarks = [compare(found["default"], found["classic"])]
        yield Table(part, emotions, found, remarks)


def bench_opensmile(found, args):
    """Measure openSMILE on the folds of `found`, and add it there: yields remarks."""
    heard = found["default"].clips
    X = opensmile_vectors(heard["path"].tolist(), not args.json)
    for name, like, vectors in (
        (OPENSMILE, "default", X),
        (OPENSMILE_BY_VOICE, calibrated("all"), by_voice(X, speaker_groups(heard))),
    ):
        found[name], variant = opensmile_evaluation(vectors, found[like], name, args.seed)
        n_variants = len(SVMS) * len(CLIPS)
        yield f"{name}: {variant}, the best of {n_variants} by these very clips"
        yield compare(found[like], found[name])
    yield compare(found[calibrated(10)], found[OPENSMILE_BY_VOICE])


def bench(args):
    """Yield the tables of every part that the corpora are there for."""
    there = {c for g in CORPUS_GROUPS for c in list_clips(g, data_dir=args.data_dir)["corpus"]}
    for part in args.only:
        needed = {corpus for task in TASKS[part] for corpus in task.corpora}
        if lacking := needed - there:
            hints = [g.how_to_get for g in CORPUS_GROUPS.values() if lacking & set(g.corpora)]
            print(
                f"bench_accuracy.py: {part} is left out, no {', '.join(sorted(lacking))} in "
                f"{find_data_dir(args.data_dir)}; {', '.join(hints)}",
                file=sys.stderr,
            )
            continue
        for table in bench_part(part, args):
            if part in HUMANS:
                if importlib.util.find_spec("opensmile"):
                    table.remarks.extend(bench_opensmile(table.evaluations, args))
                else:
                    table.remarks.append(f"{OPENSMILE}: pip install opensmile adds its rows")
            yield table


# text and picture


def row(table, evaluation):
    """One line of a table, as plain Python values."""
    scores = evaluation.scores()
    if evaluation.model in (OPENSMILE, OPENSMILE_BY_VOICE):
        scores["ece"] = None  # the SVM isn't asked how sure it is
    return {
        "part": table.part,
        "emotions": table.emotions,
        "protocol": evaluation.protocol,
        "n_clips": len(evaluation.clips),
        "system": evaluation.model,
        **scores,
        "chance": evaluation.chance(),
    }


def in_text(table):
    """The table for people: its protocol, a line for each system, and the remarks."""
    lines = []
    for evaluation in table.evaluations.values():
        numbers = {k: np.nan if v is None else v for k, v in row(table, evaluation).items()}
        cells = {"": evaluation.model}
        for name, title in MEASURES.items():
            ends = [numbers[f"{name}_{e}"] for e in ("low", "high") if f"{name}_{e}" in numbers]
            if name in numbers:
                cells[title] = in_words(numbers[name], *ends)
        lines.append(cells)
    first = table.evaluations["default"]
    measure = MEASURES[first.main_measure]
    return "\n".join([
        "",
        f"{table.part}, {first.protocol}",
        f"{table.emotions}; chance: {measure} {first.chance():.3f}",
        pd.DataFrame(lines).to_string(index=False),
        *map(str, table.remarks),
    ])  # fmt: skip


LEGEND = (
    "our default",
    "its 95 % interval by speaker",
    "openSMILE ComParE + SVM",
    "classic vector + SVC",
    "human listeners (published, about)",
    "chance",
)
BLUE, ORANGE, GREEN = "#0072B2", "#D55E00", "#009E73"  # told apart by all eyes: Okabe and Ito 2008


def draw(tables, path):
    """Draw UAR by the clips that were heard of a voice before, one panel a corpus, to a file."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, len(tables), figsize=(0.4 + 4.4 * len(tables), 4.2), sharey=True,
                                layout="constrained", squeeze=False)  # fmt: skip
    for ax, table in zip(axes[0], tables, strict=True):
        draw_panel(ax, table)
    axes[0, 0].set_ylabel("UAR")
    handles = axes[0, 0].get_legend_handles_labels()
    order = sorted(zip(*handles, strict=True), key=lambda pair: LEGEND.index(pair[1]))
    axes[0, 0].legend(*zip(*order, strict=True), loc="center right", bbox_to_anchor=(1, 0.36),
                      fontsize=8)  # fmt: skip
    save_figure(figure, path, dpi=110)
    plt.close(figure)


def draw_panel(ax, table):
    found = table.evaluations
    ours, interval, opensmile, plain, humans, chance = LEGEND
    names = ["default", *map(calibrated, HANDFULS)]
    scores, x = [found[name].scores() for name in names], np.arange(len(names))
    references = {OPENSMILE: 0, OPENSMILE_BY_VOICE: x[-1]}
    low, high = HUMANS[table.part]
    ax.axhspan(low - 0.004, high + 0.004, color=GREEN, alpha=0.3, lw=0, label=humans)
    ax.fill_between(x, [s["uar_low"] for s in scores], [s["uar_high"] for s in scores],
                    color=BLUE, alpha=0.15, lw=0, label=interval)  # fmt: skip
    series = (
        (ours, "o-", BLUE, 7, dict(zip(names, x, strict=True))),
        (opensmile, "D", ORANGE, -14, {k: i for k, i in references.items() if k in found}),
        (plain, "s", "dimgray", -14, {"classic": 0}),
    )
    for label, style, color, offset, systems in series:
        points = [(i, found[name].scores()["uar"]) for name, i in systems.items()]
        ax.plot(*np.reshape(points, (-1, 2)).T, style, color=color, label=label)
        for point in points:
            ax.annotate(f"{point[1]:.2f}", point, (0, offset), textcoords="offset points",
                        ha="center", fontsize=8, color=color)  # fmt: skip
    ax.axhline(found["default"].chance(), color="black", ls="--", lw=1, label=chance)
    ax.set(title=f"{TITLES[table.part]}, {len(found['default'].emotions)} emotions",
           xlabel="clips of the new voice heard before, unlabelled",
           xlim=(-0.4, x[-1] + 0.4), ylim=(0, 1), xticks=x, xticklabels=[0, *HANDFULS])  # fmt: skip
    ax.grid(axis="y", alpha=0.3)


# the command line


def main(argv=None):
    """The command line; see the module's docstring."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--only", default="emodb,ravdess,tasks,regression", help="default %(default)s"
    )
    parser.add_argument("--picture", metavar="FILE", help="draw the gain of calibration (PNG)")
    parser.add_argument("--seed", type=int, default=0, help="of all that is random (default 0)")
    parser.add_argument("--data-dir", help="the data folder; else $SER_DATA_DIR, else data/")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead")
    args = parser.parse_args(argv)
    try:
        args.only = [check_name(part, TASKS, "part") for part in args.only.split(",")]
        tables = []
        for table in bench(args):
            tables.append(table)
            if not args.json:
                print(in_text(table), flush=True)
    except (ValueError, OSError) as error:
        sys.exit(f"bench_accuracy.py: {error}")
    if not tables:
        sys.exit("bench_accuracy.py: there is no corpus to measure on")
    drawn = [table for table in tables if table.part in HUMANS]
    if args.picture and drawn:
        draw(drawn, args.picture)
    if args.json:
        rows = [row(table, e) for table in tables for e in table.evaluations.values()]
        comparisons = [asdict(remark) | {"part": table.part, "emotions": table.emotions}
                       for table in tables for remark in table.remarks
                       if not isinstance(remark, str)]  # fmt: skip
        print(json.dumps({"seed": args.seed, "rows": rows, "comparisons": comparisons}))


if __name__ == "__main__":
    main()
