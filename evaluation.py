"""Score recognizers on speakers outside their training, with intervals and a leak guard.

    python evaluation.py --corpus emodb --protocol loso --model SVC
    python evaluation.py --corpus ravdess --protocol group-6 --model recommended --calibrate 10
    python evaluation.py --corpus emodb --train-corpora ravdess,tess --protocol cross-corpus \\
        --emotions angry,happy,sad,neutral,calm --label-map calm=neutral
    python evaluation.py --corpus emodb --model SVC --leakage
    python evaluation.py --corpus ravdess,emodb --regression --model SVR --protocol group-6
    python evaluation.py --corpus custom --protocol standard --model classic --json > result.json

The table's first line is the protocol. The pictures go to `results/`, unless --pictures says where.
"""

import argparse
import json
import numbers
import os
import sys
import textwrap
from dataclasses import KW_ONLY, asdict, dataclass, field
from functools import cached_property
from pathlib import Path

import pandas as pd
from sklearn.base import is_regressor
from tqdm.auto import tqdm

import metrics
import plotting
import protocols
from checks import check_name, moved
from corpora import gender, help_line, wishes
from create_csv import labelled_clips
from deep_emotion_recognition import named_recognizer
from emotion_recognition import EmotionRecognizer, Recognizer
from metrics import CONFIDENCE, N_BINS, NO_INTERVAL, TITLES, in_words
from parameters import CLASSIFIERS, DEFAULT_EMOTIONS, RECIPES, REGRESSORS
from protocols import PROTOCOLS, Leaks, calibration_blocks, compare, make_folds, parse_protocol
from tables import COLUMNS, map_labels, speaker_groups
from utils import AS_FEATURES, emotion_scale, encoder_option, names_option


def evaluate(
    system,
    protocol="loso",
    *,
    calibrate=0,
    train_corpora=None,
    test_corpora=None,
    label_map=None,
    name=None,
    random_state=0,
    verbose=1,
    **options,
):
    """Score a recognizer by a protocol: ClassificationEvaluation or RegressionEvaluation.

    A leak guard compares both sides of every fold (see `protocols.find_leaks`). Then a fresh
    recognizer is fitted on the training clips of each fold and nothing else: scaling, selection,
    tuning, calibration and early stopping never use a held-out clip. Files that can't be read are
    left out, and named in a warning.

    Parameters
    ----------
    system : EmotionRecognizer or scikit-learn estimator
        It is not changed, and its training is not used. An estimator is wrapped as
        EmotionRecognizer(system, balance=False, **options); a regressor is scored as one.
    protocol : str, default "loso"
        standard, loso, group-K (a number for K), cross-corpus or random; see `make_folds`. In
        "standard" a recognizer with balance=True draws test clips by its own seed, too.
    calibrate : int or "all", default 0
        Adapt to each test speaker with this many of the speaker's other clips in the fold,
        unlabelled; see `calibration_blocks`. "all": with all clips of the speaker, the scored one
        included (transductive, as in much of the literature).
    train_corpora, test_corpora : list of str, optional
        For "cross-corpus"; training defaults to all corpora that aren't tested on.
    label_map : dict of str to (str or None), optional
        For "cross-corpus"; see `map_labels`.
    name : str, optional
        Name of the system in reports; default the recognizer's.
    random_state : int, default 0
        Seed of the random folds, the clips to adapt with and the bootstrap.
    verbose : int, default 1
        0 draws no progress bars.
    **options
        Settings of the EmotionRecognizer that an estimator is wrapped in: emotions, features, ...

    Raises
    ------
    LeakError
        If loso, group-K or cross-corpus have a speaker or identical audio on both sides.
    ValueError
        For an unknown name, clips that the protocol can't cut, corpora whose labels differ, an
        emotion that a fold can't be trained on, or calibrate without normalize="speaker".
    """
    kind, _ = parse_protocol(protocol)
    is_count = isinstance(calibrate, numbers.Integral) and not isinstance(calibrate, bool)
    if calibrate != "all" and not (is_count and calibrate >= 0):
        raise ValueError(f"calibrate is a number of clips, or 'all'; got {calibrate!r}.")
    if label_map and kind != "cross-corpus":
        raise ValueError(f"label_map is for 'cross-corpus', not {protocol!r}.")
    rec = _recognizer(system, options)
    chosen = rec.comparison_ is not None  # its model was chosen by clips that folds test on
    clips = protocols.with_digests(rec.untrained(verbose=0).clips(), rec.n_jobs, verbose)
    clips = map_labels(clips, label_map)
    sides = {"train_corpora": train_corpora, "test_corpora": test_corpora}
    seed = rec.random_state if kind == "standard" else random_state
    folds = make_folds(protocol, clips, balance=rec.balance, random_state=seed, **sides)
    emotions = protocols.trained_emotions(protocol, clips, folds, list(rec.emotions), label_map)
    leaks = protocols.guard(protocol, clips, folds)
    spared = {} if calibrate else {"normalize": None}  # a second fit, for adaptation only
    fresh = rec.untrained(emotions=emotions, verbose=0, **spared)
    predicted = []
    for fold in tqdm(folds, desc=protocol, unit="fold", disable=not verbose):
        fitted = fresh.untrained().fit(clips.iloc[fold.train][COLUMNS])
        if chosen:
            fitted.determine_best_model()
        rows = clips.iloc[fold.test][COLUMNS].assign(fold=fold.name)
        predicted.append(_predict_fold(fitted, rows, calibrate, random_state))
    result = ClassificationEvaluation if rec.classification else RegressionEvaluation
    return result(
        pd.concat(predicted).sort_index(kind="stable"),
        emotions,
        protocol=protocols.describe(protocol, clips, folds, calibrate, label_map),
        protocol_name=protocol,
        model=name or ("best of each fold" if chosen else rec.name),
        leaks=leaks,
        random_state=random_state,
    )


