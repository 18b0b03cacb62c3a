"""How well new speakers are recognised: ours with and without the encoder, classic, openSMILE.

    python benchmarks/bench_accuracy.py                       # all parts but networks
    python benchmarks/bench_accuracy.py --write               # for docs/RESULTS.md, too
    python benchmarks/bench_accuracy.py --only emodb,tasks    # emodb,ravdess,nemo,tasks,
                                                              # regression,numbers
    python benchmarks/bench_accuracy.py --only networks       # the longest part, some hours
    python benchmarks/bench_accuracy.py --only networks --systems recommended,lstm   # an hour
    python benchmarks/bench_accuracy.py --data-dir ~/corpora --seed 1
    pip install opensmile                                     # adds openSMILE's rows

emodb, ravdess and nemo: all emotions of the corpus, each speaker predicted by models trained
without them, then by models adapted with some of the speaker's unlabelled clips; openSMILE's
ComParE_2016 vector with a linear SVM on the same folds; published records beside, each with its
protocol. tasks: the three classic tasks on the standard split. regression: both scales over EMO-DB,
RAVDESS and TESS. numbers: the intensity that RAVDESS's actors were asked for (1 or 2), and arousal
and valence that are made of the labels of all corpora, not rated by anybody. networks: the
recurrent networks and the ensemble beside the recommended recognizer and a plain LSTM on mean
vectors, and their times. The 95 % intervals are resampled by speaker. The bundled synthetic
recordings aren't used; features are cached. The first run extracts them, which takes minutes; after
that each of the corpora and the tasks takes some minutes on two cores.
"""

import argparse
import importlib.util
import sys
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from bench_loco import SIX
from measured import add_write, cells_of, write
from opensmile_svm import (
    CLIPS,
    OPENSMILE,
    OPENSMILE_BY_SPEAKER,
    SVMS,
    by_speaker,
    opensmile_evaluation,
    opensmile_vectors,
)
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import Ridge
from tqdm.auto import tqdm

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from audio import load_audio
from checks import check_name, guarded, quiet_stderr
from corpora import CORPORA, find_data_dir, groups, how_to_get, wishes
from create_csv import labelled_clips, list_clips
from deep_emotion_recognition import DeepEmotionRecognizer, EnsembleRecognizer
from emotion_recognition import EmotionRecognizer, classic, recommended
from evaluation import compare, evaluate
from metrics import in_words
from parameters import SAMPLE_RATE
from plotting import PALETTE, new_figure, save_figure
from tables import speaker_groups
from utils import names_option

HANDFULS = 5, 10, 20, "all"
"""Clips of the test speaker to adapt with; "all" includes the scored one."""


class Task(NamedTuple):
    """Emotions to tell apart, in which corpora, and how test speakers are held out."""

    emotions: str
    corpora: list
    protocol: str


ALL = ["emodb", "ravdess", "tess"]
EMODB = "angry,boredom,disgust,fear,happy,neutral,sad"
RAVDESS = "angry,calm,disgust,fear,happy,neutral,ps,sad"
NEMO = "angry,fear,happy,neutral,ps,sad"
FIVE = "angry,sad,neutral,ps,happy"
EVERY = sorted(SIX)
AROUSAL = {"angry": 0.9, "ps": 0.8, "fear": 0.7, "happy": 0.6, "disgust": 0.2, "neutral": 0.0}
AROUSAL |= {"calm": -0.5, "sad": -0.5, "boredom": -0.7}
VALENCE = {"happy": 0.9, "ps": 0.5, "calm": 0.4, "neutral": 0.0, "boredom": -0.4, "angry": -0.6}
VALENCE |= {"fear": -0.6, "disgust": -0.7, "sad": -0.7}
"""Numbers made of labels, about where Russell 1980, A Circumplex Model of Affect, has the words."""
TASKS = {
    "emodb": [Task(EMODB, ["emodb"], "loso")],
    "ravdess": [Task(RAVDESS, ["ravdess"], "group-6")],
    "nemo": [Task(NEMO, ["nemo"], "loso")],
    "tasks": [
        Task("sad,neutral,happy", ALL, "standard"),
        Task("angry,neutral,sad", ["ravdess", "tess"], "standard"),
        Task(FIVE, ALL, "standard"),
    ],
    "regression": [Task("sad,neutral,happy", ALL, "group-6"), Task(FIVE, ALL, "group-6")],
    "numbers": [
        Task("intensity", ["ravdess"], "group-6"),
        Task("arousal,valence", EVERY, "group-6"),
        Task("arousal,valence", EVERY, "loco"),
    ],
    "networks": [
        Task(EMODB, ["emodb"], "group-5"),
        Task(RAVDESS, ["ravdess"], "group-6"),
        Task(FIVE, ALL, "group-6"),
        Task(FIVE, ALL, "standard"),
    ],
}
"""Part to what it measures."""

