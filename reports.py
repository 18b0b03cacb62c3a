"""Results of evaluations: scores, intervals, tables, pictures; comparisons of two."""

import textwrap
from dataclasses import KW_ONLY, asdict, dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd

import metrics
import plotting
from checks import check_name
from corpora import CORPORA
from metrics import CONFIDENCE, N_BINS, NO_INTERVAL, SURE, TITLES, in_words
from protocols import Leaks, in_short
from tables import names_of, speaker_groups

MEASURED = """
It names how a voice sounds, not what somebody feels: don't decide about people by it. How well it
does, measured with the same training on clips that were left out; 95 % intervals by speaker:

| recordings | speakers | clips | {measure} | calibration error |
|---|---|---|---|---|
{rows}
"""


@dataclass(eq=False)
class Evaluation:
    """Predictions and their scores; prints as a table, whose first line is the protocol.

    `clips` has the columns path, emotion, speaker, corpus, gender, fold and predicted; for
    classification confidence (the probability of the predicted emotion) and p_<emotion>, NaN if the
    recognizer of a fold doesn't know the emotion; for regression target; for numbers target_<name>
    and predicted_<name>. Scores are computed over all clips together; in loco they are means over
    the corpora with equal weights, and the UAR of a corpus is that of the emotions in it.

    Subclasses have `tallies()` (n_speakers, ...), `measures`, their scores (see `with_intervals`),
    `measure_names`, `main_measure`, by which speakers are sorted and systems compared, and
    `chance_in(clips)`, the chance level of the main measure.
    """

    clips: pd.DataFrame
    emotions: list  # in the order of tables and pictures
    _: KW_ONLY
    protocol: str  # one line: corpora, split, numbers of speakers and clips
    protocol_name: str  # the argument of `evaluate`
    model: str  # name of the system
    leaks: Leaks = field(default_factory=Leaks)
    random_state: int = 0  # seed of the bootstrap

    higher_is_better = True
    DRAWN = ("speakers",)  # names of the methods draw_<name>

    @property
    def over_corpora(self):
        """Whether scores are means over the corpora: bool."""
        return self.protocol_name == "loco"

    @property
    def drawn(self):
        """Names of the methods draw_<name> that show it best: tuple of str."""
        return self.DRAWN

    @property
    def answers(self):
        """The emotions, or the names of numbers, that are predicted: list of str."""
        return self.emotions

    def by_corpus(self):
        """The clips of each corpus: dict of str to DataFrame."""
        return dict(tuple(self.clips.groupby("corpus")))

    def scoring(self):
        """Arguments of `metrics.with_intervals`: tallies, measures, corpora of speakers or None.

        The speakers are sorted as in `tallies`.
        """
        tallies = self.tallies()
        if not self.over_corpora:
            return tallies, self.measures, None
        corpora = self.clips.groupby(speaker_groups(self.clips))["corpus"].first().to_numpy()
        return *metrics.over_corpora(tallies, self.measures, corpora), corpora

    def chance(self):
        """Compute the chance level of the main measure, see `chance_in`: float."""
        parts = self.by_corpus().values() if self.over_corpora else [self.clips]
        return float(np.mean([self.chance_in(clips) for clips in parts]))

    def more_results(self, n_clips):
        """Further entries for `to_frame`: dict; see `_results`.

        Parameters
        ----------
        n_clips : ndarray (n_speakers,)
            Numbers of clips.
        """
        return {}

    @cached_property
    def _results(self):
        """(rows, name) to (n_speakers, n_clips, scores in the form of `with_intervals`)."""
        groups = speaker_groups(self.clips)
        speakers = self.clips.assign(all="", speaker=groups).groupby(groups).first()
        n_clips, results = self.clips.groupby(groups).size(), {}
        tallies, measures, corpora = self.scoring()
        for rows in ("all", "corpus", "gender", "speaker"):
            for name in sorted(set(speakers[rows])):
                own = (speakers[rows] == name).to_numpy()
                within = None if corpora is None else corpora[own]
                scores = metrics.with_intervals(tallies[own], measures, self.random_state, within)
                results[rows, name] = int(own.sum()), int(n_clips[own].sum()), scores
        return results | self.more_results(n_clips)

    def _frame(self, rows):
        """A table with a row for all clips, each corpus, gender and speaker."""
        index = pd.MultiIndex.from_tuples(self._results, names=["rows", "name"])
        return pd.DataFrame(rows, index=index)

    def to_frame(self):
        """Score all clips, and those of each corpus, gender and speaker: DataFrame.

        The index has rows ("all", "corpus", "gender", "speaker") and name; for loco see
        `Evaluation`. Columns are n_speakers, n_clips and for each score, for example, uar, uar_low,
        uar_high: the bounds of its 95 % interval (see `metrics.with_intervals`), NaN for one
        speaker.
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

    def in_brief(self, title, parts=False):
        """Rows of a table: name, speakers, clips, score with interval, calibration error: list.

        Parameters
        ----------
        title : str
            Name of the row of all clips.
        parts : bool
            Add rows for each gender, and each corpus with its language.
        """
        errors = self._calibration_errors()
        rows = []
        for key, (n_speakers, n_clips, values) in self._results.items():
            kind, name = key
            if kind == "all" or (parts and kind in ("gender", "corpus") and name != "unknown"):
                info = CORPORA.get(name)
                what = f"{info.title}, {info.language}" if info else name
                scores = in_words(*values[self.main_measure])
                row = [title if kind == "all" else f"… {what}", n_speakers, n_clips, scores]
                rows.append([*map(str, row), errors.get(key, "")])
        return rows

    def _calibration_errors(self):
        return {}

    def recorded(self, evaluations):
        """The record of this evaluation and of others for a model file: dict.

        Parameters
        ----------
        evaluations : dict of str to Evaluation
            Rows of a table, with genders and corpora for the first of each protocol; may be empty.

        Returns
        -------
        dict
            protocol and score of this one, and measured, the table in Markdown, or None.
        """
        seen, rows = set(), []
        for title, evaluation in evaluations.items():
            rows += evaluation.in_brief(title, parts=evaluation.protocol_name not in seen)
            seen.add(evaluation.protocol_name)
        lines = "\n".join(f"| {' | '.join(row)} |" for row in rows)
        table = MEASURED.format(measure=TITLES[self.main_measure], rows=lines) if rows else None
        return {"protocol": self.protocol, "score": self.scores(), "measured": table}

    def to_dict(self):
        """The document that `python evaluation.py --json` prints: dict of plain Python values."""
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
            "by_corpus": {name: self._of_corpus(name) for name in self.by_corpus()},
            "leaks": asdict(self.leaks),
        }

    def _of_corpus(self, corpus):
        """The plain values of one corpus: dict."""
        clips, scores = self.by_corpus()[corpus], self.to_frame().loc["corpus", corpus].to_dict()
        counts = {name: int(scores.pop(name)) for name in ("n_speakers", "n_clips")}
        found = set(clips["emotion"])
        emotions = [emotion for emotion in self.emotions if emotion in found]
        facts = {"emotions": emotions, "chance": float(self.chance_in(clips))}
        return counts | facts | metrics.without_nan(scores)

    def __str__(self):
        lines = [
            self.protocol,
            f"{self.model}: {', '.join(self.answers)}",
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
            "emotions" if self.emotions else "numbers": ", ".join(self.answers),
            "leak guard": f"{self.leaks}",
            "chance": self._in_words(self.chance()),
            "in brackets": f"{CONFIDENCE} % intervals by speaker",
        }
        return plotting.html_table(type(self).__name__, facts) + self.summary().to_html()

    def _in_words(self, value):
        return f"{TITLES[self.main_measure]} {value:.3f}"

    def summary(self):
        """Format the scores over all clips, by corpus and by gender: DataFrame of str."""
        rows = {
            self._title(*key): {"speakers": n_speakers, "clips": n_clips}
            | {TITLES[name]: in_words(*values[name]) for name in self.measure_names}
            for key, (n_speakers, n_clips, values) in self._results.items()
            if key[0] != "speaker"
        }
        return pd.DataFrame.from_dict(rows, orient="index")

    def _title(self, rows, name):
        if rows == "all":
            return "mean of the corpora" if self.over_corpora else "all"
        return f"{rows} {name}"

    def _tables(self):
        """The tables of the printed report, as text."""
        scores = self.to_frame().loc["speaker"].rename_axis(None)
        words = {TITLES[name]: scores[name].map(in_words) for name in self.measure_names}
        speakers = pd.DataFrame({"clips": scores["n_clips"]} | words).to_string()
        return [self.summary().to_string(), f"Each speaker ({NO_INTERVAL})\n{speakers}"]

    def draw_speakers(self, ax=None):
        """Draw the score of each speaker, sorted, with the average and chance: Axes.

        Parameters
        ----------
        ax : matplotlib Axes, default a new figure's
        """
        values, title = self.to_frame().loc["speaker"][self.main_measure], TITLES[self.main_measure]
        style = {"measure": title, "higher_is_better": self.higher_is_better, "ax": ax}
        drawn = plotting.draw_speakers(values, self.chance(), **style)
        return self._titled(drawn, f"{title} by speaker")

    def _titled(self, ax, what):
        """Set the title of a picture: what it shows, and the protocol."""
        ax.set_title(self._above(what), fontsize=8)
        return ax

    def _above(self, what, width=80):
        return "\n".join([f"{self.model}: {what}", *textwrap.wrap(self.protocol, width)])


class ClassificationEvaluation(Evaluation):
    """UAR, accuracy and macro F1, recalls and confusions; see `Evaluation`."""

    main_measure = "uar"
    measure_names = ("uar", "accuracy", "macro_f1")
    DRAWN = ("confusion_matrix", "speakers", "reliability")
    measures = staticmethod(metrics.classification_measures)

    @property
    def drawn(self):
        return (*self.DRAWN[:-1], "reliability_by_corpus") if self.over_corpora else self.DRAWN

    def tallies(self):
        """Count predictions, see `confusion_by_speaker`: ndarray (n_speakers, ...)."""
        groups, true = speaker_groups(self.clips), self.clips["emotion"]
        return metrics.confusion_by_speaker(true, self.clips["predicted"], groups, self.emotions)

    def chance_in(self, clips):
        """Compute the UAR at chance: 1 / n_emotions, in loco those of the corpus.

        Parameters
        ----------
        clips : DataFrame
            Column emotion.
        """
        return 1 / (clips["emotion"].nunique() if self.over_corpora else len(self.emotions))

    def scores(self):
        """Score all clips: uar, uar_low, uar_high, accuracy, ..., macro_f1, ..., ece."""
        return super().scores() | {"ece": float(self.confidences().loc["all", ""]["ece"])}

    def summary(self):
        table = super().summary()
        if self.over_corpora:
            tested = self.recalls()[self.emotions].notna().sum(axis=1)
            table.insert(2, "emotions", tested.drop("speaker", level="rows").to_numpy())
        return table

    def confidences(self):
        """Compute the quality of the confidence, over all clips and by corpus: DataFrame.

        The index has rows ("all", "corpus") and name, as in `to_frame`; the columns are ece,
        confidence_right, confidence_wrong, over and right_over of `metrics.confidence_measures`.
        """
        corpora = {
            ("corpus", name): metrics.confidence_measures(own["confidence"], _right(own))
            for name, own in self.by_corpus().items()
        }
        if self.over_corpora:
            every = pd.DataFrame(corpora.values()).mean().to_dict()
        else:
            every = metrics.confidence_measures(self.clips["confidence"], _right(self.clips))
        found = {("all", ""): every} | corpora
        index = pd.MultiIndex.from_tuples(found, names=["rows", "name"])
        return pd.DataFrame(found.values(), index)

    def _calibration_errors(self):
        return self.confidences()["ece"].map(in_words).to_dict()

    def recalls(self):
        """Compute the recall of each emotion, with the same rows as `to_frame`: DataFrame.

        Columns are <emotion>, <emotion>_low, <emotion>_high; NaN without clips, and for the bounds
        of one speaker.
        """
        return self._frame(
            metrics.flat(dict(zip(self.emotions, values["recall"].T, strict=True)))
            for _, _, values in self._results.values()
        )

    def confusion_matrix(self, percentage=True, labeled=True, *, bound=None):
        """Compute the confusion matrix, in the order of `emotions`.

        Parameters
        ----------
        percentage : bool, default True
            Percent of the true emotion's clips; False: numbers of clips.
        labeled : bool, default True
            Return a DataFrame with rows true_<emotion> and columns predicted_<emotion>; False: an
            ndarray (n_emotions, n_emotions).
        bound : {None, "low", "high"}
            Return a bound of the 95 % interval of the percentages; NaN for one speaker.

        Raises
        ------
        ValueError
            For another bound, or a bound of clips.
        """
        bounds = (None, "low", "high")
        check_name(bound, bounds, "bound")
        if bound and not percentage:
            raise ValueError("Only percentages have bounds; pass percentage=True.")
        values = 100 * self._results["all", ""][2]["confusion"][bounds.index(bound)]
        if not percentage:
            values = self.tallies().sum(axis=0)
        return metrics.labeled_confusion(values, self.emotions) if labeled else values

    def reliability(self, corpus=None):
        """Compute accuracy by confidence: DataFrame, see `metrics.reliability`.

        Parameters
        ----------
        corpus : str, optional
            Only the clips of this corpus.

        Raises
        ------
        ValueError
            For an unknown corpus.
        """
        parts = {None: self.clips} | self.by_corpus()
        clips = parts[check_name(corpus, parts, "corpus")]
        return metrics.reliability(clips["confidence"], _right(clips))

    def to_dict(self):
        recalls = metrics.without_nan(self.recalls().loc["all", ""].to_dict())
        by_emotion = {
            f"per_class_recall{ending}": {e: recalls[f"{e}{ending}"] for e in self.emotions}
            for ending in ("", "_low", "_high")
        }
        confusion = self.confusion_matrix(percentage=False, labeled=False).tolist()
        return super().to_dict() | by_emotion | {"confusion": confusion}

    def _of_corpus(self, corpus):
        confidence = self.confidences().loc["corpus", corpus].to_dict()
        return super()._of_corpus(corpus) | metrics.without_nan(confidence)

    def _tables(self):
        total, speakers = super()._tables()
        recalls = self._results["all", ""][2]["recall"].T
        matrix, columns = self.confusion_matrix(labeled=False), [f"as {e}" for e in self.emotions]
        table = pd.DataFrame(matrix, self.emotions, columns).round(1)
        table.insert(0, "clips", [(self.clips["emotion"] == e).sum() for e in self.emotions])
        table.insert(1, "recall", [in_words(*triple) for triple in recalls])
        recalls = f"Recall, and what percentage was taken as what\n{table.to_string(na_rep='-')}"
        confidences = self.confidences()
        confidences.index = [self._title(*key) for key in confidences.index]
        titles = ["ECE", "right answers", "wrong answers", f"share over {SURE}", "right of these"]
        words = confidences.set_axis(titles, axis=1).map(in_words).to_string()
        errors = f"Confidence, and its calibration error (ECE, {N_BINS} bins)\n{words}"
        return [total, recalls, errors, speakers]

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
        """Draw the reliability diagram, with the share of clips in each bin: Axes.

        Parameters
        ----------
        ax : matplotlib Axes, default a new figure's
        """
        drawn = plotting.draw_reliability(self.reliability(), ax)
        ece = metrics.calibration_error(self.clips["confidence"], _right(self.clips))
        return self._titled(drawn, f"reliability, ECE {ece:.3f}")

    def draw_reliability_by_corpus(self, figure=None, after=None):
        """Draw a reliability diagram for each corpus: matplotlib Figure.

        Parameters
        ----------
        figure : matplotlib Figure, default a new one
        after : ClassificationEvaluation, optional
            Of the same corpora after adaptation, drawn as second curves.
        """
        tables, shown = {}, [self] if after is None else [self, after]
        for corpus in self.by_corpus():
            eces = [each.confidences().loc[("corpus", corpus), "ece"] for each in shown]
            title = f"{corpus}, ECE {', adapted '.join(f'{ece:.3f}' for ece in eces)}"
            tables[title] = self.reliability(corpus), after and after.reliability(corpus)
        drawn = plotting.draw_reliabilities(tables, figure)
        drawn.suptitle(self._above("reliability in each corpus", width=140), fontsize=8)
        return drawn


def _right(clips):
    return (clips["predicted"] == clips["emotion"]).to_numpy()


class RegressionEvaluation(Evaluation):
    """Mean absolute error and concordance correlation; see `Evaluation`."""

    main_measure = "mae"
    measure_names = ("mae", "ccc", "rmse")
    higher_is_better = False
    measures = staticmethod(metrics.regression_measures)

    def tallies(self):
        """Sum up targets and predictions, see `moments_by_speaker`: ndarray (n_speakers, ...)."""
        groups, targets = speaker_groups(self.clips), self.clips["target"]
        return metrics.moments_by_speaker(targets, self.clips["predicted"], groups)

    def chance_in(self, clips):
        """Compute the error of always predicting the median of the targets: float.

        Parameters
        ----------
        clips : DataFrame
            Column target.
        """
        return (clips["target"] - clips["target"].median()).abs().mean()


class NumbersEvaluation(RegressionEvaluation):
    """Concordance correlation and errors of numbers; see `Evaluation`.

    If there are several numbers, scores are means over them, and `to_frame` has a row "target" for
    each.
    """

    main_measure = "ccc"
    measure_names = ("ccc", "mae", "rmse")
    higher_is_better = True
    DRAWN = ("predictions", "speakers")
    measures = staticmethod(metrics.mean_regression_measures)

    @property
    def targets(self):
        """Names of the numbers: list of str."""
        return [name.removeprefix("target_") for name in self.clips if name.startswith("target_")]

    answers = targets

    def to_dict(self):
        table, several = self.to_frame(), len(self.targets) > 1
        keys = {name: ("target", name) if several else ("all", "") for name in self.targets}
        counts = ["n_speakers", "n_clips"]
        each = {name: table.drop(columns=counts).loc[key].to_dict() for name, key in keys.items()}
        targets = {name: metrics.without_nan(scores) for name, scores in each.items()}
        return super().to_dict() | {"targets": targets}

    def _columns(self, kind):
        return self.clips[[f"{kind}_{name}" for name in self.targets]].to_numpy()

    def tallies(self):
        """Sum up targets and predictions: (n_speakers, n_targets, 7); see `moments_by_speaker`."""
        numbers = self._columns("target"), self._columns("predicted")
        return metrics.moments_by_speaker(*numbers, speaker_groups(self.clips))

    def more_results(self, n_clips):
        """The scores of each number, if there are several; see `Evaluation.more_results`."""
        found, (tallies, measures, corpora) = {}, self.scoring()
        for i, name in enumerate(self.targets) if len(self.targets) > 1 else ():
            own = tallies[..., i : i + 1, :]
            scores = metrics.with_intervals(own, measures, self.random_state, corpora)
            found["target", name] = len(tallies), int(n_clips.sum()), scores
        return found

    def chance_in(self, clips):
        """The concordance correlation of a constant: 0."""
        return 0.0

    def draw_predictions(self, figure=None):
        """Draw predicted against true values, in a panel for each number: matplotlib Figure.

        Parameters
        ----------
        figure : matplotlib Figure, default a new one
        """
        figure = figure or plotting.new_figure(4 * len(self.targets) + 1, 4.5)
        every = figure.subplots(1, len(self.targets), squeeze=False)[0]
        for ax, name in zip(every, self.targets, strict=True):
            true, predicted = self.clips[f"target_{name}"], self.clips[f"predicted_{name}"]
            plotting.draw_predictions(true, predicted, ax)
            ccc = metrics.regression_measures(metrics.moments_by_speaker(true, predicted, true * 0))
            ax.set(title=f"{name}, CCC {ccc['ccc'][0]:.3f}", xlabel="true", ylabel="predicted")
        figure.suptitle(self._above("true and predicted numbers"), fontsize=8)
        return figure


# comparing


@dataclass(frozen=True)
class Comparison:
    """Two systems on the same clips; prints as one sentence."""

    measure: str  # "uar", or "mae" for regression
    first: str  # name and protocol
    second: str
    values: tuple  # the measure of each
    difference: float  # the first one's minus the second one's
    low: float | None  # bounds of the difference's 95 % interval; None for one speaker
    high: float | None
    probability: float | None  # that the first one is better, over the resamples
    n_speakers: int
    n_clips: int

    def __str__(self):
        return (
            f"{TITLES[self.measure]} of {self.first} minus that of {self.second}: "
            f"{self.values[0]:.3f} - {self.values[1]:.3f} = {self.difference:+.3f} "
            f"({self._interval()}); {self.n_clips} clips of {self.n_speakers} speakers"
        )

    def _interval(self):
        if self.low is None:
            return NO_INTERVAL
        return (
            f"{CONFIDENCE} % by speaker: {self.low:+.3f} to {self.high:+.3f}; "
            f"it is better with probability {self.probability:.3f}"
        )

    def __repr__(self):
        return f"<Comparison: {self}>"

    def _repr_html_(self):
        first, second = (f"{TITLES[self.measure]} {value:.3f}" for value in self.values)
        facts = {
            f"first: {self.first}": first,
            f"second: {self.second}": second,
            "first minus second": f"{self.difference:+.3f} ({self._interval()})",
            "measured on": f"{self.n_clips} clips of {self.n_speakers} speakers, the same for both",
        }
        return plotting.html_table(type(self).__name__, facts)


def compare(first, second, *, same_folds=True):
    """Compare two systems on the same clips: Comparison.

    Both are scored on the same resampled speakers (paired cluster bootstrap): a speaker who is hard
    for both doesn't widen the interval of the difference.

    Parameters
    ----------
    first, second : evaluation.Evaluation
        Of the same clips.
    same_folds : bool, default True
        False: compare two protocols, such as "random" and "loso".

    Raises
    ------
    ValueError
        If their clips, labels or folds differ.
    """
    _check_comparable(first, second, same_folds)
    name, measures, corpora = first.main_measure, *first.scoring()[1:]
    tallies = [e.scoring()[0] for e in (first, second)]
    n_speakers = len(tallies[0])
    values = tuple(float(measures(tally.sum(axis=0))[name]) for tally in tallies)
    low = high = probability = None
    if n_speakers > 1:
        drawn = metrics.resample_speakers(n_speakers, first.random_state, corpora)
        scores = [measures(np.tensordot(drawn, tally, axes=1))[name] for tally in tallies]
        draws = scores[0] - scores[1]
        better = draws if first.higher_is_better else -draws
        low, high = map(float, metrics.percentiles(draws))
        probability = float(np.mean(better > 0) + np.mean(better == 0) / 2)
    labels = [f"{e.model} ({e.protocol_name})" for e in (first, second)]
    gap = values[0] - values[1], low, high, probability
    return Comparison(name, *labels, values, *gap, n_speakers, len(first.clips))


def _check_comparable(first, second, same_folds):
    if type(first) is not type(second) or set(first.answers) != set(second.answers):
        raise ValueError("Evaluations of different kinds or emotions can't be compared.")
    if first.over_corpora != second.over_corpora:
        raise ValueError("The scores of loco are means over corpora: compare it with loco only.")
    columns = ["path", "emotion", "speaker", "corpus"] + ["fold"] * same_folds
    a, b = (
        e.clips.assign(path=names_of(e.clips))[columns].astype(str).sort_values("path")
        for e in (first, second)
    )
    a, b = a.reset_index(drop=True), b.reset_index(drop=True)
    if not a["path"].equals(b["path"]):
        only = sorted(set(a["path"]) ^ set(b["path"]))
        raise ValueError(
            f"Both evaluations must score the same clips; only one has {in_short(only)}. Evaluate "
            "both with the same corpora, emotions and balance."
        )
    differing = [column for column in columns if not a[column].equals(b[column])]
    if differing:
        raise ValueError(
            f"Both evaluations must have the same {' and '.join(differing)} for every clip. "
            "Evaluate both with the same protocol, label_map and random_state."
        )