def _recognizer(system, options):
    """The recognizer itself, or one around an estimator."""
    if isinstance(system, Recognizer):
        if options:
            raise TypeError(
                f"{', '.join(options)}: options are for a bare estimator; this is a recognizer, "
                "set them where you make it."
            )
        return system
    if not hasattr(system, "get_params") or isinstance(system, type):
        raise TypeError(
            "evaluate() takes an EmotionRecognizer or a scikit-learn estimator (not its class or "
            f"its name); got {system!r}"
        )
    defaults = {"balance": False, "classification": not is_regressor(system)}
    return EmotionRecognizer(system, **(defaults | options))


def _predict_fold(fitted, rows, calibrate, random_state):
    """Predict the test clips of a fold: the rows with their predictions."""
    if calibrate == 0:
        return _predict(fitted, rows)
    predicted = []
    for _, own in rows.groupby(speaker_groups(rows)):
        paths = own["path"].to_numpy()
        for block, handful in calibration_blocks(len(own), calibrate, random_state):
            adapted = fitted.adapt(paths[handful].tolist()) if len(handful) else fitted
            predicted.append(_predict(adapted, own.iloc[block]))
    return pd.concat(predicted)


def _predict(recognizer, rows):
    """The rows with their predictions, and with probabilities where there are any."""
    paths = rows["path"].tolist()
    rows = rows.assign(gender=list(map(gender, rows["corpus"], rows["speaker"])))
    if not recognizer.classification:
        scale = emotion_scale(recognizer.emotions)
        return rows.assign(target=rows["emotion"].map(scale), predicted=recognizer.predict(paths))
    probabilities = pd.DataFrame(recognizer.predict_proba(paths), index=rows.index)
    probabilities = probabilities.reindex(columns=list(recognizer.emotions), fill_value=0.0)
    labels = probabilities.sort_index(axis=1).idxmax(axis=1)  # as `predict`, in one pass
    rows = rows.assign(predicted=labels, confidence=probabilities.max(axis=1))
    return rows.join(probabilities.add_prefix("p_"))


# what was measured