ENDS = "low", "high"
MEASURES = {"uar": "UAR", "accuracy": "accuracy", "ece": "ECE", "mae": "MAE", "ccc": "CCC"}
MEASURES |= {"rmse": "RMSE"}
TITLES = {part: CORPORA[part].title for part in ("emodb", "ravdess", "nemo")}
"""The parts of a whole corpus: they have openSMILE's rows and a panel in the picture."""
PROTOCOLS = {
    "loso": "leave one speaker out",
    "group-5": "five groups of speakers",
    "group-6": "six groups of speakers",
    "standard": "standard split",
    "loco": "leave one corpus out",
}

HUMANS = {"emodb": (0.84, 0.86), "ravdess": (0.60, 0.60)}
"""Share that human listeners recognise, as published, about: Burkhardt et al. 2005, A Database of
German Emotional Speech (whole utterances); Livingstone and Russo 2018, The Ryerson Audio-Visual
Database of Emotional Speech and Song (voice only)."""


class Published(NamedTuple):
    """A figure of others."""

    system: str
    measure: str
    value: float
    protocol: str
    source: str
    comparable: bool = True  # speakers apart, trained on the same corpus

    def __str__(self):
        beside = "published" if self.comparable else "published, not comparable"
        return (
            f"{beside}: {self.system}: {self.measure} {self.value:.3f}, {self.protocol} "
            f"({self.source})"
        )


EMOBOX = (
    "EmoBox, Ma et al. 2024, Interspeech, arXiv 2406.07162; emo-box.github.io/leaderboard1.html"
)
_SIX = "six folds of speakers, all 24 actors"
_FIVE = "five folds that don't keep speakers apart, whole utterances"
PUBLISHED = {
    "ravdess": (
        Published("Whisper large v3, frozen, and a network", "accuracy", 0.7587, _SIX, EMOBOX),
        Published("WavLM large, frozen, and a network", "accuracy", 0.7222, _SIX, EMOBOX),
    ),
    "emodb": (
        Published("WavLM large", "accuracy", 0.9267, _FIVE, EMOBOX, comparable=False),
        Published("Whisper large v3", "accuracy", 0.9243, _FIVE, EMOBOX, comparable=False),
    ),
    "nemo": (
        Published(
            "HuBERT, clips clustered by speaker",
            "macro F1",
            0.753,
            "trained on seven other languages and not on Polish",
            "Łachut 2025, PolEval 2025 Workshop, task 4, validation part",
            comparable=False,
        ),
    ),
}
"""Part to what others reached."""


# networks


class PlainLSTM(ClassifierMixin, BaseEstimator):
    """Two LSTM and two dense layers of 128 units on the mean vector of a clip, as one step.

    Tutorials have this network, but here a tenth of the training clips chooses the epoch, not the
    test part.
    """

    def fit(self, X, y):
        with quiet_stderr():  # TensorFlow prints there when it loads
            import keras
            from keras import layers

        keras.utils.set_random_seed(0)
        self.classes_, targets = np.unique(y, return_inverse=True)
        steps = [layers.LSTM(128, return_sequences=True), layers.LSTM(128)]
        steps += [layers.Dense(128), layers.Dense(128)]
        parts = [part for layer in steps for part in (layer, layers.Dropout(0.3))]
        output = layers.Dense(len(self.classes_), activation="softmax")
        self.network_ = keras.Sequential([*parts, output])
        self.network_.compile("adam", "sparse_categorical_crossentropy")
        stop = keras.callbacks.EarlyStopping(patience=20, restore_best_weights=True)
        order = np.random.default_rng(0).permutation(len(y))
        data = X[order][:, np.newaxis], targets[order]
        settings = {"batch_size": 64, "epochs": 200, "validation_split": 0.1, "verbose": 0}
        self.network_.fit(*data, callbacks=[stop], **settings)
        return self

    def predict_proba(self, X):
        return self.network_.predict_on_batch(X[:, np.newaxis])

    def predict(self, X):
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