@dataclass(eq=False)
class Evaluation:
    """Predictions and their scores; prints as a table, whose first line is the protocol.

    `clips` has the columns path, emotion, speaker, corpus, gender, fold and predicted; for
    classification confidence (the probability of the predicted emotion) and p_<emotion>; for
    regression target. Subclasses have `tallies()` (n_speakers, ...), their scores `measures` (see
    `with_intervals`), `measure_names`, `main_measure`, which sorts speakers and compares systems,
    and `chance()`, the main measure of guessing.
    """

    clips: pd.DataFrame
    emotions: list  # in the order of tables and pictures
    _: KW_ONLY
    protocol: str  # one line: which corpora, how split, how many speakers and clips
    protocol_name: str  # as `evaluate` takes it
    model: str  # name of the system
    leaks: Leaks = field(default_factory=Leaks)
    random_state: int = 0  # seed of the bootstrap

    higher_is_better = True
    DRAWN = ("speakers",)  # names of the methods draw_<name>

    @cached_property
    def _results(self):
        """(rows, name) to (n_speakers, n_clips, scores as of `with_intervals`)."""
        groups = speaker_groups(self.clips)
        speakers = self.clips.assign(all="", speaker=groups).groupby(groups).first()
        n_clips = self.clips.groupby(groups).size()
        tallies, results = self.tallies(), {}
        for rows in ("all", "corpus", "gender", "speaker"):
            for name in sorted(set(speakers[rows])):
                own = (speakers[rows] == name).to_numpy()
                scores = metrics.with_intervals(tallies[own], self.measures, self.random_state)
                results[rows, name] = int(own.sum()), int(n_clips[own].sum()), scores
        return results

    def _frame(self, rows):
        """A table with a line for all, each corpus, gender and speaker."""
        index = pd.MultiIndex.from_tuples(self._results, names=["rows", "name"])
        return pd.DataFrame(rows, index=index)

    def to_frame(self):
        """Score all clips, and those of each corpus, gender and speaker: DataFrame.

        The index has rows ("all", "corpus", "gender", "speaker") and name. Columns are n_speakers,
        n_clips and for each score, for example, uar, uar_low, uar_high: the bounds of its 95 %
        interval (see `metrics.with_intervals`), NaN for one speaker.
        """
        return self._frame(
            {"n_speakers": n_speakers, "n_clips": n_clips}
            | metrics.flat({name: values[name] for name in self.measure_names})
            for n_speakers, n_clips, values in self._results.values()
        )

    def scores(self):
        """Score all clips: dict as uar, uar_low, uar_high, ...; None where there is no value."""
        row = self.to_frame().drop(columns=["n_speakers", "n_clips"]).loc["all", ""]
        return metrics.without_nan(row.to_dict())

    def to_dict(self):
        """Write what `python evaluation.py --json` prints: a dict of plain Python values."""
        n_speakers, n_clips, _ = self._results["all", ""]
        return {
            "protocol": self.protocol,
            "model": self.model,
            "corpora": sorted(set(self.clips["corpus"])),
            "emotions": self.emotions,
            "n_speakers": n_speakers,
            "n_clips": n_clips,
            **self.scores(),
            "chance": self.chance(),
            "leaks": asdict(self.leaks),
        }

    def __str__(self):
        lines = [
            self.protocol,
            f"{self.model}: {', '.join(self.emotions)}",
            *(f"leak guard: {line}" for line in self.leaks.lines()),
            f"chance: {self._in_words(self.chance())}; in brackets {CONFIDENCE} % intervals by "
            "speaker",
        ]
        return "\n".join(lines + ["\n" + table for table in self._tables()])

    def __repr__(self):
        value = self._in_words(self.scores()[self.main_measure])
        return f"<{type(self).__name__} of {self.model}, {self.protocol_name}: {value}>"

    def _repr_html_(self):
        facts = {
            "protocol": self.protocol,
            "model": self.model,
            "emotions": ", ".join(self.emotions),
            "leak guard": f"{self.leaks}",
            "chance": self._in_words(self.chance()),
            "in brackets": f"{CONFIDENCE} % intervals by speaker",
        }
        return plotting.html_table(type(self).__name__, facts) + self.summary().to_html()

    def _in_words(self, value):
        return f"{TITLES[self.main_measure]} {value:.3f}"

    def summary(self):
        """Write the scores over all clips, per corpus and per gender in words: DataFrame."""
        rows = {
            " ".join(key).strip(): {"speakers": n_speakers, "clips": n_clips}
            | {TITLES[name]: in_words(*values[name]) for name in self.measure_names}
            for key, (n_speakers, n_clips, values) in self._results.items()
            if key[0] != "speaker"
        }
        return pd.DataFrame.from_dict(rows, orient="index")

    def _tables(self):
        """The tables of the printed report, as text."""
        scores = self.to_frame().loc["speaker"].rename_axis(None)
        words = {TITLES[name]: scores[name].map(in_words) for name in self.measure_names}
        speakers = pd.DataFrame({"clips": scores["n_clips"]} | words).to_string()
        return [self.summary().to_string(), f"Each speaker ({NO_INTERVAL})\n{speakers}"]

    def draw_speakers(self, ax=None):
        """Draw how well each speaker is recognised, sorted, with the average and chance: Axes.

        Parameters
        ----------
        ax : matplotlib Axes, default a new figure's
        """
        values, title = self.to_frame().loc["speaker"][self.main_measure], TITLES[self.main_measure]
        style = {"measure": title, "higher_is_better": self.higher_is_better, "ax": ax}
        drawn = plotting.draw_speakers(values, self.chance(), **style)
        return self._titled(drawn, f"{title} by speaker")

    def _titled(self, ax, what):
        """Write above a picture what it shows and the protocol."""
        lines = [f"{self.model}: {what}", *textwrap.wrap(self.protocol, 80)]
        ax.set_title("\n".join(lines), fontsize=8)
        return ax


class ClassificationEvaluation(Evaluation):
    """UAR, accuracy and macro F1, recalls and confusions; see `Evaluation`."""

    main_measure = "uar"
    measure_names = ("uar", "accuracy", "macro_f1")
    DRAWN = ("confusion_matrix", "speakers", "reliability")
    measures = staticmethod(metrics.classification_measures)

    def tallies(self):
        """Count predictions; see `confusion_by_speaker`."""
        groups, true = speaker_groups(self.clips), self.clips["emotion"]
        return metrics.confusion_by_speaker(true, self.clips["predicted"], groups, self.emotions)

    def chance(self):
        """Compute the UAR of guessing: 1 / n_emotions."""
        return 1 / len(self.emotions)

    @property
    def _right(self):
        return (self.clips["predicted"] == self.clips["emotion"]).to_numpy()

    def scores(self):
        """Score all clips: uar, uar_low, uar_high, accuracy, ..., macro_f1, ..., ece."""
        ece = metrics.calibration_error(self.clips["confidence"], self._right)
        return super().scores() | {"ece": ece}

    def recalls(self):
        """Compute the recall of each emotion, with the same rows as `to_frame`: DataFrame.

        Columns are <emotion>, <emotion>_low, <emotion>_high; NaN where there are no clips, and no
        bounds for one speaker.
        """
        return self._frame(
            metrics.flat(dict(zip(self.emotions, values["recall"].T, strict=True)))
            for _, _, values in self._results.values()
        )

    def confusion_matrix(self, percentage=True, labeled=True, *, bound=None):
        """Count how the clips of each emotion were predicted, in the order of `emotions`.

        Parameters
        ----------
        percentage, labeled : bool, default True
            Percent of the true emotion's clips, else clips; DataFrame with rows true_<emotion> and
            columns predicted_<emotion>, else ndarray.
        bound : {None, "low", "high"}
            A bound of the 95 % interval of the percentages instead; NaN for one speaker.

        Raises
        ------
        ValueError
            For another bound, or a bound of clips.
        """
        bounds = (None, "low", "high")
        check_name(bound, bounds, "bound")
        if bound and not percentage:
            raise ValueError("Only percentages have bounds; leave percentage=True.")
        values = 100 * self._results["all", ""][2]["confusion"][bounds.index(bound)]
        if not percentage:
            values = self.tallies().sum(axis=0)
        return metrics.labeled_confusion(values, self.emotions) if labeled else values

    def reliability(self):
        """Count how often predictions of each confidence are right; see `metrics.reliability`."""
        return metrics.reliability(self.clips["confidence"], self._right)

    def to_dict(self):
        recalls = metrics.without_nan(self.recalls().loc["all", ""].to_dict())
        by_emotion = {
            f"per_class_recall{ending}": {e: recalls[f"{e}{ending}"] for e in self.emotions}
            for ending in ("", "_low", "_high")
        }
        confusion = self.confusion_matrix(percentage=False, labeled=False).tolist()
        return super().to_dict() | by_emotion | {"confusion": confusion}

    def _tables(self):
        total, speakers = super()._tables()
        recalls = self._results["all", ""][2]["recall"].T
        matrix, columns = self.confusion_matrix(labeled=False), [f"as {e}" for e in self.emotions]
        table = pd.DataFrame(matrix, self.emotions, columns).round(1)
        table.insert(0, "clips", [(self.clips["emotion"] == e).sum() for e in self.emotions])
        table.insert(1, "recall", [in_words(*triple) for triple in recalls])
        recalls = f"Recall, and what percentage was taken as what\n{table.to_string(na_rep='-')}"
        ece = f"calibration error (ECE, {N_BINS} bins): {self.scores()['ece']:.3f}"
        return [total, recalls, ece, speakers]

    def draw_confusion_matrix(self, percentage=True, *, ax=None):
        """Draw the confusion matrix: Axes.

        Parameters
        ----------
        percentage, ax
            See `confusion_matrix` and `plotting.draw_confusion`.
        """
        matrix = self.confusion_matrix(percentage=percentage, labeled=False)
        drawn = plotting.draw_confusion(matrix, self.emotions, ax)
        return self._titled(drawn, "percent of the true emotion" if percentage else "clips")

    def draw_reliability(self, ax=None):
        """Draw how often predictions of each confidence are right, and how many there are: Axes.

        Parameters
        ----------
        ax : matplotlib Axes, default a new figure's
        """
        drawn = plotting.draw_reliability(self.reliability(), ax)
        return self._titled(drawn, f"reliability, ECE {self.scores()['ece']:.3f}")