def timed(options):
    """The times of the networks to train and to predict: list of sentences."""
    rec = DeepEmotionRecognizer(**options)
    start = time.perf_counter()
    rec.train(override=True)
    seconds, times = time.perf_counter() - start, []
    speech = np.concatenate([load_audio(path) for path in rec.test_rows_["path"][:2]])
    clip = np.resize(speech, 3 * SAMPLE_RATE)
    for _ in range(21):
        start = time.perf_counter()
        rec.predict(clip, sr=SAMPLE_RATE)
        times.append(time.perf_counter() - start)
    return [
        f"lstm trained on {len(rec.y_train)} clips: {seconds:.0f} s with loading features",
        f"lstm, one clip of 3 s from samples to emotion, warm: {1000 * np.median(times):.0f} ms",
    ]


# numbers


def numbered(corpora, data_dir):
    """Clips with numbers made of their labels and names: DataFrame."""
    clips = labelled_clips(wishes(corpora), data_dir=data_dir, verbose=0)
    names = clips["path"].map(lambda path: Path(path).name)
    intensity = names.str.extract(r"^\d\d-\d\d-\d\d-(\d\d)-")[0].astype(float)
    intensity[clips["emotion"] == "neutral"] = np.nan  # it has but one
    arousal, valence = (clips["emotion"].map(scale) for scale in (AROUSAL, VALENCE))
    return clips.assign(intensity=intensity, arousal=arousal, valence=valence)


def number_systems(names, clips, options):
    """What is compared on numbers: list of (name, recognizer, clips to adapt with)."""
    options |= {"target": names, "data": clips.dropna(subset=names)}
    ours, ridge = recommended(**options), EmotionRecognizer(Ridge(1000), **options)
    without = recommended(encoder=None, **options)
    systems = [("ridge on all columns", ridge, 0), (WITHOUT, without, 0), (OURS, ours, 0)]
    return [*systems, (adapted(10), ours, 10)]


# the parts


class Table(NamedTuple):
    """The results of one task of a part."""

    part: str
    emotions: str
    evaluations: dict  # system to evaluation
    remarks: list  # comparisons and sentences


OURS, WITHOUT = "recommended", "recommended, without the encoder"


def adapted(n, name=OURS):
    return f"{name}, adapted with {n} clips"


def systems_of(part, protocol, options):
    """What a part compares: list of (name, recognizer, clips to adapt with)."""
    ours, plain = recommended(**options), ("classic", classic(balance=False, **options), 0)
    without = recommended(encoder=None, **options)
    if part == "networks":
        plain = classic(model=PlainLSTM(), balance=False, **options)
        deep, both = DeepEmotionRecognizer(**options), EnsembleRecognizer(**options)
        ours = {OURS: ours, "lstm": deep, "ensemble": both}
        systems = [("plain LSTM", plain, 0), *((name, rec, 0) for name, rec in ours.items())]
        if protocol == "standard":
            systems += [(adapted("all", name), rec, "all") for name, rec in ours.items()]
        return systems
    handfuls = {"tasks": (10, "all"), "regression": ()}.get(part, HANDFULS)
    systems = [plain, (WITHOUT, without, 0)]
    if handfuls:
        systems.append((adapted("all", WITHOUT), without, "all"))
    return [*systems, (OURS, ours, 0), *((adapted(n), ours, n) for n in handfuls)]


def share_of_10(found):
    """Which share of the gain by all clips of a speaker 10 of them bring: a sentence."""
    none, ten, every = (found[name].scores()["uar"] for name in (OURS, adapted(10), adapted("all")))
    if every <= none:
        return f"all clips of a speaker bring no gain: UAR {every:.3f}, and {none:.3f} without any"
    return (
        f"10 clips bring {(ten - none) / (every - none):.2f} of the gain of all clips: "
        f"({ten:.3f} - {none:.3f}) / ({every:.3f} - {none:.3f})"
    )


def compared(found, pairs):
    """Comparisons of pairs of systems, where both have been measured: list."""
    return [compare(found[a], found[b]) for a, b in pairs if a in found and b in found]


def remarks_on(part, found):
    """Comparisons of our systems, the gain of 10 clips, and what others reached: list."""
    pairs = [(OURS, "classic"), (OURS, WITHOUT), (adapted("all"), adapted("all", WITHOUT))]
    pairs += [(OURS, "ridge on all columns"), (adapted(10), OURS)] * (part == "numbers")
    remarks = compared(found, pairs)
    if adapted("all") in found:
        remarks.append(share_of_10(found))
    return [*remarks, *PUBLISHED.get(part, ())]