class RegressionEvaluation(Evaluation):
    """Mean absolute error and concordance correlation; see `Evaluation`."""

    main_measure = "mae"
    measure_names = ("mae", "ccc")
    higher_is_better = False
    measures = staticmethod(metrics.regression_measures)

    def tallies(self):
        """Sum up targets and predictions; see `moments_by_speaker`."""
        groups, targets = speaker_groups(self.clips), self.clips["target"]
        return metrics.moments_by_speaker(targets, self.clips["predicted"], groups)

    def chance(self):
        """Compute the error of always predicting the median of the targets."""
        return float((self.clips["target"] - self.clips["target"].median()).abs().mean())


# the command line


def _parse_args(argv):
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    add = parser.add_argument
    recipes = "; ".join(f"{name} ({text})" for name, text in RECIPES.items())
    tuned = ", ".join(name.removesuffix("Classifier") for name in CLASSIFIERS)
    regressors = ", ".join(name.removesuffix("Regressor") for name in REGRESSORS)
    add("--corpus", type=names_option, help=help_line())
    add("--protocol", default="loso", help=f"{', '.join(PROTOCOLS)} (default loso)")
    models = f"{recipes}; as tuned {tuned}, with --regression {regressors}"
    add("--model", default="recommended", help=models)
    counts = "unlabelled clips to adapt to each test speaker with: 0 (default), 5, 10, ... or all"
    add("--calibrate", type=_count, default=0, metavar="N", help=counts)
    emotions = f"default: all of the corpora, with --regression {','.join(DEFAULT_EMOTIONS)}"
    add("--emotions", type=names_option, help=emotions)
    balance = "train on as many clips of each emotion; standard: test, too"
    add("--balance", action="store_true", help=balance)
    add("--regression", action="store_true", help="predict a number on a scale of emotions")
    add(
        "--train-corpora", type=names_option, help="for cross-corpus; --corpus is what is tested on"
    )
    labels = "for cross-corpus: common labels, - leaves clips out, as in ps=happy,boredom=-"
    add("--label-map", type=_label_map, metavar="OLD=NEW,...", help=labels)
    add("--features", type=names_option, help="comma-separated; default: the model's")
    encoder = "PATH.onnx or hf:NAME in place of the bundled one, or none; default: the model's"
    add("--encoder", type=encoder_option, default=AS_FEATURES, metavar="NAME|none", help=encoder)
    add("--functionals", type=names_option, help="comma-separated; default: the model's")
    add("--leakage", action="store_true", help="random and speaker-independent side by side")
    add("--data-dir", help="the data folder; else $SER_DATA_DIR, else data/")
    add("--seed", type=int, default=0, help="of all that is random (default 0)")
    add("--pictures", metavar="FOLDER", help="where they go (default results/; with --json none)")
    add("--json", action="store_true", help="print one JSON object instead")
    return parser.parse_args(argv)


def _count(text):
    if text != "all" and not text.isdecimal():
        raise argparse.ArgumentTypeError(f"it is a number of clips or all, not {text!r}")
    return text if text == "all" else int(text)


def _label_map(text):
    pairs = [pair.split("=") for pair in text.split(",")]
    if not all(len(pair) == 2 and all(pair) for pair in pairs):
        raise argparse.ArgumentTypeError(f"it is OLD=NEW,OLD=NEW or OLD=-, not {text!r}")
    return {old: None if new == "-" else new for old, new in pairs}


def _evaluate(args, protocol):
    """The evaluation that the command line asks for, by this protocol."""
    cross = protocol == "cross-corpus"
    if cross and not (args.corpus and args.train_corpora):
        raise ValueError("cross-corpus needs --train-corpora, and --corpus to test on")
    if args.train_corpora and not cross:
        raise ValueError(f"--train-corpora is for --protocol cross-corpus, not {protocol}")
    corpora = [*(args.corpus or ()), *(args.train_corpora or ())] or None
    emotions = args.emotions
    if emotions in (None, ["all"]) and args.regression:
        emotions = list(DEFAULT_EMOTIONS)
    elif emotions in (None, ["all"]):
        clips = labelled_clips(wishes(corpora), data_dir=args.data_dir, verbose=0)
        emotions = sorted(set(clips["emotion"]))
    vectors = {name: vars(args)[name] for name in ("features", "functionals") if vars(args)[name]}
    vectors["encoder"] = args.encoder
    data = {"emotions": emotions, "corpora": corpora, "data_dir": args.data_dir}
    kind = {"classification": not args.regression, "balance": args.balance}
    system = named_recognizer(
        args.model, random_state=args.seed, verbose=0, **data, **kind, **vectors
    )
    sides = {"train_corpora": args.train_corpora, "test_corpora": args.corpus} if cross else {}
    settings = {"calibrate": args.calibrate, "label_map": args.label_map, "name": args.model}
    settings |= {"random_state": args.seed, "verbose": 0 if args.json else 1}
    return evaluate(system, protocol, **sides, **settings)


def _pictures(evaluation, folder, calibrate):
    """Path to the method that draws it: dict."""
    corpora = "-".join(sorted(set(evaluation.clips["corpus"])))
    parts = [corpora, evaluation.protocol_name, evaluation.model]
    stem = Path(folder) / "_".join(parts + [f"adapted-{calibrate}"] * bool(calibrate))
    return {f"{stem}_{name}.png": getattr(evaluation, f"draw_{name}") for name in evaluation.DRAWN}


def _run(args):
    kind, _ = parse_protocol(args.protocol)
    if args.leakage and kind not in ("loso", "group-K"):
        raise ValueError("--leakage compares random with loso or group-K")
    evaluations = [_evaluate(args, name) for name in ["random"] * args.leakage + [args.protocol]]
    if args.leakage:
        difference = compare(*evaluations, same_folds=False)
        rows = {e.protocol_name: e.summary().loc["all"].to_dict() for e in evaluations}
        table = pd.DataFrame.from_dict(rows, orient="index").to_string()
        worth = f"What leakage is worth: {difference}"
        text = "\n".join([*(e.protocol for e in evaluations), "", table, "", worth])
        plain = {e.protocol_name: e.to_dict() for e in evaluations}
        plain["difference"] = asdict(difference)
    else:
        text, plain = str(evaluations[0]), evaluations[0].to_dict()
    folder, pictures = args.pictures or (None if args.json else "results"), {}
    for evaluation in evaluations if folder else ():
        pictures |= _pictures(evaluation, folder, args.calibrate)
    print(json.dumps(plain | {"pictures": list(pictures)}) if args.json else text, flush=True)
    if pictures:
        import matplotlib.pyplot as plt

        for path, draw in pictures.items():
            figure = draw().figure
            plotting.save_figure(figure, path)
            plt.close(figure)
        if not args.json:
            print(f"\npictures: {', '.join(pictures)}", flush=True)


def main(argv=None):
    """Run the command line; see the module's docstring.

    Parameters
    ----------
    argv : list of str, default sys.argv[1:]
    """
    try:
        _run(_parse_args(argv))
    except BrokenPipeError:  # `... | head` has read enough; nothing else may be flushed to it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (ValueError, OSError) as error:
        sys.exit(f"evaluation.py: {error}")
    except KeyboardInterrupt:
        print("evaluation.py: interrupted", file=sys.stderr)
        sys.exit(130)


__getattr__ = moved(
    __name__,
    {
        "audio": "AudioError AudioWarning load_audio",
        "checks": "replacing",
        "corpora": "EMODB_MALE sentence",
        "create_csv": "CORPUS_GROUPS list_clips",
        "data_extractor": "AudioExtractor",
        "metrics": "N_RESAMPLES calibration_error classification_measures confusion_by_speaker "
        "labeled_confusion moments_by_speaker percentiles regression_measures reliability "
        "resample_speakers score scores_in_words with_intervals",
        "plotting": "ALIGNED draw_confusion html_table new_axes new_figure save_figure",
        "protocols": "Comparison Fold LeakError NAMED N_RANDOM_FOLDS Protocol audio_digests "
        "describe_split find_leaks",
        "tables": "speaker_folds",
    },
)

if __name__ == "__main__":
    main()