def bench_part(part, args):
    """Measure our systems: yields a Table for each task."""
    for emotions, corpora, protocol in TASKS[part]:
        options = {
            "emotions": emotions.split(","),
            "classification": part != "regression",
            "data_dir": args.data_dir,
            "random_state": args.seed,
            "verbose": 0,
            "corpora": corpora,
        }
        if part == "numbers":
            shared = {k: options[k] for k in ("random_state", "verbose")}
            names, clips = emotions.split(","), numbered(corpora, args.data_dir)
            systems = number_systems(names, clips, shared)
        else:
            systems = systems_of(part, protocol, options)
        found, chosen = {}, args.systems or [name for name, *_ in systems]
        systems = [system for system in systems if system[0] in chosen]
        for name, system, n in tqdm(systems, f"{part}: {emotions}"):
            settings = {"name": name, "random_state": args.seed, "verbose": 0}
            if n and protocol == "loco":
                settings["adapt"] = "condition"
            found[name] = evaluate(system, protocol, calibrate=n, **settings)
        if part == "networks":
            pairs = [(a, b) for a in ("lstm", "ensemble") for b in (OURS, "plain LSTM")]
            remarks = compared(found, [*pairs, ("ensemble", "lstm")])
            remarks += timed(options) if protocol == "standard" else []
        else:
            remarks = remarks_on(part, found)
        yield Table(part, emotions, found, remarks)


def bench_opensmile(found, args):
    """Measure openSMILE on the folds of `found`, and add it there: yields remarks."""
    clips = found[OURS].clips
    X = opensmile_vectors(clips["path"].tolist())
    for name, like, vectors in (
        (OPENSMILE, OURS, X),
        (OPENSMILE_BY_SPEAKER, adapted("all"), by_speaker(X, speaker_groups(clips))),
    ):
        found[name], variant = opensmile_evaluation(vectors, found[like], name, args.seed)
        n_variants = len(SVMS) * len(CLIPS)
        yield f"{name}: {variant}, the best of {n_variants} by these very clips"
        yield compare(found[like], found[name])
    yield compare(found[adapted(10)], found[OPENSMILE_BY_SPEAKER])


def bench(args):
    """Yield the tables of every part that the corpora are there for."""
    there = {c for g in groups() for c in list_clips(g, data_dir=args.data_dir)["corpus"]}
    for part in args.only:
        needed = {corpus for task in TASKS[part] for corpus in task.corpora}
        if lacking := needed - there:
            print(
                f"bench_accuracy.py: {part} is left out, no {', '.join(sorted(lacking))} in "
                f"{find_data_dir(args.data_dir)}; {how_to_get(*sorted(lacking))}",
                file=sys.stderr,
            )
            continue
        for table in bench_part(part, args):
            if part in TITLES:
                if importlib.util.find_spec("opensmile"):
                    table.remarks.extend(bench_opensmile(table.evaluations, args))
                else:
                    table.remarks.append(f"{OPENSMILE}: pip install opensmile adds its rows")
            yield table


# text and picture


def row(table, evaluation):
    """One line of a table, as plain Python values."""
    scores = evaluation.scores()
    if evaluation.model in (OPENSMILE, OPENSMILE_BY_SPEAKER):
        scores["ece"] = None  # these SVMs have no probabilities
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
    first = table.evaluations[OURS]
    measure = MEASURES[first.main_measure]
    title = f"\n{table.part}, {first.protocol}"
    subtitle = f"{table.emotions}; chance: {measure} {first.chance():.3f}"
    rows = pd.DataFrame(lines).to_string(index=False)
    return "\n".join([title, subtitle, rows, *map(str, table.remarks)])


class Column(NamedTuple):
    """One column of a Markdown table: its head and the system."""

    head: str
    system: str
    bold: bool = False


NEW_SPEAKERS = (
    Column("classic vector, SVC", "classic"),
    Column("openSMILE ComParE, linear SVM", OPENSMILE),
    Column("ours, without the encoder", WITHOUT),
    Column("ours", OURS, bold=True),
    Column("ours, adapted with 10 clips", adapted(10), bold=True),
    Column("ours, adapted with all", adapted("all"), bold=True),
    Column("without the encoder, adapted with all", adapted("all", WITHOUT)),
    Column("openSMILE, adapted with all", OPENSMILE_BY_SPEAKER),
)
REGRESSION = NEW_SPEAKERS[0]._replace(head="classic vector"), *NEW_SPEAKERS[2:4]
NUMBERS = (
    Column("ridge on all columns", "ridge on all columns"),
    *NEW_SPEAKERS[2:4],
    Column("adapted with 10 clips", adapted(10)),
)
NETWORKS = (
    Column("recommended", OURS),
    Column("networks", "lstm"),
    Column("ensemble", "ensemble"),
    Column("plain LSTM", "plain LSTM"),
)


def measure_of(table):
    """The measure that a table of docs/ gives: str."""
    measure = table.evaluations[OURS].main_measure
    return {"tasks": "accuracy", "numbers": "ccc"}.get(table.part, measure)


def cell(table, column, measure=None):
    """A score with its interval in Markdown: str, empty without that system."""
    if column.system not in table.evaluations:
        return ""
    scores, name = table.evaluations[column.system].scores(), measure or measure_of(table)
    bounds = [
        np.nan if scores[f"{name}_{end}"] is None else scores[f"{name}_{end}"] for end in ENDS
    ]
    text = in_words(scores[name], *bounds)
    value, _, interval = text.partition(" ")
    return f"**{value}** {interval}".strip() if column.bold else text


def described(table):
    """The corpora, emotions and speakers of a table: str."""
    ours = table.evaluations[OURS]
    n_speakers = len(set(speaker_groups(ours.clips)))
    if table.part in TITLES:
        return f"{TITLES[table.part]}, {len(ours.emotions)} emotions, {n_speakers} speakers"
    names = sorted(set(ours.clips["corpus"]))
    corpora = ", ".join(CORPORA[name].title for name in names)
    where = "six corpora" if len(names) == len(EVERY) else corpora
    return f"{table.emotions.replace(',', ', ')}; {where}, {n_speakers} speakers"


def protocol_of(table):
    return PROTOCOLS[table.evaluations[OURS].protocol_name]


def beside(table):
    """What others and human listeners reach, in Markdown: two str."""
    published = [
        f"{record.measure} {record.value:.3f} ({record.system.partition(',')[0]})"
        for record in PUBLISHED.get(table.part, ())
        if record.comparable
    ]
    humans = dict.fromkeys(f"{share:.2f}" for share in HUMANS.get(table.part, ()))
    return ", ".join(published), " to ".join(humans)


def new_speakers(table):
    """A row about the emotions of new speakers: dict of head to cell."""
    first = f"{protocol_of(table)}, {MEASURES[measure_of(table)]}"
    row = {"protocol": first, "corpus": described(table)}
    row |= {column.head: cell(table, column) for column in NEW_SPEAKERS}
    published, humans = beside(table)
    return row | {"published": published, "human listeners, about": humans}


def regression(table):
    """A row about emotions as a number."""
    row = {"scale": described(table), "chance, MAE": f"{table.evaluations[OURS].chance():.3f}"}
    row |= {column.head: cell(table, column) for column in REGRESSION}
    return row | {"ours, CCC": cell(table, NEW_SPEAKERS[3]._replace(bold=False), "ccc")}


def numbers(table):
    """A row about numbers in place of emotions: CCC, and MAE."""
    row = {"numbers": described(table), "protocol": protocol_of(table)}
    for column in NUMBERS:
        error = table.evaluations[column.system].scores()["mae"]
        row[column.head] = f"{cell(table, column)}, MAE {error:.3f}"
    return row


def networks(table):
    """A row about networks: UAR."""
    row = {"corpora": described(table), "protocol": protocol_of(table)}
    there = [column for column in NETWORKS if column.system in table.evaluations]
    return row | {column.head: cell(table, column, "uar") for column in there}


KEPT = {
    "new_speakers": ([*TITLES, "tasks"], new_speakers),
    "regression": (["regression"], regression),
    "numbers": (["numbers"], numbers),
    "networks": (["networks"], networks),
}
"""File in results/ to its parts, and what makes a row of its table."""


def keep(tables):
    """Keep what has been measured for docs/RESULTS.md, and for the picture."""
    for name, (parts, row_of) in KEPT.items():
        own = [table for table in tables if table.part in parts]
        if not own:
            continue
        cells = cells_of([row_of(table) for table in own])
        data = "; ".join(
            f"{table.part}: {len(table.evaluations[OURS].clips)} clips, "
            f"{table.evaluations[OURS].protocol}"
            for table in own
        )
        remarks = [remark for table in own for remark in table.remarks]
        rows = [row(table, e) for table in own for e in table.evaluations.values()]
        write(name, data, {name.replace("_", " "): cells}, remarks, rows=rows)


LEGEND = (
    "our recommended recognizer",
    "its 95 % interval by speaker",
    "ours, without the encoder",
    "openSMILE ComParE + SVM",
    "classic vector + SVC",
    "human listeners (published, about)",
    "chance",
)
BLUE, ORANGE, GREEN, SKY = PALETTE[4], PALETTE[5], PALETTE[2], PALETTE[1]


def draw(found, path):
    """Draw UAR by the number of clips to adapt with, one panel a corpus, to a file."""
    parts = [part for part in TITLES if any(row["part"] == part for row in found["rows"])]
    figure = new_figure(0.4 + 4.4 * len(parts), 4.8)
    axes = figure.subplots(1, len(parts), sharey=True, squeeze=False)
    for ax, part in zip(axes[0], parts, strict=True):
        rows = {row["system"]: row for row in found["rows"] if row["part"] == part}
        draw_panel(ax, part, rows)
    axes[0, 0].set_ylabel("UAR")
    pairs = [zip(*ax.get_legend_handles_labels(), strict=True) for ax in axes[0]]
    handles = {label: handle for panel in pairs for handle, label in panel}
    labels = [label for label in LEGEND if label in handles]
    place = {"loc": "outside lower center", "ncols": min(4, 2 * len(parts)), "fontsize": 8}
    figure.legend([handles[label] for label in labels], labels, **place)
    save_figure(figure, path, dpi=110)


def draw_panel(ax, part, rows):
    """Draw the scores of a corpus; rows: system to its scores."""
    ours, interval, without, opensmile, plain, humans, chance = LEGEND
    names = [OURS, *map(adapted, HANDFULS)]
    x = np.arange(len(names))
    references = {OPENSMILE: 0, OPENSMILE_BY_SPEAKER: x[-1]}
    if part in HUMANS:
        low, high = HUMANS[part]
        ax.axhspan(low - 0.004, high + 0.004, color=GREEN, alpha=0.3, lw=0, label=humans)
    bounds = ([rows[name][f"uar_{end}"] for name in names] for end in ENDS)
    ax.fill_between(x, *bounds, color=BLUE, alpha=0.15, lw=0, label=interval)
    series = (
        (ours, "o-", BLUE, 7, dict(zip(names, x, strict=True))),
        (without, "^:", SKY, -14, {WITHOUT: 0, adapted("all", WITHOUT): x[-1]}),
        (opensmile, "D", ORANGE, -14, {k: i for k, i in references.items() if k in rows}),
        (plain, "s", "dimgray", -14, {"classic": 0}),
    )
    for label, line, color, offset, systems in series:
        points = [(i, rows[name]["uar"]) for name, i in systems.items()]
        ax.plot(*np.reshape(points, (-1, 2)).T, line, color=color, label=label)
        for point in points:
            style = {"textcoords": "offset points", "ha": "center", "fontsize": 8, "color": color}
            ax.annotate(f"{point[1]:.2f}", point, (0, offset), **style)
    ax.axhline(rows[OURS]["chance"], color="black", ls="--", lw=1, label=chance)
    n_emotions = len(TASKS[part][0].emotions.split(","))
    ax.set(title=f"{TITLES[part]}, {n_emotions} emotions")
    ax.set(xlabel="unlabelled clips of the new speaker to adapt with", xlim=(-0.4, x[-1] + 0.4))
    ax.set(ylim=(0, 1), xticks=x, xticklabels=[0, *HANDFULS])
    ax.grid(axis="y", alpha=0.3)


# the command line


def main(argv=None):
    """The command line; see the module's docstring."""
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    parts = "emodb,ravdess,nemo,tasks,regression"
    parser.add_argument("--only", default=parts, help="default %(default)s")
    parser.add_argument("--seed", type=int, default=0, help="of all that is random (default 0)")
    parser.add_argument("--data-dir", help="the data folder; else $SER_DATA_DIR, else data/")
    systems = "systems to measure, recommended among them; default all"
    parser.add_argument("--systems", type=names_option, help=systems)
    add_write(parser)
    args = parser.parse_args(argv)
    args.only = [check_name(part, TASKS, "part") for part in args.only.split(",")]
    tables = []
    for table in bench(args):
        tables.append(table)
        print(in_text(table), flush=True)
        if args.write:
            keep(tables)
    if not tables:
        sys.exit("bench_accuracy.py: there is no corpus to measure on")


if __name__ == "__main__":
    sys.exit(guarded("bench_accuracy.py", main))
